/* The pickles of CIFAR's version for Python: dicts of lists, strings, and one array of bytes. */
#ifndef FA_VISION_CIFAR_PICKLE_H
#define FA_VISION_CIFAR_PICKLE_H

#include "files/pickle_reader.h"

/* Reads one; the caller holds the dict. `path` is for messages. NULL after an error. */
fa_cell *fa_cifar_pickle_read(const uint8_t *bytes, size_t size, const char *path, const char *what, fa_where where);
bool fa_cifar_has(const fa_cell *dict, const char *key);
/* The entry of a key, which may be a string or bytes; NULL after an error that names the keys there are. */
fa_cell *fa_cifar_entry(const fa_cell *dict, const char *key, const char *path, const char *what, fa_where where);

/* An array of bytes [rows, columns] that an entry holds, numpy's or plain bytes of that many rows. */
typedef struct fa_cifar_array {
    const uint8_t *bytes;
    int64_t rows, columns;
    bool by_columns; /* Fortran's order */
} fa_cifar_array;
bool fa_cifar_array_of(const fa_cell *cell, int64_t columns, const char *path, const char *what, fa_where where,
                       fa_cifar_array *out);

#endif
