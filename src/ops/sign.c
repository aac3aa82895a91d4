/* sign: y = 1 where a > 0, -1 where a < 0, else 0, also for NaN. Gradient: 0. */
#include "ops/elementwise.h"

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    (void)grad;
    grad_in[0] = fa_record_full(&node->meta, 0);
}

static void reference(const fa_kernel_args *args)
{
    FA_UNARY((x > 0) - (x < 0), (x > 0) - (x < 0))
}

const fa_op_def fa_op_sign = {
    .name = "sign",
    .grad_name = "SignBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_sign_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_record1(FA_OP_sign, fa_use(a, "sign", "a")));
}
