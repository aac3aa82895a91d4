/* Clipping of gradients: torch.nn.utils.clip_grad_norm_ and clip_grad_value_.
 *
 *     power_sum(a, g)        a + sum of |g|^p (floats[0] = p); for p infinite  max(a, max of |g|); a is 0 where absent
 *     clip_scale(g, norm)    g = g * min(max_norm * (1 / (norm + 1e-6)), 1)      (effect; floats[0] = max_norm)
 *     clip_value(g)          g cut to -v..v, NaN stays                           (effect; floats[0] = v)
 *
 * Sums are float64, over all gradients; the norm is rounded to their type. */
#include "ops/effects.h"

#include <math.h>

static bool sum_infer(fa_node *node)
{
    if (!fa_is_float(node->in[1]->meta.dtype))
        return fa_refuse(FA_DTYPE_ERROR, "clip_grad_norm_", "got a gradient of %s, needs float32 or float64",
                         fa_dtype_name(node->in[1]->meta.dtype));
    node->meta = fa_meta_of(FA_DT_FLOAT64, 0, NULL);
    return true;
}

static double power(double x, double p)
{
    return p == 2 ? x * x : p == 1 ? x : pow(x, p);
}

#define POWER_SUM(T)                                                                                                   \
    {                                                                                                                  \
        const T *g = args->in[1];                                                                                      \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const double x = fabs((double)g[i]);                                                                       \
            if (!isinf(p))                                                                                             \
                sum += power(x, p);                                                                                    \
            else if (x > sum || isnan(x))                                                                              \
                sum = x;                                                                                               \
        }                                                                                                              \
    }

static void sum_reference(const fa_kernel_args *args)
{
    const int64_t n = fa_meta_numel(args->in_meta[1]);
    const double p = args->floats[0];
    double sum = args->in[0] ? *(const double *)args->in[0] : 0;
    FA_FOR_FLOATS(args->in_meta[1]->dtype, POWER_SUM);
    *(double *)args->out[0] = sum;
}

/* inputs: the sum so far or NULL, a gradient */
const fa_op_def fa_op_power_sum = {
    .name = "power_sum",
    .layout = FA_LAYOUT_PLAIN,
    .infer = sum_infer,
    .reference = sum_reference,
};

#define DEFINE_CLIP(T)                                                                                                 \
    static void scale_##T(const fa_kernel_args *args)                                                                  \
    {                                                                                                                  \
        const int64_t n = fa_meta_numel(args->in_meta[0]);                                                             \
        T *g = args->in[0];                                                                                            \
        const T raised = *(const T *)args->in[1] + (T)1e-6, inverse = 1 / raised;                                      \
        const T share = inverse * (T)args->floats[0], factor = share > 1 ? 1 : share;                                  \
        for (int64_t i = 0; i < n; i++)                                                                                \
            g[i] *= factor;                                                                                            \
    }                                                                                                                  \
                                                                                                                       \
    static void cut_##T(const fa_kernel_args *args)                                                                    \
    {                                                                                                                  \
        const int64_t n = fa_meta_numel(args->in_meta[0]);                                                             \
        T *g = args->in[0];                                                                                            \
        const T most = (T)args->floats[0];                                                                             \
        for (int64_t i = 0; i < n; i++)                                                                                \
            g[i] = g[i] > most ? most : g[i] < -most ? -most : g[i];                                                   \
    }

DEFINE_CLIP(float)
DEFINE_CLIP(double)

static void scale_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->in_meta[0]->dtype, scale, args);
}

static void value_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->in_meta[0]->dtype, cut, args);
}

/* inputs: a gradient, the norm of all in its type */
const fa_op_def fa_op_clip_scale = {
    .name = "clip_grad_norm_",
    .writes = 1,
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_same,
    .reference = scale_reference,
    .flops = fa_flops_input,
};

const fa_op_def fa_op_clip_value = {
    .name = "clip_grad_value_",
    .writes = 1,
    .elementwise_effect = true,
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_effect,
    .reference = value_reference,
    .flops = fa_flops_input,
};

/* The gradient's memory of a tensor; NULL if it has none, *ok false after an error. */
static fa_leaf *gradient_of(fa_tensor *tensor, const char *what, bool *ok)
{
    const fa_node *node = fa_use(tensor, what, "a tensor");
    *ok = node != NULL;
    const fa_leaf *leaf = node == NULL ? NULL : node->op == FA_OP_leaf ? node->leaf : node->retained;
    return leaf && leaf->grad && leaf->grad_defined ? leaf->grad : NULL;
}

