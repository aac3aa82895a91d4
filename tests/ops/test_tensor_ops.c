/* Tensor ops that the op tables do not reach: views and what they refuse, writes through views, types of results,
 * casts, in-place ops, and ops from outside the library. Expected numbers are PyTorch's. */
#include <facula.h>

#include "support/facula_test.h"

#include <math.h>

static fa_tensor *counting(int64_t rows, int64_t columns, fa_dtype dtype)
{
    double values[64];
    for (int64_t i = 0; i < rows * columns; i++)
        values[i] = (double)i;
    return fa_tensor_of_at(FA_SHAPE(rows, columns), dtype, rows * columns, values, FA_HERE);
}

static void assert_values(fa_tensor *x, fa_shape shape, const double *want)
{
    assert_string_equal(fa_error(), "");
    const fa_shape got = fa_shape_of(x);
    assert_int_equal(got.ndim, shape.ndim);
    for (int d = 0; d < shape.ndim; d++)
        assert_int_equal(got.size[d], shape.size[d]);
    const double *data = fa_data(fa_to_dtype(x, FA_FLOAT64));
    assert_non_null(data);
    assert_all_close_f64(data, want, fa_numel(x), 1e-6, 0);
}
#define assert_tensor(x, shape, ...) assert_values((x), (shape), (double[]){__VA_ARGS__})

static void assert_refused(const void *result, const char *part)
{
    assert_null(result);
    assert_false(fa_ok());
    assert_contains(fa_error(), part);
    fa_clear_error();
}

static void views_have_the_values_and_contiguity_of_torch(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = counting(3, 4, FA_FLOAT32);
        fa_tensor *t = fa_transpose(x, 0, 1);
        assert_false(fa_is_contiguous(t));
        assert_tensor(t, FA_SHAPE(4, 3), 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11);
        assert_refused(fa_view(t, 12), "fa_reshape");
        assert_tensor(fa_reshape(t, 12), FA_SHAPE(12), 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11);
        /* One dimension may be split, whatever the others are. */
        assert_tensor(fa_view(t, 2, 2, 3), FA_SHAPE(2, 2, 3), 0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11);
        assert_true(fa_is_contiguous(fa_transpose(t, 0, 1)));
        fa_tensor *rows = fa_slice(x, 0, 1, 3), *columns = fa_slice(x, 1, -3, -1);
        assert_true(fa_is_contiguous(rows));
        assert_non_null(fa_view(rows, 8));
        assert_false(fa_is_contiguous(columns));
        assert_tensor(columns, FA_SHAPE(3, 2), 1, 2, 5, 6, 9, 10);
        assert_refused(fa_view(columns, -1), "elements do not lie in order");
        assert_tensor(fa_select(x, 1, -1), FA_SHAPE(3), 3, 7, 11);
        assert_tensor(fa_slice_at(x, 1, 0, 100, 3, FA_HERE), FA_SHAPE(3, 2), 0, 3, 4, 7, 8, 11);
        assert_true(fa_is_contiguous(fa_contiguous(t)));
        assert_false(fa_is_contiguous(fa_clone(t)));
        fa_tensor *wide = fa_expand(fa_unsqueeze(fa_select(x, 0, 0), 1), -1, 2);
        assert_tensor(wide, FA_SHAPE(4, 2), 0, 0, 1, 1, 2, 2, 3, 3);
        assert_refused(fa_view(wide, 8), "needs dimensions that need no copy");
        assert_tensor(fa_permute(fa_view(x, 3, 2, 2), 2, 0, 1), FA_SHAPE(2, 3, 2), 0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9,
                      11);
        assert_tensor(fa_squeeze(fa_slice(x, 0, 2, 3), 0), FA_SHAPE(4), 8, 9, 10, 11);
        assert_tensor(fa_flatten_at(fa_view(x, 1, 3, 2, 2), 1, 2, FA_HERE), FA_SHAPE(1, 6, 2), 0, 1, 2, 3, 4, 5, 6, 7,
                      8, 9, 10, 11);
        assert_refused(fa_select(x, 0, 3), "got index 3, needs -3 to 2");
        assert_refused(fa_view(x, 5, -1), "product divides 12");
        assert_refused(fa_permute(x, 0, 0), "each dimension once");
        assert_refused(fa_expand(x, 3, 5), "to expand to [3, 5]");
    }
}

