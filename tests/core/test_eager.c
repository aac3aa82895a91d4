/* The eager contract: a program gives the same values however it is executed and whatever of it is looked at. */
#include "support/facula_test.h"

#include "facula.h"
#include "plan/plan.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

/* ---- Random programs ------------------------------------------------------------------------------------------------
 *
 * A program is made from a seed: a small network with convolutions, pools, batch norm, dropout, residual sums and a
 * linear end, trained for a few steps. `looks` seeds what is read, printed, kept and watched on the way, and where; 0
 * looks at nothing. What remains (losses, weights, buffers, gradients) must be the same bits. */

enum { MAX_LAYERS = 6, STEPS = 3, RESULTS = 1 << 16 };

typedef struct program {
    uint64_t shape_seed, look_seed;
    int n_layers, kind[MAX_LAYERS];
    fa_module *layer[MAX_LAYERS], *end;
    fa_module *all;
    int64_t channels[MAX_LAYERS + 1], size, batch;
    uint64_t random;
    float result[RESULTS];
    int n_results;
} program;

static bool chance(program *p, int percent)
{
    return p->look_seed != 0 && test_random_int(&p->random, 0, 99) < percent;
}

static void look(program *p, fa_tensor *t)
{
    if (!chance(p, 35) || t == NULL)
        return;
    char text[200];
    switch (test_random_int(&p->random, 0, 5)) {
    case 0:
        fa_data(t);
        break;
    case 1:
        fa_tensor_format(t, text, sizeof text);
        break;
    case 2:
        fa_watch(t);
        break;
    case 3:
        fa_item(fa_mean(t));
        break;
    case 4:
        fa_scope
            fa_keep(fa_mul(t, 2.0));
        break;
    default:
        fa_sync();
        break;
    }
}

static void build(program *p)
{
    uint64_t random = p->shape_seed;
    p->n_layers = (int)test_random_int(&random, 2, MAX_LAYERS);
    p->size = test_random_int(&random, 6, 13);
    p->batch = test_random_int(&random, 1, 5);
    p->channels[0] = test_random_int(&random, 1, 3);
    fa_manual_seed(p->shape_seed);
    fa_module *children[MAX_LAYERS + 1];
    int64_t size = p->size, c = p->channels[0];
    for (int i = 0; i < p->n_layers; i++) {
        p->kind[i] = (int)test_random_int(&random, 0, 6);
        int64_t out = c;
        switch (p->kind[i]) {
        case 0:
        case 1:
            out = test_random_int(&random, 1, 9);
            p->layer[i] = fa_nn_conv2d(c, out, 3, .padding = 1, .bias = p->kind[i] == 0);
            break;
        case 2:
            p->layer[i] = size >= 4 ? fa_nn_max_pool2d(2) : fa_nn_identity();
            size = size >= 4 ? size / 2 : size;
            break;
        case 3:
            p->layer[i] = fa_nn_batch_norm2d(c);
            break;
        case 4:
            p->layer[i] = fa_nn_dropout(0.3);
            break;
        case 5:
            p->layer[i] = fa_nn_conv2d(c, c, 3, .padding = 1);
            break;
        default:
            p->layer[i] = size >= 4 ? fa_nn_avg_pool2d(2, .stride = 1) : fa_nn_identity();
            size = size >= 4 ? size - 1 : size;
            break;
        }
        children[i] = p->layer[i];
        p->channels[i + 1] = c = out;
    }
    p->end = children[p->n_layers] = fa_nn_linear(c * size * size, 4);
    p->all = fa_nn_sequential_at(p->n_layers + 1, children, FA_HERE);
}

static fa_tensor *forward(program *p, fa_tensor *x)
{
    for (int i = 0; i < p->n_layers; i++) {
        fa_tensor *y = fa_forward(p->layer[i], x);
        look(p, y);
        if (p->kind[i] == 5)
            y = fa_add(x, y);
        if (p->kind[i] != 2)
            y = fa_relu(y);
        look(p, y);
        x = y;
    }
    return fa_forward(p->end, fa_flatten(x, 1));
}

