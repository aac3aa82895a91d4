/* elu: y = x > 0 ? x : s * (e^x - 1). Gradient: x > 0 or NaN ? g : g * s * e^x. */
#include "ops/activation.h"

FA_ACTIVATION_KERNEL(reference, x < 0 ? s * expm1(x) : x)
FA_ACTIVATION_GRAD_KERNEL(grad_reference, x <= 0 ? g * s * exp(x) : g)
FA_ACTIVATION(elu, "EluBackward0", fa_infer_float, node->in[0], FA_CURVED)

fa_tensor *fa_elu_at(const fa_elu_args *args)
{
    fa_begin(args->where_);
    return fa_activate(FA_OP_elu, args->x, fa_use(args->x, "elu", "input"), (double[]){args->alpha, 0}, args->inplace,
                       "elu");
}
