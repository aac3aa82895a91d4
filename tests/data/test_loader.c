/* Data sets, samplers and the loader: PyTorch's orders and draws (tests/golden/data_golden.inc), the same batches for
 * any number of workers, errors of items, leaving early, and who holds what. */
#include "support/facula_test.h"

#include "base/generator.h"
#include "base/memory.h"
#include "data/object.h"
#include "facula/data.h"
#include "support/alloc_count.h"

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

typedef struct golden_loader {
    int seed, generator_seed;
    int64_t n, batch_size;
    int shuffle, drop_last, sampler;
    int64_t num_samples;
    int take;
    int64_t length;
    const int16_t *batches;
    const int64_t *drawn;
    int64_t then[2];
} golden_loader;

typedef struct golden_split {
    int64_t n;
    int generator_seed, count;
    double lengths[FA_MAX_PARTS];
    int64_t sizes[FA_MAX_PARTS];
    const int16_t *order;
    int64_t then;
} golden_split;

#include "golden/data_golden.inc"

enum { NONE, SEQUENTIAL, RANDOM, REPLACED, SUBSET, EPOCHS = 3 };

static const int worker_counts[] = {0, 1, 3, 8};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Every test leaves no error and no object behind. */
static int clean(void **state)
{
    (void)state;
    fa_clear_error();
    return fa_object_count() == 0 ? 0 : -1;
}

/* ---- A data set of numbers --------------------------------------------------------------------------------------- */

typedef struct numbers {
    int64_t n;
    int64_t fails_at;  /* item whose callback raises; -1: none */
    int64_t silent_at; /* item whose callback returns false without a word */
    int64_t ragged_at; /* item of another shape */
    int64_t fewer_at;  /* item with a field less */
    int sleep_us;
    atomic_long calls;
    atomic_int destroyed;
} numbers;

static int64_t numbers_length(void *user)
{
    return ((numbers *)user)->n;
}

static bool numbers_item(void *user, int64_t i, fa_sample *sample)
{
    numbers *set = user;
    atomic_fetch_add(&set->calls, 1);
    if (set->sleep_us > 0)
        usleep((useconds_t)set->sleep_us);
    if (i == set->fails_at) {
        fa_raise(FA_FILE_ERROR, "picture%03d.png is damaged", (int)i);
        return false;
    }
    if (i == set->silent_at)
        return false;
    float image[2][3];
    for (int k = 0; k < 6; k++)
        image[k / 3][k % 3] = (float)(10 * i + k);
    if (!fa_sample_put(sample, FA_FLOAT32, i == set->ragged_at ? FA_SHAPE(3, 2) : FA_SHAPE(2, 3), image))
        return false;
    return i == set->fewer_at || fa_sample_label(sample, i);
}

static void numbers_destroy(void *user)
{
    atomic_fetch_add(&((numbers *)user)->destroyed, 1);
}

static void numbers_init(numbers *set, int64_t n)
{
    memset(set, 0, sizeof *set);
    set->n = n;
    set->fails_at = set->silent_at = set->ragged_at = set->fewer_at = -1;
}

static fa_dataset *numbers_dataset(numbers *set)
{
    return fa_dataset_new(set, .length = numbers_length, .item = numbers_item, .destroy = numbers_destroy);
}

/* ---- Orders and draws -------------------------------------------------------------------------------------------- */

static int64_t draw_word(fa_generator *generator)
{
    fa_generator *g = fa_generator_or_default(generator);
    int64_t word = fa_mt_random_int64(fa_generator_lock(g));
    fa_generator_unlock(g);
    return word;
}

