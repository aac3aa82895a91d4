/* Direct convolution on channels-last images, the part that forward and the input's gradient share: sums over a list of
 * runs at each position of a lattice. */
#ifndef FA_CPU_KERNELS_CONV_H
#define FA_CPU_KERNELS_CONV_H

#include "cpu/kernels/common.h"

/* y[n,i,j,o] = sum over runs r and k < run_length of x[n*x_image + i*x_row + j*x_column + runs[r] + k] * w[r,k,o],
 * plus bias[o], relu; for each group of channels. Steps count floats. */
typedef struct fa_conv_job {
    int64_t images, rows, columns; /* the lattice; with `winner` its pool windows */
    const float *x;
    int64_t x_image, x_row, x_column;
    float *y;
    int64_t y_image, y_row, y_column;
    uint8_t *winner;     /* not NULL: relu and 2x2 max-pool; y and winner are the pooled planes */
    const int64_t *runs; /* [run_count] */
    int64_t run_count, run_length;
    const float *w;                            /* packed by fa_conv_panel_at */
    int64_t groups, in_channels, out_channels; /* channels of one group */
    const float *bias;                         /* [groups * out_channels] or NULL */
    bool relu;
} fa_conv_job;

void FA_ISA(fa_conv_run)(const fa_conv_job *job);

/* Whether a forward pass, without a pool, is taken by conv_small.c or conv2d_depthwise.c, which have no pool. */
bool FA_ISA(fa_conv_small_supports)(const fa_kernel_args *args);
bool FA_ISA(fa_conv_depthwise_supports)(const fa_kernel_args *args);

/* The taps of a job in the order of its weights, and the image without padding: output (i, j) reads x[i*row_step +
 * row[t], j*column_step + column[t]] where that lies inside. */
typedef struct fa_conv_taps {
    const float *x; /* [images, height, width, channels] */
    int64_t height, width, channels;
    int64_t count, row_step, column_step;
    const int64_t *row, *column; /* [count] */
} fa_conv_taps;
void FA_ISA(fa_conv_redo_border)(const fa_conv_job *job, const fa_conv_taps *taps);

/* Floats of packed weights: for each group and panel of output channels, w[depth][panel's columns, whole vectors]. */
FA_INLINE int64_t fa_conv_packed_size(int64_t groups, int64_t depth, int64_t out_channels)
{
    return groups * depth * fa_round_up(out_channels, FV_LANES);
}

/* padded[n, i, j, c] = x[n, i - before[0], j - before[1], c], zero outside of x; `before` may be negative. */
typedef struct fa_conv_padding {
    const float *x;
    int64_t images, height, width, channels;
    int64_t before[2], padded_height, padded_width;
    float *padded;
} fa_conv_padding;

void FA_ISA(fa_conv_pad)(const fa_conv_padding *padding);

/* Whether a padded copy of one image [height, width, channels] stays within some multiple of what the call itself holds
 * (out: floats of one image of the result); the reference kernel takes the calls for which it does not. */
bool FA_ISA(fa_conv_padding_is_small)(const fa_conv_padding *padding, int64_t out);

#endif
