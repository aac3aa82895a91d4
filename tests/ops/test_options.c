/* Draws of every type against PyTorch (golden/draws.json), and what a write in place leaves of a history: the gradients
 * that PyTorch gives. */
#include "support/facula_test.h"
#include "support/golden.h"

#include <facula.h>
#include <string.h>

static const char *const type_names[] = {"float32", "float64", "int64",    "int32",
                                         "uint8",   "bool",    "bfloat16", "float16"};

static void assert_numbers(fa_tensor *x, const cJSON *want, const char *what)
{
    assert_string_equal(fa_error(), "");
    assert_int_equal(fa_numel(x), cJSON_GetArraySize(want));
    const double *got = fa_data(fa_to_dtype(x, FA_FLOAT64));
    for (int i = 0; i < cJSON_GetArraySize(want); i++)
        if (got[i] != cJSON_GetArrayItem(want, i)->valuedouble)
            fail_msg("%s: element %d is %.17g instead of %.17g", what, i, got[i],
                     cJSON_GetArrayItem(want, i)->valuedouble);
}

static void randint_of_every_type_draws_as_torch(void **state)
{
    (void)state;
    golden_file golden;
    char why[256], text[128];
    if (!golden_open(&golden, "draws", why))
        fail_msg("%s", why);
    const cJSON *draw;
    int drawn = 0, refused = 0;
    cJSON_ArrayForEach(draw, cJSON_GetObjectItem(golden.index, "randint")) fa_scope
    {
        const char *name = cJSON_GetObjectItem(draw, "dtype")->valuestring;
        const int64_t low = (int64_t)cJSON_GetObjectItem(draw, "low")->valuedouble;
        const int64_t high = (int64_t)cJSON_GetObjectItem(draw, "high")->valuedouble;
        const cJSON *values = cJSON_GetObjectItem(draw, "values");
        fa_dtype dtype = FA_FLOAT32;
        while (strcmp(type_names[dtype], name) != 0)
            dtype++;
        snprintf(text, sizeof text, "%s %lld..%lld", name, (long long)low, (long long)high);
        fa_manual_seed(3);
        fa_tensor *x = fa_randint(low, high, FA_SHAPE(6), .dtype = dtype);
        if (values) {
            assert_numbers(x, values, text);
            assert_int_equal(fa_dtype_of(x), dtype);
            assert_true(fa_item(fa_rand(1)) == cJSON_GetObjectItem(draw, "then")->valuedouble);
            drawn++;
        } else {
            assert_null(x);
            assert_contains(fa_error(), "randint: got the range");
            fa_clear_error();
            refused++;
        }
    }
    assert_true(drawn > 60 && refused > 20);
    const cJSON *others = cJSON_GetObjectItem(golden.index, "others");
    fa_scope {
        fa_generator *g = fa_generator_new();
        fa_generator_seed(g, 4);
        fa_tensor *made[7];
        for (int i = 0; i < 7; i++) {
            fa_manual_seed(4);
            made[i] = i == 0   ? fa_randint_like(fa_zeros(2, 3), 0, 9)
                      : i == 1 ? fa_randint_like(fa_zeros_with(FA_SHAPE(4), .dtype = FA_UINT8), 3, 200)
                      : i == 2 ? fa_randint_like(fa_zeros(4), 3, 200, .dtype = FA_INT32)
                      : i == 3 ? fa_randperm(11)
                      : i == 4 ? fa_rand_with(FA_SHAPE(5), .dtype = FA_FLOAT64)
                      : i == 5 ? fa_rand_with(FA_SHAPE(2, 2), .generator = g)
                               : fa_rsub(2.5, fa_arange(4.0));
            assert_numbers(made[i], cJSON_GetObjectItem(cJSON_GetArrayItem(others, i), "values"),
                           cJSON_GetObjectItem(cJSON_GetArrayItem(others, i), "call")->valuestring);
        }
        assert_int_equal(fa_dtype_of(made[0]), FA_FLOAT32);
        assert_int_equal(fa_dtype_of(made[1]), FA_UINT8);
        assert_int_equal(fa_dtype_of(made[2]), FA_INT32);
        assert_int_equal(fa_size(made[0], 1), 3);
        fa_generator_free(g);
    }
    golden_close(&golden);
}

/* ---- Writes in place -----------------------------------------------------------------------------------------------
 */

static void write_fill(fa_tensor *y)
{
    fa_fill_(y, 3);
}
static void write_zero(fa_tensor *y)
{
    fa_zero_(y);
}
static void write_copy(fa_tensor *y)
{
    fa_copy_(y, fa_ones(3));
}
static void write_uniform(fa_tensor *y)
{
    fa_uniform_(y);
}
static void write_bernoulli(fa_tensor *y)
{
    fa_bernoulli_(y, 1);
}
static void write_view(fa_tensor *y)
{
    fa_zero_(fa_slice(y, 0, 1, 3));
}
static void zero_without(fa_tensor *y)
{
    fa_no_grad {
        fa_zero_(y);
    }
}
static void triple_without(fa_tensor *y)
{
    fa_no_grad {
        fa_mul_(y, 3);
    }
}
static void triple_detached(fa_tensor *y)
{
    fa_mul_(fa_detach(y), 3);
}
static void fill_detached_view(fa_tensor *y)
{
    fa_fill_(fa_slice(fa_detach(y), 0, 1, 3), 9);
}

