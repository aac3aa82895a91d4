/* max_dim and min_dim: the extreme along a dimension, a NaN beyond all numbers. max_dim_grad(g, x): the gradient goes
 * to the index that argmax or argmin (ints[2] = 1) gives, the first of equal ones. Of all elements, max and min are
 * amax and amin, which share it. */
#include "ops/along.h"
#include "ops/take.h"

#include <string.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const int64_t ints[3] = {node->ints[0], node->ints[1], node->op == FA_OP_min_dim};
    fa_node *in[2] = {grad, node->in[0]};
    grad_in[0] = grad ? fa_record(FA_OP_max_dim_grad, 2, in, ints, sizeof ints, NULL, 0) : NULL;
}

#define EXTREME(T, BETTER)                                                                                             \
    {                                                                                                                  \
        T *out = args->out[0];                                                                                         \
        FA_EACH_EXTREME(T, args->in[0], BETTER, *out++ = line[at * along.inner])                                       \
    }

#define DEFINE_REFERENCE(NAME, BETTER)                                                                                 \
    static void NAME(const fa_kernel_args *args)                                                                       \
    {                                                                                                                  \
        const fa_along along = fa_along_of(args->in_meta[0], args->ints[0]);                                           \
        switch (args->in_meta[0]->dtype) {                                                                             \
        case FA_DT_FLOAT32:                                                                                            \
            EXTREME(float, BETTER)                                                                                     \
        case FA_DT_FLOAT64:                                                                                            \
            EXTREME(double, BETTER)                                                                                    \
        case FA_DT_INT64:                                                                                              \
            EXTREME(int64_t, BETTER)                                                                                   \
        case FA_DT_INT32:                                                                                              \
            EXTREME(int32_t, BETTER)                                                                                   \
        default:                                                                                                       \
            EXTREME(uint8_t, BETTER)                                                                                   \
        }                                                                                                              \
    }

DEFINE_REFERENCE(max_reference, >)
DEFINE_REFERENCE(min_reference, <)

const fa_op_def fa_op_max_dim = {
    .name = "max",
    .grad_name = "MaxBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_along,
    .gradient = gradient,
    .reference = max_reference,
    .flops = fa_flops_input,
};

const fa_op_def fa_op_min_dim = {
    .name = "min",
    .grad_name = "MinBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_along,
    .gradient = gradient,
    .reference = min_reference,
    .flops = fa_flops_input,
};

/* What reached the places to which g went. */
static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const int dim = (int)node->ints[0];
    const fa_op op = node->ints[2] ? FA_OP_argmin : FA_OP_argmax;
    if (fa_wants_grad(node, 0)) {
        fa_node *index = fa_record_along(op, node->in[1], dim, true);
        fa_node *picked = fa_record_take_along(grad, dim, index, FA_TAKE_SORT);
        grad_in[0] = fa_record_reshape_as(picked, &node->in[0]->meta);
    }
}

static bool grad_infer(fa_node *node)
{
    node->meta = node->in[1]->meta;
    node->meta.layout = FA_PLAIN;
    return true;
}

#define SCATTER(T, BETTER)                                                                                             \
    {                                                                                                                  \
        const T *grad = args->in[0];                                                                                   \
        T *out = args->out[0];                                                                                         \
        FA_EACH_EXTREME(T, args->in[1], BETTER, out[(o * along.size + at) * along.inner + i] = *grad++)                \
    }

static void grad_reference(const fa_kernel_args *args)
{
    const fa_along along = fa_along_of(args->in_meta[1], args->ints[0]);
    const bool single = args->out_meta[0]->dtype == FA_DT_FLOAT32, least = args->ints[2] != 0;
    memset(args->out[0], 0, (size_t)(fa_meta_numel(args->out_meta[0]) * fa_dtype_size(args->out_meta[0]->dtype)));
    switch (2 * single + least) {
    case 3:
        SCATTER(float, <)
    case 2:
        SCATTER(float, >)
    case 1:
        SCATTER(double, <)
    default:
        SCATTER(double, >)
    }
}

const fa_op_def fa_op_max_dim_grad = {
    .name = "max_dim_grad",
    .grad_name = "ValueSelectingReductionBackward0",
    .gradient = grad_gradient,
    .layout = FA_LAYOUT_PLAIN,
    .infer = grad_infer,
    .reference = grad_reference,
};

static fa_tensor *extreme(const fa_extreme_args *args, fa_op along, fa_op index, fa_op all)
{
    const char *what = fa_op_table[along]->name;
    fa_begin(args->where_);
    if (args->indices)
        *args->indices = NULL;
    fa_node *x = fa_use(args->x, what, "x");
    if (!x)
        return NULL;
    if (args->dim == FA_ALL_DIMS) {
        if (args->indices) {
            fa_refuse(
                FA_VALUE_ERROR, what,
                "got a place for indices without a dimension, needs the dimension to search. Hint: fa_%s(x) gives "
                "the index in all elements",
                fa_op_table[index]->name);
            return NULL;
        }
        const int64_t ints[4] = {(INT64_C(1) << x->meta.ndim) - 1, args->keepdim, 0, 1};
        return fa_handle(fa_record(all, 1, &x, ints, sizeof ints, NULL, 0));
    }
    const int dim = fa_wrap_dim(args->dim, x->meta.ndim, what);
    if (dim < 0)
        return NULL;
    fa_tensor *values = fa_handle(fa_record_along(along, x, dim, args->keepdim));
    if (values && args->indices)
        *args->indices = fa_handle(fa_record_along(index, x, dim, args->keepdim));
    return values;
}

fa_tensor *fa_max_at(const fa_extreme_args *args)
{
    return extreme(args, FA_OP_max_dim, FA_OP_argmax, FA_OP_amax);
}

fa_tensor *fa_min_at(const fa_extreme_args *args)
{
    return extreme(args, FA_OP_min_dim, FA_OP_argmin, FA_OP_amin);
}
