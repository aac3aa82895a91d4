/* Matrix product, blocked: C[m,n] = sum over k of op(A)[m,k] * op(B)[k,n], plus bias, relu; linear and matmul.
 *
 * k is cut into blocks of at most 256 and the blocks into at most 16 pieces, by k alone. A block's sum is one chain of
 * fv_fma; a piece adds its blocks in order, and the result adds its pieces in order. Where outputs give enough tasks a
 * task makes all pieces, one after the other; else each piece is a task of its own and a second pass adds them: the
 * same sums. A block of B is packed on the stack of the task that uses it, rows of A are read where they lie (a turned
 * A is turned back once). While a block is multiplied the next one is asked for, since few rows of A leave little time.
 *
 * Few rows times a turned B go the other way round (gemm_few.c). */
#include "cpu/kernels/gemm.h"

#include "cpu/kernels/common.h"
#include "cpu/kernels/tile.h"
#include "facula/base.h"

enum { MIN_TASKS = 32, ROWS_MANY = 192, ROWS_FEW = 96, ROWS_LEAST = 24 };

typedef struct gemm_plan {
    int64_t k_block, blocks, piece_blocks, pieces; /* of k alone */
    int64_t panels, rows, chunks;                  /* columns by FA_PANEL_COLUMNS; rows of a task */
    bool split;
    int64_t a_step; /* of the turned copy */
    size_t a_at, partial_at, bytes;
} gemm_plan;

static gemm_plan make_plan(int64_t m, int64_t n, int64_t k, bool a_turned)
{
    const fa_gemm_depth d = fa_gemm_depth_of(k);
    gemm_plan p = {.k_block = d.k_block, .blocks = d.blocks, .piece_blocks = d.piece_blocks, .pieces = d.pieces};
    p.panels = fa_blocks(n, FA_PANEL_COLUMNS);
    p.rows = fa_max64(1, fa_min64(m, ROWS_MANY));
    if (p.panels * fa_blocks(m, p.rows) < MIN_TASKS && p.panels * fa_blocks(m, ROWS_FEW) >= MIN_TASKS)
        p.rows = ROWS_FEW;
    p.split = p.pieces > 1 && p.panels * fa_blocks(m, p.rows) < MIN_TASKS;
    if (!p.split && p.panels * fa_blocks(m, p.rows) < MIN_TASKS)
        p.rows = fa_max64(fa_min64(p.rows, ROWS_LEAST), fa_blocks(m * p.panels, MIN_TASKS));
    p.chunks = fa_blocks(m, p.rows);
    p.a_step = fa_round_up(k, FV_LANES);
    if (a_turned)
        p.a_at = fa_carve(&p.bytes, m * p.a_step, sizeof(float));
    if (p.split)
        p.partial_at = fa_carve(&p.bytes, p.pieces * m * n, sizeof(float));
    return p;
}

size_t FA_ISA(fa_gemm_scratch)(int64_t m, int64_t n, int64_t k, bool a_turned, bool b_turned)
{
    if (FA_ISA(fa_gemm_is_few)(m, n, k, a_turned, b_turned))
        return FA_ISA(fa_gemm_few_scratch)(m, n, k);
    return make_plan(m, n, k, a_turned).bytes;
}

typedef struct gemm_context {
    fa_gemm_call call;
    gemm_plan plan;
    float *turned;      /* [m, a_step] */
    float *partial;     /* [pieces, m, n] */
    int64_t next_panel; /* panels to where this thread will probably go on: for prefetching alone */
} gemm_context;

/* ---- The pieces of work ------------------------------------------------------------------------------------------ */

enum { TURN_ROWS = 64 };

static void turn_task(void *context, int64_t i)
{
    const gemm_context *c = context;
    const int64_t m0 = i * TURN_ROWS;
    fa_transposed_copy(c->turned + m0 * c->plan.a_step, c->plan.a_step, c->call.a + m0, c->call.a_step, c->call.k,
                       fa_min64(TURN_ROWS, c->call.m - m0));
}

