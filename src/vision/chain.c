/* Chains: a transform laid out for images of one form, and what applies them to batches. */
#include "vision/transform.h"

#include "base/error.h"
#include "base/memory.h"
#include "data/dataset.h"

#include <pthread.h>
#include <string.h>

bool fa_form_bytes(const fa_image_form *form, size_t *bytes)
{
    return fa_mul_size((size_t)form->channels, (size_t)form->height, bytes) &&
           fa_mul_size(*bytes, (size_t)form->width, bytes) &&
           fa_mul_size(*bytes, form->floats ? sizeof(float) : 1, bytes);
}

/* Where the steps begin that make floats of bytes and then change each float by itself, and where they end; n and n
 * when there are none. */
static void find_table(fa_chain *chain)
{
    int from = 0;
    while (from < chain->n && (chain->step[from]->kind->pixel == NULL || chain->form[from].floats))
        from++;
    int to = from;
    while (to < chain->n && chain->step[to]->kind->pixel != NULL)
        to++;
    chain->table_from = from;
    chain->table_to = to;
}

/* The first step of the table goes from bytes to floats; those after it that leave floats alone are skipped. */
static bool make_table(fa_chain *chain, fa_where where)
{
    const int from = chain->table_from;
    size_t count = (size_t)chain->form[from].channels * FA_PIXEL_VALUES;
    chain->table = fa_malloc(count * sizeof *chain->table);
    if (chain->table == NULL)
        return fa_fail_memory(where, count * sizeof *chain->table);
    for (size_t k = 0; k < count; k++) {
        float x = (float)(k % FA_PIXEL_VALUES);
        int64_t c = (int64_t)(k / FA_PIXEL_VALUES);
        for (int i = from; i < chain->table_to; i++)
            if (i == from || chain->step[i]->kind != chain->step[from]->kind)
                x = chain->step[i]->kind->pixel(chain->step[i], c, x);
        chain->table[k] = x;
    }
    return true;
}

/* The steps of a transform in order; compose has checked that there is room. */
static void append_steps(fa_chain *chain, const fa_transform_body *body)
{
    if (body->kind != NULL)
        chain->step[chain->n++] = body;
    for (int i = 0; body->kind == NULL && i < body->n_steps; i++)
        append_steps(chain, body->steps[i]->object.body);
}

bool fa_chain_begin(fa_chain *chain, const fa_transform *transform, const fa_image_form *form, fa_where where)
{
    chain->n = 0;
    chain->draws = 0;
    chain->between_bytes = 0;
    chain->table = NULL;
    chain->form[0] = *form;
    if (transform != NULL)
        append_steps(chain, transform->object.body);
    size_t bytes;
    if (!fa_form_bytes(form, &chain->in_bytes))
        return fa_fail_memory(where, SIZE_MAX);
    bytes = chain->in_bytes;
    chain->first_loose = chain->n;
    for (int i = 0; i < chain->n; i++) {
        chain->form[i + 1] = chain->form[i];
        if (!chain->step[i]->kind->infer(chain->step[i], &chain->form[i + 1], where))
            return false;
        if (!fa_form_bytes(&chain->form[i + 1], &bytes))
            return fa_fail_memory(where, SIZE_MAX);
        if (chain->draws == 0)
            chain->first_draw = i;
        if (chain->form[i + 1].any_size && chain->first_loose == chain->n)
            chain->first_loose = i;
        chain->draws += chain->step[i]->draws;
        if (i + 1 < chain->n && bytes > chain->between_bytes)
            chain->between_bytes = bytes;
    }
    chain->out_bytes = bytes;
    if (chain->draws > FA_MAX_DRAWS)
        return fa_fail(FA_VALUE_ERROR, where, "fa_compose", "got transforms that draw %d numbers, needs at most %d.",
                       chain->draws, FA_MAX_DRAWS);
    if (chain->draws == 0)
        chain->first_draw = chain->n;
    find_table(chain);
    return chain->table_from == chain->n || make_table(chain, where);
}

void fa_chain_end(fa_chain *chain)
{
    fa_mfree(chain->table);
    chain->table = NULL;
}

