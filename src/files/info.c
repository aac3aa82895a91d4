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

/* Both ends and the counts over n elements of one type, beside those of the elements before; VALUE is the i-th as a
 * number. */
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
    if ((double)least < range->least)                                                                                  \
        range->least = (double)least;                                                                                  \
    if ((double)most > range->most)                                                                                    \
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
}

/* The view without the dimensions along which an element is repeated, in *once; how often each one of it is there. */
static int64_t repeats(fa_tensor_view *once, const fa_tensor_view *view)
{
    int64_t times = 1;
    *once = *view;
    for (int d = 0; d < view->ndim; d++)
        if (view->stride[d] == 0 && view->size[d] > 1) {
            times *= view->size[d];
            once->elements /= view->size[d];
            once->size[d] = 1;
        }
    return times;
}

bool fa_tensor_range_at(fa_value *tensor, fa_tensor_range *range, fa_where where)
{
    fa_begin(where);
    fa_tensor_view view, once;
    *range = (fa_tensor_range){.least = NAN, .most = NAN};
    if (!fa_value_check(tensor, FA_VALUE_TENSOR, "tensor_range", where) || !fa_value_view(tensor, &view, where))
        return false;
    if (view.elements == 0 || fa_stored_types[view.stored].dtype < 0)
        return true;
    range->least = INFINITY;
    range->most = -INFINITY;
    if (view.contiguous) {
        scan(range, view.stored, view.data, view.elements);
    } else {
        const int64_t times = repeats(&once, &view), room = once.elements < FA_VIEW_PART ? once.elements : FA_VIEW_PART;
        const size_t bytes = (size_t)room * fa_stored_types[view.stored].size;
        void *part = fa_malloc(bytes);
        if (part == NULL)
            return fa_fail_memory(where, bytes);
        for (int64_t i = 0, count; i < once.elements; i += count) {
            count = once.elements - i < room ? once.elements - i : room;
            fa_view_copy_part(part, &once, i, count);
            scan(range, view.stored, part, count);
        }
        fa_mfree(part);
        range->nan *= times;
        range->infinite *= times;
    }
    if (range->least > range->most) /* nothing but NaN */
        range->least = range->most = NAN;
    return true;
}
