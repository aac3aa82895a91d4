/* State dicts of optimizers, in PyTorch's layout: {"state": {0: {...}, ...}, "param_groups": [{..., "params": [0,
 * ...]}]}. Loading reads and checks everything into memory of its own first; what cannot fail is then put in its place.
 */
#include "nn/state.h"
#include "optim/optim.h"

#include "base/error.h"
#include "nn/module.h"

#include <stddef.h>
#include <string.h>

static const char what[] = "fa_load_state_dict";

/* ---- Options of a group -------------------------------------------------------------------------------------------
 */

typedef enum option_type {
    OPTION_FLOAT,
    OPTION_ZERO, /* a float of which 0 is written as PyTorch's default, the int */
    OPTION_BOOL,
    OPTION_BETAS,
    OPTION_NONE,  /* written as None; what a file has there is about speed */
    OPTION_FALSE, /* the same as False */
    OPTION_DECOUPLED
} option_type;

typedef struct option {
    const char *name;
    option_type type;
    size_t offset;
} option;

#define OPTION(name, type)                                                                                             \
    {                                                                                                                  \
#name, type, offsetof(fa_optim_options, name)                                                                  \
    }

/* In PyTorch's order. */
static const option sgd_options[] = {OPTION(lr, OPTION_FLOAT),       OPTION(momentum, OPTION_ZERO),
                                     OPTION(dampening, OPTION_ZERO), OPTION(weight_decay, OPTION_ZERO),
                                     OPTION(nesterov, OPTION_BOOL),  OPTION(maximize, OPTION_BOOL),
                                     {"foreach", OPTION_NONE, 0},    {"differentiable", OPTION_FALSE, 0},
                                     {"fused", OPTION_NONE, 0},      {NULL, OPTION_NONE, 0}};
static const option adam_options[] = {OPTION(lr, OPTION_FLOAT),
                                      OPTION(betas, OPTION_BETAS),
                                      OPTION(eps, OPTION_FLOAT),
                                      OPTION(weight_decay, OPTION_ZERO),
                                      OPTION(amsgrad, OPTION_BOOL),
                                      OPTION(maximize, OPTION_BOOL),
                                      {"foreach", OPTION_NONE, 0},
                                      {"capturable", OPTION_FALSE, 0},
                                      {"differentiable", OPTION_FALSE, 0},
                                      {"fused", OPTION_NONE, 0},
                                      {"decoupled_weight_decay", OPTION_DECOUPLED, 0},
                                      {NULL, OPTION_NONE, 0}};
static const option rmsprop_options[] = {OPTION(lr, OPTION_FLOAT),        OPTION(momentum, OPTION_ZERO),
                                         OPTION(alpha, OPTION_FLOAT),     OPTION(eps, OPTION_FLOAT),
                                         OPTION(centered, OPTION_BOOL),   OPTION(weight_decay, OPTION_ZERO),
                                         {"capturable", OPTION_FALSE, 0}, {"foreach", OPTION_NONE, 0},
                                         OPTION(maximize, OPTION_BOOL),   {"differentiable", OPTION_FALSE, 0},
                                         {NULL, OPTION_NONE, 0}};
static const option adagrad_options[] = {OPTION(lr, OPTION_FLOAT),
                                         OPTION(lr_decay, OPTION_ZERO),
                                         OPTION(eps, OPTION_FLOAT),
                                         OPTION(weight_decay, OPTION_ZERO),
                                         OPTION(initial_accumulator_value, OPTION_ZERO),
                                         {"foreach", OPTION_NONE, 0},
                                         OPTION(maximize, OPTION_BOOL),
                                         {"differentiable", OPTION_FALSE, 0},
                                         {"fused", OPTION_NONE, 0},
                                         {NULL, OPTION_NONE, 0}};

static bool is_named(const fa_optim *optim, const char *name)
{
    return strcmp(optim->kind->name, name) == 0;
}

