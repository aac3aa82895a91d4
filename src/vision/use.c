/* What is done with a transform: applied to a tensor, and printed. */
#include "vision/transform.h"

#include "base/error.h"

static bool form_of(const fa_meta *meta, fa_image_form *form)
{
    const int64_t *s = meta->shape;
    if (meta->dtype == FA_DT_UINT8 && (meta->ndim == 2 || meta->ndim == 3))
        *form = (fa_image_form){false, meta->ndim == 3 ? s[2] : 1, s[0], s[1], false};
    else if (meta->dtype == FA_DT_FLOAT32 && meta->ndim == 3)
        *form = (fa_image_form){true, s[0], s[1], s[2], false};
    else
        return fa_refuse(FA_SHAPE_ERROR, "transform",
                         "got %s %s, needs an image: uint8 [H, W, C] or [H, W], or float32 [C, H, W].",
                         fa_dtype_name(meta->dtype), fa_shape_text(meta));
    return true;
}

static fa_tensor *apply(const fa_chain *chain, const void *in, fa_where where)
{
    int64_t draws[FA_MAX_DRAWS];
    fa_image_form result;
    if (!fa_chain_run_draws(chain, draws, &result, where))
        return NULL;
    const fa_meta meta = result.floats
                             ? fa_meta_of(FA_DT_FLOAT32, 3, (int64_t[]){result.channels, result.height, result.width})
                             : fa_meta_of(FA_DT_UINT8, 3, (int64_t[]){result.height, result.width, result.channels});
    fa_leaf *leaf = fa_leaf_new(&meta);
    fa_tensor *made = NULL;
    if (leaf != NULL && fa_chain_run_image(chain, in, draws, leaf->buffer->data, where))
        made = fa_handle(fa_leaf_node(leaf));
    fa_leaf_release(leaf);
    return made;
}

fa_tensor *fa_transform_apply_at(fa_transform *transform, fa_tensor *image, fa_where where)
{
    fa_begin(where);
    if (!fa_object_check((fa_object *)transform, &fa_transform_class, "fa_transform_apply", where))
        return NULL;
    fa_node *node = fa_use(image, "transform", "image");
    fa_image_form form;
    if (node == NULL || !form_of(&node->meta, &form) || !fa_evaluate(node))
        return NULL;
    fa_chain *chain = fa_chain_get(transform, &form, where);
    if (chain == NULL)
        return NULL;
    const void *in = fa_node_bytes(node);
    fa_tensor *made = in != NULL ? apply(chain, in, where) : NULL;
    fa_chain_drop(chain);
    return made;
}

size_t fa_transform_text_at(fa_transform *transform, char *text, size_t size, fa_where where)
{
    if (size > 0)
        text[0] = 0;
    if (!fa_object_check((fa_object *)transform, &fa_transform_class, "fa_transform_text", where))
        return 0;
    fa_repr made = {.to = text, .size = size};
    fa_transform_print(fa_transform_body_of(transform), &made);
    return made.length;
}
