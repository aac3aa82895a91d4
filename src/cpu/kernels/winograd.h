/* Winograd's minimal filtering F(4x4, 3x3) (Winograd 1980; Lavin and Gray 2016): 36 products for 4x4 outputs of a 3x3
 * convolution where the direct sum needs 144; and F(2x2, 3x3), 16 for 36, which rounds as little as the direct sum.
 *
 *     y = At [ (G w Gt) * (Bt d B) ] A
 *
 * with d a patch of 6x6 and * element by element; summed over channels between the transforms, 36 matrix products. The
 * points are 0, 3/4, -3/4, 3/2, -3/2 and infinity: with the textbook's 0, 1, -1, 2, -2 the largest error is several
 * times as large.
 *
 *     Bt = [ 81/64   0    -45/16   0      1   0 ]     A = [ 1    1     1     1     1     0 ]
 *          [   0  -27/16  -9/4    3/4     1   0 ]         [ 0   3/4  -3/4   3/2  -3/2    0 ]
 *          [   0   27/16  -9/4   -3/4     1   0 ]         [ 0   9/16  9/16  9/4   9/4    0 ]   (transposed)
 *          [   0  -27/32  -9/16   3/2     1   0 ]         [ 0  27/64 -27/64 27/8 -27/8   1 ]
 *          [   0   27/32  -9/16  -3/2     1   0 ]
 *          [   0   81/64    0   -45/16    0   1 ]
 *
 * and row p of G is (1, p, p^2) over the product of p's distances to the other points; the last one (0, 0, 1).
 *
 * F(2x2) has the points 0, 1, -1 and infinity:
 *
 *     Bt = [ 1  0 -1  0 ]    At = [ 1  1  1  0 ]    G = [  1    0    0  ]
 *          [ 0  1  1  0 ]         [ 0  1 -1 -1 ]        [ 1/2  1/2  1/2 ]
 *          [ 0 -1  1  0 ]                               [ 1/2 -1/2  1/2 ]
 *          [ 0  1  0 -1 ]                               [  0    0    1  ] */
#ifndef FA_CPU_KERNELS_WINOGRAD_H
#define FA_CPU_KERNELS_WINOGRAD_H

#include "cpu/kernels/common.h"

enum { FA_WINO_OUT = 4, FA_WINO_IN = 6, FA_WINO_PRODUCTS = 36 };

/* t = Bt d, of six vectors. */
FA_INLINE void fa_wino_input(const fv d[6], fv t[6])
{
    const fv even_a = fv_fma(fv_set1(-2.25f), d[2], d[4]), odd_a = fv_set1(0.75f) * fv_fma(fv_set1(-2.25f), d[1], d[3]);
    const fv even_b = fv_fma(fv_set1(-0.5625f), d[2], d[4]);
    const fv odd_b = fv_set1(1.5f) * fv_fma(fv_set1(-0.5625f), d[1], d[3]);
    t[0] = fv_fma(fv_set1(1.265625f), d[0], fv_fma(fv_set1(-2.8125f), d[2], d[4]));
    t[1] = even_a + odd_a;
    t[2] = even_a - odd_a;
    t[3] = even_b + odd_b;
    t[4] = even_b - odd_b;
    t[5] = fv_fma(fv_set1(1.265625f), d[1], fv_fma(fv_set1(-2.8125f), d[3], d[5]));
}

/* y = At m, of six vectors. */
FA_INLINE void fa_wino_output(const fv m[6], fv y[4])
{
    const fv sum_a = m[1] + m[2], difference_a = m[1] - m[2], sum_b = m[3] + m[4], difference_b = m[3] - m[4];
    y[0] = (m[0] + sum_a) + sum_b;
    y[1] = fv_fma(fv_set1(1.5f), difference_b, fv_set1(0.75f) * difference_a);
    y[2] = fv_fma(fv_set1(2.25f), sum_b, fv_set1(0.5625f) * sum_a);
    y[3] = fv_fma(fv_set1(3.375f), difference_b, fv_fma(fv_set1(0.421875f), difference_a, m[5]));
}

