/* The profiler: what it counts, when, and the limits beside which it is read. */
#include "support/facula_test.h"

#include "facula.h"

#include <string.h>

static void steps(int n, int64_t images)
{
    for (int i = 0; i < n; i++)
        fa_scope {
            fa_tensor *y = fa_conv2d(fa_ones(images, 16, 8, 8), fa_ones(32, 16, 3, 3), NULL, .padding = 1);
            assert_float_equal(fa_item(fa_sum(y)), (double)images * 32 * 16 * (22 * 22), 1);
        }
    assert_true(fa_ok());
}

/* The row of an op on so many images; NULL if there is none. */
static const fa_kernel_time *find(const char *op, const char *input)
{
    const fa_kernel_time *kernels;
    const int64_t n = fa_profiler_kernels(&kernels);
    for (int64_t i = 0; i < n; i++)
        if (strcmp(kernels[i].op, op) == 0 && strcmp(kernels[i].input, input) == 0)
            return &kernels[i];
    return NULL;
}

static void test_counts(void **state)
{
    (void)state;
    steps(1, 2);
    fa_profiler_start();
    steps(3, 2);
    steps(2, 5);
    fa_profiler_stop();
    steps(1, 2);
    const fa_kernel_time *two = find("conv2d", "[2, 16, 8, 8]"), *five = find("conv2d", "[5, 16, 8, 8]");
    assert_non_null(two);
    assert_non_null(five);
    assert_int_equal(two->calls, 3);
    assert_int_equal(five->calls, 2);
    assert_string_equal(two->output, "[2, 32, 8, 8]");
    assert_float_equal(two->flops, 2.0 * 2 * 32 * 8 * 8 * 16 * 9, 1);
    assert_float_equal(two->bytes, 4.0 * (2 * 16 * 64 + 32 * 16 * 9 + 2 * 32 * 64), 1);
    assert_true(two->best > 0 && two->best * 3 <= two->seconds * 1.0000001 && two->seconds < 60);
    fa_profiler_start();
    fa_profiler_stop();
    const fa_kernel_time *kernels;
    assert_int_equal(fa_profiler_kernels(&kernels), 0);
}

static void test_limits(void **state)
{
    (void)state;
    const fa_cpu_limits limits = fa_measure_cpu_limits();
    assert_true(limits.flops > 1e7 && limits.flops < 1e15);
    assert_true(limits.bytes > 1e6 && limits.bytes < 1e14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counts), cmocka_unit_test(test_limits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
