/* rmsprop (effect): one step of torch.optim.RMSprop on parameter w with gradient g, mean square s (square_avg),
 * momentum buffer b (absent without momentum) and, if centered, mean a (grad_avg); attributes fa_rmsprop_floats, ints 0
 * centered, 1 maximize.
 *
 *     g = -g                          if maximize
 *     g = g + weight_decay * w        if weight_decay != 0
 *     s = s * alpha + ((1 - alpha) * g) * g
 *     a = a + (1 - alpha) * (g - a)   if centered
 *     r = sqrt(s) + eps               if centered  r = sqrt(s - a * a) + eps
 *     w = w + (-lr * g) / r           with momentum  b = b * momentum + g / r,  w = w - lr * b
 *
 * Steps are rounded and fused as PyTorch's are; factors are worked out in double and rounded to the type. */
#include "ops/effects.h"

#include <math.h>

#define DEFINE_STEP(T, FMA, SQRT)                                                                                      \
    static void step_##T(const fa_kernel_args *args)                                                                   \
    {                                                                                                                  \
        const fa_rmsprop_floats *f = (const fa_rmsprop_floats *)args->floats;                                          \
        const int64_t n = fa_meta_numel(args->in_meta[0]);                                                             \
        const bool centered = args->ints[0] && args->in[4], maximize = args->ints[1], decays = f->weight_decay != 0;   \
        T *w = args->in[0], *s = args->in[2], *b = args->in[3], *a = args->in[4];                                      \
        const T *grad = args->in[1];                                                                                   \
        const T decay = (T)f->weight_decay, alpha = (T)f->alpha, share = (T)(1 - f->alpha), eps = (T)f->eps;           \
        const T rate = (T)-f->lr, momentum = (T)f->momentum;                                                           \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            T g = maximize ? -grad[i] : grad[i];                                                                       \
            if (decays)                                                                                                \
                g = FMA(w[i], decay, g);                                                                               \
            const T part = share * g, kept = s[i] * alpha;                                                             \
            s[i] = FMA(part, g, kept);                                                                                 \
            T square = s[i];                                                                                           \
            if (centered) {                                                                                            \
                a[i] = share > (T)-0.5 && share < (T)0.5 ? FMA(share, g - a[i], a[i]) : FMA(share - 1, g - a[i], g);   \
                square = FMA(-a[i], a[i], square);                                                                     \
            }                                                                                                          \
            const T root = SQRT(square) + eps;                                                                         \
            if (b) {                                                                                                   \
                const T moved = b[i] * momentum;                                                                       \
                b[i] = moved + g / root;                                                                               \
                w[i] = FMA(b[i], rate, w[i]);                                                                          \
            } else {                                                                                                   \
                const T scaled = rate * g;                                                                             \
                w[i] = w[i] + scaled / root;                                                                           \
            }                                                                                                          \
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
    return 10 * fa_flops_input(args);
}

const fa_op_def fa_op_rmsprop = {
    .name = "rmsprop",
    .writes = 1 | 1 << 2 | 1 << 3 | 1 << 4,
    .elementwise_effect = true,
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_optimizer_step,
    .reference = reference,
    .flops = flops,
};
