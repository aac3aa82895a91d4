/* Vectors of floats, one width an instruction set. Kernels in cpu/kernels/ are written once in these words and compiled
 * once an ISA, with one of FA_CPU_ISA_avx512, FA_CPU_ISA_avx2, FA_CPU_ISA_neon, FA_CPU_ISA_portable defined. Every
 * function that such a file exports is named through FA_ISA, so that the builds lie side by side in one library.
 *
 *   fv, fv_*   FV_LANES floats            fm, fm_*   a truth value a lane
 *   fi, fi_*   as many 32-bit integers
 *
 * fv_fma(a, b, c) is a*b + c: rounded once on avx512, avx2 and neon, twice on portable. Vectors also take the
 * operators + - * / and unary minus. */
#ifndef FA_CPU_SIMD_H
#define FA_CPU_SIMD_H

#include <stdint.h>
#include <string.h>

#define FA_INLINE static inline __attribute__((always_inline, unused))

/* Before a loop of at most 16 rounds, known at compile time: unrolled whole, so that arrays it indexes are registers.
 */
#if defined(__clang__)
#define FA_UNROLL _Pragma("clang loop unroll(full)")
#else
#define FA_UNROLL _Pragma("GCC unroll 16")
#endif

/* Asks for the cache line at p, to be read or overwritten soon. The empty statement keeps gcc from taking a function
 * that does nothing else for one that has no effect, whose calls it removes. */
FA_INLINE void fa_prefetch(const void *p)
{
    __builtin_prefetch(p, 0, 2);
    __asm__ volatile("");
}
FA_INLINE void fa_prefetch_write(const void *p)
{
    __builtin_prefetch(p, 1, 2);
    __asm__ volatile("");
}

#if defined(FA_CPU_ISA_avx512)
#include <immintrin.h>
#define FA_ISA(name) name##_avx512
#define FA_ISA_NAME "avx512"
enum { FV_LANES = 16 };
typedef __m512 fv;
typedef __m512i fi;
typedef __mmask16 fm;

/* The lowest n lanes, 0 <= n; all from FV_LANES on. */
FA_INLINE fm fm_first(int64_t n)
{
    return (fm)(n >= 16 ? 0xffffu : (1u << n) - 1u);
}
FA_INLINE fv fv_set1(float x)
{
    return _mm512_set1_ps(x);
}
FA_INLINE fv fv_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
FA_INLINE void fv_store(float *p, fv v)
{
    _mm512_storeu_ps(p, v);
}
FA_INLINE fv fv_load_n(const float *p, int64_t n)
{
    return _mm512_maskz_loadu_ps(fm_first(n), p);
}
FA_INLINE void fv_store_n(float *p, fv v, int64_t n)
{
    _mm512_mask_storeu_ps(p, fm_first(n), v);
}
FA_INLINE fv fv_fma(fv a, fv b, fv c)
{
    return _mm512_fmadd_ps(a, b, c);
}
FA_INLINE fv fv_sqrt(fv a)
{
    return _mm512_sqrt_ps(a);
}
/* The larger of two; b where a lane holds a NaN. */
FA_INLINE fv fv_max(fv a, fv b)
{
    return _mm512_max_ps(a, b);
}
FA_INLINE fv fv_min(fv a, fv b)
{
    return _mm512_min_ps(a, b);
}
FA_INLINE fm fv_gt(fv a, fv b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
FA_INLINE fm fv_ge(fv a, fv b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_GE_OQ);
}
FA_INLINE fm fv_eq(fv a, fv b)
{
    return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ);
}
FA_INLINE fm fv_isnan(fv a)
{
    return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
}
FA_INLINE fm fm_and(fm a, fm b)
{
    return (fm)(a & b);
}
FA_INLINE fm fm_or(fm a, fm b)
{
    return (fm)(a | b);
}
FA_INLINE fm fm_not(fm a)
{
    return (fm)~a;
}
FA_INLINE int fm_any(fm a)
{
    return a != 0;
}
/* mask ? a : b */
FA_INLINE fv fv_select(fm mask, fv a, fv b)
{
    return _mm512_mask_mov_ps(b, mask, a);
}
FA_INLINE fi fi_set1(int32_t x)
{
    return _mm512_set1_epi32(x);
}
FA_INLINE fi fi_load(const int32_t *p)
{
    return _mm512_loadu_si512(p);
}
FA_INLINE void fi_store(int32_t *p, fi v)
{
    _mm512_storeu_si512(p, v);
}
FA_INLINE fi fi_select(fm mask, fi a, fi b)
{
    return _mm512_mask_mov_epi32(b, mask, a);
}
FA_INLINE fm fi_eq(fi a, fi b)
{
    return _mm512_cmpeq_epi32_mask(a, b);
}
/* The low byte of each lane; and bytes widened. */
FA_INLINE void fi_store_u8(uint8_t *p, fi v)
{
    _mm_storeu_si128((__m128i *)(void *)p, _mm512_cvtepi32_epi8(v));
}
FA_INLINE fi fi_load_u8(const uint8_t *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
}
FA_INLINE fv fv_from_int(fi v)
{
    return _mm512_cvtepi32_ps(v);
}
/* To the nearest integer, ties to even. */
FA_INLINE fi fi_round(fv v)
{
    return _mm512_cvtps_epi32(v);
}
FA_INLINE fi fi_add(fi a, fi b)
{
    return _mm512_add_epi32(a, b);
}
#define fi_shift_left(a, count) _mm512_slli_epi32((a), (count))
FA_INLINE fv fv_from_bits(fi v)
{
    return _mm512_castsi512_ps(v);
}
FA_INLINE fi fv_bits(fv v)
{
    return _mm512_castps_si512(v);
}

