/* The table of ops under test: how each is called, and how a random use of it is drawn. Names of arguments and inputs
 * are those of tests/golden/make_layers.py. The last kinds are small networks: what plans fuse, and layouts that
 * change. */
#include "op_kinds.h"

#include <math.h>
#include <string.h>

/* ---- Views --------------------------------------------------------------------------------------------------------
 */

BUILD(view, fa_view_at(IN("x"), op_shape(c, "shape"), FA_HERE))
BUILD(reshape, fa_reshape_at(IN("x"), op_shape(c, "shape"), FA_HERE))
BUILD(transposed_reshape, fa_reshape_at(fa_transpose(IN("x"), 0, 1), op_shape(c, "shape"), FA_HERE))
BUILD(flatten, fa_flatten_at(IN("x"), INT("dim0", 0), INT("dim1", -1), FA_HERE))
BUILD(permute, fa_permute_at(IN("x"), op_shape(c, "dims"), FA_HERE))
BUILD(transpose, fa_transpose(IN("x"), INT("dim0", 0), INT("dim1", 0)))
BUILD(squeeze, fa_squeeze(IN("x"), INT("dim", 0)))
BUILD(unsqueeze, fa_unsqueeze(IN("x"), INT("dim", 0)))
BUILD(expand, fa_expand_at(IN("x"), op_shape(c, "shape"), FA_HERE))
BUILD(select, fa_select(IN("x"), INT("dim", 0), INT("index", 0)))
BUILD(slice, fa_slice_at(IN("x"), INT("dim", 0), INT("start", 0), INT("end", 0), INT("step", 1), FA_HERE))
BUILD(slice_of_permute, fa_slice(fa_transpose(fa_slice(fa_permute(IN("x"), 2, 0, 1), 0, 1, 3), 1, 2), 1, 1, 100))
BUILD(two_selects, fa_add(fa_mul(fa_select(IN("x"), 0, 0), 2), fa_select(IN("x"), 0, 1)))
BUILD(contiguous, fa_contiguous(fa_transpose(IN("x"), 0, 1)))

static void draw_reshape(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 1, 4, 5);
    op_add_input(c, "x", shape, OP_NORMAL);
    int64_t a = op_choose(d, 1, 6), n = op_numel(&shape);
    while (n % a)
        a--;
    OP_SET(c, "shape", (double)a, (double)(n / a), 1);
}

static void draw_transposed_reshape(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 2, 4, 5);
    op_add_input(c, "x", shape, OP_NORMAL);
    OP_SET(c, "shape", (double)op_numel(&shape));
}

static void draw_flatten(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 1, 4, 5);
    op_add_input(c, "x", shape, OP_NORMAL);
    int64_t from = op_choose(d, 0, shape.ndim - 1);
    OP_SET(c, "dim0", (double)from);
    OP_SET(c, "dim1", (double)op_choose(d, from, shape.ndim - 1));
}

static void draw_permute(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 1, 5, 5);
    op_add_input(c, "x", shape, OP_NORMAL);
    double dims[8];
    for (int i = 0; i < shape.ndim; i++)
        dims[i] = i;
    for (int i = shape.ndim - 1; i > 0; i--) {
        int j = i - (int)op_choose(d, 0, i);
        double t = dims[i];
        dims[i] = dims[j];
        dims[j] = t;
    }
    op_set_param(c, "dims", shape.ndim, dims);
}

static void draw_transpose(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 2, 4, 6);
    op_add_input(c, "x", shape, OP_NORMAL);
    OP_SET(c, "dim0", (double)op_choose(d, 0, shape.ndim - 1));
    OP_SET(c, "dim1", (double)op_choose(d, -shape.ndim, shape.ndim - 1));
}

static void draw_expand(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 1, 3, 5);
    double sizes[8];
    int more = (int)op_choose(d, 0, 2), n = 0;
    for (; n < more; n++)
        sizes[n] = (double)op_choose(d, 1, 4);
    for (int i = 0; i < shape.ndim; i++, n++) {
        sizes[n] = -1;
        if (op_choose(d, 0, 1)) {
            shape.size[i] = 1;
            sizes[n] = (double)op_choose(d, 0, 5);
        }
    }
    op_add_input(c, "x", shape, OP_NORMAL);
    op_set_param(c, "shape", n, sizes);
}

