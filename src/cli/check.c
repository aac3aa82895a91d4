/* facula check DATA: what a training on the data would meet, before it begins. */
#include "check.h"

#include "data.h"
#include "values.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct check_options {
    const char *data, *model, *transform;
    int64_t batch_size, threads;
    bool json, drop_last, exif;
} check_options;

typedef struct checked {
    check_options options;
    data_source source;
    fa_dataset *part[DATA_PARTS];
    fa_loader *loader[DATA_PARTS];
    char *refused[DATA_PARTS]; /* why a part could not be opened */
    char *no_network;          /* why the known network could not be made for these images */
    fa_transform *transform;
    fa_module *model;
    char *model_text; /* of a file that is a printed network */
} checked;

static void *no_null(void *block)
{
    if (block == NULL) {
        fprintf(stderr, "facula: error: no memory\n");
        exit(1);
    }
    return block;
}

/* ---- The data ---------------------------------------------------------------------------------------------------- */

/* Pictures are looked at as they are; a class folder without pictures is told, not refused. */
static bool open_data(checked *c)
{
    if (!data_find(&c->source, c->options.data))
        return false;
    c->source.allow_empty = true;
    c->source.picture = (fa_picture_options){.exif = c->options.exif};
    for (int part = 0; part < DATA_PARTS; part++) {
        if (!c->source.has[part])
            continue;
        c->part[part] = data_open(&c->source, (data_part)part, NULL);
        if (c->part[part] == NULL && part == PART_TRAIN)
            return false;
        if (c->part[part] == NULL) {
            c->refused[part] = no_null(strdup(error_text()));
            fa_clear_error();
            continue;
        }
        c->loader[part] =
            fa_data_loader(c->part[part], .batch_size = c->options.batch_size, .shuffle = part == PART_TRAIN,
                           .drop_last = part == PART_TRAIN && c->options.drop_last);
    }
    return fa_ok();
}

/* What `facula train` would put images through. */
static bool choose_transform(checked *c)
{
    if (!fa_ok())
        return false;
    if (c->transform == NULL)
        c->transform = c->options.transform != NULL ? fa_transform_parse(c->options.transform) : fa_to_tensor();
    if (c->transform == NULL || !c->source.files)
        return c->transform != NULL;
    char text[4096];
    fa_transform_text(c->transform, text, sizeof text);
    if (data_sets_size(text))
        return true;
    picture_sizes sizes;
    if (!data_sizes(&c->source, &sizes)) {
        fa_clear_error();
        sizes = (picture_sizes){.one = false};
    }
    c->transform = fa_compose(fa_fit(data_side(&sizes)), c->transform);
    return fa_ok();
}

/* ---- The network ------------------------------------------------------------------------------------------------- */

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* The network of a checkpoint or a whole model, and the transforms that are kept with it. */
static bool read_checkpoint(checked *c, const char *path)
{
    fa_value *file = fa_load(path);
    if (file == NULL)
        return false;
    const bool dict = fa_kind_of(file) == FA_VALUE_DICT;
    const char *text = dict && fa_has(file, "network") && fa_kind_of(fa_get(file, "network")) == FA_VALUE_STRING
                           ? fa_get_string(file, "network")
                           : NULL;
    c->model = text != NULL ? fa_module_from_text(text) : fa_module_of_value(file);
    if (c->options.transform == NULL && dict && fa_has(file, "transforms") &&
        fa_kind_of(fa_get(file, "transforms")) == FA_VALUE_STRING)
        c->transform = fa_transform_parse(fa_get_string(file, "transforms"));
    return fa_ok();
}

static bool read_printed(checked *c, const char *path)
{
    enum { MOST = 1 << 20 };
    FILE *file = fopen(path, "rb");
    c->model_text = no_null(calloc(1, MOST + 1));
    const size_t length = file != NULL ? fread(c->model_text, 1, MOST, file) : 0;
    if (file != NULL)
        fclose(file);
    for (size_t n = length; n > 0 && strchr(" \n\r\t", c->model_text[n - 1]) != NULL; n--)
        c->model_text[n - 1] = '\0';
    c->model = fa_module_from_text(c->model_text);
    return fa_ok();
}

/* A network by its name suits the images; a file says what it is. */
static bool find_model(checked *c)
{
    const char *name = c->options.model;
    char path[DATA_PATH_BYTES];
    if (name == NULL)
        return true;
    snprintf(path, sizeof path, "%s/best_model.pth", name);
    if (is_folder(name) && access(path, F_OK) != 0)
        snprintf(path, sizeof path, "%s/last.pth", name);
    if (!is_folder(name))
        snprintf(path, sizeof path, "%s", name);
    bool good = true;
    if (access(path, F_OK) == 0)
        fa_scope
            good = strncmp(file_format(path), "PyTorch", 7) == 0 ? read_checkpoint(c, path) : read_printed(c, path);
    return good;
}

