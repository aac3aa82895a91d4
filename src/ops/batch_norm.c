/* Batch norm over [N,C,H,W] (other inputs [N,C,...] are seen as such): statistics of a batch, their use, their memory,
 * and the gradients.
 *
 * Per channel, over the M = N*H*W values x (training):
 *
 *     batch_norm_stats       mean = sum of x / M,  v = sum of (x - mean)^2                      [2,C]
 *     batch_norm_apply       y = (x - mean) * invstd * weight + bias,  invstd = 1/sqrt(v/M + eps)
 *     batch_norm_update      running = (1-m)*running + m*(mean, v/(M-1)),  num_batches_tracked += 1
 *     batch_norm_grad_stats  sum of g, sum of g*xhat,  xhat = (x - mean) * invstd               [2,C]
 *     batch_norm_input_grad  dx = weight * invstd * (g - sum_g/M - xhat * sum_g_xhat/M)
 *
 * The two sums are the gradients of bias and weight; batch_norm_input_grad holds the way through the statistics too, so
 * that these need no gradient of their own. Where a gradient will be differentiated itself (create_graph), these rules
 * record simple ops instead. In evaluation mean and variance are the running ones, constants:
 *
 *     batch_norm_eval             y as above
 *     batch_norm_eval_grad_stats  as above
 *     batch_norm_eval_input_grad  dx = weight * invstd * g
 *
 * Forward results are PyTorch's bit for bit: each step below rounds to the dtype where it is assigned to a T. */
#include "ops/kernel_types.h"
#include "ops/norm_slope.h"

#include <math.h>

/* ---- The call ---- */

static const char what[] = "batch_norm";

/* An optional argument: its node in *node, NULL where it was left out. False after an error. */
static bool use_optional(fa_tensor *handle, const char *name, fa_node **node)
{
    *node = handle ? fa_use(handle, what, name) : NULL;
    return !handle || *node;
}

/* Whether a value that comes one a channel fits x. */
static bool check_per_channel(const fa_node *x, const fa_node *value, const char *name)
{
    if (!value)
        return true;
    const int64_t channels = x->meta.shape[1];
    if (value->meta.ndim != 1 || value->meta.shape[0] != channels)
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got input %s with %lld channel%s, but %s is %s, needs one number a channel. Hint: build the "
                         "layer with num_features = %lld.",
                         fa_shape_text(&x->meta), (long long)channels, channels == 1 ? "" : "s", name,
                         fa_shape_text(&value->meta), (long long)channels);
    if (value->meta.dtype != x->meta.dtype)
        return fa_refuse(FA_DTYPE_ERROR, what,
                         "got input of dtype %s and %s of dtype %s, needs the same for both. Hint: fa_to_dtype.",
                         fa_dtype_name(x->meta.dtype), name, fa_dtype_name(value->meta.dtype));
    return true;
}

static bool check_input(const fa_node *x)
{
    if (x->meta.ndim < 2)
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got input %s with %d dimension%s, needs [N, C], [N, C, L] or [N, C, H, W]. Hint: a batch of "
                         "one gets its dimension with fa_unsqueeze(x, 0).",
                         fa_shape_text(&x->meta), x->meta.ndim, x->meta.ndim == 1 ? "" : "s");
    if (!fa_is_float(x->meta.dtype))
        return fa_refuse(FA_DTYPE_ERROR, what,
                         "got input of dtype %s, needs float32 or float64. Hint: fa_to_dtype(x, FA_FLOAT32).",
                         fa_dtype_name(x->meta.dtype));
    return true;
}

static int64_t values_per_channel(const fa_meta *x)
{
    int64_t values = x->shape[0];
    for (int d = 2; d < x->ndim; d++)
        values *= x->shape[d];
    return values;
}

