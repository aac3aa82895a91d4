/* Averages of weights against PyTorch's AveragedModel (golden/optim.json): means after every update bit for bit,
 * buffers of whole numbers, swapping and copying, what happens when an update fails, errors. */
#include "support/facula_test.h"
#include "support/golden.h"

#include <facula.h>
#include <string.h>

static golden_file golden;
enum { PARAMETERS = 3, STEPS = 10 };

static int open_golden(void **state)
{
    (void)state;
    char why[256];
    if (golden_open(&golden, "optim", why))
        return 0;
    fprintf(stderr, "%s\n", why);
    return -1;
}

static int close_golden(void **state)
{
    (void)state;
    golden_close(&golden);
    return fa_ema_live_count() + fa_module_live_count() == 0 ? 0 : -1;
}

typedef struct three {
    fa_module base;
    fa_tensor *a, *b, *c;
} three;

static fa_tensor *forward(fa_module *self, fa_tensor *x)
{
    (void)self;
    return x;
}

static three *make_three(void)
{
    three *net = fa_module_new(three, forward);
    fa_own_parameter(net, a, FA_SHAPE(3, 5), .fill = 1);
    fa_own_parameter(net, b, FA_SHAPE(17), .fill = 2);
    fa_own_parameter(net, c, FA_SHAPE(1), .fill = 3);
    return net;
}

static void check_run(const char *name, double decay)
{
    three *net = make_three();
    fa_tensor *weights[PARAMETERS] = {net->a, net->b, net->c};
    static const char *const keys[PARAMETERS] = {"a", "b", "c"};
    fa_ema *ema = fa_ema_new(&net->base, .decay = decay);
    assert_non_null(ema);
    for (int t = 0; t < STEPS; t++) {
        for (int k = 0; k < PARAMETERS; k++)
            assert_true(fa_copy_from(weights[k], golden_find(&golden, "sgd.%d.%d", t, k)->data));
        assert_true(fa_ema_update(ema));
        assert_int_equal(fa_ema_count(ema), t + 1);
        for (int k = 0; k < PARAMETERS && t % 3 == 0; k++) {
            const golden_tensor *want = golden_find(&golden, "%s.%d.%d", name, t, k);
            assert_non_null(want);
            assert_same_bytes(fa_data(fa_ema_find(ema, keys[k])), want->data, (size_t)want->numel * 4);
        }
    }
    /* There and back again; the weights are those of the last step in between. */
    const golden_tensor *mean = golden_find(&golden, "%s.%d.1", name, STEPS - 1);
    const golden_tensor *last = golden_find(&golden, "sgd.%d.1", STEPS - 1);
    assert_true(fa_ema_swap(ema));
    assert_same_bytes(fa_data(net->b), mean->data, 17 * 4);
    assert_same_bytes(fa_data(fa_ema_find(ema, "b")), last->data, 17 * 4);
    assert_true(fa_ema_swap(ema));
    assert_same_bytes(fa_data(net->b), last->data, 17 * 4);
    three *copy = make_three();
    assert_true(fa_ema_copy_to(ema, &copy->base));
    assert_same_bytes(fa_data(copy->b), mean->data, 17 * 4);
    fa_free(&copy->base);
    fa_free(&net->base);
    fa_free(ema);
    assert_string_equal(fa_error(), "");
}

static void test_golden(void **state)
{
    (void)state;
    check_run("ema", 0.9);
    check_run("ema_fast", 0.3);
    check_run("swa", FA_SWA);
}

static void test_buffers(void **state)
{
    (void)state;
    for (int swa = 0; swa < 2; swa++) {
        const cJSON *want =
            cJSON_GetObjectItem(cJSON_GetObjectItem(golden.index, "whole_averages"), swa ? "swa" : "ema");
        fa_module *norm = fa_nn_batch_norm2d(1);
        fa_ema *averaged = fa_ema_new(norm, .decay = swa ? FA_SWA : 0.9, .use_buffers = true);
        fa_ema *copied = fa_ema_new(norm, .decay = swa ? FA_SWA : 0.9);
        for (int t = 0; t < cJSON_GetArraySize(want); t++) {
            const int64_t count = 3 * t;
            assert_true(fa_copy_from(fa_find(norm, "num_batches_tracked"), &count));
            assert_true(fa_ema_update(averaged) && fa_ema_update(copied));
            assert_true(fa_item(fa_ema_find(averaged, "num_batches_tracked")) ==
                        cJSON_GetArrayItem(want, t)->valuedouble);
            assert_true(fa_item(fa_ema_find(copied, "num_batches_tracked")) == (double)count);
        }
        fa_free(averaged);
        fa_free(copied);
        fa_free(norm);
    }
    assert_string_equal(fa_error(), "");
}

/* Updates follow steps that are still to be run, in the order of the program. */
static void test_follows_steps(void **state)
{
    (void)state;
    three *net = make_three();
    fa_ema *ema = fa_ema_new(&net->base, .decay = 0.5);
    fa_optim *optim = fa_sgd(fa_parameters(&net->base), 1);
    fa_scope {
        assert_true(fa_ema_update(ema)); /* c = 3 */
        fa_backward(fa_sum(net->c));
        assert_true(fa_step(optim) && fa_ema_update(ema)); /* c = 2: mean 2.5 */
        assert_true(fa_step(optim) && fa_ema_update(ema)); /* c = 1: mean 1.75 */
    }
    assert_true(fa_item(net->c) == 1);
    assert_true(fa_item(fa_ema_find(ema, "c")) == 1.75);
    fa_free(optim);
    fa_free(ema);
    fa_free(&net->base);
    assert_string_equal(fa_error(), "");
}

static void check_error(fa_error_kind kind, const char *part)
{
    assert_false(fa_ok());
    assert_int_equal(fa_error_code(), kind);
    assert_contains(fa_error(), part);
    assert_contains(fa_error(), "Hint: ");
    fa_clear_error();
}

static void test_errors(void **state)
{
    (void)state;
    fa_module *linear = fa_nn_linear(2, 3), *wider = fa_nn_linear(3, 3), *bare = fa_nn_linear(2, 3, .bias = false);
    assert_null(fa_ema_new(NULL));
    check_error(FA_VALUE_ERROR, "no module");
    assert_null(fa_ema_new(linear, .decay = 1.5));
    check_error(FA_VALUE_ERROR, "decay 1.5");
    fa_ema *ema = fa_ema_new(linear, .decay = 0.9);
    assert_null(fa_ema_find(ema, "scale"));
    check_error(FA_VALUE_ERROR, "scale");
    assert_false(fa_ema_copy_to(ema, wider));
    check_error(FA_SHAPE_ERROR, "[3, 3]");
    assert_false(fa_ema_copy_to(ema, bare));
    check_error(FA_SHAPE_ERROR, "bias");
    assert_false(fa_ema_update(NULL));
    check_error(FA_STATE_ERROR, "NULL");
    fa_raise(FA_DATA_ERROR, "a bad batch. Hint: none");
    assert_false(fa_ema_update(ema));
    check_error(FA_DATA_ERROR, "a bad batch");
    assert_int_equal(fa_ema_count(ema), 0);
    fa_free(ema);
    fa_free(linear);
    fa_free(wider);
    fa_free(bare);
    assert_string_equal(fa_error(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_buffers),
        cmocka_unit_test(test_follows_steps),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
