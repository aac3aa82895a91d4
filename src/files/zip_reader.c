/* Reading zip archives: the directory, then entries in pieces on all threads. */
#include "files/zip_reader.h"

#include "base/error.h"
#include "base/pool.h"
#include "files/foreign.h"

#include <errno.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    END_BYTES = 22,
    END64_BYTES = 56,
    LOCATOR_BYTES = 20,
    ENTRY_BYTES = 46,
    LOCAL_BYTES = 30,
    MOST_COMMENT = 65535,
    MOST_PACKED = 1032, /* deflate never packs better than 1032 : 1 */
    MOST_DIRECTORY = 1 << 28,
    ENCRYPTED = 1,
    SIZES_LATER = 8
};

#define REFUSE(f, ...) fa_fail(FA_FILE_ERROR, (f)->where, (f)->what, __VA_ARGS__)

static uint16_t u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static uint32_t u32(const uint8_t *p)
{
    return (uint32_t)u16(p) | (uint32_t)u16(p + 2) << 16;
}
static uint64_t u64(const uint8_t *p)
{
    return (uint64_t)u32(p) | (uint64_t)u32(p + 4) << 32;
}

/* ---- The end record -----------------------------------------------------------------------------------------------
 */

typedef struct end_record {
    uint64_t at;                  /* of the first end record */
    uint64_t count, bytes, begin; /* of the directory */
} end_record;

static bool read_end64(const fa_open_file *f, uint64_t end_at, end_record *end)
{
    uint8_t locator[LOCATOR_BYTES], record[END64_BYTES];
    if (end_at < LOCATOR_BYTES + END64_BYTES)
        return true;
    if (!fa_file_read(f, locator, end_at - LOCATOR_BYTES, sizeof locator))
        return false;
    if (u32(locator) != 0x07064b50)
        return true;
    uint64_t at = u64(locator + 8);
    if (at > end_at - LOCATOR_BYTES - END64_BYTES)
        return REFUSE(f, "%s is damaged: its zip64 end record would lie at byte %llu of %llu.", f->path,
                      (unsigned long long)at, (unsigned long long)f->bytes);
    if (!fa_file_read(f, record, at, sizeof record))
        return false;
    uint64_t count = u64(record + 32), bytes = u64(record + 40), begin = u64(record + 48);
    bool agrees = u32(record) == 0x06064b50 && u32(record + 16) == 0 && u64(record + 24) == count &&
                  (end->count == UINT16_MAX || end->count == count) &&
                  (end->bytes == UINT32_MAX || end->bytes == bytes) &&
                  (end->begin == UINT32_MAX || end->begin == begin);
    if (!agrees)
        return REFUSE(f, "%s is damaged: its two zip end records do not agree.", f->path);
    *end = (end_record){.at = at, .count = count, .bytes = bytes, .begin = begin};
    return true;
}

static bool read_end(const fa_open_file *f, end_record *end)
{
    const size_t tail = f->bytes < END_BYTES + MOST_COMMENT ? (size_t)f->bytes : END_BYTES + MOST_COMMENT;
    uint8_t *bytes = fa_malloc(tail);
    if (bytes == NULL)
        return fa_fail_memory(f->where, tail);
    if (!fa_file_read(f, bytes, f->bytes - tail, tail)) {
        fa_mfree(bytes);
        return false;
    }
    const uint8_t *found = NULL;
    for (size_t back = END_BYTES; back <= tail && found == NULL; back++) {
        const uint8_t *p = bytes + tail - back;
        if (u32(p) == 0x06054b50 && u16(p + 20) == back - END_BYTES)
            found = p;
    }
    bool disks = found != NULL && (u16(found + 4) != 0 || u16(found + 6) != 0 || u16(found + 8) != u16(found + 10));
    if (found != NULL)
        *end = (end_record){.at = f->bytes - tail + (uint64_t)(found - bytes),
                            .count = u16(found + 10),
                            .bytes = u32(found + 12),
                            .begin = u32(found + 16)};
    fa_mfree(bytes);
    if (found == NULL)
        return REFUSE(f, "%s is cut short: no zip end record (have %llu bytes). Hint: fetch or save it again.", f->path,
                      (unsigned long long)f->bytes);
    if (disks)
        return REFUSE(f, "%s is damaged: its zip end record speaks of several disks.", f->path);
    if (!read_end64(f, end->at, end))
        return false;
    if (end->begin > end->at || end->bytes > end->at - end->begin || end->bytes > MOST_DIRECTORY ||
        end->count > end->bytes / ENTRY_BYTES)
        return REFUSE(f,
                      "%s is damaged or cut short: %llu entries in a directory of %llu bytes at %llu do not fit a file "
                      "of %llu bytes. Hint: fetch or save it again.",
                      f->path, (unsigned long long)end->count, (unsigned long long)end->bytes,
                      (unsigned long long)end->begin, (unsigned long long)f->bytes);
    return true;
}

