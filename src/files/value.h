/* Values inside the library: tensors as they lie in a file, and what readers and writers need beyond facula/files.h.
 *
 * A handle (fa_value *) is a number: generation and index of a cell. Cells are never given back, so a stale handle is
 * recognised. A cell counts its holders: containers, the scope that it was made in, and calls of fa_value_retain. */
#ifndef FA_FILES_VALUE_H
#define FA_FILES_VALUE_H

#include "base/memory.h"
#include "facula/files.h"
#include "files/stored.h"
#include "tensor/node.h"

enum {
    FA_VALUE_MAX_DEPTH = 1000 /* containers in containers, in files and by fa_dict_put */
};

/* ---- Storages: bytes that tensors of a file look at ---------------------------------------------------------------
 */

/* Counted; holds its buffer. Tensors made from it share its bytes where they lie in order and do not overlap in part.
 */
typedef struct fa_storage fa_storage;

/* The buffer's reference is taken over (also after an error). `file` is for messages. NULL after an error. */
fa_storage *fa_storage_new(fa_buffer *buffer, const char *file, fa_where where);
fa_storage *fa_storage_retain(fa_storage *storage);
void fa_storage_release(fa_storage *storage);

/* A tensor as it lies in memory. Sizes, strides and offset in elements. */
typedef struct fa_tensor_view {
    fa_stored stored;
    int ndim;
    int64_t size[FA_MAX_DIMS], stride[FA_MAX_DIMS];
    int64_t offset;       /* of the first element in the storage */
    int64_t elements;     /* product of the sizes */
    const void *data;     /* the first element */
    const void *identity; /* equal for tensors that look at the same storage (or are the same live tensor) */
    int64_t bytes_stored; /* of that storage */
    bool contiguous;      /* row-major without gaps */
    bool requires_grad, parameter;
} fa_tensor_view;

/* A tensor of a storage (which it holds itself): stored, ndim, size, stride, offset, requires_grad and parameter are
 * read. The view must lie inside the storage, which is checked here. NULL after an error, which calls it `name`. */
fa_value *fa_value_of_storage(fa_storage *storage, const fa_tensor_view *view, const char *name, fa_where where);
/* A tensor that is a leaf (held, not copied). */
fa_value *fa_value_of_leaf(fa_leaf *leaf, fa_where where);
/* How a tensor lies in memory, with everything pending on it done. It stays so until the tensor is written or the value
 * ends. False after an error. */
bool fa_value_view(fa_value *tensor, fa_tensor_view *out, fa_where where);
/* Elements in row-major order, in the stored type. */
void fa_view_copy(void *to, const fa_tensor_view *view);
/* `count` of them, from number `first` on. A tensor may have far more elements than its file: whoever wants them one
 * after the other takes them in parts of FA_VIEW_PART. */
void fa_view_copy_part(void *to, const fa_tensor_view *view, int64_t first, int64_t count);
enum { FA_VIEW_PART = 1 << 16 };
/* The leaf of a tensor, made if need be, one reference for the caller. NULL after an error. */
fa_leaf *fa_value_leaf(fa_value *tensor, fa_where where);

/* ---- Checks -------------------------------------------------------------------------------------------------------
 */

/* False after raising an error that names `what`: no value, one that has ended, or none of this kind. */
bool fa_value_check(const fa_value *value, fa_value_kind kind, const char *what, fa_where where);
/* Whether everything below it is finite and nests at most FA_VALUE_MAX_DEPTH deep, so that a walk may recurse. */
bool fa_value_check_tree(fa_value *root, const char *what, fa_where where);
/* What a value is, for messages: "a dict of 3 entries", "the string 'abc'". Into a ring of buffers. */
const char *fa_value_text(const fa_value *value);
/* Keys of a dict for messages: "epoch, loss, ... (12 in all)". */
const char *fa_keys_text(const fa_value *dict);
/* At shutdown: what the calling thread's root scope holds ends. */
void fa_values_end_root(void);
/* The same cell? Handles are equal where the value is the same one. */
static inline bool fa_same_value(const fa_value *a, const fa_value *b)
{
    return a == b;
}

#endif
