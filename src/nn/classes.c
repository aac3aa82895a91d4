/* PyTorch's layers by class name: their parameters, and how each is made. */
#include "base/error.h"
#include "nn/description.h"

#include <math.h>
#include <string.h>

/* ---- Reading options ----------------------------------------------------------------------------------------------
 */

static bool is_none(const fa_option_value *o)
{
    return o->kind == FA_OPTION_NONE || o->kind == FA_OPTION_ABSENT;
}

static int64_t whole(const fa_option_value *o)
{
    return is_none(o) ? FA_NONE : (int64_t)o->as.at[0];
}

static double real(const fa_option_value *o)
{
    return o->as.at[0];
}

static bool truth(const fa_option_value *o)
{
    return o->as.at[0] != 0;
}

static bool is_word(const fa_option_value *o, const char *word)
{
    return o->kind == FA_OPTION_WORD && strcmp(o->as.word, word) == 0;
}

/* Height or width of what may be one number; None is FA_NONE. */
static double side(const fa_option_value *o, int d)
{
    if (o->kind != FA_OPTION_TUPLE)
        return is_none(o) ? (double)FA_NONE : o->as.at[0];
    return o->item_kind[d] == FA_OPTION_NONE ? (double)FA_NONE : o->as.at[d];
}

/* Into the number or the pair of an argument struct, as it was given. */
static void set_pair(const fa_option_value *o, int64_t *number, int64_t pair[2])
{
    if (o->kind != FA_OPTION_TUPLE) {
        *number = whole(o);
        return;
    }
    for (int d = 0; d < 2; d++)
        pair[d] = side(o, d) == (double)FA_NONE ? FA_NONE : (int64_t)side(o, d);
}

#define UNSET                                                                                                          \
    {                                                                                                                  \
        INT64_MIN, INT64_MIN                                                                                           \
    }

/* ---- Convolutions, linear ------------------------------------------------------------------------------------------
 */

enum { IN, OUT, KERNEL, STRIDE, PADDING, DILATION, GROUPS, BIAS, PADDING_MODE, OUTPUT_PADDING };

static double convolution_elements(const fa_option_value *o)
{
    const double groups = fmax(1, real(&o[GROUPS])), window = side(&o[KERNEL], 0) * side(&o[KERNEL], 1);
    return fabs(real(&o[IN]) * real(&o[OUT]) / groups * window) + (truth(&o[BIAS]) ? fabs(real(&o[OUT])) : 0);
}

static fa_module *make_conv2d(const fa_option_value *o, fa_where where)
{
    static const char *const modes[] = {[FA_PAD_CONSTANT] = "zeros",
                                        [FA_PAD_REFLECT] = "reflect",
                                        [FA_PAD_REPLICATE] = "replicate",
                                        [FA_PAD_CIRCULAR] = "circular"};
    fa_nn_conv2d_args args = {.where_ = where,
                              .in_channels = whole(&o[IN]),
                              .out_channels = whole(&o[OUT]),
                              .groups = whole(&o[GROUPS]),
                              .bias = truth(&o[BIAS]),
                              .kernel_hw = UNSET,
                              .stride_hw = UNSET,
                              .padding_hw = UNSET,
                              .dilation_hw = UNSET,
                              .padding_mode = (fa_pad_mode)-1};
    set_pair(&o[KERNEL], &args.kernel_size, args.kernel_hw);
    set_pair(&o[STRIDE], &args.stride, args.stride_hw);
    set_pair(&o[DILATION], &args.dilation, args.dilation_hw);
    if (is_word(&o[PADDING], "same"))
        args.padding = FA_SAME;
    else if (!is_word(&o[PADDING], "valid"))
        set_pair(&o[PADDING], &args.padding, args.padding_hw);
    for (int i = 0; i < (int)(sizeof modes / sizeof *modes); i++)
        if (modes[i] != NULL && is_word(&o[PADDING_MODE], modes[i]))
            args.padding_mode = (fa_pad_mode)i;
    return fa_nn_conv2d_at(&args);
}

