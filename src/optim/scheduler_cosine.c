/* Schedules that are worked out from the first rates: CosineAnnealingLR, CosineAnnealingWarmRestarts, OneCycleLR,
 * LambdaLR. */
#include "nn/state.h"
#include "optim/optim.h"

#include <math.h>
#include <string.h>

static const double pi = 3.141592653589793;

/* Groups that came later have no first rate. */
static bool same_groups(const fa_scheduler *scheduler, fa_where where)
{
    if (scheduler->optim->group_count == scheduler->bases)
        return true;
    return fa_fail(FA_STATE_ERROR, where, scheduler->kind->what,
                   "got an optimizer of %lld groups, needs the %lld that it had when the schedule was made. Hint: make "
                   "the schedule after fa_add_param_group",
                   (long long)scheduler->optim->group_count, (long long)scheduler->bases);
}

static double *rate(const fa_scheduler *scheduler, int64_t group)
{
    return &scheduler->optim->group[group]->now.lr;
}

/* ---- CosineAnnealingLR ---------------------------------------------------------------------------------------------
 */

typedef struct cosine_lr {
    fa_scheduler base;
    int64_t T_max;
    double eta_min;
} cosine_lr;

static bool cosine_step(fa_scheduler *scheduler, fa_where where)
{
    const cosine_lr *s = (const cosine_lr *)scheduler;
    const double T = (double)s->T_max, e = (double)scheduler->epoch, low = s->eta_min;
    if (!same_groups(scheduler, where))
        return false;
    for (int64_t g = 0; g < scheduler->bases && !scheduler->initial; g++) {
        double *lr = rate(scheduler, g);
        if ((scheduler->epoch - 1 - s->T_max) % (2 * s->T_max) == 0)
            *lr = *lr + (scheduler->base_lr[g] - low) * (1 - cos(pi / T)) / 2;
        else
            *lr = (1 + cos(pi * e / T)) / (1 + cos(pi * (e - 1) / T)) * (*lr - low) + low;
    }
    return true;
}

static void cosine_closed(fa_scheduler *scheduler)
{
    const cosine_lr *s = (const cosine_lr *)scheduler;
    for (int64_t g = 0; g < scheduler->bases; g++)
        *rate(scheduler, g) = s->eta_min + (scheduler->base_lr[g] - s->eta_min) *
                                               (1 + cos(pi * (double)scheduler->epoch / (double)s->T_max)) / 2;
}

static bool cosine_put(const fa_scheduler *scheduler, fa_value *dict, fa_where where)
{
    const cosine_lr *s = (const cosine_lr *)scheduler;
    return fa_state_put(dict, "T_max", fa_value_int_at(s->T_max, where), where) &&
           fa_state_put(dict, "eta_min", fa_value_float_at(s->eta_min, where), where);
}

static bool cosine_take(fa_scheduler *scheduler, const fa_schedule_reader *reader)
{
    cosine_lr *s = (cosine_lr *)scheduler;
    return fa_take_int(reader, "T_max", &s->T_max, 1) && fa_take_float(reader, "eta_min", &s->eta_min);
}

static const fa_schedule_kind cosine_kind = {.name = "CosineAnnealingLR",
                                             .what = "fa_cosine_annealing_lr",
                                             .step = cosine_step,
                                             .closed = cosine_closed,
                                             .put = cosine_put,
                                             .take = cosine_take};

fa_scheduler *fa_cosine_annealing_lr_at(const fa_cosine_annealing_lr_args *args)
{
    const fa_schedule_kind *kind = &cosine_kind;
    if (!fa_scheduler_check_optim(args->optim, kind->what, args->where_))
        return NULL;
    if (args->T_max < 1) {
        fa_scheduler_refuse(kind->what, "T_max", (double)args->T_max,
                            "at least 1. Hint: the number of steps to eta_min", args->where_);
        return NULL;
    }
    cosine_lr *s = fa_scheduler_make(sizeof *s, kind, args->optim, args->last_epoch, args->where_);
    if (!s)
        return NULL;
    s->T_max = args->T_max;
    s->eta_min = args->eta_min;
    return fa_scheduler_start(&s->base, args->where_);
}

/* ---- CosineAnnealingWarmRestarts -----------------------------------------------------------------------------------
 */

typedef struct restarts_lr {
    fa_scheduler base;
    int64_t T_0, T_mult, T_i, T_cur; /* the period of now, and steps in it */
    double eta_min;
} restarts_lr;

