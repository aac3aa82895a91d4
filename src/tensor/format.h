/* A tensor's text, as str(tensor) gives it in PyTorch. */
#ifndef FA_TENSOR_FORMAT_H
#define FA_TENSOR_FORMAT_H

#include "base/opdef.h"

/* What stands after the elements. */
typedef struct fa_format_suffix {
    const char *grad_fn; /* "MulBackward0": grad_fn=<MulBackward0>; NULL: none */
    bool requires_grad;  /* requires_grad=True, where there is no grad_fn */
    bool parameter;      /* "Parameter containing:" on a line before */
} fa_format_suffix;

/* Writes the text of row-major `data` into `text` as snprintf does: at most size - 1 bytes and a zero (nothing when
 * size is 0); returns the length needed without the zero. `suffix` may be NULL. The locale does not matter. Allocates
 * nothing. */
int64_t fa_format_tensor(char *text, size_t size, const fa_meta *meta, const void *data,
                         const fa_format_suffix *suffix);

#endif