static fa_sampler *make_sampler(const golden_loader *c, fa_dataset *data, fa_generator *g)
{
    switch (c->sampler) {
    case SEQUENTIAL:
        return fa_sequential_sampler(data);
    case RANDOM:
        return fa_random_sampler(data, .num_samples = c->num_samples, .generator = g);
    case REPLACED:
        return fa_random_sampler(data, .replacement = true, .num_samples = c->num_samples, .generator = g);
    case SUBSET:
        return fa_subset_random_sampler(golden_subset, (int64_t)COUNT(golden_subset), g);
    default:
        return NULL;
    }
}

static void check_golden(const golden_loader *c, int workers)
{
    numbers set;
    numbers_init(&set, c->n);
    fa_manual_seed((uint64_t)c->seed);
    fa_generator *g = NULL;
    if (c->generator_seed >= 0) {
        g = fa_generator_new();
        fa_generator_seed(g, (uint64_t)c->generator_seed);
    }
    fa_dataset *data = numbers_dataset(&set);
    fa_loader *loader =
        fa_data_loader(data, .batch_size = c->batch_size, .shuffle = c->shuffle != 0, .drop_last = c->drop_last != 0,
                       .num_workers = workers, .generator = g, .sampler = make_sampler(c, data, g));
    assert_true(fa_ok());
    assert_int_equal(fa_length(data), c->n);
    assert_int_equal(fa_length(loader), c->length);
    const int16_t *want = c->batches;
    const int64_t *drawn = c->drawn;
    for (int epoch = 0; epoch < EPOCHS; epoch++) {
        int64_t k = 0;
        if (c->drop_last && c->length == 0 && c->n > 0) { /* an error here, see test_sizes_that_do_not_divide */
            fa_loader_free(loader);
            fa_generator_release(g);
            return;
        }
        fa_for_each_batch (b, loader) {
            assert_int_equal(b.index, k);
            assert_int_equal(b.n, 2);
            assert_int_equal(b.size, *want);
            assert_int_equal(fa_size(b.images, 0), b.size);
            const int64_t *label = fa_data(b.labels);
            const float *image = fa_data(b.images);
            for (int64_t i = 0; i < b.size; i++) {
                assert_int_equal(label[i], want[1 + i]);
                assert_true(image[6 * i] == (float)(10 * label[i]) && image[6 * i + 5] == (float)(10 * label[i] + 5));
            }
            want += 1 + *want;
            assert_int_equal(draw_word(g), *drawn++);
            if (++k == c->take)
                break;
        }
        assert_true(fa_ok());
    }
    assert_int_equal(*want, -1);
    assert_int_equal(draw_word(NULL), c->then[0]);
    assert_int_equal(draw_word(g), c->then[1]);
    fa_loader_free(loader);
    fa_generator_release(g);
}

static void test_golden_orders(void **state)
{
    (void)state;
    for (size_t w = 0; w < COUNT(worker_counts); w++)
        for (size_t i = 0; i < COUNT(golden_loaders); i++)
            check_golden(&golden_loaders[i], worker_counts[w]);
}

/* O17: n items in batches of b; a loop that drop_last leaves nothing to train on is an error, at once. */
static void test_sizes_that_do_not_divide(void **state)
{
    (void)state;
    static const struct {
        int64_t n, batch, drop_last, batches, last;
    } cases[] = {{60000, 64, 0, 938, 32}, {60000, 64, 1, 937, 64}, {40, 128, 0, 1, 40}, {40, 128, 1, -1, 0},
                 {1, 1, 0, 1, 1},         {1, 1, 1, 1, 1},         {0, 4, 0, 0, 0},     {0, 4, 1, 0, 0}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        numbers set;
        numbers_init(&set, cases[i].n);
        fa_loader *loader =
            fa_data_loader(numbers_dataset(&set), .batch_size = cases[i].batch, .drop_last = cases[i].drop_last != 0);
        int64_t batches = 0, last = 0;
        fa_for_each_batch (b, loader) {
            batches++;
            last = b.size;
        }
        if (cases[i].batches < 0) {
            assert_contains(fa_error(), "got 40 items for batches of 128 with drop_last");
            fa_clear_error();
        } else {
            assert_true(fa_ok());
            assert_int_equal(batches, cases[i].batches);
            assert_int_equal(last, cases[i].last);
        }
        fa_loader_free(loader);
    }
}

