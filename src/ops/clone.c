/* clone: a copy. Gradient: g. ints[0] (clone_kind) says what asked for it, which decides about
 * the strides that PyTorch's copy would have. */
#include "ops/views.h"

#include <string.h>

enum clone_kind { CLONE, CONTIGUOUS, COPY };

static bool infer(fa_node *node)
{
    fa_infer_same(node);
    if (node->in[0]->noncontiguous && node->ints[0] == CLONE)
        fa_mark_contiguity(node);
    return true;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    (void)node;
    grad_in[0] = grad;
}

static const char *grad_label(const fa_node *node)
{
    return node->ints[0] == COPY ? "CopyBackwards" : "CloneBackward0";
}

static void reference(const fa_kernel_args *args)
{
    const fa_meta *meta = args->out_meta[0];
    const size_t bytes = (size_t)(fa_meta_numel(meta) * fa_dtype_size(meta->dtype));
    if (bytes > 0)
        memmove(args->out[0], args->in[0], bytes);
}

const fa_op_def fa_op_clone = {
    .name = "clone",
    .grad_name = "CloneBackward0",
    .grad_label = grad_label,
    .moves = true,
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_none,
};

static fa_node *record(fa_node *node, int64_t kind)
{
    return node ? fa_record(FA_OP_clone, 1, &node, FA_INTS(kind), NULL, 0) : NULL;
}

fa_tensor *fa_clone_at(fa_tensor *x, fa_where where)
{
    fa_begin(where);
    return fa_handle(record(fa_use(x, "clone", "x"), CLONE));
}

fa_tensor *fa_contiguous_at(fa_tensor *x, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "contiguous", "x");
    return node && !node->noncontiguous ? x : fa_handle(record(node, CONTIGUOUS));
}

fa_tensor *fa_copy_inplace_at(fa_tensor *a, fa_tensor *source, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "copy_", "a"), *from = fa_use(source, "copy_", "source");
    if (!x || !from)
        return NULL;
    fa_node *value = fa_record_expand_as(fa_record_convert(from, x->meta.dtype), &x->meta);
    return fa_finish_replace(a, x, record(value, COPY), FA_REPLACE_COPY, "copy_");
}
