/* Ops along one dimension of x [outer, size, inner], ints[0] = dim, ints[1] = keepdim: argmax, max_dim and others. */
#ifndef FA_OPS_ALONG_H
#define FA_OPS_ALONG_H

#include "ops/rules.h"

typedef struct fa_along {
    int64_t outer, size, inner;
} fa_along;

fa_along fa_along_of(const fa_meta *in, int64_t dim);
/* Shape rule: the dimension disappears, or keeps size 1. Refuses an empty one. */
bool fa_infer_along(fa_node *node);
fa_node *fa_record_along(fa_op op, fa_node *x, int dim, bool keepdim);

/* For every line of x: `at` is the index of its first extreme, where a NaN is beyond all numbers; DO uses o, i and at.
 * BETTER is > for maxima, < for minima. */
#define FA_EACH_EXTREME(T, X, BETTER, DO)                                                                              \
    {                                                                                                                  \
        const T *x = (X);                                                                                              \
        for (int64_t o = 0; o < along.outer; o++)                                                                      \
            for (int64_t i = 0; i < along.inner; i++) {                                                                \
                const T *line = x + o * along.size * along.inner + i;                                                  \
                int64_t at = 0;                                                                                        \
                for (int64_t k = 1; k < along.size && line[at * along.inner] == line[at * along.inner]; k++) {         \
                    const T value = line[k * along.inner];                                                             \
                    if (value BETTER line[at * along.inner] || value != value)                                         \
                        at = k;                                                                                        \
                }                                                                                                      \
                DO;                                                                                                    \
            }                                                                                                          \
        break;                                                                                                         \
    }

#endif
