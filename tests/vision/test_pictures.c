/* Pictures against Pillow on the table that tests/golden/make_pictures.py makes; damaged ones and their messages; what
 * people ran into; limits, options, notes, memory. */
#include "support/facula_test.h"

#include "base/memory.h"
#include "facula.h"
#include "support/alloc_count.h"
#include "vision/picture.h"

#include <cjson/cJSON.h>
#include <libdeflate.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cJSON *table;

static char *read_whole(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    char *bytes = malloc(*size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, *size, file), *size);
    bytes[*size] = 0;
    fclose(file);
    return bytes;
}

static int load(void **state)
{
    (void)state;
    size_t size;
    char *text = read_whole(source_path("tests/golden/pictures.json"), &size);
    table = cJSON_Parse(text);
    free(text);
    return table != NULL ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    cJSON_Delete(table);
    fa_picture_reader_free();
    return 0;
}

static int clean(void **state)
{
    (void)state;
    fa_clear_error();
    return 0;
}

static const char *picture_path(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof path, "%s/%s", source_path("tests/golden/pictures"), name);
    return path;
}

static const char *text_of(const cJSON *entry, const char *key)
{
    const cJSON *item = cJSON_GetObjectItem(entry, key);
    return item != NULL ? item->valuestring : NULL;
}

static int64_t number_of(const cJSON *entry, const char *key, int64_t otherwise)
{
    const cJSON *item = cJSON_GetObjectItem(entry, key);
    return item != NULL ? (int64_t)item->valuedouble : otherwise;
}

static bool can_read(const char *name)
{
#ifndef FA_HAVE_WEBP
    if (strstr(name, "webp") != NULL) /* the library that reads them was left out */
        return false;
#endif
    (void)name;
    return true;
}

static uint64_t fnv(const uint8_t *data, int64_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 0x100000001b3u;
    return hash;
}

static void check_hash(const cJSON *entry, const char *mode, const char *key)
{
    const char *name = text_of(entry, "file");
    fa_tensor *x = fa_read_picture(picture_path(name), .mode = mode);
    if (x == NULL)
        fail_msg("%s: %s", name, fa_error());
    assert_int_equal(fa_size(x, 0), number_of(entry, "height", 0));
    assert_int_equal(fa_size(x, 1), number_of(entry, "width", 0));
    assert_int_equal(fa_size(x, 2), strcmp(mode, "RGB") == 0 ? 3 : 1);
    if (fnv(fa_data(x), fa_numel(x)) != strtoull(text_of(entry, key), NULL, 16))
        fail_msg("%s: other pixels than Pillow's in mode %s", name, mode);
}

static void check_near(const cJSON *entry, const char *reference)
{
    fa_tensor *x = fa_read_picture(picture_path(text_of(entry, "file")));
    fa_tensor *y = fa_read_picture(picture_path(reference));
    if (x == NULL || y == NULL)
        fail_msg("%s", fa_error());
    assert_int_equal(fa_numel(x), fa_numel(y));
    assert_int_equal(fa_size(x, 1), fa_size(y, 1));
    const uint8_t *a = fa_data(x), *b = fa_data(y);
    for (int64_t i = 0; i < fa_numel(x); i++)
        if (abs(a[i] - b[i]) > 1)
            fail_msg("%s: value %lld is %d, Pillow's is %d", text_of(entry, "file"), (long long)i, a[i], b[i]);
}

static void test_table(void **state)
{
    (void)state;
    const cJSON *entry;
    int exact = 0, near = 0;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(table, "pictures"))
    {
        const char *reference = text_of(entry, "want");
        if (!can_read(text_of(entry, "file")))
            continue;
        fa_scope {
            if (reference != NULL) {
                check_near(entry, reference);
                near++;
            } else {
                check_hash(entry, "RGB", "rgb");
                check_hash(entry, "L", "grey");
                exact++;
            }
        }
    }
    assert_true(exact > 60 && near > 15);
}

