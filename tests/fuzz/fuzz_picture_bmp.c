/* Pictures in BMP. */
#include "fuzz_pictures.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || memcmp(data, "BM", 2) != 0)
        return -1; /* another format: not for this corpus */
    fuzz_picture(data, size, "BMP");
    return 0;
}
