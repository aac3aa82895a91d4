/* reshape: the same elements in the same order under another shape (fa_shape_ints). Gradient: reshaped back.
 * view, reshape, flatten, squeeze, unsqueeze and detach are all this op; detach is one without history. */
#include "ops/views.h"

#include <string.h>

static const char *const label[FA_VIEW_KINDS] = {
    [FA_VIEW] = "ViewBackward0",
    [FA_VIEW_ALIAS] = "ReshapeAliasBackward0",
    [FA_VIEW_COPY] = "UnsafeViewBackward0",
    [FA_VIEW_SQUEEZE] = "SqueezeBackward1",
    [FA_VIEW_SQUEEZE_ALL] = "SqueezeBackward0",
    [FA_VIEW_SQUEEZE_RESULT] = "SqueezeBackward4",
    [FA_VIEW_UNSQUEEZE] = "UnsqueezeBackward0",
    [FA_VIEW_SELECT] = "SelectBackward0",
    [FA_VIEW_UNBIND] = "UnbindBackward0",
    [FA_VIEW_DOT] = "DotBackward0",
    [FA_VIEW_MV] = "MvBackward0",
};

static const char *grad_label(const fa_node *node)
{
    const int64_t kind = ((const fa_shape_ints *)node->ints)->kind;
    if (kind != FA_VIEW_HIDDEN)
        return label[kind];
    const fa_op_def *def = fa_op_table[node->in[0]->op];
    return def->grad_label ? def->grad_label(node->in[0]) : def->grad_name;
}

static bool infer(fa_node *node)
{
    const fa_shape_ints *ints = (const fa_shape_ints *)node->ints;
    const fa_meta *in = &node->in[0]->meta;
    node->meta = fa_meta_of(in->dtype, (int)ints->ndim, ints->size);
    if (fa_meta_numel(in) != fa_meta_numel(&node->meta))
        return fa_refuse(FA_SHAPE_ERROR, "reshape", "got %s (%lld elements), needs the %lld elements of %s",
                         fa_shape_text(&node->meta), (long long)fa_meta_numel(&node->meta),
                         (long long)fa_meta_numel(in), fa_shape_text(in));
    if (node->in[0]->noncontiguous)
        fa_mark_contiguity(node);
    return true;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_record_reshape_as(grad, &node->in[0]->meta);
}

static void reference(const fa_kernel_args *args)
{
    const fa_meta *meta = args->out_meta[0];
    const size_t bytes = (size_t)(fa_meta_numel(meta) * fa_dtype_size(meta->dtype));
    if (bytes > 0 && args->out[0] != args->in[0])
        memcpy(args->out[0], args->in[0], bytes);
}

const fa_op_def fa_op_reshape = {
    .name = "reshape",
    .grad_name = "ViewBackward0",
    .grad_label = grad_label,
    .moves = true,
    .layout = FA_LAYOUT_PLAIN,
    .alias = true,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_none,
};

bool fa_check_ndim(const fa_shape *shape, const char *what)
{
    if (shape->ndim < 0 || shape->ndim > FA_MAX_DIMS)
        return fa_refuse(FA_VALUE_ERROR, what, "got a shape of %d dimensions, needs 0 to %d", shape->ndim, FA_MAX_DIMS);
    return true;
}

fa_tensor *fa_reshaped(fa_tensor *handle, fa_node *x, int ndim, const int64_t *size, fa_view_kind kind)
{
    int64_t from[FA_MAX_DIMS], to[FA_MAX_DIMS];
    if (!x)
        return NULL;
    if (ndim > FA_MAX_DIMS) {
        fa_refuse(FA_VALUE_ERROR, "unsqueeze", "got a shape of %d dimensions, needs 0 to %d", ndim, FA_MAX_DIMS);
        return NULL;
    }
    fa_node_strides(x, from);
    if (fa_view_strides(&x->meta, from, ndim, size, to))
        return fa_handle_view(
            fa_record_reshape(x, ndim, size, kind == FA_VIEW && x->noncontiguous ? FA_VIEW_ALIAS : kind), handle);
    return fa_handle(fa_record_reshape(x, ndim, size, FA_VIEW_COPY));
}

/* Fills in a -1 and checks the number of elements. */
static bool complete(const fa_node *x, const fa_shape *shape, int64_t *size, const char *what)
{
    const int64_t have = fa_meta_numel(&x->meta);
    int64_t known = 1;
    int missing = -1;
    bool fits = true;
    if (!fa_check_ndim(shape, what))
        return false;
    for (int d = 0; d < shape->ndim; d++) {
        size[d] = shape->size[d];
        if (size[d] == -1) {
            if (missing >= 0)
                return fa_refuse(FA_SHAPE_ERROR, what, "got %s, needs at most one -1. Hint: write the other size out",
                                 fa_dims_text(shape->ndim, shape->size));
            missing = d;
        } else if (size[d] < 0) {
            return fa_refuse(FA_SHAPE_ERROR, what, "got %s, needs sizes of 0 or more, or one -1",
                             fa_dims_text(shape->ndim, shape->size));
        } else if (size[d] > 0 && __builtin_mul_overflow(known, size[d], &known)) {
            fits = false;
            known = INT64_MAX;
        } else if (size[d] == 0) {
            known = 0;
            fits = have == 0;
        }
    }
    if (missing >= 0 && known == 0)
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got %s, where -1 could be any size, as there are no elements. Hint: write the size out",
                         fa_dims_text(shape->ndim, shape->size));
    if (missing >= 0) {
        if (!fits || have % known != 0)
            return fa_refuse(
                FA_SHAPE_ERROR, what,
                "got %s, needs sizes whose product divides %lld, the elements of %s. Hint: -1 stands for what is left",
                fa_dims_text(shape->ndim, shape->size), (long long)have, fa_shape_text(&x->meta));
        size[missing] = have / known;
        return true;
    }
    if (!fits || known != have)
        return fa_refuse(
            FA_SHAPE_ERROR, what,
            "got %s (%lld elements), needs the %lld elements of %s. Hint: one size may be -1 to be worked out",
            fa_dims_text(shape->ndim, shape->size), (long long)known, (long long)have, fa_shape_text(&x->meta));
    return true;
}

