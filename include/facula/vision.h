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

/* ---- MNIST ------------------------------------------------------------------------------------------------------- */

typedef struct fa_mnist_args {
    char begin_;
    const char *root;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool train; /* the 60,000 training images; false: the 10,000 test images */
    fa_transform *transform;
} fa_mnist_args;
/* MNIST, or any data set in its form (Fashion-MNIST, KMNIST): train-images-idx3-ubyte and train-labels-idx1-ubyte, or
 * t10k-..., in root, root/raw or root/MNIST/raw, with or without .gz in the name; whether a file is packed is told by
 * its content. Only the half that is asked for must be there. Item i is (image, label): uint8 [1, 28, 28], or what the
 * transform makes of it, and an int64. Images stay in memory once, as bytes.
 *
 * Errors (FA_FILE_ERROR, naming the file): missing; empty; neither gzip nor IDX; cut short or longer than its header
 * says; images and labels of different number; a label above 9. */
FA_API fa_dataset *fa_mnist_at(const fa_mnist_args *args) FA_WARN_UNUSED;
#define fa_mnist(...) FA_CALL_(fa_mnist_at, fa_mnist_args, .train = true, .begin_ = 0, __VA_ARGS__)

/* dataset.data (uint8 [N, 28, 28]) and dataset.targets (int64 [N]) of a fa_mnist data set: the very memory of the data
 * set, kept while the tensor is. */
FA_API fa_tensor *fa_mnist_images_at(fa_dataset *dataset, fa_where where);
FA_API fa_tensor *fa_mnist_labels_at(fa_dataset *dataset, fa_where where);
#define fa_mnist_images(dataset) fa_mnist_images_at((dataset), FA_HERE)
#define fa_mnist_labels(dataset) fa_mnist_labels_at((dataset), FA_HERE)

#ifdef __cplusplus
}
#endif
#endif