static const struct {
    const char *name, *grad_fn;
    void (*write)(fa_tensor *y);
    float value, grad[3]; /* of element 1; of x, through y * (1, 10, 100) */
} writes[] = {
    {"fill_", "FillBackward2", write_fill, 3, {0, 0, 0}},
    {"zero_", "ZeroBackward0", write_zero, 0, {0, 0, 0}},
    {"copy_", "CopyBackwards", write_copy, 1, {0, 0, 0}},
    {"uniform_", "UniformBackward0", write_uniform, -1, {0, 0, 0}},
    {"bernoulli_", "BernoulliBackward2", write_bernoulli, 1, {0, 0, 0}},
    {"zero_ of a view", NULL, write_view, 0, {2, 0, 0}},
    {"zero_ under no_grad", "MulBackward0", zero_without, 0, {2, 20, 200}},
    {"mul_ under no_grad", "MulBackward0", triple_without, 12, {2, 20, 200}},
    {"mul_ of a detached view", "MulBackward0", triple_detached, 12, {2, 20, 200}},
    {"fill_ of a view of a detached view", "MulBackward0", fill_detached_view, 9, {2, 20, 200}},
};

static void a_write_in_place_leaves_the_history_that_torch_leaves(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof writes / sizeof *writes; i++)
        fa_scope {
            fa_tensor *x = fa_tensor_of(FA_SHAPE(3), 1, 2, 3), *weights = fa_tensor_of(FA_SHAPE(3), 1, 10, 100);
            fa_set_requires_grad_at(x, true, FA_HERE);
            fa_tensor *y = fa_mul(x, 2);
            writes[i].write(y);
            assert_string_equal(fa_error(), "");
            assert_true(fa_requires_grad(y));
            char text[256];
            fa_tensor_format(y, text, sizeof text);
            if (writes[i].grad_fn)
                assert_contains(text, writes[i].grad_fn);
            if (writes[i].value >= 0)
                assert_true(((const float *)fa_data(y))[1] == writes[i].value);
            assert_true(fa_backward(fa_sum(fa_mul(y, weights))));
            assert_same_bytes(fa_data(fa_grad(x)), writes[i].grad, sizeof writes[i].grad);
        }
}

static void what_cannot_be_kept_is_refused(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = fa_ones_with(FA_SHAPE(3), .requires_grad = true), *y = fa_mul(x, 2);
        assert_null(fa_copy_(fa_detach(y), fa_mul(x, 3))); /* the history of the source would be lost */
        assert_contains(fa_error(), "value with history to write through a detached view");
        fa_clear_error();
        fa_mul_(fa_detach(x), 5); /* a leaf, as in PyTorch */
        assert_true(fa_item(fa_sum(x)) == 15);
        fa_tensor *view = fa_view(x, 3, 1);
        fa_no_grad {
            fa_add_(x, 1);
            assert_true(fa_item(fa_sum(view)) == 18); /* looked at here first, it has its history all the same */
        }
        assert_true(fa_backward(fa_sum(fa_mul(view, view))));
        assert_true(((const float *)fa_data(fa_grad(x)))[0] == 12);
    }
}

static void options_say_the_same_as_torch(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = fa_view(fa_arange(24), 2, 3, 2, 2), *half = fa_flatten(x, 1, 2), *all = fa_flatten(x, 1);
        assert_int_equal(fa_size(half, 1), 6);
        assert_int_equal(fa_size(half, 2), 2);
        assert_int_equal(fa_size(all, 1), 12);
        assert_int_equal(fa_dtype_of(fa_sum(x, .dtype = FA_FLOAT32)), FA_FLOAT32);
        fa_tensor *halves = fa_to_dtype(fa_ones(3), FA_BFLOAT16);
        assert_true(fa_item(fa_sum(halves, .dtype = FA_FLOAT32)) == 3);
        assert_null(fa_sum(x, .dtype = FA_FLOAT16));
        assert_contains(fa_error(), "float16, needs a type to compute in");
        fa_clear_error();
        assert_null(fa_avg_pool2d(fa_randn(1, 1, 4, 4), 2, .indices = &half));
        assert_contains(fa_error(), "an average has no place");
        fa_clear_error();
        assert_null(fa_adaptive_avg_pool2d(fa_randn(1, 1, 4, 4), 2, .indices = &half));
        fa_clear_error();
        assert_null(fa_nn_avg_pool2d(2, .return_indices = true));
        fa_clear_error();
        assert_null(fa_nn_adaptive_avg_pool2d(2, .return_indices = true));
        fa_clear_error();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(randint_of_every_type_draws_as_torch),
        cmocka_unit_test(a_write_in_place_leaves_the_history_that_torch_leaves),
        cmocka_unit_test(what_cannot_be_kept_is_refused),
        cmocka_unit_test(options_say_the_same_as_torch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
