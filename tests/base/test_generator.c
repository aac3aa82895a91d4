/* The generator against PyTorch's draws (tests/golden/rng_golden.inc), its states, and generator objects. */
#include "support/facula_test.h"

#include "base/error.h"
#include "base/generator.h"
#include "base/memory.h"

#include <pthread.h>
#include <string.h>

typedef enum golden_op {
    DRAW_RANDOM_INT64,
    DRAW_UNIFORM_F32,
    DRAW_UNIFORM_F64,
    DRAW_NORMAL_F32,
    DRAW_NORMAL_F64,
    DRAW_RANDINT,
    DRAW_RANDPERM,
    DRAW_BERNOULLI,
    DRAW_EXPONENTIAL,
    DRAW_TRUNC_NORMAL,
    DRAW_STATE
} golden_op;

typedef struct golden_draw {
    golden_op op;
    int64_t n;
    double number[4];
    const uint64_t *values; /* more than LONG values, or a state: their hash */
} golden_draw;

typedef struct golden_sequence {
    uint64_t seed;
    int64_t count;
    const golden_draw *draws;
} golden_sequence;

#include "golden/rng_golden.inc"

enum { LONG = 128, MOST = 70000 };

static float floats[MOST], scratch[MOST];
static double doubles[MOST];
static int64_t integers[MOST];
static uint8_t bytes[MOST];
static uint64_t patterns[MOST];

static uint64_t hash_bytes(const uint8_t *data, size_t n)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ data[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t hash_patterns(int64_t n)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (int64_t i = 0; i < n; i++)
        for (int byte = 0; byte < 8; byte++)
            hash = (hash ^ (patterns[i] >> 8 * byte & 0xff)) * 0x100000001b3u;
    return hash;
}

static void patterns_of_floats(int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &floats[i], sizeof bits);
        patterns[i] = bits;
    }
}

/* Draws into `patterns`. */
static void draw(fa_mt *mt, const golden_draw *d)
{
    const double *a = d->number;
    int64_t n = d->n;
    switch (d->op) {
    case DRAW_RANDOM_INT64:
        for (int64_t i = 0; i < n; i++)
            patterns[i] = (uint64_t)fa_mt_random_int64(mt);
        break;
    case DRAW_UNIFORM_F32:
        fa_mt_uniform_f32(mt, floats, n, a[0], a[1]);
        patterns_of_floats(n);
        break;
    case DRAW_NORMAL_F32:
        fa_mt_normal_f32(mt, floats, n, a[0], a[1]);
        patterns_of_floats(n);
        break;
    case DRAW_TRUNC_NORMAL:
        fa_mt_trunc_normal_f32(mt, floats, n, a[0], a[1], a[2], a[3], scratch);
        patterns_of_floats(n);
        break;
    case DRAW_UNIFORM_F64:
        fa_mt_uniform_f64(mt, doubles, n, a[0], a[1]);
        memcpy(patterns, doubles, (size_t)n * 8);
        break;
    case DRAW_NORMAL_F64:
        fa_mt_normal_f64(mt, doubles, n, a[0], a[1]);
        memcpy(patterns, doubles, (size_t)n * 8);
        break;
    case DRAW_EXPONENTIAL:
        fa_mt_exponential_f64(mt, doubles, n, a[0]);
        memcpy(patterns, doubles, (size_t)n * 8);
        break;
    case DRAW_RANDINT:
        fa_mt_randint(mt, integers, n, (int64_t)a[0], (int64_t)a[1]);
        memcpy(patterns, integers, (size_t)n * 8);
        break;
    case DRAW_RANDPERM:
        fa_mt_randperm(mt, integers, n);
        memcpy(patterns, integers, (size_t)n * 8);
        break;
    case DRAW_BERNOULLI:
        fa_mt_bernoulli(mt, bytes, n, a[0]);
        for (int64_t i = 0; i < n; i++)
            patterns[i] = bytes[i];
        break;
    case DRAW_STATE:
        fail();
    }
}

/* A saved state is PyTorch's, byte for byte; the rest of the sequence goes on from an engine that was loaded from it.
 */
static void check_state(fa_mt *mt, uint64_t hash)
{
    uint8_t state[FA_GENERATOR_STATE_SIZE], again[FA_GENERATOR_STATE_SIZE];
    fa_mt_save(mt, state);
    assert_true(hash_bytes(state, sizeof state) == hash);
    fa_mt_seed(mt, 999);
    assert_true(fa_mt_load(mt, state));
    fa_mt_save(mt, again);
    assert_memory_equal(state, again, sizeof state);
}

