/* Pictures as tensors, and as fields of a data set's items. */
#include "facula/vision.h"
#include "vision/picture.h"

#include "base/memory.h"
#include "data/dataset.h"

#include <stdio.h>
#include <string.h>

static fa_tensor *tensor_of(const fa_picture *picture)
{
    fa_meta meta = fa_meta_of(FA_DT_UINT8, 3, (int64_t[]){picture->height, picture->width, picture->channels});
    fa_leaf *leaf = fa_leaf_new(&meta);
    if (leaf == NULL)
        return NULL;
    memcpy(leaf->buffer->data, picture->pixels, (size_t)(picture->height * picture->width * picture->channels));
    fa_tensor *tensor = fa_handle(fa_leaf_node(leaf));
    fa_leaf_release(leaf);
    return tensor;
}

fa_tensor *fa_read_picture_at(const fa_read_picture_args *args)
{
    static const char *const call = "fa_read_picture";
    fa_begin(args->where_);
    fa_picture_options options = {args->mode, args->background, args->exif, args->max_pixels};
    fa_picture_rules rules;
    fa_picture picture;
    if (!fa_ok())
        return NULL;
    if (args->path == NULL) {
        fa_fail(FA_VALUE_ERROR, args->where_, call, "got no path (NULL), needs a file's name.");
        return NULL;
    }
    if (!fa_picture_rules_parse(&options, call, args->where_, &rules) ||
        !fa_picture_read(args->path, &rules, call, args->where_, &picture))
        return NULL;
    return tensor_of(&picture);
}

fa_tensor *fa_decode_picture_at(const fa_decode_picture_args *args)
{
    static const char *const call = "fa_decode_picture";
    fa_begin(args->where_);
    fa_picture_options options = {args->mode, args->background, args->exif, args->max_pixels};
    fa_picture_rules rules;
    fa_picture picture;
    if (!fa_ok())
        return NULL;
    if (args->bytes == NULL && args->size > 0) {
        fa_fail(FA_VALUE_ERROR, args->where_, call, "got no bytes (NULL), needs a file's content.");
        return NULL;
    }
    if (!fa_picture_rules_parse(&options, call, args->where_, &rules) ||
        !fa_picture_decode(args->bytes, args->size, args->name != NULL ? args->name : "the picture", &rules, call,
                           args->where_, &picture))
        return NULL;
    return tensor_of(&picture);
}

/* Adds the picture's name to the error that its transform raised. */
static bool name_it(const char *name)
{
    fa_error_record record;
    fa_error_take(&record);
    if (record.kind == FA_NO_ERROR)
        return false;
    size_t end = strlen(record.message), room = sizeof record.message - end;
    snprintf(record.message + end, room, " (%s)", name);
    fa_error_put(&record);
    return false;
}

static bool put(fa_sample *sample, const fa_picture *picture, const char *name, fa_transform *transform, fa_where where)
{
    return fa_sample_image_at(sample, picture->pixels, picture->height, picture->width, picture->channels, transform,
                              where) ||
           name_it(name);
}

bool fa_sample_picture_of(fa_sample *sample, const char *path, const fa_picture_rules *rules, fa_transform *transform,
                          const char *what, fa_where where)
{
    fa_picture picture;
    return fa_picture_read(path, rules, what, where, &picture) && put(sample, &picture, path, transform, where);
}

bool fa_sample_picture_at(const fa_sample_picture_args *args)
{
    static const char *const call = "fa_sample_picture";
    fa_picture_options options = {args->mode, args->background, args->exif, args->max_pixels};
    fa_picture_rules rules;
    fa_picture picture;
    if (args->sample == NULL || (args->path == NULL && args->bytes == NULL))
        return fa_fail(FA_VALUE_ERROR, args->where_, call, "got no %s (NULL), needs one.",
                       args->sample == NULL ? "sample" : "path and no bytes");
    if (!fa_picture_rules_parse(&options, call, args->where_, &rules))
        return false;
    if (args->bytes == NULL)
        return fa_sample_picture_of(args->sample, args->path, &rules, args->transform, call, args->where_);
    const char *name = args->path != NULL ? args->path : "the picture";
    return fa_picture_decode(args->bytes, args->size, name, &rules, call, args->where_, &picture) &&
           put(args->sample, &picture, name, args->transform, args->where_);
}
