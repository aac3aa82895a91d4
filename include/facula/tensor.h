/* Tensors: creation, reading, views, arithmetic, reductions, matrices, and autograd. functional.h has the functions
 * that networks are made of.
 *
 * An op checks shapes at once and is recorded; values are computed when one is asked for, when a scope ends or when a
 * step does. What a program sees is PyTorch's eager model: any value can be read at any line, and control flow may
 * depend on it. docs/architecture.md says what happens when.
 *
 * Handles belong to the thread and the scope in which they were made. A handle that is used after its scope ended is
 * an error with a message, never undefined behaviour. Ops given NULL after an error do nothing and return NULL. */
#ifndef FACULA_TENSOR_H
#define FACULA_TENSOR_H

#include "facula/base.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fa_tensor fa_tensor; /* an opaque handle; never dereferenced, never freed by hand */

typedef enum fa_dtype { FA_FLOAT32, FA_FLOAT64, FA_INT64, FA_INT32, FA_UINT8, FA_BOOL } fa_dtype;

typedef struct fa_shape {
    int ndim;
    int64_t size[8];
} fa_shape;

/* FA_SHAPE(32, 3, 224, 224); FA_SCALAR is the shape of a single number. */
#define FA_SHAPE(...) ((fa_shape){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})
#define FA_SCALAR ((fa_shape){0, {0}})

/* ---- Scopes ------------------------------------------------------------------------------------------------------ */

/* fa_scope { ... }: tensors made inside end with it; what is still to be done (updates) is done. `break` and `return`
 * close it; note that `break` inside leaves the scope's block, not a loop around it. */
