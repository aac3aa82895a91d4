/* The gradient of conv2d for its weights where the gradient of its result came through a 2x2 max-pool (pooled.h): a
 * quarter of the dense products at most. Stride and dilation 1, one group.
 *
 *     dw[o,c,a,b] = sum over windows with a winner (i, j) for o of g * x[n, i + a - p, j + b - p, c]
 *
 * For each o the patch under the winner, rows of (b, c) one after the other, is added into registers. Sums are chains
 * of fv_fma over the windows of a segment; segments are added in order, pieces of segments at the end: all cut by
 * shapes.
 *
 * A product of a 0 of the gradient and an element that is not finite is NaN. Those are put in at the end, where there
 * is such an element. */
#include "cpu/kernels/conv.h"
#include "cpu/kernels/pooled.h"

#include <math.h>
#include <stdatomic.h>

enum { MIN_PIECES = 16, WISHED_TASKS = 64, SEGMENT_WINDOWS = 256, ROW_VECTORS = 16, PAD_ROWS = 8 };

typedef struct pooled_plan {
    int64_t out_channels, in_channels, kernel[2], padding[2];
    int64_t images, height, width; /* of x */
    int64_t padded[2];             /* rows and columns of x with its zeros */
    int64_t row_floats;            /* of a patch */
    int64_t row_lanes;             /* of a patch's row in the sums */
    int64_t windows, segment_windows, image_segments, segments, piece_segments, pieces, channel_blocks;
    int64_t sums_size; /* floats of a piece: [o][a][row_lanes] */
    size_t padded_at, sums_at, bytes;
} pooled_plan;

/* Vectors of a patch's row that one pass takes, of `vectors` that are left: the rest has passes of its own. */
static int64_t row_pass(int64_t vectors, bool whole_patch)
{
    static const int8_t sizes[2][6] = {{4, 8, 12, 16, 16, 16}, {1, 2, 3, 4, 6, 8}};
    for (int i = 0; i < 6; i++)
        if (sizes[whole_patch][i] >= vectors)
            return sizes[whole_patch][i];
    return ROW_VECTORS;
}

/* Whether the sums of a whole patch are held at once: three rows of few vectors. */
static bool is_whole_patch(const pooled_plan *p)
{
#if defined(FA_CPU_ISA_avx512) || defined(FA_CPU_ISA_neon)
    enum { MOST = 8 };
#else
    enum { MOST = 4 };
#endif
    return p->kernel[0] == 3 && fa_blocks(p->row_floats, FV_LANES) <= MOST;
}

static pooled_plan make_plan(const fa_kernel_args *args)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    const fa_meta *x = args->in_meta[1], *dw = args->out_meta[0];
    pooled_plan p = {.out_channels = dw->shape[0],
                     .in_channels = dw->shape[1],
                     .kernel = {dw->shape[2], dw->shape[3]},
                     .padding = {ints->padding_before[0], ints->padding_before[1]},
                     .images = x->shape[0],
                     .height = x->shape[2],
                     .width = x->shape[3]};
    int64_t out[2];
    for (int d = 0; d < 2; d++) {
        p.padded[d] = x->shape[2 + d] + ints->padding_before[d] + ints->padding_after[d];
        out[d] = p.padded[d] - p.kernel[d] + 1;
    }
    p.row_floats = p.kernel[1] * p.in_channels;
    for (int64_t left = fa_blocks(p.row_floats, FV_LANES); left > 0;) {
        const int64_t pass = row_pass(left, is_whole_patch(&p));
        p.row_lanes += pass * FV_LANES;
        left -= pass;
    }
    p.windows = (out[0] / 2) * (out[1] / 2);
    p.image_segments = fa_max64(1, fa_blocks(p.windows, SEGMENT_WINDOWS));
    p.segment_windows = fa_blocks(p.windows, p.image_segments);
    p.segments = p.images * p.image_segments;
    p.channel_blocks = fa_blocks(p.out_channels, FV_LANES);
    p.pieces =
        fa_min64(fa_max64(1, p.segments), fa_max64(MIN_PIECES, fa_blocks(WISHED_TASKS, fa_max64(1, p.channel_blocks))));
    p.piece_segments = fa_max64(1, fa_blocks(p.segments, p.pieces));
    p.pieces = fa_max64(1, fa_blocks(p.segments, p.piece_segments));
    p.sums_size = p.out_channels * p.kernel[0] * p.row_lanes;
    p.padded_at = fa_carve(&p.bytes, p.images * p.padded[0] * p.padded[1] * p.in_channels + ROW_VECTORS * FV_LANES,
                           sizeof(float));
    p.sums_at = fa_carve(&p.bytes, p.pieces * p.sums_size, sizeof(float));
    return p;
}

