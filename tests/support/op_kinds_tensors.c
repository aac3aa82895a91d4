/* Kinds of ops on tensors: reductions, sorting, joining, moving, indexing, padding. Names of arguments and inputs are
 * those of tests/golden/make_tensor_ops.py. */
#include "op_kinds.h"

#include <math.h>

/* ---- Reductions ---------------------------------------------------------------------------------------------------
 */

static fa_shape dims_of(const op_case *c)
{
    return op_find_param(c, "dims") ? op_shape(c, "dims") : (fa_shape){.ndim = -1};
}

static double p_of(const op_case *c)
{
    return INT("infinite", 0) ? INFINITY * INT("infinite", 0) : op_number(c, "p", 2);
}

#define OVER_DIMS .dims = dims_of(c), .keepdim = INT("keepdim", 0)
BUILD(prod, fa_prod(IN("x"), OVER_DIMS))
BUILD(amax, fa_amax(IN("x"), OVER_DIMS))
BUILD(amin, fa_amin(IN("x"), OVER_DIMS))
BUILD(logsumexp, fa_logsumexp(IN("x"), OVER_DIMS))
BUILD(var, fa_var(IN("x"), OVER_DIMS, .correction = op_number(c, "correction", 1)))
BUILD(std, fa_std(IN("x"), OVER_DIMS, .correction = op_number(c, "correction", 1)))
BUILD(norm, fa_norm(IN("x"), p_of(c), OVER_DIMS))
BUILD(max_all, fa_max(IN("x")))
BUILD(min_all, fa_min(IN("x")))
BUILD(argmin, fa_argmin(IN("x"), INT("dim", 0), .keepdim = INT("keepdim", 0)))
BUILD(argmax_all, fa_argmax(IN("x"), .keepdim = INT("keepdim", 0)))
BUILD(argmin_all, fa_argmin(IN("x"), .keepdim = INT("keepdim", 0)))
BUILD(cumsum, fa_cumsum(IN("x"), INT("dim", 0)))

/* Values and their indices. */
#define BUILD_PAIR(name, expression)                                                                                   \
    static void build_##name(const op_case *c, fa_tensor **in, op_outputs *out)                                        \
    {                                                                                                                  \
        fa_tensor *indices = NULL;                                                                                     \
        op_give(out, "y", expression);                                                                                 \
        op_give(out, "indices", indices);                                                                              \
    }
BUILD_PAIR(max_dim, fa_max(IN("x"), INT("dim", 0), &indices, .keepdim = INT("keepdim", 0)))
BUILD_PAIR(min_dim, fa_min(IN("x"), INT("dim", 0), &indices, .keepdim = INT("keepdim", 0)))
BUILD_PAIR(topk, fa_topk(IN("x"), INT("k", 1), INT("dim", -1), &indices, .largest = INT("largest", 1)))
BUILD_PAIR(sort, fa_sort(IN("x"), INT("dim", -1), &indices, .descending = INT("descending", 0)))
BUILD(argsort, fa_argsort(IN("x"), INT("dim", -1), .descending = INT("descending", 0)))

