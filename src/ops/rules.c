/* Shape and type rules that several ops share, and short names for recording. */
#include "ops/rules.h"

#include "ops/kernel_types.h"

#include <math.h>
#include <string.h>

bool fa_same_shape(const fa_meta *a, const fa_meta *b)
{
    return a->ndim == b->ndim && memcmp(a->shape, b->shape, sizeof(int64_t) * a->ndim) == 0;
}

bool fa_infer_same(fa_node *node)
{
    node->meta = node->in[0]->meta;
    node->meta.layout = FA_PLAIN;
    return true;
}

bool fa_infer_float(fa_node *node)
{
    const int dtype = node->in[0]->meta.dtype;
    if (!fa_is_float(dtype))
        return fa_refuse(FA_DTYPE_ERROR, fa_op_table[node->op]->name,
                         "got %s, needs float32 or float64. Hint: fa_to_dtype(x, FA_FLOAT32)", fa_dtype_name(dtype));
    return fa_infer_same(node);
}

bool fa_infer_broadcast(fa_node *node)
{
    const fa_meta *a = &node->in[0]->meta, *b = &node->in[1]->meta;
    const char *what = fa_op_table[node->op]->name;
    if (a->dtype != b->dtype)
        return fa_refuse(FA_DTYPE_ERROR, what, "got %s and %s, needs one type for both", fa_dtype_name(a->dtype),
                         fa_dtype_name(b->dtype));
    if (fa_same_shape(a, b))
        return fa_infer_same(node);
    if (!fa_broadcast(a, b, &node->meta, what))
        return false;
    node->meta.dtype = a->dtype;
    node->meta.layout = FA_PLAIN;
    return true;
}

/* bool 0, integers 1, floats 2 */
static int kind_of(int dtype)
{
    return dtype == FA_DT_BOOL ? 0 : dtype <= FA_DT_FLOAT64 || fa_is_storage_only(dtype) ? 2 : 1;
}

static int wider(int a, int b)
{
    static const int8_t rank[FA_DT_COUNT] = {[FA_DT_BOOL] = 0,  [FA_DT_UINT8] = 1,   [FA_DT_INT32] = 2,
                                             [FA_DT_INT64] = 3, [FA_DT_FLOAT32] = 4, [FA_DT_FLOAT64] = 5};
    return rank[a] >= rank[b] ? a : b;
}

int fa_promote(const fa_meta *a, const fa_meta *b)
{
    if ((a->ndim == 0) != (b->ndim == 0)) {
        const fa_meta *sized = a->ndim == 0 ? b : a, *single = a->ndim == 0 ? a : b;
        if (kind_of(sized->dtype) >= kind_of(single->dtype))
            return sized->dtype;
    }
    return wider(a->dtype, b->dtype);
}

int fa_promote_number(const fa_meta *a, double number)
{
    if (a->dtype <= FA_DT_FLOAT64)
        return a->dtype;
    if (number != floor(number) || isinf(number))
        return FA_DT_FLOAT32;
    return a->dtype == FA_DT_BOOL ? FA_DT_INT64 : a->dtype;
}

int64_t fa_number_int(double number)
{
    if (isnan(number))
        return 0;
    if (number >= 9223372036854775808.0)
        return INT64_MAX;
    return number < -9223372036854775808.0 ? INT64_MIN : (int64_t)number;
}

fa_node *fa_record_scalar(fa_op op, fa_node *a, double number)
{
    return a ? fa_record(op, 1, (fa_node *[]){a}, NULL, 0, &number, 1) : NULL;
}

fa_node *fa_record_binary(fa_op op, fa_node *a, fa_node *b)
{
    if (!a || !b)
        return NULL;
    int dtype = fa_promote(&a->meta, &b->meta);
    a = fa_record_cast(a, dtype);
    b = fa_record_cast(b, dtype);
    return a && b ? fa_record2(op, a, b) : NULL;
}

fa_node *fa_record_cast(fa_node *a, int dtype)
{
    return a && fa_is_storage_only(a->meta.dtype) ? a : fa_record_convert(a, dtype);
}

