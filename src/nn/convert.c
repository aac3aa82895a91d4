/* A module's numbers in another floating type: model.double(), model.to(torch.float64). */
#include "nn/module.h"

#include "base/memory.h"

static bool is_converted(const fa_leaf *leaf, fa_dtype dtype)
{
    return (leaf->meta.dtype == FA_DT_FLOAT32 || leaf->meta.dtype == FA_DT_FLOAT64) && leaf->meta.dtype != (int)dtype;
}

static void convert(const fa_leaf *leaf, fa_dtype dtype, void *to)
{
    const int64_t n = fa_meta_numel(&leaf->meta);
    for (int64_t i = 0; i < n; i++)
        if (dtype == FA_FLOAT64)
            ((double *)to)[i] = (double)((const float *)leaf->buffer->data)[i];
        else
            ((float *)to)[i] = (float)((const double *)leaf->buffer->data)[i];
}

static void put(fa_leaf *leaf, fa_dtype dtype, fa_buffer *buffer, fa_where where)
{
    convert(leaf, dtype, buffer->data);
    fa_buffer_release(leaf->buffer);
    leaf->buffer = buffer;
    leaf->meta.dtype = (int)dtype;
    leaf->recorded_version = ++leaf->version; /* what was recorded from the old numbers cannot be used any more */
    leaf->changed = where;
    leaf->grad_defined = false;
    if (leaf->grad) {
        leaf->grad->grad_of = NULL;
        fa_leaf_release(leaf->grad);
        leaf->grad = NULL;
    }
}

fa_module *fa_module_to_dtype_at(fa_module *module, fa_dtype dtype, fa_where where)
{
    static const char what[] = "fa_module_to_dtype";
    fa_begin(where);
    if (!fa_module_check(module, what, where))
        return NULL;
    if (dtype != FA_FLOAT32 && dtype != FA_FLOAT64) {
        fa_fail(FA_DTYPE_ERROR, where, what,
                "got dtype %d, needs FA_FLOAT32 or FA_FLOAT64. Hint: layers compute in these", (int)dtype);
        return NULL;
    }
    fa_init_pending();
    if (!fa_flush())
        return NULL;
    const fa_tensor_list state = fa_state_list_at(module, where);
    fa_buffer **buffer = fa_calloc((size_t)state.count + 1, sizeof *buffer);
    bool ok = buffer != NULL;
    for (int64_t i = 0; i < state.count && ok; i++) {
        const fa_leaf *leaf = fa_handle_leaf(state.tensor[i]);
        size_t bytes = 0;
        if (!is_converted(leaf, dtype))
            continue;
        ok = fa_mul_size((size_t)fa_meta_numel(&leaf->meta), dtype == FA_FLOAT64 ? 8 : 4, &bytes) &&
             (buffer[i] = fa_buffer_new(bytes)) != NULL;
    }
    for (int64_t i = 0; i < state.count && buffer; i++) {
        fa_leaf *leaf = fa_handle_leaf(state.tensor[i]);
        /* A shared tensor is converted under its first name. */
        if (ok && buffer[i] && is_converted(leaf, dtype))
            put(leaf, dtype, buffer[i], where);
        else
            fa_buffer_release(buffer[i]);
    }
    fa_mfree(buffer);
    if (!ok)
        fa_fail_memory(where, (size_t)state.count * sizeof *buffer);
    return ok ? module : NULL;
}
