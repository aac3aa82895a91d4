/* A recorded run once more: recorded weights, batches, draws, loss, optimizer and rates, on a model of this library. */
#include "train/parity.h"

#include "base/memory.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static const char what[] = "fa_parity_replay";

typedef struct replay {
    const fa_recording *recording;
    fa_module *model, *criterion;
    fa_optim *optim;
    fa_where where;
} replay;

/* ---- The loss -----------------------------------------------------------------------------------------------------
 */

static fa_tensor *tensor_of(const replay *r, const fa_recorded *value)
{
    return fa_from_memory_at(value->data, value->dtype, value->shape, r->where);
}

static fa_tensor *criterion_tensor(const replay *r, const char *name)
{
    const fa_recorded *value = fa_recording_find(r->recording, "criterion/%s", name);
    return value ? tensor_of(r, value) : NULL;
}

static bool make_criterion(replay *r)
{
    const fa_recorded_criterion *given = &r->recording->criterion;
    const char *name = given->name, *word = given->reduction ? given->reduction : "mean";
    const fa_reduction reduction = strcmp(word, "sum") == 0 ? FA_REDUCE_SUM : FA_REDUCE_MEAN;
    const double smoothing = given->label_smoothing, beta = given->beta, delta = given->delta;
    const int64_t ignored = fabs(given->ignore_index) <= 0x1p53 ? (int64_t)given->ignore_index : -100;
    fa_tensor *weight = criterion_tensor(r, "weight"), *pos_weight = criterion_tensor(r, "pos_weight");
    if (strcmp(word, "sum") != 0 && strcmp(word, "mean") != 0)
        return fa_fail(FA_VALUE_ERROR, r->where, what,
                       "got a criterion with reduction \"%.40s\", needs \"mean\" or \"sum\". Hint: compare your own "
                       "program, with fa_parity_new",
                       word);
#define IS(a, b) (strcmp(name, a) == 0 || strcmp(name, b) == 0)
    if (IS("CrossEntropyLoss", "cross_entropy"))
        r->criterion = fa_nn_cross_entropy_loss(.reduction = reduction, .label_smoothing = smoothing,
                                                .ignore_index = ignored, .weight = weight);
    else if (IS("NLLLoss", "nll_loss"))
        r->criterion = fa_nn_nll_loss(.reduction = reduction, .ignore_index = ignored, .weight = weight);
    else if (IS("MSELoss", "mse_loss"))
        r->criterion = fa_nn_mse_loss(.reduction = reduction);
    else if (IS("L1Loss", "l1_loss"))
        r->criterion = fa_nn_l1_loss(.reduction = reduction);
    else if (IS("SmoothL1Loss", "smooth_l1_loss"))
        r->criterion = fa_nn_smooth_l1_loss(.reduction = reduction, .beta = beta);
    else if (IS("HuberLoss", "huber_loss"))
        r->criterion = fa_nn_huber_loss(.reduction = reduction, .delta = delta);
    else if (IS("BCEWithLogitsLoss", "binary_cross_entropy_with_logits"))
        r->criterion = fa_nn_bce_with_logits_loss(.reduction = reduction, .weight = weight, .pos_weight = pos_weight);
    else if (IS("BCELoss", "binary_cross_entropy"))
        r->criterion = fa_nn_bce_loss(.reduction = reduction, .weight = weight);
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
static int64_t group_parameters(const replay *r, const fa_recorded_group *group, fa_tensor **list, int64_t room)
{
    for (int64_t i = 0; i < group->params.count; i++) {
        if (i == room) {
            fa_fail(FA_FILE_ERROR, r->where, what, "got a list of %lld parameters for a model that has %lld",
                    (long long)group->params.count, (long long)room);
            return -1;
        }
        list[i] = fa_find_at(r->model, group->params.name[i], r->where);
        if (!list[i])
            return -1;
    }
    return group->params.count;
}

static double either(double recorded, double otherwise)
{
    return isnan(recorded) ? otherwise : recorded;
}

/* An optimizer of the recorded class over the first group; its options are set with each step. */
static fa_optim *make_first_group(const replay *r, const fa_recorded_options *options, fa_tensor_list list)
{
    const char *name = r->recording->optimizer;
    const double *v = options->value;
    const double lr = either(v[FA_RECORDED_LR], 1e-3), decay = either(v[FA_RECORDED_WEIGHT_DECAY], 0),
                 momentum = either(v[FA_RECORDED_MOMENTUM], 0), eps = either(v[FA_RECORDED_EPS], 1e-8),
                 beta1 = either(v[FA_RECORDED_BETA1], 0.9), beta2 = either(v[FA_RECORDED_BETA2], 0.999);
    const bool maximize = either(v[FA_RECORDED_MAXIMIZE], 0) != 0, amsgrad = either(v[FA_RECORDED_AMSGRAD], 0) != 0;
    if (strcmp(name, "SGD") == 0)
        return fa_sgd(list, lr, .momentum = momentum, .weight_decay = decay,
                      .dampening = either(v[FA_RECORDED_DAMPENING], 0),
                      .nesterov = either(v[FA_RECORDED_NESTEROV], 0) != 0, .maximize = maximize);
    if (strcmp(name, "Adam") == 0)
        return fa_adam(list, lr, .betas = {beta1, beta2}, .eps = eps, .weight_decay = decay, .amsgrad = amsgrad,
                       .maximize = maximize);
    if (strcmp(name, "AdamW") == 0)
        return fa_adamw(list, lr, .betas = {beta1, beta2}, .eps = eps, .weight_decay = decay, .amsgrad = amsgrad,
                        .maximize = maximize);
    if (strcmp(name, "RMSprop") == 0)
        return fa_rmsprop(list, lr, .alpha = either(v[FA_RECORDED_ALPHA], 0.99), .eps = eps, .weight_decay = decay,
                          .momentum = momentum, .centered = either(v[FA_RECORDED_CENTERED], 0) != 0,
                          .maximize = maximize);
    if (strcmp(name, "Adagrad") == 0)
        return fa_adagrad(list, lr, .lr_decay = either(v[FA_RECORDED_LR_DECAY], 0), .eps = eps, .weight_decay = decay,
                          .initial_accumulator_value = either(v[FA_RECORDED_INITIAL_ACCUMULATOR_VALUE], 0),
                          .maximize = maximize);
    fa_fail(FA_VALUE_ERROR, r->where, what,
            "got the optimizer %.60s, needs SGD, Adam, AdamW, RMSprop or Adagrad. Hint: record with one of them", name);
    return NULL;
}

static bool add_group(const replay *r, const fa_recorded_options *options, fa_tensor_list list)
{
    double v[FA_RECORDED_OPTIONS];
    for (int i = 0; i < FA_RECORDED_OPTIONS; i++)
        v[i] = either(options->value[i], i < FA_RECORDED_NESTEROV ? FA_OPTIM_DEFAULT : -1);
    return fa_add_param_group(r->optim, list, .lr = v[FA_RECORDED_LR], .momentum = v[FA_RECORDED_MOMENTUM],
                              .dampening = v[FA_RECORDED_DAMPENING], .weight_decay = v[FA_RECORDED_WEIGHT_DECAY],
                              .betas = {v[FA_RECORDED_BETA1], v[FA_RECORDED_BETA2]}, .eps = v[FA_RECORDED_EPS],
                              .alpha = v[FA_RECORDED_ALPHA], .lr_decay = v[FA_RECORDED_LR_DECAY],
                              .initial_accumulator_value = v[FA_RECORDED_INITIAL_ACCUMULATOR_VALUE],
                              .nesterov = v[FA_RECORDED_NESTEROV] > 0, .amsgrad = v[FA_RECORDED_AMSGRAD] > 0,
                              .centered = v[FA_RECORDED_CENTERED] > 0, .maximize = v[FA_RECORDED_MAXIMIZE] > 0);
}

static bool make_optimizer(replay *r)
{
    const int64_t room = fa_parameters_at(r->model, r->where).count;
    fa_tensor **list = fa_calloc((size_t)room + 1, sizeof *list);
    if (!list)
        return fa_fail_memory(r->where, (size_t)room * sizeof *list);
    bool ok = true;
    for (int64_t g = 0; g < r->recording->group_count && ok; g++) {
        const fa_recorded_group *group = &r->recording->group[g];
        const int64_t count = group_parameters(r, group, list, room);
        const fa_tensor_list tensors = {.tensor = list, .count = count};
        if (count < 0)
            ok = false;
        else if (g == 0)
            ok = (r->optim = make_first_group(r, &group->options, tensors)) != NULL;
        else
            ok = add_group(r, &group->options, tensors);
    }
    fa_mfree(list);
    return ok;
}

/* The options of step k, as the schedule left them. */
static bool set_options(const replay *r, int64_t k)
{
    for (int64_t g = 0; g < fa_group_count(r->optim); g++) {
        const fa_recorded_options theirs = fa_parity_recorded_options(r->recording, g, k);
        const double *v = theirs.value;
        fa_optim_options *now = &r->optim->group[g]->now, options = *now;
        options.lr = either(v[FA_RECORDED_LR], now->lr);
        options.momentum = either(v[FA_RECORDED_MOMENTUM], now->momentum);
        options.weight_decay = either(v[FA_RECORDED_WEIGHT_DECAY], now->weight_decay);
        options.betas[0] = either(v[FA_RECORDED_BETA1], now->betas[0]);
        options.betas[1] = either(v[FA_RECORDED_BETA2], now->betas[1]);
        if (!r->optim->kind->check(&options, what, r->where))
            return false;
        *now = options;
    }
    return true;
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

/* The printed form does not tell which tensors are shared. */
static bool check_shared(const replay *r)
{
    return r->recording->shared.count == 0 ||
           fa_fail(FA_VALUE_ERROR, r->where, what,
                   "got a model whose %.200s is its %.200s (a layer used twice, or tied weights), needs one in which "
                   "nothing is shared. Hint: compare your own program, with fa_parity_new",
                   r->recording->shared.name[0], r->recording->first.name[0]);
}

/* Layers in evaluation in a model that trains, as frozen batch norm. */
static bool evaluate(const replay *r)
{
    const fa_recorded_names *names = &r->recording->evaluating;
    for (int64_t i = 0; i < names->count; i++) {
        fa_module *module = fa_submodule_at(r->model, names->name[i], r->where);
        if (!module)
            return false;
        fa_eval(module);
    }
    return true;
}

static void scale_gradients(const replay *r, double scale)
{
    const fa_tensor_list params = fa_parameters_at(r->model, r->where);
    fa_no_grad {
        for (int64_t i = 0; i < params.count && scale != 1; i++) {
            fa_tensor *grad = fa_grad_at(params.tensor[i], r->where);
            if (grad)
                fa_mul_(grad, scale);
        }
    }
}

static bool freeze(const replay *r)
{
    const fa_recorded_names *frozen = &r->recording->frozen;
    for (int64_t i = 0; i < frozen->count; i++) {
        fa_tensor *tensor = fa_find_at(r->model, frozen->name[i], r->where);
        if (!tensor || !fa_set_requires_grad_at(tensor, false, r->where))
            return false;
    }
    return true;
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
    if (!set_options(r, k))
        return false;
    fa_scope {
        fa_tensor *given = tensor_of(r, labels);
        fa_tensor *output = fa_forward_at(r->model, tensor_of(r, images), r->where);
        fa_tensor *loss = fa_criterion_at(r->criterion, output, given, r->where);
        fa_module_zero_grad_at(r->model, r->where);
        fa_backward_at(&(fa_backward_args){.where_ = r->where, .tensor = loss});
        scale_gradients(r, r->recording->step[k - 1].gradient_scale);
        fa_optim_step_at(r->optim, r->where);
        fa_parity_step_at(parity, loss, given, r->where);
    }
    return fa_ok();
}

static bool write_report(const replay *r, const fa_parity *parity, bool seeded, FILE *file)
{
    char prefix[512];
    const char *error = fa_error();
    const int length = snprintf(prefix, sizeof prefix, "%s:%d: ", r->where.file, r->where.line);
    fa_parity_report(parity, file);
    if (!fa_ok() && parity->found.step) /* without the place in this program's source, which says nothing here */
        fprintf(file, "The run ended there: %s\n",
                error + (length > 0 && strncmp(error, prefix, (size_t)length) == 0 ? length : 0));
    fprintf(file,
            seeded
                ? "Seed %llu gives the recorded initial weights.\n"
                : "Seed %llu does not give the recorded initial weights: the script drew something before its model, "
                  "or sets weights itself.\n",
            (unsigned long long)r->recording->seed);
    return fflush(file) == 0 && !ferror(file);
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
    bool ok = load_start(r) && freeze(r) && make_criterion(r) && make_optimizer(r) && set_options(r, 1);
    fa_train(r->model);
    ok = ok && evaluate(r);
    if (ok)
        parity = fa_parity_new_at(&(fa_parity_args){
            .where_ = r->where, .path = r->recording->path, .model = r->model, .optim = r->optim, .tolerance = 1e-4});
    for (int64_t k = 1; parity && k <= r->recording->step_count && fa_ok(); k++)
        do_step(r, parity, k);
    if (parity) {
        const bool written = !file || write_report(r, parity, seeded, file);
        /* An error after a difference is its consequence: a layer that refuses what the one before gave. */
        if (parity->found.step)
            fa_clear_error();
        if (!written)
            fa_fail(FA_FILE_ERROR, r->where, what, "could not write the report: %s", strerror(errno));
        *agrees = fa_parity_agrees(parity) && fa_ok();
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
    bool ok = check_shared(&r) && do_steps(&r, file, agrees);
    ok = fa_generator_set_state(NULL, before) && ok;
    fa_optim_free(r.optim);
    fa_module_free(r.criterion);
    fa_recording_close(recording);
    return ok;
}

int64_t fa_parity_model_text(const char *path, char *text, size_t size, uint64_t *seed, fa_where where)
{
    fa_begin(where);
    fa_recording *recording = fa_recording_open(path, where);
    if (!recording)
        return -1;
    if (size > 0)
        snprintf(text, size, "%s", recording->model);
    const int64_t length = (int64_t)strlen(recording->model);
    if (seed)
        *seed = recording->seed;
    fa_recording_close(recording);
    return length;
}
