/* Loops of elementwise reference kernels, over every element type: a kernel is its formula.
 *
 *     static void reference(const fa_kernel_args *args)
 *     {
 *         FA_BINARY(x + y, x + y, x || y);
 *     }
 *
 * FLOAT is the formula on float and double `x`, `y`; INT the one on integers, taken as uint64_t so that it wraps, and
 * cut to the type; BOOL the one on bool. In the scalar loops `s` is floats[0] in the same type. */
#ifndef FA_OPS_ELEMENTWISE_H
#define FA_OPS_ELEMENTWISE_H

#include "ops/kernel_types.h"
#include "ops/rules.h"

/* A walk over the output of a broadcast op, a row at a time: in row r, element i of input k lies at
 * at[k] + i * step[k]. */
enum { FA_WALK_INPUTS = 3 };
typedef struct fa_walk {
    int inputs, outer; /* `outer` dimensions lie outside a row */
    int64_t rows, row, at[FA_WALK_INPUTS], step[FA_WALK_INPUTS];
    int64_t size[FA_MAX_DIMS], index[FA_MAX_DIMS], stride[FA_WALK_INPUTS][FA_MAX_DIMS];
} fa_walk;
fa_walk fa_walk_begin(const fa_kernel_args *args);
void fa_walk_next(fa_walk *walk);

#define FA_BINARY_LOOP(T, X, R, EXPRESSION)                                                                            \
    {                                                                                                                  \
        const T *a = args->in[0], *b = args->in[1];                                                                    \
        R *out = args->out[0];                                                                                         \
        for (fa_walk walk = fa_walk_begin(args); walk.rows > 0; fa_walk_next(&walk))                                   \
            for (int64_t i = 0; i < walk.row; i++) {                                                                   \
                const X x = (X)a[walk.at[0] + i * walk.step[0]], y = (X)b[walk.at[1] + i * walk.step[1]];              \
                *out++ = (R)(EXPRESSION);                                                                              \
            }                                                                                                          \
        break;                                                                                                         \
    }

#define FA_BINARY(FLOAT, INT, BOOL)                                                                                    \
    switch (args->in_meta[0]->dtype) {                                                                                 \
    case FA_DT_FLOAT32:                                                                                                \
        FA_BINARY_LOOP(float, float, float, FLOAT)                                                                     \
    case FA_DT_FLOAT64:                                                                                                \
        FA_BINARY_LOOP(double, double, double, FLOAT)                                                                  \
    case FA_DT_INT64:                                                                                                  \
        FA_BINARY_LOOP(int64_t, uint64_t, int64_t, INT)                                                                \
    case FA_DT_INT32:                                                                                                  \
        FA_BINARY_LOOP(int32_t, uint64_t, int32_t, INT)                                                                \
    case FA_DT_UINT8:                                                                                                  \
        FA_BINARY_LOOP(uint8_t, uint64_t, uint8_t, INT)                                                                \
    default:                                                                                                           \
        FA_BINARY_LOOP(bool, bool, bool, BOOL)                                                                         \
    }

/* BODY(T), which ends with `break`, for the type of the elements. */
#define FA_EACH_TYPE(dtype, BODY)                                                                                      \
    switch (dtype) {                                                                                                   \
    case FA_DT_FLOAT32:                                                                                                \
        BODY(float)                                                                                                    \
    case FA_DT_FLOAT64:                                                                                                \
        BODY(double)                                                                                                   \
    case FA_DT_INT64:                                                                                                  \
        BODY(int64_t)                                                                                                  \
    case FA_DT_INT32:                                                                                                  \
        BODY(int32_t)                                                                                                  \
    case FA_DT_UINT8:                                                                                                  \
        BODY(uint8_t)                                                                                                  \
    default:                                                                                                           \
        BODY(bool)                                                                                                     \
    }

#define FA_UNARY_LOOP(T, X, R, EXPRESSION)                                                                             \
    {                                                                                                                  \
        const T *a = args->in[0];                                                                                      \
        R *out = args->out[0];                                                                                         \
        const int64_t n = fa_meta_numel(args->out_meta[0]);                                                            \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            const X x = (X)a[i];                                                                                       \
            out[i] = (R)(EXPRESSION);                                                                                  \
        }                                                                                                              \
        break;                                                                                                         \
    }

