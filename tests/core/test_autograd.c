/* Gradients beyond backward: fa_autograd_grad, gradients of gradients against differences in float64, retained
 * gradients, fa_enable_grad, clipping. */
#include "support/facula_test.h"

#include "plan/plan.h"

#include <facula.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static int no_error(void **state)
{
    (void)state;
    fa_clear_error();
    return 0;
}

static void check_error(fa_error_kind kind, const char *part)
{
    assert_false(fa_ok());
    assert_int_equal(fa_error_code(), kind);
    assert_contains(fa_error(), "test_autograd.c:");
    assert_contains(fa_error(), part);
    assert_contains(fa_error(), "Hint: ");
    fa_clear_error();
}

static fa_tensor *leaf(double a, double b)
{
    fa_tensor *x = fa_zeros_with(FA_SHAPE(2), .dtype = FA_FLOAT64, .requires_grad = true);
    const double values[2] = {a, b};
    fa_no_grad {
        fa_copy_from(x, values);
    }
    return x;
}

static void check_values(fa_tensor *x, double a, double b)
{
    assert_non_null(x);
    const double *values = fa_data(x);
    assert_true(fabs(values[0] - a) < 1e-12 && fabs(values[1] - b) < 1e-12);
}

/* ---- fa_autograd_grad ----------------------------------------------------------------------------------------------
 */

static void test_grad_of_leaves_and_computed(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = leaf(1, 2), *y = leaf(3, 4), *product = fa_mul(x, y), *z = fa_mul(product, x);
        fa_tensor *grads[3];
        assert_true(fa_autograd_grad(FA_TENSORS(fa_sum(z)), FA_TENSORS(x, product, y), grads, .retain_graph = true));
        check_values(grads[0], 6, 16); /* 2 x y */
        check_values(grads[1], 1, 2);
        check_values(grads[2], 1, 4);
        assert_false(fa_requires_grad(grads[0]));
        assert_null(fa_grad(x)); /* nobody's own gradient is touched */

        /* Two outputs, gradients given, an input twice. */
        fa_tensor *weights = fa_tensor_of_as(FA_FLOAT64, FA_SHAPE(2), 10, 100);
        assert_true(fa_autograd_grad(FA_TENSORS(z, fa_sum(product)), FA_TENSORS(y, y), grads,
                                     .grad_outputs = FA_TENSORS(weights, NULL)));
        check_values(grads[0], 11, 402);
        check_values(grads[1], 11, 402);
        assert_false(fa_autograd_grad(FA_TENSORS(fa_sum(z)), FA_TENSORS(x), grads));
        check_error(FA_STATE_ERROR, "retain_graph");
        assert_null(grads[0]);

        /* An output itself. */
        fa_tensor *loss = fa_sum(x);
        assert_true(fa_autograd_grad(FA_TENSORS(loss), FA_TENSORS(loss), grads));
        assert_true(fa_item(grads[0]) == 1);
    }
    assert_string_equal(fa_error(), "");
}

/* Only what lies between inputs and outputs is used up. */
static void test_grad_walks_no_further(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = leaf(1, 2), *below = fa_mul(x, x), *above = fa_exp(below), *grads[1];
        assert_true(fa_autograd_grad(FA_TENSORS(fa_sum(above)), FA_TENSORS(below), grads));
        assert_true(fa_backward(fa_sum(below)));
        check_values(fa_grad(x), 2, 4);
    }
    assert_string_equal(fa_error(), "");
}

static void test_grad_errors(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = leaf(1, 2), *y = leaf(3, 4), *plain = fa_ones(2), *grads[2];
        fa_tensor *loss = fa_sum(fa_mul(x, x));
        assert_false(fa_autograd_grad(FA_TENSORS(loss), FA_TENSORS(x, y), grads, .retain_graph = true));
        check_error(FA_STATE_ERROR, "input 1");
        assert_true(
            fa_autograd_grad(FA_TENSORS(loss), FA_TENSORS(x, y), grads, .retain_graph = true, .allow_unused = true));
        check_values(grads[0], 2, 4);
        assert_null(grads[1]);
        assert_false(fa_autograd_grad(FA_TENSORS(loss), FA_TENSORS(plain), grads));
        check_error(FA_STATE_ERROR, "input 0");
        assert_false(fa_autograd_grad(FA_TENSORS(fa_sum(plain)), FA_TENSORS(x), grads));
        check_error(FA_STATE_ERROR, "without history");
        assert_false(fa_autograd_grad(FA_TENSORS(fa_mul(x, 2)), FA_TENSORS(x), grads));
        check_error(FA_SHAPE_ERROR, "grad_outputs");
        assert_false(fa_autograd_grad(FA_TENSORS(loss), FA_TENSORS(x), grads, .grad_outputs = FA_TENSORS(plain)));
        check_error(FA_SHAPE_ERROR, "[2]");
        assert_false(fa_autograd_grad(FA_TENSORS(loss), FA_TENSORS(x), NULL));
        check_error(FA_VALUE_ERROR, "no array");
        assert_true(fa_backward(loss)); /* refusals have used nothing up */
        check_values(fa_grad(x), 2, 4);
    }
    assert_string_equal(fa_error(), "");
}

