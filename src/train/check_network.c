/* A network on a data set's images, layer by layer: recorded on the first batch's shape, nothing is computed. */
#include "train/check.h"

#include "base/error.h"
#include "base/memory.h"
#include "train/predictor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 1024 };

typedef struct traced {
    const fa_module_impl *module;
    fa_shape in, out;
    bool left;
} traced;

typedef struct trace {
    traced *row;
    int count;
    int running[FA_FORWARD_DEPTH]; /* rows of those that have not returned */
    int depth;
} trace;

static void enter(void *context, fa_module_impl *module, fa_tensor *input)
{
    trace *t = context;
    if (t->count < MOST_ROWS)
        t->row[t->count] = (traced){.module = module, .in = fa_shape_of(input)};
    if (t->depth < FA_FORWARD_DEPTH)
        t->running[t->depth] = t->count < MOST_ROWS ? t->count++ : MOST_ROWS;
    t->depth++;
}

static void leave(void *context, fa_module_impl *module, fa_tensor *output)
{
    (void)module;
    trace *t = context;
    t->depth--;
    int at = t->depth < FA_FORWARD_DEPTH ? t->running[t->depth] : MOST_ROWS;
    if (at < MOST_ROWS) {
        t->row[at].out = fa_shape_of(output);
        t->row[at].left = true;
    }
}

/* ---- Words ------------------------------------------------------------------------------------------------------- */

/* "conv1, Conv2d(3, 8, kernel_size=(3, 3), stride=(1, 1))" */
static void describe(const fa_module_impl *module, char *out, size_t size)
{
    char path[256], text[512];
    fa_module_path(module, path, sizeof path);
    const int64_t length = fa_module_format(module->self, text, sizeof text);
    const bool whole = length > 0 && length < (int64_t)sizeof text && strchr(text, '\n') == NULL;
    snprintf(out, size, "%s, %s", path, whole ? text : module->class_name);
}

/* "490 = 10 channels x 7 x 7", where the layers before gave such an image. */
static void describe_features(const trace *t, int64_t features, char *out, size_t size)
{
    snprintf(out, size, "%lld", (long long)features);
    for (int i = t->count - 1; i >= 0; i--) {
        const fa_shape *shape = t->row[i].left ? &t->row[i].out : &t->row[i].in;
        if (shape->ndim != 4)
            continue;
        const int64_t *s = shape->size;
        if (s[1] * s[2] * s[3] == features)
            snprintf(out, size, "%lld = %lld channel%s x %lld x %lld", (long long)features, (long long)s[1],
                     s[1] == 1 ? "" : "s", (long long)s[2], (long long)s[3]);
        return;
    }
}

static const char *colour_of(int64_t channels)
{
    return channels == 1 ? "1 channel (grey)" : channels == 3 ? "3 channels (RGB)" : "channels";
}

/* ---- A layer that does not take its input ------------------------------------------------------------------------ */

static bool is(const traced *row, const char *class_name)
{
    return strcmp(row->module->class_name, class_name) == 0;
}

static void refuse_linear(fa_checklist *list, const trace *t, const traced *row, const char *layer)
{
    const int64_t wanted = fa_shape_of(fa_module_tensor(row->module->self, "weight")).size[1];
    const int64_t got = row->in.size[row->in.ndim - 1];
    int64_t all = 1;
    for (int d = 1; d < row->in.ndim; d++)
        all *= row->in.size[d];
    char features[96];
    describe_features(t, row->in.ndim > 2 ? all : got, features, sizeof features);
    if (row->in.ndim > 2 && all == wanted)
        fa_checklist_add(list, "model", "layers", FA_CHECK_STOP,
                         "layer %s: its input is %s, which needs to be flat. Hint: a Flatten() before it", layer,
                         fa_dims_text(row->in.ndim, row->in.size));
    else if (row->in.ndim > 2)
        fa_checklist_add(list, "model", "layers", FA_CHECK_STOP,
                         "layer %s: its input is %s, which needs to be flat: %s numbers an image. Hint: a Flatten() "
                         "before it, and in_features=%lld",
                         layer, fa_dims_text(row->in.ndim, row->in.size), features, (long long)all);
    else
        fa_checklist_add(list, "model", "layers", FA_CHECK_STOP,
                         "layer %s: its input is %s numbers an image. Hint: write in_features=%lld", layer, features,
                         (long long)got);
}

