/* State dicts of modules: keys, live tensors, files of PyTorch's (golden/pth) in every wrapping, types, the table of
 * keys that do not fit, and that nothing changes after an error. */
#include "support/file_test.h"

#include <math.h>
#include <string.h>

/* The network of the files in golden/pth. */
static fa_module *network(void)
{
    return fa_nn_sequential_named({"conv", fa_nn_conv2d(1, 4, 3, .padding = 1)}, {"bn", fa_nn_batch_norm2d(4)},
                                  {"relu", fa_nn_relu()}, {"pool", fa_nn_max_pool2d(2)}, {"flat", fa_nn_flatten()},
                                  {"drop", fa_nn_dropout(0.5)}, {"fc", fa_nn_linear(16, 3)});
}

/* Every byte of a module's tensors, one after the other. */
typedef struct snapshot {
    char bytes[8192];
    size_t size;
} snapshot;

static snapshot bytes_of(fa_module *module)
{
    snapshot s = {.size = 0};
    const fa_tensor_list list = fa_state_list(module);
    for (int64_t i = 0; i < list.count; i++) {
        fa_tensor *t = list.tensor[i];
        const size_t bytes = (size_t)fa_numel(t) * (fa_dtype_of(t) == FA_INT64 || fa_dtype_of(t) == FA_FLOAT64 ? 8 : 4);
        assert_true(s.size + bytes <= sizeof s.bytes);
        memcpy(s.bytes + s.size, fa_data(t), bytes);
        s.size += bytes;
    }
    return s;
}

static void assert_same(const snapshot *a, const snapshot *b)
{
    assert_int_equal(a->size, b->size);
    assert_same_bytes(a->bytes, b->bytes, a->size);
}

/* What state_dict.pth holds. */
static void assert_golden_weights(fa_module *module)
{
    static const uint32_t conv[] = {0xbcb09b0e, 0x3e2bb4ee, 0xbe91aece}, scale[] = {0x3f7b36e9, 0x3f82518b};
    assert_same_bytes(fa_data(fa_find(module, "conv.weight")), conv, sizeof conv);
    assert_same_bytes(fa_data(fa_find(module, "bn.weight")), scale, sizeof scale);
    assert_int_equal(((const int64_t *)fa_data(fa_find(module, "bn.num_batches_tracked")))[0], 2);
}

/* ---- Keys and tensors ---------------------------------------------------------------------------------------------
 */

static void test_keys_metadata_and_live_tensors(void **state)
{
    (void)state;
    static const char *const keys[] = {"conv.weight",
                                       "conv.bias",
                                       "bn.weight",
                                       "bn.bias",
                                       "bn.running_mean",
                                       "bn.running_var",
                                       "bn.num_batches_tracked",
                                       "fc.weight",
                                       "fc.bias"};
    static const char *const paths[] = {"", "conv", "bn", "relu", "pool", "flat", "drop", "fc"};
    fa_module *model = network();
    fa_scope {
        fa_value *weights = fa_state_dict(model);
        assert_int_equal(fa_flavour_of(weights), FA_FLAVOUR_ORDERED_DICT);
        assert_int_equal(fa_len(weights), 9);
        for (int i = 0; i < 9; i++)
            assert_string_equal(fa_as_string(fa_key_at(weights, i)), keys[i]);
        fa_value *metadata = fa_get(fa_attributes(weights), "_metadata");
        assert_int_equal(fa_len(metadata), 8);
        for (int i = 0; i < 8; i++) {
            assert_string_equal(fa_as_string(fa_key_at(metadata, i)), paths[i]);
            assert_int_equal(fa_get_int(fa_value_at(metadata, i), "version"), i == 2 ? 2 : 1);
        }
        /* Live: a later change is seen, both ways. */
        fa_no_grad
            fa_fill_(fa_find(model, "fc.bias"), 7);
        assert_true(((const float *)fa_data(fa_get_tensor(weights, "fc.bias")))[2] == 7);
        fa_no_grad
            fa_fill_(fa_get_tensor(weights, "fc.bias"), 8);
        assert_true(((const float *)fa_data(fa_find(model, "fc.bias")))[0] == 8);
    }
    fa_free(model);
    assert_fine();
}

