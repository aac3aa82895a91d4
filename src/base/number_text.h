/* Numbers as text with a full stop, whatever locale the program has set: what is printed here is read back elsewhere.
 */
#ifndef FA_BASE_NUMBER_TEXT_H
#define FA_BASE_NUMBER_TEXT_H

#include "facula/base.h"

#include <stdarg.h>
#include <stddef.h>

/* snprintf, vsnprintf and strtod of the "C" locale. */
int fa_text_print(char *out, size_t size, const char *format, ...) FA_PRINTF_(3, 4);
int fa_text_print_list(char *out, size_t size, const char *format, va_list args);
double fa_text_number_of(const char *text, char **end);

#endif
