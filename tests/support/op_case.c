/* Cases of ops: drawing, describing, running and comparing them. The kinds themselves are in op_kinds*.c. */
#include "op_case.h"

#include "base/half.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Random numbers of the tests' own (splitmix64) ----------------------------------------------------------------
 */

uint64_t op_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double uniform(uint64_t *state)
{
    return (double)(op_random(state) >> 11) * 0x1p-53;
}

double op_random_normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(1 - uniform(state)));
    return radius * cos(6.283185307179586 * uniform(state));
}

/* ---- Elements -----------------------------------------------------------------------------------------------------
 */

int64_t op_numel(const fa_shape *shape)
{
    int64_t n = 1;
    for (int d = 0; d < shape->ndim; d++)
        n *= shape->size[d];
    return n;
}

size_t op_dtype_size(fa_dtype dtype)
{
    static const size_t size[] = {4, 8, 8, 4, 1, 1, 2, 2};
    return size[dtype];
}

static bool floating(fa_dtype dtype)
{
    return dtype == FA_FLOAT32 || dtype == FA_FLOAT64;
}

double op_element(fa_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case FA_FLOAT32:
        return (double)((const float *)data)[i];
    case FA_FLOAT64:
        return ((const double *)data)[i];
    case FA_INT64:
        return (double)((const int64_t *)data)[i];
    case FA_INT32:
        return ((const int32_t *)data)[i];
    case FA_BFLOAT16:
        return (double)fa_bfloat16_to_float(((const uint16_t *)data)[i]);
    case FA_FLOAT16:
        return (double)fa_float16_to_float(((const uint16_t *)data)[i]);
    default:
        return ((const uint8_t *)data)[i];
    }
}

void op_set_element(fa_dtype dtype, void *data, int64_t i, double value)
{
    switch (dtype) {
    case FA_FLOAT32:
        ((float *)data)[i] = (float)value;
        break;
    case FA_FLOAT64:
        ((double *)data)[i] = value;
        break;
    case FA_INT64:
        ((int64_t *)data)[i] = (int64_t)value;
        break;
    case FA_INT32:
        ((int32_t *)data)[i] = (int32_t)value;
        break;
    default:
        ((uint8_t *)data)[i] = (uint8_t)value;
    }
}

/* ---- Making cases -------------------------------------------------------------------------------------------------
 */

const op_kind *op_kind_find(const char *name)
{
    const op_kind *kind;
    for (int i = 0; (kind = op_kind_at(i)) != NULL; i++)
        if (!strcmp(kind->name, name))
            return kind;
    return NULL;
}

const op_kind *op_kind_at(int i)
{
    static const op_kind *const tables[] = {
#define OP_KINDS(table) op_kinds_##table,
#include "support/op_kinds.def"
#undef OP_KINDS
    };
    for (size_t t = 0; t < sizeof tables / sizeof *tables; t++)
        for (const op_kind *kind = tables[t]; kind->name; kind++)
            if (i-- == 0)
                return kind;
    return NULL;
}

int64_t op_choose(op_draw *d, int64_t low, int64_t high)
{
    if (d->used >= OP_CHOICES)
        return low;
    int i = d->used++;
    d->low[i] = low;
    if (i >= d->replay)
        d->choice[i] = low + (int64_t)(op_random(&d->state) % (uint64_t)(high - low + 1));
    if (d->choice[i] < low)
        d->choice[i] = low;
    if (d->choice[i] > high)
        d->choice[i] = high;
    return d->choice[i];
}

op_input *op_add_input(op_case *c, const char *name, fa_shape shape, op_values values)
{
    op_input *input = &c->input[c->inputs++];
    *input = (op_input){.name = name, .shape = shape, .values = values};
    input->dtype = values == OP_CLASSES || values == OP_INDICES ? FA_INT64 : values == OP_MASK ? FA_BOOL : c->dtype;
    input->grad = input->dtype == c->dtype && values != OP_SHARES;
    return input;
}

void op_set_param(op_case *c, const char *name, int count, const double *value)
{
    op_param *param = &c->param[c->params++];
    *param = (op_param){.name = name, .count = count};
    memcpy(param->value, value, (size_t)count * sizeof *value);
}

