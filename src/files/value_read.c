/* Reading values: kinds, entries, and conversion to what C has. */
#include "files/value_cell.h"

#include "base/error.h"
#include "base/half.h"
#include "base/number_text.h"
#include "tensor/thread.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- What a value is ----------------------------------------------------------------------------------------------
 */

fa_value_kind fa_kind_of(const fa_value *value)
{
    const fa_cell *cell = fa_cell_of(value);
    return cell != NULL ? (fa_value_kind)cell->kind : FA_VALUE_INVALID;
}

fa_value_flavour fa_flavour_of(const fa_value *value)
{
    const fa_cell *cell = fa_cell_of(value);
    return cell != NULL ? (fa_value_flavour)cell->flavour : FA_FLAVOUR_PLAIN;
}

const char *fa_kind_name(const fa_value *value)
{
    static const char *const kinds[] = {"nothing", "None", "bool",  "int",  "float",  "string",
                                        "bytes",   "list", "tuple", "dict", "tensor", "object"};
    const fa_cell *cell = fa_cell_of(value);
    if (cell == NULL)
        return value == NULL ? "nothing" : "a value that has ended";
    switch (cell->flavour) {
    case FA_FLAVOUR_ORDERED_DICT:
        return "OrderedDict";
    case FA_FLAVOUR_COUNTER:
        return "Counter";
    case FA_FLAVOUR_SET:
        return "set";
    case FA_FLAVOUR_SIZE:
        return "torch.Size";
    case FA_FLAVOUR_BYTEARRAY:
        return "bytearray";
    default:
        return kinds[cell->kind];
    }
}

/* ---- Text for messages --------------------------------------------------------------------------------------------
 */

enum { RING = 8, ROOM = 256 };

static char *ring_text(void)
{
    static _Thread_local char ring[RING][ROOM];
    static _Thread_local int turn;
    return ring[turn = (turn + 1) % RING];
}

/* Up to 40 bytes of a string in quotes; what cannot be printed as dots. */
static void quote(char *to, size_t room, const char *bytes, int64_t length)
{
    size_t at = 0, n = length < 40 ? (size_t)length : 40;
    to[at++] = '\'';
    for (size_t i = 0; i < n && at + 8 < room; i++)
        to[at++] = (char)((uint8_t)bytes[i] >= 32 && bytes[i] != 127 ? bytes[i] : '.');
    while (n < (size_t)length && at > 1 && ((uint8_t)to[at - 1] & 0xc0) == 0x80)
        at--; /* not half of a character */
    snprintf(to + at, room - at, n < (size_t)length ? "...'" : "'");
}

const char *fa_value_text(const fa_value *value)
{
    char *text = ring_text();
    const fa_cell *cell = fa_cell_of(value);
    if (cell == NULL)
        return value == NULL ? "no value (NULL)" : "a value that has ended";
    const char *name = fa_kind_name(value);
    switch (cell->kind) {
    case FA_VALUE_NONE:
        return "None";
    case FA_VALUE_BOOL:
        return cell->as.number != 0 ? "the bool True" : "the bool False";
    case FA_VALUE_INT:
        if (cell->flavour == FA_FLAVOUR_BIG)
            snprintf(text, ROOM, "the int %.40s", cell->as.text.bytes);
        else
            snprintf(text, ROOM, "the int %lld", (long long)cell->as.number);
        break;
    case FA_VALUE_FLOAT:
        fa_text_print(text, ROOM, "the float %.9g", cell->as.real);
        break;
    case FA_VALUE_STRING: {
        int at = snprintf(text, ROOM, "the string ");
        quote(text + at, ROOM - (size_t)at, cell->as.text.bytes, cell->as.text.length);
        break;
    }
    case FA_VALUE_BYTES:
        snprintf(text, ROOM, "%lld bytes", (long long)cell->as.text.length);
        break;
    case FA_VALUE_TENSOR: {
        const fa_tensor_body *body = cell->as.tensor;
        const fa_stored stored = body->storage != NULL ? body->view.stored : (fa_stored)body->leaf->meta.dtype;
        const char *dims =
            body->storage != NULL ? fa_dims_text(body->view.ndim, body->view.size) : fa_shape_text(&body->leaf->meta);
        snprintf(text, ROOM, "a tensor of %s %s", fa_stored_types[stored].name, dims);
        break;
    }
    case FA_VALUE_OBJECT:
        snprintf(text, ROOM, "%s %.100s.%.100s",
                 cell->as.object->attributes != NULL ? "an object of class" : "the name", cell->as.object->module,
                 cell->as.object->class_name);
        break;
    default:
        snprintf(text, ROOM, "a %s of %lld", name, (long long)cell->as.entries->count);
        break;
    }
    return text;
}

