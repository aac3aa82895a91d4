/* Learning rate schedules: what all kinds share, and those that multiply the rate: StepLR, MultiStepLR, ExponentialLR,
 * ConstantLR, LinearLR. PyTorch's recursive form, in double: what the rate is now is changed, never worked out from the
 * first one. */
#include "nn/state.h"
#include "optim/optim.h"

#include <math.h>
#include <string.h>

static atomic_llong live;

int64_t fa_scheduler_live_count(void)
{
    return (int64_t)atomic_load(&live);
}

/* ---- All kinds -----------------------------------------------------------------------------------------------------
 */

bool fa_scheduler_refuse(const char *what, const char *name, double value, const char *need, fa_where where)
{
    return fa_fail(FA_VALUE_ERROR, where, what, "got %s %g, needs %s", name, value, need);
}

/* To go on after step last_epoch, every group must know its first rate. */
static bool check_last_epoch(const fa_optim *optim, int64_t last_epoch, const char *what, fa_where where)
{
    if (last_epoch < -1)
        return fa_scheduler_refuse(what, "last_epoch", (double)last_epoch,
                                   "the number of the last step, 0 or more, or -1. Hint: leave it out to begin", where);
    for (int64_t g = 0; g < optim->group_count && last_epoch >= 0; g++)
        if (!optim->group[g]->scheduled)
            return fa_fail(FA_STATE_ERROR, where, what,
                           "got last_epoch %lld and group %lld without a first rate, needs an optimizer that had a "
                           "schedule. Hint: leave .last_epoch out to begin a schedule",
                           (long long)last_epoch, (long long)g);
    return true;
}

void *fa_scheduler_make(size_t size, const fa_schedule_kind *kind, fa_optim *optim, int64_t last_epoch, fa_where where)
{
    if (!check_last_epoch(optim, last_epoch, kind->what, where))
        return NULL;
    fa_scheduler *scheduler = fa_calloc(1, size);
    if (scheduler)
        scheduler->base_lr = fa_calloc(2 * (size_t)optim->group_count, sizeof *scheduler->base_lr);
    if (!scheduler || !scheduler->base_lr) {
        fa_mfree(scheduler);
        fa_fail_memory(where, size);
        return NULL;
    }
    scheduler->kind = kind;
    scheduler->optim = fa_optim_retain(optim);
    scheduler->epoch = last_epoch;
    scheduler->bases = optim->group_count;
    scheduler->last_lr = scheduler->base_lr + scheduler->bases;
    for (int64_t g = 0; g < optim->group_count; g++) {
        fa_optim_group *group = optim->group[g];
        if (!group->scheduled)
            group->initial_lr = group->now.lr;
        /* ReduceLROnPlateau and those made of others note none themselves. */
        group->scheduled = group->scheduled || !kind->own_only;
        scheduler->base_lr[g] = group->initial_lr;
    }
    atomic_fetch_add(&live, 1);
    return scheduler;
}

bool fa_scheduler_advance(fa_scheduler *scheduler, fa_where where)
{
    scheduler->epoch++;
    if (!scheduler->kind->step(scheduler, where)) {
        scheduler->epoch--;
        return false;
    }
    scheduler->count++;
    fa_scheduler_note(scheduler);
    for (int64_t g = 0; g < scheduler->optim->group_count && !scheduler->initial; g++)
        scheduler->optim->group[g]->loaded = false;
    return true;
}

void fa_scheduler_note(fa_scheduler *scheduler)
{
    for (int64_t g = 0; g < scheduler->bases; g++)
        scheduler->last_lr[g] = scheduler->optim->group[g]->now.lr;
}

fa_scheduler *fa_scheduler_start(fa_scheduler *scheduler, fa_where where)
{
    if (!scheduler)
        return NULL;
    scheduler->initial = true;
    const bool ok = fa_scheduler_advance(scheduler, where);
    scheduler->initial = false;
    if (ok)
        return scheduler;
    fa_scheduler_free(scheduler);
    return NULL;
}

bool fa_scheduler_step_at(fa_scheduler *scheduler, fa_where where)
{
    if (!fa_ok())
        return false;
    if (!scheduler)
        return fa_fail(FA_STATE_ERROR, where, "fa_step", "got NULL, needs a schedule. Hint: was it made?");
    return fa_scheduler_advance(scheduler, where);
}