/* ---- Gradients of gradients ----------------------------------------------------------------------------------------
 */

typedef fa_tensor *(*function)(fa_tensor **in);

typedef struct second {
    const char *name;
    function f; /* of up to 3 float64 tensors, whose shapes follow */
    fa_shape shape[3];
    bool positive, distinct;
} second;

#define F(name, expression)                                                                                            \
    static fa_tensor *f_##name(fa_tensor **in)                                                                         \
    {                                                                                                                  \
        return expression;                                                                                             \
    }
static fa_tensor *labels(int64_t n)
{
    int64_t numbers[8];
    for (int64_t i = 0; i < n; i++)
        numbers[i] = i == 2 ? -100 : i % 3;
    return fa_from_memory(numbers, FA_INT64, FA_SHAPE(n));
}
F(add, fa_add(in[0], in[1]))
F(sub, fa_sub(in[0], in[1]))
F(mul, fa_mul(in[0], in[1]))
F(div, fa_div(in[0], in[1]))
F(numbers, fa_rdiv(2, fa_add(fa_mul(fa_div(in[0], 3), 2), 4)))
F(pow, fa_pow(in[0], 3.5))
F(exp, fa_exp(in[0]))
F(log, fa_log(in[0]))
F(sqrt, fa_sqrt(in[0]))
F(relu, fa_mul(fa_relu(in[0]), in[0]))
F(mean, fa_pow(fa_mean(in[0], .dims = FA_SHAPE(1)), 2))
F(max, fa_pow(fa_max(in[0], 1, NULL), 3))
F(views, fa_pow(fa_slice(fa_permute(fa_view(in[0], 4, 3), 1, 0), 1, 1, 3), 3))
F(expand, fa_pow(fa_expand(in[0], 2, 3, 4), 3))
F(matmul, fa_matmul(in[0], in[1]))
F(batches, fa_matmul(fa_mul(in[0], in[0]), in[1]))
F(linear, fa_pow(fa_linear(in[0], in[1], in[2]), 2))
F(conv2d, fa_pow(fa_conv2d(in[0], in[1], in[2], .stride_hw = {2, 1}, .padding_hw = {1, 0}, .dilation = 2), 2))
F(conv2d_groups, fa_conv2d(in[0], in[1], in[2], .groups = 2, .padding = 1))
F(conv2d_same, fa_conv2d(in[0], in[1], NULL, .padding = FA_SAME))
F(max_pool2d, fa_pow(fa_max_pool2d(in[0], 3, .stride = 2, .padding = 1), 3))
F(avg_pool2d, fa_pow(fa_avg_pool2d(in[0], 2, .stride = 1, .padding = 1, .count_include_pad = false), 3))
F(softmax, fa_softmax(in[0], 1))
F(log_softmax, fa_mul(fa_log_softmax(in[0], 1), in[0]))
F(cross_entropy, fa_cross_entropy(in[0], labels(5), .label_smoothing = 0.1))
F(cross_entropy_sum, fa_cross_entropy(in[0], labels(5), .reduction = FA_REDUCE_NONE))
F(probabilities, fa_cross_entropy(in[0], in[1], .label_smoothing = 0.2))
F(mse, fa_mse_loss(in[0], in[1]))
F(smooth_l1, fa_smooth_l1_loss(in[0], in[1], .beta = 0.7, .reduction = FA_REDUCE_SUM))
F(huber, fa_huber_loss(in[0], in[1], .delta = 0.5))
F(bce, fa_binary_cross_entropy(fa_div(in[0], 10), fa_div(in[1], 10)))
F(bce_with_logits, fa_binary_cross_entropy_with_logits(in[0], in[1], .pos_weight = fa_tensor_of(FA_SHAPE(2), 0.5, 3)))
F(kl_div, fa_kl_div(in[0], in[1], .reduction = FA_REDUCE_BATCHMEAN))
F(kl_div_log, fa_kl_div(in[0], in[1], .log_target = true))
F(silu, fa_silu(in[0]))
F(gelu, fa_gelu(in[0]))
F(gelu_tanh, fa_gelu(in[0], .approximate = FA_GELU_TANH))
F(elu, fa_elu(in[0], .alpha = 1.3))
F(softplus, fa_softplus(in[0], .beta = 1.7))
F(hardswish, fa_hardswish(fa_mul(in[0], 20)))
F(prelu, fa_pow(fa_prelu(in[0], in[1]), 2))
F(prod, fa_prod(in[0], .dims = FA_SHAPE(1)))
F(prod_all, fa_prod(in[0]))
F(prod_zeros, fa_prod(fa_mul(in[0], fa_tensor_of_as(FA_FLOAT64, FA_SHAPE(5), 1, 0, 2, 0, 1)), .dims = FA_SHAPE(1)))
F(adaptive_max_pool2d, fa_pow(fa_adaptive_max_pool2d(in[0], .output_hw = {2, 3}), 3))
F(batch_norm, fa_batch_norm(in[0], NULL, NULL, .weight = in[1], .bias = in[2], .training = true, .eps = 1e-2))
F(batch_norm_plain, fa_batch_norm(in[0], NULL, NULL, .training = true, .eps = 1e-2))
F(batch_norm_eval,
  fa_pow(fa_batch_norm(in[0], fa_tensor_of_as(FA_FLOAT64, FA_SHAPE(2), 0.5, -1),
                       fa_tensor_of_as(FA_FLOAT64, FA_SHAPE(2), 0.5, 2), .weight = in[1], .bias = in[2]),
         2))
