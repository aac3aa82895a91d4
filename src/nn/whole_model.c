/* Whole models in files: fa_save(model, path) and fa_load_module(path). */
#include "base/error.h"
#include "base/generator.h"
#include "nn/description.h"
#include "nn/pickled_module.h"
#include "nn/state.h"

#include <stdlib.h>
#include <string.h>

/* ---- Saving -------------------------------------------------------------------------------------------------------
 */

/* What of a tree does not print: options, modes other than the root's; parameters that require no gradient. */
static bool add_rest(fa_value *unprinted, fa_value *modes, fa_module *model, fa_where where)
{
    const fa_module_list all = fa_named_modules_at(model, where);
    for (int64_t i = 0; fa_ok() && i < all.count; i++) {
        const fa_module_impl *impl = all.module[i]->impl_;
        fa_text text = {0};
        if (impl->unprinted != NULL)
            impl->unprinted(all.module[i], &text);
        if (text.failed)
            fa_fail_memory(where, text.length);
        else if (text.length > 0)
            fa_state_put(unprinted, all.name[i], fa_value_string_at(text.data, where), where);
        if (impl->training != model->impl_->training)
            fa_state_put(modes, all.name[i], fa_value_bool_at(impl->training, where), where);
        fa_text_free(&text);
    }
    return fa_ok();
}

static bool add_frozen(fa_value *frozen, fa_module *model, fa_where where)
{
    const fa_tensor_list parameters = fa_parameters_at(model, where);
    for (int64_t i = 0; fa_ok() && i < parameters.count; i++)
        if (!fa_handle_leaf(parameters.tensor[i])->requires_grad)
            fa_list_add_at(frozen, fa_value_string_at(parameters.name[i], where), where);
    return fa_ok();
}

static fa_value *whole_value(fa_module *model, fa_where where)
{
    static const char what[] = "fa_save";
    char *text = fa_module_text(model, where);
    /* What could not be read back is not written. */
    fa_description *read = text != NULL ? fa_parse_printed(text, strlen(text), what, where) : NULL;
    const bool readable = read != NULL;
    fa_description_free(read);
    fa_value *whole = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    fa_value *unprinted = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    fa_value *modes = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    fa_value *frozen = fa_container_at(FA_VALUE_LIST, FA_FLAVOUR_PLAIN, where);
    bool fine = readable && fa_state_put(whole, "architecture", fa_value_string_at(text, where), where) &&
                fa_state_put(whole, "state_dict", fa_module_state_dict_at(model, where), where) &&
                fa_state_put(whole, "training", fa_value_bool_at(model->impl_->training, where), where) &&
                add_rest(unprinted, modes, model, where) && add_frozen(frozen, model, where);
    if (fine && fa_len(unprinted) > 0)
        fine = fa_state_put(whole, "unprinted", unprinted, where);
    if (fine && fa_len(modes) > 0)
        fine = fa_state_put(whole, "modes", modes, where);
    if (fine && fa_len(frozen) > 0)
        fine = fa_state_put(whole, "frozen", frozen, where);
    fa_mfree(text);
    return fine ? whole : NULL;
}

bool fa_save_module_at(fa_module *module, const char *path, fa_where where)
{
    if (!fa_ok() || !fa_module_check(module, "fa_save", where))
        return false;
    fa_scope_guard scope = fa_scope_begin_at(where);
    fa_value *whole = whole_value(module, where);
    const bool fine = whole != NULL && fa_save_value_at(whole, path, where);
    fa_scope_end_(&scope);
    return fine;
}

/* ---- What a file says about modules -------------------------------------------------------------------------------
 */

typedef struct source {
    const char *text; /* the printed form; NULL: a pickled model */
    fa_description *root;
    fa_value *file;  /* ours: the dict; else the object */
    fa_value *state; /* tensors by key */
    double elements; /* in it */
} source;

static const char what[] = "fa_load_module";

static bool refuse_value(fa_value *value, fa_where where)
{
    return fa_fail(
        FA_VALUE_ERROR, where, what,
        "got a file that holds %s, needs a whole model: what fa_save(model, path) or torch.save(model, path) "
        "writes. Hint: weights alone are loaded into a model that the program makes: "
        "fa_load_state_dict(model, fa_load(path))",
        fa_value_text(value));
}

