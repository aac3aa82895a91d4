/* The precision of float32 arithmetic, for the whole process; FACULA_PRECISION in the environment is its first value.
 */
#include "base/precision.h"

#include "base/error.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static _Atomic bool highest;

bool fa_precision_is_highest(void)
{
    return atomic_load_explicit(&highest, memory_order_relaxed);
}

bool fa_set_float32_precision_at(const char *precision, fa_where where)
{
    const bool is_highest = precision != NULL && strcmp(precision, "highest") == 0;
    if (!is_highest && (precision == NULL || strcmp(precision, "high") != 0))
        return fa_fail(
            FA_VALUE_ERROR, where, "fa_set_float32_precision",
            "got \"%.40s\", needs \"high\" or \"highest\". Hint: \"highest\" keeps to direct sums, at the cost "
            "of speed.",
            precision != NULL ? precision : "NULL");
    atomic_store_explicit(&highest, is_highest, memory_order_relaxed);
    return true;
}

__attribute__((constructor)) static void read_environment(void)
{
    const char *precision = getenv("FACULA_PRECISION");
    highest = precision != NULL && strcmp(precision, "highest") == 0;
}
