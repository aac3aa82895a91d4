/* The comparison of a running program with a recorded PyTorch run. */
#include "train/parity.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char what[] = "fa_parity";
static const double EXACT = 1e-6, FLOAT_STEP = 2.4e-7, NOISE = 1e-5, NORM_NOISE = 1e-3, LEAST_SHARE = 0.1, SCALED = 10,
                    LOOSE = 100, NORM = 10;
enum { EARLY_STEPS = 10 };

/* One comparison a thread: passes are seen by one observer. */
static _Thread_local fa_parity *running;

/* ---- Measuring ----------------------------------------------------------------------------------------------------
 */

double fa_parity_largest(const fa_recorded *tensor, const fa_recorded *other)
{
    double most = 0;
    for (int64_t i = 0; i < tensor->numel; i++) {
        double v = fa_recorded_element(tensor->dtype, tensor->data, i);
        v = fabs(other ? v - fa_recorded_element(other->dtype, other->data, i) : v);
        most = isfinite(v) && v > most ? v : most;
    }
    return most;
}

/* Once Adam has moved weights by rounding, or a step has gone through batch norm, which magnifies it, what follows is
 * another run in the small. */
static bool is_loose(const fa_parity *p)
{
    return p->noisy || (p->has_norm && p->step > 0);
}

/* PyTorch's loss of the step under way, or of one before, is infinite or NaN: which numbers overflow, and where the
 * first NaN stands, follows from the order of sums. */
static bool is_lost(const fa_parity *p)
{
    return p->recording->lost_step && p->step + 1 >= p->recording->lost_step;
}

static double tolerance_now(const fa_parity *p)
{
    return p->tolerance * (is_loose(p) ? LOOSE : 1);
}

/* The same for what rounding reaches through batch norm: its gradients are differences of large sums. PyTorch's own are
 * off by up to 3e-4 of the largest in a first layer before batch norm (against float64, one thread). */
static double tolerance_after_norm(const fa_parity *p)
{
    return tolerance_now(p) * (p->has_norm ? NORM : 1);
}

static bool same_shape(const fa_shape *a, const fa_shape *b)
{
    bool same = a->ndim == b->ndim;
    for (int d = 0; same && d < a->ndim; d++)
        same = a->size[d] == b->size[d];
    return same;
}

bool fa_parity_measure_tensor(fa_parity_measure *m, const fa_recorded *want, fa_dtype dtype, const void *got,
                              fa_shape shape, double allowed, const uint8_t *leave_out)
{
    *m = (fa_parity_measure){.want_shape = want->shape, .got_shape = shape, .numel = want->numel, .allowed = allowed};
    m->shapes_differ = !same_shape(&want->shape, &shape);
    if (m->shapes_differ)
        return false;
    m->scale = fa_parity_largest(want, NULL);
    for (int64_t i = 0; i < want->numel; i++) {
        if (leave_out && leave_out[i])
            continue;
        double w = fa_recorded_element(want->dtype, want->data, i), g = fa_recorded_element(dtype, got, i);
        double off = w == g || (isnan(w) && isnan(g)) ? 0 : fabs(w - g);
        off = isnan(off) ? INFINITY : off;
        m->beyond += off > allowed;
        if (off > m->largest || i == 0) {
            m->at = i;
            m->want = w;
            m->got = g;
            m->largest = off;
        }
    }
    return m->beyond == 0;
}

/* Notes a finding of the step that is under way if it stands before what was found so far. False if it does not. */
static bool note(fa_parity *p, fa_parity_kind kind, const char *name, const fa_parity_measure *m)
{
    const int64_t step = p->step + 1;
    if (p->found.step && (step > p->found.step || (step == p->found.step && kind >= p->found.kind)))
        return false;
    fa_text_free(&p->found.cause);
    p->found = (fa_parity_finding){.step = step, .kind = kind, .measure = *m};
    snprintf(p->found.name, sizeof p->found.name, "%s", name);
    return true;
}

/* Whether something at or before this place in the step was found already. */
static bool found_before(const fa_parity *p, fa_parity_kind kind)
{
    return p->found.step && (p->found.step <= p->step || p->found.kind <= kind);
}

/* ---- Initial weights ----------------------------------------------------------------------------------------------
 */

