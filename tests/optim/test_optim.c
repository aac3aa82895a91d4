/* Optimizers against PyTorch (golden/optim.json): every step from given gradients; SGD bit for bit, the others within
 * 1e-6 (their square roots are not PyTorch's to the last bit); parameter groups; what is skipped; errors. */
#include "support/facula_test.h"
#include "support/golden.h"

#include "optim/optim.h"
#include "plan/plan.h"

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

static bool is(const char *kind, const char *name)
{
    return strcmp(kind, name) == 0;
}

static double beta(const cJSON *options, int i)
{
    const cJSON *betas = cJSON_GetObjectItem(options, "betas");
    return betas ? cJSON_GetArrayItem(betas, i)->valuedouble : i == 0 ? 0.9 : 0.999;
}

static fa_optim *make(const cJSON *run, fa_tensor_list params)
{
    const char *kind = cJSON_GetObjectItem(run, "kind")->valuestring;
    const cJSON *o = cJSON_GetObjectItem(run, "options");
    if (cJSON_GetArraySize(o) == 0)
        return is(kind, "SGD")       ? fa_sgd(params)
               : is(kind, "Adam")    ? fa_adam(params)
               : is(kind, "AdamW")   ? fa_adamw(params)
               : is(kind, "RMSprop") ? fa_rmsprop(params)
                                     : fa_adagrad(params);
    bool maximize = option(o, "maximize", 0) != 0, amsgrad = option(o, "amsgrad", 0) != 0;
    double decay = option(o, "weight_decay", 0), momentum = option(o, "momentum", 0);
    if (is(kind, "SGD"))
        return fa_sgd(params, option(o, "lr", 1e-3), .momentum = momentum, .dampening = option(o, "dampening", 0),
                      .weight_decay = decay, .nesterov = option(o, "nesterov", 0) != 0, .maximize = maximize);
    if (is(kind, "RMSprop"))
        return fa_rmsprop(params, option(o, "lr", 1e-2), .alpha = option(o, "alpha", 0.99),
                          .eps = option(o, "eps", 1e-8), .weight_decay = decay, .momentum = momentum,
                          .centered = option(o, "centered", 0) != 0, .maximize = maximize);
    if (is(kind, "Adagrad"))
        return fa_adagrad(params, option(o, "lr", 1e-2), .lr_decay = option(o, "lr_decay", 0), .weight_decay = decay,
                          .initial_accumulator_value = option(o, "initial_accumulator_value", 0),
                          .eps = option(o, "eps", 1e-10), .maximize = maximize);
    if (is(kind, "Adam"))
        return fa_adam(params, option(o, "lr", 1e-3), .betas = {beta(o, 0), beta(o, 1)}, .eps = option(o, "eps", 1e-8),
                       .weight_decay = decay, .amsgrad = amsgrad, .maximize = maximize);
    return fa_adamw(params, option(o, "lr", 1e-3), .weight_decay = option(o, "weight_decay", 1e-2), .amsgrad = amsgrad,
                    .maximize = maximize);
}

/* The second group of a run with groups. */
static bool add_group(fa_optim *optim, const cJSON *group, fa_tensor_list params)
{
    return fa_add_param_group(optim, params, .lr = option(group, "lr", FA_OPTIM_DEFAULT),
                              .weight_decay = option(group, "weight_decay", FA_OPTIM_DEFAULT),
                              .momentum = option(group, "momentum", FA_OPTIM_DEFAULT),
                              .betas = {cJSON_HasObjectItem(group, "betas") ? beta(group, 0) : FA_OPTIM_DEFAULT,
                                        cJSON_HasObjectItem(group, "betas") ? beta(group, 1) : FA_OPTIM_DEFAULT},
                              .nesterov = (int)option(group, "nesterov", -1),
                              .amsgrad = (int)option(group, "amsgrad", -1),
                              .maximize = (int)option(group, "maximize", -1));
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
        const cJSON *group = cJSON_GetObjectItem(run, "group");
        fa_optim *optim = make(run, group ? FA_TENSORS(p[0]) : FA_TENSORS(p[0], p[1], p[2]));
        assert_non_null(optim);
        if (group)
            assert_true(add_group(optim, group, FA_TENSORS(p[1], p[2])));
        assert_int_equal(fa_group_count(optim), group ? 2 : 1);
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
        fa_plan_set_mode("off");
        check_run(run, true);
        fa_plan_set_mode("fused");
    }
}

