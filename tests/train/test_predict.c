/* Predictors: the same answer from pixels, bytes and files, alone and together; what they refuse. */
#include "support/facula_test.h"

#include "facula.h"
#include "support/alloc_count.h"
#include "support/tempdir.h"

#include <pthread.h>
#include <string.h>

enum { SIDE = 12, CLASSES = 3 };
static tempdir folder;

static fa_module *make_network(int64_t channels)
{
    return fa_nn_sequential(fa_nn_conv2d(channels, 8, 3, .padding = 1), fa_nn_batch_norm2d(8), fa_nn_relu(),
                            fa_nn_dropout(0.5), fa_nn_max_pool2d(2), fa_nn_flatten(),
                            fa_nn_linear(8 * SIDE * SIDE / 4, CLASSES));
}

static char *network_text(const fa_module *model)
{
    static char text[4096];
    assert_in_range(fa_module_format(model, text, sizeof text), 1, sizeof text - 1);
    return text;
}

/* A run's checkpoint in short; what is NULL is left out. */
static const char *checkpoint(const char *name, fa_module *model, const char *transforms, bool names, bool network)
{
    const char *path = tempdir_file(&folder, name);
    fa_scope {
        fa_value *dict = fa_dict("model_state_dict", fa_state_dict(model));
        if (transforms != NULL)
            fa_dict_put(dict, "transforms", transforms);
        if (names)
            fa_dict_put(dict, "class_names", fa_list("1", "10", "2"));
        if (network)
            fa_dict_put(dict, "network", network_text(model));
        assert_true(fa_save(dict, path));
    }
    return path;
}

static const char norm3[] = "Compose(ToTensor(), Normalize(mean=[0.5, 0.4, 0.3], std=[0.2, 0.3, 0.4]))";
static uint8_t pixels[SIDE * SIDE * 3];

static void draw_pixels(void)
{
    uint64_t state = test_seed(5);
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)test_random_int(&state, 0, 255);
}

static void expect_same(const fa_prediction *got, const fa_prediction *want)
{
    assert_true(fa_ok());
    assert_int_equal(got->index, want->index);
    assert_int_equal(got->top_count, want->top_count);
    for (int k = 0; k < want->top_count; k++) {
        assert_int_equal(got->top[k].index, want->top[k].index);
        assert_same_bytes(&got->top[k].probability, &want->top[k].probability, sizeof(double));
    }
}

static void expect_error(const char *part)
{
    if (fa_ok() || strstr(fa_error(), part) == NULL)
        fail_msg("got \"%s\", needs \"%s\"", fa_error(), part);
    fa_clear_error();
}

static fa_predictor *open_colour(void)
{
    fa_manual_seed(3);
    fa_module *model = make_network(3);
    fa_predictor *p = fa_predictor_open(checkpoint("colour.pth", model, norm3, true, true));
    fa_free(model);
    if (p == NULL)
        fail_msg("%s", fa_error());
    return p;
}

/* What a program would do without a predictor. */
static void test_numbers(void **state)
{
    (void)state;
    fa_manual_seed(3);
    fa_module *model = make_network(3);
    fa_predictor *p = fa_predictor_open(checkpoint("a.pth", model, norm3, true, true));
    float all[CLASSES];
    fa_prediction got = fa_predict(p, pixels, SIDE, SIDE, 3, .probabilities = all);
    assert_true(fa_ok());
    fa_eval(model);
    fa_transform *transform = fa_transform_parse(norm3);
    fa_no_grad
        fa_scope {
            fa_tensor *image = fa_from_memory(pixels, FA_UINT8, FA_SHAPE(SIDE, SIDE, 3));
            fa_tensor *x = fa_unsqueeze(fa_transform_apply(transform, image), 0);
            fa_tensor *y = fa_softmax(fa_forward(model, x), 1);
            assert_same_bytes(all, fa_data(y), sizeof all);
            const int64_t best = (int64_t)fa_item(fa_argmax(y, 1));
            assert_int_equal(got.index, best);
            assert_true(got.probability == (double)all[best]);
        }
    static const char *const names[] = {"1", "10", "2"};
    assert_string_equal(got.name, names[got.index]);
    assert_int_equal(got.top_count, CLASSES);
    for (int k = 1; k < CLASSES; k++)
        assert_true(got.top[k - 1].probability >= got.top[k].probability);
    assert_string_equal(fa_predictor_mode(p), "RGB");
    assert_int_equal(fa_predictor_class_count(p), CLASSES);
    assert_string_equal(fa_predictor_class_name(p, 1), "10");
    assert_null(fa_predictor_class_name(p, CLASSES));
    fa_free(transform);
    fa_free(p);
    fa_free(model);
}

