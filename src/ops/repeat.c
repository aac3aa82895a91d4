/* repeat: x several times along each dimension (fa_shape_ints: the result's shape), and its gradient, the sum over the
 * copies (fa_shape_ints: the input's shape). */
#include "ops/remap.h"
#include "ops/views.h"

#include <string.h>

static bool infer(fa_node *node)
{
    const fa_shape_ints *ints = (const fa_shape_ints *)node->ints;
    node->meta = fa_meta_of(node->in[0]->meta.dtype, (int)ints->ndim, ints->size);
    return true;
}

static fa_node *record(fa_op op, fa_node *a, const fa_meta *meta)
{
    fa_shape_ints ints = {.ndim = meta->ndim};
    memcpy(ints.size, meta->shape, sizeof(int64_t) * meta->ndim);
    return a ? fa_record(op, 1, &a, FA_INTS(ints), NULL, 0) : NULL;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = record(FA_OP_repeat_grad, grad, &node->in[0]->meta);
}

static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = record(FA_OP_repeat, grad, &node->in[0]->meta);
}

static int64_t source(const int64_t *ints, int d, int64_t i, int64_t size)
{
    (void)ints;
    (void)d;
    return i % size;
}

static void reference(const fa_kernel_args *args)
{
    if (fa_meta_numel(args->out_meta[0]) > 0)
        fa_remap_copy(args, source, NULL);
}

const fa_op_def fa_op_repeat = {
    .name = "repeat",
    .grad_name = "RepeatBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_none,
};

static void grad_reference(const fa_kernel_args *args)
{
    fa_remap_add(args, source);
}

const fa_op_def fa_op_repeat_grad = {
    .name = "repeat_grad",
    .grad_name = "SumBackward1",
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = grad_gradient,
    .reference = grad_reference,
};

fa_tensor *fa_repeat_at(fa_tensor *x, fa_shape times, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "repeat", "x");
    if (!node || !fa_check_ndim(&times, "repeat"))
        return NULL;
    const int added = times.ndim - node->meta.ndim;
    fa_shape shape = {.ndim = times.ndim};
    bool fits = added >= 0;
    for (int d = 0; fits && d < times.ndim; d++)
        fits = times.size[d] >= 0 &&
               !__builtin_mul_overflow(times.size[d], d < added ? 1 : node->meta.shape[d - added], &shape.size[d]);
    if (!fits) {
        fa_refuse(FA_SHAPE_ERROR, "repeat",
                  "got %s repeats for %s, needs a number of 0 or more for each of its %d dimensions, and for new ones "
                  "before them. Hint: 1 leaves a dimension as it is",
                  fa_dims_text(times.ndim, times.size), fa_shape_text(&node->meta), node->meta.ndim);
        return NULL;
    }
    fa_meta meta;
    if (!fa_meta_from_shape(&meta, (fa_dtype)node->meta.dtype, &shape, "repeat"))
        return NULL;
    return fa_handle(record(FA_OP_repeat, node, &meta));
}
