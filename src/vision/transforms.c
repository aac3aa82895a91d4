/* ToTensor, Normalize, Compose, and the object that all transforms are.
 *
 * ToTensor: out[c, h, w] = float32(in[h, w, c]) / 255, a division. Normalize: y = (x - mean[c]) / std[c], each
 * operation rounded to float32. */
#include "vision/transform.h"

#include "base/error.h"
#include "base/memory.h"
#include "data/dataset.h"

#include <math.h>
#include <string.h>

/* ---- ToTensor ---------------------------------------------------------------------------------------------------- */

static bool to_tensor_infer(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    (void)self;
    (void)where;
    form->floats = true;
    return true;
}

static bool to_tensor_apply(const fa_transform_body *self, const fa_image_form *form, const void *in,
                            const int64_t *draws, void *out, fa_where where)
{
    (void)self, (void)draws, (void)where;
    int64_t area = form->height * form->width, channels = form->channels;
    if (form->floats) {
        memcpy(out, in, (size_t)(area * channels) * sizeof(float));
        return true;
    }
    const uint8_t *pixels = in;
    float *values = out;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t i = 0; i < area; i++)
            values[c * area + i] = (float)pixels[i * channels + c] / 255.0f;
    return true;
}

/* A byte's float as it stands in the table before the first step. */
static float to_tensor_pixel(const fa_transform_body *self, int64_t channel, float x)
{
    (void)self;
    (void)channel;
    return x / 255.0f;
}

static void to_tensor_print(const fa_transform_body *self, fa_repr *text)
{
    (void)self;
    fa_repr_add(text, "ToTensor()");
}

static const fa_transform_kind to_tensor = {.name = "to_tensor",
                                            .infer = to_tensor_infer,
                                            .apply = to_tensor_apply,
                                            .pixel = to_tensor_pixel,
                                            .print = to_tensor_print};

fa_transform *fa_to_tensor_at(fa_where where)
{
    return fa_transform_make(&(fa_transform_body){.kind = &to_tensor}, where);
}

/* ---- Normalize --------------------------------------------------------------------------------------------------- */

static bool normalize_infer(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    if (!form->floats)
        return fa_fail(FA_DTYPE_ERROR, where, "normalize",
                       "got images of bytes, needs float32. Hint: put fa_to_tensor() before fa_normalize(...).");
    if (form->channels != self->channels)
        return fa_fail(FA_SHAPE_ERROR, where, "normalize",
                       "normalize has %d value%s but images have %lld channel%s: needs one mean and std a channel.",
                       self->channels, self->channels == 1 ? "" : "s", (long long)form->channels,
                       form->channels == 1 ? "" : "s");
    return true;
}

static float normalize_pixel(const fa_transform_body *self, int64_t channel, float x)
{
    return (x - self->mean[channel]) / self->std[channel];
}

static bool normalize_apply(const fa_transform_body *self, const fa_image_form *form, const void *in,
                            const int64_t *draws, void *out, fa_where where)
{
    (void)draws, (void)where;
    int64_t area = form->height * form->width;
    const float *x = in;
    float *y = out;
    for (int64_t c = 0; c < form->channels; c++)
        for (int64_t i = c * area; i < (c + 1) * area; i++)
            y[i] = (x[i] - self->mean[c]) / self->std[c];
    return true;
}

static void normalize_print(const fa_transform_body *self, fa_repr *text)
{
    fa_repr_add(text, "Normalize(mean=");
    fa_repr_floats(text, self->mean_given, self->channels, '[', ']');
    fa_repr_add(text, ", std=");
    fa_repr_floats(text, self->std_given, self->channels, '[', ']');
    fa_repr_add(text, ")");
}

static const fa_transform_kind normalize = {.name = "normalize",
                                            .infer = normalize_infer,
                                            .apply = normalize_apply,
                                            .pixel = normalize_pixel,
                                            .print = normalize_print};

/* Numbers up to the last that is not 0. */
static int count_values(const double values[FA_MAX_CHANNELS])
{
    int n = FA_MAX_CHANNELS;
    while (n > 0 && values[n - 1] == 0)
        n--;
    return n;
}

