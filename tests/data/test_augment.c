/* Random transforms: torchvision's pixels and draws (tests/golden/augment_golden.inc), the same batches for any number
 * of workers with dropout between them, callbacks that draw, and mistakes. */
#include "support/facula_test.h"

#include "base/generator.h"
#include "base/memory.h"
#include "data/object.h"
#include "facula.h"

#include <sched.h>
#include <stdatomic.h>
#include <string.h>

typedef struct golden_case {
    int kind, floats;
    int64_t height, width, channels, size[2], padding[4];
    int pad_if_needed;
    double fill;
    int mode;
    double p;
    uint64_t hash;
    int64_t then;
} golden_case;

#include "golden/augment_golden.inc"

enum { CROP, HORIZONTAL, VERTICAL, COUNT = 40, HEIGHT = 13, WIDTH = 17, PIXELS = HEIGHT * WIDTH * 3 };

static const uint64_t fnv_start = 0xcbf29ce484222325u;
static const int worker_counts[] = {0, 1, 3, 8};

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

static uint64_t hash_tensor(uint64_t hash, fa_tensor *x)
{
    static const size_t size[] = {[FA_FLOAT32] = 4, [FA_INT64] = 8, [FA_UINT8] = 1};
    const void *data = fa_data(x);
    assert_true(fa_ok());
    return fnv(hash, data, (size_t)fa_numel(x) * size[fa_dtype_of(x)]);
}

static int64_t draw_from(fa_generator *generator)
{
    int64_t word = fa_mt_random_int64(fa_generator_lock(generator));
    fa_generator_unlock(generator);
    return word;
}

static int64_t draw_word(void)
{
    return draw_from(NULL);
}

/* Pixels of image i, [height, width, channels]. */
static void draw_picture(uint8_t *pixels, int64_t i, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        pixels[k] = (uint8_t)((k * 37 + (k * k / 7) * 11 + i * 101) % 256);
}

/* ---- One image after the other ----------------------------------------------------------------------------------- */

static fa_transform *transform_of(const golden_case *c)
{
    if (c->kind == CROP)
        return fa_random_crop(.size_hw = {c->size[0], c->size[1]},
                              .padding_ltrb = {c->padding[0], c->padding[1], c->padding[2], c->padding[3]},
                              .pad_if_needed = c->pad_if_needed != 0, .fill = c->fill,
                              .padding_mode = (fa_padding_mode)c->mode);
    return c->kind == HORIZONTAL ? fa_random_horizontal_flip(c->p) : fa_random_vertical_flip(c->p);
}

static void test_golden_images(void **state)
{
    (void)state;
    fa_transform *to_tensor = fa_to_tensor();
    for (size_t n = 0; n < sizeof golden_cases / sizeof *golden_cases; n++) {
        const golden_case *c = &golden_cases[n];
        fa_transform *t = transform_of(c);
        assert_non_null(t);
        fa_manual_seed(GOLDEN_SEED);
        uint64_t hash = fnv_start;
        for (int64_t i = 0; i < GOLDEN_TIMES; i++)
            fa_scope {
                uint8_t pixels[4096];
                draw_picture(pixels, i, c->height * c->width * c->channels);
                fa_tensor *image = fa_from_memory(pixels, FA_UINT8, FA_SHAPE(c->height, c->width, c->channels));
                if (c->floats)
                    image = fa_transform_apply(to_tensor, image);
                hash = hash_tensor(hash, fa_transform_apply(t, image));
            }
        if (hash != c->hash || draw_word() != c->then)
            fail_msg("case %zu: other pixels or draws than PyTorch's", n);
        fa_transform_free(t);
    }
    fa_transform_free(to_tensor);
}

