/* The gradient of a dense 3x3 convolution for its weights by F(4x4, 3x3) (winograd.h):
 *
 *     dw[o,c] = Gt ( sum over tiles of (A g At) * (Bt d B) ) G
 *
 * with d the 6x6 patch of channel c and g the 4x4 gradients of channel o of a tile, * element by element: 36 matrix
 * products [c, tiles] x [tiles, o]. Tiles go in chunks: all of a chunk are transformed, then multiplied; within a chunk
 * a sum is one chain of fv_fma, chunks are added in order.
 *
 * The transforms mix elements, so that one that is not finite would spoil its neighbours: with such a result the direct
 * sums take over. */
#include "cpu/kernels/winograd.h"

#include "cpu/kernels/tile.h"

#include <stdatomic.h>

enum {
    CHUNK_FLOATS = 1 << 18,
    CHUNK_LEAST = 64,
    CHUNK_MOST = 512,
    ROWS = 48,
    SEGMENT = 64,
    TILES = 4,
    STORE_CHANNELS = 8
};

typedef struct grad_context {
    fa_wino_job job; /* x; rows, columns and out_channels of g */
    const float *g;
    float *dw;
    int64_t tile_rows, tile_columns, tiles, chunk;
    int64_t c_lanes, o_lanes, row_blocks, panels;
    size_t inputs_at, grads_at, sums_at, zeros_at, bytes;
    float *inputs, *grads,
        *sums; /* [product][tile][c]; [product][panel][tile][columns]; [product][panel][c][columns] */
    const float *zeros;
    int64_t first, count; /* tiles of this chunk */
    _Atomic int not_finite;
} grad_context;

static grad_context make_context(const fa_wino_job *job)
{
    grad_context c = {.job = *job};
    c.tile_rows = fa_blocks(job->rows, FA_WINO_OUT);
    c.tile_columns = fa_blocks(job->columns, FA_WINO_OUT);
    c.tiles = job->images * c.tile_rows * c.tile_columns;
    c.c_lanes = fa_round_up(job->in_channels, FV_LANES);
    c.o_lanes = fa_round_up(job->out_channels, FV_LANES);
    const int64_t fits = CHUNK_FLOATS / (FA_WINO_PRODUCTS * (c.c_lanes + c.o_lanes));
    c.chunk = fa_min64(fa_max64(1, c.tiles), fa_max64(CHUNK_LEAST, fa_min64(CHUNK_MOST, fits)));
    c.row_blocks = fa_blocks(job->in_channels, ROWS);
    c.panels = fa_blocks(c.o_lanes, FA_PANEL_COLUMNS);
    c.inputs_at = fa_carve(&c.bytes, FA_WINO_PRODUCTS * c.chunk * c.c_lanes, sizeof(float));
    c.grads_at = fa_carve(&c.bytes, FA_WINO_PRODUCTS * c.chunk * c.o_lanes, sizeof(float));
    c.sums_at = fa_carve(&c.bytes, FA_WINO_PRODUCTS * job->in_channels * c.o_lanes, sizeof(float));
    c.zeros_at = fa_carve(&c.bytes, c.c_lanes, sizeof(float));
    return c;
}

size_t FA_ISA(fa_wino_weight_grad_scratch)(const fa_wino_job *job)
{
    return make_context(job).bytes;
}

static int64_t panel_columns(const grad_context *c, int64_t panel)
{
    return fa_min64(FA_PANEL_COLUMNS, c->o_lanes - panel * FA_PANEL_COLUMNS);
}

/* ---- Transforms -------------------------------------------------------------------------------------------------- */

/* A g At of n channels from o on of a tile: zeros where the tile reaches beyond g. */
static void grad_tile(const grad_context *c, int64_t image, int64_t i, int64_t j, int64_t o, int64_t n, float *to,
                      int64_t step)
{
    const fa_wino_job *job = &c->job;
    fv half[FA_WINO_IN * FA_WINO_OUT];
    for (int s = 0; s < FA_WINO_OUT; s++) {
        fv g[4], z[6];
        for (int r = 0; r < FA_WINO_OUT; r++) {
            const int64_t row = i * FA_WINO_OUT + r, column = j * FA_WINO_OUT + s;
            const float *from = c->g + ((image * job->rows + row) * job->columns + column) * job->out_channels + o;
            g[r] = row >= job->rows || column >= job->columns ? fv_zero()
                   : n >= FV_LANES                            ? fv_load(from)
                                                              : fv_load_n(from, n);
        }
        fa_wino_output_grad(g, z);
        for (int r = 0; r < FA_WINO_IN; r++)
            half[r * FA_WINO_OUT + s] = z[r];
    }
    for (int r = 0; r < FA_WINO_IN; r++) {
        fv z[6];
        fa_wino_output_grad(half + r * FA_WINO_OUT, z);
        FA_UNROLL
        for (int s = 0; s < FA_WINO_IN; s++)
            fv_store(to + (r * FA_WINO_IN + s) * step, z[s]);
    }
}

