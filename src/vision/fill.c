/* The fill of padding, and of what comes from outside an image: one number, or one a channel. */
#include "vision/transform.h"

#include "base/error.h"

#include <math.h>

bool fa_fill_set(fa_transform_body *body, double fill, const double fills[FA_MAX_CHANNELS], int channels,
                 const char *call, fa_where where)
{
    int given = FA_MAX_CHANNELS;
    while (given > 0 && fills[given - 1] == 0)
        given--;
    if (channels < 0 || channels > FA_MAX_CHANNELS || (channels > 0 && channels < given))
        return fa_fail(FA_VALUE_ERROR, where, call, "got %d fills and .channels = %d, needs one a channel, %d at most.",
                       given, channels, FA_MAX_CHANNELS);
    body->fills = channels > 0 ? channels : given;
    body->fills_told = channels > 0;
    body->fill[0] = fill;
    for (int c = 0; c < body->fills; c++)
        body->fill[c] = fills[c];
    return true;
}

bool fa_fill_check(const fa_transform_body *self, const fa_image_form *form, const char *name, fa_where where)
{
    if (self->fills > 0 && self->fills != form->channels && (self->fills > 1 || !self->fills_told))
        return fa_fail(FA_SHAPE_ERROR, where, name,
                       "got %d fills for images of %lld channels, needs one a channel. Hint: .channels tells how many "
                       "they are where they end in 0.",
                       self->fills, (long long)form->channels);
    for (int c = 0; !form->floats && (c == 0 || c < self->fills); c++) {
        const double fill = self->fill[c];
        if (!(fill >= 0 && fill < FA_PIXEL_VALUES && fill == floor(fill)))
            return fa_fail(FA_VALUE_ERROR, where, name,
                           "got fill %g for images of bytes, needs a whole number from 0 to 255. Hint: after "
                           "fa_to_tensor() it may be any number.",
                           fill);
    }
    return true;
}

void fa_fill_bytes(const fa_transform_body *self, uint8_t *out, int64_t pixels, int64_t channels)
{
    if (self->fills <= 1) {
        memset(out, (int)self->fill[0], (size_t)(pixels * channels));
        return;
    }
    for (int64_t i = 0; i < pixels; i++)
        for (int64_t c = 0; c < channels; c++)
            *out++ = (uint8_t)self->fill[c];
}

void fa_fill_print(const fa_transform_body *self, fa_repr *text)
{
    if (self->fills == 0)
        fa_repr_number(text, self->fill[0]);
    for (int c = 0; c < self->fills; c++) {
        fa_repr_add(text, c == 0 ? "(" : ", ");
        fa_repr_number(text, self->fill[c]);
    }
    if (self->fills > 0)
        fa_repr_add(text, self->fills == 1 ? ",)" : ")");
}
