/* sub: y = a - b, broadcast. Gradients: g and -g, summed over what was broadcast. */
#include "ops/elementwise.h"

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record_sum_to(grad, &node->in[0]->meta);
    if (fa_wants_grad(node, 1))
        grad_in[1] = fa_record_sum_to(fa_record1(FA_OP_neg, grad), &node->in[1]->meta);
}

static void reference(const fa_kernel_args *args)
{
    FA_BINARY(x - y, x - y, x != y)
}

const fa_op_def fa_op_sub = {
    .name = "sub",
    .grad_name = "SubBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_broadcast,
    .gradient = gradient,
    .reference = reference,
};

static fa_node *record(fa_node *x, fa_node *y, const char *what)
{
    if (x && y && (x->meta.dtype == FA_DT_BOOL || y->meta.dtype == FA_DT_BOOL)) {
        fa_refuse(FA_DTYPE_ERROR, what, "got bool, needs numbers. Hint: fa_to_dtype(x, FA_INT64)");
        return NULL;
    }
    return fa_record_binary(FA_OP_sub, x, y);
}

fa_tensor *fa_sub_at(fa_tensor *a, fa_tensor *b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "sub", "a"), *y = fa_use(b, "sub", "b");
    return fa_handle(record(x, y, "sub"));
}

fa_tensor *fa_sub_inplace_at(fa_tensor *a, fa_tensor *b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "sub_", "a"), *y = fa_use(b, "sub_", "b");
    return fa_finish_inplace(a, x, record(x, y, "sub_"), "sub_");
}
