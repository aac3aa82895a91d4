/* CIFAR-10 and CIFAR-100: both versions, in each place, and what is wrong with them told by name. The pickles are those
 * of tests/golden/make_cifar.py, which torchvision has read. */
#include "support/facula_test.h"

#include "base/memory.h"
#include "data/object.h"
#include "facula.h"
#include "support/tempdir.h"

#include <string.h>
#include <sys/stat.h>

enum { N = 2, PIXELS = 3072 };

static const char *const batch_names[] = {"data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4",
                                          "data_batch_5"};

static uint8_t pixel(int file, int i, int c, int y, int x)
{
    return (uint8_t)((31 * file + 7 * i + 50 * c + 3 * y + 5 * x + y * x % 7) % 256);
}

/* Records of a binary file; coarse: of CIFAR-100, two labels. */
static size_t binary_file(uint8_t *to, int file, int n, bool hundred)
{
    uint8_t *at = to;
    for (int i = 0; i < n; i++) {
        if (hundred)
            *at++ = (uint8_t)((3 * i + file) % 20);
        *at++ = (uint8_t)((3 * i + file) % (hundred ? 100 : 10));
        for (int c = 0; c < 3; c++)
            for (int y = 0; y < 32; y++)
                for (int x = 0; x < 32; x++)
                    *at++ = pixel(file, i, c, y, x);
    }
    return (size_t)(at - to);
}

static void write_binary(const tempdir *dir, const char *name, int file, int n, bool hundred)
{
    static uint8_t bytes[16 * (2 + PIXELS)];
    write_file(tempdir_file(dir, name), bytes, binary_file(bytes, file, n, hundred));
}

static void check(fa_dataset *data, int first_file, int files, int classes)
{
    if (data == NULL)
        fail_msg("%s", fa_error());
    assert_int_equal(fa_length(data), N * files);
    assert_int_equal(fa_dataset_classes(data).count, classes);
    fa_scope {
        const int64_t *targets = fa_data(fa_dataset_targets(data));
        fa_tensor *all = fa_dataset_data(data);
        assert_true(fa_ndim(all) == 4 && fa_size(all, 1) == 32 && fa_size(all, 3) == 3);
        for (int k = 0; k < N * files; k++) {
            int file = first_file + k / N, i = k % N;
            fa_batch item = fa_dataset_get(data, k);
            assert_true(fa_dtype_of(item.images) == FA_UINT8 && fa_size(item.images, 0) == 3);
            const uint8_t *planes = fa_data(item.images), *pixels = (const uint8_t *)fa_data(all) + k * PIXELS;
            for (int c = 0; c < 3; c++)
                for (int y = 0; y < 32; y++)
                    for (int x = 0; x < 32; x++) {
                        assert_int_equal(planes[(c * 32 + y) * 32 + x], pixel(file, i, c, y, x));
                        assert_int_equal(pixels[(y * 32 + x) * 3 + c], pixel(file, i, c, y, x));
                    }
            assert_int_equal(targets[k], (3 * i + file) % classes);
            assert_int_equal(*(const int64_t *)fa_data(item.labels), (3 * i + file) % classes);
        }
    }
    assert_true(fa_ok());
    fa_free(data);
    assert_int_equal(fa_object_count(), 0);
}

static const char *golden(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "tests/golden/cifar/%s", name);
    return source_path(path);
}

static void test_python_version(void **state)
{
    (void)state;
    check(fa_cifar10(golden("")), 1, 5, 10);
    check(fa_cifar10(golden("cifar-10-batches-py")), 1, 5, 10);
    check(fa_cifar10(golden(""), .train = false), 0, 1, 10);
    check(fa_cifar100(golden("")), 1, 1, 100);
    check(fa_cifar100(golden(""), .train = false), 0, 1, 100);
    check(fa_cifar100(golden("cifar-100-python"), .train = false, .coarse = true), 0, 1, 20);
    fa_dataset *data = fa_cifar10(golden(""));
    assert_string_equal(fa_dataset_classes(data).name[9], "truck");
    fa_free(data);
    data = fa_cifar100(golden(""), .coarse = true);
    assert_string_equal(fa_dataset_classes(data).name[19], "coarse 19");
    fa_free(data);
    assert_null(fa_cifar10(golden(""), .coarse = true));
    fa_clear_error();
}

