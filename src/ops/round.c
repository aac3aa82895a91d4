/* round (to the nearest integer, half to even), floor, ceil. Integers stay as they are. Gradient: 0. */
#include "ops/elementwise.h"

#include <math.h>

static bool infer(fa_node *node)
{
    if (node->in[0]->meta.dtype == FA_DT_BOOL)
        return fa_refuse(FA_DTYPE_ERROR, fa_op_table[node->op]->name,
                         "got bool, needs numbers. Hint: a bool is whole already");
    return fa_infer_same(node);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    (void)grad;
    grad_in[0] = fa_record_full(&node->meta, 0);
}

/* `function` works in double, which holds every float and its rounded value. */
#define DEFINE_ROUNDING(op, function, label)                                                                           \
    static void op##_reference(const fa_kernel_args *args)                                                             \
    {                                                                                                                  \
        FA_UNARY(function((double)x), x)                                                                               \
    }                                                                                                                  \
    const fa_op_def fa_op_##op = {                                                                                     \
        .name = #op,                                                                                                   \
        .grad_name = label,                                                                                            \
        .layout = FA_LAYOUT_ELEMENTWISE,                                                                               \
        .infer = infer,                                                                                                \
        .gradient = gradient,                                                                                          \
        .reference = op##_reference,                                                                                   \
    };                                                                                                                 \
    fa_tensor *fa_##op##_at(fa_tensor *a, fa_where where)                                                              \
    {                                                                                                                  \
        fa_begin(where);                                                                                               \
        return fa_handle(fa_record1(FA_OP_##op, fa_use(a, #op, "a")));                                                 \
    }

DEFINE_ROUNDING(round, rint, "RoundBackward0")
DEFINE_ROUNDING(floor, floor, "FloorBackward0")
DEFINE_ROUNDING(ceil, ceil, "CeilBackward0")
