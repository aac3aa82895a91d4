/* Transforms against torchvision (tests/golden/transforms.json): pixels, draws, printed form; mixup; the program's own;
 * what people ran into, and mistakes. */
#include "support/facula_test.h"

#include "base/generator.h"
#include "base/memory.h"
#include "data/object.h"
#include "facula.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cJSON *golden;

static int load(void **state)
{
    (void)state;
    FILE *file = fopen(source_path("tests/golden/transforms.json"), "rb");
    static char text[1 << 20];
    size_t size = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    if (file != NULL)
        fclose(file);
    text[size] = 0;
    golden = cJSON_Parse(text);
    return golden != NULL ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    cJSON_Delete(golden);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    fa_clear_error();
    return fa_object_count() == 0 ? 0 : -1;
}

static double number_of(const cJSON *entry, const char *key)
{
    return cJSON_GetObjectItem(entry, key)->valuedouble;
}

static const char *text_of(const cJSON *entry, const char *key)
{
    return cJSON_GetObjectItem(entry, key)->valuestring;
}

static uint64_t fnv(uint64_t hash, const void *data, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
    return hash;
}

static void draw_picture(uint8_t *pixels, int64_t i, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        pixels[k] = (uint8_t)((k * 37 + (k * k / 7) * 11 + i * 101) % 256);
}

static int64_t draw_word(void)
{
    int64_t word = fa_mt_random_int64(fa_generator_lock(NULL));
    fa_generator_unlock(NULL);
    return word;
}

static void run_case(const cJSON *entry)
{
    const char *text = text_of(entry, "text");
    int64_t h = (int64_t)number_of(entry, "height"), w = (int64_t)number_of(entry, "width");
    int64_t c = (int64_t)number_of(entry, "channels");
    static uint8_t pixels[64 * 64 * 3];
    char printed[4096];
    fa_transform *transform = fa_transform_parse(text);
    if (transform == NULL)
        fail_msg("%s\n%s", text, fa_error());
    fa_manual_seed((uint64_t)number_of(entry, "seed"));
    uint64_t hash = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < (int64_t)number_of(golden, "times"); i++)
        fa_scope {
            draw_picture(pixels, i, h * w * c);
            fa_tensor *x = fa_transform_apply(transform, fa_from_memory(pixels, FA_UINT8, FA_SHAPE(h, w, c)));
            if (x == NULL)
                fail_msg("%s\n%s", text, fa_error());
            hash = fnv(hash, fa_data(x), (size_t)fa_numel(x) * (fa_dtype_of(x) == FA_UINT8 ? 1 : 4));
        }
    if (hash != strtoull(text_of(entry, "hash"), NULL, 16))
        fail_msg("other pixels than torchvision's: %s", text);
    if (draw_word() != strtoll(text_of(entry, "word"), NULL, 10))
        fail_msg("other draws than torchvision's: %s", text);
    assert_int_equal(fa_transform_text(transform, printed, sizeof printed), strlen(text));
    assert_string_equal(printed, text);
    fa_free(transform);
}

static void test_golden(void **state)
{
    (void)state;
    const cJSON *entry;
    int n = 0;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden, "cases"))
    {
        run_case(entry);
        n++;
    }
    assert_true(n > 90);
}

static void compare(fa_tensor *got, const cJSON *want)
{
    assert_non_null(got);
    assert_int_equal(fa_numel(got), cJSON_GetArraySize(want));
    const float *x = fa_data(got);
    for (int i = 0; i < cJSON_GetArraySize(want); i++)
        assert_true(x[i] == (float)cJSON_GetArrayItem(want, i)->valuedouble);
}