static void refuse_channels(fa_checklist *list, const trace *t, const traced *row, const char *layer,
                            const char *option)
{
    const int64_t got = row->in.size[1];
    const bool first = row->in.ndim == 4 && t->row[0].in.ndim == 4 && t->row[0].in.size[1] == got &&
                       t->row[0].in.size[2] == row->in.size[2];
    if (first)
        fa_checklist_add(list, "model", "layers", FA_CHECK_STOP,
                         "layer %s: the data set gives images of %s. Hint: write %s=%lld, or let the transforms make "
                         "other images: Grayscale(num_output_channels=%d)",
                         layer, colour_of(got), option, (long long)got, got == 1 ? 3 : 1);
    else
        fa_checklist_add(list, "model", "layers", FA_CHECK_STOP,
                         "layer %s: the layer before it gives %lld channels. Hint: write %s=%lld", layer,
                         (long long)got, option, (long long)got);
}

/* Whether the layer would take this input with the channels that it was made for, which its printed form begins with:
 * "Conv2d(3, 8, ...", "BatchNorm2d(8, ...". */
static bool only_channels_differ(const traced *row)
{
    char text[64];
    fa_module *self = row->module->self;
    const char *bracket = row->in.ndim == 4 && fa_module_format(self, text, sizeof text) > 0 ? strchr(text, '(') : NULL;
    fa_shape tried = row->in;
    tried.size[0] = 1;
    tried.size[1] = bracket != NULL ? strtoll(bracket + 1, NULL, 10) : 0;
    return tried.size[1] > 0 && tried.size[1] != row->in.size[1] &&
           fa_network_takes(self, fa_network_is_float64(self), tried, NULL, NULL, 0);
}

static void refuse_layer(fa_checklist *list, const trace *t, const traced *row, const char *message)
{
    char layer[800];
    describe(row->module, layer, sizeof layer);
    if (is(row, "Linear") && row->in.ndim >= 2)
        refuse_linear(list, t, row, layer);
    else if ((is(row, "Conv2d") || is(row, "ConvTranspose2d")) && only_channels_differ(row))
        refuse_channels(list, t, row, layer, "in_channels");
    else if ((is(row, "BatchNorm2d") || is(row, "InstanceNorm2d")) && only_channels_differ(row))
        refuse_channels(list, t, row, layer, "num_features");
    else
        fa_checklist_add(list, "model", "layers", FA_CHECK_STOP, "layer %s does not take its input %s: %s", layer,
                         fa_dims_text(row->in.ndim, row->in.size), message);
}

/* ---- What follows from the shapes -------------------------------------------------------------------------------- */

static fa_value *shape_value(const fa_shape *shape, fa_where where)
{
    fa_value *list = fa_container_at(FA_VALUE_LIST, FA_FLAVOUR_PLAIN, where);
    for (int d = 0; d < shape->ndim; d++)
        fa_list_add_at(list, fa_value_int_at(shape->size[d], where), where);
    return list;
}

static void report_layers(fa_value *report, const trace *t, fa_where where)
{
    fa_value *layers = fa_container_at(FA_VALUE_LIST, FA_FLAVOUR_PLAIN, where);
    for (int i = 0; i < t->count; i++) {
        const traced *row = &t->row[i];
        if (row->module->n_children > 0)
            continue;
        char path[256];
        int64_t parameters = 0;
        for (int k = 0; k < row->module->n_entries; k++)
            if (!row->module->entries[k].buffer)
                parameters += fa_meta_numel(&row->module->entries[k].leaf->meta);
        fa_value *layer = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
        fa_check_put(layer, "name", fa_value_string_at(fa_module_path(row->module, path, sizeof path), where), where);
        fa_check_put(layer, "class", fa_value_string_at(row->module->class_name, where), where);
        fa_check_put(layer, "input", shape_value(&row->in, where), where);
        fa_check_put(layer, "output", row->left ? shape_value(&row->out, where) : fa_value_none_at(where), where);
        fa_check_put(layer, "parameters", fa_value_int_at(parameters, where), where);
        fa_list_add_at(layers, layer, where);
    }
    fa_check_put(report, "layers", layers, where);
}

