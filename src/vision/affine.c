/* RandomRotation, RandomAffine: the matrices of torchvision and Pillow.
 *
 * Rotation by angle a (counter-clockwise) about (cx, cy): cosines and sines of -a are rounded to 15 decimals; angles of
 * 0, 180, and of 90 and 270 in squares, turn pixel by pixel. Affine: the inverse of T C R S C^-1, S the shear and
 * scale, C the center, T the translation; y axis downwards. */
#include "vision/transform.h"

#include "base/error.h"
#include "base/number_text.h"

#include <math.h>

static double radians(double degrees)
{
    return degrees * (M_PI / 180.0);
}

/* round(x, 15) of Python: the nearest decimal number. */
static double fifteen_places(double x)
{
    char digits[64];
    fa_text_print(digits, sizeof digits, "%.15f", x);
    return fa_text_number_of(digits, NULL);
}

static bool warp_infer(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    const char *name = self->kind->name;
    if (!fa_bytes_only(form, name, where) || !fa_check_fill(self->fill, form, name, where))
        return false;
    return (form->height >= 1 && form->width >= 1) ||
           fa_fail(FA_SHAPE_ERROR, where, name, "got images of %lld x %lld pixels, needs at least 1 x 1.",
                   (long long)form->height, (long long)form->width);
}

static bool check_common(const fa_transform_body *self, const char *call, fa_where where)
{
    if (!(isfinite(self->degrees[0]) && isfinite(self->degrees[1]) && self->degrees[0] <= self->degrees[1]))
        return fa_fail(FA_VALUE_ERROR, where, call,
                       "got degrees from %g to %g, needs a number not below 0, or .degrees_range = {lowest, highest}.",
                       self->degrees[0], self->degrees[1]);
    if (self->interpolation < FA_INTERPOLATION_NEAREST || self->interpolation > FA_INTERPOLATION_BICUBIC)
        return fa_fail(FA_VALUE_ERROR, where, call,
                       "got interpolation %d, needs FA_INTERPOLATION_NEAREST, _BILINEAR or _BICUBIC.",
                       self->interpolation);
    if (self->has_center && !(isfinite(self->center[0]) && isfinite(self->center[1])))
        return fa_fail(FA_VALUE_ERROR, where, call, "got the center %g, %g, needs finite numbers.", self->center[0],
                       self->center[1]);
    return true;
}

static bool is_set(double x)
{
    return x != (double)INT64_MIN;
}

static void set_degrees(fa_transform_body *body, double degrees, const double range[2])
{
    body->degrees[0] = is_set(range[0]) ? range[0] : -degrees;
    body->degrees[1] = is_set(range[0]) ? range[1] : degrees;
}

static void set_center(fa_transform_body *body, const double center[2])
{
    body->has_center = is_set(center[0]);
    for (int d = 0; d < 2 && body->has_center; d++)
        body->center[d] = center[d];
}

/* ---- RandomRotation ---------------------------------------------------------------------------------------------- */

static void rotation_draw(const fa_transform_body *self, const fa_image_form *form, fa_mt *mt, int64_t *draws)
{
    (void)form;
    draws[0] = fa_draw_from_double(fa_draw_uniform_of(mt, self->degrees[0], self->degrees[1]));
}

/* Quarter turns counter-clockwise, pixel by pixel. */
static void turn(const uint8_t *in, const fa_image_form *form, int quarters, uint8_t *out)
{
    const int64_t height = form->height, width = form->width;
    for (int64_t y = 0; y < height; y++)
        for (int64_t x = 0; x < width; x++, out += form->channels) {
            int64_t row = quarters == 0 ? y : quarters == 1 ? x : quarters == 2 ? height - 1 - y : height - 1 - x;
            int64_t column = quarters == 0 ? x : quarters == 1 ? width - 1 - y : quarters == 2 ? width - 1 - x : y;
            memcpy(out, in + (row * width + column) * form->channels, (size_t)form->channels);
        }
}

