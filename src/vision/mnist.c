/* MNIST and data sets in its form.
 *
 * Files are read and checked when the data set is made; the bytes stay in memory once. Items are made of them by the
 * transform's chain: with ToTensor and Normalize one look-up a pixel. */
#include "data/dataset.h"
#include "vision/idx.h"
#include "vision/transform.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { CLASSES = 10, PATH_BYTES = 4096 };

typedef struct mnist {
    fa_idx images;           /* [n, height, width] */
    fa_buffer *labels;       /* int64 [n] */
    fa_transform *transform; /* held; may be NULL */
    fa_chain chain;
    fa_meta image, label; /* of one item */
} mnist;

static int64_t mnist_length(void *data)
{
    return ((mnist *)data)->images.size[0];
}

static bool make_images(const mnist *set, const int64_t *indices, int64_t n, char *rows, fa_collate *batch)
{
    const fa_chain *chain = &set->chain;
    const uint8_t *pixels = set->images.buffer->data;
    for (int64_t i = 0; i < n && !fa_collate_cancelled(batch); i++)
        if (!fa_chain_put(chain, pixels + (size_t)indices[i] * chain->in_bytes, rows + (size_t)i * chain->out_bytes,
                          batch))
            return false;
    return !fa_collate_cancelled(batch);
}

static bool mnist_fetch(void *data, const int64_t *indices, int64_t n, fa_collate *batch)
{
    const mnist *set = data;
    if (n == 0)
        return true;
    char *images = fa_collate_rows(batch, 0, &set->image, indices[0], batch->where);
    int64_t *labels = images != NULL ? fa_collate_rows(batch, 1, &set->label, indices[0], batch->where) : NULL;
    if (labels == NULL || !make_images(set, indices, n, images, batch))
        return false;
    for (int64_t i = 0; i < n; i++)
        labels[i] = ((const int64_t *)set->labels->data)[indices[i]];
    return fa_collate_advance(batch, n, 2, indices[0], batch->where);
}

static void mnist_destroy(void *data)
{
    mnist *set = data;
    fa_buffer_release(set->images.buffer);
    fa_buffer_release(set->labels);
    fa_chain_end(&set->chain);
    fa_object_drop((fa_object *)set->transform);
    fa_mfree(set);
}

static fa_names mnist_classes(void *data)
{
    static const char *const names[] = {"0 - zero", "1 - one", "2 - two",   "3 - three", "4 - four",
                                        "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine"};
    (void)data;
    return (fa_names){names, CLASSES};
}

static bool mnist_target(void *data, int64_t index, int64_t *target)
{
    *target = ((const int64_t *)((mnist *)data)->labels->data)[index];
    return true;
}

static const fa_dataset_kind mnist_kind = {.length = mnist_length,
                                           .fetch = mnist_fetch,
                                           .destroy = mnist_destroy,
                                           .classes = mnist_classes,
                                           .target = mnist_target};

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static bool find_file(const char *root, const char *name, char path[PATH_BYTES], fa_where where)
{
    static const char *const folder[] = {"", "/raw", "/MNIST/raw"};
    static const char *const ending[] = {"", ".gz"};
    for (int f = 0; f < 3; f++)
        for (int e = 0; e < 2; e++) {
            struct stat status;
            int length = snprintf(path, PATH_BYTES, "%s%s/%s%s", root, folder[f], name, ending[e]);
            if (length < 0 || length >= PATH_BYTES)
                return fa_fail(FA_VALUE_ERROR, where, "fa_mnist", "got a root of %zu bytes, needs a shorter one.",
                               strlen(root));
            if (stat(path, &status) == 0 && S_ISREG(status.st_mode))
                return true;
        }
    return fa_fail(FA_FILE_ERROR, where, "fa_mnist",
                   "got no %s in %s, %s/raw or %s/MNIST/raw; needs it in one of them, with or without .gz. Hint: put "
                   "MNIST's files there.",
                   name, root, root, root);
}

