/* The mistakes of golden/errors_functions.json: activations, transposed convolution, adaptive pools, norms, resizing,
 * their layers, first values of weights. */
#include "support/mistakes.h"

#include <facula.h>

static fa_tensor *numbers(fa_dtype dtype, fa_shape shape)
{
    return fa_zeros_with(shape, .dtype = dtype);
}

static fa_tensor *leaf(bool requires_grad)
{
    return fa_ones_with(FA_SHAPE(3), .requires_grad = requires_grad);
}

/* model(x) at the caller's line, then the model's end. The layer stands in a Sequential, as "0". */
static void run_layer(fa_module *layer, fa_tensor *x, fa_where where)
{
    fa_module *model = fa_nn_sequential(layer);
    fa_forward_at(model, x, where);
    fa_sync();
    fa_module_free(model);
}

static void add_module(const char *name, fa_where where)
{
    fa_module *model = fa_nn_sequential(fa_nn_relu());
    fa_module_add_at(model, name, fa_nn_relu(), where);
    fa_module_free(model);
}

#define MISTAKE(name, call)                                                                                            \
    PROGRAM(name)                                                                                                      \
    {                                                                                                                  \
        AT(call);                                                                                                      \
    }

MISTAKE(relu6_bool, fa_relu6(numbers(wrong ? FA_BOOL : FA_UINT8, FA_SHAPE(2))))
MISTAKE(relu6_leaf, fa_relu6(leaf(wrong), .inplace = true))
MISTAKE(hardtanh_bounds, fa_hardtanh(fa_randn(2), wrong ? 1 : -1, 0))
MISTAKE(hardtanh_layer, fa_free(fa_nn_hardtanh(wrong ? 1 : -1, 0)))
MISTAKE(leaky_relu_int64, fa_leaky_relu(numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(2))))
MISTAKE(elu_int64, fa_elu(numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(2))))
MISTAKE(gelu_int64, run_layer(fa_nn_gelu(), numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(2)), FA_HERE))
MISTAKE(gelu_mode, fa_gelu(fa_randn(2), .approximate = wrong ? (fa_gelu_approximate)7 : FA_GELU_TANH))
MISTAKE(silu_int64, fa_silu(numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(2))))
MISTAKE(hardswish_int64, fa_hardswish(numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(2))))
MISTAKE(hardsigmoid_int64, fa_hardsigmoid(numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(2))))
MISTAKE(softplus_int64, fa_softplus(numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(2))))
MISTAKE(sigmoid_int64, fa_sigmoid_(numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(2))))
MISTAKE(tanh_int64, fa_tanh_(numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(2))))
MISTAKE(prelu_count, run_layer(fa_nn_prelu(wrong ? 2 : 3), fa_randn(4, 3), FA_HERE))
MISTAKE(prelu_matrix, fa_prelu(fa_randn(4, 3), wrong ? fa_randn(3, 1) : fa_randn(3)))
MISTAKE(prelu_double, fa_prelu(fa_randn(4, 3), numbers(wrong ? FA_FLOAT64 : FA_FLOAT32, FA_SHAPE(3))))
MISTAKE(transpose_channels, run_layer(fa_nn_conv_transpose2d(3, 8, 3), fa_randn(2, wrong ? 1 : 3, 8, 8), FA_HERE))
PROGRAM(transpose_output)
{
    fa_module *layer = fa_nn_conv_transpose2d(1, 1, 3, .stride = 2, .output_padding = wrong ? 2 : 1);
    fa_tensor *x = fa_randn(1, 1, 4, 4);
    AT(run_layer(layer, x, FA_HERE));
}

PROGRAM(transpose_small)
{
    fa_module *layer = fa_nn_conv_transpose2d(1, 1, 2, .padding = wrong ? 2 : 1);
    fa_tensor *x = fa_randn(1, 1, 2, 2);
    AT(run_layer(layer, x, FA_HERE));
}

MISTAKE(transpose_groups, fa_free(fa_nn_conv_transpose2d(4, wrong ? 3 : 6, 2, .groups = 2)))
MISTAKE(transpose_two, run_layer(fa_nn_conv_transpose2d(1, 1, 2), wrong ? fa_randn(3, 3) : fa_randn(1, 3, 3), FA_HERE))
MISTAKE(transpose_bias, fa_conv_transpose2d(fa_randn(1, 2, 3, 3), fa_randn(2, 3, 2, 2), fa_randn(wrong ? 2 : 3)))
PROGRAM(transpose_double)
{
    fa_module *layer = fa_nn_conv_transpose2d(1, 1, 2);
    fa_tensor *x = numbers(wrong ? FA_FLOAT64 : FA_FLOAT32, FA_SHAPE(1, 1, 3, 3));
    AT(run_layer(layer, x, FA_HERE));
}

