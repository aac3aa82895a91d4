/* CIFAR's pickles: numpy's way to rebuild an array, on a list of names of its own, which .pth files do not share. What
 * numpy would call is kept as a record and taken apart here. */
#include "vision/cifar_pickle.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

/* ---- What may be asked for --------------------------------------------------------------------------------------- */

/* _reconstruct(ndarray, (0,), b'b'): an array without its contents, which come as its state. */
static fa_cell *reconstruct(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    const fa_pickle_global *class = fa_pickle_arg(args, 0) != NULL ? fa_pickle_global_of(fa_pickle_arg(args, 0)) : NULL;
    if (class == NULL || strcmp(class->name, "ndarray") != 0)
        return fa_pickle_refuse(r, "%s.%s makes something that is no array", g->module, g->name);
    fa_cell *object = fa_cell_object("numpy", "ndarray", r->where);
    fa_cell *attributes = object != NULL ? fa_cell_container(FA_VALUE_DICT, 0, r->where) : NULL;
    bool fine = attributes != NULL && fa_cell_set_attributes(object, attributes, r->where);
    fa_cell_drop(attributes);
    if (fine)
        return object;
    fa_cell_drop(object);
    return NULL;
}

/* encode(text, 'latin1'): how Python 3 writes bytes in protocol 2. */
static fa_cell *encode(fa_pickle_reader *r, const fa_pickle_global *g, fa_cell *args)
{
    const fa_cell *text = fa_pickle_arg(args, 0), *coding = fa_pickle_arg(args, 1);
    (void)g;
    if (text == NULL || text->kind != FA_VALUE_STRING || coding == NULL || !fa_cell_is_text(coding, "latin1"))
        return fa_pickle_refuse(r, "bytes are not written as text in latin1");
    return fa_pickle_latin1(r, text);
}

static const fa_pickle_global globals[] = {
    {"numpy.core.multiarray", "_reconstruct", reconstruct, NULL, 0},
    {"numpy._core.multiarray", "_reconstruct", reconstruct, NULL, 0},
    {"numpy", "ndarray", NULL, NULL, 0},
    {"numpy", "dtype", fa_pickle_record, NULL, 0},
    {"_codecs", "encode", encode, NULL, 0},
};

fa_cell *fa_cifar_pickle_read(const uint8_t *bytes, size_t size, const char *path, const char *what, fa_where where)
{
    const fa_pickle_rules rules = {.globals = globals, .count = (int)(sizeof globals / sizeof *globals)};
    fa_pickle_reader reader = {.bytes = bytes,
                               .length = size,
                               .rules = &rules,
                               .path = path,
                               .part = "the pickle",
                               .what = what,
                               .where = where};
    fa_cell *cell = fa_pickle_read(&reader);
    if (cell != NULL && cell->kind != FA_VALUE_DICT) {
        fa_cell_drop(cell);
        fa_fail(FA_FILE_ERROR, where, what, "%s: holds something else than a dict, needs one of CIFAR's pickles.",
                path);
        return NULL;
    }
    return cell;
}

/* ---- Entries ----------------------------------------------------------------------------------------------------- */

static bool is_text(const fa_cell *cell, const char *text)
{
    size_t length = strlen(text);
    return (cell->kind == FA_VALUE_STRING || cell->kind == FA_VALUE_BYTES) && cell->as.text.length == (int64_t)length &&
           memcmp(cell->as.text.bytes, text, length) == 0;
}

static fa_cell *find(const fa_cell *dict, const char *key)
{
    const fa_entries *entries = dict->as.entries;
    for (int64_t i = 0; i < entries->count; i++)
        if (is_text(entries->key[i], key))
            return entries->item[i];
    return NULL;
}

bool fa_cifar_has(const fa_cell *dict, const char *key)
{
    return find(dict, key) != NULL;
}

