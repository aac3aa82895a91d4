/* Pictures: the data sets of torchvision. Transforms are in facula/transforms.h, reading pictures in facula/pictures.h.
 *
 * Data sets and transforms are counted objects; facula/data.h says who holds what. */
#ifndef FACULA_VISION_H
#define FACULA_VISION_H

#include "facula/data.h"
#include "facula/functional.h"
#include "facula/pictures.h"
#include "facula/transforms.h"

#ifdef __cplusplus
extern "C" {
#endif

/* target_transform: what stands for a class number in the items (one int64, as the classes' own); .target_user is
 * passed on. It is called on the loader's workers, several at once. fa_dataset_targets gives the numbers before it. */
typedef int64_t (*fa_target_transform)(void *user, int64_t target);

/* ---- ImageFolder ------------------------------------------------------------------------------------------------- */

typedef struct fa_image_folder_args {
    char begin_;
    const char *root;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_transform *transform;
    fa_target_transform target_transform;
    void *target_user;
    bool allow_empty;    /* a class folder without pictures is a class of no items, no error */
    fa_names extensions; /* endings of the files that count, in small letters; default: .jpg .jpeg .png .ppm .bmp .pgm
                            .tif .tiff .webp */
    bool (*is_valid_file)(const char *path); /* instead: which files count */
    fa_names classes;                        /* these, in this order, instead of the sub-folders there are */
    fa_picture_options picture;              /* how pictures are read: {.mode = "L"} */
} fa_image_folder_args;
/* ImageFolder(root): pictures in one sub-folder a class, root/cat/1.jpg, root/cat/left/2.png, root/dog/1.jpg.
 *
 * Classes are the sub-folders, sorted by name as text (1, 10, 2); items are the files below each, at any depth, folder
 * by folder sorted by path, in each sorted by name: torchvision's order. Links are followed; the class is the folder
 * that holds the link. Files with other endings are left out, plain files beside the class folders do not count
 * (fa_dataset_notes tells). Endings are compared without case; which kind of picture a file is says its content.
 *
 * Item i is (image, label): what the transform makes of the picture, uint8 [C, H, W] without one, and an int64. The
 * index takes the files' names and 8 bytes a file; pictures are read when their item is asked for, on the loader's
 * workers. fa_dataset_classes has the names, fa_item_name an item's file. Pictures of many sizes need a
 * transform that makes them one size to go into a batch: fa_fit(64).
 *
 * .classes takes those of another data set, so that a test folder where a class is missing keeps the numbers:
 *
 *     fa_dataset *train = fa_image_folder("pets/train", .transform = t);
 *     fa_dataset *test = fa_image_folder("pets/test", .transform = t, .classes = fa_dataset_classes(train),
 *                                        .allow_empty = true);
 *
 * Errors (FA_FILE_ERROR, naming the folder): missing or not to be read; no picture; class folders without a picture; a
 * folder that is none of .classes; a loop of links. An item's error names its file. */
FA_API fa_dataset *fa_image_folder_at(const fa_image_folder_args *args) FA_WARN_UNUSED;
#define fa_image_folder(...) FA_CALL_(fa_image_folder_at, fa_image_folder_args, .begin_ = 0, __VA_ARGS__)

/* ---- A list of pictures ------------------------------------------------------------------------------------------ */

typedef struct fa_csv_images_args {
    char begin_;
    const char *path; /* of the list */
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_transform *transform;
    fa_target_transform target_transform;
    void *target_user;
    const char *root;                       /* where paths begin that do not begin with /; default: the list's folder */
    int header;                             /* 1: the first line is one; 0: it is none; default: told by its content */
    const char *path_column, *label_column; /* names in the header; default: path, file, image, ... and label, class,
                                               ..., the likeliest first */
    fa_names classes;                       /* these, in this order; default: those of the list */
    fa_picture_options picture;
} fa_csv_images_args;
/* Pictures that a text lists, a line each: path,label (train/7.jpg,cat). Fields may stand in quotes; semicolons or tabs
 * may stand for commas. Without .header the first line is one when it has a usual name for a column, or names no file
 * where the second line does; without a header the first two fields of a line are taken.
 *
 * Labels that are all whole numbers are the class numbers themselves, and the classes are called "0", "1", ... up to
 * the largest. Others are the classes' names, which are numbered in the order of fa_image_folder. With .classes a label
 * is one of them, or its number.
 *
 * Item i is that of line i: (image, label) as of fa_image_folder. Errors (FA_FILE_ERROR, naming the list and the line):
 * missing; too few fields; a quote that nothing closes; a label that is none of the classes, negative or above 999999.
 * An item's error names its file and its line. */
FA_API fa_dataset *fa_csv_images_at(const fa_csv_images_args *args) FA_WARN_UNUSED;
#define fa_csv_images(...) FA_CALL_(fa_csv_images_at, fa_csv_images_args, .header = -1, .begin_ = 0, __VA_ARGS__)

/* ---- Images in memory -------------------------------------------------------------------------------------------- */

/* dataset.data of a data set that keeps its images in memory as they are: uint8 [N, 28, 28] of fa_mnist, uint8
 * [N, 32, 32, 3] of fa_cifar10. The very memory of the data set, kept while the tensor is; so are fa_dataset_targets of
 * these. */
FA_API fa_tensor *fa_dataset_data_at(fa_dataset *dataset, fa_where where) FA_WARN_UNUSED;
#define fa_dataset_data(dataset) fa_dataset_data_at((dataset), FA_HERE)

typedef struct fa_image_tensors_args {
    char begin_;
    fa_tensor *images, *labels;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_transform *transform;
    fa_target_transform target_transform;
    void *target_user;
    int channels_first; /* of uint8 with 4 dimensions: 1: [N, C, H, W]; 0: [N, H, W, C]; default: see below */
    fa_names classes;   /* copied; default: "0", "1", ... up to the largest label */
} fa_image_tensors_args;
/* Arrays in memory as a data set of images, with transforms: images uint8 [N, H, W], [N, H, W, C] or [N, C, H, W], or
 * float32 [N, C, H, W] or [N, H, W]; labels int64, int32 or uint8 [N]. Without .channels_first the last dimension of
 * uint8 images is the channels if it is 1, 3 or 4, else dimension 1. Item i is (image, label) as of fa_mnist. Tensors
 * in memory of their own are kept, not copied; others, bytes in planes, and labels of other types are copied.
 *
 *     fa_dataset *data = fa_image_tensors(fa_from_memory(pixels, FA_UINT8, FA_SHAPE(n, 32, 32, 3)),
 *                                         fa_from_memory(labels, FA_INT64, FA_SHAPE(n)), .transform = fa_to_tensor());
 *
 * Errors: other types or shapes; images and labels of different number; a label that is negative, above 999999, or none
 * of .classes, with its sample. fa_tensor_dataset takes what needs no transform. */
FA_API fa_dataset *fa_image_tensors_at(const fa_image_tensors_args *args) FA_WARN_UNUSED;
#define fa_image_tensors(...)                                                                                          \
    FA_CALL_(fa_image_tensors_at, fa_image_tensors_args, .channels_first = -1, .begin_ = 0, __VA_ARGS__)

typedef struct fa_npy_images_args {
    char begin_;
    const char *images, *labels; /* paths */
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_transform *transform;
    fa_target_transform target_transform;
    void *target_user;
    int channels_first;
    fa_names classes;
} fa_npy_images_args;
/* The same of two files that numpy.save wrote. Images in NumPy's order stay on the disk and are read as they are used:
 * the files must not be changed while the data set lives. Errors name the file. */
FA_API fa_dataset *fa_npy_images_at(const fa_npy_images_args *args) FA_WARN_UNUSED;
#define fa_npy_images(...)                                                                                             \
    FA_CALL_(fa_npy_images_at, fa_npy_images_args, .channels_first = -1, .begin_ = 0, __VA_ARGS__)

/* ---- Noise ------------------------------------------------------------------------------------------------------- */

typedef struct fa_fake_data_args {
    char begin_;
    int64_t size;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t image_size[3]; /* channels (1 or 3), height, width */
    int64_t num_classes;
    fa_transform *transform;
    fa_target_transform target_transform;
    void *target_user;
    int64_t random_offset;
} fa_fake_data_args;
/* FakeData(size=1000, image_size=(3, 224, 224), num_classes=10, random_offset=0): images of noise and labels, number
 * for number those of torchvision: item i is drawn from a generator seeded with i + random_offset, and no other
 * generator is touched. */
FA_API fa_dataset *fa_fake_data_at(const fa_fake_data_args *args) FA_WARN_UNUSED;
#define fa_fake_data(...)                                                                                              \
    FA_CALL_(fa_fake_data_at, fa_fake_data_args, .size = 1000, .image_size = {3, 224, 224}, .num_classes = 10,         \
             .begin_ = 0, __VA_ARGS__)

/* ---- MNIST ------------------------------------------------------------------------------------------------------- */

typedef struct fa_mnist_args {
    char begin_;
    const char *root;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool train; /* the training images; false: the test images */
    fa_transform *transform;
    fa_target_transform target_transform;
    void *target_user;
    bool download; /* fetch what is missing into root/MNIST/raw */
} fa_mnist_args;
/* MNIST(root): train-images-idx3-ubyte and train-labels-idx1-ubyte, or t10k-..., in root, root/raw or root/MNIST/raw,
 * with or without .gz in the name; whether a file is packed is told by its content. Only the half that is asked for
 * must be there. Item i is (image, label): uint8 [1, 28, 28], or what the transform makes of it, and an int64. Images
 * stay in memory once, as bytes.
 *
 * .download fetches those of the four files that are not there (needs a library built with libcurl): from torchvision's
 * mirrors, checked by their MD5 sums, resumed after a broken connection, named only when they are whole. FACULA_MIRROR
 * in the environment names another place, FACULA_MIRROR/train-images-idx3-ubyte.gz.
 *
 * FashionMNIST and KMNIST are the same with their own class names, and look in root/FashionMNIST/raw, root/KMNIST/raw.
 *
 * Errors (FA_FILE_ERROR, naming the file): missing; empty; neither gzip nor IDX; cut short or longer than its header
 * says; images and labels of different number; a label above 9. */
FA_API fa_dataset *fa_mnist_at(const fa_mnist_args *args) FA_WARN_UNUSED;
FA_API fa_dataset *fa_fashion_mnist_at(const fa_mnist_args *args) FA_WARN_UNUSED;
FA_API fa_dataset *fa_kmnist_at(const fa_mnist_args *args) FA_WARN_UNUSED;
#define fa_mnist(...) FA_CALL_(fa_mnist_at, fa_mnist_args, .train = true, .begin_ = 0, __VA_ARGS__)
#define fa_fashion_mnist(...) FA_CALL_(fa_fashion_mnist_at, fa_mnist_args, .train = true, .begin_ = 0, __VA_ARGS__)
#define fa_kmnist(...) FA_CALL_(fa_kmnist_at, fa_mnist_args, .train = true, .begin_ = 0, __VA_ARGS__)

typedef struct fa_emnist_args {
    char begin_;
    const char *root;
    const char *split; /* "byclass", "bymerge", "balanced", "letters", "digits" or "mnist" */
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool train;
    fa_transform *transform;
    fa_target_transform target_transform;
    void *target_user;
} fa_emnist_args;
/* EMNIST(root, split): emnist-<split>-train-images-idx3-ubyte and its like, as fa_mnist, in root, root/raw or
 * root/EMNIST/raw. The images lie on their side, as they do in the files and in torchvision. */
FA_API fa_dataset *fa_emnist_at(const fa_emnist_args *args) FA_WARN_UNUSED;
#define fa_emnist(...) FA_CALL_(fa_emnist_at, fa_emnist_args, .train = true, .begin_ = 0, __VA_ARGS__)

/* ---- CIFAR ------------------------------------------------------------------------------------------------------- */

typedef struct fa_cifar_args {
    char begin_;
    const char *root;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool train;
    fa_transform *transform;
    fa_target_transform target_transform;
    void *target_user;
    bool download; /* fetch and unpack the version for Python into root, if the half is not there; as of fa_mnist */
    bool coarse;   /* of fa_cifar100: the 20 superclasses instead of the 100 classes */
} fa_cifar_args;
/* CIFAR10(root): the version for Python (data_batch_1 ... 5, test_batch, batches.meta) in root or
 * root/cifar-10-batches-py, or the binary version (data_batch_1.bin ... 5, test_batch.bin, batches.meta.txt) in root or
 * root/cifar-10-batches-bin. Item i is (image, label): uint8 [3, 32, 32], or what the transform makes of it, and an
 * int64. Images stay in memory once, as bytes. Only the half that is asked for must be there.
 *
 * CIFAR100(root): train, test, meta in root or root/cifar-100-python; train.bin, test.bin, fine_label_names.txt,
 * coarse_label_names.txt in root or root/cifar-100-binary.
 *
 * The class names are those of the meta file, or without one the well-known ones (of CIFAR-10). Of a pickled file
 * nothing is executed: dicts, lists, strings, numbers and arrays of bytes are all it may hold.
 *
 * Errors (FA_FILE_ERROR, naming the file, and where it can be the record): missing; a size that is no multiple of a
 * record's; a label out of range; a pickle that is damaged, holds something else, or asks for something. */
FA_API fa_dataset *fa_cifar10_at(const fa_cifar_args *args) FA_WARN_UNUSED;
FA_API fa_dataset *fa_cifar100_at(const fa_cifar_args *args) FA_WARN_UNUSED;
#define fa_cifar10(...) FA_CALL_(fa_cifar10_at, fa_cifar_args, .train = true, .begin_ = 0, __VA_ARGS__)
#define fa_cifar100(...) FA_CALL_(fa_cifar100_at, fa_cifar_args, .train = true, .begin_ = 0, __VA_ARGS__)

#ifdef __cplusplus
}
#endif
#endif
