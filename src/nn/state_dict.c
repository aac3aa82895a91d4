/* State dicts of modules and generators, and what all state dicts share. */
#include "nn/state.h"

#include "base/error.h"
#include "base/number_text.h"
#include "nn/module.h"

#include <string.h>

/* ---- The report of a load -----------------------------------------------------------------------------------------
 */

static _Thread_local char report[1 << 16]; /* the names of a network of a thousand tensors */

const char *fa_load_report(void)
{
    return report;
}

void fa_report_clear(void)
{
    report[0] = '\0';
}

void fa_report_add(const char *format, ...)
{
    size_t length = strlen(report);
    if (length > 0 && length + 1 < sizeof report) {
        report[length++] = '\n';
        report[length] = '\0';
    }
    va_list list;
    va_start(list, format);
    const int n = fa_text_print_list(report + length, sizeof report - length, format, list);
    va_end(list);
    if (n >= 0 && (size_t)n >= sizeof report - length)
        memcpy(report + sizeof report - 4, "...", 4);
}

/* ---- Entries ------------------------------------------------------------------------------------------------------
 */

fa_value *fa_state_entry(fa_value *dict, const char *name, fa_where where)
{
    const fa_key key = {.text = name};
    return fa_kind_of(dict) == FA_VALUE_DICT && fa_has_at(dict, key, where) ? fa_get_at(dict, key, where) : NULL;
}

bool fa_state_put(fa_value *dict, const char *name, fa_value *x, fa_where where)
{
    return dict != NULL && x != NULL && fa_dict_put_at(dict, fa_value_string_at(name, where), x, where) != NULL;
}

/* PyTorch's _version of a class: 2 since batch norm counts its batches. */
static int64_t version_of(const fa_module *module)
{
    const char *name = fa_class_name(module);
    return strncmp(name, "BatchNorm", 9) == 0 || strncmp(name, "InstanceNorm", 12) == 0 ? 2 : 1;
}

/* The path is put together in `path`, which ends as it began. */
static bool add_metadata(fa_value *dict, fa_module *module, fa_text *path, fa_where where)
{
    const size_t length = path->length;
    fa_value *entry = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    if (path->failed)
        return fa_fail_memory(where, length);
    if (!fa_state_put(entry, "version", fa_value_int_at(version_of(module), where), where) ||
        !fa_state_put(dict, path->data != NULL ? path->data : "", entry, where))
        return false;
    for (int64_t i = 0; i < fa_child_count(module); i++) {
        fa_text_add(path, "%s%s", length > 0 ? "." : "", fa_child_name(module, i));
        if (!add_metadata(dict, fa_child(module, i), path, where))
            return false;
        path->length = length;
        if (path->data != NULL)
            path->data[length] = '\0';
    }
    return true;
}

bool fa_state_metadata(fa_value *dict, fa_module *module, const char *prefix, fa_where where)
{
    fa_text path = {0};
    fa_text_add(&path, "%s", prefix);
    const bool fine = add_metadata(dict, module, &path, where);
    fa_text_free(&path);
    return fine;
}

/* ---- Modules ------------------------------------------------------------------------------------------------------
 */

fa_value *fa_module_state_dict_at(fa_module *module, fa_where where)
{
    if (!fa_module_check(module, "fa_state_dict", where))
        return NULL;
    fa_begin(where);
    const fa_tensor_list list = fa_state_list_at(module, where);
    fa_value *state = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_ORDERED_DICT, where);
    fa_value *metadata = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_ORDERED_DICT, where);
    fa_value *attributes = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    bool fine = fa_ok() && state != NULL && metadata != NULL && attributes != NULL;
    for (int64_t i = 0; fine && i < list.count; i++)
        fine = fa_state_put(state, list.name[i], fa_value_of_leaf(fa_handle_leaf(list.tensor[i]), where), where);
    fine = fine && fa_state_metadata(metadata, module, "", where) &&
           fa_state_put(attributes, "_metadata", metadata, where) && fa_set_attributes_at(state, attributes, where);
    return fine ? state : NULL;
}

/* A batch norm keeps its own count where the file has none (written before PyTorch 0.4.1). */
static bool is_count(const char *key)
{
    static const char name[] = "num_batches_tracked";
    const size_t length = strlen(key), tail = sizeof name - 1;
    return length >= tail && strcmp(key + length - tail, name) == 0 &&
           (length == tail || key[length - tail - 1] == '.');
}

bool fa_module_load_state_dict_at(fa_module *module, const fa_load_state_dict_args *args)
{
    static const char what[] = "fa_load_state_dict";
    fa_report_clear();
    fa_begin(args->where_);
    if (!fa_ok() || !fa_module_check(module, what, args->where_))
        return false;
    const fa_tensor_list list = fa_state_list_at(module, args->where_);
    if (!fa_ok())
        return false;
    fa_state_target *target = fa_calloc((size_t)list.count + 1, sizeof *target);
    if (target == NULL)
        return fa_fail_memory(args->where_, (size_t)list.count * sizeof *target);
    for (int64_t i = 0; i < list.count; i++)
        target[i] = (fa_state_target){
            .key = list.name[i], .leaf = fa_handle_leaf(list.tensor[i]), .optional = is_count(list.name[i])};
    const bool fine = fa_state_load(target, list.count, fa_class_name(module), args, what);
    fa_mfree(target);
    return fine;
}

/* ---- Generators ---------------------------------------------------------------------------------------------------
 */

fa_value *fa_generator_state_dict_at(fa_generator *generator, fa_where where)
{
    uint8_t bytes[FA_GENERATOR_STATE_SIZE];
    const int64_t size = sizeof bytes;
    fa_begin(where);
    fa_generator_get_state(generator, bytes);
    const fa_meta meta = fa_meta_of(FA_DT_UINT8, 1, &size);
    fa_leaf *leaf = fa_leaf_new(&meta);
    if (leaf == NULL)
        return NULL;
    memcpy(leaf->buffer->data, bytes, sizeof bytes);
    fa_value *value = fa_value_of_leaf(leaf, where);
    fa_leaf_release(leaf);
    return value;
}

bool fa_generator_load_state_dict_at(fa_generator *generator, const fa_load_state_dict_args *args)
{
    static const char what[] = "fa_load_state_dict";
    uint8_t bytes[FA_GENERATOR_STATE_SIZE];
    fa_tensor_view view;
    fa_report_clear();
    fa_begin(args->where_);
    if (!fa_ok() || !fa_value_check(args->state, FA_VALUE_TENSOR, what, args->where_) ||
        !fa_value_view(args->state, &view, args->where_))
        return false;
    if (view.stored != FA_STORED_UINT8 || view.elements != FA_GENERATOR_STATE_SIZE)
        return fa_fail(FA_VALUE_ERROR, args->where_, what,
                       "got a tensor of %s %s as a generator's state, needs the %d bytes (uint8) of "
                       "torch.get_rng_state() or fa_state_dict(generator).",
                       fa_stored_types[view.stored].name, fa_view_text(&view), FA_GENERATOR_STATE_SIZE);
    fa_view_copy(bytes, &view);
    if (fa_generator_set_state(generator, bytes))
        return true;
    fa_clear_error();
    return fa_fail(FA_VALUE_ERROR, args->where_, what, "got %d bytes that are no state of a generator.",
                   FA_GENERATOR_STATE_SIZE);
}
