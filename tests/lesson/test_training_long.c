/* The lesson's training on pictures of 224x224, against PyTorch's. */
#include "support/facula_test.h"
#include "support/lesson_run.h"

static golden_file golden;

static int open_golden(void **state)
{
    (void)state;
    char why[256];
    if (golden_open(&golden, "lesson", why))
        return 0;
    print_error("%s\n", why);
    return -1;
}

static int close_golden(void **state)
{
    (void)state;
    golden_close(&golden);
    return 0;
}

static void mini_batches(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    lesson_run(&folder, "4_3_mini_batches");
    lesson_compare(&golden, &folder, "4_3_mini_batches", 20, 1e-5);
    tempdir_free(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mini_batches),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
