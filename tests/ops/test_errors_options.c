/* The mistakes of golden/errors_options.json: options of ops, layers and schedules. */
#include "support/mistakes.h"

#include <facula.h>

static fa_tensor *numbers(fa_dtype dtype, fa_shape shape)
{
    return fa_zeros_with(shape, .dtype = dtype);
}

#define MISTAKE(name, call)                                                                                            \
    PROGRAM(name)                                                                                                      \
    {                                                                                                                  \
        AT(call);                                                                                                      \
    }

/* ---- Draws and types -----------------------------------------------------------------------------------------------
 */

MISTAKE(randint_below, fa_randint(wrong ? -1 : 0, 5, FA_SHAPE(2), .dtype = FA_UINT8))
MISTAKE(randint_uint8, fa_randint(0, wrong ? 257 : 256, FA_SHAPE(2), .dtype = FA_UINT8))
MISTAKE(randint_bool, fa_randint(0, wrong ? 3 : 2, FA_SHAPE(2), .dtype = FA_BOOL))
MISTAKE(randint_float16, fa_randint(0, wrong ? 65506 : 65505, FA_SHAPE(2), .dtype = FA_FLOAT16))
MISTAKE(randint_gradient, fa_randint(0, 3, FA_SHAPE(2), .dtype = wrong ? FA_INT64 : FA_FLOAT32, .requires_grad = true))
MISTAKE(like_beyond, fa_randint_like(numbers(FA_UINT8, FA_SHAPE(2)), 0, wrong ? 300 : 3))
MISTAKE(like_empty, fa_randint_like(numbers(FA_FLOAT32, FA_SHAPE(2)), 3, wrong ? 3 : 4))
MISTAKE(mean_as_int64, fa_mean(fa_randn(2), .dtype = wrong ? FA_INT64 : FA_FLOAT64))
MISTAKE(mean_int64, fa_mean(numbers(FA_INT64, FA_SHAPE(2)), .dtype = wrong ? FA_SAME_DTYPE : FA_FLOAT32))
MISTAKE(cumsum_bool, fa_cumsum(fa_randn(2), 0, .dtype = wrong ? FA_BOOL : FA_UINT8))
MISTAKE(one_hot_none, fa_one_hot(numbers(FA_INT64, FA_SHAPE(1)), wrong ? 0 : 1))
MISTAKE(where_int64, fa_where(numbers(wrong ? FA_INT64 : FA_UINT8, FA_SHAPE(2)), fa_randn(2), fa_randn(2)))
MISTAKE(fill_uint8, fa_masked_fill(fa_randn(2), numbers(wrong ? FA_UINT8 : FA_BOOL, FA_SHAPE(2)), 1))

PROGRAM(unknown_reduction)
{
    const fa_reduction reduction = wrong ? (fa_reduction)7 : FA_REDUCE_SUM;
    AT(fa_cross_entropy(fa_randn(2, 3), numbers(FA_INT64, FA_SHAPE(2)), .reduction = reduction));
}

/* ---- Images --------------------------------------------------------------------------------------------------------
 */

MISTAKE(no_groups, fa_group_norm(fa_randn(2, 4, 3), wrong ? 0 : 1))
MISTAKE(bilinear_line, fa_interpolate(fa_randn(1, 1, 4), .scale_factor = 2, .mode = wrong ? FA_BILINEAR : FA_LINEAR))
MISTAKE(linear_image, fa_interpolate(fa_randn(1, 1, 4, 4), .scale_factor = 2, .mode = wrong ? FA_LINEAR : FA_BILINEAR))
MISTAKE(antialias_nearest, fa_interpolate(fa_randn(1, 1, 4, 4), .scale_factor = 2,
                                          .mode = wrong ? FA_NEAREST : FA_BILINEAR, .antialias = true))
MISTAKE(antialias_line, fa_interpolate(fa_randn(1, 1, 4), .scale_factor = 2, .mode = FA_LINEAR, .antialias = wrong))

PROGRAM(two_sizes)
{
    fa_tensor *x = fa_randn(1, 1, 4);
    AT(wrong ? fa_interpolate(x, .size_hw = {2, 3}) : fa_interpolate(x, .size = 3));
}

MISTAKE(pool_padding, fa_max_pool2d(fa_randn(1, 1, 12, 12), 3, .stride = 1, .padding = wrong ? 2 : 1, .dilation = 2))

PROGRAM(one_running)
{
    fa_tensor *x = fa_randn(2, 3, 4), *mean = fa_randn(3), *var = wrong ? NULL : fa_ones(3);
    AT(fa_instance_norm(x, .running_mean = mean, .running_var = var));
}

MISTAKE(no_running, fa_instance_norm(fa_randn(2, 3, 4), .use_input_stats = !wrong))

PROGRAM(running_size)
{
    fa_tensor *x = fa_randn(2, 3, 4), *mean = fa_randn(wrong ? 2 : 3), *var = fa_ones(wrong ? 2 : 3);
    AT(fa_instance_norm(x, .running_mean = mean, .running_var = var));
}

