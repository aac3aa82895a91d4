/* What the tables of op kinds do not reach of creation, elementwise ops, draws and types for storage: the forms of
 * macros, types of results, names that autograd prints, leaves and views in place. Expected values are PyTorch's. */
#include <facula.h>

#include "support/facula_test.h"

#include <math.h>
#include <string.h>

static void assert_values(fa_tensor *x, fa_dtype dtype, fa_shape shape, const double *want)
{
    assert_string_equal(fa_error(), "");
    assert_int_equal(fa_dtype_of(x), dtype);
    const fa_shape got = fa_shape_of(x);
    assert_int_equal(got.ndim, shape.ndim);
    for (int d = 0; d < shape.ndim; d++)
        assert_int_equal(got.size[d], shape.size[d]);
    const double *data = fa_data(fa_to_dtype(x, FA_FLOAT64));
    assert_non_null(data);
    assert_all_close_f64(data, want, fa_numel(x), 1e-6, 0);
}
#define assert_tensor(x, dtype, shape, ...) assert_values((x), (dtype), (shape), (double[]){__VA_ARGS__})

static void assert_refused_at(const void *result, const char *part, const char *hint)
{
    assert_null(result);
    assert_false(fa_ok());
    assert_contains(fa_error(), part);
    assert_contains(fa_error(), hint);
    fa_clear_error();
}
#define assert_refused(result, part) assert_refused_at((result), (part), "Hint: ")

static void assert_text(fa_tensor *x, const char *want)
{
    char text[512];
    fa_tensor_format(x, text, sizeof text);
    assert_string_equal(fa_error(), "");
    assert_string_equal(text, want);
}

static void creation_has_the_forms_and_types_of_torch(void **state)
{
    (void)state;
    fa_scope {
        assert_tensor(fa_arange(3), FA_INT64, FA_SHAPE(3), 0, 1, 2);
        assert_tensor(fa_arange(3.0), FA_FLOAT32, FA_SHAPE(3), 0, 1, 2);
        assert_tensor(fa_arange(2, 5), FA_INT64, FA_SHAPE(3), 2, 3, 4);
        assert_tensor(fa_arange(2, 4.5f), FA_FLOAT32, FA_SHAPE(3), 2, 3, 4);
        assert_tensor(fa_arange(5, 0, -2), FA_INT64, FA_SHAPE(3), 5, 3, 1);
        assert_tensor(fa_arange(0, 1, 0.5), FA_FLOAT32, FA_SHAPE(2), 0, 0.5);
        assert_tensor(fa_arange_with(0, 2, 1, .dtype = FA_FLOAT64), FA_FLOAT64, FA_SHAPE(2), 0, 1);
        assert_tensor(fa_linspace(0, 1, 3), FA_FLOAT32, FA_SHAPE(3), 0, 0.5, 1);
        assert_tensor(fa_linspace(0, 1, 2, .dtype = FA_FLOAT64, .requires_grad = true), FA_FLOAT64, FA_SHAPE(2), 0, 1);
        assert_tensor(fa_eye(2), FA_FLOAT32, FA_SHAPE(2, 2), 1, 0, 0, 1);
        assert_tensor(fa_eye(1, 2), FA_FLOAT32, FA_SHAPE(1, 2), 1, 0);
        fa_tensor *x = fa_full(FA_SHAPE(2), 7, .dtype = FA_INT32);
        assert_tensor(fa_zeros_like(x), FA_INT32, FA_SHAPE(2), 0, 0);
        assert_tensor(fa_ones_like(x, .dtype = FA_FLOAT32), FA_FLOAT32, FA_SHAPE(2), 1, 1); /* FA_FLOAT32 is 0 */
        assert_tensor(fa_full_like(x, 2.5), FA_INT32, FA_SHAPE(2), 2, 2);
        assert_int_equal(fa_dtype_of(fa_empty_like(x)), FA_INT32);
        assert_int_equal(fa_numel(fa_empty(2, 3)), 6);
        assert_true(fa_requires_grad(fa_zeros_like(fa_ones(2), .requires_grad = true)));
        fa_manual_seed(3);
        fa_tensor *drawn = fa_rand(4, 5);
        fa_manual_seed(3);
        assert_same_bytes(fa_data(fa_rand_like(fa_zeros(4, 5))), fa_data(drawn), 80);
    }
}

