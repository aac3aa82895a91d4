/* A list of pictures and their labels in a text: path,label a line. */
#ifndef FA_VISION_CSV_LIST_H
#define FA_VISION_CSV_LIST_H

#include "data/dataset.h"

typedef struct fa_csv_list {
    char *text; /* the file's bytes; fields end with a 0 in it */
    struct fa_csv_row {
        size_t path, label; /* where they begin in the text */
        int64_t line;       /* from 1 */
    } * row;
    int64_t count, capacity;
    bool header; /* the first line was one, and is no row */
} fa_csv_list;

typedef struct fa_csv_rules {
    int header; /* 1: there is one; 0: there is none; -1: told by the content */
    const char *path_column,
        *label_column; /* their names in the header; NULL: the usual ones, or the first and second */
    /* Whether a path is that of a file: a first line that names none, where the second does, is a header. */
    bool (*is_file)(void *user, const char *path);
    void *user;
    const char *path; /* of the list, for messages */
    const char *what;
    fa_where where;
} fa_csv_rules;

/* Takes the text over (fa_malloc'ed, a 0 byte behind its `size` bytes), after an error too. False after an error. */
bool fa_csv_list_read(fa_csv_list *list, char *text, size_t size, const fa_csv_rules *rules);
void fa_csv_list_end(fa_csv_list *list);

#endif
