/* Plain values written as JSON. */
#include "train/json_text.h"

#include "files/json_reader.h"

#include <math.h>
#include <string.h>

void fa_text_json_string(fa_text *out, const char *text)
{
    if (text == NULL) {
        fa_text_add(out, "null");
        return;
    }
    fa_text_add(out, "\"");
    size_t length = strlen(text), bad = 0;
    const char *broken = fa_utf8_valid(text, length, &bad) ? text + length : text + bad;
    for (const char *at = text; *at != '\0'; at++) {
        if (at == broken) { /* a byte of a file's name: as Python's os.fsdecode and json.dumps have it */
            fa_text_add(out, "\\udc%02x", (unsigned char)*at);
            length = strlen(at + 1);
            broken = fa_utf8_valid(at + 1, length, &bad) ? at + 1 + length : at + 1 + bad;
        } else if (*at == '"' || *at == '\\') {
            fa_text_add(out, "\\%c", *at);
        } else if (*at == '\n') {
            fa_text_add(out, "\\n");
        } else if ((unsigned char)*at < 0x20) {
            fa_text_add(out, "\\u%04x", (unsigned char)*at);
        } else {
            fa_text_add(out, "%c", *at);
        }
    }
    fa_text_add(out, "\"");
}

void fa_text_json_number(fa_text *out, double x)
{
    if (isfinite(x))
        fa_text_number(out, x);
    else
        fa_text_add(out, "null");
}

static void add_items(fa_text *out, fa_value *value, fa_where where)
{
    fa_text_add(out, "[");
    for (int64_t i = 0; i < fa_len(value); i++) {
        fa_text_add(out, "%s", i > 0 ? ", " : "");
        fa_text_json(out, fa_value_at(value, i), where);
    }
    fa_text_add(out, "]");
}

static void add_entries(fa_text *out, fa_value *dict, fa_where where)
{
    fa_text_add(out, "{");
    for (int64_t i = 0; i < fa_len(dict); i++) {
        fa_value *key = fa_key_at(dict, i);
        fa_text_add(out, "%s", i > 0 ? ", " : "");
        if (fa_kind_of(key) == FA_VALUE_STRING) {
            fa_text_json_string(out, fa_as_string_at(key, where));
        } else {
            fa_text_add(out, "\"");
            fa_text_json(out, key, where);
            fa_text_add(out, "\"");
        }
        fa_text_add(out, ": ");
        fa_text_json(out, fa_value_at(dict, i), where);
    }
    fa_text_add(out, "}");
}

void fa_text_json(fa_text *out, fa_value *value, fa_where where)
{
    switch (fa_kind_of(value)) {
    case FA_VALUE_BOOL:
        fa_text_add(out, "%s", fa_as_bool_at(value, where) ? "true" : "false");
        break;
    case FA_VALUE_INT:
        fa_text_add(out, "%lld", (long long)fa_as_int_at(value, where));
        break;
    case FA_VALUE_FLOAT:
        fa_text_json_number(out, fa_as_float_at(value, where));
        break;
    case FA_VALUE_STRING:
        fa_text_json_string(out, fa_as_path_at(value, where));
        break;
    case FA_VALUE_LIST:
    case FA_VALUE_TUPLE:
        add_items(out, value, where);
        break;
    case FA_VALUE_DICT:
        add_entries(out, value, where);
        break;
    default:
        fa_text_add(out, "null");
    }
}
