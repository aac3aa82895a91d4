/* conv2d and its gradients.
 *
 *     y[n,o,i,j]  = bias[o] + sum over c, a, b of w[o,c,a,b] * x[n, g*C/G + c, i*s + a*d - p, j*s + b*d - p]
 *     dx[n,c,h,w] = sum of w[o,c,a,b] * g[n,o,i,j] over all (o, a, b, i, j) whose y reads x[n,c,h,w]
 *     dw[o,c,a,b] = sum over n, i, j of g[n,o,i,j] * x[n, g*C/G + c, i*s + a*d - p, j*s + b*d - p]
 *     db[o]       = sum over n, i, j of g[n,o,i,j]
 *
 * with group g = o / (O/G) and zeros outside x. Output size: floor((H + before + after - d(k-1) - 1) / s) + 1. */
#include "ops/kernel_types.h"
#include "ops/rules.h"
#include "ops/window.h"

#include <string.h>

/* ---- The call ---- */

static bool check_dtypes(const fa_node *x, const fa_node *weight, const fa_node *bias)
{
    const int dtype = weight->meta.dtype;
    if (!fa_is_float(dtype))
        return fa_refuse(FA_DTYPE_ERROR, "conv2d",
                         "got a weight of dtype %s, needs float32 or float64. Hint: "
                         "fa_to_dtype(weight, FA_FLOAT32).",
                         fa_dtype_name(dtype));
    if (x->meta.dtype == FA_DT_UINT8 && dtype != FA_DT_UINT8)
        return fa_refuse(
            FA_DTYPE_ERROR, "conv2d",
            "got uint8 images, needs %s as the weight is. Hint: convert with fa_to_dtype(x, %s) and divide "
            "by 255, or load the images with the ToTensor transform.",
            fa_dtype_name(dtype), dtype == FA_DT_FLOAT32 ? "FA_FLOAT32" : "FA_FLOAT64");
    if (x->meta.dtype != dtype)
        return fa_refuse(
            FA_DTYPE_ERROR, "conv2d", "got input of dtype %s, needs %s as the weight is. Hint: fa_to_dtype(x, %s).",
            fa_dtype_name(x->meta.dtype), fa_dtype_name(dtype), dtype == FA_DT_FLOAT32 ? "FA_FLOAT32" : "FA_FLOAT64");
    if (bias && bias->meta.dtype != dtype)
        return fa_refuse(FA_DTYPE_ERROR, "conv2d",
                         "got a bias of dtype %s, needs %s as the weight is. Hint: fa_to_dtype.",
                         fa_dtype_name(bias->meta.dtype), fa_dtype_name(dtype));
    return true;
}

/* Weight, bias and groups agree with each other. */
static bool check_weight(const fa_node *weight, const fa_node *bias, int64_t groups)
{
    const int64_t *w = weight->meta.shape;
    if (weight->meta.ndim != 4)
        return fa_refuse(
            FA_SHAPE_ERROR, "conv2d",
            "got weight %s, needs [out_channels, in_channels / groups, kernel height, kernel width]. Hint: "
            "fa_view gives it the missing dimensions.",
            fa_shape_text(&weight->meta));
    if (w[0] < 1 || w[2] < 1 || w[3] < 1)
        return fa_refuse(FA_SHAPE_ERROR, "conv2d",
                         "got weight %s, needs one output channel and a kernel of 1 x 1 at least. Hint: "
                         "out_channels and kernel_size start from 1.",
                         fa_shape_text(&weight->meta));
    if (groups < 1)
        return fa_refuse(FA_VALUE_ERROR, "conv2d", "got groups %lld, needs 1 or more. Hint: leave it out for 1.",
                         (long long)groups);
    if (w[0] % groups != 0)
        return fa_refuse(FA_VALUE_ERROR, "conv2d",
                         "got %lld output channels for %lld groups, needs a multiple of %lld: the weight is %s. "
                         "Hint: build the layer with out_channels that groups divide.",
                         (long long)w[0], (long long)groups, (long long)groups, fa_shape_text(&weight->meta));
    if (bias && (bias->meta.ndim != 1 || bias->meta.shape[0] != w[0]))
        return fa_refuse(
            FA_SHAPE_ERROR, "conv2d",
            "got bias %s, needs [%lld], one number an output channel: the weight is %s. Hint: NULL for none.",
            fa_shape_text(&bias->meta), (long long)w[0], fa_shape_text(&weight->meta));
    return true;
}

