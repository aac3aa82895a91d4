/* Every single system call of a run fails in turn. */
#include "support/facula_test.h"

#include "support/fault_runs.h"

enum { STEP = 1 };

static void test_each_call(void **state)
{
    (void)state;
    fault_each_call(STEP);
}

static void test_full_disk(void **state)
{
    (void)state;
    fault_full_disk(STEP);
}

static void test_first_run(void **state)
{
    (void)state;
    fault_first_run(STEP);
}

static void test_file_size_limit(void **state)
{
    (void)state;
    fault_file_size_limit();
}

static int begin(void **state)
{
    (void)state;
    fault_begin();
    return 0;
}

static int end(void **state)
{
    (void)state;
    fault_end();
    return 0;
}

int main(void)
{
    if (FA_EMULATED || FA_SANITIZED)
        return 0; /* the command could not be started, or not with a library in front */
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_call), cmocka_unit_test(test_full_disk),
                                       cmocka_unit_test(test_first_run), cmocka_unit_test(test_file_size_limit)};
    return cmocka_run_group_tests(tests, begin, end);
}