static void draw_select(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 1, 4, 5);
    int dim = (int)op_choose(d, 0, shape.ndim - 1);
    if (!shape.size[dim])
        shape.size[dim] = 1;
    op_add_input(c, "x", shape, OP_NORMAL);
    OP_SET(c, "dim", dim);
    OP_SET(c, "index", (double)op_choose(d, -shape.size[dim], shape.size[dim] - 1));
}

static void draw_slice(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 1, 4, 5);
    op_add_input(c, "x", shape, OP_NORMAL);
    OP_SET(c, "dim", (double)op_choose(d, 0, shape.ndim - 1));
    OP_SET(c, "start", (double)op_choose(d, -6, 6));
    OP_SET(c, "end", (double)op_choose(d, -6, 12));
    OP_SET(c, "step", (double)op_choose(d, 1, 4));
}

/* ---- Reductions ---------------------------------------------------------------------------------------------------
 */

#define OVER_DIMS                                                                                                      \
    .dims = op_find_param(c, "dims") ? op_shape(c, "dims") : (fa_shape){.ndim = -1}, .keepdim = INT("keepdim", 0)
BUILD(sum, fa_sum(IN("x"), OVER_DIMS))
BUILD(mean, fa_mean(IN("x"), OVER_DIMS))
BUILD(argmax, fa_argmax(IN("x"), INT("dim", 0), .keepdim = INT("keepdim", 0)))

static void build_max(const op_case *c, fa_tensor **in, op_outputs *out)
{
    fa_tensor *indices = NULL;
    op_give(out, "y", fa_max(IN("x"), INT("dim", 0), &indices));
    op_give(out, "indices", indices);
}

static void draw_reduction(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 0, 4, 6);
    op_add_input(c, "x", shape, op_values_for(d, OP_NORMAL));
    c->terms = (double)op_numel(&shape);
    if (!shape.ndim || op_choose(d, 0, 4) == 0)
        return;
    double dims[8];
    int n = 0;
    for (int i = 0; i < shape.ndim; i++)
        if (op_choose(d, 0, 1))
            dims[n++] = op_choose(d, 0, 1) ? i - shape.ndim : i;
    if (!n)
        dims[n++] = 0;
    op_set_param(c, "dims", n, dims);
    OP_SET(c, "keepdim", (double)op_choose(d, 0, 1));
}

static void draw_extreme(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 1, 4, 6);
    int dim = (int)op_choose(d, 0, shape.ndim - 1);
    if (!shape.size[dim])
        shape.size[dim] = 1;
    op_add_input(c, "x", shape, d->smooth ? OP_DISTINCT : op_values_for(d, OP_TIES));
    OP_SET(c, "dim", dim);
}

static void draw_argmax(op_case *c, op_draw *d)
{
    draw_extreme(c, d);
    OP_SET(c, "keepdim", (double)op_choose(d, 0, 1));
}

/* ---- Matrices -----------------------------------------------------------------------------------------------------
 */

BUILD(matmul, fa_matmul(IN("a"), IN("b")))
BUILD(linear, fa_linear(IN("x"), IN("weight"), IN("bias")))

static int64_t matrix_size(op_draw *d)
{
    static const int64_t sizes[] = {1, 2, 3, 5, 7, 8, 13, 16, 17, 31, 33, 40, 0};
    int64_t n = sizes[op_choose(d, 0, 12)];
    return d->large ? 3 * n + 1 : n;
}