#elif defined(FA_CPU_ISA_avx2)
#include <immintrin.h>
#define FA_ISA(name) name##_avx2
#define FA_ISA_NAME "avx2"
enum { FV_LANES = 8 };
typedef __m256 fv;
typedef __m256i fi;
typedef __m256 fm;

FA_INLINE fm fm_first(int64_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n > 8 ? 8 : (int32_t)n), lane));
}
FA_INLINE fv fv_set1(float x)
{
    return _mm256_set1_ps(x);
}
FA_INLINE fv fv_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
FA_INLINE void fv_store(float *p, fv v)
{
    _mm256_storeu_ps(p, v);
}
FA_INLINE fv fv_load_n(const float *p, int64_t n)
{
    return _mm256_maskload_ps(p, _mm256_castps_si256(fm_first(n)));
}
FA_INLINE void fv_store_n(float *p, fv v, int64_t n)
{
    _mm256_maskstore_ps(p, _mm256_castps_si256(fm_first(n)), v);
}
FA_INLINE fv fv_fma(fv a, fv b, fv c)
{
    return _mm256_fmadd_ps(a, b, c);
}
FA_INLINE fv fv_sqrt(fv a)
{
    return _mm256_sqrt_ps(a);
}
FA_INLINE fv fv_max(fv a, fv b)
{
    return _mm256_max_ps(a, b);
}
FA_INLINE fv fv_min(fv a, fv b)
{
    return _mm256_min_ps(a, b);
}
FA_INLINE fm fv_gt(fv a, fv b)
{
    return _mm256_cmp_ps(a, b, _CMP_GT_OQ);
}
FA_INLINE fm fv_ge(fv a, fv b)
{
    return _mm256_cmp_ps(a, b, _CMP_GE_OQ);
}
FA_INLINE fm fv_eq(fv a, fv b)
{
    return _mm256_cmp_ps(a, b, _CMP_EQ_OQ);
}
FA_INLINE fm fv_isnan(fv a)
{
    return _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
}
FA_INLINE fm fm_and(fm a, fm b)
{
    return _mm256_and_ps(a, b);
}
FA_INLINE fm fm_or(fm a, fm b)
{
    return _mm256_or_ps(a, b);
}
FA_INLINE fm fm_not(fm a)
{
    return _mm256_xor_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(-1)));
}
FA_INLINE int fm_any(fm a)
{
    return _mm256_movemask_ps(a) != 0;
}
FA_INLINE fv fv_select(fm mask, fv a, fv b)
{
    return _mm256_blendv_ps(b, a, mask);
}
FA_INLINE fi fi_set1(int32_t x)
{
    return _mm256_set1_epi32(x);
}
FA_INLINE fi fi_load(const int32_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}
FA_INLINE void fi_store(int32_t *p, fi v)
{
    _mm256_storeu_si256((__m256i *)(void *)p, v);
}
FA_INLINE fi fi_select(fm mask, fi a, fi b)
{
    return _mm256_castps_si256(_mm256_blendv_ps(_mm256_castsi256_ps(b), _mm256_castsi256_ps(a), mask));
}
FA_INLINE fm fi_eq(fi a, fi b)
{
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b));
}
FA_INLINE void fi_store_u8(uint8_t *p, fi v)
{
    const __m256i pick = _mm256_set1_epi32(0x0c080400);
    __m256i bytes = _mm256_shuffle_epi8(v, pick);
    int32_t low = _mm256_extract_epi32(bytes, 0), high = _mm256_extract_epi32(bytes, 4);
    memcpy(p, &low, 4);
    memcpy(p + 4, &high, 4);
}
FA_INLINE fi fi_load_u8(const uint8_t *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p));
}
FA_INLINE fv fv_from_int(fi v)
{
    return _mm256_cvtepi32_ps(v);
}
FA_INLINE fi fi_round(fv v)
{
    return _mm256_cvtps_epi32(v);
}
FA_INLINE fi fi_add(fi a, fi b)
{
    return _mm256_add_epi32(a, b);
}
#define fi_shift_left(a, count) _mm256_slli_epi32((a), (count))
FA_INLINE fv fv_from_bits(fi v)
{
    return _mm256_castsi256_ps(v);
}
FA_INLINE fi fv_bits(fv v)
{
    return _mm256_castps_si256(v);
}

