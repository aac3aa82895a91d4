/* State dicts of optimizers, schedules and averages against PyTorch (golden/states.pth): what it saved is gone on with
 * here, and what is saved here has its keys, order and values; what does not fit is refused, and nothing is changed. */
#include "support/facula_test.h"
#include "support/tempdir.h"

#include "files/value.h"
#include "optim/optim.h"

#include <facula.h>
#include <math.h>
#include <string.h>

enum { PARAMETERS = 3, STEPS = 20, HALF = 10 };

static fa_value *golden; /* held for the whole program */
static tempdir folder;

static int open_golden(void **state)
{
    (void)state;
    folder = tempdir_new();
    fa_scope {
        golden = fa_load(source_path("tests/golden/states.pth"));
        if (golden)
            fa_value_retain(golden);
    }
    if (golden)
        return 0;
    fprintf(stderr, "%s\n", fa_error());
    return -1;
}

static int close_golden(void **state)
{
    (void)state;
    fa_value_free(golden);
    tempdir_free(&folder);
    return fa_optim_live_count() + fa_scheduler_live_count() + fa_ema_live_count() == 0 ? 0 : -1;
}

static int no_error(void **state)
{
    (void)state;
    fa_clear_error();
    return 0;
}

/* ---- Comparing values ---------------------------------------------------------------------------------------------
 */

/* The same kinds, keys in the same order, and numbers; an int of PyTorch's may be a float here where `loose`. */
static void assert_same_value(fa_value *got, fa_value *want, const char *path, bool loose)
{
    const fa_value_kind kind = fa_kind_of(want);
    const bool numbers = (kind == FA_VALUE_INT || kind == FA_VALUE_FLOAT) &&
                         (fa_kind_of(got) == FA_VALUE_INT || fa_kind_of(got) == FA_VALUE_FLOAT);
    if (fa_kind_of(got) != kind && !(loose && numbers))
        fail_msg("%s: a %s instead of a %s", path, fa_kind_name(got), fa_kind_name(want));
    if (kind == FA_VALUE_DICT || kind == FA_VALUE_LIST || kind == FA_VALUE_TUPLE) {
        if (fa_len(got) != fa_len(want) || fa_flavour_of(got) != fa_flavour_of(want))
            fail_msg("%s: %lld entries of a %s instead of %lld of a %s", path, (long long)fa_len(got),
                     fa_kind_name(got), (long long)fa_len(want), fa_kind_name(want));
        for (int64_t i = 0; i < fa_len(want); i++) {
            char inner[300];
            snprintf(inner, sizeof inner, "%s[%s]", path,
                     kind == FA_VALUE_DICT ? fa_value_text(fa_key_at(want, i)) : "...");
            if (kind == FA_VALUE_DICT)
                assert_same_value(fa_key_at(got, i), fa_key_at(want, i), inner, false);
            assert_same_value(fa_value_at(got, i), fa_value_at(want, i), inner, loose);
        }
    } else if (kind == FA_VALUE_TENSOR) {
        fa_tensor_info a, b;
        assert_true(fa_tensor_info_at(got, &a, FA_HERE) && fa_tensor_info_at(want, &b, FA_HERE));
        assert_string_equal(a.dtype, b.dtype);
        assert_int_equal(a.shape.ndim, b.shape.ndim);
        assert_int_equal(a.elements, b.elements);
        if (strcmp(a.dtype, "float32") == 0)
            assert_all_close_f32(a.data, b.data, a.elements, 1e-6, 1e-7);
    } else if (kind == FA_VALUE_STRING) {
        if (strcmp(fa_as_string(got), fa_as_string(want)) != 0)
            fail_msg("%s: '%s' instead of '%s'", path, fa_as_string(got), fa_as_string(want));
    } else if (kind != FA_VALUE_NONE && fa_as_float(got) != fa_as_float(want)) {
        fail_msg("%s: %.17g instead of %.17g", path, fa_as_float(got), fa_as_float(want));
    }
}

/* ---- Optimizers ---------------------------------------------------------------------------------------------------
 */

