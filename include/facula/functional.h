/* Functions that networks are made of, in the words of torch.nn.functional: convolution, pooling, normalisation,
 * dropout, activations, losses. The layers of nn.h call these. Pairs (height, width) win over single numbers where both
 * can be given. */
#ifndef FACULA_FUNCTIONAL_H
#define FACULA_FUNCTIONAL_H

#include "facula/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Images ------------------------------------------------------------------------------------------------------ */

enum { FA_SAME = -1000001 /* padding = 'same' */ };

typedef struct fa_conv2d_args {
    char begin_;
    fa_tensor *x, *weight, *bias;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t stride, padding, dilation, groups;
    int64_t stride_hw[2], padding_hw[2], dilation_hw[2]; /* pairs; they win over the single numbers when set */
} fa_conv2d_args;
#define FA_PAIR_UNSET_ INT64_MIN, INT64_MIN
#define FA_CONV2D_DEFAULTS                                                                                             \
    .stride = 1, .padding = 0, .dilation = 1, .groups = 1, .stride_hw = {FA_PAIR_UNSET_},                              \
    .padding_hw = {FA_PAIR_UNSET_}, .dilation_hw = {FA_PAIR_UNSET_}
/* F.conv2d: y[n,o,i,j] = bias[o] + sum over c, a, b of weight[o,c,a,b] * x[n,c,i*s + a*d - p, j*s + b*d - p];
 * output size floor((H + 2p - d(k-1) - 1)/s) + 1. x is [N,C,H,W] or [C,H,W]. */
FA_API fa_tensor *fa_conv2d_at(const fa_conv2d_args *args);
#define fa_conv2d(...) FA_CALL_(fa_conv2d_at, fa_conv2d_args, FA_CONV2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)

typedef struct fa_conv_transpose2d_args {
    char begin_;
    fa_tensor *x, *weight, *bias;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t stride, padding, output_padding, groups, dilation;
    int64_t stride_hw[2], padding_hw[2], output_padding_hw[2], dilation_hw[2];
} fa_conv_transpose2d_args;
#define FA_CONV_TRANSPOSE2D_DEFAULTS                                                                                   \
    .stride = 1, .groups = 1, .dilation = 1, .stride_hw = {FA_PAIR_UNSET_}, .padding_hw = {FA_PAIR_UNSET_},            \
    .output_padding_hw = {FA_PAIR_UNSET_}, .dilation_hw = {FA_PAIR_UNSET_}
/* F.conv_transpose2d, the gradient of conv2d as a layer: pixel (i, j) of x adds weight[c,o,a,b] * x[n,c,i,j] to
 * y[n,o,i*s + a*d - p, j*s + b*d - p]. weight is [in, out/groups, kh, kw]; output size
 * (H - 1)*s - 2p + d(k-1) + output_padding + 1, output_padding less than the stride or the dilation. */
FA_API fa_tensor *fa_conv_transpose2d_at(const fa_conv_transpose2d_args *args);
#define fa_conv_transpose2d(...)                                                                                       \
    FA_CALL_(fa_conv_transpose2d_at, fa_conv_transpose2d_args, FA_CONV_TRANSPOSE2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)

typedef struct fa_pool2d_args {
    char begin_;
    fa_tensor *x;
    int64_t kernel_size;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t stride; /* FA_KERNEL_SIZE: as the kernel */
    int64_t padding, dilation;
    int64_t kernel_hw[2], stride_hw[2], padding_hw[2], dilation_hw[2];
    bool ceil_mode;
    bool count_include_pad;   /* avg_pool2d */
    int64_t divisor_override; /* avg_pool2d; FA_NONE: the window's size */
    fa_tensor **indices;      /* max_pool2d: where to put the places of the maxima; NULL: none wanted */
} fa_pool2d_args;
enum { FA_KERNEL_SIZE = -1000002, FA_NONE = -1000003 };
#define FA_POOL2D_DEFAULTS                                                                                             \
    .stride = FA_KERNEL_SIZE, .dilation = 1, .kernel_hw = {FA_PAIR_UNSET_}, .stride_hw = {FA_PAIR_UNSET_},             \
    .padding_hw = {FA_PAIR_UNSET_}, .dilation_hw = {FA_PAIR_UNSET_}, .count_include_pad = true,                        \
    .divisor_override = FA_NONE
