/* 1.2.4 and 3 A digit that moves: the maps of a convolution move with it, the outputs of a linear layer become others,
 * and pooling hides part of a move by one pixel. usage: 1_2_shifted_picture [MNIST's folder] */
#include <facula.h>

/* The picture moved down and to the right; its margin is wide enough that nothing is lost. */
static fa_tensor *shifted(fa_tensor *x, int64_t down, int64_t right)
{
    return fa_roll(fa_roll(x, down, 2), right, 3);
}

/* How far b is from a, as a share of a's own size. */
static double change(fa_tensor *a, fa_tensor *b)
{
    return fa_item(fa_norm(fa_sub(a, b))) / fa_item(fa_norm(a));
}

/* Of the windows that hold something, in percent: those whose value stays when the picture moves by one pixel. */
static double unchanged(fa_tensor *before, fa_tensor *after)
{
    fa_tensor *drawn = fa_gt(fa_add(before, after), 0);
    fa_tensor *same = fa_logical_and(drawn, fa_eq(before, after));
    return 100 * fa_item(fa_sum(same)) / fa_item(fa_sum(drawn));
}

int main(int argc, char **argv)
{
    fa_manual_seed(0);
    fa_dataset *digits = fa_mnist(argc > 1 ? argv[1] : "data/mnist", .train = false);
    fa_tensor *pixels = fa_to_dtype(fa_slice(fa_dataset_data(digits), 0, 0, 100), FA_FLOAT32);
    fa_tensor *x = fa_pad(fa_unsqueeze(pixels, 1), FA_SHAPE(4, 4, 4, 4)); /* [100, 1, 36, 36], from 0 to 255 */
    fa_tensor *moved = shifted(x, 2, 3);

    fa_module *conv = fa_nn_conv2d(1, 8, .kernel_size = 3, .padding = 1);
    fa_module *linear = fa_nn_linear(36 * 36, 8);
    fa_no_grad {
        fa_tensor *maps = fa_forward(conv, x), *maps_of_moved = fa_forward(conv, moved);
        printf("moved by 2 and 3 pixels: the convolution's maps, moved back, differ by %.4f\n",
               change(maps, shifted(maps_of_moved, -2, -3)));
        printf("the outputs of a linear layer differ by %.4f\n",
               change(fa_forward(linear, fa_flatten(x, 1)), fa_forward(linear, fa_flatten(moved, 1))));
    }

    fa_tensor *right = shifted(x, 0, 1);
    printf("moved by 1 pixel, what stays as it was: pixels %.2f%%, max-pool 2x2 %.2f%%, average 2x2 %.2f%%\n",
           unchanged(x, right), unchanged(fa_max_pool2d(x, 2), fa_max_pool2d(right, 2)),
           unchanged(fa_avg_pool2d(x, 2), fa_avg_pool2d(right, 2)));
    printf("with larger windows: max-pool 4x4 %.2f%%, 7x7 %.2f%%\n",
           unchanged(fa_max_pool2d(x, 4), fa_max_pool2d(right, 4)),
           unchanged(fa_max_pool2d(x, 7), fa_max_pool2d(right, 7)));

    fa_free(conv), fa_free(linear), fa_free(digits);
    return fa_exit_status(stderr);
}
