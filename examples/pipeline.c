/* A complete pipeline, from a data set of one's own to validation: convolution, pooling, mini-batches, Adam.
 *
 * The pictures are random numbers, so there is nothing to learn beyond learning them by heart; with seed 0 the losses
 * are those that the same program prints in PyTorch. */
#include <facula.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* 1. The data set */
typedef struct CustomDataset {
    int64_t n;
    float *data; /* [n, 3, 64, 64] */
    int64_t *labels;
} CustomDataset;

static int64_t custom_length(void *self)
{
    return ((CustomDataset *)self)->n;
}

static bool custom_item(void *self, int64_t i, fa_sample *sample)
{
    CustomDataset *set = self;
    return fa_sample_put(sample, FA_FLOAT32, FA_SHAPE(3, 64, 64), set->data + i * 3 * 64 * 64) &&
           fa_sample_label(sample, set->labels[i]);
}

static void custom_destroy(void *self)
{
    CustomDataset *set = self;
    free(set->data), free(set->labels), free(set);
}

static fa_dataset *custom_dataset(int64_t n)
{
    CustomDataset *set = calloc(1, sizeof *set);
    if (set == NULL)
        return NULL;
    *set = (CustomDataset){n, malloc(sizeof(float[3][64][64]) * (size_t)n), malloc(sizeof(int64_t) * (size_t)n)};
    fa_scope { /* load your data here */
        const float *images = fa_data(fa_randn(n, 3, 64, 64));
        const int64_t *labels = fa_data(fa_randint(0, 10, FA_SHAPE(n)));
        for (int64_t i = 0; set->data != NULL && images != NULL && i < n * 3 * 64 * 64; i++)
            set->data[i] = images[i];
        for (int64_t i = 0; set->labels != NULL && labels != NULL && i < n; i++)
            set->labels[i] = labels[i];
    }
    return fa_dataset_new(set, .length = custom_length, .item = custom_item, .destroy = custom_destroy);
}

/* 2. The model: convolutions and pooling */
typedef struct CNN {
    fa_module base;
    fa_module *conv1, *pool, *conv2, *fc;
} CNN;

static fa_tensor *cnn_forward(fa_module *self, fa_tensor *x)
{
    CNN *net = (CNN *)self;
    x = fa_forward(net->pool, fa_relu(fa_forward(net->conv1, x)));
    x = fa_forward(net->pool, fa_relu(fa_forward(net->conv2, x)));
    x = fa_flatten(x, 1);
    return fa_forward(net->fc, x);
}

static fa_module *cnn_new(int64_t num_classes)
{
    CNN *net = (CNN *)fa_module_new(CNN, cnn_forward);
    fa_layer(net, conv1, fa_nn_conv2d(3, 32, 3, .padding = 1));
    fa_layer(net, pool, fa_nn_max_pool2d(2, .stride = 2));
    fa_layer(net, conv2, fa_nn_conv2d(32, 64, 3, .padding = 1));
    fa_layer(net, fc, fa_nn_linear(64 * 16 * 16, num_classes));
    return &net->base;
}

int main(int argc, char **argv)
{
    int num_epochs = argc > 1 ? atoi(argv[1]) : 5;
    fa_manual_seed(0);

    /* 3. The data, in batches */
    fa_loader *train_loader = fa_data_loader(custom_dataset(96), .batch_size = 32, .shuffle = true, .num_workers = 4);
    fa_loader *val_loader = fa_data_loader(custom_dataset(32), .batch_size = 32);

    /* 4. Model and optimizer */
    fa_device device = fa_cuda_is_available() ? FA_CUDA : FA_CPU;
    fa_module *model = fa_to(cnn_new(10), device);
    fa_optim *optimizer = fa_adam(fa_parameters(model), 0.001);
    double best_val_loss = INFINITY;

    /* 5. Training */
    for (int epoch = 0; epoch < num_epochs; epoch++) {
        fa_train(model);
        double train_loss = 0;
        fa_for_each_batch (b, train_loader) {
            fa_tensor *images = fa_to(b.images, device), *labels = fa_to(b.labels, device);
            fa_tensor *outputs = fa_forward(model, images);
            fa_tensor *loss = fa_cross_entropy(outputs, labels);

            fa_zero_grad(optimizer);
            fa_backward(loss);
            fa_step(optimizer);

            train_loss += fa_item(loss);
        }

        /* 6. Validation */
        fa_eval(model);
        double val_loss = 0, correct = 0, total = 0;
        fa_no_grad
            fa_for_each_batch (b, val_loader) {
                fa_tensor *outputs = fa_forward(model, fa_to(b.images, device));
                val_loss += fa_item(fa_cross_entropy(outputs, b.labels));
                fa_tensor *predicted = fa_argmax(outputs, 1);
                total += (double)b.size;
                correct += fa_item(fa_sum(fa_eq(predicted, b.labels)));
            }
        if (!fa_ok())
            return fprintf(stderr, "%s\n", fa_error()), 1;
        train_loss /= (double)fa_length(train_loader);
        val_loss /= (double)fa_length(val_loader);

        printf("Epoch [%d/%d]\n", epoch + 1, num_epochs);
        printf("  Train Loss: %.4f\n", train_loss);
        printf("  Val Loss: %.4f, Val Acc: %.2f%%\n", val_loss, 100 * correct / total);
        if (val_loss < best_val_loss) {
            best_val_loss = val_loss;
            printf("  \u2713 best model so far\n");
        }
    }
    fa_free(optimizer), fa_free(model), fa_free(train_loader), fa_free(val_loader);
    return 0;
}
