/* RandomCrop, RandomHorizontalFlip, RandomVerticalFlip: torchvision's pixels and draws.
 *
 * RandomCrop: the image with its padding, then, with pad_if_needed, as much again on both sides as is missing; of it
 * the window at (top, left), each drawn as randint(0, slack + 1): one word, top first; none if the window is the whole.
 * Pixel i of a padded axis is pixel source(i) of the image, or the fill:
 *   edge clamp(i); reflect: i mirrored at the middle of the last pixels; symmetric: at their outer edges.
 * Flips: one word, a uniform float32 below p flips. */
#include "vision/transform.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

enum { MAX_PADDING = 1 << 20, MAX_SIZE = 1 << 24, FILL = -1 };

/* ---- Padded axes ------------------------------------------------------------------------------------------------- */

/* One dimension of an image: n pixels, the padding before and after them, and what pad_if_needed adds on both sides. */
typedef struct axis {
    int64_t n, before, after, missing;
    int mode;
} axis;

static axis axis_of(const fa_transform_body *self, const fa_image_form *form, bool horizontal)
{
    axis a = {.n = horizontal ? form->width : form->height,
              .before = self->padding[horizontal ? 0 : 1],
              .after = self->padding[horizontal ? 2 : 3],
              .mode = self->padding_mode};
    int64_t lacks = self->size[horizontal] - (a.n + a.before + a.after);
    a.missing = self->pad_if_needed && lacks > 0 ? lacks : 0;
    return a;
}

static int64_t axis_length(const axis *a)
{
    return a->n + a->before + a->after + 2 * a->missing;
}

/* Which of n pixels stands at place i, counted from the first of them; FILL: none. */
static int64_t mirrored(int64_t i, int64_t n, int mode)
{
    if (i >= 0 && i < n)
        return i;
    switch (mode) {
    case FA_PADDING_EDGE:
        return i < 0 ? 0 : n - 1;
    case FA_PADDING_REFLECT: {
        if (n == 1)
            return 0;
        int64_t period = 2 * (n - 1);
        i = ((i % period) + period) % period;
        return i < n ? i : period - i;
    }
    case FA_PADDING_SYMMETRIC:
        i = ((i % (2 * n)) + 2 * n) % (2 * n);
        return i < n ? i : 2 * n - 1 - i;
    default:
        return FILL;
    }
}

/* The pixel of the image at place i of the padded axis, or FILL. */
static int64_t source(const axis *a, int64_t i)
{
    int64_t inner = mirrored(i - a->missing, a->n + a->before + a->after, a->mode);
    return inner == FILL ? FILL : mirrored(inner - a->before, a->n, a->mode);
}

/* ---- RandomCrop -------------------------------------------------------------------------------------------------- */

static bool crop_infer(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    static const char *const call = "random_crop";
    axis y = axis_of(self, form, false), x = axis_of(self, form, true);
    if (form->height < 1 || form->width < 1)
        return fa_fail(FA_SHAPE_ERROR, where, call, "got images of %lld x %lld pixels, needs at least 1 x 1.",
                       (long long)form->height, (long long)form->width);
    if (axis_length(&y) < self->size[0] || axis_length(&x) < self->size[1])
        return fa_fail(
            FA_SHAPE_ERROR, where, call,
            "got images of %lld x %lld pixels with their padding, needs %lld x %lld or more. Hint: a smaller "
            "size, or .pad_if_needed = true.",
            (long long)axis_length(&y), (long long)axis_length(&x), (long long)self->size[0], (long long)self->size[1]);
    if (!form->floats && self->padding_mode == FA_PADDING_CONSTANT &&
        !(self->fill >= 0 && self->fill < FA_PIXEL_VALUES && self->fill == floor(self->fill)))
        return fa_fail(
            FA_VALUE_ERROR, where, call,
            "got fill %g for images of bytes, needs a whole number from 0 to 255. Hint: after fa_to_tensor() "
            "any number is fine.",
            self->fill);
    form->height = self->size[0];
    form->width = self->size[1];
    return true;
}