void fa_scheduler_free(fa_scheduler *scheduler)
{
    if (!scheduler || scheduler->held)
        return;
    if (scheduler->kind->release)
        scheduler->kind->release(scheduler);
    fa_optim_free(scheduler->optim);
    fa_mfree(scheduler->base_lr);
    fa_mfree(scheduler);
    atomic_fetch_sub(&live, 1);
}

bool fa_scheduler_check_optim(const fa_optim *optim, const char *what, fa_where where)
{
    if (optim)
        return true;
    if (fa_ok())
        fa_fail(FA_VALUE_ERROR, where, what, "got no optimizer, needs one. Hint: %s(optim, ...)", what);
    return false;
}

/* Every group's rate times a factor; also groups that came later. */
static void multiply(const fa_scheduler *scheduler, double factor)
{
    for (int64_t g = 0; g < scheduler->optim->group_count; g++)
        scheduler->optim->group[g]->now.lr *= factor;
}

static void set_from_base(const fa_scheduler *scheduler, double factor)
{
    for (int64_t g = 0; g < scheduler->bases; g++)
        scheduler->optim->group[g]->now.lr = scheduler->base_lr[g] * factor;
}

/* ---- StepLR --------------------------------------------------------------------------------------------------------
 */

typedef struct step_lr {
    fa_scheduler base;
    int64_t step_size;
    double gamma;
} step_lr;

static bool step_lr_step(fa_scheduler *scheduler, fa_where where)
{
    (void)where;
    const step_lr *s = (const step_lr *)scheduler;
    if (scheduler->epoch != 0 && scheduler->epoch % s->step_size == 0)
        multiply(scheduler, s->gamma);
    return true;
}

static void step_lr_closed(fa_scheduler *scheduler)
{
    const step_lr *s = (const step_lr *)scheduler;
    set_from_base(scheduler, pow(s->gamma, (double)(scheduler->epoch / s->step_size)));
}

static bool step_lr_put(const fa_scheduler *scheduler, fa_value *dict, fa_where where)
{
    const step_lr *s = (const step_lr *)scheduler;
    return fa_state_put(dict, "step_size", fa_value_int_at(s->step_size, where), where) &&
           fa_state_put(dict, "gamma", fa_value_float_at(s->gamma, where), where);
}

static bool step_lr_take(fa_scheduler *scheduler, const fa_schedule_reader *reader)
{
    step_lr *s = (step_lr *)scheduler;
    return fa_take_int(reader, "step_size", &s->step_size, 1) && fa_take_float(reader, "gamma", &s->gamma);
}

static const fa_schedule_kind step_lr_kind = {.name = "StepLR",
                                              .what = "fa_step_lr",
                                              .step = step_lr_step,
                                              .closed = step_lr_closed,
                                              .put = step_lr_put,
                                              .take = step_lr_take};

fa_scheduler *fa_step_lr_at(const fa_step_lr_args *args)
{
    const fa_schedule_kind *kind = &step_lr_kind;
    if (!fa_scheduler_check_optim(args->optim, kind->what, args->where_))
        return NULL;
    if (args->step_size < 1) {
        fa_scheduler_refuse(kind->what, "step_size", (double)args->step_size,
                            "at least 1. Hint: the rate changes every step_size-th step", args->where_);
        return NULL;
    }
    step_lr *s = fa_scheduler_make(sizeof *s, kind, args->optim, args->last_epoch, args->where_);
    if (!s)
        return NULL;
    s->step_size = args->step_size;
    s->gamma = args->gamma;
    return fa_scheduler_start(&s->base, args->where_);
}

/* ---- MultiStepLR ---------------------------------------------------------------------------------------------------
 */

typedef struct multi_step_lr {
    fa_scheduler base;
    int64_t *at, count;
    int64_t *next, next_count; /* of a state dict that is being loaded */
    double gamma;
} multi_step_lr;

static bool multi_step_lr_step(fa_scheduler *scheduler, fa_where where)
{
    (void)where;
    const multi_step_lr *s = (const multi_step_lr *)scheduler;
    int64_t times = 0;
    for (int64_t i = 0; i < s->count; i++)
        times += s->at[i] == scheduler->epoch;
    if (times > 0)
        multiply(scheduler, pow(s->gamma, (double)times));
    return true;
}

