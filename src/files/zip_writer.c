/* Writing zip archives as torch.save does. */
#include "files/zip_writer.h"

#include "base/error.h"
#include "base/memory.h"

#include <libdeflate.h>
#include <stdio.h>
#include <string.h>

enum {
    ALIGNMENT = 64,
    PIECE = 1 << 20, /* checksummed and handed on while it lies in the cache */
    LOCAL_HEADER = 30,
    CENTRAL_HEADER = 46,
    FLAG_DESCRIPTOR = 8,
    FLAG_UTF8 = 0x800
};

static const char folder[] = "archive/";

/* ---- Little-endian pieces ---------------------------------------------------------------------------------------- */

typedef struct bytes {
    uint8_t data[128];
    size_t length;
} bytes;

static void put(bytes *b, uint64_t value, int count)
{
    for (int i = 0; i < count; i++, value >>= 8)
        b->data[b->length++] = (uint8_t)value;
}

static void send(fa_zip_writer *zip, const bytes *b)
{
    fa_atomic_write(zip->file, b->data, b->length);
}

/* A field of 32 bits, or the mark that the value stands in the zip64 field. */
static uint64_t narrow(const fa_zip_writer *zip, uint64_t value)
{
    return value >= zip->large ? UINT32_MAX : value;
}

static bool is_large(const fa_zip_writer *zip, const fa_zip_written *r)
{
    return r->bytes >= zip->large || r->offset >= zip->large;
}

/* The zip64 field of a record, if it needs one: those of size, packed size and offset that do not fit. */
static void put_zip64(const fa_zip_writer *zip, bytes *b, const fa_zip_written *r)
{
    if (!is_large(zip, r))
        return;
    bool size = r->bytes >= zip->large, offset = r->offset >= zip->large;
    put(b, 1, 2);
    put(b, (size ? 16 : 0) + (offset ? 8 : 0), 2);
    if (size) {
        put(b, r->bytes, 8);
        put(b, r->bytes, 8);
    }
    if (offset)
        put(b, r->offset, 8);
}

static unsigned flags_of(const fa_zip_written *r)
{
    return FLAG_UTF8 | (r->bytes > 0 ? FLAG_DESCRIPTOR : 0);
}

/* ---- Records ----------------------------------------------------------------------------------------------------- */

void fa_zip_begin(fa_zip_writer *zip, fa_atomic_file *file)
{
    *zip = (fa_zip_writer){.file = file, .large = UINT32_MAX};
}

static fa_zip_written *add_record(fa_zip_writer *zip, const char *name)
{
    if (zip->count == zip->capacity) {
        int64_t capacity = zip->capacity * 2 + 16;
        fa_zip_written *grown = fa_realloc(zip->records, (size_t)capacity * sizeof *grown);
        if (grown == NULL)
            return NULL;
        zip->records = grown;
        zip->capacity = capacity;
    }
    size_t length = strlen(folder) + strlen(name) + 1;
    fa_zip_written *r = &zip->records[zip->count];
    *r = (fa_zip_written){.name = fa_malloc(length)};
    if (r->name == NULL)
        return NULL;
    snprintf(r->name, length, "%s%s", folder, name);
    zip->count++;
    return r;
}

void fa_zip_record_begin(fa_zip_writer *zip, const char *name, uint64_t size)
{
    if (zip->failed)
        return;
    fa_zip_written *r = add_record(zip, name);
    if (r == NULL) {
        zip->failed = true;
        fa_fail_memory(zip->file->where, sizeof *r);
        return;
    }
    r->offset = zip->file->written;
    r->bytes = size;
    r->crc = libdeflate_crc32(0, NULL, 0);
    zip->left = size;
    size_t name_length = strlen(r->name);
    bytes zip64 = {.length = 0}, head = {.length = 0};
    put_zip64(zip, &zip64, r);
    uint64_t start = r->offset + LOCAL_HEADER + name_length + zip64.length + 4;
    size_t padding = (ALIGNMENT - start % ALIGNMENT) % ALIGNMENT;
    put(&head, 0x04034b50, 4);
    put(&head, 0, 2); /* version */
    put(&head, flags_of(r), 2);
    put(&head, 0, 2 + 2 + 2); /* stored; no time, no date */
    put(&head, 0, 4);         /* checksum and sizes: in the descriptor */
    put(&head, 0, 8);
    put(&head, name_length, 2);
    put(&head, zip64.length + 4 + padding, 2);
    send(zip, &head);
    fa_atomic_write(zip->file, r->name, name_length);
    send(zip, &zip64);
    bytes extra = {.length = 0};
    put(&extra, 'F' | 'B' << 8, 2);
    put(&extra, padding, 2);
    memset(extra.data + extra.length, 'Z', padding);
    extra.length += padding;
    send(zip, &extra);
}

