/* sum over dimensions (fa_dims_ints). Integers and bool give int64. Gradient: g spread over the input. */
#include "ops/kernel_types.h"
#include "ops/reduce.h"

static bool infer(fa_node *node)
{
    fa_infer_reduced(node);
    if (!fa_is_float(node->meta.dtype))
        node->meta.dtype = FA_DT_INT64;
    return true;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_record_spread(node, grad);
}

static const char *grad_label(const fa_node *node)
{
    return node->ints[2] ? "SumBackward1" : "SumBackward0";
}

static void reference(const fa_kernel_args *args)
{
    fa_reduce_sum(args, args->ints[0], 1);
}

const fa_op_def fa_op_sum = {
    .name = "sum",
    .grad_name = "SumBackward0",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_input,
};

fa_tensor *fa_sum_at(const fa_sum_args *args)
{
    return fa_reduce_as(FA_OP_sum, args);
}