/* x and, mostly, dimensions of it. Where `some`, none of them is empty. */
static void draw_over(op_case *c, op_draw *d, op_values values, bool some)
{
    fa_shape shape = op_any_shape(d, 0, 4, 5);
    for (int i = 0; i < shape.ndim && some; i++)
        shape.size[i] += !shape.size[i];
    op_add_input(c, "x", shape, values);
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

static void draw_prod(op_case *c, op_draw *d)
{
    draw_over(c, d, op_choose(d, 0, 1) ? OP_TIES : OP_AWAY, false);
    c->input[0].values = d->smooth ? OP_AWAY : c->input[0].values;
    while (c->terms > 40) { /* products of many leave the range of float32 */
        fa_shape *shape = &c->input[0].shape;
        for (int i = 0; i < shape->ndim; i++)
            shape->size[i] = (shape->size[i] + 1) / 2;
        c->terms = (double)op_numel(shape);
    }
}

static void draw_logsumexp(op_case *c, op_draw *d)
{
    draw_over(c, d, op_values_for(d, OP_NORMAL), d->smooth);
}

static void draw_amax(op_case *c, op_draw *d)
{
    draw_over(c, d, d->smooth ? OP_DISTINCT : op_values_for(d, OP_TIES), true);
}

static void draw_var(op_case *c, op_draw *d)
{
    draw_over(c, d, op_values_for(d, OP_NORMAL), d->smooth);
    if (op_choose(d, 0, 1))
        OP_SET(c, "correction", 0);
    for (int i = 0; i < c->input[0].shape.ndim && d->smooth; i++) /* a root is steep near 0 */
        c->input[0].shape.size[i] += 3;
    c->terms *= 4;
}

static void draw_std(op_case *c, op_draw *d)
{
    draw_var(c, d);
    if (d->smooth && !c->input[0].shape.ndim)
        c->input[0].shape = FA_SHAPE(5);
}

static void draw_norm(op_case *c, op_draw *d)
{
    static const double p[] = {2, 1, 0, 3, 1.5, 0.5};
    const int64_t which = op_choose(d, 0, 7);
    draw_over(c, d, which < 6 ? OP_AWAY : d->smooth ? OP_DISTINCT : OP_TIES, which >= 6);
    if (which < 6)
        OP_SET(c, "p", p[which]);
    else
        OP_SET(c, "infinite", which == 6 ? 1 : -1);
    if (d->smooth && which == 7) /* -infinity: no sign may turn */
        c->input[0].values = OP_POSITIVE;
}

static void draw_all(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 0, 4, 5);
    for (int i = 0; i < shape.ndim; i++)
        shape.size[i] += !shape.size[i];
    op_add_input(c, "x", shape, d->smooth ? OP_DISTINCT : op_values_for(d, OP_TIES));
}

static void draw_all_keep(op_case *c, op_draw *d)
{
    draw_all(c, d);
    OP_SET(c, "keepdim", (double)op_choose(d, 0, 1));
}

/* x of at least one dimension, and one of them. */
static fa_shape draw_along(op_case *c, op_draw *d, op_values values)
{
    fa_shape shape = op_any_shape(d, 1, 4, 5);
    op_add_input(c, "x", shape, values);
    OP_SET(c, "dim", (double)op_choose(d, -shape.ndim, shape.ndim - 1));
    return shape;
}

static int64_t size_along(const op_case *c)
{
    const fa_shape *shape = &c->input[0].shape;
    return shape->size[(INT("dim", 0) + shape->ndim) % shape->ndim];
}

static void draw_cumsum(op_case *c, op_draw *d)
{
    draw_along(c, d, op_values_for(d, OP_NORMAL));
    c->terms = (double)size_along(c);
}

static void draw_extreme_dim(op_case *c, op_draw *d)
{
    draw_along(c, d, d->smooth ? OP_DISTINCT : op_values_for(d, OP_TIES));
    for (int i = 0; i < c->input[0].shape.ndim; i++)
        c->input[0].shape.size[i] += !c->input[0].shape.size[i];
    OP_SET(c, "keepdim", (double)op_choose(d, 0, 1));
}

static void draw_sort(op_case *c, op_draw *d)
{
    draw_along(c, d, d->smooth ? OP_DISTINCT : op_values_for(d, OP_TIES));
    OP_SET(c, "descending", (double)op_choose(d, 0, 1));
}

static void draw_topk(op_case *c, op_draw *d)
{
    draw_along(c, d, d->smooth ? OP_DISTINCT : op_values_for(d, OP_TIES));
    OP_SET(c, "k", (double)op_choose(d, 0, size_along(c)));
    OP_SET(c, "largest", (double)op_choose(d, 0, 1));
}

/* ---- Joining and cutting ------------------------------------------------------------------------------------------
 */

/* The case's inputs over and over, `count` of them. */
static void build_list(const op_case *c, fa_tensor **in, op_outputs *out,
                       fa_tensor *(*call)(fa_tensor_list, int, fa_where))
{
    fa_tensor *list[80];
    const int count = INT("count", c->inputs);
    for (int i = 0; i < count; i++)
        list[i] = in[i % c->inputs];
    op_give(out, "y", call((fa_tensor_list){.tensor = list, .count = count}, INT("dim", 0), FA_HERE));
}

static void build_cat(const op_case *c, fa_tensor **in, op_outputs *out)
{
    build_list(c, in, out, fa_cat_at);
}