static fa_module *make_conv_transpose2d(const fa_option_value *o, fa_where where)
{
    fa_nn_conv_transpose2d_args args = {.where_ = where,
                                        .in_channels = whole(&o[IN]),
                                        .out_channels = whole(&o[OUT]),
                                        .groups = whole(&o[GROUPS]),
                                        .bias = truth(&o[BIAS]),
                                        .kernel_hw = UNSET,
                                        .stride_hw = UNSET,
                                        .padding_hw = UNSET,
                                        .output_padding_hw = UNSET,
                                        .dilation_hw = UNSET};
    set_pair(&o[KERNEL], &args.kernel_size, args.kernel_hw);
    set_pair(&o[STRIDE], &args.stride, args.stride_hw);
    set_pair(&o[PADDING], &args.padding, args.padding_hw);
    set_pair(&o[DILATION], &args.dilation, args.dilation_hw);
    set_pair(&o[OUTPUT_PADDING], &args.output_padding, args.output_padding_hw);
    return fa_nn_conv_transpose2d_at(&args);
}

static double linear_elements(const fa_option_value *o)
{
    return fabs(real(&o[0]) * real(&o[1])) + (truth(&o[2]) ? fabs(real(&o[1])) : 0);
}

static fa_module *make_linear(const fa_option_value *o, fa_where where)
{
    return fa_nn_linear_at(&(fa_nn_linear_args){
        .where_ = where, .in_features = whole(&o[0]), .out_features = whole(&o[1]), .bias = truth(&o[2])});
}

/* ---- Pooling, upsampling ------------------------------------------------------------------------------------------
 */

/* What no layer here does. */
static fa_module *unsupported(const char *class_name, const char *option, fa_where where)
{
    fa_fail(FA_VALUE_ERROR, where, class_name, "got %s, which this library's %s does not have.", option, class_name);
    return NULL;
}

static void set_window(fa_nn_pool2d_args *args, const fa_option_value *o)
{
    set_pair(&o[0], &args->kernel_size, args->kernel_hw);
    set_pair(is_none(&o[1]) ? &o[0] : &o[1], &args->stride, args->stride_hw);
    set_pair(&o[2], &args->padding, args->padding_hw);
}

static fa_module *make_max_pool2d(const fa_option_value *o, fa_where where)
{
    if (truth(&o[5]))
        return unsupported("MaxPool2d", "return_indices=True", where);
    fa_nn_pool2d_args args = {.where_ = where,
                              .kernel_hw = UNSET,
                              .stride_hw = UNSET,
                              .padding_hw = UNSET,
                              .dilation_hw = UNSET,
                              .ceil_mode = truth(&o[4]),
                              .count_include_pad = true,
                              .divisor_override = FA_NONE};
    set_window(&args, o);
    set_pair(&o[3], &args.dilation, args.dilation_hw);
    return fa_nn_max_pool2d_at(&args);
}

static fa_module *make_avg_pool2d(const fa_option_value *o, fa_where where)
{
    fa_nn_pool2d_args args = {.where_ = where,
                              .dilation = 1,
                              .kernel_hw = UNSET,
                              .stride_hw = UNSET,
                              .padding_hw = UNSET,
                              .dilation_hw = UNSET,
                              .ceil_mode = truth(&o[3]),
                              .count_include_pad = truth(&o[4]),
                              .divisor_override = whole(&o[5])};
    set_window(&args, o);
    return fa_nn_avg_pool2d_at(&args);
}

static fa_nn_adaptive_pool2d_args adaptive(const fa_option_value *o, fa_where where)
{
    fa_nn_adaptive_pool2d_args args = {.where_ = where, .output_hw = UNSET};
    set_pair(&o[0], &args.output_size, args.output_hw);
    return args;
}

static fa_module *make_adaptive_avg_pool2d(const fa_option_value *o, fa_where where)
{
    const fa_nn_adaptive_pool2d_args args = adaptive(o, where);
    return fa_nn_adaptive_avg_pool2d_at(&args);
}

static fa_module *make_adaptive_max_pool2d(const fa_option_value *o, fa_where where)
{
    if (truth(&o[1]))
        return unsupported("AdaptiveMaxPool2d", "return_indices=True", where);
    const fa_nn_adaptive_pool2d_args args = adaptive(o, where);
    return fa_nn_adaptive_max_pool2d_at(&args);
}

