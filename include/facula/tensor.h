/* Tensors: creation, reading, views, reductions, matrices, autograd, and (elementwise.h) arithmetic. functional.h has
 * the functions that networks are made of.
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

/* FA_BFLOAT16 and FA_FLOAT16 are for storage: such tensors are made, viewed, copied, printed, and converted by
 * fa_to_dtype (half to even, what is too large becomes infinite); every other op refuses them. */
typedef enum fa_dtype {
    FA_SAME_DTYPE = -1, /* of fa_zeros_like and its kin: the tensor's own */
    FA_FLOAT32,
    FA_FLOAT64,
    FA_INT64,
    FA_INT32,
    FA_UINT8,
    FA_BOOL,
    FA_BFLOAT16,
    FA_FLOAT16
} fa_dtype;

typedef struct fa_shape {
    int ndim;
    int64_t size[8];
} fa_shape;

/* FA_SHAPE(32, 3, 224, 224); FA_SCALAR is the shape of a single number. */
#define FA_SHAPE(...) ((fa_shape){(int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), {__VA_ARGS__}})
#define FA_SCALAR ((fa_shape){0, {0}})

/* Tensors and, where they have them, their names: parallel arrays. */
typedef struct fa_tensor_list {
    fa_tensor *const *tensor;
    const char *const *name; /* NULL: no names */
    int64_t count;
} fa_tensor_list;
/* A list written out: fa_cat(FA_TENSORS(a, b), 1), fa_sgd(FA_TENSORS(w, b), 0.1). Of an array:
 * (fa_tensor_list){.tensor = array, .count = n}. */
#define FA_TENSORS(...)                                                                                                \
    ((fa_tensor_list){(fa_tensor *[]){__VA_ARGS__}, NULL,                                                              \
                      (int64_t)(sizeof((fa_tensor *[]){__VA_ARGS__}) / sizeof(fa_tensor *))})

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
/* fa_enable_grad { ... } inside it: history is recorded again. */
#define fa_enable_grad FA_BLOCK_AT_(fa_grad_guard, fa_grad_begin_(true), fa_grad_end_, __LINE__)
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
#define fa_empty(...) fa_empty_with(FA_SHAPE(__VA_ARGS__)) /* whatever lies in memory */
#define fa_ones(...) fa_ones_with(FA_SHAPE(__VA_ARGS__))
#define fa_rand(...) fa_rand_with(FA_SHAPE(__VA_ARGS__))   /* uniform in [0, 1) */
#define fa_randn(...) fa_randn_with(FA_SHAPE(__VA_ARGS__)) /* normal, mean 0, std 1 */
/* The same with options: fa_randn_with(FA_SHAPE(2, 3), .dtype = FA_FLOAT64, .requires_grad = true). */
#define FA_NEW_(function, shape, ...)                                                                                  \
    __extension__({                                                                                                    \
        FA_BEGIN_CALL_ function((shape), &(fa_new_args){.where_ = {__FILE__, __LINE__}, .kw_ = 0, __VA_ARGS__});       \
        FA_END_CALL_                                                                                                   \
    })
#define fa_empty_with(...) FA_NEW_SPLIT_(fa_empty_at, __VA_ARGS__, .kw_ = 0)
#define fa_zeros_with(...) FA_NEW_SPLIT_(fa_zeros_at, __VA_ARGS__, .kw_ = 0)
#define fa_ones_with(...) FA_NEW_SPLIT_(fa_ones_at, __VA_ARGS__, .kw_ = 0)
#define fa_rand_with(...) FA_NEW_SPLIT_(fa_rand_at, __VA_ARGS__, .kw_ = 0)
#define fa_randn_with(...) FA_NEW_SPLIT_(fa_randn_at, __VA_ARGS__, .kw_ = 0)
#define FA_NEW_SPLIT_(function, shape, ...) FA_NEW_(function, shape, __VA_ARGS__)
FA_API fa_tensor *fa_empty_at(fa_shape shape, const fa_new_args *args);
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

