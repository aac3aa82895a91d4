/* Handles. A handle is a number in the form of a pointer: generation, thread, slot. It is looked up, never followed, so
 * that a use after its scope, or on another thread, is found out and told. Thread 0 holds the handles of leaves that
 * live outside scopes (parameters, buffers). */
#include "tensor/thread.h"

#include <pthread.h>
#include <string.h>

enum { SLOT_BITS = 20, THREAD_BITS = 12 };

static pthread_rwlock_t leaf_lock = PTHREAD_RWLOCK_INITIALIZER;
static struct {
    fa_slot **chunks;
    uint32_t count, chunk_count, free_slot;
} leaf_table = {.free_slot = UINT32_MAX};

static fa_tensor *encode(uint32_t thread, uint32_t slot, uint32_t generation)
{
    uint64_t bits = (uint64_t)generation << 32 | (uint64_t)thread << SLOT_BITS | slot;
    return (fa_tensor *)(uintptr_t)bits;
}

static uint32_t handle_slot(const fa_tensor *handle)
{
    return (uint32_t)((uintptr_t)handle & ((1u << SLOT_BITS) - 1));
}
static uint32_t handle_thread(const fa_tensor *handle)
{
    return (uint32_t)((uintptr_t)handle >> SLOT_BITS & ((1u << THREAD_BITS) - 1));
}
static uint32_t handle_generation(const fa_tensor *handle)
{
    return (uint32_t)((uintptr_t)handle >> 32);
}

/* A free slot of a table, its generation made odd. UINT32_MAX without memory. */
static uint32_t take_slot(fa_slot ***chunks, uint32_t *count, uint32_t *chunk_count, uint32_t *free_slot)
{
    uint32_t index = *free_slot;
    if (index == UINT32_MAX) {
        if (*count == 1u << SLOT_BITS)
            return UINT32_MAX;
        if (*count == *chunk_count * FA_SLOTS_PER_CHUNK) {
            fa_slot **more = fa_realloc(*chunks, (*chunk_count + 1) * sizeof *more);
            if (more == NULL)
                return UINT32_MAX;
            *chunks = more;
            more[*chunk_count] = fa_calloc(FA_SLOTS_PER_CHUNK, sizeof **more);
            if (more[*chunk_count] == NULL)
                return UINT32_MAX;
            ++*chunk_count;
        }
        index = (*count)++;
    }
    fa_slot *slot = &(*chunks)[index / FA_SLOTS_PER_CHUNK][index % FA_SLOTS_PER_CHUNK];
    if (index == *free_slot)
        *free_slot = slot->next;
    slot->generation++;
    return index;
}

static fa_slot *new_slot(fa_thread *thread, fa_tensor **handle)
{
    uint32_t index =
        take_slot(&thread->slot_chunks, &thread->slot_count, &thread->slot_chunk_count, &thread->free_slot);
    if (index == UINT32_MAX) {
        fa_fail(FA_MEMORY_ERROR, thread->where, "tensor",
                "got more tensors alive at once than handles or memory allow (%u). Hint: put the loop's body into "
                "fa_scope { ... }, which ends the tensors made inside.",
                thread->slot_count);
        return NULL;
    }
    fa_slot *slot = &thread->slot_chunks[index / FA_SLOTS_PER_CHUNK][index % FA_SLOTS_PER_CHUNK];
    *slot = (fa_slot){.generation = slot->generation, .next = thread->scope->first_slot, .scope = thread->scope};
    thread->scope->first_slot = index;
    *handle = encode(thread->id, index, slot->generation);
    return slot;
}

fa_tensor *fa_handle(fa_node *node)
{
    fa_thread *thread = fa_thread_get();
    fa_tensor *handle = NULL;
    if (thread == NULL || node == NULL)
        return NULL;
    fa_slot *slot = new_slot(thread, &handle);
    if (slot == NULL)
        return NULL;
    if (node->op == FA_OP_leaf)
        slot->leaf = fa_leaf_retain(node->leaf);
    else {
        slot->node = node;
        node->handles++;
    }
    return handle;
}