/* ---- The directory ------------------------------------------------------------------------------------------------
 */

/* The part of a name that may be shown. */
static const char *shown(const char *name, size_t length, char text[65])
{
    size_t n = length < 64 ? length : 64;
    for (size_t i = 0; i < n; i++)
        text[i] = (char)(name[i] >= 32 && name[i] < 127 ? name[i] : '.');
    text[n] = 0;
    return text;
}

/* Sizes and offset that the 32-bit fields leave to the zip64 extra field. */
static bool read_extra(const uint8_t *extra, size_t length, fa_zip_entry *entry)
{
    bool bytes = entry->bytes == UINT32_MAX, packed = entry->packed == UINT32_MAX, header = entry->header == UINT32_MAX;
    if (!bytes && !packed && !header)
        return true;
    for (size_t at = 0; at + 4 <= length;) {
        size_t size = u16(extra + at + 2);
        const uint8_t *p = extra + at + 4;
        if (size > length - at - 4)
            return false;
        if (u16(extra + at) == 1) {
            uint64_t *const fields[3] = {&entry->bytes, &entry->packed, &entry->header};
            const bool wanted[3] = {bytes, packed, header};
            for (int i = 0; i < 3; i++) {
                if (!wanted[i])
                    continue;
                if (size < 8)
                    return false;
                *fields[i] = u64(p);
                p += 8;
                size -= 8;
            }
            return true;
        }
        at += 4 + size;
    }
    return false;
}

/* The local header must say what the directory says. Sets where the content lies. */
static bool check_local(const fa_open_file *f, fa_zip_entry *entry, const char *name, size_t length, uint64_t limit,
                        uint8_t *room)
{
    char text[65];
    if (entry->header > limit || limit - entry->header < LOCAL_BYTES + length)
        return REFUSE(f, "%s is damaged: the header of its entry %s would lie outside of it (byte %llu of %llu).",
                      f->path, shown(name, length, text), (unsigned long long)entry->header,
                      (unsigned long long)f->bytes);
    if (!fa_file_read(f, room, entry->header, LOCAL_BYTES + length))
        return false;
    const uint16_t flags = u16(room + 6), method = u16(room + 8);
    const uint32_t crc = u32(room + 14), packed = u32(room + 18), bytes = u32(room + 22);
    /* Sizes and CRC of 0 stand for those behind the content; 2^32 - 1 for those in an extra field. */
    const bool later = (flags & SIZES_LATER) != 0;
    const bool agrees = u32(room) == 0x04034b50 && method == (entry->deflated ? 8 : 0) && u16(room + 26) == length &&
                        memcmp(room + LOCAL_BYTES, name, length) == 0 && (crc == entry->crc || (later && crc == 0)) &&
                        (packed == entry->packed || packed == UINT32_MAX || (later && packed == 0)) &&
                        (bytes == entry->bytes || bytes == UINT32_MAX || (later && bytes == 0));
    if (!agrees)
        return REFUSE(f, "%s is damaged: what stands at the entry %s is not what its directory says.", f->path,
                      shown(name, length, text));
    entry->offset = entry->header + LOCAL_BYTES + length + u16(room + 28);
    if (entry->offset > limit || entry->packed > limit - entry->offset)
        return REFUSE(f, "%s is damaged or cut short: its entry %s would end at byte %llu of %llu.", f->path,
                      shown(name, length, text), (unsigned long long)(entry->offset + entry->packed),
                      (unsigned long long)f->bytes);
    return true;
}

