/* Programs that tests/torch/compare_programs.py made at random, with what PyTorch gave for them
 * (golden/programs.json): views, writes in place with and without history, scopes, backward. */
#include "support/facula_test.h"
#include "support/golden.h"
#include "support/program.h"

#include "plan/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Whether two lines of numbers agree: 2e-4 of the largest of a line, as rounding grows in a long program. */
static bool lines_agree(const char *got, const char *want)
{
    double largest = 1, worst = 0;
    char *got_end, *want_end;
    if (strncmp(got, "P ", 2) != 0 && strncmp(got, "G ", 2) != 0)
        return strcmp(got, want) == 0;
    if (got[0] != want[0])
        return false;
    for (got++, want++;; got = got_end, want = want_end) {
        const double a = strtod(got, &got_end), b = strtod(want, &want_end);
        if (got_end == got || want_end == want)
            break;
        if (!(a == b) && !(isnan(a) && isnan(b)))
            worst = fabs(a - b) <= worst ? worst : fabs(a - b);
        largest = fmax(largest, isfinite(b) ? fabs(b) : 1);
    }
    return strcmp(got, want) == 0 && worst <= 2e-4 * largest;
}

static void check(const cJSON *program, const char *mode)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    assert_non_null(out);
    fa_plan_set_mode(mode);
    program_run(cJSON_GetObjectItem(program, "program")->valuestring, out);
    fclose(out);
    const cJSON *line;
    char *at = text;
    cJSON_ArrayForEach(line, cJSON_GetObjectItem(program, "prints"))
    {
        char *end = strchr(at, '\n');
        const char *got = end ? at : "(nothing)";
        if (end)
            *end = 0;
        if (!lines_agree(got, line->valuestring))
            fail_msg("program %d, %s: %.300s\ninstead of %.300s", cJSON_GetObjectItem(program, "seed")->valueint, mode,
                     got, line->valuestring);
        at = end ? end + 1 : at;
    }
    assert_string_equal(at, "");
    free(text);
}

static void test_programs(void **state)
{
    (void)state;
    golden_file golden;
    char why[256];
    if (!golden_open(&golden, "programs", why))
        fail_msg("%s", why);
    static const char *const modes[] = {"fused", "nofuse", "off"};
    int programs = 0;
    const cJSON *program;
    cJSON_ArrayForEach(program, cJSON_GetObjectItem(golden.index, "programs"))
    {
        for (int i = 0; i < 3; i++)
            check(program, modes[i]);
        programs++;
    }
    fa_plan_set_mode("fused");
    assert_true(programs >= 40);
    golden_close(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_programs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
