/* facula train DATA: a network that suits the images, validated on the data's own validation part or on images held out
 * of the training part; the test part is looked at once, at the end. */
#include "train.h"
#include "data.h"
#include "values.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { EVALUATION_BATCH = 500, MOST_TRIES = 100 };

/* Everything that a training is made of; freed together. */
typedef struct training {
    train_options options;
    data_source data;
    picture_sizes sizes;                           /* of data.files */
    fa_dataset *images, *augmented;                /* of the training part; augmented: NULL without augmentation */
    fa_dataset *training_part, *validation, *test; /* test: NULL where there is none */
    fa_loader *train_loader, *validation_loader, *test_loader;
    fa_module *model;
    fa_optim *optim;
    fa_scheduler *schedule; /* NULL: none */
    fa_run *run;
    char folder[4096];
    bool terminal, pictures_told;
    bool left_out_told[DATA_PARTS];
} training;

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool check_classes(const training *t)
{
    return t->data.classes.count >= 2 ||
           (fa_raise(FA_VALUE_ERROR, "train: %s has %lld class, needs at least 2 to tell apart", t->options.data,
                     (long long)t->data.classes.count),
            false);
}

/* How many images are held out, once it is known how many there are. */
static bool choose_held_out(training *t)
{
    train_options *o = &t->options;
    int64_t n = fa_length(t->images);
    if (t->data.has[PART_VALIDATION]) {
        if (o->held_out > 0)
            return fa_raise(FA_VALUE_ERROR,
                            "--held-out: got %lld, but %s has images for validation of its own. Leave the option out",
                            (long long)o->held_out, o->data),
                   false;
        o->held_out = 0;
        return true;
    }
    if (o->held_out < 0)
        o->held_out = n / 10 > 5000 ? 5000 : n < 10 ? 1 : n / 10;
    return n > o->held_out ||
           (fa_raise(FA_VALUE_ERROR, "train: %s has %lld training images, needs more than the %lld held out", o->data,
                     (long long)n, (long long)o->held_out),
            false);
}

/* Into images to train on and images to validate with, which are those that any --augment leaves there. */
static bool split(training *t)
{
    double rest = (double)(fa_length(t->images) - t->options.held_out), held_out = (double)t->options.held_out;
    fa_dataset *plain[2] = {NULL, NULL}, *augmented[2] = {NULL, NULL};
    uint8_t generator[FA_GENERATOR_STATE_SIZE];
    fa_get_rng_state(generator);
    fa_random_split(t->images, plain, 2, {rest, held_out});
    t->training_part = plain[0];
    t->validation = plain[1];
    if (t->augmented == NULL)
        return fa_ok();
    if (!fa_set_rng_state(generator))
        return false;
    fa_random_split(t->augmented, augmented, 2, {rest, held_out});
    fa_free(t->training_part);
    t->training_part = augmented[0];
    fa_free(augmented[1]);
    return fa_ok();
}

/* The parts of the data; draws nothing. */
static bool open_data(training *t)
{
    train_options *o = &t->options;
    if ((o->download != NULL && !data_download(o->download, o->data)) || !data_find(&t->data, o->data))
        return false;
    t->data.picture = (fa_picture_options){.exif = o->exif};
    if (t->data.files) {
        if (!data_sizes(&t->data, &t->sizes))
            return false;
        if (o->resume == NULL && !fit_pictures(o, data_side(&t->sizes)))
            return false;
    }
    t->images = data_open(&t->data, PART_TRAIN, evaluation_transform(o));
    if (strcmp(o->augment, "none") != 0)
        t->augmented = data_open(&t->data, PART_TRAIN, training_transform(o));
    if (t->data.has[PART_VALIDATION])
        t->validation = data_open(&t->data, PART_VALIDATION, evaluation_transform(o));
    if (t->data.has[PART_TEST])
        t->test = data_open(&t->data, PART_TEST, evaluation_transform(o));
    return fa_ok() && check_classes(t) && choose_held_out(t);
}

static bool skips(const training *t)
{
    return strcmp(t->options.on_bad_image, "skip") == 0;
}

static fa_batch first_item(const training *t, fa_dataset *data)
{
    return data_first_item(data, skips(t) ? MOST_TRIES : 1);
}

