/* Learning rate schedules against PyTorch (golden/optim.json): rates and momenta of two groups after every step, equal
 * doubles, under SGD and Adam; plateaus; errors. */
#include "support/facula_test.h"
#include "support/golden.h"

#include <facula.h>
#include <string.h>

static golden_file golden;

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
    return fa_optim_live_count() + fa_scheduler_live_count() == 0 ? 0 : -1;
}

static double shrinking(int64_t epoch, void *context)
{
    (void)context;
    return 1 / (1 + (double)epoch);
}

/* The schedules of make_optim.py, by name; the second is NULL but for "two". */
static void make(const char *name, fa_optim *o, fa_scheduler *made[2])
{
#define MAKE(text, expression)                                                                                         \
    if (strcmp(name, text) == 0)                                                                                       \
        made[0] = (expression);
    made[0] = made[1] = NULL;
    MAKE("step", fa_step_lr(o, 3, .gamma = 0.5))
    MAKE("step_1", fa_step_lr(o, 1))
    MAKE("multi_step", fa_multi_step_lr(o, FA_MILESTONES(4, 2, 7, 7), .gamma = 0.3))
    MAKE("exponential", fa_exponential_lr(o, 0.9))
    MAKE("constant", fa_constant_lr(o))
    MAKE("constant_2", fa_constant_lr(o, .factor = 0.3, .total_iters = 2))
    MAKE("linear", fa_linear_lr(o))
    MAKE("linear_down", fa_linear_lr(o, .start_factor = 0.9, .end_factor = 0.1, .total_iters = 7))
    MAKE("cosine", fa_cosine_annealing_lr(o, 6))
    MAKE("cosine_min", fa_cosine_annealing_lr(o, 5, .eta_min = 0.01))
    MAKE("restarts", fa_cosine_annealing_warm_restarts(o, 3))
    MAKE("restarts_double", fa_cosine_annealing_warm_restarts(o, 2, .T_mult = 2, .eta_min = 0.001))
    MAKE("one_cycle", fa_one_cycle_lr(o, 0.5, .total_steps = 20))
    MAKE("one_cycle_linear",
         fa_one_cycle_lr(o, 0.5, .epochs = 4, .steps_per_epoch = 5, .pct_start = 0.25, .linear = true,
                         .base_momentum = 0.5, .max_momentum = 0.9, .div_factor = 10, .final_div_factor = 50))
    MAKE("one_cycle_three",
         fa_one_cycle_lr(o, .max_lrs = ((double[]){0.5, 0.1}), .total_steps = 20, .three_phase = true))
    MAKE("one_cycle_still", fa_one_cycle_lr(o, 0.5, .total_steps = 9, .cycle_momentum = false))
    MAKE("lambda", fa_lambda_lr(o, shrinking))
    MAKE("sequential",
         fa_sequential_lr(o,
                          FA_SCHEDULES(fa_linear_lr(o, .start_factor = 0.1, .end_factor = 1, .total_iters = 4),
                                       fa_cosine_annealing_lr(o, 8)),
                          FA_MILESTONES(4)))
    MAKE("chained", fa_chained_scheduler(
                        FA_SCHEDULES(fa_constant_lr(o, .factor = 0.1, .total_iters = 2), fa_exponential_lr(o, 0.9))))
    MAKE("one_cycle_momenta",
         fa_one_cycle_lr(o, .max_lrs = ((double[]){0.5, 0.1}), .total_steps = 12,
                         .base_momenta = ((double[]){0.7, 0.8}), .max_momenta = ((double[]){0.9, 0.99})))
    /* One that goes on where another, which set the first rates, left off. */
    if (strstr(name, "_again") && strcmp(name, "sequential_again") != 0)
        fa_free(strcmp(name, "one_cycle_again") == 0 ? fa_one_cycle_lr(o, 0.5, .total_steps = 12) : fa_step_lr(o, 100));
    MAKE("step_again", fa_step_lr(o, 3, .gamma = 0.5, .last_epoch = 4))
    MAKE("multi_step_again", fa_multi_step_lr(o, FA_MILESTONES(4, 6), .gamma = 0.3, .last_epoch = 3))
    MAKE("exponential_again", fa_exponential_lr(o, 0.9, .last_epoch = 4))
    MAKE("constant_again", fa_constant_lr(o, .factor = 0.3, .total_iters = 7, .last_epoch = 4))
    MAKE("linear_again", fa_linear_lr(o, .start_factor = 0.5, .end_factor = 1, .total_iters = 8, .last_epoch = 4))
    MAKE("cosine_again", fa_cosine_annealing_lr(o, 6, .last_epoch = 4))
    MAKE("restarts_again", fa_cosine_annealing_warm_restarts(o, 3, .T_mult = 2, .last_epoch = 4))
    MAKE("lambda_again", fa_lambda_lr(o, shrinking, .last_epoch = 4))
    MAKE("one_cycle_again", fa_one_cycle_lr(o, 0.4, .total_steps = 20, .last_epoch = 4))
    MAKE("sequential_again",
         fa_sequential_lr(o,
                          FA_SCHEDULES(fa_constant_lr(o, .factor = 0.1, .total_iters = 3), fa_exponential_lr(o, 0.8)),
                          FA_MILESTONES(5), .last_epoch = 2))
    if (strcmp(name, "sequential_three") == 0) {
        fa_scheduler *first = fa_constant_lr(o, .factor = 0.1, .total_iters = 3);
        fa_scheduler *second = fa_exponential_lr(o, 0.8), *third = fa_step_lr(o, 2, .gamma = 0.5);
        made[0] = fa_sequential_lr(o, FA_SCHEDULES(first, second, third), FA_MILESTONES(3, 6));
    }
    if (strcmp(name, "sequential_restarts") == 0) {
        fa_scheduler *first = fa_multi_step_lr(o, FA_MILESTONES(1, 2));
        fa_scheduler *second = fa_cosine_annealing_warm_restarts(o, 3), *third = fa_lambda_lr(o, shrinking);
        made[0] = fa_sequential_lr(o, FA_SCHEDULES(first, second, third), FA_MILESTONES(2, 8));
    }
    if (strcmp(name, "sequential_chain") == 0) {
        fa_scheduler *chain = fa_chained_scheduler(FA_SCHEDULES(fa_exponential_lr(o, 0.9), fa_step_lr(o, 2)));
        made[0] = fa_sequential_lr(o, FA_SCHEDULES(chain, fa_linear_lr(o)), FA_MILESTONES(5));
    }
    if (strcmp(name, "two") == 0) {
        made[0] = fa_step_lr(o, 2, .gamma = 0.5);
        made[1] = fa_cosine_annealing_lr(o, 5);
    }
}

