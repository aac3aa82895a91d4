/* The mistakes of golden/errors_tensors.json: reductions, sorting, joining, moving, indexing, padding. */
#include "support/mistakes.h"

#include <math.h>

static fa_tensor *numbers(fa_dtype dtype, fa_shape shape)
{
    return fa_zeros_with(shape, .dtype = dtype);
}

static fa_tensor *indices(int64_t a, int64_t b)
{
    return fa_tensor_of_as(FA_INT64, FA_SHAPE(2), (double)a, (double)b);
}

static fa_tensor *single(void)
{
    return fa_ones_with(FA_SCALAR);
}

#define MISTAKE(name, call)                                                                                            \
    PROGRAM(name)                                                                                                      \
    {                                                                                                                  \
        AT(call);                                                                                                      \
    }

/* ---- Reductions and sorting ----------------------------------------------------------------------------------------
 */

MISTAKE(var_integers, fa_var(numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(2))))
MISTAKE(std_integers, fa_std(numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(2))))
MISTAKE(var_dim, fa_var(fa_randn(2), .dims = FA_SHAPE(wrong ? 1 : 0)))
MISTAKE(norm_integers, fa_norm(numbers(wrong ? FA_INT64 : FA_FLOAT32, FA_SHAPE(2))))
MISTAKE(norm_nothing, fa_norm(fa_randn(wrong ? 0 : 1), INFINITY))
MISTAKE(prod_dim, fa_prod(fa_randn(2), .dims = FA_SHAPE(wrong ? 1 : 0)))
MISTAKE(amax_nothing, fa_amax(fa_randn(0, 3), .dims = FA_SHAPE(wrong ? 0 : 1)))
MISTAKE(amin_twice, fa_amin(fa_randn(2, 3), .dims = FA_SHAPE(0, wrong ? 0 : 1)))
MISTAKE(max_nothing, fa_max(fa_randn(wrong ? 0 : 1)))
MISTAKE(min_nothing, fa_min(fa_randn(2, wrong ? 0 : 1), 1))
MISTAKE(max_dim, fa_max(fa_randn(2), wrong ? 1 : 0))
MISTAKE(argmax_nothing, fa_argmax(fa_randn(wrong ? 0 : 1)))
MISTAKE(argmin_bool, fa_argmin(numbers(wrong ? FA_BOOL : FA_UINT8, FA_SHAPE(2))))
MISTAKE(logsumexp_dim, fa_logsumexp(fa_randn(2), .dims = FA_SHAPE(wrong ? 1 : 0)))
MISTAKE(cumsum_dim, fa_cumsum(fa_randn(2), wrong ? -2 : -1))
MISTAKE(topk_large, fa_topk(fa_randn(3), wrong ? 4 : 3))
MISTAKE(topk_negative, fa_topk(fa_randn(3), wrong ? -1 : 0))
MISTAKE(topk_bool, fa_topk(numbers(wrong ? FA_BOOL : FA_UINT8, FA_SHAPE(2)), 1))
MISTAKE(sort_dim, fa_sort(fa_randn(2), wrong ? 1 : 0))
MISTAKE(argsort_dim, fa_argsort(fa_randn(2), wrong ? 1 : 0))

/* ---- Joining and cutting -------------------------------------------------------------------------------------------
 */

PROGRAM(cat_nothing)
{
    fa_tensor *list[1] = {fa_randn(2)};
    AT(fa_cat(((fa_tensor_list){.tensor = list, .count = wrong ? 0 : 1}), 0));
}

MISTAKE(cat_dimensions, fa_cat(FA_TENSORS(fa_randn(2), wrong ? fa_randn(2, 2) : fa_randn(2)), 0))
MISTAKE(cat_sizes, fa_cat(FA_TENSORS(fa_randn(2, 3), fa_randn(2, wrong ? 2 : 3)), 0))
MISTAKE(cat_empty_matrix, fa_cat(FA_TENSORS(fa_randn(0, wrong ? 3 : 2), fa_randn(2, 2)), 0))
MISTAKE(cat_numbers, fa_cat(FA_TENSORS(wrong ? single() : fa_randn(1), fa_randn(2)), 0))
MISTAKE(cat_dim, fa_cat(FA_TENSORS(fa_randn(2), fa_randn(0)), wrong ? 1 : 0))

PROGRAM(stack_nothing)
{
    fa_tensor *list[1] = {fa_randn(2)};
    AT(fa_stack(((fa_tensor_list){.tensor = list, .count = wrong ? 0 : 1}), 0));
}

