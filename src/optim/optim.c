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
    return fa_fail(FA_VALUE_ERROR, where, what, "got %s %g, needs 0 or more. Hint: %s", option, value,
                   strcmp(option, "learning rate") == 0 ? ".maximize = true climbs instead"
                                                        : "leave it out for PyTorch's default");
}

static bool is_taken(const fa_optim *optim, const fa_leaf *leaf)
{
    for (int64_t g = 0; g < optim->group_count; g++)
        for (int64_t i = 0; i < optim->group[g]->count; i++)
            if (optim->group[g]->parameter[i].leaf == leaf)
                return true;
    return false;
}

/* Takes the parameters' leaves over, one reference each. False after an error; `group->count` says how many it has. */
static bool take_parameters(fa_optim_group *group, const fa_optim *optim, const char *what, fa_tensor_list params,
                            fa_where where)
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
            if (group->parameter[k].leaf == leaf)
                return fa_fail(FA_VALUE_ERROR, where, what,
                               "got parameter %lld (%s) again as parameter %lld, needs each once. Hint: fa_parameters "
                               "lists a shared one once",
                               (long long)k, leaf->name ? leaf->name : "no name", (long long)i);
        if (is_taken(optim, leaf))
            return fa_fail(FA_VALUE_ERROR, where, what,
                           "got parameter %lld (%s), which an earlier group has, needs each in one group alone. Hint: "
                           "leave it out of one of the lists",
                           (long long)i, leaf->name ? leaf->name : "no name");
        group->parameter[i].leaf = fa_leaf_retain(leaf);
        group->count++;
    }
    return true;
}

static void free_group(fa_optim_group *group)
{
    if (!group)
        return;
    for (int64_t i = 0; i < group->count; i++) {
        for (int k = 0; k < FA_OPTIM_STATES; k++)
            if (group->parameter[i].state[k])
                fa_leaf_release(group->parameter[i].state[k]);
        fa_leaf_release(group->parameter[i].leaf);
    }
    fa_mfree(group->parameter);
    fa_mfree(group);
}

bool fa_optim_make_state(const fa_optim *optim, fa_optim_group *group, fa_optim_parameter *p)
{
    for (int k = 0; k < FA_OPTIM_STATES; k++) {
        if (p->state[k] || !optim->kind->state_name(&group->now, k))
            continue;
        p->state[k] = fa_leaf_new(&p->leaf->meta);
        if (!p->state[k])
            return false;
        p->first = p->steps + 1;
        const double start = optim->kind->state_start ? optim->kind->state_start(&group->now) : 0;
        const int64_t n = fa_meta_numel(&p->leaf->meta);
        if (p->leaf->meta.dtype == FA_DT_FLOAT32)
            for (int64_t i = 0; i < n; i++)
                ((float *)p->state[k]->buffer->data)[i] = (float)start;
        else
            for (int64_t i = 0; i < n; i++)
                ((double *)p->state[k]->buffer->data)[i] = start;
    }
    return true;
}

/* Everything but the place in the optimizer. NULL after an error. */
static fa_optim_group *new_group(const fa_optim *optim, const char *what, fa_tensor_list params,
                                 const fa_optim_options *options, fa_where where)
{
    if (params.count <= 0) {
        if (fa_ok())
            fa_fail(FA_VALUE_ERROR, where, what,
                    "got no parameters, needs at least one. Hint: fa_parameters(model) lists a model's; layers join it "
                    "with fa_layer, not by setting the field");
        return NULL;
    }
    if (!fa_optim_check(options->lr, what, "learning rate", where) || !optim->kind->check(options, what, where))
        return NULL;
    fa_optim_group *group = fa_calloc(1, sizeof *group);
    if (group)
        group->parameter = fa_calloc((size_t)params.count, sizeof *group->parameter);
    if (!group || !group->parameter) {
        fa_mfree(group);
        fa_fail_memory(where, (size_t)params.count * sizeof(fa_optim_parameter));
        return NULL;
    }
    group->now = *options;
    bool ok = take_parameters(group, optim, what, params, where);
    for (int64_t i = 0; ok && optim->kind->state_at_once && i < group->count; i++) {
        const int dtype = group->parameter[i].leaf->meta.dtype;
        ok = dtype == FA_DT_FLOAT32 || dtype == FA_DT_FLOAT64
                 ? fa_optim_make_state(optim, group, &group->parameter[i])
                 : fa_fail(FA_DTYPE_ERROR, where, what, "got parameter %lld of dtype %s, needs float32 or float64",
                           (long long)i, fa_dtype_name(dtype));
    }
    if (ok)
        return group;
    free_group(group);
    return NULL;
}

