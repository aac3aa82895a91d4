/* What torch.save wrote: zip archives (since 1.6) and the stream of pickles before them. */
#ifndef FA_FILES_PTH_READER_H
#define FA_FILES_PTH_READER_H

#include "files/formats.h"
#include "files/pickle_reader.h"

/* Whether a file that begins so is of the format. */
bool fa_is_pth_zip(const uint8_t *head, size_t count);
bool fa_is_pth_legacy(const uint8_t *head, size_t count);

/* NULL after an error. */
fa_value *fa_pth_load(const fa_open_file *file);
fa_value *fa_pth_legacy_load(const fa_open_file *file);

/* ---- Shared by both -----------------------------------------------------------------------------------------------
 */

/* A storage that a persistent id names: its type, and the bytes, which are read after the pickle. */
typedef struct fa_pth_storage {
    fa_storage *storage;
    fa_stored stored; /* FA_STORED_COUNT: untyped, counted in bytes */
    int64_t offset;   /* elements of `storage` before its first one */
    int64_t elements;
} fa_pth_storage;

/* The parts of a persistent id: ('storage', class, key, location, elements, view). */
typedef struct fa_pth_id {
    fa_stored stored;
    const char *key;
    int64_t elements;
    uint64_t bytes;
    const fa_cell *view; /* legacy: NULL or a tuple */
} fa_pth_id;

/* False after an error. */
bool fa_pth_read_id(fa_pickle_reader *reader, const fa_cell *id, fa_pth_id *out);
/* A cell that stands for a storage; its reference is taken over. NULL after an error. */
fa_cell *fa_pth_storage_cell(fa_pickle_reader *reader, const fa_pth_storage *storage);

/* The names that files of tensors may ask for. */
extern const fa_pickle_global fa_pth_globals[];
extern const int fa_pth_global_count;
/* Classes and functions that may be values by themselves. */
bool fa_pth_may_be_named(const char *module, const char *name);

/* Bytes of each element in the other order. */
void fa_swap_bytes(void *data, size_t bytes, fa_stored stored);

#endif
