/* layer_norm and group_norm: rows of a row-major tensor brought to mean 0 and variance 1. Per row of L elements
 *
 *     mean = sum of x / L,  var = sum of (x - mean)^2 / L
 *     xhat = (x - mean) / sqrt(var + eps),  y = xhat * weight + bias
 *     dx   = (g - sum of g / L - xhat * (sum of g*xhat / L)) / sqrt(var + eps)     (norm_input_grad; g: of xhat)
 *
 * layer_norm: a row is all that the last dimensions hold, and weight and bias have their shape. group_norm: a row is
 * one group of channels of one image, and weight and bias hold a number a channel. instance_norm is group_norm with
 * groups of one channel. Weight and bias may be absent. */
#include "ops/kernel_types.h"
#include "ops/norm_slope.h"

#include <math.h>
#include <string.h>

/* Element i of the tensor has element i / step % count of weight and bias. */
typedef struct norm_ints {
    int64_t length, step, count, by_instance;
} norm_ints;

static bool infer(fa_node *node)
{
    return fa_infer_same(node);
}

/* Weight or bias as it is broadcast over x. */
static fa_node *spread_shape(const fa_node *node, fa_node *value)
{
    const fa_meta *x = &node->in[0]->meta;
    if (!value || node->op == FA_OP_layer_norm)
        return value;
    int64_t shape[FA_MAX_DIMS] = {x->shape[1], 1, 1, 1, 1, 1, 1, 1};
    return fa_record_reshape(value, x->ndim - 1, shape, FA_VIEW);
}

/* The gradient of weight or bias: what reached each of its elements, summed. */
static fa_node *gather_grad(const fa_node *node, fa_node *grad, const fa_node *value)
{
    fa_meta spread = value->meta;
    if (node->op == FA_OP_group_norm)
        spread = fa_meta_of(value->meta.dtype, node->in[0]->meta.ndim - 1,
                            (int64_t[FA_MAX_DIMS]){value->meta.shape[0], 1, 1, 1, 1, 1, 1, 1});
    return fa_record_reshape_as(fa_record_sum_to(grad, &spread), &value->meta);
}

/* norm_input_grad, or where it will be differentiated the same in simple ops. */
static fa_node *input_slope(const fa_node *node, fa_node *inner, fa_node *x)
{
    const norm_ints *ints = (const norm_ints *)node->ints;
    if (!inner || !fa_rules_differentiable())
        return inner ? fa_record(FA_OP_norm_input_grad, 2, (fa_node *[]){inner, x}, ints, sizeof *ints, node->floats, 1)
                     : NULL;
    const int64_t n = fa_meta_numel(&x->meta), shape[2] = {ints->length > 0 ? n / ints->length : 0, ints->length};
    fa_node *rows = fa_record_reshape(x, 2, shape, FA_VIEW);
    inner = fa_record_reshape(inner, 2, shape, FA_VIEW);
    return fa_record_reshape_as(fa_record_norm_slope(inner, rows, 1 << 1, node->floats[0]), &x->meta);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const norm_ints *ints = (const norm_ints *)node->ints;
    fa_node *x = node->in[0], *weight = node->in[1], *bias = node->in[2];
    if (fa_wants_grad(node, 0)) {
        fa_node *inner = weight ? fa_record_binary(FA_OP_mul, grad, spread_shape(node, weight)) : grad;
        grad_in[0] = input_slope(node, inner, x);
    }
    if (fa_wants_grad(node, 1)) {
        fa_node *xhat =
            fa_record((fa_op)node->op, 3, (fa_node *[]){x, NULL, NULL}, ints, sizeof *ints, node->floats, 1);
        grad_in[1] = gather_grad(node, fa_record_binary(FA_OP_mul, grad, xhat), weight);
    }
    if (fa_wants_grad(node, 2))
        grad_in[2] = gather_grad(node, grad, bias);
}

/* Mean and 1/sqrt(var + eps) of a row. */
typedef struct statistics {
    double mean, scale;
} statistics;

#define DEFINE_STATISTICS(T)                                                                                           \
    static statistics statistics_##T(const T *x, int64_t n, double eps)                                                \
    {                                                                                                                  \
        double sum = 0, squares = 0;                                                                                   \
        for (int64_t i = 0; i < n; i++)                                                                                \
            sum += (double)x[i];                                                                                       \
        const double mean = sum / (double)n;                                                                           \
        for (int64_t i = 0; i < n; i++)                                                                                \
            squares += ((double)x[i] - mean) * ((double)x[i] - mean);                                                  \
        return (statistics){mean, 1 / sqrt(squares / (double)n + eps)};                                                \
    }
