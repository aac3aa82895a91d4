/* Optimizers: what all kinds share. */
#include "optim/optim.h"

#include <string.h>

static atomic_llong live;

int64_t fa_optim_live_count(void)
{
    return (int64_t)atomic_load(&live);
}

bool fa_optim_check(double value, const char *what, const char *option, fa_where where)
{
    if (value >= 0)
        return true;
    return fa_fail(FA_VALUE_ERROR, where, what, "got %s %g, needs 0 or more. Hint: .maximize = true climbs instead",
                   option, value);
}

/* Takes the parameters' leaves over, one reference each. False after an error; `optim->count` says how many it has. */
static bool take_parameters(fa_optim *optim, const char *what, fa_tensor_list params, fa_where where)
{
    for (int64_t i = 0; i < params.count; i++) {
        fa_leaf *leaf = fa_handle_leaf(params.tensor[i]);
        if (!leaf) {
            const fa_node *node = fa_use(params.tensor[i], what, "a parameter");
            if (node)
                fa_fail(FA_VALUE_ERROR, where, what,
                        "got a computed tensor %s as parameter %lld, needs a leaf. Hint: give the tensor that it was "
                        "computed from",
                        fa_shape_text(&node->meta), (long long)i);
            return false;
        }
        for (int64_t k = 0; k < i; k++)
            if (optim->parameter[k].leaf == leaf)
                return fa_fail(FA_VALUE_ERROR, where, what,
                               "got parameter %lld (%s) again as parameter %lld, needs each once. Hint: fa_parameters "
                               "lists a shared one once",
                               (long long)k, leaf->name ? leaf->name : "no name", (long long)i);
        optim->parameter[i].leaf = fa_leaf_retain(leaf);
        optim->count++;
    }
    return true;
}

fa_optim *fa_optim_make(const fa_optim_kind *kind, const char *what, fa_tensor_list params, double lr, fa_where where)
{
    fa_begin(where);
    if (params.count <= 0) {
        if (fa_ok())
            fa_fail(FA_VALUE_ERROR, where, what,
                    "got no parameters, needs at least one. Hint: fa_parameters(model) lists a model's; layers join it "
                    "with fa_layer, not by setting the field");
        return NULL;
    }
    if (!fa_optim_check(lr, what, "learning rate", where))
        return NULL;
    fa_optim *optim = fa_calloc(1, sizeof *optim);
    fa_optim_parameter *parameter = fa_calloc((size_t)params.count, sizeof *parameter);
    if (!optim || !parameter) {
        fa_mfree(optim);
        fa_mfree(parameter);
        fa_fail_memory(where, (size_t)params.count * sizeof *parameter);
        return NULL;
    }
    atomic_init(&optim->refs, 1);
    optim->kind = kind;
    optim->lr = lr;
    optim->parameter = parameter;
    atomic_fetch_add(&live, 1);
    if (!take_parameters(optim, what, params, where)) {
        fa_optim_free(optim);
        return NULL;
    }
    return optim;
}

fa_optim *fa_optim_retain(fa_optim *optim)
{
    atomic_fetch_add(&optim->refs, 1);
    return optim;
}

void fa_optim_free(fa_optim *optim)
{
    if (!optim || atomic_fetch_sub(&optim->refs, 1) > 1)
        return;
    /* Steps that are still to be run point at this optimizer's counts. */
    fa_flush();
    for (int64_t i = 0; i < optim->count; i++) {
        for (int k = 0; k < FA_OPTIM_STATES; k++)
            if (optim->parameter[i].state[k])
                fa_leaf_release(optim->parameter[i].state[k]);
        fa_leaf_release(optim->parameter[i].leaf);
    }
    fa_mfree(optim->parameter);
    fa_mfree(optim);
    atomic_fetch_sub(&live, 1);
}

/* False after raising an error, and while one stands: a step must not follow a failed forward pass. */
static bool usable(const fa_optim *optim, const char *what, fa_where where)
{
    if (!fa_ok())
        return false;
    if (!optim)
        return fa_fail(FA_STATE_ERROR, where, what, "got NULL, needs an optimizer. Hint: was it made?");
    return true;
}

static bool has_gradient(const fa_optim_parameter *p)
{
    return p->leaf->grad && p->leaf->grad_defined;
}

/* All memory is made before the first effect is recorded. */
static bool make_states(const fa_optim *optim)
{
    int states = optim->kind->states(optim);
    for (int64_t i = 0; i < optim->count; i++) {
        fa_optim_parameter *p = &optim->parameter[i];
        for (int k = 0; k < states && has_gradient(p); k++) {
            if (p->state[k])
                continue;
            p->state[k] = fa_leaf_new(&p->leaf->meta);
            if (!p->state[k])
                return false;
            memset(p->state[k]->buffer->data, 0,
                   (size_t)(fa_meta_numel(&p->leaf->meta) * fa_dtype_size(p->leaf->meta.dtype)));
        }
    }
    return true;
}

bool fa_optim_step_at(fa_optim *optim, fa_where where)
{
    if (!usable(optim, "fa_step", where))
        return false;
    fa_begin(where);
    if (!make_states(optim))
        return false;
    for (int64_t i = 0; i < optim->count; i++) {
        fa_optim_parameter *p = &optim->parameter[i];
        if (!has_gradient(p))
            continue;
        fa_node *weight = fa_leaf_node(p->leaf), *grad = fa_leaf_node(p->leaf->grad);
        if (!weight || !grad || !optim->kind->record(optim, p, weight, grad, p->steps + 1))
            return false;
        p->steps++;
        fa_effect_counts(&p->steps);
    }
    return true;
}

bool fa_optim_zero_grad_at(fa_optim *optim, fa_where where)
{
    /* Works beside an error too: it makes the next step safe, not wrong. */
    if (!optim)
        return usable(optim, "fa_zero_grad", where);
    for (int64_t i = 0; i < optim->count; i++)
        optim->parameter[i].leaf->grad_defined = false;
    return true;
}

double fa_lr(const fa_optim *optim)
{
    return optim ? optim->lr : 0;
}

bool fa_set_lr_at(fa_optim *optim, double lr, fa_where where)
{
    if (!usable(optim, "fa_set_lr", where) || !fa_optim_check(lr, "fa_set_lr", "learning rate", where))
        return false;
    optim->lr = lr;
    return true;
}
