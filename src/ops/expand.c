/* expand: x repeated to a wider shape, as in broadcasting (fa_shape_ints). Gradient: summed back (sum_to). */
#include "ops/views.h"

static bool infer(fa_node *node)
{
    const fa_shape_ints *ints = (const fa_shape_ints *)node->ints;
    const fa_meta *in = &node->in[0]->meta;
    node->meta = fa_meta_of(in->dtype, (int)ints->ndim, ints->size);
    const int added = node->meta.ndim - in->ndim;
    bool fits = added >= 0;
    for (int d = 0; d < in->ndim && fits; d++)
        fits = in->shape[d] == 1 || in->shape[d] == node->meta.shape[added + d];
    if (!fits)
        return fa_refuse(FA_SHAPE_ERROR, "expand",
                         "got %s to expand to %s, needs sizes that are equal, or 1 in the tensor, counted from the "
                         "last. Hint: fa_unsqueeze makes a dimension of size 1",
                         fa_shape_text(in), fa_shape_text(&node->meta));
    fa_mark_contiguity(node);
    return true;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_record_sum_to(grad, &node->in[0]->meta);
}

static void reference(const fa_kernel_args *args)
{
    const fa_meta *in = args->in_meta[0], *out = args->out_meta[0];
    int64_t stride[FA_MAX_DIMS] = {0}, step = 1;
    for (int d = in->ndim - 1; d >= 0; d--) {
        stride[out->ndim - in->ndim + d] = in->shape[d] == 1 ? 0 : step;
        step *= in->shape[d];
    }
    fa_strided_copy(args->out[0], args->in[0], out, stride);
}

const fa_op_def fa_op_expand = {
    .name = "expand",
    .grad_name = "ExpandBackward0",
    .moves = true,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_none,
};

fa_tensor *fa_expand_at(fa_tensor *x, fa_shape shape, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "expand", "x");
    if (!node || !fa_check_ndim(&shape, "expand"))
        return NULL;
    fa_shape_ints ints = {.ndim = shape.ndim};
    const int added = shape.ndim - node->meta.ndim;
    for (int d = 0; d < shape.ndim; d++) {
        ints.size[d] = shape.size[d];
        if (ints.size[d] == -1 && d >= added && added >= 0)
            ints.size[d] = node->meta.shape[d - added];
        if (ints.size[d] < 0) {
            fa_refuse(FA_SHAPE_ERROR, "expand",
                      "got %s for %s, needs sizes of 0 or more; -1 keeps a size that the tensor has",
                      fa_dims_text(shape.ndim, shape.size), fa_shape_text(&node->meta));
            return NULL;
        }
    }
    fa_meta meta;
    const fa_shape full = {.ndim = shape.ndim,
                           .size = {ints.size[0], ints.size[1], ints.size[2], ints.size[3], ints.size[4], ints.size[5],
                                    ints.size[6], ints.size[7]}};
    if (!fa_meta_from_shape(&meta, (fa_dtype)node->meta.dtype, &full, "expand"))
        return NULL;
    return fa_handle_view(fa_record(FA_OP_expand, 1, &node, FA_INTS(ints), NULL, 0), x);
}
