/* interpolate: the call, which chooses among upsample_nearest2d, upsample_bilinear2d and upsample_bilinear2d_aa, and
 * their shape rules. Lines [N,C,L] are resized as images of one row. */
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

static bool check_mode(const fa_interpolate_args *args, const fa_node *x)
{
    static const char *const names[] = {"FA_NEAREST", "FA_NEAREST_EXACT", "FA_BILINEAR", "FA_LINEAR"};
    const fa_interpolate_mode mode = args->mode;
    const bool between = mode == FA_BILINEAR || mode == FA_LINEAR;
    if ((int)mode < FA_NEAREST || mode > FA_LINEAR)
        return fa_refuse(
            FA_VALUE_ERROR, what,
            "got mode %d, needs FA_NEAREST, FA_NEAREST_EXACT, FA_BILINEAR or FA_LINEAR. Hint: leave it out "
            "for nearest",
            (int)mode);
    if (args->align_corners && !between)
        return fa_refuse(FA_VALUE_ERROR, what,
                         "got align_corners with a nearest mode, needs .mode = FA_BILINEAR. Hint: leave align_corners "
                         "out");
    if (x->meta.ndim != 3 && x->meta.ndim != 4)
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got input %s, needs images [N, C, H, W] or lines [N, C, L]. Hint: one image gets its batch "
                         "dimension with fa_unsqueeze(x, 0)",
                         fa_shape_text(&x->meta));
    if ((mode == FA_BILINEAR && x->meta.ndim == 3) || (mode == FA_LINEAR && x->meta.ndim == 4))
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got input %s and %s, needs FA_BILINEAR for images [N, C, H, W], FA_LINEAR for lines "
                         "[N, C, L]. Hint: .mode = %s",
                         fa_shape_text(&x->meta), names[mode], names[x->meta.ndim == 3 ? FA_LINEAR : FA_BILINEAR]);
    if (args->antialias && mode != FA_BILINEAR)
        return fa_refuse(FA_VALUE_ERROR, what, "got antialias with %s, needs .mode = FA_BILINEAR. Hint: leave it out",
                         names[mode]);
    if (!fa_is_float(x->meta.dtype) && !(x->meta.dtype == FA_DT_UINT8 && !between))
        return fa_refuse(FA_DTYPE_ERROR, what,
                         "got input of dtype %s, needs float32 or float64%s. Hint: "
                         "fa_to_dtype(x, FA_FLOAT32)",
                         fa_dtype_name(x->meta.dtype), between ? "" : ", or uint8");
    return true;
}

/* What is asked for along each axis: its size or FA_NONE, its factor or NaN. The height of lines is 1, and stays. */
static bool read_sizes(const fa_interpolate_args *args, bool lines, int64_t size[2], double factor[2])
{
    fa_window_pair(size, args->size_hw, args->size);
    for (int axis = 0; axis < 2; axis++)
        factor[axis] = isnan(args->scale_factor_hw[axis]) ? args->scale_factor : args->scale_factor_hw[axis];
    if (!lines)
        return true;
    for (int axis = 0; axis < 2; axis++)
        if (args->size_hw[axis] != INT64_MIN || !isnan(args->scale_factor_hw[axis]))
            return fa_refuse(
                FA_VALUE_ERROR, what,
                "got height and width for lines [N, C, L], needs one number. Hint: .size or .scale_factor");
    size[0] = size[1] == FA_NONE ? FA_NONE : 1;
    factor[0] = isnan(factor[1]) ? factor[1] : 1;
    return true;
}

/* The output's size and the factors of the kernel, for images. */
static bool find_sizes(const fa_interpolate_args *args, const fa_node *x, bool lines, int64_t size[2], double factor[2])
{
    if (!read_sizes(args, lines, size, factor))
        return false;
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
                fa_shape_text(&x->meta), wanted, 2 + axis - lines);
        size[axis] = (int64_t)wanted;
        if (by_size || args->recompute_scale_factor)
            factor[axis] = 0;
    }
    return true;
}

static fa_node *resize(const fa_interpolate_args *args, fa_node *x, bool lines)
{
    const bool between = args->mode == FA_BILINEAR || args->mode == FA_LINEAR;
    fa_upsample_ints ints = {.option = between ? args->align_corners : args->mode == FA_NEAREST_EXACT, .lines = lines};
    double factor[2];
    if (!x || !find_sizes(args, x, lines, ints.output, factor))
        return NULL;
    const fa_op op = args->antialias ? FA_OP_upsample_bilinear2d_aa
                     : between       ? FA_OP_upsample_bilinear2d
                                     : FA_OP_upsample_nearest2d;
    return fa_record(op, 1, &x, FA_INTS(ints), factor, 2);
}

fa_tensor *fa_interpolate_at(const fa_interpolate_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, what, "input");
    if (!x || !check_mode(args, x))
        return NULL;
    if (x->meta.ndim == 4)
        return fa_handle(resize(args, x, false));
    const int64_t *shape = x->meta.shape;
    fa_node *y =
        resize(args, fa_record_reshape(x, 4, (int64_t[]){shape[0], shape[1], 1, shape[2]}, FA_VIEW_UNSQUEEZE), true);
    return y ? fa_handle(fa_record_reshape(y, 3, (int64_t[]){y->meta.shape[0], y->meta.shape[1], y->meta.shape[3]},
                                           FA_VIEW_HIDDEN))
             : NULL;
}
