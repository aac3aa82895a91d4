/* The README's program: a small network learns MNIST's digits. */
#include <facula.h>

int main(void)
{
    fa_manual_seed(0);
    fa_dataset *digits = fa_mnist("data/mnist", .transform = fa_to_tensor());
    fa_loader *train = fa_data_loader(digits, .batch_size = 64, .shuffle = true);
    fa_module *model = fa_nn_sequential(fa_nn_conv2d(1, 32, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                                        fa_nn_flatten(), fa_nn_linear(32 * 14 * 14, 10));
    fa_optim *adam = fa_adam(fa_parameters(model), 1e-3);
    fa_for_each_batch (b, train) {
        fa_tensor *loss = fa_cross_entropy(fa_forward(model, b.images), b.labels);
        fa_zero_grad(adam);
        fa_backward(loss);
        fa_step(adam);
        if (b.index % 100 == 0)
            printf("batch %4d  loss %.4f\n", (int)b.index, fa_item(loss));
    }
    fa_save(model, "digits.pth");
    fa_free(adam), fa_free(model), fa_free(train);
    return fa_exit_status(stderr);
}