/* One record of the directory, of `left` bytes; its length, 0 after an error. */
static size_t read_entry(const fa_open_file *f, const uint8_t *p, size_t left, fa_zip_entry *entry, const char **name,
                         size_t *length)
{
    char text[65];
    size_t whole = left >= ENTRY_BYTES ? (size_t)ENTRY_BYTES + u16(p + 28) + u16(p + 30) + u16(p + 32) : SIZE_MAX;
    if (whole > left || u32(p) != 0x02014b50) {
        REFUSE(f, "%s is damaged: its zip directory ends early or holds something else.", f->path);
        return 0;
    }
    *name = (const char *)p + ENTRY_BYTES;
    *length = u16(p + 28);
    *entry = (fa_zip_entry){.crc = u32(p + 16),
                            .packed = u32(p + 20),
                            .bytes = u32(p + 24),
                            .header = u32(p + 42),
                            .deflated = u16(p + 10) == 8};
    bool fits = read_extra(p + ENTRY_BYTES + *length, u16(p + 30), entry);
    if (*length == 0 || memchr(*name, 0, *length) != NULL || !fits || u16(p + 34) != 0)
        REFUSE(f, "%s is damaged: entry %s of its zip directory makes no sense.", f->path, shown(*name, *length, text));
    else if ((u16(p + 8) & ENCRYPTED) != 0)
        REFUSE(f, "%s: the entry %s is encrypted, which cannot be read.", f->path, shown(*name, *length, text));
    else if (u16(p + 10) != 0 && u16(p + 10) != 8)
        REFUSE(f, "%s: the entry %s is packed by method %d; stored and deflated ones can be read.", f->path,
               shown(*name, *length, text), u16(p + 10));
    else if (entry->deflated ? entry->bytes / MOST_PACKED > entry->packed : entry->bytes != entry->packed)
        REFUSE(f, "%s is damaged: the entry %s claims %llu bytes from %llu.", f->path, shown(*name, *length, text),
               (unsigned long long)entry->bytes, (unsigned long long)entry->packed);
    else
        return whole;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const fa_zip_entry *)a)->name, ((const fa_zip_entry *)b)->name);
}

static int by_place(const void *a, const void *b)
{
    uint64_t x = ((const fa_zip_entry *)a)->header, y = ((const fa_zip_entry *)b)->header;
    return x < y ? -1 : x > y;
}

/* No two entries share bytes, no two a name. */
static bool check_all(const fa_open_file *f, fa_zip *zip)
{
    char text[65];
    qsort(zip->entry, (size_t)zip->count, sizeof *zip->entry, by_place);
    for (int64_t i = 1; i < zip->count; i++)
        if (zip->entry[i].header < zip->entry[i - 1].offset + zip->entry[i - 1].packed)
            return REFUSE(f, "%s is damaged: two entries of it lie over one another, one of them %s.", f->path,
                          shown(zip->entry[i].name, strlen(zip->entry[i].name), text));
    qsort(zip->entry, (size_t)zip->count, sizeof *zip->entry, by_name);
    for (int64_t i = 1; i < zip->count; i++)
        if (strcmp(zip->entry[i].name, zip->entry[i - 1].name) == 0)
            return REFUSE(f, "%s holds two entries called %s, needs one. Hint: a damaged or hostile file.", f->path,
                          shown(zip->entry[i].name, strlen(zip->entry[i].name), text));
    return true;
}

