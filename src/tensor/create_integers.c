/* Whole numbers drawn into tensors of any type: randint. */
#include "base/half.h"
#include "tensor/create.h"

#include <stdlib.h>

/* What a type holds: whole numbers from least to most; floating ones tell whole numbers apart up to 2^digits. */
typedef struct range {
    double least, most;
    int digits;
} range;

static range range_of(fa_dtype dtype)
{
    switch (dtype) {
    case FA_FLOAT32:
        return (range){-0x1p63, 0x1p63, 24};
    case FA_FLOAT64:
        return (range){-0x1p63, 0x1p63, 53};
    case FA_BFLOAT16:
        return (range){-0x1p63, 0x1p63, 8};
    case FA_FLOAT16:
        return (range){-65504, 65504, 11};
    case FA_INT32:
        return (range){INT32_MIN, INT32_MAX, 0};
    case FA_UINT8:
        return (range){0, UINT8_MAX, 0};
    case FA_BOOL:
        return (range){0, 1, 0};
    default:
        return (range){-0x1p63, 0x1p63, 0};
    }
}

/* A whole number as the type has it; INT64_MAX for what lies beyond it. */
static int64_t rounded(int64_t value, fa_dtype dtype)
{
    double number = (double)value;
    if (dtype == FA_FLOAT32)
        number = (double)(float)value;
    else if (dtype == FA_BFLOAT16)
        number = (double)fa_bfloat16_to_float(fa_bfloat16_from_float((float)value));
    else if (dtype == FA_FLOAT16)
        number = (double)fa_float16_to_float(fa_float16_from_float((float)value));
    return number >= 0x1p63 ? INT64_MAX : (int64_t)number;
}

/* The distance of neighbours of the type near a whole number that it does not hold. */
static int64_t spacing(int64_t value, int digits)
{
    int bits = 0;
    for (uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value; rest >>= 1;)
        bits++;
    return INT64_C(1) << (bits - digits + 1);
}

/* PyTorch's way to keep the draws of a floating type inside the range when they are rounded. */
static void narrow_range(int64_t *low, int64_t *high, fa_dtype dtype, int digits)
{
    const int64_t first = rounded(*low + 1, dtype), last = rounded(*high - 1, dtype);
    if (first < *low)
        *low = first + spacing(*low + 1, digits);
    if (last >= *high)
        *high = last - spacing(*high - 1, digits);
}

static void store(void *data, fa_dtype dtype, const int64_t *values, int64_t n)
{
#define STORE(T, convert)                                                                                              \
    for (int64_t i = 0; i < n; i++)                                                                                    \
        ((T *)data)[i] = (T)(convert);                                                                                 \
    break
    switch (dtype) {
    case FA_FLOAT32:
        STORE(float, values[i]);
    case FA_FLOAT64:
        STORE(double, values[i]);
    case FA_INT32:
        STORE(int32_t, values[i]);
    case FA_BFLOAT16:
        STORE(uint16_t, fa_bfloat16_from_float((float)values[i]));
    case FA_FLOAT16:
        STORE(uint16_t, fa_float16_from_float((float)values[i]));
    default:
        STORE(uint8_t, values[i]);
    }
#undef STORE
}

static bool check_range(int64_t low, int64_t high, fa_dtype dtype)
{
    if (low >= high)
        return fa_refuse(FA_VALUE_ERROR, "randint",
                         "got the range %lld to %lld, needs low < high: high itself is never drawn. "
                         "Hint: write fa_randint(0, 10, shape) for the digits 0 to 9.",
                         (long long)low, (long long)high);
    const range held = range_of(dtype);
    if ((double)low < held.least || (double)(high - 1) > held.most)
        return fa_refuse(FA_VALUE_ERROR, "randint",
                         "got the range %lld to %lld for %s, needs numbers from %.0f to %.0f. Hint: .dtype = FA_INT64",
                         (long long)low, (long long)high, fa_dtype_name((int)dtype), held.least, held.most);
    return true;
}

fa_tensor *fa_randint_at(int64_t low, int64_t high, fa_shape shape, const fa_new_args *args)
{
    fa_begin(args->where_);
    if (!check_range(low, high, args->dtype))
        return NULL;
    fa_leaf *leaf = fa_create_leaf(shape, args->dtype, args->requires_grad, "randint");
    if (leaf == NULL)
        return NULL;
    const int64_t n = fa_meta_numel(&leaf->meta);
    int64_t *drawn = leaf->buffer->data;
    if (args->dtype != FA_INT64) {
        drawn = malloc((size_t)n * sizeof *drawn + 1);
        if (drawn == NULL) {
            fa_fail_memory(args->where_, (size_t)n * sizeof *drawn);
            fa_leaf_release(leaf);
            return NULL;
        }
    }
    const int digits = range_of(args->dtype).digits;
    if (digits > 0)
        narrow_range(&low, &high, args->dtype, digits);
    fa_generator *generator = fa_generator_or_default(args->generator);
    fa_mt_randint(fa_generator_lock(generator), drawn, n, low, high);
    fa_generator_unlock(generator);
    if (args->dtype != FA_INT64) {
        store(leaf->buffer->data, args->dtype, drawn, n);
        free(drawn);
    }
    return fa_create_handle(leaf);
}
