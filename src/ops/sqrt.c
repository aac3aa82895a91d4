/* sqrt: y = root of a; integers as float32. Gradient: g / (2 y). */
#include "ops/elementwise.h"

#include <math.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_record2(FA_OP_div, grad, fa_record_scalar(FA_OP_mul_scalar, node, 2));
}

static void reference(const fa_kernel_args *args)
{
    FA_UNARY_FLOATS(sqrtf(x), sqrt(x))
}

const fa_op_def fa_op_sqrt = {
    .name = "sqrt",
    .grad_name = "SqrtBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_sqrt_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_record1(FA_OP_sqrt, fa_record_float(fa_use(a, "sqrt", "a"))));
}
