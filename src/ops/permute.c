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
    fa_permute_ints inverse = {.kind = ints->kind};
    for (int d = 0; d < node->meta.ndim; d++)
        inverse.dim[ints->dim[d]] = d;
    grad_in[0] = fa_record(FA_OP_permute, 1, &grad, FA_INTS(inverse), NULL, 0);
}

static const char *grad_label(const fa_node *node)
{
    static const char *const label[] = {[FA_PERMUTE] = "PermuteBackward0",
                                        [FA_PERMUTE_TRANSPOSE] = "TransposeBackward0",
                                        [FA_PERMUTE_T] = "TBackward0"};
    return label[((const fa_permute_ints *)node->ints)->kind];
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
    fa_strided_copy(args->out[0], args->in[0], out, stride);
}

const fa_op_def fa_op_permute = {
    .name = "permute",
    .grad_name = "PermuteBackward0",
    .grad_label = grad_label,
    .moves = true,
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
    fa_permute_ints ints = {.kind = FA_PERMUTE};
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

static fa_tensor *swapped(fa_tensor *x, fa_node *node, int a, int b, fa_permute_kind kind)
{
    fa_permute_ints ints = {.kind = kind};
    for (int d = 0; d < FA_MAX_DIMS; d++)
        ints.dim[d] = d == a ? b : d == b ? a : d;
    return fa_handle_view(fa_record(FA_OP_permute, 1, &node, FA_INTS(ints), NULL, 0), x);
}

fa_tensor *fa_transpose_at(fa_tensor *x, int dim0, int dim1, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "transpose", "x");
    const int a = node ? fa_wrap_dim(dim0, node->meta.ndim, "transpose") : -1;
    const int b = a < 0 ? -1 : fa_wrap_dim(dim1, node->meta.ndim, "transpose");
    return a < 0 || b < 0 ? NULL : swapped(x, node, a, b, FA_PERMUTE_TRANSPOSE);
}

fa_tensor *fa_t_at(fa_tensor *x, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "t", "x");
    if (!node)
        return NULL;
    if (node->meta.ndim > 2) {
        fa_refuse(FA_SHAPE_ERROR, "t", "got %s, needs at most 2 dimensions. Hint: fa_transpose swaps any two",
                  fa_shape_text(&node->meta));
        return NULL;
    }
    return swapped(x, node, 0, node->meta.ndim == 2, FA_PERMUTE_T);
}

fa_tensor *fa_movedim_at(fa_tensor *x, int source, int destination, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "movedim", "x");
    const int from = node ? fa_wrap_dim(source, node->meta.ndim, "movedim") : -1;
    const int to = from < 0 ? -1 : fa_wrap_dim(destination, node->meta.ndim, "movedim");
    if (from < 0 || to < 0)
        return NULL;
    fa_permute_ints ints = {.kind = FA_PERMUTE};
    for (int d = 0, rest = 0; d < node->meta.ndim; d++) {
        rest += rest == from;
        ints.dim[d] = d == to ? from : rest++;
    }
    return fa_handle_view(fa_record(FA_OP_permute, 1, &node, FA_INTS(ints), NULL, 0), x);
}
