/* The file that torch.save writes. */
#ifndef FA_FILES_PTH_WRITER_H
#define FA_FILES_PTH_WRITER_H

#include "files/value.h"

/* False after an error; the earlier file is then as it was. */
bool fa_pth_write(fa_value *value, const char *path, const char *what, fa_where where);

#endif
