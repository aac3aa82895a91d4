/* Tensors made from nothing, from numbers, from the generator or from the caller's memory. Values are written at once:
 * a draw advances the generator where the program stands. */
#include "tensor/create.h"

#include "base/half.h"

#include <string.h>

fa_leaf *fa_create_leaf(fa_shape shape, fa_dtype dtype, bool requires_grad, const char *what)
{
    fa_meta meta;
    if (!fa_meta_from_shape(&meta, dtype, &shape, what))
        return NULL;
    if (requires_grad && dtype != FA_FLOAT32 && dtype != FA_FLOAT64) {
        fa_refuse(FA_DTYPE_ERROR, what,
                  "got dtype %s with requires_grad, needs a floating type. Hint: only float32 and "
                  "float64 tensors can have gradients.",
                  fa_dtype_name((int)dtype));
        return NULL;
    }
    fa_leaf *leaf = fa_leaf_new(&meta);
    if (leaf != NULL)
        leaf->requires_grad = requires_grad;
    return leaf;
}

fa_tensor *fa_create_handle(fa_leaf *leaf)
{
    if (leaf == NULL)
        return NULL;
    fa_node *node = fa_leaf_node(leaf);
    fa_tensor *handle = fa_handle(node);
    fa_leaf_release(leaf);
    return handle;
}

void fa_store_numbers(void *data, int dtype, int64_t n, const double *values, int64_t period)
{
#define STORE(T, convert)                                                                                              \
    for (int64_t i = 0; i < n; i++)                                                                                    \
        ((T *)data)[i] = (T)(convert);                                                                                 \
    break
    switch (dtype) {
    case FA_DT_FLOAT32:
        STORE(float, values[i % period]);
    case FA_DT_FLOAT64:
        STORE(double, values[i % period]);
    case FA_DT_INT64:
        STORE(int64_t, values[i % period]);
    case FA_DT_INT32:
        STORE(int32_t, values[i % period]);
    case FA_DT_UINT8:
        STORE(uint8_t, (int64_t)values[i % period]);
    case FA_DT_BOOL:
        STORE(uint8_t, values[i % period] != 0);
    case FA_DT_BFLOAT16:
        STORE(uint16_t, fa_bfloat16_from_float((float)values[i % period]));
    case FA_DT_FLOAT16:
        STORE(uint16_t, fa_float16_from_float((float)values[i % period]));
    default:
        break;
    }
#undef STORE
}

static fa_tensor *filled(fa_shape shape, double value, const fa_new_args *args, const char *what)
{
    fa_begin(args->where_);
    fa_leaf *leaf = fa_create_leaf(shape, args->dtype, args->requires_grad, what);
    if (leaf != NULL)
        fa_store_numbers(leaf->buffer->data, leaf->meta.dtype, fa_meta_numel(&leaf->meta), &value, 1);
    return fa_create_handle(leaf);
}

fa_tensor *fa_empty_at(fa_shape shape, const fa_new_args *args)
{
    fa_begin(args->where_);
    return fa_create_handle(fa_create_leaf(shape, args->dtype, args->requires_grad, "empty"));
}
fa_tensor *fa_full_at(fa_shape shape, double value, const fa_new_args *args)
{
    return filled(shape, value, args, "full");
}
fa_tensor *fa_zeros_at(fa_shape shape, const fa_new_args *args)
{
    return filled(shape, 0, args, "zeros");
}
fa_tensor *fa_ones_at(fa_shape shape, const fa_new_args *args)
{
    return filled(shape, 1, args, "ones");
}

/* ---- Draws ---------------------------------------------------------------------------------------------------------
 */

typedef enum draw_kind { DRAW_UNIFORM, DRAW_NORMAL } draw_kind;

static fa_tensor *drawn(fa_shape shape, const fa_new_args *args, draw_kind kind, const char *what)
{
    fa_begin(args->where_);
    if (args->dtype != FA_FLOAT32 && args->dtype != FA_FLOAT64) {
        fa_refuse(FA_DTYPE_ERROR, what,
                  "got dtype %s, needs float32 or float64. Hint: .dtype = FA_FLOAT32, or fa_randint for integers.",
                  fa_dtype_name((int)args->dtype));
        return NULL;
    }
    fa_leaf *leaf = fa_create_leaf(shape, args->dtype, args->requires_grad, what);
    if (leaf == NULL)
        return NULL;
    int64_t n = fa_meta_numel(&leaf->meta);
    fa_generator *generator = fa_generator_or_default(args->generator);
    fa_mt *mt = fa_generator_lock(generator);
    if (kind == DRAW_UNIFORM && args->dtype == FA_FLOAT32)
        fa_mt_uniform_f32(mt, leaf->buffer->data, n, 0, 1);
    else if (kind == DRAW_UNIFORM)
        fa_mt_uniform_f64(mt, leaf->buffer->data, n, 0, 1);
    else if (args->dtype == FA_FLOAT32)
        fa_mt_normal_f32(mt, leaf->buffer->data, n, 0, 1);
    else
        fa_mt_normal_f64(mt, leaf->buffer->data, n, 0, 1);
    fa_generator_unlock(generator);
    return fa_create_handle(leaf);
}