static const option *options_of(const fa_optim *optim)
{
    return is_named(optim, "SGD")       ? sgd_options
           : is_named(optim, "RMSprop") ? rmsprop_options
           : is_named(optim, "Adagrad") ? adagrad_options
                                        : adam_options;
}

/* ---- Saving -------------------------------------------------------------------------------------------------------
 */

static fa_value *option_value(const fa_optim *optim, const fa_optim_options *now, const option *o, fa_where where)
{
    const void *at = (const char *)now + o->offset;
    switch (o->type) {
    case OPTION_FLOAT:
        return fa_value_float_at(*(const double *)at, where);
    case OPTION_ZERO:
        return *(const double *)at == 0 ? fa_value_int_at(0, where) : fa_value_float_at(*(const double *)at, where);
    case OPTION_BOOL:
        return fa_value_bool_at(*(const bool *)at, where);
    case OPTION_BETAS: {
        fa_value *beta[2] = {fa_value_float_at(now->betas[0], where), fa_value_float_at(now->betas[1], where)};
        return beta[0] != NULL && beta[1] != NULL ? fa_tuple_of_at(2, beta, where) : NULL;
    }
    case OPTION_DECOUPLED:
        return fa_value_bool_at(is_named(optim, "AdamW"), where);
    case OPTION_FALSE:
        return fa_value_bool_at(false, where);
    default:
        return fa_value_none_at(where);
    }
}

static fa_value *group_value(const fa_optim *optim, const fa_optim_group *group, int64_t first, fa_where where)
{
    fa_value *dict = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    fa_value *params = fa_container_at(FA_VALUE_LIST, FA_FLAVOUR_PLAIN, where);
    bool fine = dict != NULL && params != NULL;
    for (const option *o = options_of(optim); fine && o->name != NULL; o++)
        fine = fa_state_put(dict, o->name, option_value(optim, &group->now, o, where), where);
    const struct {
        const char *name;
        bool there;
        double number;
    } scheduled[] = {{"initial_lr", group->scheduled, group->initial_lr},
                     {"max_lr", group->cycled, group->max_lr},
                     {"min_lr", group->cycled, group->min_lr},
                     {"max_momentum", group->cycled_momentum, group->max_momentum},
                     {"base_momentum", group->cycled_momentum, group->base_momentum}};
    for (int i = 0; fine && i < 5; i++)
        if (scheduled[i].there)
            fine = fa_state_put(dict, scheduled[i].name, fa_value_float_at(scheduled[i].number, where), where);
    for (int64_t i = 0; fine && i < group->count; i++) {
        fa_value *index = fa_value_int_at(first + i, where);
        fine = index != NULL && fa_list_add_at(params, index, where) != NULL;
    }
    return fine && fa_state_put(dict, "params", params, where) ? dict : NULL;
}

static fa_value *step_value(int64_t steps, fa_where where)
{
    const fa_meta meta = fa_meta_of(FA_DT_FLOAT32, 0, NULL);
    fa_leaf *leaf = fa_leaf_new(&meta);
    if (leaf == NULL)
        return NULL;
    *(float *)leaf->buffer->data = (float)steps;
    fa_value *value = fa_value_of_leaf(leaf, where);
    fa_leaf_release(leaf);
    return value;
}

/* Adds the state of one parameter under its number, if it has any. */
static bool put_state(fa_value *state, fa_optim *optim, int64_t g, int64_t i, int64_t number, fa_where where)
{
    fa_optim_state entry[FA_OPTIM_STATES + 1];
    const int n = fa_optim_state_list(optim, g, i, entry);
    if (n == 0)
        return true;
    fa_value *dict = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    for (int k = 0; k < n; k++)
        if (!fa_state_put(dict, entry[k].name,
                          entry[k].leaf != NULL ? fa_value_of_leaf(entry[k].leaf, where)
                                                : step_value(*entry[k].step, where),
                          where))
            return false;
    return fa_dict_put_at(state, fa_value_int_at(number, where), dict, where) != NULL;
}

