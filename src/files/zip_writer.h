/* The zip archive that torch.save writes: records in one folder, stored, each record's bytes at a multiple of 64,
 * checksums and sizes behind the bytes. Nothing is kept in memory but the list of records.
 *
 * The folder is always "archive", as when torch.save writes to a stream, so that the bytes do not depend on the file's
 * name. */
#ifndef FA_FILES_ZIP_WRITER_H
#define FA_FILES_ZIP_WRITER_H

#include "files/atomic.h"

typedef struct fa_zip_written {
    char *name; /* with the folder */
    uint64_t offset, bytes;
    uint32_t crc;
} fa_zip_written;

typedef struct fa_zip_writer {
    fa_atomic_file *file;
    fa_zip_written *records;
    int64_t count, capacity;
    uint64_t left;  /* of the record that is being written */
    uint64_t large; /* sizes and offsets from here on are written in 64 bits: 2^32 - 1 (tests take less) */
    bool failed;
} fa_zip_writer;

/* Starts an archive at the file's beginning. */
void fa_zip_begin(fa_zip_writer *zip, fa_atomic_file *file);
/* A record of exactly `bytes` bytes, then those in any pieces. After an error the calls do nothing. */
void fa_zip_record_begin(fa_zip_writer *zip, const char *name, uint64_t bytes);
void fa_zip_record_write(fa_zip_writer *zip, const void *data, size_t bytes);
void fa_zip_record_end(fa_zip_writer *zip);
/* The three in one. */
void fa_zip_record(fa_zip_writer *zip, const char *name, const void *data, size_t bytes);
/* Writes the directory. False after any error since fa_zip_begin. */
bool fa_zip_end(fa_zip_writer *zip);
/* Gives back memory, in any case. */
void fa_zip_free(fa_zip_writer *zip);
/* 40 digits that follow from the names and bytes of the records so far. */
void fa_zip_fingerprint(const fa_zip_writer *zip, char digits[41]);

#endif
