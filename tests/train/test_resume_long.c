/* Many of the drawn runs of test_resume.c. */
#include "support/facula_test.h"

#include "support/resume_runs.h"
#include "support/tempdir.h"

#include <time.h>

static void test_drawn(void **state)
{
    (void)state;
    resume_random(test_seed((uint64_t)time(NULL)), 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_drawn)};
    tempdirs_in_memory();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
