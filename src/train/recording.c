/* Reader of recordings. */
#include "train/recording.h"

#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const char what[] = "fa_parity";
enum { MOST_NAME = 512, MOST_STEPS = 100000 };

static const struct {
    const char *word;
    fa_dtype dtype;
    int64_t size;
} dtypes[] = {{"F32", FA_FLOAT32, 4}, {"F64", FA_FLOAT64, 8}, {"I64", FA_INT64, 8},
              {"I32", FA_INT32, 4},   {"U8", FA_UINT8, 1},    {"BOOL", FA_BOOL, 1}};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

double fa_recorded_element(fa_dtype dtype, const void *data, int64_t i)
{
    switch (dtype) {
    case FA_FLOAT32:
        return (double)((const float *)data)[i];
    case FA_FLOAT64:
        return ((const double *)data)[i];
    case FA_INT64:
        return (double)((const int64_t *)data)[i];
    case FA_INT32:
        return (double)((const int32_t *)data)[i];
    default:
        return (double)((const uint8_t *)data)[i];
    }
}

/* The whole file; NULL after an error. malloc's memory is aligned for every type. */
static char *read_whole(const char *path, size_t *size, const char *hint, fa_where where)
{
    FILE *file = fopen(path, "rb");
    if (!file) {
        fa_fail(FA_FILE_ERROR, where, what, "could not open %s: %s. Hint: %s", path, strerror(errno), hint);
        return NULL;
    }
    char *bytes = NULL;
    long length = -1;
    if (fseek(file, 0, SEEK_END) == 0 && (length = ftell(file)) >= 0 && fseek(file, 0, SEEK_SET) == 0) {
        bytes = fa_malloc((size_t)length + 1);
        if (!bytes)
            fa_fail_memory(where, (size_t)length + 1);
    }
    if (bytes && fread(bytes, 1, (size_t)length, file) != (size_t)length) {
        fa_mfree(bytes);
        bytes = NULL;
    }
    if (!bytes && fa_ok())
        fa_fail(FA_FILE_ERROR, where, what, "could not read %s: %s", path, strerror(errno));
    fclose(file);
    if (bytes)
        *size = (size_t)length;
    return bytes;
}

static bool read_json(fa_json *json, const char *text, size_t bytes, const char *path, fa_where where)
{
    int64_t at;
    if (fa_json_read(json, text, bytes, &at))
        return true;
    if (at < 0)
        return fa_fail_memory(where, bytes);
    return fa_fail(FA_FILE_ERROR, where, what, "got %s, which is no JSON at its byte %lld. Hint: was it written whole?",
                   path, (long long)at);
}

/* One tensor of the header; `room`: bytes of all tensors, which begin at `data`. */
static bool read_entry(const fa_json *json, const fa_json_value *entry, const char *data, int64_t room,
                       fa_recorded *out)
{
    const char *word = fa_json_text(json, entry, "dtype", "");
    int64_t size = 0, begin, end, bytes;
    for (int i = 0; i < DTYPES; i++)
        if (strcmp(word, dtypes[i].word) == 0) {
            out->dtype = dtypes[i].dtype;
            size = dtypes[i].size;
        }
    const fa_json_value *shape = fa_json_get(json, entry, "shape"), *at = fa_json_get(json, entry, "data_offsets");
    if (size == 0 || !shape || shape->kind != FA_JSON_ARRAY || shape->count > 8 || !at || at->kind != FA_JSON_ARRAY ||
        at->count != 2 || strlen(entry->key) >= MOST_NAME)
        return false;
    out->name = entry->key;
    out->numel = 1;
    for (const fa_json_value *n = fa_json_first(json, shape); n; n = fa_json_next(json, n)) {
        int64_t *side = &out->shape.size[out->shape.ndim++];
        if (!fa_json_whole(n, side) || *side < 0 || __builtin_mul_overflow(out->numel, *side, &out->numel))
            return false;
    }
    const fa_json_value *first = fa_json_first(json, at);
    if (!fa_json_whole(first, &begin) || !fa_json_whole(fa_json_next(json, first), &end) || begin < 0 || begin > end ||
        end > room || __builtin_mul_overflow(out->numel, size, &bytes) || bytes != end - begin)
        return false;
    out->data = data + begin;
    return bytes == 0 || (uintptr_t)out->data % (uintptr_t)size == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const fa_recorded *)a)->name, ((const fa_recorded *)b)->name);
}

