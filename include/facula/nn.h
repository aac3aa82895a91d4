/* Modules: layers with parameters, networks made of them, in PyTorch's words.
 *
 * A network of one's own is a struct that begins with `fa_module base`:
 *
 *     typedef struct { fa_module base; fa_module *conv1, *fc; } cnn;
 *
 *     static fa_tensor *cnn_forward(fa_module *self, fa_tensor *x) { ... fa_forward(net->conv1, x) ... }
 *
 *     cnn *net = fa_module_new(cnn, cnn_forward);
 *     fa_layer(net, conv1, fa_nn_conv2d(3, 32, 3, .padding = 1));
 *
 * Ownership. A module is counted. A new one belongs to whoever made it; the first module that it is put into takes it
 * over, further ones share it, and freeing the root with fa_free frees what only the root held. fa_retain keeps a part
 * alive on its own. A constructor that fails returns NULL, frees what it was given, and the thread's error says why;
 * NULL given to another constructor is passed on in silence while that error stands.
 *
 * Initial weights are PyTorch's. They are drawn late: in the order in which layers stand in the tree (registration
 * order, depth first, older roots first), at the latest before another draw from the default generator, a seed, or a
 * look at a parameter. So nested constructors may be evaluated in any order, as C allows. */
#ifndef FACULA_NN_H
#define FACULA_NN_H

#include "facula/functional.h"