static void test_there_and_back(void **state)
{
    (void)state;
    static const char *const names[] = {"weights.pth", "weights.safetensors"};
    for (int i = 0; i < 2; i++) {
        const char *path = tempdir_file(&folder, names[i]);
        fa_manual_seed(1);
        fa_module *model = network();
        const snapshot before = bytes_of(model);
        assert_true(fa_save(fa_state_dict(model), path));
        fa_module *other = network();
        const snapshot fresh = bytes_of(other);
        assert_true(memcmp(before.bytes, fresh.bytes, before.size) != 0);
        fa_scope
            assert_true(fa_load_state_dict(other, fa_load(path)));
        assert_string_equal(fa_load_report(), "");
        const snapshot after = bytes_of(other);
        assert_same(&before, &after);
        fa_free(model);
        fa_free(other);
        assert_fine();
    }
}

/* What was computed from the old weights keeps them, although it runs later. */
static void test_recorded_before_the_load(void **state)
{
    (void)state;
    fa_module *model = fa_nn_linear(1, 1, .bias = false);
    fa_no_grad
        fa_scope {
            fa_fill_(fa_find(model, "weight"), 3);
            fa_tensor *twice = fa_mul(fa_find(model, "weight"), 2);
            assert_true(fa_load_state_dict(model, fa_dict("weight", fa_full(FA_SHAPE(1, 1), 5.0))));
            assert_true(fa_item(twice) == 6);
            assert_true(fa_item(fa_find(model, "weight")) == 5);
        }
    fa_free(model);
    assert_fine();
}

/* A state whose tensors are the ones that are written. */
static void test_exchange(void **state)
{
    (void)state;
    fa_module *model = fa_nn_sequential(fa_nn_linear(1, 1, .bias = false), fa_nn_linear(1, 1, .bias = false));
    fa_tensor *a = fa_find(model, "0.weight"), *b = fa_find(model, "1.weight");
    fa_no_grad
        fa_fill_(a, 1), fa_fill_(b, 2);
    fa_scope
        assert_true(fa_load_state_dict(model, fa_dict("0.weight", b, "1.weight", a)));
    assert_true(fa_item(a) == 2 && fa_item(b) == 1);
    fa_scope
        assert_true(fa_load_state_dict(model, fa_state_dict(model)));
    assert_true(fa_item(a) == 2 && fa_item(b) == 1);
    fa_free(model);
    assert_fine();
}

/* ---- Files of PyTorch's -------------------------------------------------------------------------------------------
 */

static void test_files_in_every_wrapping(void **state)
{
    (void)state;
    static const struct {
        const char *name, *report;
    } files[] = {{"state_dict", ""},
                 {"legacy_state_dict", NULL},
                 {"checkpoint", "used entry 'model_state_dict'"},
                 {"prefix_module", "removed 'module.' from 9 keys"},
                 {"prefix_orig_mod", "removed '_orig_mod.' from 9 keys"},
                 {"prefix_both", "used entry 'state_dict'\nremoved '_orig_mod.' from 9 keys\nremoved 'module.' from 9 "
                                 "keys"}};
    fa_module *model = network();
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        fa_scope {
            fa_load_state_dict(model, fa_load(golden_pth(files[i].name)));
            assert_fine();
            if (files[i].report != NULL)
                assert_string_equal(fa_load_report(), files[i].report);
            assert_true(((const int64_t *)fa_data(fa_find(model, "bn.num_batches_tracked")))[0] > 0);
        }
    fa_scope
        assert_true(fa_load_state_dict(model, fa_load(golden_pth("state_dict"))));
    assert_golden_weights(model);
    fa_free(model);
}

static void test_wrappers_of_our_own(void **state)
{
    (void)state;
    static const char *const names[] = {"model_state_dict", "state_dict", "model"};
    fa_module *model = network();
    const snapshot before = bytes_of(model);
    for (int i = 0; i < 3; i++)
        fa_scope {
            fa_value *inner = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, FA_HERE);
            fa_dict_put(inner, names[i], fa_state_dict(model));
            fa_value *outer = fa_dict("epoch", 3, "state_dict", inner, "optimizer", fa_dict("lr", 0.1));
            fa_module *other = network();
            assert_true(fa_load_state_dict(other, outer));
            assert_contains(fa_load_report(), names[i]);
            const snapshot after = bytes_of(other);
            assert_same(&before, &after);
            fa_free(other);
        }
    fa_free(model);
    assert_fine();
}

/* A child that is really called "module" or "model" is no wrapping. */
static void test_names_that_look_like_wrapping(void **state)
{
    (void)state;
    fa_module *model = fa_nn_sequential_named({"module", fa_nn_linear(1, 1)}, {"model", fa_nn_linear(1, 1)});
    fa_scope {
        fa_value *weights = fa_state_dict(model);
        assert_true(fa_load_state_dict(model, weights));
        assert_string_equal(fa_load_report(), "");
    }
    fa_free(model);
    assert_fine();
}

