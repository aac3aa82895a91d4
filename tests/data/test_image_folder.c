/* ImageFolder: torchvision's order and classes, what it leaves out and says, and the accidents of its users. */
#include "support/facula_test.h"

#include "data/object.h"
#include "facula.h"
#include "golden/folders_golden.inc"
#include "support/tempdir.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TREE = sizeof folder_tree / sizeof *folder_tree, SAMPLES = sizeof folder_samples / sizeof *folder_samples };

/* Makes the folders that a path lies in. */
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

/* "folder/", "path -> target", or an empty file. */
static void make_entry(const tempdir *dir, const char *entry)
{
    char name[1024];
    const char *arrow = strstr(entry, " -> ");
    snprintf(name, sizeof name, "%.*s", (int)(arrow != NULL ? arrow - entry : (long)strlen(entry)), entry);
    const char *path = tempdir_file(dir, name);
    make_folders(path);
    if (arrow != NULL) {
        if (symlink(arrow + 4, path) != 0)
            fail_msg("%s: %s", path, strerror(errno));
    } else if (path[strlen(path) - 1] != '/') {
        write_file(path, "", 0);
    }
}

/* A picture of one colour, whatever its name. */
static void make_picture(const tempdir *dir, const char *name, int height, int width, const uint8_t rgb[3])
{
    uint8_t bytes[4096];
    int n = snprintf((char *)bytes, sizeof bytes, "P6 %d %d 255\n", width, height);
    for (int i = 0; i < height * width; i++, n += 3)
        memcpy(bytes + n, rgb, 3);
    const char *path = tempdir_file(dir, name);
    make_folders(path);
    write_file(path, bytes, (size_t)n);
}

static const uint8_t red[3] = {255, 0, 0}, green[3] = {0, 255, 0}, blue[3] = {0, 0, 255};

