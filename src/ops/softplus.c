/* softplus: y = s*x > t ? x : log(1 + e^(s*x)) / s; s is beta, t the threshold. Gradient: s*x > t ? g : g / (1 +
 * e^(-s*x)). */
#include "ops/activation.h"

FA_ACTIVATION_KERNEL(reference, x *s > t ? x : log1p(exp(x * s)) / s)
FA_ACTIVATION_GRAD_KERNEL(grad_reference, x *s > t ? g : g / (1 + exp(-x * s)))
FA_ACTIVATION(softplus, "SoftplusBackward0", fa_infer_float, node->in[0], FA_CURVED)

fa_tensor *fa_softplus_at(const fa_softplus_args *args)
{
    fa_begin(args->where_);
    return fa_activate(FA_OP_softplus, args->x, fa_use(args->x, "softplus", "input"),
                       (double[]){args->beta, args->threshold}, false, "softplus");
}
