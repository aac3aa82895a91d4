/* Batch norm backward, channels last; per channel over M = N*H*W values, the formulas of the batch_norm ops:
 *
 *     grad_stats        sum g, sum g*xhat
 *     input_grad        dx = weight * invstd * ((g - sum_g/M) - (x - mean) * (invstd * sum_g_xhat/M))
 *     eval_input_grad   dx = g * (invstd * weight)
 *
 * Sums in double. Where relu follows the layer, g is cut on the way: the line x*alpha + beta of the forward pass is
 * drawn again, and tells where it was cut. Where a 2x2 max-pool follows that, g is read from the pooled values'
 * gradient and the winners' places. Both give the numbers, and the order of the sums, of a gradient that was stored. */
#include "cpu/kernels/batch_norm.h"

#include <math.h>

/* Where g comes from. */
typedef enum source {
    STORED,
    CUT,   /* by relu: FA_FUSE_RELU, in[6] and in[7] are weight and bias */
    POOLED /* FA_FUSE_UNPOOL: in[0] is the pooled values' gradient, in[6] has the winners' places */
} source;

typedef struct grad_call {
    fa_norm norm;
    source from;
    const float *g, *x, *mean;
    const uint8_t *place;
    float *dx;
    double *sums; /* see fa_norm_sums_size */
    /* [channels] each, in the scratch: */
    float *alpha, *beta; /* CUT */
    float *scale, *mean_g, *slope;
    int64_t height, width, rows, columns; /* of x; of the windows */
} grad_call;

static source source_of(const fa_kernel_args *args)
{
    return (args->fuse & FA_FUSE_UNPOOL) != 0 ? POOLED : (args->fuse & FA_FUSE_RELU) != 0 ? CUT : STORED;
}

static grad_call make_call(const fa_kernel_args *args)
{
    const source from = source_of(args);
    const fa_meta *g = args->in_meta[0], *x = from == STORED ? g : args->in_meta[1];
    grad_call c = {.norm = fa_norm_of(args, from == STORED ? 0 : 1),
                   .from = from,
                   .g = args->in[0],
                   .x = args->in[1],
                   .mean = args->in[2],
                   .place = from == POOLED ? args->in[6] : NULL,
                   .height = x->shape[2],
                   .width = x->shape[3],
                   .rows = g->shape[2],
                   .columns = g->shape[3]};
    return c;
}

static size_t factor_bytes(const fa_norm *norm)
{
    return (size_t)(5 * norm->channels) * sizeof(float) + 64;
}

static size_t sums_scratch(const fa_kernel_args *args)
{
    const grad_call c = make_call(args);
    return fa_norm_sums_bytes(&c.norm) + factor_bytes(&c.norm);
}

static size_t factor_scratch(const fa_kernel_args *args)
{
    const grad_call c = make_call(args);
    return factor_bytes(&c.norm);
}

static void place_factors(grad_call *c, void *scratch)
{
    const int64_t C = c->norm.channels;
    c->alpha = scratch;
    c->beta = c->alpha + C;
    c->scale = c->alpha + 2 * C;
    c->mean_g = c->alpha + 3 * C;
    c->slope = c->alpha + 4 * C;
}

/* The line of the forward pass, to see where relu cut it. */
static void draw_line(grad_call *c, const fa_kernel_args *args)
{
    const float *v = c->mean + c->norm.channels;
    for (int64_t o = 0; o < c->norm.channels && c->from == CUT; o++)
        fa_norm_line(c->alpha + o, c->beta + o, c->mean[o],
                     fa_norm_batch_invstd(v[o], c->norm.pieces.rows, args->floats[0]), args->in[6], args->in[7], o);
}

/* ---- g at some positions ----------------------------------------------------------------------------------------- */

enum { GROUP = 16, NOWHERE = 254 };

/* Positions one after the other: where their g lies and, POOLED, the place that it must have come from. */
typedef struct places {
    const float *g[GROUP];
    const uint8_t *place[GROUP];
    int32_t mine[GROUP];
} places;

FA_INLINE void find_places(const grad_call *c, source from, int64_t first, int64_t count, places *at)
{
    const int64_t C = c->norm.channels;
    if (from != POOLED) {
        for (int64_t i = 0; i < count; i++)
            at->g[i] = c->g + (first + i) * C;
        return;
    }
    int64_t column = first % c->width, row = first / c->width % c->height, image = first / c->width / c->height;
    for (int64_t i = 0; i < count; i++) {
        const bool inside = row / 2 < c->rows && column / 2 < c->columns;
        const int64_t window = inside ? ((image * c->rows + row / 2) * c->columns + column / 2) * C : 0;
        at->g[i] = c->g + window;
        at->place[i] = c->place + window;
        at->mine[i] = inside ? (int32_t)(row % 2 * 2 + column % 2) : NOWHERE;
        if (++column == c->width) {
            column = 0;
            if (++row == c->height) {
                row = 0;
                image++;
            }
        }
    }
}

