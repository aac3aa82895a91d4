/* A whole file written so that its name always stands for a complete one: bytes go to a temporary file in the same
 * folder, which is flushed to the disk and then takes the name; the folder is flushed last. Whatever fails, the earlier
 * file stays as it was and the temporary one is removed.
 *
 * A writer that was killed leaves ".NAME.<16 hex digits>.tmp". It holds a lock on it while it lives, so the next save
 * of the same file knows such leftovers and removes them.
 *
 * An existing file keeps its mode; one that may not be written is not replaced; a symbolic link stays one, its target
 * is replaced. Only regular files are written: no devices, pipes or sockets. */
#ifndef FA_FILES_ATOMIC_H
#define FA_FILES_ATOMIC_H

#include "facula/base.h"

typedef struct fa_atomic_file {
    char *path;      /* as the caller gave it, for messages */
    char *target;    /* links followed */
    char *folder;    /* the target's */
    char *temporary; /* in it */
    const char *what;
    fa_where where;
    int fd;           /* -1 after an error or the end */
    uint64_t written; /* bytes given to fa_atomic_write so far */
    uint64_t flushed; /* bytes handed to the system */
    uint64_t queued;  /* bytes whose way to the disk has been begun */
    uint8_t *buffer;
    size_t buffered;
    bool failed;
} fa_atomic_file;

/* Starts to write `path`. `what` is the call's name for messages ("save"). False after an error, and then there is
 * nothing to be ended. */
bool fa_atomic_open(fa_atomic_file *file, const char *path, const char *what, fa_where where) FA_WARN_UNUSED;
/* At least so many bytes will come: large files get their room on the disk in one piece, which makes their flush
 * faster. A hint: where the disk cannot do that, nothing happens. */
void fa_atomic_expect(fa_atomic_file *file, uint64_t bytes);
/* Appends. False after an error; it may be called on, and does nothing then. */
bool fa_atomic_write(fa_atomic_file *file, const void *data, size_t bytes);
/* Ends the writing: the file has its name and lies on the disk. False after any error since fa_atomic_open; the
 * earlier file is then as it was, unless only the folder's flush failed, which the message says. */
bool fa_atomic_commit(fa_atomic_file *file) FA_WARN_UNUSED;
/* Ends the writing without a trace. */
void fa_atomic_abandon(fa_atomic_file *file);

/* Open, write, commit of bytes that lie in memory. */
bool fa_atomic_write_file(const char *path, const void *data, size_t bytes, const char *what,
                          fa_where where) FA_WARN_UNUSED;

/* Makes a folder and those above it, where they are missing. */
bool fa_make_folders(const char *path, const char *what, fa_where where) FA_WARN_UNUSED;

#endif