/* u = G w, of three vectors. */
FA_INLINE void fa_wino_weight(const fv w[3], fv u[6])
{
    const fv even_a = fv_fma(fv_set1(0.5625f), w[2], w[0]), odd_a = fv_set1(0.75f) * w[1];
    const fv even_b = fv_fma(fv_set1(2.25f), w[2], w[0]), odd_b = fv_set1(1.5f) * w[1];
    const fv scale_a = fv_set1((float)(-1 / 1.8984375)), scale_b = fv_set1((float)(1 / 7.59375));
    u[0] = fv_set1((float)(1 / 1.265625)) * w[0];
    u[1] = scale_a * (even_a + odd_a);
    u[2] = scale_a * (even_a - odd_a);
    u[3] = scale_b * (even_b + odd_b);
    u[4] = scale_b * (even_b - odd_b);
    u[5] = w[2];
}

/* z = A g, of four vectors: what fa_wino_output's gradient is. */
FA_INLINE void fa_wino_output_grad(const fv g[4], fv z[6])
{
    const fv even_a = fv_fma(fv_set1(0.5625f), g[2], g[0]);
    const fv odd_a = fv_set1(0.75f) * fv_fma(fv_set1(0.5625f), g[3], g[1]);
    const fv even_b = fv_fma(fv_set1(2.25f), g[2], g[0]);
    const fv odd_b = fv_set1(1.5f) * fv_fma(fv_set1(2.25f), g[3], g[1]);
    z[0] = g[0];
    z[1] = even_a + odd_a;
    z[2] = even_a - odd_a;
    z[3] = even_b + odd_b;
    z[4] = even_b - odd_b;
    z[5] = g[3];
}

/* w = Gt m, of six vectors: what fa_wino_weight's gradient is. */
FA_INLINE void fa_wino_weight_grad(const fv m[6], fv w[3])
{
    const fv sum_a = fv_set1((float)(-1 / 1.8984375)) * (m[1] + m[2]);
    const fv difference_a = fv_set1((float)(-1 / 1.8984375)) * (m[1] - m[2]);
    const fv sum_b = fv_set1((float)(1 / 7.59375)) * (m[3] + m[4]);
    const fv difference_b = fv_set1((float)(1 / 7.59375)) * (m[3] - m[4]);
    w[0] = fv_fma(fv_set1((float)(1 / 1.265625)), m[0], sum_a + sum_b);
    w[1] = fv_fma(fv_set1(0.75f), difference_a, fv_set1(1.5f) * difference_b);
    w[2] = fv_fma(fv_set1(0.5625f), sum_a, fv_fma(fv_set1(2.25f), sum_b, m[5]));
}

/* The same of F(2x2): four vectors to four, four to two, three to four. */
FA_INLINE void fa_wino2_input(const fv d[4], fv t[4])
{
    t[0] = d[0] - d[2];
    t[1] = d[1] + d[2];
    t[2] = d[2] - d[1];
    t[3] = d[1] - d[3];
}

FA_INLINE void fa_wino2_output(const fv m[4], fv y[2])
{
    y[0] = (m[0] + m[1]) + m[2];
    y[1] = (m[1] - m[2]) - m[3];
}

FA_INLINE void fa_wino2_weight(const fv w[3], fv u[4])
{
    const fv even = fv_set1(0.5f) * (w[0] + w[2]), odd = fv_set1(0.5f) * w[1];
    u[0] = w[0];
    u[1] = even + odd;
    u[2] = even - odd;
    u[3] = w[2];
}

/* Stride 1, dilation 1, one group, 3x3, enough channels and few outputs of the tiles wasted; the switch is not off.
 * `side`: outputs of a tile, 4 or 2. */
bool FA_ISA(fa_wino_is_worth)(const fa_conv2d_ints *ints, int side, int64_t in_channels, int64_t out_channels,
                              int64_t rows, int64_t columns);

/* y[n,i,j,o] = bias[o] + sum over a, b, c of w[o,c,a,b] * x[n, i + a - before[0], j + b - before[1], c]; relu; with
 * `winner` the largest of each 2x2 window and its place, as fa_conv_job. Channels last. */
typedef struct fa_wino_job {
    int side; /* outputs of a tile: 4 or, forward alone, 2 */
    int64_t images, height, width, in_channels;
    const float *x;
    int64_t before[2];
    int64_t rows, columns, out_channels; /* of y before a pool */
    float *y;
    uint8_t *winner;
    const float *weight; /* [o, c, 3, 3], or turned: w[o,c,a,b] = weight[c, o, 2 - a, 2 - b] */
    bool turned;
    const float *bias; /* or NULL */
    bool relu;
    uint8_t *bad; /* [images] set to 1 where a result is not finite, else to 0 */
} fa_wino_job;

