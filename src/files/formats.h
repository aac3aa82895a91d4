/* Formats beside .pth, read from an open file. */
#ifndef FA_FILES_FORMATS_H
#define FA_FILES_FORMATS_H

#include "files/value.h"

/* A file that fa_load has opened and looked at. */
typedef struct fa_open_file {
    int fd;
    uint64_t bytes; /* when it was opened */
    const char *path, *what;
    fa_where where;
    bool mmap;
} fa_open_file;

/* Reads [offset, offset + bytes), or raises an error that says how the file ends early. */
bool fa_file_read(const fa_open_file *file, void *to, uint64_t offset, size_t bytes);
/* The bytes [offset, offset + bytes) as a buffer: mapped where `file` says so and they lie at a multiple of
 * `alignment`, else read. NULL after an error. `whole` keeps the mapping between calls; NULL at first,
 * fa_buffer_release it. */
fa_buffer *fa_file_part(const fa_open_file *file, fa_buffer **whole, uint64_t offset, size_t bytes, size_t alignment);

/* Whether a file of `bytes` bytes that begins so is of the format; `head` holds the first 16 (fewer in a shorter file).
 */
bool fa_is_safetensors(const uint8_t *head, size_t count, uint64_t bytes);
bool fa_is_npy(const uint8_t *head, size_t count);

/* An OrderedDict of tensors in the order of the header; what "__metadata__" held is its attribute of that name. NULL
 * after an error. */
fa_value *fa_safetensors_load(const fa_open_file *file);
/* One tensor. NULL after an error. */
fa_value *fa_npy_load(const fa_open_file *file);

/* Each false after an error; the earlier file is then as it was. */
bool fa_safetensors_write(fa_value *value, const char *path, const char *what, fa_where where);
bool fa_npy_write(fa_value *tensor, const char *path, const char *what, fa_where where);

/* Hands a tensor's elements on in row-major order, those that do not lie so in parts: a tensor may have far more
 * elements than its file. False after an error, and when `write` returned false. */
bool fa_write_elements(const fa_tensor_view *view, bool (*write)(void *to, const void *data, size_t bytes), void *to,
                       fa_where where);
/* The `write` of a fa_atomic_file. */
bool fa_write_to_file(void *file, const void *data, size_t bytes);
/* NumPy's word for a type without the order of bytes, "f4"; NULL: it has none. */
const char *fa_npy_word(fa_stored stored);
/* Whether a path ends so, upper case or lower: ".npy". */
bool fa_path_ends(const char *path, const char *ending);
/* The type called so in safetensors files; FA_STORED_COUNT: none. */
fa_stored fa_stored_of_safetensors(const char *word);

#endif