/* O19: threads need no file handles: eight workers, every batch kept, 64 handles. */
static void test_few_file_handles(void **state)
{
    (void)state;
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    numbers set;
    numbers_init(&set, 2000);
    fa_loader *loader = fa_data_loader(numbers_dataset(&set), .batch_size = 4, .num_workers = 8);
    int64_t kept = 0;
    fa_scope
        for (int epoch = 0; epoch < 2; epoch++)
            fa_for_each_batch (b, loader)
                kept += fa_keep(b.images) != NULL;
    assert_true(fa_ok());
    assert_int_equal(kept, 1000);
    fa_loader_free(loader);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_golden_splits(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(golden_splits); i++) {
        const golden_split *c = &golden_splits[i];
        numbers set;
        numbers_init(&set, c->n);
        fa_manual_seed(6);
        fa_generator *g = NULL;
        if (c->generator_seed >= 0) {
            g = fa_generator_new();
            fa_generator_seed(g, (uint64_t)c->generator_seed);
        }
        fa_dataset *part[FA_MAX_PARTS];
        fa_random_split_args args = {
            .dataset = numbers_dataset(&set), .parts = part, .count = c->count, .where_ = FA_HERE, .generator = g};
        memcpy(args.lengths, c->lengths, sizeof args.lengths);
        assert_true(fa_random_split_at(&args));
        const int16_t *order = c->order;
        for (int p = 0; p < c->count; p++) {
            assert_int_equal(fa_length(part[p]), c->sizes[p]);
            for (int64_t k = 0; k < c->sizes[p]; k++)
                fa_scope
                    assert_int_equal(*(const int64_t *)fa_data(fa_dataset_get(part[p], k).labels), *order++);
        }
        assert_int_equal(draw_word(NULL), c->then);
        for (int p = 0; p < c->count; p++)
            fa_dataset_free(part[p]);
        assert_int_equal(set.destroyed, 1);
        fa_generator_release(g);
    }
    numbers set;
    numbers_init(&set, 10);
    fa_dataset *data = numbers_dataset(&set), *part[2];
    assert_false(fa_random_split(data, part, 2, {3, 8}));
    assert_int_equal(fa_error_code(), FA_VALUE_ERROR);
    assert_contains(fa_error(), "11");
    assert_contains(fa_error(), "10");
    assert_null(part[0]);
    fa_clear_error();
    assert_true(fa_random_split(data, part, 2, {3, 7}));
    fa_dataset_free(part[0]);
    fa_dataset_free(part[1]);
}

/* ---- The same for any number of workers -------------------------------------------------------------------------- */

static uint64_t hash_pass(fa_loader *loader, uint64_t hash)
{
    fa_for_each_batch (b, loader)
        for (int f = 0; f < b.n; f++) {
            const uint8_t *bytes = fa_data(b.item[f]);
            int64_t count = fa_numel(b.item[f]) * (f == 0 ? 4 : 8);
            for (int64_t i = 0; i < count; i++)
                hash = (hash ^ bytes[i]) * 0x100000001b3u;
        }
    return hash;
}

static void test_workers_agree(void **state)
{
    (void)state;
    uint64_t want = 0;
    for (size_t w = 0; w < COUNT(worker_counts); w++) {
        numbers set;
        numbers_init(&set, 203);
        fa_manual_seed(9);
        fa_loader *loader = fa_data_loader(numbers_dataset(&set), .batch_size = 8, .shuffle = true,
                                           .num_workers = worker_counts[w], .prefetch_factor = 1 + (int)w);
        uint64_t hash = 1;
        for (int epoch = 0; epoch < 2; epoch++)
            hash = hash_pass(loader, hash);
        assert_true(fa_ok());
        assert_int_equal(set.calls, 2 * 203);
        if (w == 0)
            want = hash;
        assert_int_equal(hash, want);
        fa_loader_free(loader);
        assert_int_equal(set.destroyed, 1);
    }
}

