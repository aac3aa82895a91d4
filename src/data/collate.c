/* The default collate: fields of items stacked straight into the memory of the batch.
 *
 * batch[i, ...] = item i; a number becomes an int64 or float64 element. All items must agree. */
#include "data/dataset.h"

#include <string.h>

void fa_collate_begin(fa_collate *batch, int64_t size, fa_where where, const atomic_bool *cancel)
{
    batch->where = where;
    batch->n = 0;
    batch->size = size;
    batch->filled = 0;
    batch->first_index = 0;
    batch->cancel = cancel;
    batch->worker = NULL;
    batch->loose = NULL;
    batch->skip = batch->misfit = false;
    batch->place = 0;
    batch->bad = NULL;
    batch->bad_count = batch->bad_capacity = 0;
    batch->ahead = false;
    batch->late = NULL;
    batch->late_count = batch->late_capacity = 0;
    batch->draws = NULL;
    batch->draw_count = 0;
    for (int f = 0; f < FA_MAX_FIELDS; f++)
        batch->field[f].buffer = NULL;
}

bool fa_collate_keep_loose(fa_collate *batch)
{
    size_t bytes;
    batch->loose =
        fa_mul_size((size_t)batch->size, sizeof *batch->loose, &bytes) ? fa_calloc(1, bytes > 0 ? bytes : 1) : NULL;
    return batch->loose != NULL || fa_fail_memory(batch->where, (size_t)batch->size * sizeof *batch->loose);
}

static void release_fields(fa_field field[FA_MAX_FIELDS])
{
    for (int f = 0; f < FA_MAX_FIELDS; f++) {
        fa_buffer_release(field[f].buffer);
        field[f].buffer = NULL;
    }
}

void fa_collate_release(fa_collate *batch)
{
    release_fields(batch->field);
    for (int64_t i = 0; batch->loose != NULL && i < batch->size; i++)
        release_fields(batch->loose[i].field);
    fa_mfree(batch->loose);
    batch->loose = NULL;
    for (int64_t i = 0; i < batch->bad_count; i++)
        fa_mfree(batch->bad[i].message);
    fa_mfree(batch->bad);
    batch->bad = NULL;
    batch->bad_count = batch->bad_capacity = 0;
    batch->n = 0;
    batch->filled = 0;
    for (int64_t i = 0; i < batch->late_count; i++)
        batch->late[i].kind->destroy(batch->late[i].work);
    fa_mfree(batch->late);
    fa_mfree(batch->draws);
    batch->late = NULL;
    batch->draws = NULL;
    batch->late_count = batch->late_capacity = batch->draw_count = 0;
}

static bool same_meta(const fa_meta *a, const fa_meta *b)
{
    return a->dtype == b->dtype && a->ndim == b->ndim &&
           memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof a->shape[0]) == 0;
}

static bool field_bytes(const fa_meta *meta, int64_t size, size_t *item, size_t *all)
{
    *item = (size_t)fa_dtype_size(meta->dtype);
    for (int d = 0; d < meta->ndim; d++)
        if (!fa_mul_size(*item, (size_t)meta->shape[d], item))
            return false;
    return fa_mul_size(*item, (size_t)size, all);
}

/* The field of the next item, and the number of items that its buffer is for. */
static fa_field *next_field(fa_collate *batch, int f, int64_t *items)
{
    *items = batch->loose != NULL ? 1 : batch->size;
    return batch->loose != NULL ? &batch->loose[batch->filled].field[f] : &batch->field[f];
}

/* A buffer for `items` of a form; false after an error. */
static bool open_field(fa_field *field, int64_t items, const fa_meta *meta, int64_t index, fa_where where)
{
    size_t bytes;
    if (!field_bytes(meta, items, &field->bytes, &bytes))
        return fa_fail(FA_SHAPE_ERROR, where, "data set",
                       "got item %lld of shape %s, %lld of which do not fit in memory.", (long long)index,
                       fa_dims_text(meta->ndim, meta->shape), (long long)items);
    field->meta = *meta;
    field->buffer = fa_buffer_new(bytes);
    return field->buffer != NULL || fa_fail_memory(where, bytes);
}

void *fa_collate_rows(fa_collate *batch, int f, const fa_meta *meta, int64_t index, fa_where where)
{
    if (f >= FA_MAX_FIELDS) {
        batch->misfit = true;
        fa_fail(FA_DATA_ERROR, where, "data set", "got more than %d fields for item %lld, needs at most %d.",
                FA_MAX_FIELDS, (long long)index, FA_MAX_FIELDS);
        return NULL;
    }
    int64_t items;
    fa_field *field = next_field(batch, f, &items);
    if (field->buffer == NULL) {
        if (batch->filled > 0 && batch->loose == NULL) {
            batch->misfit = true;
            fa_fail(FA_DATA_ERROR, where, "data set", "got item %lld with more than %d fields, item %lld has %d.",
                    (long long)index, batch->n, (long long)batch->first_index, batch->n);
            return NULL;
        }
        if (!open_field(field, items, meta, index, where))
            return NULL;
    } else if (!same_meta(&field->meta, meta)) {
        batch->misfit = true;
        fa_fail(FA_DATA_ERROR, where, "data set",
                "got item %lld with field %d %s %s, item %lld has %s %s; needs one type and shape in a batch. Hint: "
                "resize or crop images to one size, use batch_size 1, or give the loader a .collate.",
                (long long)index, f, fa_dtype_name(meta->dtype), fa_dims_text(meta->ndim, meta->shape),
                (long long)batch->first_index, fa_dtype_name(field->meta.dtype),
                fa_dims_text(field->meta.ndim, field->meta.shape));
        return NULL;
    }
    if (batch->filled == 0 && f == 0)
        batch->first_index = index;
    return (char *)field->buffer->data + (batch->loose != NULL ? 0 : (size_t)batch->filled * field->bytes);
}