static bool read_directory(fa_zip *zip, const end_record *end)
{
    const fa_open_file *f = zip->file;
    uint8_t *room = fa_malloc(LOCAL_BYTES + UINT16_MAX);
    zip->directory = fa_malloc((size_t)end->bytes + 1);
    zip->entry = fa_calloc((size_t)end->count, sizeof *zip->entry);
    bool fine = room != NULL && zip->directory != NULL && zip->entry != NULL;
    if (!fine)
        fa_fail_memory(f->where, (size_t)end->bytes);
    fine = fine && fa_file_read(f, zip->directory, end->begin, (size_t)end->bytes);
    size_t at = 0, folder = 0;
    const char *first = NULL;
    for (uint64_t i = 0; fine && i < end->count; i++) {
        const char *name;
        size_t length, whole;
        fa_zip_entry *entry = &zip->entry[zip->count];
        whole = read_entry(f, zip->directory + at, (size_t)end->bytes - at, entry, &name, &length);
        fine = whole > 0;
        if (!fine)
            break;
        if (first == NULL) {
            const char *slash = memchr(name, '/', length);
            first = name;
            folder = slash != NULL ? (size_t)(slash - name) + 1 : 0;
        }
        if (folder == 0 || length < folder || memcmp(name, first, folder) != 0)
            fine = fa_refuse_foreign_zip(f, name, length);
        else
            fine = check_local(f, entry, name, length, end->begin, room);
        /* The name ends with a zero byte, written over what comes behind it: the record has been read. */
        char *rest = (char *)zip->directory + at + ENTRY_BYTES;
        memmove(rest - 1, rest, length);
        rest[length - 1] = 0;
        entry->name = rest - 1 + folder;
        if (i == 0)
            first = rest - 1;
        zip->count += fine && length > folder; /* not the folder itself */
        at += whole;
    }
    fa_mfree(room);
    if (fine && at != end->bytes)
        fine = REFUSE(f, "%s is damaged: its zip directory is longer than its entries.", f->path);
    if (fine && zip->count == 0)
        fine = REFUSE(f, "%s is a zip file without entries, needs one that torch.save wrote.", f->path);
    return fine && check_all(f, zip);
}

bool fa_zip_open(fa_zip *zip, const fa_open_file *file)
{
    *zip = (fa_zip){.file = file};
    end_record end = {0};
    return read_end(file, &end) && read_directory(zip, &end);
}

void fa_zip_close(fa_zip *zip)
{
    fa_mfree(zip->entry);
    fa_mfree(zip->directory);
    *zip = (fa_zip){.file = zip->file};
}

fa_zip_entry *fa_zip_find(const fa_zip *zip, const char *name)
{
    const fa_zip_entry key = {.name = name};
    return bsearch(&key, zip->entry, (size_t)zip->count, sizeof key, by_name);
}

/* ---- CRC of pieces ------------------------------------------------------------------------------------------------
 */

/* Polynomials over GF(2) modulo the CRC's own, bits reversed: bit 31 is x^0. */
static uint32_t times(uint32_t a, uint32_t b)
{
    uint32_t product = 0;
    for (int bit = 31; bit >= 0; bit--) {
        product ^= (a >> bit & 1) != 0 ? b : 0;
        b = b >> 1 ^ ((b & 1) != 0 ? 0xedb88320 : 0);
    }
    return product;
}

uint32_t fa_crc32_join(uint32_t first, uint32_t second, uint64_t bytes)
{
    /* Moving `first` by n bytes multiplies it by x^(8 n). */
    uint32_t power = UINT32_C(1) << 23; /* x^8 */
    for (; bytes > 0; bytes >>= 1) {
        if ((bytes & 1) != 0)
            first = times(first, power);
        power = times(power, power);
    }
    return first ^ second;
}

/* ---- Reading ------------------------------------------------------------------------------------------------------
 */

/* A part of a stored entry, or a whole deflated one. */
typedef struct piece {
    const fa_zip_job *job;
    uint64_t begin;
    size_t bytes;
    uint32_t crc;
    int error; /* errno; -1: cut short; -2: no memory; -3: damaged */
} piece;

enum { CUT_SHORT = -1, NO_MEMORY = -2, DAMAGED = -3, PIECE_BYTES = 1 << 20, TOUCHED_BYTES = 1 << 17 };

typedef struct reading {
    const fa_open_file *file;
    piece *pieces;
} reading;

