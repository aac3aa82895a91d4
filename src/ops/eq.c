/* eq: y = (a == b), bool, broadcast; NaN equals nothing. No gradient. */
#include "ops/elementwise.h"

static bool infer(fa_node *node)
{
    if (!fa_infer_broadcast(node))
        return false;
    node->meta.dtype = FA_DT_BOOL;
    return true;
}

#define EQUAL(T) FA_BINARY_LOOP(T, T, bool, x == y)

static void reference(const fa_kernel_args *args)
{
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        EQUAL(float)
    case FA_DT_FLOAT64:
        EQUAL(double)
    case FA_DT_INT64:
        EQUAL(int64_t)
    case FA_DT_INT32:
        EQUAL(int32_t)
    case FA_DT_UINT8:
        EQUAL(uint8_t)
    default:
        EQUAL(bool)
    }
}

const fa_op_def fa_op_eq = {
    .name = "eq",
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .reference = reference,
};

fa_tensor *fa_eq_at(fa_tensor *a, fa_tensor *b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "eq", "a"), *y = fa_use(b, "eq", "b");
    return fa_handle(fa_record_binary(FA_OP_eq, x, y));
}

fa_tensor *fa_eq_number_at(fa_tensor *a, double b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "eq", "a");
    if (!x)
        return NULL;
    /* uint8 holds few numbers: compare where the number keeps its value. */
    const int dtype = fa_promote_number(&x->meta, b);
    const fa_meta single = fa_meta_of(fa_is_float(dtype) ? dtype : FA_DT_INT64, 0, NULL);
    return fa_handle(fa_record2(FA_OP_eq, fa_record_cast(x, single.dtype), fa_record_full(&single, b)));
}