/* Makes `form` that of step i's result, of one image whose draws are known. False after an error. */
static bool next_form(const fa_chain *chain, int i, const int64_t *draws, fa_image_form *form, fa_where where)
{
    const fa_transform_body *step = chain->step[i];
    if (i < chain->first_loose) {
        *form = chain->form[i + 1];
        return true;
    }
    if (step->kind->resize == NULL)
        return step->kind->infer(step, form, where);
    step->kind->resize(step, form, draws);
    return true;
}

/* Where an image gets a size that a step behind refuses, that step and the others draw nothing: the image is an error
 * when it is made. */
void fa_chain_draw(const fa_chain *chain, fa_mt *mt, int64_t *draws)
{
    fa_image_form form = chain->form[0];
    for (int i = 0; i < chain->n; draws += chain->step[i++]->draws) {
        const fa_transform_body *step = chain->step[i];
        const bool resizes = step->kind->resize != NULL;
        fa_image_form next = form;
        if (!resizes && !next_form(chain, i, NULL, &next, FA_HERE)) {
            fa_error_record record;
            fa_error_take(&record);
            return;
        }
        if (step->draws > 0)
            step->kind->draw(step, &form, mt, draws);
        if (resizes)
            (void)next_form(chain, i, draws, &next, FA_HERE);
        form = next;
    }
}

bool fa_chain_one_size(const fa_chain *chain, const char *what, fa_where where)
{
    return !fa_chain_result(chain)->any_size ||
           fa_fail(
               FA_SHAPE_ERROR, where, what,
               "got transforms that leave each image a size of its own (RandomRotation with expand), needs one size "
               "for all. Hint: fa_center_crop(224) behind it, or fa_resize(.size_hw = {224, 224}).");
}

/* out[i] = table[in[i * stride]]; inlined with a constant stride where it is 1. */
static inline __attribute__((always_inline)) void look_up_channel(const float *table, const uint8_t *in, int64_t stride,
                                                                  int64_t n, float *restrict out)
{
    int64_t i = 0;
    for (; i + 4 <= n; i += 4) {
        float a = table[in[i * stride]], b = table[in[(i + 1) * stride]];
        float c = table[in[(i + 2) * stride]], d = table[in[(i + 3) * stride]];
        out[i] = a;
        out[i + 1] = b;
        out[i + 2] = c;
        out[i + 3] = d;
    }
    for (; i < n; i++)
        out[i] = table[in[i * stride]];
}

static void look_up(const fa_chain *chain, const fa_image_form *form, const uint8_t *in, float *out)
{
    int64_t channels = form->channels, area = form->height * form->width;
    if (channels == 1)
        look_up_channel(chain->table, in, 1, area, out);
    else
        for (int64_t c = 0; c < channels; c++)
            look_up_channel(chain->table + c * FA_PIXEL_VALUES, in + c, channels, area, out + c * area);
}

bool fa_chain_apply(const fa_chain *chain, int begin, int end, const void *in, const int64_t *draws, void *between,
                    void *out, fa_where where)
{
    static const int64_t none = 0;
    draws = draws != NULL ? draws : &none;
    for (int i = 0; i < begin; i++)
        draws += chain->step[i]->draws;
    if (begin == end) {
        size_t bytes;
        memcpy(out, in, fa_form_bytes(&chain->form[begin], &bytes) ? bytes : 0);
    }
    for (int i = begin, next, turn = 0; i < end; i = next, turn ^= 1) {
        const bool table = chain->table != NULL && i == chain->table_from;
        next = table ? chain->table_to : i + 1;
        void *to = next == end ? out : (char *)between + (size_t)turn * chain->between_bytes;
        if (table)
            look_up(chain, &chain->form[i], in, to);
        else if (!chain->step[i]->kind->apply(chain->step[i], &chain->form[i], in, draws, to, where))
            return false;
        for (; i < next; i++)
            draws += chain->step[i]->draws;
        in = to;
    }
    return true;
}

/* Step i, or those of the table, which end at `next`, of an image of this form, which becomes the result's. `made` is
 * room for the result, unless that is `out`. False after an error. */
