/* binary_cross_entropy of probabilities x and targets y, both in 0..1, with weights w (or 1):
 *
 *     loss = -w * (y * log x + (1 - y) * log(1 - x)), logarithms not below -100
 *     d loss / dx = w * slope(x, y),  slope = (x - y) / max(x (1 - x), 1e-12)
 *     d loss / dy = w * (log(1 - x) - log x) */
#include "ops/pair_loss.h"

#include <math.h>

static double entropy(double x, double y)
{
    const double ones = log(x), zeros = log1p(-x);
    return (y - 1) * (zeros > -100 ? zeros : -100) - y * (ones > -100 ? ones : -100);
}

#define ENTROPY(T) FA_PAIR_LOSS(T, entropy(x, y) * (weight ? (double)((const T *)weight)[i] : 1))

static void reference(const fa_kernel_args *args)
{
    const void *weight = args->in[2];
    FA_FOR_FLOATS(args->out_meta[0]->dtype, ENTROPY);
}

static fa_node *minus(fa_node *a) /* 1 - a */
{
    return fa_record_scalar(FA_OP_add_scalar, fa_record1(FA_OP_neg, a), 1);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *x = node->in[0], *y = node->in[1], *g = fa_pair_spread(node, grad);
    if (node->in[2])
        g = g ? fa_record2(FA_OP_mul, node->in[2], g) : NULL;
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record2(FA_OP_mul, fa_record2(FA_OP_binary_cross_entropy_slope, x, y), g);
    if (fa_wants_grad(node, 1)) {
        fa_node *logits = fa_record2(FA_OP_sub, fa_record1(FA_OP_log, minus(x)), fa_record1(FA_OP_log, x));
        grad_in[1] = fa_record2(FA_OP_mul, logits, g);
    }
}

/* Whether every element lies in 0..1. */
static bool check_range(const fa_kernel_args *args, int input, const char *name, fa_where where)
{
    const fa_meta *meta = args->in_meta[input];
    const int64_t n = fa_meta_numel(meta);
    for (int64_t i = 0; i < n; i++) {
        const double v = meta->dtype == FA_DT_FLOAT32 ? (double)((const float *)args->in[input])[i]
                                                      : ((const double *)args->in[input])[i];
        if (!(v >= 0 && v <= 1))
            return fa_fail(FA_VALUE_ERROR, where, "binary_cross_entropy",
                           "got %s %g as element %lld, needs probabilities from 0 to 1. Hint: "
                           "fa_binary_cross_entropy_with_logits takes scores, without a sigmoid before it.",
                           name, v, (long long)i);
    }
    return true;
}

static bool check(const fa_kernel_args *args, fa_where where)
{
    return check_range(args, 0, "an input of", where) && check_range(args, 1, "a target of", where);
}

const fa_op_def fa_op_binary_cross_entropy = {
    .name = "binary_cross_entropy",
    .grad_name = "BinaryCrossEntropyBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_pair_loss,
    .gradient = gradient,
    .reference = reference,
    .check = check,
    .check_inputs = 1 << 0 | 1 << 1,
    .flops = fa_flops_input,
};

#define SLOPE(T)                                                                                                       \
    {                                                                                                                  \
        const T *x = args->in[0], *y = args->in[1];                                                                    \
        T *out = args->out[0];                                                                                         \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const T width = (1 - x[i]) * x[i];                                                                         \
            out[i] = (x[i] - y[i]) / (width > (T)1e-12 ? width : (T)1e-12);                                            \
        }                                                                                                              \
    }

static void slope_reference(const fa_kernel_args *args)
{
    const int64_t n = fa_meta_numel(args->out_meta[0]);
    FA_FOR_FLOATS(args->out_meta[0]->dtype, SLOPE);
}

/* With v = x (1 - x): d slope / dx = (1 - slope (1 - 2x)) / v, d slope / dy = -1 / v. */
static void slope_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *x = node->in[0];
    fa_node *share = fa_record2(FA_OP_div, grad, fa_record2(FA_OP_mul, x, minus(x)));
    if (fa_wants_grad(node, 0)) {
        fa_node *turned = minus(fa_record2(FA_OP_mul, node, minus(fa_record_scalar(FA_OP_mul_scalar, x, 2))));
        grad_in[0] = fa_record2(FA_OP_mul, turned, share);
    }
    if (fa_wants_grad(node, 1))
        grad_in[1] = fa_record1(FA_OP_neg, share);
}

/* The loss itself may never be computed, so the ranges are checked here too. */
const fa_op_def fa_op_binary_cross_entropy_slope = {
    .name = "binary_cross_entropy_slope",
    .grad_name = "BinaryCrossEntropyBackwardBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_same,
    .gradient = slope_gradient,
    .reference = slope_reference,
    .check = check,
    .check_inputs = 1 << 0 | 1 << 1,
};

fa_tensor *fa_binary_cross_entropy_at(const fa_binary_loss_args *args)
{
    static const char what[] = "binary_cross_entropy";
    fa_begin(args->where_);
    fa_node *x = fa_use(args->input, what, "input"), *y = x ? fa_use(args->target, what, "target") : NULL;
    if (!y || !fa_pair_reduction(args->reduction, false, what))
        return NULL;
    if (!fa_is_float(x->meta.dtype) || x->meta.dtype != y->meta.dtype) {
        fa_refuse(
            FA_DTYPE_ERROR, what,
            "got an input of %s and a target of %s, needs float32 for both, or float64. Hint: fa_to_dtype(target, "
            "FA_FLOAT32).",
            fa_dtype_name(x->meta.dtype), fa_dtype_name(y->meta.dtype));
        return NULL;
    }
    if (!fa_same_shape(&x->meta, &y->meta)) {
        fa_refuse(FA_SHAPE_ERROR, what, "got target %s, needs %s, the shape of the input. Hint: fa_squeeze(input, 1).",
                  fa_shape_text(&y->meta), fa_shape_text(&x->meta));
        return NULL;
    }
    if (args->pos_weight) {
        fa_refuse(FA_VALUE_ERROR, what,
                  "got pos_weight, needs none. Hint: fa_binary_cross_entropy_with_logits has it.");
        return NULL;
    }
    fa_node *weight;
    if (!fa_pair_weight(args->weight, x, &weight, what, "weight"))
        return NULL;
    const int64_t reduction = args->reduction;
    return fa_handle(
        fa_record(FA_OP_binary_cross_entropy, 3, (fa_node *[]){x, y, weight}, FA_INTS(reduction), NULL, 0));
}