/* What training needs besides: enough values, and running statistics that can be written. */
static bool check_training(const fa_batch_norm_args *args, const fa_node *x, const fa_node *mean, const fa_node *var,
                           const fa_node *tracked)
{
    if (values_per_channel(&x->meta) == 1)
        return fa_refuse(
            FA_SHAPE_ERROR, what,
            "got input %s, 1 value a channel, needs 2 or more in training: one value has no variance. Hint: "
            "use a larger batch (drop an incomplete last one), or switch the model to evaluation.",
            fa_shape_text(&x->meta));
    if (!(args->eps > 0))
        return fa_refuse(FA_VALUE_ERROR, what, "got eps = %g, needs more than 0. Hint: leave it out for 1e-5.",
                         args->eps);
    if (!mean)
        return true;
    if (mean->op != FA_OP_leaf || var->op != FA_OP_leaf || (tracked && tracked->op != FA_OP_leaf))
        return fa_refuse(FA_VALUE_ERROR, what,
                         "got running statistics that are computed values, needs tensors in memory, which training "
                         "writes. Hint: fa_zeros and fa_ones.");
    if (tracked && (tracked->meta.ndim != 0 || tracked->meta.dtype != FA_DT_INT64))
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got num_batches_tracked %s of dtype %s, needs one int64 number. Hint: "
                         "fa_zeros_with(FA_SCALAR, .dtype = FA_INT64).",
                         fa_shape_text(&tracked->meta), fa_dtype_name(tracked->meta.dtype));
    if (isnan(args->momentum) && !tracked)
        return fa_refuse(
            FA_VALUE_ERROR, what,
            "got momentum NAN (a cumulative mean) without num_batches_tracked, needs that count. Hint: pass "
            ".num_batches_tracked, or a momentum as 0.1.");
    return true;
}

static fa_node *record_training(const fa_batch_norm_args *args, fa_node *x, fa_node *mean, fa_node *var,
                                fa_node *tracked, fa_node *weight, fa_node *bias)
{
    fa_node *stats = fa_record1(FA_OP_batch_norm_stats, x);
    if (!stats)
        return NULL;
    fa_node *y = fa_record(FA_OP_batch_norm_apply, 4, (fa_node *[]){x, stats, weight, bias}, NULL, 0, &args->eps, 1);
    const int64_t values = values_per_channel(&x->meta);
    if (y && mean &&
        !fa_record_effect(FA_OP_batch_norm_update, 4, (fa_node *[]){mean, var, tracked, stats}, &values, sizeof values,
                          &args->momentum, 1))
        return NULL;
    return y;
}

/* [N,C,...] as [N,C,L,1]. */
static fa_node *as_image(fa_node *x)
{
    if (x->meta.ndim == 4)
        return x;
    int64_t length = 1;
    for (int d = 2; d < x->meta.ndim; d++)
        length *= x->meta.shape[d];
    return fa_record_reshape(x, 4, (int64_t[]){x->meta.shape[0], x->meta.shape[1], length, 1}, FA_VIEW_HIDDEN);
}

static fa_tensor *finish(fa_node *y, const fa_meta *like)
{
    return fa_handle(y && like->ndim != 4 ? fa_record_reshape(y, like->ndim, like->shape, FA_VIEW_HIDDEN) : y);
}

fa_tensor *fa_batch_norm_at(const fa_batch_norm_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, what, "input"), *mean, *var, *weight, *bias, *tracked;
    if (!x || !use_optional(args->running_mean, "running_mean", &mean) ||
        !use_optional(args->running_var, "running_var", &var) || !use_optional(args->weight, "weight", &weight) ||
        !use_optional(args->bias, "bias", &bias) ||
        !use_optional(args->num_batches_tracked, "num_batches_tracked", &tracked))
        return NULL;
    if (!check_input(x) || !check_per_channel(x, mean, "running_mean") || !check_per_channel(x, var, "running_var") ||
        !check_per_channel(x, weight, "weight") || !check_per_channel(x, bias, "bias"))
        return NULL;
    if (!mean != !var) {
        fa_refuse(FA_VALUE_ERROR, what,
                  "got %s alone, needs running_mean and running_var, or neither. Hint: give both.",
                  mean ? "running_mean" : "running_var");
        return NULL;
    }
    const fa_meta shape = x->meta;
    if (args->training) {
        if (!check_training(args, x, mean, var, tracked) || !(x = as_image(x)))
            return NULL;
        return finish(record_training(args, x, mean, var, tracked, weight, bias), &shape);
    }
    if (!mean) {
        fa_refuse(FA_VALUE_ERROR, what,
                  "got no running_mean and running_var, needs them in evaluation. Hint: .training = true takes the "
                  "batch's own statistics.");
        return NULL;
    }
    x = as_image(x);
    return finish(
        x ? fa_record(FA_OP_batch_norm_eval, 5, (fa_node *[]){x, mean, var, weight, bias}, NULL, 0, &args->eps, 1)
          : NULL,
        &shape);
}

