/* Reading safetensors: u64 length of the header, the header in JSON, the tensors' bytes without gap or overlap. All of
 * the header is checked before anything is allocated for the tensors. */
#include "base/error.h"
#include "files/formats.h"
#include "files/json_reader.h"

#include <stdlib.h>
#include <string.h>

enum { HEADER_MAX = 100000000 };
static const char metadata_name[] = "__metadata__";

typedef struct entry {
    char *name;
    size_t name_length;
    fa_stored stored;
    int ndim;
    int64_t size[FA_MAX_DIMS], elements;
    int64_t begin, end; /* from the start of the data */
} entry;

/* A string of the metadata and its name. */
typedef struct note {
    char *name, *text;
    size_t name_length, text_length;
} note;

typedef struct header {
    const fa_open_file *file;
    char *text;
    size_t length;
    fa_json json;
    entry *entries;
    int64_t count, capacity;
    note *notes;
    int64_t note_count, note_capacity;
    bool has_metadata;
} header;

#define REFUSE(h, ...) fa_fail(FA_FILE_ERROR, (h)->file->where, (h)->file->what, __VA_ARGS__)

/* What the JSON reader found, as an error; a second one is silent. */
static bool refuse_json(header *h)
{
    if (h->json.problem == NULL || !fa_ok())
        return false;
    if (strcmp(h->json.problem, "no memory") == 0)
        return fa_fail_memory(h->file->where, h->length);
    return REFUSE(h, "%s has a damaged header: at byte %zu: %s.", h->file->path,
                  (size_t)(8 + (h->json.at - h->json.begin)), h->json.problem);
}

static void *grow(header *h, void *array, int64_t count, int64_t *capacity, size_t item)
{
    if (count < *capacity)
        return array;
    int64_t room = *capacity * 2 + 16;
    void *grown = fa_realloc(array, (size_t)room * item);
    if (grown == NULL)
        fa_fail_memory(h->file->where, (size_t)room * item);
    else
        *capacity = room;
    return grown;
}

/* ---- The header's parts ------------------------------------------------------------------------------------------ */

static bool read_metadata(header *h)
{
    if (h->has_metadata)
        return REFUSE(h, "%s has a damaged header: \"%s\" stands in it twice.", h->file->path, metadata_name);
    h->has_metadata = true;
    fa_json *json = &h->json;
    if (!fa_json_take(json, '{'))
        return refuse_json(h);
    if (fa_json_has(json, '}'))
        return true;
    do {
        note *notes = grow(h, h->notes, h->note_count, &h->note_capacity, sizeof *notes);
        if (notes == NULL)
            return false;
        h->notes = notes;
        note *n = &notes[h->note_count++];
        *n = (note){.name = NULL};
        n->name = fa_json_string(json, &n->name_length);
        if (n->name == NULL || !fa_json_take(json, ':') || (n->text = fa_json_string(json, &n->text_length)) == NULL)
            return refuse_json(h);
    } while (fa_json_has(json, ','));
    return fa_json_take(json, '}') || refuse_json(h);
}

static bool read_shape(header *h, entry *e)
{
    fa_json *json = &h->json;
    if (!fa_json_take(json, '['))
        return refuse_json(h);
    if (fa_json_has(json, ']'))
        return true;
    do {
        if (e->ndim == FA_MAX_DIMS)
            return REFUSE(h, "the tensor \"%s\" of %s has more than %d dimensions, needs at most %d.", e->name,
                          h->file->path, FA_MAX_DIMS, FA_MAX_DIMS);
        if (!fa_json_count(json, &e->size[e->ndim]))
            return refuse_json(h);
        e->ndim++;
    } while (fa_json_has(json, ','));
    return fa_json_take(json, ']') || refuse_json(h);
}

static bool read_offsets(header *h, entry *e)
{
    fa_json *json = &h->json;
    return (fa_json_take(json, '[') && fa_json_count(json, &e->begin) && fa_json_take(json, ',') &&
            fa_json_count(json, &e->end) && fa_json_take(json, ']')) ||
           refuse_json(h);
}