static fa_tensor *state_tensor(const fa_parity *p, const char *name, fa_where where)
{
    fa_tensor_list state = fa_state_list_at(p->model, where);
    for (int64_t i = 0; i < state.count; i++)
        if (strcmp(state.name[i], name) == 0)
            return state.tensor[i];
    return NULL;
}

static void compare_start(fa_parity *p, fa_where where)
{
    int64_t equal = 0, different = 0;
    bool first_differs = false;
    for (int64_t i = 0; i < p->recording->state.count; i++) {
        const char *name = p->recording->state.name[i];
        const fa_recorded *want = fa_recording_find(p->recording, "start/%s", name);
        if (!want)
            continue;
        fa_tensor *tensor = state_tensor(p, name, where);
        const void *got = tensor ? fa_data_at(tensor, where) : NULL;
        if (!fa_ok())
            return;
        fa_parity_measure m = {.missing = true, .want_shape = want->shape};
        double allowed = EXACT * fa_parity_largest(want, NULL);
        bool same =
            got && fa_parity_measure_tensor(&m, want, fa_dtype_of(tensor), got, fa_shape_of(tensor), allowed, NULL);
        first_differs |= !same && equal + different == 0;
        *(same ? &equal : &different) += 1;
        if (!same)
            note(p, FA_PARITY_START, name, &m);
    }
    if (different)
        fa_parity_cause_start(p, equal, different, first_differs);
    fa_tensor_list ours = fa_state_list_at(p->model, where);
    for (int64_t i = 0; i < ours.count; i++)
        if (!fa_recording_find(p->recording, "start/%s", ours.name[i]))
            fa_text_add(&p->notes, "note: the recording has no %s\n", ours.name[i]);
}

/* ---- The pass: what the observer sees -----------------------------------------------------------------------------
 */

/* Modules that are in evaluation on one side alone; when the first pass begins. */
static void note_evaluating(fa_parity *p)
{
    const fa_module_list modules = fa_named_modules_at(p->model, fa_current_where());
    for (int64_t i = 0; i < modules.count; i++) {
        const bool evaluating = fa_recorded_has(&p->recording->evaluating, modules.name[i]);
        if (evaluating == fa_is_training(modules.module[i]))
            fa_text_add(&p->notes, "note: %s is in %s in PyTorch, not here\n", modules.name[i],
                        evaluating ? "evaluation (eval())" : "training (train())");
    }
}

/* Options are those of the step when its pass begins: a schedule may step before the comparison is called. The first
 * difference is said in any case, whatever parts. */
static void note_options(fa_parity *p)
{
    fa_text_free(&p->options);
    if (!p->optim)
        return;
    fa_parity_options(p, &p->options);
    if (!p->options.length || p->options_step)
        return;
    p->options_step = p->step + 1;
    fa_text_add(&p->notes, "note: the optimizer's options differ in step %lld: %s\n", (long long)p->options_step,
                p->options.data);
}

static void begin_pass(fa_parity *p, fa_tensor *images)
{
    static const uint8_t none;
    const int k = (int)p->step + 1;
    if (p->step == 0 && !p->in_pass)
        note_evaluating(p);
    p->in_pass = true;
    memset(p->calls, 0, (size_t)p->modules * sizeof *p->calls);
    note_options(p);
    const fa_recorded *state = fa_recording_find(p->recording, "%d/generator", k);
    uint8_t ours[FA_GENERATOR_STATE_SIZE];
    fa_generator_get_state(NULL, ours);
    p->generator_differs = state && state->dtype == FA_UINT8 && state->numel == FA_GENERATOR_STATE_SIZE &&
                           memcmp(state->data, ours, sizeof ours) != 0;
    const fa_recorded *want = fa_recording_find(p->recording, "%d/images", k);
    if (!want || found_before(p, FA_PARITY_IMAGES))
        return;
    fa_parity_measure m = {0};
    const void *got = &none;
    fa_shape shape = fa_shape_of(images);
    /* What has another shape need not be computed. */
    if (same_shape(&shape, &want->shape) && !(got = fa_data_at(images, fa_forward_where())))
        return;
    if (!fa_parity_measure_tensor(&m, want, fa_dtype_of(images), got, shape, EXACT * fa_parity_largest(want, NULL),
                                  NULL) &&
        note(p, FA_PARITY_IMAGES, "the images", &m))
        fa_parity_cause_images(p, want, fa_dtype_of(images), got, shape);
}