static void check_outputs(fa_checklist *list, const fa_network_check *n, const fa_shape *output)
{
    if (output->ndim != 2) {
        fa_checklist_add(list, "model", "outputs", FA_CHECK_STOP,
                         "the network gives %s, where classes need [images, %lld]. Hint: a Flatten() and a Linear(..., "
                         "%lld) at its end",
                         fa_dims_text(output->ndim, output->size), (long long)n->classes, (long long)n->classes);
        return;
    }
    const int64_t outputs = output->size[1];
    if (outputs < n->classes)
        fa_checklist_add(
            list, "model", "outputs", FA_CHECK_STOP,
            "the last layer has %lld outputs and the data set has %lld classes: labels %lld to %lld are out "
            "of range. Hint: write out_features=%lld",
            (long long)outputs, (long long)n->classes, (long long)outputs, (long long)n->classes - 1,
            (long long)n->classes);
    else if (outputs > n->classes)
        fa_checklist_add(list, "model", "outputs", FA_CHECK_WARNING,
                         "the last layer has %lld outputs and the data set has %lld classes. Hint: write "
                         "out_features=%lld",
                         (long long)outputs, (long long)n->classes, (long long)n->classes);
    else
        fa_checklist_add(list, "model", "outputs", FA_CHECK_OK, "%lld outputs for %lld classes", (long long)outputs,
                         (long long)n->classes);
}

/* Batch norm needs more than one value a channel, which a last batch of one image may not have: the first such layer.
 */
static const traced *starved_layer(const trace *t, int64_t items, int64_t batch_size, bool drop_last)
{
    const int64_t last = items > 0 ? (items - 1) % batch_size + 1 : 0;
    if (last != 1 || (drop_last && batch_size > 1))
        return NULL;
    for (int i = 0; i < t->count; i++) {
        const traced *row = &t->row[i];
        int64_t values = 1;
        for (int d = 2; d < row->in.ndim; d++)
            values *= row->in.size[d];
        if (strncmp(row->module->class_name, "BatchNorm", 9) == 0 && values == 1)
            return row;
    }
    return NULL;
}

static void check_batch_norm(fa_checklist *list, const fa_network_check *n, const trace *t)
{
    const traced *row = starved_layer(t, n->items, n->batch_size, n->drop_last);
    char layer[800];
    if (row == NULL)
        return;
    describe(row->module, layer, sizeof layer);
    fa_checklist_add(list, "training", "last batch", FA_CHECK_STOP,
                     "%lld images in batches of %lld leave a last batch of 1, of which layer %s would see one value a "
                     "channel and cannot take a variance. Hint: drop_last, another batch size, or GroupNorm there",
                     (long long)n->items, (long long)n->batch_size, layer);
}

/* What a network ends in decides about the loss. */
static void check_loss(fa_checklist *list, const fa_network_check *n)
{
    const fa_module *last = fa_module_last(n->model);
    const char *class_name = fa_class_name(last);
    const double floor = log(1 + ((double)n->classes - 1) / exp(1));
    if (strcmp(class_name, "Softmax") == 0)
        fa_checklist_add(
            list, "training", "loss", FA_CHECK_WARNING,
            "the network ends in Softmax, and cross-entropy applies one itself: the loss cannot come below "
            "%.4f. Hint: leave the layer out",
            floor);
    else if (strcmp(class_name, "Sigmoid") == 0)
        fa_checklist_add(list, "training", "loss", FA_CHECK_WARNING,
                         "the network ends in Sigmoid, which cross-entropy does not want. Hint: leave the layer out; "
                         "with one output and two classes use BCEWithLogitsLoss");
    else if (strcmp(class_name, "ReLU") == 0)
        fa_checklist_add(list, "training", "loss", FA_CHECK_WARNING,
                         "the network ends in ReLU: scores below 0 are cut off before cross-entropy. Hint: leave the "
                         "layer out");
    else if (strcmp(class_name, "LogSoftmax") == 0)
        fa_checklist_add(list, "training", "loss", FA_CHECK_OK,
                         "the network ends in LogSoftmax: NLLLoss, or cross-entropy with the same result");
    else
        fa_checklist_add(list, "training", "loss", FA_CHECK_OK, "the network ends in %s: cross-entropy", class_name);
}

/* ---- The pass ---------------------------------------------------------------------------------------------------- */

/* The layer in which the pass ended: the innermost that has not returned. */
static const traced *failed_row(const trace *t)
{
    for (int d = t->depth < FA_FORWARD_DEPTH ? t->depth : FA_FORWARD_DEPTH; d > 0; d--)
        if (t->running[d - 1] < MOST_ROWS)
            return &t->row[t->running[d - 1]];
    return NULL;
}