static bool check_channels(const fa_node *x, const fa_node *weight, int64_t groups)
{
    const int first = x->meta.ndim - 3;
    const int64_t got = x->meta.shape[first], needed = weight->meta.shape[1] * groups;
    if (got == needed)
        return true;
    const char *input = fa_shape_text(&x->meta), *w = fa_shape_text(&weight->meta);
    const char *plural = got == 1 ? "" : "s";
    if (x->meta.shape[x->meta.ndim - 1] == needed)
        return fa_refuse(FA_SHAPE_ERROR, "conv2d",
                         "got input %s with %lld channel%s, needs %lld: the weight is %s. Hint: channels come before "
                         "height and width: %s.",
                         input, (long long)got, plural, (long long)needed, w,
                         first ? "fa_permute(x, 0, 3, 1, 2)" : "fa_permute(x, 2, 0, 1)");
    if (groups > 1)
        return fa_refuse(FA_SHAPE_ERROR, "conv2d",
                         "got input %s with %lld channel%s, needs %lld: the weight is %s with %lld groups. Hint: build "
                         "the layer with in_channels = %lld and groups that divide it.",
                         input, (long long)got, plural, (long long)needed, w, (long long)groups, (long long)got);
    return fa_refuse(FA_SHAPE_ERROR, "conv2d",
                     "got input %s with %lld channel%s, needs %lld: the weight is %s. Hint: build the layer with "
                     "in_channels = %lld, or convert the images to %lld channel%s.",
                     input, (long long)got, plural, (long long)needed, w, (long long)got, (long long)needed,
                     needed == 1 ? "" : "s");
}

/* Replaces FA_SAME by what keeps height and width: d(k-1) zeros, the odd one after. */
static bool resolve_padding(const fa_conv2d_args *args, fa_conv2d_ints *ints)
{
    int64_t padding[2];
    fa_window_pair(padding, args->padding_hw, args->padding);
    for (int axis = 0; axis < 2; axis++) {
        if (padding[axis] != FA_SAME) {
            ints->padding_before[axis] = ints->padding_after[axis] = padding[axis];
            continue;
        }
        if (ints->stride[axis] != 1)
            return fa_refuse(
                FA_VALUE_ERROR, "conv2d",
                "got padding FA_SAME with stride %lld, needs stride 1: a larger one shrinks the image. Hint: "
                "write the padding as a number, kernel / 2 for an odd kernel.",
                (long long)ints->stride[axis]);
        const int64_t total = ints->dilation[axis] * (ints->kernel[axis] - 1);
        ints->padding_before[axis] = total / 2;
        ints->padding_after[axis] = total - total / 2;
    }
    return fa_window_check(ints->padding_before, 0, "conv2d", "padding", "leave it out for none.");
}

static int64_t span(const fa_conv2d_ints *ints, int axis)
{
    return ints->dilation[axis] * (ints->kernel[axis] - 1) + 1;
}

static int64_t padded(int64_t size, const fa_conv2d_ints *ints, int axis)
{
    return size + ints->padding_before[axis] + ints->padding_after[axis];
}

static bool check_room(const fa_node *x, const fa_conv2d_ints *ints)
{
    const int64_t *size = x->meta.shape + x->meta.ndim - 2;
    if (size[0] >= 1 && size[1] >= 1 && padded(size[0], ints, 0) >= span(ints, 0) &&
        padded(size[1], ints, 1) >= span(ints, 1))
        return true;
    return fa_refuse(
        FA_SHAPE_ERROR, "conv2d",
        "got input %s, %lld x %lld pixels with its padding, needs room for a kernel of %lld x %lld%s. Hint: "
        "earlier layers have made the image too small: add padding, pool less, or start from larger images.",
        fa_shape_text(&x->meta), (long long)padded(size[0], ints, 0), (long long)padded(size[1], ints, 1),
        (long long)span(ints, 0), (long long)span(ints, 1),
        ints->dilation[0] > 1 || ints->dilation[1] > 1 ? ", dilation included" : "");
}

