/* `facula predict` as a user types it, with a run that `facula train` left. */
#include "support/facula_test.h"

#include "support/command_run.h"
#include "support/small_mnist.h"
#include "support/tempdir.h"

#include <cjson/cJSON.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SIDE = 28 };
static tempdir folder;
static char output[65536];

static const char *at(const char *name)
{
    return tempdir_file(&folder, name);
}

/* Runs a program with the folder as $D; both streams go to `output`. */
static int run_program(const char *program, const char *line)
{
    char command[4096], before[1200], log[1200];
    snprintf(log, sizeof log, "%s/log", folder.path);
    snprintf(command, sizeof command, "'%s' %s", program, line);
    snprintf(before, sizeof before, "D='%s';", folder.path);
    int status = run_command(before, command, log);
    char *text = read_file(log, NULL);
    snprintf(output, sizeof output, "%s", text);
    free(text);
    return status;
}

static void expect(const char *line, int status, const char *part)
{
    int got = run_program(FA_FACULA, line);
    if (got != status || strstr(output, part) == NULL)
        fail_msg("%s: status %d, needs %d and \"%s\":\n%s", line, got, status, part, output);
}

/* A picture of class `class` of the small data set, grey or in three equal colours. */
static void write_picture(const char *name, int class, int side, int channels)
{
    static char bytes[32 + 3 * 64 * 64];
    int length = snprintf(bytes, sizeof bytes, "P%c %d %d 255\n", channels == 1 ? '5' : '6', side, side);
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++) {
            int top = class / 5 * 14, left = class % 5 * 5, sy = y * SIDE / side, sx = x * SIDE / side;
            bool inside = sy >= top + 4 && sy < top + 10 && sx >= left && sx < left + 6;
            for (int c = 0; c < channels; c++)
                bytes[length++] = inside ? '\x80' : '\x28';
        }
    write_file(at(name), bytes, (size_t)length);
}

static void test_rows(void **state)
{
    (void)state;
    expect("predict $D/run $D/three.pgm $D/colour.ppm", 0, "three.pgm");
    assert_contains(output, "run/best_model.pth, 10 classes");
    assert_contains(output, "pictures: grey; ToTensor()");
    /* The same picture in colours gets the same answer. */
    const char *grey = strstr(output, "three.pgm ") + 10, *colour = strstr(output, "colour.ppm") + 10;
    assert_int_equal(atoi(grey), 3);
    assert_int_equal(atoi(colour), 3);
    expect("predict $D/run/last.pth $D/three.pgm --top 1", 0, "run/last.pth");
    assert_null(strstr(output, "next"));
}

static void test_bad_pictures(void **state)
{
    (void)state;
    expect("predict $D/run $D/three.pgm $D/nowhere.png $D/data/train-labels-idx1-ubyte $D/colour.ppm", 1,
           "2 of 4 pictures got no answer");
    assert_contains(output, "could not open");
    assert_contains(output, "which is no picture");
    assert_contains(output, "colour.ppm");
    expect("predict $D/run $D/large.pgm", 1, "of 56 x 56 pixels");
    assert_contains(output, "the network needs 28 x 28. Hint: --fit 28");
    expect("predict $D/run $D/large.pgm --fit 28", 0, "CenterCrop");
    assert_int_equal(atoi(strstr(output, "large.pgm ") + 10), 3);
}

static void test_folder(void **state)
{
    (void)state;
    expect("predict $D/run $D/more", 0, "more/a/one.pgm");
    const char *one = strstr(output, "more/a/one.pgm"), *two = strstr(output, "more/b.PGM");
    assert_true(one != NULL && two != NULL && one < two);
    assert_int_equal(atoi(one + 14), 1);
    assert_null(strstr(output, "notes.txt"));
    expect("predict $D/run $D/empty $D/three.pgm", 1, "empty holds no pictures");
    assert_contains(output, "three.pgm ");
    char loop[1200];
    for (int i = 0; i < 2; i++) { /* two links are 2^40 paths */
        snprintf(loop, sizeof loop, "%s/more/again%d", folder.path, i);
        assert_int_equal(symlink(i == 0 ? "." : "../more", loop), 0);
    }
    expect("predict $D/run $D/more", 1, "a loop of links: ");
    assert_contains(output, "more/again1 is a folder in which it lies\n");
    for (int i = 0; i < 2; i++) {
        snprintf(loop, sizeof loop, "%s/more/again%d", folder.path, i);
        remove(loop);
    }
    expect("predict $D/run $D/colour.ppm", 0, "facula: note: 1 picture is in colour, made grey\n");
}

