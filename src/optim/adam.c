/* torch.optim.Adam and AdamW; the update itself is the op adam. */
#include "optim/optim.h"

#include <math.h>

static const char *state_name(const fa_optim_options *options, int k)
{
    static const char *const names[FA_OPTIM_STATES] = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};
    return k < (options->amsgrad ? 3 : 2) ? names[k] : NULL;
}

static bool check(const fa_optim_options *options, const char *what, fa_where where)
{
    if (!fa_optim_check(options->eps, what, "eps", where) ||
        !fa_optim_check(options->weight_decay, what, "weight_decay", where))
        return false;
    for (int i = 0; i < 2; i++)
        if (!(options->betas[i] >= 0 && options->betas[i] < 1))
            return fa_fail(FA_VALUE_ERROR, where, what,
                           "got betas {%g, %g}, needs both from 0 up to but not 1. Hint: .betas = {0.9, 0.999}",
                           options->betas[0], options->betas[1]);
    return true;
}

static bool record(const fa_optim_options *options, const fa_optim_parameter *p, fa_node *weight, fa_node *grad,
                   int64_t steps, bool decoupled)
{
    fa_node *in[5] = {weight, grad};
    for (int k = 0; state_name(options, k); k++) {
        in[2 + k] = fa_leaf_node(p->state[k]);
        if (!in[2 + k])
            return false;
    }
    int64_t ints[3] = {options->amsgrad, options->maximize, decoupled};
    double t = (double)steps;
    double floats[7] = {options->lr,
                        options->betas[0],
                        options->betas[1],
                        options->eps,
                        options->weight_decay,
                        1 - pow(options->betas[0], t),
                        1 - pow(options->betas[1], t)};
    return fa_record_effect(FA_OP_adam, 5, in, ints, sizeof ints, floats, 7);
}

static bool record_adam(const fa_optim_options *options, const fa_optim_parameter *p, fa_node *weight, fa_node *grad,
                        int64_t steps)
{
    return record(options, p, weight, grad, steps, false);
}

static bool record_adamw(const fa_optim_options *options, const fa_optim_parameter *p, fa_node *weight, fa_node *grad,
                         int64_t steps)
{
    return record(options, p, weight, grad, steps, true);
}

static const fa_optim_kind adam = {.name = "Adam",
                                   .what = "fa_adam",
                                   .counts_steps = true,
                                   .has_betas = true,
                                   .check = check,
                                   .state_name = state_name,
                                   .record = record_adam};
static const fa_optim_kind adamw = {.name = "AdamW",
                                    .what = "fa_adamw",
                                    .counts_steps = true,
                                    .has_betas = true,
                                    .check = check,
                                    .state_name = state_name,
                                    .record = record_adamw};

static fa_optim *make(const fa_adam_args *args, const fa_optim_kind *kind)
{
    const fa_optim_options options = {.lr = args->lr,
                                      .betas = {args->betas[0], args->betas[1]},
                                      .eps = args->eps,
                                      .weight_decay = args->weight_decay,
                                      .amsgrad = args->amsgrad,
                                      .maximize = args->maximize};
    return fa_optim_make(kind, args->params, &options, args->where_);
}

fa_optim *fa_adam_at(const fa_adam_args *args)
{
    return make(args, &adam);
}

fa_optim *fa_adamw_at(const fa_adam_args *args)
{
    return make(args, &adamw);
}
