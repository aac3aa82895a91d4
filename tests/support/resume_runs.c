/* Runs in parts. Each part is a child process of its own; this process never uses the library. */
#include "support/resume_runs.h"

#include "facula.h"
#include "support/facula_test.h"
#include "support/tempdir.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ITEMS = 75, HELD_OUT = 20, BATCH = 8, STEPS = 10, EPOCHS = 3, CLASSES = 4, SIDE = 10, WORKERS = 3, THREADS = 3 };

typedef struct setup {
    const char *name;
    enum { SGD, ADAM, ADAMW, RMSPROP, OPTIMS } optim;
    enum { NO_SCHEDULE, STEP, COSINE, PLATEAU, WARM_UP, ONE_CYCLE, PER_STEP_COSINE, SCHEDULES } schedule;
    enum { SHUFFLE, OWN_GENERATOR, REPLACEMENT, ORDERS } order;
    int workers;
    bool ema, drop_last, augment;
    int left_after; /* steps after which each epoch's training is left; 0: it is not */
} setup;

/* Where a part of a run stops: after `step` steps of `epoch`, or (step 0) at the end of it, or in its validation. */
typedef struct stop {
    int epoch, step;
    bool validation;
} stop;

static const stop no_stop = {-1, 0, false};

/* ---- One part, in a child ---------------------------------------------------------------------------------------- */

static fa_module *make_model(int channels)
{
    return fa_nn_sequential(fa_nn_conv2d(channels, 6, 3, .padding = 1), fa_nn_batch_norm2d(6), fa_nn_relu(),
                            fa_nn_max_pool2d(2), fa_nn_dropout(.p = 0.3), fa_nn_flatten(),
                            fa_nn_linear(6 * 4 * 4, CLASSES));
}

static int64_t label_of(int64_t i)
{
    return (i * 7 + i / 3) % CLASSES;
}

static fa_dataset *make_data(uint64_t seed, int64_t items)
{
    fa_generator *generator = fa_generator_new();
    fa_generator_seed(generator, seed);
    fa_tensor *images = fa_randn_with(FA_SHAPE(items, 1, 8, 8), .generator = generator);
    int64_t labels[ITEMS];
    for (int64_t i = 0; i < items; i++)
        labels[i] = label_of(i);
    fa_dataset *data = fa_tensor_dataset(images, fa_from_memory(labels, FA_INT64, FA_SHAPE(items)));
    fa_free(generator);
    return data;
}

/* Pictures in colour, each through a transform. */
typedef struct pictures {
    int64_t items;
    fa_transform *transform;
} pictures;

static int64_t pictures_length(void *user)
{
    return ((pictures *)user)->items;
}

static bool pictures_item(void *user, int64_t index, fa_sample *sample)
{
    pictures *p = user;
    uint8_t pixels[SIDE * SIDE * 3];
    for (int64_t k = 0; k < (int64_t)sizeof pixels; k++)
        pixels[k] = (uint8_t)(k * 37 + k * k / 7 * 11 + index * 101 + p->items);
    return fa_sample_image(sample, pixels, SIDE, SIDE, 3, p->transform) && fa_sample_label(sample, label_of(index));
}

static void pictures_end(void *user)
{
    fa_free(((pictures *)user)->transform);
    free(user);
}

static fa_dataset *make_pictures(int64_t items, const char *transform)
{
    pictures *p = malloc(sizeof *p);
    if (p == NULL)
        return NULL;
    *p = (pictures){items, fa_transform_parse(transform)};
    return fa_dataset_new(p, .length = pictures_length, .item = pictures_item, .destroy = pictures_end);
}

static const char augmentation[] =
    "RandomCrop(8, padding=1), RandomHorizontalFlip(), RandomVerticalFlip(0.3), RandomRotation(15), "
    "RandomApply([ColorJitter(0.3, 0.3, 0.3, 0.1)], p=0.7), RandomGrayscale(0.2), ToTensor(), "
    "Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)), RandomErasing(value='random')";
static const char plain[] = "CenterCrop(8), ToTensor(), Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))";

