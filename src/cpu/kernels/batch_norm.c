/* Batch norm, channels last; per channel over M = N*H*W values, the formulas of the batch_norm ops:
 *
 *     stats        mean, v = sum of (x - mean)^2: two passes                       grad_stats  sum g, sum g*xhat
 *     apply, eval  y = x*alpha + beta, alpha = invstd*weight, beta = bias - mean*alpha; then relu if asked
 *     input_grad   dx = weight * invstd * ((g - sum_g/M) - (x - mean) * (invstd * sum_g_xhat/M))
 *     eval_input_grad   dx = g * (invstd * weight)
 *
 * Sums in double. The M positions are cut into pieces by M alone, whose sums are added in order. */
#include "cpu/kernels/column_sums.h"

#include <math.h>

typedef struct norm_call {
    const float *x, *g, *mean;
    float *y;
    double *sums;        /* [pieces, 2, channels] */
    const float *factor; /* [4, channels]: see the tasks */
    int64_t channels;
    fa_pieces pieces; /* of the positions */
    bool relu;
} norm_call;

static norm_call make_call(const fa_kernel_args *args)
{
    const fa_meta *image = args->in_meta[0];
    return (norm_call){.channels = image->shape[1],
                       .pieces = fa_pieces_of(image->shape[0] * image->shape[2] * image->shape[3])};
}

static size_t sums_scratch(const fa_kernel_args *args)
{
    const norm_call c = make_call(args);
    return (size_t)(c.pieces.count * 2 * c.channels) * sizeof(double) + 64;
}

static size_t factor_scratch(const fa_kernel_args *args)
{
    return (size_t)(4 * args->in_meta[0]->shape[1]) * sizeof(float) + 64;
}

static void run_pieces(norm_call *c, fa_task task)
{
    fa_run_tasks(c->pieces.count, task, c, (double)c->pieces.rows * (double)c->channels);
}

/* First position of a piece; *rows: how many it has. */
static int64_t piece_begin(const norm_call *c, int64_t piece, int64_t *rows)
{
    const int64_t begin = piece * c->pieces.piece;
    *rows = fa_min64(c->pieces.piece, c->pieces.rows - begin);
    return begin;
}

static double total(const norm_call *c, int which, int64_t channel)
{
    double sum = 0;
    for (int64_t piece = 0; piece < c->pieces.count; piece++)
        sum += c->sums[(piece * 2 + which) * c->channels + channel];
    return sum;
}

/* ---- Statistics ----------------------------------------------------------------------------------------------------
 */

static void sum_task(void *context, int64_t piece)
{
    const norm_call *c = context;
    int64_t rows;
    const int64_t begin = piece_begin(c, piece, &rows);
    double *sums = c->sums + piece * 2 * c->channels;
    memset(sums, 0, (size_t)c->channels * sizeof *sums);
    fa_add_columns(sums, c->x + begin * c->channels, c->channels, rows, c->channels);
}

enum { GROUP = 16 }; /* positions that stay in the first cache while their channels are added */

/* n channels, `rows` positions: sums += the squares of x - mean, each rounded to float. */
FA_INLINE void add_squares(double *sums, const float *x, int64_t step, fv mean, int64_t rows, int64_t n)
{
    double lane[FV_LANES] = {0};
    memcpy(lane, sums, (size_t)n * sizeof *lane);
    dv low = dv_load(lane), high = dv_load(lane + DV_LANES);
    for (int64_t i = 0; i < rows; i++) {
        const fv difference = fv_load_some(x + i * step, n) - mean, square = difference * difference;
        low += dv_low(square);
        high += dv_high(square);
    }
    dv_store(lane, low);
    dv_store(lane + DV_LANES, high);
    memcpy(sums, lane, (size_t)n * sizeof *lane);
}

