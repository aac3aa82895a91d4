/* The writers against the files that torch.save, safetensors and NumPy write for the same values
 * (tests/golden/make_files.py): the same bytes, but for the 40 digits of .data/serialization_id, which follow from
 * names and checksums in a way of the writer's own. */
#include "support/file_test.h"

#include <string.h>

static const char *golden(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "tests/golden/files/%s", name);
    return source_path(path);
}

/* Writes 'x' over the digits and over their checksums in the descriptor and in the directory. */
static void mask_fingerprint(char *bytes, size_t size)
{
    static const char name[] = ".data/serialization_id";
    int found = 0;
    for (size_t i = 0; i + sizeof name < size; i++)
        if (memcmp(bytes + i, name, sizeof name - 1) == 0) {
            if (found++ == 0) { /* the record; else the directory */
                size_t data = (i + sizeof name - 1 + 4 + 63) / 64 * 64;
                assert_true(data + 48 <= size);
                memset(bytes + data, 'x', 40);
                memset(bytes + data + 44, 'x', 4);
            } else {
                size_t entry = i;
                while (memcmp(bytes + entry, "PK\1\2", 4) != 0)
                    entry--;
                memset(bytes + entry + 16, 'x', 4);
            }
        }
    assert_true(found == 0 || found == 2);
}

static void assert_same_file(const char *path, const char *name)
{
    size_t size, want_size;
    char *got = read_file(path, &size), *want = read_file(golden(name), &want_size);
    mask_fingerprint(got, size);
    mask_fingerprint(want, want_size);
    if (size < want_size) /* the difference tells more than the sizes */
        want_size = size;
    assert_same_bytes(got, want, want_size);
    free(want);
    want = read_file(golden(name), &want_size);
    assert_int_equal(size, want_size);
    free(got);
    free(want);
}

#define TENSOR(type, dtype, shape, ...) fa_from_memory(((type[]){__VA_ARGS__}), (dtype), (shape))

static fa_value *make_tensors(fa_tensor **weight)
{
    fa_value *state = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_ORDERED_DICT, FA_HERE);
    *weight = fa_tensor_of(FA_SHAPE(2, 3), 0, 0.125, 0.25, 0.375, 0.5, 0.625);
    fa_dict_put(state, "weight", *weight);
    fa_dict_put(state, "bias", TENSOR(double, FA_FLOAT64, FA_SHAPE(2), 0.1, -2.5));
    fa_dict_put(state, "steps", TENSOR(int64_t, FA_INT64, FA_SCALAR, 7));
    fa_dict_put(state, "empty", fa_zeros(0, 3));
    fa_dict_put(state, "half", TENSOR(uint16_t, FA_FLOAT16, FA_SHAPE(3), 0x3c00, 0x8000, 0x7bff));
    fa_dict_put(state, "brain", TENSOR(uint16_t, FA_BFLOAT16, FA_SHAPE(3), 0x3f80, 0x4049, 0x7f80));
    fa_dict_put(state, "bytes", TENSOR(uint8_t, FA_UINT8, FA_SHAPE(4), 0, 1, 128, 255));
    fa_dict_put(state, "mask", TENSOR(uint8_t, FA_BOOL, FA_SHAPE(3), 1, 0, 1));
    fa_dict_put(state, "counts", TENSOR(int32_t, FA_INT32, FA_SHAPE(2, 2), 1, -2, 3, INT32_MAX));
    return state;
}

static fa_value *ordered(void)
{
    return fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_ORDERED_DICT, FA_HERE);
}

static void test_state(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *weight;
        fa_value *dict = make_tensors(&weight);
        fa_dict_put(dict, "tied", weight);
        fa_value *metadata = ordered();
        fa_dict_put(metadata, "", fa_dict("version", 1));
        fa_dict_put(metadata, "bn", fa_dict("version", 2));
        assert_true(fa_set_attributes_at(dict, fa_dict("_metadata", metadata), FA_HERE));
        const char *path = tempdir_file(&folder, "any name at all.pth");
        fa_save(dict, path);
        assert_string_equal(fa_error(), "");
        assert_same_file(path, "state.pth");
        fa_save(fa_tensor_of(FA_SHAPE(1, 2), 1, 2), path);
        assert_string_equal(fa_error(), "");
        assert_same_file(path, "tensor.pth");
    }
}

/* What was read is written as it was. */
static void test_round_trips(void **state)
{
    (void)state;
    static const char *const names[] = {
        "state.pth", "checkpoint.pth", "many.pth", "tensor.pth", "tensors.safetensors", "matrix.npy", "vector.npy",
        "empty.npy", "half.npy",       "mask.npy", "counts.npy", "bytes.npy",           "scalar.npy"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (int mmap = 0; mmap < 2; mmap++)
            fa_scope {
                const char *path = tempdir_file(&folder, names[i]);
                fa_save(fa_load(golden(names[i]), .mmap = mmap), path);
                assert_string_equal(fa_error(), "");
                assert_same_file(path, names[i]);
            }
}

static void test_safetensors(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *weight;
        fa_value *dict = make_tensors(&weight);
        fa_dict_put(dict, "quote\"\\\n\xc3\xbc\x01", fa_zeros(1));
        const char *path = tempdir_file(&folder, "a.SafeTensors");
        fa_save(dict, path);
        assert_string_equal(fa_error(), "");
        assert_same_file(path, "tensors.safetensors");
    }
}