F(group_norm, fa_group_norm(in[0], 2, .weight = in[1], .bias = in[2], .eps = 1e-2))
F(layer_norm, fa_layer_norm(in[0], FA_SHAPE(3, 4), .weight = in[1], .bias = in[2], .eps = 1e-2))
F(instance_norm, fa_instance_norm(in[0], .weight = in[1], .bias = in[2], .eps = 1e-2))
F(network,
  fa_cross_entropy(fa_flatten(fa_max_pool2d(fa_relu(fa_conv2d(in[0], .weight = in[1], .bias = in[2], .padding = 1)), 2),
                              1),
                   labels(2)))

#define DIMS(...)                                                                                                      \
    {                                                                                                                  \
        sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t),                                                            \
        {                                                                                                              \
            __VA_ARGS__                                                                                                \
        }                                                                                                              \
    }
static const second seconds[] = {
    {"add", f_add, {DIMS(2, 3), DIMS(3)}, 0, 0},
    {"sub", f_sub, {DIMS(2, 3), DIMS(3)}, 0, 0},
    {"mul", f_mul, {DIMS(2, 3), DIMS(3)}, 0, 0},
    {"div", f_div, {DIMS(2, 1), DIMS(3)}, true, 0},
    {"numbers", f_numbers, {DIMS(4)}, true, 0},
    {"pow", f_pow, {DIMS(4)}, true, 0},
    {"exp", f_exp, {DIMS(4)}, 0, 0},
    {"log", f_log, {DIMS(4)}, true, 0},
    {"sqrt", f_sqrt, {DIMS(4)}, true, 0},
    {"relu", f_relu, {DIMS(12)}, 0, true},
    {"mean", f_mean, {DIMS(2, 3, 2)}, 0, 0},
    {"max", f_max, {DIMS(2, 5, 2)}, 0, true},
    {"views", f_views, {DIMS(3, 4)}, 0, 0},
    {"expand", f_expand, {DIMS(3, 1)}, 0, 0},
    {"matmul", f_matmul, {DIMS(2, 3), DIMS(3, 4)}, 0, 0},
    {"batches", f_batches, {DIMS(2, 2, 3), DIMS(2, 1, 3, 2)}, 0, 0},
    {"linear", f_linear, {DIMS(2, 3), DIMS(4, 3), DIMS(4)}, 0, 0},
    {"conv2d", f_conv2d, {DIMS(2, 2, 7, 6), DIMS(3, 2, 3, 2), DIMS(3)}, 0, 0},
    {"conv2d_groups", f_conv2d_groups, {DIMS(2, 4, 4, 4), DIMS(4, 2, 3, 3), DIMS(4)}, 0, 0},
    {"conv2d_same", f_conv2d_same, {DIMS(1, 2, 4, 5), DIMS(2, 2, 2, 4)}, 0, 0},
    {"max_pool2d", f_max_pool2d, {DIMS(2, 2, 6, 5)}, 0, true},
    {"avg_pool2d", f_avg_pool2d, {DIMS(2, 2, 4, 5)}, 0, 0},
    {"softmax", f_softmax, {DIMS(2, 4, 2)}, 0, 0},
    {"log_softmax", f_log_softmax, {DIMS(2, 4)}, 0, 0},
    {"cross_entropy", f_cross_entropy, {DIMS(5, 3)}, 0, 0},
    {"cross_entropy_none", f_cross_entropy_sum, {DIMS(5, 3)}, 0, 0},
    {"probabilities", f_probabilities, {DIMS(2, 4), DIMS(2, 4)}, 0, 0},
    {"mse", f_mse, {DIMS(2, 3), DIMS(3)}, 0, 0},
    {"smooth_l1", f_smooth_l1, {DIMS(9), DIMS(9)}, 0, true},
    {"huber", f_huber, {DIMS(9), DIMS(9)}, 0, true},
    {"bce", f_bce, {DIMS(6), DIMS(6)}, true, 0},
    {"bce_with_logits", f_bce_with_logits, {DIMS(3, 2), DIMS(3, 2)}, 0, 0},
    {"kl_div", f_kl_div, {DIMS(2, 3), DIMS(3)}, true, 0},
    {"kl_div_log", f_kl_div_log, {DIMS(2, 3), DIMS(2, 3)}, 0, 0},
    {"silu", f_silu, {DIMS(6)}, 0, 0},
    {"gelu", f_gelu, {DIMS(6)}, 0, 0},
    {"gelu_tanh", f_gelu_tanh, {DIMS(6)}, 0, 0},
    {"elu", f_elu, {DIMS(9)}, 0, true},
    {"softplus", f_softplus, {DIMS(6)}, 0, 0},
    {"hardswish", f_hardswish, {DIMS(12)}, 0, true},
    {"prelu", f_prelu, {DIMS(2, 3, 2), DIMS(3)}, 0, true},
    {"prod", f_prod, {DIMS(2, 5, 2)}, 0, 0},
    {"prod_all", f_prod_all, {DIMS(2, 3)}, true, 0},
    {"prod_zeros", f_prod_zeros, {DIMS(2, 5)}, true, 0},
    {"adaptive_max_pool2d", f_adaptive_max_pool2d, {DIMS(2, 2, 5, 7)}, 0, true},
    {"batch_norm", f_batch_norm, {DIMS(3, 2, 3, 2), DIMS(2), DIMS(2)}, 0, 0},
    {"batch_norm_plain", f_batch_norm_plain, {DIMS(5, 2)}, 0, 0},
    {"batch_norm_eval", f_batch_norm_eval, {DIMS(3, 2, 4), DIMS(2), DIMS(2)}, 0, 0},
    {"group_norm", f_group_norm, {DIMS(2, 4, 3), DIMS(4), DIMS(4)}, 0, 0},
    {"layer_norm", f_layer_norm, {DIMS(2, 3, 4), DIMS(3, 4), DIMS(3, 4)}, 0, 0},
    {"instance_norm", f_instance_norm, {DIMS(2, 2, 3, 2), DIMS(2), DIMS(2)}, 0, 0},
    {"network", f_network, {DIMS(2, 1, 4, 4), DIMS(2, 1, 3, 3), DIMS(2)}, 0, true},
};

