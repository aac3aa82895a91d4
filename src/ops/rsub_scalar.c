/* rsub_scalar: y = s - a, s = floats[0]. Gradient: -g. */
#include "ops/elementwise.h"

static bool infer(fa_node *node)
{
    if (node->in[0]->meta.dtype == FA_DT_BOOL)
        return fa_refuse(FA_DTYPE_ERROR, "rsub",
                         "got bool, needs numbers. Hint: fa_logical_not(x) turns true and false round");
    return fa_infer_same(node);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    (void)node;
    grad_in[0] = fa_record1(FA_OP_neg, grad);
}

static void reference(const fa_kernel_args *args)
{
    FA_SCALAR_OP(s - x, s - x)
}

const fa_op_def fa_op_rsub_scalar = {
    .name = "rsub",
    .grad_name = "RsubBackward1",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_rsub_at(double a, fa_tensor *b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(b, "rsub", "b");
    if (!x)
        return NULL;
    const int dtype = x->meta.dtype == FA_DT_BOOL ? FA_DT_BOOL : fa_promote_number(&x->meta, a);
    return fa_handle(fa_record_scalar(FA_OP_rsub_scalar, fa_record_cast(x, dtype), a));
}
