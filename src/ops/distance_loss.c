/* Losses of the distance d = x - y of an input and a target: mse_loss, l1_loss, smooth_l1_loss, huber_loss.
 *
 *     mse          d^2                                        slope  2 d
 *     l1           |d|                                               sign(d)
 *     smooth_l1    d^2 / (2 beta) where |d| < beta,                  d / beta cut to -1..1
 *                  else |d| - beta/2;  with beta 0, l1
 *     huber        d^2 / 2 where |d| <= delta,                       d cut to -delta..delta
 *                  else delta (|d| - delta/2)
 *
 * loss_slope(x, y) gives the slopes but the first (ints[0], slope_kind), and their own. Input and target are broadcast.
 */
#include "ops/pair_loss.h"

#include <math.h>

/* ---- Slopes ---- */

/* With s = floats[0], b = floats[1]. */
typedef enum slope_kind {
    SLOPE_SIGN,  /* of d; 0 for NaN */
    SLOPE_CUT,   /* d/s cut to -b..b */
    SLOPE_INSIDE /* its slope: 1/s where |d/s| < b, else 0 */
} slope_kind;

static fa_node *record_slope(fa_node *x, fa_node *y, slope_kind kind, double scale, double bound)
{
    const int64_t ints = kind;
    return fa_record(FA_OP_loss_slope, 2, (fa_node *[]){x, y}, FA_INTS(ints), (double[]){scale, bound}, 2);
}

/* d loss / dx times the gradient; what goes to y is its negative. */
static void give_slope(fa_node *node, fa_node *slope, fa_node *grad, fa_node **grad_in)
{
    fa_node *dx = slope && grad ? fa_record2(FA_OP_mul, slope, grad) : NULL;
    if (fa_wants_grad(node, 0))
        grad_in[0] = dx;
    if (fa_wants_grad(node, 1))
        grad_in[1] = fa_record1(FA_OP_neg, dx);
}

static void slope_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (node->ints[0] == SLOPE_CUT)
        give_slope(node, record_slope(node->in[0], node->in[1], SLOPE_INSIDE, node->floats[0], node->floats[1]), grad,
                   grad_in);
}

#define SLOPE(T)                                                                                                       \
    {                                                                                                                  \
        const T *x = args->in[0], *y = args->in[1];                                                                    \
        T *out = args->out[0];                                                                                         \
        const T s = (T)args->floats[0], b = (T)args->floats[1];                                                        \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const T d = x[i] - y[i], z = d / s;                                                                        \
            if (args->ints[0] == SLOPE_SIGN)                                                                           \
                out[i] = (T)((d > 0) - (d < 0));                                                                       \
            else if (args->ints[0] == SLOPE_CUT)                                                                       \
                out[i] = z > b ? b : z < -b ? -b : z;                                                                  \
            else                                                                                                       \
                out[i] = z < b && z > -b ? 1 / s : 0;                                                                  \
        }                                                                                                              \
    }

static void slope_reference(const fa_kernel_args *args)
{
    const int64_t n = fa_meta_numel(args->out_meta[0]);
    FA_FOR_FLOATS(args->out_meta[0]->dtype, SLOPE);
}

const fa_op_def fa_op_loss_slope = {
    .name = "loss_slope",
    .grad_name = "SmoothL1LossBackwardBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_same,
    .gradient = slope_gradient,
    .reference = slope_reference,
};

/* ---- The losses ---- */

static void mse_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *slope = fa_record_scalar(FA_OP_mul_scalar, fa_record2(FA_OP_sub, node->in[0], node->in[1]), 2);
    give_slope(node, slope, fa_pair_spread(node, grad), grad_in);
}

static void l1_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    give_slope(node, record_slope(node->in[0], node->in[1], SLOPE_SIGN, 1, 1), fa_pair_spread(node, grad), grad_in);
}

static void smooth_l1_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    give_slope(node, record_slope(node->in[0], node->in[1], SLOPE_CUT, node->floats[0], 1), fa_pair_spread(node, grad),
               grad_in);
}

