/* bfloat16 and float16 in memory: conversion to and from float. Rounding is half to even; what is too large becomes
 * infinity; NaN stays NaN. */
#ifndef FA_BASE_HALF_H
#define FA_BASE_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t fa_float_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float fa_float_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The upper half of a float. */
static inline float fa_bfloat16_to_float(uint16_t half)
{
    return fa_float_of_bits((uint32_t)half << 16);
}

static inline uint16_t fa_bfloat16_from_float(float x)
{
    const uint32_t bits = fa_float_bits(x);
    if (x != x)
        return 0x7fc0;
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* 1 sign, 5 exponent (bias 15), 10 mantissa bits. */
static inline float fa_float16_to_float(uint16_t half)
{
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 1023;
    if (exponent == 31)
        return fa_float_of_bits(sign | 0x7f800000 | mantissa << 13);
    if (exponent == 0) /* mantissa * 2^-24, exact */
        return fa_float_of_bits(sign | fa_float_bits((float)mantissa * 0x1p-24f));
    return fa_float_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);
}

static inline uint16_t fa_float16_from_float(float x)
{
    const uint32_t bits = fa_float_bits(x), sign = bits >> 16 & 0x8000;
    uint32_t rest = bits & 0x7fffffff;
    if (rest > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (rest >= 0x477ff000) /* 65520 rounds up to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (rest < 0x38800000) /* below 2^-14: the sum's unit is 2^-24, so that it rounds to the halves' grid */
        return (uint16_t)(sign | (fa_float_bits(fa_float_of_bits(rest) + 0.5f) - 0x3f000000));
    rest += 0xfff + (rest >> 13 & 1);
    return (uint16_t)(sign | ((rest - (UINT32_C(112) << 23)) >> 13));
}

#endif
