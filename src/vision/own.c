/* Lambda (the program's own transform) and RandomApply. */
#include "vision/transform.h"

#include "base/error.h"
#include "base/memory.h"

/* ---- Lambda ------------------------------------------------------------------------------------------------------ */

struct fa_draws {
    fa_mt *mt;
};

double fa_draw_uniform(fa_draws *from, double lo, double hi)
{
    return fa_draw_uniform_of(from->mt, lo, hi);
}

int64_t fa_draw_randint(fa_draws *from, int64_t lo, int64_t hi)
{
    int64_t x = lo;
    if (hi > lo)
        fa_mt_randint(from->mt, &x, 1, lo, hi);
    return x;
}

double fa_draw_normal(fa_draws *from, double mean, double std)
{
    float x;
    fa_mt_normal_f32(from->mt, &x, 1, mean, std);
    return x;
}

static fa_image image_of(const fa_image_form *form, const void *pixels)
{
    return (fa_image){form->floats, form->channels, form->height, form->width, (void *)pixels};
}

/* A callback that failed without an error of its own. */
static bool failed(fa_where where, const char *callback)
{
    if (fa_ok())
        fa_fail(FA_DATA_ERROR, where, "fa_lambda",
                "got false from the %s callback. Hint: fa_raise in the callback says why.", callback);
    return false;
}

static bool lambda_infer(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    if (self->lambda.form == NULL)
        return true;
    fa_image image = image_of(form, NULL);
    if (!self->lambda.form(self->lambda.user, &image))
        return failed(where, "form");
    *form = (fa_image_form){image.floats, image.channels, image.height, image.width, form->any_size};
    return (form->channels >= 1 && form->height >= 1 && form->width >= 1) ||
           fa_fail(FA_SHAPE_ERROR, where, "fa_lambda",
                   "got %lld x %lld pixels of %lld channels from the form callback, needs at least 1 each.",
                   (long long)form->height, (long long)form->width, (long long)form->channels);
}

static bool lambda_apply(const fa_transform_body *self, const fa_image_form *form, const void *in, const int64_t *draws,
                         void *out, fa_where where)
{
    fa_image_form result = *form;
    if (!lambda_infer(self, &result, where))
        return false;
    double drawn[FA_MAX_DRAWS];
    for (int i = 0; i < self->draws; i++)
        drawn[i] = fa_draw_to_double(draws[i]);
    const fa_image from = image_of(form, in);
    fa_image to = image_of(&result, out);
    return self->lambda.apply(self->lambda.user, &from, self->draws > 0 ? drawn : NULL, &to) || failed(where, "apply");
}

static void lambda_draw(const fa_transform_body *self, const fa_image_form *form, fa_mt *mt, int64_t *draws)
{
    (void)form;
    double drawn[FA_MAX_DRAWS] = {0};
    self->lambda.draw(self->lambda.user, &(fa_draws){mt}, drawn);
    for (int i = 0; i < self->draws; i++)
        draws[i] = fa_draw_from_double(drawn[i]);
}

static void lambda_print(const fa_transform_body *self, fa_repr *text)
{
    (void)self;
    fa_repr_add(text, "Lambda()");
}

static void lambda_destroy(fa_transform_body *self)
{
    if (self->lambda.destroy != NULL)
        self->lambda.destroy(self->lambda.user);
}

static const fa_transform_kind lambda = {.name = "lambda",
                                         .infer = lambda_infer,
                                         .apply = lambda_apply,
                                         .draw = lambda_draw,
                                         .print = lambda_print,
                                         .destroy = lambda_destroy};

fa_transform *fa_lambda_at(const fa_lambda_args *args)
{
    fa_transform *made = NULL;
    if (args->apply == NULL || (args->draws != 0 && args->draw == NULL) || (args->draw != NULL && args->draws == 0))
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_lambda", "got no %s, needs %s.",
                args->apply == NULL  ? "apply callback"
                : args->draw == NULL ? "draw callback"
                                     : "number of draws",
                args->apply == NULL ? ".apply" : ".draw and .draws together");
    else if (args->draws < 0 || args->draws > FA_MAX_DRAWS)
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_lambda", "got %d draws, needs 0 to %d.", args->draws, FA_MAX_DRAWS);
    else
        made = fa_transform_make(&(fa_transform_body){.kind = &lambda, .draws = args->draws, .lambda = *args},
                                 args->where_);
    if (made == NULL && args->destroy != NULL)
        args->destroy(args->user);
    return made;
}