static void run(fa_value *report, fa_checklist *list, const fa_network_check *n, trace *t)
{
    const fa_forward_observer watch = {enter, leave, t};
    const fa_forward_observer *previous = fa_forward_observe(&watch);
    const int64_t batch = n->items < n->batch_size ? (n->items > 0 ? n->items : 1) : n->batch_size;
    const fa_shape input = FA_SHAPE(batch, n->channels, n->height, n->width);
    fa_shape output = FA_SCALAR;
    char why[1024];
    const bool fits = fa_network_takes(n->model, fa_network_is_float64(n->model), input, &output, why, sizeof why);
    fa_forward_observe(previous);
    report_layers(report, t, list->where);
    if (fits) {
        fa_checklist_add(list, "model", "layers", FA_CHECK_OK, "a batch %s goes through and gives %s",
                         fa_dims_text(input.ndim, input.size), fa_dims_text(output.ndim, output.size));
        check_outputs(list, n, &output);
    } else {
        const traced *row = failed_row(t);
        if (row != NULL && row->module->n_children == 0)
            refuse_layer(list, t, row, why);
        else
            fa_checklist_add(list, "model", "layers", FA_CHECK_STOP, "the network does not take a batch %s: %s",
                             fa_dims_text(input.ndim, input.size), why);
    }
    check_batch_norm(list, n, t);
    check_loss(list, n);
}

void fa_check_network(fa_value *report, fa_checklist *list, const fa_network_check *n)
{
    fa_where where = list->where;
    const fa_tensor_list parameters = fa_parameters_at(n->model, where);
    int64_t count = 0;
    for (int64_t i = 0; i < parameters.count; i++)
        count += fa_numel(parameters.tensor[i]);
    fa_value *network = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    fa_check_put(network, "class", fa_value_string_at(fa_class_name(n->model), where), where);
    fa_check_put(network, "parameters", fa_value_int_at(count, where), where);
    fa_check_put(report, "network", network, where);
    fa_eval(n->model);
    if (n->channels == 0) {
        fa_checklist_add(list, "model", "layers", FA_CHECK_UNKNOWN,
                         "no image whose way through the network could be told");
        check_loss(list, n);
        return;
    }
    trace t = {.row = fa_calloc(MOST_ROWS, sizeof *t.row)};
    if (t.row == NULL)
        fa_fail_memory(where, MOST_ROWS * sizeof *t.row);
    else
        run(report, list, n, &t);
    fa_mfree(t.row);
}

bool fa_check_last_batch_at(fa_module *model, fa_shape image, int64_t items, int64_t batch_size, fa_where where)
{
    static const char *const call = "fa_check_last_batch";
    if (!fa_ok() || !fa_module_check(model, call, where))
        return false;
    if (image.ndim != 3 || batch_size < 1)
        return fa_fail(FA_VALUE_ERROR, where, call,
                       "got an image of %s in batches of %lld, needs [C, H, W] and 1 or more.",
                       fa_dims_text(image.ndim, image.size), (long long)batch_size);
    trace t = {.row = fa_calloc(MOST_ROWS, sizeof *t.row)};
    if (t.row == NULL)
        return fa_fail_memory(where, MOST_ROWS * sizeof *t.row);
    const fa_forward_observer watch = {enter, leave, &t};
    const fa_forward_observer *previous = fa_forward_observe(&watch);
    const fa_module_list all = fa_named_modules_at(model, where);
    for (int64_t i = 0; i < all.count; i++)
        all.module[i]->impl_->was_training = all.module[i]->impl_->training;
    fa_eval(model);
    (void)fa_network_takes(model, fa_network_is_float64(model),
                           FA_SHAPE(1, image.size[0], image.size[1], image.size[2]), NULL, NULL, 0);
    for (int64_t i = 0; i < all.count; i++)
        all.module[i]->impl_->training = all.module[i]->impl_->was_training;
    fa_forward_observe(previous);
    const traced *row = starved_layer(&t, items, batch_size, false);
    char layer[800];
    if (row != NULL) {
        describe(row->module, layer, sizeof layer);
        fa_fail(FA_VALUE_ERROR, where, call,
                "got %lld images in batches of %lld, which leave a last batch of 1: layer %s would see one value a "
                "channel, needs 2 or more for a variance. Hint: another batch size, drop_last, or GroupNorm there.",
                (long long)items, (long long)batch_size, layer);
    }
    fa_mfree(t.row);
    return row == NULL;
}
