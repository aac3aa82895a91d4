/* 200 kills at random moments, at least 50 of them inside a save. */
#include "support/facula_test.h"

#include "support/kill_runs.h"

static void test_kills(void **state)
{
    (void)state;
    kill_runs(200, 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kills)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
