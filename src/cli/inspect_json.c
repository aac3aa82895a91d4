/* The form of `facula inspect` for programs:
 *
 *     {"file": "weights.pth", "format": "PyTorch (zip)", "bytes": 1234, "metadata": {},
 *      "entries": [{"path": ["conv1.weight"], "kind": "tensor", "dtype": "float32", "shape": [32, 1, 3, 3], ...}, ...]}
 *
 * Containers come before what they hold. Each entry becomes text as soon as it is known, a line each: a small file may
 * unfold to a great many of them. */
#include "inspect.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct output {
    line entries;
    cJSON *path; /* keys and numbers from the outside in */
    seen_tensors seen;
    bool quick;
} output;

static _Noreturn void no_memory(void)
{
    fprintf(stderr, "facula: error: no memory\n");
    exit(1);
}

static void add(cJSON *object, const char *name, cJSON *item)
{
    if (item == NULL || !cJSON_AddItemToObject(object, name, item))
        no_memory();
}

/* Numbers that JSON does not have are strings: "nan", "inf", "-inf". */
static cJSON *number(double x)
{
    if (isnan(x))
        return cJSON_CreateString("nan");
    if (isinf(x))
        return cJSON_CreateString(x > 0 ? "inf" : "-inf");
    return cJSON_CreateNumber(x);
}

static cJSON *whole(long long x)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", x);
    return cJSON_CreateRaw(text); /* as a double it might lose digits */
}

static cJSON *string(fa_value *value)
{
    line l = {0};
    line_add_utf8(&l, fa_as_string(value), (size_t)fa_len(value));
    cJSON *item = cJSON_CreateString(l.length > 0 ? l.text : "");
    line_free(&l);
    return item;
}

static cJSON *key_item(fa_value *key)
{
    if (fa_kind_of(key) == FA_VALUE_STRING)
        return string(key);
    if (fa_kind_of(key) == FA_VALUE_INT && fa_flavour_of(key) == FA_FLAVOUR_PLAIN)
        return whole(fa_as_int(key));
    line l = {0};
    line_add_value(&l, key, 200);
    cJSON *item = cJSON_CreateString(l.length > 0 ? l.text : "");
    line_free(&l);
    return item;
}

/* "model_state_dict.conv1.weight", by which a tied tensor is named. */
static line path_text(const cJSON *path)
{
    line l = {0};
    const cJSON *item;
    cJSON_ArrayForEach(item, path)
    {
        line_add(&l, "%s%s", l.length > 0 ? "." : "", item->valuestring != NULL ? item->valuestring : "");
    }
    return l;
}

static bool add_tensor(output *o, cJSON *entry, fa_value *value)
{
    fa_tensor_info info;
    if (!fa_tensor_info_at(value, &info, FA_HERE))
        return false;
    cJSON *shape = cJSON_CreateArray();
    for (int d = 0; d < info.shape.ndim; d++)
        cJSON_AddItemToArray(shape, whole(info.shape.size[d]));
    add(entry, "dtype", cJSON_CreateString(info.dtype));
    add(entry, "shape", shape);
    add(entry, "elements", whole(info.elements));
    add(entry, "bytes", whole(info.bytes));
    add(entry, "contiguous", cJSON_CreateBool(info.contiguous));
    if (!o->quick) {
        fa_tensor_range range;
        if (!fa_tensor_range_at(value, &range, FA_HERE))
            return false;
        add(entry, "min", info.elements > 0 ? number(range.least) : cJSON_CreateNull());
        add(entry, "max", info.elements > 0 ? number(range.most) : cJSON_CreateNull());
        add(entry, "nan", whole(range.nan));
        add(entry, "infinite", whole(range.infinite));
    }
    line name = path_text(o->path);
    bool same;
    const char *tied = find_tied(&o->seen, &info, name.length > 0 ? name.text : "", &same);
    if (tied != NULL)
        add(entry, same ? "same_as" : "shares_memory_with", cJSON_CreateString(tied));
    line_free(&name);
    return true;
}

static bool add_value(output *o, fa_value *value);

