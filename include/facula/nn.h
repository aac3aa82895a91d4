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

/* named_parameters() and named_buffers(): in the tree's order, a shared one once, under its first name. state_dict():
 * every key, of each module its parameters, then its buffers, then its children; a shared one under each of its names.
 * The arrays belong to the module: valid until something is added to a module in the tree or the module is freed. */
FA_API fa_tensor_list fa_parameters_at(fa_module *module, fa_where where);
FA_API fa_tensor_list fa_buffers_at(fa_module *module, fa_where where);
FA_API fa_tensor_list fa_state_dict_at(fa_module *module, fa_where where);
#define fa_parameters(module) fa_parameters_at((module), FA_HERE)
#define fa_buffers(module) fa_buffers_at((module), FA_HERE)
#define fa_state_dict(module) fa_state_dict_at((module), FA_HERE)
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
 * padding may be FA_SAME. The pairs *_hw = {height, width} win over the single numbers. */
typedef struct fa_nn_conv2d_args {
    char begin_;
    int64_t in_channels, out_channels, kernel_size;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t stride, padding, dilation, groups;
    int64_t kernel_hw[2], stride_hw[2], padding_hw[2], dilation_hw[2];
    bool bias;
} fa_nn_conv2d_args;
#define FA_NN_CONV2D_DEFAULTS                                                                                          \
    .in_channels = FA_NONE, .out_channels = FA_NONE, .kernel_size = FA_NONE, .stride = 1, .dilation = 1, .groups = 1,  \
    .kernel_hw = {FA_PAIR_UNSET_}, .stride_hw = {FA_PAIR_UNSET_}, .padding_hw = {FA_PAIR_UNSET_},                      \
    .dilation_hw = {FA_PAIR_UNSET_}, .bias = true
FA_API fa_module *fa_nn_conv2d_at(const fa_nn_conv2d_args *args);
#define fa_nn_conv2d(...) FA_CALL_(fa_nn_conv2d_at, fa_nn_conv2d_args, FA_NN_CONV2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)

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
} fa_nn_pool2d_args;
#define FA_NN_POOL2D_DEFAULTS .kernel_size = FA_NONE, FA_POOL2D_DEFAULTS
FA_API fa_module *fa_nn_max_pool2d_at(const fa_nn_pool2d_args *args);
FA_API fa_module *fa_nn_avg_pool2d_at(const fa_nn_pool2d_args *args);
#define fa_nn_max_pool2d(...)                                                                                          \
    FA_CALL_(fa_nn_max_pool2d_at, fa_nn_pool2d_args, FA_NN_POOL2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)
#define fa_nn_avg_pool2d(...)                                                                                          \
    FA_CALL_(fa_nn_avg_pool2d_at, fa_nn_pool2d_args, FA_NN_POOL2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)

/* nn.BatchNorm2d, see fa_batch_norm. momentum NAN: cumulative mean (PyTorch's None). */
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

/* nn.Dropout: in training each element is 0 with probability p, else divided by 1 - p. */
typedef struct fa_nn_dropout_args {
    char begin_;
    double p;
    struct fa_keyword_only *kw_;
    fa_where where_;
} fa_nn_dropout_args;
FA_API fa_module *fa_nn_dropout_at(const fa_nn_dropout_args *args);
#define fa_nn_dropout(...) FA_CALL_(fa_nn_dropout_at, fa_nn_dropout_args, .p = 0.5, .begin_ = 0, __VA_ARGS__)

typedef struct fa_nn_relu_args {
    char begin_;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool inplace;
} fa_nn_relu_args;
FA_API fa_module *fa_nn_relu_at(const fa_nn_relu_args *args);
#define fa_nn_relu(...) FA_CALL_(fa_nn_relu_at, fa_nn_relu_args, .begin_ = 0, __VA_ARGS__)

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
#define FA_CHILDREN_(function, ...)                                                                                    \
    function((int64_t)(sizeof((fa_module *[]){NULL, __VA_ARGS__}) / sizeof(fa_module *)) - 1,                          \
             (fa_module *[]){NULL, __VA_ARGS__} + 1, FA_HERE)
#define fa_nn_sequential(...) FA_CHILDREN_(fa_nn_sequential_at, __VA_ARGS__)
#define fa_nn_module_list(...) FA_CHILDREN_(fa_nn_module_list_at, __VA_ARGS__)

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