static int64_t module_number(const fa_parity *p, const fa_module_impl *module)
{
    fa_module_list list = fa_named_modules_at(p->model, fa_forward_where());
    for (int64_t i = 0; i < list.count && i < p->modules; i++)
        if (list.module[i]->impl_ == module)
            return i;
    return -1;
}

/* A layer one of whose own parameters Adam has moved by rounding: what it gives may differ without a mistake. */
static bool is_noisy(const fa_parity *p, const char *module)
{
    const size_t length = strlen(module);
    for (int64_t i = 0; i < p->recording->state.count; i++) {
        const char *name = p->recording->state.name[i];
        if (p->noise[i] && strncmp(name, module, length) == 0 && (length == 0 || name[length] == '.') &&
            !strchr(name + length + (length > 0), '.'))
            return true;
    }
    return false;
}

static void compare_output(fa_parity *p, fa_module_impl *module, fa_tensor *output)
{
    const int64_t number = module_number(p, module);
    if (number < 0)
        return;
    const char *name = fa_named_modules_at(p->model, fa_forward_where()).name[number];
    const int call = ++p->calls[number], k = (int)p->step + 1;
    if (found_before(p, FA_PARITY_OUTPUT) || is_noisy(p, name) || is_lost(p))
        return;
    const fa_recorded *want = call == 1 ? fa_recording_find(p->recording, "%d/output/%s", k, name)
                                        : fa_recording_find(p->recording, "%d/output/%s#%d", k, name, call);
    if (!want)
        return;
    fa_parity_measure m = {0};
    fa_shape shape = fa_shape_of(output);
    const void *got = NULL;
    if (same_shape(&shape, &want->shape) && !(got = fa_data_at(output, fa_forward_where())))
        return;
    const double allowed = tolerance_now(p) * fa_parity_largest(want, NULL);
    if (!fa_parity_measure_tensor(&m, want, fa_dtype_of(output), got, shape, allowed, NULL) &&
        note(p, FA_PARITY_OUTPUT, name, &m))
        fa_parity_cause_output(p, number, want, fa_dtype_of(output), got);
}

static bool is_watched(const fa_parity *p)
{
    return p->step < p->recording->step_count && fa_grad_enabled() && fa_is_training(p->model) && fa_ok();
}

static void on_enter(void *context, fa_module_impl *module, fa_tensor *input)
{
    fa_parity *p = context;
    if (module == p->model->impl_ && is_watched(p))
        begin_pass(p, input);
    if (p->previous)
        p->previous->enter(p->previous->context, module, input);
}

static void on_leave(void *context, fa_module_impl *module, fa_tensor *output)
{
    fa_parity *p = context;
    if (p->in_pass && is_watched(p))
        compare_output(p, module, output);
    if (p->previous)
        p->previous->leave(p->previous->context, module, output);
}

/* ---- After the step -----------------------------------------------------------------------------------------------
 */

static void compare_labels(fa_parity *p, fa_tensor *labels, fa_where where)
{
    const fa_recorded *want = fa_recording_find(p->recording, "%d/labels", (int)p->step + 1);
    const bool images_differ = p->found.step == p->step + 1 && p->found.kind == FA_PARITY_IMAGES;
    if (!want || !labels || (found_before(p, FA_PARITY_LABELS) && !images_differ))
        return;
    fa_parity_measure m = {0};
    const void *got = fa_data_at(labels, where);
    if (!got)
        return;
    const bool same = fa_parity_measure_tensor(&m, want, fa_dtype_of(labels), got, fa_shape_of(labels),
                                               EXACT * fa_parity_largest(want, NULL), NULL);
    if (images_differ)
        fa_parity_cause_images_labels(p, same);
    else if (!same && note(p, FA_PARITY_LABELS, "the labels", &m))
        fa_text_add(&p->found.cause, "The images are the same, so the labels were read or numbered differently: the "
                                     "order of class names, labels that start from 1, one-hot labels.");
}

