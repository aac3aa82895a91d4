/* Saving when something fails: every allocation and every system call of a whole fa_save, one by one. There is an
 * error, the earlier file is whole, nothing is left beside it, and the next save works. */
#include "support/file_test.h"

#include "base/memory.h"
#include "files/system.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>

static int entries(void)
{
    DIR *all = opendir(folder.path);
    int n = 0;
    while (readdir(all) != NULL)
        n++;
    closedir(all);
    return n - 2;
}

static fa_value *make_value(const char *name)
{
    fa_tensor *x = fa_from_memory(((float[300000]){1, 2, 3}), FA_FLOAT32, FA_SHAPE(300000));
    if (strcmp(name, "a.npy") == 0)
        return fa_value_tensor(x);
    fa_value *dict =
        fa_dict("x", x, "t", fa_transpose(fa_from_memory(((double[6]){1}), FA_FLOAT64, FA_SHAPE(2, 3)), 0, 1));
    if (strcmp(name, "a.pth") == 0) {
        fa_dict_put(dict, "numbers", fa_list(1, 2.5, "three", fa_tuple(1, 2, 3, 4)));
        for (int i = 0; i < 300; i++)
            fa_dict_put(dict, 1000 + i, i);
    }
    return dict;
}

static const char *const names[] = {"a.pth", "a.safetensors", "a.npy"};

/* One save with a fault set: whether it went well, which the file must agree with. */
static bool save_and_look(fa_value *value, const char *path, bool *stands)
{
    bool good = fa_save(value, path);
    fa_memory_fail_after(0);
    fa_system_fail(FA_SYS_OPEN, 0, 0);
    assert_int_equal(good, fa_ok());
    assert_int_equal(entries(), 1);
    size_t size;
    char *bytes = read_file(path, &size);
    bool old = size == 3 && memcmp(bytes, "old", 3) == 0;
    free(bytes);
    *stands = !old;
    if (good)
        assert_false(old);
    return good;
}

static void test_memory(void **state)
{
    (void)state;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        fa_scope {
            fa_value *value = make_value(names[k]);
            const char *path = tempdir_file(&folder, names[k]);
            assert_string_equal(fa_error(), "");
            bool stands;
            long n = 1;
            for (;; n++) {
                write_file(path, "old", 3);
                fa_memory_fail_after(n);
                if (save_and_look(value, path, &stands))
                    break;
                assert_int_equal(fa_error_code(), FA_MEMORY_ERROR);
                assert_false(stands);
                fa_clear_error();
            }
            assert_true(n > 5);
            remove(path);
        }
}

static void test_system(void **state)
{
    (void)state;
    static const int errors[FA_SYS_COUNT] = {[FA_SYS_OPEN] = EMFILE,
                                             [FA_SYS_WRITE] = ENOSPC,
                                             [FA_SYS_FSYNC] = EIO,
                                             [FA_SYS_RENAME] = EIO,
                                             [FA_SYS_CLOSE] = EIO};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        fa_scope {
            fa_value *value = make_value(names[k]);
            const char *path = tempdir_file(&folder, names[k]);
            for (int call = 0; call < FA_SYS_COUNT; call++)
                for (long n = 1; errors[call] != 0; n++) {
                    bool stands;
                    write_file(path, "old", 3);
                    fa_system_fail(call, n, errors[call]);
                    bool good = fa_save(value, path);
                    bool reached = fa_system_calls(call) >= n;
                    fa_system_fail(FA_SYS_OPEN, 0, 0);
                    assert_int_equal(good, !reached);
                    if (good)
                        break;
                    assert_int_equal(fa_error_code(), FA_FILE_ERROR);
                    assert_contains(fa_error(), names[k]);
                    bool told = strstr(fa_error(), "is written, but") != NULL;
                    fa_clear_error();
                    assert_int_equal(entries(), 1);
                    size_t size;
                    free(read_file(path, &size));
                    stands = size != 3;
                    assert_int_equal(stands, told);
                    assert_true(fa_save(value, path));
                }
            remove(path);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_memory), cmocka_unit_test(test_system)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
