/* index_select along a dimension, and its gradient: dim = d (ints[0]), index a vector,
 *
 *     y[.., k, ..] = x[.., index[k], ..]
 *     index_select_grad(g, index, x): zeros of x's shape, g added at the same places in the order of index
 *
 * fa_take_rows is x[[i, j, ..]]: index_select on dimension 0 by a list, where -1 is the last row (ints[1] = 1). */
#include "ops/along.h"
#include "ops/take.h"

#include <string.h>

static bool infer(fa_node *node)
{
    fa_infer_same(node);
    if (node->meta.ndim > 0)
        node->meta.shape[node->ints[0]] = fa_meta_numel(&node->in[1]->meta);
    return true;
}

static fa_node *record(fa_op op, fa_node *a, fa_node *index, fa_node *shape, const int64_t *ints)
{
    fa_node *in[3] = {a, index, shape};
    return a && index ? fa_record(op, shape ? 3 : 2, in, ints, 2 * sizeof(int64_t), NULL, 0) : NULL;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0))
        grad_in[0] = record(FA_OP_index_select_grad, grad, node->in[1], node->in[0], node->ints);
}

static const char *grad_label(const fa_node *node)
{
    return node->ints[1] ? "IndexBackward0" : "IndexSelectBackward0";
}

/* Rows of along.inner elements: row k of each of the outer parts comes from row index[k]. */
static void reference(const fa_kernel_args *args)
{
    const fa_along along = fa_along_of(args->in_meta[0], args->ints[0]);
    const int64_t n = fa_meta_numel(args->in_meta[1]);
    const bool wide = args->in_meta[1]->dtype == FA_DT_INT64;
    const int64_t bytes = along.inner * fa_dtype_size(args->out_meta[0]->dtype);
    const char *x = args->in[0];
    char *y = args->out[0];
    if (bytes == 0)
        return;
    for (int64_t o = 0; o < along.outer; o++)
        for (int64_t k = 0; k < n; k++, y += bytes)
            memcpy(y, x + (o * along.size + fa_index_at(args->in[1], wide, k)) * bytes, (size_t)bytes);
}

static bool check_against(const fa_kernel_args *args, fa_where where, int x)
{
    const fa_meta *meta = args->in_meta[x];
    const int64_t dim = args->ints[0], size = meta->ndim > 0 ? meta->shape[dim] : 1;
    return fa_check_indices(args->in[1], args->in_meta[1], size, dim, meta, "index_select", where);
}

static bool check(const fa_kernel_args *args, fa_where where)
{
    return check_against(args, where, 0);
}

/* inputs: x, index */
const fa_op_def fa_op_index_select = {
    .name = "index_select",
    .grad_name = "IndexSelectBackward0",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .check = check,
    .check_inputs = 1 << 1,
    .flops = fa_flops_none,
};

static bool grad_infer(fa_node *node)
{
    node->meta = node->in[2]->meta;
    node->meta.layout = FA_PLAIN;
    return true;
}

static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0))
        grad_in[0] = record(FA_OP_index_select, grad, node->in[1], NULL, node->ints);
}

#define ROWS_ADD(T)                                                                                                    \
    {                                                                                                                  \
        const T *g = args->in[0];                                                                                      \
        for (int64_t o = 0; o < along.outer; o++)                                                                      \
            for (int64_t k = 0; k < n; k++) {                                                                          \
                T *to = (T *)args->out[0] + (o * along.size + fa_index_at(args->in[1], wide, k)) * along.inner;        \
                for (int64_t i = 0; i < along.inner; i++)                                                              \
                    to[i] += *g++;                                                                                     \
            }                                                                                                          \
    }

static void grad_reference(const fa_kernel_args *args)
{
    const fa_meta *meta = args->out_meta[0];
    const fa_along along = fa_along_of(meta, args->ints[0]);
    const int64_t n = fa_meta_numel(args->in_meta[1]);
    const bool wide = args->in_meta[1]->dtype == FA_DT_INT64;
    memset(args->out[0], 0, (size_t)(fa_meta_numel(meta) * fa_dtype_size(meta->dtype)));
    FA_FOR_FLOATS(meta->dtype, ROWS_ADD);
}

static bool grad_check(const fa_kernel_args *args, fa_where where)
{
    return check_against(args, where, 2);
}

/* inputs: g, index, x (its shape alone) */
const fa_op_def fa_op_index_select_grad = {
    .name = "index_select_grad",
    .grad_name = "IndexAddBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = grad_infer,
    .gradient = grad_gradient,
    .reference = grad_reference,
    .check = grad_check,
    .check_inputs = 1 << 1,
};

fa_tensor *fa_index_select_at(fa_tensor *x, int dim, fa_tensor *index, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "index_select", "x"), *by = fa_use(index, "index_select", "index");
    const int at = node && by ? fa_wrap_dim(dim, node->meta.ndim, "index_select") : -1;
    if (at < 0 || !fa_check_index_dtype(by, "index_select"))
        return NULL;
    if (by->meta.ndim > 1 || (node->meta.ndim == 0 && fa_meta_numel(&by->meta) != 1)) {
        fa_refuse(FA_SHAPE_ERROR, "index_select",
                  "got indices %s for %s, needs %s. Hint: fa_gather takes one element an "
                  "index; fa_flatten(index, 0) makes a vector",
                  fa_shape_text(&by->meta), fa_shape_text(&node->meta),
                  node->meta.ndim == 0 ? "one index for a single number" : "a vector");
        return NULL;
    }
    return fa_handle(record(FA_OP_index_select, node, by, NULL, (int64_t[]){at, 0}));
}

fa_tensor *fa_take_rows_at(fa_tensor *x, int64_t count, const int64_t *rows, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "take_rows", "x");
    if (!node)
        return NULL;
    if (node->meta.ndim == 0 || count < 0) {
        fa_refuse(FA_INDEX_ERROR, "take_rows",
                  "got %lld rows to take from %s, needs 0 or more from at least 1 dimension", (long long)count,
                  fa_shape_text(&node->meta));
        return NULL;
    }
    const fa_meta meta = fa_meta_of(FA_DT_INT64, 1, &count);
    fa_leaf *leaf = fa_leaf_new(&meta);
    int64_t *index = leaf ? leaf->buffer->data : NULL;
    const int64_t size = node->meta.shape[0];
    for (int64_t i = 0; leaf && i < count; i++) {
        if (rows[i] < -size || rows[i] >= size) {
            fa_refuse(FA_INDEX_ERROR, "take_rows",
                      "got row %lld, needs %lld to %lld: %s has %lld rows. Hint: the first is 0, the last -1",
                      (long long)rows[i], (long long)-size, (long long)size - 1, fa_shape_text(&node->meta),
                      (long long)size);
            fa_leaf_release(leaf);
            return NULL;
        }
        index[i] = rows[i] < 0 ? rows[i] + size : rows[i];
    }
    fa_node *by = leaf ? fa_leaf_node(leaf) : NULL;
    fa_tensor *taken = fa_handle(record(FA_OP_index_select, node, by, NULL, (int64_t[]){0, 1}));
    if (leaf)
        fa_leaf_release(leaf);
    return taken;
}
