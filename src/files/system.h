/* The system calls that write files, behind one name each, so that tests can make the n-th of a kind fail. All of them
 * return and set errno as the calls that they are named after; interrupted ones (EINTR) are begun again. */
#ifndef FA_FILES_SYSTEM_H
#define FA_FILES_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef enum fa_system_call {
    FA_SYS_OPEN,
    FA_SYS_WRITE,
    FA_SYS_FSYNC,
    FA_SYS_RENAME,
    FA_SYS_CLOSE,
    FA_SYS_UNLINK,
    FA_SYS_MKDIR,
    FA_SYS_COUNT
} fa_system_call;

int fa_sys_open(const char *path, int flags, mode_t mode);
/* Moves what the system takes at once, which may be less than `bytes`. A file never grows beyond RLIMIT_FSIZE: that is
 * EFBIG here and no signal, `offset` being where the bytes will lie. */
ssize_t fa_sys_write(int fd, const void *data, size_t bytes, off_t offset);
int fa_sys_fsync(int fd);
int fa_sys_rename(const char *from, const char *to);
int fa_sys_close(int fd);
int fa_sys_unlink(const char *path);
int fa_sys_mkdir(const char *path, mode_t mode);

/* ---- For tests: process-wide, like fa_memory_fail_after ---------------------------------------------------------- */

/* The n-th call of this kind from now on fails with `error`, that one alone. One fault at a time: this forgets the one
 * before; n = 0: no fault. */
void fa_system_fail(fa_system_call call, long n, int error);
/* Every call of this kind from the n-th on fails: a full disk stays full. */
void fa_system_fail_from(fa_system_call call, long n, int error);
/* Calls of this kind since the last fa_system_fail of any kind. */
long fa_system_calls(fa_system_call call);
/* No write moves more than `bytes` at once; 0: no limit. */
void fa_system_limit_writes(size_t bytes);

#endif