static void crop_draw(const fa_transform_body *self, const fa_image_form *form, fa_mt *mt, int64_t *draws)
{
    axis y = axis_of(self, form, false), x = axis_of(self, form, true);
    int64_t down = axis_length(&y) - self->size[0], right = axis_length(&x) - self->size[1];
    draws[0] = draws[1] = 0;
    if (down == 0 && right == 0)
        return;
    fa_mt_randint(mt, &draws[0], 1, 0, down + 1);
    fa_mt_randint(mt, &draws[1], 1, 0, right + 1);
}

/* One pixel of `bytes` bytes: that of the row, or the fill. */
static void crop_pixel(char *to, const char *row, int64_t column, size_t bytes, const fa_transform_body *self,
                       bool floats)
{
    if (row != NULL && column != FILL) {
        memcpy(to, row + (size_t)column * bytes, bytes);
    } else if (floats) {
        float fill = (float)self->fill;
        memcpy(to, &fill, sizeof fill);
    } else {
        memset(to, (int)self->fill, bytes);
    }
}

static void crop_apply(const fa_transform_body *self, const fa_image_form *form, const void *in, const int64_t *draws,
                       void *out)
{
    const axis y = axis_of(self, form, false), x = axis_of(self, form, true);
    const int64_t planes = form->floats ? form->channels : 1, height = self->size[0], width = self->size[1];
    const size_t bytes = form->floats ? sizeof(float) : (size_t)form->channels;
    /* columns [from, to) lie in the image itself, one after the other */
    const int64_t first = draws[1] - x.missing - x.before;
    const int64_t from = first >= 0 ? 0 : -first < width ? -first : width;
    const int64_t left = x.n - first, to = left < from ? from : left < width ? left : width;
    char *at = out;
    for (int64_t plane = 0; plane < planes; plane++)
        for (int64_t i = 0; i < height; i++, at += (size_t)width * bytes) {
            const int64_t line = source(&y, draws[0] + i);
            const char *row =
                line == FILL ? NULL : (const char *)in + (size_t)((plane * form->height + line) * x.n) * bytes;
            const int64_t begin = row != NULL ? from : width, end = row != NULL ? to : width;
            for (int64_t j = 0; j < begin; j++)
                crop_pixel(at + (size_t)j * bytes, row, source(&x, draws[1] + j), bytes, self, form->floats);
            if (end > begin)
                memcpy(at + (size_t)begin * bytes, row + (size_t)(first + begin) * bytes,
                       (size_t)(end - begin) * bytes);
            for (int64_t j = end; j < width; j++)
                crop_pixel(at + (size_t)j * bytes, row, source(&x, draws[1] + j), bytes, self, form->floats);
        }
}

static const fa_transform_kind random_crop = {
    .name = "random_crop", .infer = crop_infer, .apply = crop_apply, .draws = 2, .draw = crop_draw};

static bool check_crop(const fa_transform_body *crop, fa_where where)
{
    static const char *const call = "fa_random_crop";
    for (int d = 0; d < 2; d++)
        if (crop->size[d] < 1 || crop->size[d] > MAX_SIZE)
            return fa_fail(FA_VALUE_ERROR, where, call,
                           "got size %lld x %lld, needs 1 to %d each. Hint: fa_random_crop(28, .padding = 2), or "
                           ".size_hw = {height, width}.",
                           (long long)crop->size[0], (long long)crop->size[1], MAX_SIZE);
    for (int d = 0; d < 4; d++)
        if (crop->padding[d] < 0 || crop->padding[d] > MAX_PADDING)
            return fa_fail(FA_VALUE_ERROR, where, call, "got padding %lld, needs 0 to %d.", (long long)crop->padding[d],
                           MAX_PADDING);
    if (crop->padding_mode < FA_PADDING_CONSTANT || crop->padding_mode > FA_PADDING_SYMMETRIC)
        return fa_fail(FA_VALUE_ERROR, where, call, "got padding_mode %d, needs one of fa_padding_mode.",
                       crop->padding_mode);
    return true;
}

