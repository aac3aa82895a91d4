/* `facula train` on the data that people bring: told by its content, introduced, its classes kept, and refused clearly.
 */
#include "support/facula_test.h"

#include "facula.h"
#include "support/command_run.h"
#include "support/small_mnist.h"
#include "support/tempdir.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static tempdir folder;
static char output[65536];

static const char *at(const char *name)
{
    return tempdir_file(&folder, name);
}

/* Runs "facula LINE" with the folder as $D; both streams go to `output`. */
static void expect(const char *line, int status, const char *part)
{
    char command[4096], before[1200];
    snprintf(command, sizeof command, "'%s' %s", FA_FACULA, line);
    snprintf(before, sizeof before, "D='%s';", folder.path);
    int got = run_command(before, command, at("log"));
    char *text = read_file(at("log"), NULL);
    snprintf(output, sizeof output, "%s", text);
    free(text);
    if (got != status || strstr(output, part) == NULL)
        fail_msg("%s: status %d, needs %d and \"%s\":\n%s", line, got, status, part, output);
}

static void make_folders(const char *path)
{
    char part[1024];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(part, 0777) != 0 && errno != EEXIST)
            fail_msg("%s: %s", part, strerror(errno));
        *slash = '/';
    }
}

/* A picture whose class shows in its colour. */
static void picture(const char *name, int height, int width, int class)
{
    static uint8_t bytes[32 + 3 * 200 * 200];
    int n = snprintf((char *)bytes, sizeof bytes, "P6 %d %d 255\n", width, height);
    for (int i = 0; i < height * width; i++)
        for (int c = 0; c < 3; c++)
            bytes[n++] = (uint8_t)(c == class % 3 ? 220 + i % 20 : i % 20);
    make_folders(at(name));
    write_file(at(name), bytes, (size_t)n);
}

/* `each` pictures for each of the classes first ... n - 1. */
static void class_folders(const char *below, const char *const *classes, int first, int n, int each, int size)
{
    char name[256];
    for (int c = first; c < n; c++)
        for (int i = 0; i < each; i++) {
            snprintf(name, sizeof name, "%s/%s/%d.png", below, classes[c], i);
            picture(name, size, size, c);
        }
}

static const char *const colours[] = {"1", "10", "2"};

/* O07: folders called 1, 2, 10; validation and test that lack a class. */
static void test_parts(void **state)
{
    (void)state;
    class_folders("p/train", colours, 0, 3, 20, 16);
    class_folders("p/val", colours, 0, 2, 4, 16);
    class_folders("p/test", colours, 2, 3, 4, 16);
    write_file(at("p/train/1/Thumbs.db"), "", 0);
    write_file(at("p/.DS_Store"), "", 0);
    expect("train $D/p --epochs 4 --lr 0.01 --batch-size 8 --out $D/p1", 0, "test accuracy: 100.00 %");
    assert_contains(output, "class folders in train/, val/ and test/, 3 classes: 1, 10, 2\n");
    assert_contains(output, "60 images to train on, 8 for validation, 4 to test\n");
    assert_contains(output, "note: 1 file is not called as pictures are, left out: ");
    assert_contains(output, "note: the class 2 has no pictures in ");
    assert_contains(output, "pictures: 16 x 16 pixels");
    assert_contains(output, "network: cifar;");
    char *run = read_file(at("p1/run.json"), NULL);
    assert_contains(run, "\"class_names\": [\"1\", \"10\", \"2\"]");
    assert_contains(run, "Resize(size=16");
    assert_contains(run, "out_features=3");
    free(run);
    expect("train --resume $D/p1 --epochs 5", 0, "goes on with epoch 5");
    expect("train --resume $D/p1 --network mnist", 2, "--network: got mnist, but the run was begun with cifar");
    expect("train $D/p --held-out 5 --out $D/p2", 1, "images for validation of its own");
    picture("p/test/4/0.png", 16, 16, 0);
    expect("train $D/p --out $D/p2", 1, "p/test/4, which is none of the 3 classes");
}

/* A resumed run looks at its data again: other names and labels are refused, other contents are told, another place is
 * none of its business. */
