/* Transforms: PyTorch's bits (tests/golden/transforms_golden.inc), checks before the first batch, the table against the
 * plain steps, draws in the order of samples, and MNIST through a loader. */
#include "support/facula_test.h"

#include "base/generator.h"
#include "data/object.h"
#include "vision/transform.h"

#include <math.h>
#include <string.h>

#include "golden/transforms_golden.inc"

enum { PIXELS = 256 };

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

static const uint64_t fnv_start = 0xcbf29ce484222325u;

/* Every byte in every channel: uint8 [1, 256, channels]. */
static fa_tensor *all_bytes(int channels)
{
    uint8_t pixels[3 * PIXELS];
    for (int i = 0; i < channels * PIXELS; i++)
        pixels[i] = (uint8_t)(i / channels);
    return fa_from_memory(pixels, FA_UINT8, FA_SHAPE(1, PIXELS, channels));
}

static uint64_t hash_of(fa_tensor *image, int channels)
{
    assert_true(fa_ok());
    assert_int_equal(fa_dtype_of(image), FA_FLOAT32);
    assert_int_equal(fa_size(image, 0), channels);
    assert_int_equal(fa_size(image, 2), PIXELS);
    return fnv(fnv_start, fa_data(image), sizeof(float) * PIXELS * (size_t)channels);
}

static void test_golden_bits(void **state)
{
    (void)state;
    fa_transform *to_tensor = fa_to_tensor();
    fa_transform *one = fa_normalize({0.1307}, {0.3081});
    fa_transform *three = fa_normalize({0.485, 0.456, 0.406}, {0.229, 0.224, 0.225});
    fa_transform *both = fa_compose(fa_to_tensor(), fa_normalize({0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}));
    fa_scope {
        fa_tensor *x = fa_transform_apply(to_tensor, all_bytes(1));
        assert_int_equal(hash_of(x, 1), golden_to_tensor);
        assert_int_equal(hash_of(fa_transform_apply(to_tensor, x), 1), golden_to_tensor);
        assert_int_equal(hash_of(fa_transform_apply(one, x), 1), golden_normalize1);
        x = fa_transform_apply(to_tensor, all_bytes(3));
        assert_int_equal(hash_of(fa_transform_apply(three, x), 3), golden_normalize3);
        assert_int_equal(hash_of(fa_transform_apply(both, all_bytes(3)), 3), golden_normalize3);
    }
    fa_transform_free(to_tensor), fa_transform_free(one), fa_transform_free(three), fa_transform_free(both);
}

/* A chain with a table and the same steps applied one by one. */
static void test_table_is_the_steps(void **state)
{
    (void)state;
    fa_transform *t = fa_compose(fa_to_tensor(), fa_compose(fa_normalize({0.5, 0.25}, {0.5, 3}), fa_to_tensor()),
                                 fa_normalize({-1, 0}, {2, 0.1}));
    fa_image_form form = {.channels = 2, .height = 5, .width = 7};
    fa_chain chain;
    assert_true(fa_chain_begin(&chain, t, &form, FA_HERE));
    assert_int_equal(chain.n, 4);
    assert_non_null(chain.table);
    uint8_t pixels[70];
    uint64_t seed = test_seed(5);
    for (int i = 0; i < 70; i++)
        pixels[i] = (uint8_t)test_random(&seed);
    float fast[70], plain[70], between[140];
    assert_true(fa_chain_apply(&chain, 0, chain.n, pixels, NULL, NULL, fast, FA_HERE));
    float *table = chain.table;
    chain.table = NULL;
    assert_true(fa_chain_apply(&chain, 0, chain.n, pixels, NULL, between, plain, FA_HERE));
    chain.table = table;
    assert_same_bytes(fast, plain, sizeof fast);
    fa_chain_end(&chain);
    fa_transform_free(t);
}

#define REFUSED(expression, part)                                                                                      \
    do {                                                                                                               \
        assert_null(expression);                                                                                       \
        assert_contains(fa_error(), part);                                                                             \
        assert_contains(fa_error(), "test_transforms.c:");                                                             \
        fa_clear_error();                                                                                              \
    } while (0)

