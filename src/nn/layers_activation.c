/* Activations as layers. */
#include "nn/module.h"

typedef struct activation_layer {
    fa_module base;
    double a, b; /* the two numbers of those that have some */
    bool inplace;
    fa_gelu_approximate approximate;
} activation_layer;

static const activation_layer *layer_of(const fa_module *self)
{
    return (const activation_layer *)self;
}

static fa_module *make(const char *class_name, fa_forward_function forward, fa_describe_function describe,
                       activation_layer settings, fa_where where)
{
    fa_module *module = fa_module_make(sizeof(activation_layer), class_name, forward, describe, where);
    if (module) {
        settings.base = *module;
        *(activation_layer *)module = settings;
    }
    return module;
}

static void inplace_unprinted(const fa_module *self, fa_text *text)
{
    if (layer_of(self)->inplace)
        fa_text_option(text, "inplace=True");
}

/* "name=1.0" and whatever else a layer with `inplace` prints. */
static void describe_number(fa_text *text, const char *name, double number)
{
    fa_text_add(text, "%s=", name);
    fa_text_number(text, number);
}

static void describe_inplace(const fa_module *self, fa_text *text)
{
    if (layer_of(self)->inplace)
        fa_text_add(text, "inplace=True");
}

static void describe_inplace_too(const fa_module *self, fa_text *text)
{
    if (layer_of(self)->inplace)
        fa_text_add(text, ", inplace=True");
}

/* ---- Without numbers ------------------------------------------------------------------------------------------------
 */

static fa_activation_args plain_call(const fa_module *self, fa_tensor *x)
{
    return (fa_activation_args){.where_ = fa_forward_where(), .x = x, .inplace = layer_of(self)->inplace};
}

#define PLAIN(name)                                                                                                    \
    static fa_tensor *name##_forward(fa_module *self, fa_tensor *x)                                                    \
    {                                                                                                                  \
        const fa_activation_args args = plain_call(self, x);                                                           \
        return fa_##name##_at(&args);                                                                                  \
    }
PLAIN(relu6)
PLAIN(silu)
PLAIN(hardswish)
PLAIN(hardsigmoid)

static fa_tensor *relu_forward(fa_module *self, fa_tensor *x)
{
    return layer_of(self)->inplace ? fa_relu_inplace_at(x, fa_forward_where()) : fa_relu_at(x, fa_forward_where());
}

static fa_tensor *sigmoid_forward(fa_module *self, fa_tensor *x)
{
    (void)self;
    return fa_sigmoid_at(x, fa_forward_where());
}

static fa_tensor *tanh_forward(fa_module *self, fa_tensor *x)
{
    (void)self;
    return fa_tanh_at(x, fa_forward_where());
}

fa_module *fa_nn_relu_at(const fa_nn_relu_args *args)
{
    return make("ReLU", relu_forward, describe_inplace, (activation_layer){.inplace = args->inplace}, args->where_);
}

fa_module *fa_nn_relu6_at(const fa_nn_relu_args *args)
{
    return make("ReLU6", relu6_forward, describe_inplace, (activation_layer){.inplace = args->inplace}, args->where_);
}

fa_module *fa_nn_silu_at(const fa_nn_relu_args *args)
{
    return make("SiLU", silu_forward, describe_inplace, (activation_layer){.inplace = args->inplace}, args->where_);
}

/* PyTorch prints these two without their inplace. */
static fa_module *make_quiet(const char *class_name, fa_forward_function forward, const fa_nn_relu_args *args)
{
    fa_module *module = make(class_name, forward, NULL, (activation_layer){.inplace = args->inplace}, args->where_);
    if (module)
        module->impl_->unprinted = inplace_unprinted;
    return module;
}

fa_module *fa_nn_hardswish_at(const fa_nn_relu_args *args)
{
    return make_quiet("Hardswish", hardswish_forward, args);
}

fa_module *fa_nn_hardsigmoid_at(const fa_nn_relu_args *args)
{
    return make_quiet("Hardsigmoid", hardsigmoid_forward, args);
}

fa_module *fa_nn_sigmoid_at(fa_where where)
{
    return make("Sigmoid", sigmoid_forward, NULL, (activation_layer){0}, where);
}

fa_module *fa_nn_tanh_at(fa_where where)
{
    return make("Tanh", tanh_forward, NULL, (activation_layer){0}, where);
}

/* ---- With numbers ---------------------------------------------------------------------------------------------------
 */

static fa_tensor *leaky_relu_forward(fa_module *self, fa_tensor *x)
{
    const activation_layer *layer = layer_of(self);
    const fa_leaky_relu_args args = {
        .where_ = fa_forward_where(), .x = x, .negative_slope = layer->a, .inplace = layer->inplace};
    return fa_leaky_relu_at(&args);
}

static void leaky_relu_describe(const fa_module *self, fa_text *text)
{
    describe_number(text, "negative_slope", layer_of(self)->a);
    describe_inplace_too(self, text);
}

