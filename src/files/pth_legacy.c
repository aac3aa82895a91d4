/* What torch.save wrote before 1.6, and writes when asked: five pickles one after the other (a number that marks the
 * format, its version, the machine, the object, the keys of its storages), then the storages in the order of the keys,
 * each an int64 number of elements and their bytes. */
#include "files/pth_reader.h"

#include "base/error.h"
#include "base/mapped.h"

#include <string.h>

#define REFUSE(f, ...) fa_fail(FA_FILE_ERROR, (f)->where, (f)->what, __VA_ARGS__)

typedef struct record {
    char *key;
    fa_storage *storage;
    fa_buffer *buffer;
    fa_stored stored;
    int64_t elements;
    bool filled;
} record;

typedef struct legacy {
    const fa_open_file *file;
    record *records;
    int64_t count, capacity;
    int64_t *slots; /* a hash table of record numbers, -1: free; twice as many as there may be records */
    uint64_t total; /* bytes of all storages: no more than the file has */
    bool big_endian;
} legacy;

bool fa_is_pth_legacy(const uint8_t *head, size_t count)
{
    static const uint8_t magic[] = {0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    return count >= sizeof magic && memcmp(head, magic, sizeof magic) == 0;
}

/* ---- Storages by key ----------------------------------------------------------------------------------------------
 */

static uint64_t hash_of(const char *key)
{
    uint64_t hash = 1469598103934665603u;
    for (; *key; key++)
        hash = (hash ^ (uint8_t)*key) * 1099511628211u;
    return hash;
}

/* The slot of a key: its record's, or the free one where it belongs. */
static int64_t *slot_of(const legacy *l, const char *key)
{
    const uint64_t mask = (uint64_t)(2 * l->capacity) - 1;
    uint64_t at = hash_of(key) & mask;
    while (l->slots[at] >= 0 && strcmp(l->records[l->slots[at]].key, key) != 0)
        at = (at + 1) & mask;
    return &l->slots[at];
}

/* Room for one more record. */
static bool grow(legacy *l)
{
    if (l->count < l->capacity)
        return true;
    const int64_t capacity = l->capacity > 0 ? 2 * l->capacity : 64;
    record *records = fa_realloc(l->records, (size_t)capacity * sizeof *records);
    int64_t *slots = fa_malloc(2 * (size_t)capacity * sizeof *slots);
    if (records != NULL)
        l->records = records;
    if (records == NULL || slots == NULL) {
        fa_mfree(slots);
        return fa_fail_memory(l->file->where, (size_t)capacity * sizeof *records);
    }
    fa_mfree(l->slots);
    l->slots = slots;
    l->capacity = capacity;
    memset(slots, 0xff, 2 * (size_t)capacity * sizeof *slots);
    for (int64_t i = 0; i < l->count; i++)
        *slot_of(l, l->records[i].key) = i;
    return true;
}

static record *new_record(legacy *l, const fa_pth_id *id)
{
    if (!grow(l))
        return NULL;
    record *rec = &l->records[l->count];
    *rec = (record){.key = fa_strdup(id->key), .stored = id->stored, .elements = id->elements};
    rec->buffer = rec->key != NULL ? fa_buffer_new((size_t)id->bytes) : NULL;
    rec->storage = rec->buffer != NULL ? fa_storage_new(rec->buffer, l->file->path, l->file->where) : NULL;
    if (rec->storage == NULL) {
        if (fa_ok())
            fa_fail_memory(l->file->where, (size_t)id->bytes);
        fa_mfree(rec->key);
        return NULL;
    }
    *slot_of(l, rec->key) = l->count++;
    l->total += id->bytes;
    return rec;
}

static fa_cell *persistent(fa_pickle_reader *r, fa_cell *id_tuple)
{
    legacy *l = r->user;
    const fa_cell *word = fa_pickle_arg(id_tuple, 0);
    fa_cell *class = fa_pickle_arg(id_tuple, 1);
    if (word != NULL && fa_cell_is_text(word, "module") && class != NULL)
        return fa_cell_hold(class); /* a class of a whole model, with its source text: the class alone */
    fa_pth_id id;
    if (!fa_pth_read_id(r, id_tuple, &id))
        return NULL;
    if (id.stored == FA_STORED_COUNT)
        return fa_pickle_refuse(r, "the storage %s has no type", id.key);
    const int64_t known = l->capacity > 0 ? *slot_of(l, id.key) : -1;
    if (known < 0 && id.bytes > l->file->bytes - l->total)
        return fa_pickle_refuse(r, "the storage %s has %llu bytes, more than the file may hold", id.key,
                                (unsigned long long)id.bytes);
    record *rec = known >= 0 ? &l->records[known] : new_record(l, &id);
    if (rec == NULL)
        return NULL;
    if (rec->stored != id.stored || rec->elements != id.elements)
        return fa_pickle_refuse(r, "the storage %s is named twice, with another type or size", id.key);
    fa_pth_storage storage = {.storage = rec->storage, .stored = id.stored, .elements = id.elements};
    if (id.view != NULL) {
        const fa_cell *offset = fa_pickle_arg(id.view, 1), *size = fa_pickle_arg(id.view, 2);
        if (offset == NULL || size == NULL || offset->kind != FA_VALUE_INT || size->kind != FA_VALUE_INT ||
            offset->flavour == FA_FLAVOUR_BIG || size->flavour == FA_FLAVOUR_BIG || offset->as.number < 0 ||
            size->as.number < 0 || offset->as.number > id.elements || size->as.number > id.elements - offset->as.number)
            return fa_pickle_refuse(r, "a view of the storage %s lies outside of it", id.key);
        storage.offset = offset->as.number;
        storage.elements = size->as.number;
    }
    fa_storage_retain(rec->storage);
    return fa_pth_storage_cell(r, &storage);
}

/* The storages' bytes, which lie behind the pickles at `at`. */
static bool fill(legacy *l, const fa_cell *keys, uint64_t at)
{
    const fa_open_file *f = l->file;
    if (keys->kind != FA_VALUE_LIST)
        return REFUSE(f, "%s is damaged: it has no list of storages.", f->path);
    for (int64_t i = 0; i < keys->as.entries->count; i++) {
        const fa_cell *key = keys->as.entries->item[i];
        const int64_t number = key->kind == FA_VALUE_STRING && l->capacity > 0 ? *slot_of(l, key->as.text.bytes) : -1;
        uint8_t head[8];
        if (number < 0)
            return REFUSE(f, "%s is damaged: its list of storages names one that nothing uses.", f->path);
        record *rec = &l->records[number];
        if (f->bytes - at < 8 || rec->buffer->bytes > f->bytes - at - 8)
            return REFUSE(f,
                          "%s is cut short: it ends inside the storage %s (have %llu bytes). Hint: fetch or save it "
                          "again.",
                          f->path, rec->key, (unsigned long long)f->bytes);
        if (!fa_file_read(f, head, at, 8))
            return false;
        uint64_t elements = 0;
        for (int b = 0; b < 8; b++)
            elements |= (uint64_t)head[b] << 8 * (l->big_endian ? 7 - b : b);
        if (elements != (uint64_t)rec->elements)
            return REFUSE(f, "%s is damaged: the storage %s has %llu elements, its tensors need %lld.", f->path,
                          rec->key, (unsigned long long)elements, (long long)rec->elements);
        if (!fa_file_read(f, rec->buffer->data, at + 8, rec->buffer->bytes))
            return false;
        if (l->big_endian)
            fa_swap_bytes(rec->buffer->data, rec->buffer->bytes, rec->stored);
        rec->filled = true;
        at += 8 + rec->buffer->bytes;
    }
    for (int64_t i = 0; i < l->count; i++)
        if (!l->records[i].filled)
            return REFUSE(f, "%s is damaged: its list of storages lacks %s.", f->path, l->records[i].key);
    return true;
}

/* ---- The whole ----------------------------------------------------------------------------------------------------
 */

static bool check_system(legacy *l, const fa_cell *version, const fa_cell *system)
{
    const fa_open_file *f = l->file;
    if (version->kind != FA_VALUE_INT || version->flavour == FA_FLAVOUR_BIG || version->as.number != 1001)
        return REFUSE(f, "%s is of another version of the format before PyTorch 1.6, this reader knows 1001.", f->path);
    const fa_cell *little = system->kind == FA_VALUE_DICT ? fa_cell_find_text(system, "little_endian") : NULL;
    if (little == NULL || little->kind != FA_VALUE_BOOL)
        return REFUSE(f, "%s is damaged: it does not say in which order its bytes are.", f->path);
    l->big_endian = little->as.number == 0;
    return true;
}

static fa_cell *read_stream(legacy *l, const uint8_t *bytes)
{
    enum { MAGIC, VERSION, SYSTEM, OBJECT, KEYS, PARTS };
    static const char *const names[PARTS] = {"its first pickle", "its second pickle", "its third pickle",
                                             "the object's pickle", "the storages' pickle"};
    const fa_open_file *f = l->file;
    const fa_pickle_rules rules = {.globals = fa_pth_globals,
                                   .count = fa_pth_global_count,
                                   .modules = true,
                                   .may_be_named = fa_pth_may_be_named,
                                   .persistent = persistent};
    fa_pickle_reader reader = {.bytes = bytes,
                               .length = (size_t)f->bytes,
                               .rules = &rules,
                               .path = f->path,
                               .what = f->what,
                               .where = f->where,
                               .user = l};
    fa_cell *part[PARTS] = {NULL};
    bool fine = true;
    for (int p = 0; p < PARTS && fine; p++) {
        reader.part = names[p];
        part[p] = fa_pickle_read(&reader);
        fine = part[p] != NULL && (p != SYSTEM || check_system(l, part[VERSION], part[SYSTEM]));
    }
    fine = fine && fill(l, part[KEYS], reader.at);
    fa_cell *object = fine ? fa_cell_hold(part[OBJECT]) : NULL;
    for (int p = 0; p < PARTS; p++)
        fa_cell_drop(part[p]);
    return object;
}

fa_value *fa_pth_legacy_load(const fa_open_file *file)
{
    legacy l = {.file = file};
    /* The pickles' length stands nowhere: they are read from a mapping, the storages as files are. */
    fa_buffer *whole = fa_map_file(file->fd, (size_t)file->bytes, file->path, file->what, file->where);
    fa_cell *root = whole != NULL ? read_stream(&l, whole->data) : NULL;
    if (root != NULL && !fa_mapped_check(file->where)) {
        fa_cell_drop(root);
        root = NULL;
    }
    for (int64_t i = 0; i < l.count; i++) {
        fa_storage_release(l.records[i].storage);
        fa_mfree(l.records[i].key);
    }
    fa_mfree(l.records);
    fa_mfree(l.slots);
    fa_buffer_release(whole);
    return fa_cell_to_scope(root, file->where);
}