/* The same picture in every form that memory holds it in, and as a file. */
static void test_forms_of_pixels(void **state)
{
    (void)state;
    enum { STRIDE = SIDE * 4 + 5 };
    static uint8_t bgra[STRIDE * SIDE], flipped[SIDE * SIDE * 3];
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int c = 0; c < 3; c++) {
                const uint8_t value = pixels[(y * SIDE + x) * 3 + c];
                bgra[y * STRIDE + x * 4 + 2 - c] = value;
                bgra[y * STRIDE + x * 4 + 3] = (uint8_t)(x * 20);
                flipped[((SIDE - 1 - y) * SIDE + x) * 3 + c] = value;
            }
    char file[32 + sizeof pixels];
    int head = snprintf(file, sizeof file, "P6 %d %d 255\n", SIDE, SIDE);
    memcpy(file + head, pixels, sizeof pixels);
    const size_t size = (size_t)head + sizeof pixels;
    const char *path = tempdir_file(&folder, "a.ppm");
    write_file(path, file, size);

    fa_predictor *p = open_colour();
    const fa_prediction want = fa_predict(p, pixels, SIDE, SIDE, 3);
    fa_prediction got = fa_predict(p, bgra, SIDE, SIDE, 4, .stride = STRIDE, .bgr = true);
    expect_same(&got, &want);
    got = fa_predict(p, flipped + (SIDE - 1) * SIDE * 3, SIDE, SIDE, 3, .stride = -SIDE * 3);
    expect_same(&got, &want);
    got = fa_predict_bytes(p, file, size);
    expect_same(&got, &want);
    got = fa_predict_file(p, path);
    expect_same(&got, &want);
    got = fa_predict(p, pixels, SIDE, SIDE, 3, .bgr = true);
    assert_true(got.probability != want.probability);

    /* On a background, transparent pixels are its colour. */
    fa_predictor *white = fa_predictor_open(fa_predictor_path(p), .background = "white");
    static uint8_t clear[SIDE * SIDE * 4], full[SIDE * SIDE];
    memset(full, 255, sizeof full);
    const fa_prediction on_white = fa_predict(white, clear, SIDE, SIDE, 4), blank = fa_predict(p, full, SIDE, SIDE, 1);
    expect_same(&on_white, &blank);
    fa_free(white);
    fa_free(p);
}

/* A network that takes grey: colours become what Pillow's convert("L") makes of them. */
static void test_grey(void **state)
{
    (void)state;
    fa_module *model = make_network(1);
    fa_predictor *p = fa_predictor_open(checkpoint("grey.pth", model, "ToTensor()", true, true));
    assert_string_equal(fa_predictor_mode(p), "L");
    uint8_t grey[SIDE * SIDE];
    for (int i = 0; i < SIDE * SIDE; i++)
        grey[i] =
            (uint8_t)((19595u * pixels[3 * i] + 38470u * pixels[3 * i + 1] + 7471u * pixels[3 * i + 2] + 32768u) >> 16);
    const fa_prediction want = fa_predict(p, grey, SIDE, SIDE, 1), got = fa_predict(p, pixels, SIDE, SIDE, 3);
    expect_same(&got, &want);
    fa_free(p);
    /* Transforms that make grey of colours themselves get colours. */
    p = fa_predictor_open(
        checkpoint("grey.pth", model, "Compose(Grayscale(num_output_channels=1), ToTensor())", true, true));
    assert_string_equal(fa_predictor_mode(p), "RGB");
    const fa_prediction again = fa_predict(p, pixels, SIDE, SIDE, 3);
    expect_same(&again, &want);
    fa_free(p);
    fa_free(model);
}

