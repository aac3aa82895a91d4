/* Reading safetensors files: what is valid, what is refused and with which words. */
#include "support/file_test.h"

#include <string.h>

/* A file of this header and `data_bytes` bytes 1, 2, 3, ...; the length in front may be another one. */
static const char *make_file(const char *header, size_t data_bytes, int64_t length)
{
    static char bytes[1 << 16];
    size_t n = strlen(header);
    uint64_t written = length >= 0 ? (uint64_t)length : n;
    for (int i = 0; i < 8; i++)
        bytes[i] = (char)(written >> (8 * i));
    memcpy(bytes + 8, header, n);
    for (size_t i = 0; i < data_bytes; i++)
        bytes[8 + n + i] = (char)(i + 1);
    const char *path = tempdir_file(&folder, "a.safetensors");
    write_file(path, bytes, 8 + n + data_bytes);
    return path;
}

static void assert_good(const char *header, size_t data_bytes, int64_t tensors)
{
    for (int mmap = 0; mmap < 2; mmap++)
        fa_scope {
            fa_value *value = load_with(fa_safetensors_load, make_file(header, data_bytes, -1), mmap);
            assert_string_equal(fa_error(), "");
            assert_int_equal(fa_len(value), tensors);
            int at = 1; /* in these headers the order is that of the data */
            for (int64_t i = 0; i < tensors; i++) {
                fa_tensor_info info;
                assert_true(fa_tensor_info_at(fa_value_at(value, i), &info, FA_HERE));
                const uint8_t *data = info.data;
                for (int64_t k = 0; k < info.bytes; k++, at++)
                    assert_int_equal(data[k], strcmp(info.dtype, "bool") == 0 ? 1 : (uint8_t)at);
            }
        }
}

static void test_valid(void **state)
{
    (void)state;
    assert_good("{}", 0, 0);
    assert_good(" {\n}\n  ", 0, 0);
    assert_good("{\"__metadata__\":{}}", 0, 0);
    assert_good("{\"__metadata__\":{\"format\":\"pt\",\"\\u00fc\":\"\\\"\"}}", 0, 0);
    assert_good("{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, 1);
    assert_good("{\"a\":{\"data_offsets\":[0,8],\"shape\":[1,2],\"dtype\":\"F32\"}}   ", 8, 1);
    assert_good("{\"a\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[0,3]},"
                "\"b\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[3,11]}}", /* not aligned */
                11, 2);
    assert_good(
        "{\"a\":{\"dtype\":\"I8\",\"shape\":[2],\"data_offsets\":[0,2],\"more\":{\"x\":[1,-2.5e+3,null,true]}}}", 2, 1);
    assert_good("{\"e\":{\"dtype\":\"F32\",\"shape\":[0,9223372036854775807],\"data_offsets\":[1,1]},"
                "\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
                2, 2);
    assert_good("{\"\\ud83d\\ude00\\u0000\":{\"dtype\":\"C64\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, 1);
}

static void test_values(void **state)
{
    (void)state;
    for (int mmap = 0; mmap < 2; mmap++)
        fa_scope {
            fa_value *value = load_with(fa_safetensors_load,
                                        make_file("{\"b\":{\"dtype\":\"I16\",\"shape\":[2],\"data_offsets\":[8,12]},"
                                                  "\"a\":{\"dtype\":\"I64\",\"shape\":[1,1],\"data_offsets\":[0,8]},"
                                                  "\"__metadata__\":{\"made by\":\"hand\"}}",
                                                  12, -1),
                                        mmap);
            assert_string_equal(fa_error(), "");
            assert_string_equal(fa_as_string(fa_key_at(value, 0)), "b");
            assert_int_equal(fa_get_int(value, "a"), 0x0807060504030201);
            fa_tensor *b = fa_get_tensor(value, "b");
            assert_int_equal(fa_dtype_of(b), FA_INT32);
            assert_int_equal(((const int32_t *)fa_data(b))[1], 0x0c0b);
            assert_string_equal(fa_get_string(fa_get(fa_attributes(value), "__metadata__"), "made by"), "hand");
            assert_string_equal(fa_error(), "");
        }
}

#define A(rest) "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]" rest
#define B "\"b\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":"

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *part;
    } files[] = {
        {"", 0, "expected an object"},
        {"[]", 0, "expected an object"},
        {"{", 0, "expected a string"},
        {"{}x", 0, "something behind the end"},
        {"{\"a\"}", 0, "expected a colon"},
        {"{\"a\":1}", 0, "expected an object"},
        {"{\"a\":{}}", 0, "lacks its dtype"},
        {"{\"a\":{\"dtype\":\"F32\"}}", 0, "lacks its shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 0, "lacks its data_offsets"},
        {"{\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\"", 0, "\"dtype\" twice"},
        {"{\"a\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "\"F33\""},
        {"{\"a\":{\"dtype\":32,\"shape\":[2],\"data_offsets\":[0,8]}}", 8, "expected a string"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, "whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", 8, "whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[02],\"data_offsets\":[0,8]}}", 8, "leading 0"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775808],\"data_offsets\":[0,8]}}", 8, "too large"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,8]}}", 8, "does not fit"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807],\"data_offsets\":[0,8]}}", 8, "does not fit"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, "more than 8 dim"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", 8, "expected an array"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, "comma"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, "cut short or its header is damaged"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8, "takes 8 bytes"},
        {A("}}"), 7, "cut short"},
        {A("}}"), 9, "1 bytes behind"},
        {A("},\"a\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}"), 8, "two tensors called \"a\""},
        {A("},") B "[8,10]}}", 11, "1 bytes behind"},
        {A("},") B "[9,11]}}", 11, "a hole before the tensor \"b\""},
        {A("},") B "[6,8]}}", 8, "an overlap with the tensor \"b\""},
        {A("},") B "[0,2]}}", 8, "an overlap with"},
        {A("},\"\xff\":{}}"), 8, "not UTF-8"},
        {A("},\"\xed\xa0\x80\":{}}"), 8, "not UTF-8"},
        {A("},\"\xc0\xaf\":{}}"), 8, "not UTF-8"},
        {A("},\"\\ud800\":{}}"), 8, "half of a character"},
        {A("},\"\\udc00\":{}}"), 8, "half of a character"},
        {A("},\"\\ud800\\u0041\":{}}"), 8, "half of a character"},
        {A("},\"\\u12g4\":{}}"), 8, "half of a character"},
        {A("},\"\\x\":{}}"), 8, "unknown escape"},
        {A("},\"a\nb\":{}}"), 8, "control character"},
        {A("},\"b"), 8, "no end"},
        {A(",\"x\":tru}}"), 8, "expected a value"},
        {A(",\"x\":1.}}"), 8, "behind its point"},
        {A(",\"x\":1e}}"), 8, "behind its e"},
        {A(",\"x\":[1,]}}"), 8, "expected a value"},
        {A(",\"x\":{1:2}}}"), 8, "expected a name"},
        {A(",\"x\":[1 2]}}"), 8, "comma"},
        {A("}"), 8, "expected"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "expected a string"},
        {"{\"__metadata__\":[]}", 0, "expected an object"},
        {"{\"__metadata__\":{\"a\":\"b\"", 0, "expected"},
        {"{\"__metadata__\":{},\"__metadata__\":{}}", 0, "twice"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        for (int mmap = 0; mmap < 2; mmap++)
            fa_scope {
                assert_null(load_with(fa_safetensors_load, make_file(files[i].header, files[i].data, -1), mmap));
                assert_int_equal(fa_error_code(), FA_FILE_ERROR);
                assert_contains(fa_error(), files[i].part);
                assert_contains(fa_error(), "a.safetensors");
                fa_clear_error();
            }
}

