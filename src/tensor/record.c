/* Recording: a node for each op, its shape checked at once, nothing computed. */
#include "base/mapped.h"
#include "tensor/thread.h"

#include <stdio.h>
#include <string.h>

/* ---- Text for messages ---------------------------------------------------------------------------------------------
 */

const char *fa_dims_text(int ndim, const int64_t *size)
{
    enum { BUFFERS = 8, LENGTH = 200 };
    static _Thread_local char ring[BUFFERS][LENGTH];
    static _Thread_local int turn;
    char *text = ring[turn = (turn + 1) % BUFFERS];
    int at = snprintf(text, LENGTH, "[");
    for (int d = 0; d < ndim && at < LENGTH - 24; d++)
        at += snprintf(text + at, (size_t)(LENGTH - at), "%s%lld", d > 0 ? ", " : "", (long long)size[d]);
    snprintf(text + at, (size_t)(LENGTH - at), "]");
    return text;
}

const char *fa_shape_text(const fa_meta *meta)
{
    return fa_dims_text(meta->ndim, meta->shape);
}

const char *fa_dtype_name(int dtype)
{
    static const char *const name[FA_DT_COUNT] = {"float32", "float64", "int64",    "int32",
                                                  "uint8",   "bool",    "bfloat16", "float16"};
    return dtype >= 0 && dtype < FA_DT_COUNT ? name[dtype] : "an unknown dtype";
}

int fa_wrap_dim(int dim, int ndim, const char *what)
{
    int range = ndim > 0 ? ndim : 1;
    if (dim >= -range && dim < range)
        return dim < 0 ? dim + range : dim;
    fa_refuse(FA_INDEX_ERROR, what,
              "got dimension %d, needs one of %d to %d: the tensor has %d dimension%s. Hint: "
              "dimensions count from 0, or from -1 backwards.",
              dim, -range, range - 1, ndim, ndim == 1 ? "" : "s");
    return -1;
}

/* ---- Metas ---------------------------------------------------------------------------------------------------------
 */

fa_meta fa_meta_of(int dtype, int ndim, const int64_t *shape)
{
    fa_meta meta = {.dtype = (uint8_t)dtype, .ndim = (uint8_t)ndim};
    for (int d = 0; d < ndim; d++)
        meta.shape[d] = shape[d];
    return meta;
}

bool fa_meta_from_shape(fa_meta *meta, fa_dtype dtype, const fa_shape *shape, const char *what)
{
    if (shape->ndim < 0 || shape->ndim > FA_MAX_DIMS)
        return fa_refuse(FA_SHAPE_ERROR, what, "got %d dimensions, needs 0 to %d.", shape->ndim, FA_MAX_DIMS);
    if ((int)dtype < 0 || (int)dtype >= FA_DT_COUNT)
        return fa_refuse(FA_DTYPE_ERROR, what, "got dtype number %d, needs one of FA_FLOAT32 to FA_FLOAT16.",
                         (int)dtype);
    size_t bytes = (size_t)fa_dtype_size((int)dtype);
    for (int d = 0; d < shape->ndim; d++) {
        if (shape->size[d] < 0)
            return fa_refuse(FA_SHAPE_ERROR, what,
                             "got size %lld in dimension %d of %s, needs 0 or more. Hint: only fa_view and fa_reshape "
                             "work a -1 out.",
                             (long long)shape->size[d], d, fa_dims_text(shape->ndim, shape->size));
        if (!fa_mul_size(bytes, (size_t)shape->size[d], &bytes) || bytes > (size_t)INT64_MAX / 2)
            return fa_refuse(FA_MEMORY_ERROR, what, "got shape %s: more bytes than a machine can address.",
                             fa_dims_text(shape->ndim, shape->size));
    }
    *meta = fa_meta_of((int)dtype, shape->ndim, shape->size);
    return true;
}

bool fa_broadcast(const fa_meta *a, const fa_meta *b, fa_meta *out, const char *what)
{
    int ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
    *out = (fa_meta){.dtype = a->dtype, .ndim = (uint8_t)ndim};
    for (int d = 1; d <= ndim; d++) {
        int64_t size_a = d <= a->ndim ? a->shape[a->ndim - d] : 1, size_b = d <= b->ndim ? b->shape[b->ndim - d] : 1;
        if (size_a != size_b && size_a != 1 && size_b != 1)
            return fa_refuse(FA_SHAPE_ERROR, what,
                             "got %s and %s, needs sizes that are equal or 1 in each dimension counted from the last; "
                             "dimension %d has %lld and %lld. Hint: fa_view or fa_unsqueeze gives a tensor the missing "
                             "dimensions.",
                             fa_shape_text(a), fa_shape_text(b), ndim - d, (long long)size_a, (long long)size_b);
        out->shape[ndim - d] = size_a == 1 ? size_b : size_a;
    }
    return true;
}

