/* A dense 3x3 convolution by F(4x4, 3x3) or F(2x2, 3x3) on channels-last images: forward, and for the input's gradient
 * with turned weights.
 *
 * Tiles of outputs go in blocks that fit a core's cache: their patches are transformed, multiplied by the transformed
 * weights (36 or 16 products [tiles, c] x [c, o] on the register tile) and transformed back, with bias, relu and
 * max-pool on the way out. A sum's order follows from the channels alone.
 *
 * The transforms mix the elements of a patch, so that one that is not finite would spoil its neighbours: images with
 * such a result are marked, and the caller computes them again by direct sums. */
#include "cpu/kernels/winograd.h"

#include "base/precision.h"
#include "cpu/kernels/tile.h"
#include "facula/base.h"

#include <stdatomic.h>

enum {
    SLOTS = 32,
    MIN_TASKS = 32,
    BLOCK_FLOATS = 3200,
    BLOCK_MOST = 48,
    BLOCK_STEP = 6,
    PACK_CHANNELS = 8,
    ROWS_A_CALL = 12
};

bool FA_ISA(fa_wino_is_worth)(const fa_conv2d_ints *ints, int side, int64_t in_channels, int64_t out_channels,
                              int64_t rows, int64_t columns)
{
    if (ints->groups != 1 || ints->kernel[0] != 3 || ints->kernel[1] != 3 || fa_precision_is_highest())
        return false;
    for (int d = 0; d < 2; d++)
        if (ints->stride[d] != 1 || ints->dilation[d] != 1 || ints->padding_before[d] > 2 || ints->padding_after[d] > 2)
            return false;
    const int64_t tiles = fa_blocks(rows, side) * fa_blocks(columns, side);
    const int64_t least = side == FA_WINO_OUT ? 2 * FA_WINO_PRODUCTS : 28; /* direct products for a tile's */
    return in_channels >= 16 && out_channels >= 16 && in_channels <= 4096 && out_channels <= 4096 &&
           9 * rows * columns >= least * tiles;
}

typedef struct wino_context {
    fa_wino_job job;
    int64_t in, products;                   /* side of a patch; products of a tile */
    int64_t tile_rows, tile_columns, tiles; /* of an image, of all */
    int64_t block, blocks;                  /* tiles of a task */
    int64_t threads;                        /* for prefetching alone */
    int64_t c_lanes, o_lanes;               /* channels in whole vectors */
    int64_t input_step, product_step;       /* floats from one product of a block to the next */
    int64_t product_size;                   /* floats of one product's packed weights */
    size_t weights_at, zeros_at, slots_at, slot_bytes, bytes;
    int64_t slots;
    float *weights; /* [product][panel][c][columns] */
    const float *zeros;
    char *slot;
    _Atomic uint32_t free_slots;
} wino_context;

static wino_context make_context(const fa_wino_job *job)
{
    wino_context c = {.job = *job};
    c.in = job->side + 2;
    c.products = c.in * c.in;
    c.tile_rows = fa_blocks(job->rows, job->side);
    c.tile_columns = fa_blocks(job->columns, job->side);
    c.tiles = job->images * c.tile_rows * c.tile_columns;
    c.c_lanes = fa_round_up(job->in_channels, FV_LANES);
    c.o_lanes = fa_round_up(job->out_channels, FV_LANES);
    const int64_t fits = BLOCK_FLOATS / (c.c_lanes + c.o_lanes) / BLOCK_STEP * BLOCK_STEP;
    const int64_t even = fa_round_up(fa_blocks(c.tiles, MIN_TASKS), BLOCK_STEP);
    c.block = fa_max64(BLOCK_STEP, fa_min64(fa_min64(fits, even), BLOCK_MOST));
    c.blocks = fa_blocks(c.tiles, c.block);
    c.slots = fa_max64(1, fa_min64(SLOTS, c.blocks));
    c.input_step = c.block * c.c_lanes + FV_LANES;
    c.product_step = c.block * c.o_lanes + FV_LANES;
    c.product_size = job->in_channels * c.o_lanes;
    c.weights_at = fa_carve(&c.bytes, c.products * c.product_size, sizeof(float));
    c.zeros_at = fa_carve(&c.bytes, c.c_lanes, sizeof(float));
    fa_carve(&c.slot_bytes, c.products * (c.input_step + c.product_step), sizeof(float));
    c.slots_at = fa_carve(&c.bytes, c.slots, c.slot_bytes);
    return c;
}

