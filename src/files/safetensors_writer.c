/* Writing safetensors: the same bytes as the safetensors package writes for the same tensors (widest types first, then
 * by name, the header padded to a multiple of 8). Tensors that share a storage are written each by itself. */
#include "base/error.h"
#include "files/atomic.h"
#include "files/formats.h"
#include "files/json_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct item {
    const char *name;
    size_t name_length;
    fa_tensor_view view;
} item;

typedef struct text {
    char *data;
    size_t length, capacity;
    bool failed;
} text;

/* ---- The header -------------------------------------------------------------------------------------------------- */

static void add(text *t, const char *data, size_t length)
{
    if (t->failed)
        return;
    if (length > t->capacity - t->length) {
        size_t capacity = t->capacity * 2 + length + 1024;
        char *grown = fa_realloc(t->data, capacity);
        if (grown == NULL) {
            t->failed = true;
            return;
        }
        t->data = grown;
        t->capacity = capacity;
    }
    memcpy(t->data + t->length, data, length);
    t->length += length;
}

static void add_text(text *t, const char *data)
{
    add(t, data, strlen(data));
}

static void add_number(text *t, uint64_t number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    add_text(t, digits);
}

static void add_string(text *t, const char *data, size_t length)
{
    static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    add_text(t, "\"");
    for (size_t i = 0; i < length; i++) {
        const char *special = data[i] != '\0' ? strchr(plain, data[i]) : NULL;
        char escape[8];
        if (special != NULL)
            snprintf(escape, sizeof escape, "\\%c", letters[special - plain]);
        else if ((unsigned char)data[i] < 0x20)
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)data[i]);
        else
            snprintf(escape, sizeof escape, "%c", data[i]);
        add(t, escape, strlen(escape));
    }
    add_text(t, "\"");
}

/* What was read from a file's "__metadata__", and the word by which others know the order of dimensions. */
static void add_metadata(text *t, fa_value *dict, fa_where where)
{
    fa_value *attributes = fa_flavour_of(dict) == FA_FLAVOUR_ORDERED_DICT ? fa_attributes_at(dict, where) : NULL;
    fa_key key = {"__metadata__", 0};
    fa_value *notes =
        attributes != NULL && fa_has_at(attributes, key, where) ? fa_get_at(attributes, key, where) : NULL;
    int64_t n = notes != NULL && fa_kind_of(notes) == FA_VALUE_DICT ? fa_len(notes) : 0;
    bool format = false;
    add_text(t, "\"__metadata__\":{");
    for (int64_t i = 0; i < n; i++) {
        fa_value *name = fa_key_at(notes, i), *note = fa_value_at(notes, i);
        if (fa_kind_of(name) != FA_VALUE_STRING || fa_kind_of(note) != FA_VALUE_STRING)
            continue;
        format = format || strcmp(fa_as_string_at(name, where), "format") == 0;
        add_string(t, fa_as_string_at(name, where), (size_t)fa_len(name));
        add_text(t, ":");
        add_string(t, fa_as_string_at(note, where), (size_t)fa_len(note));
        add_text(t, ",");
    }
    if (!format)
        add_text(t, "\"format\":\"pt\"");
    else
        t->length--; /* the last comma */
    add_text(t, "}");
}

static size_t bytes_of(const item *i)
{
    return (size_t)i->view.elements * fa_stored_types[i->view.stored].size;
}

static void add_header(text *t, fa_value *dict, const item *items, int64_t count, fa_where where)
{
    uint64_t at = 0;
    add(t, "\0\0\0\0\0\0\0\0{", 9);
    add_metadata(t, dict, where);
    for (int64_t i = 0; i < count; i++) {
        const fa_tensor_view *view = &items[i].view;
        add_text(t, ",");
        add_string(t, items[i].name, items[i].name_length);
        add_text(t, ":{\"dtype\":\"");
        add_text(t, fa_stored_types[view->stored].safetensors);
        add_text(t, "\",\"shape\":[");
        for (int d = 0; d < view->ndim; d++) {
            if (d > 0)
                add_text(t, ",");
            add_number(t, (uint64_t)view->size[d]);
        }
        add_text(t, "],\"data_offsets\":[");
        add_number(t, at);
        add_text(t, ",");
        at += bytes_of(&items[i]);
        add_number(t, at);
        add_text(t, "]}");
    }
    add_text(t, "}");
    while (t->length % 8 != 0 && !t->failed)
        add_text(t, " ");
    for (size_t i = 0, length = t->length - 8; i < 8 && !t->failed; i++)
        t->data[i] = (char)(length >> (8 * i));
}