static void draw_matmul(op_case *c, op_draw *d)
{
    int64_t m = matrix_size(d), k = matrix_size(d), n = matrix_size(d);
    fa_shape a = {0}, b = {0};
    int64_t a_kind = op_choose(d, 0, 3), b_kind = op_choose(d, 0, 3); /* matrix, vector, batch, batch of batches */
    int64_t outer = op_choose(d, 1, 3), inner = op_choose(d, 1, 3);
    if (a_kind == 3)
        a.size[a.ndim++] = op_choose(d, 0, 1) ? 1 : outer;
    if (a_kind >= 2)
        a.size[a.ndim++] = op_choose(d, 0, 1) ? 1 : inner;
    if (a_kind != 1)
        a.size[a.ndim++] = m;
    a.size[a.ndim++] = k;
    if (b_kind == 3)
        b.size[b.ndim++] = op_choose(d, 0, 1) ? 1 : outer;
    if (b_kind >= 2)
        b.size[b.ndim++] = op_choose(d, 0, 1) ? 1 : inner;
    b.size[b.ndim++] = k;
    if (b_kind != 1)
        b.size[b.ndim++] = n;
    op_add_input(c, "a", a, op_values_for(d, OP_NORMAL));
    op_add_input(c, "b", b, OP_NORMAL);
    c->terms = (double)((k > m ? k : m) > n ? (k > m ? k : m) : n) * 9;
}

static void draw_linear(op_case *c, op_draw *d)
{
    fa_shape x = {.ndim = (int)op_choose(d, 1, 3)};
    for (int i = 0; i + 1 < x.ndim; i++)
        x.size[i] = i ? op_choose(d, 1, 4) : matrix_size(d);
    int64_t in = matrix_size(d) + 1, out = matrix_size(d) + 1;
    x.size[x.ndim - 1] = in;
    op_add_input(c, "x", x, op_values_for(d, OP_NORMAL));
    op_add_input(c, "weight", FA_SHAPE(out, in), OP_NORMAL);
    if (op_choose(d, 0, 3) != 3)
        op_add_input(c, "bias", FA_SHAPE(out), OP_NORMAL);
    int64_t rows = op_numel(&x) / in;
    c->terms = (double)(in > out ? in : out) + (double)rows;
}

/* ---- Images -------------------------------------------------------------------------------------------------------
 */

static void pair(const op_case *c, const char *name, int64_t otherwise, int64_t *result)
{
    const op_param *param = op_find_param(c, name);
    result[0] = param ? (int64_t)param->value[0] : otherwise;
    result[1] = param ? (int64_t)param->value[1] : otherwise;
}

static void build_conv2d(const op_case *c, fa_tensor **in, op_outputs *out)
{
    int64_t s[2], p[2], d[2];
    pair(c, "stride", 1, s);
    pair(c, "padding", 0, p);
    pair(c, "dilation", 1, d);
    if (INT("same", 0))
        op_give(out, "y",
                fa_conv2d(IN("x"), IN("weight"), IN("bias"), .padding = FA_SAME, .dilation_hw = {d[0], d[1]},
                          .groups = INT("groups", 1)));
    else
        op_give(out, "y",
                fa_conv2d(IN("x"), IN("weight"), IN("bias"), .stride_hw = {s[0], s[1]}, .padding_hw = {p[0], p[1]},
                          .dilation_hw = {d[0], d[1]}, .groups = INT("groups", 1)));
}

static void build_max_pool2d(const op_case *c, fa_tensor **in, op_outputs *out)
{
    int64_t k[2], s[2], p[2], d[2];
    pair(c, "kernel", 2, k);
    pair(c, "stride", FA_KERNEL_SIZE, s);
    pair(c, "padding", 0, p);
    pair(c, "dilation", 1, d);
    if (!op_find_param(c, "stride"))
        memcpy(s, k, sizeof s);
    op_give(out, "y",
            fa_max_pool2d(IN("x"), k[0], .kernel_hw = {k[0], k[1]}, .stride_hw = {s[0], s[1]},
                          .padding_hw = {p[0], p[1]}, .dilation_hw = {d[0], d[1]}, .ceil_mode = INT("ceil_mode", 0)));
}

