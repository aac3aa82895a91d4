/* Resize, RandomResizedCrop and the pair of Resize and CenterCrop. */
#include "vision/transform.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>

enum { MAX_SIZE = 1 << 24, TRIES = 10 };

static bool check_size(const fa_transform_body *self, const char *call, fa_where where)
{
    for (int d = 0; d < 2; d++)
        if (self->size[d] < 1 || self->size[d] > MAX_SIZE)
            return fa_fail(
                FA_VALUE_ERROR, where, call,
                "got size %lld x %lld, needs 1 to %d each. Hint: %s(224), or %s(.size_hw = {height, width}).",
                (long long)self->size[0], (long long)self->size[1], MAX_SIZE, call, call);
    if (self->interpolation < FA_INTERPOLATION_NEAREST || self->interpolation > FA_INTERPOLATION_LANCZOS)
        return fa_fail(FA_VALUE_ERROR, where, call, "got interpolation %d, needs one of fa_interpolation.",
                       self->interpolation);
    return true;
}

/* ---- Resize ------------------------------------------------------------------------------------------------------ */

static bool resize_infer(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    if (!fa_bytes_only(form, "resize", where))
        return false;
    if (form->height < 1 || form->width < 1)
        return fa_fail(FA_SHAPE_ERROR, where, "resize", "got images of %lld x %lld pixels, needs at least 1 x 1.",
                       (long long)form->height, (long long)form->width);
    if (self->single && form->any_size)
        return true;
    int64_t height = self->size[0], width = self->size[1];
    if (self->single) {
        bool upright = form->width <= form->height;
        int64_t low = upright ? form->width : form->height, high = upright ? form->height : form->width;
        int64_t new_low = self->size[0], new_high = (int64_t)((double)(self->size[0] * high) / (double)low);
        if (self->max_size > 0 && new_high > self->max_size) {
            new_low = (int64_t)((double)(self->max_size * new_low) / (double)new_high);
            new_high = self->max_size;
        }
        height = upright ? new_high : new_low;
        width = upright ? new_low : new_high;
    }
    if (height < 1 || width < 1 || height > MAX_SIZE || width > MAX_SIZE)
        return fa_fail(FA_SHAPE_ERROR, where, "resize",
                       "got images of %lld x %lld pixels, which would become %lld x %lld, needs 1 to %d each.",
                       (long long)form->height, (long long)form->width, (long long)height, (long long)width, MAX_SIZE);
    form->height = height;
    form->width = width;
    form->any_size = false;
    return true;
}

static bool resize_apply(const fa_transform_body *self, const fa_image_form *form, const void *in, const int64_t *draws,
                         void *out, fa_where where)
{
    (void)draws;
    fa_image_form result = *form;
    return resize_infer(self, &result, where) && fa_resample(in, form->height, form->width, form->channels, out,
                                                             result.height, result.width, self->interpolation, where);
}

static void resize_print(const fa_transform_body *self, fa_repr *text)
{
    fa_repr_add(text, "Resize(size=");
    fa_repr_size(text, self->size, self->single ? 1 : 2);
    fa_repr_add(text, ", interpolation=%s, max_size=", fa_interpolation_name(self->interpolation));
    if (self->max_size > 0)
        fa_repr_size(text, &self->max_size, 1);
    else
        fa_repr_add(text, "None");
    fa_repr_add(text, ", antialias=True)");
}

static const fa_transform_kind resize = {
    .name = "resize", .infer = resize_infer, .apply = resize_apply, .print = resize_print};

fa_transform *fa_resize_at(const fa_resize_args *args)
{
    fa_transform_body body = {.kind = &resize,
                              .interpolation = (int)args->interpolation,
                              .max_size = args->max_size,
                              .single = args->size_hw[0] == INT64_MIN};
    for (int d = 0; d < 2; d++)
        body.size[d] = body.single ? args->size : args->size_hw[d];
    if (!check_size(&body, "fa_resize", args->where_))
        return NULL;
    if (body.max_size != 0 && (!body.single || body.max_size <= body.size[0])) {
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_resize",
                "got max_size %lld with size %lld%s, needs more than the short side's size, given as one number.",
                (long long)body.max_size, (long long)body.size[0], body.single ? "" : " and another");
        return NULL;
    }
    return fa_transform_make(&body, args->where_);
}

fa_transform *fa_fit_at(int64_t size, fa_where where)
{
    fa_transform *step[2] = {fa_resize_at(&(fa_resize_args){.size = size,
                                                            .where_ = where,
                                                            .interpolation = FA_INTERPOLATION_BILINEAR,
                                                            .size_hw = {INT64_MIN, INT64_MIN}}),
                             NULL};
    if (step[0] != NULL)
        step[1] =
            fa_center_crop_at(&(fa_center_crop_args){.size = size, .where_ = where, .size_hw = {INT64_MIN, INT64_MIN}});
    fa_transform *both = step[1] != NULL ? fa_compose_at(2, step, where) : NULL;
    if (both == NULL) {
        fa_transform_free(step[0]);
        fa_transform_free(step[1]);
    }
    return both;
}

