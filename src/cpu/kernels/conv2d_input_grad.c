/* The gradient of conv2d for its input, channels last:
 *
 *     dx[n,h,w,c] = sum over a, b, o of weight[o,c,a,b] * g[n, (h + p - a*d)/s, (w + p - b*d)/s, o]
 *
 * over the taps for which the quotients are whole and inside of g. Rows h = f, f+s, f+2s, ... of one phase f share
 * their taps and read g one step apart: a convolution of stride 1 over g, with weights turned and cut to those taps. A
 * stride of 1 has one phase, all taps. Dense 3x3 layers with enough channels go by Winograd (winograd.h) instead. */
#include "cpu/kernels/conv.h"
#include "cpu/kernels/tile.h"
#include "cpu/kernels/winograd.h"

#include <stdatomic.h>

typedef struct input_grad_plan {
    int64_t groups, in_channels, out_channels; /* of one group */
    int64_t kernel[2], taps, input[2], phases[2];
    fa_conv_padding padding; /* of g */
    bool direct, fits;
    size_t runs_at, taps_at, weights_at, padded_at, bytes;
} input_grad_plan;

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Where tap `a` of a phase reads g, in positions from the lattice's own index; false if the phase has no such tap. */
static bool tap_shift(const fa_conv2d_ints *ints, int d, int64_t phase, int64_t tap, int64_t *shift)
{
    const int64_t from = phase + ints->padding_before[d] - tap * ints->dilation[d];
    *shift = floor_div(from, ints->stride[d]);
    return *shift * ints->stride[d] == from;
}

static input_grad_plan make_plan(const fa_kernel_args *args)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    const fa_meta *g = args->in_meta[0], *weight = args->in_meta[1];
    input_grad_plan p = {
        .groups = ints->groups, .in_channels = weight->shape[1], .out_channels = weight->shape[0] / ints->groups};
    p.padding = (fa_conv_padding){
        .x = args->in[0], .images = g->shape[0], .height = g->shape[2], .width = g->shape[3], .channels = g->shape[1]};
    int64_t extent[2];
    for (int d = 0; d < 2; d++) {
        p.kernel[d] = weight->shape[2 + d];
        p.input[d] = ints->input_shape[2 + d];
        p.phases[d] = fa_min64(ints->stride[d], p.input[d]);
        /* The last tap reaches furthest back from the first position, tap 0 furthest on from the last one. */
        const int64_t low = floor_div(ints->padding_before[d] - (p.kernel[d] - 1) * ints->dilation[d], ints->stride[d]);
        const int64_t high = floor_div(p.input[d] - 1 + ints->padding_before[d], ints->stride[d]);
        p.padding.before[d] = -low;
        extent[d] = fa_max64(0, high - low + 1);
    }
    p.taps = p.kernel[0] * p.kernel[1];
    p.padding.padded_height = extent[0];
    p.padding.padded_width = extent[1];
    p.direct =
        p.padding.before[0] == 0 && p.padding.before[1] == 0 && extent[0] <= g->shape[2] && extent[1] <= g->shape[3];
    p.fits =
        p.direct || FA_ISA(fa_conv_padding_is_small)(&p.padding, p.input[0] * p.input[1] * p.groups * p.in_channels);
    if (p.direct) {
        p.padding.padded_height = g->shape[2];
        p.padding.padded_width = g->shape[3];
    }
    p.runs_at = fa_carve(&p.bytes, p.taps, sizeof(int64_t));
    p.taps_at = fa_carve(&p.bytes, 2 * p.taps, sizeof(int64_t));
    p.weights_at =
        fa_carve(&p.bytes, fa_conv_packed_size(p.groups, p.taps * p.out_channels, p.in_channels), sizeof(float));
    if (!p.direct && p.fits)
        p.padded_at =
            fa_carve(&p.bytes, p.padding.images * p.padding.padded_height * p.padding.padded_width * p.padding.channels,
                     sizeof(float));
    return p;
}

static bool input_grad_supports(const fa_kernel_args *args)
{
    return fa_all_float32(args, 2) && args->in_meta[0]->ndim == 4 && args->in_meta[1]->ndim == 4 &&
           make_plan(args).fits;
}

static size_t input_grad_scratch(const fa_kernel_args *args)
{
    return make_plan(args).bytes;
}

/* ---- Packed weights of a phase: w[group][panel][tap, o][columns are channels c] ---------------------------------- */

typedef struct pack_context {
    const input_grad_plan *plan;
    const fa_conv2d_ints *ints;
    const float *weight; /* [groups * out_channels, in_channels, kh, kw] */
    float *packed;
    int64_t phase[2], phase_taps;
    _Atomic int not_finite;
} pack_context;

enum { OUT_BLOCK = 32 };