DEFINE_STATISTICS(float)
DEFINE_STATISTICS(double)

#define NORM(T)                                                                                                        \
    {                                                                                                                  \
        const T *x = args->in[0], *weight = args->in[1], *bias = args->in[2];                                          \
        T *y = args->out[0];                                                                                           \
        for (int64_t first = 0; first < n; first += ints->length) {                                                    \
            const statistics s = statistics_##T(x + first, ints->length, args->floats[0]);                             \
            for (int64_t i = first; i < first + ints->length; i++) {                                                   \
                const int64_t at = i / ints->step % ints->count;                                                       \
                const double xhat = ((double)x[i] - s.mean) * s.scale;                                                 \
                y[i] = (T)(xhat * (weight ? (double)weight[at] : 1) + (bias ? (double)bias[at] : 0));                  \
            }                                                                                                          \
        }                                                                                                              \
    }

#define NORM_GRAD(T)                                                                                                   \
    {                                                                                                                  \
        const T *g = args->in[0], *x = args->in[1];                                                                    \
        T *dx = args->out[0];                                                                                          \
        for (int64_t first = 0; first < n; first += ints->length) {                                                    \
            const statistics s = statistics_##T(x + first, ints->length, args->floats[0]);                             \
            double sum = 0, product = 0;                                                                               \
            for (int64_t i = first; i < first + ints->length; i++) {                                                   \
                sum += (double)g[i];                                                                                   \
                product += (double)g[i] * ((double)x[i] - s.mean) * s.scale;                                           \
            }                                                                                                          \
            for (int64_t i = first; i < first + ints->length; i++) {                                                   \
                const double xhat = ((double)x[i] - s.mean) * s.scale;                                                 \
                dx[i] = (T)(((double)g[i] - sum / length - xhat * (product / length)) * s.scale);                      \
            }                                                                                                          \
        }                                                                                                              \
    }

static void reference(const fa_kernel_args *args)
{
    const norm_ints *ints = (const void *)args->ints;
    const int64_t n = fa_meta_numel(args->out_meta[0]);
    FA_FOR_FLOATS(args->out_meta[0]->dtype, NORM);
}

static void input_grad_reference(const fa_kernel_args *args)
{
    const norm_ints *ints = (const void *)args->ints;
    const int64_t n = fa_meta_numel(args->out_meta[0]);
    const double length = (double)ints->length;
    FA_FOR_FLOATS(args->out_meta[0]->dtype, NORM_GRAD);
}

static double flops(const fa_kernel_args *args)
{
    return 8 * (double)fa_meta_numel(args->out_meta[0]);
}

static const char *group_label(const fa_node *node)
{
    return ((const norm_ints *)node->ints)->by_instance ? "ViewBackward0" : "NativeGroupNormBackward0";
}

/* inputs: x, weight or NULL, bias or NULL */
const fa_op_def fa_op_layer_norm = {
    .name = "layer_norm",
    .grad_name = "NativeLayerNormBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = flops,
};

/* inputs: x, weight or NULL, bias or NULL */
const fa_op_def fa_op_group_norm = {
    .name = "group_norm",
    .grad_name = "NativeGroupNormBackward0",
    .grad_label = group_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = flops,
};

/* inputs: g, x */
const fa_op_def fa_op_norm_input_grad = {
    .name = "norm_input_grad",
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .reference = input_grad_reference,
    .flops = flops,
};

/* ---- The calls ---- */

typedef struct norm_inputs {
    fa_node *x, *weight, *bias;
} norm_inputs;

static bool use(fa_tensor *x, fa_tensor *weight, fa_tensor *bias, const char *what, norm_inputs *in)
{
    in->x = fa_use(x, what, "input");
    in->weight = weight ? fa_use(weight, what, "weight") : NULL;
    in->bias = bias ? fa_use(bias, what, "bias") : NULL;
    if (!in->x || (weight && !in->weight) || (bias && !in->bias))
        return false;
    if (!fa_is_float(in->x->meta.dtype))
        return fa_refuse(FA_DTYPE_ERROR, what,
                         "got input of dtype %s, needs float32 or float64. Hint: fa_to_dtype(x, FA_FLOAT32)",
                         fa_dtype_name(in->x->meta.dtype));
    return true;
}

static bool check_affine(const fa_node *x, const fa_node *value, const fa_meta *wanted, const char *what,
                         const char *name)
{
    if (!value)
        return true;
    if (!fa_same_shape(&value->meta, wanted))
        return fa_refuse(FA_SHAPE_ERROR, what, "got %s %s for input %s, needs %s. Hint: leave it out for none", name,
                         fa_shape_text(&value->meta), fa_shape_text(&x->meta), fa_shape_text(wanted));
    if (value->meta.dtype != x->meta.dtype)
        return fa_refuse(FA_DTYPE_ERROR, what,
                         "got input of dtype %s and %s of dtype %s, needs one type for both. "
                         "Hint: fa_to_dtype",
                         fa_dtype_name(x->meta.dtype), name, fa_dtype_name(value->meta.dtype));
    return true;
}

