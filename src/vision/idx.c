/* Reader of IDX files: everything is checked against the header, and the header against the file. */
#include "vision/idx.h"

#include "base/error.h"

#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HEADER_MAX = 4 + 4 * FA_IDX_MAX_DIMS,
    PEEK = HEADER_MAX + 258, /* a decoder that stops for want of room has written all but its last match (<= 258) */
    MOST_PACKED = 1032       /* deflate never packs better than 1032 : 1 */
};

typedef struct source {
    const char *path, *what;
    fa_where where;
    int file;
    size_t bytes; /* of the file */
} source;

#define REFUSE(s, ...) fa_fail(FA_FILE_ERROR, (s)->where, (s)->what, __VA_ARGS__)

/* Bytes [from, from + bytes) of the file. */
static bool read_bytes(const source *s, uint8_t *to, size_t from, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t got = pread(s->file, to + done, bytes - done, (off_t)(from + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return REFUSE(s, "could not read %s: %s.", s->path, strerror(errno));
        if (got == 0)
            return REFUSE(s, "%s ends early: want %zu bytes, got %zu.", s->path, s->bytes, from + done);
        done += (size_t)got;
    }
    return true;
}

static size_t header_bytes(int ndim)
{
    return 4 + 4 * (size_t)ndim;
}

static uint32_t big_endian(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The first bytes for a message: letters as they are, others as dots. */
static const char *shown(const uint8_t *bytes, size_t count, char text[9])
{
    size_t n = count < 8 ? count : 8;
    for (size_t i = 0; i < n; i++)
        text[i] = (char)(bytes[i] >= 32 && bytes[i] < 127 ? bytes[i] : '.');
    text[n] = 0;
    return text;
}

/* Reads the `got` first bytes of the content: sizes of the dimensions, and bytes that the whole content must have. */
static bool parse_header(const source *s, const uint8_t *head, size_t got, int ndim, fa_idx *out, size_t *bytes)
{
    size_t header = header_bytes(ndim);
    uint32_t magic = got >= 4 ? big_endian(head) : 0, wanted = 0x0800 | (uint32_t)ndim;
    if (got >= 4 && magic != wanted)
        return REFUSE(s, "got magic number 0x%08x in %s, needs 0x%08x (bytes of %d %s).", magic, s->path, wanted, ndim,
                      ndim == 1 ? "dimension: labels" : "dimensions: images");
    if (got < header)
        return REFUSE(s, "IDX header incomplete in %s: want %zu bytes, got %zu.", s->path, header, got);
    *bytes = 1;
    for (int d = 0; d < ndim; d++) {
        out->size[d] = big_endian(head + 4 + 4 * d);
        if (out->size[d] == 0)
            return REFUSE(s, "got size 0 in dimension %d of %s, needs at least 1.", d, s->path);
        if (!fa_mul_size(*bytes, (size_t)out->size[d], bytes) || *bytes > (size_t)INT64_MAX / 8)
            return REFUSE(s, "got a header in %s whose sizes do not fit in memory.", s->path);
    }
    *bytes += header;
    return true;
}

/* ---- Unpacked ---------------------------------------------------------------------------------------------------- */

static bool read_raw(const source *s, int ndim, fa_idx *out)
{
    uint8_t head[HEADER_MAX];
    size_t got = s->bytes < sizeof head ? s->bytes : sizeof head, bytes;
    if (!read_bytes(s, head, 0, got) || !parse_header(s, head, got, ndim, out, &bytes))
        return false;
    if (s->bytes != bytes)
        return REFUSE(s, "%s %s: want %zu bytes, got %zu.", s->path,
                      s->bytes < bytes ? "ends early" : "goes on after its last element", bytes, s->bytes);
    size_t header = header_bytes(ndim);
    out->buffer = fa_buffer_new(bytes - header);
    if (out->buffer == NULL)
        return fa_fail_memory(s->where, bytes - header);
    return read_bytes(s, out->buffer->data, header, bytes - header);
}

/* ---- Packed ------------------------------------------------------------------------------------------------------ */

/* How many bytes come out of damaged data: the largest buffer that they fill. */
static size_t bytes_unpacked(struct libdeflate_decompressor *inflate, const uint8_t *packed, size_t packed_bytes,
                             uint8_t *room, size_t bytes)
{
    size_t least = 0, most = bytes;
    while (least < most) {
        size_t middle = least + (most - least + 1) / 2, got;
        /* Room for one byte less: when that is too little, `middle` bytes come out. */
        enum libdeflate_result result =
            libdeflate_gzip_decompress(inflate, packed, packed_bytes, room, middle - 1, &got);
        if (result == LIBDEFLATE_INSUFFICIENT_SPACE)
            least = middle;
        else
            most = middle - 1;
    }
    return least;
}

static bool unpack(const source *s, struct libdeflate_decompressor *inflate, const uint8_t *packed, int ndim,
                   fa_idx *out)
{
    uint8_t head[PEEK] = {0};
    size_t got = 0, bytes, used;
    enum libdeflate_result result = libdeflate_gzip_decompress(inflate, packed, s->bytes, head, sizeof head, &got);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE)
        got = sizeof head - 258;
    else if (result != LIBDEFLATE_SUCCESS)
        got = bytes_unpacked(inflate, packed, s->bytes, head, sizeof head);
    if (!parse_header(s, head, got, ndim, out, &bytes))
        return false;
    if (bytes / MOST_PACKED > s->bytes)
        return REFUSE(s, "%s ends early: want %zu bytes, and its %zu packed bytes cannot hold so many.", s->path, bytes,
                      s->bytes);
    out->buffer = fa_buffer_new(bytes);
    if (out->buffer == NULL)
        return fa_fail_memory(s->where, bytes);
    uint8_t *content = out->buffer->data;
    result = libdeflate_gzip_decompress_ex(inflate, packed, s->bytes, content, bytes, &used, &got);
    if (result == LIBDEFLATE_INSUFFICIENT_SPACE)
        return REFUSE(s, "%s goes on after its last element: want %zu bytes, got more.", s->path, bytes);
    if (result != LIBDEFLATE_SUCCESS)
        got = bytes_unpacked(inflate, packed, s->bytes, content, bytes);
    if (got < bytes)
        return REFUSE(s, "%s ends early%s: want %zu bytes, got %zu. Hint: fetch the file again.", s->path,
                      result == LIBDEFLATE_SUCCESS ? "" : " or is damaged", bytes, got);
    if (result != LIBDEFLATE_SUCCESS)
        return REFUSE(s,
                      "%s is damaged: its checksum does not fit its content, or is cut off. Hint: fetch the file "
                      "again.",
                      s->path);
    while (used < s->bytes && packed[used] == 0)
        used++;
    if (used < s->bytes)
        return REFUSE(s, "%s goes on after its packed content: want %zu bytes, got %zu.", s->path, used, s->bytes);
    size_t header = header_bytes(ndim);
    memmove(content, content + header, bytes - header);
    out->buffer->bytes = bytes - header;
    return true;
}

static bool read_packed(const source *s, int ndim, fa_idx *out)
{
    uint8_t *packed = fa_malloc(s->bytes);
    struct libdeflate_decompressor *inflate = libdeflate_alloc_decompressor();
    bool fine = packed != NULL && inflate != NULL;
    if (!fine)
        fa_fail_memory(s->where, s->bytes);
    fine = fine && read_bytes(s, packed, 0, s->bytes) && unpack(s, inflate, packed, ndim, out);
    libdeflate_free_decompressor(inflate);
    fa_mfree(packed);
    return fine;
}

/* ---- Either ------------------------------------------------------------------------------------------------------ */

static bool read_open(source *s, int ndim, fa_idx *out)
{
    struct stat status;
    if (fstat(s->file, &status) != 0)
        return REFUSE(s, "could not read %s: %s.", s->path, strerror(errno));
    if (!S_ISREG(status.st_mode))
        return REFUSE(s, "%s is not a file.", s->path);
    s->bytes = (size_t)status.st_size;
    if (s->bytes == 0)
        return REFUSE(s, "%s is empty: IDX header incomplete, want %zu bytes, got 0.", s->path, header_bytes(ndim));
    uint8_t first[8];
    size_t count = s->bytes < sizeof first ? s->bytes : sizeof first;
    char text[9];
    if (!read_bytes(s, first, 0, count))
        return false;
    if (count >= 2 && first[0] == 0x1f && first[1] == 0x8b)
        return read_packed(s, ndim, out);
    if (first[0] != 0 || (count > 1 && first[1] != 0))
        return REFUSE(s, "%s is not gzip (starts with '%s') and not IDX. Hint: fetch the file again.", s->path,
                      shown(first, count, text));
    return read_raw(s, ndim, out);
}

bool fa_idx_read(const char *path, int ndim, const char *what, fa_where where, fa_idx *out)
{
    *out = (fa_idx){.buffer = NULL};
    source s = {.path = path, .what = what, .where = where, .file = open(path, O_RDONLY | O_CLOEXEC)};
    if (s.file < 0)
        return REFUSE(&s, "could not open %s: %s.", path, strerror(errno));
    bool fine = read_open(&s, ndim, out);
    close(s.file);
    if (!fine) {
        fa_buffer_release(out->buffer);
        out->buffer = NULL;
    }
    return fine;
}
