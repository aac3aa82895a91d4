/* The sticky error: one record a thread, the first error stays until it is cleared. */
#include "base/error.h"

#include "base/number_text.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static _Thread_local fa_error_record current;

static _Atomic(fa_layer_path_hook) layer_hook;

/* Where the message ends, never past the closing zero. */
static size_t append(size_t at, const char *format, va_list args)
{
    size_t room = sizeof current.message - at;
    int length = fa_text_print_list(current.message + at, room, format, args);
    if (length < 0)
        return at;
    if ((size_t)length < room)
        return at + (size_t)length;
    memcpy(current.message + sizeof current.message - 4, "...", 4);
    return sizeof current.message - 1;
}

static size_t FA_PRINTF_(2, 3) append_text(size_t at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    at = append(at, format, args);
    va_end(args);
    return at;
}

/* Room for a message: false when an error is set already. */
static bool open_record(fa_error_kind kind, fa_where where)
{
    if (current.kind != FA_NO_ERROR)
        return false;
    current.kind = kind == FA_NO_ERROR ? FA_VALUE_ERROR : kind;
    current.where.file = where.file ? where.file : "";
    current.where.line = where.line;
    current.message[0] = 0;
    return true;
}

static void raise_at(fa_error_kind kind, fa_where where, const char *what, const char *format, va_list args)
{
    if (!open_record(kind, where))
        return;
    size_t at = 0;
    if (current.where.file[0])
        at = append_text(at, "%s:%d: ", current.where.file, current.where.line);
    fa_layer_path_hook hook = atomic_load_explicit(&layer_hook, memory_order_relaxed);
    const char *layer = hook ? hook() : NULL;
    bool has_layer = layer && layer[0];
    if (what && has_layer)
        at = append_text(at, "%s (%s): ", what, layer);
    else if (what)
        at = append_text(at, "%s: ", what);
    else if (has_layer)
        at = append_text(at, "(%s): ", layer);
    append(at, format, args);
}

bool fa_fail(fa_error_kind kind, fa_where where, const char *what, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    raise_at(kind, where, what, format, args);
    va_end(args);
    return false;
}

bool fa_fail_memory(fa_where where, size_t bytes)
{
    if (!open_record(FA_MEMORY_ERROR, where))
        return false;
    size_t at = where.file != NULL && where.file[0] != '\0' ? append_text(0, "%s:%d: ", where.file, where.line) : 0;
    append_text(at, "no memory for %zu bytes. Hint: a smaller batch needs less.", bytes);
    return false;
}

void fa_raise_at(fa_error_kind kind, fa_where where, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    raise_at(kind, where, NULL, format, args);
    va_end(args);
}

bool fa_ok(void)
{
    return current.kind == FA_NO_ERROR;
}

const char *fa_error(void)
{
    return current.message;
}

fa_error_kind fa_error_code(void)
{
    return current.kind;
}

fa_where fa_error_where(void)
{
    return current.kind == FA_NO_ERROR ? (fa_where){"", 0} : current.where;
}

void fa_clear_error(void)
{
    current.kind = FA_NO_ERROR;
    current.where = (fa_where){"", 0};
    current.message[0] = 0;
}

void fa_error_take(fa_error_record *record)
{
    *record = current;
    if (current.kind == FA_NO_ERROR)
        record->where = (fa_where){"", 0};
    fa_clear_error();
}

void fa_error_put(const fa_error_record *record)
{
    if (current.kind == FA_NO_ERROR && record->kind != FA_NO_ERROR)
        current = *record;
}

void fa_error_set_layer_hook(fa_layer_path_hook hook)
{
    atomic_store_explicit(&layer_hook, hook, memory_order_relaxed);
}
