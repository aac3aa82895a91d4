/* fa_load on pickles that are put together here, opcode by opcode: everything that plain data is made of in each
 * protocol; what may not be named, in every way of naming it; views of large storages; devices; files under whatever
 * name. */
#include "support/file_test.h"

#include "files/value.h"
#include "files/zip_writer.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Making them ---------------------------------------------------------------------------------------------------
 */

typedef struct pickled {
    char bytes[8192];
    size_t length;
} pickled;

static void add(pickled *p, const void *bytes, size_t length)
{
    assert_true(p->length + length <= sizeof p->bytes);
    memcpy(p->bytes + p->length, bytes, length);
    p->length += length;
}

#define ADD(p, literal) add((p), (literal), sizeof(literal) - 1)

static void add_number(pickled *p, int64_t x)
{
    char bytes[10] = "\x8a\x08";
    memcpy(bytes + 2, &x, 8);
    add(p, bytes, sizeof bytes);
}

static void add_text(pickled *p, const char *text)
{
    const uint32_t length = (uint32_t)strlen(text);
    ADD(p, "X");
    add(p, &length, 4);
    add(p, text, length);
}

static void add_name(pickled *p, const char *module, const char *name)
{
    ADD(p, "c");
    add(p, module, strlen(module));
    ADD(p, "\n");
    add(p, name, strlen(name));
    ADD(p, "\n");
}

/* A contiguous row of floats out of the storage `key`. */
static void add_row(pickled *p, const char *key, const char *location, int64_t stored, int64_t offset, int64_t length)
{
    add_name(p, "torch._utils", "_rebuild_tensor_v2");
    ADD(p, "((");
    add_text(p, "storage");
    add_name(p, "torch", "FloatStorage");
    add_text(p, key);
    add_text(p, location);
    add_number(p, stored);
    ADD(p, "tQ");
    add_number(p, offset);
    add_number(p, length);
    ADD(p, "\x85K\x01\x85\x89");
    add_name(p, "collections", "OrderedDict");
    ADD(p, ")RtR");
}

/* The file of torch.save with this pickle; its path. */
static const char *save_pickle(const pickled *p, const float *storage, size_t elements)
{
    const char *path = tempdir_file(&folder, "made.pth");
    fa_atomic_file file;
    fa_zip_writer zip;
    assert_true(fa_atomic_open(&file, path, "save", FA_HERE));
    fa_zip_begin(&zip, &file);
    fa_zip_record(&zip, "data.pkl", p->bytes, p->length);
    fa_zip_record(&zip, "byteorder", "little", 6);
    if (storage != NULL)
        fa_zip_record(&zip, "data/0", storage, elements * sizeof *storage);
    fa_zip_record(&zip, "version", "3\n", 2);
    assert_true(fa_zip_end(&zip));
    fa_zip_free(&zip);
    assert_true(fa_atomic_commit(&file));
    return path;
}

static fa_value *load_pickle(const pickled *p)
{
    return fa_load(save_pickle(p, NULL, 0));
}

/* ---- Plain data ----------------------------------------------------------------------------------------------------
 */

typedef struct literal {
    const char *bytes;
    size_t length;
} literal;

#define VALUE(bytes)                                                                                                   \
    {                                                                                                                  \
        bytes, sizeof(bytes) - 1                                                                                       \
    }

