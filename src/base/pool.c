/* The thread pool.
 *
 * One job at a time; its owner holds `owner`. A job is open from the moment its fields are written until its tasks have
 * all been claimed. A worker counts itself in `inside` and only then looks at `open`; the owner clears `open` and only
 * then waits for `inside` to fall to 0 (both in sequentially consistent order), so that no worker reads the fields of a
 * job that is over. A worker that slept through a job is not waited for. */
#define _GNU_SOURCE /* pthread_setname_np */
#include "base/pool.h"

#include "facula/base.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

enum { SPIN_NANOSECONDS = 20000, SPINS_PER_LOOK = 32 };

static struct {
    pthread_mutex_t owner; /* held by the thread whose job runs, or that starts or stops threads */
    pthread_t thread[FA_MAX_THREADS];
    int started; /* workers alive; guarded by owner */

    fa_task task;
    void *context;
    int64_t tasks;
    atomic_bool open;
    _Alignas(64) atomic_llong next; /* the first task not claimed */
    _Alignas(64) atomic_int inside; /* workers that are in a job or about to look at one */

    _Alignas(64) atomic_uint generation; /* rises with each job and with a stop */
    atomic_bool stop;
    atomic_int sleepers;      /* workers asleep on `work` */
    atomic_bool owner_sleeps; /* the owner is asleep on `done` */
    pthread_mutex_t lock;     /* for the two conditions alone */
    pthread_cond_t work, done;
} pool = {.owner = PTHREAD_MUTEX_INITIALIZER,
          .lock = PTHREAD_MUTEX_INITIALIZER,
          .work = PTHREAD_COND_INITIALIZER,
          .done = PTHREAD_COND_INITIALIZER};

static atomic_int wanted_threads; /* 0: not decided yet */
static _Thread_local int thread_index;
static _Thread_local bool in_task;

/* ---- Flush-to-zero ----------------------------------------------------------------------------------------------- */

uint64_t fa_ftz_on(void)
{
#if defined(__SSE__)
    unsigned saved = _mm_getcsr();
    _mm_setcsr(saved | 0x8040u); /* flush to zero, denormals are zero */
    return saved;
#elif defined(__aarch64__)
    uint64_t saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"(saved | (uint64_t)1 << 24));
    return saved;
#else
    return 0;
#endif
}

void fa_ftz_restore(uint64_t saved)
{
#if defined(__SSE__)
    _mm_setcsr((unsigned)saved);
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" : : "r"(saved));
#else
    (void)saved;
#endif
}

/* ---- Waiting ----------------------------------------------------------------------------------------------------- */

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void relax(void)
{
#if defined(__SSE__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Waits for the next job or stop after generation `seen`; returns the new generation. */
static unsigned wait_for_work(unsigned seen)
{
    int64_t until = now() + SPIN_NANOSECONDS;
    unsigned generation;
    do {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            generation = atomic_load(&pool.generation);
            if (generation != seen)
                return generation;
            relax();
        }
    } while (now() < until);
    pthread_mutex_lock(&pool.lock);
    atomic_fetch_add(&pool.sleepers, 1);
    while ((generation = atomic_load(&pool.generation)) == seen)
        pthread_cond_wait(&pool.work, &pool.lock);
    atomic_fetch_sub(&pool.sleepers, 1);
    pthread_mutex_unlock(&pool.lock);
    return generation;
}

static void wait_for_workers(void)
{
    if (atomic_load(&pool.inside) == 0)
        return;
    int64_t until = now() + SPIN_NANOSECONDS;
    do {
        for (int i = 0; i < SPINS_PER_LOOK; i++) {
            if (atomic_load(&pool.inside) == 0)
                return;
            relax();
        }
    } while (now() < until);
    pthread_mutex_lock(&pool.lock);
    atomic_store(&pool.owner_sleeps, true);
    while (atomic_load(&pool.inside) != 0)
        pthread_cond_wait(&pool.done, &pool.lock);
    atomic_store(&pool.owner_sleeps, false);
    pthread_mutex_unlock(&pool.lock);
}

