/* A recorded run once more: recorded weights, batches, draws, loss, optimizer and rates, on a model of this library. */
#include "train/parity.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

static const char what[] = "fa_parity_replay";

typedef struct replay {
    const fa_recording *recording;
    fa_module *model, *criterion;
    fa_optim *optim;
    fa_where where;
} replay;

static const fa_json *run_of(const replay *r)
{
    return &r->recording->run;
}

static double number(const replay *r, const fa_json_value *object, const char *key, double otherwise)
{
    return fa_json_number(run_of(r), object, key, otherwise);
}

/* ---- The loss -----------------------------------------------------------------------------------------------------
 */

static bool make_criterion(replay *r)
{
    const fa_json_value *given = fa_json_get(run_of(r), &run_of(r)->value[0], "criterion");
    const char *name = fa_json_text(run_of(r), given, "name", "NoneType");
    const char *word = fa_json_text(run_of(r), given, "reduction", "mean");
    const fa_reduction reduction = strcmp(word, "sum") == 0 ? FA_REDUCE_SUM : FA_REDUCE_MEAN;
    const double smoothing = number(r, given, "label_smoothing", 0), beta = number(r, given, "beta", 1),
                 delta = number(r, given, "delta", 1);
    const int64_t ignored = (int64_t)number(r, given, "ignore_index", -100);
#define IS(a, b) (strcmp(name, a) == 0 || strcmp(name, b) == 0)
    if (IS("CrossEntropyLoss", "cross_entropy"))
        r->criterion =
            fa_nn_cross_entropy_loss(.reduction = reduction, .label_smoothing = smoothing, .ignore_index = ignored);
    else if (IS("NLLLoss", "nll_loss"))
        r->criterion = fa_nn_nll_loss(.reduction = reduction, .ignore_index = ignored);
    else if (IS("MSELoss", "mse_loss"))
        r->criterion = fa_nn_mse_loss(.reduction = reduction);
    else if (IS("L1Loss", "l1_loss"))
        r->criterion = fa_nn_l1_loss(.reduction = reduction);
    else if (IS("SmoothL1Loss", "smooth_l1_loss"))
        r->criterion = fa_nn_smooth_l1_loss(.reduction = reduction, .beta = beta);
    else if (IS("HuberLoss", "huber_loss"))
        r->criterion = fa_nn_huber_loss(.reduction = reduction, .delta = delta);
    else if (IS("BCEWithLogitsLoss", "binary_cross_entropy_with_logits"))
        r->criterion = fa_nn_bce_with_logits_loss(.reduction = reduction);
    else if (IS("BCELoss", "binary_cross_entropy"))
        r->criterion = fa_nn_bce_loss(.reduction = reduction);
    else
        return fa_fail(FA_VALUE_ERROR, r->where, what,
                       "got the criterion \"%.60s\", needs one of torch.nn's losses. Hint: give it to the recorder "
                       "(Recorder(..., criterion=criterion)), or compare your own program with fa_parity_new",
                       name);
#undef IS
    return r->criterion != NULL;
}

/* ---- The optimizer ------------------------------------------------------------------------------------------------
 */

/* The parameters of a recorded group, in its order, into `list` [room]; how many, -1 after an error. */
static int64_t group_parameters(const replay *r, const fa_json_value *group, fa_tensor **list, int64_t room)
{
    const fa_json_value *names = fa_json_get(run_of(r), group, "params");
    int64_t count = 0;
    for (const fa_json_value *v = fa_json_first(run_of(r), names); v; v = fa_json_next(run_of(r), v)) {
        fa_tensor *tensor = v->kind == FA_JSON_TEXT && count < room ? fa_find_at(r->model, v->text, r->where) : NULL;
        if (!tensor) {
            fa_fail(FA_FILE_ERROR, r->where, what, "got a list of parameters that does not fit the model");
            return -1;
        }
        list[count++] = tensor;
    }
    return count;
}

static double first_of(const replay *r, const fa_json_value *group, const char *key, int k, double otherwise)
{
    const fa_json_value *v = fa_json_first(run_of(r), fa_json_get(run_of(r), group, key));
    for (; v && k > 0; k--)
        v = fa_json_next(run_of(r), v);
    return v && v->kind == FA_JSON_NUMBER ? v->number : otherwise;
}