static int append_key(char *text, int at, const fa_cell *key)
{
    if (key->kind == FA_VALUE_STRING)
        return at + snprintf(text + at, (size_t)(ROOM - at), "%.*s",
                             key->as.text.length < 60 ? (int)key->as.text.length : 60, key->as.text.bytes);
    if (key->kind == FA_VALUE_INT && key->flavour != FA_FLAVOUR_BIG)
        return at + snprintf(text + at, (size_t)(ROOM - at), "%lld", (long long)key->as.number);
    return at + snprintf(text + at, (size_t)(ROOM - at), "(%s)", fa_kind_name(fa_cell_handle(key)));
}

const char *fa_keys_text(const fa_value *dict)
{
    const fa_cell *cell = fa_cell_of(dict);
    if (cell == NULL || cell->kind != FA_VALUE_DICT || cell->as.entries->count == 0)
        return "nothing";
    char *text = ring_text();
    const fa_entries *entries = cell->as.entries;
    int at = 0;
    for (int64_t i = 0; i < entries->count; i++) {
        if (at > ROOM - 100) {
            snprintf(text + at, (size_t)(ROOM - at), ", ... (%lld in all)", (long long)entries->count);
            break;
        }
        if (i > 0)
            at += snprintf(text + at, (size_t)(ROOM - at), ", ");
        at = append_key(text, at, entries->key[i]);
    }
    return text;
}

static const char *key_text(fa_key key)
{
    char *text = ring_text();
    if (key.text != NULL)
        quote(text, ROOM, key.text, (int64_t)strlen(key.text));
    else
        snprintf(text, ROOM, "%lld", (long long)key.number);
    return text;
}

bool fa_value_check(const fa_value *value, fa_value_kind kind, const char *what, fa_where where)
{
    static const char *const kinds[] = {"a value", "None",   "a bool",  "an int", "a float",  "a string",
                                        "bytes",   "a list", "a tuple", "a dict", "a tensor", "an object"};
    const fa_cell *cell = fa_cell_use(value, what, where);
    if (cell == NULL)
        return false;
    return kind == FA_VALUE_INVALID || cell->kind == kind ||
           fa_fail(FA_VALUE_ERROR, where, what, "got %s, needs %s.", fa_value_text(value), kinds[kind]);
}

/* ---- Entries ------------------------------------------------------------------------------------------------------
 */

static bool has_entries(const fa_cell *cell)
{
    return cell->kind == FA_VALUE_LIST || cell->kind == FA_VALUE_TUPLE || cell->kind == FA_VALUE_DICT;
}

static fa_cell *find(const fa_cell *cell, fa_key key)
{
    if (cell->kind == FA_VALUE_DICT && key.text != NULL)
        return fa_cell_find_text(cell, key.text);
    if (cell->kind == FA_VALUE_DICT) {
        fa_cell number = {.kind = FA_VALUE_INT};
        number.as.number = key.number;
        return fa_cell_find(cell, &number);
    }
    if (!has_entries(cell) || key.text != NULL)
        return NULL;
    int64_t count = cell->as.entries->count, i = key.number < 0 ? key.number + count : key.number;
    return i >= 0 && i < count ? cell->as.entries->item[i] : NULL;
}

bool fa_has_at(fa_value *value, fa_key key, fa_where where)
{
    fa_cell *cell = fa_cell_use(value, "has", where);
    return cell != NULL && find(cell, key) != NULL;
}

