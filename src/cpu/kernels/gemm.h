/* Matrix product: C = op(A) op(B), then bias and relu. */
#ifndef FA_CPU_KERNELS_GEMM_H
#define FA_CPU_KERNELS_GEMM_H

#include "cpu/kernels/common.h"

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

/* How a sum over k is cut: into blocks, and these into pieces, by k alone. A block's sum is one chain of fv_fma, a
 * piece adds its blocks in order, the result adds its pieces in order. */
typedef struct fa_gemm_depth {
    int64_t k_block, blocks, piece_blocks, pieces;
} fa_gemm_depth;
enum { FA_GEMM_K_BLOCK = 256, FA_GEMM_MAX_PIECES = 16 };

FA_INLINE fa_gemm_depth fa_gemm_depth_of(int64_t k)
{
    fa_gemm_depth d = {.blocks = fa_blocks(k, FA_GEMM_K_BLOCK)};
    d.k_block = d.blocks ? fa_min64(FA_GEMM_K_BLOCK, fa_round_up(fa_blocks(k, d.blocks), 16)) : FA_GEMM_K_BLOCK;
    d.piece_blocks = fa_max64(1, fa_blocks(d.blocks, FA_GEMM_MAX_PIECES));
    d.pieces = fa_blocks(d.blocks, d.piece_blocks);
    return d;
}

/* Few rows of A times a turned B, the other way round (gemm_few.c): the same sums. */
bool FA_ISA(fa_gemm_is_few)(int64_t m, int64_t n, int64_t k, bool a_turned, bool b_turned);
size_t FA_ISA(fa_gemm_few_scratch)(int64_t m, int64_t n, int64_t k);
void FA_ISA(fa_gemm_few)(const fa_gemm_call *call);

size_t FA_ISA(fa_gemm_scratch)(int64_t m, int64_t n, int64_t k, bool a_turned, bool b_turned);
/* The order in which a sum over k is made depends on k alone: an output's bits are the same for any m and n. */
void FA_ISA(fa_gemm)(const fa_gemm_call *call);

#endif