static void restarts_set(const restarts_lr *s)
{
    for (int64_t g = 0; g < s->base.bases; g++)
        *rate(&s->base, g) =
            s->eta_min + (s->base.base_lr[g] - s->eta_min) * (1 + cos(pi * (double)s->T_cur / (double)s->T_i)) / 2;
}

static bool restarts_step(fa_scheduler *scheduler, fa_where where)
{
    restarts_lr *s = (restarts_lr *)scheduler;
    if (!same_groups(scheduler, where))
        return false;
    if (scheduler->epoch == 0) {
        s->T_i = s->T_0;
        s->T_cur = 0;
    } else if (++s->T_cur >= s->T_i) {
        s->T_cur %= s->T_i;
        if (s->T_i <= INT64_MAX / s->T_mult)
            s->T_i *= s->T_mult;
    }
    restarts_set(s);
    return true;
}

static void restarts_closed(fa_scheduler *scheduler)
{
    restarts_set((const restarts_lr *)scheduler);
}

static bool restarts_put(const fa_scheduler *scheduler, fa_value *dict, fa_where where)
{
    const restarts_lr *s = (const restarts_lr *)scheduler;
    return fa_state_put(dict, "T_0", fa_value_int_at(s->T_0, where), where) &&
           fa_state_put(dict, "T_i", fa_value_int_at(s->T_i, where), where) &&
           fa_state_put(dict, "T_mult", fa_value_int_at(s->T_mult, where), where) &&
           fa_state_put(dict, "eta_min", fa_value_float_at(s->eta_min, where), where) &&
           fa_state_put(dict, "T_cur", fa_value_int_at(s->T_cur, where), where);
}

static bool restarts_take(fa_scheduler *scheduler, const fa_schedule_reader *reader)
{
    restarts_lr *s = (restarts_lr *)scheduler;
    return fa_take_int(reader, "T_0", &s->T_0, 1) && fa_take_int(reader, "T_i", &s->T_i, 1) &&
           fa_take_int(reader, "T_mult", &s->T_mult, 1) && fa_take_float(reader, "eta_min", &s->eta_min) &&
           fa_take_int(reader, "T_cur", &s->T_cur, -1);
}

static const fa_schedule_kind restarts_kind = {.name = "CosineAnnealingWarmRestarts",
                                               .what = "fa_cosine_annealing_warm_restarts",
                                               .step = restarts_step,
                                               .closed = restarts_closed,
                                               .put = restarts_put,
                                               .take = restarts_take,
                                               .uncounted = true};

fa_scheduler *fa_cosine_annealing_warm_restarts_at(const fa_warm_restarts_args *args)
{
    const fa_schedule_kind *kind = &restarts_kind;
    if (!fa_scheduler_check_optim(args->optim, kind->what, args->where_))
        return NULL;
    bool ok = true;
    if (args->T_0 < 1)
        ok = fa_scheduler_refuse(kind->what, "T_0", (double)args->T_0, "at least 1. Hint: steps to the first restart",
                                 args->where_);
    else if (args->T_mult < 1)
        ok = fa_scheduler_refuse(kind->what, "T_mult", (double)args->T_mult,
                                 "at least 1. Hint: 2 makes each period twice as long", args->where_);
    restarts_lr *s = ok ? fa_scheduler_make(sizeof *s, kind, args->optim, args->last_epoch, args->where_) : NULL;
    if (!s)
        return NULL;
    s->T_0 = s->T_i = args->T_0;
    s->T_cur = args->last_epoch;
    s->T_mult = args->T_mult;
    s->eta_min = args->eta_min;
    return fa_scheduler_start(&s->base, args->where_);
}

/* ---- OneCycleLR ----------------------------------------------------------------------------------------------------
 */

typedef struct one_cycle_lr {
    fa_scheduler base;
    int64_t total_steps;
    double pct_start, end[3]; /* end: the steps at which the phases end */
    bool linear, cycle_momentum, three_phase;
} one_cycle_lr;

static double anneal(const one_cycle_lr *s, double from, double to, double part)
{
    if (s->linear)
        return (to - from) * part + from;
    return to + (from - to) / 2.0 * (cos(pi * part) + 1);
}

/* The phase of a step, which begins at `start`. */
static int phase_at(const double *end, int phases, double step, double *start)
{
    int phase = 0;
    while (phase + 1 < phases && step > end[phase])
        phase++;
    *start = phase > 0 ? end[phase - 1] : 0;
    return phase;
}