size_t FA_ISA(fa_wino_scratch)(const fa_wino_job *job);
void FA_ISA(fa_wino_run)(const fa_wino_job *job, void *scratch);
/* Runs `direct` on the images of in[0], out[0] and out[1] that are marked. */
void FA_ISA(fa_wino_redo)(const fa_kernel_args *args, const uint8_t *bad, fa_kernel direct);

/* dw[o, c, 3, 3] of the job's convolution, whose x, shapes and `before` are read, from g [images, rows, columns, o]. At
 * least one tile. False where a result is not finite: dw is then to be computed by direct sums. */
size_t FA_ISA(fa_wino_weight_grad_scratch)(const fa_wino_job *job);
bool FA_ISA(fa_wino_weight_grad)(const fa_wino_job *job, const float *g, float *dw, void *scratch);

/* Pixels of the 6x6 patch of tile (i, j): where they lie, `zeros` for those outside of x. */
FA_INLINE void fa_wino_patch(const fa_wino_job *job, int64_t image, int64_t i, int64_t j, const float *zeros,
                             const float *pixel[FA_WINO_PRODUCTS])
{
    const int64_t top = i * FA_WINO_OUT - job->before[0], left = j * FA_WINO_OUT - job->before[1];
    for (int r = 0; r < FA_WINO_IN; r++)
        for (int s = 0; s < FA_WINO_IN; s++) {
            const int64_t row = top + r, column = left + s;
            const bool inside = row >= 0 && row < job->height && column >= 0 && column < job->width;
            pixel[r * FA_WINO_IN + s] =
                inside ? job->x + ((image * job->height + row) * job->width + column) * job->in_channels : zeros;
        }
}

/* Pixels of an image that a later piece of work needs, row by row: asked for while this one multiplies, so that neither
 * waits for the other. */
FA_INLINE void fa_wino_prefetch(const float *from, int64_t floats, const bool write)
{
    enum { LINE = 16 };
    for (int64_t at = 0; at < floats; at += LINE) {
        if (write)
            fa_prefetch_write(from + at);
        else
            fa_prefetch(from + at);
    }
}

/* Row r < side of the outputs of tile `tile`, [height, width, channels] an image, moved up and left by `before`. */
FA_INLINE void fa_wino_prefetch_row(const float *images, int64_t height, int64_t width, int64_t channels, int64_t side,
                                    const int64_t before[2], int64_t tile_rows, int64_t tile_columns, int64_t tile,
                                    int64_t r, const bool write)
{
    const int64_t at = tile % (tile_rows * tile_columns), image = tile / (tile_rows * tile_columns);
    const int64_t row = at / tile_columns * side + r - before[0], left = at % tile_columns * side - before[1];
    const int64_t first = fa_max64(0, left), end = fa_min64(width, left + side);
    if (row >= 0 && row < height && first < end)
        fa_wino_prefetch(images + ((image * height + row) * width + first) * channels, (end - first) * channels, write);
}

/* Bt d B of n channels from c on, product k to `to + k * step`. Whole vectors are written. */
FA_INLINE void fa_wino_input_tile(const float *const pixel[FA_WINO_PRODUCTS], int64_t c, int64_t n, float *to,
                                  int64_t step)
{
    fv half[FA_WINO_PRODUCTS];
    for (int s = 0; s < FA_WINO_IN; s++) {
        fv d[6], t[6];
        FA_UNROLL
        for (int r = 0; r < FA_WINO_IN; r++)
            d[r] = n >= FV_LANES ? fv_load(pixel[r * FA_WINO_IN + s] + c) : fv_load_n(pixel[r * FA_WINO_IN + s] + c, n);
        fa_wino_input(d, t);
        FA_UNROLL
        for (int r = 0; r < FA_WINO_IN; r++)
            half[r * FA_WINO_IN + s] = t[r];
    }
    for (int r = 0; r < FA_WINO_IN; r++) {
        fv t[6];
        fa_wino_input(half + r * FA_WINO_IN, t);
        FA_UNROLL
        for (int s = 0; s < FA_WINO_IN; s++)
            fv_store(to + (r * FA_WINO_IN + s) * step, t[s]);
    }
}

#endif
