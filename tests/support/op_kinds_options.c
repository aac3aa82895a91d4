/* Kinds of ops: options of ops that other tables have plainly: results of another type, places of maxima, running
 * statistics of instance_norm, resizing with antialias and of lines. Names of arguments and inputs are those of
 * tests/golden/make_options.py. */
#include "op_kinds.h"

#include <math.h>

#define NUMBER(name, otherwise) op_number(c, name, otherwise)

/* ---- Results of another type ---------------------------------------------------------------------------------------
 */

#define AS_TYPE                                                                                                        \
    .dims = op_find_param(c, "dims") ? op_shape(c, "dims") : (fa_shape){.ndim = -1}, .keepdim = INT("keepdim", 0),     \
    .dtype = (fa_dtype)INT("dtype", FA_SAME_DTYPE)
BUILD(sum_as, fa_sum(IN("x"), AS_TYPE))
BUILD(mean_as, fa_mean(IN("x"), AS_TYPE))
BUILD(prod_as, fa_prod(IN("x"), AS_TYPE))
BUILD(cumsum_as, fa_cumsum(IN("x"), INT("dim", 0), .dtype = (fa_dtype)INT("dtype", FA_SAME_DTYPE)))
BUILD(where_mask, fa_where(IN("condition"), IN("a"), IN("b")))
BUILD(huber_mixed, fa_huber_loss(IN("x"), IN("y"), .reduction = (fa_reduction)INT("reduction", FA_REDUCE_MEAN)))

static void draw_as(op_case *c, op_draw *d)
{
    const fa_shape shape = op_any_shape(d, 1, 3, 4);
    op_add_input(c, "x", shape, d->smooth ? OP_AWAY : OP_TIES);
    c->terms = (double)op_numel(&shape);
    if (op_choose(d, 0, 1)) {
        OP_SET(c, "dims", (double)op_choose(d, 0, shape.ndim - 1));
        OP_SET(c, "keepdim", (double)op_choose(d, 0, 1));
    }
    OP_SET(c, "dtype", (double)(op_choose(d, 0, 1) ? FA_FLOAT64 : c->dtype));
}

static void draw_cumsum_as(op_case *c, op_draw *d)
{
    const fa_shape shape = op_any_shape(d, 1, 3, 4);
    op_add_input(c, "x", shape, d->smooth ? OP_AWAY : OP_TIES);
    c->terms = (double)op_numel(&shape);
    OP_SET(c, "dim", (double)op_choose(d, -shape.ndim, shape.ndim - 1));
    OP_SET(c, "dtype", (double)(op_choose(d, 0, 1) ? FA_FLOAT64 : c->dtype));
}

/* ---- Sorting, whatever it is told about order ----------------------------------------------------------------------
 */

#define BUILD_PAIR(name, expression)                                                                                   \
    static void build_##name(const op_case *c, fa_tensor **in, op_outputs *out)                                        \
    {                                                                                                                  \
        fa_tensor *indices = NULL;                                                                                     \
        op_give(out, "y", expression);                                                                                 \
        op_give(out, "indices", indices);                                                                              \
    }
BUILD_PAIR(sort_stable, fa_sort(IN("x"), INT("dim", -1), &indices, .stable = true))
BUILD(argsort_stable, fa_argsort(IN("x"), INT("dim", -1), .stable = true))
BUILD_PAIR(topk_unsorted, fa_topk(IN("x"), INT("k", 1), INT("dim", -1), &indices, .sorted = false))

/* ---- Places of maxima ----------------------------------------------------------------------------------------------
 */

static void pair(const op_case *c, const char *name, int64_t otherwise, int64_t hw[2])
{
    const op_param *param = op_find_param(c, name);
    for (int i = 0; i < 2; i++)
        hw[i] = param ? (int64_t)param->value[i] : otherwise;
}