static void test_changed_data(void **state)
{
    (void)state;
    static const char *const pets[] = {"cat", "dog"};
    class_folders("g", pets, 0, 2, 12, 16);
    expect("train $D/g --epochs 1 --batch-size 8 --held-out 4 --out $D/g1", 0, "saved in");
    expect("train --resume $D/g1 --epochs 2", 0, "goes on with epoch 2");
    assert_null(strstr(output, "have changed"));
    assert_int_equal(rename(at("g"), at("h")), 0);
    expect("train --resume $D/g1 --epochs 3", 1, "/g, which could not be opened");
    expect("train $D/h --resume $D/g1 --epochs 3", 0, "goes on with epoch 3");
    assert_null(strstr(output, "have changed"));

    char from[1200], to[1200];
    for (int i = 0; i < 12; i++) {
        snprintf(from, sizeof from, "%s/h/dog/%d.png", folder.path, i);
        snprintf(to, sizeof to, "%s/h/dog/a%d.png", folder.path, i);
        assert_int_equal(rename(from, to), 0);
    }
    expect("train --resume $D/g1 --epochs 4", 1,
           "was begun with other data: got 20 items, but not with the same labels");
    for (int i = 0; i < 12; i++) {
        snprintf(from, sizeof from, "%s/h/dog/%d.png", folder.path, i);
        snprintf(to, sizeof to, "%s/h/dog/a%d.png", folder.path, i);
        assert_int_equal(rename(to, from), 0);
    }
    snprintf(from, sizeof from, "%s/h/dog", folder.path);
    snprintf(to, sizeof to, "%s/h/wolf", folder.path);
    assert_int_equal(rename(from, to), 0);
    expect("train --resume $D/g1 --epochs 4", 1, "has other classes: got \"wolf\" as class 1, needs \"dog\"");
    assert_int_equal(rename(to, from), 0);
    expect("train --resume $D/g1 --epochs 4", 0, "goes on with epoch 4");
    assert_null(strstr(output, "have changed"));
    picture("h/cat/5.png", 16, 20, 0);
    expect("train --resume $D/g1 --epochs 5", 0, "note: the training data, or those held out of them, have changed");
    expect("train --resume $D/g1 --epochs 6", 0, "goes on with epoch 6");
    assert_null(strstr(output, "have changed")); /* told once: from here on they are its data */
}

/* One folder a class and nothing else: split by the seed. Pictures of many sizes. */
static void test_class_folders(void **state)
{
    (void)state;
    static const char *const pets[] = {"cat", "dog"};
    class_folders("c", pets, 0, 2, 30, 40);
    picture("c/cat/large.png", 120, 200, 0);
    picture("c/dog/tall.png", 90, 50, 1);
    expect("train $D/c --epochs 1 --out $D/c1", 0, "class folders, 2 classes: cat, dog\n");
    assert_contains(output, "56 images to train on, 6 held out for validation\n");
    assert_contains(output, "pictures: 40 to 200 pixels wide, 40 to 120 high (62 looked at)\n");
    assert_contains(output, "images: Resize(size=64, interpolation=bilinear, max_size=None, antialias=True), "
                            "CenterCrop(size=(64, 64)), ToTensor()");
    assert_contains(output, "network: fake64;");
    assert_null(strstr(output, "test accuracy"));
    char *first = read_file(at("c1/history.csv"), NULL);
    expect("train $D/c --epochs 1 --out $D/c2 --workers 3", 0, "(best)");
    char *second = read_file(at("c2/history.csv"), NULL);
    assert_string_equal(first, second);
    expect("train $D/c --epochs 1 --out $D/c3 --seed 1 --held-out 10 --network resnet18 --transform 'Resize((32, 32)), "
           "ToTensor()'",
           0, "52 images to train on, 10 held out");
    assert_contains(output, "network: resnet18");
    free(first), free(second);
    /* --transform without a size: the rule stands in front of it */
    expect("train $D/c --epochs 1 --out $D/c4 --transform 'ToTensor(), Normalize([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])'", 0,
           "CenterCrop(size=(64, 64)), ToTensor(), Normalize(");
    /* an --augment that is the whole list gets the rule too; a run's transforms have it already */
    expect("train $D/c --epochs 1 --out $D/c6 --augment 'ToTensor(), RandomErasing(1.0)'", 0,
           "to train on: Resize(size=64, interpolation=bilinear, max_size=None, antialias=True), CenterCrop(size=(64, "
           "64)), ToTensor(), RandomErasing(");
    expect("train $D/c --epochs 1 --out $D/c7 --augment 'RandomResizedCrop(64), ToTensor()'", 0,
           "to train on: RandomResizedCrop(");
    expect("check $D/c --model $D/c6 --json", 0, "\"Compose(\\n    Resize(size=64");
    assert_null(strstr(strstr(output, "Resize(size=64") + 1, "Resize(size=64"));
    /* a damaged picture is named; the run can go on when it is mended */
    write_file(at("c/dog/bad.png"), "no picture", 10);
    expect("train $D/c --epochs 1 --out $D/c5", 1, "c/dog/bad.png");
    assert_contains(output, "go on with: facula train --resume ");
    assert_contains(output, "(a picture: --on-bad-image skip leaves it out)");
    expect("train --resume $D/c5 --on-bad-image skip", 0, "bad.png");
    assert_contains(output, "images: 1 item was left out:\n");
    assert_contains(output, "best: epoch 1");
}