static int64_t find(fa_loader *loader, int64_t wanted)
{
    fa_for_each_batch (b, loader) {
        const int64_t *label = fa_data(b.labels);
        for (int64_t i = 0; i < b.size; i++)
            if (label[i] == wanted)
                return b.index;
    }
    return -1;
}

static void test_leaving_early(void **state)
{
    (void)state;
    for (size_t w = 0; w < COUNT(worker_counts); w++) {
        numbers set;
        numbers_init(&set, 1000);
        set.sleep_us = 20;
        fa_loader *loader = fa_data_loader(numbers_dataset(&set), .batch_size = 10, .num_workers = worker_counts[w]);
        assert_int_equal(find(loader, 25), 2);
        assert_int_equal(find(loader, 0), 0);
        fa_for_each_batch (b, loader) {
            if (b.index < 1)
                continue;
            break;
        }
        fa_for_each_batch (b, loader)
            if (b.index == 3)
                fa_loader_free(loader); /* the loop holds it to its end */
        assert_true(set.calls < 2000);
        assert_int_equal(set.destroyed, 1);
        assert_true(fa_ok());
    }
}

/* ---- Errors ------------------------------------------------------------------------------------------------------ */

/* Batches that came before the error. */
static int64_t batches_until_error(numbers *set, int workers)
{
    fa_loader *loader = fa_data_loader(numbers_dataset(set), .batch_size = 5, .num_workers = workers);
    int64_t count = 0;
    fa_for_each_batch (b, loader)
        count++;
    assert_false(fa_ok());
    fa_for_each_batch (b, loader)
        fail_msg("a loop began in spite of an error");
    fa_loader_free(loader);
    return count;
}

static void test_errors_of_items(void **state)
{
    (void)state;
    for (size_t w = 0; w < COUNT(worker_counts); w++) {
        numbers set;
        numbers_init(&set, 30);
        set.fails_at = 17;
        assert_int_equal(batches_until_error(&set, worker_counts[w]), 3);
        assert_int_equal(fa_error_code(), FA_FILE_ERROR);
        assert_contains(fa_error(), "picture017.png is damaged");
        assert_contains(fa_error(), "item 17");
        assert_contains(fa_error(), "test_loader.c:");
        fa_clear_error();

        numbers_init(&set, 30);
        set.silent_at = 4;
        assert_int_equal(batches_until_error(&set, worker_counts[w]), 0);
        assert_int_equal(fa_error_code(), FA_DATA_ERROR);
        assert_contains(fa_error(), "item 4");
        fa_clear_error();

        numbers_init(&set, 30);
        set.ragged_at = 12;
        assert_int_equal(batches_until_error(&set, worker_counts[w]), 2);
        assert_contains(fa_error(), "item 12");
        assert_contains(fa_error(), "[3, 2]");
        assert_contains(fa_error(), "item 10");
        assert_contains(fa_error(), "[2, 3]");
        fa_clear_error();

        numbers_init(&set, 30);
        set.fewer_at = 7;
        assert_int_equal(batches_until_error(&set, worker_counts[w]), 1);
        assert_contains(fa_error(), "item 7");
        fa_clear_error();
    }
}

