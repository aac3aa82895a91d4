/* Layers for images: conv2d, conv_transpose2d, pooling. Arguments are checked when the layer is made, not at the first
 * batch.
 */
#include "nn/pair.h"

#include <math.h>

/* ---- Conv2d --------------------------------------------------------------------------------------------------------
 */

typedef struct conv2d_layer {
    fa_module base;
    int64_t in_channels, out_channels, groups;
    fa_pair kernel, stride, padding, dilation;
    bool same; /* padding = 'same' */
    fa_pad_mode padding_mode;
} conv2d_layer;

/* The padding that F.pad does ahead of the convolution, with elements that are no zeros. */
static fa_tensor *pad_ahead(const conv2d_layer *layer, fa_tensor *x, fa_where where)
{
    int64_t before[2], after[2];
    for (int d = 0; d < 2; d++) {
        const int64_t total =
            layer->same ? layer->dilation.at[d] * (layer->kernel.at[d] - 1) : 2 * layer->padding.at[d];
        before[d] = total / 2;
        after[d] = total - before[d];
    }
    fa_pad_args args = {.where_ = where,
                        .x = x,
                        .pads = FA_SHAPE(before[1], after[1], before[0], after[0]),
                        .mode = layer->padding_mode};
    return fa_pad_at(&args);
}

static fa_tensor *conv2d_forward(fa_module *self, fa_tensor *x)
{
    const conv2d_layer *layer = (const conv2d_layer *)self;
    fa_conv2d_args args = {.where_ = fa_forward_where(),
                           .x = x,
                           .weight = fa_module_tensor(self, "weight"),
                           .bias = fa_module_tensor(self, "bias"),
                           .groups = layer->groups};
    const bool zeros = layer->padding_mode == FA_PAD_CONSTANT;
    for (int d = 0; d < 2; d++) {
        args.stride_hw[d] = layer->stride.at[d];
        args.padding_hw[d] = zeros ? layer->padding.at[d] : 0;
        args.dilation_hw[d] = layer->dilation.at[d];
    }
    if (!zeros && !(args.x = pad_ahead(layer, x, args.where_)))
        return NULL;
    return fa_conv2d_at(&args);
}

static void conv2d_describe(const fa_module *self, fa_text *text)
{
    const conv2d_layer *layer = (const conv2d_layer *)self;
    fa_text_add(text, "%lld, %lld", (long long)layer->in_channels, (long long)layer->out_channels);
    fa_add_pair(text, ", kernel_size", &layer->kernel, true);
    fa_add_pair(text, ", stride", &layer->stride, true);
    if (layer->same)
        fa_text_add(text, ", padding=same");
    else if (layer->padding.at[0] || layer->padding.at[1])
        fa_add_pair(text, ", padding", &layer->padding, true);
    if (layer->dilation.at[0] != 1 || layer->dilation.at[1] != 1)
        fa_add_pair(text, ", dilation", &layer->dilation, true);
    if (layer->groups != 1)
        fa_text_add(text, ", groups=%lld", (long long)layer->groups);
    if (!fa_module_tensor(self, "bias"))
        fa_text_add(text, ", bias=False");
    static const char *const modes[] = {
        [FA_PAD_REFLECT] = "reflect", [FA_PAD_REPLICATE] = "replicate", [FA_PAD_CIRCULAR] = "circular"};
    if (layer->padding_mode != FA_PAD_CONSTANT)
        fa_text_add(text, ", padding_mode=%s", modes[layer->padding_mode]);
}

