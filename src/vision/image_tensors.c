/* Images in arrays, with transforms: tensors of any origin, and .npy files, which are read where they lie on the disk.
 */
#include "facula/files.h"
#include "vision/memory_images.h"

#include <string.h>

enum { MOST_CLASSES = 1000000 };
static const char *const call = "fa_image_tensors";

/* Which array a message is about, and its file where there is one. */
typedef struct origin {
    const char *noun, *path;
    fa_where where;
} origin;

static bool refuse(const origin *o, fa_error_kind kind, const fa_meta *meta, const char *needs)
{
    return fa_fail(kind, o->where, call, "got %s%s%s%s of %s %s, needs %s.", o->noun, o->path != NULL ? " (" : "",
                   o->path != NULL ? o->path : "", o->path != NULL ? ")" : "", fa_dtype_name(meta->dtype),
                   fa_shape_text(meta), needs);
}

/* The values of a tensor: its own memory where that stays, else a copy. NULL after an error. */
static fa_buffer *values_of(fa_tensor *tensor, const char *noun, fa_meta *meta, fa_where where)
{
    fa_node *node = fa_use(tensor, call, noun);
    if (node == NULL || !fa_evaluate(node))
        return NULL;
    *meta = node->meta;
    const void *values = fa_node_bytes(node);
    fa_leaf *leaf = fa_handle_leaf(tensor);
    if (values == NULL)
        return NULL;
    if (leaf != NULL && leaf->buffer->data == values && (!leaf->buffer->borrowed || leaf->buffer->end != NULL))
        return fa_buffer_retain(leaf->buffer);
    size_t bytes = (size_t)(fa_meta_numel(meta) * fa_dtype_size(meta->dtype));
    fa_buffer *copy = fa_buffer_new(bytes);
    if (copy == NULL)
        fa_fail_memory(where, bytes);
    else
        memcpy(copy->data, values, bytes);
    return copy;
}

/* ---- Images ------------------------------------------------------------------------------------------------------ */

static bool is_channels(int64_t size)
{
    return size == 1 || size == 3 || size == 4;
}

/* The form of one image, and whether the bytes lie plane after plane. */
static bool form_of(const fa_meta *meta, int channels_first, const origin *o, fa_image_form *form, bool *planes)
{
    const int64_t *s = meta->shape;
    bool floats = meta->dtype == FA_DT_FLOAT32;
    if ((meta->dtype != FA_DT_UINT8 && !floats) || (meta->ndim != 3 && meta->ndim != 4) || fa_meta_numel(meta) == 0)
        return refuse(o, FA_SHAPE_ERROR, meta,
                      "uint8 [N, H, W], [N, H, W, C] or [N, C, H, W], or float32 [N, C, H, W] or [N, H, W]");
    if (meta->ndim == 3) {
        *form = (fa_image_form){floats, 1, s[1], s[2], false};
        *planes = false;
        return true;
    }
    bool first = floats || (channels_first >= 0 ? channels_first != 0 : !is_channels(s[3]));
    if (!is_channels(first ? s[1] : s[3]) && channels_first < 0)
        return refuse(o, FA_SHAPE_ERROR, meta,
                      floats ? "1, 3 or 4 channels in dimension 1" : "1, 3 or 4 channels in dimension 1 or 3");
    *form = first ? (fa_image_form){floats, s[1], s[2], s[3], false} : (fa_image_form){floats, s[3], s[1], s[2], false};
    *planes = first && !floats && form->channels > 1;
    return true;
}

/* Bytes [N, C, H, W] as [N, H, W, C]. */
static bool interleave(fa_memory_images *images, fa_where where)
{
    const fa_image_form *form = &images->form;
    const int64_t channels = form->channels, area = form->height * form->width;
    fa_buffer *made = fa_buffer_new((size_t)(images->n * channels * area));
    if (made == NULL)
        return fa_fail_memory(where, (size_t)(images->n * channels * area));
    const uint8_t *from = images->pixels->data;
    uint8_t *to = made->data;
    for (int64_t k = 0; k < images->n; k++, from += channels * area, to += channels * area)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t i = 0; i < area; i++)
                to[i * channels + c] = from[c * area + i];
    fa_buffer_release(images->pixels);
    images->pixels = made;
    return true;
}

static bool take_images(fa_memory_images *images, fa_tensor *tensor, int channels_first, const origin *o)
{
    fa_meta meta;
    bool planes = false;
    images->pixels = values_of(tensor, o->noun, &meta, o->where);
    if (images->pixels == NULL || !form_of(&meta, channels_first, o, &images->form, &planes))
        return false;
    images->n = meta.shape[0];
    return !planes || interleave(images, o->where);
}

/* ---- Labels ------------------------------------------------------------------------------------------------------ */

static int64_t label_at(const void *values, int dtype, int64_t i)
{
    return dtype == FA_DT_INT64   ? ((const int64_t *)values)[i]
           : dtype == FA_DT_INT32 ? ((const int32_t *)values)[i]
                                  : ((const uint8_t *)values)[i];
}

