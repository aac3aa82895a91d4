/* torch.optim.RMSprop; the update itself is the op rmsprop. */
#include "optim/optim.h"

/* state[0] square_avg, state[1] momentum_buffer, state[2] grad_avg; those that are not used stay NULL. */
static const char *state_name(const fa_optim_options *options, int k)
{
    if (k == 0)
        return "square_avg";
    if (k == 1)
        return options->momentum > 0 ? "momentum_buffer" : NULL;
    return options->centered ? "grad_avg" : NULL;
}

static bool check(const fa_optim_options *options, const char *what, fa_where where)
{
    return fa_optim_check(options->eps, what, "eps", where) &&
           fa_optim_check(options->momentum, what, "momentum", where) &&
           fa_optim_check(options->weight_decay, what, "weight_decay", where) &&
           fa_optim_check(options->alpha, what, "alpha", where);
}

static bool record(const fa_optim_options *options, const fa_optim_parameter *p, fa_node *weight, fa_node *grad,
                   int64_t steps)
{
    (void)steps;
    fa_node *in[5] = {weight, grad};
    for (int k = 0; k < FA_OPTIM_STATES; k++) {
        if (!state_name(options, k))
            continue;
        in[2 + k] = fa_leaf_node(p->state[k]);
        if (!in[2 + k])
            return false;
    }
    int64_t ints[2] = {options->centered, options->maximize};
    double floats[5] = {options->lr, options->alpha, options->eps, options->weight_decay, options->momentum};
    return fa_record_effect(FA_OP_rmsprop, 5, in, ints, sizeof ints, floats, 5);
}

static const fa_optim_kind kind = {.name = "RMSprop",
                                   .what = "fa_rmsprop",
                                   .counts_steps = true,
                                   .has_momentum = true,
                                   .check = check,
                                   .state_name = state_name,
                                   .record = record};

fa_optim *fa_rmsprop_at(const fa_rmsprop_args *args)
{
    const fa_optim_options options = {.lr = args->lr,
                                      .alpha = args->alpha,
                                      .eps = args->eps,
                                      .weight_decay = args->weight_decay,
                                      .momentum = args->momentum,
                                      .centered = args->centered,
                                      .maximize = args->maximize};
    return fa_optim_make(&kind, args->params, &options, args->where_);
}
