/* The gradient of conv2d for its weights, channels last:
 *
 *     dw[o,c,a,b] = sum over n, i, j of g[n,i,j,o] * x[n, i*s + a*d - p, j*s + b*d - p, c]
 *
 * A product of patch elements e = (a, b, c) and channels o with positions as the summed index: tiles of patch elements
 * times a panel of o. Positions are summed in segments of whole rows, a chain of fv_fma each; segments are added in
 * order. Where outputs give too few tasks, pieces of consecutive segments are tasks of their own and are added in
 * order at the end. All of it follows from shapes alone.
 *
 * Dense 3x3 layers with enough channels go by Winograd (winograd.h) instead. */
#include "cpu/kernels/conv.h"
#include "cpu/kernels/tile.h"
#include "cpu/kernels/winograd.h"

enum { MIN_TASKS = 32, MIN_PIECES = 16, WISHED_TASKS = 64, ELEMENTS = 72, SEGMENT_POSITIONS = 256, TURN_CHANNELS = 16 };

typedef struct weight_grad_plan {
    int64_t groups, in_channels, out_channels; /* of one group */
    int64_t kernel[2], taps, elements, out[2];
    fa_conv_padding padding; /* of x */
    bool direct, fits;
    int64_t all_out, g_width; /* channels of g; floats of a position of it, after the copy that widens it */
    int64_t rows, segment_rows, segments, piece_segments, pieces;
    int64_t panels, element_blocks;
    int64_t sums_size; /* floats of a piece's sums: [group][panel][element][columns] */
    size_t row_at, element_at, padded_at, wide_at, sums_at, bytes;
} weight_grad_plan;

static weight_grad_plan make_plan(const fa_kernel_args *args)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    const fa_meta *g = args->in_meta[0], *x = args->in_meta[1], *dw = args->out_meta[0];
    weight_grad_plan p = {.groups = ints->groups,
                          .in_channels = dw->shape[1],
                          .out_channels = dw->shape[0] / ints->groups,
                          .all_out = dw->shape[0]};
    p.padding = (fa_conv_padding){
        .x = args->in[1], .images = x->shape[0], .height = x->shape[2], .width = x->shape[3], .channels = x->shape[1]};
    int64_t extent[2];
    for (int d = 0; d < 2; d++) {
        p.kernel[d] = dw->shape[2 + d];
        p.out[d] = g->shape[2 + d];
        extent[d] = p.out[d] ? (p.out[d] - 1) * ints->stride[d] + (p.kernel[d] - 1) * ints->dilation[d] + 1 : 0;
        p.padding.before[d] = ints->padding_before[d];
    }
    p.direct = ints->padding_before[0] == 0 && ints->padding_before[1] == 0 && extent[0] <= x->shape[2] &&
               extent[1] <= x->shape[3];
    p.padding.padded_height = p.direct ? x->shape[2] : extent[0];
    p.padding.padded_width = p.direct ? x->shape[3] : extent[1];
    p.fits = p.direct || FA_ISA(fa_conv_padding_is_small)(&p.padding, p.out[0] * p.out[1] * p.all_out);
    p.taps = p.kernel[0] * p.kernel[1];
    p.elements = p.taps * p.in_channels;
    /* A panel's last vector may reach beyond its channels, into the next group or position; g is copied only where it
     * is narrower than a panel's vectors. */
    p.g_width = fa_max64(p.all_out, fa_round_up(fa_min64(p.out_channels, FA_PANEL_COLUMNS), FV_LANES));
    p.panels = fa_blocks(p.out_channels, FA_PANEL_COLUMNS);
    p.element_blocks = fa_blocks(p.elements, ELEMENTS);
    p.rows = p.padding.images * p.out[0];
    p.segment_rows = fa_max64(1, SEGMENT_POSITIONS / fa_max64(1, p.out[1]));
    p.segments = fa_blocks(p.rows, p.segment_rows);
    const int64_t tasks = fa_max64(1, p.groups * p.panels * p.element_blocks);
    p.pieces = 1;
    if (tasks < MIN_TASKS)
        p.pieces = fa_min64(fa_max64(1, p.segments), fa_max64(MIN_PIECES, fa_blocks(WISHED_TASKS, tasks)));
    p.piece_segments = fa_max64(1, fa_blocks(p.segments, p.pieces));
    p.pieces = fa_max64(1, fa_blocks(p.segments, p.piece_segments));
    p.sums_size = fa_conv_packed_size(p.groups, p.elements, p.out_channels);
    p.row_at = fa_carve(&p.bytes, p.rows, sizeof(int64_t));
    p.element_at = fa_carve(&p.bytes, p.elements, sizeof(int64_t));
    p.sums_at = fa_carve(&p.bytes, p.pieces * p.sums_size, sizeof(float));
    if (p.g_width > p.all_out)
        p.wide_at = fa_carve(&p.bytes, p.rows * p.out[1] * p.g_width, sizeof(float));
    if (!p.direct && p.fits)
        p.padded_at =
            fa_carve(&p.bytes, p.padding.images * p.padding.padded_height * p.padding.padded_width * p.padding.channels,
                     sizeof(float));
    return p;
}

