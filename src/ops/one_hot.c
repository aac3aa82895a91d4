/* one_hot: class number c becomes a row of zeros with a 1 at place c; int64 [..] gives int64 [.., classes] (ints[0]).
 * No gradient. */
#include "ops/rules.h"

#include <string.h>

static bool infer(fa_node *node)
{
    fa_infer_same(node);
    node->meta.shape[node->meta.ndim++] = node->ints[0];
    return true;
}

static void reference(const fa_kernel_args *args)
{
    const int64_t n = fa_meta_numel(args->in_meta[0]), classes = args->ints[0];
    const int64_t *x = args->in[0];
    int64_t *out = args->out[0];
    memset(out, 0, sizeof *out * (size_t)(n * classes));
    for (int64_t i = 0; i < n; i++)
        out[i * classes + x[i]] = 1;
}

static bool check(const fa_kernel_args *args, fa_where where)
{
    const int64_t n = fa_meta_numel(args->in_meta[0]), classes = args->ints[0];
    const int64_t *x = args->in[0];
    for (int64_t i = 0; i < n; i++)
        if (x[i] < 0 || x[i] >= classes)
            return fa_fail(FA_INDEX_ERROR, where, "one_hot",
                           "got class number %lld (element %lld), needs 0 to %lld. Hint: number the classes from 0; "
                           "num_classes is their count",
                           (long long)x[i], (long long)i, (long long)classes - 1);
    return true;
}

const fa_op_def fa_op_one_hot = {
    .name = "one_hot",
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .reference = reference,
    .check = check,
    .check_inputs = 1 << 0,
    .flops = fa_flops_none,
};

/* One more than the greatest class number, which is read now; 0 after an error. */
static int64_t count_classes(fa_node *x)
{
    int64_t classes = 0;
    if (!fa_evaluate(x))
        return 0;
    const int64_t *values = fa_node_bytes(x), n = fa_meta_numel(&x->meta);
    for (int64_t i = 0; values && i < n; i++)
        classes = values[i] >= classes ? values[i] + 1 : classes;
    return classes > 0 ? classes : 1;
}

fa_tensor *fa_one_hot_at(fa_tensor *x, int64_t num_classes, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "one_hot", "x");
    if (!node)
        return NULL;
    if (node->meta.dtype != FA_DT_INT64) {
        fa_refuse(FA_DTYPE_ERROR, "one_hot", "got %s, needs class numbers as int64. Hint: fa_to_dtype(x, FA_INT64)",
                  fa_dtype_name(node->meta.dtype));
        return NULL;
    }
    if (node->meta.ndim == FA_MAX_DIMS || num_classes < -1 || (num_classes == 0 && fa_meta_numel(&node->meta) > 0)) {
        fa_refuse(FA_VALUE_ERROR, "one_hot",
                  "got %lld classes for %s, needs 1 or more, or -1 to count them, and at most %d dimensions. Hint: -1 "
                  "takes the greatest class number and 1",
                  (long long)num_classes, fa_shape_text(&node->meta), FA_MAX_DIMS - 1);
        return NULL;
    }
    if (num_classes <= 0 && fa_meta_numel(&node->meta) == 0) {
        fa_refuse(FA_VALUE_ERROR, "one_hot", "got %s and no number of classes, needs one. Hint: give num_classes",
                  fa_shape_text(&node->meta));
        return NULL;
    }
    if (num_classes == -1)
        num_classes = count_classes(node);
    fa_shape shape = {.ndim = node->meta.ndim + 1};
    memcpy(shape.size, node->meta.shape, sizeof(int64_t) * node->meta.ndim);
    shape.size[node->meta.ndim] = num_classes;
    fa_meta meta; /* the product of sizes is checked */
    if (!fa_ok() || !fa_meta_from_shape(&meta, FA_INT64, &shape, "one_hot"))
        return NULL;
    return fa_handle(fa_record(FA_OP_one_hot, 1, &node, &num_classes, sizeof num_classes, NULL, 0));
}