/* Fills in images and labels; false after an error. */
static bool read_half(mnist *set, const char *root, bool train, fa_where where)
{
    const char *half = train ? "train" : "t10k";
    char name[64], images[PATH_BYTES], labels[PATH_BYTES];
    snprintf(name, sizeof name, "%s-images-idx3-ubyte", half);
    if (!find_file(root, name, images, where))
        return false;
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte", half);
    if (!find_file(root, name, labels, where))
        return false;
    fa_idx digits;
    if (!fa_idx_read(images, 3, "fa_mnist", where, &set->images) || !fa_idx_read(labels, 1, "fa_mnist", where, &digits))
        return false;
    int64_t n = digits.size[0], bad = 0;
    const uint8_t *digit = digits.buffer->data;
    while (bad < n && digit[bad] < CLASSES)
        bad++;
    bool fine = true;
    if (n != set->images.size[0])
        fine = fa_fail(FA_FILE_ERROR, where, "fa_mnist",
                       "%s: %lld images but %lld labels (files %s, %s), needs one label an image.",
                       train ? "train" : "test", (long long)set->images.size[0], (long long)n, images, labels);
    else if (bad < n)
        fine = fa_fail(FA_FILE_ERROR, where, "fa_mnist", "label %d of sample %lld is outside 0..%d (file %s).",
                       digit[bad], (long long)bad, CLASSES - 1, labels);
    else if ((set->labels = fa_buffer_new((size_t)n * sizeof(int64_t))) == NULL)
        fine = fa_fail_memory(where, (size_t)n * sizeof(int64_t));
    for (int64_t i = 0; fine && i < n; i++)
        ((int64_t *)set->labels->data)[i] = digit[i];
    fa_buffer_release(digits.buffer);
    return fine;
}

static bool prepare(mnist *set, fa_transform *transform, fa_where where)
{
    fa_image_form form = {false, 1, set->images.size[1], set->images.size[2]};
    if (!fa_chain_begin(&set->chain, transform, &form, where))
        return false;
    const fa_image_form *result = fa_chain_result(&set->chain);
    set->image = fa_meta_of(result->floats ? FA_DT_FLOAT32 : FA_DT_UINT8, 3,
                            (int64_t[]){result->channels, result->height, result->width});
    set->label = fa_meta_of(FA_DT_INT64, 0, NULL);
    return true;
}

fa_dataset *fa_mnist_at(const fa_mnist_args *args)
{
    fa_where where = args->where_;
    if (args->root == NULL) {
        fa_fail(FA_VALUE_ERROR, where, "fa_mnist", "got no folder (NULL), needs the one with MNIST's files.");
        return NULL;
    }
    if (!fa_ok() || (args->transform != NULL &&
                     !fa_object_check((fa_object *)args->transform, &fa_transform_class, "fa_mnist", where)))
        return NULL;
    mnist *set = fa_calloc(1, sizeof *set);
    if (set == NULL) {
        fa_fail_memory(where, sizeof *set);
        return NULL;
    }
    if (!read_half(set, args->root, args->train, where) || !prepare(set, args->transform, where)) {
        mnist_destroy(set);
        return NULL;
    }
    set->transform = args->transform;
    fa_object_hold((fa_object *)set->transform);
    return fa_dataset_make(&mnist_kind, set, false, where);
}

/* ---- dataset.data, dataset.targets ------------------------------------------------------------------------------- */

static mnist *use(fa_dataset *dataset, const char *what, fa_where where)
{
    fa_begin(where);
    fa_dataset_body *body = fa_dataset_use(dataset, what, where);
    if (body != NULL && body->kind != &mnist_kind) {
        fa_fail(FA_VALUE_ERROR, where, what, "got another data set, needs one made by fa_mnist.");
        return NULL;
    }
    return body != NULL ? body->data : NULL;
}

/* A tensor over the data set's own memory. */
static fa_tensor *share(fa_buffer *buffer, const fa_meta *meta)
{
    fa_leaf *leaf = fa_leaf_new(meta);
    if (leaf == NULL)
        return NULL;
    fa_buffer_release(leaf->buffer);
    leaf->buffer = fa_buffer_retain(buffer);
    fa_tensor *tensor = fa_handle(fa_leaf_node(leaf));
    fa_leaf_release(leaf);
    return tensor;
}

fa_tensor *fa_mnist_images_at(fa_dataset *dataset, fa_where where)
{
    mnist *set = use(dataset, "fa_mnist_images", where);
    if (set == NULL)
        return NULL;
    fa_meta meta = fa_meta_of(FA_DT_UINT8, 3, set->images.size);
    return share(set->images.buffer, &meta);
}

fa_tensor *fa_mnist_labels_at(fa_dataset *dataset, fa_where where)
{
    mnist *set = use(dataset, "fa_mnist_labels", where);
    if (set == NULL)
        return NULL;
    fa_meta meta = fa_meta_of(FA_DT_INT64, 1, set->images.size);
    return share(set->labels, &meta);
}
