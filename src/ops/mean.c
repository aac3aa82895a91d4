/* mean over dimensions (fa_dims_ints): the sum divided by the number of elements; of nothing, NaN. Gradient: g / n. */
#include "ops/reduce.h"

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const fa_reduce r = fa_reduce_of(&node->in[0]->meta, node->ints[0]);
    grad_in[0] = fa_record_spread(node, fa_record_scalar(FA_OP_div_scalar, grad, (double)r.count));
}

static const char *grad_label(const fa_node *node)
{
    return node->ints[2] ? "MeanBackward1" : "MeanBackward0";
}

static void reference(const fa_kernel_args *args)
{
    fa_reduce_sum(args, args->ints[0], (double)fa_reduce_of(args->in_meta[0], args->ints[0]).count);
}

const fa_op_def fa_op_mean = {
    .name = "mean",
    .grad_name = "MeanBackward0",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_reduced_float,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_input,
};

fa_tensor *fa_mean_at(const fa_sum_args *args)
{
    return fa_reduce_as(FA_OP_mean, args);
}
