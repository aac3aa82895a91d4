/* The lesson's training on pictures of 224x224, against PyTorch's. */
#include "support/facula_test.h"
#include "support/lesson_run.h"

static void mini_batches(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    lesson_run(&folder, "4_3_mini_batches");
    lesson_compare(&folder, "4_3_mini_batches", 20, 1e-5);
    tempdir_free(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mini_batches),
    };
    return cmocka_run_group_tests(tests, lesson_open, lesson_close);
}
