/* Schedules made of schedules: SequentialLR and ChainedScheduler. */
#include "nn/state.h"
#include "optim/optim.h"

#include <string.h>

typedef struct sequence {
    fa_scheduler base;
    fa_scheduler **part;
    int64_t count, *milestone; /* count - 1 milestones, of a sequence */
} sequence;

static void release(fa_scheduler *scheduler)
{
    sequence *s = (sequence *)scheduler;
    for (int64_t i = 0; i < s->count; i++) {
        s->part[i]->held = false;
        fa_scheduler_free(s->part[i]);
    }
    fa_mfree(s->part);
    fa_mfree(s->milestone);
}

/* The part that runs at a step: the number of milestones that are not after it. */
static int64_t part_at(const sequence *s, int64_t epoch)
{
    int64_t part = 0;
    while (part < s->count - 1 && s->milestone[part] <= epoch)
        part++;
    return part;
}

static bool sequential_step(fa_scheduler *scheduler, fa_where where)
{
    sequence *s = (sequence *)scheduler;
    const int64_t at = part_at(s, scheduler->epoch);
    fa_scheduler *part = s->part[at];
    if (at == 0 || s->milestone[at - 1] != scheduler->epoch)
        return fa_scheduler_advance(part, where);
    part->epoch = 0;
    if (!part->kind->closed) {
        if (!part->kind->step(part, where))
            return false;
        fa_scheduler_note(part);
        return true;
    }
    part->kind->closed(part);
    fa_scheduler_note(part);
    return true;
}

static bool chained_step(fa_scheduler *scheduler, fa_where where)
{
    const sequence *s = (const sequence *)scheduler;
    for (int64_t i = 0; i < s->count; i++)
        if (!fa_scheduler_advance(s->part[i], where))
            return false;
    return true;
}

static bool put_parts(const sequence *s, fa_value *dict, fa_where where)
{
    fa_value *parts = fa_container_at(FA_VALUE_LIST, FA_FLAVOUR_PLAIN, where);
    for (int64_t i = 0; i < s->count; i++) {
        fa_value *part = fa_scheduler_put_state(s->part[i], where);
        if (parts == NULL || part == NULL || fa_list_add_at(parts, part, where) == NULL)
            return false;
    }
    return fa_state_put(dict, "_last_lr", fa_floats_value(s->base.last_lr, s->base.bases, false, where), where) &&
           fa_state_put(dict, "_schedulers", parts, where);
}

static bool sequential_put(const fa_scheduler *scheduler, fa_value *dict, fa_where where)
{
    const sequence *s = (const sequence *)scheduler;
    fa_value *milestones = fa_container_at(FA_VALUE_LIST, FA_FLAVOUR_PLAIN, where);
    for (int64_t i = 0; i < s->count - 1; i++) {
        fa_value *milestone = fa_value_int_at(s->milestone[i], where);
        if (milestones == NULL || milestone == NULL || fa_list_add_at(milestones, milestone, where) == NULL)
            return false;
    }
    return fa_state_put(dict, "_milestones", milestones, where) &&
           fa_state_put(dict, "last_epoch", fa_value_int_at(scheduler->epoch, where), where) &&
           put_parts(s, dict, where);
}

static bool chained_put(const fa_scheduler *scheduler, fa_value *dict, fa_where where)
{
    return put_parts((const sequence *)scheduler, dict, where);
}

static bool take_parts(sequence *s, const fa_schedule_reader *reader)
{
    fa_value *parts = fa_take_value(reader, "_schedulers", FA_VALUE_LIST);
    if (parts == NULL)
        return false;
    if (fa_len(parts) != s->count)
        return fa_fail(FA_VALUE_ERROR, reader->where, "fa_load_state_dict",
                       "got %lld schedules in the file's %s, needs the %lld that it is made of here.",
                       (long long)fa_len(parts), s->base.kind->name, (long long)s->count);
    for (int64_t i = 0; i < s->count; i++) {
        fa_schedule_reader one = *reader;
        one.dict = fa_value_at(parts, i);
        if (!fa_scheduler_take_state(s->part[i], &one))
            return false;
    }
    return fa_state_entry(reader->dict, "_last_lr", reader->where) == NULL ||
           fa_take_floats(reader, "_last_lr", s->base.last_lr, s->base.bases);
}

