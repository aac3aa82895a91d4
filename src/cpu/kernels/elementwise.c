/* Elementwise kernels: one flat pass over the elements in whatever order they lie, each result rounded once, as in the
 * reference kernels and with the same bits.
 *
 *     add, sub, mul, div   a + b, a - b, a * b, a / b, broadcast      relu        max(a, 0), NaN stays
 *     maximum, minimum     of a and b, NaN if either is               clamp       min(max(a, floats[0]), floats[1])
 *     relu_grad            0 where b <= 0, else a                     neg, abs    -a, |a|
 *     *_scalar             with s = floats[0]                         dropout     a * (mask ? s : 0)
 *     eq                   a == b of int64                            accumulate, assign   dst += src, dst = src */
#include "cpu/kernels/wide.h"

/* ---- Two operands, broadcast ---------------------------------------------------------------------------------------
 */

typedef enum binary_kind {
    BINARY_ADD,
    BINARY_SUB,
    BINARY_MUL,
    BINARY_DIV,
    BINARY_MAXIMUM,
    BINARY_MINIMUM,
    BINARY_RELU_GRAD
} binary_kind;

FA_INLINE fv binary(binary_kind kind, fv a, fv b)
{
    switch (kind) {
    case BINARY_ADD:
        return a + b;
    case BINARY_SUB:
        return a - b;
    case BINARY_MUL:
        return a * b;
    case BINARY_DIV:
        return a / b;
    case BINARY_MAXIMUM: /* what neither comparison holds for has a NaN */
        return fv_select(fv_gt(a, b), a, fv_select(fv_ge(b, a), b, a + b));
    case BINARY_MINIMUM:
        return fv_select(fv_gt(b, a), a, fv_select(fv_ge(a, b), b, a + b));
    default:
        return fv_select(fv_ge(fv_zero(), b), fv_zero(), a);
    }
}

/* An operand with step 0 is one number. */
FA_INLINE void binary_row(binary_kind kind, float *out, const float *a, bool a_steps, const float *b, bool b_steps,
                          int64_t n)
{
    const fv a0 = fv_set1(a[0]), b0 = fv_set1(b[0]);
    int64_t i = 0;
    for (; i + FV_LANES <= n; i += FV_LANES)
        fv_store(out + i, binary(kind, a_steps ? fv_load(a + i) : a0, b_steps ? fv_load(b + i) : b0));
    if (i < n)
        fv_store_n(out + i,
                   binary(kind, a_steps ? fv_load_n(a + i, n - i) : a0, b_steps ? fv_load_n(b + i, n - i) : b0), n - i);
}

/* The output as rows: adjacent dimensions that both operands step through alike are joined, the last is a row. */
typedef struct binary_call {
    float *out;
    const float *in[2];
    int dims;
    int64_t row, size[FA_MAX_DIMS], stride[2][FA_MAX_DIMS];
    binary_kind kind;
} binary_call;

static void find_strides(const fa_meta *in, const fa_meta *out, int64_t *stride)
{
    int64_t step = 1;
    for (int d = out->ndim - 1, e = in->ndim - 1; d >= 0; d--, e--) {
        const int64_t size = e >= 0 ? in->shape[e] : 1;
        stride[d] = size == 1 ? 0 : step;
        step *= size;
    }
}

static binary_call make_binary(const fa_kernel_args *args, binary_kind kind)
{
    const fa_meta *out = args->out_meta[0];
    binary_call c = {.out = args->out[0], .in = {args->in[0], args->in[1]}, .row = 1, .kind = kind};
    int64_t stride[2][FA_MAX_DIMS];
    find_strides(args->in_meta[0], out, stride[0]);
    find_strides(args->in_meta[1], out, stride[1]);
    for (int d = 0; d < out->ndim; d++) {
        const int64_t size = out->shape[d];
        if (size == 1)
            continue;
        const int last = c.dims - 1;
        const bool joins =
            c.dims > 0 && c.stride[0][last] == stride[0][d] * size && c.stride[1][last] == stride[1][d] * size;
        const int at = joins ? last : c.dims++;
        c.size[at] = joins ? c.size[at] * size : size;
        c.stride[0][at] = stride[0][d];
        c.stride[1][at] = stride[1][d];
    }
    if (c.dims > 0)
        c.row = c.size[c.dims - 1];
    return c;
}

