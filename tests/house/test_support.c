/* The helpers of the tests: a counter that counts nothing, or a comparison that finds everything equal, would let all
 * other tests pass. */
#include "support/alloc_count.h"
#include "support/facula_test.h"
#include "support/tempdir.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Keeps the compiler from leaving out a pair of malloc and free. */
static void *volatile sink;

static void allocate_in_every_way(void)
{
    free(sink = malloc(10));
    free(sink = calloc(3, 10));
    sink = realloc(NULL, 10);
    free(sink = realloc(sink, 1000));
    free(sink = aligned_alloc(64, 128));
    void *block = NULL;
    assert_int_equal(posix_memalign(&block, 64, 100), 0);
    assert_int_equal((uintptr_t)block % 64, 0);
    free(block);
    void *pages = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(pages != MAP_FAILED);
    memset(pages, 1, 4096);
    assert_int_equal(munmap(pages, 4096), 0);
}

static void test_every_way_of_allocating_is_counted(void **state)
{
    (void)state;
    if (!alloc_count_available())
        skip();
    alloc_count_start();
    allocate_in_every_way();
    assert_int_equal(alloc_count_stop(), 7);
    assert_int_equal(alloc_count_here(), 7);
    allocate_in_every_way();
    assert_int_equal(alloc_count_stop(), 7);
    alloc_count_start();
    assert_int_equal(alloc_count_stop(), 0);
}

static void *allocate_twice(void *unused)
{
    free(sink = malloc(10));
    free(sink = malloc(10));
    return unused;
}

static void test_threads_are_counted_apart(void **state)
{
    (void)state;
    if (!alloc_count_available())
        skip();
    pthread_t thread;
    alloc_count_start();
    assert_int_equal(pthread_create(&thread, NULL, allocate_twice, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    long here = alloc_count_here(), all = alloc_count_stop();
    assert_int_equal(all - here, 2);
    alloc_count_thread threads[4];
    int n = alloc_count_threads(threads, 4);
    assert_true(n >= 1 && n <= 2);
    assert_int_equal(threads[n - 1].calls, 2);
    assert_int_not_equal(threads[n - 1].tid, getpid());
}

static void test_distances_and_bounds(void **state)
{
    (void)state;
    assert_int_equal(ulp_distance_f32(1, nextafterf(1, 2)), 1);
    assert_int_equal(ulp_distance_f32(-0.0f, 0.0f), 0);
    assert_int_equal(ulp_distance_f32(-0x1p-149f, 0x1p-149f), 2);
    assert_int_equal(ulp_distance_f32(NAN, 1), INT64_MAX);
    assert_int_equal(ulp_distance_f64(1, nextafter(1, 0)), 1);
    const float want[] = {1, NAN, INFINITY, 0};
    const float got[] = {1.0000001f, NAN, INFINITY, 1e-9f};
    assert_all_close_f32(got, want, 4, 1e-6, 1e-8);
}

/* Runs as a program of its own below, so that its failure is seen and does not end this one. */
static void fails_on_nan(void **state)
{
    (void)state;
    const float want[] = {1, 2}, got[] = {1, NAN};
    assert_all_close_f32(got, want, 2, 1, 1);
}
static void fails_on_difference(void **state)
{
    (void)state;
    const double want[] = {1, 2}, got[] = {1, 2.001};
    assert_all_close_f64(got, want, 2, 1e-4, 0);
}
static void fails_on_a_byte(void **state)
{
    (void)state;
    assert_same_bytes("abc", "abd", 3);
}
static void fails_on_text(void **state)
{
    (void)state;
    assert_contains("got [1,2]", "needs");
}

static void test_comparisons_fail_when_they_should(void **state)
{
    (void)state;
    const struct CMUnitTest failing[] = {
        cmocka_unit_test(fails_on_nan),
        cmocka_unit_test(fails_on_difference),
        cmocka_unit_test(fails_on_a_byte),
        cmocka_unit_test(fails_on_text),
    };
    fflush(NULL);
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(1);
        int failed = cmocka_run_group_tests(failing, NULL, NULL);
        ssize_t written = write(pipe_ends[1], &failed, sizeof failed);
        _exit(written == sizeof failed ? 0 : 1);
    }
    int failed = 0;
    assert_int_equal(read(pipe_ends[0], &failed, sizeof failed), (ssize_t)sizeof failed);
    assert_int_equal(failed, 4);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

static void test_folders_come_and_go(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    char path[1024];
    snprintf(path, sizeof path, "%s", tempdir_file(&dir, "file"));
    write_file(path, "a\0b", 3);
    size_t size = 0;
    char *bytes = read_file(path, &size);
    assert_int_equal(size, 3);
    assert_memory_equal(bytes, "a\0b", 4);
    free(bytes);
    tempdir_free(&dir);
    assert_int_equal(access(path, F_OK), -1);
}

static void test_random_numbers_stay_in_their_range(void **state)
{
    (void)state;
    uint64_t random = 1;
    bool low = false, high = false;
    for (int i = 0; i < 1000; i++) {
        int64_t n = test_random_int(&random, -2, 3);
        double x = test_random_real(&random, -1, 1);
        assert_true(n >= -2 && n <= 3 && x >= -1 && x < 1);
        low |= n == -2;
        high |= n == 3;
    }
    assert_true(low && high);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_way_of_allocating_is_counted),
        cmocka_unit_test(test_threads_are_counted_apart),
        cmocka_unit_test(test_distances_and_bounds),
        cmocka_unit_test(test_comparisons_fail_when_they_should),
        cmocka_unit_test(test_folders_come_and_go),
        cmocka_unit_test(test_random_numbers_stay_in_their_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