fa_transform *fa_random_crop_at(const fa_random_crop_args *args)
{
    fa_transform_body crop = {.kind = &random_crop,
                              .pad_if_needed = args->pad_if_needed,
                              .fill = args->fill,
                              .padding_mode = (int)args->padding_mode};
    for (int d = 0; d < 2; d++)
        crop.size[d] = args->size_hw[d] == INT64_MIN ? args->size : args->size_hw[d];
    for (int d = 0; d < 4; d++)
        crop.padding[d] = args->padding_ltrb[d] == INT64_MIN ? args->padding : args->padding_ltrb[d];
    return check_crop(&crop, args->where_) ? fa_transform_make(&crop, args->where_) : NULL;
}

/* ---- Flips ------------------------------------------------------------------------------------------------------- */

static bool same_form(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    (void)self, (void)form, (void)where;
    return true;
}

static void flip_draw(const fa_transform_body *self, const fa_image_form *form, fa_mt *mt, int64_t *draws)
{
    (void)form;
    float x;
    fa_mt_uniform_f32(mt, &x, 1, 0, 1);
    draws[0] = x < self->p;
}

/* Rows of `width` elements of `bytes` bytes, each from its end to its beginning; the usual sizes are inlined. */
static inline __attribute__((always_inline)) void reverse_rows(char *out, const char *in, int64_t rows, int64_t width,
                                                               size_t bytes)
{
    for (int64_t i = 0; i < rows; i++, in += (size_t)width * bytes, out += (size_t)width * bytes)
        for (int64_t j = 0; j < width; j++)
            memcpy(out + (size_t)j * bytes, in + (size_t)(width - 1 - j) * bytes, bytes);
}

static void horizontal_apply(const fa_transform_body *self, const fa_image_form *form, const void *in,
                             const int64_t *draws, void *out)
{
    (void)self;
    const int64_t rows = form->floats ? form->channels * form->height : form->height;
    const size_t bytes = form->floats ? sizeof(float) : (size_t)form->channels;
    if (draws[0] == 0)
        memcpy(out, in, (size_t)(rows * form->width) * bytes);
    else if (bytes == 1)
        reverse_rows(out, in, rows, form->width, 1);
    else if (bytes == 3)
        reverse_rows(out, in, rows, form->width, 3);
    else if (bytes == 4)
        reverse_rows(out, in, rows, form->width, 4);
    else
        reverse_rows(out, in, rows, form->width, bytes);
}

static void vertical_apply(const fa_transform_body *self, const fa_image_form *form, const void *in,
                           const int64_t *draws, void *out)
{
    (void)self;
    const int64_t planes = form->floats ? form->channels : 1, height = form->height;
    const size_t row = (size_t)form->width * (form->floats ? sizeof(float) : (size_t)form->channels);
    for (int64_t plane = 0; plane < planes; plane++)
        for (int64_t i = 0; i < height; i++) {
            int64_t from = draws[0] == 0 ? i : height - 1 - i;
            memcpy((char *)out + (size_t)(plane * height + i) * row,
                   (const char *)in + (size_t)(plane * height + from) * row, row);
        }
}

static const fa_transform_kind horizontal_flip = {
    .name = "random_horizontal_flip", .infer = same_form, .apply = horizontal_apply, .draws = 1, .draw = flip_draw};
static const fa_transform_kind vertical_flip = {
    .name = "random_vertical_flip", .infer = same_form, .apply = vertical_apply, .draws = 1, .draw = flip_draw};

static fa_transform *make_flip(const fa_transform_kind *kind, const char *call, const fa_random_flip_args *args)
{
    if (!(args->p >= 0 && args->p <= 1)) {
        fa_fail(FA_VALUE_ERROR, args->where_, call, "got p = %g, needs a probability from 0 to 1.", args->p);
        return NULL;
    }
    return fa_transform_make(&(fa_transform_body){.kind = kind, .p = (float)args->p}, args->where_);
}

fa_transform *fa_random_horizontal_flip_at(const fa_random_flip_args *args)
{
    return make_flip(&horizontal_flip, "fa_random_horizontal_flip", args);
}

fa_transform *fa_random_vertical_flip_at(const fa_random_flip_args *args)
{
    return make_flip(&vertical_flip, "fa_random_vertical_flip", args);
}