MISTAKE(stack_shapes, fa_stack(FA_TENSORS(fa_randn(2), fa_randn(wrong ? 3 : 2)), 0))
MISTAKE(stack_dim, fa_stack(FA_TENSORS(fa_randn(2), fa_randn(2)), wrong ? 2 : 1))

#define CUTTING(name, call)                                                                                            \
    PROGRAM(name)                                                                                                      \
    {                                                                                                                  \
        fa_tensor *part[8];                                                                                            \
        AT(call);                                                                                                      \
    }
CUTTING(chunk_none, fa_chunk(fa_randn(5), wrong ? 0 : 1, 0, part))
CUTTING(chunk_number, fa_chunk(wrong ? single() : fa_randn(1), 1, 0, part))
CUTTING(split_none, fa_split(fa_randn(5), wrong ? 0 : 1, 0, part))
CUTTING(split_negative, fa_split(fa_randn(5), wrong ? -1 : 1, 0, part))
CUTTING(split_sum, fa_split_sizes(fa_randn(5), ((int64_t[]){2, wrong ? 2 : 3}), 0, part))
CUTTING(split_negative_size, fa_split_sizes(fa_randn(5), ((int64_t[]){wrong ? 6 : 5, wrong ? -1 : 0}), 0, part))
CUTTING(unbind_number, fa_unbind(wrong ? single() : fa_randn(1), 0, part))
MISTAKE(narrow_end, fa_narrow(fa_randn(5), 0, 4, wrong ? 2 : 1))
MISTAKE(narrow_start, fa_narrow(fa_randn(5), 0, wrong ? -6 : -5, 1))
MISTAKE(narrow_length, fa_narrow(fa_randn(5), 0, 0, wrong ? -1 : 0))

/* ---- Moving ---------------------------------------------------------------------------------------------------------
 */

MISTAKE(t_three, fa_t(wrong ? fa_randn(2, 3, 4) : fa_randn(2, 3)))
MISTAKE(movedim_range, fa_movedim(fa_randn(2, 3), 0, wrong ? 2 : 1))
MISTAKE(flip_twice, fa_flip(fa_randn(2, 3), 0, wrong ? 0 : 1))
MISTAKE(flip_dim, fa_flip(fa_randn(2, 3), wrong ? 2 : 1))
MISTAKE(roll_shifts, fa_roll_at(fa_randn(2, 3), FA_SHAPE(1, 2), wrong ? FA_SHAPE(0) : FA_SHAPE(0, 1), FA_HERE))
MISTAKE(roll_number, fa_roll(wrong ? single() : fa_randn(1), 1, 0))
MISTAKE(repeat_few, fa_repeat_at(fa_randn(2, 3), wrong ? FA_SHAPE(2) : FA_SHAPE(2, 1), FA_HERE))
MISTAKE(repeat_negative, fa_repeat(fa_randn(2, 3), 2, wrong ? -1 : 1))

/* ---- Indexing -------------------------------------------------------------------------------------------------------
 */

/* Values of indices are looked at when the result is computed: at the line that recorded it. */
MISTAKE(gather_dimensions, fa_gather(wrong ? fa_randn(3, 2) : fa_randn(3), 0, indices(0, 1)))
MISTAKE(gather_range, fa_gather(fa_randn(3), 0, indices(0, wrong ? 3 : 2)))
MISTAKE(gather_negative, fa_gather(fa_randn(3), 0, indices(0, wrong ? -1 : 1)))
MISTAKE(gather_columns, fa_gather(fa_randn(3, 2), 0, numbers(FA_INT64, FA_SHAPE(4, wrong ? 3 : 2))))
MISTAKE(gather_float, fa_gather(fa_randn(3), 0, numbers(wrong ? FA_FLOAT32 : FA_INT64, FA_SHAPE(2))))
MISTAKE(select_range, fa_index_select(fa_randn(3), 0, indices(0, wrong ? 3 : 2)))
MISTAKE(select_negative, fa_index_select(fa_randn(3), 0, indices(0, wrong ? -1 : 1)))
MISTAKE(select_matrix, fa_index_select(fa_randn(3), 0, wrong ? fa_view(indices(0, 1), 1, 2) : indices(0, 1)))
MISTAKE(select_bool, fa_index_select(fa_randn(3), 0, numbers(wrong ? FA_BOOL : FA_INT64, FA_SHAPE(1))))
MISTAKE(rows_range, fa_take_rows(fa_randn(3), 0, wrong ? 3 : 2))
MISTAKE(one_hot_large, fa_one_hot(indices(0, wrong ? 2 : 1), 2))
MISTAKE(one_hot_negative, fa_one_hot(indices(wrong ? -1 : 0, 2), -1))
MISTAKE(one_hot_int32, fa_one_hot(numbers(wrong ? FA_INT32 : FA_INT64, FA_SHAPE(2)), 2))
MISTAKE(one_hot_nothing, fa_one_hot(numbers(FA_INT64, FA_SHAPE(wrong ? 0 : 1)), -1))

