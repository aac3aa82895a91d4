/* Data sets: what all kinds have in common, and the user's own (two callbacks). */
#include "data/dataset.h"

#include <stdio.h>
#include <string.h>

static void destroy_dataset(void *body)
{
    fa_dataset_body *dataset = body;
    dataset->kind->destroy(dataset->data);
    fa_mfree(dataset);
}

const fa_object_kind fa_dataset_class = {"data set", destroy_dataset};

fa_dataset *fa_dataset_make(const fa_dataset_kind *kind, void *data, bool draws, fa_where where)
{
    fa_dataset_body *body = fa_malloc(sizeof *body);
    fa_object *object = body != NULL ? fa_object_new(&fa_dataset_class, body) : NULL;
    if (object == NULL) {
        fa_mfree(body);
        kind->destroy(data);
        fa_fail_memory(where, sizeof *body);
        return NULL;
    }
    *body = (fa_dataset_body){.kind = kind, .data = data, .draws = draws};
    return (fa_dataset *)object;
}

fa_dataset_body *fa_dataset_use(fa_dataset *dataset, const char *what, fa_where where)
{
    return fa_object_check((fa_object *)dataset, &fa_dataset_class, what, where) ? dataset->object.body : NULL;
}

bool fa_dataset_prepare(fa_dataset_body *body)
{
    return body->kind->prepare == NULL || body->kind->prepare(body->data);
}

bool fa_dataset_fetch(fa_dataset_body *body, const int64_t *indices, int64_t n, fa_collate *batch)
{
    enum { CHUNK = 256 };
    int64_t length = body->kind->length(body->data), from_start[CHUNK];
    bool negative = false;
    for (int64_t i = 0; i < n; i++) {
        negative = negative || indices[i] < 0;
        if (indices[i] < -length || indices[i] >= length)
            return fa_fail(FA_INDEX_ERROR, batch->where, "data set",
                           "got index %lld, needs 0 to %lld, or -%lld to -1 from the end.", (long long)indices[i],
                           (long long)length - 1, (long long)length);
    }
    if (!negative)
        return body->kind->fetch(body->data, indices, n, batch);
    for (int64_t begin = 0; begin < n; begin += CHUNK) {
        const int64_t count = n - begin < CHUNK ? n - begin : CHUNK;
        for (int64_t i = 0; i < count; i++)
            from_start[i] = indices[begin + i] + (indices[begin + i] < 0 ? length : 0);
        if (!body->kind->fetch(body->data, from_start, count, batch))
            return false;
    }
    return true;
}

const fa_dataset_body *fa_dataset_innermost(const fa_dataset_body *body, int64_t *index)
{
    for (;;) {
        if (*index < 0 || *index >= body->kind->length(body->data))
            return NULL;
        if (body->kind->part == NULL)
            return body;
        body = body->kind->part(body->data, index);
    }
}

void fa_dataset_name_item(const fa_dataset_body *body, int64_t index, fa_error_record *error)
{
    enum { NAME_BYTES = 1024 };
    char name[NAME_BYTES] = "", text[NAME_BYTES + 64];
    body = fa_dataset_innermost(body, &index);
    if (body == NULL)
        return;
    if (body->kind->name != NULL)
        body->kind->name(body->data, index, name, sizeof name);
    name[sizeof name - 1] = 0;
    const bool said = name[0] == 0 || strstr(error->message, name) != NULL;
    int length = snprintf(text, sizeof text, " (item %lld of the data set%s%s)", (long long)index, said ? "" : ", ",
                          said ? "" : name);
    size_t end = strlen(error->message), last = sizeof error->message - 1 - (size_t)length;
    memcpy(error->message + (end < last ? end : last), text, (size_t)length + 1);
}

bool fa_is_bad_item(const fa_collate *batch, const fa_error_record *error)
{
    return !batch->misfit && error->kind != FA_NO_ERROR && error->kind != FA_MEMORY_ERROR &&
           error->kind != FA_STATE_ERROR;
}

/* An item that could not be fetched: left out if that is wanted, else false with the error. */
static bool leave_out(const fa_dataset_body *body, int64_t index, fa_collate *batch)
{
    fa_error_record error;
    fa_error_take(&error);
    if (error.kind == FA_NO_ERROR)
        return false; /* cancelled */
    fa_dataset_name_item(body, index, &error);
    if (batch->skip && fa_is_bad_item(batch, &error)) {
        fa_collate_note_bad(batch, -1, error.message);
        return fa_ok();
    }
    fa_error_put(&error);
    return false;
}

bool fa_dataset_collect(fa_dataset_body *body, const int64_t *indices, int64_t n, fa_collate *batch)
{
    for (int64_t i = 0; i < n; i++) {
        if (fa_collate_cancelled(batch))
            return false;
        const int64_t late = batch->late_count, filled = batch->filled;
        batch->place = i;
        if (fa_dataset_fetch(body, &indices[i], 1, batch))
            continue;
        batch->filled = filled;
        fa_collate_undo(batch, late);
        if (!leave_out(body, indices[i], batch))
            return false;
    }
    return true;
}

