/* The sticky error: the form of messages, what sticks, threads, records that change threads. */
#include "support/facula_test.h"

#include "base/error.h"

#include <pthread.h>
#include <string.h>

static const fa_where line12 = {"main.c", 12};

static int setup(void **unused)
{
    (void)unused;
    fa_clear_error();
    return 0;
}

static const char *layer_path(void)
{
    return "features.0";
}

static const char *no_layer_path(void)
{
    return NULL;
}

static void test_no_error(void **unused)
{
    (void)unused;
    assert_true(fa_ok());
    assert_string_equal(fa_error(), "");
    assert_int_equal(fa_error_code(), FA_NO_ERROR);
    assert_string_equal(fa_error_where().file, "");
    assert_int_equal(fa_error_where().line, 0);
}

static void test_form(void **unused)
{
    (void)unused;
    assert_false(fa_fail(FA_SHAPE_ERROR, line12, "conv2d", "got %d channels, needs %d", 1, 3));
    assert_string_equal(fa_error(), "main.c:12: conv2d: got 1 channels, needs 3");
    assert_int_equal(fa_error_code(), FA_SHAPE_ERROR);
    assert_string_equal(fa_error_where().file, "main.c");
    assert_int_equal(fa_error_where().line, 12);
    assert_false(fa_ok());

    fa_clear_error();
    fa_error_set_layer_hook(layer_path);
    fa_fail(FA_SHAPE_ERROR, line12, "conv2d", "got 1");
    assert_string_equal(fa_error(), "main.c:12: conv2d (features.0): got 1");
    fa_clear_error();
    fa_raise_at(FA_DATA_ERROR, line12, "item %d is damaged", 7);
    assert_string_equal(fa_error(), "main.c:12: (features.0): item 7 is damaged");
    fa_clear_error();
    fa_error_set_layer_hook(no_layer_path);
    fa_fail(FA_SHAPE_ERROR, line12, "conv2d", "got 1");
    assert_string_equal(fa_error(), "main.c:12: conv2d: got 1");
    fa_error_set_layer_hook(NULL);

    fa_clear_error();
    fa_raise_at(FA_DATA_ERROR, line12, "item %d is damaged", 7);
    assert_string_equal(fa_error(), "main.c:12: item 7 is damaged");
    fa_clear_error();
    int line = __LINE__ + 1;
    fa_raise(FA_VALUE_ERROR, "a word");
    assert_int_equal(fa_error_where().line, line);
    assert_string_equal(fa_error_where().file, __FILE__);
    fa_clear_error();
    fa_fail(FA_VALUE_ERROR, (fa_where){NULL, 0}, "seed", "no line is known");
    assert_string_equal(fa_error(), "seed: no line is known");
    fa_clear_error();
    assert_false(fa_fail_memory(line12, 4096));
    assert_contains(fa_error(), "no memory for 4096 bytes. Hint:");
    assert_int_equal(fa_error_code(), FA_MEMORY_ERROR);
    assert_int_equal(fa_error_where().line, 12);
}

static void test_first_error_sticks(void **unused)
{
    (void)unused;
    fa_fail(FA_SHAPE_ERROR, line12, "conv2d", "first");
    fa_fail(FA_DTYPE_ERROR, (fa_where){"other.c", 5}, "linear", "second");
    fa_raise(FA_VALUE_ERROR, "third");
    fa_fail_memory(line12, 1);
    fa_error_put(&(fa_error_record){FA_FILE_ERROR, {"x.c", 1}, "fourth"});
    assert_string_equal(fa_error(), "main.c:12: conv2d: first");
    assert_int_equal(fa_error_code(), FA_SHAPE_ERROR);
    fa_clear_error();
    test_no_error(NULL);
    fa_fail(FA_DTYPE_ERROR, (fa_where){"other.c", 5}, "linear", "second");
    assert_string_equal(fa_error(), "other.c:5: linear: second");
}

static void test_no_error_is_no_kind(void **unused)
{
    (void)unused;
    fa_raise(FA_NO_ERROR, "of no kind");
    assert_false(fa_ok());
    assert_int_equal(fa_error_code(), FA_VALUE_ERROR);
}

static void test_long_messages_are_cut(void **unused)
{
    (void)unused;
    char word[6000];
    memset(word, 'x', sizeof word - 1);
    word[sizeof word - 1] = 0;
    fa_fail(FA_VALUE_ERROR, line12, "conv2d", "%s", word);
    fa_error_record record;
    assert_int_equal(strlen(fa_error()), sizeof record.message - 1);
    assert_string_equal(fa_error() + sizeof record.message - 4, "...");
    fa_clear_error();
    fa_fail(FA_VALUE_ERROR, (fa_where){word, 3}, word, "%s", word); /* each part alone is too long */
    assert_int_equal(strlen(fa_error()), sizeof record.message - 1);
}

static void *raise_on_a_thread(void *record)
{
    if (!fa_ok())
        return NULL;
    fa_fail(FA_INDEX_ERROR, line12, "load", "item %d", 3);
    fa_error_take(record);
    return fa_ok() ? record : NULL;
}

static void test_threads_have_their_own(void **unused)
{
    (void)unused;
    fa_fail(FA_SHAPE_ERROR, line12, "conv2d", "mine");
    pthread_t thread;
    fa_error_record record;
    void *result;
    assert_int_equal(pthread_create(&thread, NULL, raise_on_a_thread, &record), 0);
    pthread_join(thread, &result);
    assert_non_null(result);
    assert_string_equal(fa_error(), "main.c:12: conv2d: mine");
    fa_clear_error();
    fa_error_put(&record);
    assert_string_equal(fa_error(), "main.c:12: load: item 3");
    assert_int_equal(fa_error_code(), FA_INDEX_ERROR);
    fa_error_take(&record);
    assert_true(fa_ok());
    fa_error_take(&record);
    assert_int_equal(record.kind, FA_NO_ERROR);
    fa_error_put(&record);
    test_no_error(NULL);
}

/* What base.h says of a build without a GPU, and the version. */
static void test_build_facts(void **unused)
{
    (void)unused;
    assert_string_equal(fa_version(), "0.1.0");
    assert_false(fa_cuda_is_available());
    assert_contains(fa_cuda_reason(), "CUDA");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_no_error, setup),
        cmocka_unit_test_setup(test_form, setup),
        cmocka_unit_test_setup(test_first_error_sticks, setup),
        cmocka_unit_test_setup(test_no_error_is_no_kind, setup),
        cmocka_unit_test_setup(test_long_messages_are_cut, setup),
        cmocka_unit_test_setup(test_threads_have_their_own, setup),
        cmocka_unit_test_setup(test_build_facts, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
