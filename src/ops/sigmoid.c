/* sigmoid: y = 1 / (1 + e^-x); integers as float32. Gradient: g * y * (1 - y). */
#include "ops/activation.h"

static const double none[2];

FA_ACTIVATION_KERNEL(reference, 1 / (1 + exp(-x)))
FA_ACTIVATION_GRAD_KERNEL(grad_reference, g *(1 - x) * x) /* x is y here */
FA_ACTIVATION(sigmoid, "SigmoidBackward0", fa_infer_float, node, FA_CURVED)

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
