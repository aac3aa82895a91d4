/* Images in arrays and .npy files, with transforms; noise; data sets one behind the other. */
#include "support/facula_test.h"

#include "data/object.h"
#include "facula.h"
#include "golden/fake_golden.inc"
#include "support/tempdir.h"

#include <string.h>

enum { N = 5, H = 2, W = 3 };

static uint8_t pixel(int64_t i, int64_t c, int64_t y, int64_t x)
{
    return (uint8_t)(50 * i + 17 * c + 5 * y + x);
}

/* All items of a data set of N images of `channels`; floats: pixel / 255. */
static void check(fa_dataset *data, int64_t channels, bool floats)
{
    if (data == NULL)
        fail_msg("%s", fa_error());
    assert_int_equal(fa_length(data), N);
    fa_scope
        for (int64_t i = 0; i < N; i++) {
            fa_batch item = fa_dataset_get(data, i);
            assert_true(fa_ok());
            assert_int_equal(fa_size(item.images, 0), channels);
            assert_int_equal(*(const int64_t *)fa_data(item.labels), i % 3);
            for (int64_t k = 0; k < channels * H * W; k++) {
                uint8_t want = pixel(i, k / (H * W), k / W % H, k % W);
                if (floats)
                    assert_true(((const float *)fa_data(item.images))[k] == (float)want / 255.0f);
                else
                    assert_int_equal(((const uint8_t *)fa_data(item.images))[k], want);
            }
        }
    fa_free(data);
    assert_int_equal(fa_object_count(), 0);
}

/* The images in one of the orders of elements. */
static fa_tensor *images(int64_t channels, bool first, bool floats)
{
    uint8_t bytes[N * 4 * H * W];
    float reals[N * 4 * H * W];
    for (int64_t i = 0; i < N; i++)
        for (int64_t c = 0; c < channels; c++)
            for (int64_t y = 0; y < H; y++)
                for (int64_t x = 0; x < W; x++) {
                    int64_t at = first ? ((i * channels + c) * H + y) * W + x : ((i * H + y) * W + x) * channels + c;
                    bytes[at] = pixel(i, c, y, x);
                    reals[at] = (float)bytes[at] / 255.0f;
                }
    fa_shape shape = first ? FA_SHAPE(N, channels, H, W) : FA_SHAPE(N, H, W, channels);
    return floats ? fa_from_memory(reals, FA_FLOAT32, shape) : fa_from_memory(bytes, FA_UINT8, shape);
}

static fa_tensor *labels(fa_dtype dtype)
{
    int64_t wide[N] = {0, 1, 2, 0, 1};
    int32_t middle[N] = {0, 1, 2, 0, 1};
    uint8_t narrow[N] = {0, 1, 2, 0, 1};
    return fa_from_memory(dtype == FA_INT64   ? (void *)wide
                          : dtype == FA_INT32 ? (void *)middle
                                              : narrow,
                          dtype, FA_SHAPE(N));
}

static void test_tensors(void **state)
{
    (void)state;
    fa_scope {
        check(fa_image_tensors(images(3, false, false), labels(FA_INT64)), 3, false);
        check(fa_image_tensors(images(4, true, false), labels(FA_INT32), .channels_first = 1), 4, false);
        check(fa_image_tensors(images(1, true, false), labels(FA_UINT8), .channels_first = 1), 1, false);
        check(fa_image_tensors(images(3, false, false), labels(FA_INT64), .transform = fa_to_tensor()), 3, true);
        check(fa_image_tensors(images(3, true, true), labels(FA_INT64)), 3, true);
        check(fa_image_tensors(fa_reshape(images(1, false, false), N, H, W), labels(FA_INT64)), 1, false);
        check(fa_image_tensors(images(2, false, false), labels(FA_INT64), .channels_first = 0), 2, false);
        fa_dataset *data = fa_image_tensors(images(3, false, false), labels(FA_INT64));
        assert_int_equal(fa_dataset_classes(data).count, 3);
        assert_string_equal(fa_dataset_classes(data).name[2], "2");
        assert_int_equal(fa_size(fa_dataset_data(data), 3), 3);
        fa_dataset *named =
            fa_image_tensors(images(3, true, true), labels(FA_INT64), .transform = fa_normalize({0, 0, 0}, {2, 2, 2}),
                             .classes = FA_NAMES("a", "b", "c", "d"));
        assert_int_equal(fa_class_index(named, "d"), 3);
        assert_true(*(const float *)fa_data(fa_dataset_get(named, 1).images) ==
                    (float)pixel(1, 0, 0, 0) / 255.0f / 2.0f);
        fa_free(named), fa_free(data);
    }
}