/* The single number and the defaults. */
static void test_short_forms(void **state)
{
    (void)state;
    fa_transform *crop[2] = {fa_random_crop(8, .padding = 2),
                             fa_random_crop(.size_hw = {8, 8}, .padding_ltrb = {2, 2, 2, 2})};
    fa_transform *flip[2] = {fa_random_horizontal_flip(), fa_random_horizontal_flip(.p = 0.5)};
    uint8_t pixels[7 * 7];
    draw_picture(pixels, 0, 49);
    fa_scope {
        fa_tensor *image = fa_from_memory(pixels, FA_UINT8, FA_SHAPE(7, 7));
        uint64_t hash[2];
        for (int k = 0; k < 2; k++) {
            fa_manual_seed(3);
            hash[k] = fnv_start;
            for (int i = 0; i < 8; i++)
                hash[k] = hash_tensor(hash_tensor(hash[k], fa_transform_apply(crop[k], image)),
                                      fa_transform_apply(flip[k], image));
        }
        assert_int_equal(hash[0], hash[1]);
    }
    for (int k = 0; k < 2; k++)
        fa_transform_free(crop[k]), fa_transform_free(flip[k]);
}

/* ---- In a loader ------------------------------------------------------------------------------------------------- */

typedef struct pictures {
    fa_transform *transform;
    int draws_words;  /* words that the callback itself draws with each item */
    atomic_long done; /* calls */
} pictures;

static int64_t pictures_length(void *user)
{
    (void)user;
    return COUNT;
}

static bool pictures_item(void *user, int64_t i, fa_sample *sample)
{
    pictures *set = user;
    uint8_t pixels[PIXELS];
    draw_picture(pixels, i, PIXELS);
    for (int k = 0; k < set->draws_words; k++)
        (void)draw_word();
    bool fine = fa_sample_image(sample, pixels, HEIGHT, WIDTH, 3, set->transform) && fa_sample_label(sample, i);
    atomic_fetch_add(&set->done, 1);
    return fine;
}

static fa_dataset *pictures_dataset(pictures *set, bool draws)
{
    return fa_dataset_new(set, .length = pictures_length, .item = pictures_item, .draws = draws);
}

static uint64_t one_pass(uint64_t hash, fa_loader *loader, bool dropout)
{
    fa_for_each_batch (b, loader) {
        hash = hash_tensor(hash_tensor(hash, b.images), b.labels);
        if (dropout)
            hash = hash_tensor(hash, fa_dropout(fa_ones(50), .p = 0.5));
    }
    assert_true(fa_ok());
    return hash;
}

/* Two epochs with a dropout after each batch and a validation pass after each epoch. Ends both data sets. */
static uint64_t run_loaders(fa_dataset *train, fa_dataset *test, int workers)
{
    fa_manual_seed(GOLDEN_SEED);
    fa_loader *loader = fa_data_loader(train, .batch_size = 6, .shuffle = true, .num_workers = workers);
    fa_loader *check = fa_data_loader(test, .batch_size = 7, .num_workers = workers);
    assert_true(fa_ok());
    uint64_t hash = fnv_start;
    for (int epoch = 0; epoch < 2; epoch++) {
        hash = one_pass(hash, loader, true);
        hash = one_pass(hash, check, false);
    }
    fa_loader_free(loader), fa_loader_free(check);
    return hash;
}

/* O21: draws follow from the seed, the epoch and the item's place, whatever the number of workers; they are PyTorch's.
 */
static void test_pictures_for_any_workers(void **state)
{
    (void)state;
    for (int draws = 0; draws < 2; draws++)
        for (int w = 0; w < 4; w++) {
            pictures train = {.transform = fa_compose(fa_random_crop(14, .padding = 2), fa_random_horizontal_flip(),
                                                      fa_to_tensor(),
                                                      fa_normalize({0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}))};
            pictures test = {.transform = fa_compose(fa_random_crop(12, .padding = 1), fa_to_tensor(),
                                                     fa_normalize({0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}),
                                                     fa_random_vertical_flip(0.4))};
            assert_int_equal(
                run_loaders(pictures_dataset(&train, draws), pictures_dataset(&test, draws), worker_counts[w]),
                golden_pictures);
            assert_int_equal(draw_word(), golden_pictures_then);
            fa_transform_free(train.transform), fa_transform_free(test.transform);
        }
}

