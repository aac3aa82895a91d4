/* Convolution of one channel with 3x3 taps side by side: see conv_nine.c. */
#ifndef FA_CPU_KERNELS_CONV_NINE_H
#define FA_CPU_KERNELS_CONV_NINE_H

#include <stdbool.h>
#include <stdint.h>

/* A stretch of outputs (or pool windows) of one row. */
typedef struct fa_nine_call {
    const float *x[4]; /* rows under the taps; the fourth is read with `winner` alone */
    float *y;          /* outputs y_step apart */
    uint8_t *winner;   /* NULL: no pool */
    int64_t y_step, count;
    const float *w; /* [9][w_step] */
    int64_t w_step;
    const float *bias; /* [columns] or NULL */
    int64_t columns;
    bool relu;
} fa_nine_call;

void FA_ISA(fa_conv_nine)(const fa_nine_call *call);

#endif