static void transform_task(void *context, int64_t index)
{
    const grad_context *c = context;
    const fa_wino_job *job = &c->job;
    const int64_t plane = c->tile_rows * c->tile_columns, end = fa_min64(c->count, (index + 1) * TILES);
    for (int64_t t = index * TILES; t < end; t++) {
        const int64_t image = (c->first + t) / plane, at = (c->first + t) % plane;
        const int64_t i = at / c->tile_columns, j = at % c->tile_columns;
        const float *pixel[FA_WINO_PRODUCTS];
        fa_wino_patch(job, image, i, j, c->zeros, pixel);
        for (int64_t channel = 0; channel < job->in_channels; channel += FV_LANES)
            fa_wino_input_tile(pixel, channel, job->in_channels - channel, c->inputs + t * c->c_lanes + channel,
                               c->chunk * c->c_lanes);
        for (int64_t o = 0; o < job->out_channels; o += FV_LANES) {
            const int64_t panel = o / FA_PANEL_COLUMNS, columns = panel_columns(c, panel);
            float *to = c->grads + c->chunk * panel * FA_PANEL_COLUMNS + t * columns + o % FA_PANEL_COLUMNS;
            grad_tile(c, image, i, j, o, job->out_channels - o, to, c->chunk * c->o_lanes);
        }
    }
}

/* ---- Products ---------------------------------------------------------------------------------------------------- */

/* Asks for what the next chunk's transforms read, a product's share of it: rows of its tiles, of x and of g. */
static void prefetch_share(const grad_context *c, int64_t index, int64_t tasks)
{
    static const int64_t none[2] = {0, 0};
    const fa_wino_job *job = &c->job;
    const int64_t first = c->first + c->count, rows = fa_min64(c->chunk, c->tiles - first) * FA_WINO_OUT;
    for (int64_t row = rows * index / tasks; row < rows * (index + 1) / tasks; row++) {
        const int64_t tile = first + row / FA_WINO_OUT, r = row % FA_WINO_OUT;
        fa_wino_prefetch_row(job->x, job->height, job->width, job->in_channels, FA_WINO_OUT, job->before, c->tile_rows,
                             c->tile_columns, tile, r, false);
        fa_wino_prefetch_row(c->g, job->rows, job->columns, job->out_channels, FA_WINO_OUT, none, c->tile_rows,
                             c->tile_columns, tile, r, false);
    }
}

static void product_task(void *context, int64_t index)
{
    const grad_context *c = context;
    const int64_t block = index % c->row_blocks, panel = index / c->row_blocks % c->panels;
    const int64_t k = index / c->row_blocks / c->panels, columns = panel_columns(c, panel);
    const int64_t channel = block * ROWS, panel_first = panel * FA_PANEL_COLUMNS;
    const float *inputs = c->inputs + k * c->chunk * c->c_lanes + channel;
    const float *grads = c->grads + (k * c->o_lanes + panel_first) * c->chunk;
    float *sums = c->sums + (k * c->o_lanes + panel_first) * c->job.in_channels + channel * columns;
    prefetch_share(c, index, FA_WINO_PRODUCTS * c->panels * c->row_blocks);
    for (int64_t t = 0; t < c->count; t += SEGMENT) {
        const fa_rows_call call = {.rows = fa_min64(ROWS, c->job.in_channels - channel),
                                   .depth = fa_min64(SEGMENT, c->count - t),
                                   .x = inputs + t * c->c_lanes,
                                   .x_step = c->c_lanes,
                                   .turned = true,
                                   .w = grads + t * columns,
                                   .w_step = columns,
                                   .y = sums,
                                   .y_step = columns,
                                   .add = c->first + t > 0};
        FA_ISA(fa_tile_rows_run)(&call, (int)(columns / FV_LANES));
    }
}