fa_tensor *fa_rand_at(fa_shape shape, const fa_new_args *args)
{
    return drawn(shape, args, DRAW_UNIFORM, "rand");
}
fa_tensor *fa_randn_at(fa_shape shape, const fa_new_args *args)
{
    return drawn(shape, args, DRAW_NORMAL, "randn");
}

fa_tensor *fa_randperm_at(int64_t n, fa_generator *generator, fa_where where)
{
    fa_begin(where);
    fa_leaf *leaf = fa_create_leaf(FA_SHAPE(n), FA_INT64, false, "randperm");
    if (leaf == NULL)
        return NULL;
    generator = fa_generator_or_default(generator);
    fa_mt_randperm(fa_generator_lock(generator), leaf->buffer->data, n);
    fa_generator_unlock(generator);
    return fa_create_handle(leaf);
}

/* ---- From numbers and memory ---------------------------------------------------------------------------------------
 */

fa_tensor *fa_tensor_of_at(fa_shape shape, fa_dtype dtype, int64_t count, const double *values, fa_where where)
{
    fa_begin(where);
    fa_leaf *leaf = fa_create_leaf(shape, dtype, false, "tensor");
    if (leaf == NULL)
        return NULL;
    if (fa_meta_numel(&leaf->meta) != count) {
        fa_refuse(FA_SHAPE_ERROR, "tensor", "got %lld numbers for shape %s, needs %lld.", (long long)count,
                  fa_shape_text(&leaf->meta), (long long)fa_meta_numel(&leaf->meta));
        fa_leaf_release(leaf);
        return NULL;
    }
    if (count > 0)
        fa_store_numbers(leaf->buffer->data, leaf->meta.dtype, count, values, count);
    return fa_create_handle(leaf);
}

static bool has_memory(const void *data, const fa_meta *meta, const char *what)
{
    return data != NULL || fa_meta_numel(meta) == 0 ||
           fa_refuse(FA_VALUE_ERROR, what, "got NULL, needs the address of %s %s.", fa_dtype_name(meta->dtype),
                     fa_shape_text(meta));
}

fa_tensor *fa_from_memory_at(const void *data, fa_dtype dtype, fa_shape shape, fa_where where)
{
    fa_begin(where);
    fa_meta meta;
    if (!fa_meta_from_shape(&meta, dtype, &shape, "from_memory") || !has_memory(data, &meta, "from_memory"))
        return NULL;
    fa_leaf *leaf = fa_leaf_new(&meta);
    if (leaf != NULL && leaf->buffer->bytes > 0)
        memcpy(leaf->buffer->data, data, leaf->buffer->bytes);
    return fa_create_handle(leaf);
}

fa_tensor *fa_borrow_at(const void *data, fa_dtype dtype, fa_shape shape, fa_where where)
{
    fa_begin(where);
    fa_meta meta;
    if (!fa_meta_from_shape(&meta, dtype, &shape, "borrow") || !has_memory(data, &meta, "borrow"))
        return NULL;
    int64_t size = fa_dtype_size((int)dtype);
    if ((uintptr_t)data % (uintptr_t)size != 0) {
        fa_refuse(FA_VALUE_ERROR, "borrow",
                  "got an address that is no multiple of %lld, needs one: elements are %s. Hint: "
                  "fa_from_memory copies and takes any address.",
                  (long long)size, fa_dtype_name((int)dtype));
        return NULL;
    }
    fa_buffer *buffer = fa_buffer_borrow((void *)(uintptr_t)data, (size_t)(fa_meta_numel(&meta) * size));
    if (buffer == NULL) {
        fa_fail_memory(where, sizeof *buffer);
        return NULL;
    }
    return fa_create_handle(fa_leaf_of_buffer(&meta, buffer));
}
