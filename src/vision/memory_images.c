/* Data sets of images in memory. An item is made by the transform's chain from where its image lies: with ToTensor and
 * Normalize one look-up a pixel. */
#include "vision/memory_images.h"

#include <string.h>

typedef struct memory_set {
    fa_memory_images images;
    fa_transform *transform; /* held; may be NULL */
    fa_target_rule rule;
    fa_chain chain;
    fa_meta image, label; /* of one item */
} memory_set;

static int64_t memory_length(void *data)
{
    return ((memory_set *)data)->images.n;
}

static bool make_images(const memory_set *set, const int64_t *indices, int64_t n, char *rows, fa_collate *batch)
{
    const fa_chain *chain = &set->chain;
    const char *pixels = set->images.pixels->data;
    for (int64_t i = 0; i < n && !fa_collate_cancelled(batch); i++)
        if (!fa_chain_put(chain, pixels + (size_t)indices[i] * chain->in_bytes, rows + (size_t)i * chain->out_bytes,
                          batch))
            return false;
    return !fa_collate_cancelled(batch);
}

static bool memory_fetch(void *data, const int64_t *indices, int64_t n, fa_collate *batch)
{
    const memory_set *set = data;
    if (n == 0)
        return true;
    char *images = fa_collate_rows(batch, 0, &set->image, indices[0], batch->where);
    int64_t *labels = images != NULL ? fa_collate_rows(batch, 1, &set->label, indices[0], batch->where) : NULL;
    if (labels == NULL || !make_images(set, indices, n, images, batch))
        return false;
    for (int64_t i = 0; i < n; i++)
        labels[i] = fa_target_of(&set->rule, ((const int64_t *)set->images.labels->data)[indices[i]]);
    return fa_collate_advance(batch, n, 2, indices[0], batch->where);
}

void fa_memory_images_end(fa_memory_images *images)
{
    fa_buffer_release(images->pixels);
    fa_buffer_release(images->labels);
    fa_class_list_end(&images->owned);
    *images = (fa_memory_images){.pixels = NULL};
}

static void memory_destroy(void *data)
{
    memory_set *set = data;
    fa_memory_images_end(&set->images);
    fa_chain_end(&set->chain);
    fa_object_drop((fa_object *)set->transform);
    fa_mfree(set);
}

static fa_names memory_classes(void *data)
{
    return ((memory_set *)data)->images.classes;
}

static bool memory_target(void *data, int64_t index, int64_t *target)
{
    *target = ((const int64_t *)((memory_set *)data)->images.labels->data)[index];
    return true;
}

static fa_buffer *memory_targets(void *data)
{
    return ((memory_set *)data)->images.labels;
}

static fa_item_trace memory_trace(void *data, int64_t index, bool look)
{
    const memory_set *set = data;
    const size_t bytes = set->chain.in_bytes;
    const char *pixels = (const char *)set->images.pixels->data + (size_t)index * bytes;
    return (fa_item_trace){0, look ? fa_fingerprint_add(1, pixels, bytes) : 0};
}

static const fa_dataset_kind memory_kind = {.length = memory_length,
                                            .fetch = memory_fetch,
                                            .destroy = memory_destroy,
                                            .classes = memory_classes,
                                            .target = memory_target,
                                            .targets = memory_targets,
                                            .trace = memory_trace};

fa_dataset *fa_memory_images_make(fa_memory_images *images, fa_transform *transform, const fa_target_rule *target,
                                  const char *what, fa_where where)
{
    memory_set *set = fa_calloc(1, sizeof *set);
    if (set == NULL) {
        fa_memory_images_end(images);
        fa_fail_memory(where, sizeof *set);
        return NULL;
    }
    set->images = *images;
    set->rule = *target;
    *images = (fa_memory_images){.pixels = NULL};
    if ((transform != NULL && !fa_object_check((fa_object *)transform, &fa_transform_class, what, where)) ||
        !fa_chain_begin(&set->chain, transform, &set->images.form, where) ||
        !fa_chain_one_size(&set->chain, what, where)) {
        memory_destroy(set);
        return NULL;
    }
    const fa_image_form *result = fa_chain_result(&set->chain);
    set->image = fa_meta_of(result->floats ? FA_DT_FLOAT32 : FA_DT_UINT8, 3,
                            (int64_t[]){result->channels, result->height, result->width});
    set->label = fa_meta_of(FA_DT_INT64, 0, NULL);
    set->transform = transform;
    fa_object_hold((fa_object *)set->transform);
    return fa_dataset_make(&memory_kind, set, false, where);
}

/* ---- dataset.data ------------------------------------------------------------------------------------------------ */

fa_tensor *fa_dataset_data_at(fa_dataset *dataset, fa_where where)
{
    fa_begin(where);
    const fa_dataset_body *body = fa_dataset_use(dataset, "fa_dataset_data", where);
    if (body == NULL)
        return NULL;
    if (body->kind != &memory_kind) {
        fa_fail(FA_VALUE_ERROR, where, "fa_dataset_data",
                "got a data set whose images do not lie in memory as they are, needs one as fa_mnist or fa_cifar10 "
                "make them.");
        return NULL;
    }
    const fa_memory_images *images = &((const memory_set *)body->data)->images;
    const fa_image_form *form = &images->form;
    const int64_t bytes[4] = {images->n, form->height, form->width, form->channels};
    const int64_t floats[4] = {images->n, form->channels, form->height, form->width};
    fa_meta meta = form->floats ? fa_meta_of(FA_DT_FLOAT32, 4, floats)
                                : fa_meta_of(FA_DT_UINT8, form->channels == 1 ? 3 : 4, bytes);
    return fa_tensor_over(images->pixels, &meta);
}
