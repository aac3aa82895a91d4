/* Layers without images in mind: linear, dropout, flatten, softmax, identity. */
#include "nn/module.h"

#include <math.h>

/* ---- Linear --------------------------------------------------------------------------------------------------------
 */

typedef struct linear_layer {
    fa_module base;
    int64_t in_features, out_features;
} linear_layer;

static fa_tensor *linear_forward(fa_module *self, fa_tensor *x)
{
    return fa_linear_at(x, fa_module_tensor(self, "weight"), fa_module_tensor(self, "bias"), fa_forward_where());
}

static void linear_describe(const fa_module *self, fa_text *text)
{
    const linear_layer *layer = (const linear_layer *)self;
    fa_text_add(text, "in_features=%lld, out_features=%lld, bias=%s", (long long)layer->in_features,
                (long long)layer->out_features, fa_module_tensor(self, "bias") ? "True" : "False");
}

fa_module *fa_nn_linear_at(const fa_nn_linear_args *args)
{
    if (args->in_features < 0 || args->out_features < 0) {
        bool none = args->in_features == FA_NONE || args->out_features == FA_NONE;
        fa_fail(FA_VALUE_ERROR, args->where_, "fa_nn_linear",
                none ? "got no %s, needs one. Hint: fa_nn_linear(in_features, out_features)"
                     : "got a negative %s, needs 0 or more. Hint: fa_nn_linear(in_features, out_features)",
                args->in_features < 0 ? "in_features" : "out_features");
        return NULL;
    }
    fa_module *module = fa_module_make(sizeof(linear_layer), "Linear", linear_forward, linear_describe, args->where_);
    if (!module)
        return NULL;
    linear_layer *layer = (linear_layer *)module;
    layer->in_features = args->in_features;
    layer->out_features = args->out_features;
    int64_t shape[2] = {args->out_features, args->in_features};
    fa_meta weight = fa_meta_of(FA_DT_FLOAT32, 2, shape), bias = fa_meta_of(FA_DT_FLOAT32, 1, shape);
    /* kaiming_uniform_(a = sqrt 5): sqrt(3) * gain / sqrt(fan_in), gain = sqrt(2 / (1 + a^2)). */
    double fan_in = (double)args->in_features, gain = sqrt(2.0 / (1 + sqrt(5.0) * sqrt(5.0)));
    double bound = fan_in > 0 ? sqrt(3.0) * (gain / sqrt(fan_in)) : 0, bias_bound = fan_in > 0 ? 1 / sqrt(fan_in) : 0;
    if (!fa_module_new_tensor(module, "weight", false, &weight, FA_INIT_UNIFORM, -bound, bound, args->where_) ||
        (args->bias && !fa_module_new_tensor(module, "bias", false, &bias, FA_INIT_UNIFORM, 0 - bias_bound, bias_bound,
                                             args->where_))) { /* without an input 0, not -0 */
        fa_module_drop(module);
        return NULL;
    }
    return module;
}

/* ---- Dropout
 * --------------------------------------------------------------------------------------------------------- */

typedef struct dropout_layer {
    fa_module base;
    double p;
    bool inplace;
} dropout_layer;

static fa_dropout_args dropout_call(const fa_module *self, fa_tensor *x)
{
    const dropout_layer *layer = (const dropout_layer *)self;
    return (fa_dropout_args){.where_ = fa_forward_where(),
                             .x = x,
                             .p = layer->p,
                             .training = fa_is_training(self),
                             .inplace = layer->inplace};
}

static fa_tensor *dropout_forward(fa_module *self, fa_tensor *x)
{
    const fa_dropout_args args = dropout_call(self, x);
    return fa_dropout_at(&args);
}

static fa_tensor *dropout2d_forward(fa_module *self, fa_tensor *x)
{
    const fa_dropout_args args = dropout_call(self, x);
    return fa_dropout2d_at(&args);
}

