/* MNIST and data sets in its form: Fashion-MNIST, KMNIST, EMNIST. Files are read and checked when the data set is made;
 * the bytes stay in memory once. */
#include "vision/idx.h"
#include "vision/memory_images.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_BYTES = 4096 };

/* What the members of the family differ in. */
typedef struct family {
    const char *call, *folder; /* "fa_mnist", "MNIST" */
    fa_names classes;
    char train[48], test[48]; /* what the files' names begin with: "train", "t10k" */
} family;

#define NAMES(array)                                                                                                   \
    {                                                                                                                  \
        (array), (int64_t)(sizeof(array) / sizeof *(array))                                                            \
    }

static const char *const digits[] = {"0 - zero", "1 - one", "2 - two",   "3 - three", "4 - four",
                                     "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine"};
static const char *const clothes[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                      "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
static const char *const kuzushiji[] = {"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"};
static const family mnist = {"fa_mnist", "MNIST", NAMES(digits), "train", "t10k"};
static const family fashion_mnist = {"fa_fashion_mnist", "FashionMNIST", NAMES(clothes), "train", "t10k"};
static const family kmnist = {"fa_kmnist", "KMNIST", NAMES(kuzushiji), "train", "t10k"};

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static bool find_file(const char *root, const char *name, const family *f, char path[PATH_BYTES], fa_where where)
{
    static const char *const folder[] = {"", "/raw", "/"};
    static const char *const ending[] = {"", ".gz"};
    for (int k = 0; k < 3; k++)
        for (int e = 0; e < 2; e++) {
            struct stat status;
            int length = snprintf(path, PATH_BYTES, "%s%s%s%s/%s%s", root, folder[k], k == 2 ? f->folder : "",
                                  k == 2 ? "/raw" : "", name, ending[e]);
            if (length < 0 || length >= PATH_BYTES)
                return fa_fail(FA_VALUE_ERROR, where, f->call, "got a root of %zu bytes, needs a shorter one.",
                               strlen(root));
            if (stat(path, &status) == 0 && S_ISREG(status.st_mode))
                return true;
        }
    return fa_fail(FA_FILE_ERROR, where, f->call,
                   "got no %s in %s, %s/raw or %s/%s/raw; needs it in one of them, with or without .gz. Hint: put the "
                   "data set's files there.",
                   name, root, root, root, f->folder);
}

/* Labels as int64; false after an error. */
static bool widen_labels(fa_memory_images *images, const fa_idx *labels, const char *half, const char *images_path,
                         const char *path, const family *f, fa_where where)
{
    int64_t n = labels->size[0], bad = 0;
    const uint8_t *label = labels->buffer->data;
    while (bad < n && label[bad] < f->classes.count)
        bad++;
    if (n != images->n)
        return fa_fail(FA_FILE_ERROR, where, f->call,
                       "%s: %lld images but %lld labels (files %s, %s), needs one label an image.", half,
                       (long long)images->n, (long long)n, images_path, path);
    if (bad < n)
        return fa_fail(FA_FILE_ERROR, where, f->call, "label %d of sample %lld is outside 0..%lld (file %s).",
                       label[bad], (long long)bad, (long long)f->classes.count - 1, path);
    images->labels = fa_buffer_new((size_t)n * sizeof(int64_t));
    if (images->labels == NULL)
        return fa_fail_memory(where, (size_t)n * sizeof(int64_t));
    for (int64_t i = 0; i < n; i++)
        ((int64_t *)images->labels->data)[i] = label[i];
    return true;
}

/* Fills in images and labels; false after an error. */
static bool read_half(fa_memory_images *images, const char *root, bool train, const family *f, fa_where where)
{
    char name[96], images_path[PATH_BYTES], path[PATH_BYTES];
    const char *half = train ? f->train : f->test;
    snprintf(name, sizeof name, "%s-images-idx3-ubyte", half);
    if (!find_file(root, name, f, images_path, where))
        return false;
    snprintf(name, sizeof name, "%s-labels-idx1-ubyte", half);
    if (!find_file(root, name, f, path, where))
        return false;
    fa_idx pixels, labels;
    if (!fa_idx_read(images_path, 3, f->call, where, &pixels))
        return false;
    images->pixels = pixels.buffer;
    images->n = pixels.size[0];
    images->form = (fa_image_form){false, 1, pixels.size[1], pixels.size[2]};
    if (!fa_idx_read(path, 1, f->call, where, &labels))
        return false;
    bool fine = widen_labels(images, &labels, train ? "train" : "test", images_path, path, f, where);
    fa_buffer_release(labels.buffer);
    return fine;
}

static fa_dataset *open_family(const fa_mnist_args *args, const family *f)
{
    if (!fa_data_args_check(args->root, args->transform, f->call, args->where_))
        return NULL;
    fa_memory_images images = {.classes = f->classes};
    if (!read_half(&images, args->root, args->train, f, args->where_)) {
        fa_memory_images_end(&images);
        return NULL;
    }
    fa_target_rule target = {args->target_transform, args->target_user};
    return fa_memory_images_make(&images, args->transform, &target, f->call, args->where_);
}

fa_dataset *fa_mnist_at(const fa_mnist_args *args)
{
    return open_family(args, &mnist);
}

fa_dataset *fa_fashion_mnist_at(const fa_mnist_args *args)
{
    return open_family(args, &fashion_mnist);
}

fa_dataset *fa_kmnist_at(const fa_mnist_args *args)
{
    return open_family(args, &kmnist);
}

/* ---- EMNIST ------------------------------------------------------------------------------------------------------ */

/* Digits, capitals, small letters, in this order; those that are told apart from their capital alone. */
static const char *const characters[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F",
                                         "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V",
                                         "W", "X", "Y", "Z", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l",
                                         "m", "n", "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z"};
static const char *const merged[] = {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F",
                                     "G", "H", "I", "J", "K", "L", "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V",
                                     "W", "X", "Y", "Z", "a", "b", "d", "e", "f", "g", "h", "n", "q", "r", "t"};
static const char *const letters[] = {"N/A", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m",
                                      "n",   "o", "p", "q", "r", "s", "t", "u", "v", "w", "x", "y", "z"};

fa_dataset *fa_emnist_at(const fa_emnist_args *args)
{
    static const char *const call = "fa_emnist";
    static const struct {
        const char *split;
        fa_names classes;
    } splits[] = {{"byclass", NAMES(characters)}, {"bymerge", NAMES(merged)},   {"balanced", NAMES(merged)},
                  {"letters", NAMES(letters)},    {"digits", {characters, 10}}, {"mnist", {characters, 10}}};
    for (size_t i = 0; args->split != NULL && i < sizeof splits / sizeof *splits; i++)
        if (strcmp(args->split, splits[i].split) == 0) {
            family f = {.call = call, .folder = "EMNIST", .classes = splits[i].classes};
            snprintf(f.train, sizeof f.train, "emnist-%s-train", args->split);
            snprintf(f.test, sizeof f.test, "emnist-%s-test", args->split);
            const fa_mnist_args rest = {.root = args->root,
                                        .where_ = args->where_,
                                        .train = args->train,
                                        .transform = args->transform,
                                        .target_transform = args->target_transform,
                                        .target_user = args->target_user};
            return open_family(&rest, &f);
        }
    fa_fail(FA_VALUE_ERROR, args->where_, call,
            "got split \"%s\", needs \"byclass\", \"bymerge\", \"balanced\", \"letters\", \"digits\" or \"mnist\".",
            args->split != NULL ? args->split : "(NULL)");
    return NULL;
}
