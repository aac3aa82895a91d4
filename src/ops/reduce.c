/* Reductions over a set of dimensions: which elements make up an output, and their sum. */
#include "ops/reduce.h"

#include "ops/kernel_types.h"

fa_reduce fa_reduce_of(const fa_meta *in, int64_t mask)
{
    fa_reduce r = {.outputs = 1, .count = 1};
    int64_t stride[FA_MAX_DIMS], step = 1;
    for (int d = in->ndim - 1; d >= 0; d--) {
        stride[d] = step;
        step *= in->shape[d];
    }
    for (int d = 0; d < in->ndim; d++) {
        const bool gone = (mask >> d & 1) != 0;
        *(gone ? &r.count : &r.outputs) *= in->shape[d];
        if (in->shape[d] == 1)
            continue;
        if (gone) {
            r.gone_size[r.gone] = in->shape[d];
            r.gone_stride[r.gone++] = stride[d];
        } else {
            r.kept_size[r.kept] = in->shape[d];
            r.kept_stride[r.kept++] = stride[d];
        }
    }
    r.row = r.gone > 0 ? r.gone_size[r.gone - 1] : 1;
    r.step = r.gone > 0 ? r.gone_stride[r.gone - 1] : 0;
    return r;
}

static int64_t offset_of(int64_t index, int ndim, const int64_t *size, const int64_t *stride)
{
    int64_t offset = 0;
    for (int d = ndim - 1; d >= 0; d--) {
        offset += index % size[d] * stride[d];
        index /= size[d];
    }
    return offset;
}

int64_t fa_reduce_base(const fa_reduce *reduce, int64_t output)
{
    return offset_of(output, reduce->kept, reduce->kept_size, reduce->kept_stride);
}

int64_t fa_reduce_offset(const fa_reduce *reduce, int64_t element)
{
    return offset_of(element, reduce->gone, reduce->gone_size, reduce->gone_stride);
}

bool fa_infer_reduced(fa_node *node)
{
    const fa_dims_ints *ints = (const fa_dims_ints *)node->ints;
    const fa_meta *in = &node->in[0]->meta;
    int64_t shape[FA_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < in->ndim; d++) {
        if (!(ints->mask >> d & 1))
            shape[ndim++] = in->shape[d];
        else if (ints->keepdim)
            shape[ndim++] = 1;
    }
    node->meta = fa_meta_of(in->dtype, ndim, shape);
    return true;
}

bool fa_infer_chosen(fa_node *node)
{
    const fa_meta *in = &node->in[0]->meta;
    const fa_dims_ints *ints = (const fa_dims_ints *)node->ints;
    for (int d = 0; d < in->ndim; d++)
        if ((ints->mask >> d & 1) && in->shape[d] == 0)
            return fa_refuse(
                FA_INDEX_ERROR, fa_op_table[node->op]->name,
                "got %s, needs at least one element in dimension %d to choose from. Hint: is the batch empty?",
                fa_shape_text(in), d);
    return fa_infer_reduced(node);
}

bool fa_infer_reduced_float(fa_node *node)
{
    const int dtype = node->in[0]->meta.dtype;
    if (!fa_is_float(dtype))
        return fa_refuse(FA_DTYPE_ERROR, fa_op_table[node->op]->name,
                         "got %s, needs float32 or float64. Hint: fa_to_dtype(x, FA_FLOAT32)", fa_dtype_name(dtype));
    return fa_infer_reduced(node);
}

fa_node *fa_record_reduced(fa_op op, fa_node *x, const fa_shape *dims, bool keepdim, int64_t more, double number)
{
    int64_t mask;
    if (!x || !fa_reduce_mask(x, dims, &mask, fa_op_table[op]->name))
        return NULL;
    const int64_t ints[4] = {mask, keepdim, dims->ndim >= 0, more};
    return fa_record(op, 1, &x, ints, sizeof ints, &number, 1);
}

