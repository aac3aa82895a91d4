/* Random numbers drawn into tensors: uniform_, normal_, exponential_, bernoulli_, bernoulli and multinomial.
 *
 * Numbers are drawn when the call is made, so that the draws of a program keep their order however late values are
 * computed; the tensor gets them as it would get the result of any op in place. They are drawn in the order of memory:
 * for a view whose elements do not lie in order, PyTorch's strides say which comes first, and normals are drawn one by
 * one whatever their number. */
#include "base/error.h"
#include "base/generator.h"
#include "base/memory.h"
#include "ops/kernel_types.h"
#include "ops/rules.h"

#include <float.h>
#include <math.h>
#include <string.h>

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

/* Numbers that were drawn for x; NULL after an error. */
static fa_node *draw_end(draw *d, const fa_node *x)
{
    fa_generator_unlock(d->generator);
    int64_t stride[FA_MAX_DIMS];
    fa_node_strides(x, stride);
    if (x->noncontiguous && !fa_strides_to_row_major(&d->leaf->meta, stride, d->leaf->buffer->data)) {
        fa_leaf_release(d->leaf);
        return NULL;
    }
    fa_node *node = fa_leaf_node(d->leaf);
    fa_leaf_release(d->leaf);
    return node;
}

static fa_tensor *handle_of(fa_leaf *leaf)
{
    fa_node *node = fa_leaf_node(leaf);
    fa_leaf_release(leaf);
    return fa_handle(node);
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
    return hand_over(args->x, x, draw_end(&d, x), &d, FA_REPLACE_UNIFORM, "uniform_");
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
    const int64_t n = fa_meta_numel(&x->meta), each = x->noncontiguous ? 1 : n;
    for (int64_t i = 0; i < n; i += each) {
        if (x->meta.dtype == FA_DT_FLOAT32)
            fa_mt_normal_f32(d.mt, (float *)d.leaf->buffer->data + i, each, args->mean, args->std);
        else
            fa_mt_normal_f64(d.mt, (double *)d.leaf->buffer->data + i, each, args->mean, args->std);
    }
    return hand_over(args->x, x, draw_end(&d, x), &d, FA_REPLACE_NORMAL, "normal_");
}

fa_tensor *fa_exponential_inplace_at(const fa_exponential_args *args)
{
    fa_begin(args->where_);
    fa_node *x = use_target(args->x, "exponential_", true);
    if (!x)
        return NULL;
    if (!(args->lambda > 0)) {
        fa_refuse(FA_VALUE_ERROR, "exponential_",
                  "got lambda = %g, needs a number above 0. Hint: the mean of the draws is 1 / lambda", args->lambda);
        return NULL;
    }
    draw d;
    if (!draw_begin(&d, x, x->meta.dtype, args->generator))
        return NULL;
    for (int64_t i = 0; i < fa_meta_numel(&x->meta); i++) {
        double drawn;
        fa_mt_exponential_f64(d.mt, &drawn, 1, args->lambda);
        if (x->meta.dtype == FA_DT_FLOAT32)
            ((float *)d.leaf->buffer->data)[i] = (float)drawn;
        else
            ((double *)d.leaf->buffer->data)[i] = drawn;
    }
    return hand_over(args->x, x, draw_end(&d, x), &d, FA_REPLACE_EXPONENTIAL, "exponential_");
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
    fa_node *kept = draw_end(&d, x);
    return hand_over(args->x, x, kept ? fa_record_cast(kept, x->meta.dtype) : NULL, &d, FA_REPLACE_BERNOULLI,
                     "bernoulli_");
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
    fa_generator_unlock(d.generator);
    return handle_of(d.leaf);
}

/* ---- multinomial ------------------------------------------------------------------------------------------------- */

/* One row of weights as doubles; false after an error. */
static bool read_weights(const fa_multinomial_args *args, const fa_node *x, const void *data, int64_t row, int64_t n,
                         double *weights)
{
    int64_t positive = 0;
    for (int64_t i = 0; i < n; i++) {
        weights[i] = x->meta.dtype == FA_DT_FLOAT32 ? (double)((const float *)data)[row * n + i]
                                                    : ((const double *)data)[row * n + i];
        if (!(weights[i] >= 0) || isinf(weights[i]))
            return fa_refuse(FA_VALUE_ERROR, "multinomial",
                             "got weight %g in place %lld of row %lld, needs finite numbers of 0 or more. Hint: fa_exp "
                             "or fa_softmax makes such of scores.",
                             weights[i], (long long)i, (long long)row);
        positive += weights[i] > 0;
    }
    const int64_t least = args->replacement ? 1 : args->num_samples;
    if (positive < least)
        return fa_refuse(FA_VALUE_ERROR, "multinomial",
                         "got %lld weights above 0 in row %lld, needs at least %lld. Hint: .replacement = true draws a "
                         "category more than once.",
                         (long long)positive, (long long)row, (long long)least);
    return true;
}

fa_tensor *fa_multinomial_at(const fa_multinomial_args *args)
{
    fa_begin(args->where_);
    fa_node *x = fa_use(args->x, "multinomial", "x");
    if (!x)
        return NULL;
    const int64_t k = args->num_samples;
    if (!fa_is_float(x->meta.dtype) || x->meta.ndim < 1 || x->meta.ndim > 2 || k < 1) {
        fa_refuse(FA_VALUE_ERROR, "multinomial",
                  "got %s %s and num_samples %lld, needs float32 or float64 weights, [n] or [rows, n], and 1 or more. "
                  "Hint: fa_multinomial(weights, 4)",
                  fa_dtype_name(x->meta.dtype), fa_shape_text(&x->meta), (long long)k);
        return NULL;
    }
    const int64_t rows = x->meta.ndim == 2 ? x->meta.shape[0] : 1, n = x->meta.shape[x->meta.ndim - 1];
    const void *data = fa_evaluate(x) ? fa_node_bytes(x) : NULL;
    if (!data)
        return NULL;
    const fa_meta meta =
        x->meta.ndim == 2 ? fa_meta_of(FA_DT_INT64, 2, (int64_t[]){rows, k}) : fa_meta_of(FA_DT_INT64, 1, &k);
    size_t bytes;
    double *weights =
        fa_mul_size((size_t)n, rows > 0 ? (size_t)rows * sizeof *weights : 1, &bytes) ? fa_malloc(bytes) : NULL;
    fa_choice *scratch = fa_mul_size((size_t)n, sizeof *scratch, &bytes) ? fa_malloc(bytes) : NULL;
    fa_leaf *leaf = weights && scratch ? fa_leaf_new(&meta) : NULL;
    bool fine = leaf != NULL;
    if (!weights || !scratch)
        fa_fail_memory(args->where_, bytes);
    for (int64_t row = 0; fine && row < rows; row++)
        fine = read_weights(args, x, data, row, n, weights + row * n);
    if (fine) {
        fa_generator *generator = fa_generator_or_default(args->generator);
        fa_mt *mt = fa_generator_lock(generator);
        for (int64_t row = 0; row < rows; row++)
            fa_mt_multinomial(mt, (int64_t *)leaf->buffer->data + row * k, k, weights + row * n, n,
                              x->meta.dtype == FA_DT_FLOAT32, args->replacement, scratch);
        fa_generator_unlock(generator);
    }
    fa_mfree(weights);
    fa_mfree(scratch);
    if (fine)
        return handle_of(leaf);
    fa_leaf_release(leaf);
    return NULL;
}
