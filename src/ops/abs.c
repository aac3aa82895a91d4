/* abs: y = |a|. Gradient: g * sign(a). */
#include "ops/elementwise.h"

#include <math.h>

static bool infer(fa_node *node)
{
    if (node->in[0]->meta.dtype == FA_DT_BOOL)
        return fa_refuse(FA_DTYPE_ERROR, "abs", "got bool, needs numbers. Hint: a bool has no sign; leave abs out");
    return fa_infer_same(node);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_record2(FA_OP_mul, grad, fa_record1(FA_OP_sign, node->in[0]));
}

static void reference(const fa_kernel_args *args)
{
    FA_UNARY(fabs((double)x), x < 0 ? -(uint64_t)x : (uint64_t)x)
}

const fa_op_def fa_op_abs = {
    .name = "abs",
    .grad_name = "AbsBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_abs_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_record1(FA_OP_abs, fa_use(a, "abs", "a")));
}
