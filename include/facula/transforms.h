/* Transforms of torchvision, with its names, meaning, draws and printed form.
 *
 * Those that are made for PIL images there take images of bytes here, and give Pillow's pixels; they stand before
 * fa_to_tensor(). Transforms are counted objects; facula/data.h says who holds what. */
#ifndef FACULA_TRANSFORMS_H
#define FACULA_TRANSFORMS_H

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

typedef struct fa_channel_stats {
    int channels;  /* 0 after an error */
    int64_t items; /* looked at */
    double mean[FA_MAX_CHANNELS], std[FA_MAX_CHANNELS];
} fa_channel_stats;
typedef struct fa_dataset_stats_args {
    char begin_;
    fa_dataset *dataset;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t items; /* so many of them, evenly spread, when there are more; 0: all */
} fa_dataset_stats_args;
/* The numbers for fa_normalize: mean and standard deviation (numpy's: divided by the number of pixels) of each channel
 * over all pixels of the items' first field, uint8 or float32 [C, H, W] of any sizes. Bytes count as fa_to_tensor()
 * makes them, pixel / 255. Items are fetched on the calling thread; what the program draws later stays the same.
 *
 *     fa_channel_stats stats = fa_dataset_stats(fa_mnist("data/mnist"));     mean 0.13066, std 0.30811
 *     fa_channel_stats_text(&stats, text, sizeof text);                      fa_normalize({0.1307}, {0.3081}) */
FA_API fa_channel_stats fa_dataset_stats_at(const fa_dataset_stats_args *args);
#define fa_dataset_stats(...) FA_CALL_(fa_dataset_stats_at, fa_dataset_stats_args, .begin_ = 0, __VA_ARGS__)
/* The line to be pasted, four decimals each. Writes at most `size` bytes with the 0 at the end; returns the length of
 * the whole text. */
FA_API size_t fa_channel_stats_text(const fa_channel_stats *stats, char *text, size_t size);

/* Compose: the given transforms in order. */
FA_API fa_transform *fa_compose_at(int count, fa_transform *const *transforms, fa_where where) FA_WARN_UNUSED;
#define fa_compose(...)                                                                                                \
    fa_compose_at((int)(sizeof((fa_transform *[]){__VA_ARGS__}) / sizeof(fa_transform *)),                             \
                  (fa_transform *[]){__VA_ARGS__}, FA_HERE)

/* Random transforms draw from the default generator, for each image when its batch is asked for, in the order of items:
 * the numbers are those of PyTorch's loader with num_workers=0, for any number of our workers. What comes before the
 * first random transform is done ahead by the workers; docs/guide/numbers.md tells more. */

/* What has no pixel of the image gets the fill: of fa_random_crop and fa_pad_image the padding in mode
 * FA_PADDING_CONSTANT, of fa_random_rotation and fa_random_affine what comes from outside. `.fill` is one number for
 * all channels; `.fills`, which win when set, are one a channel: .fills = {124, 116, 104}. `.channels` says how many of
 * them there are; default: up to the last that is not 0, so that {255, 0, 0} needs .channels = 3. Whole numbers from 0
 * to 255 for images of bytes. */
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
    double fill;
    fa_padding_mode padding_mode;
    int64_t size_hw[2], padding_ltrb[4]; /* height, width; left, top, right, bottom: they win when set */
    double fills[FA_MAX_CHANNELS];
    int channels;
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

/* ---- Sizes ------------------------------------------------------------------------------------------------------- */

/* How pixels between pixels are found. Reducing averages over all pixels under one of the result (antialias), as Pillow
 * does, except with NEAREST. */
typedef enum fa_interpolation {
    FA_INTERPOLATION_NEAREST,
    FA_INTERPOLATION_BILINEAR,
    FA_INTERPOLATION_BICUBIC,
    FA_INTERPOLATION_BOX,
    FA_INTERPOLATION_HAMMING,
    FA_INTERPOLATION_LANCZOS
} fa_interpolation;

typedef struct fa_resize_args {
    char begin_;
    int64_t size; /* the short side; the other one keeps the proportions */
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_interpolation interpolation;
    int64_t max_size;   /* of the long side, with `size`; 0: none */
    int64_t size_hw[2]; /* height, width: wins when set */
} fa_resize_args;
/* Resize(size, interpolation=BILINEAR, max_size=None): fa_resize(256), fa_resize(.size_hw = {64, 48}). Bytes only;
 * Pillow's pixels, bit for bit. */
