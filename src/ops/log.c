/* log: y = ln a; integers as float32. Gradient: g / a. */
#include "ops/elementwise.h"

#include <math.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_record2(FA_OP_div, grad, node->in[0]);
}

static void reference(const fa_kernel_args *args)
{
    FA_UNARY_FLOATS(logf(x), log(x))
}

const fa_op_def fa_op_log = {
    .name = "log",
    .grad_name = "LogBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_log_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_record1(FA_OP_log, fa_record_float(fa_use(a, "log", "a"))));
}
