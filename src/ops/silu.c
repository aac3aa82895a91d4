/* silu: y = x * S, S = 1 / (1 + e^-x). Gradient: g * S * (1 + x * (1 - S)). */
#include "ops/activation.h"

FA_ACTIVATION_KERNEL(reference, x / (1 + exp(-x)))
FA_ACTIVATION_GRAD_KERNEL(grad_reference, g *(1 / (1 + exp(-x))) * (1 + x * (1 - 1 / (1 + exp(-x)))))
FA_ACTIVATION_GRADIENT(silu, node->in[0])

/* S (1-S) (2 + x (1-2S)) */
static fa_node *curvature(const fa_node *node, fa_node *x)
{
    (void)node;
    fa_node *s = fa_record(FA_OP_sigmoid, 1, &x, NULL, 0, (double[]){0, 0}, 2);
    fa_node *bend = fa_record2(FA_OP_mul, s, fa_times_plus(s, -1, 1));
    return fa_record2(FA_OP_mul, bend, fa_times_plus(fa_record2(FA_OP_mul, x, fa_times_plus(s, -2, 1)), 1, 2));
}

FA_CURVED_GRADIENT(silu, curvature)

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
    .gradient = grad_gradient,
    .reference = grad_reference,
};

fa_tensor *fa_silu_at(const fa_activation_args *args)
{
    fa_begin(args->where_);
    return fa_activate(FA_OP_silu, args->x, fa_use(args->x, "silu", "input"), (double[]){0, 0}, args->inplace, "silu");
}