/* Bool results of two inputs, and of one that is widened to double. */
#define FA_COMPARE(EXPRESSION)                                                                                         \
    switch (args->in_meta[0]->dtype) {                                                                                 \
    case FA_DT_FLOAT32:                                                                                                \
        FA_BINARY_LOOP(float, float, bool, EXPRESSION)                                                                 \
    case FA_DT_FLOAT64:                                                                                                \
        FA_BINARY_LOOP(double, double, bool, EXPRESSION)                                                               \
    case FA_DT_INT64:                                                                                                  \
        FA_BINARY_LOOP(int64_t, int64_t, bool, EXPRESSION)                                                             \
    case FA_DT_INT32:                                                                                                  \
        FA_BINARY_LOOP(int32_t, int32_t, bool, EXPRESSION)                                                             \
    default: /* uint8 and bool */                                                                                      \
        FA_BINARY_LOOP(uint8_t, uint8_t, bool, EXPRESSION)                                                             \
    }

#define FA_TEST(EXPRESSION)                                                                                            \
    switch (args->in_meta[0]->dtype) {                                                                                 \
    case FA_DT_FLOAT32:                                                                                                \
        FA_UNARY_LOOP(float, double, bool, EXPRESSION)                                                                 \
    case FA_DT_FLOAT64:                                                                                                \
        FA_UNARY_LOOP(double, double, bool, EXPRESSION)                                                                \
    case FA_DT_INT64:                                                                                                  \
        FA_UNARY_LOOP(int64_t, double, bool, EXPRESSION)                                                               \
    case FA_DT_INT32:                                                                                                  \
        FA_UNARY_LOOP(int32_t, double, bool, EXPRESSION)                                                               \
    default:                                                                                                           \
        FA_UNARY_LOOP(uint8_t, double, bool, EXPRESSION)                                                               \
    }

/* Floats, and integers (as int64_t where SIGNED_INT reads them so). */
#define FA_UNARY(FLOAT, SIGNED_INT)                                                                                    \
    switch (args->in_meta[0]->dtype) {                                                                                 \
    case FA_DT_FLOAT32:                                                                                                \
        FA_UNARY_LOOP(float, float, float, FLOAT)                                                                      \
    case FA_DT_FLOAT64:                                                                                                \
        FA_UNARY_LOOP(double, double, double, FLOAT)                                                                   \
    case FA_DT_INT64:                                                                                                  \
        FA_UNARY_LOOP(int64_t, int64_t, int64_t, SIGNED_INT)                                                           \
    case FA_DT_INT32:                                                                                                  \
        FA_UNARY_LOOP(int32_t, int64_t, int32_t, SIGNED_INT)                                                           \
    default:                                                                                                           \
        FA_UNARY_LOOP(uint8_t, int64_t, uint8_t, SIGNED_INT)                                                           \
    }

/* With a formula for each of the two float types, and `s`. */
#define FA_UNARY_FLOATS(FLOAT, DOUBLE)                                                                                 \
    switch (args->in_meta[0]->dtype) {                                                                                 \
    case FA_DT_FLOAT32:                                                                                                \
        FA_UNARY_LOOP(float, float, float, FLOAT)                                                                      \
    default:                                                                                                           \
        FA_UNARY_LOOP(double, double, double, DOUBLE)                                                                  \
    }

#define FA_SCALAR_LOOP(T, X, S, EXPRESSION)                                                                            \
    {                                                                                                                  \
        const X s = (X)(S);                                                                                            \
        FA_UNARY_LOOP(T, X, T, EXPRESSION)                                                                             \
    }

/* Floats alone. */
#define FA_SCALAR_FLOATS(FLOAT)                                                                                        \
    switch (args->in_meta[0]->dtype) {                                                                                 \
    case FA_DT_FLOAT32:                                                                                                \
        FA_SCALAR_LOOP(float, float, args->floats[0], FLOAT)                                                           \
    default:                                                                                                           \
        FA_SCALAR_LOOP(double, double, args->floats[0], FLOAT)                                                         \
    }

#define FA_SCALAR_OP(FLOAT, INT)                                                                                       \
    switch (args->in_meta[0]->dtype) {                                                                                 \
    case FA_DT_FLOAT32:                                                                                                \
        FA_SCALAR_LOOP(float, float, args->floats[0], FLOAT)                                                           \
    case FA_DT_FLOAT64:                                                                                                \
        FA_SCALAR_LOOP(double, double, args->floats[0], FLOAT)                                                         \
    case FA_DT_INT64:                                                                                                  \
        FA_SCALAR_LOOP(int64_t, uint64_t, fa_number_int(args->floats[0]), INT)                                         \
    case FA_DT_INT32:                                                                                                  \
        FA_SCALAR_LOOP(int32_t, uint64_t, fa_number_int(args->floats[0]), INT)                                         \
    default:                                                                                                           \
        FA_SCALAR_LOOP(uint8_t, uint64_t, fa_number_int(args->floats[0]), INT)                                         \
    }

#endif
