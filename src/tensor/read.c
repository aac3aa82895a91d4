/* Reading and writing values from the user's side. */
#include "base/half.h"
#include "tensor/format.h"
#include "tensor/thread.h"

#include <string.h>

/* Shape and type can be asked of a handle whatever its value is. */
static const fa_meta *meta_of(const fa_tensor *tensor, const char *what, fa_node **node)
{
    *node = fa_use(tensor, what, "the tensor");
    return *node != NULL ? &(*node)->meta : NULL;
}

fa_shape fa_shape_of(const fa_tensor *tensor)
{
    fa_node *node;
    const fa_meta *meta = meta_of(tensor, "shape", &node);
    fa_shape shape = {0, {0}};
    if (meta == NULL)
        return shape;
    shape.ndim = meta->ndim;
    memcpy(shape.size, meta->shape, sizeof shape.size);
    return shape;
}

int fa_ndim(const fa_tensor *tensor)
{
    fa_node *node;
    const fa_meta *meta = meta_of(tensor, "ndim", &node);
    return meta != NULL ? meta->ndim : 0;
}

int64_t fa_size_at(const fa_tensor *tensor, int dim, fa_where where)
{
    fa_begin(where);
    fa_node *node;
    const fa_meta *meta = meta_of(tensor, "size", &node);
    if (meta == NULL)
        return 0;
    if (meta->ndim == 0) {
        fa_refuse(FA_INDEX_ERROR, "size", "got dimension %d of a single number, which has none.", dim);
        return 0;
    }
    dim = fa_wrap_dim(dim, meta->ndim, "size");
    return dim >= 0 ? meta->shape[dim] : 0;
}

int64_t fa_numel(const fa_tensor *tensor)
{
    fa_node *node;
    const fa_meta *meta = meta_of(tensor, "numel", &node);
    return meta != NULL ? fa_meta_numel(meta) : 0;
}

fa_dtype fa_dtype_of(const fa_tensor *tensor)
{
    fa_node *node;
    const fa_meta *meta = meta_of(tensor, "dtype", &node);
    return meta != NULL ? (fa_dtype)meta->dtype : FA_FLOAT32;
}

bool fa_is_contiguous(const fa_tensor *tensor)
{
    fa_node *node = fa_use(tensor, "is_contiguous", "the tensor");
    return node != NULL && !node->noncontiguous;
}

bool fa_requires_grad(const fa_tensor *tensor)
{
    fa_leaf *leaf = fa_ok() ? fa_handle_leaf(tensor) : NULL;
    if (leaf != NULL)
        return leaf->requires_grad;
    fa_node *node = fa_use(tensor, "requires_grad", "the tensor");
    return node != NULL && node->requires_grad;
}

bool fa_is_leaf(const fa_tensor *tensor)
{
    fa_node *node = fa_use(tensor, "is_leaf", "the tensor");
    return node != NULL && (node->op == FA_OP_leaf || !node->requires_grad);
}

/* ---- Values --------------------------------------------------------------------------------------------------------
 */

/* Row-major copy of channels-last bytes. */
static void nhwc_to_plain(void *out, const void *in, const fa_meta *meta)
{
    int64_t n = meta->shape[0], c = meta->shape[1], plane = meta->shape[2] * meta->shape[3];
    int64_t size = fa_dtype_size(meta->dtype);
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = 0; k < c; k++)
            for (int64_t p = 0; p < plane; p++)
                memcpy((char *)out + ((i * c + k) * plane + p) * size,
                       (const char *)in + ((i * plane + p) * c + k) * size, (size_t)size);
}

const void *fa_node_bytes(fa_node *node)
{
    if (node->op == FA_OP_leaf)
        return node->leaf->buffer->data;
    if (node->meta.layout == FA_PLAIN)
        return node->value->data;
    if (node->plain == NULL) {
        node->plain = fa_buffer_new(node->value->bytes);
        if (node->plain == NULL) {
            fa_fail_memory(fa_current_where(), node->value->bytes);
            return NULL;
        }
        nhwc_to_plain(node->plain->data, node->value->data, &node->meta);
    }
    return node->plain->data;
}

static const void *evaluated(fa_tensor *tensor, const char *what, fa_node **node)
{
    *node = fa_use(tensor, what, "the tensor");
    return *node != NULL && fa_evaluate(*node) ? fa_node_bytes(*node) : NULL;
}

