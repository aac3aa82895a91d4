/* CIFAR-10 and CIFAR-100, in the version for Python and in the binary one. Files are read and checked when the data set
 * is made; the images stay in memory once, as bytes [32, 32, 3].
 *
 * Binary: records of labels (CIFAR-10: one byte; CIFAR-100: coarse, fine) and 3072 bytes, plane after plane. */
#include "files/download.h"
#include "vision/cifar_pickle.h"
#include "vision/memory_images.h"
#include "vision/tar_archive.h"
#include "vision/whole_file.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { SIDE = 32, AREA = SIDE * SIDE, PIXELS = 3 * AREA, MOST_FILES = 5, MOST_CLASSES = 100, PATH_BYTES = 4096 };
static const size_t most_file_bytes = (size_t)1 << 31;

typedef struct layout {
    bool binary;
    const char *folder; /* below root, or the root itself */
    const char *train[MOST_FILES + 1], *test[2];
    const char *meta;       /* in binary versions a text of names, a line each */
    const char *names;      /* the key of the names in a pickled meta */
    const char *labels[2];  /* keys that labels may have in a pickled file */
    int label_bytes, label; /* of a binary record: how many, and which one it is */
    int64_t classes;
} layout;

static const layout cifar10_layouts[] = {
    {.folder = "cifar-10-batches-py",
     .train = {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"},
     .test = {"test_batch"},
     .meta = "batches.meta",
     .names = "label_names",
     .labels = {"labels", "fine_labels"},
     .classes = 10},
    {.binary = true,
     .folder = "cifar-10-batches-bin",
     .train = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
     .test = {"test_batch.bin"},
     .meta = "batches.meta.txt",
     .label_bytes = 1,
     .classes = 10},
};
static const layout cifar100_layouts[] = {
    {.folder = "cifar-100-python",
     .train = {"train"},
     .test = {"test"},
     .meta = "meta",
     .names = "fine_label_names",
     .labels = {"fine_labels"},
     .classes = 100},
    {.binary = true,
     .folder = "cifar-100-binary",
     .train = {"train.bin"},
     .test = {"test.bin"},
     .meta = "fine_label_names.txt",
     .label_bytes = 2,
     .label = 1,
     .classes = 100},
};
static const layout coarse_layouts[] = {
    {.folder = "cifar-100-python",
     .train = {"train"},
     .test = {"test"},
     .meta = "meta",
     .names = "coarse_label_names",
     .labels = {"coarse_labels"},
     .classes = 20},
    {.binary = true,
     .folder = "cifar-100-binary",
     .train = {"train.bin"},
     .test = {"test.bin"},
     .meta = "coarse_label_names.txt",
     .label_bytes = 2,
     .classes = 20},
};
enum { LAYOUTS = 2 };

static const char *const cifar10_names[] = {"airplane", "automobile", "bird",  "cat",  "deer",
                                            "dog",      "frog",       "horse", "ship", "truck"};

typedef struct reading {
    const layout *layout;
    const char *what;
    fa_where where;
    char folder[PATH_BYTES], path[PATH_BYTES];
    fa_memory_images *images;
} reading;

#define REFUSE(r, ...) fa_fail(FA_FILE_ERROR, (r)->where, (r)->what, __VA_ARGS__)

/* ---- Finding ----------------------------------------------------------------------------------------------------- */

static bool is_file(const char *folder, const char *name)
{
    char path[PATH_BYTES];
    struct stat status;
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length >= 0 && length < PATH_BYTES && stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

static int count_files(const char *folder, const char *const *names)
{
    int there = 0;
    for (int i = 0; names[i] != NULL; i++)
        there += is_file(folder, names[i]);
    return there;
}

static bool name_missing(const reading *r, const char *const *names)
{
    char list[256] = "";
    size_t length = 0;
    int missing = 0;
    for (int i = 0; names[i] != NULL; i++)
        if (!is_file(r->folder, names[i])) {
            int more = snprintf(list + length, sizeof list - length, "%s%s", missing++ > 0 ? ", " : "", names[i]);
            length += more > 0 ? (size_t)more : 0;
        }
    return REFUSE(r, "got no %s in %s, where %d of its files %s. Hint: unpack the archive again.", list, r->folder,
                  count_files(r->folder, names), count_files(r->folder, names) == 1 ? "is" : "are");
}

/* The layout and the folder: the first place where any of the files is. False after an error. */
static bool find_layout(reading *r, const char *root, const layout *layouts, bool train)
{
    for (int k = 0; k < 2 * LAYOUTS; k++) {
        r->layout = &layouts[k / 2];
        const char *const *names = train ? r->layout->train : r->layout->test;
        int length = k % 2 == 0 ? snprintf(r->folder, PATH_BYTES, "%s/%s", root, r->layout->folder)
                                : snprintf(r->folder, PATH_BYTES, "%s", root);
        if (length < 0 || length >= PATH_BYTES - 64)
            return fa_fail(FA_VALUE_ERROR, r->where, r->what, "got a root of %zu bytes, needs a shorter one.",
                           strlen(root));
        int there = count_files(r->folder, names), wanted = 0;
        while (names[wanted] != NULL)
            wanted++;
        if (there > 0)
            return there == wanted || name_missing(r, names);
    }
    const char *const *names = train ? layouts[0].train : layouts[0].test;
    return REFUSE(r,
                  "got no %s and no %s.bin in %s, %s/%s or %s/%s; needs the files of one of the two versions in one of "
                  "them. Hint: unpack the archive there.",
                  names[0], names[0], root, root, layouts[0].folder, root, layouts[1].folder);
}

/* ---- Images and labels ------------------------------------------------------------------------------------------- */

/* Room for more images; false after an error. */
static bool grow(reading *r, int64_t n)
{
    fa_memory_images *images = r->images;
    size_t pixels, labels;
    if (!fa_mul_size((size_t)(images->n + n), PIXELS, &pixels) ||
        !fa_mul_size((size_t)(images->n + n), sizeof(int64_t), &labels))
        return fa_fail_memory(r->where, SIZE_MAX);
    fa_buffer *old_pixels = images->pixels, *old_labels = images->labels;
    fa_buffer *more_pixels = fa_buffer_new(pixels), *more_labels = fa_buffer_new(labels);
    if (more_pixels == NULL || more_labels == NULL) {
        fa_buffer_release(more_pixels);
        fa_buffer_release(more_labels);
        return fa_fail_memory(r->where, pixels);
    }
    if (old_pixels != NULL) {
        memcpy(more_pixels->data, old_pixels->data, (size_t)images->n * PIXELS);
        memcpy(more_labels->data, old_labels->data, (size_t)images->n * sizeof(int64_t));
    }
    fa_buffer_release(old_pixels);
    fa_buffer_release(old_labels);
    images->pixels = more_pixels;
    images->labels = more_labels;
    return true;
}

/* Plane after plane made pixel after pixel; `step` bytes lie between the elements of an image. */
static void put_image(fa_memory_images *images, const uint8_t *planes, size_t step, int64_t label)
{
    uint8_t *to = (uint8_t *)images->pixels->data + (size_t)images->n * PIXELS;
    for (size_t i = 0; i < AREA; i++)
        for (size_t c = 0; c < 3; c++)
            to[3 * i + c] = planes[(c * AREA + i) * step];
    ((int64_t *)images->labels->data)[images->n++] = label;
}

static bool check_label(const reading *r, int64_t label, int64_t record)
{
    return (label >= 0 && label < r->layout->classes) ||
           REFUSE(r, "label %lld of record %lld is outside 0..%lld (file %s).", (long long)label, (long long)record,
                  (long long)r->layout->classes - 1, r->path);
}

static bool read_binary(reading *r, const uint8_t *bytes, size_t size)
{
    const size_t record = (size_t)r->layout->label_bytes + PIXELS;
    if (size == 0 || size % record != 0)
        return REFUSE(r,
                      "%s ends early: want a multiple of %zu bytes, the size of a record, got %zu. Hint: unpack the "
                      "archive again.",
                      r->path, record, size);
    int64_t n = (int64_t)(size / record);
    if (!grow(r, n))
        return false;
    for (int64_t i = 0; i < n; i++) {
        const uint8_t *at = bytes + (size_t)i * record;
        if (!check_label(r, at[r->layout->label], i))
            return false;
        put_image(r->images, at + r->layout->label_bytes, 1, at[r->layout->label]);
    }
    return true;
}

static bool put_pickled(reading *r, const fa_cell *labels, const fa_cifar_array *array)
{
    if (labels->kind != FA_VALUE_LIST || labels->as.entries->count != array->rows)
        return REFUSE(r, "%s: %lld images but %lld labels, needs a list with one for each.", r->path,
                      (long long)array->rows,
                      labels->kind == FA_VALUE_LIST ? (long long)labels->as.entries->count : 0LL);
    if (!grow(r, array->rows))
        return false;
    for (int64_t i = 0; i < array->rows; i++) {
        const fa_cell *label = labels->as.entries->item[i];
        if (label->kind != FA_VALUE_INT || label->flavour == FA_FLAVOUR_BIG)
            return REFUSE(r, "%s: label %lld is no whole number.", r->path, (long long)i);
        if (!check_label(r, label->as.number, i))
            return false;
        put_image(r->images, array->bytes + (size_t)i * (array->by_columns ? 1 : PIXELS),
                  array->by_columns ? (size_t)array->rows : 1, label->as.number);
    }
    return true;
}

static bool read_pickled(reading *r, const uint8_t *bytes, size_t size)
{
    fa_cell *dict = fa_cifar_pickle_read(bytes, size, r->path, r->what, r->where);
    if (dict == NULL)
        return false;
    const char *key = r->layout->labels[0];
    if (r->layout->labels[1] != NULL && !fa_cifar_has(dict, key))
        key = r->layout->labels[1];
    const fa_cell *data = fa_cifar_entry(dict, "data", r->path, r->what, r->where);
    const fa_cell *labels = data != NULL ? fa_cifar_entry(dict, key, r->path, r->what, r->where) : NULL;
    fa_cifar_array array;
    bool fine = labels != NULL && fa_cifar_array_of(data, PIXELS, r->path, r->what, r->where, &array) &&
                put_pickled(r, labels, &array);
    fa_cell_drop(dict);
    return fine;
}

static bool read_files(reading *r, bool train)
{
    const char *const *names = train ? r->layout->train : r->layout->test;
    int64_t first = 0;
    for (int i = 0; names[i] != NULL; i++) {
        size_t size;
        int64_t before = r->images->n;
        snprintf(r->path, PATH_BYTES, "%.4000s/%s", r->folder, names[i]);
        uint8_t *bytes = fa_read_whole_file(r->path, most_file_bytes, r->what, r->where, &size);
        bool fine = bytes != NULL && (r->layout->binary ? read_binary(r, bytes, size) : read_pickled(r, bytes, size));
        fa_mfree(bytes);
        if (!fine)
            return false;
        int64_t n = r->images->n - before;
        if (i == 0)
            first = n;
        if (n != first)
            return REFUSE(r,
                          "%s has %lld images, but %s has %lld: needs as many in each. Hint: unpack the archive again.",
                          r->path, (long long)n, names[0], (long long)first);
    }
    return true;
}

/* ---- Names of classes -------------------------------------------------------------------------------------------- */

static bool read_name_lines(reading *r, const char *text)
{
    while (*text != 0) {
        size_t length = strcspn(text, "\r\n");
        if (length > 0 && r->images->owned.count <= MOST_CLASSES &&
            !fa_class_list_add(&r->images->owned, text, length, r->where))
            return false;
        text += length + strspn(text + length, "\r\n");
    }
    return true;
}

static bool read_pickled_names(reading *r, const uint8_t *bytes, size_t size)
{
    fa_cell *dict = fa_cifar_pickle_read(bytes, size, r->path, r->what, r->where);
    const fa_cell *list = dict != NULL ? fa_cifar_entry(dict, r->layout->names, r->path, r->what, r->where) : NULL;
    bool fine = list != NULL;
    int64_t n = list != NULL && list->kind == FA_VALUE_LIST ? list->as.entries->count : 0;
    for (int64_t i = 0; fine && i < n && i <= MOST_CLASSES; i++) {
        const fa_cell *name = list->as.entries->item[i];
        fine = (name->kind == FA_VALUE_STRING || name->kind == FA_VALUE_BYTES) &&
               strlen(name->as.text.bytes) == (size_t)name->as.text.length;
        fine = fine ? fa_class_list_add(&r->images->owned, name->as.text.bytes, (size_t)name->as.text.length, r->where)
                    : REFUSE(r, "%s: the name of class %lld is no text.", r->path, (long long)i);
    }
    fa_cell_drop(dict);
    return fine;
}

static bool read_names(reading *r)
{
    fa_memory_images *images = r->images;
    if (!is_file(r->folder, r->layout->meta)) {
        images->classes = (fa_names){cifar10_names, 10};
        if (r->layout->classes == 10)
            return true;
        bool fine = fa_class_list_numbers(&images->owned, r->layout->classes, r->where);
        images->classes = fa_class_list_names(&images->owned);
        return fine;
    }
    size_t size;
    snprintf(r->path, PATH_BYTES, "%.4000s/%s", r->folder, r->layout->meta);
    uint8_t *bytes = fa_read_whole_file(r->path, 1 << 20, r->what, r->where, &size);
    bool fine = bytes != NULL &&
                (r->layout->binary ? read_name_lines(r, (const char *)bytes) : read_pickled_names(r, bytes, size));
    fa_mfree(bytes);
    if (!fine)
        return false;
    images->classes = fa_class_list_names(&images->owned);
    return images->classes.count == r->layout->classes ||
           REFUSE(r, "%s has %lld names of classes, needs %lld.", r->path, (long long)images->classes.count,
                  (long long)r->layout->classes);
}

/* ---- Fetching ---------------------------------------------------------------------------------------------------- */

/* The version for Python, unless the half is there in either one. */
static bool download(const reading *r, const fa_cifar_args *args, const layout *layouts)
{
    static const char *const mirrors[] = {"https://www.cs.toronto.edu/~kriz/", NULL};
    const layout *l = &layouts[0];
    const bool ten = l->classes == 10;
    const char *names[MOST_FILES + 3] = {NULL};
    int count = 0;
    reading look = *r;
    if (find_layout(&look, args->root, layouts, args->train))
        return true;
    fa_clear_error();
    for (int i = 0; l->train[i] != NULL; i++)
        names[count++] = l->train[i];
    names[count++] = l->test[0];
    names[count++] = l->meta;
    const fa_download file = {ten ? "cifar-10-python.tar.gz" : "cifar-100-python.tar.gz",
                              ten ? "c58f30108f718f92721af3b95e74349a" : "eb9058c3a382ffc7106e4002c42a8d85",
                              mirrors,
                              args->root,
                              r->what,
                              r->where};
    char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/%s", args->root, file.name);
    return fa_download_file(&file) && length >= 0 && length < PATH_BYTES &&
           fa_unpack_tar(path, l->folder, names, args->root, r->what, r->where);
}

/* ---- Making one -------------------------------------------------------------------------------------------------- */

static fa_dataset *open_cifar(const fa_cifar_args *args, const layout *layouts, const char *what)
{
    if (!fa_data_args_check(args->root, args->transform, what, args->where_))
        return NULL;
    fa_memory_images images = {.form = {false, 3, SIDE, SIDE, false}};
    reading *r = fa_calloc(1, sizeof *r);
    if (r == NULL) {
        fa_fail_memory(args->where_, sizeof *r);
        return NULL;
    }
    *r = (reading){.what = what, .where = args->where_, .images = &images};
    bool fine = (!args->download || download(r, args, layouts)) && find_layout(r, args->root, layouts, args->train) &&
                read_names(r) && read_files(r, args->train);
    fa_mfree(r);
    if (!fine) {
        fa_memory_images_end(&images);
        return NULL;
    }
    fa_target_rule target = {args->target_transform, args->target_user};
    return fa_memory_images_make(&images, args->transform, &target, what, args->where_);
}

fa_dataset *fa_cifar10_at(const fa_cifar_args *args)
{
    if (args->coarse) {
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_cifar10", "got .coarse, which only fa_cifar100 has.");
        return NULL;
    }
    return open_cifar(args, cifar10_layouts, "fa_cifar10");
}

fa_dataset *fa_cifar100_at(const fa_cifar_args *args)
{
    return open_cifar(args, args->coarse ? coarse_layouts : cifar100_layouts, "fa_cifar100");
}
