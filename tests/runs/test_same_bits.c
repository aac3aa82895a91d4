/* The same bits for any number of threads and workers, and for ten steps in one go and as five and five: new objects
 * that take over weights, buffers, optimizer state, schedule and the generator's state. Training with everything that
 * draws or keeps state: shuffling, crops and flips, dropout, batch norm, momentum, a schedule. */
#include "support/facula_test.h"

#include "optim/optim.h"
#include "support/run100.h"

#include <string.h>

enum { ITEMS = 320, STEPS = ITEMS / RUN100_BATCH, ROOM = 500000 };

/* What a training leaves. */
typedef struct result {
    double loss[2 * STEPS];
    uint32_t weights; /* CRC-32 of weights and buffers */
    uint8_t generator[FA_GENERATOR_STATE_SIZE];
} result;

typedef struct run {
    const char *optimizer;
    fa_module *model;
    fa_optim *optim;
    fa_scheduler *schedule;
    fa_loader *loader;
} run;

static void begin(run *r, const char *optimizer, int workers)
{
    int64_t indices[ITEMS];
    for (int64_t i = 0; i < ITEMS; i++)
        indices[i] = i;
    fa_manual_seed(7);
    r->optimizer = optimizer;
    r->model = run100_net(&(run100_size){{8, 16}, 784, 32}, true, true);
    r->optim = run100_optim(optimizer, fa_parameters(r->model));
    r->schedule = fa_step_lr(r->optim, 3, .gamma = 0.5);
    r->loader = fa_data_loader(fa_subset(run100_augmented(), indices, ITEMS), .batch_size = RUN100_BATCH,
                               .shuffle = true, .num_workers = workers);
    assert_string_equal(fa_error(), "");
}

static void end(run *r)
{
    fa_free(r->schedule);
    fa_free(r->optim);
    fa_free(r->model);
    fa_free(r->loader);
}

/* One pass: five steps. */
static void do_pass(const run *r, double *loss)
{
    fa_for_each_batch (b, r->loader) {
        fa_tensor *value = fa_cross_entropy(fa_forward(r->model, b.images), b.labels);
        fa_zero_grad(r->optim);
        fa_backward(value);
        fa_step(r->optim);
        fa_step(r->schedule);
        *loss++ = fa_item(value);
    }
    assert_string_equal(fa_error(), "");
}

static void take_result(const run *r, result *out)
{
    out->weights = 0;
    fa_tensor_list state = fa_state_list(r->model);
    for (int64_t i = 0; i < state.count; i++) {
        const size_t size = fa_dtype_of(state.tensor[i]) == FA_INT64 ? 8 : 4;
        out->weights = run100_crc32(out->weights, fa_data(state.tensor[i]), (size_t)fa_numel(state.tensor[i]) * size);
    }
    fa_generator_get_state(NULL, out->generator);
}

static void train(const char *optimizer, int workers, result *out)
{
    run r;
    begin(&r, optimizer, workers);
    do_pass(&r, out->loss);
    do_pass(&r, out->loss + STEPS);
    take_result(&r, out);
    end(&r);
}

static const char *const optimizers[] = {"SGD", "Adam", "AdamW"};

static void threads_and_workers(void **state)
{
    const char *optimizer = *state;
    static result want, got;
    const int most = FA_SANITIZED || FA_EMULATED ? 3 : 7;
    const int before = fa_get_num_threads();
    memset(&want, 0, sizeof want);
    memset(&got, 0, sizeof got);
    fa_set_num_threads(1);
    train(optimizer, 0, &want);
    for (int threads = 1; threads <= most; threads++) {
        fa_set_num_threads(threads);
        train(optimizer, threads % 3, &got);
        assert_same_bytes(&got, &want, sizeof want);
    }
    fa_set_num_threads(2);
    for (int workers = 0; workers <= most + 1; workers++) {
        train(optimizer, workers, &got);
        assert_same_bytes(&got, &want, sizeof want);
    }
    fa_set_num_threads(before);
}

/* ---- Five and five ---- */

static size_t bytes_of(fa_tensor *tensor)
{
    return (size_t)fa_numel(tensor) * (fa_dtype_of(tensor) == FA_INT64 ? 8 : 4);
}

/* A tensor's bytes to *at, or from there; *at moves on. */
static void carry(fa_tensor *tensor, uint8_t **at, bool out)
{
    if (out)
        memcpy(*at, fa_data(tensor), bytes_of(tensor));
    else
        assert_true(fa_copy_from(tensor, *at));
    *at += bytes_of(tensor);
}

static void carry_all(const run *r, uint8_t *at, bool out)
{
    const uint8_t *start = at;
    fa_tensor_list state = fa_state_list(r->model);
    for (int64_t i = 0; i < state.count; i++)
        carry(state.tensor[i], &at, out);
    fa_optim_group *group = r->optim->group[0];
    for (int64_t i = 0; i < group->count; i++) {
        fa_optim_parameter *p = &group->parameter[i];
        if (!out) {
            p->steps = STEPS;
            assert_true(fa_optim_make_state(r->optim, group, p));
            p->first = 0;
        }
        for (int k = 0; k < FA_OPTIM_STATES; k++)
            if (p->state[k])
                carry(fa_leaf_handle(p->state[k]), &at, out);
    }
    assert_true(at - start < ROOM);
}

static void five_and_five(void **state)
{
    static result want, got;
    static uint8_t kept[ROOM], generator[FA_GENERATOR_STATE_SIZE];
    memset(&want, 0, sizeof want);
    memset(&got, 0, sizeof got);
    train(*state, 1, &want);
    run r;
    begin(&r, *state, 3);
    do_pass(&r, got.loss);
    carry_all(&r, kept, true);
    fa_generator_get_state(NULL, generator);
    end(&r);
    fa_manual_seed(99);
    begin(&r, *state, 0);
    carry_all(&r, kept, false);
    for (int k = 0; k < STEPS; k++)
        fa_step(r.schedule);
    assert_true(fa_generator_set_state(NULL, generator));
    do_pass(&r, got.loss + STEPS);
    take_result(&r, &got);
    end(&r);
    assert_same_bytes(&got, &want, sizeof want);
}

int main(void)
{
    struct CMUnitTest tests[6];
    for (int i = 0; i < 3; i++) {
        void *name = (void *)(uintptr_t)optimizers[i];
        tests[2 * i] =
            (struct CMUnitTest){.name = "threads and workers", .test_func = threads_and_workers, .initial_state = name};
        tests[2 * i + 1] =
            (struct CMUnitTest){.name = "five and five", .test_func = five_and_five, .initial_state = name};
    }
    return _cmocka_run_group_tests("same bits", tests, 6, NULL, NULL);
}