typedef struct tiny {
    fa_module base;
    fa_module *conv, *fc;
    fa_tensor *scale, *offset;
} tiny;

static fa_tensor *tiny_forward(fa_module *self, fa_tensor *x)
{
    (void)self;
    return x;
}

static fa_module *tiny_new(void)
{
    tiny *net = fa_module_new(tiny, tiny_forward, .name = "TinyNet");
    fa_layer(net, conv, fa_nn_conv2d(1, 2, 3, .padding = 1));
    fa_layer(net, fc, fa_nn_linear(8, 3));
    fa_own_parameter(net, scale, FA_SHAPE(1), .fill = 1);
    fa_own_buffer(net, offset, FA_SHAPE(1));
    return &net->base;
}

/* The weights of a class that only the script knew; its buffer that is not persistent is passed over. */
static void test_weights_of_a_pickled_class(void **state)
{
    (void)state;
    fa_module *model = tiny_new(), *other = network();
    fa_scope {
        assert_true(fa_load_state_dict(model, fa_load(golden_pth("user_class"))));
        assert_contains(fa_load_report(), "pickled model of class TinyNet");
        assert_true(fa_item(fa_find(model, "scale")) == 2 && fa_item(fa_find(model, "offset")) == 0.5);
        assert_true(fa_load_state_dict(other, fa_load(golden_pth("whole_model"))));
    }
    fa_free(model);
    fa_free(other);
    assert_fine();
}

static fa_module *with_parameter(fa_shape shape)
{
    fa_module *model = fa_nn_sequential();
    fa_scope
        fa_register_parameter(model, "x", fa_zeros_with(shape));
    return model;
}

/* Views of one storage come row-major; the tag of a device means nothing. */
static void test_views_and_devices(void **state)
{
    (void)state;
    fa_module *model = with_parameter(FA_SHAPE(6, 4)), *moved = with_parameter(FA_SHAPE(2, 3));
    fa_scope {
        fa_value *file = fa_load(golden_pth("shared"));
        assert_true(fa_load_state_dict(model, fa_dict("x", fa_get(file, "transposed"))));
        const float *x = fa_data(fa_find(model, "x"));
        for (int i = 0; i < 6; i++)
            for (int j = 0; j < 4; j++)
                assert_true(x[4 * i + j] == (float)(6 * j + i));
        assert_true(fa_load_state_dict(moved, fa_load(golden_pth("cuda_location"))));
    }
    fa_free(model);
    fa_free(moved);
    assert_fine();
}

/* ---- Types --------------------------------------------------------------------------------------------------------
 */

static void assert_converts(const void *data, fa_dtype dtype, const float want[6])
{
    fa_module *model = with_parameter(FA_SHAPE(6));
    fa_scope
        assert_true(fa_load_state_dict(model, fa_dict("x", fa_from_memory(data, dtype, FA_SHAPE(6)))));
    assert_same_bytes(fa_data(fa_find(model, "x")), want, 6 * sizeof *want);
    fa_free(model);
    assert_fine();
}

static void test_types_become_the_parameters(void **state)
{
    (void)state;
    static const uint16_t half[] = {0x3c00, 0x8000, 0x7bff, 0x0001, 0x7c00, 0xfc00};
    static const uint16_t brain[] = {0x3f80, 0x8000, 0x4780, 0x322c, 0x7f80, 0xff80};
    static const float halves[] = {1, -0.0F, 65504, 0x1p-24F, INFINITY, -INFINITY};
    static const float brains[] = {1, -0.0F, 65536, 0x1.58p-27F, INFINITY, -INFINITY};
    static const double real[] = {1, -0.0, 1e-8, 65504, 0.1, -INFINITY};
    static const float reals[] = {1, -0.0F, 1e-8F, 65504, 0.1F, -INFINITY};
    static const int64_t whole[] = {0, -1, 7, 16777217, INT64_MAX, INT64_MIN};
    static const float wholes[] = {0, -1, 7, 16777216, 0x1p63F, -0x1p63F};
    static const uint8_t byte[] = {0, 1, 2, 128, 254, 255};
    static const float bytes[] = {0, 1, 2, 128, 254, 255};
    assert_converts(half, FA_FLOAT16, halves);
    assert_converts(brain, FA_BFLOAT16, brains);
    assert_contains(fa_load_report(), "converted 1 tensors");
    assert_converts(real, FA_FLOAT64, reals);
    assert_contains(fa_load_report(), "rounded 1 tensors of float64 to float32");
    assert_converts(whole, FA_INT64, wholes);
    assert_converts(byte, FA_UINT8, bytes);
    /* Those that are not computed in, too: -2 ... 2 of every type. */
    static const char *const names[] = {"float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8"};
    fa_module *model = with_parameter(FA_SHAPE(5));
    fa_scope {
        fa_value *file = fa_load(golden_pth("dtypes"));
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            fa_no_grad
                fa_fill_(fa_find(model, "x"), 9);
            assert_true(fa_load_state_dict(model, fa_dict("x", fa_get(file, names[i]))));
            for (int k = 0; k < 5; k++)
                assert_true(((const float *)fa_data(fa_find(model, "x")))[k] == (float)(k - 2));
        }
    }
    fa_free(model);
    assert_fine();
}

