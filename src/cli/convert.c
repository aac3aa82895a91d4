/* facula convert IN OUT: between .pth, .safetensors and .npy, whole or in part. */
#include "values.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

typedef struct convert_options {
    const char *in, *out, *only, *strip, *dtype;
    fa_dtype type; /* FA_SAME_DTYPE: as it is */
} convert_options;

static int refuse(const char *format, ...) FA_PRINTF_(1, 2);
static int refuse(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "facula: error: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);
    return 1;
}

static bool ends(const char *path, const char *ending)
{
    size_t length = strlen(path), tail = strlen(ending);
    return length >= tail && strcasecmp(path + length - tail, ending) == 0;
}

static bool is_folder(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* ---- A folder of arrays ------------------------------------------------------------------------------------------ */

static int is_array(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && ends(entry->d_name, ".npy");
}

/* Every NAME.npy of a folder under its name, sorted. NULL after printing an error or raising one. */
static fa_value *load_folder(const char *path)
{
    struct dirent **entries;
    int n = scandir(path, &entries, is_array, alphasort);
    if (n <= 0) {
        refuse("%s holds no .npy files", path);
        return NULL;
    }
    fa_value *dict = fa_dict_new();
    for (int i = 0; i < n; i++) {
        line file = {0};
        line_add(&file, "%s/%s", path, entries[i]->d_name);
        fa_value *array = fa_load(file.text);
        entries[i]->d_name[strlen(entries[i]->d_name) - 4] = '\0';
        fa_dict_put(dict, (const char *)entries[i]->d_name, array);
        line_free(&file);
        free(entries[i]);
    }
    free(entries);
    return fa_ok() ? dict : NULL;
}

static bool is_file_name(const char *name, int64_t length)
{
    return length > 0 && (size_t)length == strlen(name) && strchr(name, '/') == NULL && name[0] != '.';
}

/* NumPy has no such type: told before anything is written. */
static bool fits_numpy(fa_value *tensor, const char *name)
{
    fa_tensor_info info;
    if (!fa_tensor_info_at(tensor, &info, FA_HERE)) {
        fail_with_error();
        return false;
    }
    if (strcmp(info.dtype, "bfloat16") != 0 && strncmp(info.dtype, "float8", 6) != 0)
        return true;
    refuse("%s is %s, which NumPy does not have; --dtype float32 converts", name, info.dtype);
    return false;
}

static int save_folder(fa_value *dict, const char *out)
{
    char path[4096]; /* without the slash */
    if ((size_t)snprintf(path, sizeof path, "%s", out) >= sizeof path)
        return refuse("%s: the path is too long", out);
    for (size_t i = strlen(path); i > 1 && path[i - 1] == '/'; i--)
        path[i - 1] = '\0';
    if (fa_kind_of(dict) != FA_VALUE_DICT)
        return refuse("%s: a folder takes a dict of tensors, not a %s; give a name that ends in .npy", path,
                      fa_kind_name(dict));
    for (int64_t i = 0; i < fa_len(dict); i++) { /* before anything is written */
        fa_value *key = fa_key_at(dict, i);
        if (fa_kind_of(key) != FA_VALUE_STRING || !is_file_name(fa_as_string(key), fa_len(key)))
            return refuse("%s: a key is no name for a file; write .safetensors or .pth instead", path);
        if (fa_kind_of(fa_value_at(dict, i)) != FA_VALUE_TENSOR)
            return refuse("%s: \"%s\" is a %s, no tensor; --only NAME takes one entry", path, fa_as_string(key),
                          fa_kind_name(fa_value_at(dict, i)));
        if (!fits_numpy(fa_value_at(dict, i), fa_as_string(key)))
            return 1;
    }
    if (mkdir(path, 0777) != 0 && errno != EEXIST)
        return refuse("%s could not be made: %s", path, strerror(errno));
    for (int64_t i = 0; i < fa_len(dict); i++) {
        line file = {0};
        line_add(&file, "%s/%s.npy", path, fa_as_string(fa_key_at(dict, i)));
        bool good = fa_save(fa_value_at(dict, i), file.text);
        line_free(&file);
        if (!good)
            return fail_with_error();
    }
    return 0;
}

/* ---- What is taken ----------------------------------------------------------------------------------------------- */

/* The entry of a path of keys joined by dots. Keys may hold dots themselves: the longest one that fits is taken. NULL,
 * without an error: there is none. */
static fa_value *find_entry(fa_value *value, const char *path)
{
    size_t length = strlen(path);
    if (length == 0)
        return value;
    fa_value_kind kind = fa_kind_of(value);
    if (kind != FA_VALUE_DICT && kind != FA_VALUE_LIST && kind != FA_VALUE_TUPLE)
        return NULL;
    char *key = strdup(path), *end;
    fa_value *found = NULL;
    for (size_t cut = length; found == NULL && key != NULL && cut > 0; cut--) {
        if (cut < length && path[cut] != '.')
            continue;
        key[cut] = '\0';
        long long number = strtoll(key, &end, 10);
        bool whole = end != key && *end == '\0';
        const char *rest = path + cut + (cut < length);
        if (kind == FA_VALUE_DICT && fa_has(value, (const char *)key))
            found = find_entry(fa_get(value, (const char *)key), rest);
        if (found == NULL && whole && fa_has(value, number))
            found = find_entry(fa_get(value, number), rest);
    }
    free(key);
    return found;
}

/* Whether it is a dict of nothing but tensors. */
static bool holds_tensors(fa_value *value)
{
    bool good = fa_kind_of(value) == FA_VALUE_DICT && fa_len(value) > 0;
    for (int64_t i = 0; good && i < fa_len(value); i++)
        good = fa_kind_of(fa_value_at(value, i)) == FA_VALUE_TENSOR;
    return good;
}

/* Entries that are tensors, dicts of tensors or pickled models: what --only may have been meant to name. */
static void print_candidates(fa_value *value)
{
    line names = {0};
    for (int64_t i = 0; fa_kind_of(value) == FA_VALUE_DICT && i < fa_len(value); i++) {
        fa_value *entry = fa_value_at(value, i), *key = fa_key_at(value, i);
        if (fa_kind_of(key) != FA_VALUE_STRING)
            continue;
        const fa_value_kind kind = fa_kind_of(entry);
        if (kind != FA_VALUE_TENSOR && kind != FA_VALUE_OBJECT && !holds_tensors(entry))
            continue;
        line_add(&names, "%s", names.length > 0 ? ", " : "");
        line_add_clean(&names, fa_as_string(key), (size_t)fa_len(key));
        if (names.length > 300) {
            line_add(&names, ", ...");
            break;
        }
    }
    if (names.length > 0)
        fprintf(stderr, "facula: --only takes one entry; there are: %s\n", names.text);
    line_free(&names);
}

static bool is_floating(const char *dtype)
{
    return strncmp(dtype, "float", 5) == 0 || strcmp(dtype, "bfloat16") == 0;
}

/* Tied tensors stay tied: what was converted is found again by the memory that it came from. */
static struct conversion {
    const void *data;
    int64_t bytes;
    fa_shape shape;
    fa_value *to;
} * conversions;
static size_t conversion_count, conversion_capacity;

static fa_value *find_conversion(const fa_tensor_info *info)
{
    for (size_t i = 0; i < conversion_count && info->bytes > 0; i++) {
        const struct conversion *c = &conversions[i];
        if (c->data == info->data && c->bytes == info->bytes && info->contiguous && c->shape.ndim == info->shape.ndim &&
            memcmp(c->shape.size, info->shape.size, sizeof c->shape.size) == 0)
            return c->to;
    }
    return NULL;
}

static void note_conversion(const fa_tensor_info *info, fa_value *to)
{
    if (conversion_count == conversion_capacity) {
        conversion_capacity = conversion_capacity * 2 + 64;
        conversions = realloc(conversions, conversion_capacity * sizeof *conversions);
        if (conversions == NULL) {
            refuse("no memory");
            exit(1);
        }
    }
    conversions[conversion_count++] = (struct conversion){info->data, info->bytes, info->shape, to};
}

/* A tensor in the wanted type; integers and bools stay what they are. */
static fa_value *convert_tensor(const convert_options *o, fa_value *tensor)
{
    fa_tensor_info info;
    if (!fa_tensor_info_at(tensor, &info, FA_HERE) || !is_floating(info.dtype) || strcmp(info.dtype, o->dtype) == 0)
        return tensor;
    fa_value *result = find_conversion(&info);
    if (result == NULL) {
        result = fa_value_tensor(fa_to_dtype_at(fa_as_tensor(tensor), o->type, FA_HERE));
        if (info.contiguous)
            note_conversion(&info, result);
    }
    return result;
}

static fa_value *convert_value(const convert_options *o, fa_value *value);

/* A container of the converted items; the container itself where nothing in it changed. */
static fa_value *convert_items(const convert_options *o, fa_value *value, fa_value **items)
{
    fa_value_kind kind = fa_kind_of(value);
    int64_t n = fa_len(value);
    bool changed = false;
    for (int64_t i = 0; i < n && fa_ok(); i++) {
        items[i] = convert_value(o, fa_value_at(value, i));
        changed = changed || items[i] != fa_value_at(value, i);
    }
    if (!changed || !fa_ok())
        return value;
    if (kind == FA_VALUE_TUPLE)
        return fa_tuple_of_at(n, items, FA_HERE);
    fa_value *result = fa_container_at(kind, fa_flavour_of(value), FA_HERE);
    for (int64_t i = 0; i < n && fa_ok(); i++)
        if (kind == FA_VALUE_DICT)
            fa_dict_put_at(result, fa_key_at(value, i), items[i], FA_HERE);
        else
            fa_list_add_at(result, items[i], FA_HERE);
    if (kind == FA_VALUE_DICT && fa_attributes(value) != NULL)
        fa_set_attributes_at(result, fa_attributes(value), FA_HERE);
    return result;
}

/* The value with its tensors converted. After an error whatever it is is not to be used. */
static fa_value *convert_value(const convert_options *o, fa_value *value)
{
    fa_value_kind kind = fa_kind_of(value);
    if (kind == FA_VALUE_TENSOR)
        return convert_tensor(o, value);
    if (kind != FA_VALUE_DICT && kind != FA_VALUE_LIST && kind != FA_VALUE_TUPLE)
        return value;
    fa_value **items = calloc((size_t)fa_len(value) + 1, sizeof(fa_value *));
    if (items == NULL) {
        fa_raise(FA_MEMORY_ERROR, "no memory");
        return value;
    }
    fa_value *result = convert_items(o, value, items);
    free(items);
    return result;
}

/* A dict whose names have lost a prefix where they had it. NULL after printing an error or raising one. */
static fa_value *strip_names(fa_value *value, const char *prefix)
{
    if (fa_kind_of(value) != FA_VALUE_DICT) {
        refuse("--strip: needs a dict of names, not a %s", fa_kind_name(value));
        return NULL;
    }
    fa_value *result = fa_container_at(FA_VALUE_DICT, fa_flavour_of(value), FA_HERE);
    size_t length = strlen(prefix);
    int64_t stripped = 0;
    for (int64_t i = 0; i < fa_len(value) && fa_ok(); i++) {
        fa_value *key = fa_key_at(value, i);
        if (fa_kind_of(key) == FA_VALUE_STRING && strncmp(fa_as_string(key), prefix, length) == 0) {
            key = fa_value_text_at(fa_as_string(key) + length, fa_len(key) - (int64_t)length, FA_HERE);
            stripped++;
        }
        fa_dict_put_at(result, key, fa_value_at(value, i), FA_HERE);
    }
    if (!fa_ok())
        return NULL;
    if (stripped == 0) {
        refuse("--strip: no name begins with \"%s\"", prefix);
        return NULL;
    }
    if (fa_len(result) != fa_len(value)) {
        refuse("--strip: without \"%s\" two names are the same", prefix);
        return NULL;
    }
    return result;
}

/* ---- The command ------------------------------------------------------------------------------------------------- */

static void print_done(const char *out, fa_value *value)
{
    line l = {0};
    line_add_clean(&l, out, strlen(out));
    if (fa_kind_of(value) == FA_VALUE_TENSOR)
        line_add(&l, ": one tensor");
    else
        line_add(&l, ": %lld entr%s", (long long)fa_len(value), fa_len(value) == 1 ? "y" : "ies");
    if (!is_folder(out)) {
        line_add(&l, ", ");
        line_add_bytes(&l, file_bytes(out));
    }
    printf("%s\n", l.text);
    line_free(&l);
}

static int convert(const convert_options *o)
{
    fa_value *loaded = is_folder(o->in) ? load_folder(o->in) : fa_load(o->in), *value = loaded;
    if (value == NULL)
        return fa_ok() ? 1 : fail_with_error();
    if (o->only != NULL) {
        value = find_entry(loaded, o->only);
        if (value == NULL) {
            refuse("%s has no entry \"%s\"", o->in, o->only);
            print_candidates(loaded);
            return 1;
        }
    }
    if (fa_kind_of(value) == FA_VALUE_OBJECT) { /* a whole pickled model: its weights */
        value = fa_find_state_dict(value);
        if (value == NULL)
            return fail_with_error();
        printf("%s\n", fa_load_report());
    }
    if (o->strip != NULL && (value = strip_names(value, o->strip)) == NULL)
        return fa_ok() ? 1 : fail_with_error();
    if (o->type != FA_SAME_DTYPE)
        value = convert_value(o, value);
    if (!fa_ok())
        return fail_with_error();
    bool folder = is_folder(o->out) || ends(o->out, "/");
    if (ends(o->out, ".npy") && fa_kind_of(value) == FA_VALUE_TENSOR && !fits_numpy(value, "the tensor"))
        return 1;
    int status = 0;
    if (folder)
        status = save_folder(value, o->out);
    else if (!fa_save_value_at(value, o->out, FA_HERE))
        status = fail_with_error();
    if (status == 0)
        print_done(o->out, value);
    else if (o->only == NULL && (folder || fa_error_code() == FA_VALUE_ERROR))
        print_candidates(loaded); /* one of them may fit where the whole does not */
    return status;
}

static bool find_dtype(convert_options *o)
{
    static const struct {
        const char *name;
        fa_dtype type;
    } types[] = {{"float32", FA_FLOAT32}, {"float64", FA_FLOAT64}, {"float16", FA_FLOAT16}, {"bfloat16", FA_BFLOAT16}};
    o->type = FA_SAME_DTYPE;
    if (o->dtype == NULL)
        return true;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(o->dtype, types[i].name) == 0) {
            o->type = types[i].type;
            return true;
        }
    fprintf(stderr, "facula: --dtype: got \"%s\", needs float32, float64, float16 or bfloat16\n", o->dtype);
    return false;
}