bool fa_collate_advance(fa_collate *batch, int64_t count, int n, int64_t index, fa_where where)
{
    batch->misfit = n == 0 || (batch->loose == NULL && batch->filled > 0 && batch->n != n);
    if (n == 0)
        return fa_fail(FA_DATA_ERROR, where, "data set",
                       "got no field for item %lld, needs at least one. Hint: call fa_sample_put or fa_sample_label in "
                       "the item callback.",
                       (long long)index);
    if (batch->loose != NULL) {
        batch->loose[batch->filled].n = n;
        batch->loose[batch->filled].index = index;
    } else if (batch->filled == 0)
        batch->n = n;
    else if (batch->n != n)
        return fa_fail(FA_DATA_ERROR, where, "data set", "got item %lld with %d fields, item %lld has %d.",
                       (long long)index, n, (long long)batch->first_index, batch->n);
    batch->filled += count;
    return true;
}

bool fa_collate_tensors(fa_collate *batch, bool batched, fa_batch *out)
{
    for (int f = 0; f < batch->n; f++) {
        fa_field *field = &batch->field[f];
        fa_meta meta = field->meta;
        if (batched) {
            meta.ndim++;
            memmove(meta.shape + 1, field->meta.shape, (size_t)field->meta.ndim * sizeof meta.shape[0]);
            meta.shape[0] = batch->filled;
        }
        fa_leaf *leaf = fa_leaf_of_buffer(&meta, field->buffer);
        field->buffer = NULL;
        if (leaf == NULL)
            return false;
        fa_node *node = fa_leaf_node(leaf);
        fa_leaf_release(leaf);
        out->item[f] = fa_handle(node);
        if (out->item[f] == NULL)
            return false;
    }
    out->n = batch->n;
    out->size = batch->filled;
    return true;
}

/* ---- Fields that wait for random numbers ------------------------------------------------------------------------- */

bool fa_collate_defer(fa_collate *batch, const fa_late_kind *kind, void *work, int draws, void *out)
{
    if (batch->late_count == batch->late_capacity) {
        int64_t capacity = batch->late_capacity > 0 ? 2 * batch->late_capacity : batch->size;
        size_t bytes;
        fa_late *late = fa_mul_size((size_t)capacity, sizeof *late, &bytes) ? fa_realloc(batch->late, bytes) : NULL;
        if (late == NULL) {
            kind->destroy(work);
            return fa_fail_memory(batch->where, (size_t)capacity * sizeof *late);
        }
        batch->late = late;
        batch->late_capacity = capacity;
    }
    batch->late[batch->late_count++] = (fa_late){kind, work, out, batch->draw_count, batch->place, batch->filled};
    batch->draw_count += draws;
    return true;
}

bool fa_collate_draw(fa_collate *batch)
{
    size_t bytes;
    batch->draws = fa_mul_size((size_t)batch->draw_count, sizeof(int64_t), &bytes) ? fa_malloc(bytes) : NULL;
    if (batch->draws == NULL)
        return fa_fail_memory(batch->where, (size_t)batch->draw_count * sizeof(int64_t));
    fa_generator *generator = fa_generator_default();
    fa_mt *mt = fa_generator_lock(generator);
    for (int64_t i = 0; i < batch->late_count; i++)
        batch->late[i].kind->draw(batch->late[i].work, mt, batch->draws + batch->late[i].first_draw);
    fa_generator_unlock(generator);
    return true;
}

bool fa_collate_finish(fa_collate *batch, int64_t i)
{
    const fa_late *late = &batch->late[i];
    return late->out == NULL || late->kind->finish(late->work, batch->draws + late->first_draw, late->out);
}

/* ---- Bad items --------------------------------------------------------------------------------------------------- */

void fa_collate_undo(fa_collate *batch, int64_t late)
{
    for (int64_t i = late; i < batch->late_count; i++)
        batch->late[i].out = NULL;
    if (batch->loose != NULL)
        release_fields(batch->loose[batch->filled].field);
    else if (batch->filled == 0)
        release_fields(batch->field); /* the next item fixes the form */
}

