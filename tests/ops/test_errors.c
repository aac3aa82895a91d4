/* The mistakes of golden/errors.json (support/mistakes.h). */
#include "support/mistakes.h"

#include "facula/optim.h"
#include "facula/vision.h"

#include <math.h>
#include <string.h>

/* ---- Helpers of the programs ---------------------------------------------------------------------------------------
 */

/* model(x) at the caller's line, then the model's end. The layer stands in a Sequential, as "0". */
static void run_layer(fa_module *layer, fa_tensor *x, fa_where where)
{
    fa_module *model = fa_nn_sequential(layer);
    fa_forward_at(model, x, where);
    fa_sync();
    fa_module_free(model);
}
#define RUN(layer, x) AT(run_layer((layer), (x), FA_HERE))

static void make_layer(fa_module *layer)
{
    fa_module_free(layer);
}

static fa_tensor *numbers(fa_dtype dtype, fa_shape shape)
{
    return fa_zeros_with(shape, .dtype = dtype);
}

static fa_tensor *leaf(void)
{
    return fa_ones_with(FA_SHAPE(3), .requires_grad = true);
}

static fa_tensor *labels(int64_t third)
{
    return fa_tensor_of_as(FA_INT64, FA_SHAPE(4), 0, 1, (double)third, 2);
}

/* ---- Convolution ---------------------------------------------------------------------------------------------------
 */

PROGRAM(conv2d_channels)
{
    RUN(fa_nn_conv2d(3, 8, 3), fa_randn(2, wrong ? 1 : 3, 8, 8));
}

PROGRAM(conv2d_channels_groups)
{
    RUN(fa_nn_conv2d(4, 8, 3, .groups = 2), fa_randn(2, wrong ? 3 : 4, 8, 8));
}

PROGRAM(conv2d_kernel_too_big)
{
    RUN(fa_nn_conv2d(1, 8, wrong ? 5 : 3), fa_randn(2, 1, 3, 3));
}

PROGRAM(conv2d_dilated_too_big)
{
    RUN(fa_nn_conv2d(1, 8, 3, .padding = 1, .dilation = wrong ? 4 : 2), fa_randn(2, 1, 3, 3));
}

PROGRAM(conv2d_two_dimensions)
{
    RUN(fa_nn_conv2d(1, 8, 3), wrong ? fa_randn(8, 8) : fa_randn(1, 8, 8));
}

PROGRAM(conv2d_five_dimensions)
{
    RUN(fa_nn_conv2d(1, 8, 3), wrong ? fa_randn(1, 1, 1, 8, 8) : fa_randn(1, 1, 8, 8));
}

PROGRAM(conv2d_in_groups)
{
    make_layer(AT(fa_nn_conv2d(wrong ? 3 : 4, 8, 3, .groups = 2)));
}

PROGRAM(conv2d_out_groups)
{
    make_layer(AT(fa_nn_conv2d(4, wrong ? 7 : 8, 3, .groups = 2)));
}

PROGRAM(conv2d_no_groups)
{
    make_layer(AT(fa_nn_conv2d(4, 8, 3, .groups = wrong ? 0 : 1)));
}

/* These three may be refused when the layer is made or when it runs: one line. */
PROGRAM(conv2d_negative_padding)
{
    RUN(fa_nn_conv2d(1, 8, 3, .padding = wrong ? -1 : 0), fa_randn(1, 1, 8, 8));
}

PROGRAM(conv2d_no_stride)
{
    RUN(fa_nn_conv2d(1, 8, 3, .stride = wrong ? 0 : 1), fa_randn(1, 1, 8, 8));
}

PROGRAM(conv2d_no_dilation)
{
    RUN(fa_nn_conv2d(1, 8, 3, .dilation = wrong ? 0 : 1), fa_randn(1, 1, 8, 8));
}

PROGRAM(conv2d_same_stride)
{
    RUN(fa_nn_conv2d(1, 8, 3, .padding = FA_SAME, .stride = wrong ? 2 : 1), fa_randn(1, 1, 8, 8));
}

