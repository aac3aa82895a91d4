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
} fa_pool2d_args;
enum { FA_KERNEL_SIZE = -1000002, FA_NONE = -1000003 };
#define FA_POOL2D_DEFAULTS                                                                                             \
    .stride = FA_KERNEL_SIZE, .dilation = 1, .kernel_hw = {FA_PAIR_UNSET_}, .stride_hw = {FA_PAIR_UNSET_},             \
    .padding_hw = {FA_PAIR_UNSET_}, .dilation_hw = {FA_PAIR_UNSET_}, .count_include_pad = true,                        \
    .divisor_override = FA_NONE
FA_API fa_tensor *fa_max_pool2d_at(const fa_pool2d_args *args);
FA_API fa_tensor *fa_avg_pool2d_at(const fa_pool2d_args *args);
#define fa_max_pool2d(...) FA_CALL_(fa_max_pool2d_at, fa_pool2d_args, FA_POOL2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)
#define fa_avg_pool2d(...) FA_CALL_(fa_avg_pool2d_at, fa_pool2d_args, FA_POOL2D_DEFAULTS, .begin_ = 0, __VA_ARGS__)

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
/* F.batch_norm on [N,C,H,W]: per channel (x - mean)/sqrt(var + eps) * weight + bias. */
FA_API fa_tensor *fa_batch_norm_at(const fa_batch_norm_args *args);
#define fa_batch_norm(...)                                                                                             \
    FA_CALL_(fa_batch_norm_at, fa_batch_norm_args, .momentum = 0.1, .eps = 1e-5, .begin_ = 0, __VA_ARGS__)

typedef struct fa_dropout_args {
    char begin_;
    fa_tensor *x;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double p;
    bool training;
    fa_generator *generator;
} fa_dropout_args;
FA_API fa_tensor *fa_dropout_at(const fa_dropout_args *args);
#define fa_dropout(...) FA_CALL_(fa_dropout_at, fa_dropout_args, .p = 0.5, .training = true, .begin_ = 0, __VA_ARGS__)

/* ---- Classification ---------------------------------------------------------------------------------------------- */

FA_API fa_tensor *fa_softmax_at(fa_tensor *x, int dim, fa_where where);
FA_API fa_tensor *fa_log_softmax_at(fa_tensor *x, int dim, fa_where where);
#define fa_softmax(x, dim) fa_softmax_at((x), (dim), FA_HERE)
#define fa_log_softmax(x, dim) fa_log_softmax_at((x), (dim), FA_HERE)

typedef enum fa_reduction { FA_REDUCE_NONE, FA_REDUCE_MEAN, FA_REDUCE_SUM } fa_reduction;
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

#ifdef __cplusplus
}
#endif
#endif