void fa_zip_record_write(fa_zip_writer *zip, const void *data, size_t size)
{
    if (zip->failed)
        return;
    fa_zip_written *r = &zip->records[zip->count - 1];
    const uint8_t *at = data;
    zip->left -= size;
    while (size > 0) {
        size_t piece = size < PIECE ? size : PIECE;
        r->crc = libdeflate_crc32(r->crc, at, piece);
        if (!fa_atomic_write(zip->file, at, piece)) {
            zip->failed = true;
            return;
        }
        at += piece;
        size -= piece;
    }
}

void fa_zip_record_end(fa_zip_writer *zip)
{
    if (zip->failed)
        return;
    const fa_zip_written *r = &zip->records[zip->count - 1];
    if (r->bytes == 0)
        return;
    int width = is_large(zip, r) ? 8 : 4;
    bytes b = {.length = 0};
    put(&b, 0x08074b50, 4);
    put(&b, r->crc, 4);
    put(&b, r->bytes, width);
    put(&b, r->bytes, width);
    send(zip, &b);
}

void fa_zip_record(fa_zip_writer *zip, const char *name, const void *data, size_t size)
{
    fa_zip_record_begin(zip, name, size);
    fa_zip_record_write(zip, data, size);
    fa_zip_record_end(zip);
}

/* ---- The directory ----------------------------------------------------------------------------------------------- */

static void send_entry(fa_zip_writer *zip, const fa_zip_written *r)
{
    bytes zip64 = {.length = 0}, b = {.length = 0};
    put_zip64(zip, &zip64, r);
    put(&b, 0x02014b50, 4);
    put(&b, 0, 2 + 2); /* versions: made by, needed */
    put(&b, flags_of(r), 2);
    put(&b, 0, 2 + 2 + 2); /* stored; no time, no date */
    put(&b, r->crc, 4);
    put(&b, narrow(zip, r->bytes), 4);
    put(&b, narrow(zip, r->bytes), 4);
    put(&b, strlen(r->name), 2);
    put(&b, zip64.length, 2);
    put(&b, 0, 2 + 2 + 2 + 4); /* comment, disk, attributes */
    put(&b, narrow(zip, r->offset), 4);
    send(zip, &b);
    fa_atomic_write(zip->file, r->name, strlen(r->name));
    send(zip, &zip64);
}

bool fa_zip_end(fa_zip_writer *zip)
{
    if (zip->failed)
        return false;
    uint64_t begin = zip->file->written, count = (uint64_t)zip->count;
    for (int64_t i = 0; i < zip->count; i++)
        send_entry(zip, &zip->records[i]);
    uint64_t end = zip->file->written;
    bytes b = {.length = 0};
    put(&b, 0x06064b50, 4); /* zip64 end of the directory */
    put(&b, 44, 8);
    put(&b, 0x031e, 2);
    put(&b, 45, 2);
    put(&b, 0, 4 + 4);
    put(&b, count, 8);
    put(&b, count, 8);
    put(&b, end - begin, 8);
    put(&b, begin, 8);
    put(&b, 0x07064b50, 4); /* where that stands */
    put(&b, 0, 4);
    put(&b, end, 8);
    put(&b, 1, 4);
    send(zip, &b);
    b.length = 0;
    put(&b, 0x06054b50, 4); /* end of the directory */
    put(&b, 0, 2 + 2);
    put(&b, count < UINT16_MAX ? count : UINT16_MAX, 2);
    put(&b, count < UINT16_MAX ? count : UINT16_MAX, 2);
    put(&b, narrow(zip, end - begin), 4);
    put(&b, narrow(zip, begin), 4);
    put(&b, 0, 2);
    send(zip, &b);
    return !zip->file->failed;
}

void fa_zip_free(fa_zip_writer *zip)
{
    for (int64_t i = 0; i < zip->count; i++)
        fa_mfree(zip->records[i].name);
    fa_mfree(zip->records);
    *zip = (fa_zip_writer){.failed = true};
}

void fa_zip_fingerprint(const fa_zip_writer *zip, char digits[41])
{
    uint64_t names = UINT64_C(0xcbf29ce484222325), contents = names; /* FNV-1a */
    const uint64_t prime = UINT64_C(0x100000001b3);
    for (int64_t i = 0; i < zip->count; i++) {
        const fa_zip_written *r = &zip->records[i];
        for (const char *c = r->name; *c != '\0'; c++)
            names = (names ^ (uint8_t)*c) * prime;
        contents = (contents ^ r->crc) * prime;
        contents = (contents ^ r->bytes) * prime;
    }
    snprintf(digits, 41, "%020llu%020llu", (unsigned long long)names, (unsigned long long)contents);
}
