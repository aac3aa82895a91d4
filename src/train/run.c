/* A run from its opening to its end: epochs, batches, and when what is saved. */
#include "train/run.h"

#include "base/error.h"
#include "base/memory.h"
#include "files/atomic.h"
#include "files/json_reader.h"
#include "files/system.h"
#include "train/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

static atomic_int_fast64_t live;

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

fa_measure fa_run_mean(const fa_run_sums *sums)
{
    return (fa_measure){sums->weight > 0 ? sums->loss / sums->weight : NAN,
                        sums->judged > 0 ? 100.0 * (double)sums->correct / (double)sums->judged : NAN};
}

/* ---- Opening and closing ----------------------------------------------------------------------------------------- */

static bool check_args(const fa_run_open_args *args)
{
    const char *missing = args->folder == NULL || args->folder[0] == '\0' ? "folder"
                          : args->model == NULL                           ? ".model"
                          : args->optim == NULL                           ? ".optim"
                          : args->train_loader == NULL                    ? ".train_loader"
                                                                          : NULL;
    if (missing != NULL)
        return fa_ok() && fa_fail(FA_VALUE_ERROR, args->where_, "fa_run_open", "got no %s, needs one.", missing);
    if (args->epochs < 1)
        return fa_fail(FA_VALUE_ERROR, args->where_, "fa_run_open", "got .epochs %lld, needs at least 1.",
                       (long long)args->epochs);
    if (args->every_epochs < 0 || args->keep_last < 0 || !(args->every_minutes >= 0))
        return fa_fail(FA_VALUE_ERROR, args->where_, "fa_run_open",
                       "got .every_epochs %lld, .every_minutes %g, .keep_last %lld, needs 0 or more of each.",
                       (long long)args->every_epochs, args->every_minutes, (long long)args->keep_last);
    if (args->resume && args->overwrite)
        return fa_fail(FA_VALUE_ERROR, args->where_, "fa_run_open", "got .resume and .overwrite, needs one of them.");
    return fa_module_check(args->model, "fa_run_open", args->where_);
}

static bool copy_names(fa_run *run, fa_names names, fa_where where)
{
    if (names.count <= 0)
        return true;
    run->class_names = fa_calloc((size_t)names.count, sizeof *run->class_names);
    if (run->class_names == NULL)
        return fa_fail_memory(where, (size_t)names.count * sizeof *run->class_names);
    run->class_count = names.count;
    for (int64_t i = 0; i < names.count; i++) {
        size_t bad;
        if (!fa_utf8_valid(names.name[i], strlen(names.name[i]), &bad))
            return fa_fail(FA_VALUE_ERROR, where, "fa_run_open",
                           "got \"%s\" as the name of class %lld, which is not UTF-8, needs text that a checkpoint can "
                           "hold. Hint: rename the folder of its pictures.",
                           names.name[i], (long long)i);
        if ((run->class_names[i] = fa_strdup(names.name[i])) == NULL)
            return fa_fail_memory(where, strlen(names.name[i]) + 1);
    }
    return true;
}

static char *printed_form(const fa_module *model, fa_where where)
{
    int64_t length = fa_module_format(model, NULL, 0);
    char *text = length >= 0 ? fa_malloc((size_t)length + 1) : NULL;
    if (text == NULL)
        fa_fail_memory(where, (size_t)length + 1);
    else
        fa_module_format(model, text, (size_t)length + 1);
    return text;
}

/* Cross-entropy applies a softmax of its own: one in the model before it is applied twice. */
static void note_softmax(fa_run *run)
{
    fa_module *last = fa_module_last(run->model);
    if (last != NULL && last != run->model && strcmp(fa_class_name(last), "Softmax") == 0)
        fa_text_add(&run->notes,
                    "the model ends in Softmax; if the loss is cross-entropy, which applies softmax itself, "
                    "it cannot come below ln(1 + (C - 1)/e) for C classes: leave the layer out\n");
}

