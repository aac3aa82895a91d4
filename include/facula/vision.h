/* Pictures: transforms and the data sets of torchvision.
 *
 * Data sets and transforms are counted objects; facula/data.h says who holds what. */
#ifndef FACULA_VISION_H
#define FACULA_VISION_H

#include "facula/data.h"
#include "facula/functional.h"
#include "facula/pictures.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Transforms -------------------------------------------------------------------------------------------------- */

/* ToTensor: pixels 0..255, uint8 [H, W, C] or [H, W], become float32 [C, H, W] in [0, 1]: value = pixel / 255. Float
 * images pass unchanged. */
FA_API fa_transform *fa_to_tensor_at(fa_where where) FA_WARN_UNUSED;
#define fa_to_tensor() fa_to_tensor_at(FA_HERE)

enum { FA_MAX_CHANNELS = 16 };
typedef struct fa_normalize_args {
    char begin_;
    double mean[FA_MAX_CHANNELS], std[FA_MAX_CHANNELS]; /* one number a channel */
    struct fa_keyword_only *kw_;
    fa_where where_;
    int channels; /* how many numbers there are; default: up to the last that is not 0 */
} fa_normalize_args;
/* Normalize: float32 [C, H, W]; y[c] = (x[c] - mean[c]) / std[c], in float32. Each std must be positive and finite,
 * each mean finite, and there must be one pair a channel: a data set that is given the transform checks this when it is
 * made.
 *
 *     fa_normalize({0.1307}, {0.3081})
 *     fa_normalize({0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}) */
FA_API fa_transform *fa_normalize_at(const fa_normalize_args *args) FA_WARN_UNUSED;
#define fa_normalize(...) FA_CALL_(fa_normalize_at, fa_normalize_args, .begin_ = 0, __VA_ARGS__)

/* Compose: the given transforms in order. */
FA_API fa_transform *fa_compose_at(int count, fa_transform *const *transforms, fa_where where) FA_WARN_UNUSED;
#define fa_compose(...)                                                                                                \
    fa_compose_at((int)(sizeof((fa_transform *[]){__VA_ARGS__}) / sizeof(fa_transform *)),                             \
                  (fa_transform *[]){__VA_ARGS__}, FA_HERE)

/* Random transforms draw from the default generator, for each image when its batch is asked for, in the order of items:
 * the numbers are those of PyTorch's loader with num_workers=0, for any number of our workers. What comes before the
 * first random transform is done ahead by the workers; docs/guide/numbers.md tells more. */

typedef enum fa_padding_mode {
    FA_PADDING_CONSTANT,
    FA_PADDING_EDGE,
    FA_PADDING_REFLECT,
    FA_PADDING_SYMMETRIC
} fa_padding_mode;
typedef struct fa_random_crop_args {
    char begin_;
    int64_t size; /* height and width of the result */
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t padding; /* on all four sides, before the crop */
    bool pad_if_needed;
    double fill; /* the value of padding in mode FA_PADDING_CONSTANT, in all channels; a whole number for images of
                    bytes */
    fa_padding_mode padding_mode;
    int64_t size_hw[2], padding_ltrb[4]; /* height, width; left, top, right, bottom: they win when set */
} fa_random_crop_args;
#define FA_RANDOM_CROP_DEFAULTS .size_hw = {FA_PAIR_UNSET_}, .padding_ltrb = {FA_PAIR_UNSET_, FA_PAIR_UNSET_}
/* RandomCrop(size, padding=None, pad_if_needed=False, fill=0, padding_mode='constant'): a window of the padded image at
 * a random place: fa_random_crop(28, .padding = 2). Draws two words an image, none if the window is the whole of it.
 * Modes: the fill; the pixel at the edge; the image mirrored without and with its last pixel. With pad_if_needed, a
 * side that is too short is padded by what it lacks, at both ends. Errors: a window larger than the padded image (told
 * when a data set is given the transform). */
FA_API fa_transform *fa_random_crop_at(const fa_random_crop_args *args) FA_WARN_UNUSED;
#define fa_random_crop(...)                                                                                            \
    FA_CALL_(fa_random_crop_at, fa_random_crop_args, FA_RANDOM_CROP_DEFAULTS, .begin_ = 0, __VA_ARGS__)

typedef struct fa_random_flip_args {
    char begin_;
    double p;
    struct fa_keyword_only *kw_;
    fa_where where_;
} fa_random_flip_args;
/* RandomHorizontalFlip(p=0.5), RandomVerticalFlip(p=0.5): mirrored left to right, or upside down, with probability p.
 * One word an image. */
FA_API fa_transform *fa_random_horizontal_flip_at(const fa_random_flip_args *args) FA_WARN_UNUSED;
FA_API fa_transform *fa_random_vertical_flip_at(const fa_random_flip_args *args) FA_WARN_UNUSED;
#define fa_random_horizontal_flip(...)                                                                                 \
    FA_CALL_(fa_random_horizontal_flip_at, fa_random_flip_args, .p = 0.5, .begin_ = 0, __VA_ARGS__)
#define fa_random_vertical_flip(...)                                                                                   \
    FA_CALL_(fa_random_vertical_flip_at, fa_random_flip_args, .p = 0.5, .begin_ = 0, __VA_ARGS__)

/* transform(image) of a tensor: uint8 [H, W, C] or [H, W], or float32 [C, H, W]. A new tensor of the current scope. */
FA_API fa_tensor *fa_transform_apply_at(fa_transform *transform, fa_tensor *image, fa_where where);
#define fa_transform_apply(transform, image) fa_transform_apply_at((transform), (image), FA_HERE)

/* In a data set's item callback: puts transform(pixels) as the sample's next field. `pixels`: uint8 [height, width,
 * channels]. The transform may be NULL: uint8 [channels, height, width] then. False after an error. */
FA_API bool fa_sample_image_at(fa_sample *sample, const uint8_t *pixels, int64_t height, int64_t width,
                               int64_t channels, fa_transform *transform, fa_where where);
#define fa_sample_image(sample, pixels, height, width, channels, transform)                                            \
    fa_sample_image_at((sample), (pixels), (height), (width), (channels), (transform), FA_HERE)

FA_API fa_transform *fa_transform_retain(fa_transform *transform);
FA_API void fa_transform_free(fa_transform *transform); /* fa_free */

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