static bool one_cycle_step(fa_scheduler *scheduler, fa_where where)
{
    const one_cycle_lr *s = (const one_cycle_lr *)scheduler;
    const double step = (double)scheduler->epoch, *end = s->end;
    if (!same_groups(scheduler, where))
        return false;
    if (scheduler->epoch > s->total_steps)
        return fa_fail(
            FA_STATE_ERROR, where, scheduler->kind->what,
            "got step %lld, needs at most the %lld that it was made for. Hint: .total_steps is the number of "
            "steps of the whole training",
            (long long)scheduler->epoch, (long long)s->total_steps);
    double start = 0;
    const int phase = phase_at(end, s->three_phase ? 3 : 2, step, &start);
    if (end[phase] == start)
        return fa_fail(FA_VALUE_ERROR, where, scheduler->kind->what,
                       "got pct_start %g of %lld steps, needs a phase of more than one step. Hint: more steps, or "
                       "another .pct_start",
                       s->pct_start, (long long)s->total_steps);
    const double part = (step - start) / (end[phase] - start);
    for (int64_t g = 0; g < scheduler->bases; g++) {
        fa_optim_group *group = scheduler->optim->group[g];
        const double rates[4] = {group->initial_lr, group->max_lr, s->three_phase ? group->initial_lr : group->min_lr,
                                 group->min_lr};
        const double momenta[4] = {group->max_momentum, group->base_momentum, group->max_momentum, group->max_momentum};
        group->now.lr = anneal(s, rates[phase], rates[phase + 1], part);
        if (s->cycle_momentum)
            fa_optim_set_momentum(scheduler->optim, group, anneal(s, momenta[phase], momenta[phase + 1], part));
    }
    return true;
}

/* One phase: {"end_step": ..., "start_lr": "initial_lr", ...}. */
static fa_value *phase_value(const one_cycle_lr *s, int phase, fa_where where)
{
    const char *const rates[4] = {"initial_lr", "max_lr", s->three_phase ? "initial_lr" : "min_lr", "min_lr"};
    const char *const momenta[4] = {"max_momentum", "base_momentum", "max_momentum", "max_momentum"};
    const bool last = phase == (s->three_phase ? 2 : 1);
    fa_value *dict = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    fa_value *end = last ? fa_value_int_at(s->total_steps - 1, where) : fa_value_float_at(s->end[phase], where);
    return fa_state_put(dict, "end_step", end, where) &&
                   fa_state_put(dict, "start_lr", fa_value_string_at(rates[phase], where), where) &&
                   fa_state_put(dict, "end_lr", fa_value_string_at(rates[phase + 1], where), where) &&
                   fa_state_put(dict, "start_momentum", fa_value_string_at(momenta[phase], where), where) &&
                   fa_state_put(dict, "end_momentum", fa_value_string_at(momenta[phase + 1], where), where)
               ? dict
               : NULL;
}

static bool one_cycle_put(const fa_scheduler *scheduler, fa_value *dict, fa_where where)
{
    const one_cycle_lr *s = (const one_cycle_lr *)scheduler;
    fa_value *phases = fa_container_at(FA_VALUE_LIST, FA_FLAVOUR_PLAIN, where);
    for (int i = 0; phases != NULL && i < (s->three_phase ? 3 : 2); i++) {
        fa_value *phase = phase_value(s, i, where);
        if (phase == NULL || fa_list_add_at(phases, phase, where) == NULL)
            return false;
    }
    return fa_state_put(dict, "total_steps", fa_value_int_at(s->total_steps, where), where) &&
           fa_state_put(dict, "_schedule_phases", phases, where) &&
           fa_state_put(dict, "_anneal_func_type", fa_value_string_at(s->linear ? "linear" : "cos", where), where) &&
           fa_state_put(dict, "cycle_momentum", fa_value_bool_at(s->cycle_momentum, where), where) &&
           (!s->cycle_momentum ||
            fa_state_put(dict, "use_beta1", fa_value_bool_at(scheduler->optim->kind->has_betas, where), where));
}

