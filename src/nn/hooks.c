/* Hooks: functions of the user's around a module's forward function, and on the gradients of its output and input.
 *
 * For the latter the output, and where needed the input, are passed through an op `hook` that changes nothing; its
 * gradient rule finds the module by its number (it may be gone by then) and calls the functions. The op at the output
 * knows the one at the input (`partner`), and leaves the gradient there for the hooks that see both. */
#include "nn/module.h"

#include "ops/hook.h"

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

int64_t fa_register_module_hook_at(fa_module *module, fa_hook_time time, fa_hook_function function, void *context,
                                   fa_where where)
{
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
    const int64_t id = fa_next_hook_id();
    hooks[impl->n_hooks++] = (fa_hook){id, time, function, context};
    return id;
}

bool fa_remove_module_hook(fa_module *module, int64_t id)
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

/* Calls the hooks of one time in backward on a gradient; `other`: for them to look at, or NULL. Returns what takes its
 * place, NULL after an error; for a NULL gradient always NULL. */
static fa_node *call_backward_hooks(fa_module *module, fa_hook_time time, fa_node *gradient, fa_node *other)
{
    static const char what[] = "backward hook";
    fa_module_impl *impl = module->impl_;
    const int count = impl->n_hooks;
    impl->hooks_running++;
    for (int i = 0; i < count && fa_ok(); i++) {
        const fa_hook hook = impl->hooks[i];
        if (!hook.id || hook.time != time)
            continue;
        fa_tensor *given = gradient ? fa_handle(gradient) : NULL, *beside = other ? fa_handle(other) : NULL;
        if (!fa_ok())
            break;
        const fa_outside outside = fa_outside_begin();
        const fa_tensor *result = hook.function(module, given, beside, hook.context);
        fa_outside_end(outside);
        if (!result || !fa_ok())
            continue;
        if (gradient)
            gradient = fa_replaced_gradient(result, gradient, what);
        else
            fa_refuse(FA_VALUE_ERROR, what,
                      "got a gradient for the input of %s, which requires none, needs NULL. Hint: nothing before this "
                      "module is differentiated.",
                      impl->class_name);
    }
    impl->hooks_running--;
    close_holes(impl);
    return fa_ok() ? gradient : NULL;
}

/* What the hook of the output leaves for that of the input, which is reached later in the same walk. */
static void leave_gradient(fa_node *at_input, fa_node *gradient)
{
    at_input->partner = gradient;
    at_input->partner_serial = gradient->serial;
}

static fa_node *take_gradient(fa_node *at_input)
{
    fa_node *gradient = at_input->partner;
    at_input->partner = NULL;
    return gradient && gradient->serial == at_input->partner_serial ? gradient : NULL;
}

static fa_node *on_output_gradient(fa_node *node, fa_node *gradient)
{
    fa_module *module = find_module((uint64_t)node->ints[0]);
    if (!module)
        return gradient;
    if (has_hooks(module->impl_, FA_HOOK_BEFORE_BACKWARD))
        gradient = call_backward_hooks(module, FA_HOOK_BEFORE_BACKWARD, gradient, NULL);
    if (gradient && node->partner)
        leave_gradient(node->partner, gradient);
    else if (gradient && has_hooks(module->impl_, FA_HOOK_AFTER_BACKWARD))
        call_backward_hooks(module, FA_HOOK_AFTER_BACKWARD, NULL, gradient);
    return fa_ok() ? gradient : NULL;
}

/* What comes from a value inside the module, past its output, is no gradient of the module: no hook sees it. */
static fa_node *on_input_gradient(fa_node *node, fa_node *gradient)
{
    fa_node *of_output = take_gradient(node);
    fa_module *module = of_output ? find_module((uint64_t)node->ints[0]) : NULL;
    return module ? call_backward_hooks(module, FA_HOOK_AFTER_BACKWARD, gradient, of_output) : gradient;
}

fa_tensor *fa_hooks_before(fa_module *module, fa_tensor *x, fa_hooked *hooked)
{
    *hooked = (fa_hooked){0};
    x = call_hooks(module, FA_HOOK_BEFORE_FORWARD, x, NULL);
    hooked->input = x;
    if (!x || !has_hooks(module->impl_, FA_HOOK_AFTER_BACKWARD))
        return x;
    fa_begin(fa_forward_where());
    fa_node *node = fa_use(x, "forward", "input");
    if (!node || !node->requires_grad)
        return node ? x : NULL;
    hooked->node = fa_record_hook(node, on_input_gradient, (int64_t)module->impl_->serial);
    return hooked->input = fa_handle(hooked->node);
}

fa_tensor *fa_hooks_after(fa_module *module, const fa_hooked *hooked, fa_tensor *y)
{
    if (hooked->node && fa_use(hooked->input, "forward", "input") != hooked->node) {
        fa_fail(FA_STATE_ERROR, fa_forward_where(), "forward",
                "got a %s that changes its input in place, needs one that does not: it has a hook of backward. Hint: "
                "make the layer without .inplace, or remove the hook.",
                module->impl_->class_name);
        return NULL;
    }
    y = call_hooks(module, FA_HOOK_AFTER_FORWARD, y, hooked->input);
    if (!y || !(has_hooks(module->impl_, FA_HOOK_BEFORE_BACKWARD) || has_hooks(module->impl_, FA_HOOK_AFTER_BACKWARD)))
        return y;
    fa_begin(fa_forward_where());
    fa_node *node = fa_use(y, "forward", "output");
    if (!node || !node->requires_grad)
        return node ? y : NULL;
    fa_node *hook = fa_record_hook(node, on_output_gradient, (int64_t)module->impl_->serial);
    if (hook)
        hook->partner = hooked->node;
    return fa_handle(hook);
}
