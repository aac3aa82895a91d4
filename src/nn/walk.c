/* Walks over a tree of modules: named_modules, apply. */
#include "nn/module.h"

#include <string.h>

void fa_module_list_free(fa_module_list *list)
{
    for (int64_t i = 0; i < list->count; i++)
        fa_mfree((char *)(uintptr_t)list->name[i]);
    fa_mfree((void *)(uintptr_t)list->name);
    fa_mfree((void *)(uintptr_t)list->module);
    *list = (fa_module_list){0};
}

typedef struct builder {
    fa_module **module;
    char **name;
    int64_t count, capacity;
    fa_text path;
    bool failed;
} builder;

static bool listed(const builder *b, const fa_module *module)
{
    for (int64_t i = 0; i < b->count; i++)
        if (b->module[i] == module)
            return true;
    return false;
}

static bool append(builder *b, fa_module *module)
{
    if (b->count == b->capacity) {
        int64_t capacity = b->capacity ? 2 * b->capacity : 16;
        fa_module **modules = fa_realloc(b->module, (size_t)capacity * sizeof *modules);
        if (modules)
            b->module = modules;
        char **names = fa_realloc(b->name, (size_t)capacity * sizeof *names);
        if (names)
            b->name = names;
        if (!modules || !names)
            return false;
        b->capacity = capacity;
    }
    char *name = b->path.failed ? NULL : fa_strdup(b->path.data ? b->path.data : "");
    if (!name)
        return false;
    b->module[b->count] = module;
    b->name[b->count++] = name;
    return true;
}

/* Cuts the path back to a length. */
static void cut(fa_text *path, size_t length)
{
    path->length = length;
    if (path->data)
        path->data[length] = 0;
}

static void walk(builder *b, fa_module *module)
{
    const fa_module_impl *impl = module->impl_;
    if (b->failed || listed(b, module))
        return;
    b->failed = !append(b, module);
    const size_t length = b->path.length;
    for (int i = 0; i < impl->n_children; i++) {
        fa_text_add(&b->path, "%s%s", length ? "." : "", impl->children[i].name);
        walk(b, impl->children[i].module);
        cut(&b->path, length);
    }
}

fa_module_list fa_named_modules_at(fa_module *module, fa_where where)
{
    if (!fa_module_check(module, "fa_named_modules", where))
        return (fa_module_list){0};
    fa_module_impl *impl = module->impl_;
    const uint64_t version = fa_modules_version();
    if (impl->modules_version == version)
        return impl->modules;
    builder b = {0};
    walk(&b, module);
    fa_text_free(&b.path);
    fa_module_list fresh = {b.module, (const char *const *)b.name, b.count};
    if (b.failed) {
        fa_module_list_free(&fresh);
        fa_fail_memory(where, (size_t)b.capacity * sizeof *b.module);
        return (fa_module_list){0};
    }
    fa_module_list_free(&impl->modules);
    impl->modules = fresh;
    impl->modules_version = version;
    return fresh;
}

static bool earlier_child(const fa_module_impl *impl, int i)
{
    for (int k = 0; k < i; k++)
        if (impl->children[k].module == impl->children[i].module)
            return true;
    return false;
}

static void apply(fa_module *module, void (*function)(fa_module *module, void *context), void *context)
{
    const fa_module_impl *impl = module->impl_;
    for (int i = 0; i < impl->n_children; i++)
        if (!earlier_child(impl, i))
            apply(impl->children[i].module, function, context);
    function(module, context);
}

fa_module *fa_apply_at(fa_module *module, void (*function)(fa_module *module, void *context), void *context,
                       fa_where where)
{
    if (!fa_module_check(module, "fa_apply", where))
        return NULL;
    if (!function) {
        fa_fail(FA_VALUE_ERROR, where, "fa_apply",
                "got NULL, needs a function. Hint: void f(fa_module *module, void "
                "*context)");
        return NULL;
    }
    apply(module, function, context);
    return module;
}

fa_module *fa_module_last(fa_module *module)
{
    while (module != NULL && fa_child_count(module) > 0)
        module = fa_child(module, fa_child_count(module) - 1);
    return module;
}
