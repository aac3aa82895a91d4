#include "values.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *file_format(const char *path)
{
    unsigned char head[16] = {0};
    FILE *file = fopen(path, "rb");
    size_t got = file != NULL ? fread(head, 1, sizeof head, file) : 0;
    if (file != NULL)
        fclose(file);
    if (got >= 4 && memcmp(head, "PK\3\4", 4) == 0)
        return "PyTorch (zip)";
    if (got >= 6 && memcmp(head, "\x93NUMPY", 6) == 0)
        return "NumPy array";
    if (got >= 3 && head[0] == 0x80 && head[2] == 0x8a)
        return "PyTorch (before 1.6)";
    return got >= 9 ? "safetensors" : "unknown";
}

long long file_bytes(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (long long)status.st_size : -1;
}

/* ---- Text that grows --------------------------------------------------------------------------------------------- */

static char *room(line *l, size_t more)
{
    if (l->length + more + 1 > l->capacity) {
        l->capacity = l->capacity * 2 + more + 64;
        l->text = realloc(l->text, l->capacity);
        if (l->text == NULL) {
            fprintf(stderr, "facula: error: no memory\n");
            exit(1);
        }
    }
    return l->text + l->length;
}

void line_add(line *l, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    if (length >= 0) {
        vsnprintf(room(l, (size_t)length), (size_t)length + 1, format, again);
        l->length += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

/* Bytes of the UTF-8 character at `text`; 0: none. */
static size_t character(const unsigned char *text, size_t length)
{
    size_t n = text[0] < 0x80 ? 1 : text[0] >= 0xc2 && text[0] < 0xe0 ? 2 : (text[0] & 0xf0) == 0xe0 ? 3 : 4;
    if ((n == 4 && (text[0] < 0xf0 || text[0] > 0xf4)) || n > length)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    bool surrogate = text[0] == 0xed && text[1] >= 0xa0;
    return text[0] == '\0' || surrogate ? 0 : n;
}

/* Control characters, line ends and directions of writing. */
static bool steers_terminals(const unsigned char *text)
{
    return text[0] < 0x20 || text[0] == 0x7f || (text[0] == 0xc2 && text[1] < 0xa0) ||
           (text[0] == 0xe2 && text[1] == 0x80 && text[2] >= 0xa8 && text[2] <= 0xae);
}

static void add_characters(line *l, const char *text, size_t length, bool terminal)
{
    const unsigned char *at = (const unsigned char *)text;
    while (length > 0) {
        size_t n = character(at, length);
        if (n == 0 || (terminal && steers_terminals(at))) {
            line_add(l, "\\x%02x", at[0]);
            n = 1;
        } else {
            line_add(l, "%.*s", (int)n, (const char *)at);
        }
        at += n;
        length -= n;
    }
}

void line_add_clean(line *l, const char *text, size_t length)
{
    add_characters(l, text, length, true);
}

void line_add_utf8(line *l, const char *text, size_t length)
{
    add_characters(l, text, length, false);
}

int line_columns(const line *l)
{
    int n = 0;
    for (size_t i = 0; i < l->length; i++)
        n += ((unsigned char)l->text[i] & 0xc0) != 0x80;
    return n;
}

void line_free(line *l)
{
    free(l->text);
    *l = (line){0};
}

/* ---- Numbers and values ------------------------------------------------------------------------------------------ */

void line_add_bytes(line *l, long long bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double size = (double)bytes / 1024;
    int unit = 0;
    for (; size >= 1023.95 && unit < 3; unit++)
        size /= 1024;
    if (bytes < 1024)
        line_add(l, "%lld B", bytes);
    else
        line_add(l, "%.1f %s", size, units[unit]);
}

void line_add_count(line *l, long long count)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%lld", count);
    for (int i = 0; i < length; i++)
        line_add(l, "%s%c", i > 0 && (length - i) % 3 == 0 ? "," : "", digits[i]);
}

void line_add_shape(line *l, const fa_shape *shape)
{
    line_add(l, "[");
    for (int d = 0; d < shape->ndim; d++)
        line_add(l, "%s%lld", d > 0 ? ", " : "", (long long)shape->size[d]);
    line_add(l, "]");
}

void line_add_number(line *l, double x)
{
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (strtod(text, NULL) == x || isnan(x))
            break;
    }
    line_add(l, "%s%s", text, strpbrk(text, ".en") == NULL ? ".0" : "");
}

static bool add_items(line *l, fa_value *value, size_t most, size_t start)
{
    fa_value_kind kind = fa_kind_of(value);
    bool set = fa_flavour_of(value) == FA_FLAVOUR_SET, dict = kind == FA_VALUE_DICT;
    int64_t n = fa_len(value);
    line_add(l, "%s", dict || set ? "{" : kind == FA_VALUE_TUPLE ? "(" : "[");
    for (int64_t i = 0; i < n; i++) {
        if (l->length - start > most) {
            line_add(l, "%s... %lld in all", i > 0 ? ", " : "", (long long)n);
            l->cut = true;
            break;
        }
        line_add(l, "%s", i > 0 ? ", " : "");
        if (dict) {
            if (!line_add_value(l, fa_key_at(value, i), most))
                return false;
            line_add(l, ": ");
        }
        if (!line_add_value(l, fa_value_at(value, i), most))
            return false;
    }
    line_add(l, "%s%s", kind == FA_VALUE_TUPLE && n == 1 ? "," : "",
             dict || set              ? "}"
             : kind == FA_VALUE_TUPLE ? ")"
                                      : "]");
    return true;
}

bool line_add_value(line *l, fa_value *value, size_t most)
{
    size_t start = l->length;
    switch (fa_kind_of(value)) {
    case FA_VALUE_NONE:
        line_add(l, "None");
        return true;
    case FA_VALUE_BOOL:
        line_add(l, "%s", fa_as_bool(value) ? "True" : "False");
        return true;
    case FA_VALUE_INT:
        if (fa_flavour_of(value) == FA_FLAVOUR_BIG)
            line_add(l, "%s", fa_as_string(value));
        else
            line_add(l, "%lld", (long long)fa_as_int(value));
        return true;
    case FA_VALUE_FLOAT:
        line_add_number(l, fa_as_float(value));
        return true;
    case FA_VALUE_STRING: {
        size_t length = (size_t)fa_len(value), shown = length > most ? most : length;
        const char *text = fa_as_string(value);
        while (shown < length && shown > 0 && ((unsigned char)text[shown] & 0xc0) == 0x80)
            shown--; /* no half characters */
        line_add(l, "'");
        line_add_clean(l, text, shown);
        if (shown < length) {
            line_add(l, "... %zu bytes in all", length);
            l->cut = true;
        }
        line_add(l, "'");
        return true;
    }
    case FA_VALUE_BYTES:
        line_add(l, "%lld bytes", (long long)fa_len(value));
        return true;
    case FA_VALUE_LIST:
    case FA_VALUE_TUPLE:
    case FA_VALUE_DICT:
        if (add_items(l, value, most, start))
            return true;
        break;
    default:
        break;
    }
    if (l->text != NULL) {
        l->length = start;
        l->text[start] = '\0';
    }
    return false;
}
