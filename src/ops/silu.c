/* silu: y = x * S, S = 1 / (1 + e^-x). Gradient: g * S * (1 + x * (1 - S)). */
#include "ops/activation.h"

FA_ACTIVATION_KERNEL(reference, x / (1 + exp(-x)))
FA_ACTIVATION_GRAD_KERNEL(grad_reference, g *(1 / (1 + exp(-x))) * (1 + x * (1 - 1 / (1 + exp(-x)))))
FA_ACTIVATION_GRADIENT(silu, node->in[0])

const fa_op_def fa_op_silu = {
    .name = "silu",
    .grad_name = "SiluBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

/* inputs: g, x */
const fa_op_def fa_op_silu_grad = {
    .name = "silu_grad",
    .grad_name = "SiluBackwardBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .reference = grad_reference,
};

fa_tensor *fa_silu_at(const fa_activation_args *args)
{
    fa_begin(args->where_);
    return fa_activate(FA_OP_silu, args->x, fa_use(args->x, "silu", "input"), (double[]){0, 0}, args->inplace, "silu");
}
