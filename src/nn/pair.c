/* Pairs and counts among the arguments of layers. */
#include "nn/pair.h"

#include <string.h>

fa_pair fa_pair_of(int64_t number, const int64_t hw[2])
{
    bool given = hw[0] != INT64_MIN;
    return given ? (fa_pair){{hw[0], hw[1]}, true} : (fa_pair){{number, number}, false};
}

static void add_number(fa_text *text, int64_t number)
{
    if (number == FA_NONE)
        fa_text_add(text, "None");
    else
        fa_text_add(text, "%lld", (long long)number);
}

void fa_add_pair(fa_text *text, const char *name, const fa_pair *p, bool always_two)
{
    const bool two = p->given || always_two;
    fa_text_add(text, two ? "%s=(" : "%s=", name);
    add_number(text, p->at[0]);
    if (two) {
        fa_text_add(text, ", ");
        add_number(text, p->at[1]);
        fa_text_add(text, ")");
    }
}

bool fa_check_pair(const fa_pair *p, int64_t least, const char *what, const char *name, fa_where where)
{
    if (p->at[0] >= least && p->at[1] >= least)
        return true;
    if (p->at[0] == FA_NONE)
        return fa_fail(FA_VALUE_ERROR, where, what, "got no %s, needs one. Hint: %s(..., .%s = 3)", name, what, name);
    const int64_t usual = least > 0 ? least : 1;
    return fa_fail(
        FA_VALUE_ERROR, where, what,
        "got %s %lld x %lld (height x width), needs at least %lld. Hint: .%s = %lld, or .%s_hw = {%lld, %lld}", name,
        (long long)p->at[0], (long long)p->at[1], (long long)least, name, (long long)usual,
        strcmp(name, "kernel_size") ? name : "kernel", (long long)usual, (long long)usual);
}

bool fa_check_count(int64_t value, const char *what, const char *name, const char *hint, fa_where where)
{
    if (value >= 1)
        return true;
    if (value == FA_NONE)
        return fa_fail(FA_VALUE_ERROR, where, what, "got no %s, needs one. Hint: %s", name, hint);
    return fa_fail(FA_VALUE_ERROR, where, what, "got %s %lld, needs at least 1. Hint: %s", name, (long long)value,
                   hint);
}
