/* Looking at a data set, and at the network that is to be trained on it, before the training.
 *
 *     fa_value *report = fa_check("data/animals", .model = model, .batch_size = 32);
 *     if (fa_get_int(report, "stops") > 0)
 *         ...
 *
 * Every picture is decoded, on all threads; what is kept of one is 32 bytes. */
#ifndef FACULA_CHECK_H
#define FACULA_CHECK_H

#include "facula/files.h"
#include "facula/vision.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct fa_check_args {
    char begin_;
    const char *data; /* the folder or file of a data set, as fa_check_splits tells them */
    struct fa_keyword_only *kw_;
    fa_where where_;
    struct fa_module *model; /* the network to be trained; put into evaluation; NULL: the data alone */
    fa_transform *transform; /* what every image goes through; NULL: none */
    int64_t batch_size;      /* default: 32 */
    const char *mode;        /* how files are read, "RGB" or "L"; NULL: as the network takes them, else in colour */
    /* Told now and then, on the calling thread, how many of the pictures have been looked at. */
    void (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} fa_check_args;
