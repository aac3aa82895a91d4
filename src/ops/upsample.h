/* What the ways to resize an image share: the call, the attributes, the sizes. */
#ifndef FA_OPS_UPSAMPLE_H
#define FA_OPS_UPSAMPLE_H

#include "ops/kernel_types.h"
#include "ops/window.h"

/* floats: how many pixels of the output one of the input makes, height and width; 0: the quotient of the sizes. */
typedef struct fa_upsample_ints {
    int64_t output[2];
    int64_t option;         /* nearest: exact; bilinear: align_corners */
    int64_t input_shape[4]; /* gradients: [N,C,H,W] of the result */
    int64_t lines;          /* images of one row stand for [N,C,L]: for the name that autograd prints */
} fa_upsample_ints;

bool fa_upsample_infer(fa_node *node);
bool fa_upsample_grad_infer(fa_node *node);
/* Records the gradient op, or from the gradient op the forward one. */
fa_node *fa_upsample_record(fa_op op, const fa_node *node, fa_node *x);

#endif
