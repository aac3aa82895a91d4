/* Hooks of tensors: functions of the user's that see, and may replace, a gradient during backward.
 *
 * A list of hooks hangs on the node that a computed tensor names at that moment, or on a leaf. autograd.c calls it when
 * the gradient is complete. */
#include "tensor/thread.h"

#include <stdatomic.h>
#include <string.h>

typedef struct gradient_hook {
    int64_t id; /* 0: removed */
    fa_gradient_function function;
    void *context;
} gradient_hook;

struct fa_gradient_hooks {
    int count, running;
    gradient_hook *hook;
};

static atomic_int leaves_with_hooks;

int64_t fa_next_hook_id(void)
{
    static atomic_int_fast64_t last_id;
    return atomic_fetch_add(&last_id, 1) + 1;
}

bool fa_leaf_hooks_exist(void)
{
    return atomic_load_explicit(&leaves_with_hooks, memory_order_relaxed) > 0;
}

void fa_gradient_hooks_free(fa_gradient_hooks *hooks)
{
    if (hooks == NULL)
        return;
    fa_mfree(hooks->hook);
    fa_mfree(hooks);
}

void fa_leaf_hooks_free(fa_leaf *leaf)
{
    fa_gradient_hooks_free(leaf->hooks);
    leaf->hooks = NULL;
    atomic_fetch_sub(&leaves_with_hooks, 1);
}

/* Removed hooks leave a hole, which is closed when none of them runs. */
static void close_holes(fa_gradient_hooks *hooks)
{
    if (hooks->running > 0)
        return;
    int kept = 0;
    for (int i = 0; i < hooks->count; i++)
        if (hooks->hook[i].id != 0)
            hooks->hook[kept++] = hooks->hook[i];
    hooks->count = kept;
}

fa_node *fa_replaced_gradient(const fa_tensor *given, const fa_node *gradient, const char *what)
{
    fa_node *node = fa_use(given, what, "the gradient that it returned");
    if (node == NULL || (node->meta.dtype == gradient->meta.dtype && node->meta.ndim == gradient->meta.ndim &&
                         memcmp(node->meta.shape, gradient->meta.shape, sizeof node->meta.shape) == 0))
        return node;
    fa_refuse(
        FA_SHAPE_ERROR, what,
        "got a gradient %s of %s in place of %s of %s, needs the same shape and type. Hint: return NULL to change "
        "nothing",
        fa_shape_text(&node->meta), fa_dtype_name(node->meta.dtype), fa_shape_text(&gradient->meta),
        fa_dtype_name(gradient->meta.dtype));
    return NULL;
}

fa_node *fa_gradient_hooks_call(fa_gradient_hooks *hooks, fa_node *gradient)
{
    const int count = hooks->count; /* those that a hook registers wait for the next walk */
    hooks->running++;
    for (int i = 0; i < count && gradient != NULL; i++) {
        const gradient_hook hook = hooks->hook[i];
        if (hook.id == 0)
            continue;
        fa_tensor *given = fa_handle(gradient);
        if (given == NULL) {
            gradient = NULL;
            break;
        }
        const fa_outside outside = fa_outside_begin();
        const fa_tensor *other = hook.function(given, hook.context);
        fa_outside_end(outside);
        if (!fa_ok())
            gradient = NULL;
        else if (other != NULL)
            gradient = fa_replaced_gradient(other, gradient, "hook of a tensor");
    }
    hooks->running--;
    close_holes(hooks);
    return gradient;
}

static int64_t add_hook(fa_gradient_hooks **list, fa_gradient_function function, void *context)
{
    fa_gradient_hooks *hooks = *list != NULL ? *list : fa_calloc(1, sizeof *hooks);
    if (hooks == NULL) {
        fa_fail_memory(fa_current_where(), sizeof *hooks);
        return 0;
    }
    *list = hooks;
    gradient_hook *more = fa_realloc(hooks->hook, (size_t)(hooks->count + 1) * sizeof *more);
    if (more == NULL) {
        fa_fail_memory(fa_current_where(), (size_t)(hooks->count + 1) * sizeof *more);
        return 0;
    }
    hooks->hook = more;
    const int64_t id = fa_next_hook_id();
    more[hooks->count++] = (gradient_hook){id, function, context};
    return id;
}

int64_t fa_register_hook_at(fa_tensor *tensor, fa_gradient_function function, void *context, fa_where where)
{
    static const char what[] = "register_hook";
    fa_begin(where);
    fa_leaf *leaf = fa_handle_leaf(tensor);
    fa_node *node = leaf == NULL && fa_ok() ? fa_use(tensor, what, "the tensor") : NULL;
    if (leaf == NULL && node == NULL)
        return 0;
    if (function == NULL) {
        fa_refuse(FA_VALUE_ERROR, what, "got NULL, needs a function. Hint: it returns NULL to change nothing.");
        return 0;
    }
    if (leaf != NULL ? !leaf->requires_grad : !node->requires_grad) {
        fa_refuse(FA_STATE_ERROR, what,
                  "got a tensor without history, needs one that requires gradients. Hint: was it computed under "
                  "fa_no_grad, or detached, or is it a parameter that is frozen?");
        return 0;
    }
    if (leaf == NULL)
        return add_hook(&node->hooks, function, context);
    const bool first = leaf->hooks == NULL;
    const int64_t id = add_hook(&leaf->hooks, function, context);
    if (first && leaf->hooks != NULL)
        atomic_fetch_add(&leaves_with_hooks, 1);
    return id;
}

bool fa_remove_tensor_hook(fa_tensor *tensor, int64_t id)
{
    fa_leaf *leaf = fa_handle_leaf(tensor);
    const fa_node *node = leaf == NULL && fa_ok() ? fa_use(tensor, "remove_hook", "the tensor") : NULL;
    fa_gradient_hooks *hooks = leaf != NULL ? leaf->hooks : node != NULL ? node->hooks : NULL;
    for (int i = 0; hooks != NULL && id != 0 && i < hooks->count; i++)
        if (hooks->hook[i].id == id) {
            hooks->hook[i].id = 0;
            close_holes(hooks);
            return true;
        }
    return false;
}