/* What Python 3 makes of it: other protocols, bytes as keys, Fortran's order. */
static void test_python3(void **state)
{
    (void)state;
    static const char *const files[] = {"protocol2", "protocol3", "protocol4", "bytes_keys", "fortran"};
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        tempdir dir = tempdir_new();
        char name[64];
        size_t size;
        snprintf(name, sizeof name, "other/%s", files[f]);
        char *bytes = read_file(golden(name), &size);
        write_file(tempdir_file(&dir, "test_batch"), bytes, size);
        free(bytes);
        check(fa_cifar10(dir.path, .train = false), 0, 1, 10);
        tempdir_free(&dir);
    }
}

static void test_binary_version(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    char name[64];
    mkdir(tempdir_file(&dir, "cifar-10-batches-bin"), 0777);
    mkdir(tempdir_file(&dir, "cifar-100-binary"), 0777);
    for (int f = 0; f < 5; f++) {
        snprintf(name, sizeof name, "cifar-10-batches-bin/%s.bin", batch_names[f]);
        write_binary(&dir, name, f + 1, N, false);
    }
    write_binary(&dir, "cifar-10-batches-bin/test_batch.bin", 0, N, false);
    write_binary(&dir, "cifar-100-binary/train.bin", 1, N, true);
    check(fa_cifar10(dir.path), 1, 5, 10);
    check(fa_cifar10(tempdir_file(&dir, "cifar-10-batches-bin"), .train = false), 0, 1, 10);
    check(fa_cifar100(dir.path), 1, 1, 100);
    check(fa_cifar100(tempdir_file(&dir, "cifar-100-binary"), .coarse = true), 1, 1, 20);
    fa_dataset *data = fa_cifar100(dir.path);
    assert_string_equal(fa_dataset_classes(data).name[42], "42");
    fa_free(data);
    const char *lines = "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n";
    write_file(tempdir_file(&dir, "cifar-10-batches-bin/batches.meta.txt"), lines, strlen(lines));
    data = fa_cifar10(dir.path);
    assert_string_equal(fa_dataset_classes(data).name[9], "j");
    fa_free(data);
    tempdir_free(&dir);
}

static void refused(fa_dataset *data, const char *part, const char *second)
{
    assert_null(data);
    assert_int_equal(fa_error_code(), FA_FILE_ERROR);
    assert_contains(fa_error(), part);
    assert_contains(fa_error(), second);
    fa_clear_error();
    assert_int_equal(fa_object_count(), 0);
}

/* O04 and O16. */
static void test_damaged_binary(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    char name[64];
    refused(fa_cifar10(dir.path), "got no data_batch_1 and no data_batch_1.bin in ", "cifar-10-batches-bin");
    for (int f = 0; f < 5; f++) {
        snprintf(name, sizeof name, "%s.bin", batch_names[f]);
        write_binary(&dir, name, f + 1, N, false);
    }
    remove(tempdir_file(&dir, "data_batch_3.bin"));
    refused(fa_cifar10(dir.path), "got no data_batch_3.bin in ", "where 4 of its files are");
    write_binary(&dir, "data_batch_3.bin", 3, N - 1, false);
    refused(fa_cifar10(dir.path), "data_batch_3.bin has 1 images, but data_batch_1.bin has 2", "");
    write_file(tempdir_file(&dir, "data_batch_3.bin"), "", 0);
    refused(fa_cifar10(dir.path), "data_batch_3.bin ends early", "got 0");
    size_t size;
    char *bytes = read_file(tempdir_file(&dir, "data_batch_2.bin"), &size);
    write_file(tempdir_file(&dir, "data_batch_3.bin"), bytes, size - 1);
    refused(fa_cifar10(dir.path), "data_batch_3.bin ends early: want a multiple of 3073 bytes", "got 6145");
    bytes[3073] = 10;
    write_file(tempdir_file(&dir, "data_batch_3.bin"), bytes, size);
    refused(fa_cifar10(dir.path), "label 10 of record 1 is outside 0..9", "data_batch_3.bin");
    free(bytes);
    write_binary(&dir, "data_batch_3.bin", 3, N, false);
    check(fa_cifar10(dir.path), 1, 5, 10);
    write_file(tempdir_file(&dir, "batches.meta.txt"), "cat\ndog\n", 8);
    refused(fa_cifar10(dir.path), "batches.meta.txt has 2 names of classes, needs 10", "");
    assert_null(fa_cifar10(NULL));
    fa_clear_error();
    tempdir_free(&dir);
}