/* pack[k][vectors * FV_LANES] from columns n0 .. n0 + columns of a block of B; what lies beyond them is zero. */
static void pack_b(float *pack, const fa_gemm_call *call, int64_t k0, int64_t depth, int64_t n0, int64_t columns)
{
    const int64_t step = fa_round_up(columns, FV_LANES);
    if (call->b_turned) {
        fa_transposed_copy(pack, step, call->b + n0 * call->b_step + k0, call->b_step, columns, depth);
        return;
    }
    for (int64_t k = 0; k < depth; k++) {
        const float *row = call->b + (k0 + k) * call->b_step + n0;
        int64_t j = 0;
        for (; j + FV_LANES <= columns; j += FV_LANES)
            fv_store(pack + k * step + j, fv_load(row + j));
        if (j < columns)
            fv_store(pack + k * step + j, fv_load_n(row + j, columns - j));
    }
}

/* Rows of B, some columns wide, to be asked for. */
typedef struct ahead {
    const float *from;
    int64_t rows, step, columns;
} ahead;

static ahead block_ahead(const fa_gemm_call *call, int64_t k0, int64_t depth, int64_t n0)
{
    if (call->b_turned || n0 >= call->n)
        return (ahead){0};
    return (ahead){call->b + k0 * call->b_step + n0, depth, call->b_step, fa_min64(FA_PANEL_COLUMNS, call->n - n0)};
}

static void ask(const ahead *next, int64_t first, int64_t end)
{
    for (int64_t row = first; row < fa_min64(end, next->rows); row++)
        for (int64_t j = 0; j < next->columns; j += 16)
            fa_prefetch(next->from + row * next->step + j);
}

/* y[rows m0..m1) = or += one block's sums. */
static void block_rows(const gemm_context *c, float *y, int64_t y_step, const float *b, int64_t b_step, int64_t m0,
                       int64_t m1, int64_t columns, int64_t k0, int64_t depth, int flags, const float *bias,
                       const ahead *next)
{
    static const int64_t no_offset[1] = {0};
    const int vectors = (int)fa_blocks(columns, FV_LANES);
    const float *a = c->call.a_turned ? c->turned : c->call.a;
    const int64_t a_step = c->call.a_turned ? c->plan.a_step : c->call.a_step;
    const int64_t share = fa_blocks(next->rows, fa_blocks(m1 - m0, fa_tile_rows(vectors)));
    int64_t asked = 0;
    fa_tile_call tile = {.runs = no_offset,
                         .run_count = 1,
                         .run_length = depth,
                         .x_step = 1,
                         .w_step = b_step,
                         .w = b,
                         .bias = bias,
                         .columns = columns,
                         .flags = flags};
    for (int64_t m = m0; m < m1; asked += share) {
        const int rows = fa_tile_take(vectors, m1 - m);
        for (int i = 0; i < rows; i++) {
            tile.x[i] = a + (m + i) * a_step + k0;
            tile.y[i] = y + (m - m0 + i) * y_step;
        }
        ask(next, asked, asked + share);
        for (int64_t i = m - m0 + rows; i < fa_min64(m - m0 + 2 * rows, m1 - m0); i++)
            for (int64_t j = 0; j < columns; j += 16)
                fa_prefetch_write(y + i * y_step + j);
        FA_ISA(fa_tile)(&tile, rows, vectors);
        m += rows;
    }
}

static float finish(float sum, const float *bias, int64_t column, bool relu)
{
    if (bias)
        sum += bias[column];
    return relu && 0.0f > sum ? 0.0f : sum;
}

