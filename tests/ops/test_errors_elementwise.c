/* The mistakes of golden/errors_elementwise.json (support/mistakes.h): elementwise ops, draws, creation. */
#include "support/mistakes.h"

#include <math.h>

static fa_tensor *whole(double a, double b)
{
    return fa_tensor_of_as(FA_INT64, FA_SHAPE(2), a, b);
}

static fa_tensor *truth(bool wrong)
{
    return fa_tensor_of_as(wrong ? FA_BOOL : FA_INT64, FA_SHAPE(2), 1, 0);
}

static fa_tensor *mask(int64_t n)
{
    return fa_gt(fa_ones(n), 0);
}

static fa_tensor *leaf(void)
{
    return fa_ones_with(FA_SHAPE(3), .requires_grad = true);
}

PROGRAM(sub_bool)
{
    AT(fa_sub(truth(wrong), whole(1, 2)));
}

PROGRAM(rsub_bool)
{
    AT(fa_sub(1, truth(wrong)));
}

PROGRAM(neg_bool)
{
    AT(fa_neg(truth(wrong)));
}

PROGRAM(abs_bool)
{
    AT(fa_abs(truth(wrong)));
}

PROGRAM(round_bool)
{
    AT(fa_round(truth(wrong)));
}

PROGRAM(floor_bool)
{
    AT(fa_floor(truth(wrong)));
}

PROGRAM(pow_bool)
{
    AT(fa_pow(truth(wrong), truth(wrong)));
}

PROGRAM(pow_negative)
{
    AT(fa_pow(whole(2, 3), wrong ? -1 : 1));
}

PROGRAM(remainder_bool)
{
    fa_tensor *a = truth(wrong);
    AT(fa_remainder(a, wrong ? a : whole(2, 3)));
}

PROGRAM(remainder_zero)
{
    AT(fa_watch(fa_remainder(whole(1, 2), whole(1, wrong ? 0 : 1))));
}

PROGRAM(floor_divide_zero)
{
    AT(fa_data(fa_floor_divide(whole(1, 2), wrong ? 0 : 1)));
}

PROGRAM(floor_divide_int32)
{
    fa_tensor *b = fa_tensor_of_as(FA_INT32, FA_SHAPE(2), wrong ? 0 : 2, 1);
    AT(fa_data(fa_floor_divide(fa_to_dtype(whole(1, 2), FA_INT32), b)));
}

PROGRAM(maximum_shapes)
{
    AT(fa_maximum(fa_randn(2, 3), fa_randn(wrong ? 2 : 3)));
}

PROGRAM(lt_shapes)
{
    AT(fa_lt(fa_randn(2, 3), fa_randn(wrong ? 2 : 3)));
}

PROGRAM(logical_and_shapes)
{
    AT(fa_logical_and(fa_randn(2, 3), fa_randn(wrong ? 2 : 3)));
}

PROGRAM(where_condition)
{
    AT(fa_where(wrong ? whole(1, 0) : mask(2), fa_randn(2), fa_randn(2)));
}

PROGRAM(where_shapes)
{
    AT(fa_where(mask(wrong ? 2 : 3), fa_randn(3), fa_randn(3)));
}

PROGRAM(masked_fill_mask)
{
    AT(fa_masked_fill(fa_randn(2), wrong ? whole(1, 0) : mask(2), 0));
}

PROGRAM(masked_fill_shapes)
{
    AT(fa_masked_fill(fa_randn(2), mask(wrong ? 3 : 2), 0));
}

PROGRAM(masked_fill_wider)
{
    AT(fa_masked_fill_(fa_randn(2), wrong ? fa_gt(fa_ones(3, 2), 0) : mask(2), 0));
}

PROGRAM(clamp_nothing)
{
    AT(wrong ? fa_clamp(fa_randn(2)) : fa_clamp(fa_randn(2), .min = 0));
}

PROGRAM(clamp_beyond)
{
    AT(fa_clamp(fa_to_dtype(whole(1, 2), FA_UINT8), .min = wrong ? 300 : 200));
}

PROGRAM(clamp_fraction)
{
    AT(fa_clamp_(whole(1, 2), wrong ? 0.5 : 1));
}