/* Written before PyTorch 0.4.1: the model keeps its own count. Old releases wrote single numbers as vectors. */
static void test_counts_of_batches(void **state)
{
    (void)state;
    fa_module *model = fa_nn_batch_norm2d(1);
    fa_tensor *count = fa_find(model, "num_batches_tracked");
    fa_scope {
        fa_value *old =
            fa_dict("weight", fa_ones(1), "bias", fa_ones(1), "running_mean", fa_ones(1), "running_var", fa_ones(1));
        assert_true(fa_load_state_dict(model, old));
        assert_true(fa_item(count) == 0 && fa_item(fa_find(model, "running_mean")) == 1);
        static const int64_t five[] = {5};
        fa_dict_put(old, "num_batches_tracked", fa_from_memory(five, FA_INT64, FA_SHAPE(1)));
        assert_true(fa_load_state_dict(model, old));
        assert_true(fa_item(count) == 5);
    }
    fa_free(model);
    assert_fine();
}

/* ---- What does not fit --------------------------------------------------------------------------------------------
 */

static fa_value *wrong_state(void)
{
    return fa_dict("conv.weight", fa_ones(4, 1, 3, 3), "bn.weight", fa_ones(4), "bn.bias", fa_ones(4),
                   "bn.running_mean", fa_ones(4), "bn.running_var", fa_ones(4), "fc.weight", fa_ones(10, 16), "fc.bias",
                   fa_ones(10), "head.weight", fa_ones(1), "note", "text");
}

static void test_one_table_and_nothing_changed(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "Sequential",
        "1 missing, 2 unexpected, 2 mismatched",
        "missing     conv.bias [4]",
        "unexpected  head.weight",
        "unexpected  note",
        "mismatched  fc.weight: [10, 16] in the file, [3, 16] here",
        "mismatched  fc.bias: [10] in the file, [3] here",
        ".strict = false",
        ".skip_mismatched = true",
    };
    fa_module *model = network();
    const snapshot before = bytes_of(model);
    fa_scope
        assert_false(fa_load_state_dict(model, wrong_state()));
    const char *text = error_text();
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        assert_contains(text, parts[i]);
    assert_contains(fa_load_report(), "1 missing, 2 unexpected, 2 mismatched\n");
    snapshot after = bytes_of(model);
    assert_same(&before, &after);
    /* Sizes matter without .strict too, keys with .skip_mismatched too. */
    fa_scope
        assert_false(fa_load_state_dict(model, wrong_state(), .strict = false));
    text = error_text();
    assert_contains(text, "fc.weight: [10, 16]");
    fa_scope
        assert_false(fa_load_state_dict(model, wrong_state(), .skip_mismatched = true));
    assert_contains(error_text(), "missing     conv.bias");
    after = bytes_of(model);
    assert_same(&before, &after);
    /* Both: what fits is taken, the rest is told. */
    fa_scope
        assert_true(fa_load_state_dict(model, wrong_state(), .strict = false, .skip_mismatched = true));
    assert_contains(fa_load_report(), "left out: 1 missing, 2 unexpected, 2 mismatched");
    assert_contains(fa_load_report(), "fc.weight: [10, 16] in the file, [3, 16] here");
    assert_true(((const float *)fa_data(fa_find(model, "conv.weight")))[35] == 1);
    assert_same_bytes(fa_data(fa_find(model, "fc.bias")), before.bytes + before.size - 12, 12);
    fa_free(model);
    assert_fine();
}

