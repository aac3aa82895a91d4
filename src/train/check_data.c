/* Looks at every item of a data set, BLOCK at a time on the pool's threads. Sums are of whole numbers for images of
 * bytes, added in the order of items: the same for any number of threads. */
#include "train/check_data.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/pool.h"
#include "train/predictor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 256 };

/* What one item adds. */
typedef struct block_item {
    double sum[FA_SURVEY_CHANNELS], square[FA_SURVEY_CHANNELS];
    double pixels;
    int64_t channels;
    bool bytes;
    fa_error_record error;
    char misfit[256];
} block_item;

typedef struct block {
    fa_survey *survey;
    int64_t first;
    fa_where where;
    void *worker;     /* the state of the loader's .worker_init, which one thread at a time uses */
    block_item *item; /* [BLOCK] */
} block;

/* ---- One image --------------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return x ^ (x >> 32);
}

/* Two lanes of a multiplying hash, 8 bytes a step. Not for adversaries. */
static void hash_bytes(uint64_t hash[2], const void *data, size_t bytes)
{
    const unsigned char *at = data;
    uint64_t a = hash[0], b = hash[1], word;
    for (; bytes >= sizeof word; bytes -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        a = (a ^ word) * 0x9e3779b97f4a7c15u;
        a ^= a >> 29;
        b = (b + word) * 0xc2b2ae3d27d4eb4fu;
        b ^= b >> 31;
    }
    word = 0;
    memcpy(&word, at, bytes);
    hash[0] = mix(a ^ word ^ ((uint64_t)bytes << 56));
    hash[1] = mix(b + word + ((uint64_t)bytes << 56));
}

static void add_bytes(block_item *out, const uint8_t *plane, int64_t area, int64_t c)
{
    uint64_t sum = 0, square = 0;
    for (int64_t i = 0; i < area; i++) {
        sum += plane[i];
        square += (uint32_t)plane[i] * plane[i];
    }
    out->sum[c] = (double)sum;
    out->square[c] = (double)square;
}

static void add_floats(block_item *out, const float *plane, int64_t area, int64_t c)
{
    for (int64_t i = 0; i < area; i++) {
        out->sum[c] += (double)plane[i];
        out->square[c] += (double)plane[i] * (double)plane[i];
    }
}

static bool is_image(const fa_meta *meta)
{
    return (meta->dtype == FA_DT_UINT8 || meta->dtype == FA_DT_FLOAT32) && meta->ndim == 3 &&
           meta->shape[0] <= FA_SURVEY_CHANNELS;
}

/* Takes down the item that a batch of one holds. */
static void take_down(const fa_collate *batch, fa_surveyed *item, block_item *out)
{
    const fa_meta *image = &batch->field[0].meta;
    const fa_meta *label = batch->n > 1 ? &batch->field[1].meta : NULL;
    if (batch->n < 1 || !is_image(image)) {
        snprintf(out->misfit, sizeof out->misfit, "%s %s", batch->n < 1 ? "nothing" : fa_dtype_name(image->dtype),
                 batch->n < 1 ? "" : fa_shape_text(image));
        return;
    }
    if (label != NULL && label->dtype == FA_DT_INT64 && label->ndim == 0)
        memcpy(&item->label, batch->field[1].buffer->data, sizeof item->label);
    const int64_t channels = image->shape[0], area = image->shape[1] * image->shape[2];
    const void *pixels = batch->field[0].buffer->data;
    item->channels = (uint8_t)channels;
    item->height = (int32_t)image->shape[1];
    item->width = (int32_t)image->shape[2];
    out->channels = channels;
    out->pixels = (double)area;
    out->bytes = image->dtype == FA_DT_UINT8;
    /* Grey that was made three equal channels is the same image as grey. */
    const bool grey = channels == 3 && item->picture && (item->traits & (1u << FA_TRAIT_GREY)) != 0;
    const size_t bytes = (size_t)area * (out->bytes ? 1 : sizeof(float));
    item->hash[0] = 0x243f6a8885a308d3u ^ (uint64_t)item->height << 32 ^ (uint64_t)item->width;
    item->hash[1] = 0x13198a2e03707344u + (uint64_t)(grey ? 1 : channels);
    for (int64_t c = 0; c < channels; c++) {
        if (c == 0 || !grey)
            hash_bytes(item->hash, (const char *)pixels + (size_t)c * bytes, bytes);
        if (out->bytes)
            add_bytes(out, (const uint8_t *)pixels + c * area, area, c);
        else
            add_floats(out, (const float *)pixels + c * area, area, c);
    }
}

