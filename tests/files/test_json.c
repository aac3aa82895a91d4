/* The JSON reader: what is valid, and what it says of the rest. */
#include "support/facula_test.h"

#include "base/memory.h"
#include "files/json_reader.h"

#include <locale.h>
#include <string.h>

static fa_json json_of(const char *text)
{
    return fa_json_of(text, strlen(text));
}

static void test_values(void **state)
{
    (void)state;
    fa_json json = json_of(" {\"b\\u00e9\\n\": [1, -2.5e3, true, false, null, \"\\ud83d\\ude00\\\"\", 7]} ");
    size_t length;
    double number;
    bool truth;
    int64_t count;
    assert_true(fa_json_take(&json, '{'));
    char *text = fa_json_string(&json, &length);
    assert_string_equal(text, "b\xc3\xa9\n");
    fa_mfree(text);
    assert_true(fa_json_take(&json, ':') && fa_json_take(&json, '['));
    assert_int_equal(fa_json_peek(&json), '1');
    assert_true(fa_json_number(&json, &number) && number == 1 && fa_json_take(&json, ','));
    assert_true(fa_json_number(&json, &number) && number == -2500 && fa_json_take(&json, ','));
    assert_true(fa_json_truth(&json, &truth) && truth && fa_json_take(&json, ','));
    assert_true(fa_json_truth(&json, &truth) && !truth && fa_json_take(&json, ','));
    assert_true(fa_json_null(&json) && fa_json_take(&json, ','));
    assert_false(fa_json_null(&json));
    text = fa_json_string(&json, &length);
    assert_string_equal(text, "\xf0\x9f\x98\x80\"");
    assert_int_equal(length, 5);
    fa_mfree(text);
    assert_true(fa_json_take(&json, ',') && fa_json_count(&json, &count) && count == 7);
    assert_true(fa_json_take(&json, ']') && fa_json_take(&json, '}') && fa_json_done(&json));
    assert_int_equal(fa_json_peek(&json), '\0');
    assert_null(json.problem);
}

/* Digits are read as they were written; "0.1" is 0.1 where programs write 0,1. */
static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0.1", 0.1},
                {"-0", -0.0},
                {"1e-05", 1e-5},
                {"9007199254740993", 0x1p53},
                {"1E+2", 100},
                {"5e-324", 0x1p-1074},
                {"2.225073858507201e-308", 2.225073858507201e-308},
                {"0.30000000000000004", 0.30000000000000004}};
    const char *const locales[] = {"C", "de_DE.UTF-8", "fr_FR.UTF-8"};
    for (size_t l = 0; l < sizeof locales / sizeof *locales; l++) {
        if (!setlocale(LC_NUMERIC, locales[l]))
            continue;
        for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
            double number = 7;
            fa_json json = json_of(good[i].text);
            if (!fa_json_number(&json, &number) || memcmp(&number, &good[i].value, sizeof number) != 0 ||
                !fa_json_done(&json))
                fail_msg("%s read as %.17g", good[i].text, number);
        }
    }
    setlocale(LC_NUMERIC, "C");
    static const struct {
        const char *text, *problem;
    } bad[] = {{"1e999", "a number that is too large"},
               {"\"1\"", "expected a number"},
               {"true", "expected"},
               {"NaN", "expected"},
               {"", "expected"},
               {"-", "expected"},
               {".5", "expected"},
               {"+1", "expected"},
               {"1.", "a number without digits"},
               {"1e", "a number without an exponent"},
               {"1111111111111111111111111111111111111111111111111111111111111111", "a number of too many digits"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double number;
        fa_json json = json_of(bad[i].text);
        assert_false(fa_json_number(&json, &number));
        assert_contains(json.problem, bad[i].problem);
        assert_false(fa_json_number(&json, &number)); /* after a problem all fails */
    }
}

/* Whole texts that are no JSON, as the skipping of a value sees them. */
static void test_mistakes(void **state)
{
    (void)state;
    static const char *const bad[] = {"",        "{",         "[1,]",        "[1 2]",       "{\"a\" 1}", "{\"a\":1,}",
                                      "{a:1}",   "tru",       "01",          "1.",          "-",         ".5",
                                      "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\udc00\"", "\"\n\"",    "NaN",
                                      "\"open",  "[]]",       "1 1",         "+1",          "[1",        "{\"a\":"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fa_json json = json_of(bad[i]);
        if (fa_json_skip(&json) && fa_json_done(&json))
            fail_msg("taken for JSON: %s", bad[i]);
        assert_non_null(json.problem);
        assert_true(json.at >= json.begin && json.at <= json.end);
    }
    char deep[200];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    fa_json json = fa_json_of(deep, 200);
    assert_false(fa_json_skip(&json));
    assert_string_equal(json.problem, "nested too deep");
    json = fa_json_of(deep + 40, 120);
    assert_true(fa_json_skip(&json) && fa_json_done(&json));
    bool truth;
    json = json_of("1");
    assert_false(fa_json_truth(&json, &truth));
    assert_string_equal(json.problem, "expected true or false");
    assert_false(fa_json_null(&json));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_values), cmocka_unit_test(test_numbers),
                                       cmocka_unit_test(test_mistakes)};
    return cmocka_run_group_tests_name("JSON", tests, NULL, NULL);
}