typedef struct fa_scope_guard {
    uint64_t id_;
} fa_scope_guard;
FA_API fa_scope_guard fa_scope_begin_at(fa_where where);
FA_API void fa_scope_end_(fa_scope_guard *guard);
/* A block that runs once, between `begin` and `end`, which is called however the block is left. */
#define FA_BLOCK_(type, begin, end, guard)                                                                             \
    for (type guard __attribute__((cleanup(end))) = begin, *guard##once_ = &guard; guard##once_ != 0; guard##once_ = 0)
#define FA_NAMED_BLOCK_(type, begin, end, line) FA_BLOCK_(type, begin, end, fa_guard_##line##_)
#define FA_BLOCK_AT_(type, begin, end, line) FA_NAMED_BLOCK_(type, begin, end, line)
#define fa_scope FA_BLOCK_AT_(fa_scope_guard, fa_scope_begin_at(FA_HERE), fa_scope_end_, __LINE__)

/* Evaluates, detaches and hands a tensor to the enclosing scope; returns it. */
FA_API fa_tensor *fa_keep_at(fa_tensor *tensor, fa_where where);
#define fa_keep(tensor) fa_keep_at((tensor), FA_HERE)

/* For programs that longjmp out of scopes: the depth of now, and a return to it. */
FA_API uint64_t fa_scope_mark(void);
FA_API void fa_scope_reset(uint64_t mark);

/* fa_no_grad { ... }: ops inside record no history, and leaves that require gradients may be changed in place. */
typedef struct fa_grad_guard {
    bool previous_;
} fa_grad_guard;
FA_API fa_grad_guard fa_grad_begin_(bool enabled);
FA_API void fa_grad_end_(fa_grad_guard *guard);
#define fa_no_grad FA_BLOCK_AT_(fa_grad_guard, fa_grad_begin_(false), fa_grad_end_, __LINE__)
FA_API bool fa_grad_enabled(void);

/* ---- Creation ---------------------------------------------------------------------------------------------------- */

typedef struct fa_new_args {
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_dtype dtype;
    bool requires_grad;
    fa_generator *generator; /* draws only; NULL: the default generator */
} fa_new_args;

/* float32 tensors of a shape: fa_zeros(2, 3), fa_randn(32, 3, 224, 224). */
#define fa_zeros(...) fa_zeros_with(FA_SHAPE(__VA_ARGS__))
#define fa_ones(...) fa_ones_with(FA_SHAPE(__VA_ARGS__))
#define fa_rand(...) fa_rand_with(FA_SHAPE(__VA_ARGS__))   /* uniform in [0, 1) */
#define fa_randn(...) fa_randn_with(FA_SHAPE(__VA_ARGS__)) /* normal, mean 0, std 1 */
/* The same with options: fa_randn_with(FA_SHAPE(2, 3), .dtype = FA_FLOAT64, .requires_grad = true). */
#define FA_NEW_(function, shape, ...)                                                                                  \
    __extension__({                                                                                                    \
        FA_BEGIN_CALL_ function((shape), &(fa_new_args){.where_ = {__FILE__, __LINE__}, .kw_ = 0, __VA_ARGS__});       \
        FA_END_CALL_                                                                                                   \
    })
#define fa_zeros_with(...) FA_NEW_SPLIT_(fa_zeros_at, __VA_ARGS__, .kw_ = 0)
#define fa_ones_with(...) FA_NEW_SPLIT_(fa_ones_at, __VA_ARGS__, .kw_ = 0)
#define fa_rand_with(...) FA_NEW_SPLIT_(fa_rand_at, __VA_ARGS__, .kw_ = 0)
#define fa_randn_with(...) FA_NEW_SPLIT_(fa_randn_at, __VA_ARGS__, .kw_ = 0)
#define FA_NEW_SPLIT_(function, shape, ...) FA_NEW_(function, shape, __VA_ARGS__)
FA_API fa_tensor *fa_zeros_at(fa_shape shape, const fa_new_args *args);
FA_API fa_tensor *fa_ones_at(fa_shape shape, const fa_new_args *args);
FA_API fa_tensor *fa_rand_at(fa_shape shape, const fa_new_args *args);
FA_API fa_tensor *fa_randn_at(fa_shape shape, const fa_new_args *args);

/* Every element `value`: fa_full(FA_SHAPE(2, 3), 1.5, .dtype = FA_FLOAT64). */
FA_API fa_tensor *fa_full_at(fa_shape shape, double value, const fa_new_args *args);
#define fa_full(...) FA_FULL_SPLIT_(__VA_ARGS__, .kw_ = 0)
#define FA_FULL_SPLIT_(shape, value, ...)                                                                              \
    __extension__({                                                                                                    \
        FA_BEGIN_CALL_ fa_full_at((shape), (value), &(fa_new_args){.where_ = {__FILE__, __LINE__}, __VA_ARGS__});      \
        FA_END_CALL_                                                                                                   \
    })

/* int64 drawn uniformly from [low, high): fa_randint(0, 10, FA_SHAPE(100)). */
FA_API fa_tensor *fa_randint_at(int64_t low, int64_t high, fa_shape shape, const fa_new_args *args);
#define fa_randint(...) FA_RANDINT_SPLIT_(__VA_ARGS__, .kw_ = 0)
#define FA_RANDINT_SPLIT_(low, high, shape, ...)                                                                       \
    __extension__({                                                                                                    \
        FA_BEGIN_CALL_ fa_randint_at((low), (high), (shape),                                                           \
                                     &(fa_new_args){.where_ = {__FILE__, __LINE__}, .dtype = FA_INT64, __VA_ARGS__});  \
        FA_END_CALL_                                                                                                   \
    })
/* A random permutation of 0..n-1, int64. */
FA_API fa_tensor *fa_randperm_at(int64_t n, fa_generator *generator, fa_where where);
#define fa_randperm(n) fa_randperm_at((n), NULL, FA_HERE)

/* float32 from numbers written in the program: fa_tensor_of(FA_SHAPE(2, 2), 1, 2, 3, 4). */
FA_API fa_tensor *fa_tensor_of_at(fa_shape shape, fa_dtype dtype, int64_t count, const double *values, fa_where where);
#define fa_tensor_of(shape, ...) fa_tensor_of_as(FA_FLOAT32, shape, __VA_ARGS__)
#define fa_tensor_of_as(dtype, shape, ...)                                                                             \
    fa_tensor_of_at((shape), (dtype), (int64_t)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)),                     \
                    (double[]){__VA_ARGS__}, FA_HERE)

