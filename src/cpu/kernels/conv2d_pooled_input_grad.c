/* The gradient of conv2d for its input where the gradient of its result came through a 2x2 max-pool (pooled.h): a
 * quarter of the dense products at most. 3x3 kernels with stride and dilation 1, one group.
 *
 * The winners of a window reach 4x4 positions of dx. For each place of a winner the channels o that won there add
 * g * weight[o] to nine of the sixteen, which stay in registers, a vector of channels c at a time; a window's sums are
 * then added to dx, windows in order.
 *
 * A product of a 0 of the gradient and a weight that is not finite is NaN. Those are put in at the end, where there is
 * such a weight. */
#include "cpu/kernels/conv.h"
#include "cpu/kernels/pooled.h"

#include <math.h>

enum { KERNEL = 3, TAPS = 9, REGION = 4, MAX_CHANNELS = 1024, ENTRIES = 2048, MAX_WINDOWS = 32, IMAGES_LEAST = 32 };

typedef struct pooled_context {
    int64_t images, height, width, in_channels, out_channels; /* of dx; of g */
    int64_t padding[2];
    int64_t vectors, tasks_image; /* vectors of in_channels; tasks that share an image */
    int64_t chunk;                /* windows whose winners are listed at a time */
    fa_pooled g;
    const float *weight; /* [o, c, a, b] */
    float *packed;       /* [vector of c][o][a][b][lanes] */
    float *dx;
} pooled_context;

static pooled_context make_context(const fa_kernel_args *args)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    pooled_context c = {.images = ints->input_shape[0],
                        .height = ints->input_shape[2],
                        .width = ints->input_shape[3],
                        .in_channels = ints->input_shape[1],
                        .out_channels = args->in_meta[1]->shape[0],
                        .padding = {ints->padding_before[0], ints->padding_before[1]}};
    const int64_t size[2] = {c.height + ints->padding_before[0] + ints->padding_after[0] - KERNEL + 1,
                             c.width + ints->padding_before[1] + ints->padding_after[1] - KERNEL + 1};
    c.g = fa_pooled_of(args, size);
    c.vectors = fa_blocks(c.in_channels, FV_LANES);
    c.tasks_image = c.images >= IMAGES_LEAST ? 1 : c.vectors;
    c.chunk = fa_max64(1, fa_min64(MAX_WINDOWS, ENTRIES / fa_max64(1, c.out_channels)));
    return c;
}

static bool pooled_supports(const fa_kernel_args *args)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    if (!ints->pooled || !fa_all_float32(args, 2) || ints->groups != 1 || ints->stride[0] != 1 ||
        ints->stride[1] != 1 || ints->dilation[0] != 1 || ints->dilation[1] != 1 || ints->kernel[0] != KERNEL ||
        ints->kernel[1] != KERNEL || args->in_meta[1]->shape[0] > MAX_CHANNELS)
        return false;
    const pooled_context c = make_context(args);
    /* Few channels waste lanes, of which a dense kernel has none to spare either, but it needs no lists. */
    return c.g.rows > 0 && c.g.columns > 0 && 2 * c.in_channels > FV_LANES;
}

static size_t pooled_scratch(const fa_kernel_args *args)
{
    const pooled_context c = make_context(args);
    return (size_t)(c.vectors * c.out_channels * TAPS * FV_LANES) * sizeof(float);
}

static void pack_task(void *context, int64_t index)
{
    const pooled_context *c = context;
    const int64_t vector = index / c->out_channels, o = index % c->out_channels;
    const int64_t first = vector * FV_LANES, lanes = fa_min64(FV_LANES, c->in_channels - first);
    fa_transposed_copy(c->packed + (vector * c->out_channels + o) * TAPS * FV_LANES, FV_LANES,
                       c->weight + (o * c->in_channels + first) * TAPS, TAPS, lanes, TAPS);
}

/* The winners of some windows, by place and window: value and offset of the channel's packed weights. */
typedef struct winner_lists {
    float value[4][ENTRIES + FV_LANES];
    int32_t offset[4][ENTRIES + FV_LANES];
    int32_t end[4][MAX_WINDOWS + 1]; /* those of window j are [end[j], end[j + 1]) */
} winner_lists;

static void list_winners(const pooled_context *c, int64_t image, int64_t i, int64_t begin, int64_t end,
                         winner_lists *lists)
{
    int32_t lane_offset[FV_LANES];
    for (int lane = 0; lane < FV_LANES; lane++)
        lane_offset[lane] = lane * TAPS * FV_LANES;
    const fi lanes = fi_load(lane_offset);
    int64_t count[4] = {0};
    for (int place = 0; place < 4; place++)
        lists->end[place][0] = 0;
    for (int64_t j = begin; j < end; j++) {
        for (int64_t o = 0; o < c->out_channels; o += FV_LANES) {
            fi where;
            const fv value = fa_pooled_winner(&c->g, image, i, j, o, fa_min64(FV_LANES, c->out_channels - o), &where);
            const fi offset = fi_add(lanes, fi_set1((int32_t)(o * TAPS * FV_LANES)));
            for (int place = 0; place < 4; place++)
                count[place] += fa_pooled_pack(fi_eq(where, fi_set1(place)), lists->value[place] + count[place], value,
                                               lists->offset[place] + count[place], offset);
        }
        for (int place = 0; place < 4; place++)
            lists->end[place][j - begin + 1] = (int32_t)count[place];
    }
}