static void squares_task(void *context, int64_t piece)
{
    const norm_call *c = context;
    const int64_t C = c->channels;
    int64_t rows;
    const float *x = c->x + piece_begin(c, piece, &rows) * C;
    double *sums = c->sums + (piece * 2 + 1) * C;
    memset(sums, 0, (size_t)C * sizeof *sums);
    for (int64_t first = 0; first < rows; first += GROUP) {
        const int64_t group = fa_min64(GROUP, rows - first);
        const float *at = x + first * C;
        int64_t o = 0;
        for (; o + FV_LANES <= C; o += FV_LANES)
            add_squares(sums + o, at + o, C, fv_load(c->mean + o), group, FV_LANES);
        if (o < C)
            add_squares(sums + o, at + o, C, fv_load_n(c->mean + o, C - o), group, C - o);
    }
}

static void stats_run(const fa_kernel_args *args)
{
    norm_call c = make_call(args);
    float *mean = args->out[0], *v = mean + c.channels;
    c.x = args->in[0];
    c.sums = args->scratch;
    c.mean = mean;
    run_pieces(&c, sum_task);
    for (int64_t o = 0; o < c.channels; o++)
        mean[o] = (float)(total(&c, 0, o) / (double)c.pieces.rows);
    run_pieces(&c, squares_task);
    for (int64_t o = 0; o < c.channels; o++)
        v[o] = (float)total(&c, 1, o);
}

/* The same of g, and of g * (x - mean), products in double. */
FA_INLINE void add_products(double *sums, double *dots, const float *g, const float *x, int64_t step, fv mean,
                            int64_t rows, int64_t n)
{
    double lane[2][FV_LANES] = {{0}};
    memcpy(lane[0], sums, (size_t)n * sizeof *sums);
    memcpy(lane[1], dots, (size_t)n * sizeof *dots);
    dv sum_low = dv_load(lane[0]), sum_high = dv_load(lane[0] + DV_LANES);
    dv dot_low = dv_load(lane[1]), dot_high = dv_load(lane[1] + DV_LANES);
    const dv mean_low = dv_low(mean), mean_high = dv_high(mean);
    for (int64_t i = 0; i < rows; i++) {
        const fv value = fv_load_some(x + i * step, n), gradient = fv_load_some(g + i * step, n);
        const dv low = dv_low(gradient), high = dv_high(gradient);
        sum_low += low;
        sum_high += high;
        dot_low += low * (dv_low(value) - mean_low);
        dot_high += high * (dv_high(value) - mean_high);
    }
    dv_store(lane[0], sum_low);
    dv_store(lane[0] + DV_LANES, sum_high);
    dv_store(lane[1], dot_low);
    dv_store(lane[1] + DV_LANES, dot_high);
    memcpy(sums, lane[0], (size_t)n * sizeof *sums);
    memcpy(dots, lane[1], (size_t)n * sizeof *dots);
}

static void products_task(void *context, int64_t piece)
{
    const norm_call *c = context;
    const int64_t C = c->channels;
    int64_t rows;
    const int64_t begin = piece_begin(c, piece, &rows) * C;
    const float *x = c->x + begin, *g = c->g + begin;
    double *sums = c->sums + piece * 2 * C, *dots = sums + C;
    memset(sums, 0, (size_t)(2 * C) * sizeof *sums);
    for (int64_t first = 0; first < rows; first += GROUP) {
        const int64_t group = fa_min64(GROUP, rows - first), at = first * C;
        int64_t o = 0;
        for (; o + FV_LANES <= C; o += FV_LANES)
            add_products(sums + o, dots + o, g + at + o, x + at + o, C, fv_load(c->mean + o), group, FV_LANES);
        if (o < C)
            add_products(sums + o, dots + o, g + at + o, x + at + o, C, fv_load_n(c->mean + o, C - o), group, C - o);
    }
}

/* 1/sqrt(var + eps), rounded as the ops say: of a batch's v in double, of a running variance in float. */
static float batch_invstd(float v, int64_t values, double eps)
{
    const float var = v / (float)values;
    return (float)(1 / sqrt((double)var + eps));
}