fa_tensor *fa_leaf_handle(fa_leaf *leaf)
{
    pthread_rwlock_wrlock(&leaf_lock);
    if (leaf->handle == NULL) {
        uint32_t index =
            take_slot(&leaf_table.chunks, &leaf_table.count, &leaf_table.chunk_count, &leaf_table.free_slot);
        if (index != UINT32_MAX) {
            fa_slot *slot = &leaf_table.chunks[index / FA_SLOTS_PER_CHUNK][index % FA_SLOTS_PER_CHUNK];
            *slot = (fa_slot){.generation = slot->generation, .leaf = leaf};
            leaf->handle = encode(0, index, slot->generation);
        }
    }
    fa_tensor *handle = leaf->handle;
    pthread_rwlock_unlock(&leaf_lock);
    if (handle == NULL)
        fa_fail_memory(fa_current_where(), sizeof(fa_slot));
    return handle;
}

void fa_leaf_handle_drop(fa_leaf *leaf)
{
    if (leaf->handle == NULL)
        return;
    uint32_t index = handle_slot(leaf->handle);
    pthread_rwlock_wrlock(&leaf_lock);
    fa_slot *slot = &leaf_table.chunks[index / FA_SLOTS_PER_CHUNK][index % FA_SLOTS_PER_CHUNK];
    *slot = (fa_slot){.generation = slot->generation + 1, .next = leaf_table.free_slot};
    leaf_table.free_slot = index;
    pthread_rwlock_unlock(&leaf_lock);
    leaf->handle = NULL;
}

static bool is_current(const fa_slot *slot, const fa_tensor *handle)
{
    return slot->generation == handle_generation(handle) && (slot->generation & 1) != 0;
}

/* A slot of thread 0 is copied out under the lock, since the table may grow meanwhile. */
static _Thread_local fa_slot leaf_slot;

static fa_slot *find_slot(fa_thread *thread, const fa_tensor *handle)
{
    uint32_t index = handle_slot(handle);
    if (handle_thread(handle) == 0) {
        bool found = false;
        pthread_rwlock_rdlock(&leaf_lock);
        if (index < leaf_table.count) {
            leaf_slot = leaf_table.chunks[index / FA_SLOTS_PER_CHUNK][index % FA_SLOTS_PER_CHUNK];
            found = is_current(&leaf_slot, handle);
        }
        pthread_rwlock_unlock(&leaf_lock);
        return found ? &leaf_slot : NULL;
    }
    if (handle_thread(handle) != thread->id || index >= thread->slot_count)
        return NULL;
    fa_slot *slot = &thread->slot_chunks[index / FA_SLOTS_PER_CHUNK][index % FA_SLOTS_PER_CHUNK];
    return is_current(slot, handle) ? slot : NULL;
}

fa_slot *fa_slot_of(fa_thread *thread, const fa_tensor *handle, const char *what, const char *name)
{
    if (handle == NULL) {
        if (fa_ok())
            fa_fail(FA_VALUE_ERROR, thread->where, what,
                    "got NULL for %s, needs a tensor. Hint: fa_grad gives NULL for a tensor without a gradient; an "
                    "optional argument is left out, not passed as NULL.",
                    name);
        return NULL;
    }
    fa_slot *slot = find_slot(thread, handle);
    if (slot != NULL)
        return slot;
    uint32_t owner = handle_thread(handle);
    if (owner != 0 && owner != thread->id)
        fa_fail(FA_STATE_ERROR, thread->where, what,
                "got, for %s, a tensor of another thread; a tensor belongs to the thread that made it. Hint: pass the "
                "values (fa_data), or make the tensor here; parameters may be shared for evaluation.",
                name);
    else
        fa_fail(
            FA_STATE_ERROR, thread->where, what,
            "got, for %s, a tensor whose scope has ended (or one that was freed). Hint: call fa_keep(tensor) inside "
            "the scope to hand it to the enclosing one, or read its value before the scope ends.",
            name);
    return NULL;
}