fa_node *fa_record_convert(fa_node *a, int dtype)
{
    if (!a || a->meta.dtype == dtype)
        return a;
    return fa_record(FA_OP_cast, 1, (fa_node *[]){a}, &(int64_t){dtype}, sizeof(int64_t), NULL, 0);
}

fa_node *fa_record_float(fa_node *a)
{
    return !a || fa_is_float(a->meta.dtype) ? a : fa_record_cast(a, FA_DT_FLOAT32);
}

static fa_node *record_shape(fa_op op, fa_node *a, int ndim, const int64_t *size, fa_view_kind kind)
{
    if (!a)
        return NULL;
    fa_shape_ints ints = {.ndim = ndim, .kind = kind};
    if (ndim > 0)
        memcpy(ints.size, size, sizeof(int64_t) * (size_t)ndim);
    return fa_record(op, 1, (fa_node *[]){a}, FA_INTS(ints), NULL, 0);
}

fa_node *fa_record_reshape(fa_node *a, int ndim, const int64_t *size, fa_view_kind kind)
{
    return record_shape(FA_OP_reshape, a, ndim, size, kind);
}

fa_node *fa_record_reshape_as(fa_node *a, const fa_meta *meta)
{
    return record_shape(FA_OP_reshape, a, meta->ndim, meta->shape, FA_VIEW);
}

fa_node *fa_record_expand_as(fa_node *a, const fa_meta *meta)
{
    return !a || fa_same_shape(&a->meta, meta) ? a : record_shape(FA_OP_expand, a, meta->ndim, meta->shape, FA_VIEW);
}

fa_node *fa_record_sum_to(fa_node *a, const fa_meta *meta)
{
    return !a || fa_same_shape(&a->meta, meta) ? a : record_shape(FA_OP_sum_to, a, meta->ndim, meta->shape, FA_VIEW);
}

fa_node *fa_record_full(const fa_meta *meta, double value)
{
    int64_t ints[2 + FA_MAX_DIMS] = {meta->dtype, meta->ndim};
    memcpy(ints + 2, meta->shape, sizeof(int64_t) * meta->ndim);
    return fa_record(FA_OP_full, 0, NULL, ints, sizeof ints, &value, 1);
}

fa_node *fa_record_number(int dtype, double value)
{
    const fa_meta single = fa_meta_of(dtype, 0, NULL);
    return fa_record_full(&single, value);
}

fa_node *fa_record_sum(fa_node *a, int64_t mask, bool keepdim)
{
    fa_dims_ints ints = {.mask = mask, .keepdim = keepdim};
    return a ? fa_record(FA_OP_sum, 1, (fa_node *[]){a}, FA_INTS(ints), NULL, 0) : NULL;
}

fa_node *fa_record_matmul(fa_node *a, fa_node *b, bool transpose_a, bool transpose_b)
{
    int64_t ints[2] = {transpose_a, transpose_b};
    return a && b ? fa_record(FA_OP_matmul, 2, (fa_node *[]){a, b}, ints, sizeof ints, NULL, 0) : NULL;
}

fa_tensor *fa_finish_inplace(fa_tensor *handle, const fa_node *before, fa_node *value, const char *what)
{
    if (!before || !value)
        return NULL;
    if (!fa_same_shape(&before->meta, &value->meta)) {
        fa_refuse(
            FA_SHAPE_ERROR, what,
            "got a result of shape %s, needs %s, the shape of the tensor that is changed. Hint: make a new tensor "
            "instead of working in place",
            fa_shape_text(&value->meta), fa_shape_text(&before->meta));
        return NULL;
    }
    if (kind_of(value->meta.dtype) > kind_of(before->meta.dtype)) {
        fa_refuse(FA_DTYPE_ERROR, what,
                  "got a %s result, needs one that fits into the %s tensor that is changed. Hint: make a new tensor "
                  "instead, or fa_to_dtype it first",
                  fa_dtype_name(value->meta.dtype), fa_dtype_name(before->meta.dtype));
        return NULL;
    }
    value = fa_record_cast(value, before->meta.dtype);
    return value ? fa_assign_handle(handle, value, what) : NULL;
}

double fa_flops_none(const fa_kernel_args *args)
{
    (void)args;
    return 0;
}

double fa_flops_input(const fa_kernel_args *args)
{
    return (double)fa_meta_numel(args->in_meta[0]);
}
