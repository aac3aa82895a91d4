/* A few of the kills of test_kill_long.c. */
#include "support/facula_test.h"

#include "support/kill_runs.h"

static void test_kills(void **state)
{
    (void)state;
    kill_runs(12, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kills)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
