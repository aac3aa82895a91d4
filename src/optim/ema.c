/* Running means of weights: torch.optim.swa_utils.AveragedModel. One effect a tensor; its arithmetic is the op average.
 */
#include "nn/state.h"
#include "optim/optim.h"

#include <string.h>

typedef struct ema_entry {
    fa_leaf *weight, *mean;
    char *name;
    bool buffer;
} ema_entry;

/* A key of the state dict; tied weights have several. */
typedef struct ema_key {
    char *name; /* "module.conv.weight" */
    int64_t entry;
} ema_key;

/* Of the module, as `_metadata` has it. */
typedef struct ema_module {
    char *path; /* "module.conv" */
    int64_t version;
} ema_module;

struct fa_ema {
    double decay;
    bool use_buffers;
    int64_t updates, count;
    ema_entry *entry; /* parameters, then buffers */
    int64_t keys;
    ema_key *key; /* in the order of the module's state dict */
    int64_t modules;
    ema_module *module;
};

static atomic_llong live;

int64_t fa_ema_live_count(void)
{
    return (int64_t)atomic_load(&live);
}

void fa_ema_free(fa_ema *ema)
{
    if (!ema)
        return;
    /* Updates that are still to be run point at its count. */
    fa_flush();
    for (int64_t i = 0; i < ema->count; i++) {
        fa_leaf_release(ema->entry[i].weight);
        fa_leaf_release(ema->entry[i].mean);
        fa_mfree(ema->entry[i].name);
    }
    for (int64_t i = 0; i < ema->keys; i++)
        fa_mfree(ema->key[i].name);
    for (int64_t i = 0; i < ema->modules; i++)
        fa_mfree(ema->module[i].path);
    fa_mfree(ema->module);
    fa_mfree(ema->key);
    fa_mfree(ema->entry);
    fa_mfree(ema);
    atomic_fetch_sub(&live, 1);
}

static bool assign(fa_leaf *to, fa_leaf *from)
{
    fa_node *in[2] = {fa_leaf_node(to), fa_leaf_node(from)};
    return in[0] && in[1] && fa_record_effect(FA_OP_assign, 2, in, NULL, 0, NULL, 0);
}

static bool take(fa_ema *ema, fa_tensor_list list, bool buffer, fa_where where)
{
    for (int64_t i = 0; i < list.count; i++) {
        fa_leaf *weight = fa_handle_leaf(list.tensor[i]);
        if (!weight)
            return false;
        const size_t length = strlen(list.name[i]) + 1;
        ema_entry *e = &ema->entry[ema->count];
        *e = (ema_entry){.mean = fa_leaf_new(&weight->meta), .name = fa_malloc(length), .buffer = buffer};
        if (!e->mean || !e->name) {
            fa_leaf_release(e->mean);
            fa_mfree(e->name);
            return fa_ok() ? fa_fail_memory(where, length) : false;
        }
        memcpy(e->name, list.name[i], length);
        e->weight = fa_leaf_retain(weight);
        ema->count++;
        if (!assign(e->mean, weight))
            return false;
    }
    return true;
}

/* Which of the tensors are saved, and as what. */
static bool take_keys(fa_ema *ema, fa_tensor_list list, fa_where where)
{
    static const char prefix[] = "module.";
    ema->key = fa_calloc((size_t)list.count + 1, sizeof *ema->key);
    if (!ema->key)
        return fa_fail_memory(where, (size_t)list.count * sizeof *ema->key);
    for (int64_t i = 0; i < list.count; i++) {
        const fa_leaf *leaf = fa_handle_leaf(list.tensor[i]);
        int64_t at = 0;
        while (at < ema->count && ema->entry[at].weight != leaf)
            at++;
        if (at == ema->count)
            continue;
        const size_t length = strlen(list.name[i]) + sizeof prefix;
        char *name = fa_malloc(length);
        if (!name)
            return fa_fail_memory(where, length);
        memcpy(name, prefix, sizeof prefix - 1);
        memcpy(name + sizeof prefix - 1, list.name[i], length - sizeof prefix + 1);
        ema->key[ema->keys++] = (ema_key){name, at};
    }
    return true;
}

/* The paths and versions of the modules, so that the average does not need the module any more. */
static bool take_modules(fa_ema *ema, fa_module *module, fa_where where)
{
    fa_scope_guard scope = fa_scope_begin_at(where);
    fa_value *metadata = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_ORDERED_DICT, where);
    bool fine = metadata && fa_state_metadata(metadata, module, "module", where);
    ema->module = fine ? fa_calloc((size_t)fa_len(metadata), sizeof *ema->module) : NULL;
    fine = fine && (ema->module || fa_fail_memory(where, (size_t)fa_len(metadata) * sizeof *ema->module));
    for (int64_t i = 0; fine && i < fa_len(metadata); i++) {
        const char *path = fa_as_string_at(fa_key_at(metadata, i), where);
        fa_value *version = fa_state_entry(fa_value_at(metadata, i), "version", where);
        char *copy = path && version ? fa_strdup(path) : NULL;
        fine = copy || (fa_ok() && fa_fail_memory(where, 1));
        if (fine)
            ema->module[ema->modules++] = (ema_module){copy, fa_as_int_at(version, where)};
    }
    fa_scope_end_(&scope);
    return fine;
}