fa_module *fa_nn_leaky_relu_at(const fa_nn_leaky_relu_args *args)
{
    return make("LeakyReLU", leaky_relu_forward, leaky_relu_describe,
                (activation_layer){.a = args->negative_slope, .inplace = args->inplace}, args->where_);
}

static fa_tensor *elu_forward(fa_module *self, fa_tensor *x)
{
    const activation_layer *layer = layer_of(self);
    const fa_elu_args args = {.where_ = fa_forward_where(), .x = x, .alpha = layer->a, .inplace = layer->inplace};
    return fa_elu_at(&args);
}

static void elu_describe(const fa_module *self, fa_text *text)
{
    describe_number(text, "alpha", layer_of(self)->a);
    describe_inplace_too(self, text);
}

fa_module *fa_nn_elu_at(const fa_nn_elu_args *args)
{
    return make("ELU", elu_forward, elu_describe, (activation_layer){.a = args->alpha, .inplace = args->inplace},
                args->where_);
}

static fa_tensor *gelu_forward(fa_module *self, fa_tensor *x)
{
    const fa_gelu_args args = {.where_ = fa_forward_where(), .x = x, .approximate = layer_of(self)->approximate};
    return fa_gelu_at(&args);
}

static void gelu_describe(const fa_module *self, fa_text *text)
{
    fa_text_add(text, "approximate='%s'", layer_of(self)->approximate == FA_GELU_TANH ? "tanh" : "none");
}

fa_module *fa_nn_gelu_at(const fa_nn_gelu_args *args)
{
    if (args->approximate != FA_GELU_NONE && args->approximate != FA_GELU_TANH) {
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_nn_gelu",
                "got approximate %d, needs FA_GELU_NONE or FA_GELU_TANH. Hint: leave it out for the exact function",
                (int)args->approximate);
        return NULL;
    }
    return make("GELU", gelu_forward, gelu_describe, (activation_layer){.approximate = args->approximate},
                args->where_);
}

static fa_tensor *softplus_forward(fa_module *self, fa_tensor *x)
{
    const activation_layer *layer = layer_of(self);
    const fa_softplus_args args = {.where_ = fa_forward_where(), .x = x, .beta = layer->a, .threshold = layer->b};
    return fa_softplus_at(&args);
}

static void softplus_describe(const fa_module *self, fa_text *text)
{
    describe_number(text, "beta", layer_of(self)->a);
    describe_number(text, ", threshold", layer_of(self)->b);
}

fa_module *fa_nn_softplus_at(const fa_nn_softplus_args *args)
{
    return make("Softplus", softplus_forward, softplus_describe,
                (activation_layer){.a = args->beta, .b = args->threshold}, args->where_);
}

static fa_tensor *hardtanh_forward(fa_module *self, fa_tensor *x)
{
    const activation_layer *layer = layer_of(self);
    const fa_hardtanh_args args = {
        .where_ = fa_forward_where(), .x = x, .min_val = layer->a, .max_val = layer->b, .inplace = layer->inplace};
    return fa_hardtanh_at(&args);
}

static void hardtanh_describe(const fa_module *self, fa_text *text)
{
    describe_number(text, "min_val", layer_of(self)->a);
    describe_number(text, ", max_val", layer_of(self)->b);
    describe_inplace_too(self, text);
}

fa_module *fa_nn_hardtanh_at(const fa_nn_hardtanh_args *args)
{
    if (!(args->min_val < args->max_val)) {
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_nn_hardtanh",
                "got min_val %g and max_val %g, needs min_val below max_val. Hint: leave them out for -1 and 1",
                args->min_val, args->max_val);
        return NULL;
    }
    return make("Hardtanh", hardtanh_forward, hardtanh_describe,
                (activation_layer){.a = args->min_val, .b = args->max_val, .inplace = args->inplace}, args->where_);
}

/* ---- PReLU ----------------------------------------------------------------------------------------------------------
 */

typedef struct prelu_layer {
    fa_module base;
    int64_t num_parameters;
} prelu_layer;

static fa_tensor *prelu_forward(fa_module *self, fa_tensor *x)
{
    return fa_prelu_at(x, fa_module_tensor(self, "weight"), fa_forward_where());
}

static void prelu_describe(const fa_module *self, fa_text *text)
{
    fa_text_add(text, "num_parameters=%lld", (long long)((const prelu_layer *)self)->num_parameters);
}

fa_module *fa_nn_prelu_at(const fa_nn_prelu_args *args)
{
    if (args->num_parameters < 1) {
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_nn_prelu",
                "got num_parameters %lld, needs 1, or the number of channels. Hint: leave it out for 1",
                (long long)args->num_parameters);
        return NULL;
    }
    fa_module *module = fa_module_make(sizeof(prelu_layer), "PReLU", prelu_forward, prelu_describe, args->where_);
    if (!module)
        return NULL;
    ((prelu_layer *)module)->num_parameters = args->num_parameters;
    const fa_meta weight = fa_meta_of(FA_DT_FLOAT32, 1, &args->num_parameters);
    if (fa_module_new_tensor(module, "weight", false, &weight, FA_INIT_CONSTANT, args->init, args->init, args->where_))
        return module;
    fa_module_drop(module);
    return NULL;
}