static void test_wrong_arguments(void **state)
{
    (void)state;
    numbers set, empty;
    numbers_init(&set, 4);
    numbers_init(&empty, 0);
    fa_dataset *data = numbers_dataset(&set), *none = numbers_dataset(&empty);
    fa_sampler *order = fa_sequential_sampler(data);
#define REFUSED(expression, part)                                                                                      \
    do {                                                                                                               \
        assert_false(expression);                                                                                      \
        assert_contains(fa_error(), part);                                                                             \
        assert_contains(fa_error(), "test_loader.c");                                                                  \
        fa_clear_error();                                                                                              \
    } while (0)
    REFUSED(fa_data_loader(data, .batch_size = 0), "batch_size 0");
    REFUSED(fa_data_loader(data, .num_workers = -1), "num_workers -1");
    REFUSED(fa_data_loader(data, .prefetch_factor = 0), "prefetch_factor 0");
    REFUSED(fa_data_loader(data, .shuffle = true, .sampler = order), "sampler");
    REFUSED(fa_data_loader(none, .shuffle = true), "0 items");
    REFUSED(fa_data_loader(NULL), "data set");
    REFUSED(fa_random_sampler(data, .num_samples = 0), "0 samples");
    REFUSED(fa_subset(data, ((int64_t[]){0, 4}), 2), "index 4");
    REFUSED(fa_dataset_new(NULL, .length = numbers_length), "item");
    REFUSED(fa_dataset_get(data, 4).n, "index 4");
    REFUSED(fa_dataset_get(data, -5).n, "index -5");
    fa_sampler *beyond = fa_subset_random_sampler(((int64_t[]){1, 9}), 2, NULL);
    fa_loader *loader = fa_data_loader(data, .sampler = beyond, .batch_size = 2);
    fa_for_each_batch (b, loader)
        fail_msg("index 9 of 4 items");
    REFUSED(fa_ok(), "index 9");
    fa_loader_free(loader);

    loader = fa_data_loader(fa_dataset_retain(data), .sampler = order);
    fa_for_each_batch (b, loader)
        fa_for_each_batch (inner, loader)
            fail_msg("a loop in a loop");
    REFUSED(fa_ok(), "in a loop already");
    fa_loader_free(loader);
    fa_dataset_free(none);
    fa_dataset_free(data);
}

static jmp_buf back;

static void jump_out(fa_loader *loader, int64_t batch)
{
    fa_for_each_batch (b, loader)
        if (b.index == batch)
            longjmp(back, 1);
}

/* A jump out of a batch, and the scopes closed by hand: the loader is free again. */
static void test_longjmp(void **state)
{
    (void)state;
    numbers set;
    numbers_init(&set, 20);
    fa_loader *loader = fa_data_loader(numbers_dataset(&set), .batch_size = 2, .num_workers = 2);
    uint64_t mark = fa_scope_mark();
    if (setjmp(back) == 0)
        jump_out(loader, 2);
    fa_scope_reset(mark);
    assert_int_equal(find(loader, 19), 9);
    assert_true(fa_ok());
    if (setjmp(back) == 0)
        jump_out(loader, 0);
    fa_scope_reset(mark);
    fa_loader_free(loader);
    assert_int_equal(set.destroyed, 1);
}

/* ---- Who holds what ---------------------------------------------------------------------------------------------- */

static void test_holders(void **state)
{
    (void)state;
    numbers set;
    numbers_init(&set, 4);
    /* the loader alone holds it */
    fa_loader *loader = fa_data_loader(numbers_dataset(&set));
    fa_loader_free(loader);
    assert_int_equal(set.destroyed, 1);
    fa_loader_free(loader);
    /* two loaders, freed in any order, each name once */
    fa_dataset *data = numbers_dataset(&set);
    fa_loader *first = fa_data_loader(data), *second = fa_data_loader(data);
    fa_dataset_free(data);
    fa_loader_free(first);
    assert_int_equal(fa_length(second), 4);
    fa_loader_free(second);
    assert_int_equal(set.destroyed, 2);
    fa_dataset_free(data);
    /* an object that has ended is told */
    assert_null(fa_data_loader(data));
    assert_int_equal(fa_error_code(), FA_STATE_ERROR);
    assert_contains(fa_error(), "fa_dataset_retain");
    fa_clear_error();
    /* retained by the program */
    data = fa_dataset_retain(numbers_dataset(&set));
    fa_loader_free(fa_data_loader(data));
    assert_int_equal(set.destroyed, 2);
    fa_loader_free(fa_data_loader(fa_subset(data, ((int64_t[]){3, 1}), 2)));
    fa_dataset_free(data);
    assert_int_equal(set.destroyed, 3);
    /* never given to anything */
    fa_dataset_free(numbers_dataset(&set));
    assert_int_equal(set.destroyed, 4);
    /* many objects: headers are used again without mixing them up */
    for (int i = 0; i < 5000; i++)
        fa_loader_free(fa_data_loader(numbers_dataset(&set)));
    assert_int_equal(set.destroyed, 5004);
}

