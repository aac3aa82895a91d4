/* Work that crosses scopes, writes between forward passes, views whose base changes its kind, steps that fail beside
 * others that do not. */
#include "support/facula_test.h"

#include "facula.h"

#include <math.h>
#include <string.h>

static double item(fa_tensor *t)
{
    double value = fa_item(t);
    if (!fa_ok())
        fail_msg("%s", fa_error());
    return value;
}

static double first(fa_tensor *t)
{
    const float *data = fa_data(t);
    if (data == NULL)
        fail_msg("%s", fa_error());
    return data[0];
}

/* Pending values of an outer scope are run inside an inner one, which leaves others behind that nobody reads. */
static void test_pending_across_scopes(void **state)
{
    (void)state;
    for (int outer = 0; outer < 9; outer++)
        for (int left = 0; left < 10; left += 3)
            fa_scope {
                fa_tensor *w = fa_full(FA_SHAPE(4), 1, .requires_grad = true);
                fa_optim *sgd = fa_sgd(FA_TENSORS(w), 1.0);
                fa_backward(fa_sum(w));
                item(fa_sum(fa_grad(w)));
                fa_tensor *y = fa_ones(4), *z;
                for (int i = 0; i < outer; i++)
                    y = fa_mul(y, 2);
                z = y;
                fa_scope {
                    item(fa_sum(z));
                    for (int i = 0; i < left; i++)
                        fa_add(z, 1);
                }
                for (int i = 1; i <= 3; i++) {
                    fa_step(sgd);
                    if (i == 2)
                        assert_true(item(fa_mean(w)) == -1);
                }
                assert_true(item(fa_mean(w)) == -2);
                fa_scope
                    fa_step(sgd);
                assert_true(item(fa_mean(w)) == -3);
                fa_free(sgd);
            }
    assert_true(fa_ok());
}

/* The same picture, written between two forward passes of one plan. */
static void test_writes_between_forward_passes(void **state)
{
    (void)state;
    fa_scope {
        fa_manual_seed(1);
        fa_module *conv = fa_nn_conv2d(3, 8, 3, .padding = 1, .bias = false);
        fa_no_grad {
            fa_tensor *x = fa_randn(2, 3, 6, 6);
            fa_tensor *y = fa_sum(fa_forward(conv, x));
            fa_mul_(x, 10);
            fa_tensor *z = fa_sum(fa_forward(conv, x));
            fa_copy_(x, fa_zeros(2, 3, 6, 6));
            fa_tensor *nothing = fa_sum(fa_forward(conv, x));
            double ten = item(z), one = item(y);
            assert_true(fabs(ten - 10 * one) < 1e-3 * fabs(ten));
            assert_true(item(nothing) == 0);
        }
        fa_free(conv);
    }
}

static void test_two_optimizers_on_one_parameter(void **state)
{
    (void)state;
    double sum[3];
    const int threads[3] = {1, 2, 7};
    for (int t = 0; t < 3; t++)
        fa_scope {
            fa_set_num_threads(threads[t]);
            fa_manual_seed(2);
            fa_tensor *w = fa_randn_with(FA_SHAPE(655360), .requires_grad = true);
            fa_optim *a = fa_sgd(FA_TENSORS(w), 0.1, .weight_decay = 0.5),
                     *b = fa_sgd(FA_TENSORS(w), 0.3, .weight_decay = 0.9);
            fa_backward(fa_sum(fa_mul(w, w)));
            fa_step(a);
            fa_step(b);
            sum[t] = item(fa_sum(w));
            fa_free(a);
            fa_free(b);
        }
    fa_set_num_threads(2);
    assert_true(sum[0] == sum[1] && sum[0] == sum[2]);
}

