/* Atomic writing of whole files. */
#define _GNU_SOURCE /* sync_file_range, fallocate */

#include "files/atomic.h"

#include "base/error.h"
#include "base/memory.h"
#include "files/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    BUFFER = 64 << 10, /* small pieces are gathered up to here */
    AT_ONCE = 4 << 20, /* the disk begins on what lies behind while the rest is being made */
    LINKS = 40,        /* followed at most */
    NAME_KEPT = 200,   /* bytes of a long name that its temporary one repeats: both must stay below NAME_MAX */
    RANDOM_DIGITS = 16,
    TRIES = 100
};
static const char ending[] = ".tmp";

#define REFUSE(file, ...) fa_fail(FA_FILE_ERROR, (file)->where, (file)->what, __VA_ARGS__)

static const char *reason(int error)
{
    switch (error) {
    case ENOSPC:
        return "the disk is full";
    case EDQUOT:
        return "the disk quota is used up";
    case EFBIG:
        return "the file would be larger than the system allows (ulimit -f)";
    case EROFS:
        return "the disk is mounted read-only";
    default:
        return strerror(error);
    }
}

/* ---- Names ------------------------------------------------------------------------------------------------------- */

/* "folder/" of a path, with its slash; empty for a bare name. */
static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

/* Where the links at `path` lead, so that the file behind them is replaced and not the link. NULL after an error. */
static char *follow_links(fa_atomic_file *file)
{
    char *target = fa_strdup(file->path), link[PATH_MAX];
    for (int i = 0; target != NULL; i++) {
        ssize_t length = readlink(target, link, sizeof link - 1);
        if (length < 0)
            return target;
        if (i == LINKS) {
            REFUSE(file, "could not write %s: it is a link that leads through more than %d others.", file->path, LINKS);
            fa_mfree(target);
            return NULL;
        }
        link[length] = '\0';
        size_t folder = link[0] == '/' ? 0 : folder_length(target);
        char *next = fa_malloc(folder + (size_t)length + 1);
        if (next != NULL) {
            memcpy(next, target, folder);
            memcpy(next + folder, link, (size_t)length + 1);
        }
        fa_mfree(target);
        target = next;
    }
    fa_fail_memory(file->where, PATH_MAX);
    return NULL;
}

/* Hex digits that nobody can foresee; where the system has no random bytes, at least different ones. */
static void draw_digits(char digits[RANDOM_DIGITS + 1])
{
    static atomic_uint_fast64_t count;
    uint64_t bits;
    if (getrandom(&bits, sizeof bits, GRND_NONBLOCK) != sizeof bits) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        bits = ((uint64_t)now.tv_nsec << 34) ^ ((uint64_t)getpid() << 12) ^ atomic_fetch_add(&count, 1);
    }
    for (int i = 0; i < RANDOM_DIGITS; i++)
        digits[i] = "0123456789abcdef"[bits >> (4 * i) & 15];
    digits[RANDOM_DIGITS] = '\0';
}

/* Bytes of the target's name that its temporary files carry. */
static size_t kept_name(const char *name)
{
    size_t length = strlen(name);
    return length < NAME_KEPT ? length : NAME_KEPT;
}

static void name_temporary(fa_atomic_file *file)
{
    size_t folder = folder_length(file->target);
    const char *name = file->target + folder;
    char digits[RANDOM_DIGITS + 1];
    draw_digits(digits);
    sprintf(file->temporary, "%.*s.%.*s.%s%s", (int)folder, file->target, (int)kept_name(name), name, digits, ending);
}

/* Whether `entry` is a name that name_temporary gives for this target. */
static bool is_temporary_of(const char *entry, const char *name)
{
    size_t kept = kept_name(name);
    if (strlen(entry) != 1 + kept + 1 + RANDOM_DIGITS + strlen(ending) || entry[0] != '.' ||
        memcmp(entry + 1, name, kept) != 0 || entry[1 + kept] != '.')
        return false;
    const char *digits = entry + 1 + kept + 1;
    return strspn(digits, "0123456789abcdef") == RANDOM_DIGITS && strcmp(digits + RANDOM_DIGITS, ending) == 0;
}

/* ---- What dead writers left -------------------------------------------------------------------------------------- */

static void remove_if_dead(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return;
    struct stat status;
    /* Under the lock, so that a writer that has just made it sees that it is gone. */
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && flock(fd, LOCK_EX | LOCK_NB) == 0)
        unlinkat(folder, name, 0);
    close(fd);
}

static void remove_leftovers(const fa_atomic_file *file)
{
    DIR *entries = opendir(file->folder);
    if (entries == NULL)
        return;
    const struct dirent *entry;
    while ((entry = readdir(entries)) != NULL)
        if (is_temporary_of(entry->d_name, file->target + folder_length(file->target)))
            remove_if_dead(dirfd(entries), entry->d_name);
    closedir(entries);
}