fa_cell *fa_cifar_entry(const fa_cell *dict, const char *key, const char *path, const char *what, fa_where where)
{
    fa_cell *found = find(dict, key);
    if (found == NULL) {
        char keys[200] = "";
        size_t length = 0;
        const fa_entries *entries = dict->as.entries;
        for (int64_t i = 0; i < entries->count && length < sizeof keys - 1; i++) {
            const fa_cell *k = entries->key[i];
            bool text = k->kind == FA_VALUE_STRING || k->kind == FA_VALUE_BYTES;
            int more = snprintf(keys + length, sizeof keys - length, "%s%.40s", i > 0 ? ", " : "",
                                text ? k->as.text.bytes : "?");
            length += more > 0 ? (size_t)more : 0;
        }
        for (char *c = keys; *c != 0; c++)
            *c = (char)(*c >= 32 && *c < 127 ? *c : '.');
        fa_fail(FA_FILE_ERROR, where, what, "%s: got a dict without \"%s\" (it has: %s).", path, key, keys);
    }
    return found;
}

/* ---- Arrays ------------------------------------------------------------------------------------------------------ */

static const fa_cell *attribute(const fa_cell *object, const char *name)
{
    const fa_cell *attributes = object->as.object->attributes;
    return attributes != NULL ? fa_cell_find_text(attributes, name) : NULL;
}

static bool is_object(const fa_cell *cell, const char *class_name)
{
    return cell != NULL && cell->kind == FA_VALUE_OBJECT && strcmp(cell->as.object->class_name, class_name) == 0;
}

/* dtype('u1', ...), in any of its spellings. */
static bool is_bytes(const fa_cell *dtype)
{
    const fa_cell *args = is_object(dtype, "dtype") ? attribute(dtype, "args") : NULL;
    const fa_cell *word = args != NULL ? fa_pickle_arg(args, 0) : NULL;
    return word != NULL && (is_text(word, "u1") || is_text(word, "|u1") || is_text(word, "uint8"));
}

static bool is_number(const fa_cell *cell)
{
    return cell != NULL && cell->kind == FA_VALUE_INT && cell->flavour != FA_FLAVOUR_BIG;
}

bool fa_cifar_array_of(const fa_cell *cell, int64_t columns, const char *path, const char *what, fa_where where,
                       fa_cifar_array *out)
{
    const fa_cell *state = is_object(cell, "ndarray") ? attribute(cell, "state") : NULL;
    if (state == NULL || state->kind != FA_VALUE_TUPLE)
        return fa_fail(FA_FILE_ERROR, where, what, "%s: got images that are no array, needs numpy's uint8 [n, %lld].",
                       path, (long long)columns);
    const fa_cell *shape = fa_pickle_arg(state, 1), *dtype = fa_pickle_arg(state, 2), *order = fa_pickle_arg(state, 3);
    const fa_cell *bytes = fa_pickle_arg(state, 4);
    const fa_cell *rows = shape != NULL ? fa_pickle_arg(shape, 0) : NULL;
    const fa_cell *width = shape != NULL ? fa_pickle_arg(shape, 1) : NULL;
    if (!is_number(rows) || !is_number(width) || fa_pickle_arg(shape, 2) != NULL || width->as.number != columns ||
        rows->as.number < 1)
        return fa_fail(FA_FILE_ERROR, where, what, "%s: got images whose shape is not [n, %lld], needs that.", path,
                       (long long)columns);
    if (!is_bytes(dtype))
        return fa_fail(FA_FILE_ERROR, where, what, "%s: got images of another type, needs uint8.", path);
    size_t wanted;
    bool fits = fa_mul_size((size_t)rows->as.number, (size_t)columns, &wanted);
    if (bytes == NULL || (bytes->kind != FA_VALUE_BYTES && bytes->kind != FA_VALUE_STRING) || !fits ||
        (size_t)bytes->as.text.length != wanted)
        return fa_fail(FA_FILE_ERROR, where, what, "%s: got %lld bytes for %lld images, needs %lld for each.", path,
                       bytes != NULL && (bytes->kind == FA_VALUE_BYTES || bytes->kind == FA_VALUE_STRING)
                           ? (long long)bytes->as.text.length
                           : 0LL,
                       (long long)rows->as.number, (long long)columns);
    *out = (fa_cifar_array){(const uint8_t *)bytes->as.text.bytes, rows->as.number, columns,
                            order != NULL && (order->kind == FA_VALUE_BOOL || order->kind == FA_VALUE_INT) &&
                                order->as.number != 0};
    return true;
}
