/* roll: elements moved along dimensions, those that leave at one end come in at the other: y[i] = x[(i - shift) mod n]
 * (ints: the shift of each dimension, 0 .. n-1). Gradient: rolled back. */
#include "ops/remap.h"

#include <string.h>

typedef struct roll_ints {
    int64_t shift[FA_MAX_DIMS];
} roll_ints;

static fa_node *record(fa_node *x, roll_ints ints)
{
    return x ? fa_record(FA_OP_roll, 1, &x, FA_INTS(ints), NULL, 0) : NULL;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    roll_ints back = {{0}};
    for (int d = 0; d < node->meta.ndim; d++)
        back.shift[d] = node->ints[d] ? node->meta.shape[d] - node->ints[d] : 0;
    grad_in[0] = record(grad, back);
}

static int64_t source(const int64_t *ints, int d, int64_t i, int64_t size)
{
    return i >= ints[d] ? i - ints[d] : i - ints[d] + size;
}

static void reference(const fa_kernel_args *args)
{
    fa_remap_copy(args, source, NULL);
}

const fa_op_def fa_op_roll = {
    .name = "roll",
    .grad_name = "RollBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_same,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_none,
};

/* (a + b) mod n for a in 0 .. n-1, without overflow. */
static int64_t added(int64_t a, int64_t b, int64_t n)
{
    b %= n;
    if (b < 0)
        b += n;
    return a >= n - b ? a - (n - b) : a + b;
}

/* Without dimensions the elements are rolled as one row. */
static fa_node *roll_flat(fa_node *x, int64_t shift)
{
    const int64_t n = fa_meta_numel(&x->meta);
    const roll_ints ints = {{n > 0 ? added(0, shift, n) : 0}};
    if (n == 0)
        return record(x, ints);
    return fa_record_reshape_as(record(fa_record_reshape(x, 1, &n, FA_VIEW), ints), &x->meta);
}

fa_tensor *fa_roll_at(fa_tensor *x, fa_shape shifts, fa_shape dims, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "roll", "x");
    if (!node)
        return NULL;
    if (dims.ndim == 0 && shifts.ndim == 1)
        return fa_handle(roll_flat(node, shifts.size[0]));
    if (shifts.ndim != dims.ndim || dims.ndim < 1 || dims.ndim > FA_MAX_DIMS) {
        fa_refuse(FA_VALUE_ERROR, "roll",
                  "got %d shifts for %d dimensions, needs one for each. Hint: without dimensions one shift rolls all "
                  "elements as one row",
                  shifts.ndim, dims.ndim);
        return NULL;
    }
    if (node->meta.ndim == 0) {
        fa_refuse(FA_INDEX_ERROR, "roll",
                  "got a single number, needs a tensor of at least 1 dimension. Hint: there is nothing to move");
        return NULL;
    }
    roll_ints ints = {{0}};
    for (int i = 0; i < dims.ndim; i++) {
        const bool small = dims.size[i] >= -FA_MAX_DIMS && dims.size[i] <= FA_MAX_DIMS;
        const int dim = fa_wrap_dim(small ? (int)dims.size[i] : FA_MAX_DIMS, node->meta.ndim, "roll");
        if (dim < 0)
            return NULL;
        if (node->meta.shape[dim] > 0)
            ints.shift[dim] = added(ints.shift[dim], shifts.size[i], node->meta.shape[dim]);
    }
    return fa_handle(record(node, ints));
}
