/* The options of `facula train`. */
#include "train.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void quote_path(char *out, size_t size, const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:,@%";
    if (path[0] != '\0' && path[strspn(path, plain)] == '\0') {
        snprintf(out, size, "%s", path);
        return;
    }
    size_t n = (size_t)snprintf(out, size, "'");
    for (const char *at = path; n + 8 < size && *at != '\0'; at++)
        if (*at == '\'')
            n += (size_t)snprintf(out + n, size - n, "'\\''");
        else
            out[n++] = *at;
    snprintf(out + n, size - n, "'");
}

/* ---- A run's own options ----------------------------------------------------------------------------------------- */

fa_value *value_of_train_options(const train_options *o)
{
    fa_value *options = fa_dict("command", "train", "data", fa_value_path(o->place), "network", o->network, "optimizer",
                                o->optimizer, "lr", o->lr, "batch_size", o->batch_size, "schedule", o->schedule,
                                "schedule_epochs", o->schedule_epochs, "seed", o->seed, "held_out", o->held_out,
                                "save_every", o->save_every, "save_minutes", o->save_minutes, "keep_last", o->keep_last,
                                "transform", o->transform, "augment", o->augment);
    fa_dict_put(options, "on_bad_image", o->on_bad_image);
    return options;
}

static int refuse_text(const char *option, const char *got, const char *needs)
{
    fprintf(stderr,
            "facula: --%s: got %s, but the run was begun with %s, which a resumed run keeps. Leave the option out, or "
            "begin another run with --out\n",
            option, got, needs);
    return EXIT_USAGE;
}

static int keep_text(const char *option, const char **value, fa_value *saved)
{
    const char *kept = fa_get_string(saved, option);
    if (kept == NULL)
        return fail_with_error();
    if (option_given(option) && strcmp(kept, *value) != 0)
        return refuse_text(option, *value, kept);
    *value = kept;
    return 0;
}

static int keep_number(const char *option, const char *key, double *value, fa_value *saved)
{
    double kept = fa_get_float(saved, key);
    if (!fa_ok())
        return fail_with_error();
    if (option_given(option) && kept != *value) {
        char got[40], needs[40];
        snprintf(got, sizeof got, "%.9g", *value);
        snprintf(needs, sizeof needs, "%.9g", kept);
        return refuse_text(option, got, needs);
    }
    *value = kept;
    return 0;
}

static int keep_int(const char *option, const char *key, int64_t *value, fa_value *saved)
{
    int64_t kept = fa_get_int(saved, key);
    if (!fa_ok())
        return fail_with_error();
    if (option_given(option) && kept != *value) {
        char got[40], needs[40];
        snprintf(got, sizeof got, "%lld", (long long)*value);
        snprintf(needs, sizeof needs, "%lld", (long long)kept);
        return refuse_text(option, got, needs);
    }
    *value = kept;
    return 0;
}

/* Turned photographs, or such as they are. Runs of before the option have them as they are. */
static int keep_exif(train_options *o, fa_value *checkpoint)
{
    const bool kept = fa_has(checkpoint, "exif") && fa_get_bool(checkpoint, "exif");
    if (!fa_ok())
        return fail_with_error();
    if (o->exif && !kept)
        return refuse_text("exif", "it", "photographs as they are");
    o->exif = kept;
    return 0;
}

/* Options that may change: the run's own unless they are on the line. */
static void take_changeable(train_options *o, fa_value *checkpoint, fa_value *saved)
{
    if (!option_given("epochs"))
        o->epochs = fa_get_int(checkpoint, "epochs");
    if (!option_given("save-every"))
        o->save_every = fa_get_int(saved, "save_every");
    if (!option_given("save-minutes"))
        o->save_minutes = fa_get_float(saved, "save_minutes");
    if (!option_given("keep-last"))
        o->keep_last = fa_get_int(saved, "keep_last");
    if (!option_given("on-bad-image") && fa_has(saved, "on_bad_image"))
        o->on_bad_image = fa_get_string(saved, "on_bad_image");
    if (o->data == NULL && (o->data = fa_as_path(fa_get(saved, "data"))) != NULL) {
        snprintf(o->place, sizeof o->place, "%s", o->data);
        o->data = o->place;
    }
    o->schedule_epochs = fa_get_int(saved, "schedule_epochs");
}

