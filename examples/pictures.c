/* Trains on folders of pictures, one a class: examples/pictures FOLDER, with FOLDER/train and FOLDER/test. */
#include "facula.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr,
                "usage: pictures FOLDER, which has train/ and test/ with a folder of pictures for each class\n");
        return 2;
    }
    fa_transform *t = fa_compose(fa_fit(32), fa_to_tensor());
    fa_dataset *train = fa_image_folder(fa_format("%s/train", argv[1]), .transform = t);
    fa_dataset *test = fa_image_folder(fa_format("%s/test", argv[1]), .transform = t,
                                       .classes = fa_dataset_classes(train), .allow_empty = true);
    fa_names classes = fa_dataset_classes(train);
    for (int64_t c = 0; c < classes.count; c++)
        printf("class %lld: %s\n", (long long)c, classes.name[c]);

    fa_loader *loader = fa_data_loader(train, .batch_size = 64, .shuffle = true, .num_workers = 2);
    fa_loader *test_loader = fa_data_loader(test, .batch_size = 256);
    fa_module *model = fa_nn_sequential(fa_nn_conv2d(3, 32, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                                        fa_nn_flatten(), fa_nn_linear(32 * 16 * 16, classes.count));
    fa_optim *optim = fa_adam(fa_parameters(model), 1e-3);
    fa_for_each_batch (b, loader) {
        fa_tensor *loss = fa_cross_entropy(fa_forward(model, b.images), b.labels);
        fa_zero_grad(optim);
        fa_backward(loss);
        fa_step(optim);
    }
    int64_t right = 0;
    fa_no_grad
        fa_for_each_batch (b, test_loader)
            right += (int64_t)fa_item(fa_sum(fa_eq(fa_argmax(fa_forward(model, b.images), 1), b.labels)));
    if (fa_ok())
        printf("%lld of %lld right\n", (long long)right, (long long)fa_length(test));
    fa_free(optim), fa_free(model), fa_free(loader), fa_free(test_loader), fa_free(train), fa_free(test);
    return fa_exit_status(stderr);
}
