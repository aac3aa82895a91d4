/* upsample_nearest2d and its gradient.
 *
 *     y[n,c,i,j] = x[n,c,h,w],  h = floor(i * r) (exact: floor((i + 1/2) * r)), at most H - 1
 *
 * where r is 1/factor if a factor was given, else H divided by the output's height, in float32 whatever the images'
 * type. An output of H rows, or of 2H, shows each row once, or twice, whatever the factor (not in the exact mode). w
 * likewise. The gradient sums what each pixel was copied to. */
#include "ops/upsample.h"

#include <string.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_upsample_record(FA_OP_upsample_nearest2d_grad, node, grad);
}

static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_upsample_record(FA_OP_upsample_nearest2d, node, grad);
}

static const char *grad_label(const fa_node *node)
{
    const fa_upsample_ints *ints = (const fa_upsample_ints *)node->ints;
    if (ints->lines)
        return ints->option ? "UpsampleNearestExact1DBackward0" : "UpsampleNearest1DBackward0";
    return ints->option ? "UpsampleNearestExact2DBackward0" : "UpsampleNearest2DBackward0";
}

/* The pixel that pixel i of the output shows. */
static int64_t source(const fa_kernel_args *args, int axis, int64_t i, int64_t size)
{
    const fa_upsample_ints *ints = (const void *)args->ints;
    const int64_t outputs = ints->output[axis];
    const double factor = args->floats[axis];
    if (!ints->option && outputs == size)
        return i;
    if (!ints->option && outputs == 2 * size)
        return i / 2;
    const float ratio = factor > 0 ? (float)(1 / factor) : (float)size / (float)outputs;
    const float at = ((float)i + (ints->option ? 0.5f : 0)) * ratio;
    return at < (float)size ? (int64_t)at : size - 1;
}

#define COPY(T)                                                                                                        \
    {                                                                                                                  \
        const T *x = args->in[0];                                                                                      \
        T *y = args->out[0];                                                                                           \
        for (int64_t plane = 0; plane < in[0] * in[1]; plane++, x += in[2] * in[3])                                    \
            for (int64_t i = 0; i < out[2]; i++) {                                                                     \
                const T *row = x + source(args, 0, i, in[2]) * in[3];                                                  \
                for (int64_t j = 0; j < out[3]; j++)                                                                   \
                    *y++ = row[source(args, 1, j, in[3])];                                                             \
            }                                                                                                          \
    }

#define SUM(T)                                                                                                         \
    {                                                                                                                  \
        const T *g = args->in[0];                                                                                      \
        T *dx = args->out[0];                                                                                          \
        memset(dx, 0, (size_t)fa_meta_numel(args->out_meta[0]) * sizeof *dx);                                          \
        for (int64_t plane = 0; plane < in[0] * in[1]; plane++, dx += in[2] * in[3])                                   \
            for (int64_t i = 0; i < out[2]; i++) {                                                                     \
                T *row = dx + source(args, 0, i, in[2]) * in[3];                                                       \
                for (int64_t j = 0; j < out[3]; j++)                                                                   \
                    row[source(args, 1, j, in[3])] += *g++;                                                            \
            }                                                                                                          \
    }

static void reference(const fa_kernel_args *args)
{
    const int64_t *in = args->in_meta[0]->shape, *out = args->out_meta[0]->shape;
    if (args->out_meta[0]->dtype == FA_DT_UINT8)
        COPY(uint8_t)
    else
        FA_FOR_FLOATS(args->out_meta[0]->dtype, COPY);
}

static void grad_reference(const fa_kernel_args *args)
{
    const int64_t *in = args->out_meta[0]->shape, *out = args->in_meta[0]->shape;
    FA_FOR_FLOATS(args->out_meta[0]->dtype, SUM);
}

/* inputs: x */
const fa_op_def fa_op_upsample_nearest2d = {
    .name = "interpolate",
    .grad_name = "UpsampleNearest2DBackward0",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_upsample_infer,
    .gradient = gradient,
    .reference = reference,
};

/* inputs: g */
const fa_op_def fa_op_upsample_nearest2d_grad = {
    .name = "upsample_nearest2d_grad",
    .grad_name = "UpsampleNearest2DBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_upsample_grad_infer,
    .gradient = grad_gradient,
    .reference = grad_reference,
};
