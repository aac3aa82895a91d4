/* fa_load on what torch.save writes and on what nobody should send: the values of every file of tests/golden/pth, the
 * hostile ones' refusals in bounded time and memory, files that are cut or changed at every byte, and what is no file.
 */
#define _GNU_SOURCE /* memfd_create */

#include "support/facula_test.h"

#include "facula.h"
#include "files/value.h"
#include "support/tempdir.h"

#include <cJSON.h>
#include <math.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static tempdir folder;
static cJSON *golden; /* by file name: what stands in it, or what must happen to it */

static const char *golden_path(const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "tests/golden/pth/%s", name);
    return source_path(path);
}

static bool is_hostile(const cJSON *entry)
{
    return strncmp(entry->string, "hostile_", 8) == 0;
}

/* ---- A value against its description ------------------------------------------------------------------------------
 */

static const char *text_of(const cJSON *object, const char *key)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

static bool same_numbers(const cJSON *list, const int64_t *got, int count)
{
    if (cJSON_GetArraySize(list) != count)
        return false;
    int i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        if (item->valuedouble != (double)got[i++])
            return false;
    }
    return true;
}

static bool same_tensor(const cJSON *want, fa_value *got)
{
    fa_tensor_view view;
    if (fa_kind_of(got) != FA_VALUE_TENSOR || !fa_value_view(got, &view, FA_HERE))
        return false;
    const fa_stored_type *type = &fa_stored_types[view.stored];
    fa_tensor_info info;
    const cJSON *grad = cJSON_GetObjectItemCaseSensitive(want, "requires_grad");
    bool same = fa_tensor_info_at(got, &info, FA_HERE) && strcmp(info.dtype, text_of(want, "dtype")) == 0 &&
                same_numbers(cJSON_GetObjectItemCaseSensitive(want, "shape"), view.size, view.ndim) &&
                same_numbers(cJSON_GetObjectItemCaseSensitive(want, "stride"), view.stride, view.ndim) &&
                cJSON_GetObjectItemCaseSensitive(want, "offset")->valuedouble == (double)view.offset &&
                cJSON_IsTrue(grad) == view.requires_grad && cJSON_HasObjectItem(want, "parameter") == view.parameter;
    const char *hex = text_of(want, "bytes_hex");
    const size_t bytes = (size_t)view.elements * type->size;
    if (!same || strlen(hex) != 2 * bytes)
        return false;
    uint8_t *data = malloc(bytes + 1);
    fa_view_copy(data, &view);
    for (size_t i = 0; same && i < bytes; i++) {
        char digits[3];
        snprintf(digits, sizeof digits, "%02x", data[i]);
        same = memcmp(digits, hex + 2 * i, 2) == 0;
    }
    free(data);
    return same;
}

static bool same_value(const cJSON *want, fa_value *got);

/* Keys in their order; those that are numbers are written as strings. */
static bool same_dict(const cJSON *want, fa_value *got)
{
    if (fa_kind_of(got) != FA_VALUE_DICT || fa_len(got) != cJSON_GetArraySize(want))
        return false;
    int64_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, want)
    {
        fa_value *key = fa_key_at(got, i);
        char number[32];
        const char *name = number;
        if (fa_kind_of(key) == FA_VALUE_STRING)
            name = fa_as_string(key);
        else
            snprintf(number, sizeof number, "%lld", (long long)fa_as_int(key));
        if (strcmp(name, item->string) != 0 || !same_value(item, fa_value_at(got, i++)))
            return false;
    }
    return true;
}

static bool same_list(const cJSON *want, fa_value *got)
{
    const fa_value_kind kind = fa_kind_of(got);
    if ((kind != FA_VALUE_LIST && kind != FA_VALUE_TUPLE) || fa_len(got) != cJSON_GetArraySize(want))
        return false;
    int64_t i = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, want)
    {
        if (!same_value(item, fa_value_at(got, i++)))
            return false;
    }
    return true;
}

static bool same_number(double want, fa_value *got)
{
    const fa_value_kind kind = fa_kind_of(got);
    return (kind == FA_VALUE_INT && (double)fa_as_int(got) == want) ||
           (kind == FA_VALUE_FLOAT && fa_as_float(got) == want);
}

