/* div: y = a / b, broadcast; integers are divided as float32. Gradients: g / b and -g * (y / b), summed over what was
 * broadcast. */
#include "ops/elementwise.h"

static bool infer(fa_node *node)
{
    if (!fa_is_float(node->in[0]->meta.dtype))
        return fa_refuse(FA_DTYPE_ERROR, "div", "got %s, needs float32 or float64",
                         fa_dtype_name(node->in[0]->meta.dtype));
    return fa_infer_broadcast(node);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *b = node->in[1];
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record_sum_to(fa_record2(FA_OP_div, grad, b), &node->in[0]->meta);
    if (fa_wants_grad(node, 1)) {
        fa_node *share = fa_record2(FA_OP_mul, fa_record1(FA_OP_neg, grad), fa_record2(FA_OP_div, node, b));
        grad_in[1] = fa_record_sum_to(share, &b->meta);
    }
}

#define DIVIDE(T) FA_BINARY_LOOP(T, T, T, x / y)

static void reference(const fa_kernel_args *args)
{
    switch (args->out_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        DIVIDE(float)
    default:
        DIVIDE(double)
    }
}

const fa_op_def fa_op_div = {
    .name = "div",
    .grad_name = "DivBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
};

static fa_node *record(fa_node *x, fa_node *y)
{
    if (!x || !y)
        return NULL;
    if (!fa_is_float(fa_promote(&x->meta, &y->meta))) {
        x = fa_record_cast(x, FA_DT_FLOAT32);
        y = fa_record_cast(y, FA_DT_FLOAT32);
    }
    return fa_record_binary(FA_OP_div, x, y);
}

fa_tensor *fa_div_at(fa_tensor *a, fa_tensor *b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "div", "a"), *y = fa_use(b, "div", "b");
    return fa_handle(record(x, y));
}

fa_tensor *fa_div_inplace_at(fa_tensor *a, fa_tensor *b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "div_", "a"), *y = fa_use(b, "div_", "b");
    return fa_finish_inplace(a, x, record(x, y), "div_");
}