size_t FA_ISA(fa_wino_scratch)(const fa_wino_job *job)
{
    return make_context(job).bytes;
}

/* ---- Weights ----------------------------------------------------------------------------------------------------- */

FA_INLINE void transform_weight(int side, const fv w[3], fv u[FA_WINO_IN])
{
    if (side == FA_WINO_OUT)
        fa_wino_weight(w, u);
    else
        fa_wino2_weight(w, u);
}

/* One vector of output channels, some input channels. */
static void weight_task(void *context, int64_t index)
{
    const wino_context *c = context;
    const fa_wino_job *job = &c->job;
    const int64_t vectors = c->o_lanes / FV_LANES, o = index % vectors * FV_LANES;
    const int64_t first = index / vectors * PACK_CHANNELS, end = fa_min64(job->in_channels, first + PACK_CHANNELS);
    const int64_t lanes = fa_min64(FV_LANES, job->out_channels - o);
    const int64_t panel = o / FA_PANEL_COLUMNS * FA_PANEL_COLUMNS;
    const int64_t columns = fa_min64(FA_PANEL_COLUMNS, c->o_lanes - panel);
    float *to = c->weights + panel * job->in_channels + (o - panel);
    for (int64_t channel = first; channel < end; channel++) {
        _Alignas(64) float turned[9 * FV_LANES] = {0};
        if (job->turned)
            fa_transposed_copy(turned, FV_LANES, job->weight + (channel * job->out_channels + o) * 9, 9, lanes, 9);
        else
            fa_transposed_copy(turned, FV_LANES, job->weight + (o * job->in_channels + channel) * 9,
                               job->in_channels * 9, lanes, 9);
        fv half[FA_WINO_IN * 3], u[FA_WINO_IN];
        for (int b = 0; b < 3; b++) {
            fv w[3];
            for (int a = 0; a < 3; a++) {
                const int tap = a * 3 + b;
                w[a] = fv_load(turned + (job->turned ? 8 - tap : tap) * FV_LANES);
            }
            transform_weight(job->side, w, u);
            for (int k = 0; k < c->in; k++)
                half[k * 3 + b] = u[k];
        }
        for (int k = 0; k < c->in; k++) {
            transform_weight(job->side, half + k * 3, u);
            for (int l = 0; l < c->in; l++)
                fv_store(to + (k * c->in + l) * c->product_size + channel * columns, u[l]);
        }
    }
}

/* ---- Tiles ------------------------------------------------------------------------------------------------------- */

static int take_slot(wino_context *c)
{
    for (;;) {
        uint32_t free = atomic_load_explicit(&c->free_slots, memory_order_relaxed);
        if (free != 0 && atomic_compare_exchange_weak_explicit(&c->free_slots, &free, free & (free - 1),
                                                               memory_order_acquire, memory_order_relaxed))
            return __builtin_ctz(free);
    }
}

static void give_slot(wino_context *c, int slot)
{
    atomic_fetch_or_explicit(&c->free_slots, 1u << slot, memory_order_release);
}

/* Largest values of the tile's windows, with their places. */
FA_INLINE void store_windows(const fa_wino_job *job, const fv y[FA_WINO_OUT * FA_WINO_OUT], fv bias, int64_t image,
                             int64_t i, int64_t j, int64_t o, int64_t n)
{
    const int64_t rows = job->rows / 2, columns = job->columns / 2;
    for (int r = 0; r < 2; r++)
        for (int s = 0; s < 2; s++) {
            const int64_t row = 2 * i + r, column = 2 * j + s;
            if (row >= rows || column >= columns)
                continue;
            const int corner = 2 * r * FA_WINO_OUT + 2 * s;
            const fv window[4] = {y[corner], y[corner + 1], y[corner + FA_WINO_OUT], y[corner + FA_WINO_OUT + 1]};
            fi winner;
            const fv best = fa_pool_window(window, 1, bias, &winner);
            const int64_t at = ((image * rows + row) * columns + column) * job->out_channels + o;
            fv_store_n(job->y + at, best, n);
            fi_store_u8_n(job->winner + at, winner, n);
        }
}

FA_INLINE void store_tile(const fa_wino_job *job, const fv y[FA_WINO_OUT * FA_WINO_OUT], fv bias, int64_t image,
                          int64_t i, int64_t j, int64_t o, int64_t n)
{
    for (int r = 0; r < FA_WINO_OUT; r++)
        for (int s = 0; s < FA_WINO_OUT; s++) {
            const int64_t row = i * FA_WINO_OUT + r, column = j * FA_WINO_OUT + s;
            if (row >= job->rows || column >= job->columns)
                continue;
            fv value = y[r * FA_WINO_OUT + s];
            if (job->bias)
                value += bias;
            if (job->relu)
                value = fv_relu(value);
            float *to = job->y + ((image * job->rows + row) * job->columns + column) * job->out_channels + o;
            if (n >= FV_LANES)
                fv_store(to, value);
            else
                fv_store_n(to, value, n);
        }
}

