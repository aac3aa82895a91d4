/* Learning rate schedules: StepLR. PyTorch's recursive form, in double: what the rate is now is changed, never worked
 * out from the first one. */
#include "optim/optim.h"

struct fa_scheduler {
    fa_optim *optim;
    int64_t step_size, epoch;
    double gamma;
};

static atomic_llong live;

int64_t fa_scheduler_live_count(void)
{
    return (int64_t)atomic_load(&live);
}

fa_scheduler *fa_step_lr_at(const fa_step_lr_args *args)
{
    if (!args->optim) {
        if (fa_ok())
            fa_fail(FA_VALUE_ERROR, args->where_, "fa_step_lr",
                    "got no optimizer, needs one. Hint: fa_step_lr(optim, step_size, .gamma = 0.1)");
        return NULL;
    }
    if (args->step_size < 1) {
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_step_lr",
                "got step_size %lld, needs at least 1. Hint: the rate changes every step_size-th step",
                (long long)args->step_size);
        return NULL;
    }
    fa_scheduler *scheduler = fa_calloc(1, sizeof *scheduler);
    if (!scheduler) {
        fa_fail_memory(args->where_, sizeof *scheduler);
        return NULL;
    }
    scheduler->optim = fa_optim_retain(args->optim);
    scheduler->step_size = args->step_size;
    scheduler->gamma = args->gamma;
    atomic_fetch_add(&live, 1);
    return scheduler;
}

bool fa_scheduler_step_at(fa_scheduler *scheduler, fa_where where)
{
    if (!fa_ok())
        return false;
    if (!scheduler)
        return fa_fail(FA_STATE_ERROR, where, "fa_step", "got NULL, needs a schedule. Hint: was it made?");
    if (++scheduler->epoch % scheduler->step_size == 0)
        scheduler->optim->lr *= scheduler->gamma;
    return true;
}

void fa_scheduler_free(fa_scheduler *scheduler)
{
    if (!scheduler)
        return;
    fa_optim_free(scheduler->optim);
    fa_mfree(scheduler);
    atomic_fetch_sub(&live, 1);
}
