/* Random configurations of every op: fast kernels and fused plans against the reference kernels, numeric gradients,
 * also of gradients, and the same bits for any number of threads; then the same again for the other instruction sets of
 * this machine.
 *
 * A failing case is shrunk and printed as FACULA_CASE='...', which runs that case alone. FA_TEST_SEED chooses other
 * configurations, FACULA_CASES how many of them an op (500). */
#include "support/facula_test.h"

#include "cpu/isa.h"
#include "plan/plan.h"
#include "support/op_case.h"

#include <errno.h>
#include <math.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Properties: true if the case has it; else `why` (512 bytes) says what is wrong -------------------------------
 */

static bool results_agree(const op_result *got, const op_result *want, double tolerance, char *why)
{
    for (int i = 0; i < want->count; i++) {
        const op_value *value = op_result_find(got, want->value[i].name);
        if (!value) {
            snprintf(why, 512, "%s is missing", want->value[i].name);
            return false;
        }
        if (!op_values_agree(value, &want->value[i], tolerance, why))
            return false;
    }
    if (got->count == want->count)
        return true;
    snprintf(why, 512, "%d results instead of %d", got->count, want->count);
    return false;
}

static bool run_mode(const op_case *c, const char *mode, op_result *result, char *why)
{
    fa_plan_set_mode(mode);
    bool good = op_case_run(c, !c->kind->no_gradient, NULL, result);
    fa_plan_set_mode("fused");
    if (!good)
        snprintf(why, 512, "%.480s (%s)", result->error, mode);
    return good;
}

/* The plan and the fast kernels against the reference kernels. Millions of elements find the tail of the distribution
 * of rounding errors, hence three times the usual tolerance. */
static bool like_reference(const op_case *c, char *why)
{
    op_result want, got = {0};
    bool good = run_mode(c, "off", &want, why);
    static const char *const modes[] = {"nofuse", "fused"};
    for (int m = 0; m < 2 && good; m++) {
        good = run_mode(c, modes[m], &got, why) && results_agree(&got, &want, 3 * op_tolerance(c, c->dtype), why);
        if (!good) {
            size_t length = strlen(why);
            snprintf(why + length, 512 - length, " [%s]", modes[m]);
        }
        op_result_free(&got);
    }
    op_result_free(&want);
    return good;
}

static bool same_for_threads(const op_case *c, char *why)
{
    static const int threads[] = {2, 3, 7};
    int before = fa_get_num_threads();
    op_result want, got = {0};
    fa_set_num_threads(1);
    bool good = run_mode(c, "fused", &want, why);
    for (int t = 0; t < 3 && good; t++) {
        fa_set_num_threads(threads[t]);
        good = run_mode(c, "fused", &got, why) && results_agree(&got, &want, 0, why);
        if (!good) {
            size_t length = strlen(why);
            snprintf(why + length, 512 - length, " [%d threads]", threads[t]);
        }
        op_result_free(&got);
    }
    fa_set_num_threads(before);
    op_result_free(&want);
    return good;
}

/* sum of gradient * y, and the size of its terms. */
static bool weighed(const op_case *c, const double *gradient, double *value, char *why)
{
    op_result result;
    if (!op_case_run(c, false, NULL, &result)) {
        snprintf(why, 512, "%.500s", result.error);
        return false;
    }
    *value = 0;
    for (int64_t i = 0; i < result.value[0].numel; i++)
        *value += gradient[i] * op_element(result.value[0].dtype, result.value[0].data, i);
    op_result_free(&result);
    return true;
}

