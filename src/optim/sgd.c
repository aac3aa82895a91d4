/* torch.optim.SGD; the update itself is the op sgd. */
#include "optim/optim.h"

static int states(const fa_optim *optim)
{
    return optim->momentum != 0;
}

static bool record(const fa_optim *optim, const fa_optim_parameter *p, fa_node *weight, fa_node *grad, int64_t steps)
{
    fa_node *in[3] = {weight, grad, p->state[0] ? fa_leaf_node(p->state[0]) : NULL};
    if (p->state[0] && !in[2])
        return false;
    /* The first step copies the gradient into the buffer: structure, so its plan is another one. */
    int64_t ints[3] = {optim->nesterov, optim->maximize, optim->momentum != 0 && steps == 1};
    double floats[4] = {optim->lr, optim->momentum, optim->dampening, optim->weight_decay};
    return fa_record_effect(FA_OP_sgd, 3, in, ints, sizeof ints, floats, 4);
}

static const fa_optim_kind kind = {.name = "SGD", .states = states, .record = record};

fa_optim *fa_sgd_at(const fa_sgd_args *args)
{
    static const char what[] = "fa_sgd";
    fa_where where = args->where_;
    if (!fa_optim_check(args->momentum, what, "momentum", where) ||
        !fa_optim_check(args->weight_decay, what, "weight_decay", where))
        return NULL;
    if (args->nesterov && (args->momentum <= 0 || args->dampening != 0)) {
        fa_fail(FA_VALUE_ERROR, where, what,
                "got nesterov with momentum %g and dampening %g, needs momentum above 0 and no dampening. Hint: "
                ".momentum = 0.9, .nesterov = true",
                args->momentum, args->dampening);
        return NULL;
    }
    fa_optim *optim = fa_optim_make(&kind, what, args->params, args->lr, where);
    if (!optim)
        return NULL;
    optim->momentum = args->momentum;
    optim->dampening = args->dampening;
    optim->weight_decay = args->weight_decay;
    optim->nesterov = args->nesterov;
    optim->maximize = args->maximize;
    return optim;
}
