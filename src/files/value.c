/* Values: cells, their handles, and how long they live. */
#include "files/value_cell.h"

#include "base/error.h"
#include "tensor/thread.h"

#include <pthread.h>
#include <string.h>

enum { CELLS_PER_CHUNK = 1024, MAX_CHUNKS = 1 << 16 };

/* Chunks are never given back, so that a stale handle finds a cell of another generation. */
static fa_cell *chunks[MAX_CHUNKS];
static uint32_t cell_count;
static fa_cell *free_cells;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of the above, in_scope and users */
static int64_t retained;

/* ---- Handles ------------------------------------------------------------------------------------------------------
 */

fa_value *fa_cell_handle(const fa_cell *cell)
{
    if (cell == NULL)
        return NULL;
    uint64_t generation = atomic_load_explicit(&cell->generation, memory_order_relaxed);
    return (fa_value *)(uintptr_t)(generation << 32 | cell->index);
}

fa_cell *fa_cell_of(const fa_value *value)
{
    uint32_t index = (uint32_t)(uintptr_t)value, generation = (uint32_t)((uintptr_t)value >> 32);
    if ((generation & 1) == 0 || index / CELLS_PER_CHUNK >= MAX_CHUNKS || chunks[index / CELLS_PER_CHUNK] == NULL)
        return NULL;
    fa_cell *cell = &chunks[index / CELLS_PER_CHUNK][index % CELLS_PER_CHUNK];
    return atomic_load_explicit(&cell->generation, memory_order_relaxed) == generation ? cell : NULL;
}

fa_cell *fa_cell_use(const fa_value *value, const char *what, fa_where where)
{
    fa_cell *cell = fa_cell_of(value);
    if (cell == NULL && value == NULL && fa_ok())
        fa_fail(FA_VALUE_ERROR, where, what, "got no value (NULL), needs one.");
    else if (cell == NULL && value != NULL)
        fa_fail(FA_STATE_ERROR, where, what,
                "got a value that has ended with its scope or its container, needs a live one. Hint: "
                "fa_value_retain(value) keeps one until fa_free(value).");
    return cell;
}

/* ---- Cells --------------------------------------------------------------------------------------------------------
 */

static fa_cell *take_cell(void)
{
    fa_cell *cell = free_cells;
    if (cell != NULL) {
        free_cells = cell->next;
        return cell;
    }
    uint32_t chunk = cell_count / CELLS_PER_CHUNK;
    if (chunk == MAX_CHUNKS)
        return NULL;
    if (chunks[chunk] == NULL && (chunks[chunk] = fa_calloc(CELLS_PER_CHUNK, sizeof(fa_cell))) == NULL)
        return NULL;
    cell = &chunks[chunk][cell_count % CELLS_PER_CHUNK];
    cell->index = cell_count++;
    return cell;
}

fa_cell *fa_cell_new(int kind, int flavour, fa_where where)
{
    pthread_mutex_lock(&mutex);
    fa_cell *cell = take_cell();
    pthread_mutex_unlock(&mutex);
    if (cell == NULL) {
        fa_fail_memory(where, sizeof *cell);
        return NULL;
    }
    atomic_store_explicit(&cell->holders, 1, memory_order_relaxed);
    cell->users = 0;
    cell->kind = (uint8_t)kind;
    cell->flavour = (uint8_t)flavour;
    cell->in_scope = false;
    cell->depth = 0;
    cell->mark = 0;
    cell->unfolded = 0;
    memset(&cell->as, 0, sizeof cell->as);
    cell->next = NULL;
    atomic_fetch_add_explicit(&cell->generation, 1, memory_order_relaxed);
    return cell;
}

fa_cell *fa_cell_hold(fa_cell *cell)
{
    if (cell != NULL)
        atomic_fetch_add_explicit(&cell->holders, 1, memory_order_relaxed);
    return cell;
}

/* One holder less; a cell without holders joins the list of those that are ending. */
static void let_go(fa_cell *cell, fa_cell **ending)
{
    if (cell == NULL || atomic_fetch_sub_explicit(&cell->holders, 1, memory_order_acq_rel) != 1)
        return;
    cell->next = *ending;
    *ending = cell;
}

static void empty_entries(fa_entries *entries, fa_cell **ending)
{
    for (int64_t i = 0; i < entries->count; i++) {
        let_go(entries->item[i], ending);
        if (entries->key != NULL)
            let_go(entries->key[i], ending);
    }
    let_go(entries->attributes, ending);
    fa_mfree(entries->item);
    fa_mfree(entries->key);
    fa_mfree(entries->index);
    *entries = (fa_entries){.count = 0};
}

static void end_content(fa_cell *cell, fa_cell **ending)
{
    switch (cell->kind) {
    case FA_VALUE_INT:
        if (cell->flavour == FA_FLAVOUR_BIG)
            fa_mfree(cell->as.text.bytes);
        break;
    case FA_VALUE_STRING:
    case FA_VALUE_BYTES:
        fa_mfree(cell->as.text.bytes);
        break;
    case FA_VALUE_LIST:
    case FA_VALUE_TUPLE:
    case FA_VALUE_DICT:
        if (cell->as.entries != NULL) {
            empty_entries(cell->as.entries, ending);
            fa_mfree(cell->as.entries);
        }
        break;
    case FA_VALUE_TENSOR:
        if (cell->as.tensor != NULL)
            fa_tensor_body_end(cell->as.tensor);
        break;
    case FA_VALUE_OBJECT:
        if (cell->as.object != NULL) {
            let_go(cell->as.object->attributes, ending);
            fa_mfree(cell->as.object->module);
            fa_mfree(cell->as.object->class_name);
            fa_mfree(cell->as.object);
        }
        break;
    case FA_CELL_PRIVATE:
        if (cell->as.private.end != NULL)
            cell->as.private.end(cell->as.private.data);
        break;
    default:
        break;
    }
}

