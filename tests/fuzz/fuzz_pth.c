/* The readers of what torch.save writes, zip archives and the older form, told apart as fa_load does. */
#include "fuzz_formats.h"

#include "files/pth_reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (fa_is_pth_zip(data, size))
        fuzz_format(data, size, fa_pth_load);
    else if (fa_is_pth_legacy(data, size))
        fuzz_format(data, size, fa_pth_legacy_load);
    return 0;
}