static float running_invstd(float var, double eps)
{
    return 1 / sqrtf(var + (float)eps);
}

FA_INLINE void sum_products(const fa_kernel_args *args, bool batch)
{
    norm_call c = make_call(args);
    const double eps = args->floats[0];
    const float *mean = args->in[2], *variance = batch ? mean + c.channels : args->in[3];
    float *sum_g = args->out[0], *sum_g_xhat = sum_g + c.channels;
    c.g = args->in[0];
    c.x = args->in[1];
    c.mean = mean;
    c.sums = args->scratch;
    run_pieces(&c, products_task);
    for (int64_t o = 0; o < c.channels; o++) {
        const float invstd = batch ? batch_invstd(variance[o], c.pieces.rows, eps) : running_invstd(variance[o], eps);
        sum_g[o] = (float)total(&c, 0, o);
        sum_g_xhat[o] = (float)(total(&c, 1, o) * (double)invstd);
    }
}

static void grad_stats_run(const fa_kernel_args *args)
{
    sum_products(args, true);
}

static void eval_grad_stats_run(const fa_kernel_args *args)
{
    sum_products(args, false);
}

/* ---- Elementwise ---------------------------------------------------------------------------------------------------
 */

/* Factors: alpha, beta. */
FA_INLINE void line(const norm_call *c, int64_t at, int64_t o, bool relu, int64_t n)
{
    const fv y = fv_fma_exact(fv_load_some(c->x + at + o, n), fv_load_some(c->factor + o, n),
                              fv_load_some(c->factor + c->channels + o, n));
    fv_store_some(c->y + at + o, relu ? fv_relu(y) : y, n);
}

/* Factors: scale alone. */
FA_INLINE void product(const norm_call *c, int64_t at, int64_t o, int64_t n)
{
    fv_store_some(c->y + at + o, fv_load_some(c->g + at + o, n) * fv_load_some(c->factor + o, n), n);
}

/* Factors: weight * invstd, sum_g / M, invstd * invstd * sum_g_xhat / M, mean. */
FA_INLINE void input_grad(const norm_call *c, int64_t at, int64_t o, int64_t n)
{
    const float *factor = c->factor + o;
    const int64_t C = c->channels;
    const fv scale = fv_load_some(factor, n), mean_g = fv_load_some(factor + C, n);
    const fv slope = fv_load_some(factor + 2 * C, n), mean = fv_load_some(factor + 3 * C, n);
    const fv g = fv_load_some(c->g + at + o, n) - mean_g, x = fv_load_some(c->x + at + o, n) - mean;
    fv_store_some(c->y + at + o, scale * (g - x * slope), n);
}

#define DEFINE_TASK(name, step)                                                                                        \
    static void name(void *context, int64_t piece)                                                                     \
    {                                                                                                                  \
        const norm_call *c = context;                                                                                  \
        const int64_t C = c->channels;                                                                                 \
        int64_t rows;                                                                                                  \
        const int64_t begin = piece_begin(c, piece, &rows);                                                            \
        for (int64_t at = begin * C, end = (begin + rows) * C; at < end; at += C) {                                    \
            int64_t o = 0;                                                                                             \
            for (; o + FV_LANES <= C; o += FV_LANES)                                                                   \
                step(FV_LANES);                                                                                        \
            if (o < C)                                                                                                 \
                step(C - o);                                                                                           \
        }                                                                                                              \
    }

#define LINE(n) line(c, at, o, false, n)
#define LINE_RELU(n) line(c, at, o, true, n)
#define PRODUCT(n) product(c, at, o, n)
#define INPUT_GRAD(n) input_grad(c, at, o, n)
DEFINE_TASK(line_task, LINE)
DEFINE_TASK(line_relu_task, LINE_RELU)
DEFINE_TASK(product_task, PRODUCT)
DEFINE_TASK(input_grad_task, INPUT_GRAD)