/* (f(x + h v) - f(x - h v)) / 2h against <f'(x), v>, for random directions v of one input at a time. */
static bool gradient_is_numeric(const op_case *c, char *why)
{
    const double h = 1e-6;
    op_result result;
    uint64_t state = c->seed + 5;
    if (!op_case_run(c, false, NULL, &result)) {
        snprintf(why, 512, "%.500s", result.error);
        return false;
    }
    int64_t outputs = result.value[0].numel;
    op_result_free(&result);
    double *gradient = malloc((size_t)outputs * sizeof *gradient + 8);
    for (int64_t i = 0; i < outputs; i++)
        gradient[i] = op_random_normal(&state);
    bool good = op_case_run(c, true, gradient, &result);
    if (!good)
        snprintf(why, 512, "%.500s", result.error);
    for (int i = 0; i < c->inputs && good; i++) {
        const op_input *input = &c->input[i];
        if (!input->grad || input->dtype != FA_FLOAT64)
            continue;
        char name[40];
        snprintf(name, sizeof name, "grad_%s", input->name);
        const op_value *grad = op_result_find(&result, name);
        int64_t n = op_numel(&input->shape);
        if (!grad || grad->numel != n || grad->dtype != FA_FLOAT64) {
            snprintf(why, 512, "%s is missing or has another shape", name);
            good = false;
            break;
        }
        double *x = input->data, *saved = malloc((size_t)n * sizeof *saved + 8), *v = malloc((size_t)n * sizeof *v + 8);
        memcpy(saved, x, (size_t)n * sizeof *x);
        for (int trial = 0; trial < 2 && good; trial++) {
            double slope = 0, size = 0, above, below;
            int64_t single = n ? (int64_t)(op_random(&state) % (uint64_t)n) : 0;
            for (int64_t k = 0; k < n; k++) { /* every element; then one alone */
                v[k] = trial == 0 ? op_random_normal(&state) : k == single;
                slope += v[k] * ((double *)grad->data)[k];
                size += fabs(v[k] * ((double *)grad->data)[k]);
            }
            for (int64_t k = 0; k < n; k++)
                x[k] = saved[k] + h * v[k];
            good = weighed(c, gradient, &above, why);
            for (int64_t k = 0; k < n; k++)
                x[k] = saved[k] - h * v[k];
            good = good && weighed(c, gradient, &below, why);
            if (good && isnan(above)) /* a mean of nothing; the golden values say what its gradient is */
                continue;
            double numeric = (above - below) / (2 * h);
            if (good && !(fabs(numeric - slope) <= 1e-5 * (1 + size) + 1e-9 * fabs(above))) {
                snprintf(why, 512, "%s: slope %.12g instead of %.12g (%s)", name, slope, numeric,
                         trial ? "one element" : "every element");
                good = false;
            }
        }
        memcpy(x, saved, (size_t)n * sizeof *x);
        free(saved);
        free(v);
    }
    free(gradient);
    op_result_free(&result);
    return good;
}

/* An element that is 0 may lie on a kink, as for norms and abs. */
static bool has_zero(const op_case *c)
{
    for (int i = 0; i < c->inputs; i++)
        for (int64_t k = 0, n = op_numel(&c->input[i].shape); k < n && c->input[i].grad; k++)
            if (op_element(c->input[i].dtype, c->input[i].data, k) == 0)
                return true;
    return false;
}

/* (f'(x + h v) - f'(x - h v)) / 2h against what the gradient of the gradient gives, for one direction v of all inputs
 * together; f = sum of w * y^2 / 2. */