static fa_optim *make_optim(const char *name, fa_tensor_list p)
{
    if (strcmp(name, "sgd") == 0)
        return fa_sgd(p, 0.05);
    if (strcmp(name, "sgd_momentum") == 0)
        return fa_sgd(p, 0.05, .momentum = 0.9, .weight_decay = 0.01);
    if (strcmp(name, "sgd_nesterov") == 0)
        return fa_sgd(p, 0.05, .momentum = 0.9, .nesterov = true);
    if (strcmp(name, "adam") == 0)
        return fa_adam(p, 0.01);
    if (strcmp(name, "adamw") == 0)
        return fa_adamw(p, 0.01);
    if (strcmp(name, "adam_amsgrad") == 0)
        return fa_adam(p, 0.01, .amsgrad = true);
    if (strcmp(name, "rmsprop") == 0)
        return fa_rmsprop(p, 0.01, .centered = true, .momentum = 0.9);
    return fa_adagrad(p, 0.05, .lr_decay = 0.01);
}

static void set_leaves(fa_tensor *p[PARAMETERS], fa_value *values)
{
    fa_no_grad {
        for (int k = 0; k < PARAMETERS; k++)
            fa_copy_from(p[k], fa_data(fa_as_tensor(fa_value_at(values, k))));
    }
}

static void make_leaves(fa_tensor *p[PARAMETERS], fa_value *values)
{
    for (int k = 0; k < PARAMETERS; k++)
        p[k] = fa_zeros_with(fa_shape_of(fa_as_tensor(fa_value_at(values, k))), .requires_grad = true);
    set_leaves(p, values);
}

/* Steps `from` to `to` from the golden gradients. */
static void train(fa_optim *optim, fa_tensor *p[PARAMETERS], int from, int to)
{
    fa_value *grads = fa_get(fa_get(golden, "optimizers"), "grads");
    for (int t = from; t < to; t++)
        fa_scope {
            assert_true(fa_zero_grad(optim));
            for (int k = 0; k < PARAMETERS; k++) {
                const fa_shape shape = fa_shape_of(p[k]);
                int64_t n = 1;
                for (int i = 0; i < shape.ndim; i++)
                    n *= shape.size[i];
                const float *g = fa_data(fa_as_tensor(fa_value_at(grads, k)));
                assert_true(fa_backward(fa_sum(fa_mul(p[k], fa_from_memory(g + t * n, FA_FLOAT32, shape)))));
            }
            assert_true(fa_step(optim));
        }
}

static void assert_weights(fa_tensor *p[PARAMETERS], fa_value *want)
{
    for (int k = 0; k < PARAMETERS; k++)
        assert_all_close_f32(fa_data(p[k]), fa_data(fa_as_tensor(fa_value_at(want, k))), fa_numel(p[k]), 0, 1e-6);
}

/* 10 steps in PyTorch and 10 here; and 10 here give the state dict that PyTorch's 10 gave, which read again goes on. */
static void test_optimizers(void **state)
{
    (void)state;
    fa_value *all = fa_get(golden, "optimizers"), *runs = fa_get(all, "runs");
    assert_int_equal(fa_len(runs), 8);
    for (int64_t i = 0; i < fa_len(runs); i++)
        fa_scope {
            const char *name = fa_as_string(fa_key_at(runs, i));
            fa_value *run = fa_value_at(runs, i);
            fa_tensor *p[PARAMETERS];
            make_leaves(p, fa_get(run, "weights"));
            fa_tensor_list list = FA_TENSORS(p[0], p[1], p[2]);
            fa_optim *optim = make_optim(name, list);
            fa_set_lr(optim, 123);
            assert_true(fa_load_state_dict(optim, fa_get(run, "state")));
            assert_string_equal(fa_load_report(), "");
            assert_same_value(fa_state_dict(optim), fa_get(run, "state"), name, false);
            train(optim, p, HALF, STEPS);
            assert_weights(p, fa_get(run, "end"));
            fa_free(optim);

            optim = make_optim(name, list);
            set_leaves(p, fa_get(all, "start"));
            train(optim, p, 0, HALF);
            assert_same_value(fa_state_dict(optim), fa_get(run, "state"), name, false);
            const char *path = tempdir_file(&folder, "optim.pth");
            assert_true(fa_save(fa_state_dict(optim), path));
            fa_free(optim);
            optim = make_optim(name, list);
            train(optim, p, 0, 3); /* what loading replaces */
            set_leaves(p, fa_get(run, "weights"));
            assert_true(fa_load_state_dict(optim, fa_load(path)));
            train(optim, p, HALF, STEPS);
            assert_weights(p, fa_get(run, "end"));
            fa_free(optim);
        }
    assert_string_equal(fa_error(), "");
}

