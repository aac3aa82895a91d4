/* torch.optim.Adagrad; the update itself is the op adagrad. */
#include "optim/optim.h"

static const char *state_name(const fa_optim_options *options, int k)
{
    (void)options;
    return k == 0 ? "sum" : NULL;
}

static double state_start(const fa_optim_options *options)
{
    return options->initial_accumulator_value;
}

static bool check(const fa_optim_options *options, const char *what, fa_where where)
{
    return fa_optim_check(options->lr_decay, what, "lr_decay", where) &&
           fa_optim_check(options->weight_decay, what, "weight_decay", where) &&
           fa_optim_check(options->initial_accumulator_value, what, "initial_accumulator_value", where) &&
           fa_optim_check(options->eps, what, "eps", where);
}

static bool record(const fa_optim_options *options, const fa_optim_parameter *p, fa_node *weight, fa_node *grad,
                   int64_t steps)
{
    fa_node *in[3] = {weight, grad, fa_leaf_node(p->state[0])};
    if (!in[2])
        return false;
    const int64_t maximize = options->maximize;
    double floats[3] = {options->lr / (1 + (double)(steps - 1) * options->lr_decay), options->eps,
                        options->weight_decay};
    return fa_record_effect(FA_OP_adagrad, 3, in, &maximize, sizeof maximize, floats, 3);
}

static const fa_optim_kind kind = {.name = "Adagrad",
                                   .what = "fa_adagrad",
                                   .counts_steps = true,
                                   .state_at_once = true,
                                   .check = check,
                                   .state_name = state_name,
                                   .state_start = state_start,
                                   .record = record};

fa_optim *fa_adagrad_at(const fa_adagrad_args *args)
{
    const fa_optim_options options = {.lr = args->lr,
                                      .lr_decay = args->lr_decay,
                                      .weight_decay = args->weight_decay,
                                      .initial_accumulator_value = args->initial_accumulator_value,
                                      .eps = args->eps,
                                      .maximize = args->maximize};
    return fa_optim_make(&kind, args->params, &options, args->where_);
}