static void writes_through_views_reach_the_base(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *leaf = counting(2, 3, FA_FLOAT32);
        fa_set_requires_grad_at(leaf, true, FA_HERE);
        fa_tensor *x = fa_mul(leaf, 1);
        fa_tensor *flat = fa_view(x, 6), *row = fa_select(x, 0, 1);
        fa_mul_(row, 10);
        assert_tensor(x, FA_SHAPE(2, 3), 0, 1, 2, 30, 40, 50);
        assert_tensor(flat, FA_SHAPE(6), 0, 1, 2, 30, 40, 50);
        fa_zero_(fa_select(fa_transpose(x, 0, 1), 0, 2));
        assert_tensor(x, FA_SHAPE(2, 3), 0, 1, 0, 30, 40, 0);
        assert_tensor(row, FA_SHAPE(3), 30, 40, 0);
        assert_true(fa_backward(fa_sum(x)));
        assert_tensor(fa_grad(leaf), FA_SHAPE(2, 3), 1, 1, 0, 10, 10, 0);
    }
}

static void results_have_the_type_that_torch_gives(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *bytes = counting(1, 3, FA_UINT8), *ints = counting(1, 3, FA_INT64),
                  *floats = counting(1, 3, FA_FLOAT32);
        fa_tensor *doubles = counting(1, 3, FA_FLOAT64), *bools = fa_eq(ints, 1);
        fa_tensor *single = fa_tensor_of_as(FA_FLOAT64, FA_SCALAR, 0.5);
        assert_int_equal(fa_dtype_of(fa_add(ints, floats)), FA_FLOAT32);
        assert_int_equal(fa_dtype_of(fa_add(floats, doubles)), FA_FLOAT64);
        assert_int_equal(fa_dtype_of(fa_mul(floats, single)), FA_FLOAT32);
        assert_int_equal(fa_dtype_of(fa_mul(ints, single)), FA_FLOAT64);
        assert_int_equal(fa_dtype_of(fa_div(ints, ints)), FA_FLOAT32);
        assert_int_equal(fa_dtype_of(fa_add(bytes, bools)), FA_UINT8);
        assert_int_equal(fa_dtype_of(bools), FA_BOOL);
        assert_int_equal(fa_dtype_of(fa_mul(ints, 2)), FA_INT64);
        assert_int_equal(fa_dtype_of(fa_mul(ints, 2.5)), FA_FLOAT32);
        fa_tensor *count = fa_sum(bools);
        assert_int_equal(fa_dtype_of(count), FA_INT64);
        assert_tensor(count, FA_SCALAR, 1);
        assert_tensor(fa_sub(bytes, 1), FA_SHAPE(1, 3), 255, 0, 1);
        assert_tensor(fa_add(bools, bools), FA_SHAPE(1, 3), 0, 1, 0);
        assert_tensor(fa_to_dtype(fa_tensor_of(FA_SHAPE(5), 300, -1, 2.9, -2.9, NAN), FA_UINT8), FA_SHAPE(5), 44, 255,
                      2, 254, 0);
        assert_tensor(fa_to_dtype(fa_tensor_of(FA_SHAPE(3), NAN, 0, -0.5), FA_BOOL), FA_SHAPE(3), 1, 0, 1);
        assert_tensor(fa_to_dtype(fa_tensor_of(FA_SHAPE(2), 3e9, INFINITY), FA_INT32), FA_SHAPE(2), INT32_MIN,
                      INT32_MIN);
        assert_refused(fa_mean(ints), "float32 or float64");
        assert_refused(fa_sub(ints, bools), "got bool");
        assert_refused(fa_pow(ints, -1), "to the power -1");
        assert_refused(fa_add_(ints, floats), "fits into the int64 tensor");
        assert_refused(fa_matmul(floats, fa_transpose(doubles, 0, 1)), "same type");
    }
}

static void maxima_are_the_first_and_nan_wins(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = fa_tensor_of(FA_SHAPE(4, 3), 1, 3, 3, NAN, 5, NAN, -1, -2, -3, 7, 7, 7), *indices;
        fa_set_requires_grad_at(x, true, FA_HERE);
        fa_tensor *most = fa_max(x, 1, &indices);
        assert_tensor(indices, FA_SHAPE(4), 1, 0, 0, 0);
        assert_tensor(most, FA_SHAPE(4), 3, NAN, -1, 7);
        assert_true(fa_backward(most, .gradient = fa_tensor_of(FA_SHAPE(4), 1, 2, 3, 4)));
        assert_tensor(fa_grad(x), FA_SHAPE(4, 3), 0, 1, 0, 2, 0, 0, 3, 0, 0, 4, 0, 0);
        assert_tensor(fa_argmax(fa_transpose(fa_detach(x), 0, 1), 0), FA_SHAPE(4), 1, 0, 0, 0);
        assert_refused(fa_argmax(fa_zeros(0, 3), 0), "at least one element");
    }
}

