/* Strings of the current scope: str(x) of tensors and shapes, and what printf would write. */
#include "base/memory.h"
#include "facula/files.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Of any bytes: a file's name may stand in a text. */
static const char *scope_text(const char *text, fa_where where)
{
    fa_value *value = fa_value_bytes_at(text, (int64_t)strlen(text), where);
    const char *copy = value != NULL ? fa_as_bytes_at(value, NULL, where) : NULL;
    return copy != NULL ? copy : "";
}

const char *fa_shape_str_at(fa_shape shape, fa_where where)
{
    char text[256];
    fa_shape_format(shape, text, sizeof text);
    return scope_text(text, where);
}

const char *fa_tensor_str_at(fa_tensor *tensor, fa_where where)
{
    const int64_t length = fa_tensor_format(tensor, NULL, 0);
    char *text = length > 0 ? fa_malloc((size_t)length + 1) : NULL;
    if (text == NULL)
        return "";
    fa_tensor_format(tensor, text, (size_t)length + 1);
    const char *copy = scope_text(text, where);
    fa_mfree(text);
    return copy;
}

const char *fa_format_at(fa_where where, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    const int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *text = length >= 0 ? fa_malloc((size_t)length + 1) : NULL;
    if (text != NULL)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    const char *copy = text != NULL ? scope_text(text, where) : "";
    fa_mfree(text);
    return copy;
}