static void test_golden(void **state)
{
    (void)state;
    const cJSON *entry;
    int checked = 0;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden.index, "schedules"))
    {
        const char *name = cJSON_GetObjectItem(entry, "name")->valuestring;
        const bool sgd = strcmp(cJSON_GetObjectItem(entry, "kind")->valuestring, "SGD") == 0;
        const cJSON *rates = cJSON_GetObjectItem(entry, "rates"), *momenta = cJSON_GetObjectItem(entry, "momenta");
        fa_scope {
            fa_tensor *p = fa_zeros_with(FA_SHAPE(1), .requires_grad = true);
            fa_tensor *q = fa_zeros_with(FA_SHAPE(1), .requires_grad = true);
            fa_optim *optim = sgd ? fa_sgd(FA_TENSORS(p), 0.1, .momentum = 0.8) : fa_adam(FA_TENSORS(p), 0.1);
            assert_true(fa_add_param_group(optim, FA_TENSORS(q), .lr = 0.02));
            fa_scheduler *made[2];
            make(name, optim, made);
            assert_string_equal(fa_error(), "");
            assert_non_null(made[0]);
            for (int t = 0; t < cJSON_GetArraySize(rates); t++) {
                for (int k = 0; k < 2 && t > 0; k++)
                    assert_true(!made[k] || fa_step(made[k]));
                for (int g = 0; g < 2; g++) {
                    const double rate = cJSON_GetArrayItem(cJSON_GetArrayItem(rates, t), g)->valuedouble;
                    const double momentum = cJSON_GetArrayItem(cJSON_GetArrayItem(momenta, t), g)->valuedouble;
                    if (fa_group_lr(optim, g) != rate || fa_group_momentum(optim, g) != momentum)
                        fail_msg("%s, step %d, group %d: rate %.17g instead of %.17g, momentum %.17g instead of %.17g",
                                 name, t, g, fa_group_lr(optim, g), rate, fa_group_momentum(optim, g), momentum);
                }
            }
            fa_free(optim); /* the schedules hold it */
            fa_free(made[0]);
            fa_free(made[1]);
        }
        checked++;
    }
    assert_int_equal(checked, 68);
    assert_int_equal(fa_optim_live_count() + fa_scheduler_live_count(), 0);
}

