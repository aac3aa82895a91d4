/* MNIST from its files to a test accuracy, in one page. usage: mnist [folder] [epochs] [images] */
#include <facula.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    const char *root = argc > 1 ? argv[1] : "data/mnist";
    int epochs = argc > 2 ? atoi(argv[2]) : 1;
    int64_t images = argc > 3 ? atoll(argv[3]) : 60000;

    fa_manual_seed(0);
    fa_transform *transform = fa_compose(fa_to_tensor(), fa_normalize({0.1307}, {0.3081}));
    fa_loader *train = fa_data_loader(fa_mnist(root, .train = true, .transform = transform), .batch_size = 64,
                                      .shuffle = true, .num_workers = 1);
    fa_loader *test = fa_data_loader(fa_mnist(root, .train = false, .transform = transform), .batch_size = 500);

    fa_module *model =
        fa_nn_sequential(fa_nn_conv2d(1, 32, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                         fa_nn_conv2d(32, 64, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2), fa_nn_flatten(),
                         fa_nn_dropout(0.25), fa_nn_linear(64 * 7 * 7, 128), fa_nn_relu(), fa_nn_linear(128, 10));
    fa_print(model);
    fa_summary(model, FA_SHAPE(64, 1, 28, 28), stdout);
    fa_optim *adam = fa_adam(fa_parameters(model), 1e-3);

    for (int epoch = 0; epoch < epochs; epoch++) {
        fa_train(model);
        fa_for_each_batch (b, train) {
            if (b.index * 64 >= images)
                break;
            fa_tensor *loss = fa_cross_entropy(fa_forward(model, b.images), b.labels);
            fa_zero_grad(adam);
            fa_backward(loss);
            fa_step(adam);
            if (b.index % 100 == 0)
                printf("epoch %d, batch %4d: loss %.4f\n", epoch + 1, (int)b.index, fa_item(loss));
        }
    }

    fa_eval(model);
    double correct = 0, total = 0;
    fa_no_grad
        fa_for_each_batch (b, test) {
            if (b.index * 500 >= images)
                break;
            fa_tensor *predicted = fa_argmax(fa_forward(model, b.images), 1);
            correct += fa_item(fa_sum(fa_eq(predicted, b.labels)));
            total += (double)b.size;
        }
    if (fa_ok())
        printf("test accuracy: %.2f %% of %.0f images\n", 100 * correct / total, total);

    fa_free(adam), fa_free(model), fa_free(train), fa_free(test);
    return fa_exit_status(stderr);
}
