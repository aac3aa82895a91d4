/* One pass over a data set: what each item is, in 40 bytes. */
#ifndef FA_TRAIN_CHECK_DATA_H
#define FA_TRAIN_CHECK_DATA_H

#include "data/loader_body.h"
#include "vision/picture.h"

#include <stdint.h>

enum { FA_SURVEY_CHANNELS = 16, FA_SURVEY_NAMES = 1000, FA_NAME_BYTES = 1024 };

typedef struct fa_surveyed {
    uint64_t hash[2]; /* of form and pixels */
    int64_t label;    /* INT64_MIN: none */
    int32_t height, width;
    uint16_t traits; /* 1 << fa_picture_trait */
    uint8_t channels;
    bool picture : 1; /* read from a picture file */
    bool failed : 1;  /* could not be read */
} fa_surveyed;

typedef struct fa_survey {
    const char *name; /* "train" */
    fa_dataset_body *data;
    int64_t n, failed;
    fa_names classes;
    fa_surveyed *item;                                          /* [n] */
    int64_t channels;                                           /* of the first item that could be read; 0: none */
    bool bytes;                                                 /* images are uint8 */
    double count;                                               /* pixels that the sums are of */
    double sum[FA_SURVEY_CHANNELS], square[FA_SURVEY_CHANNELS]; /* of items with `channels` */
    char **error;                                               /* of the first FA_SURVEY_NAMES items that failed */
    int64_t *error_item;
    int64_t errors;
    char misfit[256]; /* what items are, if they are no images with labels */
} fa_survey;

/* Of the loader's data set. False after an error; end it with fa_survey_end in either case. */
bool fa_survey_run(fa_survey *s, const char *name, const fa_loader_body *loader,
                   void (*progress)(void *user, int64_t done), void *user, fa_where where);
void fa_survey_end(fa_survey *s);
/* What an item is called: its file, or "item 7". */
void fa_survey_name(const fa_survey *s, int64_t index, char text[FA_NAME_BYTES]);

#endif