/* ---- Back -------------------------------------------------------------------------------------------------------- */

/* One vector of output channels, some input channels. */
static void store_task(void *context, int64_t index)
{
    grad_context *c = context;
    const fa_wino_job *job = &c->job;
    const int64_t vectors = c->o_lanes / FV_LANES, o = index % vectors * FV_LANES;
    const int64_t first = index / vectors * STORE_CHANNELS, end = fa_min64(job->in_channels, first + STORE_CHANNELS);
    const int64_t panel = o / FA_PANEL_COLUMNS, columns = panel_columns(c, panel);
    const int64_t lanes = fa_min64(FV_LANES, job->out_channels - o);
    const float *sums = c->sums + panel * FA_PANEL_COLUMNS * job->in_channels + o % FA_PANEL_COLUMNS;
    _Alignas(64) float taps[(STORE_CHANNELS * 9 + FV_LANES) * FV_LANES];
    _Alignas(64) float turned[(STORE_CHANNELS * 9 + FV_LANES) * FV_LANES];
    fv all = fv_zero();
    for (int64_t channel = first; channel < end; channel++) {
        fv half[3 * FA_WINO_IN];
        for (int l = 0; l < FA_WINO_IN; l++) {
            fv m[6], w[3];
            for (int k = 0; k < FA_WINO_IN; k++)
                m[k] = fv_load(sums + (k * FA_WINO_IN + l) * c->o_lanes * job->in_channels + channel * columns);
            fa_wino_weight_grad(m, w);
            for (int a = 0; a < 3; a++)
                half[a * FA_WINO_IN + l] = w[a];
        }
        for (int a = 0; a < 3; a++) {
            fv w[3];
            fa_wino_weight_grad(half + a * FA_WINO_IN, w);
            for (int b = 0; b < 3; b++) {
                fv_store(taps + ((channel - first) * 9 + a * 3 + b) * FV_LANES, w[b]);
                all += w[b];
            }
        }
    }
    const int64_t count = (end - first) * 9;
    fa_transposed_copy(turned, STORE_CHANNELS * 9 + FV_LANES, taps, FV_LANES, count, lanes);
    for (int64_t i = 0; i < lanes; i++)
        memcpy(c->dw + ((o + i) * job->in_channels + first) * 9, turned + i * (STORE_CHANNELS * 9 + FV_LANES),
               (size_t)count * sizeof *turned);
    all = fv_select(fm_first(lanes), all, fv_zero());
    if (fm_any(fv_isnan(all - all)))
        atomic_store_explicit(&c->not_finite, 1, memory_order_relaxed);
}

bool FA_ISA(fa_wino_weight_grad)(const fa_wino_job *job, const float *g, float *dw, void *scratch)
{
    grad_context c = make_context(job);
    char *at = scratch;
    float *zeros = (float *)(void *)(at + c.zeros_at);
    memset(zeros, 0, (size_t)c.c_lanes * sizeof *zeros);
    c.g = g;
    c.dw = dw;
    c.zeros = zeros;
    c.inputs = (float *)(void *)(at + c.inputs_at);
    c.grads = (float *)(void *)(at + c.grads_at);
    c.sums = (float *)(void *)(at + c.sums_at);
    const double in = (double)job->in_channels, out = (double)job->out_channels;
    for (c.first = 0; c.first < c.tiles; c.first += c.chunk) {
        c.count = fa_min64(c.chunk, c.tiles - c.first);
        fa_run_tasks(fa_blocks(c.count, TILES), transform_task, &c,
                     (double)c.count * (in + out) * 4 * FA_WINO_PRODUCTS);
        fa_run_tasks(FA_WINO_PRODUCTS * c.panels * c.row_blocks, product_task, &c,
                     2.0 * (double)c.count * FA_WINO_PRODUCTS * in * out);
    }
    fa_run_tasks(c.o_lanes / FV_LANES * fa_blocks(job->in_channels, STORE_CHANNELS), store_task, &c,
                 in * out * 4 * FA_WINO_PRODUCTS);
    return !atomic_load_explicit(&c.not_finite, memory_order_relaxed);
}
