/* A strided copy for values of any type: what permute and expand are made of. */
#include "ops/views.h"

#define GATHER(T)                                                                                                      \
    {                                                                                                                  \
        const T *from = in;                                                                                            \
        T *to = out;                                                                                                   \
        for (int64_t i = 0; i < row; i++)                                                                              \
            to[done + i] = from[at + i * step];                                                                        \
        break;                                                                                                         \
    }

void fa_strided_copy(void *out, const void *in, const fa_meta *meta, const int64_t *stride)
{
    const int outer = meta->ndim - 1;
    const int64_t n = fa_meta_numel(meta), row = outer >= 0 ? meta->shape[outer] : 1;
    const int64_t step = outer >= 0 ? stride[outer] : 0;
    int64_t index[FA_MAX_DIMS] = {0}, at = 0;
    for (int64_t done = 0; done < n; done += row) {
        switch (fa_dtype_size(meta->dtype)) {
        case 8:
            GATHER(uint64_t)
        case 4:
            GATHER(uint32_t)
        case 2:
            GATHER(uint16_t)
        default:
            GATHER(uint8_t)
        }
        for (int d = outer - 1; d >= 0; d--) {
            at += stride[d];
            if (++index[d] < meta->shape[d])
                break;
            at -= stride[d] * meta->shape[d];
            index[d] = 0;
        }
    }
}
