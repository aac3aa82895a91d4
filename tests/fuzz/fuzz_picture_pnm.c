/* Pictures in PNM. */
#include "fuzz_pictures.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || data[0] != 'P' || data[1] < '1' || data[1] > '6')
        return -1; /* another format: not for this corpus */
    fuzz_picture(data, size, "PNM");
    return 0;
}
