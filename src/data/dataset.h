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
    void *work;         /* owned */
    void *out;          /* NULL: its item was left out; numbers are drawn for it all the same */
    int64_t first_draw; /* its numbers begin there */
    int64_t place, row; /* of its item: in the batch's list of numbers, and among the items there are */
} fa_late;

/* An item that was left out of a batch, and why. */
typedef struct fa_bad_item {
    int64_t place, row; /* as in fa_late; row: -1 when it never was in the batch */
    int64_t late;       /* the late field that failed, or -1 */
    char *message;      /* owned; NULL: no memory for it */
} fa_bad_item;

/* The fields of one item by themselves, for a collate of the program's own. */
struct fa_loose_item {
    int n;
    int64_t index;
    fa_field field[FA_MAX_FIELDS];
};

/* A batch in the making. The first item fixes number, types and shapes of the fields, unless they are kept loose.
 * Filled by one thread. */
typedef struct fa_collate {
    fa_where where;
    int n;
    int64_t size;        /* items there will be */
    int64_t filled;      /* items there are */
    int64_t first_index; /* number of the first item, for messages */
    fa_field field[FA_MAX_FIELDS];
    const atomic_bool *cancel; /* set: stop early, the batch is not wanted any more; may be NULL */
    void *worker;              /* the state of the worker that fetches it; set after fa_collate_begin */

    struct fa_loose_item *loose; /* [size], or NULL: fields are stacked */
    bool skip;                   /* bad items are left out; set after fa_collate_begin */
    bool misfit;                 /* the error is that an item does not fit the others: no fault of the item's */
    int64_t place;               /* of the item being fetched */
    fa_bad_item *bad;            /* in the order in which they were found */
    int64_t bad_count, bad_capacity;

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
/* Keeps each item's fields by themselves; right after fa_collate_begin. False after an error. */
bool fa_collate_keep_loose(fa_collate *batch);
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
/* Finishes late field i. False after an error. */
bool fa_collate_finish(fa_collate *batch, int64_t i);
/* Undoes what the item being fetched has put; its late fields from `late` on are drawn for, and no more. */
void fa_collate_undo(fa_collate *batch, int64_t late);
/* Notes that the item being fetched is left out, or with late >= 0 that of this late field. An error when there is no
 * memory for it. */
void fa_collate_note_bad(fa_collate *batch, int64_t late, const char *message);
/* Takes the items of late fields that failed out of the batch; bad items are in the order of their places then. */
void fa_collate_remove_bad(fa_collate *batch);
/* The fields as tensors of the current scope, with a batch dimension or, for one item, without. Empties the batch. */
bool fa_collate_tensors(fa_collate *batch, bool batched, fa_batch *out);

/* ---- Names of classes -------------------------------------------------------------------------------------------- */

/* Names that a data set owns. */
typedef struct fa_class_list {
    char **name;
    int64_t count, capacity;
} fa_class_list;

/* False after an error; end the list in either case. */
bool fa_class_list_add(fa_class_list *list, const char *name, size_t length, fa_where where);
bool fa_class_list_copy(fa_class_list *list, fa_names names, fa_where where);
/* Names "0", "1", ... are added until there are `count`. */
bool fa_class_list_numbers(fa_class_list *list, int64_t count, fa_where where);
void fa_class_list_end(fa_class_list *list);
static inline fa_names fa_class_list_names(const fa_class_list *list)
{
    return (fa_names){(const char *const *)list->name, list->count};
}

/* ---- Telling data sets apart ------------------------------------------------------------------------------------- */

/* Of one item. */
typedef struct fa_item_trace {
    uint64_t name;    /* of what it is called in its data set: not of where the data set lies */
    uint64_t content; /* of the size of its file, or of its bytes in memory; 0: not looked at */
} fa_item_trace;

/* Of a data set. */
typedef struct fa_fingerprint {
    uint64_t items;    /* of targets and names, in order */
    uint64_t contents; /* of what is in them; for a part of a data set, of the rest as well */
} fa_fingerprint;

/* `so_far` with these bytes behind it. Not for adversaries. */
uint64_t fa_fingerprint_add(uint64_t so_far, const void *data, size_t bytes);

/* ---- Data sets --------------------------------------------------------------------------------------------------- */

typedef struct fa_dataset_kind {
    int64_t (*length)(void *data);
    /* Called on the looping thread before items are fetched; may be NULL. False after an error. */
    bool (*prepare)(void *data);
    /* Appends the items of these numbers (all valid) to the batch, in order; on any thread, several at once. False
     * after an error, or when cancelled. */
    bool (*fetch)(void *data, const int64_t *indices, int64_t n, fa_collate *batch);
    void (*destroy)(void *data);
    /* Writes the name of an item, a file's for example, as snprintf does. On any thread. NULL: items have numbers
     * only. */
    void (*name)(void *data, int64_t index, char *text, size_t size);
    /* Where the item comes from: another data set, and *index becomes its number there. NULL: items are its own. */
    const struct fa_dataset_body *(*part)(void *data, int64_t *index);
    /* What is known without reading an item; each may be NULL. */
    fa_names (*classes)(void *data);
    bool (*target)(void *data, int64_t index,
                   int64_t *target);   /* of its own items; false, without an error: not known */
    fa_buffer *(*targets)(void *data); /* those of all items, int64 [length], where they lie in memory so */
    size_t (*notes)(void *data, char *text, size_t size); /* as fa_dataset_notes */
    /* By what an item of its own is known again, without decoding it; `look`: its content, too. NULL: by nothing but
     * its target. */
    fa_item_trace (*trace)(void *data, int64_t index, bool look);
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
/* Of a data set whose items need not be read for it: some milliseconds for a hundred thousand of them. */
fa_fingerprint fa_dataset_fingerprint(const fa_dataset_body *body);
/* The body of a live data set, NULL after an error. */
fa_dataset_body *fa_dataset_use(fa_dataset *dataset, const char *what, fa_where where);
bool fa_dataset_prepare(fa_dataset_body *body);
/* The kind's, or what stands for a NULL one. */
fa_names fa_dataset_names(const fa_dataset_body *body);
size_t fa_dataset_note(const fa_dataset_body *body, char *text, size_t size);
/* A tensor over memory that the buffer keeps. NULL after an error. */
fa_tensor *fa_tensor_over(fa_buffer *buffer, const fa_meta *meta);
/* Copies `text` into `to` as fa_item_name writes; returns its length. */
size_t fa_text_into(char *to, size_t size, const char *text);
/* Checks the numbers, then fetches: what data sets made of others call. */
bool fa_dataset_fetch(fa_dataset_body *body, const int64_t *indices, int64_t n, fa_collate *batch);
/* The same, one item after the other, for whoever wants the batch: an error names its item, or with `skip` the item is
 * left out and noted. Errors that are not an item's (memory, state, items that do not fit together) end it always. */
bool fa_dataset_collect(fa_dataset_body *body, const int64_t *indices, int64_t n, fa_collate *batch);
/* Whether such an error is an item's. */
bool fa_is_bad_item(const fa_collate *batch, const fa_error_record *error);
/* The data set that an item is of, *index becomes its number there; NULL when there is no such item. */
const fa_dataset_body *fa_dataset_innermost(const fa_dataset_body *body, int64_t *index);
/* Adds to an error which item it is: " (item 7 of the data set, cats/7.jpg)". */
void fa_dataset_name_item(const fa_dataset_body *body, int64_t index, fa_error_record *error);

#endif