static void parts_are_views_and_need_room(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = counting(3, 4, FA_FLOAT32), *part[2] = {NULL}, *row[3] = {NULL}, *one[1] = {NULL};
        assert_int_equal(fa_chunk(x, 2, 1, part), 2);
        fa_zero_(part[1]);
        assert_tensor(x, FA_SHAPE(3, 4), 0, 1, 0, 0, 4, 5, 0, 0, 8, 9, 0, 0);
        assert_int_equal(fa_unbind(x, 0, row), 3);
        fa_mul_(row[1], 10);
        assert_tensor(x, FA_SHAPE(3, 4), 0, 1, 0, 0, 40, 50, 0, 0, 8, 9, 0, 0);
        assert_tensor(part[0], FA_SHAPE(3, 2), 0, 1, 40, 50, 8, 9);
        assert_int_equal(fa_split(x, 1, 0, one), 0);
        assert_refused(one[0], "got room for 1 tensors, needs 3");
        const int64_t sizes[] = {1, 2};
        assert_int_equal(fa_split_sizes(x, sizes, 0, part), 2);
        assert_tensor(fa_narrow(part[1], 0, -1, 1), FA_SHAPE(1, 4), 8, 9, 0, 0);
        fa_fill_(fa_slice_step(fa_t(x), 0, 0, 4, 2), 7);
        assert_tensor(x, FA_SHAPE(3, 4), 7, 1, 7, 0, 7, 50, 7, 0, 7, 9, 7, 0);
    }
}

static void indices_may_be_computed_and_are_checked_when_they_are(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = counting(3, 4, FA_FLOAT32);
        fa_set_requires_grad_at(x, true, FA_HERE);
        fa_tensor *scores = fa_tensor_of(FA_SHAPE(3, 4), 0, 9, 1, 2, 9, 0, 1, 2, 0, 1, 2, 9), *best = NULL;
        fa_max(scores, 1, &best, .keepdim = true);
        fa_tensor *taken = fa_gather(x, 1, best);
        assert_true(fa_backward(fa_sum(fa_mul(taken, taken))));
        assert_tensor(fa_grad(x), FA_SHAPE(3, 4), 0, 2, 0, 0, 8, 0, 0, 0, 0, 0, 0, 22);
        assert_tensor(fa_index_select(fa_detach(x), 0, fa_argsort(fa_tensor_of(FA_SHAPE(3), 5, 1, 3))), FA_SHAPE(3, 4),
                      4, 5, 6, 7, 8, 9, 10, 11, 0, 1, 2, 3);
        fa_tensor *beyond = fa_gather(x, 1, fa_add(best, 1));
        assert_refused(fa_data(beyond), "got index 4 (element 2 of the indices), needs 0 to 3");
        /* The gradient alone finds it too. */
        fa_backward(fa_sum(fa_index_select(x, 0, fa_tensor_of_as(FA_INT64, FA_SHAPE(1), 3))));
        fa_sync();
        assert_refused(NULL, "got index 3 (element 0 of the indices), needs 0 to 2");
    }
}