/* The same values in the words of each protocol, as saved again by fa_save: equal files. */
static void test_protocols(void **state)
{
    (void)state;
    static const literal same[][6] = {
        {VALUE("K\x07"), VALUE("M\x07\0"), VALUE("J\x07\0\0\0"), VALUE("\x8a\x01\x07"), VALUE("\x8b\x01\0\0\0\x07"),
         VALUE("\x8a\x0c\x07\0\0\0\0\0\0\0\0\0\0\0")},
        {VALUE("J\xfe\xff\xff\xff"), VALUE("\x8a\x01\xfe"), VALUE("\x8a\x09\xfe\xff\xff\xff\xff\xff\xff\xff\xff")},
        {VALUE("K\0"), VALUE("\x8a\0")},
        {VALUE("X\x02\0\0\0ab"),
         VALUE("\x8c\x02"
               "ab"),
         VALUE("\x8d\x02\0\0\0\0\0\0\0ab"),
         VALUE("U\x02"
               "ab"),
         VALUE("T\x02\0\0\0ab")},
        {VALUE("C\x02\xff\x01"), VALUE("B\x02\0\0\0\xff\x01"), VALUE("\x8e\x02\0\0\0\0\0\0\0\xff\x01"),
         VALUE("U\x02\xff\x01"), VALUE("c_codecs\nencode\nX\x03\0\0\0\xc3\xbf\x01X\x06\0\0\0latin1\x86R")},
        {VALUE("(K\x01K\x02t"), VALUE("K\x01K\x02\x86"), VALUE("\x95\x05\0\0\0\0\0\0\0(K\x01K\x02t")},
        {VALUE(")"), VALUE("(t")},
        {VALUE("](K\x01K\x02"
               "e"),
         VALUE("]K\x01"
               "aK\x02"
               "a")},
        {VALUE("}X\1\0\0\0aK\x01s"), VALUE("}(X\1\0\0\0aK\x01u")},
        {VALUE("\x8f(K\x01K\x02\x90"),
         VALUE("cbuiltins\nset\n](K\x01K\x02"
               "e\x85R"),
         VALUE("c__builtin__\nset\n(K\x01K\x02t\x85R")},
        {VALUE("ccollections\nOrderedDict\n)RX\1\0\0\0aK\x01s"),
         VALUE("ccollections\nOrderedDict\n]](X\1\0\0\0aK\x01"
               "ea\x85R"),
         VALUE("\x8c\x0b"
               "collections\x8c\x0bOrderedDict\x93)RX\1\0\0\0aK\x01s"),
         VALUE("\x8c\x0b"
               "collections\x94\x8c\x0bOrderedDict\x94\x93\x94)R\x94\x8c\1a\x94K\x01s")},
        {VALUE("ccollections\nCounter\n}K\x05K\x02s\x85R"), VALUE("ccollections\nCounter\n)RK\x05K\x02s")},
        {VALUE("cbuiltins\nbytearray\nC\1a\x85R"), VALUE("c__builtin__\nbytearray\nX\1\0\0\0aX\6\0\0\0latin1\x86R")},
        {VALUE("ctorch\nSize\n(K\x02K\x03t\x85R")},
    };
    char *first = NULL;
    size_t first_size = 0;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        for (size_t k = 0; k < 6 && same[i][k].bytes != NULL; k++) {
            fa_scope {
                pickled p = {.length = 0};
                ADD(&p, "\x80\x04");
                add(&p, same[i][k].bytes, same[i][k].length);
                ADD(&p, ".");
                fa_value *value = load_pickle(&p);
                if (value == NULL)
                    fail_msg("form %zu of value %zu: %s", k, i, fa_error());
                const char *path = tempdir_file(&folder, "again.pth");
                assert_true(fa_save(value, path));
                size_t size;
                char *bytes = read_file(path, &size);
                if (k == 0) {
                    free(first);
                    first = bytes;
                    first_size = size;
                } else {
                    if (size != first_size || memcmp(bytes, first, size) != 0)
                        fail_msg("form %zu of value %zu is another value", k, i);
                    free(bytes);
                }
            }
        }
    free(first);
}