/* F.max_pool2d; fa_max_pool2d(x, 2, .indices = &indices) gives each maximum's place in its plane too, h*W + w as int64
 * (return_indices). F.avg_pool2d: the mean. */
FA_API fa_tensor *fa_max_pool2d_at(const fa_pool2d_args *args);
FA_API fa_tensor *fa_avg_pool2d_at(const fa_pool2d_args *args);
#define fa_max_pool2d(...) FA_CALL_(fa_max_pool2d_at, fa_pool2d_args, FA_POOL2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)
#define fa_avg_pool2d(...) FA_CALL_(fa_avg_pool2d_at, fa_pool2d_args, FA_POOL2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)

typedef struct fa_adaptive_pool2d_args {
    char begin_;
    fa_tensor *x;
    int64_t output_size; /* FA_NONE: the input's size */
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t output_hw[2];
    fa_tensor **indices; /* adaptive_max_pool2d: as of fa_max_pool2d */
} fa_adaptive_pool2d_args;
#define FA_ADAPTIVE_POOL2D_DEFAULTS .output_size = FA_NONE, .output_hw = {FA_PAIR_UNSET_}
/* F.adaptive_avg_pool2d, F.adaptive_max_pool2d: an output of this size whatever the input's; window i of o along H is
 * floor(i*H/o) .. ceil((i+1)*H/o). fa_adaptive_avg_pool2d(x, 1) is the mean of each channel. */
FA_API fa_tensor *fa_adaptive_avg_pool2d_at(const fa_adaptive_pool2d_args *args);
FA_API fa_tensor *fa_adaptive_max_pool2d_at(const fa_adaptive_pool2d_args *args);
#define fa_adaptive_avg_pool2d(...)                                                                                    \
    FA_CALL_(fa_adaptive_avg_pool2d_at, fa_adaptive_pool2d_args, FA_ADAPTIVE_POOL2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)
#define fa_adaptive_max_pool2d(...)                                                                                    \
    FA_CALL_(fa_adaptive_max_pool2d_at, fa_adaptive_pool2d_args, FA_ADAPTIVE_POOL2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)

typedef enum fa_interpolate_mode { FA_NEAREST, FA_NEAREST_EXACT, FA_BILINEAR, FA_LINEAR } fa_interpolate_mode;
typedef struct fa_interpolate_args {
    char begin_;
    fa_tensor *x;
    int64_t size;
    double scale_factor;
    struct fa_keyword_only *kw_;
    fa_where where_;
    int64_t size_hw[2];
    double scale_factor_hw[2];
    fa_interpolate_mode mode;
    bool align_corners;          /* FA_BILINEAR, FA_LINEAR */
    bool recompute_scale_factor; /* places follow from the two sizes, not from the factor */
    bool antialias;              /* FA_BILINEAR: a smaller image is made of all pixels, not of four each */
} fa_interpolate_args;
#define FA_INTERPOLATE_DEFAULTS                                                                                        \
    .size = FA_NONE, .scale_factor = __builtin_nan(""), .size_hw = {FA_PAIR_UNSET_},                                   \
    .scale_factor_hw = {__builtin_nan(""), __builtin_nan("")}
/* F.interpolate of images [N,C,H,W] to a size, or by a factor (output floor(H * factor)): by the nearest pixel (uint8
 * too) or between the four nearest, fa_interpolate(x, .scale_factor = 2, .mode = FA_BILINEAR). With align_corners the
 * corner pixels of both images lie on each other. Lines [N,C,L] likewise, by the nearest or with FA_LINEAR. */
FA_API fa_tensor *fa_interpolate_at(const fa_interpolate_args *args);
#define fa_interpolate(...)                                                                                            \
    FA_CALL_(fa_interpolate_at, fa_interpolate_args, FA_INTERPOLATE_DEFAULTS, .begin_ = 0, __VA_ARGS__)

