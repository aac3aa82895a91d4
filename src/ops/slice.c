/* slice: elements start, start + step, ... of dimension dim (fa_slice_ints); select is a slice of one without its
 * dimension. slice_grad puts the gradient into zeros of base_shape; slice_write(base, src) is a copy of base in which
 * the slice is src: how a write through a slice reaches what was sliced. */
#include "ops/views.h"

#include <string.h>

static bool infer(fa_node *node)
{
    const fa_slice_ints *ints = (const fa_slice_ints *)node->ints;
    fa_infer_same(node);
    node->meta.shape[ints->dim] = ints->length;
    fa_mark_contiguity(node);
    return true;
}

/* The attributes of a slice of `base`, from those of a slice of a tensor of the same shape. */
static fa_slice_ints with_base(const fa_node *node, const fa_meta *base)
{
    fa_slice_ints ints = *(const fa_slice_ints *)node->ints;
    memcpy(ints.base_shape, base->shape, sizeof ints.base_shape);
    return ints;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const fa_slice_ints ints = with_base(node, &node->in[0]->meta);
    grad_in[0] = fa_record(FA_OP_slice_grad, 1, &grad, FA_INTS(ints), NULL, 0);
}

static const char *grad_label(const fa_node *node)
{
    static const char *const label[] = {[FA_SLICE] = "SliceBackward0",
                                        [FA_SLICE_SPLIT] = "SplitBackward0",
                                        [FA_SLICE_SPLIT_SIZES] = "SplitWithSizesBackward0"};
    return label[((const fa_slice_ints *)node->ints)->kind];
}

/* Copies between the slice and its base: rows of `inner` elements. */
typedef struct rows {
    int64_t outer, length, inner; /* inner: bytes */
    int64_t base_outer, base_step;
    int64_t first;
} rows;

static rows rows_of(const fa_meta *base, const int64_t *attributes)
{
    const fa_slice_ints *ints = (const fa_slice_ints *)attributes;
    rows r = {.outer = 1, .length = ints->length, .inner = fa_dtype_size(base->dtype)};
    for (int d = 0; d < base->ndim; d++) {
        if (d < ints->dim)
            r.outer *= base->shape[d];
        else if (d > ints->dim)
            r.inner *= base->shape[d];
    }
    r.base_outer = base->shape[ints->dim] * r.inner;
    r.base_step = ints->step * r.inner;
    r.first = ints->start * r.inner;
    return r;
}

static void put(char *base, const char *part, const rows *r)
{
    for (int64_t o = 0; o < r->outer; o++)
        for (int64_t i = 0; i < r->length; i++)
            memcpy(base + o * r->base_outer + r->first + i * r->base_step, part + (o * r->length + i) * r->inner,
                   (size_t)r->inner);
}

static void reference(const fa_kernel_args *args)
{
    if (fa_meta_numel(args->out_meta[0]) == 0)
        return;
    const rows r = rows_of(args->in_meta[0], args->ints);
    const char *base = args->in[0];
    char *part = args->out[0];
    for (int64_t o = 0; o < r.outer; o++)
        for (int64_t i = 0; i < r.length; i++)
            memcpy(part + (o * r.length + i) * r.inner, base + o * r.base_outer + r.first + i * r.base_step,
                   (size_t)r.inner);
}

const fa_op_def fa_op_slice = {
    .name = "slice",
    .grad_name = "SliceBackward0",
    .grad_label = grad_label,
    .moves = true,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_none,
};

static bool grad_infer(fa_node *node)
{
    const fa_slice_ints *ints = (const fa_slice_ints *)node->ints;
    node->meta = fa_meta_of(node->in[0]->meta.dtype, node->in[0]->meta.ndim, ints->base_shape);
    return true;
}

static fa_node *record_slice(fa_node *node, fa_slice_ints ints)
{
    memset(ints.base_shape, 0, sizeof ints.base_shape);
    return node ? fa_record(FA_OP_slice, 1, &node, FA_INTS(ints), NULL, 0) : NULL;
}

static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = record_slice(grad, *(const fa_slice_ints *)node->ints);
}

static void grad_reference(const fa_kernel_args *args)
{
    const fa_meta *base = args->out_meta[0];
    const size_t bytes = (size_t)(fa_meta_numel(base) * fa_dtype_size(base->dtype));
    const rows r = rows_of(base, args->ints);
    if (bytes == 0)
        return;
    memset(args->out[0], 0, bytes);
    if (fa_meta_numel(args->in_meta[0]) > 0)
        put(args->out[0], args->in[0], &r);
}

const fa_op_def fa_op_slice_grad = {
    .name = "slice_grad",
    .grad_name = "SliceBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = grad_infer,
    .gradient = grad_gradient,
    .reference = grad_reference,
    .flops = fa_flops_none,
};

