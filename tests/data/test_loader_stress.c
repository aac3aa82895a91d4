/* The loader left at any time: random data sets, workers and policies; loops that end early, by an error, by a jump or
 * with the loader freed inside; loaders of several threads over one data set. Meant for the thread sanitizer and for
 * leaks; batches must be right nonetheless. */
#include "support/facula_test.h"

#include "base/memory.h"
#include "data/object.h"
#include "facula.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 8, THREADS = 4, LOOPS = 6 };

static int clean(void **state)
{
    (void)state;
    fa_clear_error();
    return fa_object_count() == 0 ? 0 : -1;
}

static int rounds(void)
{
    const char *cases = getenv("FACULA_TEST_CASES");
    return cases != NULL ? 4 * atoi(cases) : 2000;
}

/* ---- A data set some of whose items fail ------------------------------------------------------------------------- */

typedef struct items {
    int64_t n;
    int64_t every; /* each such item fails; 0: none */
    fa_transform *transform;
    atomic_int destroyed;
} items;

static int64_t items_length(void *user)
{
    return ((const items *)user)->n;
}

static bool is_bad(const items *set, int64_t index)
{
    return set->every > 0 && index % set->every == set->every - 1;
}

static bool items_item(void *user, int64_t index, fa_sample *sample)
{
    const items *set = user;
    uint8_t pixels[SIDE * SIDE];
    memset(pixels, (int)(index % 251), sizeof pixels);
    if (is_bad(set, index) && index % 2 == 0) {
        fa_raise(FA_FILE_ERROR, "item %d is broken", (int)index);
        return false;
    }
    if (!fa_sample_image(sample, pixels, SIDE, SIDE, 1, set->transform))
        return false;
    if (is_bad(set, index))
        return false;
    if (fa_sample_worker(sample) != NULL)
        ++*(int64_t *)fa_sample_worker(sample);
    return fa_sample_label(sample, index);
}

static void items_destroy(void *user)
{
    atomic_fetch_add(&((items *)user)->destroyed, 1);
}

static void items_name(void *user, int64_t index, char *text, size_t size)
{
    (void)user;
    snprintf(text, size, "item-%lld", (long long)index);
}

static int64_t counters[64];

static void *begin_counter(void *user, int worker)
{
    (void)user;
    counters[worker] = 0;
    return &counters[worker];
}

static void end_counter(void *user, void *state)
{
    (void)user;
    *(int64_t *)state = -1;
}

static bool stack(void *user, const fa_items *all, fa_sample *batch)
{
    (void)user;
    const int64_t n = fa_items_count(all);
    float *images = fa_sample_room(batch, FA_FLOAT32, FA_SHAPE(n, 1, SIDE, SIDE));
    int64_t *labels = images != NULL ? fa_sample_room(batch, FA_INT64, FA_SHAPE(n)) : NULL;
    for (int64_t i = 0; labels != NULL && i < n; i++) {
        memcpy(images + i * SIDE * SIDE, fa_items_field(all, i, 0).data, SIDE * SIDE * sizeof(float));
        memcpy(&labels[i], fa_items_field(all, i, 1).data, sizeof *labels);
    }
    return labels != NULL;
}

static uint64_t random_state;

static int below(int n)
{
    return (int)test_random_int(&random_state, 0, n - 1);
}

static fa_loader *random_loader(items *set, bool skip)
{
    fa_dataset *data =
        fa_dataset_new(set, .length = items_length, .item = items_item, .destroy = items_destroy, .name = items_name);
    const bool counted = below(2);
    fa_data_loader_args args = {.dataset = data,
                                .where_ = FA_HERE,
                                .batch_size = 1 + below(9),
                                .prefetch_factor = 1 + below(4),
                                .num_workers = below(6),
                                .shuffle = below(2),
                                .drop_last = below(2),
                                .on_bad_item = skip ? FA_BAD_ITEM_SKIP : FA_BAD_ITEM_STOP,
                                .max_bad_items = skip ? (below(2) ? set->n : 3) : INT64_MIN,
                                .collate = below(3) == 0 ? stack : NULL,
                                .worker_init = counted ? begin_counter : NULL,
                                .worker_end = counted ? end_counter : NULL};
    return fa_data_loader_at(&args);
}