static void test_npy(void **state)
{
    (void)state;
    static const struct {
        const char *key, *name;
    } arrays[] = {{"weight", "matrix.npy"}, {"bias", "vector.npy"}, {"steps", "scalar.npy"},  {"empty", "empty.npy"},
                  {"half", "half.npy"},     {"mask", "mask.npy"},   {"counts", "counts.npy"}, {"bytes", "bytes.npy"}};
    fa_scope {
        fa_tensor *weight;
        fa_value *dict = make_tensors(&weight);
        for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
            const char *path = tempdir_file(&folder, "a.npy");
            fa_save(fa_get(dict, arrays[i].key), path);
            assert_string_equal(fa_error(), "");
            assert_same_file(path, arrays[i].name);
        }
        fa_save(fa_get(dict, "brain"), tempdir_file(&folder, "a.npy"));
        assert_contains(fa_error(), "bfloat16");
        assert_contains(fa_error(), "Hint:");
        fa_clear_error();
    }
}

/* A view brings its own elements alone (case O39), in order, whatever lies around them. */
static void test_views(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = fa_arange(1000000);
        const char *path = tempdir_file(&folder, "views.pth");
        fa_save(fa_dict("a", fa_slice(x, 0, 0, 1000), "b", fa_slice(x, 0, 500, 1500), "t",
                        fa_transpose(fa_reshape(fa_slice(x, 0, 0, 6), 2, 3), 0, 1)),
                path);
        assert_string_equal(fa_error(), "");
        size_t size;
        free(read_file(path, &size));
        assert_in_range(size, 16000, 18000);
        fa_value *back = fa_load(path);
        assert_string_equal(fa_error(), "");
        const int64_t *b = fa_data(fa_get_tensor(back, "b")), *t = fa_data(fa_get_tensor(back, "t"));
        for (int i = 0; i < 1000; i++)
            assert_int_equal(b[i], 500 + i);
        for (int i = 0; i < 6; i++)
            assert_int_equal(t[i], i % 2 * 3 + i / 2);
        assert_true(fa_is_contiguous(fa_get_tensor(back, "t")));
    }
}

/* Parameters, computed tensors and what waits to be computed are saved as plain tensors with their values. */
static void test_live(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *w = fa_full(FA_SHAPE(3), 2, .requires_grad = true);
        fa_tensor *loss = fa_sum(fa_mul(w, w));
        const char *path = tempdir_file(&folder, "live.pth");
        fa_save(fa_dict("w", w, "loss", loss), path);
        assert_string_equal(fa_error(), "");
        fa_backward(loss); /* the graph is as it was */
        assert_string_equal(fa_error(), "");
        fa_value *back = fa_load(path);
        assert_float_equal(fa_get_float(back, "loss"), 12, 0);
        assert_false(fa_requires_grad(fa_get_tensor(back, "w")));
        assert_string_equal(fa_error(), "");
    }
}

static int failed(const char *part)
{
    assert_contains(fa_error(), part);
    fa_clear_error();
    return 0;
}

static void test_refused(void **state)
{
    (void)state;
    fa_scope {
        const char *path = tempdir_file(&folder, "x.safetensors");
        assert_false(fa_save(fa_dict("epoch", 3), path));
        failed("\"epoch\"");
        assert_false(fa_save(fa_dict(1, fa_ones(1)), path));
        failed("got int as a key");
        assert_false(fa_save(fa_list(fa_ones(1)), path));
        failed("needs a dict of tensors");
        assert_false(fa_save(fa_dict("__metadata__", fa_ones(1)), path));
        failed("__metadata__");
        assert_false(fa_save(fa_dict("a", 1), tempdir_file(&folder, "x.npy")));
        failed("needs one tensor");
        assert_false(fa_save((fa_value *)NULL, tempdir_file(&folder, "x.pth")));
        failed("NULL");
        assert_false(fa_save(fa_dict("a", 1), (const char *)NULL));
        failed("no path");
        assert_false(fa_save(fa_dict("model", fa_dict("net", fa_value_object_at("a.b", "Net", FA_HERE))),
                             tempdir_file(&folder, "x.pth")));
        assert_contains(fa_error(), "model.net");
        failed("a.b.Net");
        fa_raise(FA_VALUE_ERROR, "something before");
        assert_false(fa_save(fa_dict("a", 1), tempdir_file(&folder, "x.pth")));
        failed("something before");
    }
}

static int clear(void **state)
{
    (void)state;
    fa_clear_error();
    return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, clear)
    const struct CMUnitTest tests[] = {TEST(test_state),       TEST(test_safetensors), TEST(test_npy),
                                       TEST(test_round_trips), TEST(test_views),       TEST(test_live),
                                       TEST(test_refused)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