enum { MOST = 192 };

typedef struct point {
    int count;
    int64_t n[3];
    double x[3][MOST];
} point;

static uint64_t seed, random_state;

static void draw_point(const second *s, point *p)
{
    p->count = 0;
    for (int k = 0; k < 3 && s->shape[k].ndim > 0; k++, p->count++) {
        p->n[k] = 1;
        for (int d = 0; d < s->shape[k].ndim; d++)
            p->n[k] *= s->shape[k].size[d];
        assert_true(p->n[k] <= MOST);
        for (int64_t i = 0; i < p->n[k]; i++) {
            double v = test_random_real(&random_state, -1, 1);
            if (s->positive)
                v = fabs(v) + 0.3;
            if (s->distinct) /* no two nearer than 0.01, none near 0 */
                v = 0.013 + 0.02 * (double)((i * 37 + k * 11) % p->n[k]) - 0.01 * (double)p->n[k];
            p->x[k][i] = v;
        }
    }
}

/* The gradients of sum(w * f) at a point; with `v` also those of the sum of their products with v. */
static void gradients(const second *s, const point *p, const point *v, double first[3][MOST], double other[3][MOST])
{
    fa_scope {
        fa_tensor *in[3] = {NULL}, *grads[3] = {NULL}, *twice[3] = {NULL};
        for (int k = 0; k < p->count; k++) {
            in[k] = fa_zeros_with(s->shape[k], .dtype = FA_FLOAT64, .requires_grad = true);
            fa_no_grad {
                fa_copy_from(in[k], p->x[k]);
            }
        }
        fa_tensor *y = s->f(in);
        assert_non_null(y);
        double weights[512];
        assert_true(fa_numel(y) <= 512);
        for (int64_t i = 0; i < fa_numel(y); i++)
            weights[i] = sin((double)i + 1);
        const fa_tensor_list inputs = {in, NULL, p->count};
        fa_tensor *loss = fa_sum(fa_mul(y, fa_from_memory(weights, FA_FLOAT64, fa_shape_of(y))));
        assert_true(fa_autograd_grad(FA_TENSORS(loss), inputs, grads, .create_graph = v != NULL));
        for (int k = 0; k < p->count; k++)
            memcpy(first[k], fa_data(grads[k]), (size_t)p->n[k] * sizeof(double));
        if (v) {
            fa_tensor *sum = NULL;
            for (int k = 0; k < p->count; k++) {
                assert_true(fa_requires_grad(grads[k]) || p->count > 1 || strcmp(s->name, "add") == 0);
                fa_tensor *term = fa_sum(fa_mul(grads[k], fa_from_memory(v->x[k], FA_FLOAT64, s->shape[k])));
                sum = sum ? fa_add(sum, term) : term;
            }
            if (fa_requires_grad(sum))
                assert_true(fa_autograd_grad(FA_TENSORS(sum), inputs, twice, .allow_unused = true));
            for (int k = 0; k < p->count; k++)
                for (int64_t i = 0; i < p->n[k]; i++)
                    other[k][i] = twice[k] ? ((const double *)fa_data(twice[k]))[i] : 0;
        }
    }
    assert_string_equal(fa_error(), "");
}

