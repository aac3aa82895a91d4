/* A text in the making: appended to with printf's formats, cut at its end, its whole length counted. */
#ifndef FA_VISION_REPR_H
#define FA_VISION_REPR_H

#include "facula/base.h"

#include <stdarg.h>
#include <stdio.h>

typedef struct fa_repr {
    char *to;
    size_t size, length; /* length: without the 0, of the whole text */
} fa_repr;

/* Appends at most 511 bytes. */
void fa_repr_add(fa_repr *text, const char *format, ...) FA_PRINTF_(2, 3);
/* A number as Python prints a float: 0.5, 1.0, 1e-05. */
void fa_repr_float(fa_repr *text, double x);
/* The same, whole numbers without the point. */
void fa_repr_number(fa_repr *text, double x);
/* "(a, b)" or "[a, b]" of floats. */
void fa_repr_floats(fa_repr *text, const double *x, int n, char open, char close);

#endif
