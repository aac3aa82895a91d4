/* A module's numbers in another floating type. */
#include "support/facula_test.h"

#include "base/memory.h"

#include <facula.h>
#include <math.h>
#include <string.h>

static void test_there_and_back(void **state)
{
    (void)state;
    fa_manual_seed(4);
    fa_module *model =
        fa_nn_sequential(fa_nn_conv2d(1, 2, 3), fa_nn_batch_norm2d(2), fa_nn_flatten(), fa_nn_linear(8, 3));
    fa_tensor_list list = fa_state_list(model);
    float first[18];
    memcpy(first, fa_data(fa_find(model, "0.weight")), sizeof first);
    assert_ptr_equal(fa_module_to_dtype(model, FA_FLOAT64), model);
    assert_string_equal(fa_error(), "");
    for (int64_t i = 0; i < list.count; i++) /* the same handles as before */
        assert_int_equal(fa_dtype_of(list.tensor[i]), strstr(list.name[i], "num_batches") ? FA_INT64 : FA_FLOAT64);
    const double *wide = fa_data(fa_find(model, "0.weight"));
    for (int i = 0; i < 18; i++)
        assert_true(wide[i] == (double)first[i]);

    fa_optim *optim = fa_sgd(fa_parameters(model), 0.1, .momentum = 0.9);
    fa_scope {
        fa_tensor *x = fa_randn_with(FA_SHAPE(4, 1, 4, 4), .dtype = FA_FLOAT64);
        fa_backward(fa_sum(fa_forward(model, x)));
        assert_int_equal(fa_dtype_of(fa_grad(fa_find(model, "3.weight"))), FA_FLOAT64);
        fa_step(optim);
    }
    assert_string_equal(fa_error(), "");
    double moved[24];
    memcpy(moved, fa_data(fa_find(model, "3.weight")), sizeof moved);
    fa_free(optim);

    assert_ptr_equal(fa_module_to_dtype(model, FA_FLOAT32), model);
    const float *narrow = fa_data(fa_find(model, "3.weight"));
    for (int i = 0; i < 24; i++)
        assert_true(narrow[i] == (float)moved[i]);
    assert_null(fa_grad(fa_find(model, "3.weight"))); /* gradients went with the old numbers */
    fa_scope
        assert_non_null(fa_data(fa_forward(model, fa_randn(4, 1, 4, 4))));
    assert_string_equal(fa_error(), "");
    fa_free(model);
}

/* Two names of one tensor are converted once; what was recorded from the old numbers is refused. */
static void test_shared_and_pending(void **state)
{
    (void)state;
    fa_module *shared = fa_nn_linear(2, 2), *model = fa_nn_sequential(shared, shared);
    fa_scope {
        fa_tensor *loss = fa_sum(fa_forward(model, fa_randn(3, 2)));
        assert_non_null(fa_module_to_dtype(model, FA_FLOAT64));
        assert_int_equal(fa_dtype_of(fa_find(model, "1.weight")), FA_FLOAT64);
        assert_false(fa_backward(loss));
        assert_contains(fa_error(), "changed in place");
        fa_clear_error();
    }
    fa_free(model);
}

static void test_mistakes(void **state)
{
    (void)state;
    fa_module *model = fa_nn_linear(2, 2);
    assert_null(fa_module_to_dtype(model, FA_INT64));
    assert_contains(fa_error(), "needs FA_FLOAT32 or FA_FLOAT64");
    fa_clear_error();
    assert_null(fa_module_to_dtype(NULL, FA_FLOAT64));
    fa_clear_error();
    fa_memory_fail_after(2);
    assert_null(fa_module_to_dtype(model, FA_FLOAT64));
    fa_memory_fail_after(0);
    assert_int_equal(fa_error_code(), FA_MEMORY_ERROR);
    fa_clear_error();
    assert_int_equal(fa_dtype_of(fa_find(model, "weight")), FA_FLOAT32);
    fa_scope {
        assert_null(fa_forward(fa_module_to_dtype(model, FA_FLOAT64), fa_randn(3, 2)));
        assert_contains(fa_error(), "float64");
        fa_clear_error();
    }
    fa_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_shared_and_pending),
                                       cmocka_unit_test(test_mistakes)};
    return cmocka_run_group_tests_name("convert", tests, NULL, NULL);
}
