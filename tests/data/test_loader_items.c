/* The loader and single items: bad ones left out or named, batches made by the program, state of workers, and how far
 * ahead of the program items are fetched; the same for any number of workers. */
#include "support/facula_test.h"

#include "base/generator.h"
#include "base/memory.h"
#include "data/object.h"
#include "facula.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const int worker_counts[] = {0, 1, 3, 8};
enum { COUNTS = 4 };

static int clean(void **state)
{
    (void)state;
    fa_clear_error();
    return fa_object_count() == 0 ? 0 : -1;
}

static uint64_t fnv(uint64_t hash, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
    return hash;
}

static int64_t draw_word(void)
{
    int64_t word = fa_mt_random_int64(fa_generator_lock(NULL));
    fa_generator_unlock(NULL);
    return word;
}

/* ---- Pictures, some of which fail -------------------------------------------------------------------------------- */

enum { SIDE = 6, FINE, MISSING, NO_LABEL, BEFORE_DRAWS, AFTER_DRAWS, SILENT, KINDS };

typedef struct shaky {
    int64_t n;
    fa_transform *transform;
    int (*kind)(int64_t index);
    bool named;
    atomic_long fetched;
} shaky;

static int64_t shaky_length(void *user)
{
    return ((shaky *)user)->n;
}

static bool shaky_item(void *user, int64_t index, fa_sample *sample)
{
    shaky *set = user;
    const int kind = set->kind(index);
    atomic_fetch_add(&set->fetched, 1);
    if (kind == SILENT)
        return false;
    if (kind == MISSING) {
        fa_raise(FA_FILE_ERROR, "picture %d is not there", (int)index);
        return false;
    }
    uint8_t pixels[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++)
        pixels[i] = (uint8_t)(index * 7 + i);
    if (kind == BEFORE_DRAWS || kind == AFTER_DRAWS)
        memset(pixels, kind, sizeof pixels);
    if (!fa_sample_image(sample, pixels, SIDE, SIDE, 1, set->transform))
        return false;
    if (kind == NO_LABEL) {
        fa_raise(FA_VALUE_ERROR, "picture %d has no label", (int)index);
        return false;
    }
    return fa_sample_label(sample, index);
}

static void shaky_name(void *user, int64_t index, char *text, size_t size)
{
    if (((shaky *)user)->named)
        snprintf(text, size, "shelf/%03d.png", (int)index);
}

static fa_dataset *shaky_dataset(shaky *set)
{
    return fa_dataset_new(set, .length = shaky_length, .item = shaky_item, .name = shaky_name);
}

/* A step that refuses pictures of one value. */
static bool refuse(void *user, const fa_image *in, const double *draws, fa_image *out)
{
    (void)draws;
    const uint8_t value = (uint8_t) * (const int *)user;
    const uint8_t *pixels = in->pixels;
    memcpy(out->pixels, pixels, (size_t)(in->height * in->width));
    if (pixels[0] == value && pixels[1] == value) {
        fa_raise(FA_VALUE_ERROR, "a picture of %d alone", value);
        return false;
    }
    return true;
}

static const int before = BEFORE_DRAWS, after = AFTER_DRAWS;

static fa_transform *shaky_transform(void)
{
    return fa_compose(fa_lambda((void *)&before, .apply = refuse), fa_random_crop(4),
                      fa_lambda((void *)&after, .apply = refuse), fa_random_horizontal_flip(), fa_to_tensor());
}

static int every_kind(int64_t index)
{
    return index % 5 == 3 ? MISSING + (int)(index / 5 % (KINDS - MISSING)) : FINE;
}

static int second_batch(int64_t index)
{
    return index >= 4 && index < 8 ? MISSING : FINE;
}

static int none_fine(int64_t index)
{
    (void)index;
    return MISSING;
}

static int all_fine(int64_t index)
{
    (void)index;
    return FINE;
}

static int only_17(int64_t index)
{
    return index == 17 ? MISSING : index == 22 ? NO_LABEL : FINE;
}

