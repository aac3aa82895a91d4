/* Tensors in values: as they lie in a file's storage, and as leaves once they are asked for. */
#include "base/error.h"
#include "base/mapped.h"
#include "files/value_cell.h"
#include "tensor/thread.h"

#include <pthread.h>
#include <string.h>

/* A leaf that was made from a storage. */
typedef struct issued {
    fa_leaf *leaf;
    int64_t begin, end; /* bytes of the storage that it shares; equal for a copy */
    fa_tensor_view view;
} issued;

struct fa_storage {
    atomic_int refs;
    fa_buffer *buffer;
    char *file;
    pthread_mutex_t lock; /* of `issued` */
    issued *issued;
    int64_t count, capacity;
};

/* ---- Storages -----------------------------------------------------------------------------------------------------
 */

fa_storage *fa_storage_new(fa_buffer *buffer, const char *file, fa_where where)
{
    fa_storage *storage = fa_calloc(1, sizeof *storage);
    char *name = storage != NULL ? fa_strdup(file) : NULL;
    if (name == NULL) {
        fa_mfree(storage);
        fa_buffer_release(buffer);
        fa_fail_memory(where, sizeof *storage);
        return NULL;
    }
    atomic_init(&storage->refs, 1);
    pthread_mutex_init(&storage->lock, NULL);
    storage->buffer = buffer;
    storage->file = name;
    return storage;
}

fa_storage *fa_storage_retain(fa_storage *storage)
{
    atomic_fetch_add_explicit(&storage->refs, 1, memory_order_relaxed);
    return storage;
}