static bool same_value(const cJSON *want, fa_value *got)
{
    const fa_value_kind kind = fa_kind_of(got);
    bool same;
    if (cJSON_HasObjectItem(want, "bytes_hex"))
        same = same_tensor(want, got);
    else if (cJSON_IsObject(want))
        return same_dict(want, got);
    else if (cJSON_IsArray(want))
        return same_list(want, got);
    else if (cJSON_IsNull(want))
        same = kind == FA_VALUE_NONE;
    else if (cJSON_IsBool(want))
        same = kind == FA_VALUE_BOOL && fa_as_bool(got) == (bool)cJSON_IsTrue(want);
    else if (cJSON_IsNumber(want))
        same = same_number(want->valuedouble, got);
    else if (kind == FA_VALUE_FLOAT)
        same = strcmp(want->valuestring, "inf") == 0 && fa_as_float(got) == HUGE_VAL;
    else
        same = kind == FA_VALUE_STRING && strcmp(fa_as_string(got), want->valuestring) == 0;
    return same;
}

/* ---- Good files ---------------------------------------------------------------------------------------------------
 */

static void test_values(void **state)
{
    (void)state;
    int files = 0;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, golden)
    {
        const cJSON *content = cJSON_GetObjectItemCaseSensitive(entry, "content");
        if (is_hostile(entry) || cJSON_IsNull(content))
            continue;
        files++;
        for (int mmap = 0; mmap < 2; mmap++)
            fa_scope {
                fa_value *value = fa_load(golden_path(entry->string), .mmap = mmap);
                assert_string_equal(fa_error(), "");
                if (!same_value(content, value))
                    fail_msg("%s (mmap %d) is not what was saved", entry->string, mmap);
            }
    }
    assert_true(files >= 26);
}

/* Tensors that shared a storage share it here. */
static void test_shared(void **state)
{
    (void)state;
    for (int mmap = 0; mmap < 2; mmap++)
        fa_scope {
            fa_value *value = fa_load(golden_path("shared.pth"), .mmap = mmap);
            fa_tensor_view first, other;
            assert_true(fa_value_view(fa_value_at(value, 0), &first, FA_HERE));
            for (int64_t i = 1; i < fa_len(value); i++) {
                assert_true(fa_value_view(fa_value_at(value, i), &other, FA_HERE));
                assert_ptr_equal(other.identity, first.identity);
            }
        }
}

/* A weight by its dotted name below an object. */
static fa_value *weight_of(fa_value *object, const char *name)
{
    const char *dot = strchr(name, '.');
    fa_value *attributes = fa_attributes(object);
    if (dot == NULL) {
        const char *const places[] = {"_parameters", "_buffers"};
        for (int i = 0; i < 2; i++)
            if (fa_has(attributes, places[i]) && fa_has(fa_get(attributes, places[i]), name))
                return fa_get(fa_get(attributes, places[i]), name);
        return NULL;
    }
    char child[64];
    snprintf(child, sizeof child, "%.*s", (int)(dot - name), name);
    fa_value *modules = fa_get(attributes, "_modules");
    return fa_has(modules, child) ? weight_of(fa_get(modules, child), dot + 1) : NULL;
}

/* Whole models: objects, not run, whose weights are there; flags and bytes as in the state dict. */
static void test_objects(void **state)
{
    (void)state;
    int files = 0;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, golden)
    {
        const cJSON *weights = cJSON_GetObjectItemCaseSensitive(entry, "state_dict"), *want;
        for (int mmap = 0; mmap < 2 && weights != NULL; mmap++)
            fa_scope {
                fa_value *model = fa_load(golden_path(entry->string), .mmap = mmap);
                assert_string_equal(fa_error(), "");
                assert_int_equal(fa_kind_of(model), FA_VALUE_OBJECT);
                assert_true(cJSON_GetArraySize(weights) > 1);
                cJSON_ArrayForEach(want, weights)
                {
                    fa_tensor_view view;
                    fa_value *got = weight_of(model, want->string);
                    assert_non_null(got);
                    assert_true(fa_value_view(got, &view, FA_HERE));
                    cJSON *copy = cJSON_Duplicate(want, true); /* a state dict has no parameters, the model has */
                    cJSON_ReplaceItemInObjectCaseSensitive(copy, "requires_grad", cJSON_CreateBool(view.requires_grad));
                    if (view.parameter && !cJSON_HasObjectItem(copy, "parameter"))
                        cJSON_AddTrueToObject(copy, "parameter");
                    if (!same_tensor(copy, got))
                        fail_msg("%s: %s is not what was saved", entry->string, want->string);
                    cJSON_Delete(copy);
                }
                assert_string_equal(fa_error(), "");
                files++;
            }
    }
    assert_true(files >= 2 * 6);
}