static void multi_step_lr_closed(fa_scheduler *scheduler)
{
    const multi_step_lr *s = (const multi_step_lr *)scheduler;
    int64_t passed = 0;
    for (int64_t i = 0; i < s->count; i++)
        passed += s->at[i] <= scheduler->epoch;
    set_from_base(scheduler, pow(s->gamma, (double)passed));
}

static void multi_step_lr_release(fa_scheduler *scheduler)
{
    fa_mfree(((multi_step_lr *)scheduler)->at);
    fa_mfree(((multi_step_lr *)scheduler)->next);
}

/* {milestone: how often}, in the order in which each first comes. */
static bool multi_step_lr_put(const fa_scheduler *scheduler, fa_value *dict, fa_where where)
{
    const multi_step_lr *s = (const multi_step_lr *)scheduler;
    fa_value *counter = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_COUNTER, where);
    if (counter == NULL)
        return false;
    for (int64_t i = 0; i < s->count; i++) {
        int64_t times = 0;
        for (int64_t k = 0; k < s->count; k++)
            times += s->at[k] == s->at[i];
        fa_value *milestone = fa_value_int_at(s->at[i], where), *number = fa_value_int_at(times, where);
        if (milestone == NULL || number == NULL || fa_dict_put_at(counter, milestone, number, where) == NULL)
            return false;
    }
    return fa_state_put(dict, "milestones", counter, where) &&
           fa_state_put(dict, "gamma", fa_value_float_at(s->gamma, where), where);
}

static bool is_whole(fa_value *x)
{
    return fa_kind_of(x) == FA_VALUE_INT && fa_flavour_of(x) != FA_FLAVOUR_BIG;
}

static bool multi_step_lr_take(fa_scheduler *scheduler, const fa_schedule_reader *reader)
{
    enum { MOST = 1 << 20 };
    multi_step_lr *s = (multi_step_lr *)scheduler;
    if (reader->commit) {
        fa_mfree(s->at);
        s->at = s->next;
        s->count = s->next_count;
        s->next = NULL;
        return fa_take_float(reader, "gamma", &s->gamma);
    }
    fa_value *counter = fa_take_value(reader, "milestones", FA_VALUE_DICT);
    int64_t total = 0;
    for (int64_t i = 0; i < fa_len(counter); i++) {
        fa_value *times = fa_value_at(counter, i);
        const int64_t n = is_whole(times) ? fa_as_int_at(times, reader->where) : 0;
        if (!is_whole(fa_key_at(counter, i)) || n < 1 || n > MOST - total)
            return fa_fail(FA_VALUE_ERROR, reader->where, "fa_load_state_dict",
                           "got %s times the milestone %s, needs whole numbers, and at most %d milestones.",
                           fa_value_text(times), fa_value_text(fa_key_at(counter, i)), MOST);
        total += n;
    }
    fa_mfree(s->next);
    s->next_count = 0;
    s->next = counter != NULL ? fa_calloc((size_t)total + 1, sizeof *s->next) : NULL;
    if (s->next == NULL)
        return counter != NULL ? fa_fail_memory(reader->where, (size_t)total * sizeof *s->next) : false;
    for (int64_t i = 0; i < fa_len(counter); i++)
        for (int64_t n = fa_as_int_at(fa_value_at(counter, i), reader->where); n > 0; n--)
            s->next[s->next_count++] = fa_as_int_at(fa_key_at(counter, i), reader->where);
    return fa_take_float(reader, "gamma", &s->gamma);
}

static const fa_schedule_kind multi_step_lr_kind = {.name = "MultiStepLR",
                                                    .what = "fa_multi_step_lr",
                                                    .step = multi_step_lr_step,
                                                    .closed = multi_step_lr_closed,
                                                    .release = multi_step_lr_release,
                                                    .put = multi_step_lr_put,
                                                    .take = multi_step_lr_take};

