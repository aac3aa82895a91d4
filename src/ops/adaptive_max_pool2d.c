/* adaptive_max_pool2d and its gradient.
 *
 *     y[n,c,i,j] = max of x[n,c,h,w] over window (i, j)
 *
 * The first maximum wins a tie, a NaN wins over everything, the last one over others. The gradient goes to the winner;
 * its own gradient is adaptive_max_pool2d_pick(h, x), the element of h in the winner's place.
 * adaptive_max_pool2d_index(x) is that place in the plane, h*W + w, as int64. */
#include "ops/adaptive_pool.h"

#include <string.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const fa_adaptive_ints ints = fa_adaptive_grad_ints(node);
    grad_in[0] = fa_record(FA_OP_adaptive_max_pool2d_grad, 2, (fa_node *[]){grad, node->in[0]}, FA_INTS(ints), NULL, 0);
}

/* Both are linear in their first input. */
static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_adaptive_ints ints = *(const fa_adaptive_ints *)node->ints;
    memset(ints.input_shape, 0, sizeof ints.input_shape);
    if (fa_wants_grad(node, 0))
        grad_in[0] =
            fa_record(FA_OP_adaptive_max_pool2d_pick, 2, (fa_node *[]){grad, node->in[1]}, FA_INTS(ints), NULL, 0);
}

static void pick_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0)) {
        const fa_adaptive_ints ints = fa_adaptive_grad_ints(node);
        grad_in[0] =
            fa_record(FA_OP_adaptive_max_pool2d_grad, 2, (fa_node *[]){grad, node->in[1]}, FA_INTS(ints), NULL, 0);
    }
}

/* Where the winner of a window lies in its plane. */
#define DEFINE_WINNER(T)                                                                                               \
    static int64_t winner_##T(const T *x, int64_t width, fa_adaptive_range rows, fa_adaptive_range columns)            \
    {                                                                                                                  \
        int64_t best = rows.begin * width + columns.begin;                                                             \
        for (int64_t h = rows.begin; h < rows.end; h++)                                                                \
            for (int64_t w = columns.begin; w < columns.end; w++) {                                                    \
                const T value = x[h * width + w];                                                                      \
                if (value > x[best] || value != value)                                                                 \
                    best = h * width + w;                                                                              \
            }                                                                                                          \
        return best;                                                                                                   \
    }
DEFINE_WINNER(float)
DEFINE_WINNER(double)

/* DO for each window of each plane; `at`: its winner. */
#define EACH_WINDOW(T, in, out, DO)                                                                                    \
    for (int64_t plane = 0; plane < (in)[0] * (in)[1]; plane++, x += (in)[2] * (in)[3])                                \
        for (int64_t i = 0; i < (out)[2]; i++)                                                                         \
            for (int64_t j = 0; j < (out)[3]; j++) {                                                                   \
                const int64_t at = winner_##T(x, (in)[3], fa_adaptive_window(i, (in)[2], (out)[2]),                    \
                                              fa_adaptive_window(j, (in)[3], (out)[3]));                               \
                DO;                                                                                                    \
            }

#define MAXIMUM(T)                                                                                                     \
    {                                                                                                                  \
        const int64_t *in = args->in_meta[0]->shape, *out = args->out_meta[0]->shape;                                  \
        const T *x = args->in[0];                                                                                      \
        T *y = args->out[0];                                                                                           \
        EACH_WINDOW(T, in, out, *y++ = x[at])                                                                          \
    }

#define MAXIMUM_GRAD(T)                                                                                                \
    {                                                                                                                  \
        const int64_t *in = args->in_meta[1]->shape, *out = args->in_meta[0]->shape;                                   \
        const T *g = args->in[0], *x = args->in[1];                                                                    \
        T *dx = args->out[0];                                                                                          \
        memset(dx, 0, (size_t)fa_meta_numel(args->out_meta[0]) * sizeof *dx);                                          \
        EACH_WINDOW(T, in, out, dx[plane * in[2] * in[3] + at] += *g++)                                                \
    }

#define PICK(T)                                                                                                        \
    {                                                                                                                  \
        const int64_t *in = args->in_meta[1]->shape, *out = args->out_meta[0]->shape;                                  \
        const T *h = args->in[0], *x = args->in[1];                                                                    \
        T *y = args->out[0];                                                                                           \
        EACH_WINDOW(T, in, out, *y++ = h[plane * in[2] * in[3] + at])                                                  \
    }

#define INDEX(T)                                                                                                       \
    {                                                                                                                  \
        const int64_t *in = args->in_meta[0]->shape, *out = args->out_meta[0]->shape;                                  \
        const T *x = args->in[0];                                                                                      \
        int64_t *y = args->out[0];                                                                                     \
        EACH_WINDOW(T, in, out, *y++ = at)                                                                             \
    }

static bool index_infer(fa_node *node)
{
    fa_adaptive_infer(node);
    node->meta.dtype = FA_DT_INT64;
    return true;
}

static void index_reference(const fa_kernel_args *args)
{
    FA_FOR_FLOATS(args->in_meta[0]->dtype, INDEX);
}

static void reference(const fa_kernel_args *args)
{
    FA_FOR_FLOATS(args->out_meta[0]->dtype, MAXIMUM);
}

static void grad_reference(const fa_kernel_args *args)
{
    FA_FOR_FLOATS(args->out_meta[0]->dtype, MAXIMUM_GRAD);
}

static void pick_reference(const fa_kernel_args *args)
{
    FA_FOR_FLOATS(args->out_meta[0]->dtype, PICK);
}

/* inputs: x */
const fa_op_def fa_op_adaptive_max_pool2d = {
    .name = "adaptive_max_pool2d",
    .grad_name = "AdaptiveMaxPool2DBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_adaptive_infer,
    .gradient = gradient,
    .reference = reference,
};

/* inputs: x */
const fa_op_def fa_op_adaptive_max_pool2d_index = {
    .name = "adaptive_max_pool2d_index",
    .layout = FA_LAYOUT_PLAIN,
    .infer = index_infer,
    .reference = index_reference,
};

/* inputs: g, x */
const fa_op_def fa_op_adaptive_max_pool2d_grad = {
    .name = "adaptive_max_pool2d_grad",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_adaptive_grad_infer,
    .gradient = grad_gradient,
    .reference = grad_reference,
};

/* inputs: h, x */
const fa_op_def fa_op_adaptive_max_pool2d_pick = {
    .name = "adaptive_max_pool2d_pick",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_adaptive_infer,
    .gradient = pick_gradient,
    .reference = pick_reference,
};

fa_tensor *fa_adaptive_max_pool2d_at(const fa_adaptive_pool2d_args *args)
{
    if (args->indices)
        *args->indices = NULL;
    fa_tensor *y = fa_adaptive_pool(FA_OP_adaptive_max_pool2d, args, "adaptive_max_pool2d");
    if (y && args->indices)
        *args->indices = fa_adaptive_pool(FA_OP_adaptive_max_pool2d_index, args, "adaptive_max_pool2d");
    return y;
}