PROGRAM(conv2d_int64)
{
    RUN(fa_nn_conv2d(1, 8, 3), numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(1, 1, 8, 8)));
}

PROGRAM(conv2d_uint8)
{
    RUN(fa_nn_conv2d(1, 8, 3), numbers(wrong ? FA_UINT8 : FA_FLOAT32, FA_SHAPE(1, 1, 8, 8)));
}

PROGRAM(conv2d_float64)
{
    RUN(fa_nn_conv2d(1, 8, 3), numbers(wrong ? FA_FLOAT64 : FA_FLOAT32, FA_SHAPE(1, 1, 8, 8)));
}

PROGRAM(conv2d_bias)
{
    AT(fa_conv2d(fa_randn(1, 1, 8, 8), fa_randn(8, 1, 3, 3), fa_randn(wrong ? 7 : 8)));
}

/* ---- Matrices, views, reductions ------------------------------------------------------------------------------------
 */

PROGRAM(linear_features)
{
    RUN(fa_nn_linear(10, 5), fa_randn(2, wrong ? 9 : 10));
}

PROGRAM(linear_no_flatten)
{
    fa_tensor *x = fa_randn(2, 8, 8, 8);
    RUN(fa_nn_linear(512, 5), wrong ? x : fa_flatten(x, 1));
}

PROGRAM(linear_int64)
{
    RUN(fa_nn_linear(10, 5), numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(2, 10)));
}

PROGRAM(matmul_sizes)
{
    AT(fa_matmul(fa_randn(2, 3), fa_randn(wrong ? 4 : 3, 5)));
}

PROGRAM(matmul_number)
{
    AT(fa_matmul(fa_randn(2, 3), wrong ? fa_ones_with(FA_SCALAR) : fa_randn(3)));
}

PROGRAM(add_shapes)
{
    AT(fa_add(fa_randn(2, 3), fa_randn(2, wrong ? 4 : 3)));
}

PROGRAM(view_size)
{
    AT(fa_view(fa_randn(2, 3, 4), 2, wrong ? 13 : 12));
}

PROGRAM(view_divide)
{
    AT(fa_view(fa_randn(2, 3, 4), wrong ? 5 : 6, -1));
}

PROGRAM(view_two_unknown)
{
    AT(fa_view(fa_randn(2, 3, 4), wrong ? -1 : 2, -1));
}

PROGRAM(view_scattered)
{
    fa_tensor *x = fa_transpose(fa_randn(2, 3), 0, 1);
    if (wrong)
        AT(fa_view(x, 6));
    else
        AT(fa_reshape(x, 6));
}

PROGRAM(reshape_size)
{
    AT(fa_reshape(fa_randn(2, 3), wrong ? 7 : 6));
}

PROGRAM(permute_twice)
{
    AT(fa_permute(fa_randn(2, 3, 4), 0, wrong ? 0 : 2, 1));
}

PROGRAM(expand_size)
{
    AT(fa_expand(fa_randn(2, wrong ? 3 : 1), 2, 4));
}

PROGRAM(slice_step)
{
    AT(fa_slice_at(fa_randn(5), 0, 0, 5, wrong ? 0 : 1, FA_HERE));
}

PROGRAM(index_range)
{
    AT(fa_select(fa_randn(3), 0, wrong ? 5 : 2));
}

PROGRAM(dim_range)
{
    AT(fa_sum(fa_randn(3, 3), .dims = FA_SHAPE(wrong ? 2 : 1)));
}

PROGRAM(dim_twice)
{
    AT(fa_sum(fa_randn(3, 3), .dims = FA_SHAPE(0, wrong ? 0 : 1)));
}

PROGRAM(mean_int64)
{
    AT(fa_mean(numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(3))));
}

PROGRAM(argmax_nothing)
{
    AT(fa_argmax(fa_randn(2, wrong ? 0 : 1), 1));
}

PROGRAM(softmax_dim)
{
    AT(fa_softmax(fa_randn(3, 3), wrong ? 2 : 1));
}

PROGRAM(item_of_many)
{
    AT(fa_item(fa_randn(wrong ? 3 : 1)));
}

