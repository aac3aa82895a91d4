/* Batch norm forward, channels last; per channel over M = N*H*W values, the formulas of the batch_norm ops:
 *
 *     stats        mean, v = sum of (x - mean)^2: two passes
 *     apply, eval  y = x*alpha + beta, alpha = invstd*weight, beta = bias - mean*alpha; then relu if asked, and a 2x2
 *                  max-pool that writes the largest value and its place alone
 *
 * Sums in double. */
#include "cpu/kernels/batch_norm.h"
#include "cpu/kernels/tile.h"

typedef struct norm_call {
    fa_norm norm;
    const float *x, *mean;
    float *y;
    uint8_t *winner;
    double *sums;                         /* see fa_norm_sums_size */
    const float *alpha, *beta;            /* [channels] */
    int64_t height, width, rows, columns; /* of x; of the pooled planes */
} norm_call;

static size_t sums_scratch(const fa_kernel_args *args)
{
    const fa_norm norm = fa_norm_of(args, 0);
    return fa_norm_sums_bytes(&norm);
}

static size_t line_scratch(const fa_kernel_args *args)
{
    return (size_t)(2 * args->in_meta[0]->shape[1]) * sizeof(float) + 64;
}

/* ---- Statistics -------------------------------------------------------------------------------------------------- */

/* n channels from o on of one position: sums += x; or, with mean, the squares of x - mean, each rounded to float. */
FA_INLINE void add_position(const norm_call *c, bool squares, double *sums, const float *x, int64_t o, int64_t n)
{
    fv value = fv_load_some(x + o, n);
    if (squares) {
        const fv difference = value - fv_load_some(c->mean + o, n);
        value = difference * difference;
    }
    dv_store(sums + o, dv_load(sums + o) + dv_low(value));
    dv_store(sums + o + DV_LANES, dv_load(sums + o + DV_LANES) + dv_high(value));
}

FA_INLINE void add_piece(const norm_call *c, bool squares, int64_t piece)
{
    const int64_t C = c->norm.channels, size = fa_norm_sums_size(&c->norm);
    int64_t rows;
    const float *x = c->x + fa_norm_begin(&c->norm, piece, &rows) * C;
    double *sums = c->sums + piece * size + (squares ? size / 2 : 0);
    memset(sums, 0, (size_t)size / 2 * sizeof *sums);
    for (int64_t i = 0; i < rows; i++, x += C) {
        int64_t o = 0;
        for (; o + FV_LANES <= C; o += FV_LANES)
            add_position(c, squares, sums, x, o, FV_LANES);
        if (o < C)
            add_position(c, squares, sums, x, o, C - o);
    }
}

static void sum_task(void *context, int64_t piece)
{
    add_piece(context, false, piece);
}

static void squares_task(void *context, int64_t piece)
{
    add_piece(context, true, piece);
}

static void stats_run(const fa_kernel_args *args)
{
    norm_call c = {.norm = fa_norm_of(args, 0), .x = args->in[0], .sums = args->scratch};
    float *mean = args->out[0], *v = mean + c.norm.channels;
    c.mean = mean;
    fa_norm_run(&c.norm, sum_task, &c);
    for (int64_t o = 0; o < c.norm.channels; o++)
        mean[o] = (float)(fa_norm_total(&c.norm, c.sums, 0, o) / (double)c.norm.pieces.rows);
    fa_norm_run(&c.norm, squares_task, &c);
    for (int64_t o = 0; o < c.norm.channels; o++)
        v[o] = (float)fa_norm_total(&c.norm, c.sums, 1, o);
}

/* ---- The line ---------------------------------------------------------------------------------------------------- */

FA_INLINE fv line(const norm_call *c, const float *x, int64_t o, int64_t n)
{
    return fv_fma_exact(fv_load_some(x + o, n), fv_load_some(c->alpha + o, n), fv_load_some(c->beta + o, n));
}

FA_INLINE void line_piece(const norm_call *c, int64_t piece, bool relu)
{
    const int64_t C = c->norm.channels;
    int64_t rows;
    const int64_t begin = fa_norm_begin(&c->norm, piece, &rows);
    const float *x = c->x + begin * C;
    float *y = c->y + begin * C;
    for (int64_t i = 0; i < rows; i++, x += C, y += C) {
        int64_t o = 0;
        for (; o + FV_LANES <= C; o += FV_LANES) {
            const fv value = line(c, x, o, FV_LANES);
            fv_store(y + o, relu ? fv_relu(value) : value);
        }
        if (o < C) {
            const fv value = line(c, x, o, C - o);
            fv_store_n(y + o, relu ? fv_relu(value) : value, C - o);
        }
    }
}

