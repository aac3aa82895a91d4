/* adam (effect): one step of torch.optim.Adam or AdamW on parameter w with gradient g, averages m (exp_avg) and v
 * (exp_avg_sq) and, with amsgrad, their maximum x; attributes fa_adam_floats, ints 0 amsgrad, 1 maximize, 2 decoupled
 * weight decay (AdamW). With c1 = 1 - beta1^t, c2 = 1 - beta2^t:
 *
 *     g = -g                                    if maximize
 *     g = g + weight_decay * w                  Adam;  AdamW: w = w * (1 - lr * weight_decay)
 *     m = m + (1 - beta1) * (g - m)
 *     v = v * beta2 + ((1 - beta2) * g) * g
 *     x = max(x, v)                             amsgrad; then x stands for v below
 *     w = w + (-(lr / c1) * m) / (sqrt(v) / sqrt(c2) + eps)
 *
 * Steps are rounded and fused as PyTorch's are; factors are worked out in double and rounded to the type. */
#include "ops/effects.h"

#include <math.h>

/* a + weight * (b - a), from the nearer end. */
#define DEFINE_STEP(T, FMA, SQRT)                                                                                      \
    static T lerp_##T(T a, T b, T weight)                                                                              \
    {                                                                                                                  \
        const T difference = b - a;                                                                                    \
        return weight > (T)-0.5 && weight < (T)0.5 ? FMA(weight, difference, a) : FMA(weight - 1, difference, b);      \
    }                                                                                                                  \
                                                                                                                       \
    static void step_##T(const fa_kernel_args *args)                                                                   \
    {                                                                                                                  \
        const fa_adam_floats *f = (const fa_adam_floats *)args->floats;                                                \
        const int64_t n = fa_meta_numel(args->in_meta[0]);                                                             \
        const bool amsgrad = args->ints[0] && args->in[4], maximize = args->ints[1], decoupled = args->ints[2];        \
        const bool decays = f->weight_decay != 0;                                                                      \
        T *w = args->in[0], *m = args->in[2], *v = args->in[3], *largest = args->in[4];                                \
        const T *grad = args->in[1];                                                                                   \
        const T decay = (T)f->weight_decay, shrink = (T)(1 - f->lr * f->weight_decay);                                 \
        const T weight1 = (T)(1 - f->beta1), beta2 = (T)f->beta2, weight2 = (T)(1 - f->beta2);                         \
        const T root = (T)sqrt(f->correction2), eps = (T)f->eps, rate = (T) - (f->lr / f->correction1);                \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            T g = maximize ? -grad[i] : grad[i];                                                                       \
            if (decays && decoupled)                                                                                   \
                w[i] *= shrink;                                                                                        \
            else if (decays)                                                                                           \
                g = FMA(w[i], decay, g);                                                                               \
            m[i] = lerp_##T(m[i], g, weight1);                                                                         \
            const T share = weight2 * g, kept = v[i] * beta2;                                                          \
            v[i] = FMA(share, g, kept);                                                                                \
            T second = v[i];                                                                                           \
            if (amsgrad) {                                                                                             \
                if (second > largest[i] || second != second)                                                           \
                    largest[i] = second;                                                                               \
                second = largest[i];                                                                                   \
            }                                                                                                          \
            const T scaled = SQRT(second) / root;                                                                      \
            const T denominator = scaled + eps;                                                                        \
            const T numerator = rate * m[i];                                                                           \
            w[i] = w[i] + numerator / denominator;                                                                     \
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
    return 12 * fa_flops_input(args);
}

const fa_op_def fa_op_adam = {
    .name = "adam",
    .writes = 1 | 1 << 2 | 1 << 3 | 1 << 4,
    .elementwise_effect = true,
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_optimizer_step,
    .reference = reference,
    .flops = flops,
};
