/* A small training for the tests of runs: five numbers in, three classes. */
#ifndef FA_TESTS_RUN_RIG_H
#define FA_TESTS_RUN_RIG_H

#include "support/facula_test.h"

#include "facula.h"
#include "support/tempdir.h"

#include <string.h>
#include <unistd.h>

enum { ITEMS = 40, BATCH = 16, STEPS = 3 };

typedef struct rig {
    fa_module *model;
    fa_optim *optim;
    fa_scheduler *schedule;
    fa_loader *train, *validation;
    bool plateau; /* the schedule is one of a metric */
} rig;

static inline fa_loader *make_loader(int64_t items, int64_t batch_size, bool shuffle)
{
    int64_t labels[ITEMS];
    for (int64_t i = 0; i < items; i++)
        labels[i] = i % 3;
    return fa_data_loader(fa_tensor_dataset(fa_randn(items, 5), fa_from_memory(labels, FA_INT64, FA_SHAPE(items))),
                          .batch_size = batch_size, .shuffle = shuffle);
}

static inline rig make_rig(void)
{
    fa_manual_seed(1);
    rig r = {.model = fa_nn_sequential(fa_nn_linear(5, 4), fa_nn_relu(), fa_nn_linear(4, 3))};
    r.train = make_loader(ITEMS, BATCH, true);
    r.validation = make_loader(10, 4, false);
    r.optim = fa_sgd(fa_parameters(r.model), 0.1, .momentum = 0.9);
    assert_true(fa_ok());
    return r;
}

static inline void end_rig(rig *r)
{
    fa_free(r->schedule);
    fa_free(r->optim);
    fa_free(r->model);
    fa_free(r->train);
    fa_free(r->validation);
}

static inline fa_run *open_run(const rig *r, const char *folder, int64_t epochs, bool resume)
{
    return fa_run_open(folder, .model = r->model, .optim = r->optim, .scheduler = r->schedule, .train_loader = r->train,
                       .epochs = epochs, .resume = resume, .every_epochs = 1);
}

static inline bool train_batch(const rig *r, fa_run *run, const fa_batch *b)
{
    fa_tensor *scores = fa_forward(r->model, b->images);
    fa_tensor *loss = fa_cross_entropy(scores, b->labels);
    fa_zero_grad(r->optim);
    fa_backward(loss);
    fa_step(r->optim);
    return fa_run_step(run, *b, loss, .scores = scores);
}

static inline void validate(const rig *r, fa_run *run)
{
    fa_no_grad {
        fa_for_each_batch (b, r->validation) {
            fa_tensor *scores = fa_forward(r->model, b.images);
            fa_run_validate(run, b, fa_cross_entropy(scores, b.labels), .scores = scores);
        }
    }
}

static inline void train_to_the_end(const rig *r, fa_run *run)
{
    fa_for_each_epoch (epoch, run) {
        fa_for_each_batch (b, r->train)
            train_batch(r, run, &b);
        validate(r, run);
        if (r->plateau)
            fa_step_metric(r->schedule, fa_run_results(run).val_loss);
        else if (r->schedule != NULL)
            fa_step(r->schedule);
        fa_run_end_epoch(run);
    }
    if (!fa_ok())
        fail_msg("%s", fa_error());
}

static inline bool there(const char *folder, const char *name)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return access(path, F_OK) == 0;
}

static inline char *read_of(const char *folder, const char *name)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return read_file(path, NULL);
}

/* The open fails with this message; the folder's last.pth stays as it was. */
static inline void refuse(const rig *r, const char *folder, int64_t epochs, const char *part)
{
    char *before = read_of(folder, "last.pth");
    fa_run *run = open_run(r, folder, epochs, true);
    assert_null(run);
    assert_contains(fa_error(), part);
    fa_clear_error();
    char *after = read_of(folder, "last.pth");
    assert_string_equal(before, after);
    free(before);
    free(after);
}

#endif