static void test_damaged(void **state)
{
    (void)state;
    const cJSON *entry, *word;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(table, "bad"))
    {
        const char *name = text_of(entry, "file");
        if (!can_read(name))
            continue;
        if (fa_read_picture(picture_path(name)) != NULL)
            fail_msg("%s was read", name);
        assert_int_equal(fa_error_code(), FA_FILE_ERROR);
        assert_contains(fa_error(), name);
        assert_contains(fa_error(), "needs");
        cJSON_ArrayForEach(word, cJSON_GetObjectItem(entry, "words")) assert_contains(fa_error(), word->valuestring);
        fa_clear_error();
    }
}

/* Every beginning of a picture is an error, or, where nothing that matters is missing, the picture; never anything
 * else. */
static void test_cut_everywhere(void **state)
{
    (void)state;
    static const char *const names[] = {"png_c3_4_adam7.png", "jpeg_420_2.jpg",    "jpeg_exif6.jpg",
                                        "bmp_rle8.bmp",       "bmp_16_565.bmp",    "pnm_p2.pgm",
                                        "pnm_p6_max1000.ppm", "webp_lossless.webp"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        if (!can_read(names[k]))
            continue;
        size_t size;
        char *bytes = read_whole(picture_path(names[k]), &size);
        for (size_t cut = 0; cut < size; cut++)
            fa_scope {
                char *part = malloc(cut > 0 ? cut : 1); /* of its own, so that a read beyond it is seen */
                assert_non_null(part);
                memcpy(part, bytes, cut);
                fa_tensor *x = fa_decode_picture(part, cut);
                if (x != NULL ? cut + 4 < size : fa_error_code() != FA_FILE_ERROR)
                    fail_msg("%s cut after %zu of %zu bytes: '%s'", names[k], cut, size, fa_error());
                fa_clear_error();
                free(part);
            }
        free(bytes);
    }
}

/* ---- What people ran into ---------------------------------------------------------------------------------------- */

/* O08: grey of 16 bits is not clipped to white. */
static void test_sixteen_bits(void **state)
{
    (void)state;
    const uint8_t *p = fa_data(fa_read_picture(picture_path("png_one_value_40000.png")));
    assert_int_equal(p[0], 156);
    fa_transform *to_tensor = fa_to_tensor();
    fa_tensor *x = fa_transform_apply(to_tensor, fa_read_picture(picture_path("png_one_value_40000.png")));
    assert_true(fabsf(((const float *)fa_data(x))[0] - 0.6118f) < 1e-4f);
    fa_free(to_tensor);
}

/* O09: alpha is dropped by one rule, or the picture is laid on a colour. */
static void test_transparency(void **state)
{
    (void)state;
    const char *path = picture_path("png_1x1_rgba.png");
    static const struct {
        const char *background;
        uint8_t rgb[3];
    } cases[] = {{NULL, {10, 20, 30}}, {"white", {255, 255, 255}}, {"black", {0, 0, 0}}, {"#0180fF", {1, 128, 255}}};
    for (int i = 0; i < 4; i++) {
        const uint8_t *p = fa_data(fa_read_picture(path, .background = cases[i].background));
        assert_same_bytes(p, cases[i].rgb, 3);
    }
    /* a colour that is transparent, and a palette's */
    const uint8_t *plain = fa_data(fa_read_picture(picture_path("png_rgb_transparent.png")));
    const uint8_t *laid = fa_data(fa_read_picture(picture_path("png_rgb_transparent.png"), .background = "white"));
    assert_true(memcmp(laid, "\xff\xff\xff", 3) == 0 && memcmp(plain, "\xff\xff\xff", 3) != 0);
    assert_same_bytes(plain + 3, laid + 3, 5 * 6 * 3 - 3);
    fa_tensor *palette = fa_read_picture(picture_path("png_c3_4_adam7.png"), .background = "#808080");
    assert_int_equal(fa_size(palette, 2), 3);
    assert_int_equal(fa_size(fa_read_picture(picture_path("png_c4_8.png"), .background = "white", .mode = "L"), 2), 1);
    assert_null(fa_read_picture(path, .background = "pink"));
    assert_contains(fa_error(), "got background \"pink\"");
}

