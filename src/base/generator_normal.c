/* Uniform float32 fills and normals, to the bit as PyTorch's AVX2 kernels make them.
 *
 *   n < 16:   Box-Muller in double on two float64 uniforms: r = sqrt(-2 log1p(-u2)), t = 2 pi u1; r cos t now, r sin t
 * at the next such draw n >= 16:  float32 uniforms in blocks of 16: the first eight give radii sqrt(-2 log(1 - b)), the
 * other eight angles 2 pi b; results radius cos(angle), then radius sin(angle). A last part of a block is 16 new
 * uniforms that take the place of the last 16 elements.
 *
 * log, sin and cos are single-precision polynomials (S. L. Moshier's Cephes), each operation rounded as written here,
 * fmaf where the multiplication is fused. The loops are written for the compiler to vectorise: eight lanes, integer
 * masks for choices. On x86 they are compiled twice, once for AVX2 and FMA; the bits are the same. */
#include "base/generator_words.h"

#include <math.h>
#include <string.h>

enum { LANES = 8, BLOCK = 2 * LANES };

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* ---- Elementary functions ---------------------------------------------------------------------------------------- */

ALWAYS_INLINE uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

ALWAYS_INLINE float float_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* log(x) for x in (0, 1], x at least 2^-126 (a uniform's distance to 1 is at least 2^-24). */
ALWAYS_INLINE float log_f32(float x)
{
    uint32_t bits = bits_of(x);
    int32_t exponent = (int32_t)(bits >> 23) - 126;
    uint32_t mantissa = (bits & 0x007fffffu) | 0x3f000000u; /* of a float in [0.5, 1) */
    uint32_t small = -(uint32_t)(mantissa < 0x3f3504f3u);   /* below sqrt(0.5) */
    float e = (float)(exponent + (int32_t)small);
    float m = float_of(mantissa);
    x = (m - 1.0f) + float_of(mantissa & small);
    float z = x * x;
    float y = 7.0376836292e-2f;
    y = fmaf(y, x, -1.1514610310e-1f);
    y = fmaf(y, x, 1.1676998740e-1f);
    y = fmaf(y, x, -1.2420140846e-1f);
    y = fmaf(y, x, 1.4249322787e-1f);
    y = fmaf(y, x, -1.6668057665e-1f);
    y = fmaf(y, x, 2.0000714765e-1f);
    y = fmaf(y, x, -2.4999993993e-1f);
    y = fmaf(y, x, 3.3333331174e-1f);
    y = y * x;
    y = fmaf(y, z, e * -2.12194440e-4f);
    y = fmaf(-z, 0.5f, y);
    return fmaf(e, 0.693359375f, x + y);
}

/* sin(x) and cos(x) for x >= 0, small enough for the conversion. */
ALWAYS_INLINE void sincos_f32(float x, float *sin, float *cos)
{
    int32_t j = ((int32_t)(x * 1.27323954473516f) + 1) & ~1; /* 4 / pi: the octant, made even */
    float y = (float)j;
    x = fmaf(y, -0.78515625f, x);
    x = fmaf(y, -2.4187564849853515625e-4f, x);
    x = fmaf(y, -3.77489497744594108e-8f, x);
    float z = x * x;
    float c = fmaf(2.443315711809948e-5f, z, -1.388731625493765e-3f);
    c = fmaf(c, z, 4.166664568298827e-2f);
    c = c * z;
    c = fmaf(c, z, -(z * 0.5f)) + 1.0f;
    float s = fmaf(-1.9515295891e-4f, z, 8.3321608736e-3f);
    s = fmaf(s, z, -1.6666654611e-1f);
    s = s * z;
    s = fmaf(s, x, x);
    uint32_t octant = (uint32_t)j;
    uint32_t swap = -((octant >> 1) & 1);
    uint32_t sin_sign = (octant & 4) << 29, cos_sign = (~(octant - 2) & 4) << 29;
    uint32_t sin_bits = (bits_of(s) & ~swap) | (bits_of(c) & swap);
    uint32_t cos_bits = (bits_of(c) & ~swap) | (bits_of(s) & swap);
    *sin = float_of(sin_bits ^ sin_sign);
    *cos = float_of(cos_bits ^ cos_sign);
}

ALWAYS_INLINE float uniform_of(uint32_t word)
{
    return (float)(int32_t)(word & 0xffffffu) * 0x1p-24f;
}

/* ---- Loops, one body for each set of instructions ------------------------------------------------------------------
 */

/* `count` is a multiple of 16. */
ALWAYS_INLINE void box_muller_body(float *restrict out, const uint32_t *restrict words, int64_t count, float mean,
                                   float std)
{
    for (int64_t i = 0; i < count; i += BLOCK) {
        float radius[LANES];
        for (int j = 0; j < LANES; j++)
            radius[j] = -2.0f * log_f32(1.0f - uniform_of(words[i + j]));
        for (int j = 0; j < LANES; j++)
            radius[j] = sqrtf(radius[j]);
        for (int j = 0; j < LANES; j++) {
            float sin, cos;
            sincos_f32(6.283185307179586f * uniform_of(words[i + LANES + j]), &sin, &cos);
            out[i + j] = fmaf(radius[j] * cos, std, mean);
            out[i + LANES + j] = fmaf(radius[j] * sin, std, mean);
        }
    }
}

ALWAYS_INLINE void uniform_body(float *restrict out, const uint32_t *restrict words, int64_t count, float lo, float hi)
{
    float range = hi - lo;
    for (int64_t i = 0; i < count; i++) {
        float v = fmaf(uniform_of(words[i]), range, lo);
        out[i] = v == hi ? lo : v;
    }
}

typedef void (*fill_loop)(float *restrict out, const uint32_t *restrict words, int64_t count, float a, float b);

static void box_muller_plain(float *restrict out, const uint32_t *restrict words, int64_t count, float mean, float std)
{
    box_muller_body(out, words, count, mean, std);
}

static void uniform_plain(float *restrict out, const uint32_t *restrict words, int64_t count, float lo, float hi)
{
    uniform_body(out, words, count, lo, hi);
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void box_muller_avx2(float *restrict out, const uint32_t *restrict words,
                                                                int64_t count, float mean, float std)
{
    box_muller_body(out, words, count, mean, std);
}

__attribute__((target("avx2,fma"))) static void uniform_avx2(float *restrict out, const uint32_t *restrict words,
                                                             int64_t count, float lo, float hi)
{
    uniform_body(out, words, count, lo, hi);
}

static fill_loop choose(fill_loop plain, fill_loop avx2)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? avx2 : plain;
}
#define BOX_MULLER choose(box_muller_plain, box_muller_avx2)
#define UNIFORM choose(uniform_plain, uniform_avx2)
#else
#define BOX_MULLER box_muller_plain
#define UNIFORM uniform_plain
#endif

static void fill(fill_loop loop, fa_mt *mt, float *out, int64_t n, float a, float b)
{
    uint32_t words[FA_MT_CHUNK];
    for (int64_t begin = 0; begin < n; begin += FA_MT_CHUNK) {
        int64_t count = n - begin < FA_MT_CHUNK ? n - begin : FA_MT_CHUNK;
        fa_mt_words(mt, words, count);
        loop(out + begin, words, count, a, b);
    }
}

/* ---- Draws ------------------------------------------------------------------------------------------------------- */

void fa_mt_uniform_f32(fa_mt *mt, float *out, int64_t n, double lo, double hi)
{
    fill(UNIFORM, mt, out, n, (float)lo, (float)hi);
}

static double uniform_double(fa_mt *mt)
{
    return (double)(int64_t)(fa_mt_u64(mt) & (((uint64_t)1 << 53) - 1)) * 0x1p-53;
}

static double normal_double(fa_mt *mt)
{
    if (mt->has_cached_normal) {
        mt->has_cached_normal = false;
        return mt->cached_normal;
    }
    double u1 = uniform_double(mt), u2 = uniform_double(mt);
    double radius = sqrt(-2 * log1p(-u2)), theta = 2 * 3.14159265358979323846 * u1;
    mt->cached_normal = radius * sin(theta);
    mt->has_cached_normal = true;
    return radius * cos(theta);
}

void fa_mt_normal_f32(fa_mt *mt, float *out, int64_t n, double mean, double std)
{
    if (n < BLOCK) {
        for (int64_t i = 0; i < n; i++)
            out[i] = (float)fma(normal_double(mt), std, mean);
        return;
    }
    int64_t whole = n - n % BLOCK;
    fill(BOX_MULLER, mt, out, whole, (float)mean, (float)std);
    if (whole < n) {
        uint32_t unused[BLOCK];
        fa_mt_words(mt, unused, n - whole);
        fill(BOX_MULLER, mt, out + n - BLOCK, BLOCK, (float)mean, (float)std);
    }
}

static void box_muller_f64(double *block, double mean, double std)
{
    for (int j = 0; j < LANES; j++) {
        double radius = sqrt(-2 * log(1 - block[j])), theta = 2 * 3.14159265358979323846 * block[LANES + j];
        block[j] = fma(radius * cos(theta), std, mean);
        block[LANES + j] = fma(radius * sin(theta), std, mean);
    }
}

void fa_mt_normal_f64(fa_mt *mt, double *out, int64_t n, double mean, double std)
{
    if (n < BLOCK) {
        for (int64_t i = 0; i < n; i++)
            out[i] = fma(normal_double(mt), std, mean);
        return;
    }
    fa_mt_uniform_f64(mt, out, n, 0, 1);
    for (int64_t i = 0; i + BLOCK <= n; i += BLOCK)
        box_muller_f64(out + i, mean, std);
    if (n % BLOCK) {
        fa_mt_uniform_f64(mt, out + n - BLOCK, BLOCK, 0, 1);
        box_muller_f64(out + n - BLOCK, mean, std);
    }
}

/* ---- Truncated normals ------------------------------------------------------------------------------------------- */

static double normal_cdf(double x)
{
    return (1 + erf(x / sqrt(2.0))) / 2;
}

/* Of float32 as of float64, drawn in T:
 *
 * truncate_by_normals: whole normal fills, whose values replace what lies outside [a, b], until nothing does.
 *
 * truncate_by_uniforms: whole uniform fills of [a, b], an element kept with the density there, relative to its peak, as
 * its chance; those that are not wait for the next fill. waits[i] is 1 while out[i] is a candidate, then 0. */
#define DEFINE_TRUNCATE(T, NAME, LOG)                                                                                  \
    static void truncate_by_normals_##NAME(fa_mt *mt, T *out, int64_t n, double mean, double std, T a, T b,            \
                                           T *scratch)                                                                 \
    {                                                                                                                  \
        fa_mt_normal_##NAME(mt, out, n, mean, std);                                                                    \
        for (;;) {                                                                                                     \
            bool again = false;                                                                                        \
            for (int64_t i = 0; i < n && !again; i++)                                                                  \
                again = out[i] < a || out[i] > b;                                                                      \
            if (!again)                                                                                                \
                return;                                                                                                \
            fa_mt_normal_##NAME(mt, scratch, n, mean, std);                                                            \
            for (int64_t i = 0; i < n; i++)                                                                            \
                if (out[i] < a || out[i] > b)                                                                          \
                    out[i] = scratch[i];                                                                               \
        }                                                                                                              \
    }                                                                                                                  \
    static bool rejects_##NAME(T x, T uniform, T mean, T std, T peak)                                                  \
    {                                                                                                                  \
        const T t = (x - mean) / std;                                                                                  \
        return LOG(uniform) > (T)-0.5 * (t * t) - peak;                                                                \
    }                                                                                                                  \
    static void truncate_by_uniforms_##NAME(fa_mt *mt, T *out, int64_t n, double mean, double std, double a, double b, \
                                            T *waits)                                                                  \
    {                                                                                                                  \
        const double mode = (fmax(a, fmin(mean, b)) - mean) / std;                                                     \
        const T peak = (T)(-0.5 * (mode * mode));                                                                      \
        T drawn[FA_MT_CHUNK];                                                                                          \
        for (int64_t i = 0; i < n; i++)                                                                                \
            waits[i] = 1;                                                                                              \
        for (bool again = n > 0; again;) {                                                                             \
            again = false;                                                                                             \
            for (int64_t begin = 0; begin < n; begin += FA_MT_CHUNK) {                                                 \
                const int64_t count = n - begin < FA_MT_CHUNK ? n - begin : FA_MT_CHUNK;                               \
                fa_mt_uniform_##NAME(mt, drawn, count, a, b);                                                          \
                for (int64_t i = 0; i < count; i++)                                                                    \
                    if (waits[begin + i] != 0)                                                                         \
                        out[begin + i] = drawn[i];                                                                     \
            }                                                                                                          \
            for (int64_t begin = 0; begin < n; begin += FA_MT_CHUNK) {                                                 \
                const int64_t count = n - begin < FA_MT_CHUNK ? n - begin : FA_MT_CHUNK;                               \
                fa_mt_uniform_##NAME(mt, drawn, count, 0, 1);                                                          \
                for (int64_t i = 0; i < count; i++) {                                                                  \
                    if (waits[begin + i] == 0)                                                                         \
                        continue;                                                                                      \
                    const bool waiting = rejects_##NAME(out[begin + i], drawn[i], (T)mean, (T)std, peak);              \
                    waits[begin + i] = waiting;                                                                        \
                    again |= waiting;                                                                                  \
                }                                                                                                      \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    void fa_mt_trunc_normal_##NAME(fa_mt *mt, T *out, int64_t n, double mean, double std, double a, double b,          \
                                   T *scratch)                                                                         \
    {                                                                                                                  \
        if (normal_cdf((b - mean) / std) - normal_cdf((a - mean) / std) > 0.3)                                         \
            truncate_by_normals_##NAME(mt, out, n, mean, std, (T)a, (T)b, scratch);                                    \
        else                                                                                                           \
            truncate_by_uniforms_##NAME(mt, out, n, mean, std, a, b, scratch);                                         \
    }

DEFINE_TRUNCATE(float, f32, logf)
DEFINE_TRUNCATE(double, f64, log)