static void test_draws_are_pytorchs(void **unused)
{
    (void)unused;
    for (size_t s = 0; s < sizeof golden_sequences / sizeof *golden_sequences; s++) {
        const golden_sequence *sequence = &golden_sequences[s];
        fa_mt mt;
        fa_mt_seed(&mt, sequence->seed);
        for (int64_t k = 0; k < sequence->count; k++) {
            const golden_draw *d = &sequence->draws[k];
            if (d->op == DRAW_STATE) {
                check_state(&mt, d->values[0]);
                continue;
            }
            draw(&mt, d);
            bool same = d->n > LONG ? hash_patterns(d->n) == d->values[0]
                                    : d->n == 0 || memcmp(patterns, d->values, (size_t)d->n * 8) == 0;
            if (!same)
                fail_msg("seed %llu, draw %lld (op %d of %lld values) differs", (unsigned long long)sequence->seed,
                         (long long)k, (int)d->op, (long long)d->n);
        }
    }
}

static void test_first_words(void **unused)
{
    (void)unused;
    static const uint32_t first[3][4] = {{2357136044u, 2546248239u, 3071714933u, 3626093760u},
                                         {1791095845u, 4282876139u, 3093770124u, 4005303368u},
                                         {1608637542u, 3421126067u, 4083286876u, 787846414u}};
    static const uint64_t seed[3] = {0, 1, 42};
    for (int i = 0; i < 3; i++) {
        fa_mt mt;
        fa_mt_seed(&mt, seed[i]);
        for (int j = 0; j < 4; j++)
            assert_int_equal(fa_mt_u32(&mt), first[i][j]);
        fa_mt_seed(&mt, seed[i]);
        assert_true(fa_mt_u64(&mt) == ((uint64_t)first[i][0] << 32 | first[i][1]));
    }
}

/* A shuffled loader draws a base seed and a sampler's seed from the default generator, an order from the latter. */
static void test_orders_of_a_loader(void **unused)
{
    (void)unused;
    fa_manual_seed(0);
    for (int epoch = 0; epoch < 3; epoch++) {
        fa_mt *mt = fa_generator_lock(NULL);
        fa_mt_random_int64(mt);
        int64_t seed = fa_mt_random_int64(mt);
        fa_generator_unlock(NULL);
        fa_mt sampler;
        fa_mt_seed(&sampler, (uint64_t)seed);
        int64_t order[10];
        fa_mt_randperm(&sampler, order, 10);
        assert_memory_equal(order, golden_epochs[epoch], sizeof order);
    }
}

/* One fill equals the same words drawn one by one, wherever in the block of 624 it begins and ends. */
static void test_fills_do_not_depend_on_position(void **unused)
{
    (void)unused;
    for (int skip = 0; skip < 630; skip += 7) {
        fa_mt a, b;
        fa_mt_seed(&a, 5);
        fa_mt_seed(&b, 5);
        for (int i = 0; i < skip; i++) {
            fa_mt_u32(&a);
            fa_mt_u32(&b);
        }
        fa_mt_uniform_f32(&a, floats, 700, 0, 1);
        for (int i = 0; i < 700; i++)
            assert_true(floats[i] == (float)(fa_mt_u32(&b) & 0xffffff) * 0x1p-24f);
        assert_true(fa_mt_u32(&a) == fa_mt_u32(&b));
    }
}

static void test_uniform_never_reaches_the_upper_bound(void **unused)
{
    (void)unused;
    fa_mt mt;
    fa_mt_seed(&mt, 3);
    float lo = 1.0f, hi = 1.0f + 0x1p-22f; /* two steps apart: a third of the sums round up to hi */
    fa_mt_uniform_f32(&mt, floats, 5000, (double)lo, (double)hi);
    for (int i = 0; i < 5000; i++)
        assert_true(floats[i] >= lo && floats[i] < hi);
    double wide = 1.0 + 0x1p-51;
    fa_mt_uniform_f64(&mt, doubles, 5000, 1.0, wide);
    for (int i = 0; i < 5000; i++)
        assert_true(doubles[i] >= 1.0 && doubles[i] < wide);
}

static void test_bernoulli_bounds(void **unused)
{
    (void)unused;
    fa_mt mt;
    fa_mt_seed(&mt, 3);
    fa_mt_bernoulli(&mt, bytes, 1000, 0);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(bytes[i], 0);
    fa_mt_bernoulli(&mt, bytes, 1000, 1);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(bytes[i], 1);
}