static void remember(program *p, const void *data, int64_t n)
{
    assert_true(p->n_results + n <= RESULTS);
    assert_non_null(data);
    memcpy(p->result + p->n_results, data, (size_t)n * sizeof(float));
    p->n_results += (int)n;
}

static void remember_list(program *p, fa_tensor_list list, bool gradients)
{
    for (int64_t i = 0; i < list.count; i++) {
        fa_tensor *t = gradients ? fa_grad(list.tensor[i]) : list.tensor[i];
        if (t != NULL && fa_dtype_of(t) == FA_FLOAT32)
            remember(p, fa_data(t), fa_numel(t));
    }
}

static void run_program(program *p)
{
    p->n_results = 0;
    p->random = p->look_seed;
    build(p);
    fa_optim *adam = p->shape_seed % 2 == 0 ? fa_adam(fa_parameters(p->all), 1e-2)
                                            : fa_sgd(fa_parameters(p->all), 1e-2, .momentum = 0.9);
    for (int s = 0; s < STEPS; s++)
        fa_scope {
            fa_tensor *x = fa_randn(p->batch + 1, p->channels[0], p->size, p->size);
            fa_tensor *y = fa_randint(0, 4, FA_SHAPE(p->batch + 1));
            fa_tensor *scores = forward(p, x);
            look(p, scores);
            fa_tensor *loss = fa_cross_entropy(scores, y);
            look(p, loss);
            fa_zero_grad(adam);
            fa_backward(loss);
            look(p, loss);
            look(p, fa_parameters(p->all).tensor[0]);
            if (s == 1)
                fa_backward(fa_mean(fa_mul(
                    fa_forward(p->end, fa_detach(fa_flatten(fa_zeros(2, fa_size(fa_find(p->end, "weight"), 1)), 1))),
                    3.0)));
            fa_step(adam);
            float value = (float)fa_item(loss);
            look(p, scores);
            remember(p, &value, 1);
            remember(p, fa_data(scores), fa_numel(scores));
        }
    remember_list(p, fa_parameters(p->all), false);
    remember_list(p, fa_buffers(p->all), false);
    remember_list(p, fa_parameters(p->all), true);
    if (!fa_ok())
        fail_msg("program %llu, looks %llu: %s", (unsigned long long)p->shape_seed, (unsigned long long)p->look_seed,
                 fa_error());
    fa_free(adam);
    fa_free(p->all);
}

static void test_looking_changes_no_bit(void **state)
{
    (void)state;
    uint64_t seed = test_seed(20261125);
    for (int trial = 0; trial < 60; trial++) {
        static program blind, looking;
        blind = (program){.shape_seed = seed + (uint64_t)trial};
        fa_plan_set_mode("fused");
        run_program(&blind);
        for (uint64_t k = 1; k <= 4; k++) {
            looking = (program){.shape_seed = blind.shape_seed, .look_seed = k};
            run_program(&looking);
            assert_int_equal(blind.n_results, looking.n_results);
            if (memcmp(blind.result, looking.result, (size_t)blind.n_results * sizeof(float)) != 0)
                fail_msg("program %llu: looking (%llu) changed a bit", (unsigned long long)blind.shape_seed,
                         (unsigned long long)k);
        }
        fa_plan_set_mode("off");
        looking = (program){.shape_seed = blind.shape_seed};
        run_program(&looking);
        assert_int_equal(blind.n_results, looking.n_results);
        /* The losses, then everything, loosely: Adam turns rounding noise of near-zero gradients into steps. */
        assert_all_close_f32(blind.result, looking.result, 1, 1e-5, 1e-6);
        fa_plan_set_mode("nofuse");
        looking = (program){.shape_seed = blind.shape_seed};
        run_program(&looking);
        fa_plan_set_mode("fused");
        assert_int_equal(blind.n_results, looking.n_results);
        /* Fusion changes where values lie, never a sum: not only close. */
        assert_same_bytes(blind.result, looking.result, (size_t)blind.n_results * sizeof(float));
    }
}