static void test_large_numbers(void **state)
{
    (void)state;
    static const struct {
        literal value;
        const char *digits;
    } numbers[] = {
        {VALUE("\x8a\x09\0\0\0\0\0\0\0\0\x01"), "18446744073709551616"},
        {VALUE("\x8a\x09\0\0\0\0\0\0\0\0\xff"), "-18446744073709551616"},
        {VALUE("\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\0"), "18446744073709551615"},
        {VALUE("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"), "119547037146038801333356"},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        fa_scope {
            pickled p = {.length = 0};
            ADD(&p, "\x80\x02");
            add(&p, numbers[i].value.bytes, numbers[i].value.length);
            ADD(&p, ".");
            fa_value *value = load_pickle(&p);
            assert_fine();
            assert_int_equal(fa_flavour_of(value), FA_FLAVOUR_BIG);
            assert_string_equal(fa_as_string(value), numbers[i].digits);
        }
}

/* ---- What is wrong with a pickle -----------------------------------------------------------------------------------
 */

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        literal value;
        const char *words;
    } pickles[] = {
        {VALUE("]q\0h\0a."), ""}, /* a list in itself */
        {VALUE("K"), "cut short"},
        {VALUE("X\xff\0\0\0ab."), "cut short"},
        {VALUE("cos"), "cut short inside a name"},
        {VALUE("c\0\nb\n."), "zero byte"},
        {VALUE("\x8b\xff\xff\0\0."), "more than 255 bytes"},
        {VALUE("h\1."), "never stored"},
        {VALUE("j\0\0\0\1."), "never stored"},
        {VALUE("q\0."), "the stack is empty"},
        {VALUE("r\0\0\0\1."), "the stack is empty"},
        {VALUE("K\1r\0\0\0\x10."), "more than there are bytes before it"},
        {VALUE("K\1t."), "no mark"},
        {VALUE("(K\1."), "left at the end"},
        {VALUE("K\1K\2."), "left at the end"},
        {VALUE("."), "empty at the end"},
        {VALUE("(\x85."), "the stack is empty"},
        {VALUE("K\1a."), "for a list where there is none"},
        {VALUE("K\1K\2a."), "for a list where there is none"},
        {VALUE("}(K\1e."), "for a list where there is none"},
        {VALUE("](K\1\x90."), "for a set where there is none"},
        {VALUE("\x8f(]\x90."), "an item for a set that can change"},
        {VALUE("](K\1K\2u."), "for a dict where there is none"},
        {VALUE("}(K\1u."), "a key without a value"},
        {VALUE("}]K\1s."), "a key of a dict"},
        {VALUE("K\1)R."), "cannot be called"},
        {VALUE("ccollections\nOrderedDict\nK\1R."), "no tuple"},
        {VALUE("K\1)\x81."), "an object of something that is no class"},
        {VALUE("K\1}b."), "sets the state of something"},
        {VALUE("ccollections\nOrderedDict\n)RK\1b."), "sets the state of something"},
        {VALUE("K\1K\2\x93."), "not two short strings"},
        {VALUE("X\1\0\0\0aK\2\x93."), "not two short strings"},
        {VALUE("\x80\x09."), "unknown pickle protocol"},
        {VALUE("I1\n."), "opcode 0x49 'I'"},
        {VALUE("\xf0."), "opcode 0xf0,"},
        {VALUE("X\1\0\0\0\xff."), "not UTF-8"},
        {VALUE("cbuiltins\nset\nK\1\x85R."), "a set is not made of a list"},
        {VALUE("cbuiltins\nset\n]]a\x85R."), "something that can change"},
        {VALUE("ccollections\nOrderedDict\nK\1\x85R."), "not made of a list of pairs"},
        {VALUE("ccollections\nOrderedDict\n]K\1a\x85R."), "not made of pairs"},
        {VALUE("ccollections\nCounter\nK\1\x85R."), "a Counter is not made of a dict"},
        {VALUE("ctorch\nSize\nK\1\x85R."), "a torch.Size"},
        {VALUE("ctorch\nSize\nX\1\0\0\0a\x85\x85R."), "a torch.Size"},
        {VALUE("c_codecs\nencode\nK\1\x85R."), "not written as text in latin1"},
        {VALUE("c_codecs\nencode\nX\1\0\0\0aX\4\0\0\0utf8\x86R."), "not written as text in latin1"},
        {VALUE("c_codecs\nencode\nX\3\0\0\0\xe2\x82\xacX\6\0\0\0latin1\x86R."), "beyond latin1"},
        {VALUE("cbuiltins\nbytearray\nK\1\x85R."), "a bytearray is not made of bytes"},
        {VALUE("cbuiltins\ncomplex\nK\1\x85R."), "a complex number"},
        {VALUE("ctorch\ndevice\nK\1\x85R."), "a torch.device"},
        {VALUE("ctorch._utils\n_rebuild_tensor_v2\n)R."), "not made of a storage"},
        {VALUE("ctorch._utils\n_rebuild_tensor_v3\n)R."), "does not say its type"},
        {VALUE("ctorch._utils\n_rebuild_parameter\n)R."), "a parameter is not made of a tensor"},
        {VALUE("ctorch._utils\n_rebuild_qtensor\n)R."), "quantized"},
        {VALUE("ctorch._tensor\n_rebuild_from_type_v2\n)R."), "made by something that makes none"},
        {VALUE("cbuiltins\ngetattr\n)R."), "builtins.getattr"},
        {VALUE("K\1Q."), "a persistent id is not"},
    };
    for (size_t i = 0; i < sizeof pickles / sizeof *pickles; i++)
        fa_scope {
            pickled p = {.length = 0};
            ADD(&p, "\x80\x02");
            add(&p, pickles[i].value.bytes, pickles[i].value.length);
            if (load_pickle(&p) != NULL)
                fail_msg("pickle %zu was loaded, of which should be said: %s", i, pickles[i].words);
            assert_contains(fa_error(), "made.pth");
            assert_contains(fa_error(), pickles[i].words);
            fa_clear_error();
        }
    assert_int_equal(fa_value_live_count(), 0);
}

