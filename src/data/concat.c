/* ConcatDataset: data sets one behind the other. */
#include "data/dataset.h"

#include <string.h>

typedef struct concat {
    int count;
    fa_dataset **part; /* [count], held */
    int64_t *end;      /* [count]: items of the parts 0 ... i */
} concat;

static int64_t concat_length(void *data)
{
    const concat *set = data;
    return set->end[set->count - 1];
}

static fa_dataset_body *body_of(const concat *set, int part)
{
    return set->part[part]->object.body;
}

/* The part that an item belongs to; `inner` is its number there. */
static int find_part(const concat *set, int64_t index, int64_t *inner)
{
    int least = 0, most = set->count - 1;
    while (least < most) {
        int middle = (least + most) / 2;
        if (index < set->end[middle])
            most = middle;
        else
            least = middle + 1;
    }
    *inner = least > 0 ? index - set->end[least - 1] : index;
    return least;
}

static bool concat_prepare(void *data)
{
    const concat *set = data;
    for (int p = 0; p < set->count; p++)
        if (!fa_dataset_prepare(body_of(set, p)))
            return false;
    return true;
}

/* Neighbours of one part are fetched together. */
static bool concat_fetch(void *data, const int64_t *indices, int64_t n, fa_collate *batch)
{
    enum { CHUNK = 256 };
    const concat *set = data;
    int64_t inner[CHUNK];
    for (int64_t i = 0; i < n;) {
        int part = find_part(set, indices[i], &inner[0]), count = 1;
        for (i++; i < n && count < CHUNK && find_part(set, indices[i], &inner[count]) == part; i++)
            count++;
        if (!fa_dataset_fetch(body_of(set, part), inner, count, batch))
            return false;
    }
    return true;
}

static void concat_destroy(void *data)
{
    concat *set = data;
    for (int p = 0; p < set->count; p++)
        fa_object_drop(&set->part[p]->object);
    fa_mfree(set->part);
    fa_mfree(set->end);
    fa_mfree(set);
}

/* Those of the first part, if all have the same. */
static fa_names concat_classes(void *data)
{
    const concat *set = data;
    fa_names first = fa_dataset_names(body_of(set, 0));
    for (int p = 1; p < set->count; p++) {
        fa_names names = fa_dataset_names(body_of(set, p));
        bool same = names.count == first.count;
        for (int64_t i = 0; same && i < names.count; i++)
            same = strcmp(names.name[i], first.name[i]) == 0;
        if (!same)
            return (fa_names){NULL, 0};
    }
    return first;
}

static const fa_dataset_body *concat_part(void *data, int64_t *index)
{
    return body_of(data, find_part(data, *index, index));
}

static size_t concat_notes(void *data, char *text, size_t size)
{
    const concat *set = data;
    size_t length = fa_text_into(text, size, "");
    for (int p = 0; p < set->count; p++) {
        size_t at = length < size ? length : size;
        size_t gap = length > 0 ? 1 : 0;
        size_t more = fa_dataset_note(body_of(set, p), at + gap < size ? text + at + gap : NULL,
                                      at + gap < size ? size - at - gap : 0);
        if (more > 0 && gap > 0 && at + gap < size)
            text[at] = '\n';
        length += more > 0 ? more + gap : 0;
    }
    return length;
}

static const fa_dataset_kind concat_kind = {.length = concat_length,
                                            .prepare = concat_prepare,
                                            .fetch = concat_fetch,
                                            .destroy = concat_destroy,
                                            .part = concat_part,
                                            .classes = concat_classes,
                                            .notes = concat_notes};

static concat *new_concat(int count, fa_where where)
{
    concat *set = fa_calloc(1, sizeof *set);
    if (set != NULL) {
        set->part = fa_calloc((size_t)count, sizeof(fa_dataset *));
        set->end = fa_calloc((size_t)count, sizeof *set->end);
    }
    if (set != NULL && set->part != NULL && set->end != NULL)
        return set;
    if (set != NULL)
        concat_destroy(set);
    fa_fail_memory(where, (size_t)count * sizeof(fa_dataset *));
    return NULL;
}

fa_dataset *fa_concat_dataset_at(int count, fa_dataset *const *datasets, fa_where where)
{
    static const char *const call = "fa_concat_dataset";
    if (count < 1 || datasets == NULL) {
        fa_fail(FA_VALUE_ERROR, where, call, "got %d data sets, needs at least one.", count);
        return NULL;
    }
    int64_t total = 0;
    bool draws = false;
    for (int p = 0; p < count; p++) {
        const fa_dataset_body *body = fa_dataset_use(datasets[p], call, where);
        if (body == NULL)
            return NULL;
        if (__builtin_add_overflow(total, body->kind->length(body->data), &total)) {
            fa_fail(FA_VALUE_ERROR, where, call, "got data sets whose lengths add up to more than fits in an int64.");
            return NULL;
        }
        draws = draws || body->draws;
    }
    concat *set = new_concat(count, where);
    if (set == NULL)
        return NULL;
    total = 0;
    for (int p = 0; p < count; p++) {
        const fa_dataset_body *body = datasets[p]->object.body;
        total += body->kind->length(body->data);
        set->part[p] = datasets[p];
        set->end[p] = total;
        set->count = p + 1;
        fa_object_hold(&datasets[p]->object);
    }
    return fa_dataset_make(&concat_kind, set, draws, where);
}