/* Two loops: a hash of all that they give, of the notes, and of the next draw; `left_out` of the last. */
static uint64_t two_loops(fa_loader *loader, int64_t *left_out)
{
    uint64_t hash = 0xcbf29ce484222325u;
    char notes[8192];
    fa_manual_seed(11);
    for (int epoch = 0; epoch < 2; epoch++) {
        fa_for_each_batch (b, loader) {
            assert_int_equal(fa_size(b.labels, 0), b.size);
            hash = fnv(hash, &b.index, sizeof b.index);
            hash = fnv(hash, &b.size, sizeof b.size);
            hash = fnv(hash, fa_data(b.labels), (size_t)b.size * sizeof(int64_t));
            hash = fnv(hash, fa_data(b.images), (size_t)fa_numel(b.images) * sizeof(float));
        }
        assert_string_equal(fa_error(), "");
        size_t length = fa_loader_notes(loader, notes, sizeof notes);
        assert_int_equal(length, strlen(notes));
        hash = fnv(hash, notes, length);
    }
    *left_out = fa_loader_bad_items(loader);
    int64_t word = draw_word();
    return fnv(hash, &word, sizeof word);
}

/* ---- Bad items --------------------------------------------------------------------------------------------------- */

/* Every way to fail, with shuffling: the same batches, notes and draws for any number of workers. */
static void test_left_out_for_any_workers(void **state)
{
    (void)state;
    uint64_t want = 0;
    int64_t left_out;
    for (int w = 0; w < COUNTS; w++) {
        shaky set = {.n = 103, .transform = shaky_transform(), .kind = every_kind, .named = true};
        fa_loader *loader =
            fa_data_loader(shaky_dataset(&set), .batch_size = 8, .shuffle = true, .num_workers = worker_counts[w],
                           .on_bad_item = FA_BAD_ITEM_SKIP, .max_bad_items = 20);
        uint64_t hash = two_loops(loader, &left_out);
        want = w == 0 ? hash : want;
        assert_true(hash == want);
        assert_int_equal(left_out, 20);
        fa_free(loader), fa_free(set.transform);
    }
}

/* The items that are left are those of a loader over good ones alone; draws are made for them alone, unless a step
 * after a draw failed. */
static void test_what_is_left(void **state)
{
    (void)state;
    for (int w = 0; w < COUNTS; w++) {
        shaky set = {.n = 40, .transform = shaky_transform(), .kind = only_17};
        fa_loader *loader = fa_data_loader(shaky_dataset(&set), .batch_size = 5, .num_workers = worker_counts[w],
                                           .on_bad_item = FA_BAD_ITEM_SKIP);
        int64_t sum = 0, items = 0;
        fa_for_each_batch (b, loader) {
            assert_int_equal(b.size, b.index == 3 || b.index == 4 ? 4 : 5);
            for (int64_t i = 0; i < b.size; i++)
                sum += ((const int64_t *)fa_data(b.labels))[i];
            items += b.size;
        }
        assert_true(fa_ok());
        assert_int_equal(items, 38);
        assert_int_equal(sum, 39 * 40 / 2 - 17 - 22);
        char notes[1024], cut[10];
        assert_int_equal(fa_loader_bad_items(loader), 2);
        size_t length = fa_loader_notes(loader, notes, sizeof notes);
        assert_contains(notes, "2 items were left out:\n");
        assert_contains(notes, "picture 17 is not there (item 17 of the data set)\n");
        assert_contains(notes, "picture 22 has no label (item 22 of the data set)\n");
        assert_int_equal(fa_loader_notes(loader, cut, sizeof cut), length);
        assert_string_equal(cut, "2 items w");
        assert_int_equal(fa_loader_notes(loader, NULL, 0), length);
        fa_free(loader), fa_free(set.transform);
    }
}