static int count_of(const char *text, const char *part)
{
    int n = 0;
    for (const char *at = strstr(text, part); at != NULL; at = strstr(at + 1, part))
        n++;
    return n;
}

static void copy_picture(const char *from, const char *to)
{
    char path[512];
    size_t size;
    snprintf(path, sizeof path, "tests/golden/pictures/%s", from);
    char *bytes = read_file(source_path(path), &size);
    make_folders(at(to));
    write_file(at(to), bytes, size);
    free(bytes);
}

/* O10: what pictures carry is told once a run, and not followed; with --exif they are turned, in predictions too. */
static void test_exif(void **state)
{
    (void)state;
    static const char *const classes[] = {"a", "b"};
    static const char note[] = "carry an EXIF rotation that was not applied (.exif = true, --exif apply it)";
    class_folders("o/train", classes, 0, 2, 10, 16);
    class_folders("o/val", classes, 0, 2, 2, 16);
    class_folders("o/test", classes, 0, 2, 2, 16);
    copy_picture("jpeg_exif6.jpg", "o/train/a/6.jpg");
    copy_picture("jpeg_exif3.jpg", "o/train/a/3.jpg");
    copy_picture("png_c6_8.png", "o/val/b/alpha.png");
    copy_picture("jpeg_exif3.jpg", "o/test/a/3.jpg");
    copy_picture("jpeg_exif6.jpg", "o/test/a/6.jpg");
    expect("train $D/o --epochs 3 --out $D/o1", 0, "epoch 3/3");
    assert_int_equal(count_of(output, "note: 2 pictures carry an EXIF"), 1);
    assert_int_equal(count_of(output, "note: test images: 2 pictures carry an EXIF"), 1);
    assert_int_equal(count_of(output, note), 2);
    assert_int_equal(count_of(output, "note: 1 picture has"), 1);
    expect("train $D/o --epochs 1 --out $D/o2 --exif", 0, "epoch 1/1");
    assert_null(strstr(output, "EXIF"));
    for (int run = 1; run <= 2; run++) {
        char line[256], *plain;
        snprintf(line, sizeof line, "predict $D/o%d $D/o/train/a/6.jpg --json", run);
        expect(line, 0, "\"failed\": 0");
        plain = strdup(output);
        strcat(line, " --exif");
        expect(line, 0, "\"failed\": 0");
        assert_int_equal(strcmp(plain, output) == 0, run == 2);
        free(plain);
    }
    expect("train --resume $D/o2 --epochs 2", 0, "epoch 2/2");
    assert_null(strstr(output, "EXIF"));
    expect("train --resume $D/o1 --epochs 4 --exif", 2,
           "--exif: got it, but the run was begun with photographs as they");
    expect("check $D/o", 0, "EXIF rotation");
    expect("check $D/o --exif", 0, "Items\n");
    assert_null(strstr(output, "EXIF rotation"));
}

/* O11: pictures that cannot be read stop a run with their name, or are left out and told once. */
static void test_bad_pictures(void **state)
{
    (void)state;
    static const char *const classes[] = {"a", "b"};
    class_folders("s/train", classes, 0, 2, 12, 16);
    class_folders("s/val", classes, 0, 2, 5, 16);
    class_folders("s/test", classes, 0, 2, 5, 16);
    copy_picture("bad_png_crc.png", "s/train/a/0.png"); /* the first item */
    copy_picture("bad_jpeg_cut_half.jpg", "s/val/b/cut.jpg");
    copy_picture("bad_text.jpg", "s/test/a/text.jpg");
    expect("train $D/s --epochs 2 --out $D/s1", 1, "s/train/a/0.png");
    expect("train $D/s --epochs 3 --batch-size 1 --workers 2 --out $D/s2 --on-bad-image skip", 0, "epoch 3/3");
    assert_int_equal(count_of(output, "note: training images: 1 item was left out:\n"), 1);
    assert_int_equal(count_of(output, "note: validation images: 1 item was left out:\n"), 1);
    assert_int_equal(count_of(output, "note: test images: 1 item was left out:\n"), 1);
    assert_int_equal(count_of(output, "s/train/a/0.png"), 1);
    assert_contains(output, "note: training images:   got /");
    assert_int_equal(count_of(output, "s/val/b/cut.jpg"), 1);
    assert_int_equal(count_of(output, "s/test/a/text.jpg"), 1);
    expect("train --resume $D/s2 --epochs 4", 0, "note: training images: 1 item was left out:\n");
    for (int i = 1; i < 4; i++) {
        char name[64];
        snprintf(name, sizeof name, "s/train/b/%d.png", i);
        copy_picture("bad_text.jpg", name);
    }
    expect("train $D/s --epochs 1 --out $D/s3 --on-bad-image skip", 1, "got more than 2 bad items in a loop");
    assert_null(strstr(output, "train.c:")); /* no place in the command's own source */
    expect("train $D/s --epochs 1 --out $D/s4 --on-bad-image mend", 2, "got \"mend\", needs stop or skip");
}

