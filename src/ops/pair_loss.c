/* Checks and rules that losses of pairs share. */
#include "ops/pair_loss.h"

bool fa_pair_reduction(fa_reduction reduction, bool batch, const char *what)
{
    const int last = batch ? FA_REDUCE_BATCHMEAN : FA_REDUCE_SUM;
    if ((int)reduction >= FA_REDUCE_NONE && (int)reduction <= last)
        return true;
    return fa_refuse(
        FA_VALUE_ERROR, what,
        "got reduction %d, needs FA_REDUCE_NONE, FA_REDUCE_MEAN%s or FA_REDUCE_SUM. Hint: leave it out for "
        "the mean.",
        (int)reduction, batch ? ", FA_REDUCE_BATCHMEAN" : "");
}

bool fa_pair_inputs(fa_tensor *input, fa_tensor *target, fa_node *pair[2], const char *what)
{
    pair[0] = fa_use(input, what, "input");
    pair[1] = pair[0] ? fa_use(target, what, "target") : NULL;
    if (!pair[1])
        return false;
    const int dtype = fa_promote(&pair[0]->meta, &pair[1]->meta);
    if (!fa_is_float(dtype))
        return fa_refuse(FA_DTYPE_ERROR, what,
                         "got %s and %s, needs float32 or float64. Hint: fa_to_dtype(x, FA_FLOAT32)",
                         fa_dtype_name(pair[0]->meta.dtype), fa_dtype_name(pair[1]->meta.dtype));
    for (int i = 0; i < 2; i++)
        pair[i] = fa_record_cast(pair[i], dtype);
    return pair[0] && pair[1];
}

bool fa_pair_weight(fa_tensor *weight, const fa_node *input, fa_node **node, const char *what, const char *name)
{
    *node = NULL;
    if (!weight)
        return true;
    fa_node *w = fa_use(weight, what, name);
    if (!w)
        return false;
    const fa_meta *got = &w->meta, *needed = &input->meta;
    bool fits = got->ndim <= needed->ndim;
    for (int d = 1; d <= got->ndim && fits; d++) {
        const int64_t size = got->shape[got->ndim - d];
        fits = size == 1 || size == needed->shape[needed->ndim - d];
    }
    if (!fits)
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got %s %s, needs one that repeats over the input %s: sizes that are equal or 1, counted from "
                         "the last. Hint: one number for each element, or one a class in the last dimension.",
                         name, fa_shape_text(got), fa_shape_text(needed));
    if (w->requires_grad)
        return fa_refuse(FA_VALUE_ERROR, what,
                         "got a %s that requires gradients, needs constants. Hint: fa_detach(%s).", name, name);
    *node = fa_record_expand_as(fa_record_cast(w, needed->dtype), needed);
    return *node != NULL;
}

bool fa_infer_pair_loss(fa_node *node)
{
    const fa_meta *x = &node->in[0]->meta;
    const bool kept = node->ints[0] == FA_REDUCE_NONE;
    node->meta = fa_meta_of(x->dtype, kept ? x->ndim : 0, x->shape);
    return true;
}

fa_node *fa_pair_spread(const fa_node *node, fa_node *grad)
{
    if (node->ints[0] != FA_REDUCE_MEAN)
        return grad;
    return fa_record_scalar(FA_OP_div_scalar, grad, (double)fa_meta_numel(&node->in[0]->meta));
}
