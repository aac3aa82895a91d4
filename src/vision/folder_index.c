/* Reading a folder of class folders: classes sorted by name, in each all folders below sorted by path, in each its
 * files sorted by name; links are followed. That is the order of torchvision's ImageFolder. */
#include "vision/folder_index.h"

#include "base/memory.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const picture_extensions[] = {".jpg", ".jpeg", ".png",  ".ppm", ".bmp",
                                                 ".pgm", ".tif",  ".tiff", ".webp"};

/* ---- Python's order ---------------------------------------------------------------------------------------------- */

/* The code point at *text, which moves behind it; a byte that begins none counts as U+DC00 + byte. */
static uint32_t next_code(const uint8_t **text)
{
    const uint8_t *p = *text;
    int more = p[0] < 0x80                   ? 0
               : p[0] >= 0xc2 && p[0] < 0xe0 ? 1
               : (p[0] & 0xf0) == 0xe0       ? 2
               : (p[0] & 0xf8) == 0xf0       ? 3
                                             : -1;
    uint32_t code = more <= 0 ? p[0] : p[0] & (0x3fu >> more);
    bool fine = more >= 0;
    for (int i = 1; fine && i <= more; i++) {
        fine = (p[i] & 0xc0) == 0x80;
        code = code << 6 | (p[i] & 0x3f);
    }
    if (more == 2)
        fine = fine && code >= 0x800 && (code < 0xd800 || code > 0xdfff);
    if (more == 3)
        fine = fine && code >= 0x10000 && code <= 0x10ffff;
    *text = p + (fine ? more + 1 : 1);
    return fine ? code : 0xdc00u + p[0];
}

int fa_python_order(const char *a, const char *b)
{
    const uint8_t *p = (const uint8_t *)a, *q = (const uint8_t *)b;
    while (*p != 0 && *p == *q && *p < 0x80)
        p++, q++;
    for (;;) {
        if (*p == 0 || *q == 0)
            return (*p != 0) - (*q != 0);
        uint32_t x = next_code(&p), y = next_code(&q);
        if (x != y)
            return x < y ? -1 : 1;
    }
}

static int compare_names(const void *a, const void *b)
{
    return fa_python_order(*(char *const *)a, *(char *const *)b);
}

/* ---- Lists of names ---------------------------------------------------------------------------------------------- */

/* Names in one block; `at` are places in it, since it moves as it grows. */
typedef struct name_list {
    char *bytes;
    size_t size, capacity;
    char **name; /* made by sort_names */
    int64_t count;
} name_list;

static bool grow(void **array, size_t needed, size_t *capacity, size_t each, fa_where where)
{
    if (needed <= *capacity)
        return true;
    size_t more = *capacity + *capacity / 2 > needed ? *capacity + *capacity / 2 : needed, bytes;
    if (more < 64)
        more = 64;
    void *larger = fa_mul_size(more, each, &bytes) ? fa_realloc(*array, bytes) : NULL;
    if (larger == NULL)
        return fa_fail_memory(where, more * each);
    *array = larger;
    *capacity = more;
    return true;
}

static bool add_name(name_list *list, const char *name, fa_where where)
{
    size_t n = strlen(name) + 1, needed;
    if (!fa_add_size(list->size, n, &needed) || !grow((void **)&list->bytes, needed, &list->capacity, 1, where))
        return false;
    memcpy(list->bytes + list->size, name, n);
    list->size = needed;
    list->count++;
    return true;
}

static bool sort_names(name_list *list, fa_where where)
{
    if (list->count == 0)
        return true;
    list->name = fa_malloc((size_t)list->count * sizeof(char *));
    if (list->name == NULL)
        return fa_fail_memory(where, (size_t)list->count * sizeof(char *));
    char *at = list->bytes;
    for (int64_t i = 0; i < list->count; i++, at += strlen(at) + 1)
        list->name[i] = at;
    qsort(list->name, (size_t)list->count, sizeof(char *), compare_names);
    return true;
}

