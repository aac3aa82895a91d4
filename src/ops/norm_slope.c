/* The gradient of bringing values to mean 0 and variance 1, in differentiable ops. */
#include "ops/norm_slope.h"

static fa_node *mean_of(fa_node *a, int64_t mask)
{
    const fa_dims_ints ints = {.mask = mask, .keepdim = true};
    return a ? fa_record(FA_OP_mean, 1, &a, FA_INTS(ints), NULL, 0) : NULL;
}

/* x - mean, and in *scale  1 / sqrt(var + eps). */
static fa_node *centered(fa_node *x, int64_t mask, double eps, fa_node **scale)
{
    fa_node *difference = fa_record2(FA_OP_sub, x, mean_of(x, mask));
    fa_node *var = mean_of(fa_record2(FA_OP_mul, difference, difference), mask);
    *scale = fa_record1(FA_OP_rsqrt, fa_record_scalar(FA_OP_add_scalar, var, eps));
    return difference;
}

fa_node *fa_record_standardized(fa_node *x, int64_t mask, double eps)
{
    fa_node *scale, *difference = centered(x, mask, eps, &scale);
    return fa_record2(FA_OP_mul, difference, scale);
}

fa_node *fa_record_norm_slope(fa_node *g, fa_node *x, int64_t mask, double eps)
{
    fa_node *scale, *difference = centered(x, mask, eps, &scale), *xhat = fa_record2(FA_OP_mul, difference, scale);
    fa_node *along = fa_record2(FA_OP_mul, xhat, mean_of(fa_record2(FA_OP_mul, g, xhat), mask));
    fa_node *rest = fa_record2(FA_OP_sub, fa_record2(FA_OP_sub, g, mean_of(g, mask)), along);
    return fa_record2(FA_OP_mul, rest, scale);
}
