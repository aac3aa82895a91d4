/* A strict JSON reader (RFC 8259). */
#include "files/json_reader.h"

#include "base/memory.h"
#include "base/number_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

fa_json fa_json_of(const char *bytes, size_t count)
{
    return (fa_json){.begin = bytes, .at = bytes, .end = bytes + count};
}

bool fa_utf8_valid(const char *bytes, size_t count, size_t *bad)
{
    const uint8_t *b = (const uint8_t *)bytes;
    for (size_t i = 0; i < count;) {
        uint8_t first = b[i];
        int more = first < 0x80 ? 0 : first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : 3;
        /* The second byte's range rules out overlong forms, surrogates and what lies beyond U+10FFFF. */
        uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
        uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
        bool good = first < 0x80 || (first >= 0xc2 && first <= 0xf4);
        if (good && more > 0)
            good = count - i > (size_t)more && b[i + 1] >= low && b[i + 1] <= high;
        for (int k = 2; good && k <= more; k++)
            good = (b[i + (size_t)k] & 0xc0) == 0x80;
        if (!good) {
            *bad = i;
            return false;
        }
        i += (size_t)more + 1;
    }
    return true;
}

static bool problem(fa_json *json, const char *text)
{
    if (json->problem == NULL)
        json->problem = text;
    return false;
}

static void skip_space(fa_json *json)
{
    while (json->at < json->end && (*json->at == ' ' || *json->at == '\n' || *json->at == '\r' || *json->at == '\t'))
        json->at++;
}

bool fa_json_has(fa_json *json, char c)
{
    skip_space(json);
    if (json->problem != NULL || json->at == json->end || *json->at != c)
        return false;
    json->at++;
    return true;
}

bool fa_json_take(fa_json *json, char c)
{
    if (fa_json_has(json, c))
        return true;
    switch (c) {
    case '{':
        return problem(json, "expected an object");
    case '[':
        return problem(json, "expected an array");
    case ':':
        return problem(json, "expected a colon");
    case ',':
        return problem(json, "expected a comma or the end");
    default:
        return problem(json, "expected something else");
    }
}