static void build_avg_pool2d(const op_case *c, fa_tensor **in, op_outputs *out)
{
    int64_t k[2], s[2], p[2];
    pair(c, "kernel", 2, k);
    pair(c, "stride", FA_KERNEL_SIZE, s);
    pair(c, "padding", 0, p);
    if (!op_find_param(c, "stride"))
        memcpy(s, k, sizeof s);
    op_give(out, "y",
            fa_avg_pool2d(IN("x"), k[0], .kernel_hw = {k[0], k[1]}, .stride_hw = {s[0], s[1]},
                          .padding_hw = {p[0], p[1]}, .ceil_mode = INT("ceil_mode", 0),
                          .count_include_pad = INT("count_include_pad", 1),
                          .divisor_override = INT("divisor_override", FA_NONE)));
}

static void build_batch_norm(const op_case *c, fa_tensor **in, op_outputs *out)
{
    static const char *const after[] = {"running_mean", "running_var", "num_batches_tracked"};
    op_give(out, "y",
            fa_batch_norm(IN("x"), IN("running_mean"), IN("running_var"), .weight = IN("weight"), .bias = IN("bias"),
                          .num_batches_tracked = IN("num_batches_tracked"), .training = INT("training", 1),
                          .momentum = op_number(c, "momentum", 0.1), .eps = op_number(c, "eps", 1e-5)));
    for (int i = 0; i < 3; i++)
        if (IN(after[i]))
            op_give(out, after[i], IN(after[i]));
}

static void build_dropout(const op_case *c, fa_tensor **in, op_outputs *out)
{
    fa_manual_seed((uint64_t)op_number(c, "seed", 0));
    op_give(out, "y", fa_dropout(IN("x"), .p = op_number(c, "p", 0.5), .training = INT("training", 1)));
}

static int64_t channels(op_draw *d)
{
    static const int64_t counts[] = {1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 19, 24};
    int64_t n = counts[op_choose(d, 0, 11)];
    return d->large ? 2 * n : n;
}

/* A window that fits: sizes along one side. */
static int64_t side(op_draw *d, int64_t least)
{
    int64_t n = op_choose(d, 1, d->large ? 30 : 12);
    return n < least ? least : n;
}

static void add_conv(op_case *c, op_draw *d, int64_t in_channels, int64_t *out_channels, fa_shape *shape)
{
    double k[2], s[2], p[2], dilation[2];
    int64_t groups = op_choose(d, 0, 5);
    groups = groups == 5 ? in_channels : groups == 4 && in_channels % 2 == 0 ? 2 : 1;
    int64_t per_group = channels(d);
    *out_channels = groups > 1 ? groups * (1 + per_group % 3) : per_group;
    bool usual = op_choose(d, 0, 2) == 0; /* 3x3, stride 1, padding 1: what has kernels of its own */
    int64_t n = op_batch(d), hw[2];
    for (int i = 0; i < 2; i++) {
        k[i] = usual ? 3 : (double)op_choose(d, 1, 5);
        dilation[i] = usual ? 1 : (double)op_choose(d, 1, 4) > 2 ? 2 : 1;
        s[i] = usual ? 1 : (double)op_choose(d, 1, 6) > 4 ? 7 : (double)op_choose(d, 1, 3);
        p[i] = usual ? 1 : (double)op_choose(d, 0, 3);
        hw[i] = side(d, (int64_t)(dilation[i] * (k[i] - 1) + 1 - 2 * p[i]));
    }
    *shape = FA_SHAPE(n, in_channels, hw[0], hw[1]);
    op_add_input(c, "x", *shape, op_values_for(d, OP_NORMAL));
    op_add_input(c, "weight", FA_SHAPE(*out_channels, in_channels / groups, (int64_t)k[0], (int64_t)k[1]), OP_NORMAL);
    if (op_choose(d, 0, 2) != 2)
        op_add_input(c, "bias", FA_SHAPE(*out_channels), OP_NORMAL);
    op_set_param(c, "stride", 2, s);
    op_set_param(c, "padding", 2, p);
    op_set_param(c, "dilation", 2, dilation);
    OP_SET(c, "groups", (double)groups);
    double fan = (double)(in_channels > *out_channels ? in_channels : *out_channels) * k[0] * k[1];
    double places = (double)(n * (hw[0] + 6) * (hw[1] + 6));
    c->terms = fan > places ? fan : places;
}

