/* torch.optim.Adam and AdamW; the update itself is the op adam. */
#include "optim/optim.h"

#include <math.h>

static int states(const fa_optim *optim)
{
    return optim->amsgrad ? 3 : 2; /* exp_avg, exp_avg_sq, max_exp_avg_sq */
}

static bool record(const fa_optim *optim, const fa_optim_parameter *p, fa_node *weight, fa_node *grad, int64_t steps)
{
    fa_node *in[5] = {weight, grad};
    for (int k = 0; k < states(optim); k++) {
        in[2 + k] = fa_leaf_node(p->state[k]);
        if (!in[2 + k])
            return false;
    }
    int64_t ints[3] = {optim->amsgrad, optim->maximize, optim->decoupled};
    double t = (double)steps;
    double floats[7] = {optim->lr,
                        optim->betas[0],
                        optim->betas[1],
                        optim->eps,
                        optim->weight_decay,
                        1 - pow(optim->betas[0], t),
                        1 - pow(optim->betas[1], t)};
    return fa_record_effect(FA_OP_adam, 5, in, ints, sizeof ints, floats, 7);
}

static const fa_optim_kind adam = {.name = "Adam", .states = states, .record = record};
static const fa_optim_kind adamw = {.name = "AdamW", .states = states, .record = record};

static fa_optim *make(const fa_adam_args *args, const fa_optim_kind *kind, const char *what, bool decoupled)
{
    fa_where where = args->where_;
    if (!fa_optim_check(args->eps, what, "eps", where) ||
        !fa_optim_check(args->weight_decay, what, "weight_decay", where))
        return NULL;
    for (int i = 0; i < 2; i++)
        if (!(args->betas[i] >= 0 && args->betas[i] < 1)) {
            fa_fail(FA_VALUE_ERROR, where, what,
                    "got betas {%g, %g}, needs both from 0 up to but not 1. Hint: .betas = {0.9, 0.999}",
                    args->betas[0], args->betas[1]);
            return NULL;
        }
    fa_optim *optim = fa_optim_make(kind, what, args->params, args->lr, where);
    if (!optim)
        return NULL;
    optim->betas[0] = args->betas[0];
    optim->betas[1] = args->betas[1];
    optim->eps = args->eps;
    optim->weight_decay = args->weight_decay;
    optim->amsgrad = args->amsgrad;
    optim->maximize = args->maximize;
    optim->decoupled = decoupled;
    return optim;
}

fa_optim *fa_adam_at(const fa_adam_args *args)
{
    return make(args, &adam, "fa_adam", false);
}

fa_optim *fa_adamw_at(const fa_adam_args *args)
{
    return make(args, &adamw, "fa_adamw", true);
}
