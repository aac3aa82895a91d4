/* What a tensor is in its file: type, shape, place, range. */
#include "base/error.h"
#include "base/half.h"
#include "files/value.h"

#include <math.h>
#include <string.h>

bool fa_tensor_info_at(fa_value *tensor, fa_tensor_info *info, fa_where where)
{
    fa_begin(where);
    fa_tensor_view view;
    *info = (fa_tensor_info){.dtype = ""};
    if (!fa_value_check(tensor, FA_VALUE_TENSOR, "tensor_info", where) || !fa_value_view(tensor, &view, where))
        return false;
    *info = (fa_tensor_info){.dtype = fa_stored_types[view.stored].name,
                             .shape = {.ndim = view.ndim},
                             .elements = view.elements,
                             .bytes = view.elements * fa_stored_types[view.stored].size,
                             .data = view.data,
                             .storage = view.identity,
                             .contiguous = view.contiguous,
                             .requires_grad = view.requires_grad,
                             .parameter = view.parameter};
    memcpy(info->shape.size, view.size, sizeof view.size);
    return true;
}

/* Both ends and the counts over n elements of one type; VALUE is the i-th as a number. */
#define SCAN(T, VALUE)                                                                                                 \
    for (int64_t i = 0; i < n; i++) {                                                                                  \
        T x = (T)(VALUE);                                                                                              \
        range->nan += x != x;                                                                                          \
        if (x < least)                                                                                                 \
            least = x;                                                                                                 \
        if (x > most)                                                                                                  \
            most = x;                                                                                                  \
        range->infinite += is_infinite((double)x);                                                                     \
    }                                                                                                                  \
    range->least = (double)least;                                                                                      \
    range->most = (double)most

#define SCAN_FLOATS(T, VALUE)                                                                                          \
    {                                                                                                                  \
        T least = (T)INFINITY, most = (T)-INFINITY;                                                                    \
        SCAN(T, VALUE);                                                                                                \
        break;                                                                                                         \
    }
#define SCAN_INTEGERS(T)                                                                                               \
    {                                                                                                                  \
        T least = ((const T *)data)[0], most = least;                                                                  \
        SCAN(T, ((const T *)data)[i]);                                                                                 \
        break;                                                                                                         \
    }

static inline bool is_infinite(double x)
{
    return x == INFINITY || x == -INFINITY;
}

static void scan(fa_tensor_range *range, fa_stored stored, const void *data, int64_t n)
{
    switch (stored) {
    case FA_STORED_FLOAT32:
        SCAN_FLOATS(float, ((const float *)data)[i]);
    case FA_STORED_FLOAT64:
        SCAN_FLOATS(double, ((const double *)data)[i]);
    case FA_STORED_FLOAT16:
        SCAN_FLOATS(float, fa_float16_to_float(((const uint16_t *)data)[i]));
    case FA_STORED_BFLOAT16:
        SCAN_FLOATS(float, fa_bfloat16_to_float(((const uint16_t *)data)[i]));
    case FA_STORED_INT64:
        SCAN_INTEGERS(int64_t);
    case FA_STORED_INT32:
        SCAN_INTEGERS(int32_t);
    case FA_STORED_INT16:
        SCAN_INTEGERS(int16_t);
    case FA_STORED_INT8:
        SCAN_INTEGERS(int8_t);
    case FA_STORED_UINT64:
        SCAN_INTEGERS(uint64_t);
    case FA_STORED_UINT32:
        SCAN_INTEGERS(uint32_t);
    case FA_STORED_UINT16:
        SCAN_INTEGERS(uint16_t);
    case FA_STORED_UINT8:
    case FA_STORED_BOOL:
        SCAN_INTEGERS(uint8_t);
    default:
        break;
    }
    if (range->least > range->most) /* nothing but NaN */
        range->least = range->most = NAN;
}

bool fa_tensor_range_at(fa_value *tensor, fa_tensor_range *range, fa_where where)
{
    fa_begin(where);
    fa_tensor_view view;
    *range = (fa_tensor_range){.least = NAN, .most = NAN};
    if (!fa_value_check(tensor, FA_VALUE_TENSOR, "tensor_range", where) || !fa_value_view(tensor, &view, where))
        return false;
    if (view.elements == 0)
        return true;
    if (view.contiguous) {
        scan(range, view.stored, view.data, view.elements);
        return true;
    }
    size_t bytes = (size_t)view.elements * fa_stored_types[view.stored].size;
    void *copy = fa_malloc(bytes);
    if (copy == NULL)
        return fa_fail_memory(where, bytes);
    fa_view_copy(copy, &view);
    scan(range, view.stored, copy, view.elements);
    fa_mfree(copy);
    return true;
}
