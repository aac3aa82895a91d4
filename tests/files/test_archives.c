/* fa_load on files of torch.save whose archive is unusual: records that are missing or say otherwise, the
 * format of older releases, what they cost in memory, files under whatever name. */
#include "support/made_pickle.h"

#include "base/memory.h"
#include "files/value.h"

static void test_records(void **state)
{
    (void)state;
    static const struct {
        const char *byteorder, *version, *words;
    } files[] = {{NULL, "3\n", NULL},
                 {"little", "1", NULL},
                 {"little", "5\n", NULL},
                 {"middle", "3\n", "neither"},
                 {"little", NULL, "no record `version`"},
                 {"little", "6\n", "of version 6"},
                 {"little", "", "of version"},
                 {"little", "33\n", "of version 3"}};
    const float row[3] = {1, 2, 3};
    pickled p = {.length = 0}, untyped = {.length = 0};
    ADD(&p, "\x80\x02");
    add_row(&p, "0", "cpu", 3, 0, 3);
    ADD(&p, ".");
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        fa_scope {
            fa_value *value = fa_load(save_archive(&p, files[i].byteorder, files[i].version, row, sizeof row));
            assert_int_equal(value != NULL, files[i].words == NULL);
            if (value == NULL)
                assert_contains(error_text(), files[i].words);
        }
    /* A storage of bytes, and a tensor that says what they are. */
    ADD(&untyped, "\x80\x02");
    add_row_of(&untyped, "UntypedStorage", "0", "cpu", 12, 2, 4);
    ADD(&untyped, ".");
    fa_scope {
        fa_value *value = fa_load(save_archive(&untyped, "little", "3\n", row, sizeof row));
        fa_tensor_info info;
        assert_fine();
        assert_true(fa_tensor_info_at(value, &info, FA_HERE));
        assert_string_equal(info.dtype, "uint16");
        assert_same_bytes(info.data, (const char *)row + 4, 8);
        assert_null(fa_load(save_archive(&untyped, "big", "3\n", row, sizeof row)));
        assert_contains(error_text(), "an untyped storage in big-endian order");
    }
}