static bool is_pooled(const fa_kernel_args *args)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    return ints->pooled && fa_all_float32(args, 2) && ints->groups == 1 && ints->stride[0] == 1 &&
           ints->stride[1] == 1 && ints->dilation[0] == 1 && ints->dilation[1] == 1;
}

/* Worth it where a patch's row fills its vectors: a dense kernel multiplies four positions a window, but wastes no
 * lane.
 */
static bool pooled_supports(const fa_kernel_args *args)
{
    if (!is_pooled(args))
        return false;
    const fa_meta *x = args->in_meta[1], *dw = args->out_meta[0];
    fa_conv_padding padding = {
        .images = x->shape[0], .height = x->shape[2], .width = x->shape[3], .channels = x->shape[1]};
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    padding.padded_height = x->shape[2] + ints->padding_before[0] + ints->padding_after[0];
    padding.padded_width = x->shape[3] + ints->padding_before[1] + ints->padding_after[1];
    const int64_t row = dw->shape[3] * dw->shape[1];
    if (row > (1 << 20) || !FA_ISA(fa_conv_padding_is_small)(&padding, 0) ||
        padding.padded_height * padding.padded_width > INT32_MAX / fa_max64(1, x->shape[1]))
        return false;
    return make_plan(args).windows > 0;
}

static size_t pooled_scratch(const fa_kernel_args *args)
{
    return make_plan(args).bytes;
}

typedef struct pooled_context {
    pooled_plan plan;
    fa_pooled g;
    const float *x;
    float *padded, *sums, *dw;
    _Atomic int not_finite;
} pooled_context;

/* ---- The padded copy --------------------------------------------------------------------------------------------- */

static void pad_task(void *context, int64_t index)
{
    pooled_context *c = context;
    const pooled_plan *p = &c->plan;
    const int64_t C = p->in_channels, width = p->padded[1] * C, row = p->width * C, left = p->padding[1] * C;
    const int64_t end = fa_min64(p->images * p->padded[0], (index + 1) * PAD_ROWS);
    for (int64_t r = index * PAD_ROWS; r < end; r++) {
        const int64_t from = r % p->padded[0] - p->padding[0];
        float *to = c->padded + r * width;
        if (from < 0 || from >= p->height) {
            memset(to, 0, (size_t)width * sizeof *to);
            continue;
        }
        const float *x = c->x + (r / p->padded[0] * p->height + from) * row;
        memset(to, 0, (size_t)left * sizeof *to);
        memcpy(to + left, x, (size_t)row * sizeof *to);
        memset(to + left + row, 0, (size_t)(width - left - row) * sizeof *to);
        if (!fa_all_finite(to + left, row))
            atomic_store_explicit(&c->not_finite, 1, memory_order_relaxed);
    }
}

/* ---- Sums -------------------------------------------------------------------------------------------------------- */

/* sums[r][v] += sum over entries of value * the patch at its offset, R rows of V vectors. */
typedef struct patch_call {
    const float *x;
    int64_t row; /* floats from a row of the patch to the next */
    const float *value;
    const int32_t *offset;
    int64_t entries;
    float *sums;
    int64_t sums_row;
} patch_call;

