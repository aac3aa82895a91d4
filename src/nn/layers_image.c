/* Layers for images: conv2d, pooling, batch norm. Arguments are checked when the layer is made, not at the first batch.
 */
#include "nn/module.h"

#include <math.h>
#include <string.h>

/* A pair as PyTorch keeps it: two numbers, and whether two were given (it prints so). */
typedef struct pair {
    int64_t at[2];
    bool given;
} pair;

static pair pair_of(int64_t number, const int64_t hw[2])
{
    bool given = hw[0] != INT64_MIN;
    return given ? (pair){{hw[0], hw[1]}, true} : (pair){{number, number}, false};
}

static void add_pair(fa_text *text, const char *name, const pair *p, bool always_two)
{
    if (p->given || always_two)
        fa_text_add(text, "%s=(%lld, %lld)", name, (long long)p->at[0], (long long)p->at[1]);
    else
        fa_text_add(text, "%s=%lld", name, (long long)p->at[0]);
}

static bool check_pair(const pair *p, int64_t least, const char *what, const char *name, fa_where where)
{
    if (p->at[0] >= least && p->at[1] >= least)
        return true;
    if (p->at[0] == FA_NONE)
        return fa_fail(FA_VALUE_ERROR, where, what, "got no %s, needs one. Hint: %s(..., .%s = 3)", name, what, name);
    const int64_t usual = least > 0 ? least : 1;
    return fa_fail(
        FA_VALUE_ERROR, where, what,
        "got %s %lld x %lld (height x width), needs at least %lld. Hint: .%s = %lld, or .%s_hw = {%lld, %lld}", name,
        (long long)p->at[0], (long long)p->at[1], (long long)least, name, (long long)usual,
        strcmp(name, "kernel_size") ? name : "kernel", (long long)usual, (long long)usual);
}

/* A required number that is a count; `hint` shows the call. */
static bool check_count(int64_t value, const char *what, const char *name, const char *hint, fa_where where)
{
    if (value >= 1)
        return true;
    if (value == FA_NONE)
        return fa_fail(FA_VALUE_ERROR, where, what, "got no %s, needs one. Hint: %s", name, hint);
    return fa_fail(FA_VALUE_ERROR, where, what, "got %s %lld, needs at least 1. Hint: %s", name, (long long)value,
                   hint);
}

/* ---- Conv2d --------------------------------------------------------------------------------------------------------
 */

typedef struct conv2d_layer {
    fa_module base;
    int64_t in_channels, out_channels, groups;
    pair kernel, stride, padding, dilation;
    bool same; /* padding = 'same' */
} conv2d_layer;

static fa_tensor *conv2d_forward(fa_module *self, fa_tensor *x)
{
    const conv2d_layer *layer = (const conv2d_layer *)self;
    fa_conv2d_args args = {.where_ = fa_forward_where(),
                           .x = x,
                           .weight = fa_module_tensor(self, "weight"),
                           .bias = fa_module_tensor(self, "bias"),
                           .groups = layer->groups};
    for (int d = 0; d < 2; d++) {
        args.stride_hw[d] = layer->stride.at[d];
        args.padding_hw[d] = layer->padding.at[d];
        args.dilation_hw[d] = layer->dilation.at[d];
    }
    return fa_conv2d_at(&args);
}

static void conv2d_describe(const fa_module *self, fa_text *text)
{
    const conv2d_layer *layer = (const conv2d_layer *)self;
    fa_text_add(text, "%lld, %lld", (long long)layer->in_channels, (long long)layer->out_channels);
    add_pair(text, ", kernel_size", &layer->kernel, true);
    add_pair(text, ", stride", &layer->stride, true);
    if (layer->same)
        fa_text_add(text, ", padding=same");
    else if (layer->padding.at[0] || layer->padding.at[1])
        add_pair(text, ", padding", &layer->padding, true);
    if (layer->dilation.at[0] != 1 || layer->dilation.at[1] != 1)
        add_pair(text, ", dilation", &layer->dilation, true);
    if (layer->groups != 1)
        fa_text_add(text, ", groups=%lld", (long long)layer->groups);
    if (!fa_module_tensor(self, "bias"))
        fa_text_add(text, ", bias=False");
}