FA_API fa_transform *fa_resize_at(const fa_resize_args *args) FA_WARN_UNUSED;
#define fa_resize(...)                                                                                                 \
    FA_CALL_(fa_resize_at, fa_resize_args, .interpolation = FA_INTERPOLATION_BILINEAR, .size_hw = {FA_PAIR_UNSET_},    \
             .begin_ = 0, __VA_ARGS__)

typedef struct fa_center_crop_args {
    char begin_;
    int64_t size; /* height and width */
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t size_hw[2]; /* height, width: wins when set */
} fa_center_crop_args;
/* CenterCrop(size): the middle of the image, with zeros around it where it is smaller. */
FA_API fa_transform *fa_center_crop_at(const fa_center_crop_args *args) FA_WARN_UNUSED;
#define fa_center_crop(...)                                                                                            \
    FA_CALL_(fa_center_crop_at, fa_center_crop_args, .size_hw = {FA_PAIR_UNSET_}, .begin_ = 0, __VA_ARGS__)

/* Compose([Resize(size), CenterCrop(size)]): pictures of any size become size x size, proportions kept. */
FA_API fa_transform *fa_fit_at(int64_t size, fa_where where) FA_WARN_UNUSED;
#define fa_fit(size) fa_fit_at((size), FA_HERE)

typedef struct fa_pad_image_args {
    char begin_;
    int64_t padding; /* on all four sides */
    struct fa_keyword_only *kw_;
    fa_where where_;
    double fill;
    fa_padding_mode padding_mode;
    int64_t padding_ltrb[4]; /* left, top, right, bottom: wins when set */
    double fills[FA_MAX_CHANNELS];
    int channels;
} fa_pad_image_args;
/* Pad(padding, fill=0, padding_mode='constant'). */
FA_API fa_transform *fa_pad_image_at(const fa_pad_image_args *args) FA_WARN_UNUSED;
#define fa_pad_image(...)                                                                                              \
    FA_CALL_(fa_pad_image_at, fa_pad_image_args, .padding_ltrb = {FA_PAIR_UNSET_, FA_PAIR_UNSET_}, .begin_ = 0,        \
             __VA_ARGS__)

typedef struct fa_random_resized_crop_args {
    char begin_;
    int64_t size;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double scale[2], ratio[2];
    fa_interpolation interpolation;
    int64_t size_hw[2];
} fa_random_resized_crop_args;
/* RandomResizedCrop(size, scale=(0.08, 1.0), ratio=(3/4, 4/3), interpolation=BILINEAR): a window of a random share of
 * the area and a random aspect ratio, resized. Draws 2 words a try, at most 10 tries, and 2 for the place. Bytes only.
 */
FA_API fa_transform *fa_random_resized_crop_at(const fa_random_resized_crop_args *args) FA_WARN_UNUSED;
#define fa_random_resized_crop(...)                                                                                    \
    FA_CALL_(fa_random_resized_crop_at, fa_random_resized_crop_args, .scale = {0.08, 1.0},                             \
             .ratio = {3.0 / 4, 4.0 / 3}, .interpolation = FA_INTERPOLATION_BILINEAR, .size_hw = {FA_PAIR_UNSET_},     \
             .begin_ = 0, __VA_ARGS__)

/* ---- Turned and moved -------------------------------------------------------------------------------------------- */

typedef struct fa_random_rotation_args {
    char begin_;
    double degrees; /* angles from -degrees to degrees, counter-clockwise */
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_interpolation interpolation; /* NEAREST, BILINEAR or BICUBIC */
    double center[2];               /* x, y; default: the middle */
    double fill;
    double degrees_range[2]; /* lowest and highest angle: wins when set */
    double fills[FA_MAX_CHANNELS];
    int channels;
    bool expand; /* the result is as large as the turned image needs */
} fa_random_rotation_args;
/* RandomRotation(degrees, interpolation=NEAREST, expand=False, center=None, fill=0). One word an image. Bytes only.
 *
 * With .expand each image has a size of its own, so in a data set a step behind it must give all of them one size:
 * fa_center_crop, fa_random_crop, fa_random_resized_crop, or fa_resize with .size_hw. */
FA_API fa_transform *fa_random_rotation_at(const fa_random_rotation_args *args) FA_WARN_UNUSED;
#define fa_random_rotation(...)                                                                                        \
    FA_CALL_(fa_random_rotation_at, fa_random_rotation_args, .center = {FA_PAIR_UNSET_},                               \
             .degrees_range = {FA_PAIR_UNSET_}, .begin_ = 0, __VA_ARGS__)