fa_ema *fa_ema_new_at(const fa_ema_args *args)
{
    static const char what[] = "fa_ema_new";
    fa_begin(args->where_);
    if (!args->module) {
        if (fa_ok())
            fa_fail(FA_VALUE_ERROR, args->where_, what, "got no module, needs one. Hint: fa_ema_new(model)");
        return NULL;
    }
    if (args->decay != FA_SWA && !(args->decay >= 0 && args->decay <= 1)) {
        fa_fail(FA_VALUE_ERROR, args->where_, what,
                "got decay %g, needs 0 to 1. Hint: 0.999 is usual; left out, the mean of all updates", args->decay);
        return NULL;
    }
    const fa_tensor_list parameters = fa_parameters_at(args->module, args->where_);
    const fa_tensor_list buffers = fa_buffers_at(args->module, args->where_);
    fa_ema *ema = fa_calloc(1, sizeof *ema);
    if (ema)
        ema->entry = fa_calloc((size_t)(parameters.count + buffers.count + 1), sizeof *ema->entry);
    if (!ema || !ema->entry) {
        fa_mfree(ema);
        fa_fail_memory(args->where_, (size_t)(parameters.count + buffers.count) * sizeof(ema_entry));
        return NULL;
    }
    atomic_fetch_add(&live, 1);
    ema->decay = args->decay;
    ema->use_buffers = args->use_buffers;
    if (fa_ok() && take(ema, parameters, false, args->where_) && take(ema, buffers, true, args->where_) &&
        take_keys(ema, fa_state_list_at(args->module, args->where_), args->where_) &&
        take_modules(ema, args->module, args->where_) && fa_ok())
        return ema;
    fa_ema_free(ema);
    return NULL;
}

/* False after raising an error, and while one stands. */
static bool usable(const fa_ema *ema, const char *what, fa_where where)
{
    if (!fa_ok())
        return false;
    fa_begin(where);
    return ema || fa_fail(FA_STATE_ERROR, where, what, "got NULL, needs an average. Hint: was it made?");
}

bool fa_ema_update_at(fa_ema *ema, fa_where where)
{
    if (!usable(ema, "fa_ema_update", where))
        return false;
    const bool swa = ema->decay == FA_SWA;
    const int64_t ints[1] = {swa};
    const double number = swa ? (double)(ema->updates + 1) : 1 - ema->decay;
    for (int64_t i = 0; i < ema->count; i++) {
        const ema_entry *e = &ema->entry[i];
        fa_node *in[2] = {fa_leaf_node(e->mean), fa_leaf_node(e->weight)};
        const bool copied = ema->updates == 0 || (e->buffer && !ema->use_buffers);
        if (!in[0] || !in[1] ||
            !(copied ? fa_record_effect(FA_OP_assign, 2, in, NULL, 0, NULL, 0)
                     : fa_record_effect(FA_OP_average, 2, in, ints, sizeof ints, &number, 1)))
            return false;
    }
    ema->updates++;
    if (ema->count > 0)
        fa_effect_counts(&ema->updates);
    return true;
}

static bool same_meta(const fa_meta *a, const fa_meta *b)
{
    return a->dtype == b->dtype && a->ndim == b->ndim && memcmp(a->shape, b->shape, sizeof(int64_t) * a->ndim) == 0;
}

static bool copy_list(const fa_ema *ema, fa_tensor_list list, bool buffers, fa_where where)
{
    int64_t k = 0;
    for (int64_t i = 0; i < ema->count; i++) {
        const ema_entry *e = &ema->entry[i];
        if (e->buffer != buffers)
            continue;
        fa_leaf *to = k < list.count ? fa_handle_leaf(list.tensor[k++]) : NULL;
        if (!to || !same_meta(&to->meta, &e->mean->meta))
            return fa_fail(FA_SHAPE_ERROR, where, "fa_ema_copy_to",
                           "got a module with %s %s where the average has %s %s, needs the same tensors. Hint: give a "
                           "module made by the same code",
                           to ? list.name[k - 1] : "no tensor", to ? fa_shape_text(&to->meta) : "", e->name,
                           fa_shape_text(&e->mean->meta));
    }
    if (k == list.count)
        return true;
    return fa_fail(FA_SHAPE_ERROR, where, "fa_ema_copy_to",
                   "got a module with %s, which the average lacks, needs the same tensors. Hint: give a module made by "
                   "the same code",
                   list.name[k]);
}

