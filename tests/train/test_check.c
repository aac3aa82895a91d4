/* fa_check: what it finds in data sets that have something wrong, and in networks that do not fit. */
#include "support/facula_test.h"

#include "facula.h"
#include "support/tempdir.h"
#include "train/check_data.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>

static tempdir folder;

/* ---- Data of the test's own -------------------------------------------------------------------------------------- */

enum { SIDE = 8, MOST = 64 };
typedef struct own_data {
    int64_t n, channels;
    uint8_t pixels[MOST][3 * SIDE * SIDE];
    int64_t label[MOST];
} own_data;

static int64_t own_length(void *user)
{
    return ((own_data *)user)->n;
}

static bool own_item(void *user, int64_t index, fa_sample *sample)
{
    own_data *data = user;
    return fa_sample_put(sample, FA_UINT8, FA_SHAPE(data->channels, SIDE, SIDE), data->pixels[index]) &&
           fa_sample_label(sample, data->label[index]);
}

static own_data *draw_data(int64_t n, int64_t channels, uint64_t seed)
{
    own_data *data = calloc(1, sizeof *data);
    assert_non_null(data);
    *data = (own_data){.n = n, .channels = channels};
    for (int64_t i = 0; i < n; i++) {
        data->label[i] = i % 3;
        for (int64_t k = 0; k < channels * SIDE * SIDE; k++)
            data->pixels[i][k] = (uint8_t)test_random_int(&seed, 0, 255);
    }
    return data;
}

static fa_loader *load(own_data *data, int64_t batch_size, bool shuffle)
{
    return fa_data_loader(fa_dataset_new(data, .length = own_length, .item = own_item), .batch_size = batch_size,
                          .shuffle = shuffle);
}

/* ---- Looking at a report ----------------------------------------------------------------------------------------- */

/* The check with this name whose text holds `part`; the test fails if there is none. */
static fa_value *find(fa_value *report, const char *name, const char *part)
{
    if (report == NULL)
        fail_msg("no report: %s", fa_error());
    fa_value *checks = fa_get(report, "checks");
    for (int64_t i = 0; i < fa_len(checks); i++) {
        fa_value *check = fa_value_at(checks, i);
        if (strcmp(fa_get_string(check, "name"), name) == 0 && strstr(fa_get_string(check, "text"), part) != NULL)
            return check;
    }
    for (int64_t i = 0; i < fa_len(checks); i++)
        fprintf(stderr, "%s %s: %s\n", fa_get_string(fa_value_at(checks, i), "mark"),
                fa_get_string(fa_value_at(checks, i), "name"), fa_get_string(fa_value_at(checks, i), "text"));
    fail_msg("no check %s \"%s\"", name, part);
    return NULL;
}

static void expect(fa_value *report, const char *name, const char *mark, const char *part, const char *hint)
{
    fa_value *check = find(report, name, part);
    assert_string_equal(fa_get_string(check, "mark"), mark);
    assert_contains(fa_get_string(check, "hint"), hint);
}

/* Checks add up to what the report says, and no error is left. */
static void expect_counts(fa_value *report, int64_t stops, int64_t warnings)
{
    int64_t counted[2] = {0, 0};
    fa_value *checks = fa_get(report, "checks");
    for (int64_t i = 0; i < fa_len(checks); i++) {
        counted[0] += strcmp(fa_get_string(fa_value_at(checks, i), "mark"), "stop") == 0;
        counted[1] += strcmp(fa_get_string(fa_value_at(checks, i), "mark"), "warning") == 0;
    }
    assert_int_equal(counted[0], fa_get_int(report, "stops"));
    assert_int_equal(counted[1], fa_get_int(report, "warnings"));
    assert_int_equal(counted[0], stops);
    assert_int_equal(counted[1], warnings);
    assert_true(fa_ok());
}

static fa_value *split_of(fa_value *report, int64_t k)
{
    return fa_value_at(fa_get(report, "splits"), k);
}

/* A transform that ends with the test: fa_check holds none. */
static fa_transform *lent(fa_transform *transform)
{
    enum { LENT = 64 };
    static fa_transform *all[LENT];
    static int count;
    for (int i = 0; transform == NULL && i < count; i++)
        fa_free(all[i]);
    count = transform == NULL ? 0 : count + 1;
    assert_in_range(count, 0, LENT);
    return transform != NULL ? (all[count - 1] = transform) : NULL;
}

