/* Samplers and batch samplers: lengths, mistakes, callbacks that fail, ownership, no memory. Their orders and draws are
 * in tests/support/number_cases.c and test_loader.c. */
#include "support/facula_test.h"

#include "base/memory.h"
#include "data/object.h"
#include "facula.h"

#include <math.h>
#include <string.h>

enum { ITEMS = 10 };

static int clean(void **state)
{
    (void)state;
    fa_clear_error();
    return fa_object_count() == 0 ? 0 : -1;
}

static int64_t ten(void *user)
{
    (void)user;
    return ITEMS;
}

static bool number(void *user, int64_t i, fa_sample *sample)
{
    (void)user;
    return fa_sample_label(sample, i);
}

static fa_dataset *numbers(void)
{
    return fa_dataset_new(NULL, .length = ten, .item = number);
}

/* A sampler whose callbacks misbehave on demand. */
typedef struct own {
    int64_t length, size;
    bool fails, silent;
    int destroyed;
} own;

static int64_t own_length(void *user)
{
    return ((own *)user)->length;
}

static bool own_order(void *user, int64_t *indices, int64_t n)
{
    const own *o = user;
    for (int64_t i = 0; i < n; i++)
        indices[i] = n - 1 - i;
    if (o->fails)
        fa_raise(FA_DATA_ERROR, "the list is lost");
    return !o->fails && !o->silent;
}

static int64_t own_batch(void *user, int64_t k, int64_t *indices)
{
    const own *o = user;
    indices[0] = k;
    if (o->fails)
        fa_raise(FA_DATA_ERROR, "the list is lost");
    return o->size;
}

static void own_destroy(void *user)
{
    ((own *)user)->destroyed++;
}

static int64_t count(fa_loader *loader)
{
    int64_t items = 0;
    fa_for_each_batch (b, loader)
        items += b.size;
    return items;
}

static void test_lengths(void **state)
{
    (void)state;
    const double weights[4] = {0, 1, 0.5, 3};
    const int64_t list[5] = {3, 3, 9, 0, 1};
    own o = {.length = 7, .size = 1};
    fa_sampler *sampler[] = {fa_weighted_random_sampler(weights, 4, 13),
                             fa_weighted_random_sampler(weights, 4, 3, .replacement = false), fa_list_sampler(list, 5),
                             fa_list_sampler(NULL, 0), fa_sampler_new(&o, .length = own_length, .order = own_order)};
    const int64_t length[] = {13, 3, 5, 0, 7};
    for (int s = 0; s < 5; s++)
        for (int drop = 0; drop < 2; drop++) {
            fa_sampler_retain(sampler[s]);
            fa_loader *loader = fa_data_loader(numbers(), .batch_sampler = fa_batch_sampler(sampler[s], 4, drop != 0),
                                               .num_workers = 2 * drop);
            assert_int_equal(fa_length(loader), drop ? length[s] / 4 : (length[s] + 3) / 4);
            assert_int_equal(count(loader), drop ? length[s] / 4 * 4 : length[s]);
            /* items, but no batch: an error */
            assert_int_equal(fa_error_code(), drop && length[s] > 0 && length[s] < 4 ? FA_VALUE_ERROR : 0);
            fa_clear_error();
            fa_free(loader);
        }
    for (int s = 0; s < 5; s++)
        fa_free(sampler[s]), fa_free(sampler[s]);
}

/* A callback's list may have another length in each pass; weights of 0 are never drawn. */
static void test_passes(void **state)
{
    (void)state;
    own o = {.length = 3};
    fa_loader *loader = fa_data_loader(
        numbers(), .sampler = fa_sampler_new(&o, .length = own_length, .order = own_order, .destroy = own_destroy));
    for (; o.length < 9; o.length += 3)
        assert_int_equal(count(loader), o.length);
    fa_free(loader);
    assert_int_equal(o.destroyed, 1);
    const double weights[4] = {0, 1, 0, 3};
    loader = fa_data_loader(numbers(), .batch_size = 500, .sampler = fa_weighted_random_sampler(weights, 4, 500));
    fa_for_each_batch (b, loader) {
        const int64_t *drawn = fa_data(b.item[0]);
        int64_t threes = 0;
        for (int i = 0; i < 500; i++) {
            assert_true(drawn[i] == 1 || drawn[i] == 3);
            threes += drawn[i] == 3;
        }
        assert_in_range(threes, 310, 440);
    }
    assert_true(fa_ok());
    fa_free(loader);
}