/* ---- Items ------------------------------------------------------------------------------------------------------- */

/* The package's order of types, widest first. */
static int rank(fa_stored stored)
{
    static const fa_stored order[] = {
        FA_STORED_UINT64, FA_STORED_INT64,         FA_STORED_FLOAT64,     FA_STORED_COMPLEX64, FA_STORED_FLOAT32,
        FA_STORED_UINT32, FA_STORED_INT32,         FA_STORED_BFLOAT16,    FA_STORED_FLOAT16,   FA_STORED_UINT16,
        FA_STORED_INT16,  FA_STORED_FLOAT8_E4M3FN, FA_STORED_FLOAT8_E5M2, FA_STORED_INT8,      FA_STORED_UINT8};
    int i = 0;
    while (i < (int)(sizeof order / sizeof *order) && order[i] != stored)
        i++;
    return i; /* bool comes last */
}

static int by_rank(const void *a, const void *b)
{
    const item *x = a, *y = b;
    int order = rank(x->view.stored) - rank(y->view.stored);
    if (order != 0)
        return order;
    size_t length = x->name_length < y->name_length ? x->name_length : y->name_length;
    order = memcmp(x->name, y->name, length);
    return order != 0 ? order : (x->name_length > y->name_length) - (x->name_length < y->name_length);
}

#define REFUSE(...) fa_fail(FA_VALUE_ERROR, where, what, __VA_ARGS__)

static bool read_item(item *to, fa_value *dict, int64_t i, const char *path, const char *what, fa_where where)
{
    fa_value *key = fa_key_at(dict, i), *value = fa_value_at(dict, i);
    size_t bad;
    if (fa_kind_of(key) != FA_VALUE_STRING)
        return REFUSE("got %s as a key, needs strings: the names in %s. Hint: save as .pth.", fa_kind_name(key), path);
    to->name = fa_as_string_at(key, where);
    to->name_length = (size_t)fa_len(key);
    if (fa_kind_of(value) != FA_VALUE_TENSOR)
        return REFUSE(
            "got %s under \"%s\", needs tensors: .safetensors files hold nothing else. Hint: save as .pth, or "
            "the dict of tensors alone.",
            fa_kind_name(value), to->name);
    if (strcmp(to->name, "__metadata__") == 0)
        return REFUSE("got a tensor called \"__metadata__\", needs another name: it has a meaning of its own in %s.",
                      path);
    if (!fa_utf8_valid(to->name, to->name_length, &bad))
        return REFUSE("got a name that is not UTF-8 at its byte %zu, needs one that is.", bad);
    if (!fa_value_view(value, &to->view, where))
        return false;
    return fa_stored_types[to->view.stored].safetensors != NULL ||
           REFUSE("got the type %s under \"%s\", which .safetensors files do not have. Hint: save as .pth.",
                  fa_stored_types[to->view.stored].name, to->name);
}

static bool write_file(const text *head, const item *items, int64_t count, const char *path, const char *what,
                       fa_where where)
{
    fa_atomic_file file;
    if (!fa_atomic_open(&file, path, what, where))
        return false;
    uint64_t all = head->length;
    for (int64_t i = 0; i < count; i++)
        all += bytes_of(&items[i]);
    fa_atomic_expect(&file, all);
    bool good = fa_atomic_write(&file, head->data, head->length);
    for (int64_t i = 0; good && i < count; i++)
        good = fa_write_elements(&items[i].view, fa_write_to_file, &file, where);
    if (good)
        return fa_atomic_commit(&file);
    fa_atomic_abandon(&file);
    return false;
}

bool fa_safetensors_write(fa_value *dict, const char *path, const char *what, fa_where where)
{
    if (fa_kind_of(dict) != FA_VALUE_DICT)
        return REFUSE("got %s for %s, needs a dict of tensors. Hint: save as .pth.", fa_kind_name(dict), path);
    int64_t count = fa_len(dict);
    item *items = fa_calloc((size_t)count, sizeof *items);
    if (items == NULL)
        return fa_fail_memory(where, (size_t)count * sizeof *items);
    bool good = true;
    for (int64_t i = 0; good && i < count; i++)
        good = read_item(&items[i], dict, i, path, what, where);
    text head = {.data = NULL};
    if (good) {
        qsort(items, (size_t)count, sizeof *items, by_rank);
        add_header(&head, dict, items, count, where);
        good = head.failed ? fa_fail_memory(where, head.length) : write_file(&head, items, count, path, what, where);
    }
    fa_mfree(head.data);
    fa_mfree(items);
    return good;
}