static void draw_conv2d(op_case *c, op_draw *d)
{
    int64_t out;
    fa_shape shape;
    add_conv(c, d, channels(d), &out, &shape);
    if (shape.size[0] == 1 && op_choose(d, 0, 3) == 3) /* without a batch dimension */
        c->input[0].shape = FA_SHAPE(shape.size[1], shape.size[2], shape.size[3]);
}

static void draw_conv2d_same(op_case *c, op_draw *d)
{
    int64_t in = channels(d), out = channels(d), n = op_batch(d), h = side(d, 1), w = side(d, 1);
    int64_t kh = op_choose(d, 1, 5), kw = op_choose(d, 1, 5);
    op_add_input(c, "x", FA_SHAPE(n, in, h, w), OP_NORMAL);
    op_add_input(c, "weight", FA_SHAPE(out, in, kh, kw), OP_NORMAL);
    op_add_input(c, "bias", FA_SHAPE(out), OP_NORMAL);
    OP_SET(c, "same", 1);
    OP_SET(c, "dilation", (double)op_choose(d, 1, 3), (double)op_choose(d, 1, 3));
    c->terms = (double)(n * h * w) + (double)((in > out ? in : out) * kh * kw);
}

static void draw_pool(op_case *c, op_draw *d, bool average)
{
    double k[2], s[2], p[2], dilation[2];
    int64_t n = op_batch(d), hw[2];
    bool usual = op_choose(d, 0, 2) == 0; /* 2x2, stride 2 */
    for (int i = 0; i < 2; i++) {
        k[i] = usual ? 2 : (double)op_choose(d, 1, 4);
        dilation[i] = usual || average ? 1 : (double)op_choose(d, 1, 4) > 3 ? 2 : 1;
        s[i] = usual ? 2 : (double)op_choose(d, 1, 6);
        int64_t reach = (int64_t)(dilation[i] * (k[i] - 1) + 1);
        p[i] = usual ? 0 : (double)op_choose(d, 0, (int64_t)k[i] / 2);
        hw[i] = side(d, reach - 2 * (int64_t)p[i]);
    }
    fa_shape shape = FA_SHAPE(n, channels(d), hw[0], hw[1]);
    if (n == 1 && op_choose(d, 0, 3) == 3)
        shape = FA_SHAPE(shape.size[1], hw[0], hw[1]);
    op_values usual_values = op_choose(d, 0, 1) ? OP_TIES : OP_NORMAL;
    op_add_input(c, "x", shape, d->smooth ? average ? OP_NORMAL : OP_DISTINCT : op_values_for(d, usual_values));
    op_set_param(c, "kernel", 2, k);
    op_set_param(c, "stride", 2, s);
    op_set_param(c, "padding", 2, p);
    if (!average)
        op_set_param(c, "dilation", 2, dilation);
    OP_SET(c, "ceil_mode", (double)op_choose(d, 0, 1));
}

static void draw_max_pool2d(op_case *c, op_draw *d)
{
    draw_pool(c, d, false);
}

static void draw_avg_pool2d(op_case *c, op_draw *d)
{
    draw_pool(c, d, true);
    OP_SET(c, "count_include_pad", (double)op_choose(d, 0, 1));
    if (op_choose(d, 0, 3) == 3)
        OP_SET(c, "divisor_override", (double)op_choose(d, 1, 9));
}

static void add_norm(op_case *c, op_draw *d, int64_t count)
{
    if (op_choose(d, 0, 3) != 3) {
        op_add_input(c, "weight", FA_SHAPE(count), OP_NORMAL);
        op_add_input(c, "bias", FA_SHAPE(count), OP_NORMAL);
    }
    if (op_choose(d, 0, 3) != 3 || !op_number(c, "training", 1)) {
        op_add_input(c, "running_mean", FA_SHAPE(count), OP_NORMAL)->grad = false;
        op_add_input(c, "running_var", FA_SHAPE(count), OP_POSITIVE)->grad = false;
    }
}

