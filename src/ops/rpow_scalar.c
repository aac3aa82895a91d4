/* rpow_scalar: y = s^a, s = floats[0]. Integers stay integers for whole s. Gradient: g * (y * log s); for s = 0, 0
 * where a >= 0. */
#include "ops/elementwise.h"
#include "ops/pow.h"

#include <math.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const double base = node->floats[0];
    fa_node *share = fa_record2(FA_OP_mul, grad, fa_record_scalar(FA_OP_mul_scalar, node, log(base)));
    if (base == 0) {
        fa_node *zero = fa_record_number(node->meta.dtype, 0);
        share = fa_record_where(fa_record2(FA_OP_ge, node->in[0], zero), zero, share);
    }
    grad_in[0] = share;
}

#define WHOLE_POWER(T) FA_UNARY_LOOP(T, int64_t, T, fa_whole_power((uint64_t)fa_number_int(args->floats[0]), x))

static void reference(const fa_kernel_args *args)
{
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        FA_UNARY_LOOP(float, float, float, powf((float)args->floats[0], x))
    case FA_DT_FLOAT64:
        FA_UNARY_LOOP(double, double, double, pow(args->floats[0], x))
    case FA_DT_INT64:
        WHOLE_POWER(int64_t)
    case FA_DT_INT32:
        WHOLE_POWER(int32_t)
    default:
        WHOLE_POWER(uint8_t)
    }
}

const fa_op_def fa_op_rpow_scalar = {
    .name = "pow",
    .grad_name = "PowBackward2",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_rpow_at(double a, fa_tensor *b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(b, "pow", "exponent");
    if (!x)
        return NULL;
    return fa_handle(fa_record_scalar(FA_OP_rpow_scalar, fa_record_cast(x, fa_promote_number(&x->meta, a)), a));
}
