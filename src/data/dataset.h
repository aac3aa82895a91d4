/* Data sets inside the library, and the batch that their items are collected in. */
#ifndef FA_DATA_DATASET_H
#define FA_DATA_DATASET_H

#include "base/error.h"
#include "base/generator.h"
#include "base/memory.h"
#include "base/opdef.h"
#include "data/object.h"
#include "facula/data.h"
#include "tensor/node.h"

#include <stdatomic.h>

enum { FA_MAX_FIELDS = 8 };

/* ---- Collecting items: the default collate ----------------------------------------------------------------------- */

typedef struct fa_field {
    fa_meta meta;      /* of one item */
    size_t bytes;      /* of one item */
    fa_buffer *buffer; /* size * bytes */
} fa_field;

/* A field whose value waits for random numbers. Batches are fetched ahead of the program, numbers are drawn when a
 * batch is asked for: so a batch that is fetched ahead keeps, for each field that depends on a draw, the work that
 * remains. */
typedef struct fa_late_kind {
    /* Writes the numbers that the work asked for; on the looping thread, one after the other in the order of items. */
    void (*draw)(const void *work, fa_mt *mt, int64_t *draws);
    /* Writes the field of one item; on any thread, several at once. False after an error. */
    bool (*finish)(const void *work, const int64_t *draws, void *out);
    void (*destroy)(void *work);
} fa_late_kind;

typedef struct fa_late {
    const fa_late_kind *kind;
    void *work; /* owned */
    void *out;
    int64_t first_draw; /* its numbers begin there */
} fa_late;

/* A batch in the making. The first item fixes number, types and shapes of the fields. Filled by one thread. */
typedef struct fa_collate {
    fa_where where;
    int n;
    int64_t size;        /* items there will be */
    int64_t filled;      /* items there are */
    int64_t first_index; /* number of the first item, for messages */
    fa_field field[FA_MAX_FIELDS];
    const atomic_bool *cancel; /* set: stop early, the batch is not wanted any more; may be NULL */

    bool ahead; /* nobody has asked for the batch yet: numbers are drawn later. Set after fa_collate_begin */
    fa_late *late;
    int64_t late_count, late_capacity;
    int64_t *draws; /* [draw_count], made by fa_collate_draw */
    int64_t draw_count;
} fa_collate;

/* A tensor that a data set keeps. */
typedef struct fa_kept {
    fa_leaf *leaf;
    fa_tensor *handle; /* outside scopes, for the user's struct */
    const char *data;  /* set before each loop */
} fa_kept;

struct fa_sample {
    fa_collate *batch;
    int64_t index; /* number of the item */
    int n;         /* fields put so far */
    const fa_kept *kept;
    int kept_count;
};

void fa_collate_begin(fa_collate *batch, int64_t size, fa_where where, const atomic_bool *cancel);
void fa_collate_release(fa_collate *batch);
static inline bool fa_collate_cancelled(const fa_collate *batch)
{
    return batch->cancel != NULL && atomic_load_explicit(batch->cancel, memory_order_relaxed);
}
/* The field `f` of the next item and those after it, up to the size of the batch; NULL after an error. `index`: number
 * of the next item. */
void *fa_collate_rows(fa_collate *batch, int f, const fa_meta *meta, int64_t index, fa_where where);
/* Counts `count` items with `n` fields each as filled in. */
bool fa_collate_advance(fa_collate *batch, int64_t count, int n, int64_t index, fa_where where);
/* Leaves the rest of a field to fa_collate_finish, with `draws` numbers drawn before it. Takes the work over, after an
 * error too. */
bool fa_collate_defer(fa_collate *batch, const fa_late_kind *kind, void *work, int draws, void *out);
/* Draws for all late fields, in their order, from the default generator. */
bool fa_collate_draw(fa_collate *batch);
/* Finishes late fields begin ... end - 1. */
bool fa_collate_finish(fa_collate *batch, int64_t begin, int64_t end);
/* The fields as tensors of the current scope, with a batch dimension or, for one item, without. Empties the batch. */
bool fa_collate_tensors(fa_collate *batch, bool batched, fa_batch *out);

/* ---- Data sets --------------------------------------------------------------------------------------------------- */

typedef struct fa_dataset_kind {
    int64_t (*length)(void *data);
    /* Called on the looping thread before items are fetched; may be NULL. False after an error. */
    bool (*prepare)(void *data);
    /* Appends the items of these numbers (all valid) to the batch, in order; on any thread, several at once. False
     * after an error, or when cancelled. */
    bool (*fetch)(void *data, const int64_t *indices, int64_t n, fa_collate *batch);
    void (*destroy)(void *data);
} fa_dataset_kind;

typedef struct fa_dataset_body {
    const fa_dataset_kind *kind;
    void *data; /* owned */
    bool draws; /* fetch draws from the default generator: only on the looping thread, in order */
} fa_dataset_body;

struct fa_dataset {
    fa_object object;
};

extern const fa_object_kind fa_dataset_class, fa_loader_class;

/* A floating data set that owns `data`; NULL after an error, data destroyed. */
fa_dataset *fa_dataset_make(const fa_dataset_kind *kind, void *data, bool draws, fa_where where);
/* The body of a live data set, NULL after an error. */
fa_dataset_body *fa_dataset_use(fa_dataset *dataset, const char *what, fa_where where);
bool fa_dataset_prepare(fa_dataset_body *body);
/* Checks the numbers, then fetches. */
bool fa_dataset_fetch(fa_dataset_body *body, const int64_t *indices, int64_t n, fa_collate *batch);

#endif
