/* Between row-major and channels last: each image is a matrix [C, H*W] that is transposed, a block of vectors at a
 * time. Elements of four bytes move as floats, untouched. */
#include "cpu/layout.h"

#include "cpu/kernels/common.h"

typedef struct transpose_call {
    float *to;
    const float *from;
    int64_t rows, columns; /* of an image in `from` */
} transpose_call;

/* to[j*rows + i] = from[i*columns + j] for the block at (i, j). */
FA_INLINE void transpose_block(const transpose_call *c, float *to, const float *from, int64_t i, int64_t j)
{
    const int64_t height = fa_min64(FV_LANES, c->rows - i), width = fa_min64(FV_LANES, c->columns - j);
    fv block[FV_LANES];
    if (height == FV_LANES && width == FV_LANES) {
        FA_UNROLL
        for (int r = 0; r < FV_LANES; r++)
            block[r] = fv_load(from + (i + r) * c->columns + j);
        fv_transpose(block);
        FA_UNROLL
        for (int r = 0; r < FV_LANES; r++)
            fv_store(to + (j + r) * c->rows + i, block[r]);
        return;
    }
    for (int r = 0; r < FV_LANES; r++)
        block[r] = r < height ? fv_load_n(from + (i + r) * c->columns + j, width) : fv_zero();
    fv_transpose(block);
    for (int r = 0; r < width; r++)
        fv_store_n(to + (j + r) * c->rows + i, block[r], height);
}

/* Images of three channels, as most photographs are: stores of three lanes cost more than single elements. */
static void interleave_3(float *to, const float *from, int64_t n)
{
    for (int64_t j = 0; j < n; j++) {
        const float a = from[j], b = from[n + j], c = from[2 * n + j];
        to[3 * j] = a;
        to[3 * j + 1] = b;
        to[3 * j + 2] = c;
    }
}

static void transpose_image(void *context, int64_t n)
{
    const transpose_call *c = context;
    float *to = c->to + n * c->rows * c->columns;
    const float *from = c->from + n * c->rows * c->columns;
    if (c->rows == 3) {
        interleave_3(to, from, c->columns);
        return;
    }
    for (int64_t j = 0; j < c->columns; j += FV_LANES)
        for (int64_t i = 0; i < c->rows; i += FV_LANES)
            transpose_block(c, to, from, i, j);
}

static void run(const fa_kernel_args *args)
{
    const int64_t *shape = args->in_meta[0]->shape, pixels = shape[2] * shape[3];
    const bool to_nhwc = args->out_meta[0]->layout == FA_NHWC;
    transpose_call c = {.to = args->out[0],
                        .from = args->in[0],
                        .rows = to_nhwc ? shape[1] : pixels,
                        .columns = to_nhwc ? pixels : shape[1]};
    fa_run_tasks(shape[0], transpose_image, &c, (double)fa_meta_numel(args->in_meta[0]) * 8);
}

static bool supports(const fa_kernel_args *args)
{
    return fa_dtype_size(args->in_meta[0]->dtype) == 4;
}

const fa_cpu_kernel FA_ISA(fa_layout_kernels)[] = {
    {.op = FA_CPU_CHANGE_LAYOUT, .name = "change layout " FA_ISA_NAME, .supports = supports, .run = run},
    {.run = NULL},
};
