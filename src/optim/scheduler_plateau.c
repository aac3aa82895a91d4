/* ReduceLROnPlateau: the one schedule whose step takes a metric. */
#include "nn/state.h"
#include "optim/optim.h"

#include <math.h>
#include <string.h>

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

static fa_value *zero_or_float(double x, fa_where where)
{
    return x == 0 ? fa_value_int_at(0, where) : fa_value_float_at(x, where);
}

static bool put(const fa_scheduler *scheduler, fa_value *dict, fa_where where)
{
    const plateau_lr *s = (const plateau_lr *)scheduler;
    const double worst = s->mode == FA_MIN ? INFINITY : -INFINITY;
    return fa_state_put(dict, "factor", fa_value_float_at(s->factor, where), where) &&
           fa_state_put(dict, "default_min_lr", zero_or_float(s->min_lr, where), where) &&
           fa_state_put(dict, "min_lrs", fa_floats_value(s->min_lrs, scheduler->bases, true, where), where) &&
           fa_state_put(dict, "patience", fa_value_int_at(s->patience, where), where) &&
           fa_state_put(dict, "cooldown", fa_value_int_at(s->cooldown, where), where) &&
           fa_state_put(dict, "eps", fa_value_float_at(s->eps, where), where) &&
           fa_state_put(dict, "last_epoch", fa_value_int_at(scheduler->epoch, where), where) &&
           fa_state_put(dict, "_last_lr", fa_floats_value(scheduler->last_lr, scheduler->bases, false, where), where) &&
           fa_state_put(dict, "mode_worse", fa_value_float_at(worst, where), where) &&
           fa_state_put(dict, "mode", fa_value_string_at(s->mode == FA_MIN ? "min" : "max", where), where) &&
           fa_state_put(dict, "threshold", fa_value_float_at(s->threshold, where), where) &&
           fa_state_put(dict, "threshold_mode", fa_value_string_at(s->threshold_abs ? "abs" : "rel", where), where) &&
           fa_state_put(dict, "best", fa_value_float_at(s->best, where), where) &&
           fa_state_put(dict, "cooldown_counter", fa_value_int_at(s->waiting, where), where) &&
           fa_state_put(dict, "num_bad_epochs", fa_value_int_at(s->bad, where), where);
}

/* One of two words; false after an error. */
static bool take_word(const fa_schedule_reader *reader, const char *name, const char *no, const char *yes, bool *out)
{
    fa_value *x = fa_take_value(reader, name, FA_VALUE_STRING);
    const char *text = x != NULL ? fa_as_string_at(x, reader->where) : NULL;
    if (text == NULL)
        return false;
    if (strcmp(text, no) != 0 && strcmp(text, yes) != 0)
        return fa_fail(FA_VALUE_ERROR, reader->where, "fa_load_state_dict", "got %s '%.40s', needs '%s' or '%s'.", name,
                       text, no, yes);
    *out = strcmp(text, yes) == 0;
    return true;
}

static bool take(fa_scheduler *scheduler, const fa_schedule_reader *reader)
{
    plateau_lr *s = (plateau_lr *)scheduler;
    bool most = false, absolute = false;
    fa_value *best = fa_state_entry(reader->dict, "best", reader->where);
    if (best == NULL || (fa_kind_of(best) != FA_VALUE_FLOAT && fa_kind_of(best) != FA_VALUE_INT &&
                         !(fa_kind_of(best) == FA_VALUE_TENSOR && fa_len(best) == 1)))
        return fa_fail(FA_VALUE_ERROR, reader->where, "fa_load_state_dict", "got %s as best, needs a number.",
                       best != NULL ? fa_value_text(best) : "nothing");
    const double number = fa_as_float_at(best, reader->where);
    if (!fa_ok() || !take_word(reader, "mode", "min", "max", &most) ||
        !take_word(reader, "threshold_mode", "rel", "abs", &absolute))
        return false;
    if (reader->commit) {
        s->best = number;
        s->mode = most ? FA_MAX : FA_MIN;
        s->threshold_abs = absolute;
    }
    /* Older releases have no default_min_lr. */
    return fa_take_float(reader, "factor", &s->factor) &&
           (fa_state_entry(reader->dict, "default_min_lr", reader->where) == NULL ||
            fa_take_float(reader, "default_min_lr", &s->min_lr)) &&
           fa_take_floats(reader, "min_lrs", s->min_lrs, scheduler->bases) &&
           fa_take_int(reader, "patience", &s->patience, 0) && fa_take_int(reader, "cooldown", &s->cooldown, 0) &&
           fa_take_float(reader, "eps", &s->eps) && fa_take_int(reader, "last_epoch", &scheduler->epoch, -1) &&
           (fa_state_entry(reader->dict, "_last_lr", reader->where) == NULL ||
            fa_take_floats(reader, "_last_lr", scheduler->last_lr, scheduler->bases)) &&
           fa_take_float(reader, "threshold", &s->threshold) &&
           fa_take_int(reader, "cooldown_counter", &s->waiting, 0) && fa_take_int(reader, "num_bad_epochs", &s->bad, 0);
}

static const fa_schedule_kind kind = {.name = "ReduceLROnPlateau",
                                      .what = "fa_reduce_lr_on_plateau",
                                      .step = step,
                                      .release = release,
                                      .put = put,
                                      .take = take,
                                      .own_only = true};

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
    fa_scheduler_note(scheduler);
    for (int64_t g = 0; g < scheduler->optim->group_count; g++)
        scheduler->optim->group[g]->loaded = false;
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
