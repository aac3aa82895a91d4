/* floor_divide: y = a / b rounded down, broadcast; whole numbers stay whole and are not divided by 0. No gradient. For
 * floats: (a - r) / b with r = fmod(a, b), one less where r is not 0 and has another sign than b, to the nearest
 * integer; 0 with the sign of a / b; a / b where b is 0. */
#include "ops/divisor.h"

#include <math.h>

bool fa_infer_quotient(fa_node *node)
{
    if (node->in[0]->meta.dtype == FA_DT_BOOL)
        return fa_refuse(FA_DTYPE_ERROR, fa_op_table[node->op]->name,
                         "got bool, needs numbers. Hint: fa_to_dtype(x, FA_INT64)");
    return fa_infer_broadcast(node);
}

#define FIND_ZERO(T)                                                                                                   \
    for (int64_t i = 0; i < n; i++)                                                                                    \
        if (((const T *)args->in[1])[i] == 0)                                                                          \
            return fa_fail(FA_VALUE_ERROR, where, what,                                                                \
                           "got 0 as element %lld of the divisor, needs other whole numbers. Hint: "                   \
                           "fa_to_dtype(x, FA_FLOAT32) first: floats have infinities and NaN",                         \
                           (long long)i);                                                                              \
    break;

bool fa_check_divisor(const fa_kernel_args *args, fa_where where, const char *what)
{
    const int64_t n = fa_meta_numel(args->in_meta[1]);
    switch (args->in_meta[1]->dtype) {
    case FA_DT_INT64:
        FIND_ZERO(int64_t)
    case FA_DT_INT32:
        FIND_ZERO(int32_t)
    case FA_DT_UINT8:
        FIND_ZERO(uint8_t)
    default:
        break;
    }
    return true;
}

fa_node *fa_record_quotient(fa_op op, fa_tensor *a, fa_tensor *b)
{
    fa_node *x = fa_use(a, fa_op_table[op]->name, "a"), *y = fa_use(b, fa_op_table[op]->name, "b");
    return fa_record_binary(op, x, y);
}

fa_node *fa_record_number_quotient(fa_op op, fa_tensor *a, double b)
{
    fa_node *x = fa_use(a, fa_op_table[op]->name, "a");
    if (!x)
        return NULL;
    const int dtype = fa_promote_number(&x->meta, b);
    return fa_record2(op, fa_record_cast(x, dtype), fa_record_number(dtype, b));
}

static double quotient(double a, double b)
{
    const double rest = fmod(a, b);
    double q = (a - rest) / b;
    if (b == 0)
        return a / b;
    if (rest != 0 && (b < 0) != (rest < 0))
        q -= 1;
    if (q == 0)
        return copysign(0, a / b);
    return q - floor(q) > 0.5 ? floor(q) + 1 : floor(q);
}

static float quotient_float(float a, float b)
{
    const float rest = fmodf(a, b);
    float q = (a - rest) / b;
    if (b == 0)
        return a / b;
    if (rest != 0 && (b < 0) != (rest < 0))
        q -= 1;
    if (q == 0)
        return copysignf(0, a / b);
    return q - floorf(q) > 0.5f ? floorf(q) + 1 : floorf(q);
}

/* The least int64 divided by -1 wraps. */
static uint64_t whole_quotient(int64_t a, int64_t b)
{
    if (b == -1)
        return -(uint64_t)a;
    return (uint64_t)(a / b - (a % b != 0 && (a < 0) != (b < 0)));
}

#define WHOLE(T) FA_BINARY_LOOP(T, int64_t, T, whole_quotient(x, y))

static void reference(const fa_kernel_args *args)
{
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        FA_BINARY_LOOP(float, float, float, quotient_float(x, y))
    case FA_DT_FLOAT64:
        FA_BINARY_LOOP(double, double, double, quotient(x, y))
    case FA_DT_INT64:
        WHOLE(int64_t)
    case FA_DT_INT32:
        WHOLE(int32_t)
    default:
        WHOLE(uint8_t)
    }
}

static bool check(const fa_kernel_args *args, fa_where where)
{
    return fa_check_divisor(args, where, "floor_divide");
}

const fa_op_def fa_op_floor_divide = {
    .name = "floor_divide",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_quotient,
    .reference = reference,
    .check = check,
    .check_inputs = 2,
};

fa_tensor *fa_floor_divide_at(fa_tensor *a, fa_tensor *b, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_record_quotient(FA_OP_floor_divide, a, b));
}

fa_tensor *fa_floor_divide_number_at(fa_tensor *a, double b, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_record_number_quotient(FA_OP_floor_divide, a, b));
}
