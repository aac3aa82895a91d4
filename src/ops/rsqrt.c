/* rsqrt: y = 1 / root of a; integers as float32. Gradient: (g * -0.5) * y^3. */
#include "ops/elementwise.h"

#include <math.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *cube = fa_record_scalar(FA_OP_pow_scalar, node, 3);
    grad_in[0] = fa_record2(FA_OP_mul, fa_record_scalar(FA_OP_mul_scalar, grad, -0.5), cube);
}

static void reference(const fa_kernel_args *args)
{
    FA_UNARY_FLOATS(1 / sqrtf(x), 1 / sqrt(x))
}

const fa_op_def fa_op_rsqrt = {
    .name = "rsqrt",
    .grad_name = "RsqrtBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

fa_tensor *fa_rsqrt_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_record1(FA_OP_rsqrt, fa_record_float(fa_use(a, "rsqrt", "a"))));
}
