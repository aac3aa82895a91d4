/* The zip archive of torch.save: the pickle first, which says what storages there are, then their bytes. */
#include "files/pth_reader.h"

#include "base/error.h"
#include "base/mapped.h"
#include "files/zip_reader.h"

#include <string.h>

#define REFUSE(f, ...) fa_fail(FA_FILE_ERROR, (f)->where, (f)->what, __VA_ARGS__)

/* A storage of the archive. */
typedef struct record {
    fa_storage *storage;
    fa_buffer *buffer;
    fa_stored stored; /* as first named */
    bool mapped;
} record;

typedef struct archive {
    fa_zip zip;
    const fa_open_file *file;
    fa_buffer *whole; /* the mapping */
    record *records;
    fa_zip_job *jobs;
    int64_t count, job_count;
    bool big_endian;
} archive;

bool fa_is_pth_zip(const uint8_t *head, size_t count)
{
    /* An empty archive begins with its end record. */
    return count >= 4 && (memcmp(head, "PK\3\4", 4) == 0 || memcmp(head, "PK\5\6", 4) == 0);
}

void fa_swap_bytes(void *data, size_t bytes, fa_stored stored)
{
    const bool complex = stored == FA_STORED_COMPLEX64 || stored == FA_STORED_COMPLEX128;
    const size_t each = (size_t)fa_stored_types[stored].size / (complex ? 2 : 1);
    for (uint8_t *p = data, *end = p + bytes; p < end; p += each)
        for (size_t i = 0; i < each / 2; i++) {
            uint8_t byte = p[i];
            p[i] = p[each - 1 - i];
            p[each - 1 - i] = byte;
        }
}

/* ---- Small records ------------------------------------------------------------------------------------------------
 */

/* The content of an entry that must be small: at most `most` bytes. NULL after an error. */
static uint8_t *read_small(const archive *a, const fa_zip_entry *entry, uint64_t most)
{
    if (entry->bytes > most) {
        REFUSE(a->file, "%s: its entry %s has %llu bytes, more than a file of %llu bytes may need for it.",
               a->file->path, entry->name, (unsigned long long)entry->bytes, (unsigned long long)a->file->bytes);
        return NULL;
    }
    uint8_t *bytes = fa_malloc((size_t)entry->bytes + 1);
    if (bytes == NULL) {
        fa_fail_memory(a->file->where, (size_t)entry->bytes);
        return NULL;
    }
    const fa_zip_job job = {.entry = entry, .to = bytes};
    if (!fa_zip_read(&a->zip, &job, 1)) {
        fa_mfree(bytes);
        return NULL;
    }
    bytes[entry->bytes] = 0;
    return bytes;
}

static bool read_byteorder(archive *a)
{
    const fa_zip_entry *entry = fa_zip_find(&a->zip, "byteorder");
    if (entry == NULL)
        return true;
    uint8_t *text = read_small(a, entry, 64);
    if (text == NULL)
        return false;
    a->big_endian = strcmp((char *)text, "big") == 0;
    bool known = a->big_endian || strcmp((char *)text, "little") == 0;
    fa_mfree(text);
    return known || REFUSE(a->file, "%s is damaged: its byteorder is neither little nor big.", a->file->path);
}

static bool read_version(const archive *a)
{
    const fa_zip_entry *entry = fa_zip_find(&a->zip, "version");
    if (entry == NULL)
        return REFUSE(a->file, "%s holds no record `version`: it is not a file of torch.save, or was damaged.",
                      a->file->path);
    uint8_t *text = read_small(a, entry, 64);
    if (text == NULL)
        return false;
    bool known = text[0] >= '1' && text[0] <= '5' && (text[1] == 0 || text[1] == '\n');
    text[text[0] != 0] = 0;
    if (!known)
        REFUSE(a->file, "%s is of version %s of the format, this reader knows 1 to 5.", a->file->path, (char *)text);
    fa_mfree(text);
    return known;
}

/* ---- Storages -----------------------------------------------------------------------------------------------------
 */

/* Memory for a storage's record; it is filled after the pickle has been read. */
static record *new_record(archive *a, fa_zip_entry *entry, const fa_pth_id *id)
{
    record *rec = &a->records[a->count];
    *rec = (record){.stored = id->stored, .mapped = a->file->mmap && !entry->deflated && !a->big_endian};
    /* A record that does not lie at a multiple of its elements' size is read even so: nothing can point into it. */
    const uint64_t alignment = id->stored == FA_STORED_COUNT ? 8 : fa_stored_types[id->stored].size;
    rec->mapped = rec->mapped && entry->bytes > 0 && entry->offset % (alignment > 8 ? 8 : alignment) == 0;
    if (rec->mapped)
        rec->buffer = fa_file_part(a->file, &a->whole, entry->offset, (size_t)entry->bytes, 1);
    else if ((rec->buffer = fa_buffer_new((size_t)entry->bytes)) == NULL)
        fa_fail_memory(a->file->where, (size_t)entry->bytes);
    if (rec->buffer == NULL)
        return NULL;
    rec->storage = fa_storage_new(rec->buffer, a->file->path, a->file->where);
    if (rec->storage == NULL)
        return NULL;
    if (!rec->mapped)
        a->jobs[a->job_count++] = (fa_zip_job){.entry = entry, .to = rec->buffer->data};
    a->count++;
    entry->user = rec;
    return rec;
}

