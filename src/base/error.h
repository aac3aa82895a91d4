/* The sticky error of a thread, and the parts that every message has. */
#ifndef FA_BASE_ERROR_H
#define FA_BASE_ERROR_H

#include "facula/base.h"

#include <stdarg.h>

/* Raises `kind` at `where` for an op or call named `what` ("conv2d"); the layer's path is added when a module is
 * running: "main.c:12: conv2d (features.0): got ...". `format` says what was got, what was needed, and ends in
 * "Hint: ..." where there is one. Keeps the first error only. Always returns false. */
bool fa_fail(fa_error_kind kind, fa_where where, const char *what, const char *format, ...) FA_PRINTF_(4, 5);
/* The same for memory: "main.c:12: no memory for 4096 bytes. Hint: ...". */
bool fa_fail_memory(fa_where where, size_t bytes);

/* An error that arose on another thread, kept to be raised on the caller's. */
typedef struct fa_error_record {
    fa_error_kind kind;
    fa_where where;
    char message[4096];
} fa_error_record;
/* Takes the calling thread's error out (kind FA_NO_ERROR if none) and clears it; and puts one back. */
void fa_error_take(fa_error_record *record);
void fa_error_put(const fa_error_record *record);

/* `path` of the running module, set by nn/ as it enters and leaves forward; the string must outlive the call. */
typedef const char *(*fa_layer_path_hook)(void);
void fa_error_set_layer_hook(fa_layer_path_hook hook);

#endif
