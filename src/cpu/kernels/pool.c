/* Max and average pools and their gradients, channels last, vectors of channels. Each result is made of the same steps
 * in the same order as in the reference kernels and has the same bits.
 *
 * Max: a window is scanned row by row; the first maximum wins a tie, and a NaN wins over everything (the last one).
 * Average: sums in double. A task of a forward pass is a row of outputs; one of a gradient is an image, or some of its
 * channels, since windows may overlap; of the 2x2 windows with stride 2, which do not, a row of windows. */
#include "cpu/kernels/wide.h"

#include <math.h>

typedef struct pool_call {
    fa_pool2d_ints p;
    const float *x, *g;
    const uint8_t *position;
    float *y, *dx;
    int64_t images, channels, size[2], out_size[2]; /* size: of x and dx; out_size: of y and g */
    int64_t channel_block, channel_blocks;          /* of a gradient's task */
} pool_call;

/* Along one axis, the elements begin + k*step, k < count, of a window that lie inside x. */
typedef struct span {
    int64_t begin, step, count;
} span;

static span span_of(const pool_call *c, int axis, int64_t i)
{
    const int64_t step = c->p.dilation[axis], base = i * c->p.stride[axis] - c->p.padding[axis];
    const int64_t first = base < 0 ? fa_blocks(-base, step) : 0;
    const int64_t end = base < c->size[axis] ? fa_min64(c->p.kernel[axis], fa_blocks(c->size[axis] - base, step)) : 0;
    return (span){base + first * step, step, fa_max64(0, end - first)};
}

static bool is_2x2(const fa_pool2d_ints *p, const int64_t size[2], const int64_t out_size[2])
{
    bool yes = true;
    for (int axis = 0; axis < 2; axis++)
        yes = yes && p->kernel[axis] == 2 && p->stride[axis] == 2 && p->padding[axis] == 0 && p->dilation[axis] == 1 &&
              2 * out_size[axis] <= size[axis];
    return yes;
}

/* The call of a forward pass (image: x) or of a gradient (image: dx). */
static pool_call make_call(const fa_kernel_args *args, const fa_meta *image, const fa_meta *pooled)
{
    pool_call c = {.images = image->shape[0], .channels = image->shape[1]};
    if (args->ints)
        memcpy(&c.p, args->ints, sizeof c.p);
    memcpy(c.size, image->shape + 2, sizeof c.size);
    memcpy(c.out_size, pooled->shape + 2, sizeof c.out_size);
    c.channel_block = c.images >= 32 ? c.channels : 32;
    c.channel_blocks = fa_blocks(c.channels, fa_max64(1, c.channel_block));
    return c;
}

static double work_of(const pool_call *c, int64_t window)
{
    return (double)(c->images * c->channels) * (double)(c->out_size[0] * c->out_size[1]) * (double)window;
}

/* ---- max_pool2d ----------------------------------------------------------------------------------------------------
 */

FA_INLINE fm wins(fv value, fv best)
{
    return fm_or(fv_gt(value, best), fv_isnan(value));
}

/* The largest number so far, the first of equals, and whether a NaN has been seen. */
typedef struct maximum {
    fv number;
    fm nan;
} maximum;

FA_INLINE maximum maximum_of(fv value)
{
    return (maximum){fv_max(value, fv_set1(-INFINITY)), fv_isnan(value)};
}

FA_INLINE maximum larger(maximum m, fv value)
{
    return (maximum){fv_max(value, m.number), fm_or(m.nan, fv_isnan(value))};
}

FA_INLINE void store_maximum(float *y, maximum m, int64_t n)
{
    fv_store_some(y, fv_select(m.nan, fv_set1(NAN), m.number), n);
}

