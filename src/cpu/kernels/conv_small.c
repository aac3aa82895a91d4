/* Convolutions on planes of a few positions, where many taps fall into the padding: those are left out. A plane of 1x1
 * under a 3x3 kernel is one matrix product, that of the centre tap, a plane of 2x2 four of nine a position.
 *
 *     y[n,p]  = bias + sum over (q, t) of x[n,q] w_t       for the pairs of an input position q and a tap t that meet
 * in p dx[n,q] = sum over (p, t) of g[n,p] w_t' dw_t    = sum over (p, q) of x[:,q]' g[:,p]
 *
 * Channels last; stride, dilation and padding as they come, one group. Each sum is one chain of fv_fma over its pairs
 * in order of t (dw: of p), then over channels (dw: over images in segments): what follows from the layer's shape
 * alone. */
#include "cpu/kernels/conv.h"
#include "cpu/kernels/tile.h"

enum { MAX_POSITIONS = 4, MAX_SOURCES = 64, MAX_TAPS = 49, MAX_PAIRS = MAX_POSITIONS * MAX_TAPS };
enum { ROWS = 36, CHANNEL_ROWS = 36, PACK_COLUMNS = 8, SEGMENT = 64 };

/* Output position `out` reads input position `in` through `tap`. */
typedef struct pair {
    int16_t out, in, tap;
} pair;

typedef struct small_conv {
    int64_t images, in_channels, out_channels, in_plane, out_plane, taps;
    pair pairs[MAX_PAIRS];
    int n_pairs;
    bool used[MAX_TAPS];
} small_conv;

/* The pairs of a convolution; false where the planes are not small, or no tap would be saved. */
static bool find_pairs(const fa_conv2d_ints *ints, const fa_meta *x, const fa_meta *y, const fa_meta *w, small_conv *s)
{
    memset(s, 0, sizeof *s);
    s->images = x->shape[0];
    s->in_channels = x->shape[1];
    s->out_channels = y->shape[1];
    s->in_plane = x->shape[2] * x->shape[3];
    s->out_plane = y->shape[2] * y->shape[3];
    s->taps = w->shape[2] * w->shape[3];
    if (ints->groups != 1 || x->shape[2] > MAX_SOURCES || x->shape[3] > MAX_SOURCES || s->in_plane > MAX_SOURCES ||
        y->shape[2] > MAX_POSITIONS || y->shape[3] > MAX_POSITIONS || s->out_plane > MAX_POSITIONS ||
        w->shape[2] > MAX_TAPS || w->shape[3] > MAX_TAPS || s->taps > MAX_TAPS)
        return false;
    for (int64_t out = 0; out < s->out_plane; out++)
        for (int64_t tap = 0; tap < s->taps; tap++) {
            const int64_t i = out / y->shape[3] * ints->stride[0] + tap / w->shape[3] * ints->dilation[0];
            const int64_t j = out % y->shape[3] * ints->stride[1] + tap % w->shape[3] * ints->dilation[1];
            const int64_t row = i - ints->padding_before[0], column = j - ints->padding_before[1];
            if (row < 0 || row >= x->shape[2] || column < 0 || column >= x->shape[3])
                continue;
            s->pairs[s->n_pairs++] = (pair){(int16_t)out, (int16_t)(row * x->shape[3] + column), (int16_t)tap};
            s->used[tap] = true;
        }
    return s->n_pairs < s->out_plane * s->taps && s->in_channels >= 16 && s->out_channels >= 16;
}

/* ---- Packed weights: [tap][panel][k][columns], used taps alone --------------------------------------------------- */

typedef struct product {
    const small_conv *conv;
    bool backward;                 /* dx: k counts output channels, columns are input channels */
    int64_t depth, columns, width; /* k, columns, columns in whole vectors */
    const float *weight, *from, *bias;
    float *packed, *to;
    int64_t from_plane, to_plane;
    bool relu;
    int64_t row_blocks, panels;
} product;

static float *packed_at(const product *p, int64_t tap, int64_t panel)
{
    return p->packed + (tap * p->width + panel * FA_PANEL_COLUMNS) * p->depth;
}

