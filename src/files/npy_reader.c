/* Reading NumPy's .npy: one array. "\x93NUMPY", two bytes of version, the header's length (2 bytes; 4 from version 2
 * on), the header - a Python dict of descr, fortran_order and shape - padded with spaces, then the elements. */
#include "base/error.h"
#include "files/formats.h"

#include <string.h>

enum { MAGIC = 6, HEADER_MAX = 1 << 16 };

static const struct {
    const char *word; /* without the byte order */
    fa_stored stored;
} types[] = {{"f4", FA_STORED_FLOAT32},   {"f8", FA_STORED_FLOAT64},    {"f2", FA_STORED_FLOAT16},
             {"i8", FA_STORED_INT64},     {"i4", FA_STORED_INT32},      {"i2", FA_STORED_INT16},
             {"i1", FA_STORED_INT8},      {"u1", FA_STORED_UINT8},      {"u2", FA_STORED_UINT16},
             {"u4", FA_STORED_UINT32},    {"u8", FA_STORED_UINT64},     {"b1", FA_STORED_BOOL},
             {"c8", FA_STORED_COMPLEX64}, {"c16", FA_STORED_COMPLEX128}};
enum { TYPES = sizeof types / sizeof *types };

const char *fa_npy_word(fa_stored stored)
{
    for (int i = 0; i < TYPES; i++)
        if (types[i].stored == stored)
            return types[i].word;
    return NULL;
}

#define REFUSE(file, ...) fa_fail(FA_FILE_ERROR, (file)->where, (file)->what, __VA_ARGS__)

/* ---- The header: a small part of Python's grammar -----------------------------------------------------------------
 */

typedef struct header {
    const fa_open_file *file;
    const char *at, *end;
    fa_stored stored;
    bool swapped, fortran;
    int ndim;
    int64_t size[FA_MAX_DIMS];
} header;

static bool damaged(const header *h, const char *needs)
{
    char got[17] = "";
    size_t n = 0;
    for (const char *c = h->at; c < h->end && n + 1 < sizeof got; c++)
        got[n++] = *c >= 32 && *c < 127 ? *c : '.';
    return REFUSE(h->file, "%s has a damaged .npy header: got \"%s\", needs %s.", h->file->path, got, needs);
}

static bool has(header *h, char c)
{
    while (h->at < h->end && (*h->at == ' ' || *h->at == '\n' || *h->at == '\t'))
        h->at++;
    if (h->at == h->end || *h->at != c)
        return false;
    h->at++;
    return true;
}

/* A string in quotes, of up to `size` - 1 bytes. */
static bool read_string(header *h, char *to, size_t size)
{
    char quote = has(h, '\'') ? '\'' : has(h, '"') ? '"' : '\0';
    size_t n = 0;
    if (quote == '\0')
        return damaged(h, "a string in quotes");
    while (h->at < h->end && *h->at != quote && *h->at != '\\' && n + 1 < size)
        to[n++] = *h->at++;
    to[n] = '\0';
    return has(h, quote) || damaged(h, "the end of a short string");
}

static bool read_word(header *h, const char *word)
{
    size_t length = strlen(word);
    has(h, '\0'); /* white space */
    if ((size_t)(h->end - h->at) < length || memcmp(h->at, word, length) != 0)
        return false;
    h->at += length;
    return true;
}

static bool read_descr(header *h)
{
    char word[16];
    if (has(h, '['))
        return REFUSE(h->file, "%s holds records of several fields, needs an array of one type.", h->file->path);
    if (!read_string(h, word, sizeof word))
        return false;
    bool big = word[0] == '>';
    bool order = big || word[0] == '<' || word[0] == '|' || word[0] == '=';
    for (int i = 0; order && i < TYPES; i++)
        if (strcmp(word + 1, types[i].word) == 0) {
            h->stored = types[i].stored;
            h->swapped = big && fa_stored_types[h->stored].size > 1;
            return true;
        }
    return REFUSE(h->file,
                  "%s holds elements of NumPy's type \"%s\", which is not read here: integers, floats and bool are.",
                  h->file->path, word);
}

static bool read_bool(header *h)
{
    h->fortran = read_word(h, "True");
    return h->fortran || read_word(h, "False") || damaged(h, "True or False");
}

static bool read_shape(header *h)
{
    if (!has(h, '('))
        return damaged(h, "a shape in brackets");
    while (!has(h, ')')) {
        if (h->ndim == FA_MAX_DIMS)
            return REFUSE(h->file, "%s has more than %d dimensions, needs at most %d.", h->file->path, FA_MAX_DIMS,
                          FA_MAX_DIMS);
        int64_t n = 0;
        const char *begin = h->at;
        for (; h->at < h->end && *h->at >= '0' && *h->at <= '9'; h->at++)
            if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *h->at - '0', &n))
                return damaged(h, "a size that fits");
        if (h->at == begin)
            return damaged(h, "a size");
        h->at += h->at < h->end && *h->at == 'L'; /* Python 2 */
        h->size[h->ndim++] = n;
        if (!has(h, ',')) {
            /* "(3)" is a number in Python, no shape; NumPy writes "(3,)" */
            if (h->ndim == 1 || !has(h, ')'))
                return damaged(h, "a comma");
            return true;
        }
        has(h, '\0'); /* white space */
    }
    return true;
}