/* n channels of one window; x at the image's first of them. A window without elements has -infinity. */
FA_INLINE void max_window(const pool_call *c, const float *x, span rows, span columns, float *y, int64_t n)
{
    maximum m = maximum_of(fv_set1(-INFINITY));
    for (int64_t a = 0; a < rows.count; a++) {
        const float *at = x + ((rows.begin + a * rows.step) * c->size[1] + columns.begin) * c->channels;
        for (int64_t b = 0; b < columns.count; b++, at += columns.step * c->channels)
            m = larger(m, fv_load_some(at, n));
    }
    store_maximum(y, m, n);
}

static void max_row(void *context, int64_t task)
{
    const pool_call *c = context;
    const int64_t C = c->channels, n = task / c->out_size[0];
    const float *x = c->x + n * c->size[0] * c->size[1] * C;
    const span rows = span_of(c, 0, task % c->out_size[0]);
    float *y = c->y + task * c->out_size[1] * C;
    for (int64_t j = 0; j < c->out_size[1]; j++, y += C) {
        const span columns = span_of(c, 1, j);
        int64_t o = 0;
        for (; o + FV_LANES <= C; o += FV_LANES)
            max_window(c, x + o, rows, columns, y + o, FV_LANES);
        if (o < C)
            max_window(c, x + o, rows, columns, y + o, C - o);
    }
}

/* n channels of a 2x2 window whose rows begin at x0 and x1. */
FA_INLINE void max_2x2(const float *x0, const float *x1, int64_t C, float *y, int64_t n)
{
    const maximum upper = larger(maximum_of(fv_load_some(x0, n)), fv_load_some(x0 + C, n));
    store_maximum(y, larger(larger(upper, fv_load_some(x1, n)), fv_load_some(x1 + C, n)), n);
}

static void max_row_2x2(void *context, int64_t task)
{
    const pool_call *c = context;
    const int64_t C = c->channels, W = c->size[1];
    const float *x = c->x + (task / c->out_size[0] * c->size[0] + task % c->out_size[0] * 2) * W * C;
    float *y = c->y + task * c->out_size[1] * C;
    for (int64_t j = 0; j < c->out_size[1]; j++, y += C, x += 2 * C) {
        int64_t o = 0;
        for (; o + FV_LANES <= C; o += FV_LANES)
            max_2x2(x + o, x + W * C + o, C, y + o, FV_LANES);
        if (o < C)
            max_2x2(x + o, x + W * C + o, C, y + o, C - o);
    }
}

static void max_run(const fa_kernel_args *args)
{
    pool_call c = make_call(args, args->in_meta[0], args->out_meta[0]);
    c.x = args->in[0];
    c.y = args->out[0];
    fa_run_tasks(c.images * c.out_size[0], is_2x2(&c.p, c.size, c.out_size) ? max_row_2x2 : max_row, &c,
                 work_of(&c, c.p.kernel[0] * c.p.kernel[1]));
}

/* ---- Gradients, any window -----------------------------------------------------------------------------------------
 */

/* n channels of one window: g is added to dx at the winner, 0 elsewhere. */
FA_INLINE void max_window_grad(const pool_call *c, const float *x, float *dx, span rows, span columns, const float *g,
                               int64_t n)
{
    fv best = fv_set1(-INFINITY);
    fi winner = fi_set1(0);
    const int64_t row_step = rows.step * c->size[1] * c->channels, column_step = columns.step * c->channels;
    const int64_t first = (rows.begin * c->size[1] + columns.begin) * c->channels;
    int32_t k = 0;
    for (int64_t a = 0; a < rows.count; a++)
        for (int64_t b = 0; b < columns.count; b++, k++) {
            const fv value = fv_load_some(x + first + a * row_step + b * column_step, n);
            const fm won = wins(value, best);
            best = fv_select(won, value, best);
            winner = fi_select(won, fi_set1(k), winner);
        }
    const fv gradient = fv_load_some(g, n);
    k = 0;
    for (int64_t a = 0; a < rows.count; a++)
        for (int64_t b = 0; b < columns.count; b++, k++) {
            float *to = dx + first + a * row_step + b * column_step;
            const fv share = fv_select(fi_eq(winner, fi_set1(k)), gradient, fv_zero());
            fv_store_some(to, fv_load_some(to, n) + share, n);
        }
}

