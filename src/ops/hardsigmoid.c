/* hardsigmoid: y = c / 6, c = x + 3 cut to [0, 6]; NaN stays. Gradient: g / 6 for -3 < x < 3, else 0; as
 * in PyTorch, a product with a sixth that is float32 in float64 too. */
#include "ops/activation.h"

FA_ACTIVATION_KERNEL(reference, (x < -3 ? 0 : x > 3 ? 6 : x + 3) / 6)
FA_ACTIVATION_GRAD_KERNEL(grad_reference, x > -3 && x < 3 ? g * (1.0f / 6.0f) : 0)
FA_ACTIVATION(hardsigmoid, "HardsigmoidBackward0", fa_infer_float, node->in[0], FA_LINEAR)

fa_tensor *fa_hardsigmoid_at(const fa_activation_args *args)
{
    fa_begin(args->where_);
    return fa_activate(FA_OP_hardsigmoid, args->x, fa_use(args->x, "hardsigmoid", "input"), (double[]){0, 0},
                       args->inplace, "hardsigmoid");
}
