/* 1.1 and 1.2.4 Weights of a first layer that sees a picture of 224x224 whole, and of one that slides over it. */
#include <facula.h>

static int64_t weights(fa_module *layer)
{
    return fa_numel(fa_find(layer, "weight"));
}

int main(void)
{
    fa_tensor *picture = fa_randn(1, 3, 224, 224);
    int64_t inputs = fa_size(fa_flatten(picture, 1), 1);
    fa_module *linear = fa_nn_linear(inputs, 512);
    fa_module *one_filter = fa_nn_conv2d(3, 1, .kernel_size = 3);
    fa_module *conv = fa_nn_conv2d(3, 64, .kernel_size = 3);

    printf("numbers in the picture                  %10d\n", (int)inputs);
    printf("linear layer, 512 neurons: weights      %10d\n", (int)weights(linear));
    printf("one filter of 3x3: weights              %10d\n", (int)weights(one_filter));
    printf("convolution, 64 filters: weights        %10d\n", (int)weights(conv));
    printf("linear weights for each of convolution's %9.0f\n", (double)weights(linear) / (double)weights(conv));

    fa_free(linear), fa_free(one_filter), fa_free(conv);
    return fa_exit_status(stderr);
}