static fa_cell *get(fa_value *value, fa_key key, const char *what, fa_where where)
{
    fa_cell *cell = fa_cell_use(value, what, where);
    fa_cell *found = cell != NULL ? find(cell, key) : NULL;
    if (found != NULL || cell == NULL)
        return found;
    if (cell->kind == FA_VALUE_DICT)
        fa_fail(FA_INDEX_ERROR, where, what, "got key %s, which the %s does not have. It has: %s.", key_text(key),
                fa_kind_name(value), fa_keys_text(value));
    else if (!has_entries(cell))
        fa_fail(FA_VALUE_ERROR, where, what, "got %s, needs a dict%s, for key %s.", fa_value_text(value),
                key.text == NULL ? ", list or tuple" : "", key_text(key));
    else if (key.text != NULL)
        fa_fail(FA_VALUE_ERROR, where, what, "got key %s for %s, whose entries have numbers.", key_text(key),
                fa_value_text(value));
    else
        fa_fail(FA_INDEX_ERROR, where, what, "got number %lld of %s, needs one from 0 on below its length.",
                (long long)key.number, fa_value_text(value));
    return NULL;
}

fa_value *fa_get_at(fa_value *value, fa_key key, fa_where where)
{
    return fa_cell_handle(get(value, key, "get", where));
}

int64_t fa_len(const fa_value *value)
{
    const fa_cell *cell = fa_cell_of(value);
    if (cell == NULL)
        return 0;
    if (has_entries(cell))
        return cell->as.entries->count;
    if (cell->kind == FA_VALUE_STRING || cell->kind == FA_VALUE_BYTES)
        return cell->as.text.length;
    if (cell->kind != FA_VALUE_TENSOR)
        return 0;
    return cell->as.tensor->storage != NULL ? cell->as.tensor->view.elements
                                            : fa_meta_numel(&cell->as.tensor->leaf->meta);
}

fa_value *fa_key_at(fa_value *dict, int64_t i)
{
    const fa_cell *cell = fa_cell_of(dict);
    if (cell == NULL || cell->kind != FA_VALUE_DICT || i < 0 || i >= cell->as.entries->count)
        return NULL;
    return fa_cell_handle(cell->as.entries->key[i]);
}

fa_value *fa_value_at(fa_value *container, int64_t i)
{
    const fa_cell *cell = fa_cell_of(container);
    if (cell == NULL || !has_entries(cell) || i < 0 || i >= cell->as.entries->count)
        return NULL;
    return fa_cell_handle(cell->as.entries->item[i]);
}

const char *fa_object_module(const fa_value *value)
{
    const fa_cell *cell = fa_cell_of(value);
    return cell != NULL && cell->kind == FA_VALUE_OBJECT ? cell->as.object->module : NULL;
}

const char *fa_object_class(const fa_value *value)
{
    const fa_cell *cell = fa_cell_of(value);
    return cell != NULL && cell->kind == FA_VALUE_OBJECT ? cell->as.object->class_name : NULL;
}

/* ---- Numbers ------------------------------------------------------------------------------------------------------
 */

