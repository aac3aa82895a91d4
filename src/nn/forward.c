/* Running modules: the stack of those that run on this thread, which gives messages their layer's path. */
#include "nn/module.h"

#include <stdint.h>

typedef struct running {
    fa_module_impl *module;
    fa_where where;
    uintptr_t address; /* of the call's frame */
    uint64_t scope;    /* open at the call */
} running;

static _Thread_local running stack[FA_FORWARD_DEPTH];
static _Thread_local int depth;
static _Thread_local const fa_forward_observer *observer;

/* A program may longjmp out of a forward pass and leave its calls on the stack. A caller's frame lies above its
 * callee's, so what does not lie above `address` has been left; so has a call from a scope younger than this one. */
static void trim(uintptr_t address)
{
    uint64_t scope = depth > 0 ? fa_scope_mark() : 0;
    while (depth > 0 && (stack[depth - 1].address <= address || stack[depth - 1].scope > scope))
        depth--;
}

fa_where fa_forward_where(void)
{
    return depth > 0 ? stack[depth - 1].where : (fa_where){"", 0};
}

__attribute__((noinline)) const char *fa_forward_path(void)
{
    static _Thread_local char path[256];
    trim((uintptr_t)__builtin_frame_address(0));
    return depth > 0 ? fa_module_path(stack[depth - 1].module, path, sizeof path) : NULL;
}

const fa_forward_observer *fa_forward_observe(const fa_forward_observer *next)
{
    const fa_forward_observer *previous = observer;
    observer = next;
    return previous;
}

/* False after an error. */
static bool enter(fa_module *module, fa_tensor *x, const char *what, fa_where where, uintptr_t address)
{
    if (!fa_module_check(module, what, where))
        return false;
    if (!x) {
        if (fa_ok())
            fa_fail(FA_VALUE_ERROR, where, what, "got a NULL tensor as the input of %s. Hint: was it made?",
                    module->impl_->class_name);
        return false;
    }
    trim(address);
    if (depth == FA_FORWARD_DEPTH)
        return fa_fail(FA_STATE_ERROR, where, what,
                       "got %d modules inside one another, needs fewer. Hint: does the forward function of %s call "
                       "fa_forward on itself?",
                       FA_FORWARD_DEPTH, module->impl_->class_name);
    stack[depth++] = (running){module->impl_, where, address, fa_scope_mark()};
    if (observer)
        observer->enter(observer->context, module->impl_, x);
    return true;
}

/* `at`: the call's place on the stack. */
static fa_tensor *leave(int at, fa_tensor *y)
{
    fa_module_impl *impl = stack[at].module;
    depth = at + 1;
    if (!y && fa_ok())
        fa_fail(FA_STATE_ERROR, stack[at].where, "forward",
                "got NULL from the forward function of %s, needs a tensor. Hint: does every path of it return one?",
                impl->class_name);
    if (y && observer)
        observer->leave(observer->context, impl, y);
    depth = at;
    return y;
}

__attribute__((noinline)) fa_tensor *fa_forward_at(fa_module *module, fa_tensor *x, fa_where where)
{
    if (!enter(module, x, "fa_forward", where, (uintptr_t)__builtin_frame_address(0)))
        return NULL;
    int at = depth - 1;
    if (!module->impl_->forward) {
        fa_fail(FA_STATE_ERROR, where, "fa_forward", "got a %s, which has no forward function. Hint: %s",
                module->impl_->class_name,
                module->impl_->criterion ? "a loss is called with fa_criterion(loss, outputs, labels)"
                : module->impl_->list    ? "run its children one by one: fa_forward(fa_child(list, i), x)"
                                         : "give one to fa_module_new");
        return leave(at, NULL);
    }
    if (module->impl_->n_hooks == 0)
        return leave(at, module->impl_->forward(module, x));
    fa_hooked hooked;
    x = fa_hooks_before(module, x, &hooked);
    fa_tensor *y = x ? module->impl_->forward(module, x) : NULL;
    return leave(at, y ? fa_hooks_after(module, &hooked, y) : NULL);
}

__attribute__((noinline)) fa_tensor *fa_criterion_at(fa_module *loss, fa_tensor *input, fa_tensor *target,
                                                     fa_where where)
{
    if (!enter(loss, input, "fa_criterion", where, (uintptr_t)__builtin_frame_address(0)))
        return NULL;
    int at = depth - 1;
    if (!loss->impl_->criterion) {
        fa_fail(FA_STATE_ERROR, where, "fa_criterion",
                "got a %s, needs a loss. Hint: fa_nn_cross_entropy_loss() makes one", loss->impl_->class_name);
        return leave(at, NULL);
    }
    if (loss->impl_->n_hooks == 0)
        return leave(at, loss->impl_->criterion(loss, input, target, where));
    fa_hooked hooked;
    input = fa_hooks_before(loss, input, &hooked);
    fa_tensor *y = input ? loss->impl_->criterion(loss, input, target, where) : NULL;
    return leave(at, y ? fa_hooks_after(loss, &hooked, y) : NULL);
}