static void build_max_pool2d_places(const op_case *c, fa_tensor **in, op_outputs *out)
{
    fa_tensor *indices = NULL;
    int64_t k[2], s[2], p[2], d[2];
    pair(c, "kernel", 1, k);
    pair(c, "stride", FA_KERNEL_SIZE, s);
    pair(c, "padding", 0, p);
    pair(c, "dilation", 1, d);
    op_give(out, "y",
            fa_max_pool2d(IN("x"), .kernel_hw = {k[0], k[1]}, .stride_hw = {s[0], s[1]}, .padding_hw = {p[0], p[1]},
                          .dilation_hw = {d[0], d[1]}, .ceil_mode = INT("ceil_mode", 0), .indices = &indices));
    op_give(out, "indices", indices);
}

static void build_adaptive_max_places(const op_case *c, fa_tensor **in, op_outputs *out)
{
    fa_tensor *indices = NULL;
    int64_t output[2];
    pair(c, "output", 1, output);
    op_give(out, "y", fa_adaptive_max_pool2d(IN("x"), .output_hw = {output[0], output[1]}, .indices = &indices));
    op_give(out, "indices", indices);
}

static void draw_places(op_case *c, op_draw *d)
{
    const fa_shape shape = FA_SHAPE(op_batch(d), op_size(d, 5), op_choose(d, 3, 9), op_choose(d, 3, 9));
    op_add_input(c, "x", shape, d->smooth ? OP_DISTINCT : op_values_for(d, OP_TIES));
    const double k = (double)op_choose(d, 1, 3);
    OP_SET(c, "kernel", k, (double)op_choose(d, 2, 3));
    OP_SET(c, "stride", (double)op_choose(d, 1, 3), (double)op_choose(d, 1, 3));
    OP_SET(c, "padding", (double)op_choose(d, 0, (int64_t)k / 2), 1);
    OP_SET(c, "ceil_mode", (double)op_choose(d, 0, 1));
}

static void draw_adaptive_places(op_case *c, op_draw *d)
{
    const fa_shape shape = FA_SHAPE(op_batch(d), op_size(d, 5), op_size(d, 9), op_size(d, 9));
    op_add_input(c, "x", shape, d->smooth ? OP_DISTINCT : op_values_for(d, OP_TIES));
    OP_SET(c, "output", (double)op_choose(d, 1, 6), (double)op_choose(d, 1, 6));
}

/* ---- Running statistics of instance_norm ---------------------------------------------------------------------------
 */

static void build_instance_norm_stats(const op_case *c, fa_tensor **in, op_outputs *out)
{
    op_give(out, "y",
            fa_instance_norm(IN("x"), .running_mean = IN("running_mean"), .running_var = IN("running_var"),
                             .weight = IN("weight"), .bias = IN("bias"), .use_input_stats = INT("use_input_stats", 1),
                             .momentum = NUMBER("momentum", 0.1), .eps = NUMBER("eps", 1e-5)));
    op_give(out, "running_mean", IN("running_mean"));
    op_give(out, "running_var", IN("running_var"));
}

static void draw_instance_norm_stats(op_case *c, op_draw *d)
{
    const int64_t channels = op_size(d, 6);
    fa_shape shape = FA_SHAPE(op_choose(d, 1, 4), channels, op_choose(d, 4, 6), op_choose(d, 1, 5));
    shape.ndim -= (int)op_choose(d, 0, 1);
    op_add_input(c, "x", shape, OP_NORMAL);
    op_add_input(c, "running_mean", FA_SHAPE(channels), OP_NORMAL)->grad = false;
    op_add_input(c, "running_var", FA_SHAPE(channels), OP_POSITIVE)->grad = false;
    if (op_choose(d, 0, 1)) {
        op_add_input(c, "weight", FA_SHAPE(channels), OP_NORMAL);
        op_add_input(c, "bias", FA_SHAPE(channels), OP_NORMAL);
    }
    OP_SET(c, "use_input_stats", (double)op_choose(d, 0, 1));
    OP_SET(c, "momentum", op_choose(d, 0, 1) ? 0.1 : 0.3);
    c->terms = 400;
}

