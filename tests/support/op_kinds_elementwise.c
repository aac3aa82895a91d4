/* Kinds of elementwise ops. Names of arguments and inputs are those of tests/golden/make_layers.py and
 * make_elementwise.py. */
#include "op_kinds.h"

BUILD(add, fa_add(IN("a"), IN("b")))
BUILD(sub, fa_sub(IN("a"), IN("b")))
BUILD(mul, fa_mul(IN("a"), IN("b")))
BUILD(div, fa_div(IN("a"), IN("b")))
BUILD(eq, fa_eq(IN("a"), IN("b")))
BUILD(add_number, fa_add(IN("x"), op_number(c, "number", 0)))
BUILD(sub_number, fa_sub(IN("x"), op_number(c, "number", 0)))
BUILD(mul_number, fa_mul(IN("x"), op_number(c, "number", 0)))
BUILD(div_number, fa_div(IN("x"), op_number(c, "number", 0)))
BUILD(eq_number, fa_eq(IN("x"), op_number(c, "number", 0)))
BUILD(rdiv, fa_rdiv(op_number(c, "number", 0), IN("x")))
BUILD(pow, fa_pow(IN("x"), op_number(c, "number", 0)))
BUILD(neg, fa_neg(IN("x")))
BUILD(exp, fa_exp(IN("x")))
BUILD(log, fa_log(IN("x")))
BUILD(sqrt, fa_sqrt(IN("x")))
BUILD(relu, fa_relu(IN("x")))
BUILD(clone, fa_clone(IN("x")))
BUILD(to_dtype, fa_to_dtype(IN("x"), (fa_dtype)INT("dtype", 0)))
BUILD(log1p, fa_log1p(IN("x")))
BUILD(rsqrt, fa_rsqrt(IN("x")))
BUILD(erf, fa_erf(IN("x")))
BUILD(abs, fa_abs(IN("x")))
BUILD(sign, fa_sign(IN("x")))
BUILD(round, fa_round(IN("x")))
BUILD(floor, fa_floor(IN("x")))
BUILD(ceil, fa_ceil(IN("x")))
BUILD(logical_not, fa_logical_not(IN("x")))
BUILD(isnan, fa_isnan(IN("x")))
BUILD(isinf, fa_isinf(IN("x")))
BUILD(isfinite, fa_isfinite(IN("x")))
BUILD(ne, fa_ne(IN("a"), IN("b")))
BUILD(ne_number, fa_ne(IN("x"), op_number(c, "number", 0)))
BUILD(lt, fa_lt(IN("a"), IN("b")))
BUILD(lt_number, fa_lt(IN("x"), op_number(c, "number", 0)))
BUILD(le, fa_le(IN("a"), IN("b")))
BUILD(le_number, fa_le(IN("x"), op_number(c, "number", 0)))
BUILD(gt, fa_gt(IN("a"), IN("b")))
BUILD(gt_number, fa_gt(IN("x"), op_number(c, "number", 0)))
BUILD(ge, fa_ge(IN("a"), IN("b")))
BUILD(ge_number, fa_ge(IN("x"), op_number(c, "number", 0)))
BUILD(maximum, fa_maximum(IN("a"), IN("b")))
BUILD(minimum, fa_minimum(IN("a"), IN("b")))
BUILD(logical_and, fa_logical_and(IN("a"), IN("b")))
BUILD(logical_or, fa_logical_or(IN("a"), IN("b")))
BUILD(logical_xor, fa_logical_xor(IN("a"), IN("b")))
BUILD(floor_divide, fa_floor_divide(IN("a"), IN("b")))
BUILD(remainder, fa_remainder(IN("a"), IN("b")))
BUILD(pow_tensor, fa_pow(IN("a"), IN("b")))
BUILD(rpow, fa_pow(op_number(c, "number", 0), IN("x")))
BUILD(rsub, fa_sub(op_number(c, "number", 0), IN("x")))
BUILD(floor_divide_number, fa_floor_divide(IN("x"), op_number(c, "number", 0)))
BUILD(remainder_number, fa_remainder(IN("x"), op_number(c, "number", 0)))
BUILD(clamp, fa_clamp(IN("x"), .min = op_number(c, "min", FA_NO_BOUND), .max = op_number(c, "max", FA_NO_BOUND)))
BUILD(where, fa_where(IN("mask"), IN("a"), IN("b")))
BUILD(where_number, fa_where(IN("mask"), IN("x"), op_number(c, "number", 0)))
BUILD(number_where, fa_where(IN("mask"), op_number(c, "number", 0), IN("x")))
BUILD(masked_fill, fa_masked_fill(IN("x"), IN("mask"), op_number(c, "number", 0)))