/* ---- Schedules ----------------------------------------------------------------------------------------------------
 */

static double shrinking(int64_t epoch, void *context)
{
    (void)context;
    return 1 / (1 + (double)epoch);
}

static fa_scheduler *make_schedule(const char *name, fa_optim *o)
{
#define MAKE(text, expression)                                                                                         \
    if (strcmp(name, text) == 0)                                                                                       \
        return (expression);
    MAKE("step", fa_step_lr(o, 3, .gamma = 0.5))
    MAKE("multi_step", fa_multi_step_lr(o, FA_MILESTONES(2, 4, 7, 7), .gamma = 0.3))
    MAKE("exponential", fa_exponential_lr(o, 0.9))
    MAKE("constant", fa_constant_lr(o, .factor = 0.3, .total_iters = 6))
    MAKE("linear", fa_linear_lr(o, .start_factor = 0.1, .total_iters = 8))
    MAKE("cosine", fa_cosine_annealing_lr(o, 6, .eta_min = 0.001))
    MAKE("restarts", fa_cosine_annealing_warm_restarts(o, 2, .T_mult = 2, .eta_min = 0.001))
    MAKE("one_cycle", fa_one_cycle_lr(o, 0.5, .total_steps = 16))
    MAKE("one_cycle_three",
         fa_one_cycle_lr(o, 0.5, .total_steps = 20, .three_phase = true, .linear = true, .cycle_momentum = false))
    MAKE("plateau", fa_reduce_lr_on_plateau(o, .patience = 1, .factor = 0.5, .cooldown = 1))
    MAKE("lambda", fa_lambda_lr(o, shrinking))
    if (strcmp(name, "sequential") == 0) {
        fa_scheduler *first = fa_linear_lr(o, .start_factor = 0.1, .total_iters = 4);
        fa_scheduler *second = fa_cosine_annealing_lr(o, 8);
        return fa_sequential_lr(o, FA_SCHEDULES(first, second), FA_MILESTONES(4));
    }
    fa_scheduler *first = fa_constant_lr(o, .factor = 0.1, .total_iters = 4);
    fa_scheduler *second = fa_exponential_lr(o, 0.9);
    return fa_chained_scheduler(FA_SCHEDULES(first, second));
}

static void step_schedule(fa_scheduler *schedule, const char *name, int64_t t)
{
    if (strcmp(name, "plateau") == 0)
        assert_true(fa_step_metric(schedule, fa_as_float(fa_value_at(fa_get(golden, "metrics"), t - 1))));
    else
        assert_true(fa_step(schedule));
}

static void assert_rates(fa_optim *optim, fa_value *run, int64_t t, const char *order)
{
    for (int64_t g = 0; g < 2; g++) {
        const double rate = fa_as_float(fa_value_at(fa_value_at(fa_get(run, "rates"), t), g));
        const double momentum = fa_as_float(fa_value_at(fa_value_at(fa_get(run, "momenta"), t), g));
        if (fa_group_lr(optim, g) != rate || fa_group_momentum(optim, g) != momentum)
            fail_msg("%s from %lld, %s, step %lld, group %lld: rate %.17g instead of %.17g, momentum %.17g, %.17g",
                     fa_get_string(run, "name"), (long long)fa_get_int(run, "stop"), order, (long long)t, (long long)g,
                     fa_group_lr(optim, g), rate, fa_group_momentum(optim, g), momentum);
    }
}