static bool weight_grad_supports(const fa_kernel_args *args)
{
    return fa_all_float32(args, 2) && args->in_meta[0]->ndim == 4 && args->in_meta[1]->ndim == 4 &&
           make_plan(args).fits;
}

static size_t weight_grad_scratch(const fa_kernel_args *args)
{
    return make_plan(args).bytes;
}

typedef struct weight_grad_context {
    weight_grad_plan plan;
    const float *x, *g; /* padded; widened */
    float *wide;
    const float *narrow;
    int64_t x_column;
    int64_t *row_offset, *element_offset; /* [rows], [elements]: from the beginning of x */
    float *sums, *dw;
} weight_grad_context;

static int64_t panel_columns(const weight_grad_plan *p, int64_t panel)
{
    return fa_min64(FA_PANEL_COLUMNS, p->out_channels - panel * FA_PANEL_COLUMNS);
}

/* Where a panel's sums stand within a piece, and where its vectors begin in a position of g: not beyond its end. */
static int64_t sums_offset(const weight_grad_plan *p, int64_t group, int64_t panel)
{
    return fa_conv_packed_size(group, p->elements, p->out_channels) + p->elements * panel * FA_PANEL_COLUMNS;
}
static int64_t first_lane(const weight_grad_plan *p, int64_t group, int64_t panel)
{
    const int64_t lanes = fa_round_up(panel_columns(p, panel), FV_LANES);
    return fa_min64(group * p->out_channels + panel * FA_PANEL_COLUMNS, p->g_width - lanes);
}

static void sum_task(void *context, int64_t index)
{
    const weight_grad_context *c = context;
    const weight_grad_plan *p = &c->plan;
    const int64_t block = index % p->element_blocks, panel = index / p->element_blocks % p->panels;
    const int64_t group = index / p->element_blocks / p->panels % p->groups;
    const int64_t piece = index / p->element_blocks / p->panels / p->groups;
    const int64_t lanes = fa_round_up(panel_columns(p, panel), FV_LANES);
    const int vectors = (int)(lanes / FV_LANES);
    const int64_t e_begin = block * ELEMENTS, e_end = fa_min64(p->elements, e_begin + ELEMENTS);
    const float *x = c->x + group * p->in_channels;
    const float *g = c->g + first_lane(p, group, panel);
    float *sums = c->sums + piece * p->sums_size + sums_offset(p, group, panel);
    fa_tile_call tile = {.run_length = p->out[1], .x_step = c->x_column, .w_step = p->g_width, .columns = lanes};
    const int64_t first = piece * p->piece_segments, end = fa_min64(p->segments, first + p->piece_segments);
    for (int64_t segment = first; segment < end; segment++) {
        const int64_t row = segment * p->segment_rows;
        tile.runs = c->row_offset + row;
        tile.run_count = fa_min64(p->segment_rows, p->rows - row);
        tile.w = g + row * p->out[1] * p->g_width;
        tile.flags = segment > first ? FA_TILE_ADD : 0;
        for (int64_t e = e_begin; e < e_end;) {
            const int rows = fa_tile_take(vectors, e_end - e);
            for (int i = 0; i < rows; i++) {
                tile.x[i] = x + c->element_offset[e + i];
                tile.y[i] = sums + (e + i) * lanes;
            }
            FA_ISA(fa_tile)(&tile, rows, vectors);
            e += rows;
        }
    }
}

/* ---- From pieces [element][o] to dw [o, c, a, b] ----------------------------------------------------------------- */

static void store_task(void *context, int64_t index)
{
    const weight_grad_context *c = context;
    const weight_grad_plan *p = &c->plan;
    const int64_t blocks = fa_blocks(p->in_channels, TURN_CHANNELS);
    const int64_t c_begin = index % blocks * TURN_CHANNELS, c_end = fa_min64(p->in_channels, c_begin + TURN_CHANNELS);
    const int64_t panel = index / blocks % p->panels, group = index / blocks / p->panels;
    const int64_t columns = panel_columns(p, panel), lanes = fa_round_up(columns, FV_LANES);
    const int64_t o = group * p->out_channels + panel * FA_PANEL_COLUMNS;
    float *sums = c->sums + sums_offset(p, group, panel);
    for (int64_t tap = 0; tap < p->taps && p->pieces > 1; tap++)
        for (int64_t j = (tap * p->in_channels + c_begin) * lanes; j < (tap * p->in_channels + c_end) * lanes;
             j += FV_LANES) {
            fv sum = fv_load(sums + j);
            for (int64_t piece = 1; piece < p->pieces; piece++)
                sum += fv_load(sums + piece * p->sums_size + j);
            fv_store(sums + j, sum);
        }
    const float *from = sums + (o - first_lane(p, group, panel));
    for (int64_t column = 0; column < columns; column++)
        for (int64_t channel = c_begin; channel < c_end; channel++) {
            float *to = c->dw + ((o + column) * p->in_channels + channel) * p->taps;
            for (int64_t tap = 0; tap < p->taps; tap++)
                to[tap] = from[(tap * p->in_channels + channel) * lanes + column];
        }
}