static void look_at(void *context, int64_t i)
{
    block *b = context;
    const int64_t index = b->first + i;
    fa_surveyed *item = &b->survey->item[index];
    block_item *out = &b->item[i];
    *item = (fa_surveyed){.label = INT64_MIN};
    *out = (block_item){.pixels = 0};
    unsigned traits;
    fa_collate batch;
    (void)fa_picture_latest(&traits);
    fa_collate_begin(&batch, 1, b->where, NULL);
    batch.worker = b->worker;
    if (fa_dataset_fetch(b->survey->data, &index, 1, &batch) && fa_ok()) {
        item->picture = fa_picture_latest(&traits);
        item->traits = (uint16_t)(item->picture ? traits : 0);
        take_down(&batch, item, out);
    } else {
        item->failed = true;
    }
    fa_error_take(&out->error);
    fa_collate_release(&batch);
}

/* ---- The whole --------------------------------------------------------------------------------------------------- */

void fa_survey_name(const fa_survey *s, int64_t index, char text[FA_NAME_BYTES])
{
    int64_t inner = index;
    const fa_dataset_body *body = fa_dataset_innermost(s->data, &inner);
    text[0] = '\0';
    if (body != NULL && body->kind->name != NULL)
        (void)body->kind->name(body->data, inner, text, FA_NAME_BYTES);
    if (text[0] == '\0')
        snprintf(text, FA_NAME_BYTES, "item %lld", (long long)index);
}

static bool keep_error(fa_survey *s, int64_t index, const fa_error_record *error, fa_where where)
{
    const char *text = fa_message_text(error), *colon = strstr(text, ": ");
    s->failed++;
    if (s->errors == FA_SURVEY_NAMES)
        return true;
    /* Behind the call's name stands what was got. */
    text = colon != NULL && strcspn(text, " ") == (size_t)(colon + 1 - text) ? colon + 2 : text;
    text += strncmp(text, "got ", 4) == 0 ? 4 : 0;
    s->error_item[s->errors] = index;
    s->error[s->errors] = fa_strdup(text);
    return s->error[s->errors++] != NULL || fa_fail_memory(where, strlen(text) + 1);
}

static bool add_block(block *b, int64_t n)
{
    fa_survey *s = b->survey;
    for (int64_t i = 0; i < n; i++) {
        const block_item *out = &b->item[i];
        if (out->error.kind == FA_MEMORY_ERROR) {
            fa_error_put(&out->error);
            return false;
        }
        if (s->item[b->first + i].failed && !keep_error(s, b->first + i, &out->error, b->where))
            return false;
        if (out->misfit[0] != '\0' && s->misfit[0] == '\0')
            snprintf(s->misfit, sizeof s->misfit, "%s", out->misfit);
        if (out->channels == 0)
            continue;
        if (s->channels == 0) {
            s->channels = out->channels;
            s->bytes = out->bytes;
        }
        if (out->channels != s->channels || out->bytes != s->bytes)
            continue;
        s->count += out->pixels;
        for (int64_t c = 0; c < s->channels; c++) {
            s->sum[c] += out->sum[c];
            s->square[c] += out->square[c];
        }
    }
    return true;
}

bool fa_survey_run(fa_survey *s, const char *name, const fa_loader_body *loader,
                   void (*progress)(void *user, int64_t done), void *user, fa_where where)
{
    *s = (fa_survey){.name = name, .data = loader->dataset->object.body};
    const bool alone = s->data->draws || loader->worker_init != NULL;
    s->n = s->data->kind->length(s->data->data);
    s->classes = fa_dataset_names(s->data);
    block b = {.survey = s, .where = where};
    b.item = fa_malloc(BLOCK * sizeof *b.item);
    s->item = s->n >= 0 ? fa_calloc((size_t)s->n + 1, sizeof *s->item) : NULL;
    s->error = fa_calloc(FA_SURVEY_NAMES, sizeof *s->error);
    s->error_item = fa_calloc(FA_SURVEY_NAMES, sizeof *s->error_item);
    bool fine = b.item != NULL && s->item != NULL && s->error != NULL && s->error_item != NULL;
    if (!fine && fa_ok())
        fa_fail_memory(where, (size_t)s->n * sizeof *s->item);
    fine = fine && fa_dataset_prepare(s->data);
    if (fine && loader->worker_init != NULL) {
        b.worker = loader->worker_init(loader->user, 0);
        fine = fa_ok();
    }
    const bool begun = fine && loader->worker_init != NULL;
    for (b.first = 0; fine && b.first < s->n; b.first += BLOCK) {
        const int64_t n = s->n - b.first < BLOCK ? s->n - b.first : BLOCK;
        if (!alone)
            fa_parallel(n, look_at, &b);
        for (int64_t i = 0; alone && i < n; i++)
            look_at(&b, i);
        fine = add_block(&b, n);
        if (progress != NULL)
            progress(user, b.first + n);
    }
    if (begun && loader->worker_end != NULL)
        loader->worker_end(loader->user, b.worker);
    fa_mfree(b.item);
    return fine;
}

void fa_survey_end(fa_survey *s)
{
    for (int64_t i = 0; i < s->errors; i++)
        fa_mfree(s->error[i]);
    fa_mfree(s->error);
    fa_mfree(s->error_item);
    fa_mfree(s->item);
}
