/* conv_transpose2d: the gradient of conv2d in its input, used as a layer.
 *
 *     y[n,o,h,w] = bias[o] + sum of weight[c,o,a,b] * x[n,c,i,j] over all (c, a, b, i, j) of o's group with
 *                  h = i*s + a*d - p,  w = j*s + b*d - p
 *
 * Output size (H - 1)*s - 2p + d(k-1) + output_padding + 1. It is conv2d_input_grad(x, weight), whose gradients are
 * conv2d and conv2d_weight_grad, and then
 *
 *     conv_transpose2d_bias   y[n,o,h,w] = x[n,o,h,w] + bias[o],  gradients g and its sum over images and pixels */
#include "ops/kernel_types.h"
#include "ops/rules.h"
#include "ops/window.h"

static const char what[] = "conv_transpose2d";

static void bias_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0))
        grad_in[0] = grad;
    if (fa_wants_grad(node, 1))
        grad_in[1] = fa_record1(FA_OP_conv2d_bias_grad, grad);
}

#define ADD_BIAS(T)                                                                                                    \
    {                                                                                                                  \
        const T *x = args->in[0], *bias = args->in[1];                                                                 \
        T *y = args->out[0];                                                                                           \
        for (int64_t plane = 0; plane < shape[0] * shape[1]; plane++)                                                  \
            for (int64_t i = 0; i < pixels; i++)                                                                       \
                *y++ = *x++ + bias[plane % shape[1]];                                                                  \
    }

static void bias_reference(const fa_kernel_args *args)
{
    const int64_t *shape = args->out_meta[0]->shape, pixels = shape[2] * shape[3];
    FA_FOR_FLOATS(args->out_meta[0]->dtype, ADD_BIAS);
}

/* inputs: x, bias */
const fa_op_def fa_op_conv_transpose2d_bias = {
    .name = "conv_transpose2d",
    .grad_name = "ConvolutionBackward0",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0,
    .infer = fa_infer_same,
    .gradient = bias_gradient,
    .reference = bias_reference,
};

/* ---- The call ---- */

static bool check_types(const fa_node *x, const fa_node *weight, const fa_node *bias)
{
    const int dtype = x->meta.dtype;
    if (!fa_is_float(dtype))
        return fa_refuse(FA_DTYPE_ERROR, what,
                         "got input of dtype %s, needs float32 or float64. Hint: fa_to_dtype(x, FA_FLOAT32)",
                         fa_dtype_name(dtype));
    if (weight->meta.dtype != dtype || (bias && bias->meta.dtype != dtype))
        return fa_refuse(
            FA_DTYPE_ERROR, what,
            "got input of dtype %s, weight of dtype %s and bias of dtype %s, needs one type for all. Hint: "
            "fa_to_dtype",
            fa_dtype_name(dtype), fa_dtype_name(weight->meta.dtype), bias ? fa_dtype_name(bias->meta.dtype) : "none");
    return true;
}

static bool check_weight(const fa_node *x, const fa_node *weight, const fa_node *bias, int64_t groups)
{
    const fa_meta *w = &weight->meta;
    if (w->ndim != 4 || w->shape[0] < 1 || w->shape[1] < 1 || w->shape[2] < 1 || w->shape[3] < 1)
        return fa_refuse(
            FA_SHAPE_ERROR, what,
            "got weight %s, needs [in_channels, out_channels / groups, kernel height, kernel width], each 1 "
            "or more. Hint: conv2d's weight has its first two sizes the other way round",
            fa_shape_text(w));
    const int64_t channels = x->meta.shape[x->meta.ndim - 3];
    if (groups < 1 || w->shape[0] % groups)
        return fa_refuse(FA_VALUE_ERROR, what,
                         "got groups %lld for weight %s, needs a number that divides its %lld input channels. Hint: "
                         "leave it out for 1",
                         (long long)groups, fa_shape_text(w), (long long)w->shape[0]);
    if (channels != w->shape[0])
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got input %s with %lld channels, needs %lld: the weight is %s. Hint: build the layer with "
                         "in_channels = %lld",
                         fa_shape_text(&x->meta), (long long)channels, (long long)w->shape[0], fa_shape_text(w),
                         (long long)channels);
    if (bias && (bias->meta.ndim != 1 || bias->meta.shape[0] != w->shape[1] * groups))
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got bias %s, needs [%lld], one number an output channel. Hint: NULL for none",
                         fa_shape_text(&bias->meta), (long long)(w->shape[1] * groups));
    return true;
}