double fa_item_at(fa_tensor *tensor, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(tensor, "item", "the tensor");
    if (node == NULL)
        return 0;
    if (fa_meta_numel(&node->meta) != 1) {
        fa_refuse(FA_SHAPE_ERROR, "item",
                  "got a tensor of shape %s, needs one of a single element. Hint: fa_data gives all "
                  "elements; fa_mean or fa_sum makes one number of them.",
                  fa_shape_text(&node->meta));
        return 0;
    }
    const void *data = evaluated(tensor, "item", &node);
    if (data == NULL)
        return 0;
    switch (node->meta.dtype) {
    case FA_DT_FLOAT32:
        return *(const float *)data;
    case FA_DT_FLOAT64:
        return *(const double *)data;
    case FA_DT_INT64:
        return (double)*(const int64_t *)data;
    case FA_DT_INT32:
        return *(const int32_t *)data;
    case FA_DT_BFLOAT16:
        return (double)fa_bfloat16_to_float(*(const uint16_t *)data);
    case FA_DT_FLOAT16:
        return (double)fa_float16_to_float(*(const uint16_t *)data);
    default:
        return *(const uint8_t *)data;
    }
}

const void *fa_data_at(fa_tensor *tensor, fa_where where)
{
    fa_begin(where);
    fa_node *node;
    const void *data = evaluated(tensor, "data", &node);
    if (data != NULL)
        node->watched = true; /* the address is the caller's until the scope ends */
    return data;
}

static fa_leaf *writable_leaf(fa_tensor *tensor, const char *what)
{
    fa_leaf *leaf = fa_handle_leaf(tensor);
    if (leaf == NULL && tensor != NULL && fa_ok())
        fa_refuse(FA_STATE_ERROR, what,
                  "got a computed tensor, needs a leaf (a parameter, a buffer, or a tensor made from "
                  "memory or numbers). Hint: fa_clone is computed too; make a tensor with fa_zeros or fa_from_memory.");
    return leaf;
}

void *fa_data_mut_at(fa_tensor *tensor, fa_where where)
{
    fa_begin(where);
    fa_leaf *leaf = writable_leaf(tensor, "data_mut");
    return leaf != NULL ? fa_leaf_data_mut(leaf, where) : NULL;
}

bool fa_copy_from_at(fa_tensor *tensor, const void *data, fa_where where)
{
    fa_begin(where);
    fa_leaf *leaf = writable_leaf(tensor, "copy_from");
    if (leaf != NULL && data == NULL && leaf->buffer->bytes > 0)
        return fa_refuse(FA_VALUE_ERROR, "copy_from",
                         "got NULL, needs the address of %s %s. Hint: fa_zero_ clears a tensor.",
                         fa_dtype_name(leaf->meta.dtype), fa_shape_text(&leaf->meta));
    void *memory = leaf != NULL ? fa_leaf_data_mut(leaf, where) : NULL;
    if (memory == NULL)
        return false;
    if (leaf->buffer->bytes > 0)
        memcpy(memory, data, leaf->buffer->bytes);
    return true;
}

fa_tensor *fa_watch_at(fa_tensor *tensor, fa_where where)
{
    fa_begin(where);
    fa_node *node = fa_use(tensor, "watch", "the tensor");
    if (node == NULL)
        return NULL;
    node->watched = true;
    return tensor;
}

/* ---- Text ----------------------------------------------------------------------------------------------------------
 */

static fa_format_suffix suffix_of(fa_tensor *tensor, const fa_node *node)
{
    fa_format_suffix suffix = {0};
    const fa_leaf *leaf = fa_handle_leaf(tensor);
    if (leaf != NULL) {
        suffix.requires_grad = leaf->requires_grad;
        suffix.parameter = leaf->parameter;
    } else if (node->requires_grad) {
        const fa_op_def *def = fa_op_table[node->op];
        suffix.grad_fn = def->grad_label != NULL ? def->grad_label(node) : def->grad_name;
    }
    return suffix;
}

int64_t fa_tensor_format(fa_tensor *tensor, char *text, size_t size)
{
    fa_node *node;
    const void *data = evaluated(tensor, "print", &node);
    if (data == NULL) {
        if (size > 0)
            text[0] = '\0';
        return 0;
    }
    fa_format_suffix suffix = suffix_of(tensor, node);
    fa_meta meta = node->meta;
    meta.layout = FA_PLAIN;
    return fa_format_tensor(text, size, &meta, data, &suffix);
}

void fa_tensor_print(fa_tensor *tensor, FILE *file)
{
    int64_t length = fa_tensor_format(tensor, NULL, 0);
    char *text = length > 0 ? fa_malloc((size_t)length + 1) : NULL;
    if (text == NULL)
        return;
    fa_tensor_format(tensor, text, (size_t)length + 1);
    fprintf(file, "%s\n", text);
    fa_mfree(text);
}

int64_t fa_shape_format(fa_shape shape, char *text, size_t size)
{
    char sizes[8 * 24] = "";
    size_t length = 0;
    for (int d = 0; d < shape.ndim && d < 8; d++)
        length += (size_t)snprintf(sizes + length, sizeof sizes - length, "%s%lld", d > 0 ? ", " : "",
                                   (long long)shape.size[d]);
    return snprintf(text, size, "torch.Size([%s])", sizes);
}

void fa_shape_print(fa_shape shape, FILE *file)
{
    char text[256];
    fa_shape_format(shape, text, sizeof text);
    fprintf(file, "%s\n", text);
}
