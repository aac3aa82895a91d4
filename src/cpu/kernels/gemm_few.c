/* Few rows times a turned B, C[m,n] = A[m,k] * B[n,k]': a layer's scores for a small batch, where B is the large one
 * and would be packed for little use. So B's rows are read where they lie, one after the other, as those of A otherwise
 * are: C' = B A', with a block of A' packed on the stack, m columns of at most one panel. Sums are made as in gemm.c,
 * with the same bits.
 */
#include "cpu/kernels/gemm.h"

#include "cpu/kernels/tile.h"

enum { ROWS = 132, ROWS_LESS = 72, PIECES = 16, GROUP = 12, LINE = 16 };

bool FA_ISA(fa_gemm_is_few)(int64_t m, int64_t n, int64_t k, bool a_turned, bool b_turned)
{
    return b_turned && !a_turned && m >= FV_LANES && m <= FA_PANEL_COLUMNS && n >= m && k >= FA_GEMM_K_BLOCK;
}

typedef struct few_context {
    fa_gemm_call call;
    fa_gemm_depth depth;
    int64_t lanes, rows, chunks; /* m in whole vectors; rows of B of a task; tasks of a piece */
    size_t bytes;
    float *sums; /* [pieces, n, lanes] */
} few_context;

static few_context make_context(const fa_gemm_call *call)
{
    few_context c = {.call = *call, .depth = fa_gemm_depth_of(call->k)};
    c.lanes = fa_round_up(call->m, FV_LANES);
    c.rows = c.depth.pieces < PIECES ? ROWS_LESS : ROWS;
    c.chunks = fa_blocks(call->n, c.rows);
    fa_carve(&c.bytes, c.depth.pieces * call->n * c.lanes, sizeof(float));
    return c;
}

size_t FA_ISA(fa_gemm_few_scratch)(int64_t m, int64_t n, int64_t k)
{
    const fa_gemm_call call = {.m = m, .n = n, .k = k};
    return make_context(&call).bytes;
}

/* Asks for [k, end) of some rows. */
static void ask(const float *rows, int64_t step, int64_t count, int64_t k, int64_t end)
{
    for (int64_t row = 0; row < count; row++)
        for (int64_t at = k; at < end; at += LINE)
            fa_prefetch(rows + row * step + at);
}

/* One piece of k, some rows of B. While a group of rows is multiplied, its next block is asked for. */
static void product_task(void *context, int64_t index)
{
    const few_context *c = context;
    const fa_gemm_call *call = &c->call;
    const int64_t chunk = index % c->chunks, piece = index / c->chunks;
    const int64_t n0 = chunk * c->rows, n1 = fa_min64(call->n, n0 + c->rows);
    const int64_t first = piece * c->depth.piece_blocks, end = fa_min64(c->depth.blocks, first + c->depth.piece_blocks);
    float *sums = c->sums + piece * call->n * c->lanes;
    _Alignas(64) float packed[FA_GEMM_K_BLOCK * FA_PANEL_COLUMNS];
    for (int64_t block = first; block < end; block++) {
        const int64_t k0 = block * c->depth.k_block, k1 = fa_min64(call->k, k0 + c->depth.k_block);
        const int64_t k2 = block + 1 < end ? fa_min64(call->k, k1 + c->depth.k_block) : k1;
        fa_transposed_copy(packed, c->lanes, call->a + k0, call->a_step, call->m, k1 - k0);
        ask(call->a, call->a_step, call->m, k1, k2);
        for (int64_t n = n0; n < n1; n += GROUP) {
            const fa_rows_call rows = {.rows = fa_min64(GROUP, n1 - n),
                                       .depth = k1 - k0,
                                       .x = call->b + n * call->b_step + k0,
                                       .x_step = call->b_step,
                                       .w = packed,
                                       .w_step = c->lanes,
                                       .y = sums + n * c->lanes,
                                       .y_step = c->lanes,
                                       .add = block > first};
            ask(call->b + n * call->b_step, call->b_step, rows.rows, k1, k2);
            FA_ISA(fa_tile_rows_run)(&rows, (int)(c->lanes / FV_LANES));
        }
    }
}

/* A vector of columns of C: the pieces added, and turned. */
static void finish_task(void *context, int64_t index)
{
    const few_context *c = context;
    const fa_gemm_call *call = &c->call;
    const int64_t n = index * FV_LANES, columns = fa_min64(FV_LANES, call->n - n);
    _Alignas(64) float sums[FV_LANES * FA_PANEL_COLUMNS], turned[FA_PANEL_COLUMNS * FV_LANES];
    for (int64_t at = 0; at < columns * c->lanes; at += FV_LANES) {
        const float *from = c->sums + n * c->lanes + at;
        fv sum = fv_load(from);
        for (int64_t piece = 1; piece < c->depth.pieces; piece++)
            sum += fv_load(from + piece * call->n * c->lanes);
        fv_store(sums + at, sum);
    }
    fa_transposed_copy(turned, FV_LANES, sums, c->lanes, columns, c->lanes);
    const fv bias = call->bias ? fv_load_n(call->bias + n, columns) : fv_zero();
    for (int64_t m = 0; m < call->m; m++) {
        fv sum = fv_load(turned + m * FV_LANES);
        if (call->bias)
            sum += bias;
        fv_store_n(call->c + m * call->c_step + n, call->relu ? fv_relu(sum) : sum, columns);
    }
}

void FA_ISA(fa_gemm_few)(const fa_gemm_call *call)
{
    few_context c = make_context(call);
    c.sums = call->scratch;
    fa_run_tasks(c.depth.pieces * c.chunks, product_task, &c,
                 2.0 * (double)call->m * (double)call->n * (double)call->k);
    fa_run_tasks(fa_blocks(call->n, FV_LANES), finish_task, &c, (double)call->n * (double)(c.lanes * c.depth.pieces));
}
