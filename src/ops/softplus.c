/* softplus: y = s*x > t ? x : log(1 + e^(s*x)) / s; s is beta, t the threshold. Gradient: s*x > t ? g : g / (1 +
 * e^(-s*x)). */
#include "ops/activation.h"

FA_ACTIVATION_KERNEL(reference, x *s > t ? x : log1p(exp(x * s)) / s)
FA_ACTIVATION_GRAD_KERNEL(grad_reference, x *s > t ? g : g / (1 + exp(-x * s)))
FA_ACTIVATION_GRADIENT(softplus, node->in[0])

const fa_op_def fa_op_softplus = {
    .name = "softplus",
    .grad_name = "SoftplusBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

/* inputs: g, x */
const fa_op_def fa_op_softplus_grad = {
    .name = "softplus_grad",
    .grad_name = "SoftplusBackwardBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .reference = grad_reference,
};

fa_tensor *fa_softplus_at(const fa_softplus_args *args)
{
    fa_begin(args->where_);
    return fa_activate(FA_OP_softplus, args->x, fa_use(args->x, "softplus", "input"),
                       (double[]){args->beta, args->threshold}, false, "softplus");
}