static double option(const cJSON *options, const char *name, double otherwise)
{
    const cJSON *item = cJSON_GetObjectItem(options, name);
    return item ? item->valuedouble : otherwise;
}

static bool says(const cJSON *options, const char *name, const char *word)
{
    const cJSON *item = cJSON_GetObjectItem(options, name);
    return item && strcmp(item->valuestring, word) == 0;
}

static void test_plateau(void **state)
{
    (void)state;
    const cJSON *entry, *metrics = cJSON_GetObjectItem(golden.index, "metrics");
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden.index, "plateaus"))
    {
        const cJSON *o = cJSON_GetObjectItem(entry, "options"), *rates = cJSON_GetObjectItem(entry, "rates");
        fa_scope {
            fa_tensor *p = fa_zeros_with(FA_SHAPE(1), .requires_grad = true);
            fa_optim *optim = fa_sgd(FA_TENSORS(p), 0.1);
            fa_scheduler *schedule = fa_reduce_lr_on_plateau(
                optim, .mode = says(o, "mode", "max") ? FA_MAX : FA_MIN, .factor = option(o, "factor", 0.1),
                .patience = (int64_t)option(o, "patience", 10), .threshold = option(o, "threshold", 1e-4),
                .threshold_abs = says(o, "threshold_mode", "abs"), .cooldown = (int64_t)option(o, "cooldown", 0),
                .min_lr = option(o, "min_lr", 0), .eps = option(o, "eps", 1e-8));
            for (int t = 0; t < cJSON_GetArraySize(metrics); t++) {
                assert_true(fa_step_metric(schedule, cJSON_GetArrayItem(metrics, t)->valuedouble));
                assert_true(fa_lr(optim) == cJSON_GetArrayItem(rates, t)->valuedouble);
            }
            fa_free(schedule);
            fa_free(optim);
        }
    }
    assert_string_equal(fa_error(), "");
}

static void check_error(fa_error_kind kind, const char *part)
{
    assert_false(fa_ok());
    assert_int_equal(fa_error_code(), kind);
    assert_contains(fa_error(), "test_schedules.c:");
    assert_contains(fa_error(), part);
    assert_contains(fa_error(), "Hint: ");
    fa_clear_error();
}

