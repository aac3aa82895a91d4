/* 2.1 A convolution layer: 64 filters of 3x3 over an RGB picture. */
#include <facula.h>

int main(void)
{
    fa_manual_seed(0);
    fa_module *conv = fa_nn_conv2d(.in_channels = 3,   /* grey has 1, RGB 3, RGBA 4 */
                                   .out_channels = 64, /* so many patterns are looked for */
                                   .kernel_size = 3,   /* each filter sees 3x3 pixels */
                                   .stride = 1,        /* and moves by one; by two would halve the picture */
                                   .padding = 1);      /* a border of zeros: the size stays */

    fa_tensor *x = fa_randn(1, 3, 224, 224); /* [batch, channels, height, width] */
    fa_tensor *y = fa_forward(conv, x);
    fa_print(fa_shape_of(y)); /* torch.Size([1, 64, 224, 224]) */

    fa_free(conv);
    return fa_exit_status(stderr);
}