static bool one_cycle_take(fa_scheduler *scheduler, const fa_schedule_reader *reader)
{
    one_cycle_lr *s = (one_cycle_lr *)scheduler;
    int64_t total = 0;
    bool momentum = false;
    double end[3] = {0};
    const fa_schedule_reader now = {.dict = reader->dict, .commit = true, .where = reader->where};
    fa_value *phases = fa_take_value(reader, "_schedule_phases", FA_VALUE_LIST);
    fa_value *strategy = fa_state_entry(reader->dict, "_anneal_func_type", reader->where);
    const char *text = fa_kind_of(strategy) == FA_VALUE_STRING ? fa_as_string_at(strategy, reader->where) : "";
    if (phases == NULL || text == NULL || !fa_take_int(&now, "total_steps", &total, 1) ||
        !fa_take_bool(&now, "cycle_momentum", &momentum))
        return false;
    const int64_t count = fa_len(phases);
    bool fine = (count == 2 || count == 3) && (strcmp(text, "linear") == 0 || strcmp(text, "cos") == 0);
    for (int64_t i = 0; fine && i < count; i++) {
        fa_schedule_reader one = now;
        one.dict = fa_value_at(phases, i);
        fine = fa_kind_of(one.dict) == FA_VALUE_DICT;
        if (fine && !fa_take_float(&one, "end_step", &end[i]))
            return false;
    }
    if (!fine)
        return fa_fail(FA_VALUE_ERROR, reader->where, "fa_load_state_dict",
                       "got %lld phases and _anneal_func_type '%.20s' of OneCycleLR, needs two or three phases, and "
                       "'cos' or 'linear'.",
                       (long long)count, text);
    if (count == 2)
        end[2] = end[1];
    if (momentum && !scheduler->optim->kind->has_momentum && !scheduler->optim->kind->has_betas)
        return fa_fail(FA_VALUE_ERROR, reader->where, "fa_load_state_dict",
                       "got a cycle of the momentum for %s, which has none.", scheduler->optim->kind->name);
    int64_t epoch = 0;
    double start = 0;
    if (!same_groups(scheduler, reader->where) || !fa_take_int(&now, "last_epoch", &epoch, 0))
        return false;
    const int phase = phase_at(end, (int)count, (double)epoch, &start);
    if (epoch > total || end[phase] == start)
        return fa_fail(FA_VALUE_ERROR, reader->where, "fa_load_state_dict",
                       "got OneCycleLR at step %lld of %lld, in a phase from %g to %g, needs a step inside.",
                       (long long)epoch, (long long)total, start, end[phase]);
    if (!reader->commit)
        return true;
    s->total_steps = total;
    s->cycle_momentum = momentum;
    s->linear = text[0] == 'l';
    s->three_phase = count == 3;
    s->pct_start = (end[0] + 1) / (double)total;
    memcpy(s->end, end, sizeof end);
    return true;
}

static const fa_schedule_kind one_cycle_kind = {.name = "OneCycleLR",
                                                .what = "fa_one_cycle_lr",
                                                .step = one_cycle_step,
                                                .put = one_cycle_put,
                                                .take = one_cycle_take};

static bool check_one_cycle(const fa_one_cycle_lr_args *args, int64_t total, const char *what)
{
    if (total < 1)
        return fa_fail(FA_VALUE_ERROR, args->where_, what,
                       "got total_steps %lld, epochs %lld, steps_per_epoch %lld, needs total_steps of 1 or more, or "
                       "both others. Hint: .epochs = 10, .steps_per_epoch = fa_length(loader)",
                       (long long)args->total_steps, (long long)args->epochs, (long long)args->steps_per_epoch);
    if (!(args->pct_start >= 0 && args->pct_start <= 1))
        return fa_scheduler_refuse(what, "pct_start", args->pct_start, "0 to 1. Hint: the rising part of the steps",
                                   args->where_);
    const fa_optim_kind *kind = args->optim->kind;
    if (args->cycle_momentum && !kind->has_momentum && !kind->has_betas)
        return fa_fail(FA_VALUE_ERROR, args->where_, what,
                       "got %s, which has no momentum, needs an optimizer with momentum or betas. Hint: "
                       ".cycle_momentum = false",
                       kind->name);
    return true;
}

/* What a group goes between. */
static void set_cycle(const fa_one_cycle_lr_args *args, int64_t g)
{
    fa_optim_group *group = args->optim->group[g];
    group->scheduled = true;
    group->max_lr = args->max_lrs ? args->max_lrs[g] : args->max_lr;
    group->initial_lr = group->max_lr / args->div_factor;
    group->min_lr = group->initial_lr / args->final_div_factor;
    group->max_momentum = args->max_momenta ? args->max_momenta[g] : args->max_momentum;
    group->base_momentum = args->base_momenta ? args->base_momenta[g] : args->base_momentum;
}

