/* Making values, and putting them together: scalars, text, containers with their hashed keys, objects. */
#include "files/value_cell.h"

#include "base/error.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- Text ---------------------------------------------------------------------------------------------------------
 */

bool fa_is_utf8(const void *bytes, int64_t length)
{
    const uint8_t *p = bytes, *end = p + length;
    while (p < end) {
        if (p[0] < 0x80) {
            p++;
            continue;
        }
        int more = p[0] >= 0xf0 ? 3 : p[0] >= 0xe0 ? 2 : 1;
        if (p[0] < 0xc2 || p[0] > 0xf4 || end - p <= more)
            return false;
        for (int i = 1; i <= more; i++)
            if ((p[i] & 0xc0) != 0x80)
                return false;
        if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
            return false;
        p += more + 1;
    }
    return true;
}

fa_cell *fa_cell_text(int kind, int flavour, const void *bytes, int64_t length, fa_where where)
{
    char *copy = fa_malloc((size_t)length + 1);
    if (copy == NULL) {
        fa_fail_memory(where, (size_t)length + 1);
        return NULL;
    }
    fa_cell *cell = fa_cell_new(kind, flavour, where);
    if (cell == NULL) {
        fa_mfree(copy);
        return NULL;
    }
    if (length > 0)
        memcpy(copy, bytes, (size_t)length);
    copy[length] = 0;
    cell->as.text.bytes = copy;
    cell->as.text.length = length;
    return cell;
}

/* ---- Keys ---------------------------------------------------------------------------------------------------------
 */

enum { KEY_DEPTH = 16, KEY_ITEMS = 64, UNINDEXED = 8 };

/* Tuples as keys are small: what is compared and hashed again and again is bounded. A NaN equals nothing, so that none
 * would be found again and all of them lie in one place of the index. */
static bool is_key(const fa_cell *cell, int depth, int64_t *left)
{
    if (--*left < 0 || depth == 0)
        return false;
    if (cell->kind == FA_VALUE_FLOAT && cell->as.real != cell->as.real)
        return false;
    if (cell->kind != FA_VALUE_TUPLE)
        return cell->kind >= FA_VALUE_NONE && cell->kind <= FA_VALUE_BYTES && cell->flavour != FA_FLAVOUR_BYTEARRAY;
    for (int64_t i = 0; i < cell->as.entries->count; i++)
        if (!is_key(cell->as.entries->item[i], depth - 1, left))
            return false;
    return true;
}

bool fa_cell_is_key(const fa_cell *cell)
{
    int64_t left = KEY_ITEMS;
    return is_key(cell, KEY_DEPTH, &left);
}

static bool is_number(const fa_cell *cell)
{
    return (cell->kind == FA_VALUE_INT && cell->flavour != FA_FLAVOUR_BIG) || cell->kind == FA_VALUE_BOOL ||
           cell->kind == FA_VALUE_FLOAT;
}

/* A float that is a whole number of 64 bits, as this number. */
static bool whole(double x, int64_t *out)
{
    if (!(x >= -9223372036854775808.0 && x < 9223372036854775808.0) || x != (double)(int64_t)x)
        return false;
    *out = (int64_t)x;
    return true;
}

static bool equal_keys(const fa_cell *a, const fa_cell *b)
{
    if (is_number(a) && is_number(b)) {
        if (a->kind == FA_VALUE_FLOAT && b->kind == FA_VALUE_FLOAT)
            return a->as.real == b->as.real;
        int64_t x = a->as.number, y = b->as.number;
        if (a->kind == FA_VALUE_FLOAT && !whole(a->as.real, &x))
            return false;
        if (b->kind == FA_VALUE_FLOAT && !whole(b->as.real, &y))
            return false;
        return x == y;
    }
    if (a->kind != b->kind || is_number(a) != is_number(b))
        return false;
    if (a->kind == FA_VALUE_TUPLE) {
        const fa_entries *x = a->as.entries, *y = b->as.entries;
        if (x->count != y->count)
            return false;
        for (int64_t i = 0; i < x->count; i++)
            if (!equal_keys(x->item[i], y->item[i]))
                return false;
        return true;
    }
    if (a->kind == FA_VALUE_NONE)
        return true;
    return a->as.text.length == b->as.text.length &&
           memcmp(a->as.text.bytes, b->as.text.bytes, (size_t)a->as.text.length) == 0;
}

