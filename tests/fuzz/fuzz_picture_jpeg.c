/* Pictures in JPEG. */
#include "fuzz_pictures.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3 || memcmp(data, "\xff\xd8\xff", 3) != 0)
        return -1; /* another format: not for this corpus */
    fuzz_picture(data, size, "JPEG");
    return 0;
}
