/* 7.3 The checklist as a program: what can be found out before, and in the first steps of, a training. To be copied to
 * where your own data set and network are made. usage: 7_3_checklist [MNIST's folder] */
#include <facula.h>

#include <math.h>

static int failed;

static void check(bool fine, const char *what)
{
    printf("[%s] %s\n", fine ? "x" : " ", what);
    failed += !fine;
}

/* Mean and standard deviation of the images in a loader's first batches are about 0 and 1. */
static bool is_normalised(fa_loader *loader)
{
    double sum = 0, squares = 0, n = 0;
    fa_for_each_batch (b, loader) {
        sum += fa_item(fa_sum(b.images));
        squares += fa_item(fa_sum(fa_mul(b.images, b.images)));
        n += (double)fa_numel(b.images);
        if (b.index == 9)
            break;
    }
    double mean = sum / n, std = sqrt(squares / n - mean * mean);
    printf("    mean %.3f, standard deviation %.3f\n", mean, std);
    return fabs(mean) < 0.1 && fabs(std - 1) < 0.1;
}

int main(int argc, char **argv)
{
    const char *root = argc > 1 ? argv[1] : "data/mnist";
    enum { CLASSES = 10, BATCH = 32 };
    fa_manual_seed(0);

    printf("Data\n");
    fa_transform *transform = fa_compose(fa_to_tensor(), fa_normalize({0.1307}, {0.3081}));
    fa_dataset *digits = fa_mnist(root, .train = true, .transform = transform), *part[3];
    fa_dataset *test_set = fa_mnist(root, .train = false, .transform = transform);
    fa_random_split(digits, part, 3, {2000, 500, 57500}); /* two small parts, for a check that takes a second */
    fa_batch item = fa_dataset_get(digits, 0);
    double label = fa_item(item.labels);
    check(fa_length(digits) == 60000 && fa_ndim(item.images) == 3 && label >= 0 && label < CLASSES,
          "the data set has a length, and items of a picture and a label");
    fa_loader *train = fa_data_loader(part[0], .batch_size = BATCH, .shuffle = true);
    fa_loader *validation = fa_data_loader(part[1], .batch_size = BATCH);
    check(is_normalised(train), "the data are normalised");
    check(fa_length(part[0]) == 2000 && fa_length(part[1]) == 500 && fa_length(test_set) == 10000,
          "training, validation and test have no item in common: parts of one permutation, and files of their own");
    check(fa_length(train) == (2000 + BATCH - 1) / BATCH, "the loader gives batches of the size that was asked for");

    printf("Model\n");
    fa_module *model = fa_nn_sequential(fa_nn_conv2d(1, 16, .kernel_size = 3, .padding = 1), fa_nn_relu(),
                                        fa_nn_max_pool2d(2), fa_nn_flatten(), fa_nn_linear(16 * 14 * 14, CLASSES));
    fa_device device = fa_cuda_is_available() ? FA_CUDA : FA_CPU;
    check(fa_to(model, device) == model, "the model is on its device");
    check(fa_summary(model, FA_SHAPE(BATCH, 1, 28, 28), stdout), "the sizes fit, from layer to layer");

    printf("Training\n");
    fa_optim *optimizer = fa_adam(fa_parameters(model), .lr = 0.001);
    double first = 0, last = 0;
    bool cleared = true;
    fa_for_each_batch (b, train) {
        fa_tensor *images = fa_keep(b.images), *labels = fa_keep(b.labels); /* one batch, again and again */
        for (int step = 0; step < 30; step++)
            fa_scope {
                fa_tensor *loss = fa_cross_entropy(fa_forward(model, images), labels);
                fa_zero_grad(optimizer);
                cleared = cleared && fa_grad(fa_find(model, "0.weight")) == NULL;
                fa_backward(loss);
                fa_step(optimizer);
                last = fa_item(loss);
                first = step == 0 ? last : first;
            }
        break;
    }
    check(fabs(first - log(CLASSES)) < 0.5, "the first loss is that of a guess, about log(10)");
    check(last < first / 2, "the learning rate works: one batch can be learnt by heart");
    check(cleared, "gradients are cleared before each backward");
    check(fa_is_training(fa_train(model)) && !fa_is_training(fa_eval(model)), "train and eval switch the mode");

    printf("Monitoring\n");
    double loss = 0, correct = 0, total = 0;
    fa_no_grad
        fa_for_each_batch (b, validation) {
            fa_tensor *scores = fa_forward(model, b.images);
            loss += fa_item(fa_cross_entropy(scores, b.labels)) * (double)b.size;
            correct += fa_item(fa_sum(fa_eq(fa_argmax(scores, 1), b.labels)));
            total += (double)b.size;
        }
    printf("    validation loss %.3f, accuracy %.1f%%\n", loss / total, 100 * correct / total);
    check(total == 500 && isfinite(loss), "loss and accuracy are measured on data that is not trained on");
    check(fa_save(fa_state_dict(model), "checklist.pth") && fa_load_state_dict(model, fa_load("checklist.pth")),
          "the best model can be saved, and loaded again");

    fa_free(model), fa_free(optimizer), fa_free(train), fa_free(validation), fa_free(digits), fa_free(test_set);
    for (int i = 0; i < 3; i++)
        fa_free(part[i]);
    int status = fa_exit_status(stderr);
    return status != 0 ? status : failed > 0;
}
