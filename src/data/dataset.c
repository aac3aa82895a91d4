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
        const int64_t length = body->kind->length(body->data);
        *index += *index < 0 ? length : 0;
        if (*index < 0 || *index >= length)
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
    bool copied;   /* `user` is ours */
    int64_t count; /* where there is no `length` */
    fa_kept kept[FA_MAX_KEPT];
    int kept_count;
    int64_t (*length)(void *user);
    bool (*item)(void *user, int64_t index, fa_sample *sample);
    void (*destroy)(void *user);
    void (*name)(void *user, int64_t index, char *text, size_t size);
} user_dataset;

static int64_t user_length(void *data)
{
    user_dataset *set = data;
    return set->length != NULL ? set->length(set->user) : set->count;
}

static bool user_prepare(void *data)
{
    user_dataset *set = data;
    for (int k = 0; k < set->kept_count; k++)
        if ((set->kept[k].data = fa_leaf_data(set->kept[k].leaf)) == NULL)
            return false;
    return true;
}

static bool user_fetch(void *data, const int64_t *indices, int64_t n, fa_collate *batch)
{
    user_dataset *set = data;
    for (int64_t i = 0; i < n; i++) {
        if (fa_collate_cancelled(batch))
            return false;
        fa_sample sample = {.batch = batch, .index = indices[i], .kept = set->kept, .kept_count = set->kept_count};
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
    for (int k = 0; k < set->kept_count; k++)
        fa_leaf_release(set->kept[k].leaf);
    if (set->copied)
        fa_mfree(set->user);
    fa_mfree(set);
}

bool fa_sample_row_at(fa_sample *sample, const fa_tensor *tensor, int64_t row, fa_where where)
{
    static const char *const call = "fa_sample_row";
    const fa_kept *kept = sample->kept, *end = kept + sample->kept_count;
    while (kept < end && (kept->handle != tensor || tensor == NULL))
        kept++;
    if (kept == end)
        return fa_fail(FA_VALUE_ERROR, where, call,
                       "got a tensor that the data set does not keep, for item %lld. Hint: name its field in "
                       "fa_dataset_new(&self, .size = sizeof self, .tensors = {&self.images}), and read it from the "
                       "struct that the callback is given.",
                       (long long)sample->index);
    fa_meta item = kept->leaf->meta;
    if (row < 0 || row >= item.shape[0])
        return fa_fail(FA_INDEX_ERROR, where, call, "got row %lld for item %lld, needs 0 to %lld.", (long long)row,
                       (long long)sample->index, (long long)item.shape[0] - 1);
    item.ndim--;
    memmove(item.shape, item.shape + 1, (size_t)item.ndim * sizeof item.shape[0]);
    item.shape[item.ndim] = 0;
    void *room = fa_collate_rows(sample->batch, sample->n, &item, sample->index, where);
    if (room == NULL)
        return false;
    const size_t bytes = (size_t)(fa_meta_numel(&item) * fa_dtype_size(item.dtype)); /* the tensor has it many times */
    memcpy(room, kept->data + (size_t)row * bytes, bytes);
    sample->n++;
    return true;
}

/* Keeps the tensor that *field names, and lets the field name it outside scopes. False after an error. */
static bool keep_tensor(user_dataset *set, fa_tensor **field, fa_where where)
{
    fa_node *node = fa_use(*field, "fa_dataset_new", "a field of .tensors");
    if (node == NULL)
        return false;
    if (node->meta.ndim == 0)
        return fa_fail(
            FA_SHAPE_ERROR, where, "fa_dataset_new",
            "got a tensor of shape [] to keep, needs a first dimension. Hint: dimension 0 counts the items.");
    fa_leaf *leaf = fa_handle_leaf(*field);
    if (leaf != NULL && !leaf->buffer->borrowed)
        fa_leaf_retain(leaf);
    else {
        const void *values = fa_data_at(*field, where);
        const fa_meta meta = fa_meta_of(node->meta.dtype, node->meta.ndim, node->meta.shape);
        leaf = values != NULL ? fa_leaf_new(&meta) : NULL;
        if (leaf == NULL)
            return false;
        memcpy(leaf->buffer->data, values, (size_t)(fa_meta_numel(&meta) * fa_dtype_size(meta.dtype)));
    }
    set->kept[set->kept_count++] = (fa_kept){.leaf = leaf, .handle = fa_leaf_handle(leaf)};
    *field = set->kept[set->kept_count - 1].handle;
    return *field != NULL;
}

/* Copies the user's struct and keeps its tensors. False after an error. */
static bool copy_user(user_dataset *set, const fa_dataset_args *args)
{
    char *copy = fa_malloc(args->size);
    if (copy == NULL)
        return fa_fail_memory(args->where_, args->size);
    memcpy(copy, args->user, args->size);
    set->user = copy;
    set->copied = true;
    for (int k = 0; k < FA_MAX_KEPT && args->tensors[k] != NULL; k++) {
        const size_t offset = (size_t)((uintptr_t)args->tensors[k] - (uintptr_t)args->user);
        if (args->size < sizeof(fa_tensor *) || offset > args->size - sizeof(fa_tensor *))
            return fa_fail(FA_VALUE_ERROR, args->where_, "fa_dataset_new",
                           "got for .tensors something that is no field of the struct. Hint: fa_dataset_new(&self, "
                           ".size = sizeof self, .tensors = {&self.images, &self.labels}).");
        if (!keep_tensor(set, (fa_tensor **)(void *)(copy + offset), args->where_))
            return false;
    }
    return true;
}

fa_dataset *fa_dataset_new_at(const fa_dataset_args *args)
{
    static const fa_dataset_kind kind = {.length = user_length,
                                         .prepare = user_prepare,
                                         .fetch = user_fetch,
                                         .destroy = user_destroy,
                                         .name = user_name};
    static const char *const call = "fa_dataset_new";
    fa_begin(args->where_);
    user_dataset *set = NULL;
    if (args->item == NULL || (args->length == NULL && args->count < 0))
        fa_fail(FA_VALUE_ERROR, args->where_, call, "got no %s, needs .item, and .length or .count.",
                args->item == NULL ? "item callback" : "number of items");
    else if (args->length != NULL && args->count > 0)
        fa_fail(FA_VALUE_ERROR, args->where_, call, "got .length and .count, needs one of them.");
    else if (args->tensors[0] != NULL && (args->size == 0 || args->user == NULL))
        fa_fail(FA_VALUE_ERROR, args->where_, call,
                "got .tensors without the struct that they are fields of. Hint: fa_dataset_new(&self, .size = sizeof "
                "self, ...).");
    else if ((set = fa_calloc(1, sizeof *set)) == NULL)
        fa_fail_memory(args->where_, sizeof *set);
    if (set == NULL) {
        if (args->destroy != NULL)
            args->destroy(args->user);
        return NULL;
    }
    set->user = args->user;
    set->count = args->count;
    set->length = args->length;
    set->item = args->item;
    set->destroy = args->destroy;
    set->name = args->name;
    if (args->size > 0 && args->user != NULL && !copy_user(set, args)) {
        user_destroy(set);
        return NULL;
    }
    return fa_dataset_make(&kind, set, args->draws, args->where_);
}