static bool write_infer(fa_node *node)
{
    const fa_slice_ints *ints = (const fa_slice_ints *)node->ints;
    fa_meta part = node->in[0]->meta;
    part.shape[ints->dim] = ints->length;
    if (!fa_same_shape(&part, &node->in[1]->meta) || part.dtype != node->in[1]->meta.dtype)
        return fa_refuse(FA_SHAPE_ERROR, "slice", "got %s %s to write, needs %s %s",
                         fa_dtype_name(node->in[1]->meta.dtype), fa_shape_text(&node->in[1]->meta),
                         fa_dtype_name(part.dtype), fa_shape_text(&part));
    return fa_infer_same(node);
}

static void write_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0)) {
        fa_node *in[2] = {grad, fa_record_full(&node->in[1]->meta, 0)};
        const fa_slice_ints ints = with_base(node, &node->meta);
        grad_in[0] = grad && in[1] ? fa_record(FA_OP_slice_write, 2, in, FA_INTS(ints), NULL, 0) : NULL;
    }
    if (fa_wants_grad(node, 1))
        grad_in[1] = record_slice(grad, *(const fa_slice_ints *)node->ints);
}

static void write_reference(const fa_kernel_args *args)
{
    const fa_meta *base = args->out_meta[0];
    const size_t bytes = (size_t)(fa_meta_numel(base) * fa_dtype_size(base->dtype));
    const rows r = rows_of(base, args->ints);
    if (bytes == 0)
        return;
    memcpy(args->out[0], args->in[0], bytes);
    if (fa_meta_numel(args->in_meta[1]) > 0)
        put(args->out[0], args->in[1], &r);
}

const fa_op_def fa_op_slice_write = {
    .name = "slice_write",
    .grad_name = "CopySlices",
    .moves = true,
    .layout = FA_LAYOUT_PLAIN,
    .infer = write_infer,
    .gradient = write_gradient,
    .reference = write_reference,
    .flops = fa_flops_none,
};

fa_tensor *fa_slice_at(fa_tensor *x, int dim, int64_t start, int64_t end, int64_t step, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "slice", "x");
    if (!node)
        return NULL;
    if (node->meta.ndim == 0) {
        fa_refuse(FA_INDEX_ERROR, "slice", "got a single number, needs a tensor of at least 1 dimension");
        return NULL;
    }
    const int at = fa_wrap_dim(dim, node->meta.ndim, "slice");
    if (at < 0)
        return NULL;
    if (step < 1) {
        fa_refuse(FA_VALUE_ERROR, "slice", "got step %lld, needs 1 or more. Hint: 1 takes every element",
                  (long long)step);
        return NULL;
    }
    const int64_t size = node->meta.shape[at];
    start = start < -size ? 0 : start < 0 ? start + size : start > size ? size : start;
    end = end < -size ? 0 : end < 0 ? end + size : end > size ? size : end;
    fa_slice_ints ints = {.dim = at, .start = start, .step = step};
    if (end > start)
        ints.length = (end - start - 1) / step + 1;
    if (ints.length <= 1)
        ints.step = 1;
    return fa_handle_view(record_slice(node, ints), x);
}

fa_tensor *fa_select_at(fa_tensor *x, int dim, int64_t index, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "select", "x");
    if (!node)
        return NULL;
    if (node->meta.ndim == 0) {
        fa_refuse(FA_INDEX_ERROR, "select",
                  "got a single number, needs a tensor of at least 1 dimension. Hint: "
                  "fa_item(x) reads it");
        return NULL;
    }
    const int at = fa_wrap_dim(dim, node->meta.ndim, "select");
    if (at < 0)
        return NULL;
    const int64_t size = node->meta.shape[at];
    if (index < -size || index >= size) {
        if (size == 0)
            fa_refuse(FA_INDEX_ERROR, "select", "got index %lld, but dimension %d of %s is empty", (long long)index, at,
                      fa_shape_text(&node->meta));
        else
            fa_refuse(FA_INDEX_ERROR, "select",
                      "got index %lld, needs %lld to %lld: dimension %d of %s has %lld entries. Hint: the first is 0, "
                      "the last -1",
                      (long long)index, (long long)-size, (long long)size - 1, at, fa_shape_text(&node->meta),
                      (long long)size);
        return NULL;
    }
    const fa_slice_ints ints = {.dim = at, .start = index < 0 ? index + size : index, .step = 1, .length = 1};
    int64_t shape[FA_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < node->meta.ndim; d++)
        if (d != at)
            shape[ndim++] = node->meta.shape[d];
    fa_node *part = record_slice(node, ints);
    fa_tensor *one = fa_handle_view(part, x);
    return one ? fa_handle_view(fa_record_reshape(part, ndim, shape, FA_VIEW_SELECT), one) : NULL;
}
