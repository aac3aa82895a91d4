/* Writing pickles. */
#include "files/pickle_writer.h"

#include "base/error.h"

#include <stdio.h>
#include <string.h>

enum { BATCH = 1000 }; /* items between two marks, as Python has it */

/* What was written once and is fetched from then on: globals and strings by their bytes in the pickle, values by their
 * handle. Number 0 in `at` is no place of a string, so an entry with neither is free. */
struct fa_pickle_memo {
    const fa_value *value;
    size_t at, length;
    uint64_t hash;
    uint32_t number;
};

static bool no_memory(fa_pickle *p, size_t bytes)
{
    p->failed = true;
    return fa_fail_memory(p->where, bytes);
}

/* ---- Bytes ------------------------------------------------------------------------------------------------------- */

static void put(fa_pickle *p, const void *data, size_t length)
{
    if (p->failed)
        return;
    if (length > p->capacity - p->length) {
        size_t capacity = p->capacity + p->capacity / 2 + length + 4096;
        uint8_t *grown = fa_realloc(p->data, capacity);
        if (grown == NULL) {
            no_memory(p, capacity);
            return;
        }
        p->data = grown;
        p->capacity = capacity;
    }
    if (length > 0)
        memcpy(p->data + p->length, data, length);
    p->length += length;
}

static void put_byte(fa_pickle *p, char c)
{
    put(p, &c, 1);
}

static void put_number(fa_pickle *p, uint64_t value, int bytes)
{
    uint8_t little[8];
    for (int i = 0; i < bytes; i++)
        little[i] = (uint8_t)(value >> (8 * i));
    put(p, little, (size_t)bytes);
}

/* ---- The memo ---------------------------------------------------------------------------------------------------- */

static uint64_t hash_bytes(const void *data, size_t length)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static uint64_t hash_value(const fa_value *value)
{
    uintptr_t handle = (uintptr_t)value;
    return hash_bytes(&handle, sizeof handle);
}

static bool is_free(const fa_pickle_memo *m)
{
    return m->value == NULL && m->at == 0;
}

/* The entry of a value, or of a text (value NULL), or the free one where it belongs. The table is never full. */
static fa_pickle_memo *find(const fa_pickle *p, const fa_value *value, const void *text, size_t length, uint64_t hash)
{
    for (size_t i = hash;; i++) {
        fa_pickle_memo *m = &p->memo[i & (p->memo_size - 1)];
        if (is_free(m) || (m->hash == hash && m->value == value && m->length == length &&
                           (value != NULL || memcmp(p->data + m->at, text, length) == 0)))
            return m;
    }
}

static bool grow_memo(fa_pickle *p)
{
    if (p->memo_used * 2 < p->memo_size)
        return true;
    fa_pickle_memo *old = p->memo;
    size_t old_size = p->memo_size, size = old_size > 0 ? old_size * 2 : 256;
    fa_pickle_memo *table = fa_calloc(size, sizeof *table);
    if (table == NULL)
        return no_memory(p, size * sizeof *table);
    for (size_t i = 0; i < old_size; i++)
        if (!is_free(&old[i])) {
            size_t k = old[i].hash;
            while (!is_free(&table[k & (size - 1)]))
                k++;
            table[k & (size - 1)] = old[i];
        }
    fa_mfree(old);
    p->memo = table;
    p->memo_size = size;
    return true;
}

/* Numbers are given in the order of writing, to what nobody fetches as well. */
static uint32_t put_memo(fa_pickle *p)
{
    if (p->memo_next < 256) {
        put_byte(p, 'q');
        put_number(p, p->memo_next, 1);
    } else {
        put_byte(p, 'r');
        put_number(p, p->memo_next, 4);
    }
    return p->memo_next++;
}

static void fetch(fa_pickle *p, uint32_t number)
{
    put_byte(p, number < 256 ? 'h' : 'j');
    put_number(p, number, number < 256 ? 1 : 4);
}

/* Fetches what was written before; false if it was not. */
static bool known(fa_pickle *p, const fa_value *value, const void *text, size_t length, uint64_t hash)
{
    if (p->failed || !grow_memo(p))
        return true;
    const fa_pickle_memo *m = find(p, value, text, length, hash);
    if (is_free(m))
        return false;
    fetch(p, m->number);
    return true;
}