static bool conv2d_check(const fa_nn_conv2d_args *args, const conv2d_layer *layer)
{
    static const char what[] = "fa_nn_conv2d", hint[] = "fa_nn_conv2d(in_channels, out_channels, kernel_size)";
    fa_where where = args->where_;
    if (!check_count(args->in_channels, what, "in_channels", hint, where) ||
        !check_count(args->out_channels, what, "out_channels", hint, where) ||
        !check_pair(&layer->kernel, 1, what, "kernel_size", where) ||
        !check_pair(&layer->stride, 1, what, "stride", where) ||
        !check_pair(&layer->dilation, 1, what, "dilation", where))
        return false;
    if (args->groups < 1)
        return fa_fail(FA_VALUE_ERROR, where, what,
                       "got groups %lld, needs at least 1. Hint: leave it out for an ordinary convolution",
                       (long long)args->groups);
    if (args->in_channels % args->groups || args->out_channels % args->groups)
        return fa_fail(FA_VALUE_ERROR, where, what,
                       "got in_channels %lld, out_channels %lld and groups %lld, needs both to be multiples of groups. "
                       "Hint: groups share the "
                       "channels out evenly; leave it out for an ordinary convolution",
                       (long long)args->in_channels, (long long)args->out_channels, (long long)args->groups);
    if (!layer->same)
        return check_pair(&layer->padding, 0, what, "padding", where);
    if (layer->stride.at[0] != 1 || layer->stride.at[1] != 1)
        return fa_fail(FA_VALUE_ERROR, where, what,
                       "got padding FA_SAME with stride %lld x %lld, needs stride 1: the output of a larger one cannot "
                       "have the input's size. Hint: .padding = (kernel_size - 1) / 2 halves the size at stride 2",
                       (long long)layer->stride.at[0], (long long)layer->stride.at[1]);
    return true;
}

fa_module *fa_nn_conv2d_at(const fa_nn_conv2d_args *args)
{
    conv2d_layer checked = {.in_channels = args->in_channels,
                            .out_channels = args->out_channels,
                            .groups = args->groups,
                            .kernel = pair_of(args->kernel_size, args->kernel_hw),
                            .stride = pair_of(args->stride, args->stride_hw),
                            .padding = pair_of(args->padding, args->padding_hw),
                            .dilation = pair_of(args->dilation, args->dilation_hw)};
    checked.same = checked.padding.at[0] == FA_SAME && checked.padding.at[1] == FA_SAME;
    if (!conv2d_check(args, &checked))
        return NULL;
    fa_module *module = fa_module_make(sizeof checked, "Conv2d", conv2d_forward, conv2d_describe, args->where_);
    if (!module)
        return NULL;
    checked.base = *module;
    *(conv2d_layer *)module = checked;
    int64_t shape[4] = {args->out_channels, args->in_channels / args->groups, checked.kernel.at[0],
                        checked.kernel.at[1]};
    fa_meta weight = fa_meta_of(FA_DT_FLOAT32, 4, shape), bias = fa_meta_of(FA_DT_FLOAT32, 1, shape);
    /* kaiming_uniform_(a = sqrt 5): sqrt(3) * gain / sqrt(fan_in), gain = sqrt(2 / (1 + a^2)). */
    double fan_in = (double)shape[1] * (double)shape[2] * (double)shape[3];
    double gain = sqrt(2.0 / (1 + sqrt(5.0) * sqrt(5.0)));
    double bound = sqrt(3.0) * (gain / sqrt(fan_in)), bias_bound = 1 / sqrt(fan_in);
    if (!fa_module_new_tensor(module, "weight", false, &weight, FA_INIT_UNIFORM, -bound, bound, args->where_) ||
        (args->bias &&
         !fa_module_new_tensor(module, "bias", false, &bias, FA_INIT_UNIFORM, -bias_bound, bias_bound, args->where_))) {
        fa_module_drop(module);
        return NULL;
    }
    return module;
}

