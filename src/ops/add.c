/* add: y = a + b, broadcast. bool + bool is "or". The gradient goes to both, summed over what was broadcast. */
#include "ops/elementwise.h"

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    for (int i = 0; i < 2; i++)
        if (fa_wants_grad(node, i))
            grad_in[i] = fa_record_sum_to(grad, &node->in[i]->meta);
}

static void reference(const fa_kernel_args *args)
{
    FA_BINARY(x + y, x + y, x || y)
}

const fa_op_def fa_op_add = {
    .name = "add",
    .grad_name = "AddBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_broadcast,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_add_at(fa_tensor *a, fa_tensor *b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "add", "a"), *y = fa_use(b, "add", "b");
    return fa_handle(fa_record_binary(FA_OP_add, x, y));
}

fa_tensor *fa_add_inplace_at(fa_tensor *a, fa_tensor *b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "add_", "a"), *y = fa_use(b, "add_", "b");
    return fa_finish_inplace(a, x, fa_record_binary(FA_OP_add, x, y), "add_");
}
