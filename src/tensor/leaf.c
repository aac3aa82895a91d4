/* Leaves: memory that outlives scopes and can be written. */
#include "tensor/thread.h"

#include <pthread.h>
#include <string.h>

/* Leaf objects come and go with each batch, so released ones are kept for reuse. */
static pthread_mutex_t free_mutex = PTHREAD_MUTEX_INITIALIZER;
static fa_leaf *free_leaves;

static fa_leaf *take_leaf(void)
{
    pthread_mutex_lock(&free_mutex);
    fa_leaf *leaf = free_leaves;
    if (leaf != NULL)
        free_leaves = leaf->grad;
    pthread_mutex_unlock(&free_mutex);
    return leaf != NULL ? leaf : fa_malloc(sizeof *leaf);
}

static void give_leaf(fa_leaf *leaf)
{
    pthread_mutex_lock(&free_mutex);
    leaf->grad = free_leaves;
    free_leaves = leaf;
    pthread_mutex_unlock(&free_mutex);
}

fa_leaf *fa_leaf_of_buffer(const fa_meta *meta, fa_buffer *buffer)
{
    fa_leaf *leaf = take_leaf();
    if (leaf == NULL) {
        fa_buffer_release(buffer);
        fa_fail_memory(fa_current_where(), sizeof *leaf);
        return NULL;
    }
    memset(leaf, 0, sizeof *leaf);
    atomic_init(&leaf->refs, 1);
    atomic_init(&leaf->init_done, true);
    leaf->meta = *meta;
    leaf->meta.layout = FA_PLAIN;
    leaf->buffer = buffer;
    leaf->changed = fa_current_where();
    return leaf;
}

fa_leaf *fa_leaf_new(const fa_meta *meta)
{
    size_t bytes = (size_t)fa_dtype_size(meta->dtype);
    for (int d = 0; d < meta->ndim; d++)
        if (meta->shape[d] < 0 || !fa_mul_size(bytes, (size_t)meta->shape[d], &bytes)) {
            fa_refuse(FA_SHAPE_ERROR, "tensor", "got shape %s, whose size does not fit.", fa_shape_text(meta));
            return NULL;
        }
    fa_buffer *buffer = fa_buffer_new(bytes);
    if (buffer == NULL) {
        fa_fail_memory(fa_current_where(), bytes);
        return NULL;
    }
    return fa_leaf_of_buffer(meta, buffer);
}

fa_leaf *fa_leaf_retain(fa_leaf *leaf)
{
    atomic_fetch_add_explicit(&leaf->refs, 1, memory_order_relaxed);
    return leaf;
}

void fa_leaf_release(fa_leaf *leaf)
{
    if (leaf == NULL || atomic_fetch_sub_explicit(&leaf->refs, 1, memory_order_acq_rel) != 1)
        return;
    fa_leaf_handle_drop(leaf);
    if (leaf->grad != NULL) {
        leaf->grad->grad_of = NULL;
        fa_leaf_release(leaf->grad);
    }
    if (leaf->hooks != NULL)
        fa_leaf_hooks_free(leaf);
    fa_buffer_release(leaf->buffer);
    fa_mfree(leaf->name);
    give_leaf(leaf);
}

const void *fa_leaf_data(fa_leaf *leaf)
{
    if (!leaf->init_done)
        fa_generator_run_init_hook();
    if (leaf->writer != NULL && !fa_flush())
        return NULL;
    return leaf->buffer->data;
}

void *fa_leaf_data_mut(fa_leaf *leaf, fa_where where)
{
    if (!leaf->init_done)
        fa_generator_run_init_hook();
    if (!fa_flush())
        return NULL;
    leaf->version++;
    leaf->recorded_version = leaf->version;
    leaf->changed = where;
    return leaf->buffer->data;
}
