/* Numbers as text, in the "C" locale. */
#define _GNU_SOURCE /* newlocale */

#include "base/number_text.h"

#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static locale_t plain; /* the system's own object, never freed; 0: it could not be had */

static void find_plain(void)
{
    plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* The calling thread's locale becomes the plain one; the one before. */
static locale_t enter_plain(void)
{
    pthread_once(&once, find_plain);
    return plain != (locale_t)0 ? uselocale(plain) : (locale_t)0;
}

static void leave_plain(locale_t before)
{
    if (before != (locale_t)0)
        uselocale(before);
}

int fa_text_print_list(char *out, size_t size, const char *format, va_list args)
{
    locale_t before = enter_plain();
    int length = vsnprintf(out, size, format, args);
    leave_plain(before);
    return length;
}

int fa_text_print(char *out, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = fa_text_print_list(out, size, format, args);
    va_end(args);
    return length;
}

double fa_text_number_of(const char *text, char **end)
{
    locale_t before = enter_plain();
    double number = strtod(text, end);
    leave_plain(before);
    return number;
}
