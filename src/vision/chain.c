/* Chains: a transform laid out for images of one form, and what applies them to tensors and to a user's samples. */
#include "vision/transform.h"

#include "base/error.h"
#include "base/memory.h"
#include "data/dataset.h"

#include <string.h>

static bool form_bytes(const fa_image_form *form, size_t *bytes)
{
    return fa_mul_size((size_t)form->channels, (size_t)form->height, bytes) &&
           fa_mul_size(*bytes, (size_t)form->width, bytes) &&
           fa_mul_size(*bytes, form->floats ? sizeof(float) : 1, bytes);
}

/* Whether each output element is a function of the byte at its place alone. */
static bool is_pointwise(const fa_chain *chain)
{
    if (chain->n == 0 || chain->form[0].floats)
        return false;
    for (int i = 0; i < chain->n; i++)
        if (chain->step[i]->kind->pixel == NULL || !chain->form[i + 1].floats)
            return false;
    return true;
}

/* Pointwise chains start with the step from bytes to floats; those after it that leave floats alone are skipped. */
static bool make_table(fa_chain *chain, fa_where where)
{
    size_t count = (size_t)chain->form[0].channels * FA_PIXEL_VALUES;
    chain->table = fa_malloc(count * sizeof *chain->table);
    if (chain->table == NULL)
        return fa_fail_memory(where, count * sizeof *chain->table);
    for (size_t k = 0; k < count; k++) {
        float x = (float)(k % FA_PIXEL_VALUES);
        int64_t c = (int64_t)(k / FA_PIXEL_VALUES);
        for (int i = 0; i < chain->n; i++)
            if (i == 0 || chain->step[i]->kind != chain->step[0]->kind)
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
    for (int i = 0; i < body->n_steps; i++)
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
    if (!form_bytes(form, &chain->in_bytes))
        return fa_fail_memory(where, SIZE_MAX);
    bytes = chain->in_bytes;
    for (int i = 0; i < chain->n; i++) {
        chain->form[i + 1] = chain->form[i];
        if (!chain->step[i]->kind->infer(chain->step[i], &chain->form[i + 1], where))
            return false;
        if (!form_bytes(&chain->form[i + 1], &bytes))
            return fa_fail_memory(where, SIZE_MAX);
        chain->draws += chain->step[i]->kind->draws;
        if (i + 1 < chain->n && bytes > chain->between_bytes)
            chain->between_bytes = bytes;
    }
    chain->out_bytes = bytes;
    if (chain->draws > FA_MAX_DRAWS)
        return fa_fail(FA_VALUE_ERROR, where, "fa_compose", "got transforms that draw %d numbers, needs at most %d.",
                       chain->draws, FA_MAX_DRAWS);
    return !is_pointwise(chain) || make_table(chain, where);
}

void fa_chain_end(fa_chain *chain)
{
    fa_mfree(chain->table);
    chain->table = NULL;
}

void fa_chain_draw(const fa_chain *chain, fa_mt *mt, int64_t *draws)
{
    for (int i = 0; i < chain->n; i++)
        if (chain->step[i]->kind->draws > 0) {
            chain->step[i]->kind->draw(chain->step[i], &chain->form[i], mt, draws);
            draws += chain->step[i]->kind->draws;
        }
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

static void look_up(const fa_chain *chain, const uint8_t *in, float *out)
{
    int64_t channels = chain->form[0].channels, area = chain->form[0].height * chain->form[0].width;
    if (channels == 1)
        look_up_channel(chain->table, in, 1, area, out);
    else
        for (int64_t c = 0; c < channels; c++)
            look_up_channel(chain->table + c * FA_PIXEL_VALUES, in + c, channels, area, out + c * area);
}

void fa_chain_apply(const fa_chain *chain, const void *in, const int64_t *draws, void *between, void *out)
{
    if (chain->table != NULL) {
        look_up(chain, in, out);
        return;
    }
    if (chain->n == 0)
        memcpy(out, in, chain->in_bytes);
    for (int i = 0; i < chain->n; i++) {
        void *to = i + 1 == chain->n ? out : (char *)between + (size_t)(i % 2) * chain->between_bytes;
        chain->step[i]->kind->apply(chain->step[i], &chain->form[i], in, draws, to);
        draws += chain->step[i]->kind->draws;
        in = to;
    }
}

/* ---- Of a tensor, and in an item callback ------------------------------------------------------------------------ */

static bool form_of(const fa_meta *meta, fa_image_form *form)
{
    const int64_t *s = meta->shape;
    if (meta->dtype == FA_DT_UINT8 && (meta->ndim == 2 || meta->ndim == 3))
        *form = (fa_image_form){false, meta->ndim == 3 ? s[2] : 1, s[0], s[1]};
    else if (meta->dtype == FA_DT_FLOAT32 && meta->ndim == 3)
        *form = (fa_image_form){true, s[0], s[1], s[2]};
    else
        return fa_refuse(FA_SHAPE_ERROR, "transform",
                         "got %s %s, needs an image: uint8 [H, W, C] or [H, W], or float32 [C, H, W].",
                         fa_dtype_name(meta->dtype), fa_shape_text(meta));
    return true;
}

/* Draws, if the chain does, and applies it once. False after an error. */
static bool apply_once(const fa_chain *chain, const void *in, void *out, fa_where where)
{
    int64_t draws[FA_MAX_DRAWS];
    if (chain->draws > 0) {
        fa_generator *generator = fa_generator_default();
        fa_chain_draw(chain, fa_generator_lock(generator), draws);
        fa_generator_unlock(generator);
    }
    fa_buffer *between = NULL;
    if (chain->table == NULL && chain->n > 1 && (between = fa_buffer_new(2 * chain->between_bytes)) == NULL)
        return fa_fail_memory(where, 2 * chain->between_bytes);
    fa_chain_apply(chain, in, draws, between != NULL ? between->data : NULL, out);
    fa_buffer_release(between);
    return true;
}

fa_tensor *fa_transform_apply_at(fa_transform *transform, fa_tensor *image, fa_where where)
{
    fa_begin(where);
    if (!fa_object_check((fa_object *)transform, &fa_transform_class, "fa_transform_apply", where))
        return NULL;
    fa_node *node = fa_use(image, "transform", "image");
    fa_image_form form;
    fa_chain chain = {.table = NULL};
    if (node == NULL || !form_of(&node->meta, &form) || !fa_evaluate(node) ||
        !fa_chain_begin(&chain, transform, &form, where)) {
        fa_chain_end(&chain);
        return NULL;
    }
    const fa_image_form *result = fa_chain_result(&chain);
    fa_meta meta = result->floats
                       ? fa_meta_of(FA_DT_FLOAT32, 3, (int64_t[]){result->channels, result->height, result->width})
                       : fa_meta_of(FA_DT_UINT8, 3, (int64_t[]){result->height, result->width, result->channels});
    fa_leaf *leaf = fa_leaf_new(&meta);
    const void *in = fa_node_bytes(node);
    fa_tensor *made = NULL;
    if (leaf != NULL && in != NULL && apply_once(&chain, in, leaf->buffer->data, where))
        made = fa_handle(fa_leaf_node(leaf));
    fa_leaf_release(leaf);
    fa_chain_end(&chain);
    return made;
}

/* Bytes [H, W, C] as the item's [C, H, W]. */
static bool apply_to_bytes(const fa_chain *chain, const uint8_t *pixels, uint8_t *out, fa_where where)
{
    fa_buffer *made = fa_buffer_new(chain->out_bytes);
    if (made == NULL)
        return fa_fail_memory(where, chain->out_bytes);
    bool fine = apply_once(chain, pixels, made->data, where);
    const fa_image_form *form = fa_chain_result(chain);
    int64_t area = form->height * form->width;
    for (int64_t c = 0; fine && c < form->channels; c++)
        for (int64_t i = 0; i < area; i++)
            out[c * area + i] = ((const uint8_t *)made->data)[i * form->channels + c];
    fa_buffer_release(made);
    return fine;
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
    fa_image_form form = {false, channels, height, width};
    fa_chain chain;
    bool fine = fa_chain_begin(&chain, transform, &form, where);
    const fa_image_form *result = fine ? fa_chain_result(&chain) : &form;
    void *out = fine ? fa_sample_room_at(sample, result->floats ? FA_FLOAT32 : FA_UINT8,
                                         FA_SHAPE(result->channels, result->height, result->width), where)
                     : NULL;
    if (out != NULL)
        fine = result->floats ? apply_once(&chain, pixels, out, where) : apply_to_bytes(&chain, pixels, out, where);
    fa_chain_end(&chain);
    return fine && out != NULL;
}