static bool apply_loose(const fa_chain *chain, int i, int next, const void *in, const int64_t *draws,
                        fa_image_form *form, fa_buffer **made, void *out, fa_where where)
{
    const fa_image_form before = *form;
    const int64_t *drawn = draws;
    size_t bytes = 0;
    for (int k = i; k < next; drawn += chain->step[k++]->draws)
        if (!next_form(chain, k, drawn, form, where))
            return false;
    if (!fa_form_bytes(form, &bytes))
        return fa_fail_memory(where, SIZE_MAX);
    if (next < chain->n && (*made = fa_buffer_new(bytes)) == NULL)
        return fa_fail_memory(where, bytes);
    void *to = *made != NULL ? (*made)->data : out;
    if (chain->table == NULL || i != chain->table_from)
        return chain->step[i]->kind->apply(chain->step[i], &before, in, draws, to, where);
    look_up(chain, &before, in, to);
    return true;
}

/* Steps from `begin` on, some of which give each image a size of its own: so room is taken step by step. */
static bool apply_loose_from(const fa_chain *chain, int begin, const void *in, const int64_t *draws, void *out,
                             fa_where where)
{
    fa_image_form form = chain->form[begin];
    fa_buffer *held = NULL;
    bool fine = true;
    for (int i = 0; i < begin; i++)
        draws += chain->step[i]->draws;
    for (int i = begin, next; i < chain->n && fine; i = next) {
        fa_buffer *made = NULL;
        next = chain->table != NULL && i == chain->table_from ? chain->table_to : i + 1;
        fine = apply_loose(chain, i, next, in, draws, &form, &made, out, where);
        fa_buffer_release(held);
        held = made;
        in = made != NULL ? made->data : NULL;
        for (int k = i; k < next; k++)
            draws += chain->step[k]->draws;
    }
    fa_buffer_release(held);
    return fine;
}

/* Steps from `begin` on. False after an error. */
static bool apply_from(const fa_chain *chain, int begin, const void *in, const int64_t *draws, void *out,
                       fa_where where)
{
    if (chain->first_loose < chain->n)
        return apply_loose_from(chain, begin, in, draws, out, where);
    fa_buffer *between = NULL;
    const bool only_table = chain->table_from == begin && chain->table_to == chain->n;
    if (chain->n - begin > 1 && !only_table && (between = fa_buffer_new(2 * chain->between_bytes)) == NULL)
        return fa_fail_memory(where, 2 * chain->between_bytes);
    bool fine = fa_chain_apply(chain, begin, chain->n, in, draws, between != NULL ? between->data : NULL, out, where);
    fa_buffer_release(between);
    return fine;
}

/* ---- The last chain of a transform ------------------------------------------------------------------------------- */

struct fa_chain_cache {
    pthread_mutex_t mutex;
    fa_chain *chain; /* one of its references; or NULL */
};

struct fa_chain_cache *fa_chain_cache_new(void)
{
    struct fa_chain_cache *cache = fa_calloc(1, sizeof *cache);
    if (cache != NULL)
        pthread_mutex_init(&cache->mutex, NULL);
    return cache;
}

void fa_chain_cache_free(struct fa_chain_cache *cache)
{
    if (cache == NULL)
        return;
    fa_chain_drop(cache->chain);
    pthread_mutex_destroy(&cache->mutex);
    fa_mfree(cache);
}

static bool same_form(const fa_image_form *a, const fa_image_form *b)
{
    return a->floats == b->floats && a->channels == b->channels && a->height == b->height && a->width == b->width;
}

fa_chain *fa_chain_get(const fa_transform *transform, const fa_image_form *form, fa_where where)
{
    struct fa_chain_cache *cache = fa_transform_body_of(transform)->cache;
    pthread_mutex_lock(&cache->mutex);
    fa_chain *chain = cache->chain;
    bool hit = chain != NULL && same_form(&chain->form[0], form);
    if (hit)
        atomic_fetch_add_explicit(&chain->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&cache->mutex);
    if (hit)
        return chain;
    chain = fa_malloc(sizeof *chain);
    if (chain == NULL) {
        fa_fail_memory(where, sizeof *chain);
        return NULL;
    }
    atomic_init(&chain->refs, 1);
    if (!fa_chain_begin(chain, transform, form, where)) {
        fa_chain_drop(chain);
        return NULL;
    }
    atomic_fetch_add_explicit(&chain->refs, 1, memory_order_relaxed);
    pthread_mutex_lock(&cache->mutex);
    fa_chain *before = cache->chain;
    cache->chain = chain;
    pthread_mutex_unlock(&cache->mutex);
    fa_chain_drop(before);
    return chain;
}

void fa_chain_drop(fa_chain *chain)
{
    if (chain == NULL || atomic_fetch_sub_explicit(&chain->refs, 1, memory_order_acq_rel) != 1)
        return;
    fa_chain_end(chain);
    fa_mfree(chain);
}