/* ---- Padding --------------------------------------------------------------------------------------------------------
 */

MISTAKE(pad_odd, fa_pad(fa_randn(1, 6), wrong ? FA_SHAPE(1) : FA_SHAPE(1, 1)))
MISTAKE(pad_many, fa_pad(fa_randn(6), wrong ? FA_SHAPE(1, 1, 1, 1) : FA_SHAPE(1, 1)))
MISTAKE(pad_cut, fa_pad(fa_randn(1, 6), FA_SHAPE(-4, wrong ? -4 : -2)))
MISTAKE(pad_reflect, fa_pad(fa_randn(1, 6), FA_SHAPE(wrong ? 6 : 5, 0), .mode = FA_PAD_REFLECT))
MISTAKE(pad_circular, fa_pad(fa_randn(1, 6), FA_SHAPE(wrong ? 7 : 6, 0), .mode = FA_PAD_CIRCULAR))
MISTAKE(pad_reflect_all, fa_pad(wrong ? fa_randn(6) : fa_randn(1, 6), FA_SHAPE(1, 1), .mode = FA_PAD_REFLECT))
MISTAKE(pad_value, fa_pad(fa_randn(1, 6), FA_SHAPE(1, 1), .mode = FA_PAD_REPLICATE, .value = wrong ? 2 : 0))
MISTAKE(pad_nothing, fa_pad(fa_randn(2, 1, wrong ? 0 : 1), FA_SHAPE(1, 1), .mode = FA_PAD_REPLICATE))

