/* What the loaders of state dicts share: modules, averages, optimizers, schedules. */
#ifndef FA_NN_STATE_H
#define FA_NN_STATE_H

#include "facula/state.h"
#include "files/value.h"

/* The calling thread's report (fa_load_report): made empty, and a line added. */
void fa_report_clear(void);
void fa_report_add(const char *format, ...) FA_PRINTF_(1, 2);

/* A tensor that a state dict is loaded into. */
typedef struct fa_state_target {
    const char *key;
    fa_leaf *leaf;
    bool optional;    /* may be missing (num_batches_tracked) */
    const void *from; /* the loader's own */
} fa_state_target;

/* Loads a state, found in what PyTorch's users save (facula/state.h), into the targets. `noun` is what they belong to,
 * for messages: "SimpleCNN". False after an error, and then nothing has changed. */
bool fa_state_load(fa_state_target *target, int64_t count, const char *noun, const fa_load_state_dict_args *args,
                   const char *what);

/* Puts a tensor's elements, converted to `dtype`, row-major. The view stays valid meanwhile. */
bool fa_view_convert(void *to, int dtype, const fa_tensor_view *view, fa_where where);
/* Whether a tensor of a file can be converted to what is computed in (complex numbers cannot). */
bool fa_view_converts(const fa_tensor_view *view);
/* "[2, 3]" into a ring of buffers. */
const char *fa_view_text(const fa_tensor_view *view);

/* Entry of a dict, NULL without an error. */
fa_value *fa_state_entry(fa_value *dict, const char *name, fa_where where);
/* Adds "name": x to a dict; false after an error (of making x too). */
bool fa_state_put(fa_value *dict, const char *name, fa_value *x, fa_where where);
/* The `_metadata` of a module under a prefix, added to a dict: {"version": n} a path. False after an error. */
bool fa_state_metadata(fa_value *dict, fa_module *module, const char *prefix, fa_where where);

#endif