/* O10: all eight orientations come out upright when asked for: red on the left. */
static void test_exif(void **state)
{
    (void)state;
    char name[64];
    /* where the stored left half lies, upright */
    static const char *const side[] = {"", "left", "right", "right", "left", "top", "top", "bottom", "bottom"};
    for (int orientation = 1; orientation <= 8; orientation++)
        fa_scope {
            snprintf(name, sizeof name, "jpeg_exif%d.jpg", orientation);
            fa_tensor *stored = fa_read_picture(picture_path(name)),
                      *x = fa_read_picture(picture_path(name), .exif = true);
            assert_int_equal(fa_size(stored, 0), 16);
            assert_int_equal(fa_size(x, 0), orientation >= 5 ? 32 : 16);
            assert_int_equal(fa_size(x, 1), orientation >= 5 ? 16 : 32);
            const uint8_t *p = fa_data(x);
            int64_t w = fa_size(x, 1), h = fa_size(x, 0);
            const char *where = p[0] > 200 && p[(w - 1) * 3] > 200                           ? "top"
                                : p[0] > 200                                                 ? "left"
                                : p[((h - 1) * w + w - 1) * 3] > 200 && p[(w - 1) * 3] > 200 ? "right"
                                                                                             : "bottom";
            assert_string_equal(where, side[orientation]);
        }
    /* other formats carry it too */
    assert_int_equal(fa_size(fa_read_picture(picture_path("png_exif6.png"), .exif = true), 0), 9);
}

static void test_notes(void **state)
{
    (void)state;
    char text[1024];
    fa_picture_notes_reset();
    assert_int_equal(fa_picture_notes(text, sizeof text), 0);
    (void)!fa_read_picture(picture_path("jpeg_exif3.jpg"));
    (void)!fa_read_picture(picture_path("jpeg_exif6.jpg"));
    (void)!fa_read_picture(picture_path("png_1x1_rgba.png"));
    (void)!fa_read_picture(picture_path("png_c0_16.png"), .mode = "L");
    size_t length = fa_picture_notes(text, sizeof text);
    assert_int_equal(length, strlen(text));
    assert_contains(text, "2 pictures carry an EXIF rotation that was not applied");
    assert_contains(text, "1 picture has transparency");
    assert_contains(text, "1 picture has 16 bits a channel");
    assert_int_equal(fa_picture_notes(text, 10), length);
    assert_int_equal(strlen(text), 9);
    fa_picture_notes_reset();
    (void)!fa_read_picture(picture_path("jpeg_exif6.jpg"), .exif = true);
    assert_int_equal(fa_picture_notes(text, sizeof text), 0);
}

/* ---- Limits, mistakes -------------------------------------------------------------------------------------------- */

#define REFUSED(call, part)                                                                                            \
    do {                                                                                                               \
        assert_null(call);                                                                                             \
        assert_contains(fa_error(), part);                                                                             \
        fa_clear_error();                                                                                              \
    } while (0)

static void test_limits_and_mistakes(void **state)
{
    (void)state;
    const char *path = picture_path("jpeg_420_0.jpg");
    REFUSED(fa_read_picture(path, .max_pixels = 37 * 45 - 1), "has 45 x 37 pixels, needs at most 1664 in all");
    assert_non_null(fa_read_picture(path, .max_pixels = 37 * 45));
    REFUSED(fa_read_picture(path, .max_pixels = -1), "got max_pixels -1");
    REFUSED(fa_read_picture(path, .mode = "CMYK"), "got mode \"CMYK\"");
    REFUSED(fa_read_picture(NULL), "got no path");
    REFUSED(fa_read_picture("no/such/file.png"), "could not open no/such/file.png");
    REFUSED(fa_read_picture(source_path("tests")), "no regular file");
    REFUSED(fa_decode_picture(NULL, 5), "got no bytes");
    REFUSED(fa_decode_picture("P6 junk", 7, .name = "upload 7"), "got upload 7, a PNM picture");
    REFUSED(fa_decode_picture("", 0), "got the picture, which is empty");
}

/* A picture whose header speaks of 6000 x 6000 pixels; `at`: where the header has height and width. */
static uint8_t *swollen(const char *name, const char *marker, size_t at, size_t *size)
{
    uint8_t *bytes = (uint8_t *)read_whole(picture_path(name), size), *found = bytes;
    while (memcmp(found, marker, 2) != 0)
        found++;
    memcpy(found + at, (const uint8_t[]){6000 >> 8, 6000 & 255, 6000 >> 8, 6000 & 255}, 4);
    return bytes;
}

