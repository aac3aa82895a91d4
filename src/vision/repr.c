/* Texts of transforms: Python's form of numbers. */
#include "vision/repr.h"

#include "base/number_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void add_one(fa_repr *text, char c)
{
    if (text->length + 1 < text->size) {
        text->to[text->length] = c;
        text->to[text->length + 1] = 0;
    }
    text->length++;
}

void fa_repr_add(fa_repr *text, const char *format, ...)
{
    char part[512];
    va_list list;
    va_start(list, format);
    fa_text_print_list(part, sizeof part, format, list);
    va_end(list);
    for (const char *p = part; *p != 0; p++)
        add_one(text, *p);
}

void fa_repr_float(fa_repr *text, double x)
{
    char digits[40];
    int precision = 1;
    do /* the fewest digits that give the number back */
        fa_text_print(digits, sizeof digits, "%.*e", precision++ - 1, x);
    while (precision <= 17 && fa_text_number_of(digits, NULL) != x);
    const char *e = strchr(digits, 'e');
    int exponent = e != NULL ? atoi(e + 1) : 0;
    if (!isfinite(x) || exponent < -4 || exponent >= 16) {
        fa_repr_add(text, "%s", digits);
        return;
    }
    int decimals = precision - 2 - exponent;
    fa_repr_add(text, "%.*f", decimals > 1 ? decimals : 1, x);
}

void fa_repr_number(fa_repr *text, double x)
{
    if (x == floor(x) && fabs(x) < 1e15)
        fa_repr_add(text, "%.0f", x);
    else
        fa_repr_float(text, x);
}

void fa_repr_floats(fa_repr *text, const double *x, int n, char open, char close)
{
    for (int i = 0; i < n; i++) {
        if (i == 0)
            fa_repr_add(text, "%c", open);
        else
            fa_repr_add(text, ", ");
        fa_repr_float(text, x[i]);
    }
    fa_repr_add(text, "%s%c", n == 1 && close == ')' ? "," : "", close);
}
