/* What losses of pairs share: an input and a target of one shape give a number for each element (reduction none), their
 * sum, or the sum divided by their number (mean; of nothing, NaN). ints[0] of such an op is the reduction. */
#ifndef FA_OPS_PAIR_LOSS_H
#define FA_OPS_PAIR_LOSS_H

#include "ops/kernel_types.h"
#include "ops/rules.h"

/* False after raising an error: `reduction` is not one of FA_REDUCE_NONE, _MEAN, _SUM and, if `batch`, _BATCHMEAN. */
bool fa_pair_reduction(fa_reduction reduction, bool batch, const char *what);

/* The nodes of both handles, promoted to one floating type. False after an error. */
bool fa_pair_inputs(fa_tensor *input, fa_tensor *target, fa_node *pair[2], const char *what);

/* A weight that is repeated over the input's shape; NULL for NULL. False after an error. */
bool fa_pair_weight(fa_tensor *weight, const fa_node *input, fa_node **node, const char *what, const char *name);

/* Shape rule of the losses. */
bool fa_infer_pair_loss(fa_node *node);

/* In a gradient rule: the gradient of each element's number, a scalar where they were reduced. */
fa_node *fa_pair_spread(const fa_node *node, fa_node *grad);

/* Body of a reference kernel: LOSS is the number for element i, in double, from `x` and `y`. */
#define FA_PAIR_LOSS(T, LOSS)                                                                                          \
    {                                                                                                                  \
        const T *a = args->in[0], *b = args->in[1];                                                                    \
        T *out = args->out[0];                                                                                         \
        const int64_t n = fa_meta_numel(args->in_meta[0]);                                                             \
        double total = 0;                                                                                              \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const double x = (double)a[i], y = (double)b[i], loss = LOSS;                                              \
            total += loss;                                                                                             \
            if (args->ints[0] == FA_REDUCE_NONE)                                                                       \
                out[i] = (T)loss;                                                                                      \
        }                                                                                                              \
        if (args->ints[0] != FA_REDUCE_NONE)                                                                           \
            *out = (T)(args->ints[0] == FA_REDUCE_MEAN ? total / (double)n : total);                                   \
    }

#endif
