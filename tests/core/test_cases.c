/* Accidents that users of other libraries had, with the right behaviour here. Each test names what went wrong. */
#include "support/facula_test.h"

#include "facula.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static void assert_refused(const char *const *parts, int n)
{
    assert_false(fa_ok());
    for (int i = 0; i < n; i++)
        assert_contains(fa_error(), parts[i]);
    fa_clear_error();
}
#define ASSERT_REFUSED(...)                                                                                            \
    assert_refused((const char *const[]){__VA_ARGS__}, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)))

static fa_module *ends_in_linear(int64_t in_features)
{
    return fa_nn_sequential(fa_nn_conv2d(1, 10, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                            fa_nn_conv2d(10, 10, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2), fa_nn_flatten(),
                            fa_nn_linear(in_features, 10));
}

/* "mat1 and mat2 shapes cannot be multiplied": which layer, which number? */
static void test_first_linear_does_not_fit(void **state)
{
    (void)state;
    fa_module *wrong = ends_in_linear(10), *right = ends_in_linear(490);
    fa_scope {
        fa_tensor *x = fa_zeros(2, 1, 28, 28);
        assert_null(fa_forward(wrong, x));
        ASSERT_REFUSED("test_cases.c:", "linear (7)", "[2, 490]", "needs 10", "490", "Hint:");
        assert_non_null(fa_forward(right, x));
    }
    /* The summary finds it too, before there is any data. */
    assert_false(fa_summary(wrong, FA_SHAPE(1, 1, 28, 28), NULL));
    ASSERT_REFUSED("linear (7)", "490");
    assert_true(fa_ok());
    fa_free(wrong);
    fa_free(right);
}

/* Grey pictures in a network for colour; one picture without the batch dimension. */
static void test_channels_do_not_fit(void **state)
{
    (void)state;
    fa_module *net = fa_nn_sequential(fa_nn_conv2d(3, 8, 3), fa_nn_relu());
    fa_scope {
        fa_forward(net, fa_zeros(4, 1, 8, 8));
        ASSERT_REFUSED("test_cases.c:", "conv2d (0)", "1 channel", "needs 3", "Hint:");
        fa_tensor *one = fa_forward(net, fa_zeros(3, 8, 8));
        assert_int_equal(fa_ndim(one), 3);
        fa_forward(net, fa_zeros(8, 8));
        ASSERT_REFUSED("conv2d (0)", "[8, 8]");
    }
    fa_free(net);
}

static void test_max_pool_ceil_mode(void **state)
{
    (void)state;
    const struct {
        int64_t h, w, kernel, stride, padding, out_h, out_w;
    } cases[] = {{6, 7, 1, 2, 0, 3, 4}, {32, 32, 1, 2, 0, 16, 16}, {5, 5, 2, 2, 1, 3, 3}, {5, 5, 3, 3, 1, 2, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        fa_scope {
            fa_tensor *x = fa_full(FA_SHAPE(1, 1, cases[i].h, cases[i].w), -5);
            fa_tensor *y = fa_max_pool2d(x, cases[i].kernel, .stride = cases[i].stride, .padding = cases[i].padding,
                                         .ceil_mode = true);
            assert_int_equal(fa_size(y, 2), cases[i].out_h);
            assert_int_equal(fa_size(y, 3), cases[i].out_w);
            const float *values = fa_data(y);
            for (int64_t k = 0; k < fa_numel(y); k++)
                assert_true(values[k] == -5); /* no padding wins, no window is empty */
        }
    assert_true(fa_ok());
}

static void test_padding_same(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *y = fa_conv2d(fa_ones(1, 1, 5, 5), fa_ones(1, 1, 4, 4), .padding = FA_SAME);
        assert_int_equal(fa_size(y, 2), 5);
        const float *v = fa_data(y);
        assert_true(v[0] == 9 && v[6] == 16 && v[24] == 4); /* the odd zero is at the bottom and right */
        fa_conv2d(fa_ones(1, 1, 5, 5), fa_ones(1, 1, 3, 3), .padding = FA_SAME, .stride = 2);
        ASSERT_REFUSED("conv2d", "stride", "Hint:");
    }
}

/* Every target ignored: the loss is NaN, as a mean of nothing, and training is unharmed. */
static void test_all_targets_ignored(void **state)
{
    (void)state;
    fa_manual_seed(1);
    fa_module *net = fa_nn_linear(5, 5);
    fa_optim *sgd = fa_sgd(fa_parameters(net), 0.5);
    fa_scope {
        float before[25];
        memcpy(before, fa_data(fa_find(net, "weight")), sizeof before);
        fa_tensor *loss =
            fa_cross_entropy(fa_forward(net, fa_ones(10, 5)), fa_full(FA_SHAPE(10), -100, .dtype = FA_INT64));
        fa_backward(loss);
        fa_step(sgd);
        assert_true(isnan(fa_item(loss)));
        assert_same_bytes(fa_data(fa_find(net, "weight")), before, sizeof before);
        fa_tensor *sum =
            fa_cross_entropy(fa_ones(2, 5), fa_full(FA_SHAPE(2), -100, .dtype = FA_INT64), .reduction = FA_REDUCE_SUM);
        assert_true(fa_item(sum) == 0);
    }
    assert_true(fa_ok());
    fa_free(sgd);
    fa_free(net);
}

/* A softmax in front of cross_entropy puts a floor under the loss: ln(1 + (C-1)/e). */
static void test_softmax_before_cross_entropy(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *scores = fa_tensor_of(FA_SHAPE(1, 4), 1000, 0, 0, 0),
                  *label = fa_full(FA_SHAPE(1), 0, .dtype = FA_INT64);
        assert_true(fabs(fa_item(fa_cross_entropy(fa_softmax(scores, 1), label)) - 0.7437) < 1e-4);
        assert_true(fa_item(fa_cross_entropy(scores, label)) < 1e-6);
        double once = fa_item(fa_cross_entropy(fa_tensor_of(FA_SHAPE(1, 4), 1, 2, 3, 4), label));
        double twice = fa_item(fa_cross_entropy(fa_log_softmax(fa_tensor_of(FA_SHAPE(1, 4), 1, 2, 3, 4), 1), label));
        assert_true(fabs(once - twice) < 1e-6); /* log_softmax is harmless */
    }
}

/* Losses of batches of different size: weighted by samples. Evaluation does not depend on the batch size. */
static void test_average_loss(void **state)
{
    (void)state;
    fa_manual_seed(2);
    fa_module *net = fa_eval(fa_nn_linear(6, 3));
    fa_tensor *x = fa_randn(50, 6), *y = fa_randint(0, 3, FA_SHAPE(50));
    double mean[3];
    const int64_t batch[3] = {1, 7, 50};
    for (int k = 0; k < 3; k++) {
        fa_loader *loader = fa_data_loader(fa_tensor_dataset(x, y), .batch_size = batch[k]);
        double sum = 0, seen = 0;
        fa_no_grad
            fa_for_each_batch (b, loader) {
                sum += fa_item(fa_cross_entropy(fa_forward(net, b.images), b.labels)) * (double)b.size;
                seen += (double)b.size;
            }
        assert_true(seen == 50);
        mean[k] = sum / seen;
        fa_free(loader);
    }
    assert_true(fabs(mean[0] - mean[1]) < 1e-6 && fabs(mean[0] - mean[2]) < 1e-6);
    fa_free(net);
}

static long resident_kib(void)
{
    long pages = 0, unused = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &unused, &pages) != 2)
        pages = 0;
    if (file != NULL)
        fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* running_loss += loss kept every batch's graph alive elsewhere: here memory is flat. */
