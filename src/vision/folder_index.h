/* The files of a folder with one sub-folder a class, in torchvision's order, packed: all names lie in one block, and a
 * file is two numbers. */
#ifndef FA_VISION_FOLDER_INDEX_H
#define FA_VISION_FOLDER_INDEX_H

#include "base/error.h"
#include "data/dataset.h"

enum { FA_PATH_BYTES = 4096 };

typedef struct fa_folder_index {
    char *root;
    char *names; /* "0.jpg\01.jpg\0...", those of a folder together */
    size_t names_bytes, names_capacity;
    struct fa_indexed_file {
        uint32_t folder, name; /* its name begins at folder[folder].names + name */
    } * file;
    int64_t count, capacity;
    struct fa_indexed_folder {
        char *path; /* below the root: "cat/left" */
        size_t names;
        int64_t class;
    } * folder;
    int64_t folder_count, folder_capacity;
    fa_class_list class;
    int64_t *files_of_class; /* [class.count] */
    int64_t skipped;         /* files with other endings */
    char *first_skipped;     /* below the root; NULL: none */
} fa_folder_index;

typedef struct fa_folder_rules {
    fa_names extensions;                     /* lower case: ".jpg"; count 0: torchvision's */
    bool (*is_valid_file)(const char *path); /* instead of the extensions */
    fa_names classes;                        /* these in this order; count 0: the sub-folders there are, sorted */
    bool allow_empty;
    const char *what;
    fa_where where;
} fa_folder_rules;

/* Reads the folders. False after an error; end it with fa_folder_index_end in either case. */
bool fa_folder_index_read(fa_folder_index *index, const char *root, const fa_folder_rules *rules);
void fa_folder_index_end(fa_folder_index *index);
/* "root/cat/left/0.jpg"; false when it is longer than FA_PATH_BYTES - 1, which fa_folder_index_read has refused. */
bool fa_folder_index_path(const fa_folder_index *index, int64_t file, char path[FA_PATH_BYTES]);
/* Python's order of strings that os.listdir gives: by code points; bytes that are no UTF-8 count as U+DC80 ... U+DCFF.
 */
int fa_python_order(const char *a, const char *b);

#endif