PROGRAM(conv2d_reflect)
{
    fa_module *layer = fa_nn_conv2d(1, 1, 3, .padding = wrong ? 3 : 2, .padding_mode = FA_PAD_REFLECT);
    fa_tensor *x = fa_randn(1, 1, 3, 3);
    AT(run_layer(layer, x, FA_HERE));
}

MISTAKE(conv2d_mode, fa_free(fa_nn_conv2d(1, 1, 3, .padding_mode = wrong ? (fa_pad_mode)9 : FA_PAD_CIRCULAR)))
MISTAKE(adaptive_negative, fa_adaptive_avg_pool2d(fa_randn(1, 1, 4, 4), wrong ? -1 : 1))
MISTAKE(adaptive_int64, fa_adaptive_avg_pool2d(numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(1, 1, 4, 4)), 2))
MISTAKE(adaptive_empty, fa_adaptive_max_pool2d(fa_randn(1, 1, wrong ? 0 : 1, 4), 2))
MISTAKE(adaptive_two, fa_adaptive_max_pool2d(wrong ? fa_randn(4, 4) : fa_randn(1, 4, 4), 2))
MISTAKE(layer_norm_size, run_layer(fa_nn_layer_norm(FA_SHAPE(wrong ? 4 : 3)), fa_randn(2, 3), FA_HERE))
MISTAKE(layer_norm_weight, fa_layer_norm(fa_randn(2, 3), FA_SHAPE(3), fa_randn(wrong ? 2 : 3), NULL))
PROGRAM(layer_norm_double)
{
    fa_tensor *weight = numbers(wrong ? FA_FLOAT64 : FA_FLOAT32, FA_SHAPE(3));
    AT(fa_layer_norm(fa_randn(2, 3), FA_SHAPE(3), weight));
}

MISTAKE(layer_norm_int64, fa_layer_norm(numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(2)), FA_SHAPE(2)))
MISTAKE(group_norm_groups, fa_group_norm(fa_randn(2, 3), wrong ? 2 : 3))
MISTAKE(group_norm_channels, run_layer(fa_nn_group_norm(2, 4), fa_randn(2, wrong ? 6 : 4, 2), FA_HERE))
MISTAKE(group_norm_layer, fa_free(fa_nn_group_norm(2, wrong ? 3 : 4)))
MISTAKE(group_norm_single, fa_group_norm(fa_randn(1, 2), wrong ? 2 : 1))
MISTAKE(group_norm_vector, fa_group_norm(wrong ? fa_randn(3) : fa_randn(1, 3), 1))
MISTAKE(instance_norm_pixel, run_layer(fa_nn_instance_norm2d(2), fa_randn(1, 2, 1, wrong ? 1 : 2), FA_HERE))
MISTAKE(instance_norm_two, run_layer(fa_nn_instance_norm2d(2), wrong ? fa_randn(1, 2) : fa_randn(1, 2, 2, 2), FA_HERE))
MISTAKE(batch_norm1d_image, run_layer(fa_nn_batch_norm1d(3), wrong ? fa_randn(2, 3, 4, 4) : fa_randn(2, 3, 4), FA_HERE))
MISTAKE(batch_norm1d_single, run_layer(fa_nn_batch_norm1d(3), fa_randn(wrong ? 1 : 2, 3), FA_HERE))
MISTAKE(batch_norm1d_features, run_layer(fa_nn_batch_norm1d(3), fa_randn(2, wrong ? 4 : 3), FA_HERE))
MISTAKE(dropout2d_p, fa_free(fa_nn_dropout2d(wrong ? -0.1 : 0.1)))
MISTAKE(dropout2d_vector, fa_dropout2d(wrong ? fa_randn(5) : fa_randn(1, 5)))
MISTAKE(interpolate_both, fa_interpolate(fa_randn(1, 1, 3, 3), wrong ? 5 : FA_NONE, 2))
MISTAKE(interpolate_neither, fa_interpolate(fa_randn(1, 1, 3, 3), wrong ? FA_NONE : 5))
MISTAKE(interpolate_zero, fa_interpolate(fa_randn(1, 1, 3, 3), wrong ? 0 : 1))
PROGRAM(interpolate_align)
{
    const fa_interpolate_mode mode = wrong ? FA_NEAREST : FA_BILINEAR;
    AT(fa_interpolate(fa_randn(1, 1, 3, 3), 5, .mode = mode, .align_corners = true));
}

PROGRAM(interpolate_three)
{
    fa_module *layer = fa_nn_upsample(.scale_factor = 2, .mode = FA_BILINEAR);
    fa_tensor *x = wrong ? fa_randn(1, 3, 3) : fa_randn(1, 1, 3, 3);
    AT(run_layer(layer, x, FA_HERE));
}