/* A network for the images as their transforms leave them. */
static bool choose_network(training *t)
{
    train_options *o = &t->options;
    image_form form = {.classes = t->data.classes.count};
    uint8_t generator[FA_GENERATOR_STATE_SIZE];
    fa_get_rng_state(generator);
    fa_scope {
        fa_batch one = first_item(t, t->images);
        if (one.images != NULL) {
            form.channels = fa_size(one.images, 0);
            form.height = fa_size(one.images, 1);
            form.width = fa_size(one.images, 2);
        }
    }
    if (!fa_ok() || !fa_set_rng_state(generator))
        return false;
    const network *net = o->network != NULL ? find_network(o->network) : network_for(&form);
    o->network = net->name;
    t->model = make_network(net, &form);
    return t->model != NULL;
}

/* Whether the network takes the images, before a run's folder is touched. Draws nothing that anyone would miss. */
static bool try_images(const training *t)
{
    uint8_t generator[FA_GENERATOR_STATE_SIZE];
    fa_dataset *const parts[] = {t->training_part, t->validation};
    fa_get_rng_state(generator);
    fa_eval(t->model);
    fa_no_grad
        fa_scope
            for (int i = 0; fa_ok() && i < 2; i++) {
                fa_batch one = first_item(t, parts[i]);
                fa_sync();
                if (fa_ok() && fa_forward(t->model, fa_unsqueeze(one.images, 0)) != NULL)
                    fa_sync();
                if (i == 0 && fa_ok())
                    (void)fa_check_last_batch(t->model, fa_shape_of(one.images), fa_length(t->training_part),
                                              t->options.batch_size);
            }
    return fa_set_rng_state(generator) && fa_ok();
}

static bool is_schedule(const training *t, const char *name)
{
    return strcmp(t->options.schedule, name) == 0;
}

static void make_schedule(training *t)
{
    const train_options *o = &t->options;
    if (is_schedule(t, "cosine"))
        t->schedule = fa_cosine_annealing_lr(t->optim, o->schedule_epochs);
    else if (is_schedule(t, "step"))
        t->schedule = fa_step_lr(t->optim, (o->schedule_epochs + 2) / 3);
    else if (is_schedule(t, "plateau"))
        t->schedule = fa_reduce_lr_on_plateau(t->optim, .patience = 2);
    else if (is_schedule(t, "onecycle"))
        t->schedule = fa_one_cycle_lr(t->optim, o->lr, .total_steps = o->schedule_epochs * fa_length(t->train_loader));
}

/* PyTorch's order of events: seed, model, split, loaders. */
static bool prepare(training *t)
{
    const train_options *o = &t->options;
    fa_manual_seed((uint64_t)o->seed);
    if (!open_data(t) || !choose_network(t))
        return false;
    if (t->validation == NULL ? !split(t)
                              : (t->training_part = t->augmented != NULL ? t->augmented : t->images) == NULL)
        return false;
    const fa_bad_item_policy policy = skips(t) ? FA_BAD_ITEM_SKIP : FA_BAD_ITEM_STOP;
    t->train_loader = fa_data_loader(t->training_part, .batch_size = o->batch_size, .shuffle = true,
                                     .num_workers = (int)o->workers, .on_bad_item = policy);
    t->validation_loader = fa_data_loader(t->validation, .batch_size = EVALUATION_BATCH, .on_bad_item = policy);
    if (t->test != NULL)
        t->test_loader = fa_data_loader(t->test, .batch_size = EVALUATION_BATCH, .on_bad_item = policy);
    t->optim = strcmp(o->optimizer, "adam") == 0 ? fa_adam(fa_parameters(t->model), o->lr)
                                                 : fa_sgd(fa_parameters(t->model), o->lr, .momentum = 0.9);
    make_schedule(t);
    return fa_ok() && try_images(t);
}

/* "mnist" of /home/me/data/mnist, with letters that need no quotes. */
static void name_of_data(const train_options *o, char *name, size_t size)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    const char *slash = strrchr(o->place, '/');
    snprintf(name, size, "%s", slash != NULL && slash[1] != '\0' ? slash + 1 : "data");
    for (char *c = name; *c != '\0'; c++)
        if (strchr(plain, *c) == NULL)
            *c = '_';
}