/* An optimizer of the recorded class over the first group. */
static fa_optim *make_first_group(const replay *r, const char *name, const fa_json_value *g, fa_tensor_list list)
{
    const double lr = number(r, g, "lr", 1e-3), decay = number(r, g, "weight_decay", 0),
                 momentum = number(r, g, "momentum", 0), eps = number(r, g, "eps", 1e-8);
    const bool maximize = number(r, g, "maximize", 0) != 0;
    if (strcmp(name, "SGD") == 0)
        return fa_sgd(list, lr, .momentum = momentum, .weight_decay = decay, .dampening = number(r, g, "dampening", 0),
                      .nesterov = number(r, g, "nesterov", 0) != 0, .maximize = maximize);
    const double beta1 = first_of(r, g, "betas", 0, 0.9), beta2 = first_of(r, g, "betas", 1, 0.999);
    const bool amsgrad = number(r, g, "amsgrad", 0) != 0;
    if (strcmp(name, "Adam") == 0)
        return fa_adam(list, lr, .betas = {beta1, beta2}, .eps = eps, .weight_decay = decay, .amsgrad = amsgrad,
                       .maximize = maximize);
    if (strcmp(name, "AdamW") == 0)
        return fa_adamw(list, lr, .betas = {beta1, beta2}, .eps = eps, .weight_decay = decay, .amsgrad = amsgrad,
                        .maximize = maximize);
    if (strcmp(name, "RMSprop") == 0)
        return fa_rmsprop(list, lr, .alpha = number(r, g, "alpha", 0.99), .eps = eps, .weight_decay = decay,
                          .momentum = momentum, .centered = number(r, g, "centered", 0) != 0, .maximize = maximize);
    if (strcmp(name, "Adagrad") == 0)
        return fa_adagrad(list, lr, .lr_decay = number(r, g, "lr_decay", 0), .eps = eps, .weight_decay = decay,
                          .initial_accumulator_value = number(r, g, "initial_accumulator_value", 0),
                          .maximize = maximize);
    fa_fail(FA_VALUE_ERROR, r->where, what,
            "got the optimizer %.60s, needs SGD, Adam, AdamW, RMSprop or Adagrad. Hint: record with one of them", name);
    return NULL;
}

static bool add_group(const replay *r, const fa_json_value *g, fa_tensor_list list)
{
    const double d = FA_OPTIM_DEFAULT;
    return fa_add_param_group(
        r->optim, list, .lr = number(r, g, "lr", d), .momentum = number(r, g, "momentum", d),
        .dampening = number(r, g, "dampening", d), .weight_decay = number(r, g, "weight_decay", d),
        .betas = {first_of(r, g, "betas", 0, d), first_of(r, g, "betas", 1, d)}, .eps = number(r, g, "eps", d),
        .alpha = number(r, g, "alpha", d), .lr_decay = number(r, g, "lr_decay", d),
        .initial_accumulator_value = number(r, g, "initial_accumulator_value", d),
        .nesterov = (int)number(r, g, "nesterov", -1), .amsgrad = (int)number(r, g, "amsgrad", -1),
        .centered = (int)number(r, g, "centered", -1), .maximize = (int)number(r, g, "maximize", -1));
}

static bool make_optimizer(replay *r)
{
    const fa_json_value *given = fa_json_get(run_of(r), &run_of(r)->value[0], "optimizer");
    const char *name = fa_json_text(run_of(r), given, "name", "");
    const fa_json_value *groups = fa_json_get(run_of(r), given, "groups");
    const int64_t room = fa_parameters_at(r->model, r->where).count;
    fa_tensor **list = fa_calloc((size_t)room + 1, sizeof *list);
    if (!list)
        return fa_fail_memory(r->where, (size_t)room * sizeof *list);
    bool ok = true;
    for (const fa_json_value *g = fa_json_first(run_of(r), groups); g && ok; g = fa_json_next(run_of(r), g)) {
        const int64_t count = group_parameters(r, g, list, room);
        const fa_tensor_list tensors = {.tensor = list, .count = count};
        ok = count >= 0;
        if (ok && !r->optim)
            ok = (r->optim = make_first_group(r, name, g, tensors)) != NULL;
        else if (ok)
            ok = add_group(r, g, tensors);
    }
    fa_mfree(list);
    return ok && (r->optim || fa_fail(FA_FILE_ERROR, r->where, what, "got a recording without an optimizer"));
}

/* ---- The steps ----------------------------------------------------------------------------------------------------
 */

/* The recorded initial weights into the model; the comparison that sees them differ was made before. A run in float64
 * (model.double()) is run in float64. */
static bool load_start(const replay *r)
{
    for (int64_t i = 0; i < r->recording->value_count; i++)
        if (strncmp(r->recording->values[i].name, "start/", 6) == 0 && r->recording->values[i].dtype == FA_FLOAT64) {
            if (!fa_module_to_dtype_at(r->model, FA_FLOAT64, r->where))
                return false;
            break;
        }
    const fa_tensor_list state = fa_state_list_at(r->model, r->where);
    for (int64_t i = 0; i < state.count; i++) {
        const fa_recorded *value = fa_recording_find(r->recording, "start/%s", state.name[i]);
        const fa_shape shape = fa_shape_of(state.tensor[i]);
        if (!value || value->dtype != fa_dtype_of(state.tensor[i]) || value->shape.ndim != shape.ndim ||
            memcmp(value->shape.size, shape.size, (size_t)shape.ndim * sizeof *shape.size) != 0)
            return fa_fail(
                FA_FILE_ERROR, r->where, what,
                "got a recording whose %.200s does not fit the model's. Hint: the model must be built as the "
                "recorded one prints",
                state.name[i]);
        if (!fa_copy_from_at(state.tensor[i], value->data, r->where))
            return false;
    }
    return true;
}