/* region[r][s] of one window and vector of channels. */
FA_INLINE void window_sums(const winner_lists *lists, int64_t window, const float *packed, fv region[REGION * REGION])
{
    FA_UNROLL
    for (int k = 0; k < REGION * REGION; k++)
        region[k] = fv_zero();
    FA_UNROLL
    for (int place = 0; place < 4; place++) {
        const int first = (place >> 1) * REGION + (place & 1);
        for (int32_t e = lists->end[place][window]; e < lists->end[place][window + 1]; e++) {
            const fv value = fv_set1(lists->value[place][e]);
            const float *w = packed + lists->offset[place][e];
            FA_UNROLL
            for (int a = 0; a < KERNEL; a++)
                FA_UNROLL
            for (int b = 0; b < KERNEL; b++)
                region[first + a * REGION + b] =
                    fv_fma(value, fv_load(w + (a * KERNEL + b) * FV_LANES), region[first + a * REGION + b]);
        }
    }
}

/* Adds the region whose first row and column are `row` and `column` of dx, where it lies inside. */
FA_INLINE void add_region(const pooled_context *c, float *dx, int64_t row, int64_t column, int64_t lanes,
                          const fv region[REGION * REGION])
{
    const int64_t C = c->in_channels;
    const bool inside =
        lanes == FV_LANES && row >= 0 && row + REGION <= c->height && column >= 0 && column + REGION <= c->width;
    float *to = dx + (row * c->width + column) * C;
    if (inside) {
        FA_UNROLL
        for (int r = 0; r < REGION; r++)
            FA_UNROLL
        for (int s = 0; s < REGION; s++) {
            float *at = to + (r * c->width + s) * C;
            fv_store(at, fv_load(at) + region[r * REGION + s]);
        }
        return;
    }
    for (int r = 0; r < REGION; r++)
        for (int s = 0; s < REGION; s++)
            if (row + r >= 0 && row + r < c->height && column + s >= 0 && column + s < c->width) {
                float *at = to + (r * c->width + s) * C;
                fv_store_n(at, fv_load_n(at, lanes) + region[r * REGION + s], lanes);
            }
}

static void image_task(void *context, int64_t index)
{
    const pooled_context *c = context;
    const int64_t image = index / c->tasks_image, C = c->in_channels;
    const int64_t first = c->tasks_image > 1 ? index % c->tasks_image : 0;
    const int64_t end = c->tasks_image > 1 ? first + 1 : c->vectors;
    const int64_t from = first * FV_LANES, channels = fa_min64(C, end * FV_LANES) - from;
    float *dx = c->dx + image * c->height * c->width * C;
    for (int64_t at = 0; at < c->height * c->width; at++)
        memset(dx + at * C + from, 0, (size_t)channels * sizeof *dx);
    winner_lists lists;
    for (int64_t i = 0; i < c->g.rows; i++)
        for (int64_t begin = 0; begin < c->g.columns; begin += c->chunk) {
            const int64_t chunk_end = fa_min64(c->g.columns, begin + c->chunk);
            list_winners(c, image, i, begin, chunk_end, &lists);
            for (int64_t v = first; v < end; v++) {
                const float *packed = c->packed + v * c->out_channels * TAPS * FV_LANES;
                const int64_t lanes = fa_min64(FV_LANES, C - v * FV_LANES);
                for (int64_t j = begin; j < chunk_end; j++) {
                    fv region[REGION * REGION];
                    window_sums(&lists, j - begin, packed, region);
                    add_region(c, dx + v * FV_LANES, 2 * i - c->padding[0], 2 * j - c->padding[1], lanes, region);
                }
            }
        }
}

/* 0 * w is NaN where w is not finite: for each such weight, the positions that it reaches from a 0 of the gradient. */
static void add_not_finite(const pooled_context *c)
{
    const int64_t C = c->in_channels;
    for (int64_t at = 0; at < c->out_channels * C * TAPS; at++) {
        if (isfinite(c->weight[at]))
            continue;
        const int64_t tap = at % TAPS, channel = at / TAPS % C, o = at / TAPS / C;
        for (int64_t image = 0; image < c->images; image++)
            for (int64_t i = 0; i < c->g.height; i++)
                for (int64_t j = 0; j < c->g.width; j++) {
                    const int64_t row = i + tap / KERNEL - c->padding[0], column = j + tap % KERNEL - c->padding[1];
                    if (row >= 0 && row < c->height && column >= 0 && column < c->width &&
                        fa_pooled_value(&c->g, image, i, j, o) == 0)
                        c->dx[((image * c->height + row) * c->width + column) * C + channel] = NAN;
                }
    }
}

static void pooled_run(const fa_kernel_args *args)
{
    pooled_context c = make_context(args);
    c.weight = args->in[1];
    c.packed = args->scratch;
    c.dx = args->out[0];
    if (c.images * c.height * c.width * c.in_channels == 0)
        return;
    const double products =
        (double)(c.images * c.g.rows * c.g.columns) * (double)(c.out_channels * c.in_channels * TAPS);
    fa_run_tasks(c.vectors * c.out_channels, pack_task, &c, (double)(c.vectors * c.out_channels * TAPS * FV_LANES));
    fa_run_tasks(c.images * c.tasks_image, image_task, &c, 2.0 * products);
    if (!fa_all_finite(c.weight, c.out_channels * c.in_channels * TAPS))
        add_not_finite(&c);
}

const fa_cpu_kernel FA_ISA(fa_conv2d_pooled_input_grad_kernels)[] = {
    {.op = FA_OP_conv2d_input_grad,
     .name = "conv2d_input_grad pooled nhwc " FA_ISA_NAME,
     .supports = pooled_supports,
     .scratch = pooled_scratch,
     .run = pooled_run,
     .fuse = FA_FUSE_UNPOOL},
    {.run = NULL},
};