static void dropout_describe(const fa_module *self, fa_text *text)
{
    const dropout_layer *layer = (const dropout_layer *)self;
    fa_text_add(text, "p=");
    fa_text_number(text, layer->p);
    fa_text_add(text, ", inplace=%s", layer->inplace ? "True" : "False");
}

static fa_module *dropout_new(const fa_nn_dropout_args *args, bool channels)
{
    if (!(args->p >= 0 && args->p <= 1)) {
        fa_fail(FA_VALUE_ERROR, args->where_, channels ? "fa_nn_dropout2d" : "fa_nn_dropout",
                "got p %g, needs a probability from 0 to 1. Hint: p is the share that is set to 0", args->p);
        return NULL;
    }
    fa_module *module = fa_module_make(sizeof(dropout_layer), channels ? "Dropout2d" : "Dropout",
                                       channels ? dropout2d_forward : dropout_forward, dropout_describe, args->where_);
    if (module) {
        ((dropout_layer *)module)->p = args->p;
        ((dropout_layer *)module)->inplace = args->inplace;
    }
    return module;
}

fa_module *fa_nn_dropout_at(const fa_nn_dropout_args *args)
{
    return dropout_new(args, false);
}

fa_module *fa_nn_dropout2d_at(const fa_nn_dropout_args *args)
{
    return dropout_new(args, true);
}

/* ---- Flatten
 * ----------------------------------------------------------------------------------------------------------- */

typedef struct flatten_layer {
    fa_module base;
    int start_dim, end_dim;
} flatten_layer;

static fa_tensor *flatten_forward(fa_module *self, fa_tensor *x)
{
    const flatten_layer *layer = (const flatten_layer *)self;
    return fa_flatten_at(x, layer->start_dim, layer->end_dim, fa_forward_where());
}

static void flatten_describe(const fa_module *self, fa_text *text)
{
    const flatten_layer *layer = (const flatten_layer *)self;
    fa_text_add(text, "start_dim=%d, end_dim=%d", layer->start_dim, layer->end_dim);
}

fa_module *fa_nn_flatten_at(const fa_nn_flatten_args *args)
{
    fa_module *module =
        fa_module_make(sizeof(flatten_layer), "Flatten", flatten_forward, flatten_describe, args->where_);
    if (module) {
        ((flatten_layer *)module)->start_dim = args->start_dim;
        ((flatten_layer *)module)->end_dim = args->end_dim;
    }
    return module;
}

/* ---- Softmax, LogSoftmax
 * ----------------------------------------------------------------------------------------------- */

typedef struct softmax_layer {
    fa_module base;
    int dim;
} softmax_layer;

static fa_tensor *softmax_forward(fa_module *self, fa_tensor *x)
{
    return fa_softmax_at(x, ((const softmax_layer *)self)->dim, fa_forward_where());
}

static fa_tensor *log_softmax_forward(fa_module *self, fa_tensor *x)
{
    return fa_log_softmax_at(x, ((const softmax_layer *)self)->dim, fa_forward_where());
}

static void softmax_describe(const fa_module *self, fa_text *text)
{
    fa_text_add(text, "dim=%d", ((const softmax_layer *)self)->dim);
}

fa_module *fa_nn_softmax_at(int dim, fa_where where)
{
    fa_module *module = fa_module_make(sizeof(softmax_layer), "Softmax", softmax_forward, softmax_describe, where);
    if (module)
        ((softmax_layer *)module)->dim = dim;
    return module;
}

fa_module *fa_nn_log_softmax_at(int dim, fa_where where)
{
    fa_module *module =
        fa_module_make(sizeof(softmax_layer), "LogSoftmax", log_softmax_forward, softmax_describe, where);
    if (module)
        ((softmax_layer *)module)->dim = dim;
    return module;
}

/* ---- Identity
 * ------------------------------------------------------------------------------------------------------------ */

static fa_tensor *identity_forward(fa_module *self, fa_tensor *x)
{
    (void)self;
    return x;
}

fa_module *fa_nn_identity_at(fa_where where)
{
    return fa_module_make(sizeof(fa_module), "Identity", identity_forward, NULL, where);
}