fa_tensor *fa_conv2d_at(const fa_conv2d_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, "conv2d", "input");
    fa_node *weight = x ? fa_use(args->weight, "conv2d", "weight") : NULL;
    fa_node *bias = weight && args->bias ? fa_use(args->bias, "conv2d", "bias") : NULL;
    if (!weight || (args->bias && !bias))
        return NULL;
    if (!fa_window_check_image(x, "conv2d") || !check_dtypes(x, weight, bias) ||
        !check_weight(weight, bias, args->groups) || !check_channels(x, weight, args->groups))
        return NULL;
    fa_conv2d_ints ints = {.groups = args->groups, .kernel = {weight->meta.shape[2], weight->meta.shape[3]}};
    fa_window_pair(ints.stride, args->stride_hw, args->stride);
    fa_window_pair(ints.dilation, args->dilation_hw, args->dilation);
    if (!fa_window_check(ints.kernel, 1, "conv2d", "kernel", "the last two sizes of the weight.") ||
        !fa_window_check(ints.stride, 1, "conv2d", "stride", "leave it out for 1.") ||
        !fa_window_check(ints.dilation, 1, "conv2d", "dilation", "leave it out for 1.") ||
        !resolve_padding(args, &ints) || !check_room(x, &ints))
        return NULL;
    return fa_handle(fa_window_record(FA_OP_conv2d, x, 2, (fa_node *[]){weight, bias}, FA_INTS(ints)));
}

/* ---- Shapes and gradients ---- */

static bool conv2d_infer(fa_node *node)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)node->ints;
    const int64_t *x = node->in[0]->meta.shape, *w = node->in[1]->meta.shape;
    int64_t shape[4] = {x[0], w[0]};
    for (int axis = 0; axis < 2; axis++)
        shape[2 + axis] = (padded(x[2 + axis], ints, axis) - span(ints, axis)) / ints->stride[axis] + 1;
    return fa_window_set_meta(node, shape);
}

static bool infer_input_shape(fa_node *node)
{
    return fa_window_set_meta(node, ((const fa_conv2d_ints *)node->ints)->input_shape);
}

static bool bias_grad_infer(fa_node *node)
{
    node->meta = fa_meta_of(node->in[0]->meta.dtype, 1, &node->in[0]->meta.shape[1]);
    return true;
}

/* Whether a gradient is that of a 2x2 max-pool with stride 2, or of a relu before it. The graph alone decides, so that
 * the order of sums is the same in every plan. */
static bool came_through_pool(const fa_node *grad)
{
    if (grad->op == FA_OP_relu_grad)
        grad = grad->in[0];
    if (grad == NULL || grad->op != FA_OP_max_pool2d_grad)
        return false;
    const fa_pool2d_ints *p = (const fa_pool2d_ints *)grad->ints;
    return p->kernel[0] == 2 && p->kernel[1] == 2 && p->stride[0] == 2 && p->stride[1] == 2 && p->padding[0] == 0 &&
           p->padding[1] == 0 && p->dilation[0] == 1 && p->dilation[1] == 1 && p->ceil_mode == 0;
}

/* Records one of the two gradients, whose result has the shape of `like`. */
static fa_node *record_grad(fa_op op, fa_node *grad, fa_node *other, const fa_conv2d_ints *forward, const fa_node *like)
{
    fa_conv2d_ints ints = *forward;
    for (int d = 0; d < 4; d++)
        ints.input_shape[d] = like->meta.shape[d];
    ints.transposed = 0;
    ints.pooled = came_through_pool(grad);
    return fa_record(op, 2, (fa_node *[]){grad, other}, FA_INTS(ints), NULL, 0);
}

static void conv2d_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)node->ints;
    fa_node *x = node->in[0], *weight = node->in[1];
    if (fa_wants_grad(node, 0))
        grad_in[0] = record_grad(FA_OP_conv2d_input_grad, grad, weight, ints, x);
    if (fa_wants_grad(node, 1))
        grad_in[1] = record_grad(FA_OP_conv2d_weight_grad, grad, x, ints, weight);
    if (node->n_in > 2 && node->in[2] && fa_wants_grad(node, 2))
        grad_in[2] = fa_record(FA_OP_conv2d_bias_grad, 1, &grad,
                               FA_INTS(((fa_conv2d_ints){.pooled = came_through_pool(grad)})), NULL, 0);
}

