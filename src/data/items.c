/* What a collate callback sees: the items of a batch whose fields are kept by themselves. */
#include "data/dataset.h"

static const fa_collate *batch_of(const fa_items *items)
{
    return (const fa_collate *)items;
}

int64_t fa_items_count(const fa_items *items)
{
    return batch_of(items)->filled;
}

static bool has_item(const fa_items *items, int64_t i)
{
    return i >= 0 && i < batch_of(items)->filled;
}

int64_t fa_items_index(const fa_items *items, int64_t i)
{
    return has_item(items, i) ? batch_of(items)->loose[i].index : -1;
}

int fa_items_fields(const fa_items *items, int64_t i)
{
    return has_item(items, i) ? batch_of(items)->loose[i].n : 0;
}

fa_item_field fa_items_field_at(const fa_items *items, int64_t i, int f, fa_where where)
{
    const int fields = fa_items_fields(items, i);
    if (f < 0 || f >= fields) {
        if (!has_item(items, i))
            fa_fail(FA_INDEX_ERROR, where, "fa_items_field", "got item %lld, needs 0 to %lld.", (long long)i,
                    (long long)fa_items_count(items) - 1);
        else
            fa_fail(FA_INDEX_ERROR, where, "fa_items_field", "got field %d, needs 0 to %d.", f, fields - 1);
        return (fa_item_field){.data = NULL};
    }
    const fa_field *field = &batch_of(items)->loose[i].field[f];
    fa_shape shape = {.ndim = field->meta.ndim};
    for (int d = 0; d < field->meta.ndim; d++)
        shape.size[d] = field->meta.shape[d];
    return (fa_item_field){(fa_dtype)field->meta.dtype, shape, field->buffer->data};
}