static bool widen(fa_memory_images *images, const fa_buffer *values, int dtype, fa_where where)
{
    images->labels = fa_buffer_new((size_t)images->n * sizeof(int64_t));
    if (images->labels == NULL)
        return fa_fail_memory(where, (size_t)images->n * sizeof(int64_t));
    for (int64_t i = 0; i < images->n; i++)
        ((int64_t *)images->labels->data)[i] = label_at(values->data, dtype, i);
    return true;
}

/* All labels are classes, which are numbered where they have no names. */
static bool name_classes(fa_memory_images *images, fa_names given, const origin *o)
{
    int64_t most = given.count > 0 ? given.count : MOST_CLASSES, count = given.count;
    const int64_t *label = images->labels->data;
    for (int64_t i = 0; i < images->n; i++) {
        if (label[i] < 0 || label[i] >= most)
            return fa_fail(FA_VALUE_ERROR, o->where, call, "label %lld of sample %lld is outside 0..%lld%s%s.",
                           (long long)label[i], (long long)i, (long long)most - 1, o->path != NULL ? " in " : "",
                           o->path != NULL ? o->path : "");
        count = label[i] >= count ? label[i] + 1 : count;
    }
    bool fine = given.count > 0 ? fa_class_list_copy(&images->owned, given, o->where)
                                : fa_class_list_numbers(&images->owned, count, o->where);
    images->classes = fa_class_list_names(&images->owned);
    return fine;
}

static bool take_labels(fa_memory_images *images, fa_tensor *tensor, fa_names classes, const origin *o)
{
    fa_meta meta;
    fa_buffer *values = values_of(tensor, o->noun, &meta, o->where);
    if (values == NULL)
        return false;
    bool known = meta.dtype == FA_DT_INT64 || meta.dtype == FA_DT_INT32 || meta.dtype == FA_DT_UINT8;
    bool fine = false;
    if (!known || meta.ndim != 1)
        refuse(o, FA_SHAPE_ERROR, &meta, "a class number for each image: int64, int32 or uint8 [N]");
    else if (meta.shape[0] != images->n)
        fa_fail(FA_SHAPE_ERROR, o->where, call, "got %lld images but %lld labels, needs one label an image.",
                (long long)images->n, (long long)meta.shape[0]);
    else if (meta.dtype == FA_DT_INT64)
        fine = (images->labels = fa_buffer_retain(values)) != NULL;
    else
        fine = widen(images, values, meta.dtype, o->where);
    fa_buffer_release(values);
    return fine && name_classes(images, classes, o);
}

/* ---- Making one -------------------------------------------------------------------------------------------------- */

static fa_dataset *make(fa_tensor *images, fa_tensor *labels, const fa_image_tensors_args *args,
                        const char *const path[2])
{
    const origin of_images = {"images", path[0], args->where_}, of_labels = {"labels", path[1], args->where_};
    fa_memory_images made = {.n = 0};
    fa_begin(args->where_);
    if (!fa_data_args_check("", args->transform, call, args->where_) ||
        !take_images(&made, images, args->channels_first, &of_images) ||
        !take_labels(&made, labels, args->classes, &of_labels)) {
        fa_memory_images_end(&made);
        return NULL;
    }
    fa_target_rule target = {args->target_transform, args->target_user};
    return fa_memory_images_make(&made, args->transform, &target, call, args->where_);
}

fa_dataset *fa_image_tensors_at(const fa_image_tensors_args *args)
{
    static const char *const none[2] = {NULL, NULL};
    return make(args->images, args->labels, args, none);
}

fa_dataset *fa_npy_images_at(const fa_npy_images_args *args)
{
    const char *const path[2] = {args->images, args->labels};
    const fa_image_tensors_args rest = {.where_ = args->where_,
                                        .transform = args->transform,
                                        .target_transform = args->target_transform,
                                        .target_user = args->target_user,
                                        .channels_first = args->channels_first,
                                        .classes = args->classes};
    fa_dataset *data = NULL;
    if (!fa_data_args_check(args->images, args->transform, "fa_npy_images", args->where_) ||
        !fa_data_args_check(args->labels, NULL, "fa_npy_images", args->where_))
        return NULL;
    fa_scope {
        fa_tensor *loaded[2] = {NULL, NULL};
        for (int i = 0; i < 2; i++) {
            const fa_load_args load = {.path = path[i], .where_ = args->where_, .mmap = true};
            fa_value *value = fa_load_at(&load);
            if (value != NULL && fa_kind_of(value) != FA_VALUE_TENSOR)
                fa_fail(FA_FILE_ERROR, args->where_, "fa_npy_images",
                        "got %s, which holds no array, needs a .npy file.", path[i]);
            else if (value != NULL)
                loaded[i] = fa_as_tensor_at(value, args->where_);
        }
        if (loaded[0] != NULL && loaded[1] != NULL)
            data = make(loaded[0], loaded[1], &rest, path);
    }
    return data;
}
