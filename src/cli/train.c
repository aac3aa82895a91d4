/* facula train DATA: the `mnist` network on MNIST, validated on images held out of the training half; the test half is
 * looked at once, at the end. */
#include "cli.h"
#include "history.h"

#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HELD_OUT = 5000, EVALUATION_BATCH = 500 };

typedef struct train_options {
    int64_t epochs, batch_size, seed, threads, workers;
    double lr;
    const char *optimizer, *out, *data;
} train_options;

/* Everything that a run is made of; freed together. */
typedef struct run {
    train_options options;
    fa_dataset *training, *validation_part, *training_part, *test;
    fa_loader *train_loader, *validation_loader, *test_loader;
    fa_module *model;
    fa_optim *optim;
    history log;
    bool terminal;
} run;

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int read_train_options(int argc, char **argv, train_options *o)
{
    *o = (train_options){
        .epochs = 3, .batch_size = 64, .seed = 0, .threads = -1, .workers = 1, .lr = 1e-3, .optimizer = "adam"};
    const option_spec options[] = {
        {"epochs", OPTION_INT, &o->epochs, 1, 1e6, "N", "passes over the training images"},
        {"batch-size", OPTION_INT, &o->batch_size, 1, 1e6, "N", "images a step"},
        {"lr", OPTION_NUMBER, &o->lr, 0, 1e9, "X", "learning rate"},
        {"optimizer", OPTION_TEXT, &o->optimizer, 0, 0, "NAME", "adam, or sgd with momentum 0.9"},
        {"seed", OPTION_INT, &o->seed, 0, 9.2e18, "N", "of weights, order and the held-out images"},
        {"threads", OPTION_INT, &o->threads, 1, 256, "N", "for the kernels; the results are the same for any number"},
        {"workers", OPTION_INT, &o->workers, 0, 256, "N", "threads that fetch batches ahead"},
        {"out", OPTION_TEXT, &o->out, 0, 0, "DIR", "folder for history.csv; default: the next free runs/mnist-NNN"},
    };
    int status =
        read_options(argc, argv, options, sizeof options / sizeof *options,
                     "usage: facula train DATA [options]\n\nTrains a small CNN on MNIST; DATA is the folder with "
                     "its four files, such as data/mnist.",
                     &o->data, 1);
    if (status != 0)
        return status;
    if (o->data == NULL) {
        fprintf(stderr, "facula: train: which data set? For example: facula train data/mnist\n");
        return EXIT_USAGE;
    }
    if (strcmp(o->optimizer, "adam") != 0 && strcmp(o->optimizer, "sgd") != 0) {
        fprintf(stderr, "facula: --optimizer: got \"%s\", needs adam or sgd\n", o->optimizer);
        return EXIT_USAGE;
    }
    return 0;
}

/* PyTorch's order of events: seed, model, data. */
static bool prepare(run *r)
{
    const train_options *o = &r->options;
    fa_manual_seed((uint64_t)o->seed);
    r->model = find_network("mnist")->make();
    r->training = fa_mnist(o->data, .train = true, .transform = fa_to_tensor());
    r->test = fa_mnist(o->data, .train = false, .transform = fa_to_tensor());
    if (!fa_ok())
        return false;
    int64_t n = fa_length(r->training);
    if (n <= HELD_OUT)
        return fa_raise(FA_VALUE_ERROR, "train: %s has %lld training images, needs more than the %d held out", o->data,
                        (long long)n, HELD_OUT),
               false;
    fa_dataset *parts[2] = {NULL, NULL};
    fa_random_split(r->training, parts, 2, {(double)(n - HELD_OUT), HELD_OUT});
    r->training_part = parts[0];
    r->validation_part = parts[1];
    r->train_loader =
        fa_data_loader(r->training_part, .batch_size = o->batch_size, .shuffle = true, .num_workers = (int)o->workers);
    r->validation_loader = fa_data_loader(r->validation_part, .batch_size = EVALUATION_BATCH);
    r->test_loader = fa_data_loader(r->test, .batch_size = EVALUATION_BATCH);
    r->optim = strcmp(o->optimizer, "adam") == 0 ? fa_adam(fa_parameters(r->model), o->lr)
                                                 : fa_sgd(fa_parameters(r->model), o->lr, .momentum = 0.9);
    return fa_ok();
}

static void show_progress(const run *r, int epoch, int64_t batch, int64_t batches, const metrics *m, double started)
{
    if (!r->terminal || (batch % 10 != 0 && batch != batches - 1))
        return;
    double seconds = seconds_now() - started;
    int done = (int)(30 * (batch + 1) / batches);
    printf("\repoch %d/%lld [%.*s%.*s] %3lld %%  loss %.4f  %.0f images/s ", epoch, (long long)r->options.epochs, done,
           "==============================", 30 - done, "                              ",
           (long long)(100 * (batch + 1) / batches), mean_loss(m), (double)m->samples / seconds);
    fflush(stdout);
}