/* ---- Resizing ------------------------------------------------------------------------------------------------------
 */

static void build_interpolate_antialias(const op_case *c, fa_tensor **in, op_outputs *out)
{
    const op_param *factor = op_find_param(c, "factor");
    int64_t size[2];
    pair(c, "size", FA_NONE, size);
    op_give(out, "y",
            fa_interpolate(IN("x"), .size_hw = {size[0], size[1]},
                           .scale_factor_hw = {factor ? factor->value[0] : NAN, factor ? factor->value[1] : NAN},
                           .mode = FA_BILINEAR, .align_corners = INT("align_corners", 0), .antialias = true));
}

BUILD(interpolate_line,
      fa_interpolate(IN("x"), INT("size", FA_NONE), NUMBER("factor", NAN), .mode = (fa_interpolate_mode)INT("mode", 0),
                     .align_corners = INT("align_corners", 0)))

/* Two things are not compared. Of a result of width 1 each row is the first one in PyTorch 2.15. A height or
 * width that a factor leaves as it is PyTorch copies, but gives the gradient of one that was resized. */
static void draw_antialias(op_case *c, op_draw *d)
{
    static const double factors[] = {1, 2, 2.25, 3};
    op_add_input(c, "x", FA_SHAPE(op_batch(d), op_size(d, 3), op_size(d, 12), 1 + op_size(d, 12)), OP_NORMAL);
    if (op_choose(d, 0, 2))
        OP_SET(c, "size", (double)op_choose(d, 1, 9), (double)op_choose(d, 2, 9));
    else
        OP_SET(c, "factor", factors[op_choose(d, 0, 3)], factors[op_choose(d, 0, 3)]);
    OP_SET(c, "align_corners", (double)op_choose(d, 0, 1));
    c->terms = 200;
}

/* Not compared: PyTorch 2.15's gradient of the nearest of a line enlarged 1.25 or 2.25 times, which is not that of its
 * result (2 and 3 elements; of images it is). */
static void draw_line(op_case *c, op_draw *d)
{
    static const double modes[] = {FA_NEAREST, FA_NEAREST_EXACT, FA_LINEAR};
    const double mode = modes[op_choose(d, 0, 2)];
    op_add_input(c, "x", FA_SHAPE(op_batch(d), op_size(d, 3), op_size(d, 9)), OP_NORMAL);
    OP_SET(c, "mode", mode);
    if (op_choose(d, 0, 1)) {
        OP_SET(c, "size", (double)op_choose(d, 1, 15));
    } else {
        const double factor = (double)op_choose(d, 4, 12) / 4;
        const bool contradicts = mode == FA_NEAREST && (factor == 1.25 || factor == 2.25);
        OP_SET(c, "factor", contradicts ? factor + 0.25 : factor);
    }
    if (mode == FA_LINEAR)
        OP_SET(c, "align_corners", (double)op_choose(d, 0, 1));
}

const op_kind op_kinds_options[] = {
    {"sum_as", build_sum_as, draw_as, false},
    {"mean_as", build_mean_as, draw_as, false},
    {"prod_as", build_prod_as, draw_as, false},
    {"cumsum_as", build_cumsum_as, draw_cumsum_as, false},
    {"where_mask", build_where_mask, NULL, false},
    {"huber_mixed", build_huber_mixed, NULL, true},
    {"sort_stable", build_sort_stable, NULL, false},
    {"argsort_stable", build_argsort_stable, NULL, true},
    {"topk_unsorted", build_topk_unsorted, NULL, false},
    {"max_pool2d_places", build_max_pool2d_places, draw_places, false},
    {"adaptive_max_places", build_adaptive_max_places, draw_adaptive_places, false},
    {"instance_norm_stats", build_instance_norm_stats, draw_instance_norm_stats, false},
    {"interpolate_antialias", build_interpolate_antialias, draw_antialias, false},
    {"interpolate_line", build_interpolate_line, draw_line, false},
    {.name = NULL},
};
