/* erf: y = erf(a) = 2/root(pi) * integral of e^(-t^2) from 0 to a; integers as float32. Gradient: g * (2/root(pi) *
 * e^(-a^2)). */
#include "ops/elementwise.h"

#include <math.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *square = fa_record_scalar(FA_OP_pow_scalar, node->in[0], 2);
    fa_node *slope = fa_record1(FA_OP_exp, fa_record1(FA_OP_neg, square));
    grad_in[0] = fa_record2(FA_OP_mul, grad, fa_record_scalar(FA_OP_mul_scalar, slope, 1.1283791670955126));
}

static void reference(const fa_kernel_args *args)
{
    FA_UNARY_FLOATS(erff(x), erf(x))
}

const fa_op_def fa_op_erf = {
    .name = "erf",
    .grad_name = "ErfBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_erf_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_record1(FA_OP_erf, fa_record_float(fa_use(a, "erf", "a"))));
}
