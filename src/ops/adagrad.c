/* adagrad (effect): one step of torch.optim.Adagrad on parameter w with gradient g and sum of squares s; attributes
 * fa_adagrad_floats, ints 0 maximize.
 *
 *     g = -g                          if maximize
 *     g = g + weight_decay * w        if weight_decay != 0
 *     s = s + g * g
 *     w = w + (-rate * g) / (sqrt(s) + eps)
 *
 * Steps are rounded and fused as PyTorch's are; factors are worked out in double and rounded to the type. */
#include "ops/effects.h"

#include <math.h>

#define DEFINE_STEP(T, FMA, SQRT)                                                                                      \
    static void step_##T(const fa_kernel_args *args)                                                                   \
    {                                                                                                                  \
        const fa_adagrad_floats *f = (const fa_adagrad_floats *)args->floats;                                          \
        const int64_t n = fa_meta_numel(args->in_meta[0]);                                                             \
        const bool maximize = args->ints[0], decays = f->weight_decay != 0;                                            \
        T *w = args->in[0], *s = args->in[2];                                                                          \
        const T *grad = args->in[1];                                                                                   \
        const T decay = (T)f->weight_decay, eps = (T)f->eps, rate = (T)-f->rate;                                       \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            T g = maximize ? -grad[i] : grad[i];                                                                       \
            if (decays)                                                                                                \
                g = FMA(w[i], decay, g);                                                                               \
            s[i] = FMA(g, g, s[i]);                                                                                    \
            const T root = SQRT(s[i]) + eps, scaled = rate * g;                                                        \
            w[i] = w[i] + scaled / root;                                                                               \
        }                                                                                                              \
    }

DEFINE_STEP(float, fmaf, sqrtf)
DEFINE_STEP(double, fma, sqrt)

static void reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->in_meta[0]->dtype, step, args);
}

static double flops(const fa_kernel_args *args)
{
    return 6 * fa_flops_input(args);
}

const fa_op_def fa_op_adagrad = {
    .name = "adagrad",
    .writes = 1 | 1 << 2,
    .elementwise_effect = true,
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_optimizer_step,
    .reference = reference,
    .flops = flops,
};