static bool rotation_apply(const fa_transform_body *self, const fa_image_form *form, const void *in,
                           const int64_t *draws, void *out, fa_where where)
{
    (void)where;
    double angle = fmod(fa_draw_to_double(draws[0]), 360.0);
    angle += angle < 0 ? 360.0 : 0;
    if (!self->has_center && fmod(angle, 90.0) == 0 && (fmod(angle, 180.0) == 0 || form->height == form->width)) {
        turn(in, form, (int)(angle / 90.0) % 4, out);
        return true;
    }
    const double t = -radians(angle), x = self->has_center ? self->center[0] : (double)form->width / 2.0;
    const double y = self->has_center ? self->center[1] : (double)form->height / 2.0;
    double m[6] = {fifteen_places(cos(t)),  fifteen_places(sin(t)), 0,
                   fifteen_places(-sin(t)), fifteen_places(cos(t)), 0};
    m[2] = m[0] * -x + m[1] * -y + x;
    m[5] = m[3] * -x + m[4] * -y + y;
    fa_warp(in, form, m, self->interpolation, (uint8_t)self->fill, out);
    return true;
}

static void print_center(const fa_transform_body *self, fa_repr *text)
{
    for (int d = 0; d < 2 && self->has_center; d++) {
        fa_repr_add(text, d == 0 ? ", center=(" : ", ");
        fa_repr_number(text, self->center[d]);
        fa_repr_add(text, d == 0 ? "" : ")");
    }
}

static void rotation_print(const fa_transform_body *self, fa_repr *text)
{
    fa_repr_add(text, "RandomRotation(degrees=");
    fa_repr_floats(text, self->degrees, 2, '[', ']');
    fa_repr_add(text, ", interpolation=%s, expand=False", fa_interpolation_name(self->interpolation));
    print_center(self, text);
    fa_repr_add(text, ", fill=");
    fa_repr_number(text, self->fill);
    fa_repr_add(text, ")");
}

static const fa_transform_kind rotation = {.name = "random_rotation",
                                           .infer = warp_infer,
                                           .apply = rotation_apply,
                                           .draw = rotation_draw,
                                           .print = rotation_print};

fa_transform *fa_random_rotation_at(const fa_random_rotation_args *args)
{
    fa_transform_body body = {
        .kind = &rotation, .draws = 1, .interpolation = (int)args->interpolation, .fill = args->fill};
    set_degrees(&body, args->degrees, args->degrees_range);
    set_center(&body, args->center);
    return check_common(&body, "fa_random_rotation", args->where_) ? fa_transform_make(&body, args->where_) : NULL;
}

/* ---- RandomAffine ------------------------------------------------------------------------------------------------ */

enum { ANGLE, MOVE_X, MOVE_Y, FACTOR, SHEAR_X, SHEAR_Y, AFFINE_DRAWS };

static void affine_draw(const fa_transform_body *self, const fa_image_form *form, fa_mt *mt, int64_t *draws)
{
    double x[AFFINE_DRAWS] = {[FACTOR] = 1};
    x[ANGLE] = fa_draw_uniform_of(mt, self->degrees[0], self->degrees[1]);
    if (self->has_translate) {
        const double most[2] = {self->translate[0] * (double)form->width, self->translate[1] * (double)form->height};
        x[MOVE_X] = nearbyint(fa_draw_uniform_of(mt, -most[0], most[0]));
        x[MOVE_Y] = nearbyint(fa_draw_uniform_of(mt, -most[1], most[1]));
    }
    if (self->has_scale)
        x[FACTOR] = fa_draw_uniform_of(mt, self->scale[0], self->scale[1]);
    if (self->shears > 0)
        x[SHEAR_X] = fa_draw_uniform_of(mt, self->shear[0], self->shear[1]);
    if (self->shears > 2)
        x[SHEAR_Y] = fa_draw_uniform_of(mt, self->shear[2], self->shear[3]);
    for (int i = 0; i < AFFINE_DRAWS; i++)
        draws[i] = fa_draw_from_double(x[i]);
}

static bool affine_apply(const fa_transform_body *self, const fa_image_form *form, const void *in, const int64_t *draws,
                         void *out, fa_where where)
{
    (void)where;
    double drawn[AFFINE_DRAWS];
    for (int i = 0; i < AFFINE_DRAWS; i++)
        drawn[i] = fa_draw_to_double(draws[i]);
    const double turn_by = radians(drawn[ANGLE]), sx = radians(drawn[SHEAR_X]), sy = radians(drawn[SHEAR_Y]);
    const double a = cos(turn_by - sy) / cos(sy), b = -cos(turn_by - sy) * tan(sx) / cos(sy) - sin(turn_by);
    const double c = sin(turn_by - sy) / cos(sy), d = -sin(turn_by - sy) * tan(sx) / cos(sy) + cos(turn_by);
    const double x = self->has_center ? self->center[0] : (double)form->width * 0.5;
    const double y = self->has_center ? self->center[1] : (double)form->height * 0.5;
    double m[6] = {d / drawn[FACTOR], -b / drawn[FACTOR], 0, -c / drawn[FACTOR], a / drawn[FACTOR], 0};
    m[2] += m[0] * (-x - drawn[MOVE_X]) + m[1] * (-y - drawn[MOVE_Y]);
    m[5] += m[3] * (-x - drawn[MOVE_X]) + m[4] * (-y - drawn[MOVE_Y]);
    m[2] += x;
    m[5] += y;
    fa_warp(in, form, m, self->interpolation, (uint8_t)self->fill, out);
    return true;
}

