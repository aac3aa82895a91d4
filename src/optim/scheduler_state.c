/* State dicts of schedules, under PyTorch's names. Each kind writes and reads its own entries (fa_schedule_kind); here
 * are the common ones, and what loading does to the optimizer's rates. */
#include "nn/state.h"
#include "optim/optim.h"

#include "base/error.h"

#include <math.h>
#include <string.h>

static const char what[] = "fa_load_state_dict";

/* ---- Saving -------------------------------------------------------------------------------------------------------
 */

fa_value *fa_floats_value(const double *number, int64_t count, bool zero, fa_where where)
{
    fa_value *list = fa_container_at(FA_VALUE_LIST, FA_FLAVOUR_PLAIN, where);
    for (int64_t i = 0; list != NULL && i < count; i++) {
        fa_value *x = zero && number[i] == 0 ? fa_value_int_at(0, where) : fa_value_float_at(number[i], where);
        if (x == NULL || fa_list_add_at(list, x, where) == NULL)
            return NULL;
    }
    return list;
}

static bool put_common(const fa_scheduler *s, fa_value *dict, fa_where where)
{
    return fa_state_put(dict, "base_lrs", fa_floats_value(s->base_lr, s->bases, false, where), where) &&
           fa_state_put(dict, "last_epoch", fa_value_int_at(s->epoch, where), where) &&
           fa_state_put(dict, "_step_count", fa_value_int_at(s->kind->uncounted ? 0 : s->count, where), where) &&
           fa_state_put(dict, "_is_initial", fa_value_bool_at(false, where), where) &&
           fa_state_put(dict, "_get_lr_called_within_step", fa_value_bool_at(false, where), where) &&
           fa_state_put(dict, "_last_lr", fa_floats_value(s->last_lr, s->bases, false, where), where);
}

fa_value *fa_scheduler_put_state(const fa_scheduler *scheduler, fa_where where)
{
    const fa_schedule_kind *kind = scheduler->kind;
    fa_value *dict = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    const bool fine = dict != NULL && (kind->own_last || kind->put(scheduler, dict, where)) &&
                      (kind->own_only || put_common(scheduler, dict, where)) &&
                      (!kind->own_last || kind->put(scheduler, dict, where));
    return fine ? dict : NULL;
}

fa_value *fa_scheduler_state_dict_at(fa_scheduler *scheduler, fa_where where)
{
    if (scheduler == NULL) {
        if (fa_ok())
            fa_fail(FA_STATE_ERROR, where, "fa_state_dict", "got NULL, needs a schedule. Hint: was it made?");
        return NULL;
    }
    fa_begin(where);
    return fa_scheduler_put_state(scheduler, where);
}

/* ---- Loading: entries ---------------------------------------------------------------------------------------------
 */

static bool is_number(fa_value *x)
{
    const fa_value_kind kind = fa_kind_of(x);
    return kind == FA_VALUE_FLOAT || kind == FA_VALUE_BOOL ||
           (kind == FA_VALUE_INT && fa_flavour_of(x) != FA_FLAVOUR_BIG) || (kind == FA_VALUE_TENSOR && fa_len(x) == 1);
}

static bool refuse(const fa_schedule_reader *r, const char *name, fa_value *x, const char *need)
{
    return fa_fail(FA_VALUE_ERROR, r->where, what, "got %s as %s of a schedule, needs %s.",
                   x != NULL ? fa_value_text(x) : "nothing", name, need);
}

/* The number of an entry that is one. False after an error. */
static bool number_of(const fa_schedule_reader *r, fa_value *x, const char *name, double *out)
{
    if (!is_number(x))
        return refuse(r, name, x, "a number");
    *out = fa_as_float_at(x, r->where);
    return fa_ok() && (isfinite(*out) || refuse(r, name, x, "a finite number"));
}

bool fa_take_int(const fa_schedule_reader *r, const char *name, int64_t *out, int64_t least)
{
    fa_value *x = fa_state_entry(r->dict, name, r->where);
    double number = 0;
    if (!number_of(r, x, name, &number))
        return false;
    if (number != floor(number) || fabs(number) > 0x1p53 || number < (double)least)
        return refuse(r, name, x, least == 1 ? "a whole number, 1 or more" : "a whole number in its range");
    if (r->commit)
        *out = (int64_t)number;
    return true;
}

bool fa_take_float(const fa_schedule_reader *r, const char *name, double *out)
{
    double number = 0;
    if (!number_of(r, fa_state_entry(r->dict, name, r->where), name, &number))
        return false;
    if (r->commit)
        *out = number;
    return true;
}

bool fa_take_bool(const fa_schedule_reader *r, const char *name, bool *out)
{
    double number = 0;
    if (!number_of(r, fa_state_entry(r->dict, name, r->where), name, &number))
        return false;
    if (r->commit)
        *out = number != 0;
    return true;
}

fa_value *fa_take_value(const fa_schedule_reader *r, const char *name, fa_value_kind kind)
{
    fa_value *x = fa_state_entry(r->dict, name, r->where);
    if (x != NULL && fa_kind_of(x) == kind)
        return x;
    refuse(r, name, x, kind == FA_VALUE_LIST ? "a list" : kind == FA_VALUE_STRING ? "a string" : "a dict");
    return NULL;
}

