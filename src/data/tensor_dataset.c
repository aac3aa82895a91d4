/* TensorDataset: item i is (a[i], b[i], ...). */
#include "data/dataset.h"

#include <string.h>

typedef struct column {
    fa_meta item;     /* of one item */
    size_t bytes;     /* of one item */
    fa_leaf *leaf;    /* the user's leaf, or */
    fa_buffer *copy;  /* values of our own */
    const char *data; /* set before each loop */
} column;

typedef struct tensor_dataset {
    int64_t length;
    int n;
    column column[FA_MAX_FIELDS];
} tensor_dataset;

static int64_t tensor_length(void *data)
{
    return ((tensor_dataset *)data)->length;
}

static bool tensor_prepare(void *data)
{
    tensor_dataset *set = data;
    for (int f = 0; f < set->n; f++) {
        column *c = &set->column[f];
        c->data = c->leaf != NULL ? fa_leaf_data(c->leaf) : c->copy->data;
        if (c->data == NULL)
            return false;
    }
    return true;
}

static bool tensor_fetch(void *data, const int64_t *indices, int64_t n, fa_collate *batch)
{
    tensor_dataset *set = data;
    if (n == 0)
        return true;
    for (int f = 0; f < set->n; f++) {
        const column *c = &set->column[f];
        char *rows = fa_collate_rows(batch, f, &c->item, indices[0], batch->where);
        if (rows == NULL)
            return false;
        for (int64_t i = 0; i < n; i++)
            memcpy(rows + (size_t)i * c->bytes, c->data + (size_t)indices[i] * c->bytes, c->bytes);
    }
    return fa_collate_advance(batch, n, set->n, indices[0], batch->where);
}

static void tensor_destroy(void *data)
{
    tensor_dataset *set = data;
    for (int f = 0; f < set->n; f++) {
        fa_leaf_release(set->column[f].leaf);
        fa_buffer_release(set->column[f].copy);
    }
    fa_mfree(set);
}

/* Keeps a leaf in memory of its own; copies anything else. False after an error. */
static bool set_column(column *c, fa_tensor *tensor, const fa_meta *meta, fa_node *node, fa_where where)
{
    c->item = *meta;
    c->item.layout = FA_PLAIN;
    c->item.ndim--;
    memmove(c->item.shape, meta->shape + 1, (size_t)c->item.ndim * sizeof c->item.shape[0]);
    c->item.shape[c->item.ndim] = 0;
    c->bytes = (size_t)(fa_meta_numel(&c->item) * fa_dtype_size(meta->dtype));
    fa_leaf *leaf = fa_handle_leaf(tensor);
    if (leaf != NULL && !leaf->buffer->borrowed) {
        c->leaf = fa_leaf_retain(leaf);
        return true;
    }
    if (!fa_evaluate(node))
        return false;
    const void *values = fa_node_bytes(node);
    size_t bytes = (size_t)(fa_meta_numel(meta) * fa_dtype_size(meta->dtype));
    c->copy = values != NULL ? fa_buffer_new(bytes) : NULL;
    if (c->copy == NULL)
        return values == NULL ? false : fa_fail_memory(where, bytes);
    memcpy(c->copy->data, values, bytes);
    return true;
}

fa_dataset *fa_tensor_dataset_at(int count, fa_tensor *const *tensors, fa_where where)
{
    static const fa_dataset_kind kind = {
        .length = tensor_length, .prepare = tensor_prepare, .fetch = tensor_fetch, .destroy = tensor_destroy};
    static const char *const call = "fa_tensor_dataset";
    fa_begin(where);
    if (count < 1 || count > FA_MAX_FIELDS) {
        fa_fail(FA_VALUE_ERROR, where, call, "got %d tensors, needs 1 to %d.", count, FA_MAX_FIELDS);
        return NULL;
    }
    tensor_dataset *set = fa_calloc(1, sizeof *set);
    if (set == NULL) {
        fa_fail_memory(where, sizeof *set);
        return NULL;
    }
    for (int f = 0; f < count; f++) {
        fa_node *node = fa_use(tensors[f], call, "tensor");
        bool fine = node != NULL;
        fa_meta meta = {0};
        if (fine) {
            meta = node->meta;
            if (meta.ndim == 0)
                fine = fa_fail(FA_SHAPE_ERROR, where, call, "got tensor %d of shape [], needs a first dimension.", f);
            else if (f > 0 && meta.shape[0] != set->length)
                fine = fa_fail(FA_SHAPE_ERROR, where, call,
                               "got %lld items in tensor 0 but %lld in tensor %d, needs one number of items. Hint: "
                               "dimension 0 counts the items.",
                               (long long)set->length, (long long)meta.shape[0], f);
        }
        if (fine) {
            set->length = meta.shape[0];
            set->n = f + 1;
            fine = set_column(&set->column[f], tensors[f], &meta, node, where);
        }
        if (!fine) {
            tensor_destroy(set);
            return NULL;
        }
    }
    return fa_dataset_make(&kind, set, false, where);
}