/* ---- Now --------------------------------------------------------------------------------------------------------- */

static void draw_now(const fa_chain *chain, int64_t draws[FA_MAX_DRAWS])
{
    if (chain->draws == 0)
        return;
    fa_generator *generator = fa_generator_default();
    fa_chain_draw(chain, fa_generator_lock(generator), draws);
    fa_generator_unlock(generator);
}

bool fa_chain_run_draws(const fa_chain *chain, int64_t draws[FA_MAX_DRAWS], fa_image_form *result, fa_where where)
{
    draw_now(chain, draws);
    *result = chain->form[0];
    for (int i = 0; i < chain->n && fa_ok(); draws += chain->step[i++]->draws)
        (void)next_form(chain, i, draws, result, where);
    return fa_ok();
}

bool fa_chain_run_image(const fa_chain *chain, const void *in, const int64_t *draws, void *out, fa_where where)
{
    return apply_from(chain, 0, in, draws, out, where);
}

bool fa_chain_run(const fa_chain *chain, const void *in, void *out, fa_where where)
{
    int64_t draws[FA_MAX_DRAWS];
    draw_now(chain, draws);
    return fa_ok() && fa_chain_run_image(chain, in, draws, out, where);
}

/* ---- In a batch -------------------------------------------------------------------------------------------------- */

/* An image whose first steps are done and whose others wait for their draws. It lies in `memory`, with the staged
 * pixels behind it, so that buffers of the pool serve one image after the other. */
typedef struct late_image {
    const fa_chain *chain;
    const void *in; /* after the first steps: behind this, or the data set's own */
    fa_where where;
    fa_chain *own; /* `chain`, when it is held here, with the transform */
    fa_transform *transform;
    fa_buffer *memory;
} late_image;

enum { STAGED_AT = (sizeof(late_image) + FA_ALIGNMENT - 1) / FA_ALIGNMENT * FA_ALIGNMENT };

static void late_draw(const void *work, fa_mt *mt, int64_t *draws)
{
    fa_chain_draw(((const late_image *)work)->chain, mt, draws);
}

/* Bytes [H, W, C] as [C, H, W]. */
static void to_planes(const fa_image_form *form, const uint8_t *in, uint8_t *out)
{
    int64_t area = form->height * form->width;
    for (int64_t c = 0; c < form->channels; c++)
        for (int64_t i = 0; i < area; i++)
            out[c * area + i] = in[i * form->channels + c];
}

/* What a batch holds of an image: steps from `begin` on, channels in planes. */
static bool put_from(const fa_chain *chain, int begin, const void *in, const int64_t *draws, void *out, fa_where where)
{
    const fa_image_form *form = fa_chain_result(chain);
    if (form->floats || form->channels == 1)
        return apply_from(chain, begin, in, draws, out, where);
    fa_buffer *made = fa_buffer_new(chain->out_bytes);
    if (made == NULL)
        return fa_fail_memory(where, chain->out_bytes);
    bool fine = apply_from(chain, begin, in, draws, made->data, where);
    if (fine)
        to_planes(form, made->data, out);
    fa_buffer_release(made);
    return fine;
}

static bool late_finish(const void *work, const int64_t *draws, void *out)
{
    const late_image *image = work;
    return put_from(image->chain, image->chain->first_draw, image->in, draws, out, image->where);
}

static void late_destroy(void *work)
{
    late_image *image = work;
    fa_chain_drop(image->own);
    fa_object_drop((fa_object *)image->transform);
    fa_buffer_release(image->memory);
}

/* Does the steps before the first draw, or copies the image if it is asked to. False after an error. */
static bool stage(late_image *image, const void *in, bool copy)
{
    const fa_chain *chain = image->chain;
    image->in = in;
    if (chain->first_draw == 0 && !copy)
        return true;
    fa_buffer *between = chain->first_draw > 1 ? fa_buffer_new(2 * chain->between_bytes) : NULL;
    if (chain->first_draw > 1 && between == NULL)
        return fa_fail_memory(image->where, 2 * chain->between_bytes);
    void *staged = (char *)image->memory->data + STAGED_AT;
    bool fine = fa_chain_apply(chain, 0, chain->first_draw, in, NULL, between != NULL ? between->data : NULL, staged,
                               image->where);
    image->in = staged;
    fa_buffer_release(between);
    return fine;
}