static void compare_loss(fa_parity *p, double loss)
{
    const int64_t k = p->step + 1;
    const double want = p->recording->step[k - 1].loss;
    p->loss[k - 1] = loss;
    const double share = k > EARLY_STEPS ? LOOSE * p->tolerance : tolerance_now(p);
    const double allowed = share * fmax(1, fabs(want)), off = fabs(loss - want);
    const bool same = is_lost(p) ? k > p->recording->lost_step || !isfinite(loss) : off <= allowed;
    if (same || found_before(p, FA_PARITY_LOSS))
        return;
    fa_parity_measure m = {
        .numel = 1, .beyond = 1, .want = want, .got = loss, .largest = off, .allowed = allowed, .scale = fabs(want)};
    const fa_recorded *labels = fa_recording_find(p->recording, "%d/labels", (int)k);
    if (note(p, FA_PARITY_LOSS, "the loss", &m) && !is_lost(p))
        fa_parity_cause_loss(p, fa_recording_details(p->recording, k),
                             labels && labels->shape.ndim ? labels->shape.size[0] : 0);
}

/* The largest element of all gradients of a step. */
static double largest_gradient(const fa_parity *p)
{
    double most = 0;
    for (int64_t i = 0; i < p->recording->state.count; i++) {
        const fa_recorded *g =
            fa_recording_find(p->recording, "%d/grad/%s", (int)p->step + 1, p->recording->state.name[i]);
        most = g ? fmax(most, fa_parity_largest(g, NULL)) : most;
    }
    return most;
}

/* The other kinds divide each gradient by its own size, and so does its error. */
static bool is_sgd(const fa_parity *p)
{
    return strcmp(p->recording->optimizer, "SGD") == 0;
}

/* Marks elements whose gradient is rounding alone. False without memory. */
static bool mark_noise(fa_parity *p, int64_t i, const fa_recorded *want, fa_dtype dtype, const void *got, double most)
{
    const double noise = (p->has_norm ? NORM_NOISE : NOISE) * most;
    for (int64_t e = 0; e < want->numel; e++) {
        const double w = fa_recorded_element(want->dtype, want->data, e), g = fa_recorded_element(dtype, got, e);
        if (w == g || !(fabs(w) <= noise) || !(fabs(g) <= noise))
            continue;
        if (!p->noise[i] && !(p->noise[i] = fa_calloc((size_t)want->numel, 1)))
            return fa_fail_memory(fa_current_where(), (size_t)want->numel);
        p->noise[i][e] = 1;
    }
    return true;
}

/* Gradients, the last layer's first, as backward makes them. */
static bool compare_gradients(fa_parity *p, fa_where where)
{
    const double most = largest_gradient(p);
    fa_parity_measure last = {0}, m;
    const fa_recorded *last_want = NULL;
    const void *last_got = NULL;
    fa_dtype last_dtype = FA_FLOAT32;
    const char *last_name = NULL;
    for (int64_t i = 0; i < p->recording->state.count; i++) {
        const char *name = p->recording->state.name[i];
        const fa_recorded *want = fa_recording_find(p->recording, "%d/grad/%s", (int)p->step + 1, name);
        fa_tensor *tensor = want ? state_tensor(p, name, where) : NULL;
        if (!tensor)
            continue;
        fa_tensor *grad = fa_grad_at(tensor, where);
        const void *got = grad ? fa_data_at(grad, where) : NULL;
        if (!fa_ok())
            return false;
        m = (fa_parity_measure){.missing = true, .want_shape = want->shape};
        const double scale = fmax(fa_parity_largest(want, NULL), LEAST_SHARE * most);
        bool same = got && fa_parity_measure_tensor(&m, want, fa_dtype_of(grad), got, fa_shape_of(grad),
                                                    tolerance_after_norm(p) * scale, NULL);
        if (!same) {
            last = m;
            last_want = want;
            last_got = got;
            last_name = name;
            last_dtype = grad ? fa_dtype_of(grad) : FA_FLOAT32;
        } else if (!is_sgd(p) && !mark_noise(p, i, want, fa_dtype_of(grad), got, most)) {
            return false;
        }
    }
    if (last_name && note(p, FA_PARITY_GRADIENT, last_name, &last))
        fa_parity_cause_gradient(p, last_want, last_dtype, last_got);
    return true;
}

