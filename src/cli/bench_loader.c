/* facula bench --loader: a data set's first epoch, from the files' bytes to batches, in one process. The clock starts
 * before the data set is made; nothing decoded is kept. The order is that of seed 0, as in bench/peers/torch_loader.py.
 */
#include "bench.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_LABELS = 16 };

typedef struct epoch {
    int64_t images, labels; /* how many, and the sum of their labels */
    double elapsed, first_mean;
    int64_t first[FIRST_LABELS];
} epoch;

/* MNIST's training half, normalised. */
static fa_dataset *digits(const char *folder)
{
    return fa_mnist(folder, .transform = fa_compose(fa_to_tensor(), fa_normalize({0.1307}, {0.3081})));
}

/* All pictures below folder/train and folder/test, with the usual augmentation of small ones. */
static fa_dataset *pictures(const char *folder)
{
    char path[2][4096];
    for (int half = 0; half < 2; half++)
        if (snprintf(path[half], sizeof path[half], "%s/%s", folder, half == 0 ? "train" : "test") >=
            (int)sizeof path[half])
            return fa_raise(FA_VALUE_ERROR, "bench: --data is too long"), NULL;
    fa_transform *transform = fa_compose(fa_random_crop(32, .padding = 4), fa_random_horizontal_flip(), fa_to_tensor(),
                                         fa_normalize({0.4914, 0.4822, 0.4465}, {0.2470, 0.2435, 0.2616}));
    fa_dataset *train = fa_image_folder(path[0], .transform = transform);
    fa_dataset *test = train != NULL ? fa_image_folder(path[1], .transform = transform) : NULL;
    fa_dataset *all = test != NULL ? fa_concat_dataset(train, test) : NULL;
    if (all == NULL)
        fa_free(train), fa_free(test);
    return all;
}

static void add_batch(epoch *e, const fa_batch *batch)
{
    const int64_t *label = fa_data(batch->labels);
    for (int64_t i = 0; i < batch->size; i++)
        e->labels += label[i];
    e->images += batch->size;
    if (batch->index > 0)
        return;
    const float *pixel = fa_data(batch->images);
    double sum = 0;
    for (int64_t i = 0; i < fa_numel(batch->images); i++)
        sum += pixel[i];
    e->first_mean = sum / (double)fa_numel(batch->images);
    for (int64_t i = 0; i < FIRST_LABELS && i < batch->size; i++)
        e->first[i] = label[i];
}

static bool run_epoch(epoch *e, const loader_bench *b)
{
    fa_manual_seed(0);
    const double started = seconds_now();
    fa_dataset *data = strcmp(b->data_set, "mnist") == 0 ? digits(b->data) : pictures(b->data);
    fa_loader *loader =
        data != NULL ? fa_data_loader(data, .batch_size = b->batch, .shuffle = true, .num_workers = (int)b->workers)
                     : NULL;
    if (loader == NULL) {
        fa_free(data);
        return false;
    }
    fa_for_each_batch (batch, loader)
        add_batch(e, &batch);
    e->elapsed = seconds_now() - started;
    fa_free(loader);
    return fa_ok();
}

static bool report(const epoch *e, const loader_bench *b)
{
    const double images = (double)e->images / e->elapsed;
    if (!b->json) {
        printf("loader, %s, batch %lld, %lld workers: %lld images in %.3f s, %.0f images/s, peak memory %.0f MiB\n",
               b->data_set, (long long)b->batch, (long long)b->workers, (long long)e->images, e->elapsed, images,
               peak_memory_mib());
        return true;
    }
    cJSON *json = cJSON_CreateObject(), *first = cJSON_AddArrayToObject(json, "first_labels");
    cJSON_AddStringToObject(json, "loader", b->data_set);
    cJSON_AddNumberToObject(json, "batch", (double)b->batch);
    cJSON_AddNumberToObject(json, "workers", (double)b->workers);
    cJSON_AddNumberToObject(json, "images", (double)e->images);
    cJSON_AddNumberToObject(json, "seconds", e->elapsed);
    cJSON_AddNumberToObject(json, "images_per_second", images);
    cJSON_AddNumberToObject(json, "peak_memory_mib", peak_memory_mib());
    cJSON_AddNumberToObject(json, "labels", (double)e->labels);
    cJSON_AddNumberToObject(json, "first_mean", e->first_mean);
    for (int i = 0; i < FIRST_LABELS; i++)
        cJSON_AddItemToArray(first, cJSON_CreateNumber((double)e->first[i]));
    char *text = cJSON_PrintUnformatted(json);
    if (text != NULL)
        printf("%s\n", text);
    cJSON_free(text);
    cJSON_Delete(json);
    return text != NULL;
}

int bench_loader(const loader_bench *b)
{
    epoch e = {.images = 0};
    if (strcmp(b->data_set, "mnist") != 0 && strcmp(b->data_set, "jpeg") != 0) {
        fprintf(stderr, "facula: --loader: got \"%s\", needs mnist or jpeg\n", b->data_set);
        return EXIT_USAGE;
    }
    return run_epoch(&e, b) ? (report(&e, b) ? 0 : 1) : fail_with_error();
}