static void fill_shares(op_input *input)
{
    int64_t n = input->shape.size[0], classes = input->shape.size[1], inner = 1;
    for (int d = 2; d < input->shape.ndim; d++)
        inner *= input->shape.size[d];
    for (int64_t i = 0; i < n * inner; i++) {
        int64_t start = i / inner * classes * inner + i % inner;
        double sum = 0;
        for (int64_t k = 0; k < classes; k++)
            sum += op_element(input->dtype, input->data, start + k * inner);
        for (int64_t k = 0; k < classes; k++)
            op_set_element(input->dtype, input->data, start + k * inner,
                           op_element(input->dtype, input->data, start + k * inner) / sum);
    }
}

static void fill(op_input *input, uint64_t seed)
{
    static const double special[] = {NAN, INFINITY, -INFINITY, 0, -0.0};
    int64_t n = op_numel(&input->shape);
    uint64_t state = seed;
    input->data = malloc((size_t)(n ? n : 1) * 8);
    for (int64_t i = 0; i < n; i++) {
        double v = op_random_normal(&state);
        switch (input->values) {
        case OP_POSITIVE:
        case OP_SHARES:
            v = fabs(v) + 0.2;
            break;
        case OP_AWAY:
            v += v < 0 ? -0.05 : 0.05;
            break;
        case OP_DISTINCT:
            v = 0.01 * (double)(i - n / 2);
            break;
        case OP_TIES:
            v = round(v * 1.5);
            break;
        case OP_CLASSES:
            v = op_random(&state) % 8 ? (double)(op_random(&state) % (uint64_t)input->limit) : -100;
            break;
        case OP_MASK:
            v = (double)(op_random(&state) % 2);
            break;
        case OP_INDICES:
            v = (double)(op_random(&state) % (uint64_t)input->limit);
            break;
        case OP_SPECIAL:
            if (op_random(&state) % 7 == 0)
                v = special[op_random(&state) % 5];
            break;
        case OP_NORMAL:
            break;
        }
        op_set_element(input->dtype, input->data, i, v);
    }
    if (input->values == OP_DISTINCT)
        for (int64_t i = n - 1; i > 0; i--) {
            int64_t j = (int64_t)(op_random(&state) % (uint64_t)(i + 1));
            double a = op_element(input->dtype, input->data, i), b = op_element(input->dtype, input->data, j);
            op_set_element(input->dtype, input->data, i, b);
            op_set_element(input->dtype, input->data, j, a);
        }
    if (input->values == OP_SHARES)
        fill_shares(input);
}

void op_case_draw(op_case *c, const op_kind *kind, fa_dtype dtype, uint64_t seed, op_draw *d)
{
    *c = (op_case){.kind = kind, .dtype = dtype, .seed = seed, .terms = 1};
    d->used = 0;
    kind->draw(c, d);
    for (int i = 0; i < c->inputs; i++)
        fill(&c->input[i], seed * 64 + (uint64_t)i);
}

void op_case_free(op_case *c)
{
    for (int i = 0; i < c->inputs; i++)
        free(c->input[i].data);
    c->inputs = 0;
}

void op_case_text(const op_case *c, char *text, size_t size)
{
    static const char *const dtype[] = {"float32", "float64", "int64", "int32", "uint8", "bool", "bfloat16", "float16"};
    static const char *const values[] = {"",         " positive", " away",    " distinct", " ties",
                                         " classes", " shares",   " indices", " special",  " mask"};
    size_t used = (size_t)snprintf(text, size, "%s", c->kind->name);
#define APPEND(...) (used += used < size ? (size_t)snprintf(text + used, size - used, __VA_ARGS__) : 0)
    for (int i = 0; i < c->inputs; i++) {
        APPEND(" %s(", c->input[i].name);
        for (int d = 0; d < c->input[i].shape.ndim; d++)
            APPEND(d ? ",%lld" : "%lld", (long long)c->input[i].shape.size[d]);
        APPEND(" %s%s)", dtype[c->input[i].dtype], values[c->input[i].values]);
    }
    for (int i = 0; i < c->params; i++) {
        APPEND(" %s=", c->param[i].name);
        for (int k = 0; k < c->param[i].count; k++)
            APPEND(k ? ",%g" : "%g", c->param[i].value[k]);
    }
#undef APPEND
}

const op_param *op_find_param(const op_case *c, const char *name)
{
    for (int i = 0; i < c->params; i++)
        if (!strcmp(c->param[i].name, name))
            return &c->param[i];
    return NULL;
}

double op_number(const op_case *c, const char *name, double otherwise)
{
    const op_param *param = op_find_param(c, name);
    return param ? param->value[0] : otherwise;
}

fa_shape op_shape(const op_case *c, const char *name)
{
    const op_param *param = op_find_param(c, name);
    fa_shape shape = {0};
    for (int i = 0; param && i < param->count; i++)
        shape.size[shape.ndim++] = (int64_t)param->value[i];
    return shape;
}

