/* MD5 (RFC 1321): what the known data sets' files are checked with after they were fetched. No protection against
 * anyone who wants two files to look alike. */
#ifndef FA_BASE_MD5_H
#define FA_BASE_MD5_H

#include <stddef.h>
#include <stdint.h>

typedef struct fa_md5 {
    uint32_t state[4];
    uint64_t bytes; /* so far */
    uint8_t block[64];
} fa_md5;

void fa_md5_begin(fa_md5 *md5);
void fa_md5_add(fa_md5 *md5, const void *data, size_t bytes);
/* 32 digits, and a 0. */
void fa_md5_end(fa_md5 *md5, char digits[33]);

#endif