/* What a header asks for is held against the memory that is left, what a decoder takes besides included, and against
 * the file: pixels that cannot be in it are not made room for. */
static void test_memory_before_it_is_taken(void **state)
{
    (void)state;
    size_t size;
    uint8_t *bytes = swollen("jpeg_420_0.jpg", "\xff\xc0", 5, &size);
    fa_set_available_memory(100 << 20);
    REFUSED(fa_decode_picture(bytes, size),
            "has 6000 x 6000 pixels, for which reading takes 108 MB, needs at most the 104 MB that are left");
    fa_set_available_memory(150 << 20);
    fa_tensor *read = fa_decode_picture(bytes, size);
    assert_true(read != NULL || strstr(fa_error(), "that are left") == NULL);
    fa_clear_error();
    free(bytes);
    fa_picture_reader_free();
    bytes = swollen("jpeg_progressive.jpg", "\xff\xc2", 5, &size);
    REFUSED(fa_decode_picture(bytes, size), "the 157 MB that are left");
    free(bytes);
    fa_set_available_memory(1); /* would refuse whatever asked */
    static const char pnm[] = "P6 6000 6000 255 x", text[] = "P3 6000 6000 255 1 2 3";
    REFUSED(fa_decode_picture(pnm, sizeof pnm - 1), "cut short after 18 bytes");
    REFUSED(fa_decode_picture(text, sizeof text - 1), "cut short after 22 bytes");
    bytes = (uint8_t *)read_whole(picture_path("bmp_24.bmp"), &size);
    memcpy(bytes + 18, (const uint8_t[]){6000 & 255, 6000 >> 8, 0, 0, 6000 & 255, 6000 >> 8, 0, 0}, 8);
    REFUSED(fa_decode_picture(bytes, size), "cut short after");
    free(bytes);
    bytes = (uint8_t *)read_whole(picture_path("png_c2_8.png"), &size);
    static const uint8_t header[] = {0, 0, 6000 >> 8, 6000 & 255, 0, 0, 6000 >> 8, 6000 & 255, 8, 2, 0, 0, 0};
    memcpy(bytes + 16, header, sizeof header);
    const uint32_t crc = libdeflate_crc32(0, bytes + 12, 17);
    for (int i = 0; i < 4; i++)
        bytes[29 + i] = (uint8_t)(crc >> (24 - 8 * i));
    REFUSED(fa_decode_picture(bytes, size), "cut short after");
    free(bytes);
    fa_set_available_memory(0);
}