/* A batch of which nothing is left does not come; the others keep their numbers. */
static void test_empty_batch(void **state)
{
    (void)state;
    for (int w = 0; w < COUNTS; w++) {
        shaky set = {.n = 14, .transform = fa_to_tensor(), .kind = second_batch};
        fa_loader *loader = fa_data_loader(shaky_dataset(&set), .batch_size = 4, .num_workers = worker_counts[w],
                                           .on_bad_item = FA_BAD_ITEM_SKIP, .max_bad_items = 4);
        static const int64_t index[] = {0, 2, 3}, size[] = {4, 4, 2};
        int n = 0;
        fa_for_each_batch (b, loader) {
            assert_int_equal(b.index, index[n]);
            assert_int_equal(b.size, size[n++]);
        }
        assert_true(fa_ok());
        assert_int_equal(n, 3);
        fa_free(loader), fa_free(set.transform);
    }
}

/* A data set that is broken as a whole is an error; so are more bad items than allowed. */
static void test_too_many(void **state)
{
    (void)state;
    for (int w = 0; w < COUNTS; w++) {
        const int workers = worker_counts[w];
        shaky set = {.n = 40, .kind = none_fine};
        fa_loader *loader = fa_data_loader(shaky_dataset(&set), .batch_size = 3, .num_workers = workers,
                                           .on_bad_item = FA_BAD_ITEM_SKIP);
        fa_for_each_batch (b, loader)
            fail_msg("a batch of bad items");
        assert_int_equal(fa_error_code(), FA_DATA_ERROR);
        assert_contains(fa_error(), "more than 4 bad items");
        assert_contains(fa_error(), "picture 4 is not there (item 4 of the data set)");
        assert_contains(fa_error(), "test_loader_items.c:");
        assert_int_equal(fa_loader_bad_items(loader), 4);
        fa_clear_error();
        fa_free(loader);

        set.n = 1; /* as many as are allowed, but nothing else */
        loader = fa_data_loader(shaky_dataset(&set), .num_workers = workers, .on_bad_item = FA_BAD_ITEM_SKIP);
        fa_for_each_batch (b, loader)
            fail_msg("a batch of bad items");
        assert_contains(fa_error(), "1 bad items and not one batch");
        assert_contains(fa_error(), "picture 0 is not there");
        fa_clear_error();
        fa_free(loader);

        set.n = 40;
        set.kind = only_17;
        set.transform = fa_to_tensor();
        loader = fa_data_loader(shaky_dataset(&set), .batch_size = 4, .num_workers = workers,
                                .on_bad_item = FA_BAD_ITEM_SKIP, .max_bad_items = 1);
        int batches = 0;
        fa_for_each_batch (b, loader)
            batches++;
        assert_int_equal(batches, 5); /* the sixth holds item 22 */
        assert_contains(fa_error(), "picture 22 has no label");
        fa_clear_error();
        fa_free(loader), fa_free(set.transform);
    }
}

/* Stopping: the first bad item of the order, with its name, also when its step waits for numbers. */
static int late_ones(int64_t index)
{
    return index == 9 || index == 10 || index == 11 ? AFTER_DRAWS : FINE;
}

static void test_stop_names_the_item(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++)
        for (int w = 0; w < COUNTS; w++) {
            const int workers = worker_counts[w];
            shaky set = {.n = 24, .transform = shaky_transform(), .kind = late_ones, .named = true};
            fa_dataset *part = fa_subset(shaky_dataset(&set), ((int64_t[]){0, 1, 2, 3, 20, 21, 11, 10, 9, 22}), 10);
            fa_loader *loader = fa_data_loader(part, .batch_size = 10, .num_workers = workers);
            fa_for_each_batch (b, loader)
                fail_msg("a batch with a bad item");
            assert_int_equal(fa_error_code(), FA_VALUE_ERROR);
            assert_contains(fa_error(), "(item 11 of the data set, shelf/011.png)");
            fa_clear_error();
            fa_free(loader), fa_free(set.transform);
        }
    for (int w = 0; w < COUNTS; w++) { /* counted from the end */
        shaky set = {.n = 24, .transform = shaky_transform(), .kind = only_17, .named = true};
        fa_loader *loader =
            fa_data_loader(fa_subset(shaky_dataset(&set), ((int64_t[]){0, -7}), 2), .batch_size = 2,
                           .sampler = fa_list_sampler(((int64_t[]){0, -1}), 2), .num_workers = worker_counts[w]);
        fa_for_each_batch (b, loader)
            fail_msg("a batch with a bad item");
        assert_contains(fa_error(), "(item 17 of the data set, shelf/017.png)");
        fa_clear_error();
        fa_free(loader), fa_free(set.transform);
    }
    shaky set = {.n = 24, .kind = only_17, .named = true};
    fa_dataset *data = shaky_dataset(&set);
    assert_int_equal(fa_dataset_get(data, 17).n, 0);
    assert_contains(fa_error(), "picture 17 is not there (item 17 of the data set, shelf/017.png)");
    fa_clear_error();
    fa_free(data);
}

