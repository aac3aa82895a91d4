/* torch.nn.init: first values of tensors, drawn exactly as PyTorch draws them. Each writes a tensor in memory
 * (parameter, buffer, leaf), outside autograd. fan_in = size 1 * the rest, fan_out = size 0 * the rest, the rest the
 * product of the sizes from 2 on. */
#include "nn/module.h"

#include "base/generator.h"

#include <math.h>
#include <string.h>

/* A tensor's memory, about to be written. */
typedef struct target {
    fa_leaf *leaf;
    void *data;
    int64_t count;
    bool single; /* float32 */
} target;

/* Weights that wait are drawn first: PyTorch drew them before. False after an error. */
static bool open_target(fa_tensor *tensor, const char *what, fa_where where, target *t)
{
    fa_begin(where);
    const fa_node *node = fa_use(tensor, what, "tensor");
    if (!node)
        return false;
    fa_leaf *leaf = fa_handle_leaf(tensor);
    if (!leaf)
        return fa_fail(
            FA_STATE_ERROR, where, what,
            "got a computed value or a view, needs a tensor in memory: a parameter, buffer or leaf. Hint: fa_normal_, "
            "fa_uniform_ and fa_fill_ write into a part of one, in fa_no_grad");
    if (leaf->meta.dtype != FA_DT_FLOAT32 && leaf->meta.dtype != FA_DT_FLOAT64)
        return fa_fail(FA_DTYPE_ERROR, where, what, "got %s, needs float32 or float64. Hint: weights are float32",
                       fa_dtype_name(leaf->meta.dtype));
    fa_init_pending();
    *t = (target){.leaf = leaf,
                  .count = fa_meta_numel(&leaf->meta),
                  .single = leaf->meta.dtype == FA_DT_FLOAT32,
                  .data = fa_leaf_data_mut(leaf, where)};
    return t->data != NULL;
}

static void set(const target *t, int64_t i, double value)
{
    if (t->single)
        ((float *)t->data)[i] = (float)value;
    else
        ((double *)t->data)[i] = value;
}

static void draw_uniform(const target *t, double low, double high, fa_generator *generator)
{
    generator = fa_generator_or_default(generator);
    fa_mt *mt = fa_generator_lock(generator);
    if (t->single)
        fa_mt_uniform_f32(mt, t->data, t->count, low, high);
    else
        fa_mt_uniform_f64(mt, t->data, t->count, low, high);
    fa_generator_unlock(generator);
}

static void draw_normal(const target *t, double mean, double std, fa_generator *generator)
{
    generator = fa_generator_or_default(generator);
    fa_mt *mt = fa_generator_lock(generator);
    if (t->single)
        fa_mt_normal_f32(mt, t->data, t->count, mean, std);
    else
        fa_mt_normal_f64(mt, t->data, t->count, mean, std);
    fa_generator_unlock(generator);
}

/* ---- Plain ones -----------------------------------------------------------------------------------------------------
 */

fa_tensor *fa_init_constant_at(fa_tensor *tensor, double value, fa_where where)
{
    target t = {0};
    if (!open_target(tensor, "init_constant_", where, &t))
        return NULL;
    fa_leaf_fill(t.leaf, value);
    return tensor;
}

fa_tensor *fa_init_uniform_at(const fa_init_uniform_args *args)
{
    target t = {0};
    if (!open_target(args->tensor, "init_uniform_", args->where_, &t))
        return NULL;
    if (!(args->a <= args->b)) {
        fa_fail(FA_VALUE_ERROR, args->where_, "init_uniform_",
                "got a = %g and b = %g, needs a <= b. Hint: a is the low "
                "bound",
                args->a, args->b);
        return NULL;
    }
    draw_uniform(&t, args->a, args->b, args->generator);
    return args->tensor;
}

fa_tensor *fa_init_normal_at(const fa_init_normal_args *args)
{
    target t = {0};
    if (!open_target(args->tensor, "init_normal_", args->where_, &t))
        return NULL;
    if (!(args->std >= 0)) {
        fa_fail(FA_VALUE_ERROR, args->where_, "init_normal_", "got std = %g, needs 0 or more. Hint: leave it out for 1",
                args->std);
        return NULL;
    }
    draw_normal(&t, args->mean, args->std, args->generator);
    return args->tensor;
}

