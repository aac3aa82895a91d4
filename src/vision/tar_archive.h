/* Known files out of a .tar.gz. */
#ifndef FA_VISION_TAR_ARCHIVE_H
#define FA_VISION_TAR_ARCHIVE_H

#include "base/error.h"

/* Writes those members of an archive (ustar in gzip) whose names are "FOLDER/NAME" for one of the names (NULL at the
 * end) to TO/FOLDER/NAME, each whole or not at all; everything else in it is passed over. False after an error, also
 * when one of them is not in it. */
bool fa_unpack_tar(const char *archive, const char *folder, const char *const *names, const char *to, const char *what,
                   fa_where where);

#endif