/* ---- Strings ----------------------------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Four hex digits at `at`; -1 if there are not. */
static int32_t hex4(const char *at, const char *end)
{
    int32_t value = 0;
    if (end - at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/* The code point of an escape "\uXXXX", or of a pair of them; `at` stands behind the u. -1: neither. */
static int32_t unicode_escape(const char **at, const char *end)
{
    int32_t code = hex4(*at, end);
    if (code < 0 || (code >= 0xdc00 && code < 0xe000))
        return -1;
    *at += 4;
    if (code < 0xd800 || code >= 0xe000)
        return code;
    int32_t low = end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u' ? hex4(*at + 2, end) : -1;
    if (low < 0xdc00 || low >= 0xe000)
        return -1;
    *at += 6;
    return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

/* Writes a code point as UTF-8, where `to` is not NULL; its length. */
static size_t put_utf8(char *to, int32_t code)
{
    char bytes[4];
    size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const int lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length; i-- > 1; code >>= 6)
        bytes[i] = (char)(0x80 | (code & 0x3f));
    bytes[0] = (char)(lead[length] | code);
    if (to != NULL)
        memcpy(to, bytes, length);
    return length;
}

/* Decodes the string whose first character stands at `at`, into `to` unless that is NULL. Leaves `at` behind the
 * closing quote. False with the problem set. */
static bool decode(fa_json *json, char *to, size_t *length)
{
    static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    size_t n = 0;
    const char *at = json->at;
    for (;;) {
        json->at = at;
        if (at == json->end)
            return problem(json, "the string has no end");
        char c = *at++;
        if (c == '"')
            break;
        if ((unsigned char)c < 0x20)
            return problem(json, "a control character in a string");
        if (c != '\\') {
            if (to != NULL)
                to[n] = c;
            n++;
            continue;
        }
        const char *escape = at < json->end && *at != '\0' ? strchr(escapes, *at) : NULL;
        if (escape != NULL) {
            if (to != NULL)
                to[n] = meanings[escape - escapes];
            n++;
            at++;
            continue;
        }
        if (at == json->end || *at++ != 'u')
            return problem(json, "an unknown escape in a string");
        int32_t code = unicode_escape(&at, json->end);
        if (code < 0)
            return problem(json, "half of a character in a string");
        n += put_utf8(to != NULL ? to + n : NULL, code);
    }
    json->at = at;
    *length = n;
    return true;
}

char *fa_json_string(fa_json *json, size_t *length)
{
    if (!fa_json_has(json, '"')) {
        problem(json, "expected a string");
        return NULL;
    }
    const char *begin = json->at;
    if (!decode(json, NULL, length))
        return NULL;
    char *text = fa_malloc(*length + 1);
    if (text == NULL) {
        problem(json, "no memory");
        return NULL;
    }
    json->at = begin;
    decode(json, text, length);
    text[*length] = '\0';
    return text;
}

/* ---- The rest ---------------------------------------------------------------------------------------------------- */

static bool is_digit(const fa_json *json, const char *at)
{
    return at < json->end && *at >= '0' && *at <= '9';
}

bool fa_json_count(fa_json *json, int64_t *value)
{
    skip_space(json);
    const char *at = json->at;
    if (json->problem != NULL || !is_digit(json, at))
        return problem(json, "expected a whole number of 0 or more");
    if (*at == '0' && is_digit(json, at + 1))
        return problem(json, "a number with a leading 0");
    for (*value = 0; is_digit(json, at); at++)
        if (__builtin_mul_overflow(*value, 10, value) || __builtin_add_overflow(*value, *at - '0', value))
            return problem(json, "a number that is too large");
    if (at < json->end && (*at == '.' || *at == 'e' || *at == 'E'))
        return problem(json, "expected a whole number of 0 or more");
    json->at = at;
    return true;
}

static const char *skip_digits(const fa_json *json, const char *at)
{
    while (is_digit(json, at))
        at++;
    return at;
}

static bool skip_number(fa_json *json)
{
    const char *at = json->at;
    at += at < json->end && *at == '-';
    if (!is_digit(json, at))
        return problem(json, "expected a value");
    at = *at == '0' ? at + 1 : skip_digits(json, at);
    if (at < json->end && *at == '.') {
        if (!is_digit(json, at + 1))
            return problem(json, "a number without digits behind its point");
        at = skip_digits(json, at + 1);
    }
    if (at < json->end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < json->end && (*at == '+' || *at == '-');
        if (!is_digit(json, at))
            return problem(json, "a number without an exponent behind its e");
        at = skip_digits(json, at);
    }
    json->at = at;
    return true;
}

bool fa_json_number(fa_json *json, double *value)
{
    char digits[64];
    skip_space(json);
    const char *begin = json->at;
    if (json->problem != NULL || fa_json_peek(json) == '"' || !skip_number(json))
        return problem(json, "expected a number");
    const size_t length = (size_t)(json->at - begin);
    if (length >= sizeof digits)
        return problem(json, "a number of too many digits");
    memcpy(digits, begin, length);
    digits[length] = '\0';
    *value = fa_text_number_of(digits, NULL);
    return isfinite(*value) || problem(json, "a number that is too large");
}

static bool take_word(fa_json *json, const char *word)
{
    const size_t length = strlen(word);
    skip_space(json);
    if (json->problem != NULL || (size_t)(json->end - json->at) < length || memcmp(json->at, word, length) != 0)
        return false;
    json->at += length;
    return true;
}

bool fa_json_truth(fa_json *json, bool *value)
{
    *value = take_word(json, "true");
    return *value || take_word(json, "false") || problem(json, "expected true or false");
}

bool fa_json_null(fa_json *json)
{
    return take_word(json, "null");
}

char fa_json_peek(fa_json *json)
{
    skip_space(json);
    return json->at < json->end ? *json->at : '\0';
}

/* A string, number, true, false or null. */
static bool skip_plain(fa_json *json)
{
    size_t length;
    if (fa_json_has(json, '"'))
        return decode(json, NULL, &length);
    return take_word(json, "true") || take_word(json, "false") || take_word(json, "null") || skip_number(json);
}

static bool skip_key(fa_json *json)
{
    size_t length;
    if (!fa_json_has(json, '"'))
        return problem(json, "expected a name");
    return decode(json, NULL, &length) && fa_json_take(json, ':');
}

bool fa_json_skip(fa_json *json)
{
    char closing[FA_JSON_DEPTH];
    int depth = 0;
    for (;;) {
        if (json->problem != NULL)
            return false;
        bool object = fa_json_has(json, '{');
        if (object || fa_json_has(json, '[')) {
            if (depth == FA_JSON_DEPTH)
                return problem(json, "nested too deep");
            closing[depth++] = object ? '}' : ']';
            if (!fa_json_has(json, closing[depth - 1])) {
                if (object && !skip_key(json))
                    return false;
                continue; /* its first value */
            }
            depth--;
        } else if (!skip_plain(json)) {
            return false;
        }
        while (depth > 0 && fa_json_has(json, closing[depth - 1]))
            depth--;
        if (depth == 0)
            return true;
        if (!fa_json_take(json, ',') || (closing[depth - 1] == '}' && !skip_key(json)))
            return false;
    }
}

bool fa_json_done(fa_json *json)
{
    skip_space(json);
    if (json->problem == NULL && json->at < json->end)
        problem(json, "something behind the end");
    return json->problem == NULL;
}