/* The run's folder: --resume, --out, or the next free runs/NAME-NNN. */
static bool choose_folder(training *t)
{
    const char *given = t->options.resume != NULL ? t->options.resume : t->options.out;
    if (given != NULL && strlen(given) >= sizeof t->folder) {
        fprintf(stderr, "facula: error: the path of the run's folder is too long\n");
        return false;
    }
    if (given != NULL) {
        strcpy(t->folder, given);
        return true;
    }
    char name[64];
    name_of_data(&t->options, name, sizeof name);
    const char *failed = "runs";
    if (mkdir("runs", 0777) == 0 || errno == EEXIST)
        for (int i = 1; i < 100000; i++) {
            snprintf(t->folder, sizeof t->folder, "runs/%s-%03d", name, i);
            failed = t->folder;
            if (mkdir(t->folder, 0777) == 0)
                return true;
            if (errno != EEXIST)
                break;
        }
    fprintf(stderr, "facula: error: the folder %s could not be made: %s\n", failed, strerror(errno));
    return false;
}

static bool holds_run(const char *folder)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/last.pth", folder);
    return access(path, F_OK) == 0;
}

static bool open_run(training *t)
{
    const train_options *o = &t->options;
    if (!choose_folder(t))
        return false;
    char quoted[8300];
    quote_path(quoted, sizeof quoted, t->folder);
    if (o->resume == NULL && !o->force && holds_run(t->folder)) {
        fprintf(stderr,
                "facula: error: %s holds a run already. Go on with it: facula train --resume %s; or give another "
                "folder with --out; or remove that run and begin anew: --out %s --force\n",
                t->folder, quoted, quoted);
        return false;
    }
    fa_scope
        t->run = fa_run_open(t->folder, .model = t->model, .optim = t->optim, .scheduler = t->schedule,
                             .train_loader = t->train_loader, .epochs = o->epochs, .resume = o->resume != NULL,
                             .overwrite = o->force, .every_epochs = o->save_every, .every_minutes = o->save_minutes,
                             .keep_last = o->keep_last, .signals = true, .class_names = t->data.classes,
                             .transforms = o->transform, .exif = o->exif, .options = value_of_train_options(o));
    if (t->run == NULL)
        fail_with_error();
    return t->run != NULL;
}

/* Lines that other parts of the library have to tell, `of` something; those that are set in are messages. */
static void print_notes(const char *of, const char *notes)
{
    while (*notes != '\0') {
        const size_t set_in = strspn(notes, " ");
        const char *message = set_in > 0 ? kept_error_text(notes + set_in) : notes;
        int length = (int)strcspn(notes, "\n");
        printf("note: %s%.*s%.*s\n", of, (int)set_in, notes, length - (int)(message - notes), message);
        notes += length + (notes[length] == '\n');
    }
}

static void print_classes(fa_names classes)
{
    enum { SHOWN = 12 };
    line l = {0};
    for (int64_t c = 0; c < classes.count; c++) {
        if (classes.count > SHOWN && c == SHOWN - 2) {
            line_add(&l, ", ...");
            c = classes.count - 1;
        }
        line_add(&l, "%s", c > 0 ? ", " : "");
        line_add_clean(&l, classes.name[c], strlen(classes.name[c]));
    }
    printf("%lld classes: %s\n", (long long)classes.count, l.text);
    line_free(&l);
}

static void print_sizes(const picture_sizes *sizes)
{
    if (sizes->least[0] == sizes->most[0] && sizes->least[1] == sizes->most[1])
        printf("pictures: %lld x %lld pixels (%lld looked at)\n", (long long)sizes->most[1], (long long)sizes->most[0],
               (long long)sizes->looked_at);
    else
        printf("pictures: %lld to %lld pixels wide, %lld to %lld high (%lld looked at)\n", (long long)sizes->least[1],
               (long long)sizes->most[1], (long long)sizes->least[0], (long long)sizes->most[0],
               (long long)sizes->looked_at);
}

static void introduce_data(const training *t)
{
    const train_options *o = &t->options;
    fa_dataset *const parts[] = {t->images, t->data.has[PART_VALIDATION] ? t->validation : NULL, t->test};
    printf("data: %s: %s, ", o->data, t->data.what);
    print_classes(t->data.classes);
    printf("data: %lld images to train on, %lld ", (long long)fa_length(t->training_part),
           (long long)fa_length(t->validation));
    printf(t->data.has[PART_VALIDATION] ? "for validation" : "held out for validation");
    if (t->test != NULL)
        printf(", %lld to test", (long long)fa_length(t->test));
    printf("\n");
    for (int p = 0; p < 3; p++) {
        char notes[4096];
        if (parts[p] != NULL && fa_dataset_notes(parts[p], notes, sizeof notes) > 0)
            print_notes("", notes);
    }
    if (t->data.files)
        print_sizes(&t->sizes);
    show_transforms(o);
}

