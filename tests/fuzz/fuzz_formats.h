/* Bytes as an open file, read by one of the smaller formats' readers with and without mapping; what comes out is walked
 * and its tensors are read. */
#ifndef FA_FUZZ_FORMATS_H
#define FA_FUZZ_FORMATS_H

#define _GNU_SOURCE /* memfd_create */

#include "facula.h"
#include "files/formats.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Reads every element, so that a tensor that leaves the file is found. */
static inline void fuzz_tensor(fa_value *value)
{
    fa_tensor_info info;
    fa_tensor_range range;
    if (fa_kind_of(value) == FA_VALUE_TENSOR && fa_tensor_info_at(value, &info, FA_HERE) && info.bytes < 1 << 22)
        fa_tensor_range_at(value, &range, FA_HERE);
}

static inline void fuzz_value(fa_value *value)
{
    fuzz_tensor(value);
    for (int64_t i = 0; fa_kind_of(value) == FA_VALUE_DICT && i < fa_len(value); i++)
        fuzz_tensor(fa_value_at(value, i));
}

/* Whatever the bytes are: a value, or an error with a message that names the file. */
static inline void fuzz_format(const uint8_t *data, size_t size, fa_value *(*read)(const fa_open_file *file))
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || (size > 0 && write(fd, data, size) != (ssize_t)size))
        abort();
    for (int mmap = 0; mmap < 2; mmap++)
        fa_scope {
            fa_open_file file = {fd, size, "fuzzed file", "load", FA_HERE, mmap};
            fa_value *value = read(&file);
            if ((value == NULL) != !fa_ok() || (value == NULL && strstr(fa_error(), "fuzzed file") == NULL))
                abort();
            if (value != NULL)
                fuzz_value(value);
            fa_clear_error();
        }
    close(fd);
}

#endif