/* Marks the image if one of the sums is not finite; `all` is the sum of them. */
FA_INLINE void mark(const fa_wino_job *job, int64_t image, fv all)
{
    if (fm_any(fv_isnan(all - all)))
        __atomic_store_n(&job->bad[image], 1, __ATOMIC_RELAXED);
}

static void output_tile(const wino_context *c, const float *products, int64_t step, int64_t image, int64_t i, int64_t j)
{
    const fa_wino_job *job = &c->job;
    for (int64_t o = 0; o < job->out_channels; o += FV_LANES) {
        const int64_t n = fa_min64(FV_LANES, job->out_channels - o);
        fv half[FA_WINO_OUT * FA_WINO_IN], y[FA_WINO_OUT * FA_WINO_OUT], all = fv_zero();
        for (int s = 0; s < FA_WINO_IN; s++) {
            fv m[6], t[4];
            FA_UNROLL
            for (int r = 0; r < FA_WINO_IN; r++)
                m[r] = fv_load(products + (r * FA_WINO_IN + s) * step + o);
            fa_wino_output(m, t);
            FA_UNROLL
            for (int r = 0; r < FA_WINO_OUT; r++)
                half[r * FA_WINO_IN + s] = t[r];
        }
        for (int r = 0; r < FA_WINO_OUT; r++) {
            fa_wino_output(half + r * FA_WINO_IN, y + r * FA_WINO_OUT);
            FA_UNROLL
            for (int s = 0; s < FA_WINO_OUT; s++)
                all += y[r * FA_WINO_OUT + s];
        }
        mark(job, image, all);
        const fv bias = job->bias ? fv_load_n(job->bias + o, n) : fv_zero();
        if (job->winner)
            store_windows(job, y, bias, image, i, j, o, n);
        else
            store_tile(job, y, bias, image, i, j, o, n);
    }
}

/* A tile of 2x2 outputs is one pool window. */
static void output_tile2(const wino_context *c, const float *products, int64_t step, int64_t image, int64_t i,
                         int64_t j)
{
    const fa_wino_job *job = &c->job;
    const int64_t O = job->out_channels;
    const bool pooled = job->winner != NULL;
    const int64_t pooled_at = ((image * (job->rows / 2) + i) * (job->columns / 2) + j) * O;
    const int64_t corner = ((image * job->rows + 2 * i) * job->columns + 2 * j) * O;
    const bool inside[2] = {2 * i + 1 < job->rows, 2 * j + 1 < job->columns};
    fv all = fv_zero();
    for (int64_t o = 0; o < O; o += FV_LANES) {
        const int64_t n = O - o;
        fv half[8], y[4];
        FA_UNROLL
        for (int s = 0; s < 4; s++) {
            fv m[4], t[2];
            FA_UNROLL
            for (int r = 0; r < 4; r++)
                m[r] = fv_load(products + (r * 4 + s) * step + o);
            fa_wino2_output(m, t);
            half[s] = t[0];
            half[4 + s] = t[1];
        }
        fa_wino2_output(half, y);
        fa_wino2_output(half + 4, y + 2);
        all += (y[0] + y[1]) + (y[2] + y[3]);
        const fv bias = job->bias ? fv_load_n(job->bias + o, n) : fv_zero();
        if (pooled && !(inside[0] && inside[1]))
            continue; /* no window; its sums still tell whether the image is finite, as without the pool */
        if (pooled) {
            fi winner;
            const fv best = fa_pool_window(y, 1, bias, &winner);
            if (n >= FV_LANES) {
                fv_store(job->y + pooled_at + o, best);
                fi_store_u8(job->winner + pooled_at + o, winner);
            } else {
                fv_store_n(job->y + pooled_at + o, best, n);
                fi_store_u8_n(job->winner + pooled_at + o, winner, n);
            }
            continue;
        }
        FA_UNROLL
        for (int k = 0; k < 4; k++) {
            if ((k / 2 && !inside[0]) || (k % 2 && !inside[1]))
                continue;
            fv value = y[k];
            if (job->bias)
                value += bias;
            if (job->relu)
                value = fv_relu(value);
            float *to = job->y + corner + (k / 2 * job->columns + k % 2) * O + o;
            if (n >= FV_LANES)
                fv_store(to, value);
            else
                fv_store_n(to, value, n);
        }
    }
    mark(job, image, all);
}