/* What is no fault of an item's ends the loop, whatever the policy. */
static bool ragged_item(void *user, int64_t index, fa_sample *sample)
{
    (void)user;
    float x[3] = {0};
    return fa_sample_put(sample, FA_FLOAT32, FA_SHAPE(index == 7 ? 2 : 3), x);
}

static bool drawing_item(void *user, int64_t index, fa_sample *sample)
{
    (void)user;
    return fa_sample_label(sample, index == 7 ? draw_word() : index);
}

static void test_never_left_out(void **state)
{
    (void)state;
    bool (*const item[])(void *, int64_t, fa_sample *) = {ragged_item, drawing_item};
    for (int i = 0; i < 2; i++)
        for (int w = i; w < COUNTS; w++) { /* without workers, drawing is fine */
            shaky set = {.n = 20};
            fa_loader *loader =
                fa_data_loader(fa_dataset_new(&set, .length = shaky_length, .item = item[i]), .batch_size = 4,
                               .num_workers = worker_counts[w], .on_bad_item = FA_BAD_ITEM_SKIP, .max_bad_items = 20);
            int batches = 0;
            fa_for_each_batch (b, loader)
                batches++;
            assert_int_equal(batches, 1);
            assert_contains(fa_error(), "item 7");
            fa_clear_error();
            fa_free(loader);
        }
    /* memory: some batch, some allocation */
    for (long n = 1; n < 60; n++) {
        shaky set = {.n = 30, .transform = shaky_transform(), .kind = every_kind};
        fa_loader *loader =
            fa_data_loader(shaky_dataset(&set), .batch_size = 7, .on_bad_item = FA_BAD_ITEM_SKIP, .max_bad_items = 30);
        assert_non_null(loader);
        fa_buffer_pool_trim();
        fa_memory_fail_after(n);
        int64_t items = 0;
        fa_for_each_batch (b, loader)
            items += b.size;
        fa_memory_fail_after(0);
        assert_true(fa_error_code() == FA_MEMORY_ERROR || (fa_ok() && items + fa_loader_bad_items(loader) == 30));
        fa_clear_error();
        fa_free(loader), fa_free(set.transform);
    }
}

/* ---- Collate ----------------------------------------------------------------------------------------------------- */

/* Lines of different lengths, padded to the longest: PyTorch's pad_sequence. */
static int64_t lines_length(void *user)
{
    return *(const int64_t *)user;
}

static bool line_item(void *user, int64_t index, fa_sample *sample)
{
    (void)user;
    float x[8];
    for (int64_t i = 0; i < index % 8; i++)
        x[i] = (float)(10 * index + i);
    return fa_sample_put(sample, FA_FLOAT32, FA_SHAPE(index % 8), x) && fa_sample_label(sample, index);
}

