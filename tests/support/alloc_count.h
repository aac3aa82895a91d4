/* Counts allocations: malloc, calloc, realloc, memalign, aligned_alloc, posix_memalign and mmap, of every thread, while
 * armed. The functions are replaced in the test program itself, so calls from the library and from the C library's own
 * callers (fopen, pthread_create) are seen alike. Under sanitizers and valgrind the replacement is off or overridden:
 * ask alloc_count_available() and skip.
 *
 *     alloc_count_start();
 *     ... the step that must not allocate ...
 *     assert_int_equal(alloc_count_stop(), 0);
 *
 * With FA_ALLOC_TRACE=1 in the environment each counted call writes its stack to stderr. */
#ifndef FA_TESTS_ALLOC_COUNT_H
#define FA_TESTS_ALLOC_COUNT_H

#include <stdbool.h>

enum { ALLOC_COUNT_MAX_THREADS = 64 };

/* What one thread did while armed. */
typedef struct alloc_count_thread {
    int tid;       /* gettid() */
    char name[16]; /* pthread_setname_np, so that a pool's thread is told from a loader's */
    long calls;
} alloc_count_thread;

/* Whether calls are really counted in this program: a malloc is tried. */
bool alloc_count_available(void);
/* Sets all counts to 0 and begins to count. */
void alloc_count_start(void);
/* Ends counting; calls of all threads since the start. */
long alloc_count_stop(void);
/* Calls of the calling thread since the last start. */
long alloc_count_here(void);
/* Copies the threads that allocated since the last start, at most `max`, and returns how many there were. */
int alloc_count_threads(alloc_count_thread *out, int max);

#endif