/* One vector of columns, some k. */
static void pack_task(void *context, int64_t index)
{
    const product *p = context;
    const int64_t vectors = p->width / FV_LANES, column = index % vectors * FV_LANES, taps = p->conv->taps;
    const int64_t first = index / vectors * PACK_COLUMNS, end = fa_min64(p->depth, first + PACK_COLUMNS);
    const int64_t lanes = fa_min64(FV_LANES, p->columns - column), panel = column / FA_PANEL_COLUMNS;
    const int64_t step = fa_min64(FA_PANEL_COLUMNS, p->width - panel * FA_PANEL_COLUMNS);
    int64_t used = 0;
    for (int64_t t = 0; t < taps; t++)
        used += p->conv->used[t];
    const bool few = 2 * used < taps;
    for (int64_t k = first; k < end; k++) {
        const int64_t out = p->backward ? k : column, in = p->backward ? column : k;
        const float *from = p->weight + (out * p->conv->in_channels + in) * taps;
        const int64_t from_step = p->backward ? taps : p->conv->in_channels * taps;
        if (few) { /* one by one, where most of what is turned would be left out */
            for (int64_t t = 0; t < taps; t++)
                for (int64_t i = 0; i < FV_LANES && p->conv->used[t]; i++)
                    packed_at(p, t, panel)[k * step + column % FA_PANEL_COLUMNS + i] =
                        i < lanes ? from[i * from_step + t] : 0;
            continue;
        }
        _Alignas(64) float turned[(MAX_TAPS + FV_LANES) * FV_LANES] = {0};
        fa_transposed_copy(turned, FV_LANES, from, from_step, lanes, taps);
        for (int64_t t = 0; t < taps; t++)
            if (p->conv->used[t])
                fv_store(packed_at(p, t, panel) + k * step + column % FA_PANEL_COLUMNS, fv_load(turned + t * FV_LANES));
    }
}

/* ---- Forward, and the gradient of the input ---------------------------------------------------------------------- */

/* Some images, one panel of columns, all positions. */
static void product_task(void *context, int64_t index)
{
    const product *p = context;
    const int64_t panel = index % p->panels, first = index / p->panels * ROWS;
    const int64_t end = fa_min64(p->conv->images, first + ROWS), column = panel * FA_PANEL_COLUMNS;
    const int64_t columns = fa_min64(FA_PANEL_COLUMNS, p->columns - column);
    const int vectors = (int)fa_blocks(columns, FV_LANES);
    static const int64_t run = 0;
    fa_tile_call tile = {.runs = &run,
                         .run_count = 1,
                         .run_length = p->depth,
                         .x_step = 1,
                         .w_step = vectors * FV_LANES,
                         .columns = columns};
    for (int64_t position = 0; position < p->to_plane; position++) {
        int last = -1, done = 0;
        for (int k = 0; k < p->conv->n_pairs; k++)
            if ((p->backward ? p->conv->pairs[k].in : p->conv->pairs[k].out) == position)
                last = k;
        for (int k = 0; k <= last; k++) {
            const pair *at = &p->conv->pairs[k];
            if ((p->backward ? at->in : at->out) != position)
                continue;
            const int64_t source = p->backward ? at->out : at->in;
            tile.w = packed_at(p, at->tap, panel);
            tile.bias = k == last && p->bias ? p->bias + column : NULL;
            tile.flags = (done++ > 0 ? FA_TILE_CONTINUE : 0) | (k == last && p->relu ? FA_TILE_RELU : 0);
            for (int64_t n = first; n < end;) {
                const int rows = fa_tile_take(vectors, end - n);
                for (int i = 0; i < rows; i++) {
                    tile.x[i] = p->from + ((n + i) * p->from_plane + source) * p->depth;
                    tile.y[i] = p->to + ((n + i) * p->to_plane + position) * p->columns + column;
                }
                FA_ISA(fa_tile)(&tile, rows, vectors);
                n += rows;
            }
        }
        for (int64_t n = first; n < end && last < 0; n++) /* no pair meets here */
            for (int64_t o = 0; o < columns; o++) {
                const float value = p->bias ? p->bias[column + o] : 0;
                p->to[(n * p->to_plane + position) * p->columns + column + o] = p->relu && value < 0 ? 0 : value;
            }
    }
}

static size_t packed_bytes(const small_conv *s, int64_t depth, int64_t columns)
{
    return (size_t)(s->taps * depth * fa_round_up(columns, FV_LANES)) * sizeof(float);
}

