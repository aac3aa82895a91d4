/* silu: y = x * S, S = 1 / (1 + e^-x). Gradient: g * S * (1 + x * (1 - S)). */
#include "ops/activation.h"

FA_ACTIVATION_KERNEL(reference, x / (1 + exp(-x)))
FA_ACTIVATION_GRAD_KERNEL(grad_reference, g *(1 / (1 + exp(-x))) * (1 + x * (1 - 1 / (1 + exp(-x)))))
FA_ACTIVATION(silu, "SiluBackward0", fa_infer_float, node->in[0], FA_CURVED)

fa_tensor *fa_silu_at(const fa_activation_args *args)
{
    fa_begin(args->where_);
    return fa_activate(FA_OP_silu, args->x, fa_use(args->x, "silu", "input"), (double[]){0, 0}, args->inplace, "silu");
}
