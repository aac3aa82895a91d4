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
    const uint8_t *pixels = fa_data(fa_dataset_data(mnist));
    const int64_t *labels = fa_data(fa_dataset_targets(mnist));
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
    p->pixels = fa_data(fa_dataset_data(p->mnist));
    p->labels = fa_data(fa_dataset_targets(p->mnist));
    assert_non_null(p->pixels);
    return fa_dataset_new(p, .length = pictures_length, .item = pictures_item, .destroy = pictures_destroy);
}

/* ---- A whole run ---- */

static const cJSON *fact(const run100 *run, const char *key)
{
    const cJSON *value = cJSON_GetObjectItem(run->facts, key);
    assert_non_null(value);
    return value;
}

static void check_weights(const run100 *run, fa_module *model)
{
    uint32_t crc = 0;
    fa_tensor_list parameters = fa_parameters(model);
    for (int64_t i = 0; i < parameters.count; i++)
        crc = run100_crc32(crc, fa_data(parameters.tensor[i]), (size_t)fa_numel(parameters.tensor[i]) * 4);
    assert_true(crc == (uint32_t)fact(run, "weights_crc32")->valuedouble);
}

static void check_batch(const run100 *run, const fa_batch *b)
{
    if (b->index >= 3)
        return;
    const cJSON *order = cJSON_GetArrayItem(fact(run, "order"), (int)b->index);
    const int64_t *numbers = fa_data(b->item[2]);
    for (int i = 0; i < 8; i++)
        assert_int_equal(numbers[i], cJSON_GetArrayItem(order, i)->valueint);
    double crc = cJSON_GetArrayItem(fact(run, "batches_crc32"), (int)b->index)->valuedouble;
    assert_true(run100_crc32(0, fa_data(b->images), sizeof(float[RUN100_BATCH][784])) == (uint32_t)crc);
}

static void check_end(const run100 *run, uint32_t order)
{
    assert_true(order == (uint32_t)fact(run, "order_crc32")->valuedouble);
    fa_scope {
        const float *then = fa_data(fa_rand(2));
        for (int i = 0; i < 2; i++)
            assert_true(then[i] == (float)cJSON_GetArrayItem(fact(run, "then_rand"), i)->valuedouble);
    }
}

void run100_train(const run100 *run, double *losses)
{
    const bool everything = cJSON_IsTrue(fact(run, "everything"));
    const char *words = fact(run, "optimizer")->valuestring;
    char optimizer[16] = "";
    strncat(optimizer, words, strcspn(words, "("));
    if (run->threads)
        fa_set_num_threads(run->threads);
    fa_manual_seed(0);
    fa_module *model = run100_net(&run100_mnist, cJSON_IsTrue(fact(run, "batch_norm")), everything);
    check_weights(run, model);
    assert_non_null(fa_module_to_dtype(model, run->dtype));
    fa_loader *loader = fa_data_loader(everything ? run100_augmented() : run100_items(), .batch_size = RUN100_BATCH,
                                       .shuffle = true, .num_workers = run->workers);
    fa_optim *optim = run100_optim(optimizer, fa_parameters(model));
    fa_scheduler *schedule = everything ? fa_step_lr(optim, 30, .gamma = 0.5) : NULL;
    const int64_t steps = run->steps ? run->steps : RUN100_STEPS;
    uint32_t order = 0;
    int64_t done = 0;
    fa_for_each_batch (b, loader) {
        check_batch(run, &b);
        order = run100_crc32(order, fa_data(b.item[2]), sizeof(int64_t[RUN100_BATCH]));
        fa_tensor *loss = fa_cross_entropy(fa_forward(model, fa_to_dtype(b.images, run->dtype)), b.labels);
        fa_zero_grad(optim);
        fa_backward(loss);
        fa_step(optim);
        if (schedule)
            fa_step(schedule);
        losses[done] = fa_item(loss);
        if (++done == steps)
            break;
    }
    assert_string_equal(fa_error(), "");
    assert_int_equal(done, steps);
    if (steps == RUN100_STEPS)
        check_end(run, order);
    fa_free(schedule);
    fa_free(optim);
    fa_free(model);
    fa_free(loader);
}

int run100_tests(const golden_file *file, const char *group, CMUnitTestFunction test)
{
    struct CMUnitTest tests[16];
    size_t count = 0;
    const char *only = getenv("FA_RUN");
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(file->index, "runs"))
    {
        const char *name = cJSON_GetObjectItem(entry, "name")->valuestring;
        if (count < 16 && (!only || strcmp(only, name) == 0))
            tests[count++] =
                (struct CMUnitTest){.name = name, .test_func = test, .initial_state = (void *)(uintptr_t)entry};
    }
    return _cmocka_run_group_tests(group, tests, count, NULL, NULL);
}
