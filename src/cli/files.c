/* Pictures named on a command line. A link to a folder that it lies in is an error, and not followed. */
#include "files.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* A folder, and those that it lies in. */
typedef struct place {
    dev_t device;
    ino_t node;
    const struct place *above;
} place;

static void no_memory(const void *block)
{
    if (block == NULL) {
        fprintf(stderr, "facula: error: no memory\n");
        exit(1);
    }
}

static void add(file_list *list, char *path)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity * 2 + 64;
        list->path = realloc(list->path, list->capacity * sizeof *list->path);
        no_memory(list->path);
    }
    list->path[list->count++] = path;
}

bool is_picture_name(const char *name)
{
    static const char *const endings[] = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".pgm", ".pbm"};
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i]);
        if (length > n && strcasecmp(name + length - n, endings[i]) == 0)
            return true;
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool list_folder(file_list *list, const char *path, const struct stat *status, const place *above);

static bool add_entry(file_list *list, char *path, const place *above)
{
    struct stat status;
    if (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) {
        bool fine = list_folder(list, path, &status, above);
        free(path);
        return fine;
    }
    if (is_picture_name(path))
        add(list, path);
    else
        free(path);
    return true;
}

static bool list_folder(file_list *list, const char *path, const struct stat *status, const place *above)
{
    for (const place *p = above; p != NULL; p = p->above)
        if (p->device == status->st_dev && p->node == status->st_ino) {
            fprintf(stderr, "facula: error: a loop of links: %s is a folder in which it lies\n", path);
            return false;
        }
    const place here = {status->st_dev, status->st_ino, above};
    DIR *folder = opendir(path);
    if (folder == NULL) {
        fprintf(stderr, "facula: error: the folder %s could not be read: %s\n", path, strerror(errno));
        return false;
    }
    file_list entries = {0};
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        size_t size = strlen(path) + strlen(entry->d_name) + 2;
        char *made = malloc(size);
        no_memory(made);
        bool slash = path[0] != '\0' && path[strlen(path) - 1] == '/';
        snprintf(made, size, "%s%s%s", path, slash ? "" : "/", entry->d_name);
        add(&entries, made);
    }
    closedir(folder);
    if (entries.count > 0)
        qsort(entries.path, entries.count, sizeof *entries.path, by_name);
    bool fine = true;
    for (size_t i = 0; i < entries.count; i++)
        fine &= add_entry(list, entries.path[i], &here);
    free(entries.path);
    return fine;
}

bool list_pictures(file_list *list, const char *path)
{
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISDIR(status.st_mode)) {
        char *copy = strdup(path);
        no_memory(copy);
        add(list, copy);
        return true;
    }
    size_t before = list->count;
    bool fine = list_folder(list, path, &status, NULL);
    if (list->count > before || !fine)
        return fine;
    fprintf(stderr, "facula: error: the folder %s holds no pictures (.jpg .jpeg .png .webp .bmp .ppm .pgm .pbm)\n",
            path);
    return false;
}

void file_list_free(file_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->path[i]);
    free(list->path);
    *list = (file_list){0};
}