/* ---- Classification
 * --------------------------------------------------------------------------------------------------- */

PROGRAM(target_too_large)
{
    AT(fa_cross_entropy(fa_randn(4, 10), labels(wrong ? 10 : 9)));
}

PROGRAM(target_negative)
{
    AT(fa_cross_entropy(fa_randn(4, 10), labels(wrong ? -1 : 0)));
}

PROGRAM(batch_sizes)
{
    AT(fa_cross_entropy(fa_randn(4, 10), numbers(FA_INT64, FA_SHAPE(wrong ? 3 : 4))));
}

PROGRAM(float_classes)
{
    AT(fa_cross_entropy(fa_randn(4, 10), numbers(wrong ? FA_FLOAT32 : FA_INT64, FA_SHAPE(4))));
}

PROGRAM(int32_classes)
{
    AT(fa_cross_entropy(fa_randn(4, 10), numbers(wrong ? FA_INT32 : FA_INT64, FA_SHAPE(4))));
}

PROGRAM(column_of_classes)
{
    fa_tensor *target = numbers(FA_INT64, FA_SHAPE(4, 1));
    AT(fa_cross_entropy(fa_randn(4, 10), wrong ? target : fa_squeeze(target, 1)));
}

PROGRAM(class_weights)
{
    AT(fa_cross_entropy(fa_randn(4, 10), labels(3), .weight = fa_ones(wrong ? 9 : 10)));
}

PROGRAM(smoothing_range)
{
    AT(fa_cross_entropy(fa_randn(4, 10), labels(3), .label_smoothing = wrong ? 2 : 0.2));
}

PROGRAM(spatial_sizes)
{
    AT(fa_cross_entropy(fa_randn(4, 10, 3, 3), numbers(FA_INT64, FA_SHAPE(4, 3, wrong ? 2 : 3))));
}

PROGRAM(nll_target)
{
    AT(fa_nll_loss(fa_randn(4, 10), labels(wrong ? 10 : 9)));
}

/* ---- Norm, pools, dropout, flatten
 * ------------------------------------------------------------------------------------ */

PROGRAM(norm_one_value)
{
    RUN(fa_nn_batch_norm2d(3), fa_randn(wrong ? 1 : 2, 3, 1, 1));
}

PROGRAM(norm_three_dimensions)
{
    RUN(fa_nn_batch_norm2d(3), wrong ? fa_randn(3, 4, 4) : fa_randn(1, 3, 4, 4));
}

PROGRAM(norm_channels)
{
    RUN(fa_nn_batch_norm2d(3), fa_randn(2, wrong ? 4 : 3, 4, 4));
}

PROGRAM(pool_padding)
{
    AT(fa_max_pool2d(fa_randn(1, 1, 8, 8), 2, .padding = wrong ? 2 : 1));
}

PROGRAM(pool_negative_padding)
{
    AT(fa_max_pool2d(fa_randn(1, 1, 8, 8), 2, .padding = wrong ? -1 : 0));
}

PROGRAM(pool_too_small)
{
    AT(fa_max_pool2d(fa_randn(1, 1, 2, 2), wrong ? 3 : 2));
}

PROGRAM(pool_no_stride)
{
    AT(fa_max_pool2d(fa_randn(1, 1, 8, 8), 2, .stride = wrong ? 0 : 2));
}

PROGRAM(pool_no_kernel)
{
    AT(fa_max_pool2d(fa_randn(1, 1, 8, 8), wrong ? 0 : 2, .stride = 1));
}

PROGRAM(pool_no_dilation)
{
    AT(fa_max_pool2d(fa_randn(1, 1, 8, 8), 2, .dilation = wrong ? 0 : 1));
}

PROGRAM(pool_two_dimensions)
{
    RUN(fa_nn_max_pool2d(2), wrong ? fa_randn(8, 8) : fa_randn(1, 8, 8));
}

PROGRAM(average_padding)
{
    RUN(fa_nn_avg_pool2d(2, .padding = wrong ? 2 : 1), fa_randn(1, 1, 8, 8));
}