#elif defined(FA_CPU_ISA_neon) || defined(FA_CPU_ISA_portable)
enum { FV_LANES = 4 };
#if defined(FA_CPU_ISA_neon)
#include <arm_neon.h>
#define FA_ISA(name) name##_neon
#define FA_ISA_NAME "neon"
typedef float32x4_t fv;
typedef int32x4_t fi;
#else
#define FA_ISA(name) name##_portable
#define FA_ISA_NAME "portable"
typedef float fv __attribute__((vector_size(16)));
typedef int32_t fi __attribute__((vector_size(16)));
#endif
typedef fi fm;

FA_INLINE fm fm_first(int64_t n)
{
    const fi lane = {0, 1, 2, 3};
    int32_t count = n > 4 ? 4 : (int32_t)n;
    return (fm)(lane < (fi){count, count, count, count});
}
FA_INLINE fv fv_set1(float x)
{
    return (fv){x, x, x, x};
}
FA_INLINE fv fv_load(const float *p)
{
    fv v;
    memcpy(&v, p, sizeof v);
    return v;
}
FA_INLINE void fv_store(float *p, fv v)
{
    memcpy(p, &v, sizeof v);
}
FA_INLINE fv fv_load_n(const float *p, int64_t n)
{
    if (n >= 4)
        return fv_load(p);
    return (fv){n > 0 ? p[0] : 0, n > 1 ? p[1] : 0, n > 2 ? p[2] : 0, 0};
}
FA_INLINE void fv_store_n(float *p, fv v, int64_t n)
{
    if (n >= 4) {
        fv_store(p, v);
        return;
    }
    if (n > 0)
        p[0] = v[0];
    if (n > 1)
        p[1] = v[1];
    if (n > 2)
        p[2] = v[2];
}
FA_INLINE fm fv_gt(fv a, fv b)
{
    return (fm)(a > b);
}
FA_INLINE fm fv_ge(fv a, fv b)
{
    return (fm)(a >= b);
}
FA_INLINE fm fv_eq(fv a, fv b)
{
    return (fm)(a == b);
}
FA_INLINE fm fv_isnan(fv a)
{
    return ~(fm)(a == a);
}
FA_INLINE fm fm_and(fm a, fm b)
{
    return a & b;
}
FA_INLINE fm fm_or(fm a, fm b)
{
    return a | b;
}
FA_INLINE fm fm_not(fm a)
{
    return ~a;
}
FA_INLINE int fm_any(fm a)
{
    return (a[0] | a[1] | a[2] | a[3]) != 0;
}
FA_INLINE fi fi_select(fm mask, fi a, fi b)
{
    return (mask & a) | (~mask & b);
}
FA_INLINE fv fv_select(fm mask, fv a, fv b)
{
    return (fv)fi_select(mask, (fi)a, (fi)b);
}
FA_INLINE fv fv_max(fv a, fv b)
{
    return fv_select(fv_gt(a, b), a, b);
}
FA_INLINE fv fv_min(fv a, fv b)
{
    return fv_select(fv_gt(b, a), a, b);
}
FA_INLINE fi fi_set1(int32_t x)
{
    return (fi){x, x, x, x};
}
FA_INLINE fi fi_load(const int32_t *p)
{
    fi v;
    memcpy(&v, p, sizeof v);
    return v;
}
FA_INLINE void fi_store(int32_t *p, fi v)
{
    memcpy(p, &v, sizeof v);
}
FA_INLINE fm fi_eq(fi a, fi b)
{
    return (fm)(a == b);
}
FA_INLINE void fi_store_u8(uint8_t *p, fi v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)v[i];
}
FA_INLINE fi fi_load_u8(const uint8_t *p)
{
    return (fi){p[0], p[1], p[2], p[3]};
}
FA_INLINE fi fi_add(fi a, fi b)
{
    return a + b;
}
#define fi_shift_left(a, count) ((fi)((a) << (count)))
FA_INLINE fv fv_from_bits(fi v)
{
    return (fv)v;
}
FA_INLINE fi fv_bits(fv v)
{
    return (fi)v;
}
#if defined(FA_CPU_ISA_neon)
FA_INLINE fv fv_fma(fv a, fv b, fv c)
{
    return vfmaq_f32(c, a, b);
}
FA_INLINE fv fv_sqrt(fv a)
{
    return vsqrtq_f32(a);
}
FA_INLINE fv fv_from_int(fi v)
{
    return vcvtq_f32_s32(v);
}
FA_INLINE fi fi_round(fv v)
{
    return vcvtnq_s32_f32(v);
}
#else
FA_INLINE fv fv_fma(fv a, fv b, fv c)
{
    return a * b + c;
}
FA_INLINE fv fv_sqrt(fv a)
{
    return (fv){__builtin_sqrtf(a[0]), __builtin_sqrtf(a[1]), __builtin_sqrtf(a[2]), __builtin_sqrtf(a[3])};
}
FA_INLINE fv fv_from_int(fi v)
{
    return (fv){(float)v[0], (float)v[1], (float)v[2], (float)v[3]};
}
FA_INLINE fi fi_round(fv v)
{
    return (fi){(int32_t)__builtin_rintf(v[0]), (int32_t)__builtin_rintf(v[1]), (int32_t)__builtin_rintf(v[2]),
                (int32_t)__builtin_rintf(v[3])};
}
#endif