/* Uninterrupted by what is written to the tensor's memory elsewhere: kept, not copied. */
static void test_kept(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = images(3, false, false);
        fa_dataset *data = fa_image_tensors(x, labels(FA_INT64));
        assert_ptr_equal(fa_data(fa_dataset_data(data)), fa_data(x));
        fa_free(data);
    }
}

static void refused(fa_dataset *data, const char *part)
{
    assert_null(data);
    assert_contains(fa_error(), part);
    fa_clear_error();
    assert_int_equal(fa_object_count(), 0);
}

static void test_mistakes(void **state)
{
    (void)state;
    fa_scope {
        refused(fa_image_tensors(labels(FA_INT64), labels(FA_INT64)), "got images of int64 [5], needs uint8 [N, H, W]");
        refused(fa_image_tensors(images(2, false, false), labels(FA_INT64)), "1, 3 or 4 channels in dimension 1 or 3");
        refused(fa_image_tensors(images(3, false, true), labels(FA_INT64)), "1, 3 or 4 channels in dimension 1");
        refused(fa_image_tensors(images(3, false, false), fa_rand(N)), "got labels of float32 [5]");
        refused(fa_image_tensors(images(3, false, false), fa_narrow(labels(FA_INT64), 0, 0, 4)),
                "5 images but 4 labels");
        refused(fa_image_tensors(images(3, false, false), labels(FA_INT64), .classes = FA_NAMES("a", "b")),
                "label 2 of sample 2 is outside 0..1");
        refused(fa_image_tensors(images(3, false, false), fa_neg(labels(FA_INT64))), "label -1 of sample 1 is outside");
        refused(fa_image_tensors(NULL, labels(FA_INT64)), "images");
        fa_transform *grey = fa_normalize({0}, {1});
        assert_null(fa_image_tensors(images(3, false, false), labels(FA_INT64), .transform = grey));
        assert_contains(fa_error(), "normalize");
        fa_clear_error();
        fa_free(grey);
        assert_int_equal(fa_object_count(), 0);
    }
}

static void test_npy(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    const char *x = tempdir_file(&dir, "images.npy"), *y = tempdir_file(&dir, "labels.npy");
    fa_scope {
        assert_true(fa_save(images(3, false, false), x));
        assert_true(fa_save(labels(FA_UINT8), y));
    }
    check(fa_npy_images(x, y), 3, false);
    check(fa_npy_images(x, y, .transform = fa_to_tensor()), 3, true);
    refused(fa_npy_images(x, tempdir_file(&dir, "none.npy")), "none.npy");
    refused(fa_npy_images(y, y), "got images (");
    refused(fa_npy_images(x, y, .classes = FA_NAMES("a", "b")), "labels.npy");
    refused(fa_npy_images(NULL, y), "NULL");
    /* the loader's workers read from the mapping */
    fa_dataset *data = fa_npy_images(x, y);
    fa_loader *loader = fa_data_loader(data, .batch_size = 2, .num_workers = 2);
    int64_t seen = 0;
    fa_for_each_batch (b, loader)
        seen += b.size;
    assert_true(fa_ok() && seen == N);
    fa_free(loader), fa_free(data);
    tempdir_free(&dir);
}

