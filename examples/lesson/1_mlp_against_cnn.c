/* 1 An MLP and a CNN that are trained until they tell as many digits: parameters, and what is left when the digits
 * move. usage: 1_mlp_against_cnn [MNIST's folder] */
#include <facula.h>

static const double goal = 92; /* percent of the test digits */

static fa_dataset *digits(const char *root, bool train, int64_t count)
{
    int64_t first[8192];
    for (int64_t i = 0; i < count; i++)
        first[i] = i;
    return fa_subset(fa_mnist(root, .train = train, .transform = fa_to_tensor()), first, count);
}

/* Percent told rightly, of digits moved to the right by some pixels. */
static double accuracy(fa_module *model, fa_loader *loader, int64_t shift)
{
    double correct = 0, total = 0;
    fa_eval(model);
    fa_no_grad
        fa_for_each_batch (b, loader) {
            fa_tensor *predicted = fa_argmax(fa_forward(model, fa_roll(b.images, shift, 3)), 1);
            correct += fa_item(fa_sum(fa_eq(predicted, b.labels)));
            total += (double)b.size;
        }
    fa_train(model);
    return 100 * correct / total;
}

int main(int argc, char **argv)
{
    const char *root = argc > 1 ? argv[1] : "data/mnist";
    fa_manual_seed(0);
    fa_loader *train = fa_data_loader(digits(root, true, 6000), .batch_size = 32, .shuffle = true);
    fa_loader *test = fa_data_loader(digits(root, false, 2000), .batch_size = 500);

    fa_module *mlp = fa_nn_sequential(fa_nn_flatten(), fa_nn_linear(28 * 28, 128), fa_nn_relu(), fa_nn_linear(128, 10));
    fa_module *cnn = fa_nn_sequential(fa_nn_conv2d(1, 8, .kernel_size = 3, .padding = 1), fa_nn_relu(),
                                      fa_nn_max_pool2d(2), fa_nn_conv2d(8, 16, .kernel_size = 3, .padding = 1),
                                      fa_nn_relu(), fa_nn_max_pool2d(2), fa_nn_flatten(), fa_nn_linear(16 * 7 * 7, 10));
    const char *name[] = {"MLP", "CNN"};
    fa_module *model[] = {mlp, cnn};

    for (int i = 0; i < 2; i++) {
        fa_tensor_list list = fa_parameters(model[i]);
        int64_t parameters = 0;
        for (int64_t p = 0; p < list.count; p++)
            parameters += fa_numel(list.tensor[p]);

        fa_optim *optimizer = fa_adam(list, .lr = 0.002);
        int epochs = 0;
        for (; epochs < 20 && accuracy(model[i], test, 0) < goal && fa_ok(); epochs++)
            fa_for_each_batch (b, train) {
                fa_zero_grad(optimizer);
                fa_backward(fa_cross_entropy(fa_forward(model[i], b.images), b.labels));
                fa_step(optimizer);
            }
        printf("%s: %6d parameters, %.1f%% after epoch %d; digits moved by 1 pixel %.1f%%, by 3 pixels %.1f%%\n",
               name[i], (int)parameters, accuracy(model[i], test, 0), epochs, accuracy(model[i], test, 1),
               accuracy(model[i], test, 3));
        fa_free(optimizer);
    }

    fa_free(mlp), fa_free(cnn), fa_free(train), fa_free(test);
    return fa_exit_status(stderr);
}