/* The only element of a tensor; false after an error. `whole`: it is in *number, else in *real. */
static bool element(fa_value *tensor, const char *what, fa_where where, bool *whole, int64_t *number, double *real)
{
    fa_tensor_view view;
    if (!fa_value_view(tensor, &view, where))
        return false;
    if (view.elements != 1)
        return fa_fail(FA_SHAPE_ERROR, where, what, "got %s, needs a number or a tensor of one element.",
                       fa_value_text(tensor));
    uint64_t bits = 0;
    memcpy(&bits, view.data, fa_stored_types[view.stored].size <= 8 ? fa_stored_types[view.stored].size : 8);
    *whole = true;
    switch (view.stored) {
    case FA_STORED_INT64:
    case FA_STORED_UINT64:
        *number = (int64_t)bits;
        if (view.stored == FA_STORED_UINT64 && *number < 0)
            return fa_fail(FA_VALUE_ERROR, where, what, "got %llu, which does not fit 64 bits with a sign.",
                           (unsigned long long)bits);
        return true;
    case FA_STORED_INT32:
        *number = (int32_t)bits;
        return true;
    case FA_STORED_INT16:
        *number = (int16_t)bits;
        return true;
    case FA_STORED_INT8:
        *number = (int8_t)bits;
        return true;
    case FA_STORED_UINT32:
    case FA_STORED_UINT16:
    case FA_STORED_UINT8:
        *number = (int64_t)bits;
        return true;
    case FA_STORED_BOOL:
        *number = bits != 0;
        return true;
    default:
        break;
    }
    *whole = false;
    switch (view.stored) {
    case FA_STORED_FLOAT32:
        *real = (double)fa_float_of_bits((uint32_t)bits);
        return true;
    case FA_STORED_FLOAT64:
        memcpy(real, &bits, sizeof *real);
        return true;
    case FA_STORED_BFLOAT16:
        *real = (double)fa_bfloat16_to_float((uint16_t)bits);
        return true;
    case FA_STORED_FLOAT16:
        *real = (double)fa_float16_to_float((uint16_t)bits);
        return true;
    default:
        return fa_fail(FA_DTYPE_ERROR, where, what, "got %s, needs one of a real type.", fa_value_text(tensor));
    }
}

/* " of key 'epoch'" for messages; "" without one. */
static const char *of_key(const fa_key *key)
{
    if (key == NULL)
        return "";
    char *text = ring_text();
    snprintf(text, ROOM, " of key %.200s", key_text(*key));
    return text;
}

static int64_t as_int(fa_value *value, const char *what, const fa_key *key, fa_where where)
{
    const fa_cell *cell = fa_cell_use(value, what, where);
    if (cell == NULL)
        return 0;
    bool is_whole = true;
    int64_t number = 0;
    double real = 0;
    if ((cell->kind == FA_VALUE_INT && cell->flavour != FA_FLAVOUR_BIG) || cell->kind == FA_VALUE_BOOL)
        return cell->as.number;
    if (cell->kind == FA_VALUE_TENSOR && !element(value, what, where, &is_whole, &number, &real))
        return 0;
    if (cell->kind == FA_VALUE_TENSOR && is_whole)
        return number;
    if (cell->kind == FA_VALUE_FLOAT)
        real = cell->as.real;
    if ((cell->kind == FA_VALUE_FLOAT || cell->kind == FA_VALUE_TENSOR) && real >= -9223372036854775808.0 &&
        real < 9223372036854775808.0 && real == (double)(int64_t)real)
        return (int64_t)real;
    fa_fail(FA_VALUE_ERROR, where, what, "got %s as the value%s, needs a whole number of 64 bits.",
            fa_value_text(value), of_key(key));
    return 0;
}

static double as_float(fa_value *value, const char *what, const fa_key *key, fa_where where)
{
    const fa_cell *cell = fa_cell_use(value, what, where);
    if (cell == NULL)
        return 0;
    bool is_whole = true;
    int64_t number = 0;
    double real = 0;
    switch (cell->kind) {
    case FA_VALUE_FLOAT:
        return cell->as.real;
    case FA_VALUE_BOOL:
        return (double)cell->as.number;
    case FA_VALUE_INT:
        return cell->flavour == FA_FLAVOUR_BIG ? fa_text_number_of(cell->as.text.bytes, NULL) : (double)cell->as.number;
    case FA_VALUE_TENSOR:
        if (!element(value, what, where, &is_whole, &number, &real))
            return 0;
        return is_whole ? (double)number : real;
    default:
        fa_fail(FA_VALUE_ERROR, where, what, "got %s as the value%s, needs a number.", fa_value_text(value),
                of_key(key));
        return 0;
    }
}

static bool as_bool(fa_value *value, const char *what, const fa_key *key, fa_where where)
{
    const fa_cell *cell = fa_cell_use(value, what, where);
    if (cell == NULL)
        return false;
    int64_t number = 2;
    if (cell->kind == FA_VALUE_BOOL || (cell->kind == FA_VALUE_INT && cell->flavour != FA_FLAVOUR_BIG))
        number = cell->as.number;
    else if (cell->kind == FA_VALUE_TENSOR) {
        bool is_whole;
        double real;
        if (!element(value, what, where, &is_whole, &number, &real))
            return false;
        number = is_whole ? number : 2;
    }
    if (number == 0 || number == 1)
        return number != 0;
    fa_fail(FA_VALUE_ERROR, where, what, "got %s as the value%s, needs a bool.", fa_value_text(value), of_key(key));
    return false;
}