static void autograd_prints_the_names_of_torch(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = fa_set_requires_grad_at(counting(2, 2, FA_FLOAT32), true, FA_HERE), *part[2] = {NULL};
        const struct {
            fa_tensor *y;
            const char *name;
        } cases[] = {
            {fa_var(x), "VarBackward0"},
            {fa_std(x), "StdBackward0"},
            {fa_norm(x), "LinalgVectorNormBackward0"},
            {fa_prod(x), "ProdBackward0"},
            {fa_prod(x, .dims = FA_SHAPE(0)), "ProdBackward1"},
            {fa_amax(x), "AmaxBackward0"},
            {fa_amin(x), "AminBackward0"},
            {fa_max(x), "MaxBackward1"},
            {fa_min(x), "MinBackward1"},
            {fa_max(x, 0), "MaxBackward0"},
            {fa_min(x, 0), "MinBackward0"},
            {fa_logsumexp(x), "LogsumexpBackward0"},
            {fa_cumsum(x, 0), "CumsumBackward0"},
            {fa_sort(x), "SortBackward0"},
            {fa_topk(x, 1), "TopkBackward0"},
            {fa_cat(FA_TENSORS(x, x), 0), "CatBackward0"},
            {fa_stack(FA_TENSORS(x, x), 0), "StackBackward0"},
            {fa_flip(x, 0), "FlipBackward0"},
            {fa_roll(x, 1, 0), "RollBackward0"},
            {fa_repeat(x, 1, 2), "RepeatBackward0"},
            {fa_gather(x, 0, fa_tensor_of_as(FA_INT64, FA_SHAPE(1, 1), 0)), "GatherBackward0"},
            {fa_index_select(x, 0, fa_tensor_of_as(FA_INT64, FA_SHAPE(1), 0)), "IndexSelectBackward0"},
            {fa_take_rows(x, 0), "IndexBackward0"},
            {fa_narrow(x, 0, 0, 1), "SliceBackward0"},
            {fa_squeeze_all(x), "SqueezeBackward0"},
            {fa_t(x), "TBackward0"},
            {fa_movedim(x, 0, 1), "PermuteBackward0"},
            {fa_split(x, 1, 0, part) == 2 ? part[0] : NULL, "SplitBackward0"},
            {fa_unbind(x, 0, part) == 2 ? part[0] : NULL, "UnbindBackward0"},
            {fa_pad(x, FA_SHAPE(1, 1)), "ConstantPadNdBackward0"},
            {fa_pad(x, FA_SHAPE(1, 1), .mode = FA_PAD_REFLECT), "ReflectionPad1DBackward0"},
            {fa_pad(x, FA_SHAPE(1, 1), .mode = FA_PAD_REPLICATE), "ReplicationPad1DBackward0"},
        };
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            char text[512], want[64];
            assert_true(fa_tensor_format(cases[i].y, text, sizeof text) > 0);
            snprintf(want, sizeof want, "grad_fn=<%s>", cases[i].name);
            assert_contains(text, want);
        }
    }
}

static bool scaled_shape(fa_custom_call *call)
{
    if (call->input_shape[0].ndim != 1 || call->inputs != 2) {
        fa_raise(FA_SHAPE_ERROR, "scaled_product: needs two vectors");
        return false;
    }
    return true;
}

static void scaled_forward(fa_custom_call *call)
{
    const float *x = call->input[0], *y = call->input[1];
    for (int64_t i = 0; i < call->output_shape.size[0]; i++)
        ((float *)call->output)[i] = x[i] * y[i] * (float)call->numbers[0];
}

static void scaled_backward(fa_custom_call *call)
{
    const float *g = call->output_grad;
    for (int k = 0; k < 2; k++)
        for (int64_t i = 0; call->input_grad[k] && i < call->output_shape.size[0]; i++)
            ((float *)call->input_grad[k])[i] = g[i] * ((const float *)call->input[1 - k])[i] * (float)call->numbers[0];
}

static void an_op_from_outside_has_values_and_gradients(void **state)
{
    (void)state;
    static const fa_custom_op scaled = {
        .name = "scaled_product", .shape = scaled_shape, .forward = scaled_forward, .backward = scaled_backward};
    static const fa_custom_op forward_only = {.name = "forward_only", .shape = scaled_shape, .forward = scaled_forward};
    fa_scope {
        fa_tensor *x = fa_tensor_of(FA_SHAPE(3), 1, 2, 3), *y = fa_tensor_of(FA_SHAPE(3), 4, 5, 6);
        fa_set_requires_grad_at(x, true, FA_HERE);
        fa_set_requires_grad_at(y, true, FA_HERE);
        /* The numbers may change from call to call; each call keeps its own. */
        fa_tensor *half = fa_custom(&scaled, {x, y}, .numbers = {0.5});
        fa_tensor *twice = fa_custom(&scaled, {x, y}, .numbers = {2});
        assert_tensor(half, FA_SHAPE(3), 2, 5, 9);
        assert_tensor(twice, FA_SHAPE(3), 8, 20, 36);
        assert_true(fa_backward(fa_sum(fa_add(half, twice))));
        assert_tensor(fa_grad(x), FA_SHAPE(3), 10, 12.5, 15);
        assert_tensor(fa_grad(y), FA_SHAPE(3), 2.5, 5, 7.5);
        assert_false(fa_requires_grad(fa_custom(&forward_only, {x, y}, .numbers = {1})));
        assert_refused(fa_custom(&scaled, {fa_zeros(2, 2), y}), "needs two vectors");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(views_have_the_values_and_contiguity_of_torch),
        cmocka_unit_test(writes_through_views_reach_the_base),
        cmocka_unit_test(results_have_the_type_that_torch_gives),
        cmocka_unit_test(maxima_are_the_first_and_nan_wins),
        cmocka_unit_test(parts_are_views_and_need_room),
        cmocka_unit_test(indices_may_be_computed_and_are_checked_when_they_are),
        cmocka_unit_test(autograd_prints_the_names_of_torch),
        cmocka_unit_test(an_op_from_outside_has_values_and_gradients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