static void test_mnist_for_any_workers(void **state)
{
    (void)state;
    int64_t chosen[COUNT], first[20];
    for (int i = 0; i < COUNT; i++)
        chosen[i] = 3 + 4 * i;
    for (int i = 0; i < 20; i++)
        first[i] = i;
    for (int w = 0; w < 4; w++) {
        fa_transform *augment = fa_compose(fa_random_crop(28, .padding = 2), fa_random_horizontal_flip(),
                                           fa_to_tensor(), fa_normalize({0.1307}, {0.3081}));
        fa_dataset *train = fa_mnist(source_path("data/mnist"), .train = false, .transform = augment);
        fa_dataset *test = fa_mnist(source_path("data/mnist"), .train = false,
                                    .transform = fa_compose(fa_to_tensor(), fa_normalize({0.1307}, {0.3081})));
        assert_int_equal(run_loaders(fa_subset(train, chosen, COUNT), fa_subset(test, first, 20), worker_counts[w]),
                         golden_mnist);
        assert_int_equal(draw_word(), golden_mnist_then);
    }
}

/* ---- Turned images that get a size of their own ------------------------------------------------------------------ */

static fa_transform *turn_and(fa_transform *next)
{
    return fa_compose(fa_random_horizontal_flip(),
                      fa_random_rotation(40, .expand = true, .fills = {250, 0, 0}, .channels = 3), next,
                      fa_random_vertical_flip(), fa_to_tensor(), fa_normalize({0.5, 0.5, 0.5}, {0.5, 0.25, 2}));
}

/* A loader gives what one image after the other does. */
static void test_expand_for_any_workers(void **state)
{
    (void)state;
    for (int w = 0; w < 4; w++) {
        pictures set = {.transform = turn_and(fa_random_crop(12))};
        fa_loader *loader =
            fa_data_loader(pictures_dataset(&set, false), .batch_size = 1, .num_workers = worker_counts[w]);
        fa_manual_seed(8);
        const uint64_t got = one_pass(fnv_start, loader, false);
        const int64_t then = draw_word();
        uint64_t want = fnv_start;
        fa_manual_seed(8);
        (void)draw_word(); /* the loop's base seed */
        for (int64_t i = 0; i < COUNT; i++)
            fa_scope {
                uint8_t pixels[PIXELS];
                draw_picture(pixels, i, PIXELS);
                want = hash_tensor(want, fa_transform_apply(set.transform, fa_from_memory(pixels, FA_UINT8,
                                                                                          FA_SHAPE(HEIGHT, WIDTH, 3))));
                want = fnv(want, &i, sizeof i);
            }
        assert_int_equal(got, want);
        assert_int_equal(then, draw_word());
        fa_loader_free(loader), fa_transform_free(set.transform);
    }
}

/* Those that a step behind refuses are bad items, whoever fetches them. */
static void test_expand_bad_items(void **state)
{
    (void)state;
    uint64_t want = 0;
    for (int w = 0; w < 4; w++) {
        pictures set = {.transform = fa_compose(fa_random_rotation(.degrees_range = {0, 90}, .expand = true),
                                                fa_random_crop(.size_hw = {HEIGHT, WIDTH}), fa_to_tensor())};
        char notes[8192];
        fa_loader *loader =
            fa_data_loader(pictures_dataset(&set, false), .batch_size = 6, .num_workers = worker_counts[w],
                           .on_bad_item = FA_BAD_ITEM_SKIP, .max_bad_items = COUNT);
        fa_manual_seed(9);
        uint64_t hash = one_pass(fnv_start, loader, true);
        assert_true(fa_loader_notes(loader, notes, sizeof notes) > 0);
        assert_contains(notes, "random_crop: got ");
        hash = fnv(hash, notes, strlen(notes));
        want = w == 0 ? hash : want;
        assert_int_equal(hash, want);
        fa_loader_free(loader), fa_transform_free(set.transform);
    }
}

