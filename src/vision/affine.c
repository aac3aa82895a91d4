/* RandomRotation, RandomAffine: the matrices of torchvision and Pillow.
 *
 * Rotation by angle a (counter-clockwise) about (cx, cy): cosines and sines of -a are rounded to 15 decimals; angles of
 * 0, 180, and of 90 and 270 in squares or with expand, turn pixel by pixel. Affine: the inverse of T C R S C^-1, S the
 * shear and scale, C the center, T the translation; y axis downwards. */
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
    if (!fa_bytes_only(form, name, where) || !fa_fill_check(self, form, name, where))
        return false;
    form->any_size |= self->expand;
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

/* How an image is turned: by quarters counter-clockwise, or (-1) by the matrix; and what size it gets. */
typedef struct rotation_plan {
    int quarters;
    double m[6];
    int64_t height, width;
} rotation_plan;

static double moved(double x, double y, const double m[3])
{
    return m[0] * x + m[1] * y + m[2];
}

/* As many pixels as a side of the turned image touches; it is no longer than width + height, up to rounding. */
static int64_t expanded_side(const double m[3], double width, double height)
{
    const double at[4] = {moved(0, 0, m), moved(width, 0, m), moved(width, height, m), moved(0, height, m)};
    const double most = fmax(fmax(at[0], at[1]), fmax(at[2], at[3]));
    const double least = fmin(fmin(at[0], at[1]), fmin(at[2], at[3]));
    const double side = ceil(most) - floor(least);
    return !(side >= 1) ? 1 : (int64_t)fmin(side, width + height + 2);
}

static rotation_plan plan_rotation(const fa_transform_body *self, const fa_image_form *form, const int64_t *draws)
{
    rotation_plan plan = {.quarters = -1, .height = form->height, .width = form->width};
    double angle = fmod(fa_draw_to_double(draws[0]), 360.0), *m = plan.m;
    angle += angle < 0 ? 360.0 : 0;
    if (!self->has_center && fmod(angle, 90.0) == 0 &&
        (fmod(angle, 180.0) == 0 || self->expand || form->height == form->width)) {
        plan.quarters = (int)(angle / 90.0) % 4;
        if (plan.quarters % 2 == 1) {
            plan.height = form->width;
            plan.width = form->height;
        }
        return plan;
    }
    const double width = (double)form->width, height = (double)form->height, t = -radians(angle);
    const double x = self->has_center ? self->center[0] : width / 2.0;
    const double y = self->has_center ? self->center[1] : height / 2.0;
    m[0] = m[4] = fifteen_places(cos(t));
    m[1] = fifteen_places(sin(t));
    m[3] = fifteen_places(-sin(t));
    m[2] = m[0] * -x + m[1] * -y + x;
    m[5] = m[3] * -x + m[4] * -y + y;
    if (self->expand) {
        plan.width = expanded_side(m, width, height);
        plan.height = expanded_side(m + 3, width, height);
        const double left = -((double)plan.width - width) / 2.0, top = -((double)plan.height - height) / 2.0;
        m[2] = moved(left, top, m);
        m[5] = moved(left, top, m + 3);
    }
    return plan;
}

static void rotation_resize(const fa_transform_body *self, fa_image_form *form, const int64_t *draws)
{
    const rotation_plan plan = plan_rotation(self, form, draws);
    form->height = plan.height;
    form->width = plan.width;
}

/* Pixel by pixel. */
static void turn(const uint8_t *in, const fa_image_form *form, const rotation_plan *plan, uint8_t *out)
{
    const int64_t height = form->height, width = form->width;
    const int quarters = plan->quarters;
    for (int64_t y = 0; y < plan->height; y++)
        for (int64_t x = 0; x < plan->width; x++, out += form->channels) {
            int64_t row = quarters == 0 ? y : quarters == 1 ? x : quarters == 2 ? height - 1 - y : height - 1 - x;
            int64_t column = quarters == 0 ? x : quarters == 1 ? width - 1 - y : quarters == 2 ? width - 1 - x : y;
            memcpy(out, in + (row * width + column) * form->channels, (size_t)form->channels);
        }
}

static bool rotation_apply(const fa_transform_body *self, const fa_image_form *form, const void *in,
                           const int64_t *draws, void *out, fa_where where)
{
    (void)where;
    const rotation_plan plan = plan_rotation(self, form, draws);
    if (plan.quarters >= 0) {
        turn(in, form, &plan, out);
        return true;
    }
    fa_fill_bytes(self, out, plan.height * plan.width, form->channels);
    fa_warp(in, form, plan.m, self->interpolation, out, plan.height, plan.width);
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
    fa_repr_add(text, ", interpolation=%s, expand=%s", fa_interpolation_name(self->interpolation),
                self->expand ? "True" : "False");
    print_center(self, text);
    fa_repr_add(text, ", fill=");
    fa_fill_print(self, text);
    fa_repr_add(text, ")");
}

static const fa_transform_kind rotation = {.name = "random_rotation",
                                           .infer = warp_infer,
                                           .apply = rotation_apply,
                                           .draw = rotation_draw,
                                           .resize = rotation_resize,
                                           .print = rotation_print};

fa_transform *fa_random_rotation_at(const fa_random_rotation_args *args)
{
    static const char *const call = "fa_random_rotation";
    fa_transform_body body = {
        .kind = &rotation, .draws = 1, .interpolation = (int)args->interpolation, .expand = args->expand};
    set_degrees(&body, args->degrees, args->degrees_range);
    set_center(&body, args->center);
    return fa_fill_set(&body, args->fill, args->fills, args->channels, call, args->where_) &&
                   check_common(&body, call, args->where_)
               ? fa_transform_make(&body, args->where_)
               : NULL;
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
    fa_fill_bytes(self, out, form->height * form->width, form->channels);
    fa_warp(in, form, m, self->interpolation, out, form->height, form->width);
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
    if (!fa_fill_is_default(self)) {
        fa_repr_add(text, ", fill=");
        fa_fill_print(self, text);
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
    return fa_fill_set(&body, args->fill, args->fills, args->channels, "fa_random_affine", args->where_) &&
                   check_common(&body, "fa_random_affine", args->where_) && check_affine(&body, args->where_)
               ? fa_transform_make(&body, args->where_)
               : NULL;
}
