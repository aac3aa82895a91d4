/* prod over dimensions (fa_dims_ints), of nothing 1; integers and bool give int64. Gradient: g times the product of the
 * other elements; where it will be differentiated itself it is made of products of halves. */
#include "ops/kernel_types.h"
#include "ops/reduce.h"

static bool infer(fa_node *node)
{
    fa_infer_reduced(node);
    if (!fa_is_float(node->meta.dtype))
        node->meta.dtype = FA_DT_INT64;
    return true;
}

/* Elements start, start+1, ... of dimension 1. */
static fa_node *columns(fa_node *a, int64_t start, int64_t length)
{
    const fa_slice_ints ints = {.dim = 1, .start = start, .step = 1, .length = length};
    return a ? fa_record(FA_OP_slice, 1, &a, FA_INTS(ints), NULL, 0) : NULL;
}

static fa_node *beside(fa_node *a, fa_node *b)
{
    const int64_t ints[2] = {1, 0};
    return a && b ? fa_record(FA_OP_cat, 2, (fa_node *[]){a, b}, ints, sizeof ints, NULL, 0) : NULL;
}

/* Of each element of rows [outer, n] the product of the others, in differentiable ops and without a division. Elements
 * k and k + ceil(n/2) are multiplied, and what was found of these products is multiplied by the other one of the two.
 */
static fa_node *products_of_others(fa_node *rows)
{
    if (!rows)
        return NULL;
    const int64_t n = rows->meta.shape[1], half = (n + 1) / 2;
    if (n <= 1)
        return fa_record_full(&rows->meta, 1);
    fa_node *left = columns(rows, 0, half), *right = columns(rows, half, n - half);
    if (n % 2) { /* the last one on the left has no partner */
        const fa_meta one = fa_meta_of(rows->meta.dtype, 2, (int64_t[]){rows->meta.shape[0], 1});
        right = beside(right, fa_record_full(&one, 1));
    }
    fa_node *others = products_of_others(left && right ? fa_record2(FA_OP_mul, left, right) : NULL);
    fa_node *of_left = fa_record2(FA_OP_mul, others, right), *of_right = fa_record2(FA_OP_mul, others, left);
    return beside(of_left, columns(of_right, 0, n - half));
}

/* The same of the elements of x that are reduced together, in x's shape. */
static fa_node *product_slope(fa_node *x, int64_t mask)
{
    const int ndim = x->meta.ndim;
    fa_permute_ints order = {0}, back = {0};
    int64_t sizes[FA_MAX_DIMS] = {0}, outer = 1, n = 1;
    int at = 0;
    for (int reduced = 0; reduced < 2; reduced++)
        for (int d = 0; d < ndim; d++)
            if ((mask >> d & 1) == reduced) {
                *(reduced ? &n : &outer) *= x->meta.shape[d];
                sizes[at] = x->meta.shape[d];
                back.dim[d] = at;
                order.dim[at++] = d;
            }
    fa_node *rows = fa_record(FA_OP_permute, 1, &x, FA_INTS(order), NULL, 0);
    rows = products_of_others(fa_record_reshape(rows, 2, (int64_t[]){outer, n}, FA_VIEW));
    rows = fa_record_reshape(rows, ndim, sizes, FA_VIEW);
    return rows ? fa_record(FA_OP_permute, 1, &rows, FA_INTS(back), NULL, 0) : NULL;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_rules_differentiable()) {
        grad_in[0] = fa_record2(FA_OP_mul, fa_record_spread(node, grad), product_slope(node->in[0], node->ints[0]));
        return;
    }
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

fa_tensor *fa_prod_at(const fa_sum_args *args)
{
    return fa_reduce_as(FA_OP_prod, args);
}
