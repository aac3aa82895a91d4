/* assign (effect): dst = src. */
#include "ops/effects.h"

#include <string.h>

bool fa_infer_effect(fa_node *node)
{
    const fa_meta *written = &node->in[0]->meta;
    for (int i = 1; i < node->n_in; i++) {
        if (!node->in[i])
            continue;
        const fa_meta *meta = &node->in[i]->meta;
        const char *what = fa_op_table[node->op]->name;
        if (!fa_same_shape(meta, written))
            return fa_refuse(FA_SHAPE_ERROR, what, "got %s, needs %s, the shape of what is written",
                             fa_shape_text(meta), fa_shape_text(written));
        if (meta->dtype != written->dtype)
            return fa_refuse(FA_DTYPE_ERROR, what, "got %s, needs %s, the type of what is written",
                             fa_dtype_name(meta->dtype), fa_dtype_name(written->dtype));
    }
    return fa_infer_same(node);
}

bool fa_infer_optimizer_step(fa_node *node)
{
    const int dtype = node->in[0]->meta.dtype;
    if (!fa_is_float(dtype))
        return fa_refuse(FA_DTYPE_ERROR, fa_op_table[node->op]->name,
                         "got a parameter of type %s, needs float32 or float64", fa_dtype_name(dtype));
    return fa_infer_effect(node);
}

static void reference(const fa_kernel_args *args)
{
    const fa_meta *meta = args->in_meta[0];
    const size_t bytes = (size_t)(fa_meta_numel(meta) * fa_dtype_size(meta->dtype));
    if (bytes > 0 && args->in[0] != args->in[1])
        memcpy(args->in[0], args->in[1], bytes);
}

const fa_op_def fa_op_assign = {
    .name = "assign",
    .writes = 1,
    .moves = true,
    .layout = FA_LAYOUT_PLAIN,
    .infer = fa_infer_effect,
    .reference = reference,
    .flops = fa_flops_none,
};
