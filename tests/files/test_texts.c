/* Texts of the current scope: fa_str, fa_format; printing of shapes; what main returns. */
#include "support/facula_test.h"

#include "base/memory.h"
#include "facula.h"
#include "support/tempdir.h"

#include <string.h>

static int clean(void **state)
{
    (void)state;
    fa_clear_error();
    return 0;
}

static void shapes(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = fa_zeros(32, 3, 64, 64);
        assert_string_equal(fa_str(fa_shape_of(x)), "torch.Size([32, 3, 64, 64])");
        assert_string_equal(fa_str(FA_SCALAR), "torch.Size([])");
        assert_string_equal(fa_str(FA_SHAPE(7)), "torch.Size([7])");
        const fa_shape wide =
            FA_SHAPE(INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX);
        assert_int_equal(strlen(fa_str(wide)), strlen("torch.Size([])") + 8 * 19 + 7 * 2);
        char text[8];
        assert_int_equal(fa_shape_format(FA_SHAPE(5, 6), text, sizeof text), strlen("torch.Size([5, 6])"));
        assert_string_equal(text, "torch.S");
    }
}

/* Two in one call, and both stay as they are until the scope ends. */
static void texts_last_as_long_as_the_scope(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = fa_tensor_of(FA_SHAPE(2), 2, 3);
        const char *first = fa_str(x);
        for (int i = 0; i < 100; i++)
            fa_format("another text of number %d", i);
        assert_string_equal(first, "tensor([2., 3.])");
        char line[100];
        snprintf(line, sizeof line, "%s %s", fa_str(x), fa_str(fa_sum(x)));
        assert_string_equal(line, "tensor([2., 3.]) tensor(5.)");
        assert_string_equal(fa_format("epoch_%03d.pth", 7), "epoch_007.pth");
        fa_module *layer = fa_nn_linear(2, 3);
        assert_string_equal(fa_str(layer), "Linear(in_features=2, out_features=3, bias=True)");
        fa_free(layer);
    }
}

/* Any bytes but 0 make a file's name, and come back; those of no UTF-8 stand as Python's os.fsdecode has them. */
static void paths(void **state)
{
    (void)state;
    fa_scope {
        static const char *const same[] = {"", "a/b c.jpg", "\xe7\x8c\xab/\xc3\xa9", "\xed\x9f\xbf\xee\x80\x80"};
        for (size_t i = 0; i < sizeof same / sizeof *same; i++)
            assert_string_equal(fa_as_string(fa_value_path(same[i])), same[i]);
        assert_string_equal(fa_as_string(fa_value_path("x\xff\xc3")), "x\xed\xb3\xbf\xed\xb3\x83");
        assert_string_equal(fa_as_string(fa_value_path("\xe7\x8c")), "\xed\xb3\xa7\xed\xb2\x8c");
        /* what looks like such a byte already is three bytes of no UTF-8 */
        assert_int_equal(fa_len(fa_value_path("\xed\xb3\xbf")), 9);
        uint64_t state_of = 1;
        for (int round = 0; round < 2000; round++) {
            char name[40] = "";
            for (int64_t i = test_random_int(&state_of, 0, 38); i > 0; i--)
                name[i - 1] = (char)(round % 2 ? test_random_int(&state_of, 1, 255)
                                               : 0xe0 + test_random_int(&state_of, 0, 15) * 3);
            assert_string_equal(fa_as_path(fa_value_path(name)), name);
            assert_string_equal(fa_format("%s", name), name);
        }
        assert_null(fa_value_path(NULL));
        assert_false(fa_ok());
        fa_clear_error();
    }
}

static void after_an_error_a_text_is_empty(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *none = fa_zeros(-1);
        assert_null(none);
        assert_string_equal(fa_str(none), "");
    }
}

static void printed_shape(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    FILE *file = fopen(tempdir_file(&folder, "out"), "w");
    assert_non_null(file);
    fa_shape_print(FA_SHAPE(1, 64, 224, 224), file);
    fclose(file);
    char *text = read_file(tempdir_file(&folder, "out"), NULL);
    assert_string_equal(text, "torch.Size([1, 64, 224, 224])\n");
    free(text);
    tempdir_free(&folder);
}

static void what_main_returns(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    const char *path = tempdir_file(&folder, "report");
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fa_exit_status(file), 0);
    fa_module *forgotten = fa_nn_relu();
    assert_int_equal(fa_exit_status(file), 1);
    fflush(file);
    char *text = read_file(path, NULL);
    assert_contains(text, "1 modules were not freed");
    free(text);
    fa_free(forgotten);
    fa_raise(FA_VALUE_ERROR, "something of the program's own");
    assert_int_equal(fa_exit_status(NULL), 1);
    assert_int_equal(fa_exit_status(file), 1);
    fclose(file);
    text = read_file(path, NULL);
    assert_contains(text, "something of the program's own\n");
    free(text);
    tempdir_free(&folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(shapes, clean),
        cmocka_unit_test_teardown(texts_last_as_long_as_the_scope, clean),
        cmocka_unit_test_teardown(after_an_error_a_text_is_empty, clean),
        cmocka_unit_test_teardown(paths, clean),
        cmocka_unit_test_teardown(printed_shape, clean),
        cmocka_unit_test_teardown(what_main_returns, clean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
