/* Hooks: functions of the user's around a module's forward function, and on the gradient of its output.
 *
 * For the latter the output is passed through an op `hook` that changes nothing; its gradient rule finds the module by
 * its number (it may be gone by then) and calls the functions. */
#include "nn/module.h"

#include "ops/hook.h"

#include <string.h>

/* Removed hooks leave a hole, which is closed when none of them runs. */
static void close_holes(fa_module_impl *impl)
{
    int kept = 0;
    for (int i = 0; i < impl->n_hooks && impl->hooks_running == 0; i++)
        if (impl->hooks[i].id)
            impl->hooks[kept++] = impl->hooks[i];
    if (impl->hooks_running == 0)
        impl->n_hooks = kept;
}

int64_t fa_register_hook_at(fa_module *module, fa_hook_time time, fa_hook_function function, void *context,
                            fa_where where)
{
    static atomic_int_fast64_t last_id;
    static const char what[] = "fa_register_hook";
    if (!fa_module_check(module, what, where))
        return 0;
    if (!function) {
        fa_fail(FA_VALUE_ERROR, where, what, "got NULL, needs a function. Hint: it returns NULL to change nothing");
        return 0;
    }
    fa_module_impl *impl = module->impl_;
    fa_hook *hooks = fa_realloc(impl->hooks, (size_t)(impl->n_hooks + 1) * sizeof *hooks);
    if (!hooks) {
        fa_fail_memory(where, sizeof *hooks);
        return 0;
    }
    impl->hooks = hooks;
    const int64_t id = atomic_fetch_add(&last_id, 1) + 1;
    hooks[impl->n_hooks++] = (fa_hook){id, time, function, context};
    return id;
}

bool fa_remove_hook(fa_module *module, int64_t id)
{
    fa_module_impl *impl = module ? module->impl_ : NULL;
    for (int i = 0; impl && id && i < impl->n_hooks; i++)
        if (impl->hooks[i].id == id) {
            impl->hooks[i].id = 0;
            close_holes(impl);
            return true;
        }
    return false;
}

/* Calls the hooks of one time on `tensor`, which each may replace. After forward, `input` is what the module was given.
 */
static fa_tensor *call_hooks(fa_module *module, fa_hook_time time, fa_tensor *tensor, fa_tensor *input)
{
    fa_module_impl *impl = module->impl_;
    const int count = impl->n_hooks; /* those that a hook registers wait for the next call */
    impl->hooks_running++;
    for (int i = 0; i < count && fa_ok(); i++) {
        const fa_hook hook = impl->hooks[i];
        if (!hook.id || hook.time != time)
            continue;
        fa_tensor *other = input ? hook.function(module, input, tensor, hook.context)
                                 : hook.function(module, tensor, NULL, hook.context);
        tensor = other ? other : tensor;
    }
    impl->hooks_running--;
    close_holes(impl);
    return fa_ok() ? tensor : NULL;
}

static bool has_hooks(const fa_module_impl *impl, fa_hook_time time)
{
    for (int i = 0; i < impl->n_hooks; i++)
        if (impl->hooks[i].id && impl->hooks[i].time == time)
            return true;
    return false;
}

static fa_module *find_module(uint64_t serial)
{
    fa_module *found = NULL;
    fa_modules_lock();
    for (fa_module_impl *impl = fa_modules_first(); impl && !found; impl = impl->next)
        if (impl->serial == serial)
            found = impl->self;
    fa_modules_unlock();
    return found;
}

static fa_node *on_gradient(int64_t serial, fa_node *gradient)
{
    fa_module *module = find_module((uint64_t)serial);
    if (!module || !has_hooks(module->impl_, FA_HOOK_BACKWARD))
        return gradient;
    const fa_where where = fa_current_where();
    fa_tensor *given = fa_handle(gradient), *result = given;
    if (given)
        result = call_hooks(module, FA_HOOK_BACKWARD, given, NULL);
    fa_begin(where);
    if (!result || result == given)
        return result ? gradient : NULL;
    fa_node *node = fa_use(result, "backward hook", "gradient");
    if (node && (node->meta.dtype != gradient->meta.dtype || node->meta.ndim != gradient->meta.ndim ||
                 memcmp(node->meta.shape, gradient->meta.shape, sizeof node->meta.shape) != 0)) {
        fa_refuse(FA_SHAPE_ERROR, "backward hook",
                  "got a gradient %s of %s in place of %s of %s, needs the same shape "
                  "and type. Hint: return NULL to change nothing",
                  fa_shape_text(&node->meta), fa_dtype_name(node->meta.dtype), fa_shape_text(&gradient->meta),
                  fa_dtype_name(gradient->meta.dtype));
        return NULL;
    }
    return node;
}

fa_tensor *fa_hooks_before(fa_module *module, fa_tensor *x)
{
    return call_hooks(module, FA_HOOK_BEFORE_FORWARD, x, NULL);
}

fa_tensor *fa_hooks_after(fa_module *module, fa_tensor *x, fa_tensor *y)
{
    y = call_hooks(module, FA_HOOK_AFTER_FORWARD, y, x);
    if (!y || !has_hooks(module->impl_, FA_HOOK_BACKWARD))
        return y;
    fa_begin(fa_forward_where());
    fa_node *node = fa_use(y, "forward", "output");
    if (!node || !node->requires_grad)
        return node ? y : NULL;
    return fa_handle(fa_record_hook(node, on_gradient, (int64_t)module->impl_->serial));
}
