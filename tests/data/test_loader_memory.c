/* O20: memory of loops over pictures: flat over ten epochs, for any number of workers, and no more than the
 * batches that may be ahead. */
#include "support/facula_test.h"

#include "base/memory.h"
#include "data/object.h"
#include "facula.h"

#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ITEMS = 144, SIDE = 96, BATCH = 16, WARM_UP = 4, SPAN = 10, SPANS = 2 };

static const char *const names[] = {"jpeg_420_0.jpg", "png_smooth.png", "jpeg_progressive.jpg",
                                    "jpeg_cmyk.jpg",  "pnm_p6.ppm",     "png_c3_8.png"};

static int64_t length(void *user)
{
    (void)user;
    return ITEMS;
}

static bool item(void *user, int64_t index, fa_sample *sample)
{
    char path[4096];
    snprintf(path, sizeof path, FA_SOURCE_DIR "/tests/golden/pictures/%s", names[index % 6]);
    if (index % 24 == 11) { /* and some that are left out */
        fa_raise(FA_FILE_ERROR, "picture %d is gone", (int)index);
        return false;
    }
    return fa_sample_picture(sample, path, user) && fa_sample_label(sample, index);
}

/* Bytes of memory that are in use by the process (RssAnon), in KiB. */
static long anonymous_kib(void)
{
    long kib = -1;
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "RssAnon: %ld", &kib) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return kib;
}

/* The most memory in use, and the least growth of one of the spans of ten epochs: a worker may come to its first large
 * picture late, once; what leaks does so in each span. */
static long epochs_of(int workers, long *grown)
{
    fa_transform *t = fa_compose(fa_random_rotation(20, .expand = true), fa_random_resized_crop(SIDE),
                                 fa_random_horizontal_flip(), fa_color_jitter(0.2, 0.2, 0.2, 0.1), fa_to_tensor());
    fa_loader *loader =
        fa_data_loader(fa_dataset_new(t, .length = length, .item = item), .batch_size = BATCH, .shuffle = true,
                       .num_workers = workers, .on_bad_item = FA_BAD_ITEM_SKIP, .max_bad_items = 20);
    long early = 0, most = 0, span_most = 0;
    *grown = LONG_MAX;
    for (int epoch = 0; epoch < WARM_UP + SPANS * SPAN; epoch++) {
        fa_for_each_batch (b, loader)
            assert_true(((const float *)fa_data(b.images))[0] >= 0);
        assert_string_equal(fa_error(), "");
        assert_int_equal(fa_loader_bad_items(loader), ITEMS / 24);
        long now = anonymous_kib();
        most = now > most ? now : most;
        span_most = now > span_most ? now : span_most;
        if (epoch + 1 < WARM_UP || (epoch + 1 - WARM_UP) % SPAN > 0)
            continue;
        if (epoch >= WARM_UP && span_most - early < *grown)
            *grown = span_most - early;
        early = span_most = now;
    }
    fa_free(loader), fa_free(t);
    assert_int_equal(fa_object_count(), 0);
    return most;
}

static void test_flat(void **state)
{
    (void)state;
    if (FA_SANITIZED || FA_EMULATED || anonymous_kib() < 0)
        return;
    static const int workers[] = {0, 3, 8};
    const long batch_kib = BATCH * 3L * SIDE * SIDE * 4 / 1024;
    long without = 0;
    for (int w = 0; w < 3; w++) {
        long grown, most = epochs_of(workers[w], &grown);
        without = w == 0 ? most : without;
        print_message("%d workers: %ld KiB, grown by %ld KiB in %d epochs\n", workers[w], most, grown, SPAN);
        if (grown > most / 10) /* the allocator's own; a picture lost in each batch would be more */
            fail_msg("%d workers: grown by %ld KiB in %d epochs", workers[w], grown, SPAN);
        /* ahead: a worker's two batches, pixels that wait for their draws, and its reader */
        const long allowed = without + workers[w] * (2 * batch_kib * 3 / 2 + 1024);
        if (most > allowed)
            fail_msg("%d workers: %ld KiB, %ld are allowed", workers[w], most, allowed);
        fa_buffer_pool_trim();
        malloc_trim(0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_flat)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