/* As for a batch that is fetched ahead, the steps before the first draw come before it: an image that they refuse draws
 * nothing. */
static bool draw_and_put(const fa_chain *chain, const void *in, void *out, fa_where where)
{
    int64_t draws[FA_MAX_DRAWS];
    size_t bytes = 0;
    if (chain->draws == 0 || chain->first_draw == 0) {
        draw_now(chain, draws);
        return fa_ok() && put_from(chain, 0, in, draws, out, where);
    }
    (void)fa_form_bytes(&chain->form[chain->first_draw], &bytes); /* it fitted when the chain was laid out */
    fa_buffer *memory = fa_add_size(bytes, STAGED_AT, &bytes) ? fa_buffer_new(bytes) : NULL;
    if (memory == NULL)
        return fa_fail_memory(where, bytes);
    late_image image = {.chain = chain, .where = where, .memory = memory};
    bool fine = stage(&image, in, false);
    if (fine) {
        draw_now(chain, draws);
        fine = fa_ok() && put_from(chain, chain->first_draw, image.in, draws, out, where);
    }
    fa_buffer_release(memory);
    return fine;
}

/* Leaves the image to the batch, with a reference to `own` that is taken over, after an error too. */
static bool defer(const fa_chain *chain, fa_chain *own, fa_transform *transform, const void *in, bool copy, void *out,
                  fa_collate *batch, fa_where where)
{
    static const fa_late_kind kind = {late_draw, late_finish, late_destroy};
    size_t bytes = 0;
    if (chain->first_draw > 0 || copy)
        (void)fa_form_bytes(&chain->form[chain->first_draw], &bytes); /* it fitted when the chain was laid out */
    fa_buffer *memory = fa_add_size(bytes, STAGED_AT, &bytes) ? fa_buffer_new(bytes) : NULL;
    if (memory == NULL) {
        fa_chain_drop(own);
        return fa_fail_memory(where, bytes);
    }
    late_image *image = memory->data;
    *image = (late_image){.chain = chain, .own = own, .transform = transform, .where = where, .memory = memory};
    fa_object_borrow((fa_object *)transform);
    if (!stage(image, in, copy)) {
        late_destroy(image);
        return false;
    }
    return fa_collate_defer(batch, &kind, image, chain->draws, out);
}

bool fa_chain_put(const fa_chain *chain, const void *in, void *out, fa_collate *batch)
{
    if (!batch->ahead || chain->draws == 0)
        return draw_and_put(chain, in, out, batch->where);
    return defer(chain, NULL, NULL, in, false, out, batch, batch->where);
}

bool fa_sample_image_at(fa_sample *sample, const uint8_t *pixels, int64_t height, int64_t width, int64_t channels,
                        fa_transform *transform, fa_where where)
{
    if (pixels == NULL || height < 0 || width < 0 || channels < 1)
        return fa_fail(FA_VALUE_ERROR, where, "fa_sample_image",
                       "got %s of height %lld, width %lld and %lld channels, needs an image.",
                       pixels == NULL ? "no pixels (NULL)" : "pixels", (long long)height, (long long)width,
                       (long long)channels);
    if (transform != NULL && !fa_object_check((fa_object *)transform, &fa_transform_class, "fa_sample_image", where))
        return false;
    const fa_image_form form = {false, channels, height, width, false};
    fa_chain plain = {.table = NULL}, *own = NULL;
    if (transform != NULL ? (own = fa_chain_get(transform, &form, where)) == NULL
                          : !fa_chain_begin(&plain, NULL, &form, where))
        return false;
    const fa_chain *chain = own != NULL ? own : &plain;
    const fa_image_form *result = fa_chain_result(chain);
    void *out = NULL;
    if (fa_chain_one_size(chain, "fa_sample_image", where))
        out = fa_sample_room_at(sample, result->floats ? FA_FLOAT32 : FA_UINT8,
                                FA_SHAPE(result->channels, result->height, result->width), where);
    if (out != NULL && sample->batch->ahead && chain->draws > 0)
        return defer(chain, own, transform, pixels, true, out, sample->batch, where);
    bool fine = out != NULL && draw_and_put(chain, pixels, out, where);
    fa_chain_drop(own);
    return fine;
}
