/* var and std over dimensions, and their gradient (fa_dims_ints; floats[0] is the correction c):
 *
 *     var = sum of (x - mean)^2 / max(n - c, 0),   std = sqrt(var)
 *     d var/dx = g * 2 * (x - mean) / (n - c),     d std/dx the same with g / (2 * std), or 0 where std is 0
 *
 * ints[3] of var_grad: of std. */
#include "ops/kernel_types.h"
#include "ops/reduce.h"

#include <math.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const int64_t ints[4] = {node->ints[0], node->ints[1], node->ints[2], node->op == FA_OP_std};
    fa_node *in[3] = {grad, node->in[0], node};
    grad_in[0] = fa_record(FA_OP_var_grad, 3, in, ints, sizeof ints, node->floats, 1);
}

#define MEAN(T, X)                                                                                                     \
    double mean = 0;                                                                                                   \
    FA_EACH_REDUCED(r, o, mean += (double)(X)[at])                                                                     \
    mean /= (double)r.count;

#define DEFINE_VARIANCE(T)                                                                                             \
    static void variance_##T(const fa_kernel_args *args, bool root)                                                    \
    {                                                                                                                  \
        const fa_reduce r = fa_reduce_of(args->in_meta[0], args->ints[0]);                                             \
        const double freedom = fmax((double)r.count - args->floats[0], 0);                                             \
        const T *x = args->in[0];                                                                                      \
        T *out = args->out[0];                                                                                         \
        for (int64_t o = 0; o < r.outputs; o++) {                                                                      \
            MEAN(T, x)                                                                                                 \
            double sum = 0;                                                                                            \
            FA_EACH_REDUCED(r, o, sum += ((double)x[at] - mean) * ((double)x[at] - mean))                              \
            out[o] = (T)(root ? sqrt(sum / freedom) : sum / freedom);                                                  \
        }                                                                                                              \
    }

DEFINE_VARIANCE(float)
DEFINE_VARIANCE(double)

static void var_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->out_meta[0]->dtype, variance, args, false);
}

static void std_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->out_meta[0]->dtype, variance, args, true);
}

const fa_op_def fa_op_var = {
    .name = "var",
    .grad_name = "VarBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_reduced_float,
    .gradient = gradient,
    .reference = var_reference,
    .flops = fa_flops_input,
};

const fa_op_def fa_op_std = {
    .name = "std",
    .grad_name = "StdBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_reduced_float,
    .gradient = gradient,
    .reference = std_reference,
    .flops = fa_flops_input,
};

/* dx is s * g * (x - mean), s = 2 / (n - c), or for std 1 / ((n - c) * y), where y moves too. For an incoming h:
 *
 *     dg = total of h * dx/g,   d2x = s * g * (h - mean of h),   dy = -(total of h * dx) / y */
static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *g = node->in[0], *x = node->in[1], *y = node->in[2];
    const size_t bytes = 4 * sizeof(int64_t);
    const bool root = node->ints[3] != 0;
    const double freedom = (double)fa_reduce_of(&x->meta, node->ints[0]).count - node->floats[0];
    if (fa_wants_grad(node, 0)) {
        fa_node *in[3] = {fa_record_full(&g->meta, 1), x, y};
        fa_node *unit = in[0] ? fa_record(FA_OP_var_grad, 3, in, node->ints, bytes, node->floats, 1) : NULL;
        grad_in[0] = fa_record_total(y, fa_record2(FA_OP_mul, grad, unit));
    }
    if (fa_wants_grad(node, 1)) {
        const int64_t ints[4] = {node->ints[0], node->ints[1], 1};
        fa_node *mean = fa_record(FA_OP_mean, 1, &grad, ints, sizeof ints, NULL, 0);
        fa_node *scale =
            fa_record_scalar(FA_OP_mul_scalar, root ? fa_record2(FA_OP_div, g, y) : g, (root ? 1 : 2) / freedom);
        grad_in[1] =
            fa_record2(FA_OP_mul, fa_record_spread(y, scale), fa_record2(FA_OP_sub, grad, fa_record_spread(y, mean)));
    }
    if (root && fa_wants_grad(node, 2))
        grad_in[2] =
            fa_record1(FA_OP_neg, fa_record2(FA_OP_div, fa_record_total(y, fa_record2(FA_OP_mul, grad, node)), y));
}

static bool grad_infer(fa_node *node)
{
    node->meta = node->in[1]->meta;
    node->meta.layout = FA_PLAIN;
    return true;
}

/* Without degrees of freedom PyTorch tells elements at the mean (NaN) from others (infinity) if no dimensions were
 * named, and divides by what is there if some were. */
#define GRADIENT(T)                                                                                                    \
    {                                                                                                                  \
        const T *g = args->in[0], *x = args->in[1], *y = args->in[2];                                                  \
        T *out = args->out[0];                                                                                         \
        for (int64_t o = 0; o < r.outputs; o++) {                                                                      \
            MEAN(T, x)                                                                                                 \
            double scale = (double)g[o];                                                                               \
            if (root)                                                                                                  \
                scale = y[o] == 0 ? 0 : scale / (2 * (double)y[o]);                                                    \
            FA_EACH_REDUCED(r, o,                                                                                      \
                            out[at] = (T)(whole && freedom <= 0 ? scale * ((double)x[at] == mean ? NAN : INFINITY)     \
                                                                : scale * (2 / freedom) * ((double)x[at] - mean)))     \
        }                                                                                                              \
    }

static void grad_reference(const fa_kernel_args *args)
{
    const fa_reduce r = fa_reduce_of(args->in_meta[1], args->ints[0]);
    const double freedom = (double)r.count - args->floats[0];
    const bool whole = args->ints[2] == 0, root = args->ints[3] != 0;
    FA_FOR_FLOATS(args->out_meta[0]->dtype, GRADIENT);
}

/* inputs: g, x, y */
const fa_op_def fa_op_var_grad = {
    .name = "var_grad",
    .grad_name = "VarBackward0",
    .gradient = grad_gradient,
    .layout = FA_LAYOUT_PLAIN,
    .infer = grad_infer,
    .reference = grad_reference,
};

fa_tensor *fa_var_at(const fa_var_args *args)
{
    fa_begin(args->where_);
    return fa_handle(
        fa_record_reduced(FA_OP_var, fa_use(args->x, "var", "x"), &args->dims, args->keepdim, 0, args->correction));
}

fa_tensor *fa_std_at(const fa_var_args *args)
{
    fa_begin(args->where_);
    return fa_handle(
        fa_record_reduced(FA_OP_std, fa_use(args->x, "std", "x"), &args->dims, args->keepdim, 0, args->correction));
}
