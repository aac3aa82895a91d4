/* The gradient of conv2d for its bias, channels last: db[o] = sum over n, i, j of g[n,i,j,o].
 *
 * Where g came through a 2x2 max-pool (pooled.h), the sum is over its windows. 16 positions are added in float32, such
 * sums in float64; pieces of positions, cut by shape alone, are added in order.
 */
#include "cpu/kernels/pooled.h"

enum { POSITIONS_LEAST = 512, MAX_PIECES = 64, FLOAT_CHAIN = 16 };

typedef struct bias_grad_context {
    const float *g;   /* [positions, channels] */
    fa_pooled pooled; /* where it came through a pool; positions are windows then */
    bool windows;
    double *sums;                               /* [pieces, channels] */
    int64_t positions, channels, piece, pieces; /* positions of a piece, number of pieces */
} bias_grad_context;

static bias_grad_context make_context(const fa_kernel_args *args)
{
    const fa_meta *g = args->in_meta[0];
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    bias_grad_context c = {.positions = g->shape[0] * g->shape[2] * g->shape[3], .channels = g->shape[1]};
    c.windows = ints->pooled != 0;
    if (c.windows) {
        const int64_t scale = (args->fuse & FA_FUSE_UNPOOL) != 0 ? 2 : 1;
        c.pooled = fa_pooled_of(args, (int64_t[2]){g->shape[2] * scale, g->shape[3] * scale});
        c.positions = c.pooled.images * c.pooled.rows * c.pooled.columns;
    }
    c.piece = fa_max64(POSITIONS_LEAST, fa_round_up(fa_blocks(c.positions, MAX_PIECES), FLOAT_CHAIN));
    c.pieces = fa_blocks(c.positions, c.piece);
    return c;
}

static bool bias_grad_supports(const fa_kernel_args *args)
{
    return fa_all_float32(args, 1) && args->in_meta[0]->ndim == 4;
}

static size_t bias_grad_scratch(const fa_kernel_args *args)
{
    const bias_grad_context c = make_context(args);
    return (size_t)(c.pieces * c.channels) * sizeof(double);
}

/* A position's gradient in n channels: of a window, its winner's. */
FA_INLINE fv position_value(const bias_grad_context *c, int64_t position, int64_t o, int64_t n)
{
    const float *g = c->g + position * c->channels + o;
    if (!c->windows)
        return n >= FV_LANES ? fv_load(g) : fv_load_n(g, n);
    const fa_pooled *p = &c->pooled;
    const int64_t row = position / p->columns;
    fi place;
    const fv value = fa_pooled_winner(p, row / p->rows, row % p->rows, position % p->columns, o, n, &place);
    return fv_select(fi_eq(place, fi_set1(FA_NO_WINNER)), fv_zero(), value);
}

static void sum_task(void *context, int64_t piece)
{
    const bias_grad_context *c = context;
    const int64_t channels = c->channels, end = fa_min64(c->positions, (piece + 1) * c->piece);
    double *sums = c->sums + piece * channels;
    memset(sums, 0, (size_t)channels * sizeof *sums);
    for (int64_t at = piece * c->piece; at < end; at += FLOAT_CHAIN) {
        const int64_t rows = fa_min64(FLOAT_CHAIN, end - at);
        for (int64_t o = 0; o < channels; o += FV_LANES) {
            const int64_t lanes = fa_min64(FV_LANES, channels - o);
            fv sum = fv_zero();
            for (int64_t r = 0; r < rows; r++)
                sum += position_value(c, at + r, o, lanes);
            float lane[FV_LANES];
            fv_store(lane, sum);
            for (int64_t i = 0; i < lanes; i++)
                sums[o + i] += (double)lane[i];
        }
    }
}

static void bias_grad_run(const fa_kernel_args *args)
{
    bias_grad_context c = make_context(args);
    float *db = args->out[0];
    c.g = args->in[0];
    c.sums = args->scratch;
    fa_run_tasks(c.pieces, sum_task, &c, (double)c.positions * (double)c.channels);
    for (int64_t o = 0; o < c.channels; o++) {
        double sum = 0;
        for (int64_t piece = 0; piece < c.pieces; piece++)
            sum += c.sums[piece * c.channels + o];
        db[o] = (float)sum;
    }
}

const fa_cpu_kernel FA_ISA(fa_conv2d_bias_grad_kernels)[] = {
    {.op = FA_OP_conv2d_bias_grad,
     .name = "conv2d_bias_grad nhwc " FA_ISA_NAME,
     .supports = bias_grad_supports,
     .scratch = bias_grad_scratch,
     .run = bias_grad_run,
     .fuse = FA_FUSE_UNPOOL},
    {.run = NULL},
};