static void end_names(name_list *list)
{
    fa_mfree(list->bytes);
    fa_mfree(list->name);
    *list = (name_list){.bytes = NULL};
}

/* ---- Reading one folder ------------------------------------------------------------------------------------------ */

static bool cannot_read(const fa_folder_rules *rules, const char *path)
{
    return fa_fail(FA_FILE_ERROR, rules->where, rules->what, "could not read the folder %s: %s.", path,
                   strerror(errno));
}

/* Names of sub-folders and of files in a folder, sorted; links count as what they lead to, broken ones as files.
 * `status`: of the folder; may be NULL. */
static bool read_folder(const char *path, name_list *folders, name_list *files, struct stat *status,
                        const fa_folder_rules *rules)
{
    DIR *stream = opendir(path);
    if (stream == NULL)
        return cannot_read(rules, path);
    bool fine = status == NULL || fstat(dirfd(stream), status) == 0 || cannot_read(rules, path);
    while (fine) {
        errno = 0;
        const struct dirent *entry = readdir(stream);
        if (entry == NULL) {
            fine = errno == 0 || cannot_read(rules, path);
            break;
        }
        const char *name = entry->d_name;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        bool folder = entry->d_type == DT_DIR;
        struct stat target;
        if (entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN)
            folder = fstatat(dirfd(stream), name, &target, 0) == 0 && S_ISDIR(target.st_mode);
        fine = add_name(folder ? folders : files, name, rules->where);
    }
    closedir(stream);
    return fine && sort_names(folders, rules->where) && sort_names(files, rules->where);
}

/* "root/below" (or root, where `below` is empty) and "/name". */
static bool join(char path[FA_PATH_BYTES], const char *root, const char *below, const char *name,
                 const fa_folder_rules *rules)
{
    int length = snprintf(path, FA_PATH_BYTES, "%s%s%s%s%s", root, below[0] != 0 ? "/" : "", below,
                          name[0] != 0 ? "/" : "", name);
    return (length >= 0 && length < FA_PATH_BYTES) ||
           fa_fail(FA_FILE_ERROR, rules->where, rules->what, "got a path of %d bytes below %s, needs at most %d.",
                   length, root, FA_PATH_BYTES - 1);
}

/* ---- A class: all folders below it ------------------------------------------------------------------------------- */

typedef struct found {
    char *path; /* below the root */
    int64_t parent;
    dev_t device;
    ino_t node;
    name_list files;
} found;

typedef struct walk {
    found *folder;
    int64_t count;
    size_t capacity;
} walk;

static void end_walk(walk *w)
{
    for (int64_t i = 0; i < w->count; i++) {
        fa_mfree(w->folder[i].path);
        end_names(&w->folder[i].files);
    }
    fa_mfree(w->folder);
}

static bool add_found(walk *w, const char *path, int64_t parent, fa_where where)
{
    if (!grow((void **)&w->folder, (size_t)w->count + 1, &w->capacity, sizeof *w->folder, where))
        return false;
    char *copy = fa_strdup(path);
    if (copy == NULL)
        return fa_fail_memory(where, strlen(path) + 1);
    w->folder[w->count++] = (found){.path = copy, .parent = parent};
    return true;
}

/* A folder that is one of those it lies in, by a link. */
static bool check_loop(const walk *w, int64_t i, const struct stat *root, const fa_folder_index *index,
                       const fa_folder_rules *rules)
{
    const found *f = &w->folder[i];
    int64_t above = f->parent;
    while (above >= 0 && (w->folder[above].device != f->device || w->folder[above].node != f->node))
        above = w->folder[above].parent;
    if (above < 0 && (root->st_dev != f->device || root->st_ino != f->node))
        return true;
    return fa_fail(FA_FILE_ERROR, rules->where, rules->what,
                   "got a loop of links: %s/%s is the folder %s%s%s, in which it lies. Hint: remove the link.",
                   index->root, f->path, index->root, above >= 0 ? "/" : "", above >= 0 ? w->folder[above].path : "");
}