/* ---- Shapes and gradients ---- */

/* [2,C] for an image in input 0. */
static bool stats_infer(fa_node *node)
{
    const fa_meta *x = &node->in[0]->meta;
    node->meta = fa_meta_of(x->dtype, 2, (int64_t[]){2, x->shape[1]});
    return true;
}

/* An effect has no value. */
static bool update_infer(fa_node *node)
{
    node->meta = (fa_meta){0};
    return true;
}

/* Row 0 or 1 of [2,C] statistics, as [C]. */
static fa_node *stats_row(fa_node *stats, int64_t row)
{
    if (!stats)
        return NULL;
    const int64_t channels = stats->meta.shape[1];
    const fa_slice_ints ints = {.start = row, .step = 1, .length = 1, .base_shape = {2, channels}};
    fa_node *slice = fa_record(FA_OP_slice, 1, &stats, FA_INTS(ints), NULL, 0);
    return fa_record_reshape(slice, 1, &channels, FA_VIEW);
}

enum { ALL_BUT_CHANNELS = 1 << 0 | 1 << 2 | 1 << 3 };

/* [C] as [C,1,1]. */
static fa_node *spread(fa_node *value)
{
    return fa_record_reshape(value, 3, (int64_t[]){value ? value->meta.shape[0] : 0, 1, 1}, FA_VIEW);
}

/* The gradients of weight and bias, the inputs `first` and `first` + 1. */
static void affine_slope(const fa_node *node, fa_node *grad, fa_node *xhat, int first, fa_node **grad_in)
{
    if (fa_wants_grad(node, first))
        grad_in[first] = fa_record_sum(fa_record2(FA_OP_mul, grad, xhat), ALL_BUT_CHANNELS, false);
    if (fa_wants_grad(node, first + 1))
        grad_in[first + 1] = fa_record_sum(grad, ALL_BUT_CHANNELS, false);
}

/* The rules below where what they record will be differentiated: the same in simple ops. */
static void apply_slope(const fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *x = node->in[0], *weight = node->in[2];
    fa_node *xhat = fa_wants_grad(node, 2) ? fa_record_standardized(x, ALL_BUT_CHANNELS, node->floats[0]) : NULL;
    affine_slope(node, grad, xhat, 2, grad_in);
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record_norm_slope(weight ? fa_record2(FA_OP_mul, grad, spread(weight)) : grad, x,
                                          ALL_BUT_CHANNELS, node->floats[0]);
}

static void eval_slope(const fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *x = node->in[0], *mean = node->in[1], *var = node->in[2], *weight = node->in[3];
    fa_node *scale = spread(fa_record1(FA_OP_rsqrt, fa_record_scalar(FA_OP_add_scalar, var, node->floats[0])));
    fa_node *xhat = fa_record2(FA_OP_mul, fa_record2(FA_OP_sub, x, spread(mean)), scale);
    affine_slope(node, grad, xhat, 3, grad_in);
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record2(FA_OP_mul, grad, weight ? fa_record2(FA_OP_mul, spread(weight), scale) : scale);
}

static void apply_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_rules_differentiable()) {
        apply_slope(node, grad, grad_in);
        return;
    }
    fa_node *x = node->in[0], *stats = node->in[1], *weight = node->in[2];
    fa_node *sums = fa_record(FA_OP_batch_norm_grad_stats, 3, (fa_node *[]){grad, x, stats}, NULL, 0, node->floats, 1);
    if (!sums)
        return;
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record(FA_OP_batch_norm_input_grad, 5, (fa_node *[]){grad, x, stats, sums, weight}, NULL, 0,
                               node->floats, 1);
    if (fa_wants_grad(node, 2))
        grad_in[2] = stats_row(sums, 1);
    if (fa_wants_grad(node, 3))
        grad_in[3] = stats_row(sums, 0);
}

