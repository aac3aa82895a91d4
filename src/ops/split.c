/* Tensors cut into parts: narrow, chunk, split, unbind. All are slices, views of what is cut. */
#include "ops/views.h"

/* One slice as a view; ints are checked. */
static fa_tensor *cut(fa_tensor *x, fa_node *node, int dim, int64_t start, int64_t length, fa_slice_kind kind)
{
    const fa_slice_ints ints = {.dim = dim, .start = start, .step = 1, .length = length, .kind = kind};
    return fa_handle_view(fa_record(FA_OP_slice, 1, &node, FA_INTS(ints), NULL, 0), x);
}

/* The dimension to cut along; -1 after an error. */
static int cut_dim(const fa_node *node, int dim, const char *what)
{
    if (!node)
        return -1;
    if (node->meta.ndim > 0)
        return fa_wrap_dim(dim, node->meta.ndim, what);
    fa_refuse(FA_INDEX_ERROR, what, "got a single number, needs a tensor of at least 1 dimension. Hint: fa_unsqueeze");
    return -1;
}

static bool has_room(int64_t parts, int64_t capacity, const char *what)
{
    return parts <= capacity ||
           fa_refuse(FA_VALUE_ERROR, what,
                     "got room for %lld tensors, needs %lld. Hint: declare the array with as many entries",
                     (long long)capacity, (long long)parts);
}

fa_tensor *fa_narrow_at(fa_tensor *x, int dim, int64_t start, int64_t length, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "narrow", "x");
    const int at = cut_dim(node, dim, "narrow");
    if (at < 0)
        return NULL;
    const int64_t size = node->meta.shape[at], first = start < 0 ? start + size : start;
    if (first < 0 || first > size || length < 0 || length > size - first) {
        fa_refuse(FA_INDEX_ERROR, "narrow",
                  "got start %lld and length %lld, needs both within the %lld entries of dimension %d of %s. Hint: "
                  "fa_slice cuts bounds that are too large",
                  (long long)start, (long long)length, (long long)size, at, fa_shape_text(&node->meta));
        return NULL;
    }
    return cut(x, node, at, first, length, FA_SLICE);
}

static int64_t split_evenly(fa_tensor *x, fa_node *node, int at, int64_t size, int64_t count, fa_tensor **parts)
{
    for (int64_t i = 0; i < count; i++) {
        const int64_t left = node->meta.shape[at] - i * size;
        if (!(parts[i] = cut(x, node, at, i * size, left < size ? left : size, FA_SLICE_SPLIT)))
            return 0;
    }
    return count;
}

/* How many parts of `size` there are in `whole`; one of nothing. */
static int64_t count_parts(int64_t whole, int64_t size)
{
    return whole == 0 ? 1 : (whole - 1) / size + 1;
}

int64_t fa_split_at(fa_tensor *x, int64_t size, int dim, fa_tensor **parts, int64_t capacity, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "split", "x");
    const int at = cut_dim(node, dim, "split");
    if (at < 0)
        return 0;
    const int64_t whole = node->meta.shape[at];
    if (size < 0 || (size == 0 && whole > 0)) {
        fa_refuse(FA_VALUE_ERROR, "split",
                  "got parts of %lld, needs 1 or more. Hint: fa_chunk takes the number of parts", (long long)size);
        return 0;
    }
    const int64_t count = count_parts(whole, size);
    return has_room(count, capacity, "split") ? split_evenly(x, node, at, size, count, parts) : 0;
}

int64_t fa_chunk_at(fa_tensor *x, int64_t chunks, int dim, fa_tensor **parts, int64_t capacity, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "chunk", "x");
    const int at = cut_dim(node, dim, "chunk");
    if (at < 0)
        return 0;
    if (chunks < 1) {
        fa_refuse(FA_VALUE_ERROR, "chunk", "got %lld chunks, needs 1 or more. Hint: fa_split takes the size of a part",
                  (long long)chunks);
        return 0;
    }
    const int64_t whole = node->meta.shape[at], size = whole == 0 ? 0 : (whole - 1) / chunks + 1;
    const int64_t count = whole == 0 ? chunks : count_parts(whole, size);
    return has_room(count, capacity, "chunk") ? split_evenly(x, node, at, size, count, parts) : 0;
}

int64_t fa_split_sizes_at(fa_tensor *x, int64_t count, const int64_t *sizes, int dim, fa_tensor **parts,
                          int64_t capacity, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "split", "x");
    const int at = cut_dim(node, dim, "split");
    if (at < 0 || !has_room(count, capacity, "split"))
        return 0;
    const int64_t whole = node->meta.shape[at];
    int64_t left = whole;
    for (int64_t i = 0; i < count && left >= 0; i++)
        left = sizes[i] < 0 || sizes[i] > left ? -1 : left - sizes[i];
    if (left != 0) {
        fa_refuse(
            FA_VALUE_ERROR, "split",
            "got %lld sizes that do not add up, needs sizes of 0 or more whose sum is %lld, the entries of dimension "
            "%d of %s. Hint: fa_narrow takes a single part",
            (long long)count, (long long)whole, at, fa_shape_text(&node->meta));
        return 0;
    }
    for (int64_t i = 0, start = 0; i < count; start += sizes[i], i++)
        if (!(parts[i] = cut(x, node, at, start, sizes[i], FA_SLICE_SPLIT_SIZES)))
            return 0;
    return count;
}

int64_t fa_unbind_at(fa_tensor *x, int dim, fa_tensor **parts, int64_t capacity, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(x, "unbind", "x");
    const int at = cut_dim(node, dim, "unbind");
    if (at < 0)
        return 0;
    const int64_t count = node->meta.shape[at];
    int64_t shape[FA_MAX_DIMS];
    int ndim = 0;
    for (int d = 0; d < node->meta.ndim; d++)
        if (d != at)
            shape[ndim++] = node->meta.shape[d];
    if (!has_room(count, capacity, "unbind"))
        return 0;
    for (int64_t i = 0; i < count; i++) {
        fa_tensor *one = cut(x, node, at, i, 1, FA_SLICE);
        fa_node *part = one ? fa_use(one, "unbind", "x") : NULL;
        parts[i] = one ? fa_handle_view(fa_record_reshape(part, ndim, shape, FA_VIEW_UNBIND), one) : NULL;
        if (!parts[i])
            return 0;
    }
    return count;
}
