/* prod over dimensions (fa_dims_ints), of nothing 1; integers and bool give int64. Gradient: g times the product of the
 * other elements. */
#include "ops/kernel_types.h"
#include "ops/reduce.h"

static bool infer(fa_node *node)
{
    fa_infer_reduced(node);
    if (!fa_is_float(node->meta.dtype))
        node->meta.dtype = FA_DT_INT64;
    return true;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *in[2] = {grad, node->in[0]};
    grad_in[0] = fa_record(FA_OP_prod_grad, 2, in, node->ints, sizeof(fa_dims_ints), NULL, 0);
}

static const char *grad_label(const fa_node *node)
{
    return node->ints[2] ? "ProdBackward1" : "ProdBackward0";
}

#define PRODUCT(T, P, R)                                                                                               \
    {                                                                                                                  \
        const T *x = args->in[0];                                                                                      \
        R *out = args->out[0];                                                                                         \
        for (int64_t o = 0; o < r.outputs; o++) {                                                                      \
            P product = 1;                                                                                             \
            FA_EACH_REDUCED(r, o, product *= (P)x[at])                                                                 \
            out[o] = (R)product;                                                                                       \
        }                                                                                                              \
        break;                                                                                                         \
    }

static void reference(const fa_kernel_args *args)
{
    const fa_reduce r = fa_reduce_of(args->in_meta[0], args->ints[0]);
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        PRODUCT(float, double, float)
    case FA_DT_FLOAT64:
        PRODUCT(double, double, double)
    case FA_DT_INT64:
        PRODUCT(int64_t, uint64_t, int64_t)
    case FA_DT_INT32:
        PRODUCT(int32_t, uint64_t, int64_t)
    default:
        PRODUCT(uint8_t, uint64_t, int64_t)
    }
}

const fa_op_def fa_op_prod = {
    .name = "prod",
    .grad_name = "ProdBackward0",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_input,
};

static bool grad_infer(fa_node *node)
{
    node->meta = node->in[1]->meta;
    node->meta.layout = FA_PLAIN;
    return true;
}

/* As in PyTorch, a zero anywhere makes it the products before and after each element; without one the quotient. */
#define PRODUCT_GRAD(T)                                                                                                \
    {                                                                                                                  \
        const T *g = args->in[0], *x = args->in[1];                                                                    \
        T *out = args->out[0];                                                                                         \
        bool zero = false;                                                                                             \
        for (int64_t i = 0; i < r.outputs * r.count; i++)                                                              \
            zero |= x[i] == 0;                                                                                         \
        for (int64_t o = 0; o < r.outputs; o++) {                                                                      \
            double before = 1, after = (double)g[o];                                                                   \
            FA_EACH_REDUCED(r, o, {                                                                                    \
                out[at] = (T)before;                                                                                   \
                before *= (double)x[at];                                                                               \
            })                                                                                                         \
            for (int64_t i = r.count - 1, first = fa_reduce_base(&r, o); zero && i >= 0; i--) {                        \
                const int64_t at = first + fa_reduce_offset(&r, i);                                                    \
                out[at] = (T)((double)out[at] * after);                                                                \
                after *= (double)x[at];                                                                                \
            }                                                                                                          \
            if (!zero)                                                                                                 \
                FA_EACH_REDUCED(r, o, out[at] = (T)((double)g[o] * before / (double)x[at]))                            \
        }                                                                                                              \
    }

static void grad_reference(const fa_kernel_args *args)
{
    const fa_reduce r = fa_reduce_of(args->in_meta[1], args->ints[0]);
    FA_FOR_FLOATS(args->out_meta[0]->dtype, PRODUCT_GRAD);
}

/* inputs: g, x */
const fa_op_def fa_op_prod_grad = {
    .name = "prod_grad",
    .layout = FA_LAYOUT_PLAIN,
    .infer = grad_infer,
    .reference = grad_reference,
};

fa_tensor *fa_prod_at(const fa_reduce_args *args)
{
    fa_begin(args->where_);
    return fa_handle(fa_record_reduced(FA_OP_prod, fa_use(args->x, "prod", "x"), &args->dims, args->keepdim, 0, 0));
}