PROGRAM(any_range)
{
    AT(fa_any(fa_randn(2), .dims = FA_SHAPE(wrong ? 1 : 0)));
}

PROGRAM(all_twice)
{
    AT(fa_all(fa_randn(2, 2), .dims = FA_SHAPE(0, wrong ? -2 : -1)));
}

PROGRAM(div_integers)
{
    AT(fa_div_(wrong ? whole(1, 2) : fa_ones(2), 2));
}

PROGRAM(add_fraction)
{
    AT(fa_add_(whole(1, 2), wrong ? 0.5 : 1));
}

PROGRAM(sub_inplace_bool)
{
    AT(fa_sub_(whole(1, 2), truth(wrong)));
}

PROGRAM(copy_shapes)
{
    AT(fa_copy_(fa_randn(2), fa_randn(wrong ? 3 : 1)));
}

PROGRAM(fill_leaf)
{
    AT(fa_fill_(wrong ? leaf() : fa_ones(3), 1));
}

PROGRAM(uniform_leaf)
{
    fa_tensor *x = leaf();
    if (wrong)
        AT(fa_uniform_(x));
    else
        fa_no_grad {
            fa_uniform_(x);
        }
}

PROGRAM(uniform_integers)
{
    AT(fa_uniform_(wrong ? whole(1, 2) : fa_empty(2)));
}

PROGRAM(uniform_order)
{
    AT(fa_uniform_(fa_empty(2), wrong ? 2 : 0, 1));
}

PROGRAM(uniform_range)
{
    AT(fa_uniform_(fa_empty(2), -3e38, wrong ? 3e38 : 0));
}

PROGRAM(normal_std)
{
    AT(fa_normal_(fa_empty(2), 0, wrong ? -1 : 0));
}

PROGRAM(normal_integers)
{
    AT(fa_normal_(wrong ? whole(1, 2) : fa_empty(2)));
}

PROGRAM(bernoulli_chance)
{
    AT(fa_bernoulli_(fa_empty(2), wrong ? 1.5 : 1));
}

PROGRAM(bernoulli_chances)
{
    AT(fa_bernoulli(fa_tensor_of(FA_SHAPE(2), 0.5, wrong ? 1.5 : 1)));
}

PROGRAM(bernoulli_integers)
{
    AT(fa_bernoulli(wrong ? whole(1, 0) : fa_ones(2)));
}

PROGRAM(arange_still)
{
    AT(fa_arange(1, 5, wrong ? 0 : 1));
}

PROGRAM(arange_way)
{
    AT(fa_arange(5, 1, wrong ? 1 : -1));
}

PROGRAM(arange_infinite)
{
    AT(fa_arange(0, wrong ? INFINITY : 3));
}

PROGRAM(arange_bool)
{
    AT(fa_arange_with(0, 2, 1, .dtype = wrong ? FA_BOOL : FA_UINT8));
}

PROGRAM(linspace_steps)
{
    AT(fa_linspace(0, 1, wrong ? -1 : 0));
}

PROGRAM(eye_size)
{
    AT(fa_eye(wrong ? -1 : 0));
}

PROGRAM(rand_like_integers)
{
    AT(fa_rand_like(whole(1, 2), .dtype = wrong ? FA_SAME_DTYPE : FA_FLOAT64));
}

PROGRAM(zeros_like_gradient)
{
    AT(fa_zeros_like(whole(1, 2), .requires_grad = wrong));
}

