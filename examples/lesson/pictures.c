/* What the pictures of the chapter (docs/lesson/) show, computed here and drawn by scripts/lesson_pictures.py: arrays
 * as .npy files, a training's history.csv, and losses over time for three batch sizes. usage: pictures [folder] [digits
 * to train on] [epochs] [seconds for each batch size] [MNIST's folder] */
#include <facula.h>

#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

static const char *folder;

static void keep(fa_tensor *x, const char *name)
{
    fa_save(x, fa_format("%s/%s.npy", folder, name));
}

/* ---- Kernels that are written by hand ---------------------------------------------------------------------------- */

static void by_hand(fa_tensor *digit)
{
    fa_tensor *kernels = fa_tensor_of(FA_SHAPE(3, 1, 3, 3), -1, 0, 1, -2, 0, 2, -1, 0, 1, /* left and right edges */
                                      -1, -2, -1, 0, 0, 0, 1, 2, 1,                       /* upper and lower edges */
                                      1, 1, 1, 1, 1, 1, 1, 1, 1);                         /* a sum: blurs */
    keep(kernels, "kernels");
    keep(fa_conv2d(digit, kernels, .padding = 1), "kernel_maps");

    fa_tensor *edges = fa_slice(kernels, 0, 0, 1), *x = fa_pad(digit, FA_SHAPE(4, 4, 4, 4)); /* 36x36 */
    fa_tensor *moved = fa_roll(fa_roll(x, 3, 2), 4, 3);
    keep(fa_cat(FA_TENSORS(x, moved), 0), "still_and_moved");
    keep(fa_conv2d(fa_cat(FA_TENSORS(x, moved), 0), edges, .padding = 1), "still_and_moved_maps");
    keep(fa_max_pool2d(digit, 2), "pooled_2");
    keep(fa_max_pool2d(digit, 4), "pooled_4");
    keep(fa_avg_pool2d(digit, 4), "averaged_4");
}

/* ---- A network that is trained ----------------------------------------------------------------------------------- */