static void numbers_stand_for_either_operand(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = fa_tensor_of(FA_SHAPE(2), 2, 4), *n = fa_tensor_of_as(FA_INT64, FA_SHAPE(2), 2, -1);
        fa_tensor *mask = fa_gt(x, 3);
        assert_tensor(fa_sub(1, x), FA_FLOAT32, FA_SHAPE(2), -1, -3);
        assert_tensor(fa_sub(1.5, n), FA_FLOAT32, FA_SHAPE(2), -0.5, 2.5);
        assert_tensor(fa_div(1, x), FA_FLOAT32, FA_SHAPE(2), 0.5, 0.25);
        assert_tensor(fa_pow(2, x), FA_FLOAT32, FA_SHAPE(2), 4, 16);
        assert_tensor(fa_pow(x, 2), FA_FLOAT32, FA_SHAPE(2), 4, 16);
        assert_tensor(fa_pow(x, n), FA_FLOAT32, FA_SHAPE(2), 4, 0.25);
        assert_tensor(fa_where(mask, 1, 2), FA_INT64, FA_SHAPE(2), 2, 1);
        assert_tensor(fa_where(mask, 1, 2.0), FA_FLOAT32, FA_SHAPE(2), 2, 1);
        assert_tensor(fa_where(mask, x, 2), FA_FLOAT32, FA_SHAPE(2), 2, 4);
        assert_tensor(fa_where(mask, n, 3), FA_INT64, FA_SHAPE(2), 3, -1);
        assert_tensor(fa_where(mask, 3.0, n), FA_FLOAT32, FA_SHAPE(2), 2, 3);
        assert_tensor(fa_where(mask, -INFINITY, x), FA_FLOAT32, FA_SHAPE(2), 2, -INFINITY);
        assert_tensor(fa_clamp(x, 3, 3.5), FA_FLOAT32, FA_SHAPE(2), 3, 3.5);
        assert_tensor(fa_clamp(x, .max = NAN), FA_FLOAT32, FA_SHAPE(2), NAN, NAN);
        assert_tensor(fa_clamp(x, .min = 0), FA_FLOAT32, FA_SHAPE(2), 2, 4);
        assert_tensor(fa_clamp_min(x, 3), FA_FLOAT32, FA_SHAPE(2), 3, 4);
        assert_tensor(fa_clamp_max(n, 0), FA_INT64, FA_SHAPE(2), 0, -1);
        assert_tensor(fa_any(fa_gt(x, 2), .dims = FA_SHAPE(0), .keepdim = true), FA_BOOL, FA_SHAPE(1), 1);
        assert_tensor(fa_all(fa_gt(x, 2)), FA_BOOL, FA_SCALAR, 0);
        fa_tensor *nothing = NULL;
        assert_refused(fa_where(mask, nothing, x), "got NULL for a");
    }
}

