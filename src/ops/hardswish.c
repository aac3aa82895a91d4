/* hardswish: y = x * c / 6, c = x + 3 cut to [0, 6]; NaN stays. Gradient: 0 up to -3, g from 3 on, g * (x/3 + 1/2)
 * between. */
#include "ops/activation.h"

FA_ACTIVATION_KERNEL(reference, x *(x<-3 ? 0 : x> 3 ? 6 : x + 3) / 6)
FA_ACTIVATION_GRAD_KERNEL(grad_reference, x <= -3 ? 0 : x < 3 ? g * (x / 3 + 0.5) : g)
FA_ACTIVATION_GRADIENT(hardswish, node->in[0])

/* 1/3 for -3 < x < 3, else 0 */
static fa_node *curvature(const fa_node *node, fa_node *x)
{
    (void)node;
    const int dtype = x->meta.dtype;
    fa_node *inside = fa_record2(FA_OP_logical_and, fa_record2(FA_OP_gt, x, fa_record_number(dtype, -3)),
                                 fa_record2(FA_OP_lt, x, fa_record_number(dtype, 3)));
    return fa_record_where(inside, fa_record_number(dtype, 1.0 / 3), fa_record_number(dtype, 0));
}

FA_CURVED_GRADIENT(hardswish, curvature)

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
    .gradient = grad_gradient,
    .reference = grad_reference,
};

fa_tensor *fa_hardswish_at(const fa_activation_args *args)
{
    fa_begin(args->where_);
    return fa_activate(FA_OP_hardswish, args->x, fa_use(args->x, "hardswish", "input"), (double[]){0, 0}, args->inplace,
                       "hardswish");
}
