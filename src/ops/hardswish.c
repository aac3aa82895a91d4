/* hardswish: y = x * c / 6, c = x + 3 cut to [0, 6]; NaN stays. Gradient: 0 up to -3, g from 3 on, g * (x/3 + 1/2)
 * between. */
#include "ops/activation.h"

FA_ACTIVATION_KERNEL(reference, x *(x<-3 ? 0 : x> 3 ? 6 : x + 3) / 6)
FA_ACTIVATION_GRAD_KERNEL(grad_reference, x <= -3 ? 0 : x < 3 ? g * (x / 3 + 0.5) : g)
FA_ACTIVATION_GRADIENT(hardswish, node->in[0])

const fa_op_def fa_op_hardswish = {
    .name = "hardswish",
    .grad_name = "HardswishBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

/* inputs: g, x */
const fa_op_def fa_op_hardswish_grad = {
    .name = "hardswish_grad",
    .grad_name = "HardswishBackwardBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .reference = grad_reference,
};

fa_tensor *fa_hardswish_at(const fa_activation_args *args)
{
    fa_begin(args->where_);
    return fa_activate(FA_OP_hardswish, args->x, fa_use(args->x, "hardswish", "input"), (double[]){0, 0}, args->inplace,
                       "hardswish");
}