void fa_collate_note_bad(fa_collate *batch, int64_t late, const char *message)
{
    if (batch->bad_count == batch->bad_capacity) {
        int64_t capacity = batch->bad_capacity > 0 ? 2 * batch->bad_capacity : 4;
        fa_bad_item *bad = fa_realloc(batch->bad, (size_t)capacity * sizeof *bad);
        if (bad == NULL) {
            fa_fail_memory(batch->where, (size_t)capacity * sizeof *bad);
            return;
        }
        batch->bad = bad;
        batch->bad_capacity = capacity;
    }
    size_t bytes = strlen(message) + 1;
    char *copy = fa_malloc(bytes);
    if (copy != NULL)
        memcpy(copy, message, bytes);
    batch->bad[batch->bad_count++] = (fa_bad_item){.place = late < 0 ? batch->place : batch->late[late].place,
                                                   .row = late < 0 ? -1 : batch->late[late].row,
                                                   .late = late,
                                                   .message = copy};
}

static bool is_bad_row(const fa_collate *batch, int64_t row)
{
    for (int64_t i = 0; i < batch->bad_count; i++)
        if (batch->bad[i].row == row)
            return true;
    return false;
}

/* Late fields fail in any order, and two of one item are one bad item: ordered by place, the first field's kept. */
static void order_bad(fa_collate *batch)
{
    int64_t kept = 0;
    for (int64_t i = 0; i < batch->bad_count; i++) {
        fa_bad_item item = batch->bad[i];
        int64_t at = kept;
        while (at > 0 && batch->bad[at - 1].place > item.place)
            at--;
        fa_bad_item *same = at > 0 && batch->bad[at - 1].place == item.place ? &batch->bad[at - 1] : NULL;
        if (same != NULL) {
            fa_mfree(item.late < same->late ? same->message : item.message);
            *same = item.late < same->late ? item : *same;
            continue;
        }
        memmove(&batch->bad[at + 1], &batch->bad[at], (size_t)(kept - at) * sizeof item);
        batch->bad[at] = item;
        kept++;
    }
    batch->bad_count = kept;
}

void fa_collate_remove_bad(fa_collate *batch)
{
    int64_t to = 0;
    order_bad(batch);
    for (int64_t row = 0; row < batch->filled; row++) {
        if (is_bad_row(batch, row)) {
            if (batch->loose != NULL)
                release_fields(batch->loose[row].field);
            continue;
        }
        if (to < row && batch->loose != NULL) {
            batch->loose[to] = batch->loose[row];
            memset(&batch->loose[row], 0, sizeof batch->loose[row]);
        }
        for (int f = 0; to < row && batch->loose == NULL && f < batch->n; f++) {
            const fa_field *field = &batch->field[f];
            char *rows = field->buffer->data;
            memcpy(rows + (size_t)to * field->bytes, rows + (size_t)row * field->bytes, field->bytes);
        }
        to++;
    }
    batch->filled = to;
}

/* ---- What an item callback calls --------------------------------------------------------------------------------- */

void *fa_sample_worker(const fa_sample *sample)
{
    return sample->batch->worker;
}

void *fa_sample_room_at(fa_sample *sample, fa_dtype dtype, fa_shape shape, fa_where where)
{
    if ((int)dtype < 0 || (int)dtype >= FA_DT_COUNT) {
        fa_fail(FA_DTYPE_ERROR, where, "fa_sample_put", "got dtype %d, needs one of fa_dtype.", (int)dtype);
        return NULL;
    }
    if (shape.ndim < 0 || shape.ndim >= FA_MAX_DIMS) {
        fa_fail(FA_SHAPE_ERROR, where, "fa_sample_put", "got %d dimensions, needs 0 to %d.", shape.ndim,
                FA_MAX_DIMS - 1);
        return NULL;
    }
    fa_meta meta = {.dtype = (uint8_t)dtype, .ndim = (uint8_t)shape.ndim};
    for (int d = 0; d < shape.ndim; d++) {
        if (shape.size[d] < 0) {
            fa_fail(FA_SHAPE_ERROR, where, "fa_sample_put", "got shape %s, needs sizes of 0 or more.",
                    fa_dims_text(shape.ndim, shape.size));
            return NULL;
        }
        meta.shape[d] = shape.size[d];
    }
    void *room = fa_collate_rows(sample->batch, sample->n, &meta, sample->index, where);
    if (room != NULL)
        sample->n++;
    return room;
}

bool fa_sample_put_at(fa_sample *sample, fa_dtype dtype, fa_shape shape, const void *data, fa_where where)
{
    if (data == NULL)
        return fa_fail(FA_VALUE_ERROR, where, "fa_sample_put", "got no memory (NULL) for item %lld.",
                       (long long)sample->index);
    void *room = fa_sample_room_at(sample, dtype, shape, where);
    if (room == NULL)
        return false;
    int64_t items;
    memcpy(room, data, next_field(sample->batch, sample->n - 1, &items)->bytes);
    return true;
}

bool fa_sample_label_at(fa_sample *sample, int64_t label, fa_where where)
{
    return fa_sample_put_at(sample, FA_INT64, FA_SCALAR, &label, where);
}

bool fa_sample_number_at(fa_sample *sample, double number, fa_where where)
{
    return fa_sample_put_at(sample, FA_FLOAT64, FA_SCALAR, &number, where);
}