static void test_memory_is_flat(void **state)
{
    (void)state;
    if (FA_SANITIZED)
        skip();
    fa_manual_seed(3);
    fa_module *net = fa_nn_sequential(fa_nn_conv2d(1, 8, 3), fa_nn_relu(), fa_nn_flatten(), fa_nn_linear(8 * 36, 10));
    fa_optim *adam = fa_adam(fa_parameters(net), 1e-3);
    double sum = 0;
    long early = 0;
    for (int i = 0; i < 1000; i++) {
        fa_scope {
            fa_tensor *loss = fa_cross_entropy(fa_forward(net, fa_randn(32, 1, 8, 8)), fa_randint(0, 10, FA_SHAPE(32)));
            fa_zero_grad(adam);
            fa_backward(loss);
            fa_step(adam);
            sum += fa_item(loss);
        }
        if (i == 50)
            early = resident_kib();
    }
    assert_true(fa_ok() && isfinite(sum));
    assert_true(resident_kib() - early < 1024);
    fa_free(adam);
    fa_free(net);
}

/* The batch is normalised with the biased variance; running_var is fed with the unbiased one. */
static void test_two_variances(void **state)
{
    (void)state;
    fa_module *bn = fa_nn_batch_norm2d(1);
    fa_scope {
        fa_tensor *x = fa_tensor_of(FA_SHAPE(4, 1, 1, 4), 1, 2, 3, 4, 2, 3, 4, 5, 3, 4, 5, 6, 4, 5, 6, 7);
        const float *y = fa_data(fa_forward(bn, x));
        assert_true(fabsf(y[0] + 1.89736f) < 1e-4f);
        assert_true(fabs(fa_item(fa_find(bn, "running_mean")) - 0.4) < 1e-6);
        assert_true(fabs(fa_item(fa_find(bn, "running_var")) - 1.16667) < 1e-5);
        assert_true(fa_item(fa_find(bn, "num_batches_tracked")) == 1);
    }
    assert_true(fa_ok());
    fa_free(bn);
}