static fa_module *fitting_network(int64_t outputs)
{
    return fa_nn_sequential(fa_nn_conv2d(3, 4, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2), fa_nn_flatten(),
                            fa_nn_linear(4 * SIDE * SIDE / 4, outputs));
}

/* ---- Data -------------------------------------------------------------------------------------------------------- */

static void test_nothing_wrong(void **state)
{
    (void)state;
    own_data *data = draw_data(60, 3, 1), *test = draw_data(12, 3, 2);
    fa_loader *train = load(data, 12, true), *testing = load(test, 12, false);
    fa_module *model = fitting_network(3);
    fa_transform *transform = fa_compose(fa_to_tensor(), fa_normalize({0.5, 0.5, 0.5}, {0.29, 0.29, 0.29}));
    uint8_t before[FA_GENERATOR_STATE_SIZE], after[FA_GENERATOR_STATE_SIZE];
    fa_get_rng_state(before);
    fa_scope {
        fa_value *report = fa_check(train, .test = testing, .model = model, .transform = transform);
        expect(report, "items", "ok", "train: all 60 items", "");
        expect(report, "items", "ok", "test: all 12 items", "");
        expect(report, "classes", "ok", "3 classes of 20 training items each", "");
        expect(report, "sizes", "ok", "all images are 8 x 8", "");
        expect(report, "normalised", "ok", "standard deviation 1.0", "");
        expect(report, "split", "ok", "no image of one part is in another", "");
        expect(report, "layers", "ok", "a batch [12, 3, 8, 8] goes through and gives [12, 3]", "");
        expect(report, "outputs", "ok", "3 outputs for 3 classes", "");
        expect(report, "loss", "ok", "ends in Linear", "");
        expect(report, "batch size", "ok", "5 batches of 12 an epoch", "");
        expect(report, "shuffle", "ok", "in training alone", "");
        expect_counts(report, 0, 0);
        for (int c = 0; c < 3; c++) {
            double sum = 0, square = 0, count = 60 * SIDE * SIDE;
            for (int i = 0; i < 60; i++)
                for (int k = 0; k < SIDE * SIDE; k++) {
                    const double value = data->pixels[i][c * SIDE * SIDE + k] / 255.0;
                    sum += value / count;
                    square += value * value / count;
                }
            const double mean = fa_as_float(fa_get(fa_get(report, "mean"), c)), want = sqrt(square - sum * sum),
                         std = fa_as_float(fa_get(fa_get(report, "std"), c));
            assert_all_close_f64(&mean, &sum, 1, 1e-12, 0);
            assert_all_close_f64(&std, &want, 1, 1e-9, 0);
        }
        fa_value *layers = fa_get(report, "layers");
        assert_int_equal(fa_len(layers), 5);
        assert_string_equal(fa_get_string(fa_value_at(layers, 0), "class"), "Conv2d");
        assert_int_equal(fa_get_int(fa_value_at(layers, 0), "parameters"), 3 * 4 * 9 + 4);
        assert_int_equal(fa_as_int(fa_get(fa_get(fa_value_at(layers, 2), "output"), 2)), SIDE / 2);
    }
    fa_get_rng_state(after);
    assert_same_bytes(after, before, sizeof before);
    fa_transform *off = fa_compose(fa_to_tensor(), fa_normalize({0, 0, 0}, {0.29, 0.29, 0.29}));
    fa_scope
        expect(fa_check(train, .transform = off), "normalised", "warning", "the network sees mean 1.7",
               "Normalize(mean=[0.");
    fa_free(off);
    fa_free(transform);
    fa_free(model);
    fa_free(train);
    fa_free(testing);
    free(data);
    free(test);
}

