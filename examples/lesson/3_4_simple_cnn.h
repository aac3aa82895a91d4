/* 3.4 A network for pictures of 224x224: two convolutions with pooling, two linear layers. 4.3 trains it. */
#include <facula.h>

typedef struct SimpleCNN {
    fa_module base;
    fa_module *conv1, *conv2, *fc1, *fc2;
} SimpleCNN;

static fa_tensor *simple_cnn_forward(fa_module *self, fa_tensor *x)
{
    SimpleCNN *net = (SimpleCNN *)self;

    x = fa_relu(fa_forward(net->conv1, x)); /* [batch, 32, 224, 224] */
    x = fa_max_pool2d(x, 2);                /* [batch, 32, 112, 112] */

    x = fa_relu(fa_forward(net->conv2, x)); /* [batch, 64, 112, 112] */
    x = fa_max_pool2d(x, 2);                /* [batch, 64, 56, 56] */

    x = fa_view(x, fa_size(x, 0), -1); /* [batch, 64 * 56 * 56], a row for each picture */

    x = fa_relu(fa_forward(net->fc1, x)); /* [batch, 128] */
    x = fa_forward(net->fc2, x);          /* [batch, num_classes], a score for each class */
    return x;
}

static fa_module *simple_cnn(int64_t num_classes)
{
    SimpleCNN *net = fa_module_new(SimpleCNN, simple_cnn_forward);
    fa_layer(net, conv1, fa_nn_conv2d(3, 32, .kernel_size = 3, .padding = 1));
    fa_layer(net, conv2, fa_nn_conv2d(32, 64, .kernel_size = 3, .padding = 1));
    fa_layer(net, fc1, fa_nn_linear(64 * 56 * 56, 128));
    fa_layer(net, fc2, fa_nn_linear(128, num_classes));
    return &net->base;
}