static void eval_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_rules_differentiable()) {
        eval_slope(node, grad, grad_in);
        return;
    }
    fa_node *x = node->in[0], *mean = node->in[1], *var = node->in[2], *weight = node->in[3];
    if (fa_wants_grad(node, 0))
        grad_in[0] =
            fa_record(FA_OP_batch_norm_eval_input_grad, 3, (fa_node *[]){grad, var, weight}, NULL, 0, node->floats, 1);
    if (!fa_wants_grad(node, 3) && !fa_wants_grad(node, 4))
        return;
    fa_node *sums =
        fa_record(FA_OP_batch_norm_eval_grad_stats, 4, (fa_node *[]){grad, x, mean, var}, NULL, 0, node->floats, 1);
    if (fa_wants_grad(node, 3))
        grad_in[3] = stats_row(sums, 1);
    if (fa_wants_grad(node, 4))
        grad_in[4] = stats_row(sums, 0);
}

/* ---- Reference kernels ---- */

/* for each element of channel c, at index `at`, in the order n, h, w */
#define FOR_CHANNEL(meta, c, at)                                                                                       \
    for (int64_t n_ = 0, pixels_ = (meta)->shape[2] * (meta)->shape[3]; n_ < (meta)->shape[0]; n_++)                   \
        for (int64_t at = (n_ * (meta)->shape[1] + (c)) * pixels_, end_ = at + pixels_; at < end_; at++)

#define STATS(T)                                                                                                       \
    {                                                                                                                  \
        const T *x = args->in[0];                                                                                      \
        T *mean = args->out[0], *v = mean + channels;                                                                  \
        for (int64_t c = 0; c < channels; c++) {                                                                       \
            double sum = 0, squares = 0;                                                                               \
            FOR_CHANNEL(meta, c, i) sum += (double)x[i];                                                               \
            mean[c] = (T)(sum / (double)values);                                                                       \
            FOR_CHANNEL(meta, c, i)                                                                                    \
            {                                                                                                          \
                const T difference = x[i] - mean[c], square = difference * difference;                                 \
                squares += (double)square;                                                                             \
            }                                                                                                          \
            v[c] = (T)squares;                                                                                         \
        }                                                                                                              \
    }

static void stats_reference(const fa_kernel_args *args)
{
    const fa_meta *meta = args->in_meta[0];
    const int64_t channels = meta->shape[1], values = values_per_channel(meta);
    FA_FOR_FLOATS(meta->dtype, STATS);
}

static float fma_float(float a, float b, float c)
{
    return fmaf(a, b, c);
}

static double fma_double(double a, double b, double c)
{
    return fma(a, b, c);
}

/* 1/sqrt(v/M + eps) of a batch; the running variance of PyTorch's evaluation takes the whole sum in T instead. */
#define DEFINE_INVSTD(T, SQRT)                                                                                         \
    static T batch_invstd_##T(T v, int64_t values, double eps)                                                         \
    {                                                                                                                  \
        const T var = v / (T)values;                                                                                   \
        return (T)(1 / sqrt((double)var + eps));                                                                       \
    }                                                                                                                  \
    static T running_invstd_##T(T var, double eps)                                                                     \
    {                                                                                                                  \
        return 1 / SQRT(var + (T)eps);                                                                                 \
    }

/* y = x*alpha + beta for one channel */
#define DEFINE_LINE(T)                                                                                                 \
    static void line_##T(const fa_kernel_args *args, int64_t c, T mean, T invstd, const T *weight, const T *bias)      \
    {                                                                                                                  \
        const T *x = args->in[0];                                                                                      \
        T *y = args->out[0];                                                                                           \
        const T alpha = weight ? invstd * weight[c] : invstd;                                                          \
        const T beta = fma_##T(-mean, alpha, bias ? bias[c] : 0);                                                      \
        FOR_CHANNEL(args->in_meta[0], c, i) y[i] = fma_##T(x[i], alpha, beta);                                         \
    }

/* sum of g, sum of g*xhat for one channel */
#define DEFINE_GRAD_SUMS(T)                                                                                            \
    static void grad_sums_##T(const fa_kernel_args *args, int64_t c, T mean, T invstd)                                 \
    {                                                                                                                  \
        const T *g = args->in[0], *x = args->in[1];                                                                    \
        T *sum_g = args->out[0], *sum_g_xhat = sum_g + args->out_meta[0]->shape[1];                                    \
        double sum = 0, dot = 0;                                                                                       \
        FOR_CHANNEL(args->in_meta[0], c, i)                                                                            \
        {                                                                                                              \
            sum += (double)g[i];                                                                                       \
            dot += (double)g[i] * ((double)x[i] - (double)mean);                                                       \
        }                                                                                                              \
        sum_g[c] = (T)sum;                                                                                             \
        sum_g_xhat[c] = (T)(dot * (double)invstd);                                                                     \
    }