static const char *as_string(fa_value *value, const char *what, const fa_key *key, fa_where where)
{
    const fa_cell *cell = fa_cell_use(value, what, where);
    if (cell == NULL)
        return NULL;
    if (cell->kind == FA_VALUE_STRING || (cell->kind == FA_VALUE_INT && cell->flavour == FA_FLAVOUR_BIG))
        return cell->as.text.bytes;
    fa_fail(FA_VALUE_ERROR, where, what, "got %s as the value%s, needs a string.", fa_value_text(value), of_key(key));
    return NULL;
}

static fa_tensor *as_tensor(fa_value *value, const char *what, const fa_key *key, fa_where where)
{
    fa_begin(where);
    const fa_cell *cell = fa_cell_use(value, what, where);
    if (cell == NULL)
        return NULL;
    if (cell->kind != FA_VALUE_TENSOR) {
        fa_fail(FA_VALUE_ERROR, where, what, "got %s as the value%s, needs a tensor.", fa_value_text(value),
                of_key(key));
        return NULL;
    }
    fa_leaf *leaf = fa_value_leaf(value, where);
    if (leaf == NULL)
        return NULL;
    fa_tensor *handle = fa_handle(fa_leaf_node(leaf));
    fa_leaf_release(leaf);
    return handle;
}

int64_t fa_as_int_at(fa_value *value, fa_where where)
{
    return as_int(value, "as_int", NULL, where);
}
double fa_as_float_at(fa_value *value, fa_where where)
{
    return as_float(value, "as_float", NULL, where);
}
bool fa_as_bool_at(fa_value *value, fa_where where)
{
    return as_bool(value, "as_bool", NULL, where);
}
const char *fa_as_string_at(fa_value *value, fa_where where)
{
    return as_string(value, "as_string", NULL, where);
}
fa_tensor *fa_as_tensor_at(fa_value *value, fa_where where)
{
    return as_tensor(value, "as_tensor", NULL, where);
}

const void *fa_as_bytes_at(fa_value *value, int64_t *length, fa_where where)
{
    const fa_cell *cell = fa_cell_use(value, "as_bytes", where);
    if (cell == NULL)
        return NULL;
    if (cell->kind != FA_VALUE_STRING && cell->kind != FA_VALUE_BYTES) {
        fa_fail(FA_VALUE_ERROR, where, "as_bytes", "got %s, needs bytes or a string.", fa_value_text(value));
        return NULL;
    }
    if (length != NULL)
        *length = cell->as.text.length;
    return cell->as.text.bytes;
}

int64_t fa_get_int_at(fa_value *value, fa_key key, fa_where where)
{
    fa_cell *found = get(value, key, "get_int", where);
    return found != NULL ? as_int(fa_cell_handle(found), "get_int", &key, where) : 0;
}
double fa_get_float_at(fa_value *value, fa_key key, fa_where where)
{
    fa_cell *found = get(value, key, "get_float", where);
    return found != NULL ? as_float(fa_cell_handle(found), "get_float", &key, where) : 0;
}
bool fa_get_bool_at(fa_value *value, fa_key key, fa_where where)
{
    fa_cell *found = get(value, key, "get_bool", where);
    return found != NULL && as_bool(fa_cell_handle(found), "get_bool", &key, where);
}
const char *fa_get_string_at(fa_value *value, fa_key key, fa_where where)
{
    fa_cell *found = get(value, key, "get_string", where);
    return found != NULL ? as_string(fa_cell_handle(found), "get_string", &key, where) : NULL;
}
fa_tensor *fa_get_tensor_at(fa_value *value, fa_key key, fa_where where)
{
    fa_cell *found = get(value, key, "get_tensor", where);
    return found != NULL ? as_tensor(fa_cell_handle(found), "get_tensor", &key, where) : NULL;
}
