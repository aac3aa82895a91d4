/* elu: y = x > 0 ? x : s * (e^x - 1). Gradient: x > 0 or NaN ? g : g * s * e^x. */
#include "ops/activation.h"

FA_ACTIVATION_KERNEL(reference, x < 0 ? s * expm1(x) : x)
FA_ACTIVATION_GRAD_KERNEL(grad_reference, x <= 0 ? g * s * exp(x) : g)
FA_ACTIVATION_GRADIENT(elu, node->in[0])

/* x < 0 ? s * e^x : 0; the exponential never grows beyond 1, so that no infinity stands beside the 0. */
static fa_node *curvature(const fa_node *node, fa_node *x)
{
    fa_node *zero = fa_record_number(x->meta.dtype, 0), *below = fa_record2(FA_OP_lt, x, zero);
    fa_node *slope =
        fa_record_scalar(FA_OP_mul_scalar, fa_record1(FA_OP_exp, fa_record_where(below, x, zero)), node->floats[0]);
    return fa_record_where(below, slope, zero);
}

FA_CURVED_GRADIENT(elu, curvature)

const fa_op_def fa_op_elu = {
    .name = "elu",
    .grad_name = "EluBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

/* inputs: g, x */
const fa_op_def fa_op_elu_grad = {
    .name = "elu_grad",
    .grad_name = "EluBackwardBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .gradient = grad_gradient,
    .reference = grad_reference,
};

fa_tensor *fa_elu_at(const fa_elu_args *args)
{
    fa_begin(args->where_);
    return fa_activate(FA_OP_elu, args->x, fa_use(args->x, "elu", "input"), (double[]){args->alpha, 0}, args->inplace,
                       "elu");
}