void fa_storage_release(fa_storage *storage)
{
    if (storage == NULL || atomic_fetch_sub_explicit(&storage->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (int64_t i = 0; i < storage->count; i++)
        fa_leaf_release(storage->issued[i].leaf);
    fa_mfree(storage->issued);
    fa_buffer_release(storage->buffer);
    fa_mfree(storage->file);
    pthread_mutex_destroy(&storage->lock);
    fa_mfree(storage);
}

/* ---- Views --------------------------------------------------------------------------------------------------------
 */

/* Fills in elements, contiguous and data; false after an error. */
static bool settle(fa_tensor_view *view, const fa_storage *storage, const char *name, fa_where where)
{
    const char *file = storage->file;
    const int64_t size = fa_stored_types[view->stored].size, room = (int64_t)storage->buffer->bytes / size;
    if (view->ndim < 0 || view->ndim > FA_MAX_DIMS)
        return fa_fail(FA_FILE_ERROR, where, "load", "%s: %s has %d dimensions, at most %d can be read.", file, name,
                       view->ndim, FA_MAX_DIMS);
    if (view->offset < 0)
        return fa_fail(FA_FILE_ERROR, where, "load", "%s: %s has a negative offset, %lld.", file, name,
                       (long long)view->offset);
    view->elements = 1;
    bool overflow = false, empty = false;
    int64_t last = view->offset, step;
    for (int d = 0; d < view->ndim; d++) {
        if (view->size[d] < 0 || view->stride[d] < 0)
            return fa_fail(FA_FILE_ERROR, where, "load", "%s: %s has a negative %s, %lld, in dimension %d.", file, name,
                           view->size[d] < 0 ? "size" : "stride",
                           (long long)(view->size[d] < 0 ? view->size[d] : view->stride[d]), d);
        overflow |= __builtin_mul_overflow(view->elements, view->size[d], &view->elements);
        empty |= view->size[d] == 0;
        overflow |= view->size[d] > 0 && (__builtin_mul_overflow(view->size[d] - 1, view->stride[d], &step) ||
                                          __builtin_add_overflow(last, step, &last));
    }
    overflow |= !empty && view->elements > INT64_MAX / size;
    if (overflow)
        return fa_fail(FA_FILE_ERROR, where, "load", "%s: %s has sizes %s, whose product is beyond 64 bits.", file,
                       name, fa_dims_text(view->ndim, view->size));
    if (empty) /* looks at nothing, wherever it begins */
        view->elements = view->offset = 0;
    if (!empty && last >= room)
        return fa_fail(FA_FILE_ERROR, where, "load",
                       "%s: %s reaches element %lld of a storage of %lld (offset %lld, sizes %s, strides %s).", file,
                       name, (long long)last, (long long)room, (long long)view->offset,
                       fa_dims_text(view->ndim, view->size), fa_dims_text(view->ndim, view->stride));
    view->contiguous = true;
    int64_t expected = 1;
    for (int d = view->ndim - 1; d >= 0 && view->elements > 0; d--) {
        if (view->size[d] != 1 && view->stride[d] != expected)
            view->contiguous = false;
        expected *= view->size[d];
    }
    view->data = (const char *)storage->buffer->data + view->offset * size;
    view->identity = storage;
    view->bytes_stored = (int64_t)storage->buffer->bytes;
    return true;
}

static fa_cell *tensor_cell(fa_where where)
{
    fa_tensor_body *body = fa_calloc(1, sizeof *body);
    fa_cell *cell = body != NULL ? fa_cell_new(FA_VALUE_TENSOR, 0, where) : NULL;
    if (cell == NULL) {
        fa_mfree(body);
        fa_fail_memory(where, sizeof *body);
        return NULL;
    }
    cell->as.tensor = body;
    return cell;
}

void fa_tensor_body_end(fa_tensor_body *body)
{
    fa_leaf_release(body->leaf);
    fa_storage_release(body->storage);
    fa_mfree(body);
}

fa_cell *fa_cell_of_storage(fa_storage *storage, const fa_tensor_view *view, const char *name, fa_where where)
{
    fa_tensor_view settled = *view;
    fa_cell *cell = settle(&settled, storage, name, where) ? tensor_cell(where) : NULL;
    if (cell != NULL) {
        cell->as.tensor->storage = fa_storage_retain(storage);
        cell->as.tensor->view = settled;
    }
    return cell;
}

fa_value *fa_value_of_storage(fa_storage *storage, const fa_tensor_view *view, const char *name, fa_where where)
{
    return fa_cell_to_scope(fa_cell_of_storage(storage, view, name, where), where);
}

fa_value *fa_value_of_leaf(fa_leaf *leaf, fa_where where)
{
    fa_cell *cell = tensor_cell(where);
    if (cell != NULL)
        cell->as.tensor->leaf = fa_leaf_retain(leaf);
    return fa_cell_to_scope(cell, where);
}

fa_value *fa_value_tensor_at(fa_tensor *tensor, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(tensor, "value_tensor", "the tensor");
    if (node == NULL)
        return NULL;
    fa_leaf *leaf = fa_handle_leaf(tensor);
    if (leaf != NULL)
        return fa_value_of_leaf(leaf, where);
    if (!fa_evaluate(node))
        return NULL;
    fa_meta meta = node->meta;
    meta.layout = FA_PLAIN;
    leaf = fa_leaf_new(&meta);
    const void *bytes = leaf != NULL ? fa_node_bytes(node) : NULL;
    fa_value *value = NULL;
    if (bytes != NULL) {
        memcpy(leaf->buffer->data, bytes, leaf->buffer->bytes);
        value = fa_value_of_leaf(leaf, where);
    }
    fa_leaf_release(leaf);
    return value;
}

static void view_of_leaf(fa_tensor_view *view, fa_leaf *leaf, const void *data)
{
    *view = (fa_tensor_view){.stored = (fa_stored)leaf->meta.dtype,
                             .ndim = leaf->meta.ndim,
                             .elements = fa_meta_numel(&leaf->meta),
                             .data = data,
                             .identity = leaf,
                             .contiguous = true,
                             .requires_grad = leaf->requires_grad,
                             .parameter = leaf->parameter};
    view->bytes_stored = view->elements * fa_dtype_size(leaf->meta.dtype);
    int64_t stride = 1;
    for (int d = view->ndim - 1; d >= 0; d--) {
        view->size[d] = leaf->meta.shape[d];
        view->stride[d] = stride;
        stride *= view->size[d];
    }
}

static bool intact(const fa_storage *storage, fa_where where)
{
    return fa_mapped_check(where) &&
           (fa_mapped_intact(storage->buffer) ||
            fa_fail(FA_FILE_ERROR, where, "mmap", "%s became shorter while it was mapped. Hint: load it again.",
                    storage->file));
}

bool fa_value_view(fa_value *tensor, fa_tensor_view *out, fa_where where)
{
    if (!fa_value_check(tensor, FA_VALUE_TENSOR, "tensor", where))
        return false;
    const fa_tensor_body *body = fa_cell_of(tensor)->as.tensor;
    if (body->storage != NULL && !intact(body->storage, where))
        return false;
    /* As long as nobody has written to the leaf, the storage says the same, in the file's own type. */
    if (body->storage != NULL && (body->leaf == NULL || body->leaf->recorded_version == 0)) {
        *out = body->view;
        return true;
    }
    const void *data = fa_leaf_data(body->leaf);
    if (data != NULL)
        view_of_leaf(out, body->leaf, data);
    return data != NULL;
}

/* ---- Copies -------------------------------------------------------------------------------------------------------
 */

/* What reads one element at `from` and writes it at `to`. */
typedef void (*put_element)(void *to, const void *from);
#define MOVE(bits)                                                                                                     \
    static void move_##bits(void *to, const void *from)                                                                \
    {                                                                                                                  \
        memcpy(to, from, bits / 8);                                                                                    \
    }
MOVE(8)
MOVE(16)
MOVE(32)
MOVE(64)
MOVE(128)
#define WIDEN(name, narrow, wide)                                                                                      \
    static void name(void *to, const void *from)                                                                       \
    {                                                                                                                  \
        narrow x;                                                                                                      \
        memcpy(&x, from, sizeof x);                                                                                    \
        const wide y = (wide)x;                                                                                        \
        memcpy(to, &y, sizeof y);                                                                                      \
    }
WIDEN(int8_to_32, int8_t, int32_t)
WIDEN(int16_to_32, int16_t, int32_t)
WIDEN(uint16_to_32, uint16_t, int32_t)
WIDEN(uint32_to_64, uint32_t, int64_t)

static put_element mover(int bytes)
{
    return bytes == 1 ? move_8 : bytes == 2 ? move_16 : bytes == 4 ? move_32 : bytes == 8 ? move_64 : move_128;
}

/* From element number `first` on. */
static void copy_strided(char *to, int to_bytes, const fa_tensor_view *view, int64_t first, int64_t count,
                         put_element put)
{
    const int from_bytes = fa_stored_types[view->stored].size, inner = view->ndim - 1;
    const int64_t row = view->ndim > 0 ? view->size[inner] : 1, stride = view->ndim > 0 ? view->stride[inner] : 0;
    int64_t index[FA_MAX_DIMS] = {0}, at = 0;
    for (int64_t d = inner, rest = first; d >= 0 && count > 0; d--) {
        index[d] = rest % view->size[d];
        rest /= view->size[d];
        at += d < inner ? index[d] * view->stride[d] : 0;
    }
    for (int64_t begin = view->ndim > 0 ? index[inner] : 0; count > 0; begin = 0) {
        const char *from = (const char *)view->data + at * from_bytes;
        const int64_t end = row - begin < count ? row : begin + count;
        for (int64_t i = begin; i < end; i++, to += to_bytes)
            put(to, from + i * stride * from_bytes);
        count -= end - begin;
        for (int d = inner - 1; d >= 0; d--) {
            at += view->stride[d];
            if (++index[d] < view->size[d])
                break;
            at -= view->size[d] * view->stride[d];
            index[d] = 0;
        }
    }
}

void fa_view_copy_part(void *to, const fa_tensor_view *view, int64_t first, int64_t count)
{
    const int bytes = fa_stored_types[view->stored].size;
    if (view->contiguous && count > 0)
        memcpy(to, (const char *)view->data + first * bytes, (size_t)count * (size_t)bytes);
    else
        copy_strided(to, bytes, view, first, count, mover(bytes));
}

void fa_view_copy(void *to, const fa_tensor_view *view)
{
    fa_view_copy_part(to, view, 0, view->elements);
}

/* ---- Leaves -------------------------------------------------------------------------------------------------------
 */

static fa_leaf *copy_out(const fa_tensor_view *view, const fa_meta *meta, const char *file, fa_where where)
{
    fa_leaf *leaf = fa_leaf_new(meta);
    if (leaf == NULL)
        return NULL;
    char *to = leaf->buffer->data;
    switch (view->stored) {
    case FA_STORED_INT8:
        copy_strided(to, 4, view, 0, view->elements, int8_to_32);
        break;
    case FA_STORED_INT16:
        copy_strided(to, 4, view, 0, view->elements, int16_to_32);
        break;
    case FA_STORED_UINT16:
        copy_strided(to, 4, view, 0, view->elements, uint16_to_32);
        break;
    case FA_STORED_UINT32:
        copy_strided(to, 8, view, 0, view->elements, uint32_to_64);
        break;
    default:
        fa_view_copy(to, view);
        break;
    }
    for (int64_t i = 0; view->stored == FA_STORED_UINT64 && i < view->elements; i++)
        if (((const int64_t *)leaf->buffer->data)[i] < 0) {
            fa_fail(FA_DTYPE_ERROR, where, "load",
                    "%s: got a uint64 tensor whose element %lld is %llu, which int64 cannot hold.", file, (long long)i,
                    (unsigned long long)((const uint64_t *)leaf->buffer->data)[i]);
            fa_leaf_release(leaf);
            return NULL;
        }
    if (view->stored == FA_STORED_BOOL) /* any byte but 0 is true, and kernels want 1 */
        for (int64_t i = 0; i < view->elements; i++)
            to[i] = to[i] != 0;
    return leaf;
}

static bool only_zeros_and_ones(const fa_tensor_view *view)
{
    const uint8_t *bytes = view->data;
    uint8_t all = 0;
    for (int64_t i = 0; i < view->elements; i++)
        all |= bytes[i];
    return all <= 1;
}

static bool same_view(const fa_tensor_view *a, const fa_tensor_view *b)
{
    return a->stored == b->stored && a->ndim == b->ndim && a->offset == b->offset &&
           a->requires_grad == b->requires_grad && a->parameter == b->parameter &&
           memcmp(a->size, b->size, (size_t)a->ndim * sizeof *a->size) == 0 &&
           memcmp(a->stride, b->stride, (size_t)a->ndim * sizeof *a->stride) == 0;
}

/* A leaf on the storage's own bytes; NULL without an error when it must have its own. */
static fa_leaf *alias(fa_storage *storage, const fa_tensor_view *view, const fa_meta *meta, int64_t begin, int64_t end)
{
    if (!view->contiguous || fa_stored_types[view->stored].dtype != (int)view->stored || end == begin ||
        (uintptr_t)view->data % fa_stored_types[view->stored].size != 0 ||
        (view->stored == FA_STORED_BOOL && !only_zeros_and_ones(view)))
        return NULL;
    for (int64_t i = 0; i < storage->count; i++)
        if (begin < storage->issued[i].end && storage->issued[i].begin < end)
            return NULL; /* it would change what another tensor does not know to be changed */
    fa_buffer *part = end - begin == (int64_t)storage->buffer->bytes
                          ? fa_buffer_retain(storage->buffer)
                          : fa_buffer_part(storage->buffer, (size_t)begin, (size_t)(end - begin));
    return part != NULL ? fa_leaf_of_buffer(meta, part) : NULL;
}

static bool note_issued(fa_storage *storage, const issued *entry, fa_where where)
{
    if (storage->count == storage->capacity) {
        int64_t capacity = storage->capacity > 0 ? 2 * storage->capacity : 1;
        issued *more = fa_realloc(storage->issued, (size_t)capacity * sizeof *more);
        if (more == NULL)
            return fa_fail_memory(where, (size_t)capacity * sizeof *more);
        storage->issued = more;
        storage->capacity = capacity;
    }
    storage->issued[storage->count++] = *entry;
    fa_leaf_retain(entry->leaf);
    return true;
}

/* With the storage's lock held: the leaf of a view, one reference for the caller. */
static fa_leaf *issue(fa_storage *storage, const fa_tensor_view *view, fa_where where)
{
    for (int64_t i = 0; i < storage->count; i++)
        if (same_view(&storage->issued[i].view, view))
            return fa_leaf_retain(storage->issued[i].leaf);
    const fa_stored_type *type = &fa_stored_types[view->stored];
    fa_meta meta = fa_meta_of(type->dtype, view->ndim, view->size);
    int64_t begin = view->offset * type->size, end = begin + (view->contiguous ? view->elements * type->size : 0);
    fa_leaf *leaf = alias(storage, view, &meta, begin, end);
    if (leaf == NULL) {
        end = begin;
        leaf = copy_out(view, &meta, storage->file, where);
    }
    if (leaf == NULL)
        return NULL;
    leaf->requires_grad = view->requires_grad && (meta.dtype == FA_DT_FLOAT32 || meta.dtype == FA_DT_FLOAT64);
    leaf->parameter = view->parameter;
    issued entry = {.leaf = leaf, .begin = begin, .end = end, .view = *view};
    if (!note_issued(storage, &entry, where)) {
        fa_leaf_release(leaf);
        return NULL;
    }
    return leaf;
}

fa_leaf *fa_value_leaf(fa_value *tensor, fa_where where)
{
    if (!fa_value_check(tensor, FA_VALUE_TENSOR, "tensor", where))
        return NULL;
    fa_tensor_body *body = fa_cell_of(tensor)->as.tensor;
    if (body->storage == NULL)
        return fa_leaf_retain(body->leaf);
    if (!intact(body->storage, where))
        return NULL;
    if (fa_stored_types[body->view.stored].dtype < 0) {
        fa_fail(FA_DTYPE_ERROR, where, "load", "%s: got a tensor of type %s, which there is no computing with here.",
                body->storage->file, fa_stored_types[body->view.stored].name);
        return NULL;
    }
    pthread_mutex_lock(&body->storage->lock);
    if (body->leaf == NULL)
        body->leaf = issue(body->storage, &body->view, where);
    fa_leaf *leaf = body->leaf != NULL ? fa_leaf_retain(body->leaf) : NULL;
    pthread_mutex_unlock(&body->storage->lock);
    return leaf;
}
