/* File names as strings of a value. A name may be any bytes, a string of Python's is Unicode: bytes that are no UTF-8
 * become U+DC00 + byte, as os.fsdecode has them, and pickles hold those as three bytes (ED B2 80 to ED B3 BF). */
#include "base/memory.h"
#include "facula/files.h"
#include "files/json_reader.h"
#include "files/value_cell.h"

#include <string.h>

fa_value *fa_value_path_at(const char *path, fa_where where)
{
    size_t length = path != NULL ? strlen(path) : 0, bad, room;
    if (path == NULL || fa_utf8_valid(path, length, &bad))
        return fa_value_string_at(path, where);
    char *text = fa_mul_size(length, 3, &room) ? fa_malloc(room) : NULL;
    if (text == NULL) {
        fa_fail_memory(where, length);
        return NULL;
    }
    size_t n = 0;
    for (size_t at = 0; at < length; at++) {
        const bool rest = fa_utf8_valid(path + at, length - at, &bad);
        const size_t fine = rest ? length - at : bad;
        memcpy(text + n, path + at, fine);
        n += fine;
        at += fine;
        if (rest)
            break;
        const uint8_t byte = (uint8_t)path[at];
        text[n++] = (char)0xed;
        text[n++] = (char)(0xb0 | byte >> 6);
        text[n++] = (char)(0x80 | (byte & 0x3f));
    }
    fa_value *value = fa_value_text_at(text, (int64_t)n, where);
    fa_mfree(text);
    return value;
}

/* The byte that three bytes stand for; -1: they are something else. */
static int escaped_byte(const char *text)
{
    const uint8_t *b = (const uint8_t *)text;
    if (b[0] != 0xed || (b[1] != 0xb2 && b[1] != 0xb3) || (b[2] & 0xc0) != 0x80)
        return -1;
    return (b[1] & 3) << 6 | (b[2] & 0x3f);
}

const char *fa_as_path_at(fa_value *value, fa_where where)
{
    const char *text = fa_as_string_at(value, where);
    if (text == NULL || strchr(text, 0xed) == NULL)
        return text;
    char *path = fa_strdup(text), *to = path;
    if (path == NULL) {
        fa_fail_memory(where, strlen(text) + 1);
        return NULL;
    }
    for (const char *from = text; *from != 0; to++) {
        const int byte = escaped_byte(from);
        *to = byte >= 0 ? (char)byte : *from;
        from += byte >= 0 ? 3 : 1;
    }
    fa_value *kept = fa_value_bytes_at(path, to - path, where);
    fa_mfree(path);
    return kept != NULL ? fa_as_bytes_at(kept, NULL, where) : NULL;
}