/* Bt d B of the 4x4 patch of tile (i, j). */
static void input_tile2(const wino_context *c, float *to, int64_t image, int64_t i, int64_t j)
{
    const fa_wino_job *job = &c->job;
    const int64_t C = job->in_channels, top = 2 * i - job->before[0], left = 2 * j - job->before[1];
    const float *pixel[16];
    for (int r = 0; r < 4; r++) {
        const int64_t row = top + r;
        const bool row_inside = row >= 0 && row < job->height;
        const float *start = job->x + ((image * job->height + row) * job->width + left) * C;
        for (int s = 0; s < 4; s++)
            pixel[r * 4 + s] = row_inside && left + s >= 0 && left + s < job->width ? start + s * C : c->zeros;
    }
    for (int64_t channel = 0; channel < C; channel += FV_LANES) {
        const int64_t n = C - channel;
        fv half[16];
        FA_UNROLL
        for (int s = 0; s < 4; s++) {
            fv d[4], t[4];
            FA_UNROLL
            for (int r = 0; r < 4; r++)
                d[r] = n >= FV_LANES ? fv_load(pixel[r * 4 + s] + channel) : fv_load_n(pixel[r * 4 + s] + channel, n);
            fa_wino2_input(d, t);
            FA_UNROLL
            for (int r = 0; r < 4; r++)
                half[r * 4 + s] = t[r];
        }
        FA_UNROLL
        for (int r = 0; r < 4; r++) {
            fv t[4];
            fa_wino2_input(half + r * 4, t);
            FA_UNROLL
            for (int s = 0; s < 4; s++)
                fv_store(to + (r * 4 + s) * c->input_step + channel, t[s]);
        }
    }
}

/* What there is to ask for while a block of tiles is multiplied, row by row of tiles: where its results go, and what
 * this thread will probably read next. */
typedef struct wishes {
    int64_t first, results, next, rows; /* tiles and rows of the results; first tile to be read; rows in all */
} wishes;

/* Threads take blocks in order, so that this one's next block lies as many blocks ahead as there are threads. A guess
 * is good enough: nothing but time depends on it. */
static wishes make_wishes(const wino_context *c, int64_t index, int64_t tiles)
{
    const int64_t side = c->job.side, next = (index + c->threads) * c->block;
    wishes w = {.first = index * c->block, .results = tiles * side / (c->job.winner ? 2 : 1), .next = next};
    if (side == FA_WINO_OUT) /* layers of few channels stay in the cache */
        w.rows = w.results + fa_max64(0, fa_min64(c->block, c->tiles - next)) * side;
    return w;
}

static void prefetch(const wino_context *c, const wishes *w, int64_t wish)
{
    static const int64_t none[2] = {0, 0};
    const fa_wino_job *job = &c->job;
    const int64_t shrink = job->winner ? 2 : 1, side = job->side / shrink, read = wish - w->results;
    if (read < 0)
        fa_wino_prefetch_row(job->y, job->rows / shrink, job->columns / shrink, job->out_channels, side, none,
                             c->tile_rows, c->tile_columns, w->first + wish / side, wish % side, true);
    else
        fa_wino_prefetch_row(job->x, job->height, job->width, job->in_channels, job->side, job->before, c->tile_rows,
                             c->tile_columns, w->next + read / job->side, read % job->side, false);
}

static void multiply(const wino_context *c, const float *inputs, float *products, int64_t tiles, const wishes *w)
{
    const int64_t panels = fa_blocks(c->o_lanes, FA_PANEL_COLUMNS), step = w->rows > 0 ? ROWS_A_CALL : tiles;
    const int64_t wishes_a_call = fa_blocks(w->rows, c->products * panels * fa_blocks(tiles, step));
    int64_t wish = 0;
    for (int64_t k = 0; k < c->products; k++)
        for (int64_t panel = 0; panel < c->o_lanes; panel += FA_PANEL_COLUMNS) {
            const int64_t columns = fa_min64(FA_PANEL_COLUMNS, c->o_lanes - panel);
            for (int64_t t = 0; t < tiles; t += step) {
                const fa_rows_call call = {.rows = fa_min64(step, tiles - t),
                                           .depth = c->job.in_channels,
                                           .x = inputs + k * c->input_step + t * c->c_lanes,
                                           .x_step = c->c_lanes,
                                           .w = c->weights + k * c->product_size + panel * c->job.in_channels,
                                           .w_step = columns,
                                           .y = products + k * c->product_step + t * c->o_lanes + panel,
                                           .y_step = c->o_lanes};
                for (const int64_t end = fa_min64(w->rows, wish + wishes_a_call); wish < end; wish++)
                    prefetch(c, w, wish);
                FA_ISA(fa_tile_rows_run)(&call, (int)(columns / FV_LANES));
            }
        }
}