/* Keys come from files, so the hash has a secret: whoever writes one cannot make all keys fall together. */
static uint64_t secret;

static void make_secret(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t x = (uint64_t)now.tv_nsec * UINT64_C(0x9e3779b97f4a7c15) ^ (uint64_t)(uintptr_t)&now ^
                 (uint64_t)now.tv_sec << 20 ^ (uint64_t)(uintptr_t)&make_secret << 7;
    secret = x | 1;
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)(a ^ secret) * (b ^ UINT64_C(0xa0761d6478bd642f));
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t hash_bytes(const char *bytes, int64_t length)
{
    uint64_t hash = mix((uint64_t)length, secret);
    for (int64_t i = 0; i < length; i += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + i, (size_t)(length - i < 8 ? length - i : 8));
        hash = mix(hash ^ word, hash + word);
    }
    return hash;
}

static uint64_t hash_key(const fa_cell *key)
{
    int64_t number;
    if (key->kind == FA_VALUE_FLOAT && !whole(key->as.real, &number))
        return hash_bytes((const char *)&key->as.real, sizeof key->as.real);
    if (is_number(key)) {
        number = key->kind == FA_VALUE_FLOAT ? (int64_t)key->as.real : key->as.number;
        return mix((uint64_t)number, 7);
    }
    if (key->kind == FA_VALUE_TUPLE) {
        uint64_t hash = 11;
        for (int64_t i = 0; i < key->as.entries->count; i++)
            hash = mix(hash, hash_key(key->as.entries->item[i]));
        return hash;
    }
    return key->kind == FA_VALUE_NONE ? 1 : hash_bytes(key->as.text.bytes, key->as.text.length);
}

/* ---- Containers ---------------------------------------------------------------------------------------------------
 */

fa_cell *fa_cell_container(int kind, int flavour, fa_where where)
{
    fa_entries *entries = fa_calloc(1, sizeof *entries);
    if (entries == NULL) {
        fa_fail_memory(where, sizeof *entries);
        return NULL;
    }
    fa_cell *cell = fa_cell_new(kind, flavour, where);
    if (cell == NULL) {
        fa_mfree(entries);
        return NULL;
    }
    cell->as.entries = entries;
    return cell;
}

static bool is_hashed(const fa_cell *cell)
{
    return cell->kind == FA_VALUE_DICT || cell->flavour == FA_FLAVOUR_SET;
}

static fa_cell *const *keys_of(const fa_cell *cell)
{
    return cell->kind == FA_VALUE_DICT ? cell->as.entries->key : cell->as.entries->item;
}

/* Number of the entry with this key, -1 if there is none. */
static int64_t find(const fa_cell *cell, const fa_cell *key)
{
    const fa_entries *entries = cell->as.entries;
    fa_cell *const *keys = keys_of(cell);
    if (entries->index == NULL) {
        for (int64_t i = 0; i < entries->count; i++)
            if (equal_keys(keys[i], key))
                return i;
        return -1;
    }
    for (uint64_t slot = hash_key(key);; slot++) {
        uint32_t entry = entries->index[slot & (uint64_t)(entries->slots - 1)];
        if (entry == 0)
            return -1;
        if (equal_keys(keys[entry - 1], key))
            return entry - 1;
    }
}

static void enter(fa_entries *entries, const fa_cell *key, int64_t number)
{
    uint64_t slot = hash_key(key), last = (uint64_t)(entries->slots - 1);
    while (entries->index[slot & last] != 0)
        slot++;
    entries->index[slot & last] = (uint32_t)(number + 1);
}

/* At least half of the slots stay free. */
static bool grow_index(fa_cell *cell)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    fa_entries *entries = cell->as.entries;
    if (entries->count < UNINDEXED || entries->count < entries->slots / 2)
        return true;
    pthread_once(&once, make_secret);
    int64_t slots = entries->slots > 0 ? 2 * entries->slots : 4 * UNINDEXED;
    uint32_t *index = entries->count < UINT32_MAX / 4 ? fa_calloc((size_t)slots, sizeof *index) : NULL;
    if (index == NULL)
        return false;
    fa_mfree(entries->index);
    entries->index = index;
    entries->slots = slots;
    for (int64_t i = 0; i < entries->count; i++)
        enter(entries, keys_of(cell)[i], i);
    return true;
}

