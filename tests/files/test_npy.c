/* Reading .npy files: versions, orders of bytes and of dimensions, types, and what is refused. */
#include "support/file_test.h"

#include <string.h>

static const char *make_file(int version, const char *header, const void *data, size_t data_bytes)
{
    static char bytes[1 << 16];
    size_t n = strlen(header), at = 8;
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (char)version;
    bytes[7] = 0;
    for (int i = 0; i < (version == 1 ? 2 : 4); i++)
        bytes[at++] = (char)(n >> (8 * i));
    memcpy(bytes + at, header, n);
    if (data_bytes > 0)
        memcpy(bytes + at + n, data, data_bytes);
    const char *path = tempdir_file(&folder, "a.npy");
    write_file(path, bytes, at + n + data_bytes);
    return path;
}

#define HEADER(descr, fortran, shape) "{'descr': '" descr "', 'fortran_order': " fortran ", 'shape': " shape ", }"

static void test_versions(void **state)
{
    (void)state;
    const float data[6] = {0, 1, 2, 3, 4, 5};
    static const char *const headers[] = {HEADER("<f4", "False", "(2, 3)"),
                                          "{\"shape\":(2L,3L),'descr':'<f4',\"fortran_order\":False}      \n",
                                          "{'descr': '=f4', 'fortran_order': False, 'shape': ( 2 ,3, ) } \n"};
    for (int version = 1; version <= 3; version++)
        for (int i = 0; i < 3; i++)
            for (int mmap = 0; mmap < 2; mmap++)
                fa_scope {
                    fa_value *value = load_with(fa_npy_load, make_file(version, headers[i], data, sizeof data), mmap);
                    assert_string_equal(fa_error(), "");
                    fa_tensor *x = fa_as_tensor(value);
                    assert_int_equal(fa_ndim(x), 2);
                    assert_int_equal(fa_size(x, 1), 3);
                    assert_same_bytes(fa_data(x), data, sizeof data);
                }
}

static void test_orders(void **state)
{
    (void)state;
    const float data[6] = {0, 1, 2, 3, 4, 5}, want[6] = {0, 2, 4, 1, 3, 5};
    fa_scope {
        fa_tensor *x = fa_as_tensor(
            load_with(fa_npy_load, make_file(1, HEADER("<f4", "True", "(2, 3)"), data, sizeof data), false));
        assert_string_equal(fa_error(), "");
        assert_same_bytes(fa_data(x), want, sizeof want);
        const uint8_t big[] = {0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0};
        x = fa_as_tensor(load_with(fa_npy_load, make_file(1, HEADER(">f4", "False", "(2,)"), big, sizeof big), true));
        assert_float_equal(((const float *)fa_data(x))[0], 1, 0);
        assert_float_equal(((const float *)fa_data(x))[1], -2, 0);
        const uint8_t shorts[] = {1, 0, 0xff, 0xfe};
        x = fa_as_tensor(
            load_with(fa_npy_load, make_file(1, HEADER(">i2", "False", "(2,)"), shorts, sizeof shorts), false));
        assert_int_equal(((const int32_t *)fa_data(x))[0], 256);
        assert_int_equal(((const int32_t *)fa_data(x))[1], -2);
        const uint8_t bools[] = {0, 1, 7};
        x = fa_as_tensor(
            load_with(fa_npy_load, make_file(1, HEADER("|b1", "False", "(3,)"), bools, sizeof bools), true));
        assert_int_equal(fa_dtype_of(x), FA_BOOL);
        assert_int_equal(((const uint8_t *)fa_data(x))[2], 1);
        const uint8_t complex[] = {0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0}, little[] = {0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0};
        fa_tensor_info info;
        assert_true(fa_tensor_info_at(
            load_with(fa_npy_load, make_file(1, HEADER(">c8", "False", "()"), complex, 8), false), &info, FA_HERE));
        assert_string_equal(info.dtype, "complex64");
        assert_same_bytes(info.data, little, 8);
        assert_string_equal(fa_error(), "");
    }
}

