/* A locale with a decimal comma: tests/golden/locale/comma, made by localedef from five lines (decimal_point
 * "<U002C>", thousands_sep "<U002E>", grouping 3;3), found through LOCPATH. */
#include "support/comma_locale.h"

#include "support/facula_test.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>

void comma_locale_begin(void)
{
    char text[8];
    assert_int_equal(setenv("LOCPATH", source_path("tests/golden/locale"), 1), 0);
    assert_non_null(setlocale(LC_NUMERIC, "comma"));
    snprintf(text, sizeof text, "%.1f", 0.5);
    assert_string_equal(text, "0,5");
}

void comma_locale_end(void)
{
    setlocale(LC_NUMERIC, "C");
}