static fa_description *find_node(fa_description *node, const char *path)
{
    while (node != NULL && *path != '\0') {
        const size_t length = strcspn(path, ".");
        fa_description *child = node->child;
        while (child != NULL && (strncmp(child->name, path, length) != 0 || child->name[length] != '\0'))
            child = child->next;
        node = child;
        path += length + (path[length] == '.');
    }
    return node;
}

static bool add_unprinted(fa_description *root, fa_value *unprinted, fa_where where)
{
    for (int64_t i = 0; unprinted != NULL && i < fa_len(unprinted); i++) {
        fa_value *key = fa_key_at(unprinted, i), *value = fa_value_at(unprinted, i);
        const bool texts = fa_kind_of(key) == FA_VALUE_STRING && fa_kind_of(value) == FA_VALUE_STRING;
        const char *text = texts ? fa_as_string_at(value, where) : NULL;
        fa_description *node = texts ? find_node(root, fa_as_string_at(key, where)) : NULL;
        if (node == NULL || text == NULL || !fa_parse_options(node, text, strlen(text)))
            return fa_fail(FA_FILE_ERROR, where, what, "got options that cannot be read, of the module %s.",
                           fa_value_text(key));
    }
    return true;
}

static bool count_elements(source *s, fa_where where)
{
    for (int64_t i = 0; i < fa_len(s->state); i++) {
        fa_value *value = fa_value_at(s->state, i);
        fa_tensor_view view;
        if (fa_kind_of(value) != FA_VALUE_TENSOR)
            continue;
        if (!fa_value_view(value, &view, where))
            return false;
        s->elements += (double)view.elements;
    }
    /* Counts of batches, which old files lack. */
    s->elements += FA_DESCRIPTION_NODES;
    return true;
}

/* False after an error. */
static bool read_source(source *s, fa_value *value, fa_where where)
{
    static const char *const wrappers[] = {"model", "net"};
    for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
        fa_value *inner = fa_state_entry(value, wrappers[i], where);
        if (fa_kind_of(inner) != FA_VALUE_OBJECT)
            continue;
        fa_report_add("used entry '%s'", wrappers[i]);
        value = inner;
    }
    if (fa_kind_of(value) == FA_VALUE_OBJECT) {
        s->file = fa_pickled_inner(value, where);
        s->root = fa_describe_object(s->file, what, where);
        s->state = s->root != NULL ? fa_pickled_state(s->file, what, where) : NULL;
        return s->state != NULL && count_elements(s, where);
    }
    fa_value *architecture = fa_state_entry(value, "architecture", where);
    s->file = value;
    s->state = fa_state_entry(value, "state_dict", where);
    if (fa_kind_of(architecture) != FA_VALUE_STRING || fa_kind_of(s->state) != FA_VALUE_DICT)
        return refuse_value(value, where);
    s->text = fa_as_string_at(architecture, where);
    s->root = s->text != NULL ? fa_parse_printed(s->text, (size_t)fa_len(architecture), what, where) : NULL;
    return s->root != NULL && count_elements(s, where) &&
           add_unprinted(s->root, fa_state_entry(value, "unprinted", where), where);
}

/* ---- Modes, frozen parameters -------------------------------------------------------------------------------------
 */

static void set_described_modes(fa_module *module, const fa_description *node)
{
    if (node->training >= 0)
        module->impl_->training = node->training > 0;
    const fa_description *child = node->child;
    for (int64_t i = 0; child != NULL && i < fa_child_count(module); i++, child = child->next)
        set_described_modes(fa_child(module, i), child);
}

static bool truth_of(fa_value *value, bool otherwise, fa_where where)
{
    return fa_kind_of(value) == FA_VALUE_BOOL ? fa_as_bool_at(value, where) : otherwise;
}

