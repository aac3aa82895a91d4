/* Kernels of optimizers and averages (support/kernel_call.h): the bits of the reference kernels. */
#include "support/kernel_call.h"

#include <string.h>

static void test_sgd(void **state)
{
    (void)state;
    for (int bits = 0; bits < 64; bits++) {
        const int64_t n = test_random_int(&kernel_seed, 1, 70);
        const fa_sgd_floats f = {0.1, bits & 8 ? 0.9 : 0, bits & 32 ? 0.25 : 0, bits & 16 ? 0.01 : 0};
        kernel_call c = {.op = FA_OP_sgd, .ints = {bits & 1, bits >> 1 & 1, bits >> 2 & 1}};
        memcpy(c.floats, &f, sizeof f);
        kernel_input(&c, F32(n), NORMAL);
        kernel_input(&c, F32(n), bits & 4 ? SPECIAL : NORMAL);
        if (f.momentum != 0)
            kernel_input(&c, F32(n), NORMAL);
        kernel_check(&c);
    }
}

static void test_adam(void **state)
{
    (void)state;
    for (int bits = 0; bits < 64; bits++) {
        const int64_t n = test_random_int(&kernel_seed, 1, 70);
        const fa_adam_floats f = {1e-3, bits & 16 ? 0.3 : 0.9, 0.999, 1e-8, bits & 8 ? 0.01 : 0, 0.271, 0.003};
        kernel_call c = {.op = FA_OP_adam, .ints = {bits & 1, bits >> 1 & 1, bits >> 2 & 1}};
        memcpy(c.floats, &f, sizeof f);
        kernel_input(&c, F32(n), NORMAL);
        kernel_input(&c, F32(n), bits & 32 ? SPECIAL : NORMAL);
        kernel_input(&c, F32(n), NORMAL);
        kernel_input(&c, F32(n), POSITIVE);
        if (bits & 1)
            kernel_input(&c, F32(n), POSITIVE);
        kernel_check(&c);
    }
}

static void test_rmsprop(void **state)
{
    (void)state;
    for (int bits = 0; bits < 64; bits++) {
        const int64_t n = test_random_int(&kernel_seed, 1, 70);
        const fa_rmsprop_floats f = {1e-2, bits & 8 ? 0.3 : 0.99, 1e-8, bits & 16 ? 0.01 : 0, bits & 4 ? 0.9 : 0};
        kernel_call c = {.op = FA_OP_rmsprop, .ints = {bits & 1, bits >> 1 & 1}};
        memcpy(c.floats, &f, sizeof f);
        kernel_input(&c, F32(n), NORMAL);
        kernel_input(&c, F32(n), bits & 32 ? SPECIAL : NORMAL);
        kernel_input(&c, F32(n), POSITIVE);
        if (bits & 4)
            kernel_input(&c, F32(n), NORMAL);
        else
            c.inputs += bits & 1; /* absent, with one behind it */
        if (bits & 1)
            kernel_input(&c, F32(n), NORMAL);
        kernel_check(&c);
    }
}

static void test_adagrad(void **state)
{
    (void)state;
    for (int bits = 0; bits < 16; bits++) {
        const int64_t n = test_random_int(&kernel_seed, 1, 70);
        const fa_adagrad_floats f = {1e-2, 1e-10, bits & 2 ? 0.01 : 0};
        kernel_call c = {.op = FA_OP_adagrad, .ints = {bits & 1}};
        memcpy(c.floats, &f, sizeof f);
        kernel_input(&c, F32(n), NORMAL);
        kernel_input(&c, F32(n), bits & 4 ? SPECIAL : NORMAL);
        kernel_input(&c, F32(n), POSITIVE);
        kernel_check(&c);
    }
}

static void test_average(void **state)
{
    (void)state;
    static const int64_t lengths[] = {0, 1, 3, 15, 16, 17, 33, 1000, 70001};
    enum { LENGTHS = sizeof lengths / sizeof lengths[0] };
    static const double numbers[] = {0.001, 0.4, 0.5, 0.9, 1, 3, 7};
    for (int l = 0; l < LENGTHS; l++)
        for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++) {
            kernel_call c = {.op = FA_OP_average, .ints = {numbers[k] > 1}, .floats = {numbers[k]}};
            kernel_input(&c, F32(lengths[l]), NORMAL);
            kernel_input(&c, F32(lengths[l]), SPECIAL);
            kernel_check(&c);
        }
}

int main(void)
{
    kernel_seed = test_seed(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sgd),     cmocka_unit_test(test_adam),    cmocka_unit_test(test_rmsprop),
        cmocka_unit_test(test_adagrad), cmocka_unit_test(test_average),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
