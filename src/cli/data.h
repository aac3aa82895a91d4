/* What lies at a path, told by its content: the data that `facula train` and its like are given. */
#ifndef FACULA_CLI_DATA_H
#define FACULA_CLI_DATA_H

#include "cli.h"

typedef enum data_part { PART_TRAIN, PART_VALIDATION, PART_TEST, DATA_PARTS } data_part;

enum { DATA_PATH_BYTES = 4096 };

struct data_source;
typedef fa_dataset *(*data_opener)(const struct data_source *d, data_part part, fa_transform *transform);

typedef struct data_source {
    const char *root;
    char what[160]; /* for people: "class folders in train/ and test/" */
    data_opener open;
    bool download;                            /* fetch what is missing */
    bool has[DATA_PARTS];                     /* PART_TRAIN always */
    bool files;                               /* items are picture files, which may have many sizes */
    char folder[DATA_PARTS][DATA_PATH_BYTES]; /* of pictures; or the file of a list or of images */
    fa_names classes;                         /* of PART_TRAIN, once it was opened: the other parts have these */
    fa_picture_options picture;               /* how picture files are read; set after data_find */
    bool allow_empty;                         /* class folders of PART_TRAIN may be empty; set after data_find */
} data_source;

/* Looks at a path. False after an error, which says what was looked for. */
bool data_find(data_source *d, const char *root);
/* Fetches a known data set into a folder. False after an error. */
bool data_download(const char *name, const char *root);
/* One part; PART_TRAIN first, to be kept as long as the others. NULL after an error. */
fa_dataset *data_open(data_source *d, data_part part, fa_transform *transform);

/* The first of the items 0 ... tries - 1 that can be read, in the current scope; no images, and the last one's error,
 * when there is none. */
fa_batch data_first_item(fa_dataset *data, int64_t tries);

/* Whether transforms, as torchvision prints them, give pictures a size. */
bool data_sets_size(const char *transforms);

/* The sizes of some pictures of the training part: up to SIZES_LOOKED_AT, spread over it. */
typedef struct picture_sizes {
    int64_t looked_at;
    int64_t least[2], most[2]; /* height, width */
    bool one;                  /* all are alike and square */
} picture_sizes;
/* False after an error: not one could be read. */
bool data_sizes(data_source *d, picture_sizes *sizes);
/* The side that pictures of these sizes are brought to when nothing else is said. */
int64_t data_side(const picture_sizes *sizes);

#endif
