/* Sliding windows over images: arguments, checks and sizes. */
#include "ops/window.h"

#include "ops/kernel_types.h"
#include "ops/rules.h"

void fa_window_pair(int64_t out[2], const int64_t pair[2], int64_t both)
{
    for (int axis = 0; axis < 2; axis++)
        out[axis] = pair[axis] == INT64_MIN ? both : pair[axis];
}

bool fa_window_check(const int64_t value[2], int64_t least, const char *what, const char *name, const char *hint)
{
    for (int axis = 0; axis < 2; axis++)
        if (value[axis] < least || value[axis] > FA_WINDOW_LIMIT)
            return fa_refuse(
                FA_VALUE_ERROR, what, "got %s %lld x %lld, needs %lld or more (and at most %lld). Hint: %s", name,
                (long long)value[0], (long long)value[1], (long long)least, (long long)FA_WINDOW_LIMIT, hint);
    return true;
}

bool fa_window_check_image(const fa_node *x, const char *what)
{
    if (x->meta.ndim == 4 || x->meta.ndim == 3)
        return true;
    const char *shape = fa_shape_text(&x->meta);
    if (x->meta.ndim == 2)
        return fa_refuse(FA_SHAPE_ERROR, what,
                         "got input %s with 2 dimensions, needs images [N, C, H, W] or one image [C, H, W]. "
                         "Hint: a gray image needs its channel: fa_view(x, 1, %lld, %lld).",
                         shape, (long long)x->meta.shape[0], (long long)x->meta.shape[1]);
    return fa_refuse(FA_SHAPE_ERROR, what,
                     "got input %s with %d dimension%s, needs images [N, C, H, W] or one image [C, H, W]. "
                     "Hint: bring it into shape with fa_view.",
                     shape, x->meta.ndim, x->meta.ndim == 1 ? "" : "s");
}

fa_node *fa_window_record(fa_op op, fa_node *x, int n_more, fa_node *const *more, const void *ints, size_t ints_bytes)
{
    const bool batched = x->meta.ndim == 4;
    if (!batched)
        x = fa_record_reshape(x, 4, (int64_t[]){1, x->meta.shape[0], x->meta.shape[1], x->meta.shape[2]},
                              FA_VIEW_UNSQUEEZE);
    if (!x)
        return NULL;
    fa_node *in[FA_MAX_INPUTS] = {x};
    for (int i = 0; i < n_more; i++)
        in[1 + i] = more[i];
    fa_node *y = fa_record(op, 1 + n_more, in, ints, ints_bytes, NULL, 0);
    return batched || !y ? y : fa_record_reshape(y, 3, y->meta.shape + 1, FA_VIEW_SQUEEZE);
}

bool fa_window_set_meta(fa_node *node, const int64_t shape[4])
{
    const fa_shape out = {4, {shape[0], shape[1], shape[2], shape[3]}};
    return fa_meta_from_shape(&node->meta, (fa_dtype)node->in[0]->meta.dtype, &out, fa_op_table[node->op]->name);
}

/* ---- Pools ---- */

int64_t fa_pool2d_output_size(int64_t size, const fa_pool2d_ints *ints, int axis)
{
    const int64_t k = ints->kernel[axis], s = ints->stride[axis], p = ints->padding[axis], d = ints->dilation[axis];
    const int64_t room = size + 2 * p - d * (k - 1) - 1;
    if (room < 0 && !(ints->ceil_mode && room + s - 1 >= 0))
        return 0;
    int64_t out = (room + (ints->ceil_mode ? s - 1 : 0)) / s + 1;
    if (ints->ceil_mode && (out - 1) * s >= size + p)
        out--;
    return out;
}

bool fa_pool2d_infer(fa_node *node)
{
    const fa_pool2d_ints *ints = (const fa_pool2d_ints *)node->ints;
    const int64_t *x = node->in[0]->meta.shape;
    return fa_window_set_meta(
        node, (int64_t[]){x[0], x[1], fa_pool2d_output_size(x[2], ints, 0), fa_pool2d_output_size(x[3], ints, 1)});
}

