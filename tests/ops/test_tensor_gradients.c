/* Second derivatives of reductions and of what moves elements: the slope of f'(x) along a direction against the
 * difference of f' on both sides of x. */
#include "support/facula_test.h"

#include "facula/functional.h"

#include <math.h>

typedef fa_tensor *(*function)(fa_tensor *x);

static const double start[] = {0.8, -1.3, 2.1, 0.4, -0.6, 1.7, -2.2, 1.1, 0.9, -0.3, 1.4, -1.9};
enum { COUNT = 12 };

static fa_tensor *tensor_at(double h, const double *direction, bool requires_grad)
{
    double values[COUNT];
    for (int i = 0; i < COUNT; i++)
        values[i] = start[i] + h * direction[i];
    fa_tensor *x = fa_from_memory(values, FA_FLOAT64, FA_SHAPE(3, 4));
    return fa_set_requires_grad_at(x, requires_grad, FA_HERE);
}

/* The gradient of sum of f(x)^2 at x, weighed: what is differentiated once more. */
static fa_tensor *weighed_slope(function f, fa_tensor *x, bool create_graph)
{
    static const double weights[COUNT] = {1, -2, 0.5, 3, 1.5, -0.5, 2, 1, -1, 0.7, 0.2, -1.2};
    fa_tensor *y = f(x), *slope[1] = {NULL};
    fa_autograd_grad(FA_TENSORS(fa_sum(fa_mul(y, y))), FA_TENSORS(x), slope, .create_graph = create_graph);
    return fa_sum(fa_mul(slope[0], fa_from_memory(weights, FA_FLOAT64, FA_SHAPE(3, 4))));
}

static double number_at(function f, double h, const double *direction)
{
    return fa_item(weighed_slope(f, tensor_at(h, direction, true), false));
}

static void check_twice(void **state)
{
    const function f = *(function *)*state;
    static const double direction[COUNT] = {0.3, 1, -0.4, 0.8, -1.1, 0.6, 0.5, -0.9, 1.2, 0.1, -0.7, 0.2};
    fa_scope {
        fa_tensor *x = tensor_at(0, direction, true), *bend[1] = {NULL};
        assert_true(fa_autograd_grad(FA_TENSORS(weighed_slope(f, x, true)), FA_TENSORS(x), bend));
        const double *got = fa_data(bend[0]);
        assert_non_null(got);
        double slope = 0;
        for (int i = 0; i < COUNT; i++)
            slope += got[i] * direction[i];
        const double h = 1e-5, numeric = (number_at(f, h, direction) - number_at(f, -h, direction)) / (2 * h);
        assert_string_equal(fa_error(), "");
        if (!(fabs(slope - numeric) <= 1e-6 * (1 + fabs(numeric))))
            fail_msg("%.12g instead of %.12g", slope, numeric);
    }
}

#define FUNCTION(name, expression)                                                                                     \
    static fa_tensor *name(fa_tensor *x)                                                                               \
    {                                                                                                                  \
        return expression;                                                                                             \
    }                                                                                                                  \
    static const function name##_function = name;
FUNCTION(variance, fa_var(x, .dims = FA_SHAPE(1)))
FUNCTION(variance_of_all, fa_var(x, .correction = 0))
FUNCTION(deviation, fa_std(x, .dims = FA_SHAPE(0), .keepdim = true))
FUNCTION(norm_2, fa_norm(fa_mul(x, x), .dims = FA_SHAPE(1)))
FUNCTION(norm_3, fa_norm(x, 3, .dims = FA_SHAPE(1)))
FUNCTION(norm_1, fa_norm(fa_mul(x, x), 1))
FUNCTION(norm_infinite, fa_norm(fa_mul(x, x), INFINITY, .dims = FA_SHAPE(0)))
FUNCTION(sum_of_exponentials, fa_logsumexp(x, .dims = FA_SHAPE(1)))
FUNCTION(greatest, fa_amax(fa_mul(x, x), .dims = FA_SHAPE(1)))
FUNCTION(least_of_all, fa_min(fa_mul(x, x)))
FUNCTION(greatest_along, fa_max(fa_mul(x, x), 1))
FUNCTION(least_along, fa_min(fa_mul(x, x), 0, .keepdim = true))
FUNCTION(running_sum, fa_cumsum(fa_mul(x, x), 0))
FUNCTION(sorted, fa_mul(fa_sort(x, 1), x))
FUNCTION(top, fa_topk(fa_mul(x, x), 2, 1))
FUNCTION(joined, fa_cat(FA_TENSORS(fa_mul(x, x), x), 1))
FUNCTION(stacked, fa_stack(FA_TENSORS(x, fa_mul(x, x)), 0))
FUNCTION(flipped, fa_mul(fa_flip(x, 1), x))
FUNCTION(rolled, fa_mul(fa_roll(x, 1, 0), x))
FUNCTION(repeated, fa_repeat(fa_mul(x, x), 2, 3))
FUNCTION(rows, fa_mul(fa_take_rows(x, 2, 0, 2), x))
FUNCTION(gathered, fa_gather(fa_mul(x, x), 1, fa_tensor_of_as(FA_INT64, FA_SHAPE(3, 2), 0, 3, 1, 1, 2, 0)))
FUNCTION(padded, fa_pad(fa_mul(x, x), FA_SHAPE(1, 2), .value = 3))
FUNCTION(reflected, fa_pad(fa_mul(x, x), FA_SHAPE(2, 1), .mode = FA_PAD_REFLECT))

#define TWICE(which)                                                                                                   \
    {                                                                                                                  \
        .name = #which, .test_func = check_twice, .initial_state = (void *)(uintptr_t)&which##_function                \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        TWICE(variance),
        TWICE(variance_of_all),
        TWICE(deviation),
        TWICE(norm_2),
        TWICE(norm_3),
        TWICE(norm_1),
        TWICE(norm_infinite),
        TWICE(sum_of_exponentials),
        TWICE(greatest),
        TWICE(least_of_all),
        TWICE(greatest_along),
        TWICE(least_along),
        TWICE(running_sum),
        TWICE(sorted),
        TWICE(top),
        TWICE(joined),
        TWICE(stacked),
        TWICE(flipped),
        TWICE(rolled),
        TWICE(repeated),
        TWICE(rows),
        TWICE(gathered),
        TWICE(padded),
        TWICE(reflected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
