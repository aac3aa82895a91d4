/* What the machine reaches at most: the multiply-add loop of the instruction set in use, and a copy through no cache;
 * on all threads at once, the best of several rounds each. */
#include "cpu/limits.h"

#include "base/memory.h"
#include "base/pool.h"
#include "cpu/isa.h"
#include "facula/profile.h"

#include <string.h>
#include <time.h>

/* Rounds are short, so that on a busy machine one of them is undisturbed. */
enum { ROUNDS = 24, FMA_ROUNDS = 200 * 1000, COPY_BYTES = 48 << 20, COPY_ROUND = 16 << 20, COPY_PIECE = 1 << 19 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void multiply_task(void *context, int64_t i)
{
    const fa_cpu_kernel *kernel = context;
    double operations;
    float sum;
    (void)i;
    kernel->run(&(fa_kernel_args){.ints = (const int64_t[1]){FMA_ROUNDS}, .out = {&operations, &sum}});
}

static double measure_flops(void)
{
    const fa_kernel_args asked = {.ints = (const int64_t[1]){1}};
    const fa_cpu_kernel *kernel = fa_cpu_find(FA_CPU_LIMITS, &asked);
    double operations, best = 0;
    float sum;
    kernel->run(&(fa_kernel_args){.ints = asked.ints, .out = {&operations, &sum}});
    const int threads = fa_get_num_threads();
    operations *= (double)FMA_ROUNDS * threads;
    for (int k = 0; k < ROUNDS; k++) {
        const double started = now();
        fa_parallel(threads, multiply_task, (void *)(uintptr_t)kernel);
        const double reached = operations / (now() - started);
        best = reached > best ? reached : best;
    }
    return best;
}

static void copy_task(void *context, int64_t i)
{
    char *from = context;
    memcpy(from + COPY_BYTES + i * COPY_PIECE, from + i * COPY_PIECE, COPY_PIECE);
}

static double measure_bytes(void)
{
    char *memory = fa_malloc((size_t)2 * COPY_BYTES);
    if (memory == NULL)
        return 0;
    memset(memory, 1, (size_t)2 * COPY_BYTES);
    double best = 0;
    for (int k = 0; k < ROUNDS; k++) {
        const double started = now();
        fa_parallel(COPY_ROUND / COPY_PIECE, copy_task, memory + k * COPY_ROUND % COPY_BYTES);
        const double reached = 2.0 * COPY_ROUND / (now() - started);
        best = reached > best ? reached : best;
    }
    fa_mfree(memory);
    return best;
}

fa_cpu_limits fa_measure_cpu_limits(void)
{
    return (fa_cpu_limits){.flops = measure_flops(), .bytes = measure_bytes()};
}