static void build_stack(const op_case *c, fa_tensor **in, op_outputs *out)
{
    build_list(c, in, out, fa_stack_at);
}

static const char *const letters[] = {"a", "b", "c"};

static void draw_cat(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 1, 4, 4);
    const int dim = (int)op_choose(d, 0, shape.ndim - 1), n = (int)op_choose(d, 1, 3);
    for (int i = 0; i < n; i++) {
        shape.size[dim] = op_choose(d, 0, 4);
        op_add_input(c, letters[i], shape, op_values_for(d, OP_NORMAL));
    }
    OP_SET(c, "dim", dim);
    OP_SET(c, "count", (double)op_choose(d, 0, 3) == 3 ? (double)op_choose(d, 7, 70) : n);
    c->terms = 70;
}

static void draw_stack(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 0, 3, 4);
    const int n = (int)op_choose(d, 1, 3);
    for (int i = 0; i < n; i++)
        op_add_input(c, letters[i], shape, op_values_for(d, OP_NORMAL));
    OP_SET(c, "dim", (double)op_choose(d, -shape.ndim - 1, shape.ndim));
    OP_SET(c, "count", (double)op_choose(d, 0, 3) == 3 ? (double)op_choose(d, 7, 70) : n);
    c->terms = 70;
}

/* The last part is differentiated. */
static void give_parts(op_outputs *out, fa_tensor **part, int64_t count)
{
    op_give(out, "y", count ? part[count - 1] : NULL);
    op_give(out, "first", part[0]);
    op_give(out, "count", fa_tensor_of_as(FA_INT64, FA_SCALAR, (double)count));
}
#define BUILD_PARTS(name, call)                                                                                        \
    static void build_##name(const op_case *c, fa_tensor **in, op_outputs *out)                                        \
    {                                                                                                                  \
        fa_tensor *part[64] = {NULL};                                                                                  \
        give_parts(out, part, call);                                                                                   \
    }
BUILD_PARTS(chunk, fa_chunk(IN("x"), INT("chunks", 1), INT("dim", 0), part))
BUILD_PARTS(split, fa_split(IN("x"), INT("size", 1), INT("dim", 0), part))
BUILD_PARTS(unbind, fa_unbind(IN("x"), INT("dim", 0), part))

static void build_split_sizes(const op_case *c, fa_tensor **in, op_outputs *out)
{
    fa_tensor *part[8] = {NULL};
    const fa_shape sizes = op_shape(c, "sizes");
    give_parts(out, part, fa_split_sizes_at(IN("x"), sizes.ndim, sizes.size, INT("dim", 0), part, 8, FA_HERE));
}

static void draw_chunk(op_case *c, op_draw *d)
{
    draw_along(c, d, op_values_for(d, OP_NORMAL));
    OP_SET(c, "chunks", (double)op_choose(d, 1, 9));
}

static void draw_split(op_case *c, op_draw *d)
{
    draw_along(c, d, op_values_for(d, OP_NORMAL));
    OP_SET(c, "size", (double)op_choose(d, 1, 9));
}

static void draw_split_sizes(op_case *c, op_draw *d)
{
    draw_along(c, d, op_values_for(d, OP_NORMAL));
    const int64_t whole = size_along(c), first = op_choose(d, 0, whole), second = op_choose(d, 0, whole - first);
    OP_SET(c, "sizes", (double)first, (double)second, (double)(whole - first - second));
}

static void draw_unbind(op_case *c, op_draw *d)
{
    draw_along(c, d, op_values_for(d, OP_NORMAL));
    for (int i = 0; i < c->input[0].shape.ndim; i++)
        c->input[0].shape.size[i] += !c->input[0].shape.size[i];
}

/* ---- Moving -------------------------------------------------------------------------------------------------------
 */

