/* A recording of a PyTorch run, as python/facula_recorder.py writes it: RUN.json, and RUN.safetensors beside it. */
#ifndef FA_TRAIN_RECORDING_H
#define FA_TRAIN_RECORDING_H

#include "facula/files.h"
#include "facula/tensor.h"

/* A tensor of the second file. */
typedef struct fa_recorded {
    const char *name;
    fa_dtype dtype;
    fa_shape shape;
    int64_t numel;
    const void *data; /* row-major, aligned for its type */
} fa_recorded;

/* Options of a group of parameters. */
typedef enum fa_recorded_option {
    FA_RECORDED_LR,
    FA_RECORDED_MOMENTUM,
    FA_RECORDED_DAMPENING,
    FA_RECORDED_WEIGHT_DECAY,
    FA_RECORDED_BETA1,
    FA_RECORDED_BETA2,
    FA_RECORDED_EPS,
    FA_RECORDED_ALPHA,
    FA_RECORDED_LR_DECAY,
    FA_RECORDED_INITIAL_ACCUMULATOR_VALUE,
    FA_RECORDED_NESTEROV,
    FA_RECORDED_AMSGRAD,
    FA_RECORDED_CENTERED,
    FA_RECORDED_MAXIMIZE,
    FA_RECORDED_OPTIONS
} fa_recorded_option;

typedef struct fa_recorded_options {
    double value[FA_RECORDED_OPTIONS]; /* NaN: not recorded, this kind does not have it */
} fa_recorded_options;

typedef struct fa_recorded_names {
    char **name;
    int64_t count, capacity;
} fa_recorded_names;

typedef struct fa_recorded_group {
    fa_recorded_names params;
    fa_recorded_options options;
} fa_recorded_group;

typedef struct fa_recorded_criterion {
    char *name, *reduction;
    double ignore_index, label_smoothing, beta, delta;
} fa_recorded_criterion;

typedef struct fa_recorded_step {
    double loss; /* may be NaN or infinite */
    bool details;
    double gradient_scale;      /* by what gradients were multiplied before the optimizer's step; 1: not clipped */
    fa_recorded_options *group; /* what schedules change, as it was in this step; NaN: not recorded */
    int64_t group_count, group_capacity;
} fa_recorded_step;

typedef struct fa_recording {
    char *path;
    /* RUN.json */
    char *torch, *model, *optimizer;
    char *scheduler; /* NULL: none */
    uint64_t seed;
    fa_recorded_names layers, lines; /* each module's name, and what it prints */
    fa_recorded_names state;         /* names of the state dict, in order */
    fa_recorded_names frozen;        /* of parameters with requires_grad=False */
    fa_recorded_names shared, first; /* names of the state dict that are another one's tensor, and that one's */
    fa_recorded_names evaluating;    /* of modules in evaluation while the model trained */
    fa_recorded_criterion criterion;
    fa_recorded_group *group;
    int64_t group_count, group_capacity;
    fa_recorded_step *step;
    int64_t step_count, step_capacity;
    int64_t lost_step; /* the first one, from 1, whose loss is infinite or NaN; 0: none */
    /* RUN.safetensors */
    fa_value *file;
    fa_recorded *values; /* sorted by name */
    int64_t value_count;
} fa_recording;

/* NULL after raising an error at `where` that names the file; every size is checked before it is believed. */
fa_recording *fa_recording_open(const char *path, fa_where where);
void fa_recording_close(fa_recording *recording);
/* The text of RUN.json, checked for form and type; `path` is for messages. False after raising an error. */
bool fa_recording_read_run(fa_recording *recording, const char *text, size_t bytes, const char *path, fa_where where);
/* Frees what that has read. */
void fa_recording_free_run(fa_recording *recording);

/* The value of a name, put together as by printf: "%d/images". NULL if there is none. */
const fa_recorded *fa_recording_find(const fa_recording *recording, const char *format, ...) FA_PRINTF_(2, 3);
/* Element i as a double (an int64 above 2^53 is rounded). */
double fa_recorded_element(fa_dtype dtype, const void *data, int64_t i);
/* Whether the details of step k (from 1) were recorded. */
bool fa_recording_details(const fa_recording *recording, int64_t k);
bool fa_recorded_has(const fa_recorded_names *names, const char *name);

#endif
