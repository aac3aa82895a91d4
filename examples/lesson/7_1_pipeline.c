/* 7.1 The whole pipeline: data set, network, loaders, training, validation, the best model kept. */
#include <facula.h>

#include <math.h>
#include <string.h>
#include <sys/stat.h>

/* The data set */
typedef struct CustomDataset {
    fa_tensor *data, *labels;
} CustomDataset;

static bool get_item(void *user, int64_t idx, fa_sample *sample)
{
    CustomDataset *self = user;
    return fa_sample_row(sample, self->data, idx) && fa_sample_row(sample, self->labels, idx);
}

static fa_dataset *custom_dataset(const char *data_path)
{
    /* Your data is loaded here; these are random numbers, as many as the name says. */
    int64_t n = strcmp(data_path, "train_data") == 0 ? 96 : 32;
    CustomDataset self = {.data = fa_randn(n, 3, 64, 64)};
    self.labels = fa_randint(0, 10, FA_SHAPE(n));
    return fa_dataset_new(&self, .size = sizeof self, .tensors = {&self.data, &self.labels}, .count = n,
                          .item = get_item);
}

/* The network */
typedef struct CNN {
    fa_module base;
    fa_module *conv1, *pool, *conv2, *fc;
} CNN;

static fa_tensor *forward(fa_module *self, fa_tensor *x)
{
    CNN *net = (CNN *)self;
    x = fa_forward(net->pool, fa_relu(fa_forward(net->conv1, x)));
    x = fa_forward(net->pool, fa_relu(fa_forward(net->conv2, x)));
    x = fa_view(x, fa_size(x, 0), -1);
    x = fa_forward(net->fc, x);
    return x;
}

static fa_module *cnn(int64_t num_classes)
{
    CNN *net = fa_module_new(CNN, forward);
    fa_layer(net, conv1, fa_nn_conv2d(3, 32, .kernel_size = 3, .padding = 1));
    fa_layer(net, pool, fa_nn_max_pool2d(2, .stride = 2));
    fa_layer(net, conv2, fa_nn_conv2d(32, 64, .kernel_size = 3, .padding = 1));
    fa_layer(net, fc, fa_nn_linear(64 * 16 * 16, num_classes));
    return &net->base;
}

int main(void)
{
    fa_manual_seed(0);
    /* The data in batches */
    fa_dataset *train_dataset = custom_dataset("train_data");
    fa_loader *train_loader = fa_data_loader(train_dataset, .batch_size = 32, .shuffle = true, .num_workers = 4);

    fa_dataset *val_dataset = custom_dataset("val_data");
    fa_loader *val_loader = fa_data_loader(val_dataset, .batch_size = 32, .shuffle = false);

    /* Network, loss, optimizer */
    fa_device device = fa_cuda_is_available() ? FA_CUDA : FA_CPU;
    fa_module *model = fa_to(cnn(10), device);
    fa_module *criterion = fa_nn_cross_entropy_loss();
    fa_optim *optimizer = fa_adam(fa_parameters(model), .lr = 0.001);

    /* Where the best model goes */
    mkdir("checkpoints", 0777);
    double best_val_loss = INFINITY;

    int num_epochs = 50;

    for (int epoch = 0; epoch < num_epochs && fa_ok(); epoch++) {
        /* Training */
        fa_train(model);
        double train_loss = 0;

        fa_for_each_batch (b, train_loader) {
            fa_tensor *images = fa_to(b.images, device), *labels = fa_to(b.labels, device);

            fa_tensor *outputs = fa_forward(model, images);
            fa_tensor *loss = fa_criterion(criterion, outputs, labels);

            fa_zero_grad(optimizer);
            fa_backward(loss);
            fa_step(optimizer);

            train_loss += fa_item(loss);
        }

        /* Validation */
        fa_eval(model);
        double val_loss = 0, correct = 0;
        int64_t total = 0;

        fa_no_grad
            fa_for_each_batch (b, val_loader) {
                fa_tensor *images = fa_to(b.images, device), *labels = fa_to(b.labels, device);
                fa_tensor *outputs = fa_forward(model, images), *predicted;
                fa_tensor *loss = fa_criterion(criterion, outputs, labels);
                val_loss += fa_item(loss);

                fa_max(outputs, 1, &predicted);
                total += fa_size(labels, 0);
                correct += fa_item(fa_sum(fa_eq(predicted, labels)));
            }

        train_loss /= (double)fa_length(train_loader);
        val_loss /= (double)fa_length(val_loader);
        double val_acc = 100 * correct / (double)total;

        printf("Epoch [%d/%d]\n", epoch + 1, num_epochs);
        printf("  Train Loss: %.4f\n", train_loss);
        printf("  Val Loss: %.4f, Val Acc: %.2f%%\n", val_loss, val_acc);

        if (val_loss < best_val_loss) {
            best_val_loss = val_loss;
            fa_save(fa_dict("epoch", epoch, "model_state_dict", fa_state_dict(model), "optimizer_state_dict",
                            fa_state_dict(optimizer), "val_loss", val_loss, "val_acc", val_acc),
                    "checkpoints/best_model.pth");
            printf("  ✓ Meilleur modèle sauvegardé!\n");
        }
    }

    printf("Entraînement terminé!\n");

    fa_free(model), fa_free(criterion), fa_free(optimizer), fa_free(train_loader), fa_free(val_loader);
    return fa_exit_status(stderr);
}