static void autograd_has_the_names_of_torch(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = fa_full(FA_SHAPE(1), 0.5, .requires_grad = true), *mask = fa_gt(x, 0);
        assert_text(fa_log1p(x), "tensor([0.4055], grad_fn=<Log1PBackward0>)");
        assert_text(fa_rsqrt(x), "tensor([1.4142], grad_fn=<RsqrtBackward0>)");
        assert_text(fa_erf(x), "tensor([0.5205], grad_fn=<ErfBackward0>)");
        assert_text(fa_abs(x), "tensor([0.5000], grad_fn=<AbsBackward0>)");
        assert_text(fa_sign(x), "tensor([1.], grad_fn=<SignBackward0>)");
        assert_text(fa_round(x), "tensor([0.], grad_fn=<RoundBackward0>)");
        assert_text(fa_floor(x), "tensor([0.], grad_fn=<FloorBackward0>)");
        assert_text(fa_ceil(x), "tensor([1.], grad_fn=<CeilBackward0>)");
        assert_text(fa_clamp(x, 0, 1), "tensor([0.5000], grad_fn=<ClampBackward1>)");
        assert_text(fa_clamp_min(x, 1), "tensor([1.], grad_fn=<ClampMinBackward0>)");
        assert_text(fa_clamp_max(x, 1), "tensor([0.5000], grad_fn=<ClampMaxBackward0>)");
        assert_text(fa_maximum(x, x), "tensor([0.5000], grad_fn=<MaximumBackward0>)");
        assert_text(fa_minimum(x, x), "tensor([0.5000], grad_fn=<MinimumBackward0>)");
        assert_text(fa_pow(x, x), "tensor([0.7071], grad_fn=<PowBackward1>)");
        assert_text(fa_pow(2, x), "tensor([1.4142], grad_fn=<PowBackward2>)");
        assert_text(fa_where(mask, x, 0), "tensor([0.5000], grad_fn=<WhereBackward0>)");
        assert_text(fa_masked_fill(x, mask, 2), "tensor([2.], grad_fn=<MaskedFillBackward0>)");
        assert_text(fa_remainder(x, x), "tensor([0.], grad_fn=<RemainderBackward1>)");
        assert_text(fa_remainder(x, 2), "tensor([0.5000], grad_fn=<RemainderBackward0>)");
        assert_text(fa_sub(2, x), "tensor([1.5000], grad_fn=<RsubBackward1>)");
        assert_text(mask, "tensor([True])");
        assert_false(fa_requires_grad(fa_floor_divide(x, 2)));
    }
}

static void leaves_and_views_change_in_place(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = fa_arange(6.0), *square = fa_view(x, 2, 3);
        fa_sub_(x, 1);
        fa_div_(fa_select(square, 0, 1), 2);
        assert_tensor(x, FA_FLOAT32, FA_SHAPE(6), -1, 0, 1, 1, 1.5, 2);
        fa_clamp_(square, .max = 1);
        fa_masked_fill_(x, fa_lt(x, 0), 9);
        assert_tensor(square, FA_FLOAT32, FA_SHAPE(2, 3), 9, 0, 1, 1, 1, 1);
        fa_copy_(fa_select(square, 0, 0), fa_tensor_of_as(FA_INT64, FA_SHAPE(1), 5));
        fa_sub_(fa_select(square, 1, 0), fa_full(FA_SHAPE(1), 2, .dtype = FA_INT64));
        assert_tensor(x, FA_FLOAT32, FA_SHAPE(6), 3, 5, 5, -1, 1, 1);
        assert_true(fa_is_leaf(x));
        fa_tensor *n = fa_tensor_of_as(FA_INT64, FA_SHAPE(2), 7, -7);
        fa_clamp_(fa_sub_(n, 1), -3, 3);
        assert_tensor(n, FA_INT64, FA_SHAPE(2), 3, -3);

        /* A row is drawn into as a tensor of its own would be; columns in the order of memory. */
        fa_manual_seed(5);
        fa_tensor *alone = fa_normal_(fa_empty(3), 1, 2);
        fa_manual_seed(5);
        fa_normal_(fa_select(square, 0, 1), 1, 2);
        assert_same_bytes((const float *)fa_data(x) + 3, fa_data(alone), 12);
        fa_manual_seed(5);
        alone = fa_normal_(fa_empty(6), 1, 2);
        fa_manual_seed(5);
        fa_normal_(fa_transpose(square, 0, 1), 1, 2);
        assert_same_bytes(fa_data(x), fa_data(alone), 24);
    }
}

