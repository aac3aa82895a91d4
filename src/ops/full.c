/* full: every element is floats[0]. No inputs; ints: dtype, ndim, sizes. */
#include "ops/elementwise.h"

#include "base/half.h"

static bool infer(fa_node *node)
{
    node->meta = fa_meta_of((int)node->ints[0], (int)node->ints[1], node->ints + 2);
    return true;
}

#define FILL(T, VALUE)                                                                                                 \
    {                                                                                                                  \
        const T value = (T)(VALUE);                                                                                    \
        T *out = args->out[0];                                                                                         \
        for (int64_t i = 0; i < n; i++)                                                                                \
            out[i] = value;                                                                                            \
        break;                                                                                                         \
    }

static void reference(const fa_kernel_args *args)
{
    const int64_t n = fa_meta_numel(args->out_meta[0]);
    const double number = args->floats[0];
    switch (args->out_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        FILL(float, number)
    case FA_DT_FLOAT64:
        FILL(double, number)
    case FA_DT_INT64:
        FILL(int64_t, fa_number_int(number))
    case FA_DT_INT32:
        FILL(int32_t, fa_number_int(number))
    case FA_DT_UINT8:
        FILL(uint8_t, fa_number_int(number))
    case FA_DT_BFLOAT16:
        FILL(uint16_t, fa_bfloat16_from_float((float)number))
    case FA_DT_FLOAT16:
        FILL(uint16_t, fa_float16_from_float((float)number))
    default:
        FILL(bool, number != 0)
    }
}

const fa_op_def fa_op_full = {
    .name = "full",
    .moves = true,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .reference = reference,
    .flops = fa_flops_none,
};

fa_tensor *fa_fill_inplace_at(fa_tensor *a, double value, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "fill_", "a");
    return fa_finish_replace(a, x, x ? fa_record_full(&x->meta, value) : NULL, FA_REPLACE_FILL, "fill_");
}

fa_tensor *fa_zero_inplace_at(fa_tensor *a, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "zero_", "a");
    return fa_finish_replace(a, x, x ? fa_record_full(&x->meta, 0) : NULL, FA_REPLACE_ZERO, "zero_");
}