fa_value *fa_optim_state_dict_at(fa_optim *optim, fa_where where)
{
    if (optim == NULL) {
        if (fa_ok())
            fa_fail(FA_STATE_ERROR, where, "fa_state_dict", "got NULL, needs an optimizer. Hint: was it made?");
        return NULL;
    }
    fa_begin(where);
    /* The counts are those of steps that were run. */
    if (!fa_flush())
        return NULL;
    fa_value *state = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    fa_value *groups = fa_container_at(FA_VALUE_LIST, FA_FLAVOUR_PLAIN, where);
    fa_value *dict = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    bool fine = state != NULL && groups != NULL && dict != NULL;
    int64_t number = 0;
    for (int64_t g = 0; fine && g < optim->group_count; g++) {
        fa_value *group = group_value(optim, optim->group[g], number, where);
        fine = group != NULL && fa_list_add_at(groups, group, where) != NULL;
        for (int64_t i = 0; fine && i < optim->group[g]->count; i++)
            fine = put_state(state, optim, g, i, number++, where);
    }
    return fine && fa_state_put(dict, "state", state, where) && fa_state_put(dict, "param_groups", groups, where)
               ? dict
               : NULL;
}

/* ---- Loading: what was read ---------------------------------------------------------------------------------------
 */

typedef struct read_group {
    fa_value *dict, *ids; /* ids: what the file calls its parameters */
    fa_optim_group now;   /* options and what schedules noted; no parameters */
    fa_optim_parameter *parameter;
} read_group;

typedef struct reader {
    fa_optim *optim;
    fa_where where;
    fa_value *state, *groups;
    read_group *group;
    int64_t used, bare; /* entries of the state that have a parameter here; parameters that have none there */
    fa_text bare_names, mismatched;
    int64_t mismatches;
} reader;

static const char *name_of(const fa_optim_parameter *p)
{
    return p->leaf->name != NULL ? p->leaf->name : "without a name";
}

/* The entry of one parameter; NULL if the file has none. */
static fa_value *state_entry(const reader *r, int64_t g, int64_t i)
{
    fa_value *id = fa_value_at(r->group[g].ids, i);
    const fa_key key = {.number = fa_as_int_at(id, r->where)};
    return fa_has_at(r->state, key, r->where) ? fa_get_at(r->state, key, r->where) : NULL;
}

static void free_reader(reader *r)
{
    for (int64_t g = 0; r->group != NULL && g < r->optim->group_count; g++) {
        for (int64_t i = 0; r->group[g].parameter != NULL && i < r->optim->group[g]->count; i++)
            for (int k = 0; k < FA_OPTIM_STATES; k++)
                fa_leaf_release(r->group[g].parameter[i].state[k]);
        fa_mfree(r->group[g].parameter);
    }
    fa_mfree(r->group);
    fa_text_free(&r->bare_names);
    fa_text_free(&r->mismatched);
}

/* ---- Loading: which optimizer -------------------------------------------------------------------------------------
 */

/* The optimizer that a group's options are those of; NULL: they do not tell. */
static const char *kind_of_group(fa_value *group, fa_where where)
{
    static const char *const marks[][2] = {
        {"dampening", "SGD"},    {"alpha", "RMSprop"}, {"initial_accumulator_value", "Adagrad"},
        {"lr_decay", "Adagrad"}, {"rho", "Adadelta"},  {"momentum_decay", "NAdam"},
        {"lambd", "ASGD"},       {"etas", "Rprop"},    {"max_iter", "LBFGS"}};
    /* alpha and lambd are ASGD's both */
    if (fa_state_entry(group, "lambd", where) != NULL)
        return "ASGD";
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (fa_state_entry(group, marks[i][0], where) != NULL)
            return marks[i][1];
    if (fa_state_entry(group, "amsgrad", where) == NULL)
        return NULL;
    fa_value *decoupled = fa_state_entry(group, "decoupled_weight_decay", where);
    return fa_kind_of(decoupled) != FA_VALUE_BOOL ? "Adam or AdamW"
           : fa_as_bool_at(decoupled, where)      ? "AdamW"
                                                  : "Adam";
}