/* The tensors' file. Its bytes are moved to the start of the block, so that they are aligned. */
static bool read_values(fa_recording *r, const char *path, fa_where where)
{
    size_t size;
    r->bytes = read_whole(path, &size, "the recorder writes two files; keep them together", where);
    if (!r->bytes)
        return false;
    uint64_t length = 0;
    if (size >= 8)
        for (int i = 7; i >= 0; i--)
            length = length << 8 | (uint8_t)r->bytes[i];
    if (size < 8 || length > size - 8)
        return fa_fail(FA_FILE_ERROR, where, what,
                       "got %s of %zu bytes, which ends inside its header. Hint: was it copied whole?", path, size);
    if (!read_json(&r->header, r->bytes + 8, (size_t)length, path, where))
        return false;
    const int64_t room = (int64_t)(size - 8 - (size_t)length);
    memmove(r->bytes, r->bytes + 8 + length, (size_t)room);
    const fa_json_value *all = &r->header.value[0];
    r->values = fa_calloc((size_t)all->count + 1, sizeof *r->values);
    if (!r->values)
        return fa_fail_memory(where, (size_t)all->count * sizeof *r->values);
    if (all->kind != FA_JSON_OBJECT)
        return fa_fail(FA_FILE_ERROR, where, what, "got %s, whose header is no list of tensors.", path);
    for (const fa_json_value *entry = fa_json_first(&r->header, all); entry; entry = fa_json_next(&r->header, entry)) {
        if (strcmp(entry->key, "__metadata__") == 0)
            continue;
        if (!read_entry(&r->header, entry, r->bytes, room, &r->values[r->value_count]))
            return fa_fail(FA_FILE_ERROR, where, what,
                           "got %s, whose tensor \"%.100s\" does not fit the file. Hint: was it copied whole?", path,
                           entry->key);
        r->value_count++;
    }
    qsort(r->values, (size_t)r->value_count, sizeof *r->values, by_name);
    return true;
}

static bool read_run(fa_recording *r, const char *path, fa_where where)
{
    size_t size;
    char *text = read_whole(path, &size, "python/facula_recorder.py writes it from a PyTorch script", where);
    bool ok = text && read_json(&r->run, text, size, path, where);
    fa_mfree(text);
    if (!ok)
        return false;
    const fa_json_value *all = &r->run.value[0], *steps = fa_json_get(&r->run, all, "steps");
    const char *format = fa_json_text(&r->run, all, "format", "");
    if (strcmp(format, "facula parity 1") != 0)
        return fa_fail(FA_FILE_ERROR, where, what,
                       "got %s of format \"%.40s\", needs \"facula parity 1\". Hint: python/facula_recorder.py of this "
                       "release writes it",
                       path, format);
    if (!steps || steps->kind != FA_JSON_ARRAY || steps->count < 1 || steps->count > MOST_STEPS)
        return fa_fail(FA_FILE_ERROR, where, what,
                       "got %s without a step, needs at least one. Hint: recorder.step(loss, labels) after each "
                       "optimizer.step()",
                       path);
    r->step = fa_calloc((size_t)steps->count, sizeof *r->step);
    if (!r->step)
        return fa_fail_memory(where, (size_t)steps->count * sizeof *r->step);
    for (const fa_json_value *step = fa_json_first(&r->run, steps); step; step = fa_json_next(&r->run, step))
        r->step[r->step_count++] = step;
    return true;
}

/* The name of the second file, to be freed; NULL without memory. */
static char *values_path(const char *path)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(slash ? slash : path, '.');
    size_t stem = dot && dot > (slash ? slash + 1 : path) ? (size_t)(dot - path) : strlen(path);
    static const char ending[] = ".safetensors";
    char *out = fa_malloc(stem + sizeof ending);
    if (out) {
        memcpy(out, path, stem);
        memcpy(out + stem, ending, sizeof ending);
    }
    return out;
}

fa_recording *fa_recording_open(const char *path, fa_where where)
{
    if (!path) {
        fa_fail(FA_VALUE_ERROR, where, what, "got NULL, needs the path of a recording. Hint: \"RUN.json\"");
        return NULL;
    }
    fa_recording *r = fa_calloc(1, sizeof *r);
    char *second = values_path(path);
    if (r)
        r->path = fa_strdup(path);
    if (!r || !second || !r->path)
        fa_fail_memory(where, sizeof *r);
    else if (read_run(r, path, where) && read_values(r, second, where)) {
        fa_mfree(second);
        return r;
    }
    fa_mfree(second);
    fa_recording_close(r);
    return NULL;
}

void fa_recording_close(fa_recording *r)
{
    if (!r)
        return;
    fa_json_free(&r->run);
    fa_json_free(&r->header);
    fa_mfree(r->values);
    fa_mfree(r->bytes);
    fa_mfree(r->step);
    fa_mfree(r->path);
    fa_mfree(r);
}

const fa_recorded *fa_recording_find(const fa_recording *r, const char *format, ...)
{
    char name[MOST_NAME];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(name, sizeof name, format, list);
    va_end(list);
    if (length < 0 || length >= MOST_NAME || r->value_count == 0)
        return NULL;
    return bsearch(&(fa_recorded){.name = name}, r->values, (size_t)r->value_count, sizeof *r->values, by_name);
}

bool fa_recording_details(const fa_recording *r, int64_t k)
{
    return k >= 1 && k <= r->step_count &&
           fa_json_first(&r->run, fa_json_get(&r->run, r->step[k - 1], "order")) != NULL;
}