/* Each image at a size of its own makes no batch, and no item. */
static void test_expand_needs_one_size(void **state)
{
    (void)state;
    pictures set = {.transform = turn_and(fa_random_vertical_flip())};
    fa_dataset *data = pictures_dataset(&set, false);
    fa_scope {
        assert_null(fa_dataset_get(data, 0).images);
        assert_contains(fa_error(), "leave each image a size of its own");
        fa_clear_error();
        fa_tensor *images = fa_zeros_with(FA_SHAPE(2, 5, 6, 3), .dtype = FA_UINT8);
        fa_tensor *labels = fa_zeros_with(FA_SHAPE(2), .dtype = FA_INT64);
        assert_null(fa_image_tensors(images, labels, .transform = set.transform));
        assert_contains(fa_error(), "leave each image a size of its own");
        fa_clear_error();
        fa_dataset *resized = fa_image_tensors(
            images, labels,
            .transform = fa_compose(fa_random_rotation(9, .expand = true), fa_resize(.size_hw = {7, 4})));
        assert_int_equal(fa_size(fa_dataset_get(resized, 1).images, 1), 7);
        fa_free(resized);
    }
    fa_free(data), fa_transform_free(set.transform);
}

/* Steps before the first draw run ahead; images of bytes come out in planes. */
static void test_steps_before_the_first_draw(void **state)
{
    (void)state;
    uint64_t want[2] = {0, 0};
    for (int floats = 0; floats < 2; floats++)
        for (int w = 0; w < 4; w++) {
            fa_transform *flips = fa_compose(fa_random_vertical_flip(), fa_random_horizontal_flip());
            pictures set = {
                .transform =
                    floats ? fa_compose(fa_to_tensor(), fa_normalize({0.5, 0.5, 0.5}, {0.5, 0.25, 2}), flips) : flips};
            fa_loader *loader =
                fa_data_loader(pictures_dataset(&set, false), .batch_size = 16, .num_workers = worker_counts[w]);
            fa_manual_seed(8);
            uint64_t hash = one_pass(one_pass(fnv_start, loader, true), loader, true);
            want[floats] = w == 0 ? hash : want[floats];
            assert_int_equal(hash, want[floats]);
            fa_loader_free(loader), fa_transform_free(set.transform), fa_transform_free(flips);
        }
}

/* The transform ends while images wait for it; and the loop is left while they do. */
static void test_transform_freed_meanwhile(void **state)
{
    (void)state;
    for (int leave = 0; leave < 2; leave++) {
        pictures set = {.transform = fa_compose(fa_random_crop(8), fa_to_tensor())};
        fa_loader *loader = fa_data_loader(pictures_dataset(&set, false), .batch_size = 20, .num_workers = 2);
        fa_for_each_batch (b, loader) {
            if (b.index > 0)
                continue;
            while (atomic_load(&set.done) < COUNT)
                sched_yield();
            fa_transform_free(set.transform);
            if (leave)
                break;
        }
        assert_true(fa_ok());
        fa_loader_free(loader);
        assert_int_equal(fa_object_count(), 0);
    }
}

/* ---- Callbacks that draw ----------------------------------------------------------------------------------------- */

static void test_callback_that_says_so(void **state)
{
    (void)state;
    uint64_t want = 0;
    for (int draws = 0; draws < 2; draws++)
        for (int w = 0; w < (draws ? 4 : 1); w++) {
            pictures set = {.transform = fa_compose(fa_random_crop(8), fa_to_tensor()), .draws_words = 3};
            fa_manual_seed(5);
            fa_loader *loader =
                fa_data_loader(pictures_dataset(&set, draws), .batch_size = 6, .num_workers = worker_counts[w]);
            uint64_t hash = one_pass(fnv_start, loader, true);
            want = draws ? want : hash;
            assert_int_equal(hash, want);
            fa_loader_free(loader), fa_transform_free(set.transform);
        }
}

