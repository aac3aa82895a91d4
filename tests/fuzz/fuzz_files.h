/* Bytes as a file that a data set is made of, in a folder of the process's own. */
#ifndef FA_FUZZ_FILES_H
#define FA_FUZZ_FILES_H

#include "facula.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char fuzz_folder[64];

static inline void fuzz_remove_folder(void)
{
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", fuzz_folder);
    if (system(command) != 0)
        fprintf(stderr, "%s stays\n", fuzz_folder);
}

/* Writes a file into the folder, which is made at first. */
static inline void fuzz_write(const char *name, const uint8_t *data, size_t size)
{
    char path[128];
    if (fuzz_folder[0] == 0) {
        strcpy(fuzz_folder, access("/dev/shm", W_OK) == 0 ? "/dev/shm/facula_fuzz_XXXXXX" : "/tmp/facula_fuzz_XXXXXX");
        if (mkdtemp(fuzz_folder) == NULL)
            abort();
        atexit(fuzz_remove_folder);
    }
    snprintf(path, sizeof path, "%s/%s", fuzz_folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd) != 0)
        abort();
}

static inline void fuzz_unlink(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", fuzz_folder, name);
    unlink(path);
}

/* A data set, whose items are read, or an error with a message; the data set ends. */
static inline void fuzz_dataset(fa_dataset *data)
{
    if ((data == NULL) == fa_ok())
        abort();
    int64_t n = data != NULL ? fa_length(data) : 0;
    fa_names classes = {NULL, 0};
    if (data != NULL)
        classes = fa_dataset_classes(data);
    for (int64_t c = 0; c < classes.count; c++)
        if (strlen(classes.name[c]) > 1 << 20)
            abort();
    for (int64_t i = 0; i<n; i += n> 4 ? n / 4 : 1)
        fa_scope {
            fa_batch item = fa_dataset_get(data, i);
            if (fa_ok()) {
                volatile uint8_t sum = 0;
                const uint8_t *bytes = fa_data(item.images);
                for (int64_t k = 0; k < fa_numel(item.images); k += 97)
                    sum = (uint8_t)(sum + bytes[k]);
            }
            fa_clear_error();
        }
    fa_free(data);
    fa_clear_error();
}

#endif