/* The older format: what its lists and counts may not say. */
static void test_older_format(void **state)
{
    (void)state;
    static const struct {
        literal system, tail;
        int64_t stored, again;
        const char *words;
    } files[] = {
        {VALUE("}X\x0d\0\0\0little_endian\x88s"),
         VALUE("]X\1\0\0\0"
               "0a"),
         3, 3, NULL},
        {VALUE("}"),
         VALUE("]X\1\0\0\0"
               "0a"),
         3, 3, "in which order its bytes are"},
        {VALUE("}X\x0d\0\0\0little_endian\x88s"), VALUE("K\1"), 3, 3, "no list of storages"},
        {VALUE("}X\x0d\0\0\0little_endian\x88s"), VALUE("]"), 3, 3, "list of storages lacks 0"},
        {VALUE("}X\x0d\0\0\0little_endian\x88s"),
         VALUE("]X\1\0\0\0"
               "1a"),
         3, 3, "names one that nothing uses"},
        {VALUE("}X\x0d\0\0\0little_endian\x88s"),
         VALUE("]X\1\0\0\0"
               "0a"),
         3, 4, "is named twice"},
        {VALUE("}X\x0d\0\0\0little_endian\x88s"),
         VALUE("]X\1\0\0\0"
               "0a"),
         1 << 20, 1 << 20, "more than the file may hold"},
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        fa_scope {
            pickled p = {.length = 0};
            const float row[3] = {1, 2, 3};
            ADD(&p, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02");
            add(&p, files[i].system.bytes, files[i].system.length);
            ADD(&p, ".\x80\x02");
            add_row(&p, "0", "cpu", files[i].stored, 0, 3);
            add_row(&p, "0", "cpu", files[i].again, 1, 2);
            ADD(&p, "\x86.\x80\x02");
            add(&p, files[i].tail.bytes, files[i].tail.length);
            ADD(&p, ".\3\0\0\0\0\0\0\0");
            add(&p, row, sizeof row);
            const char *path = tempdir_file(&folder, "older.pth");
            write_file(path, p.bytes, p.length);
            fa_value *value = fa_load(path);
            assert_int_equal(value != NULL, files[i].words == NULL);
            if (value == NULL)
                assert_contains(error_text(), files[i].words);
            else
                assert_same_bytes(fa_data(fa_as_tensor(fa_value_at(value, 1))), row + 1, 8);
        }
}

/* ---- No memory -----------------------------------------------------------------------------------------------------
 */

/* Every allocation of a load fails once: an error, and nothing is left. */
static void test_memory(void **state)
{
    (void)state;
    static const char *const names[] = {
        "tests/golden/pth/checkpoint.pth", "tests/golden/pth/legacy_checkpoint.pth", "tests/golden/pth/whole_named.pth",
        "tests/golden/pth/python.pth",     "tests/golden/files/tensors.safetensors", "tests/golden/files/matrix.npy"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int mmap = 0; mmap < 2; mmap++) {
            bool loaded = false;
            long n = 0;
            while (!loaded)
                fa_scope {
                    const char *path = source_path(names[i]);
                    fa_memory_fail_after(++n);
                    loaded = fa_load(path, .mmap = mmap) != NULL;
                    fa_memory_fail_after(0);
                    assert_int_equal(loaded, fa_ok());
                    if (!loaded)
                        assert_int_equal(fa_error_code(), FA_MEMORY_ERROR);
                    fa_clear_error();
                }
            assert_true(n > 3);
            assert_int_equal(fa_value_live_count(), 0);
        }
}

/* ---- Names of files ------------------------------------------------------------------------------------------------
 */

static bool same_tensors(fa_value *a, fa_value *b)
{
    bool same = fa_len(a) == fa_len(b) && fa_len(a) > 0;
    for (int64_t i = 0; same && i < fa_len(a); i++) {
        fa_tensor_view x, y;
        same = fa_value_view(fa_value_at(a, i), &x, FA_HERE) &&
               fa_value_view(fa_get(b, fa_as_string(fa_key_at(a, i))), &y, FA_HERE) && x.elements == y.elements &&
               x.stored == y.stored && x.contiguous && y.contiguous &&
               memcmp(x.data, y.data, (size_t)x.elements * fa_stored_types[x.stored].size) == 0;
    }
    return same && fa_ok();
}

/* Case O37: the format is told by content. The older one, today's and safetensors of one state dict give the same bits
 * under every name. */
static void test_endings(void **state)
{
    (void)state;
    static const char *const endings[] = {"pth",  "pt",  "pth.tar",     "tar", "bin",
                                          "ckpt", "npy", "safetensors", "zip", "txt"};
    fa_scope {
        fa_value *today = fa_load(golden_pth("state_dict")), *older = fa_load(golden_pth("legacy_state_dict"));
        fa_value *const want[] = {today, older, today};
        assert_fine();
        char safe[600];
        snprintf(safe, sizeof safe, "%s", tempdir_file(&folder, "weights.safetensors"));
        assert_true(fa_save(today, safe));
        const char *const files[] = {golden_pth("state_dict"), golden_pth("legacy_state_dict"), safe};
        for (size_t i = 0; i < sizeof endings / sizeof *endings; i++)
            for (int k = 0; k < 3; k++) {
                char name[40];
                size_t size;
                snprintf(name, sizeof name, "copy%d.%s", k, endings[i]);
                char *bytes = read_file(files[k], &size);
                const char *path = tempdir_file(&folder, name);
                write_file(path, bytes, size);
                free(bytes);
                if (!same_tensors(want[k], fa_load(path)))
                    fail_msg("%s: not what was saved: %s", name, fa_error());
            }
    }
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_records, nothing_left),
        cmocka_unit_test_teardown(test_older_format, nothing_left),
        cmocka_unit_test_teardown(test_memory, nothing_left),
        cmocka_unit_test_teardown(test_endings, nothing_left),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
