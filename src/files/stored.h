/* Types of elements as files store them: those of fa_dtype under the same numbers, and more that are converted. */
#ifndef FA_FILES_STORED_H
#define FA_FILES_STORED_H

#include "base/opdef.h"

typedef enum fa_stored {
    FA_STORED_FLOAT32 = FA_DT_FLOAT32,
    FA_STORED_FLOAT64 = FA_DT_FLOAT64,
    FA_STORED_INT64 = FA_DT_INT64,
    FA_STORED_INT32 = FA_DT_INT32,
    FA_STORED_UINT8 = FA_DT_UINT8,
    FA_STORED_BOOL = FA_DT_BOOL,
    FA_STORED_BFLOAT16 = FA_DT_BFLOAT16,
    FA_STORED_FLOAT16 = FA_DT_FLOAT16,
    /* Converted when a tensor is asked for: to int32, and those of 32 and 64 bits to int64. */
    FA_STORED_INT16 = FA_DT_COUNT,
    FA_STORED_INT8,
    FA_STORED_UINT16,
    FA_STORED_UINT32,
    FA_STORED_UINT64,
    /* Named, measured, and refused when a tensor is asked for. */
    FA_STORED_COMPLEX64,
    FA_STORED_COMPLEX128,
    FA_STORED_FLOAT8_E4M3FN,
    FA_STORED_FLOAT8_E5M2,
    FA_STORED_COUNT
} fa_stored;

typedef struct fa_stored_type {
    const char *name;        /* PyTorch's dtype: "int16" */
    const char *storage;     /* PyTorch's storage class: "ShortStorage"; NULL where it has none (_rebuild_tensor_v3) */
    const char *safetensors; /* "I16" */
    uint8_t size;            /* bytes of an element */
    int8_t dtype;            /* the fa_dtype it becomes; -1: none */
} fa_stored_type;
extern const fa_stored_type fa_stored_types[FA_STORED_COUNT];

#endif
