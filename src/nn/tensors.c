/* A module's tensors: own parameters and buffers, lists in PyTorch's order, keys, freezing, moving. */
#include "nn/module.h"

#include <string.h>

fa_tensor *fa_module_new_tensor(fa_module *module, const char *name, bool buffer, const fa_meta *meta,
                                fa_init_kind init, double lo, double hi, fa_where where)
{
    fa_begin(where);
    fa_leaf *leaf = fa_leaf_new(meta);
    if (!leaf)
        return NULL;
    leaf->parameter = leaf->requires_grad = !buffer;
    leaf->changed = where;
    leaf->init = init;
    leaf->init_lo = lo;
    leaf->init_hi = hi;
    leaf->init_done = init != FA_INIT_UNIFORM;
    if (init == FA_INIT_CONSTANT)
        fa_leaf_fill(leaf, lo);
    return fa_module_put_leaf(module, name, buffer, leaf, where);
}

static bool check_own(const fa_module *module, const char *name, int dtype, const fa_own_args *args)
{
    const char *what = args->buffer_ ? "fa_own_buffer" : "fa_own_parameter";
    if (!fa_module_check(module, what, args->where_))
        return false;
    if (!args->buffer_ && dtype != FA_FLOAT32 && dtype != FA_FLOAT64)
        return fa_fail(FA_DTYPE_ERROR, args->where_, what,
                       "got %s for the parameter \"%s\", needs float32 or float64. Hint: numbers without a gradient "
                       "are a buffer: fa_own_buffer",
                       fa_dtype_name(dtype), name);
    return true;
}

fa_tensor *fa_own_shape_at(fa_module *module, const char *name, fa_shape shape, const fa_own_args *args)
{
    fa_begin(args->where_);
    fa_meta meta;
    if (!check_own(module, name, (int)args->dtype, args) ||
        !fa_meta_from_shape(&meta, args->dtype, &shape, args->buffer_ ? "fa_own_buffer" : "fa_own_parameter"))
        return NULL;
    double lo = args->uniform[0], hi = args->uniform[1];
    bool drawn = lo < hi;
    if (!drawn && lo != hi) {
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_own_parameter",
                "got .uniform = {%g, %g}, needs a low bound below the high one. Hint: .uniform = {low, high}", lo, hi);
        return NULL;
    }
    if (drawn && args->dtype != FA_FLOAT32 && args->dtype != FA_FLOAT64) {
        fa_fail(FA_DTYPE_ERROR, args->where_, "fa_own_buffer",
                "got .uniform with %s, needs float32 or float64. Hint: use .fill for other types",
                fa_dtype_name((int)args->dtype));
        return NULL;
    }
    fa_tensor *tensor =
        fa_module_new_tensor(module, name, args->buffer_, &meta, drawn ? FA_INIT_UNIFORM : FA_INIT_CONSTANT,
                             drawn ? lo : args->fill, hi, args->where_);
    if (tensor && args->frozen)
        fa_handle_leaf(tensor)->requires_grad = false;
    return tensor;
}

fa_tensor *fa_own_tensor_at(fa_module *module, const char *name, fa_tensor *value, const fa_own_args *args)
{
    fa_begin(args->where_);
    const char *what = args->buffer_ ? "fa_own_buffer" : "fa_own_parameter";
    if (!value && !fa_ok())
        return NULL;
    fa_leaf *leaf = fa_handle_leaf(value);
    if (leaf && leaf->handle == value && leaf->parameter == !args->buffer_) {
        if (!check_own(module, name, leaf->meta.dtype, args))
            return NULL;
        return fa_module_put_leaf(module, name, args->buffer_, fa_leaf_retain(leaf), args->where_);
    }
    const fa_node *node = fa_use(value, what, "value");
    if (!node || !check_own(module, name, node->meta.dtype, args))
        return NULL;
    const void *data = fa_data_at(value, args->where_);
    if (!data)
        return NULL;
    fa_meta meta = fa_meta_of(node->meta.dtype, node->meta.ndim, node->meta.shape);
    leaf = fa_leaf_new(&meta);
    if (!leaf)
        return NULL;
    memcpy(leaf->buffer->data, data, (size_t)(fa_meta_numel(&meta) * fa_dtype_size(meta.dtype)));
    leaf->parameter = !args->buffer_;
    leaf->requires_grad = !args->buffer_ && !args->frozen;
    leaf->changed = args->where_;
    return fa_module_put_leaf(module, name, args->buffer_, leaf, args->where_);
}

