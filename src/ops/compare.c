/* eq, ne, lt, le, gt, ge: y = (a == b) and so on, bool, broadcast. NaN is unequal to everything and neither less nor
 * greater. No gradient. */
#include "ops/elementwise.h"

static bool infer(fa_node *node)
{
    if (!fa_infer_broadcast(node))
        return false;
    node->meta.dtype = FA_DT_BOOL;
    return true;
}

static fa_tensor *compare(fa_op op, fa_tensor *a, fa_tensor *b)
{
    const char *what = fa_op_table[op]->name;
    fa_node *x = fa_use(a, what, "a"), *y = fa_use(b, what, "b");
    return fa_handle(fa_record_binary(op, x, y));
}

/* The smaller integers hold few numbers: compare where the number keeps its value. */
static fa_tensor *compare_number(fa_op op, fa_tensor *a, double b)
{
    fa_node *x = fa_use(a, fa_op_table[op]->name, "a");
    if (!x)
        return NULL;
    int dtype = fa_promote_number(&x->meta, b);
    dtype = fa_is_float(dtype) ? dtype : FA_DT_INT64;
    return fa_handle(fa_record2(op, fa_record_cast(x, dtype), fa_record_number(dtype, b)));
}

#define DEFINE_COMPARISON(op, sign)                                                                                    \
    static void op##_reference(const fa_kernel_args *args)                                                             \
    {                                                                                                                  \
        FA_COMPARE(x sign y)                                                                                           \
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
        return compare(FA_OP_##op, a, b);                                                                              \
    }                                                                                                                  \
    fa_tensor *fa_##op##_number_at(fa_tensor *a, double b, fa_where where)                                             \
    {                                                                                                                  \
        fa_begin(where);                                                                                               \
        return compare_number(FA_OP_##op, a, b);                                                                       \
    }

DEFINE_COMPARISON(eq, ==)
DEFINE_COMPARISON(ne, !=)
DEFINE_COMPARISON(lt, <)
DEFINE_COMPARISON(le, <=)
DEFINE_COMPARISON(gt, >)
DEFINE_COMPARISON(ge, >=)
