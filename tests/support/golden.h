/* Golden data: an index in JSON beside tensors in a safetensors file, both made by the scripts of tests/golden/. */
#ifndef FA_TESTS_GOLDEN_H
#define FA_TESTS_GOLDEN_H

#include "facula/functional.h"

#include <cjson/cJSON.h>

typedef struct golden_tensor {
    char *name;
    fa_dtype dtype;
    fa_shape shape;
    int64_t numel;
    const void *data; /* row-major; aligned for its type */
} golden_tensor;

typedef struct golden_file {
    cJSON *index;           /* STEM.json */
    golden_tensor *tensors; /* of STEM.safetensors, sorted by name; none where the file does not exist */
    int count;
    void *bytes;
} golden_file;

/* Reads tests/golden/STEM.json and STEM.safetensors. False with a reason in `why` (at least 256 bytes). */
bool golden_open(golden_file *file, const char *stem, char *why);
void golden_close(golden_file *file);
/* The tensor of a name, put together as by printf; NULL if there is none. */
const golden_tensor *golden_find(const golden_file *file, const char *format, ...) FA_PRINTF_(2, 3);
/* Whether a JSON array of strings holds `word`. */
bool golden_has(const cJSON *array, const char *word);

#endif