FA_INLINE void patch_sums(const patch_call *call, const int R, const int V)
{
    fv acc[3 * 8 > ROW_VECTORS ? 3 * 8 : ROW_VECTORS];
    FA_UNROLL
    for (int r = 0; r < R; r++)
        FA_UNROLL
    for (int v = 0; v < V; v++)
        acc[r * V + v] = fv_zero();
    const int64_t row = call->row;
    for (int64_t e = 0; e < call->entries; e++) {
        const fv value = fv_set1(call->value[e]);
        const float *x = call->x + call->offset[e];
        FA_UNROLL
        for (int r = 0; r < R; r++)
            FA_UNROLL
        for (int v = 0; v < V; v++)
            acc[r * V + v] = fv_fma(value, fv_load(x + r * row + v * FV_LANES), acc[r * V + v]);
    }
    FA_UNROLL
    for (int r = 0; r < R; r++)
        FA_UNROLL
    for (int v = 0; v < V; v++) {
        float *to = call->sums + r * call->sums_row + v * FV_LANES;
        fv_store(to, fv_load(to) + acc[r * V + v]);
    }
}

#define FA_PATCH(R, V)                                                                                                 \
    static __attribute__((noinline)) void patch_##R##_##V(const patch_call *call)                                      \
    {                                                                                                                  \
        patch_sums(call, R, V);                                                                                        \
    }
FA_PATCH(3, 1)
FA_PATCH(3, 2)
FA_PATCH(3, 3)
FA_PATCH(3, 4)
FA_PATCH(3, 6)
FA_PATCH(3, 8)
FA_PATCH(1, 4)
FA_PATCH(1, 8)
FA_PATCH(1, 12)
FA_PATCH(1, 16)
#undef FA_PATCH

static void whole_patch(const patch_call *call, int64_t vectors)
{
    static void (*const run[9])(const patch_call *) = {
        [1] = patch_3_1, [2] = patch_3_2, [3] = patch_3_3, [4] = patch_3_4, [6] = patch_3_6, [8] = patch_3_8};
    run[vectors](call);
}

static void patch_row(const patch_call *call, int64_t vectors)
{
    static void (*const run[5])(const patch_call *) = {
        [1] = patch_1_4, [2] = patch_1_8, [3] = patch_1_12, [4] = patch_1_16};
    run[vectors / 4](call);
}

/* The entries of one channel of a segment, into the sums of that channel. */
static void add_entries(const pooled_plan *p, patch_call call)
{
    if (is_whole_patch(p)) {
        whole_patch(&call, p->row_lanes / FV_LANES);
        return;
    }
    const float *x = call.x;
    float *sums = call.sums;
    for (int64_t a = 0; a < p->kernel[0]; a++)
        for (int64_t lane = 0; lane < p->row_lanes;) {
            const int64_t vectors = row_pass((p->row_lanes - lane) / FV_LANES, false);
            call.x = x + a * call.row + lane;
            call.sums = sums + a * p->row_lanes + lane;
            patch_row(&call, vectors);
            lane += vectors * FV_LANES;
        }
}

/* ---- Sums of few input channels ----------------------------------------------------------------------------------
 */

/* A window's patch of four rows has 4*C floats a row. Where these fit a vector, channels of the result are the lanes:
 * for each tap of 3x3xC a lane picks the element under its own winner out of two rows. */
#if defined(FA_CPU_ISA_avx512)
enum { FEW_CHANNELS = 3 };

FA_INLINE fv pick(fv row, fv next_row, fi lane)
{
    return _mm512_permutex2var_ps(row, lane, next_row);
}

