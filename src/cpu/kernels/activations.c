/* Activations and their gradients, element by element in whatever order they lie: the formulas of src/ops/NAME.c. Those
 * of straight lines and of e^x on vectors; those of erf, log1p and expm1 a number at a time, on all threads. */
#include "cpu/kernels/rows.h"

#include <math.h>

typedef struct call {
    float *out;
    const float *in[3];
    float s, t;
    bool by_tanh; /* gelu */
} call;

static call call_of(const fa_kernel_args *args)
{
    return (call){.out = args->out[0],
                  .in = {args->in[0], args->in[1], args->in[2]},
                  .s = (float)args->floats[0],
                  .t = (float)args->floats[1],
                  .by_tanh = args->ints && args->ints[0]};
}

#define DEFINE_RUN(name)                                                                                               \
    static void name##_run(const fa_kernel_args *args)                                                                 \
    {                                                                                                                  \
        call c = call_of(args);                                                                                        \
        fa_run_flat(fa_meta_numel(args->out_meta[0]), name##_range, &c);                                               \
    }

/* vector_NAME(a, b, d, s, t): one vector of the result from one of each input. */
#define DEFINE_VECTOR(name, inputs)                                                                                    \
    static void name##_range(void *context, int64_t begin, int64_t end)                                                \
    {                                                                                                                  \
        const call *c = context;                                                                                       \
        const fv s = fv_set1(c->s), t = fv_set1(c->t);                                                                 \
        for (int64_t i = begin; i < end; i += FV_LANES) {                                                              \
            const fv a = fv_load_some(c->in[0] + i, end - i);                                                          \
            const fv b = (inputs) > 1 ? fv_load_some(c->in[1] + i, end - i) : a;                                       \
            const fv d = (inputs) > 2 ? fv_load_some(c->in[2] + i, end - i) : a;                                       \
            fv_store_some(c->out + i, vector_##name(a, b, d, s, t), end - i);                                          \
        }                                                                                                              \
    }                                                                                                                  \
    DEFINE_RUN(name)

#define UNUSED __attribute__((unused))
#define VECTOR(name) FA_INLINE fv vector_##name(fv x, UNUSED fv b, UNUSED fv d, UNUSED fv s, UNUSED fv t)
#define VECTOR_GRAD(name) FA_INLINE fv vector_##name(UNUSED fv g, fv x, UNUSED fv d, UNUSED fv s, UNUSED fv t)

FA_INLINE fv cut(fv x, fv low, fv high)
{
    return fv_select(fv_gt(low, x), low, fv_select(fv_gt(x, high), high, x));
}

VECTOR(hardtanh)
{
    return cut(x, s, t);
}

VECTOR_GRAD(hardtanh_grad)
{
    return fv_select(fm_or(fv_ge(s, x), fv_ge(x, t)), fv_zero(), g);
}

VECTOR(leaky_relu)
{
    return fv_select(fv_gt(x, fv_zero()), x, x * s);
}

VECTOR_GRAD(leaky_relu_grad)
{
    return fv_select(fv_gt(x, fv_zero()), g, g * s);
}

FA_INLINE fv vector_prelu(fv x, fv w, UNUSED fv d, UNUSED fv s, UNUSED fv t)
{
    return fv_select(fv_gt(x, fv_zero()), x, x * w);
}

FA_INLINE fv vector_prelu_grad(fv g, fv x, fv w, UNUSED fv s, UNUSED fv t)
{
    return fv_select(fv_gt(x, fv_zero()), g, g * w);
}

VECTOR_GRAD(prelu_weight_grad)
{
    return fv_select(fv_gt(x, fv_zero()), fv_zero(), g * x);
}

VECTOR(hardsigmoid)
{
    return cut(x + fv_set1(3), fv_zero(), fv_set1(6)) / fv_set1(6);
}

VECTOR_GRAD(hardsigmoid_grad)
{
    return fv_select(fm_and(fv_gt(x, fv_set1(-3)), fv_gt(fv_set1(3), x)), g / fv_set1(6), fv_zero());
}

VECTOR(hardswish)
{
    return x * cut(x + fv_set1(3), fv_zero(), fv_set1(6)) / fv_set1(6);
}

VECTOR_GRAD(hardswish_grad)
{
    const fv between = g * (x / fv_set1(3) + fv_set1(0.5f));
    return fv_select(fv_ge(fv_set1(-3), x), fv_zero(), fv_select(fv_gt(fv_set1(3), x), between, g));
}

FA_INLINE fv sigmoid_of(fv x)
{
    return fv_set1(1) / (fv_set1(1) + fv_exp(-x));
}

VECTOR(sigmoid)
{
    return sigmoid_of(x);
}

VECTOR_GRAD(sigmoid_grad) /* x is y */
{
    return g * (fv_set1(1) - x) * x;
}

VECTOR(silu)
{
    return x / (fv_set1(1) + fv_exp(-x));
}

VECTOR_GRAD(silu_grad)
{
    const fv y = sigmoid_of(x);
    return g * y * (fv_set1(1) + x * (fv_set1(1) - y));
}

/* Near 0 an odd polynomial, fitted to tanh(x)/x on |x| <= 0.65 within 1e-7; further out 1 - 2/(e^2x + 1), whose
 * rounding is small against 1. */
VECTOR(tanh)
{
    const fv size = fv_max(x, -x), square = x * x;
    fv series = fv_set1(-0.00551452488f);
    const float factor[] = {0.0204683971f, -0.0536874719f, 0.133308187f, -0.333332598f, 1.0f};
    FA_UNROLL
    for (int i = 0; i < 5; i++)
        series = fv_fma(series, square, fv_set1(factor[i]));
    const fv far = fv_set1(1) - fv_set1(2) / (fv_exp(size + size) + fv_set1(1));
    const fv signed_far = fv_select(fv_gt(fv_zero(), x), -far, far);
    const fv y = fv_select(fv_gt(size, fv_set1(0.65f)), signed_far, x * series);
    return fv_select(fv_isnan(x), x, y);
}

VECTOR_GRAD(tanh_grad) /* x is y */
{
    return g * (fv_set1(1) - x * x);
}

DEFINE_VECTOR(hardtanh, 1)
DEFINE_VECTOR(hardtanh_grad, 2)
DEFINE_VECTOR(leaky_relu, 1)
DEFINE_VECTOR(leaky_relu_grad, 2)
DEFINE_VECTOR(prelu, 2)
DEFINE_VECTOR(prelu_grad, 3)
DEFINE_VECTOR(prelu_weight_grad, 2)
DEFINE_VECTOR(hardsigmoid, 1)
DEFINE_VECTOR(hardsigmoid_grad, 2)
DEFINE_VECTOR(hardswish, 1)
DEFINE_VECTOR(hardswish_grad, 2)
DEFINE_VECTOR(sigmoid, 1)
DEFINE_VECTOR(sigmoid_grad, 2)
DEFINE_VECTOR(silu, 1)
DEFINE_VECTOR(silu_grad, 2)
DEFINE_VECTOR(tanh, 1)
DEFINE_VECTOR(tanh_grad, 2)

/* ---- A number at a time --------------------------------------------------------------------------------------------
 */

#define DEFINE_SCALAR(name, inputs, EXPRESSION)                                                                        \
    static void name##_range(void *context, int64_t begin, int64_t end)                                                \
    {                                                                                                                  \
        const call *c = context;                                                                                       \
        const float s = c->s, t = c->t;                                                                                \
        (void)s, (void)t;                                                                                              \
        for (int64_t i = begin; i < end; i++) {                                                                        \
            const float g = c->in[0][i], x = c->in[(inputs)-1][i];                                                     \
            (void)g;                                                                                                   \
            c->out[i] = EXPRESSION;                                                                                    \
        }                                                                                                              \
    }                                                                                                                  \
    DEFINE_RUN(name)

static float gelu_of(float x, bool by_tanh)
{
    const float inner = by_tanh ? 0.7978845608f * (x + 0.044715f * x * x * x) : x * 0.7071067812f;
    return 0.5f * x * (1 + (by_tanh ? tanhf(inner) : erff(inner)));
}

static float gelu_slope(float x, bool by_tanh)
{
    if (!by_tanh)
        return 0.5f * (1 + erff(x * 0.7071067812f)) + x * expf(-0.5f * x * x) * 0.3989422804f;
    const float y = tanhf(0.7978845608f * (x + 0.044715f * x * x * x));
    return 0.5f * (1 + y) + 0.5f * x * (1 - y * y) * 0.7978845608f * (1 + 0.134145f * x * x);
}

DEFINE_SCALAR(gelu, 1, gelu_of(x, c->by_tanh))
DEFINE_SCALAR(gelu_grad, 2, g *gelu_slope(x, c->by_tanh))
DEFINE_SCALAR(elu, 1, x < 0 ? s * expm1f(x) : x)
DEFINE_SCALAR(elu_grad, 2, x <= 0 ? g * s * expf(x) : g)
DEFINE_SCALAR(softplus, 1, x *s > t ? x : log1pf(expf(x * s)) / s)
DEFINE_SCALAR(softplus_grad, 2, x *s > t ? g : g / (1 + expf(-x * s)))

/* ---- The list ------------------------------------------------------------------------------------------------------
 */

static bool supports(const fa_kernel_args *args)
{
    return fa_all_float32(args, 3);
}

#define ACTIVATION(op_name)                                                                                            \
    {                                                                                                                  \
        .op = FA_OP_##op_name, .name = #op_name " " FA_ISA_NAME, .supports = supports, .run = op_name##_run,           \
        .elementwise_in_place = true                                                                                   \
    }
#define WITH_GRAD(op_name) ACTIVATION(op_name), ACTIVATION(op_name##_grad)

const fa_cpu_kernel FA_ISA(fa_activations_kernels)[] = {
    WITH_GRAD(hardtanh),    WITH_GRAD(leaky_relu), WITH_GRAD(prelu),   ACTIVATION(prelu_weight_grad),
    WITH_GRAD(hardsigmoid), WITH_GRAD(hardswish),  WITH_GRAD(sigmoid), WITH_GRAD(silu),
    WITH_GRAD(tanh),        WITH_GRAD(gelu),       WITH_GRAD(elu),     WITH_GRAD(softplus),
    {.run = NULL},
};
