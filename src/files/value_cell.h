/* Cells: what handles of values stand for. Only value*.c and readers that build many values at once look inside. */
#ifndef FA_FILES_VALUE_CELL_H
#define FA_FILES_VALUE_CELL_H

#include "files/value.h"

#include <stdatomic.h>

typedef struct fa_cell fa_cell;

typedef struct fa_entries {
    int64_t count, capacity;
    fa_cell **item;
    fa_cell **key;       /* dict */
    uint32_t *index;     /* dict and set: slots that hold entry number + 1; NULL while there are few */
    int64_t slots;       /* a power of two */
    fa_cell *attributes; /* a dict; NULL: none */
} fa_entries;

typedef struct fa_object_body {
    char *module, *class_name;
    fa_cell *attributes;
} fa_object_body;

typedef struct fa_tensor_body {
    fa_storage *storage; /* NULL: only a leaf */
    fa_leaf *leaf;       /* NULL: not asked for yet */
    fa_tensor_view view; /* of the storage */
} fa_tensor_body;

struct fa_cell {
    uint32_t index;
    atomic_uint generation; /* odd: in use */
    atomic_uint holders;    /* containers, the scope, the program */
    uint32_t users;         /* the program's part of them */
    uint8_t kind, flavour;
    bool in_scope;
    uint32_t depth;  /* of a walk: containers on the longest way down, this one included */
    uint64_t mark;   /* of a walk: white below its number, grey at it, black one above */
    double unfolded; /* of a walk: values below it, each counted as often as it can be reached */
    union {
        int64_t number; /* BOOL, INT */
        double real;    /* FLOAT */
        struct {
            char *bytes; /* ends with a zero byte */
            int64_t length;
        } text;              /* STRING, BYTES, INT of flavour BIG */
        fa_entries *entries; /* LIST, TUPLE, DICT */
        fa_tensor_body *tensor;
        fa_object_body *object;
        struct {
            void *data; /* FA_CELL_PRIVATE */
            void (*end)(void *data);
        } private;
    } as;
    fa_cell *next; /* of the free ones, or of those that are ending */
};

/* A kind of a reader's own, for what must not get out: callables, storages. */
enum { FA_CELL_PRIVATE = 255 };

/* A cell with one holder, the caller; zeros behind it. NULL after an error. */
fa_cell *fa_cell_new(int kind, int flavour, fa_where where);
fa_cell *fa_cell_hold(fa_cell *cell);
void fa_cell_drop(fa_cell *cell); /* NULL is fine */
/* The holder becomes the current scope; the handle. NULL (cell dropped) after an error, and of NULL. */
fa_value *fa_cell_to_scope(fa_cell *cell, fa_where where);
/* The live cell of a handle; NULL without an error when there is none. */
fa_cell *fa_cell_of(const fa_value *value);
/* The same, raising an error. */
fa_cell *fa_cell_use(const fa_value *value, const char *what, fa_where where);
fa_value *fa_cell_handle(const fa_cell *cell);

/* Makers with the caller as the holder; NULL after an error. */
fa_cell *fa_cell_text(int kind, int flavour, const void *bytes, int64_t length, fa_where where);
fa_cell *fa_cell_container(int kind, int flavour, fa_where where);
fa_cell *fa_cell_object(const char *module, const char *class_name, fa_where where);
/* Appends to a list or tuple, puts into a dict or set; key and item are held. No look for cycles. False after an error.
 */
bool fa_cell_append(fa_cell *list, fa_cell *item, fa_where where);
bool fa_cell_put(fa_cell *dict, fa_cell *key, fa_cell *item, fa_where where);
bool fa_cell_set_attributes(fa_cell *cell, fa_cell *dict, fa_where where);
fa_cell *fa_cell_attributes(const fa_cell *cell);
/* Takes everything out, so that cycles end. */
void fa_cell_clear(fa_cell *container);
/* The entry of a key, NULL if there is none. `key` may lie anywhere. */
fa_cell *fa_cell_find(const fa_cell *dict, const fa_cell *key);
fa_cell *fa_cell_find_text(const fa_cell *dict, const char *text);
/* Whether a value can be a key: plain and unchangeable. */
bool fa_cell_is_key(const fa_cell *cell);
static inline bool fa_cell_is_text(const fa_cell *cell, const char *text)
{
    size_t length = __builtin_strlen(text);
    return cell->kind == FA_VALUE_STRING && cell->as.text.length == (int64_t)length &&
           __builtin_memcmp(cell->as.text.bytes, text, length) == 0;
}

/* A walk over everything that can be reached: refuses cycles, what nests deeper than FA_VALUE_MAX_DEPTH, private cells,
 * and what unfolds to more than `most` values. False after raising an error that begins with `name`. */
bool fa_cell_walk(fa_cell *root, double most, fa_error_kind kind, const char *what, const char *name, fa_where where);
/* Before `item` goes into `container`: false after an error when the container can be reached from the item, or the
 * item nests too deep. */
bool fa_cell_may_hold(const fa_cell *container, fa_cell *item, const char *what, fa_where where);

/* Structurally valid UTF-8 (surrogates pass, as Python writes them). */
bool fa_is_utf8(const void *bytes, int64_t length);

/* fa_value_of_storage with the caller as the holder. */
fa_cell *fa_cell_of_storage(fa_storage *storage, const fa_tensor_view *view, const char *name, fa_where where);
void fa_tensor_body_end(fa_tensor_body *body);

#endif
