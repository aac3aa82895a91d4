/* What is behind a predictor. predictor.c makes one from a file, predict.c answers with it. */
#ifndef FA_TRAIN_PREDICTOR_H
#define FA_TRAIN_PREDICTOR_H

#include "facula/predict.h"
#include "nn/module.h"
#include "vision/picture.h"
#include "vision/transform.h"

struct fa_predictor {
    char *path;              /* of the file that was read */
    fa_module *model;        /* retained */
    fa_transform *transform; /* held */
    char *transform_text;
    char **class_names; /* [classes] */
    int64_t classes;
    fa_picture_rules rules;
    bool ends_in_softmax; /* the network's own numbers are probabilities */
    bool float64;         /* its weights, and so its input */
    int64_t size[2];      /* height and width that the transforms make of any picture; 0: they depend on it */
};

/* Whether the network takes float32 (or float64) input of this shape, and what it makes of it. Shapes alone are worked
 * out. False leaves no error behind; `why` (of `room` bytes, may be NULL) gets the message. */
bool fa_network_takes(fa_module *model, bool float64, fa_shape input, fa_shape *output, char *why, size_t room);
/* The side of the least square image of so many channels that the network takes, among those of data sets first; 0 if
 * there is none up to 512. */
int64_t fa_network_side(fa_module *model, bool float64, int64_t channels);
/* Channels that the first layer with weights takes; 0: it cannot be told. */
int64_t fa_network_channels(fa_module *model, bool float64);
bool fa_network_is_float64(fa_module *model);
/* An error's text without "file:line: ". */
const char *fa_message_text(const fa_error_record *record);

#endif
