/* rdiv_scalar: y = (1 / a) * s, s = floats[0], in two rounded steps as PyTorch's `s / a`. Gradient:
 * -(g * s) * ((1 / a) * (1 / a)). */
#include "ops/elementwise.h"

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *reciprocal = fa_record_scalar(FA_OP_rdiv_scalar, node->in[0], 1);
    fa_node *g = fa_record1(FA_OP_neg, fa_record_scalar(FA_OP_mul_scalar, grad, node->floats[0]));
    grad_in[0] = fa_record2(FA_OP_mul, g, fa_record2(FA_OP_mul, reciprocal, reciprocal));
}

static void reference(const fa_kernel_args *args)
{
    FA_SCALAR_FLOATS(1 / x * s)
}

const fa_op_def fa_op_rdiv_scalar = {
    .name = "rdiv",
    .grad_name = "MulBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_rdiv_at(double a, fa_tensor *b, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_record_scalar(FA_OP_rdiv_scalar, fa_record_float(fa_use(b, "rdiv", "b")), a));
}
