/* kl_div: the divergence of a target t from log-probabilities x.
 *
 *     loss = t * (log t - x), 0 where t is 0;     with log_target (ints[1])  exp(t) * (t - x)
 *     d loss / dx = -t                                                      -exp(t)
 *     d loss / dt = log t + 1 - x                                           exp(t) * (t - x + 1)
 *
 * Input and target are broadcast. */
#include "ops/pair_loss.h"

#include <math.h>

static double divergence(double x, double t)
{
    return (t == 0 ? 0 : t * log(t)) - t * x;
}

#define DIVERGENCE(T) FA_PAIR_LOSS(T, args->ints[1] ? exp(y) * (y - x) : divergence(x, y))

static void reference(const fa_kernel_args *args)
{
    FA_FOR_FLOATS(args->out_meta[0]->dtype, DIVERGENCE);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *x = node->in[0], *t = node->in[1], *g = fa_pair_spread(node, grad);
    const bool log_target = node->ints[1];
    fa_node *p = log_target ? fa_record1(FA_OP_exp, t) : t;
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record1(FA_OP_neg, fa_record2(FA_OP_mul, p, g));
    if (!fa_wants_grad(node, 1))
        return;
    fa_node *slope;
    if (log_target)
        slope = fa_record2(FA_OP_mul, p, fa_record_scalar(FA_OP_add_scalar, fa_record2(FA_OP_sub, t, x), 1));
    else /* t / t: NaN at 0, as in PyTorch */
        slope = fa_record2(FA_OP_sub, fa_record2(FA_OP_add, fa_record1(FA_OP_log, t), fa_record2(FA_OP_div, t, t)), x);
    grad_in[1] = fa_record2(FA_OP_mul, slope, g);
}

/* PyTorch composes this one, and prints the last of its ops. */
static const char *grad_label(const fa_node *node)
{
    static const char *const names[] = {"", "MeanBackward0", "SumBackward0"};
    if (node->ints[0] == FA_REDUCE_NONE)
        return node->ints[1] ? "MulBackward0" : "SubBackward0";
    return names[node->ints[0]];
}

const fa_op_def fa_op_kl_div = {
    .name = "kl_div",
    .grad_name = "SubBackward0",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_pair_loss,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_input,
};

fa_tensor *fa_kl_div_at(const fa_kl_div_args *args)
{
    fa_begin(args->where_);
    fa_node *pair[2];
    fa_meta shape;
    if (!fa_pair_reduction(args->reduction, true, "kl_div") ||
        !fa_pair_inputs(args->input, args->target, pair, "kl_div") ||
        !fa_broadcast(&pair[0]->meta, &pair[1]->meta, &shape, "kl_div"))
        return NULL;
    const fa_meta input = pair[0]->meta;
    for (int i = 0; i < 2; i++)
        pair[i] = fa_record_expand_as(pair[i], &shape);
    if (!pair[0] || !pair[1])
        return NULL;
    const bool batch = args->reduction == FA_REDUCE_BATCHMEAN;
    const int64_t ints[2] = {batch ? FA_REDUCE_SUM : args->reduction, args->log_target};
    fa_node *loss = fa_record(FA_OP_kl_div, 2, pair, ints, sizeof ints, NULL, 0);
    if (batch && input.ndim > 0)
        loss = fa_record_scalar(FA_OP_div_scalar, loss, (double)input.shape[0]);
    return fa_handle(loss);
}