/* What the average divides by; the formula of the op. */
static double divisor_of(const pool_call *c, int64_t i, int64_t j)
{
    if (c->p.divisor_override != 0)
        return (double)c->p.divisor_override;
    const int64_t at[2] = {i, j};
    int64_t count = 1;
    for (int axis = 0; axis < 2; axis++) {
        const int64_t begin = at[axis] * c->p.stride[axis] - c->p.padding[axis];
        count *= c->p.count_include_pad
                     ? fa_min64(begin + c->p.kernel[axis], c->size[axis] + c->p.padding[axis]) - begin
                     : span_of(c, axis, at[axis]).count;
    }
    return (double)count;
}

FA_INLINE void average_window_grad(const pool_call *c, float *dx, span rows, span columns, const float *g, fv divisor,
                                   int64_t n)
{
    const fv share = fv_load_some(g, n) / divisor;
    for (int64_t a = 0; a < rows.count; a++) {
        float *to = dx + ((rows.begin + a) * c->size[1] + columns.begin) * c->channels;
        for (int64_t b = 0; b < columns.count; b++, to += c->channels)
            fv_store_some(to, fv_load_some(to, n) + share, n);
    }
}

/* The windows of one image and block of channels, in order. */
FA_INLINE void gradient_task(const pool_call *c, int64_t task, bool average)
{
    const int64_t C = c->channels, image = task / c->channel_blocks;
    const int64_t begin = task % c->channel_blocks * c->channel_block, end = fa_min64(C, begin + c->channel_block);
    const int64_t pixels = c->size[0] * c->size[1];
    const float *x = average ? NULL : c->x + image * pixels * C;
    float *dx = c->dx + image * pixels * C;
    const float *g = c->g + image * c->out_size[0] * c->out_size[1] * C;
    for (int64_t at = 0; at < pixels; at++)
        memset(dx + at * C + begin, 0, (size_t)(end - begin) * sizeof *dx);
    for (int64_t i = 0; i < c->out_size[0]; i++) {
        const span rows = span_of(c, 0, i);
        for (int64_t j = 0; j < c->out_size[1]; j++, g += C) {
            const span columns = span_of(c, 1, j);
            const fv divisor = fv_set1(average ? (float)divisor_of(c, i, j) : 1.0f);
            for (int64_t o = begin; o < end; o += FV_LANES) {
                const int64_t n = fa_min64(FV_LANES, end - o);
                if (average)
                    average_window_grad(c, dx + o, rows, columns, g + o, divisor, n);
                else if (n == FV_LANES)
                    max_window_grad(c, x + o, dx + o, rows, columns, g + o, FV_LANES);
                else
                    max_window_grad(c, x + o, dx + o, rows, columns, g + o, n);
            }
        }
    }
}

static void max_grad_task(void *context, int64_t task)
{
    gradient_task(context, task, false);
}

static void average_grad_task(void *context, int64_t task)
{
    gradient_task(context, task, true);
}

/* ---- Gradients of 2x2 windows with stride 2 ------------------------------------------------------------------------
 */

/* n channels of a window, rows beginning at x0 and x1: its number 0..3, as the reference finds it. */
FA_INLINE fi winner_2x2(const float *x0, const float *x1, int64_t C, int64_t n)
{
    fv best = fv_load_some(x0, n), value = fv_load_some(x0 + C, n);
    fm won = wins(value, best);
    fi winner = fi_select(won, fi_set1(1), fi_set1(0));
    best = fv_select(won, value, best);
    value = fv_load_some(x1, n);
    won = wins(value, best);
    winner = fi_select(won, fi_set1(2), winner);
    best = fv_select(won, value, best);
    return fi_select(wins(fv_load_some(x1 + C, n), best), fi_set1(3), winner);
}