/* After `known` said no. A text has just been written at `at`. */
static void remember(fa_pickle *p, const fa_value *value, size_t at, size_t length, uint64_t hash)
{
    uint32_t number = put_memo(p);
    if (p->failed || !grow_memo(p))
        return;
    fa_pickle_memo *m = find(p, value, p->data + at, length, hash);
    *m = (fa_pickle_memo){value, at, length, hash, number};
    p->memo_used++;
}

static void remember_value(fa_pickle *p, const fa_value *value)
{
    remember(p, value, 0, 0, hash_value(value));
}

/* ---- Plain pieces ------------------------------------------------------------------------------------------------ */

static void put_text(fa_pickle *p, const char *text, size_t length)
{
    uint64_t hash = hash_bytes(text, length) ^ 'X';
    if (known(p, NULL, text, length, hash))
        return;
    if (length > UINT32_MAX) {
        p->failed = true;
        fa_fail(FA_VALUE_ERROR, p->where, p->what, "got a string of %zu bytes at \"%s\", needs at most %u.", length,
                p->path, UINT32_MAX);
        return;
    }
    put_byte(p, 'X');
    put_number(p, length, 4);
    size_t at = p->length;
    put(p, text, length);
    remember(p, NULL, at, length, hash);
}

static void put_string(fa_pickle *p, const char *text)
{
    put_text(p, text, strlen(text));
}

/* "collections\nOrderedDict\n" */
static void put_global(fa_pickle *p, const char *module_and_name)
{
    size_t length = strlen(module_and_name);
    uint64_t hash = hash_bytes(module_and_name, length) ^ 'c';
    if (known(p, NULL, module_and_name, length, hash))
        return;
    put_byte(p, 'c');
    size_t at = p->length;
    put(p, module_and_name, length);
    remember(p, NULL, at, length, hash);
}

static void put_int(fa_pickle *p, int64_t x)
{
    if (x >= 0 && x < 256) {
        put_byte(p, 'K');
        put_number(p, (uint64_t)x, 1);
    } else if (x >= 0 && x < 65536) {
        put_byte(p, 'M');
        put_number(p, (uint64_t)x, 2);
    } else if (x >= INT32_MIN && x <= INT32_MAX) {
        put_byte(p, 'J');
        put_number(p, (uint64_t)x, 4);
    } else {
        int bytes = 8; /* as few as keep the sign */
        const uint64_t magnitude = x < 0 ? ~(uint64_t)x : (uint64_t)x;
        while (magnitude >> (8 * bytes - 9) == 0)
            bytes--;
        put_byte(p, '\x8a');
        put_number(p, (uint64_t)bytes, 1);
        put_number(p, (uint64_t)x, bytes);
    }
}

/* Decimal digits, with a sign or not: as few bytes as keep the sign, least first. */
static void put_big_int(fa_pickle *p, const char *digits)
{
    uint8_t little[256] = {0};
    bool negative = digits[0] == '-';
    for (const char *d = digits + negative; *d >= '0' && *d <= '9'; d++) {
        unsigned carry = (unsigned)(*d - '0');
        for (size_t i = 0; i < sizeof little; i++) {
            carry += little[i] * 10U;
            little[i] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry != 0 || little[255] != 0 || (little[254] & 0x80) != 0) {
            p->failed = true;
            fa_fail(FA_VALUE_ERROR, p->where, p->what, "got an integer at \"%s\" that needs more than 255 bytes.",
                    p->path);
            return;
        }
    }
    unsigned carry = 1;
    for (size_t i = 0; negative && i < sizeof little; i++) {
        carry += (uint8_t)~little[i];
        little[i] = (uint8_t)carry;
        carry >>= 8;
    }
    size_t bytes = 255;
    uint8_t fill = negative ? 0xff : 0;
    while (bytes > 1 && little[bytes - 1] == fill && (little[bytes - 2] & 0x80) == (fill & 0x80))
        bytes--;
    put_byte(p, '\x8a');
    put_number(p, bytes, 1);
    put(p, little, bytes);
}

