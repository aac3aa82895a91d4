/* torch.optim.SGD; the update itself is the op sgd. */
#include "optim/optim.h"

static const char *state_name(const fa_optim_options *options, int k)
{
    return k == 0 && options->momentum != 0 ? "momentum_buffer" : NULL;
}

static bool check(const fa_optim_options *options, const char *what, fa_where where)
{
    if (!fa_optim_check(options->momentum, what, "momentum", where) ||
        !fa_optim_check(options->weight_decay, what, "weight_decay", where))
        return false;
    if (!options->nesterov || (options->momentum > 0 && options->dampening == 0))
        return true;
    return fa_fail(FA_VALUE_ERROR, where, what,
                   "got nesterov with momentum %g and dampening %g, needs momentum above 0 and no dampening. Hint: "
                   ".momentum = 0.9, .nesterov = true",
                   options->momentum, options->dampening);
}

static bool record(const fa_optim_options *options, const fa_optim_parameter *p, fa_node *weight, fa_node *grad,
                   int64_t steps)
{
    /* A schedule may have switched the momentum off since the buffer was made. */
    fa_node *in[3] = {weight, grad, options->momentum != 0 ? fa_leaf_node(p->state[0]) : NULL};
    if (options->momentum != 0 && !in[2])
        return false;
    /* A new buffer becomes a copy of the gradient: structure, so its plan is another one. */
    int64_t ints[3] = {options->nesterov, options->maximize, options->momentum != 0 && steps == p->first};
    double floats[4] = {options->lr, options->momentum, options->dampening, options->weight_decay};
    return fa_record_effect(FA_OP_sgd, 3, in, ints, sizeof ints, floats, 4);
}

static const fa_optim_kind kind = {
    .name = "SGD", .what = "fa_sgd", .has_momentum = true, .check = check, .state_name = state_name, .record = record};

fa_optim *fa_sgd_at(const fa_sgd_args *args)
{
    const fa_optim_options options = {.lr = args->lr,
                                      .momentum = args->momentum,
                                      .dampening = args->dampening,
                                      .weight_decay = args->weight_decay,
                                      .nesterov = args->nesterov,
                                      .maximize = args->maximize};
    return fa_optim_make(&kind, args->params, &options, args->where_);
}