bool fa_pool2d_ints_from(const fa_pool2d_args *args, const fa_node *x, const char *what, fa_pool2d_ints *ints)
{
    *ints = (fa_pool2d_ints){.ceil_mode = args->ceil_mode, .count_include_pad = args->count_include_pad};
    if (!fa_window_check_image(x, what))
        return false;
    if (!fa_is_float(x->meta.dtype))
        return fa_refuse(FA_DTYPE_ERROR, what,
                         "got input of dtype %s, needs float32 or float64. Hint: fa_to_dtype(x, FA_FLOAT32).",
                         fa_dtype_name(x->meta.dtype));
    fa_window_pair(ints->kernel, args->kernel_hw, args->kernel_size);
    if (!fa_window_check(ints->kernel, 1, what, "kernel size", "2 halves height and width."))
        return false;
    fa_window_pair(ints->stride, args->stride_hw, args->stride);
    for (int axis = 0; axis < 2; axis++)
        if (ints->stride[axis] == FA_KERNEL_SIZE)
            ints->stride[axis] = ints->kernel[axis];
    fa_window_pair(ints->padding, args->padding_hw, args->padding);
    fa_window_pair(ints->dilation, args->dilation_hw, args->dilation);
    if (!fa_window_check(ints->stride, 1, what, "stride", "leave it out to step by the kernel's size.") ||
        !fa_window_check(ints->padding, 0, what, "padding", "leave it out for none.") ||
        !fa_window_check(ints->dilation, 1, what, "dilation", "leave it out for 1."))
        return false;
    for (int axis = 0; axis < 2; axis++) {
        const int64_t kernel = ints->kernel[axis];
        if (ints->padding[axis] > kernel / 2)
            return fa_refuse(FA_VALUE_ERROR, what,
                             "got padding %lld for a kernel of %lld, needs at most half of it, %lld. "
                             "Hint: a window that lies in padding alone has no value.",
                             (long long)ints->padding[axis], (long long)kernel, (long long)(kernel / 2));
    }
    const int first = x->meta.ndim - 3;
    for (int d = first; d < x->meta.ndim; d++)
        if (x->meta.shape[d] == 0)
            return fa_refuse(FA_SHAPE_ERROR, what,
                             "got input %s without elements, needs channels, height and width of 1 or more (the batch "
                             "alone may be empty). Hint: look at how the images were made or cut.",
                             fa_shape_text(&x->meta));
    const int64_t height = x->meta.shape[first + 1], width = x->meta.shape[first + 2];
    const int64_t out_height = fa_pool2d_output_size(height, ints, 0),
                  out_width = fa_pool2d_output_size(width, ints, 1);
    if (out_height < 1 || out_width < 1)
        return fa_refuse(
            FA_SHAPE_ERROR, what,
            "got input %s, %lld x %lld pixels, needs room for a window of %lld x %lld (padding %lld x %lld). "
            "Hint: earlier layers have made the image too small: pool less, or start from larger images.",
            fa_shape_text(&x->meta), (long long)height, (long long)width,
            (long long)(ints->dilation[0] * (ints->kernel[0] - 1) + 1),
            (long long)(ints->dilation[1] * (ints->kernel[1] - 1) + 1), (long long)ints->padding[0],
            (long long)ints->padding[1]);
    return true;
}

static double window_flops(const fa_kernel_args *args, const fa_meta *y)
{
    const fa_pool2d_ints *ints = (const void *)args->ints;
    return (double)fa_meta_numel(y) * (double)(ints->kernel[0] * ints->kernel[1]);
}

double fa_pool2d_flops(const fa_kernel_args *args)
{
    return window_flops(args, args->out_meta[0]);
}

double fa_pool2d_grad_flops(const fa_kernel_args *args)
{
    return window_flops(args, args->in_meta[0]);
}
