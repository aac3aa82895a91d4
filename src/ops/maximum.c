/* maximum, minimum: the greater (lesser) of a and b, broadcast; NaN if either is NaN. Gradient: g to the one that was
 * taken, g / 2 to each where they are equal, g to both where one is NaN. */
#include "ops/elementwise.h"

/* The gradient of input i: 0 where `lost` (the other one was taken). */
static fa_node *share_of(fa_node *node, int i, fa_node *share, fa_op lost)
{
    fa_node *zero = fa_record_number(node->meta.dtype, 0), *was_lost = fa_record2(lost, node->in[0], node->in[1]);
    return fa_record_sum_to(fa_record_where(was_lost, zero, share), &node->in[i]->meta);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const bool greater = node->op == FA_OP_maximum;
    fa_node *equal = fa_record2(FA_OP_eq, node->in[0], node->in[1]);
    fa_node *share = fa_record_where(equal, fa_record_scalar(FA_OP_div_scalar, grad, 2), grad);
    if (fa_wants_grad(node, 0))
        grad_in[0] = share_of(node, 0, share, greater ? FA_OP_lt : FA_OP_gt);
    if (fa_wants_grad(node, 1))
        grad_in[1] = share_of(node, 1, share, greater ? FA_OP_gt : FA_OP_lt);
}

/* What neither comparison holds for has a NaN, and so has its sum. */
#define MAXIMUM(T) FA_BINARY_LOOP(T, T, T, x > y ? x : y >= x ? y : x + y)
#define MINIMUM(T) FA_BINARY_LOOP(T, T, T, x < y ? x : y <= x ? y : x + y)

#define DEFINE_EXTREME(op, LOOP, label)                                                                                \
    static void op##_reference(const fa_kernel_args *args)                                                             \
    {                                                                                                                  \
        FA_EACH_TYPE(args->in_meta[0]->dtype, LOOP)                                                                    \
    }                                                                                                                  \
    const fa_op_def fa_op_##op = {                                                                                     \
        .name = #op,                                                                                                   \
        .grad_name = label,                                                                                            \
        .layout = FA_LAYOUT_ELEMENTWISE,                                                                               \
        .infer = fa_infer_broadcast,                                                                                   \
        .gradient = gradient,                                                                                          \
        .reference = op##_reference,                                                                                   \
    };                                                                                                                 \
    fa_tensor *fa_##op##_at(fa_tensor *a, fa_tensor *b, fa_where where)                                                \
    {                                                                                                                  \
        fa_begin(where);                                                                                               \
        fa_node *x = fa_use(a, #op, "a"), *y = fa_use(b, #op, "b");                                                    \
        return fa_handle(fa_record_binary(FA_OP_##op, x, y));                                                          \
    }

DEFINE_EXTREME(maximum, MAXIMUM, "MaximumBackward0")
DEFINE_EXTREME(minimum, MINIMUM, "MinimumBackward0")
