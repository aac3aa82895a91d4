/* Kernels written once, compiled for float and double.
 *
 * A kernel's text is the body of a macro that takes the element type T; FA_FOR_FLOATS runs it for the dtype at hand:
 *
 *     #define RELU(T)                                                                                                 \
 *         {                                                                                                           \
 *             const T *x = args->in[0];                                                                               \
 *             T *y = args->out[0];                                                                                    \
 *             ...                                                                                                     \
 *         }
 *     FA_FOR_FLOATS(args->out_meta[0]->dtype, RELU);
 *
 * Longer kernels are functions made by such a macro (`#define DEFINE_KERNEL(T)`, `DEFINE_KERNEL(float)`), chosen with
 * FA_CALL_FLOATS(dtype, kernel, args): kernel_float(args) or kernel_double(args). */
#ifndef FA_OPS_KERNEL_TYPES_H
#define FA_OPS_KERNEL_TYPES_H

#include "base/opdef.h"

#define FA_FOR_FLOATS(dtype, BODY)                                                                                     \
    do {                                                                                                               \
        if ((dtype) == FA_DT_FLOAT32)                                                                                  \
            BODY(float)                                                                                                \
        else                                                                                                           \
            BODY(double)                                                                                               \
    } while (0)

#define FA_CALL_FLOATS(dtype, kernel, ...)                                                                             \
    ((dtype) == FA_DT_FLOAT32 ? kernel##_float(__VA_ARGS__) : kernel##_double(__VA_ARGS__))

static inline bool fa_is_float(int dtype)
{
    return dtype == FA_DT_FLOAT32 || dtype == FA_DT_FLOAT64;
}

#endif