FA_INLINE void run_row(binary_kind kind, float *out, const float *a, bool a_steps, const float *b, bool b_steps,
                       int64_t n)
{
    if (a_steps && b_steps)
        binary_row(kind, out, a, true, b, true, n);
    else if (a_steps)
        binary_row(kind, out, a, true, b, false, n);
    else
        binary_row(kind, out, a, false, b, b_steps, n);
}

/* Elements [begin, end) of the output. */
FA_INLINE void binary_range(binary_kind kind, const binary_call *c, int64_t begin, int64_t end)
{
    const int last = c->dims - 1;
    const bool steps[2] = {last >= 0 && c->stride[0][last] != 0, last >= 0 && c->stride[1][last] != 0};
    while (begin < end) {
        const int64_t column = begin % c->row, n = fa_min64(c->row - column, end - begin);
        const float *in[2];
        for (int k = 0; k < 2; k++) {
            int64_t at = steps[k] ? column : 0, index = begin / c->row;
            for (int d = last - 1; d >= 0; d--) {
                at += index % c->size[d] * c->stride[k][d];
                index /= c->size[d];
            }
            in[k] = c->in[k] + at;
        }
        run_row(kind, c->out + begin, in[0], steps[0], in[1], steps[1], n);
        begin += n;
    }
}