typedef struct fa_batch_norm_args {
    char begin_;
    fa_tensor *x, *running_mean, *running_var; /* running values may be NULL in training */
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_tensor *weight, *bias;
    fa_tensor *num_batches_tracked; /* counted up in training where given */
    bool training;
    double momentum; /* NAN: cumulative mean, as PyTorch's None */
    double eps;
} fa_batch_norm_args;
/* F.batch_norm on [N,C,H,W], [N,C,L] or [N,C]: per channel (x - mean)/sqrt(var + eps) * weight + bias. */
FA_API fa_tensor *fa_batch_norm_at(const fa_batch_norm_args *args);
#define fa_batch_norm(...)                                                                                             \
    FA_CALL_(fa_batch_norm_at, fa_batch_norm_args, .momentum = 0.1, .eps = 1e-5, .begin_ = 0, __VA_ARGS__)

typedef struct fa_layer_norm_args {
    char begin_;
    fa_tensor *x;
    fa_shape normalized_shape;
    fa_tensor *weight, *bias; /* of that shape; NULL: none */
    struct fa_keyword_only *kw_;
    fa_where where_;
    double eps;
} fa_layer_norm_args;
/* F.layer_norm: (x - mean)/sqrt(var + eps) * weight + bias over the last dimensions, whose sizes are normalized_shape:
 * fa_layer_norm(x, FA_SHAPE(64), weight, bias). */
FA_API fa_tensor *fa_layer_norm_at(const fa_layer_norm_args *args);
#define fa_layer_norm(...) FA_CALL_(fa_layer_norm_at, fa_layer_norm_args, .eps = 1e-5, .begin_ = 0, __VA_ARGS__)

typedef struct fa_group_norm_args {
    char begin_;
    fa_tensor *x;
    int64_t num_groups;
    fa_tensor *weight, *bias; /* one number a channel; NULL: none */
    struct fa_keyword_only *kw_;
    fa_where where_;
    double eps;
} fa_group_norm_args;
/* F.group_norm of [N,C,...]: the same over each image's channels in num_groups groups. */
FA_API fa_tensor *fa_group_norm_at(const fa_group_norm_args *args);
#define fa_group_norm(...) FA_CALL_(fa_group_norm_at, fa_group_norm_args, .eps = 1e-5, .begin_ = 0, __VA_ARGS__)

typedef struct fa_instance_norm_args {
    char begin_;
    fa_tensor *x;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_tensor *running_mean, *running_var; /* one number a channel; NULL: none */
    fa_tensor *weight, *bias;
    bool use_input_stats; /* true */
    double momentum, eps;
} fa_instance_norm_args;
/* F.instance_norm of [N,C,L,...]: the same over each channel of each image, by its own statistics, whose means over the
 * images the running ones take in: running = (1 - momentum)*running + momentum*(mean, variance with n - 1). With
 * .use_input_stats = false by the running ones. */
FA_API fa_tensor *fa_instance_norm_at(const fa_instance_norm_args *args);
#define fa_instance_norm(...)                                                                                          \
    FA_CALL_(fa_instance_norm_at, fa_instance_norm_args, .use_input_stats = true, .momentum = 0.1, .eps = 1e-5,        \
             .begin_ = 0, __VA_ARGS__)

typedef struct fa_dropout_args {
    char begin_;
    fa_tensor *x;
    double p;
    bool training, inplace;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_generator *generator;
} fa_dropout_args;
/* fa_dropout(x, 0.5, fa_is_training(self)). In training each element is 0 with probability p, else divided by 1 - p;
 * dropout2d decides for whole channels of images [N,C,...]. */
FA_API fa_tensor *fa_dropout_at(const fa_dropout_args *args);
FA_API fa_tensor *fa_dropout2d_at(const fa_dropout_args *args);
#define fa_dropout(...) FA_CALL_(fa_dropout_at, fa_dropout_args, .p = 0.5, .training = true, .begin_ = 0, __VA_ARGS__)
#define fa_dropout2d(...)                                                                                              \
    FA_CALL_(fa_dropout2d_at, fa_dropout_args, .p = 0.5, .training = true, .begin_ = 0, __VA_ARGS__)

/* ---- Activations, element by element ------------------------------------------------------------------------------
 *
 * float32 and float64; NaN stays. `inplace` gives the handle the new value and returns it. */

