/* log1p: y = log(1 + a), exact for small a; integers as float32. Gradient: g / (a + 1). */
#include "ops/elementwise.h"

#include <math.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_record2(FA_OP_div, grad, fa_record_scalar(FA_OP_add_scalar, node->in[0], 1));
}

static void reference(const fa_kernel_args *args)
{
    FA_UNARY_FLOATS(log1pf(x), log1p(x))
}

const fa_op_def fa_op_log1p = {
    .name = "log1p",
    .grad_name = "Log1PBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_log1p_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_record1(FA_OP_log1p, fa_record_float(fa_use(a, "log1p", "a"))));
}
