/* ColorJitter, Grayscale, RandomGrayscale: Pillow's pixels.
 *
 * An enhancement blends the image with a dull one: dull + factor (pixel - dull), cut off to whole numbers, and to
 * 0 ... 255 when the factor is above 1. Dull is black for brightness, the mean of the grey image for contrast, the grey
 * image for saturation. Hue: through HSV in bytes, with the hue moved by factor * 255. Factors are float32 when they
 * blend, and what Pillow computes in float32 is float32 here. */
#include "vision/transform.h"

#include "base/error.h"

#include <math.h>

enum { BRIGHTNESS, CONTRAST, SATURATION, HUE, JITTERS };

static bool colour_infer(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    const char *name = self->kind->name;
    if (!fa_bytes_only(form, name, where))
        return false;
    return form->channels == 1 || form->channels == 3 ||
           fa_fail(FA_SHAPE_ERROR, where, name, "got images of %lld channels, needs 1 or 3.",
                   (long long)form->channels);
}

/* ---- Blending ---------------------------------------------------------------------------------------------------- */

static uint8_t blend(uint8_t dull, uint8_t pixel, float factor)
{
    float x = (float)dull + factor * (float)((int)pixel - (int)dull);
    return (uint8_t)(x <= 0 ? 0 : x >= 255 ? 255 : x);
}

static void brighten(uint8_t *pixels, int64_t n, float factor)
{
    uint8_t table[FA_PIXEL_VALUES];
    for (int v = 0; v < FA_PIXEL_VALUES; v++)
        table[v] = blend(0, (uint8_t)v, factor);
    for (int64_t i = 0; i < n; i++)
        pixels[i] = table[pixels[i]];
}

static void contrast(uint8_t *pixels, int64_t area, int64_t channels, float factor)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < area; i++)
        sum += channels == 3 ? fa_grey_of(pixels + 3 * i) : pixels[i];
    uint8_t mean = area > 0 ? (uint8_t)((double)sum / (double)area + 0.5) : 0, table[FA_PIXEL_VALUES];
    for (int v = 0; v < FA_PIXEL_VALUES; v++)
        table[v] = blend(mean, (uint8_t)v, factor);
    for (int64_t i = 0; i < area * channels; i++)
        pixels[i] = table[pixels[i]];
}

static void saturate(uint8_t *pixels, int64_t area, int64_t channels, float factor)
{
    for (int64_t i = 0; i < area && channels == 3; i++, pixels += 3) {
        uint8_t grey = fa_grey_of(pixels);
        for (int c = 0; c < 3; c++)
            pixels[c] = blend(grey, pixels[c], factor);
    }
}

/* ---- Hue --------------------------------------------------------------------------------------------------------- */

static void to_hsv(const uint8_t rgb[3], uint8_t hsv[3])
{
    const int r = rgb[0], g = rgb[1], b = rgb[2];
    const int most = r > g ? (r > b ? r : b) : (g > b ? g : b), least = r < g ? (r < b ? r : b) : (g < b ? g : b);
    hsv[0] = hsv[1] = 0;
    hsv[2] = (uint8_t)most;
    if (most == least)
        return;
    const float range = (float)(most - least), s = range / (float)most;
    const float dr = (float)(most - r) / range, dg = (float)(most - g) / range, db = (float)(most - b) / range;
    float h;
    if (r == most)
        h = db - dg;
    else if (g == most)
        h = (float)(2.0 + dr - db);
    else
        h = (float)(4.0 + dg - dr);
    const double turned = h / 6.0 + 1.0; /* from 5 / 6 to below 2; its fractional part is taken */
    h = (float)(turned >= 1 ? turned - 1 : turned);
    hsv[0] = (uint8_t)(int)(h * 255.0);
    hsv[1] = (uint8_t)(int)(s * 255.0);
}

/* round(), half away from zero, of 0 ... 255. */
static uint8_t rounded(float x)
{
    int whole = (int)x;
    return (uint8_t)(whole + (x - (float)whole >= 0.5f));
}

