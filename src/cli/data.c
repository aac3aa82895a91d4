/* Data told by its content: files of MNIST and its like, of CIFAR, lists, arrays, or folders of pictures. */
#include "data.h"

#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { SIZES_LOOKED_AT = 64, LARGEST_AS_IT_IS = 64, DEFAULT_SIDE = 64 };

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static bool is_file(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* ---- Known files ------------------------------------------------------------------------------------------------- */

#define OPENER(name)                                                                                                   \
    static fa_dataset *open_##name(const data_source *d, data_part part, fa_transform *transform)                      \
    {                                                                                                                  \
        return fa_##name(d->root, .train = part == PART_TRAIN, .transform = transform, .download = d->download);       \
    }
OPENER(mnist)
OPENER(fashion_mnist)
OPENER(kmnist)
OPENER(cifar10)
OPENER(cifar100)

/* Whether "root/folder/name" is a file. */
static bool has_file(const data_source *d, const char *folder, const char *name)
{
    char path[DATA_PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/%s/%s", d->root, folder, name);
    return length >= 0 && length < (int)sizeof path && is_file(path);
}

/* Whether a path speaks of something, in whatever case: ".../Fashion-MNIST/raw". */
static bool path_says(const char *path, const char *word)
{
    size_t length = strlen(word);
    for (; *path != '\0'; path++)
        if (strncasecmp(path, word, length) == 0)
            return true;
    return false;
}

/* Files in MNIST's form do not say which of the data sets they are; their folder does. */
static bool find_mnist(data_source *d)
{
    static const char *const files[] = {"train-images-idx3-ubyte", "train-images-idx3-ubyte.gz",
                                        "t10k-images-idx3-ubyte", "t10k-images-idx3-ubyte.gz"};
    static const char *const folders[] = {".", "raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw"};
    for (int k = 0; k < 5 * 4; k++) {
        const char *folder = folders[k / 4];
        if (!has_file(d, folder, files[k % 4]))
            continue;
        bool fashion = path_says(d->root, "fashion") || path_says(folder, "fashion");
        bool kuzushiji = path_says(d->root, "kmnist") || path_says(folder, "kmnist");
        snprintf(d->what, sizeof d->what, "files of %s", fashion ? "Fashion-MNIST" : kuzushiji ? "KMNIST" : "MNIST");
        d->open = fashion ? open_fashion_mnist : kuzushiji ? open_kmnist : open_mnist;
        d->has[PART_TEST] = true;
        return true;
    }
    return false;
}

static bool find_cifar(data_source *d)
{
    static const struct {
        const char *folder, *file, *what;
        bool hundred;
    } places[] = {
        {"cifar-10-batches-py", "data_batch_1", "CIFAR-10, version for Python", false},
        {"cifar-10-batches-py", "test_batch", "CIFAR-10, version for Python", false},
        {"cifar-10-batches-bin", "data_batch_1.bin", "CIFAR-10, binary version", false},
        {"cifar-10-batches-bin", "test_batch.bin", "CIFAR-10, binary version", false},
        {"cifar-100-python", "train", "CIFAR-100, version for Python", true},
        {"cifar-100-binary", "train.bin", "CIFAR-100, binary version", true},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (has_file(d, places[i].folder, places[i].file) || has_file(d, ".", places[i].file)) {
            snprintf(d->what, sizeof d->what, "files of %s", places[i].what);
            d->open = places[i].hundred ? open_cifar100 : open_cifar10;
            d->has[PART_TEST] = true;
            return true;
        }
    return false;
}

/* ---- Lists and arrays -------------------------------------------------------------------------------------------- */

static fa_dataset *open_list(const data_source *d, data_part part, fa_transform *transform)
{
    return fa_csv_images(d->folder[part], .transform = transform, .picture = d->picture,
                         .classes = part == PART_TRAIN ? (fa_names){NULL, 0} : d->classes);
}

static fa_dataset *open_arrays(const data_source *d, data_part part, fa_transform *transform)
{
    char labels[DATA_PATH_BYTES + 8];
    size_t begin = strlen(d->folder[part]) - strlen("images.npy");
    snprintf(labels, sizeof labels, "%.*slabels.npy", (int)begin, d->folder[part]);
    return part == PART_TRAIN ? fa_npy_images(d->folder[part], labels, .transform = transform)
                              : fa_npy_images(d->folder[part], labels, .transform = transform, .classes = d->classes);
}

/* The files of the parts by these names in the folder; those of the training part may have another one, too. */
static bool find_files(data_source *d, const char *const names[DATA_PARTS], const char *other)
{
    for (int part = 0; part < DATA_PARTS; part++) {
        const char *name = part == PART_TRAIN && !has_file(d, ".", names[part]) ? other : names[part];
        int length = snprintf(d->folder[part], DATA_PATH_BYTES, "%s/%s", d->root, name);
        d->has[part] = length >= 0 && length < DATA_PATH_BYTES && has_file(d, ".", name);
    }
    bool found = d->has[PART_TRAIN];
    d->has[PART_TRAIN] = true;
    if (!found)
        d->has[PART_VALIDATION] = d->has[PART_TEST] = false;
    return found;
}

static bool find_lists_and_arrays(data_source *d)
{
    static const char *const lists[DATA_PARTS] = {"train.csv", "val.csv", "test.csv"};
    static const char *const arrays[DATA_PARTS] = {"train_images.npy", "val_images.npy", "test_images.npy"};
    bool list = find_files(d, lists, "labels.csv");
    if (!list && !find_files(d, arrays, "images.npy"))
        return false;
    d->open = list ? open_list : open_arrays;
    d->files = list;
    snprintf(d->what, sizeof d->what, "%s", list ? "lists of pictures" : "arrays in .npy files");
    return true;
}

/* ---- Folders of pictures ----------------------------------------------------------------------------------------- */

static fa_dataset *open_folder(const data_source *d, data_part part, fa_transform *transform)
{
    return part == PART_TRAIN ? fa_image_folder(d->folder[part], .transform = transform, .picture = d->picture,
                                                .allow_empty = d->allow_empty)
                              : fa_image_folder(d->folder[part], .transform = transform, .picture = d->picture,
                                                .classes = d->classes, .allow_empty = true);
}

/* The first of these sub-folders that is there. */
static const char *find_part(data_source *d, data_part part)
{
    static const char *const names[DATA_PARTS][4] = {
        {"train", "training"}, {"val", "valid", "validation"}, {"test", "testing"}};
    for (int i = 0; i < 4 && names[part][i] != NULL; i++) {
        int length = snprintf(d->folder[part], DATA_PATH_BYTES, "%s/%s", d->root, names[part][i]);
        if (length >= 0 && length < DATA_PATH_BYTES && is_folder(d->folder[part])) {
            d->has[part] = true;
            return names[part][i];
        }
    }
    return NULL;
}

static bool find_folders(data_source *d)
{
    const char *train = find_part(d, PART_TRAIN);
    const char *validation = find_part(d, PART_VALIDATION), *test = find_part(d, PART_TEST);
    d->open = open_folder;
    d->files = true;
    if (train != NULL)
        snprintf(d->what, sizeof d->what, "class folders in %s/%s%s%s%s%s%s", train,
                 validation != NULL && test != NULL ? ", "
                 : validation != NULL               ? " and "
                                                    : "",
                 validation != NULL ? validation : "", validation != NULL ? "/" : "", test != NULL ? " and " : "",
                 test != NULL ? test : "", test != NULL ? "/" : "");
    else if (validation != NULL || test != NULL)
        return fa_raise(FA_FILE_ERROR,
                        "got %s, which has a folder %s/ and no train/, needs both. Hint: to split the "
                        "pictures of one folder, give that folder.",
                        d->root, validation != NULL ? validation : test),
               false;
    else {
        snprintf(d->what, sizeof d->what, "class folders");
        snprintf(d->folder[PART_TRAIN], DATA_PATH_BYTES, "%s", d->root);
    }
    return true;
}

/* ---- Either ------------------------------------------------------------------------------------------------------ */

static bool has_folders(const char *path)
{
    DIR *stream = opendir(path);
    bool found = false;
    for (const struct dirent *entry; !found && stream != NULL && (entry = readdir(stream)) != NULL;) {
        char inner[DATA_PATH_BYTES];
        int length = snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        found = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && length >= 0 &&
                length < (int)sizeof inner && is_folder(inner);
    }
    if (stream != NULL)
        closedir(stream);
    return found;
}

static bool refuse_root(const char *root)
{
    DIR *stream = opendir(root);
    if (stream == NULL)
        return fa_raise(FA_FILE_ERROR, "got %s, which could not be read: %s.", root, strerror(errno)), false;
    long long pictures = 0;
    for (const struct dirent *entry; (entry = readdir(stream)) != NULL;)
        pictures += is_picture_name(entry->d_name);
    closedir(stream);
    if (pictures > 0)
        return fa_raise(FA_FILE_ERROR,
                        "got %s, in which %lld picture%s, and no sub-folder: needs one for each class with its "
                        "pictures, or a list train.csv of path,label.",
                        root, pictures, pictures == 1 ? " lies" : "s lie"),
               false;
    return fa_raise(FA_FILE_ERROR,
                    "got %s, in which no data was found. Looked for train-images-idx3-ubyte (MNIST and what has its "
                    "form), data_batch_1 or data_batch_1.bin (CIFAR), train.csv, images.npy, and sub-folders, one for "
                    "each class with its pictures, or train/, val/ and test/ with such folders.",
                    root),
           false;
}

bool data_find(data_source *d, const char *root)
{
    *d = (data_source){.root = root};
    d->has[PART_TRAIN] = true;
    struct stat status;
    if (stat(root, &status) != 0)
        return fa_raise(FA_FILE_ERROR, "got %s, which could not be opened: %s. Hint: give the folder of the data.",
                        root, strerror(errno)),
               false;
    if (!S_ISDIR(status.st_mode)) {
        size_t length = strlen(root);
        if (length < 4 || length >= DATA_PATH_BYTES || strcasecmp(root + length - 4, ".csv") != 0)
            return fa_raise(FA_FILE_ERROR, "got %s, which is no folder, needs the folder of the data or a list (.csv).",
                            root),
                   false;
        snprintf(d->folder[PART_TRAIN], DATA_PATH_BYTES, "%s", root);
        snprintf(d->what, sizeof d->what, "a list of pictures");
        d->open = open_list;
        d->files = true;
        return true;
    }
    if (find_mnist(d) || find_cifar(d) || find_lists_and_arrays(d))
        return true;
    if (!has_folders(root))
        return refuse_root(root);
    return find_folders(d);
}

fa_dataset *data_open(data_source *d, data_part part, fa_transform *transform)
{
    fa_dataset *data = d->open(d, part, transform);
    if (part == PART_TRAIN && data != NULL)
        d->classes = fa_dataset_classes(data);
    return data;
}

fa_batch data_first_item(fa_dataset *data, int64_t tries)
{
    const int64_t n = fa_length(data);
    fa_batch item = fa_dataset_get(data, 0);
    for (int64_t i = 1; i < n && i < tries && item.images == NULL; i++) {
        fa_clear_error();
        item = fa_dataset_get(data, i);
    }
    return item;
}

bool data_sets_size(const char *transforms)
{
    return strstr(transforms, "Resize") != NULL || strstr(transforms, "Crop") != NULL;
}

/* ---- Sizes ------------------------------------------------------------------------------------------------------- */

bool data_sizes(data_source *d, picture_sizes *sizes)
{
    *sizes = (picture_sizes){.least = {INT64_MAX, INT64_MAX}};
    fa_dataset *data = d->open(d, PART_TRAIN, NULL);
    int64_t n = 0;
    if (data != NULL)
        n = fa_length(data);
    int64_t count = n < SIZES_LOOKED_AT ? n : SIZES_LOOKED_AT;
    for (int64_t i = 0; i < count; i++)
        fa_scope {
            /* A picture that cannot be read is an error when its turn comes, unless there is no other. */
            if (i > 0)
                fa_clear_error();
            fa_batch item = fa_dataset_get(data, count > 1 ? i * (n - 1) / (count - 1) : 0);
            if (item.images != NULL) {
                fa_clear_error();
                sizes->looked_at++;
                for (int k = 0; k < 2; k++) {
                    int64_t size = fa_size(item.images, 1 + k);
                    sizes->least[k] = size < sizes->least[k] ? size : sizes->least[k];
                    sizes->most[k] = size > sizes->most[k] ? size : sizes->most[k];
                }
            }
        }
    if (sizes->looked_at > 0)
        fa_clear_error();
    fa_free(data);
    fa_picture_notes_reset();
    sizes->one =
        sizes->least[0] == sizes->most[0] && sizes->least[1] == sizes->most[1] && sizes->least[0] == sizes->least[1];
    return fa_ok();
}

int64_t data_side(const picture_sizes *sizes)
{
    return sizes->one && sizes->least[0] <= LARGEST_AS_IT_IS ? sizes->least[0] : DEFAULT_SIDE;
}

bool data_download(const char *name, const char *root)
{
    static const struct {
        const char *name;
        data_opener open;
    } known[] = {{"mnist", open_mnist},
                 {"fashion-mnist", open_fashion_mnist},
                 {"kmnist", open_kmnist},
                 {"cifar10", open_cifar10},
                 {"cifar100", open_cifar100}};
    const data_source d = {.root = root, .download = true};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0) {
            fa_free(known[i].open(&d, PART_TRAIN, NULL));
            return fa_ok();
        }
    return fa_raise(FA_VALUE_ERROR, "--download: got \"%s\", needs mnist, fashion-mnist, kmnist, cifar10 or cifar100",
                    name),
           false;
}