/* The convolution is linear in the image and in the weight, and so is each gradient in both of its inputs: where h is
 * the gradient of dx = input_grad(g, w), that of g is conv2d(h, w) and that of w is weight_grad(g, h); where it is the
 * gradient of dw = weight_grad(g, x), that of g is conv2d(x, h) and that of x is input_grad(g, h). */
static fa_node *record_forward(fa_node *x, fa_node *weight, const fa_conv2d_ints *of_grad)
{
    fa_conv2d_ints ints = *of_grad;
    for (int d = 0; d < 4; d++)
        ints.input_shape[d] = 0;
    ints.transposed = 0;
    ints.pooled = 0;
    return x && weight ? fa_record(FA_OP_conv2d, 3, (fa_node *[]){x, weight, NULL}, FA_INTS(ints), NULL, 0) : NULL;
}

static const char *input_grad_label(const fa_node *node)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)node->ints;
    return ints->transposed ? "ConvolutionBackward0" : "ConvolutionBackwardBackward0";
}

static void input_grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)node->ints;
    fa_node *g = node->in[0], *weight = node->in[1];
    if (fa_wants_grad(node, 0))
        grad_in[0] = record_forward(grad, weight, ints);
    if (fa_wants_grad(node, 1))
        grad_in[1] = record_grad(FA_OP_conv2d_weight_grad, g, grad, ints, weight);
}

static void weight_grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const fa_conv2d_ints *ints = (const fa_conv2d_ints *)node->ints;
    fa_node *g = node->in[0], *x = node->in[1];
    if (fa_wants_grad(node, 0))
        grad_in[0] = record_forward(x, grad, ints);
    if (fa_wants_grad(node, 1))
        grad_in[1] = record_grad(FA_OP_conv2d_input_grad, g, grad, ints, x);
}

static void bias_grad_gradient(fa_node *node, fa_node *grad, fa_node **grad_in)
{
    const fa_meta *g = &node->in[0]->meta;
    grad_in[0] = fa_record_expand_as(fa_record_reshape(grad, 4, (int64_t[]){1, g->shape[1], 1, 1}, FA_VIEW), g);
}

/* ---- Reference kernels ---- */

/* Sizes of a call; images are x [N,C,H,W] and y [N,O,I,J], the weight is [O,C/G,A,B]. */
typedef struct sizes {
    int64_t N, C, H, W, O, I, J, A, B;
    int64_t C_group, O_group; /* channels of one group */
    int64_t stride[2], before[2], dilation[2];
} sizes;

static sizes sizes_of(const fa_meta *x, const fa_meta *y, const fa_meta *w, const fa_conv2d_ints *ints)
{
    return (sizes){.N = x->shape[0],
                   .C = x->shape[1],
                   .H = x->shape[2],
                   .W = x->shape[3],
                   .O = y->shape[1],
                   .I = y->shape[2],
                   .J = y->shape[3],
                   .A = w->shape[2],
                   .B = w->shape[3],
                   .C_group = w->shape[1],
                   .O_group = w->shape[0] / ints->groups,
                   .stride = {ints->stride[0], ints->stride[1]},
                   .before = {ints->padding_before[0], ints->padding_before[1]},
                   .dilation = {ints->dilation[0], ints->dilation[1]}};
}

/* Row (or column) of x under row i of y and row a of the kernel; -1 outside. */
static inline int64_t source(const sizes *s, int axis, int64_t i, int64_t a, int64_t size)
{
    const int64_t at = i * s->stride[axis] + a * s->dilation[axis] - s->before[axis];
    return at < size ? at : -1;
}

/* Row of y that reads row `at` of x through row a of the kernel; -1 if none does. */
static inline int64_t target(const sizes *s, int axis, int64_t at, int64_t a, int64_t size)
{
    const int64_t t = at + s->before[axis] - a * s->dilation[axis];
    return t >= 0 && t % s->stride[axis] == 0 && t / s->stride[axis] < size ? t / s->stride[axis] : -1;
}

/* The sums of one row are kept side by side, and each tap of the kernel is added to all of them in turn: per element
 * the terms and their order are those of the formula. */
enum { ROW_PART = 64 };

typedef struct run {
    int64_t k, count;
} run;