static bool check_kind(const reader *r, fa_value *group)
{
    const char *saved = kind_of_group(group, r->where), *here = r->optim->kind->name;
    if (saved == NULL || strcmp(saved, here) == 0 ||
        (strcmp(saved, "Adam or AdamW") == 0 && strncmp(here, "Adam", 4) == 0))
        return true;
    return fa_fail(FA_VALUE_ERROR, r->where, what,
                   "got the state of %s, needs that of %s. Hint: make the optimizer that was saved, or begin a new one "
                   "without loading",
                   saved, here);
}

/* The two parts of the state dict, in a checkpoint too. False after an error. */
static bool find_parts(reader *r, fa_value *value)
{
    static const char *const wrappers[] = {"optimizer_state_dict", "optimizer", "optim"};
    if (!fa_value_check(value, FA_VALUE_DICT, what, r->where))
        return false;
    for (int i = 0; i < 3 && fa_state_entry(value, "param_groups", r->where) == NULL; i++) {
        fa_value *inner = fa_state_entry(value, wrappers[i], r->where);
        if (fa_kind_of(inner) != FA_VALUE_DICT)
            continue;
        fa_report_add("used entry '%s'", wrappers[i]);
        value = inner;
    }
    r->state = fa_state_entry(value, "state", r->where);
    r->groups = fa_state_entry(value, "param_groups", r->where);
    if (fa_kind_of(r->groups) == FA_VALUE_LIST && fa_kind_of(r->state) == FA_VALUE_DICT)
        return true;
    return fa_fail(FA_VALUE_ERROR, r->where, what,
                   "got a dict with %s, needs an optimizer's: state (a dict) and param_groups (a list). Hint: "
                   "fa_get(checkpoint, \"optimizer_state_dict\")",
                   fa_keys_text(value));
}

/* ---- Loading: groups ----------------------------------------------------------------------------------------------
 */

static bool read_number(const reader *r, fa_value *x, const char *name, int64_t g, double *out)
{
    const fa_value_kind kind = fa_kind_of(x);
    if (kind == FA_VALUE_INT || kind == FA_VALUE_FLOAT || kind == FA_VALUE_BOOL ||
        (kind == FA_VALUE_TENSOR && fa_len(x) == 1)) {
        *out = fa_as_float_at(x, r->where);
        return fa_ok();
    }
    return fa_fail(FA_VALUE_ERROR, r->where, what, "got %s as %s of group %lld, needs a number.", fa_value_text(x),
                   name, (long long)g);
}

static bool read_option(const reader *r, const option *o, int64_t g)
{
    fa_value *x = fa_state_entry(r->group[g].dict, o->name, r->where);
    fa_optim_options *now = &r->group[g].now.now;
    void *at = (char *)now + o->offset;
    double number = 0;
    switch (o->type) {
    case OPTION_FLOAT:
    case OPTION_ZERO:
        if (x != NULL)
            return read_number(r, x, o->name, g, at);
        fa_report_add("group %lld of the file has no %s: stays %g", (long long)g, o->name, *(double *)at);
        return true;
    case OPTION_BOOL: /* older releases have fewer */
        if (x != NULL && !read_number(r, x, o->name, g, &number))
            return false;
        *(bool *)at = number != 0;
        return true;
    case OPTION_BETAS:
        if ((fa_kind_of(x) != FA_VALUE_TUPLE && fa_kind_of(x) != FA_VALUE_LIST) || fa_len(x) != 2)
            return fa_fail(FA_VALUE_ERROR, r->where, what, "got %s as betas of group %lld, needs two numbers.",
                           x != NULL ? fa_value_text(x) : "nothing", (long long)g);
        return read_number(r, fa_value_at(x, 0), "betas[0]", g, &now->betas[0]) &&
               read_number(r, fa_value_at(x, 1), "betas[1]", g, &now->betas[1]);
    default:
        return true;
    }
}

/* What schedules noted; `there` says whether the file has it. */
static bool read_noted(const reader *r, const char *name, int64_t g, double *out, bool *there)
{
    fa_value *x = fa_state_entry(r->group[g].dict, name, r->where);
    *there = x != NULL;
    return x == NULL || read_number(r, x, name, g, out);
}