/* `value` is the name of a class or function, nothing more. */
static void assert_name(fa_value *value, const char *module, const char *name)
{
    assert_int_equal(fa_kind_of(value), FA_VALUE_OBJECT);
    assert_string_equal(fa_object_module(value), module);
    assert_string_equal(fa_object_class(value), name);
    assert_null(fa_attributes(value));
    fa_scope {
        assert_false(fa_save(fa_dict("x", value), tempdir_file(&folder, "name.pth")));
        assert_contains(fa_error(), name);
        fa_clear_error();
    }
}

/* Classes, functions, partials and members of enumerations among the attributes of a module are names and records. */
static void test_names(void **state)
{
    (void)state;
    static const char *const functions[][2] = {{"torch.nn.functional", "relu"},
                                               {"torch._C._nn", "gelu"},
                                               {"torch._C", "_VariableFunctionsClass.relu"},
                                               {"torch._C", "_VariableFunctionsClass.tanh"},
                                               {"torch._C", "TensorBase.relu"},
                                               {"torch.nn.init", "kaiming_normal_"}};
    fa_scope {
        fa_value *model = fa_load(golden_path("whole_named.pth"));
        assert_string_equal(fa_error(), "");
        fa_value *attributes = fa_attributes(model);
        assert_name(fa_get(attributes, "norm_layer"), "torch.nn.modules.batchnorm", "BatchNorm2d");
        assert_name(fa_get(attributes, "own_class"), "__main__", "Named");
        assert_name(fa_get(attributes, "ordered"), "collections", "OrderedDict");
        fa_value *list = fa_get(attributes, "functions");
        for (int i = 0; i < 6; i++)
            assert_name(fa_value_at(list, i), functions[i][0], functions[i][1]);
        fa_value *mode = fa_get(attributes, "mode");
        assert_string_equal(fa_object_class(mode), "InterpolationMode");
        assert_string_equal(fa_as_string(fa_value_at(fa_get(fa_attributes(mode), "args"), 0)), "bilinear");
        fa_value *partial = fa_attributes(fa_get(attributes, "norm"));
        assert_name(fa_value_at(fa_get(partial, "args"), 0), "torch.nn.modules.batchnorm", "BatchNorm2d");
        assert_true(fa_get_float(fa_value_at(fa_get(partial, "state"), 2), "eps") == 1e-3);
        fa_value *plain = fa_get(attributes, "plain");
        assert_string_equal(fa_get_string(fa_attributes(fa_get(plain, "dtype")), "name"), "float16");
        assert_string_equal(fa_get_string(fa_attributes(fa_get(plain, "device")), "type"), "cpu");
        assert_int_equal(fa_len(fa_get(plain, "size")), 2);
        assert_string_equal(fa_error(), "");
    }
    /* The same among things that are no modules, and what is on no list, is refused by its name. */
    static const char *const refused_names[][2] = {
        {"hostile_named_system.pth", "os.system"},      {"hostile_named_load.pth", "torch.load"},
        {"hostile_named_hub.pth", "torch.hub.load"},    {"hostile_named_class.pth", "__main__.helper"},
        {"hostile_named_partial.pth", "os.system"},     {"hostile_named_getattr.pth", "os.system"},
        {"hostile_named_object.pth", "__main__.Helper"}};
    for (size_t i = 0; i < sizeof refused_names / sizeof *refused_names; i++)
        fa_scope {
            assert_null(fa_load(golden_path(refused_names[i][0])));
            assert_contains(fa_error(), refused_names[i][1]);
            fa_clear_error();
        }
}

/* ---- Hostile files ------------------------------------------------------------------------------------------------
 */

