/* conv2d on channels-last images:
 *
 *     y[n,i,j,o] = bias[o] + sum over a, b, c of weight[o,c,a,b] * x[n, i*s + a*d - p, j*s + b*d - p, c]
 *
 * summed over a, then b, then c in one chain of fv_fma, bias last; relu; and, fused, a 2x2 max-pool that writes the
 * largest value and its place alone.
 *
 * Dense 3x3 layers with enough channels go by Winograd (winograd.h) instead. */
#include "cpu/kernels/conv.h"
#include "cpu/kernels/tile.h"
#include "cpu/kernels/winograd.h"

#include <stdatomic.h>

typedef struct conv2d_plan {
    int64_t images, groups, in_channels, out_channels; /* of one group */
    int64_t kernel[2], out[2];                         /* out: the convolution's plane, before a pool */
    bool merged;                                       /* the taps of a row are one run */
    bool direct;                                       /* x is read where it lies */
    bool fits;                                         /* the padded copy is no larger than it may be */
    fa_conv_padding padding;
    int64_t depth;
    size_t runs_at, taps_at, weights_at, padded_at, bytes;
} conv2d_plan;

static conv2d_plan make_plan(const fa_kernel_args *args)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    const fa_meta *x = args->in_meta[0], *weight = args->in_meta[1];
    conv2d_plan p = {.images = x->shape[0],
                     .groups = ints->groups,
                     .in_channels = weight->shape[1],
                     .out_channels = weight->shape[0] / ints->groups};
    p.padding = (fa_conv_padding){
        .x = args->in[0], .images = x->shape[0], .height = x->shape[2], .width = x->shape[3], .channels = x->shape[1]};
    int64_t extent[2];
    for (int d = 0; d < 2; d++) {
        p.kernel[d] = weight->shape[2 + d];
        const int64_t reach = (p.kernel[d] - 1) * ints->dilation[d] + 1;
        const int64_t size = x->shape[2 + d] + ints->padding_before[d] + ints->padding_after[d];
        p.out[d] = size < reach ? 0 : (size - reach) / ints->stride[d] + 1;
        extent[d] = p.out[d] ? (p.out[d] - 1) * ints->stride[d] + reach : 0;
        p.padding.before[d] = ints->padding_before[d];
    }
    p.direct = ints->padding_before[0] == 0 && ints->padding_before[1] == 0 && extent[0] <= x->shape[2] &&
               extent[1] <= x->shape[3];
    p.padding.padded_height = p.direct ? x->shape[2] : extent[0];
    p.padding.padded_width = p.direct ? x->shape[3] : extent[1];
    p.fits = p.direct || FA_ISA(fa_conv_padding_is_small)(&p.padding, p.out[0] * p.out[1] * weight->shape[0]);
    p.merged = p.groups == 1 && ints->dilation[1] == 1;
    p.depth = p.kernel[0] * p.kernel[1] * p.in_channels;
    p.runs_at = fa_carve(&p.bytes, p.kernel[0] * p.kernel[1], sizeof(int64_t));
    p.taps_at = fa_carve(&p.bytes, 2 * p.kernel[0] * p.kernel[1], sizeof(int64_t));
    p.weights_at = fa_carve(&p.bytes, fa_conv_packed_size(p.groups, p.depth, p.out_channels), sizeof(float));
    if (!p.direct && p.fits)
        p.padded_at = fa_carve(
            &p.bytes, p.images * p.padding.padded_height * p.padding.padded_width * p.padding.channels, sizeof(float));
    return p;
}

/* Whether the convolution by itself has another kernel: with a pool it would have other bits here. */
static bool belongs_elsewhere(const fa_kernel_args *args, const conv2d_plan *p)
{
    fa_meta y = *args->out_meta[0];
    fa_kernel_args alone = *args;
    y.shape[2] = p->out[0];
    y.shape[3] = p->out[1];
    alone.out_meta[0] = &y;
    alone.fuse = 0;
    return FA_ISA(fa_conv_small_supports)(&alone) || FA_ISA(fa_conv_depthwise_supports)(&alone);
}

static bool conv2d_supports(const fa_kernel_args *args)
{
    const bool pool = (args->fuse & FA_FUSE_MAX_POOL) != 0;
    if (!fa_all_float32(args, 3) || args->in_meta[0]->ndim != 4 || args->in_meta[1]->ndim != 4)
        return false;
    if (pool && !(args->fuse & FA_FUSE_RELU))
        return false;
    const conv2d_plan plan = make_plan(args);
    return plan.fits && !(pool && belongs_elsewhere(args, &plan));
}

static size_t conv2d_scratch(const fa_kernel_args *args)
{
    return make_plan(args).bytes;
}