static bool is_picture(const char *path, const fa_folder_rules *rules)
{
    if (rules->is_valid_file != NULL)
        return rules->is_valid_file(path);
    fa_names endings = rules->extensions;
    if (endings.count == 0)
        endings = (fa_names){picture_extensions, sizeof picture_extensions / sizeof *picture_extensions};
    size_t length = strlen(path);
    for (int64_t i = 0; i < endings.count; i++) {
        size_t n = strlen(endings.name[i]), k = 0;
        if (n > length)
            continue;
        for (const char *end = path + length - n; k < n; k++) {
            char c = end[k] >= 'A' && end[k] <= 'Z' ? (char)(end[k] - 'A' + 'a') : end[k];
            if (c != endings.name[i][k])
                break;
        }
        if (k == n)
            return true;
    }
    return false;
}

static bool read_found(walk *w, int64_t i, const struct stat *root, const fa_folder_index *index,
                       const fa_folder_rules *rules)
{
    char path[FA_PATH_BYTES], below[FA_PATH_BYTES];
    name_list folders = {.bytes = NULL}, files = {.bytes = NULL};
    struct stat status;
    bool fine =
        join(path, index->root, w->folder[i].path, "", rules) && read_folder(path, &folders, &files, &status, rules);
    w->folder[i].files = files;
    if (fine) {
        w->folder[i].device = status.st_dev;
        w->folder[i].node = status.st_ino;
        fine = check_loop(w, i, root, index, rules);
    }
    for (int64_t k = 0; fine && k < folders.count; k++)
        fine = join(below, w->folder[i].path, "", folders.name[k], rules) && add_found(w, below, i, rules->where);
    end_names(&folders);
    return fine;
}

static int compare_found(const void *a, const void *b)
{
    return fa_python_order(((const found *)a)->path, ((const found *)b)->path);
}

/* ---- Into the index ---------------------------------------------------------------------------------------------- */

static bool add_folder(fa_folder_index *index, char *path, int64_t class, fa_where where)
{
    size_t capacity = (size_t)index->folder_capacity;
    if (index->folder_count >= UINT32_MAX)
        return fa_fail_memory(where, SIZE_MAX);
    if (!grow((void **)&index->folder, (size_t)index->folder_count + 1, &capacity, sizeof *index->folder, where))
        return false;
    index->folder_capacity = (int64_t)capacity;
    index->folder[index->folder_count++] = (struct fa_indexed_folder){path, index->names_bytes, class};
    return true;
}

static bool add_file(fa_folder_index *index, const char *name, fa_where where)
{
    size_t capacity = (size_t)index->capacity, n = strlen(name) + 1, needed;
    if (!grow((void **)&index->file, (size_t)index->count + 1, &capacity, sizeof *index->file, where))
        return false;
    index->capacity = (int64_t)capacity;
    size_t at = index->names_bytes - index->folder[index->folder_count - 1].names;
    if (at > UINT32_MAX || !fa_add_size(index->names_bytes, n, &needed))
        return fa_fail_memory(where, SIZE_MAX);
    if (!grow((void **)&index->names, needed, &index->names_capacity, 1, where))
        return false;
    memcpy(index->names + index->names_bytes, name, n);
    index->names_bytes = needed;
    index->file[index->count++] = (struct fa_indexed_file){(uint32_t)(index->folder_count - 1), (uint32_t)at};
    return true;
}

static bool skip_file(fa_folder_index *index, const char *folder, const char *name, const fa_folder_rules *rules)
{
    char path[FA_PATH_BYTES];
    if (index->skipped++ > 0)
        return true;
    if (!join(path, folder, "", name, rules))
        return false;
    index->first_skipped = fa_strdup(path);
    return index->first_skipped != NULL || fa_fail_memory(rules->where, strlen(path) + 1);
}