static void line_task(void *context, int64_t piece)
{
    line_piece(context, piece, false);
}

static void line_relu_task(void *context, int64_t piece)
{
    line_piece(context, piece, true);
}

/* n channels from o on of the window whose rows begin at x0 and x1. */
FA_INLINE void pool_window(const norm_call *c, const float *x0, const float *x1, int64_t at, int64_t o, int64_t n)
{
    const int64_t C = c->norm.channels;
    const fv window[4] = {line(c, x0, o, n), line(c, x0 + C, o, n), line(c, x1, o, n), line(c, x1 + C, o, n)};
    fi winner;
    const fv best = fa_pool_window(window, 1, fv_zero(), &winner);
    fv_store_some(c->y + at + o, best, n);
    fi_store_u8_n(c->winner + at + o, winner, n);
}

/* A row of windows. */
static void line_pool_task(void *context, int64_t task)
{
    const norm_call *c = context;
    const int64_t C = c->norm.channels;
    const float *x0 = c->x + (task / c->rows * c->height + task % c->rows * 2) * c->width * C, *x1 = x0 + c->width * C;
    for (int64_t j = 0, at = task * c->columns * C; j < c->columns; j++, at += C, x0 += 2 * C, x1 += 2 * C) {
        int64_t o = 0;
        for (; o + FV_LANES <= C; o += FV_LANES)
            pool_window(c, x0, x1, at, o, FV_LANES);
        if (o < C)
            pool_window(c, x0, x1, at, o, C - o);
    }
}

/* `weight` and `bias` are inputs `at` and at + 1. */
FA_INLINE void run_line(const fa_kernel_args *args, bool batch)
{
    const fa_meta *x = args->in_meta[0], *y = args->out_meta[0];
    norm_call c = {.norm = fa_norm_of(args, 0),
                   .x = args->in[0],
                   .y = args->out[0],
                   .height = x->shape[2],
                   .width = x->shape[3],
                   .rows = y->shape[2],
                   .columns = y->shape[3]};
    const int64_t C = c.norm.channels;
    const float *mean = args->in[1], *variance = batch ? mean + C : args->in[2];
    const float *weight = args->in[batch ? 2 : 3], *bias = args->in[batch ? 3 : 4];
    float *alpha = args->scratch, *beta = alpha + C;
    for (int64_t o = 0; o < C; o++) {
        const float invstd = batch ? fa_norm_batch_invstd(variance[o], c.norm.pieces.rows, args->floats[0])
                                   : fa_norm_running_invstd(variance[o], args->floats[0]);
        fa_norm_line(alpha + o, beta + o, mean[o], invstd, weight, bias, o);
    }
    c.alpha = alpha;
    c.beta = beta;
    if ((args->fuse & FA_FUSE_MAX_POOL) != 0) {
        c.winner = args->out[1];
        fa_run_tasks(x->shape[0] * c.rows, line_pool_task, &c, (double)c.norm.pieces.rows * (double)C);
    } else {
        fa_norm_run(&c.norm, (args->fuse & FA_FUSE_RELU) != 0 ? line_relu_task : line_task, &c);
    }
}

static void apply_run(const fa_kernel_args *args)
{
    run_line(args, true);
}

static void eval_run(const fa_kernel_args *args)
{
    run_line(args, false);
}

/* ---- The list ---------------------------------------------------------------------------------------------------- */

static bool supports(const fa_kernel_args *args)
{
    return fa_all_float32(args, FA_MAX_INPUTS) && args->in_meta[0]->ndim == 4 &&
           ((args->fuse & FA_FUSE_MAX_POOL) == 0 || (args->fuse & FA_FUSE_RELU) != 0);
}

#define NORM(suffix, bytes, fused, in_place)                                                                           \
    {                                                                                                                  \
        .op = FA_OP_batch_norm_##suffix, .name = "batch_norm_" #suffix " nhwc " FA_ISA_NAME, .supports = supports,     \
        .scratch = bytes, .run = suffix##_run, .fuse = fused, .elementwise_in_place = in_place                         \
    }

const fa_cpu_kernel FA_ISA(fa_batch_norm_kernels)[] = {
    NORM(stats, sums_scratch, 0, false),
    NORM(apply, line_scratch, FA_FUSE_RELU | FA_FUSE_MAX_POOL, true),
    NORM(eval, line_scratch, FA_FUSE_RELU | FA_FUSE_MAX_POOL, true),
    {.run = NULL},
};