static fa_transform *some_transform(bool draws)
{
    return draws ? fa_compose(fa_random_crop(SIDE, .padding = 1), fa_random_horizontal_flip(), fa_to_tensor())
                 : fa_to_tensor();
}

/* The batch holds good items: with a transform that draws nothing, the image tells the label. */
static void check_batch(const fa_batch *b, const items *set, bool draws)
{
    const int64_t *label = fa_data(b->labels);
    const float *image = fa_data(b->images);
    assert_int_equal(fa_size(b->images, 0), b->size);
    for (int64_t i = 0; i < b->size; i++) {
        assert_true(label[i] >= 0 && label[i] < set->n && !is_bad(set, label[i]));
        if (!draws)
            assert_true(image[i * SIDE * SIDE] == (float)(label[i] % 251) / 255);
    }
}

static jmp_buf out;

/* One loop, left in some way; `leave`: 0 not at all, 1 break, 2 a jump, 3 the loader freed, 4 a batch kept beyond it.
 */
static void one_loop(fa_loader *loader, const items *set, bool draws, int leave, int64_t at)
{
    fa_tensor *kept = NULL;
    int64_t size = 0;
    fa_for_each_batch (b, loader) {
        check_batch(&b, set, draws);
        if (b.index < at)
            continue;
        if (leave == 1)
            break;
        if (leave == 2)
            longjmp(out, 1);
        if (leave == 3)
            fa_free(loader);
        if (leave == 4 && kept == NULL) {
            kept = fa_keep(b.images);
            size = b.size;
        }
    }
    if (kept != NULL && fa_ok())
        assert_true(fa_numel(kept) == size * SIDE * SIDE && ((const float *)fa_data(kept))[0] >= 0);
}

static void test_left_at_any_time(void **state)
{
    (void)state;
    random_state = test_seed(20261125);
    for (int round = 0; round < rounds(); round++) {
        items set = {.n = 1 + below(60), .every = below(2) ? 0 : 2 + below(20)};
        const bool draws = below(2), skip = below(2);
        set.transform = some_transform(draws);
        fa_loader *loader = random_loader(&set, skip);
        assert_non_null(loader);
        volatile bool freed = false;
        for (volatile int epoch = 0; epoch < 1 + round % 3 && !freed; epoch++) {
            const int leave = below(5);
            const bool empty = fa_length(loader) == 0; /* drop_last leaves no batch */
            fa_scope {
                if (setjmp(out) == 0)
                    one_loop(loader, &set, draws, leave, below(8));
            }
            freed = leave == 3;
            if (empty)
                assert_int_equal(fa_error_code(), FA_VALUE_ERROR);
            else if (!fa_ok())
                assert_true(set.every > 0 && (fa_error_code() == FA_FILE_ERROR || fa_error_code() == FA_DATA_ERROR));
            fa_clear_error();
        }
        fa_free(loader), fa_free(set.transform);
        assert_int_equal(set.destroyed, 1);
        assert_int_equal(fa_object_count(), 0);
    }
}

/* ---- Several threads --------------------------------------------------------------------------------------------- */

typedef struct shared {
    fa_dataset *data;
    const items *set;
    atomic_long loops;
} shared;

static void *loop_on_thread(void *argument)
{
    shared *all = argument;
    fa_loader *loader = fa_data_loader(all->data, .batch_size = 3, .num_workers = 2, .shuffle = true,
                                       .on_bad_item = FA_BAD_ITEM_SKIP, .max_bad_items = 100);
    for (int epoch = 0; epoch < LOOPS; epoch++)
        fa_for_each_batch (b, loader) {
            check_batch(&b, all->set, true);
            if (b.index < 3 * epoch)
                continue;
            atomic_fetch_add(&all->loops, 1);
            break;
        }
    assert_true(fa_ok());
    fa_free(loader);
    return NULL;
}

static void test_loaders_of_threads(void **state)
{
    (void)state;
    items set = {.n = 60, .every = 7, .transform = some_transform(true)};
    shared all = {.set = &set};
    all.data =
        fa_dataset_retain(fa_dataset_new(&set, .length = items_length, .item = items_item, .destroy = items_destroy));
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, loop_on_thread, &all), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    assert_int_equal(all.loops, THREADS * LOOPS);
    fa_free(all.data), fa_free(set.transform);
    assert_int_equal(set.destroyed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_left_at_any_time, clean),
        cmocka_unit_test_teardown(test_loaders_of_threads, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
