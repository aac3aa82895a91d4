/* linear: y = x W^T + b, x [...,in], W [out,in], b [out] or absent. With the leading dimensions of x as rows:
 * dx = g W, dW = g^T x, db = sum of g over rows. */
#include "ops/kernel_types.h"
#include "ops/rules.h"

#include <stdio.h>

/* "10 x 7 x 7": what a flattening of x from dimension 1 on multiplies. */
static void factors_text(const fa_meta *meta, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (int d = 1; d < meta->ndim && used < size; d++)
        used += (size_t)snprintf(text + used, size - used, "%s%lld", d > 1 ? " x " : "", (long long)meta->shape[d]);
}

static bool refuse_features(const fa_node *x, const fa_meta *weight)
{
    const fa_meta *meta = &x->meta;
    const long long needs = weight->shape[1], last = meta->shape[meta->ndim - 1];
    const char *got = fa_shape_text(meta), *shape = fa_shape_text(weight);
    char factors[128];
    if (meta->ndim >= 3) {
        int64_t flat = 1;
        for (int d = 1; d < meta->ndim; d++)
            flat *= meta->shape[d];
        factors_text(meta, factors, sizeof factors);
        const char *flattened = fa_dims_text(2, (int64_t[]){meta->shape[0], flat});
        if (flat == needs)
            return fa_refuse(
                FA_SHAPE_ERROR, "linear",
                "got %s, needs %lld features in the last dimension: the weight is %s. Hint: flatten first: "
                "fa_flatten(x, 1) gives %s",
                got, needs, shape, flattened);
        if (meta->ndim >= 4)
            return fa_refuse(
                FA_SHAPE_ERROR, "linear",
                "got %s, needs %lld features in the last dimension: the weight is %s. Hint: flatten first: "
                "fa_flatten(x, 1) gives %s; and write in_features = %lld (%s)",
                got, needs, shape, flattened, (long long)flat, factors);
    }
    /* Already flattened: the factors tell where the number comes from. */
    const fa_node *before = x->op == FA_OP_reshape ? x->in[0] : NULL;
    if (meta->ndim == 2 && before && before->meta.ndim >= 3 && before->meta.shape[0] == meta->shape[0]) {
        factors_text(&before->meta, factors, sizeof factors);
        return fa_refuse(
            FA_SHAPE_ERROR, "linear",
            "got %s, needs %lld features in the last dimension: the weight is %s. Hint: write in_features = "
            "%lld (%s)",
            got, needs, shape, last, factors);
    }
    return fa_refuse(
        FA_SHAPE_ERROR, "linear",
        "got %s, needs %lld features in the last dimension: the weight is %s. Hint: write in_features = %lld, "
        "or give it %lld features",
        got, needs, shape, last, needs);
}

static bool infer(fa_node *node)
{
    const fa_meta *x = &node->in[0]->meta, *weight = &node->in[1]->meta;
    const fa_meta *bias = node->in[2] ? &node->in[2]->meta : NULL;
    if (weight->ndim != 2)
        return fa_refuse(FA_SHAPE_ERROR, "linear", "got a weight %s, needs [out_features, in_features]",
                         fa_shape_text(weight));
    if (x->ndim == 0)
        return fa_refuse(FA_SHAPE_ERROR, "linear", "got a single number, needs %lld features: the weight is %s",
                         (long long)weight->shape[1], fa_shape_text(weight));
    if (x->dtype != weight->dtype || (bias && bias->dtype != weight->dtype))
        return fa_refuse(FA_DTYPE_ERROR, "linear",
                         "got %s %s, needs %s, the type of the weight. Hint: fa_to_dtype(x, %s)",
                         x->dtype != weight->dtype ? "input of type" : "bias of type",
                         fa_dtype_name(x->dtype != weight->dtype ? x->dtype : bias->dtype),
                         fa_dtype_name(weight->dtype), weight->dtype == FA_DT_FLOAT64 ? "FA_FLOAT64" : "FA_FLOAT32");
    if (!fa_is_float(weight->dtype))
        return fa_refuse(FA_DTYPE_ERROR, "linear", "got %s, needs float32 or float64. Hint: fa_to_dtype(x, FA_FLOAT32)",
                         fa_dtype_name(weight->dtype));
    if (x->shape[x->ndim - 1] != weight->shape[1])
        return refuse_features(node->in[0], weight);
    if (bias && (bias->ndim != 1 || bias->shape[0] != weight->shape[0]))
        return fa_refuse(FA_SHAPE_ERROR, "linear", "got a bias %s, needs [%lld]: the weight is %s", fa_shape_text(bias),
                         (long long)weight->shape[0], fa_shape_text(weight));
    node->meta = *x;
    node->meta.layout = FA_PLAIN;
    node->meta.shape[x->ndim - 1] = weight->shape[0];
    return true;
}

