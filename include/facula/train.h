/* A run: a training that is kept in a folder, and goes on exactly where it stopped.
 *
 *     fa_run *run = fa_run_open("runs/mnist", .model = model, .optim = optim, .scheduler = schedule,
 *                               .train_loader = train, .epochs = 10, .resume = true, .signals = true);
 *     fa_for_each_epoch (epoch, run) {
 *         fa_train(model);
 *         fa_for_each_batch (b, train) {
 *             fa_tensor *scores = fa_forward(model, b.images);
 *             fa_tensor *loss = fa_cross_entropy(scores, b.labels);
 *             fa_zero_grad(optim);
 *             fa_backward(loss);
 *             fa_step(optim);
 *             fa_run_step(run, b, loss, .scores = scores);
 *         }
 *         fa_eval(model);
 *         fa_no_grad fa_for_each_batch (b, validation) {
 *             fa_tensor *scores = fa_forward(model, b.images);
 *             fa_run_validate(run, b, fa_cross_entropy(scores, b.labels), .scores = scores);
 *         }
 *         fa_step(schedule);
 *         fa_run_end_epoch(run);
 *         fa_run_result r = fa_run_results(run);
 *         printf("epoch %d  loss %.4f  validation %.4f\n", (int)epoch + 1, r.train_loss, r.val_loss);
 *     }
 *     fa_free(run);
 *
 * The loops are the program's own. Those of a resumed run start at the epoch and the batch that come next; what was
 * done before is neither read nor computed again. When the run is to stop (a signal, fa_run_stop) it is saved, and its
 * loops end by themselves.
 *
 * The folder, whose names are fixed:
 *   last.pth                   where the run stands; written at the start, every so many minutes, and with each epoch
 *   best_model.pth             the epoch with the least validation loss
 *   checkpoint_epoch_N.pth     after epoch N (counted from 1), every `every_epochs` epochs
 *   history.csv                epoch,split,loss,accuracy,lr: a row for each epoch's training and validation
 *   run.json                   what the run is and how far it has come, for other programs to read
 *   times.csv                  epoch,split,seconds: how long it took; nothing here is read again
 * Each .pth is written beside its name and takes it when it is whole and on the disk, so at every moment there is one
 * that loads. They are checkpoints as PyTorch's users write them: torch.load() gives a dict with `epoch` (from 0),
 * `model_state_dict`, `optimizer_state_dict`, `val_loss`, `val_acc` (in percent), and what exact resuming needs
 * besides.
 *
 * Exact: a run that was stopped anywhere and resumed ends with the same weights, the same history.csv and the same
 * checkpoints, byte for byte, as one that was not, for any number of threads and loader workers on the same instruction
 * set. The state of a run is the model, the optimizer, the schedule, the averages of weights, the default generator,
 * the train loader's and its sampler's generators. What else a program draws from or counts is its own affair. */
#ifndef FACULA_TRAIN_H
#define FACULA_TRAIN_H

#include "facula/data.h"
#include "facula/state.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fa_run fa_run;

typedef struct fa_run_open_args {
    char begin_;
    const char *folder;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_module *model;        /* needed */
    fa_optim *optim;         /* needed; not to be freed before the run */
    fa_scheduler *scheduler; /* likewise, where there is one */
    fa_ema *ema;             /* likewise */
    fa_loader *train_loader; /* needed: its position is part of the run */
    int64_t epochs;          /* in all, those done before included; needed */
    bool resume;             /* go on with the run in the folder; without one there, begin */
    bool overwrite;          /* begin anew in a folder that holds a run, which is removed */
    int64_t every_epochs;    /* a checkpoint_epoch_N.pth every so many epochs; 0: none */
    double every_minutes;    /* last.pth is written within an epoch when so much time has passed; 0: never */
    int64_t keep_last;       /* how many checkpoint_epoch_N.pth stay; 0: all */
    bool signals;            /* SIGINT and SIGTERM are noted, and stop the run after the step, until fa_free(run) */
    fa_names class_names;    /* copied; in every checkpoint */
    const char *transforms;  /* how images are prepared; copied, in every checkpoint */
    bool exif;               /* the pictures were read with .exif: in every checkpoint, and a predictor does so too */
    const fa_value *options; /* plain values of the program's own; in every checkpoint and in run.json */
} fa_run_open_args;
/* Makes the folder, or reads last.pth there and brings model, optimizer, schedule, loader and generators to where the
 * run stood, and writes last.pth. NULL after an error:
 *   - the folder holds a run, and neither resume nor overwrite is set: nothing is touched;
 *   - resuming, the network, the optimizer or one of its options (the learning rate too), the kind of schedule, the
 *     loader, or the class names and the items' names and labels, where those are known, are not those of the run: the
 *     message names both, and nothing has changed;
 *   - another process has the run open;
 *   - files that cannot be read or written.
 * .epochs may be greater than before. The schedule goes on with its own numbers as they were saved (a cosine over 10
 * epochs is not stretched); fa_run_notes says so. */