/* Many at once, of two sizes, some broken: each gets the bits that it gets alone. */
static void test_many(void **state)
{
    (void)state;
    enum { MANY = 70 };
    static const char *const transform = "Compose(Resize(size=12), CenterCrop(size=12), ToTensor(), "
                                         "Normalize(mean=[0.5, 0.4, 0.3], std=[0.2, 0.3, 0.4]))";
    static uint8_t large[30 * 20 * 3];
    uint64_t random = test_seed(6);
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)test_random_int(&random, 0, 255);
    fa_module *model = make_network(3);
    fa_predictor *p = fa_predictor_open(checkpoint("many.pth", model, transform, true, true));
    fa_free(model);
    static fa_predict_picture pictures[MANY];
    static fa_prediction results[MANY], alone;
    static float all[MANY][CLASSES];
    for (int i = 0; i < MANY; i++) {
        pictures[i] = (fa_predict_picture){.pixels = pixels, .height = SIDE, .width = SIDE, .channels = 3};
        if (i % 3 == 1)
            pictures[i] = (fa_predict_picture){.pixels = large, .height = 30, .width = 20, .channels = 3};
        if (i % 20 == 7)
            pictures[i] = (fa_predict_picture){.bytes = "no picture", .size = 10, .path = "upload 7"};
    }
    pictures[40] = (fa_predict_picture){.path = "/nowhere/x.png"};
    pictures[41] = (fa_predict_picture){.path = NULL};
    assert_int_equal(fa_predict_all(p, pictures, MANY, results, .probabilities = &all[0][0]), MANY - 6);
    assert_true(fa_ok());
    assert_contains(results[7].error, "upload 7, which is no picture");
    assert_contains(results[40].error, "/nowhere/x.png");
    assert_contains(results[41].error, "without path");
    assert_int_equal(results[7].index, -1);
    assert_true(all[7][0] == 0 && all[8][0] > 0);
    for (int i = 0; i < MANY; i++)
        if (results[i].index >= 0) {
            alone = fa_predict(p, pictures[i].pixels, pictures[i].height, pictures[i].width, 3);
            expect_same(&results[i], &alone);
            assert_true(all[i][alone.index] == (float)alone.probability);
        }
    alone = fa_predict_file(p, "/nowhere/x.png");
    assert_int_equal(alone.index, -1);
    expect_error("/nowhere/x.png");
    assert_int_equal(fa_predict_all(p, pictures, -1, results), -1);
    expect_error("fewer than 0");
    fa_free(p);
}

static void *predict_often(void *predictor)
{
    for (int i = 0; i < 40; i++) {
        uint8_t own[sizeof pixels];
        memcpy(own, pixels, sizeof own);
        own[0] = (uint8_t)i;
        fa_prediction a = fa_predict(predictor, own, SIDE, SIDE, 3), b = fa_predict(predictor, pixels, SIDE, SIDE, 3);
        if (a.index < 0 || b.index < 0)
            return fa_clear_error(), NULL;
        if (i == 39)
            return memcpy(malloc(sizeof b), &b, sizeof b);
        if (i % 10 == 0) { /* an error is its thread's own */
            fa_prediction none = fa_predict(predictor, NULL, SIDE, SIDE, 3);
            if (none.index >= 0 || fa_ok())
                return NULL;
            fa_clear_error();
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    enum { THREADS = 4 };
    fa_predictor *p = open_colour();
    const fa_prediction want = fa_predict(p, pixels, SIDE, SIDE, 3);
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, predict_often, p), 0);
    for (int i = 0; i < THREADS; i++) {
        void *got;
        assert_int_equal(pthread_join(thread[i], &got), 0);
        assert_non_null(got);
        expect_same(got, &want);
        free(got);
    }
    fa_free(p);
}

static void test_steady(void **state)
{
    (void)state;
    if (!alloc_count_available())
        skip();
    fa_predictor *p = open_colour();
    for (int turn = 0; turn < 2; turn++) {
        if (turn == 1)
            alloc_count_start();
        for (int i = 0; i < 20; i++) {
            fa_prediction got = fa_predict(p, pixels, SIDE, SIDE, 3, .bgr = i % 2);
            assert_true(got.index >= 0);
        }
    }
    assert_int_equal(alloc_count_stop(), 0);
    fa_free(p);
}

