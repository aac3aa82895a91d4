/* norm over dimensions, and its gradient (fa_dims_ints; floats[0] is p):
 *
 *     y = (sum of |x|^p)^(1/p);   p = infinity: the greatest |x|, -infinity: the least, 0: how many are not 0
 *     dx = g * sign(x) * |x|^(p-1) / y^(p-1), 0 where x or y is 0; p = 0: 0
 *     dx = g * sign(x) / n for the n elements with |x| = y, p = +-infinity */
#include "ops/kernel_types.h"
#include "ops/reduce.h"

#include <math.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *in[3] = {grad, node->in[0], node};
    grad_in[0] = fa_record(FA_OP_norm_grad, 3, in, node->ints, sizeof(fa_dims_ints), node->floats, 1);
}

static bool infer(fa_node *node)
{
    return (isinf(node->floats[0]) || node->floats[0] < 0 ? fa_infer_chosen(node) : true) &&
           fa_infer_reduced_float(node);
}

/* What one element adds to the sum, or, where p is infinite, the sum with it. */
static double with(double sum, double x, double p)
{
    x = fabs(x);
    if (isinf(p))
        return isnan(sum) || isnan(x) ? NAN : p > 0 ? fmax(sum, x) : fmin(sum, x);
    return sum + (p == 0 ? x != 0 : p == 1 ? x : p == 2 ? x * x : pow(x, p));
}

static double finished(double sum, double p)
{
    return isinf(p) || p == 0 || p == 1 ? sum : p == 2 ? sqrt(sum) : pow(sum, 1 / p);
}

#define NORM(T)                                                                                                        \
    {                                                                                                                  \
        const T *x = args->in[0];                                                                                      \
        T *out = args->out[0];                                                                                         \
        for (int64_t o = 0; o < r.outputs; o++) {                                                                      \
            double sum = p < 0 && isinf(p) ? INFINITY : 0;                                                             \
            FA_EACH_REDUCED(r, o, sum = with(sum, (double)x[at], p))                                                   \
            out[o] = (T)finished(sum, p);                                                                              \
        }                                                                                                              \
    }

static void reference(const fa_kernel_args *args)
{
    const fa_reduce r = fa_reduce_of(args->in_meta[0], args->ints[0]);
    const double p = args->floats[0];
    FA_FOR_FLOATS(args->out_meta[0]->dtype, NORM);
}

const fa_op_def fa_op_norm = {
    .name = "norm",
    .grad_name = "LinalgVectorNormBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_input,
};

/* dx is g * f(x) * y^(1-p), f(x) = sign(x) * |x|^(p-1). For an incoming h:
 *
 *     dg = total of h * dx/g,   d2x = h * g * (p-1) * |x|^(p-2) * y^(1-p),   dy = (1-p) * (total of h * dx) / y
 *
 * The last two are 0 for p = 0, 1 and infinity. */
static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *g = node->in[0], *x = node->in[1], *y = node->in[2];
    const double p = node->floats[0];
    const bool flat = isinf(p) || p == 0 || p == 1;
    if (fa_wants_grad(node, 0)) {
        fa_node *in[3] = {fa_record_full(&g->meta, 1), x, y};
        fa_node *unit =
            in[0] ? fa_record(FA_OP_norm_grad, 3, in, node->ints, sizeof(fa_dims_ints), node->floats, 1) : NULL;
        grad_in[0] = fa_record_total(y, fa_record2(FA_OP_mul, grad, unit));
    }
    if (!flat && fa_wants_grad(node, 1)) {
        fa_node *scale = fa_record2(FA_OP_mul, g, fa_record_scalar(FA_OP_pow_scalar, y, 1 - p));
        fa_node *bend =
            fa_record2(FA_OP_mul, grad, fa_record_spread(y, fa_record_scalar(FA_OP_mul_scalar, scale, p - 1)));
        if (p != 2)
            bend = fa_record2(FA_OP_mul, bend, fa_record_scalar(FA_OP_pow_scalar, fa_record1(FA_OP_abs, x), p - 2));
        grad_in[1] = bend;
    }
    if (!flat && fa_wants_grad(node, 2)) {
        fa_node *total = fa_record_total(y, fa_record2(FA_OP_mul, grad, node));
        grad_in[2] = fa_record_scalar(FA_OP_mul_scalar, fa_record2(FA_OP_div, total, y), 1 - p);
    }
}

static bool grad_infer(fa_node *node)
{
    node->meta = node->in[1]->meta;
    node->meta.layout = FA_PLAIN;
    return true;
}

static double sign_of(double x)
{
    return (x > 0) - (x < 0);
}

/* dy/dx for finite p; as in PyTorch a norm of 0 has the gradient 0 for p > 1. */
static double slope(double x, double y, double p)
{
    if (p == 0)
        return 0;
    if (p == 1)
        return sign_of(x);
    if (p == 2)
        return y == 0 ? 0 : x / y;
    if (p < 1)
        return x == 0 ? 0 : sign_of(x) * pow(fabs(x), p - 1) * pow(y, 1 - p);
    return y == 0 ? 0 : sign_of(x) * pow(fabs(x), p - 1) / pow(y, p - 1);
}

static bool is_extreme(double x, double y)
{
    return fabs(x) == y || (isnan(x) && isnan(y));
}

#define NORM_GRAD(T)                                                                                                   \
    {                                                                                                                  \
        const T *g = args->in[0], *x = args->in[1], *y = args->in[2];                                                  \
        T *out = args->out[0];                                                                                         \
        for (int64_t o = 0; o < r.outputs; o++) {                                                                      \
            const double scale = (double)g[o], norm = (double)y[o];                                                    \
            if (isinf(p)) {                                                                                            \
                int64_t ties = 0;                                                                                      \
                FA_EACH_REDUCED(r, o, ties += is_extreme((double)x[at], norm))                                         \
                FA_EACH_REDUCED(                                                                                       \
                    r, o,                                                                                              \
                    out[at] =                                                                                          \
                        (T)(is_extreme((double)x[at], norm) ? sign_of((double)x[at]) * (scale / (double)ties) : 0))    \
            } else {                                                                                                   \
                FA_EACH_REDUCED(r, o, out[at] = (T)(scale * slope((double)x[at], norm, p)))                            \
            }                                                                                                          \
        }                                                                                                              \
    }

static void grad_reference(const fa_kernel_args *args)
{
    const fa_reduce r = fa_reduce_of(args->in_meta[1], args->ints[0]);
    const double p = args->floats[0];
    FA_FOR_FLOATS(args->out_meta[0]->dtype, NORM_GRAD);
}

/* inputs: g, x, y */
const fa_op_def fa_op_norm_grad = {
    .name = "norm_grad",
    .grad_name = "LinalgVectorNormBackward0",
    .gradient = grad_gradient,
    .layout = FA_LAYOUT_PLAIN,
    .infer = grad_infer,
    .reference = grad_reference,
};

fa_tensor *fa_norm_at(const fa_norm_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, "norm", "x");
    if (x && isnan(args->p)) {
        fa_refuse(FA_VALUE_ERROR, "norm", "got p = NaN, needs a number or INFINITY. Hint: leave it out for the 2-norm");
        return NULL;
    }
    return fa_handle(fa_record_reduced(FA_OP_norm, x, &args->dims, args->keepdim, 0, args->p));
}