static fa_module *make_upsample(const fa_option_value *o, fa_where where)
{
    static const char *const modes[] = {
        [FA_NEAREST] = "nearest", [FA_NEAREST_EXACT] = "nearest-exact", [FA_BILINEAR] = "bilinear"};
    fa_nn_upsample_args args = {.where_ = where,
                                .size = FA_NONE,
                                .scale_factor = NAN,
                                .size_hw = UNSET,
                                .scale_factor_hw = {NAN, NAN},
                                .mode = (fa_interpolate_mode)-1,
                                .align_corners = truth(&o[3]),
                                .recompute_scale_factor = truth(&o[4])};
    for (int i = 0; i < (int)(sizeof modes / sizeof *modes); i++)
        if (is_word(&o[2], modes[i]))
            args.mode = (fa_interpolate_mode)i;
    set_pair(&o[0], &args.size, args.size_hw);
    if (o[1].kind == FA_OPTION_TUPLE) {
        args.scale_factor_hw[0] = o[1].as.at[0];
        args.scale_factor_hw[1] = o[1].as.at[1];
    } else if (!is_none(&o[1])) {
        args.scale_factor = real(&o[1]);
    }
    return fa_nn_upsample_at(&args);
}

/* ---- Normalisation ------------------------------------------------------------------------------------------------
 */

static double affine_elements(double each, const fa_option_value *affine, const fa_option_value *bias)
{
    return fabs(each) * ((truth(affine) ? 1 : 0) + (truth(bias) ? 1 : 0));
}

static double batch_norm_elements(const fa_option_value *o)
{
    return affine_elements(real(&o[0]), &o[3], &o[4]) + (truth(&o[5]) ? 2 * fabs(real(&o[0])) + 1 : 0);
}

static fa_nn_batch_norm2d_args batch_norm(const fa_option_value *o, fa_where where)
{
    return (fa_nn_batch_norm2d_args){.where_ = where,
                                     .num_features = whole(&o[0]),
                                     .eps = real(&o[1]),
                                     .momentum = is_none(&o[2]) ? NAN : real(&o[2]),
                                     .affine = truth(&o[3]),
                                     .bias = truth(&o[4]),
                                     .track_running_stats = truth(&o[5])};
}

static fa_module *make_batch_norm1d(const fa_option_value *o, fa_where where)
{
    const fa_nn_batch_norm2d_args args = batch_norm(o, where);
    return fa_nn_batch_norm1d_at(&args);
}

static fa_module *make_batch_norm2d(const fa_option_value *o, fa_where where)
{
    const fa_nn_batch_norm2d_args args = batch_norm(o, where);
    return fa_nn_batch_norm2d_at(&args);
}

static fa_module *make_instance_norm2d(const fa_option_value *o, fa_where where)
{
    return fa_nn_instance_norm2d_at(&(fa_nn_instance_norm2d_args){.where_ = where,
                                                                  .num_features = whole(&o[0]),
                                                                  .eps = real(&o[1]),
                                                                  .momentum = is_none(&o[2]) ? NAN : real(&o[2]),
                                                                  .affine = truth(&o[3]),
                                                                  .bias = truth(&o[4]),
                                                                  .track_running_stats = truth(&o[5])});
}

static double group_norm_elements(const fa_option_value *o)
{
    return affine_elements(real(&o[1]), &o[3], &o[4]);
}

static fa_module *make_group_norm(const fa_option_value *o, fa_where where)
{
    return fa_nn_group_norm_at(&(fa_nn_group_norm_args){.where_ = where,
                                                        .num_groups = whole(&o[0]),
                                                        .num_channels = whole(&o[1]),
                                                        .eps = real(&o[2]),
                                                        .affine = truth(&o[3]),
                                                        .bias = truth(&o[4])});
}

static fa_shape shape_of(const fa_option_value *o)
{
    fa_shape shape = {.ndim = 0};
    if (o->kind == FA_OPTION_TUPLE)
        for (; shape.ndim < o->count; shape.ndim++)
            shape.size[shape.ndim] = (int64_t)o->as.at[shape.ndim];
    else if (!is_none(o))
        shape.size[shape.ndim++] = whole(o);
    return shape;
}

static double shape_elements(const fa_option_value *o)
{
    double elements = 1;
    for (int d = 0; o->kind == FA_OPTION_TUPLE && d < o->count; d++)
        elements *= fabs(o->as.at[d]);
    return o->kind == FA_OPTION_TUPLE ? elements : is_none(o) ? 0 : fabs(real(o));
}

static double layer_norm_elements(const fa_option_value *o)
{
    return affine_elements(shape_elements(&o[0]), &o[2], &o[3]);
}

