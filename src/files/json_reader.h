/* Reading JSON from untrusted bytes, value by value, without a tree: the caller says what it expects next. Nothing is
 * allocated but the strings that are kept; depth is counted, never recursed into. */
#ifndef FA_FILES_JSON_READER_H
#define FA_FILES_JSON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fa_json {
    const char *begin, *at, *end;
    const char *problem; /* what was wrong at `at`; NULL: nothing yet */
} fa_json;

enum { FA_JSON_DEPTH = 64 };

fa_json fa_json_of(const char *bytes, size_t count);
/* Whether the bytes are UTF-8 as the standard has it (no surrogates, nothing overlong); else *bad is where not. */
bool fa_utf8_valid(const char *bytes, size_t count, size_t *bad);

/* Each skips white space first. False with `problem` set when something else stands there; once it is set, all fail. */
bool fa_json_take(fa_json *json, char c);
/* Whether `c` comes next; then it is taken. No problem if not. */
bool fa_json_has(fa_json *json, char c);
/* A string, decoded, as a new block that ends with a 0 behind its `length` bytes (fa_mfree). NULL: a problem, or no
 * memory ("no memory" is the problem then). */
char *fa_json_string(fa_json *json, size_t *length);
/* A whole number, 0 to INT64_MAX, without fraction or exponent. */
bool fa_json_count(fa_json *json, int64_t *value);
/* Any finite number; `true` or `false`. */
bool fa_json_number(fa_json *json, double *value);
bool fa_json_truth(fa_json *json, bool *value);
/* Whether null comes next; then it is taken. No problem if not. */
bool fa_json_null(fa_json *json);
/* The character with which the next value begins; 0 at the end. Takes nothing. */
char fa_json_peek(fa_json *json);
/* Any value, which is checked and passed over. */
bool fa_json_skip(fa_json *json);
/* Nothing but white space follows. */
bool fa_json_done(fa_json *json);

#endif