/* The folder's path is taken over. */
static bool index_found(fa_folder_index *index, found *f, int64_t class, const fa_folder_rules *rules)
{
    if (!add_folder(index, f->path, class, rules->where))
        return false;
    const char *folder = f->path;
    f->path = NULL;
    char path[FA_PATH_BYTES];
    for (int64_t i = 0; i < f->files.count; i++) {
        const char *name = f->files.name[i];
        if (!join(path, index->root, folder, name, rules))
            return false;
        if (!is_picture(path, rules)) {
            if (!skip_file(index, folder, name, rules))
                return false;
        } else if (!add_file(index, name, rules->where)) {
            return false;
        } else {
            index->files_of_class[class]++;
        }
    }
    return true;
}

static bool read_class(fa_folder_index *index, int64_t class, const struct stat *root, const fa_folder_rules *rules)
{
    walk w = {.folder = NULL};
    bool fine = add_found(&w, index->class.name[class], -1, rules->where);
    for (int64_t i = 0; fine && i < w.count; i++)
        fine = read_found(&w, i, root, index, rules);
    if (fine)
        qsort(w.folder, (size_t)w.count, sizeof *w.folder, compare_found);
    for (int64_t i = 0; fine && i < w.count; i++)
        fine = index_found(index, &w.folder[i], class, rules);
    end_walk(&w);
    return fine;
}

/* ---- Classes ----------------------------------------------------------------------------------------------------- */

static bool copy_classes(fa_folder_index *index, fa_names names, fa_where where)
{
    size_t bytes = (size_t)(names.count > 0 ? names.count : 1) * sizeof *index->files_of_class;
    index->files_of_class = fa_calloc(1, bytes);
    return index->files_of_class != NULL ? fa_class_list_copy(&index->class, names, where)
                                         : fa_fail_memory(where, bytes);
}

/* Every sub-folder must be one of the classes that are wanted. */
static bool check_classes(const fa_folder_index *index, const name_list *folders, const fa_folder_rules *rules)
{
    for (int64_t i = 0; i < folders->count; i++) {
        int64_t c = 0;
        while (c < rules->classes.count && strcmp(rules->classes.name[c], folders->name[i]) != 0)
            c++;
        if (c == rules->classes.count)
            return fa_fail(FA_FILE_ERROR, rules->where, rules->what,
                           "got the class folder %s/%s, which is none of the %lld classes wanted.", index->root,
                           folders->name[i], (long long)rules->classes.count);
    }
    return true;
}

static const char *endings_text(const fa_folder_rules *rules, char *text, size_t size)
{
    if (rules->is_valid_file != NULL)
        return "files that .is_valid_file takes";
    fa_names endings = rules->extensions;
    if (endings.count == 0)
        endings = (fa_names){picture_extensions, sizeof picture_extensions / sizeof *picture_extensions};
    size_t length = 0;
    text[0] = 0;
    for (int64_t i = 0; i < endings.count && length < size; i++) {
        int more = snprintf(text + length, size - length, "%s%s", i > 0 ? " " : "", endings.name[i]);
        length += more > 0 ? (size_t)more : 0;
    }
    return text;
}

static bool check_found(const fa_folder_index *index, int64_t pictures_in_root, const fa_folder_rules *rules)
{
    char endings[256], list[512] = "";
    endings_text(rules, endings, sizeof endings);
    if (index->class.count == 0 || (index->count == 0 && !rules->allow_empty)) {
        char lie_there[96] = "";
        if (pictures_in_root > 0)
            snprintf(lie_there, sizeof lie_there, " %lld pictures lie in the folder itself.",
                     (long long)pictures_in_root);
        return fa_fail(FA_FILE_ERROR, rules->where, rules->what,
                       "got no pictures under %s (looked for %s), needs one sub-folder with pictures for each class.%s",
                       index->root, rules->is_valid_file != NULL ? "files that .is_valid_file takes" : endings,
                       lie_there);
    }
    int64_t empty = 0;
    size_t length = 0;
    for (int64_t c = 0; c < index->class.count; c++)
        if (index->files_of_class[c] == 0 && empty++ < 20) {
            int more =
                snprintf(list + length, sizeof list - length, "%s%s", length > 0 ? ", " : "", index->class.name[c]);
            length += more > 0 && (size_t)more < sizeof list - length ? (size_t)more : sizeof list - 1 - length;
        }
    if (empty == 0 || rules->allow_empty)
        return true;
    return fa_fail(FA_FILE_ERROR, rules->where, rules->what,
                   "got %lld empty class folder%s in %s: %s (looked for %s), needs a picture in each. Hint: remove "
                   "what is no class, or set .allow_empty.",
                   (long long)empty, empty == 1 ? "" : "s", index->root, list,
                   rules->is_valid_file != NULL ? "files that .is_valid_file takes" : endings);
}

