/* cumsum along a dimension: y[i] = x[0] + ... + x[i], or with ints[1] = 1 from the other end: x[i] + ... + x[last].
 * Integers and bool give int64. Gradient: the sum from the other end. */
#include "ops/along.h"
#include "ops/kernel_types.h"
#include "ops/reduce.h"

static bool infer(fa_node *node)
{
    fa_infer_same(node);
    if (!fa_is_float(node->meta.dtype))
        node->meta.dtype = FA_DT_INT64;
    return true;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const int64_t ints[2] = {node->ints[0], !node->ints[1]};
    grad_in[0] = fa_record(FA_OP_cumsum, 1, &grad, ints, sizeof ints, NULL, 0);
}

#define CUMSUM(T, SUM, R)                                                                                              \
    {                                                                                                                  \
        for (int64_t line = 0; line < along.outer * along.inner; line++) {                                             \
            const int64_t start = line / along.inner * along.size * along.inner + line % along.inner;                  \
            const T *x = (const T *)args->in[0] + start;                                                               \
            R *y = (R *)args->out[0] + start;                                                                          \
            SUM sum = 0;                                                                                               \
            for (int64_t k = 0; k < along.size; k++) {                                                                 \
                const int64_t at = (backwards ? along.size - 1 - k : k) * along.inner;                                 \
                sum += (SUM)x[at];                                                                                     \
                y[at] = (R)sum;                                                                                        \
            }                                                                                                          \
        }                                                                                                              \
        break;                                                                                                         \
    }

static void reference(const fa_kernel_args *args)
{
    const fa_along along = fa_along_of(args->in_meta[0], args->ints[0]);
    const bool backwards = args->ints[1] != 0;
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        CUMSUM(float, double, float)
    case FA_DT_FLOAT64:
        CUMSUM(double, double, double)
    case FA_DT_INT64:
        CUMSUM(int64_t, uint64_t, int64_t)
    case FA_DT_INT32:
        CUMSUM(int32_t, uint64_t, int64_t)
    default:
        CUMSUM(uint8_t, uint64_t, int64_t)
    }
}

const fa_op_def fa_op_cumsum = {
    .name = "cumsum",
    .grad_name = "CumsumBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_input,
};

fa_tensor *fa_cumsum_at(const fa_cumsum_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, "cumsum", "x");
    const int dim = x ? fa_wrap_dim(args->dim, x->meta.ndim, "cumsum") : -1;
    if (dim < 0)
        return NULL;
    if (args->dtype == FA_BOOL) {
        fa_refuse(FA_DTYPE_ERROR, "cumsum",
                  "got dtype bool, needs a type of numbers. Hint: fa_gt(fa_cumsum(x, dim), 0)");
        return NULL;
    }
    x = fa_record_sum_input(x, args->dtype, "cumsum");
    return fa_handle(fa_record_sum_output(x ? fa_record_along(FA_OP_cumsum, x, dim, false) : NULL, args->dtype));
}