static bool parse(header *h)
{
    static const struct {
        const char *name;
        bool (*read)(header *h);
    } fields[] = {{"descr", read_descr}, {"fortran_order", read_bool}, {"shape", read_shape}};
    int seen = 0;
    if (!has(h, '{'))
        return damaged(h, "a dict");
    while (!has(h, '}')) {
        char name[16];
        if (!read_string(h, name, sizeof name))
            return false;
        if (!has(h, ':'))
            return damaged(h, "a colon");
        int i = 0;
        while (i < 3 && strcmp(name, fields[i].name) != 0)
            i++;
        if (i == 3 || (seen >> i & 1) != 0)
            return REFUSE(h->file, "%s has a damaged .npy header: got \"%s\" %s, needs descr, fortran_order and shape.",
                          h->file->path, name, i == 3 ? "in it" : "twice");
        seen |= 1 << i;
        if (!fields[i].read(h))
            return false;
        if (!has(h, ',') && !(h->at < h->end && *h->at == '}'))
            return damaged(h, "a comma or the end");
    }
    has(h, '\0'); /* white space */
    if (seen != 7)
        return damaged(h, "descr, fortran_order and shape");
    return h->at == h->end || damaged(h, "nothing behind the dict");
}

/* Where the elements begin; 0 after an error. The text is exactly as long as the header, so that a look behind its end
 * is found by a fuzzer's sanitizer. */
static uint64_t read_header(header *h)
{
    const fa_open_file *file = h->file;
    uint8_t start[MAGIC + 2 + 4] = {0};
    size_t length = 0, head = file->bytes < sizeof start ? (size_t)file->bytes : sizeof start;
    if (!fa_file_read(file, start, 0, head))
        return 0;
    int version = start[MAGIC], width = version == 1 ? 2 : 4;
    if (head < (size_t)MAGIC + 2 + (size_t)width) {
        REFUSE(file, "%s is cut short: it has %zu bytes, a .npy header takes more.", file->path, head);
        return 0;
    }
    if (version < 1 || version > 3) {
        REFUSE(file, "%s has version %d of the .npy format, needs 1, 2 or 3.", file->path, version);
        return 0;
    }
    for (int i = width; i-- > 0;)
        length = length << 8 | start[MAGIC + 2 + i];
    uint64_t begin = MAGIC + 2 + (uint64_t)width;
    if (length > HEADER_MAX || length > file->bytes - begin) {
        REFUSE(file, "%s has a .npy header of %zu bytes, needs at most %d, and no more than the file has.", file->path,
               length, HEADER_MAX);
        return 0;
    }
    char *text = fa_malloc(length);
    if (text == NULL) {
        fa_fail_memory(file->where, length);
        return 0;
    }
    h->at = text;
    h->end = text + length;
    const bool fine = fa_file_read(file, text, begin, length) && parse(h);
    fa_mfree(text);
    return fine ? begin + length : 0;
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static void swap_bytes(uint8_t *data, size_t elements, fa_stored stored)
{
    /* A complex number is two numbers. */
    bool complex = stored == FA_STORED_COMPLEX64 || stored == FA_STORED_COMPLEX128;
    size_t size = fa_stored_types[stored].size / (complex ? 2 : 1);
    for (size_t i = 0; i < elements * (complex ? 2 : 1); i++)
        for (size_t k = 0; k < size / 2; k++) {
            uint8_t *low = data + i * size + k, *high = data + (i + 1) * size - 1 - k, kept = *low;
            *low = *high;
            *high = kept;
        }
}

static fa_value *load_elements(const header *h, uint64_t begin, size_t bytes)
{
    const fa_open_file *file = h->file;
    size_t size = fa_stored_types[h->stored].size;
    fa_open_file source = *file;
    source.mmap = file->mmap && !h->swapped && h->stored != FA_STORED_BOOL;
    fa_buffer *whole = NULL, *buffer = fa_file_part(&source, &whole, begin, bytes, size);
    fa_buffer_release(whole);
    if (buffer == NULL)
        return NULL;
    if (h->swapped)
        swap_bytes(buffer->data, bytes / size, h->stored);
    if (h->stored == FA_STORED_BOOL)
        for (size_t i = 0; i < bytes; i++)
            ((uint8_t *)buffer->data)[i] = ((uint8_t *)buffer->data)[i] != 0;
    fa_storage *storage = fa_storage_new(buffer, file->path, file->where);
    if (storage == NULL)
        return NULL;
    fa_tensor_view view = {.stored = h->stored, .ndim = h->ndim};
    int64_t step = 1;
    for (int i = 0; i < h->ndim; i++) {
        int d = h->fortran ? i : h->ndim - 1 - i; /* the innermost first */
        view.size[d] = h->size[d];
        view.stride[d] = step;
        step *= h->size[d] > 0 ? h->size[d] : 1;
    }
    fa_value *value = fa_value_of_storage(storage, &view, "the array", file->where);
    fa_storage_release(storage);
    return value;
}

fa_value *fa_npy_load(const fa_open_file *file)
{
    header h = {.file = file};
    uint64_t begin = read_header(&h);
    if (begin == 0)
        return NULL;
    size_t bytes = fa_stored_types[h.stored].size;
    bool empty = false, fits = true;
    for (int d = 0; d < h.ndim; d++) {
        empty = empty || h.size[d] == 0;
        fits = fits && fa_mul_size(bytes, (size_t)h.size[d], &bytes) && bytes <= INT64_MAX;
    }
    bytes = empty ? 0 : bytes;
    if (!fits && !empty) {
        REFUSE(file, "%s has a shape whose size does not fit.", file->path);
        return NULL;
    }
    if (bytes != file->bytes - begin) {
        REFUSE(file, "%s %s: its elements take %zu bytes, and %llu are there.", file->path,
               file->bytes - begin < bytes ? "is cut short" : "goes on behind its last element", bytes,
               (unsigned long long)(file->bytes - begin));
        return NULL;
    }
    return load_elements(&h, begin, bytes);
}

bool fa_is_npy(const uint8_t *head, size_t count)
{
    return count >= MAGIC && memcmp(head, "\x93NUMPY", MAGIC) == 0;
}