/* O13: told when the transform or the data set is made. */
static void test_checks(void **state)
{
    (void)state;
    REFUSED(fa_normalize({0.5}, {0}), "std");
    REFUSED(fa_normalize({0.5}, {NAN}), "std nan");
    REFUSED(fa_normalize({0.5}, {-1}), "std -1");
    REFUSED(fa_normalize({0.5}, {INFINITY}), "std inf");
    REFUSED(fa_normalize({NAN}, {1}), "mean nan");
    REFUSED(fa_normalize({0.5, 0.5, 0.5}, {0.5, 0.5}), "std 0 for channel 2");
    REFUSED(fa_normalize({0.5, 0.5}, {0.5, 0.5}, .channels = 3), "std 0 for channel 2");
    REFUSED(fa_normalize({0.5, 0.5}, {0.5, 0.5}, .channels = 1), "2 means");
    REFUSED(fa_compose(fa_to_tensor_at(FA_HERE), NULL), "transform");
    const char *root = source_path("data/mnist");
    fa_transform *three = fa_normalize({0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}), *one = fa_normalize({0.5}, {0.5});
    fa_transform *wrong = fa_compose(fa_to_tensor(), three);
    REFUSED(fa_mnist(root, .train = false, .transform = wrong), "normalize has 3 values but images have 1 channel");
    REFUSED(fa_mnist(root, .train = false, .transform = one), "fa_to_tensor()");
    fa_scope
        REFUSED(fa_transform_apply(one, fa_zeros(3)), "[3]");
    fa_transform_free(wrong), fa_transform_free(one);
}

/* The first argument of the refused compose above still floats: a failed constructor leaves its arguments as they were.
 */
static void test_failed_compose_leaves_arguments(void **state)
{
    (void)state;
    int64_t before = fa_object_count();
    fa_transform *t = fa_to_tensor();
    REFUSED(fa_compose(t, NULL), "transform");
    fa_transform *fine = fa_compose(t, t);
    assert_non_null(fine);
    fa_transform_free(fine);
    fa_transform_free(t);
    assert_int_equal(fa_object_count(), before);
}

/* ---- A transform that draws: adds a drawn number to each pixel ----------------------------------------------------
 */

static bool noise_infer(const fa_transform_body *self, fa_image_form *form, fa_where where)
{
    (void)self, (void)where;
    return form->floats;
}

static void noise_draw(const fa_transform_body *self, const fa_image_form *form, fa_mt *mt, int64_t *draws)
{
    (void)self, (void)form;
    draws[0] = fa_mt_u32(mt) % 1000;
}

static bool noise_apply(const fa_transform_body *self, const fa_image_form *form, const void *in, const int64_t *draws,
                        void *out, fa_where where)
{
    (void)self, (void)where;
    for (int64_t i = 0; i < form->channels * form->height * form->width; i++)
        ((float *)out)[i] = ((const float *)in)[i] + (float)draws[0];
    return true;
}

static const fa_transform_kind noise = {
    .name = "noise", .infer = noise_infer, .apply = noise_apply, .draw = noise_draw};

static void test_draws_in_sample_order(void **state)
{
    (void)state;
    for (int workers = 0; workers < 3; workers += 2) {
        fa_transform *random = fa_transform_make(&(fa_transform_body){.kind = &noise, .draws = 1}, FA_HERE);
        fa_loader *loader = fa_data_loader(
            fa_mnist(source_path("data/mnist"), .train = false, .transform = fa_compose(fa_to_tensor(), random)),
            .batch_size = 4, .num_workers = workers);
        fa_manual_seed(11);
        fa_generator *expected = fa_generator_new();
        fa_generator_seed(expected, 11);
        fa_mt *mt = fa_generator_lock(expected);
        fa_generator_unlock(expected);
        fa_mt_random_int64(mt); /* the base seed */
        fa_for_each_batch (b, loader) {
            const float *image = fa_data(b.images);
            for (int64_t i = 0; i < b.size; i++)
                assert_true(image[i * 784] == (float)(fa_mt_u32(mt) % 1000)); /* corners are black */
            if (b.index == 3)
                break;
        }
        assert_true(fa_ok());
        fa_generator_release(expected);
        fa_loader_free(loader);
    }
}