static void test_equal_images(void **state)
{
    (void)state;
    own_data *data = draw_data(30, 1, 3), *validation = draw_data(9, 1, 4), *test = draw_data(9, 1, 5);
    memcpy(data->pixels[7], data->pixels[4], sizeof data->pixels[0]); /* both of class 1 */
    memcpy(data->pixels[8], data->pixels[4], sizeof data->pixels[0]); /* of class 2 */
    memcpy(validation->pixels[5], data->pixels[4], sizeof data->pixels[0]);
    memcpy(test->pixels[2], data->pixels[20], sizeof data->pixels[0]);
    memcpy(test->pixels[1], data->pixels[19], sizeof data->pixels[0]);
    memcpy(test->pixels[8], validation->pixels[8], sizeof data->pixels[0]);
    memcpy(validation->pixels[7], validation->pixels[1], sizeof data->pixels[0]); /* both of class 1 */
    /* One pixel off is another image, wherever it is. */
    memcpy(data->pixels[25], data->pixels[24], sizeof data->pixels[0]);
    memcpy(data->pixels[26], data->pixels[24], sizeof data->pixels[0]);
    memcpy(data->pixels[27], data->pixels[24], sizeof data->pixels[0]);
    data->pixels[25][0] ^= 1;
    data->pixels[26][13] ^= 128;
    data->pixels[27][SIDE * SIDE - 1] ^= 1;
    fa_loader *a = load(data, 5, true), *b = load(validation, 5, false), *c = load(test, 5, false);
    fa_scope {
        fa_value *report = fa_check(a, .validation = b, .test = c), *overlaps = fa_get(report, "overlaps");
        expect(report, "split", "warning", "1 of 9 validation images (11.1 %) are in train too: item 5 is item 4",
               "less");
        expect(report, "split", "warning", "2 of 9 test images (22.2 %) are in train too: item 1 is item 19", "");
        expect(report, "split", "warning", "1 of 9 test images (11.1 %) are in validation too", "");
        expect(report, "duplicates", "warning", "train: 2 of 30 images have the pixels", "");
        expect(report, "labels", "warning", "1 image stands in two classes: item 8 is item 4", "");
        assert_int_equal(fa_len(overlaps), 3);
        assert_string_equal(fa_as_string(fa_get(fa_get(fa_get(fa_value_at(overlaps, 1), "examples"), 1), 1)), "item 2");
        assert_int_equal(fa_get_int(split_of(report, 0), "duplicates"), 2);
        assert_int_equal(fa_get_int(split_of(report, 1), "duplicates"), 1);
        assert_int_equal(fa_get_int(split_of(report, 2), "duplicates"), 0);
        assert_int_equal(fa_get_int(report, "stops"), 0);
    }
    fa_free(a);
    fa_free(b);
    fa_free(c);
    free(data);
    free(validation);
    free(test);
}

static void test_labels_and_classes(void **state)
{
    (void)state;
    own_data *data = draw_data(40, 1, 6);
    for (int i = 0; i < 40; i++)
        data->label[i] = i % 20 == 0 ? 0 : 1;
    data->label[11] = -1;
    fa_loader *train = load(data, 64, false);
    fa_scope {
        fa_value *report = fa_check(train);
        expect(report, "labels", "stop", "label -1 of item 11 is outside 0..1", "");
        expect(report, "classes", "warning", "0 has 2 training items, 1 has 37", "weights");
        expect(report, "split", "unknown", "one set of items", "hold some out");
        expect(report, "layers", "unknown", "no network", "");
        expect(report, "normalised", "unknown", "pixels have mean", "Normalize(mean=[0.");
        expect(report, "batch size", "warning", "fewer items than the batch size 64", "");
        expect(report, "shuffle", "warning", "does not shuffle", ".shuffle = true");
    }
    fa_free(train);
    for (int i = 0; i < 40; i++)
        data->label[i] = 0;
    train = load(data, 64, true);
    fa_scope
        expect(fa_check(train), "classes", "stop", "1 class: there is nothing", "");
    fa_free(train);
    free(data);
}

/* ---- Files ------------------------------------------------------------------------------------------------------- */

static void make_dir(const char *name)
{
    assert_int_equal(mkdir(tempdir_file(&folder, name), 0777), 0);
}

static void copy_picture(const char *from, const char *to)
{
    char name[256];
    size_t size;
    snprintf(name, sizeof name, "tests/golden/pictures/%s", from);
    char *bytes = read_file(source_path(name), &size);
    write_file(tempdir_file(&folder, to), bytes, size);
    free(bytes);
}

static void write_pgm(const char *name, int side, int value)
{
    static char bytes[64 + 64 * 64];
    int length = snprintf(bytes, sizeof bytes, "P5 %d %d 255\n", side, side);
    memset(bytes + length, value, (size_t)side * (size_t)side);
    write_file(tempdir_file(&folder, name), bytes, (size_t)length + (size_t)side * (size_t)side);
}

