/* Subset and random_split: a data set seen through a list of numbers. */
#include "data/dataset.h"

#include <math.h>
#include <string.h>

typedef struct subset {
    fa_dataset *dataset;
    int64_t n;
    int64_t *indices; /* [n], all valid when it was made */
} subset;

static int64_t subset_length(void *data)
{
    return ((subset *)data)->n;
}

static bool subset_prepare(void *data)
{
    return fa_dataset_prepare(((subset *)data)->dataset->object.body);
}

static bool subset_fetch(void *data, const int64_t *indices, int64_t n, fa_collate *batch)
{
    enum { CHUNK = 256 };
    const subset *set = data;
    int64_t inner[CHUNK];
    for (int64_t begin = 0; begin < n; begin += CHUNK) {
        int64_t count = n - begin < CHUNK ? n - begin : CHUNK;
        for (int64_t i = 0; i < count; i++)
            inner[i] = set->indices[indices[begin + i]];
        if (!fa_dataset_fetch(set->dataset->object.body, inner, count, batch))
            return false;
    }
    return true;
}

static const fa_dataset_body *subset_part(void *data, int64_t *index)
{
    const subset *set = data;
    *index = set->indices[*index];
    return set->dataset->object.body;
}

static void subset_destroy(void *data)
{
    subset *set = data;
    fa_object_drop(&set->dataset->object);
    fa_mfree(set->indices);
    fa_mfree(set);
}

static fa_names subset_classes(void *data)
{
    return fa_dataset_names(((subset *)data)->dataset->object.body);
}

static size_t subset_notes(void *data, char *text, size_t size)
{
    return fa_dataset_note(((subset *)data)->dataset->object.body, text, size);
}

/* Holds the data set, copies the indices. */
static fa_dataset *make_subset(fa_dataset *dataset, const int64_t *indices, int64_t n, fa_where where)
{
    static const fa_dataset_kind kind = {.length = subset_length,
                                         .prepare = subset_prepare,
                                         .fetch = subset_fetch,
                                         .destroy = subset_destroy,
                                         .part = subset_part,
                                         .classes = subset_classes,
                                         .notes = subset_notes};
    size_t bytes;
    subset *set = fa_malloc(sizeof *set);
    int64_t *copy = set != NULL && fa_mul_size((size_t)n, sizeof *copy, &bytes) ? fa_malloc(bytes) : NULL;
    if (copy == NULL) {
        fa_mfree(set);
        fa_fail_memory(where, (size_t)n * sizeof *copy);
        return NULL;
    }
    if (n > 0)
        memcpy(copy, indices, (size_t)n * sizeof *copy);
    fa_object_hold(&dataset->object);
    *set = (subset){dataset, n, copy};
    return fa_dataset_make(&kind, set, ((fa_dataset_body *)dataset->object.body)->draws, where);
}

fa_dataset *fa_subset_at(fa_dataset *dataset, const int64_t *indices, int64_t n, fa_where where)
{
    fa_dataset_body *body = fa_dataset_use(dataset, "fa_subset", where);
    if (body == NULL)
        return NULL;
    int64_t length = body->kind->length(body->data);
    bool fine = n >= 0 && (n == 0 || indices != NULL);
    if (!fine)
        fa_fail(FA_VALUE_ERROR, where, "fa_subset", "got %lld indices, needs a list of 0 or more.", (long long)n);
    for (int64_t i = 0; fine && i < n; i++)
        if (indices[i] < -length || indices[i] >= length)
            fine = fa_fail(FA_INDEX_ERROR, where, "fa_subset",
                           "got index %lld at place %lld, needs 0 to %lld, or -%lld to -1 from the end.",
                           (long long)indices[i], (long long)i, (long long)length - 1, (long long)length);
    return fine ? make_subset(dataset, indices, n, where) : NULL;
}

/* ---- random_split ------------------------------------------------------------------------------------------------ */

/* Lengths of the parts from the arguments: whole numbers, or fractions whose sum is 1. */
static bool part_sizes(const fa_random_split_args *args, int64_t length, int64_t *size)
{
    static const char *const call = "fa_random_split";
    double sum = 0;
    for (int p = 0; p < args->count; p++)
        sum += args->lengths[p];
    bool fractions = fabs(sum - 1) <= 1e-9 && sum <= 1;
    int64_t total = 0;
    for (int p = 0; p < args->count; p++) {
        double given = args->lengths[p];
        if (!(given >= 0 && (fractions ? given <= 1 : given == floor(given) && given <= 0x1p53)))
            return fa_fail(FA_VALUE_ERROR, args->where_, call,
                           "got %g for part %d, needs whole numbers whose sum is %lld, or fractions whose sum is 1.",
                           given, p, (long long)length);
        size[p] = (int64_t)(fractions ? floor((double)length * given) : given);
        total += size[p];
    }
    for (int p = 0; fractions && total < length; p = (p + 1) % args->count, total++)
        size[p]++;
    if (total != length)
        return fa_fail(FA_VALUE_ERROR, args->where_, call,
                       "got lengths whose sum is %lld, needs %lld, the number of items. Hint: fractions whose sum is 1 "
                       "fit any number.",
                       (long long)total, (long long)length);
    return true;
}

static bool split(const fa_random_split_args *args, fa_dataset_body *body)
{
    int64_t size[FA_MAX_PARTS];
    if (args->count < 1 || args->count > FA_MAX_PARTS || args->parts == NULL)
        return fa_fail(FA_VALUE_ERROR, args->where_, "fa_random_split", "got %d parts, needs 1 to %d and their array.",
                       args->count, FA_MAX_PARTS);
    int64_t length = body->kind->length(body->data);
    if (!part_sizes(args, length, size))
        return false;
    int64_t *order = fa_malloc((size_t)length * sizeof *order);
    if (order == NULL)
        return fa_fail_memory(args->where_, (size_t)length * sizeof *order);
    fa_generator *generator = fa_generator_or_default(args->generator);
    fa_mt_randperm(fa_generator_lock(generator), order, length);
    fa_generator_unlock(generator);
    int64_t begin = 0;
    bool fine = true;
    for (int p = 0; fine && p < args->count; begin += size[p], p++) {
        args->parts[p] = make_subset(args->dataset, order + begin, size[p], args->where_);
        fine = args->parts[p] != NULL;
    }
    fa_mfree(order);
    return fine;
}

bool fa_random_split_at(const fa_random_split_args *args)
{
    int count = args->parts == NULL || args->count < 0 ? 0 : args->count;
    for (int p = 0; p < count; p++)
        args->parts[p] = NULL;
    fa_dataset_body *body = fa_dataset_use(args->dataset, "fa_random_split", args->where_);
    if (body == NULL)
        return false;
    if (split(args, body))
        return true;
    for (int p = 0; p < count; p++) {
        fa_dataset_free(args->parts[p]);
        args->parts[p] = NULL;
    }
    return false;
}