/* From the caller's memory, row-major. fa_from_memory copies; fa_borrow does not: the memory must stay as it is until
 * the scope ends and what was recorded from it is computed. */
FA_API fa_tensor *fa_from_memory_at(const void *data, fa_dtype dtype, fa_shape shape, fa_where where);
FA_API fa_tensor *fa_borrow_at(const void *data, fa_dtype dtype, fa_shape shape, fa_where where);
#define fa_from_memory(data, dtype, shape) fa_from_memory_at((data), (dtype), (shape), FA_HERE)
#define fa_borrow(data, dtype, shape) fa_borrow_at((data), (dtype), (shape), FA_HERE)

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

FA_API fa_shape fa_shape_of(const fa_tensor *tensor);
FA_API int fa_ndim(const fa_tensor *tensor);
/* Elements along a dimension; negative dimensions count from the end. */
FA_API int64_t fa_size_at(const fa_tensor *tensor, int dim, fa_where where);
#define fa_size(tensor, dim) fa_size_at((tensor), (dim), FA_HERE)
FA_API int64_t fa_numel(const fa_tensor *tensor);
FA_API fa_dtype fa_dtype_of(const fa_tensor *tensor);
FA_API bool fa_is_contiguous(const fa_tensor *tensor);
FA_API bool fa_requires_grad(const fa_tensor *tensor);
FA_API bool fa_is_leaf(const fa_tensor *tensor);

/* The value of a tensor of one element (0 after an error). Holds no graph. */
FA_API double fa_item_at(fa_tensor *tensor, fa_where where);
#define fa_item(tensor) fa_item_at((tensor), FA_HERE)
/* The elements in row-major order, valid until the next write to the tensor or the end of its scope; NULL after an
 * error. */
FA_API const void *fa_data_at(fa_tensor *tensor, fa_where where);
#define fa_data(tensor) fa_data_at((tensor), FA_HERE)
/* The same for writing, of leaves alone; the tensor's version rises. */
FA_API void *fa_data_mut_at(fa_tensor *tensor, fa_where where);
#define fa_data_mut(tensor) fa_data_mut_at((tensor), FA_HERE)
/* Copies row-major elements of the tensor's own dtype into a leaf. */
FA_API bool fa_copy_from_at(fa_tensor *leaf, const void *data, fa_where where);
#define fa_copy_from(leaf, data) fa_copy_from_at((leaf), (data), FA_HERE)
/* Keeps the value of an intermediate tensor readable after a step that would have fused it away. */
FA_API fa_tensor *fa_watch_at(fa_tensor *tensor, fa_where where);
#define fa_watch(tensor) fa_watch_at((tensor), FA_HERE)

/* What str(tensor) writes in PyTorch, into `text` as snprintf does: returns the length needed. */
FA_API int64_t fa_tensor_format(fa_tensor *tensor, char *text, size_t size);
/* print(tensor). */
FA_API void fa_tensor_print(fa_tensor *tensor, FILE *file);

/* ---- Arithmetic (with broadcasting; a number may stand for the second operand) ------------------------------------
 */

