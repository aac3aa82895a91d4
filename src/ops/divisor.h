/* What floor_divide and remainder share: types, and the check that no whole number is divided by 0. */
#ifndef FA_OPS_DIVISOR_H
#define FA_OPS_DIVISOR_H

#include "ops/elementwise.h"

/* Shape rule: two inputs of one type, not bool. */
bool fa_infer_quotient(fa_node *node);
/* Data check of input 1, for integers. */
bool fa_check_divisor(const fa_kernel_args *args, fa_where where, const char *what);
/* What the public functions record. */
fa_node *fa_record_quotient(fa_op op, fa_tensor *a, fa_tensor *b);
fa_node *fa_record_number_quotient(fa_op op, fa_tensor *a, double b);

#endif