/* ---- MaxPool2d, AvgPool2d
 * -------------------------------------------------------------------------------------------- */

typedef struct pool2d_layer {
    fa_module base;
    pair kernel, stride, padding, dilation;
    bool ceil_mode, count_include_pad;
    int64_t divisor_override;
} pool2d_layer;

static fa_pool2d_args pool2d_call(const fa_module *self, fa_tensor *x)
{
    const pool2d_layer *layer = (const pool2d_layer *)self;
    fa_pool2d_args args = {.where_ = fa_forward_where(),
                           .x = x,
                           .kernel_size = layer->kernel.at[0],
                           .stride = FA_KERNEL_SIZE,
                           .dilation = 1,
                           .ceil_mode = layer->ceil_mode,
                           .count_include_pad = layer->count_include_pad,
                           .divisor_override = layer->divisor_override};
    for (int d = 0; d < 2; d++) {
        args.kernel_hw[d] = layer->kernel.at[d];
        args.stride_hw[d] = layer->stride.at[d];
        args.padding_hw[d] = layer->padding.at[d];
        args.dilation_hw[d] = layer->dilation.at[d];
    }
    return args;
}

static fa_tensor *max_pool2d_forward(fa_module *self, fa_tensor *x)
{
    fa_pool2d_args args = pool2d_call(self, x);
    return fa_max_pool2d_at(&args);
}

static fa_tensor *avg_pool2d_forward(fa_module *self, fa_tensor *x)
{
    fa_pool2d_args args = pool2d_call(self, x);
    return fa_avg_pool2d_at(&args);
}

static void avg_pool2d_describe(const fa_module *self, fa_text *text)
{
    const pool2d_layer *layer = (const pool2d_layer *)self;
    add_pair(text, "kernel_size", &layer->kernel, false);
    add_pair(text, ", stride", &layer->stride, false);
    add_pair(text, ", padding", &layer->padding, false);
}

static void max_pool2d_describe(const fa_module *self, fa_text *text)
{
    const pool2d_layer *layer = (const pool2d_layer *)self;
    avg_pool2d_describe(self, text);
    add_pair(text, ", dilation", &layer->dilation, false);
    fa_text_add(text, ", ceil_mode=%s", layer->ceil_mode ? "True" : "False");
}

static fa_module *pool2d_new(const fa_nn_pool2d_args *args, bool max)
{
    const char *what = max ? "fa_nn_max_pool2d" : "fa_nn_avg_pool2d";
    fa_where where = args->where_;
    pool2d_layer checked = {.kernel = pair_of(args->kernel_size, args->kernel_hw),
                            .stride = pair_of(args->stride, args->stride_hw),
                            .padding = pair_of(args->padding, args->padding_hw),
                            .dilation = pair_of(args->dilation, args->dilation_hw),
                            .ceil_mode = args->ceil_mode,
                            .count_include_pad = args->count_include_pad,
                            .divisor_override = args->divisor_override};
    if (checked.stride.at[0] == FA_KERNEL_SIZE)
        checked.stride = checked.kernel;
    if (!check_pair(&checked.kernel, 1, what, "kernel_size", where) ||
        !check_pair(&checked.stride, 1, what, "stride", where) ||
        !check_pair(&checked.padding, 0, what, "padding", where) ||
        !check_pair(&checked.dilation, 1, what, "dilation", where))
        return NULL;
    for (int d = 0; d < 2; d++) {
        int64_t extent = checked.dilation.at[d] * (checked.kernel.at[d] - 1) + 1;
        if (checked.padding.at[d] > extent / 2) {
            fa_fail(FA_VALUE_ERROR, where, what,
                    "got padding %lld for a window of %lld, needs at most half of it, %lld. Hint: more would make "
                    "windows of padding alone",
                    (long long)checked.padding.at[d], (long long)extent, (long long)(extent / 2));
            return NULL;
        }
    }
    if (args->divisor_override == 0) {
        fa_fail(FA_VALUE_ERROR, where, what,
                "got divisor_override 0, needs another number. Hint: leave it out to divide by the window's size");
        return NULL;
    }
    fa_module *module =
        fa_module_make(sizeof checked, max ? "MaxPool2d" : "AvgPool2d", max ? max_pool2d_forward : avg_pool2d_forward,
                       max ? max_pool2d_describe : avg_pool2d_describe, where);
    if (!module)
        return NULL;
    checked.base = *module;
    *(pool2d_layer *)module = checked;
    return module;
}

