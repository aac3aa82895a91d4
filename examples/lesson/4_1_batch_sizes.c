/* 4.1 and 4.2 The same budget, two looks at each of 2,048 digits, spent one digit at a time, 32 at a time, all at once.
 * Memory is the most that the process has held so far. usage: 4_1_batch_sizes [MNIST's folder] */
#include <facula.h>

#include <sys/resource.h>
#include <time.h>

enum { DIGITS = 2048, EPOCHS = 2 };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double megabytes(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss / 1024;
}

int main(int argc, char **argv)
{
    fa_dataset *all = fa_mnist(argc > 1 ? argv[1] : "data/mnist", .train = true, .transform = fa_to_tensor());
    int64_t first[DIGITS];
    for (int64_t i = 0; i < DIGITS; i++)
        first[i] = i;
    fa_dataset *digits = fa_dataset_retain(fa_subset(all, first, DIGITS));

    const int64_t batch_sizes[] = {1, 32, DIGITS};
    for (int k = 0; k < 3; k++) {
        fa_manual_seed(0);
        fa_module *model = fa_nn_sequential(fa_nn_conv2d(1, 8, .kernel_size = 3, .padding = 1), fa_nn_relu(),
                                            fa_nn_max_pool2d(2), fa_nn_flatten(), fa_nn_linear(8 * 14 * 14, 10));
        fa_optim *optimizer = fa_sgd(fa_parameters(model), .lr = 0.01);
        fa_loader *loader = fa_data_loader(digits, .batch_size = batch_sizes[k], .shuffle = true);

        double start = seconds();
        for (int epoch = 0; epoch < EPOCHS; epoch++)
            fa_for_each_batch (b, loader) {
                fa_zero_grad(optimizer);
                fa_backward(fa_cross_entropy(fa_forward(model, b.images), b.labels));
                fa_step(optimizer);
            }
        double spent = seconds() - start;

        double loss = 0;
        fa_loader *whole = fa_data_loader(digits, .batch_size = DIGITS);
        fa_no_grad
            fa_for_each_batch (b, whole)
                loss = fa_item(fa_cross_entropy(fa_forward(model, b.images), b.labels));
        printf("batch size %4d: %4d steps, loss afterwards %.4f, %.2f s, %.1f MB\n", (int)batch_sizes[k],
               (int)(EPOCHS * fa_length(loader)), loss, spent, megabytes());
        fa_free(whole), fa_free(loader), fa_free(optimizer), fa_free(model);
    }

    fa_free(digits), fa_free(all);
    return fa_exit_status(stderr);
}