static fa_optim *two_groups(void)
{
    fa_tensor *p = fa_zeros_with(FA_SHAPE(1), .requires_grad = true);
    fa_tensor *q = fa_zeros_with(FA_SHAPE(1), .requires_grad = true);
    fa_optim *optim = fa_sgd(FA_TENSORS(p), 0.1, .momentum = 0.8);
    assert_true(fa_add_param_group(optim, FA_TENSORS(q), .lr = 0.02));
    return optim;
}

/* PyTorch's schedules are gone on with, whatever is loaded when: the optimizer before the schedule is made, between,
 * after, or not at all. */
static void test_schedules(void **state)
{
    (void)state;
    static const char *const orders[] = {"optimizer first", "optimizer after making", "optimizer last", "no optimizer"};
    fa_value *runs = fa_get(golden, "schedules");
    assert_int_equal(fa_len(runs), 52);
    for (int64_t i = 0; i < fa_len(runs); i++) {
        fa_value *run = fa_value_at(runs, i);
        const char *name = fa_get_string(run, "name");
        const int64_t stop = fa_get_int(run, "stop"), steps = fa_len(fa_get(run, "rates"));
        for (int order = 0; order < 4; order++)
            fa_scope {
                fa_optim *optim = two_groups();
                if (order == 0)
                    assert_true(fa_load_state_dict(optim, fa_get(run, "optim")));
                fa_scheduler *schedule = make_schedule(name, optim);
                assert_non_null(schedule);
                if (order == 1)
                    assert_true(fa_load_state_dict(optim, fa_get(run, "optim")));
                assert_true(fa_load_state_dict(schedule, fa_get(run, "state")));
                if (order == 2)
                    assert_true(fa_load_state_dict(optim, fa_get(run, "optim")));
                for (int64_t t = stop; t < steps; t++) {
                    if (t > stop)
                        step_schedule(schedule, name, t);
                    assert_rates(optim, run, t, orders[order]);
                }
                fa_free(schedule);
                fa_free(optim);
            }
        fa_scope {
            fa_optim *optim = two_groups();
            fa_scheduler *schedule = make_schedule(name, optim);
            for (int64_t t = 1; t <= stop; t++)
                step_schedule(schedule, name, t);
            assert_same_value(fa_state_dict(schedule), fa_get(run, "state"), name, false);
            assert_same_value(fa_get(fa_state_dict(optim), "param_groups"),
                              fa_get(fa_get(run, "optim"), "param_groups"), name, false);
            const char *path = tempdir_file(&folder, "schedule.pth");
            assert_true(fa_save(fa_dict("s", fa_state_dict(schedule)), path));
            fa_scheduler *again = make_schedule(name, optim);
            assert_true(fa_load_state_dict(again, fa_get(fa_load(path), "s")));
            assert_same_value(fa_state_dict(again), fa_get(run, "state"), name, false);
            fa_free(again);
            fa_free(schedule);
            fa_free(optim);
        }
    }
    assert_string_equal(fa_error(), "");
}

/* Rates that were set by hand beside a schedule are the saved optimizer's, and stay, though making the schedule moves
 * them; once the schedule has stepped, its own state decides. */
static void test_rates_by_hand(void **state)
{
    (void)state;
    fa_scope {
        fa_optim *optim = two_groups(), *again = two_groups();
        fa_scheduler *cycle = fa_one_cycle_lr(optim, 0.5, .total_steps = 16);
        assert_true(fa_step(cycle) && fa_set_lr(optim, 0.7));
        fa_optim_set_momentum(optim, optim->group[0], 0.25);
        assert_true(fa_load_state_dict(again, fa_state_dict(optim)));
        assert_true(again->group[1]->initial_lr == 0.02 && again->group[1]->max_lr == 0.5);
        fa_scheduler *other = fa_one_cycle_lr(again, 0.5, .total_steps = 16);
        fa_value *first = fa_state_dict(cycle);
        assert_true(fa_load_state_dict(other, first));
        assert_true(fa_lr(again) == 0.7 && fa_group_momentum(again, 0) == 0.25);
        assert_true(fa_step(other) && fa_load_state_dict(other, first));
        assert_true(fa_lr(again) == fa_as_float(fa_value_at(fa_get(first, "_last_lr"), 0)));
        assert_true(fa_load_state_dict(again, fa_state_dict(optim)) && fa_set_lr(again, 0.6));
        assert_true(fa_load_state_dict(other, first));
        assert_true(fa_lr(again) == fa_as_float(fa_value_at(fa_get(first, "_last_lr"), 0)));
        fa_free(cycle);
        fa_free(other);
        fa_free(optim);
        fa_free(again);
    }
    assert_string_equal(fa_error(), "");
}

