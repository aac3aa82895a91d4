/* leaky_relu: y = x > 0 ? x : s * x. Gradient: x > 0 ? g : s * g. */
#include "ops/activation.h"

FA_ACTIVATION_KERNEL(reference, x > 0 ? x : s * x)
FA_ACTIVATION_GRAD_KERNEL(grad_reference, x > 0 ? g : s * g)
FA_ACTIVATION_GRADIENT(leaky_relu, node->in[0])
FA_LINEAR_GRADIENT(leaky_relu)

const fa_op_def fa_op_leaky_relu = {
    .name = "leaky_relu",
    .grad_name = "LeakyReluBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

/* inputs: g, x */
const fa_op_def fa_op_leaky_relu_grad = {
    .name = "leaky_relu_grad",
    .grad_name = "LeakyReluBackwardBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .gradient = grad_gradient,
    .reference = grad_reference,
};

fa_tensor *fa_leaky_relu_at(const fa_leaky_relu_args *args)
{
    fa_begin(args->where_);
    return fa_activate(FA_OP_leaky_relu, args->x, fa_use(args->x, "leaky_relu", "input"),
                       (double[]){args->negative_slope, 0}, args->inplace, "leaky_relu");
}
