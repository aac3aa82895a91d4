/* The readers of what torch.save writes, zip archives and the older form, told apart as fa_load does. */
#include "fuzz_formats.h"

#include "files/pth_reader.h"

#include <libdeflate.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (fa_is_pth_zip(data, size))
        fuzz_format(data, size, fa_pth_load);
    else if (fa_is_pth_legacy(data, size))
        fuzz_format(data, size, fa_pth_legacy_load);
    return 0;
}

#ifdef FA_LIBFUZZER /* not in the program that runs the corpus alone */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t most);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed);

static uint32_t number_at(const uint8_t *p, int bytes)
{
    uint32_t x = 0;
    for (int i = 0; i < bytes; i++)
        x |= (uint32_t)p[i] << 8 * i;
    return x;
}

/* Every stored entry's checksum becomes that of its bytes, so that what was changed in a pickle is read. */
static void mend_checksums(uint8_t *data, size_t size)
{
    for (size_t at = 0; at + 46 <= size; at++) {
        if (memcmp(data + at, "PK\1\2", 4) != 0)
            continue;
        const size_t local = number_at(data + at + 42, 4), bytes = number_at(data + at + 20, 4);
        if (local > size || size - local < 30)
            continue;
        const size_t begin = local + 30 + number_at(data + local + 26, 2) + number_at(data + local + 28, 2);
        if (begin > size || bytes > size - begin)
            continue;
        const uint32_t crc = libdeflate_crc32(0, data + begin, bytes);
        for (int i = 0; i < 4; i++)
            data[at + 16 + (size_t)i] = (uint8_t)(crc >> 8 * i);
        if (number_at(data + local + 14, 4) != 0)
            memcpy(data + local + 14, data + at + 16, 4);
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    const bool zip = fa_is_pth_zip(data, size);
    if (zip && seed % 4 != 0) { /* without moving what the directory points at: a part of it is changed in its place */
        const size_t length = size < 64 ? size : 16 + seed / 4 % 48, begin = seed / 256 % (size - length + 1);
        uint8_t part[64];
        memcpy(part, data + begin, length);
        const size_t changed = LLVMFuzzerMutate(part, length, length);
        memcpy(data + begin, part, changed);
    } else {
        size = LLVMFuzzerMutate(data, size, most);
    }
    if (zip && seed % 8 != 1)
        mend_checksums(data, size);
    return size;
}

#endif