BUILD(narrow, fa_narrow(IN("x"), INT("dim", 0), INT("start", 0), INT("length", 0)))
BUILD(squeeze_all, fa_squeeze_all(IN("x")))
BUILD(movedim, fa_movedim(IN("x"), INT("source", 0), INT("destination", 0)))
BUILD(t, fa_t(IN("x")))
BUILD(flip, fa_flip_at(IN("x"), op_shape(c, "dims"), FA_HERE))
BUILD(roll, fa_roll_at(IN("x"), op_shape(c, "shifts"), op_shape(c, "dims"), FA_HERE))
BUILD(repeat, fa_repeat_at(IN("x"), op_shape(c, "times"), FA_HERE))
BUILD(pad, fa_pad(IN("x"), op_shape(c, "pads"), .mode = (fa_pad_mode)INT("mode", 0), .value = op_number(c, "value", 0)))

static void draw_narrow(op_case *c, op_draw *d)
{
    draw_along(c, d, op_values_for(d, OP_NORMAL));
    const int64_t whole = size_along(c), start = op_choose(d, 0, whole);
    OP_SET(c, "start", (double)(op_choose(d, 0, 1) && start < whole ? start - whole : start));
    OP_SET(c, "length", (double)op_choose(d, 0, whole - start));
}

static void draw_squeeze_all(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 0, 4, 3);
    op_add_input(c, "x", shape, op_values_for(d, OP_NORMAL));
}

static void draw_movedim(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 1, 5, 4);
    op_add_input(c, "x", shape, op_values_for(d, OP_NORMAL));
    OP_SET(c, "source", (double)op_choose(d, -shape.ndim, shape.ndim - 1));
    OP_SET(c, "destination", (double)op_choose(d, -shape.ndim, shape.ndim - 1));
}

static void draw_t(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 2, 9), op_values_for(d, OP_NORMAL));
}

static void draw_flip(op_case *c, op_draw *d)
{
    draw_over(c, d, op_values_for(d, OP_NORMAL), false);
}

static void draw_roll(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 1, 4, 5);
    op_add_input(c, "x", shape, op_values_for(d, OP_NORMAL));
    const int64_t n = op_choose(d, 0, 2);
    if (n == 0) {
        OP_SET(c, "shifts", (double)op_choose(d, -9, 9));
    } else if (n == 1) {
        OP_SET(c, "shifts", (double)op_choose(d, -9, 9));
        OP_SET(c, "dims", (double)op_choose(d, -shape.ndim, shape.ndim - 1));
    } else {
        OP_SET(c, "shifts", (double)op_choose(d, -9, 9), (double)op_choose(d, -9, 9));
        OP_SET(c, "dims", (double)op_choose(d, 0, shape.ndim - 1), (double)op_choose(d, -shape.ndim, shape.ndim - 1));
    }
}

static void draw_repeat(op_case *c, op_draw *d)
{
    fa_shape shape = op_any_shape(d, 0, 3, 4);
    op_add_input(c, "x", shape, op_values_for(d, OP_NORMAL));
    double times[8];
    const int n = shape.ndim + (int)op_choose(d, 0, 2);
    for (int i = 0; i < n; i++)
        times[i] = (double)op_choose(d, 0, 3);
    op_set_param(c, "times", n, times);
    c->terms = 250;
}

static void draw_pad(op_case *c, op_draw *d)
{
    const int64_t mode = op_choose(d, 0, 3);
    const int pairs = (int)op_choose(d, 1, 3);
    fa_shape shape = {.ndim = pairs + (int)op_choose(d, mode ? 1 : 0, 2)};
    double pads[8];
    for (int i = 0; i < shape.ndim; i++)
        shape.size[i] = op_size(d, 4) + 1;
    for (int i = 0; i < pairs; i++) {
        const int64_t size = shape.size[shape.ndim - 1 - i];
        const int64_t most = mode == 1 ? size - 1 : mode == 3 ? size : size + 2;
        const int64_t before = op_choose(d, 0, most), after = op_choose(d, 0, most);
        const bool cut = op_choose(d, 0, 3) == 3; /* one end, and leaves enough to go round */
        pads[2 * i] = (double)(cut ? -(size / 2) : before);
        pads[2 * i + 1] = (double)(cut && after > size - size / 2 ? 1 : after);
    }
    op_add_input(c, "x", shape, op_values_for(d, OP_NORMAL));
    op_set_param(c, "pads", 2 * pairs, pads);
    OP_SET(c, "mode", (double)mode);
    if (!mode && op_choose(d, 0, 1))
        OP_SET(c, "value", 2.5);
    c->terms = 30;
}

