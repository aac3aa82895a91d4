/* Networks with a penalty on their input's gradient (networks.json, made by make_networks.py): the loss, the first
 * gradient, and the parameters' gradients, which hold second derivatives, against PyTorch's; the first network is a
 * Wasserstein critic of convolutions, batch norm and silu. Fused plans and the reference kernels alike. */
#include "support/facula_test.h"

#include "plan/plan.h"
#include "support/golden.h"
#include "support/network.h"

#include <math.h>

static void check_result(const char *network, const cJSON *got, const cJSON *want)
{
    if (!got || cJSON_GetArraySize(got) != cJSON_GetArraySize(want))
        fail_msg("%s: %s is missing or has another size", network, want->string);
    double largest = 0;
    for (const cJSON *w = want->child; w; w = w->next)
        largest = fmax(largest, fabs(w->valuedouble));
    int i = 0;
    for (const cJSON *g = got->child, *w = want->child; w; g = g->next, w = w->next, i++)
        if (!(fabs(g->valuedouble - w->valuedouble) <= 1e-9 * (1 + largest)))
            fail_msg("%s: %s[%d] is %.15g, PyTorch %.15g", network, want->string, i, g->valuedouble, w->valuedouble);
}

static void penalties_are_those_of_torch(void **state)
{
    (void)state;
    static const char *const modes[] = {"fused", "nofuse", "off"};
    golden_file golden;
    char why[512];
    if (!golden_open(&golden, "networks", why))
        fail_msg("%s", why);
    int count = 0;
    for (const cJSON *network = golden.index->child; network; network = network->next, count++)
        for (int m = 0; m < 3; m++) {
            const char *name = cJSON_GetObjectItem(network, "name")->valuestring;
            fa_plan_set_mode(modes[m]);
            cJSON *results = network_run(network, why);
            if (!results)
                fail_msg("%s (%s): %s", name, modes[m], why);
            const cJSON *wanted = cJSON_GetObjectItem(network, "results");
            for (const cJSON *want = wanted->child; want; want = want->next)
                check_result(name, cJSON_GetObjectItem(results, want->string), want);
            assert_int_equal(cJSON_GetArraySize(results), cJSON_GetArraySize(wanted));
            cJSON_Delete(results);
        }
    fa_plan_set_mode("fused");
    assert_int_equal(count, 12);
    golden_close(&golden);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(penalties_are_those_of_torch)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