/* Copies what was given; does not look into the folder. False after an error. */
static bool fill(fa_run *run, const fa_run_open_args *args)
{
    fa_where where = args->where_;
    fa_loader_form form;
    if (!fa_loader_describe(args->train_loader, &form, where) ||
        !fa_loader_fingerprint(args->train_loader, &run->data, where))
        return false;
    run->loader = args->train_loader;
    fa_object_borrow((fa_object *)run->loader); /* as a loop does: it ends with whom it would end without the run */
    run->model = fa_retain(args->model);
    run->optim = args->optim;
    run->scheduler = args->scheduler;
    run->ema = args->ema;
    run->epochs = args->epochs;
    run->every_epochs = args->every_epochs;
    run->every_minutes = args->every_minutes;
    run->keep_last = args->keep_last;
    run->batches = fa_loader_length_at(run->loader, where);
    run->best_epoch = -1;
    run->last_training = run->last_validation = run->best = (fa_measure){NAN, NAN};
    run->state = "running";
    if (args->options != NULL)
        run->options = fa_value_retain((fa_value *)args->options);
    run->folder = fa_strdup(args->folder);
    run->transforms = args->transforms != NULL ? fa_strdup(args->transforms) : NULL;
    if (run->folder == NULL || (args->transforms != NULL && run->transforms == NULL))
        return fa_fail_memory(where, strlen(args->folder) + 1);
    for (size_t n = strlen(run->folder); n > 1 && run->folder[n - 1] == '/'; n--)
        run->folder[n - 1] = '\0';
    note_softmax(run);
    return copy_names(run, args->class_names, where) && (run->network = printed_form(run->model, where)) != NULL &&
           (run->optim_text = fa_run_optim_text(run->optim, where)) != NULL &&
           (run->scheduler == NULL || (run->schedule_text = fa_run_schedule_text(run->scheduler, where)) != NULL) &&
           fa_ok();
}

/* The state between two epochs, as it is now. */
static bool tell_position(fa_run *run, fa_where where)
{
    return fa_loader_tell(run->loader, &run->position, where);
}

/* Two processes that train one run would write over each other's files. The lock ends with the process at the latest;
 * where the disk knows no locks there is none. */