/* ---- Names that may not be asked for -------------------------------------------------------------------------------
 */

/* Case O38: whatever the name, however it is named: refused with the name, and nothing of it happens. */
static void test_nothing_is_run(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"os", "system"},
                                           {"posix", "system"},
                                           {"nt", "system"},
                                           {"os", "popen"},
                                           {"subprocess", "run"},
                                           {"subprocess", "Popen"},
                                           {"builtins", "eval"},
                                           {"builtins", "exec"},
                                           {"builtins", "open"},
                                           {"__builtin__", "eval"},
                                           {"builtins", "__import__"},
                                           {"importlib", "import_module"},
                                           {"runpy", "run_path"},
                                           {"shutil", "rmtree"},
                                           {"socket", "socket"},
                                           {"pickle", "loads"},
                                           {"ctypes", "CDLL"},
                                           {"sys", "exit"},
                                           {"torch", "load"},
                                           {"torch.hub", "load"},
                                           {"torch.jit", "load"},
                                           {"torch.ops", "load_library"},
                                           {"numpy.core.multiarray", "_reconstruct"},
                                           {"torch.nnx", "f"},
                                           {"torchvision", "io"},
                                           {"operator", "attrgetter"},
                                           {"functools", "reduce"},
                                           {"torch.serialization", "load"},
                                           {"torch.utils.cpp_extension", "load"}};
    enum { CALLED, BARE, IN_DICT, NEW, NEW_WITH_ARGUMENTS, BUILT, STACKED, PARTIAL, ATTRIBUTE, OF_A_MODULE, WAYS };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int way = 0; way < WAYS; way++)
            fa_scope {
                const char *module = names[i][0], *name = names[i][1];
                pickled p = {.length = 0};
                ADD(&p, "\x80\x02");
                if (way == IN_DICT)
                    ADD(&p, "}K\1");
                if (way == PARTIAL)
                    add_name(&p, "functools", "partial");
                if (way == ATTRIBUTE)
                    add_name(&p, "builtins", "getattr");
                if (way == OF_A_MODULE) {
                    add_name(&p, "torch.nn.modules.activation", "ReLU");
                    ADD(&p, ")\x81}K\1");
                }
                if (way == STACKED) {
                    add_text(&p, module);
                    add_text(&p, name);
                    ADD(&p, "\x93");
                } else
                    add_name(&p, module, name);
                if (way == CALLED || way == NEW_WITH_ARGUMENTS || way == STACKED) {
                    add_text(&p, "touch was_here");
                    add(&p, way == NEW_WITH_ARGUMENTS ? "\x85\x81" : "\x85R", 2);
                }
                if (way == IN_DICT)
                    ADD(&p, "s");
                if (way == NEW || way == BUILT)
                    ADD(&p, ")\x81");
                if (way == BUILT) {
                    ADD(&p, "}");
                    add_text(&p, "x");
                    ADD(&p, "K\1sb");
                }
                if (way == PARTIAL)
                    ADD(&p, "\x85R");
                if (way == ATTRIBUTE) {
                    add_text(&p, "__call__");
                    ADD(&p, "\x86R");
                }
                if (way == OF_A_MODULE)
                    ADD(&p, "sb");
                ADD(&p, ".");
                if (load_pickle(&p) != NULL)
                    fail_msg("%s.%s was loaded (way %d)", module, name, way);
                char full[100];
                snprintf(full, sizeof full, "%s.%s", module, name);
                if (way != ATTRIBUTE) /* or the attribute's getter */
                    assert_contains(fa_error(), full);
                assert_contains(fa_error(), "refused");
                fa_clear_error();
            }
    assert_int_equal(access("was_here", F_OK), -1);
    assert_int_equal(fa_value_live_count(), 0);
}