#ifdef __cplusplus
extern "C" {
#endif

struct fa_module_impl;
typedef struct fa_module {
    struct fa_module_impl *impl_;
} fa_module;

/* ---- Modules of one's own ------------------------------------------------------------------------------------------
 */

typedef fa_tensor *(*fa_forward_function)(fa_module *self, fa_tensor *x);

typedef struct fa_module_args {
    struct fa_keyword_only *kw_;
    fa_where where_;
    size_t size_;
    fa_forward_function forward_;
    const char *name;                 /* the class's name as it prints; default: the C type's */
    void (*release)(fa_module *self); /* frees what the struct holds beside modules, parameters and buffers */
} fa_module_args;
/* fa_module_new(cnn, cnn_forward, .name = "CNN"): a cnn, all zeros but for `base`. NULL: no memory. */
FA_API fa_module *fa_module_new_at(const fa_module_args *args);
#define fa_module_new(...) FA_MODULE_NEW_SPLIT_(__VA_ARGS__, .kw_ = 0)
#define FA_MODULE_NEW_SPLIT_(type, function, ...)                                                                      \
    __extension__({                                                                                                    \
        _Static_assert(__builtin_offsetof(type, base) == 0, "the struct must begin with: fa_module base;");            \
        FA_BEGIN_CALL_(type *)                                                                                         \
        fa_module_new_at(&(fa_module_args){.where_ = {__FILE__, __LINE__},                                             \
                                           .size_ = sizeof(type),                                                      \
                                           .forward_ = (function),                                                     \
                                           .name = #type,                                                              \
                                           __VA_ARGS__});                                                              \
        FA_END_CALL_                                                                                                   \
    })

/* Puts a child into a module: fa_layer(net, conv1, fa_nn_conv2d(1, 8, 3)) sets net->conv1 and names it "conv1".
 * fa_module_add(module, "conv1", child) does it without a field; NULL for a name counts: "0", "1", ... A name used
 * again replaces the child. Both return the child. */
FA_API fa_module *fa_module_add_at(fa_module *parent, const char *name, fa_module *child, fa_where where);
#define fa_module_add(parent, name, child) fa_module_add_at((parent), (name), (child), FA_HERE)
#define fa_layer(net, field, child)                                                                                    \
    __extension__({                                                                                                    \
        __auto_type fa_net_ = (net);                                                                                   \
        fa_module *fa_child_ = fa_module_add_at(fa_net_ ? &fa_net_->base : NULL, #field, (child), FA_HERE);            \
        if (fa_net_)                                                                                                   \
            fa_net_->field = fa_child_;                                                                                \
        fa_child_;                                                                                                     \
    })

/* A parameter or buffer of the module's own: sets net->field (an fa_tensor *) and names it in the state dict.
 *
 *     fa_own_parameter(net, scale, FA_SHAPE(10), .fill = 1);            every element 1
 *     fa_own_parameter(net, shift, FA_SHAPE(10), .uniform = {-1, 1});   drawn with the weights, in their order
 *     fa_own_parameter(net, start, fa_randn(10));                       a copy of a tensor
 *     fa_own_parameter(net, weight, other->weight);                     a parameter itself: shared (tied)
 *     fa_own_buffer(net, mean, FA_SHAPE(3), .fill = 0.5);
 *
 * A parameter is float32 or float64 and requires a gradient; a buffer is state that no optimizer touches. */
typedef struct fa_own_args {
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool buffer_;
    fa_dtype dtype;    /* with a shape */
    double fill;       /* with a shape */
    double uniform[2]; /* with a shape: {low, high}; wins over fill when low < high */
    bool frozen;       /* a parameter that requires no gradient */
} fa_own_args;
FA_API fa_tensor *fa_own_shape_at(fa_module *module, const char *name, fa_shape shape, const fa_own_args *args);
FA_API fa_tensor *fa_own_tensor_at(fa_module *module, const char *name, fa_tensor *value, const fa_own_args *args);
#define FA_OWN_(net, field, key, is_buffer, value, ...)                                                                \
    __extension__({                                                                                                    \
        FA_BEGIN_CALL_                                                                                                 \
        __auto_type fa_net_ = (net);                                                                                   \
        fa_tensor *fa_own_ = _Generic((value), fa_tensor *                                                             \
                                      : fa_own_tensor_at, fa_shape                                                     \
                                      : fa_own_shape_at)(                                                              \
            fa_net_ ? &fa_net_->base : NULL, key, (value),                                                             \
            &(fa_own_args){.where_ = {__FILE__, __LINE__}, .buffer_ = is_buffer, __VA_ARGS__});                        \
        if (fa_net_)                                                                                                   \
            fa_net_->field = fa_own_;                                                                                  \
        fa_own_;                                                                                                       \
        FA_END_CALL_                                                                                                   \
    })
#define FA_OWN_SPLIT_(net, field, key, is_buffer, ...) FA_OWN_(net, field, key, is_buffer, __VA_ARGS__)
#define fa_own_parameter(net, field, ...) FA_OWN_SPLIT_(net, field, #field, false, __VA_ARGS__, .kw_ = 0)
#define fa_own_buffer(net, field, ...) FA_OWN_SPLIT_(net, field, #field, true, __VA_ARGS__, .kw_ = 0)
/* The same on any module, without a field: fa_register_parameter(decoder, "weight", fa_find(encoder, "weight")) ties
 * two layers. A name used again replaces the tensor; the shape must stay. */
#define fa_register_parameter(module, name, tensor)                                                                    \
    fa_own_tensor_at((module), (name), (tensor), &(fa_own_args){.where_ = {__FILE__, __LINE__}, .buffer_ = false})

/* Holds a module once more for the caller; each fa_retain needs an fa_free. Returns the module. */
FA_API fa_module *fa_retain(fa_module *module);
/* What fa_free calls. Refuses a module that only its parents hold. */
FA_API void fa_module_free(fa_module *module);
/* Modules that have not been freed yet, in the whole process. */
FA_API int64_t fa_module_live_count(void);

/* ---- Running -------------------------------------------------------------------------------------------------------
 */

/* model(x). While it runs, errors name the layer by its path: "conv2d (features.0)". NULL after an error. */
FA_API fa_tensor *fa_forward_at(fa_module *module, fa_tensor *x, fa_where where);
#define fa_forward(module, x) fa_forward_at((module), (x), FA_HERE)
/* criterion(outputs, labels), for the losses below. */
FA_API fa_tensor *fa_criterion_at(fa_module *loss, fa_tensor *input, fa_tensor *target, fa_where where);
#define fa_criterion(loss, input, target) fa_criterion_at((loss), (input), (target), FA_HERE)

/* model.train() and model.eval(), for the module and all in it; a new module is in training. Return the module. */
FA_API fa_module *fa_train(fa_module *module);
FA_API fa_module *fa_eval(fa_module *module);
FA_API bool fa_is_training(const fa_module *module);

/* ---- What is in a module
 * --------------------------------------------------------------------------------------------- */

/* named_parameters() and named_buffers(): in the tree's order, a shared one once, under its first name. fa_state_list:
 * every key of the state dict (fa_state_dict of facula/state.h is the dict itself), of each module its parameters, then
 * its buffers, then its children; a shared one under each of its names. The arrays belong to the module: valid until
 * something is added to a module in the tree or the module is freed. */
FA_API fa_tensor_list fa_parameters_at(fa_module *module, fa_where where);
FA_API fa_tensor_list fa_buffers_at(fa_module *module, fa_where where);
FA_API fa_tensor_list fa_state_list_at(fa_module *module, fa_where where);
#define fa_parameters(module) fa_parameters_at((module), FA_HERE)
#define fa_buffers(module) fa_buffers_at((module), FA_HERE)
#define fa_state_list(module) fa_state_list_at((module), FA_HERE)
/* The tensor of a state dict's key: fa_find(model, "conv2.weight"). An error if there is none. */
FA_API fa_tensor *fa_find_at(fa_module *module, const char *key, fa_where where);
#define fa_find(module, key) fa_find_at((module), (key), FA_HERE)
/* The module of a path: fa_submodule(model, "features.0"). An error if there is none. */
FA_API fa_module *fa_submodule_at(fa_module *module, const char *path, fa_where where);
#define fa_submodule(module, path) fa_submodule_at((module), (path), FA_HERE)

FA_API int64_t fa_child_count(const fa_module *module);
FA_API fa_module *fa_child(const fa_module *module, int64_t i);       /* NULL: no such child */
FA_API const char *fa_child_name(const fa_module *module, int64_t i); /* NULL: no such child */
FA_API const char *fa_class_name(const fa_module *module);            /* "Conv2d" */

/* module.named_modules(): the module itself (its name is "") and all in it, parents first, in order of registration,
 * each once. Owned by the module; valid until its tree changes. */
typedef struct fa_module_list {
    fa_module *const *module;
    const char *const *name; /* "features.0" */
    int64_t count;
} fa_module_list;
FA_API fa_module_list fa_named_modules_at(fa_module *module, fa_where where);
#define fa_named_modules(module) fa_named_modules_at((module), FA_HERE)
/* module.apply(function): of all in the module, children first, then of the module itself. Returns the module. */
FA_API fa_module *fa_apply_at(fa_module *module, void (*function)(fa_module *module, void *context), void *context,
                              fa_where where);
#define fa_apply(module, function, context) fa_apply_at((module), (function), (context), FA_HERE)

/* Hooks of one module, run by fa_forward(module, ...) in the order in which they were registered:
 *
 *     before forward    look at the input; what is not NULL replaces it            (register_forward_pre_hook)
 *     after forward     look at input and output; what is not NULL replaces the output    (register_forward_hook)
 *     before backward   look at the gradient of the output; what is not NULL replaces it
 *                                                                                  (register_full_backward_pre_hook)
 *     after backward    look at the gradients of input and output; what is not NULL replaces that of the input
 *                                                                                      (register_full_backward_hook)
 *
 * `tensor` is the input before and after forward, the gradient of the output before backward, and that of the input
 * after it: NULL where the input requires none. `other` is the output after forward, the gradient of the output after
 * backward, else NULL. A hook returns NULL to leave things as they are. Of a loss, the input is the first argument.
 *
 * Registering returns an id, 0 after an error; fa_remove_hook(module or tensor, id) ends it (false: there is none of
 * that id). Hooks of backward are those of the moment of backward, but the module needs one when it is run; they run if
 * the module lives then. Gradients are tensors of the scope in which backward runs, as of fa_register_hook (tensor.h).
 * A module with a hook after backward may not change its input in place. */
typedef fa_tensor *(*fa_hook_function)(fa_module *module, fa_tensor *tensor, fa_tensor *other, void *context);
typedef enum fa_hook_time {
    FA_HOOK_BEFORE_FORWARD,
    FA_HOOK_AFTER_FORWARD,
    FA_HOOK_BEFORE_BACKWARD,
    FA_HOOK_AFTER_BACKWARD
} fa_hook_time;
FA_API int64_t fa_register_module_hook_at(fa_module *module, fa_hook_time time, fa_hook_function function,
                                          void *context, fa_where where);
#define fa_register_forward_pre_hook(module, function, context)                                                        \
    fa_register_module_hook_at((module), FA_HOOK_BEFORE_FORWARD, (function), (context), FA_HERE)
#define fa_register_forward_hook(module, function, context)                                                            \
    fa_register_module_hook_at((module), FA_HOOK_AFTER_FORWARD, (function), (context), FA_HERE)
#define fa_register_full_backward_pre_hook(module, function, context)                                                  \
    fa_register_module_hook_at((module), FA_HOOK_BEFORE_BACKWARD, (function), (context), FA_HERE)
#define fa_register_full_backward_hook(module, function, context)                                                      \
    fa_register_module_hook_at((module), FA_HOOK_AFTER_BACKWARD, (function), (context), FA_HERE)
FA_API bool fa_remove_module_hook(fa_module *module, int64_t id);
#define fa_remove_hook(x, id)                                                                                          \
    _Generic((x), fa_tensor * : fa_remove_tensor_hook, fa_module * : fa_remove_module_hook)((x), (id))

/* Freezing: fa_requires_grad_(net->features, false), of every parameter in a module or of one tensor. Returns it. */
FA_API fa_module *fa_module_requires_grad_at(fa_module *module, bool on, fa_where where);
#define fa_requires_grad_(x, on)                                                                                       \
    _Generic((x), fa_tensor * : fa_set_requires_grad_at, fa_module * : fa_module_requires_grad_at)((x), (on), FA_HERE)

/* model.to(device), tensor.to(device). Moving a module returns the module itself; a device that cannot be used is an
 * error, and the module stays where it is. */
FA_API fa_module *fa_module_to_at(fa_module *module, fa_device device, fa_where where);
FA_API fa_tensor *fa_tensor_to_at(fa_tensor *tensor, fa_device device, fa_where where);
#define fa_to(x, device)                                                                                               \
    _Generic((x), fa_tensor * : fa_tensor_to_at, fa_module * : fa_module_to_at)((x), (device), FA_HERE)

/* model.double(), model.float(): parameters and floating buffers become FA_FLOAT64 or FA_FLOAT32, in place; gradients
 * are dropped. Before an optimizer is made, whose state would keep the old type. Inputs must be of the same type.
 * Returns the module; NULL after an error, and then nothing has changed. */
FA_API fa_module *fa_module_to_dtype_at(fa_module *module, fa_dtype dtype, fa_where where);
#define fa_module_to_dtype(module, dtype) fa_module_to_dtype_at((module), (dtype), FA_HERE)

/* Drops the gradients of every parameter in a module (fa_zero_grad in optim.h is the word for both). */
FA_API bool fa_module_zero_grad_at(fa_module *module, fa_where where);

/* ---- Printing
 * -------------------------------------------------------------------------------------------------------- */

/* What str(model) gives in PyTorch, as snprintf does: returns the length needed. */
FA_API int64_t fa_module_format(const fa_module *module, char *text, size_t size);
/* print(model). */
FA_API void fa_module_print(fa_module *module, FILE *file);

/* A table of the layers that run on an input of this shape: path and class, output shape, receptive field (height x
 * width of the input that one output element sees), parameters, multiply-adds, memory of a training step; and totals.
 * Shapes alone are worked out; nothing is computed and no state changes. False after an error. */
FA_API bool fa_summary_at(fa_module *module, fa_shape input, FILE *file, fa_where where);
#define fa_summary(module, shape, file) fa_summary_at((module), (shape), (file), FA_HERE)

/* ---- Layers
 * ---------------------------------------------------------------------------------------------------------- */

/* nn.Conv2d, see fa_conv2d. weight [out, in/groups, kh, kw] and bias [out] are uniform in +-1/sqrt(in/groups*kh*kw).
 * padding may be FA_SAME; .padding_mode = FA_PAD_REFLECT, FA_PAD_REPLICATE or FA_PAD_CIRCULAR pads as fa_pad does. The
 * pairs *_hw = {height, width} win over the single numbers. */
typedef struct fa_nn_conv2d_args {
    char begin_;
    int64_t in_channels, out_channels, kernel_size;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t stride, padding, dilation, groups;
    int64_t kernel_hw[2], stride_hw[2], padding_hw[2], dilation_hw[2];
    bool bias;
    fa_pad_mode padding_mode; /* FA_PAD_CONSTANT: zeros */
} fa_nn_conv2d_args;
#define FA_NN_CONV2D_DEFAULTS                                                                                          \
    .in_channels = FA_NONE, .out_channels = FA_NONE, .kernel_size = FA_NONE, .stride = 1, .dilation = 1, .groups = 1,  \
    .kernel_hw = {FA_PAIR_UNSET_}, .stride_hw = {FA_PAIR_UNSET_}, .padding_hw = {FA_PAIR_UNSET_},                      \
    .dilation_hw = {FA_PAIR_UNSET_}, .bias = true
FA_API fa_module *fa_nn_conv2d_at(const fa_nn_conv2d_args *args);
#define fa_nn_conv2d(...) FA_CALL_(fa_nn_conv2d_at, fa_nn_conv2d_args, FA_NN_CONV2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)

/* nn.ConvTranspose2d, see fa_conv_transpose2d. weight [in, out/groups, kh, kw] and bias [out] are uniform in
 * +-1/sqrt(out/groups*kh*kw). */
typedef struct fa_nn_conv_transpose2d_args {
    char begin_;
    int64_t in_channels, out_channels, kernel_size;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t stride, padding, output_padding, groups, dilation;
    int64_t kernel_hw[2], stride_hw[2], padding_hw[2], output_padding_hw[2], dilation_hw[2];
    bool bias;
} fa_nn_conv_transpose2d_args;
#define FA_NN_CONV_TRANSPOSE2D_DEFAULTS                                                                                \
    .in_channels = FA_NONE, .out_channels = FA_NONE, .kernel_size = FA_NONE, .kernel_hw = {FA_PAIR_UNSET_},            \
    .bias = true, FA_CONV_TRANSPOSE2D_DEFAULTS
FA_API fa_module *fa_nn_conv_transpose2d_at(const fa_nn_conv_transpose2d_args *args);
#define fa_nn_conv_transpose2d(...)                                                                                    \
    FA_CALL_(fa_nn_conv_transpose2d_at, fa_nn_conv_transpose2d_args, FA_NN_CONV_TRANSPOSE2D_DEFAULTS, .begin_ = 0,     \
             __VA_ARGS__)
/* Its forward with output_size: fa_forward_to_size(layer, x, 10, 9) chooses height and width among the sizes that the
 * convolution would shrink to x's, from the smallest to stride - 1 more, instead of the layer's output_padding. */
FA_API fa_tensor *fa_forward_to_size_at(fa_module *layer, fa_tensor *x, int64_t height, int64_t width, fa_where where);
#define fa_forward_to_size(layer, x, height, width) fa_forward_to_size_at((layer), (x), (height), (width), FA_HERE)

/* nn.Linear: y = x weight^T + bias; weight [out, in] and bias [out] uniform in +-1/sqrt(in). */
typedef struct fa_nn_linear_args {
    char begin_;
    int64_t in_features, out_features;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool bias;
} fa_nn_linear_args;
#define FA_NN_LINEAR_DEFAULTS .in_features = FA_NONE, .out_features = FA_NONE, .bias = true
FA_API fa_module *fa_nn_linear_at(const fa_nn_linear_args *args);
#define fa_nn_linear(...) FA_CALL_(fa_nn_linear_at, fa_nn_linear_args, FA_NN_LINEAR_DEFAULTS, .begin_ = 0, __VA_ARGS__)

/* nn.MaxPool2d, nn.AvgPool2d, see fa_max_pool2d. stride: the kernel's size unless given. */
typedef struct fa_nn_pool2d_args {
    char begin_;
    int64_t kernel_size;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t stride, padding;
    int64_t dilation; /* max_pool2d */
    int64_t kernel_hw[2], stride_hw[2], padding_hw[2], dilation_hw[2];
    bool ceil_mode;
    bool count_include_pad;   /* avg_pool2d */
    int64_t divisor_override; /* avg_pool2d; FA_NONE: the window's size */
    bool return_indices;      /* max_pool2d: fa_pool_indices gives the places of the maxima */
} fa_nn_pool2d_args;
#define FA_NN_POOL2D_DEFAULTS .kernel_size = FA_NONE, FA_POOL2D_DEFAULTS
FA_API fa_module *fa_nn_max_pool2d_at(const fa_nn_pool2d_args *args);
FA_API fa_module *fa_nn_avg_pool2d_at(const fa_nn_pool2d_args *args);
#define fa_nn_max_pool2d(...)                                                                                          \
    FA_CALL_(fa_nn_max_pool2d_at, fa_nn_pool2d_args, FA_NN_POOL2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)
#define fa_nn_avg_pool2d(...)                                                                                          \
    FA_CALL_(fa_nn_avg_pool2d_at, fa_nn_pool2d_args, FA_NN_POOL2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)

/* nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, see fa_adaptive_avg_pool2d: fa_nn_adaptive_avg_pool2d(1), or
 * .output_hw = {7, FA_NONE}; FA_NONE keeps the input's size. */
typedef struct fa_nn_adaptive_pool2d_args {
    char begin_;
    int64_t output_size;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t output_hw[2];
    bool return_indices; /* adaptive_max_pool2d */
} fa_nn_adaptive_pool2d_args;
#define FA_NN_ADAPTIVE_POOL2D_(function, ...)                                                                          \
    FA_CALL_(function, fa_nn_adaptive_pool2d_args, .output_size = -1, .output_hw = {FA_PAIR_UNSET_}, .begin_ = 0,      \
             __VA_ARGS__)
FA_API fa_module *fa_nn_adaptive_avg_pool2d_at(const fa_nn_adaptive_pool2d_args *args);
FA_API fa_module *fa_nn_adaptive_max_pool2d_at(const fa_nn_adaptive_pool2d_args *args);
#define fa_nn_adaptive_avg_pool2d(...) FA_NN_ADAPTIVE_POOL2D_(fa_nn_adaptive_avg_pool2d_at, __VA_ARGS__)
#define fa_nn_adaptive_max_pool2d(...) FA_NN_ADAPTIVE_POOL2D_(fa_nn_adaptive_max_pool2d_at, __VA_ARGS__)
/* Of a layer made with .return_indices = true: the second result of its latest forward, int64, a tensor of the scope in
 * which that ran. An error if there is none. */
FA_API fa_tensor *fa_pool_indices_at(fa_module *pool, fa_where where);
#define fa_pool_indices(pool) fa_pool_indices_at((pool), FA_HERE)

/* nn.Upsample, see fa_interpolate: fa_nn_upsample(.scale_factor = 2, .mode = FA_BILINEAR). */
typedef struct fa_nn_upsample_args {
    char begin_;
    int64_t size;
    double scale_factor;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t size_hw[2];
    double scale_factor_hw[2];
    fa_interpolate_mode mode;
    bool align_corners, recompute_scale_factor;
} fa_nn_upsample_args;
FA_API fa_module *fa_nn_upsample_at(const fa_nn_upsample_args *args);
#define fa_nn_upsample(...)                                                                                            \
    FA_CALL_(fa_nn_upsample_at, fa_nn_upsample_args, FA_INTERPOLATE_DEFAULTS, .begin_ = 0, __VA_ARGS__)

/* nn.BatchNorm2d for [N,C,H,W] and nn.BatchNorm1d for [N,C] and [N,C,L], see fa_batch_norm. momentum NAN: cumulative
 * mean (PyTorch's None). */
typedef struct fa_nn_batch_norm2d_args {
    char begin_;
    int64_t num_features;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double eps, momentum;
    bool affine, bias, track_running_stats;
} fa_nn_batch_norm2d_args;
#define FA_NN_BATCH_NORM2D_DEFAULTS                                                                                    \
    .num_features = FA_NONE, .eps = 1e-5, .momentum = 0.1, .affine = true, .bias = true, .track_running_stats = true
FA_API fa_module *fa_nn_batch_norm2d_at(const fa_nn_batch_norm2d_args *args);
#define fa_nn_batch_norm2d(...)                                                                                        \
    FA_CALL_(fa_nn_batch_norm2d_at, fa_nn_batch_norm2d_args, FA_NN_BATCH_NORM2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)
FA_API fa_module *fa_nn_batch_norm1d_at(const fa_nn_batch_norm2d_args *args);
#define fa_nn_batch_norm1d(...)                                                                                        \
    FA_CALL_(fa_nn_batch_norm1d_at, fa_nn_batch_norm2d_args, FA_NN_BATCH_NORM2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)

/* nn.GroupNorm, see fa_group_norm: fa_nn_group_norm(8, 64). weight is 1 and bias 0, one number a channel. */
typedef struct fa_nn_group_norm_args {
    char begin_;
    int64_t num_groups, num_channels;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double eps;
    bool affine, bias;
} fa_nn_group_norm_args;
FA_API fa_module *fa_nn_group_norm_at(const fa_nn_group_norm_args *args);
#define fa_nn_group_norm(...)                                                                                          \
    FA_CALL_(fa_nn_group_norm_at, fa_nn_group_norm_args, .num_groups = FA_NONE, .num_channels = FA_NONE, .eps = 1e-5,  \
             .affine = true, .bias = true, .begin_ = 0, __VA_ARGS__)

/* nn.LayerNorm, see fa_layer_norm: fa_nn_layer_norm(FA_SHAPE(64)). weight of ones and bias of zeros have that shape. */
typedef struct fa_nn_layer_norm_args {
    char begin_;
    fa_shape normalized_shape;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double eps;
    bool elementwise_affine, bias;
} fa_nn_layer_norm_args;
FA_API fa_module *fa_nn_layer_norm_at(const fa_nn_layer_norm_args *args);
#define fa_nn_layer_norm(...)                                                                                          \
    FA_CALL_(fa_nn_layer_norm_at, fa_nn_layer_norm_args, .eps = 1e-5, .elementwise_affine = true, .bias = true,        \
             .begin_ = 0, __VA_ARGS__)

/* nn.InstanceNorm2d, see fa_instance_norm; in evaluation by the running statistics where it tracks them. */
typedef struct fa_nn_instance_norm2d_args {
    char begin_;
    int64_t num_features;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double eps, momentum; /* momentum NAN (PyTorch's None): 0 */
    bool affine, track_running_stats, bias;
} fa_nn_instance_norm2d_args;
FA_API fa_module *fa_nn_instance_norm2d_at(const fa_nn_instance_norm2d_args *args);
#define fa_nn_instance_norm2d(...)                                                                                     \
    FA_CALL_(fa_nn_instance_norm2d_at, fa_nn_instance_norm2d_args, .num_features = FA_NONE, .eps = 1e-5,               \
             .momentum = 0.1, .bias = true, .begin_ = 0, __VA_ARGS__)

/* nn.Dropout: in training each element is 0 with probability p, else divided by 1 - p. nn.Dropout2d does so with whole
 * channels of images. */
typedef struct fa_nn_dropout_args {
    char begin_;
    double p;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool inplace;
} fa_nn_dropout_args;
FA_API fa_module *fa_nn_dropout2d_at(const fa_nn_dropout_args *args);
#define fa_nn_dropout2d(...) FA_CALL_(fa_nn_dropout2d_at, fa_nn_dropout_args, .p = 0.5, .begin_ = 0, __VA_ARGS__)
FA_API fa_module *fa_nn_dropout_at(const fa_nn_dropout_args *args);
#define fa_nn_dropout(...) FA_CALL_(fa_nn_dropout_at, fa_nn_dropout_args, .p = 0.5, .begin_ = 0, __VA_ARGS__)

/* Activations, see the functions of the same names: nn.ReLU, ReLU6, SiLU, Hardswish, Hardsigmoid, Sigmoid, Tanh, ... */
typedef struct fa_nn_relu_args {
    char begin_;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool inplace;
} fa_nn_relu_args;
FA_API fa_module *fa_nn_relu_at(const fa_nn_relu_args *args);
FA_API fa_module *fa_nn_relu6_at(const fa_nn_relu_args *args);
FA_API fa_module *fa_nn_silu_at(const fa_nn_relu_args *args);
FA_API fa_module *fa_nn_hardswish_at(const fa_nn_relu_args *args);
FA_API fa_module *fa_nn_hardsigmoid_at(const fa_nn_relu_args *args);
FA_API fa_module *fa_nn_sigmoid_at(fa_where where);
FA_API fa_module *fa_nn_tanh_at(fa_where where);
#define fa_nn_relu(...) FA_CALL_(fa_nn_relu_at, fa_nn_relu_args, .begin_ = 0, __VA_ARGS__)
#define fa_nn_relu6(...) FA_CALL_(fa_nn_relu6_at, fa_nn_relu_args, .begin_ = 0, __VA_ARGS__)
#define fa_nn_silu(...) FA_CALL_(fa_nn_silu_at, fa_nn_relu_args, .begin_ = 0, __VA_ARGS__)
#define fa_nn_hardswish(...) FA_CALL_(fa_nn_hardswish_at, fa_nn_relu_args, .begin_ = 0, __VA_ARGS__)
#define fa_nn_hardsigmoid(...) FA_CALL_(fa_nn_hardsigmoid_at, fa_nn_relu_args, .begin_ = 0, __VA_ARGS__)
#define fa_nn_sigmoid() fa_nn_sigmoid_at(FA_HERE)
#define fa_nn_tanh() fa_nn_tanh_at(FA_HERE)

typedef struct fa_nn_leaky_relu_args {
    char begin_;
    double negative_slope;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool inplace;
} fa_nn_leaky_relu_args;
FA_API fa_module *fa_nn_leaky_relu_at(const fa_nn_leaky_relu_args *args);
#define fa_nn_leaky_relu(...)                                                                                          \
    FA_CALL_(fa_nn_leaky_relu_at, fa_nn_leaky_relu_args, .negative_slope = 0.01, .begin_ = 0, __VA_ARGS__)

/* The parameter "weight": num_parameters numbers (1, or one a channel) that start as init. */
typedef struct fa_nn_prelu_args {
    char begin_;
    int64_t num_parameters;
    double init;
    struct fa_keyword_only *kw_;
    fa_where where_;
} fa_nn_prelu_args;
FA_API fa_module *fa_nn_prelu_at(const fa_nn_prelu_args *args);
#define fa_nn_prelu(...)                                                                                               \
    FA_CALL_(fa_nn_prelu_at, fa_nn_prelu_args, .num_parameters = 1, .init = 0.25, .begin_ = 0, __VA_ARGS__)

typedef struct fa_nn_elu_args {
    char begin_;
    double alpha;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool inplace;
} fa_nn_elu_args;
FA_API fa_module *fa_nn_elu_at(const fa_nn_elu_args *args);
#define fa_nn_elu(...) FA_CALL_(fa_nn_elu_at, fa_nn_elu_args, .alpha = 1, .begin_ = 0, __VA_ARGS__)

typedef struct fa_nn_gelu_args {
    char begin_;
    fa_gelu_approximate approximate;
    struct fa_keyword_only *kw_;
    fa_where where_;
} fa_nn_gelu_args;
FA_API fa_module *fa_nn_gelu_at(const fa_nn_gelu_args *args);
#define fa_nn_gelu(...) FA_CALL_(fa_nn_gelu_at, fa_nn_gelu_args, .begin_ = 0, __VA_ARGS__)

typedef struct fa_nn_softplus_args {
    char begin_;
    double beta, threshold;
    struct fa_keyword_only *kw_;
    fa_where where_;
} fa_nn_softplus_args;
FA_API fa_module *fa_nn_softplus_at(const fa_nn_softplus_args *args);
#define fa_nn_softplus(...)                                                                                            \
    FA_CALL_(fa_nn_softplus_at, fa_nn_softplus_args, .beta = 1, .threshold = 20, .begin_ = 0, __VA_ARGS__)

typedef struct fa_nn_hardtanh_args {
    char begin_;
    double min_val, max_val;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool inplace;
} fa_nn_hardtanh_args;
FA_API fa_module *fa_nn_hardtanh_at(const fa_nn_hardtanh_args *args);
#define fa_nn_hardtanh(...)                                                                                            \
    FA_CALL_(fa_nn_hardtanh_at, fa_nn_hardtanh_args, .min_val = -1, .max_val = 1, .begin_ = 0, __VA_ARGS__)

/* nn.Flatten: dimensions start_dim to end_dim become one. */
typedef struct fa_nn_flatten_args {
    char begin_;
    int start_dim, end_dim;
    struct fa_keyword_only *kw_;
    fa_where where_;
} fa_nn_flatten_args;
FA_API fa_module *fa_nn_flatten_at(const fa_nn_flatten_args *args);
#define fa_nn_flatten(...)                                                                                             \
    FA_CALL_(fa_nn_flatten_at, fa_nn_flatten_args, .start_dim = 1, .end_dim = -1, .begin_ = 0, __VA_ARGS__)

/* nn.Softmax, nn.LogSoftmax along a dimension: fa_nn_softmax(1). Not in front of fa_cross_entropy, which has its own.
 */
FA_API fa_module *fa_nn_softmax_at(int dim, fa_where where);
FA_API fa_module *fa_nn_log_softmax_at(int dim, fa_where where);
#define fa_nn_softmax(dim) fa_nn_softmax_at((dim), FA_HERE)
#define fa_nn_log_softmax(dim) fa_nn_log_softmax_at((dim), FA_HERE)

FA_API fa_module *fa_nn_identity_at(fa_where where);
#define fa_nn_identity() fa_nn_identity_at(FA_HERE)

/* nn.Sequential(a, b, ...): children "0", "1", ..., run one after the other. fa_module_add(seq, NULL, c) appends. */
FA_API fa_module *fa_nn_sequential_at(int64_t count, fa_module *const *children, fa_where where);
/* nn.ModuleList(a, b, ...): holds modules for a network of one's own; fa_child(list, i) gives them back. */
FA_API fa_module *fa_nn_module_list_at(int64_t count, fa_module *const *children, fa_where where);
typedef struct fa_named_module {
    const char *name;
    fa_module *module;
} fa_named_module;
/* nn.Sequential(OrderedDict) and nn.ModuleDict: children by name,
 * fa_nn_sequential_named({"conv", fa_nn_conv2d(1, 8, 3)}, {"act", fa_nn_relu()}). fa_module_add(dict, "name", child)
 * adds to either; fa_submodule(dict, "name") finds a child. */
FA_API fa_module *fa_nn_sequential_named_at(int64_t count, const fa_named_module *children, fa_where where);
FA_API fa_module *fa_nn_module_dict_at(int64_t count, const fa_named_module *children, fa_where where);
#define FA_NAMED_CHILDREN_(function, ...)                                                                              \
    function((int64_t)(sizeof((fa_named_module[]){{NULL, NULL}, __VA_ARGS__}) / sizeof(fa_named_module)) - 1,          \
             (fa_named_module[]){{NULL, NULL}, __VA_ARGS__} + 1, FA_HERE)
#define fa_nn_sequential_named(...) FA_NAMED_CHILDREN_(fa_nn_sequential_named_at, __VA_ARGS__)
#define fa_nn_module_dict(...) FA_NAMED_CHILDREN_(fa_nn_module_dict_at, __VA_ARGS__)
#define FA_CHILDREN_(function, ...)                                                                                    \
    function((int64_t)(sizeof((fa_module *[]){NULL, __VA_ARGS__}) / sizeof(fa_module *)) - 1,                          \
             (fa_module *[]){NULL, __VA_ARGS__} + 1, FA_HERE)
#define fa_nn_sequential(...) FA_CHILDREN_(fa_nn_sequential_at, __VA_ARGS__)
#define fa_nn_module_list(...) FA_CHILDREN_(fa_nn_module_list_at, __VA_ARGS__)

/* ---- First values of weights: torch.nn.init ------------------------------------------------------------------------
 *
 * Each writes a parameter, buffer or other tensor in memory (float32, float64) in place, outside autograd, and returns
 * it: fa_init_kaiming_normal_(fa_find(model, "0.weight"), .mode = FA_FAN_OUT, .nonlinearity = FA_GAIN_RELU). Draws are
 * PyTorch's from the default generator, or .generator. A weight [out, in, ...] has fan_in = in * the rest and
 * fan_out = out * the rest. */

typedef struct fa_init_uniform_args {
    char begin_;
    fa_tensor *tensor;
    double a, b;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_generator *generator;
} fa_init_uniform_args;
FA_API fa_tensor *fa_init_uniform_at(const fa_init_uniform_args *args);
#define fa_init_uniform_(...) FA_CALL_(fa_init_uniform_at, fa_init_uniform_args, .b = 1, .begin_ = 0, __VA_ARGS__)

/* trunc_normal_: only values in [a, b]. */
typedef struct fa_init_normal_args {
    char begin_;
    fa_tensor *tensor;
    double mean, std;
    double a, b; /* trunc_normal_ */
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_generator *generator;
} fa_init_normal_args;
FA_API fa_tensor *fa_init_normal_at(const fa_init_normal_args *args);
FA_API fa_tensor *fa_init_trunc_normal_at(const fa_init_normal_args *args);
#define fa_init_normal_(...) FA_CALL_(fa_init_normal_at, fa_init_normal_args, .std = 1, .begin_ = 0, __VA_ARGS__)
#define fa_init_trunc_normal_(...)                                                                                     \
    FA_CALL_(fa_init_trunc_normal_at, fa_init_normal_args, .std = 1, .a = -2, .b = 2, .begin_ = 0, __VA_ARGS__)

FA_API fa_tensor *fa_init_constant_at(fa_tensor *tensor, double value, fa_where where);
FA_API fa_tensor *fa_init_eye_at(fa_tensor *tensor, fa_where where); /* 2 dimensions */
#define fa_init_constant_(tensor, value) fa_init_constant_at((tensor), (value), FA_HERE)
#define fa_init_ones_(tensor) fa_init_constant_at((tensor), 1, FA_HERE)
#define fa_init_zeros_(tensor) fa_init_constant_at((tensor), 0, FA_HERE)
#define fa_init_eye_(tensor) fa_init_eye_at((tensor), FA_HERE)

/* The weight of a convolution that passes its input on: 1 at [i, i, middle], 0 elsewhere; in each of the groups. */
typedef struct fa_init_dirac_args {
    char begin_;
    fa_tensor *tensor;
    int64_t groups;
    struct fa_keyword_only *kw_;
    fa_where where_;
} fa_init_dirac_args;
FA_API fa_tensor *fa_init_dirac_at(const fa_init_dirac_args *args);
#define fa_init_dirac_(...) FA_CALL_(fa_init_dirac_at, fa_init_dirac_args, .groups = 1, .begin_ = 0, __VA_ARGS__)

/* xavier: std = gain * sqrt(2 / (fan_in + fan_out)), uniform within sqrt(3) std. orthogonal_: as a matrix [size 0, the
 * rest], orthonormal rows or columns, times gain. */
typedef struct fa_init_gain_args {
    char begin_;
    fa_tensor *tensor;
    double gain;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_generator *generator;
} fa_init_gain_args;
FA_API fa_tensor *fa_init_xavier_uniform_at(const fa_init_gain_args *args);
FA_API fa_tensor *fa_init_xavier_normal_at(const fa_init_gain_args *args);
FA_API fa_tensor *fa_init_orthogonal_at(const fa_init_gain_args *args);
#define fa_init_xavier_uniform_(...)                                                                                   \
    FA_CALL_(fa_init_xavier_uniform_at, fa_init_gain_args, .gain = 1, .begin_ = 0, __VA_ARGS__)
#define fa_init_xavier_normal_(...)                                                                                    \
    FA_CALL_(fa_init_xavier_normal_at, fa_init_gain_args, .gain = 1, .begin_ = 0, __VA_ARGS__)
#define fa_init_orthogonal_(...) FA_CALL_(fa_init_orthogonal_at, fa_init_gain_args, .gain = 1, .begin_ = 0, __VA_ARGS__)

typedef enum fa_fan_mode { FA_FAN_IN, FA_FAN_OUT } fa_fan_mode;
typedef enum fa_nonlinearity {
    FA_GAIN_LEAKY_RELU, /* sqrt(2 / (1 + a^2)) */
    FA_GAIN_RELU,       /* sqrt 2 */
    FA_GAIN_LINEAR,     /* 1; so are convolutions and sigmoid */
    FA_GAIN_TANH,       /* 5/3 */
    FA_GAIN_SELU        /* 3/4 */
} fa_nonlinearity;
/* nn.init.calculate_gain; param: the slope of leaky_relu. */
FA_API double fa_init_calculate_gain(fa_nonlinearity nonlinearity, double param);

/* kaiming: std = gain / sqrt(fan), uniform within sqrt(3) std; `a` is leaky_relu's slope. */
typedef struct fa_init_kaiming_args {
    char begin_;
    fa_tensor *tensor;
    double a;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_fan_mode mode;
    fa_nonlinearity nonlinearity;
    fa_generator *generator;
} fa_init_kaiming_args;
FA_API fa_tensor *fa_init_kaiming_uniform_at(const fa_init_kaiming_args *args);
FA_API fa_tensor *fa_init_kaiming_normal_at(const fa_init_kaiming_args *args);
#define fa_init_kaiming_uniform_(...)                                                                                  \
    FA_CALL_(fa_init_kaiming_uniform_at, fa_init_kaiming_args, .begin_ = 0, __VA_ARGS__)
#define fa_init_kaiming_normal_(...) FA_CALL_(fa_init_kaiming_normal_at, fa_init_kaiming_args, .begin_ = 0, __VA_ARGS__)

/* ---- Losses as objects: fa_criterion(loss, outputs, labels)
 * ------------------------------------------------------------ */

/* nn.CrossEntropyLoss and nn.NLLLoss, see fa_cross_entropy. `weight` is copied and becomes the buffer "weight". */
typedef struct fa_nn_loss_args {
    char begin_;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_tensor *weight;
    fa_reduction reduction;
    int64_t ignore_index;
    double label_smoothing; /* cross entropy */
} fa_nn_loss_args;
FA_API fa_module *fa_nn_cross_entropy_loss_at(const fa_nn_loss_args *args);
FA_API fa_module *fa_nn_nll_loss_at(const fa_nn_loss_args *args);
#define fa_nn_cross_entropy_loss(...)                                                                                  \
    FA_CALL_(fa_nn_cross_entropy_loss_at, fa_nn_loss_args, FA_LOSS_DEFAULTS, .begin_ = 0, __VA_ARGS__)
#define fa_nn_nll_loss(...) FA_CALL_(fa_nn_nll_loss_at, fa_nn_loss_args, FA_LOSS_DEFAULTS, .begin_ = 0, __VA_ARGS__)

/* nn.MSELoss, nn.L1Loss, nn.SmoothL1Loss, nn.HuberLoss, see fa_mse_loss. */
typedef struct fa_nn_distance_loss_args {
    char begin_;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_reduction reduction;
    double beta;  /* smooth_l1 */
    double delta; /* huber */
} fa_nn_distance_loss_args;
FA_API fa_module *fa_nn_mse_loss_at(const fa_nn_distance_loss_args *args);
FA_API fa_module *fa_nn_l1_loss_at(const fa_nn_distance_loss_args *args);
FA_API fa_module *fa_nn_smooth_l1_loss_at(const fa_nn_distance_loss_args *args);
FA_API fa_module *fa_nn_huber_loss_at(const fa_nn_distance_loss_args *args);
#define FA_NN_DISTANCE_LOSS_(function, ...)                                                                            \
    FA_CALL_(function, fa_nn_distance_loss_args, FA_DISTANCE_LOSS_DEFAULTS, .begin_ = 0, __VA_ARGS__)
#define fa_nn_mse_loss(...) FA_NN_DISTANCE_LOSS_(fa_nn_mse_loss_at, __VA_ARGS__)
#define fa_nn_l1_loss(...) FA_NN_DISTANCE_LOSS_(fa_nn_l1_loss_at, __VA_ARGS__)
#define fa_nn_smooth_l1_loss(...) FA_NN_DISTANCE_LOSS_(fa_nn_smooth_l1_loss_at, __VA_ARGS__)
#define fa_nn_huber_loss(...) FA_NN_DISTANCE_LOSS_(fa_nn_huber_loss_at, __VA_ARGS__)

/* nn.BCELoss and nn.BCEWithLogitsLoss, see fa_binary_cross_entropy. Weights are copied and become buffers "weight" and
 * "pos_weight". */
typedef struct fa_nn_binary_loss_args {
    char begin_;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_tensor *weight, *pos_weight; /* pos_weight: with logits */
    fa_reduction reduction;
} fa_nn_binary_loss_args;
FA_API fa_module *fa_nn_bce_loss_at(const fa_nn_binary_loss_args *args);
FA_API fa_module *fa_nn_bce_with_logits_loss_at(const fa_nn_binary_loss_args *args);
#define FA_NN_BINARY_LOSS_(function, ...)                                                                              \
    FA_CALL_(function, fa_nn_binary_loss_args, .reduction = FA_REDUCE_MEAN, .begin_ = 0, __VA_ARGS__)
#define fa_nn_bce_loss(...) FA_NN_BINARY_LOSS_(fa_nn_bce_loss_at, __VA_ARGS__)
#define fa_nn_bce_with_logits_loss(...) FA_NN_BINARY_LOSS_(fa_nn_bce_with_logits_loss_at, __VA_ARGS__)

/* nn.KLDivLoss, see fa_kl_div. */
typedef struct fa_nn_kl_div_loss_args {
    char begin_;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_reduction reduction;
    bool log_target;
} fa_nn_kl_div_loss_args;
FA_API fa_module *fa_nn_kl_div_loss_at(const fa_nn_kl_div_loss_args *args);
#define fa_nn_kl_div_loss(...)                                                                                         \
    FA_CALL_(fa_nn_kl_div_loss_at, fa_nn_kl_div_loss_args, .reduction = FA_REDUCE_MEAN, .begin_ = 0, __VA_ARGS__)

#ifdef __cplusplus
}
#endif
#endif
