/* where: y = condition ? a : b, all three broadcast; masked_fill is the same with a number for a. Gradients: g where
 * the condition chose the one, 0 elsewhere, summed over what was broadcast. ints[0] is 1 for masked_fill. */
#include "ops/elementwise.h"

static bool infer(fa_node *node)
{
    const fa_meta *condition = &node->in[0]->meta, *a = &node->in[1]->meta, *b = &node->in[2]->meta;
    const char *what = node->ints[0] ? "masked_fill" : "where";
    fa_meta both;
    if (condition->dtype != FA_DT_BOOL)
        return fa_refuse(FA_DTYPE_ERROR, what, "got a %s mask, needs bool. Hint: comparisons give bool: fa_ne(mask, 0)",
                         fa_dtype_name(condition->dtype));
    if (!fa_broadcast(a, b, &both, what) || !fa_broadcast(&both, condition, &node->meta, what))
        return false;
    node->meta.dtype = a->dtype;
    return true;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    for (int i = 1; i < 3; i++) {
        if (!fa_wants_grad(node, i))
            continue;
        fa_node *zero = fa_record_number(node->meta.dtype, 0);
        fa_node *share = i == 1 ? fa_record_where(node->in[0], grad, zero) : fa_record_where(node->in[0], zero, grad);
        grad_in[i] = fa_record_sum_to(share, &node->in[i]->meta);
    }
}

static const char *grad_label(const fa_node *node)
{
    return node->ints[0] ? "MaskedFillBackward0" : "WhereBackward0";
}

#define CHOOSE(T)                                                                                                      \
    {                                                                                                                  \
        const bool *condition = args->in[0];                                                                           \
        const T *a = args->in[1], *b = args->in[2];                                                                    \
        T *out = args->out[0];                                                                                         \
        for (fa_walk walk = fa_walk_begin(args); walk.rows > 0; fa_walk_next(&walk))                                   \
            for (int64_t i = 0; i < walk.row; i++) {                                                                   \
                const bool chosen = condition[walk.at[0] + i * walk.step[0]];                                          \
                *out++ = chosen ? a[walk.at[1] + i * walk.step[1]] : b[walk.at[2] + i * walk.step[2]];                 \
            }                                                                                                          \
        break;                                                                                                         \
    }

static void reference(const fa_kernel_args *args)
{
    FA_EACH_TYPE(args->out_meta[0]->dtype, CHOOSE)
}

const fa_op_def fa_op_where = {
    .name = "where",
    .grad_name = "WhereBackward0",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
};

static fa_node *record(fa_node *condition, fa_node *a, fa_node *b, int64_t masked_fill)
{
    fa_node *in[3] = {condition, a, b};
    return condition && a && b ? fa_record(FA_OP_where, 3, in, FA_INTS(masked_fill), NULL, 0) : NULL;
}

fa_node *fa_record_where(fa_node *condition, fa_node *a, fa_node *b)
{
    return record(condition, a, b, 0);
}

/* The type of an operand that is a number, beside the other one. */
static int number_dtype(const fa_operand *number, const fa_operand *other, const fa_node *node)
{
    if (!node)
        return number->kind == FA_OPERAND_FRACTION || other->kind == FA_OPERAND_FRACTION ? FA_DT_FLOAT32 : FA_DT_INT64;
    const int dtype = fa_promote_number(&node->meta, number->number);
    return number->kind == FA_OPERAND_FRACTION && !fa_is_float(dtype) ? FA_DT_FLOAT32 : dtype;
}

fa_tensor *fa_where_at(fa_tensor *condition, fa_operand a, fa_operand b, fa_where where)
{
    fa_begin(where);
    fa_node *chosen = fa_use(condition, "where", "condition"), *x = NULL, *y = NULL;
    if (!chosen || (a.kind == FA_OPERAND_TENSOR && !(x = fa_use(a.tensor, "where", "a"))) ||
        (b.kind == FA_OPERAND_TENSOR && !(y = fa_use(b.tensor, "where", "b"))))
        return NULL;
    if (chosen->meta.dtype == FA_DT_UINT8) /* as PyTorch still does */
        chosen = fa_record_cast(chosen, FA_DT_BOOL);
    int dtype;
    if (x && y)
        dtype = fa_promote(&x->meta, &y->meta);
    else
        dtype = x ? number_dtype(&b, &a, x) : number_dtype(&a, &b, y);
    x = x ? fa_record_cast(x, dtype) : fa_record_number(dtype, a.number);
    y = y ? fa_record_cast(y, dtype) : fa_record_number(dtype, b.number);
    return fa_handle(record(chosen, x, y, 0));
}

static fa_node *masked_fill(fa_node *x, fa_node *mask, double value)
{
    return x && mask ? record(mask, fa_record_number(x->meta.dtype, value), x, 1) : NULL;
}

fa_tensor *fa_masked_fill_at(fa_tensor *a, fa_tensor *mask, double value, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "masked_fill", "a"), *chosen = fa_use(mask, "masked_fill", "mask");
    return fa_handle(masked_fill(x, chosen, value));
}

fa_tensor *fa_masked_fill_inplace_at(fa_tensor *a, fa_tensor *mask, double value, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(a, "masked_fill_", "a"), *chosen = fa_use(mask, "masked_fill_", "mask");
    return fa_finish_inplace(a, x, masked_fill(x, chosen, value), "masked_fill_");
}