static bool same_shape(const fa_meta *a, const fa_meta *b)
{
    return a->ndim == b->ndim && memcmp(a->shape, b->shape, sizeof a->shape) == 0;
}

/* ---- Nodes ---------------------------------------------------------------------------------------------------------
 */

static fa_node *push_node(fa_thread *thread)
{
    if (thread->node_count == thread->node_chunk_count * FA_NODES_PER_CHUNK) {
        fa_node **more = fa_realloc(thread->node_chunks, (size_t)(thread->node_chunk_count + 1) * sizeof *more);
        if (more == NULL)
            goto no_memory;
        thread->node_chunks = more;
        more[thread->node_chunk_count] = fa_malloc(FA_NODES_PER_CHUNK * sizeof(fa_node));
        if (more[thread->node_chunk_count] == NULL)
            goto no_memory;
        thread->node_chunk_count++;
    }
    fa_node *node = fa_thread_node(thread, thread->node_count++);
    memset(node, 0, sizeof *node);
    node->serial = ++thread->next_serial;
    node->where = thread->where;
    node->scope = thread->scope;
    return node;
no_memory:
    fa_fail_memory(thread->where, FA_NODES_PER_CHUNK * sizeof(fa_node));
    return NULL;
}

static bool push_pending(fa_thread *thread, fa_node *node)
{
    if (thread->pending_count == thread->pending_capacity) {
        int64_t capacity = thread->pending_capacity > 0 ? 2 * thread->pending_capacity : 256;
        fa_node **more = fa_realloc(thread->pending, (size_t)capacity * sizeof *more);
        if (more == NULL)
            return fa_fail_memory(thread->where, (size_t)capacity * sizeof *more);
        thread->pending = more;
        thread->pending_capacity = capacity;
    }
    thread->pending[thread->pending_count++] = node;
    return true;
}

fa_node *fa_leaf_node(fa_leaf *leaf)
{
    fa_thread *thread = fa_thread_get();
    if (thread == NULL)
        return NULL;
    if (!leaf->init_done)
        fa_generator_run_init_hook();
    fa_node *node = push_node(thread);
    if (node == NULL)
        return NULL;
    node->op = FA_OP_leaf;
    node->state = FA_DONE;
    node->meta = leaf->meta;
    node->leaf = fa_leaf_retain(leaf);
    node->leaf_version = leaf->recorded_version;
    node->requires_grad = leaf->requires_grad && !thread->no_grad;
    return node;
}

/* An input that was written since this node was read cannot be read again. */
static bool check_versions(const fa_node *node, int n, fa_node *const *in)
{
    for (int i = 0; i < n; i++) {
        const fa_node *input = in[i];
        if (input == NULL || input->op != FA_OP_leaf || input->leaf_version == input->leaf->recorded_version)
            continue;
        const fa_leaf *leaf = input->leaf;
        return fa_refuse(
            FA_STATE_ERROR, fa_op_table[node->op]->name,
            "needs %s %s as it was read at %s:%d, but it was changed in place at %s:%d. Hint: do the change "
            "after backward, or work on a copy (fa_clone).",
            leaf->name != NULL ? leaf->name : "a tensor", fa_shape_text(&leaf->meta), input->where.file,
            input->where.line, leaf->changed.file, leaf->changed.line);
    }
    return true;
}

static bool refuse_storage(const char *what, int dtype)
{
    return fa_refuse(FA_DTYPE_ERROR, what,
                     "got %s, which tensors are stored in, needs a type to compute in. Hint: fa_to_dtype(x, "
                     "FA_FLOAT32), and back afterwards if need be.",
                     fa_dtype_name(dtype));
}

static bool check_types_in(const fa_op_def *def, int n, fa_node *const *in)
{
    for (int i = 0; i < n && !def->moves; i++)
        if (in[i] != NULL && fa_is_storage_only(in[i]->meta.dtype))
            return refuse_storage(def->name, in[i]->meta.dtype);
    return true;
}

static bool check_type_out(const fa_op_def *def, const fa_meta *meta)
{
    return def->moves || !fa_is_storage_only(meta->dtype) || refuse_storage(def->name, meta->dtype);
}

static void choose_layout(fa_node *node)
{
    const fa_op_def *def = fa_op_table[node->op];
    if (def->layout == FA_LAYOUT_PLAIN || !node->fast || node->meta.ndim != 4)
        return;
    if (def->layout == FA_LAYOUT_IMAGE) {
        node->meta.layout = def->plain_output ? FA_PLAIN : FA_NHWC;
        return;
    }
    bool nhwc = false;
    for (int i = 0; i < node->n_in; i++) {
        if (node->in[i] == NULL)
            continue;
        if (!same_shape(&node->in[i]->meta, &node->meta))
            return;
        nhwc |= node->in[i]->meta.layout == FA_NHWC;
    }
    if (nhwc)
        node->meta.layout = FA_NHWC;
}

