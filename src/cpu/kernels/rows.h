/* The rows of a row-major tensor along a dimension after which nothing follows: `count` rows of `length` floats. */
#ifndef FA_CPU_KERNELS_ROWS_H
#define FA_CPU_KERNELS_ROWS_H

#include "cpu/kernels/wide.h"

typedef struct fa_row_shape {
    int64_t count, length, step; /* step 1, or these are no rows */
} fa_row_shape;

FA_INLINE fa_row_shape fa_row_shape_of(const fa_meta *meta, int64_t dim)
{
    fa_row_shape rows = {1, 1, 1};
    for (int d = 0; d < meta->ndim; d++) {
        if (d == dim)
            rows.length = meta->shape[d];
        else
            rows.count *= meta->shape[d];
        if (d > dim)
            rows.step *= meta->shape[d];
    }
    return rows;
}

/* Rows to a task: some 16384 floats; all of them where that is little more. */
FA_INLINE int64_t fa_row_grain(fa_row_shape rows)
{
    return rows.count * rows.length <= 32768 ? rows.count : fa_max64(1, 16384 / fa_max64(1, rows.length));
}

/* One row of log_softmax and of its gradient, n floats (softmax.c). */
void FA_ISA(fa_log_softmax_row)(const float *x, float *y, int64_t n);
void FA_ISA(fa_log_softmax_grad_row)(const float *g, const float *y, float *dx, int64_t n);

/* e^x within 1 ulp; below the smallest normal number 0. x = k ln 2 + r with |r| <= ln 2 / 2, then the series of e^r,
 * whose rest after r^7 is less than a tenth of an ulp. */
FA_INLINE fv fv_exp(fv x)
{
    const fv bounded = fv_min(fv_max(x, fv_set1(-87.5f)), fv_set1(89.0f));
    const fi k = fi_round(bounded * fv_set1(1.44269504f));
    const fv exponent = fv_from_int(k);
    fv r = fv_fma(exponent, fv_set1(-0x1.62e4p-1f), bounded); /* ln 2 in two parts, the first with room for k */
    r = fv_fma(exponent, fv_set1(-0x1.7f7d1cp-20f), r);
    fv series = fv_set1(1.0f / 5040);
    const float factor[] = {1.0f / 720, 1.0f / 120, 1.0f / 24, 1.0f / 6, 0.5f, 1.0f, 1.0f};
    FA_UNROLL
    for (int i = 0; i < 7; i++)
        series = fv_fma(series, r, fv_set1(factor[i]));
    /* 2^k as 2 * 2^(k-1): k reaches 128, one more than an exponent holds. */
    const fv power = fv_from_bits(fi_shift_left(fi_add(k, fi_set1(126)), 23));
    const fv result = fv_select(fv_gt(fv_set1(-87.33654f), x), fv_zero(), series * power * fv_set1(2.0f));
    return fv_select(fv_isnan(x), x, result);
}

#endif
