/* Mean and standard deviation of a data set's images, channel by channel: the numbers for Normalize.
 *
 * Bytes are summed as whole numbers, exactly: mean = sum / n / 255, std^2 = (squares / n - (sum / n)^2) / 255^2. Floats
 * go item by item: with its mean and sum of squares about it (M2), two counts a and b of pixels become
 *   mean += (mean_b - mean) b / (a + b),  M2 += M2_b + (mean_b - mean)^2 a b / (a + b). */
#include "facula/vision.h"

#include "base/generator.h"
#include "data/dataset.h"
#include "vision/repr.h"

#include <math.h>

typedef struct sums {
    int channels;
    bool bytes;
    int64_t items, pixels; /* pixels: of one channel */
    int64_t sum[FA_MAX_CHANNELS], squares[FA_MAX_CHANNELS];
    double mean[FA_MAX_CHANNELS], m2[FA_MAX_CHANNELS];
} sums;

static void add_bytes(sums *s, int c, const uint8_t *x, int64_t n)
{
    int64_t sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += x[i];
        squares += x[i] * x[i];
    }
    s->sum[c] += sum;
    s->squares[c] += squares;
}

static void add_floats(sums *s, int c, const float *x, int64_t n)
{
    double sum = 0, m2 = 0;
    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    const double mean = sum / (double)n, before = (double)s->pixels, now = (double)n;
    for (int64_t i = 0; i < n; i++)
        m2 += (x[i] - mean) * (x[i] - mean);
    const double apart = mean - s->mean[c];
    s->mean[c] += apart * now / (before + now);
    s->m2[c] += m2 + apart * apart * before * now / (before + now);
}

/* False after an error: not an image, or not like those before it. */
static bool add_item(sums *s, const fa_collate *item, int64_t index, fa_where where)
{
    static const char *const call = "fa_dataset_stats";
    const fa_meta *meta = &item->field[0].meta;
    const bool bytes = meta->dtype == FA_DT_UINT8;
    if (meta->ndim != 3 || (!bytes && meta->dtype != FA_DT_FLOAT32) || meta->shape[0] < 1 ||
        meta->shape[0] > FA_MAX_CHANNELS)
        return fa_fail(FA_SHAPE_ERROR, where, call,
                       "got %s %s as the first field of item %lld, needs an image: uint8 or float32 [C, H, W] of 1 to "
                       "%d channels.",
                       fa_dtype_name(meta->dtype), fa_dims_text(meta->ndim, meta->shape), (long long)index,
                       FA_MAX_CHANNELS);
    if (s->items > 0 && (s->channels != meta->shape[0] || s->bytes != bytes))
        return fa_fail(FA_SHAPE_ERROR, where, call,
                       "got item %lld of %s with %lld channels after items of %s with %d, needs one type and number.",
                       (long long)index, fa_dtype_name(meta->dtype), (long long)meta->shape[0],
                       s->bytes ? "uint8" : "float32", s->channels);
    const int64_t area = meta->shape[1] * meta->shape[2];
    s->channels = (int)meta->shape[0];
    s->bytes = bytes;
    for (int c = 0; c < s->channels && area > 0; c++)
        if (bytes)
            add_bytes(s, c, (const uint8_t *)item->field[0].buffer->data + c * area, area);
        else
            add_floats(s, c, (const float *)item->field[0].buffer->data + c * area, area);
    s->items++;
    s->pixels += area;
    return true;
}

static bool add_items(sums *s, fa_dataset_body *body, int64_t count, int64_t length, fa_where where)
{
    fa_collate item;
    bool fine = fa_dataset_prepare(body);
    for (int64_t i = 0; i < count && fine; i++) {
        /* i * length / count without leaving the range */
        const int64_t index = length / count * i + length % count * i / count;
        fa_collate_begin(&item, 1, where, NULL);
        fine = fa_dataset_collect(body, &index, 1, &item) && add_item(s, &item, index, where);
        fa_collate_release(&item);
    }
    return fine && (s->pixels > 0 || fa_fail(FA_VALUE_ERROR, where, "fa_dataset_stats",
                                             "got images without a pixel, needs at least one."));
}

fa_channel_stats fa_dataset_stats_at(const fa_dataset_stats_args *args)
{
    fa_channel_stats stats = {.channels = 0};
    fa_where where = args->where_;
    fa_dataset_body *body = fa_dataset_use(args->dataset, "fa_dataset_stats", where);
    if (body == NULL || !fa_ok())
        return stats;
    const int64_t length = body->kind->length(body->data);
    const int64_t count = args->items > 0 && args->items < length ? args->items : length;
    if (length < 1 || args->items < 0) {
        fa_fail(FA_VALUE_ERROR, where, "fa_dataset_stats", "got %lld items%s, needs at least 1.",
                (long long)(length < 1 ? length : args->items), length < 1 ? " in the data set" : " to look at");
        return stats;
    }
    sums s = {.items = 0};
    const fa_mt before = *fa_generator_lock(NULL); /* a transform may draw: what the program draws stays the same */
    fa_generator_unlock(NULL);
    const bool fine = add_items(&s, body, count, length, where);
    *fa_generator_lock(NULL) = before;
    fa_generator_unlock(NULL);
    if (!fine)
        return stats;
    stats.channels = s.channels;
    stats.items = s.items;
    const double n = (double)s.pixels;
    for (int c = 0; c < s.channels; c++) {
        const double mean = s.bytes ? (double)s.sum[c] / n : s.mean[c];
        const double variance = s.bytes ? (double)s.squares[c] / n - mean * mean : s.m2[c] / n;
        const double unit = s.bytes ? 255 : 1;
        stats.mean[c] = mean / unit;
        stats.std[c] = sqrt(variance > 0 ? variance : 0) / unit;
    }
    return stats;
}

size_t fa_channel_stats_text(const fa_channel_stats *stats, char *text, size_t size)
{
    fa_repr made = {.to = text, .size = size};
    if (size > 0)
        text[0] = 0;
    if (stats->channels < 1)
        return 0;
    fa_repr_add(&made, "fa_normalize(");
    for (int part = 0; part < 2; part++)
        for (int c = 0; c < stats->channels; c++)
            fa_repr_add(&made, "%s%.4f%s",
                        c > 0       ? ", "
                        : part == 0 ? "{"
                                    : ", {",
                        part == 0 ? stats->mean[c] : stats->std[c], c + 1 == stats->channels ? "}" : "");
    fa_repr_add(&made, ")");
    return made.length;
}