static void put_float(fa_pickle *p, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    put_byte(p, 'G');
    put_number(p, __builtin_bswap64(bits), 8);
}

/* ---- Tensors ----------------------------------------------------------------------------------------------------- */

/* The number of the storage with exactly these elements; a new one where nothing holds them yet. -1 after an error. */
static int64_t storage_of(fa_pickle *p, const fa_tensor_view *view)
{
    if (view->contiguous && view->elements > 0) /* few tensors are tied, and those lie near each other */
        for (int64_t i = p->storage_count - 1; i >= 0; i--) {
            const fa_tensor_view *s = &p->storages[i];
            if (s->identity == view->identity && s->data == view->data && s->stored == view->stored &&
                s->elements == view->elements && s->contiguous)
                return i;
        }
    if (p->storage_count == p->storage_capacity) {
        int64_t capacity = p->storage_capacity * 2 + 64;
        fa_tensor_view *grown = fa_realloc(p->storages, (size_t)capacity * sizeof *grown);
        if (grown == NULL) {
            no_memory(p, (size_t)capacity * sizeof *grown);
            return -1;
        }
        p->storages = grown;
        p->storage_capacity = capacity;
    }
    p->storages[p->storage_count] = *view;
    return p->storage_count++;
}

static void put_sizes(fa_pickle *p, int n, const int64_t *size)
{
    if (n == 0) {
        put_byte(p, ')');
        return;
    }
    if (n > 3)
        put_byte(p, '(');
    for (int i = 0; i < n; i++)
        put_int(p, size[i]);
    put_byte(p, n > 3 ? 't' : (char)(0x84 + n));
    put_memo(p);
}

static void put_ordered_dict(fa_pickle *p)
{
    put_global(p, "collections\nOrderedDict\n");
    put(p, ")R", 2);
}

/* _rebuild_tensor_v2(storage, offset, sizes, strides, requires_grad, hooks); types that have no storage class of their
 * own: _rebuild_tensor_v3 with the type at the end. */
