/* A run's state as a value, and back.
 *
 * A checkpoint holds no times and nothing of the process that wrote it: equal states give equal bytes. */
#include "train/run.h"

#include "base/error.h"
#include "base/memory.h"
#include "train/json_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char format_key[] = "facula_run"; /* 1: the only form so far */

static fa_key key(const char *text)
{
    return (fa_key){.text = text};
}

static bool put(fa_value *dict, const char *name, fa_value *x, fa_where where)
{
    return fa_dict_put_at(dict, fa_value_string_at(name, where), x, where) != NULL;
}

static fa_value *text_or_none(const char *text, fa_where where)
{
    return text != NULL ? fa_value_string_at(text, where) : fa_value_none_at(where);
}

static fa_value *number_or_none(double x, fa_where where)
{
    return isnan(x) ? fa_value_none_at(where) : fa_value_float_at(x, where);
}

/* ---- Texts of optimizers and schedules --------------------------------------------------------------------------- */

/* "lr: 0.1, momentum: 0.9": the entries of a dict but for the parameters, which are no options. */
static void add_entries(fa_text *text, fa_value *dict, fa_where where)
{
    int64_t written = 0;
    for (int64_t i = 0; fa_ok() && i < fa_len(dict); i++) {
        const char *name = fa_as_string_at(fa_key_at(dict, i), where);
        if (name == NULL || strcmp(name, "params") == 0 || strcmp(name, "param_names") == 0)
            continue;
        fa_text_add(text, "%s%s: ", written++ > 0 ? ", " : "", name);
        fa_text_json(text, fa_value_at(dict, i), where);
    }
}

/* The text's block; NULL after an error. */
static char *finish(fa_text *text, fa_where where)
{
    fa_text_add(text, "%s", ""); /* a block, even where there are no entries */
    if (text->failed)
        fa_fail_memory(where, text->length);
    if (fa_ok())
        return text->data;
    fa_text_free(text);
    return NULL;
}

char *fa_run_optim_text(fa_optim *optim, fa_where where)
{
    fa_text text = {0};
    fa_scope {
        fa_value *groups = fa_get_at(fa_optim_state_dict_at(optim, where), key("param_groups"), where);
        for (int64_t i = 0; i < fa_len(groups); i++) {
            fa_text_add(&text, "%s", i > 0 ? "; " : "");
            add_entries(&text, fa_value_at(groups, i), where);
        }
    }
    return finish(&text, where);
}

char *fa_run_schedule_text(fa_scheduler *scheduler, fa_where where)
{
    fa_text text = {0};
    fa_scope
        add_entries(&text, fa_scheduler_state_dict_at(scheduler, where), where);
    return finish(&text, where);
}

/* The first of the parts between commas in which two texts differ, one from each. */
static void first_difference(const char *a, const char *b, char *part_a, char *part_b, size_t size)
{
    size_t start = 0;
    for (size_t i = 0; a[i] != '\0' && a[i] == b[i]; i++)
        if ((a[i] == ',' || a[i] == ';') && a[i + 1] == ' ')
            start = i + 2;
    snprintf(part_a, size, "%.*s", (int)strcspn(a + start, ",;"), a + start);
    snprintf(part_b, size, "%.*s", (int)strcspn(b + start, ",;"), b + start);
}

/* ---- Positions --------------------------------------------------------------------------------------------------- */

static fa_value *generator_value(const fa_mt *mt, fa_where where)
{
    uint8_t state[FA_GENERATOR_STATE_SIZE];
    fa_mt_save(mt, state);
    return fa_value_tensor_at(fa_from_memory_at(state, FA_UINT8, FA_SHAPE(FA_GENERATOR_STATE_SIZE), where), where);
}

static fa_value *generator_or_none(bool there, const fa_mt *mt, fa_where where)
{
    return there ? generator_value(mt, where) : fa_value_none_at(where);
}