fa_tensor *fa_init_trunc_normal_at(const fa_init_normal_args *args)
{
    static const char what[] = "init_trunc_normal_";
    target t = {0};
    if (!open_target(args->tensor, what, args->where_, &t))
        return NULL;
    if (!(args->std > 0) || !(args->a < args->b)) {
        fa_fail(
            FA_VALUE_ERROR, args->where_, what,
            "got std = %g, a = %g and b = %g, needs std above 0 and a below b. Hint: leave them out for 1, -2 and 2",
            args->std, args->a, args->b);
        return NULL;
    }
    const size_t size = t.single ? sizeof(float) : sizeof(double);
    void *scratch = fa_malloc((size_t)(t.count + 1) * size);
    if (!scratch) {
        fa_fail_memory(args->where_, (size_t)t.count * size);
        return NULL;
    }
    fa_generator *generator = fa_generator_or_default(args->generator);
    fa_mt *mt = fa_generator_lock(generator);
    if (t.single)
        fa_mt_trunc_normal_f32(mt, t.data, t.count, args->mean, args->std, args->a, args->b, scratch);
    else
        fa_mt_trunc_normal_f64(mt, t.data, t.count, args->mean, args->std, args->a, args->b, scratch);
    fa_generator_unlock(generator);
    fa_mfree(scratch);
    return args->tensor;
}

fa_tensor *fa_init_eye_at(fa_tensor *tensor, fa_where where)
{
    target t = {0};
    if (!open_target(tensor, "init_eye_", where, &t))
        return NULL;
    const fa_meta *meta = &t.leaf->meta;
    if (meta->ndim != 2) {
        fa_fail(FA_SHAPE_ERROR, where, "init_eye_",
                "got %s, needs 2 dimensions. Hint: fa_init_dirac_ is for convolutions", fa_shape_text(meta));
        return NULL;
    }
    fa_leaf_fill(t.leaf, 0);
    for (int64_t i = 0; i < meta->shape[0] && i < meta->shape[1]; i++)
        set(&t, i * meta->shape[1] + i, 1);
    return tensor;
}

fa_tensor *fa_init_dirac_at(const fa_init_dirac_args *args)
{
    static const char what[] = "init_dirac_";
    target t = {0};
    if (!open_target(args->tensor, what, args->where_, &t))
        return NULL;
    const fa_meta *meta = &t.leaf->meta;
    if (meta->ndim < 3 || meta->ndim > 5) {
        fa_fail(FA_SHAPE_ERROR, args->where_, what,
                "got %s, needs 3 to 5 dimensions: a convolution's weight. Hint: "
                "fa_init_eye_ is for matrices",
                fa_shape_text(meta));
        return NULL;
    }
    if (args->groups < 1 || meta->shape[0] % args->groups) {
        fa_fail(FA_VALUE_ERROR, args->where_, what,
                "got groups %lld for %s, needs a number that divides %lld. Hint: "
                "leave it out for 1",
                (long long)args->groups, fa_shape_text(meta), (long long)meta->shape[0]);
        return NULL;
    }
    const int64_t each = meta->shape[0] / args->groups;
    int64_t taps = 1, middle = 0;
    for (int d = 2; d < meta->ndim; d++) {
        taps *= meta->shape[d];
        middle = middle * meta->shape[d] + meta->shape[d] / 2;
    }
    fa_leaf_fill(t.leaf, 0);
    for (int64_t g = 0; g < args->groups && taps > 0; g++)
        for (int64_t i = 0; i < each && i < meta->shape[1]; i++)
            set(&t, ((g * each + i) * meta->shape[1] + i) * taps + middle, 1);
    return args->tensor;
}

/* ---- By fan
 * ---------------------------------------------------------------------------------------------------------- */

double fa_init_calculate_gain(fa_nonlinearity nonlinearity, double param)
{
    switch (nonlinearity) {
    case FA_GAIN_TANH:
        return 5.0 / 3;
    case FA_GAIN_RELU:
        return sqrt(2.0);
    case FA_GAIN_LEAKY_RELU:
        return sqrt(2.0 / (1 + param * param));
    case FA_GAIN_SELU:
        return 3.0 / 4;
    default:
        return 1;
    }
}

static bool find_fans(const target *t, const char *what, fa_where where, double *in, double *out)
{
    const fa_meta *meta = &t->leaf->meta;
    if (meta->ndim < 2)
        return fa_fail(FA_SHAPE_ERROR, where, what,
                       "got %s, needs 2 dimensions or more: a weight [out, in, ...]. Hint: a "
                       "bias has no fan; fa_init_zeros_ is usual",
                       fa_shape_text(meta));
    int64_t taps = 1;
    for (int d = 2; d < meta->ndim; d++)
        taps *= meta->shape[d];
    *in = (double)(meta->shape[1] * taps);
    *out = (double)(meta->shape[0] * taps);
    return true;
}

/* xavier: the gain over the root of the mean fan. False after an error. */
static bool xavier_std(const fa_init_gain_args *args, const char *what, target *t, double *std)
{
    double in = 0, out = 0;
    if (!open_target(args->tensor, what, args->where_, t) || !find_fans(t, what, args->where_, &in, &out))
        return false;
    *std = args->gain * sqrt(2.0 / (in + out));
    return true;
}