static void product_task(void *context, int64_t index)
{
    const gemm_context *c = context;
    const fa_gemm_call *call = &c->call;
    const gemm_plan *p = &c->plan;
    _Alignas(64) float pack[FA_GEMM_K_BLOCK * FA_PANEL_COLUMNS];
    _Alignas(64) float piece_sum[ROWS_FEW * FA_PANEL_COLUMNS];
    const int64_t chunk = index % p->chunks, panel = index / p->chunks % p->panels;
    const int64_t only_piece = index / p->chunks / p->panels;
    const int64_t n0 = panel * FA_PANEL_COLUMNS, columns = fa_min64(FA_PANEL_COLUMNS, call->n - n0);
    const int64_t m_begin = chunk * p->rows, m_end = fa_min64(call->m, m_begin + p->rows);
    const float *bias = call->bias ? call->bias + n0 : NULL;
    /* Sums of a piece of several blocks are kept apart from those of the pieces before it. */
    const bool apart = !p->split && p->piece_blocks > 1;
    /* B that is used once is not worth a copy. */
    const bool in_place = !call->b_turned && m_end - m_begin <= 4 && columns % FV_LANES == 0;
    const int64_t b_step = in_place ? call->b_step : fa_round_up(columns, FV_LANES);
    const int64_t row_group = apart ? ROWS_FEW : p->rows;
    for (int64_t m0 = m_begin; m0 < m_end; m0 += row_group) {
        const int64_t m1 = fa_min64(m_end, m0 + row_group);
        float *y = call->c + m0 * call->c_step + n0;
        for (int64_t piece = p->split ? only_piece : 0; piece <= (p->split ? only_piece : p->pieces - 1); piece++) {
            const int64_t first = piece * p->piece_blocks, end = fa_min64(p->blocks, first + p->piece_blocks);
            for (int64_t block = first; block < end; block++) {
                const int64_t k0 = block * p->k_block, depth = fa_min64(p->k_block, call->k - k0);
                const bool on = block + 1 < (p->split ? end : p->blocks); /* to the next block; else, probably, panel */
                const int64_t next_k = on ? k0 + depth : first * p->k_block;
                const ahead next = block_ahead(call, next_k, fa_min64(p->k_block, call->k - next_k),
                                               on ? n0 : n0 + c->next_panel * FA_PANEL_COLUMNS);
                const float *b = in_place ? call->b + k0 * call->b_step + n0 : pack;
                if (!in_place)
                    pack_b(pack, call, k0, depth, n0, columns);
                if (p->split) {
                    block_rows(c, c->partial + (piece * call->m + m0) * call->n + n0, call->n, b, b_step, m0, m1,
                               columns, k0, depth, block > first ? FA_TILE_ADD : 0, NULL, &next);
                } else if (apart) {
                    block_rows(c, piece_sum, FA_PANEL_COLUMNS, b, b_step, m0, m1, columns, k0, depth,
                               block > first ? FA_TILE_ADD : 0, NULL, &next);
                } else {
                    const bool last = block == p->blocks - 1;
                    block_rows(c, y, call->c_step, b, b_step, m0, m1, columns, k0, depth,
                               (block > 0 ? FA_TILE_ADD : 0) | (last && call->relu ? FA_TILE_RELU : 0),
                               last ? bias : NULL, &next);
                }
            }
            if (!apart)
                continue;
            const bool last = piece == p->pieces - 1;
            for (int64_t i = 0; i < m1 - m0; i++)
                for (int64_t j = 0; j < columns; j++) {
                    float *at = y + i * call->c_step + j;
                    float sum = piece_sum[i * FA_PANEL_COLUMNS + j];
                    sum = piece ? *at + sum : sum;
                    *at = last ? finish(sum, bias, j, call->relu) : sum;
                }
        }
    }
}

enum { ADD_COLUMNS = 1024 };

static void add_pieces_task(void *context, int64_t i)
{
    const gemm_context *c = context;
    const fa_gemm_call *call = &c->call;
    const int64_t parts = fa_blocks(call->n, ADD_COLUMNS);
    const int64_t row = i / parts, begin = i % parts * ADD_COLUMNS, end = fa_min64(call->n, begin + ADD_COLUMNS);
    float *y = call->c + row * call->c_step;
    const float *partial = c->partial + row * call->n;
    const int64_t piece_step = call->m * call->n;
    for (int64_t j = begin; j < end; j += FV_LANES) {
        fv sum = fv_load_n(partial + j, end - j);
        for (int64_t piece = 1; piece < c->plan.pieces; piece++)
            sum += fv_load_n(partial + piece * piece_step + j, end - j);
        if (call->bias)
            sum += fv_load_n(call->bias + j, end - j);
        fv_store_n(y + j, call->relu ? fv_relu(sum) : sum, end - j);
    }
}

static void empty_sums(const fa_gemm_call *call)
{
    for (int64_t i = 0; i < call->m; i++)
        for (int64_t j = 0; j < call->n; j++)
            call->c[i * call->c_step + j] = finish(0.0f, call->bias, j, call->relu);
}

