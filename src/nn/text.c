/* Growing text for printed forms and names. */
#include "nn/module.h"

#include "base/number_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(fa_text *text, size_t more)
{
    size_t needed = text->length + more + 1;
    if (needed <= text->capacity)
        return true;
    size_t capacity = text->capacity ? text->capacity : 64;
    while (capacity < needed)
        capacity *= 2;
    char *data = fa_realloc(text->data, capacity);
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void fa_text_add(fa_text *text, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int n = fa_text_print_list(NULL, 0, format, list);
    va_end(list);
    if (n < 0 || text->failed || !reserve(text, (size_t)n))
        return;
    va_start(list, format);
    fa_text_print_list(text->data + text->length, (size_t)n + 1, format, list);
    va_end(list);
    text->length += (size_t)n;
}

void fa_text_option(fa_text *text, const char *format, ...)
{
    char option[256];
    va_list list;
    va_start(list, format);
    fa_text_print_list(option, sizeof option, format, list);
    va_end(list);
    fa_text_add(text, "%s%s", text->length > 0 ? ", " : "", option);
}

void fa_text_number(fa_text *text, double value)
{
    if (isnan(value) || isinf(value)) {
        fa_text_add(text, "%s", isnan(value) ? "nan" : value < 0 ? "-inf" : "inf");
        return;
    }
    /* The shortest digits that read back as the same number; scientific from 1e16 on and below 1e-4. */
    char digits[40];
    int precision = 0;
    do
        fa_text_print(digits, sizeof digits, "%.*e", precision, value);
    while (fa_text_number_of(digits, NULL) != value && ++precision < 17);
    int exponent = atoi(strchr(digits, 'e') + 1);
    if (exponent < -4 || exponent >= 16)
        fa_text_add(text, "%s", digits);
    else
        fa_text_add(text, "%.*f", precision > exponent + 1 ? precision - exponent : 1, value);
}

void fa_text_free(fa_text *text)
{
    fa_mfree(text->data);
    *text = (fa_text){0};
}
