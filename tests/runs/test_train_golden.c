/* Whole training runs on MNIST against PyTorch's (golden/train.json): initial weights bit for bit, every loss, and the
 * counts of the validation. The loop is the lesson's. */
#include "support/facula_test.h"

#include "facula/optim.h"
#include "facula/vision.h"
#include "support/golden.h"

#include <math.h>
#include <string.h>

static golden_file golden;

static fa_module *plain_net(void)
{
    return fa_nn_sequential(fa_nn_conv2d(1, 8, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2),
                            fa_nn_conv2d(8, 16, 3, .padding = 1), fa_nn_relu(), fa_nn_max_pool2d(2), fa_nn_flatten(),
                            fa_nn_linear(784, 10));
}

static fa_module *norm_net(void)
{
    return fa_nn_sequential(fa_nn_conv2d(1, 8, 3, .padding = 1, .bias = false), fa_nn_batch_norm2d(8), fa_nn_relu(),
                            fa_nn_max_pool2d(2), fa_nn_conv2d(8, 16, 3, .bias = false), fa_nn_batch_norm2d(16),
                            fa_nn_relu(), fa_nn_avg_pool2d(4), fa_nn_flatten(), fa_nn_dropout(0.25),
                            fa_nn_linear(144, 32), fa_nn_relu(), fa_nn_linear(32, 10));
}

typedef struct run {
    const char *name;
    fa_module *(*net)(void);
    bool adam;
    double lr, momentum, weight_decay;
    bool halved;     /* the learning rate, after every epoch */
    int exact_steps; /* steps within 1e-5; the later ones within 1e-3 */
    int count_slack;
} run;

static const run runs[] = {
    {"sgd", plain_net, false, 0.1, 0, 0, false, 1000, 0},
    {"sgd_momentum", plain_net, false, 0.02, 0.9, 5e-4, true, 1000, 0},
    {"adam", plain_net, true, 1e-3, 0, 0, false, 1000, 0},
    {"adam_bn_dropout", norm_net, true, 2e-3, 0, 0, false, 10, 1},
};

/* The first n items of MNIST's half, as a data set that holds the other. */
static fa_dataset *first_items(bool train, int64_t n)
{
    int64_t *indices = malloc((size_t)n * sizeof *indices);
    for (int64_t i = 0; i < n; i++)
        indices[i] = i;
    fa_dataset *part =
        fa_subset(fa_mnist(source_path("data/mnist"), .train = train, .transform = fa_to_tensor()), indices, n);
    free(indices);
    return part;
}

static void check_start(const run *r, fa_module *model)
{
    fa_tensor_list state = fa_state_list(model);
    assert_true(state.count > 0);
    for (int64_t i = 0; i < state.count; i++) {
        const golden_tensor *want = golden_find(&golden, "%s.%s", r->name, state.name[i]);
        assert_non_null(want);
        assert_int_equal(fa_numel(state.tensor[i]), want->numel);
        assert_int_equal(fa_dtype_of(state.tensor[i]), want->dtype);
        size_t size = want->dtype == FA_INT64 ? 8 : 4;
        assert_same_bytes(fa_data(state.tensor[i]), want->data, (size_t)want->numel * size);
    }
}

static void check_eval(const run *r, fa_module *model, fa_loader *loader, const cJSON *want)
{
    double loss = 0;
    int64_t correct = 0, total = 0;
    fa_eval(model);
    fa_no_grad {
        fa_for_each_batch (b, loader) {
            fa_tensor *scores = fa_forward(model, b.images);
            loss += fa_item(fa_cross_entropy(scores, b.labels));
            correct += (int64_t)fa_item(fa_sum(fa_eq(fa_argmax(scores, 1), b.labels)));
            total += b.size;
        }
    }
    assert_string_equal(fa_error(), "");
    double want_loss = cJSON_GetObjectItem(want, "val_loss")->valuedouble;
    int want_correct = cJSON_GetObjectItem(want, "correct")->valueint;
    print_message("%s: validation %.6f (%.6f), correct %d (%d)\n", r->name, loss / 4, want_loss, (int)correct,
                  want_correct);
    assert_int_equal(total, cJSON_GetObjectItem(want, "total")->valueint);
    assert_true(llabs((long long)correct - want_correct) <= r->count_slack);
    assert_true(fabs(loss / 4 - want_loss) <= (r->exact_steps > 100 ? 1e-5 : 1e-3) * want_loss);
}

static void training_run(void **state)
{
    const run *r = *state;
    const cJSON *entry, *facts = NULL;
    cJSON_ArrayForEach(
        entry, cJSON_GetObjectItem(golden.index, "runs")) if (!strcmp(cJSON_GetObjectItem(entry, "name")->valuestring,
                                                                      r->name)) facts = entry;
    assert_non_null(facts);
    const cJSON *losses = cJSON_GetObjectItem(facts, "losses"), *want = losses->child;

    fa_manual_seed(0);
    fa_module *model = r->net();
    assert_string_equal(fa_error(), "");
    fa_dataset *train_set = first_items(true, 2000), *test_set = first_items(false, 1000);
    fa_loader *train = fa_data_loader(train_set, .batch_size = 64, .shuffle = true);
    fa_loader *test = fa_data_loader(test_set, .batch_size = 250);
    assert_string_equal(fa_error(), "");
    check_start(r, model);
    fa_optim *optim =
        r->adam ? fa_adam(fa_parameters(model), r->lr)
                : fa_sgd(fa_parameters(model), r->lr, .momentum = r->momentum, .weight_decay = r->weight_decay);
    fa_scheduler *schedule = r->halved ? fa_step_lr(optim, 1, .gamma = 0.5) : NULL;

    int step = 0;
    double worst = 0;
    const cJSON *eval;
    cJSON_ArrayForEach(eval, cJSON_GetObjectItem(facts, "evals"))
    {
        fa_train(model);
        fa_for_each_batch (b, train) {
            fa_tensor *loss = fa_cross_entropy(fa_forward(model, b.images), b.labels);
            fa_zero_grad(optim);
            fa_backward(loss);
            fa_step(optim);
            assert_non_null(want);
            double got = fa_item(loss), off = fabs(got - want->valuedouble) / want->valuedouble;
            if (!(off <= (step < r->exact_steps ? 1e-5 : 1e-3)))
                fail_msg("%s, step %d: loss %.9g instead of %.9g (%s)", r->name, step, got, want->valuedouble,
                         fa_error());
            worst = off > worst ? off : worst;
            want = want->next;
            step++;
        }
        if (schedule)
            fa_step(schedule);
        check_eval(r, model, test, eval);
    }
    assert_int_equal(step, cJSON_GetArraySize(losses));
    print_message("%s: %d steps, losses within %.2g\n", r->name, step, worst);
    fa_scheduler_free(schedule);
    fa_optim_free(optim);
    fa_module_free(model);
    fa_loader_free(train);
    fa_loader_free(test);
    fa_dataset_free(train_set);
    fa_dataset_free(test_set);
    assert_true(fa_ok());
}

int main(void)
{
    char why[256];
    if (!golden_open(&golden, "train", why)) {
        print_error("%s\n", why);
        return 1;
    }
    enum { RUNS = sizeof runs / sizeof *runs };
    struct CMUnitTest tests[RUNS];
    for (int i = 0; i < RUNS; i++)
        tests[i] = (struct CMUnitTest){
            .name = runs[i].name, .test_func = training_run, .initial_state = (void *)(uintptr_t)&runs[i]};
    int failed = _cmocka_run_group_tests("training runs", tests, RUNS, NULL, NULL);
    golden_close(&golden);
    return failed;
}
