/* Sequential and ModuleList. */
#include "nn/module.h"

static fa_tensor *sequential_forward(fa_module *self, fa_tensor *x)
{
    const fa_module_impl *impl = self->impl_;
    fa_where where = fa_forward_where();
    for (int i = 0; i < impl->n_children && x; i++)
        x = fa_forward_at(impl->children[i].module, x, where);
    return x;
}

static fa_module *container(const char *class_name, fa_forward_function forward, int64_t count,
                            fa_module *const *children, fa_where where)
{
    fa_module *module = NULL;
    int64_t missing = 0;
    while (missing < count && children[missing])
        missing++;
    if (missing == count)
        module = fa_module_make(sizeof(fa_module), class_name, forward, NULL, where);
    else if (fa_ok())
        fa_fail(FA_VALUE_ERROR, where, class_name,
                "got NULL as module %lld of %lld, needs a module. Hint: was it made before it is used here?",
                (long long)missing, (long long)count);
    bool ok = module != NULL;
    /* Each child is taken over or freed, whatever happens. */
    for (int64_t i = 0; i < count; i++) {
        if (ok)
            ok = fa_module_add_at(module, NULL, children[i], where) != NULL;
        else
            fa_module_drop(children[i]);
    }
    if (!ok) {
        fa_module_drop(module);
        return NULL;
    }
    return module;
}

fa_module *fa_nn_sequential_at(int64_t count, fa_module *const *children, fa_where where)
{
    return container("Sequential", sequential_forward, count, children, where);
}

fa_module *fa_nn_module_list_at(int64_t count, fa_module *const *children, fa_where where)
{
    fa_module *module = container("ModuleList", NULL, count, children, where);
    if (module)
        module->impl_->list = true;
    return module;
}
