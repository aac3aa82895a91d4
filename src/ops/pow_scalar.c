/* pow_scalar: y = a^s, s = floats[0]. Gradient: g * (s * a^(s-1)), 0 for s = 0. Integers stay integers for whole s. */
#include "ops/elementwise.h"
#include "ops/pow.h"

#include <math.h>

static bool infer(fa_node *node)
{
    if (!fa_is_float(node->in[0]->meta.dtype) && node->floats[0] < 0)
        return fa_refuse(FA_VALUE_ERROR, "pow",
                         "got %s to the power %g, needs an exponent of 0 or more for integers. "
                         "Hint: fa_to_dtype(x, FA_FLOAT32)",
                         fa_dtype_name(node->in[0]->meta.dtype), node->floats[0]);
    return fa_infer_same(node);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const double exponent = node->floats[0];
    if (exponent == 0) {
        grad_in[0] = fa_record_full(&node->meta, 0);
        return;
    }
    fa_node *lower = fa_record_scalar(FA_OP_pow_scalar, node->in[0], exponent - 1);
    grad_in[0] = fa_record2(FA_OP_mul, grad, fa_record_scalar(FA_OP_mul_scalar, lower, exponent));
}

/* Small exponents are products and roots, as in PyTorch; the general function differs in the last bit. */
#define POWER(T, SQRT, POW)                                                                                            \
    {                                                                                                                  \
        const double s = args->floats[0];                                                                              \
        if (s == 1)                                                                                                    \
            FA_UNARY_LOOP(T, T, T, x)                                                                                  \
        else if (s == 2)                                                                                               \
            FA_UNARY_LOOP(T, T, T, (x * x))                                                                            \
        else if (s == 3)                                                                                               \
            FA_UNARY_LOOP(T, T, T, (x * x) * x)                                                                        \
        else if (s == -1)                                                                                              \
            FA_UNARY_LOOP(T, T, T, 1 / x)                                                                              \
        else if (s == -2)                                                                                              \
            FA_UNARY_LOOP(T, T, T, 1 / (x * x))                                                                        \
        else if (s == 0.5)                                                                                             \
            FA_UNARY_LOOP(T, T, T, SQRT(x))                                                                            \
        else if (s == -0.5)                                                                                            \
            FA_UNARY_LOOP(T, T, T, 1 / SQRT(x))                                                                        \
        else                                                                                                           \
            FA_UNARY_LOOP(T, T, T, POW(x, (T)s))                                                                       \
    }

#define WHOLE_POWER(T) FA_UNARY_LOOP(T, uint64_t, T, fa_whole_power(x, fa_number_int(args->floats[0])))

static void reference(const fa_kernel_args *args)
{
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        POWER(float, sqrtf, powf)
    case FA_DT_FLOAT64:
        POWER(double, sqrt, pow)
    case FA_DT_INT64:
        WHOLE_POWER(int64_t)
    case FA_DT_INT32:
        WHOLE_POWER(int32_t)
    default:
        WHOLE_POWER(uint8_t)
    }
}

const fa_op_def fa_op_pow_scalar = {
    .name = "pow",
    .grad_name = "PowBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_pow_number_at(fa_tensor *a, double exponent, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "pow", "a");
    if (!x)
        return NULL;
    return fa_handle(
        fa_record_scalar(FA_OP_pow_scalar, fa_record_cast(x, fa_promote_number(&x->meta, exponent)), exponent));
}
