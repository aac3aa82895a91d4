/* Optimizers and schedules against PyTorch (golden/optim.json): every step from given gradients; SGD and schedules bit
 * for bit, Adam within 1e-6; what is skipped; errors. */
#include "support/facula_test.h"
#include "support/golden.h"

#include <facula.h>
#include <math.h>
#include <string.h>

static golden_file golden;
enum { PARAMETERS = 3 };

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
    return fa_optim_live_count() + fa_scheduler_live_count() + fa_module_live_count() == 0 ? 0 : -1;
}

static int no_error(void **state)
{
    (void)state;
    fa_clear_error();
    return 0;
}

/* A leaf with the values of a golden tensor. */
static fa_tensor *leaf_of(const golden_tensor *values)
{
    assert_non_null(values);
    fa_tensor *leaf = fa_zeros_with(values->shape, .dtype = values->dtype, .requires_grad = true);
    fa_no_grad {
        fa_copy_from(leaf, values->data);
    }
    return leaf;
}

/* d sum(p * g) / dp = g, exactly. */
static void give_gradient(fa_tensor *p, const golden_tensor *g)
{
    assert_true(fa_backward(fa_sum(fa_mul(p, fa_from_memory(g->data, g->dtype, g->shape)))));
}

static double option(const cJSON *options, const char *name, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItem(options, name);
    if (!item)
        return otherwise;
    return cJSON_IsBool(item) ? cJSON_IsTrue(item) : item->valuedouble;
}

static fa_optim *make(const cJSON *run, fa_tensor_list params)
{
    const char *kind = cJSON_GetObjectItem(run, "kind")->valuestring;
    const cJSON *options = cJSON_GetObjectItem(run, "options"), *betas = cJSON_GetObjectItem(options, "betas");
    if (cJSON_GetArraySize(options) == 0)
        return !strcmp(kind, "SGD") ? fa_sgd(params) : !strcmp(kind, "Adam") ? fa_adam(params) : fa_adamw(params);
    double lr = option(options, "lr", 1e-3);
    bool maximize = option(options, "maximize", 0) != 0, amsgrad = option(options, "amsgrad", 0) != 0;
    if (!strcmp(kind, "SGD"))
        return fa_sgd(params, lr, .momentum = option(options, "momentum", 0),
                      .dampening = option(options, "dampening", 0), .weight_decay = option(options, "weight_decay", 0),
                      .nesterov = option(options, "nesterov", 0) != 0, .maximize = maximize);
    double beta1 = betas ? cJSON_GetArrayItem(betas, 0)->valuedouble : 0.9;
    double beta2 = betas ? cJSON_GetArrayItem(betas, 1)->valuedouble : 0.999;
    double eps = option(options, "eps", 1e-8);
    if (!strcmp(kind, "Adam"))
        return fa_adam(params, .lr = lr, .betas = {beta1, beta2}, .eps = eps,
                       .weight_decay = option(options, "weight_decay", 0), .amsgrad = amsgrad, .maximize = maximize);
    return fa_adamw(params, lr, .weight_decay = option(options, "weight_decay", 1e-2), .amsgrad = amsgrad);
}

/* One run of the golden data. `read`: whether parameters are looked at after each step, or only after the last. */
static void check_run(const cJSON *run, bool read)
{
    const char *name = cJSON_GetObjectItem(run, "name")->valuestring;
    bool exact = !strcmp(cJSON_GetObjectItem(run, "kind")->valuestring, "SGD");
    bool skips = !strcmp(name, "skipped");
    int steps = cJSON_GetObjectItem(golden.index, "steps")->valueint;
    fa_scope {
        fa_tensor *p[PARAMETERS];
        for (int k = 0; k < PARAMETERS; k++)
            p[k] = leaf_of(golden_find(&golden, "p0.%d", k));
        fa_optim *optim = make(run, FA_TENSORS(p[0], p[1], p[2]));
        assert_non_null(optim);
        for (int t = 0; t < steps; t++) {
            assert_true(fa_zero_grad(optim));
            for (int k = 0; k < PARAMETERS; k++)
                if (!(skips && k == 1 && (t == 1 || t == 3)))
                    give_gradient(p[k], golden_find(&golden, "grad.%d.%d", t, k));
            assert_true(fa_step(optim));
            for (int k = 0; k < PARAMETERS && (read || t + 1 == steps); k++) {
                const golden_tensor *want = golden_find(&golden, "%s.%d.%d", name, t, k);
                assert_non_null(want);
                if (exact)
                    assert_same_bytes(fa_data(p[k]), want->data, (size_t)want->numel * 4);
                else
                    assert_all_close_f32(fa_data(p[k]), want->data, want->numel, 0, 1e-6);
            }
        }
        fa_free(optim);
    }
    assert_string_equal(fa_error(), "");
}

