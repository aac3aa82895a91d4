/* Kinds of ops: activations, transposed convolution, adaptive pools, norms, resizing, dropout2d. Names of arguments and
 * inputs are those of tests/golden/make_functions.py. */
#include "op_kinds.h"

#include <math.h>
#include <string.h>

#define NUMBER(name, otherwise) op_number(c, name, otherwise)

static void pair(const op_case *c, const char *name, int64_t otherwise, int64_t hw[2])
{
    const op_param *param = op_find_param(c, name);
    for (int i = 0; i < 2; i++)
        hw[i] = param ? (int64_t)param->value[i] : otherwise;
}

/* ---- Activations ---------------------------------------------------------------------------------------------------
 */

BUILD(relu6, fa_relu6(IN("x")))
BUILD(hardtanh, fa_hardtanh(IN("x"), NUMBER("min_val", -1), NUMBER("max_val", 1)))
BUILD(leaky_relu, fa_leaky_relu(IN("x"), NUMBER("negative_slope", 0.01)))
BUILD(prelu, fa_prelu(IN("x"), IN("weight")))
BUILD(elu, fa_elu(IN("x"), NUMBER("alpha", 1)))
BUILD(sigmoid, fa_sigmoid(IN("x")))
BUILD(tanh, fa_tanh(IN("x")))
BUILD(gelu, fa_gelu(IN("x"), .approximate = (fa_gelu_approximate)INT("approximate", 0)))
BUILD(silu, fa_silu(IN("x")))
BUILD(hardswish, fa_hardswish(IN("x")))
BUILD(hardsigmoid, fa_hardsigmoid(IN("x")))
BUILD(softplus, fa_softplus(IN("x"), NUMBER("beta", 1), NUMBER("threshold", 20)))

/* The same in place, on a tensor that is no leaf, with the value before still in use. */
static void build_in_place(const op_case *c, fa_tensor **in, op_outputs *out)
{
    fa_tensor *x = fa_mul(IN("x"), 1.5), *y = fa_mul(x, x), *same = x;
    switch (INT("which", 0)) {
    case 0:
        same = fa_relu6(x, .inplace = true);
        break;
    case 1:
        same = fa_leaky_relu(x, .inplace = true);
        break;
    case 2:
        same = fa_elu(x, .inplace = true);
        break;
    case 3:
        same = fa_silu(x, .inplace = true);
        break;
    case 4:
        same = fa_hardswish(x, .inplace = true);
        break;
    case 5:
        same = fa_hardsigmoid(x, .inplace = true);
        break;
    case 6:
        same = fa_hardtanh(x, .inplace = true);
        break;
    case 7:
        same = fa_sigmoid_(x);
        break;
    default:
        same = fa_tanh_(x);
    }
    op_give(out, "y", same == x ? fa_add(x, y) : NULL);
}

/* Numbers away from the corners of these functions, at most 3 and 6 (values of OP_AWAY) after `scale`. */
static void draw_activation(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 4, 7), op_values_for(d, OP_AWAY));
}

static void draw_softplus(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 4, 7), OP_NORMAL);
    static const double betas[] = {1, 2, 0.5};
    OP_SET(c, "beta", betas[op_choose(d, 0, 2)]);
}

static void draw_gelu(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 4, 7), OP_NORMAL);
    OP_SET(c, "approximate", (double)op_choose(d, 0, 1));
}

static void draw_hardtanh(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 4, 7), op_values_for(d, OP_AWAY));
    static const double low[] = {-1, 0, -0.3}, high[] = {1, 6, 0};
    int64_t which = op_choose(d, 0, 2);
    OP_SET(c, "min_val", low[which]);
    OP_SET(c, "max_val", high[which]);
}

static void draw_leaky_relu(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 4, 7), op_values_for(d, OP_AWAY));
    static const double slopes[] = {0.01, 0.2, 0};
    OP_SET(c, "negative_slope", slopes[op_choose(d, 0, 2)]);
}

static void draw_elu(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 4, 7), op_values_for(d, OP_AWAY));
    OP_SET(c, "alpha", (double)op_choose(d, 0, 3) / 2);
}

static void draw_prelu(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 2, 4, 7);
    op_add_input(c, "x", shape, op_values_for(d, OP_AWAY));
    op_add_input(c, "weight", FA_SHAPE(op_choose(d, 0, 1) ? shape.size[1] : 1), OP_NORMAL);
    c->terms = (double)op_numel(&shape);
}

static void draw_in_place(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 4, 7), OP_AWAY);
    OP_SET(c, "which", (double)op_choose(d, 0, 8));
}

/* ---- Images --------------------------------------------------------------------------------------------------------
 */

