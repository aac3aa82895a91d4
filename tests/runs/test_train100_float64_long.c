/* A hundred steps of the network `mnist` in float64 (initialised in float32, then converted): every loss within 1e-10
 * of PyTorch's (golden/train100.json), which agrees with itself to 1e-13. This shows a wrong formula, order or draw
 * that float32 hides. Weights, order, batches and the generator afterwards are exact. */
#include "support/facula_test.h"

#include "support/golden.h"
#include "support/run100.h"

#include <math.h>

static golden_file golden;

static void hundred_steps(void **state)
{
    const run100 run = {.facts = *state, .dtype = FA_FLOAT64, .threads = 0, .workers = 1};
    double losses[RUN100_STEPS], most = 0;
    run100_train(&run, losses);
    const cJSON *want = cJSON_GetObjectItem(run.facts, "losses_float64")->child;
    for (int k = 0; k < RUN100_STEPS; k++, want = want->next) {
        double off = fabs(losses[k] - want->valuedouble);
        if (!(off <= 1e-10))
            fail_msg("step %d: loss %.17g instead of %.17g", k + 1, losses[k], want->valuedouble);
        most = off > most ? off : most;
    }
    print_message("%s: within %.2g\n", cJSON_GetObjectItem(run.facts, "name")->valuestring, most);
}

int main(void)
{
    char why[256];
    if (!golden_open(&golden, "train100", why)) {
        print_error("%s\n", why);
        return 1;
    }
    int failed = run100_tests(&golden, "hundred steps in float64", hundred_steps);
    golden_close(&golden);
    return failed;
}