static void trained(fa_dataset *train_set, fa_dataset *test_set, int64_t digits, int64_t epochs)
{
    fa_dataset *part[3];
    fa_manual_seed(0);
    fa_random_split(train_set, part, 3, {(double)digits, 2000, (double)(58000 - digits)});
    fa_loader *train = fa_data_loader(part[0], .batch_size = 32, .shuffle = true);
    fa_loader *validation = fa_data_loader(part[1], .batch_size = 500);
    fa_module *model =
        fa_nn_sequential(fa_nn_conv2d(1, 8, .kernel_size = 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                         fa_nn_conv2d(8, 16, .kernel_size = 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                         fa_nn_flatten(), fa_nn_linear(16 * 7 * 7, 128), fa_nn_relu(), fa_nn_linear(128, 10));
    fa_optim *optimizer = fa_adam(fa_parameters(model), .lr = 0.001);
    const char *run_folder = fa_format("%s/run", folder);
    fa_run *run = fa_run_open(run_folder, .model = model, .optim = optimizer, .train_loader = train, .epochs = epochs,
                              .overwrite = true);
    fa_for_each_epoch (epoch, run) {
        fa_for_each_batch (b, train) {
            fa_tensor *scores = fa_forward(model, b.images), *loss = fa_cross_entropy(scores, b.labels);
            fa_zero_grad(optimizer);
            fa_backward(loss);
            fa_step(optimizer);
            fa_run_step(run, b, loss, .scores = scores);
        }
        fa_no_grad
            fa_for_each_batch (b, validation) {
                fa_tensor *scores = fa_forward(model, b.images);
                fa_run_validate(run, b, fa_cross_entropy(scores, b.labels), .scores = scores);
            }
        fa_run_end_epoch(run);
    }
    fa_run_finish(run);

    fa_load_state_dict(model, fa_load(fa_format("%s/best_model.pth", run_folder)));
    fa_loader *test = fa_data_loader(test_set, .batch_size = 2000);
    fa_no_grad
        fa_for_each_batch (b, test) {
            fa_tensor *first = fa_slice(b.images, 0, 15, 16); /* the five of the pictures */
            keep(fa_find(model, "0.weight"), "filters");
            fa_tensor *maps = fa_relu(fa_forward(fa_submodule(model, "0"), first));
            keep(maps, "filter_maps");
            keep(fa_softmax(fa_forward(model, b.images), 1), "probabilities");
            keep(b.labels, "labels");
            keep(fa_slice(fa_dataset_data(test_set), 0, 0, b.size), "test_digits");
            break;
        }
    fa_free(run), fa_free(optimizer), fa_free(model), fa_free(train), fa_free(validation), fa_free(test);
    for (int i = 0; i < 3; i++)
        fa_free(part[i]);
}

/* ---- Batch sizes ------------------------------------------------------------------------------------------------- */

static double loss_of_all(fa_module *model, fa_loader *loader)
{
    double loss = 0;
    fa_no_grad
        fa_for_each_batch (b, loader)
            loss += fa_item(fa_cross_entropy(fa_forward(model, b.images), b.labels)) / (double)fa_length(loader);
    return loss;
}

/* Loss on all of 2,048 digits after so many looks at a digit and so many seconds of one core, of which measuring it is
 * no part. */
static void batch_size(fa_dataset *digits, int64_t size, double rate, double limit, FILE *file)
{
    fa_manual_seed(0);
    fa_set_num_threads(1);
    fa_module *model =
        fa_nn_sequential(fa_nn_conv2d(1, 8, .kernel_size = 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                         fa_nn_flatten(), fa_nn_linear(8 * 14 * 14, 128), fa_nn_relu(), fa_nn_linear(128, 10));
    fa_optim *optimizer = fa_sgd(fa_parameters(model), rate);
    fa_loader *loader = fa_data_loader(digits, .batch_size = size, .shuffle = true);
    fa_loader *all = fa_data_loader(digits, .batch_size = 512);
    double spent = 0, next = 0;
    int64_t looks = 0;
    while (spent < limit && fa_ok()) {
        clock_t start = clock();
        fa_for_each_batch (b, loader) {
            if (spent >= next) {
                fprintf(file, "%d,%g,%.6f,%d,%.6f\n", (int)size, rate, spent, (int)looks, loss_of_all(model, all));
                next = spent < 0.01 ? 0.01 : spent * 1.15;
                start = clock();
            }
            fa_zero_grad(optimizer);
            fa_backward(fa_cross_entropy(fa_forward(model, b.images), b.labels));
            fa_step(optimizer);
            fa_sync();
            looks += b.size;
            spent += (double)(clock() - start) / CLOCKS_PER_SEC;
            start = clock();
        }
    }
    fa_free(loader), fa_free(all), fa_free(optimizer), fa_free(model);
}

int main(int argc, char **argv)
{
    folder = argc > 1 ? argv[1] : "pictures";
    int64_t count = argc > 2 ? atoll(argv[2]) : 10000, epochs = argc > 3 ? atoll(argv[3]) : 20;
    double limit = argc > 4 ? atof(argv[4]) : 2;
    const char *root = argc > 5 ? argv[5] : "data/mnist";
    mkdir(folder, 0777);

    fa_dataset *train = fa_dataset_retain(fa_mnist(root, .train = true, .transform = fa_to_tensor()));
    fa_dataset *test = fa_dataset_retain(fa_mnist(root, .train = false, .transform = fa_to_tensor()));
    fa_scope
        by_hand(fa_unsqueeze(fa_dataset_get(test, 15).images, 0));
    fa_scope
        trained(train, test, count, epochs);

    int64_t first[2048];
    for (int64_t i = 0; i < 2048; i++)
        first[i] = i;
    fa_dataset *digits = fa_dataset_retain(fa_subset(train, first, 2048));
    FILE *file = fopen(fa_format("%s/batches.csv", folder), "w");
    if (file != NULL && fa_ok()) {
        fprintf(file, "batch_size,rate,seconds,looks,loss\n");
        batch_size(digits, 1, 0.03, limit, file);
        batch_size(digits, 32, 0.2, limit, file);
        batch_size(digits, 2048, 0.2, limit, file);
    }
    bool written = file != NULL && fclose(file) == 0;
    if (!written)
        fprintf(stderr, "%s/batches.csv cannot be written\n", folder);

    fa_free(digits), fa_free(train), fa_free(test);
    int status = fa_exit_status(stderr);
    return written ? status : 1;
}
