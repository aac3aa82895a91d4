/* softmax, log_softmax and their gradients over rows, the last dimension.
 *
 *     softmax        y = exp(x - max) / s,  s = sum of exp(x - max)      dx = y * (g - sum of g*y)
 *     log_softmax    y = (x - max) - log(s)                              dx = g - exp(y) * sum of g
 *
 * Sums in double, each row's in an order of its own length alone. A NaN in a row, or an infinite maximum, makes the
 * whole row NaN. */
#include "cpu/kernels/rows.h"

#include <math.h>

typedef enum row_kind { ROW_SOFTMAX, ROW_LOG_SOFTMAX, ROW_SOFTMAX_GRAD, ROW_LOG_SOFTMAX_GRAD } row_kind;

typedef struct row_call {
    const float *a, *b; /* x; or g, y */
    float *out;
    int64_t length;
} row_call;

static float largest_of_row(const float *x, int64_t n)
{
    fv best = fv_set1(-INFINITY);
    for (int64_t i = 0; i < n; i += FV_LANES) {
        fv value = fv_load_some(x + i, n - i);
        value = fv_select(fm_first(n - i), value, fv_set1(-INFINITY));
        best = fv_select(fm_or(fv_gt(value, best), fv_isnan(value)), value, best);
    }
    return fv_largest(best);
}

/* y = exp(x - max); their sum. */
static double exponentials(const float *x, float max, float *y, int64_t n)
{
    dv low = dv_set1(0), high = dv_set1(0);
    const fv shift = fv_set1(max);
    for (int64_t i = 0; i < n; i += FV_LANES) {
        const fv e = fv_select(fm_first(n - i), fv_exp(fv_load_some(x + i, n - i) - shift), fv_zero());
        low += dv_low(e);
        high += dv_high(e);
        fv_store_some(y + i, e, n - i);
    }
    return dv_sum(low + high);
}

static void softmax_row(const float *x, float *y, int64_t n)
{
    const fv sum = fv_set1((float)exponentials(x, largest_of_row(x, n), y, n));
    for (int64_t i = 0; i < n; i += FV_LANES)
        fv_store_some(y + i, fv_load_some(y + i, n - i) / sum, n - i);
}

void FA_ISA(fa_log_softmax_row)(const float *x, float *y, int64_t n)
{
    const float max = largest_of_row(x, n);
    const fv shift = fv_set1(max), log_sum = fv_set1((float)log(exponentials(x, max, y, n)));
    for (int64_t i = 0; i < n; i += FV_LANES)
        fv_store_some(y + i, fv_load_some(x + i, n - i) - shift - log_sum, n - i);
}

static void softmax_grad_row(const float *g, const float *y, float *dx, int64_t n)
{
    dv low = dv_set1(0), high = dv_set1(0);
    for (int64_t i = 0; i < n; i += FV_LANES) {
        const fv a = fv_load_some(g + i, n - i), b = fv_load_some(y + i, n - i);
        low += dv_low(a) * dv_low(b);
        high += dv_high(a) * dv_high(b);
    }
    const dv dot = dv_set1(dv_sum(low + high));
    for (int64_t i = 0; i < n; i += FV_LANES) {
        const fv a = fv_load_some(g + i, n - i), b = fv_load_some(y + i, n - i);
        fv_store_some(dx + i, fv_narrow(dv_low(b) * (dv_low(a) - dot), dv_high(b) * (dv_high(a) - dot)), n - i);
    }
}

void FA_ISA(fa_log_softmax_grad_row)(const float *g, const float *y, float *dx, int64_t n)
{
    dv low = dv_set1(0), high = dv_set1(0);
    for (int64_t i = 0; i < n; i += FV_LANES) {
        const fv a = fv_load_some(g + i, n - i);
        low += dv_low(a);
        high += dv_high(a);
    }
    const fv sum = fv_set1((float)dv_sum(low + high));
    for (int64_t i = 0; i < n; i += FV_LANES)
        fv_store_some(dx + i, fv_load_some(g + i, n - i) - fv_exp(fv_load_some(y + i, n - i)) * sum, n - i);
}

FA_INLINE void run_rows(row_kind kind, const row_call *c, int64_t begin, int64_t end)
{
    const int64_t n = c->length;
    for (int64_t r = begin; r < end; r++) {
        const float *a = c->a + r * n, *b = c->b ? c->b + r * n : NULL;
        float *out = c->out + r * n;
        if (kind == ROW_SOFTMAX)
            softmax_row(a, out, n);
        else if (kind == ROW_LOG_SOFTMAX)
            FA_ISA(fa_log_softmax_row)(a, out, n);
        else if (kind == ROW_SOFTMAX_GRAD)
            softmax_grad_row(a, b, out, n);
        else
            FA_ISA(fa_log_softmax_grad_row)(a, b, out, n);
    }
}

#define DEFINE_ROWS(name, kind, inputs)                                                                                \
    static void name##_rows(void *context, int64_t begin, int64_t end)                                                 \
    {                                                                                                                  \
        run_rows(kind, context, begin, end);                                                                           \
    }                                                                                                                  \
    static void name##_run(const fa_kernel_args *args)                                                                 \
    {                                                                                                                  \
        const fa_row_shape rows = fa_row_shape_of(args->out_meta[0], args->ints[0]);                                   \
        row_call c = {args->in[0], (inputs) > 1 ? args->in[1] : NULL, args->out[0], rows.length};                      \
        fa_parallel_for(rows.count, fa_row_grain(rows), name##_rows, &c);                                              \
    }                                                                                                                  \
    static bool name##_supports(const fa_kernel_args *args)                                                            \
    {                                                                                                                  \
        return fa_all_float32(args, inputs) && fa_row_shape_of(args->out_meta[0], args->ints[0]).step == 1;            \
    }

DEFINE_ROWS(softmax, ROW_SOFTMAX, 1)
DEFINE_ROWS(log_softmax, ROW_LOG_SOFTMAX, 1)
DEFINE_ROWS(softmax_grad, ROW_SOFTMAX_GRAD, 2)
DEFINE_ROWS(log_softmax_grad, ROW_LOG_SOFTMAX_GRAD, 2)

#define ROWS(op_name)                                                                                                  \
    {                                                                                                                  \
        .op = FA_OP_##op_name, .name = #op_name " rows " FA_ISA_NAME, .supports = op_name##_supports,                  \
        .run = op_name##_run                                                                                           \
    }

const fa_cpu_kernel FA_ISA(fa_softmax_kernels)[] = {
    ROWS(softmax), ROWS(log_softmax), ROWS(softmax_grad), ROWS(log_softmax_grad), {.run = NULL},
};
