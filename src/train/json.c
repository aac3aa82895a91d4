/* Reader of JSON (RFC 8259). Python's NaN, Infinity and -Infinity are numbers too. */
#include "train/json.h"

#include "base/memory.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DEPTH = 64 };

typedef struct reader {
    fa_json *json;
    char *at, *end;
    bool no_memory;
} reader;

static void skip_blanks(reader *r)
{
    while (r->at < r->end && strchr(" \t\n\r", *r->at) && *r->at)
        r->at++;
}

static bool take(reader *r, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0)
        return false;
    r->at += length;
    return true;
}

/* A new value; its number, -1 without memory. */
static int32_t add(reader *r)
{
    fa_json *json = r->json;
    if (json->count == json->capacity) {
        int32_t capacity = json->capacity < INT32_MAX / 4 ? 2 * json->capacity + 64 : -1;
        fa_json_value *value = capacity > 0 ? fa_realloc(json->value, (size_t)capacity * sizeof *value) : NULL;
        if (!value) {
            r->no_memory = true;
            return -1;
        }
        json->value = value;
        json->capacity = capacity;
    }
    json->value[json->count] = (fa_json_value){.first = -1, .next = -1};
    return json->count++;
}

static bool read_hex(reader *r, uint32_t *code)
{
    *code = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        char c = r->at < r->end ? *r->at : 0;
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0)
            return false;
        *code = *code << 4 | (uint32_t)digit;
    }
    return true;
}

/* What follows a backslash, as UTF-8 to *to. */
static bool read_escape(reader *r, char **to)
{
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    const char *letter = r->at < r->end && *r->at ? strchr(letters, *r->at) : NULL;
    if (letter) {
        *(*to)++ = bytes[letter - letters];
        r->at++;
        return true;
    }
    uint32_t code, low;
    if (!take(r, "u") || !read_hex(r, &code))
        return false;
    if (code >= 0xd800 && code < 0xdc00) {
        if (!take(r, "\\u") || !read_hex(r, &low) || low < 0xdc00 || low > 0xdfff)
            return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code == 0 || (code >= 0xdc00 && code <= 0xdfff))
        return false;
    if (code < 0x80) {
        *(*to)++ = (char)code;
        return true;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const uint32_t lead[4] = {0, 0xc0, 0xe0, 0xf0};
    *(*to)++ = (char)(lead[more] | code >> (6 * more));
    while (more-- > 0)
        *(*to)++ = (char)(0x80 | (code >> (6 * more) & 0x3f));
    return true;
}

/* A string behind its opening quote; it is put together in place, where it never grows. NULL: a mistake. */
static const char *read_string(reader *r)
{
    char *start = r->at, *to = r->at;
    while (r->at < r->end) {
        char c = *r->at++;
        if (c == '"') {
            *to = 0;
            return start;
        }
        if ((unsigned char)c < 32 || (c == '\\' && !read_escape(r, &to))) {
            r->at--;
            return NULL;
        }
        if (c != '\\')
            *to++ = c;
    }
    return NULL;
}

static bool read_number(reader *r, double *number)
{
    if (take(r, "NaN"))
        return *number = NAN, true;
    if (take(r, "Infinity"))
        return *number = INFINITY, true;
    if (take(r, "-Infinity"))
        return *number = -INFINITY, true;
    const char *first = r->at + (r->at < r->end && *r->at == '-');
    size_t length = strspn(r->at, "+-.0123456789eE");
    if (first >= r->end || *first < '0' || *first > '9' ||
        (*first == '0' && first + 1 < r->end && first[1] >= '0' && first[1] <= '9'))
        return false;
    char *end;
    *number = strtod(r->at, &end);
    if (end != r->at + length || end[-1] == '.')
        return false;
    r->at = end;
    return true;
}

static bool read_value(reader *r, int32_t into, int depth);

static bool read_members(reader *r, int32_t parent, bool object, int depth)
{
    const char close = object ? '}' : ']';
    int32_t previous = -1;
    skip_blanks(r);
    if (r->at < r->end && *r->at == close)
        return r->at++, true;
    for (;;) {
        const char *key = NULL;
        if (object) {
            skip_blanks(r);
            if (!take(r, "\"") || !(key = read_string(r)))
                return false;
            skip_blanks(r);
            if (!take(r, ":"))
                return false;
        }
        int32_t member = add(r);
        if (member < 0)
            return false;
        r->json->value[member].key = key;
        *(previous < 0 ? &r->json->value[parent].first : &r->json->value[previous].next) = member;
        r->json->value[parent].count++;
        previous = member;
        if (!read_value(r, member, depth))
            return false;
        skip_blanks(r);
        if (r->at < r->end && *r->at == close)
            return r->at++, true;
        if (!take(r, ","))
            return false;
    }
}

static bool read_value(reader *r, int32_t into, int depth)
{
    skip_blanks(r);
    fa_json_value *value = &r->json->value[into];
    if (take(r, "null") || take(r, "false") || take(r, "true")) {
        value->kind = r->at[-1] == 'l' ? FA_JSON_NULL : r->at[-2] == 's' ? FA_JSON_FALSE : FA_JSON_TRUE;
        return true;
    }
    if (take(r, "\"")) {
        value->kind = FA_JSON_TEXT;
        value->text = read_string(r);
        return value->text != NULL;
    }
    if (r->at < r->end && (*r->at == '{' || *r->at == '[')) {
        bool object = *r->at++ == '{';
        value->kind = object ? FA_JSON_OBJECT : FA_JSON_ARRAY;
        return depth < MOST_DEPTH && read_members(r, into, object, depth + 1);
    }
    value->kind = FA_JSON_NUMBER;
    return read_number(r, &value->number);
}

bool fa_json_read(fa_json *json, const char *text, size_t bytes, int64_t *at)
{
    *json = (fa_json){0};
    *at = -1;
    json->text = bytes < SIZE_MAX ? fa_malloc(bytes + 1) : NULL;
    if (!json->text)
        return false;
    memcpy(json->text, text, bytes);
    json->text[bytes] = 0;
    reader r = {.json = json, .at = json->text, .end = json->text + bytes};
    /* strtod takes the program's decimal comma otherwise. */
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0), programs = plain ? uselocale(plain) : (locale_t)0;
    r.no_memory = !plain;
    bool ok = plain && add(&r) == 0 && read_value(&r, 0, 0);
    if (plain) {
        uselocale(programs);
        freelocale(plain);
    }
    if (ok)
        skip_blanks(&r);
    if (ok && r.at == r.end)
        return true;
    if (!r.no_memory)
        *at = r.at - json->text;
    fa_json_free(json);
    return false;
}