fa_tensor *op_in(const op_case *c, fa_tensor **in, const char *name)
{
    for (int i = 0; i < c->inputs; i++)
        if (!strcmp(c->input[i].name, name))
            return in[i];
    return NULL;
}

/* ---- Running ------------------------------------------------------------------------------------------------------
 */

static bool keep(op_result *result, const char *prefix, const char *name, fa_tensor *tensor)
{
    op_value *value = &result->value[result->count];
    const void *data = fa_data(tensor);
    if (!data)
        return false;
    snprintf(value->name, sizeof value->name, "%s%s", prefix, name);
    value->dtype = fa_dtype_of(tensor);
    value->shape = fa_shape_of(tensor);
    value->numel = fa_numel(tensor);
    size_t bytes = (size_t)value->numel * op_dtype_size(value->dtype);
    value->data = malloc(bytes + 1);
    memcpy(value->data, data, bytes);
    result->count++;
    return true;
}

static fa_tensor *incoming(const op_case *c, fa_tensor *y, const double *gradient)
{
    int64_t n = fa_numel(y);
    fa_dtype dtype = fa_dtype_of(y);
    void *data = malloc((size_t)(n + 1) * 8);
    uint64_t state = c->seed + 77;
    for (int64_t i = 0; i < n; i++)
        op_set_element(dtype, data, i, gradient ? gradient[i] : op_random_normal(&state));
    fa_tensor *result = fa_from_memory(data, dtype, fa_shape_of(y));
    free(data);
    return result;
}

static bool run_inside(const op_case *c, bool backward, const double *gradient, op_result *result)
{
    fa_tensor *in[OP_INPUTS] = {0};
    for (int i = 0; i < c->inputs; i++) {
        in[i] = fa_from_memory(c->input[i].data, c->input[i].dtype, c->input[i].shape);
        if (c->input[i].grad && floating(c->input[i].dtype))
            fa_set_requires_grad_at(in[i], true, FA_HERE);
    }
    op_outputs out = {0};
    c->kind->build(c, in, &out);
    if (!fa_ok())
        return false;
    result->contiguous = fa_is_contiguous(out.tensor[0]);
    if (backward && fa_requires_grad(out.tensor[0]) &&
        !fa_backward(out.tensor[0], .gradient = incoming(c, out.tensor[0], gradient)))
        return false;
    for (int i = 0; i < out.count; i++)
        if (!keep(result, "", out.name[i], out.tensor[i]))
            return false;
    for (int i = 0; backward && i < c->inputs; i++) {
        fa_tensor *grad = fa_grad(in[i]);
        if (grad && !keep(result, "grad_", c->input[i].name, grad))
            return false;
    }
    return fa_ok();
}

static bool finish(bool good, op_result *result)
{
    if (fa_ok() && good)
        return true;
    snprintf(result->error, sizeof result->error, "%s", fa_ok() ? "no value and no error" : fa_error());
    fa_clear_error();
    return false;
}

bool op_case_run(const op_case *c, bool backward, const double *gradient, op_result *result)
{
    bool good = false;
    *result = (op_result){0};
    fa_scope {
        good = run_inside(c, backward, gradient, result);
    }
    return finish(good, result);
}

static fa_tensor *drawn_like(fa_tensor *x, uint64_t state)
{
    int64_t n = fa_numel(x);
    void *data = malloc((size_t)(n + 1) * 8);
    for (int64_t i = 0; i < n; i++)
        op_set_element(fa_dtype_of(x), data, i, op_random_normal(&state));
    fa_tensor *result = fa_from_memory(data, fa_dtype_of(x), fa_shape_of(x));
    free(data);
    return result;
}