static void make_pictures(void)
{
    static const char *const copied[][2] = {
        {"png_c2_8.png", "p/train/1/a.png"},      {"png_c0_16.png", "p/train/1/b.png"},
        {"png_c6_8.png", "p/train/2/a.png"},      {"jpeg_cmyk.jpg", "p/train/2/b.JPG"},
        {"jpeg_exif6.jpg", "p/train/10/a.jpeg"},  {"png_c3_8.png", "p/train/10/b.png"},
        {"jpeg_grey.jpg", "p/train/10/c.jpg"},    {"bad_jpeg_cut_half.jpg", "p/train/1/cut.jpg"},
        {"bad_empty.jpg", "p/train/2/empty.jpg"}, {"png_c2_8.png", "p/test/1/again.png"},
    };
    static const char *const dirs[] = {"p",      "p/train",  "p/train/1", "p/train/2", "p/train/10", "p/train/33",
                                       "p/test", "p/test/1", "p/test/2",  "p/test/10", "p/test/33",  "s",
                                       "s/a",    "s/b",      "w",         "w/a",       "w/b"};
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
        make_dir(dirs[i]);
    for (size_t i = 0; i < sizeof copied / sizeof *copied; i++)
        copy_picture(copied[i][0], copied[i][1]);
    write_file(tempdir_file(&folder, "p/train/1/notes.txt"), "x", 1);
    for (int i = 0; i < 6; i++) {
        char name[32];
        snprintf(name, sizeof name, "s/%s/%d.pgm", i % 2 == 0 ? "a" : "b", i);
        write_pgm(name, i == 3 ? 12 : 16, 10 * i);
    }
}

static void test_pictures(void **state)
{
    (void)state;
    fa_dataset *data = fa_image_folder(tempdir_file(&folder, "p/train"), .allow_empty = true);
    fa_dataset *others =
        fa_image_folder(tempdir_file(&folder, "p/test"), .allow_empty = true, .classes = fa_dataset_classes(data));
    fa_loader *train = fa_data_loader(data, .batch_size = 4, .shuffle = true), *test = fa_data_loader(others);
    fa_scope {
        fa_value *report = fa_check(train, .test = test, .transform = lent(fa_compose(fa_fit(8), fa_to_tensor())));
        fa_value *split = split_of(report, 0), *modes = fa_get(split, "modes"),
                 *bad = fa_get(split, "unreadable_items");
        expect(report, "items", "stop", "train: 2 of 9 items cannot be read", "mend them");
        expect(report, "items", "ok", "test: all 1 items", "");
        expect(report, "files", "warning", "notes.txt", "");
        expect(report, "classes", "stop", "1 class without a training item: 33", "allow_empty");
        expect(report, "names", "warning", "1, 10, 2, 33 are the classes 0, 1, 2", "never class numbers");
        expect(report, "classes", "warning", "test: nothing of 3 classes: 10, 2, 33", "");
        expect(report, "pictures", "warning", "1 picture carries an EXIF rotation", ".exif = true");
        expect(report, "pictures", "warning", "1 picture has transparency", ".background");
        expect(report, "pictures", "warning", "1 picture has 16 bits a channel", "");
        expect(report, "pictures", "warning", "1 picture is CMYK", "");
        expect(report, "pictures", "ok", "2 of 8 pictures are grey", "");
        expect(report, "split", "warning", "p/test/1/again.png is ", "");
        expect(report, "sizes", "ok", "which the transforms make 8 x 8", "");
        assert_int_equal(fa_get_int(modes, "RGB"), 5);
        assert_int_equal(fa_get_int(modes, "grey"), 2);
        assert_int_equal(fa_get_int(modes, "alpha"), 1);
        assert_int_equal(fa_get_int(modes, "palette"), 1);
        assert_int_equal(fa_get_int(modes, "16 bits"), 1);
        assert_int_equal(fa_get_int(modes, "CMYK"), 1);
        assert_int_equal(fa_get_int(modes, "EXIF rotation"), 1);
        assert_int_equal(fa_get_int(split, "unreadable"), 2);
        assert_contains(fa_as_string(fa_get(fa_get(bad, 0), 0)), "p/train/1/cut.jpg");
        assert_contains(fa_as_string(fa_get(fa_get(bad, 0), 1)), "cut short");
        assert_contains(fa_as_string(fa_get(fa_get(bad, 1), 0)), "p/train/2/empty.jpg");
    }
    fa_free(train);
    /* A loader that leaves bad items out is not stopped by them. */
    data = fa_image_folder(tempdir_file(&folder, "p/train"), .allow_empty = true);
    train = fa_data_loader(data, .batch_size = 4, .shuffle = true, .on_bad_item = FA_BAD_ITEM_SKIP);
    fa_scope
        expect(fa_check(train), "items", "warning", "2 of 9 items cannot be read, and are left out", "");
    fa_free(train);
    fa_free(test);
}

