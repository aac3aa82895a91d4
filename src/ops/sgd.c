/* sgd (effect): one step of torch.optim.SGD on parameter w with gradient g and momentum buffer b (absent without
 * momentum); attributes fa_sgd_floats, ints 0 nesterov, 1 maximize, 2 first step.
 *
 *     g = -g                          if maximize
 *     g = g + weight_decay * w        if weight_decay != 0
 *     b = g                           on the first step, else  b = b * momentum + (1 - dampening) * g
 *     g = g + momentum * b            if nesterov, else  g = b
 *     w = w - lr * g
 *
 * Sums with a factor are one fused multiply-add each; factors are worked out in double and rounded to the type. */
#include "ops/effects.h"

#include <math.h>

static float fused_float(float a, float b, float c)
{
    return fmaf(a, b, c);
}

static double fused_double(double a, double b, double c)
{
    return fma(a, b, c);
}

#define SGD(T)                                                                                                         \
    {                                                                                                                  \
        T *w = args->in[0], *b = args->in[2];                                                                          \
        const T *grad = args->in[1];                                                                                   \
        const T rate = (T)-f->lr, momentum = (T)f->momentum, decay = (T)f->weight_decay;                               \
        const T damped = (T)(1 - f->dampening);                                                                        \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            T g = maximize ? -grad[i] : grad[i];                                                                       \
            if (decays)                                                                                                \
                g = fused_##T(w[i], decay, g);                                                                         \
            if (has_momentum) {                                                                                        \
                b[i] = first ? g : fused_##T(g, damped, (T)(b[i] * momentum));                                         \
                g = nesterov ? fused_##T(b[i], momentum, g) : b[i];                                                    \
            }                                                                                                          \
            w[i] = fused_##T(g, rate, w[i]);                                                                           \
        }                                                                                                              \
    }

static void reference(const fa_kernel_args *args)
{
    const fa_sgd_floats *f = (const fa_sgd_floats *)args->floats;
    const int64_t n = fa_meta_numel(args->in_meta[0]);
    const bool nesterov = args->ints[0], maximize = args->ints[1], first = args->ints[2];
    const bool decays = f->weight_decay != 0, has_momentum = args->in[2] && f->momentum != 0;
    FA_FOR_FLOATS(args->in_meta[0]->dtype, SGD);
}

static double flops(const fa_kernel_args *args)
{
    return (args->in[2] ? 5 : 2) * fa_flops_input(args);
}

const fa_op_def fa_op_sgd = {
    .name = "sgd",
    .writes = 1 | 1 << 2,
    .elementwise_effect = true,
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_optimizer_step,
    .reference = reference,
    .flops = flops,
};
