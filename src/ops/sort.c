/* argsort and topk along a dimension, and sort. The ops give indices; the values are taken along them, which carries
 * the gradient. A NaN is above all numbers. Equal elements keep their order: an index decides between them, so that no
 * two elements are equal and any method of sorting is stable.
 *
 *     argsort   ints: dim, descending          topk   ints: dim, largest, k */
#include "ops/along.h"
#include "ops/take.h"

/* One line of x, whose indices are put in order. */
typedef struct line {
    const void *x;
    int64_t step; /* of x and of the indices */
    int64_t *index;
    bool descending;
} line;

/* Whether element a comes before element b. */
#define DEFINE_BEFORE(T)                                                                                               \
    static bool before_##T(const line *l, int64_t a, int64_t b)                                                        \
    {                                                                                                                  \
        const T x = ((const T *)l->x)[a * l->step], y = ((const T *)l->x)[b * l->step];                                \
        if (x == y || (x != x && y != y))                                                                              \
            return a < b;                                                                                              \
        const bool less = y != y || x < y;                                                                             \
        return less != l->descending;                                                                                  \
    }

/* A heap over index[0 .. n-1] (at l->step) with the element that comes last at its root: sinks the element at `at`. */
#define DEFINE_SINK(T)                                                                                                 \
    static void sink_##T(const line *l, int64_t at, int64_t n)                                                         \
    {                                                                                                                  \
        const int64_t moving = l->index[at * l->step];                                                                 \
        for (int64_t child; (child = 2 * at + 1) < n; at = child) {                                                    \
            if (child + 1 < n && before_##T(l, l->index[child * l->step], l->index[(child + 1) * l->step]))            \
                child++;                                                                                               \
            if (!before_##T(l, moving, l->index[child * l->step]))                                                     \
                break;                                                                                                 \
            l->index[at * l->step] = l->index[child * l->step];                                                        \
        }                                                                                                              \
        l->index[at * l->step] = moving;                                                                               \
    }

/* index[0 .. k-1] = the k elements that come first of `size`, in order: a heap of the best k so far, then emptied. */
#define DEFINE_FIRST(T)                                                                                                \
    static void first_##T(const line *l, int64_t k, int64_t size)                                                      \
    {                                                                                                                  \
        for (int64_t i = 0; i < k; i++)                                                                                \
            l->index[i * l->step] = i;                                                                                 \
        for (int64_t i = k / 2 - 1; i >= 0; i--)                                                                       \
            sink_##T(l, i, k);                                                                                         \
        for (int64_t i = k; k > 0 && i < size; i++)                                                                    \
            if (before_##T(l, i, l->index[0])) {                                                                       \
                l->index[0] = i;                                                                                       \
                sink_##T(l, 0, k);                                                                                     \
            }                                                                                                          \
        for (int64_t n = k - 1; n > 0; n--) {                                                                          \
            const int64_t last = l->index[0];                                                                          \
            l->index[0] = l->index[n * l->step];                                                                       \
            l->index[n * l->step] = last;                                                                              \
            sink_##T(l, 0, n);                                                                                         \
        }                                                                                                              \
    }

#define DEFINE_LINES(T)                                                                                                \
    DEFINE_BEFORE(T)                                                                                                   \
    DEFINE_SINK(T)                                                                                                     \
    DEFINE_FIRST(T)                                                                                                    \
    static void lines_##T(const fa_kernel_args *args, int64_t k, bool descending)                                      \
    {                                                                                                                  \
        const fa_along along = fa_along_of(args->in_meta[0], args->ints[0]);                                           \
        for (int64_t o = 0; o < along.outer; o++)                                                                      \
            for (int64_t i = 0; i < along.inner; i++) {                                                                \
                const line l = {.x = (const T *)args->in[0] + o * along.size * along.inner + i,                        \
                                .step = along.inner,                                                                   \
                                .index = (int64_t *)args->out[0] + o * k * along.inner + i,                            \
                                .descending = descending};                                                             \
                first_##T(&l, k, along.size);                                                                          \
            }                                                                                                          \
    }

DEFINE_LINES(float)
DEFINE_LINES(double)
DEFINE_LINES(int64_t)
DEFINE_LINES(int32_t)
DEFINE_LINES(uint8_t)

static void order(const fa_kernel_args *args, int64_t k, bool descending)
{
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        lines_float(args, k, descending);
        break;
    case FA_DT_FLOAT64:
        lines_double(args, k, descending);
        break;
    case FA_DT_INT64:
        lines_int64_t(args, k, descending);
        break;
    case FA_DT_INT32:
        lines_int32_t(args, k, descending);
        break;
    default:
        lines_uint8_t(args, k, descending);
    }
}

static bool argsort_infer(fa_node *node)
{
    fa_infer_same(node);
    node->meta.dtype = FA_DT_INT64;
    return true;
}

static void argsort_reference(const fa_kernel_args *args)
{
    order(args, fa_along_of(args->in_meta[0], args->ints[0]).size, args->ints[1] != 0);
}

const fa_op_def fa_op_argsort = {
    .name = "argsort",
    .layout = FA_LAYOUT_PLAIN,
    .infer = argsort_infer,
    .reference = argsort_reference,
    .flops = fa_flops_input,
};

static bool topk_infer(fa_node *node)
{
    argsort_infer(node);
    if (node->meta.ndim > 0)
        node->meta.shape[node->ints[0]] = node->ints[2];
    return true;
}

/* A single number is its own top, whatever k is. */
static void topk_reference(const fa_kernel_args *args)
{
    order(args, args->in_meta[0]->ndim > 0 ? args->ints[2] : 1, args->ints[1] != 0);
}

const fa_op_def fa_op_topk = {
    .name = "topk",
    .layout = FA_LAYOUT_PLAIN,
    .infer = topk_infer,
    .reference = topk_reference,
    .flops = fa_flops_input,
};

fa_tensor *fa_sort_at(const fa_sort_args *args)
{
    fa_begin(args->where_);
    if (args->indices)
        *args->indices = NULL;
    fa_node *x = fa_use(args->x, "sort", "x");
    const int dim = x ? fa_wrap_dim(args->dim, x->meta.ndim, "sort") : -1;
    fa_node *index = dim < 0 ? NULL : fa_record_along(FA_OP_argsort, x, dim, args->descending);
    fa_tensor *values = fa_handle(fa_record_take_along(x, dim, index, FA_TAKE_SORT));
    if (values && args->indices)
        *args->indices = fa_handle(index);
    return values;
}

fa_tensor *fa_argsort_at(const fa_argsort_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, "argsort", "x");
    const int dim = x ? fa_wrap_dim(args->dim, x->meta.ndim, "argsort") : -1;
    return dim < 0 ? NULL : fa_handle(fa_record_along(FA_OP_argsort, x, dim, args->descending));
}