/* The sum over all gradients, or their largest; NULL without any, *ok false after an error. */
static fa_node *sum_powers(fa_tensor_list tensors, double p, const char *what, bool *ok, int *dtype)
{
    fa_node *sum = NULL;
    *dtype = FA_DT_FLOAT32;
    *ok = true;
    for (int64_t i = 0; i < tensors.count && *ok; i++) {
        fa_leaf *grad = gradient_of(tensors.tensor[i], what, ok);
        if (!grad)
            continue;
        if (!sum)
            *dtype = grad->meta.dtype;
        fa_node *in[2] = {sum, fa_leaf_node(grad)};
        sum = in[1] ? fa_record(FA_OP_power_sum, 2, in, NULL, 0, &p, 1) : NULL;
        *ok = sum != NULL;
    }
    return sum;
}

static fa_node *record_norm(fa_tensor_list tensors, double p, const char *what)
{
    bool ok;
    int dtype;
    fa_node *sum = sum_powers(tensors, p, what, &ok, &dtype);
    if (!ok)
        return NULL;
    if (!sum) {
        const fa_meta scalar = fa_meta_of(dtype, 0, NULL);
        return fa_record_full(&scalar, 0);
    }
    if (p == 2)
        sum = fa_record1(FA_OP_sqrt, sum);
    else if (!isinf(p))
        sum = fa_record_scalar(FA_OP_pow_scalar, sum, 1 / p);
    return fa_record_cast(sum, dtype);
}

static bool check_finite(fa_node *norm, const char *what)
{
    if (!fa_evaluate(norm))
        return false;
    const void *bytes = fa_node_bytes(norm);
    if (!bytes)
        return false;
    const double value = norm->meta.dtype == FA_DT_FLOAT32 ? (double)*(const float *)bytes : *(const double *)bytes;
    if (isfinite(value))
        return true;
    return fa_refuse(
        FA_VALUE_ERROR, what,
        "got gradients whose norm is %g, needs a finite one. Hint: .error_if_nonfinite = false lets it pass; "
        "a smaller learning rate may prevent it.",
        value);
}

fa_tensor *fa_clip_grad_norm_at(const fa_clip_grad_norm_args *args)
{
    static const char what[] = "clip_grad_norm_";
    fa_begin(args->where_);
    if (!fa_ok())
        return NULL;
    if (!(args->norm_type > 0)) {
        fa_refuse(FA_VALUE_ERROR, what, "got norm_type %g, needs more than 0. Hint: 2, or INFINITY for the largest.",
                  args->norm_type);
        return NULL;
    }
    fa_grad_guard guard = fa_grad_begin_(false);
    fa_node *norm = record_norm(args->tensors, args->norm_type, what);
    bool ok = norm && (!args->error_if_nonfinite || check_finite(norm, what));
    for (int64_t i = 0; i < args->tensors.count && ok; i++) {
        fa_leaf *grad = gradient_of(args->tensors.tensor[i], what, &ok);
        if (!grad)
            continue;
        fa_node *in[2] = {fa_leaf_node(grad), fa_record_cast(norm, grad->meta.dtype)};
        ok = in[0] && in[1] && fa_record_effect(FA_OP_clip_scale, 2, in, NULL, 0, &args->max_norm, 1);
    }
    fa_grad_end_(&guard);
    return ok ? fa_handle(norm) : NULL;
}

bool fa_clip_grad_value_at(fa_tensor_list tensors, double clip_value, fa_where where)
{
    static const char what[] = "clip_grad_value_";
    fa_begin(where);
    bool ok = fa_ok();
    if (ok && !(clip_value >= 0))
        return fa_refuse(FA_VALUE_ERROR, what, "got clip_value %g, needs 0 or more. Hint: gradients are cut to -v..v.",
                         clip_value);
    for (int64_t i = 0; i < tensors.count && ok; i++) {
        fa_leaf *grad = gradient_of(tensors.tensor[i], what, &ok);
        if (!grad)
            continue;
        fa_node *in = fa_leaf_node(grad);
        ok = in && fa_record_effect(FA_OP_clip_value, 1, &in, NULL, 0, &clip_value, 1);
    }
    return ok;
}
