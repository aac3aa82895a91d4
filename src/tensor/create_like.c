/* Tensors of another tensor's shape and, unless the caller says otherwise, type. */
#include "tensor/create.h"

#include <string.h>

bool fa_create_like(fa_tensor *x, const fa_new_args *args, const char *what, fa_shape *shape, fa_new_args *own)
{
    fa_begin(args->where_);
    const fa_node *node = fa_use(x, what, "the tensor");
    if (node == NULL)
        return false;
    *shape = (fa_shape){.ndim = node->meta.ndim};
    memcpy(shape->size, node->meta.shape, sizeof shape->size);
    *own = *args;
    if (args->dtype == FA_SAME_DTYPE)
        own->dtype = (fa_dtype)node->meta.dtype;
    return true;
}

#define DEFINE_LIKE(name)                                                                                              \
    fa_tensor *fa_##name##_like_at(fa_tensor *x, const fa_new_args *args)                                              \
    {                                                                                                                  \
        fa_shape shape;                                                                                                \
        fa_new_args own;                                                                                               \
        return fa_create_like(x, args, #name "_like", &shape, &own) ? fa_##name##_at(shape, &own) : NULL;              \
    }

DEFINE_LIKE(empty)
DEFINE_LIKE(zeros)
DEFINE_LIKE(ones)

fa_tensor *fa_full_like_at(fa_tensor *x, double value, const fa_new_args *args)
{
    fa_shape shape;
    fa_new_args own;
    return fa_create_like(x, args, "full_like", &shape, &own) ? fa_full_at(shape, value, &own) : NULL;
}
