/* A file's bytes in one block, or how many there are. */
#ifndef FA_VISION_WHOLE_FILE_H
#define FA_VISION_WHOLE_FILE_H

#include "base/error.h"

/* Reads a regular file of at most `most` bytes; a zero byte lies behind them. NULL after an error (FA_FILE_ERROR),
 * which names the file. fa_mfree it. */
uint8_t *fa_read_whole_file(const char *path, size_t most, const char *what, fa_where where, size_t *size);
/* 0 where that cannot be told. */
uint64_t fa_file_size(const char *path);

#endif