static bool conv2d_check(const fa_nn_conv2d_args *args, const conv2d_layer *layer)
{
    static const char what[] = "fa_nn_conv2d", hint[] = "fa_nn_conv2d(in_channels, out_channels, kernel_size)";
    fa_where where = args->where_;
    if (!fa_check_count(args->in_channels, what, "in_channels", hint, where) ||
        !fa_check_count(args->out_channels, what, "out_channels", hint, where) ||
        !fa_check_pair(&layer->kernel, 1, what, "kernel_size", where) ||
        !fa_check_pair(&layer->stride, 1, what, "stride", where) ||
        !fa_check_pair(&layer->dilation, 1, what, "dilation", where))
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
    if ((int)args->padding_mode < FA_PAD_CONSTANT || args->padding_mode > FA_PAD_CIRCULAR)
        return fa_fail(FA_VALUE_ERROR, where, what,
                       "got padding_mode %d, needs FA_PAD_REFLECT, FA_PAD_REPLICATE or FA_PAD_CIRCULAR. Hint: leave it "
                       "out for zeros",
                       (int)args->padding_mode);
    if (!layer->same)
        return fa_check_pair(&layer->padding, 0, what, "padding", where);
    if (layer->stride.at[0] != 1 || layer->stride.at[1] != 1)
        return fa_fail(FA_VALUE_ERROR, where, what,
                       "got padding FA_SAME with stride %lld x %lld, needs stride 1: the output of a larger one cannot "
                       "have the input's size. Hint: .padding = (kernel_size - 1) / 2 halves the size at stride 2",
                       (long long)layer->stride.at[0], (long long)layer->stride.at[1]);
    return true;
}

/* weight of a shape and bias of a length (0: none), drawn as PyTorch does. NULL after an error, the module gone. */
static fa_module *add_weights(fa_module *module, const int64_t shape[4], int64_t bias_length, fa_where where)
{
    fa_meta weight = fa_meta_of(FA_DT_FLOAT32, 4, shape), bias = fa_meta_of(FA_DT_FLOAT32, 1, &bias_length);
    /* kaiming_uniform_(a = sqrt 5): sqrt(3) * gain / sqrt(fan_in), gain = sqrt(2 / (1 + a^2)). */
    double fan_in = (double)shape[1] * (double)shape[2] * (double)shape[3];
    double gain = sqrt(2.0 / (1 + sqrt(5.0) * sqrt(5.0)));
    double bound = sqrt(3.0) * (gain / sqrt(fan_in)), bias_bound = 1 / sqrt(fan_in);
    if (fa_module_new_tensor(module, "weight", false, &weight, FA_INIT_UNIFORM, -bound, bound, where) &&
        (bias_length == 0 ||
         fa_module_new_tensor(module, "bias", false, &bias, FA_INIT_UNIFORM, -bias_bound, bias_bound, where)))
        return module;
    fa_module_drop(module);
    return NULL;
}

fa_module *fa_nn_conv2d_at(const fa_nn_conv2d_args *args)
{
    conv2d_layer checked = {.in_channels = args->in_channels,
                            .out_channels = args->out_channels,
                            .groups = args->groups,
                            .padding_mode = args->padding_mode,
                            .kernel = fa_pair_of(args->kernel_size, args->kernel_hw),
                            .stride = fa_pair_of(args->stride, args->stride_hw),
                            .padding = fa_pair_of(args->padding, args->padding_hw),
                            .dilation = fa_pair_of(args->dilation, args->dilation_hw)};
    checked.same = checked.padding.at[0] == FA_SAME && checked.padding.at[1] == FA_SAME;
    if (!conv2d_check(args, &checked))
        return NULL;
    fa_module *module = fa_module_make(sizeof checked, "Conv2d", conv2d_forward, conv2d_describe, args->where_);
    if (!module)
        return NULL;
    checked.base = *module;
    *(conv2d_layer *)module = checked;
    const int64_t shape[4] = {args->out_channels, args->in_channels / args->groups, checked.kernel.at[0],
                              checked.kernel.at[1]};
    return add_weights(module, shape, args->bias ? args->out_channels : 0, args->where_);
}

/* ---- ConvTranspose2d ------------------------------------------------------------------------------------------------
 */

typedef struct conv_transpose2d_layer {
    fa_module base;
    int64_t in_channels, out_channels, groups;
    fa_pair kernel, stride, padding, output_padding, dilation;
    const int64_t *output_size; /* height and width, while fa_forward_to_size runs it */
} conv_transpose2d_layer;