typedef struct fa_activation_args {
    char begin_;
    fa_tensor *x;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool inplace;
} fa_activation_args;
FA_API fa_tensor *fa_relu6_at(const fa_activation_args *args);       /* x cut to [0, 6]; integers too */
FA_API fa_tensor *fa_silu_at(const fa_activation_args *args);        /* x / (1 + e^-x) */
FA_API fa_tensor *fa_hardswish_at(const fa_activation_args *args);   /* x * relu6(x + 3) / 6 */
FA_API fa_tensor *fa_hardsigmoid_at(const fa_activation_args *args); /* relu6(x + 3) / 6 */
#define fa_relu6(...) FA_CALL_(fa_relu6_at, fa_activation_args, .begin_ = 0, __VA_ARGS__)
#define fa_silu(...) FA_CALL_(fa_silu_at, fa_activation_args, .begin_ = 0, __VA_ARGS__)
#define fa_hardswish(...) FA_CALL_(fa_hardswish_at, fa_activation_args, .begin_ = 0, __VA_ARGS__)
#define fa_hardsigmoid(...) FA_CALL_(fa_hardsigmoid_at, fa_activation_args, .begin_ = 0, __VA_ARGS__)

/* 1 / (1 + e^-x) and tanh x; integers and bool as float32. With `_` in place. */
FA_API fa_tensor *fa_sigmoid_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_tanh_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_sigmoid_inplace_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_tanh_inplace_at(fa_tensor *a, fa_where where);
#define fa_sigmoid(a) fa_sigmoid_at((a), FA_HERE)
#define fa_tanh(a) fa_tanh_at((a), FA_HERE)
#define fa_sigmoid_(a) fa_sigmoid_inplace_at((a), FA_HERE)
#define fa_tanh_(a) fa_tanh_inplace_at((a), FA_HERE)

typedef struct fa_leaky_relu_args {
    char begin_;
    fa_tensor *x;
    double negative_slope;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool inplace;
} fa_leaky_relu_args;
/* x > 0 ? x : negative_slope * x */
FA_API fa_tensor *fa_leaky_relu_at(const fa_leaky_relu_args *args);
#define fa_leaky_relu(...)                                                                                             \
    FA_CALL_(fa_leaky_relu_at, fa_leaky_relu_args, .negative_slope = 0.01, .begin_ = 0, __VA_ARGS__)

/* x > 0 ? x : weight * x; weight is one number, or one a channel (dimension 1 of x). */
FA_API fa_tensor *fa_prelu_at(fa_tensor *x, fa_tensor *weight, fa_where where);
#define fa_prelu(x, weight) fa_prelu_at((x), (weight), FA_HERE)

typedef struct fa_elu_args {
    char begin_;
    fa_tensor *x;
    double alpha;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool inplace;
} fa_elu_args;
/* x > 0 ? x : alpha * (e^x - 1) */
FA_API fa_tensor *fa_elu_at(const fa_elu_args *args);
#define fa_elu(...) FA_CALL_(fa_elu_at, fa_elu_args, .alpha = 1, .begin_ = 0, __VA_ARGS__)

typedef enum fa_gelu_approximate { FA_GELU_NONE, FA_GELU_TANH } fa_gelu_approximate;
typedef struct fa_gelu_args {
    char begin_;
    fa_tensor *x;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_gelu_approximate approximate;
} fa_gelu_args;
/* x * (1 + erf(x / sqrt 2)) / 2; with FA_GELU_TANH x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))). */
FA_API fa_tensor *fa_gelu_at(const fa_gelu_args *args);
#define fa_gelu(...) FA_CALL_(fa_gelu_at, fa_gelu_args, .begin_ = 0, __VA_ARGS__)

typedef struct fa_softplus_args {
    char begin_;
    fa_tensor *x;
    double beta, threshold;
    struct fa_keyword_only *kw_;
    fa_where where_;
} fa_softplus_args;
/* log(1 + e^(beta x)) / beta; x itself where beta x > threshold. */
FA_API fa_tensor *fa_softplus_at(const fa_softplus_args *args);
#define fa_softplus(...)                                                                                               \
    FA_CALL_(fa_softplus_at, fa_softplus_args, .beta = 1, .threshold = 20, .begin_ = 0, __VA_ARGS__)

