/* add_scalar: y = a + s, s = floats[0]; ints[0] is 1 where it was written a - (-s). Gradient: g. */
#include "ops/elementwise.h"

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    (void)node;
    grad_in[0] = grad;
}

static const char *grad_label(const fa_node *node)
{
    return node->ints[0] ? "SubBackward0" : "AddBackward0";
}

static void reference(const fa_kernel_args *args)
{
    FA_SCALAR_OP(x + s, x + s)
}

const fa_op_def fa_op_add_scalar = {
    .name = "add",
    .grad_name = "AddBackward0",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .gradient = gradient,
    .reference = reference,
};

static fa_node *record(fa_node *x, double number, int64_t subtraction)
{
    fa_node *a = x ? fa_record_cast(x, fa_promote_number(&x->meta, number)) : NULL;
    return a ? fa_record(FA_OP_add_scalar, 1, &a, &subtraction, sizeof subtraction, &number, 1) : NULL;
}

fa_tensor *fa_add_number_at(fa_tensor *a, double b, fa_where where)
{
    fa_begin(where);
    return fa_handle(record(fa_use(a, "add", "a"), b, 0));
}

fa_tensor *fa_sub_number_at(fa_tensor *a, double b, fa_where where)
{
    fa_begin(where);
    return fa_handle(record(fa_use(a, "sub", "a"), -b, 1));
}

fa_tensor *fa_add_inplace_number_at(fa_tensor *a, double b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "add_", "a");
    return fa_finish_inplace(a, x, record(x, b, 0), "add_");
}

fa_tensor *fa_sub_inplace_number_at(fa_tensor *a, double b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "sub_", "a");
    return fa_finish_inplace(a, x, record(x, -b, 1), "sub_");
}