static void test_mixup(void **state)
{
    (void)state;
    const cJSON *entry, *lambda;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden, "mixup")) fa_scope
    {
        double alpha = number_of(entry, "alpha");
        fa_tensor *labels = fa_from_memory(((int64_t[]){3, 0, 1, 1, 2}), FA_INT64, FA_SHAPE(5));
        float values[60];
        for (int i = 0; i < 60; i++)
            values[i] = (float)i / 7;
        fa_tensor *images = fa_from_memory(values, FA_FLOAT32, FA_SHAPE(5, 3, 2, 2));
        fa_manual_seed((uint64_t)number_of(entry, "seed"));
        fa_mixed mixed = fa_mixup(images, labels, .alpha = alpha, .num_classes = 4);
        compare(mixed.images, cJSON_GetObjectItem(entry, "images"));
        compare(mixed.labels, cJSON_GetObjectItem(entry, "labels"));
        fa_manual_seed((uint64_t)number_of(entry, "seed"));
        cJSON_ArrayForEach(lambda, cJSON_GetObjectItem(entry, "lambda"))
        {
            double got = fa_mixup(images, labels, .alpha = alpha, .num_classes = 4).lambda;
            assert_true(got == lambda->valuedouble);
        }
    }
}

/* O15: reducing averages. A row 0, 0, 255, 255 becomes 36, 219; a checkerboard of single pixels becomes even grey. */
static void test_antialias(void **state)
{
    (void)state;
    fa_transform *half = fa_resize(.size_hw = {1, 2}), *eighth = fa_resize(8);
    fa_scope {
        fa_tensor *row = fa_from_memory(((uint8_t[]){0, 0, 255, 255}), FA_UINT8, FA_SHAPE(1, 4));
        const uint8_t *p = fa_data(fa_transform_apply(half, row));
        assert_true(p[0] == 36 && p[1] == 219);
        uint8_t board[64 * 64];
        for (int i = 0; i < 64 * 64; i++)
            board[i] = (i / 64 + i % 64) % 2 ? 255 : 0;
        p = fa_data(fa_transform_apply(eighth, fa_from_memory(board, FA_UINT8, FA_SHAPE(64, 64))));
        for (int i = 0; i < 64; i++)
            assert_true(p[i] >= 126 && p[i] <= 129);
    }
    fa_free(half), fa_free(eighth);
}

/* ---- One's own --------------------------------------------------------------------------------------------------- */

typedef struct own {
    atomic_int destroyed;
    bool fails;
} own;

static bool add_drawn(void *user, const fa_image *in, const double *draws, fa_image *out)
{
    own *mine = user;
    if (mine->fails)
        return false;
    for (int64_t i = 0; i < out->height * out->width; i++)
        ((float *)out->pixels)[i] =
            ((const uint8_t *)in->pixels)[i * in->channels] + (float)(draws[0] + draws[1] + draws[2]);
    return true;
}

static bool first_channel(void *user, fa_image *image)
{
    (void)user;
    image->floats = true;
    image->channels = 1;
    return true;
}

static void draw_three(void *user, fa_draws *from, double *draws)
{
    (void)user;
    draws[0] = fa_draw_uniform(from, 0, 1);
    draws[1] = (double)fa_draw_randint(from, 3, 9);
    draws[2] = fa_draw_normal(from, 0, 1);
}

static void end_own(void *user)
{
    atomic_fetch_add(&((own *)user)->destroyed, 1);
}