/* One vector of channels c, for a block of o. Taps go from the last to the first, so that they read g forwards. */
static void pack_task(void *context, int64_t index)
{
    pack_context *k = context;
    const input_grad_plan *p = k->plan;
    const int64_t vectors = fa_blocks(p->in_channels, FV_LANES), out_blocks = fa_blocks(p->out_channels, OUT_BLOCK);
    const int64_t o_begin = index % out_blocks * OUT_BLOCK;
    const int64_t o_end = fa_min64(p->out_channels, o_begin + OUT_BLOCK);
    const int64_t c = index / out_blocks % vectors * FV_LANES, group = index / out_blocks / vectors;
    const int64_t lanes = fa_min64(FV_LANES, p->in_channels - c), depth = k->phase_taps * p->out_channels;
    const int64_t panel_first = c / FA_PANEL_COLUMNS * FA_PANEL_COLUMNS;
    const int64_t columns = fa_min64(FA_PANEL_COLUMNS, fa_round_up(p->in_channels, FV_LANES) - panel_first);
    float *to = k->packed + fa_conv_packed_size(group, depth, p->in_channels) + depth * panel_first + (c - panel_first);
    enum { BLOCK = 8 * FV_LANES };
    _Alignas(64) float turned[BLOCK * FV_LANES];
    fv bad = fv_zero();
    for (int64_t o = o_begin; o < o_end; o++) {
        const float *from = k->weight + ((group * p->out_channels + o) * p->in_channels + c) * p->taps;
        int64_t place = k->phase_taps;
        for (int64_t first = 0; first < p->taps; first += BLOCK) {
            const int64_t count = fa_min64(BLOCK, p->taps - first);
            fa_transposed_copy(turned, FV_LANES, from + first, p->taps, lanes, count);
            for (int64_t i = 0; i < count; i++) {
                const int64_t a = (first + i) / p->kernel[1], b = (first + i) % p->kernel[1];
                int64_t shift;
                if (!tap_shift(k->ints, 0, k->phase[0], a, &shift) || !tap_shift(k->ints, 1, k->phase[1], b, &shift))
                    continue;
                place--;
                const fv w = fv_load(turned + i * FV_LANES);
                bad += w - w;
                fv_store(to + (place * p->out_channels + o) * columns, w);
            }
        }
    }
    if (fm_any(fv_isnan(bad)))
        atomic_store_explicit(&k->not_finite, 1, memory_order_relaxed);
}

/* Offsets of the taps of a phase, last tap first; the number of them. */
static int64_t phase_offsets(const input_grad_plan *p, const fa_conv2d_ints *ints, const int64_t phase[2],
                             int64_t *offsets, int64_t *row_taps)
{
    int64_t count = 0;
    *row_taps = 0;
    for (int64_t a = p->kernel[0] - 1; a >= 0; a--) {
        int64_t i, j;
        if (!tap_shift(ints, 0, phase[0], a, &i))
            continue;
        const int64_t before = count;
        for (int64_t b = p->kernel[1] - 1; b >= 0; b--)
            if (tap_shift(ints, 1, phase[1], b, &j))
                offsets[count++] = ((i + p->padding.before[0]) * p->padding.padded_width + j + p->padding.before[1]) *
                                   p->padding.channels;
        *row_taps = count - before;
    }
    return count;
}

/* A weight that is not finite has been multiplied by padding. */
static void redo_border(const fa_kernel_args *args, const input_grad_plan *p, const pack_context *pack,
                        const fa_conv_job *job)
{
    int64_t *row = (int64_t *)(void *)((char *)args->scratch + p->taps_at), *column = row + p->taps, count = 0;
    for (int64_t a = p->kernel[0] - 1; a >= 0; a--)
        for (int64_t b = p->kernel[1] - 1; b >= 0; b--)
            if (tap_shift(pack->ints, 0, pack->phase[0], a, &row[count]) &&
                tap_shift(pack->ints, 1, pack->phase[1], b, &column[count]))
                count++;
    const fa_conv_taps taps = {.x = args->in[0],
                               .height = p->padding.height,
                               .width = p->padding.width,
                               .channels = p->padding.channels,
                               .count = count,
                               .row_step = 1,
                               .column_step = 1,
                               .row = row,
                               .column = column};
    FA_ISA(fa_conv_redo_border)(job, &taps);
}

