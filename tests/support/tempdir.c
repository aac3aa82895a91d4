/* Temporary folders and whole files for tests. */
#define _GNU_SOURCE
#include "support/tempdir.h"

#include "support/facula_test.h"

#include <errno.h>
#include <ftw.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

void tempdirs_in_memory(void)
{
    static const char folder[] = "/dev/shm";
    const unsigned long room = 64ul << 20;
    struct statvfs disk;
    if (access(folder, W_OK) == 0 && statvfs(folder, &disk) == 0 && disk.f_bavail >= room / disk.f_frsize)
        setenv("TMPDIR", folder, 0);
}

tempdir tempdir_new(void)
{
    tempdir dir;
    const char *base = getenv("TMPDIR");
    int length = snprintf(dir.path, sizeof dir.path, "%s/facula_test_XXXXXX", base && base[0] ? base : "/tmp");
    if (length < 0 || (size_t)length >= sizeof dir.path || mkdtemp(dir.path) == NULL)
        fail_msg("no temporary folder %s: %s", dir.path, strerror(errno));
    return dir;
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info;
    (void)type;
    (void)walk;
    return remove(path);
}

void tempdir_free(tempdir *dir)
{
    if (dir->path[0] && nftw(dir->path, remove_entry, 16, FTW_DEPTH | FTW_PHYS) != 0)
        print_message("%s could not be removed: %s\n", dir->path, strerror(errno));
    dir->path[0] = 0;
}

const char *tempdir_file(const tempdir *dir, const char *name)
{
    static char buffers[8][1024];
    static int next;
    char *path = buffers[next++ % 8];
    int length = snprintf(path, sizeof buffers[0], "%s/%s", dir->path, name);
    assert_true(length > 0 && (size_t)length < sizeof buffers[0]);
    return path;
}

void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL)
        fail_msg("%s could not be opened for writing: %s", path, strerror(errno));
    bool written = fwrite(bytes, 1, size, file) == size;
    if (fclose(file) != 0 || !written)
        fail_msg("%s could not be written: %s", path, strerror(errno));
}

char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        fail_msg("%s could not be opened: %s", path, strerror(errno));
    char *bytes = NULL;
    size_t used = 0, capacity = 0;
    for (;;) {
        if (capacity - used < 2) {
            capacity = capacity ? 2 * capacity : 65536;
            bytes = realloc(bytes, capacity);
            assert_non_null(bytes);
        }
        size_t got = fread(bytes + used, 1, capacity - used - 1, file);
        if (got == 0)
            break;
        used += got;
    }
    if (ferror(file))
        fail_msg("%s could not be read", path);
    fclose(file);
    bytes[used] = 0;
    if (size)
        *size = used;
    return bytes;
}