/* O12: any bytes make a name. The checkpoint has Python's text for those that are no UTF-8. */
static void test_names(void **state)
{
    (void)state;
    static const char *const classes[] = {"\xe7\x8c\xab", "a b'\xc3\xa9", "\xff\xfe", "%s\n"};
    class_folders("names \xe9", classes, 0, 4, 6, 16);
    expect("train \"$D\"/names* --epochs 1 --out $D/told", 0,
           "4 classes: %s\\x0a, a b'\xc3\xa9, \xe7\x8c\xab, \\xff\\xfe\n");
    expect("train --resume $D/told --epochs 2", 0, "goes on with epoch 2");
    expect("predict $D/told \"$D\"/names*/*", 0, "\\xff\\xfe ");
    expect("predict $D/told \"$D\"/names*/* --json", 0,
           "\"classes\": [\"%s\\n\", \"a b'\xc3\xa9\", \"\xe7\x8c\xab\", \"\\\\xff\\\\xfe\"]");
    char *run = read_file(at("told/run.json"), NULL);
    assert_contains(run, "\"class_names\": [\"%s\\n\", \"a b'\xc3\xa9\", \"\xe7\x8c\xab\", \"\\udcff\\udcfe\"]");
    assert_contains(run, "names \\udce9\"");
    free(run);
    fa_scope {
        fa_value *names = fa_get(fa_load(at("told/last.pth")), "class_names");
        assert_string_equal(fa_as_path(fa_value_at(names, 3)), "\xff\xfe");
        assert_string_equal(fa_as_string(fa_value_at(names, 3)), "\xed\xb3\xbf\xed\xb3\xbe");
    }
    write_file(at("names \xe9/\xff\xfe/\xe8.jpg"), "none", 4);
    expect("check \"$D\"/names*", 1, "\\xff\\xfe/\\xe8.jpg, which is no picture");
    assert_contains(output, "\n  \\xff\\xfe   "); /* a row of its own */
    expect("check \"$D\"/names* --json", 1, "[\"\\\\xff\\\\xfe\", 6]");
    remove(at("names \xe9/\xff\xfe/\xe8.jpg"));
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const classes[] = {"a", "b"};
    make_folders(at("empty/"));
    expect("train $D/nowhere", 1, "nowhere, which could not be opened: No such file");
    expect("train $D/empty", 1, "no data was found. Looked for train-images-idx3-ubyte");
    picture("flat/1.png", 8, 8, 0);
    expect("train $D/flat", 1, "flat, in which 1 picture lies, and no sub-folder: needs one for each class");
    expect("check $D/flat", 1, "in which 1 picture lies");
    expect("train $D/flat/1.png", 1, "which is no folder");
    class_folders("one", classes, 0, 1, 1, 8);
    expect("train $D/one", 1, "1 class, needs at least 2");
    class_folders("only/val", classes, 0, 2, 3, 8);
    expect("train $D/only", 1, "a folder val/ and no train/");
    class_folders("hole", classes, 0, 2, 3, 8);
    make_folders(at("hole/c/"));
    expect("train $D/hole", 1, "1 empty class folder in ");
    assert_contains(output, ": c (looked for");
    picture("few/train/1.png", 8, 8, 0);
    expect("train $D/few", 1, "1 pictures lie in the folder itself");
    class_folders("tiny", classes, 0, 2, 3, 2);
    expect("train $D/tiny", 1, "the network cifar takes images of 4 x 4 pixels or more, got 2 x 2");
    assert_int_equal(access(at("runs"), F_OK), -1);
}

