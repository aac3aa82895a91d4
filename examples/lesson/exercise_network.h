/* The exercise's network: two convolutions for digits of 28x28. Used by all its programs. */
#include <facula.h>

static fa_module *digit_network(void)
{
    return fa_nn_sequential(fa_nn_conv2d(1, 8, .kernel_size = 3, .padding = 1),  /* [batch, 8, 28, 28] */
                            fa_nn_relu(), fa_nn_max_pool2d(2),                   /* [batch, 8, 14, 14] */
                            fa_nn_conv2d(8, 16, .kernel_size = 3, .padding = 1), /* [batch, 16, 14, 14] */
                            fa_nn_relu(), fa_nn_max_pool2d(2), fa_nn_flatten(),  /* [batch, 16 * 7 * 7] */
                            fa_nn_dropout(0.25), fa_nn_linear(16 * 7 * 7, 10));
}
