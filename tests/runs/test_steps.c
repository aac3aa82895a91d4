/* Single training steps from PyTorch's weights and optimizer state (golden/steps.json): loss and weights afterwards
 * within 1e-6 without batch norm, 1e-5 with it; in every mode of the plan, and then on the other instruction sets of
 * this machine. Given the stem of another file (make_steps.py --full), that one. Weights whose gradient is rounding
 * alone are counted, not compared: Adam's first step is as long for them as for any other. */
#include "support/facula_test.h"

#include "cpu/isa.h"
#include "optim/optim.h"
#include "plan/plan.h"
#include "support/golden.h"
#include "support/run100.h"

#include <math.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static golden_file golden;
static fa_dataset *items;
static const char *stem = "steps";
static bool quick; /* every third of the steps alone */

static int64_t whole(const cJSON *object, const char *key)
{
    return (int64_t)cJSON_GetObjectItem(object, key)->valuedouble;
}

static void put(fa_tensor *tensor, const golden_tensor *value)
{
    assert_non_null(value);
    assert_int_equal(fa_numel(tensor), value->numel);
    assert_int_equal(fa_dtype_of(tensor), value->dtype);
    assert_true(fa_copy_from(tensor, value->data));
}

/* Weights, buffers and the optimizer's state as PyTorch had them before the step. */
static void load(fa_module *model, fa_optim *optim, const char *run, int64_t step)
{
    fa_tensor_list state = fa_state_list(model), parameters = fa_parameters(model);
    for (int64_t i = 0; i < state.count; i++)
        put(state.tensor[i], golden_find(&golden, "%s.%d.before.%s", run, (int)step, state.name[i]));
    for (int64_t i = 0; i < parameters.count && step > 0; i++) {
        fa_optim_parameter *p = &optim->group[0]->parameter[i];
        p->steps = step;
        assert_true(fa_optim_make_state(optim, optim->group[0], p));
        p->first = 0;
        for (int k = 0; k < FA_OPTIM_STATES; k++) {
            const char *key = optim->kind->state_name(&optim->group[0]->now, k);
            if (key)
                put(fa_leaf_handle(p->state[k]),
                    golden_find(&golden, "%s.%d.state.%s.%s", run, (int)step, parameters.name[i], key));
        }
    }
}

/* The items of a batch, every stride-th pixel of each row and column. */
static void batch_of(const cJSON *step, int64_t stride, fa_tensor **images, fa_tensor **labels)
{
    static float pixels[RUN100_BATCH * 784];
    static int64_t classes[RUN100_BATCH];
    const int64_t side = 28 / stride;
    float *to = pixels;
    const cJSON *number = cJSON_GetObjectItem(step, "items")->child;
    for (int64_t i = 0; i < RUN100_BATCH; i++, number = number->next) {
        fa_batch item = fa_dataset_get(items, number->valueint);
        const float *from = fa_data(item.images);
        for (int64_t y = 0; y < side; y++)
            for (int64_t x = 0; x < side; x++)
                *to++ = from[y * stride * 28 + x * stride];
        classes[i] = (int64_t)fa_item(item.labels);
    }
    *images = fa_from_memory(pixels, FA_FLOAT32, FA_SHAPE(RUN100_BATCH, 1, side, side));
    *labels = fa_from_memory(classes, FA_INT64, FA_SHAPE(RUN100_BATCH));
}

/* The largest difference of a tensor to PyTorch's after the step; elements of a gradient beside nothing are counted. */
static double distance(fa_tensor *tensor, const golden_tensor *want, double least, int64_t *aside)
{
    assert_non_null(want);
    double most = 0;
    if (want->dtype == FA_INT64) {
        assert_same_bytes(fa_data(tensor), want->data, (size_t)want->numel * 8);
        return 0;
    }
    fa_tensor *grad = fa_grad(tensor);
    const float *got = fa_data(tensor), *value = want->data, *g = grad ? fa_data(grad) : NULL;
    for (int64_t i = 0; i < want->numel; i++) {
        double off = fabs((double)got[i] - (double)value[i]);
        if (g && g[i] != 0 && fabsf(g[i]) <= least)
            ++*aside;
        else
            most = off > most || isnan(off) ? off : most;
    }
    return most;
}

static double largest_gradient(fa_module *model)
{
    double most = 0;
    fa_tensor_list list = fa_parameters(model);
    for (int64_t i = 0; i < list.count; i++) {
        const float *g = fa_data(fa_grad(list.tensor[i]));
        for (int64_t e = 0; e < fa_numel(list.tensor[i]); e++)
            most = fmax(most, (double)fabsf(g[e]));
    }
    return most;
}

typedef struct worst {
    double loss, weight;
    int64_t aside, steps;
} worst;