static void run_product(product *p)
{
    const small_conv *s = p->conv;
    p->depth = p->backward ? s->out_channels : s->in_channels;
    p->columns = p->backward ? s->in_channels : s->out_channels;
    p->width = fa_round_up(p->columns, FV_LANES);
    p->from_plane = p->backward ? s->out_plane : s->in_plane;
    p->to_plane = p->backward ? s->in_plane : s->out_plane;
    p->panels = fa_blocks(p->columns, FA_PANEL_COLUMNS);
    p->row_blocks = fa_blocks(s->images, ROWS);
    fa_run_tasks(p->width / FV_LANES * fa_blocks(p->depth, PACK_COLUMNS), pack_task, p,
                 (double)(s->taps * p->depth) * (double)p->width);
    fa_run_tasks(p->row_blocks * p->panels, product_task, p,
                 2.0 * (double)(s->images * s->n_pairs) * (double)p->depth * (double)p->columns);
}

static bool is_small_forward(const fa_kernel_args *args, small_conv *s)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    return fa_all_float32(args, 3) && args->in_meta[0]->ndim == 4 &&
           find_pairs(ints, args->in_meta[0], args->out_meta[0], args->in_meta[1], s);
}

bool FA_ISA(fa_conv_small_supports)(const fa_kernel_args *args)
{
    small_conv s;
    return is_small_forward(args, &s);
}

static size_t forward_scratch(const fa_kernel_args *args)
{
    small_conv s;
    is_small_forward(args, &s);
    return packed_bytes(&s, s.in_channels, s.out_channels);
}

static void forward_run(const fa_kernel_args *args)
{
    small_conv s;
    is_small_forward(args, &s);
    product p = {.conv = &s,
                 .weight = args->in[1],
                 .from = args->in[0],
                 .bias = args->in[2],
                 .packed = args->scratch,
                 .to = args->out[0],
                 .relu = (args->fuse & FA_FUSE_RELU) != 0};
    run_product(&p);
}

static bool is_small_input_grad(const fa_kernel_args *args, small_conv *s)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    return fa_all_float32(args, 2) && args->in_meta[0]->ndim == 4 &&
           find_pairs(ints, args->out_meta[0], args->in_meta[0], args->in_meta[1], s);
}

static bool input_grad_supports(const fa_kernel_args *args)
{
    small_conv s;
    return is_small_input_grad(args, &s);
}

static size_t input_grad_scratch(const fa_kernel_args *args)
{
    small_conv s;
    is_small_input_grad(args, &s);
    return packed_bytes(&s, s.out_channels, s.in_channels);
}

static void input_grad_run(const fa_kernel_args *args)
{
    small_conv s;
    is_small_input_grad(args, &s);
    product p = {.conv = &s,
                 .backward = true,
                 .weight = args->in[1],
                 .from = args->in[0],
                 .packed = args->scratch,
                 .to = args->out[0]};
    run_product(&p);
}

/* ---- The gradient of the weights ----------------------------------------------------------------------------------
 */

typedef struct weight_context {
    const small_conv *conv;
    const float *x, *g;
    float *sums; /* [tap][panel][c][columns], used taps alone */
    float *dw;
    int64_t width, panels, blocks;
} weight_context;

static float *sums_at(const weight_context *c, int64_t tap, int64_t panel)
{
    return c->sums + (tap * c->width + panel * FA_PANEL_COLUMNS) * c->conv->in_channels;
}

/* One tap, one panel of output channels, some input channels. */
static void sum_task(void *context, int64_t index)
{
    const weight_context *c = context;
    const small_conv *s = c->conv;
    const int64_t block = index % c->blocks, panel = index / c->blocks % c->panels, tap = index / c->blocks / c->panels;
    if (!s->used[tap])
        return;
    const int64_t first = block * CHANNEL_ROWS, end = fa_min64(s->in_channels, first + CHANNEL_ROWS);
    const int64_t columns = fa_min64(FA_PANEL_COLUMNS, s->out_channels - panel * FA_PANEL_COLUMNS);
    const int vectors = (int)fa_blocks(columns, FV_LANES);
    const int64_t step = vectors * FV_LANES;
    static const int64_t run = 0;
    fa_tile_call tile = {.runs = &run,
                         .run_count = 1,
                         .x_step = s->in_plane * s->in_channels,
                         .w_step = s->out_plane * c->width,
                         .columns = step};
    int done = 0;
    for (int k = 0; k < s->n_pairs; k++)
        for (int64_t n = 0; n < s->images && s->pairs[k].tap == tap; n += SEGMENT) {
            tile.run_length = fa_min64(SEGMENT, s->images - n);
            tile.w = c->g + (n * s->out_plane + s->pairs[k].out) * c->width + panel * FA_PANEL_COLUMNS;
            tile.flags = done++ > 0 ? FA_TILE_ADD : 0;
            for (int64_t channel = first; channel < end;) {
                const int rows = fa_tile_take(vectors, end - channel);
                for (int i = 0; i < rows; i++) {
                    tile.x[i] = c->x + (n * s->in_plane + s->pairs[k].in) * s->in_channels + channel + i;
                    tile.y[i] = sums_at(c, tap, panel) + (channel + i) * step;
                }
                FA_ISA(fa_tile)(&tile, rows, vectors);
                channel += rows;
            }
        }
}

