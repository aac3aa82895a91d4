/* What is behind a run. run.c moves it through its epochs and batches, checkpoint.c turns it into a value and back,
 * record.c writes what people read. */
#ifndef FA_TRAIN_RUN_H
#define FA_TRAIN_RUN_H

#include "data/loader.h"
#include "facula/train.h"
#include "nn/module.h"
#include "optim/optim.h"

/* Sums over samples: means follow whatever the batches were. */
typedef struct fa_run_sums {
    double loss, weight;     /* sum of loss x weight, sum of weights */
    int64_t correct, judged; /* labels that were guessed, labels */
} fa_run_sums;

typedef struct fa_measure {
    double loss, accuracy; /* NaN: unknown */
} fa_measure;

struct fa_run {
    /* as opened */
    char *folder;
    fa_module *model;
    fa_optim *optim;
    fa_scheduler *scheduler;
    fa_ema *ema;
    fa_loader *loader;
    int64_t epochs, every_epochs, keep_last;
    double every_minutes;
    bool signals;
    int lock;           /* the folder, open and locked against other processes; -1: not yet */
    char **class_names; /* [class_count] */
    int64_t class_count;
    char *transforms;    /* NULL: not given */
    bool exif;           /* pictures are read so */
    fa_value *options;   /* retained; NULL: not given */
    char *network;       /* the model's printed form */
    char *optim_text;    /* the optimizer's options as the run began with them */
    char *schedule_text; /* the schedule's; NULL: none */
    fa_fingerprint data; /* of what it trains on */
    fa_text notes;

    /* where it stands: this is what checkpoints hold */
    int64_t epoch; /* done */
    int64_t batch; /* done in the next one */
    fa_run_sums training;
    double epoch_lr;                           /* at the first step of the epoch that is running */
    fa_measure last_training, last_validation; /* of the last epoch */
    fa_measure best;
    int64_t best_epoch;          /* -1: none */
    fa_text history;             /* rows of history.csv */
    fa_loader_position position; /* as of the last batch of the epoch's training or, between epochs, of now */

    /* only in this process */
    fa_run_sums validation, test;
    bool in_epoch, resumed;
    bool optim_noted; /* what fa_optim_notes says stands in `notes` */
    bool is_best;
    int64_t batches; /* in an epoch */
    int stop;        /* why it has stopped; 0: it has not */
    atomic_int asked;
    char *weights;                            /* those of before the step, one after the other; NULL: not kept */
    size_t weights_size;                      /* bytes */
    double saved_at, epoch_began, trained_at; /* seconds of a steady clock */
    const char *state;                        /* of run.json: "running", "stopped", "finished", "diverged" */
};

/* ---- checkpoint.c ---- */

/* A text of an optimizer's or a schedule's options, for comparison and for people. NULL after an error. */
char *fa_run_optim_text(fa_optim *optim, fa_where where);
char *fa_run_schedule_text(fa_scheduler *scheduler, fa_where where);
/* Writes the run's state into the file of this name in its folder. */
bool fa_run_write(fa_run *run, const char *name, fa_where where);
/* Brings a run that has just been opened, and what it holds, to the state of last.pth. False after an error. */
bool fa_run_read(fa_run *run, fa_where where);

/* ---- finite.c ---- */

/* Keeps the weights as they are, for fa_run_find_not_finite after the step that comes next. */
void fa_run_keep_weights(fa_run *run, fa_where where);
/* What in the batch's step was not finite first, in words; "" when that cannot be told. The model has the weights of
 * before the step then. */
void fa_run_find_not_finite(fa_run *run, const fa_batch *batch, char *text, size_t size, fa_where where);

/* ---- record.c ---- */

/* "folder/name"; NULL after an error. Freed with fa_mfree. */
char *fa_run_path(const fa_run *run, const char *name, fa_where where);
/* Whether the folder holds files of a run. */
bool fa_run_exists(const char *folder);
/* Removes the files of a run, and of writers that died. False after an error. */
bool fa_run_remove(const fa_run *run, fa_where where);
/* Removes the checkpoint_epoch_N.pth that are too many. */
bool fa_run_prune(const fa_run *run, fa_where where);
void fa_run_add_row(fa_text *history, int64_t epoch, const char *split, fa_measure measure, double lr);
/* history.csv (its rows, then `extra` if not NULL) and run.json. */
bool fa_run_record(fa_run *run, const char *extra, fa_where where);
/* A line of times.csv. */
bool fa_run_time(fa_run *run, const char *split, double seconds, fa_where where);

/* Mean of sums; NaN where there is nothing. */
fa_measure fa_run_mean(const fa_run_sums *sums);

#endif