static void test_errors(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *p = fa_zeros_with(FA_SHAPE(1), .requires_grad = true);
        fa_optim *optim = fa_sgd(FA_TENSORS(p), 0.1), *other = fa_adagrad(FA_TENSORS(p));
        assert_null(fa_step_lr(NULL, 3));
        check_error(FA_VALUE_ERROR, "no optimizer");
        assert_null(fa_step_lr(optim, 0));
        check_error(FA_VALUE_ERROR, "step_size 0");
        assert_null(fa_constant_lr(optim, .factor = 2));
        check_error(FA_VALUE_ERROR, "factor 2");
        assert_null(fa_linear_lr(optim, .start_factor = 0));
        check_error(FA_VALUE_ERROR, "start_factor 0");
        assert_null(fa_linear_lr(optim, .end_factor = 2));
        check_error(FA_VALUE_ERROR, "end_factor 2");
        assert_null(fa_cosine_annealing_lr(optim, 0));
        check_error(FA_VALUE_ERROR, "T_max 0");
        assert_null(fa_cosine_annealing_warm_restarts(optim, 0));
        check_error(FA_VALUE_ERROR, "T_0 0");
        assert_null(fa_cosine_annealing_warm_restarts(optim, 3, .T_mult = 0));
        check_error(FA_VALUE_ERROR, "T_mult 0");
        assert_null(fa_one_cycle_lr(optim, 0.1));
        check_error(FA_VALUE_ERROR, "total_steps 0");
        assert_null(fa_one_cycle_lr(optim, 0.1, .total_steps = 10, .pct_start = 2));
        check_error(FA_VALUE_ERROR, "pct_start 2");
        assert_null(fa_one_cycle_lr(other, 0.1, .total_steps = 10));
        check_error(FA_VALUE_ERROR, "Adagrad");
        assert_null(fa_reduce_lr_on_plateau(optim, .factor = 1));
        check_error(FA_VALUE_ERROR, "factor 1");
        assert_null(fa_lambda_lr(optim, NULL));
        check_error(FA_VALUE_ERROR, "no function");
        assert_true(fa_lr(optim) == 0.1);

        fa_scheduler *cycle = fa_one_cycle_lr(optim, 0.1, .total_steps = 3);
        for (int t = 0; t < 3; t++)
            assert_true(fa_step(cycle));
        double rate = fa_lr(optim);
        assert_false(fa_step(cycle));
        check_error(FA_STATE_ERROR, "step 4");
        assert_true(fa_lr(optim) == rate);
        assert_false(fa_step_metric(cycle, 0.5));
        check_error(FA_VALUE_ERROR, "OneCycleLR");
        fa_free(cycle);

        fa_scheduler *plateau = fa_reduce_lr_on_plateau(optim);
        assert_false(fa_step(plateau));
        check_error(FA_STATE_ERROR, "fa_step_metric");
        /* A constructor that fails frees what it was given. */
        assert_null(fa_chained_scheduler(FA_SCHEDULES(plateau)));
        check_error(FA_VALUE_ERROR, "ReduceLROnPlateau");
        assert_null(
            fa_sequential_lr(optim, FA_SCHEDULES(fa_step_lr(optim, 1), fa_step_lr(other, 1)), FA_MILESTONES(1)));
        check_error(FA_VALUE_ERROR, "another optimizer");
        assert_null(fa_sequential_lr(optim, FA_SCHEDULES(fa_step_lr(optim, 1)), FA_MILESTONES(1)));
        check_error(FA_VALUE_ERROR, "1 milestones");
        fa_scheduler *twice = fa_step_lr(optim, 1);
        assert_null(fa_chained_scheduler(FA_SCHEDULES(twice, twice)));
        check_error(FA_VALUE_ERROR, "one place");

        fa_scheduler *late = fa_cosine_annealing_lr(optim, 5);
        fa_tensor *q = fa_zeros_with(FA_SHAPE(1), .requires_grad = true);
        assert_true(fa_add_param_group(optim, FA_TENSORS(q)));
        assert_false(fa_step(late));
        check_error(FA_STATE_ERROR, "2 groups");
        fa_free(late);
        fa_free(optim);
        fa_free(other);
    }
    assert_string_equal(fa_error(), "");
    assert_int_equal(fa_scheduler_live_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_plateau),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
