/* A hundred steps of the network `mnist` against PyTorch's float64 curve (golden/train100.json), in float32. Rounding
 * is amplified step by step, so the loss is held to: the first ten within 2e-6 (5e-4 with batch norm), the mean
 * distance of the later ones within four times the worst of PyTorch's own float32 modes, or 1e-3. Weights, order,
 * batches and the generator afterwards are exact. Then the same on the other instruction sets of this machine, without
 * fusions, and, for the plainest and the fullest run, with the reference kernels alone. */
#include "support/facula_test.h"

#include "cpu/isa.h"
#include "plan/plan.h"
#include "support/golden.h"
#include "support/run100.h"

#include <math.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

static golden_file golden;

static void hundred_steps(void **state)
{
    const run100 run = {.facts = *state, .dtype = FA_FLOAT32, .threads = 0, .workers = 2};
    double losses[RUN100_STEPS], early = 0, late = 0;
    run100_train(&run, losses);
    const cJSON *want = cJSON_GetObjectItem(run.facts, "losses_float64")->child;
    for (int k = 0; k < RUN100_STEPS; k++, want = want->next) {
        double off = fabs(losses[k] - want->valuedouble);
        if (k < 10)
            early = off > early || isnan(off) ? off : early;
        else
            late += off / 90;
    }
    bool norm = cJSON_IsTrue(cJSON_GetObjectItem(run.facts, "batch_norm"));
    double worst_mean = cJSON_GetObjectItem(run.facts, "worst_mean_11_100")->valuedouble;
    double allowed = 4 * worst_mean > 1e-3 ? 4 * worst_mean : 1e-3;
    print_message("%s, %s: steps 1-10 within %.2g, mean of 11-100 %.2g (allowed %.2g)\n",
                  cJSON_GetObjectItem(run.facts, "name")->valuestring, fa_cpu_isa(), early, late, allowed);
    assert_true(early <= (norm ? 5e-4 : 2e-6));
    assert_true(late <= allowed);
}

/* This program again with a variable of the environment; 1 if it failed. */
static int run_again(const char *variable, const char *value)
{
    extern char **environ;
    setenv(variable, value, 1);
    char path[] = "/proc/self/exe";
    pid_t pid;
    int status = 0, error = posix_spawn(&pid, path, NULL, NULL, (char *[]){path, "again", NULL}, environ);
    unsetenv(variable);
    if (!error && waitpid(pid, &status, 0) == pid && status == 0)
        return 0;
    print_error("failed with %s=%s\n", variable, value);
    return 1;
}

int main(int argc, char **argv)
{
    (void)argv;
    char why[256];
    if (!golden_open(&golden, "train100", why)) {
        print_error("%s\n", why);
        return 1;
    }
    int failed = run100_tests(&golden, "hundred steps", hundred_steps);
    if (argc == 1 && !FA_EMULATED) {
        for (const fa_cpu_isa_entry *isa = fa_cpu_isa_list(); isa->name; isa++)
            if (strcmp(isa->name, fa_cpu_isa()) != 0 && isa->available())
                failed += run_again("FACULA_ISA", isa->name);
        failed += run_again("FACULA_PLAN", "nofuse");
        static const char *const plainest_and_fullest[] = {"sgd", "adam_bn_all"};
        for (int i = 0; i < 2 && getenv("FA_RUN") == NULL; i++) {
            setenv("FA_RUN", plainest_and_fullest[i], 1);
            failed += run_again("FACULA_PLAN", "off");
            unsetenv("FA_RUN");
        }
    }
    golden_close(&golden);
    return failed;
}