static void test_golden_runs(void **state)
{
    (void)state;
    const cJSON *run;
    cJSON_ArrayForEach(run, cJSON_GetObjectItem(golden.index, "runs"))
    {
        check_run(run, true);
        check_run(run, false);
    }
}

static void test_step_lr(void **state)
{
    (void)state;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden.index, "step_lr"))
    {
        fa_scope {
            fa_tensor *p = fa_zeros_with(FA_SHAPE(1), .requires_grad = true);
            fa_optim *optim = fa_sgd(FA_TENSORS(p), cJSON_GetObjectItem(entry, "lr")->valuedouble);
            fa_scheduler *schedule = fa_step_lr(optim, cJSON_GetObjectItem(entry, "step_size")->valueint,
                                                .gamma = cJSON_GetObjectItem(entry, "gamma")->valuedouble);
            /* The schedule holds the optimizer. */
            fa_free(optim);
            int t = 0;
            const cJSON *rate;
            cJSON_ArrayForEach(rate, cJSON_GetObjectItem(entry, "rates"))
            {
                if (t++ > 0) {
                    assert_true(fa_step(optim));
                    assert_true(fa_step(schedule));
                }
                assert_true(fa_lr(optim) == rate->valuedouble);
            }
            assert_int_equal(t, 21);
            fa_free(schedule);
        }
    }
    assert_int_equal(fa_optim_live_count(), 0);
}

/* p = 1, g = 1, momentum 0.9, rates 0.1, 0.1, 0.01: the rate stands outside the buffer. */
static void test_momentum_formula(void **state)
{
    (void)state;
    const double rate[3] = {0.1, 0.1, 0.01}, want[3] = {0.9, 0.71, 0.6829};
    fa_scope {
        fa_tensor *p = fa_full(FA_SHAPE(1), 1, .requires_grad = true);
        fa_optim *optim = fa_sgd(FA_TENSORS(p), 0.1, .momentum = 0.9);
        for (int t = 0; t < 3; t++) {
            assert_true(fa_set_lr(optim, rate[t]));
            fa_zero_grad(optim);
            fa_backward(fa_sum(p));
            fa_step(optim);
            assert_true(fabs(fa_item(p) - want[t]) < 1e-6);
        }
        fa_free(optim);
    }
    assert_string_equal(fa_error(), "");
}

static void test_frozen_parameters_stay(void **state)
{
    (void)state;
    fa_module *model = fa_nn_sequential(fa_nn_linear(3, 4), fa_nn_linear(4, 1));
    fa_requires_grad_(fa_child(model, 0), false);
    fa_optim *optim = fa_adamw(fa_parameters(model), 0.1);
    float before[12], other[4];
    memcpy(before, fa_data(fa_find(model, "0.weight")), sizeof before);
    memcpy(other, fa_data(fa_find(model, "1.weight")), sizeof other);
    fa_scope {
        fa_zero_grad(optim);
        fa_backward(fa_sum(fa_forward(model, fa_ones(2, 3))));
        fa_step(optim);
    }
    assert_same_bytes(fa_data(fa_find(model, "0.weight")), before, sizeof before);
    assert_true(memcmp(fa_data(fa_find(model, "1.weight")), other, sizeof other) != 0);
    /* The optimizer holds the parameters, not the module. */
    fa_free(model);
    assert_true(fa_zero_grad(optim) && fa_step(optim));
    fa_free(optim);
    assert_string_equal(fa_error(), "");
}

static void test_accumulation_and_reading_before(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *p = fa_full(FA_SHAPE(1), 1, .requires_grad = true);
        fa_optim *optim = fa_sgd(FA_TENSORS(p), 0.5);
        fa_tensor *twice = fa_mul(p, 2);
        fa_backward(fa_sum(p));
        fa_backward(fa_sum(p));
        fa_step(optim);
        assert_true(fa_item(p) == 0);
        assert_true(fa_item(fa_grad(p)) == 2);
        assert_true(fa_item(twice) == 2); /* recorded before the step */
        fa_zero_grad(optim);
        assert_null(fa_grad(p));
        fa_step(optim);
        assert_true(fa_item(p) == 0);
        fa_free(optim);
    }
    assert_string_equal(fa_error(), "");
}

