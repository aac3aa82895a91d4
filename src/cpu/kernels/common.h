/* What the kernels share: sizes in blocks, scratch carved into parts, tasks, transposed copies. */
#ifndef FA_CPU_KERNELS_COMMON_H
#define FA_CPU_KERNELS_COMMON_H

#include "base/opdef.h"
#include "base/pool.h"
#include "cpu/simd.h"

#include <stdint.h>

FA_INLINE int64_t fa_min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
FA_INLINE int64_t fa_max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}
FA_INLINE int64_t fa_blocks(int64_t n, int64_t block)
{
    return (n + block - 1) / block;
}
FA_INLINE int64_t fa_round_up(int64_t n, int64_t block)
{
    return fa_blocks(n, block) * block;
}

/* Takes `bytes` from a scratch area counted by `used`: the offset of the part, 64-byte aligned. */
FA_INLINE size_t fa_carve(size_t *used, int64_t count, size_t size)
{
    size_t at = *used;
    *used = (at + (size_t)count * size + 63) / 64 * 64;
    return at;
}

FA_INLINE bool fa_all_float32(const fa_kernel_args *args, int inputs)
{
    for (int i = 0; i < inputs; i++)
        if (args->in_meta[i] && args->in_meta[i]->dtype != FA_DT_FLOAT32)
            return false;
    return args->out_meta[0]->dtype == FA_DT_FLOAT32;
}

typedef struct fa_task_list {
    fa_task task;
    void *context;
    int64_t tasks;
} fa_task_list;

static inline void fa_run_task_list(void *context, int64_t i)
{
    const fa_task_list *list = context;
    (void)i;
    for (int64_t t = 0; t < list->tasks; t++)
        list->task(list->context, t);
}

/* fa_parallel, on one thread where `work` (operations, floats moved) is too little to wake a second one. */
FA_INLINE void fa_run_tasks(int64_t tasks, fa_task task, void *context, double work)
{
    if (tasks <= 0)
        return;
    if (work >= 5e5) {
        fa_parallel(tasks, task, context);
    } else {
        fa_task_list list = {.task = task, .context = context, .tasks = tasks};
        fa_parallel(1, fa_run_task_list, &list);
    }
}

/* dst[j*dst_step + i] = src[i*src_step + j] for i < rows, j < cols. Rows of dst are filled with zeros up to the next
 * multiple of FV_LANES. */
FA_INLINE void fa_transposed_copy(float *dst, int64_t dst_step, const float *src, int64_t src_step, int64_t rows,
                                  int64_t cols)
{
    for (int64_t i = 0; i < rows; i += FV_LANES)
        for (int64_t j = 0; j < cols; j += FV_LANES) {
            const int64_t height = fa_min64(rows - i, FV_LANES), width = fa_min64(cols - j, FV_LANES);
            fv block[FV_LANES];
            if (height == FV_LANES && width == FV_LANES) {
                FA_UNROLL
                for (int r = 0; r < FV_LANES; r++)
                    block[r] = fv_load(src + (i + r) * src_step + j);
                fv_transpose(block);
                FA_UNROLL
                for (int r = 0; r < FV_LANES; r++)
                    fv_store(dst + (j + r) * dst_step + i, block[r]);
            } else {
                for (int r = 0; r < FV_LANES; r++)
                    block[r] = r < height ? fv_load_n(src + (i + r) * src_step + j, width) : fv_zero();
                fv_transpose(block);
                for (int r = 0; r < width; r++)
                    fv_store(dst + (j + r) * dst_step + i, block[r]);
            }
        }
}

#endif
