/* Fetching a known file: over its mirrors in turn, resumed where an earlier try stopped, checked, and named only when
 * it is whole. */
#ifndef FA_FILES_DOWNLOAD_H
#define FA_FILES_DOWNLOAD_H

#include "base/error.h"

typedef struct fa_download {
    const char *name;           /* "train-images-idx3-ubyte.gz" */
    const char *md5;            /* 32 digits */
    const char *const *mirrors; /* what stands before the name; NULL at the end */
    const char *folder;         /* where it goes; made if need be */
    const char *what;
    fa_where where;
} fa_download;

/* Fetches the file unless it is there with this sum. What is not whole yet lies in NAME.part. FACULA_MIRROR in the
 * environment takes the place of the mirrors. False after an error, which tells what each mirror said. */
bool fa_download_file(const fa_download *file);

#endif