/* One step from the same start, reference against plan: gradients to rounding. */
static void test_gradients_equal_the_reference(void **state)
{
    (void)state;
    uint64_t seed = test_seed(77);
    for (int trial = 0; trial < 60; trial++) {
        static float got[2][RESULTS];
        int64_t counts[2];
        for (int m = 0; m < 2; m++) {
            fa_plan_set_mode(m == 0 ? "fused" : "off");
            static program p;
            p = (program){.shape_seed = seed + (uint64_t)trial};
            build(&p);
            fa_scope {
                fa_tensor *x = fa_randn(p.batch + 1, p.channels[0], p.size, p.size);
                fa_tensor *y = fa_randint(0, 4, FA_SHAPE(p.batch + 1));
                fa_tensor *loss = fa_cross_entropy(forward(&p, x), y);
                fa_backward(loss);
                remember_list(&p, fa_parameters(p.all), true);
            }
            assert_true(fa_ok());
            counts[m] = p.n_results;
            memcpy(got[m], p.result, sizeof got[m]);
            fa_free(p.all);
        }
        fa_plan_set_mode("fused");
        assert_int_equal(counts[0], counts[1]);
        assert_all_close_f32(got[0], got[1], counts[0], 2e-4, 2e-5);
    }
}

/* ---- Views and writes ----------------------------------------------------------------------------------------------
 */

static void assert_values(fa_tensor *t, int64_t n, const float *want)
{
    assert_int_equal(fa_numel(t), n);
    const float *got = fa_data(t);
    if (got == NULL)
        fail_msg("%s", fa_error());
    assert_same_bytes(got, want, (size_t)n * sizeof(float));
}
#define ASSERT_VALUES(t, ...)                                                                                          \
    assert_values((t), (int64_t)(sizeof((float[]){__VA_ARGS__}) / sizeof(float)), (float[]){__VA_ARGS__})

static void test_views_and_writes(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = fa_tensor_of(FA_SHAPE(2, 3), 1, 2, 3, 4, 5, 6);
        fa_tensor *row = fa_select(x, 0, 1), *flat = fa_view(x, 6), *t = fa_transpose(x, 0, 1);
        fa_tensor *before = fa_add(x, 0.0);
        fa_fill_(row, 9);
        ASSERT_VALUES(x, 1, 2, 3, 9, 9, 9);
        ASSERT_VALUES(flat, 1, 2, 3, 9, 9, 9);
        ASSERT_VALUES(t, 1, 9, 2, 9, 3, 9);
        ASSERT_VALUES(before, 1, 2, 3, 4, 5, 6); /* a value, not a view */
        fa_add_(fa_slice(flat, 0, 1, 3), 10.0);
        ASSERT_VALUES(x, 1, 12, 13, 9, 9, 9);
        fa_mul_(fa_transpose(x, 0, 1), fa_tensor_of(FA_SHAPE(3, 2), 1, 2, 1, 2, 1, 2));
        ASSERT_VALUES(x, 1, 12, 13, 18, 18, 18);
        fa_zero_(fa_select(fa_select(x, 0, 0), 0, 2)); /* a view of a view */
        ASSERT_VALUES(row, 18, 18, 18);
        ASSERT_VALUES(x, 1, 12, 0, 18, 18, 18);
        /* of a computed tensor */
        fa_tensor *y = fa_mul(x, 1.0), *column = fa_select(y, 1, 0);
        fa_copy_(column, fa_tensor_of(FA_SHAPE(2), -1, -2));
        ASSERT_VALUES(y, -1, 12, 0, -2, 18, 18);
        ASSERT_VALUES(x, 1, 12, 0, 18, 18, 18);
        fa_relu_(y);
        ASSERT_VALUES(column, 0, 0);
        /* a view used inside a scope, after its base was written there, and again outside */
        fa_scope {
            fa_fill_(x, 4);
            ASSERT_VALUES(row, 4, 4, 4);
            fa_fill_(y, 2);
            ASSERT_VALUES(column, 2, 2);
        }
        ASSERT_VALUES(row, 4, 4, 4);
        ASSERT_VALUES(column, 2, 2);
        ASSERT_VALUES(y, 2, 2, 2, 2, 2, 2);
        /* writing to a repeated element is refused */
        fa_fill_(fa_expand(fa_tensor_of(FA_SHAPE(1), 1), 3), 2);
        assert_contains(fa_error(), "expand");
        assert_contains(fa_error(), "Hint:");
        fa_clear_error();
        fa_view(fa_transpose(x, 0, 1), 6);
        assert_false(fa_ok());
        fa_clear_error();
    }
    assert_true(fa_ok());
}