static bool second_is_numeric(const op_case *c, char *why)
{
    const double h = 1e-6;
    op_result result, moved[2] = {0};
    if (!op_case_twice(c, true, &result)) {
        snprintf(why, 512, "%.500s", result.error);
        return false;
    }
    bool good = true;
    for (int side = 0; side < 2 && good && result.count > 0 && !has_zero(c); side++) {
        op_case there = *c;
        for (int i = 0; i < c->inputs; i++) {
            char name[48];
            snprintf(name, sizeof name, "direction_%s", c->input[i].name);
            const op_value *v = op_result_find(&result, name);
            if (!v || v->dtype != FA_FLOAT64)
                continue;
            double *x = malloc((size_t)v->numel * sizeof *x + 8);
            for (int64_t k = 0; k < v->numel; k++)
                x[k] = ((double *)c->input[i].data)[k] + (side ? -h : h) * ((double *)v->data)[k];
            there.input[i].data = x;
        }
        good = op_case_twice(&there, false, &moved[side]);
        if (!good)
            snprintf(why, 512, "%.500s", moved[side].error);
        for (int i = 0; i < c->inputs; i++)
            if (there.input[i].data != c->input[i].data)
                free(there.input[i].data);
    }
    for (int k = 0; k < moved[0].count && good; k++) {
        const op_value *above = &moved[0].value[k];
        if (strncmp(above->name, "first_", 6) != 0)
            continue;
        const op_value *below = op_result_find(&moved[1], above->name);
        char name[48];
        snprintf(name, sizeof name, "second_%s", above->name + 6);
        const op_value *second = op_result_find(&result, name);
        double size = 1, slope = 0;
        for (int64_t i = 0; i < above->numel; i++) {
            const double a = ((double *)above->data)[i], b = ((double *)below->data)[i];
            size = fmax(size, fabs(a - b) / (2 * h));
            slope = fmax(slope, fabs(a));
        }
        for (int64_t i = 0; i < above->numel && good; i++) {
            const double numeric = (((double *)above->data)[i] - ((double *)below->data)[i]) / (2 * h);
            const double got = second ? ((double *)second->data)[i] : 0;
            good = isnan(numeric) || fabs(numeric - got) <= 1e-5 * size + 1e-8 * slope;
            if (!good)
                snprintf(why, 512, "%s[%lld]: %.12g instead of %.12g", name, (long long)i, got, numeric);
        }
    }
    op_result_free(&result);
    op_result_free(&moved[0]);
    op_result_free(&moved[1]);
    return good;
}

/* ---- Driving them -------------------------------------------------------------------------------------------------
 */

typedef struct property {
    const char *name;
    bool (*holds)(const op_case *c, char *why);
    fa_dtype dtype;
    bool large, smooth;
    int share; /* one in so many of FACULA_CASES */
} property;

static const property properties[] = {
    {"reference", like_reference, FA_FLOAT32, false, false, 1},
    {"threads", same_for_threads, FA_FLOAT32, true, false, 12},
    {"gradient", gradient_is_numeric, FA_FLOAT64, false, true, 8},
    {"second", second_is_numeric, FA_FLOAT64, false, true, 12},
};

static uint64_t test_start;
static int64_t case_count = 500;

static bool holds(const property *p, const op_kind *kind, uint64_t seed, op_draw *d, char *why)
{
    op_case c;
    d->large = p->large;
    d->smooth = p->smooth;
    op_case_draw(&c, kind, p->dtype, seed, d);
    bool good = p->holds(&c, why);
    op_case_free(&c);
    return good;
}

/* Tries smaller choices as long as the case still fails. */
static void shrink(const property *p, const op_kind *kind, uint64_t seed, op_draw *d)
{
    char why[512];
    d->replay = d->used;
    bool smaller = true;
    for (int budget = 300; smaller && budget > 0;) {
        smaller = false;
        for (int i = 0; i < d->used && budget > 0; i++) {
            for (int how = 0; how < 3 && budget > 0 && d->choice[i] > d->low[i]; how++) {
                op_draw trial = *d;
                int64_t below = d->choice[i] - d->low[i];
                trial.choice[i] = d->low[i] + (how == 0 ? 0 : how == 1 ? below / 2 : below - 1);
                if (trial.choice[i] == d->choice[i])
                    continue;
                budget--;
                if (!holds(p, kind, seed, &trial, why)) {
                    trial.replay = trial.used;
                    *d = trial;
                    smaller = true;
                    break;
                }
            }
        }
    }
}

static void report(const property *p, const op_kind *kind, uint64_t seed, op_draw *d)
{
    char why[512] = "it does not fail again", text[1024];
    op_case c;
    holds(p, kind, seed, d, why);
    op_case_draw(&c, kind, p->dtype, seed, d);
    op_case_text(&c, text, sizeof text);
    op_case_free(&c);
    print_error("%s: %s\n  %s\n  FACULA_ISA=%s FACULA_CASE='%s %s %llu", p->name, why, text, fa_cpu_isa(), p->name,
                kind->name, (unsigned long long)seed);
    for (int i = 0; i < d->used; i++)
        print_error(" %lld", (long long)d->choice[i]);
    print_error("'\n");
}

static uint64_t kind_number(const op_kind *kind)
{
    int i = 0;
    while (op_kind_at(i) != kind)
        i++;
    return (uint64_t)i;
}