static void from_hsv(const uint8_t hsv[3], uint8_t rgb[3])
{
    const uint8_t v = hsv[2];
    rgb[0] = rgb[1] = rgb[2] = v;
    if (hsv[1] == 0)
        return;
    const float s = hsv[1] / 255.0f, place = (float)((float)hsv[0] * 6.0 / 255.0);
    const int sector = (int)place;
    const float f = place - (float)sector;
    const uint8_t p = rounded((float)v * (1.0f - s)), q = rounded((float)v * (1.0f - s * f));
    const uint8_t t = rounded((float)v * (1.0f - s * (1.0f - f)));
    const uint8_t made[6][3] = {{v, t, p}, {q, v, p}, {p, v, t}, {p, q, v}, {t, p, v}, {v, p, q}};
    memcpy(rgb, made[sector % 6], 3);
}

static void turn_hue(uint8_t *pixels, int64_t area, int64_t channels, double factor)
{
    const uint8_t by = (uint8_t)(int32_t)(factor * 255);
    for (int64_t i = 0; i < area && channels == 3; i++, pixels += 3) {
        uint8_t hsv[3];
        to_hsv(pixels, hsv);
        hsv[0] = (uint8_t)(hsv[0] + by);
        from_hsv(hsv, pixels);
    }
}

/* ---- ColorJitter ------------------------------------------------------------------------------------------------- */

/* Four places in the order, then four factors. */
static void jitter_draw(const fa_transform_body *self, const fa_image_form *form, fa_mt *mt, int64_t *draws)
{
    (void)form;
    fa_mt_randperm(mt, draws, JITTERS);
    for (int i = 0; i < JITTERS; i++)
        draws[JITTERS + i] =
            fa_draw_from_double(self->jitters[i] ? fa_draw_uniform_of(mt, self->jitter[i][0], self->jitter[i][1]) : 1);
}

static bool jitter_apply(const fa_transform_body *self, const fa_image_form *form, const void *in, const int64_t *draws,
                         void *out, fa_where where)
{
    (void)where;
    const int64_t area = form->height * form->width, channels = form->channels;
    memcpy(out, in, (size_t)(area * channels));
    for (int i = 0; i < JITTERS; i++) {
        const int64_t what = draws[i];
        const double factor = fa_draw_to_double(draws[JITTERS + what]);
        if (!self->jitters[what])
            continue;
        if (what == BRIGHTNESS)
            brighten(out, area * channels, (float)factor);
        else if (what == CONTRAST)
            contrast(out, area, channels, (float)factor);
        else if (what == SATURATION)
            saturate(out, area, channels, (float)factor);
        else
            turn_hue(out, area, channels, factor);
    }
    return true;
}

static void jitter_print(const fa_transform_body *self, fa_repr *text)
{
    static const char *const name[JITTERS] = {"ColorJitter(brightness=", ", contrast=", ", saturation=", ", hue="};
    for (int i = 0; i < JITTERS; i++) {
        fa_repr_add(text, "%s", name[i]);
        if (self->jitters[i])
            fa_repr_floats(text, self->jitter[i], 2, '(', ')');
        else
            fa_repr_add(text, "None");
    }
    fa_repr_add(text, ")");
}

static const fa_transform_kind color_jitter = {
    .name = "color_jitter", .infer = colour_infer, .apply = jitter_apply, .draw = jitter_draw, .print = jitter_print};

static bool set_jitter(fa_transform_body *body, int i, double value, const double range[2], fa_where where)
{
    static const char *const name[JITTERS] = {"brightness", "contrast", "saturation", "hue"};
    const double center = i == HUE ? 0 : 1, least = i == HUE ? -0.5 : 0, most = i == HUE ? 0.5 : INFINITY;
    const bool given = range[0] != (double)INT64_MIN;
    if (!given && !(value >= 0 && isfinite(value)))
        return fa_fail(FA_VALUE_ERROR, where, "fa_color_jitter", "got %s %g, needs a number not below 0.", name[i],
                       value);
    double low = given ? range[0] : center - value, high = given ? range[1] : center + value;
    if (!given && i != HUE && low < 0)
        low = 0;
    if (!(low >= least && high >= low && high <= most && isfinite(high)))
        return fa_fail(FA_VALUE_ERROR, where, "fa_color_jitter", "got %s from %g to %g, needs %s.", name[i], low, high,
                       i == HUE ? "-0.5 to 0.5" : "numbers not below 0, the lower first");
    body->jitter[i][0] = low;
    body->jitter[i][1] = high;
    body->jitters[i] = low != center || high != center;
    return true;
}