static bool grow(fa_cell *cell)
{
    fa_entries *entries = cell->as.entries;
    if (entries->count < entries->capacity)
        return true;
    int64_t capacity = entries->capacity > 0 ? 2 * entries->capacity : 4;
    fa_cell **item = fa_realloc(entries->item, (size_t)capacity * sizeof(fa_cell *));
    if (item == NULL)
        return false;
    entries->item = item;
    if (cell->kind == FA_VALUE_DICT) {
        fa_cell **key = fa_realloc(entries->key, (size_t)capacity * sizeof(fa_cell *));
        if (key == NULL)
            return false;
        entries->key = key;
    }
    entries->capacity = capacity;
    return true;
}

bool fa_cell_append(fa_cell *list, fa_cell *item, fa_where where)
{
    if (!grow(list))
        return fa_fail_memory(where, sizeof(fa_cell *) * 2 * (size_t)list->as.entries->capacity);
    list->as.entries->item[list->as.entries->count++] = fa_cell_hold(item);
    return true;
}

bool fa_cell_put(fa_cell *cell, fa_cell *key, fa_cell *item, fa_where where)
{
    fa_entries *entries = cell->as.entries;
    int64_t number = find(cell, key);
    if (number >= 0) {
        if (cell->kind == FA_VALUE_DICT) {
            fa_cell *old = entries->item[number];
            entries->item[number] = fa_cell_hold(item);
            fa_cell_drop(old);
        }
        return true;
    }
    if (!grow(cell) || !grow_index(cell))
        return fa_fail_memory(where, sizeof(fa_cell *) * 2 * (size_t)(entries->capacity + 16));
    if (cell->kind == FA_VALUE_DICT) {
        entries->key[entries->count] = fa_cell_hold(key);
        entries->item[entries->count] = fa_cell_hold(item);
    } else
        entries->item[entries->count] = fa_cell_hold(key);
    if (entries->index != NULL)
        enter(entries, key, entries->count);
    entries->count++;
    return true;
}

fa_cell *fa_cell_find(const fa_cell *dict, const fa_cell *key)
{
    int64_t number = find(dict, key);
    return number >= 0 ? dict->as.entries->item[number] : NULL;
}

fa_cell *fa_cell_find_text(const fa_cell *dict, const char *text)
{
    fa_cell key = {.kind = FA_VALUE_STRING};
    key.as.text.bytes = (char *)text;
    key.as.text.length = (int64_t)strlen(text);
    return fa_cell_find(dict, &key);
}

/* ---- Objects and attributes ---------------------------------------------------------------------------------------
 */

fa_cell *fa_cell_object(const char *module, const char *class_name, fa_where where)
{
    fa_object_body *object = fa_calloc(1, sizeof *object);
    fa_cell *cell = NULL;
    if (object != NULL) {
        object->module = fa_strdup(module);
        object->class_name = fa_strdup(class_name);
        if (object->module != NULL && object->class_name != NULL)
            cell = fa_cell_new(FA_VALUE_OBJECT, FA_FLAVOUR_PLAIN, where);
    }
    if (cell == NULL) {
        if (object != NULL) {
            fa_mfree(object->module);
            fa_mfree(object->class_name);
        }
        fa_mfree(object);
        fa_fail_memory(where, sizeof *object);
        return NULL;
    }
    cell->as.object = object;
    return cell;
}

static fa_cell **attributes_place(const fa_cell *cell)
{
    switch (cell->kind) {
    case FA_VALUE_OBJECT:
        return &cell->as.object->attributes;
    case FA_VALUE_LIST:
    case FA_VALUE_TUPLE:
    case FA_VALUE_DICT:
        return &cell->as.entries->attributes;
    default:
        return NULL;
    }
}

fa_cell *fa_cell_attributes(const fa_cell *cell)
{
    fa_cell **place = attributes_place(cell);
    return place != NULL ? *place : NULL;
}