static bool sequential_take(fa_scheduler *scheduler, const fa_schedule_reader *reader)
{
    sequence *s = (sequence *)scheduler;
    fa_value *milestones = fa_take_value(reader, "_milestones", FA_VALUE_LIST);
    if (milestones == NULL)
        return false;
    if (fa_len(milestones) != s->count - 1)
        return fa_fail(FA_VALUE_ERROR, reader->where, "fa_load_state_dict", "got %lld milestones, needs %lld.",
                       (long long)fa_len(milestones), (long long)s->count - 1);
    int64_t before = INT64_MIN;
    for (int64_t i = 0; i < s->count - 1; i++) {
        fa_value *x = fa_value_at(milestones, i);
        const bool whole = fa_kind_of(x) == FA_VALUE_INT && fa_flavour_of(x) != FA_FLAVOUR_BIG;
        const int64_t at = whole ? fa_as_int_at(x, reader->where) : INT64_MIN;
        if (!whole || at < before)
            return fa_fail(FA_VALUE_ERROR, reader->where, "fa_load_state_dict",
                           "got %s as milestone %lld, needs whole numbers in rising order.", fa_value_text(x),
                           (long long)i);
        before = at;
        if (reader->commit)
            s->milestone[i] = at;
    }
    return fa_take_int(reader, "last_epoch", &scheduler->epoch, -1) && take_parts(s, reader);
}

static bool chained_take(fa_scheduler *scheduler, const fa_schedule_reader *reader)
{
    return take_parts((sequence *)scheduler, reader);
}

static const fa_schedule_kind sequential_kind = {.name = "SequentialLR",
                                                 .what = "fa_sequential_lr",
                                                 .step = sequential_step,
                                                 .release = release,
                                                 .put = sequential_put,
                                                 .take = sequential_take,
                                                 .own_only = true};
static const fa_schedule_kind chained_kind = {.name = "ChainedScheduler",
                                              .what = "fa_chained_scheduler",
                                              .step = chained_step,
                                              .release = release,
                                              .put = chained_put,
                                              .take = chained_take,
                                              .own_only = true};

static bool is_compound(const fa_scheduler *scheduler)
{
    return scheduler->kind == &sequential_kind || scheduler->kind == &chained_kind;
}

static bool check_parts(const fa_optim *optim, fa_schedules parts, const char *what, fa_where where)
{
    if (parts.count < 1)
        return fa_fail(FA_VALUE_ERROR, where, what,
                       "got no schedules, needs at least one. Hint: FA_SCHEDULES(warmup, cosine)");
    for (int64_t i = 0; i < parts.count; i++) {
        const fa_scheduler *part = parts.schedule[i];
        if (!part)
            return fa_ok() ? fa_fail(FA_VALUE_ERROR, where, what,
                                     "got NULL as schedule %lld, needs a schedule. Hint: was it made?", (long long)i)
                           : false;
        if (strcmp(part->kind->name, "ReduceLROnPlateau") == 0)
            return fa_fail(FA_VALUE_ERROR, where, what,
                           "got ReduceLROnPlateau as schedule %lld, needs those whose step takes no metric. Hint: step "
                           "it by itself with fa_step_metric",
                           (long long)i);
        if (part->optim != (optim ? optim : parts.schedule[0]->optim))
            return fa_fail(FA_VALUE_ERROR, where, what,
                           "got schedule %lld (%s) of another optimizer, needs one optimizer for all. Hint: make them "
                           "all with the same",
                           (long long)i, part->kind->name);
        bool twice = part->held;
        for (int64_t k = 0; k < i; k++)
            twice |= parts.schedule[k] == part;
        if (twice)
            return fa_fail(FA_VALUE_ERROR, where, what,
                           "got schedule %lld (%s), which is in a sequence or chain already, needs each in one place. "
                           "Hint: make another",
                           (long long)i, part->kind->name);
    }
    return true;
}

