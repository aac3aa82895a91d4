/* Pad, CenterCrop, RandomCrop, RandomHorizontalFlip, RandomVerticalFlip: torchvision's pixels and draws.
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

static void set_size(fa_image_form *form, const int64_t size[2])
{
    form->height = size[0];
    form->width = size[1];
    form->any_size = false;
}

static bool crop_infer(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    static const char *const call = "random_crop";
    axis y = axis_of(self, form, false), x = axis_of(self, form, true);
    if (form->height < 1 || form->width < 1)
        return fa_fail(FA_SHAPE_ERROR, where, call, "got images of %lld x %lld pixels, needs at least 1 x 1.",
                       (long long)form->height, (long long)form->width);
    if (!form->any_size && (axis_length(&y) < self->size[0] || axis_length(&x) < self->size[1]))
        return fa_fail(
            FA_SHAPE_ERROR, where, call,
            "got images of %lld x %lld pixels with their padding, needs %lld x %lld or more. Hint: a smaller "
            "size, or .pad_if_needed = true.",
            (long long)axis_length(&y), (long long)axis_length(&x), (long long)self->size[0], (long long)self->size[1]);
    if (self->padding_mode == FA_PADDING_CONSTANT && !fa_fill_check(self, form, call, where))
        return false;
    set_size(form, self->size);
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

/* One pixel of `bytes` bytes: that of the row, or the fill; with floats, of the plane. */
static void crop_pixel(char *to, const char *row, int64_t column, size_t bytes, const fa_transform_body *self,
                       bool floats, int64_t plane)
{
    if (row != NULL && column != FILL) {
        memcpy(to, row + (size_t)column * bytes, bytes);
    } else if (floats) {
        float fill = (float)fa_fill_of(self, plane);
        memcpy(to, &fill, sizeof fill);
    } else {
        fa_fill_bytes(self, (uint8_t *)to, 1, (int64_t)bytes);
    }
}

void fa_crop_at(const fa_transform_body *self, const fa_image_form *form, const void *in, int64_t top, int64_t left,
                void *out)
{
    const axis y = axis_of(self, form, false), x = axis_of(self, form, true);
    const int64_t planes = form->floats ? form->channels : 1, height = self->size[0], width = self->size[1];
    const size_t bytes = form->floats ? sizeof(float) : (size_t)form->channels;
    /* columns [from, to) lie in the image itself, one after the other */
    const int64_t first = left - x.missing - x.before;
    const int64_t from = first >= 0 ? 0 : -first < width ? -first : width;
    const int64_t rest = x.n - first, to = rest < from ? from : rest < width ? rest : width;
    char *at = out;
    for (int64_t plane = 0; plane < planes; plane++)
        for (int64_t i = 0; i < height; i++, at += (size_t)width * bytes) {
            const int64_t line = source(&y, top + i);
            const char *row =
                line == FILL ? NULL : (const char *)in + (size_t)((plane * form->height + line) * x.n) * bytes;
            const int64_t begin = row != NULL ? from : width, end = row != NULL ? to : width;
            for (int64_t j = 0; j < begin; j++)
                crop_pixel(at + (size_t)j * bytes, row, source(&x, left + j), bytes, self, form->floats, plane);
            if (end > begin)
                memcpy(at + (size_t)begin * bytes, row + (size_t)(first + begin) * bytes,
                       (size_t)(end - begin) * bytes);
            for (int64_t j = end; j < width; j++)
                crop_pixel(at + (size_t)j * bytes, row, source(&x, left + j), bytes, self, form->floats, plane);
        }
}

static bool crop_apply(const fa_transform_body *self, const fa_image_form *form, const void *in, const int64_t *draws,
                       void *out, fa_where where)
{
    (void)where;
    fa_crop_at(self, form, in, draws[0], draws[1], out);
    return true;
}

const char *fa_padding_mode_name(int mode)
{
    static const char *const name[] = {"constant", "edge", "reflect", "symmetric"};
    return name[mode];
}

/* One number, or left, top, right, bottom, as they were given. */
static void print_padding(const fa_transform_body *self, fa_repr *text)
{
    fa_repr_size(text, self->padding, self->single ? 1 : 4);
}

static void crop_print(const fa_transform_body *self, fa_repr *text)
{
    fa_repr_add(text, "RandomCrop(size=");
    fa_repr_size(text, self->size, 2);
    fa_repr_add(text, ", padding=");
    if (self->padding_given)
        print_padding(self, text);
    else
        fa_repr_add(text, "None");
    if (self->pad_if_needed)
        fa_repr_add(text, ", pad_if_needed=True");
    if (!fa_fill_is_default(self)) {
        fa_repr_add(text, ", fill=");
        fa_fill_print(self, text);
    }
    if (self->padding_mode != FA_PADDING_CONSTANT)
        fa_repr_add(text, ", padding_mode=%s", fa_padding_mode_name(self->padding_mode));
    fa_repr_add(text, ")");
}