/* One batch: forward, and with `optim` backward and update; its metrics are added. */
static bool do_batch(fa_module *model, fa_optim *optim, const fa_batch *b, metrics *m)
{
    fa_tensor *scores = fa_forward(model, b->images);
    fa_tensor *loss = fa_cross_entropy(scores, b->labels);
    fa_tensor *correct = fa_sum(fa_eq(fa_argmax(scores, 1), b->labels));
    if (optim != NULL) {
        fa_zero_grad(optim);
        fa_backward(loss);
        fa_step(optim);
    }
    m->loss_sum += fa_item(loss) * (double)b->size;
    m->correct += (long long)fa_item(correct);
    m->samples += b->size;
    return fa_ok();
}

static bool train_epoch(run *r, int epoch, metrics *m)
{
    double started = seconds_now();
    int64_t batches = fa_length(r->train_loader);
    fa_train(r->model);
    fa_for_each_batch (b, r->train_loader) {
        double before = m->loss_sum;
        if (!do_batch(r->model, r->optim, &b, m))
            break;
        double loss = (m->loss_sum - before) / (double)b.size;
        if (!isfinite(loss)) {
            if (r->terminal)
                printf("\n");
            fa_raise(FA_VALUE_ERROR,
                     "train: the loss became %g in epoch %d, step %lld, at learning rate %g. Hint: try a "
                     "smaller one, for example --lr %g.",
                     loss, epoch, (long long)b.index + 1, r->options.lr, r->options.lr / 10);
            break;
        }
        show_progress(r, epoch, b.index, batches, m, started);
    }
    if (r->terminal)
        printf("\r\033[K");
    return fa_ok();
}

static bool evaluate(run *r, fa_loader *loader, metrics *m)
{
    fa_eval(r->model);
    fa_no_grad {
        fa_for_each_batch (b, loader)
            if (!do_batch(r->model, NULL, &b, m))
                break;
    }
    return fa_ok();
}

static bool train(run *r)
{
    for (int epoch = 1; epoch <= r->options.epochs; epoch++) {
        double started = seconds_now();
        metrics training = {0}, validation = {0};
        if (!train_epoch(r, epoch, &training))
            return false;
        double trained = seconds_now() - started;
        if (!evaluate(r, r->validation_loader, &validation))
            return false;
        double seconds = seconds_now() - started;
        printf("epoch %d/%lld  train loss %.4f  accuracy %.2f %%   validation loss %.4f  accuracy %.2f %%   %.1f s\n",
               epoch, (long long)r->options.epochs, mean_loss(&training), accuracy(&training), mean_loss(&validation),
               accuracy(&validation), seconds);
        fflush(stdout);
        if (!history_row(&r->log, epoch, "train", &training, trained) ||
            !history_row(&r->log, epoch, "validation", &validation, seconds - trained))
            return false;
    }
    double started = seconds_now();
    metrics test = {0};
    if (!evaluate(r, r->test_loader, &test) ||
        !history_row(&r->log, (int)r->options.epochs, "test", &test, seconds_now() - started))
        return false;
    printf("test accuracy: %.2f %%\n", accuracy(&test));
    return true;
}

static void end(run *r)
{
    fa_free(r->optim);
    fa_free(r->model);
    fa_free(r->train_loader);
    fa_free(r->validation_loader);
    fa_free(r->test_loader);
    fa_free(r->training_part);
    fa_free(r->validation_part);
    fa_free(r->training);
    fa_free(r->test);
}

int command_train(int argc, char **argv)
{
    run r = {.terminal = isatty(STDOUT_FILENO) != 0};
    int status = read_train_options(argc, argv, &r.options);
    if (status != 0)
        return status < 0 ? 0 : status;
    if (r.options.threads > 0)
        fa_set_num_threads((int)r.options.threads);
    const train_options *o = &r.options;
    bool ok = prepare(&r) && history_open(&r.log, o->out, "mnist");
    if (ok) {
        printf("facula %s, %s, %d thread%s\n", fa_version(), fa_cpu_isa(), fa_get_num_threads(),
               fa_get_num_threads() == 1 ? "" : "s");
        printf("data: %s: %lld images to train on, %d held out for validation, %lld to test\n", o->data,
               (long long)fa_length(r.training_part), HELD_OUT, (long long)fa_length(r.test));
        printf("network: mnist; optimizer: %s, learning rate %g; batch size %lld; seed %lld\n", o->optimizer, o->lr,
               (long long)o->batch_size, (long long)o->seed);
        fflush(stdout);
        ok = train(&r);
        ok = history_close(&r.log) && ok;
    }
    if (!fa_ok())
        fail_with_error();
    else if (ok)
        printf("history: %s\n", r.log.path);
    end(&r);
    return ok ? 0 : 1;
}