/* ---- RandomApply ------------------------------------------------------------------------------------------------- */

/* The steps of `body` that are no compositions, in order; how many. */
static int flatten(const fa_transform_body *body, const fa_transform_body **step)
{
    if (body->kind != NULL) {
        step[0] = body;
        return 1;
    }
    int n = 0;
    for (int i = 0; i < body->n_steps; i++)
        n += flatten(fa_transform_body_of(body->steps[i]), step + n);
    return n;
}

static int inner_steps(const fa_transform_body *self, const fa_transform_body *step[FA_MAX_STEPS])
{
    int n = 0;
    for (int i = 0; i < self->n_steps; i++)
        n += flatten(fa_transform_body_of(self->steps[i]), step + n);
    return n;
}

static bool maybe_infer(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    const fa_transform_body *step[FA_MAX_STEPS];
    const int n = inner_steps(self, step);
    const fa_image_form before = *form;
    for (int i = 0; i < n; i++) {
        if (!step[i]->kind->infer(step[i], form, where))
            return false;
        if (form->floats != before.floats || form->channels != before.channels || form->height != before.height ||
            form->width != before.width || form->any_size != before.any_size)
            return fa_fail(FA_SHAPE_ERROR, where, "random_apply",
                           "got %s, which gives images another form, needs transforms that keep it.",
                           step[i]->kind->name);
    }
    return true;
}

static void maybe_draw(const fa_transform_body *self, const fa_image_form *form, fa_mt *mt, int64_t *draws)
{
    const fa_transform_body *step[FA_MAX_STEPS];
    const int n = inner_steps(self, step);
    draws[0] = !((float)self->p < (float)fa_draw_uniform_of(mt, 0, 1));
    for (int i = 0, at = 1; i < n && draws[0]; at += step[i++]->draws)
        if (step[i]->draws > 0)
            step[i]->kind->draw(step[i], form, mt, draws + at);
}

static bool maybe_apply(const fa_transform_body *self, const fa_image_form *form, const void *in, const int64_t *draws,
                        void *out, fa_where where)
{
    const fa_transform_body *step[FA_MAX_STEPS];
    const int n = draws[0] ? inner_steps(self, step) : 0;
    size_t bytes = 0;
    (void)fa_form_bytes(form, &bytes); /* it fitted when the chain was laid out */
    fa_buffer *between = n > 1 ? fa_buffer_new(2 * bytes) : NULL;
    if (n > 1 && between == NULL)
        return fa_fail_memory(where, 2 * bytes);
    if (n == 0)
        memcpy(out, in, bytes);
    bool fine = true;
    for (int i = 0, at = 1; i < n && fine; at += step[i++]->draws) {
        void *to = i + 1 == n ? out : (char *)between->data + (size_t)(i % 2) * bytes;
        fine = step[i]->kind->apply(step[i], form, in, draws + at, to, where);
        in = to;
    }
    fa_buffer_release(between);
    return fine;
}

static void maybe_print(const fa_transform_body *self, fa_repr *text)
{
    fa_repr_add(text, "RandomApply(\n    p=");
    fa_repr_float(text, self->p);
    for (int i = 0; i < self->n_steps; i++) {
        fa_repr_add(text, "\n    ");
        fa_transform_print(fa_transform_body_of(self->steps[i]), text);
    }
    fa_repr_add(text, "\n)");
}

static const fa_transform_kind random_apply = {
    .name = "random_apply", .infer = maybe_infer, .apply = maybe_apply, .draw = maybe_draw, .print = maybe_print};

fa_transform *fa_random_apply_at(double p, int count, fa_transform *const *transforms, fa_where where)
{
    static const char *const call = "fa_random_apply";
    if (!fa_transform_check_steps(count, transforms, call, where))
        return NULL;
    if (!(p >= 0 && p <= 1)) {
        fa_fail(FA_VALUE_ERROR, where, call, "got p = %g, needs a probability from 0 to 1.", p);
        return NULL;
    }
    fa_transform_body body = {.kind = &random_apply, .draws = 1, .p = p, .n_steps = count};
    for (int i = 0; i < count; i++)
        body.steps[i] = transforms[i];
    const fa_transform_body *step[FA_MAX_STEPS];
    const int n = inner_steps(&body, step);
    for (int i = 0; i < n; i++)
        body.draws += step[i]->draws;
    return fa_transform_make(&body, where);
}