/* n channels from o on of g at position i, whose x is given. The sum with 0 turns -0 into 0, as max_pool2d_grad does.
 */
FA_INLINE fv gradient(source from, const places *at, int64_t i, int64_t o, fv x, fv alpha, fv beta, int64_t n)
{
    const fv g = fv_load_some(at->g[i] + o, n);
    if (from == STORED)
        return g;
    if (from == CUT)
        return fv_select(fv_ge(fv_zero(), fv_fma_exact(x, alpha, beta)), fv_zero(), g);
    return fv_select(fi_eq(fi_load_u8_n(at->place[i] + o, n), fi_set1(at->mine[i])), g + fv_zero(), fv_zero());
}

/* ---- Sums -------------------------------------------------------------------------------------------------------- */

/* n channels from o on of position i: sums += g, dots += g * (x - mean), products in double. */
FA_INLINE void add_products(const grad_call *c, source from, double *sums, double *dots, const places *at, int64_t i,
                            const float *x, int64_t o, int64_t n)
{
    const fv value = fv_load_some(x + o, n), mean = fv_load_some(c->mean + o, n);
    const fv alpha = from == CUT ? fv_load_some(c->alpha + o, n) : fv_zero();
    const fv beta = from == CUT ? fv_load_some(c->beta + o, n) : fv_zero();
    const fv g = gradient(from, at, i, o, value, alpha, beta, n);
    const dv low = dv_low(g), high = dv_high(g);
    dv_store(sums + o, dv_load(sums + o) + low);
    dv_store(sums + o + DV_LANES, dv_load(sums + o + DV_LANES) + high);
    dv_store(dots + o, dv_load(dots + o) + low * (dv_low(value) - dv_low(mean)));
    dv_store(dots + o + DV_LANES, dv_load(dots + o + DV_LANES) + high * (dv_high(value) - dv_high(mean)));
}

FA_INLINE void products_piece(const grad_call *c, source from, int64_t piece)
{
    const int64_t C = c->norm.channels, size = fa_norm_sums_size(&c->norm);
    int64_t rows;
    const int64_t begin = fa_norm_begin(&c->norm, piece, &rows);
    double *sums = c->sums + piece * size, *dots = sums + size / 2;
    memset(sums, 0, (size_t)size * sizeof *sums);
    for (int64_t first = begin; first < begin + rows; first += GROUP) {
        const int64_t count = fa_min64(GROUP, begin + rows - first);
        places at;
        find_places(c, from, first, count, &at);
        for (int64_t i = 0; i < count; i++) {
            const float *x = c->x + (first + i) * C;
            int64_t o = 0;
            for (; o + FV_LANES <= C; o += FV_LANES)
                add_products(c, from, sums, dots, &at, i, x, o, FV_LANES);
            if (o < C)
                add_products(c, from, sums, dots, &at, i, x, o, C - o);
        }
    }
}

/* ---- Elementwise ------------------------------------------------------------------------------------------------- */

/* n channels from o on of one position. */
FA_INLINE void input_grad(const grad_call *c, source from, const places *at, int64_t i, const float *x, float *dx,
                          int64_t o, int64_t n)
{
    const fv alpha = from == CUT ? fv_load_some(c->alpha + o, n) : fv_zero();
    const fv beta = from == CUT ? fv_load_some(c->beta + o, n) : fv_zero();
    const fv value = fv_load_some(x + o, n), difference = value - fv_load_some(c->mean + o, n);
    const fv g = gradient(from, at, i, o, value, alpha, beta, n) - fv_load_some(c->mean_g + o, n);
    fv_store_some(dx + o, fv_load_some(c->scale + o, n) * (g - difference * fv_load_some(c->slope + o, n)), n);
}

FA_INLINE void input_grad_piece(const grad_call *c, source from, int64_t piece)
{
    const int64_t C = c->norm.channels;
    int64_t rows;
    const int64_t begin = fa_norm_begin(&c->norm, piece, &rows);
    for (int64_t first = begin; first < begin + rows; first += GROUP) {
        const int64_t count = fa_min64(GROUP, begin + rows - first);
        places at;
        find_places(c, from, first, count, &at);
        for (int64_t i = 0; i < count; i++) {
            const float *x = c->x + (first + i) * C;
            float *dx = c->dx + (first + i) * C;
            int64_t o = 0;
            for (; o + FV_LANES <= C; o += FV_LANES)
                input_grad(c, from, &at, i, x, dx, o, FV_LANES);
            if (o < C)
                input_grad(c, from, &at, i, x, dx, o, C - o);
        }
    }
}