static bool read_dtype(header *h, entry *e)
{
    size_t length;
    char *word = fa_json_string(&h->json, &length);
    if (word == NULL)
        return refuse_json(h);
    e->stored = fa_stored_of_safetensors(word);
    bool good = e->stored != FA_STORED_COUNT ||
                REFUSE(h, "the tensor \"%s\" of %s has the type \"%.32s\", which is not read here.", e->name,
                       h->file->path, word);
    fa_mfree(word);
    return good;
}

enum { HAS_DTYPE = 1, HAS_SHAPE = 2, HAS_OFFSETS = 4, HAS_ALL = 7 };

static bool read_field(header *h, entry *e, const char *name, int *seen)
{
    static const struct {
        const char *name;
        int bit;
        bool (*read)(header *h, entry *e);
    } fields[] = {{"dtype", HAS_DTYPE, read_dtype},
                  {"shape", HAS_SHAPE, read_shape},
                  {"data_offsets", HAS_OFFSETS, read_offsets}};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (strcmp(name, fields[i].name) == 0) {
            if ((*seen & fields[i].bit) != 0)
                return REFUSE(h, "the tensor \"%s\" of %s has \"%s\" twice.", e->name, h->file->path, name);
            *seen |= fields[i].bit;
            return fields[i].read(h, e);
        }
    return fa_json_skip(&h->json) || refuse_json(h);
}

static bool read_entry(header *h, entry *e)
{
    fa_json *json = &h->json;
    int seen = 0;
    if (!fa_json_take(json, '{'))
        return refuse_json(h);
    if (!fa_json_has(json, '}')) {
        do {
            size_t length;
            char *name = fa_json_string(json, &length);
            bool good = name != NULL && fa_json_take(json, ':') && read_field(h, e, name, &seen);
            fa_mfree(name);
            if (!good)
                return refuse_json(h);
        } while (fa_json_has(json, ','));
        if (!fa_json_take(json, '}'))
            return refuse_json(h);
    }
    return seen == HAS_ALL || REFUSE(h, "the tensor \"%s\" of %s lacks its %s.", e->name, h->file->path,
                                     (seen & HAS_DTYPE) == 0   ? "dtype"
                                     : (seen & HAS_SHAPE) == 0 ? "shape"
                                                               : "data_offsets");
}

static bool read_item(header *h)
{
    size_t length;
    char *name = fa_json_string(&h->json, &length);
    if (name == NULL || !fa_json_take(&h->json, ':')) {
        fa_mfree(name);
        return refuse_json(h);
    }
    if (length == strlen(metadata_name) && strcmp(name, metadata_name) == 0) {
        fa_mfree(name);
        return read_metadata(h);
    }
    entry *entries = grow(h, h->entries, h->count, &h->capacity, sizeof *entries);
    if (entries == NULL) {
        fa_mfree(name);
        return false;
    }
    h->entries = entries;
    entry *e = &entries[h->count++];
    *e = (entry){.name = name, .name_length = length};
    return read_entry(h, e);
}

/* ---- Checks ------------------------------------------------------------------------------------------------------ */

static bool check_size(header *h, entry *e, int64_t data_bytes)
{
    int64_t bytes = fa_stored_types[e->stored].size;
    e->elements = 1;
    bool empty = false, fits = true;
    for (int d = 0; d < e->ndim; d++) {
        empty = empty || e->size[d] == 0;
        fits = fits && !__builtin_mul_overflow(e->elements, e->size[d], &e->elements);
    }
    if (empty)
        e->elements = 0;
    else if (!fits || __builtin_mul_overflow(bytes, e->elements, &bytes))
        return REFUSE(h, "the tensor \"%s\" of %s has a shape whose size does not fit.", e->name, h->file->path);
    if (empty)
        bytes = 0;
    if (e->begin > e->end || e->end > data_bytes)
        return REFUSE(h,
                      "the tensor \"%s\" lies at bytes %lld to %lld of the data of %s, which has %lld bytes. The file "
                      "is cut short or its header is damaged.",
                      e->name, (long long)e->begin, (long long)e->end, h->file->path, (long long)data_bytes);
    return e->end - e->begin == bytes ||
           REFUSE(h, "the tensor \"%s\" of %s takes %lld bytes, its shape and type need %lld.", e->name, h->file->path,
                  (long long)(e->end - e->begin), (long long)bytes);
}

