/* Shared by the shape rules of views: marks a node whose PyTorch strides are not row-major. */
#ifndef FA_OPS_VIEWS_H
#define FA_OPS_VIEWS_H

#include "ops/rules.h"

static inline void fa_mark_contiguity(fa_node *node)
{
    int64_t stride[FA_MAX_DIMS];
    node->noncontiguous = true; /* so that the strides are worked out */
    fa_node_strides(node, stride);
    node->noncontiguous = !fa_strides_contiguous(&node->meta, stride);
}

/* The sizes of a shape given by the user as a row of numbers, checked: 0 to 8 of them. False after an error. */
bool fa_check_ndim(const fa_shape *shape, const char *what);

/* A reshape that PyTorch would do without a copy where it can: the handle of a view then, else of a copy. */
fa_tensor *fa_reshaped(fa_tensor *handle, fa_node *x, int ndim, const int64_t *size, fa_view_kind kind);

/* out (row-major, of shape `meta`) = the elements of `in` at the given strides. */
void fa_strided_copy(void *out, const void *in, const fa_meta *meta, const int64_t *stride);

#endif