static int take_saved(train_options *o, fa_value *checkpoint)
{
    if (fa_kind_of(checkpoint) != FA_VALUE_DICT || !fa_has(checkpoint, "options") ||
        !fa_has(fa_get(checkpoint, "options"), "command")) {
        fprintf(stderr, "facula: error: %s/last.pth was not written by `facula train`\n", o->resume);
        return 1;
    }
    o->saved = fa_value_retain(fa_get(checkpoint, "options"));
    take_changeable(o, checkpoint, o->saved);
    if (!fa_ok())
        return fail_with_error();
    int status = keep_text("network", &o->network, o->saved);
    if (status == 0)
        status = keep_text("optimizer", &o->optimizer, o->saved);
    if (status == 0)
        status = keep_text("schedule", &o->schedule, o->saved);
    if (status == 0)
        status = keep_text("transform", &o->transform, o->saved);
    if (status == 0)
        status = keep_text("augment", &o->augment, o->saved);
    if (status == 0)
        status = keep_number("lr", "lr", &o->lr, o->saved);
    if (status == 0)
        status = keep_int("batch-size", "batch_size", &o->batch_size, o->saved);
    if (status == 0)
        status = keep_int("seed", "seed", &o->seed, o->saved);
    if (status == 0)
        status = keep_int("held-out", "held_out", &o->held_out, o->saved);
    if (status == 0)
        status = keep_exif(o, checkpoint);
    return status;
}

