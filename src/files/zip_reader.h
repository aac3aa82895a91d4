/* Zip archives as torch.save and others write them: stored and deflated entries in one folder, zip64.
 *
 * Everything is compared before it is used: the end record, the directory and every local header must agree, names are
 * unique, entries lie inside the file and do not overlap. Reading an entry checks its CRC-32. */
#ifndef FA_FILES_ZIP_READER_H
#define FA_FILES_ZIP_READER_H

#include "files/formats.h"

typedef struct fa_zip_entry {
    const char *name; /* without the folder */
    uint64_t header;  /* where the local header lies */
    uint64_t offset;  /* where the content lies */
    uint64_t packed, bytes;
    uint32_t crc;
    bool deflated;
    void *user; /* the caller's own */
} fa_zip_entry;

typedef struct fa_zip {
    const fa_open_file *file;
    fa_zip_entry *entry; /* sorted by name */
    int64_t count;
    uint8_t *directory;
} fa_zip;

/* False after an error, which says what the file lacks. fa_zip_close in any case. */
bool fa_zip_open(fa_zip *zip, const fa_open_file *file);
void fa_zip_close(fa_zip *zip);
/* NULL, without an error, when there is none. */
fa_zip_entry *fa_zip_find(const fa_zip *zip, const char *name);

/* An entry that is to be read into memory of `entry->bytes` bytes. */
typedef struct fa_zip_job {
    const fa_zip_entry *entry;
    void *to;
} fa_zip_job;
/* Reads all of them, on all threads, and checks their CRCs. False after an error. */
bool fa_zip_read(const fa_zip *zip, const fa_zip_job *jobs, int64_t count);

/* CRC-32 of two pieces one after the other, from those of each; the second has `bytes` bytes. */
uint32_t fa_crc32_join(uint32_t first, uint32_t second, uint64_t bytes);

#endif