static void introduce(const training *t)
{
    const train_options *o = &t->options;
    printf("facula %s, %s, %d thread%s\n", fa_version(), fa_cpu_isa(), fa_get_num_threads(),
           fa_get_num_threads() == 1 ? "" : "s");
    introduce_data(t);
    printf("network: %s; optimizer: %s, learning rate %g", o->network, o->optimizer, o->lr);
    if (t->schedule != NULL)
        printf(", %s over %lld epochs", o->schedule, (long long)o->schedule_epochs);
    printf("; batch size %lld; seed %lld\n", (long long)o->batch_size, (long long)o->seed);
    fa_run_result r = fa_run_results(t->run);
    int64_t batches = fa_length(t->train_loader);
    printf("run: %s", t->folder);
    if (o->resume != NULL && r.epoch == r.epochs)
        printf(": all %lld epochs are done already; more with --epochs", (long long)r.epochs);
    else if (o->resume != NULL && r.batch == batches)
        printf(": goes on with the validation of epoch %lld", (long long)r.epoch + 1);
    else if (o->resume != NULL)
        printf(": goes on with epoch %lld, step %lld", (long long)r.epoch + 1, (long long)r.batch + 1);
    printf("\n");
    print_notes("", fa_run_notes(t->run));
    fflush(stdout);
}

static void show_progress(const training *t, const fa_batch *b, int64_t batches, double started, int64_t first)
{
    if (!t->terminal || (b->index % 10 != 0 && b->index != batches - 1))
        return;
    fa_run_result r = fa_run_results(t->run);
    double images = (double)((b->index + 1 - first) * t->options.batch_size);
    int done = (int)(30 * (b->index + 1) / batches);
    printf("\repoch %lld/%lld [%.*s%.*s] %3lld %%  loss %.4f  %.0f images/s ", (long long)r.epoch + 1,
           (long long)r.epochs, done, "==============================", 30 - done, "                              ",
           (long long)(100 * (b->index + 1) / batches), r.train_loss, images / (seconds_now() - started));
    fflush(stdout);
}

static void train_epoch(training *t)
{
    double started = seconds_now();
    int64_t batches = fa_length(t->train_loader), first = -1;
    fa_train(t->model);
    fa_for_each_batch (b, t->train_loader) {
        fa_tensor *scores = fa_forward(t->model, b.images);
        fa_tensor *loss = fa_cross_entropy(scores, b.labels);
        fa_zero_grad(t->optim);
        fa_backward(loss);
        fa_step(t->optim);
        if (is_schedule(t, "onecycle"))
            fa_step(t->schedule);
        if (first < 0)
            first = b.index;
        if (fa_run_step(t->run, b, loss, .scores = scores))
            show_progress(t, &b, batches, started, first);
    }
    if (t->terminal)
        printf("\r\033[K");
}

/* The loader's batches, measured as validation or as the test. */
static void evaluate(training *t, fa_loader *loader)
{
    fa_eval(t->model);
    fa_no_grad {
        fa_for_each_batch (b, loader) {
            fa_tensor *scores = fa_forward(t->model, b.images);
            fa_tensor *loss = fa_cross_entropy(scores, b.labels);
            if (loader == t->test_loader)
                fa_run_test(t->run, b, loss, .scores = scores);
            else
                fa_run_validate(t->run, b, loss, .scores = scores);
        }
    }
}

/* What was special about the pictures, once: after the first epoch each was read once. */
static void tell_pictures(training *t)
{
    char notes[4096];
    if (!t->pictures_told && fa_picture_notes(notes, sizeof notes) > 0)
        print_notes("", notes);
    t->pictures_told = true;
}

/* What a loop left out, the first time that it did. */
static void tell_left_out(training *t, fa_loader *loader, data_part part)
{
    static const char *const of[DATA_PARTS] = {"training images: ", "validation images: ", "test images: "};
    char notes[8192];
    if (t->left_out_told[part] || loader == NULL || fa_loader_notes(loader, notes, sizeof notes) == 0)
        return;
    print_notes(of[part], notes);
    t->left_out_told[part] = true;
}