/* H v by the rules, against (g(x + h v) - g(x - h v)) / 2h. */
static void check_second(void **state)
{
    const second *s = *state;
    static const char *const modes[] = {"fused", "off"};
    random_state = seed;
    for (int m = 0; m < 2; m++) {
        fa_plan_set_mode(modes[m]);
        point p, v;
        double first[3][MOST], other[3][MOST], above[3][MOST], below[3][MOST];
        draw_point(s, &p);
        draw_point(s, &v);
        for (int k = 0; k < p.count; k++)
            for (int64_t i = 0; i < p.n[k]; i++)
                v.x[k][i] = test_random_real(&random_state, -1, 1);
        gradients(s, &p, &v, first, other);
        const double h = 1e-5;
        point moved = p;
        for (int k = 0; k < p.count; k++)
            for (int64_t i = 0; i < p.n[k]; i++)
                moved.x[k][i] = p.x[k][i] + h * v.x[k][i];
        gradients(s, &moved, NULL, above, above);
        for (int k = 0; k < p.count; k++)
            for (int64_t i = 0; i < p.n[k]; i++)
                moved.x[k][i] = p.x[k][i] - h * v.x[k][i];
        gradients(s, &moved, NULL, below, below);
        for (int k = 0; k < p.count; k++)
            for (int64_t i = 0; i < p.n[k]; i++) {
                double numeric = (above[k][i] - below[k][i]) / (2 * h);
                if (!(fabs(numeric - other[k][i]) <= 1e-6 * (1 + fabs(numeric))))
                    fail_msg("%s (%s), input %d, element %lld: %.10g instead of %.10g", s->name, modes[m], k,
                             (long long)i, other[k][i], numeric);
            }
    }
    fa_plan_set_mode("fused");
}

/* sin-like chain: third derivative of x^4 is 24 x. */
static void test_third(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = leaf(1, 2), *y = fa_pow(x, 4), *grads[1];
        for (int order = 1; order <= 3; order++) {
            assert_true(fa_autograd_grad(FA_TENSORS(fa_sum(y)), FA_TENSORS(x), grads, .create_graph = true));
            y = grads[0];
            assert_true(fa_requires_grad(y));
        }
        check_values(y, 24, 48);
    }
    assert_string_equal(fa_error(), "");
}

/* A penalty on the gradient, trained by backward: what reaches no leaf but through a relu's mask gets zeros. */
static void test_penalty(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *w = leaf(2, -3), *b = leaf(1, 1), *x = leaf(0.5, 0.25), *grads[1];
        fa_tensor *y = fa_relu(fa_add(fa_mul(w, x), b));
        assert_true(fa_autograd_grad(FA_TENSORS(fa_sum(y)), FA_TENSORS(x), grads, .create_graph = true));
        assert_true(fa_backward(fa_sum(fa_pow(grads[0], 2)))); /* sum of w^2 where the relu passes */
        check_values(fa_grad(w), 4, -6);
        check_values(fa_grad(b), 0, 0);
        check_values(fa_grad(x), 0, 0);
    }
    assert_string_equal(fa_error(), "");
}

