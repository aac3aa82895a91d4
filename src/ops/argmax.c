/* argmax and argmin along a dimension: the index of the first extreme, int64; a NaN is beyond all numbers. No
 * gradient. */
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

#define DEFINE_ARG(NAME, BETTER)                                                                                       \
    static void NAME(const fa_kernel_args *args)                                                                       \
    {                                                                                                                  \
        const fa_along along = fa_along_of(args->in_meta[0], args->ints[0]);                                           \
        int64_t *out = args->out[0];                                                                                   \
        switch (args->in_meta[0]->dtype) {                                                                             \
        case FA_DT_FLOAT32:                                                                                            \
            FA_EACH_EXTREME(float, args->in[0], BETTER, *out++ = at)                                                   \
        case FA_DT_FLOAT64:                                                                                            \
            FA_EACH_EXTREME(double, args->in[0], BETTER, *out++ = at)                                                  \
        case FA_DT_INT64:                                                                                              \
            FA_EACH_EXTREME(int64_t, args->in[0], BETTER, *out++ = at)                                                 \
        case FA_DT_INT32:                                                                                              \
            FA_EACH_EXTREME(int32_t, args->in[0], BETTER, *out++ = at)                                                 \
        default:                                                                                                       \
            FA_EACH_EXTREME(uint8_t, args->in[0], BETTER, *out++ = at)                                                 \
        }                                                                                                              \
    }

DEFINE_ARG(argmax_reference, >)
DEFINE_ARG(argmin_reference, <)

const fa_op_def fa_op_argmax = {
    .name = "argmax",
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .reference = argmax_reference,
    .flops = fa_flops_input,
};

const fa_op_def fa_op_argmin = {
    .name = "argmin",
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .reference = argmin_reference,
    .flops = fa_flops_input,
};

/* Without a dimension the index is that in the elements in row-major order. */
static fa_node *record(fa_op op, const fa_arg_args *args)
{
    const char *what = fa_op_table[op]->name;
    fa_node *x = fa_use(args->x, what, "x");
    if (!x)
        return NULL;
    if (x->meta.dtype == FA_DT_BOOL) {
        fa_refuse(FA_DTYPE_ERROR, what, "got bool, needs numbers. Hint: fa_to_dtype(x, FA_UINT8)");
        return NULL;
    }
    if (args->dim != FA_ALL_DIMS) {
        const int at = fa_wrap_dim(args->dim, x->meta.ndim, what);
        return at < 0 ? NULL : fa_record_along(op, x, at, args->keepdim);
    }
    const int64_t count = fa_meta_numel(&x->meta), ones[FA_MAX_DIMS] = {1, 1, 1, 1, 1, 1, 1, 1};
    const int ndim = x->meta.ndim;
    fa_node *index = fa_record_along(op, fa_record_reshape(x, 1, &count, FA_VIEW), 0, false);
    return args->keepdim ? fa_record_reshape(index, ndim, ones, FA_VIEW) : index;
}

fa_tensor *fa_argmax_at(const fa_arg_args *args)
{
    fa_begin(args->where_);
    return fa_handle(record(FA_OP_argmax, args));
}

fa_tensor *fa_argmin_at(const fa_arg_args *args)
{
    fa_begin(args->where_);
    return fa_handle(record(FA_OP_argmin, args));
}
