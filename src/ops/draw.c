/* Random numbers drawn into tensors: uniform_, normal_, bernoulli_ and bernoulli.
 *
 * Numbers are drawn when the call is made, in the order of memory, so that the draws of a program keep their order
 * however late values are computed; the tensor gets them as it would get the result of any op in place. */
#include "base/generator.h"
#include "ops/kernel_types.h"
#include "ops/rules.h"

#include <float.h>

/* A draw in progress: the generator is locked, and goes back to where it was if the draw comes to nothing. */
typedef struct draw {
    fa_generator *generator;
    fa_mt *mt, before;
    fa_leaf *leaf;
} draw;

/* Room for numbers of x's shape. False after an error; else it must be followed by draw_end. */
static bool draw_begin(draw *d, const fa_node *x, int dtype, fa_generator *generator)
{
    const fa_meta meta = fa_meta_of(dtype, x->meta.ndim, x->meta.shape);
    d->leaf = fa_leaf_new(&meta);
    if (!d->leaf)
        return false;
    fa_note_draw(generator);
    d->generator = fa_generator_or_default(generator);
    d->mt = fa_generator_lock(d->generator);
    d->before = *d->mt;
    return true;
}

static fa_node *draw_end(draw *d)
{
    fa_generator_unlock(d->generator);
    fa_node *node = fa_leaf_node(d->leaf);
    fa_leaf_release(d->leaf);
    return node;
}

static void draw_undo(const draw *d)
{
    *fa_generator_lock(d->generator) = d->before;
    fa_generator_unlock(d->generator);
}

/* The tensor's node, where it can be drawn into. */
static fa_node *use_target(const fa_tensor *handle, const char *what, bool floats_only)
{
    fa_node *x = fa_use(handle, what, "x");
    if (!x)
        return NULL;
    if (floats_only ? !fa_is_float(x->meta.dtype) : fa_is_storage_only(x->meta.dtype)) {
        fa_refuse(FA_DTYPE_ERROR, what, "got %s, needs float32 or float64. Hint: fa_randint draws integers",
                  fa_dtype_name(x->meta.dtype));
        return NULL;
    }
    if (x->noncontiguous) {
        fa_refuse(
            FA_VALUE_ERROR, what,
            "got a view whose elements do not lie in order, needs one whose do: numbers are drawn in the order of "
            "memory. Hint: draw into the tensor that it is a view of, or into a new one and fa_copy_ that");
        return NULL;
    }
    return x;
}

static fa_tensor *hand_over(fa_tensor *handle, fa_node *x, fa_node *value, const draw *d, fa_replace_kind kind,
                            const char *what)
{
    fa_tensor *result = fa_finish_replace(handle, x, value, kind, what);
    if (!result)
        draw_undo(d);
    return result;
}

fa_tensor *fa_uniform_inplace_at(const fa_uniform_args *args)
{
    fa_begin(args->where_);
    fa_node *x = use_target(args->x, "uniform_", true);
    if (!x)
        return NULL;
    const double range = args->to - args->from;
    if (!(args->from <= args->to) || !(range <= (x->meta.dtype == FA_DT_FLOAT32 ? (double)FLT_MAX : DBL_MAX))) {
        fa_refuse(FA_VALUE_ERROR, "uniform_",
                  "got the range %g to %g, needs from <= to, and a range that %s holds. Hint: fa_uniform_(x, -1, 1)",
                  args->from, args->to, fa_dtype_name(x->meta.dtype));
        return NULL;
    }
    draw d;
    if (!draw_begin(&d, x, x->meta.dtype, args->generator))
        return NULL;
    const int64_t n = fa_meta_numel(&x->meta);
    if (x->meta.dtype == FA_DT_FLOAT32)
        fa_mt_uniform_f32(d.mt, d.leaf->buffer->data, n, args->from, args->to);
    else
        fa_mt_uniform_f64(d.mt, d.leaf->buffer->data, n, args->from, args->to);
    return hand_over(args->x, x, draw_end(&d), &d, FA_REPLACE_UNIFORM, "uniform_");
}