/* ---- Tensors -------------------------------------------------------------------------------------------------------
 */

/* Case O39: two overlapping pieces of 1000 out of a million. Both are there, and what is saved of them is small. */
static void test_views_of_a_large_storage(void **state)
{
    (void)state;
    enum { ALL = 1000000 };
    float *storage = malloc(ALL * sizeof *storage);
    assert_non_null(storage);
    for (int i = 0; i < ALL; i++)
        storage[i] = (float)i;
    pickled p = {.length = 0};
    ADD(&p, "\x80\x02}(");
    add_text(&p, "a");
    add_row(&p, "0", "cpu", ALL, 0, 1000);
    add_text(&p, "b");
    add_row(&p, "0", "cpu", ALL, 500, 1000);
    ADD(&p, "u.");
    char path[600];
    snprintf(path, sizeof path, "%s", save_pickle(&p, storage, ALL));
    struct stat status;
    for (int mmap = 0; mmap < 2; mmap++)
        fa_scope {
            fa_value *pieces = fa_load(path, .mmap = mmap);
            assert_fine();
            for (int i = 0; i < 2; i++) {
                fa_tensor *piece = fa_as_tensor(fa_value_at(pieces, i));
                assert_int_equal(fa_numel(piece), 1000);
                assert_same_bytes(fa_data(piece), storage + 500 * i, 4000);
            }
            const char *small = tempdir_file(&folder, "small.pth");
            assert_true(fa_save(pieces, small));
            assert_int_equal(stat(small, &status), 0);
            assert_true(status.st_size < 11000);
            fa_value *again = fa_load(small);
            assert_same_bytes(fa_data(fa_get_tensor(again, "b")), storage + 500, 4000);
        }
    free(storage);
}

/* Case O40: where a storage once was does not matter. */
static void test_locations(void **state)
{
    (void)state;
    static const char *const locations[] = {"cpu", "cuda:0", "cuda:1", "cuda:63", "mps", "xpu:0", "meta", ""};
    const float row[3] = {1, 2, 3};
    for (size_t i = 0; i < sizeof locations / sizeof *locations; i++)
        fa_scope {
            pickled p = {.length = 0};
            ADD(&p, "\x80\x02");
            add_row(&p, "0", locations[i], 3, 0, 3);
            ADD(&p, ".");
            fa_value *value = fa_load(save_pickle(&p, row, 3));
            assert_fine();
            assert_same_bytes(fa_data(fa_as_tensor(value)), row, sizeof row);
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
        cmocka_unit_test_teardown(test_protocols, nothing_left),
        cmocka_unit_test_teardown(test_large_numbers, nothing_left),
        cmocka_unit_test_teardown(test_refused, nothing_left),
        cmocka_unit_test_teardown(test_nothing_is_run, nothing_left),
        cmocka_unit_test_teardown(test_views_of_a_large_storage, nothing_left),
        cmocka_unit_test_teardown(test_locations, nothing_left),
        cmocka_unit_test_teardown(test_endings, nothing_left),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