/* In place, on a value with history; the result is what its handle names afterwards. */
static void build_in_place(const op_case *c, fa_tensor **in, op_outputs *out)
{
    const double number = op_number(c, "number", 0);
    fa_tensor *x = fa_mul(IN("x"), 1), *b = IN("b");
    switch (INT("which", 0)) {
    case 0:
        fa_sub_(x, b);
        break;
    case 1:
        fa_div_(x, b);
        break;
    case 2:
        fa_sub_(x, number);
        break;
    case 3:
        fa_div_(x, number);
        break;
    case 4:
        fa_clamp_(x, .min = -number, .max = number);
        break;
    default:
        fa_masked_fill_(x, IN("mask"), number);
    }
    op_give(out, "y", x);
}

static void build_truth(const op_case *c, fa_tensor **in, op_outputs *out, fa_tensor *(*call)(const fa_reduce_args *))
{
    fa_reduce_args args = {.x = IN("x"), .where_ = FA_HERE, .dims = {.ndim = -1}, .keepdim = INT("keepdim", 0)};
    if (op_find_param(c, "dims"))
        args.dims = op_shape(c, "dims");
    op_give(out, "y", call(&args));
}

static void build_any(const op_case *c, fa_tensor **in, op_outputs *out)
{
    build_truth(c, in, out, fa_any_at);
}

static void build_all(const op_case *c, fa_tensor **in, op_outputs *out)
{
    build_truth(c, in, out, fa_all_at);
}

static void draw_pair(op_case *c, op_draw *d, op_values a_values, op_values b_values)
{
    fa_shape a = op_any_shape(d, 0, 4, 5), b = a;
    int cut = (int)op_choose(d, 0, a.ndim);
    b.ndim -= cut;
    for (int i = 0; i < b.ndim; i++)
        b.size[i] = a.size[cut + i];
    for (int i = 0; i < a.ndim; i++) {
        int64_t how = op_choose(d, 0, 3);
        if (how == 2 && i >= cut)
            b.size[i - cut] = 1;
        if (how == 3)
            a.size[i] = 1;
    }
    bool swap = op_choose(d, 0, 1);
    op_add_input(c, "a", swap ? b : a, a_values);
    op_add_input(c, "b", swap ? a : b, b_values);
    c->terms = (double)(op_numel(&a) > op_numel(&b) ? op_numel(&a) : op_numel(&b));
    for (int i = 0; i < a.ndim && i < 4; i++) /* broadcasting both ways */
        c->terms *= a.size[i] == 1 && i >= cut && b.size[i - cut] > 1 ? (double)b.size[i - cut] : 1;
}

static void draw_binary(op_case *c, op_draw *d)
{
    op_values v = op_values_for(d, OP_NORMAL);
    draw_pair(c, d, v, v);
}

static void draw_div(op_case *c, op_draw *d)
{
    draw_pair(c, d, op_values_for(d, OP_NORMAL), OP_POSITIVE);
}

static void draw_eq(op_case *c, op_draw *d)
{
    draw_pair(c, d, OP_TIES, OP_TIES);
}

static void draw_unary(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 4, 7), op_values_for(d, OP_AWAY));
}

static void draw_positive(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 4, 7), OP_POSITIVE);
}

static void draw_number(op_case *c, op_draw *d)
{
    draw_unary(c, d);
    static const double numbers[] = {2, 0.5, -1.7, 255, 3};
    OP_SET(c, "number", numbers[op_choose(d, 0, 4)]);
}

static void draw_rdiv(op_case *c, op_draw *d)
{
    draw_positive(c, d);
    OP_SET(c, "number", (double)op_choose(d, 1, 3));
}

static void draw_pow(op_case *c, op_draw *d)
{
    draw_positive(c, d);
    static const double exponents[] = {2, 3, 0.5, -1, 1.3, 1, 0};
    OP_SET(c, "number", exponents[op_choose(d, 0, 6)]);
}

static void draw_eq_number(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 4, 7), OP_TIES);
    OP_SET(c, "number", (double)op_choose(d, 0, 2));
}

