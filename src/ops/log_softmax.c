/* log_softmax along a dimension, and its gradient.
 *
 *     y = (x - max) - log(sum of exp(x - max)),   dx = g - exp(y) * sum of g */
#include "ops/rows.h"

fa_tensor *fa_log_softmax_at(fa_tensor *x, int dim, fa_where where)
{
    fa_begin(where);
    return fa_handle(fa_rows_record(FA_OP_log_softmax, fa_use(x, "log_softmax", "input"), dim, "log_softmax"));
}

static void log_softmax_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0))
        grad_in[0] =
            fa_record(FA_OP_log_softmax_grad, 2, (fa_node *[]){grad, node}, node->ints, sizeof(int64_t), NULL, 0);
}

#define LOG_SOFTMAX(T)                                                                                                 \
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
                y[c * rows.step] = (T)((double)x[c * rows.step] - max - log(sum));                                     \
        }                                                                                                              \
    }

#define LOG_SOFTMAX_GRAD(T)                                                                                            \
    {                                                                                                                  \
        for (int64_t r = 0; r < rows.count; r++) {                                                                     \
            const T *g = (const T *)args->in[0] + fa_row_start(&rows, r);                                              \
            const T *y = (const T *)args->in[1] + fa_row_start(&rows, r);                                              \
            T *dx = (T *)args->out[0] + fa_row_start(&rows, r);                                                        \
            double sum = 0;                                                                                            \
            for (int64_t c = 0; c < rows.length; c++)                                                                  \
                sum += (double)g[c * rows.step];                                                                       \
            for (int64_t c = 0; c < rows.length; c++)                                                                  \
                dx[c * rows.step] = (T)((double)g[c * rows.step] - exp((double)y[c * rows.step]) * sum);               \
        }                                                                                                              \
    }

/* With e = exp(y): to g  h - sum of h*e,  to y  -h * e * sum of g. */
static void log_softmax_grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const int64_t dim = INT64_C(1) << node->ints[0];
    fa_node *he = grad ? fa_record2(FA_OP_mul, grad, fa_record1(FA_OP_exp, node->in[1])) : NULL;
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record2(FA_OP_sub, grad, fa_record_sum(he, dim, true));
    if (fa_wants_grad(node, 1))
        grad_in[1] = fa_record1(FA_OP_neg, fa_record2(FA_OP_mul, he, fa_record_sum(node->in[0], dim, true)));
}

static void log_softmax_reference(const fa_kernel_args *args)
{
    const fa_rows rows = fa_rows_of(args->out_meta[0], args->ints[0]);
    FA_FOR_FLOATS(args->out_meta[0]->dtype, LOG_SOFTMAX);
}

static void log_softmax_grad_reference(const fa_kernel_args *args)
{
    const fa_rows rows = fa_rows_of(args->out_meta[0], args->ints[0]);
    FA_FOR_FLOATS(args->out_meta[0]->dtype, LOG_SOFTMAX_GRAD);
}

/* inputs: x; ints[0]: dim */
const fa_op_def fa_op_log_softmax = {
    .name = "log_softmax",
    .grad_name = "LogSoftmaxBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_same,
    .gradient = log_softmax_gradient,
    .reference = log_softmax_reference,
    .flops = fa_rows_flops,
};

/* inputs: g, y; ints[0]: dim */
const fa_op_def fa_op_log_softmax_grad = {
    .name = "log_softmax_grad",
    .grad_name = "LogSoftmaxBackwardDataBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_same,
    .gradient = log_softmax_grad_gradient,
    .reference = log_softmax_grad_reference,
    .flops = fa_rows_flops,
};
