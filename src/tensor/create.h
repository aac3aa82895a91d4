/* What the functions that make tensors share. */
#ifndef FA_TENSOR_CREATE_H
#define FA_TENSOR_CREATE_H

#include "tensor/thread.h"

/* Memory for a tensor, not cleared; NULL after an error. */
fa_leaf *fa_create_leaf(fa_shape shape, fa_dtype dtype, bool requires_grad, const char *what);
/* The shape of x, and in `own` the arguments with its type filled in. False after an error. */
bool fa_create_like(fa_tensor *x, const fa_new_args *args, const char *what, fa_shape *shape, fa_new_args *own);
/* A handle in the current scope for a leaf whose reference is handed over (NULL: gives NULL). */
fa_tensor *fa_create_handle(fa_leaf *leaf);
/* n elements, each values[i % period], converted. */
void fa_store_numbers(void *data, int dtype, int64_t n, const double *values, int64_t period);

#endif