#define DEFINE_BINARY(name, kind)                                                                                      \
    static void name##_range(void *context, int64_t begin, int64_t end)                                                \
    {                                                                                                                  \
        binary_range(kind, context, begin, end);                                                                       \
    }                                                                                                                  \
    static void name##_run(const fa_kernel_args *args)                                                                 \
    {                                                                                                                  \
        binary_call c = make_binary(args, kind);                                                                       \
        fa_run_flat(fa_meta_numel(args->out_meta[0]), name##_range, &c);                                               \
    }

DEFINE_BINARY(add, BINARY_ADD)
DEFINE_BINARY(sub, BINARY_SUB)
DEFINE_BINARY(mul, BINARY_MUL)
DEFINE_BINARY(div, BINARY_DIV)
DEFINE_BINARY(maximum, BINARY_MAXIMUM)
DEFINE_BINARY(minimum, BINARY_MINIMUM)
DEFINE_BINARY(relu_grad, BINARY_RELU_GRAD)

/* ---- One operand ---------------------------------------------------------------------------------------------------
 */

typedef struct unary_call {
    float *out;
    const float *in;
    const uint8_t *mask;
    float number, number2;
} unary_call;

typedef enum unary_kind {
    UNARY_ADD,
    UNARY_MUL,
    UNARY_DIV,
    UNARY_RSUB,
    UNARY_NEG,
    UNARY_ABS,
    UNARY_SQRT,
    UNARY_RELU
} unary_kind;

FA_INLINE fv unary(unary_kind kind, fv a, fv s)
{
    switch (kind) {
    case UNARY_ADD:
        return a + s;
    case UNARY_MUL:
        return a * s;
    case UNARY_DIV:
        return a / s;
    case UNARY_RSUB:
        return s - a;
    case UNARY_NEG:
        return -a;
    case UNARY_ABS: /* of -0 and NaN as well */
        return fv_select(fv_gt(a, fv_zero()), a, fv_zero() - a);
    case UNARY_SQRT:
        return fv_sqrt(a);
    default:
        return fv_relu(a);
    }
}

FA_INLINE void unary_range(unary_kind kind, const unary_call *c, int64_t i, int64_t end)
{
    const fv s = fv_set1(c->number);
    for (; i + FV_LANES <= end; i += FV_LANES)
        fv_store(c->out + i, unary(kind, fv_load(c->in + i), s));
    if (i < end)
        fv_store_n(c->out + i, unary(kind, fv_load_n(c->in + i, end - i), s), end - i);
}

static unary_call make_unary(const fa_kernel_args *args)
{
    return (unary_call){.out = args->out[0], .in = args->in[0], .mask = args->in[1]};
}

#define DEFINE_UNARY(name, kind, s)                                                                                    \
    static void name##_range(void *context, int64_t begin, int64_t end)                                                \
    {                                                                                                                  \
        unary_range(kind, context, begin, end);                                                                        \
    }                                                                                                                  \
    static void name##_run(const fa_kernel_args *args)                                                                 \
    {                                                                                                                  \
        unary_call c = make_unary(args);                                                                               \
        c.number = (float)(s);                                                                                         \
        fa_run_flat(fa_meta_numel(args->out_meta[0]), name##_range, &c);                                               \
    }

DEFINE_UNARY(add_scalar, UNARY_ADD, args->floats[0])
DEFINE_UNARY(mul_scalar, UNARY_MUL, args->floats[0])
DEFINE_UNARY(div_scalar, UNARY_DIV, args->floats[0])
DEFINE_UNARY(rsub_scalar, UNARY_RSUB, args->floats[0])
DEFINE_UNARY(neg, UNARY_NEG, 0)
DEFINE_UNARY(abs, UNARY_ABS, 0)
DEFINE_UNARY(sqrt, UNARY_SQRT, 0)
DEFINE_UNARY(relu, UNARY_RELU, 0)

/* The binary words know what NaN is. */
static void clamp_range(void *context, int64_t i, int64_t end)
{
    const unary_call *c = context;
    const fv lo = fv_set1(c->number), hi = fv_set1(c->number2);
    for (; i < end; i += FV_LANES) {
        const int64_t n = fa_min64(FV_LANES, end - i);
        const fv up = binary(BINARY_MAXIMUM, lo, fv_load_n(c->in + i, n));
        fv_store_n(c->out + i, binary(BINARY_MINIMUM, hi, up), n);
    }
}

static void clamp_run(const fa_kernel_args *args)
{
    unary_call c = make_unary(args);
    c.number = (float)args->floats[0];
    c.number2 = (float)args->floats[1];
    fa_run_flat(fa_meta_numel(args->out_meta[0]), clamp_range, &c);
}

/* Not a choice between a and 0: a NaN or infinity that is dropped becomes NaN. */
static void dropout_range(void *context, int64_t i, int64_t end)
{
    const unary_call *c = context;
    const fv scale = fv_set1(c->number);
    const fi zero = fi_set1(0);
    for (; i + FV_LANES <= end; i += FV_LANES) {
        const fm dropped = fi_eq(fi_load_u8(c->mask + i), zero);
        fv_store(c->out + i, fv_load(c->in + i) * fv_select(dropped, fv_zero(), scale));
    }
    for (; i < end; i++)
        c->out[i] = c->in[i] * (c->mask[i] ? c->number : 0.0f);
}

static void dropout_run(const fa_kernel_args *args)
{
    unary_call c = make_unary(args);
    c.number = (float)args->floats[0];
    fa_run_flat(fa_meta_numel(args->out_meta[0]), dropout_range, &c);
}

/* ---- Integers, effects ---------------------------------------------------------------------------------------------
 */

static void eq_run(const fa_kernel_args *args)
{
    const int64_t n = fa_meta_numel(args->out_meta[0]);
    const int64_t *a = args->in[0], *b = args->in[1];
    uint8_t *out = args->out[0];
    for (int64_t i = 0; i < n; i++)
        out[i] = a[i] == b[i];
}

typedef struct effect_call {
    char *to;
    const char *from;
} effect_call;

static void accumulate_range(void *context, int64_t i, int64_t end)
{
    const effect_call *c = context;
    float *sum = (float *)(void *)c->to;
    const float *x = (const float *)(const void *)c->from;
    binary_row(BINARY_ADD, sum + i, sum + i, true, x + i, true, end - i);
}

static void assign_range(void *context, int64_t begin, int64_t end)
{
    const effect_call *c = context;
    memcpy(c->to + begin, c->from + begin, (size_t)(end - begin));
}

static void accumulate_run(const fa_kernel_args *args)
{
    effect_call c = {args->in[0], args->in[1]};
    fa_run_flat(fa_meta_numel(args->in_meta[0]), accumulate_range, &c);
}

static void assign_run(const fa_kernel_args *args)
{
    effect_call c = {args->in[0], args->in[1]};
    const fa_meta *meta = args->in_meta[0];
    if (c.to != c.from)
        fa_parallel_for(fa_meta_numel(meta) * fa_dtype_size(meta->dtype), 1 << 18, assign_range, &c);
}

/* ---- The list ------------------------------------------------------------------------------------------------------
 */

static bool supports_binary(const fa_kernel_args *args)
{
    return fa_all_float32(args, 2);
}

static bool supports_unary(const fa_kernel_args *args)
{
    return fa_all_float32(args, 1);
}

static bool supports_dropout(const fa_kernel_args *args)
{
    return fa_all_float32(args, 1) && args->in_meta[1]->dtype == FA_DT_UINT8 &&
           fa_meta_numel(args->in_meta[1]) == fa_meta_numel(args->out_meta[0]);
}

static bool supports_eq(const fa_kernel_args *args)
{
    const fa_meta *a = args->in_meta[0], *b = args->in_meta[1];
    return a->dtype == FA_DT_INT64 && b->dtype == FA_DT_INT64 && a->ndim == b->ndim &&
           memcmp(a->shape, b->shape, sizeof a->shape[0] * a->ndim) == 0;
}

/* An effect has no output. */
static bool supports_accumulate(const fa_kernel_args *args)
{
    return args->in_meta[0]->dtype == FA_DT_FLOAT32 && args->in_meta[1]->dtype == FA_DT_FLOAT32;
}

static bool supports_assign(const fa_kernel_args *args)
{
    return args->in_meta[0]->dtype == args->in_meta[1]->dtype;
}

#define ELEMENTWISE(op_name, test)                                                                                     \
    {                                                                                                                  \
        .op = FA_OP_##op_name, .name = #op_name " " FA_ISA_NAME, .supports = test, .run = op_name##_run,               \
        .elementwise_in_place = true                                                                                   \
    }

const fa_cpu_kernel FA_ISA(fa_elementwise_kernels)[] = {
    ELEMENTWISE(add, supports_binary),
    ELEMENTWISE(sub, supports_binary),
    ELEMENTWISE(mul, supports_binary),
    ELEMENTWISE(div, supports_binary),
    ELEMENTWISE(maximum, supports_binary),
    ELEMENTWISE(minimum, supports_binary),
    ELEMENTWISE(relu_grad, supports_binary),
    ELEMENTWISE(add_scalar, supports_unary),
    ELEMENTWISE(mul_scalar, supports_unary),
    ELEMENTWISE(div_scalar, supports_unary),
    ELEMENTWISE(rsub_scalar, supports_unary),
    ELEMENTWISE(neg, supports_unary),
    ELEMENTWISE(abs, supports_unary),
    ELEMENTWISE(sqrt, supports_unary),
    ELEMENTWISE(clamp, supports_unary),
    ELEMENTWISE(relu, supports_unary),
    ELEMENTWISE(dropout, supports_dropout),
    {.op = FA_OP_eq, .name = "eq " FA_ISA_NAME, .supports = supports_eq, .run = eq_run},
    {.op = FA_OP_accumulate, .name = "accumulate " FA_ISA_NAME, .supports = supports_accumulate, .run = accumulate_run},
    {.op = FA_OP_assign, .name = "assign " FA_ISA_NAME, .supports = supports_assign, .run = assign_run},
    {.run = NULL},
};