static fa_scheduler *make_schedule(const setup *s, fa_optim *optim)
{
    switch (s->schedule) {
    case STEP:
        return fa_step_lr(optim, 1, .gamma = 0.5);
    case COSINE:
        return fa_cosine_annealing_lr(optim, EPOCHS);
    case PLATEAU:
        return fa_reduce_lr_on_plateau(optim, .patience = 0, .threshold = 0.5);
    case WARM_UP:
        return fa_sequential_lr(
            optim,
            FA_SCHEDULES(fa_linear_lr(optim, .total_iters = 7), fa_cosine_annealing_lr(optim, EPOCHS * STEPS - 7)),
            FA_MILESTONES(7));
    case ONE_CYCLE:
        return fa_one_cycle_lr(optim, 0.05, .total_steps = EPOCHS * STEPS);
    case PER_STEP_COSINE:
        return fa_cosine_annealing_lr(optim, EPOCHS * STEPS);
    default:
        return NULL;
    }
}

static bool is_per_step(const setup *s)
{
    return s->schedule == WARM_UP || s->schedule == ONE_CYCLE || s->schedule == PER_STEP_COSINE;
}

static fa_optim *make_optim(const setup *s, fa_module *model)
{
    switch (s->optim) {
    case SGD:
        return fa_sgd(fa_parameters(model), 0.05, .momentum = 0.9, .nesterov = true, .weight_decay = 1e-4);
    case ADAM:
        return fa_adam(fa_parameters(model), 1e-2);
    case ADAMW:
        return fa_adamw(fa_parameters(model), 1e-2, .amsgrad = true);
    default:
        return fa_rmsprop(fa_parameters(model), 1e-3, .momentum = 0.5, .centered = true);
    }
}

/* Trains until the end or the stop. */
static int part(const setup *s, const char *folder, stop at, int64_t epochs, int threads, int workers)
{
    fa_set_num_threads(threads);
    fa_manual_seed(3);
    fa_module *model = make_model(s->augment ? 3 : 1);
    fa_dataset *data = s->augment ? make_pictures(ITEMS, augmentation) : make_data(5, ITEMS);
    fa_dataset *held_out = s->augment ? make_pictures(HELD_OUT, plain) : make_data(6, HELD_OUT);
    fa_generator *generator = fa_generator_new();
    fa_generator_seed(generator, 17);
    fa_sampler *sampler = s->order == REPLACEMENT ? fa_random_sampler(data, .replacement = true, .num_samples = ITEMS,
                                                                      .generator = generator)
                                                  : NULL;
    fa_loader *train = fa_data_loader(data, .batch_size = BATCH, .shuffle = sampler == NULL, .sampler = sampler,
                                      .generator = s->order == OWN_GENERATOR ? generator : NULL, .num_workers = workers,
                                      .drop_last = s->drop_last);
    fa_loader *validation = fa_data_loader(held_out, .batch_size = 7);
    fa_optim *optim = make_optim(s, model);
    fa_scheduler *schedule = make_schedule(s, optim);
    fa_ema *ema = s->ema ? fa_ema_new(model, .decay = 0.9) : NULL;
    fa_run *run = fa_run_open(folder, .model = model, .optim = optim, .scheduler = schedule, .ema = ema,
                              .train_loader = train, .epochs = epochs, .resume = true, .every_epochs = 2);
    fa_for_each_epoch (epoch, run) {
        fa_train(model);
        fa_for_each_batch (b, train) {
            if (s->left_after > 0 && b.index >= s->left_after)
                break;
            fa_tensor *scores = fa_forward(model, b.images);
            fa_tensor *loss = fa_cross_entropy(scores, b.labels);
            fa_zero_grad(optim);
            fa_backward(loss);
            fa_step(optim);
            if (is_per_step(s))
                fa_step(schedule);
            if (ema != NULL)
                fa_ema_update(ema);
            if (epoch == at.epoch && b.index + 1 == at.step && !at.validation)
                fa_run_stop(run);
            fa_run_step(run, b, loss, .scores = scores);
        }
        fa_eval(model);
        fa_no_grad {
            fa_for_each_batch (b, validation) {
                fa_tensor *scores = fa_forward(model, b.images);
                if (epoch == at.epoch && at.validation && b.index == 1)
                    fa_run_stop(run);
                fa_run_validate(run, b, fa_cross_entropy(scores, b.labels), .scores = scores);
            }
        }
        if (s->schedule == PLATEAU)
            fa_step_metric(schedule, fa_run_results(run).val_loss);
        else if (schedule != NULL && !is_per_step(s))
            fa_step(schedule);
        if (epoch == at.epoch && at.step == 0 && !at.validation)
            fa_run_stop(run);
        fa_run_end_epoch(run);
    }
    fa_run_finish(run);
    if (!fa_ok())
        fprintf(stderr, "%s: %s\n", s->name, fa_error());
    int status = !fa_ok() ? 1 : fa_run_stopped(run) != 0 ? 2 : 0;
    fa_free(run);
    fa_free(ema);
    fa_free(schedule);
    fa_free(optim);
    fa_free(model);
    fa_free(train);
    fa_free(validation);
    fa_free(generator);
    fa_free(sampler);
    fa_free(data);
    fa_free(held_out);
    if (fa_shutdown(stderr) != 0)
        status = 3;
    return status;
}

