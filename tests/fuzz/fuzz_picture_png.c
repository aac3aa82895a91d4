/* Pictures in PNG. */
#include "fuzz_pictures.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 8 || memcmp(data, "\x89PNG\r\n\x1a\n", 8) != 0)
        return -1; /* another format: not for this corpus */
    fuzz_picture(data, size, "PNG");
    return 0;
}