fa_scheduler *fa_one_cycle_lr_at(const fa_one_cycle_lr_args *args)
{
    const fa_schedule_kind *kind = &one_cycle_kind;
    if (!fa_scheduler_check_optim(args->optim, kind->what, args->where_))
        return NULL;
    int64_t total = args->total_steps;
    const bool by_epochs = total == 0 && args->epochs > 0 && args->steps_per_epoch > 0;
    if (by_epochs && args->epochs <= INT64_MAX / args->steps_per_epoch)
        total = args->epochs * args->steps_per_epoch;
    if (!check_one_cycle(args, total, kind->what))
        return NULL;
    for (int64_t g = 0; g < args->optim->group_count && args->last_epoch == -1; g++)
        set_cycle(args, g);
    for (int64_t g = 0; g < args->optim->group_count; g++)
        if (!args->optim->group[g]->cycled && args->last_epoch >= 0) {
            fa_fail(
                FA_STATE_ERROR, args->where_, kind->what,
                "got last_epoch %lld and group %lld without a cycle, needs an optimizer that had this schedule. Hint: "
                "leave .last_epoch out to begin a schedule",
                (long long)args->last_epoch, (long long)g);
            return NULL;
        }
    one_cycle_lr *s = fa_scheduler_make(sizeof *s, kind, args->optim, args->last_epoch, args->where_);
    if (!s)
        return NULL;
    s->total_steps = total;
    s->pct_start = args->pct_start;
    s->linear = args->linear;
    s->cycle_momentum = args->cycle_momentum;
    s->three_phase = args->three_phase;
    s->end[0] = s->pct_start * (double)total - 1;
    s->end[1] = s->three_phase ? 2 * s->pct_start * (double)total - 2 : (double)total - 1;
    s->end[2] = (double)total - 1;
    for (int64_t g = 0; g < s->base.bases; g++) {
        args->optim->group[g]->cycled = true;
        args->optim->group[g]->cycled_momentum = s->cycle_momentum;
    }
    return fa_scheduler_start(&s->base, args->where_);
}

/* ---- LambdaLR ------------------------------------------------------------------------------------------------------
 */

typedef struct lambda_lr {
    fa_scheduler base;
    fa_lr_function *factor; /* one a group */
    void *context;
} lambda_lr;

static bool lambda_step(fa_scheduler *scheduler, fa_where where)
{
    const lambda_lr *s = (const lambda_lr *)scheduler;
    if (!same_groups(scheduler, where))
        return false;
    for (int64_t g = 0; g < scheduler->bases; g++)
        *rate(scheduler, g) = scheduler->base_lr[g] * s->factor[g](scheduler->epoch, s->context);
    return true;
}

static void lambda_release(fa_scheduler *scheduler)
{
    fa_mfree(((lambda_lr *)scheduler)->factor);
}

/* Functions are not saved: None, as PyTorch has it for them. */
static bool lambda_put(const fa_scheduler *scheduler, fa_value *dict, fa_where where)
{
    fa_value *list = fa_container_at(FA_VALUE_LIST, FA_FLAVOUR_PLAIN, where);
    for (int64_t g = 0; g < scheduler->bases; g++) {
        fa_value *none = fa_value_none_at(where);
        if (list == NULL || none == NULL || fa_list_add_at(list, none, where) == NULL)
            return false;
    }
    return fa_state_put(dict, "lr_lambdas", list, where);
}

static bool lambda_take(fa_scheduler *scheduler, const fa_schedule_reader *reader)
{
    (void)scheduler;
    return fa_take_value(reader, "lr_lambdas", FA_VALUE_LIST) != NULL;
}

static const fa_schedule_kind lambda_kind = {.name = "LambdaLR",
                                             .what = "fa_lambda_lr",
                                             .step = lambda_step,
                                             .release = lambda_release,
                                             .put = lambda_put,
                                             .take = lambda_take,
                                             .own_last = true};

fa_scheduler *fa_lambda_lr_at(const fa_lambda_lr_args *args)
{
    const char *what = lambda_kind.what;
    if (!fa_scheduler_check_optim(args->optim, what, args->where_))
        return NULL;
    bool ok = args->factor || args->factors;
    for (int64_t g = 0; args->factors && g < args->optim->group_count; g++)
        ok = ok && args->factors[g];
    if (!ok) {
        fa_fail(FA_VALUE_ERROR, args->where_, what,
                "got no function, needs one: double factor(int64_t epoch, void *context). Hint: %s(optim, factor)",
                what);
        return NULL;
    }
    lambda_lr *s = fa_scheduler_make(sizeof *s, &lambda_kind, args->optim, args->last_epoch, args->where_);
    if (!s)
        return NULL;
    s->factor = fa_calloc((size_t)s->base.bases, sizeof *s->factor);
    if (!s->factor) {
        fa_fail_memory(args->where_, (size_t)s->base.bases * sizeof *s->factor);
        fa_scheduler_free(&s->base);
        return NULL;
    }
    for (int64_t g = 0; g < s->base.bases; g++)
        s->factor[g] = args->factors ? args->factors[g] : args->factor;
    s->context = args->context;
    return fa_scheduler_start(&s->base, args->where_);
}
