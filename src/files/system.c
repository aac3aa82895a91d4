/* System calls with a place for faults. */
#include "files/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct fault {
    atomic_long calls, at; /* at 0: none */
    atomic_int error;
    atomic_bool stays;
} fault;

static fault faults[FA_SYS_COUNT];
static atomic_size_t most_at_once;

static void set_fault(fa_system_call call, long n, int error, bool stays)
{
    for (int i = 0; i < FA_SYS_COUNT; i++) {
        atomic_store(&faults[i].at, 0);
        atomic_store(&faults[i].calls, 0);
    }
    atomic_store(&faults[call].error, error);
    atomic_store(&faults[call].stays, stays);
    atomic_store(&faults[call].at, n);
}

void fa_system_fail(fa_system_call call, long n, int error)
{
    set_fault(call, n, error, false);
}

void fa_system_fail_from(fa_system_call call, long n, int error)
{
    set_fault(call, n, error, true);
}

long fa_system_calls(fa_system_call call)
{
    return atomic_load(&faults[call].calls);
}

void fa_system_limit_writes(size_t bytes)
{
    atomic_store(&most_at_once, bytes);
}

/* Whether this call is to fail; errno is set then. */
static bool fails(fa_system_call call)
{
    fault *f = &faults[call];
    long n = atomic_fetch_add_explicit(&f->calls, 1, memory_order_relaxed) + 1;
    long at = atomic_load_explicit(&f->at, memory_order_relaxed);
    if (at == 0 || (n != at && !(atomic_load(&f->stays) && n > at)))
        return false;
    errno = atomic_load(&f->error);
    return true;
}

#define AGAIN(type, call)                                                                                              \
    type result;                                                                                                       \
    do                                                                                                                 \
        result = (call);                                                                                               \
    while (result < 0 && errno == EINTR);                                                                              \
    return result

int fa_sys_open(const char *path, int flags, mode_t mode)
{
    if (fails(FA_SYS_OPEN))
        return -1;
    AGAIN(int, open(path, flags | O_CLOEXEC, mode));
}

ssize_t fa_sys_write(int fd, const void *data, size_t bytes, off_t offset)
{
    if (fails(FA_SYS_WRITE))
        return -1;
    /* Beyond the limit the kernel would end the process with SIGXFSZ. */
    struct rlimit limit;
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        (uint64_t)offset + bytes > limit.rlim_cur) {
        errno = EFBIG;
        return -1;
    }
    size_t most = atomic_load_explicit(&most_at_once, memory_order_relaxed);
    if (most > 0 && bytes > most)
        bytes = most;
    AGAIN(ssize_t, write(fd, data, bytes));
}

int fa_sys_fsync(int fd)
{
    if (fails(FA_SYS_FSYNC))
        return -1;
    AGAIN(int, fsync(fd));
}

int fa_sys_rename(const char *from, const char *to)
{
    return fails(FA_SYS_RENAME) ? -1 : rename(from, to);
}

/* Linux frees the number also when it answers EINTR: never again for one that another thread may have got since. */
int fa_sys_close(int fd)
{
    int result = close(fd);
    if (fails(FA_SYS_CLOSE))
        return -1;
    return result < 0 && errno == EINTR ? 0 : result;
}

int fa_sys_unlink(const char *path)
{
    return fails(FA_SYS_UNLINK) ? -1 : unlink(path);
}

int fa_sys_mkdir(const char *path, mode_t mode)
{
    return fails(FA_SYS_MKDIR) ? -1 : mkdir(path, mode);
}
