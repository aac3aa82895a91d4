/* A step that needs more memory than there is: an error before anything is taken, which names a batch that fits. */
#include "support/facula_test.h"

#include "base/memory.h"
#include "facula.h"
#include "plan/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct training {
    fa_module *model;
    fa_optim *optim;
} training;

static training make(void)
{
    fa_manual_seed(0);
    training t = {.model = fa_nn_sequential(fa_nn_conv2d(3, 16, 3, .padding = 1), fa_nn_relu(),
                                            fa_nn_conv2d(16, 16, 3, .padding = 1), fa_nn_relu(), fa_nn_flatten(),
                                            fa_nn_linear(16 * 32 * 32, 10))};
    t.optim = fa_sgd(fa_parameters(t.model), 0.01);
    return t;
}

static bool step(const training *t, int64_t images)
{
    double loss = 0;
    fa_scope {
        fa_tensor *scores = fa_forward(t->model, fa_ones(images, 3, 32, 32));
        fa_tensor *value = fa_cross_entropy(scores, fa_zeros_with(FA_SHAPE(images), .dtype = FA_INT64));
        fa_zero_grad(t->optim);
        fa_backward(value);
        fa_step(t->optim);
        loss = fa_item(value);
    }
    return fa_ok() && loss == loss;
}

static void test_batch(void **state)
{
    (void)state;
    training t = make();
    assert_true(step(&t, 2));
    for (int images = 300; images <= 1000; images += 350) {
        fa_set_available_memory(60 << 20);
        assert_false(step(&t, images));
        assert_int_equal(fa_error_code(), FA_MEMORY_ERROR);
        char asked[64];
        snprintf(asked, sizeof asked, "got a batch of %d", images);
        if (strstr(fa_error(), asked) == NULL)
            fail_msg("%s", fa_error());
        const char *hint = strstr(fa_error(), "Hint: a batch of ");
        assert_non_null(hint);
        const long fits = strtol(hint + strlen("Hint: a batch of "), NULL, 10);
        assert_in_range(fits, 30, images - 1);
        fa_clear_error();
        /* what was named does fit, and the training goes on */
        if (!step(&t, fits))
            fail_msg("%s", fa_error());
        fa_set_available_memory(0);
        assert_true(step(&t, images));
    }
    fa_free(t.optim);
    fa_free(t.model);
}

/* No layer tells a batch; and what no machine has. */
static void test_without_layers(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *wide = fa_expand(fa_ones(1, 1 << 20), 1 << 20, 1 << 20);
        fa_item(fa_sum(fa_mul(fa_exp(wide), wide)));
        assert_int_equal(fa_error_code(), FA_MEMORY_ERROR);
        assert_non_null(strstr(fa_error(), "smaller network"));
        fa_clear_error();
    }
    /* a value that is kept, with no arena beside it */
    fa_scope {
        fa_tensor *wide = fa_exp(fa_expand(fa_ones(1, 1 << 20), 1 << 20, 1 << 20));
        assert_null(fa_data(wide));
        assert_int_equal(fa_error_code(), FA_MEMORY_ERROR);
        assert_non_null(strstr(fa_error(), "smaller network"));
        fa_clear_error();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_batch), cmocka_unit_test(test_without_layers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
