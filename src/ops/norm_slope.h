/* The gradient of bringing values to mean 0 and variance 1, in differentiable ops: what batch norm and the norms of
 * rows record where their gradients will be differentiated (fa_rules_differentiable). */
#ifndef FA_OPS_NORM_SLOPE_H
#define FA_OPS_NORM_SLOPE_H

#include "ops/rules.h"

/* xhat = (x - mean) / sqrt(var + eps) over the dimensions in mask. */
fa_node *fa_record_standardized(fa_node *x, int64_t mask, double eps);
/* Given the gradient g of xhat, that of x:  (g - mean of g - xhat * mean of g*xhat) / sqrt(var + eps). */
fa_node *fa_record_norm_slope(fa_node *g, fa_node *x, int64_t mask, double eps);

#endif