fa_tensor *fa_init_xavier_uniform_at(const fa_init_gain_args *args)
{
    target t = {0};
    double std = 0;
    if (!xavier_std(args, "init_xavier_uniform_", &t, &std))
        return NULL;
    const double bound = sqrt(3.0) * std;
    draw_uniform(&t, -bound, bound, args->generator);
    return args->tensor;
}

fa_tensor *fa_init_xavier_normal_at(const fa_init_gain_args *args)
{
    target t = {0};
    double std = 0;
    if (!xavier_std(args, "init_xavier_normal_", &t, &std))
        return NULL;
    draw_normal(&t, 0, std, args->generator);
    return args->tensor;
}

static bool kaiming_std(const fa_init_kaiming_args *args, const char *what, target *t, double *std)
{
    double in = 0, out = 0;
    if (!open_target(args->tensor, what, args->where_, t) || !find_fans(t, what, args->where_, &in, &out))
        return false;
    if (args->mode != FA_FAN_IN && args->mode != FA_FAN_OUT)
        return fa_fail(FA_VALUE_ERROR, args->where_, what,
                       "got mode %d, needs FA_FAN_IN or FA_FAN_OUT. Hint: leave it out "
                       "for the first",
                       (int)args->mode);
    *std = fa_init_calculate_gain(args->nonlinearity, args->a) / sqrt(args->mode == FA_FAN_IN ? in : out);
    return true;
}

fa_tensor *fa_init_kaiming_uniform_at(const fa_init_kaiming_args *args)
{
    target t = {0};
    double std = 0;
    if (!kaiming_std(args, "init_kaiming_uniform_", &t, &std))
        return NULL;
    const double bound = sqrt(3.0) * std;
    if (t.count > 0)
        draw_uniform(&t, -bound, bound, args->generator);
    return args->tensor;
}

fa_tensor *fa_init_kaiming_normal_at(const fa_init_kaiming_args *args)
{
    target t = {0};
    double std = 0;
    if (!kaiming_std(args, "init_kaiming_normal_", &t, &std))
        return NULL;
    if (t.count > 0)
        draw_normal(&t, 0, std, args->generator);
    return args->tensor;
}

/* ---- Orthogonal
 * ------------------------------------------------------------------------------------------------------ */

static double dot(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* `count` vectors of n numbers, n >= count, made orthonormal one after the other (Gram and Schmidt, twice each): the Q
 * of the QR decomposition whose R has a positive diagonal. */
static void orthonormalize(double *vectors, int64_t count, int64_t n)
{
    for (int64_t k = 0; k < count; k++) {
        double *v = vectors + k * n;
        for (int pass = 0; pass < 2; pass++)
            for (int64_t j = 0; j < k; j++) {
                const double share = dot(v, vectors + j * n, n);
                for (int64_t i = 0; i < n; i++)
                    v[i] -= share * vectors[j * n + i];
            }
        const double length = sqrt(dot(v, v, n));
        for (int64_t i = 0; i < n; i++)
            v[i] = length > 0 ? v[i] / length : 0;
    }
}

/* The tensor as a matrix [size 0, the rest] of normals, whose rows (or columns, where there are fewer) become
 * orthonormal. Column k of Q is that of the decomposition times the sign of R[k,k], as in PyTorch. */
fa_tensor *fa_init_orthogonal_at(const fa_init_gain_args *args)
{
    static const char what[] = "init_orthogonal_";
    target t = {0};
    if (!open_target(args->tensor, what, args->where_, &t))
        return NULL;
    const fa_meta *meta = &t.leaf->meta;
    if (meta->ndim < 2) {
        fa_fail(FA_SHAPE_ERROR, args->where_, what,
                "got %s, needs 2 dimensions or more. Hint: fa_init_normal_ is for "
                "vectors",
                fa_shape_text(meta));
        return NULL;
    }
    if (t.count == 0)
        return args->tensor;
    const int64_t rows = meta->shape[0], columns = t.count / rows;
    double *vectors = fa_malloc((size_t)t.count * sizeof *vectors);
    if (!vectors) {
        fa_fail_memory(args->where_, (size_t)t.count * sizeof *vectors);
        return NULL;
    }
    draw_normal(&t, 0, 1, args->generator);
    const bool by_rows = rows < columns;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++) {
            const int64_t from = r * columns + c;
            vectors[by_rows ? from : c * rows + r] =
                t.single ? (double)((const float *)t.data)[from] : ((const double *)t.data)[from];
        }
    orthonormalize(vectors, by_rows ? rows : columns, by_rows ? columns : rows);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < columns; c++)
            set(&t, r * columns + c, args->gain * vectors[by_rows ? r * columns + c : c * rows + r]);
    fa_mfree(vectors);
    return args->tensor;
}
