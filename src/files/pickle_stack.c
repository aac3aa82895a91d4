/* The pickle machine's bytes, stack, marks and memo, and the plain values that opcodes push. */
#include "files/pickle_stack.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_LONG_BYTES = 255 };

fa_cell *fa_pickle_refuse(fa_pickle_reader *r, const char *format, ...)
{
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fa_fail(FA_FILE_ERROR, r->where, r->what, "%s: %s (byte %zu of %s).", r->path, text, r->op_at - r->begin, r->part);
    return NULL;
}

bool fa_pickle_fail(fa_pickle_reader *r, const char *text)
{
    fa_pickle_refuse(r, "%s", text);
    return false;
}

/* ---- Bytes --------------------------------------------------------------------------------------------------------
 */

/* The next n bytes; NULL after an error. */
static const uint8_t *take(fa_pickle_reader *r, uint64_t n)
{
    if (n > r->length - r->at) {
        fa_pickle_refuse(r, "the pickle is cut short: its next part has %llu bytes, there are %zu",
                         (unsigned long long)n, r->length - r->at);
        return NULL;
    }
    const uint8_t *bytes = r->bytes + r->at;
    r->at += n;
    return bytes;
}

bool fa_pickle_take_number(fa_pickle_reader *r, int bytes, uint64_t *out)
{
    const uint8_t *p = take(r, (uint64_t)bytes);
    *out = 0;
    for (int i = 0; p != NULL && i < bytes; i++)
        *out |= (uint64_t)p[i] << 8 * i;
    return p != NULL;
}

/* Up to the next line feed, which is left out. */
bool fa_pickle_take_line(fa_pickle_reader *r, char line[FA_PICKLE_NAME])
{
    const uint8_t *begin = r->bytes + r->at, *end = memchr(begin, '\n', r->length - r->at);
    if (end == NULL || end - begin >= FA_PICKLE_NAME || memchr(begin, 0, (size_t)(end - begin)) != NULL)
        return fa_pickle_fail(r, end == NULL ? "the pickle is cut short inside a name"
                                             : "got a name that is too long or holds "
                                               "a zero byte");
    memcpy(line, begin, (size_t)(end - begin));
    line[end - begin] = 0;
    r->at += (size_t)(end - begin) + 1;
    return true;
}

/* ---- Stack, marks, memo -------------------------------------------------------------------------------------------
 */

static bool room(void **array, int64_t count, int64_t *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    int64_t more = *capacity > 0 ? 2 * *capacity : 64;
    void *larger = fa_realloc(*array, (size_t)more * size);
    if (larger == NULL)
        return false;
    *array = larger;
    *capacity = more;
    return true;
}

/* Takes the caller's hold over; false (dropped) after an error, and of NULL. */
bool fa_pickle_push(fa_pickle_reader *r, fa_cell *cell)
{
    if (cell == NULL)
        return false;
    if (!room((void **)&r->stack, r->height, &r->stack_capacity, sizeof(fa_cell *))) {
        fa_cell_drop(cell);
        return fa_fail_memory(r->where, 2 * (size_t)r->stack_capacity * sizeof(fa_cell *));
    }
    r->stack[r->height++] = cell;
    return true;
}

/* Cells above the latest mark: what an opcode may pop. */
static int64_t above_mark(const fa_pickle_reader *r)
{
    return r->height - (r->mark_count > 0 ? r->marks[r->mark_count - 1] : 0);
}

bool fa_pickle_needs(fa_pickle_reader *r, int64_t n)
{
    return above_mark(r) >= n || fa_pickle_fail(r, "the stack is empty where an opcode takes a value from it");
}

fa_cell *fa_pickle_top(const fa_pickle_reader *r)
{
    return r->stack[r->height - 1];
}

void fa_pickle_pop_to(fa_pickle_reader *r, int64_t height)
{
    while (r->height > height)
        fa_cell_drop(r->stack[--r->height]);
}

bool fa_pickle_push_mark(fa_pickle_reader *r)
{
    if (!room((void **)&r->marks, r->mark_count, &r->mark_capacity, sizeof *r->marks))
        return fa_fail_memory(r->where, 2 * (size_t)r->mark_capacity * sizeof *r->marks);
    r->marks[r->mark_count++] = r->height;
    return true;
}

/* The height at the latest mark, which goes; -1 after an error. */
static int64_t pop_mark(fa_pickle_reader *r)
{
    if (r->mark_count > 0)
        return r->marks[--r->mark_count];
    fa_pickle_fail(r, "no mark on the stack where an opcode wants one");
    return -1;
}