/* A data set that draws leaves the default generator where it stood; what is special about a picture that the program
 * has read is none of a data set's without pictures. */
static void test_draws_and_strangers(void **state)
{
    (void)state;
    uint8_t before[FA_GENERATOR_STATE_SIZE], after[FA_GENERATOR_STATE_SIZE];
    own_data *data = draw_data(9, 3, 8);
    fa_loader *flipped = fa_data_loader(fa_image_folder(tempdir_file(&folder, "s"), .transform = fa_random_crop(12)),
                                        .batch_size = 3, .shuffle = true),
              *train = load(data, 3, true);
    fa_get_rng_state(before);
    fa_scope
        expect(fa_check(flipped), "sizes", "ok", "all images are 12 x 12", "");
    fa_get_rng_state(after);
    assert_same_bytes(after, before, sizeof before);
    const int threads = fa_get_num_threads();
    fa_set_num_threads(1);
    fa_scope {
        assert_non_null(fa_read_picture(source_path("tests/golden/pictures/png_c4_16.png")));
        fa_value *modes = fa_get(split_of(fa_check(train), 0), "modes");
        assert_int_equal(fa_len(modes), 1);
        assert_int_equal(fa_get_int(modes, "RGB"), 9);
    }
    fa_set_num_threads(threads);
    fa_free(flipped);
    fa_free(train);
    free(data);
    /* Widths alone differ; and images of three bytes, in the last one. */
    write_file(tempdir_file(&folder, "w/a/0.pgm"), "P5 2 1 255\n..", 13);
    write_file(tempdir_file(&folder, "w/b/0.pgm"), "P5 3 1 255\n...", 14);
    train = fa_data_loader(fa_image_folder(tempdir_file(&folder, "w")), .batch_size = 2, .shuffle = true);
    write_file(tempdir_file(&folder, "w/b/1.pgm"), "P5 3 1 255\n..,", 14);
    fa_scope
        expect(fa_check(train), "sizes", "stop", "1 x 2 and 1 x 3", "");
    fa_free(train);
    train = fa_data_loader(fa_image_folder(tempdir_file(&folder, "w")), .batch_size = 2, .shuffle = true);
    fa_scope
        assert_int_equal(fa_get_int(split_of(fa_check(train), 0), "duplicates"), 0);
    fa_free(train);
}

/* Grey saved in three equal channels is the same image; the report does not depend on the number of threads. */
static void test_sizes_and_threads(void **state)
{
    (void)state;
    fa_loader *train = fa_data_loader(fa_image_folder(tempdir_file(&folder, "s")), .batch_size = 2, .shuffle = true);
    const int threads = fa_get_num_threads();
    char *bytes[2];
    size_t size[2];
    for (int i = 0; i < 2; i++) {
        fa_set_num_threads(i == 0 ? 1 : 3);
        fa_scope {
            fa_value *report = fa_check(train), *sizes = fa_get(split_of(report, 0), "sizes");
            expect(report, "sizes", "stop", "images have 2 sizes, and a batch needs one", "fa_fit(64)");
            assert_contains(fa_get_string(find(report, "sizes", "2 sizes"), "text"), "s/a/0.pgm");
            assert_int_equal(fa_get_int(sizes, "distinct"), 2);
            assert_int_equal(fa_as_int(fa_get(fa_get(sizes, "least"), 0)), 12);
            assert_int_equal(fa_as_int(fa_get(fa_get(sizes, "common"), 1)), 16);
            assert_int_equal(fa_get_int(sizes, "common_count"), 5);
            fa_dict_put(report, "checks", 0); /* they name the threads */
            assert_true(fa_save(report, tempdir_file(&folder, "report.pth")));
        }
        bytes[i] = read_file(tempdir_file(&folder, "report.pth"), &size[i]);
    }
    fa_set_num_threads(threads);
    assert_int_equal(size[0], size[1]);
    assert_same_bytes(bytes[0], bytes[1], size[0]);
    free(bytes[0]);
    free(bytes[1]);
    fa_scope {
        expect(fa_check(train, .transform = lent(fa_compose(fa_random_crop(14), fa_to_tensor()))), "sizes", "stop",
               "do not suit images of 12 x 12", "");
        expect(fa_check(train, .transform = lent(fa_compose(fa_fit(12), fa_to_tensor(), fa_normalize({0.5}, {0.5})))),
               "sizes", "stop", "normalize has 1 value", "");
    }
    fa_free(train);
}

