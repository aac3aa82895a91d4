/* 3.3 Pooling in a network: one pooling layer, used twice. */
#include <facula.h>

typedef struct CNNWithPooling {
    fa_module base;
    fa_module *conv1, *pool, *conv2, *fc;
} CNNWithPooling;

static fa_tensor *forward(fa_module *self, fa_tensor *x)
{
    CNNWithPooling *net = (CNNWithPooling *)self;
    x = fa_relu(fa_forward(net->conv1, x)); /* [batch, 32, 224, 224] */
    x = fa_forward(net->pool, x);           /* [batch, 32, 112, 112] */
    x = fa_relu(fa_forward(net->conv2, x)); /* [batch, 64, 112, 112] */
    x = fa_forward(net->pool, x);           /* [batch, 64, 56, 56] */
    x = fa_view(x, fa_size(x, 0), -1);
    return fa_forward(net->fc, x);
}

static fa_module *cnn_with_pooling(void)
{
    CNNWithPooling *net = fa_module_new(CNNWithPooling, forward);
    fa_layer(net, conv1, fa_nn_conv2d(3, 32, .kernel_size = 3, .padding = 1));
    fa_layer(net, pool, fa_nn_max_pool2d(.kernel_size = 2, .stride = 2));
    fa_layer(net, conv2, fa_nn_conv2d(32, 64, .kernel_size = 3, .padding = 1));
    fa_layer(net, fc, fa_nn_linear(64 * 56 * 56, 10));
    return &net->base;
}

int main(void)
{
    fa_manual_seed(0);
    fa_module *model = cnn_with_pooling();
    fa_print(model);
    fa_tensor *x = fa_randn(2, 3, 224, 224);
    fa_tensor *output = fa_forward(model, x);
    fa_print(fa_shape_of(output));

    fa_free(model);
    return fa_exit_status(stderr);
}