/* Whether the library refused; whichever it is, with a message of this file if and only if it did. */
static bool refused(const char *path, bool mmap)
{
    bool none = false;
    fa_scope {
        fa_value *value = fa_load(path, .mmap = mmap);
        none = value == NULL;
        if (none == fa_ok())
            fail_msg("%s: the result and the error '%s' do not agree", path, fa_error());
        if (none)
            assert_contains(fa_error(), path);
        fa_clear_error();
    }
    return none;
}

static bool may_load(const cJSON *entry)
{
    return strncmp(text_of(entry, "must"), "refuse with an error", 20) != 0;
}

static void test_hostile(void **state)
{
    (void)state;
    int files = 0;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, golden)
    {
        if (!is_hostile(entry))
            continue;
        files++;
        for (int mmap = 0; mmap < 2; mmap++) {
            bool unchecked = mmap && strcmp(entry->string, "hostile_crc.pth") == 0; /* a mapped file has no checksums */
            if (!refused(golden_path(entry->string), mmap) && !may_load(entry) && !unchecked)
                fail_msg("%s (mmap %d) was loaded; it must: %s", entry->string, mmap, text_of(entry, "must"));
        }
    }
    assert_true(files >= 48);
}

/* Each in a process of its own: less than 100 ms of the processor and 50 MB more of memory. First of all tests, so that
 * no thread is there to be lost. */
static void test_hostile_costs(void **state)
{
    (void)state;
    if (FA_SANITIZED || FA_EMULATED)
        skip();
    const cJSON *entry;
    cJSON_ArrayForEach(entry, golden)
    {
        if (!is_hostile(entry))
            continue;
        const char *path = golden_path(entry->string);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            struct rusage before, after;
            getrusage(RUSAGE_SELF, &before);
            fa_scope {
                fa_value *value = fa_load(path);
                fa_value_free(value);
                fa_clear_error();
            }
            getrusage(RUSAGE_SELF, &after);
            double ms = 1e3 * (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec -
                                       before.ru_stime.tv_sec) +
                        1e-3 * (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec -
                                        before.ru_stime.tv_usec);
            if (getenv("FA_SHOW_COSTS") != NULL)
                fprintf(stderr, "%s: %.1f ms, %ld kB\n", entry->string, ms, after.ru_maxrss - before.ru_maxrss);
            _exit(ms > 100 ? 1 : after.ru_maxrss - before.ru_maxrss > 50000 ? 2 : 0);
        }
        int status = 0;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
            fail_msg("%s: %s", entry->string,
                     !WIFEXITED(status)         ? "the process was ended by a signal"
                     : WEXITSTATUS(status) == 1 ? "took more than 100 ms"
                                                : "took more than 50 MB");
    }
}

/* A name that a file asks for is said; what its call would leave behind is not there. */
static void test_nothing_runs(void **state)
{
    (void)state;
    const char *const files[][2] = {{"hostile_os_system.pth", "os.system"},
                                    {"hostile_posix_system.pth", "posix.system"},
                                    {"hostile_eval.pth", "builtins.eval"},
                                    {"hostile_getattr.pth", "getattr"},
                                    {"hostile_dtype.pth", "torch.NopeStorage"}};
    char here[512];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(folder.path), 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        fa_scope {
            assert_null(fa_load(golden_path(files[i][0])));
            assert_contains(fa_error(), files[i][1]);
            fa_clear_error();
        }
    assert_int_equal(access("hostile_was_here", F_OK), -1);
    assert_int_equal(chdir(here), 0);
}

/* ---- Cut and changed files ----------------------------------------------------------------------------------------
 */

/* A copy of a golden file in memory; its path. */
static int copy_in_memory(const char *name, size_t *size, char path[32])
{
    char *bytes = read_file(golden_path(name), size);
    int fd = memfd_create(name, MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, *size), *size);
    free(bytes);
    snprintf(path, 32, "/proc/self/fd/%d", fd);
    return fd;
}

static void cut_everywhere(const char *name)
{
    size_t size;
    char path[32];
    int fd = copy_in_memory(name, &size, path);
    assert_false(refused(path, false));
    for (size_t n = size; n-- > 0;) {
        assert_int_equal(ftruncate(fd, (off_t)n), 0);
        for (int mmap = 0; mmap < 2; mmap++)
            if (!refused(path, mmap))
                fail_msg("%s was loaded (mmap %d) from its first %zu of %zu bytes", name, mmap, n, size);
    }
    close(fd);
}

