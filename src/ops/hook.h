/* A function that is told of the gradient of a value. */
#ifndef FA_OPS_HOOK_H
#define FA_OPS_HOOK_H

#include "ops/rules.h"

/* Given the node of the hook (its ints[0] is the number) and the gradient, returns what takes its place: itself, or a
 * node of its shape and type. NULL after an error. */
typedef fa_node *(*fa_gradient_hook)(fa_node *node, fa_node *gradient);

/* x itself, as a node whose gradient `hook` sees, with a number of the caller's. */
fa_node *fa_record_hook(fa_node *x, fa_gradient_hook hook, int64_t number);

#endif
