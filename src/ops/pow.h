/* Whole powers of whole numbers, shared by pow, pow_scalar and rpow_scalar. */
#ifndef FA_OPS_POW_H
#define FA_OPS_POW_H

#include <stdint.h>

/* Wraps. A negative exponent gives 0, but for bases 1 and -1, whose powers are whole. */
static inline uint64_t fa_whole_power(uint64_t base, int64_t exponent)
{
    uint64_t result = 1;
    if (exponent < 0) {
        if (base != 1 && base != UINT64_MAX)
            return 0;
        exponent &= 1;
    }
    for (; exponent > 0; exponent >>= 1) {
        if (exponent & 1)
            result *= base;
        base *= base;
    }
    return result;
}

#endif
