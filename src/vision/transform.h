/* Transforms inside the library.
 *
 * A transform is a `draw` (random numbers for one image, in the order of samples, on the looping thread) and an `apply`
 * (a pure function of pixels and draws, on any thread). A data set makes a *chain* of its transform for its images: the
 * steps one after the other with the form of the image between them. Steps that make floats of bytes and change each
 * by itself are folded into a table of 256 floats a channel. */
#ifndef FA_VISION_TRANSFORM_H
#define FA_VISION_TRANSFORM_H

#include "base/generator.h"
#include "data/dataset.h"
#include "facula/vision.h"
#include "vision/repr.h"

#include <stdatomic.h>
#include <string.h>

enum { FA_MAX_STEPS = 32, FA_MAX_DRAWS = 1024, FA_PIXEL_VALUES = 256 };

/* The form of an image: bytes [H, W, C], or floats [C, H, W]. */
typedef struct fa_image_form {
    bool floats;
    int64_t channels, height, width;
    bool any_size; /* height and width follow from draws; these are what they would be without */
} fa_image_form;

typedef struct fa_transform_body fa_transform_body;

typedef struct fa_transform_kind {
    const char *name;
    /* Makes `form` that of the result; false after an error when the transform does not suit it. */
    bool (*infer)(const fa_transform_body *self, fa_image_form *form, fa_where where);
    /* One image; `out` has room for the form that infer told. False after an error. */
    bool (*apply)(const fa_transform_body *self, const fa_image_form *form, const void *in, const int64_t *draws,
                  void *out, fa_where where);
    /* y = f(x) of each float of channel c alone: the same as apply, for the table. NULL: not of this sort. */
    float (*pixel)(const fa_transform_body *self, int64_t channel, float x);
    /* Writes the body's `draws` numbers for one image. NULL: draws nothing. */
    void (*draw)(const fa_transform_body *self, const fa_image_form *form, fa_mt *mt, int64_t *draws);
    /* Makes `form` that of the result when the draws are known; NULL: they do not matter, infer tells. */
    void (*resize)(const fa_transform_body *self, fa_image_form *form, const int64_t *draws);
    /* Writes the transform as torchvision prints it. */
    void (*print)(const fa_transform_body *self, fa_repr *text);
    void (*destroy)(fa_transform_body *self); /* what the kind owns; may be NULL */
} fa_transform_kind;

/* The fields of all kinds. */
struct fa_transform_body {
    const fa_transform_kind *kind; /* NULL: composed of `steps` */
    int draws;                     /* numbers drawn for one image */
    int channels;                  /* normalize; grayscale: of the result */
    float mean[FA_MAX_CHANNELS], std[FA_MAX_CHANNELS];
    double mean_given[FA_MAX_CHANNELS], std_given[FA_MAX_CHANNELS];
    int64_t size[2];    /* height, width; with `short_side` the first is that of the short side */
    bool single;        /* size or padding was given as one number */
    int64_t max_size;   /* of resize; 0: none */
    int interpolation;  /* fa_interpolation */
    int64_t padding[4]; /* left, top, right, bottom */
    bool padding_given;
    bool pad_if_needed;
    int padding_mode; /* fa_padding_mode */
    double fill[FA_MAX_CHANNELS];
    int fills;       /* how many there are: one a channel; 0: the first is that of all */
    bool fills_told; /* their number was given; else zeros at the end are not among them */
    bool expand;
    double p;                                            /* of random ones */
    double degrees[2], translate[2], scale[2], ratio[2]; /* random_resized_crop, affine, rotation, erasing */
    double shear[4], center[2];
    int shears; /* 0, 2 or 4 */
    bool has_translate, has_scale, has_center;
    double jitter[4][2]; /* color_jitter: brightness, contrast, saturation, hue */
    bool jitters[4];
    double value[FA_MAX_CHANNELS]; /* random_erasing */
    int values;                    /* 0: drawn from a normal distribution */
    fa_lambda_args lambda;
    int n_steps;
    fa_transform *steps[FA_MAX_STEPS]; /* held */
    struct fa_chain_cache *cache;
};

struct fa_transform {
    fa_object object;
};

extern const fa_object_kind fa_transform_class;

/* A floating transform of a description, whose steps it holds; NULL after an error. */
fa_transform *fa_transform_make(const fa_transform_body *description, fa_where where);

/* The body of a live transform, which the caller has checked. */
static inline const fa_transform_body *fa_transform_body_of(const fa_transform *transform)
{
    return transform->object.body;
}

/* Numbers that are no whole ones among the draws. */
static inline int64_t fa_draw_from_double(double x)
{
    int64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}