/* Tells `helpers` workers that the generation has changed. */
static void wake(int64_t helpers)
{
    atomic_fetch_add(&pool.generation, 1);
    int sleepers = atomic_load(&pool.sleepers);
    if (sleepers == 0)
        return;
    pthread_mutex_lock(&pool.lock);
    if (helpers >= sleepers)
        pthread_cond_broadcast(&pool.work);
    else
        for (int64_t i = 0; i < helpers; i++)
            pthread_cond_signal(&pool.work);
    pthread_mutex_unlock(&pool.lock);
}

/* ---- Workers ----------------------------------------------------------------------------------------------------- */

static void run_claimed(void)
{
    int64_t i;
    while ((i = atomic_fetch_add_explicit(&pool.next, 1, memory_order_relaxed)) < pool.tasks)
        pool.task(pool.context, i);
}

static void join_job(void)
{
    atomic_fetch_add(&pool.inside, 1);
    if (atomic_load(&pool.open))
        run_claimed();
    if (atomic_fetch_sub(&pool.inside, 1) == 1 && atomic_load(&pool.owner_sleeps)) {
        pthread_mutex_lock(&pool.lock);
        pthread_cond_signal(&pool.done);
        pthread_mutex_unlock(&pool.lock);
    }
}

void fa_thread_name(const char *name)
{
#if defined(__linux__)
    pthread_setname_np(pthread_self(), name);
#else
    (void)name;
#endif
}

static void *worker(void *argument)
{
    thread_index = (int)(intptr_t)argument;
    in_task = true;
    fa_thread_name("fa-kernels");
    fa_ftz_on();
    unsigned seen = 0;
    while (!atomic_load(&pool.stop)) {
        seen = wait_for_work(seen);
        join_job();
    }
    return NULL;
}

/* ---- Start and stop (under `owner`) ------------------------------------------------------------------------------ */

static void stop_threads(void)
{
    if (pool.started == 0)
        return;
    atomic_store(&pool.stop, true);
    wake(FA_MAX_THREADS);
    for (int i = 0; i < pool.started; i++)
        pthread_join(pool.thread[i], NULL);
    pool.started = 0;
    atomic_store(&pool.stop, false);
}

static void start_threads(int workers)
{
    /* A signal goes to a thread of the user's program, never to one of ours. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    atomic_store(&pool.generation, 0);
    while (pool.started < workers) {
        void *index = (void *)(intptr_t)(pool.started + 1);
        if (pthread_create(&pool.thread[pool.started], NULL, worker, index) != 0)
            break;
        pool.started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static struct {
    pthread_mutex_t lock;
    pthread_cond_t turn;
    int inside;
} budget = {.lock = PTHREAD_MUTEX_INITIALIZER, .turn = PTHREAD_COND_INITIALIZER};

/* In a child of fork the threads do not exist, and locks may be held by threads that are gone. */
static void forget_threads(void)
{
    pthread_mutex_init(&pool.owner, NULL);
    pthread_mutex_init(&pool.lock, NULL);
    pthread_cond_init(&pool.work, NULL);
    pthread_cond_init(&pool.done, NULL);
    pthread_mutex_init(&budget.lock, NULL);
    pthread_cond_init(&budget.turn, NULL);
    budget.inside = 0;
    pool.started = 0;
    atomic_store(&pool.open, false);
    atomic_store(&pool.stop, false);
    atomic_store(&pool.inside, 0);
    atomic_store(&pool.sleepers, 0);
    atomic_store(&pool.owner_sleeps, false);
}

__attribute__((constructor)) static void guard_fork(void)
{
    pthread_atfork(NULL, NULL, forget_threads);
}

void fa_pool_stop(void)
{
    if (in_task)
        return;
    pthread_mutex_lock(&pool.owner);
    stop_threads();
    pthread_mutex_unlock(&pool.owner);
}

/* At exit, and when the library is unloaded; not while another thread computes. */
__attribute__((destructor)) static void stop_at_exit(void)
{
    if (in_task || pthread_mutex_trylock(&pool.owner) != 0)
        return;
    stop_threads();
    pthread_mutex_unlock(&pool.owner);
}

/* ---- Number of threads ------------------------------------------------------------------------------------------- */

/* The number that the variable starts with (OMP_NUM_THREADS may be a list), 0 if there is none. */
static int threads_from(const char *variable)
{
    const char *text = getenv(variable);
    if (!text)
        return 0;
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || n < 1)
        return 0;
    return n > FA_MAX_THREADS ? FA_MAX_THREADS : (int)n;
}