/* ---- Lists ---------------------------------------------------------------------------------------------------------
 */

typedef struct builder {
    fa_list_cache *list;
    fa_text path;
    int kind;
    bool failed;
} builder;

static bool listed(const fa_list_cache *list, const fa_tensor *tensor)
{
    for (int64_t i = 0; i < list->count; i++)
        if (list->tensor[i] == tensor)
            return true;
    return false;
}

static void append(builder *b, const fa_module_entry *entry)
{
    fa_list_cache *list = b->list;
    if (b->failed || (b->kind != FA_LIST_STATE && listed(list, entry->tensor)))
        return;
    if (list->count == list->capacity) {
        int64_t capacity = list->capacity ? 2 * list->capacity : 16;
        fa_tensor **tensor = fa_realloc(list->tensor, (size_t)capacity * sizeof *tensor);
        if (tensor)
            list->tensor = tensor;
        char **name = fa_realloc(list->name, (size_t)capacity * sizeof *name);
        if (name)
            list->name = name;
        b->failed = !tensor || !name;
        if (b->failed)
            return;
        list->capacity = capacity;
    }
    size_t length = b->path.length;
    fa_text_add(&b->path, "%s", entry->name);
    char *name = b->path.failed ? NULL : fa_strdup(b->path.data);
    if (!name) {
        b->failed = true;
        return;
    }
    b->path.length = length;
    list->tensor[list->count] = entry->tensor;
    list->name[list->count++] = name;
}

static void walk(builder *b, const fa_module_impl *impl)
{
    for (int buffers = 0; buffers < 2; buffers++)
        if (b->kind == FA_LIST_STATE || (b->kind == FA_LIST_BUFFERS) == buffers)
            for (int i = 0; i < impl->n_entries; i++)
                if (impl->entries[i].buffer == buffers)
                    append(b, &impl->entries[i]);
    size_t length = b->path.length;
    for (int i = 0; i < impl->n_children; i++) {
        fa_text_add(&b->path, "%s.", impl->children[i].name);
        walk(b, impl->children[i].module->impl_);
        b->path.length = length;
    }
}

void fa_list_free(fa_list_cache *list)
{
    for (int64_t i = 0; i < list->count; i++)
        fa_mfree(list->name[i]);
    fa_mfree(list->name);
    fa_mfree(list->tensor);
    *list = (fa_list_cache){0};
}

static bool same_list(const fa_list_cache *a, const fa_list_cache *b)
{
    bool same = a->count == b->count;
    for (int64_t i = 0; same && i < a->count; i++)
        same = a->tensor[i] == b->tensor[i] && strcmp(a->name[i], b->name[i]) == 0;
    return same;
}

static fa_tensor_list list_of(fa_module *module, int kind, const char *what, fa_where where)
{
    if (!fa_module_check(module, what, where))
        return (fa_tensor_list){0};
    fa_list_cache *list = &module->impl_->lists[kind];
    uint64_t version = fa_modules_version();
    if (list->version != version) {
        fa_list_cache fresh = {.version = version};
        builder b = {.list = &fresh, .kind = kind};
        walk(&b, module->impl_);
        b.failed |= b.path.failed;
        fa_text_free(&b.path);
        if (b.failed) {
            fa_list_free(&fresh);
            fa_fail_memory(where, sizeof *fresh.name);
            return (fa_tensor_list){0};
        }
        /* What was handed out stays as it is unless this very tree has changed. */
        if (list->version && same_list(list, &fresh)) {
            fa_list_free(&fresh);
            list->version = version;
        } else {
            fa_list_free(list);
            *list = fresh;
        }
    }
    return (fa_tensor_list){list->tensor, (const char *const *)list->name, list->count};
}

fa_tensor_list fa_parameters_at(fa_module *module, fa_where where)
{
    return list_of(module, FA_LIST_PARAMETERS, "fa_parameters", where);
}

fa_tensor_list fa_buffers_at(fa_module *module, fa_where where)
{
    return list_of(module, FA_LIST_BUFFERS, "fa_buffers", where);
}

fa_tensor_list fa_state_list_at(fa_module *module, fa_where where)
{
    return list_of(module, FA_LIST_STATE, "fa_state_list", where);
}

