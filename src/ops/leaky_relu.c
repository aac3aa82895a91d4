/* leaky_relu: y = x > 0 ? x : s * x. Gradient: x > 0 ? g : s * g. */
#include "ops/activation.h"

FA_ACTIVATION_KERNEL(reference, x > 0 ? x : s * x)
FA_ACTIVATION_GRAD_KERNEL(grad_reference, x > 0 ? g : s * g)
FA_ACTIVATION(leaky_relu, "LeakyReluBackward0", fa_infer_float, node->in[0], FA_LINEAR)

fa_tensor *fa_leaky_relu_at(const fa_leaky_relu_args *args)
{
    fa_begin(args->where_);
    return fa_activate(FA_OP_leaky_relu, args->x, fa_use(args->x, "leaky_relu", "input"),
                       (double[]){args->negative_slope, 0}, args->inplace, "leaky_relu");
}