static void input_tile(const wino_context *c, float *to, int64_t image, int64_t i, int64_t j)
{
    const fa_wino_job *job = &c->job;
    const float *pixel[FA_WINO_PRODUCTS];
    fa_wino_patch(job, image, i, j, c->zeros, pixel);
    for (int64_t channel = 0; channel < job->in_channels; channel += FV_LANES)
        fa_wino_input_tile(pixel, channel, job->in_channels - channel, to + channel, c->input_step);
}

static void block_task(void *context, int64_t index)
{
    wino_context *c = context;
    const bool small = c->job.side != FA_WINO_OUT;
    const int slot = take_slot(c);
    float *inputs = (float *)(void *)(c->slot + (size_t)slot * c->slot_bytes);
    float *products = inputs + c->products * c->input_step;
    const int64_t first = index * c->block, tiles = fa_min64(c->block, c->tiles - first);
    const int64_t plane = c->tile_rows * c->tile_columns;
    const wishes w = make_wishes(c, index, tiles);
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t tile = first + t, image = tile / plane, at = tile % plane;
        (small ? input_tile2 : input_tile)(c, inputs + t * c->c_lanes, image, at / c->tile_columns,
                                           at % c->tile_columns);
    }
    multiply(c, inputs, products, tiles, &w);
    for (int64_t t = 0; t < tiles; t++) {
        const int64_t tile = first + t, image = tile / plane, at = tile % plane;
        (small ? output_tile2 : output_tile)(c, products + t * c->o_lanes, c->product_step, image, at / c->tile_columns,
                                             at % c->tile_columns);
    }
    give_slot(c, slot);
}

void FA_ISA(fa_wino_run)(const fa_wino_job *job, void *scratch)
{
    wino_context c = make_context(job);
    c.weights = (float *)(void *)((char *)scratch + c.weights_at);
    float *zeros = (float *)(void *)((char *)scratch + c.zeros_at);
    memset(zeros, 0, (size_t)c.c_lanes * sizeof *zeros);
    c.zeros = zeros;
    c.threads = fa_get_num_threads();
    c.slot = (char *)scratch + c.slots_at;
    memset(job->bad, 0, (size_t)job->images);
    atomic_init(&c.free_slots, c.slots == 32 ? UINT32_MAX : (1u << c.slots) - 1);
    const double in = (double)job->in_channels, out = (double)job->out_channels;
    fa_run_tasks(c.o_lanes / FV_LANES * fa_blocks(job->in_channels, PACK_CHANNELS), weight_task, &c,
                 in * out * 2 * (double)c.products);
    fa_run_tasks(c.blocks, block_task, &c, 2.0 * (double)c.tiles * (double)c.products * in * out);
}

/* ---- Images again ------------------------------------------------------------------------------------------------ */

static size_t image_bytes(const fa_meta *meta)
{
    return (size_t)(meta->shape[1] * meta->shape[2] * meta->shape[3] * fa_dtype_size(meta->dtype));
}

void FA_ISA(fa_wino_redo)(const fa_kernel_args *args, const uint8_t *bad, fa_kernel direct)
{
    const int64_t images = args->in_meta[0]->shape[0];
    for (int64_t first = 0, end; first < images; first = end) {
        for (end = first + 1; end < images && bad[end] == bad[first]; end++)
            ;
        if (!bad[first])
            continue;
        fa_meta in = *args->in_meta[0], out[2];
        fa_kernel_args part = *args;
        in.shape[0] = end - first;
        part.in_meta[0] = &in;
        part.in[0] = (char *)args->in[0] + (size_t)first * image_bytes(&in);
        for (int i = 0; i < 2 && args->out[i]; i++) {
            out[i] = *args->out_meta[i];
            out[i].shape[0] = end - first;
            part.out_meta[i] = &out[i];
            part.out[i] = (char *)args->out[i] + (size_t)first * image_bytes(&out[i]);
        }
        direct(&part);
    }
}