static void test_many_keys_are_counted(void **state)
{
    (void)state;
    fa_module *model = fa_nn_linear(1, 1);
    fa_scope {
        fa_value *many = fa_state_dict(model);
        for (int i = 0; i < 500; i++) {
            char key[32];
            snprintf(key, sizeof key, "layer%d.weight", i);
            fa_dict_put(many, key, fa_ones(1));
        }
        assert_false(fa_load_state_dict(model, many));
        const char *text = error_text();
        assert_contains(text, "0 missing, 500 unexpected, 0 mismatched");
        assert_contains(text, "... and 486 more");
        assert_contains(fa_load_report(), "unexpected  layer0.weight\n");
        assert_contains(fa_load_report(), "unexpected  layer499.weight");
        assert_null(strstr(fa_load_report(), "more"));
    }
    /* A state dict under a name of its own. */
    fa_scope {
        assert_false(fa_load_state_dict(model, fa_dict("epoch", 1, "net", fa_state_dict(model))));
        assert_contains(error_text(), "Hint: the entry \"net\" holds tensors: fa_get(value, \"net\")");
    }
    fa_free(model);
}

static void test_refusals(void **state)
{
    (void)state;
    fa_module *model = network();
    const snapshot before = bytes_of(model);
    fa_scope {
        assert_false(fa_load_state_dict(model, fa_dict("other.weight", fa_ones(1)), .strict = false));
        assert_contains(error_text(), "none fits");
        assert_false(fa_load_state_dict(model, fa_dict("state", fa_dict(0, 1), "param_groups", fa_list(1))));
        assert_contains(error_text(), "state dict of an optimizer");
        assert_false(fa_load_state_dict(model, fa_list(1, 2)));
        assert_contains(error_text(), "list");
        assert_false(fa_load_state_dict(model, fa_dict(7, fa_ones(1))));
        assert_contains(error_text(), "names");
        /* Two keys for one tensor. */
        fa_value *twice = fa_state_dict(model);
        fa_dict_put(twice, "module.fc.bias", fa_ones(3));
        assert_false(fa_load_state_dict(model, twice));
        assert_contains(error_text(), "unexpected  module.fc.bias");
        /* Keys that would end early, or move a terminal's cursor. */
        fa_value *cut = fa_state_dict(model);
        fa_dict_put(cut, fa_value_text_at("fc.bias\0x", 9, FA_HERE), fa_ones(3));
        fa_dict_put(cut, "\033[2Jkey\n", fa_ones(3));
        fa_module *single = with_parameter(FA_SHAPE(3));
        fa_value *zero = fa_container_at(FA_VALUE_DICT, FA_FLAVOUR_PLAIN, FA_HERE);
        fa_dict_put(zero, fa_value_text_at("x\0x", 3, FA_HERE), fa_ones(3));
        assert_false(fa_load_state_dict(single, zero));
        assert_contains(error_text(), "1 missing, 1 unexpected");
        fa_free(single);
        assert_false(fa_load_state_dict(model, cut));
        const char *text = error_text();
        assert_contains(text, "0 missing, 2 unexpected, 0 mismatched");
        assert_contains(text, "unexpected  ?[2Jkey?");
        assert_false(fa_load_state_dict(model, NULL));
        assert_contains(error_text(), "NULL");
        /* The first error stays: of a file that is not there, not of the NULL that it gave. */
        assert_false(fa_load_state_dict(model, fa_load(tempdir_file(&folder, "absent.pth"))));
        assert_contains(error_text(), "absent.pth");
        fa_value *ended = fa_dict("a", 1);
        fa_free(ended);
        assert_false(fa_load_state_dict(model, ended));
        error_text();
        assert_false(fa_load_state_dict((fa_module *)NULL, fa_dict("a", 1)));
        error_text();
        assert_null(fa_state_dict((fa_module *)NULL));
        error_text();
    }
    const snapshot after = bytes_of(model);
    assert_same(&before, &after);
    fa_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_keys_metadata_and_live_tensors, nothing_left),
        cmocka_unit_test_teardown(test_there_and_back, nothing_left),
        cmocka_unit_test_teardown(test_recorded_before_the_load, nothing_left),
        cmocka_unit_test_teardown(test_exchange, nothing_left),
        cmocka_unit_test_teardown(test_files_in_every_wrapping, nothing_left),
        cmocka_unit_test_teardown(test_wrappers_of_our_own, nothing_left),
        cmocka_unit_test_teardown(test_names_that_look_like_wrapping, nothing_left),
        cmocka_unit_test_teardown(test_weights_of_a_pickled_class, nothing_left),
        cmocka_unit_test_teardown(test_views_and_devices, nothing_left),
        cmocka_unit_test_teardown(test_types_become_the_parameters, nothing_left),
        cmocka_unit_test_teardown(test_counts_of_batches, nothing_left),
        cmocka_unit_test_teardown(test_one_table_and_nothing_changed, nothing_left),
        cmocka_unit_test_teardown(test_many_keys_are_counted, nothing_left),
        cmocka_unit_test_teardown(test_refusals, nothing_left),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
