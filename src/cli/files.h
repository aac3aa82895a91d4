/* Pictures named on a command line, files and folders. */
#ifndef FACULA_CLI_FILES_H
#define FACULA_CLI_FILES_H

#include "cli.h"

typedef struct file_list {
    char **path;
    size_t count, capacity;
} file_list;

/* Whether a file is called as pictures are. */
bool is_picture_name(const char *name);
/* Adds a file, whatever its name; of a folder all pictures below it by their endings, sorted by name. False, with a
 * message on stderr, if there is none, a folder cannot be read, or links go in a circle. */
bool list_pictures(file_list *list, const char *path);
void file_list_free(file_list *list);

#endif