/* One op: every property. Two failures of a property are enough to see what is wrong. */
static void check_op(void **state)
{
    const op_kind *kind = *state;
    int failures = 0;
    for (size_t k = 0; k < sizeof properties / sizeof *properties; k++) {
        const property *p = &properties[k];
        int failed = 0;
        if (p->smooth && kind->no_gradient)
            continue;
        for (int64_t i = 0; i < (case_count + p->share - 1) / p->share && failed < 2; i++) {
            uint64_t seed = test_start + kind_number(kind) * 100003 + (uint64_t)i * 7 + k;
            op_draw d = {.state = seed};
            char why[512];
            seed %= 1000000007; /* short enough to be printed and read */
            if (!holds(p, kind, seed, &d, why)) {
                shrink(p, kind, seed, &d);
                report(p, kind, seed, &d);
                failed++;
            }
        }
        failures += failed;
    }
    assert_int_equal(failures, 0);
}

/* FACULA_CASE: "property op seed choice choice ...". */
static int run_one(const char *line)
{
    char property_name[32], op[64];
    unsigned long long seed;
    int used;
    if (sscanf(line, "%31s %63s %llu%n", property_name, op, &seed, &used) != 3 || !op_kind_find(op)) {
        print_error("FACULA_CASE: got '%s', needs: property op seed choices\n", line);
        return 2;
    }
    op_draw d = {0};
    const char *rest = line + used;
    char *end;
    for (long long v; d.replay < OP_CHOICES && (v = strtoll(rest, &end, 10), end != rest); rest = end)
        d.choice[d.replay++] = v;
    for (size_t k = 0; k < sizeof properties / sizeof *properties; k++)
        if (!strcmp(properties[k].name, property_name)) {
            char why[512];
            bool good = holds(&properties[k], op_kind_find(op), seed, &d, why);
            if (!good)
                report(&properties[k], op_kind_find(op), seed, &d);
            print_message("%s\n", good ? "holds" : "fails");
            return !good;
        }
    return 2;
}

/* This program again for every other ISA that this machine has, with fewer cases. */
static int run_other_isas(void)
{
    int failed = 0;
    extern char **environ;
    for (const fa_cpu_isa_entry *isa = fa_cpu_isa_list(); isa->name; isa++) {
        if (!strcmp(isa->name, fa_cpu_isa()) || !isa->available())
            continue;
        setenv("FACULA_ISA", isa->name, 1);
        char count[32];
        snprintf(count, sizeof count, "%lld", (long long)(case_count + 4) / 5);
        setenv("FACULA_CASES", count, 1);
        char path[] = "/proc/self/exe";
        pid_t pid;
        int status = 0, error = posix_spawn(&pid, path, NULL, NULL, (char *[]){path, NULL}, environ);
        if (error || waitpid(pid, &status, 0) != pid || status) {
            print_error("failed with FACULA_ISA=%s\n", isa->name);
            failed++;
        }
    }
    return failed;
}

int main(void)
{
    if (getenv("FACULA_CASE"))
        return run_one(getenv("FACULA_CASE"));
    if (getenv("FACULA_CASES"))
        case_count = strtoll(getenv("FACULA_CASES"), NULL, 10);
    else if (FA_SANITIZED)
        case_count = 60;
    test_start = test_seed(1);
    print_message("instruction set %s, %lld configurations an op\n", fa_cpu_isa(), (long long)case_count);
    static struct CMUnitTest tests[512];
    size_t count = 0;
    const char *only = getenv("FACULA_OP");
    const op_kind *kind;
    for (int i = 0; (kind = op_kind_at(i)) != NULL && count < sizeof tests / sizeof *tests; i++)
        if (kind->draw && (!only || !strcmp(only, kind->name)))
            tests[count++] = (struct CMUnitTest){
                .name = kind->name, .test_func = check_op, .initial_state = (void *)(uintptr_t)kind};
    int failed = _cmocka_run_group_tests("random ops", tests, count, NULL, NULL);
    if (!getenv("FACULA_ISA") && !FA_EMULATED)
        failed += run_other_isas();
    return failed;
}
