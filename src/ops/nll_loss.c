/* nll_loss, its gradient, and cross_entropy = log_softmax followed by nll_loss.
 *
 * Scores l are [N,C], [C] or [N,C,d1,...]; w are class weights, or 1; e is label_smoothing. For each sample (and
 * place):
 *
 *     class number t    loss = -(1-e) * w[t] * l[t] - e/C * sum over c of w[c] * l[c];  0 where t is ignore_index
 *     probabilities p   loss = -sum over c of w[c] * q[c] * l[c],  q = (1-e) * p + e/C
 *
 * Reduction none keeps them, sum adds them up; mean divides the sum by the sum of w[t] of the samples that count, or by
 * the number of samples for probabilities. With C classes along dimension 1 and K = d1*..., element (n, c, k) of the
 * scores lies at (n*C + c)*K + k. */
#include "ops/kernel_types.h"
#include "ops/rules.h"

#include <string.h>

/* ---- The calls ---- */

static int class_dim(const fa_meta *scores)
{
    return scores->ndim > 1 ? 1 : 0;
}

/* The shape of the losses before they are reduced: the scores' without the classes. */
static fa_meta losses_meta(const fa_meta *scores)
{
    fa_meta losses = fa_meta_of(scores->dtype, 0, NULL);
    for (int d = 0; d < scores->ndim; d++)
        if (d != class_dim(scores))
            losses.shape[losses.ndim++] = scores->shape[d];
    return losses;
}

static bool check_scores(const fa_node *scores, const char *what)
{
    const fa_meta *meta = &scores->meta;
    if (!fa_is_float(meta->dtype))
        return fa_refuse(FA_DTYPE_ERROR, what,
                         "got scores of dtype %s, needs float32 or float64. Hint: "
                         "fa_to_dtype(scores, FA_FLOAT32).",
                         fa_dtype_name(meta->dtype));
    if (meta->ndim < 1)
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got a single number, needs scores [N, C]: one number a class. Hint: "
                         "give the outputs of the last layer, before any reduction.");
    if (meta->shape[class_dim(meta)] < 1)
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got scores %s without classes, needs one at least. Hint: give the last layer one "
                         "output a class.",
                         fa_shape_text(meta));
    return true;
}

static bool check_weight(const fa_node *scores, const fa_node *weight, const char *what)
{
    if (!weight)
        return true;
    const int64_t classes = scores->meta.shape[class_dim(&scores->meta)];
    if (weight->meta.ndim != 1 || weight->meta.shape[0] != classes)
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got weight %s, needs [%lld]: one number a class, the scores are %s. Hint: "
                         "leave it out to weigh all alike.",
                         fa_shape_text(&weight->meta), (long long)classes, fa_shape_text(&scores->meta));
    if (weight->meta.dtype != scores->meta.dtype)
        return fa_refuse(FA_DTYPE_ERROR, what, "got weight of dtype %s, needs %s as the scores are. Hint: fa_to_dtype.",
                         fa_dtype_name(weight->meta.dtype), fa_dtype_name(scores->meta.dtype));
    if (weight->requires_grad)
        return fa_refuse(FA_VALUE_ERROR, what,
                         "got a weight that requires gradients, needs constants. Hint: fa_detach(weight).");
    return true;
}

static bool check_probabilities(const fa_node *scores, const fa_node *target, const fa_loss_args *args,
                                const char *what)
{
    if (target->meta.dtype != scores->meta.dtype)
        return fa_refuse(FA_DTYPE_ERROR, what,
                         "got probabilities of dtype %s, needs %s as the scores are. Hint: "
                         "fa_to_dtype(target, %s).",
                         fa_dtype_name(target->meta.dtype), fa_dtype_name(scores->meta.dtype),
                         scores->meta.dtype == FA_DT_FLOAT32 ? "FA_FLOAT32" : "FA_FLOAT64");
    if (args->ignore_index >= 0)
        return fa_refuse(FA_VALUE_ERROR, what,
                         "got ignore_index %lld with probabilities, needs class numbers for that. Hint: leave it out.",
                         (long long)args->ignore_index);
    return true;
}