fa_transform *fa_normalize_at(const fa_normalize_args *args)
{
    int means = count_values(args->mean), stds = count_values(args->std);
    int channels = args->channels != 0 ? args->channels : means > stds ? means : stds;
    if (channels < 1 || channels > FA_MAX_CHANNELS || means > channels || stds > channels) {
        fa_fail(FA_VALUE_ERROR, args->where_, "normalize",
                "got %d means and %d stds for %d channels, needs one of each a channel, for 1 to %d channels.", means,
                stds, channels, FA_MAX_CHANNELS);
        return NULL;
    }
    fa_transform_body description = {.kind = &normalize, .channels = channels};
    for (int c = 0; c < channels; c++) {
        float mean = (float)args->mean[c], std = (float)args->std[c];
        if (!isfinite(mean) || !isfinite(std) || !(std > 0)) {
            fa_fail(FA_VALUE_ERROR, args->where_, "normalize",
                    "got mean %g and std %g for channel %d, needs finite numbers and a std above 0. Hint: give one "
                    "mean and one std a channel.",
                    args->mean[c], args->std[c], c);
            return NULL;
        }
        description.mean[c] = mean;
        description.std[c] = std;
        description.mean_given[c] = args->mean[c];
        description.std_given[c] = args->std[c];
    }
    return fa_transform_make(&description, args->where_);
}

/* ---- Compose ----------------------------------------------------------------------------------------------------- */

int fa_transform_count_steps(const fa_transform_body *body)
{
    int n = body->kind != NULL;
    for (int i = 0; i < body->n_steps; i++)
        n += fa_transform_count_steps(fa_transform_body_of(body->steps[i]));
    return n;
}

bool fa_transform_check_steps(int count, fa_transform *const *transforms, const char *what, fa_where where)
{
    int steps = 0;
    for (int i = 0; i < count; i++) {
        if (!fa_object_check((fa_object *)transforms[i], &fa_transform_class, what, where))
            return false;
        steps += fa_transform_count_steps(fa_transform_body_of(transforms[i]));
    }
    if (count > FA_MAX_STEPS || steps > FA_MAX_STEPS)
        return fa_fail(FA_VALUE_ERROR, where, what, "got %d steps, needs at most %d.", steps > count ? steps : count,
                       FA_MAX_STEPS);
    return true;
}

fa_transform *fa_compose_at(int count, fa_transform *const *transforms, fa_where where)
{
    if (!fa_transform_check_steps(count, transforms, "fa_compose", where))
        return NULL;
    fa_transform_body description = {.kind = NULL, .n_steps = count};
    for (int i = 0; i < count; i++)
        description.steps[i] = transforms[i];
    return fa_transform_make(&description, where);
}

/* ---- What kinds have in common ----------------------------------------------------------------------------------- */

bool fa_same_form(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    (void)self, (void)form, (void)where;
    return true;
}

bool fa_bytes_only(const fa_image_form *form, const char *name, fa_where where)
{
    return !form->floats || fa_fail(FA_DTYPE_ERROR, where, name,
                                    "got images of float32, needs bytes. Hint: put it before fa_to_tensor().");
}

void fa_repr_size(fa_repr *text, const int64_t *size, int n)
{
    if (n == 1)
        fa_repr_add(text, "%lld", (long long)size[0]);
    for (int i = 0; n > 1 && i < n; i++)
        fa_repr_add(text, "%s%lld%s", i == 0 ? "(" : ", ", (long long)size[i], i + 1 == n ? ")" : "");
}

void fa_transform_print(const fa_transform_body *body, fa_repr *text)
{
    if (body->kind != NULL) {
        body->kind->print(body, text);
        return;
    }
    fa_repr_add(text, "Compose(");
    for (int i = 0; i < body->n_steps; i++) {
        fa_repr_add(text, "\n    ");
        fa_transform_print(fa_transform_body_of(body->steps[i]), text);
    }
    fa_repr_add(text, "\n)");
}

/* ---- The object -------------------------------------------------------------------------------------------------- */

static void destroy_transform(void *body)
{
    fa_transform_body *transform = body;
    for (int i = 0; i < transform->n_steps; i++)
        fa_object_drop(&transform->steps[i]->object);
    if (transform->kind != NULL && transform->kind->destroy != NULL)
        transform->kind->destroy(transform);
    fa_chain_cache_free(transform->cache);
    fa_mfree(transform);
}

const fa_object_kind fa_transform_class = {"transform", destroy_transform};

fa_transform *fa_transform_make(const fa_transform_body *description, fa_where where)
{
    fa_transform_body *body = fa_malloc(sizeof *body);
    struct fa_chain_cache *cache = fa_chain_cache_new();
    fa_object *object = body != NULL && cache != NULL ? fa_object_new(&fa_transform_class, body) : NULL;
    if (object == NULL) {
        fa_mfree(body);
        fa_chain_cache_free(cache);
        fa_fail_memory(where, sizeof *body);
        return NULL;
    }
    *body = *description;
    body->cache = cache;
    for (int i = 0; i < body->n_steps; i++)
        fa_object_hold(&body->steps[i]->object);
    return (fa_transform *)object;
}

fa_transform *fa_transform_retain(fa_transform *transform)
{
    fa_object_retain((fa_object *)transform);
    return transform;
}

void fa_transform_free(fa_transform *transform)
{
    fa_object_free((fa_object *)transform);
}