static fa_tensor *tensor_of(const replay *r, const fa_recorded *value)
{
    return fa_from_memory_at(value->data, value->dtype, value->shape, r->where);
}

static bool do_step(const replay *r, fa_parity *parity, int64_t k)
{
    const fa_recorded *images = fa_recording_find(r->recording, "%d/images", (int)k);
    const fa_recorded *labels = fa_recording_find(r->recording, "%d/labels", (int)k);
    const fa_recorded *state = fa_recording_find(r->recording, "%d/generator", (int)k);
    if (!images || !labels)
        return fa_fail(FA_FILE_ERROR, r->where, what, "got a recording without the batch of step %lld", (long long)k);
    if (state && state->dtype == FA_UINT8 && state->numel == FA_GENERATOR_STATE_SIZE &&
        !fa_generator_set_state(NULL, state->data))
        return false;
    int64_t g = 0;
    const fa_json_value *rates = fa_json_get(run_of(r), r->recording->step[k - 1], "lr");
    for (const fa_json_value *v = fa_json_first(run_of(r), rates); v && g < fa_group_count(r->optim);
         v = fa_json_next(run_of(r), v))
        if (!fa_set_group_lr_at(r->optim, g++, v->number, r->where))
            return false;
    fa_scope {
        fa_tensor *given = tensor_of(r, labels);
        fa_tensor *output = fa_forward_at(r->model, tensor_of(r, images), r->where);
        fa_tensor *loss = fa_criterion_at(r->criterion, output, given, r->where);
        fa_optim_zero_grad_at(r->optim, r->where);
        fa_backward_at(&(fa_backward_args){.where_ = r->where, .tensor = loss});
        fa_optim_step_at(r->optim, r->where);
        fa_parity_step_at(parity, loss, given, r->where);
    }
    return fa_ok();
}

static bool do_steps(replay *r, FILE *file, bool *agrees)
{
    bool seeded = false;
    fa_parity *parity = fa_parity_new_at(
        &(fa_parity_args){.where_ = r->where, .path = r->recording->path, .model = r->model, .tolerance = 1e-4});
    if (!parity)
        return false;
    /* Whether the seed gave the recorded weights is said; the steps are compared from the recorded ones in any case. */
    seeded = parity->found.step == 0;
    fa_parity_free(parity);
    parity = NULL;
    bool ok = load_start(r) && make_criterion(r) && make_optimizer(r);
    fa_train(r->model);
    if (ok)
        parity = fa_parity_new_at(&(fa_parity_args){
            .where_ = r->where, .path = r->recording->path, .model = r->model, .optim = r->optim, .tolerance = 1e-4});
    for (int64_t k = 1; parity && k <= r->recording->step_count && fa_ok(); k++)
        do_step(r, parity, k);
    if (parity) {
        *agrees = fa_parity_agrees(parity);
        if (file) {
            const int64_t seed = (int64_t)number(r, &run_of(r)->value[0], "seed", -1);
            fa_parity_report(parity, file);
            fprintf(file,
                    seeded ? "Seed %lld gives the recorded initial weights.\n"
                           : "Seed %lld does not give the recorded initial weights: the script drew something "
                             "before its model, or sets weights itself.\n",
                    (long long)seed);
        }
    }
    fa_parity_free(parity);
    return fa_ok();
}

bool fa_parity_replay_at(const char *path, fa_module *model, FILE *file, bool *agrees, fa_where where)
{
    *agrees = false;
    fa_begin(where);
    if (!fa_module_check(model, what, where))
        return false;
    fa_recording *recording = fa_recording_open(path, where);
    if (!recording)
        return false;
    replay r = {.recording = recording, .model = model, .where = where};
    uint8_t before[FA_GENERATOR_STATE_SIZE];
    fa_generator_get_state(NULL, before);
    bool ok = do_steps(&r, file, agrees);
    ok = fa_generator_set_state(NULL, before) && ok;
    fa_optim_free(r.optim);
    fa_module_free(r.criterion);
    fa_recording_close(recording);
    return ok;
}

int64_t fa_parity_model_text(const char *path, char *text, size_t size, int64_t *seed, fa_where where)
{
    fa_begin(where);
    fa_recording *recording = fa_recording_open(path, where);
    if (!recording)
        return -1;
    const fa_json_value *all = &recording->run.value[0];
    const char *model = fa_json_text(&recording->run, all, "model", "");
    if (size > 0)
        snprintf(text, size, "%s", model);
    const int64_t length = (int64_t)strlen(model);
    if (seed)
        *seed = (int64_t)fa_json_number(&recording->run, all, "seed", -1);
    fa_recording_close(recording);
    return length;
}