static void run_part(const setup *s, const char *folder, stop at, int64_t epochs, int threads, int workers, int want)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(part(s, folder, at, epochs, threads, workers));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) != want)
        fail_msg("%s: got status %d, needs %d (stop in epoch %d, step %d)", s->name, WEXITSTATUS(status), want,
                 at.epoch, at.step);
}

/* ---- Comparing --------------------------------------------------------------------------------------------------- */

static void compare(const setup *s, const char *got, const char *want, const char *name)
{
    char path[1100];
    size_t n_got, n_want;
    snprintf(path, sizeof path, "%s/%s", got, name);
    char *a = read_file(path, &n_got);
    snprintf(path, sizeof path, "%s/%s", want, name);
    char *b = read_file(path, &n_want);
    if (n_got != n_want || memcmp(a, b, n_got) != 0)
        fail_msg("%s: %s/%s differs from that of the whole run", s->name, got, name);
    free(a);
    free(b);
}

static void compare_all(const setup *s, const char *got, const char *want)
{
    static const char *const names[] = {"history.csv", "run.json", "last.pth", "best_model.pth",
                                        "checkpoint_epoch_2.pth"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        compare(s, got, want, names[i]);
}

/* ---- What is run ------------------------------------------------------------------------------------------------- */

static const setup setups[] = {
    {"sgd", SGD, NO_SCHEDULE, SHUFFLE, 0, false, false, false, 0},
    {"adam, step", ADAM, STEP, SHUFFLE, 3, false, false, false, 0},
    {"adam, one cycle a step", ADAM, ONE_CYCLE, SHUFFLE, 0, false, false, false, 0},
    {"adamw, cosine, averages", ADAMW, COSINE, OWN_GENERATOR, 2, true, false, false, 0},
    {"sgd, warm-up a step", SGD, WARM_UP, REPLACEMENT, 0, false, true, false, 0},
    {"rmsprop, plateau", RMSPROP, PLATEAU, REPLACEMENT, 3, false, false, false, 0},
    {"sgd, cosine a step", SGD, PER_STEP_COSINE, OWN_GENERATOR, 0, true, true, false, 0},
    {"adam, left early", ADAM, NO_SCHEDULE, SHUFFLE, 0, false, false, false, 7},
    {"sgd, augmentation", SGD, STEP, SHUFFLE, 2, false, false, true, 0},
    {"adam, augmentation, averages, left early", ADAM, COSINE, OWN_GENERATOR, 1, true, false, true, 7},
};
enum { SETUPS = sizeof setups / sizeof *setups };

static int steps_of(const setup *s)
{
    return s->left_after > 0 ? s->left_after : s->drop_last ? STEPS - 1 : STEPS;
}

static void check_stops(const setup *s, const char *whole, const stop *stops, int n)
{
    tempdir parts = tempdir_new();
    const char *folder = tempdir_file(&parts, "run");
    for (int i = 0; i < n; i++)
        run_part(s, folder, stops[i], EPOCHS, 1 + i % THREADS, (s->workers + i) % (WORKERS + 1), 2);
    run_part(s, folder, no_stop, EPOCHS, 2, (s->workers + n) % (WORKERS + 1), 0);
    compare_all(s, folder, whole);
    tempdir_free(&parts);
}

static stop random_stop(uint64_t *seed, int last)
{
    return (stop){(int)test_random_int(seed, 0, EPOCHS - 1), (int)test_random_int(seed, 1, last), false};
}

void resume_setups(uint64_t seed)
{
    for (int k = 0; k < SETUPS; k++) {
        const setup *s = &setups[k];
        int last = steps_of(s);
        tempdir whole = tempdir_new();
        run_part(s, whole.path, no_stop, EPOCHS, 1, s->workers, 0);
        check_stops(s, whole.path, (stop[]){{0, 1, false}}, 1);
        check_stops(s, whole.path, (stop[]){random_stop(&seed, last)}, 1);
        check_stops(s, whole.path, (stop[]){{1, last - 1, false}}, 1);
        check_stops(s, whole.path, (stop[]){{1, last, false}}, 1);          /* the last step of an epoch */
        check_stops(s, whole.path, (stop[]){{0, 0, false}}, 1);             /* the end of an epoch */
        check_stops(s, whole.path, (stop[]){{1, 0, true}}, 1);              /* in the validation */
        check_stops(s, whole.path, (stop[]){{EPOCHS - 1, last, false}}, 1); /* nothing left but a validation */
        check_stops(s, whole.path, (stop[]){{1, 2, false}, {1, 5, false}, {1, 6, false}}, 3); /* thrice in one epoch */
        check_stops(s, whole.path, (stop[]){{0, last, false}, {0, 0, true}, {0, 0, false}, {2, 0, false}}, 4);
        tempdir_free(&whole);
    }
}

static int compare_stops(const void *a, const void *b)
{
    const stop *x = a, *y = b;
    return x->epoch != y->epoch ? x->epoch - y->epoch : x->step - y->step;
}

void resume_random(uint64_t seed, int runs)
{
    int parts = 0;
    for (int k = 0; k < runs; k++) {
        enum { MOST = 4 };
        stop stops[MOST];
        setup s = {.name = "random",
                   .optim = (int)test_random_int(&seed, 0, OPTIMS - 1),
                   .schedule = (int)test_random_int(&seed, 0, SCHEDULES - 1),
                   .order = (int)test_random_int(&seed, 0, ORDERS - 1),
                   .workers = (int)test_random_int(&seed, 0, WORKERS),
                   .ema = test_random_int(&seed, 0, 1) == 1,
                   .drop_last = test_random_int(&seed, 0, 3) == 0,
                   .augment = test_random_int(&seed, 0, 3) != 0,
                   .left_after = test_random_int(&seed, 0, 4) == 0 ? 6 : 0};
        int n = (int)test_random_int(&seed, 1, MOST), distinct = 0;
        for (int i = 0; i < n; i++)
            stops[i] = random_stop(&seed, steps_of(&s));
        qsort(stops, (size_t)n, sizeof *stops, compare_stops);
        for (int i = 0; i < n; i++)
            if (i == 0 || compare_stops(&stops[distinct - 1], &stops[i]) != 0)
                stops[distinct++] = stops[i];
        tempdir whole = tempdir_new();
        run_part(&s, whole.path, no_stop, EPOCHS, 1 + k % THREADS, s.workers, 0);
        check_stops(&s, whole.path, stops, distinct);
        tempdir_free(&whole);
        parts += distinct + 1;
    }
    print_message("%d runs in %d parts\n", runs, parts);
}

/* 2 epochs, then 3: as 3 at once, but for what says that there were 2. */
void resume_more_epochs(void)
{
    for (int k = 0; k < SETUPS; k++) {
        const setup *s = &setups[k];
        tempdir whole = tempdir_new(), parts = tempdir_new();
        run_part(s, whole.path, no_stop, 3, 1, s->workers, 0);
        run_part(s, parts.path, no_stop, 2, 2, s->workers, 0);
        run_part(s, parts.path, no_stop, 3, 1, 0, 0);
        compare(s, parts.path, whole.path, "history.csv");
        compare(s, parts.path, whole.path, "last.pth");
        tempdir_free(&whole);
        tempdir_free(&parts);
    }
}
