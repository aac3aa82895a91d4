/* div_scalar: y = a / s, s = floats[0]; integers are divided as float32. Gradient: g / s. */
#include "ops/elementwise.h"

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_record_scalar(FA_OP_div_scalar, grad, node->floats[0]);
}

static void reference(const fa_kernel_args *args)
{
    FA_SCALAR_FLOATS(x / s)
}

const fa_op_def fa_op_div_scalar = {
    .name = "div",
    .grad_name = "DivBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_div_number_at(fa_tensor *a, double b, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_record_scalar(FA_OP_div_scalar, fa_record_float(fa_use(a, "div", "a")), b));
}

fa_tensor *fa_div_inplace_number_at(fa_tensor *a, double b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "div_", "a");
    return fa_finish_inplace(a, x, fa_record_scalar(FA_OP_div_scalar, fa_record_float(x), b), "div_");
}