static bool check_target_dtype(const fa_node *scores, const fa_node *target, const char *what)
{
    const int dtype = target->meta.dtype;
    if (dtype == FA_DT_INT64 || dtype == FA_DT_UINT8)
        return true;
    const char *name = fa_dtype_name(dtype), *shape = fa_shape_text(&target->meta);
    if (!fa_is_float(dtype))
        return fa_refuse(
            FA_DTYPE_ERROR, what,
            "got target %s of dtype %s, needs class numbers as int64. Hint: fa_to_dtype(target, FA_INT64).", shape,
            name);
    const fa_meta losses = losses_meta(&scores->meta);
    const char *scores_text = fa_shape_text(&scores->meta), *needed = fa_shape_text(&losses);
    if (strcmp(what, "cross_entropy") == 0)
        return fa_refuse(FA_DTYPE_ERROR, what,
                         "got target %s of dtype %s for scores %s, needs class numbers as int64 in shape %s, or "
                         "probabilities in the scores' shape %s. Hint: fa_to_dtype(target, FA_INT64).",
                         shape, name, scores_text, needed, scores_text);
    return fa_refuse(FA_DTYPE_ERROR, what,
                     "got target %s of dtype %s for scores %s, needs class numbers as int64 in shape %s. Hint: "
                     "fa_to_dtype(target, FA_INT64); fa_cross_entropy also takes probabilities.",
                     shape, name, scores_text, needed);
}

static bool check_class_numbers(const fa_node *scores, const fa_node *target, const char *what)
{
    if (!check_target_dtype(scores, target, what))
        return false;
    const fa_meta losses = losses_meta(&scores->meta), *got = &target->meta;
    if (fa_same_shape(&losses, got) || (scores->meta.ndim == 1 && got->ndim == 1 && got->shape[0] == 1))
        return true;
    const char *scores_text = fa_shape_text(&scores->meta), *got_text = fa_shape_text(got);
    const char *needed = fa_shape_text(&losses);
    if (scores->meta.ndim == 2 && got->ndim == 2 && got->shape[0] == losses.shape[0] && got->shape[1] == 1)
        return fa_refuse(
            FA_SHAPE_ERROR, what,
            "got target %s for scores %s, needs %s: one class number a sample. Hint: fa_squeeze(target, 1).", got_text,
            scores_text, needed);
    if (fa_same_shape(got, &scores->meta))
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got target %s of dtype %s for scores %s, needs %s: one class number a sample. Hint: "
                         "fa_argmax(target, %d) makes class numbers of one-hot rows.",
                         got_text, fa_dtype_name(got->dtype), scores_text, needed, class_dim(&scores->meta));
    if (scores->meta.ndim > 1 && got->ndim > 0 && got->shape[0] != scores->meta.shape[0])
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got %lld targets (%s) for %lld samples (scores %s), needs %s. Hint: take scores and targets "
                         "from the same batch.",
                         (long long)got->shape[0], got_text, (long long)scores->meta.shape[0], scores_text, needed);
    return fa_refuse(FA_SHAPE_ERROR, what,
                     "got target %s for scores %s, needs %s: the scores' shape without the classes. "
                     "Hint: one class number for each place.",
                     got_text, scores_text, needed);
}

static bool check_options(const fa_loss_args *args, const char *what)
{
    if (!(args->label_smoothing >= 0 && args->label_smoothing <= 1))
        return fa_refuse(FA_VALUE_ERROR, what, "got label_smoothing %g, needs 0 to 1. Hint: 0.1 is usual.",
                         args->label_smoothing);
    if ((int)args->reduction < FA_REDUCE_NONE || (int)args->reduction > FA_REDUCE_SUM)
        return fa_refuse(
            FA_VALUE_ERROR, what,
            "got reduction %d, needs FA_REDUCE_NONE, FA_REDUCE_MEAN or FA_REDUCE_SUM. Hint: leave it out for "
            "the mean.",
            (int)args->reduction);
    return true;
}