/* The recorded value of a tensor before step k; NULL: none. */
static const fa_recorded *before_step(const fa_parity *p, int k, const char *name)
{
    return k == 1 ? fa_recording_find(p->recording, "start/%s", name)
                  : fa_recording_find(p->recording, "%d/after/%s", k - 1, name);
}

/* The largest change that a recorded step makes in any parameter. */
static double largest_update(const fa_parity *p, int k)
{
    double most = 0;
    for (int64_t i = 0; i < p->recording->state.count; i++) {
        const char *name = p->recording->state.name[i];
        const fa_recorded *want = fa_recording_find(p->recording, "%d/after/%s", k, name);
        const fa_recorded *before = before_step(p, k, name);
        if (want && before && want->numel == before->numel && fa_recording_find(p->recording, "%d/grad/%s", k, name))
            most = fmax(most, fa_parity_largest(want, before));
    }
    return most;
}

static bool compare_weights(fa_parity *p, bool noisy_before, fa_where where)
{
    const int k = (int)p->step + 1;
    const double most = largest_update(p, k);
    for (int64_t i = 0; i < p->recording->state.count; i++) {
        const char *name = p->recording->state.name[i];
        const fa_recorded *want = fa_recording_find(p->recording, "%d/after/%s", k, name);
        const fa_recorded *before = before_step(p, k, name);
        fa_tensor *tensor = want && before && want->numel == before->numel ? state_tensor(p, name, where) : NULL;
        const bool buffer = !fa_recording_find(p->recording, "%d/grad/%s", k, name);
        if (!tensor || (noisy_before && buffer && !fa_recorded_has(&p->recording->frozen, name)))
            continue;
        const void *got = fa_data_at(tensor, where);
        if (!got)
            return false;
        /* An update is small beside its weight, so it is the update that must agree, up to rounding of the weight. */
        const double scale = fmax(fa_parity_largest(want, before), buffer ? 0 : LEAST_SHARE * most);
        const double share = tolerance_after_norm(p) * (buffer || is_sgd(p) ? 1 : SCALED);
        const double allowed = k * (share * scale + FLOAT_STEP * fa_parity_largest(want, NULL));
        fa_parity_measure m;
        if (!fa_parity_measure_tensor(&m, want, fa_dtype_of(tensor), got, fa_shape_of(tensor), allowed, p->noise[i]) &&
            note(p, FA_PARITY_WEIGHT, name, &m))
            fa_parity_cause_weight(p);
    }
    return true;
}

static void compare_options(fa_parity *p)
{
    if (p->options.length && !found_before(p, FA_PARITY_OPTIONS) &&
        note(p, FA_PARITY_OPTIONS, "the optimizer's options", &(fa_parity_measure){0}))
        fa_text_add(&p->found.cause, "%s.", p->options.data);
}

bool fa_parity_step_at(fa_parity *p, fa_tensor *loss, fa_tensor *labels, fa_where where)
{
    if (!p || !fa_ok())
        return false;
    fa_begin(where);
    if (p != running)
        return fa_fail(FA_STATE_ERROR, where, what,
                       "got a comparison that another thread began, needs this thread's own. Hint: train on the thread "
                       "that called fa_parity_new");
    if (p->step >= p->recording->step_count)
        return false;
    if (!p->in_pass)
        return fa_fail(FA_STATE_ERROR, where, what,
                       "got a step without a training pass of the model, needs one before each. Hint: "
                       "fa_forward(model, images) of the model given to fa_parity_new, in training (fa_train(model))");
    const bool noisy_before = p->noisy;
    compare_labels(p, labels, where);
    const double value = fa_item_at(loss, where);
    if (!fa_ok())
        return false;
    compare_loss(p, value);
    if (!is_lost(p) && !found_before(p, FA_PARITY_GRADIENT) && !compare_gradients(p, where))
        return false;
    if (!is_lost(p) && !found_before(p, FA_PARITY_WEIGHT) && !compare_weights(p, noisy_before, where))
        return false;
    compare_options(p);
    for (int64_t i = 0; i < p->recording->state.count; i++)
        p->noisy |= p->noise[i] != NULL;
    p->in_pass = false;
    p->step++;
    return p->step < p->recording->step_count;
}

bool fa_parity_agrees(const fa_parity *p)
{
    return p && p->step > 0 && p->found.step == 0;
}

