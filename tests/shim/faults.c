/* Loaded in front of the C library (LD_PRELOAD) by tests of whole commands: the n-th system call that touches a folder
 * fails. The environment says which:
 *   FAULT_FOLDER   calls on paths under it, and on files opened there, are counted
 *   FAULT_AT       the number of the call that fails, from 1; 0: none
 *   FAULT_ERROR    errno of it
 *   FAULT_KINDS    letters: o open, w write, f fsync, r rename, m mkdir, c close, u unlink
 *   FAULT_STAYS    all later calls of these kinds fail too
 *   FAULT_COUNT    a file that gets the number of counted calls when the process ends */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FDS = 4096 };

static atomic_long calls;
static atomic_bool watched[FDS], written[FDS];

static long number(const char *variable)
{
    const char *text = getenv(variable);
    return text != NULL ? atol(text) : 0;
}

static bool under_folder(const char *path)
{
    const char *folder = getenv("FAULT_FOLDER");
    size_t n = folder != NULL ? strlen(folder) : 0;
    return n > 0 && path != NULL && strncmp(path, folder, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

static bool on_file(int fd)
{
    return fd >= 0 && fd < FDS && atomic_load(&watched[fd]);
}

/* Whether this call fails; errno is set then. */
static bool fails(char kind, bool counted)
{
    const char *kinds = getenv("FAULT_KINDS");
    if (!counted || kinds == NULL || strchr(kinds, kind) == NULL)
        return false;
    long n = atomic_fetch_add(&calls, 1) + 1, at = number("FAULT_AT");
    if (at == 0 || n < at || (n > at && number("FAULT_STAYS") == 0))
        return false;
    errno = (int)number("FAULT_ERROR");
    return true;
}

__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("FAULT_COUNT");
    FILE *file = path != NULL ? fopen(path, "w") : NULL;
    if (file == NULL)
        return;
    fprintf(file, "%ld\n", atomic_load(&calls));
    fclose(file);
}

/* The C library's own function of this name. */
#define NEXT(name)                                                                                                     \
    static __typeof__(&name) next;                                                                                     \
    if (next == NULL)                                                                                                  \
    *(void **)&next = dlsym(RTLD_NEXT, #name)

typedef int (*open_function)(const char *, int, ...);

static int open_by(open_function next, const char *path, int flags, mode_t mode)
{
    bool counted = under_folder(path);
    if (fails('o', counted))
        return -1;
    int fd = next(path, flags, mode);
    if (fd >= 0 && fd < FDS)
        atomic_store(&watched[fd], counted), atomic_store(&written[fd], (flags & O_ACCMODE) != O_RDONLY);
    return fd;
}

static mode_t mode_of(int flags, va_list list)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? (mode_t)va_arg(list, unsigned) : 0;
}

#define OPEN(name)                                                                                                     \
    int name(const char *path, int flags, ...)                                                                         \
    {                                                                                                                  \
        NEXT(name);                                                                                                    \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode_t mode = mode_of(flags, list);                                                                            \
        va_end(list);                                                                                                  \
        return open_by(next, path, flags, mode);                                                                       \
    }
OPEN(open)
OPEN(open64)

ssize_t write(int fd, const void *data, size_t bytes)
{
    NEXT(write);
    return fails('w', on_file(fd)) ? -1 : next(fd, data, bytes);
}

int fsync(int fd)
{
    NEXT(fsync);
    return fails('f', on_file(fd)) ? -1 : next(fd);
}

int close(int fd)
{
    NEXT(close);
    bool counted = on_file(fd) && atomic_load(&written[fd]); /* of what was only read it means nothing */
    if (fd >= 0 && fd < FDS)
        atomic_store(&watched[fd], false);
    int result = next(fd);
    return fails('c', counted) ? -1 : result;
}

int rename(const char *from, const char *to)
{
    NEXT(rename);
    return fails('r', under_folder(to)) ? -1 : next(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    NEXT(mkdir);
    return fails('m', under_folder(path)) ? -1 : next(path, mode);
}

int unlink(const char *path)
{
    NEXT(unlink);
    return fails('u', under_folder(path)) ? -1 : next(path);
}