#else
#error "define FA_CPU_ISA_avx512, FA_CPU_ISA_avx2, FA_CPU_ISA_neon or FA_CPU_ISA_portable"
#endif

FA_INLINE fv fv_zero(void)
{
    return fv_set1(0.0f);
}
/* max(x, 0); a NaN stays. */
FA_INLINE fv fv_relu(fv x)
{
    return fv_max(fv_zero(), x);
}
/* The low byte of the first n lanes. */
FA_INLINE void fi_store_u8_n(uint8_t *p, fi v, int64_t n)
{
    if (n >= FV_LANES) {
        fi_store_u8(p, v);
        return;
    }
    uint8_t bytes[FV_LANES];
    fi_store_u8(bytes, v);
    for (int64_t i = 0; i < n; i++)
        p[i] = bytes[i];
}
/* The first n bytes widened, zeros after them. */
FA_INLINE fi fi_load_u8_n(const uint8_t *p, int64_t n)
{
    if (n >= FV_LANES)
        return fi_load_u8(p);
    uint8_t bytes[FV_LANES] = {0};
    memcpy(bytes, p, (size_t)n);
    return fi_load_u8(bytes);
}
/* The sum of all lanes, halves added to halves: the same order on every call. */
FA_INLINE float fv_sum(fv v)
{
    float lane[FV_LANES];
    fv_store(lane, v);
    for (int half = FV_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}
/* The largest lane; NaN if there is one. */
FA_INLINE float fv_largest(fv v)
{
    float lane[FV_LANES];
    fv_store(lane, v);
    float best = lane[0];
    for (int i = 1; i < FV_LANES; i++)
        if (lane[i] > best || lane[i] != lane[i])
            best = lane[i];
    return best;
}

/* row[i][j] becomes row[j][i]: log2(FV_LANES) rounds, each exchanging the off-diagonal blocks of one size. */
FA_INLINE void fv_transpose(fv row[FV_LANES])
{
#if defined(FA_CPU_ISA_avx512)
#define FA_EXCHANGE_(distance, first, second)                                                                          \
    for (int i = 0; i < 16; i++)                                                                                       \
        if (!(i & (distance))) {                                                                                       \
            fv a = row[i], b = row[i + (distance)];                                                                    \
            row[i] = _mm512_permutex2var_ps(a, first, b);                                                              \
            row[i + (distance)] = _mm512_permutex2var_ps(a, second, b);                                                \
        }
    const __m512i low8 = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23);
    const __m512i high8 = _mm512_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31);
    const __m512i low4 = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
    const __m512i high4 = _mm512_setr_epi32(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
    const __m512i low2 = _mm512_setr_epi32(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
    const __m512i high2 = _mm512_setr_epi32(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
    const __m512i low1 = _mm512_setr_epi32(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30);
    const __m512i high1 = _mm512_setr_epi32(1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
    FA_EXCHANGE_(8, low8, high8)
    FA_EXCHANGE_(4, low4, high4)
    FA_EXCHANGE_(2, low2, high2)
    FA_EXCHANGE_(1, low1, high1)
#undef FA_EXCHANGE_
#elif defined(FA_CPU_ISA_avx2)
    for (int i = 0; i < 4; i++) {
        fv a = row[i], b = row[i + 4];
        row[i] = _mm256_permute2f128_ps(a, b, 0x20);
        row[i + 4] = _mm256_permute2f128_ps(a, b, 0x31);
    }
    for (int i = 0; i < 8; i += 4) {
        fv a = _mm256_unpacklo_ps(row[i], row[i + 2]), b = _mm256_unpackhi_ps(row[i], row[i + 2]);
        fv c = _mm256_unpacklo_ps(row[i + 1], row[i + 3]), d = _mm256_unpackhi_ps(row[i + 1], row[i + 3]);
        row[i] = _mm256_unpacklo_ps(a, c);
        row[i + 1] = _mm256_unpackhi_ps(a, c);
        row[i + 2] = _mm256_unpacklo_ps(b, d);
        row[i + 3] = _mm256_unpackhi_ps(b, d);
    }
#else
    fv a = row[0], b = row[1], c = row[2], d = row[3];
    row[0] = (fv){a[0], b[0], c[0], d[0]};
    row[1] = (fv){a[1], b[1], c[1], d[1]};
    row[2] = (fv){a[2], b[2], c[2], d[2]};
    row[3] = (fv){a[3], b[3], c[3], d[3]};
#endif
}

#endif
