/* Tensors' texts against PyTorch's (tests/golden/print_golden.inc), buffers too small, locales. */
#include "support/facula_test.h"

#include "support/comma_locale.h"
#include "tensor/format.h"

#include <math.h>
#include <string.h>

typedef struct golden_print {
    fa_meta meta;
    fa_format_suffix suffix;
    const uint64_t *elements; /* bit patterns; NULL: `fill` */
    double fill[5];           /* element i is (i * [0] + [2]) / [1], element [3] is [4] */
    const char *text;
} golden_print;

#pragma GCC diagnostic ignored "-Woverlength-strings"
#include "golden/print_golden.inc"

enum { MOST = 2048, TEXT_BYTES = 65536 };

static void store(void *data, int dtype, int64_t i, double value)
{
    switch (dtype) {
    case FA_DT_FLOAT32:
        ((float *)data)[i] = (float)value;
        break;
    case FA_DT_FLOAT64:
        ((double *)data)[i] = value;
        break;
    case FA_DT_INT64:
        ((int64_t *)data)[i] = (int64_t)value;
        break;
    case FA_DT_INT32:
        ((int32_t *)data)[i] = (int32_t)value;
        break;
    default:
        ((uint8_t *)data)[i] = (uint8_t)value;
    }
}

static void elements_of(const golden_print *golden, void *data)
{
    int dtype = golden->meta.dtype;
    int64_t numel = fa_meta_numel(&golden->meta);
    assert_true(numel <= MOST);
    if (golden->elements) {
        for (int64_t i = 0; i < numel; i++) /* little endian: the low bytes come first */
            memcpy((char *)data + i * fa_dtype_size(dtype), &golden->elements[i], (size_t)fa_dtype_size(dtype));
        return;
    }
    for (int64_t i = 0; i < numel; i++) {
        double value = (double)i * golden->fill[0] + golden->fill[2];
        if (golden->fill[1] != 1)
            value = dtype == FA_DT_FLOAT32 ? (double)((float)value / (float)golden->fill[1]) : value / golden->fill[1];
        store(data, dtype, i, i == (int64_t)golden->fill[3] ? golden->fill[4] : value);
    }
}

static void test_texts_are_pytorchs(void **unused)
{
    (void)unused;
    static double data[MOST];
    static char text[TEXT_BYTES];
    for (size_t k = 0; k < sizeof golden_prints / sizeof *golden_prints; k++) {
        const golden_print *golden = &golden_prints[k];
        elements_of(golden, data);
        int64_t length = fa_format_tensor(text, sizeof text, &golden->meta, data, &golden->suffix);
        assert_string_equal(text, golden->text);
        assert_int_equal(length, strlen(golden->text));
    }
}

static const fa_meta row_of_four = {FA_DT_FLOAT32, 1, FA_PLAIN, 0, {4}};
static const float four[4] = {0.5f, -1.25f, 3, 100};

static void test_small_buffers(void **unused)
{
    (void)unused;
    static const char want[] = "tensor([  0.5000,  -1.2500,   3.0000, 100.0000])";
    int64_t length = (int64_t)strlen(want);
    assert_int_equal(fa_format_tensor(NULL, 0, &row_of_four, four, NULL), length);
    char text[sizeof want + 1];
    for (size_t size = 1; size <= sizeof want; size++) {
        memset(text, '#', sizeof text);
        assert_int_equal(fa_format_tensor(text, size, &row_of_four, four, NULL), length);
        assert_memory_equal(text, want, size - 1);
        assert_int_equal(text[size - 1], 0);
        assert_int_equal(text[size], '#');
    }
}

static void test_sign_of_nan_is_not_shown(void **unused)
{
    (void)unused;
    float values[4] = {-NAN, NAN, -INFINITY, 1};
    char text[128];
    fa_format_tensor(text, sizeof text, &row_of_four, values, NULL);
    assert_string_equal(text, "tensor([nan, nan, -inf, 1.])");
}

static void test_locale_does_not_matter(void **unused)
{
    (void)unused;
    comma_locale_begin();
    char text[128];
    fa_format_tensor(text, sizeof text, &row_of_four, four, NULL);
    comma_locale_end();
    assert_string_equal(text, "tensor([  0.5000,  -1.2500,   3.0000, 100.0000])");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts_are_pytorchs),
        cmocka_unit_test(test_small_buffers),
        cmocka_unit_test(test_sign_of_nan_is_not_shown),
        cmocka_unit_test(test_locale_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
