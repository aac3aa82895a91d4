/* Whole models that PyTorch pickled: records of objects (class and attributes), never run. Their description, and the
 * weights in them as a state dict. Attributes that are not known here (hooks, caches) are passed over. */
#include "nn/pickled_module.h"

#include "base/error.h"

#include <string.h>

enum { STATE_ENTRIES = 100000 };

static fa_value *entry(fa_value *dict, const char *name, fa_where where)
{
    const fa_key key = {.text = name};
    return dict != NULL && fa_kind_of(dict) == FA_VALUE_DICT && fa_has_at(dict, key, where)
               ? fa_get_at(dict, key, where)
               : NULL;
}

static fa_value *attribute(fa_value *object, const char *name, fa_where where)
{
    return entry(fa_attributes_at(object, where), name, where);
}

fa_value *fa_pickled_inner(fa_value *object, fa_where where)
{
    static const struct {
        const char *class_name, *child;
    } wrappers[] = {
        {"DataParallel", "module"}, {"DistributedDataParallel", "module"}, {"OptimizedModule", "_orig_mod"}};
    for (int depth = 0; depth < 4; depth++) {
        fa_value *inner = NULL;
        for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers && inner == NULL; i++)
            if (fa_object_class(object) != NULL && strcmp(fa_object_class(object), wrappers[i].class_name) == 0)
                inner = entry(attribute(object, "_modules", where), wrappers[i].child, where);
        if (inner == NULL || fa_kind_of(inner) != FA_VALUE_OBJECT)
            break;
        object = inner;
    }
    return object;
}

/* ---- Description --------------------------------------------------------------------------------------------------
 */

static bool number_of(fa_value *value, double *number, uint8_t *kind, fa_where where)
{
    switch (fa_kind_of(value)) {
    case FA_VALUE_NONE:
        *kind = FA_OPTION_NONE;
        *number = 0;
        return true;
    case FA_VALUE_BOOL:
        *kind = FA_OPTION_BOOL;
        *number = fa_as_bool_at(value, where);
        return true;
    case FA_VALUE_INT: {
        const int64_t whole = fa_flavour_of(value) == FA_FLAVOUR_BIG ? INT64_MAX : fa_as_int_at(value, where);
        *kind = FA_OPTION_INT;
        *number = (double)whole;
        return whole >= -INT32_MAX && whole <= INT32_MAX;
    }
    case FA_VALUE_FLOAT:
        *kind = FA_OPTION_REAL;
        *number = fa_as_float_at(value, where);
        return true;
    default:
        return false;
    }
}

/* False, without an error, for what no option is. */
static bool option_of(fa_value *value, fa_option_value *out, fa_where where)
{
    *out = (fa_option_value){0};
    const fa_value_kind kind = fa_kind_of(value);
    if (kind == FA_VALUE_STRING) {
        const char *word = fa_as_string_at(value, where);
        if (word == NULL || strlen(word) >= sizeof out->as.word)
            return false;
        out->kind = FA_OPTION_WORD;
        memcpy(out->as.word, word, strlen(word) + 1);
        return true;
    }
    if (kind == FA_VALUE_TENSOR) { /* a loss's weights: their sizes */
        fa_tensor_view view;
        if (!fa_value_view(value, &view, where))
            return false;
        out->kind = FA_OPTION_TUPLE;
        for (; out->count < view.ndim; out->count++) {
            out->item_kind[out->count] = FA_OPTION_INT;
            out->as.at[out->count] = (double)view.size[out->count];
        }
        return true;
    }
    if (kind != FA_VALUE_TUPLE && kind != FA_VALUE_LIST)
        return number_of(value, &out->as.at[0], &out->kind, where);
    const int64_t count = fa_len(value);
    out->kind = FA_OPTION_TUPLE;
    for (int64_t i = 0; i < count; i++, out->count++)
        if (i == FA_MAX_DIMS || !number_of(fa_value_at(value, i), &out->as.at[i], &out->item_kind[i], where))
            return false;
    return true;
}