fa_module *fa_nn_max_pool2d_at(const fa_nn_pool2d_args *args)
{
    return pool2d_new(args, true);
}

fa_module *fa_nn_avg_pool2d_at(const fa_nn_pool2d_args *args)
{
    return pool2d_new(args, false);
}

/* ---- BatchNorm2d
 * ----------------------------------------------------------------------------------------------------- */

typedef struct batch_norm2d_layer {
    fa_module base;
    int64_t num_features;
    double eps, momentum;
    bool affine, track;
} batch_norm2d_layer;

static fa_tensor *batch_norm2d_forward(fa_module *self, fa_tensor *x)
{
    const batch_norm2d_layer *layer = (const batch_norm2d_layer *)self;
    fa_where where = fa_forward_where();
    fa_begin(where);
    const fa_node *node = fa_use(x, "batch_norm2d", "input");
    if (!node)
        return NULL;
    if (node->meta.ndim != 4) {
        fa_fail(FA_SHAPE_ERROR, where, "batch_norm2d",
                "got input %s, needs 4 dimensions [N, %lld, H, W]. Hint: one image gets its batch dimension with "
                "fa_unsqueeze(x, 0)",
                fa_shape_text(&node->meta), (long long)layer->num_features);
        return NULL;
    }
    if (node->meta.shape[1] != layer->num_features) {
        fa_fail(FA_SHAPE_ERROR, where, "batch_norm2d",
                "got input %s, needs %lld channels; it has %lld. Hint: fa_nn_batch_norm2d(%lld) fits this input",
                fa_shape_text(&node->meta), (long long)layer->num_features, (long long)node->meta.shape[1],
                (long long)node->meta.shape[1]);
        return NULL;
    }
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

static void batch_norm2d_describe(const fa_module *self, fa_text *text)
{
    const batch_norm2d_layer *layer = (const batch_norm2d_layer *)self;
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

fa_module *fa_nn_batch_norm2d_at(const fa_nn_batch_norm2d_args *args)
{
    fa_where where = args->where_;
    if (!check_count(args->num_features, "fa_nn_batch_norm2d", "num_features", "fa_nn_batch_norm2d(channels)", where))
        return NULL;
    fa_module *module =
        fa_module_make(sizeof(batch_norm2d_layer), "BatchNorm2d", batch_norm2d_forward, batch_norm2d_describe, where);
    if (!module)
        return NULL;
    batch_norm2d_layer *layer = (batch_norm2d_layer *)module;
    layer->num_features = args->num_features;
    layer->eps = args->eps;
    layer->momentum = args->momentum;
    layer->affine = args->affine;
    layer->track = args->track_running_stats;
    fa_meta each = fa_meta_of(FA_DT_FLOAT32, 1, &args->num_features), count = fa_meta_of(FA_DT_INT64, 0, NULL);
    bool ok = true;
    if (args->affine) {
        ok = fa_module_new_tensor(module, "weight", false, &each, FA_INIT_CONSTANT, 1, 1, where) != NULL;
        if (args->bias)
            ok = ok && fa_module_new_tensor(module, "bias", false, &each, FA_INIT_CONSTANT, 0, 0, where);
    }
    if (args->track_running_stats)
        ok = ok && fa_module_new_tensor(module, "running_mean", true, &each, FA_INIT_CONSTANT, 0, 0, where) &&
             fa_module_new_tensor(module, "running_var", true, &each, FA_INIT_CONSTANT, 1, 1, where) &&
             fa_module_new_tensor(module, "num_batches_tracked", true, &count, FA_INIT_CONSTANT, 0, 0, where);
    if (!ok) {
        fa_module_drop(module);
        return NULL;
    }
    return module;
}