static void test_lambda(void **state)
{
    (void)state;
    own mine = {.fails = false};
    fa_transform *t =
        fa_lambda(&mine, .apply = add_drawn, .form = first_channel, .draw = draw_three, .draws = 3, .destroy = end_own);
    uint8_t pixels[2 * 3 * 3] = {5};
    fa_scope {
        fa_tensor *image = fa_from_memory(pixels, FA_UINT8, FA_SHAPE(2, 3, 3));
        fa_manual_seed(4);
        fa_tensor *x = fa_transform_apply(t, image);
        assert_non_null(x);
        assert_true(fa_ndim(x) == 3 && fa_size(x, 0) == 1 && fa_dtype_of(x) == FA_FLOAT32);
        fa_manual_seed(4);
        float u, z;
        int64_t k;
        fa_mt *mt = fa_generator_lock(NULL);
        fa_mt_uniform_f32(mt, &u, 1, 0, 1);
        fa_mt_randint(mt, &k, 1, 3, 9);
        fa_mt_normal_f32(mt, &z, 1, 0, 1);
        fa_generator_unlock(NULL);
        assert_true(((const float *)fa_data(x))[0] == 5 + (float)((double)u + (double)k + (double)z));
        mine.fails = true;
        assert_null(fa_transform_apply(t, image));
        assert_contains(fa_error(), "got false from the apply callback");
        fa_clear_error();
    }
    fa_free(t);
    assert_int_equal(mine.destroyed, 1);
    assert_null(fa_lambda(&mine, .form = first_channel, .destroy = end_own));
    assert_contains(fa_error(), "got no apply callback");
    assert_int_equal(mine.destroyed, 2);
}

/* ---- Fills ------------------------------------------------------------------------------------------------------- */

static fa_tensor *apply_once(fa_transform *transform, fa_tensor *image)
{
    fa_tensor *y = transform != NULL ? fa_transform_apply(transform, image) : NULL;
    fa_transform_free(transform);
    return y;
}

/* One number a channel; of floats too; zeros at the end are told by .channels. */
static void test_fills(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *bytes = fa_from_memory(((uint8_t[]){7, 8, 9}), FA_UINT8, FA_SHAPE(1, 1, 3));
        const uint8_t *p = fa_data(apply_once(fa_pad_image(.padding_ltrb = {1, 0, 0, 0}, .fills = {1, 2, 3}), bytes));
        assert_memory_equal(p, ((uint8_t[]){1, 2, 3, 7, 8, 9}), 6);
        p = fa_data(apply_once(
            fa_pad_image(.padding_ltrb = {0, 0, 1, 0}, .fill = 4, .fills = {255, 0, 0}, .channels = 3), bytes));
        assert_memory_equal(p, ((uint8_t[]){7, 8, 9, 255, 0, 0}), 6);
        p = fa_data(apply_once(fa_pad_image(.padding_ltrb = {0, 0, 1, 0}, .fills = {5}, .channels = 1), bytes));
        assert_memory_equal(p, ((uint8_t[]){7, 8, 9, 5, 5, 5}), 6);
        p = fa_data(
            apply_once(fa_random_rotation(.degrees_range = {30, 30}, .fills = {1, 2, 3}, .expand = true), bytes));
        assert_memory_equal(p, ((uint8_t[]){1, 2, 3}), 3);
        fa_tensor *floats = apply_once(fa_to_tensor(), bytes);
        const float *x = fa_data(
            apply_once(fa_random_crop(.size_hw = {1, 3}, .padding_ltrb = {0, 0, 2, 0}, .fills = {0.5, -1, 2}), floats));
        assert_true(x[1] == 0.5f && x[4] == -1 && x[8] == 2 && x[3] == (float)8 / 255);
    }
}

/* ---- Mistakes ---------------------------------------------------------------------------------------------------- */

#define REFUSED(call, part)                                                                                            \
    do {                                                                                                               \
        assert_null(call);                                                                                             \
        assert_contains(fa_error(), part);                                                                             \
        fa_clear_error();                                                                                              \
    } while (0)

