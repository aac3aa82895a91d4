/* max_pool2d and its gradient.
 *
 *     y[n,c,i,j] = max over a, b of x[n, c, i*s + a*d - p, j*s + b*d - p]
 *
 * over the elements inside x. A window is scanned row by row; the first maximum wins a tie, and a NaN wins over
 * everything (the last one). The gradient goes to the winner, which is found again from x; the gradient of that is
 * max_pool2d_pick(h, x), the element of h in the winner's place. max_pool2d_index(x) is that place in the plane,
 * h*W + w, as int64. */
#include "ops/kernel_types.h"
#include "ops/window.h"

#include <math.h>
#include <string.h>

fa_tensor *fa_max_pool2d_at(const fa_pool2d_args *args)
{
    fa_begin(args->where_);
    if (args->indices)
        *args->indices = NULL;
    fa_node *x = fa_use(args->x, "max_pool2d", "input");
    fa_pool2d_ints ints;
    if (!x || !fa_pool2d_ints_from(args, x, "max_pool2d", &ints))
        return NULL;
    if (args->divisor_override != FA_NONE || !args->count_include_pad) {
        fa_refuse(FA_VALUE_ERROR, "max_pool2d",
                  "got %s, needs none: a maximum divides by nothing. Hint: fa_avg_pool2d.",
                  args->count_include_pad ? "divisor_override" : "count_include_pad = false");
        return NULL;
    }
    fa_tensor *y = fa_handle(fa_window_record(FA_OP_max_pool2d, x, 0, NULL, FA_INTS(ints)));
    if (y && args->indices)
        *args->indices = fa_handle(fa_window_record(FA_OP_max_pool2d_index, x, 0, NULL, FA_INTS(ints)));
    return y;
}

static void max_pool2d_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (!fa_wants_grad(node, 0))
        return;
    fa_pool2d_ints ints = *(const fa_pool2d_ints *)node->ints;
    memcpy(ints.input_shape, node->in[0]->meta.shape, sizeof ints.input_shape);
    grad_in[0] = fa_record(FA_OP_max_pool2d_grad, 2, (fa_node *[]){grad, node->in[0]}, FA_INTS(ints), NULL, 0);
}

static bool grad_infer(fa_node *node)
{
    return fa_window_set_meta(node, ((const fa_pool2d_ints *)node->ints)->input_shape);
}

/* Both are linear in their first input. */
static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_pool2d_ints ints = *(const fa_pool2d_ints *)node->ints;
    memset(ints.input_shape, 0, sizeof ints.input_shape);
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record(FA_OP_max_pool2d_pick, 2, (fa_node *[]){grad, node->in[1]}, FA_INTS(ints), NULL, 0);
}

static void pick_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_pool2d_ints ints = *(const fa_pool2d_ints *)node->ints;
    memcpy(ints.input_shape, node->in[0]->meta.shape, sizeof ints.input_shape);
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record(FA_OP_max_pool2d_grad, 2, (fa_node *[]){grad, node->in[1]}, FA_INTS(ints), NULL, 0);
}

/* Position in `plane` of the maximum of the window of y[i, j]; -1: a dilated window can lie in padding alone. */
#define DEFINE_WINNER(T)                                                                                               \
    static int64_t winner_##T(const T *plane, int64_t H, int64_t W, const fa_pool2d_ints *ints, int64_t i, int64_t j)  \
    {                                                                                                                  \
        int64_t best = -1;                                                                                             \
        for (int64_t a = 0; a < ints->kernel[0]; a++) {                                                                \
            const int64_t row = i * ints->stride[0] - ints->padding[0] + a * ints->dilation[0];                        \
            if (row < 0 || row >= H)                                                                                   \
                continue;                                                                                              \
            for (int64_t b = 0; b < ints->kernel[1]; b++) {                                                            \
                const int64_t column = j * ints->stride[1] - ints->padding[1] + b * ints->dilation[1];                 \
                if (column < 0 || column >= W)                                                                         \
                    continue;                                                                                          \
                const int64_t at = row * W + column;                                                                   \
                if (best < 0 || plane[at] > plane[best] || isnan(plane[at]))                                           \
                    best = at;                                                                                         \
            }                                                                                                          \
        }                                                                                                              \
        return best;                                                                                                   \
    }

#define DEFINE_MAX_POOL2D(T)                                                                                           \
    static void max_pool2d_##T(const fa_kernel_args *args)                                                             \
    {                                                                                                                  \
        const fa_pool2d_ints *ints = (const void *)args->ints;                                                         \
        const int64_t *in = args->in_meta[0]->shape, *out = args->out_meta[0]->shape;                                  \
        const T *x = args->in[0];                                                                                      \
        T *y = args->out[0];                                                                                           \
        for (int64_t plane = 0; plane < in[0] * in[1]; plane++, x += in[2] * in[3])                                    \
            for (int64_t i = 0; i < out[2]; i++)                                                                       \
                for (int64_t j = 0; j < out[3]; j++) {                                                                 \
                    const int64_t at = winner_##T(x, in[2], in[3], ints, i, j);                                        \
                    *y++ = at < 0 ? -(T)INFINITY : x[at];                                                              \
                }                                                                                                      \
    }

/* The first row or column of a window at or after the image's; beyond it for a window of padding alone. */
static int64_t first_inside(const fa_pool2d_ints *ints, int axis, int64_t i)
{
    int64_t at = i * ints->stride[axis] - ints->padding[axis];
    while (at < 0)
        at += ints->dilation[axis];
    return at;
}