fa_tensor *fa_view_at(fa_tensor *x, fa_shape shape, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "view", "x");
    int64_t size[FA_MAX_DIMS], from[FA_MAX_DIMS], to[FA_MAX_DIMS];
    if (!node || !complete(node, &shape, size, "view"))
        return NULL;
    fa_node_strides(node, from);
    if (!fa_view_strides(&node->meta, from, shape.ndim, size, to)) {
        fa_refuse(FA_SHAPE_ERROR, "view",
                  "got %s for a tensor %s whose elements do not lie in order (it is transposed or cut out of another), "
                  "needs dimensions that need no copy. Hint: fa_reshape copies where it must",
                  fa_dims_text(shape.ndim, size), fa_shape_text(&node->meta));
        return NULL;
    }
    return fa_handle_view(fa_record_reshape(node, shape.ndim, size, FA_VIEW), x);
}

fa_tensor *fa_reshape_at(fa_tensor *x, fa_shape shape, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "reshape", "x");
    int64_t size[FA_MAX_DIMS];
    return node && complete(node, &shape, size, "reshape") ? fa_reshaped(x, node, shape.ndim, size, FA_VIEW) : NULL;
}

fa_tensor *fa_flatten_at(fa_tensor *x, int start_dim, int end_dim, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "flatten", "x");
    if (!node)
        return NULL;
    const int start = fa_wrap_dim(start_dim, node->meta.ndim, "flatten");
    const int end = start < 0 ? -1 : fa_wrap_dim(end_dim, node->meta.ndim, "flatten");
    if (start < 0 || end < 0)
        return NULL;
    if (node->meta.ndim == 0)
        return fa_reshaped(x, node, 1, &(int64_t){1}, FA_VIEW);
    if (start > end) {
        fa_refuse(
            FA_VALUE_ERROR, "flatten",
            "got start_dim %d after end_dim %d, needs start_dim <= end_dim for %s. Hint: -1 is the last dimension",
            start_dim, end_dim, fa_shape_text(&node->meta));
        return NULL;
    }
    if (start == end)
        return x;
    int64_t size[FA_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < node->meta.ndim; d++) {
        if (d > start && d <= end)
            size[ndim - 1] *= node->meta.shape[d];
        else
            size[ndim++] = node->meta.shape[d];
    }
    return fa_reshaped(x, node, ndim, size, FA_VIEW);
}

fa_tensor *fa_squeeze_at(fa_tensor *x, int dim, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "squeeze", "x");
    const int at = node ? fa_wrap_dim(dim, node->meta.ndim, "squeeze") : -1;
    if (at < 0)
        return NULL;
    int64_t size[FA_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < node->meta.ndim; d++)
        if (d != at || node->meta.shape[d] != 1)
            size[ndim++] = node->meta.shape[d];
    return fa_reshaped(x, node, ndim, size, FA_VIEW_SQUEEZE);
}

fa_tensor *fa_squeeze_all_at(fa_tensor *x, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "squeeze", "x");
    int64_t size[FA_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; node && d < node->meta.ndim; d++)
        if (node->meta.shape[d] != 1)
            size[ndim++] = node->meta.shape[d];
    return fa_reshaped(x, node, ndim, size, FA_VIEW_SQUEEZE_ALL);
}

fa_tensor *fa_unsqueeze_at(fa_tensor *x, int dim, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "unsqueeze", "x");
    const int at = node ? fa_wrap_dim(dim, node->meta.ndim + 1, "unsqueeze") : -1;
    if (at < 0)
        return NULL;
    int64_t size[FA_MAX_DIMS + 1];
    memcpy(size, node->meta.shape, sizeof(int64_t) * (size_t)at);
    size[at] = 1;
    memcpy(size + at + 1, node->meta.shape + at, sizeof(int64_t) * (size_t)(node->meta.ndim - at));
    return fa_reshaped(x, node, node->meta.ndim + 1, size, FA_VIEW_UNSQUEEZE);
}

fa_tensor *fa_detach_at(fa_tensor *x, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "detach", "x");
    fa_node *view = fa_record_reshape(node, node ? node->meta.ndim : 0, node ? node->meta.shape : NULL, FA_VIEW);
    if (!view)
        return NULL;
    view->requires_grad = false;
    view->detached = true;
    return fa_handle_view(view, x);
}
