/* The thread pool: every task once, nesting, two callers, numbers of threads, flush-to-zero, sleep, fork, quotas. */
#define _GNU_SOURCE
#include "support/facula_test.h"

#include "base/pool.h"
#include "facula/base.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MOST_TASKS = 5000 };
static const int thread_counts[] = {1, 2, 3, 7};
enum { THREAD_COUNTS = 4 };

/* ---- Tasks ------------------------------------------------------------------------------------------------------- */

typedef struct job {
    int runs[MOST_TASKS]; /* written by one task each: the pool orders these writes before fa_parallel returns */
    int thread[MOST_TASKS];
    float flushed[MOST_TASKS];
} job;

static volatile float smallest_normal = 1.17549435e-38f;

static void note(void *context, int64_t i)
{
    job *j = context;
    j->runs[i]++;
    j->thread[i] = fa_pool_thread_index();
    j->flushed[i] = smallest_normal * 0.5f;
}

static void run_and_check(job *j, int64_t tasks, int threads)
{
    memset(j, 0, sizeof *j);
    fa_parallel(tasks, note, j);
    for (int64_t i = 0; i < tasks; i++) {
        assert_int_equal(j->runs[i], 1);
        assert_in_range(j->thread[i], 0, threads - 1);
    }
    if (tasks < MOST_TASKS)
        assert_int_equal(j->runs[tasks], 0);
}

/* ---- Tests ------------------------------------------------------------------------------------------------------- */

/* Runs first: the number is decided at its first use. */
static void test_number_from_environment(void **unused)
{
    (void)unused;
    static const struct {
        const char *facula, *omp;
        int want; /* 0: what the machine allows */
    } cases[] = {{"5", "3", 5},     {NULL, "3,2", 3}, {"0", "4", 4},
                 {"many", "-1", 0}, {NULL, NULL, 0},  {"100000", NULL, 256}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pid_t child = fork();
        if (child == 0) {
            unsetenv("FACULA_NUM_THREADS");
            unsetenv("OMP_NUM_THREADS");
            if (cases[i].facula)
                setenv("FACULA_NUM_THREADS", cases[i].facula, 1);
            if (cases[i].omp)
                setenv("OMP_NUM_THREADS", cases[i].omp, 1);
            int want = cases[i].want ? cases[i].want : fa_available_cpus();
            _exit(fa_get_num_threads() == want ? 0 : 1);
        }
        int status = -1;
        waitpid(child, &status, 0);
        assert_int_equal(status, 0);
    }
}

static void test_set_num_threads(void **unused)
{
    (void)unused;
    for (int i = 0; i < THREAD_COUNTS; i++) {
        fa_set_num_threads(thread_counts[i]);
        assert_int_equal(fa_get_num_threads(), thread_counts[i]);
    }
    fa_set_num_threads(0);
    assert_int_equal(fa_get_num_threads(), 1);
    fa_set_num_threads(1 << 20);
    assert_int_equal(fa_get_num_threads(), FA_MAX_THREADS);
    fa_set_num_threads(2);
}

static void test_every_task_once(void **unused)
{
    (void)unused;
    static job j;
    for (int t = 0; t < THREAD_COUNTS; t++) {
        fa_set_num_threads(thread_counts[t]);
        for (int64_t tasks = 0; tasks < 40; tasks++)
            run_and_check(&j, tasks, thread_counts[t]);
        run_and_check(&j, MOST_TASKS, thread_counts[t]);
        fa_parallel(-3, note, &j);
    }
}

static void test_many_short_jobs(void **unused)
{
    (void)unused;
    static job j;
    uint64_t random = test_seed(1);
    for (int i = 0; i < 3000; i++) {
        if (i % 100 == 0)
            fa_set_num_threads(thread_counts[i / 100 % THREAD_COUNTS]);
        if (i % 500 == 250)
            fa_pool_stop();
        if (i % 50 == 0) /* long enough for the threads to sleep */
            nanosleep(&(struct timespec){0, 200000}, NULL);
        run_and_check(&j, test_random_int(&random, 0, 20), fa_get_num_threads());
    }
}