/* From now on the slot names `node`. */
static void set_slot_node(fa_thread *thread, fa_slot *slot, fa_node *node)
{
    if (slot->node != NULL)
        slot->node->handles--;
    slot->node = node;
    node->handles++;
    thread->carries |= slot->scope != node->scope;
}

/* ---- Views ---------------------------------------------------------------------------------------------------------
 */

fa_tensor *fa_handle_view(fa_node *node, const fa_tensor *base)
{
    fa_tensor *handle = fa_handle(node);
    fa_thread *thread = fa_thread_get();
    if (handle == NULL || node->op == FA_OP_leaf)
        return handle;
    fa_slot *base_slot = fa_slot_of(thread, base, fa_op_table[node->op]->name, "the base of a view");
    if (base_slot == NULL)
        return NULL;
    fa_node *base_node = base_slot->node;
    fa_leaf *base_leaf = base_slot->leaf;
    fa_slot *slot = find_slot(thread, handle);
    slot->base = base;
    slot->view = node;
    slot->base_node = base_node;
    if (base_leaf != NULL) {
        slot->base_leaf = fa_leaf_retain(base_leaf);
        slot->base_version = base_leaf->recorded_version;
    }
    return handle;
}

/* Whether what the view looks at has been written since the view's node was recorded, or the base names another thing
 * now: a computed value that became a leaf as it was carried out of its scope, or a leaf that was given a history. */
static bool view_is_stale(fa_thread *thread, const fa_slot *slot)
{
    if (slot->node == NULL)
        return true;
    const fa_slot *base = find_slot(thread, slot->base);
    if (base != NULL && base->leaf != slot->base_leaf)
        return true;
    if (slot->base_leaf != NULL)
        return slot->base_leaf->recorded_version != slot->base_version;
    return base != NULL && (base->node != slot->base_node || (base->base != NULL && view_is_stale(thread, base)));
}

static fa_node *slot_node(fa_thread *thread, fa_slot *slot, const char *what, const char *name);

/* Takes the same view of what the base is now. */
static fa_node *take_again(fa_thread *thread, fa_slot *slot, const char *what, const char *name)
{
    const fa_node *view = slot->view;
    fa_slot *base_slot = find_slot(thread, slot->base);
    fa_leaf *leaf = base_slot != NULL ? base_slot->leaf : slot->base_leaf;
    if (leaf != slot->base_leaf) {
        fa_leaf *old = slot->base_leaf;
        slot->base_leaf = leaf != NULL ? fa_leaf_retain(leaf) : NULL;
        fa_leaf_release(old);
    }
    fa_node *base = NULL;
    if (leaf != NULL)
        base = fa_leaf_node(leaf);
    else if (base_slot != NULL)
        base = slot_node(thread, base_slot, what, name);
    else
        fa_fail(
            FA_STATE_ERROR, thread->where, what,
            "got, for %s, a view whose base has ended with its scope. Hint: call fa_keep on the view or on its base.",
            name);
    if (base == NULL)
        return NULL;
    fa_node *node = fa_record((fa_op)view->op, 1, &base, view->ints, (size_t)view->n_ints * sizeof(int64_t), NULL, 0);
    if (node == NULL)
        return NULL;
    node->noncontiguous = view->noncontiguous;
    node->detached = view->detached;
    node->requires_grad = node->requires_grad && !view->detached;
    set_slot_node(thread, slot, node);
    slot->base_node = base_slot != NULL ? base_slot->node : NULL;
    if (slot->base_leaf != NULL)
        slot->base_version = slot->base_leaf->recorded_version;
    return node;
}

static fa_node *slot_node(fa_thread *thread, fa_slot *slot, const char *what, const char *name)
{
    if (slot->leaf != NULL)
        return fa_leaf_node(slot->leaf);
    if (slot->base == NULL || !view_is_stale(thread, slot))
        return slot->node;
    /* With the history that it was made with, whoever looks at it first. */
    const fa_node *base = slot->view->in[0];
    const bool no_grad = thread->no_grad,
               had_history = base->op == FA_OP_leaf ? base->leaf->requires_grad : base->requires_grad;
    thread->no_grad = had_history && !slot->view->requires_grad && !slot->view->detached;
    fa_node *node = take_again(thread, slot, what, name);
    thread->no_grad = no_grad;
    return node;
}