/* Where PyTorch keeps an option of a class. NULL: the file is older than the option. */
static fa_value *option_value(fa_value *object, const char *name, bool *there, fa_where where)
{
    *there = true;
    if (strcmp(name, "bias") == 0) { /* the parameter itself, or None */
        fa_value *parameters = attribute(object, "_parameters", where);
        *there =
            entry(parameters, "bias", where) != NULL && fa_kind_of(entry(parameters, "bias", where)) == FA_VALUE_TENSOR;
        return NULL;
    }
    if (strcmp(name, "weight") == 0 || strcmp(name, "pos_weight") == 0)
        return entry(attribute(object, "_buffers", where), name, where);
    return attribute(object, name, where);
}

static bool take_options(fa_description *node, fa_value *object, const fa_class *class, fa_where where)
{
    char name[32];
    bool printed;
    node->option = fa_calloc(FA_DESCRIPTION_OPTIONS, sizeof *node->option);
    if (node->option == NULL)
        return fa_fail_memory(where, FA_DESCRIPTION_OPTIONS * sizeof *node->option);
    for (int i = 0; fa_class_parameter(class, i, name, &printed); i++) {
        fa_option *option = &node->option[node->option_count];
        bool there;
        fa_value *value = option_value(object, name, &there, where);
        memcpy(option->name, name, sizeof name);
        if (strcmp(name, "bias") == 0) {
            option->value = (fa_option_value){.kind = FA_OPTION_BOOL, .as.at = {there}};
            node->option_count++;
        } else if (value != NULL) {
            if (!option_of(value, &option->value, where)) {
                if (!fa_ok())
                    return false;
                option->value = (fa_option_value){.kind = FA_OPTION_ABSENT}; /* refused when it is looked at */
            }
            node->option_count++;
        }
    }
    return true;
}

static fa_description *describe(fa_description_budget *budget, fa_value *object, const char *name, int depth);

/* False after an error. */
static bool describe_children(fa_description_budget *budget, fa_description *node, fa_value *object, int depth)
{
    fa_value *modules = attribute(object, "_modules", budget->where);
    fa_description **end = &node->child;
    for (int64_t i = 0; modules != NULL && i < fa_len(modules); i++) {
        fa_value *child = fa_value_at(modules, i), *key = fa_key_at(modules, i);
        if (fa_kind_of(child) == FA_VALUE_NONE)
            continue;
        const char *name = fa_kind_of(key) == FA_VALUE_STRING ? fa_as_string_at(key, budget->where) : NULL;
        if (name == NULL || fa_kind_of(child) != FA_VALUE_OBJECT)
            return fa_fail(FA_FILE_ERROR, budget->where, budget->what,
                           "got %s among the modules of a %s, needs modules under names.", fa_value_text(child),
                           node->class_name);
        *end = describe(budget, child, name, depth + 1);
        if (*end == NULL)
            return false;
        end = &(*end)->next;
    }
    return true;
}

static fa_description *describe(fa_description_budget *budget, fa_value *object, const char *name, int depth)
{
    const char *module = fa_object_module(object), *class_name = fa_object_class(object);
    static const char torch[] = "torch.nn.";
    if (depth > FA_DESCRIPTION_DEPTH) {
        fa_fail(FA_FILE_ERROR, budget->where, budget->what,
                "got modules more than %d deep inside one another, needs fewer.", FA_DESCRIPTION_DEPTH);
        return NULL;
    }
    if (class_name == NULL || module == NULL || fa_attributes_at(object, budget->where) == NULL) {
        fa_fail(FA_FILE_ERROR, budget->where, budget->what, "got %s, needs a pickled module.", fa_value_text(object));
        return NULL;
    }
    const bool standard = strncmp(module, torch, sizeof torch - 1) == 0;
    const fa_class *class = fa_class_find(class_name);
    fa_text full = {0};
    if (class != NULL && !standard) /* somebody's own class of the same name */
        fa_text_add(&full, "%.200s.%.200s", module, class_name);
    const char *called = full.data != NULL ? full.data : class_name;
    fa_description *node = fa_description_new(budget, name, name != NULL ? strlen(name) : 0, called, strlen(called));
    fa_text_free(&full);
    if (node == NULL)
        return NULL;
    fa_value *training = attribute(object, "training", budget->where);
    if (fa_kind_of(training) == FA_VALUE_BOOL)
        node->training = fa_as_bool_at(training, budget->where);
    if ((class == NULL || !standard || take_options(node, object, class, budget->where)) &&
        describe_children(budget, node, object, depth) && fa_ok())
        return node;
    fa_description_free(node);
    return NULL;
}

