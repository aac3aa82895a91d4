/* The allocator with its test fault, and the pool of buffers.
 *
 * A buffer is one block: the header, then `capacity` bytes at the next multiple of 64. Capacities come in classes eight
 * to a power of two (at most 12.5 % apart), so that a freed block serves every size of its class; each class has a list
 * of free blocks, all behind one mutex. */
#define _DEFAULT_SOURCE /* madvise */
#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    HEADER_BYTES = FA_ALIGNMENT,
    HUGE_PAGE = 2 << 20,
    SMALL_LOG2 = 9, /* up to 512 bytes: multiples of 64, the first eight classes */
    LARGEST_LOG2 = 47,
    CLASS_COUNT = (LARGEST_LOG2 - SMALL_LOG2 + 1) * 8
};
_Static_assert(sizeof(fa_buffer) <= HEADER_BYTES, "the header fits before the data");

/* ---- Allocator --------------------------------------------------------------------------------------------------- */

/* 0: no fault; 1: every allocation fails; n: n - 1 more succeed. */
static atomic_long allocations_left;

static bool must_fail(void)
{
    long left = atomic_load_explicit(&allocations_left, memory_order_relaxed);
    while (left > 1)
        if (atomic_compare_exchange_weak_explicit(&allocations_left, &left, left - 1, memory_order_relaxed,
                                                  memory_order_relaxed))
            return false;
    return left == 1;
}

void fa_memory_fail_after(long n)
{
    atomic_store_explicit(&allocations_left, n < 0 ? 0 : n, memory_order_relaxed);
}

void *fa_malloc(size_t bytes)
{
    return must_fail() ? NULL : malloc(bytes ? bytes : 1);
}

void *fa_calloc(size_t count, size_t bytes)
{
    size_t product;
    if (!fa_mul_size(count, bytes, &product) || must_fail())
        return NULL;
    return calloc(product ? product : 1, 1);
}

void *fa_realloc(void *block, size_t bytes)
{
    return must_fail() ? NULL : realloc(block, bytes ? bytes : 1);
}

void fa_mfree(void *block)
{
    free(block);
}

char *fa_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = fa_malloc(bytes);
    return copy ? memcpy(copy, text, bytes) : NULL;
}

/* ---- Buffers ----------------------------------------------------------------------------------------------------- */