/* Numbers grow with what is stored, so none is beyond the bytes read so far. */
bool fa_pickle_put(fa_pickle_reader *r, uint64_t number)
{
    if (!fa_pickle_needs(r, 1))
        return false;
    if (number > r->at - r->begin) {
        fa_pickle_refuse(r, "got memo number %llu, more than there are bytes before it", (unsigned long long)number);
        return false;
    }
    if ((int64_t)number >= r->memo_size) {
        int64_t size = 2 * (int64_t)number + 64;
        fa_cell **memo = fa_realloc(r->memo, (size_t)size * sizeof(fa_cell *));
        if (memo == NULL)
            return fa_fail_memory(r->where, (size_t)size * sizeof(fa_cell *));
        memset(memo + r->memo_size, 0, (size_t)(size - r->memo_size) * sizeof(fa_cell *));
        r->memo = memo;
        r->memo_size = size;
    }
    fa_cell *old = r->memo[number];
    r->memo[number] = fa_cell_hold(fa_pickle_top(r));
    fa_cell_drop(old);
    return true;
}

bool fa_pickle_get(fa_pickle_reader *r, uint64_t number)
{
    if (number >= (uint64_t)r->memo_size || r->memo[number] == NULL) {
        fa_pickle_refuse(r, "got memo number %llu, which was never stored", (unsigned long long)number);
        return false;
    }
    return fa_pickle_push(r, fa_cell_hold(r->memo[number]));
}

/* A container or object, remembered so that it can be taken apart. */
fa_cell *fa_pickle_remember(fa_pickle_reader *r, fa_cell *cell)
{
    if (cell == NULL)
        return NULL;
    if (!room((void **)&r->made, r->made_count, &r->made_capacity, sizeof(fa_cell *))) {
        fa_cell_drop(cell);
        fa_fail_memory(r->where, 2 * (size_t)r->made_capacity * sizeof(fa_cell *));
        return NULL;
    }
    r->made[r->made_count++] = fa_cell_hold(cell);
    return cell;
}

bool fa_pickle_push_container(fa_pickle_reader *r, int kind, int flavour)
{
    return fa_pickle_push(r, fa_pickle_remember(r, fa_cell_container(kind, flavour, r->where)));
}

/* ---- Work ---------------------------------------------------------------------------------------------------------
 */

enum { SPENT_A_BYTE = 16, SHORT_KEY = 256 };

bool fa_pickle_spend(fa_pickle_reader *r, int64_t bytes)
{
    r->spent += (uint64_t)bytes;
    if (r->spent <= SPENT_A_BYTE * (uint64_t)(r->at - r->begin))
        return true;
    return fa_pickle_fail(r, "what was stored once is copied again and again");
}

bool fa_pickle_spend_entries(fa_pickle_reader *r, const fa_cell *container)
{
    return fa_pickle_spend(r, container->as.entries->count * (int64_t)sizeof(fa_cell *));
}

/* Bytes that are hashed and compared for a key; those of short ones do not count. */
static int64_t key_bytes(const fa_cell *key)
{
    int64_t bytes = 0;
    if (key->kind == FA_VALUE_STRING || key->kind == FA_VALUE_BYTES)
        return key->as.text.length > SHORT_KEY ? key->as.text.length : 0;
    for (int64_t i = 0; key->kind == FA_VALUE_TUPLE && i < key->as.entries->count; i++)
        bytes += key_bytes(key->as.entries->item[i]);
    return bytes;
}

bool fa_pickle_check_key(fa_pickle_reader *r, const fa_cell *key, const char *whose)
{
    if (fa_cell_is_key(key))
        return fa_pickle_spend(r, key_bytes(key));
    fa_pickle_refuse(r, "got a key of %s that is a list, dict, set, tensor, object or NaN, or too long", whose);
    return false;
}

/* ---- Scalars ------------------------------------------------------------------------------------------------------
 */

bool fa_pickle_push_number(fa_pickle_reader *r, int kind, int64_t number)
{
    fa_cell *cell = fa_cell_new(kind, 0, r->where);
    if (cell != NULL)
        cell->as.number = number;
    return fa_pickle_push(r, cell);
}

bool fa_pickle_push_float(fa_pickle_reader *r)
{
    const uint8_t *p = take(r, 8);
    if (p == NULL)
        return false;
    uint64_t bits = 0;
    for (int i = 0; i < 8; i++)
        bits = bits << 8 | p[i];
    fa_cell *cell = fa_cell_new(FA_VALUE_FLOAT, 0, r->where);
    if (cell != NULL)
        memcpy(&cell->as.real, &bits, sizeof bits);
    return fa_pickle_push(r, cell);
}

/* Two's complement of more than 64 bits, as decimal digits. */
static bool push_big(fa_pickle_reader *r, const uint8_t *bytes, int n)
{
    uint8_t magnitude[MAX_LONG_BYTES + 1];
    char digits[MAX_LONG_BYTES * 5 / 2 + 8];
    bool negative = (bytes[n - 1] & 0x80) != 0;
    int carry = 1;
    for (int i = 0; i < n; i++) {
        int byte = negative ? (uint8_t)~bytes[i] + carry : bytes[i];
        carry = byte >> 8;
        magnitude[i] = (uint8_t)byte;
    }
    int at = (int)sizeof digits;
    for (int length = n; length > 0;) { /* divides by ten until nothing is left */
        int rest = 0;
        for (int i = length - 1; i >= 0; i--) {
            int x = rest << 8 | magnitude[i];
            magnitude[i] = (uint8_t)(x / 10);
            rest = x % 10;
        }
        digits[--at] = (char)('0' + rest);
        while (length > 0 && magnitude[length - 1] == 0)
            length--;
    }
    if (negative)
        digits[--at] = '-';
    return fa_pickle_push(
        r, fa_cell_text(FA_VALUE_INT, FA_FLAVOUR_BIG, digits + at, (int64_t)sizeof digits - at, r->where));
}

