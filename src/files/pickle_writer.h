/* Values as a pickle of protocol 2, in the words that torch.save uses and torch.load(weights_only=True) allows. Equal
 * values give equal bytes. */
#ifndef FA_FILES_PICKLE_WRITER_H
#define FA_FILES_PICKLE_WRITER_H

#include "files/value.h"

typedef struct fa_pickle_memo fa_pickle_memo;

typedef struct fa_pickle {
    uint8_t *data;
    size_t length, capacity;
    /* What the tensors look at, by number: record "data/<number>" holds the elements of the view in row-major order. */
    fa_tensor_view *storages;
    int64_t storage_count, storage_capacity;

    fa_pickle_memo *memo; /* a hash table */
    size_t memo_size, memo_used;
    uint32_t memo_next;
    char path[256]; /* keys from the outside in, for messages */
    size_t path_length;
    int depth;
    const char *what;
    fa_where where;
    bool failed;
} fa_pickle;

/* Everything that the tensors need is computed first. Tensors whose elements are the very same in memory share a
 * storage; any other view brings its own elements alone. False after an error. fa_pickle_free in any case. */
bool fa_pickle_write(fa_pickle *pickle, fa_value *value, const char *what, fa_where where);
void fa_pickle_free(fa_pickle *pickle);

#endif