/* ---- Beginning and end --------------------------------------------------------------------------------------------
 */

static void note_layers(fa_parity *p)
{
    for (int64_t i = 0; i < p->modules; i++) {
        fa_text theirs = {0}, ours = {0};
        if (fa_parity_lines(p, i, &theirs, &ours) && !theirs.failed && !ours.failed &&
            strcmp(theirs.data, ours.data) != 0)
            fa_text_add(&p->notes, "note: %s is %s in PyTorch, %s here\n",
                        fa_named_modules_at(p->model, fa_current_where()).name[i], theirs.data, ours.data);
        fa_text_free(&theirs);
        fa_text_free(&ours);
    }
}

/* Parameters that are frozen on one side alone. */
static void note_frozen(fa_parity *p)
{
    const fa_tensor_list params = fa_parameters_at(p->model, fa_current_where());
    for (int64_t i = 0; i < params.count; i++) {
        const bool frozen = fa_recorded_has(&p->recording->frozen, params.name[i]);
        if (frozen != !fa_requires_grad(params.tensor[i]))
            fa_text_add(&p->notes, "note: %s is %s in PyTorch (requires_grad=%s), not here\n", params.name[i],
                        frozen ? "frozen" : "trained", frozen ? "False" : "True");
    }
}

fa_parity *fa_parity_new_at(const fa_parity_args *args)
{
    fa_begin(args->where_);
    if (!fa_module_check(args->model, "fa_parity_new", args->where_))
        return NULL;
    if (running) {
        fa_fail(FA_STATE_ERROR, args->where_, what,
                "got a second comparison on this thread, needs one at a time. Hint: fa_free the first");
        return NULL;
    }
    if (!(args->tolerance >= 0 && args->tolerance < 1)) {
        fa_fail(FA_VALUE_ERROR, args->where_, what,
                "got tolerance %g, needs a share from 0 to 1. Hint: leave it out for 1e-4", args->tolerance);
        return NULL;
    }
    fa_recording *recording = fa_recording_open(args->path, args->where_);
    fa_parity *p = recording ? fa_calloc(1, sizeof *p) : NULL;
    if (!p) {
        if (recording)
            fa_fail_memory(args->where_, sizeof *p);
        fa_recording_close(recording);
        return NULL;
    }
    p->recording = recording;
    p->tolerance = args->tolerance;
    const fa_recorded *images = fa_recording_find(recording, "1/images");
    p->has_norm = images && images->dtype == FA_FLOAT32 && strstr(recording->model, "BatchNorm") != NULL;
    p->model = fa_retain(args->model);
    p->optim = args->optim ? fa_optim_retain(args->optim) : NULL;
    p->modules = fa_named_modules_at(p->model, args->where_).count;
    const int64_t states = recording->state.count;
    p->calls = fa_calloc((size_t)p->modules + 1, sizeof *p->calls);
    p->noise = fa_calloc((size_t)states + 1, sizeof *p->noise);
    p->loss = fa_calloc((size_t)recording->step_count, sizeof *p->loss);
    p->observer = (fa_forward_observer){on_enter, on_leave, p};
    running = p;
    p->previous = fa_forward_observe(&p->observer);
    if (!p->calls || !p->noise || !p->loss) {
        fa_fail_memory(args->where_, (size_t)recording->step_count * sizeof *p->loss);
    } else {
        note_layers(p);
        note_frozen(p);
        note_options(p);
        compare_start(p, args->where_);
    }
    if (fa_ok())
        return p;
    fa_parity_free(p);
    return NULL;
}

void fa_parity_free(fa_parity *p)
{
    if (!p)
        return;
    if (running == p) {
        fa_forward_observe(p->previous);
        running = NULL;
    }
    for (int64_t i = 0; p->noise && i < p->recording->state.count; i++)
        fa_mfree(p->noise[i]);
    fa_mfree(p->noise);
    fa_mfree(p->calls);
    fa_mfree(p->loss);
    fa_text_free(&p->options);
    fa_text_free(&p->notes);
    fa_text_free(&p->found.cause);
    fa_module_free(p->model);
    fa_optim_free(p->optim);
    fa_recording_close(p->recording);
    fa_mfree(p);
}
