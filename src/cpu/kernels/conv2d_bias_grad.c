/* The gradient of conv2d for its bias, channels last: db[o] = sum over n, i, j of g[n,i,j,o].
 *
 * 16 positions are added in float32, such sums in float64; pieces of positions, cut by shape alone, are added in order.
 */
#include "cpu/kernels/common.h"

enum { POSITIONS_LEAST = 512, MAX_PIECES = 64, FLOAT_CHAIN = 16 };

typedef struct bias_grad_context {
    const float *g;                             /* [positions, channels] */
    double *sums;                               /* [pieces, channels] */
    int64_t positions, channels, piece, pieces; /* positions of a piece, number of pieces */
} bias_grad_context;

static bias_grad_context make_context(const fa_kernel_args *args)
{
    const fa_meta *g = args->in_meta[0];
    bias_grad_context c = {.positions = g->shape[0] * g->shape[2] * g->shape[3], .channels = g->shape[1]};
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

static void sum_task(void *context, int64_t piece)
{
    const bias_grad_context *c = context;
    const int64_t channels = c->channels, end = fa_min64(c->positions, (piece + 1) * c->piece);
    double *sums = c->sums + piece * channels;
    memset(sums, 0, (size_t)channels * sizeof *sums);
    for (int64_t at = piece * c->piece; at < end; at += FLOAT_CHAIN) {
        const int64_t rows = fa_min64(FLOAT_CHAIN, end - at);
        const float *g = c->g + at * channels;
        for (int64_t o = 0; o < channels; o += FV_LANES) {
            const int64_t lanes = fa_min64(FV_LANES, channels - o);
            fv sum = fv_zero();
            if (lanes == FV_LANES)
                for (int64_t r = 0; r < rows; r++)
                    sum += fv_load(g + r * channels + o);
            else
                for (int64_t r = 0; r < rows; r++)
                    sum += fv_load_n(g + r * channels + o, lanes);
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
     .run = bias_grad_run},
    {.run = NULL},
};
