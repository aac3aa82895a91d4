/* `facula inspect`: the two forms of its output. */
#ifndef FACULA_CLI_INSPECT_H
#define FACULA_CLI_INSPECT_H

#include "values.h"

typedef struct inspected {
    const char *path, *format;
    long long bytes;
    fa_value *value;
    bool quick; /* no numbers are read */
} inspected;

/* Strings of a safetensors file's metadata, by name; NULL if there are none. */
fa_value *find_metadata(const inspected *file);

/* Tensors that have been met, so that one that shares its elements with an earlier one can name it. */
typedef struct seen_tensor {
    const void *data, *storage;
    int64_t bytes;
    char *name;
} seen_tensor;
typedef struct seen_tensors {
    seen_tensor *tensor;
    size_t count, capacity;
} seen_tensors;
/* The earlier tensor with the very same elements (*whole) or at least the same storage; NULL if there is none. The name
 * is copied. */
const char *find_tied(seen_tensors *seen, const fa_tensor_info *info, const char *name, bool *whole);
void free_seen(seen_tensors *seen);

/* False after an error of the library's. */
bool print_tree(const inspected *file);
bool print_json(const inspected *file);

#endif