/* What PyTorch gives where functions have corners, at a threshold, and of NaN. */
static void test_second_at_edges(void **state)
{
    (void)state;
    enum { N = 6, F = 4 };
    static const double at[N] = {-3, 0, 3, 20, INFINITY, NAN};
    static const double want[F][N] = {
        {1.3 * 0.049787068367863944, 0, 0, 0, 0, 0},                /* elu */
        {0.045176659730912144, 0.25, 0.045176659730912, 0, 0, NAN}, /* softplus */
        {0, 1.0 / 3, 0, 0, 0, 0},                                   /* hardswish */
        {0, 0, 0, 0, 0, 0}                                          /* prelu */
    };
    for (int f = 0; f < F; f++)
        fa_scope {
            fa_tensor *x = fa_from_memory(at, FA_FLOAT64, FA_SHAPE(N)), *y, *grads[1];
            fa_set_requires_grad_at(x, true, FA_HERE);
            y = f == 0   ? fa_elu(x, 1.3)
                : f == 1 ? fa_softplus(x)
                : f == 2 ? fa_hardswish(x)
                         : fa_prelu(x, fa_tensor_of_as(FA_FLOAT64, FA_SHAPE(1), 0.25));
            assert_true(fa_autograd_grad(FA_TENSORS(fa_sum(y)), FA_TENSORS(x), grads, .create_graph = true));
            assert_true(fa_autograd_grad(FA_TENSORS(fa_sum(grads[0])), FA_TENSORS(x), grads, .allow_unused = true));
            if (grads[0])
                assert_all_close_f64(fa_data(grads[0]), want[f], N, 1e-13, 1e-15);
        }
    /* prelu counts 0 among the negative in its gradient, and among the positive in that one's gradients. */
    fa_scope {
        static const double corner[4] = {0, -1, 1, NAN}, ones[4] = {1, 1, 1, 1}, passed[4] = {1, 0.25, 1, 0.25},
                            bent[4] = {0, 1, 0, 1};
        fa_tensor *x = fa_from_memory(corner, FA_FLOAT64, FA_SHAPE(4)),
                  *v = fa_from_memory(ones, FA_FLOAT64, FA_SHAPE(4));
        fa_tensor *weight = fa_tensor_of_as(FA_FLOAT64, FA_SHAPE(1), 0.25), *first[2], *grads[2];
        fa_set_requires_grad_at(x, true, FA_HERE);
        fa_set_requires_grad_at(v, true, FA_HERE);
        fa_set_requires_grad_at(weight, true, FA_HERE);
        assert_true(fa_autograd_grad(FA_TENSORS(fa_prelu(x, weight)), FA_TENSORS(x, weight), first,
                                     .grad_outputs = FA_TENSORS(v), .create_graph = true));
        assert_true(fa_autograd_grad(FA_TENSORS(fa_sum(first[0])), FA_TENSORS(v, weight), grads));
        assert_all_close_f64(fa_data(grads[0]), passed, 4, 0, 0);
        assert_true(fa_item(grads[1]) == 2);
        assert_true(fa_autograd_grad(FA_TENSORS(fa_sum(first[1])), FA_TENSORS(x), grads));
        assert_all_close_f64(fa_data(grads[0]), bent, 4, 0, 0);
    }
    /* A product with zeros: of 0, 0 and 3 all first derivatives are 0, and two second ones are not. */
    static const double factors[2][3] = {{2, 0, 3}, {0, 0, 3}}, bends[2][3] = {{30, 203, 20}, {30, 3, 0}};
    for (int k = 0; k < 2; k++)
        fa_scope {
            fa_tensor *x = fa_from_memory(factors[k], FA_FLOAT64, FA_SHAPE(3)), *grads[1];
            fa_set_requires_grad_at(x, true, FA_HERE);
            assert_true(fa_autograd_grad(FA_TENSORS(fa_prod(x)), FA_TENSORS(x), grads, .create_graph = true));
            fa_tensor *sum = fa_sum(fa_mul(grads[0], fa_tensor_of_as(FA_FLOAT64, FA_SHAPE(3), 1, 10, 100)));
            assert_true(fa_autograd_grad(FA_TENSORS(sum), FA_TENSORS(x), grads));
            assert_all_close_f64(fa_data(grads[0]), bends[k], 3, 0, 0);
        }
    assert_string_equal(fa_error(), "");
}

/* ---- Custom ops ---- */

static void cube_forward(fa_custom_call *call)
{
    const double *x = call->input[0];
    for (int i = 0; i < 2; i++)
        ((double *)call->output)[i] = call->numbers[0] * x[i] * x[i] * x[i];
}

static void cube_backward(fa_custom_call *call)
{
    const double *x = call->input[0], *g = call->output_grad;
    for (int i = 0; i < 2; i++)
        ((double *)call->input_grad[0])[i] = 3 * call->numbers[0] * x[i] * x[i] * g[i];
}

static bool cube_rule(fa_custom_rule *call)
{
    assert_int_equal(call->inputs, 1);
    assert_true(call->wanted[0]);
    if (call->context)
        ++*(int *)call->context;
    fa_tensor *x = call->input[0];
    call->input_grad[0] = fa_mul(call->output_grad, fa_mul(fa_mul(x, x), 3 * call->numbers[0]));
    return true;
}

static void test_custom_rules(void **state)
{
    (void)state;
    int calls = 0;
    const fa_custom_op both = {.name = "cube",
                               .forward = cube_forward,
                               .backward = cube_backward,
                               .rule = cube_rule,
                               .context = &calls},
                       ruled = {.name = "cube", .forward = cube_forward, .rule = cube_rule};
    fa_scope {
        fa_tensor *x = leaf(1, 2), *grads[1];
        fa_tensor *y = fa_custom(&both, {fa_mul(x, 1)}, .numbers = {0.5});
        assert_true(fa_autograd_grad(FA_TENSORS(fa_sum(y)), FA_TENSORS(x), grads, .create_graph = true));
        assert_int_equal(calls, 1);
        check_values(grads[0], 1.5, 6);
        fa_tensor *slope = grads[0];
        assert_true(fa_autograd_grad(FA_TENSORS(fa_sum(slope)), FA_TENSORS(x), grads, .create_graph = true));
        check_values(grads[0], 3, 6);
        assert_true(fa_autograd_grad(FA_TENSORS(fa_sum(grads[0])), FA_TENSORS(x), grads, .retain_graph = true));
        check_values(grads[0], 3, 3);
        assert_true(fa_backward(fa_sum(fa_mul(slope, slope)))); /* 2 * 1.5 x^2 * 3 x */
        check_values(fa_grad(x), 9, 72);
        assert_int_equal(calls, 1);
        /* Without backward the rule is all there is; with it, backward is. */
        fa_tensor *z = leaf(1, 2);
        assert_true(fa_backward(fa_sum(fa_custom(&ruled, {z}, .numbers = {1}))));
        check_values(fa_grad(z), 3, 12);
        assert_true(fa_backward(fa_sum(fa_custom(&both, {z}, .numbers = {1}))));
        check_values(fa_grad(z), 6, 24);
        assert_int_equal(calls, 1);
    }
    assert_string_equal(fa_error(), "");
}