static void widen_task(void *context, int64_t row)
{
    const weight_grad_context *c = context;
    const weight_grad_plan *p = &c->plan;
    for (int64_t i = row * p->out[1]; i < (row + 1) * p->out[1]; i++) {
        memcpy(c->wide + i * p->g_width, c->narrow + i * p->all_out, (size_t)p->all_out * sizeof(float));
        memset(c->wide + i * p->g_width + p->all_out, 0, (size_t)(p->g_width - p->all_out) * sizeof(float));
    }
}

static void weight_grad_run(const fa_kernel_args *args)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    weight_grad_context c = {.plan = make_plan(args), .dw = args->out[0]};
    weight_grad_plan *p = &c.plan;
    char *scratch = args->scratch;
    if (p->all_out * p->elements == 0)
        return;
    if (p->rows * p->out[1] == 0) {
        memset(c.dw, 0, (size_t)(p->all_out * p->elements) * sizeof(float));
        return;
    }
    c.x = args->in[1];
    if (!p->direct) {
        p->padding.padded = (float *)(void *)(scratch + p->padded_at);
        c.x = p->padding.padded;
        FA_ISA(fa_conv_pad)(&p->padding);
    }
    c.g = c.narrow = args->in[0];
    if (p->g_width > p->all_out) {
        c.g = c.wide = (float *)(void *)(scratch + p->wide_at);
        fa_run_tasks(p->rows, widen_task, &c, (double)(p->rows * p->out[1]) * (double)p->g_width);
    }
    const int64_t channels = p->padding.channels, row = p->padding.padded_width * channels;
    c.x_column = ints->stride[1] * channels;
    c.row_offset = (int64_t *)(void *)(scratch + p->row_at);
    for (int64_t r = 0; r < p->rows; r++)
        c.row_offset[r] = (r / p->out[0] * p->padding.padded_height + r % p->out[0] * ints->stride[0]) * row;
    c.element_offset = (int64_t *)(void *)(scratch + p->element_at);
    for (int64_t e = 0; e < p->elements; e++) {
        const int64_t tap = e / p->in_channels, a = tap / p->kernel[1], b = tap % p->kernel[1];
        c.element_offset[e] = a * ints->dilation[0] * row + b * ints->dilation[1] * channels + e % p->in_channels;
    }
    c.sums = (float *)(void *)(scratch + p->sums_at);
    fa_run_tasks(p->pieces * p->groups * p->panels * p->element_blocks, sum_task, &c,
                 2.0 * (double)(p->rows * p->out[1]) * (double)p->all_out * (double)p->elements);
    fa_run_tasks(p->groups * p->panels * fa_blocks(p->in_channels, TURN_CHANNELS), store_task, &c,
                 2.0 * (double)p->pieces * (double)p->sums_size);
}

/* ---- Winograd ---------------------------------------------------------------------------------------------------- */

static fa_wino_job wino_job(const fa_kernel_args *args)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    const fa_meta *g = args->in_meta[0], *x = args->in_meta[1];
    return (fa_wino_job){.side = FA_WINO_OUT,
                         .images = x->shape[0],
                         .height = x->shape[2],
                         .width = x->shape[3],
                         .in_channels = x->shape[1],
                         .x = args->in[1],
                         .before = {ints->padding_before[0], ints->padding_before[1]},
                         .rows = g->shape[2],
                         .columns = g->shape[3],
                         .out_channels = g->shape[1]};
}

static bool wino_supports(const fa_kernel_args *args)
{
    if (!weight_grad_supports(args))
        return false;
    const fa_wino_job job = wino_job(args);
    return FA_ISA(fa_wino_is_worth)((const fa_conv2d_ints *)(const void *)args->ints, job.side, job.in_channels,
                                    job.out_channels, job.rows, job.columns);
}

static size_t wino_scratch(const fa_kernel_args *args)
{
    const fa_wino_job job = wino_job(args);
    const size_t direct = weight_grad_scratch(args), winograd = FA_ISA(fa_wino_weight_grad_scratch)(&job);
    return direct > winograd ? direct : winograd;
}

static void wino_run(const fa_kernel_args *args)
{
    const fa_wino_job job = wino_job(args);
    if (job.images == 0 || !FA_ISA(fa_wino_weight_grad)(&job, args->in[0], args->out[0], args->scratch))
        weight_grad_run(args);
}

const fa_cpu_kernel FA_ISA(fa_conv2d_weight_grad_kernels)[] = {
    {.op = FA_OP_conv2d_weight_grad,
     .name = "conv2d_weight_grad winograd nhwc " FA_ISA_NAME,
     .supports = wino_supports,
     .scratch = wino_scratch,
     .run = wino_run},
    {.op = FA_OP_conv2d_weight_grad,
     .name = "conv2d_weight_grad direct nhwc " FA_ISA_NAME,
     .supports = weight_grad_supports,
     .scratch = weight_grad_scratch,
     .run = weight_grad_run},
    {.run = NULL},
};
