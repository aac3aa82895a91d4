/* Depthwise convolutions, each channel with a kernel of its own, channels last: forward and both gradients, for any
 * stride, padding and dilation.
 *
 *     y[n,i,j,c]  = bias[c] + sum over a, b of w[c,a,b] * x[n, i*s + a*d - p, j*s + b*d - p, c]
 *     dx[n,h,w,c] = sum over a, b of w[c,a,b] * g[n, (h + p - a*d)/s, (w + p - b*d)/s, c]      where those are whole
 *     dw[c,a,b]   = sum over n, i, j of g[n,i,j,c] * x[n, i*s + a*d - p, j*s + b*d - p, c]
 *
 * A vector holds channels. A tap is a row of the picture that is read, moved along; where it lies outside it is left
 * out. dx goes by phases, columns s apart, which have their taps in common. Sums are chains of fv_fma in the order of
 * the taps, from the last to the first for dx; dw has one a row of g, rows are added in order, cut into pieces by their
 * number alone. */
#include "cpu/kernels/conv.h"

enum { MAX_TAPS = 49, NINE = 9, MAX_PIECES = 64, TASK_FLOATS = 8192 };

/* Column j of the row that is computed reads x[at + j * step], for first <= j < end. */
typedef struct tap {
    int64_t at, first, end;
    int64_t number; /* in the kernel, row by row */
} tap;

typedef struct depthwise {
    const fa_conv2d_ints *ints;
    int64_t images, channels, lanes, kernel[2], taps;
    int64_t in[2], out[2]; /* planes of x and y */
    const float *x, *g, *weight, *bias;
    float *packed; /* [tap][lanes]; of dw [piece][tap][lanes] */
    float *to;
    int64_t rows, pieces; /* rows of a task; of dw pieces */
    bool relu;
} depthwise;

static depthwise make_call(const fa_kernel_args *args, const fa_meta *x, const fa_meta *y, const fa_meta *weight)
{
    return (depthwise){.ints = (const fa_conv2d_ints *)(const void *)args->ints,
                       .images = x->shape[0],
                       .channels = x->shape[1],
                       .lanes = fa_round_up(x->shape[1], FV_LANES),
                       .kernel = {weight->shape[2], weight->shape[3]},
                       .taps = weight->shape[2] * weight->shape[3],
                       .in = {x->shape[2], x->shape[3]},
                       .out = {y->shape[2], y->shape[3]}};
}

static bool is_depthwise(const fa_kernel_args *args, const fa_meta *x, const fa_meta *y, const fa_meta *weight)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)(const void *)args->ints;
    return x->ndim == 4 && y->ndim == 4 && weight->ndim == 4 && ints->groups > 1 && ints->groups == x->shape[1] &&
           ints->groups == y->shape[1] && weight->shape[1] == 1 && weight->shape[2] <= MAX_TAPS &&
           weight->shape[3] <= MAX_TAPS && weight->shape[2] * weight->shape[3] <= MAX_TAPS;
}

static size_t packed_scratch(const depthwise *c)
{
    return (size_t)(c->taps * c->lanes) * sizeof(float);
}