void FA_ISA(fa_gemm)(const fa_gemm_call *call)
{
    if (call->m == 0 || call->n == 0)
        return;
    if (call->k == 0) {
        empty_sums(call);
        return;
    }
    if (FA_ISA(fa_gemm_is_few)(call->m, call->n, call->k, call->a_turned, call->b_turned)) {
        FA_ISA(fa_gemm_few)(call);
        return;
    }
    gemm_context c = {.call = *call, .plan = make_plan(call->m, call->n, call->k, call->a_turned)};
    c.next_panel = fa_get_num_threads();
    const double work = 2.0 * (double)call->m * (double)call->n * (double)call->k;
    if (call->a_turned) {
        c.turned = (float *)(void *)((char *)call->scratch + c.plan.a_at);
        fa_run_tasks(fa_blocks(call->m, TURN_ROWS), turn_task, &c, (double)call->m * (double)call->k);
    }
    if (c.plan.split)
        c.partial = (float *)(void *)((char *)call->scratch + c.plan.partial_at);
    fa_run_tasks(c.plan.chunks * c.plan.panels * (c.plan.split ? c.plan.pieces : 1), product_task, &c, work);
    if (c.plan.split)
        fa_run_tasks(call->m * fa_blocks(call->n, ADD_COLUMNS), add_pieces_task, &c,
                     (double)call->m * (double)call->n * (double)c.plan.pieces);
}

/* ---- linear: x [..., in] times weight [out, in] turned, plus bias ------------------------------------------------ */

static fa_gemm_call linear_call(const fa_kernel_args *args)
{
    const fa_meta *x = args->in_meta[0], *weight = args->in_meta[1];
    const int64_t in = weight->shape[1], out = weight->shape[0];
    int64_t rows = 1;
    for (int d = 0; d < x->ndim - 1; d++)
        rows *= x->shape[d];
    return (fa_gemm_call){.m = rows,
                          .n = out,
                          .k = in,
                          .c = args->out[0],
                          .c_step = out,
                          .a = args->in[0],
                          .a_step = in,
                          .b = args->in[1],
                          .b_step = in,
                          .b_turned = true,
                          .bias = args->in[2],
                          .relu = (args->fuse & FA_FUSE_RELU) != 0,
                          .scratch = args->scratch};
}

static bool linear_supports(const fa_kernel_args *args)
{
    return fa_all_float32(args, 3) && args->in_meta[0]->ndim >= 1 && args->in_meta[1]->ndim == 2;
}

static size_t linear_scratch(const fa_kernel_args *args)
{
    fa_gemm_call call = linear_call(args);
    return FA_ISA(fa_gemm_scratch)(call.m, call.n, call.k, false, true);
}

static void linear_run(const fa_kernel_args *args)
{
    fa_gemm_call call = linear_call(args);
    FA_ISA(fa_gemm)(&call);
}

/* ---- matmul of two matrices -------------------------------------------------------------------------------------- */

static fa_gemm_call matmul_call(const fa_kernel_args *args)
{
    const fa_meta *a = args->in_meta[0], *b = args->in_meta[1];
    const bool a_turned = args->ints[0] != 0, b_turned = args->ints[1] != 0;
    const int64_t n = b->shape[b_turned ? 0 : 1];
    return (fa_gemm_call){.m = a->shape[a_turned ? 1 : 0],
                          .n = n,
                          .k = a->shape[a_turned ? 0 : 1],
                          .c = args->out[0],
                          .c_step = n,
                          .a = args->in[0],
                          .a_step = a->shape[1],
                          .b = args->in[1],
                          .b_step = b->shape[1],
                          .a_turned = a_turned,
                          .b_turned = b_turned,
                          .scratch = args->scratch};
}

static bool matmul_supports(const fa_kernel_args *args)
{
    return fa_all_float32(args, 2) && args->in_meta[0]->ndim == 2 && args->in_meta[1]->ndim == 2;
}

static size_t matmul_scratch(const fa_kernel_args *args)
{
    fa_gemm_call call = matmul_call(args);
    return FA_ISA(fa_gemm_scratch)(call.m, call.n, call.k, call.a_turned, call.b_turned);
}

static void matmul_run(const fa_kernel_args *args)
{
    fa_gemm_call call = matmul_call(args);
    FA_ISA(fa_gemm)(&call);
}

const fa_cpu_kernel FA_ISA(fa_gemm_kernels)[] = {
    {.op = FA_OP_linear,
     .name = "linear blocked " FA_ISA_NAME,
     .supports = linear_supports,
     .scratch = linear_scratch,
     .run = linear_run,
     .fuse = FA_FUSE_RELU},
    {.op = FA_OP_matmul,
     .name = "matmul blocked " FA_ISA_NAME,
     .supports = matmul_supports,
     .scratch = matmul_scratch,
     .run = matmul_run},
    {.run = NULL},
};
