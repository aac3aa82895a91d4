/* Reading a whole file. */
#include "vision/whole_file.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint8_t *read_open(int file, const char *path, size_t most, const char *what, fa_where where, size_t *size)
{
    struct stat status;
    if (fstat(file, &status) != 0) {
        fa_fail(FA_FILE_ERROR, where, what, "could not read %s: %s.", path, strerror(errno));
        return NULL;
    }
    if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size > most) {
        if (S_ISREG(status.st_mode))
            fa_fail(FA_FILE_ERROR, where, what, "got %s, a file of %lld bytes, needs at most %zu.", path,
                    (long long)status.st_size, most);
        else
            fa_fail(FA_FILE_ERROR, where, what, "got %s, which is no regular file.", path);
        return NULL;
    }
    size_t bytes = (size_t)status.st_size, done = 0;
    uint8_t *block = fa_malloc(bytes + 1);
    if (block == NULL) {
        fa_fail_memory(where, bytes + 1);
        return NULL;
    }
    while (done < bytes) {
        ssize_t got = read(file, block + done, bytes - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            fa_fail(FA_FILE_ERROR, where, what, "could not read %s: %s.", path,
                    got < 0 ? strerror(errno) : "it became shorter meanwhile");
            fa_mfree(block);
            return NULL;
        }
        done += (size_t)got;
    }
    block[bytes] = 0;
    *size = bytes;
    return block;
}

uint8_t *fa_read_whole_file(const char *path, size_t most, const char *what, fa_where where, size_t *size)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe is refused, not waited for */
    if (file < 0) {
        fa_fail(FA_FILE_ERROR, where, what, "could not open %s: %s.", path, strerror(errno));
        return NULL;
    }
    uint8_t *block = read_open(file, path, most, what, where, size);
    close(file);
    return block;
}

uint64_t fa_file_size(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? (uint64_t)status.st_size : 0;
}
