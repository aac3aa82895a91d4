/* dropout.
 *
 *     y = x * (mask ? scale : 0), scale = 1/(1 - p); mask is 1 with probability 1 - p
 *
 * The mask is drawn when the call is made, two words of the generator an element in row-major order, so that the draws
 * of a program keep their order however late values are computed. The gradient is the same op on the gradient. */
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
    fa_node *mask = fa_leaf_node(leaf);
    fa_leaf_release(leaf);
    return mask;
}

fa_tensor *fa_dropout_at(const fa_dropout_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, "dropout", "input");
    if (!x)
        return NULL;
    if (!(args->p >= 0 && args->p <= 1)) {
        fa_refuse(
            FA_VALUE_ERROR, "dropout",
            "got p = %g, needs a probability from 0 to 1. Hint: p is the share that is set to zero: 0.5 for half.",
            args->p);
        return NULL;
    }
    if (!args->training || args->p == 0)
        return args->x;
    if (!fa_is_float(x->meta.dtype)) {
        fa_refuse(FA_DTYPE_ERROR, "dropout",
                  "got input of dtype %s, needs float32 or float64. Hint: fa_to_dtype(x, FA_FLOAT32).",
                  fa_dtype_name(x->meta.dtype));
        return NULL;
    }
    const double keep = 1 - args->p;
    if (keep == 0)
        return fa_handle(fa_record_scalar(FA_OP_mul_scalar, x, 0));
    const double scale = x->meta.dtype == FA_DT_FLOAT32 ? (double)(1.0f / (float)keep) : 1 / keep;
    fa_node *mask = draw_mask(x, keep, args->generator);
    if (!mask)
        return NULL;
    return fa_handle(fa_record(FA_OP_dropout, 2, (fa_node *[]){x, mask}, NULL, 0, &scale, 1));
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
