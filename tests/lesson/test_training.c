/* The lesson's trainings on pictures of 64x64, whole, against PyTorch's. */
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

static void training(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    lesson_run(&folder, "5_3_training");
    lesson_compare(&golden, &folder, "5_3_training", 10, 1e-5);
    tempdir_free(&folder);
}

static void best_model_and_inference(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    lesson_run(&folder, "6_4_best_model");
    lesson_compare(&golden, &folder, "6_4_best_model", 10, 1e-5);
    lesson_run(&folder, "6_5_inference");
    lesson_compare(&golden, &folder, "6_5_inference", 0, 0);
    tempdir_free(&folder);
}

static void pipeline(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    lesson_run(&folder, "7_1_pipeline");
    lesson_compare(&golden, &folder, "7_1_pipeline", 10, 1e-5);
    tempdir_free(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training),
        cmocka_unit_test(best_model_and_inference),
        cmocka_unit_test(pipeline),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