MISTAKE(interpolate_int64, fa_interpolate(numbers(wrong ? FA_INT64 : FA_UINT8, FA_SHAPE(1, 1, 3, 3)), 5))
MISTAKE(init_eye, fa_init_eye_(wrong ? fa_randn(2, 2, 2) : fa_randn(2, 2)))
MISTAKE(init_dirac, fa_init_dirac_(wrong ? fa_randn(2, 2) : fa_randn(2, 2, 1)))
MISTAKE(init_dirac_groups, fa_init_dirac_(fa_randn(wrong ? 3 : 4, 2, 2), 2))
MISTAKE(init_kaiming, fa_init_kaiming_normal_(wrong ? fa_randn(3) : fa_randn(3, 1)))
MISTAKE(init_kaiming_mode, fa_init_kaiming_uniform_(fa_randn(3, 2), .mode = wrong ? (fa_fan_mode)5 : FA_FAN_OUT))
MISTAKE(init_xavier, fa_init_xavier_uniform_(wrong ? fa_randn(3) : fa_randn(3, 1)))
MISTAKE(init_orthogonal, fa_init_orthogonal_(wrong ? fa_randn(3) : fa_randn(3, 1)))
MISTAKE(init_uniform, fa_init_uniform_(fa_randn(3), 0, wrong ? -1 : 1))
MISTAKE(init_normal, fa_init_normal_(fa_randn(3), 0, wrong ? -1 : 1))
MISTAKE(module_name, add_module(wrong ? "m.x" : "x", FA_HERE))

/* ---- The table ------------------------------------------------------------------------------------------------------
 */