/* What is refused has drawn nothing. */
static void a_draw_that_is_refused_draws_nothing(void **state)
{
    (void)state;
    uint8_t before[FA_GENERATOR_STATE_SIZE], after[FA_GENERATOR_STATE_SIZE];
    fa_generator *own = fa_generator_new();
    fa_scope {
        fa_tensor *leaf = fa_ones_with(FA_SHAPE(20), .requires_grad = true);
        fa_manual_seed(1);
        fa_generator_get_state(NULL, before);
        assert_refused(fa_uniform_(leaf), "fa_no_grad");
        assert_refused(fa_normal_(leaf), "fa_no_grad");
        assert_refused(fa_bernoulli_(leaf), "fa_no_grad");
        assert_refused(fa_exponential_(leaf), "fa_no_grad");
        assert_refused(fa_exponential_(fa_empty(3), 0), "got lambda = 0");
        assert_refused(fa_multinomial(fa_tensor_of(FA_SHAPE(3), 1, -1, 1), 1), "got weight -1 in place 1 of row 0");
        assert_refused(fa_multinomial(fa_tensor_of(FA_SHAPE(2, 2), 1, 1, 0, 1), 2), "got 1 weights above 0 in row 1");
        assert_refused(fa_multinomial(fa_zeros(3), 1, .replacement = true), "needs at least 1");
        assert_refused(fa_multinomial(fa_ones(3), 0), "num_samples 0");
        assert_refused(fa_multinomial(fa_full(FA_SHAPE(3), 1, .dtype = FA_INT64), 1), "got int64 [3]");
        assert_refused(fa_multinomial(fa_ones(1, 1, 3), 1), "[n] or [rows, n]");
        fa_uniform_(fa_empty(9), .generator = own);
        fa_generator_get_state(NULL, after);
        assert_memory_equal(before, after, sizeof before);
        fa_no_grad {
            fa_normal_(leaf);
        }
        assert_true(fa_requires_grad(leaf) && fa_is_leaf(leaf));
        fa_generator_get_state(NULL, after);
        assert_memory_not_equal(before, after, sizeof before);
    }
    fa_generator_free(own);
}

/* Draws keep the order of the program, whenever their tensors are read. */
static void draws_keep_their_order(void **state)
{
    (void)state;
    fa_scope {
        fa_manual_seed(2);
        fa_tensor *a = fa_uniform_(fa_empty(4)), *b = fa_bernoulli_(fa_empty(4), 0.5), *c = fa_rand(4);
        assert_non_null(fa_data(c));
        assert_non_null(fa_data(b));
        fa_tensor *first = fa_clone(a), *second = fa_clone(b);
        fa_manual_seed(2);
        assert_same_bytes(fa_data(fa_rand(4)), fa_data(first), 16);
        assert_same_bytes(fa_data(fa_bernoulli_(fa_empty(4), 0.5)), fa_data(second), 16);
        assert_same_bytes(fa_data(fa_rand(4)), fa_data(c), 16);
    }
}

static void storage_types_are_kept_moved_and_printed(void **state)
{
    (void)state;
    static const uint16_t bits[] = {0x3f80, 0xc020, 0x7f80, 0x0080}, halves[] = {0x3c00, 0xc100, 0x7c00, 0x0001};
    fa_scope {
        fa_tensor *b = fa_from_memory(bits, FA_BFLOAT16, FA_SHAPE(2, 2));
        fa_tensor *h = fa_from_memory(halves, FA_FLOAT16, FA_SHAPE(2, 2));
        assert_same_bytes(fa_data(b), bits, sizeof bits);
        assert_tensor(h, FA_FLOAT16, FA_SHAPE(2, 2), 1, -2.5, INFINITY, 0x1p-24);
        assert_tensor(fa_transpose(b, 0, 1), FA_BFLOAT16, FA_SHAPE(2, 2), 1, INFINITY, -2.5, 0x1p-126);
        assert_tensor(fa_contiguous(fa_transpose(h, 0, 1)), FA_FLOAT16, FA_SHAPE(2, 2), 1, INFINITY, -2.5, 0x1p-24);
        assert_tensor(fa_slice(h, 1, 0, 1), FA_FLOAT16, FA_SHAPE(2, 1), 1, INFINITY);
        assert_tensor(fa_expand(fa_slice(h, 1, 1, 2), 2, 2), FA_FLOAT16, FA_SHAPE(2, 2), -2.5, -2.5, 0x1p-24, 0x1p-24);
        assert_true(fa_item(fa_select(fa_select(b, 0, 0), 0, 1)) == -2.5);
        assert_text(fa_full(FA_SHAPE(2), 1.5, .dtype = FA_FLOAT16), "tensor([1.5000, 1.5000], dtype=torch.float16)");
        assert_text(fa_to_dtype(fa_tensor_of(FA_SHAPE(2), 1.00390625, 3e38), FA_BFLOAT16),
                    "tensor([1.0000e+00, 3.0041e+38], dtype=torch.bfloat16)");
        assert_text(h,
                    "tensor([[ 1.0000e+00, -2.5000e+00],\n        [        inf,  5.9605e-08]], dtype=torch.float16)");
        assert_text(fa_empty_with(FA_SHAPE(0), .dtype = FA_BFLOAT16), "tensor([], dtype=torch.bfloat16)");

        /* Written in place by copying alone; a part of it as well. */
        fa_copy_(fa_select(h, 0, 0), fa_tensor_of(FA_SHAPE(2), 65520, 0.1));
        assert_tensor(h, FA_FLOAT16, FA_SHAPE(2, 2), INFINITY, 0.0999755859375, INFINITY, 0x1p-24);
        assert_false(fa_requires_grad(fa_to_dtype(fa_ones_with(FA_SHAPE(2), .requires_grad = true), FA_FLOAT16)));
    }
}