static void test_mistakes(void **state)
{
    (void)state;
    const double nan = __builtin_nan("");
    REFUSED(fa_resize(0), "got size 0 x 0");
    REFUSED(fa_resize(64, .max_size = 64), "got max_size 64 with size 64");
    REFUSED(fa_resize(.size_hw = {4, 5}, .max_size = 9), "and another");
    REFUSED(fa_resize(4, .interpolation = (fa_interpolation)11), "got interpolation 11");
    REFUSED(fa_center_crop(-3), "got size -3 x -3");
    REFUSED(fa_pad_image(-1), "got padding -1");
    REFUSED(fa_random_resized_crop(8, .scale = {0.5, 0.1}), "got scale {0.5, 0.1}");
    REFUSED(fa_random_resized_crop(8, .ratio = {0, 1}), "ratio {0, 1}");
    REFUSED(fa_random_rotation(-4), "got degrees from 4 to -4");
    REFUSED(fa_random_rotation(nan), "degrees");
    REFUSED(fa_random_rotation(4, .interpolation = FA_INTERPOLATION_LANCZOS), "got interpolation 5");
    REFUSED(fa_random_rotation(4, .fills = {1, 2, 3}, .channels = 2), "got 3 fills and .channels = 2");
    REFUSED(fa_random_crop(4, .channels = 17), "got 0 fills and .channels = 17");
    REFUSED(fa_random_affine(4, .translate = {0.1, 1.1}), "got translate 1.1");
    REFUSED(fa_random_affine(4, .scale = {2, 1}), "got scale {2, 1}");
    REFUSED(fa_random_affine(4, .shear = -1), "got shear from 1 to -1");
    REFUSED(fa_color_jitter(-0.5), "got brightness -0.5");
    REFUSED(fa_color_jitter(0, 0, 0, 0.6), "got hue from -0.6 to 0.6, needs -0.5 to 0.5");
    REFUSED(fa_grayscale(2), "got 2 channels");
    REFUSED(fa_random_grayscale(2), "got p = 2");
    REFUSED(fa_random_erasing(2), "got p = 2");
    REFUSED(fa_random_erasing(0.5, .scale = {0.5, 1.5}), "got scale {0.5, 1.5}");
    REFUSED(fa_fit(0), "got size 0 x 0");
    fa_transform *flip = fa_random_horizontal_flip();
    REFUSED(fa_random_apply(1.5, flip), "got p = 1.5");
    fa_free(flip);
    fa_scope {
        fa_tensor *bytes = fa_zeros_with(FA_SHAPE(5, 6, 3), .dtype = FA_UINT8);
        fa_tensor *floats = fa_zeros(3, 5, 6), *four = fa_zeros_with(FA_SHAPE(5, 6, 4), .dtype = FA_UINT8);
        REFUSED(apply_once(fa_resize(4), floats), "Hint: put it before fa_to_tensor()");
        REFUSED(apply_once(fa_color_jitter(0.4), four), "got images of 4 channels");
        REFUSED(apply_once(fa_random_rotation(4, .fill = 256), bytes), "got fill 256");
        REFUSED(apply_once(fa_random_affine(4, .fills = {1, 2, 3, 4}), bytes), "got 4 fills for images of 3 channels");
        REFUSED(apply_once(fa_pad_image(1, .fills = {255}), bytes), "got 1 fills for images of 3 channels");
        REFUSED(apply_once(fa_random_crop(4, .fills = {1, 0.5, 2}), bytes), "got fill 0.5");
        REFUSED(apply_once(fa_random_apply(0.5, fa_random_rotation(4, .expand = true)), bytes),
                "got random_rotation, which gives images another form");
        REFUSED(apply_once(fa_compose(fa_random_rotation(.degrees_range = {90, 90}, .expand = true),
                                      fa_random_crop(.size_hw = {5, 6})),
                           bytes),
                "got images of 6 x 5 pixels");
        REFUSED(apply_once(fa_random_erasing(), bytes), "Hint: put it after fa_to_tensor()");
        REFUSED(apply_once(fa_random_erasing(1, .values = {1, 2}, .channels = 2), floats), "got 2 values");
        REFUSED(apply_once(fa_random_apply(0.5, fa_grayscale(1)), bytes),
                "got grayscale, which gives images another form");
        REFUSED(apply_once(fa_resize(1 << 24), bytes), "which would become");
    }
}

