/* Lists of path,label: headers, quotes, ends of lines, numbers and names as labels, and mistakes told with their line.
 */
#include "support/facula_test.h"

#include "data/object.h"
#include "facula.h"
#include "support/tempdir.h"

#include <string.h>
#include <sys/stat.h>

static tempdir dir;

static const char *list(const char *text)
{
    write_file(tempdir_file(&dir, "list.csv"), text, strlen(text));
    return tempdir_file(&dir, "list.csv");
}

static void picture(const char *name, uint8_t value)
{
    uint8_t bytes[] = {'P', '5', ' ', '1', ' ', '1', ' ', '2', '5', '5', '\n', value};
    write_file(tempdir_file(&dir, name), bytes, sizeof bytes);
}

/* Each of the items: the grey value of its picture, and its label. */
static void check(fa_dataset *data, int n, const int values[], const int labels[], const char *classes)
{
    if (data == NULL)
        fail_msg("%s", fa_error());
    assert_int_equal(fa_length(data), n);
    char text[256] = "";
    fa_names names = fa_dataset_classes(data);
    for (int64_t c = 0; c < names.count; c++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s|", names.name[c]);
    assert_string_equal(text, classes);
    fa_scope {
        const int64_t *targets = fa_data(fa_dataset_targets(data));
        for (int i = 0; i < n; i++) {
            fa_batch item = fa_dataset_get(data, i);
            assert_true(fa_ok());
            assert_int_equal(*(const uint8_t *)fa_data(item.images), values[i]);
            assert_int_equal(*(const int64_t *)fa_data(item.labels), labels[i]);
            assert_int_equal(targets[i], labels[i]);
        }
    }
    fa_free(data);
    assert_int_equal(fa_object_count(), 0);
}
#define CHECK(data, n, values, labels, classes) check((data), (n), (const int[])values, (const int[])labels, (classes))
#define OF(...)                                                                                                        \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

static void test_forms(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "a.png,cat\nb.png,dog\nsub/c.png,cat\n",
        "a.png,cat\nb.png,dog\nsub/c.png,cat", /* no last line feed */
        "path,label\na.png,cat\nb.png,dog\nsub/c.png,cat\n",
        "\xef\xbb\xbf"
        "File,Class\r\na.png,cat\r\nb.png,dog\r\nsub/c.png,cat\r\n",
        "what,is it\na.png,cat\nb.png,dog\n\n\nsub/c.png,cat\n\n", /* a header that names no file */
        "a.png;cat\nb.png;dog\nsub/c.png;cat\n",
        "a.png\tcat\r"
        "b.png\tdog\r"
        "sub/c.png\tcat\r",
        "\"a.png\",\"cat\"\n \"b.png\" , dog \n\"sub/c.png\",cat\n",
        "id,label,image\n1,cat,a.png\n2,dog,b.png,more\n3,cat,sub/c.png\n",
        "image_id,y,class,path\n7,1,cat,a.png\n8,2,dog,b.png\n9,3,cat,sub/c.png\n", /* several usual names */
        "label,rest\ncat,a.png\ndog,b.png\ncat,sub/c.png\n",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        CHECK(fa_csv_images(list(forms[i])), 3, OF(10, 20, 30), OF(0, 1, 0), "cat|dog|");
    CHECK(
        fa_csv_images(list("k,name of file,kind\n1,a.png,7\n"), .path_column = "name of file", .label_column = "kind"),
        1, OF(10), OF(7), "0|1|2|3|4|5|6|7|");
    CHECK(fa_csv_images(list("a.png,0\n"), .header = 0), 1, OF(10), OF(0), "0|");
    CHECK(fa_csv_images(list("a.png,0\nb.png,1\n"), .header = 1), 1, OF(20), OF(1), "0|1|");
    char text[1200];
    snprintf(text, sizeof text, "\"q\"\"u,o\nte.png\",\"x, \"\"y\"\"\"\n%s,z\n", tempdir_file(&dir, "a.png"));
    picture("q\"u,o\nte.png", 40);
    CHECK(fa_csv_images(list(text)), 2, OF(40, 10), OF(0, 1), "x, \"y\"|z|");
    CHECK(fa_csv_images(list("c.png,1\n"), .root = tempdir_file(&dir, "sub")), 1, OF(30), OF(1), "0|1|");
}

static void test_labels(void **state)
{
    (void)state;
    CHECK(fa_csv_images(list("a.png,2\nb.png,0\n")), 2, OF(10, 20), OF(2, 0), "0|1|2|");
    CHECK(fa_csv_images(list("a.png,10\nb.png,cat\nb.png,9\n")), 3, OF(10, 20, 20), OF(0, 2, 1), "10|9|cat|");
    CHECK(fa_csv_images(list("a.png,dog\nb.png,1\n"), .classes = FA_NAMES("fox", "hen", "dog")), 2, OF(10, 20),
          OF(2, 1), "fox|hen|dog|");
    fa_dataset *data = fa_csv_images(list("a.png,2\nb.png,0\n"), .transform = fa_to_tensor());
    char text[1024];
    assert_true(fa_dataset_notes(data, text, sizeof text) > 0);
    assert_contains(text, "1 of the 3 classes of ");
    assert_contains(text, "has no picture, the first is 1");
    fa_item_name(data, 1, text, sizeof text);
    assert_contains(text, "/b.png (");
    assert_contains(text, "list.csv, line 2)");
    fa_free(data);
}

static void refused(fa_dataset *data, const char *part, const char *second)
{
    assert_null(data);
    assert_int_equal(fa_error_code(), FA_FILE_ERROR);
    assert_contains(fa_error(), part);
    assert_contains(fa_error(), second);
    fa_clear_error();
    assert_int_equal(fa_object_count(), 0);
}

static void test_mistakes(void **state)
{
    (void)state;
    refused(fa_csv_images(tempdir_file(&dir, "none.csv")), "none.csv", "No such file");
    refused(fa_csv_images(dir.path), dir.path, "no regular file");
    refused(fa_csv_images(list("")), "list.csv has no line", "");
    refused(fa_csv_images(list("path,label\n")), "list.csv has no line", "");
    refused(fa_csv_images(list("a.png,1\nb.png\n")), "list.csv, line 2: got 1 field, needs 2 (path,label)", "");
    refused(fa_csv_images(list("a.png,1\n\n\n,2\n")), "line 4: the path is empty", "");
    refused(fa_csv_images(list("a.png,1\nb.png,\n")), "line 2: the label is empty", "");
    refused(fa_csv_images(list("a.png,1\n\"b.png,2\nc.png,3\n")), "line 2: a field begins with a quote", "closes");
    refused(fa_csv_images(list("a.png,1\n\"b.png\"x,2\n")), "line 2: a field goes on behind its closing quote", "");
    refused(fa_csv_images(list("a.png,1\nb.png,-1\n")), "line 2: got label -1, needs 0 to 999999", "");
    refused(fa_csv_images(list("a.png,2038136191\n")), "line 1: got label 2038136191", "");
    refused(fa_csv_images(list("a.png,99999999999999999999\n")), "line 1: got label 99999999999999999999", "");
    refused(fa_csv_images(list("a.png,cat\nb.png,dgo\n"), .classes = FA_NAMES("cat", "dog")), "line 2: got label dgo",
            "");
    refused(fa_csv_images(list("a.png,cat\nb.png,2\n"), .classes = FA_NAMES("cat", "dog")), "line 2: got label 2", "");
    refused(fa_csv_images(list("a,b\na.png,1\n"), .path_column = "file"), "without a column \"file\"",
            "its first is \"a\"");
    write_file(tempdir_file(&dir, "list.csv"), "a.png,1\nb\0.png,2\n", 17);
    refused(fa_csv_images(tempdir_file(&dir, "list.csv")), "line 2: a zero byte", "");
    assert_null(fa_csv_images(NULL));
    fa_clear_error();
    assert_null(fa_csv_images(list("a.png,1\n"), .header = 0, .path_column = "x"));
    fa_clear_error();
    /* an item's error has its file and its line */
    fa_dataset *data = fa_csv_images(list("a.png,1\nmissing.png,2\n"));
    fa_scope {
        assert_null(fa_dataset_get(data, 1).images);
        assert_contains(fa_error(), "missing.png: No such file");
        assert_contains(fa_error(), "list.csv, line 2)");
        fa_clear_error();
    }
    fa_free(data);
}

static int prepare(void **state)
{
    (void)state;
    dir = tempdir_new();
    mkdir(tempdir_file(&dir, "sub"), 0777);
    picture("a.png", 10);
    picture("b.png", 20);
    picture("sub/c.png", 30);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tempdir_free(&dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms), cmocka_unit_test(test_labels),
                                       cmocka_unit_test(test_mistakes)};
    return cmocka_run_group_tests(tests, prepare, end);
}
