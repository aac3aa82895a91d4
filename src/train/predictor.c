/* Predictors: a network, its transforms and its classes from a file. */
#include "train/predictor.h"

#include "base/error.h"
#include "base/memory.h"
#include "nn/state.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char call[] = "fa_predictor_open";
static atomic_llong live;

/* ---- What the file says ------------------------------------------------------------------------------------------ */

/* A run's folder stands for its best checkpoint. */
static char *find_checkpoint(const char *path, fa_where where)
{
    static const char *const names[] = {"best_model.pth", "last.pth"};
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        char *copy = fa_strdup(path);
        if (copy == NULL)
            fa_fail_memory(where, strlen(path) + 1);
        return copy;
    }
    size_t size = strlen(path) + 32;
    char *made = fa_malloc(size);
    if (made == NULL) {
        fa_fail_memory(where, size);
        return NULL;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(made, size, "%s/%s", path, names[i]);
        if (stat(made, &status) == 0)
            return made;
    }
    fa_mfree(made);
    fa_fail(FA_FILE_ERROR, where, call,
            "got the folder %s, which holds no best_model.pth and no last.pth, needs a run's folder or a checkpoint.",
            path);
    return NULL;
}

/* The entry of a dict, NULL where there is none or None. */
static fa_value *entry(fa_value *dict, const char *name, fa_where where)
{
    fa_value *value = fa_state_entry(dict, name, where);
    return value != NULL && fa_kind_of(value) != FA_VALUE_NONE ? value : NULL;
}

/* The network that a run's checkpoint describes, or that of a whole model. NULL after an error. */
static fa_module *make_model(const fa_predictor *p, fa_value *file, fa_where where)
{
    fa_value *text = entry(file, "network", where), *state = entry(file, "model_state_dict", where);
    if (fa_kind_of(text) == FA_VALUE_STRING && fa_kind_of(state) == FA_VALUE_DICT) {
        fa_value *whole = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
        return fa_state_put(whole, "architecture", text, where) && fa_state_put(whole, "state_dict", state, where)
                   ? fa_module_of_value_at(whole, where)
                   : NULL;
    }
    bool whole = fa_kind_of(file) == FA_VALUE_OBJECT || entry(file, "architecture", where) != NULL ||
                 fa_kind_of(entry(file, "model", where)) == FA_VALUE_OBJECT ||
                 fa_kind_of(entry(file, "net", where)) == FA_VALUE_OBJECT;
    if (whole)
        return fa_module_of_value_at(file, where);
    fa_fail(FA_VALUE_ERROR, where, call,
            "got %s, which does not say what network its weights belong to, needs a checkpoint of a run or a whole "
            "model. Hint: .model = the network; it takes the weights.",
            p->path);
    return NULL;
}

static bool read_model(fa_predictor *p, const fa_predictor_open_args *args, fa_value *file)
{
    if (args->model == NULL) {
        p->model = make_model(p, file, args->where_);
    } else if (fa_module_check(args->model, call, args->where_)) {
        const fa_load_state_dict_args load = {.state = file, .where_ = args->where_, .strict = true};
        p->model = fa_module_load_state_dict_at(args->model, &load) ? fa_retain(args->model) : NULL;
    }
    if (p->model == NULL)
        return false;
    fa_eval(p->model);
    const char *last = fa_class_name(fa_module_last(p->model));
    p->ends_in_softmax = strcmp(last, "Softmax") == 0;
    p->float64 = fa_network_is_float64(p->model);
    return fa_ok();
}

static bool read_transform(fa_predictor *p, const fa_predictor_open_args *args, fa_value *file)
{
    fa_where where = args->where_;
    fa_transform *transform = args->transform;
    if (transform == NULL) {
        fa_value *text = entry(file, "transforms", where);
        if (fa_kind_of(text) != FA_VALUE_STRING)
            return fa_fail(FA_VALUE_ERROR, where, call,
                           "got %s, which does not say how pictures are prepared, needs transforms. Hint: .transform "
                           "= fa_compose(..., fa_to_tensor(), ...), those of the training without what is random.",
                           p->path);
        transform = fa_transform_parse_at(fa_as_string_at(text, where), where);
    }
    if (!fa_object_check((fa_object *)transform, &fa_transform_class, call, where))
        return false;
    fa_transform *whole = transform;
    if (args->fit > 0)
        whole = fa_compose_at(2, (fa_transform *[]){fa_fit_at(args->fit, where), transform}, where);
    if (whole == NULL) {
        if (args->transform == NULL)
            fa_transform_free(transform);
        return false;
    }
    fa_object_hold((fa_object *)whole);
    p->transform = whole;
    size_t length = fa_transform_text_at(whole, NULL, 0, where);
    p->transform_text = fa_malloc(length + 1);
    if (p->transform_text == NULL)
        return fa_fail_memory(where, length + 1);
    fa_transform_text_at(whole, p->transform_text, length + 1, where);
    return true;
}

