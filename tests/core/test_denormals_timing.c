/* Case O45: numbers below the smallest normal one (1.18e-38) are zeros in every kernel, on every thread, so that a
 * network whose values have become that small is as fast as another one. */
#include "support/facula_test.h"

#include "facula.h"

#include <time.h>

static const int thread_counts[] = {1, 2, 3, 7};

#if defined(__SSE__) || defined(__aarch64__)
enum { CAN_FLUSH = 1 };
#else
enum { CAN_FLUSH = 0 };
#endif

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void assert_all(fa_tensor *x, float want)
{
    const float *value = fa_data(x);
    assert_true(fa_ok() && value != NULL);
    for (int64_t i = 0; i < fa_numel(x); i++)
        if (!(value[i] == want))
            fail_msg("element %lld is %g, needs %g", (long long)i, (double)value[i], (double)want);
}

/* Small and large, one kernel and another: results and operands. */
static void test_results_are_flushed(void **unused)
{
    (void)unused;
    if (!CAN_FLUSH)
        skip();
    for (int t = 0; t < 4; t++) {
        fa_set_num_threads(thread_counts[t]);
        for (int64_t side = 4; side <= 32; side *= 2)
            fa_scope {
                fa_tensor *x = fa_full(FA_SHAPE(4, 16, side, side), 1e-30);
                assert_all(fa_mul(x, 1e-9), 0);
                fa_tensor *tiny = fa_keep(fa_full(FA_SHAPE(16, 16, 3, 3), 1e-39));
                assert_all(fa_mul(tiny, 1e30), 0);
                assert_all(fa_conv2d(fa_full(FA_SHAPE(4, 16, side, side), 1e5), tiny, .padding = 1), 0);
                assert_all(fa_linear(fa_full(FA_SHAPE(side, 64), 1e5), fa_full(FA_SHAPE(32, 64), 1e-39), NULL), 0);
                assert_all(fa_sum(fa_full(FA_SHAPE(side * side), 1e-39)), 0);
            }
    }
    fa_set_num_threads(2);
}

/* Weight decay halves the weights at each step: 2^-126 is the last one that is not zero. */
static void test_decayed_weights_are_zero(void **unused)
{
    (void)unused;
    if (!CAN_FLUSH)
        skip();
    fa_tensor *weight = fa_ones_with(FA_SHAPE(1000), .requires_grad = true);
    fa_optim *sgd = fa_sgd(FA_TENSORS(weight), 0.5, .weight_decay = 1);
    for (int step = 1; step <= 130; step++) {
        fa_scope {
            fa_zero_grad(sgd);
            fa_backward(fa_sum(fa_mul(weight, 0.0)));
            fa_step(sgd);
        }
        if (step == 126)
            assert_all(weight, 1.17549435e-38f);
    }
    assert_all(weight, 0);
    fa_free(sgd);
}

static fa_module *network(double scale)
{
    fa_manual_seed(0);
    fa_module *net = fa_nn_sequential(fa_nn_conv2d(16, 32, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                                      fa_nn_conv2d(32, 64, 3, .padding = 1), fa_nn_batch_norm2d(64), fa_nn_relu(),
                                      fa_nn_flatten(), fa_nn_linear(64 * 64, 64), fa_nn_relu(), fa_nn_linear(64, 10));
    const fa_tensor_list weights = fa_parameters(net);
    fa_no_grad
        for (int64_t i = 0; i < weights.count; i++)
            fa_init_uniform_(weights.tensor[i], -scale, scale);
    return net;
}

/* One step with Adam's update, at a learning rate that leaves the weights as they are. */
static double step(fa_module *net, fa_optim *adam, fa_tensor *images, fa_tensor *labels)
{
    const double started = now();
    fa_scope {
        fa_tensor *loss = fa_cross_entropy(fa_forward(net, images), labels);
        fa_zero_grad(adam);
        fa_backward(loss);
        fa_step(adam);
        fa_item(loss);
    }
    return now() - started;
}

/* In turn, the shortest of each: the machine's other work falls out. */
static void test_tiny_weights_are_as_fast(void **unused)
{
    (void)unused;
    if (FA_SANITIZED || FA_EMULATED || !CAN_FLUSH)
        skip();
    static const double scales[2] = {1e-3, 1e-39};
    fa_tensor *images = fa_randn(32, 16, 16, 16), *labels = fa_randint(0, 10, FA_SHAPE(32));
    fa_module *net[2];
    fa_optim *adam[2];
    double best[2] = {1e9, 1e9};
    for (int k = 0; k < 2; k++) {
        net[k] = network(scales[k]);
        adam[k] = fa_adam(fa_parameters(net[k]), 0);
    }
    for (int turn = 0; turn < 60; turn++)
        for (int k = 0; k < 2; k++) {
            const double seconds = step(net[k], adam[k], images, labels);
            best[k] = seconds < best[k] ? seconds : best[k];
        }
    if (!fa_ok())
        fail_msg("%s", fa_error());
    if (best[1] > 1.3 * best[0])
        fail_msg("a step takes %.3f ms with weights of 1e-39, %.3f ms with weights of 1e-3", 1e3 * best[1],
                 1e3 * best[0]);
    for (int k = 0; k < 2; k++)
        fa_free(adam[k]), fa_free(net[k]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results_are_flushed),
        cmocka_unit_test(test_decayed_weights_are_zero),
        cmocka_unit_test(test_tiny_weights_are_as_fast),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