static bool read_options(reader *r, int64_t g)
{
    fa_optim_group *now = &r->group[g].now;
    *now = *r->optim->group[g];
    for (const option *o = options_of(r->optim); o->name != NULL; o++)
        if (!read_option(r, o, g))
            return false;
    bool least = false, base = false;
    if (!read_noted(r, "initial_lr", g, &now->initial_lr, &now->scheduled) ||
        !read_noted(r, "max_lr", g, &now->max_lr, &now->cycled) || !read_noted(r, "min_lr", g, &now->min_lr, &least) ||
        !read_noted(r, "max_momentum", g, &now->max_momentum, &now->cycled_momentum) ||
        !read_noted(r, "base_momentum", g, &now->base_momentum, &base))
        return false;
    now->cycled = now->cycled && least;
    now->cycled_momentum = now->cycled_momentum && base;
    return fa_optim_check(now->now.lr, what, "learning rate", r->where) &&
           r->optim->kind->check(&now->now, what, r->where);
}

/* Where saved and present parameters part, from the sizes of their state: "the first that differs: ...". */
static const char *first_difference(const reader *r, int64_t g, char *out, size_t size)
{
    const fa_optim_group *group = r->optim->group[g];
    const int64_t saved = fa_len(r->group[g].ids);
    snprintf(out, size, "here the last is %s", name_of(&group->parameter[group->count - 1]));
    for (int64_t i = 0; i < saved && i < group->count; i++) {
        fa_value *entry = state_entry(r, g, i);
        const fa_meta *meta = &group->parameter[i].leaf->meta;
        fa_tensor_view view;
        for (int k = 0; k < FA_OPTIM_STATES; k++) {
            const char *name = r->optim->kind->state_name(&group->now, k);
            fa_value *tensor = name != NULL ? fa_state_entry(entry, name, r->where) : NULL;
            if (fa_kind_of(tensor) != FA_VALUE_TENSOR || !fa_value_view(tensor, &view, r->where))
                continue;
            if (view.ndim == meta->ndim && memcmp(view.size, meta->shape, (size_t)meta->ndim * sizeof *view.size) == 0)
                continue;
            snprintf(out, size, "the first that differs is parameter %lld: %s here (%s), %s in the file", (long long)i,
                     fa_shape_text(meta), name_of(&group->parameter[i]), fa_view_text(&view));
            return out;
        }
    }
    return out;
}

static bool read_ids(reader *r, int64_t g)
{
    fa_value *ids = fa_state_entry(r->group[g].dict, "params", r->where);
    if (fa_kind_of(ids) != FA_VALUE_LIST)
        return fa_fail(FA_VALUE_ERROR, r->where, what, "got group %lld without a list of its params, needs one.",
                       (long long)g);
    r->group[g].ids = ids;
    for (int64_t i = 0; i < fa_len(ids); i++)
        if (fa_kind_of(fa_value_at(ids, i)) != FA_VALUE_INT || fa_flavour_of(fa_value_at(ids, i)) == FA_FLAVOUR_BIG)
            return fa_fail(FA_VALUE_ERROR, r->where, what, "got %s among params of group %lld, needs whole numbers.",
                           fa_value_text(fa_value_at(ids, i)), (long long)g);
    if (fa_len(ids) == r->optim->group[g]->count)
        return true;
    char text[400];
    return fa_fail(FA_VALUE_ERROR, r->where, what,
                   "got %lld parameters in group %lld, needs the %lld that it has here (%s). Hint: is it the state of "
                   "another network? A layer more or less shifts all that follow",
                   (long long)fa_len(ids), (long long)g, (long long)r->optim->group[g]->count,
                   first_difference(r, g, text, sizeof text));
}