static const mistake mistakes[] = {
    {"relu6: bool", relu6_bool, "hardtanh", NULL, "bool", "numbers"},
    {"relu6: in place on a leaf", relu6_leaf, "relu6_", NULL, NULL, NULL},
    {"hardtanh: min above max", hardtanh_bounds, "hardtanh", NULL, "min_val 1", "min_val <= max_val"},
    {"hardtanh: layer with min above max", hardtanh_layer, "fa_nn_hardtanh", NULL, "min_val 1", "below"},
    {"leaky_relu: int64", leaky_relu_int64, "leaky_relu", NULL, "int64", "float32"},
    {"elu: int64", elu_int64, "elu", NULL, "int64", "float32"},
    {"gelu: int64", gelu_int64, "gelu", "(0)", "int64", "float32"},
    {"gelu: approximate", gelu_mode, "gelu", NULL, "7", "FA_GELU_TANH"},
    {"silu: int64", silu_int64, "silu", NULL, "int64", "float32"},
    {"hardswish: int64", hardswish_int64, "hardswish", NULL, "int64", "float32"},
    {"hardsigmoid: int64", hardsigmoid_int64, "hardsigmoid", NULL, "int64", "float32"},
    {"softplus: int64", softplus_int64, "softplus", NULL, "int64", "float32"},
    {"sigmoid_: int64", sigmoid_int64, "sigmoid_", NULL, "float32", "int64"},
    {"tanh_: int64", tanh_int64, "tanh_", NULL, "float32", "int64"},
    {"prelu: number of weights", prelu_count, "prelu", "(0)", "2 weights", "3"},
    {"prelu: weight of two dimensions", prelu_matrix, "prelu", NULL, "[3, 1]", "one"},
    {"prelu: float64 weight", prelu_double, "prelu", NULL, "float64", "one type"},
    {"conv_transpose2d: wrong number of channels", transpose_channels, "conv_transpose2d", "(0)", "[2, 1, 8, 8]", "3"},
    {"conv_transpose2d: output_padding too large", transpose_output, "conv_transpose2d", "(0)", "2 x 2", "less than"},
    {"conv_transpose2d: output too small", transpose_small, "conv_transpose2d", "(0)", "-1", "1 or more"},
    {"conv_transpose2d: groups", transpose_groups, "fa_nn_conv_transpose2d", NULL, "3", "multiples"},
    {"conv_transpose2d: input of 2 dimensions", transpose_two, "conv_transpose2d", "(0)", "[3, 3]", "[N, C, H, W]"},
    {"conv_transpose2d: bias of the wrong size", transpose_bias, "conv_transpose2d", NULL, "[2]", "[3]"},
    {"conv_transpose2d: float64 input", transpose_double, "conv_transpose2d", "(0)", "float64", "one type"},
    {"conv2d: reflect beyond the size", conv2d_reflect, "pad", "(0)", "3", "less than"},
    {"conv2d: padding_mode", conv2d_mode, "fa_nn_conv2d", NULL, "9", "FA_PAD_REFLECT"},
    {"adaptive_avg_pool2d: negative size", adaptive_negative, "adaptive_avg_pool2d", NULL, "-1", "0 or more"},
    {"adaptive_avg_pool2d: int64", adaptive_int64, "adaptive_avg_pool2d", NULL, "int64", "float32"},
    {"adaptive_max_pool2d: no pixels", adaptive_empty, "adaptive_max_pool2d", NULL, "[1, 1, 0, 4]", "1 or more"},
    {"adaptive_max_pool2d: 2-D input", adaptive_two, "adaptive_max_pool2d", NULL, "[4, 4]", "[N, C, H, W]"},
    {"layer_norm: another last size", layer_norm_size, "layer_norm", "(0)", "[2, 3]", "[4]"},
    {"layer_norm: weight of the wrong shape", layer_norm_weight, "layer_norm", NULL, "[2]", "[3]"},
    {"layer_norm: float64 weight", layer_norm_double, "layer_norm", NULL, "float64", "one type"},
    {"layer_norm: int64", layer_norm_int64, "layer_norm", NULL, "int64", "float32"},
    {"group_norm: groups", group_norm_groups, "group_norm", NULL, "2 groups", "3 channels"},
    {"group_norm: channels of the layer", group_norm_channels, "group_norm", "(0)", "[2, 6, 2]", "4"},
    {"group_norm: layer's groups", group_norm_layer, "fa_nn_group_norm", NULL, "3", "divides"},
    {"group_norm: one value a group", group_norm_single, "group_norm", NULL, "1 value", "2 or more"},
    {"group_norm: one dimension", group_norm_vector, "group_norm", NULL, "[3]", "2 dimensions"},
    {"instance_norm: one pixel", instance_norm_pixel, "instance_norm", "(0)", "1 value", "2 or more"},
    {"instance_norm: 2-D input", instance_norm_two, "instance_norm2d", "(0)", "[1, 2]", "4 dimensions"},
    {"batchnorm1d: 4-D input", batch_norm1d_image, "batch_norm1d", "(0)", "[2, 3, 4, 4]", "2 or 3"},
    {"batchnorm1d: one value per channel in training", batch_norm1d_single, "batch_norm", "(0)", "1 value",
     "2 or more"},
    {"batchnorm1d: wrong number of features", batch_norm1d_features, "batch_norm1d", "(0)", "[2, 4]", "3"},
    {"dropout2d: p out of range", dropout2d_p, "fa_nn_dropout2d", NULL, "-0.1", "0 to 1"},
    {"dropout2d: 1-D input", dropout2d_vector, "dropout2d", NULL, "[5]", "2 dimensions"},
    {"interpolate: size and scale_factor", interpolate_both, "interpolate", NULL, "a size and a scale_factor",
     "one of"},
    {"interpolate: neither", interpolate_neither, "interpolate", NULL, "no size", "one of"},
    {"interpolate: size 0", interpolate_zero, "interpolate", NULL, "0 pixels", "1 or more"},
    {"interpolate: align_corners with nearest", interpolate_align, "interpolate", NULL, "align_corners", "FA_BILINEAR"},
    {"interpolate: bilinear of 3 dimensions", interpolate_three, "interpolate", "(0)", "[1, 3, 3]", "[N, C, H, W]"},
    {"interpolate: int64", interpolate_int64, "interpolate", NULL, "int64", "uint8"},
    {"init: eye_ of 3 dimensions", init_eye, "init_eye_", NULL, "[2, 2, 2]", "2 dimensions"},
    {"init: dirac_ of a matrix", init_dirac, "init_dirac_", NULL, "[2, 2]", "3 to 5"},
    {"init: dirac_ groups", init_dirac_groups, "init_dirac_", NULL, "groups 2", "divides 3"},
    {"init: kaiming_normal_ of a vector", init_kaiming, "init_kaiming_normal_", NULL, "[3]", "2 dimensions"},
    {"init: kaiming_uniform_ mode", init_kaiming_mode, "init_kaiming_uniform_", NULL, "5", "FA_FAN_IN"},
    {"init: xavier_uniform_ of a vector", init_xavier, "init_xavier_uniform_", NULL, "[3]", "2 dimensions"},
    {"init: orthogonal_ of a vector", init_orthogonal, "init_orthogonal_", NULL, "[3]", "2 dimensions"},
    {"init: uniform_ from above to", init_uniform, "init_uniform_", NULL, "b = -1", "a <= b"},
    {"init: normal_ negative std", init_normal, "init_normal_", NULL, "-1", "0 or more"},
    {"module: a dot in a name", module_name, "fa_module_add", NULL, "m.x", "no dot"},
};

int main(void)
{
    return RUN_MISTAKES("errors_functions", mistakes);
}