static inline double fa_draw_to_double(int64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
/* torch.empty(1).uniform_(lo, hi).item(): one word. */
static inline double fa_draw_uniform_of(fa_mt *mt, double lo, double hi)
{
    float x;
    fa_mt_uniform_f32(mt, &x, 1, lo, hi);
    return x;
}

void fa_transform_print(const fa_transform_body *body, fa_repr *text);
/* How many steps a transform comes to, those of compositions counted each. */
int fa_transform_count_steps(const fa_transform_body *body);
/* Checks `count` transforms for a composition. */
bool fa_transform_check_steps(int count, fa_transform *const *transforms, const char *what, fa_where where);
/* "(2, 3)": as many numbers as there are. */
void fa_repr_size(fa_repr *text, const int64_t *size, int n);

/* The form stays as it is. */
bool fa_same_form(const fa_transform_body *self, fa_image_form *form, fa_where where);
/* Refuses floats: "NAME: got images of floats ...". */
bool fa_bytes_only(const fa_image_form *form, const char *name, fa_where where);
/* Of a constructor's arguments; false after an error. */
bool fa_fill_set(fa_transform_body *body, double fill, const double fills[FA_MAX_CHANNELS], int channels,
                 const char *call, fa_where where);
/* A fill that bytes cannot hold, or of other channels, is refused. */
bool fa_fill_check(const fa_transform_body *self, const fa_image_form *form, const char *name, fa_where where);
static inline double fa_fill_of(const fa_transform_body *self, int64_t channel)
{
    return self->fill[self->fills > 1 ? channel : 0];
}
/* Bytes [pixels, channels], which has been checked. */
void fa_fill_bytes(const fa_transform_body *self, uint8_t *out, int64_t pixels, int64_t channels);
/* "7" or "(7, 8, 9)". */
void fa_fill_print(const fa_transform_body *self, fa_repr *text);
static inline bool fa_fill_is_default(const fa_transform_body *self)
{
    return self->fills == 0 && self->fill[0] == 0;
}
bool fa_form_bytes(const fa_image_form *form, size_t *bytes);

/* ---- Pixels, each in its own file -------------------------------------------------------------------------------- */

/* The window of self->size at (top, left) of the image with its padding (crop.c). */
void fa_crop_at(const fa_transform_body *self, const fa_image_form *form, const void *in, int64_t top, int64_t left,
                void *out);
/* Bytes [height, width, channels] made [out_height, out_width, channels], as Pillow resizes them (resample.c). */
bool fa_resample(const uint8_t *in, int64_t height, int64_t width, int64_t channels, uint8_t *out, int64_t out_height,
                 int64_t out_width, int interpolation, fa_where where);
/* Each pixel of the result, which is filled already, is that of `in` at matrix (x, y, 1) where there is one, as
 * Pillow's Image.transform (warp.c). */
void fa_warp(const uint8_t *in, const fa_image_form *form, const double matrix[6], int interpolation, uint8_t *out,
             int64_t out_height, int64_t out_width);
/* convert("L") of RGB. */
static inline uint8_t fa_grey_of(const uint8_t *rgb)
{
    return (uint8_t)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 32768u) >> 16);
}
const char *fa_interpolation_name(int interpolation);
const char *fa_padding_mode_name(int mode);

/* ---- Chains ------------------------------------------------------------------------------------------------------ */

typedef struct fa_chain {
    atomic_int refs; /* of one from fa_chain_get */
    int n, draws;
    const fa_transform_body *step[FA_MAX_STEPS];
    fa_image_form form[FA_MAX_STEPS + 1];      /* before step i, and after the last */
    size_t in_bytes, out_bytes, between_bytes; /* between: the largest image between two steps */
    int first_draw;                            /* the first step that draws, or n */
    int first_loose; /* the first step whose result has a size that follows from draws, or n; not before first_draw */
    int table_from, table_to; /* steps from ... to - 1 are the table; none of them draws */
    float *table;             /* [channels, 256], or NULL */
} fa_chain;

/* Checks and lays out the transform (NULL: no steps) for images of a form. False after an error; else end it with
 * fa_chain_end. The chain uses the transform, which must be held as long. */
bool fa_chain_begin(fa_chain *chain, const fa_transform *transform, const fa_image_form *form, fa_where where);
void fa_chain_end(fa_chain *chain);
void fa_chain_draw(const fa_chain *chain, fa_mt *mt, int64_t *draws);
/* Steps begin ... end - 1 of one image. `draws` are those of the whole chain; NULL when none of these steps draws.
 * `between`: 2 * between_bytes, not needed for fewer than two steps (those of the table count as one). False after an
 * error. */
bool fa_chain_apply(const fa_chain *chain, int begin, int end, const void *in, const int64_t *draws, void *between,
                    void *out, fa_where where);
/* Makes `out` of an image, for a batch: now, or, in a batch that is fetched ahead, what comes before the first draw now
 * and the rest when the batch is asked for. `in` and the chain stay as they are until the batch is done. Bytes come out
 * as [C, H, W]. False after an error. */
bool fa_chain_put(const fa_chain *chain, const void *in, void *out, fa_collate *batch);
/* A chain for the form, from the transform's cache of the last one or made: transforms of data sets see one form, or
 * another one with each image. NULL after an error. End it with fa_chain_drop; the transform must live as long. */
fa_chain *fa_chain_get(const fa_transform *transform, const fa_image_form *form, fa_where where);
void fa_chain_drop(fa_chain *chain);
struct fa_chain_cache *fa_chain_cache_new(void);
void fa_chain_cache_free(struct fa_chain_cache *cache);
/* Draws, if the chain does, and makes `out` of an image. False after an error. */
bool fa_chain_run(const fa_chain *chain, const void *in, void *out, fa_where where);
/* The two halves of it: `draws` from the default generator, with the form of the result that they lead to; and the
 * image. */
bool fa_chain_run_draws(const fa_chain *chain, int64_t draws[FA_MAX_DRAWS], fa_image_form *result, fa_where where);
bool fa_chain_run_image(const fa_chain *chain, const void *in, const int64_t *draws, void *out, fa_where where);
/* Refuses a chain that leaves images of sizes that follow from draws. */
bool fa_chain_one_size(const fa_chain *chain, const char *what, fa_where where);
/* The form of the chain's result. */
static inline const fa_image_form *fa_chain_result(const fa_chain *chain)
{
    return &chain->form[chain->n];
}

#endif