/* ---- Other data sets --------------------------------------------------------------------------------------------- */

static bool all_types_item(void *user, int64_t i, fa_sample *sample)
{
    (void)user;
    bool even = i % 2 == 0;
    uint8_t *room = fa_sample_room(sample, FA_UINT8, FA_SHAPE(2));
    if (room == NULL)
        return false;
    room[0] = (uint8_t)i;
    room[1] = (uint8_t)(i + 1);
    return fa_sample_number(sample, 0.5 * (double)i) && fa_sample_put(sample, FA_BOOL, FA_SCALAR, &even);
}

static int64_t five(void *user)
{
    (void)user;
    return 5;
}

static void test_collate_types(void **state)
{
    (void)state;
    fa_loader *loader = fa_data_loader(fa_dataset_new(NULL, .length = five, .item = all_types_item), .batch_size = 5);
    fa_for_each_batch (b, loader) {
        assert_int_equal(b.n, 3);
        assert_int_equal(fa_dtype_of(b.item[0]), FA_UINT8);
        assert_int_equal(fa_dtype_of(b.item[1]), FA_FLOAT64);
        assert_int_equal(fa_dtype_of(b.item[2]), FA_BOOL);
        assert_int_equal(fa_ndim(b.item[0]), 2);
        assert_int_equal(fa_ndim(b.item[1]), 1);
        assert_true(((const double *)fa_data(b.item[1]))[3] == 1.5);
        assert_int_equal(((const uint8_t *)fa_data(b.item[0]))[9], 5);
        assert_int_equal(((const uint8_t *)fa_data(b.item[2]))[4], 1);
    }
    assert_true(fa_ok());
    fa_loader_free(loader);
}

static void test_tensor_dataset(void **state)
{
    (void)state;
    float x[6][2];
    int64_t y[6];
    for (int i = 0; i < 6; i++) {
        x[i][0] = (float)i;
        x[i][1] = (float)-i;
        y[i] = 100 + i;
    }
    fa_dataset *data = NULL;
    fa_scope {
        fa_tensor *kept = fa_from_memory(x, FA_FLOAT32, FA_SHAPE(6, 2));
        fa_tensor *lent = fa_borrow(y, FA_INT64, FA_SHAPE(6));
        data = fa_tensor_dataset(kept, lent);
        assert_null(fa_tensor_dataset(kept, fa_from_memory(y, FA_INT64, FA_SHAPE(4))));
        assert_contains(fa_error(), "6 items");
        fa_clear_error();
    }
    y[2] = 0; /* the data set has its own copy of what was lent */
    fa_batch item = fa_dataset_get(data, -4);
    assert_int_equal(fa_ndim(item.images), 1);
    assert_int_equal(fa_ndim(item.labels), 0);
    assert_int_equal(*(const int64_t *)fa_data(item.labels), 102);
    int64_t indices[300];
    for (int i = 0; i < 300; i++)
        indices[i] = (i * 7) % 6;
    fa_loader *loader = fa_data_loader(fa_subset(data, indices, 300), .batch_size = 300, .num_workers = 2);
    fa_for_each_batch (b, loader)
        for (int i = 0; i < 300; i++) {
            assert_int_equal(((const int64_t *)fa_data(b.labels))[i], 100 + indices[i]);
            assert_true(((const float *)fa_data(b.images))[2 * i + 1] == (float)-indices[i]);
        }
    assert_true(fa_ok());
    fa_loader_free(loader);
}

