/* Replaces the allocation functions of the test program and counts their calls while armed (see alloc_count.h).
 *
 * The real work is done by glibc's second names (__libc_malloc and its kin) and, for mmap, by the system call. Nothing
 * here allocates, so that it can run inside malloc. */
#define _GNU_SOURCE
#include "support/alloc_count.h"

#include <errno.h>
#include <execinfo.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__GLIBC__) && !defined(SANITIZED)
#define REPLACES_MALLOC 1
#endif

static struct {
    atomic_bool armed;
    atomic_long calls;
    atomic_int threads;
    atomic_long generation; /* raised by each start; a thread whose own is older has no slot yet */
    struct {
        int tid;
        char name[16];
        atomic_long calls;
    } slot[ALLOC_COUNT_MAX_THREADS];
    bool trace;
} counter;

static _Thread_local struct {
    long generation;
    int slot;
    bool inside; /* what the counter itself calls is not counted */
} mine;

bool alloc_count_available(void)
{
#ifdef REPLACES_MALLOC
    long before = alloc_count_here();
    bool was_armed = atomic_exchange(&counter.armed, true);
    void *volatile block = malloc(1);
    free(block);
    atomic_store(&counter.armed, was_armed);
    return alloc_count_here() > before;
#else
    return false;
#endif
}

void alloc_count_start(void)
{
    void *frame[1];
    counter.trace = getenv("FA_ALLOC_TRACE") != NULL;
    if (counter.trace)
        backtrace(frame, 1); /* the first call loads a library */
    atomic_store(&counter.armed, false);
    atomic_store(&counter.calls, 0);
    atomic_store(&counter.threads, 0);
    for (int i = 0; i < ALLOC_COUNT_MAX_THREADS; i++)
        atomic_store(&counter.slot[i].calls, 0);
    atomic_fetch_add(&counter.generation, 1);
    atomic_store(&counter.armed, true);
}

long alloc_count_stop(void)
{
    atomic_store(&counter.armed, false);
    return atomic_load(&counter.calls);
}

long alloc_count_here(void)
{
    if (mine.generation != atomic_load(&counter.generation) || mine.slot >= ALLOC_COUNT_MAX_THREADS)
        return 0;
    return atomic_load(&counter.slot[mine.slot].calls);
}

int alloc_count_threads(alloc_count_thread *out, int max)
{
    int threads = atomic_load(&counter.threads);
    for (int i = 0; i < threads && i < max && i < ALLOC_COUNT_MAX_THREADS; i++) {
        out[i].tid = counter.slot[i].tid;
        memcpy(out[i].name, counter.slot[i].name, sizeof out[i].name);
        out[i].calls = atomic_load(&counter.slot[i].calls);
    }
    return threads;
}

#ifdef REPLACES_MALLOC

static int my_slot(void)
{
    long generation = atomic_load(&counter.generation);
    if (mine.generation != generation) {
        mine.generation = generation;
        mine.slot = atomic_fetch_add(&counter.threads, 1);
        if (mine.slot < ALLOC_COUNT_MAX_THREADS) {
            counter.slot[mine.slot].tid = (int)syscall(SYS_gettid);
            prctl(PR_GET_NAME, counter.slot[mine.slot].name);
        }
    }
    return mine.slot;
}

static void count(const char *function)
{
    if (!atomic_load_explicit(&counter.armed, memory_order_relaxed) || mine.inside)
        return;
    mine.inside = true;
    atomic_fetch_add(&counter.calls, 1);
    int slot = my_slot();
    if (slot < ALLOC_COUNT_MAX_THREADS)
        atomic_fetch_add(&counter.slot[slot].calls, 1);
    if (counter.trace) {
        void *frames[32];
        ssize_t ignored = write(2, function, strlen(function));
        ignored = write(2, "\n", 1);
        (void)ignored;
        backtrace_symbols_fd(frames, backtrace(frames, 32), 2);
    }
    mine.inside = false;
}

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t number, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size)
{
    count("malloc");
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    count("calloc");
    return __libc_calloc(number, size);
}

void *realloc(void *block, size_t size)
{
    count("realloc");
    return __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size)
{
    count("memalign");
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    count("aligned_alloc");
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    count("posix_memalign");
    if (alignment % sizeof(void *) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0)
        return EINVAL;
    int saved = errno;
    void *result = __libc_memalign(alignment, size);
    errno = saved;
    if (result == NULL)
        return ENOMEM;
    *block = result;
    return 0;
}

void *mmap(void *address, size_t length, int protection, int flags, int file, off_t offset)
{
    count("mmap");
    /* The system call returns an address or -1: the C library's own promise. */
    return (void *)(intptr_t)syscall(SYS_mmap, address, length, protection, flags, file, offset); // NOLINT
}

void *mmap64(void *address, size_t length, int protection, int flags, int file, off64_t offset)
{
    return mmap(address, length, protection, flags, file, offset);
}

#endif
