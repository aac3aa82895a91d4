/* Runs a fuzz target on the files of a folder, and on each cut in half and with one byte changed. */
#define _GNU_SOURCE /* scandir, versionsort */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* The bytes in a block of just their size, so that a sanitizer sees a step beyond. */
static void run_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL)
        abort();
    memcpy(copy, data, size);
    uint8_t *exact = realloc(copy, size > 0 ? size : 1);
    LLVMFuzzerTestOneInput(exact != NULL ? exact : copy, size);
    free(exact != NULL ? exact : copy);
}

static int run_file(const char *path)
{
    enum { MOST = 1 << 20 };
    static uint8_t bytes[MOST];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "could not open %s\n", path);
        return 1;
    }
    const size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    run_copy(bytes, size);
    run_copy(bytes, size / 2);
    for (size_t at = 0; at < size; at += size / 32 + 1) {
        bytes[at] ^= 0x55;
        run_copy(bytes, size);
        bytes[at] ^= 0x55;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct dirent **entries;
    const int count = argc == 2 ? scandir(argv[1], &entries, is_visible, alphasort) : -1;
    if (count < 1) {
        fprintf(stderr, "usage: %s FOLDER, needs at least one file in it\n", argv[0]);
        return 1;
    }
    int failed = 0;
    for (int i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", argv[1], entries[i]->d_name);
        failed |= run_file(path);
        free(entries[i]);
    }
    free(entries);
    printf("%d files\n", count);
    return failed;
}
