/* cat: tensors side by side along a dimension (ints[0]; ints[1]: asked for as stack). Gradient: cut apart again. Longer
 * lists than a node has inputs are joined in groups, and the groups in groups. */
#include "ops/along.h"

#include <string.h>

/* A vector of no elements, which PyTorch's cat passes over whatever the others' shape is. */
static bool is_nothing(const fa_node *node)
{
    return node->meta.ndim == 1 && node->meta.shape[0] == 0;
}

static bool infer(fa_node *node)
{
    const int64_t dim = node->ints[0];
    int first = 0;
    while (first + 1 < node->n_in && is_nothing(node->in[first]))
        first++;
    node->meta = node->in[first]->meta;
    node->meta.layout = FA_PLAIN;
    for (int i = first + 1; i < node->n_in; i++)
        if (!is_nothing(node->in[i]) &&
            __builtin_add_overflow(node->meta.shape[dim], node->in[i]->meta.shape[dim], &node->meta.shape[dim]))
            return fa_refuse(FA_SHAPE_ERROR, "cat", "got sizes whose sum is beyond int64, needs a smaller one");
    const fa_shape shape = {.ndim = node->meta.ndim,
                            .size = {node->meta.shape[0], node->meta.shape[1], node->meta.shape[2], node->meta.shape[3],
                                     node->meta.shape[4], node->meta.shape[5], node->meta.shape[6],
                                     node->meta.shape[7]}};
    return fa_meta_from_shape(&node->meta, (fa_dtype)node->meta.dtype, &shape, "cat");
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_slice_ints ints = {.dim = node->ints[0], .step = 1};
    for (int i = 0; i < node->n_in; i++) {
        const bool nothing = is_nothing(node->in[i]);
        ints.length = nothing ? 0 : node->in[i]->meta.shape[ints.dim];
        if (fa_wants_grad(node, i))
            grad_in[i] = nothing ? fa_record_full(&node->in[i]->meta, 0)
                                 : fa_record(FA_OP_slice, 1, &grad, FA_INTS(ints), NULL, 0);
        ints.start += ints.length;
    }
}

static const char *grad_label(const fa_node *node)
{
    return node->ints[1] ? "StackBackward0" : "CatBackward0";
}

static void reference(const fa_kernel_args *args)
{
    const fa_along all = fa_along_of(args->out_meta[0], args->ints[0]);
    const int64_t size = fa_dtype_size(args->out_meta[0]->dtype), row = all.size * all.inner * size;
    char *out = args->out[0];
    for (int k = 0; k < FA_MAX_INPUTS && args->in_meta[k]; k++) {
        const int64_t part = all.outer > 0 ? fa_meta_numel(args->in_meta[k]) / all.outer * size : 0;
        const char *in = args->in[k];
        for (int64_t o = 0; part > 0 && o < all.outer; o++)
            memcpy(out + o * row, in + o * part, (size_t)part);
        out += part;
    }
}

const fa_op_def fa_op_cat = {
    .name = "cat",
    .grad_name = "CatBackward0",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_none,
};

/* Joins list[0 .. n-1], which is used up. */
static fa_node *join(fa_node **list, int64_t n, int64_t dim, bool stack)
{
    const int64_t ints[2] = {dim, stack};
    do {
        int64_t groups = 0;
        for (int64_t i = 0; i < n; i += FA_MAX_INPUTS) {
            const int count = (int)(n - i < FA_MAX_INPUTS ? n - i : FA_MAX_INPUTS);
            fa_node *group = fa_record(FA_OP_cat, count, list + i, ints, sizeof ints, NULL, 0);
            if (!group)
                return NULL;
            list[groups++] = group;
        }
        n = groups;
    } while (n > 1);
    return list[0];
}

/* The nodes of a list of handles in new memory; NULL after an error. */
static fa_node **use_all(fa_tensor_list list, const char *what)
{
    if (list.count < 1 || !list.tensor) {
        fa_refuse(FA_VALUE_ERROR, what, "got a list of %lld tensors, needs 1 or more. Hint: FA_TENSORS(a, b)",
                  (long long)list.count);
        return NULL;
    }
    size_t bytes;
    fa_node **nodes = fa_mul_size((size_t)list.count, sizeof(fa_node *), &bytes) ? fa_malloc(bytes) : NULL;
    if (!nodes) {
        fa_refuse(FA_MEMORY_ERROR, what, "got a list of %lld tensors, needs memory for it. Hint: join fewer at a time",
                  (long long)list.count);
        return NULL;
    }
    for (int64_t i = 0; i < list.count; i++) {
        nodes[i] = fa_use(list.tensor[i], what, "a tensor of the list");
        if (!nodes[i]) {
            fa_mfree(nodes);
            return NULL;
        }
    }
    return nodes;
}

