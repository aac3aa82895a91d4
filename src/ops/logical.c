/* logical_and, logical_or, logical_xor, logical_not: bool, of any type; an element is true unless it is 0 (NaN is
 * true). Broadcast. No gradient. */
#include "ops/elementwise.h"

static bool infer(fa_node *node)
{
    if (!(node->n_in == 2 ? fa_infer_broadcast(node) : fa_infer_same(node)))
        return false;
    node->meta.dtype = FA_DT_BOOL;
    return true;
}

#define DEFINE_LOGICAL(op, formula)                                                                                    \
    static void op##_reference(const fa_kernel_args *args)                                                             \
    {                                                                                                                  \
        FA_COMPARE(formula)                                                                                            \
    }                                                                                                                  \
    const fa_op_def fa_op_##op = {                                                                                     \
        .name = #op,                                                                                                   \
        .layout = FA_LAYOUT_PLAIN,                                                                                     \
        .infer = infer,                                                                                                \
        .reference = op##_reference,                                                                                   \
    };                                                                                                                 \
    fa_tensor *fa_##op##_at(fa_tensor *a, fa_tensor *b, fa_where where)                                                \
    {                                                                                                                  \
        fa_begin(where);                                                                                               \
        fa_node *x = fa_use(a, #op, "a"), *y = fa_use(b, #op, "b");                                                    \
        return fa_handle(fa_record_binary(FA_OP_##op, x, y));                                                          \
    }

DEFINE_LOGICAL(logical_and, x != 0 && y != 0)
DEFINE_LOGICAL(logical_or, x != 0 || y != 0)
DEFINE_LOGICAL(logical_xor, (x != 0) != (y != 0))

static void not_reference(const fa_kernel_args *args)
{
    FA_TEST(x == 0)
}

const fa_op_def fa_op_logical_not = {
    .name = "logical_not",
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .reference = not_reference,
};

fa_tensor *fa_logical_not_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_record1(FA_OP_logical_not, fa_use(a, "logical_not", "a")));
}