static void draw_batch_norm(op_case *c, op_draw *d)
{
    int64_t n = op_batch(d), count = channels(d), h = side(d, 1), w = side(d, 1);
    bool training = op_choose(d, 0, 2) != 2;
    if (training && n * h * w < 4) { /* of two values the gradient is nothing but rounding */
        n = n ? n : 1;
        h = 4;
    }
    op_add_input(c, "x", FA_SHAPE(n, count, h, w), OP_NORMAL);
    OP_SET(c, "training", training);
    add_norm(c, d, count);
    OP_SET(c, "momentum", op_choose(d, 0, 1) ? 0.1 : 0.3);
    c->terms = (double)(n * h * w) * 4;
}

static void draw_dropout(op_case *c, op_draw *d)
{
    static const double shares[] = {0, 0.5, 0.2, 1, 0.75};
    op_add_input(c, "x", op_any_shape(d, 0, 4, 7), OP_NORMAL);
    OP_SET(c, "p", shares[op_choose(d, 0, 4)]);
    OP_SET(c, "seed", (double)op_choose(d, 0, 1000));
    OP_SET(c, "training", op_choose(d, 0, 4) != 4);
}

/* ---- Classification -----------------------------------------------------------------------------------------------
 */

BUILD(softmax, fa_softmax(IN("x"), INT("dim", 0)))
BUILD(log_softmax, fa_log_softmax(IN("x"), INT("dim", 0)))
BUILD(cross_entropy,
      fa_cross_entropy(IN("x"), IN("target"), .weight = IN("weight"), .reduction = (fa_reduction)INT("reduction", 1),
                       .ignore_index = INT("ignore_index", -100),
                       .label_smoothing = op_number(c, "label_smoothing", 0)))
BUILD(nll_loss, fa_nll_loss(IN("x"), IN("target"), .weight = IN("weight"),
                            .reduction = (fa_reduction)INT("reduction", 1), .ignore_index = INT("ignore_index", -100)))

static void draw_softmax(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 1, 4, 8);
    op_add_input(c, "x", shape, op_values_for(d, OP_NORMAL));
    OP_SET(c, "dim", (double)op_choose(d, -shape.ndim, shape.ndim - 1));
}

static void draw_loss(op_case *c, op_draw *d)
{
    int64_t n = op_batch(d), classes = op_choose(d, 1, 20);
    fa_shape x = FA_SHAPE(n, classes), target = FA_SHAPE(n);
    if (op_choose(d, 0, 3) == 3) {
        x = FA_SHAPE(n, classes, op_size(d, 3), op_size(d, 3));
        target = FA_SHAPE(n, x.size[2], x.size[3]);
    }
    op_add_input(c, "x", x, OP_NORMAL);
    op_input *labels = op_add_input(c, "target", target, OP_CLASSES);
    labels->limit = classes;
    if (op_choose(d, 0, 2) == 2)
        op_add_input(c, "weight", FA_SHAPE(classes), OP_POSITIVE)->grad = false;
    OP_SET(c, "reduction", (double)op_choose(d, 0, 2));
}

static void draw_cross_entropy(op_case *c, op_draw *d)
{
    draw_loss(c, d);
    if (op_choose(d, 0, 3) == 3) {
        c->input[1].shape = c->input[0].shape;
        c->input[1].values = OP_SHARES;
        c->input[1].dtype = c->dtype;
    }
    if (op_choose(d, 0, 2) == 2)
        OP_SET(c, "label_smoothing", 0.1);
}

/* ---- Small networks -----------------------------------------------------------------------------------------------
 */

static fa_tensor *convolve(const op_case *c, fa_tensor **in)
{
    op_outputs out = {0};
    build_conv2d(c, in, &out);
    return out.tensor[0];
}