static void test_lengths(void **state)
{
    (void)state;
    static const struct {
        int64_t length;
        const char *part;
    } files[] = {{3, "cut short: its header takes 3 bytes, and 2"},
                 {100000001, "at most 100000000"},
                 {INT64_MAX, "at most"},
                 {1, "expected"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        assert_null(load_with(fa_safetensors_load, make_file("{}", 0, files[i].length), false));
        assert_contains(fa_error(), files[i].part);
        fa_clear_error();
    }
    for (size_t bytes = 0; bytes < 8; bytes++) {
        const char *path = tempdir_file(&folder, "short");
        write_file(path, "\2\0\0\0\0\0\0\0", bytes);
        assert_null(load_with(fa_safetensors_load, path, false));
        assert_contains(fa_error(), "cut short");
        fa_clear_error();
    }
}

/* A good file cut at every byte, and with every byte of its header turned into others: an error or a value, always with
 * little memory. */
static void test_damaged(void **state)
{
    (void)state;
    size_t size;
    char *good = read_file(source_path("tests/golden/files/tensors.safetensors"), &size);
    const char *path = tempdir_file(&folder, "damaged");
    for (size_t cut = 0; cut < size; cut++)
        fa_scope {
            write_file(path, good, cut);
            assert_null(load_with(fa_safetensors_load, path, cut % 2));
            assert_int_equal(fa_error_code(), FA_FILE_ERROR);
            fa_clear_error();
        }
    for (size_t i = 0; i < size; i++)
        for (int k = 0; k < 3; k++)
            fa_scope {
                char kept = good[i];
                good[i] = (char)(k == 0 ? kept ^ 1 : k == 1 ? '9' : kept + 16);
                write_file(path, good, size);
                good[i] = kept;
                if (load_with(fa_safetensors_load, path, k == 1) == NULL)
                    assert_int_equal(fa_error_code(), FA_FILE_ERROR);
                fa_clear_error();
            }
    free(good);
}

/* Nesting is counted, not recursed into. */
static void test_deep(void **state)
{
    (void)state;
    static char header[40000];
    for (int depth = 60; depth < 30000; depth *= 3) {
        int n = snprintf(header, sizeof header, A(",\"x\":"));
        memset(header + n, '[', (size_t)depth);
        memset(header + n + depth, depth % 2 ? ' ' : '\n', 100);
        header[n + depth + 100] = '\0';
        assert_null(load_with(fa_safetensors_load, make_file(header, 8, -1), false));
        assert_contains(fa_error(), depth > 64 ? "nested too deep" : "expected a value");
        fa_clear_error();
    }
}

static void test_told_apart(void **state)
{
    (void)state;
    const uint8_t head[] = "\x40\0\0\0\0\0\0\0{\"a\":{\"", spaced[] = "\x40\0\0\0\0\0\0\0  \n{",
                  text[] = "{\"a\": [1, 2, {";
    assert_true(fa_is_safetensors(head, 16, 100));
    assert_true(fa_is_safetensors(spaced, 12, 100));
    assert_false(fa_is_safetensors(head, 8, 8));
    assert_false(fa_is_safetensors(text, 14, 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_valid),     cmocka_unit_test(test_values),
                                       cmocka_unit_test(test_refused),   cmocka_unit_test(test_lengths),
                                       cmocka_unit_test(test_damaged),   cmocka_unit_test(test_deep),
                                       cmocka_unit_test(test_told_apart)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
