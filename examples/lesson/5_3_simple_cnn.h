/* 5.3 A network for pictures of 64x64: one row of layers. Used by 5.3 and all of chapter 6. */
#include <facula.h>

typedef struct SimpleCNN {
    fa_module base;
    fa_module *net;
} SimpleCNN;

static fa_tensor *simple_cnn_forward(fa_module *self, fa_tensor *x)
{
    return fa_forward(((SimpleCNN *)self)->net, x);
}

static fa_module *simple_cnn(void)
{
    SimpleCNN *self = fa_module_new(SimpleCNN, simple_cnn_forward);
    fa_layer(self, net,
             fa_nn_sequential(fa_nn_conv2d(3, 16, .kernel_size = 3, .padding = 1),  /* [batch, 16, 64, 64] */
                              fa_nn_relu(),                                         /* negative numbers become 0 */
                              fa_nn_max_pool2d(2, .stride = 2),                     /* [batch, 16, 32, 32] */
                              fa_nn_conv2d(16, 32, .kernel_size = 3, .padding = 1), /* [batch, 32, 32, 32] */
                              fa_nn_relu(),                                         /* likewise */
                              fa_nn_max_pool2d(2, .stride = 2),                     /* [batch, 32, 16, 16] */
                              fa_nn_flatten(),                                      /* [batch, 32 * 16 * 16] */
                              fa_nn_linear(32 * 16 * 16, 128), fa_nn_relu(), fa_nn_linear(128, 10)));
    return &self->base;
}