static bool read_class_names(fa_predictor *p, const fa_predictor_open_args *args, fa_value *file)
{
    fa_where where = args->where_;
    fa_value *list = args->class_names.count > 0 ? NULL : entry(file, "class_names", where);
    bool known = fa_kind_of(list) == FA_VALUE_LIST || fa_kind_of(list) == FA_VALUE_TUPLE;
    int64_t count = args->class_names.count > 0 ? args->class_names.count : known ? fa_len(list) : 0;
    if (count == 0)
        return fa_fail(FA_VALUE_ERROR, where, call,
                       "got %s, which does not name its classes, needs names. Hint: .class_names = FA_NAMES(\"cat\", "
                       "\"dog\"), in the order of the training's class numbers.",
                       p->path);
    p->class_names = fa_calloc((size_t)count, sizeof *p->class_names);
    if (p->class_names == NULL)
        return fa_fail_memory(where, (size_t)count * sizeof *p->class_names);
    for (p->classes = 0; p->classes < count; p->classes++) {
        const char *name =
            list != NULL ? fa_as_path_at(fa_value_at(list, p->classes), where) : args->class_names.name[p->classes];
        if (name == NULL)
            return fa_ok() && fa_fail(FA_VALUE_ERROR, where, call, "got no name (NULL) for class %lld, needs one.",
                                      (long long)p->classes);
        if ((p->class_names[p->classes] = fa_strdup(name)) == NULL)
            return fa_fail_memory(where, strlen(name) + 1);
    }
    return true;
}

/* ---- Whether it fits together ------------------------------------------------------------------------------------ */

/* The form that the transforms give pictures of this size. False, without an error, if they refuse them; `record` says
 * why. */
static bool result_form(const fa_predictor *p, int64_t channels, int64_t height, int64_t width, fa_image_form *form,
                        fa_error_record *record)
{
    const fa_image_form picture = {false, channels, height, width, false};
    fa_chain chain = {.table = NULL};
    bool fine = fa_chain_begin(&chain, p->transform, &picture, FA_HERE);
    if (fine)
        *form = *fa_chain_result(&chain);
    fa_chain_end(&chain);
    fa_error_take(record);
    return fine;
}

/* Pictures that are unlike in size and shape. */
static const int64_t probes[][2] = {{600, 800}, {331, 257}};

/* How pictures are read for this network: in colour unless it takes grey. Fills in .rules and, where any picture
 * becomes of one size, .size. False after an error. */
static bool choose_mode(fa_predictor *p, const fa_predictor_open_args *args, fa_value *file)
{
    fa_value *turned = entry(file, "exif", args->where_);
    const bool exif = args->exif || (fa_kind_of(turned) == FA_VALUE_BOOL && fa_as_bool_at(turned, args->where_));
    fa_picture_options options = {args->mode, args->background, exif, args->max_pixels};
    if (!fa_picture_rules_parse(&options, call, args->where_, &p->rules))
        return false;
    int64_t wanted = fa_network_channels(p->model, p->float64);
    fa_image_form form[2] = {{0}}, fallback[2] = {{0}};
    fa_error_record record;
    int chosen = 0, possible = 0;
    for (int channels = 3; channels >= 1 && chosen == 0; channels -= 2) {
        if (args->mode != NULL && channels != p->rules.channels)
            continue;
        if (!result_form(p, channels, probes[0][0], probes[0][1], &form[0], &record) ||
            !result_form(p, channels, probes[1][0], probes[1][1], &form[1], &record))
            continue;
        if (wanted == 0 || form[0].channels == wanted)
            chosen = channels;
        if (possible == 0) {
            possible = channels;
            memcpy(fallback, form, sizeof form);
        }
    }
    if (possible == 0) /* a crop that is larger than the probes, or transforms that suit no picture */
        possible = args->mode != NULL ? p->rules.channels : wanted == 1 ? 1 : 3;
    if (chosen == 0)
        memcpy(form, fallback, sizeof form);
    p->rules.channels = chosen != 0 ? chosen : possible;
    if (form[0].height == form[1].height && form[0].width == form[1].width) {
        p->size[0] = form[0].height;
        p->size[1] = form[0].width;
    }
    return true;
}

static bool draws(const fa_transform_body *body)
{
    bool any = body->draws > 0;
    for (int i = 0; i < body->n_steps; i++)
        any |= draws(fa_transform_body_of(body->steps[i]));
    return any;
}

static bool check_output(const fa_predictor *p, const fa_shape *output, fa_where where)
{
    if (output->ndim == 2 && output->size[1] == p->classes)
        return true;
    if (output->ndim != 2)
        return fa_fail(FA_SHAPE_ERROR, where, call,
                       "got a network whose output has %d dimensions, needs [pictures, classes]: one number a class.",
                       output->ndim);
    return fa_fail(FA_SHAPE_ERROR, where, call,
                   "got a network that gives %lld numbers a picture, and %lld class names.", (long long)output->size[1],
                   (long long)p->classes);
}