static bool check_milestones(fa_schedules parts, fa_milestones milestones, const char *what, fa_where where)
{
    if (milestones.count != parts.count - 1)
        return fa_fail(
            FA_VALUE_ERROR, where, what,
            "got %lld schedules and %lld milestones, needs one milestone less than schedules. Hint: the k-th "
            "milestone begins schedule k + 1",
            (long long)parts.count, (long long)milestones.count);
    for (int64_t i = 1; i < parts.count; i++) {
        if (is_compound(parts.schedule[i]))
            return fa_fail(FA_VALUE_ERROR, where, what,
                           "got %s as schedule %lld, needs a plain one after a milestone. Hint: only the first may be "
                           "made of others",
                           parts.schedule[i]->kind->name, (long long)i);
        if (i > 1 && milestones.at[i - 1] < milestones.at[i - 2])
            return fa_fail(FA_VALUE_ERROR, where, what, "got milestone %lld after %lld, needs them in rising order",
                           (long long)milestones.at[i - 1], (long long)milestones.at[i - 2]);
    }
    return true;
}

/* The schedule with its parts, which it owns from now on. NULL after an error: they are still the caller's. */
static sequence *make(const fa_schedule_kind *kind, fa_optim *optim, fa_schedules parts, fa_where where)
{
    fa_scheduler **part = fa_calloc((size_t)parts.count, sizeof *part);
    int64_t *milestone = fa_calloc((size_t)parts.count, sizeof *milestone);
    sequence *s = part && milestone ? fa_scheduler_make(sizeof *s, kind, optim, -1, where) : NULL;
    if (!s) {
        fa_mfree(part);
        fa_mfree(milestone);
        if (fa_ok())
            fa_fail_memory(where, (size_t)parts.count * sizeof *part);
        return NULL;
    }
    s->part = part;
    s->milestone = milestone;
    s->count = parts.count;
    for (int64_t i = 0; i < s->count; i++) {
        part[i] = parts.schedule[i];
        part[i]->held = true;
    }
    return s;
}

/* A constructor that fails frees what it was given. */
static void drop_parts(fa_schedules parts)
{
    for (int64_t i = 0; i < parts.count; i++) {
        bool seen = false;
        for (int64_t k = 0; k < i; k++)
            seen |= parts.schedule[k] == parts.schedule[i];
        if (!seen)
            fa_scheduler_free(parts.schedule[i]);
    }
}

/* The steps that the parts made when they were made do not count. */
static void undo_start(fa_scheduler *scheduler)
{
    if (!is_compound(scheduler)) {
        scheduler->epoch--;
        return;
    }
    const sequence *s = (const sequence *)scheduler;
    for (int64_t i = 0; i < s->count; i++)
        undo_start(s->part[i]);
}

fa_scheduler *fa_sequential_lr_at(const fa_sequential_lr_args *args)
{
    fa_optim *optim = args->optim;
    const fa_schedules schedules = args->schedules;
    const fa_milestones milestones = args->milestones;
    const fa_where where = args->where_;
    const char *what = sequential_kind.what;
    sequence *s = NULL;
    if (args->last_epoch < -1)
        fa_scheduler_refuse(what, "last_epoch", (double)args->last_epoch, "-1 or more. Hint: leave it out to begin",
                            where);
    else if (fa_scheduler_check_optim(optim, what, where) && check_parts(optim, schedules, what, where) &&
             check_milestones(schedules, milestones, what, where))
        s = make(&sequential_kind, optim, schedules, where);
    if (!s) {
        drop_parts(schedules);
        return NULL;
    }
    if (milestones.count > 0)
        memcpy(s->milestone, milestones.at, (size_t)milestones.count * sizeof *s->milestone);
    for (int64_t g = 0; g < optim->group_count; g++)
        optim->group[g]->now.lr = optim->group[g]->initial_lr;
    undo_start(&s->base);
    s->base.epoch = args->last_epoch + 1;
    fa_scheduler *first = s->part[part_at(s, 0)];
    first->initial = true;
    first->count = 0;
    const bool ok = fa_scheduler_advance(first, where);
    first->initial = false;
    fa_scheduler_note(&s->base);
    if (ok)
        return &s->base;
    fa_scheduler_free(&s->base);
    return NULL;
}

fa_scheduler *fa_chained_scheduler_at(fa_schedules schedules, fa_where where)
{
    sequence *s = check_parts(NULL, schedules, chained_kind.what, where)
                      ? make(&chained_kind, schedules.schedule[0]->optim, schedules, where)
                      : NULL;
    if (!s) {
        drop_parts(schedules);
        return NULL;
    }
    s->base.epoch = 0; /* its parts have made their first step */
    fa_scheduler_note(&s->base);
    return &s->base;
}
