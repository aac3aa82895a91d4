/* What batch norm's forward and backward kernels share. Channels last; M = N*H*W positions of C channels, cut into
 * pieces by M alone, whose sums are added in order. */
#ifndef FA_CPU_KERNELS_BATCH_NORM_H
#define FA_CPU_KERNELS_BATCH_NORM_H

#include "cpu/kernels/column_sums.h"

#include <math.h>

typedef struct fa_norm {
    int64_t channels;
    fa_pieces pieces; /* of the positions */
} fa_norm;

/* Of a kernel whose input `image` is an image. */
FA_INLINE fa_norm fa_norm_of(const fa_kernel_args *args, int image)
{
    const fa_meta *meta = args->in_meta[image];
    return (fa_norm){meta->shape[1], fa_pieces_of(meta->shape[0] * meta->shape[2] * meta->shape[3])};
}

FA_INLINE void fa_norm_run(const fa_norm *norm, fa_task task, void *context)
{
    fa_run_tasks(norm->pieces.count, task, context, (double)norm->pieces.rows * (double)norm->channels);
}

/* First position of a piece; *rows: how many it has. */
FA_INLINE int64_t fa_norm_begin(const fa_norm *norm, int64_t piece, int64_t *rows)
{
    const int64_t begin = piece * norm->pieces.piece;
    *rows = fa_min64(norm->pieces.piece, norm->pieces.rows - begin);
    return begin;
}

/* Sums [pieces, 2, channels in whole vectors]: those of a piece lie in the first cache while positions are read in the
 * order in which they lie, which is what memory is fastest at. */
FA_INLINE int64_t fa_norm_sums_size(const fa_norm *norm)
{
    return 2 * fa_round_up(norm->channels, FV_LANES);
}

FA_INLINE size_t fa_norm_sums_bytes(const fa_norm *norm)
{
    return (size_t)(norm->pieces.count * fa_norm_sums_size(norm)) * sizeof(double);
}

FA_INLINE double fa_norm_total(const fa_norm *norm, const double *sums, int which, int64_t channel)
{
    const int64_t size = fa_norm_sums_size(norm);
    double sum = 0;
    for (int64_t piece = 0; piece < norm->pieces.count; piece++)
        sum += sums[piece * size + which * size / 2 + channel];
    return sum;
}

/* 1/sqrt(var + eps), rounded as the ops say: of a batch's v in double, of a running variance in float. */
FA_INLINE float fa_norm_batch_invstd(float v, int64_t values, double eps)
{
    const float var = v / (float)values;
    return (float)(1 / sqrt((double)var + eps));
}

FA_INLINE float fa_norm_running_invstd(float var, double eps)
{
    return 1 / sqrtf(var + (float)eps);
}

/* The line x*alpha + beta of a channel; weight and bias may be NULL. */
FA_INLINE void fa_norm_line(float *alpha, float *beta, float mean, float invstd, const float *weight, const float *bias,
                            int64_t channel)
{
    *alpha = weight ? invstd * weight[channel] : invstd;
    *beta = fmaf(-mean, *alpha, bias ? bias[channel] : 0.0f);
}

#endif
