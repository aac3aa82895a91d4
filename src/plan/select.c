/* Which pending nodes run, which values survive, and the structure as a key.
 *
 * With effects pending, everything runs: the effects in program order, and every pending value that a handle names
 * (it may be read after the effects have overwritten what it needs). Without, only what the root needs. */
#include "plan/plan.h"

#include "base/precision.h"

#include <string.h>

enum { SMALL_BYTES = 4096, SCORES_BYTES = 1 << 20 };

static bool grow(void *array_pointer, int *capacity, int needed, size_t element)
{
    if (needed <= *capacity)
        return true;
    int larger = *capacity > 0 ? *capacity : 128;
    while (larger < needed)
        larger *= 2;
    void **array = array_pointer;
    void *more = fa_realloc(*array, (size_t)larger * element);
    if (more == NULL)
        return fa_fail_memory(fa_current_where(), (size_t)larger * element);
    *array = more;
    *capacity = larger;
    return true;
}

static bool is_effect(const fa_node *node)
{
    return fa_op_table[node->op]->writes != 0;
}

/* ---- Values that were dropped and are needed again -----------------------------------------------------------------
 */

static bool insert_pending(fa_thread *thread, fa_node *node)
{
    if (thread->pending_count == thread->pending_capacity) {
        int64_t capacity = 2 * thread->pending_capacity + 64;
        fa_node **more = fa_realloc(thread->pending, (size_t)capacity * sizeof(fa_node *));
        if (more == NULL)
            return fa_fail_memory(thread->where, (size_t)capacity * sizeof(fa_node *));
        thread->pending = more;
        thread->pending_capacity = capacity;
    }
    int64_t at = thread->pending_count++;
    for (; at > 0 && thread->pending[at - 1]->serial > node->serial; at--)
        thread->pending[at] = thread->pending[at - 1];
    thread->pending[at] = node;
    return true;
}

/* A leaf is read at the version that was recorded, or not at all. */
static bool check_version(const fa_thread *thread, const fa_node *node, const fa_node *in)
{
    if (in->leaf->version <= in->leaf_version)
        return true;
    return fa_fail(
        FA_STATE_ERROR, thread->where, fa_op_table[node->op]->name,
        "got a read of a value recorded at %s:%d that was not kept and cannot be computed again: %s was changed "
        "at %s:%d. Hint: read it before that line, or call fa_watch on it right after it is recorded.",
        node->where.file, node->where.line, in->leaf->name != NULL ? in->leaf->name : "what it needs",
        in->leaf->changed.file, in->leaf->changed.line);
}

/* The node, and what it needs, is computed again. */
static bool revive(fa_thread *thread, fa_node *node)
{
    for (int i = 0; i < node->n_in; i++) {
        fa_node *in = node->in[i];
        if (in == NULL)
            continue;
        if (in->op == FA_OP_leaf && !check_version(thread, node, in))
            return false;
        if (in->state == FA_DROPPED && !revive(thread, in))
            return false;
    }
    node->state = FA_PENDING;
    return insert_pending(thread, node);
}

/* ---- Selection -----------------------------------------------------------------------------------------------------
 */

/* Marks what runs; *count nodes. *again: a dropped value was taken up, so the list has changed. */
static bool mark_nodes(fa_thread *thread, fa_node *root, bool effects, int *count, bool *again)
{
    uint32_t mark = ++thread->mark;
    *count = 0;
    if (root != NULL) {
        root->mark = mark;
        root->flags = FA_KEEP_HARD;
    }
    for (int64_t k = thread->pending_count - 1; k >= 0; k--) {
        fa_node *node = thread->pending[k];
        if (node->mark != mark) {
            bool sink = effects && node->handles > 0;
            if (!sink && !(effects && is_effect(node)))
                continue;
            node->mark = mark;
            node->flags = sink ? FA_KEEP_HARD | FA_RUN_SINK : 0;
        }
        ++*count;
        for (int i = 0; i < node->n_in; i++) {
            fa_node *in = node->in[i];
            if (in == NULL || in->op == FA_OP_leaf || in->mark == mark)
                continue;
            if (in->state == FA_DROPPED) {
                *again = true;
                return revive(thread, in);
            }
            if (in->state == FA_FAILED)
                return fa_fail(FA_STATE_ERROR, thread->where, fa_op_table[node->op]->name,
                               "needs a value recorded at %s:%d that was given up when a step failed. Hint: record it "
                               "again after fa_clear_error().",
                               in->where.file, in->where.line);
            if (in->state == FA_PENDING) {
                in->mark = mark;
                in->flags = 0;
            }
        }
    }
    return true;
}

static bool select_nodes(fa_thread *thread, fa_run *run, fa_node *root, bool effects)
{
    int count;
    bool again;
    do {
        again = false;
        if (!mark_nodes(thread, root, effects, &count, &again))
            return false;
    } while (again);
    if (!grow(&run->nodes, &run->node_capacity, count, sizeof(fa_node *)))
        return false;
    const uint32_t mark = thread->mark;
    run->n_nodes = 0;
    for (int64_t k = 0; k < thread->pending_count; k++) {
        fa_node *node = thread->pending[k];
        if (node->mark == mark) {
            node->index = (uint32_t)run->n_nodes;
            run->nodes[run->n_nodes++] = node;
            continue;
        }
        for (int i = 0; i < node->n_in; i++)
            if (node->in[i] != NULL && node->in[i]->mark == mark && node->in[i]->op != FA_OP_leaf)
                node->in[i]->flags |= FA_KEEP_HARD;
    }
    return true;
}

