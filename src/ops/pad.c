/* pad: more elements before and after those along each dimension (pad_ints), fewer where a number is negative.
 *
 *     constant    floats[0]                          reflect      x[1], x[2], .. before, .. x[n-3], x[n-2] after
 *     replicate   the first, the last element        circular     the other end of what is left of x
 *
 * Gradient: of constant, cut off again; else pad_grad, the sum over the places that an element went to. */
#include "ops/remap.h"

#include <string.h>

typedef struct pad_ints {
    int64_t mode, pairs;
    int64_t before[FA_MAX_DIMS], after[FA_MAX_DIMS];
} pad_ints;

static bool infer(fa_node *node)
{
    const pad_ints *ints = (const pad_ints *)node->ints;
    fa_infer_same(node);
    for (int d = 0; d < node->meta.ndim; d++)
        node->meta.shape[d] += ints->before[d] + ints->after[d];
    return true;
}

static void gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    pad_ints ints = *(const pad_ints *)node->ints;
    if (ints.mode != FA_PAD_CONSTANT) {
        grad_in[0] = fa_record(FA_OP_pad_grad, 1, &grad, FA_INTS(ints), NULL, 0);
        return;
    }
    for (int d = 0; d < node->meta.ndim; d++) {
        ints.before[d] = -ints.before[d];
        ints.after[d] = -ints.after[d];
    }
    grad_in[0] = fa_record(FA_OP_pad, 1, &grad, FA_INTS(ints), (double[]){0}, 1);
}

static const char *grad_label(const fa_node *node)
{
    static const char *const reflect[] = {"ReflectionPad1DBackward0", "ReflectionPad2DBackward0",
                                          "ReflectionPad3DBackward0"};
    static const char *const replicate[] = {"ReplicationPad1DBackward0", "ReplicationPad2DBackward0",
                                            "ReplicationPad3DBackward0"};
    const pad_ints *ints = (const pad_ints *)node->ints;
    switch (ints->mode) {
    case FA_PAD_REFLECT:
        return reflect[ints->pairs - 1];
    case FA_PAD_REPLICATE:
        return replicate[ints->pairs - 1];
    case FA_PAD_CIRCULAR:
        return "CopySlices";
    default:
        return "ConstantPadNdBackward0";
    }
}

static int64_t constant(const int64_t *attributes, int d, int64_t i, int64_t size)
{
    i -= ((const pad_ints *)attributes)->before[d];
    return i >= 0 && i < size ? i : -1;
}

static int64_t reflect(const int64_t *attributes, int d, int64_t i, int64_t size)
{
    i -= ((const pad_ints *)attributes)->before[d];
    return i < 0 ? -i : i >= size ? 2 * (size - 1) - i : i;
}

static int64_t replicate(const int64_t *attributes, int d, int64_t i, int64_t size)
{
    i -= ((const pad_ints *)attributes)->before[d];
    return i < 0 ? 0 : i >= size ? size - 1 : i;
}

/* How many elements are left where some are cut off, and the first of them. */
static int64_t left_of(const pad_ints *ints, int d, int64_t size, int64_t *first)
{
    const int64_t before = ints->before[d], after = ints->after[d];
    *first = before < 0 ? -before : 0;
    return size - *first + (after < 0 ? after : 0);
}

static int64_t circular(const int64_t *attributes, int d, int64_t i, int64_t size)
{
    const pad_ints *ints = (const pad_ints *)attributes;
    int64_t first;
    const int64_t left = left_of(ints, d, size, &first);
    i -= ints->before[d] > 0 ? ints->before[d] : 0;
    return first + (i < 0 ? i + left : i >= left ? i - left : i);
}

static const fa_remap maps[] = {
    [FA_PAD_CONSTANT] = constant,
    [FA_PAD_REFLECT] = reflect,
    [FA_PAD_REPLICATE] = replicate,
    [FA_PAD_CIRCULAR] = circular,
};

static void reference(const fa_kernel_args *args)
{
    const double value = args->floats[0];
    const union {
        float float32;
        double float64;
        int64_t int64;
        int32_t int32;
        uint8_t byte;
    } fill[] = {[FA_DT_FLOAT32] = {.float32 = (float)value},
                [FA_DT_FLOAT64] = {.float64 = value},
                [FA_DT_INT64] = {.int64 = fa_number_int(value)},
                [FA_DT_INT32] = {.int32 = (int32_t)fa_number_int(value)},
                [FA_DT_UINT8] = {.byte = (uint8_t)fa_number_int(value)},
                [FA_DT_BOOL] = {.byte = value != 0}};
    fa_remap_copy(args, maps[args->ints[0]], &fill[args->out_meta[0]->dtype]);
}

const fa_op_def fa_op_pad = {
    .name = "pad",
    .grad_name = "ConstantPadNdBackward0",
    .grad_label = grad_label,
    .layout = FA_LAYOUT_PLAIN,
    .infer = infer,
    .gradient = gradient,
    .reference = reference,
    .flops = fa_flops_none,
};

static bool grad_infer(fa_node *node)
{
    const pad_ints *ints = (const pad_ints *)node->ints;
    fa_infer_same(node);
    for (int d = 0; d < node->meta.ndim; d++)
        node->meta.shape[d] -= ints->before[d] + ints->after[d];
    return true;
}

