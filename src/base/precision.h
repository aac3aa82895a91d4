/* Whether kernels keep to direct sums: the switch of fa_set_float32_precision. */
#ifndef FA_BASE_PRECISION_H
#define FA_BASE_PRECISION_H

#include <stdbool.h>

bool fa_precision_is_highest(void);

#endif
