/* upsample_bilinear2d and its gradient.
 *
 *     y[n,c,i,j] = (1-u)(1-v) x[h,w] + (1-u)v x[h,w'] + u(1-v) x[h',w] + uv x[h',w'],  h' = min(h+1, H-1)
 *
 * with h + u the place of row i in the input: i * (H-1)/(output-1) with align_corners (0 for an output of 1), else
 * max(0, (i + 1/2) * r - 1/2), r = 1/factor if a factor was given, else H/output; worked out in the images' type. w + v
 * likewise. The gradient gives each of the four its share. */
#include "ops/upsample.h"

#include <string.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_upsample_record(FA_OP_upsample_bilinear2d_grad, node, grad);
}

static const char *grad_label(const fa_node *node)
{
    return ((const fa_upsample_ints *)node->ints)->lines ? "UpsampleLinear1DBackward0" : "UpsampleBilinear2DBackward0";
}

static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_upsample_record(FA_OP_upsample_bilinear2d, node, grad);
}

#define DEFINE_PLACE(T)                                                                                                \
    typedef struct place_##T {                                                                                         \
        int64_t first, second;                                                                                         \
        T share; /* of the second */                                                                                   \
    } place_##T;                                                                                                       \
    static place_##T place_of_##T(const fa_kernel_args *args, int axis, int64_t i, int64_t size)                       \
    {                                                                                                                  \
        const fa_upsample_ints *ints = (const void *)args->ints;                                                       \
        const double factor = args->floats[axis];                                                                      \
        const int64_t outputs = ints->output[axis];                                                                    \
        if (size == outputs)                                                                                           \
            return (place_##T){i, i, 0};                                                                               \
        T at;                                                                                                          \
        if (ints->option) {                                                                                            \
            at = outputs > 1 ? (T)i * ((T)(size - 1) / (T)(outputs - 1)) : 0;                                          \
        } else {                                                                                                       \
            const T ratio = factor > 0 ? (T)(1 / factor) : (T)size / (T)outputs;                                       \
            at = ((T)i + (T)0.5) * ratio - (T)0.5;                                                                     \
            at = at < 0 ? 0 : at;                                                                                      \
        }                                                                                                              \
        int64_t first = (int64_t)at;                                                                                   \
        first = first < size ? first : size - 1;                                                                       \
        T share = at - (T)first;                                                                                       \
        return (place_##T){first, first + (first < size - 1), share > 1 ? 1 : share};                                  \
    }
DEFINE_PLACE(float)
DEFINE_PLACE(double)

#define EACH_PIXEL(T, plane_of, DO)                                                                                    \
    for (int64_t plane = 0; plane < in[0] * in[1]; plane++, (plane_of) += in[2] * in[3])                               \
        for (int64_t i = 0; i < out[2]; i++) {                                                                         \
            const place_##T row = place_of_##T(args, 0, i, in[2]);                                                     \
            for (int64_t j = 0; j < out[3]; j++) {                                                                     \
                const place_##T column = place_of_##T(args, 1, j, in[3]);                                              \
                const int64_t top = row.first * in[3], low = row.second * in[3];                                       \
                const T u = row.share, v = column.share;                                                               \
                DO                                                                                                     \
            }                                                                                                          \
        }

#define MIX(T)                                                                                                         \
    {                                                                                                                  \
        const T *x = args->in[0];                                                                                      \
        T *y = args->out[0];                                                                                           \
        EACH_PIXEL(T, x, {                                                                                             \
            const T above = (1 - v) * x[top + column.first] + v * x[top + column.second];                              \
            const T below = (1 - v) * x[low + column.first] + v * x[low + column.second];                              \
            *y++ = (1 - u) * above + u * below;                                                                        \
        })                                                                                                             \
    }

#define SHARE(T)                                                                                                       \
    {                                                                                                                  \
        const T *g = args->in[0];                                                                                      \
        T *dx = args->out[0];                                                                                          \
        memset(dx, 0, (size_t)fa_meta_numel(args->out_meta[0]) * sizeof *dx);                                          \
        EACH_PIXEL(T, dx, {                                                                                            \
            dx[top + column.first] += (1 - u) * (1 - v) * *g;                                                          \
            dx[top + column.second] += (1 - u) * v * *g;                                                               \
            dx[low + column.first] += u * (1 - v) * *g;                                                                \
            dx[low + column.second] += u * v * *g++;                                                                   \
        })                                                                                                             \
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
const fa_op_def fa_op_upsample_bilinear2d = {
    .name = "interpolate",
    .grad_name = "UpsampleBilinear2DBackward0",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_upsample_infer,
    .gradient = gradient,
    .reference = reference,
};

/* inputs: g */
const fa_op_def fa_op_upsample_bilinear2d_grad = {
    .name = "upsample_bilinear2d_grad",
    .grad_name = "UpsampleBilinear2DBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_upsample_grad_infer,
    .gradient = grad_gradient,
    .reference = grad_reference,
};