PROGRAM(average_divisor)
{
    AT(fa_avg_pool2d(fa_randn(1, 1, 8, 8), 2, .divisor_override = wrong ? 0 : 4));
}

PROGRAM(dropout_range)
{
    make_layer(AT(fa_nn_dropout(wrong ? 1.5 : 0.5)));
}

PROGRAM(flatten_order)
{
    AT(fa_flatten_at(fa_randn(2, 3, 4), wrong ? 2 : 1, wrong ? 1 : 2, FA_HERE));
}

/* ---- Autograd
 * ---------------------------------------------------------------------------------------------------------- */

PROGRAM(backward_twice)
{
    fa_tensor *y = fa_sum(fa_exp(fa_mul(leaf(), 2)));
    fa_backward(y, .retain_graph = !wrong);
    AT(fa_backward(y));
}

PROGRAM(backward_not_scalar)
{
    fa_tensor *y = fa_mul(leaf(), 2);
    AT(fa_backward(wrong ? y : fa_sum(y)));
}

PROGRAM(backward_nothing)
{
    AT(fa_backward(fa_sum(wrong ? fa_randn(3) : leaf())));
}

PROGRAM(backward_gradient)
{
    AT(fa_backward(fa_mul(leaf(), 2), .gradient = fa_randn(wrong ? 4 : 3)));
}

PROGRAM(inplace_leaf)
{
    fa_tensor *x = leaf();
    if (wrong) {
        AT(fa_add_(x, 1));
        return;
    }
    fa_no_grad {
        fa_add_(x, 1);
    }
}

PROGRAM(inplace_shape)
{
    AT(fa_add_(fa_randn(2, 3), fa_randn(2, wrong ? 4 : 3)));
}

PROGRAM(grad_of_integers)
{
    AT(fa_zeros_with(FA_SHAPE(3), .dtype = wrong ? FA_INT64 : FA_FLOAT32, .requires_grad = true));
}

/* ---- Optimizers
 * ---------------------------------------------------------------------------------------------------------- */

PROGRAM(optim_nothing)
{
    fa_tensor *x = leaf();
    fa_tensor_list all = FA_TENSORS(x);
    if (wrong)
        all.count = 0;
    fa_optim_free(AT(fa_sgd(all, 0.1)));
}

PROGRAM(optim_rate)
{
    fa_optim_free(AT(fa_sgd(FA_TENSORS(leaf()), wrong ? -1 : 1)));
}

PROGRAM(optim_momentum)
{
    fa_optim_free(AT(fa_sgd(FA_TENSORS(leaf()), 0.1, .momentum = wrong ? -1 : 0.9)));
}

PROGRAM(optim_decay)
{
    fa_optim_free(AT(fa_sgd(FA_TENSORS(leaf()), 0.1, .weight_decay = wrong ? -1 : 0.1)));
}

PROGRAM(optim_nesterov)
{
    fa_optim_free(AT(fa_sgd(FA_TENSORS(leaf()), 0.1, .momentum = wrong ? 0 : 0.9, .nesterov = true)));
}

PROGRAM(optim_beta)
{
    fa_optim_free(AT(fa_adam(FA_TENSORS(leaf()), .betas = {wrong ? 1.0 : 0.9, 0.999})));
}

PROGRAM(optim_eps)
{
    fa_optim_free(AT(fa_adam(FA_TENSORS(leaf()), .eps = wrong ? -1 : 1e-8)));
}

PROGRAM(optim_not_leaf)
{
    fa_tensor *x = leaf();
    if (wrong)
        x = fa_mul(x, 2);
    fa_optim_free(AT(fa_sgd(FA_TENSORS(x), 0.1)));
}

/* ---- Data
 * ---------------------------------------------------------------------------------------------------------------- */

PROGRAM(dataset_index)
{
    fa_dataset *set = fa_tensor_dataset(fa_randn(3, 2));
    AT(fa_dataset_get(set, wrong ? 5 : 2));
    fa_dataset_free(set);
}

PROGRAM(dataset_lengths)
{
    fa_tensor *x = fa_randn(3, 2), *y = fa_randn(wrong ? 4 : 3);
    fa_dataset_free(AT(fa_tensor_dataset(x, y)));
}