static void build_conv_transpose2d(const op_case *c, fa_tensor **in, op_outputs *out)
{
    int64_t s[2], p[2], more[2], d[2];
    pair(c, "stride", 1, s);
    pair(c, "padding", 0, p);
    pair(c, "output_padding", 0, more);
    pair(c, "dilation", 1, d);
    op_give(out, "y",
            fa_conv_transpose2d(IN("x"), IN("weight"), IN("bias"), .stride_hw = {s[0], s[1]},
                                .padding_hw = {p[0], p[1]}, .output_padding_hw = {more[0], more[1]},
                                .dilation_hw = {d[0], d[1]}, .groups = INT("groups", 1)));
}

static void adaptive_output(const op_case *c, int64_t output[2])
{
    pair(c, "output", 1, output);
    for (int i = 0; i < 2; i++)
        output[i] = output[i] < 0 ? FA_NONE : output[i];
}

static void build_adaptive_avg_pool2d(const op_case *c, fa_tensor **in, op_outputs *out)
{
    int64_t output[2];
    adaptive_output(c, output);
    op_give(out, "y", fa_adaptive_avg_pool2d(IN("x"), .output_hw = {output[0], output[1]}));
}

static void build_adaptive_max_pool2d(const op_case *c, fa_tensor **in, op_outputs *out)
{
    int64_t output[2];
    adaptive_output(c, output);
    op_give(out, "y", fa_adaptive_max_pool2d(IN("x"), .output_hw = {output[0], output[1]}));
}

static void build_interpolate(const op_case *c, fa_tensor **in, op_outputs *out)
{
    const op_param *factor = op_find_param(c, "factor");
    int64_t size_hw[2];
    pair(c, "size", FA_NONE, size_hw);
    op_give(out, "y",
            fa_interpolate(IN("x"), .size_hw = {size_hw[0], size_hw[1]},
                           .scale_factor_hw = {factor ? factor->value[0] : NAN, factor ? factor->value[1] : NAN},
                           .mode = (fa_interpolate_mode)INT("mode", 0), .align_corners = INT("align_corners", 0),
                           .recompute_scale_factor = INT("recompute", 0)));
}

static void build_dropout2d(const op_case *c, fa_tensor **in, op_outputs *out)
{
    fa_manual_seed((uint64_t)NUMBER("seed", 0));
    op_give(out, "y", fa_dropout2d(IN("x"), .p = NUMBER("p", 0.5), .training = INT("training", 1)));
}

static void draw_conv_transpose2d(op_case *c, op_draw *d)
{
    double k[2], s[2], p[2], more[2], dilation[2];
    int64_t n = op_batch(d), groups = op_choose(d, 0, 3) == 3 ? 2 : 1;
    int64_t in = groups * op_choose(d, 1, d->large ? 24 : 9), per_group = op_choose(d, 1, d->large ? 24 : 9), hw[2];
    for (int i = 0; i < 2; i++) {
        k[i] = (double)op_choose(d, 1, 4);
        s[i] = (double)op_choose(d, 1, 3);
        dilation[i] = (double)op_choose(d, 1, 2);
        hw[i] = op_choose(d, 1, d->large ? 15 : 6);
        more[i] = (double)op_choose(d, 0, (int64_t)fmax(s[i], dilation[i]) - 1);
        double room = ((double)hw[i] - 1) * s[i] + dilation[i] * (k[i] - 1) + more[i];
        p[i] = (double)op_choose(d, 0, (int64_t)fmin(2, floor(room / 2)));
    }
    op_add_input(c, "x", FA_SHAPE(n, in, hw[0], hw[1]), OP_NORMAL);
    op_add_input(c, "weight", FA_SHAPE(in, per_group, (int64_t)k[0], (int64_t)k[1]), OP_NORMAL);
    if (op_choose(d, 0, 2) != 2)
        op_add_input(c, "bias", FA_SHAPE(per_group * groups), OP_NORMAL);
    op_set_param(c, "stride", 2, s);
    op_set_param(c, "padding", 2, p);
    op_set_param(c, "output_padding", 2, more);
    op_set_param(c, "dilation", 2, dilation);
    OP_SET(c, "groups", (double)groups);
    c->terms = (double)(in + per_group * groups) * k[0] * k[1] + (double)(n * hw[0] * hw[1]) * s[0] * s[1];
}

static void draw_adaptive(op_case *c, op_draw *d)
{
    fa_shape shape = FA_SHAPE(op_batch(d), op_size(d, 20), op_size(d, 9), op_size(d, 9));
    bool average = !strcmp(c->kind->name, "adaptive_avg_pool2d");
    op_add_input(c, "x", shape, d->smooth ? average ? OP_NORMAL : OP_DISTINCT : op_values_for(d, OP_TIES));
    OP_SET(c, "output", (double)op_choose(d, 1, 6), (double)op_choose(d, 1, 6));
    c->terms = (double)(shape.size[2] * shape.size[3]);
}