int command_convert(int argc, char **argv)
{
    convert_options o = {0};
    const char *operands[2];
    const option_spec options[] = {
        {"only", OPTION_TEXT, &o.only, 0, 0, "KEY", "one entry of a checkpoint, as in model_state_dict.conv1.weight"},
        {"strip", OPTION_TEXT, &o.strip, 0, 0, "PREFIX", "take this off the names that begin so, as in module."},
        {"dtype", OPTION_TEXT, &o.dtype, 0, 0, "TYPE", "float32, float64, float16 or bfloat16, of what is floating"},
    };
    int status =
        read_options(argc, argv, options, sizeof options / sizeof *options,
                     "usage: facula convert IN OUT [options]\n\nConverts a model file. IN is a .pth of any age, a "
                     ".safetensors, a .npy or a folder of .npy files, told\nby its content; OUT's ending decides: "
                     ".safetensors, .npy, a folder (one .npy a tensor), or .pth.",
                     operands, 2);
    if (status != 0)
        return status < 0 ? 0 : status;
    o.in = operands[0];
    o.out = operands[1];
    if (o.out == NULL) {
        fprintf(stderr, "facula: convert: from what to what? As in: facula convert model.pth model.safetensors\n");
        return EXIT_USAGE;
    }
    return find_dtype(&o) ? convert(&o) : EXIT_USAGE;
}
