/* Layout changes: memory traffic only, cut by image. Elements of four bytes have kernels of their own. */
#include "cpu/layout.h"

#include "base/pool.h"
#include "cpu/isa.h"

#include <string.h>

bool fa_layouts_agree(const fa_meta *meta)
{
    return meta->shape[1] == 1 || meta->shape[2] * meta->shape[3] == 1 || fa_meta_numel(meta) == 0;
}

/* out[j][i] = in[i][j] for a matrix of rows x columns, in tiles that stay in the first cache. */
#define TRANSPOSE(T, name)                                                                                             \
    static void name(T *restrict out, const T *restrict in, int64_t rows, int64_t columns)                             \
    {                                                                                                                  \
        enum { TILE = 16 };                                                                                            \
        for (int64_t i0 = 0; i0 < rows; i0 += TILE)                                                                    \
            for (int64_t j0 = 0; j0 < columns; j0 += TILE) {                                                           \
                int64_t i1 = i0 + TILE < rows ? i0 + TILE : rows, j1 = j0 + TILE < columns ? j0 + TILE : columns;      \
                for (int64_t j = j0; j < j1; j++)                                                                      \
                    for (int64_t i = i0; i < i1; i++)                                                                  \
                        out[j * rows + i] = in[i * columns + j];                                                       \
            }                                                                                                          \
    }
TRANSPOSE(uint8_t, transpose_1)
TRANSPOSE(uint64_t, transpose_8)

typedef struct transpose_job {
    char *out;
    const char *in;
    int64_t rows, columns, size;
} transpose_job;

static void transpose_image(void *context, int64_t n)
{
    const transpose_job *job = context;
    int64_t bytes = job->rows * job->columns * job->size;
    void *out = job->out + n * bytes;
    const void *in = job->in + n * bytes;
    if (job->size == 8)
        transpose_8(out, in, job->rows, job->columns);
    else
        transpose_1(out, in, job->rows, job->columns);
}

static void transpose_all(const fa_kernel_args *args, int64_t rows, int64_t columns)
{
    const fa_meta *meta = args->in_meta[0];
    const fa_cpu_kernel *kernel = fa_cpu_find(FA_CPU_CHANGE_LAYOUT, args);
    if (kernel) {
        kernel->run(args);
        return;
    }
    transpose_job job = {args->out[0], args->in[0], rows, columns, fa_dtype_size(meta->dtype)};
    fa_parallel(meta->shape[0], transpose_image, &job);
}

void fa_layout_to_nhwc(const fa_kernel_args *args)
{
    const int64_t *shape = args->in_meta[0]->shape;
    transpose_all(args, shape[1], shape[2] * shape[3]);
}

void fa_layout_to_plain(const fa_kernel_args *args)
{
    const int64_t *shape = args->in_meta[0]->shape;
    transpose_all(args, shape[2] * shape[3], shape[1]);
}

void fa_layout_copy(const fa_kernel_args *args)
{
    size_t bytes = (size_t)(fa_meta_numel(args->in_meta[0]) * fa_dtype_size(args->in_meta[0]->dtype));
    if (bytes > 0)
        memcpy(args->out[0], args->in[0], bytes);
}

/* The kernels of max_pool2d_grad are asked with positions in place of the pool's input. */
void fa_layout_unpool2x2(const fa_kernel_args *args)
{
    fa_cpu_find(FA_OP_max_pool2d_grad, args)->run(args);
}
