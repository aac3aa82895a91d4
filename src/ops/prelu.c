/* prelu: y = x > 0 ? x : w * x, w a number a channel (dimension 1), spread over x.
 *
 *     prelu_grad          x > 0 ? g : w * g
 *     prelu_weight_grad   x > 0 ? 0 : x * g, which the gradient of the spreading sums up */
#include "ops/activation.h"

#define FA_PRELU_INPUTS(T)                                                                                             \
    const double x = (double)((const T *)args->in[0])[i], w = (double)((const T *)args->in[1])[i];
#define FA_PRELU_GRAD_INPUTS(T) FA_ACTIVATION_G_X(T) const double w = (double)((const T *)args->in[2])[i];

FA_ACTIVATION_FUNCTION(reference, FA_PRELU_INPUTS, x > 0 ? x : w * x)
FA_ACTIVATION_FUNCTION(grad_reference, FA_PRELU_GRAD_INPUTS, x > 0 ? g : w * g)
FA_ACTIVATION_GRAD_KERNEL(weight_grad_reference, x > 0 ? 0 : x * g)

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *x = node->in[0], *weight = node->in[1];
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record_like(FA_OP_prelu_grad, node, 3, (fa_node *[]){grad, x, weight});
    if (fa_wants_grad(node, 1))
        grad_in[1] = fa_record_like(FA_OP_prelu_weight_grad, node, 2, (fa_node *[]){grad, x});
}

/* x >= 0 ? a : b. As in PyTorch the gradients' own gradients count 0 among the positive, where the gradients do not. */
static fa_node *by_sign(fa_node *x, fa_node *a, fa_node *b)
{
    return fa_record_where(fa_record2(FA_OP_ge, x, fa_record_number(x->meta.dtype, 0)), a, b);
}

/* Both gradients are linear in g, the first one also in the weight, the second one in x. */
static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *g = node->in[0], *x = node->in[1], *weight = node->in[2];
    if (fa_wants_grad(node, 0))
        grad_in[0] = by_sign(x, grad, fa_record2(FA_OP_mul, weight, grad));
    if (fa_wants_grad(node, 2))
        grad_in[2] = by_sign(x, fa_record_number(x->meta.dtype, 0), fa_record2(FA_OP_mul, grad, g));
}

static void weight_grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *g = node->in[0], *x = node->in[1], *zero = fa_record_number(x->meta.dtype, 0);
    if (fa_wants_grad(node, 0))
        grad_in[0] = by_sign(x, zero, fa_record2(FA_OP_mul, grad, x));
    if (fa_wants_grad(node, 1))
        grad_in[1] = by_sign(x, zero, fa_record2(FA_OP_mul, grad, g));
}

/* inputs: x, weight of x's shape */
const fa_op_def fa_op_prelu = {
    .name = "prelu",
    .grad_name = "PreluKernelBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

/* inputs: g, x, weight */
const fa_op_def fa_op_prelu_grad = {
    .name = "prelu_grad",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .gradient = grad_gradient,
    .reference = grad_reference,
};

/* inputs: g, x */
const fa_op_def fa_op_prelu_weight_grad = {
    .name = "prelu_weight_grad",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .gradient = weight_grad_gradient,
    .reference = weight_grad_reference,
};

static bool check(const fa_node *x, const fa_node *weight)
{
    const fa_meta *w = &weight->meta;
    if (w->ndim > 1)
        return fa_refuse(FA_SHAPE_ERROR, "prelu", "got weight %s, needs one number, or one a channel. Hint: fa_flatten",
                         fa_shape_text(w));
    if (w->dtype != x->meta.dtype)
        return fa_refuse(FA_DTYPE_ERROR, "prelu",
                         "got input of dtype %s and weight of dtype %s, needs one type for "
                         "both. Hint: fa_to_dtype",
                         fa_dtype_name(x->meta.dtype), fa_dtype_name(w->dtype));
    const int64_t channels = x->meta.ndim > 1 ? x->meta.shape[1] : 1, count = fa_meta_numel(w);
    if (count == 1 || (count == channels && x->meta.ndim > 0))
        return true;
    return fa_refuse(FA_SHAPE_ERROR, "prelu",
                     "got %lld weights for input %s, needs 1, or %lld: one a channel (dimension 1). Hint: build the "
                     "layer with num_parameters = %lld",
                     (long long)count, fa_shape_text(&x->meta), (long long)channels, (long long)channels);
}

fa_tensor *fa_prelu_at(fa_tensor *a, fa_tensor *weight, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "prelu", "input"), *w = fa_use(weight, "prelu", "weight");
    if (!x || !w || !check(x, w))
        return NULL;
    int64_t shape[FA_MAX_DIMS];
    for (int d = 0; d < x->meta.ndim; d++)
        shape[d] = d == 1 ? fa_meta_numel(&w->meta) : 1;
    w = fa_record_reshape(w, x->meta.ndim, shape, FA_VIEW);
    return fa_handle(
        w ? fa_record(FA_OP_prelu, 2, (fa_node *[]){x, fa_record_expand_as(w, &x->meta)}, NULL, 0, (double[]){0, 0}, 2)
          : NULL);
}
