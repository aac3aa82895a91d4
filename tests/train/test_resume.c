/* A run that was stopped anywhere and gone on with in another process ends with the same files, byte for byte, as one
 * that was not. */
#include "support/facula_test.h"

#include "support/resume_runs.h"
#include "support/tempdir.h"

#include <time.h>

static void test_setups(void **state)
{
    (void)state;
    resume_setups(test_seed((uint64_t)time(NULL)));
}

static void test_drawn(void **state)
{
    (void)state;
    resume_random(test_seed((uint64_t)time(NULL)), 5);
}

static void test_more_epochs(void **state)
{
    (void)state;
    resume_more_epochs();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_setups), cmocka_unit_test(test_drawn),
                                       cmocka_unit_test(test_more_epochs)};
    tempdirs_in_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
