/* Layers that normalize: batch_norm1d, batch_norm2d, group_norm, layer_norm, instance_norm2d. */
#include "nn/pair.h"

#include <math.h>

/* ---- BatchNorm1d, BatchNorm2d ---------------------------------------------------------------------------------------
 */

typedef struct batch_norm_layer {
    fa_module base;
    int64_t num_features;
    double eps, momentum;
    bool affine, track;
    bool images; /* BatchNorm2d */
} batch_norm_layer;

static bool check_batch(const batch_norm_layer *layer, const fa_node *x, const char *what, fa_where where)
{
    const fa_meta *meta = &x->meta;
    const char *shape = fa_shape_text(meta);
    if (layer->images && meta->ndim != 4)
        return fa_fail(
            FA_SHAPE_ERROR, where, what,
            "got input %s, needs 4 dimensions [N, %lld, H, W]. Hint: one image gets its batch dimension with "
            "fa_unsqueeze(x, 0)",
            shape, (long long)layer->num_features);
    if (!layer->images && meta->ndim != 2 && meta->ndim != 3)
        return fa_fail(FA_SHAPE_ERROR, where, what,
                       "got input %s, needs 2 or 3 dimensions [N, %lld] or [N, %lld, L]. Hint: images are for "
                       "fa_nn_batch_norm2d",
                       shape, (long long)layer->num_features, (long long)layer->num_features);
    if (meta->shape[1] != layer->num_features)
        return fa_fail(FA_SHAPE_ERROR, where, what,
                       "got input %s, needs %lld channels; it has %lld. Hint: fa_nn_%s(%lld) fits this input", shape,
                       (long long)layer->num_features, (long long)meta->shape[1], what, (long long)meta->shape[1]);
    return true;
}

static fa_tensor *batch_norm_forward(fa_module *self, fa_tensor *x)
{
    const batch_norm_layer *layer = (const batch_norm_layer *)self;
    const char *what = layer->images ? "batch_norm2d" : "batch_norm1d";
    fa_where where = fa_forward_where();
    fa_begin(where);
    const fa_node *node = fa_use(x, what, "input");
    if (!node || !check_batch(layer, node, what, where))
        return NULL;
    bool training = fa_is_training(self);
    fa_batch_norm_args args = {.where_ = where,
                               .x = x,
                               .running_mean = fa_module_tensor(self, "running_mean"),
                               .running_var = fa_module_tensor(self, "running_var"),
                               .weight = fa_module_tensor(self, "weight"),
                               .bias = fa_module_tensor(self, "bias"),
                               .num_batches_tracked = fa_module_tensor(self, "num_batches_tracked"),
                               .training = training || !layer->track,
                               .momentum = layer->momentum,
                               .eps = layer->eps};
    return fa_batch_norm_at(&args);
}

static void batch_norm_describe(const fa_module *self, fa_text *text)
{
    const batch_norm_layer *layer = (const batch_norm_layer *)self;
    fa_text_add(text, "%lld, eps=", (long long)layer->num_features);
    fa_text_number(text, layer->eps);
    fa_text_add(text, ", momentum=");
    if (isnan(layer->momentum))
        fa_text_add(text, "None");
    else
        fa_text_number(text, layer->momentum);
    fa_text_add(text, ", affine=%s, bias=%s, track_running_stats=%s", layer->affine ? "True" : "False",
                fa_module_tensor(self, "bias") ? "True" : "False", layer->track ? "True" : "False");
}

/* Running mean and variance of a channel, and the count of batches. */
static bool add_running(fa_module *module, const fa_meta *each, fa_where where)
{
    const fa_meta count = fa_meta_of(FA_DT_INT64, 0, NULL);
    return fa_module_new_tensor(module, "running_mean", true, each, FA_INIT_CONSTANT, 0, 0, where) &&
           fa_module_new_tensor(module, "running_var", true, each, FA_INIT_CONSTANT, 1, 1, where) &&
           fa_module_new_tensor(module, "num_batches_tracked", true, &count, FA_INIT_CONSTANT, 0, 0, where);
}

static fa_module *batch_norm_new(const fa_nn_batch_norm2d_args *args, bool images)
{
    fa_where where = args->where_;
    if (!fa_check_count(args->num_features, images ? "fa_nn_batch_norm2d" : "fa_nn_batch_norm1d", "num_features",
                        images ? "fa_nn_batch_norm2d(channels)" : "fa_nn_batch_norm1d(features)", where))
        return NULL;
    fa_module *module = fa_module_make(sizeof(batch_norm_layer), images ? "BatchNorm2d" : "BatchNorm1d",
                                       batch_norm_forward, batch_norm_describe, where);
    if (!module)
        return NULL;
    batch_norm_layer *layer = (batch_norm_layer *)module;
    layer->num_features = args->num_features;
    layer->eps = args->eps;
    layer->momentum = args->momentum;
    layer->affine = args->affine;
    layer->track = args->track_running_stats;
    layer->images = images;
    fa_meta each = fa_meta_of(FA_DT_FLOAT32, 1, &args->num_features);
    bool ok = true;
    if (args->affine) {
        ok = fa_module_new_tensor(module, "weight", false, &each, FA_INIT_CONSTANT, 1, 1, where) != NULL;
        if (args->bias)
            ok = ok && fa_module_new_tensor(module, "bias", false, &each, FA_INIT_CONSTANT, 0, 0, where);
    }
    if (args->track_running_stats)
        ok = ok && add_running(module, &each, where);
    if (!ok) {
        fa_module_drop(module);
        return NULL;
    }
    return module;
}

