/* The allocator's fault, and the pool of buffers: sizes, recycling without malloc, counts, threads. */
#include "support/facula_test.h"

#include "base/memory.h"

#include <pthread.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int setup(void **unused)
{
    (void)unused;
    fa_memory_fail_after(0);
    fa_buffer_pool_trim();
    return 0;
}

static size_t in_use(void)
{
    size_t used, pooled;
    fa_buffer_usage(&used, &pooled);
    return used;
}

static size_t pooled(void)
{
    size_t used, kept;
    fa_buffer_usage(&used, &kept);
    return kept;
}

static void test_checked_sizes(void **unused)
{
    (void)unused;
    size_t out = 0;
    assert_true(fa_mul_size(3, 5, &out) && out == 15);
    assert_true(fa_add_size(3, 5, &out) && out == 8);
    assert_false(fa_mul_size(SIZE_MAX / 2, 3, &out));
    assert_false(fa_add_size(SIZE_MAX, 1, &out));
}

static void test_fault(void **unused)
{
    (void)unused;
    fa_memory_fail_after(3);
    void *a = fa_malloc(10), *b = fa_calloc(2, 8);
    assert_non_null(a);
    assert_non_null(b);
    assert_int_equal(((char *)b)[15], 0);
    assert_null(fa_realloc(a, 20));
    assert_null(fa_malloc(1));
    assert_null(fa_calloc(1, 1));
    assert_null(fa_strdup("text"));
    assert_null(fa_buffer_new(100));
    fa_memory_fail_after(0);
    a = fa_realloc(a, 20);
    assert_non_null(a);
    char *text = fa_strdup("text");
    assert_string_equal(text, "text");
    fa_mfree(text);
    fa_mfree(a);
    fa_mfree(b);
    fa_mfree(NULL);
    void *nothing = fa_malloc(0);
    assert_non_null(nothing);
    fa_mfree(nothing);
    assert_null(fa_calloc(SIZE_MAX / 2, 4));
}

/* Aligned, large enough, and at most an eighth (64 bytes for small ones) larger than asked. */
static void test_sizes(void **unused)
{
    (void)unused;
    uint64_t random = test_seed(1);
    for (int i = 0; i < 2000; i++) {
        size_t bytes = i < 1100 ? (size_t)i : (size_t)test_random_int(&random, 0, (int64_t)1 << (10 + i % 14));
        fa_buffer *buffer = fa_buffer_new(bytes);
        assert_non_null(buffer);
        assert_int_equal((uintptr_t)buffer->data % FA_ALIGNMENT, 0);
        assert_int_equal(buffer->bytes, bytes);
        assert_false(buffer->borrowed);
        assert_true(buffer->capacity >= bytes && buffer->capacity > 0);
        assert_true(buffer->capacity <= bytes + bytes / 8 + FA_ALIGNMENT);
        memset(buffer->data, 1, buffer->capacity);
        fa_buffer_release(buffer);
    }
    assert_null(fa_buffer_new(SIZE_MAX));
    assert_null(fa_buffer_new(SIZE_MAX / 2));
    assert_null(fa_buffer_new(((size_t)1 << 47) + 1));
}

/* Once sizes have been seen, they are served with every system allocation failing. */
static void test_recycling(void **unused)
{
    (void)unused;
    static const size_t sizes[] = {1, 65, 500, 513, 4096, 5000, 100000, 3000001, 64u << 20};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    fa_buffer *buffer[COUNT];
    void *data[COUNT];
    for (int round = 0; round < 3; round++) {
        fa_memory_fail_after(round == 0 ? 0 : 1);
        for (int i = 0; i < COUNT; i++) {
            buffer[i] = fa_buffer_new(sizes[i]);
            assert_non_null(buffer[i]);
            assert_int_equal(buffer[i]->bytes, sizes[i]);
            assert_int_equal(atomic_load(&buffer[i]->refs), 1);
            if (round == 0)
                data[i] = buffer[i]->data;
            else
                assert_ptr_equal(buffer[i]->data, data[i]);
        }
        for (int i = 0; i < COUNT; i++)
            fa_buffer_release(buffer[i]);
    }
    /* Another size of the same class: 4999 and 5000 both lie in (4608, 5120]. */
    buffer[0] = fa_buffer_new(4999);
    assert_ptr_equal(buffer[0]->data, data[5]);
    fa_buffer_release(buffer[0]);
    assert_null(fa_buffer_new(7000)); /* a class not seen */
    fa_memory_fail_after(0);
}

