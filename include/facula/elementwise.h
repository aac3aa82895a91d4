/* Ops that work element by element: arithmetic, comparisons, logic, choices; in place, and draws in place. A part of
 * tensor.h, which includes it. */
#ifndef FACULA_ELEMENTWISE_H
#define FACULA_ELEMENTWISE_H

#include "facula/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Arithmetic ---------------------------------------------------------------------------------------------------
 *
 * With broadcasting; a number may stand for the second operand, in fa_sub, fa_div and fa_pow also for the first. Types:
 * the wider of both, where a number only decides between integers and floats: int64 and 2 give int64, int64 and 2.5
 * give float32. Integers wrap. */

FA_API fa_tensor *fa_add_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_sub_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_mul_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_div_at(fa_tensor *a, fa_tensor *b, fa_where where); /* integers as float32 */
FA_API fa_tensor *fa_pow_at(fa_tensor *a, fa_tensor *exponent, fa_where where);
/* a / b rounded down, and what is left, which has the sign of b. Integers are not divided by 0. */
FA_API fa_tensor *fa_floor_divide_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_remainder_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_add_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_sub_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_mul_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_div_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_pow_number_at(fa_tensor *a, double exponent, fa_where where);
FA_API fa_tensor *fa_floor_divide_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_remainder_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_rsub_at(double a, fa_tensor *b, fa_where where); /* a - b */
FA_API fa_tensor *fa_rdiv_at(double a, fa_tensor *b, fa_where where); /* a / b */
FA_API fa_tensor *fa_rpow_at(double a, fa_tensor *b, fa_where where); /* a to the power b */
#define FA_NUMBER_OR_TENSOR_(name, a, b)                                                                               \
    _Generic((b), fa_tensor * : name##_at, default : name##_number_at)((a), (b), FA_HERE)
#define FA_NUMBERS_OR_TENSORS_(name, reversed, a, b)                                                                   \
    _Generic((a), fa_tensor *                                                                                          \
             : _Generic((b), fa_tensor *                                                                               \
                        : name##_at, default                                                                           \
                        : name##_number_at),                                                                           \
               default                                                                                                 \
             : reversed##_at)((a), (b), FA_HERE)
#define fa_add(a, b) FA_NUMBER_OR_TENSOR_(fa_add, a, b)
#define fa_sub(a, b) FA_NUMBERS_OR_TENSORS_(fa_sub, fa_rsub, a, b)
#define fa_mul(a, b) FA_NUMBER_OR_TENSOR_(fa_mul, a, b)
#define fa_div(a, b) FA_NUMBERS_OR_TENSORS_(fa_div, fa_rdiv, a, b)
#define fa_pow(a, exponent) FA_NUMBERS_OR_TENSORS_(fa_pow, fa_rpow, a, exponent)
#define fa_floor_divide(a, b) FA_NUMBER_OR_TENSOR_(fa_floor_divide, a, b)
#define fa_remainder(a, b) FA_NUMBER_OR_TENSOR_(fa_remainder, a, b)
#define fa_rsub(a, b) fa_rsub_at((a), (b), FA_HERE)
#define fa_rdiv(a, b) fa_rdiv_at((a), (b), FA_HERE)

/* Of one tensor. exp to erf give float32 of integers; the others keep the type. */
FA_API fa_tensor *fa_exp_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_log_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_log1p_at(fa_tensor *a, fa_where where); /* log(1 + a) */
FA_API fa_tensor *fa_sqrt_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_rsqrt_at(fa_tensor *a, fa_where where); /* 1 / sqrt(a) */
FA_API fa_tensor *fa_erf_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_neg_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_abs_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_sign_at(fa_tensor *a, fa_where where);  /* 1, 0 or -1; 0 for NaN */
FA_API fa_tensor *fa_round_at(fa_tensor *a, fa_where where); /* half to even */
FA_API fa_tensor *fa_floor_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_ceil_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_relu_at(fa_tensor *a, fa_where where); /* max(a, 0); NaN stays */
#define fa_exp(a) fa_exp_at((a), FA_HERE)
#define fa_log(a) fa_log_at((a), FA_HERE)
#define fa_log1p(a) fa_log1p_at((a), FA_HERE)
#define fa_sqrt(a) fa_sqrt_at((a), FA_HERE)
#define fa_rsqrt(a) fa_rsqrt_at((a), FA_HERE)
#define fa_erf(a) fa_erf_at((a), FA_HERE)
#define fa_neg(a) fa_neg_at((a), FA_HERE)
#define fa_abs(a) fa_abs_at((a), FA_HERE)
#define fa_sign(a) fa_sign_at((a), FA_HERE)
#define fa_round(a) fa_round_at((a), FA_HERE)
#define fa_floor(a) fa_floor_at((a), FA_HERE)
#define fa_ceil(a) fa_ceil_at((a), FA_HERE)
#define fa_relu(a) fa_relu_at((a), FA_HERE)

/* min(max(x, .min), .max); either may be left out. NaN stays. The gradient is 0 outside the bounds and at a bound. */
#define FA_NO_BOUND __builtin_nan("0x0facade")
typedef struct fa_clamp_args {
    char begin_;
    fa_tensor *x;
    double min, max;
    struct fa_keyword_only *kw_;
    fa_where where_;
} fa_clamp_args;
FA_API fa_tensor *fa_clamp_at(const fa_clamp_args *args);
FA_API fa_tensor *fa_clamp_inplace_at(const fa_clamp_args *args);
FA_API fa_tensor *fa_clamp_min_at(fa_tensor *a, double min, fa_where where);
FA_API fa_tensor *fa_clamp_max_at(fa_tensor *a, double max, fa_where where);
/* fa_clamp(x, 0, 1), fa_clamp(x, .min = 0) */
#define fa_clamp(...)                                                                                                  \
    FA_CALL_(fa_clamp_at, fa_clamp_args, .min = FA_NO_BOUND, .max = FA_NO_BOUND, .begin_ = 0, __VA_ARGS__)
#define fa_clamp_(...)                                                                                                 \
    FA_CALL_(fa_clamp_inplace_at, fa_clamp_args, .min = FA_NO_BOUND, .max = FA_NO_BOUND, .begin_ = 0, __VA_ARGS__)
#define fa_clamp_min(a, min) fa_clamp_min_at((a), (min), FA_HERE)
#define fa_clamp_max(a, max) fa_clamp_max_at((a), (max), FA_HERE)

/* The greater (lesser) of two; NaN where either is. Where both are equal each gets half of the gradient. */
FA_API fa_tensor *fa_maximum_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_minimum_at(fa_tensor *a, fa_tensor *b, fa_where where);
#define fa_maximum(a, b) fa_maximum_at((a), (b), FA_HERE)
#define fa_minimum(a, b) fa_minimum_at((a), (b), FA_HERE)

/* ---- Comparisons, logic, choices (the results of the first two are bool) -------------------------------------------
 */

FA_API fa_tensor *fa_eq_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_ne_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_lt_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_le_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_gt_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_ge_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_eq_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_ne_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_lt_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_le_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_gt_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_ge_number_at(fa_tensor *a, double b, fa_where where);
#define fa_eq(a, b) FA_NUMBER_OR_TENSOR_(fa_eq, a, b)
#define fa_ne(a, b) FA_NUMBER_OR_TENSOR_(fa_ne, a, b)
#define fa_lt(a, b) FA_NUMBER_OR_TENSOR_(fa_lt, a, b)
#define fa_le(a, b) FA_NUMBER_OR_TENSOR_(fa_le, a, b)
#define fa_gt(a, b) FA_NUMBER_OR_TENSOR_(fa_gt, a, b)
#define fa_ge(a, b) FA_NUMBER_OR_TENSOR_(fa_ge, a, b)

/* Of any type: an element is true unless it is 0. */
FA_API fa_tensor *fa_logical_and_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_logical_or_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_logical_xor_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_logical_not_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_isnan_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_isinf_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_isfinite_at(fa_tensor *a, fa_where where);
#define fa_logical_and(a, b) fa_logical_and_at((a), (b), FA_HERE)
#define fa_logical_or(a, b) fa_logical_or_at((a), (b), FA_HERE)
#define fa_logical_xor(a, b) fa_logical_xor_at((a), (b), FA_HERE)
#define fa_logical_not(a) fa_logical_not_at((a), FA_HERE)
#define fa_isnan(a) fa_isnan_at((a), FA_HERE)
#define fa_isinf(a) fa_isinf_at((a), FA_HERE)
#define fa_isfinite(a) fa_isfinite_at((a), FA_HERE)

/* fa_where(condition, a, b): a where the bool tensor `condition` is true, else b; all broadcast. a and b are tensors or
 * numbers; two numbers give int64, or float32 if one is of a C floating type. */
typedef enum fa_operand_kind { FA_OPERAND_TENSOR, FA_OPERAND_WHOLE, FA_OPERAND_FRACTION } fa_operand_kind;
typedef struct fa_operand {
    fa_operand_kind kind;
    fa_tensor *tensor;
    double number;
} fa_operand;
FA_API fa_tensor *fa_where_at(fa_tensor *condition, fa_operand a, fa_operand b, fa_where where);
static inline fa_operand fa_operand_tensor_(fa_tensor *tensor)
{
    fa_operand operand = {FA_OPERAND_TENSOR, tensor, 0};
    return operand;
}
static inline fa_operand fa_operand_whole_(int64_t number)
{
    fa_operand operand = {FA_OPERAND_WHOLE, 0, (double)number};
    return operand;
}
static inline fa_operand fa_operand_fraction_(double number)
{
    fa_operand operand = {FA_OPERAND_FRACTION, 0, number};
    return operand;
}
#define FA_OPERAND_(x)                                                                                                 \
    _Generic((x), fa_tensor *                                                                                          \
             : fa_operand_tensor_, float                                                                               \
             : fa_operand_fraction_, double                                                                            \
             : fa_operand_fraction_, long double                                                                       \
             : fa_operand_fraction_, default                                                                           \
             : fa_operand_whole_)(x)
#define fa_where(condition, a, b) fa_where_at((condition), FA_OPERAND_(a), FA_OPERAND_(b), FA_HERE)
/* `value`, cast to a's type, where the bool tensor `mask` is true, else a; broadcast. */
FA_API fa_tensor *fa_masked_fill_at(fa_tensor *a, fa_tensor *mask, double value, fa_where where);
FA_API fa_tensor *fa_masked_fill_inplace_at(fa_tensor *a, fa_tensor *mask, double value, fa_where where);
#define fa_masked_fill(a, mask, value) fa_masked_fill_at((a), (mask), (value), FA_HERE)
#define fa_masked_fill_(a, mask, value) fa_masked_fill_inplace_at((a), (mask), (value), FA_HERE)

/* ---- In place -----------------------------------------------------------------------------------------------------
 *
 * The handle has a new value. On a leaf that requires gradients under fa_no_grad alone. The result is cast to the
 * tensor's type, which must be of its kind: no float into integers. Return the tensor. */

FA_API fa_tensor *fa_add_inplace_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_sub_inplace_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_mul_inplace_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_div_inplace_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_add_inplace_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_sub_inplace_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_mul_inplace_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_div_inplace_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_fill_inplace_at(fa_tensor *a, double value, fa_where where);
FA_API fa_tensor *fa_zero_inplace_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_copy_inplace_at(fa_tensor *a, fa_tensor *source, fa_where where); /* of any type; broadcast */
FA_API fa_tensor *fa_relu_inplace_at(fa_tensor *a, fa_where where);
#define FA_INPLACE_(name, a, b)                                                                                        \
    _Generic((b), fa_tensor * : name##_inplace_at, default : name##_inplace_number_at)((a), (b), FA_HERE)
#define fa_add_(a, b) FA_INPLACE_(fa_add, a, b)
#define fa_sub_(a, b) FA_INPLACE_(fa_sub, a, b)
#define fa_mul_(a, b) FA_INPLACE_(fa_mul, a, b)
#define fa_div_(a, b) FA_INPLACE_(fa_div, a, b)
#define fa_fill_(a, value) fa_fill_inplace_at((a), (value), FA_HERE)
#define fa_zero_(a) fa_zero_inplace_at((a), FA_HERE)
#define fa_copy_(a, source) fa_copy_inplace_at((a), (source), FA_HERE)
#define fa_relu_(a) fa_relu_inplace_at((a), FA_HERE)

/* Draws, in the order of memory (of a transposed view: of the tensor's own memory), made when the call is: of float32
 * and float64 tensors (bernoulli_: of any). */
typedef struct fa_uniform_args {
    char begin_;
    fa_tensor *x;
    double from, to;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_generator *generator; /* NULL: the default generator */
} fa_uniform_args;
typedef struct fa_normal_args {
    char begin_;
    fa_tensor *x;
    double mean, std;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_generator *generator;
} fa_normal_args;
typedef struct fa_bernoulli_args {
    char begin_;
    fa_tensor *x;
    double p;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_generator *generator;
} fa_bernoulli_args;
FA_API fa_tensor *fa_uniform_inplace_at(const fa_uniform_args *args);
FA_API fa_tensor *fa_normal_inplace_at(const fa_normal_args *args);
typedef struct fa_exponential_args {
    char begin_;
    fa_tensor *x;
    double lambda;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_generator *generator;
} fa_exponential_args;
FA_API fa_tensor *fa_bernoulli_inplace_at(const fa_bernoulli_args *args);
FA_API fa_tensor *fa_exponential_inplace_at(const fa_exponential_args *args);
/* fa_uniform_(x): [0, 1); fa_uniform_(x, -1, 1); fa_normal_(x): mean 0, std 1; fa_bernoulli_(x, 0.3): 1 with p, else 0;
 * fa_exponential_(x, 2): -log(1 - u) / 2. */
#define fa_uniform_(...) FA_CALL_(fa_uniform_inplace_at, fa_uniform_args, .from = 0, .to = 1, .begin_ = 0, __VA_ARGS__)
#define fa_normal_(...) FA_CALL_(fa_normal_inplace_at, fa_normal_args, .mean = 0, .std = 1, .begin_ = 0, __VA_ARGS__)
#define fa_bernoulli_(...) FA_CALL_(fa_bernoulli_inplace_at, fa_bernoulli_args, .p = 0.5, .begin_ = 0, __VA_ARGS__)
#define fa_exponential_(...)                                                                                           \
    FA_CALL_(fa_exponential_inplace_at, fa_exponential_args, .lambda = 1, .begin_ = 0, __VA_ARGS__)
/* 1 with the probability that stands in p, else 0; of p's type. Reads p, and has no history. */
FA_API fa_tensor *fa_bernoulli_at(fa_tensor *p, fa_generator *generator, fa_where where);
#define fa_bernoulli(p) fa_bernoulli_at((p), NULL, FA_HERE)

typedef struct fa_multinomial_args {
    char begin_;
    fa_tensor *x;
    int64_t num_samples;
    bool replacement;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_generator *generator;
} fa_multinomial_args;
/* torch.multinomial(x, num_samples, replacement=False): numbers of categories, int64 [num_samples] or [rows,
 * num_samples], drawn in proportion to the weights x [n] or [rows, n], which need not add up to 1. Reads x, and has no
 * history. Without replacement each row needs num_samples weights above 0. */
FA_API fa_tensor *fa_multinomial_at(const fa_multinomial_args *args);
#define fa_multinomial(...) FA_CALL_(fa_multinomial_at, fa_multinomial_args, .begin_ = 0, __VA_ARGS__)

#ifdef __cplusplus
}
#endif
#endif
