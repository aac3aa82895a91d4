/* What the ops that read by indices share: gather, index_select, and the values that belong to sort and topk. */
#ifndef FA_OPS_TAKE_H
#define FA_OPS_TAKE_H

#include "ops/kernel_types.h"
#include "ops/rules.h"

/* What take_along was recorded for: the name that autograd prints. */
typedef enum fa_take_kind { FA_TAKE_SORT, FA_TAKE_TOPK } fa_take_kind;

/* Element i of indices of int64 (wide) or int32. */
static inline int64_t fa_index_at(const void *index, bool wide, int64_t i)
{
    return wide ? ((const int64_t *)index)[i] : ((const int32_t *)index)[i];
}

/* Refuses indices outside 0 .. size-1 of dimension dim of x. */
bool fa_check_indices(const void *index, const fa_meta *index_meta, int64_t size, int64_t dim, const fa_meta *x,
                      const char *what, fa_where where);
/* Refuses indices that are not int64 or int32. */
bool fa_check_index_dtype(const fa_node *index, const char *what);

/* x at indices along dim that are known to be in range. */
fa_node *fa_record_take_along(fa_node *x, int dim, fa_node *index, fa_take_kind kind);

#endif
