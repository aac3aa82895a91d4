/* hardsigmoid: y = c / 6, c = x + 3 cut to [0, 6]; NaN stays. Gradient: g / 6 for -3 < x < 3, else 0; as
 * in PyTorch, a product with a sixth that is float32 in float64 too. */
#include "ops/activation.h"

FA_ACTIVATION_KERNEL(reference, (x < -3 ? 0 : x > 3 ? 6 : x + 3) / 6)
FA_ACTIVATION_GRAD_KERNEL(grad_reference, x > -3 && x < 3 ? g * (1.0f / 6.0f) : 0)
FA_ACTIVATION_GRADIENT(hardsigmoid, node->in[0])
FA_LINEAR_GRADIENT(hardsigmoid)

const fa_op_def fa_op_hardsigmoid = {
    .name = "hardsigmoid",
    .grad_name = "HardsigmoidBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

/* inputs: g, x */
const fa_op_def fa_op_hardsigmoid_grad = {
    .name = "hardsigmoid_grad",
    .grad_name = "HardsigmoidBackwardBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .gradient = grad_gradient,
    .reference = grad_reference,
};

fa_tensor *fa_hardsigmoid_at(const fa_activation_args *args)
{
    fa_begin(args->where_);
    return fa_activate(FA_OP_hardsigmoid, args->x, fa_use(args->x, "hardsigmoid", "input"), (double[]){0, 0},
                       args->inplace, "hardsigmoid");
}