int64_t fa_dataset_length_at(fa_dataset *dataset, fa_where where)
{
    fa_dataset_body *body = fa_dataset_use(dataset, "fa_length", where);
    return body != NULL ? body->kind->length(body->data) : -1;
}

fa_batch fa_dataset_get_at(fa_dataset *dataset, int64_t index, fa_where where)
{
    fa_batch item = {.size = 0, .index = index, .where_ = where};
    fa_dataset_body *body = fa_dataset_use(dataset, "fa_dataset_get", where);
    if (body == NULL || !fa_ok())
        return item;
    int64_t length = body->kind->length(body->data);
    int64_t from_start = index < 0 ? index + length : index;
    if (from_start < 0 || from_start >= length) {
        fa_fail(FA_INDEX_ERROR, where, "fa_dataset_get",
                "got index %lld, needs less than the data set's length %lld. Hint: the first item is 0, the last -1.",
                (long long)index, (long long)length);
        return item;
    }
    fa_begin(where);
    fa_collate batch;
    fa_collate_begin(&batch, 1, where, NULL);
    bool fine = fa_dataset_prepare(body) && fa_dataset_collect(body, &from_start, 1, &batch) &&
                fa_collate_tensors(&batch, false, &item);
    fa_collate_release(&batch);
    item.index = from_start;
    if (!fine) {
        memset(item.item, 0, sizeof item.item);
        item.n = 0;
        item.size = 0;
    }
    return item;
}

size_t fa_item_name_at(fa_dataset *dataset, int64_t index, char *text, size_t size, fa_where where)
{
    enum { NAME_BYTES = 4096 };
    char name[NAME_BYTES] = "";
    if (size > 0)
        text[0] = 0;
    const fa_dataset_body *body = fa_dataset_use(dataset, "fa_item_name", where);
    if (body == NULL)
        return 0;
    const int64_t length = body->kind->length(body->data), given = index;
    body = fa_dataset_innermost(body, &index);
    if (body == NULL) {
        fa_fail(FA_INDEX_ERROR, where, "fa_item_name", "got index %lld, needs 0 to %lld.", (long long)given,
                (long long)length - 1);
        return 0;
    }
    if (body->kind->name != NULL)
        body->kind->name(body->data, index, name, sizeof name);
    name[sizeof name - 1] = 0;
    if (name[0] == 0)
        snprintf(name, sizeof name, "item %lld", (long long)index);
    if (size > 0)
        snprintf(text, size, "%s", name);
    return strlen(name);
}

fa_dataset *fa_dataset_retain(fa_dataset *dataset)
{
    fa_object_retain((fa_object *)dataset);
    return dataset;
}

void fa_dataset_free(fa_dataset *dataset)
{
    fa_object_free((fa_object *)dataset);
}

/* ---- The user's own ---------------------------------------------------------------------------------------------- */

typedef struct user_dataset {
    void *user;
    int64_t (*length)(void *user);
    bool (*item)(void *user, int64_t index, fa_sample *sample);
    void (*destroy)(void *user);
    void (*name)(void *user, int64_t index, char *text, size_t size);
} user_dataset;

static int64_t user_length(void *data)
{
    user_dataset *set = data;
    return set->length(set->user);
}

static bool user_fetch(void *data, const int64_t *indices, int64_t n, fa_collate *batch)
{
    user_dataset *set = data;
    for (int64_t i = 0; i < n; i++) {
        if (fa_collate_cancelled(batch))
            return false;
        fa_sample sample = {.batch = batch, .index = indices[i]};
        if (!set->item(set->user, indices[i], &sample) || !fa_ok())
            return fa_ok() ? fa_fail(FA_DATA_ERROR, batch->where, "data set",
                                     "got false from the item callback. Hint: fa_raise in the callback says why.")
                           : false;
        if (!fa_collate_advance(batch, 1, sample.n, indices[i], batch->where))
            return false;
    }
    return true;
}

static void user_name(void *data, int64_t index, char *text, size_t size)
{
    user_dataset *set = data;
    if (set->name != NULL)
        set->name(set->user, index, text, size);
}

static void user_destroy(void *data)
{
    user_dataset *set = data;
    if (set->destroy != NULL)
        set->destroy(set->user);
    fa_mfree(set);
}

fa_dataset *fa_dataset_new_at(const fa_dataset_args *args)
{
    static const fa_dataset_kind kind = {
        .length = user_length, .fetch = user_fetch, .destroy = user_destroy, .name = user_name};
    user_dataset *set = NULL;
    if (args->length == NULL || args->item == NULL)
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_dataset_new", "got no %s callback, needs .length and .item.",
                args->length == NULL ? "length" : "item");
    else if ((set = fa_malloc(sizeof *set)) == NULL)
        fa_fail_memory(args->where_, sizeof *set);
    if (set == NULL) {
        if (args->destroy != NULL)
            args->destroy(args->user);
        return NULL;
    }
    *set = (user_dataset){args->user, args->length, args->item, args->destroy, args->name};
    return fa_dataset_make(&kind, set, args->draws, args->where_);
}