/* Tensors of another one's shape, and of its type unless .dtype says otherwise: fa_zeros_like(x, .dtype = FA_INT64). */
FA_API fa_tensor *fa_empty_like_at(fa_tensor *x, const fa_new_args *args);
FA_API fa_tensor *fa_zeros_like_at(fa_tensor *x, const fa_new_args *args);
FA_API fa_tensor *fa_ones_like_at(fa_tensor *x, const fa_new_args *args);
FA_API fa_tensor *fa_rand_like_at(fa_tensor *x, const fa_new_args *args);
FA_API fa_tensor *fa_randn_like_at(fa_tensor *x, const fa_new_args *args);
FA_API fa_tensor *fa_full_like_at(fa_tensor *x, double value, const fa_new_args *args);
#define fa_empty_like(...) FA_LIKE_SPLIT_(fa_empty_like_at, __VA_ARGS__, .kw_ = 0)
#define fa_zeros_like(...) FA_LIKE_SPLIT_(fa_zeros_like_at, __VA_ARGS__, .kw_ = 0)
#define fa_ones_like(...) FA_LIKE_SPLIT_(fa_ones_like_at, __VA_ARGS__, .kw_ = 0)
#define fa_rand_like(...) FA_LIKE_SPLIT_(fa_rand_like_at, __VA_ARGS__, .kw_ = 0)
#define fa_randn_like(...) FA_LIKE_SPLIT_(fa_randn_like_at, __VA_ARGS__, .kw_ = 0)
#define fa_full_like(...) FA_FULL_LIKE_SPLIT_(__VA_ARGS__, .kw_ = 0)
#define FA_NEW_ARGS_(type, ...) (&(fa_new_args){.where_ = {__FILE__, __LINE__}, .dtype = (type), __VA_ARGS__})
#define FA_LIKE_SPLIT_(function, x, ...)                                                                               \
    __extension__({                                                                                                    \
        FA_BEGIN_CALL_ function((x), FA_NEW_ARGS_(FA_SAME_DTYPE, __VA_ARGS__));                                        \
        FA_END_CALL_                                                                                                   \
    })
#define FA_FULL_LIKE_SPLIT_(x, value, ...)                                                                             \
    __extension__({                                                                                                    \
        FA_BEGIN_CALL_ fa_full_like_at((x), (value), FA_NEW_ARGS_(FA_SAME_DTYPE, __VA_ARGS__));                        \
        FA_END_CALL_                                                                                                   \
    })

/* start, start + step, ... below `end` (above it for a negative step): fa_arange(5), fa_arange(2, 5),
 * fa_arange(0, 1, 0.1). int64 where all are integers by their C type, else float32. */
FA_API fa_tensor *fa_arange_at(double start, double end, double step, const fa_new_args *args);
#define fa_arange(...) FA_PICK_3_(__VA_ARGS__, FA_ARANGE_3_, FA_ARANGE_2_, FA_ARANGE_1_, 0)(__VA_ARGS__)
/* The same with options: fa_arange_with(0, 5, 1, .dtype = FA_FLOAT64). */
#define fa_arange_with(...) FA_ARANGE_SPLIT_(__VA_ARGS__, .kw_ = 0)
#define FA_PICK_3_(a, b, c, picked, ...) picked
#define FA_ARANGE_1_(end) fa_arange_with(0, end, 1)
#define FA_ARANGE_2_(start, end) fa_arange_with(start, end, 1)
#define FA_ARANGE_3_(start, end, step) fa_arange_with(start, end, step)
#define FA_IS_WHOLE_(x) _Generic((x), float : 0, double : 0, long double : 0, default : 1)
#define FA_ARANGE_SPLIT_(start, end, step, ...)                                                                        \
    __extension__({                                                                                                    \
        FA_BEGIN_CALL_ fa_arange_at(                                                                                   \
            (double)(start), (double)(end), (double)(step),                                                            \
            FA_NEW_ARGS_(FA_IS_WHOLE_(start) && FA_IS_WHOLE_(end) && FA_IS_WHOLE_(step) ? FA_INT64 : FA_FLOAT32,       \
                         __VA_ARGS__));                                                                                \
        FA_END_CALL_                                                                                                   \
    })

/* `steps` numbers from start to end, both included, equally far apart: fa_linspace(0, 1, 11). */
FA_API fa_tensor *fa_linspace_at(double start, double end, int64_t steps, const fa_new_args *args);
#define fa_linspace(...) FA_LINSPACE_SPLIT_(__VA_ARGS__, .kw_ = 0)
#define FA_LINSPACE_SPLIT_(start, end, steps, ...)                                                                     \
    __extension__({                                                                                                    \
        FA_BEGIN_CALL_ fa_linspace_at((start), (end), (steps), FA_NEW_ARGS_(FA_FLOAT32, __VA_ARGS__));                 \
        FA_END_CALL_                                                                                                   \
    })