/* A vector of output channels and one of input channels, all taps. */
static void store_task(void *context, int64_t index)
{
    const weight_context *c = context;
    const small_conv *s = c->conv;
    const int64_t vectors = fa_blocks(s->in_channels, FV_LANES), channel = index % vectors * FV_LANES;
    const int64_t o = index / vectors * FV_LANES, rows = fa_min64(FV_LANES, s->in_channels - channel);
    const int64_t lanes = fa_min64(FV_LANES, s->out_channels - o), panel = o / FA_PANEL_COLUMNS;
    const int64_t step = fa_min64(FA_PANEL_COLUMNS, c->width - panel * FA_PANEL_COLUMNS);
    for (int64_t i = 0; i < lanes; i++)
        memset(c->dw + ((o + i) * s->in_channels + channel) * s->taps, 0, (size_t)(rows * s->taps) * sizeof *c->dw);
    for (int64_t tap = 0; tap < s->taps; tap++) {
        if (!s->used[tap])
            continue;
        const float *from = sums_at(c, tap, panel) + channel * step + o % FA_PANEL_COLUMNS;
        for (int64_t row = 0; row < rows; row++) {
            float lane[FV_LANES];
            fv_store(lane, fv_load(from + row * step));
            for (int64_t i = 0; i < lanes; i++)
                c->dw[((o + i) * s->in_channels + channel + row) * s->taps + tap] = lane[i];
        }
    }
}

static bool is_small_weight_grad(const fa_kernel_args *args, small_conv *s)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    return fa_all_float32(args, 2) && args->in_meta[0]->ndim == 4 && args->in_meta[1]->ndim == 4 &&
           args->in_meta[0]->shape[0] > 0 &&
           find_pairs(ints, args->in_meta[1], args->in_meta[0], args->out_meta[0], s) &&
           s->out_channels % FV_LANES == 0;
}

static bool weight_grad_supports(const fa_kernel_args *args)
{
    small_conv s;
    return is_small_weight_grad(args, &s);
}

static size_t weight_grad_scratch(const fa_kernel_args *args)
{
    small_conv s;
    is_small_weight_grad(args, &s);
    return packed_bytes(&s, s.in_channels, s.out_channels);
}

static void weight_grad_run(const fa_kernel_args *args)
{
    small_conv s;
    is_small_weight_grad(args, &s);
    weight_context c = {.conv = &s,
                        .x = args->in[1],
                        .g = args->in[0],
                        .sums = args->scratch,
                        .dw = args->out[0],
                        .width = s.out_channels,
                        .panels = fa_blocks(s.out_channels, FA_PANEL_COLUMNS),
                        .blocks = fa_blocks(s.in_channels, CHANNEL_ROWS)};
    const double size = (double)s.in_channels * (double)s.out_channels;
    fa_run_tasks(s.taps * c.panels * c.blocks, sum_task, &c, 2.0 * (double)(s.images * s.n_pairs) * size);
    fa_run_tasks(fa_blocks(s.in_channels, FV_LANES) * fa_blocks(s.out_channels, FV_LANES), store_task, &c,
                 (double)s.taps * size);
}

const fa_cpu_kernel FA_ISA(fa_conv_small_kernels)[] = {
    {.op = FA_OP_conv2d,
     .name = "conv2d small nhwc " FA_ISA_NAME,
     .supports = FA_ISA(fa_conv_small_supports),
     .scratch = forward_scratch,
     .run = forward_run,
     .fuse = FA_FUSE_RELU},
    {.op = FA_OP_conv2d_input_grad,
     .name = "conv2d_input_grad small nhwc " FA_ISA_NAME,
     .supports = input_grad_supports,
     .scratch = input_grad_scratch,
     .run = input_grad_run},
    {.op = FA_OP_conv2d_weight_grad,
     .name = "conv2d_weight_grad small nhwc " FA_ISA_NAME,
     .supports = weight_grad_supports,
     .scratch = weight_grad_scratch,
     .run = weight_grad_run},
    {.run = NULL},
};