static bool lock_folder(fa_run *run, fa_where where)
{
    run->lock = fa_sys_open(run->folder, O_RDONLY | O_DIRECTORY, 0);
    if (run->lock < 0)
        return fa_fail(FA_FILE_ERROR, where, "fa_run_open", "could not open the folder %s: %s.", run->folder,
                       strerror(errno));
    if (flock(run->lock, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return true;
    return fa_fail(FA_STATE_ERROR, where, "fa_run_open",
                   "got the folder %s, whose run is open in another process or in this one, needs one that is free. "
                   "Hint: wait for its end, or stop it.",
                   run->folder);
}

static bool begin_anew(fa_run *run, const fa_run_open_args *args)
{
    if (fa_run_exists(run->folder) && args->resume)
        return fa_fail(FA_FILE_ERROR, args->where_, "fa_run_open",
                       "got the folder %s, which holds files of a run but no last.pth, needs that. Hint: a copy of "
                       "best_model.pth or of a checkpoint_epoch_N.pth under that name goes on from there.",
                       run->folder);
    if (fa_run_exists(run->folder) && !args->overwrite)
        return fa_fail(FA_FILE_ERROR, args->where_, "fa_run_open",
                       "got the folder %s, which holds a run already, needs one without. Hint: .resume = true goes on "
                       "with that run, .overwrite = true removes it and begins anew.",
                       run->folder);
    return fa_make_folders(run->folder, "fa_run_open", args->where_) && lock_folder(run, args->where_) &&
           (!args->overwrite || fa_run_remove(run, args->where_)) && tell_position(run, args->where_) &&
           fa_run_write(run, "last.pth", args->where_);
}

static bool go_on(fa_run *run, fa_where where)
{
    run->resumed = true;
    return lock_folder(run, where) && fa_run_read(run, where) && fa_run_prune(run, where);
}

static bool has_checkpoint(const fa_run *run, fa_where where)
{
    char *path = fa_run_path(run, "last.pth", where);
    bool there = path != NULL && access(path, F_OK) == 0;
    fa_mfree(path);
    return there;
}

fa_run *fa_run_open_at(const fa_run_open_args *args)
{
    if (!fa_ok() || !check_args(args))
        return NULL;
    fa_run *run = fa_calloc(1, sizeof *run);
    if (run == NULL) {
        fa_fail_memory(args->where_, sizeof *run);
        return NULL;
    }
    atomic_fetch_add(&live, 1);
    run->lock = -1;
    bool fine = fill(run, args);
    if (fine)
        fine = args->resume && has_checkpoint(run, args->where_) ? go_on(run, args->where_) : begin_anew(run, args);
    if (!fine || !fa_run_record(run, NULL, args->where_)) {
        fa_run_free(run);
        return NULL;
    }
    fa_run_keep_weights(run, args->where_);
    run->saved_at = seconds_now();
    if (args->signals) {
        run->signals = true;
        fa_signals_begin();
    }
    return run;
}

void fa_run_free(fa_run *run)
{
    if (run == NULL)
        return;
    if (run->signals)
        fa_signals_end();
    if (run->lock >= 0)
        fa_sys_close(run->lock);
    fa_object_drop((fa_object *)run->loader);
    fa_module_free(run->model);
    if (run->options != NULL)
        fa_value_free(run->options);
    for (int64_t i = 0; i < run->class_count; i++)
        fa_mfree(run->class_names[i]);
    fa_mfree(run->class_names);
    fa_mfree(run->folder);
    fa_mfree(run->transforms);
    fa_mfree(run->network);
    fa_mfree(run->optim_text);
    fa_mfree(run->schedule_text);
    fa_text_free(&run->notes);
    fa_text_free(&run->history);
    fa_mfree(run->weights);
    fa_mfree(run);
    atomic_fetch_sub(&live, 1);
}

int64_t fa_run_live_count(void)
{
    return atomic_load(&live);
}

/* ---- Stops and saves --------------------------------------------------------------------------------------------- */

static int stop_wanted(const fa_run *run)
{
    int noted = run->signals ? fa_signals_noted() : 0;
    return noted != 0 ? noted : atomic_load(&run->asked);
}

static bool save_last(fa_run *run, fa_where where)
{
    if (!fa_run_write(run, "last.pth", where))
        return false;
    run->saved_at = seconds_now();
    return fa_run_record(run, NULL, where);
}

/* Saves and stops the run if that was asked for; false then, and after an error. */
static bool go_further(fa_run *run, fa_where where)
{
    int wanted = stop_wanted(run);
    if (wanted == 0)
        return true;
    run->stop = wanted;
    run->state = "stopped";
    save_last(run, where);
    return false;
}

/* ---- Epochs ------------------------------------------------------------------------------------------------------ */

static bool use(const fa_run *run, const char *what, fa_where where)
{
    return fa_ok() && (run != NULL || fa_fail(FA_VALUE_ERROR, where, what, "got no run (NULL), needs one."));
}

int64_t fa_run_next_epoch_at(fa_run *run, fa_where where)
{
    if (!use(run, "fa_for_each_epoch", where) || run->stop != 0)
        return -1;
    if (run->in_epoch) {
        fa_fail(FA_STATE_ERROR, where, "fa_for_each_epoch",
                "got an epoch without an end, needs fa_run_end_epoch(run) as its last line.");
        return -1;
    }
    if (run->epoch >= run->epochs)
        return -1;
    if (run->resumed) {
        run->resumed = false;
        if (!fa_loader_seek(run->loader, &run->position, where))
            return -1;
    }
    if (run->batch == 0) {
        run->training = (fa_run_sums){0};
        run->epoch_lr = fa_lr(run->optim);
    }
    run->validation = (fa_run_sums){0};
    run->in_epoch = true;
    run->epoch_began = run->trained_at = seconds_now();
    return run->epoch;
}

/* Records how many labels the scores guess; NULL without scores. */
static fa_tensor *count_correct(const fa_run_batch_args *args, fa_tensor *labels)
{
    if (args->scores == NULL)
        return NULL;
    fa_where where = args->where_;
    fa_tensor *guess = fa_argmax_at(&(fa_arg_args){.x = args->scores, .dim = 1, .where_ = where});
    return fa_sum_at(&(fa_sum_args){FA_SUM_DEFAULTS_, .x = fa_eq_at(guess, labels, where), .where_ = where});
}

/* Adds a batch to sums; its loss goes to *loss (0: does not count). False after an error. */
static bool measure(const fa_run_batch_args *args, fa_run_sums *sums, double *loss)
{
    fa_tensor *labels = args->batch->labels;
    fa_tensor *count = count_correct(args, labels);
    if (args->loss != NULL)
        *loss = fa_item_at(args->loss, args->where_); /* all work of the batch is done with it */
    else
        fa_sync_at(args->where_);
    double correct = count != NULL ? fa_item_at(count, args->where_) : 0;
    if (!fa_ok())
        return false;
    double weight = args->weight >= 0 ? args->weight : (double)args->batch->size;
    if (args->loss == NULL || weight == 0)
        weight = *loss = 0;
    sums->loss += *loss * weight;
    sums->weight += weight;
    sums->correct += (int64_t)correct;
    sums->judged += count != NULL ? fa_numel(labels) : 0;
    return true;
}

static bool check_batch(const fa_run_batch_args *args, const char *what, bool training)
{
    const fa_run *run = args->run;
    if (!use(run, what, args->where_))
        return false;
    if (args->batch->n < 1 || args->batch->loader_ == NULL)
        return fa_fail(FA_VALUE_ERROR, args->where_, what, "got no batch of a loop, needs that of fa_for_each_batch.");
    if (args->scores != NULL && args->batch->n < 2)
        return fa_fail(FA_VALUE_ERROR, args->where_, what, "got .scores for a batch without labels, needs both.");
    if (training && args->batch->loader_ != run->loader)
        return fa_fail(FA_VALUE_ERROR, args->where_, what,
                       "got a batch of another loader, needs one of the run's .train_loader. Hint: fa_run_validate is "
                       "for the others.");
    return true;
}

static bool check_in_epoch(const fa_run *run, const char *what, fa_where where)
{
    return run->in_epoch ||
           fa_fail(FA_STATE_ERROR, where, what, "got a call outside an epoch, needs fa_for_each_epoch around it.");
}

/* Training on would only spoil what is still good. */
static bool refuse_loss(fa_run *run, const fa_batch *batch, double loss, fa_where where)
{
    char kept[128] = "", first[512];
    fa_run_find_not_finite(run, batch, first, sizeof first, where);
    if (run->best_epoch >= 0)
        snprintf(kept, sizeof kept, ", best_model.pth is that of epoch %lld", (long long)run->best_epoch + 1);
    fa_fail(
        FA_VALUE_ERROR, where, "fa_run_step",
        "the loss became %s in epoch %lld, step %lld, at learning rate %g%s%s. %s/last.pth is the last state that was "
        "saved before%s. Hint: a smaller rate, for example %g; are the labels right?",
        isnan(loss) ? "NaN"
        : loss > 0  ? "inf"
                    : "-inf",
        (long long)run->epoch + 1, (long long)run->batch + 1, fa_lr(run->optim),
        first[0] != 0 ? "; not finite first: " : "", first, run->folder, kept, fa_lr(run->optim) / 10);
    run->state = "diverged";
    fa_run_record(run, NULL, where);
    return false;
}

/* What the optimizer has to tell, once. */
static void note_optim(fa_run *run)
{
    const char *note = fa_optim_notes(run->optim);
    if (!run->optim_noted && note[0] != '\0')
        fa_text_add(&run->notes, "%s\n", note);
    run->optim_noted = note[0] != '\0';
}

bool fa_run_step_at(const fa_run_batch_args *args)
{
    fa_run *run = args->run;
    fa_where where = args->where_;
    double loss = 0;
    fa_run_sums sums;
    if (!check_batch(args, "fa_run_step", true) || run->stop != 0 || !check_in_epoch(run, "fa_run_step", where))
        return false;
    sums = run->training;
    if (!measure(args, &sums, &loss))
        return false;
    if (!isfinite(loss))
        return refuse_loss(run, args->batch, loss, where);
    fa_run_keep_weights(run, where);
    note_optim(run);
    run->training = sums;
    run->batch = args->batch->index + 1;
    run->trained_at = seconds_now();
    bool due = run->every_minutes > 0 && run->trained_at - run->saved_at >= 60 * run->every_minutes;
    bool stops = stop_wanted(run) != 0;
    if (!tell_position(run, where))
        return false;
    if (stops) {
        go_further(run, where);
        fa_loader_halt(run->loader);
        return false;
    }
    return !due || save_last(run, where);
}

/* A batch that is only looked at. */
static bool look(const fa_run_batch_args *args, fa_run_sums *sums)
{
    double loss = 0;
    fa_run *run = args->run;
    if (run->stop != 0 || !measure(args, sums, &loss))
        return false;
    if (go_further(run, args->where_))
        return true;
    fa_loader_halt(args->batch->loader_);
    return false;
}

bool fa_run_validate_at(const fa_run_batch_args *args)
{
    return check_batch(args, "fa_run_validate", false) &&
           (args->run->stop != 0 || check_in_epoch(args->run, "fa_run_validate", args->where_)) &&
           look(args, &args->run->validation);
}

bool fa_run_test_at(const fa_run_batch_args *args)
{
    if (!check_batch(args, "fa_run_test", false))
        return false;
    if (args->run->in_epoch && args->run->stop == 0)
        return fa_fail(
            FA_STATE_ERROR, args->where_, "fa_run_test",
            "got a call inside an epoch, needs all of them done. Hint: fa_run_validate measures each epoch.");
    return look(args, &args->run->test);
}

static bool save_epoch(fa_run *run, fa_where where)
{
    /* The best one first: if the process ends in between, last.pth is that of before, and this epoch is done again. */
    if (run->is_best && !fa_run_write(run, "best_model.pth", where))
        return false;
    if (run->every_epochs > 0 && run->epoch % run->every_epochs == 0) {
        char name[64];
        snprintf(name, sizeof name, "checkpoint_epoch_%lld.pth", (long long)run->epoch);
        if (!fa_run_write(run, name, where))
            return false;
    }
    return save_last(run, where) && fa_run_prune(run, where);
}

bool fa_run_end_epoch_at(const fa_run_epoch_args *args)
{
    fa_run *run = args->run;
    fa_where where = args->where_;
    if (!use(run, "fa_run_end_epoch", where) || run->stop != 0 || !check_in_epoch(run, "fa_run_end_epoch", where))
        return false;
    run->last_training = fa_run_mean(&run->training);
    run->last_validation = fa_run_mean(&run->validation);
    if (!isnan(args->val_loss))
        run->last_validation.loss = args->val_loss;
    if (!isnan(args->val_acc))
        run->last_validation.accuracy = args->val_acc;
    fa_run_add_row(&run->history, run->epoch, "train", run->last_training, run->epoch_lr);
    if (!isnan(run->last_validation.loss) || !isnan(run->last_validation.accuracy))
        fa_run_add_row(&run->history, run->epoch, "validation", run->last_validation, NAN);
    if (run->history.failed)
        return fa_fail_memory(where, run->history.length);
    run->is_best =
        isfinite(run->last_validation.loss) && (run->best_epoch < 0 || run->last_validation.loss < run->best.loss);
    if (run->is_best) {
        run->best = run->last_validation;
        run->best_epoch = run->epoch;
    }
    double now = seconds_now();
    double trained = run->trained_at - run->epoch_began, validated = now - run->trained_at;
    run->epoch++;
    run->batch = 0;
    run->training = (fa_run_sums){0};
    run->in_epoch = false;
    int wanted = stop_wanted(run);
    if (wanted != 0) {
        run->stop = wanted;
        run->state = "stopped";
    }
    return fa_sync_at(where) && tell_position(run, where) && save_epoch(run, where) &&
           fa_run_time(run, "train", trained, where) && fa_run_time(run, "validation", validated, where) && wanted == 0;
}

bool fa_run_finish_at(fa_run *run, fa_where where)
{
    if (!use(run, "fa_run_finish", where))
        return false;
    if (run->stop != 0 || run->epoch < run->epochs)
        return true;
    fa_text row = {0};
    if (run->test.weight > 0 || run->test.judged > 0)
        fa_run_add_row(&row, run->epoch - 1, "test", fa_run_mean(&run->test), NAN);
    run->state = "finished";
    bool fine = !row.failed ? fa_run_record(run, row.data, where) : fa_fail_memory(where, row.length);
    fa_text_free(&row);
    return fine;
}

/* ---- What the program may ask ------------------------------------------------------------------------------------ */

fa_run_result fa_run_results(const fa_run *run)
{
    const fa_measure none = {NAN, NAN};
    if (run == NULL)
        return (fa_run_result){.train_loss = NAN,
                               .train_acc = NAN,
                               .val_loss = NAN,
                               .val_acc = NAN,
                               .test_loss = NAN,
                               .test_acc = NAN,
                               .best_val_loss = NAN,
                               .best_val_acc = NAN,
                               .best_epoch = -1};
    fa_measure training = run->in_epoch ? fa_run_mean(&run->training) : run->last_training;
    fa_measure validation = run->in_epoch ? fa_run_mean(&run->validation) : run->last_validation;
    fa_measure test = run->test.weight > 0 || run->test.judged > 0 ? fa_run_mean(&run->test) : none;
    return (fa_run_result){run->epoch,         run->epochs,         run->batch,  training.loss, training.accuracy,
                           validation.loss,    validation.accuracy, test.loss,   test.accuracy, run->best.loss,
                           run->best.accuracy, run->best_epoch,     run->is_best};
}

const char *fa_run_notes(const fa_run *run)
{
    return run != NULL && run->notes.data != NULL ? run->notes.data : "";
}

const char *fa_run_folder(const fa_run *run)
{
    return run != NULL ? run->folder : "";
}

void fa_run_stop(fa_run *run)
{
    if (run != NULL)
        atomic_store(&run->asked, -1);
}

int fa_run_stopped(const fa_run *run)
{
    return run != NULL ? run->stop : 0;
}
