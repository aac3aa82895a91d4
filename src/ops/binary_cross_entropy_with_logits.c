/* binary_cross_entropy_with_logits of scores x and targets y, with weights w and positive weights p (or 1). With
 * s(x) = 1 / (1 + exp(-x)) and L = 1 + (p - 1) y:
 *
 *     loss = w * ((1 - y) x + L log(1 + exp(-x)))
 *     d loss / dx = w * ((1 - y) - L s(-x))                 d2/dx2  = w L s(x) s(-x)
 *     d loss / dy = w * ((p - 1) log(1 + exp(-x)) - x)      d2/dxdy = -w (1 + (p - 1) s(-x))
 *
 * where log(1 + exp(-x)) is log1p(exp(-|x|)) + max(-x, 0). */
#include "ops/pair_loss.h"

#include <math.h>

static double soft(double x) /* log(1 + exp(-x)) */
{
    return log1p(exp(-fabs(x))) + (x < 0 ? -x : 0);
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

#define ENTROPY(T)                                                                                                     \
    FA_PAIR_LOSS(T, (weight ? (double)((const T *)weight)[i] : 1) *                                                    \
                        ((1 - y) * x + (positive ? 1 + ((double)((const T *)positive)[i] - 1) * y : 1) * soft(x)))

static void reference(const fa_kernel_args *args)
{
    const void *weight = args->in[2], *positive = args->in[3];
    FA_FOR_FLOATS(args->out_meta[0]->dtype, ENTROPY);
}

typedef enum slope_kind { SLOPE_X, SLOPE_Y, SLOPE_XX, SLOPE_XY } slope_kind;

static fa_node *record_slope(fa_node *x, fa_node *y, fa_node *positive, slope_kind kind)
{
    const int64_t ints = kind;
    return fa_record(FA_OP_binary_cross_entropy_with_logits_slope, 3, (fa_node *[]){x, y, positive}, FA_INTS(ints),
                     NULL, 0);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *g = fa_pair_spread(node, grad);
    if (node->in[2])
        g = g ? fa_record2(FA_OP_mul, node->in[2], g) : NULL;
    for (int i = 0; i < 2; i++)
        if (fa_wants_grad(node, i))
            grad_in[i] = fa_record2(FA_OP_mul,
                                    record_slope(node->in[0], node->in[1], node->in[3], i == 0 ? SLOPE_X : SLOPE_Y), g);
}

const fa_op_def fa_op_binary_cross_entropy_with_logits = {
    .name = "binary_cross_entropy_with_logits",
    .grad_name = "BinaryCrossEntropyWithLogitsBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_pair_loss,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_input,
};

static double slope(slope_kind kind, double x, double y, double positive)
{
    const double scale = 1 + (positive - 1) * y;
    switch (kind) {
    case SLOPE_X:
        return 1 - y - scale * sigmoid(-x);
    case SLOPE_Y:
        return x < 0 ? (positive - 1) * soft(-x) - positive * x
                     : (positive - 1) * soft(x) - x; /* also for infinities */
    case SLOPE_XX:
        return scale * sigmoid(x) * sigmoid(-x);
    default:
        return -1 - (positive - 1) * sigmoid(-x);
    }
}

#define SLOPE(T)                                                                                                       \
    {                                                                                                                  \
        const T *x = args->in[0], *y = args->in[1], *positive = args->in[2];                                           \
        T *out = args->out[0];                                                                                         \
        for (int64_t i = 0; i < n; i++)                                                                                \
            out[i] =                                                                                                   \
                (T)slope((slope_kind)args->ints[0], (double)x[i], (double)y[i], positive ? (double)positive[i] : 1);   \
    }

static void slope_reference(const fa_kernel_args *args)
{
    const int64_t n = fa_meta_numel(args->out_meta[0]);
    FA_FOR_FLOATS(args->out_meta[0]->dtype, SLOPE);
}

static void slope_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *x = node->in[0], *y = node->in[1], *positive = node->in[2];
    if (node->ints[0] == SLOPE_XX || node->ints[0] == SLOPE_XY) {
        fa_refuse(FA_STATE_ERROR, "binary_cross_entropy_with_logits",
                  "got a third gradient, needs the second at most. Hint: write the loss with fa_sigmoid and fa_log.");
        return;
    }
    if (fa_wants_grad(node, 0))
        grad_in[0] =
            fa_record2(FA_OP_mul, record_slope(x, y, positive, node->ints[0] == SLOPE_X ? SLOPE_XX : SLOPE_XY), grad);
    if (fa_wants_grad(node, 1) && node->ints[0] == SLOPE_X)
        grad_in[1] = fa_record2(FA_OP_mul, record_slope(x, y, positive, SLOPE_XY), grad);
}

/* inputs: x, y, positive weights or NULL; ints[0]: slope_kind */
const fa_op_def fa_op_binary_cross_entropy_with_logits_slope = {
    .name = "binary_cross_entropy_with_logits_slope",
    .grad_name = "SigmoidBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_same,
    .gradient = slope_gradient,
    .reference = slope_reference,
};

fa_tensor *fa_binary_cross_entropy_with_logits_at(const fa_binary_loss_args *args)
{
    static const char what[] = "binary_cross_entropy_with_logits";
    fa_begin(args->where_);
    fa_node *pair[2], *weight, *positive;
    if (!fa_pair_reduction(args->reduction, false, what) || !fa_pair_inputs(args->input, args->target, pair, what))
        return NULL;
    const fa_node *target = fa_use(args->target, what, "target");
    if (!fa_is_float(target->meta.dtype)) {
        fa_refuse(FA_DTYPE_ERROR, what,
                  "got a target of %s, needs float32 or float64. Hint: fa_to_dtype(target, FA_FLOAT32).",
                  fa_dtype_name(target->meta.dtype));
        return NULL;
    }
    if (!fa_same_shape(&pair[0]->meta, &pair[1]->meta)) {
        fa_refuse(FA_SHAPE_ERROR, what, "got target %s, needs %s, the shape of the input. Hint: fa_squeeze(input, 1).",
                  fa_shape_text(&pair[1]->meta), fa_shape_text(&pair[0]->meta));
        return NULL;
    }
    if (!fa_pair_weight(args->weight, pair[0], &weight, what, "weight") ||
        !fa_pair_weight(args->pos_weight, pair[0], &positive, what, "pos_weight"))
        return NULL;
    const int64_t reduction = args->reduction;
    return fa_handle(fa_record(FA_OP_binary_cross_entropy_with_logits, 4,
                               (fa_node *[]){pair[0], pair[1], weight, positive}, FA_INTS(reduction), NULL, 0));
}