static void test_the_users_memory(void **state)
{
    (void)state;
    fa_scope {
        float numbers[3] = {1, 2, 3};
        fa_tensor *copied = fa_from_memory(numbers, FA_FLOAT32, FA_SHAPE(3));
        fa_tensor *borrowed = fa_borrow(numbers, FA_FLOAT32, FA_SHAPE(3));
        numbers[0] = 7;
        ASSERT_VALUES(copied, 1, 2, 3);
        ASSERT_VALUES(borrowed, 7, 2, 3);
        fa_tensor *sum = fa_mul(copied, 2.0);
        float *room = fa_data_mut(copied);
        room[1] = 50;
        ASSERT_VALUES(sum, 2, 4, 6); /* recorded before the write */
        ASSERT_VALUES(fa_mul(copied, 2.0), 2, 100, 6);
        assert_true(fa_copy_from(copied, numbers));
        ASSERT_VALUES(copied, 7, 2, 3);
    }
}

/* ---- Gradients -----------------------------------------------------------------------------------------------------
 */

static void test_accumulation(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *w = fa_full(FA_SHAPE(2), 3, .requires_grad = true);
        assert_null(fa_grad(w));
        assert_true(fa_ok());
        fa_tensor *loss = fa_sum(fa_mul(w, w));
        assert_true(fa_backward(loss, .retain_graph = true));
        ASSERT_VALUES(fa_grad(w), 6, 6);
        assert_true(fa_backward(loss));
        ASSERT_VALUES(fa_grad(w), 12, 12); /* exactly twice */
        assert_false(fa_backward(loss));
        assert_contains(fa_error(), "retain_graph");
        fa_clear_error();
        ASSERT_VALUES(fa_grad(w), 12, 12);
        fa_backward(fa_mul(w, 2.0), .gradient = fa_tensor_of(FA_SHAPE(2), 1, 10));
        ASSERT_VALUES(fa_grad(w), 14, 32);
        fa_tensor *used = fa_mul(w, w);
        fa_no_grad
            fa_add_(w, 1.0);
        assert_false(fa_backward(fa_sum(used))); /* w is not what it was */
        assert_contains(fa_error(), "test_eager.c");
        fa_clear_error();
    }
    assert_true(fa_ok());
}

static void test_in_place_relu(void **state)
{
    (void)state;
    float gradient[2][12];
    for (int in_place = 0; in_place < 2; in_place++)
        fa_scope {
            fa_manual_seed(4);
            fa_tensor *w = fa_randn_with(FA_SHAPE(3, 4), .requires_grad = true);
            fa_tensor *y = fa_mul(w, 2.0), *old = fa_mul(y, 1.0);
            fa_tensor *z = in_place ? fa_relu_(y) : fa_relu(y);
            fa_backward(fa_sum(fa_mul(fa_add(z, w), old)));
            memcpy(gradient[in_place], fa_data(fa_grad(w)), sizeof gradient[0]);
        }
    assert_same_bytes(gradient[0], gradient[1], sizeof gradient[0]);
    assert_true(fa_ok());
}

/* ---- Plans ---------------------------------------------------------------------------------------------------------
 */

static fa_module *small_net(void)
{
    return fa_nn_sequential(fa_nn_conv2d(1, 4, 3, .padding = 1), fa_nn_batch_norm2d(4), fa_nn_relu(),
                            fa_nn_max_pool2d(2), fa_nn_flatten(), fa_nn_dropout(0.5), fa_nn_linear(4 * 16, 3));
}

static double train_step(fa_module *net, fa_optim *optim, int64_t batch)
{
    double value = 0;
    fa_scope {
        fa_tensor *loss =
            fa_cross_entropy(fa_forward(net, fa_randn(batch, 1, 8, 8)), fa_randint(0, 3, FA_SHAPE(batch)));
        fa_zero_grad(optim);
        fa_backward(loss);
        fa_step(optim);
        value = fa_item(loss);
    }
    return value;
}

