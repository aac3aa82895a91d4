/* avg_pool2d and its gradient.
 *
 *     y[n,c,i,j] = (sum over a, b of x[n, c, i*s + a - p, j*s + b - p]) / divisor
 *
 * with zeros outside x. The divisor is divisor_override, else the number of the window's elements: those inside x and
 * its padding (count_include_pad) or those inside x. What hangs over the padding with ceil_mode never counts. */
#include "ops/kernel_types.h"
#include "ops/window.h"

#include <string.h>

fa_tensor *fa_avg_pool2d_at(const fa_pool2d_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, "avg_pool2d", "input");
    fa_pool2d_ints ints;
    if (!x || !fa_pool2d_ints_from(args, x, "avg_pool2d", &ints))
        return NULL;
    if (ints.dilation[0] != 1 || ints.dilation[1] != 1) {
        fa_refuse(FA_VALUE_ERROR, "avg_pool2d", "got dilation %lld x %lld, needs none. Hint: fa_max_pool2d has one.",
                  (long long)ints.dilation[0], (long long)ints.dilation[1]);
        return NULL;
    }
    if (args->indices) {
        fa_refuse(FA_VALUE_ERROR, "avg_pool2d",
                  "got indices, needs none: an average has no place. Hint: fa_max_pool2d has them.");
        return NULL;
    }
    if (args->divisor_override == 0) {
        fa_refuse(FA_VALUE_ERROR, "avg_pool2d",
                  "got divisor_override 0, needs a number to divide by. Hint: leave it out for the window's size.");
        return NULL;
    }
    ints.divisor_override = args->divisor_override == FA_NONE ? 0 : args->divisor_override;
    return fa_handle(fa_window_record(FA_OP_avg_pool2d, x, 0, NULL, FA_INTS(ints)));
}

static void avg_pool2d_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (!fa_wants_grad(node, 0))
        return;
    fa_pool2d_ints ints = *(const fa_pool2d_ints *)node->ints;
    memcpy(ints.input_shape, node->in[0]->meta.shape, sizeof ints.input_shape);
    grad_in[0] = fa_record(FA_OP_avg_pool2d_grad, 1, &grad, FA_INTS(ints), NULL, 0);
}

static bool grad_infer(fa_node *node)
{
    return fa_window_set_meta(node, ((const fa_pool2d_ints *)node->ints)->input_shape);
}

/* The gradient is linear; its own is the pool again. */
static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_pool2d_ints ints = *(const fa_pool2d_ints *)node->ints;
    memset(ints.input_shape, 0, sizeof ints.input_shape);
    grad_in[0] = fa_record(FA_OP_avg_pool2d, 1, &grad, FA_INTS(ints), NULL, 0);
}

/* Along one axis, the part of a window inside x, [begin, end), and its length inside x and the padding. */
typedef struct range {
    int64_t begin, end, with_padding;
} range;

static range range_of(const fa_pool2d_ints *ints, int axis, int64_t i, int64_t size)
{
    const int64_t begin = i * ints->stride[axis] - ints->padding[axis];
    int64_t end = begin + ints->kernel[axis];
    if (end > size + ints->padding[axis])
        end = size + ints->padding[axis];
    return (range){begin > 0 ? begin : 0, end < size ? end : size, end - begin};
}

static double divisor_of(const fa_pool2d_ints *ints, range rows, range columns)
{
    if (ints->divisor_override != 0)
        return (double)ints->divisor_override;
    if (ints->count_include_pad)
        return (double)(rows.with_padding * columns.with_padding);
    return (double)((rows.end - rows.begin) * (columns.end - columns.begin));
}

#define DEFINE_AVG_POOL2D(T)                                                                                           \
    static void avg_pool2d_##T(const fa_kernel_args *args)                                                             \
    {                                                                                                                  \
        const fa_pool2d_ints *ints = (const void *)args->ints;                                                         \
        const int64_t *in = args->in_meta[0]->shape, *out = args->out_meta[0]->shape;                                  \
        const T *x = args->in[0];                                                                                      \
        T *y = args->out[0];                                                                                           \
        for (int64_t plane = 0; plane < in[0] * in[1]; plane++, x += in[2] * in[3])                                    \
            for (int64_t i = 0; i < out[2]; i++)                                                                       \
                for (int64_t j = 0; j < out[3]; j++) {                                                                 \
                    const range rows = range_of(ints, 0, i, in[2]), columns = range_of(ints, 1, j, in[3]);             \
                    double sum = 0;                                                                                    \
                    for (int64_t h = rows.begin; h < rows.end; h++)                                                    \
                        for (int64_t w = columns.begin; w < columns.end; w++)                                          \
                            sum += (double)x[h * in[3] + w];                                                           \
                    *y++ = (T)(sum / divisor_of(ints, rows, columns));                                                 \
                }                                                                                                      \
    }

#define DEFINE_AVG_POOL2D_GRAD(T)                                                                                      \
    static void avg_pool2d_grad_##T(const fa_kernel_args *args)                                                        \
    {                                                                                                                  \
        const fa_pool2d_ints *ints = (const void *)args->ints;                                                         \
        const int64_t *in = args->out_meta[0]->shape, *out = args->in_meta[0]->shape;                                  \
        const T *g = args->in[0];                                                                                      \
        T *dx = args->out[0];                                                                                          \
        memset(dx, 0, (size_t)fa_meta_numel(args->out_meta[0]) * sizeof *dx);                                          \
        for (int64_t plane = 0; plane < in[0] * in[1]; plane++, dx += in[2] * in[3])                                   \
            for (int64_t i = 0; i < out[2]; i++)                                                                       \
                for (int64_t j = 0; j < out[3]; j++, g++) {                                                            \
                    const range rows = range_of(ints, 0, i, in[2]), columns = range_of(ints, 1, j, in[3]);             \
                    const T share = *g / (T)divisor_of(ints, rows, columns);                                           \
                    for (int64_t h = rows.begin; h < rows.end; h++)                                                    \
                        for (int64_t w = columns.begin; w < columns.end; w++)                                          \
                            dx[h * in[3] + w] += share;                                                                \
                }                                                                                                      \
    }

DEFINE_AVG_POOL2D(float)
DEFINE_AVG_POOL2D(double)
DEFINE_AVG_POOL2D_GRAD(float)
DEFINE_AVG_POOL2D_GRAD(double)

static void avg_pool2d_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->out_meta[0]->dtype, avg_pool2d, args);
}

static void avg_pool2d_grad_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->out_meta[0]->dtype, avg_pool2d_grad, args);
}

/* inputs: x */
const fa_op_def fa_op_avg_pool2d = {
    .name = "avg_pool2d",
    .grad_name = "AvgPool2DBackward0",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0,
    .infer = fa_pool2d_infer,
    .gradient = avg_pool2d_gradient,
    .reference = avg_pool2d_reference,
    .flops = fa_pool2d_flops,
};

/* inputs: g */
const fa_op_def fa_op_avg_pool2d_grad = {
    .name = "avg_pool2d_grad",
    .grad_name = "AvgPool2DBackwardBackward0",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0,
    .infer = grad_infer,
    .gradient = grad_gradient,
    .reference = avg_pool2d_grad_reference,
    .flops = fa_pool2d_grad_flops,
};
