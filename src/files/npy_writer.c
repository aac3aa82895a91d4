/* Writing NumPy's .npy: the same bytes as numpy.save, C order, version 1. */
#include "base/error.h"
#include "files/atomic.h"
#include "files/formats.h"

#include <stdio.h>

enum { MAGIC = 6, ALIGNMENT = 64, GROWTH = 21 };

bool fa_npy_write(fa_value *tensor, const char *path, const char *what, fa_where where)
{
    fa_tensor_view view;
    if (fa_kind_of(tensor) != FA_VALUE_TENSOR)
        return fa_fail(
            FA_VALUE_ERROR, where, what,
            "got %s for %s, needs one tensor. Hint: a dict of tensors goes into a .safetensors or .pth file.",
            fa_kind_name(tensor), path);
    if (!fa_value_view(tensor, &view, where))
        return false;
    const char *word = fa_npy_word(view.stored);
    if (word == NULL)
        return fa_fail(FA_VALUE_ERROR, where, what,
                       "got the type %s for %s, which NumPy does not have. Hint: fa_to_dtype(x, FA_FLOAT32).",
                       fa_stored_types[view.stored].name, path);
    size_t size = fa_stored_types[view.stored].size;
    char head[4 * ALIGNMENT + FA_MAX_DIMS * 24];
    int length = snprintf(head, sizeof head, "\x93NUMPY\x01%c..{'descr': '%c%s', 'fortran_order': False, 'shape': (", 0,
                          size == 1 ? '|' : '<', word);
    for (int d = 0; d < view.ndim; d++)
        length +=
            snprintf(head + length, sizeof head - (size_t)length, "%s%lld", d > 0 ? ", " : "", (long long)view.size[d]);
    length += snprintf(head + length, sizeof head - (size_t)length, "%s), }", view.ndim == 1 ? "," : "");
    if (view.ndim > 0) /* NumPy leaves room for a first size of GROWTH digits, to be written over in place */
        length += snprintf(head + length, sizeof head - (size_t)length, "%*s",
                           GROWTH - snprintf(NULL, 0, "%lld", (long long)view.size[0]), "");
    do
        head[length++] = ' ';
    while ((length + 1) % ALIGNMENT != 0);
    head[length++] = '\n';
    head[MAGIC + 2] = (char)((length - MAGIC - 4) & 0xff);
    head[MAGIC + 3] = (char)((length - MAGIC - 4) >> 8);

    fa_atomic_file file;
    if (!fa_atomic_open(&file, path, what, where))
        return false;
    if (fa_atomic_write(&file, head, (size_t)length) && fa_write_elements(&view, fa_write_to_file, &file, where))
        return fa_atomic_commit(&file);
    fa_atomic_abandon(&file);
    return false;
}