static void test_damaged_states_are_refused(void **unused)
{
    (void)unused;
    fa_mt mt, before;
    fa_mt_seed(&mt, 8);
    fa_mt_u32(&mt);
    before = mt;
    uint8_t good[FA_GENERATOR_STATE_SIZE], bad[FA_GENERATOR_STATE_SIZE], after[FA_GENERATOR_STATE_SIZE];
    fa_mt_save(&mt, good);
    static const struct {
        int offset;
        uint8_t value;
    } damage[] = {{11, 0x80}, /* left negative */
                  {12, 0},    /* not seeded */
                  {16, 0xff}, /* next beyond the words that are left */
                  {23, 1},    /* next huge */
                  {28, 1},    /* a word of more than 32 bits */
                  {5040, 2}}; /* neither a cached normal nor none */
    for (size_t i = 0; i < sizeof damage / sizeof *damage; i++) {
        memcpy(bad, good, sizeof bad);
        bad[damage[i].offset] = damage[i].value;
        assert_false(fa_mt_load(&mt, bad));
        fa_mt_save(&mt, after);
        assert_memory_equal(after, good, sizeof after);
    }
    memset(bad, 0, sizeof bad);
    assert_false(fa_mt_load(&mt, bad));

    fa_generator *generator = fa_generator_new();
    assert_false(fa_generator_set_state(generator, bad));
    assert_int_equal(fa_error_code(), FA_VALUE_ERROR);
    fa_clear_error();
    assert_true(fa_generator_set_state(generator, good));
    assert_true(fa_mt_u32(fa_generator_lock(generator)) == fa_mt_u32(&before));
    fa_generator_unlock(generator);
    fa_generator_release(generator);
}

static void test_objects(void **unused)
{
    (void)unused;
    assert_ptr_equal(fa_generator_or_default(NULL), fa_generator_default());
    fa_generator *generator = fa_generator_new();
    assert_ptr_equal(fa_generator_or_default(generator), generator);
    fa_mt fresh;
    fa_mt_seed(&fresh, 67280421310721u);
    uint8_t state[FA_GENERATOR_STATE_SIZE], want[FA_GENERATOR_STATE_SIZE];
    fa_generator_get_state(generator, state);
    fa_mt_save(&fresh, want);
    assert_memory_equal(state, want, sizeof state);
    assert_ptr_equal(fa_generator_retain(generator), generator);
    fa_generator_release(generator);
    fa_generator_seed(generator, 3); /* the second reference still holds */
    fa_mt_seed(&fresh, 3);
    assert_true(fa_mt_u32(fa_generator_lock(generator)) == fa_mt_u32(&fresh));
    fa_generator_unlock(generator);
    fa_generator_release(generator);
    fa_generator_release(fa_generator_default()); /* is never freed */
    fa_generator_release(NULL);

    fa_memory_fail_after(1);
    assert_null(fa_generator_new());
    fa_memory_fail_after(0);
    assert_int_equal(fa_error_code(), FA_MEMORY_ERROR);
    fa_clear_error();
}

static int hook_calls;

static void draw_initial_weights(void)
{
    hook_calls++;
    fa_mt_u32(fa_generator_lock_raw(NULL));
    fa_generator_unlock(NULL);
}

static void test_initial_weights_come_first(void **unused)
{
    (void)unused;
    fa_mt want;
    fa_mt_seed(&want, 11);
    fa_mt_u32(&want);
    fa_manual_seed(11);
    fa_generator_set_init_hook(draw_initial_weights);
    hook_calls = 0;
    assert_true(fa_mt_u32(fa_generator_lock(NULL)) == fa_mt_u32(&want));
    fa_generator_unlock(NULL);
    assert_int_equal(hook_calls, 1);
    fa_manual_seed(1);
    assert_int_equal(hook_calls, 2);
    uint8_t state[FA_GENERATOR_STATE_SIZE];
    fa_generator_get_state(NULL, state);
    assert_int_equal(hook_calls, 3);
    assert_true(fa_generator_set_state(NULL, state));
    assert_int_equal(hook_calls, 4);
    fa_generator *other = fa_generator_new();
    fa_generator_seed(other, 1);
    fa_generator_release(other);
    assert_int_equal(hook_calls, 4);
    fa_generator_set_init_hook(NULL);
}

static void *draw_many(void *sum)
{
    for (int i = 0; i < 20000; i++) {
        *(uint64_t *)sum += fa_mt_u32(fa_generator_lock(NULL));
        fa_generator_unlock(NULL);
    }
    return NULL;
}

/* Two threads share out the words; none is lost or drawn twice. */
static void test_two_threads(void **unused)
{
    (void)unused;
    fa_manual_seed(21);
    uint64_t sum[2] = {0, 0}, want = 0;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, draw_many, &sum[0]), 0);
    draw_many(&sum[1]);
    pthread_join(thread, NULL);
    fa_mt mt;
    fa_mt_seed(&mt, 21);
    for (int i = 0; i < 40000; i++)
        want += fa_mt_u32(&mt);
    assert_true(sum[0] + sum[1] == want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_draws_are_pytorchs),
        cmocka_unit_test(test_first_words),
        cmocka_unit_test(test_orders_of_a_loader),
        cmocka_unit_test(test_fills_do_not_depend_on_position),
        cmocka_unit_test(test_uniform_never_reaches_the_upper_bound),
        cmocka_unit_test(test_bernoulli_bounds),
        cmocka_unit_test(test_damaged_states_are_refused),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_initial_weights_come_first),
        cmocka_unit_test(test_two_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