static void hold_until_all_are_here(void *context, int64_t i)
{
    (void)i;
    atomic_int *here = context;
    atomic_fetch_add(here, 1);
    struct timespec begin, now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        sched_yield();
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (atomic_load(here) < 3 && now.tv_sec - begin.tv_sec < 60);
}

/* Three tasks that wait for one another end only if three threads run them: the caller and two more. */
static void test_threads_do_take_part(void **unused)
{
    (void)unused;
    fa_set_num_threads(3);
    for (int round = 0; round < 20; round++) {
        atomic_int here = 0;
        struct timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        fa_parallel(3, hold_until_all_are_here, &here);
        clock_gettime(CLOCK_MONOTONIC, &end);
        assert_int_equal(atomic_load(&here), 3);
        assert_true(end.tv_sec - begin.tv_sec < 50);
    }
}

typedef struct nest {
    int inner_runs[64];
    int own_thread; /* 1: the inner tasks ran on the outer task's thread */
} nest;

typedef struct inner_call {
    nest *nest;
    int thread;
    bool slow; /* long enough for another thread to come */
} inner_call;

static void inner(void *context, int64_t i)
{
    inner_call *call = context;
    call->nest->inner_runs[i]++;
    call->nest->own_thread &= call->thread == fa_pool_thread_index();
    if (call->slow)
        nanosleep(&(struct timespec){0, 100000}, NULL);
}

static void outer(void *context, int64_t i)
{
    nest *n = (nest *)context + i;
    n->own_thread = 1;
    fa_set_num_threads(3); /* allowed here, and without effect on the job that runs */
    fa_parallel(64, inner, &(inner_call){n, fa_pool_thread_index(), false});
}

static void outer_alone(void *context, int64_t i)
{
    nest *n = (nest *)context + i;
    n->own_thread = 1;
    fa_parallel(64, inner, &(inner_call){n, fa_pool_thread_index(), true});
}

static void test_nested_calls_run_inline(void **unused)
{
    (void)unused;
    static nest nests[50];
    fa_set_num_threads(3);
    memset(nests, 0, sizeof nests);
    fa_parallel(49, outer, nests);
    fa_parallel(1, outer_alone, nests + 49);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(nests[i].own_thread, 1);
        for (int k = 0; k < 64; k++)
            assert_int_equal(nests[i].inner_runs[k], 1);
    }
}

static void *call_often(void *context)
{
    job *j = context;
    for (int i = 0; i < 1000; i++) {
        memset(j, 0, sizeof *j);
        fa_parallel(30, note, j);
        for (int k = 0; k < 30; k++)
            if (j->runs[k] != 1)
                return NULL;
    }
    return context;
}

static void test_two_callers(void **unused)
{
    (void)unused;
    static job jobs[3];
    fa_set_num_threads(3);
    pthread_t thread[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, call_often, &jobs[i]), 0);
    for (int i = 0; i < 20; i++) { /* while both compute */
        fa_set_num_threads(thread_counts[i % THREAD_COUNTS]);
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
    assert_non_null(call_often(&jobs[2]));
    for (int i = 0; i < 2; i++) {
        void *result;
        pthread_join(thread[i], &result);
        assert_non_null(result);
    }
}

typedef struct ranges {
    int64_t n, grain;
    int marks[MOST_TASKS];
    atomic_bool wrong;
} ranges;

static void mark_range(void *context, int64_t begin, int64_t end)
{
    ranges *r = context;
    int64_t want = begin + r->grain < r->n ? begin + r->grain : r->n;
    if (begin % r->grain != 0 || end != want)
        atomic_store(&r->wrong, true);
    for (int64_t i = begin; i < end; i++)
        r->marks[i]++;
}

