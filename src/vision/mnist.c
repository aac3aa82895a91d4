/* MNIST and data sets in its form: Fashion-MNIST, KMNIST, EMNIST. Files are read and checked when the data set is made;
 * the bytes stay in memory once. */
#include "files/download.h"
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
    const char *const *mirrors;
    const char *md5[4]; /* of the packed files, in the order of `files` */
} family;

static const char *const files[] = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte",
                                    "t10k-labels-idx1-ubyte"};

#define NAMES(array)                                                                                                   \
    {                                                                                                                  \
        (array), (int64_t)(sizeof(array) / sizeof *(array))                                                            \
    }

static const char *const digits[] = {"0 - zero", "1 - one", "2 - two",   "3 - three", "4 - four",
                                     "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine"};
static const char *const clothes[] = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                      "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
static const char *const kuzushiji[] = {"o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"};
static const char *const mnist_mirrors[] = {"https://ossci-datasets.s3.amazonaws.com/mnist/",
                                            "http://yann.lecun.com/exdb/mnist/", NULL};
static const char *const fashion_mirrors[] = {"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/", NULL};
static const char *const kmnist_mirrors[] = {"http://codh.rois.ac.jp/kmnist/dataset/kmnist/", NULL};
static const family mnist = {"fa_mnist",
                             "MNIST",
                             NAMES(digits),
                             "train",
                             "t10k",
                             mnist_mirrors,
                             {"f68b3c2dcbeaaa9fbdd348bbdeb94873", "d53e105ee54ea40749a09fcbcd1e9432",
                              "9fb629c4189551a2d022fa330f9573f3", "ec29112dd5afa0611ce80d1b7f02629c"}};
static const family fashion_mnist = {"fa_fashion_mnist",
                                     "FashionMNIST",
                                     NAMES(clothes),
                                     "train",
                                     "t10k",
                                     fashion_mirrors,
                                     {"8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
                                      "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310"}};
static const family kmnist = {"fa_kmnist",
                              "KMNIST",
                              NAMES(kuzushiji),
                              "train",
                              "t10k",
                              kmnist_mirrors,
                              {"bdb82020997e1d708af4cf47b453dcf7", "e144d726b3acfaa3e44228e80efcd344",
                               "5c965bf0a639b31b8f53240b1b52f4d7", "7320c461ea6c1c855c0b718fb2a4b134"}};

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

/* 1: `path` is the file; 0: there is none; -1: an error. */
static int look_for_file(const char *root, const char *name, const family *f, char path[PATH_BYTES], fa_where where)
{
    static const char *const folder[] = {"", "/raw", "/"};
    static const char *const ending[] = {"", ".gz"};
    for (int k = 0; k < 3; k++)
        for (int e = 0; e < 2; e++) {
            struct stat status;
            int length = snprintf(path, PATH_BYTES, "%s%s%s%s/%s%s", root, folder[k], k == 2 ? f->folder : "",
                                  k == 2 ? "/raw" : "", name, ending[e]);
            if (length < 0 || length >= PATH_BYTES) {
                fa_fail(FA_VALUE_ERROR, where, f->call, "got a root of %zu bytes, needs a shorter one.", strlen(root));
                return -1;
            }
            if (stat(path, &status) == 0 && S_ISREG(status.st_mode))
                return 1;
        }
    return 0;
}

static bool find_file(const char *root, const char *name, const family *f, char path[PATH_BYTES], fa_where where)
{
    int found = look_for_file(root, name, f, path, where);
    if (found != 0)
        return found > 0;
    return fa_fail(FA_FILE_ERROR, where, f->call,
                   "got no %s in %s, %s/raw or %s/%s/raw; needs it in one of them, with or without .gz. Hint: put the "
                   "data set's files there%s.",
                   name, root, root, root, f->folder, f->mirrors != NULL ? ", or set .download" : "");
}

/* All four files that are not there yet, into root/MNIST/raw. */
static bool download(const char *root, const family *f, fa_where where)
{
    char path[PATH_BYTES], folder[PATH_BYTES], name[64];
    int length = snprintf(folder, PATH_BYTES, "%s/%s/raw", root, f->folder);
    for (int i = 0; i < 4; i++) {
        int found = look_for_file(root, files[i], f, path, where);
        if (found > 0)
            continue;
        if (found < 0 || length < 0 || length >= PATH_BYTES)
            return false;
        snprintf(name, sizeof name, "%s.gz", files[i]);
        const fa_download file = {name, f->md5[i], f->mirrors, folder, f->call, where};
        if (!fa_download_file(&file))
            return false;
    }
    return true;
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
    images->form = (fa_image_form){false, 1, pixels.size[1], pixels.size[2], false};
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
    if ((args->download && !download(args->root, f, args->where_)) ||
        !read_half(&images, args->root, args->train, f, args->where_)) {
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