static fa_module *make_layer_norm(const fa_option_value *o, fa_where where)
{
    return fa_nn_layer_norm_at(&(fa_nn_layer_norm_args){.where_ = where,
                                                        .normalized_shape = shape_of(&o[0]),
                                                        .eps = real(&o[1]),
                                                        .elementwise_affine = truth(&o[2]),
                                                        .bias = truth(&o[3])});
}

/* ---- Without weights ----------------------------------------------------------------------------------------------
 */

static fa_module *make_dropout(const fa_option_value *o, fa_where where)
{
    return fa_nn_dropout_at(&(fa_nn_dropout_args){.where_ = where, .p = real(&o[0]), .inplace = truth(&o[1])});
}

static fa_module *make_dropout2d(const fa_option_value *o, fa_where where)
{
    return fa_nn_dropout2d_at(&(fa_nn_dropout_args){.where_ = where, .p = real(&o[0]), .inplace = truth(&o[1])});
}

#define MAKE_RELU(name)                                                                                                \
    static fa_module *make_##name(const fa_option_value *o, fa_where where)                                            \
    {                                                                                                                  \
        return fa_nn_##name##_at(&(fa_nn_relu_args){.where_ = where, .inplace = truth(&o[0])});                        \
    }
MAKE_RELU(relu)
MAKE_RELU(relu6)
MAKE_RELU(silu)
MAKE_RELU(hardswish)
MAKE_RELU(hardsigmoid)

#define MAKE_PLAIN(name)                                                                                               \
    static fa_module *make_##name(const fa_option_value *o, fa_where where)                                            \
    {                                                                                                                  \
        (void)o;                                                                                                       \
        return fa_nn_##name##_at(where);                                                                               \
    }
MAKE_PLAIN(sigmoid)
MAKE_PLAIN(tanh)
MAKE_PLAIN(identity)

static fa_module *make_leaky_relu(const fa_option_value *o, fa_where where)
{
    return fa_nn_leaky_relu_at(
        &(fa_nn_leaky_relu_args){.where_ = where, .negative_slope = real(&o[0]), .inplace = truth(&o[1])});
}

static fa_module *make_elu(const fa_option_value *o, fa_where where)
{
    return fa_nn_elu_at(&(fa_nn_elu_args){.where_ = where, .alpha = real(&o[0]), .inplace = truth(&o[1])});
}

static fa_module *make_gelu(const fa_option_value *o, fa_where where)
{
    const bool exact = is_word(&o[0], "none");
    if (!exact && !is_word(&o[0], "tanh"))
        return unsupported("GELU", "another approximation than 'none' or 'tanh'", where);
    return fa_nn_gelu_at(&(fa_nn_gelu_args){.where_ = where, .approximate = exact ? FA_GELU_NONE : FA_GELU_TANH});
}

static fa_module *make_softplus(const fa_option_value *o, fa_where where)
{
    return fa_nn_softplus_at(&(fa_nn_softplus_args){.where_ = where, .beta = real(&o[0]), .threshold = real(&o[1])});
}

static fa_module *make_hardtanh(const fa_option_value *o, fa_where where)
{
    return fa_nn_hardtanh_at(&(fa_nn_hardtanh_args){
        .where_ = where, .min_val = real(&o[0]), .max_val = real(&o[1]), .inplace = truth(&o[2])});
}

static double prelu_elements(const fa_option_value *o)
{
    return fabs(real(&o[0]));
}

static fa_module *make_prelu(const fa_option_value *o, fa_where where)
{
    return fa_nn_prelu_at(&(fa_nn_prelu_args){.where_ = where, .num_parameters = whole(&o[0]), .init = real(&o[1])});
}

static fa_module *make_flatten(const fa_option_value *o, fa_where where)
{
    return fa_nn_flatten_at(
        &(fa_nn_flatten_args){.where_ = where, .start_dim = (int)whole(&o[0]), .end_dim = (int)whole(&o[1])});
}

/* Without a dimension PyTorch takes 1 for batches of vectors and of images. */
static int softmax_dim(const fa_option_value *o)
{
    return is_none(o) ? 1 : (int)whole(o);
}

static fa_module *make_softmax(const fa_option_value *o, fa_where where)
{
    return fa_nn_softmax_at(softmax_dim(&o[0]), where);
}

static fa_module *make_log_softmax(const fa_option_value *o, fa_where where)
{
    return fa_nn_log_softmax_at(softmax_dim(&o[0]), where);
}

/* ---- Losses -------------------------------------------------------------------------------------------------------
 */

