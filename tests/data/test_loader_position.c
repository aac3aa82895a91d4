/* A loop that goes on where another one stood hands out the same items and leaves the same generators, for every kind
 * of order, any number of workers, whatever else draws from the same generators. */
#include "support/facula_test.h"

#include "data/loader.h"
#include "facula.h"

#include <string.h>

enum { ITEMS = 103, LONGEST = 4096 };

static int64_t item_count(void *user)
{
    return *(int64_t *)user;
}

static bool put_item(void *user, int64_t index, fa_sample *sample)
{
    (void)user;
    return fa_sample_label(sample, index);
}

/* One way of making a loader. */
typedef struct setup {
    enum { PLAIN, SHUFFLE, SHUFFLE_OWN, PERMUTED, REPLACED, REPLACED_DEFAULT, SUBSET, KINDS } kind;
    int64_t batch_size, items, num_samples;
    bool drop_last, draws;
    int workers;
} setup;

typedef struct rig {
    fa_generator *generator;
    fa_loader *loader;
} rig;

static rig make_rig(const setup *s)
{
    fa_manual_seed(7);
    rig r = {.generator = fa_generator_new()};
    fa_generator_seed(r.generator, 11);
    fa_dataset *set = fa_dataset_new((void *)&s->items, .length = item_count, .item = put_item);
    fa_sampler *sampler = NULL;
    int64_t indices[40];
    for (int i = 0; i < 40; i++)
        indices[i] = s->items - 1 - i % s->items;
    if (s->kind == PERMUTED)
        sampler = fa_random_sampler(set, .num_samples = s->num_samples, .generator = r.generator);
    else if (s->kind == REPLACED)
        sampler = fa_random_sampler(set, .replacement = true, .num_samples = s->num_samples, .generator = r.generator);
    else if (s->kind == REPLACED_DEFAULT)
        sampler = fa_random_sampler(set, .replacement = true, .num_samples = s->num_samples);
    else if (s->kind == SUBSET)
        sampler = fa_subset_random_sampler(indices, 40, NULL);
    r.loader = fa_data_loader(set, .batch_size = s->batch_size, .drop_last = s->drop_last, .num_workers = s->workers,
                              .shuffle = s->kind == SHUFFLE || s->kind == SHUFFLE_OWN, .sampler = sampler,
                              .generator = s->kind == SHUFFLE_OWN ? r.generator : NULL);
    assert_true(fa_ok());
    return r;
}

static void end_rig(rig *r)
{
    fa_free(r->loader);
    fa_free(r->generator);
}

/* What a step of a training draws: dropout masks and the like. */
static void draw_something(const setup *s, const rig *r)
{
    if (!s->draws)
        return;
    fa_item(fa_sum(fa_rand_with(FA_SHAPE(5), .generator = r->generator)));
    fa_item(fa_sum(fa_rand(3)));
}

typedef struct trace {
    int64_t label[LONGEST], n;
    uint8_t standard[FA_GENERATOR_STATE_SIZE], own[FA_GENERATOR_STATE_SIZE];
} trace;

static void note(trace *t, const fa_batch *b)
{
    const int64_t *labels = fa_data(b->item[0]);
    for (int64_t i = 0; i < b->size; i++)
        t->label[t->n++] = labels[i];
}

static void end_trace(trace *t, const rig *r)
{
    assert_true(fa_ok());
    fa_generator_get_state(NULL, t->standard);
    fa_generator_get_state(r->generator, t->own);
}

static int64_t batches_of(const setup *s)
{
    rig r = make_rig(s);
    int64_t n = fa_length(r.loader);
    end_rig(&r);
    return n;
}

/* A part of the two loops, from a position on (NULL: the beginning) to a stop in the first one (0: the end). The
 * number of workers is another one each time. */
static void run_part(const setup *s, fa_loader_position *position, bool resumed, int64_t stop, trace *t)
{
    setup now = *s;
    now.workers = resumed ? 3 - s->workers : s->workers;
    rig r = make_rig(&now);
    int64_t expected = 0;
    if (resumed) {
        fa_item(fa_sum(fa_rand(50))); /* whatever the program draws before */
        assert_true(fa_loader_seek(r.loader, position, FA_HERE));
        fa_generator_seed(r.generator, 12345);
        expected = position->batches;
    }
    for (int loop = 0; loop < (stop > 0 ? 1 : 2); loop++) {
        fa_for_each_batch (b, r.loader) {
            assert_int_equal(b.index, expected++);
            note(t, &b);
            draw_something(s, &r);
            if (b.index + 1 == stop) {
                assert_true(fa_loader_tell(r.loader, position, FA_HERE));
                fa_loader_halt(r.loader);
            }
        }
        expected = 0;
    }
    if (stop == 0)
        end_trace(t, &r);
    assert_true(fa_ok());
    end_rig(&r);
}