bool fa_ema_copy_to_at(fa_ema *ema, fa_module *module, fa_where where)
{
    if (!usable(ema, "fa_ema_copy_to", where))
        return false;
    const fa_tensor_list list[2] = {fa_parameters_at(module, where), fa_buffers_at(module, where)};
    if (!fa_ok() || !copy_list(ema, list[0], false, where) || !copy_list(ema, list[1], true, where))
        return false;
    int64_t at[2] = {0};
    for (int64_t i = 0; i < ema->count; i++) {
        const int which = ema->entry[i].buffer;
        if (!assign(fa_handle_leaf(list[which].tensor[at[which]++]), ema->entry[i].mean))
            return false;
    }
    return true;
}

bool fa_ema_swap_at(fa_ema *ema, fa_where where)
{
    if (!usable(ema, "fa_ema_swap", where))
        return false;
    for (int64_t i = 0; i < ema->count; i++) {
        fa_leaf *a = ema->entry[i].weight, *b = ema->entry[i].mean;
        if (!fa_leaf_data_mut(a, where) || !fa_leaf_data_mut(b, where))
            return false;
        fa_buffer *buffer = a->buffer;
        a->buffer = b->buffer;
        b->buffer = buffer;
    }
    return true;
}

int64_t fa_ema_count(const fa_ema *ema)
{
    return ema ? ema->updates : 0;
}

fa_tensor *fa_ema_find_at(fa_ema *ema, const char *key, fa_where where)
{
    if (!usable(ema, "fa_ema_find", where))
        return NULL;
    for (int64_t i = 0; i < ema->count; i++)
        if (strcmp(ema->entry[i].name, key) == 0)
            return fa_leaf_handle(ema->entry[i].mean);
    fa_fail(FA_VALUE_ERROR, where, "fa_ema_find",
            "got key \"%s\", needs one of the module's parameters or buffers. Hint: fa_parameters(model).name lists "
            "them",
            key);
    return NULL;
}

/* ---- State dicts ---------------------------------------------------------------------------------------------------
 */

/* PyTorch's n_averaged: a tensor of one int64. NULL after an error. */
static fa_leaf *count_leaf(int64_t updates)
{
    const fa_meta meta = fa_meta_of(FA_DT_INT64, 0, NULL);
    fa_leaf *leaf = fa_leaf_new(&meta);
    if (leaf)
        *(int64_t *)leaf->buffer->data = updates;
    return leaf;
}

/* AveragedModel is a module itself, of version 1. */
static bool add_metadata(fa_value *dict, const fa_ema *ema, fa_where where)
{
    fa_value *metadata = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_ORDERED_DICT, where);
    fa_value *attributes = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    for (int64_t i = -1; i < ema->modules; i++) {
        fa_value *entry = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
        if (!fa_state_put(entry, "version", fa_value_int_at(i < 0 ? 1 : ema->module[i].version, where), where) ||
            !fa_state_put(metadata, i < 0 ? "" : ema->module[i].path, entry, where))
            return false;
    }
    return fa_state_put(attributes, "_metadata", metadata, where) && fa_set_attributes_at(dict, attributes, where);
}

fa_value *fa_ema_state_dict_at(fa_ema *ema, fa_where where)
{
    if (!usable(ema, "fa_state_dict", where) || !fa_flush())
        return NULL;
    fa_leaf *updates = count_leaf(ema->updates);
    fa_value *dict = updates ? fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_ORDERED_DICT, where) : NULL;
    bool fine = dict && fa_state_put(dict, "n_averaged", fa_value_of_leaf(updates, where), where);
    fa_leaf_release(updates);
    for (int64_t i = 0; fine && i < ema->keys; i++)
        fine = fa_state_put(dict, ema->key[i].name, fa_value_of_leaf(ema->entry[ema->key[i].entry].mean, where), where);
    return fine && add_metadata(dict, ema, where) ? dict : NULL;
}

bool fa_ema_load_state_dict_at(fa_ema *ema, const fa_load_state_dict_args *args)
{
    static const char what[] = "fa_load_state_dict";
    static const char counter[] = ".num_batches_tracked";
    fa_report_clear();
    if (!usable(ema, what, args->where_) || !fa_flush())
        return false;
    fa_leaf *updates = count_leaf(ema->updates);
    fa_state_target *target = updates ? fa_calloc((size_t)ema->keys + 1, sizeof *target) : NULL;
    if (!target) {
        fa_leaf_release(updates);
        return updates ? fa_fail_memory(args->where_, (size_t)ema->keys * sizeof *target) : false;
    }
    target[0] = (fa_state_target){.key = "n_averaged", .leaf = updates};
    for (int64_t i = 0; i < ema->keys; i++) {
        const char *key = ema->key[i].name;
        const size_t length = strlen(key), tail = sizeof counter - 1;
        target[i + 1] = (fa_state_target){.key = key,
                                          .leaf = ema->entry[ema->key[i].entry].mean,
                                          .optional = length >= tail && strcmp(key + length - tail, counter) == 0};
    }
    const bool fine = fa_state_load(target, ema->keys + 1, "the average", args, what);
    const int64_t count = *(const int64_t *)updates->buffer->data;
    if (fine)
        ema->updates = count > 0 ? count : 0;
    fa_mfree(target);
    fa_leaf_release(updates);
    return fine;
}
