/* Losses as objects: each gives what its function gives, with its options; weights are buffers; mistakes. */
#include "support/facula_test.h"

#include <facula.h>
#include <math.h>

static void check_same(fa_module *loss, const char *class_name, fa_tensor *x, fa_tensor *y, fa_tensor *want)
{
    assert_non_null(loss);
    assert_string_equal(fa_class_name(loss), class_name);
    fa_tensor *got = fa_criterion(loss, x, y);
    assert_non_null(got);
    assert_int_equal(fa_numel(got), fa_numel(want));
    assert_same_bytes(fa_data(got), fa_data(want), (size_t)fa_numel(want) * sizeof(float));
    char text[64];
    fa_module_format(loss, text, sizeof text);
    assert_contains(text, class_name);
    fa_free(loss);
}

static void test_losses(void **state)
{
    (void)state;
    fa_manual_seed(3);
    fa_scope {
        fa_tensor *x = fa_randn(4, 3), *y = fa_rand(4, 3), *p = fa_rand(4, 3);
        fa_tensor *weight = fa_rand(3), *positive = fa_rand(3);
        check_same(fa_nn_mse_loss(), "MSELoss", x, y, fa_mse_loss(x, y));
        check_same(fa_nn_mse_loss(.reduction = FA_REDUCE_SUM), "MSELoss", x, y,
                   fa_mse_loss(x, y, .reduction = FA_REDUCE_SUM));
        check_same(fa_nn_l1_loss(.reduction = FA_REDUCE_NONE), "L1Loss", x, y,
                   fa_l1_loss(x, y, .reduction = FA_REDUCE_NONE));
        check_same(fa_nn_smooth_l1_loss(), "SmoothL1Loss", x, y, fa_smooth_l1_loss(x, y));
        check_same(fa_nn_smooth_l1_loss(.beta = 0.3), "SmoothL1Loss", x, y, fa_smooth_l1_loss(x, y, .beta = 0.3));
        check_same(fa_nn_huber_loss(.delta = 0.3), "HuberLoss", x, y, fa_huber_loss(x, y, .delta = 0.3));
        check_same(fa_nn_bce_loss(), "BCELoss", p, y, fa_binary_cross_entropy(p, y));
        check_same(fa_nn_bce_loss(.weight = weight), "BCELoss", p, y, fa_binary_cross_entropy(p, y, .weight = weight));
        check_same(fa_nn_bce_with_logits_loss(.weight = weight, .pos_weight = positive), "BCEWithLogitsLoss", x, y,
                   fa_binary_cross_entropy_with_logits(x, y, .weight = weight, .pos_weight = positive));
        check_same(fa_nn_kl_div_loss(.reduction = FA_REDUCE_BATCHMEAN), "KLDivLoss", x, p,
                   fa_kl_div(x, p, .reduction = FA_REDUCE_BATCHMEAN));
        check_same(fa_nn_kl_div_loss(.log_target = true), "KLDivLoss", x, p, fa_kl_div(x, p, .log_target = true));
    }
    assert_string_equal(fa_error(), "");
}

static void test_weights_are_buffers(void **state)
{
    (void)state;
    fa_scope {
        fa_module *loss = fa_nn_bce_with_logits_loss(.pos_weight = fa_full(FA_SHAPE(2), 3));
        assert_int_equal(fa_parameters(loss).count, 0);
        assert_true(fa_item(fa_select(fa_find(loss, "pos_weight"), 0, 1)) == 3);
        fa_free(loss);
    }
    assert_string_equal(fa_error(), "");
}

static void check_error(const char *part)
{
    assert_int_equal(fa_error_code(), FA_VALUE_ERROR);
    assert_contains(fa_error(), "test_losses.c:");
    assert_contains(fa_error(), part);
    assert_contains(fa_error(), "Hint: ");
    fa_clear_error();
}

static void test_errors(void **state)
{
    (void)state;
    assert_null(fa_nn_mse_loss(.reduction = FA_REDUCE_BATCHMEAN));
    check_error("reduction 3");
    assert_null(fa_nn_kl_div_loss(.reduction = (fa_reduction)4));
    check_error("FA_REDUCE_BATCHMEAN");
    fa_scope {
        assert_null(fa_nn_bce_loss(.pos_weight = fa_ones(2)));
        check_error("pos_weight");
    }
    assert_int_equal(fa_module_live_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_weights_are_buffers),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
