/* The thread pool: one for the process, one budget. */
#ifndef FA_BASE_POOL_H
#define FA_BASE_POOL_H

#include <stdbool.h>
#include <stdint.h>

/* Calls task(context, i) for i in [0, tasks), on the pool's threads and the calling one, and returns when all are done.
 * Tasks are taken in order, each by whichever thread is free; a result may depend on i but never on the thread. How
 * work is cut into tasks must follow from shapes alone. A call from inside a task, or while another thread uses the
 * pool, runs all tasks on the calling thread. Flush-to-zero is on in every thread while tasks run. Never allocates. */
typedef void (*fa_task)(void *context, int64_t i);
void fa_parallel(int64_t tasks, fa_task task, void *context);

/* Threads that are worth starting for `work` (floating-point operations or bytes): below some tens of microseconds, 1.
 * fa_parallel_for cuts [0, n) into ranges of `grain` and runs them; inline when the whole is small. */
typedef void (*fa_range_task)(void *context, int64_t begin, int64_t end);
void fa_parallel_for(int64_t n, int64_t grain, fa_range_task task, void *context);

/* Number of the calling thread in the pool, 0 for a caller from outside: index for per-thread scratch. */
int fa_pool_thread_index(void);
enum { FA_MAX_THREADS = 256 };

/* The budget is shared with threads outside the pool that work for a while (a loader's workers): at most
 * fa_get_num_threads() of them are between enter and leave at once, the others wait their turn. */
void fa_budget_enter(void);
void fa_budget_leave(void);

/* Names the calling thread, for debuggers and profilers (at most 15 characters). */
void fa_thread_name(const char *name);

/* Flush-to-zero and denormals-are-zero for the calling thread: `on` returns what to restore. */
uint64_t fa_ftz_on(void);
void fa_ftz_restore(uint64_t saved);

/* What the CPU affinity mask and the cgroup quota (v2 cpu.max, v1 cfs) allow, at least 1. */
int fa_available_cpus(void);
/* The quota part alone, rounded down to at least 1, 0 for no quota; `root` is put before /proc and /sys ("" or a test's
 * folder). */
int fa_cgroup_cpus(const char *root);
/* Ends the pool's threads (they start again when needed). Called by fa_set_num_threads and at shutdown. */
void fa_pool_stop(void);

#endif