fa_description *fa_describe_object(fa_value *object, const char *what, fa_where where)
{
    fa_description_budget budget = {.what = what, .where = where};
    return describe(&budget, object, NULL, 0);
}

/* ---- Weights ------------------------------------------------------------------------------------------------------
 */

typedef struct collector {
    fa_value *state;
    fa_text path;
    int64_t objects, entries;
    const char *what;
    fa_where where;
} collector;

static bool set_holds(fa_value *set, const char *name, fa_where where)
{
    for (int64_t i = 0; set != NULL && i < fa_len(set); i++) {
        fa_value *item = fa_value_at(set, i);
        if (fa_kind_of(item) == FA_VALUE_STRING && strcmp(fa_as_string_at(item, where), name) == 0)
            return true;
    }
    return false;
}

static void cut(fa_text *path, size_t length)
{
    path->length = length;
    if (path->data != NULL)
        path->data[length] = '\0';
}

/* The tensors of _parameters or _buffers. False after an error. */
static bool collect_tensors(collector *c, fa_value *dict, fa_value *passed_over)
{
    const size_t length = c->path.length;
    if (dict == NULL || fa_kind_of(dict) != FA_VALUE_DICT)
        return true;
    for (int64_t i = 0; i < fa_len(dict); i++) {
        fa_value *key = fa_key_at(dict, i), *tensor = fa_value_at(dict, i);
        if (fa_kind_of(key) != FA_VALUE_STRING || fa_kind_of(tensor) != FA_VALUE_TENSOR ||
            set_holds(passed_over, fa_as_string_at(key, c->where), c->where))
            continue;
        if (++c->entries > STATE_ENTRIES)
            return fa_fail(FA_FILE_ERROR, c->where, c->what, "got a model of more than %d tensors, needs fewer.",
                           STATE_ENTRIES);
        fa_text_add(&c->path, "%s%s", length > 0 ? "." : "", fa_as_string_at(key, c->where));
        if (c->path.failed)
            return fa_fail_memory(c->where, length);
        if (fa_dict_put_at(c->state, fa_value_string_at(c->path.data, c->where), tensor, c->where) == NULL)
            return false;
        cut(&c->path, length);
    }
    return true;
}

static bool collect(collector *c, fa_value *object, int depth)
{
    if (depth > FA_DESCRIPTION_DEPTH || ++c->objects > FA_DESCRIPTION_NODES)
        return fa_fail(FA_FILE_ERROR, c->where, c->what,
                       "got a model of more than %d modules, or more than %d inside one another, needs fewer.",
                       FA_DESCRIPTION_NODES, FA_DESCRIPTION_DEPTH);
    if (!collect_tensors(c, attribute(object, "_parameters", c->where), NULL) ||
        !collect_tensors(c, attribute(object, "_buffers", c->where),
                         attribute(object, "_non_persistent_buffers_set", c->where)))
        return false;
    fa_value *modules = attribute(object, "_modules", c->where);
    const size_t length = c->path.length;
    for (int64_t i = 0; modules != NULL && fa_kind_of(modules) == FA_VALUE_DICT && i < fa_len(modules); i++) {
        fa_value *key = fa_key_at(modules, i), *child = fa_value_at(modules, i);
        if (fa_kind_of(key) != FA_VALUE_STRING || fa_kind_of(child) != FA_VALUE_OBJECT)
            continue;
        fa_text_add(&c->path, "%s%s", length > 0 ? "." : "", fa_as_string_at(key, c->where));
        if (!collect(c, child, depth + 1))
            return false;
        cut(&c->path, length);
    }
    return fa_ok();
}

fa_value *fa_pickled_state(fa_value *object, const char *what, fa_where where)
{
    collector c = {
        .state = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_ORDERED_DICT, where), .what = what, .where = where};
    const bool fine = c.state != NULL && collect(&c, fa_pickled_inner(object, where), 0);
    fa_text_free(&c.path);
    return fine ? c.state : NULL;
}