static void test_callback_that_does_not(void **state)
{
    (void)state;
    pictures set = {.draws_words = 1};
    fa_loader *loader = fa_data_loader(pictures_dataset(&set, false), .batch_size = 6, .num_workers = 2);
    fa_manual_seed(5);
    int batches = 0;
    fa_for_each_batch (b, loader)
        batches++;
    assert_int_equal(batches, 0);
    assert_int_equal(fa_error_code(), FA_STATE_ERROR);
    assert_contains(fa_error(), ".draws = true");
    assert_contains(fa_error(), "(item 0 of the data set)");
    fa_clear_error();
    fa_loader_free(loader);
    int64_t after = draw_word();
    fa_manual_seed(5);
    (void)draw_word(); /* the base seed alone was drawn */
    assert_int_equal(draw_word(), after);
}

/* A generator of the program's own: seeded by each item, or shared by all, or behind a layer's weights. */
typedef enum generator_use { SEEDED, SHARED, LAYER } generator_use;
typedef struct own_draws {
    fa_generator *generator;
    generator_use use;
} own_draws;

static bool own_draws_item(void *user, int64_t i, fa_sample *sample)
{
    own_draws *set = user;
    float value = 0;
    if (set->use == SEEDED) {
        fa_generator *mine = fa_generator_new();
        fa_generator_seed(mine, (uint64_t)i);
        value = (float)draw_from(mine);
        fa_free(mine);
    } else if (set->use == SHARED) {
        value = (float)draw_from(set->generator);
    } else {
        fa_module *layer = fa_nn_linear(1, 1);
        fa_scope {
            fa_find(layer, "weight");
        }
        fa_free(layer);
    }
    return fa_ok() && fa_sample_put(sample, FA_FLOAT32, FA_SHAPE(1), &value);
}

static void test_generators_of_ones_own(void **state)
{
    (void)state;
    for (int use = SEEDED; use <= LAYER; use++)
        for (int draws = 0; draws < 2; draws++) {
            uint64_t want = 0;
            for (int w = 0; w < 4; w++) {
                own_draws set = {.generator = fa_generator_new(), .use = (generator_use)use};
                fa_generator_seed(set.generator, 8);
                fa_manual_seed(7);
                fa_loader *loader = fa_data_loader(
                    fa_dataset_new(&set, .length = pictures_length, .item = own_draws_item, .draws = draws != 0),
                    .batch_size = 6, .num_workers = worker_counts[w]);
                uint64_t hash = fnv_start;
                fa_for_each_batch (b, loader)
                    hash = hash_tensor(hash, b.item[0]);
                if (draws || use == SEEDED || worker_counts[w] == 0) {
                    assert_string_equal(fa_error(), "");
                    want = w == 0 ? hash : want;
                    assert_int_equal(hash, want);
                } else {
                    assert_int_equal(fa_error_code(), FA_STATE_ERROR);
                    assert_contains(fa_error(), use == SHARED ? "a generator that other batches draw from too"
                                                              : "a draw from the default generator");
                    assert_contains(fa_error(), "(item 0 of the data set)");
                    fa_clear_error();
                    const int64_t next = draw_from(set.generator); /* nothing was drawn from it */
                    fa_generator_seed(set.generator, 8);
                    assert_int_equal(next, draw_from(set.generator));
                }
                fa_free(loader), fa_free(set.generator);
            }
        }
}

/* ---- Mistakes ---------------------------------------------------------------------------------------------------- */