/* `weight` and `bias` are inputs `at` and at + 1. */
FA_INLINE void run_line(const fa_kernel_args *args, bool batch)
{
    norm_call c = make_call(args);
    const double eps = args->floats[0];
    const float *mean = args->in[1], *variance = batch ? mean + c.channels : args->in[2];
    const float *weight = args->in[batch ? 2 : 3], *bias = args->in[batch ? 3 : 4];
    float *alpha = args->scratch, *beta = alpha + c.channels;
    for (int64_t o = 0; o < c.channels; o++) {
        const float invstd = batch ? batch_invstd(variance[o], c.pieces.rows, eps) : running_invstd(variance[o], eps);
        alpha[o] = weight ? invstd * weight[o] : invstd;
        beta[o] = fmaf(-mean[o], alpha[o], bias ? bias[o] : 0.0f);
    }
    c.x = args->in[0];
    c.y = args->out[0];
    c.factor = alpha;
    run_pieces(&c, (args->fuse & FA_FUSE_RELU) != 0 ? line_relu_task : line_task);
}

static void apply_run(const fa_kernel_args *args)
{
    run_line(args, true);
}

static void eval_run(const fa_kernel_args *args)
{
    run_line(args, false);
}

static void input_grad_run(const fa_kernel_args *args)
{
    norm_call c = make_call(args);
    const int64_t C = c.channels;
    const double eps = args->floats[0], values = (double)c.pieces.rows;
    const float *mean = args->in[2], *v = mean + C, *sum_g = args->in[3], *sum_g_xhat = sum_g + C;
    const float *weight = args->in[4];
    float *factor = args->scratch;
    for (int64_t o = 0; o < C; o++) {
        const double invstd = (double)batch_invstd(v[o], c.pieces.rows, eps);
        factor[o] = (float)(weight ? (double)weight[o] * invstd : invstd);
        factor[C + o] = (float)((double)sum_g[o] / values);
        factor[2 * C + o] = (float)(invstd * ((double)sum_g_xhat[o] / values));
        factor[3 * C + o] = mean[o];
    }
    c.g = args->in[0];
    c.x = args->in[1];
    c.y = args->out[0];
    c.factor = factor;
    run_pieces(&c, input_grad_task);
}

static void eval_input_grad_run(const fa_kernel_args *args)
{
    norm_call c = make_call(args);
    const float *variance = args->in[1], *weight = args->in[2];
    float *scale = args->scratch;
    for (int64_t o = 0; o < c.channels; o++) {
        const float invstd = running_invstd(variance[o], args->floats[0]);
        scale[o] = weight ? invstd * weight[o] : invstd;
    }
    c.g = args->in[0];
    c.y = args->out[0];
    c.factor = scale;
    run_pieces(&c, product_task);
}

/* ---- The list ------------------------------------------------------------------------------------------------------
 */

static bool supports(const fa_kernel_args *args)
{
    return fa_all_float32(args, FA_MAX_INPUTS) && args->in_meta[0]->ndim == 4;
}

#define NORM(suffix, bytes, fused, in_place)                                                                           \
    {                                                                                                                  \
        .op = FA_OP_batch_norm_##suffix, .name = "batch_norm_" #suffix " nhwc " FA_ISA_NAME, .supports = supports,     \
        .scratch = bytes, .run = suffix##_run, .fuse = fused, .elementwise_in_place = in_place                         \
    }

const fa_cpu_kernel FA_ISA(fa_batch_norm_kernels)[] = {
    NORM(stats, sums_scratch, 0, false),
    NORM(apply, factor_scratch, FA_FUSE_RELU, true),
    NORM(grad_stats, sums_scratch, 0, false),
    NORM(input_grad, factor_scratch, 0, true),
    NORM(eval, factor_scratch, FA_FUSE_RELU, true),
    NORM(eval_grad_stats, sums_scratch, 0, false),
    NORM(eval_input_grad, factor_scratch, 0, true),
    {.run = NULL},
};