static bool pad_lines(void *user, const fa_items *items, fa_sample *batch)
{
    (void)user;
    const int64_t n = fa_items_count(items);
    int64_t longest = 0;
    for (int64_t i = 0; i < n; i++) {
        int64_t length = fa_items_field(items, i, 0).shape.size[0];
        longest = length > longest ? length : longest;
    }
    float *lines = fa_sample_room(batch, FA_FLOAT32, FA_SHAPE(n, longest));
    int64_t *lengths = lines != NULL ? fa_sample_room(batch, FA_INT64, FA_SHAPE(n)) : NULL;
    if (lengths == NULL)
        return false;
    memset(lines, 0, (size_t)(n * longest) * sizeof *lines);
    for (int64_t i = 0; i < n; i++) {
        fa_item_field line = fa_items_field(items, i, 0);
        assert_int_equal(line.dtype, FA_FLOAT32);
        lengths[i] = line.shape.size[0];
        memcpy(lines + i * longest, line.data, (size_t)lengths[i] * sizeof *lines);
    }
    return true;
}

static void test_collate(void **state)
{
    (void)state;
    for (int w = 0; w < COUNTS; w++) {
        int64_t n = 22;
        fa_loader *loader = fa_data_loader(fa_dataset_new(&n, .length = lines_length, .item = line_item),
                                           .batch_size = 5, .num_workers = worker_counts[w], .collate = pad_lines);
        for (int epoch = 0; epoch < 2; epoch++) {
            int64_t seen = 0;
            fa_for_each_batch (b, loader) {
                const int64_t longest = fa_size(b.item[0], 1);
                assert_int_equal(b.size, b.index == 4 ? 2 : 5);
                assert_int_equal(fa_size(b.item[0], 0), b.size);
                for (int64_t i = 0; i < b.size; i++, seen++) {
                    const float *line = (const float *)fa_data(b.item[0]) + i * longest;
                    int64_t length = ((const int64_t *)fa_data(b.item[1]))[i];
                    assert_int_equal(length, seen % 8);
                    for (int64_t k = 0; k < longest; k++)
                        assert_true(line[k] == (k < length ? (float)(10 * seen + k) : 0));
                }
            }
            assert_true(fa_ok());
            assert_int_equal(seen, n);
        }
        fa_free(loader);
    }
}

/* Stacking by a callback: with random transforms and bad items, the same batches as the default's. */
static bool stack(void *user, const fa_items *items, fa_sample *batch)
{
    (void)user;
    const int64_t n = fa_items_count(items);
    fa_shape shape = fa_items_field(items, 0, 0).shape;
    const int64_t numel = shape.size[0] * shape.size[1] * shape.size[2];
    float *images = fa_sample_room(batch, FA_FLOAT32, FA_SHAPE(n, shape.size[0], shape.size[1], shape.size[2]));
    int64_t *labels = images != NULL ? fa_sample_room(batch, FA_INT64, FA_SHAPE(n)) : NULL;
    for (int64_t i = 0; labels != NULL && i < n; i++) {
        memcpy(images + i * numel, fa_items_field(items, i, 0).data, (size_t)numel * sizeof *images);
        memcpy(&labels[i], fa_items_field(items, i, 1).data, sizeof *labels);
        if (labels[i] != fa_items_index(items, i) || fa_items_fields(items, i) != 2)
            return false;
    }
    return labels != NULL;
}

static void test_collate_is_the_default(void **state)
{
    (void)state;
    uint64_t want = 0;
    int64_t left_out;
    for (int w = 0; w < COUNTS; w++)
        for (int own = 0; own < 2; own++) {
            shaky set = {.n = 103, .transform = shaky_transform(), .kind = every_kind};
            fa_loader *loader =
                fa_data_loader(shaky_dataset(&set), .batch_size = 8, .shuffle = true, .num_workers = worker_counts[w],
                               .on_bad_item = FA_BAD_ITEM_SKIP, .max_bad_items = 20, .collate = own ? stack : NULL);
            uint64_t hash = two_loops(loader, &left_out);
            want = w + own == 0 ? hash : want;
            assert_true(hash == want);
            fa_free(loader), fa_free(set.transform);
        }
}

static bool collate_nothing(void *user, const fa_items *items, fa_sample *batch)
{
    (void)user, (void)items, (void)batch;
    return true;
}

