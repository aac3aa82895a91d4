/* Sequential, ModuleList and ModuleDict. */
#include "nn/module.h"

static fa_tensor *sequential_forward(fa_module *self, fa_tensor *x)
{
    const fa_module_impl *impl = self->impl_;
    fa_where where = fa_forward_where();
    for (int i = 0; i < impl->n_children && x; i++)
        x = fa_forward_at(impl->children[i].module, x, where);
    return x;
}

/* Each child is taken over or freed, whatever happens. A NULL name counts: "0", "1", ... */
static fa_module *container(const char *class_name, fa_forward_function forward, int64_t count,
                            const fa_named_module *children, fa_where where)
{
    fa_module *module = NULL;
    int64_t missing = 0;
    while (missing < count && children[missing].module)
        missing++;
    if (missing == count)
        module = fa_module_make(sizeof(fa_module), class_name, forward, NULL, where);
    else if (fa_ok())
        fa_fail(FA_VALUE_ERROR, where, class_name,
                "got NULL as module %lld of %lld, needs a module. Hint: was it made before it is used here?",
                (long long)missing, (long long)count);
    bool ok = module != NULL;
    for (int64_t i = 0; i < count; i++) {
        if (ok)
            ok = fa_module_add_at(module, children[i].name, children[i].module, where) != NULL;
        else
            fa_module_drop(children[i].module);
    }
    if (!ok) {
        fa_module_drop(module);
        return NULL;
    }
    return module;
}

static fa_module *numbered(const char *class_name, fa_forward_function forward, int64_t count,
                           fa_module *const *children, fa_where where)
{
    fa_named_module *named = fa_calloc((size_t)(count > 0 ? count : 1), sizeof *named);
    for (int64_t i = 0; i < count; i++)
        if (named)
            named[i].module = children[i];
        else
            fa_module_drop(children[i]);
    if (!named) {
        fa_fail_memory(where, (size_t)count * sizeof *named);
        return NULL;
    }
    fa_module *module = container(class_name, forward, count, named, where);
    fa_mfree(named);
    return module;
}

static fa_module *named(const char *class_name, fa_forward_function forward, int64_t count,
                        const fa_named_module *children, fa_where where)
{
    for (int64_t i = 0; i < count; i++)
        if (!children[i].name && children[i].module) {
            fa_fail(FA_VALUE_ERROR, where, class_name,
                    "got no name for module %lld of %lld, needs one. Hint: "
                    "{\"conv\", fa_nn_conv2d(1, 8, 3)}",
                    (long long)i, (long long)count);
            for (int64_t k = 0; k < count; k++)
                fa_module_drop(children[k].module);
            return NULL;
        }
    return container(class_name, forward, count, children, where);
}

fa_module *fa_nn_sequential_named_at(int64_t count, const fa_named_module *children, fa_where where)
{
    return named("Sequential", sequential_forward, count, children, where);
}

fa_module *fa_nn_module_dict_at(int64_t count, const fa_named_module *children, fa_where where)
{
    return named("ModuleDict", NULL, count, children, where);
}

fa_module *fa_nn_sequential_at(int64_t count, fa_module *const *children, fa_where where)
{
    return numbered("Sequential", sequential_forward, count, children, where);
}

fa_module *fa_nn_module_list_at(int64_t count, fa_module *const *children, fa_where where)
{
    fa_module *module = numbered("ModuleList", NULL, count, children, where);
    if (module)
        module->impl_->list = true;
    return module;
}
