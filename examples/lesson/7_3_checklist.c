/* 7.3 The checklist as a program: what can be found out before, and in the first steps of, a training. To be copied to
 * where your own data set and network are made. usage: 7_3_checklist [MNIST's folder] */
#include <facula.h>

#include <math.h>
#include <string.h>

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

/* No picture of one data set is in the other. Each comes as one batch. */
static bool are_apart(fa_dataset *first, fa_dataset *second)
{
    fa_loader *loader[] = {fa_data_loader(first, .batch_size = fa_length(first)),
                           fa_data_loader(second, .batch_size = fa_length(second))};
    bool apart = true;
    fa_for_each_batch (a, loader[0])
        fa_for_each_batch (b, loader[1]) {
            const float *x = fa_data(a.images), *y = fa_data(b.images);
            int64_t size = fa_numel(a.images) / a.size;
            for (int64_t i = 0; i < a.size; i++)
                for (int64_t j = 0; j < b.size; j++)
                    apart = apart && memcmp(x + i * size, y + j * size, (size_t)size * sizeof *x) != 0;
        }
    fa_free(loader[0]), fa_free(loader[1]);
    return apart;
}

int main(int argc, char **argv)
{
    const char *root = argc > 1 ? argv[1] : "data/mnist";
    enum { CLASSES = 10, BATCH = 32 };
    fa_manual_seed(0);

    fa_transform *transform = fa_compose(fa_to_tensor(), fa_normalize({0.1307}, {0.3081}));
    fa_dataset *digits = fa_mnist(root, .train = true, .transform = transform), *part[3];
    fa_dataset *test_set = fa_mnist(root, .train = false, .transform = transform);
    if (!fa_ok())
        return fa_exit_status(stderr);

    printf("Data\n");
    fa_random_split(digits, part, 3, {2000, 500, 57500}); /* two small parts, for a check that takes a second */
    fa_batch item = fa_dataset_get(digits, 0);
    double label = fa_item(item.labels);
    check(fa_length(digits) == 60000 && fa_ndim(item.images) == 3 && label >= 0 && label < CLASSES,
          "the data set has a length, and items of a picture and a label");
    fa_loader *train = fa_data_loader(part[0], .batch_size = BATCH, .shuffle = true);
    fa_loader *validation = fa_data_loader(part[1], .batch_size = BATCH);
    check(is_normalised(train), "the data are normalised");
    fa_loader *test = fa_data_loader(test_set, .batch_size = BATCH);
    check(are_apart(part[0], part[1]) && are_apart(part[0], test_set) && are_apart(part[1], test_set),
          "training, validation and test have no picture in common");
    check(fa_length(train) == (2000 + BATCH - 1) / BATCH, "the loader gives batches of the size that was asked for");

    printf("Model\n");
    fa_module *model = fa_nn_sequential(fa_nn_conv2d(1, 16, .kernel_size = 3, .padding = 1), fa_nn_relu(),
                                        fa_nn_max_pool2d(2), fa_nn_flatten(), fa_nn_linear(16 * 14 * 14, CLASSES));
    fa_device device = fa_cuda_is_available() ? FA_CUDA : FA_CPU;
    check(fa_to(model, device) == model, "the model is on its device");
    fa_tensor *scores = fa_forward(model, fa_unsqueeze(item.images, 0));
    check(fa_numel(scores) == CLASSES, "the network suits the task: a picture in, a score for each class out");
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
    enum { EPOCHS = 2 };
    double train_loss[EPOCHS] = {0}, best = INFINITY;
    bool measured = true, saved = true;
    for (int epoch = 0; epoch < EPOCHS && fa_ok(); epoch++) {
        fa_train(model);
        fa_for_each_batch (b, train) {
            fa_tensor *loss = fa_cross_entropy(fa_forward(model, b.images), b.labels);
            fa_zero_grad(optimizer);
            fa_backward(loss);
            fa_step(optimizer);
            train_loss[epoch] += fa_item(loss) / (double)fa_length(train);
        }

        double loss = 0, correct = 0, total = 0;
        fa_eval(model);
        fa_no_grad
            fa_for_each_batch (b, validation) {
                fa_tensor *outputs = fa_forward(model, b.images);
                loss += fa_item(fa_cross_entropy(outputs, b.labels)) * (double)b.size;
                correct += fa_item(fa_sum(fa_eq(fa_argmax(outputs, 1), b.labels)));
                total += (double)b.size;
            }
        loss /= total;
        printf("    epoch %d: training loss %.3f, validation loss %.3f, accuracy %.1f%%\n", epoch + 1,
               train_loss[epoch], loss, 100 * correct / total);
        measured = measured && total == (double)fa_length(part[1]) && isfinite(loss);
        if (loss < best) {
            best = loss;
            saved = saved && fa_save(fa_state_dict(model), "checklist.pth");
        }
    }
    check(train_loss[EPOCHS - 1] < train_loss[0], "the loss is shown, and falls");
    check(measured, "loss and accuracy are measured on data that is not trained on");
    check(saved && fa_load_state_dict(model, fa_load("checklist.pth")),
          "the best model is saved, and can be loaded again");

    fa_free(model), fa_free(optimizer), fa_free(train), fa_free(validation), fa_free(test), fa_free(digits);
    for (int i = 0; i < 3; i++)
        fa_free(part[i]);
    int status = fa_exit_status(stderr);
    return status != 0 ? status : failed > 0;
}