/* ---- What does not fit --------------------------------------------------------------------------------------------
 */

static fa_value *run_state(const char *name)
{
    return fa_get(fa_get(fa_get(fa_get(golden, "optimizers"), "runs"), name), "state");
}

/* Loading fails with a message that has `words`, and the optimizer is as it was. */
static void refuse_optim_at(fa_optim *optim, fa_value *state, const char *words, int line)
{
    fa_scope {
        const char *path = tempdir_file(&folder, "before.pth");
        assert_true(fa_save(fa_state_dict(optim), path));
        const bool loaded = fa_load_state_dict(optim, state);
        if (loaded || !strstr(fa_error(), words))
            fail_msg("line %d: %s: \"%s\" lacks \"%s\"", line, loaded ? "loaded" : "refused", fa_error(), words);
        fa_clear_error();
        assert_string_equal(fa_load_report(), "");
        assert_same_value(fa_state_dict(optim), fa_load(path), "after a refusal", false);
    }
}
#define refuse_optim(optim, state, words) refuse_optim_at((optim), (state), (words), __LINE__)

/* A state dict of Adam with one group of these entries of the state. */
static fa_value *adam_with(fa_value *entries)
{
    fa_value *state = run_state("adam");
    return fa_dict("state", entries, "param_groups", fa_get(state, "param_groups"));
}

static void test_mistakes(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *p[PARAMETERS];
        make_leaves(p, fa_get(fa_get(golden, "optimizers"), "start"));
        fa_optim *adam = fa_adam(FA_TENSORS(p[0], p[1], p[2]), 0.01);
        train(adam, p, 0, 2);
        refuse_optim(adam, run_state("sgd_momentum"), "got the state of SGD, needs that of Adam");
        refuse_optim(adam, run_state("adamw"), "got the state of AdamW, needs that of Adam");
        refuse_optim(adam, run_state("rmsprop"), "RMSprop");
        refuse_optim(adam, run_state("adagrad"), "Adagrad");
        refuse_optim(adam, fa_dict("conv.weight", p[0]), "param_groups");
        refuse_optim(adam, fa_dict("param_groups", fa_list(1), "state", fa_dict_new()), "dict");
        fa_value *entry = fa_get(fa_get(run_state("adam"), "state"), 0);
        fa_value *other = fa_dict("step", 3, "exp_avg", fa_get(entry, "exp_avg"));
        refuse_optim(adam, adam_with(fa_dict(0, other)), "exp_avg_sq");
        refuse_optim(adam, adam_with(fa_dict(1, entry)), "[3, 2] in the file, [4] here");
        fa_dict_put(other, "exp_avg_sq", fa_get(entry, "exp_avg_sq"));
        fa_dict_put(other, "step", 1.5);
        refuse_optim(adam, adam_with(fa_dict(0, other)), "step");
        fa_dict_put(other, "step", -1);
        refuse_optim(adam, adam_with(fa_dict(0, other)), "step");

        /* A whole number as the step, as releases before 1.12 wrote it; parameters without state are told. */
        fa_dict_put(other, "step", 1000);
        assert_true(fa_load_state_dict(adam, adam_with(fa_dict(0, other))));
        assert_non_null(strstr(fa_load_report(), "no saved state for 2 parameters"));
        fa_value *saved = fa_get(fa_state_dict(adam), "state");
        assert_int_equal(fa_len(saved), 1);
        assert_true(fa_get_float(fa_get(saved, 0), "step") == 1000);
        assert_true(fa_load_state_dict(adam, fa_dict("optimizer_state_dict", run_state("adam"), "epoch", 3)));
        assert_non_null(strstr(fa_load_report(), "optimizer_state_dict"));

        fa_optim *fewer = fa_adam(FA_TENSORS(p[0], p[2]), 0.01);
        refuse_optim(fewer, run_state("adam"), "got 3 parameters in group 0, needs the 2");
        refuse_optim(fewer, run_state("adam"), "the first that differs is parameter 1");
        assert_true(fa_add_param_group(fewer, FA_TENSORS(p[1])));
        refuse_optim(fewer, run_state("adam"), "got the state of 1 parameter groups, needs 2");

        /* SGD without a buffer yet: None. */
        fa_optim *sgd = fa_sgd(FA_TENSORS(p[0], p[1], p[2]), 0.1, .momentum = 0.9);
        fa_value *none = fa_dict("momentum_buffer", fa_value_none());
        assert_true(fa_load_state_dict(sgd, fa_dict("state", fa_dict(0, none, 1, none, 2, none), "param_groups",
                                                    fa_get(run_state("sgd_momentum"), "param_groups"))));
        assert_int_equal(fa_len(fa_get(fa_state_dict(sgd), "state")), 0);
        fa_free(adam);
        fa_free(fewer);
        fa_free(sgd);
    }
}

