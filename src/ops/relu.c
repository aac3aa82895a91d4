/* relu: y = max(a, 0), NaN stays. relu_grad(g, y): g where y > 0 or y is NaN, else 0; its own gradient to g is the same
 * op, to y none. */
#include "ops/elementwise.h"

static bool infer(fa_node *node)
{
    if (node->in[0]->meta.dtype == FA_DT_BOOL)
        return fa_refuse(FA_DTYPE_ERROR, "relu", "got bool, needs numbers. Hint: fa_to_dtype(x, FA_FLOAT32)");
    return fa_infer_same(node);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_record2(FA_OP_relu_grad, grad, node);
}

static void reference(const fa_kernel_args *args)
{
    FA_UNARY(x < 0 ? 0 : x, x < 0 ? 0 : x)
}

const fa_op_def fa_op_relu = {
    .name = "relu",
    .grad_name = "ReluBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
};

static void grad_reference(const fa_kernel_args *args)
{
    FA_BINARY(y <= 0 ? 0 : x, y == 0 ? 0 : x, x && y)
}

static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record2(FA_OP_relu_grad, grad, node->in[1]);
}

const fa_op_def fa_op_relu_grad = {
    .name = "relu_grad",
    .grad_name = "ThresholdBackwardBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_broadcast,
    .gradient = grad_gradient,
    .reference = grad_reference,
};

fa_tensor *fa_relu_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "relu", "input");
    return fa_handle(x ? fa_record1(FA_OP_relu, x) : NULL);
}

fa_tensor *fa_relu_inplace_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "relu_", "input");
    return fa_finish_inplace(a, x, x ? fa_record1(FA_OP_relu, x) : NULL, "relu_");
}
