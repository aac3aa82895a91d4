/* mul_scalar: y = a * s, s = floats[0]. Gradient: g * s. */
#include "ops/elementwise.h"

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_record_scalar(FA_OP_mul_scalar, grad, node->floats[0]);
}

static void reference(const fa_kernel_args *args)
{
    FA_SCALAR_OP(x * s, x * s)
}

const fa_op_def fa_op_mul_scalar = {
    .name = "mul",
    .grad_name = "MulBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .gradient = gradient,
    .reference = reference,
};

static fa_node *record(fa_node *x, double number)
{
    return x ? fa_record_scalar(FA_OP_mul_scalar, fa_record_cast(x, fa_promote_number(&x->meta, number)), number)
             : NULL;
}

fa_tensor *fa_mul_number_at(fa_tensor *a, double b, fa_where where)
{
    fa_begin(where);
    return fa_handle(record(fa_use(a, "mul", "a"), b));
}

fa_tensor *fa_mul_inplace_number_at(fa_tensor *a, double b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "mul_", "a");
    return fa_finish_inplace(a, x, record(x, b), "mul_");
}
