/* average (effect): a running mean m of weights takes in w. ints[0] says which mean, floats[0] is a number c:
 *
 *     0, exponential       m = m + c * (w - m), from the nearer end, with one fused multiply-add;
 *                          whole numbers: m * (1 - c) + w * c in float32, cut
 *     1, of all so far     m = m + (w - m) / c, the c-th time; whole numbers: the same in float32, cut */
#include "ops/effects.h"

#include <math.h>

#define AVERAGE(T, FMA)                                                                                                \
    {                                                                                                                  \
        T *m = args->in[0];                                                                                            \
        const T *w = args->in[1], c = (T)args->floats[0];                                                              \
        const bool near = c > (T)-0.5 && c < (T)0.5;                                                                   \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const T difference = w[i] - m[i];                                                                          \
            if (args->ints[0])                                                                                         \
                m[i] = m[i] + difference / c;                                                                          \
            else                                                                                                       \
                m[i] = near ? FMA(c, difference, m[i]) : FMA(c - 1, difference, w[i]);                                 \
        }                                                                                                              \
        break;                                                                                                         \
    }

#define AVERAGE_WHOLE(T)                                                                                               \
    {                                                                                                                  \
        T *m = args->in[0];                                                                                            \
        const T *w = args->in[1];                                                                                      \
        const float c = (float)args->floats[0], rest = (float)(1 - args->floats[0]);                                   \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const float kept = (float)m[i] * rest, added = (float)w[i] * c;                                            \
            const float step = (float)(w[i] - m[i]) / c;                                                               \
            m[i] = args->ints[0] ? (T)((float)m[i] + step) : (T)(kept + added);                                        \
        }                                                                                                              \
        break;                                                                                                         \
    }

static void reference(const fa_kernel_args *args)
{
    const int64_t n = fa_meta_numel(args->in_meta[0]);
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        AVERAGE(float, fmaf)
    case FA_DT_FLOAT64:
        AVERAGE(double, fma)
    case FA_DT_INT64:
        AVERAGE_WHOLE(int64_t)
    case FA_DT_INT32:
        AVERAGE_WHOLE(int32_t)
    default:
        AVERAGE_WHOLE(uint8_t)
    }
}

const fa_op_def fa_op_average = {
    .name = "average",
    .writes = 1,
    .elementwise_effect = true,
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_effect,
    .reference = reference,
    .flops = fa_flops_input,
};
