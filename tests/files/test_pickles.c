/* fa_load on pickles that are put together here, opcode by opcode: everything that plain data is made of in each
 * protocol; what may not be named, in every way of naming it; views of large storages; devices. */
#include "support/made_pickle.h"

#include "base/memory.h"
#include "files/value.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- Plain data ----------------------------------------------------------------------------------------------------
 */

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

/* ---- Tensors that are not what is stored ---------------------------------------------------------------------------
 */

/* x.conj() and x.conj().imag are kept as x's own elements with a mark. Other marks, and those that are false, are fine.
 */
static void test_marked_tensors(void **state)
{
    (void)state;
    static const struct {
        literal marks;
        const char *words; /* NULL: it loads */
    } cases[] = {{VALUE("N"), NULL},
                 {VALUE("}"), NULL},
                 {VALUE("}X\4\0\0\0conj\x89s"), NULL},
                 {VALUE("}X\4\0\0\0conj\x88s"), "the conjugates of what is stored"},
                 {VALUE("}X\3\0\0\0neg\x88s"), "the negatives of what is stored"}};
    const float stored[2] = {1, 2};
    for (int untyped = 0; untyped < 2; untyped++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
            fa_scope {
                pickled p = {.length = 0};
                ADD(&p, "\x80\x02");
                add_row_of(&p, untyped ? "UntypedStorage" : "FloatStorage", "0", "cpu", untyped ? 8 : 2, 0, 2);
                p.length -= 2; /* tR */
                add(&p, cases[i].marks.bytes, cases[i].marks.length);
                ADD(&p, "tR.");
                fa_value *value = fa_load(save_pickle(&p, stored, 2));
                if ((value != NULL) != (cases[i].words == NULL))
                    fail_msg("case %zu: %s", i, fa_error());
                if (value == NULL)
                    assert_contains(fa_error(), cases[i].words);
                fa_clear_error();
            }
    /* A type that came after this reader is named. */
    fa_scope {
        pickled p = {.length = 0};
        ADD(&p, "\x80\x02");
        add_row_of(&p, "UntypedStorage", "0", "cpu", 8, 0, 2);
        p.length -= 2 + strlen("ctorch\nuint16\n");
        ADD(&p, "ctorch\nfloat8_e5m2fnuz\ntR.");
        assert_null(fa_load(save_pickle(&p, stored, 2)));
        assert_contains(fa_error(), "has the type torch.float8_e5m2fnuz, which is not read here");
        fa_clear_error();
    }
}

/* A view of the storage "0", of floats. */
static void add_view(pickled *p, int64_t stored, int64_t offset, const int64_t size[2], const int64_t stride[2])
{
    add_name(p, "torch._utils", "_rebuild_tensor_v2");
    ADD(p, "((");
    add_text(p, "storage");
    add_name(p, "torch", "FloatStorage");
    add_text(p, "0");
    add_text(p, "cpu");
    add_number(p, stored);
    ADD(p, "tQ");
    add_number(p, offset);
    add_number(p, size[0]);
    add_number(p, size[1]);
    ADD(p, "\x86");
    add_number(p, stride[0]);
    add_number(p, stride[1]);
    ADD(p, "\x86\x89");
    add_name(p, "collections", "OrderedDict");
    ADD(p, ")RtR");
}

/* A number repeated more often than any memory holds: its range is known at once. */
static void test_repeated(void **state)
{
    (void)state;
    const float stored[3] = {2, NAN, 5};
    pickled p = {.length = 0};
    ADD(&p, "\x80\x02");
    add_view(&p, 3, 0, (int64_t[]){3, INT64_C(1) << 50}, (int64_t[]){1, 0});
    ADD(&p, ".");
    fa_scope {
        fa_value *value = fa_load(save_pickle(&p, stored, 3));
        fa_tensor_range range;
        assert_fine();
        assert_true(fa_tensor_range_at(value, &range, FA_HERE));
        assert_true(range.least == 2 && range.most == 5 && range.infinite == 0);
        assert_int_equal(range.nan, INT64_C(1) << 50);
    }
}

/* Elements that overlap and run backwards through the dimensions, more of them than are copied at once: written as they
 * are, in every format. */
static void test_parts_of_views(void **state)
{
    (void)state;
    enum { ROWS = 300, COLUMNS = 401, STORED = 2 * COLUMNS + ROWS, OFFSET = 1 };
    static const char *const endings[] = {"pth", "safetensors", "npy"};
    float stored[STORED];
    for (int i = 0; i < STORED; i++)
        stored[i] = (float)i;
    pickled p = {.length = 0};
    ADD(&p, "\x80\x02");
    add_view(&p, STORED, OFFSET, (int64_t[]){ROWS, COLUMNS}, (int64_t[]){1, 2});
    ADD(&p, ".");
    assert_true(ROWS * COLUMNS > FA_VIEW_PART);
    for (size_t e = 0; e < sizeof endings / sizeof *endings; e++)
        fa_scope {
            char name[40];
            snprintf(name, sizeof name, "view.%s", endings[e]);
            fa_value *value = fa_load(save_pickle(&p, stored, STORED));
            assert_fine();
            fa_tensor_range range;
            assert_true(fa_tensor_range_at(value, &range, FA_HERE));
            assert_true(range.least == OFFSET && range.most == OFFSET + ROWS - 1 + 2 * (COLUMNS - 1));
            assert_true(fa_save(e == 1 ? fa_dict("x", value) : value, tempdir_file(&folder, name)));
            fa_value *again = fa_load(tempdir_file(&folder, name));
            const float *data = fa_data(fa_as_tensor(e == 1 ? fa_get(again, "x") : again));
            assert_fine();
            for (int i = 0; i < ROWS * COLUMNS; i++)
                assert_true(data[i] == (float)(OFFSET + i / COLUMNS + 2 * (i % COLUMNS)));
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
        {VALUE("\x8f(]\x90."), "got a key of a set"},
        {VALUE("](K\1K\2u."), "for a dict where there is none"},
        {VALUE("}(K\1u."), "a key without a value"},
        {VALUE("}]K\1s."), "a key of a dict"},
        {VALUE("}G\x7f\xf8\0\0\0\0\0\0K\1s."), "a key of a dict that is"},
        {VALUE("}G\xff\xff\0\0\0\0\0\1\x85K\1s."), "a key of a dict that is"},
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
        {VALUE("cbuiltins\nset\n]]a\x85R."), "got a key of a set"},
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

/* What is stored once (memo number 1) and copied by a few bytes each time, or is a long key that is hashed each time:
 * a file of a megabyte would take gigabytes, or minutes. The same a few times over is no more than the file is long. */
static void test_copies(void **state)
{
    (void)state;
    static const struct {
        literal stored, before, again, after;
    } cases[] = {
        /* q: the callable is number 0, its arguments are number 2 */
        {VALUE("X\xe8\3\0\0"), VALUE("c_codecs\nencode\nq\0h\1\x85q\2"), VALUE("h\0h\2R"), VALUE("t")},
        {VALUE("B\xe8\3\0\0"), VALUE("cbuiltins\nbytearray\nq\0h\1\x85q\2"), VALUE("h\0h\2R"), VALUE("t")},
        {VALUE("X\xe8\3\0\0"), VALUE("}(K\0NK\1NK\2NK\3NK\4NK\5NK\6NK\7NK\x08N"), VALUE("h\1N"), VALUE("ut")},
        {VALUE("X\xe8\3\0\0"), VALUE("h\1\x85q\2}(h\2N"), VALUE("h\2N"), VALUE("ut")},
        {VALUE("X\xe8\3\0\0"), VALUE("\x8f(h\1"), VALUE("h\1"), VALUE("\x90t")},
    };
    char text[1000];
    memset(text, 'k', sizeof text);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int many = 0; many < 2; many++)
            fa_scope {
                pickled p = {.length = 0};
                ADD(&p, "\x80\x02(");
                add(&p, cases[i].stored.bytes, cases[i].stored.length);
                add(&p, text, sizeof text);
                ADD(&p, "q\1");
                add(&p, cases[i].before.bytes, cases[i].before.length);
                for (int k = 0; k < (many ? 200 : 8); k++)
                    add(&p, cases[i].again.bytes, cases[i].again.length);
                add(&p, cases[i].after.bytes, cases[i].after.length);
                ADD(&p, ".");
                fa_value *value = load_pickle(&p);
                if ((value == NULL) != many)
                    fail_msg("case %zu, %s: %s", i, many ? "many" : "few", many ? "was loaded" : fa_error());
                if (many)
                    assert_contains(fa_error(), "copied again and again");
                fa_clear_error();
            }
    /* Containers: 200 entries, 100 copies. */
    static const struct {
        literal class, open, entry, close;
    } containers[] = {
        {VALUE("cbuiltins\nset\n"), VALUE("("), VALUE(""), VALUE("t")},
        {VALUE("ccollections\nCounter\n"), VALUE("}("), VALUE("N"), VALUE("u")},
        {VALUE("ccollections\nOrderedDict\n"), VALUE("]("), VALUE("N\x86"), VALUE("e")},
    };
    for (size_t i = 0; i < sizeof containers / sizeof *containers; i++)
        for (int many = 0; many < 2; many++)
            fa_scope {
                pickled p = {.length = 0};
                ADD(&p, "\x80\x02(");
                add(&p, containers[i].class.bytes, containers[i].class.length);
                ADD(&p, "q\0");
                add(&p, containers[i].open.bytes, containers[i].open.length);
                for (int k = 0; k < 200; k++) {
                    const uint8_t key[2] = {'K', (uint8_t)k};
                    add(&p, key, 2);
                    add(&p, containers[i].entry.bytes, containers[i].entry.length);
                }
                add(&p, containers[i].close.bytes, containers[i].close.length);
                ADD(&p, "\x85q\1");
                for (int k = 0; k < (many ? 100 : 3); k++)
                    ADD(&p, "h\0h\1R");
                ADD(&p, "t.");
                fa_value *value = load_pickle(&p);
                if ((value == NULL) != many)
                    fail_msg("container %zu, %s: %s", i, many ? "many" : "few", many ? "was loaded" : fa_error());
                if (many)
                    assert_contains(fa_error(), "copied again and again");
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

/* A machine with the bytes of numbers the other way round wrote these: today's format and the older one. */
static void test_big_endian(void **state)
{
    (void)state;
    static const struct {
        const char *class_name, *dtype;
        size_t each; /* whose bytes are turned round */
    } types[] = {{"FloatStorage", "float32", 4},
                 {"DoubleStorage", "float64", 8},
                 {"LongStorage", "int64", 8},
                 {"HalfStorage", "float16", 2},
                 {"ByteStorage", "uint8", 1},
                 {"ShortStorage", "int16", 2},
                 {"ComplexFloatStorage", "complex64", 4},
                 {"ComplexDoubleStorage", "complex128", 8}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        const size_t each = types[i].each, size = strncmp(types[i].dtype, "complex", 7) == 0 ? 2 * each : each;
        uint8_t little[48], big[48];
        for (size_t k = 0; k < 3 * size; k++) {
            little[k] = (uint8_t)(k + 1);
            big[k / each * each + each - 1 - k % each] = (uint8_t)(k + 1);
        }
        pickled row = {.length = 0}, old = {.length = 0};
        ADD(&row, "\x80\x02");
        add_row_of(&row, types[i].class_name, "0", "cpu", 3, 0, 3);
        ADD(&row, ".");
        ADD(&old, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}");
        add_text(&old, "little_endian");
        ADD(&old, "\x89s.");
        add(&old, row.bytes, row.length);
        ADD(&old, "\x80\x02]");
        add_text(&old, "0");
        ADD(&old, "a.\0\0\0\0\0\0\0\3");
        add(&old, big, 3 * size);
        for (int older = 0; older < 2; older++)
            for (int mmap = 0; mmap < 2; mmap++)
                fa_scope {
                    const char *path = tempdir_file(&folder, "older.pth");
                    if (older)
                        write_file(path, old.bytes, old.length);
                    else
                        path = save_archive(&row, "big", "3\n", big, 3 * size);
                    fa_tensor_info info;
                    fa_value *value = fa_load(path, .mmap = mmap);
                    assert_fine();
                    assert_true(fa_tensor_info_at(value, &info, FA_HERE));
                    assert_string_equal(info.dtype, types[i].dtype);
                    assert_same_bytes(info.data, little, 3 * size);
                }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_protocols, nothing_left),
        cmocka_unit_test_teardown(test_large_numbers, nothing_left),
        cmocka_unit_test_teardown(test_refused, nothing_left),
        cmocka_unit_test_teardown(test_copies, nothing_left),
        cmocka_unit_test_teardown(test_repeated, nothing_left),
        cmocka_unit_test_teardown(test_parts_of_views, nothing_left),
        cmocka_unit_test_teardown(test_marked_tensors, nothing_left),
        cmocka_unit_test_teardown(test_nothing_is_run, nothing_left),
        cmocka_unit_test_teardown(test_views_of_a_large_storage, nothing_left),
        cmocka_unit_test_teardown(test_locations, nothing_left),
        cmocka_unit_test_teardown(test_big_endian, nothing_left),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