static void storage_types_are_refused_elsewhere(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *h = fa_zeros_with(FA_SHAPE(2, 2), .dtype = FA_FLOAT16), *x = fa_ones(2, 2);
        assert_refused(fa_add(h, h), "add: got float16");
        assert_refused(fa_mul(x, h), "mul: got float16");
        assert_refused(fa_add(h, 1), "add: got float16");
        assert_refused(fa_mul(h, 0.5), "mul: got float16");
        assert_refused(fa_div(h, x), "div: got float16");
        assert_refused(fa_exp(h), "exp: got float16");
        assert_refused(fa_eq(h, 1), "eq: got float16");
        assert_refused(fa_sum(h), "sum: got float16");
        assert_refused(fa_matmul(h, x), "float16");
        assert_refused(fa_relu(h), "relu: got float16");
        assert_refused(fa_where(fa_gt(x, 0), h, 0), "where: got float16");
        assert_refused(fa_masked_fill(h, fa_gt(x, 0), 0), "float16");
        assert_refused(fa_clamp(h, 0, 1), "clamp: got float16");
        assert_refused(fa_add_(h, 1), "float16");
        assert_refused(fa_uniform_(h), "float16");
        assert_refused(fa_rand_like(h), "float16");
        assert_refused(fa_zeros_like(h, .requires_grad = true), "float16");
        assert_refused(fa_arange_with(0, 2, 1, .dtype = FA_BFLOAT16), "bfloat16");
        assert_tensor(fa_to_dtype(fa_add(fa_to_dtype(h, FA_FLOAT32), x), FA_FLOAT16), FA_FLOAT16, FA_SHAPE(2, 2), 1, 1,
                      1, 1);
    }
}

static void gradients_go_through_choices(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = fa_tensor_of(FA_SHAPE(4), -2, 0, 1, 3), *y = fa_tensor_of(FA_SHAPE(4), -2, 1, 0, 5);
        fa_set_requires_grad_at(x, true, FA_HERE);
        fa_set_requires_grad_at(y, true, FA_HERE);
        fa_tensor *kept = fa_masked_fill(fa_maximum(fa_clamp(x, -2, 2), y), fa_eq(x, 0), 0);
        fa_backward(fa_sum(kept));
        assert_string_equal(fa_error(), "");
        assert_tensor(fa_grad(x), FA_FLOAT32, FA_SHAPE(4), 0, 0, 1, 0);
        assert_tensor(fa_grad(y), FA_FLOAT32, FA_SHAPE(4), 0.5, 0, 0, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation_has_the_forms_and_types_of_torch),
        cmocka_unit_test(numbers_stand_for_either_operand),
        cmocka_unit_test(autograd_has_the_names_of_torch),
        cmocka_unit_test(leaves_and_views_change_in_place),
        cmocka_unit_test(a_draw_that_is_refused_draws_nothing),
        cmocka_unit_test(draws_keep_their_order),
        cmocka_unit_test(storage_types_are_kept_moved_and_printed),
        cmocka_unit_test(storage_types_are_refused_elsewhere),
        cmocka_unit_test(gradients_go_through_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