static fa_reduction reduction(const fa_option_value *o)
{
    static const char *const words[] = {[FA_REDUCE_NONE] = "none",
                                        [FA_REDUCE_MEAN] = "mean",
                                        [FA_REDUCE_SUM] = "sum",
                                        [FA_REDUCE_BATCHMEAN] = "batchmean"};
    for (int i = 0; i < (int)(sizeof words / sizeof *words); i++)
        if (words[i] != NULL && is_word(o, words[i]))
            return (fa_reduction)i;
    return (fa_reduction)-1;
}

/* Weights of a shape, whose values the state dict has; NULL for None. */
static fa_tensor *weight_of(const fa_option_value *o, fa_where where)
{
    return is_none(o) ? NULL : fa_full_at(shape_of(o), 1, &(fa_new_args){.where_ = where});
}

static double class_loss_elements(const fa_option_value *o)
{
    return shape_elements(&o[2]);
}

static double binary_loss_elements(const fa_option_value *o)
{
    return shape_elements(&o[1]) + shape_elements(&o[2]);
}

static fa_module *make_cross_entropy_loss(const fa_option_value *o, fa_where where)
{
    return fa_nn_cross_entropy_loss_at(&(fa_nn_loss_args){.where_ = where,
                                                          .reduction = reduction(&o[0]),
                                                          .ignore_index = whole(&o[1]),
                                                          .weight = weight_of(&o[2], where),
                                                          .label_smoothing = real(&o[3])});
}

static fa_module *make_nll_loss(const fa_option_value *o, fa_where where)
{
    return fa_nn_nll_loss_at(&(fa_nn_loss_args){.where_ = where,
                                                .reduction = reduction(&o[0]),
                                                .ignore_index = whole(&o[1]),
                                                .weight = weight_of(&o[2], where)});
}

#define MAKE_DISTANCE(name, ...)                                                                                       \
    static fa_module *make_##name(const fa_option_value *o, fa_where where)                                            \
    {                                                                                                                  \
        return fa_nn_##name##_at(                                                                                      \
            &(fa_nn_distance_loss_args){.where_ = where, .reduction = reduction(&o[0]), __VA_ARGS__});                 \
    }
MAKE_DISTANCE(mse_loss, .beta = 1, .delta = 1)
MAKE_DISTANCE(l1_loss, .beta = 1, .delta = 1)
MAKE_DISTANCE(smooth_l1_loss, .beta = real(&o[1]), .delta = 1)
MAKE_DISTANCE(huber_loss, .beta = 1, .delta = real(&o[1]))

static fa_nn_binary_loss_args binary_loss(const fa_option_value *o, fa_where where)
{
    return (fa_nn_binary_loss_args){.where_ = where,
                                    .reduction = reduction(&o[0]),
                                    .weight = weight_of(&o[1], where),
                                    .pos_weight = weight_of(&o[2], where)};
}

static fa_module *make_bce_loss(const fa_option_value *o, fa_where where)
{
    const fa_nn_binary_loss_args args = binary_loss(o, where);
    return fa_nn_bce_loss_at(&args);
}

static fa_module *make_bce_with_logits_loss(const fa_option_value *o, fa_where where)
{
    const fa_nn_binary_loss_args args = binary_loss(o, where);
    return fa_nn_bce_with_logits_loss_at(&args);
}

static fa_module *make_kl_div_loss(const fa_option_value *o, fa_where where)
{
    return fa_nn_kl_div_loss_at(
        &(fa_nn_kl_div_loss_args){.where_ = where, .reduction = reduction(&o[0]), .log_target = truth(&o[1])});
}

static fa_module *make_sequential(const fa_option_value *o, fa_where where)
{
    (void)o;
    return fa_nn_sequential_named_at(0, NULL, where);
}

static fa_module *make_module_list(const fa_option_value *o, fa_where where)
{
    (void)o;
    return fa_nn_module_list_at(0, NULL, where);
}

static fa_module *make_module_dict(const fa_option_value *o, fa_where where)
{
    (void)o;
    return fa_nn_module_dict_at(0, NULL, where);
}

/* ---- The table ----------------------------------------------------------------------------------------------------
 */

#define BATCH_NORM "num_features:i, eps:f=1e-05, momentum:F=0.1, affine:b=True, bias:b=True, track_running_stats:b=True"
#define CONVOLUTION                                                                                                    \
    "in_channels:i, out_channels:i, kernel_size:p, stride:p=1, padding:q=0, dilation:p=1, groups:i=1, bias:b=True, "   \
    "padding_mode:w='zeros'"