static struct {
    pthread_mutex_t lock;
    fa_buffer *free[CLASS_COUNT];
    size_t in_use, pooled;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* A child of fork must find the lock free and the lists whole. */
static void lock_pool(void)
{
    pthread_mutex_lock(&pool.lock);
}

static void unlock_pool(void)
{
    pthread_mutex_unlock(&pool.lock);
}

__attribute__((constructor)) static void guard_fork(void)
{
    pthread_atfork(lock_pool, unlock_pool, unlock_pool);
}

/* The class that serves `bytes`, and its capacity; -1 when no memory can be that large. */
static int class_of(size_t bytes, size_t *capacity)
{
    if (bytes <= (size_t)1 << SMALL_LOG2) {
        int index = bytes ? (int)((bytes - 1) / FA_ALIGNMENT) : 0;
        *capacity = (size_t)(index + 1) * FA_ALIGNMENT;
        return index;
    }
    if (bytes > (size_t)1 << LARGEST_LOG2)
        return -1;
    int log2 = 63 - __builtin_clzll((unsigned long long)bytes - 1); /* 2^log2 < bytes <= 2^(log2 + 1) */
    int shift = log2 - 3;
    size_t eighth = (bytes - 1) >> shift; /* 8 to 15 */
    *capacity = (eighth + 1) << shift;
    return (log2 - SMALL_LOG2 + 1) * 8 + (int)eighth - 8;
}

static void free_list(fa_buffer *buffer)
{
    while (buffer) {
        fa_buffer *next = buffer->next_free;
        free(buffer);
        buffer = next;
    }
}

void fa_buffer_pool_trim(void)
{
    fa_buffer *taken[CLASS_COUNT];
    lock_pool();
    memcpy(taken, pool.free, sizeof taken);
    memset(pool.free, 0, sizeof pool.free);
    pool.pooled = 0;
    unlock_pool();
    for (int i = 0; i < CLASS_COUNT; i++)
        free_list(taken[i]);
}

/* Large blocks lie on huge pages where the system has them: kernels that stream through megabytes would else wait for
 * page tables. */
static fa_buffer *block_from_system(size_t capacity)
{
    if (must_fail())
        return NULL;
    void *block = NULL;
    const bool huge = capacity >= 2 * (size_t)HUGE_PAGE;
    const size_t alignment = huge ? HUGE_PAGE : FA_ALIGNMENT;
    if (posix_memalign(&block, alignment, HEADER_BYTES + capacity) != 0) {
        fa_buffer_pool_trim();
        if (posix_memalign(&block, alignment, HEADER_BYTES + capacity) != 0)
            return NULL;
    }
#if defined(MADV_HUGEPAGE)
    if (huge) /* whole ones, so that no memory is taken that was not asked for; a refusal is no error */
        madvise(block, (HEADER_BYTES + capacity) / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    return block;
}

fa_buffer *fa_buffer_new(size_t bytes)
{
    size_t capacity;
    int index = class_of(bytes, &capacity);
    if (index < 0)
        return NULL;
    lock_pool();
    fa_buffer *buffer = pool.free[index];
    if (buffer) {
        pool.free[index] = buffer->next_free;
        pool.pooled -= capacity;
        pool.in_use += capacity;
    }
    unlock_pool();
    if (!buffer) {
        buffer = block_from_system(capacity);
        if (!buffer)
            return NULL;
        lock_pool();
        pool.in_use += capacity;
        unlock_pool();
    }
    atomic_init(&buffer->refs, 1);
    buffer->borrowed = false;
    buffer->bytes = bytes;
    buffer->capacity = capacity;
    buffer->data = (char *)buffer + HEADER_BYTES;
    buffer->next_free = NULL;
    buffer->end = NULL;
    buffer->owner = NULL;
    return buffer;
}

/* The header is a block of the smallest class, whose own bytes stay unused. */
fa_buffer *fa_buffer_borrow(void *data, size_t bytes)
{
    fa_buffer *buffer = fa_buffer_new(0);
    if (!buffer)
        return NULL;
    buffer->borrowed = true;
    buffer->bytes = bytes;
    buffer->data = data;
    return buffer;
}

static void end_part(fa_buffer *buffer)
{
    fa_buffer_release(buffer->owner);
}

fa_buffer *fa_buffer_part(fa_buffer *whole, size_t offset, size_t bytes)
{
    fa_buffer *part = fa_buffer_borrow((char *)whole->data + offset, bytes);
    if (part) {
        part->end = end_part;
        part->owner = fa_buffer_retain(whole);
    }
    return part;
}

fa_buffer *fa_buffer_retain(fa_buffer *buffer)
{
    if (buffer)
        atomic_fetch_add_explicit(&buffer->refs, 1, memory_order_relaxed);
    return buffer;
}

void fa_buffer_release(fa_buffer *buffer)
{
    if (!buffer || atomic_fetch_sub_explicit(&buffer->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (buffer->end)
        buffer->end(buffer);
    size_t capacity = buffer->capacity;
    int index = class_of(capacity, &capacity);
    lock_pool();
    buffer->next_free = pool.free[index];
    pool.free[index] = buffer;
    pool.in_use -= capacity;
    pool.pooled += capacity;
    unlock_pool();
}

void fa_buffer_usage(size_t *in_use, size_t *pooled)
{
    lock_pool();
    *in_use = pool.in_use;
    *pooled = pool.pooled;
    unlock_pool();
}

/* A program that ends leaves nothing behind for a leak checker to name. */
__attribute__((destructor)) static void trim_at_exit(void)
{
    fa_buffer_pool_trim();
}
