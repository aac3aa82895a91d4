/* exp: y = e^a; integers as float32. Gradient: g * y. */
#include "ops/elementwise.h"

#include <math.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_record2(FA_OP_mul, grad, node);
}

static void reference(const fa_kernel_args *args)
{
    FA_UNARY_FLOATS(expf(x), exp(x))
}

const fa_op_def fa_op_exp = {
    .name = "exp",
    .grad_name = "ExpBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_exp_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_record1(FA_OP_exp, fa_record_float(fa_use(a, "exp", "a"))));
}