fa_tensor *fa_find_at(fa_module *module, const char *key, fa_where where)
{
    fa_tensor_list list = list_of(module, FA_LIST_STATE, "fa_find", where);
    if (!module || !module->impl_ || !key || (list.count == 0 && !fa_ok()))
        return NULL;
    for (int64_t i = 0; i < list.count; i++)
        if (strcmp(list.name[i], key) == 0)
            return list.tensor[i];
    fa_text keys = {0};
    for (int64_t i = 0; i < list.count && i < 12; i++)
        fa_text_add(&keys, "%s%s", i ? ", " : "", list.name[i]);
    fa_fail(FA_VALUE_ERROR, where, "fa_find",
            "got the key \"%s\", needs one of the %lld of this %s: %s%s. Hint: "
            "fa_state_list(module) lists them",
            key, (long long)list.count, module->impl_->class_name, keys.data ? keys.data : "it has none",
            list.count > 12 ? ", ..." : "");
    fa_text_free(&keys);
    return NULL;
}

fa_module *fa_submodule_at(fa_module *module, const char *path, fa_where where)
{
    if (!fa_module_check(module, "fa_submodule", where) || !path)
        return NULL;
    fa_module *at = module;
    for (const char *part = path; *part;) {
        size_t length = strcspn(part, ".");
        const fa_module_impl *impl = at->impl_;
        fa_module *next = NULL;
        for (int i = 0; i < impl->n_children && !next; i++)
            if (strlen(impl->children[i].name) == length && strncmp(impl->children[i].name, part, length) == 0)
                next = impl->children[i].module;
        if (!next) {
            fa_text names = {0};
            for (int i = 0; i < impl->n_children; i++)
                fa_text_add(&names, "%s%s", i ? ", " : "", impl->children[i].name);
            fa_fail(
                FA_VALUE_ERROR, where, "fa_submodule",
                "got the path \"%s\", but %s has no child \"%.*s\"; needs one of: %s. Hint: fa_print shows the tree",
                path, impl->class_name, (int)length, part, names.data ? names.data : "it has none");
            fa_text_free(&names);
            return NULL;
        }
        at = next;
        part += length + (part[length] == '.');
    }
    return at;
}

/* ---- Modes and places
 * ------------------------------------------------------------------------------------------------ */

static void set_training(fa_module_impl *impl, bool on)
{
    impl->training = on;
    for (int i = 0; i < impl->n_children; i++)
        set_training(impl->children[i].module->impl_, on);
}

fa_module *fa_train(fa_module *module)
{
    if (module && module->impl_)
        set_training(module->impl_, true);
    return module;
}

fa_module *fa_eval(fa_module *module)
{
    if (module && module->impl_) {
        set_training(module->impl_, false);
        /* Two threads may evaluate one module: neither must find weights that still wait. */
        fa_init_pending();
    }
    return module;
}

bool fa_is_training(const fa_module *module)
{
    return module && module->impl_ && module->impl_->training;
}

fa_module *fa_module_requires_grad_at(fa_module *module, bool on, fa_where where)
{
    if (!fa_module_check(module, "fa_requires_grad_", where))
        return NULL;
    fa_tensor_list list = fa_parameters_at(module, where);
    for (int64_t i = 0; i < list.count; i++)
        fa_handle_leaf(list.tensor[i])->requires_grad = on;
    return module;
}

bool fa_module_zero_grad_at(fa_module *module, fa_where where)
{
    if (!fa_module_check(module, "fa_zero_grad", where))
        return false;
    fa_tensor_list list = fa_parameters_at(module, where);
    for (int64_t i = 0; i < list.count; i++)
        fa_handle_leaf(list.tensor[i])->grad_defined = false;
    return true;
}

static bool usable(fa_device device, fa_where where)
{
    if (device == FA_CPU)
        return true;
    if (device != FA_CUDA)
        return fa_fail(FA_VALUE_ERROR, where, "fa_to",
                       "got device %d, needs FA_CPU or FA_CUDA. Hint: fa_to(model, FA_CPU)", (int)device);
    if (!fa_cuda_is_available())
        return fa_fail(FA_STATE_ERROR, where, "fa_to",
                       "got FA_CUDA, needs a GPU that can be used: %s. Hint: fa_cuda_is_available() ? FA_CUDA : FA_CPU",
                       fa_cuda_reason());
    return true;
}

fa_module *fa_module_to_at(fa_module *module, fa_device device, fa_where where)
{
    if (fa_module_check(module, "fa_to", where))
        usable(device, where);
    return module;
}

fa_tensor *fa_tensor_to_at(fa_tensor *tensor, fa_device device, fa_where where)
{
    fa_begin(where);
    return usable(device, where) && fa_use(tensor, "fa_to", "tensor") ? tensor : NULL;
}
