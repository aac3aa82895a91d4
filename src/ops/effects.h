/* Shape rule of effects: the written leaves and what they are changed by have one shape and one type. */
#ifndef FA_OPS_EFFECTS_H
#define FA_OPS_EFFECTS_H

#include "ops/kernel_types.h"
#include "ops/rules.h"

bool fa_infer_effect(fa_node *node);

#endif