static bool rule_of_nothing(fa_custom_rule *call)
{
    (void)call;
    return true; /* all gradients are zero */
}

static bool rule_without_reason(fa_custom_rule *call)
{
    (void)call;
    return false;
}

static bool rule_of_wrong_shape(fa_custom_rule *call)
{
    call->input_grad[0] = fa_zeros(3);
    return true;
}

static bool rule_that_walks(fa_custom_rule *call)
{
    return fa_backward(fa_sum(fa_mul(call->input[0], 2)));
}

static void test_custom_without_rule(void **state)
{
    (void)state;
    const fa_custom_op plain = {.name = "cube", .forward = cube_forward, .backward = cube_backward};
    fa_scope {
        fa_tensor *x = leaf(1, 2), *grads[1];
        fa_tensor *y = fa_custom(&plain, {x}, .numbers = {1});
        assert_true(fa_autograd_grad(FA_TENSORS(fa_sum(y)), FA_TENSORS(x), grads, .create_graph = true));
        assert_true(fa_requires_grad(grads[0]));
        check_values(grads[0], 3, 12);
        assert_false(fa_backward(fa_sum(grads[0])));
        check_error(FA_STATE_ERROR, "cube");
        assert_null(fa_grad(x));
    }
    static const struct {
        bool (*rule)(fa_custom_rule *call);
        fa_error_kind kind;
        const char *part;
    } wrong[] = {{rule_without_reason, FA_STATE_ERROR, "without a reason"},
                 {rule_of_wrong_shape, FA_SHAPE_ERROR, "[3]"},
                 {rule_that_walks, FA_STATE_ERROR, "while gradients are being recorded"}};
    for (int i = 0; i < 3; i++)
        fa_scope {
            const fa_custom_op op = {.name = "cube", .forward = cube_forward, .rule = wrong[i].rule};
            fa_tensor *x = leaf(1, 2), *y = fa_custom(&op, {x}, .numbers = {1});
            assert_false(fa_backward(fa_sum(y), .retain_graph = true));
            check_error(wrong[i].kind, wrong[i].part);
            assert_null(fa_grad(x));
        }
    fa_scope {
        const fa_custom_op op = {.name = "cube", .forward = cube_forward, .rule = rule_of_nothing};
        fa_tensor *x = leaf(1, 2);
        assert_true(fa_backward(fa_sum(fa_custom(&op, {x}, .numbers = {1}))));
        check_values(fa_grad(x), 0, 0);
        /* A leaf that was written since is not what the op has read. */
        const fa_custom_op ruled = {.name = "cube", .forward = cube_forward, .rule = cube_rule};
        fa_tensor *y = fa_custom(&ruled, {x}, .numbers = {1});
        fa_no_grad {
            fa_add_(x, 1);
        }
        assert_false(fa_backward(fa_sum(y)));
        check_error(FA_STATE_ERROR, "changed in place");
    }
    assert_string_equal(fa_error(), "");
}

/* ---- Retained gradients, fa_enable_grad ----------------------------------------------------------------------------
 */

static void test_retain_grad(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = leaf(1, 2), *y = fa_mul(x, x), *z = fa_exp(fa_mul(y, 0)), *plain = fa_ones(2);
        assert_null(fa_grad(y));
        check_error(FA_STATE_ERROR, "fa_retain_grad");
        assert_ptr_equal(fa_retain_grad(y), y);
        assert_ptr_equal(fa_retain_grad(x), x); /* a leaf keeps it anyway */
        assert_null(fa_grad(y));
        fa_tensor *loss = fa_sum(fa_mul(fa_mul(y, y), z));
        assert_true(fa_backward(loss, .retain_graph = true));
        check_values(fa_grad(y), 2, 8);
        check_values(fa_grad(x), 4, 32);
        assert_true(fa_backward(loss));
        check_values(fa_grad(y), 4, 16);
        check_values(fa_grad(x), 8, 64);
        assert_null(fa_retain_grad(plain));
        check_error(FA_STATE_ERROR, "without history");
    }
    assert_string_equal(fa_error(), "");
}