static fa_cell *persistent(fa_pickle_reader *r, fa_cell *tuple)
{
    archive *a = r->user;
    fa_pth_id id;
    if (!fa_pth_read_id(r, tuple, &id))
        return NULL;
    char name[256] = "data/";
    memcpy(name + 5, id.key, strlen(id.key) + 1);
    fa_zip_entry *entry = fa_zip_find(&a->zip, name);
    if (entry == NULL)
        return fa_pickle_refuse(r, "there is no record %s, which a tensor looks at", name);
    if (entry->bytes != id.bytes)
        return fa_pickle_refuse(r, "the record %s has %llu bytes, its storage of %lld elements needs %llu", name,
                                (unsigned long long)entry->bytes, (long long)id.elements, (unsigned long long)id.bytes);
    record *rec = entry->user != NULL ? entry->user : new_record(a, entry, &id);
    if (rec == NULL)
        return NULL;
    const fa_pth_storage storage = {
        .storage = fa_storage_retain(rec->storage), .stored = id.stored, .elements = id.elements};
    return fa_pth_storage_cell(r, &storage);
}

static bool fill(archive *a)
{
    if (!fa_zip_read(&a->zip, a->jobs, a->job_count))
        return false;
    for (int64_t i = 0; a->big_endian && i < a->count; i++) {
        if (a->records[i].stored == FA_STORED_COUNT)
            return REFUSE(a->file, "%s holds an untyped storage in big-endian order, which cannot be read.",
                          a->file->path);
        fa_swap_bytes(a->records[i].buffer->data, a->records[i].buffer->bytes, a->records[i].stored);
    }
    return true;
}

/* ---- The whole ----------------------------------------------------------------------------------------------------
 */

static fa_cell *read_pickle(archive *a)
{
    const fa_open_file *f = a->file;
    const fa_zip_entry *entry = fa_zip_find(&a->zip, "data.pkl");
    if (fa_zip_find(&a->zip, "constants.pkl") != NULL) {
        REFUSE(f,
               "%s is a TorchScript archive (torch.jit.save), which holds code; needs a file of torch.save. Hint: "
               "in Python: torch.save(model.state_dict(), path).",
               f->path);
        return NULL;
    }
    if (entry == NULL) {
        REFUSE(f, "%s is a zip file without the record data.pkl: it is not a file of torch.save.", f->path);
        return NULL;
    }
    /* A pickle that is packed better than 32 : 1 is a trap: its values take a hundred times its bytes. */
    uint8_t *bytes = read_small(a, entry, (UINT64_C(1) << 16) + 32 * f->bytes);
    if (bytes == NULL)
        return NULL;
    const fa_pickle_rules rules = {.globals = fa_pth_globals,
                                   .count = fa_pth_global_count,
                                   .modules = true,
                                   .may_be_named = fa_pth_may_be_named,
                                   .persistent = persistent};
    fa_pickle_reader reader = {.bytes = bytes,
                               .length = (size_t)entry->bytes,
                               .rules = &rules,
                               .path = f->path,
                               .part = "data.pkl",
                               .what = f->what,
                               .where = f->where,
                               .user = a};
    fa_cell *root = fa_pickle_read(&reader);
    fa_mfree(bytes);
    return root;
}

fa_value *fa_pth_load(const fa_open_file *file)
{
    archive a = {.file = file};
    fa_cell *root = NULL;
    bool fine = fa_zip_open(&a.zip, file);
    if (fine) {
        a.records = fa_calloc((size_t)a.zip.count, sizeof *a.records);
        a.jobs = fa_calloc((size_t)a.zip.count, sizeof *a.jobs);
        fine = a.records != NULL && a.jobs != NULL;
        if (!fine)
            fa_fail_memory(file->where, (size_t)a.zip.count * sizeof *a.records);
    }
    if (fine && read_byteorder(&a))
        root = read_pickle(&a);
    if (root != NULL && !(read_version(&a) && fill(&a) && fa_mapped_check(file->where))) {
        fa_cell_drop(root);
        root = NULL;
    }
    for (int64_t i = 0; i < a.count; i++)
        fa_storage_release(a.records[i].storage);
    fa_buffer_release(a.whole);
    fa_mfree(a.records);
    fa_mfree(a.jobs);
    fa_zip_close(&a.zip);
    return fa_cell_to_scope(root, file->where);
}