static void train(training *t)
{
    fa_picture_notes_reset();
    fa_for_each_epoch (epoch, t->run) {
        double started = seconds_now();
        train_epoch(t);
        if (!fa_ok() || fa_run_stopped(t->run) != 0)
            break;
        evaluate(t, t->validation_loader);
        if (!fa_ok() || fa_run_stopped(t->run) != 0)
            break;
        if (is_schedule(t, "plateau"))
            fa_step_metric(t->schedule, fa_run_results(t->run).val_loss);
        else if (t->schedule != NULL && !is_schedule(t, "onecycle"))
            fa_step(t->schedule);
        fa_run_end_epoch(t->run);
        fa_run_result r = fa_run_results(t->run);
        if (!fa_ok() || r.epoch == epoch)
            break;
        printf("epoch %lld/%lld  train loss %.4f  accuracy %.2f %%   validation loss %.4f  accuracy %.2f %%   %.1f "
               "s%s\n",
               (long long)r.epoch, (long long)r.epochs, r.train_loss, r.train_acc, r.val_loss, r.val_acc,
               seconds_now() - started, r.is_best ? "  (best)" : "");
        tell_pictures(t);
        tell_left_out(t, t->train_loader, PART_TRAIN);
        tell_left_out(t, t->validation_loader, PART_VALIDATION);
        fflush(stdout);
    }
    if (!fa_ok() || fa_run_stopped(t->run) != 0)
        return;
    if (t->test_loader != NULL) {
        fa_picture_notes_reset();
        evaluate(t, t->test_loader);
        char notes[4096];
        if (fa_picture_notes(notes, sizeof notes) > 0)
            print_notes("test images: ", notes);
        tell_left_out(t, t->test_loader, PART_TEST);
    }
    if (fa_run_finish(t->run) && fa_run_stopped(t->run) == 0 && t->test_loader != NULL)
        printf("test accuracy: %.2f %%\n", fa_run_results(t->run).test_acc);
}

/* After a signal or an error: how to go on. The exit status. */
static int tell_end(const training *t)
{
    char quoted[8300];
    quote_path(quoted, sizeof quoted, t->folder);
    fa_run_result r = fa_run_results(t->run);
    int signal = fa_run_stopped(t->run);
    if (!fa_ok()) {
        fa_error_kind kind = fa_error_code();
        fail_with_error();
        if (kind == FA_FILE_ERROR)
            fprintf(stderr, "facula: when that is mended, go on with: facula train --resume %s%s\n", quoted,
                    skips(t) ? "" : " (a picture: --on-bad-image skip leaves it out)");
        return 1;
    }
    if (signal == 0) {
        if (r.best_epoch >= 0)
            printf("best: epoch %lld, validation accuracy %.2f %%; ", (long long)r.best_epoch + 1, r.best_val_acc);
        printf("saved in %s\n", t->folder);
        return 0;
    }
    int64_t batches = fa_length(t->train_loader);
    printf("stopped by %s ", signal == SIGINT ? "SIGINT" : "SIGTERM");
    if (r.epoch < r.epochs && r.batch == batches)
        printf("in the validation of epoch %lld", (long long)r.epoch + 1);
    else if (r.epoch < r.epochs)
        printf("in epoch %lld after step %lld of %lld", (long long)r.epoch + 1, (long long)r.batch, (long long)batches);
    else
        printf("after the last epoch");
    printf("; the run is saved\ngo on with: facula train --resume %s\n", quoted);
    return 128 + signal;
}

static void end(training *t)
{
    fa_free(t->run);
    fa_free(t->schedule);
    fa_free(t->optim);
    fa_free(t->model);
    fa_free(t->train_loader);
    fa_free(t->validation_loader);
    fa_free(t->test_loader);
    fa_free(t->training_part);
    fa_free(t->validation);
    fa_free(t->images);
    fa_free(t->augmented);
    fa_free(t->test);
    end_train_options(&t->options);
}

int command_train(int argc, char **argv)
{
    training t = {.terminal = isatty(STDOUT_FILENO) != 0};
    int status = read_train_options(argc, argv, &t.options);
    if (status == 0) {
        if (t.options.threads > 0)
            fa_set_num_threads((int)t.options.threads);
        status = 1;
        if (!prepare(&t)) {
            fail_with_error();
        } else if (open_run(&t)) {
            introduce(&t);
            train(&t);
            status = tell_end(&t);
        }
    }
    end(&t);
    return status < 0 ? 0 : status;
}