/* ---- Writing ----------------------------------------------------------------------------------------------------- */

static void end(fa_atomic_file *file)
{
    fa_mfree(file->path);
    fa_mfree(file->target);
    fa_mfree(file->folder);
    fa_mfree(file->temporary);
    fa_mfree(file->buffer);
    file->path = file->target = file->folder = file->temporary = NULL;
    file->buffer = NULL;
}

/* After a failure: the temporary file goes at once, so that a full disk gets its room back. */
static void drop_temporary(fa_atomic_file *file)
{
    if (file->fd < 0)
        return;
    if (fa_sys_unlink(file->temporary) != 0)
        unlink(file->temporary); /* a second try: nothing else can be done about it */
    fa_sys_close(file->fd);
    file->fd = -1;
}

static bool fail(fa_atomic_file *file, const char *step, int error)
{
    file->failed = true;
    drop_temporary(file);
    return REFUSE(file, "could not %s %s: %s. What was there before is as it was.", step, file->path, reason(error));
}

/* The existing target, if any: may it be replaced? Its mode goes to *mode; 0: there is none. */
static bool check_target(fa_atomic_file *file, mode_t *mode)
{
    struct stat status;
    *mode = 0;
    if (file->target[folder_length(file->target)] == '\0')
        return REFUSE(file, "could not write \"%s\": it names no file.", file->path);
    if (stat(file->target, &status) != 0)
        return errno == ENOENT || REFUSE(file, "could not write %s: %s.", file->path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return REFUSE(file, "could not write %s: it is a folder. Hint: give the name of a file in it.", file->path);
    if (!S_ISREG(status.st_mode))
        return REFUSE(file, "could not write %s: it is a device, a pipe or a socket, needs an ordinary file.",
                      file->path);
    if (faccessat(AT_FDCWD, file->target, W_OK, AT_EACCESS) != 0)
        return REFUSE(file, "could not write %s: %s. Hint: chmod u+w allows it.", file->path, reason(errno));
    *mode = status.st_mode & 0777;
    return true;
}

/* A new temporary file, locked. */
static bool make_temporary(fa_atomic_file *file, mode_t mode)
{
    for (int i = 0; i < TRIES; i++) {
        name_temporary(file);
        file->fd = fa_sys_open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode != 0 ? mode : 0666);
        if (file->fd < 0 && errno == EEXIST)
            continue;
        if (file->fd < 0)
            return false;
        struct stat status;
        /* A save of the same file may have taken it for a leftover before the lock; then it has no name any more. Where
         * the disk knows no locks, nobody takes anything for a leftover. */
        if ((flock(file->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) && fstat(file->fd, &status) == 0 &&
            status.st_nlink > 0) {
            if (mode != 0 && status.st_mode != (S_IFREG | mode))
                fchmod(file->fd, mode); /* where the disk has no modes, it stays as it is */
            return true;
        }
        fa_sys_close(file->fd);
        file->fd = -1;
    }
    errno = EEXIST;
    return false;
}

/* Room for the names of the folder and the temporary file; the folder's is filled in. */
static bool make_names(fa_atomic_file *file)
{
    size_t folder = folder_length(file->target), room = strlen(file->target) + RANDOM_DIGITS + sizeof ending + 3;
    file->folder = fa_malloc(folder + 2);
    file->temporary = fa_malloc(room);
    if (file->folder == NULL || file->temporary == NULL)
        return fa_fail_memory(file->where, room);
    memcpy(file->folder, folder > 0 ? file->target : ".", folder > 0 ? folder : 1);
    file->folder[folder > 0 ? folder : 1] = '\0';
    return true;
}

static bool begin(fa_atomic_file *file)
{
    mode_t mode;
    if (file->path == NULL || file->buffer == NULL)
        return fa_fail_memory(file->where, BUFFER);
    file->target = follow_links(file);
    if (file->target == NULL || !check_target(file, &mode) || !make_names(file))
        return false;
    remove_leftovers(file);
    if (make_temporary(file, mode))
        return true;
    int error = errno;
    return REFUSE(file, "could not write %s: %s%s.", file->path, reason(error),
                  error == ENOENT                     ? " (its folder does not exist)"
                  : error == EACCES || error == EROFS ? " (a new file is made beside it and then takes its name)"
                                                      : "");
}

bool fa_atomic_open(fa_atomic_file *file, const char *path, const char *what, fa_where where)
{
    *file = (fa_atomic_file){.what = what, .where = where, .fd = -1};
    if (path == NULL || path[0] == '\0')
        return REFUSE(file, "got an empty path, needs the name of a file.");
    file->path = fa_strdup(path);
    file->buffer = fa_malloc(BUFFER);
    if (begin(file))
        return true;
    end(file);
    return false;
}

void fa_atomic_expect(fa_atomic_file *file, uint64_t bytes)
{
    /* The file does not become longer by it; a disk that is too full for it is found out by the writes. */
    if (!file->failed && bytes >= AT_ONCE && bytes <= INT64_MAX)
        (void)!fallocate(file->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes);
}

/* Everything goes down, however little the system takes at once. */
static bool write_out(fa_atomic_file *file, const uint8_t *data, size_t bytes)
{
    while (bytes > 0) {
        size_t piece = bytes < AT_ONCE ? bytes : AT_ONCE;
        ssize_t moved = fa_sys_write(file->fd, data, piece, (off_t)file->flushed);
        if (moved <= 0)
            return fail(file, "write", moved < 0 ? errno : ENOSPC);
        data += moved;
        bytes -= (size_t)moved;
        file->flushed += (uint64_t)moved;
        if (file->flushed - file->queued >= AT_ONCE) {
            /* A start, no promise: the flush at the end checks. */
            sync_file_range(file->fd, (off_t)file->queued, (off_t)(file->flushed - file->queued),
                            SYNC_FILE_RANGE_WRITE);
            file->queued = file->flushed;
        }
    }
    return true;
}

static bool empty_buffer(fa_atomic_file *file)
{
    size_t bytes = file->buffered;
    file->buffered = 0;
    return write_out(file, file->buffer, bytes);
}

bool fa_atomic_write(fa_atomic_file *file, const void *data, size_t bytes)
{
    if (file->failed)
        return false;
    file->written += bytes;
    if (bytes > BUFFER - file->buffered && !empty_buffer(file))
        return false;
    if (bytes >= BUFFER)
        return write_out(file, data, bytes);
    if (bytes > 0)
        memcpy(file->buffer + file->buffered, data, bytes);
    file->buffered += bytes;
    return true;
}

/* The name itself lies in the folder. Disks that cannot flush one say so with EINVAL. */
static bool flush_folder(const fa_atomic_file *file)
{
    int fd = fa_sys_open(file->folder, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return errno == EACCES; /* a folder that may be written but not read */
    bool good = fa_sys_fsync(fd) == 0 || errno == EINVAL;
    int error = errno;
    if (fa_sys_close(fd) != 0)
        return false;
    errno = error;
    return good;
}

bool fa_atomic_commit(fa_atomic_file *file)
{
    bool good = !file->failed && empty_buffer(file);
    if (good && fa_sys_fsync(file->fd) != 0)
        good = fail(file, "flush", errno);
    if (good && fa_sys_rename(file->temporary, file->target) != 0)
        good = fail(file, "replace", errno);
    if (good) {
        /* The file stands. What fails from here on is only told. */
        bool flushed = flush_folder(file);
        int error = errno;
        if (fa_sys_close(file->fd) != 0 && flushed) {
            flushed = false;
            error = errno;
        }
        file->fd = -1;
        if (!flushed)
            good = REFUSE(file, "%s is written, but could not be made safe against a power cut: %s.", file->path,
                          reason(error));
    }
    end(file);
    return good;
}

void fa_atomic_abandon(fa_atomic_file *file)
{
    drop_temporary(file);
    end(file);
}

bool fa_atomic_write_file(const char *path, const void *data, size_t bytes, const char *what, fa_where where)
{
    fa_atomic_file file;
    if (!fa_atomic_open(&file, path, what, where))
        return false;
    fa_atomic_write(&file, data, bytes);
    return fa_atomic_commit(&file);
}

/* ---- Folders ----------------------------------------------------------------------------------------------------- */

bool fa_make_folders(const char *path, const char *what, fa_where where)
{
    size_t length = strlen(path);
    char *part = fa_strdup(path);
    if (part == NULL)
        return fa_fail_memory(where, length + 1);
    bool good = length > 0 || fa_fail(FA_FILE_ERROR, where, what, "got an empty path, needs the name of a folder.");
    for (size_t i = 1; good && i <= length; i++)
        if (path[i] == '/' || path[i] == '\0') {
            part[i] = '\0';
            struct stat status;
            if (fa_sys_mkdir(part, 0777) != 0) {
                int error = errno;
                if (stat(part, &status) != 0)
                    good =
                        fa_fail(FA_FILE_ERROR, where, what, "could not make the folder %s: %s.", part, reason(error));
                else if (!S_ISDIR(status.st_mode))
                    good =
                        fa_fail(FA_FILE_ERROR, where, what, "could not make the folder %s: a file is called so.", part);
            }
            part[i] = path[i];
        }
    fa_mfree(part);
    return good;
}
