/* Shape rules of effects. */
#ifndef FA_OPS_EFFECTS_H
#define FA_OPS_EFFECTS_H

#include "ops/kernel_types.h"
#include "ops/rules.h"

/* The written leaves and what they are changed by have one shape and one type. */
bool fa_infer_effect(fa_node *node);

/* The same, for a parameter and its state: float32 or float64. */
bool fa_infer_optimizer_step(fa_node *node);

#endif