bool fa_reduce_mask(const fa_node *x, const fa_shape *dims, int64_t *mask, const char *what)
{
    *mask = (INT64_C(1) << x->meta.ndim) - 1;
    if (dims->ndim <= 0)
        return true;
    if (dims->ndim > FA_MAX_DIMS)
        return fa_refuse(FA_VALUE_ERROR, what, "got %d dimensions, needs at most %d", dims->ndim, FA_MAX_DIMS);
    *mask = 0;
    for (int i = 0; i < dims->ndim; i++) {
        const int64_t named = dims->size[i];
        const int dim = fa_wrap_dim(named < INT32_MIN   ? INT32_MIN
                                    : named > INT32_MAX ? INT32_MAX
                                                        : (int)named,
                                    x->meta.ndim, what);
        if (dim < 0)
            return false;
        if (*mask >> dim & 1)
            return fa_refuse(FA_VALUE_ERROR, what,
                             "got dimension %d twice in dims, needs each once. Hint: leave one of them out", dim);
        *mask |= INT64_C(1) << dim;
    }
    *mask &= (INT64_C(1) << x->meta.ndim) - 1;
    return true;
}

fa_node *fa_record_sum_input(fa_node *x, fa_dtype dtype, const char *what)
{
    if (!x || dtype == FA_SAME_DTYPE)
        return x;
    if (dtype < FA_FLOAT32 || dtype > FA_BOOL) {
        fa_refuse(
            FA_DTYPE_ERROR, what,
            "got dtype %s, needs a type to compute in. Hint: fa_to_dtype converts the result to bfloat16 or float16",
            fa_dtype_name((int)dtype));
        return NULL;
    }
    return fa_record_convert(x, (int)dtype);
}

/* Whole numbers are summed as int64, which gives the same last bits as a narrower type. */
fa_node *fa_record_sum_output(fa_node *sum, fa_dtype dtype)
{
    return !sum || dtype == FA_SAME_DTYPE || sum->meta.dtype == (int)dtype ? sum : fa_record_convert(sum, (int)dtype);
}

fa_tensor *fa_reduce_as(fa_op op, const fa_sum_args *args)
{
    const char *what = fa_op_table[op]->name;
    fa_begin(args->where_);
    fa_node *x = fa_record_sum_input(fa_use(args->x, what, "input"), args->dtype, what);
    return fa_handle(fa_record_sum_output(fa_record_reduced(op, x, &args->dims, args->keepdim, 0, 0), args->dtype));
}

fa_node *fa_record_spread(const fa_node *node, fa_node *grad)
{
    const fa_dims_ints *ints = (const fa_dims_ints *)node->ints;
    fa_meta kept = node->in[0]->meta;
    for (int d = 0; d < kept.ndim; d++)
        if (ints->mask >> d & 1)
            kept.shape[d] = 1;
    if (grad && !fa_same_shape(&grad->meta, &kept))
        grad = fa_record_reshape_as(grad, &kept);
    return fa_record_expand_as(grad, &node->in[0]->meta);
}

fa_node *fa_record_total(const fa_node *node, fa_node *a)
{
    return fa_record_reshape_as(fa_record_sum(a, node->ints[0], false), &node->meta);
}

#define SUM_LOOP(T, SUM, R, RESULT)                                                                                    \
    {                                                                                                                  \
        const T *in = args->in[0];                                                                                     \
        R *out = args->out[0];                                                                                         \
        for (int64_t o = 0; o < r.outputs; o++) {                                                                      \
            SUM sum = 0;                                                                                               \
            FA_EACH_REDUCED(r, o, sum += (SUM)in[at])                                                                  \
            out[o] = (R)(RESULT);                                                                                      \
        }                                                                                                              \
        break;                                                                                                         \
    }

void fa_reduce_sum(const fa_kernel_args *args, int64_t mask, double divisor)
{
    const fa_reduce r = fa_reduce_of(args->in_meta[0], mask);
    const bool whole = args->out_meta[0]->dtype == FA_DT_INT64;
    switch (args->in_meta[0]->dtype) {
    case FA_DT_FLOAT32:
        SUM_LOOP(float, double, float, sum / divisor)
    case FA_DT_FLOAT64:
        SUM_LOOP(double, double, double, sum / divisor)
    case FA_DT_INT64:
        SUM_LOOP(int64_t, uint64_t, int64_t, sum)
    case FA_DT_INT32:
        if (whole)
            SUM_LOOP(int32_t, uint64_t, int64_t, sum)
        SUM_LOOP(int32_t, uint64_t, int32_t, sum)
    case FA_DT_UINT8:
        if (whole)
            SUM_LOOP(uint8_t, uint64_t, int64_t, sum)
        SUM_LOOP(uint8_t, uint64_t, uint8_t, sum)
    default:
        SUM_LOOP(bool, uint64_t, int64_t, sum)
    }
}