static const fa_class classes[] = {
    {"Sequential", "container", "", make_sequential, NULL},
    {"ModuleList", "container", "", make_module_list, NULL},
    {"ModuleDict", "container", "", make_module_dict, NULL},
    {"Conv2d", "conv", CONVOLUTION, make_conv2d, convolution_elements},
    {"ConvTranspose2d", "conv", CONVOLUTION ", output_padding:p=0", make_conv_transpose2d, convolution_elements},
    {"Linear", "linear", "in_features:i, out_features:i, bias:b=True", make_linear, linear_elements},
    {"Identity", "linear", "", make_identity, NULL},
    {"MaxPool2d", "pooling",
     "kernel_size:p, stride:P=None, padding:p=0, dilation:p=1, ceil_mode:b=False, ~return_indices:b=False",
     make_max_pool2d, NULL},
    {"AvgPool2d", "pooling",
     "kernel_size:p, stride:P=None, padding:p=0, ~ceil_mode:b=False, ~count_include_pad:b=True, "
     "~divisor_override:I=None",
     make_avg_pool2d, NULL},
    {"AdaptiveAvgPool2d", "pooling", "output_size:P", make_adaptive_avg_pool2d, NULL},
    {"AdaptiveMaxPool2d", "pooling", "output_size:P, ~return_indices:b=False", make_adaptive_max_pool2d, NULL},
    {"Upsample", "upsampling",
     "size:P=None, scale_factor:r=None, mode:w='nearest', ~align_corners:b=None, ~recompute_scale_factor:b=None",
     make_upsample, NULL},
    {"BatchNorm1d", "batchnorm", BATCH_NORM, make_batch_norm1d, batch_norm_elements},
    {"BatchNorm2d", "batchnorm", BATCH_NORM, make_batch_norm2d, batch_norm_elements},
    {"InstanceNorm2d", "instancenorm",
     "num_features:i, eps:f=1e-05, momentum:F=0.1, affine:b=False, bias:b=True, track_running_stats:b=False",
     make_instance_norm2d, batch_norm_elements},
    {"GroupNorm", "normalization", "num_groups:i, num_channels:i, eps:f=1e-05, affine:b=True, bias:b=True",
     make_group_norm, group_norm_elements},
    {"LayerNorm", "normalization", "normalized_shape:s, eps:f=1e-05, elementwise_affine:b=True, bias:b=True",
     make_layer_norm, layer_norm_elements},
    {"Dropout", "dropout", "p:f=0.5, inplace:b=False", make_dropout, NULL},
    {"Dropout2d", "dropout", "p:f=0.5, inplace:b=False", make_dropout2d, NULL},
    {"ReLU", "activation", "inplace:b=False", make_relu, NULL},
    {"ReLU6", "activation", "inplace:b=False", make_relu6, NULL},
    {"SiLU", "activation", "inplace:b=False", make_silu, NULL},
    {"Hardswish", "activation", "~inplace:b=False", make_hardswish, NULL},
    {"Hardsigmoid", "activation", "~inplace:b=False", make_hardsigmoid, NULL},
    {"Sigmoid", "activation", "", make_sigmoid, NULL},
    {"Tanh", "activation", "", make_tanh, NULL},
    {"LeakyReLU", "activation", "negative_slope:f=0.01, inplace:b=False", make_leaky_relu, NULL},
    {"ELU", "activation", "alpha:f=1.0, inplace:b=False", make_elu, NULL},
    {"GELU", "activation", "approximate:w='none'", make_gelu, NULL},
    {"Softplus", "activation", "beta:f=1.0, threshold:f=20.0", make_softplus, NULL},
    {"Hardtanh", "activation", "min_val:f=-1.0, max_val:f=1.0, inplace:b=False", make_hardtanh, NULL},
    {"PReLU", "activation", "num_parameters:i=1, ~init:f=0.25", make_prelu, prelu_elements},
    {"Softmax", "activation", "dim:I=None", make_softmax, NULL},
    {"LogSoftmax", "activation", "dim:I=None", make_log_softmax, NULL},
    {"Flatten", "flatten", "start_dim:i=1, end_dim:i=-1", make_flatten, NULL},
    {"CrossEntropyLoss", "loss", "~reduction:w='mean', ~ignore_index:i=-100, ~weight:s=None, ~label_smoothing:f=0.0",
     make_cross_entropy_loss, class_loss_elements},
    {"NLLLoss", "loss", "~reduction:w='mean', ~ignore_index:i=-100, ~weight:s=None", make_nll_loss,
     class_loss_elements},
    {"MSELoss", "loss", "~reduction:w='mean'", make_mse_loss, NULL},
    {"L1Loss", "loss", "~reduction:w='mean'", make_l1_loss, NULL},
    {"SmoothL1Loss", "loss", "~reduction:w='mean', ~beta:f=1.0", make_smooth_l1_loss, NULL},
    {"HuberLoss", "loss", "~reduction:w='mean', ~delta:f=1.0", make_huber_loss, NULL},
    {"BCELoss", "loss", "~reduction:w='mean', ~weight:s=None, ~pos_weight:s=None", make_bce_loss, binary_loss_elements},
    {"BCEWithLogitsLoss", "loss", "~reduction:w='mean', ~weight:s=None, ~pos_weight:s=None", make_bce_with_logits_loss,
     binary_loss_elements},
    {"KLDivLoss", "loss", "~reduction:w='mean', ~log_target:b=False", make_kl_div_loss, NULL},
};

