/* From the second step of a structure on, a training program allocates nothing; and recording costs microseconds. */
#include "support/alloc_count.h"
#include "support/facula_test.h"

#include "facula.h"
#include "plan/plan.h"

#include <string.h>
#include <time.h>

static fa_module *small_net(void)
{
    return fa_nn_sequential(fa_nn_conv2d(1, 8, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                            fa_nn_conv2d(8, 16, 3, .padding = 1), fa_nn_batch_norm2d(16), fa_nn_relu(),
                            fa_nn_max_pool2d(2), fa_nn_flatten(), fa_nn_dropout(0.25), fa_nn_linear(784, 32),
                            fa_nn_relu(), fa_nn_linear(32, 10));
}

static double epoch(fa_module *net, fa_optim *optim, fa_loader *train, fa_loader *validation)
{
    double sum = 0;
    fa_train(net);
    fa_for_each_batch (b, train) {
        fa_tensor *loss = fa_cross_entropy(fa_forward(net, b.images), b.labels);
        fa_zero_grad(optim);
        fa_backward(loss);
        fa_step(optim);
        sum += fa_item(loss);
    }
    fa_eval(net);
    fa_no_grad
        fa_for_each_batch (b, validation) {
            fa_tensor *scores = fa_forward(net, b.images);
            sum += fa_item(fa_sum(fa_eq(fa_argmax(scores, 1), b.labels)));
        }
    return sum;
}

static void epochs_without_allocation(int workers)
{
    fa_manual_seed(1);
    fa_dataset *mnist = fa_mnist(source_path("data/mnist"), .train = false,
                                 .transform = fa_compose(fa_to_tensor(), fa_normalize({0.1307}, {0.3081})));
    fa_dataset *parts[3];
    fa_random_split(mnist, parts, 3, {150, 70, 9780});
    fa_loader *train = fa_data_loader(parts[0], .batch_size = 64, .shuffle = true, .num_workers = workers);
    fa_loader *validation = fa_data_loader(parts[1], .batch_size = 64, .num_workers = workers);
    fa_module *net = small_net();
    fa_optim *adam = fa_adam(fa_parameters(net), 1e-3);
    epoch(net, adam, train, validation);
    epoch(net, adam, train, validation);
    int64_t plans = fa_plan_count_built();
    alloc_count_start();
    epoch(net, adam, train, validation);
    epoch(net, adam, train, validation);
    alloc_count_stop();
    /* The calling thread and the pool allocate nothing. A loader's thread may take a batch more than it ever had at
     * once before: how many are in flight depends on the moment. */
    alloc_count_thread threads[ALLOC_COUNT_MAX_THREADS];
    long calls = 0;
    for (int i = 0, n = alloc_count_threads(threads, ALLOC_COUNT_MAX_THREADS); i < n; i++)
        calls += strcmp(threads[i].name, "fa-loader") == 0 ? 0 : threads[i].calls;
    if (!fa_ok())
        fail_msg("%s", fa_error());
    assert_int_equal(fa_plan_count_built(), plans);
    assert_int_equal(calls, 0);
    fa_free(adam);
    fa_free(net);
    fa_free(train);
    fa_free(validation);
    fa_free(parts[2]);
}

static void test_no_allocation(void **state)
{
    (void)state;
    if (!alloc_count_available())
        skip();
    fa_set_num_threads(2);
    epochs_without_allocation(0);
}

static void test_no_allocation_with_workers(void **state)
{
    (void)state;
    if (!alloc_count_available())
        skip();
    fa_set_num_threads(2);
    epochs_without_allocation(2);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The `mnist` network's step on one picture: what is left beside the kernels is recording, selection and look-up. They
 * are timed alone by running everything but the kernels. */
static void test_recording_is_cheap(void **state)
{
    (void)state;
    if (FA_SANITIZED || FA_EMULATED)
        skip();
    fa_manual_seed(1);
    fa_module *net = fa_nn_sequential(fa_nn_conv2d(1, 32, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                                      fa_nn_conv2d(32, 64, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                                      fa_nn_flatten(), fa_nn_linear(3136, 128), fa_nn_relu(), fa_nn_linear(128, 10));
    fa_optim *adam = fa_adam(fa_parameters(net), 1e-3);
    fa_tensor *x = fa_randn(64, 1, 28, 28), *y = fa_randint(0, 10, FA_SHAPE(64));
    double best_record = 1, best_lookup = 1;
    for (int i = 0; i < 200; i++)
        fa_scope {
            double start = now();
            fa_tensor *loss = fa_cross_entropy(fa_forward(net, x), y);
            fa_zero_grad(adam);
            fa_backward(loss);
            fa_step(adam);
            double recorded = now();
            fa_plan *plan = fa_plan_prepare(fa_thread_get(), fa_use(loss, "test", "loss"));
            double found = now();
            assert_non_null(plan);
            fa_plan_release(plan);
            if (i >= 3) {
                best_record = recorded - start < best_record ? recorded - start : best_record;
                best_lookup = found - recorded < best_lookup ? found - recorded : best_lookup;
            }
            if (i >= 3)
                fa_abandon_pending(fa_thread_get(), 1); /* no kernel runs: the loop times what is beside them */
        }
    print_message("recording %.1f us, selection and look-up %.1f us a step\n", best_record * 1e6, best_lookup * 1e6);
    assert_true(best_record + best_lookup < 50e-6);
    fa_free(adam);
    fa_free(net);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_allocation),
        cmocka_unit_test(test_no_allocation_with_workers),
        cmocka_unit_test(test_recording_is_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
