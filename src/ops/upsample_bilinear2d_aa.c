/* upsample_bilinear2d_aa and its gradient: the bilinear resize that looks at all pixels which shrink into one.
 *
 *     y[n,c,i,j] = sum over h, w of a(i,h) b(j,w) x[n,c,h,w]
 *
 * a(i,h) = max(0, 1 - |h + 1/2 - center| / s) for the pixels around center = r (i + 1/2), divided by their sum; r is
 * the ratio of upsample_bilinear2d, s = max(r, 1). b likewise. The gradient gives each pixel its share. */
#include "ops/upsample.h"

#include <math.h>
#include <string.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_upsample_record(FA_OP_upsample_bilinear2d_aa_grad, node, grad);
}

static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_upsample_record(FA_OP_upsample_bilinear2d_aa, node, grad);
}

/* The pixels begin .. end-1 that pixel i of the output is made of. */
#define DEFINE_WINDOW(T)                                                                                               \
    typedef struct window_##T {                                                                                        \
        int64_t begin, end;                                                                                            \
        T center, spread, total;                                                                                       \
    } window_##T;                                                                                                      \
    static T weight_##T(const window_##T *window, int64_t at)                                                          \
    {                                                                                                                  \
        const T away = ((T)at - window->center + (T)0.5) / window->spread;                                             \
        const T weight = 1 - (away < 0 ? -away : away);                                                                \
        return weight > 0 ? weight : 0;                                                                                \
    }                                                                                                                  \
    static window_##T window_of_##T(const fa_kernel_args *args, int axis, int64_t i, int64_t size)                     \
    {                                                                                                                  \
        const fa_upsample_ints *ints = (const void *)args->ints;                                                       \
        const double factor = args->floats[axis];                                                                      \
        const int64_t outputs = ints->output[axis];                                                                    \
        T ratio = factor > 0 ? (T)(1 / factor) : (T)size / (T)outputs;                                                 \
        if (ints->option)                                                                                              \
            ratio = outputs > 1 ? (T)(size - 1) / (T)(outputs - 1) : 0;                                                \
        if (outputs == size)                                                                                           \
            ratio = 1;                                                                                                 \
        window_##T window = {.center = ratio * ((T)i + (T)0.5), .spread = ratio > 1 ? ratio : 1};                      \
        window.begin = (int64_t)(window.center - window.spread + (T)0.5);                                              \
        window.end = (int64_t)(window.center + window.spread + (T)0.5);                                                \
        window.begin = window.begin > 0 ? window.begin : 0;                                                            \
        window.end = window.end < size ? window.end : size;                                                            \
        for (int64_t at = window.begin; at < window.end; at++)                                                         \
            window.total += weight_##T(&window, at);                                                                   \
        return window;                                                                                                 \
    }
DEFINE_WINDOW(float)
DEFINE_WINDOW(double)

/* BEGIN, then DO for each pixel (h, w) of the window of pixel (i, j) with its weight, then END. */
#define EACH_PIXEL(T, plane_of, BEGIN, DO, END)                                                                        \
    for (int64_t plane = 0; plane < in[0] * in[1]; plane++, (plane_of) += in[2] * in[3])                               \
        for (int64_t i = 0; i < out[2]; i++) {                                                                         \
            const window_##T rows = window_of_##T(args, 0, i, in[2]);                                                  \
            for (int64_t j = 0; j < out[3]; j++) {                                                                     \
                const window_##T columns = window_of_##T(args, 1, j, in[3]);                                           \
                BEGIN;                                                                                                 \
                for (int64_t h = rows.begin; h < rows.end; h++) {                                                      \
                    const T row_weight = weight_##T(&rows, h) / rows.total;                                            \
                    for (int64_t w = columns.begin; w < columns.end; w++) {                                            \
                        const T weight = row_weight * (weight_##T(&columns, w) / columns.total);                       \
                        DO;                                                                                            \
                    }                                                                                                  \
                }                                                                                                      \
                END;                                                                                                   \
            }                                                                                                          \
        }

#define MIX(T)                                                                                                         \
    {                                                                                                                  \
        const T *x = args->in[0];                                                                                      \
        T *y = args->out[0];                                                                                           \
        EACH_PIXEL(T, x, double sum = 0, sum += (double)weight * (double)x[h * in[3] + w], *y++ = (T)sum)              \
    }

#define SHARE(T)                                                                                                       \
    {                                                                                                                  \
        const T *g = args->in[0];                                                                                      \
        T *dx = args->out[0];                                                                                          \
        memset(dx, 0, (size_t)fa_meta_numel(args->out_meta[0]) * sizeof *dx);                                          \
        EACH_PIXEL(T, dx, const T slope = *g++, dx[h * in[3] + w] += weight * slope, )                                 \
    }

static void reference(const fa_kernel_args *args)
{
    const int64_t *in = args->in_meta[0]->shape, *out = args->out_meta[0]->shape;
    FA_FOR_FLOATS(args->out_meta[0]->dtype, MIX);
}

static void grad_reference(const fa_kernel_args *args)
{
    const int64_t *in = args->out_meta[0]->shape, *out = args->in_meta[0]->shape;
    FA_FOR_FLOATS(args->out_meta[0]->dtype, SHARE);
}

/* inputs: x */
const fa_op_def fa_op_upsample_bilinear2d_aa = {
    .name = "interpolate",
    .grad_name = "UpsampleBilinear2DAaBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_upsample_infer,
    .gradient = gradient,
    .reference = reference,
};

/* inputs: g */
const fa_op_def fa_op_upsample_bilinear2d_aa_grad = {
    .name = "upsample_bilinear2d_aa_grad",
    .grad_name = "UpsampleBilinear2DAaBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_upsample_grad_infer,
    .gradient = grad_gradient,
    .reference = grad_reference,
};