static bool add_children(output *o, fa_value *value)
{
    bool object = fa_kind_of(value) == FA_VALUE_OBJECT;
    bool keys = object || fa_kind_of(value) == FA_VALUE_DICT;
    fa_value *container = object ? fa_attributes(value) : value;
    int64_t n = container != NULL ? fa_len(container) : 0;
    int depth = cJSON_GetArraySize(o->path);
    bool good = true;
    for (int64_t i = 0; good && i < n; i++) {
        cJSON_AddItemToArray(o->path, keys ? key_item(fa_key_at(container, i)) : whole(i));
        good = add_value(o, fa_value_at(container, i));
        cJSON_DeleteItemFromArray(o->path, depth);
    }
    return good;
}

/* All of an entry but its path and kind. */
static bool describe(output *o, cJSON *entry, fa_value *value)
{
    switch (fa_kind_of(value)) {
    case FA_VALUE_TENSOR:
        return add_tensor(o, entry, value);
    case FA_VALUE_NONE:
        add(entry, "value", cJSON_CreateNull());
        break;
    case FA_VALUE_BOOL:
        add(entry, "value", cJSON_CreateBool(fa_as_bool(value)));
        break;
    case FA_VALUE_INT:
        add(entry, "value",
            fa_flavour_of(value) == FA_FLAVOUR_BIG ? cJSON_CreateString(fa_as_string(value)) : whole(fa_as_int(value)));
        break;
    case FA_VALUE_FLOAT:
        add(entry, "value", number(fa_as_float(value)));
        break;
    case FA_VALUE_STRING:
        add(entry, "value", string(value));
        break;
    case FA_VALUE_OBJECT:
        add(entry, "module", cJSON_CreateString(fa_object_module(value)));
        add(entry, "class", cJSON_CreateString(fa_object_class(value)));
        break;
    default:
        add(entry, "length", whole(fa_len(value)));
    }
    return true;
}

static bool add_value(output *o, fa_value *value)
{
    cJSON *entry = cJSON_CreateObject();
    add(entry, "path", cJSON_Duplicate(o->path, true));
    add(entry, "kind", cJSON_CreateString(fa_kind_name(value)));
    bool good = describe(o, entry, value);
    char *text = cJSON_PrintUnformatted(entry);
    if (text == NULL)
        no_memory();
    line_add(&o->entries, "%s\n    %s", o->entries.length > 0 ? "," : "", text);
    cJSON_free(text);
    cJSON_Delete(entry);
    const fa_value_kind kind = fa_kind_of(value);
    const bool holds =
        kind == FA_VALUE_OBJECT || kind == FA_VALUE_DICT || kind == FA_VALUE_LIST || kind == FA_VALUE_TUPLE;
    return good && (!holds || add_children(o, value));
}

/* One of the parts before the entries, which ends with it. */
static void print_part(const char *name, cJSON *part)
{
    char *text = part != NULL ? cJSON_PrintUnformatted(part) : NULL;
    if (text == NULL)
        no_memory();
    printf("  \"%s\": %s,\n", name, text);
    cJSON_free(text);
    cJSON_Delete(part);
}

static cJSON *metadata_of(const inspected *file)
{
    cJSON *metadata = cJSON_CreateObject();
    fa_value *notes = find_metadata(file);
    line clean = {0};
    for (int64_t i = 0; notes != NULL && i < fa_len(notes); i++) {
        fa_value *key = fa_key_at(notes, i);
        line_add_utf8(&clean, fa_as_string(key), (size_t)fa_len(key));
        add(metadata, clean.length > 0 ? clean.text : "", string(fa_value_at(notes, i)));
        line_free(&clean);
    }
    return metadata;
}

bool print_json(const inspected *file)
{
    output o = {.path = cJSON_CreateArray(), .quick = file->quick};
    bool good = add_value(&o, file->value);
    if (good) {
        line path = {0};
        line_add_utf8(&path, file->path, strlen(file->path));
        printf("{\n");
        print_part("file", cJSON_CreateString(path.text));
        print_part("format", cJSON_CreateString(file->format));
        print_part("bytes", whole(file->bytes));
        print_part("metadata", metadata_of(file));
        printf("  \"entries\": [%s\n  ]\n}\n", o.entries.text);
        line_free(&path);
    }
    cJSON_Delete(o.path);
    line_free(&o.entries);
    free_seen(&o.seen);
    return good;
}
