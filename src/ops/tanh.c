/* tanh: y = tanh(x); integers as float32. Gradient: g * (1 - y^2). */
#include "ops/activation.h"

static const double none[2];

FA_ACTIVATION_KERNEL(reference, tanh(x))
FA_ACTIVATION_GRAD_KERNEL(grad_reference, g *(1 - x * x)) /* x is y here */
FA_ACTIVATION(tanh, "TanhBackward0", fa_infer_float, node, FA_CURVED)

fa_tensor *fa_tanh_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    return fa_activate(FA_OP_tanh, a, fa_record_float(fa_use(a, "tanh", "input")), none, false, "tanh");
}

fa_tensor *fa_tanh_inplace_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "tanh_", "input");
    fa_node *y = x ? fa_record(FA_OP_tanh, 1, (fa_node *[]){fa_record_float(x)}, NULL, 0, none, 2) : NULL;
    return fa_finish_inplace(a, x, y, "tanh_");
}