DEFINE_INVSTD(float, sqrtf)
DEFINE_INVSTD(double, sqrt)
DEFINE_LINE(float)
DEFINE_LINE(double)
DEFINE_GRAD_SUMS(float)
DEFINE_GRAD_SUMS(double)

#define APPLY(T)                                                                                                       \
    {                                                                                                                  \
        const T *mean = args->in[1], *v = mean + channels;                                                             \
        for (int64_t c = 0; c < channels; c++)                                                                         \
            line_##T(args, c, mean[c], batch_invstd_##T(v[c], values, eps), args->in[2], args->in[3]);                 \
    }

#define EVAL(T)                                                                                                        \
    {                                                                                                                  \
        const T *mean = args->in[1], *var = args->in[2];                                                               \
        for (int64_t c = 0; c < channels; c++)                                                                         \
            line_##T(args, c, mean[c], running_invstd_##T(var[c], eps), args->in[3], args->in[4]);                     \
    }

#define GRAD_STATS(T)                                                                                                  \
    {                                                                                                                  \
        const T *mean = args->in[2], *v = mean + channels;                                                             \
        for (int64_t c = 0; c < channels; c++)                                                                         \
            grad_sums_##T(args, c, mean[c], batch_invstd_##T(v[c], values, eps));                                      \
    }

#define EVAL_GRAD_STATS(T)                                                                                             \
    {                                                                                                                  \
        const T *mean = args->in[2], *var = args->in[3];                                                               \
        for (int64_t c = 0; c < channels; c++)                                                                         \
            grad_sums_##T(args, c, mean[c], running_invstd_##T(var[c], eps));                                          \
    }

#define INPUT_GRAD(T)                                                                                                  \
    {                                                                                                                  \
        const T *g = args->in[0], *x = args->in[1], *mean = args->in[2], *v = mean + channels;                         \
        const T *sum_g = args->in[3], *sum_g_xhat = sum_g + channels, *weight = args->in[4];                           \
        T *dx = args->out[0];                                                                                          \
        for (int64_t c = 0; c < channels; c++) {                                                                       \
            const double invstd = (double)batch_invstd_##T(v[c], values, eps);                                         \
            const double scale = weight ? (double)weight[c] * invstd : invstd;                                         \
            const double mean_g = (double)sum_g[c] / (double)values;                                                   \
            const double mean_g_xhat = (double)sum_g_xhat[c] / (double)values;                                         \
            FOR_CHANNEL(args->in_meta[0], c, i)                                                                        \
            {                                                                                                          \
                const double xhat = ((double)x[i] - (double)mean[c]) * invstd;                                         \
                dx[i] = (T)(scale * ((double)g[i] - mean_g - xhat * mean_g_xhat));                                     \
            }                                                                                                          \
        }                                                                                                              \
    }

#define EVAL_INPUT_GRAD(T)                                                                                             \
    {                                                                                                                  \
        const T *g = args->in[0], *var = args->in[1], *weight = args->in[2];                                           \
        T *dx = args->out[0];                                                                                          \
        for (int64_t c = 0; c < channels; c++) {                                                                       \
            const T invstd = running_invstd_##T(var[c], eps), scale = weight ? invstd * weight[c] : invstd;            \
            FOR_CHANNEL(args->in_meta[0], c, i) dx[i] = g[i] * scale;                                                  \
        }                                                                                                              \
    }

/* A kernel over the channels of the image in input 0. */
#define DEFINE_REFERENCE(name, BODY)                                                                                   \
    static void name(const fa_kernel_args *args)                                                                       \
    {                                                                                                                  \
        const int64_t channels = args->in_meta[0]->shape[1], values = values_per_channel(args->in_meta[0]);            \
        const double eps = args->floats[0];                                                                            \
        FA_FOR_FLOATS(args->in_meta[0]->dtype, BODY);                                                                  \
        (void)values;                                                                                                  \
    }

