/* The lesson's trainings on pictures of 64x64, whole, against PyTorch's. */
#include "support/facula_test.h"
#include "support/lesson_run.h"

static void training(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    lesson_run(&folder, "5_3_training");
    lesson_compare(&folder, "5_3_training", 10, 1e-5);
    tempdir_free(&folder);
}

static void best_model_and_inference(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    lesson_run(&folder, "6_4_best_model");
    lesson_compare(&folder, "6_4_best_model", 10, 1e-5);
    lesson_run(&folder, "6_5_inference");
    lesson_compare(&folder, "6_5_inference", 0, 0);
    tempdir_free(&folder);
}

static void pipeline(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    lesson_run(&folder, "7_1_pipeline");
    lesson_compare(&folder, "7_1_pipeline", 10, 1e-5);
    tempdir_free(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training),
        cmocka_unit_test(best_model_and_inference),
        cmocka_unit_test(pipeline),
    };
    return cmocka_run_group_tests(tests, lesson_open, lesson_close);
}
