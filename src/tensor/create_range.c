/* Tensors whose elements follow from their index: arange, linspace, eye. */
#include "tensor/create.h"

#include <math.h>

static bool is_float(fa_dtype dtype)
{
    return dtype == FA_FLOAT32 || dtype == FA_FLOAT64;
}

static bool check_type(fa_dtype dtype, const char *what)
{
    if (dtype != FA_BOOL && !fa_is_storage_only((int)dtype))
        return true;
    return fa_refuse(FA_DTYPE_ERROR, what, "got dtype %s, needs a type of numbers. Hint: convert with fa_to_dtype.",
                     fa_dtype_name((int)dtype));
}

/* Element i becomes first + i * step up to `turn`, and from there last - (n - 1 - i) * step. */
typedef struct sequence {
    double first, last, step;
    int64_t turn;
} sequence;

static double element(const sequence *s, int64_t i, int64_t n)
{
    return i < s->turn ? s->first + (double)i * s->step : s->last - (double)(n - 1 - i) * s->step;
}

static void store(fa_leaf *leaf, const sequence *s)
{
    const int64_t n = fa_meta_numel(&leaf->meta);
    void *data = leaf->buffer->data;
#define STORE(T)                                                                                                       \
    for (int64_t i = 0; i < n; i++)                                                                                    \
        ((T *)data)[i] = (T)element(s, i, n);                                                                          \
    break
    switch (leaf->meta.dtype) {
    case FA_DT_FLOAT32:
        STORE(float);
    case FA_DT_FLOAT64:
        STORE(double);
    case FA_DT_INT64:
        STORE(int64_t);
    case FA_DT_INT32:
        STORE(int32_t);
    case FA_DT_UINT8:
        for (int64_t i = 0; i < n; i++)
            ((uint8_t *)data)[i] = (uint8_t)(int64_t)element(s, i, n);
        break;
    default:
        break;
    }
#undef STORE
}

/* Numbers that a double tells apart: beyond them a whole number has no neighbours. */
static bool check_range(double start, double end, double step, const char *what)
{
    const double limit = 0x1p53;
    return (isfinite(start) && isfinite(end) && isfinite(step) && fabs(start) <= limit && fabs(end) <= limit) ||
           fa_refuse(FA_VALUE_ERROR, what,
                     "got %g to %g in steps of %g, needs finite numbers up to 2^53. Hint: fa_arange(10) counts to 9.",
                     start, end, step);
}

fa_tensor *fa_arange_at(double start, double end, double step, const fa_new_args *args)
{
    fa_begin(args->where_);
    if (!check_type(args->dtype, "arange") || !check_range(start, end, step, "arange"))
        return NULL;
    if (step == 0 || (end - start) / step < 0) {
        fa_refuse(FA_VALUE_ERROR, "arange",
                  "got %g to %g in steps of %g, needs steps that lead from the one to the other. Hint: a step below 0 "
                  "counts down.",
                  start, end, step);
        return NULL;
    }
    const double count = ceil((end - start) / step);
    if (count > 0x1p53) {
        fa_refuse(FA_MEMORY_ERROR, "arange", "got %g to %g in steps of %g: more numbers than a machine can hold.",
                  start, end, step);
        return NULL;
    }
    const int64_t n = (int64_t)count;
    fa_leaf *leaf = fa_create_leaf(FA_SHAPE(n), args->dtype, args->requires_grad, "arange");
    /* Integers are counted in integers: a fraction in start or step is cut off. */
    sequence s = {.first = start, .step = step, .turn = n};
    if (!is_float(args->dtype))
        s = (sequence){.first = trunc(start), .step = trunc(step), .turn = n};
    if (leaf != NULL)
        store(leaf, &s);
    return fa_create_handle(leaf);
}

fa_tensor *fa_linspace_at(double start, double end, int64_t steps, const fa_new_args *args)
{
    fa_begin(args->where_);
    if (!check_type(args->dtype, "linspace") || (!is_float(args->dtype) && !check_range(start, end, 0, "linspace")))
        return NULL;
    if (steps < 0) {
        fa_refuse(FA_VALUE_ERROR, "linspace", "got %lld steps, needs 0 or more. Hint: fa_linspace(0, 1, 11).",
                  (long long)steps);
        return NULL;
    }
    fa_leaf *leaf = fa_create_leaf(FA_SHAPE(steps), args->dtype, args->requires_grad, "linspace");
    /* From both ends, so that both are met exactly. */
    const sequence s = {.first = start,
                        .last = steps == 1 ? start : end,
                        .step = steps > 1 ? (end - start) / (double)(steps - 1) : 0,
                        .turn = steps / 2};
    if (leaf != NULL)
        store(leaf, &s);
    return fa_create_handle(leaf);
}

fa_tensor *fa_eye_at(int64_t rows, int64_t columns, const fa_new_args *args)
{
    fa_begin(args->where_);
    fa_leaf *leaf = fa_create_leaf(FA_SHAPE(rows, columns), args->dtype, args->requires_grad, "eye");
    if (leaf == NULL)
        return NULL;
    const int dtype = leaf->meta.dtype;
    const int64_t size = fa_dtype_size(dtype);
    char *data = leaf->buffer->data;
    fa_store_numbers(data, dtype, rows * columns, &(double){0}, 1);
    for (int64_t i = 0; i < rows && i < columns; i++)
        fa_store_numbers(data + (i * columns + i) * size, dtype, 1, &(double){1}, 1);
    return fa_create_handle(leaf);
}
