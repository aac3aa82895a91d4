/* matmul: y = op(a) op(b), where op transposes the last two dimensions if ints[0] (a) or ints[1] (b) is set; the
 * dimensions before them are batches, broadcast. Gradients: da = g op(b)^T, db = op(a)^T g, transposed where the
 * operand is, summed over what was broadcast. fa_matmul brings vectors and unbatched right operands to this form. */
#include "ops/kernel_types.h"
#include "ops/rules.h"

#include <string.h>

typedef struct sizes {
    int64_t m, n, k;
} sizes;

static sizes sizes_of(const fa_meta *a, const fa_meta *b, const int64_t *ints)
{
    const int64_t *as = a->shape + a->ndim - 2, *bs = b->shape + b->ndim - 2;
    return (sizes){.m = as[ints[0] ? 1 : 0], .k = as[ints[0] ? 0 : 1], .n = bs[ints[1] ? 0 : 1]};
}

static bool infer(fa_node *node)
{
    const fa_meta *a = &node->in[0]->meta, *b = &node->in[1]->meta;
    if (a->ndim < 2 || b->ndim < 2)
        return fa_refuse(FA_SHAPE_ERROR, "matmul", "got %s and %s, needs operands of 2 dimensions or more",
                         fa_shape_text(a), fa_shape_text(b));
    if (a->dtype != b->dtype || a->dtype == FA_DT_BOOL)
        return fa_refuse(FA_DTYPE_ERROR, "matmul",
                         "got %s and %s, needs the same type of number for both. Hint: fa_to_dtype one of them",
                         fa_dtype_name(a->dtype), fa_dtype_name(b->dtype));
    const sizes s = sizes_of(a, b, node->ints);
    const int64_t inner = b->shape[b->ndim - (node->ints[1] ? 1 : 2)];
    if (s.k != inner)
        return fa_refuse(FA_SHAPE_ERROR, "matmul",
                         "got %s and %s, needs as many columns in the first (%lld) as rows in the second (%lld). Hint: "
                         "fa_transpose(b, -2, -1) if the second operand lies the other way round",
                         fa_shape_text(a), fa_shape_text(b), (long long)s.k, (long long)inner);
    for (int d = 3; d <= a->ndim && d <= b->ndim; d++) {
        const int64_t size_a = a->shape[a->ndim - d], size_b = b->shape[b->ndim - d];
        if (size_a != size_b && size_a != 1 && size_b != 1)
            return fa_refuse(FA_SHAPE_ERROR, "matmul",
                             "got %s and %s, needs equal sizes, or 1, in the dimensions before the last two (%lld and "
                             "%lld)",
                             fa_shape_text(a), fa_shape_text(b), (long long)size_a, (long long)size_b);
    }
    const fa_meta batch_a = fa_meta_of(a->dtype, a->ndim - 2, a->shape);
    const fa_meta batch_b = fa_meta_of(b->dtype, b->ndim - 2, b->shape);
    if (!fa_broadcast(&batch_a, &batch_b, &node->meta, "matmul"))
        return false;
    int64_t shape[FA_MAX_DIMS];
    const int batch = node->meta.ndim;
    memcpy(shape, node->meta.shape, sizeof(int64_t) * (size_t)batch);
    shape[batch] = s.m;
    shape[batch + 1] = s.n;
    node->meta = fa_meta_of(a->dtype, batch + 2, shape);
    return true;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    fa_node *a = node->in[0], *b = node->in[1];
    const bool ta = node->ints[0], tb = node->ints[1];
    if (fa_wants_grad(node, 0)) {
        fa_node *g = ta ? fa_record_matmul(b, grad, tb, true) : fa_record_matmul(grad, b, false, !tb);
        grad_in[0] = fa_record_sum_to(g, &a->meta);
    }
    if (fa_wants_grad(node, 1)) {
        fa_node *g = tb ? fa_record_matmul(grad, a, true, ta) : fa_record_matmul(a, grad, !ta, false);
        grad_in[1] = fa_record_sum_to(g, &b->meta);
    }
}

static const char *grad_label(const fa_node *node)
{
    return node->meta.ndim == 2          ? "MmBackward0"
           : node->in[0]->meta.ndim == 2 ? "CloneBackward0"
                                         : "UnsafeViewBackward0";
}

/* Which matrix of an operand belongs to matrix `batch` of the result. */
static int64_t matrix_of(const fa_meta *operand, const fa_meta *out, int64_t batch)
{
    int64_t index = 0, step = 1;
    for (int d = out->ndim - 3, e = operand->ndim - 3; e >= 0; d--, e--) {
        const int64_t at = batch % out->shape[d];
        batch /= out->shape[d];
        index += (operand->shape[e] == 1 ? 0 : at) * step;
        step *= operand->shape[e];
    }
    return index;
}

