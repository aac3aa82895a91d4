/* The first hundred losses of the network `mnist`, Adam, seed 0, one a line: what scripts/pictures.py draws beside
 * PyTorch's of tests/golden/train100.json. usage: losses [MNIST's folder] */
#include <facula.h>

int main(int argc, char **argv)
{
    fa_manual_seed(0);
    fa_module *model = fa_nn_sequential(fa_nn_conv2d(1, 32, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                                        fa_nn_conv2d(32, 64, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                                        fa_nn_flatten(), fa_nn_linear(3136, 128), fa_nn_relu(), fa_nn_linear(128, 10));
    fa_dataset *digits = fa_mnist(argc > 1 ? argv[1] : "data/mnist", .transform = fa_to_tensor());
    static int64_t first[6400];
    for (int64_t i = 0; i < 6400; i++)
        first[i] = i;
    fa_loader *train = fa_data_loader(fa_subset(digits, first, 6400), .batch_size = 64, .shuffle = true);
    fa_optim *adam = fa_adam(fa_parameters(model), 1e-3);
    fa_for_each_batch (b, train) {
        fa_tensor *loss = fa_cross_entropy(fa_forward(model, b.images), b.labels);
        fa_zero_grad(adam);
        fa_backward(loss);
        fa_step(adam);
        printf("%.6f\n", fa_item(loss));
    }
    fa_free(adam), fa_free(model), fa_free(train);
    return fa_exit_status(stderr);
}
