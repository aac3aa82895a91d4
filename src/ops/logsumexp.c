/* logsumexp over dimensions (fa_dims_ints): y = m + log(sum of exp(x - m)), m the maximum, or 0 where that is infinite.
 * Integers as float32. Gradient: g * exp(x - y). */
#include "ops/kernel_types.h"
#include "ops/reduce.h"

#include <math.h>

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *shares = fa_record1(FA_OP_exp, fa_record2(FA_OP_sub, node->in[0], fa_record_spread(node, node)));
    grad_in[0] = fa_record2(FA_OP_mul, fa_record_spread(node, grad), shares);
}

#define LOGSUMEXP(T)                                                                                                   \
    {                                                                                                                  \
        const T *x = args->in[0];                                                                                      \
        T *out = args->out[0];                                                                                         \
        for (int64_t o = 0; o < r.outputs; o++) {                                                                      \
            double most = -INFINITY, sum = 0;                                                                          \
            FA_EACH_REDUCED(r, o, most = (double)x[at] > most ? (double)x[at] : most)                                  \
            most = isinf(most) ? 0 : most;                                                                             \
            FA_EACH_REDUCED(r, o, sum += exp((double)x[at] - most))                                                    \
            out[o] = (T)(most + log(sum));                                                                             \
        }                                                                                                              \
    }

static void reference(const fa_kernel_args *args)
{
    const fa_reduce r = fa_reduce_of(args->in_meta[0], args->ints[0]);
    FA_FOR_FLOATS(args->out_meta[0]->dtype, LOGSUMEXP);
}

const fa_op_def fa_op_logsumexp = {
    .name = "logsumexp",
    .grad_name = "LogsumexpBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_reduced_float,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_input,
};

fa_tensor *fa_logsumexp_at(const fa_reduce_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_record_float(fa_use(args->x, "logsumexp", "x"));
    return fa_handle(fa_record_reduced(FA_OP_logsumexp, x, &args->dims, args->keepdim, 0, 0));
}
