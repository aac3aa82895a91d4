/* What the two adaptive pools share: the call's checks and the shape rules. */
#include "ops/adaptive_pool.h"

#include <string.h>

fa_tensor *fa_adaptive_pool(fa_op op, const fa_adaptive_pool2d_args *args, const char *what)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, what, "input");
    if (!x || !fa_window_check_image(x, what))
        return NULL;
    if (!fa_is_float(x->meta.dtype)) {
        fa_refuse(FA_DTYPE_ERROR, what,
                  "got input of dtype %s, needs float32 or float64. Hint: fa_to_dtype(x, FA_FLOAT32).",
                  fa_dtype_name(x->meta.dtype));
        return NULL;
    }
    fa_adaptive_ints ints = {0};
    const int first = x->meta.ndim - 3;
    fa_window_pair(ints.output, args->output_hw, args->output_size);
    for (int axis = 0; axis < 2; axis++)
        if (ints.output[axis] == FA_NONE)
            ints.output[axis] = x->meta.shape[first + 1 + axis];
    if (!fa_window_check(ints.output, 0, what, "output_size",
                         "1 makes one number of each channel; FA_NONE keeps the input's size."))
        return NULL;
    for (int d = first; d < x->meta.ndim; d++)
        if (x->meta.shape[d] == 0) {
            fa_refuse(FA_SHAPE_ERROR, what,
                      "got input %s without elements, needs channels, height and width of 1 or more (the batch alone "
                      "may be empty). Hint: look at how the images were made or cut.",
                      fa_shape_text(&x->meta));
            return NULL;
        }
    return fa_handle(fa_window_record(op, x, 0, NULL, FA_INTS(ints)));
}

bool fa_adaptive_infer(fa_node *node)
{
    const fa_adaptive_ints *ints = (const fa_adaptive_ints *)node->ints;
    const int64_t *x = node->in[0]->meta.shape;
    return fa_window_set_meta(node, (int64_t[]){x[0], x[1], ints->output[0], ints->output[1]});
}

bool fa_adaptive_grad_infer(fa_node *node)
{
    return fa_window_set_meta(node, ((const fa_adaptive_ints *)node->ints)->input_shape);
}

fa_adaptive_ints fa_adaptive_grad_ints(const fa_node *node)
{
    fa_adaptive_ints ints = *(const fa_adaptive_ints *)node->ints;
    memcpy(ints.input_shape, node->in[0]->meta.shape, sizeof ints.input_shape);
    return ints;
}