/* Transforms, network and names, as far as they can be told without a picture. */
static bool check_fit(const fa_predictor *p, fa_where where)
{
    if (draws(fa_transform_body_of(p->transform)))
        return fa_fail(FA_VALUE_ERROR, where, call,
                       "got transforms that draw random numbers (%s), needs those of evaluation. Hint: .transform = "
                       "the same without what is random.",
                       p->transform_text);
    fa_image_form form;
    fa_error_record record;
    if (!result_form(p, p->rules.channels, probes[0][0], probes[0][1], &form, &record))
        return true; /* they may suit pictures of another size: the first one will tell */
    if (!form.floats)
        return fa_fail(FA_DTYPE_ERROR, where, call,
                       "got transforms that end in bytes (%s), needs floats. Hint: fa_to_tensor() among them.",
                       p->transform_text);
    int64_t wanted = fa_network_channels(p->model, p->float64);
    if (wanted > 0 && form.channels != wanted)
        return fa_fail(FA_SHAPE_ERROR, where, call,
                       "got transforms that make pictures of %lld channels (%s), and a network that takes %lld.",
                       (long long)form.channels, p->transform_text, (long long)wanted);
    int64_t side = p->size[0] > 0 ? 0 : fa_network_side(p->model, p->float64, form.channels);
    const int64_t height = side > 0 ? side : p->size[0], width = side > 0 ? side : p->size[1];
    fa_shape output = FA_SCALAR;
    char why[FA_PREDICTION_ERROR];
    if (height == 0)
        return true;
    if (!fa_network_takes(p->model, p->float64, FA_SHAPE(1, form.channels, height, width), &output, why, sizeof why))
        return fa_fail(FA_SHAPE_ERROR, where, call,
                       "got transforms that make pictures %lld x %lld x %lld, which the network does not take: %s",
                       (long long)form.channels, (long long)height, (long long)width, why);
    return check_output(p, &output, where);
}

/* ---- Making and ending ------------------------------------------------------------------------------------------- */

static bool fill(fa_predictor *p, const fa_predictor_open_args *args)
{
    fa_where where = args->where_;
    if (args->fit < 0)
        return fa_fail(FA_VALUE_ERROR, where, call, "got .fit %lld, needs the side of a square, or 0.",
                       (long long)args->fit);
    if ((p->path = find_checkpoint(args->path, where)) == NULL)
        return false;
    fa_value *file = fa_load_at(&(fa_load_args){.path = p->path, .where_ = where});
    return file != NULL && read_model(p, args, file) && read_transform(p, args, file) &&
           read_class_names(p, args, file) && choose_mode(p, args, file) && check_fit(p, where);
}

fa_predictor *fa_predictor_open_at(const fa_predictor_open_args *args)
{
    fa_begin(args->where_);
    if (!fa_ok())
        return NULL;
    if (args->path == NULL) {
        fa_fail(FA_VALUE_ERROR, args->where_, call, "got no path (NULL), needs a checkpoint's or a run's folder.");
        return NULL;
    }
    fa_predictor *p = fa_calloc(1, sizeof *p);
    if (p == NULL) {
        fa_fail_memory(args->where_, sizeof *p);
        return NULL;
    }
    atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    bool fine = false;
    fa_scope
        fine = fill(p, args);
    if (fine && fa_ok())
        return p;
    fa_predictor_free(p);
    return NULL;
}

void fa_predictor_free(fa_predictor *p)
{
    if (p == NULL)
        return;
    if (p->model != NULL)
        fa_module_free(p->model);
    fa_object_drop((fa_object *)p->transform);
    for (int64_t i = 0; p->class_names != NULL && i < p->classes; i++)
        fa_mfree(p->class_names[i]);
    fa_mfree(p->class_names);
    fa_mfree(p->transform_text);
    fa_mfree(p->path);
    fa_mfree(p);
    atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
}

int64_t fa_predictor_live_count(void)
{
    return atomic_load_explicit(&live, memory_order_relaxed);
}

int64_t fa_predictor_class_count(const fa_predictor *p)
{
    return p != NULL ? p->classes : 0;
}

const char *fa_predictor_class_name(const fa_predictor *p, int64_t index)
{
    return p != NULL && index >= 0 && index < p->classes ? p->class_names[index] : NULL;
}

const char *fa_predictor_transforms(const fa_predictor *p)
{
    return p != NULL ? p->transform_text : "";
}

const char *fa_predictor_mode(const fa_predictor *p)
{
    return p == NULL ? "" : p->rules.channels == 1 ? "L" : "RGB";
}

const char *fa_predictor_path(const fa_predictor *p)
{
    return p != NULL ? p->path : "";
}
