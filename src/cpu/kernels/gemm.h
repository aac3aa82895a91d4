/* Matrix product: C = op(A) op(B), then bias and relu. */
#ifndef FA_CPU_KERNELS_GEMM_H
#define FA_CPU_KERNELS_GEMM_H

#include "cpu/simd.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct fa_gemm_call {
    int64_t m, n, k;
    float *c; /* [m, n], rows c_step apart */
    int64_t c_step;
    const float *a; /* [m, k], or [k, m] if a_turned; rows a_step apart */
    int64_t a_step;
    const float *b; /* [k, n], or [n, k] if b_turned */
    int64_t b_step;
    bool a_turned, b_turned;
    const float *bias; /* [n] or NULL: added to each row */
    bool relu;
    void *scratch; /* fa_gemm_scratch bytes, 64-byte aligned */
} fa_gemm_call;

size_t FA_ISA(fa_gemm_scratch)(int64_t m, int64_t n, int64_t k, bool a_turned);
/* The order in which a sum over k is made depends on k alone: an output's bits are the same for any m and n. */
void FA_ISA(fa_gemm)(const fa_gemm_call *call);

#endif