fa_transform *fa_color_jitter_at(const fa_color_jitter_args *args)
{
    fa_transform_body body = {.kind = &color_jitter, .draws = 2 * JITTERS};
    if (!set_jitter(&body, BRIGHTNESS, args->brightness, args->brightness_range, args->where_) ||
        !set_jitter(&body, CONTRAST, args->contrast, args->contrast_range, args->where_) ||
        !set_jitter(&body, SATURATION, args->saturation, args->saturation_range, args->where_) ||
        !set_jitter(&body, HUE, args->hue, args->hue_range, args->where_))
        return NULL;
    return fa_transform_make(&body, args->where_);
}

/* ---- Grayscale --------------------------------------------------------------------------------------------------- */

/* Grey in one channel, or repeated. */
static void make_grey(const uint8_t *in, const fa_image_form *form, int64_t channels, uint8_t *out)
{
    for (int64_t i = 0; i < form->height * form->width; i++, in += form->channels, out += channels) {
        uint8_t grey = form->channels == 3 ? fa_grey_of(in) : in[0];
        memset(out, grey, (size_t)channels);
    }
}

static bool grayscale_infer(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    if (!colour_infer(self, form, where))
        return false;
    form->channels = self->channels;
    return true;
}

static bool grayscale_apply(const fa_transform_body *self, const fa_image_form *form, const void *in,
                            const int64_t *draws, void *out, fa_where where)
{
    (void)draws, (void)where;
    make_grey(in, form, self->channels, out);
    return true;
}

static void grayscale_print(const fa_transform_body *self, fa_repr *text)
{
    fa_repr_add(text, "Grayscale(num_output_channels=%d)", self->channels);
}

static const fa_transform_kind grayscale = {
    .name = "grayscale", .infer = grayscale_infer, .apply = grayscale_apply, .print = grayscale_print};

fa_transform *fa_grayscale_at(int num_output_channels, fa_where where)
{
    if (num_output_channels != 1 && num_output_channels != 3) {
        fa_fail(FA_VALUE_ERROR, where, "fa_grayscale", "got %d channels, needs 1 or 3.", num_output_channels);
        return NULL;
    }
    return fa_transform_make(&(fa_transform_body){.kind = &grayscale, .channels = num_output_channels}, where);
}

static void random_grayscale_draw(const fa_transform_body *self, const fa_image_form *form, fa_mt *mt, int64_t *draws)
{
    (void)form;
    draws[0] = (float)fa_draw_uniform_of(mt, 0, 1) < (float)self->p;
}

static bool random_grayscale_apply(const fa_transform_body *self, const fa_image_form *form, const void *in,
                                   const int64_t *draws, void *out, fa_where where)
{
    (void)self, (void)where;
    if (draws[0])
        make_grey(in, form, form->channels, out);
    else
        memcpy(out, in, (size_t)(form->height * form->width * form->channels));
    return true;
}

static void random_grayscale_print(const fa_transform_body *self, fa_repr *text)
{
    fa_repr_add(text, "RandomGrayscale(p=");
    fa_repr_float(text, self->p);
    fa_repr_add(text, ")");
}

static const fa_transform_kind random_grayscale = {.name = "random_grayscale",
                                                   .infer = colour_infer,
                                                   .apply = random_grayscale_apply,
                                                   .draw = random_grayscale_draw,
                                                   .print = random_grayscale_print};

fa_transform *fa_random_grayscale_at(const fa_random_flip_args *args)
{
    if (!(args->p >= 0 && args->p <= 1)) {
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_random_grayscale", "got p = %g, needs a probability from 0 to 1.",
                args->p);
        return NULL;
    }
    return fa_transform_make(&(fa_transform_body){.kind = &random_grayscale, .draws = 1, .p = args->p}, args->where_);
}