static fa_tensor *record_norm(fa_op op, const norm_inputs *in, const norm_ints *ints, double eps)
{
    return fa_handle(fa_record(op, 3, (fa_node *[]){in->x, in->weight, in->bias}, ints, sizeof *ints, &eps, 1));
}

fa_tensor *fa_layer_norm_at(const fa_layer_norm_args *args)
{
    static const char what[] = "layer_norm";
    fa_begin(args->where_);
    norm_inputs in;
    if (!use(args->x, args->weight, args->bias, what, &in))
        return NULL;
    const fa_shape *shape = &args->normalized_shape;
    const int outer = in.x->meta.ndim - shape->ndim;
    fa_meta wanted;
    if (!fa_meta_from_shape(&wanted, (fa_dtype)in.x->meta.dtype, shape, what))
        return NULL;
    if (shape->ndim < 1 || outer < 0 ||
        memcmp(in.x->meta.shape + outer, shape->size, sizeof(int64_t) * (size_t)shape->ndim) != 0) {
        fa_refuse(FA_SHAPE_ERROR, what,
                  "got input %s, needs one that ends with %s, the shape that is normalized. Hint: the layer's "
                  "normalized_shape is the last sizes of its input",
                  fa_shape_text(&in.x->meta), fa_shape_text(&wanted));
        return NULL;
    }
    if (!check_affine(in.x, in.weight, &wanted, what, "weight") || !check_affine(in.x, in.bias, &wanted, what, "bias"))
        return NULL;
    const int64_t length = fa_meta_numel(&wanted);
    const norm_ints ints = {.length = length, .step = 1, .count = length};
    return record_norm(FA_OP_layer_norm, &in, &ints, args->eps);
}

static int64_t pixels_of(const fa_meta *x)
{
    int64_t pixels = 1;
    for (int d = 2; d < x->ndim; d++)
        pixels *= x->shape[d];
    return pixels;
}

static fa_tensor *by_groups(norm_inputs *in, int64_t groups, double eps, bool by_instance, const char *what)
{
    const fa_meta *x = &in->x->meta;
    const int64_t channels = x->shape[1], pixels = pixels_of(x);
    const fa_meta wanted = fa_meta_of(x->dtype, 1, &channels);
    if (!check_affine(in->x, in->weight, &wanted, what, "weight") ||
        !check_affine(in->x, in->bias, &wanted, what, "bias"))
        return NULL;
    const norm_ints ints = {
        .length = channels / groups * pixels, .step = pixels, .count = channels, .by_instance = by_instance};
    return record_norm(FA_OP_group_norm, in, &ints, eps);
}

fa_tensor *fa_group_norm_at(const fa_group_norm_args *args)
{
    static const char what[] = "group_norm";
    fa_begin(args->where_);
    norm_inputs in;
    if (!use(args->x, args->weight, args->bias, what, &in))
        return NULL;
    const fa_meta *x = &in.x->meta;
    if (x->ndim < 2) {
        fa_refuse(FA_SHAPE_ERROR, what,
                  "got input %s, needs 2 dimensions or more: [N, C, ...]. Hint: fa_unsqueeze(x, 0) "
                  "gives a batch dimension",
                  fa_shape_text(x));
        return NULL;
    }
    if (args->num_groups < 1) {
        fa_refuse(FA_VALUE_ERROR, what,
                  "got %lld groups, needs 1 or more. Hint: 1 normalizes all channels together, %lld each by itself",
                  (long long)args->num_groups, (long long)x->shape[1]);
        return NULL;
    }
    if (x->shape[1] % args->num_groups) {
        fa_refuse(FA_VALUE_ERROR, what,
                  "got %lld groups for input %s, needs a number that divides its %lld channels. "
                  "Hint: 1 normalizes all channels together",
                  (long long)args->num_groups, fa_shape_text(x), (long long)x->shape[1]);
        return NULL;
    }
    if (x->shape[0] * (x->shape[1] / args->num_groups) * pixels_of(x) == 1) {
        fa_refuse(FA_SHAPE_ERROR, what,
                  "got input %s, 1 value a group, needs 2 or more: one value has no variance. "
                  "Hint: fewer groups",
                  fa_shape_text(x));
        return NULL;
    }
    return by_groups(&in, args->num_groups, args->eps, false, what);
}