static const fa_transform_kind random_crop = {
    .name = "random_crop", .infer = crop_infer, .apply = crop_apply, .draw = crop_draw, .print = crop_print};

static bool check_crop(const fa_transform_body *crop, const char *call, fa_where where)
{
    for (int d = 0; d < 2; d++)
        if (crop->size[d] < 1 || crop->size[d] > MAX_SIZE)
            return fa_fail(FA_VALUE_ERROR, where, call,
                           "got size %lld x %lld, needs 1 to %d each. Hint: %s(28), or %s(.size_hw = {height, width}).",
                           (long long)crop->size[0], (long long)crop->size[1], MAX_SIZE, call, call);
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
                              .draws = 2,
                              .single = args->padding_ltrb[0] == INT64_MIN,
                              .padding_given = args->padding != 0 || args->padding_ltrb[0] != INT64_MIN,
                              .pad_if_needed = args->pad_if_needed,
                              .padding_mode = (int)args->padding_mode};
    for (int d = 0; d < 2; d++)
        crop.size[d] = args->size_hw[d] == INT64_MIN ? args->size : args->size_hw[d];
    for (int d = 0; d < 4; d++)
        crop.padding[d] = args->padding_ltrb[d] == INT64_MIN ? args->padding : args->padding_ltrb[d];
    return fa_fill_set(&crop, args->fill, args->fills, args->channels, "fa_random_crop", args->where_) &&
                   check_crop(&crop, "fa_random_crop", args->where_)
               ? fa_transform_make(&crop, args->where_)
               : NULL;
}

/* ---- Pad, CenterCrop --------------------------------------------------------------------------------------------- */

/* The padded image as a window: as large as it is. */
static fa_transform_body whole(const fa_transform_body *self, const fa_image_form *form)
{
    fa_transform_body window = *self;
    window.size[0] = form->height + self->padding[1] + self->padding[3];
    window.size[1] = form->width + self->padding[0] + self->padding[2];
    return window;
}

static bool pad_infer(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    const fa_transform_body window = whole(self, form);
    if (form->height < 1 || form->width < 1)
        return fa_fail(FA_SHAPE_ERROR, where, "pad_image", "got images of %lld x %lld pixels, needs at least 1 x 1.",
                       (long long)form->height, (long long)form->width);
    if (self->padding_mode == FA_PADDING_CONSTANT && !fa_fill_check(self, form, "pad_image", where))
        return false;
    form->height = window.size[0];
    form->width = window.size[1];
    return true;
}

static bool pad_apply(const fa_transform_body *self, const fa_image_form *form, const void *in, const int64_t *draws,
                      void *out, fa_where where)
{
    (void)draws, (void)where;
    const fa_transform_body window = whole(self, form);
    fa_crop_at(&window, form, in, 0, 0, out);
    return true;
}

static void pad_print(const fa_transform_body *self, fa_repr *text)
{
    fa_repr_add(text, "Pad(padding=");
    print_padding(self, text);
    fa_repr_add(text, ", fill=");
    fa_fill_print(self, text);
    fa_repr_add(text, ", padding_mode=%s)", fa_padding_mode_name(self->padding_mode));
}

static const fa_transform_kind pad_image = {
    .name = "pad_image", .infer = pad_infer, .apply = pad_apply, .print = pad_print};

fa_transform *fa_pad_image_at(const fa_pad_image_args *args)
{
    fa_transform_body pad = {.kind = &pad_image,
                             .size = {1, 1},
                             .single = args->padding_ltrb[0] == INT64_MIN,
                             .padding_mode = (int)args->padding_mode};
    for (int d = 0; d < 4; d++)
        pad.padding[d] = args->padding_ltrb[d] == INT64_MIN ? args->padding : args->padding_ltrb[d];
    return fa_fill_set(&pad, args->fill, args->fills, args->channels, "fa_pad_image", args->where_) &&
                   check_crop(&pad, "fa_pad_image", args->where_)
               ? fa_transform_make(&pad, args->where_)
               : NULL;
}

static bool center_infer(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    if (form->height < 1 || form->width < 1)
        return fa_fail(FA_SHAPE_ERROR, where, "center_crop", "got images of %lld x %lld pixels, needs at least 1 x 1.",
                       (long long)form->height, (long long)form->width);
    set_size(form, self->size);
    return true;
}

/* What is missing, half of it before; or what is too much: half of it, rounded half to even, is left out before. */
static int64_t center_axis(int64_t n, int64_t size, int64_t *before, int64_t *after)
{
    *before = size > n ? (size - n) / 2 : 0;
    *after = size > n ? (size - n + 1) / 2 : 0;
    int64_t slack = size > n ? 0 : n - size;
    return slack / 2 + (slack % 4 == 3);
}

