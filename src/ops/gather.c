/* gather along a dimension, and its gradient: dim = d (ints[0]),
 *
 *     y[.., k, ..] = x[.., index[.., k, ..], ..]         y has the shape of index, which is no larger than x elsewhere
 *     gather_grad(g, index, x): zeros of x's shape, g added at the same places in row-major order
 *
 * take_along is gather by indices that need no check: those of sort and topk. */
#include "ops/take.h"

#include <string.h>

typedef struct place {
    int64_t start, step; /* of the line of x to which element i of index belongs */
} place;

/* The line of x along dim on which the element with these coordinates lies. */
static place place_of(const fa_meta *x, const fa_meta *index, int64_t dim, int64_t i)
{
    place p = {0, 1};
    int64_t stride = 1;
    for (int d = x->ndim - 1; d >= 0; d--) {
        if (d == dim)
            p.step = stride;
        else
            p.start += i % index->shape[d] * stride;
        stride *= x->shape[d];
        i /= index->shape[d];
    }
    return p;
}

static bool infer(fa_node *node)
{
    node->meta = node->in[1]->meta;
    node->meta.layout = FA_PLAIN;
    node->meta.dtype = node->in[0]->meta.dtype;
    return true;
}

static fa_node *record(fa_op op, fa_node *a, fa_node *b, fa_node *c, const fa_node *node)
{
    fa_node *in[3] = {a, b, c};
    return fa_record(op, c ? 3 : 2, in, node->ints, 2 * sizeof(int64_t), NULL, 0);
}

static void gather_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0))
        grad_in[0] = record(FA_OP_gather_grad, grad, node->in[1], node->in[0], node);
}

static void take_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0))
        grad_in[0] = record(FA_OP_take_along_grad, grad, node->in[1], node->in[0], node);
}

#define GATHER(T)                                                                                                      \
    {                                                                                                                  \
        const T *x = args->in[0];                                                                                      \
        T *y = args->out[0];                                                                                           \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const place p = place_of(args->in_meta[0], args->in_meta[1], args->ints[0], i);                            \
            y[i] = x[p.start + fa_index_at(args->in[1], wide, i) * p.step];                                            \
        }                                                                                                              \
        break;                                                                                                         \
    }

static void reference(const fa_kernel_args *args)
{
    const int64_t n = fa_meta_numel(args->out_meta[0]);
    const bool wide = args->in_meta[1]->dtype == FA_DT_INT64;
    switch (fa_dtype_size(args->out_meta[0]->dtype)) {
    case 8:
        GATHER(uint64_t)
    case 4:
        GATHER(uint32_t)
    default:
        GATHER(uint8_t)
    }
}

static bool check_against(const fa_kernel_args *args, fa_where where, int x)
{
    const fa_meta *meta = args->in_meta[x];
    const int64_t dim = args->ints[0], size = meta->ndim > 0 ? meta->shape[dim] : 1;
    return fa_check_indices(args->in[1], args->in_meta[1], size, dim, meta, "gather", where);
}

static bool check(const fa_kernel_args *args, fa_where where)
{
    return check_against(args, where, 0);
}

/* inputs: x, index */
const fa_op_def fa_op_gather = {
    .name = "gather",
    .grad_name = "GatherBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gather_gradient,
    .reference = reference,
    .check = check,
    .check_inputs = 1 << 1,
    .flops = fa_flops_none,
};

static const char *take_label(const fa_node *node)
{
    return node->ints[1] == FA_TAKE_TOPK ? "TopkBackward0" : "SortBackward0";
}

const fa_op_def fa_op_take_along = {
    .name = "take_along",
    .grad_name = "SortBackward0",
    .grad_label = take_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = take_gradient,
    .reference = reference,
    .flops = fa_flops_none,
};

/* ---- Gradients ---- */

static bool grad_infer(fa_node *node)
{
    node->meta = node->in[2]->meta;
    node->meta.layout = FA_PLAIN;
    return true;
}

static void gather_grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0))
        grad_in[0] = record(FA_OP_gather, grad, node->in[1], NULL, node);
}

static void take_grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0))
        grad_in[0] = record(FA_OP_take_along, grad, node->in[1], NULL, node);
}

#define SCATTER_ADD(T)                                                                                                 \
    {                                                                                                                  \
        const T *g = args->in[0];                                                                                      \
        T *out = args->out[0];                                                                                         \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const place p = place_of(args->out_meta[0], args->in_meta[1], args->ints[0], i);                           \
            out[p.start + fa_index_at(args->in[1], wide, i) * p.step] += g[i];                                         \
        }                                                                                                              \
    }

