/* Adaptive average pool and its gradient, channels last, vectors of channels; sums in double. A task is a row of
 * outputs and a block of channels; of the gradient, a row of pixels. */
#include "cpu/kernels/wide.h"

enum { CHANNEL_BLOCK = 64 };

typedef struct call {
    const float *from;
    float *to;
    int64_t channels, blocks, size[2], outputs[2]; /* size: of x and dx */
} call;

/* Window i of `outputs` along a side of `size` pixels. */
FA_INLINE int64_t begin_of(int64_t i, int64_t size, int64_t outputs)
{
    return i * size / outputs;
}

FA_INLINE int64_t end_of(int64_t i, int64_t size, int64_t outputs)
{
    return ((i + 1) * size + outputs - 1) / outputs;
}

static call call_of(const fa_kernel_args *args, const fa_meta *image, const fa_meta *pooled)
{
    return (call){.from = args->in[0],
                  .to = args->out[0],
                  .channels = image->shape[1],
                  .blocks = fa_blocks(image->shape[1], CHANNEL_BLOCK),
                  .size = {image->shape[2], image->shape[3]},
                  .outputs = {pooled->shape[2], pooled->shape[3]}};
}

static void average_window(const call *c, const float *x, const int64_t rows[2], const int64_t columns[2], float *y,
                           int64_t n)
{
    dv low = dv_set1(0), high = dv_set1(0);
    for (int64_t h = rows[0]; h < rows[1]; h++)
        for (int64_t w = columns[0]; w < columns[1]; w++) {
            const fv value = fv_load_some(x + (h * c->size[1] + w) * c->channels, n);
            low += dv_low(value);
            high += dv_high(value);
        }
    const dv divisor = dv_set1((double)((rows[1] - rows[0]) * (columns[1] - columns[0])));
    fv_store_some(y, fv_narrow(low / divisor, high / divisor), n);
}

static void average_row(void *context, int64_t task)
{
    const call *c = context;
    const int64_t block = task % c->blocks, row = task / c->blocks, i = row % c->outputs[0];
    const int64_t image = row / c->outputs[0], last = fa_min64(c->channels, (block + 1) * CHANNEL_BLOCK);
    const int64_t rows[2] = {begin_of(i, c->size[0], c->outputs[0]), end_of(i, c->size[0], c->outputs[0])};
    const float *x = c->from + image * c->size[0] * c->size[1] * c->channels;
    float *y = c->to + row * c->outputs[1] * c->channels;
    for (int64_t j = 0; j < c->outputs[1]; j++, y += c->channels) {
        const int64_t columns[2] = {begin_of(j, c->size[1], c->outputs[1]), end_of(j, c->size[1], c->outputs[1])};
        for (int64_t o = block * CHANNEL_BLOCK; o < last; o += FV_LANES)
            average_window(c, x + o, rows, columns, y + o, last - o);
    }
}

static void run(const fa_kernel_args *args)
{
    call c = call_of(args, args->in_meta[0], args->out_meta[0]);
    fa_run_tasks(args->in_meta[0]->shape[0] * c.outputs[0] * c.blocks, average_row, &c,
                 2 * (double)fa_meta_numel(args->in_meta[0]));
}

/* The first window that holds pixel h, and the one after the last. */
static void windows_of(int64_t h, int64_t size, int64_t outputs, int64_t found[2])
{
    found[0] = h * outputs / size;
    while (found[0] > 0 && end_of(found[0] - 1, size, outputs) > h)
        found[0]--;
    found[1] = found[0];
    while (found[1] < outputs && begin_of(found[1], size, outputs) <= h)
        found[1]++;
}

static void grad_row(void *context, int64_t task)
{
    const call *c = context;
    const int64_t h = task % c->size[0], C = c->channels;
    const float *g = c->from + task / c->size[0] * c->outputs[0] * c->outputs[1] * C;
    float *dx = c->to + task * c->size[1] * C;
    int64_t rows[2], columns[2];
    windows_of(h, c->size[0], c->outputs[0], rows);
    for (int64_t w = 0; w < c->size[1]; w++, dx += C) {
        windows_of(w, c->size[1], c->outputs[1], columns);
        for (int64_t o = 0; o < C; o += FV_LANES) {
            fv sum = fv_zero();
            for (int64_t i = rows[0]; i < rows[1]; i++)
                for (int64_t j = columns[0]; j < columns[1]; j++) {
                    const int64_t high = end_of(i, c->size[0], c->outputs[0]) - begin_of(i, c->size[0], c->outputs[0]);
                    const int64_t wide = end_of(j, c->size[1], c->outputs[1]) - begin_of(j, c->size[1], c->outputs[1]);
                    sum += fv_load_some(g + (i * c->outputs[1] + j) * C + o, C - o) / fv_set1((float)(high * wide));
                }
            fv_store_some(dx + o, sum, C - o);
        }
    }
}

static void grad_run(const fa_kernel_args *args)
{
    call c = call_of(args, args->out_meta[0], args->in_meta[0]);
    fa_run_tasks(args->out_meta[0]->shape[0] * c.size[0], grad_row, &c, 2 * (double)fa_meta_numel(args->out_meta[0]));
}

static bool supports(const fa_kernel_args *args)
{
    return fa_all_float32(args, 1);
}

const fa_cpu_kernel FA_ISA(fa_adaptive_pool_kernels)[] = {
    {.op = FA_OP_adaptive_avg_pool2d,
     .name = "adaptive_avg_pool2d nhwc " FA_ISA_NAME,
     .supports = supports,
     .run = run},
    {.op = FA_OP_adaptive_avg_pool2d_grad,
     .name = "adaptive_avg_pool2d_grad nhwc " FA_ISA_NAME,
     .supports = supports,
     .run = grad_run},
    {.run = NULL},
};