static bool read_groups(reader *r)
{
    const int64_t count = r->optim->group_count;
    for (int64_t g = 0; g < fa_len(r->groups); g++)
        if (!fa_value_check(fa_value_at(r->groups, g), FA_VALUE_DICT, what, r->where) ||
            !check_kind(r, fa_value_at(r->groups, g)))
            return false;
    if (fa_len(r->groups) != count)
        return fa_fail(
            FA_VALUE_ERROR, r->where, what,
            "got the state of %lld parameter groups, needs %lld. Hint: fa_add_param_group as when it was saved",
            (long long)fa_len(r->groups), (long long)count);
    r->group = fa_calloc((size_t)count, sizeof *r->group);
    if (r->group == NULL)
        return fa_fail_memory(r->where, (size_t)count * sizeof *r->group);
    for (int64_t g = 0; g < count; g++) {
        r->group[g].dict = fa_value_at(r->groups, g);
        if (!read_ids(r, g) || !read_options(r, g))
            return false;
        r->group[g].parameter = fa_calloc((size_t)r->optim->group[g]->count, sizeof(fa_optim_parameter));
        if (r->group[g].parameter == NULL)
            return fa_fail_memory(r->where, (size_t)r->optim->group[g]->count * sizeof(fa_optim_parameter));
    }
    return true;
}

/* ---- Loading: the state of parameters -----------------------------------------------------------------------------
 */

static bool read_step(const reader *r, fa_value *x, const fa_optim_parameter *p, int64_t *out)
{
    const fa_value_kind kind = fa_kind_of(x);
    double number = -1;
    if (kind == FA_VALUE_INT || kind == FA_VALUE_FLOAT || (kind == FA_VALUE_TENSOR && fa_len(x) == 1)) {
        number = fa_as_float_at(x, r->where);
        if (!fa_ok())
            return false;
    }
    if (!(number >= 0 && number <= 0x1p53) || number != (double)(int64_t)number)
        return fa_fail(FA_VALUE_ERROR, r->where, what, "got %s as step of parameter %s, needs a count.",
                       x != NULL ? fa_value_text(x) : "nothing", name_of(p));
    *out = (int64_t)number;
    return true;
}

/* One state tensor, in the parameter's type. A size that does not fit is a row of the table. */
static bool read_tensor(reader *r, fa_value *x, const char *name, const fa_optim_parameter *p, fa_leaf **out)
{
    const fa_meta *meta = &p->leaf->meta;
    fa_tensor_view view;
    if (fa_kind_of(x) != FA_VALUE_TENSOR)
        return fa_fail(FA_VALUE_ERROR, r->where, what, "got %s as %s of parameter %s, needs a tensor.",
                       x != NULL ? fa_value_text(x) : "nothing", name, name_of(p));
    if (!fa_value_view(x, &view, r->where))
        return false;
    if (!fa_view_converts(&view))
        return fa_fail(FA_DTYPE_ERROR, r->where, what, "got %s of parameter %s as %s, needs %s.", name, name_of(p),
                       fa_stored_types[view.stored].name, fa_dtype_name(meta->dtype));
    if (view.ndim != meta->ndim || memcmp(view.size, meta->shape, (size_t)meta->ndim * sizeof *view.size) != 0) {
        if (r->mismatches++ < 12)
            fa_text_add(&r->mismatched, "\n  %-16s %.150s: %s in the file, %s here", name, name_of(p),
                        fa_view_text(&view), fa_shape_text(meta));
        return true;
    }
    *out = fa_leaf_new(meta);
    return *out != NULL && fa_view_convert((*out)->buffer->data, meta->dtype, &view, r->where);
}