#define REFUSED(expression, part)                                                                                      \
    do {                                                                                                               \
        assert_null(expression);                                                                                       \
        assert_contains(fa_error(), part);                                                                             \
        assert_contains(fa_error(), "test_samplers.c:");                                                               \
        fa_clear_error();                                                                                              \
    } while (0)

static void test_mistakes(void **state)
{
    (void)state;
    const double weights[3] = {0, 1, 2}, negative[2] = {1, -1}, endless[2] = {1, INFINITY}, none[2] = {0, 0};
    own o = {.length = 1};
    REFUSED(fa_weighted_random_sampler(weights, 3, 0), "num_samples 0");
    REFUSED(fa_weighted_random_sampler(weights, 0, 3), "got 0 weights");
    REFUSED(fa_weighted_random_sampler(NULL, 3, 3), "needs at least 1 of each");
    REFUSED(fa_weighted_random_sampler(negative, 2, 3), "got weight -1 for item 1");
    REFUSED(fa_weighted_random_sampler(endless, 2, 3), "got weight inf for item 1");
    REFUSED(fa_weighted_random_sampler(none, 2, 3),
            "got 0 weights above 0, needs at least 1. Hint: an item of weight 0 is never drawn.");
    REFUSED(fa_weighted_random_sampler(none, 2, 1, .replacement = false), "and without replacement no item twice.");
    REFUSED(fa_weighted_random_sampler(weights, 3, 3, .replacement = false), "got 2 weights above 0, needs at least 3");
    REFUSED(fa_list_sampler(NULL, 3), "needs a list");
    REFUSED(fa_sampler_new(&o, .length = own_length, .destroy = own_destroy), "got no order callback");
    REFUSED(fa_batch_sampler_new(&o, .batch_size = 3, .batch = own_batch, .destroy = own_destroy), "got no length");
    REFUSED(fa_batch_sampler_new(&o, .length = own_length, .batch = own_batch, .destroy = own_destroy),
            "got batch_size 0");
    assert_int_equal(o.destroyed, 3);
    REFUSED(fa_batch_sampler(NULL, 4, false), "got no sampler (NULL)");
    fa_dataset *data = numbers();
    fa_sampler *sampler = fa_sequential_sampler(data);
    REFUSED(fa_batch_sampler(sampler, 0, false), "got batch_size 0");
    fa_batch_sampler *batches = fa_batch_sampler(sampler, 4, false);
    REFUSED(fa_data_loader(data, .batch_sampler = batches, .batch_size = 4), "a batch_sampler and batch_size");
    REFUSED(fa_data_loader(data, .batch_sampler = batches, .shuffle = true), "a batch_sampler and shuffle");
    REFUSED(fa_data_loader(data, .batch_sampler = batches, .sampler = sampler), "a batch_sampler and a sampler");
    REFUSED(fa_data_loader(data, .batch_sampler = batches, .drop_last = true), "a batch_sampler and drop_last");
    fa_free(batches), fa_free(sampler), fa_free(data);
}

static void expect_failure(fa_loader *loader, const char *part)
{
    assert_non_null(loader);
    count(loader);
    assert_false(fa_ok());
    assert_contains(fa_error(), part);
    assert_contains(fa_error(), "test_samplers.c:");
    fa_clear_error();
    fa_free(loader);
}

static int64_t label_at(const fa_batch *b, int64_t i)
{
    return ((const int64_t *)fa_data(b->item[0]))[i];
}

