/* Scopes: a stack of frames a thread. Closing one runs the effects that are still pending, then gives up the handles
 * and nodes made inside. A handle of an outer scope that an in-place op pointed at a node of this one takes its value
 * along. */
#include "tensor/thread.h"

#include <string.h>

static void release_slot(fa_thread *thread, uint32_t index, fa_slot *slot)
{
    if (slot->node != NULL)
        slot->node->handles--;
    if (slot->leaf != NULL)
        fa_leaf_release(slot->leaf);
    if (slot->base_leaf != NULL)
        fa_leaf_release(slot->base_leaf);
    *slot = (fa_slot){.generation = slot->generation + 1, .next = thread->free_slot};
    thread->free_slot = index;
}

static fa_slot *slot_at(fa_thread *thread, uint32_t index)
{
    return &thread->slot_chunks[index / FA_SLOTS_PER_CHUNK][index % FA_SLOTS_PER_CHUNK];
}

/* Handles of enclosing scopes that name a node of `frame`: evaluate, and let them name a leaf instead. */
static void carry_values_out(fa_thread *thread, fa_scope_frame *frame)
{
    for (fa_scope_frame *outer = frame->parent; outer != NULL; outer = outer->parent)
        for (uint32_t i = outer->first_slot; i != UINT32_MAX; i = slot_at(thread, i)->next) {
            fa_slot *slot = slot_at(thread, i);
            if (slot->node == NULL || slot->node->serial == 0 || slot->node->scope != frame)
                continue;
            fa_node *node = slot->node;
            if (slot->base != NULL) { /* a view finds its base again when it is used */
                node->handles--;
                slot->node = NULL;
                continue;
            }
            if (node->requires_grad)
                fa_fail(
                    FA_STATE_ERROR, node->where, fa_op_table[node->op]->name,
                    "a tensor of an outer scope was given a value with history in a scope that ends here (opened at "
                    "%s:%d), and history ends with its scope. Hint: detach the value, or make the tensor inside.",
                    frame->where.file, frame->where.line);
            fa_leaf *leaf = NULL;
            if (fa_evaluate(node)) {
                fa_meta meta = node->meta;
                meta.layout = FA_PLAIN;
                leaf = fa_leaf_new(&meta);
                if (leaf != NULL)
                    memcpy(leaf->buffer->data, fa_node_bytes(node), leaf->buffer->bytes);
            }
            node->handles--;
            slot->node = NULL;
            slot->leaf = leaf;
        }
}

static void release_node(fa_node *node)
{
    if (node->value != NULL)
        fa_buffer_release(node->value);
    if (node->plain != NULL)
        fa_buffer_release(node->plain);
    if (node->leaf != NULL)
        fa_leaf_release(node->leaf);
    if (node->retained != NULL)
        fa_leaf_release(node->retained);
    fa_gradient_hooks_free(node->hooks);
    node->serial = 0;
}

void fa_scope_close(fa_thread *thread, fa_scope_frame *frame)
{
    if (thread->carries)
        carry_values_out(thread, frame);
    thread->carries = thread->carries && frame->parent != NULL && frame->parent->parent != NULL;
    /* The handles go first: what only they wanted need not be computed. */
    for (uint32_t i = frame->first_slot, next; i != UINT32_MAX; i = next) {
        fa_slot *slot = slot_at(thread, i);
        next = slot->next;
        release_slot(thread, i, slot);
    }
    frame->first_slot = UINT32_MAX;
    if (thread->pending_effects > 0)
        fa_flush();
    int64_t left = 0;
    for (int64_t i = 0; i < thread->pending_count; i++) {
        fa_node *node = thread->pending[i];
        if (node->serial <= frame->first_serial)
            thread->pending[left++] = node;
        else if (fa_op_table[node->op]->writes != 0)
            thread->pending_effects--;
    }
    thread->pending_count = left;
    for (int64_t i = frame->first_node; i < thread->node_count; i++)
        release_node(fa_thread_node(thread, i));
    thread->node_count = frame->first_node;
    if (frame->owned != NULL) {
        frame->owned->end(frame->owned);
        frame->owned = NULL;
    }
    if (thread->pending_count == 0)
        fa_forget_draws(thread);
    if (frame->parent != NULL) {
        thread->scope = frame->parent;
        frame->next_free = thread->free_frames;
        thread->free_frames = frame;
    }
}

fa_scope_guard fa_scope_begin_at(fa_where where)
{
    fa_scope_guard guard = {0};
    fa_thread *thread = fa_thread_get();
    if (thread == NULL)
        return guard;
    fa_scope_frame *frame = thread->free_frames;
    if (frame != NULL)
        thread->free_frames = frame->next_free;
    else if ((frame = fa_malloc(sizeof *frame)) == NULL) {
        fa_fail_memory(where, sizeof *frame);
        return guard;
    }
    *frame = (fa_scope_frame){.id = ++thread->next_scope_id,
                              .parent = thread->scope,
                              .first_slot = UINT32_MAX,
                              .first_node = thread->node_count,
                              .first_serial = thread->next_serial,
                              .where = where};
    thread->scope = frame;
    guard.id_ = frame->id;
    return guard;
}

/* Scopes left open above it (by a jump over their ends) close first. */
static void close_down_to(fa_thread *thread, uint64_t id)
{
    while (thread->scope->parent != NULL && thread->scope->id > id)
        fa_scope_close(thread, thread->scope);
}

void fa_scope_end_(fa_scope_guard *guard)
{
    fa_thread *thread = fa_thread_get();
    if (thread == NULL || guard->id_ == 0)
        return;
    close_down_to(thread, guard->id_);
    if (thread->scope->id == guard->id_)
        fa_scope_close(thread, thread->scope);
}

uint64_t fa_scope_mark(void)
{
    fa_thread *thread = fa_thread_get();
    return thread != NULL ? thread->scope->id << 1 | thread->no_grad : 0;
}

void fa_scope_reset(uint64_t mark)
{
    fa_thread *thread = fa_thread_get();
    if (thread == NULL)
        return;
    close_down_to(thread, mark >> 1);
    thread->no_grad = (mark & 1) != 0;
    thread->walking = false;
    thread->differentiable_rules = false;
}