static void draw_interpolate(op_case *c, op_draw *d)
{
    op_add_input(c, "x", FA_SHAPE(op_batch(d), op_size(d, 5), op_size(d, 6), op_size(d, 6)), OP_NORMAL);
    int64_t mode = op_choose(d, 0, 2);
    OP_SET(c, "mode", (double)mode);
    if (op_choose(d, 0, 1))
        OP_SET(c, "size", (double)op_choose(d, 1, 15), (double)op_choose(d, 1, 15));
    else
        OP_SET(c, "factor", (double)op_choose(d, 4, 12) / 4, (double)op_choose(d, 4, 12) / 4);
    if (mode == FA_BILINEAR)
        OP_SET(c, "align_corners", (double)op_choose(d, 0, 1));
}

static void draw_dropout2d(op_case *c, op_draw *d)
{
    static const double shares[] = {0, 0.5, 0.2, 1, 0.75};
    op_add_input(c, "x", op_any_shape(d, 2, 4, 7), OP_NORMAL);
    OP_SET(c, "p", shares[op_choose(d, 0, 4)]);
    OP_SET(c, "seed", (double)op_choose(d, 0, 1000));
    OP_SET(c, "training", op_choose(d, 0, 4) != 4);
}

/* ---- Norms ---------------------------------------------------------------------------------------------------------
 */

BUILD(layer_norm, fa_layer_norm(IN("x"), op_shape(c, "shape"), IN("weight"), IN("bias"), .eps = NUMBER("eps", 1e-5)))
BUILD(group_norm, fa_group_norm(IN("x"), INT("groups", 1), IN("weight"), IN("bias"), .eps = NUMBER("eps", 1e-5)))
BUILD(instance_norm, fa_instance_norm(IN("x"), .weight = IN("weight"), .bias = IN("bias"), .eps = NUMBER("eps", 1e-5)))

static void build_batch_norm_flat(const op_case *c, fa_tensor **in, op_outputs *out)
{
    op_give(out, "y",
            fa_batch_norm(IN("x"), IN("running_mean"), IN("running_var"), .weight = IN("weight"), .bias = IN("bias"),
                          .training = INT("training", 1)));
    if (IN("running_mean")) {
        op_give(out, "running_mean", IN("running_mean"));
        op_give(out, "running_var", IN("running_var"));
    }
}

static void add_affine(op_case *c, op_draw *d, fa_shape shape)
{
    int64_t which = op_choose(d, 0, 3);
    if (which != 3)
        op_add_input(c, "weight", shape, OP_NORMAL);
    if (which < 2)
        op_add_input(c, "bias", shape, OP_NORMAL);
}

static void draw_layer_norm(op_case *c, op_draw *d)
{
    fa_shape shape = FA_SHAPE(op_batch(d), op_size(d, 4), op_size(d, 4), op_size(d, 6) + 3), inner = {0};
    int outer = (int)op_choose(d, 1, 3);
    double sizes[8];
    for (int i = outer; i < 4; i++) {
        sizes[inner.ndim] = (double)shape.size[i];
        inner.size[inner.ndim++] = shape.size[i];
    }
    op_add_input(c, "x", shape, OP_NORMAL);
    op_set_param(c, "shape", inner.ndim, sizes);
    add_affine(c, d, inner);
    c->terms = (double)op_numel(&shape) * 4;
}

static void draw_group_norm(op_case *c, op_draw *d)
{
    int64_t groups = op_choose(d, 1, 4), channels = groups * op_choose(d, 1, 4);
    fa_shape shape = FA_SHAPE(op_batch(d), channels, op_size(d, 4) + 3, op_size(d, 4));
    op_add_input(c, "x", shape, OP_NORMAL);
    OP_SET(c, "groups", (double)groups);
    add_affine(c, d, FA_SHAPE(channels));
    c->terms = (double)op_numel(&shape) * 4;
}

static void draw_batch_norm_flat(op_case *c, op_draw *d)
{
    int64_t channels = op_size(d, 9);
    fa_shape shape = FA_SHAPE(op_size(d, 4) + 7, channels, op_size(d, 5));
    shape.ndim = (int)op_choose(d, 2, 3);
    op_add_input(c, "x", shape, OP_NORMAL);
    OP_SET(c, "training", (double)op_choose(d, 0, 1));
    if (op_choose(d, 0, 2) != 2) {
        op_add_input(c, "weight", FA_SHAPE(channels), OP_NORMAL);
        op_add_input(c, "bias", FA_SHAPE(channels), OP_NORMAL);
    }
    op_add_input(c, "running_mean", FA_SHAPE(channels), OP_NORMAL)->grad = false;
    op_add_input(c, "running_var", FA_SHAPE(channels), OP_POSITIVE)->grad = false;
    c->terms = (double)op_numel(&shape) * 4;
}