fa_scheduler *fa_multi_step_lr_at(const fa_multi_step_lr_args *args)
{
    if (!fa_scheduler_check_optim(args->optim, multi_step_lr_kind.what, args->where_))
        return NULL;
    multi_step_lr *s = fa_scheduler_make(sizeof *s, &multi_step_lr_kind, args->optim, args->last_epoch, args->where_);
    if (!s)
        return NULL;
    s->gamma = args->gamma;
    if (args->milestones.count > 0) {
        s->at = fa_calloc((size_t)args->milestones.count, sizeof *s->at);
        if (!s->at) {
            fa_fail_memory(args->where_, (size_t)args->milestones.count * sizeof *s->at);
            fa_scheduler_free(&s->base);
            return NULL;
        }
        s->count = args->milestones.count;
        memcpy(s->at, args->milestones.at, (size_t)s->count * sizeof *s->at);
    }
    return fa_scheduler_start(&s->base, args->where_);
}

/* ---- ExponentialLR -------------------------------------------------------------------------------------------------
 */

typedef struct exponential_lr {
    fa_scheduler base;
    double gamma;
} exponential_lr;

static bool exponential_lr_step(fa_scheduler *scheduler, fa_where where)
{
    (void)where;
    if (!scheduler->initial)
        multiply(scheduler, ((const exponential_lr *)scheduler)->gamma);
    return true;
}

static void exponential_lr_closed(fa_scheduler *scheduler)
{
    set_from_base(scheduler, pow(((const exponential_lr *)scheduler)->gamma, (double)scheduler->epoch));
}

static bool exponential_lr_put(const fa_scheduler *scheduler, fa_value *dict, fa_where where)
{
    return fa_state_put(dict, "gamma", fa_value_float_at(((const exponential_lr *)scheduler)->gamma, where), where);
}

static bool exponential_lr_take(fa_scheduler *scheduler, const fa_schedule_reader *reader)
{
    return fa_take_float(reader, "gamma", &((exponential_lr *)scheduler)->gamma);
}

static const fa_schedule_kind exponential_lr_kind = {.name = "ExponentialLR",
                                                     .what = "fa_exponential_lr",
                                                     .step = exponential_lr_step,
                                                     .closed = exponential_lr_closed,
                                                     .put = exponential_lr_put,
                                                     .take = exponential_lr_take};

fa_scheduler *fa_exponential_lr_at(const fa_exponential_lr_args *args)
{
    const fa_schedule_kind *kind = &exponential_lr_kind;
    if (!fa_scheduler_check_optim(args->optim, kind->what, args->where_))
        return NULL;
    exponential_lr *s = fa_scheduler_make(sizeof *s, kind, args->optim, args->last_epoch, args->where_);
    if (!s)
        return NULL;
    s->gamma = args->gamma;
    return fa_scheduler_start(&s->base, args->where_);
}

/* ---- ConstantLR ----------------------------------------------------------------------------------------------------
 */

typedef struct constant_lr {
    fa_scheduler base;
    double factor;
    int64_t total_iters;
} constant_lr;

static bool constant_lr_step(fa_scheduler *scheduler, fa_where where)
{
    (void)where;
    const constant_lr *s = (const constant_lr *)scheduler;
    if (scheduler->epoch == 0)
        multiply(scheduler, s->factor);
    else if (scheduler->epoch == s->total_iters)
        multiply(scheduler, 1.0 / s->factor);
    return true;
}

static void constant_lr_closed(fa_scheduler *scheduler)
{
    const constant_lr *s = (const constant_lr *)scheduler;
    set_from_base(scheduler, s->factor + (scheduler->epoch >= s->total_iters ? 1 : 0) * (1 - s->factor));
}

static bool constant_lr_put(const fa_scheduler *scheduler, fa_value *dict, fa_where where)
{
    const constant_lr *s = (const constant_lr *)scheduler;
    return fa_state_put(dict, "factor", fa_value_float_at(s->factor, where), where) &&
           fa_state_put(dict, "total_iters", fa_value_int_at(s->total_iters, where), where);
}

static bool constant_lr_take(fa_scheduler *scheduler, const fa_schedule_reader *reader)
{
    constant_lr *s = (constant_lr *)scheduler;
    return fa_take_float(reader, "factor", &s->factor) &&
           fa_take_int(reader, "total_iters", &s->total_iters, INT64_MIN);
}

static const fa_schedule_kind constant_lr_kind = {.name = "ConstantLR",
                                                  .what = "fa_constant_lr",
                                                  .step = constant_lr_step,
                                                  .closed = constant_lr_closed,
                                                  .put = constant_lr_put,
                                                  .take = constant_lr_take};

