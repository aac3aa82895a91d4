/* Files that are none of what is read here: what they seem to be, for messages. */
#ifndef FA_FILES_FOREIGN_H
#define FA_FILES_FOREIGN_H

#include "files/formats.h"

enum { FA_FOREIGN_HEAD = 512 };

/* Raises the error that says what the file seems to be by its first bytes; returns NULL. */
fa_value *fa_refuse_foreign(const fa_open_file *file, const uint8_t *head, size_t count);
/* The same for a zip archive of another program, by one of its entries; returns false. */
bool fa_refuse_foreign_zip(const fa_open_file *file, const char *entry, size_t length);

#endif