static bool read_generator(fa_mt *mt, fa_value *dict, const char *name, fa_where where)
{
    fa_tensor *tensor = fa_get_tensor_at(dict, key(name), where);
    if (tensor == NULL)
        return false;
    bool fits = fa_dtype_of(tensor) == FA_UINT8 && fa_numel(tensor) == FA_GENERATOR_STATE_SIZE;
    const uint8_t *state = fits ? fa_data_at(tensor, where) : NULL;
    return (state != NULL && fa_mt_load(mt, state)) ||
           fa_fail(FA_FILE_ERROR, where, "fa_run_open", "got a %s that is no state of a generator.", name);
}

static fa_value *position_value(const fa_loader_position *p, fa_where where)
{
    bool inside = p->batches >= 0;
    const fa_order_position *order = &p->order;
    fa_value *dict = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    put(dict, "items", fa_value_int_at(p->form.items, where), where);
    put(dict, "total", fa_value_int_at(p->form.total, where), where);
    put(dict, "batch_size", fa_value_int_at(p->form.batch_size, where), where);
    put(dict, "drop_last", fa_value_bool_at(p->form.drop_last, where), where);
    put(dict, "order", fa_value_int_at(p->form.kind, where), where);
    put(dict, "generator", generator_or_none(p->form.generator, &p->generator, where), where);
    put(dict, "sampler_generator", generator_or_none(p->form.sampler_generator, &p->sampler_generator, where), where);
    put(dict, "batches", fa_value_int_at(p->batches, where), where);
    if (inside) {
        put(dict, "given", fa_value_int_at(order->given, where), where);
        put(dict, "started", fa_value_bool_at(order->started, where), where);
        put(dict, "dry", fa_value_bool_at(order->dry, where), where);
        put(dict, "next", fa_value_int_at(order->next, where), where);
        put(dict, "seed", fa_value_int_at((int64_t)order->seed, where), where);
        put(dict, "before", generator_or_none(order->has_before, &order->before, where), where);
    }
    return dict;
}

static bool read_optional_generator(bool *there, fa_mt *mt, fa_value *dict, const char *name, fa_where where)
{
    fa_value *value = fa_get_at(dict, key(name), where);
    *there = value != NULL && fa_kind_of(value) != FA_VALUE_NONE;
    return value != NULL && (!*there || read_generator(mt, dict, name, where));
}