static bool is_file(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

/* last.pth could not be read: the run's other checkpoints hold all that it takes to go on. */
static int tell_others(const train_options *o)
{
    char path[4200], from[8300], to[8300];
    int status = fail_with_error();
    snprintf(path, sizeof path, "%s/last.pth", o->resume);
    quote_path(to, sizeof to, path);
    snprintf(path, sizeof path, "%s/best_model.pth", o->resume);
    quote_path(from, sizeof from, path);
    if (is_file(path))
        fprintf(stderr, "facula: the run goes on from its best epoch after: cp %s %s\n", from, to);
    return status;
}

static int read_saved(train_options *o)
{
    char path[4200];
    if (is_file(o->resume)) {
        fprintf(stderr, "facula: --resume: got %s, which is a file, needs the folder of the run\n", o->resume);
        return EXIT_USAGE;
    }
    if (snprintf(path, sizeof path, "%s/last.pth", o->resume) >= (int)sizeof path) {
        fprintf(stderr, "facula: --resume: the path is too long\n");
        return EXIT_USAGE;
    }
    int status = 1;
    fa_scope {
        fa_value *checkpoint = fa_load(path);
        status = checkpoint != NULL ? take_saved(o, checkpoint) : tell_others(o);
    }
    return status;
}

/* ---- The command line -------------------------------------------------------------------------------------------- */

static bool one_of(const char *option, const char *value, const char *const *words, int n)
{
    for (int i = 0; i < n; i++)
        if (strcmp(value, words[i]) == 0)
            return true;
    fprintf(stderr, "facula: --%s: got \"%s\", needs", option, value);
    for (int i = 0; i < n; i++)
        fprintf(stderr, "%s %s", i == 0 ? "" : i == n - 1 ? " or" : ",", words[i]);
    fprintf(stderr, "\n");
    return false;
}

static int check(train_options *o)
{
    static const char *const optimizers[] = {"adam", "sgd"},
                             *const schedules[] = {"none", "cosine", "step", "plateau", "onecycle"},
                             *const policies[] = {"stop", "skip"};
    if (!one_of("on-bad-image", o->on_bad_image, policies, 2))
        return EXIT_USAGE;
    if (!one_of("optimizer", o->optimizer, optimizers, 2) || !one_of("schedule", o->schedule, schedules, 5))
        return EXIT_USAGE;
    if (o->network != NULL && find_network(o->network) == NULL)
        return EXIT_USAGE;
    if (o->resume != NULL) {
        if (o->out == NULL && !o->force)
            return 0;
        fprintf(stderr, "facula: --resume goes on in the run's own folder: leave %s out\n",
                o->out != NULL ? "--out" : "--force");
        return EXIT_USAGE;
    }
    if (o->data == NULL) {
        fprintf(stderr, "facula: train: which data set? For example: facula train data/mnist\n");
        return EXIT_USAGE;
    }
    o->schedule_epochs = o->epochs;
    return 0;
}

int read_train_options(int argc, char **argv, train_options *o)
{
    *o = (train_options){.epochs = 3,
                         .batch_size = 64,
                         .held_out = -1,
                         .threads = -1,
                         .workers = 1,
                         .lr = 1e-3,
                         .save_every = 10,
                         .save_minutes = 10,
                         .optimizer = "adam",
                         .schedule = "none",
                         .transform = "ToTensor()",
                         .augment = "none",
                         .on_bad_image = "stop"};
    const option_spec options[] = {
        {"epochs", OPTION_INT, &o->epochs, 1, 1e6, "N", "passes over the training images, those done before included"},
        {"batch-size", OPTION_INT, &o->batch_size, 1, 1e6, "N", "images a step"},
        {"lr", OPTION_NUMBER, &o->lr, 0, 1e9, "X", "learning rate"},
        {"optimizer", OPTION_TEXT, &o->optimizer, 0, 0, "NAME", "adam, or sgd with momentum 0.9"},
        {"schedule", OPTION_TEXT, &o->schedule, 0, 0, "NAME",
         "of the rate: none; cosine: down to 0 over the epochs; step: a tenth after each third of them; plateau: a "
         "tenth "
         "when the validation loss has not improved for 3 epochs; onecycle: up to --lr and down, step by step"},
        {"augment", OPTION_TEXT, &o->augment, 0, 0, "STEPS",
         "random steps for the images to train on, before --transform: \"RandomCrop(28, padding=2)\"; with ToTensor() "
         "among them, instead of it"},
        {"transform", OPTION_TEXT, &o->transform, 0, 0, "STEPS",
         "what every image goes through: \"ToTensor(), Normalize(0.1307, 0.3081)\""},
        {"exif", OPTION_FLAG, &o->exif, 0, 0, NULL,
         "turn photographs as their EXIF orientation says; a prediction with the network does so too"},
        {"on-bad-image", OPTION_TEXT, &o->on_bad_image, 0, 0, "WHAT",
         "one that cannot be read: stop; or skip: it is left out and told, a tenth of them at most"},
        {"seed", OPTION_INT, &o->seed, 0, 9.2e18, "N", "of weights, order and the held-out images"},
        {"network", OPTION_TEXT, &o->network, 0, 0, "NAME",
         "mnist, cifar, fake64, img224, vgg_bn or resnet18; default: one of the first four by the images' size"},
        {"held-out", OPTION_INT, &o->held_out, 1, 1e9, "N",
         "training images kept for validation; default: a tenth, 5000 at most; none where the data has val/"},
        {"download", OPTION_TEXT, &o->download, 0, 0, "NAME",
         "fetch into DATA what is missing of mnist, fashion-mnist, kmnist, cifar10 or cifar100"},
        {"threads", OPTION_INT, &o->threads, 1, 256, "N", "for the kernels; the results are the same for any number"},
        {"workers", OPTION_INT, &o->workers, 0, 256, "N", "threads that fetch batches ahead"},
        {"out", OPTION_TEXT, &o->out, 0, 0, "DIR",
         "the run's folder; default: the next free runs/NAME-NNN, NAME as the data's folder"},
        {"force", OPTION_FLAG, &o->force, 0, 0, NULL, "remove the run that --out holds, and begin anew"},
        {"resume", OPTION_TEXT, &o->resume, 0, 0, "RUN", "go on with the run in this folder, exactly where it stopped"},
        {"save-every", OPTION_INT, &o->save_every, 0, 1e6, "N", "keep checkpoint_epoch_N.pth every N epochs; 0: never"},
        {"save-minutes", OPTION_NUMBER, &o->save_minutes, 0, 1e6, "X",
         "write last.pth within an epoch after so long; 0: never"},
        {"keep-last", OPTION_INT, &o->keep_last, 0, 1e6, "N", "how many checkpoint_epoch_N.pth stay; 0: all"},
    };
    int status =
        read_options(argc, argv, options, sizeof options / sizeof *options,
                     "usage: facula train DATA [options]\n       facula train --resume RUN [options]\n\n"
                     "Trains a CNN to tell classes of images apart. DATA is a folder, and what it holds tells "
                     "its content:\n  MNIST's four files, or those of Fashion-MNIST or KMNIST, with .gz or without\n  "
                     "CIFAR-10's or CIFAR-100's, in the version for Python or the binary one\n"
                     "  train/, val/, test/ with a sub-folder of pictures for each class; one of the last two "
                     "may be missing\n  a sub-folder of pictures for each class\n  train.csv, a list of path,label "
                     "(val.csv, test.csv; or DATA is a .csv itself)\n  train_images.npy and train_labels.npy (val_..., "
                     "test_...), or images.npy and labels.npy\n\n"
                     "Images are held out of the training ones for validation where there is no val/; the test "
                     "ones are looked\nat once, at the end.",
                     &o->data, 1);
    if (status == 0)
        status = check(o);
    if (status == 0)
        status = print_transforms(o);
    if (status == 0 && o->resume != NULL)
        status = read_saved(o);
    char whole[PATH_MAX];
    if (status == 0 && realpath(o->data, whole) != NULL)
        snprintf(o->place, sizeof o->place, "%s", whole);
    else if (status == 0 && o->data != o->place)
        snprintf(o->place, sizeof o->place, "%s", o->data);
    return status;
}

void end_train_options(train_options *o)
{
    if (o->saved != NULL)
        fa_value_free(o->saved);
    o->saved = NULL;
    free(o->transform_text);
    free(o->augment_text);
    o->transform_text = o->augment_text = NULL;
}