static void refuse_schedule_at(fa_scheduler *schedule, fa_value *state, const char *words, int line)
{
    fa_scope {
        fa_value *before = fa_state_dict(schedule);
        const bool loaded = fa_load_state_dict(schedule, state);
        if (loaded || !strstr(fa_error(), words))
            fail_msg("line %d: %s: \"%s\" lacks \"%s\"", line, loaded ? "loaded" : "refused", fa_error(), words);
        fa_clear_error();
        assert_same_value(fa_state_dict(schedule), before, "after a refusal", false);
    }
}
#define refuse_schedule(schedule, state, words) refuse_schedule_at((schedule), (state), (words), __LINE__)

static void test_schedule_mistakes(void **state)
{
    (void)state;
    fa_scope {
        fa_optim *optim = two_groups();
        fa_scheduler *step = fa_step_lr(optim, 3), *multi = fa_multi_step_lr(optim, FA_MILESTONES(2, 5));
        fa_scheduler *cycle = fa_one_cycle_lr(optim, 0.5, .total_steps = 9);
        fa_scheduler *chain = fa_chained_scheduler(FA_SCHEDULES(fa_step_lr(optim, 2), fa_exponential_lr(optim, 0.9)));
        refuse_schedule(step, fa_state_dict(multi), "got the state of MultiStepLR, needs that of StepLR");
        refuse_schedule(step, fa_dict("lr", 1), "needs the state of StepLR");
        refuse_schedule(step, fa_dict("step_size", 0), "step_size");
        fa_value *wrong = fa_state_dict(step);
        fa_dict_put(wrong, "step_size", 7);
        fa_dict_put(wrong, "base_lrs", fa_list(0.1));
        refuse_schedule(step, wrong, "base_lrs");
        wrong = fa_state_dict(multi);
        fa_dict_put(wrong, "milestones", fa_dict(3, -1));
        refuse_schedule(multi, wrong, "milestone");
        wrong = fa_state_dict(multi);
        fa_dict_put(wrong, "milestones", fa_dict(3, 1));
        fa_dict_put(wrong, "last_epoch", "four");
        refuse_schedule(multi, wrong, "last_epoch");
        wrong = fa_state_dict(cycle);
        fa_dict_put(wrong, "last_epoch", 10);
        refuse_schedule(cycle, wrong, "step 10 of 9");
        /* The second part is wrong: the first stays too. */
        wrong = fa_state_dict(chain);
        fa_dict_put(fa_value_at(fa_get(wrong, "_schedulers"), 0), "step_size", 9);
        fa_dict_put(fa_value_at(fa_get(wrong, "_schedulers"), 1), "gamma", NAN);
        refuse_schedule(chain, wrong, "gamma");
        fa_free(step);
        fa_free(multi);
        fa_free(cycle);
        fa_free(chain);
        fa_free(optim);
    }
}