static void test_cut(void **state)
{
    (void)state;
    cut_everywhere("state_dict.pth");
    cut_everywhere("legacy_state_dict.pth");
}

/* Every bit of the file changed, one at a time. With checksums nothing wrong comes out; without them (the older format,
 * and whatever is mapped) anything may, but in order. */
static void change_everywhere(const char *name, bool mmap, bool checksums)
{
    size_t size;
    char path[32];
    int fd = copy_in_memory(name, &size, path), loaded = 0, refusals = 0;
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(golden, name), "content");
    for (size_t i = 0; i < size; i++) {
        uint8_t was;
        assert_int_equal(pread(fd, &was, 1, (off_t)i), 1);
        for (int bit = 0; bit < 8; bit += FA_SANITIZED || FA_EMULATED ? 5 : 1) {
            assert_int_equal(pwrite(fd, &(uint8_t){(uint8_t)(was ^ 1 << bit)}, 1, (off_t)i), 1);
            fa_scope {
                fa_value *value = fa_load(path, .mmap = mmap);
                if ((value == NULL) == fa_ok())
                    fail_msg("%s, bit %d of byte %zu: result and error '%s' do not agree", name, bit, i, fa_error());
                if (value == NULL)
                    assert_contains(fa_error(), path);
                else if (checksums && !same_value(content, value))
                    fail_msg("%s with bit %d of byte %zu changed loads as something else", name, bit, i);
                loaded += value != NULL;
                refusals += value == NULL;
                fa_clear_error();
            }
        }
        assert_int_equal(pwrite(fd, &was, 1, (off_t)i), 1);
    }
    close(fd);
    assert_true(loaded > 0 && refusals > 0);
}

static void test_changed(void **state)
{
    (void)state;
    change_everywhere("state_dict.pth", false, true);
    change_everywhere("state_dict.pth", true, false);
    change_everywhere("legacy_state_dict.pth", false, false);
}

/* A mapped file of four pages that is cut to one while its tensor lives: an error at the next call, no signal. */
static void test_shrinks(void **state)
{
    (void)state;
    char path[600];
    snprintf(path, sizeof path, "%s", tempdir_file(&folder, "shrinks.pth"));
    fa_scope {
        fa_save(fa_dict("x", fa_ones(1 << 15)), path);
        assert_string_equal(fa_error(), "");
        fa_value *value = fa_load(path, .mmap = true);
        assert_non_null(value);
        assert_int_equal(truncate(path, 4096), 0);
        fa_tensor_range range;
        fa_tensor_range_at(fa_get(value, "x"), &range, FA_HERE);
        assert_null(fa_load(golden_path("list.pth")));
        assert_true(fa_error()[0] != 0);
        assert_contains(fa_error(), "shrinks.pth");
        fa_clear_error();
        assert_non_null(fa_load(golden_path("list.pth")));
    }
}

/* ---- No files of PyTorch ------------------------------------------------------------------------------------------
 */

static void assert_refused(const char *path, const char *words)
{
    for (int mmap = 0; mmap < 2; mmap++)
        fa_scope {
            assert_null(fa_load(path, .mmap = mmap));
            assert_contains(fa_error(), path);
            assert_contains(fa_error(), words);
            fa_clear_error();
        }
}

static void test_other_things(void **state)
{
    (void)state;
    char path[600];
    snprintf(path, sizeof path, "%s", tempdir_file(&folder, "thing"));
    assert_refused(path, "No such file");
    assert_refused(folder.path, "a folder");
    assert_refused("/dev/null", "no ordinary file");
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_refused(path, "no ordinary file");
    assert_int_equal(unlink(path), 0);
    write_file(path, "", 0);
    assert_refused(path, "is empty");
    fa_scope {
        assert_null(fa_load(""));
        assert_contains(fa_error(), "no path");
        fa_clear_error();
    }
}