static double validate(fa_module *net, int64_t batch)
{
    double value = 0;
    fa_eval(net);
    fa_no_grad
        fa_scope
            value =
                fa_item(fa_cross_entropy(fa_forward(net, fa_randn(batch, 1, 8, 8)), fa_randint(0, 3, FA_SHAPE(batch))));
    fa_train(net);
    return value;
}

static void test_plans_are_found_again(void **state)
{
    (void)state;
    fa_manual_seed(1);
    fa_module *net = small_net();
    fa_optim *adam = fa_adam(fa_parameters(net), 1e-3);
    int64_t built = 0;
    for (int epoch = 0; epoch < 4; epoch++) {
        for (int i = 0; i < 3; i++) {
            fa_set_lr(adam, 1e-3 * (1 + epoch + 0.1 * i)); /* a schedule that changes the rate every step */
            train_step(net, adam, i == 2 ? 3 : 8);         /* the last batch is smaller */
        }
        validate(net, 5);
        if (epoch == 0)
            built = fa_plan_count_built();
    }
    assert_true(fa_ok());
    assert_int_equal(fa_plan_count_built(), built);
    for (int i = 0; i < 90; i++)
        validate(net, 6 + i); /* many structures: the cache stays bounded */
    assert_true(fa_plan_count_cached() <= 64);
    train_step(net, adam, 8);
    assert_true(fa_ok());
    fa_free(adam);
    fa_free(net);
}

/* ---- Errors --------------------------------------------------------------------------------------------------------
 */

typedef struct snapshot {
    float values[512];
    uint8_t generator[FA_GENERATOR_STATE_SIZE];
    int n;
} snapshot;

static void take(snapshot *s, fa_module *net)
{
    memset(s, 0, sizeof *s);
    fa_tensor_list lists[2] = {fa_parameters(net), fa_buffers(net)};
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; i < lists[k].count; i++) {
            fa_tensor *t = lists[k].tensor[i];
            if (fa_dtype_of(t) != FA_FLOAT32)
                continue;
            memcpy(s->values + s->n, fa_data(t), (size_t)fa_numel(t) * sizeof(float));
            s->n += (int)fa_numel(t);
        }
    fa_generator_get_state(NULL, s->generator);
}

static void test_errors_leave_everything_as_it_was(void **state)
{
    (void)state;
    fa_manual_seed(3);
    fa_module *net = small_net();
    fa_optim *adam = fa_adam(fa_parameters(net), 1e-2);
    train_step(net, adam, 4);
    /* While running: a label out of range, found before anything is written. */
    fa_tensor *x = fa_randn(4, 1, 8, 8);
    fa_tensor *labels = fa_tensor_of_as(FA_INT64, FA_SHAPE(4), 0, 1, 3, 2);
    static snapshot before, after;
    take(&before, net);
    fa_scope {
        fa_tensor *loss = fa_cross_entropy(fa_forward(net, x), labels);
        fa_zero_grad(adam);
        fa_backward(loss);
        fa_step(adam);
        assert_true(fa_ok()); /* nothing has been computed yet */
        fa_item(loss);
        assert_false(fa_ok());
        assert_contains(fa_error(), "3");
        assert_contains(fa_error(), "test_eager.c");
        assert_false(fa_step(adam));
        fa_clear_error();
    }
    take(&after, net);
    assert_same_bytes(&before, &after, sizeof before);
    /* At recording: the graph is as it was, and the step can go on. */
    double with_error = 0, without = 0;
    for (int bad = 0; bad < 2; bad++) {
        uint8_t generator[FA_GENERATOR_STATE_SIZE];
        fa_generator_get_state(NULL, generator);
        fa_scope {
            fa_tensor *scores = fa_forward(net, x);
            if (bad) {
                assert_null(fa_add(scores, x));
                assert_contains(fa_error(), "add");
                fa_clear_error();
            }
            fa_tensor *loss = fa_cross_entropy(scores, fa_tensor_of_as(FA_INT64, FA_SHAPE(4), 0, 1, 2, 2));
            *(bad ? &with_error : &without) = fa_item(loss);
        }
        assert_true(fa_generator_set_state(NULL, generator));
    }
    assert_true(with_error == without);
    assert_true(fa_ok());
    fa_free(adam);
    fa_free(net);
}

