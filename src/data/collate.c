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
    batch->ahead = false;
    batch->late = NULL;
    batch->late_count = batch->late_capacity = 0;
    batch->draws = NULL;
    batch->draw_count = 0;
    for (int f = 0; f < FA_MAX_FIELDS; f++)
        batch->field[f].buffer = NULL;
}

void fa_collate_release(fa_collate *batch)
{
    for (int f = 0; f < FA_MAX_FIELDS; f++) {
        fa_buffer_release(batch->field[f].buffer);
        batch->field[f].buffer = NULL;
    }
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

void *fa_collate_rows(fa_collate *batch, int f, const fa_meta *meta, int64_t index, fa_where where)
{
    if (f >= FA_MAX_FIELDS) {
        fa_fail(FA_DATA_ERROR, where, "data set", "got more than %d fields for item %lld, needs at most %d.",
                FA_MAX_FIELDS, (long long)index, FA_MAX_FIELDS);
        return NULL;
    }
    fa_field *field = &batch->field[f];
    if (field->buffer == NULL) {
        if (batch->filled > 0) {
            fa_fail(FA_DATA_ERROR, where, "data set", "got item %lld with more than %d fields, item %lld has %d.",
                    (long long)index, batch->n, (long long)batch->first_index, batch->n);
            return NULL;
        }
        size_t bytes;
        if (!field_bytes(meta, batch->size, &field->bytes, &bytes)) {
            fa_fail(FA_SHAPE_ERROR, where, "data set", "got item %lld of shape %s, %lld of which do not fit in memory.",
                    (long long)index, fa_dims_text(meta->ndim, meta->shape), (long long)batch->size);
            return NULL;
        }
        field->meta = *meta;
        field->buffer = fa_buffer_new(bytes);
        if (field->buffer == NULL) {
            fa_fail_memory(where, bytes);
            return NULL;
        }
    } else if (!same_meta(&field->meta, meta)) {
        fa_fail(FA_DATA_ERROR, where, "data set",
                "got item %lld with field %d %s %s, item %lld has %s %s; needs one type and shape in a batch. Hint: "
                "resize or crop images to one size, or use batch_size 1.",
                (long long)index, f, fa_dtype_name(meta->dtype), fa_dims_text(meta->ndim, meta->shape),
                (long long)batch->first_index, fa_dtype_name(field->meta.dtype),
                fa_dims_text(field->meta.ndim, field->meta.shape));
        return NULL;
    }
    if (batch->filled == 0 && f == 0)
        batch->first_index = index;
    return (char *)field->buffer->data + (size_t)batch->filled * field->bytes;
}

bool fa_collate_advance(fa_collate *batch, int64_t count, int n, int64_t index, fa_where where)
{
    if (n == 0)
        return fa_fail(FA_DATA_ERROR, where, "data set",
                       "got no field for item %lld, needs at least one. Hint: call fa_sample_put or fa_sample_label in "
                       "the item callback.",
                       (long long)index);
    if (batch->filled == 0)
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
    batch->late[batch->late_count++] = (fa_late){kind, work, out, batch->draw_count};
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

bool fa_collate_finish(fa_collate *batch, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++) {
        const fa_late *late = &batch->late[i];
        if (!late->kind->finish(late->work, batch->draws + late->first_draw, late->out))
            return false;
    }
    return true;
}

/* ---- What an item callback calls --------------------------------------------------------------------------------- */

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
    memcpy(room, data, sample->batch->field[sample->n - 1].bytes);
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
