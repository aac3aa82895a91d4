/* Opening a recording: both files, and its tensors by name. */
#include "train/recording.h"

#include "base/error.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char what[] = "fa_parity";
enum { MOST_NAME = 512, MOST_BYTES = 1 << 25 };

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

/* ---- RUN.json ---------------------------------------------------------------------------------------------------- */

/* An open file of a possible size; -1 after an error. */
static int open_text(const char *path, size_t *size, fa_where where)
{
    struct stat status;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer would wait for ever */
    if (fd < 0 || fstat(fd, &status) != 0)
        fa_fail(FA_FILE_ERROR, where, what,
                "could not open %s: %s. Hint: python/facula_recorder.py writes it from a PyTorch script", path,
                strerror(errno));
    else if (!S_ISREG(status.st_mode))
        fa_fail(FA_FILE_ERROR, where, what, "got %s, which is %s, needs a recording's RUN.json%s", path,
                S_ISDIR(status.st_mode) ? "a folder" : "no ordinary file",
                S_ISDIR(status.st_mode) ? ". Hint: name the file in it" : "");
    else if (status.st_size > MOST_BYTES)
        fa_fail(FA_FILE_ERROR, where, what,
                "got %s of %lld bytes, needs a recording's RUN.json of at most %d. Hint: record fewer steps", path,
                (long long)status.st_size, MOST_BYTES);
    else {
        *size = (size_t)status.st_size;
        return fd;
    }
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool read_run(fa_recording *r, const char *path, fa_where where)
{
    size_t size, done = 0;
    const int fd = open_text(path, &size, where);
    if (fd < 0)
        return false;
    char *text = fa_malloc(size + 1);
    ssize_t part = text ? 1 : 0;
    while (text && done < size && part > 0) {
        part = read(fd, text + done, size - done);
        done += part > 0 ? (size_t)part : 0;
    }
    const int error = part < 0 ? errno : 0;
    close(fd);
    bool ok = false;
    if (!text)
        fa_fail_memory(where, size + 1);
    else if (error)
        fa_fail(FA_FILE_ERROR, where, what, "could not read %s: %s", path, strerror(error));
    else
        ok = fa_recording_read_run(r, text, done, path, where);
    fa_mfree(text);
    return ok;
}

/* ---- RUN.safetensors --------------------------------------------------------------------------------------------- */

static bool dtype_of(const char *word, fa_dtype *dtype)
{
    static const struct {
        const char *word;
        fa_dtype dtype;
    } dtypes[] = {{"float32", FA_FLOAT32}, {"float64", FA_FLOAT64}, {"int64", FA_INT64},
                  {"int32", FA_INT32},     {"uint8", FA_UINT8},     {"bool", FA_BOOL}};
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (strcmp(word, dtypes[i].word) == 0) {
            *dtype = dtypes[i].dtype;
            return true;
        }
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const fa_recorded *)a)->name, ((const fa_recorded *)b)->name);
}

/* Entry i of the file, its name and its tensor. False after an error. */
static bool read_entry(fa_recording *r, int64_t i, const char *path, fa_where where)
{
    fa_recorded *out = &r->values[i];
    fa_tensor_info info;
    fa_value *value = fa_value_at(r->file, i);
    out->name = fa_as_string_at(fa_key_at(r->file, i), where);
    if (out->name == NULL || fa_kind_of(value) != FA_VALUE_TENSOR || !fa_tensor_info_at(value, &info, where) ||
        !info.contiguous || !dtype_of(info.dtype, &out->dtype))
        return fa_ok() ? fa_fail(FA_FILE_ERROR, where, what, "got %s, whose \"%.100s\" is no tensor of a recording",
                                 path, out->name)
                       : false;
    out->shape = info.shape;
    out->numel = info.elements;
    out->data = info.data;
    return true;
}

static bool read_values(fa_recording *r, const char *path, fa_where where)
{
    if (access(path, F_OK) != 0)
        return fa_fail(FA_FILE_ERROR, where, what,
                       "could not open %s: %s. Hint: the recorder writes two files; keep them together", path,
                       strerror(errno));
    fa_scope { /* which gives up its own hold */
        fa_value *loaded = fa_load_at(&(fa_load_args){.path = path, .where_ = where});
        r->file = loaded ? fa_value_retain(loaded) : NULL;
    }
    if (!fa_ok())
        return false;
    if (fa_kind_of(r->file) != FA_VALUE_DICT)
        return fa_fail(FA_FILE_ERROR, where, what, "got %s, which holds a %s, needs tensors by name", path,
                       fa_kind_name(r->file));
    const int64_t count = fa_len(r->file);
    r->values = fa_calloc((size_t)count + 1, sizeof *r->values);
    if (!r->values)
        return fa_fail_memory(where, (size_t)count * sizeof *r->values);
    for (r->value_count = 0; r->value_count < count; r->value_count++)
        if (!read_entry(r, r->value_count, path, where))
            return false;
    qsort(r->values, (size_t)count, sizeof *r->values, by_name);
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

/* ---- Both -------------------------------------------------------------------------------------------------------- */

fa_recording *fa_recording_open(const char *path, fa_where where)
{
    if (!path || !*path) {
        fa_fail(FA_VALUE_ERROR, where, what, "got %s, needs the path of a recording. Hint: \"RUN.json\"",
                path ? "an empty name" : "NULL");
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
    fa_recording_free_run(r);
    fa_value_free(r->file);
    fa_mfree(r->values);
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
    return k >= 1 && k <= r->step_count && r->step[k - 1].details;
}

bool fa_recorded_has(const fa_recorded_names *names, const char *name)
{
    for (int64_t i = 0; i < names->count; i++)
        if (strcmp(names->name[i], name) == 0)
            return true;
    return false;
}
