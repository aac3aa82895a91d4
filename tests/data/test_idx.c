/* The reader of MNIST's files: packed and not, in each place, and what is wrong with them told by name; the project's
 * own MNIST. */
#include "support/facula_test.h"

#include "base/memory.h"
#include "data/object.h"
#include "facula/vision.h"
#include "support/tempdir.h"

#include <libdeflate.h>
#include <string.h>
#include <sys/stat.h>

static const char *const train_images = "train-images-idx3-ubyte", *const train_labels = "train-labels-idx1-ubyte";

typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes;

static bytes blank(size_t size)
{
    bytes made = {calloc(1, size), size};
    assert_non_null(made.data);
    return made;
}

static void put_u32(uint8_t *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* n images of 28 x 28, each filled with its number and a pattern. */
static bytes idx_images(uint32_t n)
{
    bytes made = blank(16 + (size_t)n * 784);
    put_u32(made.data, 0x0803);
    put_u32(made.data + 4, n);
    put_u32(made.data + 8, 28);
    put_u32(made.data + 12, 28);
    for (size_t i = 0; i < (size_t)n * 784; i++)
        made.data[16 + i] = (uint8_t)(i / 784 * 3 + i % 784 * i % 251);
    return made;
}

static bytes idx_labels(uint32_t n)
{
    bytes made = blank(8 + n);
    put_u32(made.data, 0x0801);
    put_u32(made.data + 4, n);
    for (uint32_t i = 0; i < n; i++)
        made.data[8 + i] = (uint8_t)(i * 7 % 10);
    return made;
}

static bytes gzip(const void *data, size_t size)
{
    struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
    bytes made = blank(libdeflate_gzip_compress_bound(c, size));
    made.size = libdeflate_gzip_compress(c, data, size, made.data, made.size);
    assert_true(made.size > 0);
    libdeflate_free_compressor(c);
    return made;
}

static void store(const tempdir *dir, const char *name, const char *ending, bytes content, size_t size)
{
    char full[128];
    snprintf(full, sizeof full, "%s%s", name, ending);
    write_file(tempdir_file(dir, full), content.data, size);
}

/* A training half of n images in a new folder, raw. */
static tempdir raw_half(uint32_t n)
{
    tempdir dir = tempdir_new();
    bytes images = idx_images(n), labels = idx_labels(n);
    store(&dir, train_images, "", images, images.size);
    store(&dir, train_labels, "", labels, labels.size);
    free(images.data);
    free(labels.data);
    return dir;
}

/* fa_mnist must fail, and say each of the parts. */
static void refused(const tempdir *dir, const char *part, const char *second)
{
    size_t before, after, pooled;
    fa_buffer_usage(&before, &pooled);
    assert_null(fa_mnist(dir->path));
    fa_buffer_usage(&after, &pooled);
    assert_int_equal(after, before);
    assert_int_equal(fa_error_code(), FA_FILE_ERROR);
    assert_contains(fa_error(), "test_idx.c:");
    assert_contains(fa_error(), part);
    assert_contains(fa_error(), second);
    fa_clear_error();
    assert_int_equal(fa_object_count(), 0);
}

static void check_half(const tempdir *dir, uint32_t n)
{
    fa_dataset *data = fa_mnist(dir->path);
    assert_true(fa_ok());
    assert_int_equal(fa_length(data), n);
    bytes images = idx_images(n), labels = idx_labels(n);
    fa_scope {
        fa_tensor *all = fa_dataset_data(data), *targets = fa_dataset_targets(data);
        assert_int_equal(fa_ndim(all), 3);
        assert_int_equal(fa_size(all, 2), 28);
        assert_int_equal(fa_size(targets, 0), n);
        assert_same_bytes(fa_data(all), images.data + 16, (size_t)n * 784);
        for (uint32_t i = 0; i < n; i++) {
            fa_batch item = fa_dataset_get(data, i);
            assert_int_equal(fa_dtype_of(item.images), FA_UINT8);
            assert_int_equal(fa_ndim(item.images), 3);
            assert_same_bytes(fa_data(item.images), images.data + 16 + i * 784, 784);
            assert_int_equal(*(const int64_t *)fa_data(item.labels), labels.data[8 + i]);
            assert_int_equal(((const int64_t *)fa_data(targets))[i], labels.data[8 + i]);
        }
    }
    assert_true(fa_ok());
    fa_dataset_free(data);
    free(images.data);
    free(labels.data);
}

/* O02: packed or not is told by content, whatever the name. */
static void test_packed_by_content(void **state)
{
    (void)state;
    bytes images = idx_images(12), labels = idx_labels(12);
    bytes packed_images = gzip(images.data, images.size), packed_labels = gzip(labels.data, labels.size);
    for (int k = 0; k < 16; k++) {
        tempdir dir = tempdir_new();
        bytes i = k & 1 ? packed_images : images, l = k & 2 ? packed_labels : labels;
        store(&dir, train_images, k & 4 ? ".gz" : "", i, i.size);
        store(&dir, train_labels, k & 8 ? ".gz" : "", l, l.size);
        check_half(&dir, 12);
        tempdir_free(&dir);
    }
    free(images.data), free(labels.data), free(packed_images.data), free(packed_labels.data);
}

static void test_places(void **state)
{
    (void)state;
    bytes images = idx_images(3), labels = idx_labels(3);
    const char *const folders[] = {"", "raw", "MNIST/raw"};
    for (int f = 0; f < 3; f++) {
        tempdir dir = tempdir_new();
        mkdir(tempdir_file(&dir, "raw"), 0777);
        mkdir(tempdir_file(&dir, "MNIST"), 0777);
        mkdir(tempdir_file(&dir, "MNIST/raw"), 0777);
        refused(&dir, train_images, dir.path);
        char name[128];
        snprintf(name, sizeof name, "%s/%s", folders[f], train_images);
        store(&dir, name, "", images, images.size);
        refused(&dir, train_labels, dir.path);
        snprintf(name, sizeof name, "%s/%s", folders[f], train_labels);
        store(&dir, name, "", labels, labels.size);
        check_half(&dir, 3);
        assert_null(fa_mnist(dir.path, .train = false));
        assert_contains(fa_error(), "t10k-images-idx3-ubyte");
        fa_clear_error();
        tempdir_free(&dir);
    }
    free(images.data), free(labels.data);
}

/* O01: cut short, not gzip, empty. */
static void test_damaged(void **state)
{
    (void)state;
    tempdir dir = raw_half(40);
    bytes images = idx_images(40), packed = gzip(images.data, images.size);
    remove(tempdir_file(&dir, train_images));

    store(&dir, train_images, ".gz", packed, packed.size / 2);
    refused(&dir, "ends early", "want 31376 bytes, got ");
    store(&dir, train_images, ".gz", packed, packed.size - 8);
    refused(&dir, "ends early", "want 31376 bytes, got ");
    packed.data[packed.size - 8] ^= 1;
    store(&dir, train_images, ".gz", packed, packed.size);
    refused(&dir, "checksum", "train-images-idx3-ubyte.gz");
    packed.data[packed.size - 8] ^= 1;
    store(&dir, train_images, ".gz", packed, 15);
    refused(&dir, "IDX header incomplete", "train-images-idx3-ubyte.gz");
    for (size_t size = 1; size < packed.size; size += 211) {
        store(&dir, train_images, ".gz", packed, size);
        refused(&dir, "train-images-idx3-ubyte.gz", size < 2 ? "gzip" : "want");
    }
    packed.data[packed.size / 2] ^= 0x40;
    store(&dir, train_images, ".gz", packed, packed.size);
    refused(&dir, "damaged", "train-images-idx3-ubyte.gz");
    packed.data[packed.size / 2] ^= 0x40;

    char page[727];
    memset(page, ' ', sizeof page);
    memcpy(page, "<!DOCTYPE html>", 15);
    store(&dir, train_images, ".gz", (bytes){(uint8_t *)page, sizeof page}, sizeof page);
    refused(&dir, "not gzip (starts with '<!DO", "train-images-idx3-ubyte.gz");
    store(&dir, train_images, ".gz", images, 0);
    refused(&dir, "is empty", "train-images-idx3-ubyte.gz");
    bytes ten = gzip(images.data, 10);
    store(&dir, train_images, ".gz", ten, ten.size);
    refused(&dir, "IDX header incomplete", "want 16 bytes, got 10");
    bytes missing = gzip(images.data, images.size - 784);
    store(&dir, train_images, ".gz", missing, missing.size);
    refused(&dir, "ends early", "want 31376 bytes, got 30592");

    store(&dir, train_images, "", images, 10);
    refused(&dir, "IDX header incomplete", "want 16 bytes, got 10");
    store(&dir, train_images, "", images, images.size - 784);
    refused(&dir, "ends early", "want 31376 bytes, got 30592");
    bytes longer = blank(images.size + 1);
    memcpy(longer.data, images.data, images.size);
    store(&dir, train_images, "", longer, longer.size);
    refused(&dir, "goes on", "want 31376 bytes, got 31377");
    bytes packed_longer = gzip(longer.data, longer.size);
    store(&dir, train_images, "", packed_longer, packed_longer.size);
    refused(&dir, "goes on", "want 31376 bytes");
    free(images.data), free(packed.data), free(ten.data), free(missing.data), free(longer.data);
    free(packed_longer.data);
    tempdir_free(&dir);
}

static void test_wrong_headers(void **state)
{
    (void)state;
    tempdir dir = raw_half(4);
    bytes images = idx_images(4);
    put_u32(images.data, 0x0801);
    store(&dir, train_images, "", images, images.size);
    refused(&dir, "0x00000801", "0x00000803");
    put_u32(images.data, 0x0d03); /* floats */
    store(&dir, train_images, "", images, images.size);
    refused(&dir, "0x00000d03", train_images);
    put_u32(images.data, 0x0803);
    put_u32(images.data + 8, 0);
    store(&dir, train_images, "", images, images.size);
    refused(&dir, "size 0", train_images);
    for (int d = 0; d < 3; d++)
        put_u32(images.data + 4 + 4 * d, 0xffffffff);
    store(&dir, train_images, "", images, images.size);
    refused(&dir, "do not fit", train_images);
    /* sizes that no file of this length can hold: refused before memory is asked for */
    put_u32(images.data + 4, 0x7fffffff);
    put_u32(images.data + 8, 0x7fff);
    put_u32(images.data + 12, 28);
    store(&dir, train_images, "", images, images.size);
    refused(&dir, "ends early", train_images);
    bytes packed = gzip(images.data, images.size);
    store(&dir, train_images, "", packed, packed.size);
    refused(&dir, "ends early", train_images);
    free(images.data), free(packed.data);
    tempdir_free(&dir);
}

/* O03 and O16. */
static void test_labels(void **state)
{
    (void)state;
    tempdir dir = raw_half(20);
    bytes labels = idx_labels(12);
    store(&dir, train_labels, "", labels, labels.size);
    refused(&dir, "train: 20 images but 12 labels", train_labels);
    free(labels.data);
    labels = idx_labels(20);
    labels.data[8 + 17] = 10;
    store(&dir, train_labels, "", labels, labels.size);
    refused(&dir, "label 10 of sample 17 is outside 0..9", train_labels);
    free(labels.data);
    tempdir_free(&dir);
}

static uint64_t fnv(const void *data, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
    return hash;
}

static void test_own_mnist(void **state)
{
    (void)state;
    fa_dataset *train = fa_mnist(source_path("data/mnist")),
               *test = fa_mnist(source_path("data/mnist"), .train = false);
    assert_true(fa_ok());
    assert_int_equal(fa_length(train), 60000);
    assert_int_equal(fa_length(test), 10000);
    fa_scope {
        /* hashes of the files' content after their headers, by zcat */
        assert_int_equal(fnv(fa_data(fa_dataset_data(train)), 47040000), 0xb6e6196608671562);
        assert_int_equal(fnv(fa_data(fa_dataset_data(test)), 7840000), 0x8614c3e55764d65f);
        const int64_t *label = fa_data(fa_dataset_targets(train));
        assert_int_equal(label[0], 5);
        assert_int_equal(label[59999], 8);
    }
    fa_dataset_free(train);
    fa_dataset_free(test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_packed_by_content), cmocka_unit_test(test_places), cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_wrong_headers),     cmocka_unit_test(test_labels), cmocka_unit_test(test_own_mnist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