/* ---- Indexing -----------------------------------------------------------------------------------------------------
 */

BUILD(gather, fa_gather(IN("x"), INT("dim", 0), IN("index")))
BUILD(index_select, fa_index_select(IN("x"), INT("dim", 0), IN("index")))
BUILD(one_hot, fa_one_hot(IN("x"), INT("num_classes", -1)))

static void build_take_rows(const op_case *c, fa_tensor **in, op_outputs *out)
{
    const fa_shape rows = op_shape(c, "rows");
    op_give(out, "y", fa_take_rows_at(IN("x"), rows.ndim, rows.size, FA_HERE));
}

static void draw_gather(op_case *c, op_draw *d)
{
    fa_shape shape = draw_along(c, d, op_values_for(d, OP_NORMAL));
    const int dim = (INT("dim", 0) + shape.ndim) % shape.ndim;
    c->input[0].shape.size[dim] += !shape.size[dim];
    const int64_t whole = c->input[0].shape.size[dim];
    for (int i = 0; i < shape.ndim; i++)
        shape.size[i] = i == dim ? op_choose(d, 0, 9) : op_choose(d, 0, shape.size[i]);
    op_add_input(c, "index", shape, OP_INDICES)->limit = whole;
    c->terms = 100;
}

static void draw_index_select(op_case *c, op_draw *d)
{
    fa_shape shape = draw_along(c, d, op_values_for(d, OP_NORMAL));
    const int dim = (INT("dim", 0) + shape.ndim) % shape.ndim;
    c->input[0].shape.size[dim] += !shape.size[dim];
    op_add_input(c, "index", FA_SHAPE(op_choose(d, 0, 12)), OP_INDICES)->limit = c->input[0].shape.size[dim];
    c->terms = 100;
}

static void draw_one_hot(op_case *c, op_draw *d)
{
    op_add_input(c, "x", op_any_shape(d, 0, 3, 5), OP_INDICES)->limit = op_choose(d, 1, 9);
    OP_SET(c, "num_classes", (double)(c->input[0].limit + op_choose(d, 0, 2)));
}

const op_kind op_kinds_tensors[] = {
    {"prod", build_prod, draw_prod, false},
    {"amax", build_amax, draw_amax, false},
    {"amin", build_amin, draw_amax, false},
    {"logsumexp", build_logsumexp, draw_logsumexp, false},
    {"var", build_var, draw_var, false},
    {"std", build_std, draw_std, false},
    {"norm", build_norm, draw_norm, false},
    {"max_all", build_max_all, draw_all, false},
    {"min_all", build_min_all, draw_all, false},
    {"max_dim", build_max_dim, draw_extreme_dim, false},
    {"min_dim", build_min_dim, draw_extreme_dim, false},
    {"argmin", build_argmin, draw_extreme_dim, true},
    {"argmax_all", build_argmax_all, draw_all_keep, true},
    {"argmin_all", build_argmin_all, draw_all_keep, true},
    {"cumsum", build_cumsum, draw_cumsum, false},
    {"sort", build_sort, draw_sort, false},
    {"argsort", build_argsort, draw_sort, true},
    {"topk", build_topk, draw_topk, false},
    {"cat", build_cat, draw_cat, false},
    {"stack", build_stack, draw_stack, false},
    {"chunk", build_chunk, draw_chunk, false},
    {"split", build_split, draw_split, false},
    {"split_sizes", build_split_sizes, draw_split_sizes, false},
    {"unbind", build_unbind, draw_unbind, false},
    {"narrow", build_narrow, draw_narrow, false},
    {"squeeze_all", build_squeeze_all, draw_squeeze_all, false},
    {"movedim", build_movedim, draw_movedim, false},
    {"t", build_t, draw_t, false},
    {"flip", build_flip, draw_flip, false},
    {"roll", build_roll, draw_roll, false},
    {"repeat", build_repeat, draw_repeat, false},
    {"gather", build_gather, draw_gather, false},
    {"index_select", build_index_select, draw_index_select, false},
    {"take_rows", build_take_rows, NULL, false},
    {"one_hot", build_one_hot, draw_one_hot, true},
    {"pad", build_pad, draw_pad, false},
    {.name = NULL},
};