/* Two loops at once, and with stops after some batches of the first one, in rising order. */
static void check(const setup *s, const int64_t *stops, int count)
{
    static trace whole, parts;
    whole.n = parts.n = 0;
    run_part(s, NULL, false, 0, &whole);
    fa_loader_position *position = malloc(sizeof *position);
    assert_non_null(position);
    for (int i = 0; i < count; i++)
        run_part(s, position, i > 0, stops[i], &parts);
    run_part(s, position, true, 0, &parts);
    free(position);
    assert_int_equal(parts.n, whole.n);
    assert_same_bytes(parts.label, whole.label, (size_t)whole.n * sizeof *whole.label);
    assert_same_bytes(parts.standard, whole.standard, sizeof whole.standard);
    if (s->kind == SHUFFLE_OWN || s->kind == PERMUTED || s->kind == REPLACED)
        assert_same_bytes(parts.own, whole.own, sizeof whole.own);
}

static void test_every_stop(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (int drop = 0; drop < 2; drop++)
            for (int draws = 0; draws < 2; draws++) {
                setup s = {kind, 16, ITEMS, 250, drop != 0, draws != 0, draws == 0 ? 3 : 0};
                int64_t n = batches_of(&s);
                for (int64_t stop = 1; stop <= n; stop++) {
                    check(&s, (int64_t[]){stop}, 1);
                    if (stop + 2 <= n)
                        check(&s, (int64_t[]){stop, stop + 1, stop + 2}, 3);
                }
            }
}

static void test_random_setups(void **state)
{
    (void)state;
    uint64_t seed = test_seed(1);
    for (int i = 0; i < 300; i++) {
        setup s = {(int)test_random_int(&seed, 0, KINDS - 1),
                   test_random_int(&seed, 1, 40),
                   test_random_int(&seed, 1, 70),
                   test_random_int(&seed, 1, 300),
                   test_random_int(&seed, 0, 1) != 0,
                   test_random_int(&seed, 0, 1) != 0,
                   (int)test_random_int(&seed, 0, 1) * 3};
        int64_t n = batches_of(&s);
        if (n > 0)
            check(&s, (int64_t[]){test_random_int(&seed, 1, n)}, 1);
    }
}

static void test_another_loader(void **state)
{
    (void)state;
    setup s = {SHUFFLE, 16, ITEMS, 0, false, false, 0};
    rig r = make_rig(&s);
    fa_loader_position *position = malloc(sizeof *position);
    assert_non_null(position);
    fa_for_each_batch (b, r.loader)
        if (b.index == 1)
            assert_true(fa_loader_tell(r.loader, position, FA_HERE));
    end_rig(&r);

    s.batch_size = 8;
    r = make_rig(&s);
    assert_true(fa_loader_seek(r.loader, position, FA_HERE));
    int batches = 0;
    fa_for_each_batch (b, r.loader)
        batches++;
    assert_int_equal(batches, 0);
    assert_contains(fa_error(), "batch_size: got 8, needs 16");
    fa_clear_error();
    end_rig(&r);

    /* A position that lies nowhere: no crash, an error. */
    s.batch_size = 16;
    s.kind = SHUFFLE_OWN;
    r = make_rig(&s);
    fa_for_each_batch (b, r.loader)
        if (b.index == 1)
            assert_true(fa_loader_tell(r.loader, position, FA_HERE));
    position->order.next = 1 << 30;
    assert_true(fa_loader_seek(r.loader, position, FA_HERE));
    fa_for_each_batch (b, r.loader)
        batches++;
    assert_int_equal(batches, 0);
    assert_contains(fa_error(), "the order does not have");
    fa_clear_error();
    end_rig(&r);
    free(position);
}

/* Between two loops: the generators alone, set at once. */
static void test_between_loops(void **state)
{
    (void)state;
    setup s = {SHUFFLE_OWN, 16, ITEMS, 0, false, true, 2};
    rig r = make_rig(&s);
    fa_loader_position *position = malloc(sizeof *position);
    static trace first, again;
    assert_non_null(position);
    assert_true(fa_loader_tell(r.loader, position, FA_HERE));
    assert_int_equal(position->batches, -1);
    for (int time = 0; time < 2; time++) {
        trace *t = time == 0 ? &first : &again;
        t->n = 0;
        assert_true(fa_loader_seek(r.loader, position, FA_HERE));
        fa_for_each_batch (b, r.loader) {
            note(t, &b);
            draw_something(&s, &r);
        }
        end_trace(t, &r);
    }
    assert_int_equal(first.n, ITEMS);
    assert_same_bytes(&first, &again, sizeof first);
    end_rig(&r);
    free(position);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_stop), cmocka_unit_test(test_random_setups),
                                       cmocka_unit_test(test_between_loops), cmocka_unit_test(test_another_loader)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
