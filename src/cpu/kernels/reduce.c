/* sum, mean and sum_to of float32, sum of integers to one number, argmax of rows.
 *
 * Dimensions of size 1 are left out and neighbours of one fate joined. What is left is summed as
 *
 *     rows      out[o] = sum over s < segments, i < length of x[(s*outputs + o)*length + i]
 *     columns   out[a, j] = sum over i < rows of x[(a*rows + i)*columns + j]
 *
 * in double, cut into pieces by the number of summed elements alone, which are added in order; then divided. */
#include "cpu/kernels/column_sums.h"
#include "cpu/kernels/rows.h"

enum { COLUMN_BLOCK = 256, ROW_PIECE = 16384 };

typedef struct sum_call {
    const float *x;
    double *sums; /* [pieces, outputs] */
    bool columns, fits;
    int64_t segments, outer, length; /* columns: outer is a, length is j */
    int64_t outputs, count;          /* elements that make an output */
    fa_pieces pieces;                /* of segments, of a segment's elements, or of the rows of columns */
} sum_call;

/* Bit d: dimension d of the input is summed. */
static int64_t summed_dims(const fa_kernel_args *args, fa_op op)
{
    if (op != FA_OP_sum_to)
        return args->ints[0];
    const fa_meta *in = args->in_meta[0], *out = args->out_meta[0];
    const int added = in->ndim - out->ndim;
    int64_t mask = 0;
    for (int d = 0; d < in->ndim; d++)
        if (d < added || (out->shape[d - added] == 1 && in->shape[d] != 1))
            mask |= INT64_C(1) << d;
    return mask;
}

static sum_call make_call(const fa_kernel_args *args, fa_op op)
{
    const fa_meta *in = args->in_meta[0];
    const int64_t mask = summed_dims(args, op);
    sum_call c = {.segments = 1, .outer = 1, .length = 1, .outputs = 1, .count = 1};
    int64_t size[FA_MAX_DIMS];
    bool summed[FA_MAX_DIMS];
    int n = 0;
    for (int d = 0; d < in->ndim; d++) {
        const bool gone = (mask >> d & 1) != 0;
        *(gone ? &c.count : &c.outputs) *= in->shape[d];
        if (in->shape[d] == 1)
            continue;
        if (n == 0 || summed[n - 1] != gone) {
            summed[n] = gone;
            size[n++] = 1;
        }
        size[n - 1] *= in->shape[d];
    }
    c.columns = n > 1 && !summed[n - 1];
    c.fits = n <= 2 || (n == 3 && summed[0] == summed[2]);
    if (c.columns) {
        c.outer = n == 3 ? size[0] : 1;
        c.length = size[n - 1];
        c.pieces = fa_pieces_of(c.count);
        return c;
    }
    c.length = n > 0 && summed[n - 1] ? size[n - 1] : 1;
    c.segments = n == 3 ? size[0] : 1;
    if (c.segments != 1)
        c.pieces = fa_pieces_of(c.segments);
    else
        c.pieces = (fa_pieces){c.length, ROW_PIECE, fa_blocks(c.length, ROW_PIECE)};
    return c;
}

static double sum_of_row(const float *x, int64_t n)
{
    dv sum[4] = {dv_set1(0), dv_set1(0), dv_set1(0), dv_set1(0)};
    int64_t i = 0;
    for (; i + 2 * FV_LANES <= n; i += 2 * FV_LANES) {
        const fv a = fv_load(x + i), b = fv_load(x + i + FV_LANES);
        sum[0] += dv_low(a);
        sum[1] += dv_high(a);
        sum[2] += dv_low(b);
        sum[3] += dv_high(b);
    }
    for (; i < n; i += FV_LANES) {
        const fv a = fv_load_some(x + i, n - i);
        sum[0] += dv_low(a);
        sum[1] += dv_high(a);
    }
    return dv_sum((sum[0] + sum[2]) + (sum[1] + sum[3]));
}

/* Part p of output o, for [begin, end) of p*outputs + o. */
static void row_range(void *context, int64_t begin, int64_t end)
{
    const sum_call *c = context;
    for (int64_t task = begin; task < end; task++) {
        const int64_t o = task % c->outputs, first = task / c->outputs * c->pieces.piece;
        const int64_t last = fa_min64(c->pieces.rows, first + c->pieces.piece);
        if (c->segments == 1) {
            c->sums[task] = sum_of_row(c->x + o * c->length + first, last - first);
            continue;
        }
        double sum = 0;
        for (int64_t s = first; s < last; s++)
            sum += sum_of_row(c->x + (s * c->outputs + o) * c->length, c->length);
        c->sums[task] = sum;
    }
}

static void column_task(void *context, int64_t task)
{
    const sum_call *c = context;
    const int64_t blocks = fa_blocks(c->length, COLUMN_BLOCK), column = task % blocks * COLUMN_BLOCK;
    const int64_t a = task / blocks % c->outer, piece = task / blocks / c->outer, first = piece * c->pieces.piece;
    const int64_t rows = fa_min64(c->pieces.piece, c->count - first), n = fa_min64(COLUMN_BLOCK, c->length - column);
    double *sums = c->sums + piece * c->outputs + a * c->length + column;
    memset(sums, 0, (size_t)n * sizeof *sums);
    fa_add_columns(sums, c->x + (a * c->count + first) * c->length + column, c->length, rows, n);
}

