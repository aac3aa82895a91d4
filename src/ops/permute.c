/* permute: dimension d of the result is dimension dim[d] of the input (fa_permute_ints). Gradient: permuted back. */
#include "ops/views.h"

static bool infer(fa_node *node)
{
    const fa_permute_ints *ints = (const fa_permute_ints *)node->ints;
    node->meta = node->in[0]->meta;
    node->meta.layout = FA_PLAIN;
    for (int d = 0; d < node->meta.ndim; d++)
        node->meta.shape[d] = node->in[0]->meta.shape[ints->dim[d]];
    fa_mark_contiguity(node);
    return true;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const fa_permute_ints *ints = (const fa_permute_ints *)node->ints;
    fa_permute_ints inverse = {.transpose = ints->transpose};
    for (int d = 0; d < node->meta.ndim; d++)
        inverse.dim[ints->dim[d]] = d;
    grad_in[0] = fa_record(FA_OP_permute, 1, &grad, FA_INTS(inverse), NULL, 0);
}

static const char *grad_label(const fa_node *node)
{
    return ((const fa_permute_ints *)node->ints)->transpose ? "TransposeBackward0" : "PermuteBackward0";
}

static void reference(const fa_kernel_args *args)
{
    const fa_permute_ints *ints = (const fa_permute_ints *)args->ints;
    const fa_meta *in = args->in_meta[0], *out = args->out_meta[0];
    int64_t from[FA_MAX_DIMS], stride[FA_MAX_DIMS], step = 1;
    for (int d = in->ndim - 1; d >= 0; d--) {
        from[d] = step;
        step *= in->shape[d];
    }
    for (int d = 0; d < out->ndim; d++)
        stride[d] = from[ints->dim[d]];
    fa_gather(args->out[0], args->in[0], out, stride);
}

const fa_op_def fa_op_permute = {
    .name = "permute",
    .grad_name = "PermuteBackward0",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_none,
};

fa_tensor *fa_permute_at(fa_tensor *x, fa_shape dims, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "permute", "x");
    if (!node)
        return NULL;
    if (dims.ndim != node->meta.ndim) {
        fa_refuse(FA_SHAPE_ERROR, "permute", "got %d dimensions to order, needs all %d of %s", dims.ndim,
                  node->meta.ndim, fa_shape_text(&node->meta));
        return NULL;
    }
    fa_permute_ints ints = {.transpose = 0};
    unsigned seen = 0;
    for (int d = 0; d < dims.ndim; d++) {
        const bool small = dims.size[d] >= -FA_MAX_DIMS && dims.size[d] <= FA_MAX_DIMS;
        const int dim = fa_wrap_dim(small ? (int)dims.size[d] : FA_MAX_DIMS, node->meta.ndim, "permute");
        if (dim < 0)
            return NULL;
        if (seen >> dim & 1) {
            fa_refuse(FA_VALUE_ERROR, "permute",
                      "got %s, needs each dimension once. Hint: fa_transpose swaps two dimensions",
                      fa_dims_text(dims.ndim, dims.size));
            return NULL;
        }
        seen |= 1u << dim;
        ints.dim[d] = dim;
    }
    return fa_handle_view(fa_record(FA_OP_permute, 1, &node, FA_INTS(ints), NULL, 0), x);
}

fa_tensor *fa_transpose_at(fa_tensor *x, int dim0, int dim1, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "transpose", "x");
    const int a = node ? fa_wrap_dim(dim0, node->meta.ndim, "transpose") : -1;
    const int b = a < 0 ? -1 : fa_wrap_dim(dim1, node->meta.ndim, "transpose");
    if (a < 0 || b < 0)
        return NULL;
    fa_permute_ints ints = {.transpose = 1};
    for (int d = 0; d < FA_MAX_DIMS; d++)
        ints.dim[d] = d == a ? b : d == b ? a : d;
    return fa_handle_view(fa_record(FA_OP_permute, 1, &node, FA_INTS(ints), NULL, 0), x);
}
