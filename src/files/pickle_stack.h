/* The pickle machine between its two files: what opcodes do to bytes, stack, marks and memo. Each returns false, or
 * NULL, after an error. */
#ifndef FACULA_FILES_PICKLE_STACK_H
#define FACULA_FILES_PICKLE_STACK_H

#include "files/pickle_reader.h"

enum { FA_PICKLE_NAME = 256 }; /* bytes of the longest module or class name, with its end */

/* fa_pickle_refuse of a plain text. */
bool fa_pickle_fail(fa_pickle_reader *r, const char *text);

/* From the bytes: a number of so many, a line without its end. */
bool fa_pickle_take_number(fa_pickle_reader *r, int bytes, uint64_t *out);
bool fa_pickle_take_line(fa_pickle_reader *r, char line[FA_PICKLE_NAME]);

/* The stack holds its cells; `push` takes over the caller's hold, also when it fails. */
bool fa_pickle_push(fa_pickle_reader *r, fa_cell *cell);
/* Whether so many stand above the mark. */
bool fa_pickle_needs(fa_pickle_reader *r, int64_t n);
fa_cell *fa_pickle_top(const fa_pickle_reader *r);
void fa_pickle_pop_to(fa_pickle_reader *r, int64_t height);
bool fa_pickle_push_mark(fa_pickle_reader *r);

/* The memo. */
bool fa_pickle_put(fa_pickle_reader *r, uint64_t number);
bool fa_pickle_get(fa_pickle_reader *r, uint64_t number);

/* Keeps a container or object for the end, when cycles are looked for. */
fa_cell *fa_pickle_remember(fa_pickle_reader *r, fa_cell *cell);
bool fa_pickle_push_container(fa_pickle_reader *r, int kind, int flavour);

/* Values of opcodes. */
bool fa_pickle_push_number(fa_pickle_reader *r, int kind, int64_t number);
bool fa_pickle_push_float(fa_pickle_reader *r);
bool fa_pickle_push_long(fa_pickle_reader *r, uint64_t n);
bool fa_pickle_push_text(fa_pickle_reader *r, int length_bytes, int kind, int flavour);

/* What stands from a height on, or above the mark, goes into a tuple, or into the container below it. */
bool fa_pickle_make_tuple(fa_pickle_reader *r, int64_t from);
bool fa_pickle_tuple_of(fa_pickle_reader *r, int64_t n);
bool fa_pickle_append_all(fa_pickle_reader *r, int64_t from, bool set);
bool fa_pickle_put_all(fa_pickle_reader *r, int64_t from);
bool fa_pickle_marked(fa_pickle_reader *r, bool (*act)(fa_pickle_reader *, int64_t));
bool fa_pickle_append_list(fa_pickle_reader *r, int64_t from);
bool fa_pickle_add_set(fa_pickle_reader *r, int64_t from);

#endif