fa_module *fa_nn_batch_norm1d_at(const fa_nn_batch_norm2d_args *args)
{
    return batch_norm_new(args, false);
}

fa_module *fa_nn_batch_norm2d_at(const fa_nn_batch_norm2d_args *args)
{
    return batch_norm_new(args, true);
}

/* ---- GroupNorm, LayerNorm, InstanceNorm2d ---------------------------------------------------------------------------
 */

typedef struct norm_layer {
    fa_module base;
    int64_t groups, channels; /* group and instance norm */
    fa_shape shape;           /* layer norm */
    double eps, momentum;
    bool affine, track;
} norm_layer;

/* weight of ones and bias of zeros. NULL after an error, the module gone. */
static fa_module *add_affine(fa_module *module, const fa_meta *each, bool affine, bool bias, fa_where where)
{
    bool ok = true;
    if (affine) {
        ok = fa_module_new_tensor(module, "weight", false, each, FA_INIT_CONSTANT, 1, 1, where) != NULL;
        if (bias)
            ok = ok && fa_module_new_tensor(module, "bias", false, each, FA_INIT_CONSTANT, 0, 0, where);
    }
    if (ok)
        return module;
    fa_module_drop(module);
    return NULL;
}

static void add_affine_text(const fa_module *self, fa_text *text, const char *name)
{
    const norm_layer *layer = (const norm_layer *)self;
    fa_text_add(text, ", %s=%s, bias=%s", name, layer->affine ? "True" : "False",
                fa_module_tensor(self, "bias") ? "True" : "False");
}

/* `what`: the function's name, which a message shows with the layer. */
static bool check_channels(const norm_layer *layer, fa_tensor *x, const char *what, fa_where where)
{
    fa_begin(where);
    const fa_node *node = fa_use(x, what, "input");
    if (!node)
        return false;
    if (node->meta.ndim > 1 && node->meta.shape[1] != layer->channels)
        return fa_fail(FA_SHAPE_ERROR, where, what,
                       "got input %s, needs %lld channels; it has %lld. Hint: build the layer with %lld channels",
                       fa_shape_text(&node->meta), (long long)layer->channels, (long long)node->meta.shape[1],
                       (long long)node->meta.shape[1]);
    return true;
}

static fa_tensor *group_norm_forward(fa_module *self, fa_tensor *x)
{
    const norm_layer *layer = (const norm_layer *)self;
    fa_where where = fa_forward_where();
    if (!check_channels(layer, x, "group_norm", where))
        return NULL;
    fa_group_norm_args args = {.where_ = where,
                               .x = x,
                               .num_groups = layer->groups,
                               .weight = fa_module_tensor(self, "weight"),
                               .bias = fa_module_tensor(self, "bias"),
                               .eps = layer->eps};
    return fa_group_norm_at(&args);
}

static void group_norm_describe(const fa_module *self, fa_text *text)
{
    const norm_layer *layer = (const norm_layer *)self;
    fa_text_add(text, "%lld, %lld, eps=", (long long)layer->groups, (long long)layer->channels);
    fa_text_number(text, layer->eps);
    add_affine_text(self, text, "affine");
}

fa_module *fa_nn_group_norm_at(const fa_nn_group_norm_args *args)
{
    static const char what[] = "fa_nn_group_norm", hint[] = "fa_nn_group_norm(num_groups, num_channels)";
    fa_where where = args->where_;
    if (!fa_check_count(args->num_groups, what, "num_groups", hint, where) ||
        !fa_check_count(args->num_channels, what, "num_channels", hint, where))
        return NULL;
    if (args->num_channels % args->num_groups) {
        fa_fail(
            FA_VALUE_ERROR, where, what,
            "got num_channels %lld and num_groups %lld, needs a number of groups that divides the channels. Hint: 1 "
            "normalizes all of them together",
            (long long)args->num_channels, (long long)args->num_groups);
        return NULL;
    }
    fa_module *module = fa_module_make(sizeof(norm_layer), "GroupNorm", group_norm_forward, group_norm_describe, where);
    if (!module)
        return NULL;
    norm_layer *layer = (norm_layer *)module;
    layer->groups = args->num_groups;
    layer->channels = args->num_channels;
    layer->eps = args->eps;
    layer->affine = args->affine;
    const fa_meta each = fa_meta_of(FA_DT_FLOAT32, 1, &args->num_channels);
    return add_affine(module, &each, args->affine, args->bias, where);
}