/* What people load by mistake: the message says what it seems to be. */
static void test_foreign_files(void **state)
{
    (void)state;
#define FOREIGN(bytes, words)                                                                                          \
    {                                                                                                                  \
        bytes, sizeof(bytes) - 1, words                                                                                \
    }
    static const struct {
        const char *bytes;
        size_t size;
        const char *words;
    } files[] = {
        FOREIGN("epoch,loss\n1,0.5\n", "a text file, needs"),
        FOREIGN(" {\"epoch\": 1}\n", "a text file (JSON)"),
        FOREIGN("[1, 2, 3, 4, 5]", "a text file (JSON)"),
        FOREIGN("\n<!DOCTYPE html><html><head><title>404</title>", "a web page (HTML)"),
        FOREIGN("<HTML><body>no", "a web page (HTML)"),
        FOREIGN("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "a git-lfs pointer"),
        FOREIGN("\x89HDF\r\n\x1a\n\0\0\0\0", "an HDF5 file"),
        FOREIGN("\x08\x07\x12\x07pytorch\x1a\x05"
                "2.1.0:\x80\x01\x0a\x02",
                "an ONNX model"),
        FOREIGN("\x1f\x8b\x08\x08....", "compressed by gzip"),
        FOREIGN("\x28\xb5\x2f\xfd....", "compressed by zstd"),
        FOREIGN("\x80\x04\x95\x0a\0\0\0\0\0\0\0}.", "a pickle that torch.save did not write"),
        FOREIGN("\x89PNG\r\n\x1a\n....", "a picture (PNG)"),
        FOREIGN("\x7f"
                "ELF\x02\x01\x01",
                "a program"),
        FOREIGN("\0\0\0\0\0\0\0\0\0\0\0\0", "filled with zeros"),
        FOREIGN("PK", "cut short after its first bytes"),
        FOREIGN("\x93NUM", "cut short after its first bytes"),
        FOREIGN("\x80\x02\x8a\x0a\x6c", "cut short after its first bytes"),
        FOREIGN("\x01\x02\xff\xfe\xfd", "begins with the bytes 01 02 ff fe"),
    };
    char path[600];
    snprintf(path, sizeof path, "%s", tempdir_file(&folder, "foreign"));
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        write_file(path, files[i].bytes, files[i].size);
        assert_refused(path, files[i].words);
    }
    char tar[1024] = "weights";
    memcpy(tar + 257, "ustar", 5);
    write_file(path, tar, sizeof tar);
    assert_refused(path, "tar archive");
    /* Zip archives of other programs: nothing in them but one empty entry. */
    static const char *const entries[][2] = {{"arr_0.npy", "(NumPy's .npz)"},
                                             {"metadata.json", "(.keras)"},
                                             {"model.pth", "unzip it first"},
                                             {"readme.txt", "of another program"}};
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        const size_t n = strlen(entries[i][0]);
        char zip[256] = "PK\3\4\x0a\0", *at = zip + 30;
        zip[26] = (char)n;
        memcpy(at, entries[i][0], n);
        at += n;
        char *directory = at;
        memcpy(at, "PK\1\2\x0a\0\x0a", 7);
        at[28] = (char)n;
        memcpy(at + 46, entries[i][0], n);
        at += 46 + n;
        memcpy(at, "PK\5\6\0\0\0\0\1\0\1", 11);
        at[12] = (char)(46 + n);
        at[16] = (char)(directory - zip);
        write_file(path, zip, (size_t)(at + 22 - zip));
        assert_refused(path, entries[i][1]);
    }
}

static int set_up(void **state)
{
    (void)state;
    folder = tempdir_new();
    char *text = read_file(golden_path("pth.json"), NULL);
    golden = cJSON_Parse(text);
    free(text);
    return golden == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    cJSON_Delete(golden);
    tempdir_free(&folder);
    assert_int_equal(fa_shutdown(stderr), 0);
    return 0;
}

/* An error that a failed test leaves shall not fail the next one. */
static int clear(void **state)
{
    (void)state;
    fa_clear_error();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_hostile_costs, clear), cmocka_unit_test_teardown(test_hostile, clear),
        cmocka_unit_test_teardown(test_nothing_runs, clear),  cmocka_unit_test_teardown(test_values, clear),
        cmocka_unit_test_teardown(test_shared, clear),        cmocka_unit_test_teardown(test_objects, clear),
        cmocka_unit_test_teardown(test_names, clear),         cmocka_unit_test_teardown(test_cut, clear),
        cmocka_unit_test_teardown(test_changed, clear),       cmocka_unit_test_teardown(test_shrinks, clear),
        cmocka_unit_test_teardown(test_other_things, clear),  cmocka_unit_test_teardown(test_foreign_files, clear),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