static void test_fake_data(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof fake_items / sizeof *fake_items; k++) {
        const int64_t *size = fake_items[k].size, channels = size[0], area = size[1] * size[2];
        fa_dataset *data = fa_fake_data(100, .image_size = {size[0], size[1], size[2]},
                                        .num_classes = fake_items[k].classes, .random_offset = fake_items[k].offset);
        fa_scope {
            fa_batch item = fa_dataset_get(data, fake_items[k].index);
            const uint8_t *planes = fa_data(item.images);
            uint64_t hash = 0xcbf29ce484222325u;
            for (int64_t i = 0; i < area; i++)
                for (int64_t c = 0; c < channels; c++)
                    hash = (hash ^ planes[c * area + i]) * 0x100000001b3u;
            assert_int_equal(hash, fake_items[k].hash);
            assert_int_equal(*(const int64_t *)fa_data(item.labels), fake_items[k].label);
        }
        fa_free(data);
    }
    fa_dataset *data = fa_fake_data();
    assert_int_equal(fa_length(data), 1000);
    assert_int_equal(fa_dataset_classes(data).count, 10);
    fa_scope {
        assert_null(fa_dataset_targets(data)); /* drawn with the items */
        assert_contains(fa_error(), "known only by reading");
        fa_clear_error();
    }
    fa_free(data);
    refused(fa_fake_data(10, .image_size = {2, 4, 4}), "1 or 3 channels");
    refused(fa_fake_data(10, .num_classes = 0), "1 to 1000000 classes");
    /* the default generator is not touched, and the loader's workers give the same */
    fa_manual_seed(3);
    data = fa_fake_data(16, .image_size = {3, 4, 4}, .transform = fa_to_tensor());
    fa_scope {
        (void)fa_dataset_get(data, 5);
        float drawn = (float)fa_item(fa_rand(1));
        fa_manual_seed(3);
        assert_true((float)fa_item(fa_rand(1)) == drawn);
    }
    fa_free(data);
}

static void test_concat(void **state)
{
    (void)state;
    fa_scope {
        fa_dataset *a = fa_image_tensors(images(3, false, false), labels(FA_INT64));
        const int64_t indices[] = {4, -4}; /* of 5 */
        fa_dataset *b = fa_subset(a, indices, 2), *empty = fa_subset(a, indices, 0);
        fa_dataset *all = fa_concat_dataset(b, empty, a, b);
        assert_int_equal(fa_length(all), 9);
        static const int want[] = {4, 1, 0, 1, 2, 3, 4, 4, 1};
        for (int i = 0; i < 9; i++)
            assert_int_equal(*(const uint8_t *)fa_data(fa_dataset_get(all, i).images), pixel(want[i], 0, 0, 0));
        fa_loader *loader = fa_data_loader(all, .batch_size = 9, .num_workers = 2);
        fa_for_each_batch (batch, loader)
            for (int i = 0; i < 9; i++)
                assert_int_equal(((const uint8_t *)fa_data(batch.images))[i * 3 * H * W], pixel(want[i], 0, 0, 0));
        assert_int_equal(fa_dataset_classes(all).count, 3);
        assert_int_equal(((const int64_t *)fa_data(fa_dataset_targets(all)))[5], 0);
        assert_null(fa_dataset_get(all, 9).images);
        fa_clear_error();
        assert_null(fa_concat_dataset(a, NULL));
        fa_clear_error();
        assert_null(fa_concat_dataset_at(0, NULL, FA_HERE));
        fa_clear_error();
        fa_free(loader), fa_free(all), fa_free(empty), fa_free(b), fa_free(a);
    }
    assert_int_equal(fa_object_count(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tensors), cmocka_unit_test(test_kept),      cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_npy),     cmocka_unit_test(test_fake_data), cmocka_unit_test(test_concat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
