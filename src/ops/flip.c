/* flip: the order of elements reversed along dimensions (ints[0]: a mask). Gradient: flipped again. */
#include "ops/reduce.h"
#include "ops/views.h"

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_record(FA_OP_flip, 1, &grad, node->ints, sizeof(int64_t), NULL, 0);
}

static void reference(const fa_kernel_args *args)
{
    const fa_meta *meta = args->out_meta[0];
    int64_t stride[FA_MAX_DIMS], step = 1, first = 0;
    for (int d = meta->ndim - 1; d >= 0; d--) {
        const bool reversed = (args->ints[0] >> d & 1) != 0;
        first += reversed ? (meta->shape[d] - 1) * step : 0;
        stride[d] = reversed ? -step : step;
        step *= meta->shape[d];
    }
    if (step > 0)
        fa_strided_copy(args->out[0], (const char *)args->in[0] + first * fa_dtype_size(meta->dtype), meta, stride);
}

const fa_op_def fa_op_flip = {
    .name = "flip",
    .grad_name = "FlipBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_same,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_none,
};

fa_tensor *fa_flip_at(fa_tensor *x, fa_shape dims, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "flip", "x");
    int64_t mask = 0;
    if (!node || (dims.ndim != 0 && !fa_reduce_mask(node, &dims, &mask, "flip")))
        return NULL;
    return fa_handle(fa_record(FA_OP_flip, 1, &node, &mask, sizeof mask, NULL, 0));
}