/* Interior values are computed again when they are asked for; where effects run that may be too late, so what a handle
 * names survives then, but for the values of a graph that backward went through: those are given up, as its step is. */
static void mark_survivors(fa_run *run, bool effects)
{
    for (int r = 0; r < run->n_nodes; r++) {
        fa_node *node = run->nodes[r];
        if (is_effect(node))
            continue;
        int64_t bytes = fa_meta_numel(&node->meta) * fa_dtype_size(node->meta.dtype);
        bool small =
            bytes <= SMALL_BYTES || (node->meta.ndim <= 2 && bytes <= SCORES_BYTES && !fa_op_table[node->op]->alias);
        if (node->watched)
            node->flags |= FA_KEEP_HARD;
        if ((node->requires_grad && !node->consumed) ||
            (node->handles > 0 && (small || (effects && !node->requires_grad))))
            node->flags |= FA_KEEP_SOFT;
    }
}

/* ---- Key -----------------------------------------------------------------------------------------------------------
 */

static int external_number(fa_run *run, fa_node *node)
{
    const void *identity = node->op == FA_OP_leaf ? (const void *)node->leaf : node;
    for (int e = 0; e < run->n_externals; e++)
        if (run->externals[e].identity == identity)
            return e;
    if (!grow(&run->externals, &run->external_capacity, run->n_externals + 1, sizeof(fa_external)))
        return -1;
    run->externals[run->n_externals] = (fa_external){.identity = identity, .node = node};
    return run->n_externals++;
}

int fa_run_input(const fa_run *run, const fa_node *node, int i)
{
    const fa_node *in = node->in[i];
    if (in == NULL)
        return -1;
    if (in->op != FA_OP_leaf && in->state == FA_PENDING)
        return (int)in->index;
    return run->n_nodes + (int)in->index;
}

static uint64_t *put_meta(uint64_t *at, const fa_meta *meta)
{
    *at++ = (uint64_t)meta->dtype | (uint64_t)meta->ndim << 8 | (uint64_t)meta->layout << 16;
    for (int d = 0; d < meta->ndim; d++)
        *at++ = (uint64_t)meta->shape[d];
    return at;
}

static bool make_key(const fa_thread *thread, fa_run *run)
{
    enum { WORDS_A_NODE = 4 + FA_MAX_DIMS + FA_MAX_INTS + FA_MAX_INPUTS };
    run->n_externals = 0;
    if (!grow(&run->key, &run->key_capacity, 2 + run->n_nodes * (WORDS_A_NODE + FA_MAX_INPUTS * (2 + FA_MAX_DIMS)),
              sizeof(uint64_t)))
        return false;
    uint64_t *at = run->key;
    *at++ = (uint64_t)run->n_nodes | (uint64_t)fa_plan_get_mode() << 32 | (uint64_t)fa_precision_is_highest() << 40;
    for (int r = 0; r < run->n_nodes; r++) {
        fa_node *node = run->nodes[r];
        *at++ = (uint64_t)node->op | (uint64_t)node->n_in << 16 | (uint64_t)node->n_ints << 24 |
                (uint64_t)node->fast << 32 | (uint64_t)(node->flags & (FA_KEEP_HARD | FA_KEEP_SOFT)) << 40;
        *at++ = (uint64_t)(uintptr_t)node->user;
        at = put_meta(at, &node->meta);
        memcpy(at, node->ints, node->n_ints * sizeof(int64_t));
        at += node->n_ints;
        for (int i = 0; i < node->n_in; i++) {
            fa_node *in = node->in[i];
            if (in == NULL) {
                *at++ = UINT64_MAX;
                continue;
            }
            if (in->op != FA_OP_leaf && in->state == FA_PENDING) {
                *at++ = in->index;
                continue;
            }
            if (in->op == FA_OP_leaf && !check_version(thread, node, in))
                return false;
            int before = run->n_externals, e = external_number(run, in);
            if (e < 0)
                return false;
            in->index = (uint32_t)e;
            *at++ = (uint64_t)e | 1ull << 32;
            if (e == before)
                at = put_meta(at, &in->meta);
        }
    }
    run->key_words = (int)(at - run->key);
    uint64_t hash = 0x9e3779b97f4a7c15u;
    for (int i = 0; i < run->key_words; i++) {
        hash = (hash ^ run->key[i]) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 29;
    }
    run->hash = hash;
    return true;
}

bool fa_plan_select(fa_thread *thread, fa_run *run, fa_node *root, bool effects)
{
    if (root != NULL && root->state == FA_DROPPED && !revive(thread, root))
        return false;
    if (!select_nodes(thread, run, root, effects))
        return false;
    mark_survivors(run, effects);
    return make_key(thread, run);
}
