/* pow: y = a^b, broadcast. Integers stay integers (a^b for b < 0 is 0, but for 1 and -1). Gradients, summed over what
 * was broadcast: g * (b * a^(b-1)), 0 where b = 0; g * (y * log a), 0 where a = 0 and b >= 0. */
#include "ops/pow.h"
#include "ops/elementwise.h"

#include <math.h>

static bool infer(fa_node *node)
{
    if (node->in[0]->meta.dtype == FA_DT_BOOL)
        return fa_refuse(FA_DTYPE_ERROR, "pow", "got bool, needs numbers. Hint: fa_to_dtype(x, FA_INT64)");
    return fa_infer_broadcast(node);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *a = node->in[0], *b = node->in[1];
    const int dtype = node->meta.dtype;
    fa_node *zero = fa_record_number(dtype, 0);
    if (fa_wants_grad(node, 0)) {
        fa_node *lower = fa_record2(FA_OP_pow, a, fa_record_scalar(FA_OP_add_scalar, b, -1));
        fa_node *share = fa_record2(FA_OP_mul, grad, fa_record2(FA_OP_mul, b, lower));
        grad_in[0] = fa_record_sum_to(fa_record_where(fa_record2(FA_OP_eq, b, zero), zero, share), &a->meta);
    }
    if (fa_wants_grad(node, 1)) {
        fa_node *share = fa_record2(FA_OP_mul, grad, fa_record2(FA_OP_mul, node, fa_record1(FA_OP_log, a)));
        fa_node *flat = fa_record2(FA_OP_logical_and, fa_record2(FA_OP_eq, a, zero), fa_record2(FA_OP_ge, b, zero));
        grad_in[1] = fa_record_sum_to(fa_record_where(flat, zero, share), &b->meta);
    }
}

#define WHOLE_POWER(T) FA_BINARY_LOOP(T, int64_t, T, fa_whole_power((uint64_t)x, y))

static void reference(const fa_kernel_args *args)
{
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        FA_BINARY_LOOP(float, float, float, powf(x, y))
    case FA_DT_FLOAT64:
        FA_BINARY_LOOP(double, double, double, pow(x, y))
    case FA_DT_INT64:
        WHOLE_POWER(int64_t)
    case FA_DT_INT32:
        WHOLE_POWER(int32_t)
    default:
        WHOLE_POWER(uint8_t)
    }
}

const fa_op_def fa_op_pow = {
    .name = "pow",
    .grad_name = "PowBackward1",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_pow_at(fa_tensor *a, fa_tensor *b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "pow", "a"), *y = fa_use(b, "pow", "exponent");
    return fa_handle(fa_record_binary(FA_OP_pow, x, y));
}
