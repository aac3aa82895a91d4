/* Adaptive pools: window i of o along a side of n pixels is floor(i*n/o) .. ceil((i+1)*n/o). */
#ifndef FA_OPS_ADAPTIVE_POOL_H
#define FA_OPS_ADAPTIVE_POOL_H

#include "ops/kernel_types.h"
#include "ops/window.h"

typedef struct fa_adaptive_range {
    int64_t begin, end;
} fa_adaptive_range;

static inline fa_adaptive_range fa_adaptive_window(int64_t i, int64_t size, int64_t outputs)
{
    return (fa_adaptive_range){i * size / outputs, ((i + 1) * size + outputs - 1) / outputs};
}

/* A call's op on its input, checked; sizes FA_NONE are the input's. NULL after an error. */
fa_tensor *fa_adaptive_pool(fa_op op, const fa_adaptive_pool2d_args *args, const char *what);
/* Shape rules of a pool, and of its gradient. */
bool fa_adaptive_infer(fa_node *node);
bool fa_adaptive_grad_infer(fa_node *node);
/* The attributes of the gradient. */
fa_adaptive_ints fa_adaptive_grad_ints(const fa_node *node);

#endif