static void draw_to_dtype(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 4, 7), OP_NORMAL);
    OP_SET(c, "dtype", d->smooth ? FA_FLOAT64 : (double)op_choose(d, 0, 1));
}

static void draw_ties(op_case *c, op_draw *d)
{
    op_values v = op_values_for(d, OP_TIES);
    draw_pair(c, d, v, v);
}

static void draw_any_values(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 4, 7), op_choose(d, 0, 1) ? OP_SPECIAL : OP_TIES);
}

static void draw_ties_number(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 4, 7), op_values_for(d, OP_TIES));
    OP_SET(c, "number", (double)op_choose(d, 0, 2) - 1);
}

static void draw_extreme_pair(op_case *c, op_draw *d)
{
    op_values v = d->smooth ? OP_NORMAL : op_values_for(d, OP_TIES);
    draw_pair(c, d, v, v);
}

static void draw_pow_tensor(op_case *c, op_draw *d)
{
    draw_pair(c, d, OP_POSITIVE, op_values_for(d, OP_NORMAL));
}

static void draw_clamp(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 4, 7), d->smooth ? OP_NORMAL : op_values_for(d, OP_TIES));
    int64_t which = op_choose(d, 0, 2);
    if (which != 1)
        OP_SET(c, "min", (double)op_choose(d, -1, 1));
    if (which != 2)
        OP_SET(c, "max", (double)op_choose(d, 0, 2));
}

static void draw_where(op_case *c, op_draw *d)
{
    draw_pair(c, d, OP_NORMAL, OP_NORMAL);
    fa_shape mask = c->input[op_choose(d, 0, 1)].shape;
    if (mask.ndim && op_choose(d, 0, 2) == 2)
        mask.size[mask.ndim - 1] = 1;
    op_add_input(c, "mask", mask, OP_MASK);
}

static void draw_masked(op_case *c, op_draw *d)
{
    fa_shape mask = op_any_shape(d, 0, 4, 7), x = mask;
    op_add_input(c, "mask", mask, OP_MASK);
    if (x.ndim && op_choose(d, 0, 2) == 2)
        x.size[x.ndim - 1] = 1;
    op_add_input(c, "x", x, op_values_for(d, OP_NORMAL));
    OP_SET(c, "number", (double)op_choose(d, 0, 2) - 0.5);
    c->terms = (double)op_numel(&mask);
}

static void draw_in_place(op_case *c, op_draw *d)
{
    fa_shape x = op_any_shape(d, 0, 4, 5), b = x;
    if (b.ndim && op_choose(d, 0, 1))
        b.size[0] = 1;
    op_add_input(c, "x", x, OP_NORMAL);
    const int64_t which = op_choose(d, 0, 5);
    if (which < 2)
        op_add_input(c, "b", b, OP_POSITIVE);
    if (which == 5)
        op_add_input(c, "mask", b, OP_MASK);
    OP_SET(c, "which", (double)which);
    OP_SET(c, "number", (double)op_choose(d, 1, 3));
    c->terms = (double)op_numel(&x);
}

static void draw_truth(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 0, 4, 4);
    op_add_input(c, "x", shape, op_values_for(d, OP_TIES));
    if (shape.ndim && op_choose(d, 0, 3))
        OP_SET(c, "dims", (double)op_choose(d, 0, shape.ndim - 1));
    OP_SET(c, "keepdim", (double)op_choose(d, 0, 1));
}

/* ---- Creation and draws (golden values alone) ---------------------------------------------------------------------
 */

#define DTYPE ((fa_dtype)INT("dtype", 0))
BUILD(arange, fa_arange_with(op_number(c, "start", 0), op_number(c, "end", 0), op_number(c, "step", 1), .dtype = DTYPE))
BUILD(linspace, fa_linspace(op_number(c, "start", 0), op_number(c, "end", 0), INT("steps", 0), .dtype = DTYPE))
BUILD(eye, fa_eye_with(INT("rows", 0), INT("columns", 0), .dtype = DTYPE))
BUILD(full_like, fa_full_like(IN("x"), op_number(c, "number", 0), .dtype = DTYPE))

