/* The whole MNIST job, for bench/job.py: one epoch of training through the loader, then the test images. A line of JSON
 * on standard output. usage: job FOLDER WORKERS; or job first: one step on images in memory, and the time when its loss
 * was known. bench/peers/torch_job.py does the same in the same order. */
#include <facula.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double train_step(fa_module *model, fa_optim *adam, fa_tensor *images, fa_tensor *labels)
{
    fa_tensor *loss = fa_cross_entropy(fa_forward(model, images), labels);
    fa_zero_grad(adam);
    fa_backward(loss);
    fa_step(adam);
    return fa_item(loss);
}

static fa_loader *digits(const char *folder, bool train, int workers)
{
    fa_transform *transform = fa_compose(fa_to_tensor(), fa_normalize({0.1307}, {0.3081}));
    return fa_data_loader(fa_mnist(folder, .train = train, .transform = transform), .batch_size = train ? 64 : 500,
                          .shuffle = train, .num_workers = workers);
}

static void whole_job(fa_module *model, fa_optim *adam, const char *folder, int workers)
{
    fa_loader *train = digits(folder, true, workers), *test = digits(folder, false, workers);
    double train_loss = 0, test_loss = 0, correct = 0, batches = 0, total = 0;
    fa_for_each_batch (b, train) {
        train_loss += train_step(model, adam, b.images, b.labels);
        batches++;
    }
    fa_eval(model);
    fa_no_grad
        fa_for_each_batch (b, test) {
            fa_tensor *scores = fa_forward(model, b.images);
            test_loss += fa_item(fa_cross_entropy(scores, b.labels)) * (double)b.size;
            correct += fa_item(fa_sum(fa_eq(fa_argmax(scores, 1), b.labels)));
            total += (double)b.size;
        }
    if (fa_ok())
        printf("{\"train_loss\": %.9g, \"test_loss\": %.9g, \"accuracy\": %.9g}\n", train_loss / batches,
               test_loss / total, correct / total);
    fa_free(train), fa_free(test);
}

int main(int argc, char **argv)
{
    const bool first = argc == 2 && strcmp(argv[1], "first") == 0;
    if (!first && argc != 3) {
        fprintf(stderr, "usage: %s FOLDER WORKERS, or %s first\n", argv[0], argv[0]);
        return 2;
    }
    fa_manual_seed(0);
    fa_module *model =
        fa_nn_sequential(fa_nn_conv2d(1, 32, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                         fa_nn_conv2d(32, 64, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2), fa_nn_flatten(),
                         fa_nn_linear(64 * 7 * 7, 128), fa_nn_relu(), fa_nn_linear(128, 10));
    fa_optim *adam = fa_adam(fa_parameters(model), 1e-3);
    if (first)
        fa_scope {
            const double loss = train_step(model, adam, fa_randn(64, 1, 28, 28), fa_randint(0, 10, FA_SHAPE(64)));
            printf("{\"loss\": %.9g, \"at\": %.9f}\n", loss, now());
        }
    else
        whole_job(model, adam, argv[1], atoi(argv[2]));
    fa_free(adam), fa_free(model);
    return fa_exit_status(stderr);
}
