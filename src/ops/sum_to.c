/* sum_to: sums x over the dimensions in which a value of the given shape was broadcast (fa_shape_ints): the gradient of
 * broadcasting. Its own gradient: expanded again. */
#include "ops/reduce.h"

static bool infer(fa_node *node)
{
    const fa_shape_ints *ints = (const fa_shape_ints *)node->ints;
    node->meta = fa_meta_of(node->in[0]->meta.dtype, (int)ints->ndim, ints->size);
    return true;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_record_expand_as(grad, &node->in[0]->meta);
}

static void reference(const fa_kernel_args *args)
{
    const fa_meta *in = args->in_meta[0], *out = args->out_meta[0];
    const int added = in->ndim - out->ndim;
    int64_t mask = 0;
    for (int d = 0; d < in->ndim; d++)
        if (d < added || (out->shape[d - added] == 1 && in->shape[d] != 1))
            mask |= INT64_C(1) << d;
    fa_reduce_sum(args, mask, 1);
}

const fa_op_def fa_op_sum_to = {
    .name = "sum_to",
    .grad_name = "SumBackward1",
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_input,
};
