/* The pickle machine: protocols 2 to 4, as far as plain data needs them. Nothing is ever called by name: what a global
 * stands for is a table of the caller's, and what is in none is refused.
 *
 * A hostile pickle costs memory and time in proportion to its length: every byte makes at most one cell, lengths are
 * compared with what is left, memo numbers with what has been read, and copies of what was stored are counted. */
#ifndef FA_FILES_PICKLE_READER_H
#define FA_FILES_PICKLE_READER_H

#include "files/value_cell.h"

typedef struct fa_pickle_reader fa_pickle_reader;
typedef struct fa_pickle_global fa_pickle_global;

/* One name that may be asked for. */
struct fa_pickle_global {
    const char *module, *name;
    /* What the callable gives for a tuple of arguments (the caller holds the result); NULL after an error. A NULL
     * function: it cannot be called. */
    fa_cell *(*call)(fa_pickle_reader *reader, const fa_pickle_global *global, fa_cell *args);
    /* The global's own value (a dtype), instead of something to call; NULL: none. */
    fa_cell *(*value)(fa_pickle_reader *reader, const fa_pickle_global *global);
    int number; /* the table's own */
};

/* For tables: keeps what a callable was called with and built from, as an object of this name with attributes `args`
 * and, where it was given one, `state`. */
fa_cell *fa_pickle_record(fa_pickle_reader *reader, const fa_pickle_global *global, fa_cell *args);

/* getattr(owner, "name") of an owner that may be named: owner.name, by name. For tables. */
fa_cell *fa_pickle_attribute(fa_pickle_reader *reader, const fa_pickle_global *getattr, fa_cell *args);

typedef struct fa_pickle_rules {
    const fa_pickle_global *globals;
    int count;
    /* Objects of unknown classes are kept as records when they hold _parameters or _modules. */
    bool modules;
    /* Which classes and functions outside of the table may be values by themselves, as attributes of modules are: they
     * become objects without attributes. A call of one is kept as a record. NULL: none. */
    bool (*may_be_named)(const char *module, const char *name);
    /* What a persistent id stands for (the caller holds it); NULL after an error. A NULL function: ids are refused. */
    fa_cell *(*persistent)(fa_pickle_reader *reader, fa_cell *id);
} fa_pickle_rules;

struct fa_pickle_reader {
    const uint8_t *bytes;
    size_t length, at; /* `at`: behind the pickle once it is read, where the next one may begin */
    const fa_pickle_rules *rules;
    const char *path; /* the file, for messages */
    const char *part; /* "data.pkl" */
    const char *what;
    fa_where where;
    void *user; /* the caller's own */

    /* The machine's. */
    size_t begin, op_at;
    fa_cell **stack, **memo, **made; /* made: containers and objects, so that cycles can be taken apart */
    int64_t height, stack_capacity, memo_size, made_count, made_capacity;
    int64_t *marks;
    int64_t mark_count, mark_capacity;
    int64_t cells;
    uint64_t spent; /* by fa_pickle_spend */
};

/* Reads one pickle that begins at `at`. The result has one holder, the caller; it holds plain values, tensors and
 * records only, without cycles. NULL after an error. */
fa_cell *fa_pickle_read(fa_pickle_reader *reader);

/* For tables: */

/* Raises an error "PATH: ... (byte N of PART)"; returns NULL. */
fa_cell *fa_pickle_refuse(fa_pickle_reader *reader, const char *format, ...) FA_PRINTF_(2, 3);
/* The global that a cell stands for; NULL when it is none of the table's. */
const fa_pickle_global *fa_pickle_global_of(const fa_cell *cell);
/* The name of one that is known by its name only, if that can be printed; NULL: it is none. */
const char *fa_pickle_name_of(const fa_cell *cell);
/* Raises an error that names the global that a cell stands for, or says that it stands for none; returns false. */
bool fa_pickle_forbid(fa_pickle_reader *reader, const fa_cell *cell);
/* The bytes that are the code points of a string; NULL after an error: one is beyond 255. */
fa_cell *fa_pickle_latin1(fa_pickle_reader *reader, const fa_cell *text);
/* Before work that is more than the bytes that ask for it: making `bytes` of memory out of something that may be in the
 * memo. False after an error: all of it together is out of proportion to the pickle. */
bool fa_pickle_spend(fa_pickle_reader *reader, int64_t bytes);
/* The same for the entries of a container that is made of another one. */
bool fa_pickle_spend_entries(fa_pickle_reader *reader, const fa_cell *container);
/* Whether it can be the key of a dict, or in a set; false after an error. `whose`: "a dict", "a set". */
bool fa_pickle_check_key(fa_pickle_reader *reader, const fa_cell *key, const char *whose);
/* Item i of a tuple; NULL past its end, and of anything else. */
fa_cell *fa_pickle_arg(const fa_cell *tuple, int64_t i);

#endif