/* What output_padding would give the size that is asked for. */
static bool padding_for_size(const conv_transpose2d_layer *layer, fa_tensor *x, int64_t padding[2], fa_where where)
{
    static const char what[] = "conv_transpose2d";
    fa_begin(where);
    const fa_node *node = fa_use(x, what, "input");
    if (!node)
        return false;
    if (node->meta.ndim != 3 && node->meta.ndim != 4) /* the call itself says what is wrong */
        return true;
    const int64_t *image = node->meta.shape + node->meta.ndim - 2;
    int64_t least[2];
    for (int d = 0; d < 2; d++)
        least[d] = (image[d] - 1) * layer->stride.at[d] - 2 * layer->padding.at[d] +
                   layer->dilation.at[d] * (layer->kernel.at[d] - 1) + 1;
    for (int d = 0; d < 2; d++) {
        padding[d] = layer->output_size[d] - least[d];
        if (padding[d] < 0 || padding[d] >= layer->stride.at[d])
            return fa_fail(
                FA_VALUE_ERROR, where, what,
                "got output_size %lld x %lld for input %s, needs %lld x %lld to %lld x %lld. Hint: the stride "
                "says how far sizes can be told apart",
                (long long)layer->output_size[0], (long long)layer->output_size[1], fa_shape_text(&node->meta),
                (long long)least[0], (long long)least[1], (long long)(least[0] + layer->stride.at[0] - 1),
                (long long)(least[1] + layer->stride.at[1] - 1));
    }
    return true;
}

static fa_tensor *conv_transpose2d_forward(fa_module *self, fa_tensor *x)
{
    const conv_transpose2d_layer *layer = (const conv_transpose2d_layer *)self;
    fa_conv_transpose2d_args args = {.where_ = fa_forward_where(),
                                     .x = x,
                                     .weight = fa_module_tensor(self, "weight"),
                                     .bias = fa_module_tensor(self, "bias"),
                                     .groups = layer->groups};
    for (int d = 0; d < 2; d++) {
        args.stride_hw[d] = layer->stride.at[d];
        args.padding_hw[d] = layer->padding.at[d];
        args.output_padding_hw[d] = layer->output_padding.at[d];
        args.dilation_hw[d] = layer->dilation.at[d];
    }
    if (layer->output_size && !padding_for_size(layer, x, args.output_padding_hw, args.where_))
        return NULL;
    return fa_conv_transpose2d_at(&args);
}

fa_tensor *fa_forward_to_size_at(fa_module *module, fa_tensor *x, int64_t height, int64_t width, fa_where where)
{
    if (!module || module->impl_->forward != conv_transpose2d_forward) {
        if (fa_ok())
            fa_fail(FA_VALUE_ERROR, where, "fa_forward_to_size",
                    "got %s, needs a ConvTranspose2d: other layers' sizes follow from their input. Hint: fa_forward",
                    module ? module->impl_->class_name : "NULL");
        return NULL;
    }
    conv_transpose2d_layer *layer = (conv_transpose2d_layer *)module;
    layer->output_size = (const int64_t[2]){height, width};
    fa_tensor *y = fa_forward_at(module, x, where);
    layer->output_size = NULL;
    return y;
}

static void conv_transpose2d_describe(const fa_module *self, fa_text *text)
{
    const conv_transpose2d_layer *layer = (const conv_transpose2d_layer *)self;
    fa_text_add(text, "%lld, %lld", (long long)layer->in_channels, (long long)layer->out_channels);
    fa_add_pair(text, ", kernel_size", &layer->kernel, true);
    fa_add_pair(text, ", stride", &layer->stride, true);
    if (layer->padding.at[0] || layer->padding.at[1])
        fa_add_pair(text, ", padding", &layer->padding, true);
    if (layer->dilation.at[0] != 1 || layer->dilation.at[1] != 1)
        fa_add_pair(text, ", dilation", &layer->dilation, true);
    if (layer->output_padding.at[0] || layer->output_padding.at[1])
        fa_add_pair(text, ", output_padding", &layer->output_padding, true);
    if (layer->groups != 1)
        fa_text_add(text, ", groups=%lld", (long long)layer->groups);
    if (!fa_module_tensor(self, "bias"))
        fa_text_add(text, ", bias=False");
}