/* The running statistics take in the means over the images of each channel's mean and variance. */
static bool record_running(const fa_instance_norm_args *args, fa_node *x, fa_node *mean, fa_node *var)
{
    const int64_t images = x->meta.shape[0], channels = x->meta.shape[1], pixels = pixels_of(&x->meta);
    x = fa_record_reshape(x, 4, (int64_t[]){1, images * channels, 1, pixels}, FA_VIEW);
    fa_node *stats = x ? fa_record1(FA_OP_batch_norm_stats, x) : NULL;
    stats = fa_record_reshape(stats, 3, (int64_t[]){2, images, channels}, FA_VIEW);
    const int64_t over_images[4] = {1 << 1, false, true, 0};
    stats = stats ? fa_record(FA_OP_mean, 1, &stats, over_images, sizeof over_images, NULL, 0) : NULL;
    fa_node *in[4] = {mean, var, NULL, stats};
    return stats && fa_record_effect(FA_OP_batch_norm_update, 4, in, FA_INTS(pixels), &args->momentum, 1);
}

static fa_tensor *by_running(const norm_inputs *in, fa_node *mean, fa_node *var, double eps)
{
    const fa_meta shape = in->x->meta;
    fa_node *x =
        fa_record_reshape(in->x, 4, (int64_t[]){shape.shape[0], shape.shape[1], 1, pixels_of(&shape)}, FA_VIEW);
    fa_node *with[5] = {x, mean, var, in->weight, in->bias};
    fa_node *y = x ? fa_record(FA_OP_batch_norm_eval, 5, with, NULL, 0, &eps, 1) : NULL;
    return fa_handle(fa_record_reshape(y, shape.ndim, shape.shape, FA_VIEW));
}

/* The running statistics of the call, both or neither. */
static bool use_running(const fa_instance_norm_args *args, const fa_node *x, const char *what, fa_node *running[2])
{
    static const char *const name[2] = {"running_mean", "running_var"};
    fa_tensor *const given[2] = {args->running_mean, args->running_var};
    const fa_meta wanted = fa_meta_of(x->meta.dtype, 1, &x->meta.shape[1]);
    for (int i = 0; i < 2; i++) {
        running[i] = given[i] ? fa_use(given[i], what, name[i]) : NULL;
        if ((given[i] && !running[i]) || !check_affine(x, running[i], &wanted, what, name[i]))
            return false;
        if (!given[i] && (given[!i] || !args->use_input_stats))
            return fa_refuse(FA_VALUE_ERROR, what, "got no %s, needs %s. Hint: .use_input_stats = true needs neither",
                             name[i], args->use_input_stats ? "both running statistics or none" : "both");
        if (running[i] && args->use_input_stats && running[i]->op != FA_OP_leaf)
            return fa_refuse(
                FA_STATE_ERROR, what,
                "got a computed tensor as %s, needs one in memory, which can be changed. Hint: a buffer, or "
                "a tensor that fa_zeros made",
                name[i]);
    }
    return true;
}

fa_tensor *fa_instance_norm_at(const fa_instance_norm_args *args)
{
    static const char what[] = "instance_norm";
    fa_begin(args->where_);
    norm_inputs in;
    if (!use(args->x, args->weight, args->bias, what, &in))
        return NULL;
    const fa_meta *x = &in.x->meta;
    if (x->ndim < 3) {
        fa_refuse(FA_SHAPE_ERROR, what,
                  "got input %s, needs 3 dimensions or more: [N, C, L], [N, C, H, W]. Hint: "
                  "fa_layer_norm normalizes rows",
                  fa_shape_text(x));
        return NULL;
    }
    if (pixels_of(x) == 1 && args->use_input_stats) {
        fa_refuse(FA_SHAPE_ERROR, what,
                  "got input %s, 1 value a channel of an image, needs 2 or more: one value has no "
                  "variance. Hint: leave the layer out where the image is one pixel",
                  fa_shape_text(x));
        return NULL;
    }
    fa_node *running[2];
    if (!use_running(args, in.x, what, running))
        return NULL;
    if (!args->use_input_stats) {
        const fa_meta wanted = fa_meta_of(x->dtype, 1, &x->shape[1]);
        return check_affine(in.x, in.weight, &wanted, what, "weight") &&
                       check_affine(in.x, in.bias, &wanted, what, "bias")
                   ? by_running(&in, running[0], running[1], args->eps)
                   : NULL;
    }
    fa_tensor *y = by_groups(&in, x->shape[1], args->eps, true, what);
    return y && running[0] && !record_running(args, in.x, running[0], running[1]) ? NULL : y;
}
