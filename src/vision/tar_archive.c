/* Reading .tar.gz: gzip is undone in memory, then come headers of 512 bytes, each before its file's bytes, which are
 * filled up to a multiple of 512. Only the names that are asked for become files, so what an archive says of other
 * places does not matter. */
#include "vision/tar_archive.h"

#include "base/memory.h"
#include "files/atomic.h"
#include "vision/whole_file.h"

#include <libdeflate.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 512, NAME = 100, SIZE_AT = 124, SIZE_DIGITS = 12, MOST_PACKED = 1032 };
static const size_t most_bytes = (size_t)1 << 30;

typedef struct archive {
    const char *path, *what;
    fa_where where;
} archive;

static bool damaged(const archive *a)
{
    return fa_fail(FA_FILE_ERROR, a->where, a->what, "%s is damaged. Hint: remove it and fetch it again.", a->path);
}

/* The archive without gzip; fa_mfree it. NULL after an error. */
static uint8_t *unpack(const archive *a, size_t *size)
{
    size_t packed_size, got = 0;
    uint8_t *packed = fa_read_whole_file(a->path, most_bytes, a->what, a->where, &packed_size);
    if (packed == NULL)
        return NULL;
    /* The last four bytes are the size. */
    const uint8_t *end = packed + packed_size;
    *size =
        packed_size < 18 ? 0 : (size_t)end[-4] | (size_t)end[-3] << 8 | (size_t)end[-2] << 16 | (size_t)end[-1] << 24;
    bool fine = *size > 0 && *size <= most_bytes && *size / MOST_PACKED <= packed_size;
    uint8_t *bytes = fine ? fa_malloc(*size) : NULL;
    struct libdeflate_decompressor *inflate = fine ? libdeflate_alloc_decompressor() : NULL;
    if (fine && (bytes == NULL || inflate == NULL))
        fa_fail_memory(a->where, *size);
    else if (!fine || libdeflate_gzip_decompress(inflate, packed, packed_size, bytes, *size, &got) != 0 || got != *size)
        damaged(a);
    libdeflate_free_decompressor(inflate);
    fa_mfree(packed);
    if (fa_ok())
        return bytes;
    fa_mfree(bytes);
    return NULL;
}

/* Octal digits, with blanks around them. */
static bool read_size(const uint8_t *header, size_t *size)
{
    const uint8_t *digit = header + SIZE_AT, *end = digit + SIZE_DIGITS;
    *size = 0;
    while (digit < end && *digit == ' ')
        digit++;
    for (; digit < end && *digit >= '0' && *digit <= '7'; digit++)
        *size = *size * 8 + (size_t)(*digit - '0');
    return digit == end || *digit == 0 || *digit == ' ';
}

/* Which of the names a member has; -1: none. */
static int name_of(const uint8_t *header, const char *folder, const char *const *names)
{
    char name[NAME + 1], wanted[2 * NAME];
    memcpy(name, header, NAME);
    name[NAME] = 0;
    for (int i = 0; names[i] != NULL; i++) {
        snprintf(wanted, sizeof wanted, "%s/%s", folder, names[i]);
        if (strcmp(name, wanted) == 0)
            return i;
    }
    return -1;
}

static bool write_member(const archive *a, const char *to, const char *folder, const char *name, const uint8_t *bytes,
                         size_t size)
{
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/%s", to, folder);
    if (length < 0 || length >= (int)sizeof path - NAME || !fa_make_folders(path, a->what, a->where))
        return fa_fail(FA_VALUE_ERROR, a->where, a->what, "got a folder of %zu bytes, needs a shorter one.",
                       strlen(to));
    snprintf(path + length, sizeof path - (size_t)length, "/%s", name);
    return fa_atomic_write_file(path, bytes, size, a->what, a->where);
}

static bool walk(const archive *a, const uint8_t *bytes, size_t size, const char *folder, const char *const *names,
                 const char *to)
{
    unsigned seen = 0;
    size_t at = 0, n;
    while (size - at >= BLOCK && bytes[at] != 0) {
        const uint8_t *header = bytes + at;
        at += BLOCK;
        if (!read_size(header, &n) || n > size - at)
            return damaged(a);
        int i = name_of(header, folder, names);
        if (i >= 0 && !write_member(a, to, folder, names[i], bytes + at, n))
            return false;
        seen |= i >= 0 ? 1u << i : 0;
        size_t padded = (n + BLOCK - 1) / BLOCK * BLOCK;
        at = padded < size - at ? at + padded : size;
    }
    for (int i = 0; names[i] != NULL; i++)
        if ((seen >> i & 1) == 0)
            return fa_fail(FA_FILE_ERROR, a->where, a->what, "got no %s/%s in %s, needs it there.", folder, names[i],
                           a->path);
    return true;
}

bool fa_unpack_tar(const char *path, const char *folder, const char *const *names, const char *to, const char *what,
                   fa_where where)
{
    const archive a = {path, what, where};
    size_t size;
    uint8_t *bytes = unpack(&a, &size);
    bool fine = bytes != NULL && walk(&a, bytes, size, folder, names, to);
    fa_mfree(bytes);
    return fine;
}