static void test_views_of_a_changing_base(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *a = fa_ones(4), *x = fa_add(a, 1), *v = fa_view(x, 2, 2); /* 2 */
        fa_scope
            fa_add_(x, 1); /* carried out of its scope, x is a leaf now: 3 */
        assert_true(first(v) == 3);
        fa_add_(x, 1);
        assert_true(first(v) == 4);
        fa_add_(v, 1);
        assert_true(first(x) == 5 && first(v) == 5);

        fa_tensor *w = fa_ones_with(FA_SHAPE(4), .requires_grad = true), *y = fa_ones(4), *vy = fa_view(y, 2, 2);
        fa_add_(y, w); /* a leaf that is given a history */
        assert_true(first(vy) == 2);
        fa_backward(fa_sum(vy));
        assert_true(first(fa_grad(w)) == 1);

        fa_tensor *computed = fa_clone(w); /* a write past its history, which stays */
        assert_non_null(fa_mul_(fa_detach(computed), 2));
        assert_true(first(computed) == 2 && fa_requires_grad(computed));
        fa_backward(fa_sum(computed));
        assert_true(first(fa_grad(w)) == 2);
    }
    assert_true(fa_ok());
}

/* A value that a handle names is read after what it was computed from was overwritten. */
static void test_values_survive_writes(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = fa_ones(100, 100), *y = fa_mul(x, 2), *z = fa_add(y, 1);
        fa_mul_(x, 3);
        assert_true(first(z) == 3 && first(y) == 2 && first(x) == 3);
    }
    assert_true(fa_ok());
}

/* A step that fails takes nothing with it that was recorded before it. */
static void test_a_failure_leaves_what_came_before(void **state)
{
    (void)state;
    fa_scope {
        fa_manual_seed(3);
        fa_module *net = fa_nn_linear(5, 3);
        fa_tensor *x = fa_randn(2, 5), *good = fa_tensor_of_as(FA_INT64, FA_SHAPE(2), 0, 1);
        fa_generator *own = fa_generator_new();
        uint8_t before[2][FA_GENERATOR_STATE_SIZE], after[2][FA_GENERATOR_STATE_SIZE];
        fa_tensor *fine = fa_cross_entropy(fa_forward(net, x), good);
        fa_backward(fine);
        fa_generator_get_state(own, before[0]);
        fa_generator_get_state(NULL, before[1]);
        fa_tensor *dropped = fa_dropout(fa_dropout(x, .p = 0.5), .p = 0.3, .generator = own);
        fa_tensor *bad = fa_cross_entropy(fa_forward(net, dropped), fa_tensor_of_as(FA_INT64, FA_SHAPE(2), 0, 7));
        fa_backward(bad);
        fa_item(bad);
        assert_false(fa_ok());
        fa_clear_error();
        fa_generator_get_state(own, after[0]);
        fa_generator_get_state(NULL, after[1]);
        assert_same_bytes(before, after, sizeof before);
        assert_true(item(fine) > 0);
        float gradient[15];
        memcpy(gradient, fa_data(fa_grad(fa_find(net, "weight"))), sizeof gradient);
        fa_zero_grad(net);
        fa_backward(fa_cross_entropy(fa_forward(net, x), good));
        assert_same_bytes(fa_data(fa_grad(fa_find(net, "weight"))), gradient, sizeof gradient);
        fa_free(own);
        fa_free(net);
    }
    assert_true(fa_ok());
}

static void test_jump_out_of_no_grad(void **state)
{
    (void)state;
    jmp_buf jump;
    uint64_t mark = fa_scope_mark();
    if (setjmp(jump) == 0)
        fa_no_grad
            fa_scope
                longjmp(jump, 1);
    fa_scope_reset(mark);
    assert_true(fa_grad_enabled());
}

/* Addresses from fa_data stay good in the root scope, whatever else is computed. */
static void test_addresses_stay_good(void **state)
{
    (void)state;
    fa_tensor *x = fa_ones(4096), *y = fa_mul(fa_add(x, 0), 2);
    const float *data = fa_data(y);
    for (int i = 0; i < 40; i++)
        item(fa_sum(fa_mul(fa_watch(fa_add(fa_ones(2048, 1024), i)), 2)));
    assert_true(data[5] == 2 && fa_data(y) == data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pending_across_scopes),
        cmocka_unit_test(test_writes_between_forward_passes),
        cmocka_unit_test(test_two_optimizers_on_one_parameter),
        cmocka_unit_test(test_views_of_a_changing_base),
        cmocka_unit_test(test_values_survive_writes),
        cmocka_unit_test(test_a_failure_leaves_what_came_before),
        cmocka_unit_test(test_jump_out_of_no_grad),
        cmocka_unit_test(test_addresses_stay_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
