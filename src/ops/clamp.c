/* clamp: y = min(max(a, floats[0]), floats[1]); NaN stays, and a bound that is NaN makes everything NaN. ints: whether
 * there is a minimum, a maximum, and which function was called. Gradient: g where a lies between the bounds, 0 outside
 * and exactly at a bound. */
#include "ops/elementwise.h"

#include <math.h>
#include <string.h>

typedef struct clamp_ints {
    int64_t has_min, has_max, function;
} clamp_ints;

enum { CLAMP, CLAMP_MIN, CLAMP_MAX };

/* Bounds that some elements lie between are no mistake, however wide; those that none of the type can lie in are. */
static bool check_bounds(const fa_node *node)
{
    double least = -0x1p63, most = 0x1p63;
    const int dtype = node->in[0]->meta.dtype;
    if (dtype == FA_DT_INT32) {
        least = INT32_MIN;
        most = INT32_MAX;
    } else if (dtype == FA_DT_UINT8) {
        least = 0;
        most = UINT8_MAX;
    }
    if (fa_is_float(dtype))
        return true;
    const clamp_ints *ints = (const clamp_ints *)node->ints;
    if (!(ints->has_min && node->floats[0] > most) && !(ints->has_max && node->floats[1] < least))
        return true;
    return fa_refuse(FA_VALUE_ERROR, "clamp",
                     "got bounds %g to %g, needs some that a %s can lie in. Hint: "
                     "fa_to_dtype(x, FA_INT64) has room for the result",
                     node->floats[0], node->floats[1], fa_dtype_name(dtype));
}

static bool infer(fa_node *node)
{
    return check_bounds(node) && fa_infer_same(node);
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const clamp_ints *ints = (const clamp_ints *)node->ints;
    const int dtype = node->meta.dtype;
    fa_node *x = node->in[0], *inside = NULL;
    if (ints->has_min)
        inside = fa_record2(FA_OP_gt, x, fa_record_number(dtype, node->floats[0]));
    if (ints->has_max) {
        fa_node *below = fa_record2(FA_OP_lt, x, fa_record_number(dtype, node->floats[1]));
        inside = ints->has_min ? fa_record2(FA_OP_logical_and, inside, below) : below;
    }
    grad_in[0] = fa_record_where(inside, grad, fa_record_number(dtype, 0));
}

static const char *grad_label(const fa_node *node)
{
    static const char *const label[] = {"ClampBackward1", "ClampMinBackward0", "ClampMaxBackward0"};
    return label[((const clamp_ints *)node->ints)->function];
}

/* A bound that is absent is an infinity; what no comparison holds for has a NaN, and so has its sum. */
static double clamped(double x, double lo, double hi)
{
    const double up = x < lo ? lo : x >= lo ? x : x + lo;
    return up > hi ? hi : up <= hi ? up : up + hi;
}

static int64_t clamped_whole(int64_t x, int64_t lo, int64_t hi)
{
    const int64_t up = x < lo ? lo : x;
    return up > hi ? hi : up;
}

#define CLAMP_FLOAT(T)                                                                                                 \
    {                                                                                                                  \
        const T lo = (T)args->floats[0], hi = (T)args->floats[1];                                                      \
        FA_UNARY_LOOP(T, double, T, clamped(x, (double)lo, (double)hi))                                                \
    }
#define CLAMP_WHOLE(T)                                                                                                 \
    {                                                                                                                  \
        const int64_t lo = fa_number_int(args->floats[0]), hi = fa_number_int(args->floats[1]);                        \
        FA_UNARY_LOOP(T, int64_t, T, clamped_whole(x, lo, hi))                                                         \
    }

static void reference(const fa_kernel_args *args)
{
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        CLAMP_FLOAT(float)
    case FA_DT_FLOAT64:
        CLAMP_FLOAT(double)
    case FA_DT_INT64:
        CLAMP_WHOLE(int64_t)
    case FA_DT_INT32:
        CLAMP_WHOLE(int32_t)
    default:
        CLAMP_WHOLE(uint8_t)
    }
}

const fa_op_def fa_op_clamp = {
    .name = "clamp",
    .grad_name = "ClampBackward1",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
};

static fa_node *record(fa_node *x, const double *min, const double *max, int64_t function)
{
    if (!x)
        return NULL;
    int dtype = x->meta.dtype;
    for (int k = 0; k < 2; k++) {
        const double *bound = k ? max : min;
        const int with = bound ? fa_promote_number(&x->meta, *bound) : dtype;
        dtype = bound && !fa_is_float(dtype) ? with : dtype;
    }
    x = fa_record_cast(x, dtype);
    const clamp_ints ints = {.has_min = min != NULL, .has_max = max != NULL, .function = function};
    const double floats[2] = {min ? *min : -INFINITY, max ? *max : INFINITY};
    return x ? fa_record(FA_OP_clamp, 1, &x, FA_INTS(ints), floats, 2) : NULL;
}

/* FA_NO_BOUND is one particular NaN; any other is a bound. */
static bool is_given(double bound)
{
    const double none = FA_NO_BOUND;
    return memcmp(&bound, &none, sizeof bound) != 0;
}

static fa_node *record_args(const fa_clamp_args *args, const char *what)
{
    fa_node *x = fa_use(args->x, what, "x");
    const bool has_min = is_given(args->min), has_max = is_given(args->max);
    if (x && !has_min && !has_max) {
        fa_refuse(FA_VALUE_ERROR, what, "got no bound, needs min, max or both. Hint: %s(x, .min = 0)", what);
        return NULL;
    }
    return record(x, has_min ? &args->min : NULL, has_max ? &args->max : NULL, CLAMP);
}

fa_tensor *fa_clamp_at(const fa_clamp_args *args)
{
    fa_begin(args->where_);
    return fa_handle(record_args(args, "clamp"));
}

fa_tensor *fa_clamp_inplace_at(const fa_clamp_args *args)
{
    fa_begin(args->where_);
    fa_node *before = fa_use(args->x, "clamp_", "x");
    return fa_finish_inplace(args->x, before, before ? record_args(args, "clamp_") : NULL, "clamp_");
}

fa_tensor *fa_clamp_min_at(fa_tensor *a, double min, fa_where where)
{
    fa_begin(where);
    return fa_handle(record(fa_use(a, "clamp_min", "a"), &min, NULL, CLAMP_MIN));
}

fa_tensor *fa_clamp_max_at(fa_tensor *a, double max, fa_where where)
{
    fa_begin(where);
    return fa_handle(record(fa_use(a, "clamp_max", "a"), NULL, &max, CLAMP_MAX));
}