static int read_bytes(int fd, void *to, uint64_t from, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t got = pread(fd, (char *)to + done, bytes - done, (off_t)(from + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? errno : CUT_SHORT;
        done += (size_t)got;
    }
    return 0;
}

static int unpack(int fd, const fa_zip_entry *entry, void *to)
{
    uint8_t *packed = fa_malloc((size_t)entry->packed);
    struct libdeflate_decompressor *inflate = libdeflate_alloc_decompressor();
    size_t used = 0;
    int error =
        packed != NULL && inflate != NULL ? read_bytes(fd, packed, entry->offset, (size_t)entry->packed) : NO_MEMORY;
    if (error == 0 && (libdeflate_deflate_decompress_ex(inflate, packed, (size_t)entry->packed, to,
                                                        (size_t)entry->bytes, &used, NULL) != LIBDEFLATE_SUCCESS ||
                       used != entry->packed))
        error = DAMAGED;
    if (inflate != NULL)
        libdeflate_free_decompressor(inflate);
    fa_mfree(packed);
    return error;
}

/* Read and summed up in turn, while the bytes are near. */
static void read_piece(void *context, int64_t i)
{
    const reading *r = context;
    piece *p = &r->pieces[i];
    const fa_zip_entry *entry = p->job->entry;
    char *to = (char *)p->job->to + p->begin;
    if (entry->deflated) {
        p->error = unpack(r->file->fd, entry, to);
        p->crc = p->error == 0 ? libdeflate_crc32(0, to, p->bytes) : 0;
        return;
    }
    for (size_t done = 0; done < p->bytes && p->error == 0; done += TOUCHED_BYTES) {
        size_t bytes = p->bytes - done < TOUCHED_BYTES ? p->bytes - done : TOUCHED_BYTES;
        p->error = read_bytes(r->file->fd, to + done, entry->offset + p->begin + done, bytes);
        p->crc = libdeflate_crc32(p->crc, to + done, bytes);
    }
}

static bool report(const fa_open_file *f, const piece *p)
{
    const char *name = p->job->entry->name;
    char text[65];
    name = shown(name, strlen(name), text);
    switch (p->error) {
    case CUT_SHORT:
        return REFUSE(f, "%s became shorter while it was read (in its entry %s).", f->path, name);
    case NO_MEMORY:
        return fa_fail_memory(f->where, (size_t)p->job->entry->packed);
    case DAMAGED:
        return REFUSE(f, "%s is damaged: its entry %s cannot be unpacked. Hint: fetch or save it again.", f->path,
                      name);
    default:
        return REFUSE(f, "could not read %s: %s.", f->path, strerror(p->error));
    }
}

static int64_t pieces_of(const fa_zip_entry *entry)
{
    return entry->deflated ? 1 : (int64_t)(entry->bytes / PIECE_BYTES) + 1;
}

bool fa_zip_read(const fa_zip *zip, const fa_zip_job *jobs, int64_t count)
{
    const fa_open_file *f = zip->file;
    int64_t n = 0, at = 0;
    uint64_t all = 0;
    for (int64_t i = 0; i < count; i++) {
        n += pieces_of(jobs[i].entry);
        all += jobs[i].entry->bytes;
    }
    piece *pieces = fa_calloc((size_t)n, sizeof *pieces);
    if (pieces == NULL)
        return fa_fail_memory(f->where, (size_t)n * sizeof *pieces);
    for (int64_t i = 0; i < count; i++)
        for (int64_t k = 0, last = pieces_of(jobs[i].entry) - 1; k <= last; k++)
            pieces[at++] =
                (piece){.job = &jobs[i],
                        .begin = (uint64_t)k * PIECE_BYTES,
                        .bytes = k < last ? PIECE_BYTES : (size_t)(jobs[i].entry->bytes - (uint64_t)k * PIECE_BYTES)};
    reading r = {.file = f, .pieces = pieces};
    if (all > TOUCHED_BYTES)
        fa_parallel(n, read_piece, &r);
    else
        for (int64_t i = 0; i < n; i++)
            read_piece(&r, i);
    bool fine = true;
    uint32_t crc = 0;
    for (int64_t i = 0; fine && i < n; i++) {
        const fa_zip_entry *entry = pieces[i].job->entry;
        crc = pieces[i].begin == 0 ? pieces[i].crc : fa_crc32_join(crc, pieces[i].crc, pieces[i].bytes);
        char text[65];
        if (pieces[i].error != 0)
            fine = report(f, &pieces[i]);
        else if (pieces[i].begin + pieces[i].bytes == entry->bytes && crc != entry->crc)
            fine = REFUSE(f,
                          "%s is damaged: the checksum of its entry %s is %08x, its bytes give %08x. Hint: fetch or "
                          "save it again; .mmap = true does not look at checksums.",
                          f->path, shown(entry->name, strlen(entry->name), text), entry->crc, crc);
    }
    fa_mfree(pieces);
    return fine;
}