typedef struct fa_random_affine_args {
    char begin_;
    double degrees; /* angles from -degrees to degrees */
    struct fa_keyword_only *kw_;
    fa_where where_;
    double translate[2]; /* the most, as shares of width and height; default: none */
    double scale[2];     /* lowest and highest factor; default: none */
    double shear;        /* x angles from -shear to shear; 0: none */
    fa_interpolation interpolation;
    double fill;
    double center[2];                                            /* x, y; default: the middle */
    double degrees_range[2], shear_x_range[2], shear_y_range[2]; /* lowest and highest: win when set */
    double fills[FA_MAX_CHANNELS];
    int channels;
} fa_random_affine_args;
#define FA_RANDOM_AFFINE_DEFAULTS                                                                                      \
    .translate = {FA_PAIR_UNSET_}, .scale = {FA_PAIR_UNSET_}, .center = {FA_PAIR_UNSET_},                              \
    .degrees_range = {FA_PAIR_UNSET_}, .shear_x_range = {FA_PAIR_UNSET_}, .shear_y_range = {FA_PAIR_UNSET_}
/* RandomAffine(degrees, translate=None, scale=None, shear=None, interpolation=NEAREST, fill=0, center=None). Draws a
 * word for the angle, then two for translate, one for scale, one or two for shear, for those that are given. Bytes
 * only. */
FA_API fa_transform *fa_random_affine_at(const fa_random_affine_args *args) FA_WARN_UNUSED;
#define fa_random_affine(...)                                                                                          \
    FA_CALL_(fa_random_affine_at, fa_random_affine_args, FA_RANDOM_AFFINE_DEFAULTS, .begin_ = 0, __VA_ARGS__)

/* ---- Colour ------------------------------------------------------------------------------------------------------ */

typedef struct fa_color_jitter_args {
    char begin_;
    double brightness, contrast, saturation, hue;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double brightness_range[2], contrast_range[2], saturation_range[2], hue_range[2]; /* win when set */
} fa_color_jitter_args;
#define FA_COLOR_JITTER_DEFAULTS                                                                                       \
    .brightness_range = {FA_PAIR_UNSET_}, .contrast_range = {FA_PAIR_UNSET_}, .saturation_range = {FA_PAIR_UNSET_},    \
    .hue_range = {FA_PAIR_UNSET_}
/* ColorJitter(brightness=0, contrast=0, saturation=0, hue=0): factors from max(0, 1 - value) to 1 + value, of hue from
 * -value to value (at most 0.5), in a random order. Draws a permutation of 4, and a word for each that is not 0. Bytes
 * of 1 or 3 channels. */
FA_API fa_transform *fa_color_jitter_at(const fa_color_jitter_args *args) FA_WARN_UNUSED;
#define fa_color_jitter(...)                                                                                           \
    FA_CALL_(fa_color_jitter_at, fa_color_jitter_args, FA_COLOR_JITTER_DEFAULTS, .begin_ = 0, __VA_ARGS__)

/* Grayscale(num_output_channels=1): 1 or 3 channels. RandomGrayscale(p=0.1): as many channels as there are. Bytes of 1
 * or 3 channels. */
FA_API fa_transform *fa_grayscale_at(int num_output_channels, fa_where where) FA_WARN_UNUSED;
#define fa_grayscale(num_output_channels) fa_grayscale_at((num_output_channels), FA_HERE)
FA_API fa_transform *fa_random_grayscale_at(const fa_random_flip_args *args) FA_WARN_UNUSED;
#define fa_random_grayscale(...)                                                                                       \
    FA_CALL_(fa_random_grayscale_at, fa_random_flip_args, .p = 0.1, .begin_ = 0, __VA_ARGS__)

typedef struct fa_random_erasing_args {
    char begin_;
    double p;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double scale[2], ratio[2];
    double value; /* of the erased pixels */
    bool random;  /* value='random': drawn from a normal distribution, for each pixel and channel */
    double values[FA_MAX_CHANNELS];
    int channels; /* how many of `values` there are: one a channel; 0: `value` */
} fa_random_erasing_args;
/* RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0): a rectangle is overwritten with probability p.
 * Floats only: it stands after fa_to_tensor(). */
FA_API fa_transform *fa_random_erasing_at(const fa_random_erasing_args *args) FA_WARN_UNUSED;
#define fa_random_erasing(...)                                                                                         \
    FA_CALL_(fa_random_erasing_at, fa_random_erasing_args, .p = 0.5, .scale = {0.02, 0.33}, .ratio = {0.3, 3.3},       \
             .begin_ = 0, __VA_ARGS__)

/* RandomApply(transforms, p): all of them with probability p, else none: fa_random_apply(0.3, a, b). They must keep the
 * image's form. */