static fa_node *record(fa_thread *thread, fa_op op, int n, fa_node *const *in, const void *ints, size_t ints_bytes,
                       const double *floats, int n_floats, const void *user)
{
    const fa_op_def *def = fa_op_table[op];
    int64_t stack_height = thread->node_count;
    fa_node *node = push_node(thread);
    if (node == NULL)
        return NULL;
    node->op = (uint16_t)op;
    node->n_in = (uint8_t)n;
    node->n_ints = (uint8_t)(ints_bytes / sizeof(int64_t));
    node->n_floats = (uint8_t)n_floats;
    node->user = user;
    for (int i = 0; i < n; i++) {
        node->in[i] = in[i];
        node->requires_grad |= in[i] != NULL && in[i]->requires_grad;
    }
    if (ints_bytes > 0)
        memcpy(node->ints, ints, ints_bytes);
    if (n_floats > 0)
        memcpy(node->floats, floats, (size_t)n_floats * sizeof *floats);
    if (!check_versions(node, n, in) || !check_types_in(def, n, in) || !def->infer(node) ||
        !check_type_out(def, &node->meta) || !push_pending(thread, node)) {
        thread->node_count = stack_height;
        return NULL;
    }
    bool floating = node->meta.dtype == FA_DT_FLOAT32 || node->meta.dtype == FA_DT_FLOAT64;
    /* An op of a gradient rule that has none itself: who differentiates it is told. */
    bool has_rule = def->gradient != NULL || thread->differentiable_rules;
    node->requires_grad = node->requires_grad && !thread->no_grad && has_rule && floating;
    node->fast = fa_plan_executor.is_fast(node);
    choose_layout(node);
    return node;
}

fa_node *fa_record_user(fa_op op, int n, fa_node *const *in, const void *ints, size_t ints_bytes, const double *floats,
                        int n_floats, const void *user)
{
    fa_thread *thread = fa_thread_get();
    if (thread == NULL)
        return NULL;
    return record(thread, op, n, in, ints, ints_bytes, floats, n_floats, user);
}

fa_node *fa_record(fa_op op, int n, fa_node *const *in, const void *ints, size_t ints_bytes, const double *floats,
                   int n_floats)
{
    return fa_record_user(op, n, in, ints, ints_bytes, floats, n_floats, NULL);
}

fa_node *fa_record1(fa_op op, fa_node *a)
{
    return a != NULL ? fa_record(op, 1, &a, NULL, 0, NULL, 0) : NULL;
}

fa_node *fa_record2(fa_op op, fa_node *a, fa_node *b)
{
    fa_node *in[2] = {a, b};
    return a != NULL && b != NULL ? fa_record(op, 2, in, NULL, 0, NULL, 0) : NULL;
}

bool fa_wants_grad(const fa_node *node, int i)
{
    return i < node->n_in && node->in[i] != NULL && node->in[i]->requires_grad;
}

bool fa_rules_differentiable(void)
{
    const fa_thread *thread = fa_thread_get();
    return thread != NULL && thread->differentiable_rules;
}

fa_outside fa_outside_begin(void)
{
    fa_thread *thread = fa_thread_get();
    fa_outside outside = {.where = fa_current_where()};
    if (thread != NULL) {
        outside.differentiable_rules = thread->differentiable_rules;
        thread->differentiable_rules = false;
    }
    return outside;
}

void fa_outside_end(fa_outside outside)
{
    fa_thread *thread = fa_thread_get();
    if (thread != NULL)
        thread->differentiable_rules = outside.differentiable_rules;
    fa_begin(outside.where);
}

/* ---- Effects -------------------------------------------------------------------------------------------------------
 */

bool fa_record_effect(fa_op op, int n, fa_node *const *in, const void *ints, size_t ints_bytes, const double *floats,
                      int n_floats)
{
    fa_thread *thread = fa_thread_get();
    if (thread == NULL)
        return false;
    bool no_grad = thread->no_grad;
    thread->no_grad = true;
    fa_node *node = record(thread, op, n, in, ints, ints_bytes, floats, n_floats, NULL);
    thread->no_grad = no_grad;
    if (node == NULL)
        return false;
    thread->pending_effects++;
    uint32_t writes = fa_op_table[op]->writes;
    for (int i = 0; i < n; i++)
        if ((writes >> i & 1) != 0 && in[i] != NULL) {
            fa_leaf *leaf = in[i]->leaf;
            leaf->recorded_version++;
            leaf->writer = node;
            leaf->changed = thread->where;
        }
    return true;
}

