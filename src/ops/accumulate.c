/* accumulate (effect): dst += src, floats. */
#include "ops/effects.h"

static bool infer(fa_node *node)
{
    if (!fa_is_float(node->in[0]->meta.dtype))
        return fa_refuse(FA_DTYPE_ERROR, "accumulate", "got %s, needs float32 or float64",
                         fa_dtype_name(node->in[0]->meta.dtype));
    return fa_infer_effect(node);
}

#define ACCUMULATE(T)                                                                                                  \
    {                                                                                                                  \
        T *sum = args->in[0];                                                                                          \
        const T *x = args->in[1];                                                                                      \
        for (int64_t i = 0; i < n; i++)                                                                                \
            sum[i] += x[i];                                                                                            \
    }

static void reference(const fa_kernel_args *args)
{
    const int64_t n = fa_meta_numel(args->in_meta[0]);
    FA_FOR_FLOATS(args->in_meta[0]->dtype, ACCUMULATE);
}

const fa_op_def fa_op_accumulate = {
    .name = "accumulate",
    .writes = 1,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .reference = reference,
    .flops = fa_flops_input,
};