bool fa_cell_set_attributes(fa_cell *cell, fa_cell *dict, fa_where where)
{
    fa_cell **place = attributes_place(cell);
    if (place == NULL)
        return fa_fail(FA_VALUE_ERROR, where, "set_attributes",
                       "got a value that has no attributes, needs an object "
                       "or a container.");
    fa_cell *old = *place;
    *place = fa_cell_hold(dict);
    fa_cell_drop(old);
    return true;
}

fa_value *fa_attributes_at(fa_value *value, fa_where where)
{
    fa_cell *cell = fa_cell_use(value, "attributes", where);
    return cell != NULL ? fa_cell_handle(fa_cell_attributes(cell)) : NULL;
}

bool fa_set_attributes_at(fa_value *value, fa_value *dict, fa_where where)
{
    fa_cell *cell = fa_cell_use(value, "set_attributes", where);
    if (cell == NULL || !fa_value_check(dict, FA_VALUE_DICT, "set_attributes", where))
        return false;
    fa_cell *attributes = fa_cell_of(dict);
    return fa_cell_may_hold(cell, attributes, "set_attributes", where) &&
           fa_cell_set_attributes(cell, attributes, where);
}

/* ---- The program's makers -----------------------------------------------------------------------------------------
 */

fa_value *fa_value_none_at(fa_where where)
{
    return fa_cell_to_scope(fa_cell_new(FA_VALUE_NONE, 0, where), where);
}

static fa_value *number(int kind, int64_t x, fa_where where)
{
    fa_cell *cell = fa_cell_new(kind, 0, where);
    if (cell != NULL)
        cell->as.number = x;
    return fa_cell_to_scope(cell, where);
}

fa_value *fa_value_bool_at(bool x, fa_where where)
{
    return number(FA_VALUE_BOOL, x, where);
}

fa_value *fa_value_int_at(int64_t x, fa_where where)
{
    return number(FA_VALUE_INT, x, where);
}

fa_value *fa_value_uint_at(uint64_t x, fa_where where)
{
    if (x <= INT64_MAX)
        return number(FA_VALUE_INT, (int64_t)x, where);
    char text[24];
    int length = snprintf(text, sizeof text, "%llu", (unsigned long long)x);
    return fa_cell_to_scope(fa_cell_text(FA_VALUE_INT, FA_FLAVOUR_BIG, text, length, where), where);
}

fa_value *fa_value_float_at(double x, fa_where where)
{
    fa_cell *cell = fa_cell_new(FA_VALUE_FLOAT, 0, where);
    if (cell != NULL)
        cell->as.real = x;
    return fa_cell_to_scope(cell, where);
}

fa_value *fa_value_text_at(const char *text, int64_t length, fa_where where)
{
    if (text == NULL || length < 0) {
        fa_fail(FA_VALUE_ERROR, where, "value_string", "got no text (NULL), needs a string.");
        return NULL;
    }
    if (!fa_is_utf8(text, length)) {
        fa_fail(FA_VALUE_ERROR, where, "value_string",
                "got text that is not UTF-8. Hint: fa_value_bytes keeps any bytes.");
        return NULL;
    }
    return fa_cell_to_scope(fa_cell_text(FA_VALUE_STRING, 0, text, length, where), where);
}

fa_value *fa_value_string_at(const char *text, fa_where where)
{
    return fa_value_text_at(text, text != NULL ? (int64_t)strlen(text) : 0, where);
}

fa_value *fa_value_bytes_at(const void *data, int64_t length, fa_where where)
{
    if (length < 0 || (data == NULL && length > 0)) {
        fa_fail(FA_VALUE_ERROR, where, "value_bytes", "got no bytes (NULL), needs %lld.", (long long)length);
        return NULL;
    }
    return fa_cell_to_scope(fa_cell_text(FA_VALUE_BYTES, 0, data, length, where), where);
}

fa_value *fa_value_same_at(fa_value *value, fa_where where)
{
    return fa_cell_use(value, "value", where) != NULL ? value : NULL;
}

