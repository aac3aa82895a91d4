/* softmax along a dimension, and its gradient.
 *
 *     y = exp(x - max) / sum of exp(x - max),   dx = y * (g - sum of g*y) */
#include "ops/rows.h"

fa_tensor *fa_softmax_at(fa_tensor *x, int dim, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_rows_record(FA_OP_softmax, fa_use(x, "softmax", "input"), dim, "softmax"));
}

static void softmax_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record(FA_OP_softmax_grad, 2, (fa_node *[]){grad, node}, node->ints, sizeof(int64_t), NULL, 0);
}

#define SOFTMAX(T)                                                                                                     \
    {                                                                                                                  \
        for (int64_t r = 0; r < rows.count; r++) {                                                                     \
            const T *x = (const T *)args->in[0] + fa_row_start(&rows, r);                                              \
            T *y = (T *)args->out[0] + fa_row_start(&rows, r);                                                         \
            double max = -INFINITY, sum = 0;                                                                           \
            for (int64_t c = 0; c < rows.length; c++)                                                                  \
                max = (double)x[c * rows.step] > max ? (double)x[c * rows.step] : max;                                 \
            for (int64_t c = 0; c < rows.length; c++)                                                                  \
                sum += exp((double)x[c * rows.step] - max);                                                            \
            for (int64_t c = 0; c < rows.length; c++)                                                                  \
                y[c * rows.step] = (T)(exp((double)x[c * rows.step] - max) / sum);                                     \
        }                                                                                                              \
    }

#define SOFTMAX_GRAD(T)                                                                                                \
    {                                                                                                                  \
        for (int64_t r = 0; r < rows.count; r++) {                                                                     \
            const T *g = (const T *)args->in[0] + fa_row_start(&rows, r);                                              \
            const T *y = (const T *)args->in[1] + fa_row_start(&rows, r);                                              \
            T *dx = (T *)args->out[0] + fa_row_start(&rows, r);                                                        \
            double sum = 0;                                                                                            \
            for (int64_t c = 0; c < rows.length; c++)                                                                  \
                sum += (double)g[c * rows.step] * (double)y[c * rows.step];                                            \
            for (int64_t c = 0; c < rows.length; c++)                                                                  \
                dx[c * rows.step] = (T)((double)y[c * rows.step] * ((double)g[c * rows.step] - sum));                  \
        }                                                                                                              \
    }

/* To g the same op on h; to y  h * (g - sum of g*y) - g * sum of h*y. */
static void softmax_grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const int64_t dim = INT64_C(1) << node->ints[0];
    fa_node *g = node->in[0], *y = node->in[1];
    if (!grad)
        return;
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record(FA_OP_softmax_grad, 2, (fa_node *[]){grad, y}, node->ints, sizeof(int64_t), NULL, 0);
    if (!fa_wants_grad(node, 1))
        return;
    fa_node *gy = fa_record_sum(fa_record2(FA_OP_mul, g, y), dim, true);
    fa_node *hy = fa_record_sum(fa_record2(FA_OP_mul, grad, y), dim, true);
    grad_in[1] =
        fa_record2(FA_OP_sub, fa_record2(FA_OP_mul, grad, fa_record2(FA_OP_sub, g, gy)), fa_record2(FA_OP_mul, g, hy));
}

static void softmax_reference(const fa_kernel_args *args)
{
    const fa_rows rows = fa_rows_of(args->out_meta[0], args->ints[0]);
    FA_FOR_FLOATS(args->out_meta[0]->dtype, SOFTMAX);
}

static void softmax_grad_reference(const fa_kernel_args *args)
{
    const fa_rows rows = fa_rows_of(args->out_meta[0], args->ints[0]);
    FA_FOR_FLOATS(args->out_meta[0]->dtype, SOFTMAX_GRAD);
}

/* inputs: x; ints[0]: dim */
const fa_op_def fa_op_softmax = {
    .name = "softmax",
    .grad_name = "SoftmaxBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_same,
    .gradient = softmax_gradient,
    .reference = softmax_reference,
    .flops = fa_rows_flops,
};

/* inputs: g, y; ints[0]: dim */
const fa_op_def fa_op_softmax_grad = {
    .name = "softmax_grad",
    .grad_name = "SoftmaxBackwardDataBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_same,
    .gradient = softmax_grad_gradient,
    .reference = softmax_grad_reference,
    .flops = fa_rows_flops,
};