BUILD(conv_relu, fa_relu(convolve(c, in)))
BUILD(conv_relu_pool, fa_max_pool2d(fa_relu(convolve(c, in)), 2, .ceil_mode = INT("ceil_mode", 0)))
BUILD(conv_relu_linear, fa_linear(fa_flatten(fa_relu(convolve(c, in)), 1), IN("last"), NULL))
/* A plain operand meets a channels-last one; the sum is moved, cut and reduced. */
BUILD(conv_add_views,
      fa_sum(fa_mul(fa_slice(fa_permute(fa_add(convolve(c, in), IN("other")), 0, 2, 3, 1), 3, 0, INT("keep", 1)), 1.5),
             .dims = FA_SHAPE(1)))
BUILD(conv_twice, fa_add(fa_relu(convolve(c, in)), fa_mul(convolve(c, in), 0.5)))

static void build_conv_norm(const op_case *c, fa_tensor **in, op_outputs *out)
{
    fa_tensor *x = convolve(c, in);
    x = fa_batch_norm(x, IN("mean"), IN("var"), .weight = IN("gain"), .bias = IN("shift"),
                      .training = INT("training", 1));
    op_give(out, "y", fa_relu(x));
    op_give(out, "mean", IN("mean"));
    op_give(out, "var", IN("var"));
}

static void build_classifier(const op_case *c, fa_tensor **in, op_outputs *out)
{
    fa_tensor *hidden = fa_relu(fa_linear(IN("x"), IN("weight"), IN("bias")));
    fa_tensor *scores = fa_linear(hidden, IN("last"), NULL);
    op_give(out, "y", fa_cross_entropy(scores, IN("target"), .reduction = (fa_reduction)INT("reduction", 1)));
    op_give(out, "scores", scores);
}

static int64_t output_side(const op_case *c, const fa_shape *x, const fa_shape *weight, int i)
{
    int64_t s[2], p[2], d[2];
    pair(c, "stride", 1, s);
    pair(c, "padding", 0, p);
    pair(c, "dilation", 1, d);
    return (x->size[2 + i] + 2 * p[i] - d[i] * (weight->size[2 + i] - 1) - 1) / s[i] + 1;
}

/* A convolution; its result has shape `result`. Ordinary numbers only: a kink may decide otherwise after rounding. */
static void draw_network(op_case *c, op_draw *d, fa_shape *result)
{
    int64_t out;
    fa_shape shape;
    bool smooth = d->smooth;
    d->smooth = true;
    add_conv(c, d, channels(d), &out, &shape);
    d->smooth = smooth;
    *result = FA_SHAPE(shape.size[0], out, output_side(c, &shape, &c->input[1].shape, 0),
                       output_side(c, &shape, &c->input[1].shape, 1));
}

static void draw_conv_relu(op_case *c, op_draw *d)
{
    fa_shape y;
    draw_network(c, d, &y);
}

static void draw_conv_relu_pool(op_case *c, op_draw *d)
{
    fa_shape y;
    draw_network(c, d, &y);
    for (int i = 0; i < 2; i++) /* at least two rows and columns to pool */
        if (y.size[2 + i] < 2)
            c->input[0].shape.size[2 + i] += (int64_t)op_find_param(c, "stride")->value[i];
    OP_SET(c, "ceil_mode", (double)op_choose(d, 0, 1));
}

static void draw_conv_relu_linear(op_case *c, op_draw *d)
{
    fa_shape y;
    draw_network(c, d, &y);
    op_add_input(c, "last", FA_SHAPE(op_choose(d, 1, 11), y.size[1] * y.size[2] * y.size[3]), OP_NORMAL);
    c->terms *= (double)(y.size[1] * y.size[2] * y.size[3]);
}

static void draw_conv_add_views(op_case *c, op_draw *d)
{
    fa_shape y;
    draw_network(c, d, &y);
    bool broadcast = op_choose(d, 0, 1);
    op_add_input(c, "other", broadcast ? FA_SHAPE(y.size[1], 1, 1) : y, OP_NORMAL);
    OP_SET(c, "keep", (double)op_choose(d, 1, y.size[1]));
    c->terms *= (double)y.size[2];
}

