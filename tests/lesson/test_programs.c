/* The lesson's programs that do not train, and those for what it says in words, against what PyTorch prints. */
#include "support/facula_test.h"
#include "support/lesson_run.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void like_pytorch(void **state)
{
    const char *program = *state;
    tempdir folder = tempdir_new();
    lesson_run(&folder, program);
    lesson_compare(&folder, program, 0, 0);
    tempdir_free(&folder);
}

/* Reads what stands between two texts of a line that begins with `name`. */
static double number_of(const char *output, const char *name, const char *before)
{
    const char *line = strstr(output, name), *at = line != NULL ? strstr(line, before) : NULL;
    if (at == NULL)
        fail_msg("no \"%s\" in a line of \"%s\": %s", before, name, output);
    return strtod(at + strlen(before), NULL);
}

/* The losses are PyTorch's; time and memory are the machine's. */
static void batch_sizes(void **state)
{
    (void)state;
    static const char *const lines[] = {"batch size    1", "batch size   32", "batch size 2048"};
    tempdir folder = tempdir_new();
    lesson_run(&folder, "4_1_batch_sizes");
    lesson_compare(&folder, "4_1_batch_sizes", 0, 0);
    const cJSON *entry = lesson_entry("4_1_batch_sizes");
    const char *want = cJSON_GetObjectItem(entry, "stdout")->valuestring;
    char *output = lesson_output(&folder);
    for (int i = 0; i < 3; i++)
        assert_float_equal(number_of(output, lines[i], "loss afterwards "),
                           number_of(want, lines[i], "loss afterwards "), i == 0 ? 5e-3 : 2e-4);
    assert_true(number_of(output, lines[2], " s, ") > number_of(output, lines[1], " s, "));
    free(output);
    tempdir_free(&folder);
}

static void the_small_cnn_tells_as_many_digits(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    lesson_run(&folder, "1_mlp_against_cnn");
    char *output = lesson_output(&folder);
    const double mlp = number_of(output, "MLP", "parameters, "), cnn = number_of(output, "CNN", "parameters, ");
    assert_int_equal((int)number_of(output, "MLP", ": "), 101770);
    assert_int_equal((int)number_of(output, "CNN", ": "), 9098);
    assert_true(mlp >= 92 && cnn >= 92 && mlp <= 100 && cnn <= 100);
    assert_true(number_of(output, "CNN", "by 3 pixels ") > number_of(output, "MLP", "by 3 pixels "));
    free(output);
    tempdir_free(&folder);
}

/* MNIST is there, CIFAR-10 is made up: five files of two records each. */
static void data_sets(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    assert_int_equal(mkdir(tempdir_file(&folder, "data"), 0777), 0);
    assert_int_equal(mkdir(tempdir_file(&folder, "data/cifar10"), 0777), 0);
    assert_int_equal(symlink(source_path("data/mnist"), tempdir_file(&folder, "data/mnist")), 0);
    static uint8_t records[2 * 3073];
    for (int i = 1; i <= 5; i++) {
        char name[64];
        snprintf(name, sizeof name, "data/cifar10/data_batch_%d.bin", i);
        write_file(tempdir_file(&folder, name), records, sizeof records);
    }
    lesson_run(&folder, "5_4_datasets");
    lesson_compare(&folder, "5_4_datasets", 0, 0);
    tempdir_free(&folder);
}

static void every_item_of_the_checklist_is_checked(void **state)
{
    (void)state;
    tempdir folder = tempdir_new();
    lesson_run(&folder, "7_3_checklist");
    char *output = lesson_output(&folder);
    int checked = 0;
    for (const char *at = strstr(output, "[x]"); at != NULL; at = strstr(at + 1, "[x]"))
        checked++;
    assert_int_equal(checked, 14);
    assert_null(strstr(output, "[ ]"));
    free(output);
    tempdir_free(&folder);
}

/* The program ends with an error of one line that says this, and with nothing else. */
static void ends_with(const char *program, const char *arguments, const char *what)
{
    tempdir folder = tempdir_new();
    char command[2048];
    snprintf(command, sizeof command, "cd '%s'; '%s' %s 2>&1", folder.path, lesson_path(program), arguments);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    char output[1024] = "";
    size_t size = fread(output, 1, sizeof output - 1, pipe);
    output[size] = '\0';
    assert_int_not_equal(pclose(pipe), 0);
    assert_contains(output, what);
    assert_int_equal(strcspn(output, "\n") + 1, size);
    tempdir_free(&folder);
}

static void what_is_not_there_is_named(void **state)
{
    (void)state;
    static const char *const programs[] = {"1_2_shifted_picture", "1_mlp_against_cnn", "4_1_batch_sizes",
                                           "7_3_checklist"};
    ends_with("6_5_inference", "", "checkpoints/best_model.pth");
    for (int i = 0; i < 4; i++)
        ends_with(programs[i], "nowhere", " in nowhere,");
}

int main(void)
{
#define LIKE(name)                                                                                                     \
    {                                                                                                                  \
        name, like_pytorch, NULL, NULL, name                                                                           \
    }
    const struct CMUnitTest tests[] = {
        LIKE("1_1_parameters"),
        LIKE("1_2_shifted_picture"),
        LIKE("2_1_conv2d"),
        LIKE("2_2_output_size"),
        LIKE("3_1_max_pool"),
        LIKE("3_2_avg_pool"),
        LIKE("3_3_cnn_with_pooling"),
        LIKE("3_4_simple_cnn"),
        LIKE("3_pooling_savings"),
        LIKE("4_3_batch"),
        LIKE("5_1_custom_dataset"),
        LIKE("5_1_simple_image_dataset"),
        LIKE("5_2_data_loader"),
        LIKE("6_1_whole_model"),
        LIKE("6_2_weights"),
        LIKE("6_3_checkpoint"),
        cmocka_unit_test(batch_sizes),
        cmocka_unit_test(data_sets),
        cmocka_unit_test(the_small_cnn_tells_as_many_digits),
        cmocka_unit_test(every_item_of_the_checklist_is_checked),
        cmocka_unit_test(what_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, lesson_open, lesson_close);
}