fa_module *fa_nn_conv_transpose2d_at(const fa_nn_conv_transpose2d_args *args)
{
    static const char what[] = "fa_nn_conv_transpose2d",
                      hint[] = "fa_nn_conv_transpose2d(in_channels, out_channels, kernel_size)";
    fa_where where = args->where_;
    conv_transpose2d_layer checked = {.in_channels = args->in_channels,
                                      .out_channels = args->out_channels,
                                      .groups = args->groups,
                                      .kernel = fa_pair_of(args->kernel_size, args->kernel_hw),
                                      .stride = fa_pair_of(args->stride, args->stride_hw),
                                      .padding = fa_pair_of(args->padding, args->padding_hw),
                                      .output_padding = fa_pair_of(args->output_padding, args->output_padding_hw),
                                      .dilation = fa_pair_of(args->dilation, args->dilation_hw)};
    if (!fa_check_count(args->in_channels, what, "in_channels", hint, where) ||
        !fa_check_count(args->out_channels, what, "out_channels", hint, where) ||
        !fa_check_count(args->groups, what, "groups", "leave it out for 1", where) ||
        !fa_check_pair(&checked.kernel, 1, what, "kernel_size", where) ||
        !fa_check_pair(&checked.stride, 1, what, "stride", where) ||
        !fa_check_pair(&checked.padding, 0, what, "padding", where) ||
        !fa_check_pair(&checked.output_padding, 0, what, "output_padding", where) ||
        !fa_check_pair(&checked.dilation, 1, what, "dilation", where))
        return NULL;
    if (args->in_channels % args->groups || args->out_channels % args->groups) {
        fa_fail(FA_VALUE_ERROR, where, what,
                "got in_channels %lld, out_channels %lld and groups %lld, needs both to be multiples of groups. Hint: "
                "leave groups out for an ordinary convolution",
                (long long)args->in_channels, (long long)args->out_channels, (long long)args->groups);
        return NULL;
    }
    fa_module *module =
        fa_module_make(sizeof checked, "ConvTranspose2d", conv_transpose2d_forward, conv_transpose2d_describe, where);
    if (!module)
        return NULL;
    checked.base = *module;
    *(conv_transpose2d_layer *)module = checked;
    const int64_t shape[4] = {args->in_channels, args->out_channels / args->groups, checked.kernel.at[0],
                              checked.kernel.at[1]};
    return add_weights(module, shape, args->bias ? args->out_channels : 0, where);
}

/* ---- MaxPool2d, AvgPool2d
 * -------------------------------------------------------------------------------------------- */

typedef struct pool2d_layer {
    fa_module base;
    fa_pair kernel, stride, padding, dilation;
    bool ceil_mode, count_include_pad, return_indices;
    int64_t divisor_override;
    fa_tensor *indices; /* of the latest forward */
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
    pool2d_layer *layer = (pool2d_layer *)self;
    fa_pool2d_args args = pool2d_call(self, x);
    args.indices = layer->return_indices ? &layer->indices : NULL;
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
    fa_add_pair(text, "kernel_size", &layer->kernel, false);
    fa_add_pair(text, ", stride", &layer->stride, false);
    fa_add_pair(text, ", padding", &layer->padding, false);
}

static void avg_pool2d_unprinted(const fa_module *self, fa_text *text)
{
    const pool2d_layer *layer = (const pool2d_layer *)self;
    if (layer->ceil_mode)
        fa_text_option(text, "ceil_mode=True");
    if (!layer->count_include_pad)
        fa_text_option(text, "count_include_pad=False");
    if (layer->divisor_override != FA_NONE)
        fa_text_option(text, "divisor_override=%lld", (long long)layer->divisor_override);
}

static void max_pool2d_describe(const fa_module *self, fa_text *text)
{
    const pool2d_layer *layer = (const pool2d_layer *)self;
    avg_pool2d_describe(self, text);
    fa_add_pair(text, ", dilation", &layer->dilation, false);
    fa_text_add(text, ", ceil_mode=%s", layer->ceil_mode ? "True" : "False");
}