static fa_tensor *record_loss(const fa_loss_args *args, bool cross_entropy)
{
    const char *what = cross_entropy ? "cross_entropy" : "nll_loss";
    fa_node *scores = fa_use(args->input, what, "input");
    fa_node *target = scores ? fa_use(args->target, what, "target") : NULL;
    fa_node *weight = target && args->weight ? fa_use(args->weight, what, "weight") : NULL;
    if (!target || (args->weight && !weight))
        return NULL;
    if (!check_options(args, what) || !check_scores(scores, what) || !check_weight(scores, weight, what))
        return NULL;
    if (cross_entropy && fa_is_float(target->meta.dtype) && fa_same_shape(&scores->meta, &target->meta)) {
        if (!check_probabilities(scores, target, args, what))
            return NULL;
    } else if (!check_class_numbers(scores, target, what)) {
        return NULL;
    }
    if (cross_entropy) {
        const int64_t dim = class_dim(&scores->meta);
        scores = fa_record(FA_OP_log_softmax, 1, &scores, &dim, sizeof dim, NULL, 0);
        if (!scores)
            return NULL;
    }
    const fa_loss_ints ints = {
        .reduction = args->reduction, .ignore_index = args->ignore_index, .cross_entropy = cross_entropy};
    return fa_handle(
        fa_record(FA_OP_nll_loss, 3, (fa_node *[]){scores, target, weight}, FA_INTS(ints), &args->label_smoothing, 1));
}

fa_tensor *fa_cross_entropy_at(const fa_loss_args *args)
{
    fa_begin(args->where_);
    return record_loss(args, true);
}

fa_tensor *fa_nll_loss_at(const fa_loss_args *args)
{
    fa_begin(args->where_);
    if (args->label_smoothing != 0) {
        fa_refuse(FA_VALUE_ERROR, "nll_loss", "got label_smoothing %g, needs none. Hint: fa_cross_entropy has it.",
                  args->label_smoothing);
        return NULL;
    }
    return record_loss(args, false);
}

/* ---- Shapes and gradients ---- */

static bool nll_loss_infer(fa_node *node)
{
    const fa_meta *scores = &node->in[0]->meta;
    const bool reduced = ((const fa_loss_ints *)node->ints)->reduction != FA_REDUCE_NONE;
    node->meta = reduced ? fa_meta_of(scores->dtype, 0, NULL) : losses_meta(scores);
    return true;
}

static bool grad_infer(fa_node *node)
{
    node->meta = node->in[1]->meta;
    node->meta.layout = FA_PLAIN;
    return true;
}

static void nll_loss_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *scores = node->in[0], *target = node->in[1], *weight = node->in[2];
    const size_t ints_bytes = sizeof(fa_loss_ints);
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record(FA_OP_nll_loss_grad, 4, (fa_node *[]){grad, scores, target, weight}, node->ints,
                               ints_bytes, node->floats, 1);
    if (!fa_wants_grad(node, 1))
        return;
    /* Without smoothing the loss is linear in scores and probabilities alike, so they may change places. */
    fa_node *swapped = fa_record(FA_OP_nll_loss_grad, 4, (fa_node *[]){grad, target, scores, weight}, node->ints,
                                 ints_bytes, (double[]){0}, 1);
    grad_in[1] = fa_record_scalar(FA_OP_mul_scalar, swapped, 1 - node->floats[0]);
}

/* The gradient is linear in g, and its slope is the loss itself; with probabilities it is linear in them too. */
static void nll_loss_grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *g = node->in[0], *target = node->in[2], *weight = node->in[3];
    const size_t ints_bytes = sizeof(fa_loss_ints);
    if (fa_wants_grad(node, 0))
        grad_in[0] =
            fa_record(FA_OP_nll_loss, 3, (fa_node *[]){grad, target, weight}, node->ints, ints_bytes, node->floats, 1);
    if (!fa_wants_grad(node, 2))
        return;
    fa_node *swapped = fa_record(FA_OP_nll_loss_grad, 4, (fa_node *[]){g, target, grad, weight}, node->ints, ints_bytes,
                                 (double[]){0}, 1);
    grad_in[2] = fa_record_scalar(FA_OP_mul_scalar, swapped, 1 - node->floats[0]);
}

/* PyTorch composes some of these losses from other ops, and prints the last one. */
static const char *nll_loss_grad_label(const fa_node *node)
{
    const bool mean = ((const fa_loss_ints *)node->ints)->reduction == FA_REDUCE_MEAN;
    if (fa_is_float(node->in[1]->meta.dtype))
        return mean ? "DivBackward1" : "NegBackward0";
    if (node->floats[0] > 0)
        return "AddBackward0";
    return node->in[0]->meta.ndim > 2 ? "NllLoss2DBackward0" : "NllLossBackward0";
}

/* ---- Reference kernels ---- */