bool fa_pickle_push_long(fa_pickle_reader *r, uint64_t n)
{
    if (n > MAX_LONG_BYTES)
        return fa_pickle_fail(r, "got an int of more than 255 bytes");
    const uint8_t *p = take(r, n);
    if (p == NULL)
        return false;
    int length = (int)n;
    const uint8_t fill = length > 0 && (p[length - 1] & 0x80) != 0 ? 0xff : 0;
    while (length > 8 && p[length - 1] == fill && (p[length - 2] & 0x80) == (fill & 0x80))
        length--;
    if (length > 8)
        return push_big(r, p, length);
    uint64_t bits = fill != 0 ? UINT64_MAX : 0;
    for (int i = length - 1; i >= 0; i--)
        bits = bits << 8 | p[i];
    return fa_pickle_push_number(r, FA_VALUE_INT, (int64_t)bits);
}

bool fa_pickle_push_text(fa_pickle_reader *r, int length_bytes, int kind, int flavour)
{
    uint64_t n;
    const uint8_t *p = fa_pickle_take_number(r, length_bytes, &n) ? take(r, n) : NULL;
    if (p == NULL)
        return false;
    bool utf8 = kind == FA_VALUE_BYTES && flavour == FA_FLAVOUR_PLAIN ? true : fa_is_utf8(p, (int64_t)n);
    if (!utf8 && flavour != FA_FLAVOUR_PYTHON2)
        return fa_pickle_fail(r, "got a string that is not UTF-8");
    return fa_pickle_push(r, fa_cell_text(utf8 ? kind : FA_VALUE_BYTES, flavour, p, (int64_t)n, r->where));
}

/* ---- Containers ---------------------------------------------------------------------------------------------------
 */

bool fa_pickle_make_tuple(fa_pickle_reader *r, int64_t from)
{
    fa_cell *tuple = fa_cell_container(FA_VALUE_TUPLE, 0, r->where);
    bool fine = tuple != NULL;
    for (int64_t i = from; fine && i < r->height; i++)
        fine = fa_cell_append(tuple, r->stack[i], r->where);
    if (!fine) {
        fa_cell_drop(tuple);
        return false;
    }
    fa_pickle_pop_to(r, from);
    return fa_pickle_push(r, fa_pickle_remember(r, tuple));
}

bool fa_pickle_tuple_of(fa_pickle_reader *r, int64_t n)
{
    return fa_pickle_needs(r, n) && fa_pickle_make_tuple(r, r->height - n);
}

/* Items from `from` on go into the list or set below them. */
bool fa_pickle_append_all(fa_pickle_reader *r, int64_t from, bool set)
{
    fa_cell *list = from > (r->mark_count > 0 ? r->marks[r->mark_count - 1] : 0) ? r->stack[from - 1] : NULL;
    if (list == NULL || list->kind != FA_VALUE_LIST || (list->flavour == FA_FLAVOUR_SET) != set)
        return fa_pickle_fail(r, set ? "got items for a set where there is none"
                                     : "got items for a list where there is none");
    for (int64_t i = from; i < r->height; i++) {
        if (set && !fa_pickle_check_key(r, r->stack[i], "a set"))
            return false;
        if (!(set ? fa_cell_put(list, r->stack[i], NULL, r->where) : fa_cell_append(list, r->stack[i], r->where)))
            return false;
    }
    fa_pickle_pop_to(r, from);
    return true;
}

bool fa_pickle_put_all(fa_pickle_reader *r, int64_t from)
{
    fa_cell *dict = from > (r->mark_count > 0 ? r->marks[r->mark_count - 1] : 0) ? r->stack[from - 1] : NULL;
    if (dict == NULL || dict->kind != FA_VALUE_DICT)
        return fa_pickle_fail(r, "got items for a dict where there is none");
    if ((r->height - from) % 2 != 0)
        return fa_pickle_fail(r, "got a key without a value for a dict");
    for (int64_t i = from; i < r->height; i += 2) {
        if (!fa_pickle_check_key(r, r->stack[i], "a dict") ||
            !fa_cell_put(dict, r->stack[i], r->stack[i + 1], r->where))
            return false;
    }
    fa_pickle_pop_to(r, from);
    return true;
}

bool fa_pickle_marked(fa_pickle_reader *r, bool (*act)(fa_pickle_reader *, int64_t))
{
    int64_t from = pop_mark(r);
    return from >= 0 && act(r, from);
}

bool fa_pickle_append_list(fa_pickle_reader *r, int64_t from)
{
    return fa_pickle_append_all(r, from, false);
}

bool fa_pickle_add_set(fa_pickle_reader *r, int64_t from)
{
    return fa_pickle_append_all(r, from, true);
}