const fa_class *fa_class_find(const char *name)
{
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (strcmp(classes[i].name, name) == 0)
            return &classes[i];
    return NULL;
}

/* ---- Options in the order of the signature ------------------------------------------------------------------------
 */

/* "~name:type=default" at *text, which moves on. Types: i int, I int or None, f number, F number or None, b bool (None
 * is False), w word, p one int or a pair, P the same or None, q the same or a word, r factor or a pair of them or None,
 * s sizes or None. */
typedef struct parameter {
    char name[32], type;
    bool printed;
    const char *otherwise; /* its default; NULL: none */
    size_t otherwise_length;
} parameter;

static bool next_parameter(const char **text, parameter *out)
{
    const char *at = *text + strspn(*text, ", ");
    if (*at == '\0')
        return false;
    out->printed = *at != '~';
    at += *at == '~';
    const size_t name = strcspn(at, ":");
    memcpy(out->name, at, name);
    out->name[name] = '\0';
    out->type = at[name + 1];
    at += name + 2;
    const size_t length = strcspn(at, ",");
    out->otherwise = length > 0 ? at + 1 : NULL;
    out->otherwise_length = length > 0 ? length - 1 : 0;
    *text = at + length;
    return true;
}

bool fa_class_parameter(const fa_class *class, int i, char name[32], bool *printed)
{
    const char *text = class->signature;
    parameter p;
    do
        if (!next_parameter(&text, &p))
            return false;
    while (i-- > 0);
    memcpy(name, p.name, sizeof p.name);
    *printed = p.printed;
    return true;
}

static bool items_are(const fa_option_value *o, int least, int most, const char *kinds)
{
    if (o->kind != FA_OPTION_TUPLE || o->count < least || o->count > most)
        return false;
    for (int i = 0; i < o->count; i++)
        if (strchr(kinds, o->item_kind[i] == FA_OPTION_INT    ? 'i'
                          : o->item_kind[i] == FA_OPTION_REAL ? 'f'
                                                              : 'n') == NULL)
            return false;
    return true;
}

static bool fits(const fa_option_value *o, char type)
{
    const bool none = o->kind == FA_OPTION_NONE, integer = o->kind == FA_OPTION_INT;
    const bool number = integer || o->kind == FA_OPTION_REAL, word = o->kind == FA_OPTION_WORD;
    switch (type) {
    case 'i':
        return integer;
    case 'I':
        return integer || none;
    case 'f':
        return number;
    case 'F':
        return number || none;
    case 'b':
        return o->kind == FA_OPTION_BOOL || none;
    case 'w':
        return word;
    case 'p':
        return integer || items_are(o, 2, 2, "i");
    case 'P':
        return integer || none || items_are(o, 2, 2, "in");
    case 'q':
        return integer || items_are(o, 2, 2, "i") || (word && (is_word(o, "same") || is_word(o, "valid")));
    case 'r':
        return number || none || items_are(o, 2, 2, "if");
    default:
        return integer || none || items_are(o, 1, FA_MAX_DIMS, "i");
    }
}