static void test_json(void **state)
{
    (void)state;
    expect("predict $D/run $D/three.pgm $D/nowhere.png --json --top 2", 1, "\"failed\": 1");
    char *end = strrchr(output, '}');
    assert_non_null(end);
    end[1] = '\0'; /* what stderr said comes after it */
    cJSON *json = cJSON_Parse(output);
    assert_non_null(json);
    assert_string_equal(cJSON_GetObjectItem(json, "transforms")->valuestring, "ToTensor()");
    assert_string_equal(cJSON_GetObjectItem(json, "mode")->valuestring, "L");
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "classes")), 10);
    const cJSON *pictures = cJSON_GetObjectItem(json, "pictures"), *three = cJSON_GetArrayItem(pictures, 0),
                *nowhere = cJSON_GetArrayItem(pictures, 1);
    assert_int_equal(cJSON_GetArraySize(pictures), 2);
    assert_string_equal(cJSON_GetObjectItem(three, "class")->valuestring, "3 - three");
    assert_int_equal(cJSON_GetObjectItem(three, "index")->valueint, 3);
    assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(three, "top")), 2);
    assert_true(cJSON_GetObjectItem(three, "probability")->valuedouble > 0.1);
    assert_contains(cJSON_GetObjectItem(nowhere, "error")->valuestring, "nowhere.png");
    cJSON_Delete(json);
}

static void test_wrong_lines(void **state)
{
    (void)state;
    expect("predict", 2, "which model?");
    expect("predict $D/run", 2, "which pictures?");
    expect("predict $D/run $D/three.pgm --top 9", 2, "needs 1 to 5");
    expect("predict $D $D/three.pgm", 1, "holds no best_model.pth");
    expect("predict $D/nowhere.pth $D/three.pgm", 1, "nowhere.pth");
    expect("predict $D/run $D/three.pgm --classes a,b", 1, "10 numbers a picture, and 2 class names");
    expect("predict $D/run $D/three.pgm --transforms 'Compose(RandomHorizontalFlip(), ToTensor())'", 1, "draw random");
    expect("predict $D/run $D/three.pgm --classes a,b,c,d,e,f,g,h,i,j", 0, "three.pgm  d");
}

static void test_example(void **state)
{
    (void)state;
#ifdef FA_EXAMPLE_PREDICT
    assert_int_equal(run_program(FA_EXAMPLE_PREDICT, "$D/run"), 0);
    assert_contains(output, " %\n");
    assert_int_equal(run_program(FA_EXAMPLE_PREDICT, "$D/nowhere.pth"), 1);
    assert_contains(output, "nowhere.pth");
#else
    skip();
#endif
}

static int make_folder(void **state)
{
    (void)state;
    folder = tempdir_new();
    if (FA_EMULATED)
        return 0;
    static const char *const folders[] = {"data", "more", "more/a", "empty"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        assert_int_equal(mkdir(at(folders[i]), 0777), 0);
    write_small_mnist(at("data"), 32 + 640, 40);
    write_picture("three.pgm", 3, SIDE, 1);
    write_picture("colour.ppm", 3, SIDE, 3);
    write_picture("large.pgm", 3, 2 * SIDE, 1);
    write_picture("more/a/one.pgm", 1, SIDE, 1);
    write_picture("more/b.PGM", 2, SIDE, 1);
    write_file(at("more/notes.txt"), "x", 1);
    int status =
        run_program(FA_FACULA, "train $D/data --out $D/run --epochs 4 --held-out 32 --batch-size 32 --lr 0.003");
    if (status != 0)
        fprintf(stderr, "%s\n", output);
    return status;
}

static int remove_folder(void **state)
{
    (void)state;
    tempdir_free(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),        cmocka_unit_test(test_bad_pictures),
                                       cmocka_unit_test(test_folder),      cmocka_unit_test(test_json),
                                       cmocka_unit_test(test_wrong_lines), cmocka_unit_test(test_example)};
    if (FA_EMULATED)
        return 0; /* the command could not be started */
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
