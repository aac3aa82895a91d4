/* Ops whose elements come from places that follow from each index by itself: roll, repeat, pad. */
#ifndef FA_OPS_REMAP_H
#define FA_OPS_REMAP_H

#include "ops/kernel_types.h"
#include "ops/rules.h"

/* Where index i along dimension d of the larger side comes from on the smaller side, whose size there is `size`;
 * -1: from nowhere. Dimensions are those of the larger side; the smaller one has size 1 in those that it lacks. */
typedef int64_t (*fa_remap)(const int64_t *ints, int d, int64_t i, int64_t size);

/* out = the mapped elements of input 0, of any type; `fill`, one element, where there is none. */
void fa_remap_copy(const fa_kernel_args *args, fa_remap map, const void *fill);
/* The gradient: out = zeros of the smaller shape, to which input 0 of the larger one is added in row-major order. */
void fa_remap_add(const fa_kernel_args *args, fa_remap map);

#endif
