/* gelu: y = x * F(x), F the normal distribution's function. ints[0] says how F is worked out:
 *
 *     0  none   F(x) = (1 + erf(x / sqrt 2)) / 2                       y' = F(x) + x * e^(-x^2/2) / sqrt(2 pi)
 *     1  tanh   F(x) = (1 + tanh(u)) / 2, u = sqrt(2/pi) * (x + 0.044715 x^3)
 *                                                                      y' = F(x) + x/2 * (1 - tanh(u)^2) * u'      */
#include "ops/activation.h"

static double inner(double x)
{
    return sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
}

static double normal(double x, bool by_tanh)
{
    return 0.5 * (1 + (by_tanh ? tanh(inner(x)) : erf(x * M_SQRT1_2)));
}

static double slope(double x, bool by_tanh)
{
    if (!by_tanh)
        return normal(x, false) + x * exp(-0.5 * x * x) / sqrt(2 * M_PI);
    const double tanh_u = tanh(inner(x)), inner_slope = sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
    return normal(x, true) + 0.5 * x * (1 - tanh_u * tanh_u) * inner_slope;
}

FA_ACTIVATION_KERNEL(reference, x *normal(x, args->ints[0]))
FA_ACTIVATION_GRAD_KERNEL(grad_reference, g *slope(x, args->ints[0]))
FA_ACTIVATION_GRADIENT(gelu, node->in[0])

/* none: e^(-x^2/2) / sqrt(2 pi) * (2 - x^2)
 * tanh: (1 - tanh(u)^2) * (u' + x/2 * (u'' - 2 tanh(u) u'^2)) */
static fa_node *curvature(const fa_node *node, fa_node *x)
{
    fa_node *square = fa_record2(FA_OP_mul, x, x);
    if (!node->ints[0])
        return fa_record2(FA_OP_mul, fa_record1(FA_OP_exp, fa_times_plus(square, -0.5, 0)),
                          fa_times_plus(square, -1 / sqrt(2 * M_PI), 2 / sqrt(2 * M_PI)));
    const double c = 0.044715, k = sqrt(2 / M_PI);
    fa_node *u = fa_record2(FA_OP_mul, x, fa_times_plus(square, k * c, k)),
            *slope = fa_times_plus(square, 3 * k * c, k);
    fa_node *t = u ? fa_record(FA_OP_tanh, 1, &u, NULL, 0, (double[]){0, 0}, 2) : NULL;
    fa_node *bend = fa_record2(FA_OP_mul, t, fa_record2(FA_OP_mul, slope, slope));
    bend = fa_record2(FA_OP_add, fa_times_plus(x, 6 * k * c, 0), fa_times_plus(bend, -2, 0));
    bend = fa_record2(FA_OP_add, slope, fa_record2(FA_OP_mul, fa_times_plus(x, 0.5, 0), bend));
    return fa_record2(FA_OP_mul, fa_times_plus(t ? fa_record2(FA_OP_mul, t, t) : NULL, -1, 1), bend);
}

FA_CURVED_GRADIENT(gelu, curvature)

const fa_op_def fa_op_gelu = {
    .name = "gelu",
    .grad_name = "GeluBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_float,
    .gradient = gradient,
    .reference = reference,
};

/* inputs: g, x */
const fa_op_def fa_op_gelu_grad = {
    .name = "gelu_grad",
    .grad_name = "GeluBackwardBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .gradient = grad_gradient,
    .reference = grad_reference,
};

fa_tensor *fa_gelu_at(const fa_gelu_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, "gelu", "input");
    if (!x)
        return NULL;
    if (args->approximate != FA_GELU_NONE && args->approximate != FA_GELU_TANH) {
        fa_refuse(FA_VALUE_ERROR, "gelu",
                  "got approximate %d, needs FA_GELU_NONE or FA_GELU_TANH. Hint: leave it out "
                  "for the exact function",
                  (int)args->approximate);
        return NULL;
    }
    const int64_t by_tanh = args->approximate == FA_GELU_TANH;
    return fa_handle(fa_record(FA_OP_gelu, 1, &x, &by_tanh, sizeof by_tanh, (double[]){0, 0}, 2));
}