static void put_tensor(fa_pickle *p, fa_value *value)
{
    fa_tensor_view view;
    if (!fa_value_view(value, &view, p->where)) {
        p->failed = true;
        return;
    }
    int64_t number = storage_of(p, &view), stride[FA_MAX_DIMS], step = 1;
    if (number < 0)
        return;
    for (int d = view.ndim - 1; d >= 0; d--) {
        stride[d] = step;
        step *= view.size[d] > 1 ? view.size[d] : 1;
    }
    const fa_stored_type *type = &fa_stored_types[view.stored];
    char text[64];
    put_global(p, type->storage != NULL ? "torch._utils\n_rebuild_tensor_v2\n" : "torch._utils\n_rebuild_tensor_v3\n");
    put(p, "((", 2);
    put_string(p, "storage");
    if (type->storage != NULL)
        snprintf(text, sizeof text, "torch\n%s\n", type->storage);
    else
        snprintf(text, sizeof text, "torch.storage\nUntypedStorage\n");
    put_global(p, text);
    snprintf(text, sizeof text, "%lld", (long long)number);
    put_string(p, text);
    put_string(p, "cpu");
    put_int(p, type->storage != NULL ? view.elements : view.elements * type->size);
    put_byte(p, 't');
    put_memo(p);
    put_byte(p, 'Q');
    put_int(p, 0);
    put_sizes(p, view.ndim, view.size);
    put_sizes(p, view.ndim, stride);
    put_byte(p, '\x89');
    put_ordered_dict(p);
    put_memo(p);
    if (type->storage == NULL) {
        snprintf(text, sizeof text, "torch\n%s\n", type->name);
        put_global(p, text);
    }
    put_byte(p, 't');
    put_memo(p);
    put_byte(p, 'R');
    remember_value(p, value);
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

static void put_value(fa_pickle *p, fa_value *value);

/* bytes do not exist in this protocol: a string whose characters are the bytes, and how to get them back. */
static void put_bytes(fa_pickle *p, fa_value *value)
{
    int64_t length;
    const uint8_t *data = fa_as_bytes_at(value, &length, p->where);
    bool array = fa_flavour_of(value) == FA_FLAVOUR_BYTEARRAY;
    char *text = data != NULL || length == 0 ? fa_malloc((size_t)length * 2 + 1) : NULL;
    if (text == NULL) {
        no_memory(p, (size_t)length * 2);
        return;
    }
    size_t n = 0;
    for (int64_t i = 0; i < length; i++) {
        if (data[i] >= 0x80)
            text[n++] = (char)(0xc0 | data[i] >> 6);
        text[n++] = (char)(data[i] >= 0x80 ? 0x80 | (data[i] & 0x3f) : data[i]);
    }
    if (array)
        put_global(p, "__builtin__\nbytearray\n");
    put_global(p, "_codecs\nencode\n");
    put_text(p, text, n);
    fa_mfree(text);
    put_string(p, "latin1");
    put_byte(p, '\x86');
    put_memo(p);
    put_byte(p, 'R');
    if (array) {
        put_memo(p);
        put_byte(p, '\x85');
        put_memo(p);
        put_byte(p, 'R');
    }
    remember_value(p, value);
}

/* Marks around `n` pairs or items, of which `each` writes number i. */
static void put_items(fa_pickle *p, fa_value *container, int64_t n, void (*each)(fa_pickle *, fa_value *, int64_t),
                      char one, char many)
{
    for (int64_t i = 0; i < n && !p->failed;) {
        int64_t count = n - i < BATCH ? n - i : BATCH;
        if (count > 1)
            put_byte(p, '(');
        for (int64_t k = 0; k < count && !p->failed; k++)
            each(p, container, i + k);
        put_byte(p, count > 1 ? many : one);
        i += count;
    }
}

static void put_pair(fa_pickle *p, fa_value *dict, int64_t i)
{
    fa_value *key = fa_key_at(dict, i);
    put_value(p, key);
    size_t before = p->path_length;
    const char *text = fa_kind_of(key) == FA_VALUE_STRING ? fa_as_string_at(key, p->where) : fa_value_text(key);
    int added =
        snprintf(p->path + before, sizeof p->path - before, "%s%s", before > 0 ? "." : "", text != NULL ? text : "");
    if (added > 0)
        p->path_length = before + (size_t)added < sizeof p->path ? before + (size_t)added : sizeof p->path - 1;
    put_value(p, fa_value_at(dict, i));
    if (!p->failed) {
        p->path_length = before;
        p->path[before] = '\0';
    }
}

static void put_item(fa_pickle *p, fa_value *list, int64_t i)
{
    put_value(p, fa_value_at(list, i));
}

static void put_dict(fa_pickle *p, fa_value *value)
{
    int64_t n = fa_len(value);
    fa_value_flavour flavour = fa_flavour_of(value);
    if (flavour == FA_FLAVOUR_ORDERED_DICT) {
        put_ordered_dict(p);
        remember_value(p, value);
        put_items(p, value, n, put_pair, 's', 'u');
        fa_value *attributes = fa_attributes_at(value, p->where);
        if (attributes != NULL && fa_len(attributes) > 0) {
            put_value(p, attributes);
            put_byte(p, 'b');
        }
        return;
    }
    if (flavour == FA_FLAVOUR_COUNTER)
        put_global(p, "collections\nCounter\n");
    put_byte(p, '}');
    if (flavour == FA_FLAVOUR_COUNTER)
        put_memo(p);
    else
        remember_value(p, value);
    put_items(p, value, n, put_pair, 's', 'u');
    if (flavour == FA_FLAVOUR_COUNTER) {
        put_byte(p, '\x85');
        put_memo(p);
        put_byte(p, 'R');
        remember_value(p, value);
    }
}

static void put_list(fa_pickle *p, fa_value *value)
{
    bool set = fa_flavour_of(value) == FA_FLAVOUR_SET;
    if (set)
        put_global(p, "__builtin__\nset\n");
    put_byte(p, ']');
    if (set)
        put_memo(p);
    else
        remember_value(p, value);
    put_items(p, value, fa_len(value), put_item, 'a', 'e');
    if (set) {
        put_byte(p, '\x85');
        put_memo(p);
        put_byte(p, 'R');
        remember_value(p, value);
    }
}

static void put_tuple(fa_pickle *p, fa_value *value)
{
    int64_t n = fa_len(value);
    bool size = fa_flavour_of(value) == FA_FLAVOUR_SIZE;
    if (size)
        put_global(p, "torch\nSize\n");
    if (n > 3)
        put_byte(p, '(');
    for (int64_t i = 0; i < n && !p->failed; i++)
        put_value(p, fa_value_at(value, i));
    put_byte(p, n == 0 ? ')' : n > 3 ? 't' : (char)(0x84 + n));
    if (n > 0 && size)
        put_memo(p);
    if (size) {
        put_byte(p, '\x85');
        put_memo(p);
        put_byte(p, 'R');
    }
    if (n > 0 || size)
        remember_value(p, value);
}

static void put_container(fa_pickle *p, fa_value *value, fa_value_kind kind)
{
    if (p->depth == FA_VALUE_MAX_DEPTH) {
        p->failed = true;
        fa_fail(FA_VALUE_ERROR, p->where, p->what, "got containers inside one another, %d deep, at \"%s\".", p->depth,
                p->path);
        return;
    }
    p->depth++;
    if (kind == FA_VALUE_DICT)
        put_dict(p, value);
    else if (kind == FA_VALUE_LIST)
        put_list(p, value);
    else
        put_tuple(p, value);
    p->depth--;
}

static void put_value(fa_pickle *p, fa_value *value)
{
    fa_value_kind kind = p->failed ? FA_VALUE_INVALID : fa_kind_of(value);
    bool kept = kind == FA_VALUE_BYTES || kind == FA_VALUE_LIST || kind == FA_VALUE_TUPLE || kind == FA_VALUE_DICT ||
                kind == FA_VALUE_TENSOR;
    if (kept && known(p, value, NULL, 0, hash_value(value)))
        return;
    switch (kind) {
    case FA_VALUE_NONE:
        put_byte(p, 'N');
        return;
    case FA_VALUE_BOOL:
        put_byte(p, fa_as_bool_at(value, p->where) ? '\x88' : '\x89');
        return;
    case FA_VALUE_INT:
        if (fa_flavour_of(value) == FA_FLAVOUR_BIG)
            put_big_int(p, fa_as_string_at(value, p->where));
        else
            put_int(p, fa_as_int_at(value, p->where));
        return;
    case FA_VALUE_FLOAT:
        put_float(p, fa_as_float_at(value, p->where));
        return;
    case FA_VALUE_STRING:
        put_text(p, fa_as_string_at(value, p->where), (size_t)fa_len(value));
        return;
    case FA_VALUE_BYTES:
        put_bytes(p, value);
        return;
    case FA_VALUE_LIST:
    case FA_VALUE_TUPLE:
    case FA_VALUE_DICT:
        put_container(p, value, kind);
        return;
    case FA_VALUE_TENSOR:
        put_tensor(p, value);
        return;
    case FA_VALUE_OBJECT:
        fa_fail(
            FA_VALUE_ERROR, p->where, p->what,
            "got an object of the class %s.%s at \"%s\", needs plain data: numbers, strings, lists, dicts, tensors. "
            "Hint: save its weights alone, a dict of tensors.",
            fa_object_module(value), fa_object_class(value), p->path);
        p->failed = true;
        return;
    default:
        if (!p->failed)
            fa_fail(FA_STATE_ERROR, p->where, p->what, "got a value at \"%s\" that has ended.", p->path);
        p->failed = true;
    }
}

bool fa_pickle_write(fa_pickle *p, fa_value *value, const char *what, fa_where where)
{
    *p = (fa_pickle){.what = what, .where = where};
    put(p, "\x80\x02", 2);
    put_value(p, value);
    put_byte(p, '.');
    return !p->failed && fa_ok();
}

void fa_pickle_free(fa_pickle *p)
{
    fa_mfree(p->data);
    fa_mfree(p->storages);
    fa_mfree(p->memo);
    *p = (fa_pickle){.failed = true};
}
