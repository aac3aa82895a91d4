/* Mean and standard deviation of data sets against NumPy's. */
#include "support/facula_test.h"

#include "base/generator.h"
#include "base/memory.h"
#include "data/object.h"
#include "facula.h"

#include <math.h>
#include <string.h>

static int clean(void **state)
{
    (void)state;
    fa_clear_error();
    return fa_object_count() == 0 ? 0 : -1;
}

static bool close_to(double got, double want)
{
    return fabs(got - want) < 1e-12;
}

/* numpy: data.astype(float64) / 255, .mean(), .std(), of all items, of the test half, of items [i * 60 for i in
 * range(1000)]. With ToTensor pixels are float32: the same to 7 digits. */
static void test_mnist(void **state)
{
    (void)state;
    char text[128];
    fa_dataset *train = fa_mnist(source_path("data/mnist")),
               *test = fa_mnist(source_path("data/mnist"), .train = false);
    fa_channel_stats s = fa_dataset_stats(train);
    assert_string_equal(fa_error(), "");
    assert_int_equal(s.channels, 1);
    assert_int_equal(s.items, 60000);
    assert_true(close_to(s.mean[0], 0.1306604762738429) && close_to(s.std[0], 0.30810780385646264));
    assert_int_equal(fa_channel_stats_text(&s, text, sizeof text), strlen("fa_normalize({0.1307}, {0.3081})"));
    assert_string_equal(text, "fa_normalize({0.1307}, {0.3081})");
    s = fa_dataset_stats(test);
    assert_true(close_to(s.mean[0], 0.13251460584233696) && close_to(s.std[0], 0.3104802479305351));
    s = fa_dataset_stats(train, .items = 1000);
    assert_int_equal(s.items, 1000);
    assert_true(close_to(s.mean[0], 0.12422167366946779) && close_to(s.std[0], 0.3001303618461882));
    fa_transform *t = fa_to_tensor();
    fa_dataset *floats = fa_mnist(source_path("data/mnist"), .train = false, .transform = t);
    s = fa_dataset_stats(floats);
    assert_true(fabs(s.mean[0] - 0.13251460584233696) < 1e-8 && fabs(s.std[0] - 0.3104802479305351) < 1e-8);
    fa_free(train), fa_free(test), fa_free(floats), fa_free(t);
}

/* Pictures of three channels: value (k * 37 + k * k / 7 * 11) % 256 of the k-th byte of all. */
enum { ITEMS = 20, AREA = 35 };

typedef struct pictures {
    bool floats;
    int odd; /* item of another kind; -1: none */
    fa_transform *transform;
} pictures;

static int64_t length(void *user)
{
    return user != NULL ? ITEMS : 0;
}

static bool item(void *user, int64_t index, fa_sample *sample)
{
    const pictures *set = user;
    uint8_t bytes[3 * AREA];
    float floats[3 * AREA];
    for (int64_t i = 0; i < 3 * AREA; i++) {
        int64_t k = index * 3 * AREA + i;
        bytes[i] = (uint8_t)((k * 37 + k * k / 7 * 11) % 256);
        floats[i] = (float)bytes[i] / 255;
    }
    if (set->transform != NULL)
        return fa_sample_image(sample, bytes, AREA, 1, 3, set->transform);
    if (index == set->odd)
        return fa_sample_put(sample, FA_UINT8, FA_SHAPE(1, 5, 7), bytes);
    /* of two shapes: only the pixels count */
    return fa_sample_put(sample, set->floats ? FA_FLOAT32 : FA_UINT8,
                         index % 2 ? FA_SHAPE(3, 5, 7) : FA_SHAPE(3, 35, 1),
                         set->floats ? (const void *)floats : bytes);
}

static void test_channels(void **state)
{
    (void)state;
    static const double mean[] = {0.5036190476190475, 0.5068683473389355, 0.49053221288515425};
    static const double std[] = {0.29685667042638614, 0.2940675867227966, 0.2820608065888685};
    for (int floats = 0; floats < 2; floats++) {
        pictures set = {.floats = floats, .odd = -1};
        fa_dataset *data = fa_dataset_new(&set, .length = length, .item = item);
        fa_channel_stats s = fa_dataset_stats(data);
        assert_string_equal(fa_error(), "");
        assert_int_equal(s.channels, 3);
        const double bound = floats ? 2e-8 : 1e-12;
        for (int c = 0; c < 3; c++)
            assert_true(fabs(s.mean[c] - mean[c]) < bound && fabs(s.std[c] - std[c]) < bound);
        char text[256], cut[20];
        const char *want = "fa_normalize({0.5036, 0.5069, 0.4905}, {0.2969, 0.2941, 0.2821})";
        assert_int_equal(fa_channel_stats_text(&s, text, sizeof text), strlen(want));
        assert_string_equal(text, want);
        assert_int_equal(fa_channel_stats_text(&s, cut, sizeof cut), strlen(want));
        assert_string_equal(cut, "fa_normalize({0.503");
        fa_free(data);
    }
}

/* Random transforms do not move the program's own draws. */
static void test_draws_stay(void **state)
{
    (void)state;
    pictures set = {.odd = -1, .transform = fa_compose(fa_random_horizontal_flip(), fa_to_tensor())};
    fa_dataset *data = fa_dataset_new(&set, .length = length, .item = item);
    int64_t word[2];
    for (int i = 0; i < 2; i++) {
        fa_manual_seed(3);
        if (i == 1)
            assert_int_equal(fa_dataset_stats(data).channels, 3);
        word[i] = fa_mt_random_int64(fa_generator_lock(NULL));
        fa_generator_unlock(NULL);
    }
    assert_int_equal(word[0], word[1]);
    fa_free(data), fa_free(set.transform);
}

static void refused(fa_dataset *data, int64_t items, const char *part)
{
    fa_channel_stats s = fa_dataset_stats(data, .items = items);
    assert_int_equal(s.channels, 0);
    assert_contains(fa_error(), part);
    assert_contains(fa_error(), "test_stats.c:");
    assert_int_equal(fa_channel_stats_text(&s, NULL, 0), 0);
    fa_clear_error();
}

static void test_mistakes(void **state)
{
    (void)state;
    pictures set = {.odd = 7};
    fa_dataset *data = fa_dataset_new(&set, .length = length, .item = item);
    refused(data, 0, "got item 7 of uint8 with 1 channels after items of uint8 with 3");
    refused(data, -1, "got -1 items to look at");
    fa_free(data);
    data = fa_dataset_new(NULL, .length = length, .item = item);
    refused(data, 0, "got 0 items in the data set");
    fa_free(data);
    fa_scope {
        data = fa_tensor_dataset(fa_zeros(4, 3));
        refused(data, 0, "got float32 [3] as the first field of item 0");
        fa_free(data);
        data = fa_tensor_dataset(fa_zeros(4, 3, 0, 2));
        refused(data, 0, "got images without a pixel");
        fa_free(data);
    }
    refused(NULL, 0, "data set");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_mnist, clean),
        cmocka_unit_test_teardown(test_channels, clean),
        cmocka_unit_test_teardown(test_draws_stay, clean),
        cmocka_unit_test_teardown(test_mistakes, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
