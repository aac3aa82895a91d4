/* The end of an activation's call. */
#include "ops/activation.h"

#include <stdio.h>

fa_tensor *fa_activate(fa_op op, fa_tensor *handle, fa_node *x, const double numbers[2], bool inplace, const char *what)
{
    fa_node *y = x ? fa_record(op, 1, &x, NULL, 0, numbers, 2) : NULL;
    if (!inplace)
        return fa_handle(y);
    char name[32];
    snprintf(name, sizeof name, "%s_", what);
    return fa_finish_inplace(handle, x, y, name);
}
