/* RandomErasing: a rectangle of floats is overwritten, with torchvision's draws.
 *
 * With value 'random' a normal number is drawn for each of its pixels and channels; the generator's state before them
 * stands among the draws, and the numbers are drawn again where they are written. */
#include "vision/transform.h"

#include "base/error.h"
#include "base/memory.h"

#include <math.h>

enum { TRIES = 10 };
enum { TOP, LEFT, HEIGHT, WIDTH, STATE, DRAWS = STATE + FA_GENERATOR_STATE_SIZE / 8 };

static bool erasing_infer(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    if (!form->floats)
        return fa_fail(FA_DTYPE_ERROR, where, "random_erasing",
                       "got images of bytes, needs float32. Hint: put it after fa_to_tensor().");
    if (self->values > 1 && self->values != form->channels)
        return fa_fail(FA_SHAPE_ERROR, where, "random_erasing",
                       "got %d values for images of %lld channels, needs one, or one a channel.", self->values,
                       (long long)form->channels);
    return true;
}

/* Normal numbers for the rectangle, into new memory; NULL after an error. */
static fa_buffer *draw_values(fa_mt *mt, int64_t count)
{
    fa_buffer *values = fa_buffer_new((size_t)count * sizeof(float));
    if (values == NULL)
        fa_fail_memory((fa_where){"random_erasing", 0}, (size_t)count * sizeof(float));
    else
        fa_mt_normal_f32(mt, values->data, count, 0, 1);
    return values;
}

static void erasing_draw(const fa_transform_body *self, const fa_image_form *form, fa_mt *mt, int64_t *draws)
{
    const double area = (double)(form->height * form->width);
    const float low = logf((float)self->ratio[0]), high = logf((float)self->ratio[1]);
    draws[HEIGHT] = 0;
    if (!((float)fa_draw_uniform_of(mt, 0, 1) < (float)self->p))
        return;
    for (int i = 0; i < TRIES; i++) {
        double target = area * fa_draw_uniform_of(mt, self->scale[0], self->scale[1]);
        double aspect = (double)expf((float)fa_draw_uniform_of(mt, low, high));
        int64_t h = (int64_t)nearbyint(sqrt(target * aspect)), w = (int64_t)nearbyint(sqrt(target / aspect));
        if (h >= form->height || w >= form->width)
            continue;
        if (self->values == 0) {
            fa_mt_save(mt, (uint8_t *)&draws[STATE]);
            fa_buffer_release(draw_values(mt, form->channels * h * w));
        }
        fa_mt_randint(mt, &draws[TOP], 1, 0, form->height - h + 1);
        fa_mt_randint(mt, &draws[LEFT], 1, 0, form->width - w + 1);
        draws[HEIGHT] = h;
        draws[WIDTH] = w;
        return;
    }
}

static bool erasing_apply(const fa_transform_body *self, const fa_image_form *form, const void *in,
                          const int64_t *draws, void *out, fa_where where)
{
    const int64_t h = draws[HEIGHT], w = draws[WIDTH], channels = form->channels;
    memcpy(out, in, (size_t)(form->height * form->width * channels) * sizeof(float));
    if (h == 0)
        return true;
    fa_buffer *drawn = NULL;
    if (self->values == 0) {
        fa_mt mt;
        if (!fa_mt_load(&mt, (const uint8_t *)&draws[STATE]))
            return fa_fail(FA_STATE_ERROR, where, "random_erasing", "got draws that are not its own.");
        if ((drawn = draw_values(&mt, channels * h * w)) == NULL)
            return false;
    }
    const float *value = drawn != NULL ? drawn->data : NULL;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t y = 0; y < h; y++) {
            float *row = (float *)out + (c * form->height + draws[TOP] + y) * form->width + draws[LEFT];
            for (int64_t x = 0; x < w; x++)
                row[x] = value != NULL ? *value++ : (float)self->value[self->values > 1 ? c : 0];
        }
    fa_buffer_release(drawn);
    return true;
}

static void erasing_print(const fa_transform_body *self, fa_repr *text)
{
    fa_repr_add(text, "RandomErasing(p=");
    fa_repr_float(text, self->p);
    fa_repr_add(text, ", scale=");
    fa_repr_floats(text, self->scale, 2, '(', ')');
    fa_repr_add(text, ", ratio=");
    fa_repr_floats(text, self->ratio, 2, '(', ')');
    fa_repr_add(text, ", value=");
    if (self->values == 0)
        fa_repr_add(text, "random");
    else if (self->values == 1)
        fa_repr_number(text, self->value[0]);
    else
        fa_repr_floats(text, self->value, self->values, '(', ')');
    fa_repr_add(text, ", inplace=False)");
}

static const fa_transform_kind erasing = {.name = "random_erasing",
                                          .infer = erasing_infer,
                                          .apply = erasing_apply,
                                          .draw = erasing_draw,
                                          .print = erasing_print};

static bool check(const fa_random_erasing_args *args)
{
    static const char *const call = "fa_random_erasing";
    if (!(args->p >= 0 && args->p <= 1))
        return fa_fail(FA_VALUE_ERROR, args->where_, call, "got p = %g, needs a probability from 0 to 1.", args->p);
    if (!(args->scale[0] >= 0 && args->scale[1] >= args->scale[0] && args->scale[1] <= 1))
        return fa_fail(FA_VALUE_ERROR, args->where_, call,
                       "got scale {%g, %g}, needs shares from 0 to 1, the lower first.", args->scale[0],
                       args->scale[1]);
    if (!(args->ratio[0] > 0 && args->ratio[1] >= args->ratio[0] && isfinite(args->ratio[1])))
        return fa_fail(FA_VALUE_ERROR, args->where_, call,
                       "got ratio {%g, %g}, needs two numbers above 0, the lower first.", args->ratio[0],
                       args->ratio[1]);
    if (args->channels < 0 || args->channels > FA_MAX_CHANNELS || (args->random && args->channels > 0))
        return fa_fail(FA_VALUE_ERROR, args->where_, call, "got %d values%s, needs at most %d%s.", args->channels,
                       args->random ? " and .random" : "", FA_MAX_CHANNELS, args->random ? ", or .random alone" : "");
    return true;
}

fa_transform *fa_random_erasing_at(const fa_random_erasing_args *args)
{
    if (!check(args))
        return NULL;
    fa_transform_body body = {.kind = &erasing,
                              .draws = args->random ? DRAWS : STATE,
                              .p = args->p,
                              .values = args->random         ? 0
                                        : args->channels > 0 ? args->channels
                                                             : 1};
    body.value[0] = args->value;
    for (int c = 0; c < args->channels; c++)
        body.value[c] = args->values[c];
    for (int d = 0; d < 2; d++) {
        body.scale[d] = args->scale[d];
        body.ratio[d] = args->ratio[d];
    }
    return fa_transform_make(&body, args->where_);
}