/* ---- Threads -------------------------------------------------------------------------------------------------------
 */

static void *evaluate_in_thread(void *net)
{
    static _Thread_local double sum;
    fa_no_grad
        for (int i = 0; i < 20; i++)
            fa_scope
                sum += fa_item(fa_sum(fa_forward(net, fa_ones(2, 1, 8, 8))));
    return fa_ok() ? &sum : NULL;
}

static void *use_foreign(void *handle)
{
    fa_item(handle);
    bool refused = !fa_ok() && strstr(fa_error(), "thread") != NULL;
    fa_clear_error();
    return refused ? handle : NULL;
}

static void test_two_threads(void **state)
{
    (void)state;
    fa_manual_seed(8);
    fa_module *net = fa_eval(small_net());
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, evaluate_in_thread, net), 0);
    double sums[2] = {0, 1};
    void *result;
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &result);
        assert_non_null(result);
        sums[i] = 0; /* the thread's own memory is gone; that it finished without an error is the point */
    }
    assert_true(sums[0] == sums[1]);
    fa_tensor *here = fa_ones(1);
    assert_int_equal(pthread_create(&threads[0], NULL, use_foreign, here), 0);
    pthread_join(threads[0], &result);
    assert_ptr_equal(result, here);
    assert_true(fa_item(here) == 1);
    fa_free(net);
}

/* ---- NaN and infinity ----------------------------------------------------------------------------------------------
 */

static void test_nan_and_infinity(void **state)
{
    (void)state;
    const double odd[] = {NAN, INFINITY, -INFINITY};
    for (size_t k = 0; k < 3; k++)
        for (int place = 0; place < 3; place++) { /* in the picture, a weight, a bias */
            uint8_t nan_of[2][2][64];
            for (int m = 0; m < 2; m++) {
                fa_plan_set_mode(m == 0 ? "fused" : "off");
                fa_manual_seed(5);
                fa_module *net =
                    fa_nn_sequential(fa_nn_conv2d(2, 4, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                                     fa_nn_flatten(), fa_nn_linear(36, 4), fa_nn_relu());
                fa_scope {
                    fa_tensor *x = fa_randn(2, 2, 6, 6);
                    float *target = place == 0 ? fa_data_mut(x) : fa_data_mut(fa_parameters(net).tensor[place - 1]);
                    target[1] = (float)odd[k];
                    fa_tensor *y = fa_forward(net, x);
                    fa_backward(fa_sum(y));
                    const float *value = fa_data(y), *gradient = fa_data(fa_grad(fa_parameters(net).tensor[0]));
                    for (int i = 0; i < 8; i++)
                        nan_of[m][0][i] = isnan(value[i]) ? 2 : isinf(value[i]) ? 1 : 0;
                    for (int i = 0; i < 64; i++)
                        nan_of[m][1][i] = isnan(gradient[i]) ? 2 : isinf(gradient[i]) ? 1 : 0;
                }
                assert_true(fa_ok());
                fa_free(net);
            }
            fa_plan_set_mode("fused");
            assert_same_bytes(nan_of[0][0], nan_of[1][0], 8);
            assert_same_bytes(nan_of[0][1], nan_of[1][1], 64);
        }
}

/* ---- Scopes --------------------------------------------------------------------------------------------------------
 */

static fa_tensor *kept;

static int leave_by_return(fa_tensor **inner)
{
    fa_scope {
        fa_no_grad {
            *inner = fa_ones(2);
            kept = fa_keep(fa_mul(*inner, 3.0));
            return 5;
        }
    }
    return 0;
}

static void test_scopes(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *inner = NULL;
        assert_int_equal(leave_by_return(&inner), 5);
        assert_true(fa_grad_enabled());
        ASSERT_VALUES(kept, 3, 3);
        assert_true(fa_ok());
        assert_null(fa_add(inner, 1.0));
        assert_contains(fa_error(), "scope");
        assert_contains(fa_error(), "fa_keep");
        assert_contains(fa_error(), "test_eager.c");
        fa_clear_error();

        /* A loop by hand, left in the middle; effects recorded inside are done all the same. */
        fa_tensor *w = fa_zeros(1);
        for (int i = 0; i < 5; i++) {
            bool stop = false;
            fa_scope {
                fa_add_(w, fa_ones(1));
                stop = i == 2;
                if (stop)
                    break;
                fa_add_(w, 10.0);
            }
            if (stop)
                break;
        }
        ASSERT_VALUES(w, 23);

        /* An outer tensor written inside keeps the value. */
        fa_tensor *sum = fa_mul(w, 1.0);
        for (int i = 0; i < 3; i++)
            fa_scope
                fa_add_(sum, fa_full(FA_SHAPE(1), i));
        ASSERT_VALUES(sum, 26);

        /* A jump over the ends of scopes. */
        jmp_buf jump;
        fa_tensor *volatile lost = NULL;
        uint64_t mark = fa_scope_mark();
        if (setjmp(jump) == 0) {
            fa_scope {
                fa_scope {
                    lost = fa_ones(3);
                    longjmp(jump, 1);
                }
            }
        }
        fa_scope_reset(mark);
        assert_null(fa_relu(lost));
        assert_false(fa_ok());
        fa_clear_error();
        ASSERT_VALUES(w, 23);

        /* Handles after their scope, in quantity: none is taken for another. */
        fa_tensor *old[100];
        fa_scope
            for (int i = 0; i < 100; i++)
                old[i] = fa_full(FA_SHAPE(1), i);
        for (int i = 0; i < 100; i++)
            fa_full(FA_SHAPE(1), -i);
        for (int i = 0; i < 100; i++) {
            assert_null(fa_data(old[i]));
            assert_int_equal(fa_error_code(), FA_STATE_ERROR);
            fa_clear_error();
        }
    }
    assert_true(fa_ok());
}