typedef struct fa_hardtanh_args {
    char begin_;
    fa_tensor *x;
    double min_val, max_val;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool inplace;
} fa_hardtanh_args;
/* x cut to [min_val, max_val]; integers too. */
FA_API fa_tensor *fa_hardtanh_at(const fa_hardtanh_args *args);
#define fa_hardtanh(...)                                                                                               \
    FA_CALL_(fa_hardtanh_at, fa_hardtanh_args, .min_val = -1, .max_val = 1, .begin_ = 0, __VA_ARGS__)

/* ---- Padding ----------------------------------------------------------------------------------------------------- */

typedef enum fa_pad_mode { FA_PAD_CONSTANT, FA_PAD_REFLECT, FA_PAD_REPLICATE, FA_PAD_CIRCULAR } fa_pad_mode;
typedef struct fa_pad_args {
    char begin_;
    fa_tensor *x;
    fa_shape pads; /* before and after the last dimension, then before and after the one before it, .. */
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_pad_mode mode; /* FA_PAD_CONSTANT */
    double value;     /* of constant: 0 */
} fa_pad_args;
/* F.pad: fa_pad(x, FA_SHAPE(left, right, top, bottom), .mode = FA_PAD_REFLECT). Negative numbers cut elements off.
 * Reflect mirrors at the outermost elements (each number is less than the size), replicate repeats them, circular goes
 * round to the other end; these three pad all dimensions but channels, or but batch and channels. */
FA_API fa_tensor *fa_pad_at(const fa_pad_args *args);
#define fa_pad(...) FA_CALL_(fa_pad_at, fa_pad_args, .begin_ = 0, __VA_ARGS__)

/* ---- Classification ---------------------------------------------------------------------------------------------- */

FA_API fa_tensor *fa_softmax_at(fa_tensor *x, int dim, fa_where where);
FA_API fa_tensor *fa_log_softmax_at(fa_tensor *x, int dim, fa_where where);
#define fa_softmax(x, dim) fa_softmax_at((x), (dim), FA_HERE)
#define fa_log_softmax(x, dim) fa_log_softmax_at((x), (dim), FA_HERE)

/* Class numbers (int64 [..]) as rows of zeros with one 1 (int64 [.., num_classes]); num_classes -1: one more than the
 * greatest, which is read at once. */
FA_API fa_tensor *fa_one_hot_at(fa_tensor *x, int64_t num_classes, fa_where where);
#define fa_one_hot(x, num_classes) fa_one_hot_at((x), (num_classes), FA_HERE)

typedef enum fa_reduction {
    FA_REDUCE_NONE,
    FA_REDUCE_MEAN,
    FA_REDUCE_SUM,
    FA_REDUCE_BATCHMEAN /* kl_div: the sum divided by the batch's size */
} fa_reduction;
typedef struct fa_loss_args {
    char begin_;
    fa_tensor *input, *target;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_tensor *weight; /* one weight a class */
    fa_reduction reduction;
    int64_t ignore_index;
    double label_smoothing; /* cross_entropy */
} fa_loss_args;
#define FA_LOSS_DEFAULTS .reduction = FA_REDUCE_MEAN, .ignore_index = -100
/* F.cross_entropy: scores [N,C], [C] or [N,C,d1,...] against class numbers (int64) or probabilities (input's shape). */
FA_API fa_tensor *fa_cross_entropy_at(const fa_loss_args *args);
/* F.nll_loss: the same on log-probabilities, class numbers alone. */
FA_API fa_tensor *fa_nll_loss_at(const fa_loss_args *args);
#define fa_cross_entropy(...) FA_CALL_(fa_cross_entropy_at, fa_loss_args, FA_LOSS_DEFAULTS, .begin_ = 0, __VA_ARGS__)
#define fa_nll_loss(...) FA_CALL_(fa_nll_loss_at, fa_loss_args, FA_LOSS_DEFAULTS, .begin_ = 0, __VA_ARGS__)

/* ---- Losses of pairs: an input against a target of the same kind of numbers ----------------------------------------
 */