static void test_sgd_momentum(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *p = fa_full(FA_SHAPE(1), 1, .requires_grad = true);
        fa_optim *sgd = fa_sgd(FA_TENSORS(p), 0.1, .momentum = 0.9);
        const double lr[3] = {0.1, 0.1, 0.01}, want[3] = {0.9, 0.71, 0.6829};
        for (int i = 0; i < 3; i++) {
            fa_zero_grad(sgd);
            fa_backward(fa_sum(p));
            fa_set_lr(sgd, lr[i]);
            fa_step(sgd);
            assert_true(fabs(fa_item(p) - want[i]) < 1e-6);
        }
        fa_free(sgd);
        fa_optim *bad = fa_sgd(FA_TENSORS(p), 0.1, .nesterov = true);
        assert_null(bad);
        ASSERT_REFUSED("test_cases.c:", "nesterov", "momentum", "Hint:");
    }
}

/* Threads or the batch's size changed results elsewhere. Here neither changes a bit. */
static void test_same_bits(void **state)
{
    (void)state;
    fa_manual_seed(4);
    fa_module *net = fa_eval(fa_nn_sequential(fa_nn_conv2d(4, 3, 3, .padding = 1), fa_nn_batch_norm2d(3), fa_nn_relu(),
                                              fa_nn_max_pool2d(2), fa_nn_flatten(), fa_nn_linear(3 * 12, 56),
                                              fa_nn_relu(), fa_nn_linear(56, 444)));
    fa_tensor *x = fa_randn(64, 4, 8, 6);
    static float whole[64 * 444];
    fa_no_grad {
        fa_scope
            memcpy(whole, fa_data(fa_forward(net, x)), sizeof whole);
        const int threads[] = {1, 2, 4, 7};
        const int64_t batch[] = {1, 2, 5, 64};
        for (int t = 0; t < 4; t++)
            for (int b = 0; b < 4; b++)
                for (int64_t first = 0; first + batch[b] <= 64; first += 31)
                    fa_scope {
                        fa_set_num_threads(threads[t]);
                        fa_tensor *y = fa_forward(net, fa_slice(x, 0, first, first + batch[b]));
                        assert_same_bytes(fa_data(y), whole + first * 444, (size_t)batch[b] * 444 * sizeof(float));
                    }
    }
    assert_true(fa_ok());
    fa_free(net);
    /* And a training step, weights and all. */
    float weights[3][64];
    const int threads[3] = {1, 2, 7};
    for (int t = 0; t < 3; t++) {
        fa_set_num_threads(threads[t]);
        fa_manual_seed(5);
        fa_module *small = ends_in_linear(490);
        fa_optim *adam = fa_adam(fa_parameters(small), 1e-2);
        for (int i = 0; i < 3; i++)
            fa_scope {
                fa_backward(
                    fa_cross_entropy(fa_forward(small, fa_randn(33, 1, 28, 28)), fa_randint(0, 10, FA_SHAPE(33))));
                fa_step(adam);
                fa_zero_grad(adam);
            }
        memcpy(weights[t], fa_data(fa_find(small, "3.weight")), sizeof weights[t]);
        fa_free(adam);
        fa_free(small);
    }
    fa_set_num_threads(2);
    assert_same_bytes(weights[0], weights[1], sizeof weights[0]);
    assert_same_bytes(weights[0], weights[2], sizeof weights[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_linear_does_not_fit),
        cmocka_unit_test(test_channels_do_not_fit),
        cmocka_unit_test(test_max_pool_ceil_mode),
        cmocka_unit_test(test_padding_same),
        cmocka_unit_test(test_all_targets_ignored),
        cmocka_unit_test(test_softmax_before_cross_entropy),
        cmocka_unit_test(test_average_loss),
        cmocka_unit_test(test_memory_is_flat),
        cmocka_unit_test(test_two_variances),
        cmocka_unit_test(test_sgd_momentum),
        cmocka_unit_test(test_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