static void test_texts(void **state)
{
    (void)state;
    char text[512];
    fa_transform *fit = fa_fit(32);
    fa_transform_text(fit, text, sizeof text);
    assert_string_equal(text, "Compose(\n    Resize(size=32, interpolation=bilinear, max_size=None, antialias=True)\n"
                              "    CenterCrop(size=(32, 32))\n)");
    assert_int_equal(fa_transform_text(fit, text, 8), 115);
    assert_string_equal(text, "Compose");
    fa_free(fit);
    fa_transform *crop = fa_random_crop(4, .pad_if_needed = true, .fill = 3, .padding_mode = FA_PADDING_EDGE);
    fa_transform_text(crop, text, sizeof text);
    assert_string_equal(text, "RandomCrop(size=(4, 4), padding=None, pad_if_needed=True, fill=3, padding_mode=edge)");
    fa_transform *again = fa_transform_parse(text);
    char second[512];
    fa_transform_text(again, second, sizeof second);
    assert_string_equal(text, second);
    fa_free(crop), fa_free(again);
    fa_transform *scientific = fa_normalize({1e-5}, {1e16});
    fa_transform_text(scientific, text, sizeof text);
    assert_string_equal(text, "Normalize(mean=[1e-05], std=[1e+16])");
    fa_free(scientific);
    REFUSED(fa_transform_parse("Compose(ToTensor()"), "needs a name or ')'");
    fa_transform *none = fa_transform_parse("RandomAffine(10, shear=0)"); /* unlike None it draws */
    fa_transform_text(none, text, sizeof text);
    assert_string_equal(text, "RandomAffine(degrees=[-10.0, 10.0], shear=[0.0, 0.0])");
    fa_free(none);
    fa_free(fa_transform_parse("Resize(4, antialias=warn), RandomErasing(p=None, inplace=True)"));
    assert_true(fa_ok());
    REFUSED(fa_transform_parse("Lambda()"), "a callback cannot");
    REFUSED(fa_transform_parse("Blur(3)"), "got Blur");
    REFUSED(fa_transform_parse("RandomRotation(10, fill=2e308)"), "a number");
    REFUSED(fa_transform_parse("Resize(1e999)"), "a number");
    char deep[256] = "";
    for (int i = 0; i < 8; i++)
        strcat(deep, "Compose(");
    strcat(deep, "ToTensor()))))))))");
    fa_transform_free(fa_transform_parse(deep));
    assert_true(fa_ok());
    strcat(deep, ", ToTensor()"); /* a Compose around both */
    REFUSED(fa_transform_parse(deep), "fewer transforms inside each other");
    REFUSED(fa_transform_parse("ToTensor(3)"), "needs a name or ')'");
    REFUSED(fa_transform_parse("RandomHorizontalFlip(0.5, 1)"), "needs a name or ')'");
    REFUSED(fa_transform_parse("ToTensor([ToTensor()])"), "needs a name or ')'");
    REFUSED(fa_transform_parse("RandomErasing(value=\"random)"), "closing quote");
    REFUSED(fa_transform_parse("Blur(size=3)"), "got Blur");
    REFUSED(fa_transform_parse("ToTensor(size=3)"), "has no such option");
    REFUSED(fa_transform_parse("RandomHorizontalFlip(p=x)"), "got RandomHorizontalFlip(p=x), needs a number");
    REFUSED(fa_transform_parse("RandomHorizontalFlip((0.1, 0.2))"), "p=(0.1, 0.2)), needs a number");
    REFUSED(fa_transform_parse("RandomCrop((1, 2, 3))"), "needs 1 or 2 whole numbers");
    REFUSED(fa_transform_parse("RandomCrop(8, padding=foo)"), "got RandomCrop(padding=foo), needs 1, 2 or 4 whole");
    REFUSED(fa_transform_parse("RandomCrop(8, padding=(1, 2, 3))"), "needs 1, 2 or 4 whole numbers");
    REFUSED(fa_transform_parse("RandomCrop(8, padding=1.5)"), "needs 1, 2 or 4 whole numbers");
    REFUSED(fa_transform_parse("RandomCrop(8, pad_if_needed=1)"), "needs True or False");
    REFUSED(fa_transform_parse("RandomCrop(8, padding_mode=edgy)"), "needs constant, edge, reflect or symmetric");
    REFUSED(fa_transform_parse("RandomCrop(8, size=3)"), "got size twice");
    REFUSED(fa_transform_parse("RandomAffine(10, translate=0.1)"), "needs 2 numbers");
    REFUSED(fa_transform_parse("RandomErasing(value=foo)"), "or random");
    REFUSED(fa_transform_parse("RandomResizedCrop(8, scale=(0.5,))"), "needs 2 numbers");
    REFUSED(fa_transform_parse("Normalize(0.5, nan)"), "got Normalize(std=nan), needs numbers");
    REFUSED(fa_transform_parse("Normalize((0.5,), (0.5, 0.5))"), "1 mean and 2 stds");
    REFUSED(fa_transform_parse("Normalize(0.5)"), "1 mean and 0 stds");
    REFUSED(fa_transform_parse("ToTensor(ToTensor())"), "needs none there");
    REFUSED(fa_transform_parse("ToTensor() x"), "got x");
    REFUSED(fa_transform_parse("ToTensor() )"), "needs a transform's name");
    REFUSED(fa_transform_parse("ToTensor"), "needs '('");
    REFUSED(fa_transform_parse("Resize(size=(4, x))"), "needs a number");
    REFUSED(fa_transform_parse("Normalize(mean=[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17], std=[1])"),
            "fewer numbers");
    REFUSED(fa_transform_parse("Compose(Compose(Compose(Compose(Compose(Compose(Compose(Compose(Compose(Compose("),
            "inside each other");
    REFUSED(fa_transform_parse(""), "needs a transform's name");
    REFUSED(fa_transform_parse(NULL), "got no text");
    REFUSED(fa_transform_parse("Pad(padding=3, padding_mode=wrap)"), "got Pad(padding_mode=wrap), needs constant");
}