/* One task a source, so that its loops are without branches. */
#define DEFINE_TASKS(name, from)                                                                                       \
    static void name##_products_task(void *context, int64_t piece)                                                     \
    {                                                                                                                  \
        products_piece(context, from, piece);                                                                          \
    }                                                                                                                  \
    static void name##_input_grad_task(void *context, int64_t piece)                                                   \
    {                                                                                                                  \
        input_grad_piece(context, from, piece);                                                                        \
    }
DEFINE_TASKS(stored, STORED)
DEFINE_TASKS(cut, CUT)
DEFINE_TASKS(pooled, POOLED)

static const fa_task products_task[] = {stored_products_task, cut_products_task, pooled_products_task};
static const fa_task input_grad_task[] = {stored_input_grad_task, cut_input_grad_task, pooled_input_grad_task};

FA_INLINE void sum_products(const fa_kernel_args *args, bool batch)
{
    grad_call c = make_call(args);
    const int64_t C = c.norm.channels;
    const float *variance = batch ? c.mean + C : args->in[3];
    float *sum_g = args->out[0], *sum_g_xhat = sum_g + C;
    c.sums = args->scratch;
    place_factors(&c, (char *)args->scratch + fa_norm_sums_bytes(&c.norm));
    draw_line(&c, args);
    fa_norm_run(&c.norm, products_task[c.from], &c);
    for (int64_t o = 0; o < C; o++) {
        const float invstd = batch ? fa_norm_batch_invstd(variance[o], c.norm.pieces.rows, args->floats[0])
                                   : fa_norm_running_invstd(variance[o], args->floats[0]);
        sum_g[o] = (float)fa_norm_total(&c.norm, c.sums, 0, o);
        sum_g_xhat[o] = (float)(fa_norm_total(&c.norm, c.sums, 1, o) * (double)invstd);
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

static void input_grad_run(const fa_kernel_args *args)
{
    grad_call c = make_call(args);
    const int64_t C = c.norm.channels;
    const double values = (double)c.norm.pieces.rows;
    const float *v = c.mean + C, *sum_g = args->in[3], *sum_g_xhat = sum_g + C, *weight = args->in[4];
    place_factors(&c, args->scratch);
    draw_line(&c, args);
    for (int64_t o = 0; o < C; o++) {
        const double invstd = (double)fa_norm_batch_invstd(v[o], c.norm.pieces.rows, args->floats[0]);
        c.scale[o] = (float)(weight ? (double)weight[o] * invstd : invstd);
        c.mean_g[o] = (float)((double)sum_g[o] / values);
        c.slope[o] = (float)(invstd * ((double)sum_g_xhat[o] / values));
    }
    c.dx = args->out[0];
    fa_norm_run(&c.norm, input_grad_task[c.from], &c);
}

static void product_task(void *context, int64_t piece)
{
    const grad_call *c = context;
    const int64_t C = c->norm.channels;
    int64_t rows;
    const int64_t begin = fa_norm_begin(&c->norm, piece, &rows);
    for (int64_t at = begin * C; at < (begin + rows) * C; at += C) {
        int64_t o = 0;
        for (; o + FV_LANES <= C; o += FV_LANES)
            fv_store(c->dx + at + o, fv_load(c->g + at + o) * fv_load(c->scale + o));
        if (o < C)
            fv_store_n(c->dx + at + o, fv_load_n(c->g + at + o, C - o) * fv_load_n(c->scale + o, C - o), C - o);
    }
}

static void eval_input_grad_run(const fa_kernel_args *args)
{
    grad_call c = make_call(args);
    const float *variance = args->in[1], *weight = args->in[2];
    place_factors(&c, args->scratch);
    for (int64_t o = 0; o < c.norm.channels; o++) {
        const float invstd = fa_norm_running_invstd(variance[o], args->floats[0]);
        c.scale[o] = weight ? invstd * weight[o] : invstd;
    }
    c.dx = args->out[0];
    fa_norm_run(&c.norm, product_task, &c);
}

/* ---- The list ---------------------------------------------------------------------------------------------------- */

static bool supports(const fa_kernel_args *args)
{
    return fa_all_float32(args, 6) && args->in_meta[0]->ndim == 4;
}

#define NORM(suffix, bytes, fused, in_place)                                                                           \
    {                                                                                                                  \
        .op = FA_OP_batch_norm_##suffix, .name = "batch_norm_" #suffix " nhwc " FA_ISA_NAME, .supports = supports,     \
        .scratch = bytes, .run = suffix##_run, .fuse = fused, .elementwise_in_place = in_place                         \
    }

const fa_cpu_kernel FA_ISA(fa_batch_norm_grad_kernels)[] = {
    NORM(grad_stats, sums_scratch, FA_FUSE_RELU | FA_FUSE_UNPOOL, false),
    NORM(input_grad, factor_scratch, FA_FUSE_RELU | FA_FUSE_UNPOOL, true),
    NORM(eval_grad_stats, sums_scratch, 0, false),
    NORM(eval_input_grad, factor_scratch, 0, true),
    {.run = NULL},
};