/* One call, as both kernels see it. */
typedef struct problem {
    int64_t N, C, K, reduction, ignore_index;
    const void *target;
    int target_dtype;
    double smoothing, share; /* e, e/C */
} problem;

static problem problem_of(const fa_kernel_args *args, int scores)
{
    const fa_meta *meta = args->in_meta[scores];
    const fa_loss_ints *ints = (const void *)args->ints;
    problem p = {.N = meta->ndim > 1 ? meta->shape[0] : 1,
                 .C = meta->shape[class_dim(meta)],
                 .K = 1,
                 .reduction = ints->reduction,
                 .ignore_index = ints->ignore_index,
                 .target = args->in[scores + 1],
                 .target_dtype = args->in_meta[scores + 1]->dtype,
                 .smoothing = args->floats[0]};
    for (int d = 2; d < meta->ndim; d++)
        p.K *= meta->shape[d];
    p.share = p.smoothing / (double)p.C;
    return p;
}

static bool has_probabilities(const problem *p)
{
    return fa_is_float(p->target_dtype);
}

/* Class number of loss i = n*K + k. */
static int64_t label_at(const void *target, int dtype, int64_t i)
{
    return dtype == FA_DT_INT64 ? ((const int64_t *)target)[i] : ((const uint8_t *)target)[i];
}

/* What the mean divides by. */
#define DEFINE_DIVISOR(T)                                                                                              \
    static double divisor_##T(const problem *p, const T *weight)                                                       \
    {                                                                                                                  \
        if (p->reduction != FA_REDUCE_MEAN)                                                                            \
            return 1;                                                                                                  \
        if (has_probabilities(p))                                                                                      \
            return (double)(p->N * p->K);                                                                              \
        double sum = 0;                                                                                                \
        for (int64_t i = 0; i < p->N * p->K; i++) {                                                                    \
            const int64_t label = label_at(p->target, p->target_dtype, i);                                             \
            if (label != p->ignore_index)                                                                              \
                sum += weight ? (double)weight[label] : 1;                                                             \
        }                                                                                                              \
        return sum;                                                                                                    \
    }

/* Loss i as a sum over classes of -coefficient * l: this is the coefficient of class c, 0 in an ignored sample. */
#define DEFINE_COEFFICIENT(T)                                                                                          \
    static double coefficient_##T(const problem *p, const T *weight, int64_t n, int64_t c, int64_t k)                  \
    {                                                                                                                  \
        const double w = weight ? (double)weight[c] : 1;                                                               \
        if (has_probabilities(p))                                                                                      \
            return w * ((1 - p->smoothing) * (double)((const T *)p->target)[(n * p->C + c) * p->K + k] + p->share);    \
        const int64_t label = label_at(p->target, p->target_dtype, n * p->K + k);                                      \
        if (label == p->ignore_index)                                                                                  \
            return 0;                                                                                                  \
        return w * ((label == c ? 1 - p->smoothing : 0) + p->share);                                                   \
    }

/* Whether class c has a part in loss (n, k): what has none stays out of the sum, where 0 * infinity would be NaN. */
static bool takes_part(const problem *p, int64_t n, int64_t c, int64_t k)
{
    if (has_probabilities(p))
        return true;
    const int64_t label = label_at(p->target, p->target_dtype, n * p->K + k);
    return label != p->ignore_index && (label == c || p->smoothing > 0);
}

