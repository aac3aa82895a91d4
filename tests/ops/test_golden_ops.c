/* Every case of the golden files of ops (stems below) through the public interface: forward, backward and changed
 * buffers, in float32 and float64, with the plan, without fusion and by the reference kernels alone. */
#include "support/facula_test.h"

#include "plan/plan.h"
#include "support/golden.h"
#include "support/op_case.h"

#include <math.h>
#include <string.h>

/* Files of tests/golden/, each made by make_STEM.py. */
static const char *const stems[] = {
    "layers", "losses", "zeros", "tensor_ops", "elementwise", "functions", "options",
};
static golden_file golden;
static const char *const modes[] = {"fused", "nofuse", "off"};

static void add_params(op_case *c, const cJSON *args)
{
    const cJSON *arg;
    cJSON_ArrayForEach(arg, args)
    {
        double values[8] = {0};
        int n = 0;
        if (cJSON_IsArray(arg)) {
            const cJSON *item;
            cJSON_ArrayForEach(item, arg) values[n++] = item->valuedouble;
        } else {
            values[n++] = cJSON_IsNull(arg) ? NAN : arg->valuedouble; /* None: momentum */
        }
        op_set_param(c, arg->string, n, values);
    }
}

/* The case in float32, float64 or as it is; inputs are copied, widened where the case runs in float64. */
static void make_case(const cJSON *entry, const char *dtype, op_case *c)
{
    const char *name = cJSON_GetObjectItem(entry, "name")->valuestring;
    *c = (op_case){.dtype = strcmp(dtype, "f64") ? FA_FLOAT32 : FA_FLOAT64, .terms = 1};
    c->kind = op_kind_find(cJSON_GetObjectItem(entry, "op")->valuestring);
    assert_non_null(c->kind);
    if (cJSON_HasObjectItem(entry, "terms"))
        c->terms = cJSON_GetObjectItem(entry, "terms")->valuedouble;
    add_params(c, cJSON_GetObjectItem(entry, "args"));
    const cJSON *inputs = cJSON_GetObjectItem(entry, "inputs"), *grads = cJSON_GetObjectItem(entry, "grads"), *item;
    cJSON_ArrayForEach(item, inputs)
    {
        const golden_tensor *stored = golden_find(&golden, "%s.%s", name, item->valuestring);
        assert_non_null(stored);
        op_input *input = op_add_input(c, item->valuestring, stored->shape, OP_NORMAL);
        bool widened = stored->dtype == FA_FLOAT32 && c->dtype == FA_FLOAT64;
        input->dtype = widened ? FA_FLOAT64 : stored->dtype;
        input->grad = golden_has(grads, item->valuestring);
        input->data = malloc((size_t)stored->numel * 8 + 8);
        for (int64_t i = 0; widened && i < stored->numel; i++)
            ((double *)input->data)[i] = (double)((const float *)stored->data)[i];
        if (!widened)
            memcpy(input->data, stored->data, (size_t)stored->numel * op_dtype_size(stored->dtype));
    }
}

static int compare(const cJSON *entry, const char *dtype, const char *what, const op_case *c, const op_result *result,
                   const char *mode)
{
    const char *name = cJSON_GetObjectItem(entry, "name")->valuestring;
    const golden_tensor *stored = golden_find(&golden, "%s.%s.%s", name, dtype, what);
    assert_non_null(stored);
    op_value want = {.dtype = stored->dtype, .shape = stored->shape, .numel = stored->numel};
    snprintf(want.name, sizeof want.name, "%s", what);
    want.data = (void *)(uintptr_t)stored->data;
    const op_value *got = op_result_find(result, what);
    char why[256] = "it is missing";
    bool exact = golden_has(cJSON_GetObjectItem(entry, "exact"), what) && strcmp(dtype, "f64");
    fa_dtype rounded = want.dtype; /* a float32 operand rounds a float64 result's gradient, and its own */
    for (int i = 0; i < c->inputs; i++)
        if (c->input[i].dtype == FA_FLOAT32)
            rounded = FA_FLOAT32;
    if (got && op_values_agree(got, &want, exact ? 0 : op_tolerance(c, rounded), why))
        return 0;
    char text[512];
    op_case_text(c, text, sizeof text);
    print_error("%s in %s, %s, %s: %s\n  %s\n", name, dtype, mode, what, why, text);
    return 1;
}

static int run_case(const cJSON *entry, const char *dtype, const char *mode)
{
    const char *name = cJSON_GetObjectItem(entry, "name")->valuestring;
    const cJSON *outputs = cJSON_GetObjectItem(entry, "outputs"), *grads = cJSON_GetObjectItem(entry, "grads"), *item;
    op_case c;
    make_case(entry, dtype, &c);
    const golden_tensor *incoming = golden_find(&golden, "%s.gy", name);
    double *gradient = malloc((size_t)(incoming ? incoming->numel : 0) * sizeof *gradient + 8);
    for (int64_t i = 0; incoming && i < incoming->numel; i++)
        gradient[i] = op_element(incoming->dtype, incoming->data, i);
    op_result result;
    int failures = 0;
    fa_plan_set_mode(mode);
    if (!op_case_run(&c, incoming != NULL, gradient, &result)) {
        print_error("%s in %s, %s: %s\n", name, dtype, mode, result.error);
        failures = 1;
    } else {
        cJSON_ArrayForEach(item, outputs) failures += compare(entry, dtype, item->valuestring, &c, &result, mode);
        cJSON_ArrayForEach(item, grads)
        {
            char what[64];
            snprintf(what, sizeof what, "grad_%s", item->valuestring);
            failures += compare(entry, dtype, what, &c, &result, mode);
        }
        if (result.contiguous != (cJSON_GetObjectItem(entry, "contiguous")->valueint != 0)) {
            print_error("%s: fa_is_contiguous says %d\n", name, result.contiguous);
            failures++;
        }
    }
    op_result_free(&result);
    op_case_free(&c);
    free(gradient);
    return failures;
}

/* All cases of one op. */
static void check_op(void **state)
{
    const char *op = *state;
    int failures = 0, runs = 0;
    const cJSON *entry, *dtype;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden.index, "cases"))
    {
        if (strcmp(cJSON_GetObjectItem(entry, "op")->valuestring, op) != 0)
            continue;
        cJSON_ArrayForEach(dtype, cJSON_GetObjectItem(entry, "dtypes")) for (size_t m = 0; m < 3; m++)
        {
            failures += run_case(entry, dtype->valuestring, modes[m]);
            runs++;
        }
    }
    assert_true(runs > 0);
    assert_int_equal(failures, 0);
}

static int run_file(const char *stem)
{
    char why[256];
    if (!golden_open(&golden, stem, why)) {
        print_error("%s\n", why);
        return 1;
    }
    static struct CMUnitTest tests[256];
    size_t count = 0;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden.index, "cases"))
    {
        const char *op = cJSON_GetObjectItem(entry, "op")->valuestring;
        if (count == 0 || strcmp(tests[count - 1].name, op) != 0) {
            bool known = false;
            for (size_t i = 0; i < count; i++)
                known |= !strcmp(tests[i].name, op);
            if (!known && count < sizeof tests / sizeof *tests)
                tests[count++] =
                    (struct CMUnitTest){.name = op, .test_func = check_op, .initial_state = (void *)(uintptr_t)op};
        }
    }
    int failed = _cmocka_run_group_tests(stem, tests, count, NULL, NULL);
    golden_close(&golden);
    return failed;
}

int main(void)
{
    int failed = 0;
    for (size_t i = 0; i < sizeof stems / sizeof *stems; i++)
        failed += run_file(stems[i]);
    return failed;
}
