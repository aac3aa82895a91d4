/* The network `mnist` of golden/train100.json and its data. */
#include "run100.h"

#include "facula_test.h"

#include <string.h>

const run100_size run100_mnist = {{32, 64}, 3136, 128};

uint32_t run100_crc32(uint32_t crc, const void *data, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= ((const uint8_t *)data)[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

static void add_block(fa_module *net, int64_t in, int64_t out, bool norm)
{
    fa_module_add(net, NULL, fa_nn_conv2d(in, out, 3, .padding = 1, .bias = !norm));
    if (norm)
        fa_module_add(net, NULL, fa_nn_batch_norm2d(out));
    fa_module_add(net, NULL, fa_nn_relu());
    fa_module_add(net, NULL, fa_nn_max_pool2d(2));
}

fa_module *run100_net(const run100_size *size, bool norm, bool dropout)
{
    fa_module *net = fa_nn_sequential_at(0, NULL, FA_HERE);
    add_block(net, 1, size->channels[0], norm);
    add_block(net, size->channels[0], size->channels[1], norm);
    fa_module_add(net, NULL, fa_nn_flatten());
    fa_module_add(net, NULL, fa_nn_linear(size->flat, size->hidden));
    fa_module_add(net, NULL, fa_nn_relu());
    if (dropout)
        fa_module_add(net, NULL, fa_nn_dropout(0.25));
    fa_module_add(net, NULL, fa_nn_linear(size->hidden, 10));
    return net;
}

fa_optim *run100_optim(const char *name, fa_tensor_list parameters)
{
    return strcmp(name, "SGD") == 0    ? fa_sgd(parameters, 0.05, .momentum = 0.9)
           : strcmp(name, "Adam") == 0 ? fa_adam(parameters, 1e-3)
                                       : fa_adamw(parameters, 1e-3);
}

fa_dataset *run100_items(void)
{
    enum { PIXELS = 28 * 28 };
    fa_dataset *mnist = fa_mnist(source_path("data/mnist"));
    float *images = malloc(sizeof *images * RUN100_ITEMS * PIXELS);
    int64_t *numbers = malloc(sizeof *numbers * RUN100_ITEMS);
    const uint8_t *pixels = fa_data(fa_mnist_images(mnist));
    const int64_t *labels = fa_data(fa_mnist_labels(mnist));
    assert_non_null(pixels);
    assert_non_null(labels);
    for (int64_t i = 0; i < RUN100_ITEMS; i++)
        numbers[i] = i;
    for (int64_t i = 0; i < (int64_t)RUN100_ITEMS * PIXELS; i++)
        images[i] = (float)pixels[i] / 255;
    fa_tensor *x = fa_from_memory(images, FA_FLOAT32, FA_SHAPE(RUN100_ITEMS, 1, 28, 28));
    fa_tensor *y = fa_from_memory(labels, FA_INT64, FA_SHAPE(RUN100_ITEMS));
    fa_tensor *i = fa_from_memory(numbers, FA_INT64, FA_SHAPE(RUN100_ITEMS));
    fa_dataset *set = fa_tensor_dataset(x, y, i);
    free(images);
    free(numbers);
    fa_free(mnist);
    return set;
}

/* ---- Pictures with transforms ---- */

typedef struct pictures {
    fa_dataset *mnist;
    fa_transform *transform;
    const uint8_t *pixels;
    const int64_t *labels;
} pictures;

static int64_t pictures_length(void *user)
{
    (void)user;
    return RUN100_ITEMS;
}

static bool pictures_item(void *user, int64_t index, fa_sample *sample)
{
    const pictures *p = user;
    return fa_sample_image(sample, p->pixels + index * 784, 28, 28, 1, p->transform) &&
           fa_sample_label(sample, p->labels[index]) && fa_sample_label(sample, index);
}

static void pictures_destroy(void *user)
{
    pictures *p = user;
    fa_free(p->mnist);
    fa_free(p->transform);
    free(p);
}

fa_dataset *run100_augmented(void)
{
    pictures *p = malloc(sizeof *p);
    *p = (pictures){.mnist = fa_dataset_retain(fa_mnist(source_path("data/mnist"))),
                    .transform = fa_transform_retain(
                        fa_compose(fa_random_crop(28, .padding = 2), fa_random_horizontal_flip(), fa_to_tensor()))};
    p->pixels = fa_data(fa_mnist_images(p->mnist));
    p->labels = fa_data(fa_mnist_labels(p->mnist));
    assert_non_null(p->pixels);
    return fa_dataset_new(p, .length = pictures_length, .item = pictures_item, .destroy = pictures_destroy);
}
