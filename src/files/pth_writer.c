/* torch.save: a pickle, the storages' bytes and a few words about the format, in a zip archive. Records, their order
 * and their alignment are those of PyTorch 2.15. */
#include "files/pth_writer.h"

#include "base/error.h"
#include "files/pickle_writer.h"
#include "files/zip_writer.h"

#include <stdio.h>
#include <string.h>

static size_t bytes_of(const fa_tensor_view *view)
{
    return (size_t)view->elements * fa_stored_types[view->stored].size;
}

static bool write_storage(fa_zip_writer *zip, const fa_tensor_view *view, int64_t number)
{
    char name[32];
    size_t bytes = bytes_of(view);
    snprintf(name, sizeof name, "data/%lld", (long long)number);
    if (view->contiguous) {
        fa_zip_record(zip, name, view->data, bytes);
        return true;
    }
    void *copy = fa_malloc(bytes);
    if (copy == NULL)
        return fa_fail_memory(zip->file->where, bytes);
    fa_view_copy(copy, view);
    fa_zip_record(zip, name, copy, bytes);
    fa_mfree(copy);
    return true;
}

static uint64_t bytes_of_all(const fa_pickle *pickle)
{
    uint64_t all = pickle->length;
    for (int64_t i = 0; i < pickle->storage_count; i++)
        all += bytes_of(&pickle->storages[i]);
    return all;
}

static bool write_records(fa_zip_writer *zip, const fa_pickle *pickle)
{
    fa_zip_record(zip, "data.pkl", pickle->data, pickle->length);
    fa_zip_record(zip, ".format_version", "1", 1);
    fa_zip_record(zip, ".storage_alignment", "64", 2);
    fa_zip_record(zip, "byteorder", "little", 6);
    for (int64_t i = 0; i < pickle->storage_count; i++)
        if (!write_storage(zip, &pickle->storages[i], i))
            return false;
    fa_zip_record(zip, "version", "3\n", 2);
    char digits[41];
    fa_zip_fingerprint(zip, digits);
    fa_zip_record(zip, ".data/serialization_id", digits, strlen(digits));
    return fa_zip_end(zip);
}

bool fa_pth_write(fa_value *value, const char *path, const char *what, fa_where where)
{
    fa_pickle pickle;
    fa_atomic_file file;
    bool good = fa_pickle_write(&pickle, value, what, where) && fa_atomic_open(&file, path, what, where);
    if (good) {
        fa_zip_writer zip;
        fa_atomic_expect(&file, bytes_of_all(&pickle));
        fa_zip_begin(&zip, &file);
        good = write_records(&zip, &pickle);
        fa_zip_free(&zip);
        if (good)
            good = fa_atomic_commit(&file);
        else
            fa_atomic_abandon(&file);
    }
    fa_pickle_free(&pickle);
    return good;
}
