/* 3.4 The network of 3_4_simple_cnn.h, printed and run. */
#include "3_4_simple_cnn.h"

int main(void)
{
    fa_manual_seed(0);
    fa_module *model = simple_cnn(10);
    fa_print(model);

    fa_tensor *x = fa_randn(4, 3, 224, 224); /* four RGB pictures */
    fa_tensor *output = fa_forward(model, x);
    printf("Input shape: %s\n", fa_str(fa_shape_of(x)));
    printf("Output shape: %s\n", fa_str(fa_shape_of(output))); /* torch.Size([4, 10]) */

    fa_free(model);
    return fa_exit_status(stderr);
}
