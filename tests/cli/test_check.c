/* `facula check` as a user types it, on folders that have something wrong. */
#include "support/facula_test.h"

#include "support/command_run.h"
#include "support/small_mnist.h"
#include "support/tempdir.h"

#include <cjson/cJSON.h>
#include <string.h>
#include <sys/stat.h>

static tempdir folder;
static char output[65536];

static const char *at(const char *name)
{
    return tempdir_file(&folder, name);
}

/* Runs the command with the folder as $D; both streams go to `output`. */
static int run(const char *before, const char *line)
{
    char command[4096], setting[1400], log[1200];
    snprintf(log, sizeof log, "%s/log", folder.path);
    snprintf(command, sizeof command, "'%s' %s", FA_FACULA, line);
    snprintf(setting, sizeof setting, "%s D='%s';", before, folder.path);
    int status = run_command(setting, command, log);
    char *text = read_file(log, NULL);
    snprintf(output, sizeof output, "%s", text);
    free(text);
    return status;
}

static void expect(const char *line, int status, const char *part)
{
    int got = run("export LC_ALL=C COLUMNS=200;", line);
    if (got != status || strstr(output, part) == NULL)
        fail_msg("%s: status %d, needs %d and \"%s\":\n%s", line, got, status, part, output);
}

static void make_dir(const char *name)
{
    assert_int_equal(mkdir(at(name), 0777), 0);
}

static void write_pgm(const char *name, int width, int height, uint64_t seed)
{
    static char bytes[64 + 64 * 64];
    int length = snprintf(bytes, sizeof bytes, "P5 %d %d 255\n", width, height);
    for (int i = 0; i < width * height; i++)
        bytes[length++] = (char)test_random_int(&seed, 0, 255);
    write_file(at(name), bytes, (size_t)length);
}

static void copy_picture(const char *from, const char *to)
{
    char name[256];
    size_t size;
    snprintf(name, sizeof name, "tests/golden/pictures/%s", from);
    char *bytes = read_file(source_path(name), &size);
    write_file(at(to), bytes, size);
    free(bytes);
}

static void write_text(const char *name, const char *text)
{
    write_file(at(name), text, strlen(text));
}

static void test_mnist(void **state)
{
    (void)state;
    expect("check $D/mnist --model mnist --transform 'ToTensor(), Normalize(0.18, 0.1)' --batch-size 16", 0,
           "Nothing would stop a training");
    assert_contains(output, "train: all 96 items can be read");
    assert_contains(output, "size              28 x 28     28 x 28");
    assert_contains(output, "MaxPool2d  64 x 14 x 14  64 x 7 x 7");
    assert_contains(output, "+ layers: a batch [16, 1, 28, 28] goes through and gives [16, 10]");
    assert_contains(output, "6 batches of 16 an epoch");
    assert_contains(output, "fa_normalize({0.");
    assert_null(strstr(output, "\033["));
}

static void test_folders(void **state)
{
    (void)state;
    expect("check $D/good", 0, "class folders in train/, val/ and test/");
    assert_contains(output, "+ split: no image of one part is in another");
    assert_contains(output, "? layers: no network was given");
    assert_contains(output, "of 2 sizes, which the transforms make 64 x 64");
    expect("check $D/broken", 1, "3 things would stop a training");
    assert_contains(output, "X items: train: 2 of 8 items cannot be read");
    assert_contains(output, "broken/train/2/cut.jpg, a JPEG picture that is cut short");
    assert_contains(output, "X classes: 1 class without a training item: empty");
    assert_contains(output, "! split: 1 of 1 validation images (100.0 %) are in train too");
    assert_contains(output, "! labels: 1 image stands in two classes");
    assert_contains(output, "broken/val/10/same.pgm is ");
    assert_contains(output, "1 picture has 16 bits a channel");
    assert_contains(output, "1 picture has transparency");
    assert_contains(output, "! files: train: 1 file is not called as pictures are");
    /* A class that training does not know. */
    assert_contains(output, "X items: ");
    assert_contains(output, "broken/test");
    assert_contains(output, "unknown");
}

static void test_models(void **state)
{
    (void)state;
    write_text("net.txt", "Sequential(\n"
                          "  (0): Conv2d(1, 10, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n"
                          "  (1): MaxPool2d(kernel_size=4, stride=4, padding=0, dilation=1, ceil_mode=False)\n"
                          "  (2): Flatten(start_dim=1, end_dim=-1)\n"
                          "  (3): Linear(in_features=10, out_features=10, bias=True)\n"
                          "  (4): Softmax(dim=1)\n"
                          ")\n");
    expect("check $D/mnist --model $D/net.txt", 1, "1 thing would stop a training");
    assert_contains(output,
                    "X layers: layer 3, Linear(in_features=10, out_features=10, bias=True): its input is 490 = 10 "
                    "channels x 7 x 7");
    assert_contains(output, "-> write in_features=490");
    assert_contains(output, "the loss cannot come below 1.4612");
    expect("check $D/good --model $D/net.txt", 1, "the data set gives images of 3 channels (RGB)");
    expect("check $D/good --model fake64 --batch-size 2", 0, "gives [2, 2]");
    expect("check $D/mnist --model lenet", 2, "resnet18");
    expect("check $D/mnist --model $D/nothing.txt", 2, "nothing.txt, which is no file and no run");
    expect("check $D/mnist --model $D/good/train/a/0.pgm", 1, "error");
    assert_int_equal(run("", "train $D/mnist --out $D/run --epochs 1 --held-out 16"), 0);
    expect("check $D/mnist --model $D/run", 0, "goes through and gives [32, 10]");
    expect("check $D/good --model $D/run/last.pth", 1, "write in_channels=3");
    expect("check $D/good --model mnist --transform 'ToTensor(), Normalize(0.5, 0.5)'", 1, "normalize has 1 value");
}

