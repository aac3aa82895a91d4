/* Walks over everything that hangs below a value: cycles, depth, and how much it unfolds to. */
#include "files/value_cell.h"

#include "base/error.h"

#include <pthread.h>
#include <string.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* marks belong to one walk at a time */
static uint64_t last_mark;

typedef struct step {
    fa_cell *cell;
    int64_t next;
} step;

/* Child number i of a cell, NULL past the last one. */
static fa_cell *child(const fa_cell *cell, int64_t i)
{
    if (cell->kind == FA_VALUE_OBJECT)
        return i == 0 ? cell->as.object->attributes : NULL;
    if (cell->kind != FA_VALUE_LIST && cell->kind != FA_VALUE_TUPLE && cell->kind != FA_VALUE_DICT)
        return NULL;
    const fa_entries *entries = cell->as.entries;
    if (i < entries->count)
        return entries->item[i];
    i -= entries->count;
    if (entries->key != NULL && i < entries->count)
        return entries->key[i];
    if (entries->key != NULL)
        i -= entries->count;
    return i == 0 ? entries->attributes : NULL;
}

typedef enum outcome { FINE, CYCLE, DEEP, PRIVATE, MANY, FOUND } outcome;

/* `wanted`: stop with FOUND at this cell; NULL: none. */
static outcome walk(fa_cell *root, const fa_cell *wanted, double most, step *stack)
{
    const uint64_t grey = last_mark += 2, black = grey + 1;
    int64_t height = 0;
    stack[height++] = (step){root, 0};
    root->mark = grey;
    root->depth = 1;
    root->unfolded = 1;
    while (height > 0) {
        step *top = &stack[height - 1];
        fa_cell *cell = top->cell, *below = child(cell, top->next++);
        if (below == NULL) {
            cell->mark = black;
            if (--height > 0) {
                fa_cell *above = stack[height - 1].cell;
                above->unfolded += cell->unfolded;
                above->depth = above->depth > cell->depth ? above->depth : cell->depth + 1;
                if (above->unfolded > most)
                    return MANY;
            }
        } else if (below == wanted)
            return FOUND;
        else if (below->mark == grey)
            return CYCLE;
        else if (below->kind == FA_CELL_PRIVATE)
            return PRIVATE;
        else if (below->mark == black) {
            cell->unfolded += below->unfolded;
            cell->depth = cell->depth > below->depth ? cell->depth : below->depth + 1;
            if (cell->unfolded > most)
                return MANY;
            if (height + (int64_t)below->depth > FA_VALUE_MAX_DEPTH)
                return DEEP;
        } else {
            if (height == FA_VALUE_MAX_DEPTH)
                return DEEP;
            below->mark = grey;
            below->depth = 1;
            below->unfolded = 1;
            stack[height++] = (step){below, 0};
        }
    }
    return FINE;
}

static outcome walk_alone(fa_cell *root, const fa_cell *wanted, double most, fa_where where, bool *memory)
{
    step *stack = fa_malloc((size_t)FA_VALUE_MAX_DEPTH * sizeof *stack);
    *memory = stack != NULL;
    if (stack == NULL) {
        fa_fail_memory(where, (size_t)FA_VALUE_MAX_DEPTH * sizeof *stack);
        return FINE;
    }
    pthread_mutex_lock(&mutex);
    outcome result = walk(root, wanted, most, stack);
    pthread_mutex_unlock(&mutex);
    fa_mfree(stack);
    return result;
}

bool fa_cell_walk(fa_cell *root, double most, fa_error_kind kind, const char *what, const char *name, fa_where where)
{
    bool memory;
    switch (walk_alone(root, NULL, most, where, &memory)) {
    case FINE:
        return memory;
    case CYCLE:
        return fa_fail(kind, where, what, "%s holds a container that contains itself, needs values that end.", name);
    case DEEP:
        return fa_fail(kind, where, what,
                       "%s holds containers nested more than %d deep, needs fewer. Hint: a damaged or hostile file.",
                       name, FA_VALUE_MAX_DEPTH);
    case MANY:
        return fa_fail(kind, where, what,
                       "%s holds shared containers that unfold to more than %.0f values, needs fewer. Hint: a damaged "
                       "or hostile file.",
                       name, most);
    default:
        return fa_fail(kind, where, what,
                       "%s holds a class, function or storage by itself, needs plain data and tensors.", name);
    }
}

bool fa_cell_may_hold(const fa_cell *container, fa_cell *item, const char *what, fa_where where)
{
    bool memory;
    if (item == container)
        return fa_fail(FA_VALUE_ERROR, where, what, "got a container to be put into itself.");
    if (child(item, 0) == NULL)
        return true;
    switch (walk_alone(item, container, __builtin_inf(), where, &memory)) {
    case FINE:
        return memory;
    case FOUND:
    case CYCLE:
        return fa_fail(FA_VALUE_ERROR, where, what,
                       "got a container to be put into one that it holds: it would contain itself.");
    default:
        return fa_fail(FA_VALUE_ERROR, where, what, "got a value whose containers nest more than %d deep.",
                       FA_VALUE_MAX_DEPTH);
    }
}

bool fa_value_check_tree(fa_value *root, const char *what, fa_where where)
{
    fa_cell *cell = fa_cell_use(root, what, where);
    return cell != NULL && fa_cell_walk(cell, __builtin_inf(), FA_VALUE_ERROR, what, "the value", where);
}