fa_value *fa_container_at(fa_value_kind kind, fa_value_flavour flavour, fa_where where)
{
    bool fine = kind == FA_VALUE_LIST    ? flavour == FA_FLAVOUR_PLAIN || flavour == FA_FLAVOUR_SET
                : kind == FA_VALUE_TUPLE ? flavour == FA_FLAVOUR_PLAIN || flavour == FA_FLAVOUR_SIZE
                : kind == FA_VALUE_DICT  ? flavour <= FA_FLAVOUR_COUNTER
                                         : false;
    if (!fine) {
        fa_fail(FA_VALUE_ERROR, where, "container",
                "got kind %d with flavour %d, needs a list or set, a tuple or size, a dict, OrderedDict or Counter.",
                (int)kind, (int)flavour);
        return NULL;
    }
    return fa_cell_to_scope(fa_cell_container((int)kind, (int)flavour, where), where);
}

fa_value *fa_value_object_at(const char *module, const char *class_name, fa_where where)
{
    if (module == NULL || class_name == NULL) {
        fa_fail(FA_VALUE_ERROR, where, "value_object", "got no name (NULL) for a module or class.");
        return NULL;
    }
    return fa_cell_to_scope(fa_cell_object(module, class_name, where), where);
}

fa_value *fa_dict_put_at(fa_value *dict, fa_value *key, fa_value *x, fa_where where)
{
    fa_cell *to = fa_cell_use(dict, "dict_put", where), *k = fa_cell_use(key, "dict_put", where),
            *item = fa_cell_use(x, "dict_put", where);
    if (to == NULL || k == NULL || item == NULL || !fa_value_check(dict, FA_VALUE_DICT, "dict_put", where))
        return NULL;
    if (!fa_cell_is_key(k)) {
        fa_fail(FA_VALUE_ERROR, where, "dict_put",
                "got %s as a key, needs something plain that cannot change. Hint: a string or an integer.",
                fa_value_text(key));
        return NULL;
    }
    return fa_cell_may_hold(to, item, "dict_put", where) && fa_cell_put(to, k, item, where) ? dict : NULL;
}

fa_value *fa_list_add_at(fa_value *list, fa_value *x, fa_where where)
{
    fa_cell *to = fa_cell_use(list, "list_add", where), *item = fa_cell_use(x, "list_add", where);
    if (to == NULL || item == NULL || !fa_value_check(list, FA_VALUE_LIST, "list_add", where))
        return NULL;
    if (is_hashed(to)) {
        if (!fa_cell_is_key(item)) {
            fa_fail(FA_VALUE_ERROR, where, "list_add",
                    "got %s for a set, needs something plain that cannot change. Hint: a string or an integer.",
                    fa_value_text(x));
            return NULL;
        }
        return fa_cell_put(to, item, NULL, where) ? list : NULL;
    }
    return fa_cell_may_hold(to, item, "list_add", where) && fa_cell_append(to, item, where) ? list : NULL;
}

/* A container that is given up after an error ends at once, not with its scope. */
static fa_value *or_nothing(fa_value *container, bool fine)
{
    if (fine)
        return container;
    fa_value_free(container);
    return NULL;
}

fa_value *fa_dict_of_at(int64_t n, fa_value *const *x, fa_where where)
{
    if (n % 2 != 0) {
        fa_fail(FA_VALUE_ERROR, where, "dict",
                "got %lld arguments, needs pairs of key and value. Hint: fa_dict(\"epoch\", 3, \"loss\", 0.5).",
                (long long)n);
        return NULL;
    }
    fa_value *dict = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    bool fine = dict != NULL;
    for (int64_t i = 0; fine && i < n; i += 2)
        fine = fa_dict_put_at(dict, x[i], x[i + 1], where) != NULL;
    return or_nothing(dict, fine);
}

static fa_value *sequence(fa_value_kind kind, int64_t n, fa_value *const *x, fa_where where)
{
    fa_value *list = fa_container_at(kind, FA_FLAVOUR_PLAIN, where);
    bool fine = list != NULL;
    for (int64_t i = 0; fine && i < n; i++) {
        fa_cell *item = fa_cell_use(x[i], kind == FA_VALUE_LIST ? "list" : "tuple", where);
        fine = item != NULL && fa_cell_append(fa_cell_of(list), item, where);
    }
    return or_nothing(list, fine);
}

fa_value *fa_list_of_at(int64_t n, fa_value *const *x, fa_where where)
{
    return sequence(FA_VALUE_LIST, n, x, where);
}

fa_value *fa_tuple_of_at(int64_t n, fa_value *const *x, fa_where where)
{
    return sequence(FA_VALUE_TUPLE, n, x, where);
}