/* ---- Packed weights: w[group][panel][a, b, c][columns] ----------------------------------------------------------- */

typedef struct pack_context {
    const conv2d_plan *plan;
    const float *weight; /* [groups * out_channels, in_channels, kh, kw] */
    float *packed;
    _Atomic int not_finite;
} pack_context;

/* One vector of output channels: rows of [c, a, b] are turned in small blocks, then each vector goes to its place. */
static void pack_task(void *context, int64_t index)
{
    pack_context *c = context;
    const conv2d_plan *p = c->plan;
    const int64_t blocks = fa_blocks(p->out_channels, FV_LANES), group = index / blocks;
    const int64_t o = index % blocks * FV_LANES, rows = fa_min64(FV_LANES, p->out_channels - o);
    const int64_t panel_first = o / FA_PANEL_COLUMNS * FA_PANEL_COLUMNS;
    const int64_t columns = fa_min64(FA_PANEL_COLUMNS, fa_round_up(p->out_channels, FV_LANES) - panel_first);
    const int64_t taps = p->kernel[0] * p->kernel[1];
    const float *from = c->weight + (group * p->out_channels + o) * p->depth;
    float *to =
        c->packed + fa_conv_packed_size(group, p->depth, p->out_channels) + p->depth * panel_first + (o - panel_first);
    enum { BLOCK = 8 * FV_LANES };
    _Alignas(64) float turned[BLOCK * FV_LANES];
    int64_t channel = 0, tap = 0;
    fv bad = fv_zero();
    for (int64_t e = 0; e < p->depth; e += BLOCK) {
        const int64_t count = fa_min64(BLOCK, p->depth - e);
        fa_transposed_copy(turned, FV_LANES, from + e, p->depth, rows, count);
        for (int64_t i = 0; i < count; i++) {
            const fv w = fv_load(turned + i * FV_LANES);
            bad += w - w;
            fv_store(to + (tap * p->in_channels + channel) * columns, w);
            if (++tap == taps) {
                tap = 0;
                channel++;
            }
        }
    }
    if (fm_any(fv_isnan(bad)))
        atomic_store_explicit(&c->not_finite, 1, memory_order_relaxed);
}

/* A weight that is not finite has been multiplied by padding. */
static void redo_border(const fa_kernel_args *args, const conv2d_plan *p, const fa_conv_job *job)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    const int64_t count = p->kernel[0] * p->kernel[1];
    int64_t *row = (int64_t *)(void *)((char *)args->scratch + p->taps_at), *column = row + count;
    for (int64_t t = 0; t < count; t++) {
        row[t] = t / p->kernel[1] * ints->dilation[0] - ints->padding_before[0];
        column[t] = t % p->kernel[1] * ints->dilation[1] - ints->padding_before[1];
    }
    const fa_conv_taps taps = {.x = args->in[0],
                               .height = p->padding.height,
                               .width = p->padding.width,
                               .channels = p->padding.channels,
                               .count = count,
                               .row_step = ints->stride[0],
                               .column_step = ints->stride[1],
                               .row = row,
                               .column = column};
    FA_ISA(fa_conv_redo_border)(job, &taps);
}

static void conv2d_run(const fa_kernel_args *args)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    conv2d_plan p = make_plan(args);
    if (p.images * p.out[0] * p.out[1] * p.groups * p.out_channels == 0)
        return;
    char *scratch = args->scratch;
    int64_t *runs = (int64_t *)(void *)(scratch + p.runs_at);
    pack_context pack = {.plan = &p, .weight = args->in[1], .packed = (float *)(void *)(scratch + p.weights_at)};
    fa_run_tasks(p.groups * fa_blocks(p.out_channels, FV_LANES), pack_task, &pack,
                 2.0 * (double)p.groups * (double)p.depth * (double)p.out_channels);
    if (!p.direct) {
        p.padding.padded = (float *)(void *)(scratch + p.padded_at);
        FA_ISA(fa_conv_pad)(&p.padding);
    }
    const int64_t channels = p.padding.channels, row = p.padding.padded_width * channels;
    const int64_t run_count = p.merged ? p.kernel[0] : p.kernel[0] * p.kernel[1];
    for (int64_t r = 0; r < run_count; r++) {
        const int64_t a = p.merged ? r : r / p.kernel[1], b = p.merged ? 0 : r % p.kernel[1];
        runs[r] = a * ints->dilation[0] * row + b * ints->dilation[1] * channels;
    }
    const bool pool = (args->fuse & FA_FUSE_MAX_POOL) != 0;
    const int64_t shrink = pool ? 2 : 1, out_channels = p.groups * p.out_channels;
    const fa_conv_job job = {.images = p.images,
                             .rows = p.out[0] / shrink,
                             .columns = p.out[1] / shrink,
                             .x = p.direct ? args->in[0] : p.padding.padded,
                             .x_image = p.padding.padded_height * row,
                             .x_row = ints->stride[0] * row,
                             .x_column = ints->stride[1] * channels,
                             .y = args->out[0],
                             .y_image = (p.out[0] / shrink) * (p.out[1] / shrink) * out_channels,
                             .y_row = (p.out[1] / shrink) * out_channels,
                             .y_column = out_channels,
                             .winner = pool ? args->out[1] : NULL,
                             .runs = runs,
                             .run_count = run_count,
                             .run_length = p.merged ? p.kernel[1] * p.in_channels : p.in_channels,
                             .w = pack.packed,
                             .groups = p.groups,
                             .in_channels = p.in_channels,
                             .out_channels = p.out_channels,
                             .bias = args->in[2],
                             .relu = (args->fuse & FA_FUSE_RELU) != 0};
    FA_ISA(fa_conv_run)(&job);
    if (!p.direct && atomic_load_explicit(&pack.not_finite, memory_order_relaxed))
        redo_border(args, &p, &job);
}