/* What stands in a Python program, and how torchvision prints the transform that it makes. */
static void test_python_texts(void **state)
{
    (void)state;
    static const char *const texts[][2] = {
        {"RandomCrop(28, padding=2)", "RandomCrop(size=(28, 28), padding=2)"},
        {"RandomCrop((4, 6), 1, True, 0, 'reflect')",
         "RandomCrop(size=(4, 6), padding=1, pad_if_needed=True, padding_mode=reflect)"},
        {"RandomRotation(10)", "RandomRotation(degrees=[-10.0, 10.0], interpolation=nearest, expand=False, fill=0)"},
        {"RandomRotation((0, 10), InterpolationMode.BILINEAR)",
         "RandomRotation(degrees=[0.0, 10.0], interpolation=bilinear, expand=False, fill=0)"},
        {"RandomRotation(10, expand=True, fill=(124, 116, 104))",
         "RandomRotation(degrees=[-10.0, 10.0], interpolation=nearest, expand=True, fill=(124, 116, 104))"},
        {"RandomRotation(10, 'bilinear', True, (3, 4), [255, 0, 0])",
         "RandomRotation(degrees=[-10.0, 10.0], interpolation=bilinear, expand=True, center=(3, 4), fill=(255, 0, 0))"},
        {"RandomAffine(5, fill=(0, 0, 0))", "RandomAffine(degrees=[-5.0, 5.0], fill=(0, 0, 0))"},
        {"Pad(3, (7,))", "Pad(padding=3, fill=(7,), padding_mode=constant)"},
        {"RandomCrop(28, 4, fill=(1.5, -2, 3))", "RandomCrop(size=(28, 28), padding=4, fill=(1.5, -2, 3))"},
        {"ColorJitter(0.2, contrast=0.5)",
         "ColorJitter(brightness=(0.8, 1.2), contrast=(0.5, 1.5), saturation=None, hue=None)"},
        {"RandomAffine(5, translate=(0.1, 0.2), shear=3)",
         "RandomAffine(degrees=[-5.0, 5.0], translate=(0.1, 0.2), shear=[-3.0, 3.0])"},
        {"transforms.Normalize((0.1307,), (0.3081,))", "Normalize(mean=[0.1307], std=[0.3081])"},
        {"T.Compose([T.RandomHorizontalFlip(), T.ToTensor()])",
         "Compose(\n    RandomHorizontalFlip(p=0.5)\n    ToTensor()\n)"},
        {"RandomHorizontalFlip(0.25), ToTensor()", "Compose(\n    RandomHorizontalFlip(p=0.25)\n    ToTensor()\n)"},
        {"RandomErasing(value='random')",
         "RandomErasing(p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=random, inplace=False)"},
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char printed[512];
        fa_transform *transform = fa_transform_parse(texts[i][0]);
        if (transform == NULL)
            fail_msg("%s\n%s", texts[i][0], fa_error());
        fa_transform_text(transform, printed, sizeof printed);
        assert_string_equal(printed, texts[i][1]);
        fa_free(transform);
    }
    fa_transform *apply = fa_transform_parse("RandomApply(transforms=[CenterCrop(4)], p=0.25)");
    assert_non_null(apply);
    fa_free(apply);
}