#define DEFINE_NLL_LOSS(T)                                                                                             \
    static void nll_loss_##T(const fa_kernel_args *args)                                                               \
    {                                                                                                                  \
        const problem p = problem_of(args, 0);                                                                         \
        const T *scores = args->in[0], *weight = args->in[2];                                                          \
        T *out = args->out[0];                                                                                         \
        double total = 0;                                                                                              \
        for (int64_t n = 0; n < p.N; n++)                                                                              \
            for (int64_t k = 0; k < p.K; k++) {                                                                        \
                double loss = 0;                                                                                       \
                for (int64_t c = 0; c < p.C; c++)                                                                      \
                    if (takes_part(&p, n, c, k))                                                                       \
                        loss -= coefficient_##T(&p, weight, n, c, k) * (double)scores[(n * p.C + c) * p.K + k];        \
                total += loss;                                                                                         \
                if (p.reduction == FA_REDUCE_NONE)                                                                     \
                    out[n * p.K + k] = (T)loss;                                                                        \
            }                                                                                                          \
        if (p.reduction != FA_REDUCE_NONE)                                                                             \
            *out = (T)(total / divisor_##T(&p, weight));                                                               \
    }

#define DEFINE_NLL_LOSS_GRAD(T)                                                                                        \
    static void nll_loss_grad_##T(const fa_kernel_args *args)                                                          \
    {                                                                                                                  \
        const problem p = problem_of(args, 1);                                                                         \
        const T *g = args->in[0], *weight = args->in[3];                                                               \
        T *dl = args->out[0];                                                                                          \
        const double divisor = divisor_##T(&p, weight);                                                                \
        for (int64_t n = 0; n < p.N; n++)                                                                              \
            for (int64_t c = 0; c < p.C; c++)                                                                          \
                for (int64_t k = 0; k < p.K; k++) {                                                                    \
                    const double scale = (double)g[p.reduction == FA_REDUCE_NONE ? n * p.K + k : 0] / divisor;         \
                    *dl++ = takes_part(&p, n, c, k) ? (T)(-coefficient_##T(&p, weight, n, c, k) * scale) : 0;          \
                }                                                                                                      \
    }

DEFINE_DIVISOR(float)
DEFINE_DIVISOR(double)
DEFINE_COEFFICIENT(float)
DEFINE_COEFFICIENT(double)
DEFINE_NLL_LOSS(float)
DEFINE_NLL_LOSS(double)
DEFINE_NLL_LOSS_GRAD(float)
DEFINE_NLL_LOSS_GRAD(double)

static void nll_loss_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->out_meta[0]->dtype, nll_loss, args);
}

static void nll_loss_grad_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->out_meta[0]->dtype, nll_loss_grad, args);
}

/* ---- Labels ---- */

static bool check_labels(const fa_kernel_args *args, fa_where where, int scores)
{
    const fa_meta *meta = args->in_meta[scores], *target = args->in_meta[scores + 1];
    const fa_loss_ints *ints = (const void *)args->ints;
    if (fa_is_float(target->dtype))
        return true;
    const int64_t count = fa_meta_numel(target), classes = meta->shape[class_dim(meta)];
    for (int64_t i = 0; i < count; i++) {
        const int64_t label = label_at(args->in[scores + 1], target->dtype, i);
        if ((label >= 0 && label < classes) || label == ints->ignore_index)
            continue;
        const int64_t places = meta->ndim > 1 && meta->shape[0] > 0 ? count / meta->shape[0] : 1;
        return fa_fail(
            FA_INDEX_ERROR, where, ints->cross_entropy ? "cross_entropy" : "nll_loss",
            "got label %lld for sample %lld of the batch, needs 0 to %lld (the scores %s have %lld class%s) or "
            "ignore_index = %lld. Hint: number the classes from 0, and give the last layer one output a class.",
            (long long)label, (long long)(i / places), (long long)(classes - 1), fa_shape_text(meta),
            (long long)classes, classes == 1 ? "" : "es", (long long)ints->ignore_index);
    }
    return true;
}

static bool nll_loss_check(const fa_kernel_args *args, fa_where where)
{
    return check_labels(args, where, 0);
}

static bool nll_loss_grad_check(const fa_kernel_args *args, fa_where where)
{
    return check_labels(args, where, 1);
}

/* inputs: log-probabilities, target, class weights or NULL; floats[0]: label_smoothing */
const fa_op_def fa_op_nll_loss = {
    .name = "nll_loss",
    .grad_name = "NllLossBackward0",
    .grad_label = nll_loss_grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = nll_loss_infer,
    .gradient = nll_loss_gradient,
    .reference = nll_loss_reference,
    .check = nll_loss_check,
    .check_inputs = 1 << 1,
    .flops = fa_flops_input,
};

/* inputs: g, log-probabilities (their shape alone), target, class weights or NULL; floats[0]: label_smoothing.
 * The loss itself may never be computed, so the labels are checked here too. */
const fa_op_def fa_op_nll_loss_grad = {
    .name = "nll_loss_grad",
    .grad_name = "NllLossBackwardBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = grad_infer,
    .gradient = nll_loss_grad_gradient,
    .reference = nll_loss_grad_reference,
    .check = nll_loss_grad_check,
    .check_inputs = 1 << 2,
};