static void run_loader(fa_loader *loader)
{
    fa_for_each_batch (b, loader)
        fa_sync();
    fa_loader_free(loader);
}

PROGRAM(loader_empty_shuffle)
{
    fa_dataset *set = fa_tensor_dataset(fa_zeros(wrong ? 0 : 3, 2));
    run_loader(AT(fa_data_loader(set, .shuffle = true)));
}

PROGRAM(loader_batch_size)
{
    fa_dataset *set = fa_tensor_dataset(fa_zeros(3, 2));
    run_loader(AT(fa_data_loader(set, .batch_size = wrong ? 0 : 1)));
}

PROGRAM(loader_workers)
{
    fa_dataset *set = fa_tensor_dataset(fa_zeros(3, 2));
    run_loader(AT(fa_data_loader(set, .num_workers = wrong ? -1 : 1)));
}

static int64_t two_items(void *user)
{
    (void)user;
    return 2;
}

/* Item i has 2 + i elements, or 2 where *user says even. */
static bool uneven_item(void *user, int64_t index, fa_sample *sample)
{
    static const float values[4] = {0};
    return fa_sample_put(sample, FA_FLOAT32, FA_SHAPE(*(bool *)user ? 2 + index : 2), values);
}

PROGRAM(loader_uneven)
{
    fa_dataset *set = fa_dataset_new(&wrong, .length = two_items, .item = uneven_item);
    fa_loader *loader = fa_data_loader(set, .batch_size = 2);
    blamed_line = 0; /* the item callback's line or the loop's */
    run_loader(loader);
}

PROGRAM(split_lengths)
{
    fa_dataset *set = fa_tensor_dataset(fa_randn(10, 2)), *part[2] = {0};
    AT(fa_random_split(set, part, 2, {3, wrong ? 8 : 7}));
    fa_dataset_free(part[0]);
    fa_dataset_free(part[1]);
    fa_dataset_free(set);
}

PROGRAM(mnist_missing)
{
    const char *root = wrong ? "nowhere" : source_path("data/mnist");
    fa_dataset_free(AT(fa_mnist(root, .train = false)));
}

PROGRAM(normalize_std)
{
    fa_transform_free(AT(fa_normalize({0.5}, {wrong ? 0 : 0.5}, .channels = 1)));
}

PROGRAM(randint_range)
{
    AT(fa_randint(5, wrong ? 5 : 6, FA_SHAPE(2)));
}

PROGRAM(negative_size)
{
    AT(fa_randn(wrong ? -1 : 1));
}

/* ---- The table
 * --------------------------------------------------------------------------------------------------------- */

