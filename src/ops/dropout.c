/* dropout and dropout2d.
 *
 *     y = x * (mask ? scale : 0), scale = 1/(1 - p); mask is 1 with probability 1 - p
 *
 * The mask is drawn when the call is made, two words of the generator an element, so that the draws of a program keep
 * their order however late values are computed: in row-major order, or in the order in which PyTorch lays out a tensor
 * like x, where x is a view of another order. The gradient is the same op on the gradient.
 * dropout2d draws one factor a channel of an image and multiplies by it. */
#include "base/generator.h"
#include "ops/kernel_types.h"
#include "ops/rules.h"

/* A uint8 node of x's shape, drawn now. NULL after an error. */
static fa_node *draw_mask(const fa_node *x, double keep, fa_generator *generator)
{
    const fa_meta meta = fa_meta_of(FA_DT_UINT8, x->meta.ndim, x->meta.shape);
    fa_leaf *leaf = fa_leaf_new(&meta);
    if (!leaf)
        return NULL;
    fa_note_draw(generator);
    generator = fa_generator_or_default(generator);
    fa_mt *mt = fa_generator_lock(generator);
    fa_mt_bernoulli(mt, leaf->buffer->data, fa_meta_numel(&meta), keep);
    fa_generator_unlock(generator);
    int64_t stride[FA_MAX_DIMS];
    fa_like_strides(x, stride);
    const bool fine = !x->noncontiguous || fa_strides_to_row_major(&meta, stride, leaf->buffer->data);
    fa_node *mask = fine ? fa_leaf_node(leaf) : NULL;
    fa_leaf_release(leaf);
    return mask;
}

/* Checks what both calls check. */
static bool check(const fa_dropout_args *args, const fa_node *x, const char *what)
{
    if (!(args->p >= 0 && args->p <= 1))
        return fa_refuse(
            FA_VALUE_ERROR, what,
            "got p = %g, needs a probability from 0 to 1. Hint: p is the share that is set to zero: 0.5 for half.",
            args->p);
    if (args->training && args->p > 0 && !fa_is_float(x->meta.dtype))
        return fa_refuse(FA_DTYPE_ERROR, what,
                         "got input of dtype %s, needs float32 or float64. Hint: fa_to_dtype(x, FA_FLOAT32).",
                         fa_dtype_name(x->meta.dtype));
    return true;
}

static fa_tensor *finish(const fa_dropout_args *args, fa_node *x, fa_node *y, const char *in_place)
{
    return args->inplace ? fa_finish_inplace(args->x, x, y, in_place) : fa_handle(y);
}

fa_tensor *fa_dropout_at(const fa_dropout_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, "dropout", "input");
    if (!x || !check(args, x, "dropout"))
        return NULL;
    if (!args->training || args->p == 0)
        return args->x;
    const double keep = 1 - args->p;
    if (keep == 0)
        return finish(args, x, fa_record_scalar(FA_OP_mul_scalar, x, 0), "dropout_");
    const double scale = x->meta.dtype == FA_DT_FLOAT32 ? (double)(1.0f / (float)keep) : 1 / keep;
    fa_node *mask = draw_mask(x, keep, args->generator);
    if (!mask)
        return NULL;
    return finish(args, x, fa_record(FA_OP_dropout, 2, (fa_node *[]){x, mask}, NULL, 0, &scale, 1), "dropout_");
}

/* One factor a channel of an image, 0 or 1/keep, of shape [N,C,1,...] and x's type, drawn now. NULL after an error. */
static fa_node *draw_channels(const fa_node *x, double keep, fa_generator *generator)
{
    int64_t shape[FA_MAX_DIMS] = {x->meta.shape[0], x->meta.shape[1], 1, 1, 1, 1, 1, 1};
    const fa_meta meta = fa_meta_of(x->meta.dtype, x->meta.ndim, shape);
    const int64_t n = fa_meta_numel(&meta);
    fa_leaf *leaf = fa_leaf_new(&meta);
    if (!leaf)
        return NULL;
    /* The draws lie in the last n bytes: each is read before the factors that grow from the front reach it. */
    uint8_t *kept = (uint8_t *)leaf->buffer->data + (fa_dtype_size(meta.dtype) - 1) * n;
    fa_note_draw(generator);
    generator = fa_generator_or_default(generator);
    fa_mt_bernoulli(fa_generator_lock(generator), kept, n, keep);
    fa_generator_unlock(generator);
    for (int64_t i = 0; i < n; i++) {
        const bool keeps = kept[i];
        if (meta.dtype == FA_DT_FLOAT32)
            ((float *)leaf->buffer->data)[i] = keeps ? 1.0f / (float)keep : 0;
        else
            ((double *)leaf->buffer->data)[i] = keeps ? 1 / keep : 0;
    }
    fa_node *factors = fa_leaf_node(leaf);
    fa_leaf_release(leaf);
    return factors;
}

fa_tensor *fa_dropout2d_at(const fa_dropout_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, "dropout2d", "input");
    if (!x || !check(args, x, "dropout2d"))
        return NULL;
    if (x->meta.ndim < 2) {
        fa_refuse(FA_SHAPE_ERROR, "dropout2d",
                  "got input %s, needs 2 dimensions or more: [N, C, ...]. Hint: fa_dropout drops single elements",
                  fa_shape_text(&x->meta));
        return NULL;
    }
    if (!args->training || args->p == 0 || fa_meta_numel(&x->meta) == 0)
        return args->x;
    if (args->p == 1)
        return finish(args, x, fa_record_scalar(FA_OP_mul_scalar, x, 0), "dropout2d_");
    fa_node *factors = draw_channels(x, 1 - args->p, args->generator);
    return factors ? finish(args, x, fa_record2(FA_OP_mul, x, factors), "dropout2d_") : NULL;
}

static void dropout_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    if (fa_wants_grad(node, 0))
        grad_in[0] = fa_record(FA_OP_dropout, 2, (fa_node *[]){grad, node->in[1]}, NULL, 0, node->floats, 1);
}

#define DROPOUT(T)                                                                                                     \
    {                                                                                                                  \
        const T *x = args->in[0], scale = (T)args->floats[0];                                                          \
        T *y = args->out[0];                                                                                           \
        for (int64_t i = 0; i < n; i++)                                                                                \
            y[i] = x[i] * (mask[i] ? scale : 0);                                                                       \
    }

static void dropout_reference(const fa_kernel_args *args)
{
    const int64_t n = fa_meta_numel(args->out_meta[0]);
    const uint8_t *mask = args->in[1];
    FA_FOR_FLOATS(args->out_meta[0]->dtype, DROPOUT);
}

/* inputs: x, mask (uint8, row-major whatever the layout of x) */
const fa_op_def fa_op_dropout = {
    .name = "dropout",
    .grad_name = "MulBackward0",
    .layout = FA_LAYOUT_ELEMENTWISE,
    .infer = fa_infer_same,
    .gradient = dropout_gradient,
    .reference = dropout_reference,
};
