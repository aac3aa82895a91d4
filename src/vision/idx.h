/* IDX files, the form of MNIST: u32 magic 0x0000TTDD (type TT, here 8: bytes; DD dimensions), one u32 a dimension, then
 * the bytes, all big endian; packed with gzip or not. */
#ifndef FA_VISION_IDX_H
#define FA_VISION_IDX_H

#include "base/memory.h"
#include "facula/base.h"

enum { FA_IDX_MAX_DIMS = 3 };

typedef struct fa_idx {
    int64_t size[FA_IDX_MAX_DIMS];
    fa_buffer *buffer; /* the elements */
} fa_idx;

/* Reads a file of exactly `ndim` dimensions (1 labels, 3 images), each at least 1. Whether it is packed is told by its
 * first bytes. Header and length are checked before memory for the content is taken. False after an error that names
 * the file; nothing to release then. */
bool fa_idx_read(const char *path, int ndim, const char *what, fa_where where, fa_idx *out);

#endif
