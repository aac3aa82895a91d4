/* hardtanh: y = x cut to [s, t]; NaN stays. relu6 is hardtanh from 0 to 6. Gradient: g where s < x < t or x is NaN,
 * else 0. Integers are cut too. */
#include "ops/activation.h"

#include "ops/elementwise.h"

static bool infer(fa_node *node)
{
    if (node->in[0]->meta.dtype == FA_DT_BOOL)
        return fa_refuse(FA_DTYPE_ERROR, "hardtanh", "got bool, needs numbers. Hint: fa_to_dtype(x, FA_FLOAT32)");
    return fa_infer_same(node);
}

#define CUT(T, LOW, HIGH)                                                                                              \
    {                                                                                                                  \
        const T from = (T)(LOW), to = (T)(HIGH);                                                                       \
        FA_UNARY_LOOP(T, T, T, x < from ? from : (x > to ? to : x))                                                    \
    }

static void reference(const fa_kernel_args *args)
{
    const int64_t low = fa_number_int(args->floats[0]), high = fa_number_int(args->floats[1]);
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        CUT(float, args->floats[0], args->floats[1])
    case FA_DT_FLOAT64:
        CUT(double, args->floats[0], args->floats[1])
    case FA_DT_INT64:
        CUT(int64_t, low, high)
    case FA_DT_INT32:
        CUT(int32_t, low, high)
    default:
        CUT(uint8_t, low < 0 ? 0 : low, high > 255 ? 255 : high)
    }
}

FA_ACTIVATION_GRAD_KERNEL(grad_reference, x <= s || x >= t ? 0 : g)
FA_ACTIVATION_GRADIENT(hardtanh, node->in[0])
FA_LINEAR_GRADIENT(hardtanh)

const fa_op_def fa_op_hardtanh = {
    .name = "hardtanh",
    .grad_name = "HardtanhBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
};

/* inputs: g, x */
const fa_op_def fa_op_hardtanh_grad = {
    .name = "hardtanh_grad",
    .grad_name = "HardtanhBackwardBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .gradient = grad_gradient,
    .reference = grad_reference,
};

static fa_tensor *call(fa_tensor *handle, double low, double high, bool inplace, const char *what)
{
    fa_node *x = fa_use(handle, what, "input");
    if (x && !(low <= high)) {
        fa_refuse(FA_VALUE_ERROR, what,
                  "got min_val %g and max_val %g, needs min_val <= max_val. Hint: leave them out "
                  "for -1 and 1",
                  low, high);
        return NULL;
    }
    if (x && x->meta.dtype == FA_DT_UINT8 && low < 0)
        low = 0;
    return fa_activate(FA_OP_hardtanh, handle, x, (double[]){low, high}, inplace, what);
}

fa_tensor *fa_hardtanh_at(const fa_hardtanh_args *args)
{
    fa_begin(args->where_);
    return call(args->x, args->min_val, args->max_val, args->inplace, "hardtanh");
}

fa_tensor *fa_relu6_at(const fa_activation_args *args)
{
    fa_begin(args->where_);
    return call(args->x, 0, 6, args->inplace, "relu6");
}