/* The k in [begin, end) with 0 <= k * stride + offset < size. */
static inline run overlap(int64_t begin, int64_t end, int64_t stride, int64_t offset, int64_t size)
{
    int64_t first = offset < 0 ? (-offset + stride - 1) / stride : 0;
    int64_t last = offset < size ? (size - 1 - offset) / stride + 1 : 0;
    first = first > begin ? first : begin;
    last = last < end ? last : end;
    return (run){first, last > first ? last - first : 0};
}

/* sum[k * sum_step] += w * x[k * x_step] */
#define DEFINE_ADD_TAP(T)                                                                                              \
    static inline void add_tap_##T(double *sum, int64_t sum_step, const T *x, int64_t x_step, double w, int64_t count) \
    {                                                                                                                  \
        if (sum_step == 1 && x_step == 1)                                                                              \
            for (int64_t k = 0; k < count; k++)                                                                        \
                sum[k] += w * (double)x[k];                                                                            \
        else                                                                                                           \
            for (int64_t k = 0; k < count; k++)                                                                        \
                sum[k * sum_step] += w * (double)x[k * x_step];                                                        \
    }

#define DEFINE_CONV2D(T)                                                                                               \
    /* Columns j to end of row i of an output plane; w: its channels' weights, x: the first of their planes. */        \
    static void conv2d_row_##T(double *sum, const sizes *s, const T *x, const T *w, int64_t i, int64_t j, int64_t end) \
    {                                                                                                                  \
        for (int64_t c = 0; c < s->C_group; c++)                                                                       \
            for (int64_t a = 0; a < s->A; a++) {                                                                       \
                const int64_t row = source(s, 0, i, a, s->H);                                                          \
                const int64_t line = (c * s->H + row) * s->W;                                                          \
                const T *tap = w + (c * s->A + a) * s->B;                                                              \
                for (int64_t b = 0; row >= 0 && b < s->B; b++) {                                                       \
                    const int64_t offset = b * s->dilation[1] - s->before[1];                                          \
                    const run r = overlap(j, end, s->stride[1], offset, s->W);                                         \
                    if (r.count > 0)                                                                                   \
                        add_tap_##T(sum + (r.k - j), 1, x + (line + r.k * s->stride[1] + offset), s->stride[1],        \
                                    (double)tap[b], r.count);                                                          \
                }                                                                                                      \
            }                                                                                                          \
    }                                                                                                                  \
    static void conv2d_##T(const fa_kernel_args *args)                                                                 \
    {                                                                                                                  \
        const sizes s = sizes_of(args->in_meta[0], args->out_meta[0], args->in_meta[1], (const void *)args->ints);     \
        const T *x = args->in[0], *w = args->in[1], *bias = args->in[2];                                               \
        T *y = args->out[0];                                                                                           \
        double sum[ROW_PART];                                                                                          \
        for (int64_t n = 0; n < s.N; n++)                                                                              \
            for (int64_t o = 0; o < s.O; o++)                                                                          \
                for (int64_t i = 0; i < s.I; i++)                                                                      \
                    for (int64_t j = 0; j < s.J; j += ROW_PART) {                                                      \
                        const int64_t end = j + ROW_PART < s.J ? j + ROW_PART : s.J;                                   \
                        for (int64_t k = j; k < end; k++)                                                              \
                            sum[k - j] = bias ? (double)bias[o] : 0;                                                   \
                        conv2d_row_##T(sum, &s, x + (n * s.C + o / s.O_group * s.C_group) * s.H * s.W,                 \
                                       w + o * s.C_group * s.A * s.B, i, j, end);                                      \
                        for (int64_t k = j; k < end; k++)                                                              \
                            *y++ = (T)sum[k - j];                                                                      \
                    }                                                                                                  \
    }