static void test_references_and_counts(void **unused)
{
    (void)unused;
    size_t before = in_use();
    assert_int_equal(pooled(), 0);
    fa_buffer *buffer = fa_buffer_new(1000);
    size_t capacity = buffer->capacity;
    assert_int_equal(in_use(), before + capacity);
    assert_ptr_equal(fa_buffer_retain(buffer), buffer);
    fa_buffer_release(buffer);
    assert_int_equal(in_use(), before + capacity);
    assert_int_equal(pooled(), 0);
    fa_buffer_release(buffer);
    assert_int_equal(in_use(), before);
    assert_int_equal(pooled(), capacity);
    fa_buffer_pool_trim();
    assert_int_equal(pooled(), 0);
    fa_buffer_release(NULL);
    assert_null(fa_buffer_retain(NULL));
}

static void test_borrowed(void **unused)
{
    (void)unused;
    float mine[4] = {1, 2, 3, 4};
    fa_buffer *buffer = fa_buffer_borrow(mine, sizeof mine);
    assert_true(buffer->borrowed);
    assert_ptr_equal(buffer->data, mine);
    assert_int_equal(buffer->bytes, sizeof mine);
    fa_buffer_release(buffer);
    assert_true(mine[3] == 4);
    fa_memory_fail_after(1);
    buffer = fa_buffer_borrow(mine, sizeof mine); /* its header is recycled too */
    assert_non_null(buffer);
    fa_buffer_release(buffer);
    buffer = fa_buffer_new(8);
    assert_non_null(buffer);
    assert_ptr_not_equal(buffer->data, mine);
    assert_false(buffer->borrowed);
    fa_memory_fail_after(0);
    fa_buffer_release(buffer);
}

static fa_buffer *shared;

static void *take_and_give(void *seed)
{
    uint64_t random = (uint64_t)(uintptr_t)seed;
    for (int i = 0; i < 3000; i++) {
        size_t bytes = (size_t)test_random_int(&random, 8, 4000);
        fa_buffer *buffer = fa_buffer_new(bytes);
        memset(buffer->data, i, bytes);
        if (((unsigned char *)buffer->data)[bytes - 1] != (unsigned char)i)
            return NULL;
        fa_buffer_release(fa_buffer_retain(shared));
        fa_buffer_release(buffer);
    }
    return seed;
}

static void test_threads(void **unused)
{
    (void)unused;
    size_t before = in_use();
    shared = fa_buffer_new(10);
    pthread_t thread[4];
    for (uintptr_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, take_and_give, (void *)(i + 1)), 0);
    for (int i = 0; i < 4; i++) {
        void *result;
        pthread_join(thread[i], &result);
        assert_non_null(result);
    }
    assert_int_equal(atomic_load(&shared->refs), 1);
    fa_buffer_release(shared);
    assert_int_equal(in_use(), before);
}

static atomic_bool enough;

static void *use_the_pool(void *unused)
{
    while (!atomic_load(&enough))
        fa_buffer_release(fa_buffer_new(100));
    return unused;
}

/* A child made while another thread is inside the pool can use it. */
static void test_fork(void **unused)
{
    (void)unused;
    if (FA_SANITIZED)
        skip();
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, use_the_pool, NULL), 0);
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        if (child == 0) {
            alarm(20); /* a child that hangs ends with a signal */
            fa_buffer_release(fa_buffer_new(100));
            _exit(0);
        }
        int status = -1;
        waitpid(child, &status, 0);
        assert_int_equal(status, 0);
    }
    atomic_store(&enough, true);
    pthread_join(thread, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_checked_sizes, setup),
        cmocka_unit_test_setup(test_fault, setup),
        cmocka_unit_test_setup(test_sizes, setup),
        cmocka_unit_test_setup(test_recycling, setup),
        cmocka_unit_test_setup(test_references_and_counts, setup),
        cmocka_unit_test_setup(test_borrowed, setup),
        cmocka_unit_test_setup(test_threads, setup),
        cmocka_unit_test_setup(test_fork, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