#define MATMUL(T, SUM)                                                                                                 \
    {                                                                                                                  \
        T *out = args->out[0];                                                                                         \
        for (int64_t batch = 0; batch < batches; batch++) {                                                            \
            const T *a = (const T *)args->in[0] + matrix_of(args->in_meta[0], y, batch) * s.m * s.k;                   \
            const T *b = (const T *)args->in[1] + matrix_of(args->in_meta[1], y, batch) * s.k * s.n;                   \
            for (int64_t i = 0; i < s.m; i++)                                                                          \
                for (int64_t j = 0; j < s.n; j++) {                                                                    \
                    SUM sum = 0;                                                                                       \
                    for (int64_t p = 0; p < s.k; p++)                                                                  \
                        sum += (SUM)a[i * a_row + p * a_column] * (SUM)b[p * b_row + j * b_column];                    \
                    *out++ = (T)sum;                                                                                   \
                }                                                                                                      \
        }                                                                                                              \
        break;                                                                                                         \
    }

static void reference(const fa_kernel_args *args)
{
    const fa_meta *y = args->out_meta[0];
    const sizes s = sizes_of(args->in_meta[0], args->in_meta[1], args->ints);
    const int64_t a_row = args->ints[0] ? 1 : s.k, a_column = args->ints[0] ? s.m : 1;
    const int64_t b_row = args->ints[1] ? 1 : s.n, b_column = args->ints[1] ? s.k : 1;
    int64_t batches = 1;
    for (int d = 0; d < y->ndim - 2; d++)
        batches *= y->shape[d];
    switch (y->dtype) {
    case FA_DT_FLOAT32:
        MATMUL(float, double)
    case FA_DT_FLOAT64:
        MATMUL(double, double)
    case FA_DT_INT64:
        MATMUL(int64_t, uint64_t)
    case FA_DT_INT32:
        MATMUL(int32_t, uint64_t)
    default:
        MATMUL(uint8_t, uint64_t)
    }
}

static double flops(const fa_kernel_args *args)
{
    const sizes s = sizes_of(args->in_meta[0], args->in_meta[1], args->ints);
    return 2 * (double)fa_meta_numel(args->out_meta[0]) * (double)s.k;
}

const fa_op_def fa_op_matmul = {
    .name = "matmul",
    .grad_name = "MmBackward0",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = flops,
};

static fa_node *with_dim(fa_node *x, int at)
{
    int64_t size[2] = {1, 1};
    size[1 - at] = x->meta.shape[0];
    return fa_record_reshape(x, 2, size, FA_VIEW_UNSQUEEZE);
}

fa_tensor *fa_matmul_at(fa_tensor *a, fa_tensor *b, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "matmul", "a"), *y = fa_use(b, "matmul", "b");
    if (!x || !y)
        return NULL;
    if (x->meta.ndim == 0 || y->meta.ndim == 0) {
        fa_refuse(FA_SHAPE_ERROR, "matmul", "got %s and %s, needs operands of 1 dimension or more. Hint: fa_mul(a, b)",
                  fa_shape_text(&x->meta), fa_shape_text(&y->meta));
        return NULL;
    }
    const bool row = x->meta.ndim == 1, column = y->meta.ndim == 1;
    const int64_t inner = row ? x->meta.shape[0] : -1;
    if (column && x->meta.shape[x->meta.ndim - 1] != y->meta.shape[0]) {
        fa_refuse(FA_SHAPE_ERROR, "matmul", "got %s and %s, needs a vector of %lld elements", fa_shape_text(&x->meta),
                  fa_shape_text(&y->meta), (long long)x->meta.shape[x->meta.ndim - 1]);
        return NULL;
    }
    if (row && y->meta.ndim >= 2 && y->meta.shape[y->meta.ndim - 2] != inner) {
        fa_refuse(FA_SHAPE_ERROR, "matmul", "got %s and %s, needs a vector of %lld elements", fa_shape_text(&x->meta),
                  fa_shape_text(&y->meta), (long long)y->meta.shape[y->meta.ndim - 2]);
        return NULL;
    }
    if (row)
        x = with_dim(x, 0);
    if (column)
        y = with_dim(y, 1);
    if (!x || !y)
        return NULL;
    /* A batch of matrices times one matrix is one matrix product of all rows. */
    const fa_meta left = x->meta;
    const bool folded = left.ndim > 2 && y->meta.ndim == 2 && left.shape[left.ndim - 1] == y->meta.shape[0];
    if (folded) {
        int64_t rows = 1;
        for (int d = 0; d < left.ndim - 1; d++)
            rows *= left.shape[d];
        x = fa_record_reshape(x, 2, (int64_t[]){rows, left.shape[left.ndim - 1]}, FA_VIEW);
    }
    fa_node *result = fa_record_matmul(x, y, false, false);
    if (!result || (!folded && !row && !column))
        return fa_handle(result);
    int64_t size[FA_MAX_DIMS];
    int ndim = 0;
    const fa_meta *rows = folded ? &left : &result->meta;
    for (int d = 0; d < rows->ndim - 2; d++)
        size[ndim++] = rows->shape[d];
    if (!row)
        size[ndim++] = rows->shape[rows->ndim - 2];
    if (!column)
        size[ndim++] = result->meta.shape[result->meta.ndim - 1];
    fa_view_kind kind = FA_VIEW_COPY;
    if (!folded && result->meta.ndim == 2)
        kind = row && column ? FA_VIEW_DOT : column ? FA_VIEW_MV : FA_VIEW_SQUEEZE_RESULT;
    return fa_handle(fa_record_reshape(result, ndim, size, kind));
}