static const mistake mistakes[] = {
    {"var: integers", var_integers, "var", NULL, "int64", "float32"},
    {"std: integers", std_integers, "std", NULL, "int64", "float32"},
    {"var: dim out of range", var_dim, "var", NULL, "1", "0"},
    {"norm: integers", norm_integers, "norm", NULL, "int64", "float32"},
    {"norm: infinite of nothing", norm_nothing, "norm", NULL, "[0]", "one element"},
    {"prod: dim out of range", prod_dim, "prod", NULL, "1", "0"},
    {"amax: of nothing", amax_nothing, "amax", NULL, "[0, 3]", "one element"},
    {"amin: dim given twice", amin_twice, "amin", NULL, "twice", "once"},
    {"max: of nothing", max_nothing, "max", NULL, "[0]", "one element"},
    {"min: of nothing along a dimension", min_nothing, "min", NULL, "[2, 0]", "one element"},
    {"max: dim out of range", max_dim, "max", NULL, "1", "0"},
    {"argmax: all of nothing", argmax_nothing, "argmax", NULL, "[0]", "one element"},
    {"argmin: bool", argmin_bool, "argmin", NULL, "bool", "numbers"},
    {"logsumexp: dim out of range", logsumexp_dim, "logsumexp", NULL, "1", "0"},
    {"cumsum: dim out of range", cumsum_dim, "cumsum", NULL, "-2", "-1"},
    {"topk: k too large", topk_large, "topk", NULL, "4", "3"},
    {"topk: negative k", topk_negative, "topk", NULL, "-1", "0"},
    {"topk: bool", topk_bool, "topk", NULL, "bool", "numbers"},
    {"sort: dim out of range", sort_dim, "sort", NULL, "1", "0"},
    {"argsort: dim out of range", argsort_dim, "argsort", NULL, "1", "0"},
    {"cat: nothing to join", cat_nothing, "cat", NULL, "0", "1"},
    {"cat: numbers of dimensions", cat_dimensions, "cat", NULL, "[2, 2]", "equal"},
    {"cat: sizes", cat_sizes, "cat", NULL, "[2, 2]", "equal"},
    {"cat: empty matrix of another width", cat_empty_matrix, "cat", NULL, "[2, 2]", "equal"},
    {"cat: single numbers", cat_numbers, "cat", NULL, "single number", "1 dimension"},
    {"cat: dim out of range", cat_dim, "cat", NULL, "1", "0"},
    {"stack: nothing to join", stack_nothing, "stack", NULL, "0", "1"},
    {"stack: shapes", stack_shapes, "stack", NULL, "[3]", "one shape"},
    {"stack: dim out of range", stack_dim, "stack", NULL, "2", "1"},
    {"chunk: 0 chunks", chunk_none, "chunk", NULL, "0", "1"},
    {"chunk: a single number", chunk_number, "chunk", NULL, "single number", "1 dimension"},
    {"split: size 0", split_none, "split", NULL, "0", "1"},
    {"split: negative size", split_negative, "split", NULL, "-1", "1"},
    {"split: sizes do not add up", split_sum, "split", NULL, "2 sizes", "5"},
    {"split: a negative size among them", split_negative_size, "split", NULL, "2 sizes", "0 or more"},
    {"unbind: a single number", unbind_number, "unbind", NULL, "single number", "1 dimension"},
    {"narrow: beyond the end", narrow_end, "narrow", NULL, "length 2", "5"},
    {"narrow: before the start", narrow_start, "narrow", NULL, "-6", "5"},
    {"narrow: negative length", narrow_length, "narrow", NULL, "-1", "5"},
    {"t: three dimensions", t_three, "t:", NULL, "[2, 3, 4]", "2"},
    {"movedim: out of range", movedim_range, "movedim", NULL, "2", "1"},
    {"flip: dim given twice", flip_twice, "flip", NULL, "twice", "once"},
    {"flip: dim out of range", flip_dim, "flip", NULL, "2", "1"},
    {"roll: numbers of shifts and dimensions", roll_shifts, "roll", NULL, "2 shifts", "one for each"},
    {"roll: a single number along a dimension", roll_number, "roll", NULL, "single number", "1 dimension"},
    {"repeat: too few numbers", repeat_few, "repeat", NULL, "[2]", "each"},
    {"repeat: negative", repeat_negative, "repeat", NULL, "-1", "0 or more"},
    {"gather: numbers of dimensions", gather_dimensions, "gather", NULL, "[3, 2]", "dimensions"},
    {"gather: index out of range", gather_range, "gather", NULL, "3", "0 to 2"},
    {"gather: negative index", gather_negative, "gather", NULL, "-1", "0 to 2"},
    {"gather: more columns than there are", gather_columns, "gather", NULL, "[4, 3]", "dimension 0"},
    {"gather: float indices", gather_float, "gather", NULL, "float32", "int64"},
    {"index_select: index out of range", select_range, "index_select", NULL, "3", "0 to 2"},
    {"index_select: negative index", select_negative, "index_select", NULL, "-1", "0 to 2"},
    {"index_select: a matrix of indices", select_matrix, "index_select", NULL, "[1, 2]", "vector"},
    {"index_select: bool indices", select_bool, "index_select", NULL, "bool", "int64"},
    {"take_rows: out of range", rows_range, "take_rows", NULL, "3", "-3 to 2"},
    {"one_hot: class too large", one_hot_large, "one_hot", NULL, "2", "0 to 1"},
    {"one_hot: negative class", one_hot_negative, "one_hot", NULL, "-1", "0 to 2"},
    {"one_hot: int32", one_hot_int32, "one_hot", NULL, "int32", "int64"},
    {"one_hot: count of nothing", one_hot_nothing, "one_hot", NULL, "[0]", "num_classes"},
    {"pad: an odd count of numbers", pad_odd, "pad", NULL, "1", "two a dimension"},
    {"pad: more dimensions than there are", pad_many, "pad", NULL, "4", "most 1"},
    {"pad: more cut off than there is", pad_cut, "pad", NULL, "-4", "0 elements"},
    {"pad: reflect beyond the size", pad_reflect, "pad", NULL, "6", "less than"},
    {"pad: circular beyond the size", pad_circular, "pad", NULL, "7", "once"},
    {"pad: reflect of all dimensions", pad_reflect_all, "pad", NULL, "[6]", "channels"},
    {"pad: replicate with a value", pad_value, "pad", NULL, "2", "none"},
    {"pad: replicate of nothing", pad_nothing, "pad", NULL, "[2, 1, 0]", "element"},
};

int main(void)
{
    return RUN_MISTAKES("errors_tensors", mistakes);
}