FA_API fa_tensor *fa_add_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_sub_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_mul_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_div_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_eq_at(fa_tensor *a, fa_tensor *b, fa_where where); /* bool */
FA_API fa_tensor *fa_add_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_sub_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_mul_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_div_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_eq_number_at(fa_tensor *a, double b, fa_where where);
#define FA_NUMBER_OR_TENSOR_(name, a, b)                                                                               \
    _Generic((b), fa_tensor * : name##_at, default : name##_number_at)((a), (b), FA_HERE)
#define fa_add(a, b) FA_NUMBER_OR_TENSOR_(fa_add, a, b)
#define fa_sub(a, b) FA_NUMBER_OR_TENSOR_(fa_sub, a, b)
#define fa_mul(a, b) FA_NUMBER_OR_TENSOR_(fa_mul, a, b)
#define fa_div(a, b) FA_NUMBER_OR_TENSOR_(fa_div, a, b)
#define fa_eq(a, b) FA_NUMBER_OR_TENSOR_(fa_eq, a, b)

FA_API fa_tensor *fa_rdiv_at(double a, fa_tensor *b, fa_where where); /* a / b */
FA_API fa_tensor *fa_pow_at(fa_tensor *a, double exponent, fa_where where);
FA_API fa_tensor *fa_neg_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_exp_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_log_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_sqrt_at(fa_tensor *a, fa_where where);
FA_API fa_tensor *fa_relu_at(fa_tensor *a, fa_where where); /* max(a, 0); NaN stays */
#define fa_rdiv(a, b) fa_rdiv_at((a), (b), FA_HERE)
#define fa_pow(a, exponent) fa_pow_at((a), (exponent), FA_HERE)
#define fa_neg(a) fa_neg_at((a), FA_HERE)
#define fa_exp(a) fa_exp_at((a), FA_HERE)
#define fa_log(a) fa_log_at((a), FA_HERE)
#define fa_sqrt(a) fa_sqrt_at((a), FA_HERE)
#define fa_relu(a) fa_relu_at((a), FA_HERE)

/* In place: the handle has a new value. On a leaf that requires gradients under fa_no_grad alone. Return the tensor. */
FA_API fa_tensor *fa_add_inplace_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_mul_inplace_at(fa_tensor *a, fa_tensor *b, fa_where where);
FA_API fa_tensor *fa_add_inplace_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_mul_inplace_number_at(fa_tensor *a, double b, fa_where where);
FA_API fa_tensor *fa_fill_inplace_at(fa_tensor *a, double value, fa_where where);
FA_API fa_tensor *fa_copy_inplace_at(fa_tensor *a, fa_tensor *source, fa_where where);
FA_API fa_tensor *fa_relu_inplace_at(fa_tensor *a, fa_where where);
#define fa_add_(a, b)                                                                                                  \
    _Generic((b), fa_tensor * : fa_add_inplace_at, default : fa_add_inplace_number_at)((a), (b), FA_HERE)
#define fa_mul_(a, b)                                                                                                  \
    _Generic((b), fa_tensor * : fa_mul_inplace_at, default : fa_mul_inplace_number_at)((a), (b), FA_HERE)
#define fa_fill_(a, value) fa_fill_inplace_at((a), (value), FA_HERE)
#define fa_zero_(a) fa_fill_inplace_at((a), 0, FA_HERE)
#define fa_copy_(a, source) fa_copy_inplace_at((a), (source), FA_HERE)
#define fa_relu_(a) fa_relu_inplace_at((a), FA_HERE)

/* ---- Shapes (views: they share the elements of what they were made from) ------------------------------------------
 */

/* One size may be -1. view needs elements that lie in order, reshape copies where they do not. */
FA_API fa_tensor *fa_view_at(fa_tensor *x, fa_shape shape, fa_where where);
FA_API fa_tensor *fa_reshape_at(fa_tensor *x, fa_shape shape, fa_where where);
FA_API fa_tensor *fa_flatten_at(fa_tensor *x, int start_dim, int end_dim, fa_where where);
FA_API fa_tensor *fa_permute_at(fa_tensor *x, fa_shape dims, fa_where where);
FA_API fa_tensor *fa_transpose_at(fa_tensor *x, int dim0, int dim1, fa_where where);
FA_API fa_tensor *fa_squeeze_at(fa_tensor *x, int dim, fa_where where);
FA_API fa_tensor *fa_unsqueeze_at(fa_tensor *x, int dim, fa_where where);
FA_API fa_tensor *fa_expand_at(fa_tensor *x, fa_shape shape, fa_where where); /* -1 keeps a size */
/* x[index] along `dim`, which disappears. */
FA_API fa_tensor *fa_select_at(fa_tensor *x, int dim, int64_t index, fa_where where);
/* x[start:end] along `dim`; bounds as in Python: negative ones count from the end, too large ones are cut. */
FA_API fa_tensor *fa_slice_at(fa_tensor *x, int dim, int64_t start, int64_t end, int64_t step, fa_where where);
/* The elements in row-major order, copied where they do not lie so. */
FA_API fa_tensor *fa_contiguous_at(fa_tensor *x, fa_where where);
FA_API fa_tensor *fa_clone_at(fa_tensor *x, fa_where where);
/* The same values without history. */
FA_API fa_tensor *fa_detach_at(fa_tensor *x, fa_where where);
FA_API fa_tensor *fa_to_dtype_at(fa_tensor *x, fa_dtype dtype, fa_where where);
#define fa_view(x, ...) fa_view_at((x), FA_SHAPE(__VA_ARGS__), FA_HERE)
#define fa_reshape(x, ...) fa_reshape_at((x), FA_SHAPE(__VA_ARGS__), FA_HERE)
#define fa_flatten(x, start_dim) fa_flatten_at((x), (start_dim), -1, FA_HERE)
#define fa_permute(x, ...) fa_permute_at((x), FA_SHAPE(__VA_ARGS__), FA_HERE)
#define fa_transpose(x, dim0, dim1) fa_transpose_at((x), (dim0), (dim1), FA_HERE)
#define fa_squeeze(x, dim) fa_squeeze_at((x), (dim), FA_HERE)
#define fa_unsqueeze(x, dim) fa_unsqueeze_at((x), (dim), FA_HERE)
#define fa_expand(x, ...) fa_expand_at((x), FA_SHAPE(__VA_ARGS__), FA_HERE)
#define fa_select(x, dim, index) fa_select_at((x), (dim), (index), FA_HERE)
#define fa_slice(x, dim, start, end) fa_slice_at((x), (dim), (start), (end), 1, FA_HERE)
#define fa_contiguous(x) fa_contiguous_at((x), FA_HERE)
#define fa_clone(x) fa_clone_at((x), FA_HERE)
#define fa_detach(x) fa_detach_at((x), FA_HERE)
#define fa_to_dtype(x, dtype) fa_to_dtype_at((x), (dtype), FA_HERE)

/* ---- Reductions -------------------------------------------------------------------------------------------------- */

typedef struct fa_reduce_args {
    char begin_;
    fa_tensor *x;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_shape dims; /* which dimensions; default: all */
    bool keepdim;
} fa_reduce_args;
/* fa_sum(x), fa_sum(x, .dims = FA_SHAPE(0, 2), .keepdim = true). */
FA_API fa_tensor *fa_sum_at(const fa_reduce_args *args);
FA_API fa_tensor *fa_mean_at(const fa_reduce_args *args);
#define fa_sum(...) FA_CALL_(fa_sum_at, fa_reduce_args, .dims = {.ndim = -1}, .begin_ = 0, __VA_ARGS__)
#define fa_mean(...) FA_CALL_(fa_mean_at, fa_reduce_args, .dims = {.ndim = -1}, .begin_ = 0, __VA_ARGS__)
/* Index of the first maximum along `dim` (NaN wins), int64; and the maximum itself. `indices` may be NULL. */
FA_API fa_tensor *fa_argmax_at(fa_tensor *x, int dim, bool keepdim, fa_where where);
FA_API fa_tensor *fa_max_at(fa_tensor *x, int dim, fa_tensor **indices, fa_where where);
#define fa_argmax(x, dim) fa_argmax_at((x), (dim), false, FA_HERE)
#define fa_max(x, dim, indices) fa_max_at((x), (dim), (indices), FA_HERE)

/* ---- Matrices ---------------------------------------------------------------------------------------------------- */

/* PyTorch's matmul: vectors, matrices, and batches of matrices with broadcasting. */
FA_API fa_tensor *fa_matmul_at(fa_tensor *a, fa_tensor *b, fa_where where);
#define fa_matmul(a, b) fa_matmul_at((a), (b), FA_HERE)
/* x [..., in] times weight [out, in] transposed, plus bias [out] (may be NULL). */
FA_API fa_tensor *fa_linear_at(fa_tensor *x, fa_tensor *weight, fa_tensor *bias, fa_where where);
#define fa_linear(x, weight, bias) fa_linear_at((x), (weight), (bias), FA_HERE)

/* ---- Autograd ---------------------------------------------------------------------------------------------------- */

typedef struct fa_backward_args {
    char begin_;
    fa_tensor *tensor;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_tensor *gradient; /* of the tensor's shape; may be left out for a single number */
    bool retain_graph;
} fa_backward_args;
/* Adds d tensor / d leaf to the gradient of every leaf that requires one. False after an error. */
FA_API bool fa_backward_at(const fa_backward_args *args);
#define fa_backward(...) FA_CALL_(fa_backward_at, fa_backward_args, .begin_ = 0, __VA_ARGS__)
/* The gradient of a leaf; NULL, without an error, when it has none. */
FA_API fa_tensor *fa_grad_at(fa_tensor *leaf, fa_where where);
#define fa_grad(leaf) fa_grad_at((leaf), FA_HERE)
/* Switches a leaf's gradient on or off. */
FA_API fa_tensor *fa_set_requires_grad_at(fa_tensor *leaf, bool requires_grad, fa_where where);

/* ---- Ops from outside the library ---------------------------------------------------------------------------------
 */

/* What a custom op's callbacks see: row-major values, and the gradient of each input to fill in backward. They run on
 * the calling thread and may not call fa_ functions. */
typedef struct fa_custom_call {
    int inputs;
    const void *input[8];
    fa_shape input_shape[8];
    fa_dtype input_dtype[8];
    void *output;            /* forward: to be filled; backward: its value */
    const void *output_grad; /* backward */
    void *input_grad[8];     /* backward: to be filled; NULL where none is needed */
    fa_shape output_shape;
    fa_dtype output_dtype;
    const double *numbers; /* as given at the call */
    void *context;
} fa_custom_call;

typedef struct fa_custom_op {
    const char *name;
    /* Sets output_shape and output_dtype from the inputs' (preset: those of input 0); false and fa_raise on misuse. */
    bool (*shape)(fa_custom_call *call);
    void (*forward)(fa_custom_call *call);
    void (*backward)(fa_custom_call *call); /* NULL: not differentiable */
    void *context;
} fa_custom_op;

typedef struct fa_custom_args {
    char begin_;
    const fa_custom_op *op; /* must outlive the tensors made with it */
    fa_tensor *input[8];
    struct fa_keyword_only *kw_;
    fa_where where_;
    double numbers[8];
} fa_custom_args;
/* fa_custom(&my_op, {x, y}, .numbers = {0.5}) */
FA_API fa_tensor *fa_custom_at(const fa_custom_args *args);
#define fa_custom(...) FA_CALL_(fa_custom_at, fa_custom_args, .begin_ = 0, __VA_ARGS__)

/* ---- Waiting ----------------------------------------------------------------------------------------------------- */

/* Runs everything that has been recorded (for one's own timing). False after an error. */
FA_API bool fa_sync_at(fa_where where);
#define fa_sync() fa_sync_at(FA_HERE)

#ifdef __cplusplus
}
#endif
#endif