static void grad_reference(const fa_kernel_args *args)
{
    const int64_t n = fa_meta_numel(args->in_meta[0]);
    const bool wide = args->in_meta[1]->dtype == FA_DT_INT64;
    memset(args->out[0], 0, (size_t)(fa_meta_numel(args->out_meta[0]) * fa_dtype_size(args->out_meta[0]->dtype)));
    FA_FOR_FLOATS(args->out_meta[0]->dtype, SCATTER_ADD);
}

static bool grad_check(const fa_kernel_args *args, fa_where where)
{
    return check_against(args, where, 2);
}

/* inputs: g, index, x (its shape alone). The gather itself may never be computed, so its indices are checked here too.
 */
const fa_op_def fa_op_gather_grad = {
    .name = "gather_grad",
    .grad_name = "ScatterAddBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = grad_infer,
    .gradient = gather_grad_gradient,
    .reference = grad_reference,
    .check = grad_check,
    .check_inputs = 1 << 1,
};

const fa_op_def fa_op_take_along_grad = {
    .name = "take_along_grad",
    .grad_name = "ScatterAddBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = grad_infer,
    .gradient = take_grad_gradient,
    .reference = grad_reference,
};

/* ---- Calls ---- */

bool fa_check_indices(const void *index, const fa_meta *index_meta, int64_t size, int64_t dim, const fa_meta *x,
                      const char *what, fa_where where)
{
    const int64_t n = fa_meta_numel(index_meta);
    for (int64_t i = 0; i < n; i++) {
        const int64_t value = fa_index_at(index, index_meta->dtype == FA_DT_INT64, i);
        if (value < 0 || value >= size)
            return fa_fail(
                FA_INDEX_ERROR, where, what,
                "got index %lld (element %lld of the indices), needs 0 to %lld: dimension %lld of %s has %lld "
                "entries. Hint: indices count from 0, and not from the end",
                (long long)value, (long long)i, (long long)size - 1, (long long)dim, fa_shape_text(x), (long long)size);
    }
    return true;
}

bool fa_check_index_dtype(const fa_node *index, const char *what)
{
    if (index->meta.dtype == FA_DT_INT64 || index->meta.dtype == FA_DT_INT32)
        return true;
    return fa_refuse(FA_DTYPE_ERROR, what,
                     "got indices of %s, needs int64 or int32. Hint: fa_to_dtype(index, FA_INT64)",
                     fa_dtype_name(index->meta.dtype));
}

fa_node *fa_record_take_along(fa_node *x, int dim, fa_node *index, fa_take_kind kind)
{
    fa_node *in[2] = {x, index};
    const int64_t ints[2] = {dim, kind};
    return x && index ? fa_record(FA_OP_take_along, 2, in, ints, sizeof ints, NULL, 0) : NULL;
}

/* PyTorch takes a single number for a vector of one. */
static bool fits(const fa_node *x, const fa_node *index, int dim)
{
    const fa_meta *a = &x->meta, *b = &index->meta;
    if ((a->ndim > 0 ? a->ndim : 1) != (b->ndim > 0 ? b->ndim : 1))
        return fa_refuse(FA_SHAPE_ERROR, "gather",
                         "got indices %s for %s, needs as many dimensions in both. Hint: fa_index_select takes whole "
                         "rows by a vector of indices",
                         fa_shape_text(b), fa_shape_text(a));
    for (int d = 0; d < a->ndim && d < b->ndim; d++)
        if (d != dim && b->shape[d] > a->shape[d])
            return fa_refuse(FA_SHAPE_ERROR, "gather",
                             "got indices %s for %s, needs no size above the tensor's but in dimension %d. Hint: "
                             "fa_expand the tensor, or fa_narrow the indices",
                             fa_shape_text(b), fa_shape_text(a), dim);
    return true;
}

fa_tensor *fa_gather_at(fa_tensor *x, int dim, fa_tensor *index, fa_where where)
{
    fa_begin(where);
    fa_node *in[2] = {fa_use(x, "gather", "x"), fa_use(index, "gather", "index")};
    const int at = in[0] && in[1] ? fa_wrap_dim(dim, in[0]->meta.ndim, "gather") : -1;
    if (at < 0 || !fa_check_index_dtype(in[1], "gather"))
        return NULL;
    if (!fits(in[0], in[1], at))
        return NULL;
    const int64_t one = 1, ints[2] = {at};
    const bool single = in[1]->meta.ndim == 0;
    for (int i = 0; i < 2; i++)
        if (in[i] && in[i]->meta.ndim == 0)
            in[i] = fa_record_reshape(in[i], 1, &one, FA_VIEW);
    fa_node *y = in[0] && in[1] ? fa_record(FA_OP_gather, 2, in, ints, sizeof ints, NULL, 0) : NULL;
    return fa_handle(single ? fa_record_reshape(y, 0, &one, FA_VIEW) : y);
}