static void test_mixup_mistakes(void **state)
{
    (void)state;
    fa_scope {
        fa_tensor *x = fa_zeros(2, 3), *y = fa_from_memory(((int64_t[]){0, 1}), FA_INT64, FA_SHAPE(2));
        REFUSED(fa_mixup(x, y).images, "got num_classes 0");
        REFUSED(fa_mixup(x, y, .num_classes = 3, .alpha = 0).images, "got alpha 0");
        REFUSED(fa_mixup(y, y, .num_classes = 3).images, "needs images of float32");
        REFUSED(fa_mixup(fa_zeros(3, 3), y, .num_classes = 3).images, "do not fit the images");
        REFUSED(fa_mixup(x, fa_zeros(2, 4), .num_classes = 3).images, "got num_classes 3 and labels of 4 classes");
        REFUSED(fa_mixup(NULL, y).images, "got no images");
    }
}

/* No memory at any place of making and applying: an error, nothing lost. */
static void test_no_memory(void **state)
{
    (void)state;
    int failures = 0;
    for (long n = 1; n < 120; n++)
        fa_scope {
            fa_tensor *image = fa_zeros_with(FA_SHAPE(9, 8, 3), .dtype = FA_UINT8);
            (void)fa_data(image);
            fa_buffer_pool_trim();
            fa_memory_fail_after(n);
            fa_transform *t = fa_transform_parse(
                "Compose(Resize(size=12), RandomRotation(45, expand=True), RandomResizedCrop(size=(6, 6)), "
                "RandomApply(p=1.0 RandomHorizontalFlip() "
                "ColorJitter(brightness=(0.5, 1.5))) ToTensor() RandomErasing(p=1.0, value=random))");
            if (t != NULL)
                (void)!fa_transform_apply(t, image);
            fa_memory_fail_after(0);
            assert_true(fa_ok() || fa_error_code() == FA_MEMORY_ERROR);
            failures += !fa_ok();
            fa_clear_error();
            fa_transform_free(t);
            assert_int_equal(fa_object_count(), 0);
        }
    assert_true(failures > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_golden, clean),       cmocka_unit_test_teardown(test_mixup, clean),
        cmocka_unit_test_teardown(test_antialias, clean),    cmocka_unit_test_teardown(test_lambda, clean),
        cmocka_unit_test_teardown(test_mistakes, clean),     cmocka_unit_test_teardown(test_texts, clean),
        cmocka_unit_test_teardown(test_python_texts, clean), cmocka_unit_test_teardown(test_mixup_mistakes, clean),
        cmocka_unit_test_teardown(test_no_memory, clean),    cmocka_unit_test_teardown(test_fills, clean),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