static void grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    grad_in[0] = fa_record(FA_OP_pad, 1, &grad, node->ints, sizeof(pad_ints), (double[]){0}, 1);
}

static void grad_reference(const fa_kernel_args *args)
{
    fa_remap_add(args, maps[args->ints[0]]);
}

const fa_op_def fa_op_pad_grad = {
    .name = "pad_grad",
    .grad_name = "PadBackward0",
    .layout = FA_LAYOUT_PLAIN,
    .infer = grad_infer,
    .gradient = grad_gradient,
    .reference = grad_reference,
};

/* ---- The call ---- */

/* Refuses pads that dimension d of x cannot give. */
static bool check_dimension(const fa_node *x, const pad_ints *ints, int d)
{
    const int64_t size = x->meta.shape[d], before = ints->before[d], after = ints->after[d];
    const char *text = fa_shape_text(&x->meta);
    int64_t result, first;
    if (__builtin_add_overflow(size, before, &result) || __builtin_add_overflow(result, after, &result) ||
        before < -size || after < -size || result < (ints->mode == FA_PAD_CONSTANT ? 0 : 1))
        return fa_refuse(
            FA_SHAPE_ERROR, "pad",
            "got %lld and %lld for dimension %d of %s, needs numbers that leave %s. Hint: negative ones cut "
            "elements off",
            (long long)before, (long long)after, d, text,
            ints->mode == FA_PAD_CONSTANT ? "0 elements or more" : "an element");
    const int64_t most = before > after ? before : after;
    switch (ints->mode) {
    case FA_PAD_REFLECT:
        return most < size || fa_refuse(FA_SHAPE_ERROR, "pad",
                                        "got %lld and %lld for dimension %d of %s, needs less than its %lld entries to "
                                        "reflect. Hint: FA_PAD_REPLICATE takes any number",
                                        (long long)before, (long long)after, d, text, (long long)size);
    case FA_PAD_CIRCULAR:
        return most <= left_of(ints, d, size, &first) ||
               fa_refuse(FA_SHAPE_ERROR, "pad",
                         "got %lld and %lld for dimension %d of %s, needs at most as many as there are to go round "
                         "once. Hint: fa_repeat goes round more often",
                         (long long)before, (long long)after, d, text);
    case FA_PAD_REPLICATE:
        return size > 0 || fa_refuse(FA_SHAPE_ERROR, "pad",
                                     "got %s, needs an element in dimension %d to repeat. Hint: FA_PAD_CONSTANT needs "
                                     "none",
                                     text, d);
    default:
        return true;
    }
}

static bool check_call(const fa_node *x, const fa_pad_args *args)
{
    const int ndim = x->meta.ndim, numbers = args->pads.ndim, pairs = numbers / 2;
    if ((int)args->mode < FA_PAD_CONSTANT || (int)args->mode > FA_PAD_CIRCULAR)
        return fa_refuse(FA_VALUE_ERROR, "pad",
                         "got mode %d, needs FA_PAD_CONSTANT, FA_PAD_REFLECT, FA_PAD_REPLICATE or FA_PAD_CIRCULAR",
                         (int)args->mode);
    if (numbers < 0 || numbers % 2 != 0 || pairs > ndim || numbers > FA_MAX_DIMS)
        return fa_refuse(
            FA_VALUE_ERROR, "pad",
            "got %d numbers for %s, needs two a dimension (before, after), the last dimension first, for at "
            "most %d dimensions. Hint: FA_SHAPE(left, right, top, bottom)",
            numbers, fa_shape_text(&x->meta), ndim < FA_MAX_DIMS / 2 ? ndim : FA_MAX_DIMS / 2);
    if (args->mode == FA_PAD_CONSTANT)
        return true;
    if (args->value != 0)
        return fa_refuse(FA_VALUE_ERROR, "pad", "got value %g, needs none in this mode. Hint: FA_PAD_CONSTANT has one",
                         args->value);
    if (pairs < 1 || pairs > 3 || ndim < pairs + 1 || ndim > pairs + 2)
        return fa_refuse(FA_SHAPE_ERROR, "pad",
                         "got %d numbers for %s, needs all dimensions but channels, or but batch and channels, to be "
                         "padded in this mode. Hint: FA_SHAPE(left, right, top, bottom) for [N,C,H,W] or [C,H,W]",
                         numbers, fa_shape_text(&x->meta));
    return true;
}

fa_tensor *fa_pad_at(const fa_pad_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, "pad", "x");
    if (!x || !check_call(x, args))
        return NULL;
    pad_ints ints = {.mode = args->mode, .pairs = args->pads.ndim / 2};
    fa_shape shape = {.ndim = x->meta.ndim};
    memcpy(shape.size, x->meta.shape, sizeof(int64_t) * x->meta.ndim);
    for (int i = 0; i < ints.pairs; i++) {
        const int d = x->meta.ndim - 1 - i;
        ints.before[d] = args->pads.size[2 * i];
        ints.after[d] = args->pads.size[2 * i + 1];
        if (!check_dimension(x, &ints, d))
            return NULL;
        shape.size[d] += ints.before[d] + ints.after[d];
    }
    fa_meta meta; /* the product of sizes is checked */
    if (!fa_meta_from_shape(&meta, (fa_dtype)x->meta.dtype, &shape, "pad"))
        return NULL;
    return fa_handle(fa_record(FA_OP_pad, 1, &x, FA_INTS(ints), &args->value, 1));
}