/* Indices from the end, in lists, samplers and subsets, as Python's. */
static void test_negative_indices(void **state)
{
    (void)state;
    const int64_t list[5] = {-1, 0, -10, 9, -2}, want[5] = {9, 0, 0, 9, 8}, inner[3] = {-1, -10, 4};
    const int64_t two[2] = {-1, -3}, outside[1] = {-11};
    for (int workers = 0; workers < 3; workers += 2) {
        fa_loader *loader =
            fa_data_loader(numbers(), .batch_size = 2, .sampler = fa_list_sampler(list, 5), .num_workers = workers);
        int64_t at = 0;
        fa_for_each_batch (b, loader)
            for (int64_t i = 0; i < b.size; i++)
                assert_int_equal(label_at(&b, i), want[at++]);
        assert_int_equal(at, 5);
        fa_free(loader);
        loader = fa_data_loader(fa_subset(numbers(), inner, 3), .sampler = fa_list_sampler(two, 2),
                                .num_workers = workers, .batch_size = 2);
        fa_for_each_batch (b, loader) {
            assert_int_equal(label_at(&b, 0), 4);
            assert_int_equal(label_at(&b, 1), 9);
        }
        fa_free(loader);
        expect_failure(fa_data_loader(numbers(), .sampler = fa_list_sampler(outside, 1), .num_workers = workers),
                       "got index -11, needs 0 to 9, or -10 to -1 from the end.");
    }
    fa_dataset *data = numbers();
    REFUSED(fa_subset(data, outside, 1), "got index -11 at place 0, needs 0 to 9, or -10 to -1");
    fa_free(data);
}

static void test_callbacks_that_fail(void **state)
{
    (void)state;
    for (int workers = 0; workers < 3; workers += 2) {
        own fails = {.length = 4, .size = 1, .fails = true}, silent = {.length = 4, .silent = true};
        own empty = {.length = 4, .size = 0}, large = {.length = 4, .size = 3}, negative = {.length = -1, .size = 1};
        own outside = {.length = 11};
        struct {
            own *o;
            bool batch;
            const char *part;
        } cases[] = {
            {&fails, false, "the list is lost"},         {&fails, true, "the list is lost"},
            {&silent, false, "false from the order"},    {&empty, true, "got 0 indices for batch 0"},
            {&large, true, "got 3 indices for batch 0"}, {&negative, false, "got length -1"},
            {&negative, true, "got length -1"},          {&outside, false, "got index 10, needs 0 to 9, or -10 to -1"}};
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            fa_loader *loader =
                cases[i].batch
                    ? fa_data_loader(numbers(), .num_workers = workers,
                                     .batch_sampler = fa_batch_sampler_new(cases[i].o, .length = own_length,
                                                                           .batch_size = 2, .batch = own_batch))
                    : fa_data_loader(numbers(), .num_workers = workers,
                                     .sampler = fa_sampler_new(cases[i].o, .length = own_length, .order = own_order));
            expect_failure(loader, cases[i].part);
        }
    }
}

static void test_no_memory(void **state)
{
    (void)state;
    const double weights[4] = {1, 1, 0.5, 3};
    int failures = 0;
    for (long n = 1; n < 60; n++) {
        own o = {.length = 7};
        fa_buffer_pool_trim();
        fa_memory_fail_after(n);
        fa_dataset *data = numbers();
        fa_sampler *weighted = fa_weighted_random_sampler(weights, 4, 13);
        fa_batch_sampler *batches = weighted != NULL ? fa_batch_sampler(weighted, 4, false) : NULL;
        fa_sampler *called = fa_sampler_new(&o, .length = own_length, .order = own_order, .destroy = own_destroy);
        fa_loader *loader = batches != NULL && data != NULL ? fa_data_loader(data, .batch_sampler = batches) : NULL;
        if (loader != NULL)
            count(loader);
        fa_memory_fail_after(0);
        failures += !fa_ok();
        assert_true(fa_ok() || fa_error_code() == FA_MEMORY_ERROR);
        fa_clear_error();
        fa_free(loader), fa_free(batches), fa_free(weighted), fa_free(called), fa_free(data);
        assert_int_equal(fa_object_count(), 0);
        assert_int_equal(o.destroyed, 1);
    }
    assert_in_range(failures, 10, 58);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_lengths, clean),
        cmocka_unit_test_teardown(test_passes, clean),
        cmocka_unit_test_teardown(test_mistakes, clean),
        cmocka_unit_test_teardown(test_negative_indices, clean),
        cmocka_unit_test_teardown(test_callbacks_that_fail, clean),
        cmocka_unit_test_teardown(test_no_memory, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
