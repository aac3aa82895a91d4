/* cast: the values as another type (ints[0]). Floats are cut to integers, what no int64 holds gives its least number,
 * and smaller integers keep the low bits; bool is "not 0"; to bfloat16 and float16 the nearest, half to even.
 * Gradient: cast back. */
#include "ops/elementwise.h"

#include "base/half.h"

static bool infer(fa_node *node)
{
    fa_infer_same(node);
    node->meta.dtype = (uint8_t)node->ints[0];
    return true;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_record_cast(grad, node->in[0]->meta.dtype);
}

static int64_t whole(double value)
{
    return value >= -9223372036854775808.0 && value < 9223372036854775808.0 ? (int64_t)value : INT64_MIN;
}

static int32_t whole32(double value)
{
    return value > -2147483649.0 && value < 2147483648.0 ? (int32_t)value : INT32_MIN;
}

#define FROM_FLOAT(T)                                                                                                  \
    switch (args->out_meta[0]->dtype) {                                                                                \
    case FA_DT_FLOAT32:                                                                                                \
        FA_UNARY_LOOP(T, T, float, x)                                                                                  \
    case FA_DT_FLOAT64:                                                                                                \
        FA_UNARY_LOOP(T, T, double, x)                                                                                 \
    case FA_DT_INT64:                                                                                                  \
        FA_UNARY_LOOP(T, T, int64_t, whole(x))                                                                         \
    case FA_DT_INT32:                                                                                                  \
        FA_UNARY_LOOP(T, T, int32_t, whole32(x))                                                                       \
    case FA_DT_UINT8:                                                                                                  \
        FA_UNARY_LOOP(T, T, uint8_t, whole(x))                                                                         \
    case FA_DT_BFLOAT16:                                                                                               \
        FA_UNARY_LOOP(T, float, uint16_t, fa_bfloat16_from_float(x))                                                   \
    case FA_DT_FLOAT16:                                                                                                \
        FA_UNARY_LOOP(T, float, uint16_t, fa_float16_from_float(x))                                                    \
    default:                                                                                                           \
        FA_UNARY_LOOP(T, T, bool, x != 0)                                                                              \
    }

/* From a storage type, by way of float, which holds all of its values. */
#define FROM_HALF(TO_FLOAT)                                                                                            \
    switch (args->out_meta[0]->dtype) {                                                                                \
    case FA_DT_FLOAT32:                                                                                                \
        FA_UNARY_LOOP(uint16_t, uint16_t, float, TO_FLOAT(x))                                                          \
    case FA_DT_FLOAT64:                                                                                                \
        FA_UNARY_LOOP(uint16_t, uint16_t, double, TO_FLOAT(x))                                                         \
    case FA_DT_INT64:                                                                                                  \
        FA_UNARY_LOOP(uint16_t, uint16_t, int64_t, whole((double)TO_FLOAT(x)))                                         \
    case FA_DT_INT32:                                                                                                  \
        FA_UNARY_LOOP(uint16_t, uint16_t, int32_t, whole32((double)TO_FLOAT(x)))                                       \
    case FA_DT_UINT8:                                                                                                  \
        FA_UNARY_LOOP(uint16_t, uint16_t, uint8_t, whole((double)TO_FLOAT(x)))                                         \
    case FA_DT_BFLOAT16:                                                                                               \
        FA_UNARY_LOOP(uint16_t, uint16_t, uint16_t, fa_bfloat16_from_float(TO_FLOAT(x)))                               \
    case FA_DT_FLOAT16:                                                                                                \
        FA_UNARY_LOOP(uint16_t, uint16_t, uint16_t, fa_float16_from_float(TO_FLOAT(x)))                                \
    default:                                                                                                           \
        FA_UNARY_LOOP(uint16_t, uint16_t, bool, TO_FLOAT(x) != 0)                                                      \
    }

#define FROM_WHOLE(T)                                                                                                  \
    switch (args->out_meta[0]->dtype) {                                                                                \
    case FA_DT_FLOAT32:                                                                                                \
        FA_UNARY_LOOP(T, T, float, x)                                                                                  \
    case FA_DT_FLOAT64:                                                                                                \
        FA_UNARY_LOOP(T, T, double, x)                                                                                 \
    case FA_DT_INT64:                                                                                                  \
        FA_UNARY_LOOP(T, T, int64_t, x)                                                                                \
    case FA_DT_INT32:                                                                                                  \
        FA_UNARY_LOOP(T, T, int32_t, x)                                                                                \
    case FA_DT_UINT8:                                                                                                  \
        FA_UNARY_LOOP(T, T, uint8_t, x)                                                                                \
    case FA_DT_BFLOAT16:                                                                                               \
        FA_UNARY_LOOP(T, float, uint16_t, fa_bfloat16_from_float(x))                                                   \
    case FA_DT_FLOAT16:                                                                                                \
        FA_UNARY_LOOP(T, float, uint16_t, fa_float16_from_float(x))                                                    \
    default:                                                                                                           \
        FA_UNARY_LOOP(T, T, bool, x != 0)                                                                              \
    }

static void reference(const fa_kernel_args *args)
{
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        FROM_FLOAT(float)
        break;
    case FA_DT_FLOAT64:
        FROM_FLOAT(double)
        break;
    case FA_DT_INT64:
        FROM_WHOLE(int64_t)
        break;
    case FA_DT_INT32:
        FROM_WHOLE(int32_t)
        break;
    case FA_DT_UINT8:
        FROM_WHOLE(uint8_t)
        break;
    case FA_DT_BFLOAT16:
        FROM_HALF(fa_bfloat16_to_float)
        break;
    case FA_DT_FLOAT16:
        FROM_HALF(fa_float16_to_float)
        break;
    default:
        FROM_WHOLE(bool)
    }
}

const fa_op_def fa_op_cast = {
    .name = "cast",
    .grad_name = "ToCopyBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .moves = true,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_none,
};

fa_tensor *fa_to_dtype_at(fa_tensor *x, fa_dtype dtype, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "to_dtype", "x");
    if (!node)
        return NULL;
    if ((int)dtype < 0 || (int)dtype >= FA_DT_COUNT) {
        fa_refuse(FA_VALUE_ERROR, "to_dtype", "got %d, needs one of the names of fa_dtype", (int)dtype);
        return NULL;
    }
    return node->meta.dtype == (int)dtype ? x : fa_handle(fa_record_convert(node, (int)dtype));
}