/* Ones on the diagonal, zeros elsewhere: fa_eye(3), fa_eye(2, 3), fa_eye_with(3, 3, .dtype = FA_INT64). */
FA_API fa_tensor *fa_eye_at(int64_t rows, int64_t columns, const fa_new_args *args);
#define fa_eye(...) FA_PICK_2_(__VA_ARGS__, FA_EYE_2_, FA_EYE_1_, 0)(__VA_ARGS__)
#define fa_eye_with(...) FA_EYE_SPLIT_(__VA_ARGS__, .kw_ = 0)
#define FA_PICK_2_(a, b, picked, ...) picked
#define FA_EYE_1_(n) fa_eye_with(n, n)
#define FA_EYE_2_(rows, columns) fa_eye_with(rows, columns)
#define FA_EYE_SPLIT_(rows, columns, ...)                                                                              \
    __extension__({                                                                                                    \
        FA_BEGIN_CALL_ fa_eye_at((rows), (columns), FA_NEW_ARGS_(FA_FLOAT32, __VA_ARGS__));                            \
        FA_END_CALL_                                                                                                   \
    })

/* Whole numbers drawn uniformly from [low, high), int64 unless .dtype says otherwise: fa_randint(0, 10, FA_SHAPE(100)).
 * Every type gives the same draws; it must hold low and high - 1, but float32, float64 and bfloat16 draw from a range
 * that is rounded to what they tell apart (beyond 2^24, 2^53 and 2^8). */
FA_API fa_tensor *fa_randint_at(int64_t low, int64_t high, fa_shape shape, const fa_new_args *args);
#define fa_randint(...) FA_RANDINT_SPLIT_(__VA_ARGS__, .kw_ = 0)
#define FA_RANDINT_SPLIT_(low, high, shape, ...)                                                                       \
    __extension__({                                                                                                    \
        FA_BEGIN_CALL_ fa_randint_at((low), (high), (shape),                                                           \
                                     &(fa_new_args){.where_ = {__FILE__, __LINE__}, .dtype = FA_INT64, __VA_ARGS__});  \
        FA_END_CALL_                                                                                                   \
    })