/* total[tap][lane] += the sums of windows [begin, end) of an image for n channels from o on. */
FA_INLINE void few_sums(const pooled_context *c, int64_t image, int64_t begin, int64_t end, int64_t o, int64_t n,
                        const int C, fv *total)
{
    const pooled_plan *p = &c->plan;
    const int64_t row = p->padded[1] * C;
    const float *x = c->padded + image * p->padded[0] * row;
    /* where places 0..3 look; a channel without a winner looks anywhere, times 0 */
    const fi offsets = _mm512_setr_epi32(0, C, FV_LANES, FV_LANES + C, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    fv acc[3][3 * FEW_CHANNELS];
    FA_UNROLL
    for (int a = 0; a < 3; a++)
        FA_UNROLL
    for (int b = 0; b < 3 * C; b++)
        acc[a][b] = fv_zero();
    int64_t i = begin / c->g.columns, j = begin % c->g.columns;
    for (int64_t w = begin; w < end; w++) {
        fi place;
        fv g = fa_pooled_winner(&c->g, image, i, j, o, n, &place);
        g = fv_select(fi_eq(place, fi_set1(FA_NO_WINNER)), fv_zero(), g);
        const fi lane = _mm512_permutexvar_epi32(place, offsets);
        const float *corner = x + 2 * (i * row + j * C);
        fv rows[4];
        FA_UNROLL
        for (int a = 0; a < 4; a++)
            rows[a] = fv_load(corner + a * row);
        FA_UNROLL
        for (int b = 0; b < 3 * C; b++) {
            const fi at = fi_add(lane, fi_set1(b));
            FA_UNROLL
            for (int a = 0; a < 3; a++)
                acc[a][b] = fv_fma(g, pick(rows[a], rows[a + 1], at), acc[a][b]);
        }
        if (++j == c->g.columns) {
            j = 0;
            i++;
        }
    }
    FA_UNROLL
    for (int a = 0; a < 3; a++)
        FA_UNROLL
    for (int b = 0; b < 3 * C; b++)
        total[a * 3 * C + b] += acc[a][b];
}

static void few_task(const pooled_context *c, int64_t image, int64_t begin, int64_t end, int64_t o, int64_t n,
                     fv *total)
{
    if (c->plan.in_channels == 1)
        few_sums(c, image, begin, end, o, n, 1, total);
    else if (c->plan.in_channels == 2)
        few_sums(c, image, begin, end, o, n, 2, total);
    else
        few_sums(c, image, begin, end, o, n, 3, total);
}
#else
enum { FEW_CHANNELS = 0 };

static void few_task(const pooled_context *c, int64_t image, int64_t begin, int64_t end, int64_t o, int64_t n,
                     fv *total)
{
    (void)c, (void)image, (void)begin, (void)end, (void)o, (void)n, (void)total;
}
#endif

static bool has_few(const pooled_plan *p)
{
    return p->in_channels <= FEW_CHANNELS && p->kernel[0] == 3 && p->kernel[1] == 3;
}

/* A piece's segments, into its sums [o][a][b, c]. */
static void sum_few(const pooled_context *c, int64_t piece, int64_t o, int64_t n, float *sums)
{
    const pooled_plan *p = &c->plan;
    const int64_t taps = 9 * p->in_channels, row = 3 * p->in_channels;
    fv total[9 * (FEW_CHANNELS + 1)];
    for (int64_t t = 0; t < taps; t++)
        total[t] = fv_zero();
    const int64_t end = fa_min64(p->segments, (piece + 1) * p->piece_segments);
    for (int64_t segment = piece * p->piece_segments; segment < end; segment++) {
        const int64_t image = segment / p->image_segments, begin = segment % p->image_segments * p->segment_windows;
        few_task(c, image, begin, fa_min64(p->windows, begin + p->segment_windows), o, n, total);
    }
    for (int64_t t = 0; t < taps; t++) {
        float lane[FV_LANES];
        fv_store(lane, total[t]);
        for (int64_t channel = 0; channel < n; channel++)
            sums[channel * 3 * p->row_lanes + t / row * p->row_lanes + t % row] = lane[channel];
    }
}

/* ---- Sums of lists of winners ------------------------------------------------------------------------------------
 */

typedef struct entry_lists {
    float value[FV_LANES][SEGMENT_WINDOWS + FV_LANES];
    int32_t offset[FV_LANES][SEGMENT_WINDOWS + FV_LANES];
    int64_t count[FV_LANES];
} entry_lists;

/* Lists the winners of windows [begin, end) of an image for n channels from `o` on. */
static void list_entries(const pooled_context *c, int64_t image, int64_t begin, int64_t end, int64_t o, int64_t n,
                         entry_lists *lists)
{
    const pooled_plan *p = &c->plan;
    const int32_t column = (int32_t)p->in_channels, row = (int32_t)(p->padded[1] * p->in_channels);
    const fi none = fi_set1(FA_NO_WINNER);
    memset(lists->count, 0, sizeof lists->count);
    for (int64_t w = begin; w < end; w += FV_LANES) {
        const int64_t windows = fa_min64(FV_LANES, end - w);
        fv value[FV_LANES], place[FV_LANES];
        int32_t corner[FV_LANES] = {0};
        for (int64_t k = 0; k < FV_LANES; k++) {
            fi where = none;
            value[k] = fv_zero();
            if (k < windows) {
                const int64_t i = (w + k) / c->g.columns, j = (w + k) % c->g.columns;
                value[k] = fa_pooled_winner(&c->g, image, i, j, o, n, &where);
                corner[k] = (int32_t)(2 * (i * row + j * column));
            }
            place[k] = fv_from_bits(where);
        }
        fv_transpose(value);
        fv_transpose(place);
        const fi first = fi_load(corner);
        for (int64_t channel = 0; channel < n; channel++) {
            const fi at = fv_bits(place[channel]);
            fi offset = fi_select(fi_eq(at, fi_set1(1)), fi_set1(column), fi_set1(0));
            offset = fi_select(fi_eq(at, fi_set1(2)), fi_set1(row), offset);
            offset = fi_select(fi_eq(at, fi_set1(3)), fi_set1(row + column), offset);
            const int64_t count = lists->count[channel];
            lists->count[channel] +=
                fa_pooled_pack(fm_not(fi_eq(at, none)), lists->value[channel] + count, value[channel],
                               lists->offset[channel] + count, fi_add(first, offset));
        }
    }
}

static void sum_task(void *context, int64_t index)
{
    const pooled_context *c = context;
    const pooled_plan *p = &c->plan;
    const int64_t piece = index / p->channel_blocks, o = index % p->channel_blocks * FV_LANES;
    const int64_t n = fa_min64(FV_LANES, p->out_channels - o), patch = p->kernel[0] * p->row_lanes;
    float *sums = c->sums + piece * p->sums_size + o * patch;
    memset(sums, 0, (size_t)(n * patch) * sizeof *sums);
    if (has_few(p)) {
        sum_few(c, piece, o, n, sums);
        return;
    }
    entry_lists lists;
    const int64_t end = fa_min64(p->segments, (piece + 1) * p->piece_segments);
    for (int64_t segment = piece * p->piece_segments; segment < end; segment++) {
        const int64_t image = segment / p->image_segments, begin = segment % p->image_segments * p->segment_windows;
        list_entries(c, image, begin, fa_min64(p->windows, begin + p->segment_windows), o, n, &lists);
        for (int64_t channel = 0; channel < n; channel++)
            add_entries(p, (patch_call){.x = c->padded + image * p->padded[0] * p->padded[1] * p->in_channels,
                                        .row = p->padded[1] * p->in_channels,
                                        .value = lists.value[channel],
                                        .offset = lists.offset[channel],
                                        .entries = lists.count[channel],
                                        .sums = sums + channel * patch,
                                        .sums_row = p->row_lanes});
    }
}

/* ---- From pieces [o][a][b, c] to dw [o, c, a, b] ----------------------------------------------------------------- */

static void store_task(void *context, int64_t o)
{
    const pooled_context *c = context;
    const pooled_plan *p = &c->plan;
    const int64_t patch = p->kernel[0] * p->row_lanes, taps = p->kernel[0] * p->kernel[1], C = p->in_channels;
    float *sums = c->sums + o * patch;
    for (int64_t j = 0; j < patch && p->pieces > 1; j += FV_LANES) {
        fv sum = fv_load(sums + j);
        for (int64_t piece = 1; piece < p->pieces; piece++)
            sum += fv_load(sums + piece * p->sums_size + j);
        fv_store(sums + j, sum);
    }
    float *dw = c->dw + o * C * taps;
    for (int64_t a = 0; a < p->kernel[0]; a++)
        for (int64_t b = 0; b < p->kernel[1]; b++) {
            const float *from = sums + a * p->row_lanes + b * C;
            for (int64_t channel = 0; channel < C; channel++)
                dw[channel * taps + a * p->kernel[1] + b] = from[channel];
        }
}

/* 0 * x is NaN where x is not finite: for each such element, the weights that meet it at a 0 of the gradient. */
static void add_not_finite(const pooled_context *c)
{
    const pooled_plan *p = &c->plan;
    const int64_t C = p->in_channels, taps = p->kernel[0] * p->kernel[1];
    for (int64_t at = 0; at < p->images * p->height * p->width * C; at++) {
        if (isfinite(c->x[at]))
            continue;
        const int64_t channel = at % C, column = at / C % p->width, row = at / C / p->width % p->height;
        const int64_t image = at / C / p->width / p->height;
        for (int64_t tap = 0; tap < taps; tap++) {
            const int64_t i = row + p->padding[0] - tap / p->kernel[1], j = column + p->padding[1] - tap % p->kernel[1];
            for (int64_t o = 0; i >= 0 && i < c->g.height && j >= 0 && j < c->g.width && o < p->out_channels; o++)
                if (fa_pooled_value(&c->g, image, i, j, o) == 0)
                    c->dw[(o * C + channel) * taps + tap] = NAN;
        }
    }
}

static void pooled_run(const fa_kernel_args *args)
{
    pooled_context c = {.plan = make_plan(args), .x = args->in[1], .dw = args->out[0]};
    const pooled_plan *p = &c.plan;
    char *scratch = args->scratch;
    if (p->sums_size == 0)
        return;
    c.g = fa_pooled_of(args, (int64_t[2]){p->padded[0] - p->kernel[0] + 1, p->padded[1] - p->kernel[1] + 1});
    c.padded = (float *)(void *)(scratch + p->padded_at);
    c.sums = (float *)(void *)(scratch + p->sums_at);
    const int64_t rows = p->images * p->padded[0], row = p->padded[1] * p->in_channels;
    memset(c.padded + rows * row, 0, ROW_VECTORS * FV_LANES * sizeof(float));
    fa_run_tasks(fa_blocks(rows, PAD_ROWS), pad_task, &c, (double)rows * (double)row);
    fa_run_tasks(p->pieces * p->channel_blocks, sum_task, &c,
                 2.0 * (double)(p->images * p->windows) * (double)p->sums_size);
    fa_run_tasks(p->out_channels, store_task, &c, (double)p->pieces * (double)p->sums_size);
    if (atomic_load_explicit(&c.not_finite, memory_order_relaxed))
        add_not_finite(&c);
}

const fa_cpu_kernel FA_ISA(fa_conv2d_pooled_weight_grad_kernels)[] = {
    {.op = FA_OP_conv2d_weight_grad,
     .name = "conv2d_weight_grad pooled nhwc " FA_ISA_NAME,
     .supports = pooled_supports,
     .scratch = pooled_scratch,
     .run = pooled_run,
     .fuse = FA_FUSE_UNPOOL},
    {.run = NULL},
};