static const fa_option *find_option(const fa_description *node, const char *name, int place)
{
    int at = 0;
    for (int i = 0; i < node->option_count; i++) {
        const fa_option *option = &node->option[i];
        if (option->name[0] == '\0' ? at++ == place : strcmp(option->name, name) == 0)
            return option;
    }
    return NULL;
}

static const char *word_for(char type)
{
    return type == 'i' || type == 'I'   ? "a whole number below 2^31"
           : type == 'f' || type == 'F' ? "a number"
           : type == 'b'                ? "True or False"
           : type == 'w'                ? "a word"
           : type == 's'                ? "sizes"
                                        : "one whole number or a pair of them, below 2^31";
}

/* An option that the class does not have; NULL: there is none. */
static const char *foreign_option(const fa_class *class, const fa_description *node)
{
    for (int i = 0; i < node->option_count; i++) {
        char name[32];
        bool printed, known = node->option[i].name[0] == '\0';
        for (int k = 0; !known && fa_class_parameter(class, k, name, &printed); k++)
            known = strcmp(name, node->option[i].name) == 0;
        if (!known)
            return node->option[i].name;
    }
    return NULL;
}

/* Release 0.3 wrote size= for a pooling window. */
static void take_today(const fa_class *class, const fa_description *node, const parameter *p, const fa_option **found)
{
    if (*found == NULL && strcmp(class->module, "pooling") == 0 && strcmp(p->name, "kernel_size") == 0)
        *found = find_option(node, "size", -1);
}

bool fa_class_resolve(const fa_class *class, const fa_description *node, fa_option_value out[FA_DESCRIPTION_OPTIONS],
                      const char *path, const char *what, fa_where where)
{
    const char *text = class->signature;
    parameter p;
    int count = 0, used = 0, bias = -1;
    bool affine = true;
    memset(out, 0, FA_DESCRIPTION_OPTIONS * sizeof *out);
    if (node->unreadable)
        return fa_fail(FA_VALUE_ERROR, where, what, "got options of the %s at \"%s\" that cannot be read: `%.*s`.",
                       class->name, path, node->text_length, node->text != NULL ? node->text : "");
    for (; next_parameter(&text, &p); count++) {
        const fa_option *found = find_option(node, p.name, count);
        take_today(class, node, &p, &found);
        if (found != NULL) {
            used++;
            out[count] = found->value;
        } else if (p.otherwise != NULL) {
            fa_description scratch = {.option = NULL};
            if (!fa_parse_options(&scratch, p.otherwise, p.otherwise_length))
                return fa_fail_memory(where, sizeof *scratch.option);
            out[count] = scratch.option[0].value;
            fa_mfree(scratch.option);
        } else {
            return fa_fail(FA_VALUE_ERROR, where, what, "got a %s at \"%s\" without %s, needs it.", class->name, path,
                           p.name);
        }
        if (!fits(&out[count], p.type))
            return fa_fail(FA_VALUE_ERROR, where, what, "got a %s at \"%s\" with %s in no form that it has, needs %s.",
                           class->name, path, p.name, word_for(p.type));
        if (strcmp(p.name, "bias") == 0)
            bias = count;
        if (strcmp(p.name, "affine") == 0 || strcmp(p.name, "elementwise_affine") == 0)
            affine = truth(&out[count]);
        if (strcmp(p.name, "stride") == 0 && is_none(&out[count]) && strcmp(class->module, "pooling") == 0)
            out[count] = out[0];
        if (is_word(&out[count], "valid"))
            out[count] = (fa_option_value){.kind = FA_OPTION_INT};
    }
    if (bias >= 0 && !affine)
        out[bias] = (fa_option_value){.kind = FA_OPTION_BOOL};
    int places = 0;
    for (int i = 0; i < node->option_count; i++)
        places += node->option[i].name[0] == '\0';
    const char *foreign = foreign_option(class, node);
    if (places > count)
        return fa_fail(FA_VALUE_ERROR, where, what,
                       "got a %s at \"%s\" with %d options without a name, needs at most %d.", class->name, path,
                       places, count);
    if (foreign != NULL && !(strcmp(class->module, "pooling") == 0 && strcmp(foreign, "size") == 0))
        return fa_fail(FA_VALUE_ERROR, where, what, "got a %s at \"%s\" with the option %s, which it does not have.",
                       class->name, path, foreign);
    return used == node->option_count ||
           fa_fail(FA_VALUE_ERROR, where, what, "got a %s at \"%s\" with an option that is given twice.", class->name,
                   path);
}