fa_tensor *fa_normal_inplace_at(const fa_normal_args *args)
{
    fa_begin(args->where_);
    fa_node *x = use_target(args->x, "normal_", true);
    if (!x)
        return NULL;
    if (!(args->std >= 0)) {
        fa_refuse(FA_VALUE_ERROR, "normal_", "got std = %g, needs 0 or more. Hint: fa_normal_(x, mean, std)",
                  args->std);
        return NULL;
    }
    draw d;
    if (!draw_begin(&d, x, x->meta.dtype, args->generator))
        return NULL;
    const int64_t n = fa_meta_numel(&x->meta);
    if (x->meta.dtype == FA_DT_FLOAT32)
        fa_mt_normal_f32(d.mt, d.leaf->buffer->data, n, args->mean, args->std);
    else
        fa_mt_normal_f64(d.mt, d.leaf->buffer->data, n, args->mean, args->std);
    return hand_over(args->x, x, draw_end(&d), &d, FA_REPLACE_NORMAL, "normal_");
}

fa_tensor *fa_bernoulli_inplace_at(const fa_bernoulli_args *args)
{
    fa_begin(args->where_);
    fa_node *x = use_target(args->x, "bernoulli_", false);
    if (!x)
        return NULL;
    if (!(args->p >= 0 && args->p <= 1)) {
        fa_refuse(FA_VALUE_ERROR, "bernoulli_",
                  "got p = %g, needs a probability from 0 to 1. Hint: p is the share of 1s", args->p);
        return NULL;
    }
    draw d;
    if (!draw_begin(&d, x, FA_DT_UINT8, args->generator))
        return NULL;
    fa_mt_bernoulli(d.mt, d.leaf->buffer->data, fa_meta_numel(&x->meta), args->p);
    return hand_over(args->x, x, fa_record_cast(draw_end(&d), x->meta.dtype), &d, FA_REPLACE_BERNOULLI, "bernoulli_");
}

/* out holds uniform numbers and becomes 1 where they are below p. */
#define DECIDE(T)                                                                                                      \
    {                                                                                                                  \
        T *out = d.leaf->buffer->data;                                                                                 \
        const T *chance = probabilities;                                                                               \
        for (int64_t i = 0; i < n; i++)                                                                                \
            out[i] = out[i] < chance[i];                                                                               \
    }
#define FIND_BAD(T)                                                                                                    \
    for (int64_t i = 0; i < n && bad < 0; i++)                                                                         \
        bad = ((const T *)probabilities)[i] >= 0 && ((const T *)probabilities)[i] <= 1 ? -1 : i;

fa_tensor *fa_bernoulli_at(fa_tensor *p, fa_generator *generator, fa_where where)
{
    fa_begin(where);
    fa_node *x = fa_use(p, "bernoulli", "p");
    if (!x)
        return NULL;
    if (!fa_is_float(x->meta.dtype)) {
        fa_refuse(FA_DTYPE_ERROR, "bernoulli",
                  "got %s, needs probabilities in float32 or float64. Hint: "
                  "fa_bernoulli_(x, p) takes tensors of other types",
                  fa_dtype_name(x->meta.dtype));
        return NULL;
    }
    const void *probabilities = fa_evaluate(x) ? fa_node_bytes(x) : NULL;
    if (!probabilities)
        return NULL;
    const int64_t n = fa_meta_numel(&x->meta);
    int64_t bad = -1;
    FA_FOR_FLOATS(x->meta.dtype, FIND_BAD);
    if (bad >= 0) {
        fa_refuse(FA_VALUE_ERROR, "bernoulli",
                  "got element %lld out of range, needs probabilities from 0 to 1. Hint: fa_sigmoid or fa_clamp",
                  (long long)bad);
        return NULL;
    }
    draw d;
    if (!draw_begin(&d, x, x->meta.dtype, generator))
        return NULL;
    if (x->meta.dtype == FA_DT_FLOAT32)
        fa_mt_uniform_f32(d.mt, d.leaf->buffer->data, n, 0, 1);
    else
        fa_mt_uniform_f64(d.mt, d.leaf->buffer->data, n, 0, 1);
    FA_FOR_FLOATS(x->meta.dtype, DECIDE);
    return fa_handle(draw_end(&d));
}