/* An item that draws: the numbers are those of the looping thread, in order, whatever num_workers says. */
static bool drawing_item(void *user, int64_t i, fa_sample *sample)
{
    (void)user, (void)i;
    return fa_sample_label(sample, draw_word(NULL));
}

static void test_items_that_draw(void **state)
{
    (void)state;
    int64_t want[5] = {0};
    for (int workers = 0; workers < 3; workers += 2) {
        fa_manual_seed(3);
        fa_loader *loader = fa_data_loader(fa_dataset_new(NULL, .length = five, .item = drawing_item, .draws = true),
                                           .num_workers = workers);
        fa_for_each_batch (b, loader) {
            int64_t got = *(const int64_t *)fa_data(b.item[0]);
            if (workers == 0)
                want[b.index] = got;
            assert_int_equal(got, want[b.index]);
            draw_word(NULL); /* what a model draws between batches */
        }
        fa_loader_free(loader);
    }
    assert_int_not_equal(want[0], want[1]);
}

/* ---- Allocations ------------------------------------------------------------------------------------------------- */

static void test_steady_state(void **state)
{
    (void)state;
    if (!alloc_count_available())
        skip();
    for (int workers = 0; workers < 3; workers += 2) {
        numbers set;
        numbers_init(&set, 100);
        fa_loader *loader =
            fa_data_loader(numbers_dataset(&set), .batch_size = 8, .shuffle = true, .num_workers = workers);
        for (int epoch = 0; epoch < 3; epoch++)
            hash_pass(loader, 0);
        alloc_count_start();
        for (int epoch = 0; epoch < 3; epoch++)
            hash_pass(loader, 0);
        alloc_count_stop();
        assert_int_equal(alloc_count_here(), 0);
        fa_loader_free(loader);
    }
}

/* The n-th allocation fails: an error, no crash, nothing left over. */
static void test_no_memory(void **state)
{
    (void)state;
    for (int workers = 0; workers < 2; workers++)
        for (long n = 1; n < 12; n++) {
            numbers set;
            numbers_init(&set, 20);
            fa_buffer_pool_trim();
            fa_memory_fail_after(n);
            fa_dataset *data = numbers_dataset(&set);
            fa_loader *loader = fa_data_loader(data, .batch_size = 8, .num_workers = workers);
            int64_t batches = 0;
            fa_for_each_batch (b, loader)
                batches++;
            fa_memory_fail_after(0);
            assert_true(batches == 3 || !fa_ok());
            fa_loader_free(loader);
            fa_dataset_free(data);
            assert_int_equal(set.destroyed, 1);
            fa_clear_error();
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_golden_orders, clean),
        cmocka_unit_test_teardown(test_golden_splits, clean),
        cmocka_unit_test_teardown(test_workers_agree, clean),
        cmocka_unit_test_teardown(test_leaving_early, clean),
        cmocka_unit_test_teardown(test_errors_of_items, clean),
        cmocka_unit_test_teardown(test_wrong_arguments, clean),
        cmocka_unit_test_teardown(test_holders, clean),
        cmocka_unit_test_teardown(test_collate_types, clean),
        cmocka_unit_test_teardown(test_tensor_dataset, clean),
        cmocka_unit_test_teardown(test_items_that_draw, clean),
        cmocka_unit_test_teardown(test_steady_state, clean),
        cmocka_unit_test_teardown(test_no_memory, clean),
        cmocka_unit_test_teardown(test_longjmp, clean),
        cmocka_unit_test_teardown(test_sizes_that_do_not_divide, clean),
        cmocka_unit_test_teardown(test_few_file_handles, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