/* The draw in the middle of three, so that it is seen to take as many numbers as PyTorch's. */
static void build_draw(const op_case *c, fa_tensor **in, op_outputs *out)
{
    const double a = op_number(c, "a", 0), b = op_number(c, "b", 0);
    fa_tensor *x = IN("x");
    fa_manual_seed((uint64_t)op_number(c, "seed", 0));
    fa_rand(1);
    switch (INT("which", 0)) {
    case 0:
        fa_uniform_(x, a, b);
        break;
    case 1:
        fa_normal_(x, a, b);
        break;
    case 2:
        fa_bernoulli_(x, a);
        break;
    case 3:
        x = fa_bernoulli(fa_sub(1, x));
        break;
    case 4:
        x = fa_rand_like(x);
        break;
    default:
        x = fa_randn_like(x);
    }
    op_give(out, "y", x);
    op_give(out, "after", fa_rand(2));
}

const op_kind op_kinds_elementwise[] = {
    {"add", build_add, draw_binary, false},
    {"sub", build_sub, draw_binary, false},
    {"mul", build_mul, draw_binary, false},
    {"div", build_div, draw_div, false},
    {"eq", build_eq, draw_eq, true},
    {"add_number", build_add_number, draw_number, false},
    {"sub_number", build_sub_number, draw_number, false},
    {"mul_number", build_mul_number, draw_number, false},
    {"div_number", build_div_number, draw_number, false},
    {"eq_number", build_eq_number, draw_eq_number, true},
    {"rdiv", build_rdiv, draw_rdiv, false},
    {"pow", build_pow, draw_pow, false},
    {"neg", build_neg, draw_unary, false},
    {"exp", build_exp, draw_unary, false},
    {"log", build_log, draw_positive, false},
    {"sqrt", build_sqrt, draw_positive, false},
    {"relu", build_relu, draw_unary, false},
    {"clone", build_clone, draw_unary, false},
    {"to_dtype", build_to_dtype, draw_to_dtype, false},
    {"abs", build_abs, draw_unary, false},
    {"sign", build_sign, draw_unary, false},
    {"round", build_round, draw_unary, false},
    {"floor", build_floor, draw_unary, false},
    {"ceil", build_ceil, draw_unary, false},
    {"erf", build_erf, draw_unary, false},
    {"log1p", build_log1p, draw_positive, false},
    {"rsqrt", build_rsqrt, draw_positive, false},
    {"logical_not", build_logical_not, draw_any_values, true},
    {"isnan", build_isnan, draw_any_values, true},
    {"isinf", build_isinf, draw_any_values, true},
    {"isfinite", build_isfinite, draw_any_values, true},
    {"ne", build_ne, draw_ties, true},
    {"ne_number", build_ne_number, draw_ties_number, true},
    {"lt", build_lt, draw_ties, true},
    {"lt_number", build_lt_number, draw_ties_number, true},
    {"le", build_le, draw_ties, true},
    {"le_number", build_le_number, draw_ties_number, true},
    {"gt", build_gt, draw_ties, true},
    {"gt_number", build_gt_number, draw_ties_number, true},
    {"ge", build_ge, draw_ties, true},
    {"ge_number", build_ge_number, draw_ties_number, true},
    {"logical_and", build_logical_and, draw_ties, true},
    {"logical_or", build_logical_or, draw_ties, true},
    {"logical_xor", build_logical_xor, draw_ties, true},
    {"maximum", build_maximum, draw_extreme_pair, false},
    {"minimum", build_minimum, draw_extreme_pair, false},
    {"floor_divide", build_floor_divide, draw_div, true},
    {"floor_divide_number", build_floor_divide_number, draw_number, true},
    {"remainder", build_remainder, draw_div, false},
    {"remainder_number", build_remainder_number, draw_number, false},
    {"pow_tensor", build_pow_tensor, draw_pow_tensor, false},
    {"rpow", build_rpow, draw_rdiv, false},
    {"rsub", build_rsub, draw_number, false},
    {"clamp", build_clamp, draw_clamp, false},
    {"where", build_where, draw_where, false},
    {"where_number", build_where_number, draw_masked, false},
    {"number_where", build_number_where, draw_masked, false},
    {"masked_fill", build_masked_fill, draw_masked, false},
    {"in_place", build_in_place, draw_in_place, false},
    {"any", build_any, draw_truth, true},
    {"all", build_all, draw_truth, true},
    {"arange", build_arange, NULL, true},
    {"linspace", build_linspace, NULL, true},
    {"eye", build_eye, NULL, true},
    {"full_like", build_full_like, NULL, true},
    {"draw", build_draw, NULL, true},
    {.name = NULL},
};