static bool twice_inside(const op_case *c, bool second, op_result *result)
{
    fa_tensor *in[OP_INPUTS] = {0}, *leaf[OP_INPUTS], *first[OP_INPUTS], *other[OP_INPUTS];
    const char *name[OP_INPUTS];
    int64_t leaves = 0;
    for (int i = 0; i < c->inputs; i++) {
        in[i] = fa_from_memory(c->input[i].data, c->input[i].dtype, c->input[i].shape);
        if (!c->input[i].grad || !floating(c->input[i].dtype))
            continue;
        name[leaves] = c->input[i].name;
        leaf[leaves++] = fa_set_requires_grad_at(in[i], true, FA_HERE);
    }
    op_outputs out = {0};
    c->kind->build(c, in, &out);
    fa_tensor *y = out.tensor[0];
    if (!fa_ok() || !fa_requires_grad(y))
        return fa_ok();
    fa_tensor *w = drawn_like(y, c->seed + 77), *loss = fa_mul(fa_sum(fa_mul(w, fa_mul(y, y))), 0.5), *sum = NULL;
    const fa_tensor_list inputs = {leaf, NULL, leaves};
    if (!keep(result, "", "weights", w) ||
        !fa_autograd_grad(FA_TENSORS(loss), inputs, first, .create_graph = second, .allow_unused = true))
        return false;
    for (int64_t i = 0; i < leaves; i++) {
        if (!first[i])
            continue;
        fa_tensor *v = drawn_like(leaf[i], c->seed + 131 * (uint64_t)(i + 1)), *term = fa_sum(fa_mul(v, first[i]));
        if (!keep(result, "first_", name[i], first[i]) || !keep(result, "direction_", name[i], v))
            return false;
        sum = !sum ? term : fa_add(sum, term);
    }
    if (!second || !sum || !fa_requires_grad(sum)) /* constant: all second derivatives are 0 */
        return fa_ok();
    if (!fa_autograd_grad(FA_TENSORS(sum), inputs, other, .allow_unused = true))
        return false;
    for (int64_t i = 0; i < leaves; i++)
        if (other[i] && !keep(result, "second_", name[i], other[i]))
            return false;
    return fa_ok();
}

bool op_case_twice(const op_case *c, bool second, op_result *result)
{
    bool good = false;
    *result = (op_result){0};
    fa_scope {
        good = twice_inside(c, second, result);
    }
    return finish(good, result);
}

void op_result_free(op_result *result)
{
    for (int i = 0; i < result->count; i++)
        free(result->value[i].data);
    result->count = 0;
}

const op_value *op_result_find(const op_result *result, const char *name)
{
    for (int i = 0; i < result->count; i++)
        if (!strcmp(result->value[i].name, name))
            return &result->value[i];
    return NULL;
}

/* ---- Comparing ----------------------------------------------------------------------------------------------------
 */

double op_tolerance(const op_case *c, fa_dtype dtype)
{
    double tolerance = (dtype == FA_FLOAT64 ? 1e-12 : 1e-5) * (c->terms > 100 ? sqrt(c->terms / 100) : 1);
    for (int i = 0; i < c->inputs && dtype != FA_FLOAT64; i++) {
        const int64_t *size = c->input[i].shape.size;
        if (c->input[i].shape.ndim == 4 && size[0] >= 16 && size[1] >= 16 && size[2] == 3 && size[3] == 3)
            return 4 * tolerance; /* a 3x3 layer that may go by Winograd: its bound (cpu/kernels/winograd.h) */
    }
    return tolerance;
}

static bool same_shape(const fa_shape *a, const fa_shape *b)
{
    return a->ndim == b->ndim && !memcmp(a->size, b->size, (size_t)a->ndim * sizeof *a->size);
}

bool op_values_agree(const op_value *got, const op_value *want, double tolerance, char *why)
{
    if (got->dtype != want->dtype || !same_shape(&got->shape, &want->shape)) {
        snprintf(why, 256, "%s: dtype %d, %lld elements in %d dimensions instead of dtype %d, %lld in %d", want->name,
                 got->dtype, (long long)got->numel, got->shape.ndim, want->dtype, (long long)want->numel,
                 want->shape.ndim);
        return false;
    }
    if (!floating(got->dtype)) {
        if (!memcmp(got->data, want->data, (size_t)got->numel * op_dtype_size(got->dtype)))
            return true;
        tolerance = 0;
    }
    double worst = 0;
    int64_t at = -1;
    for (int64_t i = 0; i < got->numel; i++) {
        double a = op_element(got->dtype, got->data, i), b = op_element(want->dtype, want->data, i);
        if (a == b || (isnan(a) && isnan(b)))
            continue;
        double off = fabs(a - b) / (1 + fabs(b));
        if (!(off <= tolerance) || !isfinite(b)) {
            if (at < 0 || !(off <= worst)) {
                worst = off;
                at = i;
            }
        }
    }
    if (at < 0)
        return true;
    snprintf(why, 256, "%s[%lld of %lld] is %.9g instead of %.9g (off by %.2g, allowed %.2g)", want->name,
             (long long)at, (long long)got->numel, op_element(got->dtype, got->data, at),
             op_element(want->dtype, want->data, at), worst, tolerance);
    return false;
}