/* Fills the attributes of the convolution that this one is the gradient of, for a batch of x. */
static bool make_ints(const fa_conv_transpose2d_args *args, const fa_node *x, const fa_node *weight,
                      fa_conv2d_ints *ints)
{
    const int64_t *image = x->meta.shape + x->meta.ndim - 2;
    int64_t padding[2], more[2];
    fa_window_pair(ints->stride, args->stride_hw, args->stride);
    fa_window_pair(ints->dilation, args->dilation_hw, args->dilation);
    fa_window_pair(padding, args->padding_hw, args->padding);
    fa_window_pair(more, args->output_padding_hw, args->output_padding);
    if (!fa_window_check(ints->kernel, 1, what, "kernel", "the last two sizes of the weight.") ||
        !fa_window_check(ints->stride, 1, what, "stride", "leave it out for 1.") ||
        !fa_window_check(ints->dilation, 1, what, "dilation", "leave it out for 1.") ||
        !fa_window_check(padding, 0, what, "padding", "leave it out for none.") ||
        !fa_window_check(more, 0, what, "output_padding", "leave it out for none."))
        return false;
    ints->input_shape[0] = x->meta.ndim == 4 ? x->meta.shape[0] : 1;
    ints->input_shape[1] = weight->meta.shape[1] * ints->groups;
    for (int axis = 0; axis < 2; axis++) {
        if (more[axis] >= ints->stride[axis] && more[axis] >= ints->dilation[axis])
            return fa_refuse(FA_VALUE_ERROR, what,
                             "got output_padding %lld x %lld, needs less than the stride %lld x %lld or the dilation "
                             "%lld x %lld. Hint: it chooses among the sizes that a strided convolution shrinks alike",
                             (long long)more[0], (long long)more[1], (long long)ints->stride[0],
                             (long long)ints->stride[1], (long long)ints->dilation[0], (long long)ints->dilation[1]);
        const int64_t size = (image[axis] - 1) * ints->stride[axis] - 2 * padding[axis] +
                             ints->dilation[axis] * (ints->kernel[axis] - 1) + more[axis] + 1;
        if (image[axis] < 1 || size < 1)
            return fa_refuse(
                FA_SHAPE_ERROR, what,
                "got input %s, whose output would be %lld pixels along dimension %d, needs 1 or more. Hint: "
                "less padding, or a larger input",
                fa_shape_text(&x->meta), (long long)size, x->meta.ndim - 2 + axis);
        ints->input_shape[2 + axis] = size;
        ints->padding_before[axis] = padding[axis];
        /* What output_padding adds is read by no window of the convolution. */
        ints->padding_after[axis] = padding[axis] - more[axis];
    }
    return true;
}

fa_tensor *fa_conv_transpose2d_at(const fa_conv_transpose2d_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, what, "input"), *weight = fa_use(args->weight, what, "weight");
    fa_node *bias = args->bias ? fa_use(args->bias, what, "bias") : NULL;
    if (!x || !weight || (args->bias && !bias))
        return NULL;
    if (!fa_window_check_image(x, what) || !check_types(x, weight, bias) ||
        !check_weight(x, weight, bias, args->groups))
        return NULL;
    fa_conv2d_ints ints = {
        .groups = args->groups, .transposed = 1, .kernel = {weight->meta.shape[2], weight->meta.shape[3]}};
    if (!make_ints(args, x, weight, &ints))
        return NULL;
    const bool batched = x->meta.ndim == 4;
    if (!batched)
        x = fa_record_reshape(x, 4, (int64_t[]){1, x->meta.shape[0], x->meta.shape[1], x->meta.shape[2]},
                              FA_VIEW_UNSQUEEZE);
    if (!x)
        return NULL;
    fa_node *y = fa_record(FA_OP_conv2d_input_grad, 2, (fa_node *[]){x, weight}, FA_INTS(ints), NULL, 0);
    if (bias)
        y = fa_record2(FA_OP_conv_transpose2d_bias, y, bias);
    return fa_handle(batched || !y ? y : fa_record_reshape(y, 3, y->meta.shape + 1, FA_VIEW_SQUEEZE));
}