static bool set_modes(fa_module *module, const source *s, fa_where where)
{
    if (s->text == NULL) {
        set_described_modes(module, s->root);
        return true;
    }
    if (!truth_of(fa_state_entry(s->file, "training", where), true, where))
        fa_eval(module);
    fa_value *modes = fa_state_entry(s->file, "modes", where);
    for (int64_t i = 0; modes != NULL && i < fa_len(modes); i++) {
        fa_value *key = fa_key_at(modes, i);
        const char *path = fa_kind_of(key) == FA_VALUE_STRING ? fa_as_string_at(key, where) : "";
        fa_module *at = fa_submodule_at(module, path, where);
        if (at == NULL)
            return false;
        at->impl_->training = truth_of(fa_value_at(modes, i), true, where);
    }
    return true;
}

static bool set_frozen(fa_module *module, const source *s, fa_where where)
{
    fa_value *frozen = s->text != NULL ? fa_state_entry(s->file, "frozen", where) : NULL;
    for (int64_t i = 0; frozen != NULL && i < fa_len(frozen); i++) {
        fa_value *key = fa_value_at(frozen, i);
        fa_tensor *tensor =
            fa_kind_of(key) == FA_VALUE_STRING ? fa_find_at(module, fa_as_string_at(key, where), where) : NULL;
        if (tensor == NULL)
            return false;
        fa_handle_leaf(tensor)->requires_grad = false;
    }
    const fa_tensor_list list = fa_state_list_at(module, where);
    for (int64_t i = 0; s->text == NULL && i < list.count; i++) {
        fa_value *value = fa_state_entry(s->state, list.name[i], where);
        fa_leaf *leaf = fa_handle_leaf(list.tensor[i]);
        fa_tensor_view view;
        if (value == NULL || !leaf->parameter)
            continue;
        if (!fa_value_view(value, &view, where))
            return false;
        leaf->requires_grad = view.requires_grad || !view.parameter;
    }
    return true;
}

/* ---- Shared tensors -----------------------------------------------------------------------------------------------
 */

typedef struct place {
    const void *data; /* in the file */
    int64_t order;    /* of its key in the network */
    const char *key;
    fa_tensor *tensor;
    fa_tensor_view view;
} place;

static int by_data(const void *a, const void *b)
{
    const place *left = a, *right = b;
    if (left->data != right->data)
        return (uintptr_t)left->data < (uintptr_t)right->data ? -1 : 1;
    return left->order < right->order ? -1 : 1;
}

/* The module that has a tensor, and the tensor's name in it. NULL: a class of the program's own, which may hold the
 * tensor in a field, so that it is not ours to replace. */
static fa_module *layer_of(fa_module *root, const char *key, const char **name)
{
    fa_module *at = root;
    for (const char *dot; (dot = strchr(key, '.')) != NULL && at != NULL; key = dot + 1) {
        fa_module *next = NULL;
        for (int64_t i = 0; i < fa_child_count(at) && next == NULL; i++)
            if (strncmp(fa_child_name(at, i), key, (size_t)(dot - key)) == 0 && fa_child_name(at, i)[dot - key] == '\0')
                next = fa_child(at, i);
        at = next;
    }
    *name = key;
    return at != NULL && at->impl_->describe != NULL ? at : NULL;
}

static bool same_view(const fa_tensor_view *a, const fa_tensor_view *b)
{
    const size_t bytes = (size_t)a->ndim * sizeof *a->size;
    return a->elements > 0 && a->stored == b->stored && a->ndim == b->ndim && memcmp(a->size, b->size, bytes) == 0 &&
           memcmp(a->stride, b->stride, bytes) == 0;
}

static bool tie(fa_module *root, const place *first, const place *other, fa_where where)
{
    const char *name, *first_name;
    const fa_leaf *a = fa_handle_leaf(first->tensor), *b = fa_handle_leaf(other->tensor);
    fa_module *layer = layer_of(root, other->key, &name);
    if (a == b || !same_view(&first->view, &other->view) || a->parameter != b->parameter || layer == NULL ||
        layer_of(root, first->key, &first_name) == NULL)
        return true;
    const fa_own_args own = {.where_ = where, .buffer_ = !a->parameter};
    return fa_own_tensor_at(layer, name, first->tensor, &own) != NULL;
}