/* A number of a header ends with white space. */
static void test_numbers_end(void **state)
{
    (void)state;
    static const char *const texts[] = {"P5 1 1 25*\x33", "P5 1x 1 255 \x33", "P5 1 1 255\x33\x33",
                                        "P5 1234567890 1 255 \x33"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        REFUSED(fa_decode_picture(texts[i], strlen(texts[i])), "needs");
    const char *fine = "P5#c\n1#c\n1 255\n\x33";
    assert_non_null(fa_decode_picture(fine, strlen(fine)));
}

/* The second picture of a kind takes no memory of ours; other libraries' own allocations are not counted here. */
static void test_memory_is_used_again(void **state)
{
    (void)state;
    fa_picture_rules rules;
    fa_picture picture;
    assert_true(fa_picture_rules_parse(NULL, "test", FA_HERE, &rules));
    static const char *const names[] = {"bmp_24.bmp", "pnm_p6.ppm"};
    for (int k = 0; k < 2 && alloc_count_available(); k++) {
        assert_true(fa_picture_read(picture_path(names[k]), &rules, "test", FA_HERE, &picture));
        alloc_count_start();
        bool fine = fa_picture_read(picture_path(names[k]), &rules, "test", FA_HERE, &picture);
        assert_int_equal(alloc_count_stop(), 0);
        assert_true(fine);
    }
}

/* No memory at any place: an error, nothing lost. */
static void test_no_memory(void **state)
{
    (void)state;
    static const char *const names[] = {"jpeg_cmyk.jpg", "png_c2_16.png", "bmp_24.bmp", "jpeg_exif6.jpg",
                                        "jpeg_grey.jpg"};
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        for (long n = 1; n < 20; n++)
            fa_scope {
                fa_picture_reader_free();
                fa_buffer_pool_trim();
                fa_memory_fail_after(n);
                fa_tensor *x = fa_read_picture(picture_path(names[k]), .exif = true);
                fa_memory_fail_after(0);
                assert_true(x != NULL || fa_error_code() == FA_MEMORY_ERROR);
                fa_clear_error();
            }
}

/* ---- In a data set ----------------------------------------------------------------------------------------------- */

typedef struct folder {
    fa_transform *transform;
    bool in_memory;
} folder;

static const char *const folder_names[] = {"jpeg_420_0.jpg", "png_smooth.png", "jpeg_progressive.jpg", "bmp_24.bmp",
                                           "jpeg_cmyk.jpg",  "pnm_p6.ppm",     "png_c3_8.png"};
enum { FOLDER = 7, ITEMS = 42 };

static int64_t folder_length(void *user)
{
    (void)user;
    return ITEMS;
}

static bool folder_item(void *user, int64_t index, fa_sample *sample)
{
    const folder *set = user;
    char path[4096]; /* picture_path is not for several threads */
    snprintf(path, sizeof path, FA_SOURCE_DIR "/tests/golden/pictures/%s", folder_names[index % FOLDER]);
    if (!set->in_memory)
        return fa_sample_picture(sample, path, set->transform) && fa_sample_label(sample, index);
    size_t size;
    char *bytes = read_whole(path, &size);
    bool fine = fa_sample_picture(sample, path, set->transform, .bytes = bytes, .size = size);
    free(bytes);
    return fine && fa_sample_label(sample, index);
}

/* Pictures of many sizes, from files and from memory, with draws, for any number of workers: the same bits. */
static void test_folder_for_any_workers(void **state)
{
    (void)state;
    uint64_t want = 0;
    static const int workers[] = {0, 1, 3, 8};
    for (int i = 0; i < 8; i++) {
        folder set = {.in_memory = i >= 4};
        set.transform =
            fa_compose(fa_fit(24), fa_random_crop(24, .padding = 2), fa_random_horizontal_flip(),
                       fa_color_jitter(0.4, 0.4, 0.4, 0.1), fa_random_rotation(10), fa_to_tensor(),
                       fa_normalize({0.5, 0.5, 0.5}, {0.25, 0.25, 0.25}), fa_random_erasing(.random = true));
        fa_loader *loader = fa_data_loader(fa_dataset_new(&set, .length = folder_length, .item = folder_item),
                                           .batch_size = 5, .shuffle = true, .num_workers = workers[i % 4]);
        fa_manual_seed(3);
        uint64_t hash = 1;
        for (int epoch = 0; epoch < 2; epoch++)
            fa_for_each_batch (b, loader)
                hash = hash * 31 + fnv(fa_data(b.images), fa_numel(b.images) * 4) + fnv(fa_data(b.labels), b.size * 8);
        assert_string_equal(fa_error(), "");
        want = i == 0 ? hash : want;
        assert_true(hash == want);
        fa_free(loader);
        fa_free(set.transform);
    }
}

/* An epoch after the first one allocates nothing for an item: its pixels, its open steps and its draws lie in memory
 * that is used again. libjpeg and libpng allocate for themselves, so the pictures here are others. */
static bool plain_item(void *user, int64_t index, fa_sample *sample)
{
    static const char *const path[] = {FA_SOURCE_DIR "/tests/golden/pictures/bmp_24.bmp",
                                       FA_SOURCE_DIR "/tests/golden/pictures/bmp_8.bmp"};
    return fa_sample_picture(sample, path[index % 2], user) && fa_sample_label(sample, index);
}

static void test_items_allocate_nothing(void **state)
{
    (void)state;
    if (!alloc_count_available())
        return;
    for (int workers = 0; workers <= 2; workers += 2) {
        fa_transform *t = fa_compose(fa_random_crop(7, .padding = 2), fa_random_horizontal_flip(), fa_to_tensor(),
                                     fa_normalize({0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}));
        fa_loader *loader = fa_data_loader(fa_dataset_new(t, .length = folder_length, .item = plain_item),
                                           .batch_size = 21, .shuffle = true, .num_workers = workers);
        int64_t items = 0;
        long calls = 0;
        for (int epoch = 0; epoch < 6; epoch++) {
            alloc_count_start();
            fa_for_each_batch (b, loader)
                items += b.size;
            calls = alloc_count_stop();
        }
        assert_true(fa_ok() && items == 6 * ITEMS);
        if (calls >= ITEMS / 2) /* what a batch and a loop need does not grow with their items */
            fail_msg("%ld allocations for %d items", calls, ITEMS);
        fa_free(loader);
        fa_free(t);
    }
}

/* O11, O19: a damaged picture ends the loop with its name, whatever the number of workers. */
static bool damaged_item(void *user, int64_t index, fa_sample *sample)
{
    const char *name = index == 33 ? "bad_jpeg_cut_half.jpg" : "jpeg_420_0.jpg";
    char path[4096];
    snprintf(path, sizeof path, FA_SOURCE_DIR "/tests/golden/pictures/%s", name);
    return fa_sample_picture(sample, path, user);
}

static void test_damaged_in_a_loop(void **state)
{
    (void)state;
    for (int workers = 0; workers <= 4; workers += 4) {
        fa_transform *fit = fa_compose(fa_fit(16), fa_to_tensor());
        fa_loader *loader = fa_data_loader(fa_dataset_new(fit, .length = folder_length, .item = damaged_item),
                                           .batch_size = 4, .num_workers = workers);
        int batches = 0;
        fa_for_each_batch (b, loader)
            batches++;
        assert_int_equal(batches, 8);
        assert_contains(fa_error(), "bad_jpeg_cut_half.jpg");
        assert_contains(fa_error(), "item 33");
        fa_clear_error();
        fa_free(loader);
        fa_free(fit);
    }
}

/* Sizes that differ without a transform: the message says what to do. */
static void test_many_sizes(void **state)
{
    (void)state;
    folder set = {.transform = fa_to_tensor()};
    fa_loader *loader =
        fa_data_loader(fa_dataset_new(&set, .length = folder_length, .item = folder_item), .batch_size = 4);
    fa_for_each_batch (b, loader)
        fail_msg("%s", "a batch of pictures of many sizes");
    assert_int_equal(fa_error_code(), FA_DATA_ERROR);
    assert_contains(fa_error(), "Hint");
    fa_clear_error();
    fa_free(loader);
    fa_free(set.transform);
}

/* O14: a crop that is too large names the picture. */
static void test_crop_too_large(void **state)
{
    (void)state;
    folder set = {.transform = fa_compose(fa_random_crop(64), fa_to_tensor())};
    fa_dataset *data = fa_dataset_new(&set, .length = folder_length, .item = folder_item);
    assert_null(fa_dataset_get(data, 0).images);
    assert_contains(fa_error(), "got images of 37 x 45 pixels");
    assert_contains(fa_error(), "jpeg_420_0.jpg");
    fa_clear_error();
    fa_free(data);
    fa_free(set.transform);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_table, clean),
        cmocka_unit_test_teardown(test_damaged, clean),
        cmocka_unit_test_teardown(test_cut_everywhere, clean),
        cmocka_unit_test_teardown(test_sixteen_bits, clean),
        cmocka_unit_test_teardown(test_transparency, clean),
        cmocka_unit_test_teardown(test_exif, clean),
        cmocka_unit_test_teardown(test_notes, clean),
        cmocka_unit_test_teardown(test_memory_before_it_is_taken, clean),
        cmocka_unit_test_teardown(test_numbers_end, clean),
        cmocka_unit_test_teardown(test_limits_and_mistakes, clean),
        cmocka_unit_test_teardown(test_memory_is_used_again, clean),
        cmocka_unit_test_teardown(test_no_memory, clean),
        cmocka_unit_test_teardown(test_folder_for_any_workers, clean),
        cmocka_unit_test_teardown(test_items_allocate_nothing, clean),
        cmocka_unit_test_teardown(test_damaged_in_a_loop, clean),
        cmocka_unit_test_teardown(test_many_sizes, clean),
        cmocka_unit_test_teardown(test_crop_too_large, clean),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
