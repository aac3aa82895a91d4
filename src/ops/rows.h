/* What softmax and log_softmax share: the rows of a tensor along one dimension. */
#ifndef FA_OPS_ROWS_H
#define FA_OPS_ROWS_H

#include "ops/kernel_types.h"
#include "ops/rules.h"

#include <math.h>

/* The `count` rows of a row-major tensor along a dimension: element c of row r lies at fa_row_start(r) + c * step. */
typedef struct fa_rows {
    int64_t count, length, step;
} fa_rows;

static inline fa_rows fa_rows_of(const fa_meta *meta, int64_t dim)
{
    fa_rows rows = {.count = 1, .length = 1, .step = 1};
    for (int d = 0; d < meta->ndim; d++)
        if (d == dim)
            rows.length = meta->shape[d];
        else
            rows.count *= meta->shape[d];
    for (int d = (int)dim + 1; d < meta->ndim; d++)
        rows.step *= meta->shape[d];
    return rows;
}

static inline int64_t fa_row_start(const fa_rows *rows, int64_t r)
{
    return r / rows->step * rows->length * rows->step + r % rows->step;
}

/* Records a row op on x along `dim` (negative: from the end). NULL after an error, or for a NULL x. */
static inline fa_node *fa_rows_record(fa_op op, fa_node *x, int dim, const char *what)
{
    if (!x)
        return NULL;
    if (!fa_is_float(x->meta.dtype)) {
        fa_refuse(FA_DTYPE_ERROR, what, "got input of dtype %s, needs float32 or float64. Hint: fa_to_dtype(x, %s).",
                  fa_dtype_name(x->meta.dtype), "FA_FLOAT32");
        return NULL;
    }
    /* A single number has one dimension here, as in PyTorch. */
    const int wrapped = fa_wrap_dim(dim, x->meta.ndim > 0 ? x->meta.ndim : 1, what);
    if (wrapped < 0)
        return NULL;
    return fa_record(op, 1, &x, (int64_t[]){wrapped}, sizeof(int64_t), NULL, 0);
}

/* About four operations an element: maximum, difference, exponential, quotient. */
static inline double fa_rows_flops(const fa_kernel_args *args)
{
    return 4 * (double)fa_meta_numel(args->out_meta[0]);
}

#endif
