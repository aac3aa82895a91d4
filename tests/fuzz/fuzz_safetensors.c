/* The safetensors reader. */
#include "fuzz_formats.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_format(data, size, fa_safetensors_load);
    fa_is_safetensors(data, size < 16 ? size : 16, size);
    return 0;
}