/* Tensors that were one in the file are one here. False after an error. */
static bool share(fa_module *root, const source *s, fa_where where)
{
    const fa_tensor_list list = fa_state_list_at(root, where);
    place *places = fa_calloc((size_t)list.count + 1, sizeof *places);
    if (places == NULL)
        return fa_fail_memory(where, (size_t)list.count * sizeof *places);
    int64_t count = 0;
    bool fine = true;
    for (int64_t i = 0; fine && i < list.count; i++) {
        fa_value *value = fa_state_entry(s->state, list.name[i], where);
        place p = {.order = i, .key = list.name[i], .tensor = list.tensor[i]};
        if (fa_kind_of(value) != FA_VALUE_TENSOR)
            continue;
        fine = fa_value_view(value, &p.view, where);
        p.data = p.view.data;
        places[count++] = p;
    }
    /* Keys and handles are the list's, which changes with the first tensor that is replaced. */
    char **key = fa_calloc((size_t)count + 1, sizeof *key);
    fine = fine && (key != NULL || fa_fail_memory(where, (size_t)count * sizeof *key));
    for (int64_t i = 0; fine && i < count; i++) {
        key[i] = fa_strdup(places[i].key);
        places[i].key = key[i];
        fine = key[i] != NULL || fa_fail_memory(where, 1);
    }
    qsort(places, (size_t)count, sizeof *places, by_data);
    for (int64_t i = 1, first = 0; fine && i < count; i++) {
        if (places[i].data != places[first].data)
            first = i;
        else
            fine = tie(root, &places[first], &places[i], where);
    }
    for (int64_t i = 0; key != NULL && i < count; i++)
        fa_mfree(key[i]);
    fa_mfree(key);
    fa_mfree(places);
    return fine;
}

/* ---- Loading ------------------------------------------------------------------------------------------------------
 */

/* The network with whatever weights; the default generator stands where it stood, as nothing is drawn when PyTorch
 * unpickles a model. */
static fa_module *make_quietly(const source *s, fa_where where)
{
    fa_init_pending();
    const fa_mt before = *fa_generator_lock_raw(NULL);
    fa_generator_unlock(NULL);
    fa_module *module = fa_description_make(s->root, s->elements, what, where);
    const fa_tensor_list list = module != NULL ? fa_state_list_at(module, where) : (fa_tensor_list){0};
    for (int64_t i = 0; i < list.count; i++)
        fa_handle_leaf(list.tensor[i])->init_done = true;
    *fa_generator_lock_raw(NULL) = before;
    fa_generator_unlock(NULL);
    return module;
}

fa_module *fa_module_of_value_at(fa_value *value, fa_where where)
{
    fa_report_clear();
    fa_begin(where);
    if (!fa_ok())
        return NULL;
    if (value == NULL) {
        fa_fail(FA_VALUE_ERROR, where, what, "got no value (NULL), needs a whole model.");
        return NULL;
    }
    fa_scope_guard scope = fa_scope_begin_at(where);
    source s = {.text = NULL};
    fa_module *module = read_source(&s, value, where) ? make_quietly(&s, where) : NULL;
    bool fine = module != NULL;
    if (fine) {
        char wrapper[sizeof "used entry 'model'\n" + 64];
        snprintf(wrapper, sizeof wrapper, "%s", fa_load_report());
        const fa_load_state_dict_args args = {.state = s.state, .where_ = where, .strict = true};
        fine = fa_module_load_state_dict_at(module, &args) && share(module, &s, where) &&
               set_modes(module, &s, where) && set_frozen(module, &s, where);
        if (fine && wrapper[0] != '\0')
            fa_report_add("%s", wrapper);
    }
    fa_description_free(s.root);
    fa_scope_end_(&scope);
    if (fine && fa_ok())
        return module;
    fa_module_drop(module);
    return NULL;
}

fa_module *fa_load_module_at(const char *path, fa_where where)
{
    if (!fa_ok())
        return NULL;
    fa_scope_guard scope = fa_scope_begin_at(where);
    fa_value *value = fa_load_at(&(fa_load_args){.path = path, .where_ = where});
    fa_module *module = value != NULL ? fa_module_of_value_at(value, where) : NULL;
    fa_scope_end_(&scope);
    return module;
}
