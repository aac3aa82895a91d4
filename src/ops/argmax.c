/* argmax along a dimension: the index of the first maximum, int64; a NaN is above all numbers. No gradient. */
#include "ops/along.h"

fa_along fa_along_of(const fa_meta *in, int64_t dim)
{
    fa_along along = {.outer = 1, .size = in->ndim > 0 ? in->shape[dim] : 1, .inner = 1};
    for (int d = 0; d < in->ndim; d++) {
        if (d < dim)
            along.outer *= in->shape[d];
        else if (d > dim)
            along.inner *= in->shape[d];
    }
    return along;
}

bool fa_infer_along(fa_node *node)
{
    const fa_meta *in = &node->in[0]->meta;
    int64_t shape[FA_MAX_DIMS];
    int ndim = 0;
    if (in->ndim > 0 && in->shape[node->ints[0]] == 0)
        return fa_refuse(FA_INDEX_ERROR, fa_op_table[node->op]->name,
                         "got %s, needs at least one element in dimension %d to choose from. Hint: is the batch empty?",
                         fa_shape_text(in), (int)node->ints[0]);
    for (int d = 0; d < in->ndim; d++) {
        if (d != node->ints[0])
            shape[ndim++] = in->shape[d];
        else if (node->ints[1])
            shape[ndim++] = 1;
    }
    node->meta = fa_meta_of(in->dtype, ndim, shape);
    return true;
}

fa_node *fa_record_along(fa_op op, fa_node *x, int dim, bool keepdim)
{
    const int64_t ints[2] = {dim, keepdim};
    return x ? fa_record(op, 1, &x, ints, sizeof ints, NULL, 0) : NULL;
}

static bool infer(fa_node *node)
{
    if (!fa_infer_along(node))
        return false;
    node->meta.dtype = FA_DT_INT64;
    return true;
}

static void reference(const fa_kernel_args *args)
{
    const fa_along along = fa_along_of(args->in_meta[0], args->ints[0]);
    int64_t *out = args->out[0];
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        FA_EACH_MAXIMUM(float, args->in[0], *out++ = at)
    case FA_DT_FLOAT64:
        FA_EACH_MAXIMUM(double, args->in[0], *out++ = at)
    case FA_DT_INT64:
        FA_EACH_MAXIMUM(int64_t, args->in[0], *out++ = at)
    case FA_DT_INT32:
        FA_EACH_MAXIMUM(int32_t, args->in[0], *out++ = at)
    default:
        FA_EACH_MAXIMUM(uint8_t, args->in[0], *out++ = at)
    }
}

const fa_op_def fa_op_argmax = {
    .name = "argmax",
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .reference = reference,
    .flops = fa_flops_input,
};

fa_tensor *fa_argmax_at(fa_tensor *x, int dim, bool keepdim, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "argmax", "x");
    const int at = node ? fa_wrap_dim(dim, node->meta.ndim, "argmax") : -1;
    return at < 0 ? NULL : fa_handle(fa_record_along(FA_OP_argmax, node, at, keepdim));
}