static fa_tensor *layer_norm_forward(fa_module *self, fa_tensor *x)
{
    const norm_layer *layer = (const norm_layer *)self;
    fa_layer_norm_args args = {.where_ = fa_forward_where(),
                               .x = x,
                               .normalized_shape = layer->shape,
                               .weight = fa_module_tensor(self, "weight"),
                               .bias = fa_module_tensor(self, "bias"),
                               .eps = layer->eps};
    return fa_layer_norm_at(&args);
}

static void layer_norm_describe(const fa_module *self, fa_text *text)
{
    const norm_layer *layer = (const norm_layer *)self;
    fa_text_add(text, "(");
    for (int d = 0; d < layer->shape.ndim; d++)
        fa_text_add(text, d ? ", %lld" : "%lld", (long long)layer->shape.size[d]);
    fa_text_add(text, layer->shape.ndim == 1 ? ",), eps=" : "), eps=");
    fa_text_number(text, layer->eps);
    add_affine_text(self, text, "elementwise_affine");
}

fa_module *fa_nn_layer_norm_at(const fa_nn_layer_norm_args *args)
{
    fa_where where = args->where_;
    const fa_shape *shape = &args->normalized_shape;
    bool good = shape->ndim >= 1 && shape->ndim <= FA_MAX_DIMS;
    for (int d = 0; good && d < shape->ndim; d++)
        good = shape->size[d] >= 1;
    if (!good) {
        fa_fail(
            FA_VALUE_ERROR, where, "fa_nn_layer_norm",
            "got a normalized_shape of %d dimensions or with a size below 1, needs the last sizes of the input. Hint: "
            "fa_nn_layer_norm(FA_SHAPE(64))",
            shape->ndim);
        return NULL;
    }
    fa_begin(where);
    fa_meta each;
    if (!fa_meta_from_shape(&each, FA_FLOAT32, shape, "fa_nn_layer_norm"))
        return NULL;
    fa_module *module = fa_module_make(sizeof(norm_layer), "LayerNorm", layer_norm_forward, layer_norm_describe, where);
    if (!module)
        return NULL;
    norm_layer *layer = (norm_layer *)module;
    layer->shape = *shape;
    layer->eps = args->eps;
    layer->affine = args->elementwise_affine;
    return add_affine(module, &each, args->elementwise_affine, args->bias, where);
}

static fa_tensor *instance_norm2d_forward(fa_module *self, fa_tensor *x)
{
    static const char what[] = "instance_norm2d";
    const norm_layer *layer = (const norm_layer *)self;
    fa_where where = fa_forward_where();
    fa_begin(where);
    const fa_node *node = fa_use(x, what, "input");
    if (!node)
        return NULL;
    if (node->meta.ndim != 4) {
        fa_fail(FA_SHAPE_ERROR, where, what,
                "got input %s, needs 4 dimensions [N, %lld, H, W]. Hint: one image gets its batch dimension with "
                "fa_unsqueeze(x, 0)",
                fa_shape_text(&node->meta), (long long)layer->channels);
        return NULL;
    }
    if (!check_channels(layer, x, what, where))
        return NULL;
    fa_instance_norm_args args = {.where_ = where,
                                  .x = x,
                                  .running_mean = fa_module_tensor(self, "running_mean"),
                                  .running_var = fa_module_tensor(self, "running_var"),
                                  .weight = fa_module_tensor(self, "weight"),
                                  .bias = fa_module_tensor(self, "bias"),
                                  .use_input_stats = fa_is_training(self) || !layer->track,
                                  .momentum = isnan(layer->momentum) ? 0 : layer->momentum,
                                  .eps = layer->eps};
    return fa_instance_norm_at(&args);
}

static void instance_norm2d_describe(const fa_module *self, fa_text *text)
{
    const norm_layer *layer = (const norm_layer *)self;
    fa_text_add(text, "%lld, eps=", (long long)layer->channels);
    fa_text_number(text, layer->eps);
    fa_text_add(text, ", momentum=");
    if (isnan(layer->momentum))
        fa_text_add(text, "None");
    else
        fa_text_number(text, layer->momentum);
    add_affine_text(self, text, "affine");
    fa_text_add(text, ", track_running_stats=%s", layer->track ? "True" : "False");
}

fa_module *fa_nn_instance_norm2d_at(const fa_nn_instance_norm2d_args *args)
{
    fa_where where = args->where_;
    if (!fa_check_count(args->num_features, "fa_nn_instance_norm2d", "num_features", "fa_nn_instance_norm2d(channels)",
                        where))
        return NULL;
    fa_module *module =
        fa_module_make(sizeof(norm_layer), "InstanceNorm2d", instance_norm2d_forward, instance_norm2d_describe, where);
    if (!module)
        return NULL;
    norm_layer *layer = (norm_layer *)module;
    layer->channels = args->num_features;
    layer->eps = args->eps;
    layer->momentum = args->momentum;
    layer->affine = args->affine;
    layer->track = args->track_running_stats;
    const fa_meta each = fa_meta_of(FA_DT_FLOAT32, 1, &args->num_features);
    module = add_affine(module, &each, args->affine, args->bias, where);
    if (!module || !args->track_running_stats || add_running(module, &each, where))
        return module;
    fa_module_drop(module);
    return NULL;
}
