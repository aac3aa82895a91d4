/* Copies, and sums of gradients, along a map of indices. Rows of the larger side are walked in order; the place of a
 * row on the smaller side is worked out once a row. */
#include "ops/remap.h"

#include <string.h>

typedef struct rows {
    int ndim;
    int64_t count, length, size, step;                     /* of the larger side; of the smaller one's last dimension */
    int64_t shape[FA_MAX_DIMS];                            /* of the larger side */
    int64_t small_shape[FA_MAX_DIMS], stride[FA_MAX_DIMS]; /* of the smaller one */
} rows;

static rows rows_of(const fa_meta *large, const fa_meta *small)
{
    rows r = {.ndim = large->ndim, .count = 1, .length = 1, .size = 1, .step = 0};
    int64_t step = 1;
    for (int d = large->ndim - 1; d >= 0; d--) {
        const int at = d - (large->ndim - small->ndim);
        r.shape[d] = large->shape[d];
        r.small_shape[d] = at >= 0 ? small->shape[at] : 1;
        r.stride[d] = step;
        step *= r.small_shape[d];
        if (d == large->ndim - 1) {
            r.length = r.shape[d];
            r.size = r.small_shape[d];
            r.step = 1;
        } else {
            r.count *= r.shape[d];
        }
    }
    return r;
}

/* Where a row begins on the smaller side; -1: nowhere. */
static int64_t start_of(const rows *r, int64_t row, fa_remap map, const int64_t *ints)
{
    int64_t start = 0;
    for (int d = r->ndim - 2; d >= 0; d--) {
        const int64_t from = map(ints, d, row % r->shape[d], r->small_shape[d]);
        if (from < 0)
            return -1;
        start += from * r->stride[d];
        row /= r->shape[d];
    }
    return start;
}

#define COPY(T)                                                                                                        \
    {                                                                                                                  \
        const T *in = args->in[0];                                                                                     \
        T *out = args->out[0];                                                                                         \
        for (int64_t row = 0; row < r.count; row++) {                                                                  \
            const int64_t start = start_of(&r, row, map, args->ints);                                                  \
            for (int64_t i = 0; i < r.length; i++) {                                                                   \
                const int64_t from = start < 0 ? -1 : r.ndim > 0 ? map(args->ints, r.ndim - 1, i, r.size) : 0;         \
                *out++ = from < 0 ? *(const T *)fill : in[start + from * r.step];                                      \
            }                                                                                                          \
        }                                                                                                              \
        break;                                                                                                         \
    }

void fa_remap_copy(const fa_kernel_args *args, fa_remap map, const void *fill)
{
    const rows r = rows_of(args->out_meta[0], args->in_meta[0]);
    switch (fa_dtype_size(args->out_meta[0]->dtype)) {
    case 8:
        COPY(uint64_t)
    case 4:
        COPY(uint32_t)
    default:
        COPY(uint8_t)
    }
}

#define ADD(T)                                                                                                         \
    {                                                                                                                  \
        const T *g = args->in[0];                                                                                      \
        T *out = args->out[0];                                                                                         \
        for (int64_t row = 0; row < r.count; row++) {                                                                  \
            const int64_t start = start_of(&r, row, map, args->ints);                                                  \
            for (int64_t i = 0; i < r.length; i++, g++) {                                                              \
                const int64_t from = start < 0 ? -1 : r.ndim > 0 ? map(args->ints, r.ndim - 1, i, r.size) : 0;         \
                if (from >= 0)                                                                                         \
                    out[start + from * r.step] += *g;                                                                  \
            }                                                                                                          \
        }                                                                                                              \
    }

void fa_remap_add(const fa_kernel_args *args, fa_remap map)
{
    const fa_meta *meta = args->out_meta[0];
    const rows r = rows_of(args->in_meta[0], meta);
    memset(args->out[0], 0, (size_t)(fa_meta_numel(meta) * fa_dtype_size(meta->dtype)));
    FA_FOR_FLOATS(meta->dtype, ADD);
}