/* ---- RandomResizedCrop ------------------------------------------------------------------------------------------- */

static bool resized_infer(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    if (!fa_bytes_only(form, "random_resized_crop", where))
        return false;
    if (form->height < 1 || form->width < 1)
        return fa_fail(FA_SHAPE_ERROR, where, "random_resized_crop",
                       "got images of %lld x %lld pixels, needs at least 1 x 1.", (long long)form->height,
                       (long long)form->width);
    form->height = self->size[0];
    form->width = self->size[1];
    form->any_size = false;
    return true;
}

/* Python's round(): half to even. */
static int64_t rounded(double x)
{
    return (int64_t)nearbyint(x);
}

/* Writes top, left, height, width. */
static void resized_draw(const fa_transform_body *self, const fa_image_form *form, fa_mt *mt, int64_t *draws)
{
    const int64_t height = form->height, width = form->width;
    const double area = (double)(height * width);
    const float low = logf((float)self->ratio[0]), high = logf((float)self->ratio[1]);
    for (int i = 0; i < TRIES; i++) {
        double target = area * fa_draw_uniform_of(mt, self->scale[0], self->scale[1]);
        double aspect = (double)expf((float)fa_draw_uniform_of(mt, low, high));
        int64_t w = rounded(sqrt(target * aspect)), h = rounded(sqrt(target / aspect));
        if (w > 0 && w <= width && h > 0 && h <= height) {
            fa_mt_randint(mt, &draws[0], 1, 0, height - h + 1);
            fa_mt_randint(mt, &draws[1], 1, 0, width - w + 1);
            draws[2] = h;
            draws[3] = w;
            return;
        }
    }
    const double aspect = (double)width / (double)height;
    const double least = fmin(self->ratio[0], self->ratio[1]), most = fmax(self->ratio[0], self->ratio[1]);
    draws[2] = height;
    draws[3] = width;
    if (aspect < least)
        draws[2] = rounded((double)width / least);
    else if (aspect > most)
        draws[3] = rounded((double)height * most);
    draws[0] = (height - draws[2]) / 2;
    draws[1] = (width - draws[3]) / 2;
}

static bool resized_apply(const fa_transform_body *self, const fa_image_form *form, const void *in,
                          const int64_t *draws, void *out, fa_where where)
{
    const size_t row = (size_t)(draws[3] * form->channels);
    fa_buffer *window = fa_buffer_new((size_t)draws[2] * row);
    if (window == NULL)
        return fa_fail_memory(where, (size_t)draws[2] * row);
    for (int64_t y = 0; y < draws[2]; y++)
        memcpy((char *)window->data + (size_t)y * row,
               (const char *)in + (size_t)(((draws[0] + y) * form->width + draws[1]) * form->channels), row);
    bool fine = fa_resample(window->data, draws[2], draws[3], form->channels, out, self->size[0], self->size[1],
                            self->interpolation, where);
    fa_buffer_release(window);
    return fine;
}

/* round(x, 4) of Python. */
static double four_places(double x)
{
    return nearbyint(x * 1e4) / 1e4;
}

static void resized_print(const fa_transform_body *self, fa_repr *text)
{
    fa_repr_add(text, "RandomResizedCrop(size=");
    fa_repr_size(text, self->size, 2);
    fa_repr_add(text, ", scale=");
    fa_repr_floats(text, (double[]){four_places(self->scale[0]), four_places(self->scale[1])}, 2, '(', ')');
    fa_repr_add(text, ", ratio=");
    fa_repr_floats(text, (double[]){four_places(self->ratio[0]), four_places(self->ratio[1])}, 2, '(', ')');
    fa_repr_add(text, ", interpolation=%s, antialias=True)", fa_interpolation_name(self->interpolation));
}

static const fa_transform_kind resized_crop = {.name = "random_resized_crop",
                                               .infer = resized_infer,
                                               .apply = resized_apply,
                                               .draw = resized_draw,
                                               .print = resized_print};

fa_transform *fa_random_resized_crop_at(const fa_random_resized_crop_args *args)
{
    static const char *const call = "fa_random_resized_crop";
    fa_transform_body body = {.kind = &resized_crop, .draws = 4, .interpolation = (int)args->interpolation};
    for (int d = 0; d < 2; d++) {
        body.size[d] = args->size_hw[0] == INT64_MIN ? args->size : args->size_hw[d];
        body.scale[d] = args->scale[d];
        body.ratio[d] = args->ratio[d];
    }
    if (!check_size(&body, call, args->where_))
        return NULL;
    if (!(body.scale[0] > 0 && body.scale[1] >= body.scale[0] && isfinite(body.scale[1])) ||
        !(body.ratio[0] > 0 && body.ratio[1] >= body.ratio[0] && isfinite(body.ratio[1]))) {
        fa_fail(FA_VALUE_ERROR, args->where_, call,
                "got scale {%g, %g} and ratio {%g, %g}, needs two numbers above 0 each, the lower one first.",
                body.scale[0], body.scale[1], body.ratio[0], body.ratio[1]);
        return NULL;
    }
    return fa_transform_make(&body, args->where_);
}