static void test_enable_grad(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = leaf(1, 2);
        fa_no_grad {
            assert_false(fa_requires_grad(fa_mul(x, 2)));
            fa_enable_grad {
                assert_true(fa_grad_enabled());
                assert_true(fa_backward(fa_sum(fa_mul(x, 2))));
            }
            assert_false(fa_grad_enabled());
        }
        assert_true(fa_grad_enabled());
        check_values(fa_grad(x), 2, 2);
    }
    assert_string_equal(fa_error(), "");
}

/* ---- Clipping ------------------------------------------------------------------------------------------------------
 */

static void give_gradient(fa_tensor *x, double a, double b)
{
    assert_true(fa_backward(fa_sum(fa_mul(x, fa_tensor_of_as(FA_FLOAT64, FA_SHAPE(2), a, b)))));
}

static void test_clip_grad_norm(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = leaf(0, 0), *y = leaf(0, 0), *unused = leaf(0, 0);
        fa_tensor_list all = FA_TENSORS(x, unused, y);
        assert_true(fa_item(fa_clip_grad_norm_(all, 1)) == 0);
        give_gradient(x, 3, 0);
        give_gradient(y, 0, -4);
        fa_tensor *norm = fa_clip_grad_norm_(all, 2.5);
        assert_true(fabs(fa_item(norm) - 5) < 1e-12);
        const double factor = 2.5 / (5 + 1e-6);
        check_values(fa_grad(x), 3 * factor, 0);
        check_values(fa_grad(y), 0, -4 * factor);
        assert_null(fa_grad(unused));
        fa_clip_grad_norm_(all, 100); /* nothing to clip: a factor of 1 */
        check_values(fa_grad(x), 3 * factor, 0);
        assert_true(fabs(fa_item(fa_clip_grad_norm_(all, 100, .norm_type = INFINITY)) - 4 * factor) < 1e-12);
        assert_true(fabs(fa_item(fa_clip_grad_norm_(all, 100, .norm_type = 1)) - 7 * factor) < 1e-12);
        assert_true(fabs(fa_item(fa_clip_grad_norm_(all, 100, .norm_type = 3)) - factor * cbrt(27 + 64)) < 1e-12);
        assert_null(fa_clip_grad_norm_(all, 1, .norm_type = 0));
        check_error(FA_VALUE_ERROR, "norm_type 0");

        give_gradient(y, 0, INFINITY);
        assert_null(fa_clip_grad_norm_(all, 1, .error_if_nonfinite = true));
        check_error(FA_VALUE_ERROR, "inf");
        check_values(fa_grad(x), 3 * factor, 0);
        assert_true(isinf(fa_item(fa_clip_grad_norm_(all, 1))));
        check_values(fa_grad(x), 0, 0); /* 1 / infinity */
        assert_true(isnan(((const double *)fa_data(fa_grad(y)))[1]));
    }
    assert_string_equal(fa_error(), "");
}

static void test_clip_grad_value(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = leaf(0, 0), *unused = leaf(0, 0);
        give_gradient(x, 3, -INFINITY);
        assert_true(fa_clip_grad_value_(FA_TENSORS(unused, x), 2));
        check_values(fa_grad(x), 2, -2);
        give_gradient(x, NAN, 1);
        assert_true(fa_clip_grad_value_(FA_TENSORS(x), 0.5));
        const double *g = fa_data(fa_grad(x));
        assert_true(isnan(g[0]) && g[1] == -0.5);
        assert_false(fa_clip_grad_value_(FA_TENSORS(x), -1));
        check_error(FA_VALUE_ERROR, "clip_value -1");
    }
    assert_string_equal(fa_error(), "");
}

int main(void)
{
    enum { SECONDS = sizeof seconds / sizeof *seconds };
    seed = test_seed(1);
    struct CMUnitTest tests[SECONDS + 16] = {
        cmocka_unit_test_setup(test_grad_of_leaves_and_computed, no_error),
        cmocka_unit_test_setup(test_grad_walks_no_further, no_error),
        cmocka_unit_test_setup(test_grad_errors, no_error),
        cmocka_unit_test_setup(test_third, no_error),
        cmocka_unit_test_setup(test_penalty, no_error),
        cmocka_unit_test_setup(test_second_at_edges, no_error),
        cmocka_unit_test_setup(test_custom_rules, no_error),
        cmocka_unit_test_setup(test_custom_without_rule, no_error),
        cmocka_unit_test_setup(test_retain_grad, no_error),
        cmocka_unit_test_setup(test_enable_grad, no_error),
        cmocka_unit_test_setup(test_clip_grad_norm, no_error),
        cmocka_unit_test_setup(test_clip_grad_value, no_error),
    };
    size_t count = 0;
    while (tests[count].test_func)
        count++;
    for (size_t i = 0; i < SECONDS; i++)
        tests[count++] = (struct CMUnitTest){.name = seconds[i].name,
                                             .test_func = check_second,
                                             .setup_func = no_error,
                                             .initial_state = (void *)(uintptr_t)&seconds[i]};
    return _cmocka_run_group_tests("autograd", tests, count, NULL, NULL);
}