static void draw_conv_norm(op_case *c, op_draw *d)
{
    fa_shape y;
    draw_network(c, d, &y);
    bool training = op_choose(d, 0, 2) != 2;
    if (y.size[0] * y.size[2] * y.size[3] < 8)
        training = false;
    if (training && c->inputs > 2) /* the bias: its gradient is 0 but for rounding */
        c->input[2].grad = d->smooth;
    op_add_input(c, "gain", FA_SHAPE(y.size[1]), OP_NORMAL);
    op_add_input(c, "shift", FA_SHAPE(y.size[1]), OP_NORMAL);
    op_add_input(c, "mean", FA_SHAPE(y.size[1]), OP_NORMAL)->grad = false;
    op_add_input(c, "var", FA_SHAPE(y.size[1]), OP_POSITIVE)->grad = false;
    OP_SET(c, "training", training);
    c->terms *= 100;
}

static void draw_classifier(op_case *c, op_draw *d)
{
    int64_t n = op_batch(d), in = matrix_size(d) + 1, hidden = matrix_size(d) + 1, classes = op_choose(d, 2, 12);
    op_add_input(c, "x", FA_SHAPE(n, in), OP_NORMAL);
    op_add_input(c, "weight", FA_SHAPE(hidden, in), OP_NORMAL);
    op_add_input(c, "bias", FA_SHAPE(hidden), OP_NORMAL);
    op_add_input(c, "last", FA_SHAPE(classes, hidden), OP_NORMAL);
    op_add_input(c, "target", FA_SHAPE(n), OP_CLASSES)->limit = classes;
    OP_SET(c, "reduction", (double)op_choose(d, 1, 2));
    c->terms = (double)(in * hidden);
}

/* ---- The table ----------------------------------------------------------------------------------------------------
 */

const op_kind op_kinds_core[] = {
    {"view", build_view, draw_reshape, false},
    {"reshape", build_reshape, draw_reshape, false},
    {"transposed_reshape", build_transposed_reshape, draw_transposed_reshape, false},
    {"flatten", build_flatten, draw_flatten, false},
    {"permute", build_permute, draw_permute, false},
    {"transpose", build_transpose, draw_transpose, false},
    {"squeeze", build_squeeze, NULL, false},
    {"unsqueeze", build_unsqueeze, NULL, false},
    {"expand", build_expand, draw_expand, false},
    {"select", build_select, draw_select, false},
    {"slice", build_slice, draw_slice, false},
    {"slice_of_permute", build_slice_of_permute, NULL, false},
    {"two_selects", build_two_selects, NULL, false},
    {"contiguous", build_contiguous, draw_transpose, false},
    {"sum", build_sum, draw_reduction, false},
    {"mean", build_mean, draw_reduction, false},
    {"argmax", build_argmax, draw_argmax, true},
    {"max", build_max, draw_extreme, false},
    {"matmul", build_matmul, draw_matmul, false},
    {"linear", build_linear, draw_linear, false},
    {"conv2d", build_conv2d, draw_conv2d, false},
    {"conv2d_same", build_conv2d, draw_conv2d_same, false},
    {"max_pool2d", build_max_pool2d, draw_max_pool2d, false},
    {"avg_pool2d", build_avg_pool2d, draw_avg_pool2d, false},
    {"batch_norm", build_batch_norm, draw_batch_norm, false},
    {"dropout", build_dropout, draw_dropout, false},
    {"softmax", build_softmax, draw_softmax, false},
    {"log_softmax", build_log_softmax, draw_softmax, false},
    {"cross_entropy", build_cross_entropy, draw_cross_entropy, false},
    {"nll_loss", build_nll_loss, draw_loss, false},
    {"conv_relu", build_conv_relu, draw_conv_relu, false},
    {"conv_relu_pool", build_conv_relu_pool, draw_conv_relu_pool, false},
    {"conv_relu_linear", build_conv_relu_linear, draw_conv_relu_linear, false},
    {"conv_add_views", build_conv_add_views, draw_conv_add_views, false},
    {"conv_twice", build_conv_twice, draw_conv_relu, false},
    {"conv_norm", build_conv_norm, draw_conv_norm, false},
    {"classifier", build_classifier, draw_classifier, false},
    {.name = NULL},
};