static void run_phase(const fa_kernel_args *args, const input_grad_plan *p, pack_context *pack)
{
    const fa_conv2d_ints *ints = pack->ints;
    const int64_t channels = p->padding.channels, row = p->padding.padded_width * channels;
    int64_t *runs = (int64_t *)(void *)((char *)args->scratch + p->runs_at), row_taps;
    int64_t run_count = phase_offsets(p, ints, pack->phase, runs, &row_taps), run_length = p->out_channels;
    pack->phase_taps = run_count;
    if (run_count)
        fa_run_tasks(p->groups * fa_blocks(p->in_channels, FV_LANES) * fa_blocks(p->out_channels, OUT_BLOCK), pack_task,
                     pack, 2.0 * (double)(p->groups * p->in_channels) * (double)(p->out_channels * p->taps));
    /* Taps of a row that lie side by side in g are one run. */
    if (p->groups == 1 && row_taps > 1 && runs[1] - runs[0] == channels) {
        for (int64_t r = 0; r < run_count / row_taps; r++)
            runs[r] = runs[r * row_taps];
        run_count /= row_taps;
        run_length *= row_taps;
    }
    const int64_t in_channels = p->groups * p->in_channels;
    const fa_conv_job job = {
        .images = p->padding.images,
        .rows = fa_blocks(p->input[0] - pack->phase[0], ints->stride[0]),
        .columns = fa_blocks(p->input[1] - pack->phase[1], ints->stride[1]),
        .x = p->direct ? args->in[0] : p->padding.padded,
        .x_image = p->padding.padded_height * row,
        .x_row = row,
        .x_column = channels,
        .y = (float *)args->out[0] + (pack->phase[0] * p->input[1] + pack->phase[1]) * in_channels,
        .y_image = p->input[0] * p->input[1] * in_channels,
        .y_row = ints->stride[0] * p->input[1] * in_channels,
        .y_column = ints->stride[1] * in_channels,
        .runs = runs,
        .run_count = run_count,
        .run_length = run_length,
        .w = pack->packed,
        .groups = p->groups,
        .in_channels = p->out_channels,
        .out_channels = p->in_channels,
    };
    FA_ISA(fa_conv_run)(&job);
    if (!p->direct && atomic_load_explicit(&pack->not_finite, memory_order_relaxed))
        redo_border(args, p, pack, &job);
}

static void input_grad_run(const fa_kernel_args *args)
{
    input_grad_plan p = make_plan(args);
    char *scratch = args->scratch;
    if (p.padding.images * p.input[0] * p.input[1] * p.groups * p.in_channels == 0)
        return;
    if (!p.direct) {
        p.padding.padded = (float *)(void *)(scratch + p.padded_at);
        FA_ISA(fa_conv_pad)(&p.padding);
    }
    pack_context pack = {.plan = &p,
                         .ints = (const fa_conv2d_ints *)(const void *)args->ints,
                         .weight = args->in[1],
                         .packed = (float *)(void *)(scratch + p.weights_at)};
    for (pack.phase[0] = 0; pack.phase[0] < p.phases[0]; pack.phase[0]++)
        for (pack.phase[1] = 0; pack.phase[1] < p.phases[1]; pack.phase[1]++)
            run_phase(args, &p, &pack);
}

/* ---- Winograd: a convolution of g with turned weights -------------------------------------------------------------
 */

static fa_wino_job wino_job(const fa_kernel_args *args)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    const fa_meta *g = args->in_meta[0];
    return (fa_wino_job){.side = FA_WINO_OUT,
                         .images = g->shape[0],
                         .height = g->shape[2],
                         .width = g->shape[3],
                         .in_channels = g->shape[1],
                         .x = args->in[0],
                         .before = {2 - ints->padding_before[0], 2 - ints->padding_before[1]},
                         .rows = ints->input_shape[2],
                         .columns = ints->input_shape[3],
                         .out_channels = ints->input_shape[1],
                         .y = args->out[0],
                         .weight = args->in[1],
                         .turned = true};
}

static bool wino_supports(const fa_kernel_args *args)
{
    if (!input_grad_supports(args))
        return false;
    const fa_wino_job job = wino_job(args);
    return FA_ISA(fa_wino_is_worth)((const fa_conv2d_ints *)(const void *)args->ints, job.side, job.in_channels,
                                    job.out_channels, job.rows, job.columns);
}

/* Both kernels' scratch in one place, the marks of images behind it. */
static size_t marks_at(const fa_kernel_args *args, const fa_wino_job *job)
{
    const size_t direct = input_grad_scratch(args), winograd = FA_ISA(fa_wino_scratch)(job);
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
    FA_ISA(fa_wino_redo)(args, job.bad, input_grad_run);
}

const fa_cpu_kernel FA_ISA(fa_conv2d_input_grad_kernels)[] = {
    {.op = FA_OP_conv2d_input_grad,
     .name = "conv2d_input_grad winograd nhwc " FA_ISA_NAME,
     .supports = wino_supports,
     .scratch = wino_scratch,
     .run = wino_run},
    {.op = FA_OP_conv2d_input_grad,
     .name = "conv2d_input_grad direct nhwc " FA_ISA_NAME,
     .supports = input_grad_supports,
     .scratch = input_grad_scratch,
     .run = input_grad_run},
    {.run = NULL},
};
