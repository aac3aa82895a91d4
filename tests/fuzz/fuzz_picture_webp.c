/* Pictures in WebP. */
#include "fuzz_pictures.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 15 || memcmp(data + 8, "WEBPVP8", 7) != 0)
        return -1; /* another format: not for this corpus */
    fuzz_picture(data, size, "WebP");
    return 0;
}
