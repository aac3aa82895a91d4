/* A gradient that comes through a 2x2 max-pool with stride 2: of the four positions of a window at most one is not 0.
 * It is read a vector of channels of a window at a time, from the dense gradient or from what a fused pool left: the
 * pooled values' gradient and the winners' positions. Both give the same numbers. Channels last. */
#ifndef FA_CPU_KERNELS_POOLED_H
#define FA_CPU_KERNELS_POOLED_H

#include "cpu/kernels/common.h"

enum { FA_NO_WINNER = 255 };

typedef struct fa_pooled {
    const float *g; /* [images, rows, columns, channels] with `place`, else dense: [images, height, width, channels] */
    const uint8_t *place;                    /* 0..3 row by row, 255: none; NULL: g is dense */
    int64_t images, rows, columns, channels; /* rows and columns of windows */
    int64_t height, width;                   /* of the dense gradient */
} fa_pooled;

/* From a gradient kernel's arguments: in[0] is g; with FA_FUSE_UNPOOL in[2] has the places. `size`: the dense one's. */
FA_INLINE fa_pooled fa_pooled_of(const fa_kernel_args *args, const int64_t size[2])
{
    const fa_meta *g = args->in_meta[0];
    return (fa_pooled){.g = args->in[0],
                       .place = (args->fuse & FA_FUSE_UNPOOL) != 0 ? args->in[2] : NULL,
                       .images = g->shape[0],
                       .rows = size[0] / 2,
                       .columns = size[1] / 2,
                       .channels = g->shape[1],
                       .height = size[0],
                       .width = size[1]};
}

/* n <= FV_LANES channels from `o` on of window (i, j) of an image: the winner's gradient and its place. */
FA_INLINE fv fa_pooled_winner(const fa_pooled *p, int64_t image, int64_t i, int64_t j, int64_t o, int64_t n, fi *place)
{
    const int64_t C = p->channels;
    if (p->place) {
        const int64_t at = ((image * p->rows + i) * p->columns + j) * C + o;
        if (n >= FV_LANES) {
            *place = fi_load_u8(p->place + at);
            return fv_load(p->g + at);
        }
        uint8_t bytes[FV_LANES];
        memset(bytes, FA_NO_WINNER, sizeof bytes);
        memcpy(bytes, p->place + at, (size_t)n);
        *place = fi_load_u8(bytes);
        return fv_load_n(p->g + at, n);
    }
    const float *at = p->g + ((image * p->height + 2 * i) * p->width + 2 * j) * C + o;
    fv value = fv_zero();
    fi found = fi_set1(FA_NO_WINNER);
    FA_UNROLL
    for (int k = 0; k < 4; k++) {
        const float *from = at + ((k >> 1) * p->width + (k & 1)) * C;
        const fv v = n >= FV_LANES ? fv_load(from) : fv_load_n(from, n);
        const fm zero = fv_eq(v, fv_zero()); /* a NaN is not equal: it wins */
        value = fv_select(zero, value, v);
        found = fi_select(zero, found, fi_set1(k));
    }
    *place = found;
    return value;
}

/* One element of the dense gradient. */
FA_INLINE float fa_pooled_value(const fa_pooled *p, int64_t image, int64_t row, int64_t column, int64_t o)
{
    if (!p->place)
        return p->g[((image * p->height + row) * p->width + column) * p->channels + o];
    const int64_t i = row / 2, j = column / 2;
    if (i >= p->rows || j >= p->columns)
        return 0;
    const int64_t at = ((image * p->rows + i) * p->columns + j) * p->channels + o;
    return p->place[at] == row % 2 * 2 + column % 2 ? p->g[at] : 0;
}

/* The lanes of a and b where mask is set, in order, side by side: how many. Writes whole vectors. */
FA_INLINE int64_t fa_pooled_pack(fm mask, float *to_a, fv a, int32_t *to_b, fi b)
{
#if defined(FA_CPU_ISA_avx512)
    _mm512_storeu_ps(to_a, _mm512_maskz_compress_ps(mask, a));
    _mm512_storeu_si512(to_b, _mm512_maskz_compress_epi32(mask, b));
    /* The conversion in words: from a mask that lies in memory, gcc 12 counts the two bytes behind it too. */
    return __builtin_popcount(_cvtmask16_u32(mask));
#else
    float value[FV_LANES];
    int32_t number[FV_LANES], keep[FV_LANES];
    fv_store(value, a);
    fi_store(number, b);
    fi_store(keep, fi_select(mask, fi_set1(1), fi_set1(0)));
    int64_t count = 0;
    for (int lane = 0; lane < FV_LANES; lane++) {
        to_a[count] = value[lane];
        to_b[count] = number[lane];
        count += keep[lane];
    }
    return count;
#endif
}

/* Whether all of [0, n) are finite. */
FA_INLINE bool fa_all_finite(const float *x, int64_t n)
{
    fv bad = fv_zero();
    int64_t i = 0;
    for (; i + FV_LANES <= n; i += FV_LANES) {
        const fv v = fv_load(x + i);
        bad += v - v;
    }
    if (i < n) {
        const fv v = fv_load_n(x + i, n - i);
        bad += v - v;
    }
    return !fm_any(fv_isnan(bad));
}

#endif