fa_scheduler *fa_constant_lr_at(const fa_constant_lr_args *args)
{
    const fa_schedule_kind *kind = &constant_lr_kind;
    if (!fa_scheduler_check_optim(args->optim, kind->what, args->where_))
        return NULL;
    if (!(args->factor >= 0 && args->factor <= 1)) {
        fa_scheduler_refuse(kind->what, "factor", args->factor, "0 to 1. Hint: the rate is multiplied by it",
                            args->where_);
        return NULL;
    }
    constant_lr *s = fa_scheduler_make(sizeof *s, kind, args->optim, args->last_epoch, args->where_);
    if (!s)
        return NULL;
    s->factor = args->factor;
    s->total_iters = args->total_iters;
    return fa_scheduler_start(&s->base, args->where_);
}

/* ---- LinearLR ------------------------------------------------------------------------------------------------------
 */

typedef struct linear_lr {
    fa_scheduler base;
    double start, end;
    int64_t total_iters;
} linear_lr;

static bool linear_lr_step(fa_scheduler *scheduler, fa_where where)
{
    (void)where;
    const linear_lr *s = (const linear_lr *)scheduler;
    const double total = (double)s->total_iters, change = s->end - s->start;
    if (scheduler->epoch == 0)
        multiply(scheduler, s->start);
    else if (!scheduler->initial && scheduler->epoch <= s->total_iters)
        multiply(scheduler, 1.0 + change / (total * s->start + (double)(scheduler->epoch - 1) * change));
    return true;
}

static void linear_lr_closed(fa_scheduler *scheduler)
{
    const linear_lr *s = (const linear_lr *)scheduler;
    const int64_t e = scheduler->epoch < s->total_iters ? scheduler->epoch : s->total_iters;
    set_from_base(scheduler, s->start + (s->end - s->start) * (double)e / (double)s->total_iters);
}

static bool linear_lr_put(const fa_scheduler *scheduler, fa_value *dict, fa_where where)
{
    const linear_lr *s = (const linear_lr *)scheduler;
    return fa_state_put(dict, "start_factor", fa_value_float_at(s->start, where), where) &&
           fa_state_put(dict, "end_factor", fa_value_float_at(s->end, where), where) &&
           fa_state_put(dict, "total_iters", fa_value_int_at(s->total_iters, where), where);
}

static bool linear_lr_take(fa_scheduler *scheduler, const fa_schedule_reader *reader)
{
    linear_lr *s = (linear_lr *)scheduler;
    return fa_take_float(reader, "start_factor", &s->start) && fa_take_float(reader, "end_factor", &s->end) &&
           fa_take_int(reader, "total_iters", &s->total_iters, 1);
}

static const fa_schedule_kind linear_lr_kind = {.name = "LinearLR",
                                                .what = "fa_linear_lr",
                                                .step = linear_lr_step,
                                                .closed = linear_lr_closed,
                                                .put = linear_lr_put,
                                                .take = linear_lr_take};

fa_scheduler *fa_linear_lr_at(const fa_linear_lr_args *args)
{
    const fa_schedule_kind *kind = &linear_lr_kind;
    if (!fa_scheduler_check_optim(args->optim, kind->what, args->where_))
        return NULL;
    bool ok = true;
    if (!(args->start_factor > 0 && args->start_factor <= 1))
        ok = fa_scheduler_refuse(kind->what, "start_factor", args->start_factor,
                                 "above 0 and at most 1. Hint: the first rate is multiplied by it", args->where_);
    else if (!(args->end_factor >= 0 && args->end_factor <= 1))
        ok = fa_scheduler_refuse(kind->what, "end_factor", args->end_factor,
                                 "0 to 1. Hint: the last rate is multiplied by it", args->where_);
    else if (args->total_iters < 1)
        ok = fa_scheduler_refuse(kind->what, "total_iters", (double)args->total_iters,
                                 "at least 1. Hint: steps from start_factor to end_factor", args->where_);
    linear_lr *s = ok ? fa_scheduler_make(sizeof *s, kind, args->optim, args->last_epoch, args->where_) : NULL;
    if (!s)
        return NULL;
    s->start = args->start_factor;
    s->end = args->end_factor;
    s->total_iters = args->total_iters;
    return fa_scheduler_start(&s->base, args->where_);
}
