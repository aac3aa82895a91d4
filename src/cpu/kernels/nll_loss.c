/* nll_loss and its gradient for scores [N,C] or [C] and int64 class numbers, checked before: with class weights w or 1,
 * label smoothing e, and t the class number of sample n,
 *
 *     loss[n] = -sum over c of q[c] * l[n,c],   q[c] = w[c] * ((c == t ? 1-e : 0) + e/C);  0 where t is ignore_index
 *
 * FA_FUSE_LOG_SOFTMAX: l = log_softmax(scores) comes first, and in backward the gradient goes on to the scores, row by
 * row in the cache.
 *
 * Reduction mean divides their sum by the sum of w[t] of the samples that count. All in double, samples in order: the
 * bits of the reference kernels, without a walk over classes that have no part. */
#include "cpu/kernels/rows.h"

enum { REDUCE_NONE, REDUCE_MEAN }; /* fa_loss_ints.reduction */

typedef struct loss_call {
    const float *scores, *weight, *g;
    const int64_t *target;
    float *dl;
    int64_t samples, classes, reduction, ignore_index;
    double smoothing, share, divisor; /* e, e/C, what the sum is divided by */
} loss_call;

static double weight_of(const loss_call *c, int64_t k)
{
    return c->weight ? (double)c->weight[k] : 1;
}

/* scores, target and weight are inputs first, first + 1 and first + 2. */
static loss_call make_call(const fa_kernel_args *args, int first)
{
    const fa_meta *meta = args->in_meta[first];
    const fa_loss_ints *ints = (const void *)args->ints;
    loss_call c = {.scores = args->in[first],
                   .target = args->in[first + 1],
                   .weight = args->in[first + 2],
                   .samples = meta->ndim > 1 ? meta->shape[0] : 1,
                   .classes = meta->shape[meta->ndim > 1 ? 1 : 0],
                   .reduction = ints->reduction,
                   .ignore_index = ints->ignore_index,
                   .smoothing = args->floats[0],
                   .divisor = 1};
    c.share = c.smoothing / (double)c.classes;
    if (c.reduction != REDUCE_MEAN)
        return c;
    c.divisor = 0;
    for (int64_t n = 0; n < c.samples; n++)
        if (c.target[n] != c.ignore_index)
            c.divisor += weight_of(&c, c.target[n]);
    return c;
}

static double coefficient(const loss_call *c, int64_t label, int64_t k)
{
    return weight_of(c, k) * ((label == k ? 1 - c->smoothing : 0) + c->share);
}

static double sample_loss(const loss_call *c, int64_t n)
{
    const int64_t label = c->target[n];
    const float *l = c->scores + n * c->classes;
    if (label == c->ignore_index)
        return 0;
    if (!(c->smoothing > 0))
        return 0 - coefficient(c, label, label) * (double)l[label];
    double loss = 0;
    for (int64_t k = 0; k < c->classes; k++)
        loss -= coefficient(c, label, k) * (double)l[k];
    return loss;
}

static void add_up(const loss_call *c, float *out)
{
    double total = 0;
    for (int64_t n = 0; n < c->samples; n++) {
        const double loss = sample_loss(c, n);
        total += loss;
        if (c->reduction == REDUCE_NONE)
            out[n] = (float)loss;
    }
    if (c->reduction != REDUCE_NONE)
        *out = (float)(total / c->divisor);
}

static void loss_run(const fa_kernel_args *args)
{
    const loss_call c = make_call(args, 0);
    add_up(&c, args->out[0]);
}

static void sample_grad(const loss_call *c, int64_t n)
{
    const int64_t label = c->target[n];
    const double scale = (double)c->g[c->reduction == REDUCE_NONE ? n : 0] / c->divisor;
    float *dl = c->dl + n * c->classes;
    if (label == c->ignore_index || !(c->smoothing > 0)) {
        memset(dl, 0, (size_t)c->classes * sizeof *dl);
        if (label != c->ignore_index)
            dl[label] = (float)(-coefficient(c, label, label) * scale);
        return;
    }
    for (int64_t k = 0; k < c->classes; k++)
        dl[k] = (float)(-coefficient(c, label, k) * scale);
}

static void grad_range(void *context, int64_t begin, int64_t end)
{
    for (int64_t n = begin; n < end; n++)
        sample_grad(context, n);
}

static void grad_run(const fa_kernel_args *args)
{
    loss_call c = make_call(args, 1);
    c.g = args->in[0];
    c.dl = args->out[0];
    const bool small = c.samples * c.classes <= 65536;
    fa_parallel_for(c.samples, small ? c.samples : fa_max64(1, 16384 / c.classes), grad_range, &c);
}

/* ---- With log_softmax ---- */

typedef struct fused_call {
    loss_call loss;
    const float *x;
    float *l; /* log-probabilities; loss.dl, NULL without backward, becomes the gradient of x */
} fused_call;

static void fused_range(void *context, int64_t begin, int64_t end)
{
    const fused_call *f = context;
    const int64_t classes = f->loss.classes;
    for (int64_t n = begin; n < end; n++) {
        float *l = f->l + n * classes;
        FA_ISA(fa_log_softmax_row)(f->x + n * classes, l, classes);
        if (f->loss.dl) {
            float *dl = f->loss.dl + n * classes;
            sample_grad(&f->loss, n);
            FA_ISA(fa_log_softmax_grad_row)(dl, l, dl, classes);
        }
    }
}

static void fused_run(const fa_kernel_args *args)
{
    fused_call f = {.loss = make_call(args, 0), .x = args->in[0], .l = args->out[2]};
    f.loss.scores = f.l;
    f.loss.g = args->in[3];
    f.loss.dl = args->out[1];
    const bool small = f.loss.samples * f.loss.classes <= 32768;
    fa_parallel_for(f.loss.samples, small ? f.loss.samples : fa_max64(1, 16384 / f.loss.classes), fused_range, &f);
    add_up(&f.loss, args->out[0]);
}

static bool supports_scores(const fa_kernel_args *args, int first)
{
    const fa_meta *scores = args->in_meta[first], *weight = args->in_meta[first + 2];
    return scores->dtype == FA_DT_FLOAT32 && scores->ndim >= 1 && scores->ndim <= 2 &&
           args->in_meta[first + 1]->dtype == FA_DT_INT64 && (!weight || weight->dtype == FA_DT_FLOAT32);
}

static bool loss_supports(const fa_kernel_args *args)
{
    return supports_scores(args, 0);
}

static bool grad_supports(const fa_kernel_args *args)
{
    return supports_scores(args, 1);
}

const fa_cpu_kernel FA_ISA(fa_nll_loss_kernels)[] = {
    {.op = FA_OP_nll_loss, .name = "nll_loss " FA_ISA_NAME, .supports = loss_supports, .run = loss_run},
    {.op = FA_OP_nll_loss,
     .name = "cross_entropy " FA_ISA_NAME,
     .supports = loss_supports,
     .run = fused_run,
     .fuse = FA_FUSE_LOG_SOFTMAX},
    {.op = FA_OP_nll_loss_grad, .name = "nll_loss_grad " FA_ISA_NAME, .supports = grad_supports, .run = grad_run},
    {.run = NULL},
};