void fa_effect_counts(int64_t *counter)
{
    fa_thread *thread = fa_thread_get();
    if (thread != NULL && thread->pending_count > 0)
        thread->pending[thread->pending_count - 1]->counter = counter;
}

void fa_note_draw(fa_generator *generator)
{
    fa_thread *thread = fa_thread_get();
    if (thread == NULL)
        return;
    generator = fa_generator_or_default(generator);
    for (int i = 0; i < thread->drawn_count; i++)
        if (thread->drawn[i].generator == generator)
            return;
    if (thread->drawn_count == FA_MAX_DRAWN)
        return;
    int at = thread->drawn_count++;
    thread->drawn[at].generator = fa_generator_retain(generator);
    thread->drawn[at].serial = thread->next_serial;
    const fa_mt *mt = fa_generator_lock(generator);
    thread->drawn[at].state = *mt;
    fa_generator_unlock(generator);
}

void fa_forget_draws(fa_thread *thread)
{
    for (int i = 0; i < thread->drawn_count; i++)
        fa_generator_release(thread->drawn[i].generator);
    thread->drawn_count = 0;
}

/* Effects from `first_serial` on are undone, the latest first. */
static void undo_effect(const fa_node *node)
{
    uint32_t writes = fa_op_table[node->op]->writes;
    for (int i = 0; i < node->n_in; i++) {
        if ((writes >> i & 1) == 0 || node->in[i] == NULL)
            continue;
        fa_leaf *leaf = node->in[i]->leaf;
        leaf->recorded_version = node->in[i]->leaf_version;
        leaf->writer = NULL;
        if (leaf->grad_of != NULL && node->op == FA_OP_assign)
            leaf->grad_of->grad_defined = false;
    }
    if (node->counter != NULL)
        --*node->counter;
}

void fa_abandon_pending(fa_thread *thread, uint64_t first_serial)
{
    int64_t left = thread->pending_count;
    while (left > 0 && thread->pending[left - 1]->serial >= first_serial) {
        fa_node *node = thread->pending[--left];
        node->state = FA_FAILED;
        if (fa_op_table[node->op]->writes != 0) {
            undo_effect(node);
            thread->pending_effects--;
        }
    }
    thread->pending_count = left;
    for (int64_t k = 0; k < left; k++) { /* what is left writes its leaves still */
        fa_node *node = thread->pending[k];
        uint32_t writes = fa_op_table[node->op]->writes;
        for (int i = 0; i < node->n_in; i++)
            if ((writes >> i & 1) != 0 && node->in[i] != NULL)
                node->in[i]->leaf->writer = node;
    }
    for (int i = 0; i < thread->drawn_count; i++)
        if (left == 0 || thread->pending[left - 1]->serial <= thread->drawn[i].serial) { /* drawn for what failed */
            fa_mt *mt = fa_generator_lock(thread->drawn[i].generator);
            *mt = thread->drawn[i].state;
            fa_generator_unlock(thread->drawn[i].generator);
        }
    fa_forget_draws(thread);
}

/* ---- Evaluation ----------------------------------------------------------------------------------------------------
 */

static bool run(fa_thread *thread, fa_node *root, bool effects)
{
    thread->failed_from = 0;
    if (fa_plan_executor.run(thread, root, effects)) {
        if (thread->pending_effects == 0)
            fa_forget_draws(thread);
        return fa_mapped_check(thread->where); /* whether what was read was there */
    }
    if (thread->failed_from != 0)
        fa_abandon_pending(thread, thread->failed_from);
    return false;
}

bool fa_flush(void)
{
    fa_thread *thread = fa_thread_get();
    if (thread == NULL)
        return false;
    return thread->pending_count == 0 || run(thread, NULL, true);
}

bool fa_evaluate(fa_node *node)
{
    fa_thread *thread = fa_thread_get();
    if (thread == NULL)
        return false;
    if (node->state == FA_FAILED)
        return fa_ok() ? fa_fail(FA_STATE_ERROR, thread->where, fa_op_table[node->op]->name,
                                 "the value recorded at %s:%d was given up when a step failed. Hint: record it again.",
                                 node->where.file, node->where.line)
                       : false;
    if (node->op != FA_OP_leaf)
        return node->state == FA_DONE || run(thread, node, thread->pending_effects > 0);
    if (node->leaf->version < node->leaf_version && !fa_flush())
        return false;
    return check_versions(node, 1, &node);
}

bool fa_sync_at(fa_where where)
{
    fa_begin(where);
    return fa_ok() && fa_flush();
}