static fa_module *pool2d_new(const fa_nn_pool2d_args *args, bool max)
{
    const char *what = max ? "fa_nn_max_pool2d" : "fa_nn_avg_pool2d";
    fa_where where = args->where_;
    pool2d_layer checked = {.kernel = fa_pair_of(args->kernel_size, args->kernel_hw),
                            .stride = fa_pair_of(args->stride, args->stride_hw),
                            .padding = fa_pair_of(args->padding, args->padding_hw),
                            .dilation = fa_pair_of(args->dilation, args->dilation_hw),
                            .ceil_mode = args->ceil_mode,
                            .count_include_pad = args->count_include_pad,
                            .return_indices = args->return_indices,
                            .divisor_override = args->divisor_override};
    if (checked.stride.at[0] == FA_KERNEL_SIZE)
        checked.stride = checked.kernel;
    if (!fa_check_pair(&checked.kernel, 1, what, "kernel_size", where) ||
        !fa_check_pair(&checked.stride, 1, what, "stride", where) ||
        !fa_check_pair(&checked.padding, 0, what, "padding", where) ||
        !fa_check_pair(&checked.dilation, 1, what, "dilation", where))
        return NULL;
    for (int d = 0; d < 2; d++) {
        const int64_t half = checked.kernel.at[d] / 2;
        if (checked.padding.at[d] > half) {
            fa_fail(FA_VALUE_ERROR, where, what,
                    "got padding %lld for a kernel of %lld, needs at most half of it, %lld. Hint: more would make "
                    "windows of padding alone",
                    (long long)checked.padding.at[d], (long long)checked.kernel.at[d], (long long)half);
            return NULL;
        }
    }
    if (args->return_indices && !max) {
        fa_fail(FA_VALUE_ERROR, where, what,
                "got return_indices, needs none: an average has no place. Hint: fa_nn_max_pool2d has them");
        return NULL;
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
    module->impl_->unprinted = max ? NULL : avg_pool2d_unprinted;
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

/* ---- AdaptiveAvgPool2d, AdaptiveMaxPool2d ---------------------------------------------------------------------------
 */

typedef struct adaptive_layer {
    fa_module base;
    fa_pair output;
    bool return_indices;
    fa_tensor *indices; /* of the latest forward */
} adaptive_layer;

static fa_adaptive_pool2d_args adaptive_call(const fa_module *self, fa_tensor *x)
{
    const int64_t *output = ((const adaptive_layer *)self)->output.at;
    return (fa_adaptive_pool2d_args){.where_ = fa_forward_where(), .x = x, .output_hw = {output[0], output[1]}};
}

static fa_tensor *adaptive_avg_forward(fa_module *self, fa_tensor *x)
{
    const fa_adaptive_pool2d_args args = adaptive_call(self, x);
    return fa_adaptive_avg_pool2d_at(&args);
}

static fa_tensor *adaptive_max_forward(fa_module *self, fa_tensor *x)
{
    adaptive_layer *layer = (adaptive_layer *)self;
    fa_adaptive_pool2d_args args = adaptive_call(self, x);
    args.indices = layer->return_indices ? &layer->indices : NULL;
    return fa_adaptive_max_pool2d_at(&args);
}

static void adaptive_describe(const fa_module *self, fa_text *text)
{
    fa_add_pair(text, "output_size", &((const adaptive_layer *)self)->output, false);
}

static fa_module *adaptive_new(const fa_nn_adaptive_pool2d_args *args, bool max)
{
    const fa_pair output = fa_pair_of(args->output_size, args->output_hw);
    if (args->return_indices && !max) {
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_nn_adaptive_avg_pool2d",
                "got return_indices, needs none: an average has no place. Hint: fa_nn_adaptive_max_pool2d has them");
        return NULL;
    }
    for (int d = 0; d < 2; d++)
        if (output.at[d] < 0 && output.at[d] != FA_NONE) {
            fa_fail(FA_VALUE_ERROR, args->where_, max ? "fa_nn_adaptive_max_pool2d" : "fa_nn_adaptive_avg_pool2d",
                    "got output_size %lld x %lld (height x width), needs 0 or more, or FA_NONE for the input's size. "
                    "Hint: 1 makes one number of each channel",
                    (long long)output.at[0], (long long)output.at[1]);
            return NULL;
        }
    fa_module *module =
        fa_module_make(sizeof(adaptive_layer), max ? "AdaptiveMaxPool2d" : "AdaptiveAvgPool2d",
                       max ? adaptive_max_forward : adaptive_avg_forward, adaptive_describe, args->where_);
    if (module) {
        ((adaptive_layer *)module)->output = output;
        ((adaptive_layer *)module)->return_indices = args->return_indices;
    }
    return module;
}

fa_module *fa_nn_adaptive_avg_pool2d_at(const fa_nn_adaptive_pool2d_args *args)
{
    return adaptive_new(args, false);
}

fa_module *fa_nn_adaptive_max_pool2d_at(const fa_nn_adaptive_pool2d_args *args)
{
    return adaptive_new(args, true);
}

fa_tensor *fa_pool_indices_at(fa_module *pool, fa_where where)
{
    if (!pool) {
        if (fa_ok())
            fa_fail(FA_VALUE_ERROR, where, "fa_pool_indices", "got NULL, needs a pooling layer. Hint: was it made?");
        return NULL;
    }
    fa_tensor *indices = NULL;
    if (pool->impl_->forward == max_pool2d_forward)
        indices = ((const pool2d_layer *)pool)->indices;
    else if (pool->impl_->forward == adaptive_max_forward)
        indices = ((const adaptive_layer *)pool)->indices;
    fa_begin(where);
    if (!indices)
        fa_refuse(FA_STATE_ERROR, "fa_pool_indices",
                  "got a %s without indices, needs a maximum pool with .return_indices = true that has run. Hint: "
                  "fa_forward it first",
                  pool->impl_->class_name);
    return indices && fa_use(indices, "fa_pool_indices", "indices") ? indices : NULL;
}

/* ---- Upsample -------------------------------------------------------------------------------------------------------
 */

typedef struct upsample_layer {
    fa_module base;
    fa_interpolate_args call;
} upsample_layer;

static fa_tensor *upsample_forward(fa_module *self, fa_tensor *x)
{
    fa_interpolate_args args = ((const upsample_layer *)self)->call;
    args.where_ = fa_forward_where();
    args.x = x;
    return fa_interpolate_at(&args);
}

static void upsample_describe(const fa_module *self, fa_text *text)
{
    static const char *const modes[] = {"nearest", "nearest-exact", "bilinear", "linear"};
    const fa_interpolate_args *call = &((const upsample_layer *)self)->call;
    if (!isnan(call->scale_factor_hw[0])) {
        fa_text_add(text, "scale_factor=(");
        fa_text_number(text, call->scale_factor_hw[0]);
        fa_text_add(text, ", ");
        fa_text_number(text, call->scale_factor_hw[1]);
        fa_text_add(text, ")");
    } else if (!isnan(call->scale_factor)) {
        fa_text_add(text, "scale_factor=");
        fa_text_number(text, call->scale_factor);
    } else {
        const fa_pair size = fa_pair_of(call->size, call->size_hw);
        fa_add_pair(text, "size", &size, false);
    }
    fa_text_add(text, ", mode='%s'", modes[call->mode]);
}

static void upsample_unprinted(const fa_module *self, fa_text *text)
{
    const fa_interpolate_args *call = &((const upsample_layer *)self)->call;
    if (call->align_corners)
        fa_text_option(text, "align_corners=True");
    if (call->recompute_scale_factor)
        fa_text_option(text, "recompute_scale_factor=True");
}

fa_module *fa_nn_upsample_at(const fa_nn_upsample_args *args)
{
    if ((int)args->mode < FA_NEAREST || args->mode > FA_LINEAR) {
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_nn_upsample",
                "got mode %d, needs FA_NEAREST, FA_NEAREST_EXACT, FA_BILINEAR or FA_LINEAR. Hint: leave it out for "
                "nearest",
                (int)args->mode);
        return NULL;
    }
    fa_module *module =
        fa_module_make(sizeof(upsample_layer), "Upsample", upsample_forward, upsample_describe, args->where_);
    if (!module)
        return NULL;
    module->impl_->unprinted = upsample_unprinted;
    ((upsample_layer *)module)->call =
        (fa_interpolate_args){.size = args->size,
                              .scale_factor = args->scale_factor,
                              .size_hw = {args->size_hw[0], args->size_hw[1]},
                              .scale_factor_hw = {args->scale_factor_hw[0], args->scale_factor_hw[1]},
                              .mode = args->mode,
                              .align_corners = args->align_corners,
                              .recompute_scale_factor = args->recompute_scale_factor};
    return module;
}