FA_INLINE void spread_2x2(float *dx0, float *dx1, int64_t C, fi winner, fv g, int64_t n)
{
    fv_store_some(dx0, fv_select(fi_eq(winner, fi_set1(0)), g, fv_zero()), n);
    fv_store_some(dx0 + C, fv_select(fi_eq(winner, fi_set1(1)), g, fv_zero()), n);
    fv_store_some(dx1, fv_select(fi_eq(winner, fi_set1(2)), g, fv_zero()), n);
    fv_store_some(dx1 + C, fv_select(fi_eq(winner, fi_set1(3)), g, fv_zero()), n);
}

/* One row of windows: two rows of dx. The winners come from x, or from their positions (then x is NULL). The sum with 0
 * turns -0 into 0, as adding to a cleared dx does. */
FA_INLINE void grad_row_2x2(const pool_call *c, int64_t task, bool known)
{
    const int64_t C = c->channels, W = c->size[1], PW = c->out_size[1];
    const int64_t i = task % c->out_size[0], at = (task / c->out_size[0] * c->size[0] + 2 * i) * W * C;
    const float *x0 = known ? NULL : c->x + at, *g = c->g + task * PW * C;
    const uint8_t *position = known ? c->position + task * PW * C : NULL;
    float *dx0 = c->dx + at, *dx1 = dx0 + W * C;
    for (int64_t j = 0; j < PW; j++) {
        const int64_t from = j * C, to = 2 * j * C;
        int64_t o = 0;
        for (; o + FV_LANES <= C; o += FV_LANES) {
            const fi winner =
                known ? fi_load_u8(position + from + o) : winner_2x2(x0 + to + o, x0 + W * C + to + o, C, FV_LANES);
            spread_2x2(dx0 + to + o, dx1 + to + o, C, winner, fv_load(g + from + o) + fv_zero(), FV_LANES);
        }
        if (o < C) {
            const int64_t n = C - o;
            const fi winner =
                known ? fi_load_u8_n(position + from + o, n) : winner_2x2(x0 + to + o, x0 + W * C + to + o, C, n);
            spread_2x2(dx0 + to + o, dx1 + to + o, C, winner, fv_load_n(g + from + o, n) + fv_zero(), n);
        }
    }
    /* What no window covers: the columns after the last one, the rows after the last one. */
    const size_t rest = (size_t)((W - 2 * PW) * C) * sizeof *dx0;
    if (rest > 0) {
        memset(dx0 + 2 * PW * C, 0, rest);
        memset(dx1 + 2 * PW * C, 0, rest);
    }
    const int64_t rows = c->size[0] - 2 * c->out_size[0];
    if (i == c->out_size[0] - 1 && rows > 0)
        memset(dx1 + W * C, 0, (size_t)(rows * W * C) * sizeof *dx0);
}

static void max_grad_row_2x2(void *context, int64_t task)
{
    grad_row_2x2(context, task, false);
}

static void unpool_row_2x2(void *context, int64_t task)
{
    grad_row_2x2(context, task, true);
}

static pool_call make_grad_call(const fa_kernel_args *args)
{
    pool_call c = make_call(args, args->out_meta[0], args->in_meta[0]);
    c.g = args->in[0];
    c.dx = args->out[0];
    return c;
}

static void max_grad_run(const fa_kernel_args *args)
{
    pool_call c = make_grad_call(args);
    c.x = args->in[1];
    if (is_2x2(&c.p, c.size, c.out_size) && c.out_size[0] > 0)
        fa_run_tasks(c.images * c.out_size[0], max_grad_row_2x2, &c, work_of(&c, 4));
    else
        fa_run_tasks(c.images * c.channel_blocks, max_grad_task, &c, work_of(&c, c.p.kernel[0] * c.p.kernel[1]));
}

static void unpool_run(const fa_kernel_args *args)
{
    pool_call c = make_grad_call(args);
    c.position = args->in[1];
    fa_run_tasks(c.images * c.out_size[0], unpool_row_2x2, &c, work_of(&c, 4));
}