static bool read_parameter(reader *r, int64_t g, int64_t i)
{
    const fa_optim_kind *kind = r->optim->kind;
    const fa_optim_parameter *p = &r->optim->group[g]->parameter[i];
    const fa_optim_options *options = &r->group[g].now.now;
    fa_optim_parameter *to = &r->group[g].parameter[i];
    fa_value *entry = state_entry(r, g, i);
    if (!fa_ok())
        return false;
    r->used += entry != NULL;
    if (entry != NULL && !fa_value_check(entry, FA_VALUE_DICT, what, r->where))
        return false;
    fa_value *first =
        kind->state_name(options, 0) ? fa_state_entry(entry, kind->state_name(options, 0), r->where) : NULL;
    /* SGD: None before a momentum buffer is made. */
    const bool none = entry == NULL || (!kind->counts_steps && (first == NULL || fa_kind_of(first) == FA_VALUE_NONE));
    if (none) {
        if (kind->state_name(options, 0) != NULL && r->bare++ < 8)
            fa_text_add(&r->bare_names, "%s%.100s", r->bare > 1 ? ", " : "", name_of(p));
        to->leaf = p->leaf;
        const bool fine = !kind->state_at_once || fa_optim_make_state(r->optim, &r->group[g].now, to);
        to->first = 0;
        to->leaf = NULL;
        return fine;
    }
    to->steps = 1;
    if (kind->counts_steps && !read_step(r, fa_state_entry(entry, "step", r->where), p, &to->steps))
        return false;
    for (int k = 0; k < FA_OPTIM_STATES; k++) {
        const char *name = kind->state_name(options, k);
        if (name != NULL && !read_tensor(r, fa_state_entry(entry, name, r->where), name, p, &to->state[k]))
            return false;
    }
    return true;
}

static bool read_state(reader *r)
{
    for (int64_t g = 0; g < r->optim->group_count; g++)
        for (int64_t i = 0; i < r->optim->group[g]->count; i++)
            if (!read_parameter(r, g, i))
                return false;
    if (r->mismatches > 0)
        return fa_fail(FA_SHAPE_ERROR, r->where, what,
                       "got a state that does not fit the parameters: %lld tensors of other sizes%s%s\nHint: load the "
                       "state of the same network",
                       (long long)r->mismatches, r->mismatched.data != NULL ? r->mismatched.data : "",
                       r->mismatches > 12 ? "\n  ..." : "");
    if (r->bare > 0)
        fa_report_add("no saved state for %lld parameters, which begin anew: %s%s", (long long)r->bare,
                      r->bare_names.data != NULL ? r->bare_names.data : "", r->bare > 8 ? ", ..." : "");
    if (fa_len(r->state) > r->used)
        fa_report_add("left out the state of %lld parameters that are in no group of the file",
                      (long long)(fa_len(r->state) - r->used));
    return true;
}

/* Nothing here can fail. */
static void commit(reader *r)
{
    for (int64_t g = 0; g < r->optim->group_count; g++) {
        fa_optim_group *group = r->optim->group[g];
        read_group *from = &r->group[g];
        from->now.count = group->count;
        from->now.parameter = group->parameter;
        *group = from->now;
        group->loaded = true;
        group->loaded_lr = group->now.lr;
        group->loaded_momentum = r->optim->kind->has_betas ? group->now.betas[0] : group->now.momentum;
        for (int64_t i = 0; i < group->count; i++) {
            fa_optim_parameter *p = &group->parameter[i], *read = &from->parameter[i];
            for (int k = 0; k < FA_OPTIM_STATES; k++) {
                fa_leaf *old = p->state[k];
                p->state[k] = read->state[k];
                read->state[k] = old; /* free_reader releases it */
            }
            p->steps = read->steps;
            p->first = 0;
        }
    }
}

bool fa_optim_load_state_dict_at(fa_optim *optim, const fa_load_state_dict_args *args)
{
    fa_report_clear();
    if (!fa_ok())
        return false;
    if (optim == NULL || args->state == NULL)
        return fa_fail(FA_VALUE_ERROR, args->where_, what, "got no %s (NULL), needs one. Hint: was it made?",
                       optim == NULL ? "optimizer" : "state");
    fa_begin(args->where_);
    /* Steps that are still to be run point at the counts. */
    if (!fa_flush())
        return false;
    reader r = {.optim = optim, .where = args->where_};
    const bool fine = find_parts(&r, args->state) && read_groups(&r) && read_state(&r);
    if (fine)
        commit(&r);
    else
        fa_report_clear();
    free_reader(&r);
    return fine;
}