/* The same in x's shape and type: fa_randint_like(x, 0, 10). */
FA_API fa_tensor *fa_randint_like_at(fa_tensor *x, int64_t low, int64_t high, const fa_new_args *args);
#define fa_randint_like(...) FA_RANDINT_LIKE_SPLIT_(__VA_ARGS__, .kw_ = 0)
#define FA_RANDINT_LIKE_SPLIT_(x, low, high, ...)                                                                      \
    __extension__({                                                                                                    \
        FA_BEGIN_CALL_ fa_randint_like_at((x), (low), (high), FA_NEW_ARGS_(FA_SAME_DTYPE, __VA_ARGS__));               \
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
/* The same for writing, of leaves alone; the tensor's version rises. To be written through before the tensor is used
 * again: ask anew for later writes. */
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
/* The same of a shape: torch.Size([64, 1, 28, 28]). */
FA_API int64_t fa_shape_format(fa_shape shape, char *text, size_t size);
FA_API void fa_shape_print(fa_shape shape, FILE *file);

/* ---- Shapes (views: they share the elements of what they were made from) ------------------------------------------
 */

/* One size may be -1. view needs elements that lie in order, reshape copies where they do not. */
FA_API fa_tensor *fa_view_at(fa_tensor *x, fa_shape shape, fa_where where);
FA_API fa_tensor *fa_reshape_at(fa_tensor *x, fa_shape shape, fa_where where);
/* Dimensions start_dim .. end_dim (the last) made into one: fa_flatten(x, 1), fa_flatten(x, 1, 2). */
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
/* `length` elements from `start` on along `dim`; both must lie within. */
FA_API fa_tensor *fa_narrow_at(fa_tensor *x, int dim, int64_t start, int64_t length, fa_where where);
/* Without any of the dimensions of size 1. */
FA_API fa_tensor *fa_squeeze_all_at(fa_tensor *x, fa_where where);
/* Dimension `source` moved to place `destination`; the others keep their order. */
FA_API fa_tensor *fa_movedim_at(fa_tensor *x, int source, int destination, fa_where where);
FA_API fa_tensor *fa_t_at(fa_tensor *x, fa_where where); /* a matrix transposed; a vector as it is */
/* Cut into parts along `dim`, which are written into the array `parts` of `capacity` entries. They return how many
 * there are, or 0 after an error. split: parts of `size` elements, the last one may be smaller. chunk: at most `chunks`
 * parts of equal size, the last one may be smaller. split_sizes: parts of these sizes, which add up to the whole.
 * unbind: each entry, without the dimension. The macros take an array by name:
 * fa_tensor *part[3]; fa_chunk(x, 3, 0, part). */
FA_API int64_t fa_split_at(fa_tensor *x, int64_t size, int dim, fa_tensor **parts, int64_t capacity, fa_where where);
FA_API int64_t fa_chunk_at(fa_tensor *x, int64_t chunks, int dim, fa_tensor **parts, int64_t capacity, fa_where where);
FA_API int64_t fa_split_sizes_at(fa_tensor *x, int64_t count, const int64_t *sizes, int dim, fa_tensor **parts,
                                 int64_t capacity, fa_where where);
FA_API int64_t fa_unbind_at(fa_tensor *x, int dim, fa_tensor **parts, int64_t capacity, fa_where where);
/* The elements in row-major order, copied where they do not lie so. */
FA_API fa_tensor *fa_contiguous_at(fa_tensor *x, fa_where where);
FA_API fa_tensor *fa_clone_at(fa_tensor *x, fa_where where);
/* The same values without history. */
FA_API fa_tensor *fa_detach_at(fa_tensor *x, fa_where where);
FA_API fa_tensor *fa_to_dtype_at(fa_tensor *x, fa_dtype dtype, fa_where where);
#define fa_view(x, ...) fa_view_at((x), FA_SHAPE(__VA_ARGS__), FA_HERE)
#define fa_reshape(x, ...) fa_reshape_at((x), FA_SHAPE(__VA_ARGS__), FA_HERE)
#define fa_flatten(...) FA_FLATTEN_SPLIT_(__VA_ARGS__, -1, -1)
#define FA_FLATTEN_SPLIT_(x, start_dim, end_dim, ...) fa_flatten_at((x), (start_dim), (end_dim), FA_HERE)
#define fa_permute(x, ...) fa_permute_at((x), FA_SHAPE(__VA_ARGS__), FA_HERE)
#define fa_transpose(x, dim0, dim1) fa_transpose_at((x), (dim0), (dim1), FA_HERE)
#define fa_squeeze(x, dim) fa_squeeze_at((x), (dim), FA_HERE)
#define fa_unsqueeze(x, dim) fa_unsqueeze_at((x), (dim), FA_HERE)
#define fa_expand(x, ...) fa_expand_at((x), FA_SHAPE(__VA_ARGS__), FA_HERE)
#define fa_select(x, dim, index) fa_select_at((x), (dim), (index), FA_HERE)
#define fa_slice(x, dim, start, end) fa_slice_at((x), (dim), (start), (end), 1, FA_HERE)
#define fa_slice_step(x, dim, start, end, step) fa_slice_at((x), (dim), (start), (end), (step), FA_HERE)
#define fa_narrow(x, dim, start, length) fa_narrow_at((x), (dim), (start), (length), FA_HERE)
#define fa_squeeze_all(x) fa_squeeze_all_at((x), FA_HERE)
#define fa_movedim(x, source, destination) fa_movedim_at((x), (source), (destination), FA_HERE)
#define fa_t(x) fa_t_at((x), FA_HERE)
#define FA_ROOM_(parts) (int64_t)(sizeof(parts) / sizeof(*(parts)))
#define fa_split(x, size, dim, parts) fa_split_at((x), (size), (dim), (parts), FA_ROOM_(parts), FA_HERE)
#define fa_chunk(x, chunks, dim, parts) fa_chunk_at((x), (chunks), (dim), (parts), FA_ROOM_(parts), FA_HERE)
#define fa_split_sizes(x, sizes, dim, parts)                                                                           \
    fa_split_sizes_at((x), FA_ROOM_(sizes), (sizes), (dim), (parts), FA_ROOM_(parts), FA_HERE)
#define fa_unbind(x, dim, parts) fa_unbind_at((x), (dim), (parts), FA_ROOM_(parts), FA_HERE)
#define fa_contiguous(x) fa_contiguous_at((x), FA_HERE)
#define fa_clone(x) fa_clone_at((x), FA_HERE)
#define fa_detach(x) fa_detach_at((x), FA_HERE)
#define fa_to_dtype(x, dtype) fa_to_dtype_at((x), (dtype), FA_HERE)

/* ---- Joining, moving, indexing (copies) ----------------------------------------------------------------------------
 */

/* Side by side along `dim`: sizes are equal but there; the widest type wins; vectors of no elements are passed over.
 * fa_cat(FA_TENSORS(a, b), 1). */
FA_API fa_tensor *fa_cat_at(fa_tensor_list list, int dim, fa_where where);
/* One behind the other along a new dimension; all have one shape. */
FA_API fa_tensor *fa_stack_at(fa_tensor_list list, int dim, fa_where where);
#define fa_cat(list, dim) fa_cat_at((list), (dim), FA_HERE)
#define fa_stack(list, dim) fa_stack_at((list), (dim), FA_HERE)

/* The order of elements reversed along dimensions: fa_flip(x, -1). */
FA_API fa_tensor *fa_flip_at(fa_tensor *x, fa_shape dims, fa_where where);
/* Elements moved by `shift` along `dim`; what leaves at one end comes in at the other. fa_roll_at takes a shift for
 * each of several dimensions; with dims FA_SCALAR one shift moves all elements as one row. */
FA_API fa_tensor *fa_roll_at(fa_tensor *x, fa_shape shifts, fa_shape dims, fa_where where);
/* x several times along each dimension: fa_repeat(x, 2, 1); numbers before those of x's dimensions make new ones. */
FA_API fa_tensor *fa_repeat_at(fa_tensor *x, fa_shape times, fa_where where);
#define fa_flip(x, ...) fa_flip_at((x), FA_SHAPE(__VA_ARGS__), FA_HERE)
#define fa_roll(x, shift, dim) fa_roll_at((x), FA_SHAPE(shift), FA_SHAPE(dim), FA_HERE)
#define fa_repeat(x, ...) fa_repeat_at((x), FA_SHAPE(__VA_ARGS__), FA_HERE)

/* y[i][j] = x[index[i][j]][j] for dim 0, and so on: one element an index. index (int64, int32) has x's dimensions, and
 * no size above x's but along `dim`. Indices out of range are refused when the value is computed; so below. The
 * gradient adds up what goes to one element. */
FA_API fa_tensor *fa_gather_at(fa_tensor *x, int dim, fa_tensor *index, fa_where where);
/* x's entries along `dim` at a vector of indices (int64, int32). */
FA_API fa_tensor *fa_index_select_at(fa_tensor *x, int dim, fa_tensor *index, fa_where where);
/* x[[2, 0, -1]]: fa_take_rows(x, 2, 0, -1); negative rows count from the end. */
FA_API fa_tensor *fa_take_rows_at(fa_tensor *x, int64_t count, const int64_t *rows, fa_where where);
#define fa_gather(x, dim, index) fa_gather_at((x), (dim), (index), FA_HERE)
#define fa_index_select(x, dim, index) fa_index_select_at((x), (dim), (index), FA_HERE)
#define fa_take_rows(x, ...)                                                                                           \
    fa_take_rows_at((x), (int64_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__},      \
                    FA_HERE)

/* ---- Reductions -------------------------------------------------------------------------------------------------- */

typedef struct fa_reduce_args {
    char begin_;
    fa_tensor *x;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_shape dims; /* which dimensions; default: all */
    bool keepdim;
} fa_reduce_args;
typedef struct fa_sum_args {
    char begin_;
    fa_tensor *x;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_shape dims; /* which dimensions; default: all */
    bool keepdim;
    fa_dtype dtype; /* x is converted to it first; default: x's own, for sums and products of integers and bool int64 */
} fa_sum_args;
#define FA_SUM_DEFAULTS_ .dims = {.ndim = -1}, .dtype = FA_SAME_DTYPE
/* fa_sum(x), fa_sum(x, .dims = FA_SHAPE(0, 2), .keepdim = true), fa_sum(x, .dtype = FA_FLOAT64). */
FA_API fa_tensor *fa_sum_at(const fa_sum_args *args);
FA_API fa_tensor *fa_mean_at(const fa_sum_args *args);
#define fa_sum(...) FA_CALL_(fa_sum_at, fa_sum_args, FA_SUM_DEFAULTS_, .begin_ = 0, __VA_ARGS__)
#define fa_mean(...) FA_CALL_(fa_mean_at, fa_sum_args, FA_SUM_DEFAULTS_, .begin_ = 0, __VA_ARGS__)
/* Whether some (every) element is true, that is, not 0; bool, of uint8 uint8. */
FA_API fa_tensor *fa_any_at(const fa_reduce_args *args);
FA_API fa_tensor *fa_all_at(const fa_reduce_args *args);
#define fa_any(...) FA_CALL_(fa_any_at, fa_reduce_args, .dims = {.ndim = -1}, .begin_ = 0, __VA_ARGS__)
#define fa_all(...) FA_CALL_(fa_all_at, fa_reduce_args, .dims = {.ndim = -1}, .begin_ = 0, __VA_ARGS__)
/* The product; integers and bool give int64. */
FA_API fa_tensor *fa_prod_at(const fa_sum_args *args);
/* log(sum of exp(x)), without overflow. */
FA_API fa_tensor *fa_logsumexp_at(const fa_reduce_args *args);
/* The greatest and the least element (a NaN is both); equal ones share the gradient evenly. */
FA_API fa_tensor *fa_amax_at(const fa_reduce_args *args);
FA_API fa_tensor *fa_amin_at(const fa_reduce_args *args);
#define fa_prod(...) FA_CALL_(fa_prod_at, fa_sum_args, FA_SUM_DEFAULTS_, .begin_ = 0, __VA_ARGS__)
#define fa_logsumexp(...) FA_CALL_(fa_logsumexp_at, fa_reduce_args, .dims = {.ndim = -1}, .begin_ = 0, __VA_ARGS__)
#define fa_amax(...) FA_CALL_(fa_amax_at, fa_reduce_args, .dims = {.ndim = -1}, .begin_ = 0, __VA_ARGS__)
#define fa_amin(...) FA_CALL_(fa_amin_at, fa_reduce_args, .dims = {.ndim = -1}, .begin_ = 0, __VA_ARGS__)

typedef struct fa_var_args {
    char begin_;
    fa_tensor *x;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_shape dims; /* default: all */
    bool keepdim;
    double correction; /* 1, the unbiased estimate; 0 divides by the number of elements */
} fa_var_args;
/* sum of (x - mean)^2 / max(n - correction, 0), and its root. */
FA_API fa_tensor *fa_var_at(const fa_var_args *args);
FA_API fa_tensor *fa_std_at(const fa_var_args *args);
#define fa_var(...) FA_CALL_(fa_var_at, fa_var_args, .dims = {.ndim = -1}, .correction = 1, .begin_ = 0, __VA_ARGS__)
#define fa_std(...) FA_CALL_(fa_std_at, fa_var_args, .dims = {.ndim = -1}, .correction = 1, .begin_ = 0, __VA_ARGS__)

typedef struct fa_norm_args {
    char begin_;
    fa_tensor *x;
    double p; /* 2; INFINITY: the greatest |x|; -INFINITY: the least; 0: how many are not 0 */
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_shape dims; /* default: all */
    bool keepdim;
} fa_norm_args;
/* (sum of |x|^p)^(1/p): fa_norm(x), fa_norm(x, 1, .dims = FA_SHAPE(-1)). */
FA_API fa_tensor *fa_norm_at(const fa_norm_args *args);
#define fa_norm(...) FA_CALL_(fa_norm_at, fa_norm_args, .p = 2, .dims = {.ndim = -1}, .begin_ = 0, __VA_ARGS__)

enum { FA_ALL_DIMS = -1000004 };
typedef struct fa_extreme_args {
    char begin_;
    fa_tensor *x;
    int dim;
    fa_tensor **indices; /* may be NULL: where to put the indices, int64 */
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool keepdim;
} fa_extreme_args;
/* fa_max(x): the greatest of all elements, equal ones share the gradient. fa_max(x, 1, &indices): those along a
 * dimension, where the first of equal ones is taken and has the gradient. A NaN is the greatest and the least. */
FA_API fa_tensor *fa_max_at(const fa_extreme_args *args);
FA_API fa_tensor *fa_min_at(const fa_extreme_args *args);
#define fa_max(...) FA_CALL_(fa_max_at, fa_extreme_args, .dim = FA_ALL_DIMS, .begin_ = 0, __VA_ARGS__)
#define fa_min(...) FA_CALL_(fa_min_at, fa_extreme_args, .dim = FA_ALL_DIMS, .begin_ = 0, __VA_ARGS__)

typedef struct fa_arg_args {
    char begin_;
    fa_tensor *x;
    int dim;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool keepdim;
} fa_arg_args;
/* Index of the first of those, int64: along a dimension, or fa_argmax(x) in all elements in row-major order. */
FA_API fa_tensor *fa_argmax_at(const fa_arg_args *args);
FA_API fa_tensor *fa_argmin_at(const fa_arg_args *args);
#define fa_argmax(...) FA_CALL_(fa_argmax_at, fa_arg_args, .dim = FA_ALL_DIMS, .begin_ = 0, __VA_ARGS__)
#define fa_argmin(...) FA_CALL_(fa_argmin_at, fa_arg_args, .dim = FA_ALL_DIMS, .begin_ = 0, __VA_ARGS__)

typedef struct fa_cumsum_args {
    char begin_;
    fa_tensor *x;
    int dim;
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_dtype dtype; /* x is converted to it first; default: as of fa_sum */
} fa_cumsum_args;
/* Sums of the first 1, 2, 3, .. elements along `dim`; integers and bool give int64. */
FA_API fa_tensor *fa_cumsum_at(const fa_cumsum_args *args);
#define fa_cumsum(...) FA_CALL_(fa_cumsum_at, fa_cumsum_args, .dtype = FA_SAME_DTYPE, .begin_ = 0, __VA_ARGS__)

typedef struct fa_sort_args {
    char begin_;
    fa_tensor *x;
    int dim; /* the last */
    fa_tensor **indices;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool descending;
    bool stable; /* equal elements keep their order: they do in any case */
} fa_sort_args;
typedef struct fa_argsort_args {
    char begin_;
    fa_tensor *x;
    int dim; /* the last */
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool descending;
    bool stable;
} fa_argsort_args;
typedef struct fa_topk_args {
    char begin_;
    fa_tensor *x;
    int64_t k;
    int dim; /* the last */
    fa_tensor **indices;
    struct fa_keyword_only *kw_;
    fa_where where_;
    bool largest; /* true */
    bool sorted;  /* true; false: in any order, which here is the same one */
} fa_topk_args;
/* The elements along a dimension in order, NaN as the greatest; equal ones keep theirs. `indices` (may be left out)
 * says where each came from. fa_sort(x, 0, &indices, .descending = true). */
FA_API fa_tensor *fa_sort_at(const fa_sort_args *args);
FA_API fa_tensor *fa_argsort_at(const fa_argsort_args *args); /* the indices alone */
/* The first k of them, greatest first: fa_topk(x, 5, 1, &indices); .largest = false: the least. */
FA_API fa_tensor *fa_topk_at(const fa_topk_args *args);
#define fa_sort(...) FA_CALL_(fa_sort_at, fa_sort_args, .dim = -1, .begin_ = 0, __VA_ARGS__)
#define fa_argsort(...) FA_CALL_(fa_argsort_at, fa_argsort_args, .dim = -1, .begin_ = 0, __VA_ARGS__)
#define fa_topk(...)                                                                                                   \
    FA_CALL_(fa_topk_at, fa_topk_args, .dim = -1, .largest = true, .sorted = true, .begin_ = 0, __VA_ARGS__)

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
/* Adds d tensor / d leaf to the gradient of every leaf that requires one, and of every computed tensor that
 * fa_retain_grad was called on. False after an error. */
FA_API bool fa_backward_at(const fa_backward_args *args);
#define fa_backward(...) FA_CALL_(fa_backward_at, fa_backward_args, .begin_ = 0, __VA_ARGS__)
/* The gradient of a leaf, or of a computed tensor after fa_retain_grad; NULL, without an error, when it has none. */
FA_API fa_tensor *fa_grad_at(fa_tensor *tensor, fa_where where);
#define fa_grad(tensor) fa_grad_at((tensor), FA_HERE)
/* Keeps the gradient of a computed tensor, as a leaf's is kept, from backward and fa_autograd_grad. Returns the tensor.
 */
FA_API fa_tensor *fa_retain_grad_at(fa_tensor *tensor, fa_where where);
#define fa_retain_grad(tensor) fa_retain_grad_at((tensor), FA_HERE)
/* Tensor.register_hook: during backward (and fa_autograd_grad) the function is called with the gradient of the tensor,
 * the sum of all that reaches it; of a leaf before it is added to the leaf's gradient. What it returns takes its place,
 * of the same shape and type; NULL changes nothing. It runs under fa_no_grad unless there is create_graph. The gradient
 * is a tensor of the scope in which backward runs: it can be read, kept and computed with, but no other backward can be
 * started inside. Several hooks are called in the order in which they were registered, each with what the one before
 * made of it, and a gradient that is retained is the last one. The hooks of a computed tensor belong to its value at
 * this moment, and end with its scope. Returns the hook's number, 0 after an error. */
typedef fa_tensor *(*fa_gradient_function)(fa_tensor *gradient, void *context);
FA_API int64_t fa_register_hook_at(fa_tensor *tensor, fa_gradient_function function, void *context, fa_where where);
#define fa_register_hook(tensor, function, context) fa_register_hook_at((tensor), (function), (context), FA_HERE)
/* Ends a hook; false: the tensor has none of that number. nn.h: fa_remove_hook, of tensors and modules. */
FA_API bool fa_remove_tensor_hook(fa_tensor *tensor, int64_t id);
/* Switches a leaf's gradient on or off. */
FA_API fa_tensor *fa_set_requires_grad_at(fa_tensor *leaf, bool requires_grad, fa_where where);

typedef struct fa_autograd_grad_args {
    char begin_;
    fa_tensor_list outputs, inputs;
    fa_tensor **grads; /* as many as inputs: the results */
    struct fa_keyword_only *kw_;
    fa_where where_;
    fa_tensor_list grad_outputs; /* one an output, or none; NULL for a single number */
    bool retain_graph;           /* keeps what the outputs were computed from; so does create_graph */
    bool create_graph;           /* the results have history: they can be differentiated again */
    bool allow_unused;           /* NULL for an input that the outputs do not depend on, instead of an error */
} fa_autograd_grad_args;
/* torch.autograd.grad: grads[i] = d (sum of outputs) / d inputs[i], without touching any leaf's own gradient. Inputs
 * are leaves or computed tensors. False after an error, and then all results are NULL.
 *
 *     fa_tensor *slope[1];
 *     fa_autograd_grad(FA_TENSORS(y), FA_TENSORS(x), slope, .create_graph = true);
 *
 * With create_graph a custom op without a rule is named by the error that differentiating the result raises. */
FA_API bool fa_autograd_grad_at(const fa_autograd_grad_args *args);
#define fa_autograd_grad(...) FA_CALL_(fa_autograd_grad_at, fa_autograd_grad_args, .begin_ = 0, __VA_ARGS__)

/* torch.nn.utils.clip_grad_norm_: the gradients of these tensors, taken together as one vector, are scaled so that its
 * norm is at most max_norm: each is multiplied by min(max_norm / (norm + 1e-6), 1). Returns the norm before, a single
 * number that need not be read. norm_type: 2, another p above 0, or INFINITY. Tensors without a gradient are skipped.
 * With error_if_nonfinite a norm that is NaN or infinite is an error, and nothing is scaled. */
typedef struct fa_clip_grad_norm_args {
    char begin_;
    fa_tensor_list tensors;
    double max_norm;
    struct fa_keyword_only *kw_;
    fa_where where_;
    double norm_type;
    bool error_if_nonfinite;
} fa_clip_grad_norm_args;
FA_API fa_tensor *fa_clip_grad_norm_at(const fa_clip_grad_norm_args *args);
#define fa_clip_grad_norm_(...)                                                                                        \
    FA_CALL_(fa_clip_grad_norm_at, fa_clip_grad_norm_args, .norm_type = 2, .begin_ = 0, __VA_ARGS__)
/* torch.nn.utils.clip_grad_value_: every element of every gradient is cut to -clip_value..clip_value. */
FA_API bool fa_clip_grad_value_at(fa_tensor_list tensors, double clip_value, fa_where where);
#define fa_clip_grad_value_(tensors, clip_value) fa_clip_grad_value_at((tensors), (clip_value), FA_HERE)

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

/* What a rule sees: tensors, from which it makes the gradients of the inputs with fa_ functions. It returns false after
 * an error; a gradient that it leaves NULL is zero. */
typedef struct fa_custom_rule {
    int inputs;
    fa_tensor *input[8], *output, *output_grad;
    bool wanted[8];           /* whether input_grad[i] is needed */
    fa_tensor *input_grad[8]; /* to be set: of the shape and type of the input */
    const double *numbers;
    void *context;
} fa_custom_rule;

typedef struct fa_custom_op {
    const char *name;
    /* Sets output_shape and output_dtype from the inputs' (preset: those of input 0); false and fa_raise on misuse. */
    bool (*shape)(fa_custom_call *call);
    void (*forward)(fa_custom_call *call);
    void (*backward)(fa_custom_call *call); /* NULL: not differentiable, unless there is a rule */
    void *context;
    /* The gradient in terms of ops, for gradients of gradients (create_graph), and for backward where that is NULL. */
    bool (*rule)(fa_custom_rule *call);
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

#include "facula/elementwise.h"

#endif