/* ---- Averages and generators --------------------------------------------------------------------------------------
 */

static void test_average(void **state)
{
    (void)state;
    fa_scope {
        fa_module *model = fa_nn_sequential(fa_nn_linear(3, 2), fa_nn_batch_norm1d(2));
        fa_ema *ema = fa_ema_new(model, .decay = 0.5), *again = fa_ema_new(model, .decay = 0.5);
        assert_true(fa_ema_update(ema) && fa_ema_update(ema));
        static const char *const keys[] = {
            "n_averaged",    "module.0.weight",       "module.0.bias",        "module.1.weight",
            "module.1.bias", "module.1.running_mean", "module.1.running_var", "module.1.num_batches_tracked"};
        fa_value *dict = fa_state_dict(ema);
        assert_int_equal(fa_len(dict), 8);
        for (int i = 0; i < 8; i++)
            assert_string_equal(fa_as_string(fa_key_at(dict, i)), keys[i]);
        assert_int_equal(fa_get_int(dict, "n_averaged"), 2);
        /* AveragedModel(Sequential(Linear, BatchNorm1d)).state_dict()._metadata of PyTorch 2.15 */
        static const char *const paths[] = {"", "module", "module.0", "module.1"};
        fa_value *metadata = fa_get(fa_attributes(dict), "_metadata");
        assert_int_equal(fa_flavour_of(metadata), FA_FLAVOUR_ORDERED_DICT);
        assert_int_equal(fa_len(metadata), 4);
        for (int i = 0; i < 4; i++) {
            assert_string_equal(fa_as_string(fa_key_at(metadata, i)), paths[i]);
            assert_int_equal(fa_get_int(fa_value_at(metadata, i), "version"), i == 3 ? 2 : 1);
        }
        const float sevens[6] = {7, 7, 7, 7, 7, 7};
        fa_no_grad {
            fa_copy_from(fa_get_tensor(dict, "module.0.weight"), sevens);
        }
        const char *path = tempdir_file(&folder, "average.pth");
        assert_true(fa_save(dict, path));
        assert_true(fa_load_state_dict(again, fa_load(path)));
        assert_int_equal(fa_ema_count(again), 2);
        assert_true(*(const float *)fa_data(fa_ema_find_at(again, "0.weight", FA_HERE)) == 7);
        assert_false(fa_load_state_dict(again, fa_dict("n_averaged", 3)));
        assert_non_null(strstr(fa_error(), "module.0.weight"));
        fa_clear_error();
        assert_int_equal(fa_ema_count(again), 2);
        fa_free(ema);
        fa_free(again);
        fa_free(model);
    }
}

static void test_generator(void **state)
{
    (void)state;
    fa_scope {
        fa_generator *a = fa_generator_new(), *b = fa_generator_new();
        fa_generator_seed(a, 5);
        fa_generator_seed(b, 6);
        fa_value *saved = fa_state_dict(a);
        assert_int_equal(fa_len(saved), FA_GENERATOR_STATE_SIZE);
        const char *path = tempdir_file(&folder, "generator.pth");
        assert_true(fa_save(fa_dict("rng", saved), path));
        assert_true(fa_load_state_dict(b, fa_get(fa_load(path), "rng")));
        uint8_t x[FA_GENERATOR_STATE_SIZE], y[FA_GENERATOR_STATE_SIZE];
        fa_generator_get_state(a, x);
        fa_generator_get_state(b, y);
        assert_same_bytes(x, y, sizeof x);
        assert_false(fa_load_state_dict(b, fa_value_of(fa_zeros(3))));
        fa_clear_error();
        fa_free(a);
        fa_free(b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_optimizers, no_error),        cmocka_unit_test_setup(test_schedules, no_error),
        cmocka_unit_test_setup(test_rates_by_hand, no_error),     cmocka_unit_test_setup(test_mistakes, no_error),
        cmocka_unit_test_setup(test_schedule_mistakes, no_error), cmocka_unit_test_setup(test_average, no_error),
        cmocka_unit_test_setup(test_generator, no_error)};
    return cmocka_run_group_tests(tests, open_golden, close_golden);
}