/* ---- avg_pool2d ----------------------------------------------------------------------------------------------------
 */

FA_INLINE void average_window(const pool_call *c, const float *x, span rows, span columns, double divisor, float *y,
                              int64_t n)
{
    dv low = dv_set1(0), high = dv_set1(0);
    for (int64_t a = 0; a < rows.count; a++) {
        const float *at = x + ((rows.begin + a) * c->size[1] + columns.begin) * c->channels;
        for (int64_t b = 0; b < columns.count; b++, at += c->channels) {
            const fv value = fv_load_some(at, n);
            low += dv_low(value);
            high += dv_high(value);
        }
    }
    fv_store_some(y, fv_narrow(low / dv_set1(divisor), high / dv_set1(divisor)), n);
}

static void average_row(void *context, int64_t task)
{
    const pool_call *c = context;
    const int64_t C = c->channels, i = task % c->out_size[0];
    const float *x = c->x + task / c->out_size[0] * c->size[0] * c->size[1] * C;
    const span rows = span_of(c, 0, i);
    float *y = c->y + task * c->out_size[1] * C;
    for (int64_t j = 0; j < c->out_size[1]; j++, y += C) {
        const span columns = span_of(c, 1, j);
        const double divisor = divisor_of(c, i, j);
        int64_t o = 0;
        for (; o + FV_LANES <= C; o += FV_LANES)
            average_window(c, x + o, rows, columns, divisor, y + o, FV_LANES);
        if (o < C)
            average_window(c, x + o, rows, columns, divisor, y + o, C - o);
    }
}

static void average_run(const fa_kernel_args *args)
{
    pool_call c = make_call(args, args->in_meta[0], args->out_meta[0]);
    c.x = args->in[0];
    c.y = args->out[0];
    fa_run_tasks(c.images * c.out_size[0], average_row, &c, work_of(&c, c.p.kernel[0] * c.p.kernel[1]));
}

static void average_grad_run(const fa_kernel_args *args)
{
    pool_call c = make_grad_call(args);
    fa_run_tasks(c.images * c.channel_blocks, average_grad_task, &c, work_of(&c, c.p.kernel[0] * c.p.kernel[1]));
}

/* ---- The list ------------------------------------------------------------------------------------------------------
 */

static bool supports(const fa_kernel_args *args)
{
    return fa_all_float32(args, 1) && args->in_meta[0]->ndim == 4;
}

static bool supports_max_grad(const fa_kernel_args *args)
{
    return fa_all_float32(args, 2) && args->in_meta[0]->ndim == 4;
}

static bool supports_unpool(const fa_kernel_args *args)
{
    return fa_all_float32(args, 1) && args->in_meta[1]->dtype == FA_DT_UINT8;
}

const fa_cpu_kernel FA_ISA(fa_pool_kernels)[] = {
    {.op = FA_OP_max_pool2d, .name = "max_pool2d nhwc " FA_ISA_NAME, .supports = supports, .run = max_run},
    {.op = FA_OP_max_pool2d_grad,
     .name = "max_pool2d_grad nhwc " FA_ISA_NAME,
     .supports = supports_max_grad,
     .run = max_grad_run},
    /* The winners' positions in place of x: fa_layout_unpool2x2. */
    {.op = FA_OP_max_pool2d_grad,
     .name = "max_pool2d_grad 2x2 from positions " FA_ISA_NAME,
     .supports = supports_unpool,
     .run = unpool_run},
    {.op = FA_OP_avg_pool2d, .name = "avg_pool2d nhwc " FA_ISA_NAME, .supports = supports, .run = average_run},
    {.op = FA_OP_avg_pool2d_grad,
     .name = "avg_pool2d_grad nhwc " FA_ISA_NAME,
     .supports = supports,
     .run = average_grad_run},
    {.run = NULL},
};