void fa_json_free(fa_json *json)
{
    fa_mfree(json->value);
    fa_mfree(json->text);
    *json = (fa_json){0};
}

const fa_json_value *fa_json_first(const fa_json *json, const fa_json_value *parent)
{
    return parent && parent->first >= 0 ? &json->value[parent->first] : NULL;
}

const fa_json_value *fa_json_next(const fa_json *json, const fa_json_value *member)
{
    return member->next >= 0 ? &json->value[member->next] : NULL;
}

const fa_json_value *fa_json_get(const fa_json *json, const fa_json_value *object, const char *key)
{
    if (!object || object->kind != FA_JSON_OBJECT)
        return NULL;
    for (const fa_json_value *m = fa_json_first(json, object); m; m = fa_json_next(json, m))
        if (strcmp(m->key, key) == 0)
            return m;
    return NULL;
}

const char *fa_json_text(const fa_json *json, const fa_json_value *object, const char *key, const char *otherwise)
{
    const fa_json_value *value = fa_json_get(json, object, key);
    return value && value->kind == FA_JSON_TEXT ? value->text : otherwise;
}

double fa_json_number(const fa_json *json, const fa_json_value *object, const char *key, double otherwise)
{
    const fa_json_value *value = fa_json_get(json, object, key);
    if (value && (value->kind == FA_JSON_TRUE || value->kind == FA_JSON_FALSE))
        return value->kind == FA_JSON_TRUE;
    return value && value->kind == FA_JSON_NUMBER ? value->number : otherwise;
}

bool fa_json_whole(const fa_json_value *value, int64_t *whole)
{
    if (!value || value->kind != FA_JSON_NUMBER || !(fabs(value->number) <= 0x1p53) ||
        value->number != floor(value->number))
        return false;
    *whole = (int64_t)value->number;
    return true;
}