#define DEFINE_MAX_POOL2D_INDEX(T)                                                                                     \
    static void max_pool2d_index_##T(const fa_kernel_args *args)                                                       \
    {                                                                                                                  \
        const fa_pool2d_ints *ints = (const void *)args->ints;                                                         \
        const int64_t *in = args->in_meta[0]->shape, *out = args->out_meta[0]->shape;                                  \
        const T *x = args->in[0];                                                                                      \
        int64_t *y = args->out[0];                                                                                     \
        for (int64_t plane = 0; plane < in[0] * in[1]; plane++, x += in[2] * in[3])                                    \
            for (int64_t i = 0; i < out[2]; i++)                                                                       \
                for (int64_t j = 0; j < out[3]; j++) {                                                                 \
                    const int64_t at = winner_##T(x, in[2], in[3], ints, i, j);                                        \
                    *y++ = at < 0 ? first_inside(ints, 0, i) * in[3] + first_inside(ints, 1, j) : at;                  \
                }                                                                                                      \
    }

#define DEFINE_MAX_POOL2D_GRAD(T)                                                                                      \
    static void max_pool2d_grad_##T(const fa_kernel_args *args)                                                        \
    {                                                                                                                  \
        const fa_pool2d_ints *ints = (const void *)args->ints;                                                         \
        const int64_t *in = args->in_meta[1]->shape, *out = args->in_meta[0]->shape;                                   \
        const T *g = args->in[0], *x = args->in[1];                                                                    \
        T *dx = args->out[0];                                                                                          \
        memset(dx, 0, (size_t)fa_meta_numel(args->out_meta[0]) * sizeof *dx);                                          \
        for (int64_t plane = 0; plane < in[0] * in[1]; plane++, x += in[2] * in[3], dx += in[2] * in[3])               \
            for (int64_t i = 0; i < out[2]; i++)                                                                       \
                for (int64_t j = 0; j < out[3]; j++, g++) {                                                            \
                    const int64_t at = winner_##T(x, in[2], in[3], ints, i, j);                                        \
                    if (at >= 0)                                                                                       \
                        dx[at] += *g;                                                                                  \
                }                                                                                                      \
    }

#define DEFINE_MAX_POOL2D_PICK(T)                                                                                      \
    static void max_pool2d_pick_##T(const fa_kernel_args *args)                                                        \
    {                                                                                                                  \
        const fa_pool2d_ints *ints = (const void *)args->ints;                                                         \
        const int64_t *in = args->in_meta[1]->shape, *out = args->out_meta[0]->shape;                                  \
        const T *h = args->in[0], *x = args->in[1];                                                                    \
        T *y = args->out[0];                                                                                           \
        for (int64_t plane = 0; plane < in[0] * in[1]; plane++, x += in[2] * in[3], h += in[2] * in[3])                \
            for (int64_t i = 0; i < out[2]; i++)                                                                       \
                for (int64_t j = 0; j < out[3]; j++) {                                                                 \
                    const int64_t at = winner_##T(x, in[2], in[3], ints, i, j);                                        \
                    *y++ = at < 0 ? 0 : h[at];                                                                         \
                }                                                                                                      \
    }

DEFINE_WINNER(float)
DEFINE_WINNER(double)
DEFINE_MAX_POOL2D_INDEX(float)
DEFINE_MAX_POOL2D_INDEX(double)
DEFINE_MAX_POOL2D(float)
DEFINE_MAX_POOL2D(double)
DEFINE_MAX_POOL2D_GRAD(float)
DEFINE_MAX_POOL2D_GRAD(double)
DEFINE_MAX_POOL2D_PICK(float)
DEFINE_MAX_POOL2D_PICK(double)

static void max_pool2d_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->out_meta[0]->dtype, max_pool2d, args);
}

static bool index_infer(fa_node *node)
{
    const bool ok = fa_pool2d_infer(node);
    node->meta.dtype = FA_DT_INT64;
    return ok;
}

static void max_pool2d_index_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->in_meta[0]->dtype, max_pool2d_index, args);
}

static void max_pool2d_grad_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->out_meta[0]->dtype, max_pool2d_grad, args);
}

static void max_pool2d_pick_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->out_meta[0]->dtype, max_pool2d_pick, args);
}

/* inputs: x */
const fa_op_def fa_op_max_pool2d = {
    .name = "max_pool2d",
    .grad_name = "MaxPool2DWithIndicesBackward0",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0,
    .infer = fa_pool2d_infer,
    .gradient = max_pool2d_gradient,
    .reference = max_pool2d_reference,
    .flops = fa_pool2d_flops,
};

/* inputs: x */
const fa_op_def fa_op_max_pool2d_index = {
    .name = "max_pool2d_index",
    .layout = FA_LAYOUT_PLAIN,
    .infer = index_infer,
    .reference = max_pool2d_index_reference,
    .flops = fa_pool2d_flops,
};

/* inputs: g, x */
const fa_op_def fa_op_max_pool2d_grad = {
    .name = "max_pool2d_grad",
    .grad_name = "MaxPool2DWithIndicesBackwardBackward0",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0 | 1 << 1,
    .infer = grad_infer,
    .gradient = grad_gradient,
    .reference = max_pool2d_grad_reference,
    .flops = fa_pool2d_grad_flops,
};

/* inputs: h, x */
const fa_op_def fa_op_max_pool2d_pick = {
    .name = "max_pool2d_pick",
    .grad_name = "GatherBackward0",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0 | 1 << 1,
    .infer = fa_pool2d_infer,
    .gradient = pick_gradient,
    .reference = max_pool2d_pick_reference,
    .flops = fa_pool2d_flops,
};