fa_node *fa_use(const fa_tensor *handle, const char *what, const char *name)
{
    fa_thread *thread = fa_thread_get();
    if (thread == NULL)
        return NULL;
    fa_slot *slot = fa_slot_of(thread, handle, what, name);
    return slot != NULL ? slot_node(thread, slot, what, name) : NULL;
}

fa_leaf *fa_handle_leaf(const fa_tensor *handle)
{
    fa_thread *thread = fa_thread_get();
    fa_slot *slot = thread != NULL ? fa_slot_of(thread, handle, "tensor", "the tensor") : NULL;
    return slot != NULL ? slot->leaf : NULL;
}

/* ---- Writing through a handle --------------------------------------------------------------------------------------
 */

/* The base's value with `value` in the place that the view `view` shows. NULL after an error. */
static fa_node *write_back(fa_node *base, const fa_node *view, fa_node *value, const char *what)
{
    switch (view->op) {
    case FA_OP_reshape: {
        int64_t ints[1 + FA_MAX_DIMS] = {base->meta.ndim};
        memcpy(ints + 1, base->meta.shape, sizeof base->meta.shape);
        return fa_record(FA_OP_reshape, 1, &value, ints, sizeof ints, NULL, 0);
    }
    case FA_OP_permute: {
        int64_t ints[FA_MAX_DIMS] = {0};
        for (int d = 0; d < view->meta.ndim; d++)
            ints[view->ints[d]] = d;
        return fa_record(FA_OP_permute, 1, &value, ints, sizeof ints, NULL, 0);
    }
    case FA_OP_slice: {
        fa_node *in[2] = {base, value};
        return fa_record(FA_OP_slice_write, 2, in, view->ints, (size_t)view->n_ints * sizeof(int64_t), NULL, 0);
    }
    default:
        fa_refuse(FA_VALUE_ERROR, what,
                  "got a view that repeats elements (expand): writing to one would write to several. Hint: call "
                  "fa_contiguous(x) first and write to the copy.");
        return NULL;
    }
}

/* A write outside autograd changes the value of a computed tensor, not where its gradient goes. */
static fa_node *keep_history(fa_thread *thread, fa_node *old, fa_node *value)
{
    if (!thread->no_grad || old == NULL || !old->requires_grad)
        return value;
    const int64_t ints[1] = {FA_REPLACE_VALUE};
    fa_node *in[2] = {old, value};
    thread->no_grad = false;
    fa_node *node = fa_record(FA_OP_replace, 2, in, ints, sizeof ints, NULL, 0);
    thread->no_grad = true;
    return node;
}

static bool assign_slot(fa_thread *thread, fa_slot *slot, const fa_tensor *handle, fa_node *value, const char *what)
{
    if (slot->leaf != NULL) {
        if (slot->leaf->requires_grad && !thread->no_grad)
            return fa_refuse(
                FA_STATE_ERROR, what,
                "got a leaf that requires gradients%s%s%s, needs fa_no_grad for a change in place, which would "
                "break them. Hint: wrap it in fa_no_grad { ... }.",
                slot->leaf->name != NULL ? " (" : "", slot->leaf->name != NULL ? slot->leaf->name : "",
                slot->leaf->name != NULL ? ")" : "");
        if (value->requires_grad && handle_thread(handle) != 0) {
            /* From here on the handle names a computed value with history. */
            fa_leaf_release(slot->leaf);
            slot->leaf = NULL;
            set_slot_node(thread, slot, value);
            return true;
        }
        fa_node *in[2] = {fa_leaf_node(slot->leaf), value};
        return in[0] != NULL && fa_record_effect(FA_OP_assign, 2, in, NULL, 0, NULL, 0);
    }
    if (slot->base != NULL) {
        const fa_node *view = slot->view;
        const fa_tensor *base_handle = slot->base;
        fa_node *base = fa_use(base_handle, what, "the base of a view");
        if (base == NULL)
            return false;
        if (view->detached && value->requires_grad && !thread->no_grad)
            return fa_refuse(FA_STATE_ERROR, what,
                             "got a value with history to write through a detached view, where it would be lost. Hint: "
                             "fa_detach the value, or write to a copy: fa_clone(fa_detach(x)).");
        /* What is written through a detached view is no part of the history. */
        const bool no_grad = thread->no_grad;
        thread->no_grad = no_grad || (base->requires_grad && view->detached);
        fa_node *written = write_back(base, view, value, what);
        fa_slot *base_slot = written != NULL ? fa_slot_of(thread, base_handle, what, "the base of a view") : NULL;
        const bool ok = base_slot != NULL && assign_slot(thread, base_slot, base_handle, written, what);
        thread->no_grad = no_grad;
        return ok;
    }
    value = keep_history(thread, slot->node, value);
    if (value == NULL)
        return false;
    set_slot_node(thread, slot, value);
    return true;
}