/* Casts all to the type that PyTorch gives them together. */
static bool promote_all(fa_node **nodes, int64_t n)
{
    fa_meta type = nodes[0]->meta;
    for (int64_t i = 1; i < n; i++) {
        type.dtype = (uint8_t)fa_promote(&type, &nodes[i]->meta);
        type.ndim = nodes[i]->meta.ndim > type.ndim ? nodes[i]->meta.ndim : type.ndim;
    }
    for (int64_t i = 0; i < n; i++)
        if (!(nodes[i] = fa_record_cast(nodes[i], type.dtype)))
            return false;
    return true;
}

static bool check_sizes(fa_node *const *nodes, int64_t n, const fa_meta *first, int dim)
{
    for (int64_t i = 0; i < n; i++) {
        const fa_meta *other = &nodes[i]->meta;
        bool fits = is_nothing(nodes[i]) || first->ndim == other->ndim;
        for (int d = 0; fits && !is_nothing(nodes[i]) && d < first->ndim; d++)
            fits = d == dim || first->shape[d] == other->shape[d];
        if (!fits)
            return fa_refuse(FA_SHAPE_ERROR, "cat",
                             "got %s beside %s (number %lld of the list), needs sizes that are equal but in dimension "
                             "%d. Hint: fa_stack makes a new dimension",
                             fa_shape_text(first), fa_shape_text(other), (long long)i, dim);
    }
    return true;
}

static fa_node *cat_nodes(fa_node **nodes, int64_t n, int dim)
{
    int64_t first = 0;
    for (int64_t i = 0; i < n; i++)
        if (nodes[i]->meta.ndim == 0) {
            fa_refuse(FA_SHAPE_ERROR, "cat",
                      "got a single number (number %lld of the list), needs tensors of at least 1 "
                      "dimension. Hint: fa_stack takes single numbers",
                      (long long)i);
            return NULL;
        }
    if (!promote_all(nodes, n))
        return NULL;
    while (first + 1 < n && is_nothing(nodes[first]))
        first++;
    const int at = fa_wrap_dim(dim, nodes[first]->meta.ndim, "cat");
    return at >= 0 && check_sizes(nodes, n, &nodes[first]->meta, at) ? join(nodes, n, at, false) : NULL;
}

fa_tensor *fa_cat_at(fa_tensor_list list, int dim, fa_where where)
{
    fa_begin(where);
    fa_node **nodes = use_all(list, "cat");
    fa_tensor *joined = nodes ? fa_handle(cat_nodes(nodes, list.count, dim)) : NULL;
    fa_mfree(nodes);
    return joined;
}

static fa_node *stack_nodes(fa_node **nodes, int64_t n, int dim)
{
    const fa_meta *first = &nodes[0]->meta;
    if (first->ndim == FA_MAX_DIMS) {
        fa_refuse(FA_SHAPE_ERROR, "stack", "got %s, needs at most %d dimensions. Hint: fa_cat adds none",
                  fa_shape_text(first), FA_MAX_DIMS - 1);
        return NULL;
    }
    const int at = fa_wrap_dim(dim, first->ndim + 1, "stack");
    if (at < 0)
        return NULL;
    for (int64_t i = 1; i < n; i++)
        if (!fa_same_shape(first, &nodes[i]->meta)) {
            fa_refuse(FA_SHAPE_ERROR, "stack",
                      "got %s beside %s (the first and number %lld of the list), needs one shape for all. Hint: fa_cat "
                      "joins along a dimension that they have",
                      fa_shape_text(first), fa_shape_text(&nodes[i]->meta), (long long)i);
            return NULL;
        }
    int64_t size[FA_MAX_DIMS];
    const int ndim = first->ndim + 1;
    for (int d = 0, from = 0; d < ndim; d++)
        size[d] = d == at ? 1 : first->shape[from++];
    if (!promote_all(nodes, n))
        return NULL;
    for (int64_t i = 0; i < n; i++)
        if (!(nodes[i] = fa_record_reshape(nodes[i], ndim, size, FA_VIEW_UNSQUEEZE)))
            return NULL;
    return join(nodes, n, at, true);
}

fa_tensor *fa_stack_at(fa_tensor_list list, int dim, fa_where where)
{
    fa_begin(where);
    fa_node **nodes = use_all(list, "stack");
    fa_tensor *joined = nodes ? fa_handle(stack_nodes(nodes, list.count, dim)) : NULL;
    fa_mfree(nodes);
    return joined;
}