/* The number of columns that a line of UTF-8 takes. */
static int columns_of(const char *text, size_t length)
{
    int columns = 0;
    for (size_t i = 0; i < length; i++)
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    return columns;
}

static void test_page(void **state)
{
    (void)state;
    assert_int_equal(run("export LC_ALL=C.UTF-8 COLUMNS=60;", "check $D/mnist --model $D/net.txt"), 1);
    assert_contains(output, "✓ items");
    assert_contains(output, "✗ layers");
    assert_contains(output, "→ write in_features=490");
    const char *checks = strstr(output, "\nData\n");
    assert_non_null(checks);
    for (const char *line = checks + 1; *line != '\0';) {
        const size_t length = strcspn(line, "\n");
        assert_in_range(columns_of(line, length), 0, 60);
        line += length + (line[length] == '\n');
    }
}

static void test_json(void **state)
{
    (void)state;
    assert_int_equal(run("", "check $D/broken --json"), 1);
    cJSON *json = cJSON_Parse(output);
    assert_non_null(json);
    const cJSON *splits = cJSON_GetObjectItem(json, "splits"), *train = cJSON_GetArrayItem(splits, 0),
                *bad = cJSON_GetObjectItem(train, "unreadable_items"), *check;
    assert_int_equal(cJSON_GetObjectItem(json, "stops")->valueint, 3);
    assert_int_equal(cJSON_GetObjectItem(train, "items")->valueint, 8);
    assert_int_equal(cJSON_GetArraySize(bad), 2);
    assert_contains(cJSON_GetArrayItem(cJSON_GetArrayItem(bad, 0), 0)->valuestring, "/broken/train/");
    int stops = 0;
    cJSON_ArrayForEach(check, cJSON_GetObjectItem(json, "checks"))
    {
        stops += strcmp(cJSON_GetObjectItem(check, "mark")->valuestring, "stop") == 0;
    }
    assert_int_equal(stops, 3);
    cJSON_Delete(json);
}

static void test_wrong_lines(void **state)
{
    (void)state;
    expect("check", 2, "which data set?");
    expect("check $D/nowhere", 1, "nowhere");
    expect("check $D/good/train/a", 1, "error");
    expect("check $D/mnist --transform 'Sharpen()'", 1, "Sharpen");
    expect("check --help", 0, "usage: facula check DATA");
}

static int make_folder(void **state)
{
    (void)state;
    static const char *const dirs[] = {
        "mnist",         "good",           "good/train",         "good/train/a",    "good/train/b",       "good/val",
        "good/val/a",    "good/val/b",     "good/test",          "good/test/a",     "good/test/b",        "broken",
        "broken/train",  "broken/train/1", "broken/train/2",     "broken/train/10", "broken/train/empty", "broken/val",
        "broken/val/10", "broken/test",    "broken/test/unknown"};
    folder = tempdir_new();
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
        make_dir(dirs[i]);
    write_small_mnist(at("mnist"), 96, 20);
    for (int i = 0; i < 12; i++) {
        static const char *const parts[] = {"train", "val", "test"};
        char name[64];
        snprintf(name, sizeof name, "good/%s/%s/%d.pgm", parts[i / 2 % 3], i % 2 == 0 ? "a" : "b", i);
        write_pgm(name, 20 + i / 4, 30, (uint64_t)i + 1);
    }
    write_pgm("broken/train/1/a.pgm", 20, 20, 1);
    write_pgm("broken/train/1/b.pgm", 20, 20, 2);
    write_pgm("broken/train/2/a.pgm", 20, 20, 3);
    write_pgm("broken/train/10/a.pgm", 20, 20, 4);
    write_pgm("broken/val/10/same.pgm", 20, 20, 1);
    copy_picture("png_c0_16.png", "broken/train/2/deep.png");
    copy_picture("png_c6_8.png", "broken/train/10/alpha.png");
    copy_picture("bad_jpeg_cut_half.jpg", "broken/train/2/cut.jpg");
    copy_picture("bad_png_crc.png", "broken/train/10/crc.png");
    write_pgm("broken/test/unknown/a.pgm", 20, 20, 5);
    write_text("broken/train/1/notes.txt", "x");
    write_text("broken/train/.DS_Store", "x");
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    tempdir_free(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mnist),  cmocka_unit_test(test_folders),
                                       cmocka_unit_test(test_models), cmocka_unit_test(test_page),
                                       cmocka_unit_test(test_json),   cmocka_unit_test(test_wrong_lines)};
    if (FA_EMULATED)
        return 0; /* the command could not be started */
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