fa_tensor *fa_assign_handle(fa_tensor *handle, fa_node *value, const char *what)
{
    fa_thread *thread = fa_thread_get();
    fa_slot *slot = thread != NULL && value != NULL ? fa_slot_of(thread, handle, what, "the tensor") : NULL;
    if (slot == NULL)
        return NULL;
    fa_node *old = slot_node(thread, slot, what, "the tensor");
    if (old == NULL)
        return NULL;
    bool same = old->meta.ndim == value->meta.ndim && old->meta.dtype == value->meta.dtype;
    for (int d = 0; same && d < old->meta.ndim; d++)
        same = old->meta.shape[d] == value->meta.shape[d];
    if (!same) {
        fa_refuse(FA_SHAPE_ERROR, what,
                  "got a result of %s %s for a tensor of %s %s: an in-place op keeps shape and type. Hint: assign the "
                  "result of the op to a new tensor instead.",
                  fa_dtype_name(value->meta.dtype), fa_shape_text(&value->meta), fa_dtype_name(old->meta.dtype),
                  fa_shape_text(&old->meta));
        return NULL;
    }
    /* The slot of a leaf outside scopes is a copy: what assign_slot changes in it is never the leaf itself. */
    slot = fa_slot_of(thread, handle, what, "the tensor");
    fa_slot copy;
    if (handle_thread(handle) == 0) {
        copy = *slot;
        slot = &copy;
    }
    return assign_slot(thread, slot, handle, value, what) ? handle : NULL;
}

fa_tensor *fa_keep_at(fa_tensor *tensor, fa_where where)
{
    fa_begin(where);
    fa_thread *thread = fa_thread_get();
    fa_node *node = fa_use(tensor, "keep", "the tensor");
    if (node == NULL || handle_thread(tensor) == 0)
        return node != NULL ? tensor : NULL;
    fa_slot *slot = fa_slot_of(thread, tensor, "keep", "the tensor");
    fa_scope_frame *from = slot->scope;
    if (slot->leaf == NULL) {
        if (!fa_evaluate(node))
            return NULL;
        fa_meta meta = node->meta;
        meta.layout = FA_PLAIN;
        fa_leaf *leaf = fa_leaf_new(&meta);
        if (leaf == NULL)
            return NULL;
        memcpy(leaf->buffer->data, fa_node_bytes(node), leaf->buffer->bytes);
        slot->node->handles--;
        if (slot->base_leaf != NULL)
            fa_leaf_release(slot->base_leaf);
        slot->node = NULL;
        slot->base = NULL;
        slot->base_leaf = NULL;
        slot->leaf = leaf;
    }
    if (from->parent == NULL)
        return tensor;
    uint32_t index = handle_slot(tensor), *link = &from->first_slot;
    while (*link != index)
        link = &thread->slot_chunks[*link / FA_SLOTS_PER_CHUNK][*link % FA_SLOTS_PER_CHUNK].next;
    *link = slot->next;
    slot->scope = from->parent;
    slot->next = from->parent->first_slot;
    from->parent->first_slot = index;
    return tensor;
}