static void huber_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    give_slope(node, record_slope(node->in[0], node->in[1], SLOPE_CUT, 1, node->floats[0]), fa_pair_spread(node, grad),
               grad_in);
}

/* PyTorch composes this one, and prints the last of its ops. */
static const char *l1_label(const fa_node *node)
{
    static const char *const names[] = {"AbsBackward0", "MeanBackward0", "SumBackward0"};
    return names[node->ints[0]];
}

static double smooth(double d, double beta)
{
    const double z = fabs(d);
    return z < beta ? 0.5 * z * z / beta : z - 0.5 * beta;
}

static double huber(double d, double delta)
{
    const double z = fabs(d);
    return z <= delta ? 0.5 * z * z : delta * (z - 0.5 * delta);
}

#define MSE(T) FA_PAIR_LOSS(T, (x - y) * (x - y))
#define L1(T) FA_PAIR_LOSS(T, fabs(x - y))
#define SMOOTH_L1(T) FA_PAIR_LOSS(T, smooth(x - y, args->floats[0]))
#define HUBER(T) FA_PAIR_LOSS(T, huber(x - y, args->floats[0]))

static void mse_reference(const fa_kernel_args *args)
{
    FA_FOR_FLOATS(args->out_meta[0]->dtype, MSE);
}

static void l1_reference(const fa_kernel_args *args)
{
    FA_FOR_FLOATS(args->out_meta[0]->dtype, L1);
}

static void smooth_l1_reference(const fa_kernel_args *args)
{
    FA_FOR_FLOATS(args->out_meta[0]->dtype, SMOOTH_L1);
}

static void huber_reference(const fa_kernel_args *args)
{
    FA_FOR_FLOATS(args->out_meta[0]->dtype, HUBER);
}

const fa_op_def fa_op_mse_loss = {
    .name = "mse_loss",
    .grad_name = "MseLossBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_pair_loss,
    .gradient = mse_gradient,
    .reference = mse_reference,
    .flops = fa_flops_input,
};

const fa_op_def fa_op_l1_loss = {
    .name = "l1_loss",
    .grad_name = "AbsBackward0",
    .grad_label = l1_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_pair_loss,
    .gradient = l1_gradient,
    .reference = l1_reference,
    .flops = fa_flops_input,
};

const fa_op_def fa_op_smooth_l1_loss = {
    .name = "smooth_l1_loss",
    .grad_name = "SmoothL1LossBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_pair_loss,
    .gradient = smooth_l1_gradient,
    .reference = smooth_l1_reference,
    .flops = fa_flops_input,
};

const fa_op_def fa_op_huber_loss = {
    .name = "huber_loss",
    .grad_name = "HuberLossBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_pair_loss,
    .gradient = huber_gradient,
    .reference = huber_reference,
    .flops = fa_flops_input,
};

/* ---- The calls ---- */

/* sum of w * loss; for the mean over the sum of w, but of huber_loss over the number of elements, as in PyTorch. */
static fa_node *weigh(fa_op op, fa_node *losses, fa_node *weight, fa_reduction reduction)
{
    fa_node *weighed = losses && weight ? fa_record2(FA_OP_mul, losses, weight) : NULL;
    if (!weighed || reduction == FA_REDUCE_NONE)
        return weighed;
    const int64_t all = (INT64_C(1) << weight->meta.ndim) - 1;
    fa_node *sum = fa_record_sum(weighed, all, false);
    if (reduction != FA_REDUCE_MEAN)
        return sum;
    if (op == FA_OP_huber_loss)
        return fa_record_scalar(FA_OP_div_scalar, sum, (double)fa_meta_numel(&weight->meta));
    return fa_record2(FA_OP_div, sum, fa_record_sum(weight, all, false));
}