static int by_name(const void *a, const void *b)
{
    const entry *x = *(entry *const *)a, *y = *(entry *const *)b;
    size_t length = x->name_length < y->name_length ? x->name_length : y->name_length;
    int order = memcmp(x->name, y->name, length);
    return order != 0 ? order : (x->name_length > y->name_length) - (x->name_length < y->name_length);
}

static int by_place(const void *a, const void *b)
{
    const entry *x = *(entry *const *)a, *y = *(entry *const *)b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* No two of one name, and their bytes follow one another from the first to the last of the data. */
static bool check_together(header *h, entry **sorted, int64_t data_bytes)
{
    for (int64_t i = 0; i < h->count; i++)
        sorted[i] = &h->entries[i];
    qsort(sorted, (size_t)h->count, sizeof *sorted, by_name);
    for (int64_t i = 1; i < h->count; i++)
        if (by_name(&sorted[i - 1], &sorted[i]) == 0)
            return REFUSE(h, "%s holds two tensors called \"%s\".", h->file->path, sorted[i]->name);
    int64_t full = 0, at = 0;
    for (int64_t i = 0; i < h->count; i++)
        if (h->entries[i].begin < h->entries[i].end) /* empty ones may lie anywhere */
            sorted[full++] = &h->entries[i];
    qsort(sorted, (size_t)full, sizeof *sorted, by_place);
    for (int64_t i = 0; i < full; i++) {
        if (sorted[i]->begin != at)
            return REFUSE(h, "%s has %s the tensor \"%s\": it begins at byte %lld of the data, needs %lld.",
                          h->file->path, sorted[i]->begin < at ? "an overlap with" : "a hole before", sorted[i]->name,
                          (long long)sorted[i]->begin, (long long)at);
        at = sorted[i]->end;
    }
    return at == data_bytes ||
           REFUSE(h, "%s has %lld bytes behind its last tensor.", h->file->path, (long long)(data_bytes - at));
}

static bool check_entries(header *h, int64_t data_bytes)
{
    for (int64_t i = 0; i < h->count; i++)
        if (!check_size(h, &h->entries[i], data_bytes))
            return false;
    entry **sorted = fa_malloc((size_t)h->count * sizeof *sorted);
    if (sorted == NULL)
        return fa_fail_memory(h->file->where, (size_t)h->count * sizeof *sorted);
    bool good = check_together(h, sorted, data_bytes);
    fa_mfree(sorted);
    return good;
}

static bool read_header(header *h)
{
    uint64_t length = 0, bytes = h->file->bytes;
    uint8_t start[8];
    if (bytes < sizeof start)
        return REFUSE(h, "%s is cut short: it has %llu bytes, and the header's length alone takes 8.", h->file->path,
                      (unsigned long long)bytes);
    if (!fa_file_read(h->file, start, 0, sizeof start))
        return false;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | start[i];
    if (length > HEADER_MAX)
        return REFUSE(h, "%s has a header of %llu bytes, needs at most %d.", h->file->path, (unsigned long long)length,
                      HEADER_MAX);
    if (length > bytes - sizeof start)
        return REFUSE(h, "%s is cut short: its header takes %llu bytes, and %llu are there.", h->file->path,
                      (unsigned long long)length, (unsigned long long)(bytes - sizeof start));
    h->length = (size_t)length;
    h->text = fa_malloc(h->length);
    if (h->text == NULL)
        return fa_fail_memory(h->file->where, h->length);
    if (!fa_file_read(h->file, h->text, sizeof start, h->length))
        return false;
    size_t bad;
    if (!fa_utf8_valid(h->text, h->length, &bad))
        return REFUSE(h, "%s has a damaged header: byte %zu is not UTF-8.", h->file->path, 8 + bad);
    h->json = fa_json_of(h->text, h->length);
    if (!fa_json_take(&h->json, '{'))
        return refuse_json(h);
    if (!fa_json_has(&h->json, '}')) {
        do {
            if (!read_item(h))
                return false;
        } while (fa_json_has(&h->json, ','));
        if (!fa_json_take(&h->json, '}'))
            return refuse_json(h);
    }
    if (!fa_json_done(&h->json))
        return refuse_json(h);
    return check_entries(h, (int64_t)(bytes - sizeof start - length));
}

/* ---- Values ------------------------------------------------------------------------------------------------------ */

static fa_value *load_tensor(const header *h, const entry *e, fa_buffer **whole)
{
    const fa_open_file *file = h->file;
    size_t size = fa_stored_types[e->stored].size;
    /* Bytes of a bool may be anything in a file, and are 0 or 1 here: they are copied always. */
    bool bools = e->stored == FA_STORED_BOOL;
    fa_open_file source = *file;
    source.mmap = file->mmap && !bools;
    fa_buffer *buffer =
        fa_file_part(&source, whole, 8 + h->length + (uint64_t)e->begin, (size_t)(e->end - e->begin), size);
    if (buffer == NULL)
        return NULL;
    if (bools)
        for (size_t i = 0; i < buffer->bytes; i++)
            ((uint8_t *)buffer->data)[i] = ((uint8_t *)buffer->data)[i] != 0;
    fa_storage *storage = fa_storage_new(buffer, file->path, file->where);
    if (storage == NULL)
        return NULL;
    fa_tensor_view view = {.stored = e->stored, .ndim = e->ndim};
    memcpy(view.size, e->size, sizeof view.size);
    int64_t step = 1;
    for (int d = e->ndim - 1; d >= 0; d--) {
        view.stride[d] = step;
        step *= e->elements > 0 ? e->size[d] : 1;
    }
    fa_value *value = fa_value_of_storage(storage, &view, e->name, file->where);
    fa_storage_release(storage);
    return value;
}

static bool set_metadata(const header *h, fa_value *dict)
{
    fa_where where = h->file->where;
    fa_value *attributes = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    fa_value *notes = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, where);
    for (int64_t i = 0; i < h->note_count; i++) {
        const note *n = &h->notes[i];
        fa_value *name = fa_value_text_at(n->name, (int64_t)n->name_length, where);
        fa_value *text = fa_value_text_at(n->text, (int64_t)n->text_length, where);
        bool good = fa_dict_put_at(notes, name, text, where) != NULL;
        fa_value_free(name);
        fa_value_free(text);
        if (!good)
            break;
    }
    fa_value *name = fa_value_string_at(metadata_name, where);
    bool good = fa_dict_put_at(attributes, name, notes, where) != NULL && fa_set_attributes_at(dict, attributes, where);
    fa_value_free(name);
    fa_value_free(notes);
    fa_value_free(attributes);
    return good;
}

