/* Memory: checked sizes, and counted buffers from a recycling pool, so that a training step allocates nothing once its
 * sizes have been seen. */
#ifndef FA_BASE_MEMORY_H
#define FA_BASE_MEMORY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FA_ALIGNMENT = 64 };

/* a * b, a + b without overflow; false when it does not fit. */
static inline bool fa_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool fa_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

/* The library's allocator: malloc, calloc, realloc and free behind one name each, so that tests can make the n-th call
 * fail (fa_memory_fail_after). NULL when there is no memory; raises nothing. */
void *fa_malloc(size_t bytes);
void *fa_calloc(size_t count, size_t bytes);
void *fa_realloc(void *block, size_t bytes);
void fa_mfree(void *block);
char *fa_strdup(const char *text);
/* The n-th allocation from now on fails, and all after it; 0 switches the fault off. For tests. */
void fa_memory_fail_after(long n);

/* Bytes that lie in memory, 64-byte aligned, counted. Thread-safe. */
typedef struct fa_buffer {
    atomic_int refs;
    bool borrowed; /* `data` belongs to the user */
    size_t bytes, capacity;
    void *data;
    struct fa_buffer *next_free;
    void (*end)(struct fa_buffer *buffer); /* of borrowed data: called as the last reference goes; may be NULL */
    void *owner;                           /* its own */
} fa_buffer;

/* A buffer of at least `bytes`, not cleared, one reference; from the pool of freed ones if one fits. NULL: no memory.
 */
fa_buffer *fa_buffer_new(size_t bytes);
fa_buffer *fa_buffer_borrow(void *data, size_t bytes);
/* A part of a buffer, which it holds. NULL: no memory. */
fa_buffer *fa_buffer_part(fa_buffer *whole, size_t offset, size_t bytes);
fa_buffer *fa_buffer_retain(fa_buffer *buffer);
/* Drops a reference; the last one gives the memory back to the pool. NULL is fine. */
void fa_buffer_release(fa_buffer *buffer);
/* Returns everything the pool holds to the system. */
void fa_buffer_pool_trim(void);
/* Bytes in buffers in use and in the pool. */
void fa_buffer_usage(size_t *in_use, size_t *pooled);

/* Bytes that this process can still take before the kernel ends it, by what the machine has free and its control groups
 * allow; UINT64_MAX where nothing tells. `root` is put before /proc and /sys ("" or a test's folder). */
uint64_t fa_available_memory(const char *root);
/* As if so many bytes were left of this machine's, root ""; 0: as there are. For tests. */
void fa_set_available_memory(uint64_t bytes);

#endif
