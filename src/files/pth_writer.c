/* torch.save: a pickle, the storages' bytes and a few words about the format, in a zip archive. Records, their order
 * and their alignment are those of PyTorch 2.15. */
#include "files/pth_writer.h"

#include "base/error.h"
#include "files/formats.h"
#include "files/pickle_writer.h"
#include "files/zip_writer.h"

#include <stdio.h>
#include <string.h>

static size_t bytes_of(const fa_tensor_view *view)
{
    return (size_t)view->elements * fa_stored_types[view->stored].size;
}

static bool write_record(void *zip, const void *data, size_t bytes)
{
    fa_zip_record_write(zip, data, bytes);
    return !((const fa_zip_writer *)zip)->failed;
}

static bool write_storage(fa_zip_writer *zip, const fa_tensor_view *view, int64_t number)
{
    char name[32];
    snprintf(name, sizeof name, "data/%lld", (long long)number);
    fa_zip_record_begin(zip, name, bytes_of(view));
    if (!fa_write_elements(view, write_record, zip, zip->file->where))
        return false;
    fa_zip_record_end(zip);
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
