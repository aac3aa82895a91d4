/* amax and amin over dimensions (fa_dims_ints): the extreme, a NaN above and below all numbers. The gradient is shared
 * evenly among the elements that equal it. max and min of all elements are the same ops with ints[3] = 1, where the
 * NaNs share the gradient of a NaN; in amax and amin it is NaN everywhere then. */
#include "ops/kernel_types.h"
#include "ops/reduce.h"

#include <math.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *in[3] = {grad, node->in[0], node};
    grad_in[0] = fa_record(FA_OP_amax_grad, 3, in, node->ints, 4 * sizeof(int64_t), NULL, 0);
}

static const char *amax_label(const fa_node *node)
{
    return node->ints[3] ? "MaxBackward1" : "AmaxBackward0";
}

static const char *amin_label(const fa_node *node)
{
    return node->ints[3] ? "MinBackward1" : "AminBackward0";
}

static bool infer(fa_node *node)
{
    if (node->ints[3] && fa_meta_numel(&node->in[0]->meta) == 0)
        return fa_refuse(FA_INDEX_ERROR, node->op == FA_OP_amax ? "max" : "min",
                         "got %s, needs at least one element to choose from. Hint: is the batch empty?",
                         fa_shape_text(&node->in[0]->meta));
    return fa_infer_chosen(node);
}

/* The first element is taken whatever it is; a NaN stays. */
#define EXTREME(T, BETTER)                                                                                             \
    {                                                                                                                  \
        const T *x = args->in[0];                                                                                      \
        T *out = args->out[0];                                                                                         \
        for (int64_t o = 0; o < r.outputs; o++) {                                                                      \
            T best = x[fa_reduce_base(&r, o)];                                                                         \
            FA_EACH_REDUCED(r, o, best = best == best && (x[at] BETTER best || x[at] != x[at]) ? x[at] : best)         \
            out[o] = best;                                                                                             \
        }                                                                                                              \
        break;                                                                                                         \
    }

#define DEFINE_EXTREME(NAME, BETTER)                                                                                   \
    static void NAME(const fa_kernel_args *args)                                                                       \
    {                                                                                                                  \
        const fa_reduce r = fa_reduce_of(args->in_meta[0], args->ints[0]);                                             \
        switch (args->in_meta[0]->dtype) {                                                                             \
        case FA_DT_FLOAT32:                                                                                            \
            EXTREME(float, BETTER)                                                                                     \
        case FA_DT_FLOAT64:                                                                                            \
            EXTREME(double, BETTER)                                                                                    \
        case FA_DT_INT64:                                                                                              \
            EXTREME(int64_t, BETTER)                                                                                   \
        case FA_DT_INT32:                                                                                              \
            EXTREME(int32_t, BETTER)                                                                                   \
        default:                                                                                                       \
            EXTREME(uint8_t, BETTER)                                                                                   \
        }                                                                                                              \
    }

DEFINE_EXTREME(amax_reference, >)
DEFINE_EXTREME(amin_reference, <)

const fa_op_def fa_op_amax = {
    .name = "amax",
    .grad_name = "AmaxBackward0",
    .grad_label = amax_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = amax_reference,
    .flops = fa_flops_input,
};

const fa_op_def fa_op_amin = {
    .name = "amin",
    .grad_name = "AminBackward0",
    .grad_label = amin_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = amin_reference,
    .flops = fa_flops_input,
};

/* The gradient is g times a share of 1 for each element, which does not move with x. */
static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (!fa_wants_grad(node, 0))
        return;
    fa_node *in[3] = {fa_record_full(&node->in[0]->meta, 1), node->in[1], node->in[2]};
    fa_node *share = in[0] ? fa_record(FA_OP_amax_grad, 3, in, node->ints, 4 * sizeof(int64_t), NULL, 0) : NULL;
    grad_in[0] = fa_record_total(node->in[2], fa_record2(FA_OP_mul, grad, share));
}

static bool grad_infer(fa_node *node)
{
    node->meta = node->in[1]->meta;
    node->meta.layout = FA_PLAIN;
    return true;
}

#define SHARED(T)                                                                                                      \
    {                                                                                                                  \
        const T *g = args->in[0], *x = args->in[1], *y = args->in[2];                                                  \
        T *out = args->out[0];                                                                                         \
        for (int64_t o = 0; o < r.outputs; o++) {                                                                      \
            const T best = y[o], lost = whole || best == best ? 0 : (T)NAN;                                            \
            int64_t ties = 0;                                                                                          \
            FA_EACH_REDUCED(r, o, ties += x[at] == best || (whole && best != best && x[at] != x[at]))                  \
            FA_EACH_REDUCED(r, o, {                                                                                    \
                const bool equal = x[at] == best || (whole && best != best && x[at] != x[at]);                         \
                out[at] = equal ? g[o] / (T)ties : lost;                                                               \
            })                                                                                                         \
        }                                                                                                              \
    }

static void grad_reference(const fa_kernel_args *args)
{
    const fa_reduce r = fa_reduce_of(args->in_meta[1], args->ints[0]);
    const bool whole = args->ints[3] != 0;
    FA_FOR_FLOATS(args->out_meta[0]->dtype, SHARED);
}

/* inputs: g, x, y */
const fa_op_def fa_op_amax_grad = {
    .name = "amax_grad",
    .grad_name = "AmaxBackward0",
    .gradient = grad_gradient,
    .layout = FA_LAYOUT_PLAIN,
    .infer = grad_infer,
    .reference = grad_reference,
};

fa_tensor *fa_amax_at(const fa_reduce_args *args)
{
    fa_begin(args->where_);
    return fa_handle(fa_record_reduced(FA_OP_amax, fa_use(args->x, "amax", "x"), &args->dims, args->keepdim, 0, 0));
}

fa_tensor *fa_amin_at(const fa_reduce_args *args)
{
    fa_begin(args->where_);
    return fa_handle(fa_record_reduced(FA_OP_amin, fa_use(args->x, "amin", "x"), &args->dims, args->keepdim, 0, 0));
}
