/* A folder of its own for a test, removed with all that lies in it. */
#ifndef FA_TESTS_TEMPDIR_H
#define FA_TESTS_TEMPDIR_H

#include <stddef.h>

typedef struct tempdir {
    char path[512];
} tempdir;

/* From now on the folders of this process lie in memory, where there is enough: for tests that flush files a thousand
 * times, which a disk takes its time for. TMPDIR in the environment wins. */
void tempdirs_in_memory(void);
/* Makes an empty folder under $TMPDIR or /tmp. The test fails when that is not possible. */
tempdir tempdir_new(void);
/* Removes the folder and everything below it; links are removed, not followed. */
void tempdir_free(tempdir *dir);
/* "<folder>/<name>"; one of eight buffers that are used in turn. */
const char *tempdir_file(const tempdir *dir, const char *name);

/* Writes a whole file; the test fails when that is not possible. */
void write_file(const char *path, const void *bytes, size_t size);
/* Reads a whole file into a malloc'ed block that ends with a 0 byte beyond `size`; the test fails when that is not
 * possible. `size` may be NULL. */
char *read_file(const char *path, size_t *size);

#endif