/* A whole model, weights alone, a network that ends in Softmax, one in float64. */
static void test_other_files(void **state)
{
    (void)state;
    fa_predictor *colour = open_colour();
    const fa_prediction want = fa_predict(colour, pixels, SIDE, SIDE, 3);
    fa_free(colour);
    fa_manual_seed(3);
    fa_module *model = make_network(3);
    fa_transform *transform = fa_transform_parse(norm3);
    const char *path = tempdir_file(&folder, "whole.pth");
    assert_true(fa_save(model, path));
    fa_predictor *p = fa_predictor_open(path, .transform = transform, .class_names = FA_NAMES("1", "10", "2"));
    fa_prediction got = fa_predict(p, pixels, SIDE, SIDE, 3);
    expect_same(&got, &want);
    fa_free(p);

    path = tempdir_file(&folder, "weights.pth");
    fa_scope
        assert_true(fa_save(fa_state_dict(model), path));
    transform = fa_to_tensor();
    assert_null(fa_predictor_open(path, .transform = transform, .class_names = FA_NAMES("1", "10", "2")));
    fa_free(transform);
    expect_error("does not say what network");
    fa_manual_seed(9);
    fa_module *other = make_network(3);
    p = fa_predictor_open(path, .transform = fa_transform_parse(norm3), .class_names = FA_NAMES("1", "10", "2"),
                          .model = other);
    got = fa_predict(p, pixels, SIDE, SIDE, 3);
    expect_same(&got, &want);
    fa_free(p);
    fa_free(other);

    fa_module *ending = fa_nn_sequential(model, fa_nn_softmax(1));
    p = fa_predictor_open(checkpoint("softmax.pth", ending, norm3, true, true));
    got = fa_predict(p, pixels, SIDE, SIDE, 3);
    expect_same(&got, &want);
    fa_free(p);
    fa_free(ending);

    fa_manual_seed(3);
    fa_module *precise = fa_module_to_dtype(make_network(3), FA_FLOAT64);
    p = fa_predictor_open(checkpoint("precise.pth", precise, norm3, true, false), .model = precise);
    got = fa_predict(p, pixels, SIDE, SIDE, 3);
    assert_int_equal(got.index, want.index);
    assert_true(got.probability != want.probability); /* the same but for rounding */
    assert_all_close_f64(&got.probability, &want.probability, 1, 1e-5, 0);
    fa_free(p);
    fa_free(precise);
}

static void expect_refusal(const char *transforms, bool names, bool network, const char *part)
{
    fa_module *model = make_network(3);
    fa_predictor *p = fa_predictor_open(checkpoint("refused.pth", model, transforms, names, network));
    assert_null(p);
    expect_error(part);
    fa_free(model);
}

static void test_refusals(void **state)
{
    (void)state;
    expect_refusal(NULL, true, true, "does not say how pictures are prepared");
    expect_refusal(norm3, false, true, "does not name its classes");
    expect_refusal(norm3, true, false, "does not say what network");
    expect_refusal("Compose(RandomHorizontalFlip(), ToTensor())", true, true, "draw random numbers");
    expect_refusal("Resize(size=12)", true, true, "end in bytes");
    expect_refusal("Compose(Resize(size=(14, 14)), ToTensor())", true, true, "the network does not take");
    expect_refusal("Compose(Grayscale(num_output_channels=1), ToTensor())", true, true, "pictures of 1 channels");
    expect_refusal("Sharpen()", true, true, "Sharpen");
    assert_null(fa_predictor_open(tempdir_file(&folder, "nothing.pth")));
    expect_error("nothing.pth");
    assert_null(fa_predictor_open(folder.path));
    expect_error("holds no best_model.pth");
    assert_null(fa_predictor_open(NULL));
    expect_error("got no path");

    fa_predictor *p = open_colour();
    assert_null(fa_predictor_open(fa_predictor_path(p), .class_names = FA_NAMES("a", "b")));
    expect_error("3 numbers a picture, and 2 class names");
    (void)!fa_predict(p, pixels, 6, 5, 3).index;
    expect_error("needs 12 x 12. Hint: .fit = 12");
    (void)!fa_predict(p, pixels, SIDE, SIDE, 5).index;
    expect_error("5 channels");
    (void)!fa_predict(p, pixels, SIDE, SIDE, 3, .stride = 30).index;
    expect_error("stride of 30 bytes, needs at least 36");
    (void)!fa_predict(p, pixels, 0, SIDE, 3).index;
    expect_error("height 0");
    (void)!fa_predict(p, pixels, INT64_MAX, INT64_MAX, 3).index;
    assert_int_equal(fa_error_code(), FA_MEMORY_ERROR);
    fa_clear_error();
    (void)!fa_predict(NULL, pixels, SIDE, SIDE, 3).index;
    expect_error("no predictor");
    fa_predictor *fitted = fa_predictor_open(fa_predictor_path(p), .fit = SIDE);
    fa_prediction got = fa_predict(fitted, pixels, 6, 5, 3);
    assert_true(fa_ok() && got.index >= 0);
    fa_free(fitted);
    fa_free(p);
}

static int make_folder(void **state)
{
    (void)state;
    folder = tempdir_new();
    draw_pixels();
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    tempdir_free(&folder);
    return fa_shutdown(stderr) != 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_numbers),     cmocka_unit_test(test_forms_of_pixels),
                                       cmocka_unit_test(test_grey),        cmocka_unit_test(test_many),
                                       cmocka_unit_test(test_threads),     cmocka_unit_test(test_steady),
                                       cmocka_unit_test(test_other_files), cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
