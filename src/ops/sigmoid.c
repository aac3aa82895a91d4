/* sigmoid: y = 1 / (1 + e^-x); integers as float32. Gradient: g * y * (1 - y). */
#include "ops/activation.h"

static const double none[2];

FA_ACTIVATION_KERNEL(reference, 1 / (1 + exp(-x)))
FA_ACTIVATION_GRAD_KERNEL(grad_reference, g *(1 - x) * x) /* x is y here */
FA_ACTIVATION_GRADIENT(sigmoid, node)

/* To g the same op on h; to y  h * g * (1 - 2y). */
static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record_like(FA_OP_sigmoid_grad, node, 2, (fa_node *[]){grad, node->in[1]});
    if (fa_wants_grad(node, 1))
        grad_in[1] =
            fa_record2(FA_OP_mul, fa_record2(FA_OP_mul, grad, node->in[0]),
                       fa_record_scalar(FA_OP_add_scalar, fa_record_scalar(FA_OP_mul_scalar, node->in[1], -2), 1));
}

const fa_op_def fa_op_sigmoid = {
    .name = "sigmoid",
    .grad_name = "SigmoidBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

/* inputs: g, y */
const fa_op_def fa_op_sigmoid_grad = {
    .name = "sigmoid_grad",
    .grad_name = "SigmoidBackwardBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .gradient = grad_gradient,
    .reference = grad_reference,
};

fa_tensor *fa_sigmoid_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    return fa_activate(FA_OP_sigmoid, a, fa_record_float(fa_use(a, "sigmoid", "input")), none, false, "sigmoid");
}

fa_tensor *fa_sigmoid_inplace_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "sigmoid_", "input");
    fa_node *y = x ? fa_record(FA_OP_sigmoid, 1, (fa_node *[]){fa_record_float(x)}, NULL, 0, none, 2) : NULL;
    return fa_finish_inplace(a, x, y, "sigmoid_");
}