/* ---- Loaders that do more ---------------------------------------------------------------------------------------- */

typedef struct growing {
    int made, ended;
} growing;

/* Images of growing sizes, from a worker's own state. */
static bool growing_item(void *user, int64_t index, fa_sample *sample)
{
    static const uint8_t pixels[40 * 40];
    const int *state = fa_sample_worker(sample);
    (void)user;
    if (state == NULL || *state != 77) {
        fa_raise(FA_DATA_ERROR, "no decoder for item %d", (int)index);
        return false;
    }
    return fa_sample_put(sample, FA_UINT8, FA_SHAPE(1, 8 + index, 8), pixels) && fa_sample_label(sample, index % 2);
}

static void *begin_growing(void *user, int worker)
{
    static int state = 77;
    assert_int_equal(worker, 0);
    ((growing *)user)->made++;
    return &state;
}

static void end_growing(void *user, void *state)
{
    assert_int_equal(*(int *)state, 77);
    ((growing *)user)->ended++;
}

static void *refuse_to_begin(void *user, int worker)
{
    (void)user, (void)worker;
    fa_raise(FA_DATA_ERROR, "no decoder to be had");
    return NULL;
}

static bool count_items(void *user, const fa_items *items, fa_sample *batch)
{
    (void)user;
    return fa_sample_label(batch, fa_items_count(items));
}

static bool number_item(void *user, int64_t index, fa_sample *sample)
{
    (void)user;
    return fa_sample_number(sample, (double)index);
}

static fa_loader *one_of_growing(growing *told, int64_t index)
{
    fa_dataset *data = fa_dataset_new(told, .count = 20, .item = growing_item);
    return fa_data_loader(fa_subset(data, &index, 1), .batch_size = 2, .user = told, .worker_init = begin_growing,
                          .worker_end = end_growing);
}

/* A worker's state is made; what .collate makes of items is not judged by the items; a batch of one takes any size. */
static void test_callbacks_of_the_loader(void **state)
{
    (void)state;
    growing told = {0};
    for (int i = 0; i < 3; i++) {
        fa_dataset *data = fa_dataset_new(&told, .count = 20, .item = growing_item);
        fa_data_loader_args args = {.dataset = data,
                                    .where_ = FA_HERE,
                                    .batch_size = i == 1 ? 1 : 4,
                                    .shuffle = true,
                                    .prefetch_factor = 2,
                                    .max_bad_items = INT64_MIN,
                                    .user = &told,
                                    .worker_init = begin_growing,
                                    .worker_end = end_growing,
                                    .collate = i == 2 ? count_items : NULL};
        fa_loader *train = fa_data_loader_at(&args);
        fa_scope {
            fa_value *report = fa_check(train);
            expect(report, "items", "ok", "all 20 items can be read", "");
            expect(report, "sizes", i == 0 ? "stop" : i == 1 ? "ok" : "unknown", "20 sizes", "");
        }
        assert_int_equal(told.made, i + 1);
        assert_int_equal(told.ended, i + 1);
        fa_free(train);
    }
    fa_loader *small = one_of_growing(&told, 0), *large = one_of_growing(&told, 2);
    fa_scope {
        expect(fa_check(small, .test = large), "sizes", "warning", "test: images are 10 x 8, and those to", "");
        fa_value *report = fa_check(small, .test = large, .transform = lent(fa_fit(8)));
        expect(report, "sizes", "ok", "test: all images are 10 x 8", "");
    }
    fa_free(small), fa_free(large);
    fa_loader *plain = fa_data_loader(fa_dataset_new(NULL, .count = 4, .item = number_item), .batch_size = 2,
                                      .shuffle = true, .collate = count_items);
    fa_scope
        expect(fa_check(plain), "items", "unknown", "of which .collate makes batches", "");
    fa_free(plain);
    fa_loader *none = fa_data_loader(fa_dataset_new(&told, .count = 20, .item = growing_item), .batch_size = 2,
                                     .worker_init = refuse_to_begin);
    assert_null(fa_check(none));
    assert_contains(fa_error(), "no decoder to be had");
    fa_clear_error();
    fa_free(none);
}

