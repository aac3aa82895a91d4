/* Transforms inside the library.
 *
 * A transform is a `draw` (random numbers for one image, in the order of samples, on the looping thread) and an `apply`
 * (a pure function of pixels and draws, on any thread). A data set makes a *chain* of its transform for its images: the
 * steps one after the other with the form of the image between them. Last steps that make floats of bytes, each by
 * itself, are folded into a table of 256 floats a channel. */
#ifndef FA_VISION_TRANSFORM_H
#define FA_VISION_TRANSFORM_H

#include "base/generator.h"
#include "data/dataset.h"
#include "facula/vision.h"

enum { FA_MAX_STEPS = 32, FA_MAX_DRAWS = 64, FA_PIXEL_VALUES = 256 };

/* The form of an image: bytes [H, W, C], or floats [C, H, W]. */
typedef struct fa_image_form {
    bool floats;
    int64_t channels, height, width;
} fa_image_form;

typedef struct fa_transform_body fa_transform_body;

typedef struct fa_transform_kind {
    const char *name;
    /* Makes `form` that of the result; false after an error when the transform does not suit it. */
    bool (*infer)(const fa_transform_body *self, fa_image_form *form, fa_where where);
    void (*apply)(const fa_transform_body *self, const fa_image_form *form, const void *in, const int64_t *draws,
                  void *out);
    /* y = f(x) of each float of channel c alone: the same as apply, for the table. NULL: not of this sort. */
    float (*pixel)(const fa_transform_body *self, int64_t channel, float x);
    int draws; /* numbers that `draw` writes for one image */
    void (*draw)(const fa_transform_body *self, const fa_image_form *form, fa_mt *mt, int64_t *draws);
} fa_transform_kind;

struct fa_transform_body {
    const fa_transform_kind *kind; /* NULL: composed of `steps` */
    int channels;                  /* normalize */
    float mean[FA_MAX_CHANNELS], std[FA_MAX_CHANNELS];
    int64_t size[2];    /* random_crop: height, width */
    int64_t padding[4]; /* left, top, right, bottom */
    bool pad_if_needed;
    int padding_mode; /* fa_padding_mode */
    double fill;
    float p; /* flips */
    int n_steps;
    fa_transform *steps[FA_MAX_STEPS]; /* held */
};

struct fa_transform {
    fa_object object;
};

extern const fa_object_kind fa_transform_class;

/* A floating transform of a description, whose steps it holds; NULL after an error. */
fa_transform *fa_transform_make(const fa_transform_body *description, fa_where where);

typedef struct fa_chain {
    int n, draws;
    const fa_transform_body *step[FA_MAX_STEPS];
    fa_image_form form[FA_MAX_STEPS + 1];      /* before step i, and after the last */
    size_t in_bytes, out_bytes, between_bytes; /* between: the largest image between two steps */
    int first_draw;                            /* the first step that draws, or n */
    int table_from;                            /* steps from here on are the table */
    float *table;                              /* [channels, 256], or NULL */
} fa_chain;

/* Checks and lays out the transform (NULL: no steps) for images of a form. False after an error; else end it with
 * fa_chain_end. The chain uses the transform, which must be held as long. */
bool fa_chain_begin(fa_chain *chain, const fa_transform *transform, const fa_image_form *form, fa_where where);
void fa_chain_end(fa_chain *chain);
void fa_chain_draw(const fa_chain *chain, fa_mt *mt, int64_t *draws);
/* Steps begin ... end - 1 of one image. `draws` are those of the whole chain. `between`: 2 * between_bytes, not needed
 * for fewer than two steps (those of the table count as one). */
void fa_chain_apply(const fa_chain *chain, int begin, int end, const void *in, const int64_t *draws, void *between,
                    void *out);
/* Makes `out` of an image, for a batch: now, or, in a batch that is fetched ahead, what comes before the first draw now
 * and the rest when the batch is asked for. `in` and the chain stay as they are until the batch is done. Bytes come out
 * as [C, H, W]. False after an error. */
bool fa_chain_put(const fa_chain *chain, const void *in, void *out, fa_collate *batch);
/* The form of the chain's result. */
static inline const fa_image_form *fa_chain_result(const fa_chain *chain)
{
    return &chain->form[chain->n];
}

#endif