static void one_step(const cJSON *run, const cJSON *step, const run100_size *size, int64_t stride, double beside,
                     worst *w)
{
    const char *name = cJSON_GetObjectItem(run, "name")->valuestring;
    const int64_t k = whole(step, "step");
    const bool everything = cJSON_IsTrue(cJSON_GetObjectItem(run, "everything"));
    fa_module *model = run100_net(size, cJSON_IsTrue(cJSON_GetObjectItem(run, "norm")), everything);
    const char *optimizer = cJSON_GetObjectItem(run, "optimizer")->valuestring;
    fa_optim *optim = run100_optim(optimizer, fa_parameters(model));
    load(model, optim, name, k);
    fa_set_lr(optim, cJSON_GetObjectItem(step, "lr")->valuedouble);
    fa_scope {
        fa_tensor *images, *labels;
        batch_of(step, stride, &images, &labels);
        fa_manual_seed((uint64_t)k);
        fa_tensor *loss = fa_cross_entropy(fa_forward(model, images), labels);
        fa_backward(loss);
        fa_step(optim);
        w->loss = fmax(w->loss, fabs(fa_item(loss) - cJSON_GetObjectItem(step, "loss")->valuedouble));
        const double least = strcmp(optimizer, "SGD") == 0 ? 0 : beside * largest_gradient(model);
        fa_tensor_list state = fa_state_list(model);
        for (int64_t i = 0; i < state.count; i++) {
            const golden_tensor *want = golden_find(&golden, "%s.%d.after.%s", name, (int)k, state.name[i]);
            w->weight = fmax(w->weight, distance(state.tensor[i], want, least, &w->aside));
        }
        w->steps++;
    }
    assert_string_equal(fa_error(), "");
    fa_free(optim);
    fa_free(model);
}

/* Winograd's rounding is a few times that of direct sums, and Adam's step divides a gradient by its own size: of steps
 * that were not looked at before, gradients beside nothing begin at twice the size. "highest" has direct sums alone. */
static bool drawn;

static void single_steps(void **state)
{
    const cJSON *run = *state, *facts = cJSON_GetObjectItem(golden.index, "size"), *step;
    const cJSON *channels = cJSON_GetObjectItem(facts, "channels");
    const run100_size size = {
        {channels->child->valueint, channels->child->next->valueint}, whole(facts, "flat"), whole(facts, "hidden")};
    static const struct {
        const char *plan, *precision;
        double
            drawn; /* Adam leaves gradients below this part of the largest aside, of steps drawn when the test runs */
    } modes[] = {{"fused", "high", 2e-6}, {"fused", "highest", 1e-6}, {"nofuse", "high", 2e-6}, {"off", "high", 1e-6}};
    for (int m = 0; m < 4; m++) {
        worst w = {0};
        fa_plan_set_mode(modes[m].plan);
        assert_true(fa_set_float32_precision(modes[m].precision));
        cJSON_ArrayForEach(step, cJSON_GetObjectItem(run, "steps"))
        {
            if (!quick || whole(step, "step") % 30 == 0)
                one_step(run, step, &size, whole(facts, "stride"), drawn ? modes[m].drawn : 1e-6, &w);
        }
        fa_plan_set_mode("fused");
        assert_true(fa_set_float32_precision("high"));
        const bool norm = cJSON_IsTrue(cJSON_GetObjectItem(run, "norm"));
        print_message("%-12s %-8s %-6s %-7s %2d steps: loss within %.1e, weights within %.1e, %d left aside\n",
                      cJSON_GetObjectItem(run, "name")->valuestring, fa_cpu_isa(), modes[m].plan, modes[m].precision,
                      (int)w.steps, w.loss, w.weight, (int)w.aside);
        assert_true(w.loss <= (norm ? 1e-5 : 1e-6));
        assert_true(w.weight <= (norm ? 1e-5 : 1e-6));
    }
}

/* The same program on each lesser instruction set that this machine has; how many failed. */
static int on_other_isas(void)
{
    int failed = 0;
    extern char **environ;
    for (const fa_cpu_isa_entry *isa = fa_cpu_isa_list(); isa->name; isa++) {
        if (strcmp(isa->name, fa_cpu_isa()) == 0 || !isa->available())
            continue;
        setenv("FACULA_ISA", isa->name, 1);
        char path[] = "/proc/self/exe";
        pid_t pid;
        int status = 0,
            error = posix_spawn(&pid, path, NULL, NULL, (char *[]){path, (char *)(uintptr_t)stem, NULL}, environ);
        if (error || waitpid(pid, &status, 0) != pid || status != 0) {
            print_error("failed with FACULA_ISA=%s\n", isa->name);
            failed++;
        }
    }
    return failed;
}

int main(int argc, char **argv)
{
    char why[256];
    stem = argc > 1 ? argv[1] : stem;
    drawn = argc > 1;
    if (!golden_open(&golden, stem, why)) {
        print_error("%s\n", why);
        return 1;
    }
    quick = FA_SANITIZED || FA_EMULATED || getenv("FACULA_ISA");
    items = run100_items();
    struct CMUnitTest tests[16];
    size_t count = 0;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden.index, "runs"))
    {
        if (count < 16)
            tests[count++] = (struct CMUnitTest){.name = cJSON_GetObjectItem(entry, "name")->valuestring,
                                                 .test_func = single_steps,
                                                 .initial_state = (void *)(uintptr_t)entry};
    }
    int failed = _cmocka_run_group_tests("single steps", tests, count, NULL, NULL);
    if (!getenv("FACULA_ISA") && !FA_EMULATED)
        failed += on_other_isas();
    fa_free(items);
    golden_close(&golden);
    return failed;
}