FA_API fa_run *fa_run_open_at(const fa_run_open_args *args) FA_WARN_UNUSED;
#define fa_run_open(...)                                                                                               \
    FA_CALL_(fa_run_open_at, fa_run_open_args, .every_epochs = 10, .every_minutes = 10, .begin_ = 0, __VA_ARGS__)

/* What the program's user should know, a line each, "" when there is nothing: what a resumed run does otherwise than
 * this program says, that bits may differ (another instruction set), a Softmax in front of cross-entropy; later in the
 * run, steps without fa_zero_grad (fa_optim_notes). Valid until the next call with this run. */
FA_API const char *fa_run_notes(const fa_run *run);
FA_API const char *fa_run_folder(const fa_run *run);

/* fa_for_each_epoch (epoch, run) { ... }: the epochs still to be done, counted from 0 (int64_t). Ends with the last
 * one, an error, or a stop. */
#define fa_for_each_epoch(epoch, run)                                                                                  \
    for (int64_t epoch = fa_run_next_epoch_at((run), FA_HERE); epoch >= 0; epoch = fa_run_next_epoch_at((run), FA_HERE))
FA_API int64_t fa_run_next_epoch_at(fa_run *run, fa_where where); /* -1: no more */

typedef struct fa_run_batch_args {
    char begin_;
    fa_run *run;
    const fa_batch *batch;
    fa_tensor *loss; /* of the batch, a mean over its samples; NULL: not kept */
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_tensor *scores; /* [N, classes, ...]: right where the greatest one is the label's; gives the accuracy */
    double weight;     /* samples that the loss is a mean of; default: those of the batch; 0: it does not count */
} fa_run_batch_args;
/* The end of a batch of the train loader, when all else of it is done (a schedule's step too): waits for its work, adds
 * up loss and accuracy, saves when the time has come. False when the loop is at its end: after an error (a loss that is
 * not finite is one; last.pth stays the last good state), or because the run stops. */
FA_API bool fa_run_step_at(const fa_run_batch_args *args);
#define fa_run_step(run, batch, ...)                                                                                   \
    FA_CALL_(fa_run_step_at, fa_run_batch_args, .weight = -1, .begin_ = 0, (run), &(batch), __VA_ARGS__)
/* The same for a batch that is only looked at: in an epoch, after its training, for validation; after the last epoch
 * for a test. Means are over samples, whatever the batch size. */
FA_API bool fa_run_validate_at(const fa_run_batch_args *args);
FA_API bool fa_run_test_at(const fa_run_batch_args *args);
#define fa_run_validate(run, batch, ...)                                                                               \
    FA_CALL_(fa_run_validate_at, fa_run_batch_args, .weight = -1, .begin_ = 0, (run), &(batch), __VA_ARGS__)
#define fa_run_test(run, batch, ...)                                                                                   \
    FA_CALL_(fa_run_test_at, fa_run_batch_args, .weight = -1, .begin_ = 0, (run), &(batch), __VA_ARGS__)

typedef struct fa_run_epoch_args {
    char begin_;
    fa_run *run;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double val_loss, val_acc; /* measured by the program, instead of fa_run_validate; percent */
} fa_run_epoch_args;
/* The end of an epoch: history, checkpoints, best_model.pth if its validation loss is the least so far. False after an
 * error, and when the run stops. */
FA_API bool fa_run_end_epoch_at(const fa_run_epoch_args *args);
#define fa_run_end_epoch(...)                                                                                          \
    FA_CALL_(fa_run_end_epoch_at, fa_run_epoch_args, .val_loss = FA_UNKNOWN, .val_acc = FA_UNKNOWN, .begin_ = 0,       \
             __VA_ARGS__)
/* The end of the run, after its last epoch and its test: writes down what fa_run_test measured. Nothing while epochs
 * are still to be done. False after an error. */
FA_API bool fa_run_finish_at(fa_run *run, fa_where where);
#define fa_run_finish(run) fa_run_finish_at((run), FA_HERE)

#define FA_UNKNOWN __builtin_nan("")
typedef struct fa_run_result {
    int64_t epoch;                /* epochs done */
    int64_t epochs;               /* in all */
    int64_t batch;                /* batches done in the epoch that is running */
    double train_loss, train_acc; /* of the running epoch so far, else of the last one; NaN: unknown */
    double val_loss, val_acc;
    double test_loss, test_acc;
    double best_val_loss, best_val_acc;
    int64_t best_epoch; /* from 0; -1: none yet */
    bool is_best;       /* the last one is the best */
} fa_run_result;
FA_API fa_run_result fa_run_results(const fa_run *run);

/* Asks the run to stop after the step, from a callback or another thread. */
FA_API void fa_run_stop(fa_run *run);
/* Why the run has stopped before its end: the number of the signal, -1 after fa_run_stop, else 0. */
FA_API int fa_run_stopped(const fa_run *run);

/* fa_free: lets go of what the run holds, gives signals back. Saves nothing. */
FA_API void fa_run_free(fa_run *run);
/* Those that have not been freed yet. */
FA_API int64_t fa_run_live_count(void);

#ifdef __cplusplus
}
#endif
#endif