/* F.mse_loss (x - y)^2, F.l1_loss |x - y|, F.smooth_l1_loss and F.huber_loss, which are the square of small distances
 * and grow like the distance beyond: smooth_l1 (x - y)^2/(2 beta) where |x - y| < beta, else |x - y| - beta/2;
 * huber (x - y)^2/2 where |x - y| <= delta, else delta (|x - y| - delta/2). Input and target are broadcast. Of two
 * types the wider one wins, but huber_loss has its input's. */
typedef struct fa_distance_loss_args {
    char begin_;
    fa_tensor *input, *target;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_tensor *weight; /* of the input's shape; the mean divides by its sum, but of huber_loss by their number. Not
                        * smooth_l1 */
    fa_reduction reduction;
    double beta;  /* smooth_l1 alone; 0: l1 */
    double delta; /* huber alone */
} fa_distance_loss_args;
#define FA_DISTANCE_LOSS_DEFAULTS .reduction = FA_REDUCE_MEAN, .beta = 1, .delta = 1
FA_API fa_tensor *fa_mse_loss_at(const fa_distance_loss_args *args);
FA_API fa_tensor *fa_l1_loss_at(const fa_distance_loss_args *args);
FA_API fa_tensor *fa_smooth_l1_loss_at(const fa_distance_loss_args *args);
FA_API fa_tensor *fa_huber_loss_at(const fa_distance_loss_args *args);
#define FA_DISTANCE_LOSS_(function, ...)                                                                               \
    FA_CALL_(function, fa_distance_loss_args, FA_DISTANCE_LOSS_DEFAULTS, .begin_ = 0, __VA_ARGS__)
#define fa_mse_loss(...) FA_DISTANCE_LOSS_(fa_mse_loss_at, __VA_ARGS__)
#define fa_l1_loss(...) FA_DISTANCE_LOSS_(fa_l1_loss_at, __VA_ARGS__)
#define fa_smooth_l1_loss(...) FA_DISTANCE_LOSS_(fa_smooth_l1_loss_at, __VA_ARGS__)
#define fa_huber_loss(...) FA_DISTANCE_LOSS_(fa_huber_loss_at, __VA_ARGS__)

/* F.binary_cross_entropy of probabilities, -(y log x + (1 - y) log(1 - x)) with logarithms not below -100; values
 * outside 0..1 are an error. F.binary_cross_entropy_with_logits: the same of sigmoid(x), worked out without overflow.
 * The target has the input's shape; weights are repeated over it. */
typedef struct fa_binary_loss_args {
    char begin_;
    fa_tensor *input, *target;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_tensor *weight;     /* of each element */
    fa_tensor *pos_weight; /* with_logits: weight of the term of y */
    fa_reduction reduction;
} fa_binary_loss_args;
FA_API fa_tensor *fa_binary_cross_entropy_at(const fa_binary_loss_args *args);
FA_API fa_tensor *fa_binary_cross_entropy_with_logits_at(const fa_binary_loss_args *args);
#define FA_BINARY_LOSS_(function, ...)                                                                                 \
    FA_CALL_(function, fa_binary_loss_args, .reduction = FA_REDUCE_MEAN, .begin_ = 0, __VA_ARGS__)
#define fa_binary_cross_entropy(...) FA_BINARY_LOSS_(fa_binary_cross_entropy_at, __VA_ARGS__)
#define fa_binary_cross_entropy_with_logits(...) FA_BINARY_LOSS_(fa_binary_cross_entropy_with_logits_at, __VA_ARGS__)

/* F.kl_div: y (log y - x) of log-probabilities x and probabilities y; with log_target y is a logarithm too. Input and
 * target are broadcast. FA_REDUCE_BATCHMEAN is the divergence a sample. */
typedef struct fa_kl_div_args {
    char begin_;
    fa_tensor *input, *target;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_reduction reduction;
    bool log_target;
} fa_kl_div_args;
FA_API fa_tensor *fa_kl_div_at(const fa_kl_div_args *args);
#define fa_kl_div(...) FA_CALL_(fa_kl_div_at, fa_kl_div_args, .reduction = FA_REDUCE_MEAN, .begin_ = 0, __VA_ARGS__)

#ifdef __cplusplus
}
#endif
#endif