/* ---- MNIST through a loader ---------------------------------------------------------------------------------------
 */

static void test_mnist_batches(void **state)
{
    (void)state;
    uint64_t want = 0;
    for (int workers = 0; workers < 4; workers += 3) {
        fa_transform *t = fa_compose(fa_to_tensor(), fa_normalize({0.1307}, {0.3081}));
        fa_dataset *data = fa_mnist(source_path("data/mnist"), .train = false, .transform = t);
        fa_loader *loader = fa_data_loader(data, .batch_size = 64, .shuffle = true, .num_workers = workers);
        fa_manual_seed(0);
        uint64_t hash = fnv_start;
        int64_t samples = 0;
        fa_for_each_batch (b, loader) {
            assert_int_equal(fa_ndim(b.images), 4);
            hash = fnv(hash, fa_data(b.images), (size_t)fa_numel(b.images) * sizeof(float));
            hash = fnv(hash, fa_data(b.labels), (size_t)b.size * sizeof(int64_t));
            samples += b.size;
        }
        assert_true(fa_ok());
        assert_int_equal(samples, 10000);
        fa_scope {
            const uint8_t *pixels = fa_data(fa_dataset_data(data));
            const float *image = fa_data(fa_dataset_get(data, 123).images);
            for (int i = 0; i < 784; i++)
                assert_true(image[i] == ((float)pixels[123 * 784 + i] / 255.0f - 0.1307f) / 0.3081f);
        }
        if (workers == 0)
            want = hash;
        assert_int_equal(hash, want);
        fa_loader_free(loader), fa_dataset_free(data), fa_transform_free(t);
    }
}

/* A user's data set of pictures. */
typedef struct pictures {
    uint8_t pixels[4][2][5][3]; /* [n, H, W, C] */
    fa_transform *transform;
} pictures;

static int64_t pictures_length(void *user)
{
    (void)user;
    return 4;
}

static bool pictures_item(void *user, int64_t i, fa_sample *sample)
{
    pictures *set = user;
    return fa_sample_image(sample, &set->pixels[i][0][0][0], 2, 5, 3, set->transform) && fa_sample_label(sample, i);
}

static void test_sample_image(void **state)
{
    (void)state;
    pictures set;
    for (size_t i = 0; i < sizeof set.pixels; i++)
        ((uint8_t *)set.pixels)[i] = (uint8_t)(i * 37);
    for (int with = 0; with < 2; with++) {
        set.transform = with ? fa_to_tensor() : NULL;
        fa_loader *loader = fa_data_loader(fa_dataset_new(&set, .length = pictures_length, .item = pictures_item),
                                           .batch_size = 4, .num_workers = 2);
        fa_for_each_batch (b, loader)
            for (int64_t k = 0; k < 4 * 3 * 2 * 5; k++) {
                uint8_t pixel = set.pixels[k / 30][k / 5 % 2][k % 5][k / 10 % 3];
                if (with)
                    assert_true(((const float *)fa_data(b.images))[k] == (float)pixel / 255.0f);
                else
                    assert_int_equal(((const uint8_t *)fa_data(b.images))[k], pixel);
            }
        assert_true(fa_ok());
        fa_loader_free(loader);
        fa_transform_free(set.transform);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_golden_bits, clean),
        cmocka_unit_test_teardown(test_table_is_the_steps, clean),
        cmocka_unit_test_teardown(test_draws_in_sample_order, clean),
        cmocka_unit_test_teardown(test_mnist_batches, clean),
        cmocka_unit_test_teardown(test_sample_image, clean),
        cmocka_unit_test(test_checks),
        cmocka_unit_test(test_failed_compose_leaves_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
