/* Reductions over a set of dimensions: for each output element, a walk over the elements that it is made from. */
#ifndef FA_OPS_REDUCE_H
#define FA_OPS_REDUCE_H

#include "ops/rules.h"

typedef struct fa_reduce {
    int kept, gone; /* dimensions of the output, and those reduced; both without dimensions of size 1 */
    int64_t outputs, count;
    int64_t row, step; /* elements of one output come in rows of `row`, `step` apart */
    int64_t kept_size[FA_MAX_DIMS], kept_stride[FA_MAX_DIMS], gone_size[FA_MAX_DIMS], gone_stride[FA_MAX_DIMS];
} fa_reduce;

fa_reduce fa_reduce_of(const fa_meta *in, int64_t mask);
/* Offset in the input of the first element of output o; and of element i of those that it is made from. */
int64_t fa_reduce_base(const fa_reduce *reduce, int64_t output);
int64_t fa_reduce_offset(const fa_reduce *reduce, int64_t element);

/* For every element that output O is made from, in row-major order: `at` is its offset in the input. */
#define FA_EACH_REDUCED(R, O, DO)                                                                                      \
    for (int64_t first_ = fa_reduce_base(&(R), (O)), block_ = 0; block_ < (R).count; block_ += (R).row)                \
        for (int64_t i_ = 0, at = first_ + fa_reduce_offset(&(R), block_); i_ < (R).row; i_++, at += (R).step) {       \
            DO;                                                                                                        \
        }

/* Shape rule of reductions: fa_dims_ints. */
bool fa_infer_reduced(fa_node *node);
/* The same; refuses what has no elements to choose from, and (float) types other than float32 and float64. */
bool fa_infer_chosen(fa_node *node);
bool fa_infer_reduced_float(fa_node *node);
/* The mask of the dimensions that a call names; false after an error. */
bool fa_reduce_mask(const fa_node *x, const fa_shape *dims, int64_t *mask, const char *what);
/* Records a reduction: ints are fa_dims_ints, then whether dims were given, then `more`. NULL after an error. */
fa_node *fa_record_reduced(fa_op op, fa_node *x, const fa_shape *dims, bool keepdim, int64_t more, double number);
/* What .dtype asks for: x as that type before it is summed, and what came out of it as that type. */
fa_node *fa_record_sum_input(fa_node *x, fa_dtype dtype, const char *what);
fa_node *fa_record_sum_output(fa_node *sum, fa_dtype dtype);
/* The call of sum, mean and prod. */
fa_tensor *fa_reduce_as(fa_op op, const fa_sum_args *args);
/* The gradient of a sum: spread over the input's shape. */
fa_node *fa_record_spread(const fa_node *node, fa_node *grad);
/* The other way: `a`, of the shape of the input of the reduction `node`, summed up to the shape of its result. */
fa_node *fa_record_total(const fa_node *node, fa_node *a);
/* out = sum of the input over the dimensions in mask, divided by divisor; double inside, whole numbers as int64. */
void fa_reduce_sum(const fa_kernel_args *args, int64_t mask, double divisor);

#endif