/* Files of known forms, told by their content and their place. */
static void test_known_files(void **state)
{
    (void)state;
    make_folders(at("m/FashionMNIST/raw/"));
    write_small_mnist(at("m/FashionMNIST/raw"), 64, 16);
    expect("train $D/m --epochs 1 --out $D/m1", 0, "files of Fashion-MNIST, 10 classes: T-shirt/top, Trouser, ");
    assert_contains(output, "58 images to train on, 6 held out for validation, 16 to test");
    assert_contains(output, "network: mnist;");
    static uint8_t records[40 * 3073];
    make_folders(at("cifar/"));
    for (int f = 0; f <= 5; f++) {
        char name[64];
        for (size_t i = 0; i < sizeof records; i++)
            records[i] = (uint8_t)(i % 3073 == 0 ? i / 3073 % 10 : i * 7 + i / 3073);
        snprintf(name, sizeof name, f > 0 ? "cifar/data_batch_%d.bin" : "cifar/test_batch.bin", f);
        write_file(at(name), records, sizeof records);
    }
    expect("train $D/cifar --epochs 1 --out $D/m2", 0, "files of CIFAR-10, binary version, 10 classes: airplane, ");
    assert_contains(output, "180 images to train on, 20 held out for validation, 40 to test");
    remove(at("cifar/data_batch_3.bin"));
    expect("train $D/cifar --epochs 1 --out $D/m3", 1, "got no data_batch_3.bin in ");
    char line[600];
    snprintf(line, sizeof line, "train %s --epochs 1 --out $D/m4", source_path("tests/golden/cifar/cifar-100-python"));
    expect(line, 0, "files of CIFAR-100, version for Python, 100 classes: fine 0, fine 1, ");
}

/* Lists and arrays. */
static void test_lists_and_arrays(void **state)
{
    (void)state;
    char text[4096] = "path,label\n";
    class_folders("l/pictures", colours, 0, 3, 10, 16);
    for (int i = 0; i < 30; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "pictures/%s/%d.png,%s\n", colours[i % 3], i / 3,
                 i % 3 == 0   ? "red"
                 : i % 3 == 1 ? "green"
                              : "blue");
    write_file(at("l/train.csv"), text, strlen(text));
    write_file(at("l/test.csv"), "pictures/1/0.png,red\n", 21);
    expect("train $D/l --epochs 3 --lr 0.01 --batch-size 8 --out $D/l1", 0,
           "lists of pictures, 3 classes: blue, green, red");
    assert_contains(output, "27 images to train on, 3 held out for validation, 1 to test");
    expect("train $D/l/train.csv --epochs 1 --out $D/l2", 0, "a list of pictures, 3 classes: blue, green, red");
    expect("check $D/l/train.csv", 0, "l/train.csv: a list of pictures");
    assert_contains(output, "  blue ");
    expect("check $D/l --model cifar", 0, "lists of pictures");
    assert_contains(output, "In train and in test\n");
    assert_contains(output, "l/test.csv, line 1) is ");
    write_file(at("l/test.csv"), "pictures/1/0.png,pink\n", 22);
    expect("train $D/l --epochs 1 --out $D/l3", 1, "test.csv, line 1: got label pink");
    write_file(at("l/train.csv"), "pictures/1/0.png,red\nnone.png,blue\n", 35);
    remove(at("l/test.csv"));
    expect("train $D/l --epochs 1 --out $D/l4", 1, "none.png");
    make_folders(at("a/"));
    fa_scope {
        assert_true(fa_save(fa_to_dtype(fa_randint(0, 256, FA_SHAPE(40, 28, 28)), FA_UINT8), at("a/images.npy")));
        assert_true(fa_save(fa_randint(0, 4, FA_SHAPE(40)), at("a/labels.npy")));
    }
    expect("train $D/a --epochs 1 --out $D/a1", 0, "arrays in .npy files, ");
    assert_contains(output, "36 images to train on, 4 held out");
    expect("train $D/a --download everest --out $D/a2", 1, "--download: got \"everest\", needs mnist, fashion-mnist");
}

static int prepare(void **state)
{
    (void)state;
    folder = tempdir_new();
    return 0;
}

static int end(void **state)
{
    (void)state;
    tempdir_free(&folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_changed_data),  cmocka_unit_test(test_parts),
        cmocka_unit_test(test_class_folders), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_known_files),   cmocka_unit_test(test_lists_and_arrays),
        cmocka_unit_test(test_exif),          cmocka_unit_test(test_bad_pictures),
        cmocka_unit_test(test_names),
    };
    if (FA_EMULATED)
        return 0; /* the command could not be started */
    return cmocka_run_group_tests(tests, prepare, end);
}
