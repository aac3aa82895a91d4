/* Doubles beside the floats of simd.h, for sums that must not round, and a*b + c rounded once on every ISA.
 *
 *   dv, dv_*   DV_LANES doubles, half a float vector: fv v is dv_low(v), dv_high(v); fv_narrow(low, high) rounds back.
 *
 * dv also takes the operators + - * /. */
#ifndef FA_CPU_KERNELS_WIDE_H
#define FA_CPU_KERNELS_WIDE_H

#include "cpu/kernels/common.h"

enum { DV_LANES = FV_LANES / 2 };

#if defined(FA_CPU_ISA_avx512)
typedef __m512d dv;
FA_INLINE dv dv_low(fv v)
{
    return _mm512_cvtps_pd(_mm512_castps512_ps256(v));
}
FA_INLINE dv dv_high(fv v)
{
    return _mm512_cvtps_pd(_mm512_extractf32x8_ps(v, 1));
}
FA_INLINE fv fv_narrow(dv low, dv high)
{
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(low)), _mm512_cvtpd_ps(high), 1);
}
FA_INLINE dv dv_set1(double x)
{
    return _mm512_set1_pd(x);
}
#elif defined(FA_CPU_ISA_avx2)
typedef __m256d dv;
FA_INLINE dv dv_low(fv v)
{
    return _mm256_cvtps_pd(_mm256_castps256_ps128(v));
}
FA_INLINE dv dv_high(fv v)
{
    return _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
}
FA_INLINE fv fv_narrow(dv low, dv high)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(low)), _mm256_cvtpd_ps(high), 1);
}
FA_INLINE dv dv_set1(double x)
{
    return _mm256_set1_pd(x);
}
#elif defined(FA_CPU_ISA_neon)
typedef float64x2_t dv;
FA_INLINE dv dv_low(fv v)
{
    return vcvt_f64_f32(vget_low_f32(v));
}
FA_INLINE dv dv_high(fv v)
{
    return vcvt_high_f64_f32(v);
}
FA_INLINE fv fv_narrow(dv low, dv high)
{
    return vcvt_high_f32_f64(vcvt_f32_f64(low), high);
}
FA_INLINE dv dv_set1(double x)
{
    return vdupq_n_f64(x);
}
#else
typedef double dv __attribute__((vector_size(16)));
FA_INLINE dv dv_low(fv v)
{
    return (dv){(double)v[0], (double)v[1]};
}
FA_INLINE dv dv_high(fv v)
{
    return (dv){(double)v[2], (double)v[3]};
}
FA_INLINE fv fv_narrow(dv low, dv high)
{
    return (fv){(float)low[0], (float)low[1], (float)high[0], (float)high[1]};
}
FA_INLINE dv dv_set1(double x)
{
    return (dv){x, x};
}
#endif

FA_INLINE dv dv_load(const double *p)
{
    dv v;
    memcpy(&v, p, sizeof v);
    return v;
}
FA_INLINE void dv_store(double *p, dv v)
{
    memcpy(p, &v, sizeof v);
}
/* The sum of all lanes, halves added to halves. */
FA_INLINE double dv_sum(dv v)
{
    double lane[DV_LANES];
    dv_store(lane, v);
    for (int half = DV_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

/* a*b + c, rounded once. */
FA_INLINE fv fv_fma_exact(fv a, fv b, fv c)
{
#if defined(FA_CPU_ISA_portable)
    return (fv){__builtin_fmaf(a[0], b[0], c[0]), __builtin_fmaf(a[1], b[1], c[1]), __builtin_fmaf(a[2], b[2], c[2]),
                __builtin_fmaf(a[3], b[3], c[3])};
#else
    return fv_fma(a, b, c);
#endif
}

/* A whole vector, or the first n lanes with zeros after them. */
FA_INLINE fv fv_load_some(const float *p, int64_t n)
{
    return n >= FV_LANES ? fv_load(p) : fv_load_n(p, n);
}
FA_INLINE void fv_store_some(float *p, fv v, int64_t n)
{
    if (n >= FV_LANES)
        fv_store(p, v);
    else
        fv_store_n(p, v, n);
}

/* [0, n) in ranges of 16384 floats, or as one where a second thread is not worth waking. */
FA_INLINE void fa_run_flat(int64_t n, fa_range_task task, void *context)
{
    fa_parallel_for(n, n <= 65536 ? n : 16384, task, context);
}

#endif