/* ---- Winograd ---------------------------------------------------------------------------------------------------- */

/* In layers of few channels the error of F(4x4), about twice that of the direct sum, stands out: there a relu or a
 * maximum behind the layer falls the other way twice as often, and a run parts from PyTorch's that much sooner. F(2x2)
 * rounds like the direct sum. */
enum { WINO_CHANNELS = 64, WINO_SMALL_SIDE = 2 };

static fa_wino_job wino_job(const fa_kernel_args *args)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    const fa_meta *x = args->in_meta[0], *weight = args->in_meta[1];
    return (fa_wino_job){.side = x->shape[1] < WINO_CHANNELS ? WINO_SMALL_SIDE : FA_WINO_OUT,
                         .images = x->shape[0],
                         .height = x->shape[2],
                         .width = x->shape[3],
                         .in_channels = x->shape[1],
                         .x = args->in[0],
                         .before = {ints->padding_before[0], ints->padding_before[1]},
                         .rows = x->shape[2] + ints->padding_before[0] + ints->padding_after[0] - 2,
                         .columns = x->shape[3] + ints->padding_before[1] + ints->padding_after[1] - 2,
                         .out_channels = weight->shape[0],
                         .y = args->out[0],
                         .winner = (args->fuse & FA_FUSE_MAX_POOL) != 0 ? args->out[1] : NULL,
                         .weight = args->in[1],
                         .bias = args->in[2],
                         .relu = (args->fuse & FA_FUSE_RELU) != 0};
}

static bool wino_supports(const fa_kernel_args *args)
{
    if (!conv2d_supports(args))
        return false;
    const fa_wino_job job = wino_job(args);
    return FA_ISA(fa_wino_is_worth)((const fa_conv2d_ints *)(const void *)args->ints, job.side, job.in_channels,
                                    job.out_channels, job.rows, job.columns);
}

/* Both kernels' scratch in one place, the marks of images behind it. */
static size_t marks_at(const fa_kernel_args *args, const fa_wino_job *job)
{
    const size_t direct = conv2d_scratch(args), winograd = FA_ISA(fa_wino_scratch)(job);
    return direct > winograd ? direct : winograd;
}

static size_t wino_scratch(const fa_kernel_args *args)
{
    const fa_wino_job job = wino_job(args);
    return marks_at(args, &job) + (size_t)job.images;
}

static void wino_run(const fa_kernel_args *args)
{
    fa_wino_job job = wino_job(args);
    job.bad = (uint8_t *)args->scratch + marks_at(args, &job);
    if (job.images == 0)
        return;
    FA_ISA(fa_wino_run)(&job, args->scratch);
    FA_ISA(fa_wino_redo)(args, job.bad, conv2d_run);
}

const fa_cpu_kernel FA_ISA(fa_conv2d_kernels)[] = {
    {.op = FA_OP_conv2d,
     .name = "conv2d winograd nhwc " FA_ISA_NAME,
     .supports = wino_supports,
     .scratch = wino_scratch,
     .run = wino_run,
     .fuse = FA_FUSE_RELU | FA_FUSE_MAX_POOL},
    {.op = FA_OP_conv2d,
     .name = "conv2d direct nhwc " FA_ISA_NAME,
     .supports = conv2d_supports,
     .scratch = conv2d_scratch,
     .run = conv2d_run,
     .fuse = FA_FUSE_RELU | FA_FUSE_MAX_POOL},
    {.run = NULL},
};
