/* Everything that depends on a seed, against golden values (numbers.json). */
#include "support/facula_test.h"
#include "support/golden.h"
#include "support/number_cases.h"

#include <math.h>
#include <string.h>

typedef struct wanted {
    const cJSON *cases;
    int met;
} wanted;

static uint64_t fnv(const unsigned char *data, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 0x100000001b3u;
    return hash;
}

/* Eight digits, the lowest byte first. */
static float float_of(const char *hex)
{
    uint32_t bits = 0;
    for (int i = 0; i < 4; i++) {
        char byte[3] = {hex[2 * i], hex[2 * i + 1], 0};
        bits |= (uint32_t)strtoul(byte, NULL, 16) << 8 * i;
    }
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void check(void *context, const char *name, bool exact, const void *bytes, size_t size)
{
    wanted *want = context;
    const cJSON *entry = cJSON_GetObjectItem(want->cases, name);
    if (entry == NULL && !exact)
        return; /* kept for the first seeds alone */
    if (entry == NULL)
        fail_msg("no golden values of %s", name);
    assert_int_equal(size, (size_t)cJSON_GetObjectItem(entry, "bytes")->valuedouble);
    if (exact) {
        if (fnv(bytes, size) != strtoull(cJSON_GetObjectItem(entry, "fnv")->valuestring, NULL, 16))
            fail_msg("%s: other bits than PyTorch's", name);
    } else {
        const char *hex = cJSON_GetObjectItem(entry, "hex")->valuestring;
        assert_int_equal(strlen(hex), 2 * size);
        for (size_t i = 0; i < size / sizeof(float); i++) {
            float got, expected = float_of(hex + 8 * i);
            memcpy(&got, (const char *)bytes + i * sizeof got, sizeof got);
            if (!(fabsf(got - expected) <= 1e-6f * fmaxf(1, fabsf(expected))))
                fail_msg("%s: element %zu is %.9g, PyTorch's %.9g", name, i, (double)got, (double)expected);
        }
    }
    want->met++;
}

static void test_golden_numbers(void **state)
{
    (void)state;
    golden_file golden;
    char why[256];
    if (!golden_open(&golden, "numbers", why))
        fail_msg("%s", why);
    const cJSON *entry;
    int seeds = 0;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden.index, "seeds"))
    {
        wanted want = {.cases = cJSON_GetObjectItem(entry, "cases")};
        run_number_cases(strtoull(cJSON_GetObjectItem(entry, "seed")->valuestring, NULL, 10), check, &want);
        assert_int_equal(want.met, cJSON_GetArraySize(want.cases));
        assert_true(seeds > 0 || want.met == count_number_cases());
        seeds++;
    }
    assert_true(seeds >= 5);
    golden_close(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden_numbers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