static void test_types(void **state)
{
    (void)state;
    static const struct {
        const char *descr, *name;
        size_t size;
    } types[] = {{"<f4", "float32", 4},   {"<f8", "float64", 8},     {"<f2", "float16", 2}, {"<i8", "int64", 8},
                 {"<i4", "int32", 4},     {"<i2", "int16", 2},       {"|i1", "int8", 1},    {"|u1", "uint8", 1},
                 {"<u2", "uint16", 2},    {"<u4", "uint32", 4},      {"<u8", "uint64", 8},  {"|b1", "bool", 1},
                 {"<c8", "complex64", 8}, {"<c16", "complex128", 16}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        fa_scope {
            char header[128];
            uint8_t data[32] = {1, 1, 1, 1};
            snprintf(header, sizeof header, HEADER("%s", "False", "(2,)"), types[i].descr);
            fa_tensor_info info;
            assert_true(fa_tensor_info_at(load_with(fa_npy_load, make_file(1, header, data, 2 * types[i].size), false),
                                          &info, FA_HERE));
            assert_string_equal(info.dtype, types[i].name);
            assert_int_equal(info.elements, 2);
            assert_same_bytes(info.data, data, 2 * types[i].size);
        }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        int version;
        const char *header;
        size_t data;
        const char *part;
    } files[] = {
        {0, HEADER("<f4", "False", "(2,)"), 8, "version 0"},
        {4, HEADER("<f4", "False", "(2,)"), 8, "version 4"},
        {1, HEADER("<f4", "False", "(2,)"), 7, "is cut short"},
        {1, HEADER("<f4", "False", "(2,)"), 9, "goes on behind"},
        {1, HEADER("<f4", "False", "(0, 3)"), 1, "goes on behind"},
        {1, HEADER("<f3", "False", "(2,)"), 8, "\"<f3\""},
        {1, HEADER("|O", "False", "(2,)"), 8, "\"|O\""},
        {1, HEADER("<U5", "False", "(2,)"), 8, "\"<U5\""},
        {1, HEADER("f4", "False", "(2,)"), 8, "\"f4\""},
        {1, HEADER("<f4", "Maybe", "(2,)"), 8, "True or False"},
        {1, HEADER("<f4", "False", "(2)"), 8, "a comma"},
        {1, HEADER("<f4", "False", "2"), 8, "shape in brackets"},
        {1, HEADER("<f4", "False", "(-2,)"), 8, "a size"},
        {1, HEADER("<f4", "False", "(2, 3"), 8, "a size"},
        {1, HEADER("<f4", "False", "(99999999999999999999,)"), 8, "a size that fits"},
        {1, HEADER("<f4", "False", "(4294967296, 4294967296)"), 8, "does not fit"},
        {1, HEADER("<f4", "False", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), 4, "more than 8 dim"},
        {1, "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", 8, "several fields"},
        {1, "{'descr': '<f4', 'fortran_order': False}", 8, "descr, fortran_order and shape"},
        {1, "{'descr': '<f4', 'descr': '<f4', 'shape': (2,)}", 8, "twice"},
        {1, "{'descr': '<f4', 'more': 1}", 8, "\"more\" in it"},
        {1, "{'descr' '<f4'}", 8, "a colon"},
        {1, "{'descr': '<f4' 'shape': (2,)}", 8, "a comma or the end"},
        {1, "{'descr': '<f4}", 8, "short string"},
        {1, "{descr: '<f4'}", 8, "string in quotes"},
        {1, HEADER("<f4", "False", "(2,)") "x", 8, "nothing behind"},
        {1, "", 8, "a dict"},
        {1, "\x93\x01", 8, "a dict"},
    };
    const uint8_t data[16] = {0};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (int mmap = 0; mmap < 2; mmap++)
            fa_scope {
                assert_null(
                    load_with(fa_npy_load, make_file(files[i].version, files[i].header, data, files[i].data), mmap));
                assert_int_equal(fa_error_code(), FA_FILE_ERROR);
                assert_contains(fa_error(), files[i].part);
                assert_contains(fa_error(), "a.npy");
                fa_clear_error();
            }
}

/* A good file cut at every byte, and with every byte changed. */
static void test_damaged(void **state)
{
    (void)state;
    size_t size;
    char *good = read_file(source_path("tests/golden/files/matrix.npy"), &size);
    const char *path = tempdir_file(&folder, "damaged");
    for (size_t cut = 0; cut < size; cut++)
        fa_scope {
            write_file(path, good, cut);
            if (cut >= 6)
                assert_null(load_with(fa_npy_load, path, cut % 2));
            fa_clear_error();
        }
    for (size_t i = 6; i < size; i++)
        for (int k = 0; k < 3; k++)
            fa_scope {
                char kept = good[i];
                good[i] = (char)(k == 0 ? kept ^ 1 : k == 1 ? '9' : kept + 16);
                write_file(path, good, size);
                good[i] = kept;
                if (load_with(fa_npy_load, path, k == 1) == NULL)
                    assert_int_equal(fa_error_code(), FA_FILE_ERROR);
                fa_clear_error();
            }
    free(good);
    assert_true(fa_is_npy((const uint8_t *)"\x93NUMPY\1", 7));
    assert_false(fa_is_npy((const uint8_t *)"\x93NUMP", 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_versions), cmocka_unit_test(test_orders),
                                       cmocka_unit_test(test_types), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_damaged)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