static void check_error(fa_error_kind kind, const char *part)
{
    assert_false(fa_ok());
    assert_int_equal(fa_error_code(), kind);
    assert_contains(fa_error(), "test_optim.c:");
    assert_contains(fa_error(), part);
    assert_contains(fa_error(), "Hint: ");
    fa_clear_error();
}

static void test_errors(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *p = fa_ones_with(FA_SHAPE(2), .requires_grad = true);
        fa_tensor_list list = FA_TENSORS(p);
        fa_module *empty = fa_nn_sequential();
        assert_null(fa_sgd(fa_parameters(empty), 0.1));
        check_error(FA_VALUE_ERROR, "got no parameters");
        fa_free(empty);
        assert_null(fa_sgd(list, -1));
        check_error(FA_VALUE_ERROR, "learning rate -1");
        assert_null(fa_sgd(list, NAN));
        check_error(FA_VALUE_ERROR, "learning rate nan");
        assert_null(fa_sgd(list, 0.1, .momentum = -1));
        check_error(FA_VALUE_ERROR, "momentum -1");
        assert_null(fa_sgd(list, 0.1, .weight_decay = -1));
        check_error(FA_VALUE_ERROR, "weight_decay -1");
        assert_null(fa_sgd(list, 0.1, .nesterov = true));
        check_error(FA_VALUE_ERROR, "nesterov");
        assert_null(fa_sgd(list, 0.1, .momentum = 0.9, .dampening = 0.1, .nesterov = true));
        check_error(FA_VALUE_ERROR, "dampening 0.1");
        assert_null(fa_adam(list, .betas = {1.0, 0.999}));
        check_error(FA_VALUE_ERROR, "betas {1, 0.999}");
        assert_null(fa_adam(list, .eps = -1));
        check_error(FA_VALUE_ERROR, "eps -1");
        assert_null(fa_sgd(FA_TENSORS(fa_mul(p, 2)), 0.1));
        check_error(FA_VALUE_ERROR, "needs a leaf");
        assert_null(fa_sgd(FA_TENSORS(p, p), 0.1));
        check_error(FA_VALUE_ERROR, "each once");
        assert_null(fa_sgd(FA_TENSORS(p, NULL), 0.1));
        check_error(FA_VALUE_ERROR, "NULL");
        assert_null(fa_step_lr(NULL, 3));
        check_error(FA_VALUE_ERROR, "no optimizer");
        fa_optim *optim = fa_sgd(list, 0.1);
        assert_null(fa_step_lr(optim, 0));
        check_error(FA_VALUE_ERROR, "step_size 0");
        assert_false(fa_set_lr(optim, -0.1));
        check_error(FA_VALUE_ERROR, "learning rate -0.1");
        assert_true(fa_lr(optim) == 0.1);

        /* An error stops every step until it is cleared. */
        fa_backward(fa_sum(p));
        fa_scheduler *schedule = fa_step_lr(optim, 1);
        fa_raise(FA_DATA_ERROR, "a bad batch");
        assert_false(fa_step(optim));
        assert_false(fa_step(schedule));
        assert_null(fa_sgd(fa_parameters(NULL), 0.1));
        assert_contains(fa_error(), "a bad batch");
        fa_clear_error();
        assert_true(fa_lr(optim) == 0.1);
        assert_true(((const float *)fa_data(p))[0] == 1);
        assert_true(fa_step(optim) && fa_step(schedule));
        assert_true(((const float *)fa_data(p))[0] == 0.9f);
        fa_free(schedule);
        fa_free(optim);
    }
    assert_string_equal(fa_error(), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_golden_runs, no_error),
        cmocka_unit_test_setup(test_step_lr, no_error),
        cmocka_unit_test_setup(test_momentum_formula, no_error),
        cmocka_unit_test_setup(test_frozen_parameters_stay, no_error),
        cmocka_unit_test_setup(test_accumulation_and_reading_before, no_error),
        cmocka_unit_test_setup(test_errors, no_error),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
