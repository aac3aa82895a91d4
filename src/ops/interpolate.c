/* interpolate: the call, which chooses among upsample_nearest2d and upsample_bilinear2d, and their shape rules. */
#include "ops/upsample.h"

#include "ops/rules.h"

#include <math.h>
#include <string.h>

static const char what[] = "interpolate";

bool fa_upsample_infer(fa_node *node)
{
    const fa_upsample_ints *ints = (const fa_upsample_ints *)node->ints;
    const int64_t *x = node->in[0]->meta.shape;
    return fa_window_set_meta(node, (int64_t[]){x[0], x[1], ints->output[0], ints->output[1]});
}

bool fa_upsample_grad_infer(fa_node *node)
{
    return fa_window_set_meta(node, ((const fa_upsample_ints *)node->ints)->input_shape);
}

fa_node *fa_upsample_record(fa_op op, const fa_node *node, fa_node *x)
{
    fa_upsample_ints ints = *(const fa_upsample_ints *)node->ints;
    memcpy(ints.input_shape, node->in[0]->meta.shape, sizeof ints.input_shape);
    return x ? fa_record(op, 1, &x, FA_INTS(ints), node->floats, 2) : NULL;
}

static bool check_input(const fa_node *x, fa_interpolate_mode mode)
{
    if (x->meta.ndim != 4)
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got input %s, needs images [N, C, H, W]. Hint: one image gets its batch dimension with "
                         "fa_unsqueeze(x, 0)",
                         fa_shape_text(&x->meta));
    if (!fa_is_float(x->meta.dtype) && !(x->meta.dtype == FA_DT_UINT8 && mode != FA_BILINEAR))
        return fa_refuse(FA_DTYPE_ERROR, what,
                         "got input of dtype %s, needs float32 or float64%s. Hint: "
                         "fa_to_dtype(x, FA_FLOAT32)",
                         fa_dtype_name(x->meta.dtype), mode == FA_BILINEAR ? "" : ", or uint8");
    return true;
}

/* The output's size and the factors of the kernel. */
static bool find_sizes(const fa_interpolate_args *args, const fa_node *x, int64_t size[2], double factor[2])
{
    fa_window_pair(size, args->size_hw, args->size);
    for (int axis = 0; axis < 2; axis++)
        factor[axis] = isnan(args->scale_factor_hw[axis]) ? args->scale_factor : args->scale_factor_hw[axis];
    const bool by_size = size[0] != FA_NONE && size[1] != FA_NONE, by_factor = !isnan(factor[0]) && !isnan(factor[1]);
    if (by_size == by_factor)
        return fa_refuse(FA_VALUE_ERROR, what,
                         "got %s, needs one of the two. Hint: .scale_factor = 2 doubles height and "
                         "width",
                         by_size ? "a size and a scale_factor" : "no size and no scale_factor");
    for (int axis = 0; axis < 2; axis++) {
        const double wanted = by_size ? (double)size[axis] : floor((double)x->meta.shape[2 + axis] * factor[axis]);
        if (!(wanted >= 1 && wanted <= FA_WINDOW_LIMIT) || x->meta.shape[2 + axis] < 1)
            return fa_refuse(
                FA_SHAPE_ERROR, what,
                "got input %s and an output of %g pixels along dimension %d, needs 1 or more of both. Hint: "
                "a factor below 1 makes the image smaller; 0.5 halves it",
                fa_shape_text(&x->meta), wanted, 2 + axis);
        size[axis] = (int64_t)wanted;
        if (by_size || args->recompute_scale_factor)
            factor[axis] = 0;
    }
    return true;
}

fa_tensor *fa_interpolate_at(const fa_interpolate_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, what, "input");
    if (!x)
        return NULL;
    if (args->mode != FA_NEAREST && args->mode != FA_NEAREST_EXACT && args->mode != FA_BILINEAR) {
        fa_refuse(FA_VALUE_ERROR, what,
                  "got mode %d, needs FA_NEAREST, FA_NEAREST_EXACT or FA_BILINEAR. Hint: leave it "
                  "out for nearest",
                  (int)args->mode);
        return NULL;
    }
    if (args->align_corners && args->mode != FA_BILINEAR) {
        fa_refuse(FA_VALUE_ERROR, what,
                  "got align_corners with a nearest mode, needs .mode = FA_BILINEAR. Hint: leave "
                  "align_corners out");
        return NULL;
    }
    fa_upsample_ints ints = {.option =
                                 args->mode == FA_BILINEAR ? args->align_corners : args->mode == FA_NEAREST_EXACT};
    double factor[2];
    if (!check_input(x, args->mode) || !find_sizes(args, x, ints.output, factor))
        return NULL;
    return fa_handle(fa_record(args->mode == FA_BILINEAR ? FA_OP_upsample_bilinear2d : FA_OP_upsample_nearest2d, 1, &x,
                               FA_INTS(ints), factor, 2));
}
