/* max_dim: the maximum along a dimension, a NaN above all numbers. max_dim_grad(g, x): the gradient goes to the index
 * that argmax gives, the first of equal ones. */
#include "ops/along.h"
#include "ops/kernel_types.h"

#include <string.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const int64_t ints[2] = {node->ints[0], node->ints[1]};
    fa_node *in[2] = {grad, node->in[0]};
    grad_in[0] = grad ? fa_record(FA_OP_max_dim_grad, 2, in, ints, sizeof ints, NULL, 0) : NULL;
}

#define MAXIMUM(T)                                                                                                     \
    {                                                                                                                  \
        T *out = args->out[0];                                                                                         \
        FA_EACH_MAXIMUM(T, args->in[0], *out++ = line[at * along.inner])                                               \
    }

static void reference(const fa_kernel_args *args)
{
    const fa_along along = fa_along_of(args->in_meta[0], args->ints[0]);
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        MAXIMUM(float)
    case FA_DT_FLOAT64:
        MAXIMUM(double)
    case FA_DT_INT64:
        MAXIMUM(int64_t)
    case FA_DT_INT32:
        MAXIMUM(int32_t)
    default:
        MAXIMUM(uint8_t)
    }
}

const fa_op_def fa_op_max_dim = {
    .name = "max",
    .grad_name = "MaxBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_along,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_input,
};

static bool grad_infer(fa_node *node)
{
    node->meta = node->in[1]->meta;
    node->meta.layout = FA_PLAIN;
    return true;
}

#define SCATTER(T)                                                                                                     \
    {                                                                                                                  \
        const T *grad = args->in[0];                                                                                   \
        T *out = args->out[0];                                                                                         \
        memset(out, 0, sizeof(T) * (size_t)fa_meta_numel(args->out_meta[0]));                                          \
        FA_EACH_MAXIMUM(T, args->in[1], out[(o * along.size + at) * along.inner + i] = *grad++)                        \
    }

static void grad_reference(const fa_kernel_args *args)
{
    const fa_along along = fa_along_of(args->in_meta[1], args->ints[0]);
    switch (args->out_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        SCATTER(float)
    default:
        SCATTER(double)
    }
}

const fa_op_def fa_op_max_dim_grad = {
    .name = "max_dim_grad",
    .layout = FA_LAYOUT_PLAIN,
    .infer = grad_infer,
    .reference = grad_reference,
};

fa_tensor *fa_max_at(fa_tensor *x, int dim, fa_tensor **indices, fa_where where)
{
    fa_begin(where);
    if (indices)
        *indices = NULL;
    fa_node *node = fa_use(x, "max", "x");
    const int at = node ? fa_wrap_dim(dim, node->meta.ndim, "max") : -1;
    if (at < 0)
        return NULL;
    fa_tensor *maximum = fa_handle(fa_record_along(FA_OP_max_dim, node, at, false));
    if (maximum && indices)
        *indices = fa_handle(fa_record_along(FA_OP_argmax, node, at, false));
    return maximum;
}