static void refused(const fa_dataset *data, const char *const parts[], int count)
{
    assert_null(data);
    assert_int_equal(fa_error_code(), FA_FILE_ERROR);
    for (int i = 0; i < count; i++)
        assert_contains(fa_error(), parts[i]);
    fa_clear_error();
    assert_int_equal(fa_object_count(), 0);
}
#define REFUSED(data, ...)                                                                                             \
    refused((data), (const char *const[]){__VA_ARGS__},                                                                \
            (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

static const char *notes_of(fa_dataset *data)
{
    static char text[4096];
    size_t length = fa_dataset_notes(data, text, sizeof text);
    assert_int_equal(length, strlen(text));
    char less[8];
    assert_int_equal(fa_dataset_notes(data, less, sizeof less), length);
    assert_true(strlen(less) < sizeof less && strncmp(less, text, strlen(less)) == 0);
    return text;
}

/* The tree that torchvision was shown. */
static void test_order(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    for (int i = 0; i < TREE; i++)
        make_entry(&dir, folder_tree[i]);
    char root[1024];
    snprintf(root, sizeof root, "%s//", tempdir_file(&dir, "data"));
    fa_dataset *data = fa_image_folder(root);
    if (data == NULL)
        fail_msg("%s", fa_error());
    assert_int_equal(fa_length(data), SAMPLES);
    fa_names classes = fa_dataset_classes(data);
    assert_int_equal(classes.count, sizeof folder_classes / sizeof *folder_classes);
    for (int64_t c = 0; c < classes.count; c++) {
        assert_string_equal(classes.name[c], folder_classes[c]);
        assert_int_equal(fa_class_index(data, folder_classes[c]), c);
    }
    const int64_t back[2] = {SAMPLES - 1, 0};
    fa_dataset *part = fa_subset(data, back, 2), *twice = fa_concat_dataset(part, data);
    fa_scope {
        const int64_t *targets = fa_data(fa_dataset_targets(data)), *of_twice = fa_data(fa_dataset_targets(twice));
        char name[1024], want[1024];
        for (int64_t i = 0; i < SAMPLES; i++) {
            snprintf(want, sizeof want, "%s/%s", tempdir_file(&dir, "data"), folder_samples[i]);
            assert_int_equal(fa_item_name(data, i, name, sizeof name), strlen(want));
            assert_string_equal(name, want);
            assert_int_equal(targets[i], folder_targets[i]);
            assert_int_equal(of_twice[i + 2], folder_targets[i]);
            fa_item_name(twice, i + 2, name, sizeof name);
            assert_string_equal(name, want);
        }
        assert_int_equal(of_twice[0], folder_targets[SAMPLES - 1]);
        fa_item_name(twice, 0, name, sizeof name);
        assert_string_equal(name, want);
    }
    assert_int_equal(fa_dataset_classes(twice).count, classes.count);
    assert_contains(notes_of(data), ".hidden is taken for a class");
    assert_contains(notes_of(data), "5 files are not called as pictures are, left out: ");
    assert_contains(notes_of(data), "data/B/Thumbs.db and others");
    assert_int_equal(fa_class_index(data, "nothing"), -1);
    assert_contains(fa_error(), "$(echo), .hidden, 1, 10, 2");
    fa_clear_error();
    fa_free(twice), fa_free(part), fa_free(data);
    assert_int_equal(fa_object_count(), 0);
    tempdir_free(&dir);
}

/* O07, O12: the names of the classes, the link's own folder. */
static void test_items(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    make_picture(&dir, "d/1/x.JPG", 2, 3, red);
    make_picture(&dir, "d/10/x.png", 2, 3, green);
    make_picture(&dir, "store/other/y.png", 2, 3, blue);
    make_entry(&dir, "d/2/link.jpg -> ../../store/other/y.png");
    fa_dataset *data = fa_image_folder(tempdir_file(&dir, "d"), .transform = fa_to_tensor());
    assert_true(fa_ok());
    assert_int_equal(fa_length(data), 3);
    assert_string_equal(fa_dataset_classes(data).name[1], "10");
    fa_loader *loader = fa_data_loader(data, .batch_size = 3, .num_workers = 2);
    fa_for_each_batch (b, loader) {
        assert_int_equal(b.size, 3);
        const float *x = fa_data(b.images);
        assert_true(fa_size(b.images, 1) == 3 && fa_size(b.images, 2) == 2 && fa_size(b.images, 3) == 3);
        for (int64_t i = 0; i < 3; i++) {
            assert_int_equal(((const int64_t *)fa_data(b.labels))[i], i);
            for (int64_t c = 0; c < 3; c++)
                for (int k = 0; k < 6; k++)
                    assert_true(x[(i * 3 + c) * 6 + k] == (float)(c == i));
        }
    }
    assert_true(fa_ok());
    fa_free(loader), fa_free(data);
    fa_dataset *plain = fa_image_folder(tempdir_file(&dir, "d"), .picture = {.mode = "L"});
    fa_scope {
        fa_batch item = fa_dataset_get(plain, 0);
        assert_int_equal(fa_dtype_of(item.images), FA_UINT8);
        assert_int_equal(fa_size(item.images, 0), 1);
        assert_int_equal(*(const uint8_t *)fa_data(item.images), 76);
    }
    fa_free(plain);
    tempdir_free(&dir);
}

static bool only_png(const char *path)
{
    return strcmp(path + strlen(path) - 4, ".png") == 0;
}

static int64_t times_ten(void *user, int64_t target)
{
    return target * *(const int64_t *)user;
}

static void test_options(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    make_picture(&dir, "train/a/1.png", 2, 2, red);
    make_picture(&dir, "train/b/1.png", 2, 2, red);
    make_picture(&dir, "train/c/1.png", 2, 2, red);
    make_picture(&dir, "train/c/2.jpg", 2, 2, red);
    make_picture(&dir, "test/c/1.png", 2, 2, blue);
    const char *root = tempdir_file(&dir, "train");
    fa_dataset *train = fa_image_folder(root);
    fa_dataset *test =
        fa_image_folder(tempdir_file(&dir, "test"), .classes = fa_dataset_classes(train), .allow_empty = true);
    fa_scope {
        assert_int_equal(fa_length(test), 1);
        assert_int_equal(*(const int64_t *)fa_data(fa_dataset_targets(test)), 2);
        assert_int_equal(*(const int64_t *)fa_data(fa_dataset_get(test, 0).labels), 2);
    }
    assert_contains(notes_of(test), "the class a has no pictures in ");
    fa_free(test), fa_free(train);
    REFUSED(fa_image_folder(tempdir_file(&dir, "test"), .classes = FA_NAMES("a", "b")), "test/c",
            "none of the 2 classes");

    fa_dataset *some = fa_image_folder(root, .extensions = FA_NAMES(".jpg"), .allow_empty = true);
    assert_int_equal(fa_length(some), 1);
    fa_free(some);
    int64_t ten = 10;
    some = fa_image_folder(root, .is_valid_file = only_png, .target_transform = times_ten, .target_user = &ten);
    fa_scope {
        assert_int_equal(fa_length(some), 3);
        assert_int_equal(*(const int64_t *)fa_data(fa_dataset_get(some, -1).labels), 20);
        assert_int_equal(((const int64_t *)fa_data(fa_dataset_targets(some)))[2], 2);
    }
    fa_free(some);
    assert_null(fa_image_folder(root, .is_valid_file = only_png, .extensions = FA_NAMES(".jpg")));
    assert_int_equal(fa_error_code(), FA_VALUE_ERROR);
    fa_clear_error();
    assert_null(fa_image_folder(NULL));
    fa_clear_error();
    assert_null(fa_image_folder(root, .picture = {.mode = "RGBA"}));
    assert_int_equal(fa_error_code(), FA_VALUE_ERROR);
    fa_clear_error();
    fa_dataset *both = fa_image_folder(dir.path);
    assert_contains(notes_of(both), "are called test and train; if those are parts of the data, open one of them");
    fa_free(both);
    assert_int_equal(fa_object_count(), 0);
    tempdir_free(&dir);
}

/* O05, O06. */
static void test_empty(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    REFUSED(fa_image_folder(tempdir_file(&dir, "nowhere")), "nowhere", "could not read");
    REFUSED(fa_image_folder(dir.path), "no pictures under ", ".jpg .jpeg .png .ppm .bmp .pgm .tif .tiff .webp");
    make_picture(&dir, "d/1.png", 2, 2, red);
    make_picture(&dir, "d/2.png", 2, 2, red);
    make_entry(&dir, "d/README.txt");
    REFUSED(fa_image_folder(tempdir_file(&dir, "d")), "no pictures", "2 pictures lie in the folder itself");
    REFUSED(fa_image_folder(tempdir_file(&dir, "d/1.png")), "could not read the folder", "1.png");
    make_picture(&dir, "d/a/1.jpg", 2, 2, red);
    make_picture(&dir, "d/c/1.jpg", 2, 2, red);
    make_entry(&dir, "d/b/");
    REFUSED(fa_image_folder(tempdir_file(&dir, "d")), "1 empty class folder in ", ": b (looked for .jpg", "Hint: ");
    fa_dataset *data = fa_image_folder(tempdir_file(&dir, "d"), .allow_empty = true);
    assert_int_equal(fa_length(data), 2);
    assert_int_equal(fa_class_index(data, "b"), 1);
    fa_scope
        assert_int_equal(((const int64_t *)fa_data(fa_dataset_targets(data)))[1], 2);
    fa_free(data);
    make_entry(&dir, "d/b/Thumbs.db");
    REFUSED(fa_image_folder(tempdir_file(&dir, "d")), ": b (");
    if (geteuid() != 0) { /* nothing is closed to root */
        chmod(tempdir_file(&dir, "d/b"), 0);
        REFUSED(fa_image_folder(tempdir_file(&dir, "d")), "d/b", "Permission denied");
        chmod(tempdir_file(&dir, "d/b"), 0777);
    }
    tempdir_free(&dir);
}

/* O12: a loop ends with an error; a folder that is reached twice does not. */
static void test_loops(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    make_picture(&dir, "d/c/1.png", 2, 2, red);
    make_entry(&dir, "d/e -> c");
    fa_dataset *data = fa_image_folder(tempdir_file(&dir, "d"));
    assert_int_equal(fa_length(data), 2);
    fa_free(data);
    make_entry(&dir, "d/c/deep/loop -> ../../c");
    REFUSED(fa_image_folder(tempdir_file(&dir, "d")), "loop of links", "d/c/deep/loop is the folder ", "d/c,");
    remove(tempdir_file(&dir, "d/c/deep/loop"));
    make_entry(&dir, "d/c/deep/up -> ../../../d");
    REFUSED(fa_image_folder(tempdir_file(&dir, "d")), "loop of links", "d/c/deep/up", "in which it lies");
    remove(tempdir_file(&dir, "d/c/deep/up"));
    make_entry(&dir, "d/c/deep/self -> self");
    data = fa_image_folder(tempdir_file(&dir, "d"));
    assert_int_equal(fa_length(data), 2);
    fa_free(data);
    tempdir_free(&dir);
}

static void item_refused(fa_dataset *data, int64_t batch_size, const char *const parts[], int count)
{
    fa_dataset_retain(data);
    for (int workers = 0; workers < 3; workers += 2) {
        fa_loader *loader = fa_data_loader(data, .batch_size = batch_size, .num_workers = workers);
        int64_t batches = 0;
        fa_for_each_batch (b, loader)
            batches++;
        assert_false(fa_ok());
        for (int i = 0; i < count; i++)
            assert_contains(fa_error(), parts[i]);
        fa_clear_error();
        fa_free(loader);
    }
}
#define ITEM_REFUSED(data, batch_size, ...)                                                                            \
    item_refused((data), (batch_size), (const char *const[]){__VA_ARGS__},                                             \
                 (int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)))

/* O11, O14: an item's error names its file. */
static void test_bad_items(void **state)
{
    (void)state;
    tempdir dir = tempdir_new();
    make_picture(&dir, "d/a/1.png", 8, 8, red);
    make_picture(&dir, "d/a/2.png", 8, 8, red);
    make_picture(&dir, "d/b/3.png", 8, 9, red);
    const char *root = tempdir_file(&dir, "d");
    fa_dataset *data = fa_image_folder(root);
    ITEM_REFUSED(data, 3, "d/b/3.png", "item 2", "resize or crop");
    fa_free(data);
    data = fa_image_folder(root, .transform = fa_random_crop(.size_hw = {8, 9}));
    ITEM_REFUSED(data, 2, "d/a/1.png");
    fa_free(data);
    write_file(tempdir_file(&dir, "d/a/2.png"), "no picture at all", 17);
    data = fa_image_folder(root, .transform = fa_fit(4));
    ITEM_REFUSED(data, 1, "d/a/2.png", "no picture");
    fa_free(data);
    remove(tempdir_file(&dir, "d/a/2.png"));
    data = fa_image_folder(root, .transform = fa_fit(4));
    remove(tempdir_file(&dir, "d/b/3.png"));
    ITEM_REFUSED(data, 1, "d/b/3.png", "No such file");
    fa_free(data);
    assert_int_equal(mkfifo(tempdir_file(&dir, "d/b/3.png"), 0666), 0);
    data = fa_image_folder(root, .transform = fa_fit(4));
    ITEM_REFUSED(data, 1, "d/b/3.png", "no regular file");
    fa_free(data);
    assert_int_equal(fa_object_count(), 0);
    tempdir_free(&dir);
}

static long resident_bytes(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0;
    assert_non_null(file);
    assert_int_equal(fscanf(file, "%*d %ld", &pages), 1);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* 100,000 files cost less than 20 MB, what reading the folders takes in between included. */
static void test_memory(void **state)
{
    (void)state;
    enum { FILES = 100000, LARGE = 50000, CLASSES = 11 };
    tempdir dir = tempdir_new();
    for (int i = 0; i < FILES; i++) {
        char name[128];
        int class = i < LARGE ? 0 : 1 + i % (CLASSES - 1);
        snprintf(name, sizeof name, "class_%02d/%s_%08d_with_a_long_name.jpeg", class, i % 2 ? "image" : "IMG", i);
        const char *path = tempdir_file(&dir, name);
        if (i < LARGE + CLASSES)
            make_folders(path);
        write_file(path, "", 0);
    }
    long before = resident_bytes();
    fa_dataset *data = fa_image_folder(dir.path);
    long taken = resident_bytes() - before;
    assert_true(fa_ok());
    assert_int_equal(fa_length(data), FILES);
    print_message("the index of %d files takes %.1f MB\n", FILES, (double)taken / 1e6);
    if (!FA_SANITIZED)
        assert_true(taken < 20 * 1000 * 1000);
    char name[1024];
    for (int i = 1; i < FILES; i += 999) { /* sorted, and all there */
        char earlier[1024];
        fa_item_name(data, i - 1, earlier, sizeof earlier);
        fa_item_name(data, i, name, sizeof name);
        assert_true(strcmp(earlier, name) < 0);
    }
    fa_free(data);
    tempdir_free(&dir);
}

int main(void)
{
    tempdirs_in_memory(); /* 100,000 files */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),  cmocka_unit_test(test_items), cmocka_unit_test(test_options),
        cmocka_unit_test(test_empty),  cmocka_unit_test(test_loops), cmocka_unit_test(test_bad_items),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
