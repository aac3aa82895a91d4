/* softplus: y = s*x > t ? x : log(1 + e^(s*x)) / s; s is beta, t the threshold. Gradient: s*x > t ? g : g / (1 +
 * e^(-s*x)). */
#include "ops/activation.h"

FA_ACTIVATION_KERNEL(reference, x *s > t ? x : log1p(exp(x * s)) / s)
FA_ACTIVATION_GRAD_KERNEL(grad_reference, x *s > t ? g : g / (1 + exp(-x * s)))
FA_ACTIVATION_GRADIENT(softplus, node->in[0])

/* s*x >= t ? 0 : s * S * (1 - S), S = 1 / (1 + e^(-s*x)) */
static fa_node *curvature(const fa_node *node, fa_node *x)
{
    const int dtype = x->meta.dtype;
    fa_node *u = fa_times_plus(x, node->floats[0], 0);
    fa_node *above = fa_record2(FA_OP_ge, u, fa_record_number(dtype, node->floats[1]));
    fa_node *s = u ? fa_record(FA_OP_sigmoid, 1, &u, NULL, 0, (double[]){0, 0}, 2) : NULL;
    fa_node *bend = fa_times_plus(fa_record2(FA_OP_mul, s, fa_times_plus(s, -1, 1)), node->floats[0], 0);
    return fa_record_where(above, fa_record_number(dtype, 0), bend);
}

FA_CURVED_GRADIENT(softplus, curvature)

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
    .gradient = grad_gradient,
    .reference = grad_reference,
};

fa_tensor *fa_softplus_at(const fa_softplus_args *args)
{
    fa_begin(args->where_);
    return fa_activate(FA_OP_softplus, args->x, fa_use(args->x, "softplus", "input"),
                       (double[]){args->beta, args->threshold}, false, "softplus");
}
