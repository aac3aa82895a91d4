/* adaptive_avg_pool2d and its gradient.
 *
 *     y[n,c,i,j] = mean of x[n,c,h,w] over window (i, j)
 *
 * The gradient gives each pixel of a window the same share; windows may overlap. It is linear: its own gradient is the
 * pool again. */
#include "ops/adaptive_pool.h"

#include <string.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const fa_adaptive_ints ints = fa_adaptive_grad_ints(node);
    grad_in[0] = fa_record(FA_OP_adaptive_avg_pool2d_grad, 1, &grad, FA_INTS(ints), NULL, 0);
}

static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const fa_adaptive_ints *ints = (const fa_adaptive_ints *)node->ints;
    grad_in[0] = fa_record(FA_OP_adaptive_avg_pool2d, 1, &grad, ints, sizeof *ints, NULL, 0);
}

/* One number a channel is a mean, and prints as one. */
static const char *grad_label(const fa_node *node)
{
    const fa_adaptive_ints *ints = (const fa_adaptive_ints *)node->ints;
    return ints->output[0] == 1 && ints->output[1] == 1 ? "MeanBackward1" : "AdaptiveAvgPool2DBackward0";
}

#define AVERAGE(T)                                                                                                     \
    {                                                                                                                  \
        const int64_t *in = args->in_meta[0]->shape, *out = args->out_meta[0]->shape;                                  \
        const T *x = args->in[0];                                                                                      \
        T *y = args->out[0];                                                                                           \
        for (int64_t plane = 0; plane < in[0] * in[1]; plane++, x += in[2] * in[3])                                    \
            for (int64_t i = 0; i < out[2]; i++)                                                                       \
                for (int64_t j = 0; j < out[3]; j++) {                                                                 \
                    const fa_adaptive_range rows = fa_adaptive_window(i, in[2], out[2]);                               \
                    const fa_adaptive_range columns = fa_adaptive_window(j, in[3], out[3]);                            \
                    double sum = 0;                                                                                    \
                    for (int64_t h = rows.begin; h < rows.end; h++)                                                    \
                        for (int64_t w = columns.begin; w < columns.end; w++)                                          \
                            sum += (double)x[h * in[3] + w];                                                           \
                    *y++ = (T)(sum / (double)((rows.end - rows.begin) * (columns.end - columns.begin)));               \
                }                                                                                                      \
    }

#define AVERAGE_GRAD(T)                                                                                                \
    {                                                                                                                  \
        const int64_t *in = args->out_meta[0]->shape, *out = args->in_meta[0]->shape;                                  \
        const T *g = args->in[0];                                                                                      \
        T *dx = args->out[0];                                                                                          \
        memset(dx, 0, (size_t)fa_meta_numel(args->out_meta[0]) * sizeof *dx);                                          \
        for (int64_t plane = 0; plane < in[0] * in[1]; plane++, dx += in[2] * in[3])                                   \
            for (int64_t i = 0; i < out[2]; i++)                                                                       \
                for (int64_t j = 0; j < out[3]; j++, g++) {                                                            \
                    const fa_adaptive_range rows = fa_adaptive_window(i, in[2], out[2]);                               \
                    const fa_adaptive_range columns = fa_adaptive_window(j, in[3], out[3]);                            \
                    const T share = *g / (T)((rows.end - rows.begin) * (columns.end - columns.begin));                 \
                    for (int64_t h = rows.begin; h < rows.end; h++)                                                    \
                        for (int64_t w = columns.begin; w < columns.end; w++)                                          \
                            dx[h * in[3] + w] += share;                                                                \
                }                                                                                                      \
    }

static void reference(const fa_kernel_args *args)
{
    FA_FOR_FLOATS(args->out_meta[0]->dtype, AVERAGE);
}

static void grad_reference(const fa_kernel_args *args)
{
    FA_FOR_FLOATS(args->out_meta[0]->dtype, AVERAGE_GRAD);
}

static double flops(const fa_kernel_args *args)
{
    return (double)fa_meta_numel(args->in_meta[0]);
}

/* inputs: x */
const fa_op_def fa_op_adaptive_avg_pool2d = {
    .name = "adaptive_avg_pool2d",
    .grad_name = "AdaptiveAvgPool2DBackward0",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0,
    .infer = fa_adaptive_infer,
    .gradient = gradient,
    .reference = reference,
    .flops = flops,
};

/* inputs: g */
const fa_op_def fa_op_adaptive_avg_pool2d_grad = {
    .name = "adaptive_avg_pool2d_grad",
    .grad_name = "AdaptiveAvgPool2DBackward0",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0,
    .infer = fa_adaptive_grad_infer,
    .gradient = grad_gradient,
    .reference = grad_reference,
};

fa_tensor *fa_adaptive_avg_pool2d_at(const fa_adaptive_pool2d_args *args)
{
    if (args->indices) {
        fa_begin(args->where_);
        fa_refuse(FA_VALUE_ERROR, "adaptive_avg_pool2d",
                  "got indices, needs none: an average has no place. Hint: fa_adaptive_max_pool2d");
        return NULL;
    }
    return fa_adaptive_pool(FA_OP_adaptive_avg_pool2d, args, "adaptive_avg_pool2d");
}
