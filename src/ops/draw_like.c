/* Numbers drawn into new tensors of another one's shape: rand_like, randn_like, randint_like. They are drawn in the
 * order of memory, which is that of a tensor PyTorch would make "like" a view: its dimensions in the same order. */
#include "base/generator.h"
#include "ops/rules.h"
#include "tensor/create.h"

/* What a call needs of x, which is looked at before the new tensor is made. */
typedef struct likeness {
    fa_shape shape;
    fa_new_args args;
    bool reordered; /* memory is not row-major */
    int64_t stride[FA_MAX_DIMS];
} likeness;

static bool look_at(likeness *like, fa_tensor *x, const fa_new_args *args, const char *what)
{
    if (!fa_create_like(x, args, what, &like->shape, &like->args))
        return false;
    const fa_node *node = fa_use(x, what, "the tensor");
    fa_like_strides(node, like->stride);
    like->reordered = !fa_strides_contiguous(&node->meta, like->stride);
    return true;
}

/* The new tensor, whose numbers lie in the order in which they were drawn, with each at its place. */
static fa_tensor *placed(const likeness *like, fa_tensor *drawn)
{
    if (!drawn || !like->reordered)
        return drawn;
    fa_leaf *leaf = fa_handle_leaf(drawn);
    return fa_strides_to_row_major(&leaf->meta, like->stride, leaf->buffer->data) ? drawn : NULL;
}

fa_tensor *fa_rand_like_at(fa_tensor *x, const fa_new_args *args)
{
    likeness like;
    return look_at(&like, x, args, "rand_like") ? placed(&like, fa_rand_at(like.shape, &like.args)) : NULL;
}

fa_tensor *fa_randint_like_at(fa_tensor *x, int64_t low, int64_t high, const fa_new_args *args)
{
    likeness like;
    return look_at(&like, x, args, "randint_like") ? placed(&like, fa_randint_at(low, high, like.shape, &like.args))
                                                   : NULL;
}

/* As normal_ does, one by one where memory is not row-major, whatever their number. */
fa_tensor *fa_randn_like_at(fa_tensor *x, const fa_new_args *args)
{
    likeness like;
    if (!look_at(&like, x, args, "randn_like"))
        return NULL;
    const bool single = like.args.dtype == FA_FLOAT32;
    if (!like.reordered || (!single && like.args.dtype != FA_FLOAT64))
        return fa_randn_at(like.shape, &like.args);
    fa_tensor *drawn = fa_empty_at(like.shape, &like.args);
    if (!drawn)
        return NULL;
    fa_leaf *leaf = fa_handle_leaf(drawn);
    fa_mt *mt = fa_generator_lock(like.args.generator);
    for (int64_t i = 0; i < fa_meta_numel(&leaf->meta); i++) {
        if (single)
            fa_mt_normal_f32(mt, (float *)leaf->buffer->data + i, 1, 0, 1);
        else
            fa_mt_normal_f64(mt, (double *)leaf->buffer->data + i, 1, 0, 1);
    }
    fa_generator_unlock(like.args.generator);
    return placed(&like, drawn);
}