static void pack(const depthwise *c)
{
    for (int64_t o = 0; o < c->lanes; o += FV_LANES)
        for (int64_t t = 0; t < c->taps; t++) {
            float lane[FV_LANES] = {0};
            for (int64_t i = 0; i < fa_min64(FV_LANES, c->channels - o); i++)
                lane[i] = c->weight[(o + i) * c->taps + t];
            fv_store(c->packed + t * c->lanes + o, fv_load(lane));
        }
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The taps of row i of y, in order; the number of them. */
static int64_t find_taps(const depthwise *c, int64_t image, int64_t i, tap *taps)
{
    const fa_conv2d_ints *k = c->ints;
    int64_t count = 0;
    for (int64_t t = 0; t < c->taps; t++) {
        const int64_t row = i * k->stride[0] + t / c->kernel[1] * k->dilation[0] - k->padding_before[0];
        const int64_t left = t % c->kernel[1] * k->dilation[1] - k->padding_before[1];
        const int64_t first = fa_max64(0, -floor_div(left, k->stride[1]));
        const int64_t end = fa_min64(c->out[1], floor_div(c->in[1] - 1 - left, k->stride[1]) + 1);
        if (row >= 0 && row < c->in[0] && first < end)
            taps[count++] = (tap){((image * c->in[0] + row) * c->in[1] + left) * c->channels, first, end, t};
    }
    return count;
}

/* The same of columns phase, phase + stride, ... of row h of x, which read g. */
static int64_t find_taps_back(const depthwise *c, int64_t image, int64_t h, int64_t phase, tap *taps)
{
    const fa_conv2d_ints *k = c->ints;
    const int64_t columns = fa_blocks(c->in[1] - phase, k->stride[1]);
    int64_t count = 0;
    for (int64_t t = c->taps - 1; t >= 0; t--) {
        const int64_t down = h + k->padding_before[0] - t / c->kernel[1] * k->dilation[0];
        const int64_t along = phase + k->padding_before[1] - t % c->kernel[1] * k->dilation[1];
        const int64_t row = floor_div(down, k->stride[0]), left = floor_div(along, k->stride[1]);
        if (row * k->stride[0] != down || left * k->stride[1] != along || row < 0 || row >= c->out[0])
            continue;
        const int64_t first = fa_max64(0, -left), end = fa_min64(columns, c->out[1] - left);
        if (first < end)
            taps[count++] = (tap){((image * c->out[0] + row) * c->out[1] + left) * c->channels, first, end, t};
    }
    return count;
}

/* ---- A row of y or dx -------------------------------------------------------------------------------------------- */

typedef struct row {
    const float *x, *packed;
    const tap *taps;
    int64_t count, x_step, lanes;
    const float *bias;
    bool relu;
    float *y;
    int64_t y_step;
} row;

FA_INLINE void store(const row *r, int64_t j, int64_t o, int64_t n, fv sum)
{
    if (r->bias)
        sum += n >= FV_LANES ? fv_load(r->bias + o) : fv_load_n(r->bias + o, n);
    if (r->relu)
        sum = fv_relu(sum);
    float *to = r->y + j * r->y_step + o;
    if (n >= FV_LANES)
        fv_store(to, sum);
    else
        fv_store_n(to, sum, n);
}

FA_INLINE fv load(const float *from, int64_t n)
{
    return n >= FV_LANES ? fv_load(from) : fv_load_n(from, n);
}

/* Columns [first, end), which all taps reach. */
FA_INLINE void run_whole(const row *r, int64_t first, int64_t end, int64_t o, int64_t n)
{
    for (int64_t j = first; j < end; j++) {
        fv sum = fv_zero();
        for (int64_t t = 0; t < r->count; t++)
            sum = fv_fma(load(r->x + r->taps[t].at + j * r->x_step + o, n),
                         fv_load(r->packed + r->taps[t].number * r->lanes + o), sum);
        store(r, j, o, n, sum);
    }
}

/* The same of nine taps, whose weights stay in registers. */
FA_INLINE void run_nine(const row *r, int64_t first, int64_t end, int64_t o, int64_t n)
{
    fv w[NINE];
    const float *x[NINE];
    FA_UNROLL
    for (int t = 0; t < NINE; t++) {
        w[t] = fv_load(r->packed + r->taps[t].number * r->lanes + o);
        x[t] = r->x + (r->taps[t].at + first * r->x_step + o);
    }
    int64_t at = 0;
    for (int64_t j = first; j < end; j++, at += r->x_step) {
        fv sum = fv_zero();
        FA_UNROLL
        for (int t = 0; t < NINE; t++)
            sum = fv_fma(load(x[t] + at, n), w[t], sum);
        store(r, j, o, n, sum);
    }
}

static void run_edge(const row *r, int64_t j, int64_t channels)
{
    for (int64_t o = 0; o < channels; o += FV_LANES) {
        const int64_t n = fa_min64(FV_LANES, channels - o);
        fv sum = fv_zero();
        for (int64_t t = 0; t < r->count; t++)
            if (j >= r->taps[t].first && j < r->taps[t].end)
                sum = fv_fma(load(r->x + (r->taps[t].at + j * r->x_step + o), n),
                             fv_load(r->packed + r->taps[t].number * r->lanes + o), sum);
        store(r, j, o, n, sum);
    }
}

static void run_row(const row *r, int64_t columns, int64_t channels)
{
    int64_t first = 0, end = columns;
    for (int64_t t = 0; t < r->count; t++) {
        first = fa_max64(first, r->taps[t].first);
        end = fa_min64(end, r->taps[t].end);
    }
    first = fa_min64(first, columns);
    end = fa_max64(end, first);
    for (int64_t j = 0; j < first; j++)
        run_edge(r, j, channels);
    for (int64_t o = 0; o < channels; o += FV_LANES) {
        const int64_t n = channels - o;
        if (r->count == NINE && n >= FV_LANES)
            run_nine(r, first, end, o, FV_LANES);
        else if (n >= FV_LANES)
            run_whole(r, first, end, o, FV_LANES);
        else
            run_whole(r, first, end, o, n);
    }
    for (int64_t j = end; j < columns; j++)
        run_edge(r, j, channels);
}

static int64_t rows_a_task(const depthwise *c, int64_t width)
{
    return fa_max64(1, TASK_FLOATS / fa_max64(1, width * c->channels));
}

static void forward_task(void *context, int64_t index)
{
    const depthwise *c = context;
    const int64_t end = fa_min64(c->images * c->out[0], (index + 1) * c->rows);
    tap taps[MAX_TAPS];
    for (int64_t i = index * c->rows; i < end; i++) {
        const row r = {.x = c->x,
                       .packed = c->packed,
                       .taps = taps,
                       .count = find_taps(c, i / c->out[0], i % c->out[0], taps),
                       .x_step = c->ints->stride[1] * c->channels,
                       .lanes = c->lanes,
                       .bias = c->bias,
                       .relu = c->relu,
                       .y = c->to + i * c->out[1] * c->channels,
                       .y_step = c->channels};
        run_row(&r, c->out[1], c->channels);
    }
}

static double work_of(const depthwise *c)
{
    return 2.0 * (double)(c->images * c->channels * c->taps) * (double)(c->out[0] * c->out[1]);
}

static void forward_run(const fa_kernel_args *args)
{
    depthwise c = make_call(args, args->in_meta[0], args->out_meta[0], args->in_meta[1]);
    c.x = args->in[0];
    c.weight = args->in[1];
    c.bias = args->in[2];
    c.packed = args->scratch;
    c.to = args->out[0];
    c.relu = (args->fuse & FA_FUSE_RELU) != 0;
    c.rows = rows_a_task(&c, c.out[1]);
    pack(&c);
    fa_run_tasks(fa_blocks(c.images * c.out[0], c.rows), forward_task, &c, work_of(&c));
}

static void input_task(void *context, int64_t index)
{
    const depthwise *c = context;
    const int64_t end = fa_min64(c->images * c->in[0], (index + 1) * c->rows), stride = c->ints->stride[1];
    tap taps[MAX_TAPS];
    for (int64_t h = index * c->rows; h < end; h++)
        for (int64_t phase = 0; phase < fa_min64(stride, c->in[1]); phase++) {
            const row r = {.x = c->g,
                           .packed = c->packed,
                           .taps = taps,
                           .count = find_taps_back(c, h / c->in[0], h % c->in[0], phase, taps),
                           .x_step = c->channels,
                           .lanes = c->lanes,
                           .y = c->to + (h * c->in[1] + phase) * c->channels,
                           .y_step = stride * c->channels};
            run_row(&r, fa_blocks(c->in[1] - phase, stride), c->channels);
        }
}

static void input_run(const fa_kernel_args *args)
{
    depthwise c = make_call(args, args->out_meta[0], args->in_meta[0], args->in_meta[1]);
    c.g = args->in[0];
    c.weight = args->in[1];
    c.packed = args->scratch;
    c.to = args->out[0];
    c.rows = rows_a_task(&c, c.in[1]);
    pack(&c);
    fa_run_tasks(fa_blocks(c.images * c.in[0], c.rows), input_task, &c, work_of(&c));
}

/* ---- The gradient of the weights --------------------------------------------------------------------------------- */

/* Adds the products of columns [first, end) of a row of g with what one tap reads. */
FA_INLINE fv tap_sum(const depthwise *c, const tap *t, const float *g, int64_t first, int64_t end, int64_t o, int64_t n,
                     fv sum)
{
    const int64_t step = c->ints->stride[1] * c->channels;
    for (int64_t j = first; j < end; j++)
        sum = fv_fma(load(g + j * c->channels + o, n), load(c->x + (t->at + j * step + o), n), sum);
    return sum;
}

/* Nine taps over the columns [first, end) that all of them reach. */
FA_INLINE void nine_sums(const depthwise *c, const tap *taps, const float *g, int64_t first, int64_t end, int64_t o,
                         fv sum[NINE])
{
    const int64_t step = c->ints->stride[1] * c->channels;
    const float *x[NINE];
    fv own[NINE];
    FA_UNROLL
    for (int t = 0; t < NINE; t++) {
        x[t] = c->x + (taps[t].at + first * step + o);
        own[t] = fv_zero();
    }
    g += first * c->channels + o;
    int64_t at = 0;
    for (int64_t j = first; j < end; j++, at += step, g += c->channels) {
        const fv gradient = fv_load(g);
        FA_UNROLL
        for (int t = 0; t < NINE; t++)
            own[t] = fv_fma(gradient, fv_load(x[t] + at), own[t]);
    }
    FA_UNROLL
    for (int t = 0; t < NINE; t++)
        sum[t] = own[t];
}

static void add_row(const depthwise *c, const tap *taps, int64_t count, const float *g, float *sums)
{
    int64_t first = 0, end = c->out[1];
    for (int64_t t = 0; t < count; t++) {
        first = fa_max64(first, taps[t].first);
        end = fa_min64(end, taps[t].end);
    }
    for (int64_t o = 0; o < c->channels; o += FV_LANES) {
        const int64_t n = c->channels - o;
        fv sum[MAX_TAPS];
        for (int64_t t = 0; t < count; t++)
            sum[t] = fv_zero();
        const bool nine = count == NINE && n >= FV_LANES && first < end;
        if (nine)
            nine_sums(c, taps, g, first, end, o, sum);
        for (int64_t t = 0; t < count; t++) {
            const int64_t n_lanes = fa_min64(FV_LANES, n);
            sum[t] = tap_sum(c, &taps[t], g, taps[t].first, nine ? first : taps[t].end, o, n_lanes, sum[t]);
            if (nine)
                sum[t] = tap_sum(c, &taps[t], g, end, taps[t].end, o, n_lanes, sum[t]);
            float *to = sums + taps[t].number * c->lanes + o;
            fv_store(to, fv_load(to) + sum[t]);
        }
    }
}

static void sum_task(void *context, int64_t piece)
{
    const depthwise *c = context;
    const int64_t end = fa_min64(c->images * c->out[0], (piece + 1) * c->rows);
    float *sums = c->packed + piece * c->taps * c->lanes;
    tap taps[MAX_TAPS];
    memset(sums, 0, (size_t)(c->taps * c->lanes) * sizeof *sums);
    for (int64_t i = piece * c->rows; i < end; i++) {
        const int64_t count = find_taps(c, i / c->out[0], i % c->out[0], taps);
        add_row(c, taps, count, c->g + i * c->out[1] * c->channels, sums);
    }
}

static void cut_pieces(depthwise *c)
{
    const int64_t rows = c->images * c->out[0];
    c->rows = fa_max64(1, fa_blocks(rows, MAX_PIECES));
    c->pieces = fa_blocks(rows, c->rows);
}

static depthwise weight_call(const fa_kernel_args *args)
{
    depthwise c = make_call(args, args->in_meta[1], args->in_meta[0], args->out_meta[0]);
    cut_pieces(&c);
    return c;
}

static void weight_run(const fa_kernel_args *args)
{
    depthwise c = weight_call(args);
    c.g = args->in[0];
    c.x = args->in[1];
    c.packed = args->scratch;
    c.to = args->out[0];
    fa_run_tasks(c.pieces, sum_task, &c, work_of(&c));
    for (int64_t t = 0; t < c.taps; t++)
        for (int64_t o = 0; o < c.channels; o += FV_LANES) {
            fv sum = fv_zero();
            for (int64_t piece = 0; piece < c.pieces; piece++)
                sum += fv_load(c.packed + (piece * c.taps + t) * c.lanes + o);
            float lane[FV_LANES];
            fv_store(lane, sum);
            for (int64_t i = 0; i < fa_min64(FV_LANES, c.channels - o); i++)
                c.to[(o + i) * c.taps + t] = lane[i];
        }
}

/* ---- The list ---------------------------------------------------------------------------------------------------- */

bool FA_ISA(fa_conv_depthwise_supports)(const fa_kernel_args *args)
{
    return fa_all_float32(args, 3) && is_depthwise(args, args->in_meta[0], args->out_meta[0], args->in_meta[1]);
}

static size_t forward_scratch(const fa_kernel_args *args)
{
    const depthwise c = make_call(args, args->in_meta[0], args->out_meta[0], args->in_meta[1]);
    return packed_scratch(&c);
}

static bool input_supports(const fa_kernel_args *args)
{
    return fa_all_float32(args, 2) && is_depthwise(args, args->out_meta[0], args->in_meta[0], args->in_meta[1]);
}

static size_t input_scratch(const fa_kernel_args *args)
{
    const depthwise c = make_call(args, args->out_meta[0], args->in_meta[0], args->in_meta[1]);
    return packed_scratch(&c);
}

static bool weight_supports(const fa_kernel_args *args)
{
    return fa_all_float32(args, 2) && is_depthwise(args, args->in_meta[1], args->in_meta[0], args->out_meta[0]);
}

static size_t weight_scratch(const fa_kernel_args *args)
{
    const depthwise c = weight_call(args);
    return (size_t)fa_max64(1, c.pieces) * packed_scratch(&c);
}

const fa_cpu_kernel FA_ISA(fa_conv2d_depthwise_kernels)[] = {
    {.op = FA_OP_conv2d,
     .name = "conv2d depthwise nhwc " FA_ISA_NAME,
     .supports = FA_ISA(fa_conv_depthwise_supports),
     .scratch = forward_scratch,
     .run = forward_run,
     .fuse = FA_FUSE_RELU},
    {.op = FA_OP_conv2d_input_grad,
     .name = "conv2d_input_grad depthwise nhwc " FA_ISA_NAME,
     .supports = input_supports,
     .scratch = input_scratch,
     .run = input_run},
    {.op = FA_OP_conv2d_weight_grad,
     .name = "conv2d_weight_grad depthwise nhwc " FA_ISA_NAME,
     .supports = weight_supports,
     .scratch = weight_scratch,
     .run = weight_run},
    {.run = NULL},
};