FA_API fa_transform *fa_random_apply_at(double p, int count, fa_transform *const *transforms,
                                        fa_where where) FA_WARN_UNUSED;
#define fa_random_apply(p, ...)                                                                                        \
    fa_random_apply_at((p), (int)(sizeof((fa_transform *[]){__VA_ARGS__}) / sizeof(fa_transform *)),                   \
                       (fa_transform *[]){__VA_ARGS__}, FA_HERE)

/* ---- One's own --------------------------------------------------------------------------------------------------- */

/* An image: uint8 [height, width, channels], or float32 [channels, height, width]. */
typedef struct fa_image {
    bool floats;
    int64_t channels, height, width;
    void *pixels;
} fa_image;
/* Where draws come from, in a callback: torch.empty(1).uniform_(lo, hi), torch.randint(lo, hi, (1,)) and
 * torch.normal(mean, std, (1,)) of the default generator. */
typedef struct fa_draws fa_draws;
FA_API double fa_draw_uniform(fa_draws *from, double lo, double hi);
FA_API int64_t fa_draw_randint(fa_draws *from, int64_t lo, int64_t hi);
FA_API double fa_draw_normal(fa_draws *from, double mean, double std);

typedef struct fa_lambda_args {
    char begin_;
    void *user; /* passed to the callbacks */
    struct fa_keyword_only *kw_;
    fa_where where_;
    /* Writes `out`, whose form is set, from `in`. Runs on any thread, several at once. False after fa_raise. */
    bool (*apply)(void *user, const fa_image *in, const double *draws, fa_image *out);
    /* Makes `image` (its form; no pixels) that of the result; left out: the form stays. False after fa_raise. */
    bool (*form)(void *user, fa_image *image);
    /* Writes `draws` numbers for one image; on the looping thread, in the order of items. */
    void (*draw)(void *user, fa_draws *from, double *draws);
    int draws;
    void (*destroy)(void *user); /* called once, when the transform ends, or could not be made */
} fa_lambda_args;
/* Lambda: fa_lambda(&mine, .apply = my_apply). */
FA_API fa_transform *fa_lambda_at(const fa_lambda_args *args) FA_WARN_UNUSED;
#define fa_lambda(...) FA_CALL_(fa_lambda_at, fa_lambda_args, .begin_ = 0, __VA_ARGS__)

/* repr(transform), as torchvision prints it, and with the options that it leaves out where they are not the default.
 * Writes at most `size` bytes with the 0 at the end; returns the length of the whole text. */
FA_API size_t fa_transform_text_at(fa_transform *transform, char *text, size_t size, fa_where where);
#define fa_transform_text(transform, text, size) fa_transform_text_at((transform), (text), (size), FA_HERE)

/* The transform of such a text, ours or torchvision's: a checkpoint holds it. Or of Python's constructor calls, such as
 * "transforms.RandomCrop(28, padding=2), transforms.ToTensor()"; several are a Compose. Errors: a name or an option
 * that is not known, Lambda among them, and whatever the constructor refuses. */
FA_API fa_transform *fa_transform_parse_at(const char *text, fa_where where) FA_WARN_UNUSED;
#define fa_transform_parse(text) fa_transform_parse_at((text), FA_HERE)

/* ---- Batches ----------------------------------------------------------------------------------------------------- */

typedef struct fa_mixed {
    fa_tensor *images, *labels;
    double lambda; /* the share of each image's own */
} fa_mixed;
typedef struct fa_mixup_args {
    char begin_;
    fa_tensor *images; /* float32 [N, ...] */
    fa_tensor *labels; /* int64 [N], or float32 [N, classes] */
    struct fa_keyword_only *kw_;
    fa_where where_;
    double alpha;
    int64_t num_classes; /* needed for int64 labels */
} fa_mixup_args;
/* MixUp(alpha=1.0, num_classes) of torchvision.transforms.v2: x[i] = lambda x[i] + (1 - lambda) x[i - 1], labels as
 * probabilities likewise; lambda is drawn from Beta(alpha, alpha) of the default generator once a batch. NULLs after an
 * error. The labels go to fa_cross_entropy. */
FA_API fa_mixed fa_mixup_at(const fa_mixup_args *args);
#define fa_mixup(...) FA_CALL_(fa_mixup_at, fa_mixup_args, .alpha = 1.0, .begin_ = 0, __VA_ARGS__)

/* ---- Use --------------------------------------------------------------------------------------------------------- */

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

#ifdef __cplusplus
}
#endif
#endif
