/* The name under which the multiply-add loop of limits.c stands in the kernels' lists: no op. */
#ifndef FA_CPU_LIMITS_H
#define FA_CPU_LIMITS_H

#include "base/opdef.h"

#define FA_CPU_LIMITS (FA_OP_COUNT + 1)

#endif