static fa_value *load_all(const header *h)
{
    fa_where where = h->file->where;
    fa_value *dict = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_ORDERED_DICT, where);
    fa_buffer *whole = NULL;
    bool good = dict != NULL && (!h->has_metadata || set_metadata(h, dict));
    for (int64_t i = 0; good && i < h->count; i++) {
        fa_value *name = fa_value_text_at(h->entries[i].name, (int64_t)h->entries[i].name_length, where);
        fa_value *tensor = load_tensor(h, &h->entries[i], &whole);
        good = name != NULL && tensor != NULL && fa_dict_put_at(dict, name, tensor, where) != NULL;
        fa_value_free(name); /* the dict holds them now */
        fa_value_free(tensor);
    }
    fa_buffer_release(whole);
    if (good)
        return dict;
    fa_value_free(dict);
    return NULL;
}

fa_value *fa_safetensors_load(const fa_open_file *file)
{
    header h = {.file = file};
    fa_value *value = read_header(&h) ? load_all(&h) : NULL;
    for (int64_t i = 0; i < h.count; i++)
        fa_mfree(h.entries[i].name);
    for (int64_t i = 0; i < h.note_count; i++) {
        fa_mfree(h.notes[i].name);
        fa_mfree(h.notes[i].text);
    }
    fa_mfree(h.entries);
    fa_mfree(h.notes);
    fa_mfree(h.text);
    return value;
}

/* The upper bytes of the length are zero even where the lower ones are damaged; text has none. */
bool fa_is_safetensors(const uint8_t *head, size_t count, uint64_t bytes)
{
    size_t at = 8;
    while (at < count && (head[at] == ' ' || head[at] == '\n' || head[at] == '\t' || head[at] == '\r'))
        at++;
    return bytes > 8 && at < count && head[at] == '{' && head[5] == 0 && head[6] == 0 && head[7] == 0;
}