/* False without an error, and with a message: there is no such network. */
static bool make_known(checked *c)
{
    if (strpbrk(c->options.model, "./") != NULL) {
        fprintf(stderr, "facula: --model: got %s, which is no file and no run\n", c->options.model);
        return false;
    }
    const network *net = find_network(c->options.model);
    if (net == NULL)
        return false;
    image_form form = {.classes = c->source.classes.count};
    fa_scope {
        const fa_batch one = data_first_item(c->part[PART_TRAIN], 100);
        fa_tensor *image = one.images != NULL ? fa_permute(one.images, 1, 2, 0) : NULL;
        image = image != NULL ? fa_transform_apply(c->transform, fa_clone(image)) : NULL;
        if (image != NULL) {
            form.channels = fa_size(image, 0);
            form.height = fa_size(image, 1);
            form.width = fa_size(image, 2);
        }
    }
    c->model = fa_ok() ? make_network(net, &form) : NULL;
    if (c->model == NULL)
        c->no_network = no_null(strdup(error_text()));
    fa_clear_error();
    return true;
}

/* ---- The command ------------------------------------------------------------------------------------------------- */

static void show_progress(void *user, int64_t done, int64_t total)
{
    (void)user;
    fprintf(stderr, "\rlooking at %lld of %lld%s", (long long)done, (long long)total, done == total ? "\r\033[K" : "");
    fflush(stderr);
}

static void add_check(fa_value *report, const char *group, const char *name, const char *mark, const char *text)
{
    fa_list_add(fa_get(report, "checks"),
                fa_dict("group", group, "name", name, "mark", mark, "text", fa_value_path(text), "hint", ""));
    if (strcmp(mark, "stop") == 0)
        fa_dict_put(report, "stops", fa_get_int(report, "stops") + 1);
}

/* What the library cannot know: where the data lies, what could not be opened or made, what `facula train` does. */
static void complete(const checked *c, fa_value *report)
{
    char text[2048];
    fa_dict_put(report, "data", fa_value_path(c->source.root));
    fa_dict_put(report, "kind", c->source.what);
    size_t length = fa_transform_text(c->transform, text, sizeof text);
    fa_dict_put(report, "transforms", length < sizeof text ? text : "");
    fa_dict_put(report, "batch_size", c->options.batch_size);
    for (int part = 0; part < DATA_PARTS; part++)
        if (c->refused[part] != NULL)
            add_check(report, "data", "items", "stop", c->refused[part]);
    if (c->no_network != NULL)
        add_check(report, "model", "layers", "stop", c->no_network);
    add_check(
        report, "training", "loop", "ok",
        "facula train calls zero_grad, train() and eval() where they belong, prints the losses, validates after each "
        "epoch and keeps the best model");
}

static int check(checked *c)
{
    if (!open_data(c) || !find_model(c) || !choose_transform(c))
        return fail_with_error();
    if (c->options.model != NULL && c->model == NULL && !make_known(c))
        return EXIT_USAGE;
    const bool terminal = isatty(STDERR_FILENO) != 0;
    int status = 1;
    fa_scope {
        fa_value *report =
            fa_check(c->loader[PART_TRAIN], .validation = c->loader[PART_VALIDATION], .test = c->loader[PART_TEST],
                     .model = c->model, .transform = c->transform, .progress = terminal ? show_progress : NULL);
        if (report != NULL)
            complete(c, report);
        if (report != NULL && fa_ok()) {
            (c->options.json ? print_report_json : print_report)(report);
            status = fa_get_int(report, "stops") > 0 ? 1 : 0;
        }
    }
    return fa_ok() ? status : fail_with_error();
}

static void end(checked *c)
{
    for (int part = 0; part < DATA_PARTS; part++) {
        fa_free(c->loader[part]);
        fa_free(c->part[part]);
        free(c->refused[part]);
    }
    fa_free(c->model);
    fa_free(c->transform);
    free(c->no_network);
    free(c->model_text);
}

int command_check(int argc, char **argv)
{
    checked c = {.options = {.batch_size = 32, .threads = -1}};
    check_options *o = &c.options;
    const option_spec options[] = {
        {"model", OPTION_TEXT, &o->model, 0, 0, "M",
         "the network: a known one by its name (mnist, cifar, ...), a checkpoint, a run, or a text as PyTorch prints "
         "it"},
        {"transform", OPTION_TEXT, &o->transform, 0, 0, "STEPS",
         "what images go through, as of `facula train`: \"ToTensor(), Normalize(0.1307, 0.3081)\""},
        {"exif", OPTION_FLAG, &o->exif, 0, 0, NULL, "turn photographs as their EXIF orientation says"},
        {"batch-size", OPTION_INT, &o->batch_size, 1, 1e6, "N", "images a step"},
        {"drop-last", OPTION_FLAG, &o->drop_last, 0, 0, NULL, "a last batch that is not full is left out"},
        {"threads", OPTION_INT, &o->threads, 1, 256, "N", "that look at pictures"},
        {"json", OPTION_FLAG, &o->json, 0, 0, NULL, "for programs: the whole report"},
    };
    int status =
        read_options(argc, argv, options, sizeof options / sizeof *options,
                     "usage: facula check DATA [options]\n\nReads every picture and tells what a training would "
                     "meet. DATA is what `facula train` takes.\nThe exit status is 1 if something would stop it.",
                     &o->data, 1);
    if (status == 0 && o->data == NULL) {
        fprintf(stderr, "facula: check: which data set? For example: facula check data/mnist\n");
        status = EXIT_USAGE;
    }
    if (status == 0 && o->threads > 0)
        fa_set_num_threads((int)o->threads);
    if (status == 0)
        status = check(&c);
    end(&c);
    return status < 0 ? 0 : status;
}