/* Gives back what growing left over. */
static void trim(fa_folder_index *index)
{
    void *names = index->names_bytes > 0 ? fa_realloc(index->names, index->names_bytes) : NULL;
    void *files = index->count > 0 ? fa_realloc(index->file, (size_t)index->count * sizeof *index->file) : NULL;
    index->names = names != NULL ? names : index->names;
    index->file = files != NULL ? files : index->file;
}

static bool read_root(fa_folder_index *index, name_list *folders, name_list *files, const fa_folder_rules *rules)
{
    struct stat root;
    if (!read_folder(index->root, folders, files, &root, rules) ||
        (rules->classes.count > 0 && !check_classes(index, folders, rules)))
        return false;
    fa_names wanted =
        rules->classes.count > 0 ? rules->classes : (fa_names){(const char *const *)folders->name, folders->count};
    if (!copy_classes(index, wanted, rules->where))
        return false;
    for (int64_t c = 0; c < index->class.count; c++) {
        int64_t i = 0;
        while (rules->classes.count > 0 && i < folders->count && strcmp(folders->name[i], index->class.name[c]) != 0)
            i++;
        if (i < folders->count && !read_class(index, c, &root, rules))
            return false;
    }
    int64_t pictures = 0;
    for (int64_t i = 0; i < files->count; i++) {
        char path[FA_PATH_BYTES];
        if (!join(path, index->root, "", files->name[i], rules))
            return false;
        pictures += is_picture(path, rules);
    }
    trim(index);
    return check_found(index, pictures, rules);
}

bool fa_folder_index_read(fa_folder_index *index, const char *root, const fa_folder_rules *rules)
{
    *index = (fa_folder_index){.root = fa_strdup(root)};
    if (index->root == NULL)
        return fa_fail_memory(rules->where, strlen(root) + 1);
    for (size_t n = strlen(index->root); n > 1 && index->root[n - 1] == '/'; n--)
        index->root[n - 1] = 0;
    name_list folders = {.bytes = NULL}, files = {.bytes = NULL};
    bool fine = read_root(index, &folders, &files, rules);
    end_names(&folders);
    end_names(&files);
    return fine;
}

void fa_folder_index_end(fa_folder_index *index)
{
    fa_mfree(index->root);
    fa_mfree(index->names);
    fa_mfree(index->file);
    for (int64_t i = 0; i < index->folder_count; i++)
        fa_mfree(index->folder[i].path);
    fa_mfree(index->folder);
    fa_class_list_end(&index->class);
    fa_mfree(index->files_of_class);
    fa_mfree(index->first_skipped);
    *index = (fa_folder_index){.root = NULL};
}

bool fa_folder_index_path(const fa_folder_index *index, int64_t file, char path[FA_PATH_BYTES])
{
    const struct fa_indexed_file *f = &index->file[file];
    const struct fa_indexed_folder *folder = &index->folder[f->folder];
    int length =
        snprintf(path, FA_PATH_BYTES, "%s/%s/%s", index->root, folder->path, index->names + folder->names + f->name);
    return length >= 0 && length < FA_PATH_BYTES;
}