/* What a file will hold: PyTorch's names, in its order. */
static void test_state_names(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *p = fa_ones_with(FA_SHAPE(2), .requires_grad = true);
        fa_tensor_list list = FA_TENSORS(p);
        const struct {
            fa_optim *optim;
            const char *names[5];
        } cases[] = {{fa_sgd(list, 0.1), {NULL}},
                     {fa_sgd(list, 0.1, .momentum = 0.9), {"momentum_buffer"}},
                     {fa_adam(list), {"step", "exp_avg", "exp_avg_sq"}},
                     {fa_adamw(list, .amsgrad = true), {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"}},
                     {fa_rmsprop(list, .momentum = 0.1, .centered = true),
                      {"step", "square_avg", "momentum_buffer", "grad_avg"}},
                     {fa_rmsprop(list, .centered = true), {"step", "square_avg", "grad_avg"}},
                     {fa_adagrad(list, .initial_accumulator_value = 0.5), {"step", "sum"}}};
        fa_backward(fa_sum(p));
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            fa_optim_state entry[FA_OPTIM_STATES + 1];
            int before = fa_optim_state_list(cases[i].optim, 0, 0, entry);
            assert_int_equal(before, i == 6 ? 2 : 0); /* Adagrad makes its sum at once */
            if (i == 6)
                assert_true(((const float *)fa_leaf_data(entry[1].leaf))[1] == 0.5f);
            assert_true(fa_step(cases[i].optim));
            int n = fa_optim_state_list(cases[i].optim, 0, 0, entry);
            for (int k = 0; k < n; k++) {
                assert_string_equal(entry[k].name, cases[i].names[k]);
                assert_true((entry[k].leaf != NULL) != (entry[k].step != NULL));
                assert_true(!entry[k].step || *entry[k].step == 1);
            }
            assert_null(cases[i].names[n]);
            fa_free(cases[i].optim);
        }
    }
    assert_string_equal(fa_error(), "");
}

/* A buffer that is first needed later starts with the gradient, whatever the dampening. */
static void test_momentum_switched_on(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *p = fa_zeros_with(FA_SHAPE(1), .requires_grad = true);
        fa_optim *optim = fa_sgd(FA_TENSORS(p), 1, .dampening = 0.5);
        fa_backward(fa_sum(p));
        fa_step(optim);
        fa_step(optim);
        assert_true(fa_item(p) == -2);
        fa_scheduler *schedule =
            fa_one_cycle_lr(optim, 25, .total_steps = 10, .max_momentum = 0.5, .base_momentum = 0.5);
        assert_true(fa_lr(optim) == 1 && fa_group_momentum(optim, 0) == 0.5);
        fa_step(optim); /* b = 1 */
        assert_true(fa_item(p) == -3);
        fa_step(optim); /* b = 0.5 * 1 + 0.5 * 1 */
        assert_true(fa_item(p) == -4);
        fa_free(schedule);
        fa_free(optim);
    }
    assert_string_equal(fa_error(), "");
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

static void test_group_errors(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *p = fa_ones_with(FA_SHAPE(2), .requires_grad = true);
        fa_tensor *q = fa_ones_with(FA_SHAPE(2), .requires_grad = true);
        fa_optim *optim = fa_sgd(FA_TENSORS(p), 0.1, .momentum = 0.9);
        assert_false(fa_add_param_group(optim, FA_TENSORS(q, p)));
        check_error(FA_VALUE_ERROR, "earlier group");
        assert_false(fa_add_param_group(optim, FA_TENSORS(q), .lr = -1));
        check_error(FA_VALUE_ERROR, "learning rate -1");
        assert_false(fa_add_param_group(optim, FA_TENSORS(q), .momentum = 0, .nesterov = true));
        check_error(FA_VALUE_ERROR, "nesterov");
        assert_int_equal(fa_group_count(optim), 1);
        assert_false(fa_set_group_lr(optim, 1, 0.5));
        check_error(FA_INDEX_ERROR, "group 1");
        assert_true(fa_add_param_group(optim, FA_TENSORS(q), .lr = 0.5, .momentum = 0));
        assert_true(fa_group_lr(optim, 0) == 0.1 && fa_group_lr(optim, 1) == 0.5);
        assert_true(fa_group_momentum(optim, 0) == 0.9 && fa_group_momentum(optim, 1) == 0);
        assert_true(fa_set_group_lr(optim, 1, 0.25) && fa_group_lr(optim, 1) == 0.25 && fa_lr(optim) == 0.1);
        assert_true(fa_set_lr(optim, 2) && fa_group_lr(optim, 1) == 2);
        fa_free(optim);
        assert_null(fa_rmsprop(FA_TENSORS(p), .alpha = -1));
        check_error(FA_VALUE_ERROR, "alpha -1");
        assert_null(fa_adagrad(FA_TENSORS(p), .lr_decay = -1));
        check_error(FA_VALUE_ERROR, "lr_decay -1");
        assert_null(fa_adagrad(FA_TENSORS(p), .initial_accumulator_value = -1));
        check_error(FA_VALUE_ERROR, "initial_accumulator_value -1");
    }
    assert_string_equal(fa_error(), "");
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
        cmocka_unit_test_setup(test_state_names, no_error),
        cmocka_unit_test_setup(test_momentum_switched_on, no_error),
        cmocka_unit_test_setup(test_group_errors, no_error),
        cmocka_unit_test_setup(test_momentum_formula, no_error),
        cmocka_unit_test_setup(test_frozen_parameters_stay, no_error),
        cmocka_unit_test_setup(test_accumulation_and_reading_before, no_error),
        cmocka_unit_test_setup(test_errors, no_error),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