static bool center_apply(const fa_transform_body *self, const fa_image_form *form, const void *in, const int64_t *draws,
                         void *out, fa_where where)
{
    (void)draws, (void)where;
    fa_transform_body window = *self;
    int64_t top = center_axis(form->height, self->size[0], &window.padding[1], &window.padding[3]);
    int64_t left = center_axis(form->width, self->size[1], &window.padding[0], &window.padding[2]);
    fa_crop_at(&window, form, in, top, left, out);
    return true;
}

static void center_print(const fa_transform_body *self, fa_repr *text)
{
    fa_repr_add(text, "CenterCrop(size=");
    fa_repr_size(text, self->size, 2);
    fa_repr_add(text, ")");
}

static const fa_transform_kind center_crop = {
    .name = "center_crop", .infer = center_infer, .apply = center_apply, .print = center_print};

fa_transform *fa_center_crop_at(const fa_center_crop_args *args)
{
    fa_transform_body crop = {.kind = &center_crop};
    for (int d = 0; d < 2; d++)
        crop.size[d] = args->size_hw[d] == INT64_MIN ? args->size : args->size_hw[d];
    return check_crop(&crop, "fa_center_crop", args->where_) ? fa_transform_make(&crop, args->where_) : NULL;
}

/* ---- Flips ------------------------------------------------------------------------------------------------------- */

static void flip_draw(const fa_transform_body *self, const fa_image_form *form, fa_mt *mt, int64_t *draws)
{
    (void)form;
    float x;
    fa_mt_uniform_f32(mt, &x, 1, 0, 1);
    draws[0] = x < (float)self->p;
}

/* Rows of `width` elements of `bytes` bytes, each from its end to its beginning; the usual sizes are inlined. */
static inline __attribute__((always_inline)) void reverse_rows(char *out, const char *in, int64_t rows, int64_t width,
                                                               size_t bytes)
{
    for (int64_t i = 0; i < rows; i++, in += (size_t)width * bytes, out += (size_t)width * bytes)
        for (int64_t j = 0; j < width; j++)
            memcpy(out + (size_t)j * bytes, in + (size_t)(width - 1 - j) * bytes, bytes);
}

static bool horizontal_apply(const fa_transform_body *self, const fa_image_form *form, const void *in,
                             const int64_t *draws, void *out, fa_where where)
{
    (void)self, (void)where;
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
    return true;
}

static bool vertical_apply(const fa_transform_body *self, const fa_image_form *form, const void *in,
                           const int64_t *draws, void *out, fa_where where)
{
    (void)self, (void)where;
    const int64_t planes = form->floats ? form->channels : 1, height = form->height;
    const size_t row = (size_t)form->width * (form->floats ? sizeof(float) : (size_t)form->channels);
    for (int64_t plane = 0; plane < planes; plane++)
        for (int64_t i = 0; i < height; i++) {
            int64_t from = draws[0] == 0 ? i : height - 1 - i;
            memcpy((char *)out + (size_t)(plane * height + i) * row,
                   (const char *)in + (size_t)(plane * height + from) * row, row);
        }
    return true;
}

static void horizontal_print(const fa_transform_body *self, fa_repr *text)
{
    fa_repr_add(text, "RandomHorizontalFlip(p=");
    fa_repr_float(text, self->p);
    fa_repr_add(text, ")");
}

static void vertical_print(const fa_transform_body *self, fa_repr *text)
{
    fa_repr_add(text, "RandomVerticalFlip(p=");
    fa_repr_float(text, self->p);
    fa_repr_add(text, ")");
}

static const fa_transform_kind horizontal_flip = {.name = "random_horizontal_flip",
                                                  .infer = fa_same_form,
                                                  .apply = horizontal_apply,
                                                  .draw = flip_draw,
                                                  .print = horizontal_print};
static const fa_transform_kind vertical_flip = {.name = "random_vertical_flip",
                                                .infer = fa_same_form,
                                                .apply = vertical_apply,
                                                .draw = flip_draw,
                                                .print = vertical_print};

static fa_transform *make_flip(const fa_transform_kind *kind, const char *call, const fa_random_flip_args *args)
{
    if (!(args->p >= 0 && args->p <= 1)) {
        fa_fail(FA_VALUE_ERROR, args->where_, call, "got p = %g, needs a probability from 0 to 1.", args->p);
        return NULL;
    }
    return fa_transform_make(&(fa_transform_body){.kind = kind, .draws = 1, .p = args->p}, args->where_);
}

fa_transform *fa_random_horizontal_flip_at(const fa_random_flip_args *args)
{
    return make_flip(&horizontal_flip, "fa_random_horizontal_flip", args);
}

fa_transform *fa_random_vertical_flip_at(const fa_random_flip_args *args)
{
    return make_flip(&vertical_flip, "fa_random_vertical_flip", args);
}