/* The cut follows from n and the grain alone. */
static void test_ranges(void **unused)
{
    (void)unused;
    static ranges r;
    static const int64_t sizes[] = {0, 1, 7, 64, 65, 1000, MOST_TASKS}, grains[] = {1, 7, 64, 10000};
    for (int t = 0; t < THREAD_COUNTS; t++) {
        fa_set_num_threads(thread_counts[t]);
        for (int s = 0; s < 7; s++)
            for (int g = 0; g < 4; g++) {
                memset(r.marks, 0, sizeof r.marks);
                r.n = sizes[s];
                r.grain = grains[g];
                fa_parallel_for(r.n, r.grain, mark_range, &r);
                assert_false(atomic_load(&r.wrong));
                for (int64_t i = 0; i < MOST_TASKS; i++)
                    assert_int_equal(r.marks[i], i < r.n);
            }
    }
}

static void test_flush_to_zero(void **unused)
{
    (void)unused;
#if defined(__SSE__) || defined(__aarch64__)
    static job j;
    for (int t = 0; t < THREAD_COUNTS; t++) {
        fa_set_num_threads(thread_counts[t]);
        for (int64_t tasks = 1; tasks < 200; tasks += 33) {
            run_and_check(&j, tasks, thread_counts[t]);
            for (int64_t i = 0; i < tasks; i++)
                assert_true(j.flushed[i] == 0);
            assert_true(smallest_normal * 0.5f != 0);
        }
    }
    uint64_t saved = fa_ftz_on();
    float flushed = smallest_normal * 0.5f;
    fa_ftz_restore(saved);
    assert_true(flushed == 0);
    assert_true(smallest_normal * 0.5f != 0);
#else
    skip();
#endif
}

/* Threads without work use no CPU: far less than one of them would by spinning. */
static void test_idle_threads_sleep(void **unused)
{
    (void)unused;
    if (FA_SANITIZED)
        skip();
    static job j;
    fa_set_num_threads(7);
    run_and_check(&j, 100, 7);
    struct timespec begin, end;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    nanosleep(&(struct timespec){0, 300000000}, NULL);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    int64_t used = (int64_t)(end.tv_sec - begin.tv_sec) * 1000000000 + end.tv_nsec - begin.tv_nsec;
    assert_true(used < 100000000);
}

static void test_fork(void **unused)
{
    (void)unused;
    if (FA_SANITIZED)
        skip();
    static job j;
    fa_set_num_threads(3);
    run_and_check(&j, 100, 3);
    for (int i = 0; i < 20; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20); /* a child that hangs ends with a signal */
            memset(&j, 0, sizeof j);
            fa_parallel(100, note, &j);
            for (int k = 0; k < 100; k++)
                if (j.runs[k] != 1)
                    _exit(1);
            atomic_int here = 0;
            fa_parallel(3, hold_until_all_are_here, &here); /* with threads of the child's own */
            fa_pool_stop();
            _exit(0);
        }
        int status = -1;
        waitpid(child, &status, 0);
        assert_int_equal(status, 0);
        run_and_check(&j, 100, 3);
    }
}

/* ---- Quotas of control groups, in a folder that stands for the root -----------------------------------------------
 */

static char root[64];

