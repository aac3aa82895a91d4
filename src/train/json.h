/* A reader of JSON texts from files: strict, bounded in depth, everything in one array. */
#ifndef FA_TRAIN_JSON_H
#define FA_TRAIN_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum fa_json_kind {
    FA_JSON_NULL,
    FA_JSON_FALSE,
    FA_JSON_TRUE,
    FA_JSON_NUMBER,
    FA_JSON_TEXT,
    FA_JSON_ARRAY,
    FA_JSON_OBJECT
} fa_json_kind;

typedef struct fa_json_value {
    fa_json_kind kind;
    const char *key;  /* of a member of an object; NULL elsewhere */
    const char *text; /* FA_JSON_TEXT: without escapes, ended by 0; it holds no 0 */
    double number;
    int32_t count;       /* members of an array or object */
    int32_t first, next; /* its first member; the member after this one; -1: none */
} fa_json_value;

typedef struct fa_json {
    fa_json_value *value; /* [0]: the whole */
    int32_t count, capacity;
    char *text; /* the strings lie in it */
} fa_json;

/* Reads `bytes` of text, which is copied. False without memory or when it is no JSON: then `at` is the place of the
 * mistake, or -1 for want of memory. Nesting of more than 64 is a mistake. */
bool fa_json_read(fa_json *json, const char *text, size_t bytes, int64_t *at);
void fa_json_free(fa_json *json);

/* The member of an object; NULL if `object` is NULL, no object, or has none of that key. */
const fa_json_value *fa_json_get(const fa_json *json, const fa_json_value *object, const char *key);
/* For a walk over members: the first, the following one; NULL at the end. */
const fa_json_value *fa_json_first(const fa_json *json, const fa_json_value *parent);
const fa_json_value *fa_json_next(const fa_json *json, const fa_json_value *member);
/* The text of a member, `otherwise` if it is none; the same for a number, and a whole number within +-2^53. */
const char *fa_json_text(const fa_json *json, const fa_json_value *object, const char *key, const char *otherwise);
double fa_json_number(const fa_json *json, const fa_json_value *object, const char *key, double otherwise);
bool fa_json_whole(const fa_json_value *value, int64_t *whole);

#endif