static bool collate_false(void *user, const fa_items *items, fa_sample *batch)
{
    (void)items;
    return fa_sample_label(batch, 1) && user != NULL;
}

static bool collate_beyond(void *user, const fa_items *items, fa_sample *batch)
{
    (void)user;
    return fa_items_field(items, 0, 2).data != NULL && fa_sample_label(batch, 1);
}

static bool collate_no_item(void *user, const fa_items *items, fa_sample *batch)
{
    (void)user;
    return fa_items_index(items, 99) == -1 && fa_items_fields(items, -1) == 0 &&
           fa_items_field(items, 99, 0).data != NULL && fa_sample_label(batch, 1);
}

static void test_collate_mistakes(void **state)
{
    (void)state;
    static const struct {
        bool (*collate)(void *user, const fa_items *items, fa_sample *batch);
        const char *message;
    } mistakes[] = {{collate_nothing, "got no field from the collate callback"},
                    {collate_false, "got false from the collate callback"},
                    {collate_beyond, "got field 2, needs 0 to 1"},
                    {collate_no_item, "got item 99, needs 0 to 4"}};
    for (int w = 0; w < COUNTS; w++)
        for (int m = 0; m < 4; m++) {
            int64_t n = 22;
            fa_loader *loader =
                fa_data_loader(fa_dataset_new(&n, .length = lines_length, .item = line_item), .batch_size = 5,
                               .num_workers = worker_counts[w], .collate = mistakes[m].collate);
            fa_for_each_batch (b, loader)
                fail_msg("a batch of a callback that failed");
            assert_contains(fa_error(), mistakes[m].message);
            assert_contains(fa_error(), "test_loader_items.c:");
            fa_clear_error();
            fa_free(loader);
        }
}

/* ---- State of workers -------------------------------------------------------------------------------------------- */

typedef struct tools {
    atomic_int begun, ended, wrong;
    int fails_at; /* worker whose callback raises, from the second time on not any more; -1: none */
    atomic_int failed;
} tools;

typedef struct tool {
    int worker;
    pthread_t thread;
} tool;

static tool boxes[16];

static void *begin_tool(void *user, int worker)
{
    tools *all = user;
    if (worker == all->fails_at && atomic_fetch_add(&all->failed, 1) == 0) {
        fa_raise(FA_FILE_ERROR, "worker %d has no decoder", worker);
        return NULL;
    }
    atomic_fetch_add(&all->begun, 1);
    boxes[worker] = (tool){worker, pthread_self()};
    return &boxes[worker];
}

static void end_tool(void *user, void *state)
{
    tools *all = user;
    const tool *mine = state;
    atomic_fetch_add(&all->ended, 1);
    if (!pthread_equal(mine->thread, pthread_self()))
        atomic_fetch_add(&all->wrong, 1);
}

static bool tool_item(void *user, int64_t index, fa_sample *sample)
{
    (void)user;
    const tool *mine = fa_sample_worker(sample);
    if (mine == NULL || !pthread_equal(mine->thread, pthread_self()))
        fa_raise(FA_VALUE_ERROR, "another thread's tools");
    return fa_sample_label(sample, index);
}

static void test_worker_state(void **state)
{
    (void)state;
    for (int w = 0; w < COUNTS; w++) {
        const int workers = worker_counts[w], threads = workers > 0 ? workers : 1;
        for (int fails_at = -1; fails_at < threads; fails_at++) {
            tools all = {.fails_at = fails_at};
            int64_t n = 40;
            fa_loader *loader =
                fa_data_loader(fa_dataset_new(&n, .length = lines_length, .item = tool_item), .batch_size = 4,
                               .num_workers = workers, .user = &all, .worker_init = begin_tool, .worker_end = end_tool);
            if (fails_at >= 0) {
                fa_for_each_batch (b, loader)
                    fail_msg("a loop with a worker that did not begin");
                assert_contains(fa_error(), "has no decoder");
                assert_int_equal(fa_error_code(), FA_FILE_ERROR);
                assert_int_equal(all.begun, all.ended);
                fa_clear_error();
            }
            const int so_far = all.begun;
            for (int epoch = 0; epoch < 3; epoch++) {
                int64_t items = 0;
                fa_for_each_batch (b, loader)
                    items += b.size;
                assert_string_equal(fa_error(), "");
                assert_int_equal(items, n);
                assert_int_equal(all.begun, so_far + threads); /* once, not once a loop */
            }
            fa_free(loader);
            assert_int_equal(all.begun, all.ended);
            assert_int_equal(all.wrong, 0);
        }
    }
}

