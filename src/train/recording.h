/* A recording of a PyTorch run, as python/facula_recorder.py writes it: RUN.json, and RUN.safetensors beside it. */
#ifndef FA_TRAIN_RECORDING_H
#define FA_TRAIN_RECORDING_H

#include "facula/tensor.h"
#include "train/json.h"

typedef struct fa_recorded {
    const char *name;
    fa_dtype dtype;
    fa_shape shape;
    int64_t numel;
    const void *data; /* row-major, aligned for its type */
} fa_recorded;

typedef struct fa_recording {
    char *path;
    fa_json run, header; /* the two files' texts */
    fa_recorded *values; /* sorted by name */
    int64_t value_count;
    char *bytes; /* of the second file */
    int64_t step_count;
    const fa_json_value **step; /* [step_count] */
} fa_recording;

/* NULL after raising an error at `where` that names the file; every size is checked before it is believed. */
fa_recording *fa_recording_open(const char *path, fa_where where);
void fa_recording_close(fa_recording *recording);

/* The value of a name, put together as by printf: "%d/images". NULL if there is none. */
const fa_recorded *fa_recording_find(const fa_recording *recording, const char *format, ...) FA_PRINTF_(2, 3);
/* Element i as a double (an int64 above 2^53 is rounded). */
double fa_recorded_element(fa_dtype dtype, const void *data, int64_t i);
/* Whether the first steps' details were recorded, up to and with step k (from 1). */
bool fa_recording_details(const fa_recording *recording, int64_t k);

#endif
