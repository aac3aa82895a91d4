/* Archives beyond 4 GiB, made small: the size from which 64 bits are written is lowered. */
#include "support/file_test.h"

#include "files/zip_writer.h"

#include <string.h>

static void write_archive(const char *path, uint64_t large)
{
    fa_atomic_file file;
    fa_zip_writer zip;
    char pickle[128] = "\x80\x02X\x64\0\0\0", bytes[1000]; /* a string of 100 letters */
    memset(pickle + 7, 'x', 100);
    pickle[107] = '.';
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * 7);
    assert_true(fa_atomic_open(&file, path, "save", FA_HERE));
    fa_zip_begin(&zip, &file);
    zip.large = large;
    fa_zip_record(&zip, "data.pkl", pickle, 108);
    fa_zip_record(&zip, "byteorder", "little", 6);
    fa_zip_record(&zip, "data/0", bytes, 0);
    fa_zip_record_begin(&zip, "data/1", sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i += 100)
        fa_zip_record_write(&zip, bytes + i, 100);
    fa_zip_record_end(&zip);
    fa_zip_record(&zip, "version", "3\n", 2);
    assert_true(fa_zip_end(&zip));
    fa_zip_free(&zip);
    assert_true(fa_atomic_commit(&file));
}

static void test_large(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {UINT32_MAX, 1500, 500, 100, 3, 1};
    size_t plain = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        fa_scope {
            const char *path = tempdir_file(&folder, "a.pth");
            write_archive(path, sizes[i]);
            fa_value *value = fa_load(path);
            assert_string_equal(fa_error(), "");
            assert_int_equal(fa_len(value), 100);
            size_t size;
            char *bytes = read_file(path, &size);
            int fields = 0; /* of zip64 in headers, before the padding or at the end of an entry */
            for (size_t k = 0; k + 4 < size; k++)
                fields += memcmp(bytes + k, "\xff\xff\xff\xff", 4) == 0;
            assert_true(i == 0 ? fields == 0 : fields > 0);
            free(bytes);
            if (i == 0)
                plain = size;
            assert_true(size >= plain);
        }
}

/* The digits follow from names and bytes alone, and tell them apart. */
static void test_fingerprint(void **state)
{
    (void)state;
    static const struct {
        const char *name, *bytes;
    } records[] = {{"data/0", "abc"}, {"data/0", "abc"}, {"data/1", "abc"}, {"data/0", "abd"}, {"data/0", "abcd"}};
    char digits[5][41];
    for (int i = 0; i < 5; i++) {
        fa_atomic_file file;
        fa_zip_writer zip;
        assert_true(fa_atomic_open(&file, tempdir_file(&folder, "f"), "save", FA_HERE));
        fa_zip_begin(&zip, &file);
        fa_zip_record(&zip, records[i].name, records[i].bytes, strlen(records[i].bytes));
        fa_zip_fingerprint(&zip, digits[i]);
        fa_zip_free(&zip);
        fa_atomic_abandon(&file);
        assert_int_equal(strspn(digits[i], "0123456789"), 40);
        assert_true(i < 2 ? strcmp(digits[0], digits[i]) == 0 : strcmp(digits[0], digits[i]) != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_large), cmocka_unit_test(test_fingerprint)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