/* ---- Networks ---------------------------------------------------------------------------------------------------- */

/* What is said of a network on 8 x 8 images in colour; `items` of 3 classes in batches of 4. */
static void expect_network(fa_module *model, int64_t items, const char *name, const char *mark, const char *part,
                           const char *hint)
{
    own_data *data = draw_data(items, 3, 7);
    fa_loader *train = load(data, 4, true);
    assert_non_null(model);
    fa_scope {
        fa_value *report = fa_check(train, .model = model, .transform = lent(fa_to_tensor()));
        expect(report, name, mark, part, hint);
        assert_true(fa_ok());
    }
    fa_free(train);
    fa_free(model);
    free(data);
}

static fa_module *conv(int64_t in, int64_t out)
{
    return fa_nn_conv2d(in, out, 3, .padding = 1);
}

static void test_networks(void **state)
{
    (void)state;
    expect_network(
        fa_nn_sequential(conv(3, 10), fa_nn_max_pool2d(2), conv(10, 10), fa_nn_flatten(), fa_nn_linear(10, 3)), 24,
        "layers", "stop",
        "layer 4, Linear(in_features=10, out_features=3, bias=True): its input is 160 = 10 "
        "channels x 4 x 4",
        "in_features=160");
    expect_network(fa_nn_sequential(conv(3, 4), fa_nn_linear(256, 3)), 24, "layers", "stop", "needs to be flat",
                   "a Flatten() before it");
    expect_network(fa_nn_sequential(conv(3, 4), fa_nn_linear(9, 3)), 24, "layers", "stop", "needs to be flat",
                   "in_features=256");
    expect_network(fa_nn_sequential(conv(1, 4), fa_nn_flatten(), fa_nn_linear(256, 3)), 24, "layers", "stop",
                   "the data set gives images of 3 channels (RGB)", "write in_channels=3, or");
    expect_network(
        fa_nn_sequential(conv(3, 4), conv(5, 4), fa_nn_flatten(), fa_nn_linear(256, 3)), 24, "layers", "stop",
        "layer 1, Conv2d(5, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1)): the layer before it gives 4 "
        "channels",
        "in_channels=4");
    expect_network(fa_nn_sequential(conv(3, 4), fa_nn_batch_norm2d(8), fa_nn_flatten(), fa_nn_linear(256, 3)), 24,
                   "layers", "stop", "layer 1, BatchNorm2d(8", "num_features=4");
    expect_network(fa_nn_sequential(fa_nn_conv2d(3, 4, 9), fa_nn_flatten(), fa_nn_linear(256, 3)), 24, "layers", "stop",
                   "layer 0, Conv2d(3, 4, kernel_size=(9, 9)", "");
    expect_network(fitting_network(2), 24, "outputs", "stop",
                   "2 outputs and the data set has 3 classes: labels 2 to 2 are out of range", "out_features=3");
    expect_network(fitting_network(5), 24, "outputs", "warning", "5 outputs", "out_features=3");
    expect_network(fa_nn_sequential(conv(3, 3)), 24, "outputs", "stop", "the network gives [4, 3, 8, 8]", "Flatten()");
}

static fa_module *with_batch_norm(bool pooled)
{
    return fa_nn_sequential(conv(3, 4), pooled ? fa_nn_adaptive_avg_pool2d(1) : fa_nn_relu(), fa_nn_batch_norm2d(4),
                            fa_nn_adaptive_avg_pool2d(1), fa_nn_flatten(), fa_nn_linear(4, 3));
}