#define REFUSED(expression, part)                                                                                      \
    do {                                                                                                               \
        assert_null(expression);                                                                                       \
        assert_contains(fa_error(), part);                                                                             \
        assert_contains(fa_error(), "test_augment.c:");                                                                \
        fa_clear_error();                                                                                              \
    } while (0)

static fa_tensor *apply_once(fa_transform *t, fa_tensor *image)
{
    fa_tensor *y = fa_transform_apply(t, image);
    fa_transform_free(t);
    return y;
}

static void test_mistakes(void **state)
{
    (void)state;
    REFUSED(fa_random_crop(0), "got size 0 x 0");
    REFUSED(fa_random_crop(.size_hw = {4, -1}), "got size 4 x -1");
    REFUSED(fa_random_crop(4, .padding = -1), "got padding -1");
    REFUSED(fa_random_crop(4, .padding_ltrb = {0, 0, 0, INT64_MAX}), "needs 0 to 1048576");
    REFUSED(fa_random_crop(4, .padding_mode = (fa_padding_mode)9), "got padding_mode 9");
    REFUSED(fa_random_horizontal_flip(1.5), "got p = 1.5");
    REFUSED(fa_random_vertical_flip(__builtin_nan("")), "needs a probability from 0 to 1");
    fa_scope {
        fa_tensor *image = fa_zeros_with(FA_SHAPE(5, 6, 3), .dtype = FA_UINT8);
        REFUSED(apply_once(fa_random_crop(6), image), "got images of 5 x 6 pixels with their padding, needs 6 x 6");
        REFUSED(apply_once(fa_random_crop(4, .fill = 300), image), "got fill 300");
        REFUSED(apply_once(fa_random_crop(4, .fill = 0.5), image), "got fill 0.5");
        REFUSED(apply_once(fa_random_crop(4, .pad_if_needed = true), fa_zeros(3, 0, 4)), "got images of 0 x 4");
    }
    assert_int_equal(fa_object_count(), 0);
}

/* No memory anywhere in a loop with late images: one message, nothing lost. */
static void test_no_memory(void **state)
{
    (void)state;
    int failures = 0;
    for (long n = 1; n < 400; n++) {
        pictures set = {.transform = fa_compose(fa_to_tensor(), fa_random_crop(8), fa_random_horizontal_flip())};
        fa_loader *loader = fa_data_loader(pictures_dataset(&set, false), .batch_size = 20, .num_workers = 1);
        fa_buffer_pool_trim();
        fa_memory_fail_after(n);
        int batches = 0;
        fa_for_each_batch (b, loader)
            batches += fa_numel(b.images) == 20 * 3 * 8 * 8;
        fa_memory_fail_after(0);
        assert_true(fa_ok() ? batches == 2 : fa_error_code() == FA_MEMORY_ERROR);
        failures += !fa_ok();
        fa_clear_error();
        fa_loader_free(loader), fa_transform_free(set.transform);
        assert_int_equal(fa_object_count(), 0);
    }
    assert_true(failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_golden_images, clean),
        cmocka_unit_test_teardown(test_short_forms, clean),
        cmocka_unit_test_teardown(test_pictures_for_any_workers, clean),
        cmocka_unit_test_teardown(test_mnist_for_any_workers, clean),
        cmocka_unit_test_teardown(test_expand_for_any_workers, clean),
        cmocka_unit_test_teardown(test_expand_bad_items, clean),
        cmocka_unit_test_teardown(test_expand_needs_one_size, clean),
        cmocka_unit_test_teardown(test_steps_before_the_first_draw, clean),
        cmocka_unit_test_teardown(test_transform_freed_meanwhile, clean),
        cmocka_unit_test_teardown(test_callback_that_says_so, clean),
        cmocka_unit_test_teardown(test_callback_that_does_not, clean),
        cmocka_unit_test_teardown(test_generators_of_ones_own, clean),
        cmocka_unit_test_teardown(test_mistakes, clean),
        cmocka_unit_test_teardown(test_no_memory, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