/* A test_batch with a part replaced by another one of the same length. */
static void refused_with(const char *from, const char *to, size_t length, const char *part)
{
    tempdir dir = tempdir_new();
    size_t size, at = 0;
    char *bytes = read_file(golden("cifar-10-batches-py/test_batch"), &size);
    while (at + length <= size && memcmp(bytes + at, from, length) != 0)
        at++;
    assert_true(at + length <= size);
    memcpy(bytes + at, to, length);
    write_file(tempdir_file(&dir, "test_batch"), bytes, size);
    refused(fa_cifar10(dir.path, .train = false), "test_batch", part);
    free(bytes);
    tempdir_free(&dir);
}

static void test_hostile_pickles(void **state)
{
    (void)state;
    refused_with("cnumpy\nndarray\n", "c__main\nexploit", 15, "of the pickle");
    refused_with("cnumpy\nndarray\n", "cposix\nsystem0\n", 15, "asks for posix.system0: refused. Nothing in a file");
    refused_with("_reconstruct", "_frombuffer_", 12, "asks for numpy.core.multiarray._frombuffer_: refused");
    refused_with("cnumpy\nndarray\n", "cnumpy\ndtype\nNN", 15, "");
    refused_with("U\004data", "U\004atad", 6, "without \"data\" (it has: batch_label, labels, atad, filenames)");
    refused_with("U\006labels", "U\006slebal", 8, "without \"fine_labels\"");
    refused_with("U\002u1", "U\002f4", 4, "needs uint8");
    refused_with("K\002M\000\014", "K\003M\000\014", 5, "got 6144 bytes for 3 images");
    refused_with("K\002M\000\014", "K\002M\000\013", 5, "not [n, 3072]");
    refused_with("(K\000K\003e", "(K\000K\012e", 6, "label 10 of record 1 is outside 0..9");
    refused_with("(K\000K\003e", "(M\000\000\210e", 6, "label 1 is no whole number");
    refused_with("(K\000K\003e", "(\212\002\000\000e", 6, "2 images but 1 labels");
    size_t size, before, after, pooled;
    char *bytes = read_file(golden("cifar-10-batches-py/test_batch"), &size);
    tempdir dir = tempdir_new();
    fa_buffer_usage(&before, &pooled);
    for (size_t cut = 0; cut < size; cut += cut < 300 || cut > size - 300 ? 1 : 200) {
        write_file(tempdir_file(&dir, "test_batch"), bytes, cut);
        refused(fa_cifar10(dir.path, .train = false), "test_batch", "");
    }
    fa_buffer_usage(&after, &pooled);
    assert_int_equal(after, before);
    write_file(tempdir_file(&dir, "test_batch"), bytes, size);
    check(fa_cifar10(dir.path, .train = false), 0, 1, 10);
    char *meta = read_file(golden("cifar-100-python/meta"), &size);
    write_file(tempdir_file(&dir, "batches.meta"), meta, size);
    refused(fa_cifar10(dir.path, .train = false), "batches.meta", "without \"label_names\"");
    free(meta);
    free(bytes);
    tempdir_free(&dir);
}

/* Numpy's names are this format's alone: a .pth file that asks for them is refused as before. */
static void test_not_for_pth(void **state)
{
    (void)state;
    fa_scope {
        assert_null(fa_load(golden("cifar-10-batches-py/test_batch")));
        assert_int_equal(fa_error_code(), FA_FILE_ERROR);
        fa_clear_error();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_python_version),  cmocka_unit_test(test_python3),
        cmocka_unit_test(test_binary_version),  cmocka_unit_test(test_damaged_binary),
        cmocka_unit_test(test_hostile_pickles), cmocka_unit_test(test_not_for_pth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