static int64_t rows_of(const fa_meta *meta)
{
    int64_t rows = 1;
    for (int d = 0; d < meta->ndim - 1; d++)
        rows *= meta->shape[d];
    return rows;
}

static fa_node *as_rows(fa_node *x)
{
    if (!x || x->meta.ndim == 2)
        return x;
    return fa_record_reshape(x, 2, (int64_t[]){rows_of(&x->meta), x->meta.shape[x->meta.ndim - 1]}, FA_VIEW);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *x = node->in[0], *weight = node->in[1], *g = as_rows(grad);
    if (fa_wants_grad(node, 0)) {
        fa_node *dx = fa_record_matmul(g, weight, false, false);
        grad_in[0] = x->meta.ndim == 2 ? dx : fa_record_reshape_as(dx, &x->meta);
    }
    if (fa_wants_grad(node, 1))
        grad_in[1] = fa_record_matmul(g, as_rows(x), true, false);
    if (node->in[2] && fa_wants_grad(node, 2))
        grad_in[2] = fa_record_sum(g, 1, false);
}

static const char *grad_label(const fa_node *node)
{
    if (node->meta.ndim == 2)
        return node->in[2] ? "AddmmBackward0" : "MmBackward0";
    return node->meta.ndim == 1 && !node->in[2] ? "SqueezeBackward4" : "UnsafeViewBackward0";
}

#define LINEAR(T)                                                                                                      \
    {                                                                                                                  \
        const T *x = args->in[0], *weight = args->in[1], *bias = args->in[2];                                          \
        T *y = args->out[0];                                                                                           \
        for (int64_t i = 0; i < rows; i++)                                                                             \
            for (int64_t o = 0; o < outs; o++) {                                                                       \
                double sum = bias ? (double)bias[o] : 0;                                                               \
                for (int64_t p = 0; p < ins; p++)                                                                      \
                    sum += (double)x[i * ins + p] * (double)weight[o * ins + p];                                       \
                y[i * outs + o] = (T)sum;                                                                              \
            }                                                                                                          \
    }

static void reference(const fa_kernel_args *args)
{
    const int64_t rows = rows_of(args->in_meta[0]);
    const int64_t outs = args->in_meta[1]->shape[0], ins = args->in_meta[1]->shape[1];
    FA_FOR_FLOATS(args->out_meta[0]->dtype, LINEAR);
}

static double flops(const fa_kernel_args *args)
{
    return 2 * (double)fa_meta_numel(args->out_meta[0]) * (double)args->in_meta[1]->shape[1];
}

const fa_op_def fa_op_linear = {
    .name = "linear",
    .grad_name = "AddmmBackward0",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = flops,
};

fa_tensor *fa_linear_at(fa_tensor *x, fa_tensor *weight, fa_tensor *bias, fa_where where)
{
    fa_begin(where);
    fa_node *in[3] = {fa_use(x, "linear", "input"), fa_use(weight, "linear", "weight"), NULL};
    if (bias)
        in[2] = fa_use(bias, "linear", "bias");
    if (!in[0] || !in[1] || (bias && !in[2]))
        return NULL;
    return fa_handle(fa_record(FA_OP_linear, 3, in, NULL, 0, NULL, 0));
}