#define DEFINE_INPUT_GRAD(T)                                                                                           \
    /* Columns `column` to end of a row of plane (n, c). */                                                            \
    static void input_grad_row_##T(double *sum, const sizes *s, const T *g, const T *w, int64_t n, int64_t c,          \
                                   int64_t row, int64_t column, int64_t end)                                           \
    {                                                                                                                  \
        const int64_t first = c / s->C_group * s->O_group, in_group = c % s->C_group, step = s->stride[1];             \
        for (int64_t a = 0; a < s->A; a++) {                                                                           \
            const int64_t i = target(s, 0, row, a, s->I);                                                              \
            for (int64_t b = 0; i >= 0 && b < s->B; b++) {                                                             \
                /* Column j * step + offset of x is read by column j of y. */                                          \
                const int64_t offset = b * s->dilation[1] - s->before[1];                                              \
                const run r = overlap(0, s->J, step, offset - column, end - column);                                   \
                for (int64_t o = first; r.count > 0 && o < first + s->O_group; o++)                                    \
                    add_tap_##T(sum + (r.k * step + offset - column), step,                                            \
                                g + ((n * s->O + o) * s->I + i) * s->J + r.k, 1,                                       \
                                (double)w[((o * s->C_group + in_group) * s->A + a) * s->B + b], r.count);              \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void input_grad_##T(const fa_kernel_args *args)                                                             \
    {                                                                                                                  \
        const sizes s = sizes_of(args->out_meta[0], args->in_meta[0], args->in_meta[1], (const void *)args->ints);     \
        T *dx = args->out[0];                                                                                          \
        double sum[ROW_PART];                                                                                          \
        for (int64_t n = 0; n < s.N; n++)                                                                              \
            for (int64_t c = 0; c < s.C; c++)                                                                          \
                for (int64_t row = 0; row < s.H; row++)                                                                \
                    for (int64_t column = 0; column < s.W; column += ROW_PART) {                                       \
                        const int64_t end = column + ROW_PART < s.W ? column + ROW_PART : s.W;                         \
                        memset(sum, 0, sizeof sum);                                                                    \
                        input_grad_row_##T(sum, &s, args->in[0], args->in[1], n, c, row, column, end);                 \
                        for (int64_t k = column; k < end; k++)                                                         \
                            *dx++ = (T)sum[k - column];                                                                \
                    }                                                                                                  \
    }

/* Weights of up to LANES output channels are summed side by side, each over n, i, j in this order. */
enum { LANES = 4 };

#define DEFINE_WEIGHT_GRAD(T)                                                                                          \
    /* Tap (a, b) of channel c in its group, of output channels o to o + count. */                                     \
    static void weight_grad_tap_##T(double sum[LANES], const sizes *s, const T *g, const T *x, int64_t o,              \
                                    int64_t count, int64_t c, int64_t a, int64_t b)                                    \
    {                                                                                                                  \
        const int64_t offset = b * s->dilation[1] - s->before[1], plane = s->I * s->J;                                 \
        const run r = overlap(0, s->J, s->stride[1], offset, s->W);                                                    \
        for (int64_t n = 0; n < s->N; n++)                                                                             \
            for (int64_t i = 0; i < s->I; i++) {                                                                       \
                const int64_t row = source(s, 0, i, a, s->H);                                                          \
                const int64_t line = ((n * s->C + o / s->O_group * s->C_group + c) * s->H + row) * s->W + offset;      \
                const T *g_row[LANES];                                                                                 \
                for (int64_t k = 0; k < LANES; k++)                                                                    \
                    g_row[k] = g + (n * s->O + o + (k < count ? k : 0)) * plane + i * s->J;                            \
                for (int64_t j = r.k; row >= 0 && j < r.k + r.count; j++)                                              \
                    for (int64_t k = 0; k < LANES; k++)                                                                \
                        sum[k] += (double)g_row[k][j] * (double)x[line + j * s->stride[1]];                            \
            }                                                                                                          \
    }                                                                                                                  \
    static void weight_grad_##T(const fa_kernel_args *args)                                                            \
    {                                                                                                                  \
        const sizes s = sizes_of(args->in_meta[1], args->in_meta[0], args->out_meta[0], (const void *)args->ints);     \
        T *dw = args->out[0];                                                                                          \
        for (int64_t o = 0, count; o < s.O; o += count) {                                                              \
            const int64_t left = s.O_group - o % s.O_group;                                                            \
            count = left < LANES ? left : LANES;                                                                       \
            for (int64_t c = 0; c < s.C_group; c++)                                                                    \
                for (int64_t a = 0; a < s.A; a++)                                                                      \
                    for (int64_t b = 0; b < s.B; b++) {                                                                \
                        double sum[LANES] = {0};                                                                       \
                        weight_grad_tap_##T(sum, &s, args->in[0], args->in[1], o, count, c, a, b);                     \
                        for (int64_t k = 0; k < count; k++)                                                            \
                            dw[(((o + k) * s.C_group + c) * s.A + a) * s.B + b] = (T)sum[k];                           \
                    }                                                                                                  \
        }                                                                                                              \
    }

#define DEFINE_BIAS_GRAD(T)                                                                                            \
    static void bias_grad_##T(const fa_kernel_args *args)                                                              \
    {                                                                                                                  \
        const int64_t *shape = args->in_meta[0]->shape, pixels = shape[2] * shape[3];                                  \
        const T *g = args->in[0];                                                                                      \
        T *db = args->out[0];                                                                                          \
        for (int64_t o = 0; o < shape[1]; o++) {                                                                       \
            double sum = 0;                                                                                            \
            for (int64_t n = 0; n < shape[0]; n++)                                                                     \
                for (int64_t i = 0; i < pixels; i++)                                                                   \
                    sum += (double)g[(n * shape[1] + o) * pixels + i];                                                 \
            db[o] = (T)sum;                                                                                            \
        }                                                                                                              \
    }

DEFINE_ADD_TAP(float)
DEFINE_ADD_TAP(double)
DEFINE_CONV2D(float)
DEFINE_CONV2D(double)
DEFINE_INPUT_GRAD(float)
DEFINE_INPUT_GRAD(double)
DEFINE_WEIGHT_GRAD(float)
DEFINE_WEIGHT_GRAD(double)
DEFINE_BIAS_GRAD(float)
DEFINE_BIAS_GRAD(double)

static void conv2d_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->out_meta[0]->dtype, conv2d, args);
}

