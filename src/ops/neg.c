/* neg: y = -a. Gradient: -g. */
#include "ops/elementwise.h"

static bool infer(fa_node *node)
{
    if (node->in[0]->meta.dtype == FA_DT_BOOL)
        return fa_refuse(FA_DTYPE_ERROR, "neg",
                         "got bool, needs numbers. Hint: fa_eq(x, 0) turns true and false round");
    return fa_infer_same(node);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    (void)node;
    grad_in[0] = fa_record1(FA_OP_neg, grad);
}

static void reference(const fa_kernel_args *args)
{
    FA_UNARY(-x, -(uint64_t)x)
}

const fa_op_def fa_op_neg = {
    .name = "neg",
    .grad_name = "NegBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_neg_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "neg", "a");
    return fa_handle(x ? fa_record1(FA_OP_neg, x) : NULL);
}