fa_tensor *fa_topk_at(const fa_topk_args *args)
{
    fa_begin(args->where_);
    if (args->indices)
        *args->indices = NULL;
    fa_node *x = fa_use(args->x, "topk", "x");
    const int dim = x ? fa_wrap_dim(args->dim, x->meta.ndim, "topk") : -1;
    if (dim < 0)
        return NULL;
    const int64_t size = x->meta.ndim > 0 ? x->meta.shape[dim] : 1;
    if (args->k < 0 || args->k > size) {
        fa_refuse(
            FA_INDEX_ERROR, "topk",
            "got k = %lld, needs 0 to %lld: the entries of dimension %d of %s. Hint: .dim chooses another dimension",
            (long long)args->k, (long long)size, dim, fa_shape_text(&x->meta));
        return NULL;
    }
    if (x->meta.dtype == FA_DT_BOOL) {
        fa_refuse(FA_DTYPE_ERROR, "topk", "got bool, needs numbers. Hint: fa_to_dtype(x, FA_UINT8)");
        return NULL;
    }
    const int64_t ints[3] = {dim, args->largest, args->k};
    fa_node *index = fa_record(FA_OP_topk, 1, &x, ints, sizeof ints, NULL, 0);
    fa_tensor *values = fa_handle(fa_record_take_along(x, dim, index, FA_TAKE_TOPK));
    if (values && args->indices)
        *args->indices = fa_handle(index);
    return values;
}