static const mistake mistakes[] = {
    {"sub: bool", sub_bool, "sub", NULL, "bool", "numbers"},
    {"rsub: bool", rsub_bool, "rsub", NULL, "bool", "numbers"},
    {"neg: bool", neg_bool, "neg", NULL, "bool", "numbers"},
    {"abs: bool", abs_bool, "abs", NULL, "bool", "numbers"},
    {"round: bool", round_bool, "round", NULL, "bool", "numbers"},
    {"floor: bool", floor_bool, "floor", NULL, "bool", "numbers"},
    {"pow: bool", pow_bool, "pow", NULL, "bool", "numbers"},
    {"pow: integer to a negative number", pow_negative, "pow", NULL, "-1", "0 or more"},
    {"remainder: bool", remainder_bool, "remainder", NULL, "bool", "numbers"},
    {"remainder: integer by 0", remainder_zero, "remainder", NULL, "0 as element 1", "divisor"},
    {"floor_divide: integer by 0", floor_divide_zero, "floor_divide", NULL, "0 as element 0", "divisor"},
    {"floor_divide: int32 by 0", floor_divide_int32, "floor_divide", NULL, "0 as element 0", "divisor"},
    {"maximum: shapes", maximum_shapes, "maximum", NULL, "[2, 3]", "[2]"},
    {"lt: shapes", lt_shapes, "lt", NULL, "[2, 3]", "[2]"},
    {"logical_and: shapes", logical_and_shapes, "logical_and", NULL, "[2, 3]", "[2]"},
    {"where: integer condition", where_condition, "where", NULL, "int64", "bool"},
    {"where: shapes", where_shapes, "where", NULL, "[3]", "[2]"},
    {"masked_fill: integer mask", masked_fill_mask, "masked_fill", NULL, "int64", "bool"},
    {"masked_fill: shapes", masked_fill_shapes, "masked_fill", NULL, "[2]", "[3]"},
    {"masked_fill_: the mask is wider", masked_fill_wider, "masked_fill_", NULL, "[3, 2]", "[2]"},
    {"clamp: no bound", clamp_nothing, "clamp", NULL, "no bound", "min, max or both"},
    {"clamp: a bound beyond the type", clamp_beyond, "clamp", NULL, "300", "uint8"},
    {"clamp_: fraction into integers", clamp_fraction, "clamp_", NULL, "float32", "int64"},
    {"any: dim out of range", any_range, "any", NULL, "1", "0"},
    {"all: dim given twice", all_twice, "all", NULL, "0", "once"},
    {"div_: integers", div_integers, "div_", NULL, "float32", "int64"},
    {"add_: fraction into integers", add_fraction, "add_", NULL, "float32", "int64"},
    {"sub_: bool", sub_inplace_bool, "sub_", NULL, "bool", "numbers"},
    {"copy_: shapes", copy_shapes, "expand", NULL, "[3]", "[2]"},
    {"fill_: a leaf with a gradient", fill_leaf, "fill_", NULL, "leaf", "fa_no_grad"},
    {"uniform_: a leaf with a gradient", uniform_leaf, "uniform_", NULL, "leaf", "fa_no_grad"},
    {"uniform_: integers", uniform_integers, "uniform_", NULL, "int64", "float32"},
    {"uniform_: from above to", uniform_order, "uniform_", NULL, "2 to 1", "from <= to"},
    {"uniform_: range beyond float32", uniform_range, "uniform_", NULL, "3e+38", "float32"},
    {"normal_: negative std", normal_std, "normal_", NULL, "-1", "0"},
    {"normal_: integers", normal_integers, "normal_", NULL, "int64", "float32"},
    {"bernoulli_: p above 1", bernoulli_chance, "bernoulli_", NULL, "1.5", "1"},
    {"bernoulli: probability above 1", bernoulli_chances, "bernoulli", NULL, "element 1", "0 to 1"},
    {"bernoulli: integers", bernoulli_integers, "bernoulli", NULL, "int64", "float32"},
    {"arange: step 0", arange_still, "arange", NULL, "steps of 0", "lead"},
    {"arange: wrong way", arange_way, "arange", NULL, "5 to 1", "lead"},
    {"arange: infinite", arange_infinite, "arange", NULL, "inf", "finite"},
    {"arange: bool", arange_bool, "arange", NULL, "bool", "numbers"},
    {"linspace: negative steps", linspace_steps, "linspace", NULL, "-1", "0"},
    {"eye: negative size", eye_size, "eye", NULL, "-1", "0"},
    {"rand_like: integers", rand_like_integers, "rand", NULL, "int64", "float32"},
    {"zeros_like: integers with a gradient", zeros_like_gradient, "zeros", NULL, "int64", "floating"},
};

int main(void)
{
    return RUN_MISTAKES("errors_elementwise", mistakes);
}
