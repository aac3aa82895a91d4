/* PyTorch's strides of a value. Here every value lies row-major; whether PyTorch would call it contiguous, and which
 * views it would refuse, follows from the views that lead to it. */
#include "base/memory.h"
#include "ops/rules.h"

#include <string.h>

static void row_major(const fa_meta *meta, int64_t *stride)
{
    int64_t step = 1;
    for (int d = meta->ndim - 1; d >= 0; d--) {
        stride[d] = step;
        step *= meta->shape[d] > 1 ? meta->shape[d] : 1;
    }
}

bool fa_strides_contiguous(const fa_meta *meta, const int64_t *stride)
{
    int64_t step = 1;
    if (fa_meta_numel(meta) == 0)
        return true;
    for (int d = meta->ndim - 1; d >= 0; d--) {
        if (meta->shape[d] != 1 && stride[d] != step)
            return false;
        step *= meta->shape[d];
    }
    return true;
}

/* Strides of a clone: dense, the dimensions in the order of the old strides. Dimensions that repeat elements (stride 0)
 * stay where they are, which is how PyTorch sorts them. */
static void clone_strides(const fa_meta *meta, const int64_t *from, int64_t *stride)
{
    int order[FA_MAX_DIMS]; /* innermost first */
    for (int i = 0; i < meta->ndim; i++)
        order[i] = meta->ndim - 1 - i;
    for (int i = 1; i < meta->ndim; i++)
        for (int moving = i, below = i - 1; below >= 0; below--) {
            const int a = order[below], b = order[moving];
            if (from[a] == 0 || from[b] == 0)
                continue;
            if (from[a] < from[b])
                break;
            if (from[a] > from[b] || meta->shape[a] > meta->shape[b]) {
                order[below] = b;
                order[moving] = a;
                moving = below;
            }
        }
    int64_t step = 1;
    for (int i = 0; i < meta->ndim; i++) {
        stride[order[i]] = step;
        step *= meta->shape[order[i]] > 1 ? meta->shape[order[i]] : 1;
    }
}

void fa_like_strides(const fa_node *node, int64_t stride[FA_MAX_DIMS])
{
    int64_t from[FA_MAX_DIMS];
    fa_node_strides(node, from);
    clone_strides(&node->meta, from, stride);
}

void fa_strides_order(const fa_meta *meta, const int64_t *stride, int order[FA_MAX_DIMS])
{
    for (int k = 0; k < meta->ndim; k++) {
        int at = k;
        for (; at > 0 && stride[order[at - 1]] < stride[k]; at--)
            order[at] = order[at - 1];
        order[at] = k;
    }
}

bool fa_strides_to_row_major(const fa_meta *meta, const int64_t *stride, void *data)
{
    const size_t bytes = (size_t)fa_dtype_size(meta->dtype);
    const int64_t n = fa_meta_numel(meta);
    int64_t place[FA_MAX_DIMS] = {0}, index[FA_MAX_DIMS] = {0}, step = 1;
    int dim[FA_MAX_DIMS];
    fa_strides_order(meta, stride, dim);
    for (int k = meta->ndim - 1; k >= 0; step *= meta->shape[k--])
        place[k] = step;
    char *to = data, *from = fa_malloc((size_t)n * bytes);
    if (!from)
        return fa_fail_memory((fa_where){"", 0}, (size_t)n * bytes);
    memcpy(from, to, (size_t)n * bytes);
    for (int64_t i = 0; i < n; i++) {
        int64_t at = 0;
        for (int k = 0; k < meta->ndim; k++)
            at += index[k] * place[dim[k]];
        memcpy(to + (size_t)at * bytes, from + (size_t)i * bytes, bytes);
        for (int k = meta->ndim - 1; k >= 0 && ++index[k] == meta->shape[dim[k]]; k--)
            index[k] = 0;
    }
    fa_mfree(from);
    return true;
}

bool fa_view_strides(const fa_meta *meta, const int64_t *stride, int ndim, const int64_t *size, int64_t *out)
{
    if (fa_meta_numel(meta) == 0) {
        const fa_meta target = fa_meta_of(meta->dtype, ndim, size);
        row_major(&target, out);
        return true;
    }
    /* From the last dimension on: runs of old dimensions that lie evenly are cut into new ones. */
    int d = meta->ndim - 1, e = ndim - 1;
    while (d >= 0 && meta->shape[d] == 1)
        d--;
    while (d >= 0) {
        const int64_t base = stride[d];
        int64_t run = meta->shape[d];
        for (d--; d >= 0; d--) {
            if (meta->shape[d] == 1)
                continue;
            if (stride[d] != run * base)
                break;
            run *= meta->shape[d];
        }
        int64_t made = 1;
        while (e >= 0 && (made < run || size[e] == 1)) {
            out[e] = made * base;
            made *= size[e];
            e--;
        }
        if (made != run)
            return false;
    }
    for (; e >= 0; e--)
        out[e] = 1;
    return true;
}

void fa_node_strides(const fa_node *node, int64_t stride[FA_MAX_DIMS])
{
    row_major(&node->meta, stride);
    if (!node->noncontiguous)
        return;
    int64_t from[FA_MAX_DIMS];
    const fa_meta *meta = &node->in[0]->meta;
    fa_node_strides(node->in[0], from);
    switch (node->op) {
    case FA_OP_permute:
        for (int d = 0; d < node->meta.ndim; d++)
            stride[d] = from[node->ints[d]];
        break;
    case FA_OP_slice: {
        const fa_slice_ints *ints = (const fa_slice_ints *)node->ints;
        memcpy(stride, from, sizeof(int64_t) * meta->ndim);
        stride[ints->dim] *= ints->step;
        break;
    }
    case FA_OP_expand: {
        const int added = node->meta.ndim - meta->ndim;
        for (int d = 0; d < node->meta.ndim; d++)
            stride[d] = d < added || (meta->shape[d - added] == 1 && node->meta.shape[d] != 1) ? 0 : from[d - added];
        break;
    }
    case FA_OP_reshape:
        if (!fa_view_strides(meta, from, node->meta.ndim, node->meta.shape, stride))
            row_major(&node->meta, stride);
        break;
    case FA_OP_clone:
        clone_strides(meta, from, stride);
        break;
    default:
        break;
    }
}
