/* 4.3 A batch of pictures through one layer. */
#include <facula.h>

int main(void)
{
    fa_manual_seed(0);
    fa_tensor *images = fa_randn(32, 3, 224, 224); /* [batch, channels, height, width] */

    /* Every layer takes the whole batch at once. */
    fa_module *conv = fa_nn_conv2d(3, 64, .kernel_size = 3);
    fa_tensor *output = fa_forward(conv, images);
    fa_print(fa_shape_of(output)); /* torch.Size([32, 64, 222, 222]) */

    fa_free(conv);
    return fa_exit_status(stderr);
}