/* ---- How far ahead ----------------------------------------------------------------------------------------------- */

static void test_prefetch_bound(void **state)
{
    (void)state;
    for (int w = 0; w < COUNTS; w++)
        for (int factor = 1; factor <= 3; factor++) {
            enum { BATCH = 4 };
            shaky set = {.n = 200, .transform = fa_to_tensor(), .kind = all_fine};
            fa_loader *loader = fa_data_loader(shaky_dataset(&set), .batch_size = BATCH, .prefetch_factor = factor,
                                               .num_workers = worker_counts[w]);
            const long ahead = (long)worker_counts[w] * factor * BATCH;
            long most = 0;
            fa_for_each_batch (b, loader) {
                if (b.index % 8 == 0)
                    usleep(2000); /* so that workers get as far as they may */
                long fetched = atomic_load(&set.fetched), used = (b.index + 1) * BATCH;
                if (fetched > used + ahead)
                    fail_msg("%ld items fetched ahead, the bound is %ld", fetched - used, ahead);
                most = fetched - used > most ? fetched - used : most;
            }
            assert_true(fa_ok());
            assert_true(worker_counts[w] > 1 || most == ahead); /* and it is reached */
            fa_free(loader), fa_free(set.transform);
        }
}

/* ---- Mistakes ---------------------------------------------------------------------------------------------------- */

static void test_mistakes(void **state)
{
    (void)state;
    shaky set = {.n = 4, .kind = all_fine};
    fa_dataset *data = shaky_dataset(&set);
    assert_null(fa_data_loader(data, .on_bad_item = (fa_bad_item_policy)2));
    assert_contains(fa_error(), "got on_bad_item 2");
    fa_clear_error();
    assert_null(fa_data_loader(data, .on_bad_item = FA_BAD_ITEM_SKIP, .max_bad_items = -1));
    assert_contains(fa_error(), "got max_bad_items -1, needs 0 or more");
    fa_clear_error();
    assert_null(fa_data_loader(data, .max_bad_items = 3));
    assert_contains(fa_error(), "without .on_bad_item = FA_BAD_ITEM_SKIP");
    fa_clear_error();
    assert_null(fa_data_loader(data, .worker_end = end_tool));
    assert_contains(fa_error(), "got worker_end without worker_init");
    fa_clear_error();
    fa_loader *loader = fa_data_loader(data);
    assert_int_equal(fa_loader_bad_items(loader), 0);
    assert_int_equal(fa_loader_notes(loader, NULL, 0), 0);
    fa_free(loader);
    assert_int_equal(fa_loader_bad_items(loader), -1);
    fa_clear_error();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_left_out_for_any_workers, clean),
        cmocka_unit_test_teardown(test_what_is_left, clean),
        cmocka_unit_test_teardown(test_empty_batch, clean),
        cmocka_unit_test_teardown(test_too_many, clean),
        cmocka_unit_test_teardown(test_stop_names_the_item, clean),
        cmocka_unit_test_teardown(test_never_left_out, clean),
        cmocka_unit_test_teardown(test_collate, clean),
        cmocka_unit_test_teardown(test_collate_is_the_default, clean),
        cmocka_unit_test_teardown(test_collate_mistakes, clean),
        cmocka_unit_test_teardown(test_worker_state, clean),
        cmocka_unit_test_teardown(test_prefetch_bound, clean),
        cmocka_unit_test_teardown(test_mistakes, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