/* O18: told before the first step, by the layer; the network is as it was. */
static void test_last_batch_before_a_training(void **state)
{
    (void)state;
    fa_module *model = with_batch_norm(true), *wide = with_batch_norm(false);
    fa_eval(fa_submodule(model, "0"));
    assert_false(fa_check_last_batch(model, FA_SHAPE(3, 8, 8), 1201, 4));
    assert_contains(fa_error(), "got 1201 images in batches of 4");
    assert_contains(fa_error(), "layer 2, BatchNorm2d(4");
    fa_clear_error();
    assert_true(fa_is_training(model) && fa_is_training(fa_submodule(model, "2")));
    assert_false(fa_is_training(fa_submodule(model, "0")));
    assert_true(fa_check_last_batch(model, FA_SHAPE(3, 8, 8), 1202, 4));
    assert_true(fa_check_last_batch(wide, FA_SHAPE(3, 8, 8), 1201, 4)); /* 64 values a channel */
    fa_scope
        assert_int_equal((int)fa_item(fa_find(model, "2.num_batches_tracked")), 0);
    assert_false(fa_check_last_batch(model, FA_SHAPE(8, 8), 1201, 4));
    assert_contains(fa_error(), "needs [C, H, W]");
    fa_clear_error();
    fa_free(model);
    fa_free(wide);
}

static void test_last_batch_and_loss(void **state)
{
    (void)state;
    expect_network(with_batch_norm(true), 25, "last batch", "stop", "layer 2, BatchNorm2d(4",
                   "drop_last, another batch size, or GroupNorm");
    own_data *data = draw_data(25, 3, 7);
    fa_loader *train = load(data, 4, true);
    fa_module *model = with_batch_norm(false);
    fa_scope { /* 64 values a channel */
        fa_value *report = fa_check(train, .model = model, .transform = lent(fa_to_tensor()));
        assert_int_equal(fa_get_int(report, "stops"), 0);
        expect(report, "batch size", "ok", "7 batches of 4 an epoch, the last of 1", "");
    }
    fa_free(model);
    fa_free(train);
    train = fa_data_loader(fa_dataset_new(data, .length = own_length, .item = own_item), .batch_size = 32,
                           .drop_last = true, .shuffle = true);
    fa_loader *validation = load(data, 4, true);
    fa_scope {
        fa_value *report = fa_check(train, .validation = validation);
        expect(report, "batch size", "stop", "25 items in batches of 32 with drop_last", "smaller");
        expect(report, "shuffle", "warning", "the validation loader shuffles", "");
    }
    fa_free(validation);
    fa_free(train);
    free(data);
    expect_network(fa_nn_sequential(fitting_network(3), fa_nn_softmax(1)), 24, "loss", "warning",
                   "cannot come below 0.5514", "leave the layer out");
    expect_network(fa_nn_sequential(fitting_network(3), fa_nn_log_softmax(1)), 24, "loss", "ok", "LogSoftmax", "");
    expect_network(fa_nn_sequential(fitting_network(3), fa_nn_sigmoid()), 24, "loss", "warning", "Sigmoid",
                   "BCEWithLogitsLoss");
}

static void test_refusals(void **state)
{
    (void)state;
    assert_null(fa_check(NULL));
    assert_contains(fa_error(), "loader");
    fa_clear_error();
    assert_int_equal(sizeof(fa_surveyed), 40);
    /* Items that are no images. */
    fa_tensor *numbers = fa_zeros(10, 4), *labels = fa_zeros_with(FA_SHAPE(10), .dtype = FA_INT64);
    fa_loader *train = fa_data_loader(fa_tensor_dataset(numbers, labels), .batch_size = 2, .shuffle = true);
    fa_scope
        expect(fa_check(train), "items", "stop", "items begin with float32 [4]", "");
    fa_free(train);
}

static int make_folder(void **state)
{
    (void)state;
    folder = tempdir_new();
    make_pictures();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    tempdir_free(&folder);
    (void)lent(NULL);
    return fa_shutdown(stderr) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_wrong),
                                       cmocka_unit_test(test_equal_images),
                                       cmocka_unit_test(test_labels_and_classes),
                                       cmocka_unit_test(test_pictures),
                                       cmocka_unit_test(test_draws_and_strangers),
                                       cmocka_unit_test(test_sizes_and_threads),
                                       cmocka_unit_test(test_callbacks_of_the_loader),
                                       cmocka_unit_test(test_networks),
                                       cmocka_unit_test(test_last_batch_before_a_training),
                                       cmocka_unit_test(test_last_batch_and_loss),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