/* ---- Small networks: channels-last values meet ops of all layouts
 * ---------------------------------------------------- */

static fa_tensor *convolve(const op_case *c, fa_tensor **in)
{
    return fa_conv2d(IN("x"), IN("weight"), IN("bias"), .padding = 1);
}

static void build_conv_silu_pool(const op_case *c, fa_tensor **in, op_outputs *out)
{
    int64_t output[2];
    adaptive_output(c, output);
    op_give(out, "y", fa_adaptive_avg_pool2d(fa_silu(convolve(c, in)), .output_hw = {output[0], output[1]}));
}

BUILD(conv_decode, fa_conv_transpose2d(fa_tanh(convolve(c, in)), IN("back"), IN("shift"), .stride = 2))
BUILD(conv_prelu_group, fa_group_norm(fa_prelu(convolve(c, in), IN("slope")), 2, IN("gain"), NULL))
BUILD(conv_resize, fa_interpolate(fa_gelu(convolve(c, in)), .scale_factor = 2, .mode = FA_BILINEAR))

static void draw_network(op_case *c, op_draw *d)
{
    int64_t n = op_batch(d), in = op_choose(d, 1, 9), out = 2 * op_choose(d, 1, 9), h = op_size(d, 7) + 1,
            w = op_size(d, 7) + 1;
    op_add_input(c, "x", FA_SHAPE(n, in, h, w), OP_NORMAL);
    op_add_input(c, "weight", FA_SHAPE(out, in, 3, 3), OP_NORMAL);
    op_add_input(c, "bias", FA_SHAPE(out), OP_NORMAL);
    if (!strcmp(c->kind->name, "conv_decode")) {
        int64_t last = op_choose(d, 1, 9);
        op_add_input(c, "back", FA_SHAPE(out, last, 2, 2), OP_NORMAL);
        op_add_input(c, "shift", FA_SHAPE(last), OP_NORMAL);
    }
    if (!strcmp(c->kind->name, "conv_prelu_group")) {
        op_add_input(c, "slope", FA_SHAPE(out), OP_POSITIVE);
        op_add_input(c, "gain", FA_SHAPE(out), OP_NORMAL);
    }
    OP_SET(c, "output", (double)op_choose(d, 1, 3), (double)op_choose(d, 1, 3));
    c->terms = (double)(n * h * w * 40 + in * out * 36) * 20;
}

const op_kind op_kinds_functions[] = {
    {"relu6", build_relu6, draw_activation, false},
    {"hardtanh", build_hardtanh, draw_hardtanh, false},
    {"leaky_relu", build_leaky_relu, draw_leaky_relu, false},
    {"prelu", build_prelu, draw_prelu, false},
    {"elu", build_elu, draw_elu, false},
    {"sigmoid", build_sigmoid, draw_activation, false},
    {"tanh", build_tanh, draw_activation, false},
    {"gelu", build_gelu, draw_gelu, false},
    {"silu", build_silu, draw_activation, false},
    {"hardswish", build_hardswish, draw_activation, false},
    {"hardsigmoid", build_hardsigmoid, draw_activation, false},
    {"softplus", build_softplus, draw_softplus, false},
    {"activation_in_place", build_in_place, draw_in_place, false},
    {"conv_transpose2d", build_conv_transpose2d, draw_conv_transpose2d, false},
    {"adaptive_avg_pool2d", build_adaptive_avg_pool2d, draw_adaptive, false},
    {"adaptive_max_pool2d", build_adaptive_max_pool2d, draw_adaptive, false},
    {"layer_norm", build_layer_norm, draw_layer_norm, false},
    {"group_norm", build_group_norm, draw_group_norm, false},
    {"instance_norm", build_instance_norm, draw_group_norm, false},
    {"batch_norm_flat", build_batch_norm_flat, draw_batch_norm_flat, false},
    {"dropout2d", build_dropout2d, draw_dropout2d, false},
    {"interpolate", build_interpolate, draw_interpolate, false},
    {"conv_silu_pool", build_conv_silu_pool, draw_network, false},
    {"conv_decode", build_conv_decode, draw_network, false},
    {"conv_prelu_group", build_conv_prelu_group, draw_network, false},
    {"conv_resize", build_conv_resize, draw_network, false},
    {.name = NULL},
};