static fa_tensor *record(fa_op op, const fa_distance_loss_args *args, double number)
{
    const char *what = fa_op_table[op]->name;
    fa_node *pair[2];
    if (!fa_pair_reduction(args->reduction, false, what) || !fa_pair_inputs(args->input, args->target, pair, what))
        return NULL;
    fa_node *weight = args->weight ? fa_use(args->weight, what, "weight") : NULL;
    if (args->weight && !weight)
        return NULL;
    fa_meta shape;
    if (!fa_broadcast(&pair[0]->meta, &pair[1]->meta, &shape, what))
        return NULL;
    if (weight && (!fa_same_shape(&weight->meta, &pair[0]->meta) || !fa_same_shape(&weight->meta, &shape))) {
        fa_refuse(FA_SHAPE_ERROR, what, "got weight %s, needs %s, the shape of the input. Hint: fa_expand it first.",
                  fa_shape_text(&weight->meta), fa_shape_text(&pair[0]->meta));
        return NULL;
    }
    for (int i = 0; i < 2; i++)
        pair[i] = fa_record_expand_as(pair[i], &shape);
    if (!pair[0] || !pair[1])
        return NULL;
    const int64_t reduction = weight ? FA_REDUCE_NONE : args->reduction;
    fa_node *loss = fa_record(op, 2, pair, FA_INTS(reduction), &number, 1);
    if (weight)
        loss = weigh(op, loss, fa_record_cast(weight, pair[0]->meta.dtype), args->reduction);
    const fa_node *input = fa_use(args->input, what, "input");
    if (op == FA_OP_huber_loss && input && fa_is_float(input->meta.dtype)) /* as in PyTorch */
        loss = fa_record_cast(loss, input->meta.dtype);
    return fa_handle(loss);
}

/* The arguments are shared; what a loss does not have is refused, never passed over. */
static bool has_no(const char *what, const char *name, double value, const char *hint)
{
    if (value == 1)
        return true;
    return fa_refuse(FA_VALUE_ERROR, what, "got %s %g, needs none. Hint: %s.", name, value, hint);
}

#define BETA_HINT "fa_smooth_l1_loss has it"
#define DELTA_HINT "fa_huber_loss has it"

fa_tensor *fa_mse_loss_at(const fa_distance_loss_args *args)
{
    fa_begin(args->where_);
    if (!has_no("mse_loss", "beta", args->beta, BETA_HINT) || !has_no("mse_loss", "delta", args->delta, DELTA_HINT))
        return NULL;
    return record(FA_OP_mse_loss, args, 0);
}

fa_tensor *fa_l1_loss_at(const fa_distance_loss_args *args)
{
    fa_begin(args->where_);
    if (!has_no("l1_loss", "beta", args->beta, BETA_HINT) || !has_no("l1_loss", "delta", args->delta, DELTA_HINT))
        return NULL;
    return record(FA_OP_l1_loss, args, 0);
}

fa_tensor *fa_smooth_l1_loss_at(const fa_distance_loss_args *args)
{
    fa_begin(args->where_);
    if (!has_no("smooth_l1_loss", "delta", args->delta, "fa_huber_loss has it, .beta is the one here"))
        return NULL;
    if (!(args->beta >= 0)) {
        fa_refuse(FA_VALUE_ERROR, "smooth_l1_loss", "got beta %g, needs 0 or more. Hint: leave it out for 1.",
                  args->beta);
        return NULL;
    }
    if (args->weight) {
        fa_refuse(FA_VALUE_ERROR, "smooth_l1_loss",
                  "got a weight, needs none. Hint: .reduction = FA_REDUCE_NONE, and fa_mul by the weights.");
        return NULL;
    }
    return record(args->beta == 0 ? FA_OP_l1_loss : FA_OP_smooth_l1_loss, args, args->beta);
}

fa_tensor *fa_huber_loss_at(const fa_distance_loss_args *args)
{
    fa_begin(args->where_);
    if (!has_no("huber_loss", "beta", args->beta, "fa_smooth_l1_loss has it, .delta is the one here"))
        return NULL;
    if (!(args->delta > 0)) {
        fa_refuse(FA_VALUE_ERROR, "huber_loss", "got delta %g, needs more than 0. Hint: leave it out for 1.",
                  args->delta);
        return NULL;
    }
    return record(FA_OP_huber_loss, args, args->delta);
}