static void print_floats(fa_repr *text, const char *name, const double *x, int n, char open, char close)
{
    fa_repr_add(text, ", %s=", name);
    fa_repr_floats(text, x, n, open, close);
}

static void affine_print(const fa_transform_body *self, fa_repr *text)
{
    fa_repr_add(text, "RandomAffine(degrees=");
    fa_repr_floats(text, self->degrees, 2, '[', ']');
    if (self->has_translate)
        print_floats(text, "translate", self->translate, 2, '(', ')');
    if (self->has_scale)
        print_floats(text, "scale", self->scale, 2, '(', ')');
    if (self->shears > 0)
        print_floats(text, "shear", self->shear, self->shears, '[', ']');
    if (self->interpolation != FA_INTERPOLATION_NEAREST)
        fa_repr_add(text, ", interpolation=%s", fa_interpolation_name(self->interpolation));
    if (self->fill != 0) {
        fa_repr_add(text, ", fill=");
        fa_repr_number(text, self->fill);
    }
    print_center(self, text);
    fa_repr_add(text, ")");
}

static const fa_transform_kind affine = {
    .name = "random_affine", .infer = warp_infer, .apply = affine_apply, .draw = affine_draw, .print = affine_print};

static bool check_affine(const fa_transform_body *body, fa_where where)
{
    static const char *const call = "fa_random_affine";
    for (int d = 0; d < 2 && body->has_translate; d++)
        if (!(body->translate[d] >= 0 && body->translate[d] <= 1))
            return fa_fail(FA_VALUE_ERROR, where, call, "got translate %g, needs shares from 0 to 1.",
                           body->translate[d]);
    if (body->has_scale && !(body->scale[0] > 0 && body->scale[1] >= body->scale[0] && isfinite(body->scale[1])))
        return fa_fail(FA_VALUE_ERROR, where, call, "got scale {%g, %g}, needs two numbers above 0, the lower first.",
                       body->scale[0], body->scale[1]);
    for (int d = 0; d < body->shears; d += 2)
        if (!(isfinite(body->shear[d]) && body->shear[d] <= body->shear[d + 1] && isfinite(body->shear[d + 1])))
            return fa_fail(
                FA_VALUE_ERROR, where, call,
                "got shear from %g to %g, needs a number not below 0, or .shear_x_range = {lowest, highest}.",
                body->shear[d], body->shear[d + 1]);
    return true;
}

fa_transform *fa_random_affine_at(const fa_random_affine_args *args)
{
    fa_transform_body body = {.kind = &affine,
                              .draws = AFFINE_DRAWS,
                              .interpolation = (int)args->interpolation,
                              .fill = args->fill,
                              .has_translate = is_set(args->translate[0]),
                              .has_scale = is_set(args->scale[0])};
    set_degrees(&body, args->degrees, args->degrees_range);
    set_center(&body, args->center);
    for (int d = 0; d < 2; d++) {
        body.translate[d] = body.has_translate ? args->translate[d] : 0;
        body.scale[d] = body.has_scale ? args->scale[d] : 1;
    }
    body.shears = is_set(args->shear_y_range[0]) ? 4 : is_set(args->shear_x_range[0]) || args->shear != 0 ? 2 : 0;
    for (int d = 0; d < 2 && body.shears > 0; d++) {
        body.shear[d] = is_set(args->shear_x_range[0]) ? args->shear_x_range[d] : (d == 0 ? -args->shear : args->shear);
        body.shear[2 + d] = body.shears == 4 ? args->shear_y_range[d] : 0;
    }
    return check_common(&body, "fa_random_affine", args->where_) && check_affine(&body, args->where_)
               ? fa_transform_make(&body, args->where_)
               : NULL;
}