static void to_size(int64_t height, int64_t width)
{
    fa_module *layer = fa_nn_conv_transpose2d(1, 1, 3, .stride = 2);
    fa_tensor *x = fa_randn(1, 1, 4, 4);
    AT(fa_forward_to_size(layer, x, height, width));
    fa_free(layer);
}

PROGRAM(size_small)
{
    to_size(wrong ? 8 : 9, 9);
}

PROGRAM(size_large)
{
    to_size(9, wrong ? 11 : 10);
}

/* ---- Schedules ------------------------------------------------------------------------------------------------------
 */

PROGRAM(step_new)
{
    fa_optim *optim = fa_sgd(FA_TENSORS(fa_zeros_with(FA_SHAPE(1), .requires_grad = true)), 0.1);
    fa_scheduler *first = wrong ? NULL : fa_step_lr(optim, 3);
    fa_scheduler *schedule = AT(fa_step_lr(optim, 3, .last_epoch = 4));
    fa_free(schedule);
    fa_free(first);
    fa_free(optim);
}

PROGRAM(cycle_new)
{
    fa_optim *optim = fa_sgd(FA_TENSORS(fa_zeros_with(FA_SHAPE(1), .requires_grad = true)), 0.1, .momentum = 0.9);
    fa_scheduler *first = wrong ? fa_step_lr(optim, 3) : fa_one_cycle_lr(optim, 0.1, .total_steps = 9);
    fa_scheduler *schedule = AT(fa_one_cycle_lr(optim, 0.1, .total_steps = 9, .last_epoch = 4));
    fa_free(schedule);
    fa_free(first);
    fa_free(optim);
}

static const mistake mistakes[] = {
    {"randint: below uint8", randint_below, "randint", NULL, "-1 to 5 for uint8", "0 to 255"},
    {"randint: beyond uint8", randint_uint8, "randint", NULL, "257", "0 to 255"},
    {"randint: beyond bool", randint_bool, "randint", NULL, "3 for bool", "0 to 1"},
    {"randint: beyond float16", randint_float16, "randint", NULL, "65506", "-65504 to 65504"},
    {"randint: gradient of integers", randint_gradient, "randint", NULL, "int64", "floating"},
    {"randint_like: beyond the type", like_beyond, "randint", NULL, "300", "0 to 255"},
    {"randint_like: empty range", like_empty, "randint", NULL, "3 to 3", "low < high"},
    {"mean: of type int64", mean_as_int64, "mean", NULL, "int64", "float32"},
    {"mean: int64", mean_int64, "mean", NULL, "int64", "float32"},
    {"cumsum: of type bool", cumsum_bool, "cumsum", NULL, "bool", "numbers"},
    {"one_hot: no classes", one_hot_none, "one_hot", NULL, "0 classes", "1 or more"},
    {"group_norm: no groups", no_groups, "group_norm", NULL, "0 groups", "1 or more"},
    {"where: int64 condition", where_int64, "where", NULL, "int64", "bool"},
    {"masked_fill: uint8 mask", fill_uint8, "masked_fill", NULL, "uint8", "bool"},
    {"interpolate: bilinear of lines", bilinear_line, "interpolate", NULL, "FA_BILINEAR", "FA_LINEAR"},
    {"interpolate: linear of images", linear_image, "interpolate", NULL, "FA_LINEAR", "FA_BILINEAR"},
    {"interpolate: antialias of nearest", antialias_nearest, "interpolate", NULL, "FA_NEAREST", "FA_BILINEAR"},
    {"interpolate: antialias of lines", antialias_line, "interpolate", NULL, "FA_LINEAR", "FA_BILINEAR"},
    {"interpolate: two sizes for lines", two_sizes, "interpolate", NULL, "height and width", "one number"},
    {"instance_norm: one running statistic", one_running, "instance_norm", NULL, "running_var", "both"},
    {"instance_norm: no running statistics", no_running, "instance_norm", NULL, "running_mean", "both"},
    {"instance_norm: running statistics of another size", running_size, "instance_norm", NULL, "[2]", "[3]"},
    {"conv_transpose2d: output_size too small", size_small, "conv_transpose2d", NULL, "8 x 9", "9 x 9 to 10 x 10"},
    {"conv_transpose2d: output_size too large", size_large, "conv_transpose2d", NULL, "9 x 11", "9 x 9 to 10 x 10"},
    {"StepLR: last_epoch of a new optimizer", step_new, "fa_step_lr", NULL, "last_epoch 4", "had a schedule"},
    {"OneCycleLR: last_epoch without a cycle", cycle_new, "fa_one_cycle_lr", NULL, "group 0", "had this schedule"},
    {"max_pool2d: padding beyond half the kernel", pool_padding, "max_pool2d", NULL, "padding 2", "half of it, 1"},
    {"cross_entropy: unknown reduction", unknown_reduction, "cross_entropy", NULL, "7", "FA_REDUCE_MEAN"},
};

int main(void)
{
    return RUN_MISTAKES("errors_options", mistakes);
}