int fa_get_num_threads(void)
{
    int n = atomic_load_explicit(&wanted_threads, memory_order_relaxed);
    if (n > 0)
        return n;
    n = threads_from("FACULA_NUM_THREADS");
    if (n == 0)
        n = threads_from("OMP_NUM_THREADS");
    if (n == 0)
        n = fa_available_cpus();
    if (n > FA_MAX_THREADS)
        n = FA_MAX_THREADS;
    int undecided = 0;
    return atomic_compare_exchange_strong(&wanted_threads, &undecided, n) ? n : undecided;
}

/* From inside a task the new number holds from the next job on. */
void fa_set_num_threads(int threads)
{
    if (threads < 1)
        threads = 1;
    if (threads > FA_MAX_THREADS)
        threads = FA_MAX_THREADS;
    atomic_store(&wanted_threads, threads);
    fa_pool_stop();
}

int fa_pool_thread_index(void)
{
    return thread_index;
}

/* ---- Jobs -------------------------------------------------------------------------------------------------------- */

static void run_inline(int64_t tasks, fa_task task, void *context)
{
    bool nested = in_task;
    in_task = true;
    uint64_t saved = fa_ftz_on();
    for (int64_t i = 0; i < tasks; i++)
        task(context, i);
    fa_ftz_restore(saved);
    in_task = nested;
}

void fa_parallel(int64_t tasks, fa_task task, void *context)
{
    int threads = fa_get_num_threads();
    if (tasks < 2 || threads < 2 || in_task || pthread_mutex_trylock(&pool.owner) != 0) {
        run_inline(tasks, task, context);
        return;
    }
    if (pool.started != threads - 1) {
        stop_threads();
        start_threads(threads - 1);
    }
    in_task = true;
    uint64_t saved = fa_ftz_on();
    pool.task = task;
    pool.context = context;
    pool.tasks = tasks;
    atomic_store(&pool.next, 0);
    atomic_store(&pool.open, true);
    wake(tasks - 1);
    run_claimed();
    atomic_store(&pool.open, false);
    wait_for_workers();
    fa_ftz_restore(saved);
    in_task = false;
    pthread_mutex_unlock(&pool.owner);
}

typedef struct range_job {
    fa_range_task task;
    void *context;
    int64_t n, grain;
} range_job;

static void run_range(void *context, int64_t i)
{
    const range_job *job = context;
    int64_t begin = i * job->grain;
    int64_t end = job->n - begin < job->grain ? job->n : begin + job->grain;
    job->task(job->context, begin, end);
}

void fa_parallel_for(int64_t n, int64_t grain, fa_range_task task, void *context)
{
    if (n <= 0)
        return;
    range_job job = {task, context, n, grain < 1 ? 1 : grain};
    fa_parallel(n / job.grain + (n % job.grain != 0), run_range, &job);
}

/* ---- Threads outside the pool --------------------------------------------------------------------------------------
 */

void fa_budget_enter(void)
{
    pthread_mutex_lock(&budget.lock);
    while (budget.inside >= fa_get_num_threads())
        pthread_cond_wait(&budget.turn, &budget.lock);
    budget.inside++;
    pthread_mutex_unlock(&budget.lock);
}

void fa_budget_leave(void)
{
    pthread_mutex_lock(&budget.lock);
    budget.inside--;
    pthread_cond_signal(&budget.turn);
    pthread_mutex_unlock(&budget.lock);
}