static const mistake mistakes[] = {
    {"conv2d: wrong number of channels", conv2d_channels, "conv2d", "(0)", "[2, 1, 8, 8]", "3"},
    {"conv2d: wrong number of channels, groups", conv2d_channels_groups, "conv2d", "(0)", "[2, 3, 8, 8]", "4"},
    {"conv2d: kernel bigger than the padded input", conv2d_kernel_too_big, "conv2d", "(0)", "5", "3"},
    {"conv2d: dilated kernel bigger than the padded input", conv2d_dilated_too_big, "conv2d", "(0)", "9", "5"},
    {"conv2d: input of 2 dimensions", conv2d_two_dimensions, "conv2d", "(0)", "[8, 8]", "[N, C, H, W]"},
    {"conv2d: input of 5 dimensions", conv2d_five_dimensions, "conv2d", "(0)", "[1, 1, 1, 8, 8]", "[N, C, H, W]"},
    {"conv2d: in_channels % groups", conv2d_in_groups, "conv2d", NULL, "3", "2"},
    {"conv2d: out_channels % groups", conv2d_out_groups, "conv2d", NULL, "7", "2"},
    {"conv2d: groups 0", conv2d_no_groups, "conv2d", NULL, "0", "1"},
    {"conv2d: negative padding", conv2d_negative_padding, "conv2d", NULL, "-1", "0"},
    {"conv2d: stride 0", conv2d_no_stride, "conv2d", NULL, "0", "1"},
    {"conv2d: dilation 0", conv2d_no_dilation, "conv2d", NULL, "0", "1"},
    {"conv2d: padding='same' with a stride", conv2d_same_stride, "conv2d", NULL, "2", "1"},
    {"conv2d: integer input", conv2d_int64, "conv2d", "(0)", "int64", "float32"},
    {"conv2d: uint8 input", conv2d_uint8, "conv2d", "(0)", "uint8", "float32"},
    {"conv2d: float64 input", conv2d_float64, "conv2d", "(0)", "float64", "float32"},
    {"conv2d: bias of the wrong size", conv2d_bias, "conv2d", NULL, "7", "8"},
    {"linear: wrong number of features", linear_features, "linear", "(0)", "[2, 9]", "10"},
    {"linear: flatten forgotten", linear_no_flatten, "linear", "(0)", "[2, 8, 8, 8]", "512"},
    {"linear: int64 input", linear_int64, "linear", "(0)", "int64", "float32"},
    {"matmul: inner sizes", matmul_sizes, "matmul", NULL, "[2, 3]", "[4, 5]"},
    {"matmul: a single number", matmul_number, "matmul", NULL, "[2, 3]", "1"},
    {"add: shapes", add_shapes, "add", NULL, "[2, 3]", "[2, 4]"},
    {"view: wrong size", view_size, "view", NULL, "[2, 13]", "24"},
    {"view: -1 does not divide", view_divide, "view", NULL, "[5, -1]", "24"},
    {"view: two -1", view_two_unknown, "view", NULL, "[-1, -1]", "one"},
    {"view: not contiguous", view_scattered, "view", NULL, "[3, 2]", "reshape"},
    {"reshape: wrong size", reshape_size, "reshape", NULL, "7", "6"},
    {"permute: a dimension twice", permute_twice, "permute", NULL, "[0, 0, 1]", "once"},
    {"expand: a size that is not 1", expand_size, "expand", NULL, "3", "4"},
    {"slice: step 0", slice_step, "slice", NULL, "0", "1"},
    {"index out of range", index_range, "select", NULL, "5", "3"},
    {"dim out of range", dim_range, "sum", NULL, "2", "1"},
    {"dim given twice", dim_twice, "sum", NULL, "0", "once"},
    {"mean of integers", mean_int64, "mean", NULL, "int64", "float32"},
    {"argmax of nothing", argmax_nothing, "argmax", NULL, "[2, 0]", "one"},
    {"softmax: dim out of range", softmax_dim, "softmax", NULL, "2", "1"},
    {"item of many", item_of_many, "item", NULL, "[3]", "one"},
    {"cross_entropy: target too large", target_too_large, "cross_entropy", NULL, "10", "9"},
    {"cross_entropy: negative target", target_negative, "cross_entropy", NULL, "-1", "9"},
    {"cross_entropy: batch sizes differ", batch_sizes, "cross_entropy", NULL, "[3]", "4"},
    {"cross_entropy: float class indices", float_classes, "cross_entropy", NULL, "float32", "int64"},
    {"cross_entropy: int32 targets", int32_classes, "cross_entropy", NULL, "int32", "int64"},
    {"cross_entropy: targets [N,1]", column_of_classes, "cross_entropy", NULL, "[4, 1]", "[4]"},
    {"cross_entropy: weight of the wrong size", class_weights, "cross_entropy", NULL, "9", "10"},
    {"cross_entropy: label_smoothing out of range", smoothing_range, "cross_entropy", NULL, "2", "1"},
    {"cross_entropy: spatial sizes differ", spatial_sizes, "cross_entropy", NULL, "[4, 3, 2]", "[4, 3, 3]"},
    {"nll_loss: target too large", nll_target, "nll_loss", NULL, "10", "9"},
    {"batchnorm: one value per channel in training", norm_one_value, "batch_norm", "(0)", "[1, 3, 1, 1]", "2"},
    {"batchnorm: 3-D input", norm_three_dimensions, "batch_norm", "(0)", "[3, 4, 4]", "4"},
    {"batchnorm: wrong number of channels", norm_channels, "batch_norm", "(0)", "[2, 4, 4, 4]", "3"},
    {"max_pool2d: padding too big", pool_padding, "max_pool2d", NULL, "2", "1"},
    {"max_pool2d: negative padding", pool_negative_padding, "max_pool2d", NULL, "-1", "0"},
    {"max_pool2d: output too small", pool_too_small, "max_pool2d", NULL, "2", "3"},
    {"max_pool2d: stride 0", pool_no_stride, "max_pool2d", NULL, "0", "1"},
    {"max_pool2d: kernel 0, stride 1", pool_no_kernel, "max_pool2d", NULL, "0", "1"},
    {"max_pool2d: dilation 0", pool_no_dilation, "max_pool2d", NULL, "0", "1"},
    {"max_pool2d: 2-D input", pool_two_dimensions, "max_pool2d", "(0)", "[8, 8]", "[N, C, H, W]"},
    {"avg_pool2d: padding too big", average_padding, "avg_pool2d", NULL, "2", "1"},
    {"avg_pool2d: divisor 0", average_divisor, "avg_pool2d", NULL, "0", "divisor"},
    {"dropout: p out of range", dropout_range, "dropout", NULL, "1.5", "1"},
    {"flatten: start after end", flatten_order, "flatten", NULL, "2", "1"},
    {"backward: twice", backward_twice, "backward", NULL, NULL, "retain_graph"},
    {"backward: not a scalar", backward_not_scalar, "backward", NULL, "[3]", "gradient"},
    {"backward: nothing requires grad", backward_nothing, "backward", NULL, NULL, "requires"},
    {"backward: gradient of another shape", backward_gradient, "backward", NULL, "[4]", "[3]"},
    {"in-place on a leaf", inplace_leaf, "add_", NULL, NULL, "fa_no_grad"},
    {"in-place: the other operand does not fit", inplace_shape, "add", NULL, "[2, 4]", "[2, 3]"},
    {"requires_grad of integers", grad_of_integers, "zeros", NULL, "int64", "float32"},
    {"optimizer: no parameters", optim_nothing, "sgd", NULL, "no", "one"},
    {"optimizer: negative learning rate", optim_rate, "sgd", NULL, "-1", "0"},
    {"optimizer: negative momentum", optim_momentum, "sgd", NULL, "-1", "0"},
    {"optimizer: negative weight decay", optim_decay, "sgd", NULL, "-1", "0"},
    {"optimizer: nesterov without momentum", optim_nesterov, "sgd", NULL, "0", "momentum"},
    {"optimizer: Adam beta", optim_beta, "adam", NULL, "1", "0"},
    {"optimizer: Adam eps", optim_eps, "adam", NULL, "-1", "0"},
    {"optimizer: not a leaf", optim_not_leaf, "sgd", NULL, NULL, "leaf"},
    {"dataset: index out of range", dataset_index, "dataset", NULL, "5", "3"},
    {"dataset: tensors of different lengths", dataset_lengths, "tensor_dataset", NULL, "4", "3"},
    {"loader: empty data set with shuffle", loader_empty_shuffle, "data_loader", NULL, "0", "1"},
    {"loader: batch_size 0", loader_batch_size, "data_loader", NULL, "0", "1"},
    {"loader: num_workers -1", loader_workers, "data_loader", NULL, "-1", "0"},
    {"loader: samples of different sizes", loader_uneven, "", NULL, "[3]", "[2]"},
    {"random_split: lengths", split_lengths, "random_split", NULL, "11", "10"},
    {"MNIST: not there", mnist_missing, "mnist", NULL, "nowhere", "t10k-images"},
    {"Normalize: std 0", normalize_std, "normalize", NULL, "0", "above 0"},
    {"randint: empty range", randint_range, "randint", NULL, "5", "5"},
    {"tensor: negative size", negative_size, "randn", NULL, "-1", "0"},
};

int main(void)
{
    return RUN_MISTAKES("errors", mistakes);
}
