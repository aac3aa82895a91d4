/* ReduceLROnPlateau: the one schedule whose step takes a metric. */
#include "optim/optim.h"

#include <math.h>

typedef struct plateau_lr {
    fa_scheduler base;
    fa_plateau_mode mode;
    double factor, threshold, eps, best;
    bool threshold_abs;
    int64_t patience, cooldown, bad, waiting; /* steps without something better; left of the cooldown */
    double min_lr, *min_lrs;                  /* of groups that came later; of the others */
} plateau_lr;

/* In a sequence or by fa_step there is no metric. */
static bool step(fa_scheduler *scheduler, fa_where where)
{
    if (scheduler->initial)
        return true;
    return fa_fail(FA_STATE_ERROR, where, scheduler->kind->what,
                   "got a step without a metric, needs one. Hint: fa_step_metric(schedule, loss)");
}

static void release(fa_scheduler *scheduler)
{
    fa_mfree(((plateau_lr *)scheduler)->min_lrs);
}

static const fa_schedule_kind kind = {
    .name = "ReduceLROnPlateau", .what = "fa_reduce_lr_on_plateau", .step = step, .release = release};

static bool is_better(const plateau_lr *s, double metric)
{
    if (s->mode == FA_MIN)
        return metric < (s->threshold_abs ? s->best - s->threshold : s->best * (1.0 - s->threshold));
    return metric > (s->threshold_abs ? s->best + s->threshold : s->best * (s->threshold + 1.0));
}

static void reduce(const plateau_lr *s)
{
    for (int64_t g = 0; g < s->base.optim->group_count; g++) {
        double *lr = &s->base.optim->group[g]->now.lr;
        const double least = g < s->base.bases ? s->min_lrs[g] : s->min_lr;
        const double lower = *lr * s->factor >= least ? *lr * s->factor : least;
        if (*lr - lower > s->eps)
            *lr = lower;
    }
}

bool fa_step_metric_at(fa_scheduler *scheduler, double metric, fa_where where)
{
    if (!fa_ok())
        return false;
    if (!scheduler)
        return fa_fail(FA_STATE_ERROR, where, "fa_step_metric", "got NULL, needs a schedule. Hint: was it made?");
    if (scheduler->kind != &kind)
        return fa_fail(FA_VALUE_ERROR, where, "fa_step_metric",
                       "got a metric for %s, needs none. Hint: fa_step(schedule)", scheduler->kind->name);
    plateau_lr *s = (plateau_lr *)scheduler;
    scheduler->epoch++;
    if (is_better(s, metric)) {
        s->best = metric;
        s->bad = 0;
    } else {
        s->bad++;
    }
    if (s->waiting > 0) {
        s->waiting--;
        s->bad = 0;
    }
    if (s->bad > s->patience) {
        reduce(s);
        s->waiting = s->cooldown;
        s->bad = 0;
    }
    return true;
}

fa_scheduler *fa_reduce_lr_on_plateau_at(const fa_plateau_args *args)
{
    if (!fa_scheduler_check_optim(args->optim, kind.what, args->where_))
        return NULL;
    if (!(args->factor < 1)) {
        fa_scheduler_refuse(kind.what, "factor", args->factor, "below 1. Hint: the rate is multiplied by it",
                            args->where_);
        return NULL;
    }
    if (args->mode != FA_MIN && args->mode != FA_MAX) {
        fa_scheduler_refuse(kind.what, "mode", (double)args->mode,
                            "FA_MIN or FA_MAX. Hint: FA_MAX where more is better, as of an accuracy", args->where_);
        return NULL;
    }
    plateau_lr *s = fa_scheduler_make(sizeof *s, &kind, args->optim, -1, args->where_);
    if (!s)
        return NULL;
    s->min_lrs = fa_calloc((size_t)s->base.bases, sizeof *s->min_lrs);
    if (!s->min_lrs) {
        fa_fail_memory(args->where_, (size_t)s->base.bases * sizeof *s->min_lrs);
        fa_scheduler_free(&s->base);
        return NULL;
    }
    s->min_lr = args->min_lr;
    for (int64_t g = 0; g < s->base.bases; g++)
        s->min_lrs[g] = args->min_lrs ? args->min_lrs[g] : args->min_lr;
    s->mode = args->mode;
    s->factor = args->factor;
    s->patience = args->patience;
    s->threshold = args->threshold;
    s->threshold_abs = args->threshold_abs;
    s->cooldown = args->cooldown;
    s->eps = args->eps;
    s->best = args->mode == FA_MIN ? INFINITY : -INFINITY;
    return fa_scheduler_start(&s->base, args->where_);
}