/* Read after the step what the step has fused away: computed again while nothing changed, an error afterwards, there
 * when watched. */
static void test_values_fused_away(void **state)
{
    (void)state;
    fa_manual_seed(2);
    fa_module *net = fa_nn_conv2d(3, 8, 3, .padding = 1);
    fa_optim *sgd = fa_sgd(fa_parameters(net), 0.1);
    fa_scope {
        fa_tensor *x = fa_randn(4, 3, 16, 16);
        fa_tensor *a, *b;
        fa_no_grad {
            a = fa_forward(net, x);
            b = fa_max_pool2d(fa_relu(a), 2);
        }
        fa_data(b);
        const float *first = fa_data(a);
        assert_non_null(first);
        float value = first[7];
        fa_tensor *c, *d;
        fa_no_grad {
            c = fa_forward(net, x);
            d = fa_max_pool2d(fa_relu(c), 2);
        }
        fa_tensor *watched;
        fa_no_grad {
            watched = fa_watch(fa_forward(net, x));
            fa_data(fa_max_pool2d(fa_relu(watched), 2));
        }
        fa_data(d);
        fa_backward(fa_sum(fa_forward(net, x)));
        fa_step(sgd);
        fa_sync();
        assert_true(((const float *)fa_data(watched))[7] == value);
        assert_null(fa_data(c));
        assert_contains(fa_error(), "test_eager.c");
        assert_contains(fa_error(), "fa_watch");
        fa_clear_error();
    }
    assert_true(fa_ok());
    fa_free(sgd);
    fa_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_looking_changes_no_bit),
        cmocka_unit_test(test_gradients_equal_the_reference),
        cmocka_unit_test(test_views_and_writes),
        cmocka_unit_test(test_the_users_memory),
        cmocka_unit_test(test_accumulation),
        cmocka_unit_test(test_in_place_relu),
        cmocka_unit_test(test_plans_are_found_again),
        cmocka_unit_test(test_errors_leave_everything_as_it_was),
        cmocka_unit_test(test_two_threads),
        cmocka_unit_test(test_nan_and_infinity),
        cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_values_fused_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
