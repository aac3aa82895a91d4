/* What a network takes, found by recording it on inputs of a shape: nothing is computed. */
#include "train/predictor.h"

#include "base/error.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *fa_message_text(const fa_error_record *record)
{
    char prefix[512];
    int length = snprintf(prefix, sizeof prefix, "%s:%d: ", record->where.file, record->where.line);
    bool there = length > 0 && (size_t)length < sizeof prefix && strncmp(record->message, prefix, (size_t)length) == 0;
    return record->message + (there ? length : 0);
}

bool fa_network_is_float64(fa_module *model)
{
    const fa_tensor_list list = fa_parameters_at(model, FA_HERE);
    return list.count > 0 && fa_dtype_of(list.tensor[0]) == FA_FLOAT64;
}

bool fa_network_takes(fa_module *model, bool float64, fa_shape input, fa_shape *output, char *why, size_t room)
{
    fa_error_record before, record;
    fa_error_take(&before);
    fa_no_grad
        fa_scope {
            fa_tensor *x = fa_empty_with(input, .dtype = float64 ? FA_FLOAT64 : FA_FLOAT32);
            fa_tensor *y = x != NULL ? fa_forward_at(model, x, FA_HERE) : NULL;
            if (y != NULL && output != NULL)
                *output = fa_shape_of(y);
        }
    fa_error_take(&record);
    fa_error_put(&before);
    if (why != NULL)
        snprintf(why, room, "%s", fa_message_text(&record));
    return record.kind == FA_NO_ERROR;
}

int64_t fa_network_side(fa_module *model, bool float64, int64_t channels)
{
    enum { MOST = 512 };
    static const int64_t usual[] = {28, 32, 64, 96, 128, 224};
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (fa_network_takes(model, float64, FA_SHAPE(1, channels, usual[i], usual[i]), NULL, NULL, 0))
            return usual[i];
    for (int64_t side = 1; side <= MOST; side++)
        if (fa_network_takes(model, float64, FA_SHAPE(1, channels, side, side), NULL, NULL, 0))
            return side;
    return 0;
}

/* A first Linear takes all pixels of an image: 784 are 28 x 28 grey ones, 3072 are 32 x 32 in colour. */
static int64_t channels_of_linear(int64_t features)
{
    for (int64_t channels = 3; channels >= 1; channels -= 2) {
        int64_t side = (int64_t)sqrt((double)(features / channels));
        if (side * side * channels == features)
            return channels;
    }
    return 0;
}

int64_t fa_network_channels(fa_module *model, bool float64)
{
    enum { MOST = 16, SIDE = 64 };
    const fa_module_list all = fa_named_modules_at(model, FA_HERE);
    for (int64_t i = 0; i < all.count; i++) {
        fa_module *layer = all.module[i];
        if (fa_child_count(layer) > 0 || fa_parameters_at(layer, FA_HERE).count == 0)
            continue;
        if (strcmp(fa_class_name(layer), "Linear") == 0)
            return channels_of_linear(fa_shape_of(fa_find_at(layer, "weight", FA_HERE)).size[1]);
        static const int64_t tried[] = {3, 1};
        for (size_t k = 0; k < sizeof tried / sizeof *tried; k++)
            if (fa_network_takes(layer, float64, FA_SHAPE(1, tried[k], SIDE, SIDE), NULL, NULL, 0))
                return tried[k];
        for (int64_t channels = 2; channels <= MOST; channels++)
            if (fa_network_takes(layer, float64, FA_SHAPE(1, channels, SIDE, SIDE), NULL, NULL, 0))
                return channels;
        return 0;
    }
    return 0;
}