bool fa_take_floats(const fa_schedule_reader *r, const char *name, double *out, int64_t count)
{
    fa_value *list = fa_take_value(r, name, FA_VALUE_LIST);
    if (list == NULL)
        return false;
    if (fa_len(list) != count)
        return fa_fail(FA_VALUE_ERROR, r->where, what,
                       "got %lld numbers as %s of a schedule, needs %lld: one for each parameter group.",
                       (long long)fa_len(list), name, (long long)count);
    for (int64_t i = 0; i < count; i++) {
        double number = 0;
        if (!number_of(r, fa_value_at(list, i), name, &number))
            return false;
        if (r->commit)
            out[i] = number;
    }
    return true;
}

/* ---- Loading ------------------------------------------------------------------------------------------------------
 */

/* The schedule that a state dict is that of; NULL: its keys do not tell. */
static const char *kind_of_state(fa_value *dict, fa_where where)
{
    static const char *const marks[][2] = {{"step_size_up", "CyclicLR"},    {"total_size", "CyclicLR"},
                                           {"step_size", "StepLR"},         {"milestones", "MultiStepLR"},
                                           {"T_max", "CosineAnnealingLR"},  {"T_0", "CosineAnnealingWarmRestarts"},
                                           {"total_steps", "OneCycleLR"},   {"start_factor", "LinearLR"},
                                           {"power", "PolynomialLR"},       {"num_bad_epochs", "ReduceLROnPlateau"},
                                           {"total_iters", "ConstantLR"},   {"lr_lambdas", "LambdaLR"},
                                           {"_milestones", "SequentialLR"}, {"_schedulers", "ChainedScheduler"},
                                           {"gamma", "ExponentialLR"}};
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (fa_state_entry(dict, marks[i][0], where) != NULL)
            return marks[i][1];
    return NULL;
}

static bool take_common(fa_scheduler *s, const fa_schedule_reader *r)
{
    /* Older releases have fewer. */
    return fa_take_floats(r, "base_lrs", s->base_lr, s->bases) && fa_take_int(r, "last_epoch", &s->epoch, -1) &&
           (fa_state_entry(r->dict, "_step_count", r->where) == NULL || fa_take_int(r, "_step_count", &s->count, 0)) &&
           (fa_state_entry(r->dict, "_last_lr", r->where) == NULL ||
            fa_take_floats(r, "_last_lr", s->last_lr, s->bases));
}

bool fa_scheduler_take_state(fa_scheduler *scheduler, const fa_schedule_reader *reader)
{
    if (!fa_value_check(reader->dict, FA_VALUE_DICT, what, reader->where))
        return false;
    const char *saved = kind_of_state(reader->dict, reader->where);
    if (saved == NULL)
        return fa_fail(FA_VALUE_ERROR, reader->where, what, "got a dict with %s, needs the state of %s.",
                       fa_keys_text(reader->dict), scheduler->kind->name);
    if (strcmp(saved, scheduler->kind->name) != 0)
        return fa_fail(FA_VALUE_ERROR, reader->where, what,
                       "got the state of %s, needs that of %s. Hint: make the schedule that was saved", saved,
                       scheduler->kind->name);
    return scheduler->kind->take(scheduler, reader) && (scheduler->kind->own_only || take_common(scheduler, reader));
}

/* The rates of the saved optimizer, or those that the schedule left; making a schedule may have changed either. */
static bool put_rates(fa_scheduler *s, bool has_rates, fa_where where)
{
    /* A cycle's momentum follows from the step, as its rate does. */
    if (strcmp(s->kind->name, "OneCycleLR") == 0 && s->epoch >= 0 && !s->kind->step(s, where))
        return false;
    for (int64_t g = 0; g < s->bases; g++) {
        fa_optim_group *group = s->optim->group[g];
        if (group->loaded) {
            group->now.lr = group->loaded_lr;
            fa_optim_set_momentum(s->optim, group, group->loaded_momentum);
        } else if (has_rates) {
            group->now.lr = s->last_lr[g];
        }
    }
    return true;
}

bool fa_scheduler_load_state_dict_at(fa_scheduler *scheduler, const fa_load_state_dict_args *args)
{
    fa_report_clear();
    if (!fa_ok())
        return false;
    if (scheduler == NULL || args->state == NULL)
        return fa_fail(FA_VALUE_ERROR, args->where_, what, "got no %s (NULL), needs one. Hint: was it made?",
                       scheduler == NULL ? "schedule" : "state");
    fa_begin(args->where_);
    fa_schedule_reader reader = {.dict = args->state, .where = args->where_};
    if (!fa_scheduler_take_state(scheduler, &reader))
        return false;
    reader.commit = true;
    return fa_scheduler_take_state(scheduler, &reader) &&
           put_rates(scheduler, fa_state_entry(args->state, "_last_lr", args->where_) != NULL, args->where_);
}