/* A list instead of recursion, so that no nesting is too deep to end. */
static void end_all(fa_cell *ending)
{
    while (ending != NULL) {
        fa_cell *cell = ending;
        ending = cell->next;
        end_content(cell, &ending);
        atomic_fetch_add_explicit(&cell->generation, 1, memory_order_relaxed);
        pthread_mutex_lock(&mutex);
        cell->next = free_cells;
        free_cells = cell;
        pthread_mutex_unlock(&mutex);
    }
}

void fa_cell_drop(fa_cell *cell)
{
    fa_cell *ending = NULL;
    let_go(cell, &ending);
    end_all(ending);
}

void fa_cell_clear(fa_cell *container)
{
    fa_cell *ending = NULL;
    if (container->kind == FA_VALUE_OBJECT) {
        let_go(container->as.object->attributes, &ending);
        container->as.object->attributes = NULL;
    } else if (container->as.entries != NULL)
        empty_entries(container->as.entries, &ending);
    end_all(ending);
}

/* ---- Scopes -------------------------------------------------------------------------------------------------------
 */

typedef struct scope_values {
    fa_scope_owned owned; /* first */
    int64_t count, capacity;
    fa_value **value; /* entries that have ended meanwhile are passed over */
} scope_values;

static void leave_scope(fa_value *value)
{
    pthread_mutex_lock(&mutex);
    fa_cell *cell = fa_cell_of(value);
    bool held = cell != NULL && cell->in_scope;
    if (held)
        cell->in_scope = false;
    pthread_mutex_unlock(&mutex);
    if (held)
        fa_cell_drop(cell);
}

static void end_scope(fa_scope_owned *owned)
{
    scope_values *values = (scope_values *)owned;
    for (int64_t i = 0; i < values->count; i++)
        leave_scope(values->value[i]);
    fa_mfree(values->value);
    fa_mfree(values);
}

/* Room for one more: first by leaving out what has ended. */
static bool make_room(scope_values *values)
{
    if (values->count < values->capacity)
        return true;
    int64_t left = 0;
    for (int64_t i = 0; i < values->count; i++)
        if (fa_cell_of(values->value[i]) != NULL)
            values->value[left++] = values->value[i];
    values->count = left;
    if (left < values->capacity / 2)
        return true;
    int64_t capacity = values->capacity > 0 ? 2 * values->capacity : 16;
    fa_value **more = fa_realloc(values->value, (size_t)capacity * sizeof(fa_value *));
    if (more == NULL)
        return false;
    values->value = more;
    values->capacity = capacity;
    return true;
}

fa_value *fa_cell_to_scope(fa_cell *cell, fa_where where)
{
    if (cell == NULL)
        return NULL;
    fa_thread *thread = fa_thread_get();
    fa_scope_frame *frame = thread != NULL ? thread->scope : NULL;
    if (frame != NULL && frame->owned == NULL) {
        scope_values *values = fa_calloc(1, sizeof *values);
        if (values != NULL) {
            values->owned.end = end_scope;
            frame->owned = &values->owned;
        }
    }
    scope_values *values = frame != NULL ? (scope_values *)frame->owned : NULL;
    if (values == NULL || !make_room(values)) {
        fa_fail_memory(where, sizeof *values);
        fa_cell_drop(cell);
        return NULL;
    }
    fa_value *value = fa_cell_handle(cell);
    cell->in_scope = true;
    values->value[values->count++] = value;
    return value;
}

void fa_values_end_root(void)
{
    fa_thread *thread = fa_thread_get();
    if (thread == NULL || thread->root.owned == NULL)
        return;
    fa_scope_owned *owned = thread->root.owned;
    thread->root.owned = NULL;
    owned->end(owned);
}

/* ---- What the program holds ---------------------------------------------------------------------------------------
 */

fa_value *fa_value_retain(fa_value *value)
{
    fa_cell *cell = fa_cell_use(value, "value_retain", fa_current_where());
    if (cell == NULL)
        return NULL;
    pthread_mutex_lock(&mutex);
    cell->users++;
    retained++;
    pthread_mutex_unlock(&mutex);
    fa_cell_hold(cell);
    return value;
}

void fa_value_free(fa_value *value)
{
    pthread_mutex_lock(&mutex);
    fa_cell *cell = fa_cell_of(value);
    bool held = cell != NULL && (cell->users > 0 || cell->in_scope);
    if (held && cell->users > 0) {
        cell->users--;
        retained--;
    } else if (held)
        cell->in_scope = false;
    pthread_mutex_unlock(&mutex);
    if (held)
        fa_cell_drop(cell);
}

int64_t fa_value_live_count(void)
{
    pthread_mutex_lock(&mutex);
    int64_t count = retained;
    pthread_mutex_unlock(&mutex);
    return count;
}
