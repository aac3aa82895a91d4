/* Reading of golden data. The safetensors reader checks everything before it trusts it: u64 header length, a JSON
 * object of {dtype, shape, data_offsets}, then the tensors' bytes, without gaps or overlaps that would leave the file.
 */
#include "golden.h"

#include "facula_test.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *word;
    fa_dtype dtype;
    int64_t size;
} dtypes[] = {{"F32", FA_FLOAT32, 4}, {"F64", FA_FLOAT64, 8}, {"I64", FA_INT64, 8},     {"I32", FA_INT32, 4},
              {"U8", FA_UINT8, 1},    {"BOOL", FA_BOOL, 1},   {"BF16", FA_BFLOAT16, 2}, {"F16", FA_FLOAT16, 2}};

/* The whole file, with a 0 behind it; NULL if it cannot be read. */
static char *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *bytes = NULL;
    long length = -1;
    if (!fseek(file, 0, SEEK_END) && (length = ftell(file)) >= 0 && !fseek(file, 0, SEEK_SET))
        bytes = malloc((size_t)length + 1);
    if (bytes && fread(bytes, 1, (size_t)length, file) != (size_t)length) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    if (!bytes)
        return NULL;
    bytes[length] = 0;
    *size = (size_t)length;
    return bytes;
}

static bool read_whole_number(const cJSON *item, int64_t *value)
{
    if (!cJSON_IsNumber(item) || item->valuedouble < 0 || item->valuedouble > 1e15 ||
        item->valuedouble != (double)(int64_t)item->valuedouble)
        return false;
    *value = (int64_t)item->valuedouble;
    return true;
}

static bool read_entry(const cJSON *entry, const char *data, int64_t available, golden_tensor *tensor)
{
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(entry, "dtype");
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape");
    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(entry, "data_offsets");
    if (!cJSON_IsString(dtype) || !cJSON_IsArray(shape) || cJSON_GetArraySize(shape) > 8 ||
        cJSON_GetArraySize(offsets) != 2)
        return false;
    int64_t size = 0;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (!strcmp(dtype->valuestring, dtypes[i].word)) {
            tensor->dtype = dtypes[i].dtype;
            size = dtypes[i].size;
        }
    if (!size)
        return false;
    tensor->numel = 1;
    const cJSON *item;
    cJSON_ArrayForEach(item, shape)
    {
        int64_t *n = &tensor->shape.size[tensor->shape.ndim++];
        if (!read_whole_number(item, n) || __builtin_mul_overflow(tensor->numel, *n, &tensor->numel))
            return false;
    }
    int64_t begin, end, bytes;
    if (!read_whole_number(cJSON_GetArrayItem(offsets, 0), &begin) ||
        !read_whole_number(cJSON_GetArrayItem(offsets, 1), &end) ||
        __builtin_mul_overflow(tensor->numel, size, &bytes) || begin > end || end > available || end - begin != bytes)
        return false;
    tensor->data = data + begin;
    return (uintptr_t)tensor->data % (uintptr_t)size == 0 || bytes == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const golden_tensor *)a)->name, ((const golden_tensor *)b)->name);
}

static bool read_safetensors(golden_file *file, const char *bytes, size_t size, char *why)
{
    uint64_t length;
    if (size < 8 || (memcpy(&length, bytes, 8), length > size - 8)) {
        snprintf(why, 256, "safetensors: the header is longer than the file");
        return false;
    }
    cJSON *header = cJSON_ParseWithLength(bytes + 8, (size_t)length);
    if (!cJSON_IsObject(header)) {
        snprintf(why, 256, "safetensors: the header is not a JSON object");
        cJSON_Delete(header);
        return false;
    }
    file->tensors = calloc((size_t)cJSON_GetArraySize(header) + 1, sizeof *file->tensors);
    const char *data = bytes + 8 + length;
    const cJSON *entry;
    bool good = file->tensors != NULL;
    if (good)
        cJSON_ArrayForEach(entry, header)
        {
            if (!strcmp(entry->string, "__metadata__"))
                continue;
            golden_tensor *tensor = &file->tensors[file->count];
            good = read_entry(entry, data, (int64_t)(size - 8 - length), tensor) &&
                   (tensor->name = strdup(entry->string)) != NULL;
            if (!good) {
                snprintf(why, 256, "safetensors: entry %.200s is damaged", entry->string);
                break;
            }
            file->count++;
        }
    cJSON_Delete(header);
    if (good)
        qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, by_name);
    return good;
}

bool golden_open(golden_file *file, const char *stem, char *why)
{
    *file = (golden_file){0};
    char name[128];
    snprintf(name, sizeof name, "tests/golden/%s.json", stem);
    size_t size;
    char *text = read_whole(source_path(name), &size);
    if (!text) {
        snprintf(why, 256, "cannot read %s", name);
        return false;
    }
    file->index = cJSON_ParseWithLength(text, size);
    free(text);
    if (!file->index) {
        snprintf(why, 256, "not JSON: %s", name);
        return false;
    }
    snprintf(name, sizeof name, "tests/golden/%s.safetensors", stem);
    char *bytes = read_whole(source_path(name), &size);
    file->bytes = bytes;
    if (bytes && !read_safetensors(file, bytes, size, why)) {
        golden_close(file);
        return false;
    }
    return true;
}

void golden_close(golden_file *file)
{
    for (int i = 0; i < file->count; i++)
        free(file->tensors[i].name);
    free(file->tensors);
    free(file->bytes);
    cJSON_Delete(file->index);
    *file = (golden_file){0};
}

const golden_tensor *golden_find(const golden_file *file, const char *format, ...)
{
    char name[128];
    va_list list;
    va_start(list, format);
    vsnprintf(name, sizeof name, format, list);
    va_end(list);
    if (!file->count)
        return NULL;
    return bsearch(&(golden_tensor){.name = name}, file->tensors, (size_t)file->count, sizeof *file->tensors, by_name);
}

bool golden_has(const cJSON *array, const char *word)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, array) if (cJSON_IsString(item) && !strcmp(item->valuestring, word)) return true;
    return false;
}