DEFINE_REFERENCE(apply_reference, APPLY)
DEFINE_REFERENCE(grad_stats_reference, GRAD_STATS)
DEFINE_REFERENCE(input_grad_reference, INPUT_GRAD)
DEFINE_REFERENCE(eval_reference, EVAL)
DEFINE_REFERENCE(eval_grad_stats_reference, EVAL_GRAD_STATS)
DEFINE_REFERENCE(eval_input_grad_reference, EVAL_INPUT_GRAD)

#define UPDATE(T)                                                                                                      \
    {                                                                                                                  \
        T *running_mean = args->in[0], *running_var = args->in[1];                                                     \
        const T *mean = args->in[3], *v = mean + channels;                                                             \
        const T m = (T)momentum, rest = (T)(1 - momentum);                                                             \
        for (int64_t c = 0; c < channels; c++) {                                                                       \
            const T old_mean = rest * running_mean[c], old_var = rest * running_var[c], new_mean = m * mean[c];        \
            running_mean[c] = new_mean + old_mean;                                                                     \
            running_var[c] = fma_##T(m, v[c] / (T)(values - 1), old_var);                                              \
        }                                                                                                              \
    }

static void update_reference(const fa_kernel_args *args)
{
    const int64_t channels = args->in_meta[3]->shape[1], values = args->ints[0];
    int64_t *tracked = args->in[2];
    if (tracked)
        ++*tracked;
    if (values == 0) /* an empty batch counts, and changes nothing else */
        return;
    const double momentum = isnan(args->floats[0]) ? 1.0 / (double)*tracked : args->floats[0];
    FA_FOR_FLOATS(args->in_meta[3]->dtype, UPDATE);
}

/* Five operations an element of x or g, within one. */
static double image_flops(const fa_kernel_args *args)
{
    return 5 * (double)fa_meta_numel(args->in_meta[0]);
}

/* ---- Definitions; floats[0]: eps, but of batch_norm_update ---- */

/* inputs: x */
const fa_op_def fa_op_batch_norm_stats = {
    .name = "batch_norm_stats",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0,
    .infer = stats_infer,
    .reference = stats_reference,
    .flops = image_flops,
};

/* inputs: x, stats, weight or NULL, bias or NULL */
const fa_op_def fa_op_batch_norm_apply = {
    .name = "batch_norm",
    .grad_name = "NativeBatchNormBackward0",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0,
    .infer = fa_infer_same,
    .gradient = apply_gradient,
    .reference = apply_reference,
    .flops = image_flops,
};

/* inputs: running_mean, running_var, num_batches_tracked or NULL, stats; ints[0]: values a channel; floats[0]:
 * momentum, NaN for a cumulative mean */
const fa_op_def fa_op_batch_norm_update = {
    .name = "batch_norm_update",
    .writes = 1 << 0 | 1 << 1 | 1 << 2,
    .layout = FA_LAYOUT_PLAIN,
    .infer = update_infer,
    .reference = update_reference,
};

/* inputs: g, x, stats */
const fa_op_def fa_op_batch_norm_grad_stats = {
    .name = "batch_norm_grad_stats",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0 | 1 << 1,
    .infer = stats_infer,
    .reference = grad_stats_reference,
    .flops = image_flops,
};

/* inputs: g, x, stats, sums of batch_norm_grad_stats, weight or NULL */
const fa_op_def fa_op_batch_norm_input_grad = {
    .name = "batch_norm_input_grad",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0 | 1 << 1,
    .infer = fa_infer_same,
    .reference = input_grad_reference,
    .flops = image_flops,
};

/* inputs: x, running_mean, running_var, weight or NULL, bias or NULL */
const fa_op_def fa_op_batch_norm_eval = {
    .name = "batch_norm",
    .grad_name = "NativeBatchNormBackward0",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0,
    .infer = fa_infer_same,
    .gradient = eval_gradient,
    .reference = eval_reference,
    .flops = image_flops,
};

/* inputs: g, x, running_mean, running_var */
const fa_op_def fa_op_batch_norm_eval_grad_stats = {
    .name = "batch_norm_eval_grad_stats",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0 | 1 << 1,
    .infer = stats_infer,
    .reference = eval_grad_stats_reference,
    .flops = image_flops,
};

/* inputs: g, running_var, weight or NULL */
const fa_op_def fa_op_batch_norm_eval_input_grad = {
    .name = "batch_norm_eval_input_grad",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0,
    .infer = fa_infer_same,
    .reference = eval_input_grad_reference,
    .flops = image_flops,
};