static void write_file(const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s%s", root, path);
    for (char *slash = strchr(full + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int quota_in(const char *cgroup, int files, const char *const (*file)[2])
{
    snprintf(root, sizeof root, "/tmp/facula_pool_XXXXXX");
    assert_non_null(mkdtemp(root));
    write_file("/proc/self/cgroup", cgroup);
    for (int i = 0; i < files; i++)
        write_file(file[i][0], file[i][1]);
    int cpus = fa_cgroup_cpus(root);
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
    return cpus;
}
#define QUOTA_IN(cgroup, ...)                                                                                          \
    quota_in((cgroup), (int)(sizeof((const char *const[][2]){__VA_ARGS__}) / sizeof(char *[2])),                       \
             (const char *const[][2]){__VA_ARGS__})

static void test_quotas(void **unused)
{
    (void)unused;
    assert_int_equal(QUOTA_IN("0::/a/b\n", {"/sys/fs/cgroup/a/b/cpu.max", "250000 100000\n"}), 2);
    assert_int_equal(QUOTA_IN("0::/a/b\n", {"/sys/fs/cgroup/a/b/cpu.max", "50000 100000\n"}), 1);
    assert_int_equal(QUOTA_IN("0::/a/b\n", {"/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"}), 0);
    /* the smallest on the way up */
    assert_int_equal(QUOTA_IN("0::/a/b\n", {"/sys/fs/cgroup/a/b/cpu.max", "max 100000\n"},
                              {"/sys/fs/cgroup/a/cpu.max", "300000 100000\n"}),
                     3);
    assert_int_equal(QUOTA_IN("0::/a/b\n", {"/sys/fs/cgroup/a/b/cpu.max", "400000 100000\n"},
                              {"/sys/fs/cgroup/a/cpu.max", "800000 100000\n"}),
                     4);
    assert_int_equal(QUOTA_IN("0::/a/b\n", {"/sys/fs/cgroup/a/b/cpu.max", "800000 100000\n"},
                              {"/sys/fs/cgroup/a/cpu.max", "400000 100000\n"}),
                     4);
    /* a container that sees its own group as the root */
    assert_int_equal(QUOTA_IN("0::/docker/1234\n", {"/sys/fs/cgroup/cpu.max", "150000 50000\n"}), 3);
    assert_int_equal(QUOTA_IN("0::/\n", {"/sys/fs/cgroup/cpu.max", "600000 100000\n"}), 6);
    /* version 1 */
    assert_int_equal(QUOTA_IN("5:memory:/m\n4:cpu,cpuacct:/d\n", {"/sys/fs/cgroup/cpu/d/cpu.cfs_quota_us", "350000\n"},
                              {"/sys/fs/cgroup/cpu/d/cpu.cfs_period_us", "100000\n"}),
                     3);
    assert_int_equal(QUOTA_IN("4:cpuacct,cpu:/d\n", {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n"},
                              {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"}),
                     2);
    assert_int_equal(QUOTA_IN("4:cpu:/d\n", {"/sys/fs/cgroup/cpu/d/cpu.cfs_quota_us", "-1\n"},
                              {"/sys/fs/cgroup/cpu/d/cpu.cfs_period_us", "100000\n"}),
                     0);
    assert_int_equal(QUOTA_IN("4:cpuset:/d\n", {"/sys/fs/cgroup/cpu/d/cpu.cfs_quota_us", "200000\n"},
                              {"/sys/fs/cgroup/cpu/d/cpu.cfs_period_us", "100000\n"}),
                     0);
    /* neither file nor sense */
    assert_int_equal(QUOTA_IN("nonsense\n", {"/sys/fs/cgroup/cpu.max", "what\n"}), 0);
    assert_int_equal(fa_cgroup_cpus("/nowhere/at/all"), 0);
}

static void test_available_cpus(void **unused)
{
    (void)unused;
    int all = fa_available_cpus();
    assert_in_range(all, 1, 100000);
    cpu_set_t before, one;
    if (sched_getaffinity(0, sizeof before, &before) != 0)
        skip();
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &before)) {
            CPU_SET(cpu, &one);
            break;
        }
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        skip();
    int single = fa_available_cpus();
    sched_setaffinity(0, sizeof before, &before);
    assert_int_equal(single, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_number_from_environment),
        cmocka_unit_test(test_set_num_threads),
        cmocka_unit_test(test_every_task_once),
        cmocka_unit_test(test_many_short_jobs),
        cmocka_unit_test(test_threads_do_take_part),
        cmocka_unit_test(test_nested_calls_run_inline),
        cmocka_unit_test(test_two_callers),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_flush_to_zero),
        cmocka_unit_test(test_idle_threads_sleep),
        cmocka_unit_test(test_fork),
        cmocka_unit_test(test_quotas),
        cmocka_unit_test(test_available_cpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