static void input_grad_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->out_meta[0]->dtype, input_grad, args);
}

static void weight_grad_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->out_meta[0]->dtype, weight_grad, args);
}

static void bias_grad_reference(const fa_kernel_args *args)
{
    FA_CALL_FLOATS(args->out_meta[0]->dtype, bias_grad, args);
}

/* ---- Definitions ---- */

/* All three multiply each element of y (or its gradient) by the kernel's C/G * A * B taps. */
static double taps(const fa_meta *y, const fa_meta *w)
{
    return 2 * (double)fa_meta_numel(y) * (double)(w->shape[1] * w->shape[2] * w->shape[3]);
}

static double conv2d_flops(const fa_kernel_args *args)
{
    return taps(args->out_meta[0], args->in_meta[1]);
}

static double input_grad_flops(const fa_kernel_args *args)
{
    return taps(args->in_meta[0], args->in_meta[1]);
}

static double weight_grad_flops(const fa_kernel_args *args)
{
    return taps(args->in_meta[0], args->out_meta[0]);
}

static double bias_grad_flops(const fa_kernel_args *args)
{
    return (double)fa_meta_numel(args->in_meta[0]);
}

/* inputs: x, weight, bias or NULL */
const fa_op_def fa_op_conv2d = {
    .name = "conv2d",
    .grad_name = "ConvolutionBackward0",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0,
    .infer = conv2d_infer,
    .gradient = conv2d_gradient,
    .reference = conv2d_reference,
    .flops = conv2d_flops,
};

/* inputs: g, weight */
const fa_op_def fa_op_conv2d_input_grad = {
    .name = "conv2d_input_grad",
    .grad_name = "ConvolutionBackwardBackward0",
    .grad_label = input_grad_label,
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0,
    .infer = infer_input_shape,
    .gradient = input_grad_gradient,
    .reference = input_grad_reference,
    .flops = input_grad_flops,
};

/* inputs: g, x */
const fa_op_def fa_op_conv2d_weight_grad = {
    .name = "conv2d_weight_grad",
    .grad_name = "ConvolutionBackwardBackward0",
    .layout = FA_LAYOUT_IMAGE,
    .plain_output = true,
    .image_inputs = 1 << 0 | 1 << 1,
    .infer = infer_input_shape,
    .gradient = weight_grad_gradient,
    .reference = weight_grad_reference,
    .flops = weight_grad_flops,
};

/* inputs: g */
const fa_op_def fa_op_conv2d_bias_grad = {
    .name = "conv2d_bias_grad",
    .grad_name = "ConvolutionBackwardBackward0",
    .layout = FA_LAYOUT_IMAGE,
    .image_inputs = 1 << 0,
    .infer = bias_grad_infer,
    .gradient = bias_grad_gradient,
    .reference = bias_grad_reference,
    .flops = bias_grad_flops,
};