static bool add_group(fa_optim *optim, const char *what, fa_tensor_list params, const fa_optim_options *options,
                      fa_where where)
{
    fa_optim_group **more = fa_realloc(optim->group, (size_t)(optim->group_count + 1) * sizeof *more);
    if (!more)
        return fa_fail_memory(where, (size_t)(optim->group_count + 1) * sizeof *more);
    optim->group = more;
    fa_optim_group *group = new_group(optim, what, params, options, where);
    if (!group)
        return false;
    optim->group[optim->group_count++] = group;
    return true;
}

fa_optim *fa_optim_make(const fa_optim_kind *kind, fa_tensor_list params, const fa_optim_options *options,
                        fa_where where)
{
    fa_begin(where);
    fa_optim *optim = fa_calloc(1, sizeof *optim);
    if (!optim) {
        fa_fail_memory(where, sizeof *optim);
        return NULL;
    }
    atomic_init(&optim->refs, 1);
    optim->kind = kind;
    optim->defaults = *options;
    atomic_fetch_add(&live, 1);
    if (add_group(optim, kind->what, params, options, where))
        return optim;
    fa_optim_free(optim);
    return NULL;
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
    for (int64_t g = 0; g < optim->group_count; g++)
        free_group(optim->group[g]);
    fa_mfree(optim->group);
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

static fa_optim_group *group_at(const fa_optim *optim, int64_t group, const char *what, fa_where where)
{
    if (group >= 0 && group < optim->group_count)
        return optim->group[group];
    fa_fail(FA_INDEX_ERROR, where, what, "got group %lld, needs 0 to %lld. Hint: fa_add_param_group makes another",
            (long long)group, (long long)optim->group_count - 1);
    return NULL;
}

/* ---- Groups --------------------------------------------------------------------------------------------------------
 */

static void take(double *option, double given)
{
    if (given != FA_OPTIM_DEFAULT)
        *option = given;
}

bool fa_add_param_group_at(const fa_group_args *args)
{
    static const char what[] = "fa_add_param_group";
    if (!usable(args->optim, what, args->where_))
        return false;
    fa_begin(args->where_);
    fa_optim_options o = args->optim->defaults;
    take(&o.lr, args->lr);
    take(&o.momentum, args->momentum);
    take(&o.dampening, args->dampening);
    take(&o.weight_decay, args->weight_decay);
    take(&o.betas[0], args->betas[0]);
    take(&o.betas[1], args->betas[1]);
    take(&o.eps, args->eps);
    take(&o.alpha, args->alpha);
    take(&o.lr_decay, args->lr_decay);
    take(&o.initial_accumulator_value, args->initial_accumulator_value);
    o.nesterov = args->nesterov < 0 ? o.nesterov : args->nesterov > 0;
    o.amsgrad = args->amsgrad < 0 ? o.amsgrad : args->amsgrad > 0;
    o.centered = args->centered < 0 ? o.centered : args->centered > 0;
    o.maximize = args->maximize < 0 ? o.maximize : args->maximize > 0;
    return add_group(args->optim, what, args->params, &o, args->where_);
}

int64_t fa_group_count(const fa_optim *optim)
{
    return optim ? optim->group_count : 0;
}

double fa_group_lr_at(const fa_optim *optim, int64_t group, fa_where where)
{
    const fa_optim_group *g = optim ? group_at(optim, group, "fa_group_lr", where) : NULL;
    return g ? g->now.lr : 0;
}

double fa_group_momentum_at(const fa_optim *optim, int64_t group, fa_where where)
{
    const fa_optim_group *g = optim ? group_at(optim, group, "fa_group_momentum", where) : NULL;
    return !g ? 0 : optim->kind->has_betas ? g->now.betas[0] : g->now.momentum;
}

void fa_optim_set_momentum(const fa_optim *optim, fa_optim_group *group, double momentum)
{
    *(optim->kind->has_betas ? &group->now.betas[0] : &group->now.momentum) = momentum;
}

bool fa_set_group_lr_at(fa_optim *optim, int64_t group, double lr, fa_where where)
{
    static const char what[] = "fa_set_group_lr";
    if (!usable(optim, what, where) || !fa_optim_check(lr, what, "learning rate", where))
        return false;
    fa_optim_group *g = group_at(optim, group, what, where);
    if (g) {
        g->now.lr = lr;
        g->loaded = false;
    }
    return g != NULL;
}

double fa_lr(const fa_optim *optim)
{
    return optim ? optim->group[0]->now.lr : 0;
}

bool fa_set_lr_at(fa_optim *optim, double lr, fa_where where)
{
    if (!usable(optim, "fa_set_lr", where) || !fa_optim_check(lr, "fa_set_lr", "learning rate", where))
        return false;
    for (int64_t g = 0; g < optim->group_count; g++) {
        optim->group[g]->now.lr = lr;
        optim->group[g]->loaded = false;
    }
    return true;
}

int fa_optim_state_list(fa_optim *optim, int64_t group, int64_t parameter, fa_optim_state entry[FA_OPTIM_STATES + 1])
{
    fa_optim_group *g = optim->group[group];
    fa_optim_parameter *p = &g->parameter[parameter];
    int n = 0;
    if (p->steps == 0 && !optim->kind->state_at_once)
        return 0;
    if (optim->kind->counts_steps)
        entry[n++] = (fa_optim_state){.name = "step", .step = &p->steps};
    for (int k = 0; k < FA_OPTIM_STATES; k++) {
        const char *name = optim->kind->state_name(&g->now, k);
        if (name && p->state[k])
            entry[n++] = (fa_optim_state){.name = name, .leaf = p->state[k]};
    }
    return n;
}

/* ---- Steps ---------------------------------------------------------------------------------------------------------
 */

static bool has_gradient(const fa_optim_parameter *p)
{
    return p->leaf->grad && p->leaf->grad_defined;
}

/* The commonest forgotten line, said once. */
static void note_mixed(fa_optim *optim, int64_t step, fa_where where)
{
    snprintf(
        optim->note, sizeof optim->note,
        "%s:%d: fa_step: from step %lld on, gradients hold what the steps before have used already: fa_zero_grad was "
        "not called in between, so fa_backward added to them",
        where.file, where.line, (long long)step);
}

const char *fa_optim_notes(const fa_optim *optim)
{
    return optim != NULL ? optim->note : "";
}

bool fa_optim_step_at(fa_optim *optim, fa_where where)
{
    if (!usable(optim, "fa_step", where))
        return false;
    fa_begin(where);
    /* All memory is made before the first effect is recorded. */
    for (int64_t g = 0; g < optim->group_count; g++)
        for (int64_t i = 0; i < optim->group[g]->count; i++) {
            fa_optim_parameter *p = &optim->group[g]->parameter[i];
            if (has_gradient(p) && !fa_optim_make_state(optim, optim->group[g], p))
                return false;
        }
    for (int64_t g = 0; g < optim->group_count; g++)
        for (int64_t i = 0; i < optim->group[g]->count; i++) {
            fa_optim_parameter *p = &optim->group[g]->parameter[i];
            if (!has_gradient(p))
                continue;
            fa_node *weight = fa_leaf_node(p->leaf), *grad = fa_leaf_node(p->leaf->grad);
            if (!weight || !grad || !optim->kind->record(&optim->group[g]->now, p, weight, grad, p->steps + 1))
                return false;
            p->steps++;
            fa_effect_counts(&p->steps);
            if (p->leaf->grad_mixed && optim->note[0] == 0)
                note_mixed(optim, p->steps, where);
            p->leaf->grad_used = true;
        }
    return true;
}

bool fa_optim_zero_grad_at(fa_optim *optim, fa_where where)
{
    /* Works beside an error too: it makes the next step safe, not wrong. */
    if (!optim)
        return usable(optim, "fa_zero_grad", where);
    for (int64_t g = 0; g < optim->group_count; g++)
        for (int64_t i = 0; i < optim->group[g]->count; i++)
            optim->group[g]->parameter[i].leaf->grad_defined = false;
    return true;
}