static bool read_position(fa_loader_position *p, fa_value *dict, fa_where where)
{
    *p = (fa_loader_position){.batches = -1};
    p->form.items = fa_get_int_at(dict, key("items"), where);
    p->form.total = fa_get_int_at(dict, key("total"), where);
    p->form.batch_size = fa_get_int_at(dict, key("batch_size"), where);
    p->form.drop_last = fa_get_bool_at(dict, key("drop_last"), where);
    p->form.kind = fa_get_int_at(dict, key("order"), where);
    p->batches = fa_get_int_at(dict, key("batches"), where);
    if (!fa_ok() || !read_optional_generator(&p->form.generator, &p->generator, dict, "generator", where) ||
        !read_optional_generator(&p->form.sampler_generator, &p->sampler_generator, dict, "sampler_generator", where))
        return false;
    if (p->batches < 0)
        return true;
    fa_order_position *order = &p->order;
    order->given = fa_get_int_at(dict, key("given"), where);
    order->started = fa_get_bool_at(dict, key("started"), where);
    order->dry = fa_get_bool_at(dict, key("dry"), where);
    order->next = fa_get_int_at(dict, key("next"), where);
    order->seed = (uint64_t)fa_get_int_at(dict, key("seed"), where);
    return fa_ok() && read_optional_generator(&order->has_before, &order->before, dict, "before", where);
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static fa_value *names_value(const fa_run *run, fa_where where)
{
    if (run->class_count == 0)
        return fa_value_none_at(where);
    fa_value *list = fa_container_at(FA_VALUE_LIST, FA_FLAVOUR_PLAIN, where);
    for (int64_t i = 0; i < run->class_count; i++)
        fa_list_add_at(list, fa_value_path_at(run->class_names[i], where), where); /* folders' names */
    return list;
}

static fa_value *fingerprint_value(const fa_fingerprint *print, fa_where where)
{
    fa_value *dict = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    put(dict, "items", fa_value_int_at((int64_t)print->items, where), where);
    put(dict, "contents", fa_value_int_at((int64_t)print->contents, where), where);
    return dict;
}

static fa_value *sums_value(const fa_run_sums *sums, fa_where where)
{
    fa_value *dict = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    put(dict, "loss", fa_value_float_at(sums->loss, where), where);
    put(dict, "weight", fa_value_float_at(sums->weight, where), where);
    put(dict, "correct", fa_value_int_at(sums->correct, where), where);
    put(dict, "judged", fa_value_int_at(sums->judged, where), where);
    return dict;
}

/* What decides about bits: the instruction set, and whether kernels are the fast ones. */
static const char *kernel_choice(void)
{
    const char *plan = getenv("FACULA_PLAN");
    return plan != NULL && strcmp(plan, "off") == 0 ? "reference" : "fast";
}

static fa_value *checkpoint_value(fa_run *run, fa_where where)
{
    fa_value *c = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    /* What the lesson's own loop writes: the epoch that the weights belong to, counted from 0. */
    int64_t epoch = run->batch > 0 || run->epoch == 0 ? run->epoch : run->epoch - 1;
    put(c, "epoch", fa_value_int_at(epoch, where), where);
    put(c, "model_state_dict", fa_module_state_dict_at(run->model, where), where);
    put(c, "optimizer_state_dict", fa_optim_state_dict_at(run->optim, where), where);
    put(c, "val_loss", number_or_none(run->last_validation.loss, where), where);
    put(c, "val_acc", number_or_none(run->last_validation.accuracy, where), where);
    put(c, "train_loss", number_or_none(run->last_training.loss, where), where);
    put(c, "train_acc", number_or_none(run->last_training.accuracy, where), where);
    put(c, "best_val_loss", number_or_none(run->best.loss, where), where);
    put(c, "best_val_acc", number_or_none(run->best.accuracy, where), where);
    put(c, "best_epoch", run->best_epoch < 0 ? fa_value_none_at(where) : fa_value_int_at(run->best_epoch, where),
        where);
    put(c, "class_names", names_value(run, where), where);
    put(c, "transforms", text_or_none(run->transforms, where), where);
    put(c, "exif", fa_value_bool_at(run->exif, where), where);
    put(c, "network", text_or_none(run->network, where), where);
    put(c, "optimizer", fa_value_string_at(run->optim->kind->name, where), where);
    put(c, "optimizer_options", fa_value_string_at(run->optim_text, where), where);
    put(c, "scheduler", text_or_none(run->scheduler != NULL ? run->scheduler->kind->name : NULL, where), where);
    put(c, "scheduler_options", text_or_none(run->schedule_text, where), where);
    if (run->scheduler != NULL)
        put(c, "scheduler_state_dict", fa_scheduler_state_dict_at(run->scheduler, where), where);
    if (run->ema != NULL)
        put(c, "ema_state_dict", fa_ema_state_dict_at(run->ema, where), where);
    put(c, "options", run->options != NULL ? run->options : fa_value_none_at(where), where);
    put(c, "epochs", fa_value_int_at(run->epochs, where), where);
    put(c, "epochs_done", fa_value_int_at(run->epoch, where), where);
    put(c, "batches_done", fa_value_int_at(run->batch, where), where);
    put(c, "running", sums_value(&run->training, where), where);
    put(c, "epoch_lr", fa_value_float_at(run->epoch_lr, where), where);
    put(c, "history", fa_value_string_at(run->history.data != NULL ? run->history.data : "", where), where);
    put(c, "generator_state", generator_value(&run->position.standard, where), where);
    put(c, "loader", position_value(&run->position, where), where);
    put(c, "data_fingerprint", fingerprint_value(&run->data, where), where);
    put(c, "isa", fa_value_string_at(fa_cpu_isa(), where), where);
    put(c, "kernels", fa_value_string_at(kernel_choice(), where), where);
    put(c, format_key, fa_value_int_at(1, where), where);
    return fa_ok() ? c : NULL;
}

bool fa_run_write(fa_run *run, const char *name, fa_where where)
{
    char *path = fa_run_path(run, name, where);
    bool fine = path != NULL;
    fa_scope {
        fa_value *checkpoint = fine ? checkpoint_value(run, where) : NULL;
        fine = checkpoint != NULL && fa_save_value_at(checkpoint, path, where);
    }
    fa_mfree(path);
    return fine && fa_ok();
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

#define REFUSE(run, where, format, ...)                                                                                \
    fa_fail(FA_VALUE_ERROR, (where), "fa_run_open", "the run in %s " format, (run)->folder, __VA_ARGS__)

static bool check_network(const fa_run *run, fa_value *c, fa_where where)
{
    const char *network = fa_get_string_at(c, key("network"), where);
    if (network == NULL || strcmp(network, run->network) == 0)
        return network != NULL;
    size_t line = 0, at = 0; /* where the line begins in which they differ */
    for (; network[at] != '\0' && network[at] == run->network[at]; at++)
        if (network[at] == '\n')
            line = at + 1;
    return REFUSE(run, where,
                  "was of another network: got \"%.*s\", needs \"%.*s\". Hint: .overwrite, or another folder.",
                  (int)strcspn(run->network + line, "\n"), run->network + line, (int)strcspn(network + line, "\n"),
                  network + line);
}

static bool check_optim(const fa_run *run, fa_value *c, fa_where where)
{
    const char *name = fa_get_string_at(c, key("optimizer"), where);
    const char *options = fa_get_string_at(c, key("optimizer_options"), where);
    if (name == NULL || options == NULL)
        return false;
    if (strcmp(name, run->optim->kind->name) != 0)
        return REFUSE(run, where, "has the state of %s: got %s, needs the same optimizer.", name,
                      run->optim->kind->name);
    if (strcmp(options, run->optim_text) == 0)
        return true;
    char got[128], needs[128];
    first_difference(run->optim_text, options, got, needs, sizeof got);
    return REFUSE(run, where,
                  "was begun with other options of %s: got %s, needs %s. Hint: a resumed run keeps them; fa_set_lr and "
                  "its like change them afterwards.",
                  name, got, needs);
}

static bool check_schedule(fa_run *run, fa_value *c, fa_where where)
{
    fa_value *saved = fa_get_at(c, key("scheduler"), where), *options = fa_get_at(c, key("scheduler_options"), where);
    if (saved == NULL || options == NULL)
        return false;
    const char *had = fa_kind_of(saved) == FA_VALUE_NONE ? NULL : fa_as_string_at(saved, where);
    const char *has = run->scheduler != NULL ? run->scheduler->kind->name : NULL;
    if (!fa_ok())
        return false;
    if ((had == NULL) != (has == NULL) || (had != NULL && strcmp(had, has) != 0))
        return REFUSE(run, where, "was begun with %s: got %s, needs the same.", had != NULL ? had : "no schedule",
                      has != NULL ? has : "no schedule");
    if (had == NULL)
        return true;
    const char *text = fa_as_string_at(options, where);
    if (text == NULL)
        return false;
    if (strcmp(text, run->schedule_text) != 0) {
        char got[128], needs[128];
        first_difference(run->schedule_text, text, got, needs, sizeof got);
        fa_text_add(&run->notes, "the schedule %s goes on as the run began it: %s, not %s\n", had, needs, got);
        char *copy = fa_strdup(text);
        if (copy == NULL)
            return fa_fail_memory(where, strlen(text) + 1);
        fa_mfree(run->schedule_text);
        run->schedule_text = copy;
    }
    return true;
}

static bool check_epochs(const fa_run *run, fa_where where)
{
    int64_t begun = run->epoch + (run->batch > 0);
    return run->epochs >= begun ||
           REFUSE(run, where, "has begun %lld epochs: got .epochs %lld, needs at least that many.", (long long)begun,
                  (long long)run->epochs);
}

static bool check_loader(const fa_run *run, const fa_loader_position *position, fa_where where)
{
    fa_loader_form form;
    char text[256];
    if (!fa_loader_describe(run->loader, &form, where))
        return false;
    const char *difference = fa_loader_form_difference(&form, &position->form, text, sizeof text);
    return difference == NULL ||
           REFUSE(run, where,
                  "was begun with another loader: %s. Hint: a resumed run keeps its data, batch size and order.",
                  difference);
}

/* Scores are told by class numbers, so their names must be the same ones in the same order. */
static bool check_names(const fa_run *run, fa_value *c, fa_where where)
{
    fa_value *names = fa_get_at(c, key("class_names"), where);
    if (names == NULL || fa_kind_of(names) != FA_VALUE_LIST || run->class_count == 0)
        return fa_ok();
    if (fa_len(names) != run->class_count)
        return REFUSE(run, where, "knows %lld classes: got .class_names of %lld, needs the same ones.",
                      (long long)fa_len(names), (long long)run->class_count);
    for (int64_t i = 0; i < run->class_count; i++) {
        const char *name = fa_as_path_at(fa_value_at(names, i), where);
        if (name == NULL)
            return false;
        if (strcmp(name, run->class_names[i]) != 0)
            return REFUSE(run, where, "has other classes: got \"%s\" as class %lld, needs \"%s\".", run->class_names[i],
                          (long long)i, name);
    }
    return true;
}

/* The same number of items is not the same data. Checkpoints of before there were fingerprints say nothing. */
static bool check_data(fa_run *run, fa_value *c, fa_where where)
{
    if (!fa_has_at(c, key("data_fingerprint"), where))
        return fa_ok();
    fa_value *print = fa_get_at(c, key("data_fingerprint"), where);
    const uint64_t items = (uint64_t)fa_get_int_at(print, key("items"), where);
    const uint64_t contents = (uint64_t)fa_get_int_at(print, key("contents"), where);
    if (!fa_ok())
        return false;
    if (items != run->data.items)
        return REFUSE(run, where,
                      "was begun with other data: got %lld items, but not with the same labels and names in the same "
                      "order, needs those. Hint: was a file renamed or given another label, or is it another folder?",
                      (long long)run->position.form.items);
    if (contents != run->data.contents)
        fa_text_add(&run->notes,
                    "the training data, or those held out of them, have changed since the run began (sizes of files, "
                    "pixels, or what is held out): it goes on, but not as it would have without that\n");
    return true;
}

static void note_machine(fa_run *run, fa_value *c, fa_where where)
{
    const char *isa = fa_get_string_at(c, key("isa"), where), *kernels = fa_get_string_at(c, key("kernels"), where);
    if (isa != NULL && strcmp(isa, fa_cpu_isa()) != 0)
        fa_text_add(&run->notes, "the run was saved with %s kernels and goes on with %s: the last bits may differ\n",
                    isa, fa_cpu_isa());
    if (kernels != NULL && strcmp(kernels, kernel_choice()) != 0)
        fa_text_add(&run->notes,
                    "the run was saved with %s kernels and goes on with %s ones: the last bits may differ\n", kernels,
                    kernel_choice());
}

/* What a schedule does in epochs that it was not made for: it goes on with its own numbers, as PyTorch's do. */
static const char *schedule_goes_on(const char *kind)
{
    static const struct {
        const char *kind, *words;
    } kinds[] = {
        {"StepLR", "the rate goes on falling at each step_size"},
        {"MultiStepLR", "the rate falls at the milestones that are still to come, then stays"},
        {"ExponentialLR", "the rate goes on falling"},
        {"ConstantLR", "the rate stays"},
        {"LinearLR", "the rate stays where its total_iters end"},
        {"CosineAnnealingLR", "behind its T_max the rate rises again"},
        {"CosineAnnealingWarmRestarts", "it goes on with its restarts"},
        {"OneCycleLR", "a step behind its total_steps is an error"},
        {"ReduceLROnPlateau", "it goes on with the best value and the patience that it has"},
        {"LambdaLR", "it asks its functions for the new epochs too"},
        {"SequentialLR", "it goes on with the last of its schedules"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].kind, kind) == 0)
            return kinds[i].words;
    return "it goes on with its own numbers";
}

/* How many epochs the steps of a one-cycle schedule last, of which `done` are done. It is told from what was done
 * whether the program takes one a batch or one an epoch, and before the first one from how many there are; in doubt as
 * many as the run had before. */
static int64_t cycle_epochs(const fa_run *run, int64_t before, int64_t done, int64_t total)
{
    int64_t batches = run->batches > 0 ? run->batches : 1, in_all;
    if (__builtin_mul_overflow(before, batches, &in_all))
        return before;
    if (done > 0 ? done == run->epoch * batches + run->batch : total >= in_all)
        return total / batches;
    return (done > 0 ? done == run->epoch : total >= before) ? total : done < total ? run->epochs : before;
}

/* A one-cycle schedule takes no step beyond those that it was made for. Told now, not in the middle of the run; but
 * with no more epochs than `before`, only a validation may be left. */
static bool check_cycle(const fa_run *run, int64_t before, fa_value *c, fa_where where)
{
    if (run->scheduler == NULL || strcmp(run->scheduler->kind->name, "OneCycleLR") != 0 || run->epochs <= before)
        return true;
    fa_value *state = fa_get_at(c, key("scheduler_state_dict"), where);
    int64_t done = fa_get_int_at(state, key("last_epoch"), where);
    int64_t total = fa_get_int_at(state, key("total_steps"), where);
    int64_t most = fa_ok() ? cycle_epochs(run, before, done, total) : 0;
    return fa_ok() &&
           (run->epochs <= most ||
            REFUSE(
                run, where,
                "has a schedule OneCycleLR of %lld steps, %lld of them done, which last for %lld epochs: got .epochs "
                "%lld, needs %lld. Hint: another run, with a schedule of its own, that begins with the weights of "
                "this one's best_model.pth.",
                (long long)total, (long long)done, (long long)most, (long long)run->epochs, (long long)most));
}

static void note_epochs(fa_run *run, int64_t before)
{
    if (run->epochs == before)
        return;
    fa_text_add(&run->notes, "the run had %lld epochs and has %lld now", (long long)before, (long long)run->epochs);
    if (run->scheduler != NULL)
        fa_text_add(&run->notes, "; its schedule %s is not stretched to them: %s", run->scheduler->kind->name,
                    schedule_goes_on(run->scheduler->kind->name));
    fa_text_add(&run->notes, "\n");
}

static double number_at(fa_value *c, const char *name, fa_where where)
{
    fa_value *value = fa_get_at(c, key(name), where);
    return value == NULL || fa_kind_of(value) == FA_VALUE_NONE ? NAN : fa_as_float_at(value, where);
}

/* The run's own numbers; nothing outside the run changes. */
static bool read_numbers(fa_run *run, fa_value *c, fa_where where)
{
    run->epoch = fa_get_int_at(c, key("epochs_done"), where);
    run->batch = fa_get_int_at(c, key("batches_done"), where);
    fa_value *sums = fa_get_at(c, key("running"), where);
    run->training.loss = fa_get_float_at(sums, key("loss"), where);
    run->training.weight = fa_get_float_at(sums, key("weight"), where);
    run->training.correct = fa_get_int_at(sums, key("correct"), where);
    run->training.judged = fa_get_int_at(sums, key("judged"), where);
    run->epoch_lr = fa_get_float_at(c, key("epoch_lr"), where);
    run->last_validation = (fa_measure){number_at(c, "val_loss", where), number_at(c, "val_acc", where)};
    run->last_training = (fa_measure){number_at(c, "train_loss", where), number_at(c, "train_acc", where)};
    run->best = (fa_measure){number_at(c, "best_val_loss", where), number_at(c, "best_val_acc", where)};
    double best_epoch = number_at(c, "best_epoch", where);
    run->best_epoch = isnan(best_epoch) ? -1 : (int64_t)best_epoch;
    const char *history = fa_get_string_at(c, key("history"), where);
    fa_value *loader = fa_get_at(c, key("loader"), where);
    if (!fa_ok() || !read_position(&run->position, loader, where) ||
        !read_generator(&run->position.standard, c, "generator_state", where))
        return false;
    if (run->epoch < 0 || run->batch < 0 || run->batch != (run->position.batches < 0 ? 0 : run->position.batches))
        return fa_fail(FA_FILE_ERROR, where, "fa_run_open", "got a checkpoint whose numbers contradict each other.");
    fa_text_add(&run->history, "%s", history);
    return !run->history.failed || fa_fail_memory(where, run->history.length);
}

/* What the run holds, brought to what was saved. */
static bool load_states(fa_run *run, fa_value *c, fa_where where)
{
#define STATE(name)                                                                                                    \
    &(fa_load_state_dict_args)                                                                                         \
    {                                                                                                                  \
        .state = fa_get_at(c, key(name), where), .strict = true, .where_ = where                                       \
    }
    return fa_module_load_state_dict_at(run->model, STATE("model_state_dict")) &&
           fa_optim_load_state_dict_at(run->optim, STATE("optimizer_state_dict")) &&
           (run->scheduler == NULL || fa_scheduler_load_state_dict_at(run->scheduler, STATE("scheduler_state_dict"))) &&
           (run->ema == NULL || fa_ema_load_state_dict_at(run->ema, STATE("ema_state_dict")));
#undef STATE
}

static bool read_value(fa_run *run, fa_value *c, const char *path, fa_where where)
{
    if (fa_kind_of(c) != FA_VALUE_DICT || !fa_has_at(c, key(format_key), where))
        return fa_fail(FA_FILE_ERROR, where, "fa_run_open", "%s is not a checkpoint of a run of facula's.", path);
    int64_t format = fa_get_int_at(c, key(format_key), where), before = fa_get_int_at(c, key("epochs"), where);
    if (format != 1)
        return fa_fail(FA_FILE_ERROR, where, "fa_run_open", "%s has form %lld, needs 1. Hint: a newer facula reads it.",
                       path, (long long)format);
    /* A schedule leaves marks in the optimizer's options, so its kind comes first. */
    if (!check_network(run, c, where) || !check_schedule(run, c, where) || !check_optim(run, c, where) ||
        !read_numbers(run, c, where) || !check_epochs(run, where) || !check_cycle(run, before, c, where) ||
        !check_loader(run, &run->position, where) || !check_names(run, c, where) || !check_data(run, c, where))
        return false;
    if (!load_states(run, c, where) || !fa_loader_seek(run->loader, &run->position, where))
        return false;
    note_machine(run, c, where);
    note_epochs(run, before);
    return fa_ok();
}

bool fa_run_read(fa_run *run, fa_where where)
{
    char *path = fa_run_path(run, "last.pth", where);
    bool fine = path != NULL;
    fa_scope {
        fa_value *checkpoint = fine ? fa_load_at(&(fa_load_args){.path = path, .where_ = where}) : NULL;
        fine = checkpoint != NULL && read_value(run, checkpoint, path, where);
    }
    fa_mfree(path);
    return fine && fa_ok();
}