FA_INLINE void run_sum(const fa_kernel_args *args, fa_op op)
{
    sum_call c = make_call(args, op);
    float *out = args->out[0];
    c.x = args->in[0];
    c.sums = args->scratch;
    if (c.outputs == 0)
        return;
    const int64_t parts = c.pieces.count * c.outputs;
    if (c.columns)
        fa_run_tasks(c.pieces.count * c.outer * fa_blocks(c.length, COLUMN_BLOCK), column_task, &c,
                     (double)c.count * (double)c.outputs);
    else if (parts > 0)
        fa_parallel_for(parts,
                        c.count * c.outputs <= 65536 ? parts : fa_max64(1, 16384 / fa_blocks(c.count, c.pieces.count)),
                        row_range, &c);
    const double divisor = op == FA_OP_mean ? (double)c.count : 1;
    for (int64_t o = 0; o < c.outputs; o++) {
        double sum = 0;
        for (int64_t piece = 0; piece < c.pieces.count; piece++)
            sum += c.sums[piece * c.outputs + o];
        out[o] = (float)(sum / divisor);
    }
}

#define DEFINE_SUM(name)                                                                                               \
    static void name##_run(const fa_kernel_args *args)                                                                 \
    {                                                                                                                  \
        run_sum(args, FA_OP_##name);                                                                                   \
    }                                                                                                                  \
    static bool name##_supports(const fa_kernel_args *args)                                                            \
    {                                                                                                                  \
        return fa_all_float32(args, 1) && make_call(args, FA_OP_##name).fits;                                          \
    }                                                                                                                  \
    static size_t name##_scratch(const fa_kernel_args *args)                                                           \
    {                                                                                                                  \
        const sum_call c = make_call(args, FA_OP_##name);                                                              \
        return (size_t)(c.pieces.count * c.outputs) * sizeof(double) + 64;                                             \
    }

DEFINE_SUM(sum)
DEFINE_SUM(mean)
DEFINE_SUM(sum_to)

/* ---- Integers ------------------------------------------------------------------------------------------------------
 */

static bool count_supports(const fa_kernel_args *args)
{
    const fa_meta *in = args->in_meta[0], *out = args->out_meta[0];
    return (in->dtype == FA_DT_INT64 || in->dtype == FA_DT_BOOL) && out->dtype == FA_DT_INT64 &&
           fa_meta_numel(out) == 1;
}

static void count_run(const fa_kernel_args *args)
{
    const fa_meta *in = args->in_meta[0];
    const int64_t n = fa_meta_numel(in);
    uint64_t sum = 0;
    if (in->dtype == FA_DT_INT64)
        for (int64_t i = 0; i < n; i++)
            sum += ((const uint64_t *)args->in[0])[i];
    else
        for (int64_t i = 0; i < n; i++)
            sum += ((const uint8_t *)args->in[0])[i];
    *(uint64_t *)args->out[0] = sum;
}

/* ---- argmax --------------------------------------------------------------------------------------------------------
 */

typedef struct argmax_call {
    const float *x;
    int64_t *out;
    int64_t length;
} argmax_call;

/* The largest value first, then where it stands; a NaN is above all numbers. */
static int64_t first_maximum(const float *x, int64_t n)
{
    fv best = fv_set1(x[0]);
    int64_t i = 0;
    for (; i + FV_LANES <= n; i += FV_LANES) {
        const fv value = fv_load(x + i);
        best = fv_select(fm_or(fv_gt(value, best), fv_isnan(value)), value, best);
    }
    float max = fv_largest(best);
    for (; i < n; i++)
        if (x[i] > max || x[i] != x[i])
            max = x[i];
    i = 0;
    if (max != max)
        while (x[i] == x[i])
            i++;
    else
        while (x[i] != max)
            i++;
    return i;
}

static void argmax_range(void *context, int64_t begin, int64_t end)
{
    const argmax_call *c = context;
    for (int64_t r = begin; r < end; r++)
        c->out[r] = first_maximum(c->x + r * c->length, c->length);
}

static void argmax_run(const fa_kernel_args *args)
{
    const fa_row_shape rows = fa_row_shape_of(args->in_meta[0], args->ints[0]);
    argmax_call c = {args->in[0], args->out[0], rows.length};
    fa_parallel_for(rows.count, fa_row_grain(rows), argmax_range, &c);
}

static bool argmax_supports(const fa_kernel_args *args)
{
    const fa_row_shape rows = fa_row_shape_of(args->in_meta[0], args->ints[0]);
    return args->in_meta[0]->dtype == FA_DT_FLOAT32 && rows.step == 1 && rows.length > 0;
}

/* ---- The list ------------------------------------------------------------------------------------------------------
 */

#define SUM(op_name)                                                                                                   \
    {                                                                                                                  \
        .op = FA_OP_##op_name, .name = #op_name " " FA_ISA_NAME, .supports = op_name##_supports,                       \
        .scratch = op_name##_scratch, .run = op_name##_run                                                             \
    }

const fa_cpu_kernel FA_ISA(fa_reduce_kernels)[] = {
    SUM(sum),
    SUM(mean),
    SUM(sum_to),
    {.op = FA_OP_sum, .name = "sum of integers " FA_ISA_NAME, .supports = count_supports, .run = count_run},
    {.op = FA_OP_argmax, .name = "argmax rows " FA_ISA_NAME, .supports = argmax_supports, .run = argmax_run},
    {.run = NULL},
};
