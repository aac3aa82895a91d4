/* The types of elements that files have. */
#include "files/stored.h"

const fa_stored_type fa_stored_types[FA_STORED_COUNT] = {
    [FA_STORED_FLOAT32] = {"float32", "FloatStorage", "F32", 4, FA_DT_FLOAT32},
    [FA_STORED_FLOAT64] = {"float64", "DoubleStorage", "F64", 8, FA_DT_FLOAT64},
    [FA_STORED_INT64] = {"int64", "LongStorage", "I64", 8, FA_DT_INT64},
    [FA_STORED_INT32] = {"int32", "IntStorage", "I32", 4, FA_DT_INT32},
    [FA_STORED_UINT8] = {"uint8", "ByteStorage", "U8", 1, FA_DT_UINT8},
    [FA_STORED_BOOL] = {"bool", "BoolStorage", "BOOL", 1, FA_DT_BOOL},
    [FA_STORED_BFLOAT16] = {"bfloat16", "BFloat16Storage", "BF16", 2, FA_DT_BFLOAT16},
    [FA_STORED_FLOAT16] = {"float16", "HalfStorage", "F16", 2, FA_DT_FLOAT16},
    [FA_STORED_INT16] = {"int16", "ShortStorage", "I16", 2, FA_DT_INT32},
    [FA_STORED_INT8] = {"int8", "CharStorage", "I8", 1, FA_DT_INT32},
    [FA_STORED_UINT16] = {"uint16", NULL, "U16", 2, FA_DT_INT32},
    [FA_STORED_UINT32] = {"uint32", NULL, "U32", 4, FA_DT_INT64},
    [FA_STORED_UINT64] = {"uint64", NULL, "U64", 8, FA_DT_INT64},
    [FA_STORED_COMPLEX64] = {"complex64", "ComplexFloatStorage", "C64", 8, -1},
    [FA_STORED_COMPLEX128] = {"complex128", "ComplexDoubleStorage", NULL, 16, -1},
    [FA_STORED_FLOAT8_E4M3FN] = {"float8_e4m3fn", NULL, "F8_E4M3", 1, -1},
    [FA_STORED_FLOAT8_E5M2] = {"float8_e5m2", NULL, "F8_E5M2", 1, -1},
};
