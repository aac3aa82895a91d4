/* Where the time goes: the kernels that a program's steps ran, and what the machine could do at most.
 *
 *     fa_profiler_start();
 *     ... some steps ...
 *     fa_profiler_stop();
 *     const fa_kernel_time *kernel;
 *     for (int64_t i = 0, n = fa_profiler_kernels(&kernel); i < n; i++)
 *         printf("%-40s %8.3f ms\n", kernel[i].kernel, 1e3 * kernel[i].seconds);
 */
#ifndef FACULA_PROFILE_H
#define FACULA_PROFILE_H

#include "facula/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One kernel on one shape, all its calls together. `flops` and `bytes` are those of one call: operations as the op's
 * formula has them (a multiply-add is two), whatever the kernel saves of them, and inputs and outputs, each once. */
typedef struct fa_kernel_time {
    const char *op;             /* "conv2d" */
    const char *kernel;         /* "conv2d winograd nhwc avx512"; "reference" where no fast one serves */
    char input[40], output[40]; /* shapes: "[64, 1, 28, 28]" */
    int64_t calls;
    double seconds, best; /* of all calls; of the shortest one */
    double flops, bytes;
} fa_kernel_time;

/* From here on, kernels of all threads are timed; what was collected before is forgotten. A kernel's time is that of
 * its step in a plan: recording and planning are not in it. */
FA_API void fa_profiler_start(void);
FA_API void fa_profiler_stop(void);
/* What was collected, in the order of first calls: its number; *kernels (not NULL) is valid until the next start. */
FA_API int64_t fa_profiler_kernels(const fa_kernel_time **kernels);

/* What this machine reaches on the threads that kernels use (fa_get_num_threads), measured in a quarter of a second:
 * operations a second of float32 multiply-adds in registers, and bytes a second, read and written, of a copy that fits
 * no cache. All 0 without memory for the copy. */
typedef struct fa_cpu_limits {
    double flops, bytes;
} fa_cpu_limits;
FA_API fa_cpu_limits fa_measure_cpu_limits(void);

#ifdef __cplusplus
}
#endif
#endif
